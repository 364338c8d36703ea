//! In: the `server`, `local` and `address` options. Out: the chain of what is done with each domain.
//!
//! The longest domain that has something for the record type decides, whatever the order of the options (`lookup_domain` in
//! domain-match.c). Within one domain: a literal IPv6 or IPv4 address for its own type, zero addresses, the standard
//! servers, a server, and last "known here only". A domain without anything for the type is passed over for a shorter one.
//! Of `d` and `*d` the plain one decides at a label's start.

use std::collections::BTreeMap;

use super::super::dns::{self, TYPE_A, TYPE_AAAA, allow, deny, obscure, query_type};
use super::hosts::fixed;
use super::lower::{Servers, forward};
use super::parse::{Action, Config, Target};
use crate::model::{
    ChainId, Denial, Dim, DomainScope, Gate, Guard, Lang, Rule, Step, Test, TextSet,
};

/// The chain of the domains, longest first.
pub(super) fn chain(gate: &mut Gate, config: &Config, servers: &Servers) -> ChainId {
    let mut groups: BTreeMap<(usize, &str, bool), Vec<&Target>> = BTreeMap::new();
    for target in &config.targets {
        groups
            .entry((target.domain.len(), &target.domain, target.wildcard))
            .or_default()
            .push(target);
    }
    let local = local_names(config);
    let chain = gate.chain("domains");
    let mut order: Vec<_> = groups.into_iter().collect();
    // Longest first; plain before wildcard.
    order.sort_by(|(a, _), (b, _)| b.0.cmp(&a.0).then(a.2.cmp(&b.2)).then(a.1.cmp(b.1)));
    for ((_, domain, wildcard), group) in order {
        let Some(host) = host(gate, domain, wildcard) else {
            for target in group.iter().take(1) {
                let text = format!("which names end with `{domain}`");
                obscure(gate, chain, Guard::Always, target.span, "domain", text);
            }
            continue;
        };
        // A server without a domain belongs to all names that nothing else takes.
        for (kind, v6) in [(TYPE_AAAA, true), (TYPE_A, false)] {
            domain_for(gate, chain, &host, kind, v6, &group, servers, &local);
        }
    }
    chain
}

#[expect(
    clippy::too_many_arguments,
    reason = "one rule of the table, with everything that it is made of"
)]
fn domain_for(
    gate: &mut Gate,
    chain: ChainId,
    host: &Guard,
    kind: u128,
    v6: bool,
    group: &[&Target],
    servers: &Servers,
    local: &[String],
) {
    let literals: Vec<_> = group
        .iter()
        .filter_map(|target| match target.action {
            Action::V6(ip) if v6 => Some((target.span, std::net::IpAddr::from(ip))),
            Action::V4(ip) if !v6 => Some((target.span, std::net::IpAddr::from(ip))),
            Action::V6(_)
            | Action::V4(_)
            | Action::Zeros
            | Action::Standard
            | Action::Ask
            | Action::Nothing => None,
        })
        .collect();
    if let Some((span, _)) = literals.first() {
        let addresses: Vec<_> = literals.iter().map(|(_, ip)| *ip).collect();
        fixed(gate, chain, host, kind, &addresses, *span);
        return;
    }
    let has = |action: &Action| group.iter().find(|target| target.action == *action);
    let (target, step) = if let Some(target) = has(&Action::Zeros) {
        (target, deny(Denial::Rewritten))
    } else if let Some(target) = has(&Action::Standard) {
        (target, forward(servers))
    } else if let Some(target) = has(&Action::Ask) {
        (target, allow())
    } else if let Some(target) = has(&Action::Nothing) {
        // A server from resolv.conf has the empty domain too, and wins there.
        if target.domain.is_empty() && !target.wildcard && !matches!(servers, Servers::None) {
            return;
        }
        let other_type = group
            .iter()
            .any(|target| matches!(target.action, Action::V4(_) | Action::V6(_)));
        if !other_type {
            known_names(gate, chain, host, kind, target, local);
        }
        let denial = if other_type {
            Denial::NoData
        } else {
            Denial::NxDomain
        };
        (target, deny(denial))
    } else {
        return;
    };
    push(gate, chain, host, kind, step, target);
}

fn push(gate: &mut Gate, chain: ChainId, host: &Guard, kind: u128, step: Step, target: &Target) {
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(vec![host.clone(), query_type([kind])]),
            step,
            span: target.span,
        },
    );
}

/// Names with some record of their own exist: no data instead of no such name.
fn known_names(
    gate: &mut Gate,
    chain: ChainId,
    host: &Guard,
    kind: u128,
    target: &Target,
    local: &[String],
) {
    for name in local {
        let inside = name == &target.domain
            || name
                .strip_suffix(target.domain.as_str())
                .is_some_and(|rest| rest.ends_with('.') || target.wildcard);
        if inside {
            let exact = dns::host(gate, name, DomainScope::Exact);
            let both = Guard::All(vec![host.clone(), exact]);
            push(gate, chain, &both, kind, deny(Denial::NoData), target);
        }
    }
}

/// Names that are known from host records; a bound keeps block lists of hosts from being multiplied.
fn local_names(config: &Config) -> Vec<String> {
    config
        .all("host-record")
        .flat_map(super::syntax::Line::parts)
        .filter(|part| part.parse::<std::net::IpAddr>().is_err())
        .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
        .chain(config.hosts.iter().map(|entry| entry.name.clone()))
        .take(1_000)
        .collect()
}

/// The names of a domain; `None` where they are no language that can be built.
fn host(gate: &mut Gate, domain: &str, wildcard: bool) -> Option<Guard> {
    if !wildcard {
        return Some(dns::host(gate, domain, DomainScope::Tree));
    }
    if let Some(parent) = domain.strip_prefix('.') {
        return Some(dns::host(gate, parent, DomainScope::Below));
    }
    let pattern = format!("(?s-u:.)*{}", regex_syntax::escape(domain));
    let lang = Lang::pattern(&pattern).ok()?;
    let text = gate.text(TextSet::Lang(lang));
    Some(Guard::Is(Test::Text(Dim::Host, text)))
}
