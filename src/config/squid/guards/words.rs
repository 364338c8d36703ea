//! In: the values of an ACL. Out: tests of single dimensions.

use super::super::acl::{Acl, Pattern};
use super::{never, one_of_any};
use crate::model::{Dim, DomainScope, Domains, Gate, Guard, Lang, Range, Ranges, Test, TextSet};

/// A test of a word dimension.
pub(super) fn text(gate: &mut Gate, dim: Dim, lang: Lang) -> Guard {
    let id = gate.text(TextSet::Lang(lang));
    Guard::Is(Test::Text(dim, id))
}

/// A method; names are compared in any case.
pub(in crate::config::squid) fn method(gate: &mut Gate, word: &str) -> Guard {
    let id = gate.text(TextSet::Literal(word.to_ascii_uppercase().into()));
    Guard::Is(Test::Text(Dim::Method, id))
}

/// `ACLProtocolData`: a CONNECT request has no scheme.
pub(super) fn protocols(gate: &mut Gate, acl: &Acl) -> Guard {
    const KNOWN: &[&str] = &[
        "http",
        "ftp",
        "https",
        "coap",
        "coaps",
        "gopher",
        "wais",
        "cache_object",
        "icp",
        "htcp",
        "urn",
        "whois",
        "icy",
        "tls",
        "ssl",
    ];
    let tests = acl.words.iter().filter_map(|word| {
        let lower = word.value.to_ascii_lowercase();
        let scheme = if lower == "none" { "" } else { &lower };
        (scheme.is_empty() || KNOWN.contains(&scheme)).then(|| {
            let id = gate.text(TextSet::Literal(scheme.into()));
            Guard::Is(Test::Text(Dim::Scheme, id))
        })
    });
    one_of_any(tests.collect()).unwrap_or_else(never)
}

/// Minutes of the week.
pub(super) fn minutes(acl: &Acl) -> Ranges {
    let ranges = acl.times.iter().flat_map(|time| {
        (0..7u32)
            .filter(|day| time.days & (1 << day) != 0)
            .filter_map(|day| {
                let midnight = u128::from(day) * 1440;
                let stop = u128::from(time.stop).min(1439);
                Range::new(midnight + u128::from(time.start), midnight + stop)
            })
    });
    Ranges::from_unsorted(ranges.collect())
}

/// `matchDomainName`: a leading dot reaches the name and all below it; a dot at the end, a second leading dot or nothing
/// else never matches a host.
pub(super) fn domain_test(gate: &mut Gate, dim: Dim, acl: &Acl) -> Guard {
    let entries = acl.words.iter().filter_map(|word| {
        let (name, scope) = match word.value.strip_prefix('.') {
            Some(name) => (name, DomainScope::Tree),
            None => (word.value.as_str(), DomainScope::Exact),
        };
        let reachable = !name.is_empty() && !name.starts_with('.') && !name.ends_with('.');
        reachable.then(|| (name.to_owned(), scope))
    });
    let id = gate.text(TextSet::Domains(std::sync::Arc::new(Domains::new(entries))));
    Guard::Is(Test::Text(dim, id))
}

/// `removeUnnecessaryWildcards` (src/acl/RegexData.cc), where it changes what is compiled: `.*+x` has nothing to repeat
/// once its start is cut off.
pub(super) fn stripped(pattern: &Pattern) -> &str {
    let text = pattern.text.as_str();
    let mut rest = text.strip_prefix("^.*").unwrap_or(text);
    while let Some(shorter) = rest.strip_prefix(".*") {
        rest = shorter;
    }
    if rest.is_empty() { text } else { rest }
}
