//! In: two gates that differ a little. Out: whether what is said to differ between them does for each flow alone.

use std::fmt;

use gatelint::decide::Flows;
use gatelint::diff::{Pair, Side};
use gatelint::model::{Gate, Ranges};

use super::naive::{self, Fate};
use super::random::{self, Case, Random};

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pairs: u64,
    pub(crate) same: u64,
    pub(crate) changed: u64,
    undecided: u64,
    /// Can meet nothing that differs.
    pub(crate) untouched: u64,
    /// Undecided for the evaluator, certain and different for one flow at a time.
    missed: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "differences: {} pairs of gates; flows: {} fare as before, {} otherwise, {} undecided, {} of these for no need, \
             {} meet nothing that differs",
            self.pairs, self.same, self.changed, self.undecided, self.missed, self.untouched
        )
    }
}

/// The gate after a few small changes, or another one.
pub(crate) fn other(case: &Case, random: &mut Random) -> Gate {
    let mut gate = case.gate.clone();
    if random.one_in(8) {
        // Another one that knows the same texts, codes and addresses.
        return random::case(random).gate;
    }
    for _ in 0..=random.below(3) {
        let smaller = random::smaller(&Case {
            gate: gate.clone(),
            question: case.question.clone(),
            file: case.file,
        });
        if !smaller.is_empty() {
            gate = random.pick(
                &smaller
                    .into_iter()
                    .map(|case| case.gate)
                    .collect::<Vec<_>>(),
            );
        }
        for chain in &mut gate.chains {
            if chain.rules.len() > 1 && random.one_in(3) {
                let at = random.below(chain.rules.len() - 1);
                chain.rules.swap(at, at + 1);
            }
        }
    }
    gate
}

/// Each flow lies on the sides that it lies on alone.
pub(crate) fn check(case: &Case, other: &Gate, figures: &mut Figures) -> Result<(), String> {
    // Cells of words are the evaluator's own business: flows without words can be placed by anyone.
    if !case.question.texts.is_empty() {
        return Ok(());
    }
    let questions = [case.question.clone()];
    let Some(pair) = Pair::of(&case.gate, other, &questions) else {
        return Ok(());
    };
    figures.pairs += 1;
    let mut evaluator = pair.evaluator();
    let every = evaluator.flows(&[]);
    let compared = pair.compare(&mut evaluator, &case.question, every);
    let touched = pair.touched(&mut evaluator, &case.question);
    for flow in random::flows(&case.question) {
        let numbers = flow.numbers.iter();
        let sets: Vec<_> = numbers
            .map(|(dim, value)| (*dim, Ranges::one(*value)))
            .collect();
        let place = evaluator.flows(&sets);
        let mut holds = |flows: Flows| {
            let both = evaluator.intersect(flows, place);
            !evaluator.is_empty(both)
        };
        let found: Vec<(Side, Side)> = compared
            .moved
            .iter()
            .filter(|moved| holds(moved.flows))
            .map(|moved| (moved.old, moved.new))
            .collect();
        let [(old, new)] = found.as_slice() else {
            return Err(format!("partition: {flow:?} lies in {found:?}"));
        };
        let before = naive::fate(&case.gate, &case.question, &flow);
        let after = naive::fate(other, &case.question, &flow);
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        for (side, fate) in [(old, before.fate), (new, after.fate)] {
            if !fits(*side, fate) {
                return Err(format!("sides: {side:?} but {fate:?} for {flow:?}"));
            }
        }
        let is_decided = ![old, new].contains(&&Side::Undecided);
        if !holds(touched) {
            figures.untouched += 1;
            if before.fate != after.fate {
                let fates = (before.fate, after.fate);
                return Err(format!("touched: {flow:?} is not, but {fates:?}"));
            }
        }
        let alone = (certain(before.fate), certain(after.fate));
        match (is_decided, old == new) {
            (true, true) => figures.same += 1,
            (true, false) => figures.changed += 1,
            (false, _) => figures.undecided += 1,
        }
        if let (Some(left), Some(right)) = alone
            && left != right
            && old == new
        {
            if is_decided {
                return Err(format!("unseen: {flow:?} is {left:?}, then {right:?}"));
            }
            figures.missed += 1;
        }
    }
    Ok(())
}

fn fits(side: Side, fate: Fate) -> bool {
    match side {
        Side::Allowed => !fate.can_fail,
        Side::Denied => !fate.can_pass,
        Side::Varying => fate.passes_at_times && fate.fails_at_times,
        Side::Undecided => true,
    }
}

fn certain(fate: Fate) -> Option<Side> {
    match (fate.can_pass, fate.can_fail) {
        (true, false) => Some(Side::Allowed),
        (false, true) => Some(Side::Denied),
        _ => None,
    }
}
