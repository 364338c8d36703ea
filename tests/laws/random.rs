//! In: a seed. Out: a small gate of any shape and a question whose flows can all be tried; and smaller ones of both.

use std::collections::BTreeMap;

use gatelint::model::{
    ChainId, Conversation, Denial, Dim, Edge, Effect, Fallback, Gate, Guard, Lang, Layer, MarkName,
    NatSide, Onward, Question, Ranges, Rewrite, Rule, Stage, StageId, Step, Test, TextId, TextSet,
    TextSpace, Unknown, UnknownId, UnknownKind, Value,
};
use gatelint::source::{FileId, Sources, Span};

use super::naive::Flow;

/// `SplitMix64`.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())].clone()
    }
}

pub(crate) const WORDS: [&str; 4] = ["a", "b", "ba", "bab"];
pub(crate) const CODES: [&str; 3] = ["x", "y", "z"];

pub(crate) struct Case {
    pub gate: Gate,
    pub question: Question,
    pub file: FileId,
}

/// What a round may use: plain gates show exactness, the others soundness.
#[derive(Clone, Copy)]
struct Taste {
    unknowns: usize,
    rewrites: bool,
    conversation: bool,
    texts: bool,
}

pub(crate) fn case(random: &mut Random) -> Case {
    let taste = Taste {
        unknowns: random.pick(&[0, 1, 2, 3, 4]),
        rewrites: random.one_in(2),
        conversation: random.one_in(3),
        texts: random.one_in(2),
    };
    let file = Sources::new().add("t", vec![b'\n'; 1000]).unwrap();
    let mut gate = Gate::new("random", Layer::Packet);
    if random.one_in(2) {
        let some: [&[u128]; 4] = [&[], &[1], &[10], &[0, 11, 50]];
        gate.own_addresses = Some(random.pick(&some).iter().copied().collect());
    }
    for set in [
        TextSet::Literal("a".into()),
        TextSet::Prefix("b".into()),
        TextSet::Lang(Lang::pattern("b|bab").unwrap()),
    ] {
        gate.text(set);
    }
    for at in 0..taste.unknowns {
        // One identity, one kind.
        let identity = random.pick(&[None, None, Some("p"), Some("q"), Some("r")]);
        let kinds = [UnknownKind::Varies, UnknownKind::Fact, UnknownKind::Opaque];
        let kind = match identity {
            None => random.pick(&kinds),
            Some("p") => UnknownKind::Varies,
            Some("q") => UnknownKind::Fact,
            Some(_) => UnknownKind::Opaque,
        };
        gate.unknown(Unknown {
            kind,
            // What shares an identity shares its code, so that fixing one fixes all.
            code: identity.map_or(CODES[at % 3], |identity| match identity {
                "p" => "x",
                "q" => "y",
                _ => "z",
            }),
            text: "a fact".to_owned(),
            identity: identity.map(str::to_owned),
            span: None,
        });
    }
    let chains = 1 + random.below(5);
    for at in 0..chains {
        gate.chain(format!("c{at}"));
    }
    let mut line = 0;
    for at in 0..chains {
        for _ in 0..random.below(5) {
            let guard = guard(random, taste, 2);
            let step = step(random, taste, at, chains);
            let span = Span::new(file, line, line + 1);
            line += 1;
            gate.rule(ChainId(id(at)), Rule { guard, step, span });
        }
    }
    stages(random, taste, &mut gate);
    let question = question(random, taste);
    Case {
        gate,
        question,
        file,
    }
}

fn id(at: usize) -> u32 {
    u32::try_from(at).unwrap()
}

fn effect(random: &mut Random) -> Effect {
    random.pick(&[
        Effect::Allow,
        Effect::Deny(Denial::Drop),
        Effect::Deny(Denial::Reject),
    ])
}

fn stages(random: &mut Random, taste: Taste, gate: &mut Gate) {
    let chains = gate.chains.len();
    let phases: Vec<usize> = if taste.conversation {
        vec![
            1 + random.below(2),
            1 + random.below(2),
            1 + random.below(2),
        ]
    } else {
        vec![1 + random.below(3)]
    };
    let mut first = 0;
    for (phase, count) in phases.iter().enumerate() {
        let after = first + count;
        for at in first..after {
            let mut edges = Vec::new();
            let last_phase = phase + 1 == phases.len();
            for _ in 0..random.below(3) {
                let to = match random.below(4) {
                    0 | 1 if at + 1 < after => {
                        Onward::Stage(StageId(id(at + 1 + random.below(after - at - 1))))
                    }
                    0 if last_phase => Onward::Arrive {
                        local: random.one_in(2),
                    },
                    _ if last_phase => continue,
                    _ if phase == 0 => Onward::Reply(StageId(id(after))),
                    _ => Onward::Again(StageId(id(after))),
                };
                let guard = if random.one_in(2) {
                    Guard::Always
                } else {
                    guard(random, taste, 1)
                };
                edges.push(Edge { guard, to });
            }
            let mut enter = Vec::new();
            if at == first && random.below(3) > 0 {
                enter.push(Rewrite::Track);
            }
            if taste.rewrites {
                for _ in 0..random.below(3) {
                    enter.push(rewrite(random, taste));
                }
            }
            let chain = (!random.one_in(6)).then(|| ChainId(id(random.below(chains))));
            gate.stage(Stage {
                name: format!("s{at}"),
                enter,
                chain,
                fallback: Fallback {
                    effect: if random.one_in(3) {
                        effect(random)
                    } else {
                        Effect::Allow
                    },
                    span: None,
                    text: "policy".to_owned(),
                },
                edges,
            });
        }
        first = after;
    }
}

fn set(random: &mut Random, low: u128, high: u128) -> Ranges {
    let (a, b) = (
        low + random.below(usize::try_from(high - low + 1).unwrap()) as u128,
        low + random.below(usize::try_from(high - low + 1).unwrap()) as u128,
    );
    let set = Ranges::between(a.min(b), a.max(b));
    if random.one_in(6) {
        set.complement()
    } else {
        set
    }
}

fn test(random: &mut Random, taste: Taste) -> Test {
    if taste.texts && random.one_in(5) {
        let dim = random.pick(&[Dim::InInterface, Dim::OutInterface, Dim::Host]);
        return Test::Text(dim, TextId(id(random.below(3))));
    }
    if taste.rewrites && random.one_in(3) {
        return match random.below(6) {
            0 | 1 => {
                let name = random.pick(&[MarkName::Packet, MarkName::Connection]);
                let mask = random.pick(&[1, 3, 2, 7]);
                Test::Mark(name, random.pick(&[0, 1, 2, 3]), mask)
            }
            2 => Test::AnyAddress(set(random, 9, 12)),
            3 => Test::Local(random.pick(&[Dim::Source, Dim::Destination])),
            4 => Test::Translated(random.pick(&[NatSide::Source, NatSide::Destination])),
            // A reply's is one of 0, 8, 16, 255, so that every set has some of them and lacks some.
            _ => Test::In(Dim::Tos, Ranges::between(0, random.pick(&[0, 8, 20]))),
        };
    }
    if (taste.conversation || taste.rewrites) && random.one_in(3) {
        return match random.below(5) {
            0 | 1 => Test::In(Dim::State, set(random, 0, 4)),
            2 => {
                let sets = [(0, 99), (100, 2000), (40, 40), (0, 70), (71, 1500)];
                let (low, high) = random.pick(&sets);
                Test::In(Dim::Length, Ranges::between(low, high))
            }
            3 => Test::In(
                Dim::TcpFlags,
                random.pick(&[Ranges::one(2), Ranges::one(16), Ranges::between(16, 31)]),
            ),
            _ => Test::In(
                Dim::Ttl,
                Ranges::between(random.pick(&[0, 33, 64]), random.pick(&[64, 255])),
            ),
        };
    }
    match random.below(6) {
        0..=2 => Test::In(Dim::Source, set(random, 0, 4)),
        3 => Test::In(Dim::Destination, set(random, 9, 13)),
        4 => Test::In(Dim::DestinationPort, set(random, 0, 4)),
        _ => Test::In(Dim::Protocol, Ranges::one(random.pick(&[6, 17]))),
    }
}

fn guard(random: &mut Random, taste: Taste, depth: usize) -> Guard {
    let choices = if depth == 0 { 5 } else { 10 };
    match random.below(choices) {
        0 => Guard::Always,
        1 | 2 if taste.unknowns > 0 => Guard::Unknown(UnknownId(id(random.below(taste.unknowns)))),
        1..=4 => Guard::Is(test(random, taste)),
        5 => guard(random, taste, depth - 1).negated(),
        6 => Guard::Not(Box::new(guard(random, taste, depth - 1))),
        7 | 8 => Guard::All(
            (0..random.below(4))
                .map(|_| guard(random, taste, depth - 1))
                .collect(),
        ),
        _ => Guard::AnyOf(
            (0..random.below(4))
                .map(|_| guard(random, taste, depth - 1))
                .collect(),
        ),
    }
}

fn step(random: &mut Random, taste: Taste, chain: usize, chains: usize) -> Step {
    match random.below(12) {
        3 => Step::Return,
        4..=6 if chain + 1 < chains => {
            Step::Call(ChainId(id(chain + 1 + random.below(chains - chain - 1))))
        }
        7 if chain + 1 < chains => {
            Step::Goto(ChainId(id(chain + 1 + random.below(chains - chain - 1))))
        }
        8 | 9 if taste.rewrites => Step::Rewrite(Box::new(rewrite(random, taste))),
        10 if taste.rewrites => Step::RewriteAndAllow(
            (0..random.below(3))
                .map(|_| rewrite(random, taste))
                .collect(),
        ),
        11 if taste.unknowns > 0 && random.one_in(2) => {
            Step::Obscure(UnknownId(id(random.below(taste.unknowns))))
        }
        8 => Step::Continue,
        _ => Step::Decide(effect(random)),
    }
}

fn value(random: &mut Random, taste: Taste, low: u128) -> Value {
    match random.below(8) {
        0..=2 => Value::Const(low + random.below(4) as u128),
        3 => Value::OneOf([low, low + 2].into_iter().collect()),
        4 => Value::OneOf(Ranges::between(low + 1, low + 2)),
        5 => Value::Prefix {
            base: random.pick(&[0, 4, 8]),
            host_bits: random.pick(&[1, 2]),
        },
        6 if taste.unknowns > 0 => Value::Own(UnknownId(id(random.below(taste.unknowns)))),
        7 if taste.unknowns > 0 => Value::Unknown(UnknownId(id(random.below(taste.unknowns)))),
        _ => Value::Const(low),
    }
}

fn rewrite(random: &mut Random, taste: Taste) -> Rewrite {
    let name = random.pick(&[MarkName::Packet, MarkName::Connection]);
    let mask = random.pick(&[1, 2, 3, 7]);
    let addresses = [
        (Dim::Source, 0),
        (Dim::Destination, 10),
        (Dim::DestinationPort, 1),
        (Dim::SourcePort, 5),
    ];
    match random.below(14) {
        0..=2 => {
            let (dim, low) = random.pick(&addresses);
            Rewrite::Translate(dim, value(random, taste, low))
        }
        3 => {
            let (dim, low) = random.pick(&addresses);
            Rewrite::Set(dim, value(random, taste, low))
        }
        4 => Rewrite::Set(Dim::Tos, Value::Const(8)),
        5 | 6 => Rewrite::Mark(name, random.pick(&[0, 1, 2, 3]), mask),
        7 if taste.unknowns > 0 => {
            Rewrite::MarkUnknown(name, mask & 3, UnknownId(id(random.below(taste.unknowns))))
        }
        8 => Rewrite::SaveMark(mask),
        9 => Rewrite::RestoreMark(mask),
        10 => Rewrite::Notrack,
        11 => Rewrite::Track,
        _ => Rewrite::ApplyBinding(random.pick(&[NatSide::Source, NatSide::Destination])),
    }
}

fn question(random: &mut Random, taste: Taste) -> Question {
    let up_to = |random: &mut Random, low: u128, most: usize| {
        Ranges::between(low, low + random.below(most) as u128)
    };
    let mut numbers = BTreeMap::from([
        (Dim::Source, up_to(random, 0, 4)),
        (Dim::Destination, up_to(random, 10, 2)),
        (Dim::DestinationPort, up_to(random, 1, 2)),
        (Dim::SourcePort, Ranges::one(5)),
        (Dim::Protocol, Ranges::one(6)),
        (Dim::State, Ranges::one(1)),
        (Dim::TcpFlags, Ranges::one(2)),
        (Dim::Length, Ranges::one(100)),
        (Dim::Ttl, Ranges::one(64)),
        (Dim::Tos, Ranges::one(0)),
        (Dim::Mss, Ranges::one(1460)),
        (Dim::Mac, Ranges::one(1)),
    ]);
    if random.one_in(4) {
        numbers.insert(Dim::Protocol, [6, 17].into_iter().collect());
    }
    if random.one_in(40) {
        numbers.insert(Dim::Source, Ranges::empty());
    }
    let mut texts = BTreeMap::new();
    if taste.texts {
        for dim in [Dim::InInterface, Dim::OutInterface, Dim::Host] {
            if random.one_in(4) {
                continue;
            }
            let pattern = random.pick(&["a", "b", "a|b", "b|ba|bab"]);
            let space = TextSpace {
                lang: Lang::pattern(pattern).unwrap(),
                suffixes: vec![],
                familiar: vec![],
            };
            texts.insert(dim, space);
        }
    }
    let conversation = match (taste.conversation, random.below(6)) {
        (true, 0) | (false, 1..) => Conversation::First,
        (true, 1) => Conversation::Established,
        (true | false, _) => Conversation::Whole,
    };
    let mut fixed = BTreeMap::new();
    if random.one_in(6) {
        fixed.insert(random.pick(&CODES).to_owned(), random.one_in(2));
    }
    let maybe = |random: &mut Random| random.pick(&[None, None, Some(false), Some(true)]);
    Question {
        numbers,
        texts,
        addresses: random.pick(&[
            None,
            Some(Ranges::one(10)),
            Some(Ranges::between(10, 11)),
            Some(Ranges::between(10, 12)),
        ]),
        fixed,
        destination_is_local: maybe(random),
        source_is_local: maybe(random),
        mark: random.pick(&[0, 0, 1, 2]),
        conversation,
        existential: Vec::new(),
        steps: false,
    }
}

/// Every flow of a question.
pub(crate) fn flows(question: &Question) -> Vec<Flow> {
    let mut all = vec![Flow {
        numbers: BTreeMap::new(),
        words: BTreeMap::new(),
    }];
    for (dim, set) in &question.numbers {
        let values: Vec<u128> = set
            .ranges()
            .iter()
            .flat_map(|range| range.low()..=range.high())
            .collect();
        all = all
            .into_iter()
            .flat_map(|flow| {
                values.iter().map(move |value| {
                    let mut flow = flow.clone();
                    flow.numbers.insert(*dim, *value);
                    flow
                })
            })
            .collect();
    }
    for (dim, space) in &question.texts {
        all = all
            .into_iter()
            .flat_map(|flow| {
                let words = WORDS
                    .iter()
                    .filter(|word| space.lang.contains(word.as_bytes()));
                words.map(move |word| {
                    let mut flow = flow.clone();
                    flow.words.insert(*dim, (*word).to_owned());
                    flow
                })
            })
            .collect();
    }
    all
}

/// Cases that are a little smaller, for reduction.
pub(crate) fn smaller(case: &Case) -> Vec<Case> {
    let mut some = Vec::new();
    let mut with = |change: &dyn Fn(&mut Gate, &mut Question)| {
        let (mut gate, mut question) = (case.gate.clone(), case.question.clone());
        change(&mut gate, &mut question);
        some.push(Case {
            gate,
            question,
            file: case.file,
        });
    };
    for (c, chain) in case.gate.chains.iter().enumerate() {
        for (r, rule) in chain.rules.iter().enumerate() {
            with(&|gate, _| {
                gate.chains[c].rules.remove(r);
            });
            for guard in smaller_guards(&rule.guard) {
                with(&|gate, _| gate.chains[c].rules[r].guard = guard.clone());
            }
            match &rule.step {
                Step::Goto(to) | Step::Call(to) => {
                    with(&|gate, _| gate.chains[c].rules[r].step = Step::Call(*to));
                    let called = case.gate.chains[to.0 as usize].rules.clone();
                    if rule.guard == Guard::Always {
                        with(&|gate, _| {
                            gate.chains[c].rules.splice(r..=r, called.clone());
                        });
                    }
                }
                Step::RewriteAndAllow(rewrites) if rewrites.len() > 1 => {
                    for at in 0..rewrites.len() {
                        with(&|gate, _| {
                            if let Step::RewriteAndAllow(some) = &mut gate.chains[c].rules[r].step {
                                some.remove(at);
                            }
                        });
                    }
                }
                _ => {}
            }
        }
    }
    for (s, stage) in case.gate.stages.iter().enumerate() {
        for at in 0..stage.enter.len() {
            with(&|gate, _| {
                gate.stages[s].enter.remove(at);
            });
        }
        if stage.chain.is_some() {
            with(&|gate, _| gate.stages[s].chain = None);
        }
        for at in 0..stage.edges.len() {
            with(&|gate, _| {
                gate.stages[s].edges.remove(at);
            });
            for guard in smaller_guards(&stage.edges[at].guard) {
                with(&|gate, _| gate.stages[s].edges[at].guard = guard.clone());
            }
        }
    }
    for (dim, set) in &case.question.numbers {
        if set.count() > 1 {
            for range in set.ranges() {
                for value in [range.low(), range.high()] {
                    with(&|_, question| {
                        question.numbers.insert(*dim, Ranges::one(value));
                    });
                }
            }
        }
    }
    for (dim, space) in &case.question.texts {
        for word in WORDS {
            let one = Lang::literal(word.as_bytes());
            if one != space.lang && space.lang.contains(word.as_bytes()) {
                with(&|_, question| {
                    question.texts.insert(*dim, TextSpace::one(word));
                });
            }
        }
    }
    some
}

fn smaller_guards(guard: &Guard) -> Vec<Guard> {
    let mut some = Vec::new();
    match guard {
        Guard::Always => return some,
        Guard::All(guards) | Guard::AnyOf(guards) => {
            some.extend(guards.iter().cloned());
            for (at, inner) in guards.iter().enumerate() {
                let with = |changed: Option<Guard>| {
                    let mut guards = guards.clone();
                    match changed {
                        Some(changed) => guards[at] = changed,
                        None => {
                            guards.remove(at);
                        }
                    }
                    match guard {
                        Guard::All(_) => Guard::All(guards),
                        _ => Guard::AnyOf(guards),
                    }
                };
                some.push(with(None));
                some.extend(
                    smaller_guards(inner)
                        .into_iter()
                        .map(|inner| with(Some(inner))),
                );
            }
        }
        Guard::Not(inner) => {
            some.push((**inner).clone());
            some.extend(
                smaller_guards(inner)
                    .into_iter()
                    .map(|inner| Guard::Not(Box::new(inner))),
            );
        }
        Guard::Is(_) | Guard::Unknown(_) => {}
    }
    some.push(Guard::Always);
    some
}
