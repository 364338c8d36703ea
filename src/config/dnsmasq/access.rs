//! In: `interface`, `listen-address`, `local-service`. Out: who reaches dnsmasq.

use std::net::IpAddr;

use super::super::Facts;
use super::super::dns::{deny, loopback, network, obscure};
use super::parse::Config;
use super::syntax::Line;
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, Gate, Guard, Ranges, Rule, Unknown, UnknownKind,
};
use crate::source::Span;

/// Who reaches it: `interface`, `listen-address`, `local-service`.
pub(super) fn chain(gate: &mut Gate, config: &Config, facts: &Facts) -> ChainId {
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
    // Without bind-interfaces the socket takes what is then dropped.
    let denial = if config.has("bind-interfaces") || config.has("bind-dynamic") {
        Denial::Unreachable
    } else {
        Denial::Drop
    };
    let mut unreachable = |span: Span, reached: &Ranges| {
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, reached.complement()),
                step: deny(denial),
                span,
            },
        );
    };
    let is_loopback = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let interfaces: Vec<_> = config.all("interface").flat_map(Line::parts).collect();
    let addresses: Vec<_> = config.all("listen-address").flat_map(Line::parts).collect();
    let mut group = Some(("any client".to_owned(), Ranges::full()));
    let listens = config
        .get("listen-address")
        .or_else(|| config.get("interface"));
    if let Some(line) = listens
        && addresses.iter().all(|address| is_loopback(address))
        && interfaces.iter().all(|name| *name == "lo")
    {
        // What the machine asks itself comes by `lo`, whatever its source address.
        let by_interface = interfaces.contains(&"lo") && addresses.is_empty();
        let own = facts.get("dnsmasq.addresses").filter(|_| by_interface);
        unreachable(
            line.span,
            &loopback().union(&own.map_or_else(Ranges::empty, hosts_of)),
        );
        group = None;
    } else if let (Some(line), false, false) = (
        config.get("local-service"),
        listens.is_some() || config.has("except-interface"),
        config.has("auth-server"),
    ) {
        if line.value.as_deref() == Some("host") {
            unreachable(line.span, &loopback());
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

/// The addresses of `dnsmasq.addresses`, without their networks.
fn hosts_of(fact: &str) -> Ranges {
    fact.split([',', ' '])
        .filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok())
        .fold(Ranges::empty(), |all, ip| all.union(&Ranges::host(ip)))
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
