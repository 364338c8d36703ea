//! In: a case. Out: the law that it breaks, if any.

use std::collections::BTreeMap;
use std::fmt;

use gatelint::decide::{Evaluator, Flows, Verdict};
use gatelint::model::{Dim, Gate, Guard, Question, Ranges, Rule, Step, TextSpace, UnknownKind};

use super::naive::{self, Fate, Flow, Seen};
use super::random::{self, CODES, Case, Random, WORDS};

/// What was tried, and how often the evaluator could not tell what each world tells.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    gates: u64,
    flows: u64,
    certain: u64,
    varying: u64,
    undecided: u64,
    needless: u64,
    needless_varying: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "laws: {} gates, {} flows: {} allowed or denied, {} varying, {} undecided, of these {} are alike in every \
             world (what is unknown is met twice) and {} vary",
            self.gates,
            self.flows,
            self.certain,
            self.varying,
            self.undecided,
            self.needless,
            self.needless_varying
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Denied,
    Varying,
    Undecided,
    Allowed,
}

/// A verdict, flow by flow.
struct Told<'g> {
    evaluator: Evaluator<'g>,
    verdict: Verdict,
    /// The cell of each word.
    cells: BTreeMap<Dim, Vec<(String, u128)>>,
}

impl<'g> Told<'g> {
    fn of(gate: &'g Gate, question: &Question) -> Self {
        let mut evaluator = Evaluator::new(gate);
        let verdict = evaluator.ask(question);
        let cells = cells(&mut evaluator, gate, question, &verdict);
        Self {
            evaluator,
            verdict,
            cells,
        }
    }

    fn place(&mut self, flow: &Flow, skip: &[Dim]) -> Flows {
        let mut sets: Vec<(Dim, Ranges)> = flow
            .numbers
            .iter()
            .map(|(dim, value)| (*dim, Ranges::one(*value)))
            .collect();
        for (dim, word) in &flow.words {
            let cells = &self.cells[dim];
            let cell = cells.iter().find(|(other, _)| other == word).unwrap().1;
            sets.push((*dim, Ranges::one(cell)));
        }
        sets.retain(|(dim, _)| !skip.contains(dim));
        self.evaluator.flows(&sets)
    }

    fn holds(&mut self, flows: Flows, flow: &Flow, skip: &[Dim]) -> bool {
        let place = self.place(flow, skip);
        let both = self.evaluator.intersect(flows, place);
        !self.evaluator.is_empty(both)
    }

    fn side(&mut self, flow: &Flow, skip: &[Dim]) -> Result<Side, String> {
        let sides = [
            (self.verdict.allowed, Side::Allowed),
            (self.verdict.denied, Side::Denied),
            (self.verdict.varying, Side::Varying),
            (self.verdict.undecided, Side::Undecided),
        ];
        let mut found: Vec<Side> = Vec::new();
        for (flows, side) in sides {
            if self.holds(flows, flow, skip) {
                found.push(side);
            }
        }
        match found.as_slice() {
            [one] => Ok(*one),
            other => Err(format!("partition: {flow:?} is on the sides {other:?}")),
        }
    }
}

/// Which cell each word lies in: the one whose own word is in the same text sets.
fn cells(
    evaluator: &mut Evaluator<'_>,
    gate: &Gate,
    question: &Question,
    verdict: &Verdict,
) -> BTreeMap<Dim, Vec<(String, u128)>> {
    let signature = |word: &str| -> Vec<Option<bool>> {
        gate.texts.iter().map(|set| set.contains(word)).collect()
    };
    let mut all = BTreeMap::new();
    for (dim, space) in &question.texts {
        let occurring = evaluator.values(verdict.universe, *dim);
        let mut representatives = Vec::new();
        for cell in 0..8u128 {
            if occurring.contains(cell) {
                let one = evaluator.flows(&[(*dim, Ranges::one(cell))]);
                let here = evaluator.intersect(verdict.universe, one);
                if let Some(sample) = evaluator.sample(question, here) {
                    representatives.push((signature(&sample.words[dim]), cell));
                }
            }
        }
        let words = WORDS
            .iter()
            .filter(|word| space.lang.contains(word.as_bytes()))
            .filter_map(|word| {
                // Cells may be coarser than all sets: only some are tested here.
                let exact = representatives
                    .iter()
                    .find(|(known, _)| *known == signature(word));
                let only = representatives
                    .first()
                    .filter(|_| representatives.len() == 1);
                let near = exact.or(only).or_else(|| {
                    let tested = tested(gate, *dim);
                    representatives.iter().find(|(known, _)| {
                        tested
                            .iter()
                            .all(|text| known[*text] == signature(word)[*text])
                    })
                });
                near.map(|(_, cell)| ((*word).to_owned(), *cell))
            })
            .collect();
        all.insert(*dim, words);
    }
    all
}

fn tested(gate: &Gate, dim: Dim) -> Vec<usize> {
    fn leaves(guard: &Guard, dim: Dim, into: &mut Vec<usize>) {
        let sides = [Dim::InInterface, Dim::OutInterface];
        match guard {
            Guard::All(guards) | Guard::AnyOf(guards) => {
                for guard in guards {
                    leaves(guard, dim, into);
                }
            }
            Guard::Not(inner) => leaves(inner, dim, into),
            Guard::Is(gatelint::model::Test::Text(other, text))
                if *other == dim || sides.contains(other) && sides.contains(&dim) =>
            {
                into.push(text.0 as usize);
            }
            Guard::Is(_) | Guard::Always | Guard::Unknown(_) => {}
        }
    }
    let mut into = Vec::new();
    for rule in gate.chains.iter().flat_map(|chain| &chain.rules) {
        leaves(&rule.guard, dim, &mut into);
    }
    for edge in gate.stages.iter().flat_map(|stage| &stage.edges) {
        leaves(&edge.guard, dim, &mut into);
    }
    into
}

/// Each flow is judged; of the laws that compare verdicts, the round chooses the instance.
pub(crate) fn check(case: &Case, round: u64, figures: &mut Figures) -> Result<(), String> {
    let all = random::flows(&case.question);
    let mut told = Told::of(&case.gate, &case.question);
    figures.gates += 1;
    partition(&mut told)?;
    for flow in &all {
        let side = told.side(flow, &[])?;
        figures.flows += 1;
        let Some(seen) = naive::fate(&case.gate, &case.question, flow) else {
            continue;
        };
        sound(case, &mut told, flow, side, seen, figures)?;
    }
    samples(case, &mut told)?;
    let mut random = Random(round);
    if let Some(one) = (!all.is_empty()).then(|| random.pick(&all)) {
        one_is_as_many(case, &mut told, &one)?;
    }
    let dim = random.pick(&[Dim::Destination, Dim::OutInterface]);
    some_value_is_the_best(case, &mut told, &all, dim)?;
    fixing_flips_nothing(case, &mut told, &all, random.pick(&CODES))?;
    for (law, gate) in reworded(case) {
        if all.len() < 4 || random.one_in(12) {
            rewording_changes_nothing(case, &mut told, &all, law, &gate)?;
        }
    }
    Ok(())
}

fn partition(told: &mut Told<'_>) -> Result<(), String> {
    let v = &told.verdict;
    let sides = [v.allowed, v.denied, v.varying, v.undecided];
    let universe = v.universe;
    let mut sum = sides[0];
    for (at, left) in sides.iter().enumerate() {
        for right in &sides[at + 1..] {
            let both = told.evaluator.intersect(*left, *right);
            if !told.evaluator.is_empty(both) {
                return Err("partition: two sides overlap".to_owned());
            }
        }
        sum = told.evaluator.union(sum, *left);
    }
    if sum == universe {
        Ok(())
    } else {
        Err("partition: the sides are not the universe".to_owned())
    }
}

fn sound(
    case: &Case,
    told: &mut Told<'_>,
    flow: &Flow,
    side: Side,
    seen: Seen,
    figures: &mut Figures,
) -> Result<(), String> {
    let Fate {
        can_pass,
        can_fail,
        passes_at_times,
        fails_at_times,
    } = seen.fate;
    let wrong = |law: &str| Err(format!("{law}: {side:?} but {seen:?} for {flow:?}"));
    match side {
        Side::Allowed if can_fail => return wrong("allowed is certain"),
        Side::Denied if can_pass => return wrong("denied is certain"),
        Side::Varying if !fails_at_times => return wrong("varying fails at times"),
        Side::Varying if !passes_at_times => return wrong("varying passes at times"),
        Side::Undecided => figures.undecided += 1,
        Side::Varying => figures.varying += 1,
        Side::Allowed | Side::Denied => figures.certain += 1,
    }
    if told.holds(told.verdict.hindered, flow, &[]) {
        if side != Side::Undecided {
            return wrong("hindered is undecided");
        }
        if !fails_at_times {
            return wrong("hindered fails at times");
        }
    }
    if side == Side::Undecided && !(can_pass && can_fail) {
        if !(seen.may_be_inexact || seen.identity_twice && rewrites(case)) {
            return wrong("what is met once is exact");
        }
        figures.needless += 1;
    }
    if side == Side::Undecided && passes_at_times && fails_at_times {
        figures.needless_varying += 1;
    }
    Ok(())
}

fn rewrites(case: &Case) -> bool {
    let mut rules = case.gate.chains.iter().flat_map(|chain| &chain.rules);
    rules.any(|rule| matches!(rule.step, Step::Rewrite(_) | Step::RewriteAndAllow(_)))
        || case.gate.stages.iter().any(|stage| !stage.enter.is_empty())
}

fn samples(case: &Case, told: &mut Told<'_>) -> Result<(), String> {
    let v = &told.verdict;
    for flows in [v.universe, v.allowed, v.denied, v.varying, v.undecided] {
        let empty = told.evaluator.is_empty(flows);
        match told.evaluator.sample(&case.question, flows) {
            None if empty => {}
            None => return Err("sample: nothing from a set with flows".to_owned()),
            Some(_) if empty => return Err("sample: something from nothing".to_owned()),
            Some(sample) => {
                let flow = Flow {
                    numbers: sample.numbers,
                    words: sample.words,
                };
                if !told.holds(flows, &flow, &[]) {
                    return Err(format!("sample: {flow:?} does not lie in its set"));
                }
            }
        }
    }
    Ok(())
}

fn one_is_as_many(case: &Case, told: &mut Told<'_>, flow: &Flow) -> Result<(), String> {
    let mut question = case.question.clone();
    for (dim, value) in &flow.numbers {
        question.numbers.insert(*dim, Ranges::one(*value));
    }
    for (dim, word) in &flow.words {
        question.texts.insert(*dim, TextSpace::one(word));
    }
    question.steps = true;
    let many = told.side(flow, &[])?;
    let mut one = Told::of(&case.gate, &question);
    let side = one.side(flow, &[])?;
    // Alone, an unknown that is met twice may be met with less between; what varies for one flow is told apart from what
    // is unknown for others less exactly; and a flow with too many worlds is no judge.
    let repeats = || {
        naive::fate(&case.gate, &question, flow)
            .is_none_or(|seen| seen.may_be_inexact || seen.identity_twice)
    };
    let less = many == Side::Undecided && (side == Side::Varying || repeats());
    if side == many || less {
        Ok(())
    } else {
        Err(format!(
            "trace: {side:?} alone, {many:?} among many: {flow:?}"
        ))
    }
}

fn some_value_is_the_best(
    case: &Case,
    told: &mut Told<'_>,
    all: &[Flow],
    dim: Dim,
) -> Result<(), String> {
    if dim.is_text() && !case.question.texts.contains_key(&dim) {
        return Ok(());
    }
    let mut question = case.question.clone();
    question.existential = vec![dim];
    let mut chosen = Told::of(&case.gate, &question);
    partition(&mut chosen)?;
    let without = |flow: &Flow| {
        let mut rest = flow.clone();
        rest.numbers.remove(&dim);
        rest.words.remove(&dim);
        rest
    };
    let mut best: BTreeMap<Flow, Side> = BTreeMap::new();
    for flow in all {
        let side = told.side(flow, &[])?;
        let slot = best.entry(without(flow)).or_insert(side);
        *slot = side.max(*slot);
    }
    for flow in all {
        let side = chosen.side(flow, &[dim])?;
        let best = best[&without(flow)];
        if side != best {
            return Err(format!("existential: {side:?}, best {best:?}"));
        }
    }
    Ok(())
}

fn fixing_flips_nothing(
    case: &Case,
    told: &mut Told<'_>,
    all: &[Flow],
    code: &str,
) -> Result<(), String> {
    let unknowns = case.gate.unknowns.iter();
    let kinds: Vec<_> = unknowns
        .filter(|unknown| unknown.code == code)
        .map(|unknown| unknown.kind)
        .collect();
    if kinds.is_empty() || case.question.fixed.contains_key(code) {
        return Ok(());
    }
    let facts_only = !kinds.contains(&UnknownKind::Varies);
    for truth in [false, true] {
        let mut question = case.question.clone();
        question.fixed.insert(code.to_owned(), truth);
        let mut fixed = Told::of(&case.gate, &question);
        for flow in all {
            let (before, after) = (told.side(flow, &[])?, fixed.side(flow, &[])?);
            let kept = match before {
                Side::Allowed | Side::Denied => after == before,
                Side::Varying => !facts_only || after == before,
                Side::Undecided => true,
            };
            if !kept {
                return Err(format!(
                    "monotone: {before:?} becomes {after:?} for {code}={truth}: {flow:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Gates that say the same in other words.
fn reworded(case: &Case) -> Vec<(&'static str, Gate)> {
    let mut reworded: Vec<(&'static str, Gate)> = Vec::new();
    for (c, chain) in case.gate.chains.iter().enumerate() {
        for (r, rule) in chain.rules.iter().enumerate() {
            let with = |rules: Vec<Rule>| {
                let mut gate = case.gate.clone();
                gate.chains[c].rules.splice(r..=r, rules);
                gate
            };
            let ruled = |guard: Guard| Rule {
                guard,
                ..rule.clone()
            };
            let half = |low: u128, high: u128| {
                let half = Guard::number(Dim::Source, Ranges::between(low, high));
                ruled(Guard::All(vec![half, rule.guard.clone()]))
            };
            // A call that rewrites the source would meet both halves, and a chosen source is not known to either.
            let calls = matches!(rule.step, Step::Call(_) | Step::Rewrite(_));
            if !calls && !rewrites(case) {
                let law = if names_an_identity(&case.gate, &rule.guard) {
                    SHARPENED
                } else {
                    "split"
                };
                reworded.push((law, with(vec![half(0, 1), half(2, u128::MAX)])));
            }
            let never = ruled(Guard::AnyOf(Vec::new()));
            reworded.push(("dead rule", with(vec![never, rule.clone()])));
            if let Step::Call(to) = rule.step {
                let called = &case.gate.chains[to.0 as usize].rules;
                let stays = |rule: &Rule| !matches!(rule.step, Step::Return | Step::Goto(_));
                if rule.guard == Guard::Always && called.iter().all(stays) {
                    reworded.push(("inline", with(called.clone())));
                }
            }
            if let Some(next) = chain.rules.get(r + 1)
                && disjoint(&rule.guard, &next.guard)
                && !matches!(rule.step, Step::Call(_) | Step::Rewrite(_))
                && !matches!(next.step, Step::Call(_) | Step::Rewrite(_))
            {
                let mut gate = case.gate.clone();
                gate.chains[c].rules.swap(r, r + 1);
                reworded.push(("reorder", gate));
            }
        }
    }
    reworded
}

fn rewording_changes_nothing(
    case: &Case,
    told: &mut Told<'_>,
    all: &[Flow],
    law: &str,
    gate: &Gate,
) -> Result<(), String> {
    let mut again = Told::of(gate, &case.question);
    for flow in all {
        let (before, after) = (told.side(flow, &[])?, again.side(flow, &[])?);
        let sharper = law == SHARPENED && before == Side::Undecided;
        if before != after && !sharper {
            return Err(format!("{law}: {before:?} becomes {after:?}: {flow:?}"));
        }
    }
    Ok(())
}

/// A law of rules whose unknown has an identity: in two rules it is met twice, and then told apart more exactly.
const SHARPENED: &str = "split, or sharper";

fn names_an_identity(gate: &Gate, guard: &Guard) -> bool {
    match guard {
        Guard::All(guards) | Guard::AnyOf(guards) => {
            guards.iter().any(|guard| names_an_identity(gate, guard))
        }
        Guard::Not(guard) => names_an_identity(gate, guard),
        Guard::Unknown(id) => gate.unknowns[id.0 as usize].identity.is_some(),
        Guard::Always | Guard::Is(_) => false,
    }
}

fn disjoint(left: &Guard, right: &Guard) -> bool {
    let only = |guard: &Guard| match guard {
        Guard::Is(gatelint::model::Test::In(dim, set)) => Some((*dim, set.clone())),
        _ => None,
    };
    match (only(left), only(right)) {
        (Some((dim, set)), Some((other, other_set))) => dim == other && !set.meets(&other_set),
        _ => false,
    }
}
