//! In: interfaces, netblocks and who may ask. Out: the first stage: whether a client reaches the daemon and is served.
//!
//! unbound.conf(5), `access-control`: the most specific netblock wins, whatever the order; of the same netblock the last
//! one. Only loopback is allowed by default, all others are refused. `interface:` is loopback by default.

use std::collections::BTreeMap;

use super::{Lowering, netblock};
use crate::config::dns::{self, ACCESS};
use crate::model::{ChainId, ClientGroup, Denial, Dim, Guard, Ranges, Rule, Step};
use crate::source::Span;

/// The chain of the stage.
pub(super) fn chain(lowering: &mut Lowering<'_>) -> ChainId {
    let chain = lowering.gate.chain(ACCESS);
    for rule in missing_files(lowering) {
        lowering.gate.rule(chain, rule);
    }
    for rule in reachable(lowering) {
        lowering.gate.rule(chain, rule);
    }
    for rule in per_client(lowering) {
        lowering.gate.rule(chain, rule);
    }
    for rule in netblocks(lowering) {
        lowering.gate.rule(chain, rule);
    }
    chain
}

/// A file that is not there may say anything.
fn missing_files(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let config = lowering.config;
    config
        .missing
        .iter()
        .map(|(_, missing)| {
            lowering.obscure(
                Guard::Always,
                "include",
                format!("the file `{}`", missing.value),
                missing.span,
            )
        })
        .collect()
}

/// Clients that cannot reach any socket.
fn reachable(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(udp) = lowering.scalar("do-udp")
        && udp.value(0) == "no"
    {
        rules.push(Rule {
            guard: Guard::Always,
            step: dns::deny(Denial::Unreachable),
            span: udp.span,
        });
    }
    let (open, span) = listening(lowering);
    if let Some(open) = open {
        rules.push(Rule {
            guard: Guard::number(Dim::Source, open.complement()),
            step: dns::deny(Denial::Unreachable),
            span,
        });
    }
    rules
}

/// The clients that some socket can hear, where not all of them can; and the line that says so.
fn listening(lowering: &Lowering<'_>) -> (Option<Ranges>, Span) {
    let nowhere = Span::new(lowering.file, 0, 0);
    if lowering.says("interface-automatic", false) {
        return (None, nowhere);
    }
    let mut interfaces: Vec<_> = lowering
        .list("interface")
        .iter()
        .chain(lowering.list("ip-address"))
        .collect();
    interfaces.sort_by_key(|entry| entry.order);
    let Some(first) = interfaces.first() else {
        return (Some(loopback()), nowhere);
    };
    let mut open = Ranges::empty();
    for entry in &interfaces {
        let address = entry.value(0).split('@').next().unwrap_or_default();
        open = open.union(&match address.parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_loopback() => loopback(),
            Ok(ip) if ip.is_ipv4() => Ranges::ipv4(),
            Ok(_) => Ranges::ipv6(),
            Err(_) if address == "lo" => loopback(),
            // The name of an interface: its addresses are not known, both families may be.
            Err(_) => Ranges::full(),
        });
    }
    if open.is_full() {
        (None, first.span)
    } else {
        (Some(open.union(&loopback())), first.span)
    }
}

/// Addresses of the machine itself.
fn loopback() -> Ranges {
    ["127.0.0.0/8", "::1"]
        .iter()
        .filter_map(|text| netblock(text))
        .fold(Ranges::empty(), |all, (net, _)| all.union(&net))
}

/// Views and tags by client or interface: local zones then differ from client to client.
fn per_client(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let mut found = Vec::new();
    for name in ["access-control-view", "interface-view"] {
        for entry in lowering.list(name) {
            let guard = if name == "access-control-view" {
                match netblock(entry.value(0)) {
                    Some((net, _)) => Guard::number(Dim::Source, net),
                    None => Guard::Always,
                }
            } else {
                Guard::Always
            };
            let text = format!("a model of the view `{}`", entry.value(1));
            found.push((guard, text, entry.span));
        }
    }
    found
        .into_iter()
        .map(|(guard, text, span)| lowering.obscure(guard, "view", text, span))
        .collect()
}

/// A netblock's effect.
struct Block {
    net: Ranges,
    action: Action,
    span: Span,
}

enum Action {
    Allow,
    Deny(Denial),
    /// Local zones and data answer, all else is denied.
    LocalOnly(Denial),
    /// Not modelled.
    Open(String),
}

fn netblocks(lowering: &mut Lowering<'_>) -> Vec<Rule> {
    let nowhere = Span::new(lowering.file, 0, 0);
    // By how many bits count, most first, and then by address: the last one of the same netblock stays.
    let mut blocks: BTreeMap<(std::cmp::Reverse<u8>, Option<u128>), Block> = BTreeMap::new();
    let mut put = |net: Ranges, bits: u8, action: Action, span: Span| {
        let bits = if net.is_subset(&Ranges::ipv4()) {
            bits.saturating_add(if bits <= 32 { 96 } else { 0 })
        } else {
            bits
        };
        let first = net.ranges().first().map(|range| range.low());
        blocks.insert(
            (std::cmp::Reverse(bits), first),
            Block { net, action, span },
        );
    };
    for (text, action) in [
        ("0.0.0.0/0", Action::Deny(Denial::Refused)),
        ("::/0", Action::Deny(Denial::Refused)),
        ("127.0.0.0/8", Action::Allow),
        ("::1", Action::Allow),
    ] {
        if let Some((net, bits)) = netblock(text) {
            put(net, bits, action, nowhere);
        }
    }
    let mut refused = Vec::new();
    let mut groups = Vec::new();
    for entry in lowering.list("access-control") {
        let Some((net, bits)) = netblock(entry.value(0)) else {
            refused.push((format!("`{}` is no netblock", entry.value(0)), entry.span));
            continue;
        };
        let Some(action) = action(entry.value(1)) else {
            refused.push((
                format!("`{}` is no action for a netblock", entry.value(1)),
                entry.span,
            ));
            continue;
        };
        if matches!(action, Action::Allow) && !net.is_subset(&loopback()) {
            groups.push(ClientGroup {
                name: entry.value(0).to_owned(),
                sources: net.clone(),
                interface: None,
                span: Some(entry.span),
            });
        }
        put(net, bits, action, entry.span);
    }
    for (why, span) in refused {
        lowering.refuses(why, span, None);
    }
    name_groups(lowering, groups);
    let local_only = |block: &Block| matches!(block.action, Action::LocalOnly(_));
    if blocks.values().any(local_only) {
        lowering.beyond_local = blocks.values().map(beyond_local).collect();
    }
    let mut rules: Vec<Rule> = blocks
        .into_values()
        .map(|block| {
            let guard = Guard::number(Dim::Source, block.net);
            match block.action {
                Action::Allow | Action::LocalOnly(_) => Rule {
                    guard,
                    step: dns::allow(),
                    span: block.span,
                },
                Action::Deny(denial) => Rule {
                    guard,
                    step: dns::deny(denial),
                    span: block.span,
                },
                Action::Open(text) => lowering.obscure(guard, "access", text, block.span),
            }
        })
        .collect();
    for entry in lowering.list("interface-action").to_vec() {
        let text = format!(
            "which clients come in by the interface `{}`",
            entry.value(0)
        );
        rules.insert(
            0,
            lowering.obscure(Guard::Always, "interface", text, entry.span),
        );
    }
    rules
}

/// What a netblock may ask beyond the local zones.
fn beyond_local(block: &Block) -> Rule {
    Rule {
        guard: Guard::number(Dim::Source, block.net.clone()),
        step: match block.action {
            Action::LocalOnly(denial) => dns::deny(denial),
            Action::Allow | Action::Deny(_) | Action::Open(_) => Step::Return,
        },
        span: block.span,
    }
}

/// Who its clients may be: the netblocks it serves, or the machine itself.
fn name_groups(lowering: &mut Lowering<'_>, groups: Vec<ClientGroup>) {
    let (open, span) = listening(lowering);
    let heard = |group: &ClientGroup| open.as_ref().is_none_or(|open| group.sources.meets(open));
    let mut kept: Vec<ClientGroup> = groups.into_iter().filter(|group| heard(group)).collect();
    if kept.is_empty() {
        lowering.gate.assumptions.push(
            "unbound serves its own machine only: nobody else can reach it or is allowed"
                .to_owned(),
        );
        lowering.finding(
            "unbound/loopback-only",
            "Only this machine can ask: other clients reach no socket, or are not allowed",
            "no `interface:` beyond loopback, or no netblock beyond it is allowed",
            span,
        );
        kept.push(ClientGroup {
            name: "this machine".to_owned(),
            sources: loopback(),
            interface: None,
            span: Some(span),
        });
    }
    lowering.gate.groups = kept;
}

/// `access-control` actions.
fn action(word: &str) -> Option<Action> {
    Some(match word {
        "allow" | "allow_snoop" | "allow_setrd" => Action::Allow,
        "refuse" => Action::Deny(Denial::Refused),
        "refuse_non_local" => Action::LocalOnly(Denial::Refused),
        "deny" => Action::Deny(Denial::Fails),
        "deny_non_local" => Action::LocalOnly(Denial::Fails),
        "allow_cookie" => Action::Open("whether the client sends DNS cookies".to_owned()),
        _ => return None,
    })
}
