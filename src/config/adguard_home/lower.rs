//! In: a [`Config`]. Out: its reading: one gate, settings, facts.
//!
//! In this order: who may ask, disallowed names, AAAA switched off, rewrites, then the filters (exempting lists, important
//! exceptions, important rules, exceptions, rules, hosts) and blocked services; the target of an alias meets the filters
//! again. Queries are forwarded with the OPT record that the client sends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::dns::{
    self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, NAMES, TYPE_A, TYPE_AAAA, any_address,
    deny, network, obscure, opaque, query_type, way,
};
use super::super::{DialectFinding, Input, Reading};
use super::REFUSED;
use super::parse::{Config, flag};
use super::rules::{Pattern, Rule as Filter};
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, DomainScope, Effect, Gate, Guard, Layer, Ranges, Rule, Step,
};
use crate::source::{Span, Spanned};
use crate::yaml::Yaml;

/// The reading of a config.
pub(super) fn lower(input: &Input<'_>, config: &Config) -> Reading {
    let whole = Span::new(input.file, 0, 0);
    let mut reading = Reading {
        statements: 1,
        understood: 1,
        companions: config.companions.clone(),
        role: Some("filtering forwarder".to_owned()),
        ..Reading::default()
    };
    if let Some(broken) = &config.broken {
        reading.findings.push(DialectFinding {
            id: REFUSED,
            title: "AdGuard Home does not start: the file is no YAML".to_owned(),
            label: broken.clone(),
            related: Vec::new(),
            help: None,
            fix: None,
            refuses: true,
        });
    }
    let mut gate = Gate::new("adguard-home", Layer::Lookup);
    let access = access(&mut gate, config);
    let names = names(&mut gate, config, whole, &mut reading.assumptions);
    let answers = answers(&mut gate, config);
    let hop = |name, chain, text| Hop::new(name, chain, Effect::Allow, text);
    way(
        &mut gate,
        vec![
            hop(ACCESS, access, "the client may ask"),
            hop(NAMES, names, "the name goes to the upstream servers"),
            hop(ANSWERS, answers, "no filter takes the answer"),
        ],
    );
    behaviour(config).report(&mut reading);
    reading
        .assumptions
        .push("AdGuard Home does what its documents say: no release was asked".to_owned());
    if flag(config.dns("hostsfile_enabled"), true) {
        reading
            .assumptions
            .push("`/etc/hosts` names none of the service's hosts".to_owned());
    }
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

/// The addresses of a list of clients, and whether that is all of them.
fn clients(list: Option<&Yaml>) -> (Ranges, bool) {
    let mut all = Ranges::empty();
    let mut sure = true;
    for item in list.map_or(&[][..], |list| list.items(&[])) {
        match item.text(&[]).and_then(network) {
            Some(net) => all = all.union(&Ranges::network(net)),
            None => sure = false,
        }
    }
    (all, sure)
}

/// `allowed_clients`, `disallowed_clients`, `bind_hosts`.
fn access(gate: &mut Gate, config: &Config) -> ChainId {
    let chain = gate.chain(ACCESS);
    let hosts = config.dns("bind_hosts");
    let addresses = hosts.map_or(&[][..], |hosts| hosts.items(&[]));
    let own = !addresses.is_empty()
        && addresses.iter().all(|address| {
            let ip = address
                .text(&[])
                .and_then(|text| text.parse::<IpAddr>().ok());
            ip.is_some_and(|ip| ip.is_loopback())
        });
    let rule = |gate: &mut Gate, guard: Guard, denial: Denial, span: Span| {
        let step = deny(denial);
        gate.rule(chain, Rule { guard, step, span });
    };
    let mut sources = Ranges::full();
    if let (true, Some(hosts)) = (own, hosts) {
        sources = dns::loopback();
        let others = Guard::number(Dim::Source, sources.complement());
        rule(gate, others, Denial::Unreachable, hosts.span);
    }
    let (allowed, sure) = clients(config.dns("allowed_clients"));
    let (disallowed, _) = clients(config.dns("disallowed_clients"));
    match config.dns("allowed_clients") {
        Some(list) if !list.items(&[]).is_empty() => {
            let others = Guard::number(Dim::Source, allowed.complement());
            if sure {
                sources = sources.intersect(&allowed);
                rule(gate, others, Denial::Refused, list.span);
            } else {
                let text = "the addresses of the clients in `allowed_clients`".to_owned();
                obscure(gate, chain, others, list.span, "client", text);
            }
        }
        _ => {
            if let (Some(list), false) = (config.dns("disallowed_clients"), disallowed.is_empty()) {
                sources = sources.minus(&disallowed);
                let these = Guard::number(Dim::Source, disallowed);
                rule(gate, these, Denial::Refused, list.span);
            }
        }
    }
    gate.groups.push(ClientGroup {
        name: if own { "this machine" } else { "any client" }.to_owned(),
        sources,
        interface: None,
        span: hosts.map(|hosts| hosts.span),
    });
    own_settings(gate, chain, config);
    chain
}

/// Clients with settings of their own.
fn own_settings(gate: &mut Gate, chain: ChainId, config: &Config) {
    let list = config
        .tree
        .as_ref()
        .map_or(&[][..], |tree| tree.items(&["clients", "persistent"]));
    for client in list {
        let global = flag(client.at(&["use_global_settings"]), true)
            && flag(client.at(&["use_global_blocked_services"]), true)
            && client.items(&["upstreams"]).is_empty();
        if global {
            continue;
        }
        let (sources, sure) = clients(client.at(&["ids"]));
        let text = "the settings of single clients".to_owned();
        if !sources.is_empty() {
            let guard = Guard::number(Dim::Source, sources);
            obscure(gate, chain, guard, client.span, "client", text);
        }
        if !sure && !gate.assumptions.iter().any(|one| one.contains("by MAC")) {
            gate.assumptions
                .push("clients that are known by MAC or name have the general settings".to_owned());
        }
    }
}

fn names(gate: &mut Gate, config: &Config, whole: Span, assumptions: &mut Vec<String>) -> ChainId {
    let chain = gate.chain(NAMES);
    let call = |gate: &mut Gate, to: ChainId| {
        let step = Step::Call(to);
        let guard = Guard::Always;
        gate.rule(
            chain,
            Rule {
                guard,
                step,
                span: whole,
            },
        );
    };
    let blocked = config.dns("blocked_hosts");
    for item in blocked.map_or(&[][..], |list| list.items(&[])) {
        let Some(text) = item.text(&[]) else { continue };
        let pattern = match super::rules::rule(text) {
            Some(Filter::Pattern(pattern)) => pattern.guard(gate, Dim::Host),
            Some(Filter::Hosts(_, names)) => Some(exact(gate, &names)),
            None => continue,
        };
        let step = deny(Denial::Refused);
        match pattern {
            Some(guard) => gate.rule(
                chain,
                Rule {
                    guard,
                    step,
                    span: item.span,
                },
            ),
            None => unbuilt(gate, chain, item.span),
        }
    }
    if let Some(disabled) = config
        .dns("aaaa_disabled")
        .filter(|one| flag(Some(one), false))
    {
        let (guard, step) = (query_type([TYPE_AAAA]), deny(Denial::NoData));
        gate.rule(
            chain,
            Rule {
                guard,
                step,
                span: disabled.span,
            },
        );
    }
    if let Some(dns64) = config.dns("use_dns64").filter(|one| flag(Some(one), false)) {
        let text = "whether AAAA records are made from A records (`use_dns64`)".to_owned();
        obscure(
            gate,
            chain,
            query_type([TYPE_AAAA]),
            dns64.span,
            "dns64",
            text,
        );
    }
    if !config.filters("filtering_enabled", true) {
        return chain;
    }
    if config.filters("rewrites_enabled", true) {
        let rewrites = rewrites(gate, config);
        call(gate, rewrites);
    }
    if config.filters("protection_enabled", true) {
        let filters = filters(gate, config, Dim::Host);
        services(gate, config, filters, assumptions);
        call(gate, filters);
        for key in ["safebrowsing_enabled", "parental_enabled"] {
            if config.filters(key, false) {
                assumptions.push(format!(
                    "the service of `{key}` does not list the meeting hosts"
                ));
            }
        }
    }
    chain
}

fn exact(gate: &mut Gate, names: &[String]) -> Guard {
    Guard::AnyOf(
        names
            .iter()
            .map(|name| dns::host(gate, name, DomainScope::Exact))
            .collect(),
    )
}

fn unbuilt(gate: &mut Gate, chain: ChainId, span: Span) {
    let text = "which names the expression takes".to_owned();
    obscure(gate, chain, Guard::Always, span, "expression", text);
}

/// `rewrites`: an exact name before a wildcard, the longest wildcard first; a family without an answer has no data.
fn rewrites(gate: &mut Gate, config: &Config) -> ChainId {
    let mut entries: BTreeMap<(usize, String, DomainScope), Vec<Spanned<String>>> = BTreeMap::new();
    let list = config.filtering("rewrites");
    for rewrite in list.map_or(&[][..], |list| list.items(&[])) {
        let (Some(domain), Some(answer)) = (rewrite.text(&["domain"]), rewrite.text(&["answer"]))
        else {
            continue;
        };
        if !flag(rewrite.at(&["enabled"]), true) {
            continue;
        }
        let domain = domain.to_ascii_lowercase();
        let (name, scope) = match domain.strip_prefix("*.") {
            Some(parent) => (parent.to_owned(), DomainScope::Below),
            None => (domain, DomainScope::Exact),
        };
        // An exact name comes first, however short.
        let order = match scope {
            DomainScope::Exact => 0,
            DomainScope::Below | DomainScope::Tree => usize::MAX - name.len(),
        };
        entries
            .entry((order, name, scope))
            .or_default()
            .push(Spanned::new(answer.to_owned(), rewrite.span));
    }
    let chain = gate.chain("rewrites");
    for ((_, name, scope), answers) in entries {
        let host = dns::host(gate, &name, scope);
        let Some(first) = answers.first() else {
            continue;
        };
        for (kind, word) in [(TYPE_A, "A"), (TYPE_AAAA, "AAAA")] {
            let addresses: Vec<IpAddr> = answers
                .iter()
                .filter_map(|answer| answer.value.parse::<IpAddr>().ok())
                .filter(|ip| ip.is_ipv4() == (kind == TYPE_A))
                .collect();
            let is_address = |answer: &Spanned<String>| answer.value.parse::<IpAddr>().is_ok();
            let keeps = |answer: &Spanned<String>| answer.value == word || answer.value == name;
            let steps = if answers.iter().any(keeps) {
                vec![(query_type([kind]), Step::Return)]
            } else if !addresses.is_empty() {
                dns::fixed(gate, kind, &addresses, first.span)
            } else if answers
                .iter()
                .any(|one| !is_address(one) && one.value != "A" && one.value != "AAAA")
            {
                let step = opaque(
                    gate,
                    first.span,
                    "rewrite",
                    "where the rewrite leads".to_owned(),
                );
                vec![(query_type([kind]), step)]
            } else {
                vec![(query_type([kind]), deny(Denial::NoData))]
            };
            for (guard, step) in steps {
                let guard = Guard::All(vec![host.clone(), guard]);
                gate.rule(
                    chain,
                    Rule {
                        guard,
                        step,
                        span: first.span,
                    },
                );
            }
        }
    }
    chain
}

/// The filters, for the name asked for or for the target of an alias.
fn filters(gate: &mut Gate, config: &Config, dim: Dim) -> ChainId {
    let chain = gate.chain(if dim == Dim::Host {
        "filters"
    } else {
        "filters of aliases"
    });
    let denial = match config
        .filtering("blocking_mode")
        .and_then(|mode| mode.text(&[]))
    {
        Some("nxdomain") => Denial::NxDomain,
        Some("refused") => Denial::Refused,
        Some(_) | None => Denial::Rewritten,
    };
    let push = |gate: &mut Gate, pattern: &Pattern, step: Step, span: Span| {
        let step = if pattern.is_open {
            opaque(
                gate,
                span,
                "modifier",
                "whom the rule's modifiers take".to_owned(),
            )
        } else {
            step
        };
        match pattern.guard(gate, dim) {
            Some(guard) => gate.rule(chain, Rule { guard, step, span }),
            None => unbuilt(gate, chain, span),
        }
    };
    for rule in &config.exemptions {
        match &rule.value {
            Filter::Pattern(pattern) => push(gate, pattern, Step::Return, rule.span),
            Filter::Hosts(_, names) if dim == Dim::Host => {
                let (guard, step) = (exact(gate, names), Step::Return);
                gate.rule(
                    chain,
                    Rule {
                        guard,
                        step,
                        span: rule.span,
                    },
                );
            }
            Filter::Hosts(..) => {}
        }
    }
    let missing = |gate: &mut Gate| {
        for missing in &config.missing {
            let text = format!("the filter list `{}`", missing.value);
            obscure(gate, chain, Guard::Always, missing.span, "filter", text);
        }
    };
    for (important, allows) in [(true, true), (true, false), (false, true), (false, false)] {
        for rule in &config.rules {
            if let Filter::Pattern(pattern) = &rule.value
                && (pattern.is_important, pattern.allows) == (important, allows)
            {
                let step = if allows { Step::Return } else { deny(denial) };
                push(gate, pattern, step, rule.span);
            }
        }
        // No list can take back what an important exception exempts.
        if important && allows {
            missing(gate);
        }
    }
    for rule in &config.rules {
        if let Filter::Hosts(address, names) = &rule.value {
            hosts(gate, chain, dim, (*address, names), denial, rule.span);
        }
    }
    chain
}

/// A line of a hosts file: blocked with no or a null address, else answered with it.
fn hosts(
    gate: &mut Gate,
    chain: ChainId,
    dim: Dim,
    (address, names): (Option<IpAddr>, &[String]),
    denial: Denial,
    span: Span,
) {
    let public = address.filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    for name in names {
        let host = if dim == Dim::Host {
            dns::host(gate, name, DomainScope::Exact)
        } else {
            dns::alias(gate, name, DomainScope::Exact)
        };
        let step = match public {
            Some(_) => opaque(
                gate,
                span,
                "pinned",
                "whether the fixed address in it is the service's".to_owned(),
            ),
            None => deny(denial),
        };
        gate.rule(
            chain,
            Rule {
                guard: host,
                step,
                span,
            },
        );
    }
}

/// `blocked_services`: that of Amazon has a rule for the whole of `aws` (servicelist.go).
fn services(gate: &mut Gate, config: &Config, chain: ChainId, assumptions: &mut Vec<String>) {
    let Some(blocked) = config.filtering("blocked_services") else {
        return;
    };
    let ids = match blocked.at(&["ids"]) {
        Some(_) => blocked.items(&["ids"]),
        None => blocked.items(&[]),
    };
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let paused = days
        .iter()
        .any(|day| blocked.at(&["schedule", day]).is_some());
    for id in ids {
        let name = id.text(&[]).unwrap_or_default();
        if name != "amazon" {
            let text = "blocked services other than `amazon` have no rule for the meeting hosts";
            if !assumptions.iter().any(|one| one == text) {
                assumptions.push(text.to_owned());
            }
            continue;
        }
        let guard = dns::host(gate, "aws", DomainScope::Tree);
        let step = if paused {
            opaque(
                gate,
                id.span,
                "schedule",
                "the time of day (`schedule`)".to_owned(),
            )
        } else {
            deny(Denial::Rewritten)
        };
        gate.rule(
            chain,
            Rule {
                guard,
                step,
                span: id.span,
            },
        );
    }
}

fn answers(gate: &mut Gate, config: &Config) -> ChainId {
    let chain = gate.chain(ANSWERS);
    if let Some(list) = config.dns("bogus_nxdomain") {
        let (nets, _) = clients(Some(list));
        for (kind, family) in [(TYPE_A, Ranges::ipv4()), (TYPE_AAAA, Ranges::ipv6())] {
            let nets = nets.intersect(&family);
            if !nets.is_empty() {
                let guard = Guard::All(vec![query_type([kind]), any_address(nets)]);
                let step = deny(Denial::NxDomain);
                gate.rule(
                    chain,
                    Rule {
                        guard,
                        step,
                        span: list.span,
                    },
                );
            }
        }
    }
    if config.filters("filtering_enabled", true) && config.filters("protection_enabled", true) {
        let filters = filters(gate, config, Dim::Alias);
        let span = config.tree.as_ref().map(|tree| tree.span);
        if let Some(span) = span {
            let (guard, step) = (Guard::Always, Step::Call(filters));
            let span = Span {
                end: span.start,
                ..span
            };
            gate.rule(chain, Rule { guard, step, span });
        }
    }
    chain
}

fn behaviour(config: &Config) -> Behaviour {
    let adds = [
        (config.dns("enable_dnssec"), "`enable_dnssec`"),
        (
            config
                .dns("edns_client_subnet")
                .and_then(|one| one.at(&["enabled"])),
            "`edns_client_subnet`",
        ),
    ]
    .into_iter()
    .find_map(|(yaml, name)| {
        yaml.filter(|one| flag(Some(one), false))
            .map(|one| (one.span, name))
    });
    let moot = || {
        Held::moot(
            None,
            "AdGuard Home hands on the size that the client offers",
        )
    };
    Behaviour {
        edns0: match adds {
            Some((span, name)) => Held::set(
                Edns0::Always,
                span,
                format!("{name} adds an OPT record to every query"),
            ),
            None => Held::default_is(
                Edns0::IfClient,
                "AdGuard Home hands on the OPT record that the client sends",
            ),
        },
        upstream_sizes: Held::moot(
            None,
            "AdGuard Home hands on the size that the client offers",
        ),
        client_size: moot(),
        max_reply: moot(),
        tcp: Held::default_is(true, "AdGuard Home answers over TCP"),
        nameservers: Held::moot(None, "`upstream_dns` names as many as it likes"),
        sizes_are_settable: false,
    }
}
