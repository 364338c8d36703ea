//! In: `tests/cases/dns.json`, small configs with what the real resolvers did. Out: gatelint predicts the same, or says
//! that it cannot tell.

#![expect(clippy::print_stderr, reason = "what was skipped or left open is said")]

mod dns_prediction;

use std::collections::BTreeMap;

use dns_prediction::{Comparison, compare, evaluator_answers, observed, predict, read, refuses};
use gatelint::config::NoFiles;

/// Cases that the oracle cannot speak about, and why.
const UNANSWERED: [(&str, &str, &str); 1] = [("resolved", "dot", "its upstream speaks no TLS")];

#[test]
fn resolvers_do_what_is_predicted() {
    if !evaluator_answers() {
        eprintln!("SKIPPED: the evaluator does not answer yet");
        return;
    }
    let text = include_str!("cases/dns.json");
    let suite: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut figures: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut not_judged: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut undecided = Vec::new();
    for case in suite["cases"].as_array().unwrap() {
        let kind = case["kind"].as_str().unwrap();
        let name = case["case"].as_str().unwrap();
        let config = case["config"].as_str().unwrap();
        if let Some((_, _, why)) = UNANSWERED
            .iter()
            .find(|(of, case, _)| (*of, *case) == (kind, name))
        {
            eprintln!("SKIPPED: {kind}/{name}: {why}");
            continue;
        }
        let Some(reading) = read(kind, config.as_bytes(), &NoFiles, &[]) else {
            *not_judged.entry(kind.to_owned()).or_default() += 1;
            continue;
        };
        let local = "127.0.0.1".parse().unwrap();
        let clients = ["192.168.77.10".parse().unwrap()];
        let result = match observed(case) {
            None if refuses(&reading) => Comparison {
                agreed: 1,
                ..Comparison::default()
            },
            None => Comparison {
                wrong: vec!["starts: predicted, really refused".to_owned()],
                ..Comparison::default()
            },
            Some(_) if refuses(&reading) => Comparison {
                wrong: vec!["refused: predicted, really starts".to_owned()],
                ..Comparison::default()
            },
            // `port=0`: the program starts and resolves nothing.
            Some(real) if reading.not_judged.is_some() && real.is_empty() => Comparison::default(),
            Some(real) => compare(&predict(kind, &reading, local, &clients, &[]), &real),
        };
        let figure = figures.entry(kind.to_owned()).or_default();
        figure.0 += 1;
        figure.1 += usize::from(result.wrong.is_empty() && result.undecided.is_empty());
        figure.2 += usize::from(result.wrong.is_empty() && !result.undecided.is_empty());
        wrong.extend(result.wrong.iter().map(|w| format!("{kind}/{name}: {w}")));
        undecided.extend(
            result
                .undecided
                .iter()
                .map(|u| format!("{kind}/{name}: {u}")),
        );
    }
    for (kind, (cases, agreed, open)) in &figures {
        eprintln!("{kind}: {agreed} of {cases} cases agree, {open} undecided");
    }
    for (kind, count) in &not_judged {
        eprintln!("SKIPPED: {kind}: {count} cases, the kind is not read");
    }
    for line in &undecided {
        eprintln!("undecided: {line}");
    }
    assert!(wrong.is_empty(), "wrong certainty:\n{}", wrong.join("\n"));
    for (kind, (cases, _, open)) in &figures {
        assert!(open * 10 <= *cases, "{kind}: {open} of {cases} undecided");
    }
}
