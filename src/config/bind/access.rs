//! In: `listen-on`, `blackhole`, `match-clients` and the lists of who may have names resolved. Out: who gets how far.

use super::super::dns::{Hop, UPSTREAM, deny};
use super::acl::{self, List, Lists};
use super::scene::{Context, Scene};
use super::scope::Scope;
use super::syntax::Statement;
use super::upstream;
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, Effect, Gate, Guard, Ranges, Rule, Step, Unknown,
    UnknownKind,
};

/// `listen-on` and `blackhole`.
pub(super) fn reachable(gate: &mut Gate, lists: &mut Lists<'_>, chain: ChainId, options: &Scope) {
    for (name, family) in [
        ("listen-on", Ranges::ipv4()),
        ("listen-on-v6", Ranges::ipv6()),
    ] {
        // TLS and HTTP listeners do not answer plain DNS.
        let clauses: Vec<&Statement> = options
            .all(name)
            .filter(|clause| {
                !clause
                    .words()
                    .any(|word| word.text == "tls" || word.text == "http")
            })
            .collect();
        let Some(last) = clauses.last() else {
            continue;
        };
        let mut beyond_loopback = false;
        for clause in &clauses {
            let list = lists.clause(gate, clause);
            beyond_loopback |= list
                .exact()
                .is_none_or(|own| !own.minus(&acl::loopback()).intersect(&family).is_empty());
        }
        if !beyond_loopback {
            gate.rule(
                chain,
                Rule {
                    guard: Guard::number(Dim::Source, family.minus(&acl::loopback())),
                    step: deny(Denial::Unreachable),
                    span: last.span,
                },
            );
        }
    }
    if let Some(clause) = options.get("blackhole") {
        let guard = lists.clause(gate, clause).guard();
        gate.rule(
            chain,
            Rule {
                guard,
                step: deny(Denial::Drop),
                span: clause.span,
            },
        );
    }
}

/// Holds for the clients that a view takes.
pub(super) fn takes(gate: &mut Gate, lists: &mut Lists<'_>, scene: Scene<'_>) -> Guard {
    let Some(view) = scene.view else {
        return Guard::Always;
    };
    let mut guards = Vec::new();
    if let Some(clause) = view.scope.get("match-clients") {
        guards.push(lists.clause(gate, clause).guard());
    }
    if let Some(clause) = view.scope.get("match-destinations")
        && !lists.clause(gate, clause).accepts_all()
    {
        guards.push(destination(gate, clause));
    }
    Guard::All(guards)
}

/// Which of the server's addresses a client asks is not a part of the flow.
fn destination(gate: &mut Gate, clause: &Statement) -> Guard {
    let text = format!(
        "the server's address that clients ask (`{}`)",
        clause.keyword()
    );
    Guard::Unknown(gate.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "destination",
        identity: Some(text.clone()),
        text,
        span: Some(clause.span),
    }))
}

/// Who may have names resolved, and by whom they are.
pub(super) fn recursion(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
) -> Hop {
    let chain = gate.chain(UPSTREAM);
    if !scene.recurses() {
        let clause = scene.get("recursion");
        return Hop {
            name: UPSTREAM,
            chain,
            fallback: Effect::Deny(Denial::Refused),
            span: clause.map(|clause| clause.span),
            text: "`recursion no`: the server only answers for its own zones".to_owned(),
        };
    }
    let recursion = scene.get("allow-recursion");
    let cache = scene.get("allow-query-cache");
    let query = scene.get("allow-query");
    let mut spans = Vec::new();
    let mut guards = Vec::new();
    // Each is the other's default, then allow-query, then localhost and localnets (configure_view).
    for clause in [recursion.or(cache).or(query), cache.or(recursion).or(query)] {
        let list = match clause {
            Some(clause) => {
                spans.push(clause.span);
                lists.clause(gate, clause)
            }
            None => lists.local(gate),
        };
        groups(gate, &list, clause);
        guards.push(list.guard());
    }
    for name in ["allow-recursion-on", "allow-query-cache-on"] {
        if let Some(clause) = scene.get(name)
            && !lists.clause(gate, clause).accepts_all()
        {
            guards.push(destination(gate, clause));
        }
    }
    let forwarding = upstream::forwarding(gate, context, scene);
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(guards.clone()),
            step: Step::Call(forwarding),
            span: spans.first().copied().unwrap_or(context.whole),
        },
    );
    // Who may read the cache but not have names resolved gets an answer without records (seen with 9.18).
    guards.remove(0);
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(guards),
            step: deny(Denial::NoData),
            span: spans.first().copied().unwrap_or(context.whole),
        },
    );
    Hop {
        name: UPSTREAM,
        chain,
        fallback: Effect::Deny(Denial::Refused),
        span: spans.first().copied(),
        text: if spans.is_empty() {
            "by default only the server itself and its own networks may have names resolved"
                .to_owned()
        } else {
            "no element of the list accepts the client".to_owned()
        },
    }
}

/// Who the clients may be: those that may have names resolved.
fn groups(gate: &mut Gate, list: &List, clause: Option<&Statement>) {
    let surely = list.surely();
    let beyond = surely.minus(&acl::loopback());
    let (name, sources) = if surely.is_full() {
        ("any client".to_owned(), surely)
    } else if beyond.is_empty() {
        ("the server's own networks (localnets)".to_owned(), surely)
    } else {
        ("clients that may have names resolved".to_owned(), beyond)
    };
    let group = ClientGroup {
        name,
        sources,
        interface: None,
        span: clause.map(|clause| clause.span),
    };
    if !group.sources.is_empty() && !gate.groups.contains(&group) {
        gate.groups.push(group);
    }
}
