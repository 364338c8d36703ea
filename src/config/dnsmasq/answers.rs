//! In: the options that look at answers. Out: the chain of what is done to them.
//!
//! `ignore-address` drops a reply with such an address, `bogus-nxdomain` makes it "no such name", `alias` rewrites addresses,
//! `stop-dns-rebind` rejects private ones, `filter-A`, `filter-AAAA` and `filter-rr` take record types away.

use std::net::IpAddr;

use super::super::dns::{TYPE_A, TYPE_AAAA, any_address, deny, host, network, query_type};
use super::parse::Config;
use super::syntax::Line;
use crate::model::{ChainId, Denial, DomainScope, Gate, Guard, Range, Ranges, Rule, address};

/// What `stop-dns-rebind` rejects (`private_net` in rfc1035.c).
const PRIVATE: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "255.255.255.255",
    "::",
    "fe80::/10",
    "fc00::/7",
];

/// The chain of the answer filters.
pub(super) fn chain(gate: &mut Gate, config: &Config) -> ChainId {
    let chain = gate.chain("answers");
    for line in config.all("ignore-address") {
        let nets = nets([line.value.as_deref().unwrap_or_default()]);
        answer(gate, chain, line, &nets, Denial::Drop, None);
    }
    for line in config.all("bogus-nxdomain") {
        let nets = nets([line.value.as_deref().unwrap_or_default()]);
        answer(gate, chain, line, &nets, Denial::NxDomain, None);
    }
    for line in config.all("alias") {
        answer(gate, chain, line, &aliased(line), Denial::Rewritten, None);
    }
    if let Some(line) = config.get("stop-dns-rebind") {
        let mut private = nets(PRIVATE.iter().copied());
        if !config.has("rebind-localhost-ok") {
            private = private.union(&nets(["127.0.0.0/8", "::1"]));
        }
        let exempt = config
            .all("rebind-domain-ok")
            .filter_map(|line| line.value.as_deref())
            .flat_map(|value| value.split('/'))
            .filter(|domain| !domain.is_empty())
            .map(|domain| host(gate, domain, DomainScope::Tree))
            .collect();
        let guard = Guard::AnyOf(exempt).negated();
        answer(gate, chain, line, &private, Denial::Fails, Some(&guard));
    }
    for (kind, line) in filtered(config) {
        gate.rule(
            chain,
            Rule {
                guard: query_type([kind]),
                step: deny(Denial::NoData),
                span: line.span,
            },
        );
    }
    chain
}

/// Answers with an address there.
fn answer(
    gate: &mut Gate,
    chain: ChainId,
    line: &Line,
    nets: &Ranges,
    denial: Denial,
    also: Option<&Guard>,
) {
    for (kind, family) in [(TYPE_A, Ranges::ipv4()), (TYPE_AAAA, Ranges::ipv6())] {
        let nets = nets.intersect(&family);
        if nets.is_empty() {
            continue;
        }
        let mut guards = vec![query_type([kind]), any_address(nets)];
        guards.extend(also.cloned());
        gate.rule(
            chain,
            Rule {
                guard: Guard::All(guards),
                step: deny(denial),
                span: line.span,
            },
        );
    }
}

fn nets<'a>(texts: impl IntoIterator<Item = &'a str>) -> Ranges {
    texts
        .into_iter()
        .filter_map(network)
        .fold(Ranges::empty(), |all, net| all.union(&Ranges::network(net)))
}

/// `alias=old,new[,mask]`, `alias=from-to,new[,mask]`: the addresses that are rewritten.
fn aliased(line: &Line) -> Ranges {
    let parts: Vec<&str> = line.parts().collect();
    let old = parts.first().copied().unwrap_or_default();
    let ip = |text: &str| text.trim().parse::<IpAddr>().ok();
    if let Some((from, to)) = old.split_once('-') {
        return match (ip(from), ip(to)) {
            (Some(from), Some(to)) => {
                Range::new(address(from), address(to)).map_or_else(Ranges::empty, Ranges::from)
            }
            (None, _) | (_, None) => Ranges::empty(),
        };
    }
    match parts.get(2) {
        Some(mask) => {
            let bits = mask
                .parse::<std::net::Ipv4Addr>()
                .map_or(32, |mask| u32::from(mask).count_ones());
            network(&format!("{old}/{bits}")).map_or_else(Ranges::empty, Ranges::network)
        }
        None => nets([old]),
    }
}

/// Record types that are taken out of answers.
fn filtered(config: &Config) -> Vec<(u128, &Line)> {
    let mut types: Vec<(u128, &Line)> = Vec::new();
    types.extend(config.get("filter-A").map(|line| (TYPE_A, line)));
    types.extend(config.get("filter-AAAA").map(|line| (TYPE_AAAA, line)));
    for line in config.all("filter-rr") {
        types.extend(
            line.parts()
                .filter_map(|part| match part.to_ascii_uppercase().as_str() {
                    "A" | "1" => Some((TYPE_A, line)),
                    "AAAA" | "28" => Some((TYPE_AAAA, line)),
                    _ => None,
                }),
        );
    }
    types
}
