//! In: a lookup or a setting that fails. Out: edits that may mend it.
//!
//! The longest zone wins, so names that a block stops get a block of their own, with the same forwarders.

use super::super::{Blocked, Edit, Fix, Input};
use super::parse::{Block, Config};
use super::zones::servers;
use crate::source::Span;

/// A size that crosses every path without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// The edits for one failure.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if blocked.setting.is_some() {
        return config
            .blocks
            .iter()
            .flat_map(|block| &block.plugins)
            .filter(|plugin| plugin.name.text == "bufsize" && plugin.span.file == input.file)
            .map(|plugin| Fix {
                title: format!("set `bufsize {SIZE}`"),
                edits: vec![Edit {
                    span: plugin.span,
                    text: format!("bufsize {SIZE}"),
                }],
                safe: true,
            })
            .collect();
    }
    let Some(block) = blocked
        .decided_by
        .and_then(|span| config.blocks.iter().find(|block| covers(block, span)))
    else {
        return Vec::new();
    };
    let forward = block
        .plugins
        .iter()
        .find(|plugin| plugin.name.text == "forward")
        .filter(|plugin| plugin.args.first().is_some_and(|from| from.text == "."));
    let Some(forward) = forward else {
        return Vec::new();
    };
    let domains: Vec<&str> = blocked
        .domains
        .iter()
        .map(|domain| domain.trim_start_matches("*."))
        .collect();
    let deeper = servers(block).iter().all(|server| {
        server.as_ref().is_some_and(|server| {
            domains
                .iter()
                .all(|domain| !is_within(&server.zone, domain))
        })
    });
    let port = servers(block)
        .into_iter()
        .flatten()
        .next()
        .map(|server| server.port);
    let (Some(port), true, false) = (port, deeper, domains.is_empty()) else {
        return Vec::new();
    };
    let zones: Vec<String> = domains
        .iter()
        .map(|domain| format!("{domain}:{port}"))
        .collect();
    let servers: Vec<&str> = forward.args.iter().map(|word| word.text.as_str()).collect();
    let zones = zones.join(" ");
    vec![Fix {
        title: format!("give `{}` a block of its own", domains.join("`, `")),
        edits: vec![Edit {
            span: Span {
                end: block.start.start,
                ..block.start
            },
            text: format!("{zones} {{\n    forward {}\n}}\n", servers.join(" ")),
        }],
        safe: false,
    }]
}

fn covers(block: &Block, span: Span) -> bool {
    block.plugins.iter().any(|plugin| {
        plugin.span.file == span.file
            && plugin.span.start <= span.start
            && span.end <= plugin.span.end
    })
}

/// At or below a domain.
fn is_within(name: &str, domain: &str) -> bool {
    !name.is_empty()
        && (name == domain
            || name
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.')))
}
