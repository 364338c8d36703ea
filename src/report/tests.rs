//! Formats on reports made by hand.

use super::*;
use crate::finding::{
    Clients, GroupResult, InputSummary, Label, LabelRole, PolicyApplied, Reason, StepTaken,
    Witness, WitnessValue,
};
use crate::source::{FileId, Span};

fn blank(file: FileId, rule: &str) -> Finding {
    Finding {
        target: "fw/edge.rules#FORWARD".to_owned(),
        file,
        rule: rule.to_owned(),
        outcome: Outcome::Fail,
        severity: Severity::Error,
        between: Vec::new(),
        message: "nothing gets through".to_owned(),
        primary: None,
        related: Vec::new(),
        clients: Clients::default(),
        variants: Vec::new(),
        witness: None,
        fallback: None,
        steps: Vec::new(),
        reasons: Vec::new(),
        fixes: Vec::new(),
        help: None,
        why: None,
        link: None,
        live_check: None,
        same_cause: Vec::new(),
        fingerprint: "f".to_owned(),
    }
}

fn label(sources: &Sources, file: FileId, text: &str, says: &str) -> Label {
    let bytes = sources.file(file).bytes.clone();
    let at = bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
        .unwrap();
    Label {
        span: Span::new(file, at, at + text.len()),
        role: LabelRole::Decides,
        text: says.to_owned(),
    }
}

fn input(file: FileId) -> InputSummary {
    InputSummary {
        file,
        kind: Some("iptables"),
        role: Some("gateway".to_owned()),
        why: "has a *filter line".to_owned(),
        judged: true,
        not_judged: None,
        sha256: "00".to_owned(),
        facts: Vec::new(),
        answer: Some("media over TLS only (line 2)".to_owned()),
        judged_as: Some("judged edge.rules as a gateway (FORWARD)".to_owned()),
    }
}

fn mock_up() -> (Report, Sources) {
    let sources = Sources::new();
    let text = "-A FORWARD -i lo -j ACCEPT\n-A FORWARD -s 10.0.0.0/8 -j DROP\n-A FORWARD -s 10.20.0.0/16 -j ACCEPT\n";
    let file = sources
        .add("fw/edge.rules", text.as_bytes().to_vec())
        .unwrap();
    let mut finding = blank(file, "chime/media");
    finding.outcome = Outcome::Degraded;
    finding.severity = Severity::Warning;
    finding.message = "Chime media over UDP 3478 is dropped; calls fall back to TLS".to_owned();
    finding.primary = Some(label(
        &sources,
        file,
        "-s 10.0.0.0/8 -j DROP",
        "this drop is reached first",
    ));
    finding.related = vec![label(
        &sources,
        file,
        "-s 10.20.0.0/16 -j ACCEPT",
        "never reached: line 2 takes all its packets",
    )];
    finding.witness = Some(Witness {
        fields: vec![
            ("proto".to_owned(), WitnessValue::Word("udp".to_owned())),
            ("dport".to_owned(), WitnessValue::Number(3478)),
        ],
        text: "udp 10.20.0.1:49152 -> 99.77.128.1:3478, new, FORWARD".to_owned(),
    });
    finding.steps = vec![
        StepTaken {
            span: Some(Span::new(file, 0, 26)),
            text: "no".to_owned(),
        },
        StepTaken {
            span: finding.primary.as_ref().map(|label| label.span),
            text: "DROP".to_owned(),
        },
    ];
    finding.fallback = Some("tcp 10.20.0.1:49152 -> 99.77.128.1:443 is accepted".to_owned());
    finding.help = Some("move line 3 above line 2".to_owned());
    finding.why = Some("over TLS one lost packet delays all that follow it".to_owned());
    finding.clients.groups = [("10.20.0.0/16", false), ("10.30.0.0/16", true)]
        .map(|(name, through)| GroupResult {
            name: name.to_owned(),
            through,
        })
        .into();
    let report = Report {
        inputs: vec![input(file)],
        results: vec![finding],
        policies: vec![PolicyApplied {
            id: "chime".to_owned(),
            version: "1".to_owned(),
        }],
        ..Report::default()
    };
    (report, sources)
}

fn human(report: &Report, sources: &Sources) -> String {
    (format("human").unwrap().render)(report, sources, Style::default())
}

#[test]
fn a_person_reads_the_answer_the_lines_and_the_way_out() {
    let (report, sources) = mock_up();
    let expected = "\
fw/edge.rules: media over TLS only (line 2)

chime/media

  ⚠ Chime media over UDP 3478 is dropped; calls fall back to TLS
  ├─▶ packet: udp 10.20.0.1:49152 -> 99.77.128.1:3478, new, FORWARD: line 1 no, line 2 DROP
  ├─▶ fallback: tcp 10.20.0.1:49152 -> 99.77.128.1:443 is accepted
  ╰─▶ clients: 10.20.0.0/16; it works for 10.30.0.0/16
   ╭─[fw/edge.rules:2:12]
 2 │ -A FORWARD -s 10.0.0.0/8 -j DROP
   ·            ──────────┬──────────
   ·                      ╰── this drop is reached first
 3 │ -A FORWARD -s 10.20.0.0/16 -j ACCEPT
   ·            ────────────┬────────────
   ·                        ╰── never reached: line 2 takes all its packets
   ╰────
  help: move line 3 above line 2
        why: over TLS one lost packet delays all that follow it
        more: gatelint explain chime/media

1 warning; checked 1 file, 1 requirement; judged edge.rules as a gateway (FORWARD)
judged from these files, not from the running machine
";
    let shown = human(&report, &sources);
    assert_eq!(shown, expected, "{shown}");
}

#[test]
fn findings_with_one_cause_are_one_report_with_a_list() {
    let (mut report, sources) = mock_up();
    let mut second = report.results[0].clone();
    second.rule = "chime/signaling".to_owned();
    second.severity = Severity::Error;
    second.message = "no meeting can start".to_owned();
    report.results.push(second);
    let shown = human(&report, &sources);
    assert_eq!(shown.matches("╭─[").count(), 1, "{shown}");
    assert!(shown.contains("chime/signaling, chime/media\n"), "{shown}");
    assert!(shown.contains("also chime/media: Chime media"), "{shown}");
}

#[test]
fn undecided_is_said_once_per_missing_fact() {
    let (mut report, sources) = mock_up();
    let span = Span::new(report.results[0].file, 0, 10);
    report.results = ["chime/media", "chime/signaling"]
        .map(|rule| {
            let mut finding = blank(report.inputs[0].file, rule);
            finding.outcome = Outcome::Undecided;
            finding.severity = Severity::Warning;
            finding.between = vec![Outcome::Pass, Outcome::Fail];
            finding.reasons = vec![Reason {
                code: "set".to_owned(),
                text: "`ipset save` for `allowed`".to_owned(),
                span: Some(span),
            }];
            finding
        })
        .into();
    let shown = human(&report, &sources);
    assert_eq!(
        shown
            .matches("cannot tell without `ipset save` for `allowed`")
            .count(),
        1,
        "{shown}"
    );
    assert!(
        shown.contains("undecided: chime/media, chime/signaling"),
        "{shown}"
    );
    assert!(shown.contains("2 undecided"), "{shown}");
}

#[test]
fn long_lines_are_cut_around_the_label() {
    let sources = Sources::new();
    let text = format!("{}NEEDLE{}\n", "ä;".repeat(5000), "x".repeat(9000));
    let file = sources.add("csp.txt", text.into_bytes()).unwrap();
    let mut finding = blank(file, "csp/x");
    finding.primary = Some(label(&sources, file, "NEEDLE", "here"));
    let report = Report {
        results: vec![finding],
        ..Report::default()
    };
    let shown = human(&report, &sources);
    assert!(shown.contains("NEEDLE") && shown.contains('…'), "{shown}");
    assert!(!shown.contains(char::REPLACEMENT_CHARACTER), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 200));
    assert!(shown.contains("[csp.txt:1:10001]"), "{shown}");
    let underline = shown.lines().find(|line| line.contains('┬')).unwrap();
    let text_line = shown.lines().find(|line| line.contains("NEEDLE")).unwrap();
    let column = |line: &str, what: char| line.chars().position(|c| c == what).unwrap();
    assert_eq!(column(underline, '─'), column(text_line, 'N'), "{shown}");
}

#[test]
fn a_label_of_another_file_gets_its_own_window() {
    let (mut report, sources) = mock_up();
    let other = sources
        .add("fw/sets", b"create allowed\n".to_vec())
        .unwrap();
    report.results[0].related = vec![label(&sources, other, "allowed", "the set")];
    let shown = human(&report, &sources);
    assert!(shown.contains("see also fw/sets"), "{shown}");
    assert!(shown.contains("[fw/sets:1:8]"), "{shown}");
}

#[test]
fn no_format_sends_an_escape_sequence() {
    let sources = Sources::new();
    let text = "a \u{1b}[2J\u{1b}]0;x\u{7} \u{9b}31m b\u{0}\n";
    let file = sources
        .add("bad\u{1b}name", text.as_bytes().to_vec())
        .unwrap();
    let mut finding = blank(file, "squid/x");
    finding.message = format!("title {text}");
    finding.help = Some(text.to_owned());
    finding.primary = Some(label(&sources, file, "a \u{1b}[2J", text));
    let report = Report {
        results: vec![finding],
        inputs: vec![input(file)],
        notes: vec![text.to_owned()],
        ..Report::default()
    };
    for format in FORMATS {
        let shown = (format.render)(&report, &sources, Style::default());
        assert!(
            !shown.contains(|c: char| c.is_control() && c != '\n'),
            "{}: {shown:?}",
            format.name
        );
    }
}

#[test]
fn a_label_anywhere_in_any_bytes_can_be_drawn() {
    let sources = Sources::new();
    let bytes = b"\xff\xfe\x00a\r\n\tb\xc3\r\r\n\n\nlast".to_vec();
    let file = sources.add("x", bytes.clone()).unwrap();
    for start in 0..=bytes.len() + 1 {
        for end in start..=bytes.len() + 1 {
            let mut finding = blank(file, "a/b");
            let make = |start, end| Label {
                span: Span::new(file, start, end),
                role: LabelRole::Decides,
                text: "here".to_owned(),
            };
            finding.primary = Some(make(start, end));
            finding.related = vec![make(0, 1), make(end, bytes.len())];
            let report = Report {
                results: vec![finding],
                ..Report::default()
            };
            let shown = human(&report, &sources);
            assert!(shown.contains("here"), "{start}..{end}: {shown}");
        }
    }
}

#[test]
fn concise_is_one_line_per_finding() {
    let (report, sources) = mock_up();
    let shown = (format("concise").unwrap().render)(&report, &sources, Style::default());
    assert_eq!(
        shown,
        "fw/edge.rules:2:12: warning[chime/media] Chime media over UDP 3478 is dropped; calls fall back to TLS\n"
    );
}

#[test]
fn json_has_every_field_and_the_witness_is_a_request() {
    let (report, sources) = mock_up();
    let shown = (format("json").unwrap().render)(&report, &sources, Style::default());
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["schema"], "gatelint.report/v1");
    assert_eq!(value["summary"]["degraded"], 1);
    assert_eq!(value["summary"]["not-applicable"], 0);
    let result = &value["results"][0];
    assert_eq!(result["witness"]["dport"], 3478);
    assert_eq!(result["location"]["line"], 2);
    assert_eq!(result["location"]["endColumn"], 33);
    assert!(result["between"].is_null());
    assert_eq!(result["related"][0]["role"], "decides");
    for field in [
        "target",
        "rule",
        "outcome",
        "severity",
        "between",
        "message",
        "location",
        "related",
        "clients",
        "variants",
        "witness",
        "steps",
        "reasons",
        "fixes",
        "fingerprint",
    ] {
        assert!(result.get(field).is_some(), "{field}");
    }
}
