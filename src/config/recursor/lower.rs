//! In: a [`Config`]. Out: its reading: one gate, settings, facts, and what keeps the recursor from starting.
//!
//! `local-address` is loopback by default. `allow-from` takes the most specific network and drops all others; an empty one
//! lets everyone ask. The deepest zone decides whom to ask; a zone without servers is held empty. EDNS0 is always offered;
//! the OPT record of replies says 512 whatever the limit is (all seen with 4.8).

use super::super::dns::{
    self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, NAMES, TYPE_AAAA, UPSTREAM, ZoneRule,
    allow, deepest_first, deny, network, obscure, opaque, query_type, version, way,
};
use super::super::{DialectFinding, Facts, Input, Reading};
use super::parse::{Config, Way, address};
use super::syntax::Setting;
use super::{REFUSED, UNKNOWN, names};
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, DomainScope, Effect, Gate, Guard, Layer, Ranges, Rule, Step,
};
use crate::source::{Span, Spanned};

/// Who may ask by default.
const ALLOWED: &str = "127.0.0.0/8 10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 192.168.0.0/16 172.16.0.0/12 ::1/128 fc00::/7 fe80::/10";
/// Whom it never asks by default.
const DONT_QUERY: &str = "127.0.0.0/8 10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 192.168.0.0/16 172.16.0.0/12 ::1/128 fc00::/7 \
     fe80::/10 0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 ::/96 ::ffff:0:0/96 100::/64 \
     2001:db8::/32";
/// Sizes are kept in 16 bits.
const WRAP: u64 = 65_536;

/// The reading of a config.
pub(super) fn lower(input: &Input<'_>, config: &Config, facts: &Facts) -> Reading {
    let root = config.zones.iter().any(|zone| zone.name.is_empty());
    let mut reading = Reading {
        statements: config.settings.len().max(1),
        understood: if config.settings.is_empty() {
            1
        } else {
            config.settings.len() - config.unknown.len()
        },
        companions: config.companions.clone(),
        role: Some(if root { "forwarder" } else { "resolver" }.to_owned()),
        findings: findings(config),
        ..Reading::default()
    };
    if config.get("export-etc-hosts").is_some_and(is_on) {
        reading
            .assumptions
            .push("`/etc/hosts` names none of the service's hosts".to_owned());
    }
    let running = facts.get("recursor.version").and_then(version);
    if running.is_none() {
        reading
            .assumptions
            .push("the recursor is 4.2 or newer (`--fact recursor.version=...`)".to_owned());
    }
    let mut gate = Gate::new("recursor", Layer::Lookup);
    let access = access(&mut gate, input, config);
    let names = names_chain(&mut gate, config);
    let upstream = zones(&mut gate, input, config);
    let answers = gate.chain(ANSWERS);
    let hop = |name, chain, text| Hop::new(name, chain, Effect::Allow, text);
    way(
        &mut gate,
        vec![
            hop(ACCESS, access, "the client may ask"),
            hop(NAMES, names, "it answers none of these names by itself"),
            hop(UPSTREAM, upstream, "the name is asked from the root on"),
            hop(ANSWERS, answers, "it takes every answer"),
        ],
    );
    behaviour(config, running.is_none_or(|version| version >= (4, 2, 0))).report(&mut reading);
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

/// `yes`, `on` and the like (`mustDo` in arguments.cc: anything but `no` and `off`).
fn is_on(setting: &Setting) -> bool {
    let word = setting.words.first().map(|word| word.value.as_str());
    !matches!(word, None | Some("no" | "off" | "false"))
}

/// Who reaches it, and who may ask.
fn access(gate: &mut Gate, input: &Input<'_>, config: &Config) -> ChainId {
    let chain = gate.chain(ACCESS);
    let whole = Span::new(input.file, 0, 0);
    for missing in &config.missing {
        let text = format!("the file `{}`", missing.value);
        obscure(gate, chain, Guard::Always, missing.span, "include", text);
    }
    if let Some(broken) = &config.broken {
        let text = "a file that can be read".to_owned();
        obscure(gate, chain, Guard::Always, broken.span, "yaml", text);
    }
    for unknown in &config.unknown {
        let text = format!("what the setting `{}` does", unknown.value);
        obscure(gate, chain, Guard::Always, unknown.span, "setting", text);
    }
    let listen = config.words("local-address");
    let own = listen
        .iter()
        .all(|word| address(&word.value).is_some_and(|ip| ip.is_loopback()));
    if own {
        let span = listen.first().map_or(whole, |word| word.span);
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, dns::loopback().complement()),
                step: deny(Denial::Unreachable),
                span,
            },
        );
    }
    let proxied = nets(&config.words("proxy-protocol-from"));
    if let (Some(setting), false) = (config.get("proxy-protocol-from"), proxied.is_empty()) {
        let text = "whether the clients are a proxy that says whom it asks for".to_owned();
        let guard = Guard::number(Dim::Source, proxied);
        obscure(gate, chain, guard, setting.span, "proxy", text);
    }
    let (allowed, span) = allowed(gate, chain, config);
    let allowed = if own {
        allowed.intersect(&dns::loopback())
    } else {
        allowed
    };
    if let Some(span) = span {
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, allowed.complement()),
                step: deny(Denial::Drop),
                span,
            },
        );
    } else {
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, allowed.complement()),
                step: deny(Denial::Drop),
                span: whole,
            },
        );
    }
    gate.groups.push(ClientGroup {
        name: if own {
            "this machine".to_owned()
        } else if span.is_some() {
            "the clients of `allow-from`".to_owned()
        } else {
            "clients with private addresses (the default of `allow-from`)".to_owned()
        },
        sources: allowed,
        interface: None,
        span,
    });
    chain
}

/// `allow-from`: the most specific network decides, an empty list allows all.
fn allowed(gate: &mut Gate, chain: ChainId, config: &Config) -> (Ranges, Option<Span>) {
    if let Some(file) = config
        .get("allow-from-file")
        .filter(|one| !one.words.is_empty())
    {
        let text = "the networks in `allow-from-file`".to_owned();
        obscure(gate, chain, Guard::Always, file.span, "include", text);
    }
    let settings = config.all("allow-from");
    let mut words: Vec<String> = Vec::new();
    if settings.first().is_none_or(|first| first.adds) {
        words.extend(ALLOWED.split_ascii_whitespace().map(str::to_owned));
    }
    let written = settings.iter().flat_map(|setting| &setting.words);
    words.extend(written.map(|word| word.value.clone()));
    let span = settings.last().map(|setting| setting.span);
    if words.is_empty() {
        return (Ranges::full(), span);
    }
    let mut rules: Vec<(ipnet::IpNet, bool)> = words
        .iter()
        .filter_map(|word| {
            let net = network(word.trim_start_matches('!'))?;
            Some((net, !word.starts_with('!')))
        })
        .collect();
    rules.sort_by_key(|(net, _)| net.prefix_len());
    let mut allowed = Ranges::empty();
    for family in [true, false] {
        for (net, allows) in rules
            .iter()
            .filter(|(net, _)| net.addr().is_ipv4() == family)
        {
            let here = Ranges::network(*net);
            // The number line has IPv4 inside `::ffff:0:0/96`, which no IPv6 network means.
            let here = if family {
                here
            } else {
                here.intersect(&Ranges::ipv6())
            };
            allowed = if *allows {
                allowed.union(&here)
            } else {
                allowed.minus(&here)
            };
        }
    }
    (allowed, span)
}

fn nets(words: &[Spanned<String>]) -> Ranges {
    words
        .iter()
        .filter_map(|word| network(&word.value))
        .fold(Ranges::empty(), |all, net| all.union(&Ranges::network(net)))
}

/// Programs in Lua answer what they like.
fn names_chain(gate: &mut Gate, config: &Config) -> ChainId {
    let chain = gate.chain(NAMES);
    for name in [
        "lua-dns-script",
        "lua-config-file",
        "rpzs",
        "forwarding-catalog-zones",
    ] {
        if let Some(setting) = config.get(name).filter(|setting| !setting.words.is_empty()) {
            let text = format!("what `{name}` does");
            obscure(gate, chain, Guard::Always, setting.span, "lua", text);
        }
    }
    if let Some(setting) = config
        .get("dns64-prefix")
        .filter(|one| !one.words.is_empty())
    {
        let text = "whether AAAA records are made from A records (`dns64-prefix`)".to_owned();
        let guard = query_type([TYPE_AAAA]);
        obscure(gate, chain, guard, setting.span, "dns64", text);
    }
    chain
}

/// Whom it asks.
fn zones(gate: &mut Gate, input: &Input<'_>, config: &Config) -> ChainId {
    let mut rules = Vec::new();
    // Of the same zone the last one counts.
    for zone in config.zones.iter().rev() {
        let step = match zone.way {
            Way::Forward => allow(),
            Way::Empty => deny(Denial::NxDomain),
            Way::Held => opaque(
                gate,
                zone.span,
                "zone",
                format!("the content of the zone `{}`", zone.name),
            ),
        };
        rules.push(ZoneRule {
            name: zone.name.clone(),
            scope: DomainScope::Tree,
            also: None,
            step,
            span: zone.span,
        });
    }
    let table = deepest_first(gate, "zones", rules);
    let chain = gate.chain(UPSTREAM);
    gate.rule(
        chain,
        Rule {
            guard: Guard::Always,
            step: Step::Call(table),
            span: Span::new(input.file, 0, 0),
        },
    );
    let default: Vec<Spanned<String>> = DONT_QUERY
        .split_ascii_whitespace()
        .map(|word| Spanned::new(word.to_owned(), Span::new(input.file, 0, 0)))
        .collect();
    let more = nets(&config.words("dont-query")).minus(&nets(&default));
    if let (Some(setting), false) = (config.get("dont-query"), more.is_empty()) {
        let text =
            "where the service's name servers are: `dont-query` forbids to ask some".to_owned();
        obscure(gate, chain, Guard::Always, setting.span, "dont-query", text);
    }
    chain
}

fn behaviour(config: &Config, is_current: bool) -> Behaviour {
    let default = if is_current { 1232 } else { 1680 };
    let size = |name: &str| match config.get(name) {
        Some(setting) => {
            let word = setting
                .words
                .first()
                .map_or("0", |word| word.value.as_str());
            match word.parse::<u64>() {
                Ok(given) if given >= WRAP => Held::set(
                    given % WRAP,
                    setting.span,
                    format!("`{name}` wraps at 65536, which leaves {}", given % WRAP),
                ),
                Ok(given) => Held::set(given, setting.span, format!("`{name}` sets it")),
                Err(_) => Held::unknown(Some(setting.span), format!("a number in `{name}`")),
            }
        }
        None => Held::default_is(
            default,
            if is_current {
                "the default since 4.2"
            } else {
                "the default before 4.2"
            },
        ),
    };
    let upstream = size("edns-outgoing-bufsize");
    let mut max_reply = size("udp-truncation-threshold");
    if max_reply.value == dns::Known::Is(0) {
        max_reply.value = dns::Known::Is(WRAP - 1);
        "0 is no limit".clone_into(&mut max_reply.why);
    }
    let mut behaviour = Behaviour {
        edns0: Held::default_is(
            Edns0::Always,
            "the recursor offers EDNS0 to every server, and no setting changes that",
        ),
        upstream_sizes: Held {
            value: match &upstream.value {
                dns::Known::Is(size) => dns::Known::Is(vec![*size]),
                dns::Known::Moot => dns::Known::Moot,
                dns::Known::Unknown(missing) => dns::Known::Unknown(missing.clone()),
            },
            span: upstream.span,
            why: upstream.why,
            ignored: Vec::new(),
        },
        // It is no limit, so no requirement can be about it.
        client_size: Held::default_is(dns::PLAIN_UDP, "it says so whatever the limit is"),
        max_reply,
        tcp: Held::default_is(true, "the recursor answers over TCP"),
        nameservers: Held::moot(None, "each zone names its own"),
        sizes_are_settable: true,
    };
    let missing = config
        .missing
        .first()
        .map(|missing| (missing.span, format!("the file `{}`", missing.value)));
    let broken = config
        .broken
        .as_ref()
        .map(|broken| (broken.span, "a file that can be read".to_owned()));
    if let Some((span, text)) = missing.or(broken) {
        behaviour.upstream_sizes = Held::unknown(Some(span), text.clone());
        behaviour.max_reply = Held::unknown(Some(span), text);
    }
    behaviour
}

fn findings(config: &Config) -> Vec<DialectFinding> {
    let finding = |id, title: String, label: Spanned<String>, refuses| DialectFinding {
        id,
        title,
        label,
        related: Vec::new(),
        help: None,
        fix: None,
        refuses,
    };
    let mut found: Vec<DialectFinding> = config
        .mistakes
        .iter()
        .map(|mistake| finding(REFUSED, mistake.title.clone(), mistake.label.clone(), true))
        .collect();
    if let Some(broken) = &config.broken {
        found.push(finding(
            REFUSED,
            "The file is no YAML".to_owned(),
            broken.clone(),
            true,
        ));
    }
    for unknown in &config.unknown {
        let name = &unknown.value;
        found.push(match names::meant(name) {
            Some(meant) => finding(
                REFUSED,
                format!("There is no setting `{name}`"),
                Spanned::new(format!("it is written `{meant}`"), unknown.span),
                true,
            ),
            None => finding(
                UNKNOWN,
                format!("The setting `{name}` is not known"),
                Spanned::new(
                    "the recursor does not start with a name that it does not know".to_owned(),
                    unknown.span,
                ),
                false,
            ),
        });
    }
    found
}
