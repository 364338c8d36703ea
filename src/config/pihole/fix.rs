//! In: a lookup or a setting that fails. Out: edits of `misc.dnsmasq_lines` that may mend it.

use super::super::{Blocked, Edit, Fix};
use super::parse::Config;
use crate::source::Span;

/// A size that crosses every path without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// The edits for one failure: an exemption in front of the line that blocks, or a size.
pub(super) fn fix(config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if blocked.setting.is_some() {
        return config
            .lines
            .iter()
            .filter(|line| line.value.starts_with("edns-packet-max"))
            .map(|line| Fix {
                title: format!("set `edns-packet-max={SIZE}`"),
                edits: vec![Edit {
                    span: line.span,
                    text: format!("\"edns-packet-max={SIZE}\""),
                }],
                safe: true,
            })
            .collect();
    }
    let line = config.lines.iter().find(|line| {
        let blocks = ["address=", "local=", "server="];
        Some(line.span) == blocked.decided_by
            && blocks.iter().any(|option| line.value.starts_with(option))
    });
    let Some(line) = line.filter(|_| !blocked.domains.is_empty()) else {
        return Vec::new();
    };
    let exemptions: Vec<String> = blocked
        .domains
        .iter()
        .map(|domain| format!("server=/{}/#", domain.trim_start_matches("*.")))
        .collect();
    let quoted: Vec<String> = exemptions
        .iter()
        .map(|one| format!("\"{one}\", "))
        .collect();
    vec![Fix {
        title: format!("add `{}` in front of it", exemptions.join("`, `")),
        edits: vec![Edit {
            span: Span {
                end: line.span.start,
                ..line.span
            },
            text: quoted.concat(),
        }],
        safe: true,
    }]
}
