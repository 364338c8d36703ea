//! In: unbound.conf texts. Out: what a client meets, what a fix changes, and how large files fare.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use gatelint::config::{
    self, Blocked, FactValue, Facts, Files, Fix, Input, NoFiles, Opened, Reading, SettingValue,
};
use gatelint::decide::{Decider, Evaluator};
use gatelint::model::{Dim, Effect, Question, Ranges, TextSpace, address};
use gatelint::source::{FileId, Sources, Span};

fn input<'a>(sources: &Sources, text: &'a str) -> Input<'a> {
    Input {
        file: sources
            .add("unbound.conf", text.as_bytes().to_vec())
            .unwrap(),
        path: "unbound.conf",
        bytes: text.as_bytes(),
    }
}

fn read(text: &str, files: &dyn Files) -> Reading {
    let sources = Sources::new();
    (config::kind("unbound").unwrap().read)(&input(&sources, text), files, &Facts::default())
}

fn question(name: &str, space: TextSpace) -> Question {
    let addresses = ["99.77.128.10", "99.77.129.11"];
    Question {
        numbers: BTreeMap::from([
            (Dim::QueryType, Ranges::one(1)),
            (Dim::Source, Ranges::host("127.0.0.1".parse().unwrap())),
        ]),
        texts: BTreeMap::from([
            (
                Dim::Host,
                if name.is_empty() {
                    space
                } else {
                    TextSpace::one(name)
                },
            ),
            (Dim::Alias, TextSpace::one("")),
        ]),
        addresses: Some(
            addresses
                .iter()
                .map(|text| address(text.parse().unwrap()))
                .collect(),
        ),
        ..Question::default()
    }
}

/// `resolved`, a denial's word, or `undecided`; and the line that decided.
fn asked(reading: &Reading, question: &Question) -> (String, Option<Span>) {
    let mut evaluator = Evaluator::new(&reading.gates[0]);
    let verdict = evaluator.ask(question);
    let all = |evaluator: &mut Evaluator<'_>, flows| {
        let rest = evaluator.minus(verdict.universe, flows);
        evaluator.is_empty(rest)
    };
    if all(&mut evaluator, verdict.allowed) {
        return ("resolved".to_owned(), None);
    }
    if !all(&mut evaluator, verdict.denied) {
        return ("undecided".to_owned(), None);
    }
    let decided = verdict.parts.iter().find_map(|part| match part.effect {
        Effect::Deny(denial) => Some((
            denial.word().to_owned(),
            match &part.decider {
                Decider::Rule(span) => Some(*span),
                Decider::Fallback { span, .. } | Decider::Obscured(span) => *span,
                Decider::Arrived => None,
            },
        )),
        Effect::Allow => None,
    });
    decided.unwrap()
}

fn fate(text: &str, name: &str) -> String {
    let reading = read(text, &NoFiles);
    asked(&reading, &question(name, TextSpace::one(name))).0
}

#[test]
fn the_deepest_zone_wins_and_of_one_name_the_last() {
    for (lines, word) in [
        ("local-zone: aws static", "nxdomain"),
        (
            "local-zone: aws static local-zone: chime.aws transparent",
            "resolved",
        ),
        (
            "local-zone: chime.aws transparent local-zone: \"AWS.\" static",
            "resolved",
        ),
        (
            "local-zone: chime.aws refuse local-zone: chime.aws transparent",
            "resolved",
        ),
        (
            "local-zone: chime.aws transparent local-zone: chime.aws refuse",
            "refused",
        ),
        (
            "local-zone: aws static local-zone: chime.aws nodefault",
            "nxdomain",
        ),
        ("local-zone: \"*.chime.aws\" static", "resolved"),
        ("local-data: \"a.chime.aws AAAA ::9\"", "nodata"),
        (
            "local-zone: chime.aws typetransparent local-data: \"a.chime.aws AAAA ::9\"",
            "resolved",
        ),
        ("local-data: \"a.chime.aws A 10.0.0.9\"", "rewritten"),
        (
            "local-zone: chime.aws static local-data: \"b.a.chime.aws A 10.0.0.9\"",
            "nodata",
        ),
        ("local-zone: chime.aws always_null", "rewritten"),
        ("private-address: 99.77.128.0/18", "nodata"),
        (
            "private-address: 99.77.128.0/18 private-domain: chime.aws",
            "resolved",
        ),
        ("private-address: 10.0.0.0/8", "resolved"),
        (
            "do-not-query-address: 8.8.8.8 forward-zone: name: . forward-addr: 8.8.8.8",
            "fails",
        ),
        ("forward-zone: name: chime.aws", "fails"),
        (
            "forward-zone: name: . forward-addr: 127.0.0.1@5335",
            "fails",
        ),
        (
            "access-control: 127.0.0.0/8 refuse access-control: 127.0.0.1 allow",
            "resolved",
        ),
        (
            "local-zone: chime.aws static local-zone-tag: chime.aws \"x\"",
            "resolved",
        ),
        ("include: /etc/unbound/more.conf", "undecided"),
    ] {
        assert_eq!(
            fate(&format!("server: {lines}"), "a.chime.aws"),
            word,
            "{lines}"
        );
    }
}

#[test]
fn a_missing_file_leaves_open_what_it_may_change_and_no_more() {
    let value = |text: &str, name: &str| {
        let reading = read(text, &NoFiles);
        let mut settings = reading.settings.into_iter();
        settings.find(|setting| setting.name == name).unwrap().value
    };
    let before = "server: edns-buffer-size: 512\ninclude: x.conf\n";
    let after = "server: include: x.conf\nedns-buffer-size: 512\n";
    assert!(matches!(
        value(before, "dns.edns0.upstream-size"),
        SettingValue::Unknown(_)
    ));
    assert_eq!(
        value(after, "dns.edns0.upstream-size"),
        SettingValue::Number(512)
    );
    assert_eq!(value(before, "dns.edns0"), SettingValue::On);
}

/// One other file.
struct Other(FileId, &'static [u8]);

impl Files for Other {
    fn open(&self, _: FileId, _: &str) -> Opened {
        Opened::Found {
            file: self.0,
            bytes: Arc::from(self.1),
        }
    }

    fn glob(&self, from: FileId, pattern: &str) -> Vec<(String, Opened)> {
        vec![(pattern.to_owned(), self.open(from, pattern))]
    }
}

#[test]
fn an_include_is_textual_and_a_loop_of_them_ends() {
    let text = "server:\n include: \"zones.conf\"\n do-ip6: no\n";
    let sources = Sources::new();
    let input = input(&sources, text);
    let body: &[u8] = b"local-zone: chime.aws refuse\n";
    let other = sources.add("zones.conf", body.to_vec()).unwrap();
    let unbound = config::kind("unbound").unwrap();
    let reading = (unbound.read)(&input, &Other(other, body), &Facts::default());
    assert_eq!(reading.companions, [other]);
    let (word, span) = asked(&reading, &question("a.chime.aws", TextSpace::one("")));
    assert_eq!(word, "refused");
    assert_eq!(span.unwrap().file, other);
    let own: &[u8] = b"include: \"zones.conf\"\n";
    let reading = (unbound.read)(&input, &Other(other, own), &Facts::default());
    assert!(reading.findings.iter().any(|finding| finding.refuses));
}

fn fixes(
    text: &str,
    decided_by: Option<Span>,
    setting: Option<&str>,
    input: &Input<'_>,
) -> Vec<Fix> {
    let reading = read(text, &NoFiles);
    let blocked = Blocked {
        gate: Some(0),
        question: &Question::default(),
        decided_by,
        shadowed: &[],
        domains: &["*.chime.aws".to_owned()],
        networks: &Ranges::empty(),
        service: None,
        clients: &Ranges::empty(),
        fetch: None,
        setting,
    };
    (config::kind("unbound").unwrap().fix)(input, &reading, &blocked)
}

fn applied(text: &str, fix: &Fix) -> String {
    let mut text = text.to_owned();
    for edit in fix.edits.iter().rev() {
        text.replace_range(edit.span.range(), &edit.text);
    }
    text
}

#[test]
fn a_fix_opens_the_name_and_nothing_else() {
    for text in [
        "server:\n  local-zone: \"aws.\" always_nxdomain\n",
        "server: local-zone: aws \"static\" local-data: \"x.aws A 10.0.0.1\"\n",
        "server:\n  local-zone: . refuse\n",
        "server:\n  local-zone: 'chime.aws' 'deny'\n",
    ] {
        let sources = Sources::new();
        let input = input(&sources, text);
        let unbound = config::kind("unbound").unwrap();
        let reading = (unbound.read)(&input, &NoFiles, &Facts::default());
        let question = question("", TextSpace::below("chime.aws"));
        let (word, span) = asked(&reading, &question);
        assert_ne!(word, "resolved", "{text}");
        let fixes = fixes(text, span, None, &input);
        let changed = applied(text, &fixes[0]);
        let after = read(&changed, &NoFiles);
        assert_eq!(asked(&after, &question).0, "resolved", "{changed}");
        if text.contains("chime") {
            continue;
        }
        assert_ne!(fate(&changed, "other.aws"), "resolved", "{changed}");
    }
}

#[test]
fn a_small_size_is_set_to_1232() {
    let text = "server:\n  edns-buffer-size: \"512\"\n";
    let sources = Sources::new();
    let input = input(&sources, text);
    let fixes = fixes(text, None, Some("dns.edns0.upstream-size"), &input);
    assert_eq!(
        applied(text, &fixes[0]),
        "server:\n  edns-buffer-size: \"1232\"\n"
    );
}

#[test]
fn defaults_go_by_version() {
    let max = |version: &str| {
        let sources = Sources::new();
        let mut facts = Facts::default();
        facts.set("unbound.version", version);
        let unbound = config::kind("unbound").unwrap();
        let reading = (unbound.read)(&input(&sources, "server:\n"), &NoFiles, &facts);
        let mut facts = reading.facts.into_iter();
        facts
            .find(|(name, _)| name == "dns.udp.max-reply")
            .unwrap()
            .1
    };
    assert_eq!(max("1.17.1"), FactValue::Number(4096));
    assert_eq!(max("1.18.0"), FactValue::Number(1232));
}

#[test]
fn a_hundred_thousand_zones_are_read_and_asked() {
    let mut text = "server:\n".to_owned();
    for n in 0..100_000 {
        text += &[
            "  local-zone: \"ads",
            &n.to_string(),
            ".example.com.\" always_nxdomain\n",
        ]
        .concat();
    }
    text += "  local-zone: \"chime.aws\" refuse\n";
    let reading = read(&text, &NoFiles);
    assert_eq!(reading.statements, 100_001);
    let question = question("", TextSpace::below("chime.aws"));
    assert_eq!(asked(&reading, &question).0, "refused");
    let question = self::question("", TextSpace::below("chime.example"));
    assert_eq!(asked(&reading, &question).0, "resolved");
}

#[test]
fn no_input_stops_the_reader() {
    let long = format!("server: identity: {}", "x".repeat(1 << 20));
    for text in [
        "",
        "\u{feff}server:\r\n",
        "server:\0\0local-zone:\0",
        "server: local-zone: \"",
        "include-toplevel:",
        "server: access-control: / allow local-data: \"\" private-address: x/999",
        "forward-zone: forward-zone: name: \"\" rpz: view: auth-zone: name: .",
        &long,
    ] {
        let reading = read(text, &NoFiles);
        assert!(reading.understood <= reading.statements);
    }
}
