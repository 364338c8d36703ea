//! In: a gate and the flows that enter a chain. Out: what the chain decides about which of them, and what returns.
//!
//! One forward walk carries what may still arrive, as pieces of one environment each. A rule whose guard surely holds
//! takes its flows away; one that possibly holds takes them and leaves them, both tainted by the unknown.
//!
//! Chains act pointwise, so a chain that is called often is walked once for all asked flows, and each further call is
//! an intersection with what came of that.
//!
//! Invariants: pieces of one environment and taint class are one piece; a flow is never dropped: it is decided,
//! returned, or carried on.

use std::iter::Enumerate;
use std::rc::Rc;
use std::slice::Iter;

use rustc_hash::FxHashMap;

use super::env::Env;
use super::guard::{Compiled, Gaps, Ground, Synthetic, Taint};
use super::reach::Reach;
use super::sketch::Sketch;
use super::space::{Node, Slice, Space};
use super::{Decider, StepSeen};
use crate::model::{ChainId, Dim, Effect, Ranges, Rule, Step, UnknownId, UnknownKind};
use crate::source::Span;

/// Chains nested deeper than this are not followed: the kernel's own limit is far below.
const DEPTH_LIMIT: usize = 200;
/// A chain that is called more often than this is walked once for all asked flows.
const CALLS_BEFORE_SUMMARY: u32 = 3;
/// Flows are not kept apart in more environments than this.
const PIECES: usize = 4096;
/// No message names more reasons than this.
const REASONS_KEPT: usize = 12;

/// The unknowns that had to turn out one way for flows to be here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Why {
    unknowns: Vec<UnknownId>,
    class: Taint,
}

/// Flows in one environment.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) env: Rc<Env>,
    pub(crate) why: Why,
    pub(crate) reach: Reach,
}

/// What happened to flows.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) fate: Fate,
    pub(crate) decider: Decider,
    pub(crate) rule: Option<(ChainId, usize)>,
    pub(crate) calls: Vec<Span>,
    pub(crate) env: Rc<Env>,
    pub(crate) why: Why,
    pub(crate) slices: Vec<Slice>,
}

/// How a chain ended flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Decided.
    Effect(Effect),
    /// The effect is not known.
    Obscured,
}

/// What a chain does to all asked flows of one environment.
#[derive(Debug)]
struct Summary {
    events: Vec<Event>,
    back: Vec<Piece>,
}

/// One question's walk.
pub(crate) struct Walk<'a> {
    pub(crate) ground: Ground<'a>,
    pub(crate) space: &'a mut Space,
    pub(crate) synthetic: &'a mut Synthetic,
    /// All asked flows.
    pub(crate) universe: Node,
    /// What happened in the current stage.
    pub(crate) events: Vec<Event>,
    /// Every rule met, where the question asks for it.
    pub(crate) steps: Vec<StepSeen>,
    /// How many rules were met.
    pub(crate) visits: u64,
    /// Operations allowed.
    pub(crate) limit: u64,
    /// The operations are used up.
    pub(crate) spent: bool,
    calls: FxHashMap<ChainId, u32>,
    summaries: FxHashMap<(ChainId, Rc<Env>), Rc<Summary>>,
    stack: Vec<ChainId>,
    path: Vec<Span>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        ground: Ground<'a>,
        space: &'a mut Space,
        synthetic: &'a mut Synthetic,
        universe: Node,
        limit: u64,
    ) -> Self {
        Self {
            ground,
            space,
            synthetic,
            universe,
            events: Vec::new(),
            steps: Vec::new(),
            visits: 0,
            limit,
            spent: false,
            calls: FxHashMap::default(),
            summaries: FxHashMap::default(),
            stack: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Walks a chain; gives what returns from it. What it decides is in `events`.
    pub(crate) fn chain(&mut self, id: ChainId, mut pieces: Vec<Piece>) -> Vec<Piece> {
        let gate = self.ground.gate;
        let Some(chain) = gate.chains.get(id.0 as usize) else {
            return pieces;
        };
        if self.stack.contains(&id) || self.stack.len() >= DEPTH_LIMIT {
            let text = format!(
                "what chain `{}` does, which calls itself or nests too deep",
                chain.name
            );
            let unknown = self.synthetic.id(UnknownKind::Opaque, "depth", text);
            self.obscure_all(pieces, unknown);
            return Vec::new();
        }
        self.stack.push(id);
        let mut back = Vec::new();
        let sketches = self.ground.sketches;
        let sketches = sketches.chain(id.0 as usize);
        let mut flows = self.sketched(&pieces);
        let mut rules = chain.rules.iter().enumerate();
        while let Some((index, rule)) = self.next_concerned(&mut rules, sketches, &flows) {
            let mut touched = false;
            let mut pending = Vec::new();
            for piece in &mut pieces {
                if piece.reach.is_empty() {
                    continue;
                }
                let met = self.synthetic.atoms.mark();
                let compiled =
                    self.ground
                        .compile(self.space, self.synthetic, &rule.guard, &piece.env);
                let (sure, maybe) = self.split(&piece.reach, &compiled);
                self.note(rule.span, &rule.step, &sure, &maybe);
                if matches!(rule.step, Step::Continue) {
                    self.synthetic.atoms.back_to(met);
                    continue;
                }
                if sure.is_empty() && maybe.is_empty() {
                    continue;
                }
                touched = true;
                if compiled.holds_always() {
                    piece.reach = Reach::default();
                } else {
                    piece.reach.remove(self.space, &sure);
                    piece.reach.remove(self.space, &maybe);
                }
                let env = Rc::clone(&piece.env);
                let why = piece.why.clone();
                let met = Met {
                    rule: (id, index),
                    span: rule.span,
                    step: &rule.step,
                };
                if !maybe.is_empty() {
                    let why = why.also(&compiled.gaps).also(&compiled.general_gaps);
                    let left = Reach::from_slices(self.space, &maybe);
                    pending.push(Piece {
                        env: Rc::clone(&env),
                        why: why.clone(),
                        reach: left,
                    });
                    self.act(&met, Rc::clone(&env), why, maybe, &mut pending, &mut back);
                }
                if !sure.is_empty() {
                    self.act(&met, env, why, sure, &mut pending, &mut back);
                }
            }
            for piece in pending {
                merge(self.space, &mut pieces, piece);
            }
            self.space.steps += pieces.len() as u64;
            if self.space.steps + self.visits > self.limit
                || self.space.exhausted
                || pieces.len() > PIECES
            {
                self.spent = true;
            }
            if self.spent {
                let text = "more work than the budget allows".to_owned();
                let unknown = self.synthetic.id(UnknownKind::Opaque, "budget", text);
                pieces.append(&mut back);
                self.obscure_all(pieces, unknown);
                self.stack.pop();
                return Vec::new();
            }
            if pieces.iter().all(|piece| piece.reach.is_empty()) {
                pieces.clear();
                break;
            }
            if touched {
                flows = self.sketched(&pieces);
            }
        }
        self.stack.pop();
        for piece in pieces {
            merge(self.space, &mut back, piece);
        }
        back
    }

    /// What the pieces may be, in a few integers each.
    fn sketched(&self, pieces: &[Piece]) -> Vec<Sketch> {
        let asked = |dim| self.ground.asked.get(&dim);
        let live = pieces.iter().filter(|piece| !piece.reach.is_empty());
        live.map(|piece| {
            let reach = Some(&piece.reach);
            self.ground.sketches.flows(&piece.env, &asked, reach)
        })
        .collect()
    }

    /// The next rule that may concern some piece; all of them where every step is asked for.
    fn next_concerned<'r>(
        &mut self,
        rules: &mut Enumerate<Iter<'r, Rule>>,
        sketches: &[Sketch],
        flows: &[Sketch],
    ) -> Option<(usize, &'r Rule)> {
        let left = rules.len();
        if self.ground.question.steps {
            self.visits += u64::from(left > 0);
            return rules.next();
        }
        let ahead = sketches.get(sketches.len().checked_sub(left)?..)?;
        let concerned = |rule: &Sketch| flows.iter().any(|flows| flows.meets(rule));
        let skipped = ahead.iter().position(concerned);
        self.visits += skipped.map_or(left, |skipped| skipped + 1) as u64;
        rules.nth(skipped?)
    }

    /// What of a reach surely and what only possibly meets a guard.
    pub(crate) fn split(&mut self, reach: &Reach, compiled: &Compiled) -> (Vec<Slice>, Vec<Slice>) {
        if compiled.never {
            return (Vec::new(), Vec::new());
        }
        let everyone = Ranges::full();
        let clients = compiled.clients.as_ref().unwrap_or(&everyone);
        let rest = self.space.cube(compiled.rest.clone());
        let Some((must, may)) = compiled.general else {
            let found = if compiled.holds_always() {
                reach.slices()
            } else {
                reach.peek(self.space, clients, rest)
            };
            return if compiled.gaps.unknowns.is_empty() {
                (found, Vec::new())
            } else {
                (Vec::new(), found)
            };
        };
        let product = self.space.restrict(Dim::Source, clients, rest);
        let may = self.space.and(product, may);
        let must = if compiled.gaps.unknowns.is_empty() {
            self.space.and(product, must)
        } else {
            Node::NONE
        };
        let sure = self.meet(reach, must);
        let possible = self.meet(reach, may);
        let (sure_node, possible_node) = (
            self.space.join(Dim::Source, &sure),
            self.space.join(Dim::Source, &possible),
        );
        let gap = self.space.minus(possible_node, sure_node);
        (sure, self.space.slices(gap, Dim::Source))
    }

    /// What of a reach lies in a set.
    pub(crate) fn meet(&mut self, reach: &Reach, set: Node) -> Vec<Slice> {
        let mut found = Vec::new();
        for (low, high, rest) in self.space.slices(set, Dim::Source) {
            found.extend(reach.peek(self.space, &Ranges::between(low, high), rest));
        }
        found
    }

    fn act(
        &mut self,
        met: &Met<'_>,
        env: Rc<Env>,
        why: Why,
        slices: Vec<Slice>,
        onward: &mut Vec<Piece>,
        back: &mut Vec<Piece>,
    ) {
        match met.step {
            Step::Continue => {}
            Step::Decide(effect) => self.event(Fate::Effect(*effect), met, env, why, slices),
            Step::Call(chain) => {
                let returned = self.call(*chain, met.span, env, why, &slices);
                onward.extend(returned);
            }
            Step::Goto(chain) => {
                let returned = self.call(*chain, met.span, env, why, &slices);
                for piece in returned {
                    merge(self.space, back, piece);
                }
            }
            Step::Return => {
                let reach = Reach::from_slices(self.space, &slices);
                merge(self.space, back, Piece { env, why, reach });
            }
            Step::Rewrite(rewrite) => {
                let reach = Reach::from_slices(self.space, &slices);
                onward.push(Piece {
                    env: Rc::new(env.rewritten(rewrite)),
                    why,
                    reach,
                });
            }
            Step::RewriteAndAllow(rewrites) => {
                let env = rewrites
                    .iter()
                    .fold((*env).clone(), |env, rewrite| env.rewritten(rewrite));
                self.event(Fate::Effect(Effect::Allow), met, Rc::new(env), why, slices);
            }
            Step::Obscure(unknown) => {
                let why = why.also(&Gaps::perhaps(*unknown));
                self.event(Fate::Obscured, met, env, why, slices);
            }
        }
    }

    fn event(&mut self, fate: Fate, met: &Met<'_>, env: Rc<Env>, why: Why, slices: Vec<Slice>) {
        self.events.push(Event {
            fate,
            decider: Decider::Rule(met.span),
            rule: Some(met.rule),
            calls: self.path.clone(),
            env,
            why,
            slices,
        });
    }

    /// Everything here becomes undecided.
    pub(crate) fn obscure_all(&mut self, pieces: Vec<Piece>, unknown: UnknownId) {
        for piece in pieces {
            if piece.reach.is_empty() {
                continue;
            }
            let why = piece.why.also(&Gaps::perhaps(unknown));
            self.events.push(Event {
                fate: Fate::Obscured,
                decider: Decider::Fallback {
                    span: None,
                    text: "undecided from here on".to_owned(),
                },
                rule: None,
                calls: self.path.clone(),
                env: piece.env,
                why,
                slices: piece.reach.slices(),
            });
        }
    }

    fn call(
        &mut self,
        chain: ChainId,
        span: Span,
        env: Rc<Env>,
        why: Why,
        slices: &[Slice],
    ) -> Vec<Piece> {
        let calls = self.calls.entry(chain).or_insert(0);
        *calls += 1;
        let often = *calls > CALLS_BEFORE_SUMMARY && !self.ground.question.steps;
        self.path.push(span);
        let back = if often && !self.stack.contains(&chain) {
            self.summarised(chain, &env, &why, slices)
        } else {
            let reach = Reach::from_slices(self.space, slices);
            self.chain(chain, vec![Piece { env, why, reach }])
        };
        self.path.pop();
        back
    }

    fn summarised(
        &mut self,
        chain: ChainId,
        env: &Rc<Env>,
        why: &Why,
        slices: &[Slice],
    ) -> Vec<Piece> {
        let key = (chain, Rc::clone(env));
        let summary = if let Some(known) = self.summaries.get(&key) {
            Rc::clone(known)
        } else {
            let outer = std::mem::take(&mut self.events);
            let path = std::mem::take(&mut self.path);
            let reach = Reach::from_node(self.space, self.universe);
            let back = self.chain(
                chain,
                vec![Piece {
                    env: Rc::clone(env),
                    why: Why::default(),
                    reach,
                }],
            );
            let events = std::mem::replace(&mut self.events, outer);
            self.path = path;
            let summary = Rc::new(Summary { events, back });
            self.summaries.insert(key, Rc::clone(&summary));
            summary
        };
        let asked = Reach::from_slices(self.space, slices);
        for event in &summary.events {
            let met = self.overlap(&asked, &event.slices);
            if met.is_empty() {
                continue;
            }
            let why = why.and(&event.why);
            let calls = self.path.iter().chain(&event.calls).copied().collect();
            self.events.push(Event {
                calls,
                why,
                slices: met,
                ..event.clone()
            });
        }
        let mut back = Vec::new();
        for piece in &summary.back {
            let met = self.overlap(&asked, &piece.reach.slices());
            if !met.is_empty() {
                let why = why.and(&piece.why);
                let reach = Reach::from_slices(self.space, &met);
                back.push(Piece {
                    env: Rc::clone(&piece.env),
                    why,
                    reach,
                });
            }
        }
        back
    }

    fn overlap(&mut self, reach: &Reach, slices: &[Slice]) -> Vec<Slice> {
        let mut met = Vec::new();
        for (low, high, rest) in slices {
            met.extend(reach.peek(self.space, &Ranges::between(*low, *high), *rest));
        }
        met
    }

    fn note(&mut self, span: Span, step: &Step, sure: &[Slice], maybe: &[Slice]) {
        if !self.ground.question.steps {
            return;
        }
        let does = describe(step, self.ground.gate);
        let text = if !sure.is_empty() {
            does
        } else if maybe.is_empty() {
            "no".to_owned()
        } else {
            format!("cannot tell; if so: {does}")
        };
        self.steps.push(StepSeen {
            span: Some(span),
            text,
        });
    }
}

struct Met<'s> {
    rule: (ChainId, usize),
    span: Span,
    step: &'s Step,
}

impl Why {
    /// How sure it is.
    pub(crate) fn taint(&self) -> Taint {
        self.class
    }

    /// The unknowns.
    pub(crate) fn unknowns(&self) -> &[UnknownId] {
        &self.unknowns
    }

    /// These reasons and more.
    #[must_use]
    pub(crate) fn also(&self, gaps: &Gaps) -> Self {
        let mut both = self.clone();
        both.class = both.class.max(gaps.taint);
        for unknown in &gaps.unknowns {
            both.insert(*unknown);
        }
        both
    }

    /// Both reasons.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.class = both.class.max(other.class);
        for unknown in &other.unknowns {
            both.insert(*unknown);
        }
        both
    }

    fn insert(&mut self, unknown: UnknownId) {
        if self.unknowns.len() < REASONS_KEPT
            && let Err(at) = self.unknowns.binary_search(&unknown)
        {
            self.unknowns.insert(at, unknown);
        }
    }
}

/// Adds a piece; one that has the same environment and is as sure takes its flows.
pub(crate) fn merge(space: &mut Space, pieces: &mut Vec<Piece>, piece: Piece) {
    if piece.reach.is_empty() {
        return;
    }
    let same = pieces.iter_mut().find(|other| {
        other.why.class == piece.why.class
            && (Rc::ptr_eq(&other.env, &piece.env) || other.env == piece.env)
    });
    match same {
        Some(other) => {
            other.reach.add_reach(space, &piece.reach);
            for unknown in piece.why.unknowns {
                other.why.insert(unknown);
            }
        }
        None => pieces.push(piece),
    }
}

/// What a step does, in words.
pub(crate) fn describe(step: &Step, gate: &crate::model::Gate) -> String {
    let chain = |id: &ChainId| {
        gate.chains
            .get(id.0 as usize)
            .map_or("?", |chain| chain.name.as_str())
    };
    match step {
        Step::Decide(Effect::Allow) => "allow".to_owned(),
        Step::Decide(Effect::Deny(denial)) => denial.word().to_owned(),
        Step::Call(id) => format!("goes through `{}`", chain(id)),
        Step::Goto(id) => format!("goes to `{}`", chain(id)),
        Step::Return => "return".to_owned(),
        Step::Continue => "goes on".to_owned(),
        Step::Rewrite(_) => "changes the packet and goes on".to_owned(),
        Step::RewriteAndAllow(_) => "changes the packet's addresses".to_owned(),
        Step::Obscure(_) => "does something that is not known".to_owned(),
    }
}
