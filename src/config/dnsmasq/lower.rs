//! In: a [`Config`]. Out: its reading: one gate, settings, facts, diagnostics.
//!
//! dnsmasq answers from host names first, then looks for the longest domain of its `server`, `local` and `address` options
//! that has something for the record type (`domain-match.c`); what it forwards comes back through its filters. It is
//! transparent for EDNS0: a query goes on with an OPT record if the client sent one.

use super::super::dns::{self, ACCESS, ANSWERS, Hop, NAMES, allow, deny, obscure, way};
use super::super::{Facts, Files, Input, Opened, Reading};
use super::parse::Config;
use super::{access, answers, domains, edns, hosts};
use crate::model::{ChainId, Denial, Effect, Gate, Guard, Layer, Rule, Step};
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
    let access = access::chain(&mut gate, &config, facts);
    let servers = standard_servers(&mut reading, &config, input, files);
    let names = names(&mut gate, &mut reading, &config, whole, &servers);
    let answers = answers::chain(&mut gate, &config);
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
            Hop::new(ACCESS, access, Effect::Allow, "the client reaches dnsmasq"),
            Hop::new(NAMES, names, fallback, text),
            Hop::new(
                ANSWERS,
                answers,
                Effect::Allow,
                "no filter takes the answer",
            ),
        ],
    );
    edns::behaviour(&config, running.unwrap_or(ASSUMED)).report(&mut reading);
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
    // `server=#`: the search for the standard servers finds itself, and nothing else (seen with 2.90).
    let circular = config
        .targets
        .iter()
        .any(|target| target.domain.is_empty() && target.action == super::parse::Action::Standard);
    if circular {
        return Servers::None;
    }
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
    hosts::chain_into(gate, config, chain);
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

/// A step that goes on to the upstream servers.
pub(super) fn forward(servers: &Servers) -> Step {
    match servers {
        Servers::None => deny(Denial::Refused),
        Servers::Some | Servers::Unknown(..) => allow(),
    }
}
