//! In: a [`Config`]. Out: its reading: one gate, settings, facts, diagnostics.
//!
//! dnsmasq answers from host names first, then looks for the longest domain of its `server`, `local` and `address` options
//! that has something for the record type (`domain-match.c`); what it forwards comes back through its filters. It is
//! transparent for EDNS0: a query goes on with an OPT record if the client sent one.

use std::net::IpAddr;

use super::super::dns::{
    self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, Known, NAMES, TYPE_A, TYPE_AAAA, allow,
    any_address, deny, query_type, way,
};
use super::super::{Facts, Files, Input, Opened, Reading};
use super::parse::{Config, network};
use super::{answers, domains};
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, DomainScope, Effect, Gate, Guard, Layer, Ranges, Rule, Step,
    Unknown, UnknownKind,
};
use crate::source::Span;

/// The version that is assumed where no fact tells it.
const ASSUMED: (u32, u32, u32) = (2, 90, 0);

/// The reading of a config.
pub(super) fn lower(
    input: &Input<'_>,
    mut config: Config,
    files: &dyn Files,
    facts: &Facts,
) -> Reading {
    let mut reading = Reading {
        findings: std::mem::take(&mut config.findings),
        statements: config.statements,
        understood: config.understood,
        companions: std::mem::take(&mut config.companions),
        ..Reading::default()
    };
    let running = facts.get("dnsmasq.version").and_then(dns::version);
    if running.is_none() {
        reading
            .assumptions
            .push("dnsmasq is of version 2.90 (`--fact dnsmasq.version=...`)".to_owned());
    }
    let whole = Span::new(input.file, 0, 0);
    let mut gate = Gate::new("dnsmasq", Layer::Lookup);
    let access = access(&mut gate, &config, facts);
    let servers = standard_servers(&mut reading, &config, input, files);
    let names = names(&mut gate, &mut reading, &config, whole, &servers);
    let answers = answers::chain(&mut gate, &config);
    let hop = |name, chain, fallback, text: &str| Hop {
        name,
        chain,
        fallback,
        span: None,
        text: text.to_owned(),
    };
    let (fallback, text) = match &servers {
        Servers::None => (
            Effect::Deny(Denial::Refused),
            "no upstream server is configured",
        ),
        Servers::Some | Servers::Unknown(..) => {
            (Effect::Allow, "the name goes to the upstream servers")
        }
    };
    way(
        &mut gate,
        vec![
            hop(ACCESS, access, Effect::Allow, "the client reaches dnsmasq"),
            hop(NAMES, names, fallback, text),
            hop(
                ANSWERS,
                answers,
                Effect::Allow,
                "no filter takes the answer",
            ),
        ],
    );
    behaviour(&config, running.unwrap_or(ASSUMED)).report(&mut reading);
    reading.not_judged = not_judged(&config);
    reading.role = Some("forwarder".to_owned());
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

/// DHCP only.
fn not_judged(config: &Config) -> Option<String> {
    let port = config.get("port")?.value.as_deref()?;
    (port.parse::<u32>() == Ok(0)).then(|| "no DNS (`port=0`)".to_owned())
}

/// Whether there are servers for names that no domain covers.
pub(super) enum Servers {
    /// Yes.
    Some,
    /// No: everything is refused.
    None,
    /// That is not known.
    Unknown(Span, String),
}

fn standard_servers(
    reading: &mut Reading,
    config: &Config,
    input: &Input<'_>,
    files: &dyn Files,
) -> Servers {
    let own = config
        .targets
        .iter()
        .any(|target| target.domain.is_empty() && target.action == super::parse::Action::Ask);
    if own {
        return Servers::Some;
    }
    if let Some(missing) = config.missing.iter().find(|missing| !missing.hosts) {
        return Servers::Unknown(
            missing.name.span,
            format!("the file `{}`", missing.name.value),
        );
    }
    if config.has("no-resolv") {
        return match config
            .get("enable-dbus")
            .or_else(|| config.get("enable-ubus"))
        {
            Some(line) => {
                Servers::Unknown(line.span, "the servers that come over D-Bus".to_owned())
            }
            None => Servers::None,
        };
    }
    let named: Vec<_> = config
        .all("resolv-file")
        .filter_map(|line| line.value.as_deref())
        .collect();
    let names = if named.is_empty() {
        vec!["/etc/resolv.conf"]
    } else {
        named
    };
    let mut read = 0;
    for name in &names {
        if let Opened::Found { bytes, .. } = files.open(input.file, name) {
            read += 1;
            let text = String::from_utf8_lossy(&bytes);
            if text
                .lines()
                .any(|line| line.split_ascii_whitespace().next() == Some("nameserver"))
            {
                return Servers::Some;
            }
        }
    }
    if read == names.len() && config.has("resolv-file") {
        return Servers::None;
    }
    reading
        .assumptions
        .push(format!("`{}` names upstream servers", names.join("`, `")));
    Servers::Some
}

/// Who reaches it: `interface`, `listen-address`, `local-service`.
fn access(gate: &mut Gate, config: &Config, facts: &Facts) -> ChainId {
    let chain = gate.chain("access");
    for missing in config.missing.iter().filter(|missing| !missing.hosts) {
        let text = format!("the file `{}`", missing.name.value);
        obscure(
            gate,
            chain,
            Guard::Always,
            missing.name.span,
            "include",
            text,
        );
    }
    if let Some(script) = config.get("conf-script") {
        let text = "what the script writes".to_owned();
        obscure(gate, chain, Guard::Always, script.span, "include", text);
    }
    let beyond = loopback().complement();
    let mut unreachable = |span: Span| {
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, beyond.clone()),
                step: deny(Denial::Unreachable),
                span,
            },
        );
    };
    let is_loopback = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let interfaces: Vec<_> = config
        .all("interface")
        .flat_map(super::syntax::Line::parts)
        .collect();
    let addresses: Vec<_> = config
        .all("listen-address")
        .flat_map(super::syntax::Line::parts)
        .collect();
    let mut group = Some(("any client".to_owned(), Ranges::full()));
    let listens = config
        .get("listen-address")
        .or_else(|| config.get("interface"));
    if let Some(line) = listens
        && addresses.iter().all(|address| is_loopback(address))
        && interfaces.iter().all(|name| *name == "lo")
    {
        unreachable(line.span);
        group = None;
    } else if let (Some(line), false, false) = (
        config.get("local-service"),
        listens.is_some() || config.has("except-interface"),
        config.has("auth-server"),
    ) {
        if line.value.as_deref() == Some("host") {
            unreachable(line.span);
            group = None;
        } else {
            group = Some((
                "the server's own networks (localnets)".to_owned(),
                loopback(),
            ));
            local_service(gate, chain, line.span, facts);
        }
    } else if !interfaces.is_empty() {
        group = Some((
            format!("clients at `{}`", interfaces.join("`, `")),
            Ranges::full(),
        ));
    }
    if let Some((name, sources)) = group {
        gate.groups.push(ClientGroup {
            name,
            sources,
            interface: None,
            span: listens.map(|line| line.span),
        });
    }
    chain
}

/// `local-service`: only clients of its own networks.
fn local_service(gate: &mut Gate, chain: ChainId, span: Span, facts: &Facts) {
    let guard = if let Some(own) = facts.get("dnsmasq.addresses") {
        let nets = own
            .split([',', ' '])
            .filter_map(network)
            .fold(loopback(), |all, net| all.union(&Ranges::network(net)));
        Guard::number(Dim::Source, nets.complement())
    } else {
        let unknown = gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code: "localnets",
            text: "the server's own networks (`--fact dnsmasq.addresses=192.168.1.2/24`)"
                .to_owned(),
            identity: Some("localnets".to_owned()),
            span: Some(span),
        });
        Guard::All(vec![
            Guard::number(Dim::Source, loopback().complement()),
            Guard::Unknown(unknown).negated(),
        ])
    };
    gate.rule(
        chain,
        Rule {
            guard,
            step: deny(Denial::Drop),
            span,
        },
    );
}

/// Host names, then domains.
fn names(
    gate: &mut Gate,
    reading: &mut Reading,
    config: &Config,
    whole: Span,
    servers: &Servers,
) -> ChainId {
    let chain = gate.chain("names");
    for missing in config.missing.iter().filter(|missing| missing.hosts) {
        let text = format!("the host names in `{}`", missing.name.value);
        obscure(gate, chain, Guard::Always, missing.name.span, "hosts", text);
    }
    if !config.has("no-hosts") {
        reading
            .assumptions
            .push("`/etc/hosts` names none of the service's hosts".to_owned());
    }
    hosts(gate, config, chain);
    let domains = domains::chain(gate, config, servers);
    gate.rule(
        chain,
        Rule {
            guard: Guard::Always,
            step: Step::Call(domains),
            span: whole,
        },
    );
    if let Servers::Unknown(span, text) = servers {
        obscure(gate, chain, Guard::Always, *span, "upstream", text.clone());
    }
    chain
}

/// Names with an address of their own: only the exact name, and only the family that is given.
fn hosts(gate: &mut Gate, config: &Config, chain: ChainId) {
    let mut entries: Vec<(String, Vec<IpAddr>, Span)> = config
        .hosts
        .iter()
        .map(|entry| (entry.name.clone(), vec![entry.address], entry.span))
        .collect();
    for line in config.all("host-record") {
        let addresses: Vec<IpAddr> = line.parts().filter_map(|part| part.parse().ok()).collect();
        for name in line.parts() {
            // What is neither an address nor the final TTL is a name.
            let is_ttl = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            if name.parse::<IpAddr>().is_err() && !is_ttl {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                entries.push((name, addresses.clone(), line.span));
            }
        }
    }
    for (name, addresses, span) in entries {
        let host = dns::host(gate, &name, DomainScope::Exact);
        for (kind, family) in [(TYPE_A, true), (TYPE_AAAA, false)] {
            let ours: Vec<IpAddr> = addresses
                .iter()
                .copied()
                .filter(|ip| ip.is_ipv4() == family)
                .collect();
            fixed(gate, chain, &host, kind, &ours, span);
        }
    }
    for (option, last) in [("cname", 1), ("interface-name", 0), ("dynamic-host", 0)] {
        for line in config.all(option) {
            let parts: Vec<String> = line.parts().map(str::to_ascii_lowercase).collect();
            let names = match option {
                // The last word is the target, but for a TTL.
                "cname" => {
                    let ttl = parts
                        .last()
                        .is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
                    parts.len().saturating_sub(last + usize::from(ttl))
                }
                _ => 1,
            };
            for name in parts.iter().take(names) {
                let host = match name.strip_prefix("*.") {
                    Some(parent) => dns::host(gate, parent, DomainScope::Below),
                    None => dns::host(gate, name, DomainScope::Exact),
                };
                let text = format!("where `{option}` leads");
                obscure(gate, chain, host, line.span, "hosts", text);
            }
        }
    }
    for option in ["auth-zone", "synth-domain"] {
        for line in config.all(option) {
            let domain = line.parts().next().unwrap_or_default().to_ascii_lowercase();
            let host = dns::host(gate, &domain, DomainScope::Tree);
            let text = format!("what `{option}` answers");
            obscure(gate, chain, host, line.span, "hosts", text);
        }
    }
}

/// Fixed addresses are not the service's, unless they are some of those that it may have.
pub(super) fn fixed(
    gate: &mut Gate,
    chain: ChainId,
    host: &Guard,
    kind: u128,
    addresses: &[IpAddr],
    span: Span,
) {
    if addresses.is_empty() {
        return;
    }
    let here = Guard::All(vec![host.clone(), query_type([kind])]);
    let public = addresses
        .iter()
        .filter(|ip| !is_internal(**ip))
        .fold(Ranges::empty(), |all, ip| all.union(&Ranges::host(*ip)));
    if !public.is_empty() {
        let text = "whether the fixed addresses in it are the service's".to_owned();
        let pinned = Guard::All(vec![here.clone(), any_address(public)]);
        obscure(gate, chain, pinned, span, "pinned", text);
    }
    gate.rule(
        chain,
        Rule {
            guard: here,
            step: deny(Denial::Rewritten),
            span,
        },
    );
}

/// No service on the internet has such an address.
fn is_internal(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_unspecified() || v4.is_link_local()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local(),
    }
}

/// The flows of a guard are undecided.
pub(super) fn obscure(
    gate: &mut Gate,
    chain: ChainId,
    guard: Guard,
    span: Span,
    code: &'static str,
    text: String,
) {
    let step = Step::Obscure(gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code,
        identity: Some(text.clone()),
        text,
        span: Some(span),
    }));
    gate.rule(chain, Rule { guard, step, span });
}

/// A step that goes on to the upstream servers.
pub(super) fn forward(servers: &Servers) -> Step {
    match servers {
        Servers::None => deny(Denial::Refused),
        Servers::Some | Servers::Unknown(..) => allow(),
    }
}

fn loopback() -> Ranges {
    ["127.0.0.0/8", "::1"]
        .iter()
        .filter_map(|text| network(text))
        .fold(Ranges::empty(), |all, net| all.union(&Ranges::network(net)))
}

/// EDNS0: `edns-packet-max` limits what the client offers, and some options add an OPT record of their own.
fn behaviour(config: &Config, running: (u32, u32, u32)) -> Behaviour {
    let default = if running >= (2, 90, 0) { 1232 } else { 4096 };
    let size = match config.get("edns-packet-max") {
        None => Held::default_is(
            default,
            if default == 1232 {
                "the default since 2.90"
            } else {
                "the default before 2.90"
            },
        ),
        Some(line) => {
            let text = line.value.as_deref().unwrap_or_default();
            let given = text.parse::<u64>().unwrap_or(0);
            let used = given.max(dns::PLAIN_UDP);
            Held::set(
                used,
                line.span,
                if used == given {
                    format!("`edns-packet-max={given}` sets it")
                } else {
                    format!("`edns-packet-max={given}` is raised to {used}")
                },
            )
        }
    };
    let adds = ["dnssec", "add-subnet", "add-cpe-id", "umbrella"]
        .iter()
        .find_map(|name| config.get(name));
    let edns0 = match adds {
        Some(line) => Held::set(
            Edns0::Always,
            line.span,
            format!("`{}` adds an OPT record to every query", line.name),
        ),
        None => Held::default_is(
            Edns0::IfClient,
            "dnsmasq passes on the OPT record that the client sends",
        ),
    };
    let servers = config
        .targets
        .iter()
        .filter(|target| target.domain.is_empty() && target.action == super::parse::Action::Ask)
        .count() as u64;
    let mut behaviour = Behaviour {
        edns0,
        upstream_sizes: Held {
            value: match &size.value {
                Known::Is(size) => Known::Is(vec![*size]),
                Known::Moot | Known::Unknown(_) => Known::Moot,
            },
            span: size.span,
            why: size.why.clone(),
            ignored: Vec::new(),
        },
        client_size: size.clone(),
        max_reply: size,
        tcp: Held::default_is(true, "dnsmasq answers over TCP"),
        nameservers: if servers > 0 {
            Held::default_is(servers, "the `server` options without a domain")
        } else {
            Held::moot(None, "its servers come from resolv.conf")
        },
        sizes_are_settable: true,
    };
    let missing = config
        .missing
        .iter()
        .filter(|missing| !missing.hosts)
        .map(|missing| (missing.name.span, missing.name.value.clone()))
        .next();
    if let Some((span, name)) = missing {
        let text = format!("the file `{name}`");
        behaviour.edns0 = Held::unknown(Some(span), text.clone());
        // A second `edns-packet-max` would be refused, so one that is given counts.
        if !config.has("edns-packet-max") {
            behaviour.upstream_sizes = Held::unknown(Some(span), text.clone());
            behaviour.client_size = Held::unknown(Some(span), text.clone());
            behaviour.max_reply = Held::unknown(Some(span), text);
        }
    }
    behaviour
}
