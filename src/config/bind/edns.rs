//! In: a config's sizes, servers and forwarders. Out: the settings and facts about EDNS0, and the chain of whom named asks.
//!
//! Clauses of a `server` count for the addresses of its prefix, the most specific prefix wins, then the view, then
//! `options`, then the default: 4096, and 1232 since 9.16.8 and 9.17.6. Sizes are clamped to 512 to 4096. The requirement
//! is about the names that clients ask for, so the upstreams are those of the root; where a forwarded zone differs and may
//! hold public names, the setting is unknown.

use std::net::IpAddr;

use super::super::Reading;
use super::super::dns::{Behaviour, Edns0, Held, Known};
use super::acl::{Network, loopback, network};
use super::parse::{Config, shown};
use super::scene::{Scene, flag, number};
use super::syntax::Statement;
use super::upstream::{
    Asked, forwarders_clause, is_private, prefix, root, server_clause, zone_upstream,
};
use crate::model::Ranges;
use crate::source::Span;

/// Puts the settings and facts into a reading.
pub(super) fn report(
    reading: &mut Reading,
    config: &Config,
    scenes: &[Scene<'_>],
    running: (u32, u32, u32),
) {
    let default = if running >= (9, 17, 6) || ((9, 16, 8)..(9, 17, 0)).contains(&running) {
        1232
    } else {
        4096
    };
    let judged: Vec<&Scene<'_>> = judged(scenes);
    let behaviours: Vec<Behaviour> = judged
        .iter()
        .map(|scene| behaviour(**scene, default))
        .collect();
    let mut whole = worst(behaviours).unwrap_or_else(|| nothing(scenes, default));
    if let Some((name, span)) = first_missing(config, scenes) {
        let text = format!("the included file `{name}`");
        whole.edns0 = settled(whole.edns0, span, &text);
        whole.upstream_sizes = settled(whole.upstream_sizes, span, &text);
        whole.client_size = settled(whole.client_size, span, &text);
        whole.max_reply = settled(whole.max_reply, span, &text);
        whole.nameservers = settled(whole.nameservers, span, &text);
    }
    whole.report(reading);
}

/// What an unread include may change.
fn settled<T>(held: Held<T>, span: Span, text: &str) -> Held<T> {
    match held.value {
        Known::Moot | Known::Unknown(_) => held,
        Known::Is(_) => Held::unknown(Some(span), text),
    }
}

fn first_missing(config: &Config, scenes: &[Scene<'_>]) -> Option<(String, Span)> {
    config
        .missing
        .iter()
        .chain(&config.options.missing)
        .chain(
            scenes
                .iter()
                .filter_map(|scene| scene.view)
                .flat_map(|view| &view.scope.missing),
        )
        .next()
        .map(|missing| (missing.name.value.clone(), missing.name.span))
}

/// The views that resolve for others; one that only takes the server itself counts where there is no other.
fn judged<'a, 's>(scenes: &'a [Scene<'s>]) -> Vec<&'a Scene<'s>> {
    let recursive: Vec<_> = scenes.iter().filter(|scene| scene.recurses()).collect();
    let others: Vec<_> = recursive
        .iter()
        .copied()
        .filter(|scene| !takes_only_itself(scene))
        .collect();
    if others.is_empty() { recursive } else { others }
}

fn takes_only_itself(scene: &Scene<'_>) -> bool {
    let Some(block) = scene
        .view
        .and_then(|view| view.scope.get("match-clients"))
        .and_then(Statement::block)
    else {
        return false;
    };
    !block.statements.is_empty()
        && block.statements.iter().all(|element| {
            element.items.len() == 1
                && element.word(0).is_some_and(|word| {
                    matches!(network(&word.text), Network::Is(net) if net.is_subset(&loopback()))
                })
        })
}

/// A server that asks nobody.
fn nothing(scenes: &[Scene<'_>], default: u64) -> Behaviour {
    let span = scenes
        .first()
        .and_then(|scene| scene.get("recursion"))
        .map(|clause| clause.span);
    let why = "`recursion no`: nothing is asked upstream";
    let base = scenes.first().map_or_else(
        || Held::default_is(default, "the default"),
        |scene| clamped(scene.get("edns-udp-size"), default),
    );
    let reply = scenes
        .first()
        .map_or_else(|| base.clone(), |scene| max_reply(*scene, default));
    Behaviour {
        edns0: Held::moot(span, why),
        upstream_sizes: Held::moot(span, why),
        client_size: base,
        max_reply: reply,
        tcp: Held::default_is(true, "named always answers over TCP"),
        nameservers: Held::moot(span, why),
        sizes_are_settable: true,
    }
}

fn behaviour(scene: Scene<'_>, default: u64) -> Behaviour {
    let root = root(scene);
    let mut edns0 = edns_of(scene, &root);
    let mut sizes = sizes_of(scene, &root, default);
    for zone in scene.zones {
        let Some(asked) = zone_upstream(zone) else {
            continue;
        };
        if zone.name.is_empty() || is_private(&zone.name) {
            continue;
        }
        let text = || format!("whether names below `{}` are needed", shown(&zone.name));
        let span = Some(zone.statement.span);
        if edns_of(scene, &asked).value != edns0.value {
            edns0 = Held::unknown(span, text());
        }
        if sizes_of(scene, &asked, default).value != sizes.value {
            sizes = Held::unknown(span, text());
        }
    }
    if edns0.value == Known::Is(Edns0::Never) {
        sizes = Held {
            value: Known::Is(Vec::new()),
            span: edns0.span,
            why: edns0.why.clone(),
            ignored: Vec::new(),
        };
    }
    let nameservers = match &root {
        Asked::Forwarders(list) => Held {
            value: Known::Is(list.len() as u64),
            span: forwarders_clause(scene).map(|clause| clause.span),
            why: "the forwarders of the root".to_owned(),
            ignored: Vec::new(),
        },
        Asked::Anybody => Held::moot(None, "it asks the servers of the names themselves"),
    };
    Behaviour {
        edns0,
        upstream_sizes: sizes,
        client_size: clamped(scene.get("edns-udp-size"), default),
        max_reply: max_reply(scene, default),
        tcp: Held::default_is(true, "named always answers over TCP and retries over it"),
        nameservers,
        sizes_are_settable: true,
    }
}

/// The behaviour of the worst view, value by value.
fn worst(behaviours: Vec<Behaviour>) -> Option<Behaviour> {
    fn rank(value: &Known<Edns0>) -> u8 {
        match value {
            Known::Is(Edns0::Never) => 4,
            Known::Is(Edns0::Sometimes) => 3,
            Known::Unknown(_) => 2,
            Known::Is(Edns0::IfClient | Edns0::Always) => 1,
            Known::Moot => 0,
        }
    }
    fn smaller(left: Held<u64>, right: Held<u64>) -> Held<u64> {
        match (&left.value, &right.value) {
            (Known::Is(a), Known::Is(b)) if b < a => right,
            (Known::Unknown(_), _) | (Known::Is(_), Known::Is(_) | Known::Moot) => left,
            (_, Known::Unknown(_)) | (Known::Moot, Known::Is(_) | Known::Moot) => right,
        }
    }
    behaviours.into_iter().reduce(|all, next| Behaviour {
        edns0: if rank(&next.edns0.value) > rank(&all.edns0.value) {
            next.edns0
        } else {
            all.edns0
        },
        upstream_sizes: match (&all.upstream_sizes.value, &next.upstream_sizes.value) {
            (Known::Is(a), Known::Is(b)) => {
                let mut sizes: Vec<u64> = a.iter().chain(b).copied().collect();
                sizes.sort_unstable();
                sizes.dedup();
                Held {
                    value: Known::Is(sizes),
                    ..if b.first() < a.first() {
                        next.upstream_sizes
                    } else {
                        all.upstream_sizes
                    }
                }
            }
            (_, Known::Unknown(_)) => next.upstream_sizes,
            (Known::Is(_) | Known::Moot | Known::Unknown(_), _) => all.upstream_sizes,
        },
        client_size: smaller(all.client_size, next.client_size),
        max_reply: smaller(all.max_reply, next.max_reply),
        tcp: all.tcp,
        nameservers: smaller(all.nameservers, next.nameservers),
        sizes_are_settable: true,
    })
}

/// `edns` towards these servers.
fn edns_of(scene: Scene<'_>, asked: &Asked) -> Held<Edns0> {
    let no = |clause: &Statement| flag(clause) == Some(false);
    match asked {
        Asked::Forwarders(list) => {
            let mut off = None;
            let mut count = 0;
            for address in list {
                if let Some(clause) = server_clause(scene, *address, "edns").filter(|c| no(c)) {
                    off = Some(clause.span);
                    count += 1;
                }
            }
            match off {
                None => Held::default_is(Edns0::Always, "named sends EDNS0 unless told not to"),
                Some(span) if count == list.len() => {
                    Held::set(Edns0::Never, span, "`edns no` covers every forwarder")
                }
                Some(span) => Held::set(
                    Edns0::Sometimes,
                    span,
                    "`edns no` covers some of the forwarders",
                ),
            }
        }
        Asked::Anybody => {
            let all: Vec<(&Statement, Ranges)> = scene
                .servers
                .iter()
                .filter_map(|server| {
                    let clause = server.scope.get("edns").filter(|clause| no(clause))?;
                    Some((clause, prefix(server)?))
                })
                .collect();
            let covers = |family: &Ranges| {
                all.iter()
                    .find(|(_, net)| family.is_subset(net))
                    .map(|(clause, _)| clause.span)
            };
            match (covers(&Ranges::ipv4()), covers(&Ranges::ipv6())) {
                (Some(span), Some(_)) => {
                    Held::set(Edns0::Never, span, "`edns no` covers every server")
                }
                (Some(span), None) | (None, Some(span)) => Held::set(
                    Edns0::Sometimes,
                    span,
                    "`edns no` covers a whole address family",
                ),
                (None, None) => match all.iter().find(|(_, net)| net.count() > 256) {
                    Some((clause, _)) => Held::unknown(
                        Some(clause.span),
                        "whether the servers of these names lie in the prefix with `edns no`",
                    ),
                    None => Held::default_is(Edns0::Always, "named sends EDNS0 unless told not to"),
                },
            }
        }
    }
}

/// The sizes that these servers are offered.
fn sizes_of(scene: Scene<'_>, asked: &Asked, default: u64) -> Held<Vec<u64>> {
    let general = clamped(scene.get("edns-udp-size"), default);
    let list: &[IpAddr] = match asked {
        Asked::Forwarders(list) => list,
        Asked::Anybody => &[],
    };
    let mut sizes: Vec<Held<u64>> = list
        .iter()
        .map(
            |address| match server_clause(scene, *address, "edns-udp-size") {
                Some(clause) => clamped(Some(clause), default),
                None => general.clone(),
            },
        )
        .collect();
    if sizes.is_empty() {
        sizes.push(general);
    }
    sizes.sort_by_key(|held| match held.value {
        Known::Is(size) => size,
        Known::Moot | Known::Unknown(_) => 0,
    });
    let mut all: Vec<u64> = sizes
        .iter()
        .filter_map(|held| match held.value {
            Known::Is(size) => Some(size),
            Known::Moot | Known::Unknown(_) => None,
        })
        .collect();
    all.dedup();
    let (span, why) = sizes
        .first()
        .map(|held| (held.span, held.why.clone()))
        .unwrap_or_default();
    Held {
        value: Known::Is(all),
        span,
        why,
        ignored: Vec::new(),
    }
}

/// The largest reply that a client gets over UDP: `max-udp-size`, and `nocookie-udp-size` for clients without cookies.
fn max_reply(scene: Scene<'_>, default: u64) -> Held<u64> {
    let all = clamped(scene.get("max-udp-size"), default);
    let plain = clamped(scene.options.get("nocookie-udp-size"), 4096);
    let smallest = match (&all.value, &plain.value) {
        (Known::Is(a), Known::Is(b)) if b < a => plain,
        _ => all,
    };
    let Known::Is(limit) = smallest.value else {
        return smallest;
    };
    // A `server` also limits what its addresses get as clients (observed with named 9.18).
    let narrower = scene.servers.iter().find_map(|server| {
        let clause = server.scope.get("max-udp-size")?;
        let size = clause.word(1).and_then(number)?.clamp(512, 4096);
        let upstream = matches!(root(scene), Asked::Forwarders(list)
            if prefix(server).is_some_and(|net| list.iter().any(|ip| net == Ranges::host(*ip))));
        (size < limit && !upstream).then_some(clause)
    });
    match narrower {
        Some(clause) => Held::unknown(
            Some(clause.span),
            "whether clients lie in the prefix of the `server` with `max-udp-size`",
        ),
        None => smallest,
    }
}

/// A size as named uses it.
fn clamped(clause: Option<&Statement>, default: u64) -> Held<u64> {
    match clause.and_then(|clause| Some((clause, clause.word(1).and_then(number)?))) {
        None => Held::default_is(
            default,
            if default == 1232 {
                "the default since 9.16.8"
            } else {
                "the default of this version"
            },
        ),
        Some((clause, size)) => {
            let used = size.clamp(512, 4096);
            let name = clause.keyword();
            Held::set(
                used,
                clause.span,
                if used == size {
                    format!("`{name} {size}` sets it")
                } else {
                    format!("`{name} {size}` is clamped to {used}")
                },
            )
        }
    }
}

/// Every clause that sets a size.
pub(super) fn sized<'a>(config: &'a Config, scenes: &[Scene<'a>]) -> Vec<&'a Statement> {
    let mut clauses = Vec::new();
    let names = ["edns-udp-size", "max-udp-size", "nocookie-udp-size"];
    let scopes = std::iter::once(&config.options)
        .chain(config.views.iter().map(|view| &view.scope))
        .chain(
            scenes
                .iter()
                .flat_map(|scene| scene.servers)
                .map(|server| &server.scope),
        );
    for scope in scopes {
        for clause in names.iter().filter_map(|name| scope.get(name)) {
            if !clauses.contains(&clause) {
                clauses.push(clause);
            }
        }
    }
    clauses
}
