//! In: literals, host patterns, regular expressions. Out: regular languages over bytes with exact set algebra.
//!
//! A [`Lang`] is a complete, minimal, canonically numbered DFA, so that equal languages are equal values, emptiness is a
//! look at one state, and the shortest word is a breadth-first walk. Sizes are bounded: what would grow past
//! `STATE_LIMIT` is a [`LangError`], which callers turn into an unknown.
//!
//! Invariants: state 0 is the start; every state is reachable; byte classes are as coarse as the transitions allow.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;

/// No language has more states than this.
const STATE_LIMIT: usize = 20_000;

/// A regular language over bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lang(Arc<Dfa>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Dfa {
    /// The class of every byte.
    classes: Box<[u8]>,
    /// How many classes.
    width: usize,
    /// `state * width + class` gives the next state.
    next: Box<[u32]>,
    /// Whether a word may end here.
    accepts: Box<[bool]>,
}

/// Why a language could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LangError {
    /// More than `STATE_LIMIT` states.
    #[error("the expression needs more than {STATE_LIMIT} states")]
    TooLarge,
    /// A construct without a finite automaton here.
    #[error("the expression cannot be turned into an automaton")]
    Unsupported,
}

impl Lang {
    /// No word.
    pub fn none() -> Self {
        Self::constant(false)
    }

    /// Every word.
    pub fn any() -> Self {
        Self::constant(true)
    }

    fn constant(accepts: bool) -> Self {
        Self(Arc::new(Dfa {
            classes: vec![0; 256].into(),
            width: 1,
            next: Box::new([0]),
            accepts: Box::new([accepts]),
        }))
    }

    /// This word only.
    pub fn literal(word: &[u8]) -> Self {
        Self::path(word, false)
    }

    /// Every word that starts so.
    pub fn prefix(word: &[u8]) -> Self {
        Self::path(word, true)
    }

    /// Built in its minimal form: words are the commonest languages, and refining a path is quadratic.
    fn path(word: &[u8], open: bool) -> Self {
        // States 0..=len along the word, then the sink. One class per byte of the word, one for all others, numbered by
        // their first bytes.
        let end = word.len();
        let sink = end + 1;
        let mut width = 0u8;
        let mut others = None;
        let mut fresh = || {
            width = width.wrapping_add(1);
            width.wrapping_sub(1)
        };
        let classes: Vec<u8> = (0..=u8::MAX)
            .map(|byte| {
                if word.contains(&byte) {
                    fresh()
                } else {
                    *others.get_or_insert_with(&mut fresh)
                }
            })
            .collect();
        let width = classes.iter().max().map_or(1, |last| *last as usize + 1);
        let mut next = Vec::with_capacity((sink + 1) * width);
        for state in 0..=sink {
            let class = word
                .get(state)
                .and_then(|byte| classes.get(*byte as usize))
                .map(|class| *class as usize);
            let other = if state == end && open { end } else { sink };
            next.extend(
                (0..width).map(|at| index(if Some(at) == class { state + 1 } else { other })),
            );
        }
        let block: Vec<u32> = (0..=sink).map(index).collect();
        Self::canonical(
            &Dfa {
                classes: classes.into(),
                width,
                next: next.into(),
                accepts: (0..=sink).map(|state| state == end).collect(),
            },
            &block,
        )
    }

    /// Host names strictly below a domain (lower case, no outer dots; empty: every host name): labels of letters, digits
    /// and inner hyphens, 1 to 63 long (RFC 1123, 2.1). Their total length is not bounded here.
    pub fn hosts_below(domain: &str) -> Self {
        let label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
        let pattern = if domain.is_empty() {
            format!(r"{label}(?:\.{label})*")
        } else {
            format!(r"(?:{label}\.)+{}", regex_syntax::escape(domain))
        };
        Self::pattern(&pattern).unwrap_or_else(|_| Self::none())
    }

    /// A domain list entry's names, of any bytes: the name, what lies below it, or both.
    pub fn domain(name: &str, itself: bool, below: bool) -> Self {
        let escaped = regex_syntax::escape(name);
        let pattern = match (itself, below, name.is_empty()) {
            (false, false, _) => return Self::none(),
            (true, false, _) => return Self::literal(name.as_bytes()),
            (_, true, true) => "(?s-u:.)*".to_owned(),
            (true, true, false) => format!(r"(?:(?s-u:.)*\.)?{escaped}"),
            (false, true, false) => format!(r"(?s-u:.)*\.{escaped}"),
        };
        Self::pattern(&pattern).unwrap_or_else(|_| Self::none())
    }

    /// A pattern in the syntax of `regex-syntax` that must match the whole word. For patterns of this program's own
    /// making; users' expressions come as [`Hir`].
    pub fn pattern(pattern: &str) -> Result<Self, LangError> {
        let hir = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .unicode(false)
            .build()
            .parse(pattern)
            .map_err(|_| LangError::Unsupported)?;
        Self::matching(&hir)
    }

    /// Words that the expression matches as a whole.
    pub fn matching(hir: &Hir) -> Result<Self, LangError> {
        let anchored = Hir::concat(vec![
            Hir::look(regex_syntax::hir::Look::Start),
            hir.clone(),
            Hir::look(regex_syntax::hir::Look::End),
        ]);
        Self::build(&anchored)
    }

    /// Words in which the expression matches somewhere.
    pub fn containing(hir: &Hir) -> Result<Self, LangError> {
        let anything = || {
            Hir::repetition(regex_syntax::hir::Repetition {
                min: 0,
                max: None,
                greedy: true,
                sub: Box::new(Hir::dot(regex_syntax::hir::Dot::AnyByte)),
            })
        };
        Self::build(&Hir::concat(vec![
            Hir::look(regex_syntax::hir::Look::Start),
            anything(),
            hir.clone(),
            anything(),
            Hir::look(regex_syntax::hir::Look::End),
        ]))
    }

    fn build(hir: &Hir) -> Result<Self, LangError> {
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(4 << 20)),
            )
            .build_from_hir(hir)
            .map_err(|_| LangError::TooLarge)?;
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .unicode_word_boundary(false)
                    .dfa_size_limit(Some(32 << 20))
                    .determinize_size_limit(Some(32 << 20)),
            )
            .build_from_nfa(&nfa)
            .map_err(|error| {
                if error.is_size_limit_exceeded() {
                    LangError::TooLarge
                } else {
                    LangError::Unsupported
                }
            })?;
        let first = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|_| LangError::Unsupported)?;
        let mut ids = HashMap::from([(first, 0u32)]);
        let mut queue = VecDeque::from([first]);
        let (mut rows, mut accepts) = (Vec::new(), Vec::new());
        while let Some(state) = queue.pop_front() {
            let mut row = Vec::with_capacity(256);
            for byte in 0..=u8::MAX {
                let to = dfa.next_state(state, byte);
                let fresh = index(ids.len());
                let id = *ids.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    fresh
                });
                row.push(id);
            }
            if ids.len() > STATE_LIMIT {
                return Err(LangError::TooLarge);
            }
            rows.push(row);
            accepts.push(dfa.is_match_state(dfa.next_eoi_state(state)));
        }
        Ok(Self::from_rows(&rows, accepts))
    }

    /// From a complete table over all 256 bytes.
    fn from_rows(rows: &[Vec<u32>], accepts: Vec<bool>) -> Self {
        let mut columns: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut representatives = Vec::new();
        let classes: Vec<u8> = (0..256usize)
            .map(|byte| {
                let column: Vec<u32> = rows
                    .iter()
                    .map(|row| row.get(byte).copied().unwrap_or(0))
                    .collect();
                let fresh = u8::try_from(columns.len()).unwrap_or(u8::MAX);
                *columns.entry(column).or_insert_with(|| {
                    representatives.push(byte);
                    fresh
                })
            })
            .collect();
        let width = representatives.len();
        let next = rows
            .iter()
            .flat_map(|row| {
                representatives
                    .iter()
                    .map(|byte| row.get(*byte).copied().unwrap_or(0))
            })
            .collect();
        Self::minimal(&Dfa {
            classes: classes.into(),
            width,
            next,
            accepts: accepts.into(),
        })
    }

    /// Moore's partition refinement, then numbering by breadth-first order, then the coarsest byte classes.
    fn minimal(dfa: &Dfa) -> Self {
        let count = dfa.accepts.len();
        let mut block: Vec<u32> = dfa
            .accepts
            .iter()
            .map(|accepts| u32::from(*accepts))
            .collect();
        let mut blocks = 0;
        loop {
            let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
            let refined: Vec<u32> = (0..count)
                .map(|state| {
                    let mut signature = Vec::with_capacity(dfa.width + 1);
                    signature.push(at(&block, state));
                    signature
                        .extend((0..dfa.width).map(|class| at(&block, dfa.step(state, class))));
                    let fresh = index(seen.len());
                    *seen.entry(signature).or_insert(fresh)
                })
                .collect();
            let now = seen.len();
            block = refined;
            if now == blocks {
                break;
            }
            blocks = now;
        }
        Self::canonical(dfa, &block)
    }

    /// Breadth-first numbering of the reachable blocks of equal states, then the coarsest byte classes, in the order of
    /// their first bytes.
    fn canonical(dfa: &Dfa, block: &[u32]) -> Self {
        let mut number: HashMap<u32, u32> = HashMap::from([(at(block, 0), 0)]);
        let mut queue = VecDeque::from([0usize]);
        let (mut next, mut accepts) = (Vec::new(), Vec::new());
        while let Some(state) = queue.pop_front() {
            for class in 0..dfa.width {
                let to = dfa.step(state, class);
                let fresh = index(number.len());
                let id = *number.entry(at(block, to)).or_insert_with(|| {
                    queue.push_back(to);
                    fresh
                });
                next.push(id);
            }
            accepts.push(dfa.accepts.get(state).copied().unwrap_or(false));
        }
        // Classes with equal columns merge; they are numbered by the first byte that has them.
        let states = accepts.len();
        let mut columns: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut kept = Vec::new();
        let mut merged: Vec<Option<u8>> = vec![None; dfa.width];
        let classes: Vec<u8> = dfa
            .classes
            .iter()
            .map(|class| {
                let class = *class as usize;
                if let Some(Some(known)) = merged.get(class) {
                    return *known;
                }
                let column: Vec<u32> = (0..states)
                    .map(|state| at(&next, state * dfa.width + class))
                    .collect();
                let fresh = u8::try_from(columns.len()).unwrap_or(u8::MAX);
                let id = *columns.entry(column).or_insert_with(|| {
                    kept.push(class);
                    fresh
                });
                if let Some(cell) = merged.get_mut(class) {
                    *cell = Some(id);
                }
                id
            })
            .collect();
        let narrow: Vec<u32> = (0..states)
            .flat_map(|state| kept.iter().map(move |class| (state, *class)))
            .map(|(state, class)| at(&next, state * dfa.width + class))
            .collect();
        let narrow_width = kept.len();
        Self(Arc::new(Dfa {
            classes: classes.into(),
            width: narrow_width,
            next: narrow.into(),
            accepts: accepts.into(),
        }))
    }

    fn product(
        &self,
        other: &Self,
        combine: impl Fn(bool, bool) -> bool,
    ) -> Result<Self, LangError> {
        let (left, right) = (&*self.0, &*other.0);
        let mut pairs: HashMap<(u8, u8), u8> = HashMap::new();
        let mut representatives = Vec::new();
        let classes: Vec<u8> = left
            .classes
            .iter()
            .zip(&right.classes)
            .map(|(a, b)| {
                let fresh = u8::try_from(pairs.len()).unwrap_or(u8::MAX);
                *pairs.entry((*a, *b)).or_insert_with(|| {
                    representatives.push((*a as usize, *b as usize));
                    fresh
                })
            })
            .collect();
        let mut ids = HashMap::from([((0usize, 0usize), 0u32)]);
        let mut queue = VecDeque::from([(0usize, 0usize)]);
        let (mut next, mut accepts) = (Vec::new(), Vec::new());
        while let Some((a, b)) = queue.pop_front() {
            for (class_a, class_b) in &representatives {
                let to = (left.step(a, *class_a), right.step(b, *class_b));
                let fresh = index(ids.len());
                let id = *ids.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    fresh
                });
                next.push(id);
            }
            if ids.len() > STATE_LIMIT {
                return Err(LangError::TooLarge);
            }
            accepts.push(combine(left.accepts(a), right.accepts(b)));
        }
        Ok(Self::minimal(&Dfa {
            classes: classes.into(),
            width: representatives.len(),
            next: next.into(),
            accepts: accepts.into(),
        }))
    }

    /// Words in both.
    pub fn and(&self, other: &Self) -> Result<Self, LangError> {
        self.product(other, |a, b| a && b)
    }

    /// Words in either.
    pub fn or(&self, other: &Self) -> Result<Self, LangError> {
        self.product(other, |a, b| a || b)
    }

    /// Words of this one that are not in the other.
    pub fn minus(&self, other: &Self) -> Result<Self, LangError> {
        self.product(other, |a, b| a && !b)
    }

    /// Every other word.
    #[must_use]
    pub fn complement(&self) -> Self {
        let dfa = &*self.0;
        Self(Arc::new(Dfa {
            classes: dfa.classes.clone(),
            width: dfa.width,
            next: dfa.next.clone(),
            accepts: dfa.accepts.iter().map(|accepts| !accepts).collect(),
        }))
    }

    /// No word at all.
    pub fn is_empty(&self) -> bool {
        // INVARIANT: minimal and all states reachable, so the empty language is the one state that rejects.
        matches!(*self.0.accepts, [false])
    }

    /// Whether a word belongs to the language.
    pub fn contains(&self, word: &[u8]) -> bool {
        self.0.accepts(self.0.run(0, word))
    }

    /// The words `w` for which `w` followed by `suffix` is in this language.
    #[must_use]
    pub fn before(&self, suffix: &[u8]) -> Self {
        let dfa = &*self.0;
        let accepts = (0..dfa.accepts.len())
            .map(|state| dfa.accepts(dfa.run(state, suffix)))
            .collect();
        Self::minimal(&Dfa {
            classes: dfa.classes.clone(),
            width: dfa.width,
            next: dfa.next.clone(),
            accepts,
        })
    }

    /// The words `w` for which `prefix` followed by `w` is in this language.
    #[must_use]
    pub fn after(&self, prefix: &[u8]) -> Self {
        let dfa = &*self.0;
        let start = dfa.run(0, prefix);
        // A fresh start state that behaves as the one reached; minimisation drops what is then unreachable.
        let mut next: Vec<u32> = (0..dfa.width)
            .map(|class| index(dfa.step(start, class) + 1))
            .collect();
        next.extend(dfa.next.iter().map(|state| state + 1));
        let mut accepts = vec![dfa.accepts(start)];
        accepts.extend(dfa.accepts.iter());
        Self::minimal(&Dfa {
            classes: dfa.classes.clone(),
            width: dfa.width,
            next: next.into(),
            accepts: accepts.into(),
        })
    }

    /// The shortest word; among the shortest the first in byte order.
    pub fn shortest(&self) -> Option<Vec<u8>> {
        let dfa = &*self.0;
        let mut first_byte = vec![None; dfa.width];
        for (byte, class) in (0..=u8::MAX).zip(dfa.classes.iter()) {
            if let Some(slot) = first_byte.get_mut(*class as usize) {
                slot.get_or_insert(byte);
            }
        }
        let mut order: Vec<(u8, usize)> = first_byte
            .iter()
            .enumerate()
            .filter_map(|(class, byte)| byte.map(|byte| (byte, class)))
            .collect();
        order.sort_unstable();
        let mut from: HashMap<usize, Option<(usize, u8)>> = HashMap::from([(0, None)]);
        let mut queue = VecDeque::from([0usize]);
        while let Some(state) = queue.pop_front() {
            if dfa.accepts(state) {
                let mut word = Vec::new();
                let mut here = state;
                while let Some(Some((before, byte))) = from.get(&here) {
                    word.push(*byte);
                    here = *before;
                }
                word.reverse();
                return Some(word);
            }
            for (byte, class) in &order {
                let to = dfa.step(state, *class);
                from.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    Some((state, *byte))
                });
            }
        }
        None
    }

    /// Whether every word is also in the other language.
    pub fn is_subset(&self, other: &Self) -> Result<bool, LangError> {
        Ok(self.minus(other)?.is_empty())
    }
}

impl Dfa {
    fn step(&self, state: usize, class: usize) -> usize {
        at(&self.next, state * self.width + class) as usize
    }

    fn accepts(&self, state: usize) -> bool {
        self.accepts.get(state).copied().unwrap_or(false)
    }

    fn run(&self, from: usize, word: &[u8]) -> usize {
        word.iter().fold(from, |state, byte| {
            self.step(
                state,
                self.classes.get(*byte as usize).copied().unwrap_or(0) as usize,
            )
        })
    }
}

fn at(values: &[u32], index: usize) -> u32 {
    values.get(index).copied().unwrap_or(0)
}

fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_built_in_their_canonical_form() {
        for word in ["", "a", "aa", "aba", "signal.chime.aws", "\u{0}b\u{0}"] {
            let escaped = regex_syntax::escape(word);
            assert_eq!(
                Lang::literal(word.as_bytes()),
                Lang::pattern(&escaped).unwrap(),
                "{word:?}"
            );
            assert_eq!(
                Lang::prefix(word.as_bytes()),
                Lang::pattern(&format!("{escaped}(?s-u:.)*")).unwrap(),
                "{word:?}..."
            );
        }
    }

    fn re(pattern: &str) -> Lang {
        Lang::pattern(pattern).unwrap()
    }

    #[test]
    fn equal_languages_are_equal_values() {
        assert_eq!(re("a|b"), re("[ab]"));
        assert_eq!(re("(?:ab)*a"), re("a(?:ba)*"));
        assert_eq!(re("a").minus(&re("a")).unwrap(), Lang::none());
        assert_eq!(re("(?s-u:.)*"), Lang::any());
        assert_eq!(Lang::literal(b"abc"), re("abc"));
        assert_eq!(Lang::prefix(b"ppp"), re("ppp(?s-u:.)*"));
        assert_eq!(Lang::none().complement(), Lang::any());
    }

    #[test]
    fn hosts_below_have_well_formed_labels() {
        let hosts = Lang::hosts_below("chime.aws");
        for (name, inside) in [
            ("a.chime.aws", true),
            ("a-b.c1.chime.aws", true),
            ("chime.aws", false),
            (".chime.aws", false),
            ("-a.chime.aws", false),
            ("a..chime.aws", false),
            ("A.chime.aws", false),
            ("xchime.aws", false),
        ] {
            assert_eq!(hosts.contains(name.as_bytes()), inside, "{name}");
        }
        assert!(hosts.contains(format!("{}.chime.aws", "x".repeat(63)).as_bytes()));
        assert!(!hosts.contains(format!("{}.chime.aws", "x".repeat(64)).as_bytes()));
        assert_eq!(hosts.shortest().unwrap(), b"0.chime.aws");
    }

    #[test]
    fn quotients_cut_what_is_known() {
        let url = re("https?://(?s-u:.)*\\.aws:443");
        assert_eq!(
            url.after(b"https://").before(b":443"),
            re("(?s-u:.)*\\.aws")
        );
        assert!(url.after(b"ftp://").is_empty());
    }

    #[test]
    fn containing_searches_and_honours_anchors() {
        let hir = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .unicode(false)
            .build()
            .parse("^a|b$")
            .unwrap();
        let found = Lang::containing(&hir).unwrap();
        assert!(found.contains(b"axx") && found.contains(b"xxb") && !found.contains(b"xax"));
    }
}
