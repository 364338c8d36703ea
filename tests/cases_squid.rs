//! Small configs with the decisions of Squid 5.7: what gatelint says for certain is what Squid did.

#![expect(clippy::print_stderr, reason = "what was left open is said")]

mod squid_prediction;

use gatelint::config::Facts;
use serde_json::Value;
use squid_prediction::{Job, Predicted};

#[test]
fn certain_answers_are_squids() {
    let cases: Value = serde_json::from_str(include_str!("cases/squid.json")).expect("JSON");
    let (mut agreed, mut wrong, mut undecided) = (0, Vec::new(), Vec::new());
    for case in cases["cases"].as_array().expect("a list") {
        let name = case["name"].as_str().expect("a name");
        let object = |key: &str| case[key].as_object().cloned().unwrap_or_default();
        // The cases were made with the build without OpenSSL.
        let mut facts = Facts::default();
        facts.set("squid.version", "5.7");
        facts.set("squid.tls", "gnutls");
        let job = Job {
            conf: case["conf"].as_str().expect("a config"),
            files: object("files")
                .into_iter()
                .map(|(name, text)| (name, text.as_str().unwrap_or_default().to_owned()))
                .collect(),
            names: object("names"),
            ptr: object("ptr"),
            now: case["now"].as_str().map(str::to_owned),
            external: case["external"].as_str().map(str::to_owned),
            facts,
        };
        let read = job.read();
        let squid = &case["squid_5_7"];
        let probes = case["probes"].as_str().expect("a set of probes");
        for probe in cases["probe_sets"][probes].as_array().expect("probes") {
            let id = probe["id"].as_str().expect("an id");
            let real = match (&squid["starts"], squid["decisions"][id].as_str()) {
                (Value::Bool(false), _) => Predicted::DoesNotStart,
                (_, Some("allow")) => Predicted::Allow,
                (_, Some("deny")) => Predicted::Deny { challenge: false },
                (_, Some("deny-407")) => Predicted::Deny { challenge: true },
                (_, other) => panic!("{name} {id}: {other:?}"),
            };
            // The oracle counts what fails after the access check as allowed.
            let after_access = ["c-37-never", "e-07-peer-access"].contains(&name);
            let predicted = read.predict(&job.request(probe));
            // A name in `dst` that does not resolve stops Squid; whether it resolves is not in the file.
            let unresolved = name == "c-31-dst" && matches!(predicted, Predicted::Deny { .. });
            if let Predicted::Undecided(reasons) = &predicted {
                if reasons.is_empty() {
                    wrong.push(format!("{name} {id} is undecided without a reason"));
                }
                undecided.push(format!("{name} {id}: {reasons:?}"));
            } else if predicted == real || unresolved || (after_access && real == Predicted::Allow)
            {
                agreed += 1;
            } else {
                wrong.push(format!("{name} {id}: {predicted:?}, Squid: {real:?}"));
            }
        }
    }
    eprintln!(
        "squid cases: {agreed} agreed, {} undecided",
        undecided.len()
    );
    for line in &undecided {
        eprintln!("  undecided: {line}");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        undecided.len() * 33 <= agreed,
        "{} undecided",
        undecided.len()
    );
}
