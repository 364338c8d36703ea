//! In: the program. Out: whether its exit codes and its words are what the documentation promises.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files and runs the program"
)]

mod shell;

use std::fs;
use std::path::Path;

use shell::{Folder, run};

const RESOLV: &str = "nameserver 10.0.0.2\noptions edns0\n";
const RESOLV_WITHOUT_EDNS: &str = "nameserver 10.0.0.2\n";

#[test]
fn a_good_config_is_0_and_says_what_was_checked() {
    let ran = Folder::new()
        .with("resolv.conf", RESOLV)
        .run(&["check", "."]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
}

#[test]
fn a_bad_config_is_1_and_exit_zero_makes_it_0() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    assert_eq!(folder.run(&["check", "."]).code, 1);
    assert_eq!(folder.run(&["."]).code, 1, "check is the default");
    assert_eq!(folder.run(&["check", ".", "--exit-zero"]).code, 0);
    assert_eq!(folder.run(&["check", ".", "--fail-on", "never"]).code, 0);
}

#[test]
fn every_format_gives_the_same_exit_code() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    for format in gatelint::report::FORMATS.iter().map(|format| format.name) {
        let ran = folder.run(&["check", ".", "--format", format]);
        assert_eq!(ran.code, 1, "{format}: {ran:?}");
    }
}

#[test]
fn several_outputs_are_written_in_one_run() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    let ran = folder.run(&[
        "check",
        ".",
        "-o",
        "sarif=a.sarif",
        "--output",
        "junit=b.xml",
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
    let read = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    assert!(read("a.sarif").contains("\"version\": \"2.1.0\""));
    assert!(read("b.xml").contains("<testsuites>"));
    let ran = folder.run(&["check", ".", "-o", "sarif=no/such/folder"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for (wrong, hint) in [("sarf=x", "sarif"), ("x.sarif", "FORMAT=FILE")] {
        let ran = folder.run(&["check", ".", "-o", wrong]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.said.contains(hint), "{ran:?}");
    }
}

#[test]
fn paths_in_platforms_formats_start_at_the_top_of_the_repository() {
    let folder = Folder::new()
        .with(".git/HEAD", "")
        .with("sites/hq/resolv.conf", RESOLV_WITHOUT_EDNS);
    let ran = run(
        &folder.0.join("sites/hq"),
        &["check", ".", "--format", "github"],
        "",
    );
    assert!(ran.out.contains("file=sites/hq/resolv.conf,"), "{ran:?}");
}

#[test]
fn json_goes_alone_to_standard_output() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    let ran = folder.run(&["check", ".", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["schema"], "gatelint.report/v1");
    assert_eq!(value["inputs"][0]["path"], "resolv.conf");
    assert_eq!(value["inputs"][0]["sha256"].as_str().unwrap().len(), 64);
    assert!(ran.said.contains("checked 1 file"), "{ran:?}");
}

#[test]
fn nothing_to_check_is_3_unless_it_is_allowed() {
    let folder = Folder::new();
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.said.contains("nothing was checked"), "{ran:?}");
    assert_eq!(folder.run(&["check", ".", "--allow-nothing"]).code, 0);
    let folder = folder.with("notes.txt", "hello\n");
    assert_eq!(folder.run(&["check", "."]).code, 3);
}

#[test]
fn a_missing_path_is_2_even_beside_findings() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    let ran = folder.run(&["check", "resolv.conf", "gone.conf"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("gone.conf: no such file"), "{ran:?}");
    assert!(ran.out.contains("resolv.conf"), "the rest is told: {ran:?}");
    assert_eq!(
        folder
            .run(&["check", "gone.conf", "--exit-zero", "--allow-nothing"])
            .code,
        2
    );
}

#[test]
fn a_named_file_that_is_no_config_is_2_and_says_what_was_expected() {
    let folder = Folder::new()
        .with("notes.txt", "hello\n")
        .with("blob.bin", b"\x7fELF\0\0\0\0")
        .with("empty.conf", "");
    for name in ["notes.txt", "blob.bin", "empty.conf"] {
        let ran = folder.run(&["check", name]);
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        assert!(ran.said.contains("--kind"), "{name}: {ran:?}");
    }
    let ran = folder.run(&["check", "notes.txt", "--kind", "unbound"]);
    assert_eq!(ran.code, 2, "declared, but not one statement: {ran:?}");
}

#[test]
fn a_template_is_called_a_template() {
    let folder = Folder::new().with(
        "resolv.conf",
        "{% for ns in servers %}\nnameserver {{ ns }}\n{% endfor %}\noptions edns0\n",
    );
    let ran = folder.run(&["check", "resolv.conf"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("template"), "{ran:?}");
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("template"), "{ran:?}");
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let folder = Folder::new();
    let ran = folder.run_with(
        &["check", "-", "--kind", "resolv-conf"],
        RESOLV_WITHOUT_EDNS,
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("<stdin>"), "{ran:?}");
    let ran = folder.run_with(
        &["check", "-", "--stdin-filename", "etc/resolv.conf"],
        RESOLV,
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = folder.run_with(&["check", "-"], "hello\n");
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_list_names_files_and_nothing_else_is_checked() {
    let folder = Folder::new()
        .with("a b.conf", RESOLV)
        .with("resolv.conf", RESOLV)
        .with("lines", "a b.conf\r\n\n")
        .with("nuls", "a b.conf\0resolv.conf\0")
        .with("none", "")
        .with("gone", "gone.conf\n");
    let ran = folder.run(&["check", "--files-from", "lines"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
    let ran = folder.run(&["check", "--files-from", "nuls", "-0"]);
    assert!(ran.out.contains("checked 2 files"), "{ran:?}");
    let ran = folder.run_with(&["--files-from", "-"], "a b.conf\n");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
    let ran = folder.run(&["resolv.conf", "--files-from", "lines"]);
    assert!(ran.out.contains("checked 2 files"), "{ran:?}");
    for (list, code) in [("none", 3), ("gone", 2), ("nowhere", 2)] {
        let ran = folder.run(&["check", "--files-from", list]);
        assert_eq!(ran.code, code, "{list}: {ran:?}");
    }
    assert_eq!(folder.run(&["check", "-0"]).code, 2);
}

#[test]
fn shells_and_man_learn_the_command_line() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.run(&["completions", shell]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("files-from"), "{shell}");
    }
    let page = folder.run(&["man"]);
    assert_eq!(page.code, 0, "{page:?}");
    assert!(page.out.contains(".TH gatelint 1"), "{page:?}");
    for part in ["gatelint trace", "files\\-from", "requests"] {
        assert!(page.out.contains(part), "{part}: {page:?}");
    }
}

#[test]
fn misspelt_words_are_answered_with_the_nearest() {
    let folder = Folder::new().with("resolv.conf", RESOLV);
    for (arguments, hint) in [
        (&["--formt", "json"][..], "--format"),
        (&["--format", "jsn"], "json"),
        (&["--kind", "resolvconf", "resolv.conf"], "resolv-conf"),
        (&["chek"], "check"),
        (&["explain", "chime/medai"], "chime/media"),
        (&["--ignore", "chime/medai"], "chime/media"),
        (&["--policy", "builtin:chim"], "chime"),
        (&["--set", "client=ios"], "clients"),
    ] {
        let ran = folder.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.said.contains(hint), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_broken_policy_is_2_and_shows_the_place() {
    let folder = Folder::new().with("resolv.conf", RESOLV).with(
        "policy.yaml",
        "schema: gatelint.policy/v1\nrequirments: []\n",
    );
    let ran = folder.run(&["check", "resolv.conf", "--policy", "policy.yaml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("policy.yaml:"), "{ran:?}");
    assert_eq!(folder.run(&["check", "--policy", "gone.yaml"]).code, 2);
}

#[test]
fn selecting_and_ignoring_rules_decides_what_is_told() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    assert_eq!(
        folder.run(&["check", ".", "--select", "chime/edns0"]).code,
        1
    );
    assert_eq!(
        folder.run(&["check", ".", "--ignore", "chime/edns0"]).code,
        0
    );
    assert_eq!(folder.run(&["check", ".", "--ignore", "chime"]).code, 0);
}

#[test]
fn copies_and_samples_are_left_out_of_walks_and_listed() {
    let folder = Folder::new()
        .with("resolv.conf.bak", RESOLV)
        .with("a/resolv.conf.dpkg-dist", RESOLV);
    assert_eq!(folder.run(&["check", "."]).code, 3);
    let ran = folder.run(&["inputs", "."]);
    assert!(ran.out.contains("resolv.conf.bak: left out"), "{ran:?}");
    let ran = folder.run(&["check", "resolv.conf.bak"]);
    assert_eq!(ran.code, 0, "named, it is read: {ran:?}");
}

#[cfg(unix)]
#[test]
fn links_in_circles_and_links_that_leave_the_folder_are_survived() {
    let outside = Folder::new().with("resolv.conf", RESOLV);
    let folder = Folder::new().with("a/resolv.conf", RESOLV);
    std::os::unix::fs::symlink("..", folder.0.join("a/up")).unwrap();
    std::os::unix::fs::symlink("loop", folder.0.join("loop")).unwrap();
    std::os::unix::fs::symlink(outside.0.join("resolv.conf"), folder.0.join("resolv.conf"))
        .unwrap();
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
    assert!(ran.out.contains("outside the root"), "{ran:?}");
    assert_eq!(folder.run(&["check", "loop"]).code, 2);
}

#[test]
fn a_trace_answers_in_words_and_in_json() {
    let folder = Folder::new().with("resolv.conf", RESOLV).with(
        "requests.json",
        r#"[{"id": "first", "name": "a.chime.aws", "type": "A"}, {"id": 2, "name": "b.chime.aws"}]"#,
    );
    let ran = folder.run(&["trace", "resolv.conf", "A", "a.chime.aws"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("allowed (resolved)"), "{ran:?}");
    let ran = folder.run(&[
        "trace",
        "resolv.conf",
        "--requests",
        "requests.json",
        "--format",
        "json",
    ]);
    let answers: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answers[0]["id"], "first");
    assert_eq!(answers[1]["id"], 2);
    assert_eq!(answers[0]["verdict"], "allowed");
    let ran = folder.run(&["trace", "resolv.conf", "size=3", "a.chime.aws"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("`size`"), "{ran:?}");
}

#[test]
fn a_trace_of_a_packet_joins_rules_that_do_not_match_and_stays_with_the_hook() {
    let accepts = "-A FORWARD -s 10.0.0.9/32 -j ACCEPT\n".repeat(8);
    let rules = format!(
        "*filter\n:INPUT DROP\n:FORWARD DROP\n{accepts}-A FORWARD -s 10.0.1.0/24 -p udp -j DROP\nCOMMIT\n"
    );
    let folder = Folder::new().with("edge.rules.v4", &rules);
    let packet = "udp 10.0.1.5 to 99.77.130.1:3478";
    let ran = folder.run(&["trace", "edge.rules.v4", packet]);
    assert!(
        ran.out.contains("  lines 4-11: no\n  line 12: drop"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("INPUT"), "{ran:?}");
}

#[test]
fn help_is_short_and_long_and_names_every_format() {
    let folder = Folder::new();
    let short = folder.run(&["-h"]);
    let long = folder.run(&["--help"]);
    assert_eq!((short.code, long.code), (0, 0));
    assert!(short.out.len() < long.out.len());
    for word in ["human", "concise", "json", "Exit codes", "trace"] {
        assert!(long.out.contains(word), "{word}");
    }
}

#[test]
fn a_listed_rule_of_every_family_can_be_explained() {
    let folder = Folder::new();
    let rules = folder.run(&["rules"]);
    assert_eq!(rules.code, 0, "{rules:?}");
    let ids: Vec<&str> = rules
        .out
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(ids.len() > 5, "{ids:?}");
    // One of each family: every run reads the policy anew.
    let mut families = std::collections::BTreeSet::new();
    for id in ids {
        if !families.insert(id.split('/').next()) {
            continue;
        }
        let ran = folder.run(&["explain", id]);
        assert_eq!(ran.code, 0, "{id}: {ran:?}");
        assert!(ran.out.lines().count() >= 3, "{id}: {ran:?}");
    }
}

#[test]
fn colours_are_written_only_where_they_are_wanted() {
    let folder = Folder::new().with("resolv.conf", RESOLV_WITHOUT_EDNS);
    assert!(!folder.run(&["."]).out.contains('\u{1b}'));
    assert!(
        folder
            .run(&[".", "--color", "always"])
            .out
            .contains('\u{1b}')
    );
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let folder = Folder::new()
        .with("b/resolv.conf", RESOLV_WITHOUT_EDNS)
        .with("a/resolv.conf", RESOLV);
    for format in gatelint::report::FORMATS.iter().map(|format| format.name) {
        let once = folder.run(&["check", ".", "--format", format]).out;
        assert_eq!(once, folder.run(&["check", ".", "--format", format]).out);
        let folder_name = folder.0.to_string_lossy();
        assert!(!once.contains(&*folder_name), "no absolute path: {once}");
    }
}

const EDGE: &str = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
    -A FORWARD -s 10.20.0.0/16 -p tcp -m tcp --dport 443 -j ACCEPT\n\
    -A FORWARD -p udp -m udp --dport 53 -j ACCEPT\n-A FORWARD -p tcp -m tcp --dport 53 -j ACCEPT\nCOMMIT\n";

#[test]
fn the_project_says_what_is_checked_and_how() {
    let folder = Folder::new().with("fw/edge.txt", EDGE).with(
        "gatelint.yaml",
        "set: {minimum-media: tls}\nfail-on: warning\n\
             targets: [{path: fw/edge.txt, kind: iptables, role: host}]\n",
    );
    // Found upwards from the checked path, and the declared role decides which gate is judged.
    let ran = folder.run(&["check", "fw", "--format", "json"]);
    assert!(ran.out.contains("\"role\": \"host\""), "{ran:?}");
    assert!(ran.out.contains("declared in gatelint.yaml"), "{ran:?}");
    let ran = folder.run(&["check", "fw", "--no-config"]);
    assert!(ran.out.contains("as a gateway"), "{ran:?}");
    // A config that is wrong is told with its place and what was meant.
    let wrong = folder.with("gatelint.yaml", "set: {minimum-medai: tls}\n");
    let ran = wrong.run(&["check", "fw"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("gatelint.yaml:1"), "{ran:?}");
    assert!(ran.said.contains("did you mean `minimum-media`"), "{ran:?}");
    let pinned = wrong.with("gatelint.yaml", "extends: [\"builtin:chime@1.0.0\"]\n");
    let ran = pinned.run(&["check", "fw"]);
    assert!(
        ran.code == 2 && ran.said.contains("pinned to 1.0.0"),
        "{ran:?}"
    );
}

#[test]
fn exceptions_count_until_their_day_and_must_accept_something() {
    let exception = |rule: &str, target: &str| {
        format!(
            "exceptions:\n  - {{rule: {rule}, target: {target}, reason: firewall swap, owner: netops, expires: 2027-03-31}}\n"
        )
    };
    let folder = Folder::new()
        .with("edge.rules.v4", EDGE)
        .with("gatelint.yaml", exception("chime/media", "edge.rules.v4"));
    let strict = ["check", "--fail-on", "warning", "--format", "concise"];
    let on = |folder: &Folder, day: &str| folder.run(&[&strict[..], &["--today", day]].concat());
    let ran = on(&folder, "2027-03-31");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.said.contains("accepted until 2027-03-31 by netops"),
        "{ran:?}"
    );
    let ran = on(&folder, "2027-04-01");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("exception/expired") && ran.out.contains("chime/media"),
        "{ran:?}"
    );
    let folder = folder.with("gatelint.yaml", exception("chime/dns", "edge.rules.v4"));
    let ran = on(&folder, "2027-01-01");
    assert!(ran.out.contains("exception/unused"), "{ran:?}");
    let folder = folder.with("gatelint.yaml", exception("chime/media", "other.rules"));
    let ran = on(&folder, "2027-01-01");
    assert!(
        !ran.out.contains("exception/"),
        "a target of another run: {ran:?}"
    );
    let list = |arguments: &[&str]| folder.run(&[&["exceptions"], arguments].concat());
    let ran = list(&["--expiring-in", "30", "--today", "2027-03-15"]);
    assert!(
        ran.code == 0 && ran.out.contains("expires 2027-03-31"),
        "{ran:?}"
    );
    let ran = list(&["--expiring-in", "30", "--today", "2027-01-15"]);
    assert!(ran.code == 0 && ran.out.is_empty(), "{ran:?}");
    assert_eq!(list(&["--today", "2027-05-01"]).code, 1);
}

#[test]
fn init_writes_a_config_that_is_read_again() {
    let folder = Folder::new().with("fw/edge.rules.v4", EDGE);
    let ran = folder.run(&["init"]);
    assert!(
        ran.code == 0 && ran.out.contains("role: gateway"),
        "{ran:?}"
    );
    assert_eq!(folder.run(&["init", "--yes"]).code, 0);
    let text = fs::read_to_string(folder.0.join("gatelint.yaml")).unwrap();
    assert!(
        text.contains("# assumed") && !text.contains("exceptions"),
        "{text}"
    );
    let ran = folder.run(&["check", "--fail-on", "error"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(folder.run(&["init", "--yes"]).code, 2, "never written over");
}

/// `GATELINT_BLESS=1` writes the schema anew.
#[test]
fn the_schema_of_the_project_config_is_the_one_that_is_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/gatelint.schema.json");
    let schema = gatelint::project::schema();
    if std::env::var_os("GATELINT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &schema).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), schema);
}

#[test]
fn the_schema_of_policies_is_the_one_that_is_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy.schema.json");
    let schema = gatelint::policy::schema();
    if std::env::var_os("GATELINT_BLESS").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), schema);
    assert_eq!(Folder::new().run(&["policy", "schema"]).out, schema);
}

#[test]
fn every_fault_of_a_policy_is_said_in_one_run() {
    let text = "schema: gatelint.policy/v1\npolicy: {id: x, title: T, version: 1}\nrequirements:\n\
                - {id: A, title: a, advice: x}\n- {id: b, titel: b, advice: x}\n";
    let folder = Folder::new().with("p.yaml", text);
    let ran = folder.run(&["policy", "check", "p.yaml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in ["p.yaml:4", "p.yaml:5", "did you mean `title`?", "3 faults"] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let ran = folder.run(&["policy", "check", "p.yaml", "gone.yaml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.out.contains("3 faults"), "{ran:?}");
}

/// As AWS publishes them.
const PUBLISHED: &str = r#"{"createDate": "2027-01-02-03-04-05", "prefixes": [
    {"ip_prefix": "198.51.100.0/24", "region": "x", "service": "CHIME_MEETINGS"},
    {"ip_prefix": "203.0.113.0/24", "region": "x", "service": "EC2"},
    {"ip_prefix": "192.0.2.0/25", "region": "x", "service": "CHIME_VOICECONNECTOR"},
    {"ip_prefix": "192.0.2.128/25", "region": "x", "service": "CLOUDFRONT"}]}"#;

#[test]
fn address_ranges_are_refreshed_from_a_file_and_then_meant() {
    let rules = "*filter\n:OUTPUT DROP [0:0]\n:INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
                 -A OUTPUT -d 198.51.100.0/24 -p udp -m udp --dport 3478 -j ACCEPT\nCOMMIT\n";
    let folder = Folder::new()
        .with("ip-ranges.json", PUBLISHED)
        .with("rules.v4", rules);
    let media = |arguments: &[&str]| {
        let all = [&["check", "rules.v4", "--format", "json"], arguments].concat();
        let ran = folder.run(&all);
        let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let results = value["results"].as_array().unwrap();
        let media = results.iter().find(|one| one["rule"] == "chime/media");
        let outcome = media.unwrap()["outcome"].as_str().unwrap().to_owned();
        (
            outcome,
            value["ranges"]["date"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(media(&[]).0, "fail");
    let ran = folder.run(&["networks", "update", "--from", "ip-ranges.json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "2027-01-02-03-04-05",
        "CHIME_MEETINGS: added 198.51.100.0/24; gone",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let written = fs::read_to_string(folder.0.join("aws-networks.yaml")).unwrap();
    assert!(!written.contains("EC2"), "{written}");
    let new = ("pass".to_owned(), "2027-01-02-03-04-05".to_owned());
    assert_eq!(media(&["--networks", "aws-networks.yaml"]), new);
    assert_eq!(media(&["--networks", "ip-ranges.json"]), new);
    fs::write(
        folder.0.join("gatelint.yaml"),
        "networks: aws-networks.yaml\n",
    )
    .unwrap();
    assert_eq!(media(&[]), new);
    let ran = folder.run(&["rules"]);
    assert!(ran.out.contains("address ranges of 2027-01-02"), "{ran:?}");
}

#[test]
fn ranges_that_would_be_lost_are_not_written() {
    let folder = Folder::new()
        .with("few.json", PUBLISHED.replace("CLOUDFRONT", "S3"))
        .with("all.json", PUBLISHED)
        .with("rules.v4", "*filter\nCOMMIT\n");
    let update = |rest: &[&str]| folder.run(&[&["networks", "update", "--from"], rest].concat());
    let ran = update(&["few.json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("no service `CLOUDFRONT`"), "{ran:?}");
    let ran = update(&["all.json", "--write", "rules.v4"]);
    assert_eq!(ran.code, 2, "another file is not written over: {ran:?}");
    assert_eq!(update(&["all.json", "--service", "EC2"]).code, 0);
    assert_eq!(update(&["gone.json"]).code, 2);
    let ran = folder.run(&["check", "rules.v4", "--networks", "gone.yaml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn comments_ignore_what_they_name_with_a_reason() {
    let with = |comment: &str| {
        let drop = "-A FORWARD -p udp -m udp --dport 3478 -j DROP";
        let text = EDGE.replace(
            "-A FORWARD -s",
            &format!("{comment}\n{drop}\n-A FORWARD -s"),
        );
        Folder::new().with("edge.rules.v4", text)
    };
    let strict = ["check", "--fail-on", "warning", "--format", "concise"];
    let ran = with("# nothing").run(&strict);
    assert!(ran.code == 1 && ran.out.contains("chime/media"), "{ran:?}");
    let ran = with("# gatelint: ignore[chime/media] firewall swap").run(&strict);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.said
            .contains("chime/media at edge.rules.v4: firewall swap"),
        "{ran:?}"
    );
    for (comment, told) in [
        ("# gatelint: ignore[chime/media]", "suppression/malformed"),
        ("# gatelint: ignore[chime/dns] x", "suppression/unused"),
        (
            "# gatelint: ignore[chime/mediaa] x",
            "suppression/unknown-rule",
        ),
    ] {
        let ran = with(comment).run(&strict);
        assert!(
            ran.out.contains(told) && ran.out.contains("chime/media"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_baseline_keeps_to_what_was_known() {
    let folder = Folder::new().with("edge.rules.v4", EDGE);
    let strict = [
        "check",
        "--fail-on",
        "warning",
        "--baseline",
        "gatelint-baseline.json",
    ];
    assert_eq!(folder.run(&strict).code, 2, "there is none yet");
    assert_eq!(folder.run(&["baseline"]).code, 0);
    assert_eq!(folder.run(&strict).code, 0);
    // Lines above change nothing; another mistake is told.
    let folder = folder.with("edge.rules.v4", format!("# a comment\n{EDGE}"));
    assert_eq!(folder.run(&strict).code, 0);
    let worse = EDGE.replace(
        "-A FORWARD -s 10.20.0.0/16 -p tcp -m tcp --dport 443 -j ACCEPT\n",
        "",
    );
    let folder = folder.with("edge.rules.v4", worse);
    assert_eq!(folder.run(&strict).code, 1);
    let folder = folder.with("gatelint-baseline.json", "{}");
    assert_eq!(folder.run(&strict).code, 2);
}
