//! In: forwarders, zones that are asked for elsewhere, servers. Out: whom named asks, and whether that can work.
//!
//! The deepest zone decides; one `server` statement counts for an address, that of the most specific prefix
//! (`dns_peerlist_peerbyaddr`). Forwarders that are all bogus are a dead end under `forward only`.

use std::net::IpAddr;

use super::super::dns::{ZoneRule, allow, deepest_first, deny, opaque};
use super::acl::{Network, network};
use super::scene::{Context, Scene, flag};
use super::scope::{Server, Zone};
use super::syntax::Statement;
use crate::model::{ChainId, Denial, DomainScope, Gate, Guard, Ranges, Rule, Step};

/// Whom a view asks for the names below the root, or below a forwarded zone.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// Forwarders.
    Forwarders(Vec<IpAddr>),
    /// The servers of the names themselves.
    Anybody,
}

pub(super) fn root(scene: Scene<'_>) -> Asked {
    forwarders_clause(scene).map_or(Asked::Anybody, asked)
}

pub(super) fn forwarders_clause(scene: Scene<'_>) -> Option<&Statement> {
    scene
        .zones
        .iter()
        .find(|zone| zone.name.is_empty() && zone.kind() == "forward")
        .and_then(|zone| zone.scope.get("forwarders"))
        .or_else(|| scene.get("forwarders"))
}

/// The addresses of a `forwarders` clause and the like; an empty list turns forwarding off.
fn asked(clause: &Statement) -> Asked {
    let list: Vec<IpAddr> = clause
        .blocks()
        .flat_map(|block| &block.statements)
        .filter_map(|element| element.word(0))
        .filter_map(|word| word.text.split('%').next()?.parse().ok())
        .collect();
    if list.is_empty() {
        Asked::Anybody
    } else {
        Asked::Forwarders(list)
    }
}

/// Whom a zone's names are asked from, where that is not the root's upstream.
pub(super) fn zone_upstream(zone: &Zone) -> Option<Asked> {
    let clause = match zone.kind().as_str() {
        "forward" => zone.scope.get("forwarders"),
        "static-stub" => zone.scope.get("server-addresses"),
        "stub" => zone
            .scope
            .get("primaries")
            .or_else(|| zone.scope.get("masters")),
        _ => None,
    };
    clause.map(asked)
}

/// No public name lies there (RFC 6761, RFC 6762, RFC 8375 and what people use at home).
pub(super) fn is_private(zone: &str) -> bool {
    let top = zone.rsplit('.').next().unwrap_or(zone);
    matches!(
        top,
        "arpa"
            | "local"
            | "localdomain"
            | "localhost"
            | "lan"
            | "internal"
            | "intern"
            | "intranet"
            | "corp"
            | "home"
            | "private"
            | "test"
            | "example"
            | "invalid"
            | "onion"
            | "consul"
            | "lab"
            | "domain"
            | "localnet"
    )
}

/// The clause of the most specific server prefix that has it.
pub(super) fn server_clause<'a>(
    scene: Scene<'a>,
    address: IpAddr,
    name: &str,
) -> Option<&'a Statement> {
    // One server statement is found per address: the most specific (dns_peerlist_peerbyaddr).
    scene
        .servers
        .iter()
        .filter_map(|server| Some((prefix(server)?, server)))
        .filter(|(net, _)| Ranges::host(address).is_subset(net))
        .min_by_key(|(net, _)| net.count())
        .and_then(|(_, server)| server.scope.get(name))
}

pub(super) fn prefix(server: &Server) -> Option<Ranges> {
    match network(&server.statement.word(1)?.text) {
        Network::Is(net) => Some(net),
        Network::Refused(_) | Network::No => None,
    }
}

/// The chain of whom named asks: forwarders that it must not ask are a dead end.
pub(super) fn forwarding(gate: &mut Gate, context: &mut Context<'_>, scene: Scene<'_>) -> ChainId {
    let mut table = Vec::new();
    for zone in scene.zones {
        let Some(asked) = zone_upstream(zone) else {
            continue;
        };
        let only = zone
            .scope
            .get("forward")
            .and_then(|clause| clause.word(1))
            .is_some_and(|word| word.text.eq_ignore_ascii_case("only"));
        let must = only || zone.kind() != "forward";
        table.push(ZoneRule {
            name: zone.name.clone(),
            scope: DomainScope::Tree,
            also: None,
            step: fate(gate, scene, &asked, must),
            span: zone.statement.span,
        });
    }
    if let Some(clause) = scene.get("forwarders") {
        let only = scene
            .get("forward")
            .and_then(|clause| clause.word(1))
            .is_some_and(|word| word.text.eq_ignore_ascii_case("only"));
        table.push(ZoneRule {
            name: String::new(),
            scope: DomainScope::Tree,
            also: None,
            step: fate(gate, scene, &asked(clause), only),
            span: clause.span,
        });
    }
    let chain = deepest_first(gate, "forwarding", table);
    let step = fate(gate, scene, &Asked::Anybody, true);
    gate.rule(
        chain,
        Rule {
            guard: Guard::Always,
            step,
            span: context.whole,
        },
    );
    if matches!(root(scene), Asked::Anybody) {
        let said = "the server may ask the internet's name servers directly".to_owned();
        if !context.assumptions.contains(&said) {
            context.assumptions.push(said);
        }
    }
    chain
}

/// Whether asking them can work.
fn fate(gate: &mut Gate, scene: Scene<'_>, asked: &Asked, must: bool) -> Step {
    let bogus =
        |address: &IpAddr| server_clause(scene, *address, "bogus").and_then(flag) == Some(true);
    match asked {
        Asked::Forwarders(list) if must && list.iter().all(bogus) => deny(Denial::Fails),
        Asked::Forwarders(list) if !list.iter().all(bogus) => allow(),
        Asked::Forwarders(_) | Asked::Anybody => {
            let wide = scene.servers.iter().find(|server| {
                server.scope.get("bogus").and_then(flag) == Some(true)
                    && prefix(server).is_some_and(|net| net.count() > 256)
            });
            if let Some(server) = wide {
                let text = "whether the servers of these names lie in the bogus prefix".to_owned();
                opaque(gate, server.statement.span, "upstream", text)
            } else {
                allow()
            }
        }
    }
}
