//! In: a requirement, a gate, one client group. Out: the requirement's outcome for that group, and what shows it.
//!
//! Alternatives are asked in order, each only for the (client, destination) pairs that the former ones left uncovered;
//! a pair is covered where every port and all three packets of the conversation get through. Precedence: fail,
//! undecided, degraded, pass.

use std::rc::Rc;

use super::ask::{self, Ask, Weight};
use super::clients::Group;
use super::judged::{Judged, judged, judged_within};
use super::{Breadth, Demand, Policy, ProbeGroup, Reach, Requirement};
use crate::decide::{Evaluator, Flows};
use crate::finding::{Outcome, Reason, Severity};
use crate::model::{Dim, Gate, Layer, Question, Ranges};

/// A requirement's outcome for one group.
#[derive(Debug)]
pub(super) struct GroupOutcome {
    /// The outcome.
    pub(super) outcome: Outcome,
    /// For undecided: what is possible.
    pub(super) between: Vec<Outcome>,
    /// What shows it, the decisive one first.
    pub(super) problems: Vec<Problem>,
    /// What still works, where something had to fall back.
    pub(super) fallback: Option<Problem>,
    /// The message of the alternative that had to serve, and its severity.
    pub(super) said: (Option<String>, Option<Severity>),
    /// What an undecided outcome waits for, beside what the evaluator names.
    pub(super) waits: Vec<Reason>,
    /// The part of the destination that is not reached, where a part suffices, and its share in percent.
    pub(super) missing: Option<(Ranges, f64)>,
}

/// A question and those of its flows that matter.
#[derive(Debug)]
pub(super) struct Problem {
    /// What was asked.
    pub(super) ask: Ask,
    /// What came of it.
    pub(super) judged: Rc<Judged>,
    /// The flows.
    pub(super) flows: Flows,
}

impl GroupOutcome {
    fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            between: Vec::new(),
            problems: Vec::new(),
            fallback: None,
            said: (None, None),
            missing: None,
            waits: Vec::new(),
        }
    }
}

/// What must be known to judge one group at one gate.
pub(super) struct Bench<'a, 'g> {
    pub(super) policy: &'a Policy,
    pub(super) gate: &'g Gate,
    pub(super) evaluator: &'a mut Evaluator<'g>,
    /// The gate of what the same machine receives, where it is one of its own.
    pub(super) received: Option<&'g Gate>,
    pub(super) group: &'a Group,
    /// What was asked before.
    pub(super) known: &'a mut Known,
}

/// Questions that were put to a gate and what came of them: requirements often share one.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<(Option<Flows>, Rc<Judged>)>);

impl Bench<'_, '_> {
    /// The outcome; `None` where the gate is not concerned.
    pub(super) fn outcome(&mut self, requirement: &Requirement) -> Option<GroupOutcome> {
        match (&requirement.demand, self.gate.layer) {
            (Demand::Reach(reach), Layer::Packet) => self.packets(reach),
            (Demand::Reach(reach), Layer::Proxy) => self.connects(reach),
            (Demand::Forbid(reach), Layer::Packet) => self.forbidden(reach),
            (Demand::Resolve(lookups), Layer::Lookup) => {
                let asks = lookups
                    .iter()
                    .flat_map(|resolve| ask::lookups(self.policy, resolve))
                    .collect();
                self.all(asks)
            }
            (Demand::Fetch(groups), Layer::Fetch) => self.any_group(groups),
            (
                Demand::Reach(_)
                | Demand::Resolve(_)
                | Demand::Fetch(_)
                | Demand::Setting(_)
                | Demand::Forbid(_)
                | Demand::Advice,
                _,
            ) => None,
        }
    }

    fn ask(&mut self, ask: Ask, within: Option<Flows>) -> (Ask, Rc<Judged>) {
        let ask = ask::with_familiar(ask, &self.policy.familiar);
        let question = self.group.asks(&ask.question, self.gate.layer);
        let known = |(flows, judged): &&(Option<Flows>, Rc<Judged>)| {
            *flows == within && judged.question == question
        };
        if let Some((_, judged)) = self.known.0.iter().find(known) {
            return (ask, Rc::clone(judged));
        }
        let judged = Rc::new(match within {
            None => judged(self.evaluator, question),
            Some(within) => judged_within(self.evaluator, question, within),
        });
        self.known.0.push((within, Rc::clone(&judged)));
        (ask, judged)
    }

    /// All must get through.
    fn all(&mut self, asks: Vec<Ask>) -> Option<GroupOutcome> {
        if asks.is_empty() {
            return None;
        }
        let mut result = GroupOutcome::plain(Outcome::Pass);
        for ask in asks {
            let (ask, judged) = self.ask(ask, None);
            let worst = match ask.weight {
                Weight::Must => Outcome::Fail,
                Weight::Should => Outcome::Degraded,
            };
            let (outcome, flows) = if !self.evaluator.is_empty(judged.bad) {
                (worst, judged.bad)
            } else if !self.evaluator.is_empty(judged.unknown) {
                (Outcome::Undecided, judged.unknown)
            } else {
                continue;
            };
            if outcome == Outcome::Undecided && result.outcome <= Outcome::Undecided {
                result.between.extend([Outcome::Pass, worst]);
            }
            let problem = Problem { ask, judged, flows };
            if outcome > result.outcome {
                result.outcome = outcome;
                result.problems.insert(0, problem);
                result.problems.truncate(1);
            } else if outcome == result.outcome {
                result.problems.push(problem);
            }
        }
        settle_between(&mut result);
        Some(result)
    }

    /// Every probe of any one group.
    fn any_group(&mut self, groups: &[ProbeGroup]) -> Option<GroupOutcome> {
        let results: Vec<GroupOutcome> = groups
            .iter()
            .filter_map(|group| {
                let must = group.probes.iter().map(|probe| (probe, Weight::Must));
                let should = group.prefer.iter().map(|probe| (probe, Weight::Should));
                let asks = must
                    .chain(should)
                    .map(|(probe, weight)| ask::fetch(probe, weight));
                self.all(asks.collect())
            })
            .collect();
        // The best group counts; of equal ones the one with the fewest problems, in the order of the policy.
        results
            .into_iter()
            .min_by_key(|result| (result.outcome, result.problems.len()))
    }

    /// A proxy is asked for what can go through it.
    fn connects(&mut self, reach: &Reach) -> Option<GroupOutcome> {
        let mut first: Option<GroupOutcome> = None;
        let mut doubtful = false;
        for alternative in &reach.alternatives {
            let asks = ask::connects(self.policy, self.gate, &reach.to, alternative);
            let Some(result) = self.all(asks) else {
                continue;
            };
            let passes = result.outcome <= Outcome::Degraded;
            let Some(earlier) = &mut first else {
                if passes {
                    return Some(result);
                }
                doubtful = result.outcome == Outcome::Undecided;
                first = Some(result);
                continue;
            };
            if passes {
                let served = self.served(alternative);
                earlier.outcome = if doubtful { Outcome::Undecided } else { served };
                earlier.between = if doubtful {
                    vec![Outcome::Pass, served]
                } else {
                    Vec::new()
                };
                earlier.said = (alternative.message.clone(), alternative.severity);
                settle_between(earlier);
                return first;
            }
            doubtful |= result.outcome == Outcome::Undecided;
            if doubtful {
                earlier.outcome = Outcome::Undecided;
            }
            earlier.problems.extend(result.problems);
        }
        first
    }

    /// The outcome that an alternative gives.
    fn served(&self, alternative: &super::Alternative) -> Outcome {
        match &alternative.pass_when {
            Some(when) if self.policy.holds(when) => Outcome::Pass,
            Some(_) | None => alternative.outcome,
        }
    }

    /// No flow may get through.
    fn forbidden(&mut self, reach: &Reach) -> Option<GroupOutcome> {
        let mut result = None;
        for alternative in &reach.alternatives {
            for ask in ask::packets(self.policy, self.gate, &reach.to, alternative) {
                let (ask, judged) = self.ask(ask, None);
                let open = self
                    .evaluator
                    .union(judged.verdict.allowed, judged.verdict.varying);
                let unknown = judged.verdict.undecided;
                let (outcome, flows) = if !self.evaluator.is_empty(open) {
                    (Outcome::Fail, open)
                } else if !self.evaluator.is_empty(unknown) {
                    (Outcome::Undecided, unknown)
                } else {
                    (Outcome::Pass, unknown)
                };
                let best = result.get_or_insert_with(|| GroupOutcome::plain(Outcome::Pass));
                if outcome > best.outcome {
                    best.outcome = outcome;
                    best.problems = vec![Problem { ask, judged, flows }];
                    best.between = vec![Outcome::Pass, Outcome::Fail];
                    settle_between(best);
                }
            }
        }
        result
    }

    fn packets(&mut self, reach: &Reach) -> Option<GroupOutcome> {
        let keys: &[Dim] = if reach.to.any_one {
            &[Dim::Source]
        } else {
            &PAIR
        };
        let mut rounds: Vec<Round> = Vec::new();
        for (index, alternative) in reach.alternatives.iter().enumerate() {
            let mut asks = ask::packets(self.policy, self.gate, &reach.to, alternative);
            if asks.is_empty() {
                continue;
            }
            if reach.to.any_one {
                self.leave_own_network_out(&mut asks);
            }
            let left = rounds.last().map(|round| round.left);
            if left.is_some_and(|left| self.evaluator.is_empty(left)) {
                break;
            }
            let maybe_before = rounds.last().map(|round| round.maybe);
            let round = self.round(index, asks, left, maybe_before, keys);
            rounds.push(round);
        }
        (!rounds.is_empty()).then(|| self.conclude(reach, rounds))
    }

    /// What stands among the clients themselves is reached past the gate: it says nothing about it.
    fn leave_own_network_out(&self, asks: &mut [Ask]) {
        let own = self.group.sources();
        for ask in asks {
            if let Some(all) = ask.question.numbers.get_mut(&Dim::Destination) {
                let others = all.minus(&own);
                if !others.is_empty() {
                    *all = others;
                }
            }
        }
    }

    /// Asks one alternative for what is left.
    fn round(
        &mut self,
        alternative: usize,
        asks: Vec<Ask>,
        left: Option<Flows>,
        maybe_before: Option<Flows>,
        keys: &[Dim],
    ) -> Round {
        let (local, asks): (Vec<Ask>, Vec<Ask>) = asks.into_iter().partition(|ask| {
            ask.question.destination_is_local == Some(true) && self.received.is_some()
        });
        let asked: Vec<(Ask, Rc<Judged>)> =
            asks.into_iter().map(|ask| self.ask(ask, left)).collect();
        let (received, doubted) = self.received(&local);
        let evaluator = &mut *self.evaluator;
        let none = evaluator.flows(&[(Dim::Source, Ranges::empty())]);
        let (mut all, mut covered, mut maybe) = (none, none, none);
        let received = evaluator.flows(&[(Dim::Source, received)]);
        let waits_for_service = !doubted.is_empty();
        let doubted = evaluator.flows(&[(Dim::Source, doubted)]);
        for local in [false, true] {
            let (mut pairs, mut bad, mut unknown) = (none, none, none);
            let here = |(ask, _): &&(Ask, Rc<Judged>)| {
                (ask.question.destination_is_local == Some(true)) == local
            };
            for (_, judged) in asked.iter().filter(here) {
                let part = evaluator.keep(judged.verdict.universe, &PAIR);
                pairs = evaluator.union(pairs, part);
                let part = evaluator.keep(judged.bad, &PAIR);
                bad = evaluator.union(bad, part);
                let part = evaluator.keep(judged.unknown, &PAIR);
                unknown = evaluator.union(unknown, part);
            }
            let through = evaluator.minus(pairs, bad);
            let good = evaluator.minus(through, unknown);
            let unknown = evaluator.intersect(through, unknown);
            for (sum, part) in [
                (&mut all, pairs),
                (&mut covered, good),
                (&mut maybe, unknown),
            ] {
                let part = evaluator.keep(part, keys);
                *sum = evaluator.union(*sum, part);
            }
        }
        for (sum, part) in [(&mut covered, received), (&mut maybe, doubted)] {
            let part = evaluator.intersect(part, all);
            *sum = evaluator.union(*sum, part);
        }
        let maybe_before = maybe_before.unwrap_or(none);
        let doubtful = evaluator.intersect(covered, maybe_before);
        let certain = evaluator.minus(covered, doubtful);
        let rest = evaluator.minus(all, covered);
        let maybe = evaluator.union(maybe, maybe_before);
        let maybe = evaluator.intersect(maybe, rest);
        Round {
            alternative,
            asked,
            all,
            certain,
            doubtful,
            left: rest,
            maybe,
            waits_for_service,
        }
    }

    /// The clients for which all of these get through to the machine itself, and those for which that is not known. Its
    /// flows are another evaluator's: only the addresses are taken over.
    ///
    /// A machine that lets everything in says nothing about a service on it: only where the ports asked for are opened
    /// on purpose, and the ones beside them are not, the service is taken to be there.
    fn received(&mut self, asks: &[Ask]) -> (Ranges, Ranges) {
        let Some(gate) = self.received.filter(|_| !asks.is_empty()) else {
            return (Ranges::empty(), Ranges::empty());
        };
        let mut evaluator = Evaluator::new(gate);
        let (mut good, mut maybe) = (self.group.sources(), self.group.sources());
        for ask in asks {
            let question = self.group.asks(&ask.question, gate.layer);
            let mut beside = question.clone();
            beside
                .numbers
                .insert(Dim::DestinationPort, beside_of(&question));
            let (asked, beside) = (
                judged(&mut evaluator, question),
                judged(&mut evaluator, beside),
            );
            let through = reached(&mut evaluator, &asked, &[asked.bad, asked.unknown]);
            let anyway = reached(&mut evaluator, &beside, &[beside.bad]);
            good = good.intersect(&through.minus(&anyway));
            maybe = maybe.intersect(&reached(&mut evaluator, &asked, &[asked.bad]));
        }
        (good.clone(), maybe.minus(&good))
    }

    fn conclude(&mut self, reach: &Reach, rounds: Vec<Round>) -> GroupOutcome {
        let mut result = GroupOutcome::plain(Outcome::Pass);
        let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else {
            return result;
        };
        let all = first.all;
        let waits_for_service = rounds.iter().any(|round| round.waits_for_service);
        let failed = self.evaluator.minus(last.left, last.maybe);
        let maybe = last.maybe;
        // How far each alternative had to serve.
        let mut outcomes = Vec::new();
        for (index, round) in rounds.iter().enumerate() {
            let Some(alternative) = reach.alternatives.get(round.alternative) else {
                continue;
            };
            // The first one that can be asked here is as good as it gets only where it is the policy's first.
            let outcome = self.served(alternative);
            outcomes.push(outcome);
            if !self.evaluator.is_empty(round.certain) && outcome > result.outcome {
                result.outcome = outcome;
                result.said = (alternative.message.clone(), alternative.severity);
                if index > 0 {
                    result.problems = vec![];
                }
            }
            if !self.evaluator.is_empty(round.doubtful) {
                result.between.extend(outcomes.iter().copied());
            }
        }
        if !self.evaluator.is_empty(maybe) {
            result.between.extend(outcomes);
            result.between.push(Outcome::Fail);
        }
        if !result.between.is_empty() {
            settle_between(&mut result);
            if result.between.len() > 1 {
                result.outcome = Outcome::Undecided;
            } else if let Some(only) = result.between.pop() {
                result.outcome = result.outcome.max(only);
            }
        }
        if !self.evaluator.is_empty(failed) {
            self.failed(reach, all, failed, &mut result);
        }
        self.show(reach, rounds, failed, &mut result);
        if result.outcome == Outcome::Undecided && waits_for_service {
            result.waits.push(Reason {
                code: "service".to_owned(),
                text: "knowing whether this machine offers the service itself".to_owned(),
                span: None,
            });
        }
        result
    }

    /// Some pairs fail: a failure, or where a part of the destination suffices, perhaps only a part.
    fn failed(&mut self, reach: &Reach, all: Flows, failed: Flows, result: &mut GroupOutcome) {
        if reach.breadth == Breadth::AnyLargePart {
            let rest = self.evaluator.minus(all, failed);
            let served = self.evaluator.keep(rest, &[Dim::Source]);
            let hit = self.evaluator.keep(failed, &[Dim::Source]);
            let dead = self.evaluator.minus(hit, served);
            if self.evaluator.is_empty(dead) {
                let missing = self.evaluator.values(failed, Dim::Destination);
                let whole = self.evaluator.values(all, Dim::Destination);
                result.missing = Some((missing.clone(), share(&missing, &whole)));
                result.outcome = result.outcome.max(Outcome::Degraded);
                return;
            }
        }
        result.outcome = Outcome::Fail;
        result.between.clear();
    }

    /// Picks the questions and flows that show the outcome.
    fn show(
        &mut self,
        reach: &Reach,
        rounds: Vec<Round>,
        failed: Flows,
        result: &mut GroupOutcome,
    ) {
        let alternatives = &reach.alternatives;
        let doubted = rounds.iter().fold(failed, |sum, round| {
            let part = self.evaluator.union(round.doubtful, round.maybe);
            self.evaluator.union(sum, part)
        });
        // Degraded: what an alternative that is worse than the first had to cover.
        let mut fell_back = self.evaluator.minus(failed, failed);
        for round in &rounds {
            let outcome = alternatives
                .get(round.alternative)
                .map_or(Outcome::Pass, |alternative| self.served(alternative));
            if outcome == Outcome::Degraded {
                fell_back = self.evaluator.union(fell_back, round.certain);
            }
        }
        let (keys, wants_unknown) = match result.outcome {
            Outcome::Fail => (failed, false),
            Outcome::Undecided => (doubted, true),
            Outcome::Degraded if result.missing.is_some() => (failed, false),
            Outcome::Degraded => (fell_back, false),
            Outcome::Pass | Outcome::NotApplicable => return,
        };
        for round in rounds {
            let covers = self.evaluator.intersect(round.certain, fell_back);
            let serves = result.outcome == Outcome::Degraded && !self.evaluator.is_empty(covers);
            for (ask, judged) in round.asked {
                let side = if serves {
                    judged.good
                } else if wants_unknown {
                    judged.unknown
                } else {
                    judged.bad
                };
                let flows = self.evaluator.intersect(side, keys);
                if self.evaluator.is_empty(flows) {
                    continue;
                }
                let problem = Problem { ask, judged, flows };
                if serves {
                    result.fallback.get_or_insert(problem);
                } else {
                    result.problems.push(problem);
                }
            }
        }
    }
}

/// The clients that have a destination for which none of these flows is in the way.
fn reached(evaluator: &mut Evaluator<'_>, judged: &Judged, ways: &[Flows]) -> Ranges {
    let pairs = evaluator.keep(judged.verdict.universe, &PAIR);
    let left = ways.iter().fold(pairs, |left, flows| {
        let gone = evaluator.keep(*flows, &PAIR);
        evaluator.minus(left, gone)
    });
    evaluator.values(left, Dim::Source)
}

/// The port after the highest one that is asked for.
fn beside_of(question: &Question) -> Ranges {
    let highest = question
        .numbers
        .get(&Dim::DestinationPort)
        .and_then(Ranges::max);
    Ranges::one(highest.map_or(1, |port| (port + 1).min(65535)))
}

const PAIR: [Dim; 2] = [Dim::Source, Dim::Destination];

/// One alternative's round; sets are over the keys.
struct Round {
    alternative: usize,
    asked: Vec<(Ask, Rc<Judged>)>,
    all: Flows,
    certain: Flows,
    /// Covered, and perhaps by a former alternative already.
    doubtful: Flows,
    left: Flows,
    /// Of what is left: perhaps covered.
    maybe: Flows,
    /// Some of it hangs on a service of the machine's own.
    waits_for_service: bool,
}

fn settle_between(result: &mut GroupOutcome) {
    result.between.sort_unstable();
    result.between.dedup();
    if result.outcome == Outcome::Fail {
        result.between.clear();
    }
}

/// In percent.
fn share(part: &Ranges, whole: &Ranges) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a percentage is shown with one digit"
    )]
    let ratio = |ranges: &Ranges| ranges.count() as f64;
    let whole = ratio(whole);
    if whole > 0.0 {
        100.0 * ratio(part) / whole
    } else {
        0.0
    }
}
