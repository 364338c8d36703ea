//! In: a view's answer filters. Out: the chain of what is done to answers that others gave.
//!
//! In the order in which named applies them: `deny-answer-addresses` and `deny-answer-aliases` (the resolver gives
//! SERVFAIL), DNS64 where it replaces AAAA records, the filter-aaaa and filter-a plugins, response policy zones. Of
//! several policy zones the first with a match decides; in one zone client addresses come first, then names, then
//! addresses of the answer.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::dns::{
    TYPE_A, TYPE_AAAA, ZoneRule, alias, allow, any_address, deepest_first, deny, every_address,
    fixed, obscure, opaque, query_type,
};
use super::acl::Lists;
use super::lower::in_trees;
use super::masterfile::Records;
use super::names;
use super::scene::{Context, Scene, flag, name_list};
use super::syntax::{Block, Statement};
use crate::model::{ChainId, Denial, Dim, DomainScope, Gate, Guard, Ranges, Rule, Step, TextSet};
use crate::source::Span;

/// The chain of a view's answer filters.
pub(super) fn chain(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
) -> ChainId {
    let chain = gate.chain("answers");
    deny_answers(gate, lists, chain, scene);
    for name in ["dnssec-must-be-secure", "root-delegation-only"] {
        if let Some(clause) = scene.get(name) {
            let text = format!("what `{name}` does to these answers");
            obscure(gate, chain, Guard::Always, clause.span, "filter", text);
        }
    }
    for clause in scene.all("dns64") {
        dns64(gate, lists, chain, clause);
    }
    for plugin in scene.plugins {
        self::plugin(gate, lists, chain, plugin);
    }
    if let Some(clause) = scene.get("response-policy") {
        policies(gate, context, chain, scene, clause);
    }
    chain
}

fn rule(gate: &mut Gate, chain: ChainId, guard: Guard, step: Step, span: Span) {
    gate.rule(chain, Rule { guard, step, span });
}

fn deny_answers(gate: &mut Gate, lists: &mut Lists<'_>, chain: ChainId, scene: Scene<'_>) {
    if let Some(clause) = scene.get("deny-answer-addresses") {
        let exempt = clause.blocks().nth(1).map(name_list).unwrap_or_default();
        let exempt = in_trees(gate, &exempt).negated();
        match lists.clause(gate, clause).exact() {
            Some(nets) => {
                for (kind, family) in [(TYPE_A, Ranges::ipv4()), (TYPE_AAAA, Ranges::ipv6())] {
                    let nets = nets.intersect(&family);
                    if !nets.is_empty() {
                        let guard =
                            Guard::All(vec![query_type([kind]), any_address(nets), exempt.clone()]);
                        rule(gate, chain, guard, deny(Denial::Fails), clause.span);
                    }
                }
            }
            None => obscure(
                gate,
                chain,
                exempt,
                clause.span,
                "filter",
                "the addresses of `deny-answer-addresses`".to_owned(),
            ),
        }
    }
    if let Some(clause) = scene.get("deny-answer-aliases") {
        let mut blocks = clause.blocks().map(name_list);
        let targets = blocks.next().unwrap_or_default();
        let exempt = in_trees(gate, &blocks.next().unwrap_or_default()).negated();
        let targets = targets
            .iter()
            .map(|name| alias(gate, name, DomainScope::Tree))
            .collect();
        let guard = Guard::All(vec![Guard::AnyOf(targets), exempt]);
        rule(gate, chain, guard, deny(Denial::Fails), clause.span);
    }
}

/// DNS64 makes AAAA records where there are none, or where all are excluded.
fn dns64(gate: &mut Gate, lists: &mut Lists<'_>, chain: ChainId, clause: &Statement) {
    let Some(block) = clause.block() else {
        return;
    };
    let part = |name: &str| {
        block
            .statements
            .iter()
            .find(|statement| statement.keyword() == name)
    };
    let Some(exclude) = part("exclude") else {
        // The default excludes mapped addresses, which no answer has.
        return;
    };
    let clients = part("clients").map_or(Guard::Always, |part| lists.clause(gate, part).guard());
    let excluded = match lists.clause(gate, exclude).exact() {
        Some(nets) => every_address(&nets),
        None => Guard::Always,
    };
    let guard = Guard::All(vec![query_type([TYPE_AAAA]), clients, excluded]);
    rule(gate, chain, guard, deny(Denial::Rewritten), clause.span);
}

/// filter-aaaa.so and filter-a.so; what any other plugin does is not known.
fn plugin(gate: &mut Gate, lists: &mut Lists<'_>, chain: ChainId, statement: &Statement) {
    let path = statement
        .word(2)
        .map(|word| word.text.clone())
        .unwrap_or_default();
    let file = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".so");
    let (kind, list, families) = match file {
        "filter-aaaa" => (
            TYPE_AAAA,
            "filter-aaaa",
            [
                ("filter-aaaa-on-v4", Ranges::ipv4()),
                ("filter-aaaa-on-v6", Ranges::ipv6()),
            ],
        ),
        "filter-a" => (
            TYPE_A,
            "filter-a",
            [
                ("filter-a-on-v4", Ranges::ipv4()),
                ("filter-a-on-v6", Ranges::ipv6()),
            ],
        ),
        _ => {
            let text = format!("what the plugin `{path}` does");
            return obscure(gate, chain, Guard::Always, statement.span, "plugin", text);
        }
    };
    let empty = Block {
        statements: Vec::new(),
        span: statement.span,
    };
    let block = statement.block().unwrap_or(&empty);
    let clause = |name: &str| {
        block
            .statements
            .iter()
            .find(|clause| clause.keyword() == name)
    };
    // The list's own default is everybody (filter-aaaa.c).
    let clients = clause(list).map_or(Guard::Always, |clause| lists.clause(gate, clause).guard());
    for (name, family) in families {
        let Some(clause) = clause(name) else {
            continue;
        };
        let breaks = clause
            .word(1)
            .is_some_and(|word| word.text.eq_ignore_ascii_case("break-dnssec"));
        if flag(clause) == Some(false) {
            continue;
        }
        let guard = Guard::All(vec![
            query_type([kind]),
            Guard::number(Dim::Source, family),
            clients.clone(),
        ]);
        let step = if flag(clause) == Some(true) || breaks {
            deny(Denial::NoData)
        } else {
            opaque(
                gate,
                clause.span,
                "plugin",
                format!("what `{name}` is set to"),
            )
        };
        rule(gate, chain, guard, step, clause.span);
    }
}

/// `response-policy { zone "z" policy ...; };`
fn policies(
    gate: &mut Gate,
    context: &mut Context<'_>,
    chain: ChainId,
    scene: Scene<'_>,
    clause: &Statement,
) {
    let Some(block) = clause.block() else {
        return;
    };
    for entry in &block.statements {
        let Some(name) = entry.word(1) else { continue };
        let name = name.text.trim_matches('.').to_ascii_lowercase();
        let forced = forced(entry);
        if matches!(&forced, Some(Policy::Disabled)) {
            continue;
        }
        let zone = gate.chain(format!("response policy zone {name}"));
        match names::policy_zone(context, scene, &name) {
            Ok(names) => policy_zone(gate, zone, &name, &names, forced.as_ref()),
            // Whatever is in it lets pass.
            Err(_) if matches!(&forced, Some(Policy::Pass)) => {
                let text = format!("the names in response policy zone `{name}`");
                passes_or_goes_on(gate, zone, entry.span, text);
            }
            Err(missing) => obscure(gate, zone, Guard::Always, entry.span, "rpz", missing),
        }
        rule(gate, chain, Guard::Always, Step::Call(zone), entry.span);
    }
}

/// An exemption for names that are not known: only later filters are undecided by it.
fn passes_or_goes_on(gate: &mut Gate, chain: ChainId, span: Span, text: String) {
    let unknown = gate.unknown(crate::model::Unknown {
        kind: crate::model::UnknownKind::Opaque,
        code: "rpz",
        identity: Some(text.clone()),
        text,
        span: Some(span),
    });
    rule(gate, chain, Guard::Unknown(unknown), allow(), span);
}

/// What a trigger does.
#[derive(Debug, Clone)]
enum Policy {
    Disabled,
    Pass,
    Deny(Denial),
    /// Other records: by type, else no data.
    Data,
}

/// `policy nxdomain` and friends: every trigger of the zone does this.
fn forced(entry: &Statement) -> Option<Policy> {
    let words: Vec<String> = entry
        .words()
        .map(|word| word.text.to_ascii_lowercase())
        .collect();
    let at = words.iter().position(|word| word == "policy")?;
    match words.get(at + 1)?.as_str() {
        "disabled" => Some(Policy::Disabled),
        "passthru" | "no-op" | "tcp-only" => Some(Policy::Pass),
        "nxdomain" => Some(Policy::Deny(Denial::NxDomain)),
        "nodata" => Some(Policy::Deny(Denial::NoData)),
        "drop" => Some(Policy::Deny(Denial::Drop)),
        "cname" => Some(Policy::Deny(Denial::Rewritten)),
        _ => None,
    }
}

fn policy(records: &Records) -> Policy {
    match records.cname.as_deref() {
        Some("") => Policy::Deny(Denial::NxDomain),
        Some("*") => Policy::Deny(Denial::NoData),
        // Over TCP the answer comes, and every client falls back to it.
        Some("rpz-passthru" | "rpz-tcp-only") => Policy::Pass,
        Some("rpz-drop") => Policy::Deny(Denial::Drop),
        Some(_) => Policy::Deny(Denial::Rewritten),
        None => Policy::Data,
    }
}

fn policy_zone(
    gate: &mut Gate,
    chain: ChainId,
    zone: &str,
    names: &super::masterfile::Names,
    forced: Option<&Policy>,
) {
    let (mut clients, mut answers) = (Vec::new(), Vec::new());
    let (mut asked, mut targets) = (Vec::new(), Vec::new());
    for (name, records) in names {
        let Some(trigger) = name
            .strip_suffix(zone)
            .and_then(|rest| rest.strip_suffix('.'))
        else {
            continue;
        };
        let steps = match forced.cloned().unwrap_or_else(|| policy(records)) {
            Policy::Disabled => continue,
            Policy::Pass => vec![(None, allow())],
            Policy::Deny(denial) => vec![(None, deny(denial))],
            Policy::Data => data(gate, records),
        };
        let span = records.span;
        if let Some(encoded) = trigger.strip_suffix(".rpz-client-ip") {
            if let Some(net) = encoded_net(encoded) {
                clients.push((net, steps, span));
            }
        } else if let Some(encoded) = trigger.strip_suffix(".rpz-ip") {
            if let Some(net) = encoded_net(encoded) {
                answers.push((net, steps, span));
            }
        } else if trigger.ends_with(".rpz-nsdname") || trigger.ends_with(".rpz-nsip") {
            let text = "the name servers of these names (`rpz-nsdname`, `rpz-nsip`)".to_owned();
            obscure(gate, chain, Guard::Always, span, "rpz", text);
        } else {
            let (owner, scope) = match trigger.strip_prefix("*.") {
                Some(parent) => (parent, DomainScope::Below),
                None if trigger == "*" => ("", DomainScope::Below),
                None => (trigger, DomainScope::Exact),
            };
            for (also, step) in steps {
                asked.push(ZoneRule {
                    name: owner.to_owned(),
                    scope,
                    also: also.clone(),
                    step: step.clone(),
                    span,
                });
                targets.push((owner.to_owned(), scope, also, step, span));
            }
        }
    }
    // The longest prefix decides.
    clients.sort_by_key(|(net, ..)| std::cmp::Reverse(net.prefix_len()));
    for (net, steps, span) in clients {
        for (also, step) in steps {
            let client = Guard::number(Dim::Source, Ranges::network(net));
            rule(gate, chain, both(client, also), step, span);
        }
    }
    let asked = deepest_first(gate, "policy names", asked);
    if let Some(first) = names.values().next() {
        rule(gate, chain, Guard::Always, Step::Call(asked), first.span);
    }
    targets.sort_by(|a, b| {
        let depth = |name: &str| name.split('.').count();
        depth(&b.0).cmp(&depth(&a.0)).then(a.1.cmp(&b.1))
    });
    for (owner, scope, also, step, span) in targets {
        let target = alias(gate, &owner, scope);
        // No alias at all is the empty word, which lies below the root of the table.
        let none = gate.text(TextSet::Literal("".into()));
        let target = Guard::All(vec![
            target,
            Guard::Is(crate::model::Test::Text(Dim::Alias, none)).negated(),
        ]);
        rule(gate, chain, both(target, also), step, span);
    }
    answers.sort_by_key(|(net, ..)| std::cmp::Reverse(net.prefix_len()));
    for (net, steps, span) in answers {
        let kind = match net {
            IpNet::V4(_) => TYPE_A,
            IpNet::V6(_) => TYPE_AAAA,
        };
        for (also, step) in steps {
            let guard = Guard::All(vec![query_type([kind]), any_address(Ranges::network(net))]);
            rule(gate, chain, both(guard, also), step, span);
        }
    }
}

fn both(guard: Guard, also: Option<Guard>) -> Guard {
    match also {
        Some(also) => Guard::All(vec![guard, also]),
        None => guard,
    }
}

/// Records in place of the answer's.
fn data(gate: &mut Gate, records: &Records) -> Vec<(Option<Guard>, Step)> {
    let a: Vec<IpAddr> = records.a.iter().copied().map(IpAddr::from).collect();
    let aaaa: Vec<IpAddr> = records.aaaa.iter().copied().map(IpAddr::from).collect();
    let mut steps = fixed(gate, TYPE_A, &a, records.span);
    steps.extend(fixed(gate, TYPE_AAAA, &aaaa, records.span));
    let mut steps: Vec<_> = steps
        .into_iter()
        .map(|(guard, step)| (Some(guard), step))
        .collect();
    steps.push((None, deny(Denial::NoData)));
    steps
}

/// `18.0.128.77.99`: prefix length, then the address from its last part on; `zz` is `::`.
fn encoded_net(encoded: &str) -> Option<IpNet> {
    let (bits, rest) = encoded.split_once('.')?;
    let mut parts: Vec<&str> = rest.split('.').collect();
    parts.reverse();
    let address: IpAddr = if parts.len() == 4 && !parts.contains(&"zz") {
        parts.join(".").parse().ok()?
    } else {
        let text = parts.join(":").replace("zz", "");
        let text = match (text.starts_with(':'), text.ends_with(':')) {
            (true, _) => format!(":{text}"),
            (_, true) => format!("{text}:"),
            (false, false) => text,
        };
        text.parse().ok()?
    };
    IpNet::new(address, bits.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_policy_triggers_are_decoded() {
        for (encoded, net) in [
            ("18.0.128.77.99", "99.77.128.0/18"),
            ("32.1.0.0.10", "10.0.0.1/32"),
            ("48.zz.2.2001", "2001:2::/48"),
            ("128.1.zz", "::1/128"),
        ] {
            assert_eq!(
                encoded_net(encoded),
                Some(net.parse().unwrap()),
                "{encoded}"
            );
        }
    }
}
