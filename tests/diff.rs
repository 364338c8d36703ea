//! In: configs before and after. Out: whether `diff` tells what the change means, and nothing that it does not.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files, runs the program and prints its figures"
)]

mod shell;

use std::path::Path;

use serde_json::Value;
use shell::{Folder, Ran};

const HEAD: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n";

fn rules(lines: &[&str]) -> String {
    [HEAD, &lines.join("\n"), "\nCOMMIT\n"].concat()
}

/// The difference between two rulesets.
fn between(old: &[&str], new: &[&str]) -> (Ran, Value) {
    let folder = Folder::new()
        .with("old/edge.rules.v4", rules(old))
        .with("new/edge.rules.v4", rules(new));
    let ran = folder.run(&["diff", "old", "new", "--format", "json"]);
    let json = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
    (ran, json)
}

/// `before -> after: flows` of each change of the gate.
fn flows(json: &Value, gate: &str) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let changes = json["flows"].as_array().unwrap().iter();
    changes
        .filter(|change| word(&change["target"]).ends_with(&format!("#{gate}")))
        .flat_map(|change| {
            let (before, after) = (word(&change["before"]), word(&change["after"]));
            let flows = change["flows"].as_array().unwrap().iter();
            flows
                .map(|text| format!("{before} -> {after}: {}", word(text)))
                .collect::<Vec<_>>()
        })
        .collect()
}

const WEB: &str = "-A FORWARD -s 10.20.0.0/16 -p tcp -m tcp --dport 443 -j ACCEPT";
const MEDIA: &str =
    "-A FORWARD -s 10.20.0.0/16 -d 99.77.128.0/18 -p udp -m udp --dport 3478 -j ACCEPT";
const DROP: &str = "-A FORWARD -s 10.0.0.0/8 -p udp -m udp --dport 1024:65535 -j DROP";

#[test]
fn what_is_added_opens_and_what_is_removed_closes() {
    let ssh = "-A FORWARD -s 192.0.2.0/24 -i eth1 -p tcp -m tcp --dport 22 -j ACCEPT";
    let (ran, json) = between(&[WEB], &[WEB, ssh]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let opened = "denied -> allowed: tcp from 192.0.2.0/24 to anywhere port 22, in by eth1";
    assert_eq!(flows(&json, "FORWARD"), [opened]);
    let change = &json["flows"][0];
    assert_eq!(change["oldLocation"]["text"], ":FORWARD DROP [0:0]");
    assert_eq!(change["newLocation"]["text"], ssh);
    assert_eq!(change["witness"]["src"], "192.0.2.1");
    let (_, json) = between(&[WEB, ssh], &[WEB]);
    let closed = "allowed -> denied: tcp from 192.0.2.0/24 to anywhere port 22, in by eth1";
    assert_eq!(flows(&json, "FORWARD"), [closed]);
    assert_eq!(json["flows"][0]["oldLocation"]["text"], ssh);
    assert!(flows(&json, "INPUT").is_empty(), "{json}");
}

#[test]
fn what_only_reads_otherwise_is_no_difference() {
    let split = [
        "-A FORWARD -s 10.20.0.0/17 -p tcp -m tcp --dport 443 -j ACCEPT",
        MEDIA,
        "-A FORWARD -s 10.20.128.0/17 -p tcp -m multiport --dports 443 -j ACCEPT",
    ];
    let (ran, json) = between(&[MEDIA, WEB], &split);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(json["flows"].as_array().unwrap().len(), 0, "{json}");
    assert_eq!(json["requirements"].as_array().unwrap().len(), 0, "{json}");
    assert_eq!(json["compared"], 1);
}

#[test]
fn a_move_that_shadows_a_permit_is_told_with_the_line_that_decides() {
    let (ran, json) = between(&[MEDIA, DROP, WEB], &[DROP, MEDIA, WEB]);
    // It is degraded now, a warning: calls fall back to TLS.
    assert_eq!(ran.code, 0, "{ran:?}");
    let media = &json["requirements"][0];
    assert_eq!(media["rule"], "chime/media");
    assert_eq!(
        (&media["before"], &media["after"]),
        (&"pass".into(), &"degraded".into())
    );
    assert_eq!(media["location"]["text"], DROP);
    assert_eq!(media["newlyFails"], true);
    let closed = "allowed -> denied: udp from 10.20.0.0/16 to 99.77.128.0/18 port 3478";
    assert_eq!(flows(&json, "FORWARD"), [closed]);
    let (ran, _) = between(&[MEDIA, WEB], &[MEDIA]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let folder = Folder::new()
        .with("a.rules", rules(&[MEDIA, DROP, WEB]))
        .with("b.rules", rules(&[DROP, MEDIA, WEB]));
    let strict = ["diff", "a.rules", "b.rules", "--fail-on", "warning"];
    assert_eq!(folder.run(&strict).code, 1);
}

#[test]
fn limits_pass_at_times() {
    let limited = "-A FORWARD -p icmp -m limit --limit 5/sec -j ACCEPT";
    let (_, json) = between(&[], &[limited]);
    assert_eq!(
        flows(&json, "FORWARD"),
        ["denied -> varying: icmp from anywhere to anywhere"]
    );
}

#[test]
fn what_cannot_be_known_is_told_only_where_the_change_concerns_it() {
    let set = "-A FORWARD -p tcp -m tcp --dport 80 -m set --match-set partners src -j ACCEPT";
    let other = "-A FORWARD -p tcp -m tcp --dport 81 -j ACCEPT";
    let (_, json) = between(&[set], &[set, other]);
    assert_eq!(
        flows(&json, "FORWARD"),
        ["denied -> allowed: tcp from anywhere to anywhere port 81"]
    );
    let (_, json) = between(&[], &[set]);
    assert_eq!(
        flows(&json, "FORWARD"),
        ["denied -> undecided: tcp from anywhere to anywhere port 80"]
    );
    let reason = json["flows"][0]["reasons"][0].as_str().unwrap();
    assert!(reason.contains("partners"), "{json}");
}

#[test]
fn the_office_is_better_after_its_mistakes_are_mended() {
    let run = |from: &str, to: &str, format: &str| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        shell::run(&fixtures, &["diff", from, to, "--format", format], "")
    };
    for format in gatelint::diff::FORMATS.iter().map(|format| format.name) {
        let ran = run("office", "office-fixed", format);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.out, run("office", "office-fixed", format).out);
        assert!(ran.out.contains("99.77.128.0/18 port 3478"), "{ran:?}");
        assert_eq!(run("office-fixed", "office", format).code, 1);
    }
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = Folder::new()
        .with("old/a.rules.v4", rules(&[]))
        .with("new/b.rules.v4", rules(&[]))
        .with("here/a/resolv.conf", "nameserver 10.0.0.2\noptions edns0\n")
        .with(
            "there/b/resolv.conf",
            "nameserver 10.0.0.2\noptions edns0\n",
        )
        .with("plain.txt", "nothing\n");
    for (old, new, code, words) in [
        ("old", "new/b.rules.v4", 2, "a folder with a folder"),
        ("old/a.rules.v4", "missing", 2, "no such file"),
        (
            "old/a.rules.v4",
            "plain.txt",
            2,
            "no config that gatelint knows",
        ),
        ("here", "there", 3, "nothing was compared"),
    ] {
        let ran = folder.run(&["diff", old, new]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.said.contains(words), "{ran:?}");
    }
    // Named files are compared whatever they are called; one may come from elsewhere.
    let ran = folder.run(&["diff", "old/a.rules.v4", "new/b.rules.v4"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = folder.run_with(&["diff", "-", "new/b.rules.v4"], &rules(&[WEB]));
    assert!(ran.out.contains("closes"), "{ran:?}");
}

#[test]
fn secrets_and_control_characters_stay_out() {
    let rule = |comment: &str| {
        format!("-A FORWARD -p tcp -m tcp --dport 22 -m comment --comment \"{comment}\" -j ACCEPT")
    };
    let hidden = rule("password: hunter2hunter2 \u{1b}[2J");
    for format in gatelint::diff::FORMATS.iter().map(|format| format.name) {
        let folder = Folder::new()
            .with("a.rules", rules(&[]))
            .with("b.rules", rules(&[&hidden]));
        let ran = folder.run(&["diff", "a.rules", "b.rules", "--format", format]);
        assert!(ran.out.contains("port 22"), "{ran:?}");
        assert!(!ran.out.contains("hunter2hunter2"), "{ran:?}");
        assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
    }
}

/// Each witness of a difference fares as it says, for a trace that is asked about it alone.
#[test]
fn witnesses_between_real_configs_fare_as_told() {
    let Some(root) = std::env::var_os("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: GATELINT_CORPUS names no folder of real configs");
        return;
    };
    let (mut compared, mut traced) = (0, 0);
    for entry in std::fs::read_dir(Path::new(&root).join("iptables")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(old) = std::fs::read_to_string(&path) else {
            continue;
        };
        let lines: Vec<&str> = old.split('\n').collect();
        let is_rule = |at: &usize| lines[*at].starts_with("-A ");
        let rules: Vec<usize> = (0..lines.len()).filter(is_rule).collect();
        if rules.is_empty() || old.len() > 100_000 {
            continue;
        }
        let mut new = lines.clone();
        new.remove(rules[rules.len() / 2]);
        let folder = Folder::new()
            .with("old.rules", &old)
            .with("new.rules", new.join("\n"));
        let kind = ["--kind", "iptables", "--format", "json"];
        let ran = folder.run(&[&["diff", "old.rules", "new.rules"][..], &kind].concat());
        if ran.code == 2 {
            continue;
        }
        compared += 1;
        let difference: Value = serde_json::from_str(&ran.out).unwrap();
        for change in difference["flows"].as_array().unwrap() {
            let sides = [("old.rules", "before"), ("new.rules", "after")];
            let is_decided = |side: &str| change[side] == "allowed" || change[side] == "denied";
            // A trace is about the first packet, and names protocols.
            if !sides.iter().all(|(_, side)| is_decided(side))
                || change["packet"] != "request"
                || change["witness"]["proto"] == "packet"
            {
                continue;
            }
            let requests = serde_json::to_string(&[&change["witness"]]).unwrap();
            for (file, side) in sides {
                let trace = ["trace", file, "--requests", "-"];
                let ran = folder.run_with(&[&trace[..], &kind].concat(), &requests);
                let answers: Value = serde_json::from_str(&ran.out).unwrap();
                assert_eq!(answers[0]["verdict"], change[side], "{path:?}: {change}");
                traced += 1;
            }
        }
    }
    eprintln!("{compared} pairs of rulesets, {traced} traces agree");
}
