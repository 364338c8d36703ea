//! In: a lookup that does not pass. Out: an exception in `user_rules`.

use super::super::{Blocked, Edit, Fix, Input};
use super::parse::Config;
use crate::source::Span;

/// An important exception comes before every other rule.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    let list = config
        .tree
        .as_ref()
        .map_or(&[][..], |tree| tree.items(&["user_rules"]));
    let first = list.first().filter(|first| first.span.file == input.file);
    let (Some(first), None, false) = (first, blocked.setting, blocked.domains.is_empty()) else {
        return Vec::new();
    };
    let line_start = input
        .bytes
        .get(..first.span.start as usize)
        .and_then(|before| memchr::memrchr(b'\n', before))
        .map_or(0, |at| at + 1);
    let lead = input
        .bytes
        .get(line_start..first.span.start as usize)
        .unwrap_or_default();
    // A block list, one rule a line.
    if lead.trim_ascii() != b"-" {
        return Vec::new();
    }
    let lead = String::from_utf8_lossy(lead);
    let rules: Vec<String> = blocked
        .domains
        .iter()
        .map(|domain| format!("@@||{}^$important", domain.trim_start_matches("*.")))
        .collect();
    let text: Vec<String> = rules
        .iter()
        .map(|rule| format!("{lead}'{rule}'\n"))
        .collect();
    vec![Fix {
        title: format!("add the rule `{}`", rules.join("`, `")),
        edits: vec![Edit {
            span: Span::new(input.file, line_start, line_start),
            text: text.concat(),
        }],
        safe: false,
    }]
}
