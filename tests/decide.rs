//! The evaluator on small gates made by hand: what each step does, what the three kinds of not knowing become, and the
//! three packets of a conversation.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::collections::BTreeMap;

use gatelint::decide::{Arrival, Evaluator, Verdict};
use gatelint::model::{
    ChainId, Conversation, Denial, Dim, Edge, Effect, Fallback, Gate, Guard, Layer, MarkName,
    NatSide, Onward, Question, Ranges, Rewrite, Rule, Stage, StageId, State, Step, Test, TextSet,
    TextSpace, Unknown, UnknownKind, Value,
};
use gatelint::source::{FileId, Sources, Span};

const DROP: Step = Step::Decide(Effect::Deny(Denial::Drop));
const ALLOW: Step = Step::Decide(Effect::Allow);

struct Build {
    gate: Gate,
    file: FileId,
    line: usize,
}

impl Build {
    fn new() -> Self {
        let sources = Sources::new();
        let file = sources.add("t", vec![b'\n'; 100]).unwrap();
        Self {
            gate: Gate::new("t", Layer::Packet),
            file,
            line: 0,
        }
    }

    fn rule(&mut self, chain: ChainId, guard: Guard, step: Step) {
        let span = Span::new(self.file, self.line, self.line + 1);
        self.line += 1;
        self.gate.rule(chain, Rule { guard, step, span });
    }

    fn stage(&mut self, chain: Option<ChainId>, fallback: Effect, edges: Vec<Edge>) -> StageId {
        self.gate.stage(Stage {
            name: "s".to_owned(),
            enter: Vec::new(),
            chain,
            fallback: Fallback {
                effect: fallback,
                span: None,
                text: "policy".to_owned(),
            },
            edges,
        })
    }

    fn unknown(&mut self, kind: UnknownKind, identity: Option<&str>) -> Guard {
        Guard::Unknown(self.gate.unknown(Unknown {
            kind,
            code: "test",
            text: "a fact".to_owned(),
            identity: identity.map(str::to_owned),
            span: None,
        }))
    }
}

fn clients(low: u128, high: u128) -> Guard {
    Guard::number(Dim::Source, Ranges::between(low, high))
}

fn first(numbers: &[(Dim, Ranges)]) -> Question {
    Question {
        numbers: numbers.iter().cloned().collect(),
        conversation: Conversation::First,
        ..Question::default()
    }
}

fn ask_clients() -> Question {
    first(&[(Dim::Source, Ranges::between(0, 9))])
}

/// The clients on each side: allowed, denied, varying, undecided.
fn sides(evaluator: &mut Evaluator<'_>, verdict: &Verdict) -> [Ranges; 4] {
    [
        verdict.allowed,
        verdict.denied,
        verdict.varying,
        verdict.undecided,
    ]
    .map(|flows| evaluator.values(flows, Dim::Source))
}

fn judge(gate: &Gate, question: &Question) -> [Ranges; 4] {
    let mut evaluator = Evaluator::new(gate);
    let verdict = evaluator.ask(question);
    sides(&mut evaluator, &verdict)
}

fn range(low: u128, high: u128) -> Ranges {
    Ranges::between(low, high)
}

#[test]
fn the_first_match_decides_and_the_rest_meets_the_fallback() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    b.rule(chain, clients(0, 3), ALLOW);
    b.rule(chain, clients(2, 5), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    assert_eq!(
        judge(&b.gate, &ask_clients()),
        [
            range(0, 3).union(&range(6, 9)),
            range(4, 5),
            Ranges::empty(),
            Ranges::empty()
        ]
    );
}

#[test]
fn call_comes_back_goto_does_not_and_return_returns() {
    let mut b = Build::new();
    let (main, called, gone) = (
        b.gate.chain("main"),
        b.gate.chain("called"),
        b.gate.chain("gone"),
    );
    b.rule(called, clients(0, 0), Step::Return);
    b.rule(called, clients(0, 2), DROP);
    b.rule(gone, clients(3, 3), DROP);
    b.rule(main, clients(0, 2), Step::Call(called));
    b.rule(main, clients(3, 5), Step::Goto(gone));
    b.rule(main, clients(4, 4), DROP);
    b.stage(Some(main), Effect::Allow, vec![]);
    // 0 returns and passes; 1 and 2 are dropped; 3 is dropped in the goto chain; 4 never comes back to its drop.
    let [allowed, denied, ..] = judge(&b.gate, &ask_clients());
    assert_eq!(denied, range(1, 3));
    assert_eq!(allowed, range(0, 0).union(&range(4, 9)));
}

#[test]
fn an_unknown_makes_undecided_only_what_it_can_change() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let unknown = b.unknown(UnknownKind::Opaque, None);
    b.rule(chain, Guard::All(vec![clients(0, 4), unknown]), DROP);
    b.rule(chain, clients(4, 6), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    let [allowed, denied, varying, undecided] = judge(&b.gate, &ask_clients());
    assert_eq!(
        (allowed, denied, varying, undecided),
        (range(7, 9), range(4, 6), Ranges::empty(), range(0, 3))
    );
}

#[test]
fn what_varies_fails_at_times_and_says_so() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let limit = b.unknown(UnknownKind::Varies, None);
    b.rule(chain, Guard::All(vec![clients(0, 4), limit]), ALLOW);
    b.rule(chain, clients(0, 6), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    let [allowed, denied, varying, undecided] = judge(&b.gate, &ask_clients());
    assert_eq!(
        (allowed, denied, varying, undecided),
        (range(7, 9), range(5, 6), range(0, 4), Ranges::empty())
    );
}

#[test]
fn a_stable_unknown_met_twice_agrees_with_itself() {
    // deny !auth; allow auth; deny all: whoever gets past the first line is allowed by the second.
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let auth = b.unknown(UnknownKind::Opaque, Some("auth"));
    b.rule(chain, auth.clone().negated(), ALLOW);
    b.rule(chain, auth, ALLOW);
    b.stage(Some(chain), Effect::Deny(Denial::Drop), vec![]);
    let [allowed, ..] = judge(&b.gate, &ask_clients());
    assert_eq!(allowed, range(0, 9));
}

#[test]
fn an_obscure_target_stays_undecided_whatever_comes_later() {
    let mut b = Build::new();
    let (early, late) = (b.gate.chain("early"), b.gate.chain("late"));
    let unknown = b.gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code: "target",
        text: "what it does".to_owned(),
        identity: None,
        span: None,
    });
    b.rule(early, clients(0, 4), Step::Obscure(unknown));
    b.rule(late, Guard::Always, DROP);
    b.stage(
        Some(early),
        Effect::Allow,
        vec![Edge {
            guard: Guard::Always,
            to: Onward::Stage(StageId(1)),
        }],
    );
    b.stage(Some(late), Effect::Allow, vec![]);
    let [allowed, denied, _, undecided] = judge(&b.gate, &ask_clients());
    assert_eq!(
        (allowed, denied, undecided),
        (Ranges::empty(), range(5, 9), range(0, 4))
    );
}

#[test]
fn marks_set_in_one_stage_are_seen_in_the_next() {
    let mut b = Build::new();
    let (mangle, filter) = (b.gate.chain("mangle"), b.gate.chain("filter"));
    b.rule(
        mangle,
        clients(0, 4),
        Step::Rewrite(Box::new(Rewrite::Mark(MarkName::Packet, 1, 0xff))),
    );
    b.rule(
        filter,
        Guard::Is(Test::Mark(MarkName::Packet, 1, 0xff)),
        DROP,
    );
    b.stage(
        Some(mangle),
        Effect::Allow,
        vec![Edge {
            guard: Guard::Always,
            to: Onward::Stage(StageId(1)),
        }],
    );
    b.stage(Some(filter), Effect::Allow, vec![]);
    let [allowed, denied, ..] = judge(&b.gate, &ask_clients());
    assert_eq!((allowed, denied), (range(5, 9), range(0, 4)));
}

#[test]
fn a_diverted_flow_is_allowed_and_says_where_it_went() {
    let mut b = Build::new();
    let nat = b.gate.chain("nat");
    b.rule(
        nat,
        clients(0, 4),
        Step::RewriteAndAllow(vec![Rewrite::Translate(Dim::Destination, Value::Const(77))]),
    );
    b.stage(Some(nat), Effect::Allow, vec![]);
    let mut evaluator = Evaluator::new(&b.gate);
    let verdict = evaluator.ask(&ask_clients());
    let diverted: Vec<_> = verdict
        .parts
        .iter()
        .filter(|part| matches!(part.arrival, Arrival::Diverted { .. }))
        .collect();
    assert_eq!(diverted.len(), 1);
    assert_eq!(
        diverted[0].arrival,
        Arrival::Diverted {
            address: Some(77),
            port: None
        }
    );
    assert_eq!(
        evaluator.values(diverted[0].flows, Dim::Source),
        range(0, 4)
    );
}

#[test]
fn a_conversation_needs_its_reply() {
    // Request stage: SNAT to 50. Reply stage: allows only ESTABLISHED packets from asked destinations to the client.
    let mut b = Build::new();
    let (nat, back) = (b.gate.chain("nat"), b.gate.chain("back"));
    b.rule(
        nat,
        Guard::Always,
        Step::RewriteAndAllow(vec![Rewrite::Translate(Dim::Source, Value::Const(50))]),
    );
    let established = Guard::number(Dim::State, Ranges::one(State::Established as u128));
    let to_client = Guard::number(Dim::Destination, range(0, 3));
    b.rule(back, Guard::All(vec![established, to_client]), ALLOW);
    b.stage(
        Some(nat),
        Effect::Allow,
        vec![Edge {
            guard: Guard::Always,
            to: Onward::Reply(StageId(1)),
        }],
    );
    let reply = b.stage(Some(back), Effect::Deny(Denial::Drop), vec![]);
    b.gate.stages[reply.0 as usize].enter =
        vec![Rewrite::Track, Rewrite::ApplyBinding(NatSide::Source)];
    let mut question = ask_clients();
    question.conversation = Conversation::Whole;
    let [allowed, denied, ..] = judge(&b.gate, &question);
    assert_eq!((allowed, denied), (range(0, 3), range(4, 9)));
    question.conversation = Conversation::First;
    let [allowed, ..] = judge(&b.gate, &question);
    assert_eq!(allowed, range(0, 9));
}

#[test]
fn some_interface_is_enough_where_the_router_chooses() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let wan = b.gate.text(TextSet::Literal("wan".into()));
    b.rule(
        chain,
        Guard::All(vec![
            clients(0, 4),
            Guard::Is(Test::Text(Dim::OutInterface, wan)),
        ]),
        ALLOW,
    );
    b.stage(Some(chain), Effect::Deny(Denial::Drop), vec![]);
    let mut question = ask_clients();
    question.texts = BTreeMap::from([(
        Dim::OutInterface,
        TextSpace {
            lang: gatelint::model::Lang::pattern("[a-z]+").unwrap(),
            suffixes: vec![],
            familiar: vec![],
        },
    )]);
    assert_eq!(
        judge(&b.gate, &question)[1],
        range(0, 9),
        "every interface is asked for"
    );
    question.existential = vec![Dim::OutInterface];
    let [allowed, denied, ..] = judge(&b.gate, &question);
    assert_eq!((allowed, denied), (range(0, 4), range(5, 9)));
}

#[test]
fn a_chain_that_is_called_often_is_walked_once() {
    // Two calls per level cost 2^depth without summaries.
    let mut b = Build::new();
    let depth = 60u32;
    let chains: Vec<_> = (0..depth)
        .map(|level| b.gate.chain(format!("d{level}")))
        .collect();
    for pair in chains.windows(2) {
        b.rule(pair[0], clients(0, 4), Step::Call(pair[1]));
        b.rule(pair[0], Guard::Always, Step::Call(pair[1]));
    }
    b.rule(chains[depth as usize - 1], clients(2, 2), DROP);
    b.stage(Some(chains[0]), Effect::Allow, vec![]);
    let mut evaluator = Evaluator::new(&b.gate);
    let verdict = evaluator.ask(&ask_clients());
    let [allowed, denied, ..] = sides(&mut evaluator, &verdict);
    assert_eq!(
        (allowed, denied),
        (range(0, 1).union(&range(3, 9)), range(2, 2))
    );
    assert!(
        evaluator.work().0 < 2_000,
        "{} rules met",
        evaluator.work().0
    );
}

#[test]
fn a_spent_budget_leaves_everything_undecided() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    for client in 0..5 {
        b.rule(chain, clients(client, client), DROP);
    }
    b.stage(Some(chain), Effect::Allow, vec![]);
    let mut evaluator = Evaluator::with_budget(&b.gate, 3);
    let verdict = evaluator.ask(&ask_clients());
    assert!(verdict.spent);
    let [allowed, ..] = sides(&mut evaluator, &verdict);
    assert!(allowed.is_empty());
}

#[test]
fn a_loop_of_chains_ends_undecided() {
    let mut b = Build::new();
    let (one, two) = (b.gate.chain("one"), b.gate.chain("two"));
    b.rule(one, clients(0, 4), Step::Call(two));
    b.rule(two, Guard::Always, Step::Call(one));
    b.stage(Some(one), Effect::Allow, vec![]);
    let [allowed, _, _, undecided] = judge(&b.gate, &ask_clients());
    assert_eq!((allowed, undecided), (range(5, 9), range(0, 4)));
}

#[test]
fn permits_behind_the_deciding_rule_are_found() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    b.rule(chain, clients(0, 5), DROP);
    b.rule(chain, clients(7, 9), ALLOW);
    b.rule(chain, clients(2, 3), ALLOW);
    b.stage(Some(chain), Effect::Deny(Denial::Drop), vec![]);
    let mut evaluator = Evaluator::new(&b.gate);
    let question = ask_clients();
    let verdict = evaluator.ask(&question);
    let part = verdict
        .parts
        .iter()
        .find(|part| matches!(part.effect, Effect::Deny(_)))
        .unwrap()
        .clone();
    let permits = evaluator.later_permits(&question, &part, part.flows, 3);
    assert_eq!(permits, vec![Span::new(b.file, 2, 3)]);
}

/// A gate of one request stage and one reply stage that walks `back`.
fn with_reply(b: &mut Build, back: ChainId, fallback: Effect) {
    b.stage(
        None,
        Effect::Allow,
        vec![Edge {
            guard: Guard::Always,
            to: Onward::Reply(StageId(1)),
        }],
    );
    b.stage(Some(back), fallback, vec![]);
}

fn whole() -> Question {
    Question {
        conversation: Conversation::Whole,
        ..ask_clients()
    }
}

#[test]
fn replies_of_every_length_are_either_short_or_long() {
    let mut b = Build::new();
    let back = b.gate.chain("back");
    let length = |low, high| Guard::number(Dim::Length, range(low, high));
    b.rule(back, length(0, 99), ALLOW);
    b.rule(back, length(100, 65535), ALLOW);
    with_reply(&mut b, back, Effect::Deny(Denial::Drop));
    assert_eq!(judge(&b.gate, &whole())[0], range(0, 9));
    // Without the second line only short replies pass.
    b.gate.chains[back.0 as usize].rules.pop();
    assert_eq!(judge(&b.gate, &whole())[2], range(0, 9));
}

#[test]
fn a_stable_unknown_is_another_truth_for_the_reply() {
    // Whoever is in the set is denied at once; a reply passes only if *its* source is in the set.
    let mut b = Build::new();
    let (there, back) = (b.gate.chain("there"), b.gate.chain("back"));
    let member = b.unknown(UnknownKind::Fact, Some("set src"));
    b.rule(there, member.clone(), DROP);
    b.rule(back, member, ALLOW);
    with_reply(&mut b, back, Effect::Deny(Denial::Drop));
    b.gate.stages[0].chain = Some(there);
    assert_eq!(judge(&b.gate, &whole())[3], range(0, 9));
}

#[test]
fn a_stable_unknown_in_a_chain_that_is_called_twice_agrees_with_itself() {
    // The bit is turned twice or never, so nothing meets the drop.
    let mut b = Build::new();
    let (main, twice) = (b.gate.chain("main"), b.gate.chain("twice"));
    let browser = b.unknown(UnknownKind::Varies, Some("browser"));
    let turn = Rewrite::Mark(MarkName::Packet, 1, 0);
    b.rule(twice, browser, Step::Rewrite(Box::new(turn)));
    b.rule(main, Guard::Always, Step::Call(twice));
    b.rule(main, Guard::Always, Step::Call(twice));
    b.rule(main, Guard::Is(Test::Mark(MarkName::Packet, 1, 1)), DROP);
    b.stage(Some(main), Effect::Allow, vec![]);
    assert_eq!(judge(&b.gate, &ask_clients())[0], range(0, 9));
}

#[test]
fn a_summary_keeps_how_sure_it_is_however_many_reasons_there_are() {
    let mut b = Build::new();
    let (main, called, empty) = (
        b.gate.chain("main"),
        b.gate.chain("called"),
        b.gate.chain("empty"),
    );
    for _ in 0..14 {
        let limit = b.unknown(UnknownKind::Varies, None);
        b.rule(called, limit, Step::Call(empty));
    }
    let fact = b.unknown(UnknownKind::Fact, None);
    b.rule(called, fact, DROP);
    for client in 0..10 {
        b.rule(main, clients(client, client), Step::Call(called));
    }
    b.stage(Some(main), Effect::Allow, vec![]);
    assert_eq!(judge(&b.gate, &ask_clients())[3], range(0, 9));
}

#[test]
fn what_varies_and_may_never_pass_is_undecided_but_hindered() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let limit = b.unknown(UnknownKind::Varies, None);
    let fact = b.unknown(UnknownKind::Fact, None);
    b.rule(chain, limit, DROP);
    b.rule(chain, Guard::All(vec![clients(0, 4), fact]), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    let mut evaluator = Evaluator::new(&b.gate);
    let verdict = evaluator.ask(&ask_clients());
    let [_, _, varying, undecided] = sides(&mut evaluator, &verdict);
    assert_eq!((varying, undecided), (range(5, 9), range(0, 4)));
    let hindered = evaluator.values(verdict.hindered, Dim::Source);
    assert_eq!(hindered, range(0, 4));
}

#[test]
fn a_url_pattern_follows_the_port_that_is_asked() {
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let lang = gatelint::model::Lang::pattern(".*:443").unwrap();
    let tls = b.gate.text(TextSet::Url(lang));
    b.rule(chain, Guard::Is(Test::Text(Dim::Host, tls)), ALLOW);
    b.stage(Some(chain), Effect::Deny(Denial::Deny), vec![]);
    let mut evaluator = Evaluator::new(&b.gate);
    for (port, passes) in [(443, true), (3478, false), (443, true)] {
        let mut question = first(&[(Dim::DestinationPort, Ranges::one(port))]);
        question.texts = BTreeMap::from([
            (Dim::Host, TextSpace::one("a.chime.aws")),
            (Dim::Scheme, TextSpace::one("")),
        ]);
        let verdict = evaluator.ask(&question);
        assert_eq!(!evaluator.is_empty(verdict.allowed), passes, "port {port}");
    }
}

#[test]
fn a_chosen_loopback_address_is_the_machines_own() {
    let mut b = Build::new();
    b.gate.own_addresses = Some(Ranges::one(10));
    let chain = b.gate.chain("c");
    let loopback = gatelint::model::address([127, 0, 0, 1].into());
    let one_of = Value::OneOf(range(loopback, loopback + 1));
    let divert = Rewrite::Set(Dim::Destination, one_of);
    b.rule(chain, Guard::Always, Step::Rewrite(Box::new(divert)));
    b.rule(chain, Guard::Is(Test::Local(Dim::Destination)), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    assert_eq!(judge(&b.gate, &ask_clients())[1], range(0, 9));
}

#[test]
fn a_mapped_network_is_pulled_back_to_the_addresses_asked_for() {
    // NETMAP of 0..9 in networks of four: 1, 5 and 9 become 101.
    let mut b = Build::new();
    let chain = b.gate.chain("c");
    let prefix = Value::Prefix {
        base: 100,
        host_bits: 2,
    };
    let map = Rewrite::Set(Dim::Source, prefix);
    b.rule(chain, Guard::Always, Step::Rewrite(Box::new(map)));
    b.rule(chain, clients(101, 101), DROP);
    b.stage(Some(chain), Effect::Allow, vec![]);
    let [_, denied, _, undecided] = judge(&b.gate, &ask_clients());
    assert_eq!(denied, [1u128, 5, 9].into_iter().collect());
    assert!(undecided.is_empty());
}

#[test]
fn a_budget_spent_in_a_later_stage_takes_back_what_earlier_ones_allowed() {
    let mut b = Build::new();
    let (early, late, deep) = (
        b.gate.chain("early"),
        b.gate.chain("late"),
        b.gate.chain("deep"),
    );
    b.rule(early, clients(0, 4), ALLOW);
    b.rule(late, clients(0, 0), DROP);
    b.rule(late, Guard::Always, Step::Call(deep));
    for client in 0..50 {
        b.rule(deep, clients(client, client), DROP);
    }
    b.stage(
        Some(early),
        Effect::Allow,
        vec![Edge {
            guard: Guard::Always,
            to: Onward::Stage(StageId(1)),
        }],
    );
    b.stage(Some(late), Effect::Allow, vec![]);
    for budget in 1..200 {
        let mut evaluator = Evaluator::with_budget(&b.gate, budget);
        let verdict = evaluator.ask(&ask_clients());
        let [allowed, denied, ..] = sides(&mut evaluator, &verdict);
        assert!(allowed.is_empty(), "budget {budget}");
        assert!(denied.is_subset(&range(0, 9)) && (verdict.spent || denied == range(0, 9)));
    }
}
