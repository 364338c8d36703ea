//! In: random policies. Out: Chromium and gatelint agree about every probe, wherever gatelint is certain.
//!
//! Runs with `GATELINT_ORACLE=1` and needs `python3`, `openssl` and `chromium`; `GATELINT_ORACLE_ROUNDS` rounds of twenty
//! policies (one by default), `GATELINT_ORACLE_SEED` for other ones.

#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "this suite runs another program, says what it skipped, and stops where it cannot go on"
)]

mod csp_prediction;

use std::process::Command;

use csp_prediction::{Comparison, compare};
use serde_json::{Value, json};

const POLICIES_PER_ROUND: u64 = 20;

#[test]
fn chromium_agrees_about_random_policies() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let has = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !has("python3") || !has("chromium") || !has("openssl") && !has_openssl() {
        eprintln!("SKIPPED: python3, chromium or openssl is missing");
        return;
    }
    let number = |name: &str, otherwise: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    };
    let seed = number("GATELINT_ORACLE_SEED", 1);
    let mut all = Comparison::default();
    for round in 0..number("GATELINT_ORACLE_ROUNDS", 1) {
        let cases: Vec<Value> = (0..POLICIES_PER_ROUND)
            .map(|at| case(seed * 1_000_000 + round * POLICIES_PER_ROUND + at))
            .collect();
        for case in observed(cases) {
            let mut comparison = compare(&case);
            for line in &mut comparison.wrong {
                let page = json!({"csp": case["csp"], "meta": case["meta"], "page": case["page"]});
                *line += &format!("\n    {page}");
                eprintln!("wrong: {line}");
            }
            all.add(comparison);
        }
        eprintln!(
            "round {round}: {} agree, {} undecided, {} wrong, {} without a verdict",
            all.agreed,
            all.undecided.len(),
            all.wrong.len(),
            all.skipped
        );
    }
    for line in &all.undecided {
        eprintln!("undecided: {line}");
    }
    assert!(
        all.wrong.is_empty(),
        "wrong certainty:\n{}",
        all.wrong.join("\n")
    );
    assert!(
        all.undecided.len() * 10 <= all.agreed,
        "{} of {} undecided",
        all.undecided.len(),
        all.agreed
    );
}

fn has_openssl() -> bool {
    Command::new("openssl")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The cases with what Chromium did as `expect`.
fn observed(mut cases: Vec<Value>) -> Vec<Value> {
    let folder = std::env::temp_dir().join(format!("gatelint-csp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (asked, told) = (folder.join("cases.json"), folder.join("told.json"));
    std::fs::write(&asked, serde_json::to_vec(&cases).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/csp_chromium.py");
    let status = Command::new("python3")
        .arg(script)
        .arg(&asked)
        .arg("-o")
        .arg(&told)
        .status()
        .unwrap();
    assert!(status.success(), "the oracle failed");
    let told: Value = serde_json::from_slice(&std::fs::read(&told).unwrap()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    for (case, told) in cases.iter_mut().zip(told["cases"].as_array().unwrap()) {
        let probes = case["probes"].as_array_mut().unwrap();
        for (probe, told) in probes.iter_mut().zip(told["probes"].as_array().unwrap()) {
            probe["expect"] = told["verdict"].clone();
        }
    }
    cases
}

/// Numbers that are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const DIRECTIVES: &[&str] = &[
    "connect-src",
    "connect-src",
    "connect-src",
    "default-src",
    "default-src",
    "script-src",
    "script-src",
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "worker-src",
    "worker-src",
    "child-src",
    "img-src",
    "style-src",
    "style-src-elem",
    "font-src",
    "media-src",
    "frame-src",
    "Connect-SRC",
    "object-src",
    "base-uri",
    "frame-ancestors",
    "connect-src:",
    "worker_src",
    "content=\"connect-src",
    "x-unknown",
    "https://b.test",
];

const SOURCES: &[&str] = &[
    "'self'",
    "'self'",
    "*",
    "'none'",
    "blob:",
    "blob:",
    "data:",
    "https:",
    "wss:",
    "http:",
    "ws:",
    "https://a.test",
    "https://a.test",
    "wss://a.test",
    "a.test",
    "*.b.test",
    "https://*.b.test",
    "wss://*.b.test",
    "http://a.test",
    "http://*.b.test:80",
    "http://a.test:443",
    "*.b.test:80",
    "ws://a.test:80",
    "https://a.test:8443",
    "https://a.test:443",
    "a.test:*",
    "https://*:8443",
    "*:443",
    "https://a.test/x/",
    "https://a.test/x/y.js",
    "https://a.test/%78/",
    "*/x/",
    "https://a.test/x/y.js?q",
    "HTTPS://A.TEST",
    "https://a.test.",
    "static.*.test",
    "*a.test",
    "https://[::1]",
    "https://a.test:port",
    "https",
    "self",
    "'blob:'",
    "'https://a.test'",
    "\"self\"",
    "'SELF'",
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'strict-dynamic'",
    "'nonce-abc'",
    "'unsafe-hashes'",
    "'wasm-eval'",
    "'report-sample'",
    "connect-src",
    "app.example.com",
    "//a.test",
    "https://10.0.0.1",
    "'nonce-'",
    "‘self’",
    "https://c_d.test",
    "'unsafe_eval'",
    "https:/a.test",
];

const URLS: &[&str] = &[
    "https://a.test/",
    "https://a.test/x/y.js",
    "https://a.test/x/",
    "https://a.test/x/z.js",
    "https://x.b.test/",
    "https://b.test/",
    "https://y.x.b.test/x/q.js",
    "https://a.test:8443/",
    "https://c.test/",
    "self:/x.js",
    "blob:",
    "data:",
    "https://10.0.0.1/x.js",
];

const CONNECT_URLS: &[&str] = &[
    "wss://a.test/",
    "wss://x.b.test/x/",
    "ws://a.test/",
    "http://a.test/",
    "http://a.test:443/",
    "wss://a.test:8443/",
    "http://x.b.test/",
    "https://x.b.test:80/",
    "https://a.test./",
    "wss://app.example.com/",
    "http://app.example.com/",
    "https://app.example.com:8443/",
];

/// Kinds that load a URL, and kinds that do not.
const KINDS: &[&str] = &[
    "connect",
    "connect",
    "connect",
    "script",
    "module",
    "worklet",
    "img",
    "style",
    "font",
    "media",
    "frame",
    "script-tag",
    "worker-connect",
    "worker-import",
];
const PLAIN_KINDS: &[&str] = &[
    "eval",
    "wasm",
    "worker-wasm",
    "worker-eval",
    "inline-script",
    "inline-tag",
    "inline-handler",
    "inline-style",
];

fn case(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let headers: Vec<String> = (0..=usize::from(dice.one_in(4)))
        .map(|_| header(&mut dice))
        .collect();
    let metas: Vec<String> = (0..usize::from(dice.one_in(6)))
        .map(|_| header(&mut dice))
        .collect();
    let page = dice.pick(&[
        "https://app.example.com",
        "https://app.example.com",
        "https://app.example.com",
        "https://app.example.com:8443",
        "http://app.example.com",
    ]);
    let probes: Vec<Value> = (0..10).map(|_| probe(&mut dice)).collect();
    json!({"id": format!("seed-{seed}"), "page": page, "csp": headers, "meta": metas, "probes": probes})
}

fn header(dice: &mut Dice) -> String {
    let mut policies = vec![policy(dice)];
    if dice.one_in(10) {
        policies.push(policy(dice));
    }
    policies.join(", ")
}

fn policy(dice: &mut Dice) -> String {
    let mut directives = Vec::new();
    for _ in 0..=dice.below(5) {
        let mut directive = dice.pick(DIRECTIVES).to_owned();
        for _ in 0..dice.below(5) {
            directive += dice.pick(&[" ", " ", " ", "  ", "\t"]);
            directive += dice.pick(SOURCES);
        }
        directives.push(directive);
    }
    if dice.one_in(12) {
        directives.push("upgrade-insecure-requests".to_owned());
    }
    if dice.one_in(15) {
        directives.push("require-trusted-types-for 'script'".to_owned());
    }
    if dice.one_in(20) {
        directives.push("sandbox allow-scripts".to_owned());
    }
    directives.join(dice.pick(&["; ", ";", " ; ", ";;"]))
}

fn probe(dice: &mut Dice) -> Value {
    if dice.one_in(3) {
        return json!({"kind": dice.pick(PLAIN_KINDS)});
    }
    if dice.one_in(5) {
        return json!({"kind": "worker", "url": dice.pick(&["blob:", "blob:", "data:"])});
    }
    let kind = dice.pick(KINDS);
    let url = if kind == "connect" && dice.one_in(2) {
        dice.pick(CONNECT_URLS)
    } else {
        dice.pick(URLS)
    };
    // Inside a worker a page's blob and data URLs are not made.
    let url = match (kind, url) {
        ("worker-connect" | "worker-import", "blob:" | "data:" | "self:/x.js") => "https://a.test/",
        (_, url) => url,
    };
    if kind == "script-tag" {
        let url = if url.starts_with("https:") {
            url
        } else {
            "https://a.test/x/y.js"
        };
        return json!({"kind": kind, "url": url, "nonce": dice.pick(&["", "abc"])});
    }
    json!({"kind": kind, "url": url})
}
