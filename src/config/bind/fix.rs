//! In: a lookup or a setting that fails. Out: edits that may mend it, without opening more.
//!
//! EDNS0: the `edns no` of the server that is asked goes, a size that is too small becomes 1232. Names: an exemption in
//! the filter's own `except-from`; under a zone of one's own, which stays, a deeper static-stub zone. Lookups in it go to
//! the forwarders, as all others do (seen with 9.18; a deeper zone of type forward would change nothing), so it is offered
//! only where there are forwarders.

use super::super::{Blocked, Edit, Fix, Input, Reading, Setting, SettingValue};
use super::syntax::{self, Block, Statement};
use crate::source::Span;

/// A size that crosses every path without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// The edits for one failure.
pub(super) fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    let tree = syntax::parse(input.file, input.bytes);
    if let Some(name) = blocked.setting {
        return reading
            .settings
            .iter()
            .filter(|setting| setting.name == name)
            .filter_map(|setting| for_setting(&tree.statements, setting))
            .collect();
    }
    let Some(span) = blocked.decided_by.filter(|span| span.file == input.file) else {
        return Vec::new();
    };
    match clause_at(&tree.statements, span) {
        Some(clause) if clause.keyword().starts_with("deny-answer-") => {
            exempt(clause, blocked).into_iter().collect()
        }
        Some(clause) if clause.keyword() == "zone" => deeper(&tree.statements, clause, blocked)
            .into_iter()
            .collect(),
        Some(_) | None => Vec::new(),
    }
}

fn for_setting(statements: &[Statement], setting: &Setting) -> Option<Fix> {
    let span = setting.span?;
    let clause = clause_at(statements, span)?;
    match (setting.name, clause.keyword().as_str()) {
        ("dns.edns0", "edns") => {
            let word = clause.word(1)?;
            Some(Fix {
                title: "set `edns yes`".to_owned(),
                edits: vec![Edit {
                    span: word.span,
                    text: "yes".to_owned(),
                }],
                safe: true,
            })
        }
        (_, name @ ("edns-udp-size" | "max-udp-size" | "nocookie-udp-size"))
            if matches!(setting.value, SettingValue::Number(_)) =>
        {
            let word = clause.word(1)?;
            Some(Fix {
                title: format!("set `{name} {SIZE}`"),
                edits: vec![Edit {
                    span: word.span,
                    text: SIZE.to_owned(),
                }],
                safe: true,
            })
        }
        _ => None,
    }
}

/// `except-from` takes names at and below it out of the filter.
fn exempt(clause: &Statement, blocked: &Blocked<'_>) -> Option<Fix> {
    let names: Vec<String> = blocked
        .domains
        .iter()
        .map(|domain| domain.trim_start_matches("*.").to_owned())
        .collect();
    if names.is_empty() {
        return None;
    }
    let list = format!("\"{}\"; ", names.join("\"; \""));
    let edit = match clause.blocks().nth(1) {
        Some(block) => Edit {
            span: before_brace(block),
            text: list,
        },
        None => Edit {
            span: Span {
                start: clause.span.end,
                ..clause.span
            },
            text: format!(" except-from {{ {list}}}"),
        },
    };
    Some(Fix {
        title: format!(
            "exempt `{}` from `{}`",
            names.join("`, `"),
            clause.keyword()
        ),
        edits: vec![edit],
        safe: true,
    })
}

/// A static-stub zone for each domain, ahead of the zone that blocks them.
fn deeper(statements: &[Statement], zone: &Statement, blocked: &Blocked<'_>) -> Option<Fix> {
    let outer = zone.word(1)?.text.trim_matches('.').to_ascii_lowercase();
    let forwarder = first_forwarder(statements, zone.span)?;
    let domains: Vec<&str> = blocked
        .domains
        .iter()
        .map(|domain| domain.trim_start_matches("*."))
        .collect();
    let is_below = |domain: &&str| {
        domain
            .strip_suffix(outer.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    };
    if domains.is_empty() || !domains.iter().all(is_below) {
        return None;
    }
    let lines: Vec<String> = domains
        .iter()
        .map(|domain| {
            format!(
                "zone \"{domain}\" {{ type static-stub; server-addresses {{ {forwarder}; }}; }};"
            )
        })
        .collect();
    Some(Fix {
        title: format!(
            "add `{}` above it: the deeper zone wins, and lookups in it go to the forwarders",
            lines.join(" ")
        ),
        edits: vec![Edit {
            span: Span {
                end: zone.span.start,
                ..zone.span
            },
            text: lines.concat() + "\n",
        }],
        safe: true,
    })
}

/// The first forwarder of the view around a place, or else of `options`.
fn first_forwarder(statements: &[Statement], place: Span) -> Option<String> {
    let around = |statement: &&Statement| {
        statement.keyword() == "view"
            && statement.span.start <= place.start
            && place.end <= statement.span.end
    };
    let forwarders = |scope: &Statement| {
        scope
            .block()?
            .statements
            .iter()
            .find(|clause| clause.keyword() == "forwarders")
            .map(|clause| {
                let first = clause.block()?.statements.first()?.word(0)?;
                Some(first.text.clone())
            })
    };
    let options = statements
        .iter()
        .find(|statement| statement.keyword() == "options");
    statements
        .iter()
        .find(around)
        .and_then(forwarders)
        .or_else(|| options.and_then(forwarders))
        .flatten()
}

fn before_brace(block: &Block) -> Span {
    let at = block.span.end.saturating_sub(1);
    Span {
        start: at,
        end: at,
        ..block.span
    }
}

/// The innermost statement with this very span.
fn clause_at(statements: &[Statement], span: Span) -> Option<&Statement> {
    let mut level = statements;
    loop {
        let next = level.iter().find(|statement| {
            statement.span.start <= span.start && span.end <= statement.span.end
        })?;
        if next.span == span {
            return Some(next);
        }
        level = next
            .blocks()
            .find(|block| block.span.start <= span.start && span.end <= block.span.end)
            .map(|block| block.statements.as_slice())?;
    }
}
