//! Formats on reports made by hand.

use super::*;
use crate::finding::{
    FixOffer, GroupResult, InputError, InputSummary, Label, LabelRole, PolicyApplied, Reason,
    StepTaken, Witness, WitnessValue,
};
use crate::source::{FileId, Span};

fn blank(file: FileId, rule: &str) -> Finding {
    Finding {
        outcome: Outcome::Fail,
        severity: Severity::Error,
        message: "nothing gets through".to_owned(),
        fingerprint: "f".to_owned(),
        ..Finding::blank(file, "fw/edge.rules#FORWARD", rule)
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

/// A report in which every text that a config may have written is this one.
fn hostile(path: &str, text: &str) -> (Report, Sources) {
    let sources = Sources::new();
    let file = sources.add(path, text.as_bytes().to_vec()).unwrap();
    let whole = || Span::new(file, 0, text.len());
    let mut finding = blank(file, "squid/x");
    finding.target = path.to_owned();
    finding.message = text.to_owned();
    finding.primary = Some(Label {
        span: whole(),
        role: LabelRole::Decides,
        text: text.to_owned(),
    });
    finding.related = finding.primary.iter().cloned().collect();
    finding.witness = Some(Witness {
        fields: vec![("host".to_owned(), WitnessValue::Word(text.to_owned()))],
        text: text.to_owned(),
    });
    finding.steps = vec![StepTaken {
        span: Some(whole()),
        text: text.to_owned(),
    }];
    finding.fallback = Some(text.to_owned());
    finding.help = Some(text.to_owned());
    finding.live_check = Some(text.to_owned());
    finding.clients.groups = [false, true]
        .map(|through| GroupResult {
            name: text.to_owned(),
            through,
        })
        .into();
    finding.fixes = vec![FixOffer {
        title: text.to_owned(),
        safe: true,
        edits: vec![(whole(), text.to_owned())],
    }];
    let mut waiting = finding.clone();
    waiting.outcome = Outcome::Undecided;
    waiting.reasons = vec![Reason {
        code: "set".to_owned(),
        text: text.to_owned(),
        span: Some(whole()),
    }];
    let mut other = finding.clone();
    other.rule = "squid/y".to_owned();
    let report = Report {
        results: vec![finding, waiting, other],
        inputs: vec![InputSummary {
            answer: Some(text.to_owned()),
            why: text.to_owned(),
            ..input(file)
        }],
        notes: vec![text.to_owned()],
        assumptions: vec![text.to_owned()],
        errors: vec![InputError {
            path: path.to_owned(),
            message: text.to_owned(),
        }],
        ..Report::default()
    };
    (report, sources)
}

#[test]
fn no_format_obeys_what_a_config_says() {
    for text in [
        "a \u{1b}[2J\u{1b}]0;x\u{7} \u{9b}31m b\u{0}",
        "x\n::error file=a::b\r\n::set-env::y\n",
        "<script>alert(1)</script>\"'><img src=x onerror=y>&]]>",
        "\u{202e}}]\u{fffe}\u{feff}`` ` ```\n## title @all [a](b) | c |",
    ] {
        let (report, sources) = hostile(text, text);
        for format in FORMATS {
            let shown = (format.render)(&report, &sources, Style::default());
            let name = format.name;
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n'),
                "{name}: {shown:?}"
            );
            assert!(!shown.contains('\u{202e}'), "{name}: {shown:?}");
            let commands = shown.lines().filter(|line| line.starts_with("::"));
            let own = if name == "github" { 3 } else { 0 };
            assert_eq!(commands.count(), own, "{name}: {shown}");
            if ["junit", "html"].contains(&name) {
                assert!(!shown.contains("<script"), "{name}: {shown}");
                assert!(!shown.contains("<img"), "{name}: {shown}");
            }
        }
    }
}

#[test]
fn workflow_commands_keep_to_their_grammar() {
    // `::NAME KEY=VALUE,KEY=VALUE::MESSAGE`; a value holds neither of the separators.
    let grammar = regex::Regex::new(
        r"^::(error|warning|notice) (file|title)=[^:,\r\n]*(,(line|endLine|col|endColumn)=[0-9]+|,title=[^:,\r\n]*)*::[^\r\n]*$",
    )
    .unwrap();
    for text in ["a:b,c=d%0A::x\r\n::error y", "::", "%", ""] {
        let (report, sources) = hostile(text, text);
        let shown = (format("github").unwrap().render)(&report, &sources, Style::default());
        assert_eq!(shown.lines().count(), 3, "{shown}");
        for line in shown.lines() {
            assert!(grammar.is_match(line), "{line}");
            assert!(!line.replace("%25", "").contains("%0A::x"), "{line}");
        }
    }
}

#[test]
fn code_quality_issues_have_every_field_and_fingerprints_of_their_own() {
    let (report, sources) = hostile("a.conf", "text");
    let shown = (format("gitlab").unwrap().render)(&report, &sources, Style::default());
    let issues: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    let severities = ["info", "minor", "major", "critical", "blocker"];
    let mut fingerprints = std::collections::BTreeSet::new();
    for issue in &issues {
        assert!(issue["description"].is_string() && issue["check_name"].is_string());
        assert!(severities.contains(&issue["severity"].as_str().unwrap()));
        assert_eq!(issue["location"]["path"], "a.conf");
        assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
        fingerprints.insert(issue["fingerprint"].as_str().unwrap());
    }
    assert_eq!(fingerprints.len(), issues.len());
}

#[test]
fn the_page_needs_nothing_else_and_its_links_lead_somewhere() {
    let (report, sources) = hostile("a.conf", "text `code` http://example.net/x");
    let shown = (format("html").unwrap().render)(&report, &sources, Style::default());
    for loads in [
        "<script", "<link", "<img", "<iframe", " src=", "url(", "@import",
    ] {
        assert!(!shown.contains(loads), "{loads}: {shown}");
    }
    assert!(shown.contains("default-src 'none'"), "{shown}");
    let all = |pattern: &str| -> Vec<String> {
        let pattern = regex::Regex::new(pattern).unwrap();
        let found = pattern.captures_iter(&shown);
        found.map(|captures| captures[1].to_owned()).collect()
    };
    let ids = all(r#" id="([^"]*)""#);
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    let targets = all(r##" (?:href="#|aria-labelledby=")([^"]*)""##);
    assert!(targets.len() > 5, "{targets:?}");
    for target in targets {
        assert!(unique.contains(&target), "{target}: {ids:?}");
    }
}

#[test]
fn no_format_shows_a_secret() {
    let text = "cache_peer up parent 3128 0 login=bob:hunter2secret no-query";
    let (report, sources) = hostile("squid.conf", text);
    let masked = Masked::of(report, &sources);
    for format in FORMATS {
        let shown = format.write(&masked, Style::default());
        assert!(!shown.contains("hunter2"), "{}: {shown}", format.name);
        assert!(shown.contains("***"), "{}: {shown}", format.name);
    }
}

#[test]
fn an_input_that_could_not_be_used_is_told_in_every_format_for_machines() {
    let report = Report {
        errors: vec![InputError {
            path: "gone.conf".to_owned(),
            message: "no such file or folder".to_owned(),
        }],
        ..Report::default()
    };
    // The shell says it on standard error, where people look.
    for format in FORMATS.iter().filter(|format| format.name != "human") {
        let shown = (format.render)(&report, &Sources::new(), Style::default());
        assert!(shown.contains("gone.conf"), "{}: {shown}", format.name);
        assert!(shown.contains("no such file"), "{}: {shown}", format.name);
    }
}

#[test]
fn a_case_fails_where_the_run_fails_on_it() {
    let (report, sources) = mock_up();
    let shown = |fail_on| {
        let style = Style {
            fail_on,
            ..Style::default()
        };
        (format("junit").unwrap().render)(&report, &sources, style)
    };
    assert!(shown(Some(Severity::Warning)).contains("failures=\"1\""));
    assert!(shown(Some(Severity::Error)).contains("<skipped message=\"degraded: "));
    assert!(shown(None).contains("failures=\"0\""));
}

#[test]
fn sarif_points_at_one_line_and_links_the_others() {
    let (report, sources) = mock_up();
    let shown = (format("sarif").unwrap().render)(&report, &sources, Style::default());
    let log: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["locations"].as_array().unwrap().len(), 1);
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 2);
    assert_eq!(region["startColumn"], 12);
    assert_eq!(result["relatedLocations"][0]["id"], 1);
    let message = result["message"]["text"].as_str().unwrap();
    assert!(message.contains("[line 3](1): never reached"), "{message}");
    let way = &result["codeFlows"][0]["threadFlows"][0]["locations"];
    assert_eq!(way.as_array().unwrap().len(), 2);
    assert_eq!(
        result["partialFingerprints"]["primaryLocationLineHash"],
        "f"
    );
}

#[test]
fn json_lines_end_with_a_status_per_file_and_the_sum() {
    let (report, sources) = mock_up();
    let shown = (format("jsonl").unwrap().render)(&report, &sources, Style::default());
    let records: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = records
        .iter()
        .map(|one| one["record"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["result", "file", "summary"]);
    assert_eq!(records[1]["status"], "judged");
    assert_eq!(records[1]["worst"], "warning");
    assert_eq!(records[2]["degraded"], 1);
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
