//! In: what systemd-resolved ends up with. Out: its reading: one gate, settings, facts, and what it skips.
//!
//! It answers at 127.0.0.53 to its own machine, at the extra listeners to everyone who reaches them. It always offers
//! EDNS0 upstream, with the size that the way to the server takes (`dns_server_adjust_opt`), and leaves it out only for a
//! server that was seen to fail with it. Servers that links bring along are in no file.

use std::net::IpAddr;

use super::super::dns::{
    self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, NAMES, UPSTREAM, deny, query_type, way,
};
use super::super::{DialectFinding, Edit, Facts, Fix, Input, Reading};
use super::parse::{self, Config, Listener, Tls, Why};
use super::{LINE, REST, SERVER};
use crate::model::{ChainId, ClientGroup, Denial, Dim, Effect, Gate, Guard, Layer, Ranges, Rule};
use crate::source::{Span, Spanned};

/// What 127.0.0.53 puts into its replies: the loopback interface's MTU without headers.
const STUB_SIZE: u64 = 65_494;
/// What extra listeners put into their replies (seen with 252).
const EXTRA_SIZE: u64 = 1232;
/// The MTU of Ethernet, and of the loopback interface.
const MTUS: (u64, u64) = (1500, 65_536);
/// IP and UDP headers, for IPv4 and IPv6.
const HEADERS: (u64, u64) = (28, 48);

/// The reading of a config.
pub(super) fn lower(input: &Input<'_>, config: &Config, facts: &Facts) -> Reading {
    let mut reading = Reading {
        statements: config.statements,
        understood: config.understood,
        companions: config.companions.clone(),
        role: Some("resolver of this machine".to_owned()),
        findings: skipped(input, config),
        not_judged: config.unread.clone().or_else(|| not_judged(config)),
        ..Reading::default()
    };
    if parse::is_drop_in(input.path) || config.companions.is_empty() {
        reading.assumptions.push(
            "no other file than `resolved.conf` and the drop-ins beside it counts".to_owned(),
        );
    }
    if let Some(yes) = config.strict_dnssec {
        reading.findings.push(finding(
            super::DNSSEC,
            "Every lookup fails if a server does not serve DNSSEC records",
            Spanned::new("no answer without validation".to_owned(), yes),
        ));
        reading
            .assumptions
            .push("the servers serve DNSSEC records (`DNSSEC=yes`)".to_owned());
    }
    let mut gate = Gate::new("resolved", Layer::Lookup);
    let access = access(&mut gate, config, Span::new(input.file, 0, 0));
    let names = gate.chain(NAMES);
    for kind in &config.refused {
        gate.rule(
            names,
            Rule {
                guard: query_type([kind.value]),
                step: deny(Denial::Refused),
                span: kind.span,
            },
        );
    }
    let upstream = gate.chain(UPSTREAM);
    let answers = gate.chain(ANSWERS);
    let (fallback, span, text) = servers(&mut reading, config, facts);
    let hop = |name, chain, text| Hop::new(name, chain, Effect::Allow, text);
    way(
        &mut gate,
        vec![
            hop(ACCESS, access, "the client reaches a listener"),
            hop(NAMES, names, "it answers none of these names by itself"),
            Hop {
                name: UPSTREAM,
                chain: upstream,
                fallback,
                span,
                text: text.to_owned(),
            },
            hop(ANSWERS, answers, "it takes every answer"),
        ],
    );
    behaviour(config).report(&mut reading);
    if let Some(tls) = config.over_tls.filter(|tls| tls.value == Tls::Yes) {
        dns::sizes_are_moot(&mut reading, tls.span, "the servers are asked over TLS");
    }
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

/// Nothing takes a query over UDP: programs ask over D-Bus or Varlink, or another resolver listens.
fn not_judged(config: &Config) -> Option<String> {
    let stub = config.stub.filter(|stub| !stub.value.udp)?;
    let extra = config.extras.iter().any(|extra| extra.value.takes.udp);
    let kind = if stub.value.tcp { "tcp" } else { "no" };
    (!extra).then(|| format!("nothing is listened to over UDP (`DNSStubListener={kind}`)"))
}

/// Who reaches a listener.
fn access(gate: &mut Gate, config: &Config, whole: Span) -> ChainId {
    let chain = gate.chain(ACCESS);
    let outside = config
        .extras
        .iter()
        .find(|extra| extra.value.takes.udp && !extra.value.address.is_loopback());
    if let Some(extra) = outside {
        gate.groups.push(ClientGroup {
            name: "any client".to_owned(),
            sources: Ranges::full(),
            interface: None,
            span: Some(extra.span),
        });
        return chain;
    }
    gate.groups.push(ClientGroup {
        name: "this machine".to_owned(),
        sources: dns::loopback(),
        interface: None,
        span: config.stub.map(|stub| stub.span),
    });
    gate.rule(
        chain,
        Rule {
            guard: Guard::number(Dim::Source, dns::loopback().complement()),
            step: deny(Denial::Unreachable),
            span: config.stub.map_or(whole, |stub| stub.span),
        },
    );
    chain
}

/// Whom it asks: the servers of the file, else those of links, else the fallback.
fn servers(
    reading: &mut Reading,
    config: &Config,
    facts: &Facts,
) -> (Effect, Option<Span>, &'static str) {
    if let Some(first) = config.servers.first() {
        return (Effect::Allow, Some(first.span), "the servers of `DNS=`");
    }
    let links = facts.get("resolved.link-servers");
    match (links, &config.fallback) {
        (Some("none"), Some(fallback)) => match fallback.first() {
            Some(first) => (
                Effect::Allow,
                Some(first.span),
                "the servers of `FallbackDNS=`",
            ),
            None => (
                Effect::Deny(Denial::Refused),
                config.fallback_span,
                "there is no server to ask",
            ),
        },
        (Some("none"), None) => {
            reading
                .assumptions
                .push("fallback servers are built in (`FallbackDNS=` is not set)".to_owned());
            (Effect::Allow, None, "the built-in fallback servers")
        }
        (Some(_), _) => (Effect::Allow, None, "the servers that links bring along"),
        (None, fallback) => {
            if fallback.as_ref().is_none_or(Vec::is_empty) {
                reading.assumptions.push(
                    "network links or `/etc/resolv.conf` bring servers along (`--fact resolved.link-servers=none` if not)"
                        .to_owned(),
                );
            }
            (
                Effect::Allow,
                None,
                "the servers that links bring along, or the fallback servers",
            )
        }
    }
}

fn behaviour(config: &Config) -> Behaviour {
    let listeners: Vec<(Listener, bool)> = config
        .extras
        .iter()
        .map(|extra| (extra.value.takes, true))
        .chain([(config.stub.map_or(Listener::BOTH, |stub| stub.value), false)])
        .filter(|(takes, _)| takes.udp)
        .collect();
    let is_extra = listeners.iter().any(|(_, extra)| *extra);
    let with_tcp = listeners.iter().filter(|(takes, _)| takes.tcp).count();
    let stub = config.stub.map(|stub| stub.span);
    let mut sizes: Vec<u64> = config
        .servers
        .iter()
        .map(|server| upstream_size(server.value))
        .collect();
    if sizes.is_empty() {
        sizes.push(MTUS.0 - HEADERS.0);
    }
    sizes.sort_unstable();
    sizes.dedup();
    Behaviour {
        edns0: Held::default_is(
            Edns0::Always,
            "systemd-resolved offers EDNS0 to every server, and no setting changes that",
        ),
        upstream_sizes: Held::default_is(sizes, "what the way to the server takes in one packet"),
        client_size: if is_extra {
            Held::default_is(EXTRA_SIZE, "the size at extra listeners")
        } else {
            Held::default_is(STUB_SIZE, "the size at 127.0.0.53")
        },
        max_reply: Held::default_is(STUB_SIZE, "only the client's own size cuts a reply"),
        tcp: match (with_tcp, stub) {
            (0, Some(span)) => Held::set(false, span, "no listener takes TCP"),
            (0, None) => Held::default_is(false, "no listener takes TCP"),
            (some, _) if some == listeners.len() => {
                Held::default_is(true, "every listener takes UDP and TCP")
            }
            (_, span) => Held::unknown(span, "which of the listeners the clients use"),
        },
        nameservers: Held::moot(None, "it keeps as many servers as it is given"),
        sizes_are_settable: false,
    }
}

fn upstream_size(server: IpAddr) -> u64 {
    let mtu = if server.is_loopback() { MTUS.1 } else { MTUS.0 };
    mtu - if server.is_ipv4() {
        HEADERS.0
    } else {
        HEADERS.1
    }
}

/// A finding for each piece that has no effect.
fn skipped(input: &Input<'_>, config: &Config) -> Vec<DialectFinding> {
    config
        .skipped
        .iter()
        .map(|skipped| {
            let span = skipped.span;
            let label = |text: &str| Spanned::new(text.to_owned(), span);
            match &skipped.why {
                Why::Key(Some(meant)) => {
                    let mut found = finding(
                        LINE,
                        "This has no effect: keys are compared with their case",
                        label(&format!("the key is `{meant}`")),
                    );
                    if span.file == input.file {
                        found.fix = Some(Fix {
                            title: format!("write `{meant}`"),
                            edits: vec![Edit {
                                span,
                                text: (*meant).to_owned(),
                            }],
                            safe: false,
                        });
                    }
                    found
                }
                Why::Key(None) => finding(
                    LINE,
                    "This has no effect: systemd-resolved does not know the key",
                    label("not a key of resolved.conf"),
                ),
                Why::Outside => finding(
                    LINE,
                    "This has no effect: it stands in front of `[Resolve]`",
                    label("in no section"),
                ),
                Why::Section => finding(
                    LINE,
                    "Nothing in this section has an effect: only `[Resolve]` is read",
                    label("another section"),
                ),
                Why::Rest => finding(
                    REST,
                    "Nothing from here on is read: the section header is broken",
                    label("a header is `[Resolve]`, alone on its line"),
                ),
                Why::NoAssignment => finding(
                    LINE,
                    "This has no effect: it is no `Key=value`",
                    label("no key with a value"),
                ),
                Why::Server => finding(
                    SERVER,
                    "This server is never asked: it is no address",
                    label("skipped; servers are `ADDRESS[:PORT][%INTERFACE][#NAME]`, blanks between them"),
                ),
                Why::Value(takes) => finding(
                    LINE,
                    "This has no effect: systemd-resolved does not take the value",
                    label(&format!("it takes {takes}")),
                ),
            }
        })
        .collect()
}

fn finding(id: &'static str, title: &str, label: Spanned<String>) -> DialectFinding {
    DialectFinding {
        id,
        title: title.to_owned(),
        label,
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: false,
    }
}
