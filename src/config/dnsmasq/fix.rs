//! In: a lookup or a setting that fails. Out: edits that may mend it, without opening more.
//!
//! A blocked domain gets an exemption of its own, `server=/chime.aws/#`: the longest domain wins, so it goes to the
//! standard servers whatever a shorter one says. A size that is too small becomes 1232.

use super::super::{Blocked, Edit, Fix, Input, Reading};
use super::syntax;
use crate::source::Span;

/// A size that crosses every path without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// The edits for one failure.
pub(super) fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    let lines = syntax::lines(input.file, input.bytes);
    let line_at = |span: Span| lines.iter().find(|line| line.span == span);
    if let Some(name) = blocked.setting {
        return reading
            .settings
            .iter()
            .filter(|setting| setting.name == name)
            .filter_map(|setting| line_at(setting.span?))
            .filter(|line| line.name == "edns-packet-max")
            .map(|line| Fix {
                title: format!("set `edns-packet-max={SIZE}`"),
                edits: vec![Edit {
                    span: line.value_span,
                    text: SIZE.to_owned(),
                }],
                safe: true,
            })
            .collect();
    }
    let Some(line) = blocked.decided_by.and_then(line_at) else {
        return Vec::new();
    };
    if !matches!(line.name.as_str(), "address" | "local" | "server") {
        return Vec::new();
    }
    let domains: Vec<&str> = blocked
        .domains
        .iter()
        .map(|domain| domain.trim_start_matches("*."))
        .collect();
    if domains.is_empty() {
        return Vec::new();
    }
    let blocked_ones: Vec<String> = line
        .value
        .as_deref()
        .unwrap_or_default()
        .split('/')
        .map(|domain| domain.trim_start_matches(['*', '.']).to_ascii_lowercase())
        .collect();
    // An exemption for the very domain, or for one above it, would lose.
    if domains.iter().any(|domain| {
        blocked_ones
            .iter()
            .any(|blocked| is_within(blocked, domain))
    }) {
        return Vec::new();
    }
    let text: String = domains
        .iter()
        .map(|domain| format!("server=/{domain}/#\n"))
        .collect::<Vec<_>>()
        .concat();
    let start = Span {
        end: line.span.start,
        ..line.span
    };
    vec![Fix {
        title: format!(
            "add `server=/{}/#` above it",
            domains.join("/#`, `server=/")
        ),
        edits: vec![Edit { span: start, text }],
        safe: true,
    }]
}

/// At or below a domain.
fn is_within(name: &str, domain: &str) -> bool {
    !name.is_empty()
        && (name == domain
            || name
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemption_must_be_longer_than_what_it_exempts_from() {
        assert!(is_within("chime.aws", "chime.aws"));
        assert!(is_within("x.chime.aws", "chime.aws"));
        assert!(!is_within("aws", "chime.aws"));
    }
}
