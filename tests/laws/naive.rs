//! In: a gate, a question, one concrete flow. Out: what may become of it, over every truth of everything unknown.
//!
//! This is the second opinion that the evaluator is judged by, so it shares nothing with it: one flow walks through
//! stages, chains and rewrites as the model's documentation says, and wherever it meets something unknown the world
//! splits. It is slow and only fit for small gates.
//!
//! Invariant: a truth that must not change (an identity for the same packet, a host's addresses) is chosen once per
//! world; everything else is chosen anew at each meeting.

use std::collections::BTreeMap;

use gatelint::model::{
    ChainId, Conversation, Dim, Effect, Flags, Gate, Guard, MarkName, NatSide, Onward, Question,
    Ranges, Rewrite, StageId, State, Step, Test, TextId, UnknownId, UnknownKind, Value,
};

/// One flow, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub numbers: BTreeMap<Dim, u128>,
    pub words: BTreeMap<Dim, String>,
}

/// What may become of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fate {
    /// In some world it is allowed.
    pub can_pass: bool,
    /// In some world it is denied.
    pub can_fail: bool,
    /// Whatever the facts are, what varies can let it pass.
    pub passes_at_times: bool,
    /// Whatever the facts are, what varies can make it fail.
    pub fails_at_times: bool,
}

/// A fate, and what was met on the way to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub fate: Fate,
    /// Something without an identity was asked for twice, or a few values stood for many.
    pub may_be_inexact: bool,
    /// An identity was met twice.
    pub identity_twice: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chooser {
    /// The machine: one value holds.
    Fact,
    /// Time and chance: both happen.
    Chance,
}

enum Need {
    /// A truth of the whole world.
    World(String, usize),
    /// A choice at this meeting.
    Branch(Chooser, usize),
}

/// A flow's fate; nothing where there are too many worlds to try.
pub(crate) fn fate(gate: &Gate, question: &Question, flow: &Flow) -> Option<Seen> {
    let mut trial = Trial {
        gate,
        question,
        flow,
        runs_left: 400,
        may_be_inexact: false,
        identity_twice: false,
    };
    let fate = trial.worlds(&BTreeMap::new())?;
    Some(Seen {
        fate,
        may_be_inexact: trial.may_be_inexact,
        identity_twice: trial.identity_twice,
    })
}

struct Trial<'a> {
    gate: &'a Gate,
    question: &'a Question,
    flow: &'a Flow,
    runs_left: u32,
    may_be_inexact: bool,
    identity_twice: bool,
}

impl Trial<'_> {
    fn worlds(&mut self, facts: &BTreeMap<String, usize>) -> Option<Fate> {
        match self.branches(facts, &mut Vec::new())? {
            Ok(fate) => Some(fate),
            Err((key, count)) => {
                let fates: Option<Vec<Fate>> = (0..count)
                    .map(|value| {
                        let mut facts = facts.clone();
                        facts.insert(key.clone(), value);
                        self.worlds(&facts)
                    })
                    .collect();
                Some(combined(Chooser::Fact, &fates?))
            }
        }
    }

    fn branches(
        &mut self,
        facts: &BTreeMap<String, usize>,
        script: &mut Vec<usize>,
    ) -> Option<Result<Fate, (String, usize)>> {
        self.runs_left = self.runs_left.checked_sub(1)?;
        let mut walk = Walk::new(self, facts, script);
        let outcome = walk.run();
        let (may_be_inexact, identity_twice) = (walk.may_be_inexact, walk.identity_twice);
        self.may_be_inexact |= may_be_inexact;
        self.identity_twice |= identity_twice;
        match outcome {
            Ok(End::Allowed) => Some(Ok(Fate {
                can_pass: true,
                can_fail: false,
                passes_at_times: true,
                fails_at_times: false,
            })),
            Ok(End::Denied) => Some(Ok(Fate {
                can_pass: false,
                can_fail: true,
                passes_at_times: false,
                fails_at_times: true,
            })),
            Ok(End::Obscured) => Some(Ok(Fate {
                can_pass: true,
                can_fail: true,
                passes_at_times: false,
                fails_at_times: false,
            })),
            Err(Need::World(key, count)) => Some(Err((key, count))),
            Err(Need::Branch(chooser, count)) => {
                let mut fates = Vec::new();
                for value in 0..count {
                    script.push(value);
                    let result = self.branches(facts, script);
                    script.pop();
                    match result? {
                        Ok(fate) => fates.push(fate),
                        Err(need) => return Some(Err(need)),
                    }
                }
                Some(Ok(combined(chooser, &fates)))
            }
        }
    }
}

fn combined(chooser: Chooser, fates: &[Fate]) -> Fate {
    let surely = |claim: fn(&Fate) -> bool| match chooser {
        Chooser::Fact => fates.iter().all(claim),
        Chooser::Chance => fates.iter().any(claim),
    };
    Fate {
        can_pass: fates.iter().any(|fate| fate.can_pass),
        can_fail: fates.iter().any(|fate| fate.can_fail),
        passes_at_times: surely(|fate| fate.passes_at_times),
        fails_at_times: surely(|fate| fate.fails_at_times),
    }
}

enum End {
    Allowed,
    Denied,
    Obscured,
}

/// How a chain ended.
enum Left {
    Decided(Effect),
    Obscured,
    Returned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Request,
    Reply,
    Again,
}

/// A value on the packet now.
#[derive(Debug, Clone, Copy)]
struct Current {
    value: u128,
    /// Where it comes from, if it is as sent.
    sent: Option<Dim>,
    /// Which choice made it.
    choice: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    value: u32,
    chosen: u32,
}

struct Walk<'a> {
    gate: &'a Gate,
    question: &'a Question,
    flow: &'a Flow,
    facts: &'a BTreeMap<String, usize>,
    script: &'a [usize],
    at: usize,
    chances: BTreeMap<String, usize>,
    met: BTreeMap<String, u32>,
    choices: usize,
    may_be_inexact: bool,
    identity_twice: bool,
    packet: Packet,
    values: BTreeMap<Dim, Current>,
    interfaces_swapped: bool,
    mark: Mark,
    connection_mark: Mark,
    exempt: bool,
    request_exempt: bool,
    any_exempt: bool,
    bound: BTreeMap<Dim, Current>,
}

const SWAPPED: [(Dim, Dim); 4] = [
    (Dim::Source, Dim::Destination),
    (Dim::Destination, Dim::Source),
    (Dim::SourcePort, Dim::DestinationPort),
    (Dim::DestinationPort, Dim::SourcePort),
];

impl<'a> Walk<'a> {
    fn new(trial: &Trial<'a>, facts: &'a BTreeMap<String, usize>, script: &'a [usize]) -> Self {
        Self {
            gate: trial.gate,
            question: trial.question,
            flow: trial.flow,
            facts,
            script,
            at: 0,
            chances: BTreeMap::new(),
            met: BTreeMap::new(),
            choices: 0,
            may_be_inexact: false,
            identity_twice: false,
            packet: Packet::Request,
            values: BTreeMap::new(),
            interfaces_swapped: false,
            mark: Mark {
                value: trial.question.mark,
                chosen: 0,
            },
            connection_mark: Mark::default(),
            exempt: false,
            request_exempt: false,
            any_exempt: false,
            bound: BTreeMap::new(),
        }
    }

    fn world(&mut self, key: String, count: usize) -> Result<usize, Need> {
        let known = self.facts.get(&key).copied();
        known.ok_or(Need::World(key, count))
    }

    /// A truth of the world that the evaluator asks for anew each time.
    fn asked(&mut self, key: &str) {
        let times = self.met.entry(key.to_owned()).or_insert(0);
        *times += 1;
        self.may_be_inexact |= *times > 1;
    }

    fn branch(&mut self, chooser: Chooser, count: usize) -> Result<usize, Need> {
        let known = self.script.get(self.at).copied();
        self.at += 1;
        known.ok_or(Need::Branch(chooser, count))
    }

    /// What varies, but not within one conversation.
    fn chance(&mut self, key: String, count: usize) -> Result<usize, Need> {
        if let Some(known) = self.chances.get(&key) {
            return Ok(*known);
        }
        let value = self.branch(Chooser::Chance, count)?;
        self.chances.insert(key, value);
        Ok(value)
    }

    fn run(&mut self) -> Result<End, Need> {
        let mut stage_id = StageId(0);
        while let Some(stage) = self.gate.stages.get(stage_id.0 as usize) {
            for rewrite in &stage.enter {
                self.rewrite(rewrite)?;
            }
            let left = match stage.chain {
                Some(chain) => self.chain(chain)?,
                None => Left::Returned,
            };
            let effect = match left {
                Left::Decided(effect) => effect,
                Left::Obscured => return Ok(End::Obscured),
                Left::Returned => stage.fallback.effect,
            };
            if effect != Effect::Allow {
                return Ok(End::Denied);
            }
            let mut onward = None;
            for edge in &stage.edges {
                if self.holds(&edge.guard)? {
                    onward = Some(edge.to.clone());
                    break;
                }
            }
            match onward {
                None | Some(Onward::Arrive { .. }) => return Ok(End::Allowed),
                Some(Onward::Stage(next)) => stage_id = next,
                Some(Onward::Reply(next)) => {
                    if self.question.conversation != Conversation::Whole {
                        return Ok(End::Allowed);
                    }
                    self.turn_to_reply()?;
                    stage_id = next;
                }
                Some(Onward::Again(next)) => {
                    self.turn_to_again()?;
                    stage_id = next;
                }
            }
        }
        Ok(End::Allowed)
    }

    fn turn_to_reply(&mut self) -> Result<(), Need> {
        let turned: BTreeMap<Dim, Current> = SWAPPED
            .into_iter()
            .map(|(to, from)| (to, self.current(from)))
            .collect();
        self.values = turned;
        self.packet = Packet::Reply;
        self.interfaces_swapped = true;
        self.mark = Mark::default();
        self.request_exempt = self.exempt;
        if self.exempt {
            self.bound.clear();
        }
        self.exempt = false;
        self.constant(Dim::TcpFlags, u128::from(Flags::SYN | Flags::ACK));
        // The ends of what replies may be, and the places where the generator's tests cut.
        for (dim, some) in [
            (Dim::Length, [40, 70, 100, 1500]),
            (Dim::Ttl, [32, 63, 64, 255]),
            (Dim::Mss, [536, 1000, 1460, 9000]),
        ] {
            let at = if self.gate_tests(dim) {
                self.chance(format!("reply {dim:?}"), some.len())?
            } else {
                0
            };
            self.constant(dim, some[at]);
        }
        for (dim, some) in [(Dim::Tos, [0, 8, 16, 255]), (Dim::Mac, [0, 1, 2, 3])] {
            if self.gate_tests(dim) {
                let at = self.world(format!("reply {dim:?}"), some.len())?;
                self.chosen(dim, some[at]);
            }
        }
        Ok(())
    }

    fn turn_to_again(&mut self) -> Result<(), Need> {
        self.values.clear();
        self.packet = Packet::Again;
        self.interfaces_swapped = false;
        self.mark = Mark {
            value: self.question.mark,
            chosen: 0,
        };
        self.exempt = false;
        let ack = u128::from(Flags::ACK);
        let push = u128::from(Flags::PSH);
        for (dim, some) in [
            (Dim::Length, [40, 70, 100, 1500]),
            (Dim::TcpFlags, [ack, ack, ack | push, ack | push]),
        ] {
            let at = if self.gate_tests(dim) {
                self.chance(format!("again {dim:?}"), some.len())?
            } else {
                0
            };
            self.constant(dim, some[at]);
        }
        Ok(())
    }

    fn gate_tests(&self, dim: Dim) -> bool {
        fn tests(guard: &Guard, dim: Dim) -> bool {
            match guard {
                Guard::All(guards) | Guard::AnyOf(guards) => {
                    guards.iter().any(|guard| tests(guard, dim))
                }
                Guard::Not(guard) => tests(guard, dim),
                Guard::Is(Test::In(tested, _)) => *tested == dim,
                Guard::Is(_) | Guard::Always | Guard::Unknown(_) => false,
            }
        }
        let rules = self.gate.chains.iter().flat_map(|chain| &chain.rules);
        let edges = self.gate.stages.iter().flat_map(|stage| &stage.edges);
        rules
            .map(|rule| &rule.guard)
            .chain(edges.map(|edge| &edge.guard))
            .any(|guard| tests(guard, dim))
    }

    fn sent(&self, dim: Dim) -> Current {
        Current {
            value: self.flow.numbers.get(&dim).copied().unwrap_or(0),
            sent: Some(dim),
            choice: None,
        }
    }

    fn current(&self, dim: Dim) -> Current {
        self.values
            .get(&dim)
            .copied()
            .unwrap_or_else(|| self.sent(dim))
    }

    fn constant(&mut self, dim: Dim, value: u128) {
        let current = Current {
            value,
            sent: None,
            choice: None,
        };
        self.values.insert(dim, current);
    }

    fn chosen(&mut self, dim: Dim, value: u128) {
        self.choices += 1;
        let current = Current {
            value,
            sent: None,
            choice: Some(self.choices),
        };
        self.values.insert(dim, current);
    }

    fn chain(&mut self, id: ChainId) -> Result<Left, Need> {
        let gate = self.gate;
        for rule in &gate.chains[id.0 as usize].rules {
            if !self.holds(&rule.guard)? {
                continue;
            }
            match &rule.step {
                Step::Decide(effect) => return Ok(Left::Decided(*effect)),
                Step::Call(called) => match self.chain(*called)? {
                    Left::Returned => {}
                    left @ (Left::Decided(_) | Left::Obscured) => return Ok(left),
                },
                Step::Goto(called) => return self.chain(*called),
                Step::Return => return Ok(Left::Returned),
                Step::Continue => {}
                Step::Rewrite(rewrite) => self.rewrite(rewrite)?,
                Step::RewriteAndAllow(rewrites) => {
                    for rewrite in rewrites {
                        self.rewrite(rewrite)?;
                    }
                    return Ok(Left::Decided(Effect::Allow));
                }
                Step::Obscure(_) => return Ok(Left::Obscured),
            }
        }
        Ok(Left::Returned)
    }

    fn holds(&mut self, guard: &Guard) -> Result<bool, Need> {
        match guard {
            Guard::Always => Ok(true),
            Guard::All(guards) => {
                for guard in guards {
                    if !self.holds(guard)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Guard::AnyOf(guards) => {
                for guard in guards {
                    if self.holds(guard)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Guard::Not(guard) => Ok(!self.holds(guard)?),
            Guard::Unknown(id) => self.truth(*id),
            Guard::Is(test) => self.test(test),
        }
    }

    fn truth(&mut self, id: UnknownId) -> Result<bool, Need> {
        let unknown = &self.gate.unknowns[id.0 as usize];
        if let Some(fixed) = self.question.fixed.get(unknown.code) {
            return Ok(*fixed);
        }
        let chooser = match unknown.kind {
            UnknownKind::Varies => Chooser::Chance,
            UnknownKind::Fact | UnknownKind::Opaque => Chooser::Fact,
        };
        let Some(identity) = &unknown.identity else {
            return Ok(self.branch(chooser, 2)? == 1);
        };
        let times = self.met.entry(format!("identity {identity}")).or_insert(0);
        *times += 1;
        self.identity_twice |= *times > 1;
        // The same truth for the same packet: addresses, ports, protocol and interfaces.
        let addresses: Vec<u128> = [
            Dim::Source,
            Dim::Destination,
            Dim::SourcePort,
            Dim::DestinationPort,
            Dim::Protocol,
        ]
        .map(|dim| self.current(dim).value)
        .to_vec();
        let key = format!("{identity} {addresses:?} {}", self.interfaces_swapped);
        Ok(match chooser {
            Chooser::Chance => self.chance(key, 2)?,
            Chooser::Fact => self.world(key, 2)?,
        } == 1)
    }

    fn consult(&mut self, current: Current) {
        if let Some(choice) = current.choice {
            self.asked(&format!("choice {choice}"));
        }
    }

    fn test(&mut self, test: &Test) -> Result<bool, Need> {
        match test {
            Test::In(dim, set) => {
                let current = self.current(*dim);
                self.consult(current);
                Ok(set.contains(current.value))
            }
            Test::Text(dim, text) => self.word(*dim, *text),
            Test::Mark(name, value, mask) => {
                let mark = match name {
                    MarkName::Packet => self.mark,
                    MarkName::Connection => self.connection_mark,
                };
                if mark.chosen & mask != 0 {
                    self.asked("mark");
                }
                Ok(mark.value & mask == *value)
            }
            Test::AnyAddress(set) => {
                self.asked("addresses");
                let possible: Vec<u128> = match &self.question.addresses {
                    Some(some) => (0..16).filter(|value| some.contains(*value)).collect(),
                    None => (9..=13).collect(),
                };
                if possible.is_empty() {
                    return Ok(false);
                }
                let some = self.world("addresses".to_owned(), (1 << possible.len()) - 1)? + 1;
                Ok(possible
                    .iter()
                    .enumerate()
                    .any(|(at, value)| some >> at & 1 == 1 && set.contains(*value)))
            }
            Test::Local(dim) => {
                let current = self.current(*dim);
                let implied = match current.sent {
                    Some(Dim::Source) => self.question.source_is_local,
                    Some(Dim::Destination) => self.question.destination_is_local,
                    Some(_) | None => None,
                };
                if let Some(implied) = implied {
                    return Ok(implied);
                }
                self.consult(current);
                Ok(self.is_own(current.value)?)
            }
            Test::Translated(side) => {
                let dims = match side {
                    NatSide::Source => [Dim::Source, Dim::SourcePort],
                    NatSide::Destination => [Dim::Destination, Dim::DestinationPort],
                };
                Ok(dims.iter().any(|dim| self.bound.contains_key(dim)))
            }
        }
    }

    /// What the machine's own addresses may be where they are not known: a few sets stand for all.
    const OWN: [&'static [u128]; 7] = [&[], &[1], &[10], &[0, 11, 50], &[2, 3], &[4, 12], &[5, 13]];

    fn own(&mut self) -> Result<Vec<u128>, Need> {
        if let Some(own) = &self.gate.own_addresses {
            return Ok((0..64).filter(|value| own.contains(*value)).collect());
        }
        let at = self.world("own".to_owned(), Self::OWN.len())?;
        Ok(Self::OWN[at].to_vec())
    }

    fn is_own(&mut self, value: u128) -> Result<bool, Need> {
        let loopback = gatelint::model::address([127, 0, 0, 1].into());
        if value == loopback || value == 1 {
            if self.gate.own_addresses.is_none() {
                // Among other addresses the loopback one is not told apart.
                self.may_be_inexact = true;
            }
            return Ok(true);
        }
        if self.gate.own_addresses.is_none() {
            self.asked("own");
            self.may_be_inexact |= !Self::OWN.iter().any(|own| own.contains(&value));
        }
        Ok(self.own()?.contains(&value))
    }

    fn word(&mut self, dim: Dim, text: TextId) -> Result<bool, Need> {
        let dim = match dim {
            Dim::InInterface if self.interfaces_swapped => Dim::OutInterface,
            Dim::OutInterface if self.interfaces_swapped => Dim::InInterface,
            other => other,
        };
        let word = if let Some(word) = self.flow.words.get(&dim) {
            word.clone()
        } else {
            self.asked(&format!("word {dim:?}"));
            let some = ["a", "b", "bab"];
            some[self.world(format!("word {dim:?}"), some.len())?].to_owned()
        };
        Ok(self.gate.texts[text.0 as usize].contains(&word) == Some(true))
    }

    fn rewrite(&mut self, rewrite: &Rewrite) -> Result<(), Need> {
        match rewrite {
            Rewrite::Set(dim, value) => self.set(*dim, value)?,
            Rewrite::Translate(dim, value) => {
                self.set(*dim, value)?;
                let current = self.current(*dim);
                self.bound.insert(*dim, current);
            }
            Rewrite::ApplyBinding(side) => self.apply_binding(*side),
            Rewrite::Mark(name, value, mask) => {
                let mark = self.mark_mut(*name);
                mark.value = (mark.value & !mask) ^ value;
                mark.chosen &= !mask;
            }
            Rewrite::MarkUnknown(name, mask, _) => {
                let bits: Vec<u32> = (0..32).filter(|bit| mask >> bit & 1 == 1).collect();
                let some = self.branch(Chooser::Fact, 1 << bits.len())?;
                let mark = self.mark_mut(*name);
                mark.value &= !mask;
                for (at, bit) in bits.iter().enumerate() {
                    if some >> at & 1 == 1 {
                        mark.value |= 1 << bit;
                    }
                }
                mark.chosen |= mask;
            }
            Rewrite::SaveMark(mask) => {
                self.connection_mark = copied(self.connection_mark, self.mark, *mask);
            }
            Rewrite::RestoreMark(mask) => {
                self.mark = copied(self.mark, self.connection_mark, *mask);
            }
            Rewrite::Notrack => {
                self.exempt = true;
                self.any_exempt = true;
                self.constant(Dim::State, State::Untracked as u128);
            }
            Rewrite::Track => self.track()?,
        }
        Ok(())
    }

    fn mark_mut(&mut self, name: MarkName) -> &mut Mark {
        match name {
            MarkName::Packet => &mut self.mark,
            MarkName::Connection => &mut self.connection_mark,
        }
    }

    fn track(&mut self) -> Result<(), Need> {
        if self.exempt {
            self.constant(Dim::State, State::Untracked as u128);
            return Ok(());
        }
        let unclear = match self.packet {
            Packet::Request => false,
            Packet::Reply => self.request_exempt,
            Packet::Again => self.any_exempt,
        };
        if unclear {
            let at = self.branch(Chooser::Fact, 3)?;
            self.chosen(Dim::State, at as u128);
            return Ok(());
        }
        let first = self.packet == Packet::Request
            && self.question.conversation != Conversation::Established;
        let state = if first {
            State::New
        } else {
            State::Established
        };
        self.constant(Dim::State, state as u128);
        Ok(())
    }

    fn apply_binding(&mut self, side: NatSide) {
        if self.exempt {
            return;
        }
        let dims = match side {
            NatSide::Source => [Dim::Source, Dim::SourcePort],
            NatSide::Destination => [Dim::Destination, Dim::DestinationPort],
        };
        for dim in dims {
            let Some(bound) = self.bound.get(&dim).copied() else {
                continue;
            };
            match self.packet {
                Packet::Request => {}
                Packet::Again => {
                    self.values.insert(dim, bound);
                }
                Packet::Reply => {
                    let other = SWAPPED
                        .iter()
                        .find(|(to, _)| *to == dim)
                        .map(|(_, from)| *from);
                    let real = self.sent(dim);
                    self.values.insert(other.unwrap_or(dim), real);
                }
            }
        }
    }

    fn set(&mut self, dim: Dim, value: &Value) -> Result<(), Need> {
        match value {
            Value::Const(value) => self.constant(dim, *value),
            Value::OneOf(set) => {
                let some = elements(set);
                let at = self.branch(Chooser::Fact, some.len())?;
                if some.len() == 1 {
                    self.constant(dim, some[at]);
                } else {
                    self.chosen(dim, some[at]);
                }
            }
            Value::Prefix { base, host_bits } => {
                let current = self.current(dim);
                let low = (1u128 << host_bits) - 1;
                let current = Current {
                    value: base | (current.value & low),
                    sent: None,
                    ..current
                };
                self.values.insert(dim, current);
            }
            Value::Own(_) => {
                // What the machine sends itself is redirected to its loopback address.
                let mut own = self.own()?;
                own.extend([1, gatelint::model::address([127, 0, 0, 1].into())]);
                let at = self.branch(Chooser::Fact, own.len())?;
                self.chosen(dim, own[at]);
            }
            Value::Unknown(_) => {
                // A few values stand for all, so a test of others looks decided here.
                self.may_be_inexact = true;
                let some = [0, 2, 10, 11];
                let at = self.branch(Chooser::Fact, some.len())?;
                self.chosen(dim, some[at]);
            }
        }
        Ok(())
    }
}

fn copied(to: Mark, from: Mark, mask: u32) -> Mark {
    Mark {
        value: (to.value & !mask) | (from.value & mask),
        chosen: (to.chosen & !mask) | (from.chosen & mask),
    }
}

fn elements(set: &Ranges) -> Vec<u128> {
    set.ranges()
        .iter()
        .flat_map(|range| range.low()..=range.high())
        .collect()
}
