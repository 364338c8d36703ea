//! Judging against small gates that are made by hand.

use super::*;
use crate::config::{Facts, Input, NoFiles, Reading, kind};
use crate::model::{
    ClientGroup, Denial, Dim, Edge, Effect, Fallback, Guard, Onward, Ranges, Rewrite, Rule, Stage,
    Step, Unknown, UnknownKind, Value, address,
};
use crate::policy::{Networks, parse};
use crate::source::{FileId, Sources, Span};

const POLICY: &str = "schema: gatelint.policy/v1
policy: {id: p, title: P, version: 1}
parameters:
  from: {type: networks, default: 10.0.0.0/8}
  tls: {type: boolean, default: false}
sets:
  networks: {far: [192.0.2.0/24], wide: [198.51.100.0/24], some: [203.0.113.0/24]}
  services: {fast: [udp/4000], slow: [tcp/443]}
requirements:
  - id: talk
    title: Talk
    reach:
      from: from
      to: {networks: far}
      alternatives:
        - {service: fast, outcome: pass}
        - {service: slow, outcome: degraded, pass-when: {tls: true}, message: \"slow for {region}, {blocked} at {blocker}\"}
      otherwise: {severity: error, message: \"silence for {region}\"}
  - {id: part, title: Part, reach: {from: from, to: {networks: wide}, service: slow, breadth: any-large-part}, degraded: \"{share} missing: {missing}\"}
  - {id: any, title: Any, reach: {from: from, to: {networks: some, any-one: true}, service: slow}}
  - {id: closed, title: Closed, forbid: {to: {networks: far}, service: [tcp/22]}}
";

/// One line of the pretended file per rule.
struct Bed {
    sources: Sources,
    file: FileId,
    gate: Gate,
    lines: usize,
}

impl Bed {
    fn new() -> Self {
        let sources = Sources::new();
        let text = "rule __\n".repeat(20);
        let file = sources.add("hand.rules", text.into_bytes()).unwrap();
        let mut gate = Gate::new("FORWARD", Layer::Packet);
        gate.role = Some(Role::Gateway);
        gate.chain("FORWARD");
        Self {
            sources,
            file,
            gate,
            lines: 0,
        }
    }

    fn rule(&mut self, guard: Guard, step: Step) -> &mut Self {
        let start = self.lines * 8;
        self.lines += 1;
        let span = Span::new(self.file, start, start + 7);
        self.gate
            .rule(crate::model::ChainId(0), Rule { guard, step, span });
        self
    }

    fn results(&mut self, effect: Effect, set: &[(&str, &str)]) -> Vec<Finding> {
        self.gate.stage(Stage {
            name: "FORWARD".to_owned(),
            enter: Vec::new(),
            chain: Some(crate::model::ChainId(0)),
            fallback: Fallback {
                effect,
                span: None,
                text: "policy".to_owned(),
            },
            edges: vec![Edge {
                guard: Guard::Always,
                to: Onward::Arrive { local: false },
            }],
        });
        let reading = Reading {
            gates: vec![self.gate.clone()],
            ..Reading::default()
        };
        self.judged(&reading, set).results
    }

    fn judged(&self, reading: &Reading, set: &[(&str, &str)]) -> Report {
        let file = self
            .sources
            .add("p.yaml", POLICY.as_bytes().to_vec())
            .unwrap();
        let mut policy = parse(&self.sources, file, &Networks::embedded()).unwrap();
        for (name, value) in set {
            policy.set(name, value).unwrap();
        }
        let bytes = self.sources.file(self.file).bytes.clone();
        let subject = Subject {
            input: Input {
                file: self.file,
                path: "hand.rules",
                bytes: &bytes,
            },
            kind: kind("iptables").unwrap(),
            why: "by hand",
            reading,
            own: crate::policy::Own::default(),
        };
        let context = Context {
            sources: &self.sources,
            files: &NoFiles,
            facts: &Facts::default(),
            clients: None,
            fixes: false,
        };
        judge(&[policy], &[subject], &context)
    }
}

fn find<'r>(results: &'r [Finding], id: &str) -> &'r Finding {
    let rule = format!("p/{id}");
    results.iter().find(|finding| finding.rule == rule).unwrap()
}

fn net(word: &str) -> Ranges {
    Ranges::network(word.parse().unwrap())
}

fn is(dim: Dim, set: Ranges) -> Guard {
    Guard::number(dim, set)
}

fn udp() -> Guard {
    is(Dim::Protocol, Ranges::one(17))
}

fn drop() -> Step {
    Step::Decide(Effect::Deny(Denial::Drop))
}

fn allow() -> Step {
    Step::Decide(Effect::Allow)
}

#[test]
fn the_next_alternative_serves_what_the_first_left() {
    let mut bed = Bed::new();
    let guard = Guard::All(vec![udp(), is(Dim::Source, net("10.1.0.0/16"))]);
    bed.rule(guard, drop());
    bed.rule(udp(), allow());
    let results = bed.results(Effect::Allow, &[]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Degraded);
    assert_eq!(talk.severity, Severity::Warning);
    assert_eq!(talk.message, "slow for 10.1.0.0/16, dropped at line 1");
    assert!(
        talk.witness
            .as_ref()
            .unwrap()
            .text
            .starts_with("udp 10.1.0.1:")
    );
    let shadowed: Vec<LabelRole> = talk.related.iter().map(|label| label.role).collect();
    assert!(shadowed.contains(&LabelRole::Shadowed), "{shadowed:?}");
    assert!(talk.fallback.as_ref().unwrap().starts_with("tcp 10.1.0.1"));
    assert_eq!(find(&results, "any").outcome, Outcome::Pass);
    // Everything is open, port 22 too.
    assert_eq!(find(&results, "closed").outcome, Outcome::Fail);
}

#[test]
fn a_fallback_that_is_good_enough_passes() {
    let mut bed = Bed::new();
    bed.rule(udp(), drop());
    let results = bed.results(Effect::Allow, &[("tls", "true")]);
    assert_eq!(find(&results, "talk").outcome, Outcome::Pass);
}

#[test]
fn nothing_left_fails_and_names_the_fallback_policy() {
    let mut bed = Bed::new();
    let results = bed.results(Effect::Deny(Denial::Drop), &[]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Fail);
    assert_eq!(talk.message, "silence for 10.0.0.0/8");
    assert_eq!(find(&results, "closed").outcome, Outcome::Pass);
}

#[test]
fn one_port_that_is_blocked_is_not_every_port() {
    let mut bed = Bed::new();
    bed.rule(is(Dim::SourcePort, Ranges::one(50000)), drop());
    let results = bed.results(Effect::Allow, &[]);
    assert_eq!(find(&results, "talk").outcome, Outcome::Fail);
}

fn unknown(bed: &mut Bed, kind: UnknownKind) -> Guard {
    Guard::Unknown(bed.gate.unknown(Unknown {
        kind,
        code: "set",
        text: "the members of `x`".to_owned(),
        identity: None,
        span: None,
    }))
}

#[test]
fn an_unknown_leaves_open_what_the_fallback_would_make_of_it() {
    let mut bed = Bed::new();
    let guard = unknown(&mut bed, UnknownKind::Fact);
    bed.rule(Guard::All(vec![udp(), guard]), drop());
    let results = bed.results(Effect::Allow, &[]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Undecided);
    assert_eq!(talk.between, [Outcome::Pass, Outcome::Degraded]);
    assert_eq!(talk.reasons[0].code, "set");
    assert!(
        talk.message.contains("the members of `x`"),
        "{}",
        talk.message
    );
}

#[test]
fn what_varies_counts_as_denied() {
    let mut bed = Bed::new();
    let guard = unknown(&mut bed, UnknownKind::Varies);
    bed.rule(Guard::All(vec![udp(), guard]), drop());
    let results = bed.results(Effect::Allow, &[]);
    assert_eq!(find(&results, "talk").outcome, Outcome::Degraded);
}

#[test]
fn accepted_is_not_arrived() {
    let mut bed = Bed::new();
    let elsewhere = Value::Const(address("10.9.9.9".parse().unwrap()));
    let step = Step::RewriteAndAllow(vec![Rewrite::Translate(Dim::Destination, elsewhere)]);
    bed.rule(Guard::All(vec![is(Dim::Protocol, Ranges::one(6))]), step);
    bed.rule(udp(), drop());
    let results = bed.results(Effect::Allow, &[]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Fail, "{}", talk.message);
    let part = find(&results, "part");
    assert_eq!(part.outcome, Outcome::Fail);
    assert!(
        part.message.contains("diverted to 10.9.9.9"),
        "{}",
        part.message
    );
}

#[test]
fn a_part_of_the_destination_is_a_warning_with_its_share() {
    let mut bed = Bed::new();
    bed.rule(is(Dim::Destination, net("198.51.100.0/26")), drop());
    let results = bed.results(Effect::Allow, &[]);
    let part = find(&results, "part");
    assert_eq!(part.outcome, Outcome::Degraded);
    assert_eq!(part.message, "25.0% missing: 198.51.100.0/26");
}

#[test]
fn one_destination_suffices_where_the_policy_says_so() {
    let one = || {
        is(
            Dim::Destination,
            Ranges::host("203.0.113.7".parse().unwrap()),
        )
    };
    let mut bed = Bed::new();
    bed.rule(one(), allow());
    let results = bed.results(Effect::Deny(Denial::Drop), &[]);
    assert_eq!(find(&results, "any").outcome, Outcome::Pass);
    // Each client needs one for all its ports.
    let mut bed = Bed::new();
    let ports = is(Dim::SourcePort, Ranges::between(1024, 40000));
    bed.rule(Guard::All(vec![one(), ports]), allow());
    let results = bed.results(Effect::Deny(Denial::Drop), &[]);
    assert_eq!(find(&results, "any").outcome, Outcome::Fail);
}

#[test]
fn clients_are_the_groups_with_web_access() {
    let mut bed = Bed::new();
    for (name, word) in [("lan", "10.1.0.0/16"), ("cameras", "10.2.0.0/16")] {
        bed.gate.groups.push(ClientGroup {
            name: name.to_owned(),
            sources: net(word),
            interface: None,
            span: None,
        });
    }
    bed.rule(is(Dim::Source, net("10.1.0.0/16")), allow());
    let gate = bed.gate.clone();
    let results = bed.results(Effect::Deny(Denial::Drop), &[("from", "undeclared")]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Pass);
    let names: Vec<&str> = talk
        .clients
        .groups
        .iter()
        .map(|g| g.name.as_str())
        .collect();
    assert_eq!(names, ["lan"]);
    // Where none has access, all are judged and fail.
    bed.gate = gate;
    bed.gate
        .chains
        .iter_mut()
        .for_each(|chain| chain.rules.clear());
    let results = bed.results(Effect::Deny(Denial::Drop), &[("from", "undeclared")]);
    let talk = find(&results, "talk");
    assert_eq!(talk.outcome, Outcome::Fail);
    assert_eq!(talk.clients.groups.len(), 2);
}

#[test]
fn findings_of_one_cause_name_each_other() {
    let mut bed = Bed::new();
    bed.rule(Guard::Always, drop());
    let results = bed.results(Effect::Allow, &[]);
    let talk = find(&results, "talk");
    assert_eq!(talk.same_cause, ["p/part", "p/any"]);
    assert_ne!(talk.fingerprint, find(&results, "part").fingerprint);
}

#[test]
fn a_file_that_is_refused_fails_everything_with_that_cause() {
    let bed = Bed::new();
    let reading = Reading {
        gates: vec![bed.gate.clone()],
        findings: vec![DialectFinding {
            id: "iptables/refused",
            title: "the file is refused".to_owned(),
            label: crate::source::Spanned::new("this line".to_owned(), Span::new(bed.file, 8, 12)),
            related: Vec::new(),
            help: None,
            fix: None,
            refuses: true,
        }],
        ..Reading::default()
    };
    let report = bed.judged(&reading, &[]);
    let talk = find(&report.results, "talk");
    assert_eq!(talk.outcome, Outcome::Fail);
    assert!(talk.message.contains("the file is refused"));
    assert_eq!(talk.same_cause.len(), 3);
}
