//! In: `ssl_bump` rules. Out: a stage for CONNECT requests on `ssl-bump` ports.
//!
//! The rules are read at up to three steps (src/ssl/PeekingPeerConnector.cc, squid.conf `ssl_bump`): the request, the
//! client's TLS hello, the server's certificate. A rule whose action is impossible at a step is skipped; no match means
//! splice. After a peek at step 2 bumping is impossible, after a stare splicing is.
//!
//! A spliced tunnel is as good as none. A bumped one is decrypted: TURN over TLS hangs, WebSocket loses its Upgrade
//! header unless `http_upgrade_request_protocols` lets it through; plain HTTPS works for clients that trust the proxy's
//! certificate. So what is bumped depends on what the tunnel carries: the unknown `bump`, whose truth is "it breaks".

use super::guards::Place;
use super::lists::{Action, List, Rule as Entry};
use super::lower::{Lowering, passes};
use crate::model::{ChainId, Denial, Dim, Effect, Guard, Rule, Step, Unknown, UnknownKind};
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
                    broken(lowering, chain, guard.clone(), *span);
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
        broken(lowering, third_stared, Guard::Always, span);
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

fn broken(lowering: &mut Lowering<'_>, chain: ChainId, guard: Guard, span: Span) {
    let id = lowering.gate.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "bump",
        text: "what the tunnel carries: Squid decrypts it here, which stops TURN over TLS and, unless \
               `http_upgrade_request_protocols` lets it through, WebSocket"
            .to_owned(),
        identity: Some("bump".to_owned()),
        span: Some(span),
    });
    lowering.decide(
        chain,
        Guard::All(vec![guard, Guard::Unknown(id)]),
        Effect::Deny(Denial::Deny),
        span,
    );
}
