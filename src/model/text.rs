//! In: patterns over words, as dialects write them. Out: sets of words that the evaluator can split and test.
//!
//! Host names are lower case without a trailing dot; lowering normalises them.

use std::sync::Arc;

use super::Lang;

/// A set of words: what a rule's text test accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextSet {
    /// This word only.
    Literal(Box<str>),
    /// Every word that starts so; iptables' `ppp+`.
    Prefix(Box<str>),
    /// Domain names, exact or with what lies below.
    Domains(Arc<Domains>),
    /// A regular language.
    Lang(Lang),
    /// `scheme://host:port/path`, or `host:port` for CONNECT, as one word (`url_regex`): tested on [`super::Dim::Host`]
    /// with the question's scheme, port and path around it.
    Url(Lang),
}

/// How far an entry of a domain list reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainScope {
    /// The name itself.
    Exact,
    /// The names below it, at any depth, without the name.
    Below,
    /// The name and all names below it.
    Tree,
}

/// One entry of a domain list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainEntry {
    /// Lower case, no leading or trailing dot; empty is the root.
    pub name: Box<str>,
    /// How far it reaches.
    pub scope: DomainScope,
}

/// A list of domain names, of any size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Domains {
    entries: Vec<DomainEntry>,
}

impl Domains {
    /// A list in any order; the names are lower-cased and their outer dots removed here.
    pub fn new(entries: impl IntoIterator<Item = (String, DomainScope)>) -> Self {
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|(name, scope)| DomainEntry {
                name: normalized(&name).into(),
                scope,
            })
            .collect();
        entries.sort_unstable();
        entries.dedup();
        Self { entries }
    }

    /// The entries, sorted.
    pub fn entries(&self) -> &[DomainEntry] {
        &self.entries
    }

    /// Whether a name is in the list.
    pub fn contains(&self, name: &str) -> bool {
        let name = normalized(name);
        let has = |candidate: &str, scopes: &[DomainScope]| {
            scopes.iter().any(|scope| {
                self.entries
                    .binary_search_by(|entry| (&*entry.name, entry.scope).cmp(&(candidate, *scope)))
                    .is_ok()
            })
        };
        if has(&name, &[DomainScope::Exact, DomainScope::Tree]) {
            return true;
        }
        parents(&name).any(|parent| has(parent, &[DomainScope::Below, DomainScope::Tree]))
    }
}

/// The names above a name, nearest first, ending with the root (empty).
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name).filter(|name| !name.is_empty()), |name| {
        if name.is_empty() {
            None
        } else {
            Some(name.split_once('.').map_or("", |(_, parent)| parent))
        }
    })
    .skip(1)
}

fn normalized(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

impl TextSet {
    /// One domain entry.
    pub fn domain(name: &str, scope: DomainScope) -> Self {
        Self::Domains(Arc::new(Domains::new([(name.to_owned(), scope)])))
    }

    /// Whether a word is in the set; `None` for a URL pattern, which is not a test of one dimension.
    pub fn contains(&self, word: &str) -> Option<bool> {
        match self {
            Self::Literal(literal) => Some(**literal == *word),
            Self::Prefix(prefix) => Some(word.starts_with(&**prefix)),
            Self::Domains(domains) => Some(domains.contains(word)),
            Self::Lang(lang) => Some(lang.contains(word.as_bytes())),
            Self::Url(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_reach_as_far_as_they_say() {
        let list = Domains::new([
            ("exact.test".to_owned(), DomainScope::Exact),
            (".Tree.Test.".to_owned(), DomainScope::Tree),
            ("below.test".to_owned(), DomainScope::Below),
        ]);
        for (name, inside) in [
            ("exact.test", true),
            ("a.exact.test", false),
            ("tree.test", true),
            ("a.b.tree.test", true),
            ("xtree.test", false),
            ("below.test", false),
            ("a.below.test", true),
        ] {
            assert_eq!(list.contains(name), inside, "{name}");
        }
    }
}
