//! In: the text sets that a gate tests, and the words that a question asks about. Out: cells: classes of words that no
//! rule of the gate tells apart, so that a text dimension becomes a small numeric one.
//!
//! Invariants: cells are disjoint, not empty, and together are the question's words; every tested set is a union of
//! cells, or is refused (too large), which makes its tests undecided.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::model::{
    Dim, DomainScope, Domains, Lang, LangError, Question, Ranges, TextId, TextSet, TextSpace,
};

/// More cells than this are not made: what would need them is undecided.
const CELL_LIMIT: usize = 1024;

/// More names of domain lists than this are not built into automata for one dimension, for their time grows faster than
/// their number; the lists that have the others are refused.
const NAME_LIMIT: usize = 128;

/// The cells of one text dimension.
#[derive(Debug)]
pub(crate) struct Cells {
    /// One word of each cell, familiar ones first, else the shortest.
    pub(crate) words: Vec<String>,
    /// The words of each cell.
    pub(crate) langs: Vec<Lang>,
    /// Which cells tested sets hold, but for those that hold none.
    sets: FxHashMap<TextId, Ranges>,
    /// Which sets were told, by their ids: not those that are too large, nor those that no test names.
    told: Vec<bool>,
}

impl Cells {
    /// Which cells a tested set holds; nothing where it is refused.
    pub(crate) fn of(&self, set: TextId) -> Option<Ranges> {
        let told = self.told.get(set.0 as usize).copied().unwrap_or_default();
        told.then(|| self.sets.get(&set).cloned().unwrap_or_default())
    }

    /// All cells as numbers.
    pub(crate) fn all(&self) -> Ranges {
        match (self.words.len() as u128).checked_sub(1) {
            Some(last) => Ranges::between(0, last),
            None => Ranges::empty(),
        }
    }
}

/// Cuts every text dimension that the question gives. `tested` names the sets that the gate tests on it.
pub(crate) fn cells(
    question: &Question,
    texts: &[TextSet],
    tested: &BTreeMap<Dim, Vec<TextId>>,
) -> BTreeMap<Dim, Cells> {
    let none = Vec::new();
    question
        .texts
        .iter()
        .map(|(dim, space)| {
            let tested = tested.get(dim).unwrap_or(&none);
            let url = Surroundings::of(question);
            (*dim, cut(space, texts, tested, url.as_ref()))
        })
        .collect()
}

fn cut(
    space: &TextSpace,
    texts: &[TextSet],
    tested: &[TextId],
    url: Option<&Surroundings>,
) -> Cells {
    if let Some(word) = only_word(space) {
        return single(word, texts, tested, url);
    }
    let mut cells = if space.lang.is_empty() {
        Vec::new()
    } else {
        vec![space.lang.clone()]
    };
    let mut langs: Vec<(TextId, Lang)> = Vec::new();
    let mut sets = FxHashMap::default();
    let mut told = vec![false; texts.len()];
    let mut names_left = NAME_LIMIT;
    for id in tested {
        let at = id.0 as usize;
        let (Some(set), Some(told)) = (texts.get(at), told.get_mut(at)) else {
            continue;
        };
        match within(set, space, url, &mut names_left) {
            Ok(lang) if lang.is_empty() => *told = true,
            Ok(lang) => {
                if let Ok(refined) = refine(&cells, &lang) {
                    cells = refined;
                    langs.push((*id, lang));
                    *told = true;
                }
            }
            Err(_) => {}
        }
    }
    let witnesses: Vec<Vec<u8>> = cells
        .iter()
        .map(|cell| cell.shortest().unwrap_or_default())
        .collect();
    for (id, lang) in langs {
        // A cell lies wholly inside or outside every set that refined the cells, so one word tells.
        let inside = witnesses
            .iter()
            .zip(0u128..)
            .filter(|(word, _)| lang.contains(word));
        sets.insert(id, inside.map(|(_, cell)| cell).collect());
    }
    let words = cells
        .iter()
        .zip(&witnesses)
        .map(|(cell, shortest)| {
            let familiar = space
                .familiar
                .iter()
                .find(|word| cell.contains(word.as_bytes()));
            familiar
                .cloned()
                .unwrap_or_else(|| String::from_utf8_lossy(shortest).into_owned())
        })
        .collect();
    Cells {
        words,
        langs: cells,
        sets,
        told,
    }
}

/// The word of a space that holds just one.
fn only_word(space: &TextSpace) -> Option<String> {
    let word = space.lang.shortest()?;
    (Lang::literal(&word) == space.lang).then(|| String::from_utf8_lossy(&word).into_owned())
}

/// One word needs no cutting: every set holds it or not.
fn single(word: String, texts: &[TextSet], tested: &[TextId], url: Option<&Surroundings>) -> Cells {
    let mut sets = FxHashMap::default();
    let mut told = vec![false; texts.len()];
    for id in tested {
        let at = id.0 as usize;
        let (Some(set), Some(told)) = (texts.get(at), told.get_mut(at)) else {
            continue;
        };
        let holds = match set {
            TextSet::Url(lang) => url.map(|url| lang.contains(url.around(&word).as_bytes())),
            TextSet::Literal(_) | TextSet::Prefix(_) | TextSet::Domains(_) | TextSet::Lang(_) => {
                set.contains(&word)
            }
        };
        *told = holds.is_some();
        if holds == Some(true) {
            sets.insert(*id, Ranges::one(0));
        }
    }
    Cells {
        langs: vec![Lang::literal(word.as_bytes())],
        words: vec![word],
        sets,
        told,
    }
}

fn refine(cells: &[Lang], lang: &Lang) -> Result<Vec<Lang>, LangError> {
    let mut refined = Vec::with_capacity(cells.len() + 1);
    for cell in cells {
        let inside = product(cell, lang, Lang::and, Product::And)?;
        if inside.is_empty() {
            refined.push(cell.clone());
            continue;
        }
        let outside = product(cell, lang, Lang::minus, Product::Minus)?;
        refined.push(inside);
        if !outside.is_empty() {
            refined.push(outside);
        }
    }
    if refined.len() > CELL_LIMIT {
        Err(LangError::TooLarge)
    } else {
        Ok(refined)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Product {
    And,
    Minus,
}

/// A product of two languages. The pages of one site mostly have the same policy, and are asked the same, so results are
/// kept.
fn product(
    left: &Lang,
    right: &Lang,
    make: fn(&Lang, &Lang) -> Result<Lang, LangError>,
    which: Product,
) -> Result<Lang, LangError> {
    type Made = FxHashMap<(Product, Lang, Lang), Result<Lang, LangError>>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    let key = (which, left.clone(), right.clone());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = made.get(&key) {
        return known.clone();
    }
    let result = make(left, right);
    if made.len() >= MOST_KEPT {
        made.clear();
    }
    made.insert(key, result.clone());
    result
}

/// How many products are kept.
const MOST_KEPT: usize = 512;

/// The words of a tested set that the question asks about (or a larger set with the same words of the question).
fn within(
    set: &TextSet,
    space: &TextSpace,
    url: Option<&Surroundings>,
    names_left: &mut usize,
) -> Result<Lang, LangError> {
    let lang = match set {
        TextSet::Literal(word) if space.lang.contains(word.as_bytes()) => {
            return Ok(Lang::literal(word.as_bytes()));
        }
        TextSet::Literal(_) => return Ok(Lang::none()),
        TextSet::Prefix(prefix) => Lang::prefix(prefix.as_bytes()),
        TextSet::Domains(domains) => relevant(domains, &space.suffixes, names_left)?,
        TextSet::Lang(lang) => lang.clone(),
        TextSet::Url(lang) => match url {
            Some(url) => lang
                .after(url.before.as_bytes())
                .before(url.after.as_bytes()),
            None => return Err(LangError::Unsupported),
        },
    };
    if lang.is_empty() {
        // A list of unrelated names, of which there may be many: no product is needed.
        return Ok(lang);
    }
    product(&lang, &space.lang, Lang::and, Product::And)
}

/// The names of a list that can concern names at or below the suffixes; they count against what is left.
fn relevant(
    domains: &Domains,
    suffixes: &[String],
    names_left: &mut usize,
) -> Result<Lang, LangError> {
    let concerns = |name: &str| {
        suffixes.is_empty()
            || suffixes
                .iter()
                .any(|suffix| lies_in(name, suffix) || lies_in(suffix, name))
    };
    let mut patterns = Vec::new();
    for entry in domains.entries() {
        if !concerns(&entry.name) {
            continue;
        }
        let name = regex_syntax::escape(&entry.name);
        patterns.push(match (entry.scope, name.is_empty()) {
            (DomainScope::Exact, _) => name,
            (DomainScope::Below | DomainScope::Tree, true) => "(?s-u:.)*".to_owned(),
            (DomainScope::Below, false) => format!(r"(?s-u:.)*\.{name}"),
            (DomainScope::Tree, false) => format!(r"(?:(?s-u:.)*\.)?{name}"),
        });
        if patterns.len() > *names_left {
            return Err(LangError::TooLarge);
        }
    }
    *names_left -= patterns.len();
    if patterns.is_empty() {
        Ok(Lang::none())
    } else {
        Lang::pattern(&patterns.join("|"))
    }
}

/// Whether a name is a domain or lies below it; everything lies in the root.
fn lies_in(name: &str, domain: &str) -> bool {
    domain.is_empty()
        || name
            .strip_suffix(domain)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// What stands around the host in the request's URL, where the question leaves no choice there.
struct Surroundings {
    before: String,
    after: String,
}

impl Surroundings {
    fn of(question: &Question) -> Option<Self> {
        let scheme = only_word(question.texts.get(&Dim::Scheme)?)?;
        let port = question.numbers.get(&Dim::DestinationPort)?.single()?;
        if scheme.is_empty() {
            // CONNECT: the URL is the authority, port included.
            return Some(Self {
                before: String::new(),
                after: format!(":{port}"),
            });
        }
        let path = only_word(question.texts.get(&Dim::Path)?)?;
        let is_default = matches!(
            (scheme.as_str(), port),
            ("http", 80) | ("https", 443) | ("ftp", 21)
        );
        let port = if is_default {
            String::new()
        } else {
            format!(":{port}")
        };
        Some(Self {
            before: format!("{scheme}://"),
            after: format!("{port}{path}"),
        })
    }

    fn around(&self, host: &str) -> String {
        format!("{}{host}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(texts: &[TextSet]) -> BTreeMap<Dim, Vec<TextId>> {
        BTreeMap::from([(Dim::Host, (0u32..).take(texts.len()).map(TextId).collect())])
    }

    #[test]
    fn cells_are_what_the_rules_tell_apart() {
        let texts = [
            TextSet::domain("aws", DomainScope::Tree),
            TextSet::domain("app.chime.aws", DomainScope::Tree),
            TextSet::domain("chime.aws", DomainScope::Exact),
            TextSet::domain("example.com", DomainScope::Tree),
        ];
        let question = Question {
            texts: BTreeMap::from([(Dim::Host, TextSpace::below("chime.aws"))]),
            ..Question::default()
        };
        let cells = cells(&question, &texts, &tested(&texts));
        let host = &cells[&Dim::Host];
        assert_eq!(host.words.len(), 2);
        assert_eq!(host.of(TextId(0)).unwrap(), host.all());
        assert_eq!(host.of(TextId(1)).unwrap().count(), 1);
        assert!(host.of(TextId(2)).unwrap().is_empty());
        assert!(host.of(TextId(3)).unwrap().is_empty());
    }

    #[test]
    fn a_set_that_was_not_looked_at_is_not_told() {
        let texts = [
            TextSet::domain("chime.aws", DomainScope::Tree),
            TextSet::domain("example.com", DomainScope::Tree),
        ];
        for space in [TextSpace::below("chime.aws"), TextSpace::one("a.chime.aws")] {
            let question = Question {
                texts: BTreeMap::from([(Dim::Host, space)]),
                ..Question::default()
            };
            let cells = cells(&question, &texts, &tested(&texts[..1]));
            let host = &cells[&Dim::Host];
            assert_eq!(host.of(TextId(0)).unwrap(), host.all());
            assert_eq!(host.of(TextId(1)), None);
            assert_eq!(host.of(TextId(2)), None);
        }
    }

    #[test]
    fn a_url_of_connect_is_host_and_port() {
        let texts = [
            TextSet::Url(Lang::pattern(r".*\.chime\.aws:443").unwrap()),
            TextSet::Url(Lang::prefix(b"https://")),
        ];
        let question = Question {
            texts: BTreeMap::from([
                (Dim::Host, TextSpace::below("chime.aws")),
                (Dim::Scheme, TextSpace::one("")),
            ]),
            numbers: BTreeMap::from([(Dim::DestinationPort, Ranges::one(443))]),
            ..Question::default()
        };
        let cells = cells(&question, &texts, &tested(&texts));
        let host = &cells[&Dim::Host];
        assert_eq!(host.of(TextId(0)).unwrap(), host.all());
        assert!(host.of(TextId(1)).unwrap().is_empty());
    }
}
