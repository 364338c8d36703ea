//! In: a lookup that does not pass, or a setting that does not hold. Out: the smallest edit that mends it.

use super::parse::{Config, Entry};
use crate::config::{Blocked, Edit, Fix, Input};
use crate::source::Span;

/// The size that all paths carry without fragments (DNS flag day 2020).
const SIZE: &str = "1232";

/// Edits for one requirement.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    match blocked.setting {
        Some("dns.edns0.upstream-size") => size(config, "edns-buffer-size"),
        Some("dns.udp.max-reply") => {
            let mut fixes = says_no(config, "do-udp");
            fixes.extend(size(config, "max-udp-size"));
            fixes
        }
        Some("dns.tcp") => says_no(config, "do-tcp"),
        Some(_) => Vec::new(),
        None => name(input, config, blocked),
    }
}

/// Sets a size that is set to 1232.
fn size(config: &Config, name: &str) -> Vec<Fix> {
    let Some(value) = config
        .scalars
        .get(name)
        .and_then(|entry| entry.values.first())
    else {
        return Vec::new();
    };
    vec![Fix {
        title: format!("set `{name}: {SIZE}`"),
        edits: vec![Edit {
            span: value.span,
            text: SIZE.to_owned(),
        }],
        safe: true,
    }]
}

/// Turns a `no` into `yes`.
fn says_no(config: &Config, name: &str) -> Vec<Fix> {
    let value = config
        .scalars
        .get(name)
        .filter(|entry| entry.value(0) == "no")
        .and_then(|entry| entry.values.first());
    value
        .map(|value| Fix {
            title: format!("set `{name}: yes`"),
            edits: vec![Edit {
                span: value.span,
                text: "yes".to_owned(),
            }],
            safe: false,
        })
        .into_iter()
        .collect()
}

/// Opens a blocked name: the zone that blocks exactly this domain becomes transparent; below a wider zone the domain
/// gets a transparent zone of its own, which is deeper and therefore wins.
fn name(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    let Some(decided) = blocked.decided_by else {
        return Vec::new();
    };
    let zones = config
        .lists
        .get("local-zone")
        .map_or(&[][..], Vec::as_slice);
    let Some(zone) = zones
        .iter()
        .find(|zone| zone.span == decided && zone.span.file == input.file)
    else {
        return Vec::new();
    };
    let zone_name = normal(zone.value(0));
    let domains: Vec<String> = blocked
        .domains
        .iter()
        .map(|domain| normal(domain.strip_prefix("*.").unwrap_or(domain)))
        .collect();
    let below = |domain: &String| {
        domain.len() > zone_name.len()
            && (zone_name.is_empty() || domain.ends_with(&format!(".{zone_name}")))
    };
    if domains.iter().all(below) && !domains.is_empty() {
        return vec![exempt(zone, &domains)];
    }
    let Some(kind) = zone.values.get(1) else {
        return Vec::new();
    };
    vec![Fix {
        title: format!("make the local zone `{zone_name}` transparent"),
        edits: vec![Edit {
            span: kind.span,
            text: "transparent".to_owned(),
        }],
        safe: false,
    }]
}

fn exempt(zone: &Entry, domains: &[String]) -> Fix {
    let lines: Vec<String> = domains
        .iter()
        .map(|domain| format!("local-zone: \"{domain}.\" transparent\n  "))
        .collect();
    let text = lines.concat();
    Fix {
        title: format!(
            "add `local-zone: \"{}.\" transparent`, which is deeper and so wins",
            domains.join(".\", \"")
        ),
        edits: vec![Edit {
            span: Span {
                end: zone.span.start,
                ..zone.span
            },
            text,
        }],
        safe: false,
    }
}

fn normal(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}
