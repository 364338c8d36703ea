//! In: one question to one gate. Out: which of its flows get through to where they were going, which do not, and which
//! cannot be known.
//!
//! Accepted is not arrived: a flow that the gate lets pass and sends elsewhere is bad, one that it sends to a place that
//! is not known is undecided.
//!
//! INVARIANT: good, bad and unknown partition the verdict's universe.

use crate::decide::{Arrival, Decider, Evaluator, Flows, Part, Verdict};
use crate::model::{Dim, Effect, Question};

/// A verdict as a requirement sees it.
#[derive(Debug)]
pub(super) struct Judged {
    /// What was asked, client included.
    pub(super) question: Question,
    /// The evaluator's answer.
    pub(super) verdict: Verdict,
    /// Surely through.
    pub(super) good: Flows,
    /// Surely not, or not at all times.
    pub(super) bad: Flows,
    /// Cannot be known.
    pub(super) unknown: Flows,
}

/// Asks, and looks where the flows end up.
pub(super) fn judged(evaluator: &mut Evaluator<'_>, question: Question) -> Judged {
    let verdict = evaluator.ask(&question);
    settled(evaluator, question, verdict)
}

/// The same for the flows within a set over numeric dimensions.
pub(super) fn judged_within(
    evaluator: &mut Evaluator<'_>,
    question: Question,
    within: Flows,
) -> Judged {
    let verdict = evaluator.ask_within(&question, within);
    settled(evaluator, question, verdict)
}

fn settled(evaluator: &mut Evaluator<'_>, question: Question, verdict: Verdict) -> Judged {
    let (astray, doubtful) = astray(evaluator, &question, &verdict);
    let astray = evaluator.intersect(astray, verdict.allowed);
    let doubtful = evaluator.intersect(doubtful, verdict.allowed);
    let doubtful = evaluator.minus(doubtful, astray);
    let good = evaluator.minus(verdict.allowed, astray);
    let good = evaluator.minus(good, doubtful);
    // A required flow has to pass always, so whether it ever does makes no difference.
    let denied = evaluator.union(verdict.denied, verdict.varying);
    let denied = evaluator.union(denied, verdict.hindered);
    let bad = evaluator.union(denied, astray);
    let undecided = evaluator.minus(verdict.undecided, verdict.hindered);
    let unknown = evaluator.union(undecided, doubtful);
    let lost = lost(evaluator, &question, &verdict, unknown);
    let bad = evaluator.union(bad, lost);
    let unknown = evaluator.minus(unknown, lost);
    Judged {
        question,
        verdict,
        good,
        bad,
        unknown,
    }
}

/// Of flows that are not decided, those that end badly whatever the unknowns are: denied or diverted.
fn lost(
    evaluator: &mut Evaluator<'_>,
    question: &Question,
    verdict: &Verdict,
    undecided: Flows,
) -> Flows {
    let none = evaluator.minus(undecided, undecided);
    let diverted = |part: &Part| matches!(part.arrival, Arrival::Diverted { .. });
    if evaluator.is_empty(undecided) || !verdict.parts.iter().any(diverted) {
        return none;
    }
    let mut hopeful = none;
    for part in &verdict.parts {
        let ends_well = match part.decider {
            Decider::Arrived => !diverted(part),
            Decider::Obscured(_) => true,
            Decider::Rule(_) | Decider::Fallback { .. } => false,
        };
        if ends_well {
            hopeful = evaluator.union(hopeful, part.flows);
        }
    }
    let kept = universal(question);
    let hopeful = evaluator.keep(hopeful, &kept);
    evaluator.minus(undecided, hopeful)
}

/// The dimensions of which every value has to pass.
fn universal(question: &Question) -> Vec<Dim> {
    Dim::ALL
        .into_iter()
        .filter(|dim| !question.existential.contains(dim))
        .collect()
}

/// Flows that surely, and that perhaps, arrive elsewhere. Dimensions of which some value suffices are chosen well.
fn astray(evaluator: &mut Evaluator<'_>, question: &Question, verdict: &Verdict) -> (Flows, Flows) {
    let none = evaluator.minus(verdict.universe, verdict.universe);
    let local_is_asked = question.destination_is_local == Some(true);
    let arrives = |part: &Part| match part.arrival {
        Arrival::AsAsked => true,
        Arrival::Local => local_is_asked,
        Arrival::Diverted { .. } | Arrival::Unknown => false,
    };
    let (mut straight, mut surely, mut perhaps) = (none, none, none);
    for part in &verdict.parts {
        // Only at the end of the way it shows where a flow arrives.
        if part.effect != Effect::Allow || part.decider != Decider::Arrived {
            continue;
        }
        if arrives(part) {
            straight = evaluator.union(straight, part.flows);
        } else if matches!(part.arrival, Arrival::Diverted { .. }) && part.unknowns.is_empty() {
            surely = evaluator.union(surely, part.flows);
        } else {
            perhaps = evaluator.union(perhaps, part.flows);
        }
    }
    let elsewhere = evaluator.union(surely, perhaps);
    if evaluator.is_empty(elsewhere) {
        return (none, none);
    }
    let kept = universal(question);
    let purely_straight = evaluator.minus(straight, elsewhere);
    let purely_straight = evaluator.keep(purely_straight, &kept);
    let otherwise = evaluator.union(straight, perhaps);
    let otherwise = evaluator.keep(otherwise, &kept);
    let surely = evaluator.keep(surely, &kept);
    let surely_astray = evaluator.minus(surely, otherwise);
    let elsewhere = evaluator.keep(elsewhere, &kept);
    let perhaps_astray = evaluator.minus(elsewhere, purely_straight);
    (surely_astray, perhaps_astray)
}
