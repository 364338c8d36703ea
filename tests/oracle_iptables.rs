//! The kernel is asked about random rulesets and random packets, and so is gatelint: wherever gatelint is certain, the
//! two must agree.
//!
//! Runs with `GATELINT_ORACLE=1`, as root, where `ip`, `iptables` and `nft` are installed; `GATELINT_ORACLE_ROUNDS` sets
//! how many rulesets (100), `GATELINT_ORACLE_SEED` where the generator begins. A ruleset depends on its seed only.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of the whole against a real program starts it and reads its switches"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test may panic anywhere"
)]
#![expect(
    clippy::print_stderr,
    reason = "the run's figures and the reason for skipping go to the terminal"
)]

mod oracle {
    pub(crate) mod iptables_rulesets;
}

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use gatelint::config::{self, Facts, Input, NoFiles};
use gatelint::model::{Gate, Layer};
use gatelint::source::Sources;
use gatelint::trace::{Certainty, Request, answer};
use oracle::iptables_rulesets::{Case, case};
use serde_json::{Value, json};

/// What came of one run.
#[derive(Debug, Default)]
struct Tally {
    rulesets: usize,
    refused_by_both: usize,
    refused_by_kernel_only: Vec<String>,
    probes: usize,
    agreed: usize,
    undecided: usize,
    answers: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

#[test]
fn certain_answers_are_the_kernels() {
    if std::env::var("GATELINT_ORACLE").is_err() {
        eprintln!(
            "SKIPPED: the kernel is asked only with GATELINT_ORACLE=1 (root, iproute2, iptables, nftables)"
        );
        return;
    }
    let number = |name: &str, usual: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let (rounds, first) = (
        number("GATELINT_ORACLE_ROUNDS", 100),
        number("GATELINT_ORACLE_SEED", 1),
    );
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/oracle/iptables_kernel.py"
    );
    let started = Command::new("python3")
        .args([script, "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut kernel) = started else {
        eprintln!("SKIPPED: python3 is missing, so the kernel cannot be asked");
        return;
    };
    let mut ask = kernel.stdin.take().unwrap();
    let mut answers = BufReader::new(kernel.stdout.take().unwrap()).lines();
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        let case = case(seed);
        let asked = json!({
            case.key(): case.rules,
            "interfaces": Case::interfaces(),
            "probes": case.probes,
        });
        writeln!(ask, "{asked}").unwrap();
        let line = answers
            .next()
            .expect("the oracle answers each line")
            .unwrap();
        let results: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = results.get("error") {
            eprintln!("SKIPPED: the kernel cannot be asked here: {error}");
            return;
        }
        compare(&mut tally, seed, &case, results.as_array().unwrap());
    }
    drop(ask);
    kernel.wait().unwrap();
    eprintln!(
        "{} rulesets ({} refused by both), {} probes: {} agreed, {} undecided, {} wrong; answers {:?}; undecided for {:?}",
        tally.rulesets,
        tally.refused_by_both,
        tally.probes,
        tally.agreed,
        tally.undecided,
        tally.wrong.len(),
        tally.answers,
        tally.reasons,
    );
    for text in tally.refused_by_kernel_only.iter().take(5) {
        eprintln!("refused by the kernel only: {text}");
    }
    assert!(
        tally.wrong.is_empty(),
        "{} certain answers are wrong; the first:\n{}",
        tally.wrong.len(),
        tally
            .wrong
            .iter()
            .take(4)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n\n")
    );
    assert!(
        tally.refused_by_kernel_only.is_empty(),
        "what the kernel refuses is not read as if it were loaded"
    );
    assert!(tally.agreed * 2 > tally.probes, "most answers are certain");
}

fn compare(tally: &mut Tally, seed: u64, case: &Case, results: &[Value]) {
    tally.rulesets += 1;
    let sources = Sources::new();
    let file = sources
        .add(case.path(), case.rules.as_bytes().to_vec())
        .unwrap();
    let mut facts = Facts::default();
    facts.set("addresses", Case::own_addresses());
    let kind = config::kind("iptables").unwrap();
    let reading = (kind.read)(
        &Input {
            file,
            path: case.path(),
            bytes: case.rules.as_bytes(),
        },
        &NoFiles,
        &facts,
    );
    let refuses = reading.findings.iter().find(|finding| finding.refuses);
    let refused = results.iter().find_map(|result| {
        let verdict = result["verdict"].as_str()?;
        verdict
            .strip_prefix("error: ruleset refused: ")
            .map(str::to_owned)
    });
    match (refused, refuses) {
        (Some(why), None) => {
            tally
                .refused_by_kernel_only
                .push(format!("seed {seed}: {why}\n{}", case.rules));
            return;
        }
        (Some(_), Some(_)) => {
            tally.refused_by_both += 1;
            return;
        }
        (None, Some(finding)) => {
            tally.wrong.push(format!(
                "seed {seed}: the kernel loads what we say is refused: {}\n{}",
                finding.label.value, case.rules
            ));
            return;
        }
        (None, None) => {}
    }
    for (probe, result) in case.probes.iter().zip(results) {
        let kernel = result["verdict"].as_str().unwrap_or("error");
        if kernel.starts_with("error") {
            continue;
        }
        tally.probes += 1;
        let request = Request::from_value(Layer::Packet, probe.clone()).unwrap();
        let ours = answer(&sources, &reading.gates, &request);
        let (word, certain) = match ours.verdict {
            Certainty::Undecided => ("undecided", false),
            Certainty::Allowed => ("accept", true),
            Certainty::Denied => (ours.effect.unwrap_or("denied"), true),
        };
        if !certain {
            tally.undecided += 1;
            for reason in &ours.reasons {
                *tally.reasons.entry(reason.code.clone()).or_default() += 1;
            }
            continue;
        }
        *tally.answers.entry(word.to_owned()).or_default() += 1;
        // Where the machine itself answers a ping, the oracle sees the answer too.
        let addresses = (word == "accept" && probe["proto"] != "icmp")
            .then(|| mismatch(&json!(ours.arrives), &result["final"]))
            .flatten();
        // An ICMP error of the machine to itself passes its own rules, which may drop it: that looks like silence.
        let silent = word == "reject"
            && kernel == "drop"
            && (probe["out"] == "lo"
                || probe["hook"] == "OUTPUT" && error_may_be_lost(&sources, &reading.gates, probe));
        // That it does not pass is certain, and not how.
        let open = word == "denied" && matches!(kernel, "drop" | "reject");
        if (word == kernel || silent || open) && addresses.is_none() {
            tally.agreed += 1;
        } else {
            tally.wrong.push(format!(
                "seed {seed}: {probe}\n kernel: {result}\n ours: {word} {addresses:?} at line {:?} {:?}\n steps {:?}\n{}",
                ours.line, ours.arrives, ours.steps, case.rules
            ));
        }
    }
}

/// Whether the rules may stop the ICMP error with which the machine answers its own packet.
fn error_may_be_lost(sources: &Sources, gates: &[Gate], probe: &Value) -> bool {
    let (proto, kind) = if probe["family"] == 6 {
        ("icmpv6", 1)
    } else {
        ("icmp", 3)
    };
    [("OUTPUT", "out"), ("INPUT", "in")].iter().any(|(hook, side)| {
        let error = json!({
            "hook": hook, "proto": proto, "icmp_type": kind, "src": probe["src"], "dst": probe["src"],
            *side: "lo",
        });
        let error = Request::from_value(Layer::Packet, error).unwrap();
        answer(sources, gates, &error).verdict != Certainty::Allowed
    })
}

/// The first address or port that both know and that differs.
fn mismatch(ours: &Value, kernel: &Value) -> Option<&'static str> {
    // The kernel may change a source port that is in use, so that is not compared.
    ["src", "dst", "dport"].into_iter().find(|field| {
        let (ours, kernel) = (&ours[*field], &kernel[*field]);
        !ours.is_null() && !kernel.is_null() && ours != kernel
    })
}
