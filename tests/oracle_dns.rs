//! In: random resolver configs, and the real resolvers. Out: wherever gatelint is certain, the resolver does the same.
//!
//! Runs with `GATELINT_ORACLE=1`, as root, where the programs are installed; `GATELINT_ORACLE_ROUNDS` sets how many
//! configs of each kind, `GATELINT_ORACLE_SEED` where to start, `GATELINT_ORACLE_KIND` picks one kind.

#![expect(clippy::print_stderr, reason = "what was skipped or left open is said")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test runs the real programs, for which it needs files and processes"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod dns_generators;
mod dns_prediction;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dns_generators::{GENERATORS, Generated, Random};
use dns_prediction::{Comparison, compare, evaluator_answers, observed, predict, read, refuses};
use gatelint::config::NoFiles;

#[test]
fn random_configs_do_what_is_predicted() {
    if std::env::var("GATELINT_ORACLE").is_err() {
        eprintln!("SKIPPED: the DNS oracle runs with GATELINT_ORACLE=1 only");
        return;
    }
    assert!(evaluator_answers());
    let rounds = number("GATELINT_ORACLE_ROUNDS", 6);
    let seed = number("GATELINT_ORACLE_SEED", 1);
    let only = std::env::var("GATELINT_ORACLE_KIND").ok();
    let mut wrong = Vec::new();
    for (kind, program, generate) in GENERATORS {
        if only.as_deref().is_some_and(|only| only != *kind) {
            continue;
        }
        if !installed(program) {
            eprintln!("SKIPPED: {kind}: `{program}` is not installed");
            continue;
        }
        let cases: Vec<(u64, Generated)> = (seed..seed + rounds)
            .map(|seed| (seed, generate(&mut Random::new(seed))))
            .collect();
        let results = run(kind, &cases);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let (mut agree, mut open) = (0, 0);
        for ((seed, case), result) in cases.iter().zip(&results) {
            agree += usize::from(result.wrong.is_empty() && result.undecided.is_empty());
            open += usize::from(result.wrong.is_empty() && !result.undecided.is_empty());
            for undecided in &result.undecided {
                let reason = undecided
                    .split_once("undecided: ")
                    .map_or("", |(_, why)| why);
                *reasons.entry(reason.to_owned()).or_default() += 1;
            }
            for miss in &result.wrong {
                wrong.push(format!("{kind} seed {seed}: {miss}\n{}", case.config));
            }
        }
        eprintln!("{kind}: {agree} of {} agree, {open} undecided", cases.len());
        for (reason, count) in reasons {
            eprintln!("  undecided {count}: {reason}");
        }
    }
    assert!(
        wrong.is_empty(),
        "wrong certainty:\n{}",
        wrong.join("\n----\n")
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).exists())
}

/// Asks the oracle about each config, a few at a time.
fn run(kind: &str, cases: &[(u64, Generated)]) -> Vec<Comparison> {
    let folder = std::env::temp_dir().join(format!("gatelint-dns-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let next = AtomicU64::new(0);
    let results: Mutex<BTreeMap<usize, Comparison>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some((_, case)) = cases.get(at) else {
                        return;
                    };
                    let place = folder.join(format!("{kind}-{at}"));
                    std::fs::create_dir_all(&place).unwrap();
                    let result = one(kind, case, &place.join("config.conf"));
                    results.lock().unwrap().insert(at, result);
                }
            });
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
    results.into_inner().unwrap().into_values().collect()
}

/// One config: what was predicted against what happened.
fn one(kind: &str, case: &Generated, path: &Path) -> Comparison {
    std::fs::write(path, &case.config).unwrap();
    let mut command = Command::new("python3");
    command.args(["tests/oracle/dns_edns.py", kind]).arg(path);
    for client in &case.clients {
        command.args(["--client", client]);
    }
    for name in &case.names {
        command.args(["--name", name]);
    }
    let output = command.output().unwrap();
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return wrong(format!("the oracle failed: {said}"));
    };
    let Some(reading) = read(kind, case.config.as_bytes(), &NoFiles, &[]) else {
        return wrong("the kind is not read".to_owned());
    };
    let starts = answer.get("starts").and_then(serde_json::Value::as_bool);
    match (starts, refuses(&reading)) {
        (Some(false), true) => Comparison {
            agreed: 1,
            ..Comparison::default()
        },
        (Some(false), false) => wrong(format!(
            "starts, really: {}",
            answer.get("log").unwrap_or(&answer)
        )),
        (Some(true) | None, true) => wrong("refused, really starts".to_owned()),
        (Some(true) | None, false) => {
            let clients: Vec<IpAddr> = case.clients.iter().map(|c| c.parse().unwrap()).collect();
            let names: Vec<String> = case.names.iter().map(|&name| name.to_owned()).collect();
            let predicted = predict(kind, &reading, local(&answer), &clients, &names);
            match observed(&answer) {
                Some(real) => compare(&predicted, &real),
                None => wrong(format!("the oracle could not ask: {answer}")),
            }
        }
    }
}

fn wrong(text: String) -> Comparison {
    Comparison {
        wrong: vec![text],
        ..Comparison::default()
    }
}

/// The address that the oracle asks from: that of the socket that it picks, since the daemon runs on the same machine.
fn local(answer: &serde_json::Value) -> IpAddr {
    let listens: Vec<&str> = answer
        .get("listens")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|socket| socket.as_str()?.split('#').next())
        .collect();
    let picked = listens
        .iter()
        .find(|address| ["127.0.0.1", "0.0.0.0"].contains(address))
        .or(listens.first());
    match picked.copied() {
        None | Some("127.0.0.1" | "0.0.0.0") => "127.0.0.1".parse().unwrap(),
        Some("::") => "::1".parse().unwrap(),
        Some(other) => other.parse().unwrap(),
    }
}
