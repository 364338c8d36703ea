//! In: `forward-zone`, `stub-zone`, `auth-zone`, `rpz` and what may be asked. Out: the stage of resolving: which names no
//! server can be asked for.
//!
//! unbound.conf(5) and `iterator/iter_fwd.c`: the deepest zone wins, of the same name the last one, and a forward zone
//! over a stub zone. A zone without a server that may be asked is SERVFAIL, unless it says `-first: yes`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Lowering, enclosing, netblock, parent, zone_name};
use crate::config::dns::{self, Held, UPSTREAM, ZoneRule};
use crate::config::unbound::keywords::Clause;
use crate::config::unbound::parse::{Config, Object};
use crate::model::{
    ChainId, Denial, Dim, DomainScope, Guard, Ranges, Rule, Step, Test, TextSet, address,
};
use crate::source::Span;

/// A zone that is asked elsewhere.
struct Zone {
    span: Span,
    /// Some server may be asked.
    works: bool,
    /// `-first: yes`: without an answer, the next zone around it is asked.
    or_around: bool,
}

/// The chain of the stage.
pub(super) fn chain(lowering: &mut Lowering<'_>) -> ChainId {
    let chain = lowering.gate.chain(UPSTREAM);
    let beyond_local = std::mem::take(&mut lowering.beyond_local);
    if !beyond_local.is_empty() {
        let clients = lowering.gate.chain("access-control beyond local zones");
        for rule in beyond_local {
            lowering.gate.rule(clients, rule);
        }
        call(lowering, chain, clients, Guard::Always);
    }
    unmodelled(lowering, chain);
    let zones = zones(lowering);
    for (name, zone) in &zones {
        if !zone.works {
            let title = format!(
                "No server can be asked for `{}`: every lookup there fails",
                if name.is_empty() { "." } else { name }
            );
            lowering.finding(
                "unbound/dead-zone",
                title,
                "a zone without a usable server is SERVFAIL, not ordinary resolution",
                zone.span,
            );
        }
    }
    if zones.values().all(|zone| zone.works) {
        return chain;
    }
    let rules = zones
        .iter()
        .map(|(name, zone)| ZoneRule {
            name: name.clone(),
            scope: DomainScope::Tree,
            also: None,
            step: step(zone),
            span: zone.span,
        })
        .collect();
    let hosts = dns::deepest_first(&mut lowering.gate, "zones of names", rules);
    call(lowering, chain, hosts, Guard::Always);
    // unbound asks again for the target of an alias, in the target's own zone.
    let aliases = lowering.gate.chain("zones of aliases");
    let mut by_depth: Vec<_> = zones.iter().collect();
    by_depth.sort_by_key(|(name, _)| std::cmp::Reverse(labels(name)));
    for (name, zone) in by_depth {
        let guard = if name.is_empty() {
            Guard::Always
        } else {
            dns::alias(&mut lowering.gate, name, DomainScope::Tree)
        };
        let rule = Rule {
            guard,
            step: step(zone),
            span: zone.span,
        };
        lowering.gate.rule(aliases, rule);
    }
    let none = lowering.gate.text(TextSet::Literal("".into()));
    let guard = Guard::Is(Test::Text(Dim::Alias, none)).negated();
    call(lowering, chain, aliases, guard);
    chain
}

fn step(zone: &Zone) -> Step {
    if zone.works {
        Step::Return
    } else {
        dns::deny(Denial::Fails)
    }
}

fn call(lowering: &mut Lowering<'_>, from: ChainId, to: ChainId, guard: Guard) {
    let span = Span::new(lowering.file, 0, 0);
    lowering.gate.rule(
        from,
        Rule {
            guard,
            step: Step::Call(to),
            span,
        },
    );
}

fn labels(name: &str) -> usize {
    if name.is_empty() {
        0
    } else {
        name.split('.').count()
    }
}

fn zones(lowering: &mut Lowering<'_>) -> BTreeMap<String, Zone> {
    let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
    let mut unnamed = Vec::new();
    let mut wrong = Vec::new();
    for (clause, prefix) in [(Clause::Stub, "stub"), (Clause::Forward, "forward")] {
        for object in objects(lowering.config, clause) {
            let Some(name) = object.name() else {
                unnamed.push(object.span);
                continue;
            };
            for entry in object.all(&format!("{prefix}-addr")) {
                if server(entry.value(0)).is_none() {
                    wrong.push((entry.value(0).to_owned(), entry.span));
                }
            }
            let zone = zone_name(&name.value);
            zones.insert(
                zone.clone(),
                Zone {
                    span: object.span.to(name.span),
                    works: works(lowering, object, prefix, &zone),
                    or_around: object.says_yes(&format!("{prefix}-first")),
                },
            );
        }
    }
    fall_back(&mut zones);
    for span in unnamed {
        lowering.refuses("the zone has no `name:`", span, None);
    }
    for (value, span) in wrong {
        lowering.refuses(format!("`{value}` is no address of a server"), span, None);
    }
    zones
}

/// A zone that falls back works if the next zone around it does; without one the servers of the root are asked.
fn fall_back(zones: &mut BTreeMap<String, Zone>) {
    let mut names: Vec<String> = zones.keys().cloned().collect();
    names.sort_by_key(|name| labels(name));
    for name in names {
        let outer = parent(&name)
            .and_then(|parent| enclosing(parent, zones))
            .is_none_or(|(_, zone)| zone.works);
        if let Some(zone) = zones.get_mut(&name)
            && zone.or_around
        {
            zone.works |= outer;
        }
    }
}

fn objects(config: &Config, clause: Clause) -> impl Iterator<Item = &Object> {
    config
        .objects
        .iter()
        .filter(move |object| object.clause == clause)
}

/// Whether lookups in a zone get an answer.
fn works(lowering: &Lowering<'_>, object: &Object, prefix: &str, zone: &str) -> bool {
    let over_tcp = ["tls-upstream", "ssl-upstream", "tcp-upstream"]
        .iter()
        .any(|name| object.says_yes(&format!("{prefix}-{name}")) || lowering.says(name, false));
    if over_tcp && !lowering.says("do-tcp", true) {
        return false;
    }
    let refused = do_not_query(lowering);
    let by_address = object
        .all(&format!("{prefix}-addr"))
        .filter_map(|entry| server(entry.value(0)))
        .any(|ip| {
            let family = if ip.is_ipv4() { "do-ip4" } else { "do-ip6" };
            lowering.says(family, true) && !refused.contains(address(ip))
        });
    // A server that is named by a name of its own zone cannot be found.
    let by_name = object
        .all(&format!("{prefix}-host"))
        .map(|entry| zone_name(entry.value(0).split('@').next().unwrap_or_default()))
        .any(|host| !lies_in(&host, zone));
    by_address || by_name
}

fn lies_in(host: &str, zone: &str) -> bool {
    zone.is_empty()
        || host == zone
        || host
            .strip_suffix(zone)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// `ADDRESS[@PORT][#NAME]`.
fn server(text: &str) -> Option<IpAddr> {
    let text = text.split('#').next().unwrap_or_default();
    let text = text.split('@').next().unwrap_or_default();
    let text = text.split('%').next().unwrap_or_default();
    text.parse().ok()
}

/// unbound.conf(5), `do-not-query-address`; `do-not-query-localhost` is on by default.
fn do_not_query(lowering: &Lowering<'_>) -> Ranges {
    let mut refused = Ranges::empty();
    let local = if lowering.says("do-not-query-localhost", true) {
        &["127.0.0.0/8", "::1"][..]
    } else {
        &[]
    };
    let listed = lowering
        .list("do-not-query-address")
        .iter()
        .map(|entry| entry.value(0));
    for text in listed.chain(local.iter().copied()) {
        if let Some((net, _)) = netblock(text) {
            refused = refused.union(&net);
        }
    }
    refused
}

/// Zones whose content is in other files, and modules that may do anything.
fn unmodelled(lowering: &mut Lowering<'_>, chain: ChainId) {
    if let Some(modules) = lowering.scalar("module-config").cloned() {
        for word in ["python", "dynlib"] {
            if modules
                .value(0)
                .split_ascii_whitespace()
                .any(|module| module == word)
            {
                let text = format!("what the module `{word}` does");
                let rule = lowering.obscure(Guard::Always, "module", text, modules.span);
                lowering.gate.rule(chain, rule);
            }
        }
    }
    if let Some(all) = lowering.scalar("dns64-synthall").cloned()
        && all.value(0) == "yes"
        && lowering
            .scalar("module-config")
            .is_some_and(|modules| modules.value(0).contains("dns64"))
    {
        lowering.gate.rule(
            chain,
            Rule {
                guard: dns::query_type([dns::TYPE_AAAA]),
                step: dns::deny(Denial::Rewritten),
                span: all.span,
            },
        );
    }
    for object in lowering.config.objects.clone() {
        match object.clause {
            Clause::Rpz => {
                let text = format!(
                    "the content of the response policy zone `{}`",
                    named(&object)
                );
                let rule = lowering.obscure(Guard::Always, "zone-file", text, object.span);
                lowering.gate.rule(chain, rule);
            }
            Clause::Auth => {
                // A copy of the root that is only used for resolving changes no answer.
                let root = object
                    .name()
                    .is_some_and(|name| zone_name(&name.value).is_empty());
                let downstream = object
                    .last("for-downstream")
                    .is_none_or(|e| e.value(0) == "yes");
                if root && !downstream {
                    continue;
                }
                let text = format!("the content of the zone `{}`", named(&object));
                let name = object.name().map(|name| zone_name(&name.value));
                let guard = dns::host(
                    &mut lowering.gate,
                    name.as_deref().unwrap_or_default(),
                    DomainScope::Tree,
                );
                let rule = lowering.obscure(guard, "zone-file", text, object.span);
                lowering.gate.rule(chain, rule);
            }
            Clause::Stub | Clause::Forward | Clause::View | Clause::Server | Clause::Other => {}
        }
    }
}

fn named(object: &Object) -> String {
    object.name().map(|name| name.value).unwrap_or_default()
}

/// What it does for a living.
pub(super) fn role(config: &Config) -> &'static str {
    if root_forwarders(config).is_some() {
        "forwarder"
    } else {
        "resolver"
    }
}

/// The zone that all names are forwarded by.
fn root_forwarders(config: &Config) -> Option<&Object> {
    objects(config, Clause::Forward)
        .filter(|object| {
            object
                .name()
                .is_some_and(|name| zone_name(&name.value).is_empty())
        })
        .last()
}

/// How many forwarders there are.
pub(super) fn nameservers(lowering: &Lowering<'_>) -> Held<u64> {
    match root_forwarders(lowering.config) {
        Some(object) => {
            let count = object.all("forward-addr").count() + object.all("forward-host").count();
            Held::set(count as u64, object.span, "the forwarders of the root zone")
        }
        None => Held::moot(None, "it asks the authoritative servers itself"),
    }
}

/// All forwarders of the root zone are asked over TLS or TCP.
pub(super) fn all_over_tcp(config: &Config) -> Option<(Span, &'static str)> {
    let object = root_forwarders(config)?;
    [
        "forward-tls-upstream",
        "forward-ssl-upstream",
        "forward-tcp-upstream",
    ]
    .iter()
    .find(|name| object.says_yes(name))
    .and_then(|name| object.last(name))
    .map(|entry| (entry.span, "the forwarders are asked over TLS or TCP"))
}
