//! In: `private-address`, `private-domain`, `response-ip`. Out: the stage of answers: which addresses do not get through.
//!
//! unbound.conf(5): private addresses are taken out of answers, unless the name that they belong to lies in a private
//! domain; `response-ip` acts as soon as one address of the answer lies in the netblock, the most specific one first.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::{Lowering, netblock, zone_name};
use crate::config::dns::{self, ANSWERS, TYPE_A, TYPE_AAAA};
use crate::model::{
    ChainId, Denial, Dim, DomainScope, Guard, Ranges, Rule, Step, Test, TextSet, address,
};
use crate::source::Span;

/// The chain of the stage.
pub(super) fn chain(lowering: &mut Lowering<'_>) -> ChainId {
    let chain = lowering.gate.chain(ANSWERS);
    for rule in private(lowering) {
        lowering.gate.rule(chain, rule);
    }
    for rule in by_address(lowering) {
        lowering.gate.rule(chain, rule);
    }
    chain
}

/// Answers whose addresses are all taken out.
fn private(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let (mut v4, mut v6) = (Ranges::empty(), Ranges::empty());
    let mut spans: Vec<(Span, Ranges)> = Vec::new();
    let mut wrong = Vec::new();
    for entry in lowering.list("private-address") {
        let Some((net, _)) = netblock(entry.value(0)) else {
            wrong.push((format!("`{}` is no netblock", entry.value(0)), entry.span));
            continue;
        };
        v4 = v4.union(&net.intersect(&Ranges::ipv4()));
        v6 = v6.union(&net.intersect(&Ranges::ipv6()));
        spans.push((entry.span, net));
    }
    for (why, span) in wrong {
        lowering.refuses(why, span, None);
    }
    let exempt = exempt(lowering);
    let mut rules = Vec::new();
    for (kind, net) in [(TYPE_A, &v4), (TYPE_AAAA, &v6)] {
        if net.is_empty() {
            continue;
        }
        let mut rule = |net: &Ranges, span: Span| {
            let mut guards = vec![dns::query_type([kind]), dns::every_address(net)];
            guards.extend(exempt.clone().map(Guard::negated));
            rules.push(Rule {
                guard: Guard::All(guards),
                step: dns::deny(Denial::NoData),
                span,
            });
        };
        // One netblock after the other names the line; several together may empty an answer that no single one does.
        let mut last = None;
        for (span, one) in &spans {
            if one.meets(net) {
                rule(one, *span);
                last = Some(*span);
            }
        }
        if let Some(span) = last
            && spans.len() > 1
        {
            rule(net, span);
        }
    }
    rules
}

/// The records belong to a name in a private domain: the alias's target, or without an alias the name itself.
fn exempt(lowering: &mut Lowering<'_>) -> Option<Guard> {
    let domains: Vec<String> = lowering
        .list("private-domain")
        .iter()
        .map(|entry| zone_name(entry.value(0)))
        .collect();
    if domains.is_empty() {
        return None;
    }
    let gate = &mut lowering.gate;
    let none = gate.text(TextSet::Literal("".into()));
    let no_alias = Guard::Is(Test::Text(Dim::Alias, none));
    let mut any = Vec::new();
    for domain in &domains {
        let host = dns::host(gate, domain, DomainScope::Tree);
        any.push(Guard::All(vec![no_alias.clone(), host]));
        let alias = dns::alias(gate, domain, DomainScope::Tree);
        any.push(Guard::All(vec![no_alias.clone().negated(), alias]));
    }
    Some(Guard::AnyOf(any))
}

/// `response-ip`: the action of the most specific netblock.
fn by_address(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let mut blocks = Vec::new();
    let mut wrong = Vec::new();
    for entry in lowering.list("response-ip") {
        let Some((net, bits)) = netblock(entry.value(0)) else {
            wrong.push((format!("`{}` is no netblock", entry.value(0)), entry.span));
            continue;
        };
        match step(lowering, entry.value(1), &net) {
            Some(step) => blocks.push((Reverse(bits), net, step, entry.span)),
            None => wrong.push((
                format!("`{}` is no action for answers", entry.value(1)),
                entry.span,
            )),
        }
    }
    let tags = lowering.list("response-ip-tag").to_vec();
    let mut rules = Vec::new();
    for entry in &tags {
        let text = format!("which clients have the tags `{}`", entry.value(1));
        rules.push(lowering.obscure(Guard::Always, "tag", text, entry.span));
    }
    for (why, span) in wrong {
        lowering.refuses(why, span, None);
    }
    blocks.sort_by_key(|(bits, ..)| *bits);
    rules.extend(blocks.into_iter().map(|(_, net, step, span)| Rule {
        guard: dns::any_address(net),
        step,
        span,
    }));
    rules
}

fn step(lowering: &Lowering<'_>, word: &str, net: &Ranges) -> Option<Step> {
    Some(match word {
        "deny" | "inform_deny" => dns::deny(Denial::Fails),
        "always_refuse" => dns::deny(Denial::Refused),
        "always_nxdomain" => dns::deny(Denial::NxDomain),
        "inform" | "always_transparent" => dns::allow(),
        "redirect" => {
            let replaced = lowering.list("response-ip-data").iter().find_map(|entry| {
                let (block, _) = netblock(entry.value(0))?;
                let data = entry.value(1).split_ascii_whitespace().last()?;
                let ip: IpAddr = data.parse().ok()?;
                (block == *net).then(|| address(ip))
            });
            // Without data for the type the answer is empty.
            dns::deny(if replaced.is_some() {
                Denial::Rewritten
            } else {
                Denial::NoData
            })
        }
        _ => return None,
    })
}
