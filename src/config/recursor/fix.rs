//! In: a setting that does not hold. Out: the size to set.

use super::super::{Blocked, Edit, Fix, Input};
use super::parse::Config;

/// A size that crosses every path without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// The edits for one failure: a requirement asks for both sizes, so both are set where both are written.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if !matches!(
        blocked.setting,
        Some("dns.edns0.upstream-size" | "dns.udp.max-reply")
    ) {
        return Vec::new();
    }
    let sizes: Vec<_> = ["edns-outgoing-bufsize", "udp-truncation-threshold"]
        .iter()
        .filter_map(|name| config.get(name)?.words.first().cloned())
        .filter(|word| word.span.file == input.file && word.value != SIZE)
        .collect();
    if sizes.is_empty() {
        return Vec::new();
    }
    let mut edits: Vec<Edit> = sizes
        .iter()
        .map(|word| Edit {
            span: word.span,
            text: SIZE.to_owned(),
        })
        .collect();
    edits.sort_by_key(|edit| edit.span.start);
    vec![Fix {
        title: format!("set the size to {SIZE}"),
        edits,
        safe: true,
    }]
}
