//! In: gates before and after. Out: one gate that holds them side by side, behind an entry that asks which is meant.
//!
//! So both are judged by one evaluation, their flows lie in one space, and their words fall into the same cells: what
//! differs is a matter of set algebra. The question which is meant is a number on a dimension that neither gate knows.
//!
//! Invariant: what is true of a gate alone is true of it in here; an unknown of both with one identity has one truth.

use crate::model::{
    ChainId, Dim, Edge, Effect, Fallback, Gate, Guard, Onward, Question, Ranges, Rewrite, Rule,
    Stage, StageId, Step, Test, TextId, UnknownId, Value,
};

/// Several gates in one.
#[derive(Debug)]
pub(super) struct Both {
    pub(super) gate: Gate,
    /// Its number says which gate is meant.
    pub(super) selector: Dim,
}

/// Which gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Which {
    Old,
    New,
    /// The old one with marks where the new one differs.
    OldMarked,
    /// The new one with marks where the old one differs.
    NewMarked,
}

impl Which {
    pub(super) fn number(self) -> Ranges {
        Ranges::one(self as u128)
    }
}

/// Dimensions that the gates of at most one layer know.
const SELECTORS: [Dim; 5] = [
    Dim::QueryType,
    Dim::Resource,
    Dim::Listener,
    Dim::Mac,
    Dim::Owner,
];

impl Both {
    /// Nothing where one of them has no stage, or no dimension is free.
    pub(super) fn of(gates: &[(Which, &Gate)], questions: &[Question]) -> Option<Self> {
        let (_, model) = gates.first()?;
        if gates.iter().any(|(_, gate)| gate.stages.is_empty()) {
            return None;
        }
        let is_free = |dim: &Dim| {
            !gates.iter().any(|(_, gate)| knows(gate, *dim))
                && !questions
                    .iter()
                    .any(|asked| asked.numbers.contains_key(dim))
        };
        let selector = SELECTORS.into_iter().find(is_free)?;
        let mut both = Gate::new(model.name.clone(), model.layer);
        both.family = model.family;
        both.role = model.role;
        let is_own_known = |(_, gate): &(Which, &Gate)| gate.own_addresses == model.own_addresses;
        if gates.iter().all(is_own_known) {
            both.own_addresses.clone_from(&model.own_addresses);
        }
        let mut first = 1;
        let mut edges = Vec::new();
        for (which, gate) in gates {
            edges.push(Edge {
                guard: Guard::number(selector, which.number()),
                to: Onward::Stage(StageId(first)),
            });
            first += index(gate.stages.len());
        }
        both.stage(Stage {
            name: String::new(),
            enter: Vec::new(),
            chain: None,
            fallback: Fallback {
                effect: Effect::Allow,
                span: None,
                text: String::new(),
            },
            edges,
        });
        for (_, gate) in gates {
            Copy::of(gate, &mut both).all();
        }
        Some(Self {
            gate: both,
            selector,
        })
    }
}

/// Takes a gate over into another one, where its ids are others.
struct Copy<'g> {
    from: &'g Gate,
    to: &'g mut Gate,
    texts: Vec<TextId>,
    stages: u32,
    chains: u32,
    unknowns: u32,
}

impl<'g> Copy<'g> {
    fn of(from: &'g Gate, to: &'g mut Gate) -> Self {
        let texts = from.texts.iter().map(|set| to.text(set.clone())).collect();
        Self {
            stages: index(to.stages.len()),
            chains: index(to.chains.len()),
            unknowns: index(to.unknowns.len()),
            from,
            to,
            texts,
        }
    }

    fn all(self) {
        let from = self.from;
        for unknown in &from.unknowns {
            self.to.unknown(unknown.clone());
        }
        for chain in &from.chains {
            let id = self.to.chain(chain.name.clone());
            for rule in &chain.rules {
                let rule = Rule {
                    guard: self.guard(&rule.guard),
                    step: self.step(&rule.step),
                    span: rule.span,
                };
                self.to.rule(id, rule);
            }
        }
        for stage in &from.stages {
            let stage = Stage {
                name: stage.name.clone(),
                enter: stage.enter.iter().map(|one| self.rewrite(one)).collect(),
                chain: stage.chain.map(|id| self.chain(id)),
                fallback: stage.fallback.clone(),
                edges: stage
                    .edges
                    .iter()
                    .map(|edge| Edge {
                        guard: self.guard(&edge.guard),
                        to: self.onward(edge.to.clone()),
                    })
                    .collect(),
            };
            self.to.stage(stage);
        }
    }

    fn chain(&self, id: ChainId) -> ChainId {
        ChainId(id.0 + self.chains)
    }

    fn unknown(&self, id: UnknownId) -> UnknownId {
        UnknownId(id.0 + self.unknowns)
    }

    fn onward(&self, to: Onward) -> Onward {
        let stage = |id: StageId| StageId(id.0 + self.stages);
        match to {
            Onward::Stage(id) => Onward::Stage(stage(id)),
            Onward::Reply(id) => Onward::Reply(stage(id)),
            Onward::Again(id) => Onward::Again(stage(id)),
            arrive @ Onward::Arrive { .. } => arrive,
        }
    }

    fn guard(&self, guard: &Guard) -> Guard {
        let all = |guards: &[Guard]| guards.iter().map(|one| self.guard(one)).collect();
        match guard {
            Guard::Always => Guard::Always,
            Guard::All(guards) => Guard::All(all(guards)),
            Guard::AnyOf(guards) => Guard::AnyOf(all(guards)),
            Guard::Not(inner) => Guard::Not(Box::new(self.guard(inner))),
            Guard::Is(Test::Text(dim, id)) => {
                // INVARIANT: every text of the gate was taken over.
                let id = self.texts.get(id.0 as usize).unwrap_or(id);
                Guard::Is(Test::Text(*dim, *id))
            }
            Guard::Is(test) => Guard::Is(test.clone()),
            Guard::Unknown(id) => Guard::Unknown(self.unknown(*id)),
        }
    }

    fn step(&self, step: &Step) -> Step {
        match step {
            Step::Decide(effect) => Step::Decide(*effect),
            Step::Call(id) => Step::Call(self.chain(*id)),
            Step::Goto(id) => Step::Goto(self.chain(*id)),
            Step::Return => Step::Return,
            Step::Continue => Step::Continue,
            Step::Rewrite(one) => Step::Rewrite(Box::new(self.rewrite(one))),
            Step::RewriteAndAllow(all) => {
                Step::RewriteAndAllow(all.iter().map(|one| self.rewrite(one)).collect())
            }
            Step::Obscure(id) => Step::Obscure(self.unknown(*id)),
        }
    }

    fn rewrite(&self, rewrite: &Rewrite) -> Rewrite {
        match rewrite {
            Rewrite::Set(dim, value) => Rewrite::Set(*dim, self.value(value)),
            Rewrite::Translate(dim, value) => Rewrite::Translate(*dim, self.value(value)),
            Rewrite::MarkUnknown(mark, mask, id) => {
                Rewrite::MarkUnknown(*mark, *mask, self.unknown(*id))
            }
            other @ (Rewrite::ApplyBinding(_)
            | Rewrite::Mark(..)
            | Rewrite::SaveMark(_)
            | Rewrite::RestoreMark(_)
            | Rewrite::Notrack
            | Rewrite::Track) => other.clone(),
        }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Own(id) => Value::Own(self.unknown(*id)),
            Value::Unknown(id) => Value::Unknown(self.unknown(*id)),
            other @ (Value::Const(_) | Value::OneOf(_) | Value::Prefix { .. }) => other.clone(),
        }
    }
}

/// Whether any test or rewrite names a dimension.
fn knows(gate: &Gate, dim: Dim) -> bool {
    fn tests(guard: &Guard, dim: Dim) -> bool {
        match guard {
            Guard::All(guards) | Guard::AnyOf(guards) => {
                guards.iter().any(|guard| tests(guard, dim))
            }
            Guard::Not(inner) => tests(inner, dim),
            Guard::Is(Test::In(known, _) | Test::Text(known, _) | Test::Local(known)) => {
                *known == dim
            }
            Guard::Always | Guard::Is(_) | Guard::Unknown(_) => false,
        }
    }
    let sets = |rewrite: &Rewrite| matches!(rewrite, Rewrite::Set(known, _) | Rewrite::Translate(known, _) if *known == dim);
    let rules = || gate.chains.iter().flat_map(|chain| &chain.rules);
    let edges = gate.stages.iter().flat_map(|stage| &stage.edges);
    let mut guards = rules()
        .map(|rule| &rule.guard)
        .chain(edges.map(|edge| &edge.guard));
    guards.any(|guard| tests(guard, dim))
        || gate.stages.iter().flat_map(|stage| &stage.enter).any(sets)
        || rules().any(|rule| match &rule.step {
            Step::Rewrite(one) => sets(one),
            Step::RewriteAndAllow(all) => all.iter().any(sets),
            Step::Decide(_)
            | Step::Call(_)
            | Step::Goto(_)
            | Step::Return
            | Step::Continue
            | Step::Obscure(_) => false,
        })
}

fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
