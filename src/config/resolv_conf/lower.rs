//! In: what libc ends up with. Out: the reading: a gate for lookups, EDNS0 settings, and a finding for every line that
//! libc drops without a word.

use std::net::IpAddr;

use super::parse::{Config, Dropped};
use super::syntax::{Choice, Ignored, Libc};
use crate::config::dns::{
    self, Behaviour, Edns0, Held, Hop, NAMES, PLAIN_UDP, TYPE_AAAA, UPSTREAM,
};
use crate::config::{DialectFinding, Edit, Facts, Fix, Reading};
use crate::model::{ClientGroup, Denial, Effect, Gate, Layer, Ranges, Rule, address};
use crate::source::{Span, Spanned};

/// The size in glibc's OPT record, a constant (`RESOLV_EDNS_BUFFER_SIZE`).
const GLIBC_SIZE: u64 = 1200;
/// Names of services have two dots and more (`a.example.com`): from three on they meet the search list first.
const CAPTURING_NDOTS: u32 = 3;

/// Puts everything into a reading.
pub(super) fn lower(config: &Config, libc: Option<Libc>, facts: &Facts) -> Reading {
    let mut reading = Reading {
        statements: config.statements,
        understood: config.understood,
        role: Some("stub".to_owned()),
        ..Reading::default()
    };
    let behaviour = match libc {
        Some(Libc::Glibc) => glibc(config, facts, &mut reading.assumptions),
        Some(Libc::Musl) => musl(config, facts),
        None => other(config, facts.get("libc").unwrap_or_default()),
    };
    behaviour.report(&mut reading);
    reading.gates.push(gate(config, libc, facts));
    dropped(config, &mut reading.findings);
    no_nameserver(config, &mut reading.findings);
    search_captures(config, &mut reading.findings);
    reading
}

fn glibc(config: &Config, facts: &Facts, assumptions: &mut Vec<String>) -> Behaviour {
    if facts.get("libc").is_none() {
        assumptions.push("resolv.conf is read by glibc (fact `libc`)".to_owned());
    }
    let clears = version(facts, "glibc.version").map(|version| version >= (2, 41));
    let mut edns0 = match (config.edns0, config.cleared) {
        (Some(_), Some(clear)) if clears == Some(true) => Held::set(
            Edns0::Never,
            clear,
            "`-edns0` clears the option since glibc 2.41",
        ),
        (Some(_), Some(clear)) if clears.is_none() => {
            Held::unknown(Some(clear), "the fact `glibc.version`")
        }
        (Some(span), _) => Held::set(Edns0::Always, span, "the option `edns0` switches it on"),
        (None, _) => Held::default_is(Edns0::Never, "glibc adds it only with `options edns0`"),
    };
    let on = edns0.value == dns::Known::Is(Edns0::Always);
    let off = edns0.value == dns::Known::Is(Edns0::Never);
    if !on {
        edns0.ignored.clone_from(&config.looks_like_edns0);
    }
    let size = |plain: u64| {
        if on {
            Held::default_is(GLIBC_SIZE, "glibc's own size, which no option changes")
        } else if off {
            Held::default_is(plain, "without EDNS0 a UDP reply has at most 512 bytes")
        } else {
            Held::unknown(config.cleared, "the fact `glibc.version`")
        }
    };
    Behaviour {
        upstream_sizes: if on {
            Held::default_is(
                vec![GLIBC_SIZE],
                "glibc's own size, which no option changes",
            )
        } else if off {
            Held::moot(None, "no query carries EDNS0")
        } else {
            Held::unknown(config.cleared, "the fact `glibc.version`")
        },
        client_size: Held::moot(None, "a stub has no clients"),
        max_reply: match config.tcp_only {
            Some(span) => Held::set(0, span, "`use-vc` asks over TCP only"),
            None => size(PLAIN_UDP),
        },
        tcp: Held::default_is(true, "glibc asks again over TCP when a reply is truncated"),
        nameservers: nameservers(config),
        sizes_are_settable: false,
        edns0,
    }
}

fn musl(config: &Config, facts: &Facts) -> Behaviour {
    let mut edns0 = Held::default_is(Edns0::Never, "musl has no EDNS0 and no option for it");
    edns0.ignored.clone_from(&config.looks_like_edns0);
    Behaviour {
        edns0,
        upstream_sizes: Held::moot(None, "musl has no EDNS0"),
        client_size: Held::moot(None, "a stub has no clients"),
        max_reply: Held::default_is(PLAIN_UDP, "musl has no EDNS0"),
        tcp: match version_of_three(facts, "musl.version") {
            Some(version) if version < (1, 2, 4) => Held::default_is(
                false,
                "musl before 1.2.4 never asks over TCP: a truncated reply is a failed lookup",
            ),
            Some(_) => Held::default_is(true, "musl asks over TCP since 1.2.4"),
            None => Held::unknown(None, "the fact `musl.version`"),
        },
        nameservers: nameservers(config),
        sizes_are_settable: false,
    }
}

fn other(config: &Config, libc: &str) -> Behaviour {
    let missing = format!("a model of the C library `{libc}` (only glibc and musl are known)");
    Behaviour {
        edns0: Held::unknown(config.edns0, missing.clone()),
        upstream_sizes: Held::unknown(None, missing.clone()),
        client_size: Held::moot(None, "a stub has no clients"),
        max_reply: Held::unknown(None, missing.clone()),
        tcp: Held::unknown(None, missing),
        nameservers: nameservers(config),
        sizes_are_settable: false,
    }
}

fn nameservers(config: &Config) -> Held<u64> {
    match config.nameservers.first() {
        Some(first) => Held::set(
            config.nameservers.len() as u64,
            first.span,
            "only the first three nameservers are asked",
        ),
        None => Held {
            ignored: config
                .dropped
                .iter()
                .filter(|dropped| dropped.value.is_server())
                .map(|dropped| Spanned::new(dropped.value.why(), dropped.span))
                .collect(),
            ..Held::default_is(0, "no line names a usable one, so 127.0.0.1 is asked")
        },
    }
}

/// Lookups: the stub answers nothing by itself, but for `no-aaaa`.
fn gate(config: &Config, libc: Option<Libc>, facts: &Facts) -> Gate {
    let mut gate = Gate::new("stub", Layer::Lookup);
    // Only the machine itself asks its own stub.
    gate.groups.push(ClientGroup {
        name: "this machine".to_owned(),
        sources: Ranges::between(
            address(IpAddr::from([127, 0, 0, 0])),
            address(IpAddr::from([127, 255, 255, 255])),
        ),
        interface: None,
        span: None,
    });
    let names = gate.chain(NAMES);
    // glibc NEWS: `no-aaaa` is new in 2.36.
    let knows = version(facts, "glibc.version").is_none_or(|version| version >= (2, 36));
    if let Some(span) = config.no_aaaa
        && libc == Some(Libc::Glibc)
        && knows
    {
        gate.rule(
            names,
            Rule {
                guard: dns::query_type([TYPE_AAAA]),
                step: dns::deny(Denial::NoData),
                span,
            },
        );
        if facts.get("glibc.version").is_none() {
            gate.assumptions
                .push("glibc is 2.36 or newer, which knows `no-aaaa`".to_owned());
        }
    }
    let upstream = gate.chain(UPSTREAM);
    let first = config.nameservers.first();
    dns::way(
        &mut gate,
        vec![
            Hop::new(
                NAMES,
                names,
                Effect::Allow,
                "the stub answers nothing by itself",
            ),
            Hop {
                name: UPSTREAM,
                chain: upstream,
                fallback: Effect::Allow,
                span: first.map(|server| server.span),
                text: first.map_or_else(
                    || "no usable nameserver: 127.0.0.1 is asked".to_owned(),
                    |server| format!("{} is asked", server.value),
                ),
            },
        ],
    );
    gate
}

fn dropped(config: &Config, findings: &mut Vec<DialectFinding>) {
    for dropped in &config.dropped {
        let why = dropped.value.why();
        let about_server = dropped.value.is_server();
        let id = if about_server {
            "resolv-conf/nameserver-ignored"
        } else if matches!(dropped.value, Dropped::Option(Choice::Unknown)) {
            "resolv-conf/unknown-option"
        } else {
            "resolv-conf/ignored-line"
        };
        findings.push(finding(
            id,
            if about_server {
                "This nameserver is never asked: libc drops the line without a word"
            } else {
                "This has no effect: libc skips it without a word"
            },
            Spanned::new(why, dropped.span),
            mend(&dropped.value, dropped.span),
        ));
    }
    for beyond in &config.beyond {
        findings.push(finding(
            "resolv-conf/nameserver-ignored",
            "This nameserver is never asked: libc uses the first three only",
            Spanned::new("the fourth or a later one".to_owned(), beyond.span),
            None,
        ));
    }
}

/// What the line should be, where that is plain.
fn mend(dropped: &Dropped, span: Span) -> Option<Fix> {
    match dropped {
        Dropped::Line(Ignored::CarriageReturn) => Some(Fix {
            title: "end the line with a line feed only".to_owned(),
            edits: vec![Edit {
                span: Span {
                    start: span.end.saturating_sub(1),
                    ..span
                },
                text: String::new(),
            }],
            safe: true,
        }),
        Dropped::Line(_) | Dropped::Option(_) => None,
    }
}

fn no_nameserver(config: &Config, findings: &mut Vec<DialectFinding>) {
    let first = config
        .dropped
        .iter()
        .find(|dropped| matches!(dropped.value, Dropped::Line(_)));
    if let Some(first) = first
        && config.nameservers.is_empty()
    {
        findings.push(finding(
            "resolv-conf/no-nameserver",
            "No nameserver is left: libc asks 127.0.0.1 instead",
            Spanned::new(first.value.why(), first.span),
            None,
        ));
    }
}

fn search_captures(config: &Config, findings: &mut Vec<DialectFinding>) {
    let (Some(ndots), Some(suffix)) = (&config.ndots, config.search.first()) else {
        return;
    };
    if ndots.value < CAPTURING_NDOTS {
        return;
    }
    let mut found = finding(
        "resolv-conf/search-captures",
        &format!(
            "Names with fewer than {} dots are first asked below `{}`",
            ndots.value, suffix.value
        ),
        Spanned::new(
            format!("a name needs {} dots to be asked as it is", ndots.value),
            ndots.span,
        ),
        None,
    );
    found.related = config
        .search
        .iter()
        .take(3)
        .map(|suffix| {
            Spanned::new(
                format!("a wildcard below `{}` would answer instead", suffix.value),
                suffix.span,
            )
        })
        .collect();
    findings.push(found);
}

fn finding(
    id: &'static str,
    title: &str,
    label: Spanned<String>,
    fix: Option<Fix>,
) -> DialectFinding {
    DialectFinding {
        id,
        title: title.to_owned(),
        label,
        related: Vec::new(),
        help: None,
        fix,
        refuses: false,
    }
}

/// A version's first two numbers.
fn version(facts: &Facts, name: &str) -> Option<(u32, u32)> {
    version_of_three(facts, name).map(|(major, minor, _)| (major, minor))
}

fn version_of_three(facts: &Facts, name: &str) -> Option<(u32, u32, u32)> {
    dns::version(facts.get(name)?)
}
