//! In: what a resolver's lowering learnt about names. Out: gates whose stages every resolver kind shares.
//!
//! A lookup passes up to four stages, in this order: [`ACCESS`] (may this client ask), [`NAMES`] (what the resolver
//! answers by itself), [`UPSTREAM`] (whom it asks), [`ANSWERS`] (what it lets through). A rule that allows leaves its
//! stage for the next one, so an exemption is an allow. A gate tests [`Dim::Host`] (the name asked for), [`Dim::QueryType`],
//! [`Dim::Source`] (the client), [`Dim::Alias`] (the CNAME target of the answer; the empty word where there is none) and
//! the answer's addresses through [`crate::model::Test::AnyAddress`].

use std::net::IpAddr;

mod behaviour;
mod hosts;

pub(super) use behaviour::{Behaviour, Edns0, Held, Known, PLAIN_UDP, sizes_are_moot};
pub(super) use hosts::{HostEntry, hosts};

use crate::model::{
    ChainId, Denial, Dim, DomainScope, Edge, Effect, Fallback, Gate, Guard, Onward, Ranges, Rule,
    Stage, StageId, Step, Test, TextSet, Unknown, UnknownKind,
};
use crate::source::Span;

/// Stage: may this client ask.
pub(super) const ACCESS: &str = "access";
/// Stage: what the resolver answers by itself.
pub(super) const NAMES: &str = "names";
/// Stage: whom the resolver asks.
pub(super) const UPSTREAM: &str = "upstream";
/// Stage: which answers it lets through.
pub(super) const ANSWERS: &str = "answers";

/// Record type A (RFC 1035, 3.2.2).
pub(super) const TYPE_A: u128 = 1;
/// Record type AAAA (RFC 3596, 2.1).
pub(super) const TYPE_AAAA: u128 = 28;

/// A version as numbers: `1.17.1`, `9.18.49-1~deb12u3`; what is missing is zero.
pub(super) fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let major = numbers.next()??;
    let minor = numbers.next().unwrap_or(Some(0))?;
    let patch = numbers.next().flatten().unwrap_or(0);
    Some((major, minor, patch))
}

/// One entry of a table in which the deepest name wins.
#[derive(Debug, Clone)]
pub(super) struct ZoneRule {
    /// The zone, in any case, with or without outer dots; empty is the root.
    pub(super) name: String,
    /// The name itself, what lies below it, or both.
    pub(super) scope: DomainScope,
    /// What else must hold.
    pub(super) also: Option<Guard>,
    /// What happens.
    pub(super) step: Step,
    /// Where it is written.
    pub(super) span: Span,
}

/// A chain in which the deepest name wins, whatever the order of the entries; of one name the exact entry comes first,
/// then what lies below, then the tree. Entries of the same name and scope keep their order, so the first one wins:
/// dialects in which the last one wins pass it first.
pub(super) fn deepest_first(gate: &mut Gate, name: &str, zones: Vec<ZoneRule>) -> ChainId {
    let chain = gate.chain(name);
    let mut zones: Vec<(usize, ZoneRule)> = zones
        .into_iter()
        .map(|zone| (depth(&zone.name), zone))
        .collect();
    zones.sort_by(|(deep, a), (deeper, b)| deeper.cmp(deep).then(a.scope.cmp(&b.scope)));
    for (_, zone) in zones {
        let guard = host(gate, &zone.name, zone.scope);
        let guard = match zone.also {
            Some(also) => Guard::All(vec![guard, also]),
            None => guard,
        };
        gate.rule(
            chain,
            Rule {
                guard,
                step: zone.step,
                span: zone.span,
            },
        );
    }
    chain
}

/// How many labels a name has.
fn depth(name: &str) -> usize {
    let name = name.trim_matches('.');
    if name.is_empty() {
        0
    } else {
        name.split('.').count()
    }
}

/// The name asked for lies there.
pub(super) fn host(gate: &mut Gate, name: &str, scope: DomainScope) -> Guard {
    if scope == DomainScope::Tree && name.trim_matches('.').is_empty() {
        return Guard::Always;
    }
    let text = gate.text(TextSet::domain(name, scope));
    Guard::Is(Test::Text(Dim::Host, text))
}

/// The CNAME target of the answer lies there.
pub(super) fn alias(gate: &mut Gate, name: &str, scope: DomainScope) -> Guard {
    let text = gate.text(TextSet::domain(name, scope));
    Guard::Is(Test::Text(Dim::Alias, text))
}

/// The record type asked for is one of these.
pub(super) fn query_type(types: impl IntoIterator<Item = u128>) -> Guard {
    Guard::number(Dim::QueryType, types.into_iter().collect::<Ranges>())
}

/// Some address of the answer lies there.
pub(super) fn any_address(addresses: Ranges) -> Guard {
    Guard::Is(Test::AnyAddress(addresses))
}

/// Every address of the answer lies there: what strips addresses leaves none.
pub(super) fn every_address(addresses: &Ranges) -> Guard {
    Guard::Is(Test::AnyAddress(addresses.complement())).negated()
}

/// A denial, shorter.
pub(super) fn deny(denial: Denial) -> Step {
    Step::Decide(Effect::Deny(denial))
}

/// An exemption: on to the next stage.
pub(super) fn allow() -> Step {
    Step::Decide(Effect::Allow)
}

/// Fixed addresses in an answer of this type: none of the service's, unless they are some of those that it may have.
pub(super) fn fixed(
    gate: &mut Gate,
    kind: u128,
    addresses: &[IpAddr],
    span: Span,
) -> Vec<(Guard, Step)> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let public = addresses
        .iter()
        .filter(|ip| !is_internal(**ip))
        .fold(Ranges::empty(), |all, ip| all.union(&Ranges::host(*ip)));
    let mut steps = Vec::new();
    if !public.is_empty() {
        let text = "whether the fixed addresses in it are the service's".to_owned();
        let maybe = opaque(gate, span, "pinned", text);
        steps.push((
            Guard::All(vec![query_type([kind]), any_address(public)]),
            maybe,
        ));
    }
    steps.push((query_type([kind]), deny(Denial::Rewritten)));
    steps
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

/// The flows of a guard are undecided; `text` completes "cannot tell without ...".
pub(super) fn obscure(
    gate: &mut Gate,
    chain: ChainId,
    guard: Guard,
    span: Span,
    code: &'static str,
    text: String,
) {
    let step = opaque(gate, span, code, text);
    gate.rule(chain, Rule { guard, step, span });
}

/// A step whose effect is not known; `text` completes "cannot tell without ...".
pub(super) fn opaque(gate: &mut Gate, span: Span, code: &'static str, text: String) -> Step {
    Step::Obscure(gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code,
        identity: Some(text.clone()),
        text,
        span: Some(span),
    }))
}

/// An address or a prefix.
pub(super) fn network(text: &str) -> Option<ipnet::IpNet> {
    match text.split_once('/') {
        Some((base, bits)) => {
            let net = ipnet::IpNet::new(base.parse().ok()?, bits.parse().ok()?).ok()?;
            Some(net.trunc())
        }
        None => Some(ipnet::IpNet::from(text.parse::<IpAddr>().ok()?)),
    }
}

/// The addresses by which a machine asks itself.
pub(super) fn loopback() -> Ranges {
    ["127.0.0.0/8", "::1"]
        .iter()
        .filter_map(|text| network(text))
        .fold(Ranges::empty(), |all, net| all.union(&Ranges::network(net)))
}

/// A stage of the way: [`ACCESS`], [`NAMES`], [`UPSTREAM`] or [`ANSWERS`].
#[derive(Debug, Clone)]
pub(super) struct Hop {
    /// Its name.
    pub(super) name: &'static str,
    /// What it asks.
    pub(super) chain: ChainId,
    /// What happens to lookups that the chain does not decide.
    pub(super) fallback: Effect,
    /// Where that is written.
    pub(super) span: Option<Span>,
    /// In words: "names that no zone covers are asked upstream".
    pub(super) text: String,
}

impl Hop {
    /// A stage whose end is written nowhere.
    pub(super) fn new(name: &'static str, chain: ChainId, fallback: Effect, text: &str) -> Self {
        Self {
            name,
            chain,
            fallback,
            span: None,
            text: text.to_owned(),
        }
    }
}

/// Puts stages into a gate, each leading to the next.
pub(super) fn way(gate: &mut Gate, hops: Vec<Hop>) {
    let last = hops.len().saturating_sub(1);
    for (index, hop) in hops.into_iter().enumerate() {
        let next = u32::try_from(gate.stages.len() + 1).unwrap_or(u32::MAX);
        let edges = if index == last {
            Vec::new()
        } else {
            vec![Edge {
                guard: Guard::Always,
                to: Onward::Stage(StageId(next)),
            }]
        };
        gate.stage(Stage {
            name: hop.name.to_owned(),
            enter: Vec::new(),
            chain: Some(hop.chain),
            fallback: Fallback {
                effect: hop.fallback,
                span: hop.span,
                text: hop.text,
            },
            edges,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Layer;
    use crate::source::Sources;

    fn zone(name: &str, scope: DomainScope, span: Span) -> ZoneRule {
        ZoneRule {
            name: name.to_owned(),
            scope,
            also: None,
            step: deny(Denial::NxDomain),
            span,
        }
    }

    fn span() -> Span {
        let file = Sources::new().add("x", b"x".to_vec()).unwrap();
        Span::new(file, 0, 1)
    }

    #[test]
    fn deeper_zones_come_first_and_the_root_last() {
        let mut gate = Gate::new("x", Layer::Lookup);
        let at = |start: usize| Span {
            start: u32::try_from(start).unwrap(),
            end: u32::try_from(start).unwrap(),
            ..span()
        };
        let chain = deepest_first(
            &mut gate,
            "zones",
            vec![
                zone(".", DomainScope::Tree, at(0)),
                zone("aws.", DomainScope::Tree, at(1)),
                zone("b.chime.aws", DomainScope::Tree, at(2)),
                zone("chime.aws", DomainScope::Tree, at(3)),
                zone("B.chime.aws", DomainScope::Exact, at(4)),
                zone("chime.aws", DomainScope::Tree, at(5)),
            ],
        );
        let order: Vec<u32> = gate.chains[chain.0 as usize]
            .rules
            .iter()
            .map(|rule| rule.span.start)
            .collect();
        assert_eq!(order, [4, 2, 3, 5, 1, 0]);
        assert_eq!(
            gate.chains[0].rules.last().map(|rule| rule.guard.clone()),
            Some(Guard::Always)
        );
    }

    #[test]
    fn a_hundred_thousand_zones_are_a_rule_each() {
        let mut gate = Gate::new("x", Layer::Lookup);
        let at = span();
        let zones = (0..100_000)
            .map(|n| {
                zone(
                    &format!("ads{n}.example{}.com", n % 977),
                    DomainScope::Tree,
                    at,
                )
            })
            .collect();
        let chain = deepest_first(&mut gate, "zones", zones);
        assert_eq!(gate.chains[chain.0 as usize].rules.len(), 100_000);
    }

    #[test]
    fn a_way_leads_from_stage_to_stage() {
        let mut gate = Gate::new("x", Layer::Lookup);
        let hops = [NAMES, ANSWERS]
            .map(|name| Hop {
                name,
                chain: gate.chain(name),
                fallback: Effect::Allow,
                span: None,
                text: String::new(),
            })
            .to_vec();
        way(&mut gate, hops);
        assert_eq!(gate.stages[0].edges[0].to, Onward::Stage(StageId(1)));
        assert!(gate.stages[1].edges.is_empty());
    }
}
