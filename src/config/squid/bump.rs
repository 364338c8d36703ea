//! In: `ssl_bump` rules. Out: a stage for CONNECT requests on `ssl-bump` ports.
//!
//! The rules are read at up to three steps (src/ssl/PeekingPeerConnector.cc, squid.conf `ssl_bump`): the request, the
//! client's TLS hello, the server's certificate. A rule whose action is impossible at a step is skipped; no match means
//! splice. After a peek at step 2 bumping is impossible, after a stare splicing is.
//!
//! A spliced tunnel is as good as none. A bumped one is decrypted: what is not HTTP, such as TURN, hangs, whatever
//! `on_unsupported_protocol` says; WebSocket loses its Upgrade header unless `http_upgrade_request_protocols` lets it
//! through. The rest works for clients that trust the proxy's certificate, if the requests inside are allowed: the unknown
//! `bump`, whose truth is "it breaks".

use super::acl::Kind;
use super::guards::{Place, never};
use super::lists::{Action, List, Rule as Entry};
use super::lower::{Lowering, passes};
use crate::model::{
    ChainId, Denial, Dim, Effect, Guard, Ranges, Rule, Step, Tunnel, Unknown, UnknownKind,
};
use crate::source::Span;

/// Adds the stage, where tunnels can be bumped at all.
pub(super) fn stage(lowering: &mut Lowering<'_>) {
    let rules = lowering
        .config
        .lists
        .get(&List::SslBump)
        .cloned()
        .unwrap_or_default();
    let ports = &lowering.config.ports;
    if rules.is_empty() || !ports.iter().any(|port| port.bump) {
        return;
    }
    let bumping = lowering
        .guards
        .listeners(|index| ports.get(index).is_some_and(|port| port.bump));
    let upgraded = upgraded(lowering);
    let chain = lowering.gate.chain(List::SslBump.word());
    let third_peeked = lowering.gate.chain("ssl_bump step 3");
    let third_stared = lowering.gate.chain("ssl_bump step 3");
    let second = lowering.gate.chain("ssl_bump step 2");
    let first = lowering.gate.chain("ssl_bump step 1");
    let mut last = None;
    for rule in &rules {
        let Entry::Line {
            action,
            terms,
            span,
            ..
        } = rule
        else {
            continue;
        };
        last = Some(*span);
        let steps = [
            (first, 1, Some(second)),
            (second, 2, None),
            (third_peeked, 3, None),
            (third_stared, 3, None),
        ];
        for (chain, step, next) in steps {
            let guard = lowering
                .guards
                .rule(&mut lowering.gate, terms, Place::Bump(step))
                .matches;
            let decided = match action {
                Action::Splice | Action::Deny if chain == third_stared => continue,
                Action::Splice | Action::Deny => Step::Decide(Effect::Allow),
                Action::Terminate => Step::Decide(Effect::Deny(Denial::Reject)),
                Action::Bump | Action::Allow if chain == third_peeked => continue,
                Action::Bump | Action::Allow => {
                    bumped(lowering, chain, &guard, &upgraded, *span);
                    Step::Decide(Effect::Allow)
                }
                Action::Peek | Action::Stare if step == 3 => continue,
                Action::Peek => Step::Goto(next.unwrap_or(third_peeked)),
                Action::Stare => Step::Goto(next.unwrap_or(third_stared)),
            };
            lowering.gate.rule(
                chain,
                Rule {
                    guard,
                    step: decided,
                    span: *span,
                },
            );
        }
    }
    if let Some(span) = last {
        // Stared at the server's hello and no rule since: bump is the only way left.
        bumped(lowering, third_stared, &Guard::Always, &upgraded, span);
        let connect = super::guards::method(&mut lowering.gate, "CONNECT");
        lowering.gate.rule(
            chain,
            Rule {
                guard: Guard::All(vec![connect, Guard::number(Dim::Listener, bumping)]),
                step: Step::Goto(first),
                span,
            },
        );
    }
    lowering.stage(List::SslBump.word(), chain, passes());
}

/// What decryption breaks, and what else it hangs on.
fn bumped(
    lowering: &mut Lowering<'_>,
    chain: ChainId,
    guard: &Guard,
    upgraded: &Guard,
    span: Span,
) {
    let carries = |tunnel: Tunnel| Guard::number(Dim::Tunnel, Ranges::one(tunnel as u128));
    let broken = Guard::AnyOf(vec![
        carries(Tunnel::Tls),
        Guard::All(vec![carries(Tunnel::WebSocket), upgraded.clone().negated()]),
    ]);
    let decrypted = Effect::Deny(Denial::Decrypted);
    let guards = vec![guard.clone(), broken];
    lowering.decide(chain, Guard::All(guards), decrypted, span);
    let id = lowering.gate.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "bump",
        text: "knowing whether clients trust the certificates that Squid makes, and whether it allows the requests \
               inside"
            .to_owned(),
        identity: Some("bump".to_owned()),
        span: Some(span),
    });
    let guards = vec![guard.clone(), Guard::Unknown(id)];
    lowering.decide(chain, Guard::All(guards), decrypted, span);
}

/// Whether a `websocket` Upgrade passes: the lines for exactly that name, else those for `OTHER`, else not
/// (src/HttpUpgradeProtocolAccess.cc: names are case-sensitive, and this is the one that clients send).
fn upgraded(lowering: &mut Lowering<'_>) -> Guard {
    let named = |name: &str| {
        let key = (List::UpgradeProtocols, name.to_owned());
        lowering.config.named_lists.get(&key).cloned()
    };
    let Some(rules) = named(WEBSOCKET).or_else(|| named("OTHER")) else {
        return never();
    };
    let unknown = |lowering: &mut Lowering<'_>, text: &str, span| {
        Guard::Unknown(lowering.outside("upgrade", text, span))
    };
    let last = rules.iter().rev().find_map(|rule| match rule {
        Entry::Line { span, .. } => Some(*span),
        Entry::Hole(_) => None,
    });
    let mut passes = last.map_or_else(never, |span| {
        let text = "what Squid does where no line of `http_upgrade_request_protocols` matches";
        unknown(lowering, text, span)
    });
    for rule in rules.iter().rev() {
        let Entry::Line {
            action,
            terms,
            span,
            ..
        } = rule
        else {
            continue;
        };
        // The request inside has another method and URL than the CONNECT that is asked about.
        let same_inside = terms.iter().all(|term| {
            let acl = lowering.config.acls.get(term.acl);
            acl.is_some_and(|acl| matches!(acl.kind, Kind::Source | Kind::DestinationDomain))
        });
        let matches = if same_inside {
            let place = Place::Fast;
            lowering
                .guards
                .rule(&mut lowering.gate, terms, place)
                .matches
        } else {
            let text = "how `http_upgrade_request_protocols` judges the request inside the tunnel";
            unknown(lowering, text, *span)
        };
        passes = match (action, matches) {
            (Action::Allow, Guard::Always) => Guard::Always,
            (_, Guard::Always) => never(),
            (Action::Allow, matches) => Guard::AnyOf(vec![matches, passes]),
            (_, matches) => Guard::All(vec![matches.negated(), passes]),
        };
    }
    passes
}

/// The name that clients send (RFC 6455, 4.1; browsers write it in lower case).
pub(super) const WEBSOCKET: &str = "websocket";
