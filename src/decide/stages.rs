//! In: a walk and the asked flows. Out: what all stages, and all packets of the conversation, did with them.
//!
//! Stages are taken in the order of their numbers as far as the graph allows, so that ways that meet again are walked
//! once. An edge that cannot be decided is taken both ways.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::env::{Current, Env};
use super::guard::Taint;
use super::reach::Reach;
use super::walk::{Event, Fate, Piece, Walk, merge};
use super::{Arrival, Decider, Final, Flows, Packet, Part, StepSeen};
use crate::model::{Conversation, Dim, Effect, Guard, Onward, Ranges, Stage, StageId, UnknownKind};

/// What became of all asked flows.
pub(crate) struct Seen {
    /// Flows that may pass everything.
    pub(crate) allowed: Reach,
    /// Flows that may be denied.
    pub(crate) denied: Reach,
    /// Flows that are denied at some time, whatever the unknowns are.
    pub(crate) surely_denied: Reach,
    /// Flows that are allowed at some time, whatever the unknowns are.
    pub(crate) surely_allowed: Reach,
    pub(crate) parts: Vec<Part>,
    pub(crate) steps: Vec<StepSeen>,
    pub(crate) visits: u64,
    pub(crate) spent: bool,
}

/// Runs the whole gate.
pub(crate) fn run(mut walk: Walk<'_>) -> Seen {
    let question = walk.ground.question;
    let env = match question.conversation {
        Conversation::Whole | Conversation::First => Env::first(question.mark),
        Conversation::Established => Env::established(question.mark),
    };
    let mut seen = Seen {
        allowed: Reach::default(),
        denied: Reach::default(),
        surely_denied: Reach::default(),
        surely_allowed: Reach::default(),
        parts: Vec::new(),
        steps: Vec::new(),
        visits: 0,
        spent: false,
    };
    let universe = walk.universe;
    let reach = Reach::from_node(walk.space, universe);
    let start = Piece {
        env: Rc::new(env),
        why: super::walk::Why::default(),
        reach,
    };
    let mut waiting: BTreeMap<StageId, Vec<Piece>> = BTreeMap::from([(StageId(0), vec![start])]);
    // INVARIANT: stages form no loop, so each is entered a bounded number of times; a broken gate cannot hang us.
    let mut entries_left = walk.ground.gate.stages.len().saturating_mul(64).max(1);
    while let Some((id, pieces)) = waiting.pop_first() {
        let Some(stage) = walk.ground.gate.stages.get(id.0 as usize) else {
            for piece in pieces {
                arrive(&mut walk, &mut seen, id, &piece, false);
            }
            continue;
        };
        if entries_left == 0 {
            let unknown = walk.synthetic.id(
                UnknownKind::Opaque,
                "loop",
                "a way that does not end".to_owned(),
            );
            walk.obscure_all(pieces, unknown);
            drain(&mut walk, &mut seen, id, &mut Vec::new());
            continue;
        }
        entries_left -= 1;
        let allowed = enter(&mut walk, &mut seen, id, stage, pieces);
        for (to, piece) in leave(&mut walk, stage, allowed) {
            match to {
                Onward::Stage(next) => merge(walk.space, waiting.entry(next).or_default(), piece),
                Onward::Arrive { local } => arrive(&mut walk, &mut seen, id, &piece, local),
                Onward::Reply(_) if question.conversation != Conversation::Whole => {
                    arrive(&mut walk, &mut seen, id, &piece, false);
                }
                Onward::Reply(next) => {
                    let env = Rc::new(piece.env.reply(arrival(&walk, &piece.env, false)));
                    merge(
                        walk.space,
                        waiting.entry(next).or_default(),
                        Piece { env, ..piece },
                    );
                }
                Onward::Again(next) => {
                    let env = Rc::new(piece.env.again(question.mark));
                    merge(
                        walk.space,
                        waiting.entry(next).or_default(),
                        Piece { env, ..piece },
                    );
                }
            }
        }
    }
    seen.steps = std::mem::take(&mut walk.steps);
    seen.visits = walk.visits;
    seen.spent = walk.spent;
    seen
}

/// Walks a stage; gives what it allows.
fn enter(
    walk: &mut Walk<'_>,
    seen: &mut Seen,
    id: StageId,
    stage: &Stage,
    pieces: Vec<Piece>,
) -> Vec<Piece> {
    let mut entering = Vec::new();
    for piece in pieces {
        let env = if stage.enter.is_empty() {
            piece.env
        } else {
            Rc::new(
                stage
                    .enter
                    .iter()
                    .fold((*piece.env).clone(), |env, rewrite| env.rewritten(rewrite)),
            )
        };
        merge(walk.space, &mut entering, Piece { env, ..piece });
    }
    let rest = match stage.chain {
        Some(chain) => walk.chain(chain, entering),
        None => entering,
    };
    for piece in rest {
        if piece.reach.is_empty() {
            continue;
        }
        if walk.ground.question.steps {
            let text = stage.fallback.text.clone();
            walk.steps.push(StepSeen {
                span: stage.fallback.span,
                text,
            });
        }
        walk.events.push(Event {
            fate: Fate::Effect(stage.fallback.effect),
            decider: Decider::Fallback {
                span: stage.fallback.span,
                text: stage.fallback.text.clone(),
            },
            rule: None,
            calls: Vec::new(),
            env: piece.env,
            why: piece.why,
            slices: piece.reach.slices(),
        });
    }
    let mut allowed = Vec::new();
    drain(walk, seen, id, &mut allowed);
    allowed
}

/// Books what happened in a stage.
fn drain(walk: &mut Walk<'_>, seen: &mut Seen, id: StageId, allowed: &mut Vec<Piece>) {
    for event in std::mem::take(&mut walk.events) {
        let flows = Flows(walk.space.join(Dim::Source, &event.slices));
        let (effect, decider) = match event.fate {
            Fate::Effect(effect @ Effect::Allow) => {
                let reach = Reach::from_slices(walk.space, &event.slices);
                let (env, why) = (Rc::clone(&event.env), event.why.clone());
                merge(walk.space, allowed, Piece { env, why, reach });
                (effect, event.decider)
            }
            Fate::Effect(effect @ Effect::Deny(_)) => {
                seen.denied.add_slices(walk.space, &event.slices);
                if event.why.taint() == Taint::Varies {
                    seen.surely_denied.add_slices(walk.space, &event.slices);
                }
                (effect, event.decider)
            }
            Fate::Obscured => {
                seen.denied.add_slices(walk.space, &event.slices);
                seen.allowed.add_slices(walk.space, &event.slices);
                let span = match event.decider {
                    Decider::Rule(span) | Decider::Obscured(Some(span)) => Some(span),
                    Decider::Fallback { span, .. } => span,
                    Decider::Arrived | Decider::Obscured(None) => None,
                };
                (
                    Effect::Deny(crate::model::Denial::Fails),
                    Decider::Obscured(span),
                )
            }
        };
        let end = event.env.end();
        seen.parts.push(Part {
            effect,
            decider,
            calls: event.calls,
            flows,
            unknowns: event.why.unknowns().to_vec(),
            stage: id,
            packet: event.env.packet,
            arrival: Arrival::AsAsked,
            end,
            rule: event.rule,
        });
    }
}

/// Sends pieces along the first edge whose guard holds; none at all is an arrival.
fn leave(walk: &mut Walk<'_>, stage: &Stage, allowed: Vec<Piece>) -> Vec<(Onward, Piece)> {
    let mut leaving = Vec::new();
    for mut piece in allowed {
        for edge in &stage.edges {
            if piece.reach.is_empty() {
                break;
            }
            if edge.guard == Guard::Always {
                let rest = std::mem::take(&mut piece.reach);
                leaving.push((
                    edge.to.clone(),
                    Piece {
                        reach: rest,
                        ..piece.clone()
                    },
                ));
                continue;
            }
            let compiled = walk
                .ground
                .compile(walk.space, walk.synthetic, &edge.guard, &piece.env);
            let (sure, maybe) = walk.split(&piece.reach, &compiled);
            if !sure.is_empty() {
                piece.reach.remove(walk.space, &sure);
                let reach = Reach::from_slices(walk.space, &sure);
                leaving.push((
                    edge.to.clone(),
                    Piece {
                        reach,
                        ..piece.clone()
                    },
                ));
            }
            if !maybe.is_empty() {
                piece.reach.remove(walk.space, &maybe);
                let why = piece.why.also(&compiled.gaps).also(&compiled.general_gaps);
                let reach = Reach::from_slices(walk.space, &maybe);
                let perhaps = Piece {
                    env: Rc::clone(&piece.env),
                    why,
                    reach,
                };
                leaving.push((edge.to.clone(), perhaps.clone()));
                // And the other way: the later edges.
                let later = Stage {
                    edges: stage
                        .edges
                        .iter()
                        .skip_while(|other| !std::ptr::eq(*other, edge))
                        .skip(1)
                        .cloned()
                        .collect(),
                    ..stage.clone()
                };
                leaving.extend(leave(walk, &later, vec![perhaps]));
            }
        }
        if !piece.reach.is_empty() {
            leaving.push((Onward::Arrive { local: false }, piece));
        }
    }
    leaving
}

fn arrive(walk: &mut Walk<'_>, seen: &mut Seen, stage: StageId, piece: &Piece, local: bool) {
    let slices = piece.reach.slices();
    seen.allowed.add_slices(walk.space, &slices);
    if piece.why.taint() == Taint::Varies {
        seen.surely_allowed.add_slices(walk.space, &slices);
    }
    let (arrival, end) = piece
        .env
        .arrived
        .unwrap_or_else(|| (arrival(walk, &piece.env, local), piece.env.end()));
    let flows = Flows(walk.space.join(Dim::Source, &slices));
    seen.parts.push(Part {
        effect: Effect::Allow,
        decider: Decider::Arrived,
        calls: Vec::new(),
        flows,
        unknowns: piece.why.unknowns().to_vec(),
        stage,
        packet: piece.env.packet,
        arrival,
        end,
        rule: None,
    });
}

/// Where a request that leaves now ends up.
fn arrival(walk: &Walk<'_>, env: &Env, local: bool) -> Arrival {
    if env.packet != Packet::Request {
        return Arrival::AsAsked;
    }
    let unchanged = |dim: Dim| match env.get(dim) {
        Current::Of(of) => of == dim,
        Current::Const(value) => {
            walk.ground.asked.get(&dim).and_then(Ranges::single) == Some(value)
        }
        Current::Every(..)
        | Current::OneOf(_)
        | Current::Prefix { .. }
        | Current::Own(_)
        | Current::Unknown(_) => false,
    };
    if unchanged(Dim::Destination) && unchanged(Dim::DestinationPort) {
        return if local {
            Arrival::Local
        } else {
            Arrival::AsAsked
        };
    }
    let own = |address: u128| {
        let known = walk.ground.gate.own_addresses.as_ref();
        known.is_some_and(|own| own.contains(address)) || Ranges::loopback().contains(address)
    };
    // An address that a rule names is another machine's unless it is known to be this one's.
    let named_elsewhere =
        matches!(env.get(Dim::Destination), Current::Const(address) if !own(address));
    if local && !named_elsewhere {
        return Arrival::Local;
    }
    let end = env.end();
    let known = |end: Final| match end {
        Final::Is(value) => Some(value),
        Final::AsSent | Final::Unknown => None,
    };
    let (address, port) = (known(end.destination), known(end.destination_port));
    if address.is_none() && port.is_none() {
        Arrival::Unknown
    } else {
        Arrival::Diverted {
            address,
            port: port.and_then(|port| u16::try_from(port).ok()),
        }
    }
}
