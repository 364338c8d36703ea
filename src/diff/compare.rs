//! In: a gate before and after, and a question. Out: which of the asked flows fare otherwise than before.
//!
//! INVARIANT: every asked flow lies in exactly one pair of sides.

use super::both::{Both, Which};
use super::touched::{self, MARK};
use crate::decide::{Evaluator, Flows, Verdict};
use crate::model::{Dim, Gate, Question, Ranges};

/// What becomes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// It passes.
    Allowed,
    /// It passes at times.
    Varying,
    /// It does not pass.
    Denied,
    /// Cannot be known.
    Undecided,
}

impl Side {
    const ALL: [Self; 4] = [Self::Allowed, Self::Varying, Self::Denied, Self::Undecided];

    fn of(self, verdict: &Verdict) -> Flows {
        match self {
            Self::Allowed => verdict.allowed,
            Self::Varying => verdict.varying,
            Self::Denied => verdict.denied,
            Self::Undecided => verdict.undecided,
        }
    }
}

/// Flows that lie on one side before and on one side after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Before.
    pub old: Side,
    /// After.
    pub new: Side,
    /// The flows; never none.
    pub flows: Flows,
}

/// Two gates that are asked the same.
#[derive(Debug)]
pub struct Pair {
    both: Both,
    change: Change,
}

/// How much of two gates differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// Some rules, which are marked.
    Rules,
    /// More than rules.
    Everything,
}

/// What became of one question.
#[derive(Debug)]
pub struct Compared {
    /// All pairs of sides that hold flows, also those on which nothing changed.
    pub moved: Vec<Moved>,
    /// It would have taken too much work: everything is undecided.
    pub spent: bool,
    pub(super) verdict: Verdict,
}

impl Pair {
    /// Nothing where one of them decides nothing at all.
    pub fn of(old: &Gate, new: &Gate, questions: &[Question]) -> Option<Self> {
        let mut gates = vec![(Which::Old, old), (Which::New, new)];
        let (gone, come) = match touched::differing(old, new) {
            Some((gone, come)) if gone.is_empty() && come.is_empty() => {
                let both = Both::of(&gates, questions)?;
                let change = Change::Nothing;
                return Some(Self { both, change });
            }
            Some(rules) => rules,
            None => {
                let both = Both::of(&gates, questions)?;
                let change = Change::Everything;
                return Some(Self { both, change });
            }
        };
        let marked = [touched::marked(old, &gone), touched::marked(new, &come)];
        gates.extend(
            [Which::OldMarked, Which::NewMarked]
                .into_iter()
                .zip(&marked),
        );
        Some(Self {
            both: Both::of(&gates, questions)?,
            change: Change::Rules,
        })
    }

    /// The asked flows that can meet a rule that differs; all others fare as before.
    pub fn touched(&self, evaluator: &mut Evaluator<'_>, question: &Question) -> Flows {
        let none = evaluator.flows(&[(self.both.selector, Ranges::empty())]);
        match self.change {
            Change::Nothing => return none,
            Change::Everything => return evaluator.flows(&[]),
            Change::Rules => {}
        }
        let mut all = none;
        for which in [Which::OldMarked, Which::NewMarked] {
            let verdict = evaluator.ask(&self.put(question, which));
            if verdict.spent {
                return evaluator.flows(&[]);
            }
            for part in verdict.parts.iter().filter(|part| part.effect == MARK) {
                let flows = self.of_one(evaluator, part.flows, which);
                all = evaluator.union(all, flows);
            }
        }
        all
    }

    /// What answers questions about the two.
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.both.gate)
    }

    /// The question, put to one of the two.
    pub(super) fn put(&self, question: &Question, which: Which) -> Question {
        let mut question = question.clone();
        question.numbers.insert(self.both.selector, which.number());
        question
    }

    /// The flows of one of the two.
    pub(super) fn of_one(
        &self,
        evaluator: &mut Evaluator<'_>,
        flows: Flows,
        which: Which,
    ) -> Flows {
        let one = evaluator.flows(&[(self.both.selector, which.number())]);
        let flows = evaluator.intersect(flows, one);
        let others = Dim::ALL
            .into_iter()
            .filter(|dim| *dim != self.both.selector);
        evaluator.keep(flows, &others.collect::<Vec<_>>())
    }

    /// Asks both, about those flows of the question that lie in `within` as far as their numbers say.
    pub fn compare(
        &self,
        evaluator: &mut Evaluator<'_>,
        question: &Question,
        within: Flows,
    ) -> Compared {
        let is_number = |dim: &Dim| !dim.is_text() && !dim.is_inner();
        let numbers: Vec<Dim> = Dim::ALL.into_iter().filter(is_number).collect();
        let within = evaluator.keep(within, &numbers);
        let mut asked = question.clone();
        let numbers = Which::Old.number().union(&Which::New.number());
        asked.numbers.insert(self.both.selector, numbers);
        let verdict = evaluator.ask_within(&asked, within);
        let sides = |evaluator: &mut Evaluator<'_>, which: Which| {
            Side::ALL.map(|side| (side, self.of_one(evaluator, side.of(&verdict), which)))
        };
        let (before, after) = (sides(evaluator, Which::Old), sides(evaluator, Which::New));
        let mut moved = Vec::new();
        for (old, left) in before {
            for (new, right) in after {
                let flows = evaluator.intersect(left, right);
                if !evaluator.is_empty(flows) {
                    moved.push(Moved { old, new, flows });
                }
            }
        }
        Compared {
            moved,
            spent: verdict.spent,
            verdict,
        }
    }
}
