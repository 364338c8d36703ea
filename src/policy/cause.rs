//! In: a problem and the verdict that it comes from. Out: the part that decided, what an undecided one waits for, and
//! the words for a denial.

use super::outcome::{GroupOutcome, Problem};
use crate::decide::{Arrival, Decider, Evaluator, Part};
use crate::finding::{Outcome, Reason};
use crate::model::{Denial, Dim, Effect, to_address};

/// The part that decides most of a problem's flows. A verdict may have very many parts: the first ones are looked at.
pub(super) fn decisive(
    evaluator: &mut Evaluator<'_>,
    problem: &Problem,
    outcome: Outcome,
) -> Option<Part> {
    let parts = &problem.judged.verdict.parts;
    let mut best: Option<(u128, &Part)> = None;
    for part in parts.iter().take(4096) {
        let fits = match outcome {
            Outcome::Undecided => {
                !part.unknowns.is_empty()
                    || matches!(part.decider, Decider::Obscured(_))
                    || matches!(part.arrival, Arrival::Local | Arrival::Unknown)
            }
            Outcome::Fail | Outcome::Degraded | Outcome::Pass | Outcome::NotApplicable => {
                part.effect != Effect::Allow || matches!(part.arrival, Arrival::Diverted { .. })
            }
        };
        if !fits {
            continue;
        }
        let flows = evaluator.intersect(part.flows, problem.flows);
        if evaluator.is_empty(flows) {
            continue;
        }
        let weight = [Dim::Source, Dim::Destination, Dim::SourcePort]
            .into_iter()
            .map(|dim| evaluator.values(flows, dim).count().max(1))
            .fold(1u128, u128::saturating_mul);
        // What surely denies weighs more than what sends elsewhere, and that more than what perhaps denies.
        let rank = weight
            / match (part.effect, part.unknowns.is_empty()) {
                (Effect::Allow, _) => 1024,
                (Effect::Deny(_), false) if outcome != Outcome::Undecided => 4096,
                (Effect::Deny(_), _) => 1,
            };
        if best.is_none_or(|(most, _)| rank > most) {
            best = Some((rank, part));
        }
    }
    best.map(|(_, part)| part.clone())
}

/// What an outcome waits for or depends on.
pub(super) fn reasons(evaluator: &mut Evaluator<'_>, result: &GroupOutcome) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = result.waits.clone();
    let mut add = |reason: Reason| {
        if !reasons.contains(&reason) && reasons.len() < 32 {
            reasons.push(reason);
        }
    };
    for problem in &result.problems {
        let verdict = &problem.judged.verdict;
        for part in verdict.parts.iter().take(4096) {
            // Where an unknown decides whether it strays, the unknown is the reason.
            let strays = part.effect == Effect::Allow
                && matches!(part.arrival, Arrival::Diverted { .. } | Arrival::Unknown)
                && (result.outcome != Outcome::Undecided || part.unknowns.is_empty());
            if part.unknowns.is_empty() && !strays {
                continue;
            }
            let flows = evaluator.intersect(part.flows, problem.flows);
            if evaluator.is_empty(flows) {
                continue;
            }
            for unknown in part.unknowns.iter().filter_map(|id| evaluator.unknown(*id)) {
                add(Reason {
                    code: unknown.code.to_owned(),
                    text: unknown.text.clone(),
                    span: unknown.span,
                });
            }
            if strays {
                add(Reason {
                    code: "diverted".to_owned(),
                    text: astray(part),
                    span: None,
                });
            }
        }
        if verdict.spent && result.outcome == Outcome::Undecided {
            add(Reason {
                code: "budget".to_owned(),
                text: "more work than the budget allows".to_owned(),
                span: None,
            });
        }
    }
    reasons
}

pub(super) fn astray(part: &Part) -> String {
    match part.arrival {
        Arrival::Diverted { address, port } => {
            let address = address.map(|address| to_address(address).to_string());
            let port = port.map(|port| format!("port {port}"));
            let place: Vec<String> = address.into_iter().chain(port).collect();
            format!("diverted to {}", place.join(" "))
        }
        Arrival::Local => "handed to a service of this machine".to_owned(),
        Arrival::Unknown => "sent to an address that is not known".to_owned(),
        Arrival::AsAsked => "let through".to_owned(),
    }
}

pub(super) fn spoken(denial: Denial) -> &'static str {
    match denial {
        Denial::Drop => "dropped",
        Denial::Reject => "rejected",
        Denial::Deny | Denial::Refused => "refused",
        Denial::Challenge => "answered with 407 (log in first)",
        Denial::Decrypted => "broken by decryption",
        Denial::Rewritten => "answered with other addresses",
        Denial::NxDomain => "answered with NXDOMAIN",
        Denial::NoData => "answered with no data",
        Denial::Truncated => "truncated",
        Denial::Unreachable => "unreachable",
        Denial::Fails => "left without an answer",
        Denial::Blocked => "blocked",
        Denial::Diverted => "sent elsewhere",
        Denial::DoesNotStart => "not served",
    }
}
