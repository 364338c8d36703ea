//! In: the tree of one file. Out: one gate per way that traffic can take: `FORWARD`, `OUTPUT`, `INPUT`.
//!
//! Chains are lowered once per file and shared by the gates; where a place cannot answer what a chain asks, the chain is
//! copied for that place ([`super::context`]). The order of the tables at each hook is in [`super::hooks`].
//!
//! Invariants: no loop of chains reaches a gate; only chains that a gate can reach have rules in it.

use rustc_hash::FxHashMap;

use super::body::{self, Place};
use super::book::Book;
use super::context::{self, Context, Sees, Specialise};
use super::syntax::{Doubt, File, Policy, ProblemKind, TableName};
use crate::model::{
    Chain, ChainId, Dim, Effect, Fallback, Gate, Guard, Layer, Rewrite, Rule, Step, Unknown,
    UnknownId, UnknownKind,
};
use crate::source::Span;

/// The chains of one file, lowered.
#[derive(Debug)]
pub(super) struct Ruleset {
    pub(super) chains: Vec<Lowered>,
    /// Built-in chains by table and name.
    built_in: FxHashMap<(TableName, &'static str), usize>,
    pub(super) tables: Vec<TableName>,
    pub(super) has: Features,
}

/// What the rules of a file do that changes a packet's way.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Features {
    /// The nat table may change destinations of incoming packets.
    pub(super) destination: bool,
    /// The nat table may change sources.
    pub(super) source: bool,
    /// Something is exempt from connection tracking.
    pub(super) notrack: bool,
}

/// One chain.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
    pub(super) policy: Option<(Policy, Span)>,
    sees: Sees,
    calls: Vec<usize>,
}

/// Lowers all chains of a file.
pub(super) fn chains<'a>(file: &File<'a>, book: &mut Book<'a>) -> Ruleset {
    let mut ruleset = Ruleset {
        chains: Vec::new(),
        built_in: FxHashMap::default(),
        tables: file.tables.iter().map(|table| table.name).collect(),
        has: Features::default(),
    };
    for table in &file.tables {
        let base = ruleset.chains.len();
        for (at, chain) in table.chains.iter().enumerate() {
            let built_in = table.name.has(chain.name);
            if let Some(name) = built_in_name(chain.name).filter(|_| built_in) {
                ruleset.built_in.insert((table.name, name), base + at);
            }
            let place = Place {
                table: table.name,
                chain: chain.name,
                chains: &table.by_name,
                base,
            };
            let mut rules = Vec::with_capacity(chain.rules.len());
            if let Some(doubt) = chain.obscured {
                rules.push(obscured(book, chain.name, doubt));
            }
            for line in &chain.rules {
                let doubt = match file.doubts.len() {
                    0 => None,
                    _ => file.doubts.get(&line.start),
                };
                rules.push(match doubt {
                    Some(doubt) => obscured(book, chain.name, *doubt),
                    None => body::rule(book, place, *line),
                });
            }
            if let Some(first) = chain.rules.first()
                && chain.declared.is_none()
                && !built_in
            {
                let name = String::from_utf8_lossy(chain.name).into_owned();
                let span = book.span(first.start, first.body.max(first.start));
                if let Some(program) = book.completed_by {
                    rules.insert(0, completed(book, program, &name, span));
                } else {
                    book.problem(
                        ProblemKind::UndeclaredChain,
                        span,
                        format!("the chain `{name}` is used before anything declares it"),
                    );
                }
            }
            ruleset.chains.push(Lowered {
                name: String::from_utf8_lossy(chain.name).into_owned(),
                rules,
                policy: chain.policy.filter(|_| built_in),
                sees: 0,
                calls: Vec::new(),
            });
        }
    }
    ruleset.connect(book);
    ruleset
}

/// Stands for content of a chain that could not be followed.
fn obscured(book: &mut Book<'_>, chain: &[u8], doubt: Doubt) -> Rule {
    let span = doubt.span;
    let chain = String::from_utf8_lossy(chain);
    let id = book.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "chain",
        text: match doubt.reason {
            "" => format!("knowing what the chain `{chain}` holds in the end"),
            reason => format!("the output of `iptables-save`: {reason}"),
        },
        // One place that may change everything is one thing to know.
        identity: (!doubt.reason.is_empty()).then(|| format!("doubt:{}", span.start)),
        span: Some(span),
    });
    Rule {
        guard: Guard::Always,
        step: Step::Obscure(id),
        span,
    }
}

fn completed(book: &mut Book<'_>, program: &str, chain: &str, span: Span) -> Rule {
    let id = book.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "chain",
        text: format!("the rest of the chain `{chain}`, which {program} adds"),
        identity: None,
        span: Some(span),
    });
    Rule {
        guard: Guard::Always,
        step: Step::Obscure(id),
        span,
    }
}

fn built_in_name(name: &[u8]) -> Option<&'static str> {
    ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
        .into_iter()
        .find(|known| known.as_bytes() == name)
}

impl Ruleset {
    /// The chain that a hook walks in a table.
    pub(super) fn built_in(&self, table: TableName, name: &'static str) -> Option<usize> {
        self.built_in.get(&(table, name)).copied()
    }

    /// Finds what calls what, cuts loops, and collects what chains ask, callees first.
    fn connect(&mut self, book: &mut Book<'_>) {
        for chain in &mut self.chains {
            for rule in &chain.rules {
                chain.sees |= context::sees(rule, &book.unknowns);
                if let Step::Call(id) | Step::Goto(id) = rule.step {
                    chain.calls.push(id.0 as usize);
                }
            }
            chain.calls.sort_unstable();
            chain.calls.dedup();
        }
        let order = self.callees_first(book);
        for at in order {
            let Some(chain) = self.chains.get(at) else {
                continue;
            };
            let below = chain
                .calls
                .iter()
                .filter_map(|callee| self.chains.get(*callee))
                .fold(0, |sees, callee| sees | callee.sees);
            if let Some(chain) = self.chains.get_mut(at) {
                chain.sees |= below;
            }
        }
        self.has.notrack = self
            .chains
            .iter()
            .flat_map(|chain| &chain.rules)
            .any(|rule| matches!(&rule.step, Step::Rewrite(one) if **one == Rewrite::Notrack));
        for (name, flag) in [
            ("PREROUTING", true),
            ("POSTROUTING", false),
            ("INPUT", false),
        ] {
            let Some(start) = self.built_in(TableName::Nat, name) else {
                continue;
            };
            let translates = self
                .reachable(start)
                .filter_map(|at| self.chains.get(at))
                .flat_map(|chain| &chain.rules)
                .any(|rule| translates(&rule.step));
            if flag {
                self.has.destination |= translates;
            } else {
                self.has.source |= translates;
            }
        }
        if let Some(start) = self.built_in(TableName::Nat, "OUTPUT") {
            let translates = self
                .reachable(start)
                .filter_map(|at| self.chains.get(at))
                .flat_map(|chain| &chain.rules)
                .any(|rule| translates(&rule.step));
            self.has.destination |= translates;
        }
    }

    /// A chain and everything that it calls.
    pub(super) fn reachable(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let mut seen = rustc_hash::FxHashSet::from_iter([start]);
        let mut stack = vec![start];
        std::iter::from_fn(move || {
            let at = stack.pop()?;
            for callee in self.chains.get(at).map_or(&[][..], |chain| &chain.calls) {
                if seen.insert(*callee) {
                    stack.push(*callee);
                }
            }
            Some(at)
        })
    }

    /// Chains in an order that has callees before callers; calls that close a loop are cut.
    fn callees_first(&mut self, book: &mut Book<'_>) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Visit {
            New,
            Open,
            Done,
        }
        let mut visits = vec![Visit::New; self.chains.len()];
        let mut order = Vec::with_capacity(self.chains.len());
        let mut back = Vec::new();
        // Loops that no built-in chain reaches are legal: start from the built-in ones.
        let mut starts: Vec<usize> = self.built_in.values().copied().collect();
        starts.sort_unstable();
        let reached = starts.len();
        starts.extend(0..self.chains.len());
        for (nth, start) in starts.into_iter().enumerate() {
            if visits.get(start) != Some(&Visit::New) {
                continue;
            }
            let mut stack = vec![(start, 0usize)];
            while let Some((at, next)) = stack.last_mut() {
                let at = *at;
                if let Some(visit) = visits.get_mut(at) {
                    *visit = Visit::Open;
                }
                let callee = self
                    .chains
                    .get(at)
                    .and_then(|chain| chain.calls.get(*next))
                    .copied();
                *next += 1;
                match callee {
                    None => {
                        if let Some(visit) = visits.get_mut(at) {
                            *visit = Visit::Done;
                        }
                        order.push(at);
                        stack.pop();
                    }
                    Some(callee) => match visits.get(callee) {
                        Some(Visit::New) => stack.push((callee, 0)),
                        Some(Visit::Open) => back.push((at, callee, nth < reached)),
                        Some(Visit::Done) | None => {}
                    },
                }
            }
        }
        for (at, callee, reached) in back {
            self.cut(at, callee, reached, book);
        }
        order
    }

    fn cut(&mut self, at: usize, callee: usize, reached: bool, book: &mut Book<'_>) {
        let name = self
            .chains
            .get(callee)
            .map_or_else(String::new, |chain| chain.name.clone());
        let Some(chain) = self.chains.get_mut(at) else {
            return;
        };
        chain.calls.retain(|called| *called != callee);
        for rule in &mut chain.rules {
            if let Step::Call(id) | Step::Goto(id) = rule.step
                && id.0 as usize == callee
            {
                if reached {
                    book.problem(
                        ProblemKind::Loop,
                        rule.span,
                        format!("this leads back to the chain `{name}`"),
                    );
                }
                let id = book.unknown(Unknown {
                    kind: UnknownKind::Opaque,
                    code: "loop",
                    text: format!("a way out of the loop through `{name}`"),
                    identity: None,
                    span: Some(rule.span),
                });
                rule.step = Step::Obscure(id);
            }
        }
    }

    /// The fallback of a built-in chain.
    pub(super) fn fallback(&self, at: Option<usize>, name: &str, table: TableName) -> Fallback {
        match at
            .and_then(|at| self.chains.get(at))
            .and_then(|chain| chain.policy)
        {
            Some((policy, span)) => Fallback {
                effect: match policy {
                    Policy::Accept => Effect::Allow,
                    Policy::Drop => Effect::Deny(crate::model::Denial::Drop),
                },
                span: Some(span),
                text: format!(
                    "policy {} of {name}",
                    match policy {
                        Policy::Accept => "ACCEPT",
                        Policy::Drop => "DROP",
                    }
                ),
            },
            None => Fallback {
                effect: Effect::Allow,
                span: None,
                text: format!(
                    "{} {name} has no policy here: ACCEPT, as after a boot",
                    table.word()
                ),
            },
        }
    }
}

fn translates(step: &Step) -> bool {
    matches!(step, Step::RewriteAndAllow(_) | Step::Obscure(_))
}

/// A gate that is being built: the file's chains keep their numbers, copies for places come after them.
#[derive(Debug)]
pub(super) struct Draft<'r> {
    pub(super) gate: Gate,
    pub(super) ruleset: &'r Ruleset,
    v6: bool,
    copies: FxHashMap<(usize, Context), ChainId>,
    tagged: FxHashMap<(u8, UnknownId), UnknownId>,
    needed: Vec<bool>,
}

impl<'r> Draft<'r> {
    pub(super) fn new(name: &str, ruleset: &'r Ruleset, book: &Book<'_>) -> Self {
        let mut gate = Gate::new(name, Layer::Packet);
        gate.family = Some(book.family);
        gate.unknowns.clone_from(&book.unknowns);
        for set in &book.texts {
            gate.text(set.clone());
        }
        gate.chains = ruleset
            .chains
            .iter()
            .map(|chain| Chain {
                name: chain.name.clone(),
                rules: Vec::new(),
            })
            .collect();
        Self {
            gate,
            ruleset,
            v6: book.family == crate::model::Family::V6,
            copies: FxHashMap::default(),
            tagged: FxHashMap::default(),
            needed: vec![false; ruleset.chains.len()],
        }
    }

    /// The gate, and which of the file's chains it needs.
    pub(super) fn finish(self) -> (Gate, Vec<bool>) {
        (self.gate, self.needed)
    }

    /// The chain as a place sees it.
    pub(super) fn chain(&mut self, at: usize, context: Context) -> ChainId {
        let mut todo = Vec::new();
        let id = self.find(at, context, &mut todo);
        while let Some((at, context, id)) = todo.pop() {
            let Some(chain) = self.ruleset.chains.get(at) else {
                continue;
            };
            if context == Context::default() {
                for callee in &chain.calls {
                    self.find(*callee, context, &mut todo);
                }
                continue;
            }
            let mut rules = Vec::with_capacity(chain.rules.len());
            for rule in &chain.rules {
                let mut special = Specialise {
                    context,
                    texts: &self.gate.texts,
                    v6: self.v6,
                    unknowns: &mut self.gate.unknowns,
                    tagged: &mut self.tagged,
                };
                let guard = special.guard(&rule.guard);
                let step = match &rule.step {
                    Step::Call(callee) => {
                        Step::Call(self.find(callee.0 as usize, context, &mut todo))
                    }
                    Step::Goto(callee) => {
                        Step::Goto(self.find(callee.0 as usize, context, &mut todo))
                    }
                    other @ (Step::Decide(_)
                    | Step::Return
                    | Step::Continue
                    | Step::Rewrite(_)
                    | Step::RewriteAndAllow(_)
                    | Step::Obscure(_)) => special.step(other),
                };
                rules.push(Rule {
                    guard,
                    step,
                    span: rule.span,
                });
            }
            if let Some(slot) = self.gate.chains.get_mut(id.0 as usize) {
                slot.rules = rules;
            }
        }
        id
    }

    fn find(
        &mut self,
        at: usize,
        context: Context,
        todo: &mut Vec<(usize, Context, ChainId)>,
    ) -> ChainId {
        let ruleset = self.ruleset;
        let Some(chain) = ruleset.chains.get(at) else {
            return ChainId(u32::MAX);
        };
        let context = context.for_chain(chain.sees);
        if context == Context::default() {
            let id = ChainId(u32::try_from(at).unwrap_or(u32::MAX));
            if let Some(needed) = self.needed.get_mut(at)
                && !*needed
            {
                *needed = true;
                todo.push((at, context, id));
            }
            return id;
        }
        if let Some(id) = self.copies.get(&(at, context)) {
            return *id;
        }
        let id = self.gate.chain(chain.name.clone());
        self.copies.insert((at, context), id);
        todo.push((at, context, id));
        id
    }
}

/// Gives each gate the chains that it needs; the last one takes them, so that a large ruleset is copied seldom.
pub(super) fn distribute(ruleset: &mut Ruleset, drafts: Vec<(Gate, Vec<bool>)>) -> Vec<Gate> {
    let mut drafts = drafts;
    for (at, chain) in ruleset.chains.iter_mut().enumerate() {
        let users: Vec<usize> = drafts
            .iter()
            .enumerate()
            .filter(|(_, (_, needed))| needed.get(at) == Some(&true))
            .map(|(user, _)| user)
            .collect();
        let Some((last, others)) = users.split_last() else {
            continue;
        };
        for user in others {
            if let Some(slot) = drafts
                .get_mut(*user)
                .and_then(|(gate, _)| gate.chains.get_mut(at))
            {
                slot.rules.clone_from(&chain.rules);
            }
        }
        if let Some(slot) = drafts
            .get_mut(*last)
            .and_then(|(gate, _)| gate.chains.get_mut(at))
        {
            slot.rules = std::mem::take(&mut chain.rules);
        }
    }
    drafts.into_iter().map(|(gate, _)| gate).collect()
}

/// A guard on the connection tracking state.
pub(super) fn state_is(states: &[crate::model::State]) -> Guard {
    Guard::number(
        Dim::State,
        states.iter().map(|state| *state as u128).collect(),
    )
}
