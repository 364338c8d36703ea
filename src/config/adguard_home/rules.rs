//! In: a line of a filter list. Out: which names it takes, and what it does with them.
//!
//! The syntax of AdGuard's DNS filters: `||NAME^` a name with those below it, `|` and `^` the ends, `*` anything, `/.../` an
//! expression, a bare name only itself, `@@` an exception, `$important`, `$dnstype`. Modifiers that are not modelled leave
//! open whether the rule takes a name of its pattern.

use std::net::IpAddr;

use super::super::dns::{self, TYPE_A, TYPE_AAAA, query_type};
use crate::model::{Dim, DomainScope, Gate, Guard, Lang, Test, TextSet};

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// A pattern that blocks or exempts.
    Pattern(Pattern),
    /// Names with an address, as in a hosts file; without one they are blocked.
    Hosts(Option<IpAddr>, Vec<String>),
}

/// A pattern with its modifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// It exempts.
    pub(super) allows: bool,
    /// It comes before those that are not.
    pub(super) is_important: bool,
    names: Names,
    /// `$dnstype`: whether these types are left out, and which.
    types: Option<(bool, Vec<u128>)>,
    /// A modifier that is not modelled.
    pub(super) is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    Tree(String),
    Expression(String),
}

/// Reads a line; nothing for comments and rules for pages.
pub(super) fn rule(line: &str) -> Option<Rule> {
    let line = line.trim();
    if line.is_empty()
        || line.starts_with(['!', '#'])
        || line.contains("##")
        || line.contains("#@#")
    {
        return None;
    }
    let hosts = line.split('#').next().unwrap_or_default();
    let mut words = hosts.split_ascii_whitespace();
    let first = words.next()?;
    if let Ok(address) = first.parse::<IpAddr>() {
        return Some(Rule::Hosts(Some(address), words.map(normal).collect()));
    }
    if is_name(first) && first.contains('.') && words.next().is_none() {
        return Some(Rule::Hosts(None, vec![normal(first)]));
    }
    let (allows, rest) = match line.strip_prefix("@@") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (pattern, modifiers) = parts(rest);
    let mut read = Pattern {
        allows,
        is_important: false,
        names: names(pattern),
        types: None,
        is_open: false,
    };
    for modifier in modifiers.split(',').filter(|modifier| !modifier.is_empty()) {
        match modifier.split_once('=') {
            None if modifier == "important" => read.is_important = true,
            Some(("dnstype", types)) => read.types = Some(types_of(types)),
            _ => read.is_open = true,
        }
    }
    Some(Rule::Pattern(read))
}

/// The pattern and its modifiers; a `$` inside an expression belongs to it.
fn parts(rest: &str) -> (&str, &str) {
    let from = match rest.strip_prefix('/').and_then(|inner| inner.rfind('/')) {
        Some(end) => end + 1,
        None => 0,
    };
    match rest.get(from..).and_then(|tail| tail.rfind('$')) {
        Some(at) => {
            let (pattern, modifiers) = rest.split_at(from + at);
            (pattern, modifiers.trim_start_matches('$'))
        }
        None => (rest, ""),
    }
}

fn types_of(list: &str) -> (bool, Vec<u128>) {
    let without = list.starts_with('~');
    let types = list
        .split('|')
        .filter_map(
            |word| match word.trim_start_matches('~').to_ascii_uppercase().as_str() {
                "A" => Some(TYPE_A),
                "AAAA" => Some(TYPE_AAAA),
                _ => None,
            },
        )
        .collect();
    (without, types)
}

fn names(pattern: &str) -> Names {
    if let Some(expression) = pattern.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
        return Names::Expression(expression.to_owned());
    }
    let bare = pattern.trim_end_matches('|');
    if let Some(name) = bare
        .strip_prefix("||")
        .and_then(|rest| rest.strip_suffix('^'))
        && is_name(name)
    {
        return Names::Tree(normal(name));
    }
    let mut expression = String::new();
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix("||") {
        expression.push_str(r"^(?:.*\.)?");
        rest = after;
    } else if let Some(after) = rest.strip_prefix('|') {
        expression.push('^');
        rest = after;
    }
    for c in rest.chars() {
        match c {
            '*' => expression.push_str(".*"),
            // Nothing in a name is a separator, so only its end is one.
            '^' | '|' => expression.push('$'),
            c => expression.push_str(&regex_syntax::escape(
                c.to_ascii_lowercase().encode_utf8(&mut [0; 4]),
            )),
        }
    }
    Names::Expression(expression)
}

fn normal(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl Pattern {
    /// The lookups that it takes, by the name asked for or by the target of an alias; `None` where that is no language
    /// that can be built.
    pub(super) fn guard(&self, gate: &mut Gate, dim: Dim) -> Option<Guard> {
        let names = match &self.names {
            Names::Tree(name) if dim == Dim::Host => dns::host(gate, name, DomainScope::Tree),
            Names::Tree(name) => dns::alias(gate, name, DomainScope::Tree),
            Names::Expression(expression) => {
                let hir = regex_syntax::ParserBuilder::new()
                    .utf8(false)
                    .unicode(false)
                    .case_insensitive(true)
                    .build()
                    .parse(expression)
                    .ok()?;
                let text = gate.text(TextSet::Lang(Lang::containing(&hir).ok()?));
                Guard::Is(Test::Text(dim, text))
            }
        };
        // An answer without an alias has the empty word there, which no rule means.
        let names = if dim == Dim::Alias {
            let none = gate.text(TextSet::Literal("".into()));
            Guard::All(vec![names, Guard::Is(Test::Text(dim, none)).negated()])
        } else {
            names
        };
        Some(match &self.types {
            Some((without, types)) => Guard::All(vec![
                names,
                query_type(types.iter().copied()).negated_if(*without),
            ]),
            None => names,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Layer;

    fn takes(line: &str, name: &str) -> bool {
        let Some(Rule::Pattern(pattern)) = rule(line) else {
            panic!("{line}")
        };
        let mut gate = Gate::new("x", Layer::Lookup);
        pattern.guard(&mut gate, Dim::Host).unwrap();
        gate.texts[0].contains(name).unwrap()
    }

    #[test]
    fn patterns_take_what_they_mean() {
        assert!(takes("||chime.aws^", "a.chime.aws"));
        assert!(!takes("||chime.aws^", "xchime.aws"));
        assert!(takes("||chime.*^", "a.chime.aws"));
        assert!(takes("||chime", "a.chime.aws"));
        assert!(takes("|chime.", "chime.aws"));
        assert!(!takes("|chime.", "a.chime.aws"));
        assert!(takes("chime*aws^", "x.chime.y.aws"));
        assert!(takes("/^a[.]chime/", "a.chime.aws"));
        assert!(!takes("||chime.aws^$dnstype=A", "b.aws"));
    }

    #[test]
    fn modifiers_and_other_lines_are_told_apart() {
        let pattern = |line: &str| match rule(line) {
            Some(Rule::Pattern(pattern)) => pattern,
            Some(Rule::Hosts(..)) | None => panic!("{line}"),
        };
        assert!(pattern("@@||a.example^$important").allows);
        assert!(pattern("@@||a.example^$important").is_important);
        assert!(pattern("||a.example^$client=1.2.3.4").is_open);
        assert!(!pattern("/a$/").is_open);
        assert_eq!(rule("! x"), None);
        assert_eq!(rule("# x"), None);
        assert_eq!(
            rule("0.0.0.0 a.example B.example # c"),
            Some(Rule::Hosts(
                "0.0.0.0".parse().ok(),
                vec!["a.example".to_owned(), "b.example".to_owned()]
            ))
        );
        assert_eq!(
            rule("a.example"),
            Some(Rule::Hosts(None, vec!["a.example".to_owned()]))
        );
    }
}
