//! Random configs from the words of real ones, asked of a real Squid: wherever gatelint is certain, Squid agrees.
//!
//! Runs with `GATELINT_ORACLE=1` as root where `squid`, `ip`, `unshare` and `python3` are installed;
//! `GATELINT_ORACLE_ROUNDS` sets the number of configs (100), `GATELINT_ORACLE_SEED` where they start.

#![expect(clippy::print_stderr, reason = "what was skipped and measured is said")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test drives another program, and fails by panicking"
)]

mod squid_prediction;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use gatelint::config::Facts;
use serde_json::{Map, Value, json};
use squid_prediction::{Job, Predicted};

#[test]
fn squid_agrees_wherever_the_answer_is_certain() {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("GATELINT_ORACLE").is_none() {
        eprintln!("SKIPPED: oracle_squid (set GATELINT_ORACLE=1 to ask a real Squid)");
        return;
    }
    if !Path::new("/usr/sbin/squid").exists() {
        eprintln!("SKIPPED: oracle_squid (no /usr/sbin/squid)");
        return;
    }
    let number = |name: &str, usual: u64| {
        variable(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(usual)
    };
    let rounds = number("GATELINT_ORACLE_ROUNDS", 100);
    let seed = number("GATELINT_ORACLE_SEED", 1);
    let folder = std::env::temp_dir().join(format!("gatelint-squid-{}-{seed}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let mut totals = Totals::default();
    let mut number = seed;
    while number < seed + rounds {
        let batch: Vec<Generated> = (number..(number + 50).min(seed + rounds))
            .map(|number| Generated::new(number, &folder))
            .collect();
        number += 50;
        let results = ask(&folder, &batch);
        for (generated, result) in batch.iter().zip(&results) {
            totals.compare(generated, result);
        }
    }
    std::fs::remove_dir_all(&folder).expect("the temporary folder is ours");
    eprintln!(
        "squid oracle: {rounds} configs ({} do not start), {} requests unanswered by a crash, {} agreed ({} allowed), {} undecided, {} split; undecided by reason {:?}",
        totals.refused,
        totals.crashed,
        totals.agreed,
        totals.allowed,
        totals.undecided,
        totals.split.len() + totals.more,
        totals.reasons
    );
    assert!(totals.split.is_empty(), "{}", totals.split.join("\n\n"));
    assert!(totals.agreed > 0, "nothing was compared");
}

#[derive(Default)]
struct Totals {
    agreed: usize,
    undecided: usize,
    refused: usize,
    crashed: usize,
    allowed: usize,
    split: Vec<String>,
    /// Other requests of configs that are split already.
    more: usize,
    reasons: BTreeMap<String, usize>,
}

impl Totals {
    fn compare(&mut self, generated: &Generated, result: &Value) {
        let read = generated.job().read();
        let mut first = true;
        let mut told = false;
        for (probe, answer) in generated
            .probes
            .iter()
            .zip(result["results"].as_array().expect("results"))
        {
            let decision = answer["decision"].as_str().expect("a decision");
            let real = if decision.contains("did not start: exit status -") {
                // A signal ended Squid: a fault of its memory, which says nothing about the config.
                self.crashed += 1;
                continue;
            } else if decision.starts_with("error: squid did not start") {
                Predicted::DoesNotStart
            } else if decision == "allow" {
                Predicted::Allow
            } else if decision == "deny" {
                Predicted::Deny {
                    challenge: answer["auth"] == json!(true),
                }
            } else {
                continue;
            };
            if first && real == Predicted::DoesNotStart {
                self.refused += 1;
            }
            first = false;
            let predicted = read.predict(&generated.job().request(probe));
            if let Predicted::Undecided(reasons) = &predicted {
                self.undecided += 1;
                for reason in reasons {
                    let code = reason.split(':').next().unwrap_or_default().to_owned();
                    *self.reasons.entry(code).or_default() += 1;
                }
                if reasons.is_empty() {
                    *self.reasons.entry("none given".to_owned()).or_default() += 1;
                }
            } else if predicted == real {
                self.agreed += 1;
                self.allowed += usize::from(real == Predicted::Allow);
            } else if std::mem::replace(&mut told, true) {
                self.more += 1;
            } else {
                self.split.push(format!(
                    "config {}: {predicted:?}, Squid: {decision} {}\n  {probe}\n{}\n  now {:?} external {:?} warnings {}",
                    generated.number, answer["auth"], generated.conf, generated.now, generated.external, result["warnings"]
                ));
            }
        }
    }
}

fn ask(folder: &Path, batch: &[Generated]) -> Vec<Value> {
    let jobs: Vec<Value> = batch
        .iter()
        .map(|generated| {
            json!({
                "conf": generated.path, "probes": generated.probes, "names": generated.names,
                "ptr": generated.ptr, "now": generated.now, "external": generated.external,
            })
        })
        .collect();
    let path = folder.join("jobs.json");
    std::fs::write(&path, Value::Array(jobs).to_string()).expect("jobs are written");
    let output = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/oracle/squid_access.py"
        ))
        .arg("--batch")
        .arg(&path)
        .output()
        .expect("the oracle runs");
    let results: Value =
        serde_json::from_slice(&output.stdout).expect("the oracle answers in JSON");
    results.as_array().expect("a list").clone()
}

/// A config with its requests.
struct Generated {
    number: u64,
    conf: String,
    path: String,
    probes: Vec<Value>,
    names: Map<String, Value>,
    ptr: Map<String, Value>,
    now: String,
    external: &'static str,
    files: BTreeMap<String, String>,
}

/// A small generator of its own, so that a number always gives the same config.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }

    fn one<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }

    fn some<'a>(&mut self, words: &[&'a str], most: usize) -> Vec<&'a str> {
        let count = 1 + self.roll(most);
        (0..count).map(|_| self.one(words)).collect()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

const SOURCES: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "192.168.0.0/16",
    "127.0.0.1",
    "fd00::/8",
    "8.8.8.0/24",
    "10.1.2.0-10.1.3.255",
    "10.0.0.0/255.0.0.0",
    "192.168.1.10",
    "all",
    "10.1.2",
    "172.16.0.0/12",
    "0.0.0.0/0-0.255.255.255",
    "10.9.9.9/24",
];
const DESTINATIONS: &[&str] = &[
    "99.77.128.0/18",
    "99.77.130.1",
    "93.184.216.0/24",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "5.5.5.5",
    "13.224.0.0/16",
    "all",
    "99.77.128.0-99.77.140.255",
    "2600::/16",
];
const DOMAINS: &[&str] = &[
    ".chime.aws",
    "chime.aws",
    ".sdkassets.chime.aws",
    "*.chime.aws",
    ".example.com",
    "www.example.com",
    ".com",
    ".rev.test",
    ".amazonaws.com",
    "99.77.130.1",
    "signal.chime.aws",
    ".CHIME.aws",
    "none",
    "chime.aws.",
    ".example.org",
    ".aws",
];
const URLS: &[&str] = &[
    "chime",
    r"\.chime\.aws",
    "^https://",
    r"^[^:]+\.chime\.aws:443$",
    "example",
    ":443$",
    r"^http://.*\.aws/",
    "-i CHIME",
    "CHIME",
    r"squid$",
    "[0-9]+:8443",
    "^signal.*(aws|com)",
    r"a\d",
    "x{2}",
    "^.*chime",
    "*.chime",
    "-i ^HTTP +i aws",
];
const PATHS: &[&str] = &["^/squid", r"\.png$", "/", "-i ^/SQUID", ".*", "[.]js$"];
const HOST_PATTERNS: &[&str] = &[
    r"\.chime\.aws$",
    "^99",
    "chime",
    "none",
    "-i AWS$",
    "^[a-z]+[.]example",
    "rev",
];
const PORTS: &[&str] = &[
    "443",
    "80",
    "1-1024",
    "8000-8443",
    "22",
    "443 563",
    "1025-65535",
    "0-65535",
];
const METHODS: &[&str] = &["CONNECT", "GET", "get", "POST", "PURGE", "FOO", "HEAD"];
const SCHEMES: &[&str] = &["HTTP", "HTTPS", "FTP", "http", "NONE"];
const TIMES: &[&str] = &[
    "MTWHF 08:00-18:00",
    "S",
    "A",
    "D 09:00-10:00",
    "10:00-12:00",
    "SA",
    "00:00-24:00",
    "M 10:00-10:00 12:00-13:00",
];
const AGENTS: &[&str] = &["Mozilla", "^oracle", "-i MOZILLA", "/5", "."];
const USERS: &[&str] = &["REQUIRED", "alice", "alice bob", "carol", "-i ALICE"];

impl Generated {
    fn new(number: u64, folder: &Path) -> Self {
        let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1);
        dice.roll(2);
        let mut files = BTreeMap::new();
        let conf = conf(&mut dice, number, folder, &mut files);
        for (name, text) in &files {
            std::fs::write(name, text).expect("a value file is written");
        }
        let path = folder.join(format!("{number}.conf"));
        std::fs::write(&path, &conf).expect("a config is written");
        let map = |pairs: &[(&str, Value)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect()
        };
        let probes = (0..20).map(|index| probe(&mut dice, index)).collect();
        Self {
            number,
            conf,
            path: path.to_string_lossy().into_owned(),
            probes,
            names: map(&[
                ("*.bad.test", json!("7.7.7.7")),
                ("multi.example.net", json!(["1.1.1.1", "99.77.150.1"])),
                ("six.chime.aws", json!(["99.77.130.3", "2600::1"])),
            ]),
            ptr: map(&[
                ("5.5.5.5", json!("h.rev.test")),
                ("99.77.130.77", json!("a.chime.aws")),
            ]),
            now: format!(
                "{} {}",
                dice.one(&["Sun", "Mon", "Wed", "Sat"]),
                dice.one(&["08:30", "10:00", "12:30", "21:15"])
            ),
            external: dice.one(&["OK", "ERR"]),
            files,
        }
    }

    fn job(&self) -> Job<'_> {
        let mut facts = Facts::default();
        facts.set("squid.version", "5.7");
        Job {
            conf: &self.conf,
            files: self.files.clone(),
            names: self.names.clone(),
            ptr: self.ptr.clone(),
            now: Some(self.now.clone()),
            external: Some(self.external.to_owned()),
            facts,
        }
    }
}

fn probe(dice: &mut Dice, index: usize) -> Value {
    let host = dice.one(&[
        "signal.m1.ue1.app.chime.aws",
        "chime.aws",
        "SIGNAL.chime.aws",
        "static.sdkassets.chime.aws",
        "www.example.com",
        "example.com",
        "s3.amazonaws.com",
        "99.77.130.1",
        "99.77.130.77",
        "5.5.5.5",
        "multi.example.net",
        "six.chime.aws",
        "no.such.invalid",
        "late.example.org",
        "x.bad.test",
        "signal.chime.aws.",
    ]);
    let mut probe = json!({"id": index, "host": host, "src": dice.one(&[
        "127.0.0.1", "10.1.2.3", "10.9.9.9", "192.168.1.10", "8.8.8.8", "172.16.5.5", "fd00::5", "0.0.3.2",
    ])});
    let fields = probe.as_object_mut().expect("an object");
    if dice.chance(25) {
        fields.insert(
            "method".to_owned(),
            json!(dice.one(&["GET", "GET", "HEAD", "POST", "FOO"])),
        );
        fields.insert(
            "path".to_owned(),
            json!(dice.one(&["/", "/squid", "/a.js?x=1", "/logo.png"])),
        );
        if dice.chance(40) {
            fields.insert("port".to_owned(), json!(8005));
        }
    } else if dice.chance(20) {
        fields.insert("port".to_owned(), json!([22, 80, 8443][dice.roll(3)]));
    }
    if dice.chance(15) {
        fields.insert("ua".to_owned(), json!("Mozilla/5.0"));
    }
    if dice.chance(25) {
        fields.insert(
            "auth".to_owned(),
            json!(dice.one(&["alice:x", "bob:x", "Alice:x", "bad:x"])),
        );
    }
    if dice.chance(20) {
        fields.insert("listen".to_owned(), json!(1));
    }
    probe
}

/// ACLs, then rules over them, now and then with what people get wrong.
fn conf(
    dice: &mut Dice,
    number: u64,
    folder: &Path,
    files: &mut BTreeMap<String, String>,
) -> String {
    let mut text = String::from("http_port 3128\nhttp_port 127.0.0.1:8080 name=eight\n");
    if dice.chance(40) {
        text.push_str("auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/passwd\n");
    }
    if dice.chance(30) {
        text.push_str("external_acl_type grp ttl=60 %SRC /usr/lib/squid/ext\n");
    }
    text.push_str("acl SSL_ports port 443\nacl Safe_ports port 80 443 1025-65535\n");
    let mut names = vec![
        "SSL_ports",
        "Safe_ports",
        "CONNECT",
        "localhost",
        "manager",
        "to_localhost",
        "all",
    ];
    let own = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut defined: Vec<(&str, &str)> = Vec::new();
    for _ in 0..3 + dice.roll(7) {
        let again = dice.chance(20) && !defined.is_empty();
        let (name, kind) = if again {
            defined[dice.roll(defined.len())]
        } else {
            let Some(name) = own.get(defined.len()) else {
                break;
            };
            let kind = dice.one(&[
                "src",
                "src",
                "src",
                "dst",
                "dst",
                "dstdomain",
                "dstdomain",
                "dstdomain",
                "dstdomain -n",
                "dstdom_regex",
                "dstdom_regex -n",
                "url_regex",
                "url_regex",
                "urlpath_regex",
                "port",
                "port",
                "method",
                "proto",
                "time",
                "browser",
                "localport",
                "myportname",
                "any-of",
                "all-of",
                "proxy_auth",
                "external",
                "ssl::server_name",
                "rep_mime_type",
                "at_step",
            ]);
            if kind == "proxy_auth" && !text.contains("auth_param")
                || kind == "external" && !text.contains("external_acl_type")
            {
                continue;
            }
            defined.push((name, kind));
            (*name, kind)
        };
        let values = values(dice, kind, &names);
        if dice.chance(8) && matches!(kind, "src" | "dst" | "dstdomain" | "port") {
            let path = folder
                .join(format!("{number}-{name}.txt"))
                .to_string_lossy()
                .into_owned();
            let list = format!("# list\n{}\n", values.join("  # note\n"));
            let late = if dice.chance(30) { " .com" } else { "" };
            let _ = writeln!(text, "acl {name} {kind} \"{path}\"{late}");
            files.insert(path, list);
        } else if dice.chance(10) {
            let _ = writeln!(
                text,
                "acl {name} {kind} \\\n  {} # note",
                values.join(" \\\n\n # between\n  ")
            );
        } else {
            let _ = writeln!(text, "acl {name} {kind} {}", values.join(" "));
        }
        if !again {
            names.push(name);
        }
    }
    if dice.chance(70) {
        text.push_str("http_access deny !Safe_ports\nhttp_access deny CONNECT !SSL_ports\n");
    }
    rules(dice, "http_access", &names, 6, &mut text);
    if dice.chance(60) {
        text.push_str("http_access deny all\n");
    }
    if dice.chance(10) {
        rules(dice, "adapted_http_access", &names, 2, &mut text);
    }
    text
}

fn rules(dice: &mut Dice, list: &str, names: &[&str], most: usize, text: &mut String) {
    for _ in 0..=dice.roll(most) {
        let action = if dice.chance(3) {
            "Allow"
        } else {
            dice.one(&["allow", "allow", "deny"])
        };
        let mut line = format!("{list} {action}");
        for _ in 0..=dice.roll(3) {
            let own = names.len() > 7 && dice.chance(70);
            let name = if own {
                names[7 + dice.roll(names.len() - 7)]
            } else {
                dice.one(names)
            };
            let negation = if dice.chance(25) { "!" } else { "" };
            let name = if dice.chance(5) {
                name.to_ascii_uppercase()
            } else {
                name.to_owned()
            };
            let _ = write!(line, " {negation}{name}");
        }
        if dice.chance(10) {
            let condition = dice.one(&["true", "false", "1 = 1", "${process_number} = 0"]);
            let _ = writeln!(
                text,
                "if {condition}\n{line}\nelse\n{list} deny localhost\nendif"
            );
        } else {
            let _ = writeln!(text, "{line}");
        }
    }
}

fn values<'a>(dice: &mut Dice, kind: &str, names: &[&'a str]) -> Vec<&'a str> {
    let words: &[&'static str] = match kind {
        "src" => SOURCES,
        "dst" => DESTINATIONS,
        "dstdomain" | "dstdomain -n" | "ssl::server_name" => DOMAINS,
        "dstdom_regex" | "dstdom_regex -n" => HOST_PATTERNS,
        "url_regex" => URLS,
        "urlpath_regex" => PATHS,
        "port" => PORTS,
        "localport" => &["3128", "8080", "3128-9000"],
        "myportname" => &["eight", "3128", "nine"],
        "method" => METHODS,
        "proto" => SCHEMES,
        "time" => return vec![dice.one(TIMES)],
        "browser" => AGENTS,
        "proxy_auth" => return vec![dice.one(USERS)],
        "external" => return vec!["grp", "staff"],
        "rep_mime_type" => return vec!["text/html"],
        "at_step" => &["SslBump1", "SslBump2"],
        _ => {
            let count = 1 + dice.roll(3);
            return (0..count).map(|_| dice.one(names)).collect();
        }
    };
    dice.some(words, 3)
}
