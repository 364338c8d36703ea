//! In: `tests/cases/csp.json` and `csp-edges.json`, policies with what Chromium did. Out: gatelint predicts the same, or says that it cannot
//! tell.

#![expect(clippy::print_stderr, reason = "what was left open is said")]

mod csp_prediction;

use csp_prediction::{Comparison, compare};

#[test]
fn chromium_does_what_is_predicted() {
    let cases: Vec<serde_json::Value> = [
        include_str!("cases/csp.json"),
        include_str!("cases/csp-edges.json"),
    ]
    .into_iter()
    .flat_map(|text| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap())
    .collect();
    let mut all = Comparison::default();
    for case in &cases {
        all.add(compare(case));
    }
    eprintln!(
        "{} cases: {} probes agree, {} undecided, {} not expressible",
        cases.len(),
        all.agreed,
        all.undecided.len(),
        all.skipped
    );
    for line in &all.undecided {
        eprintln!("undecided: {line}");
    }
    assert!(
        all.wrong.is_empty(),
        "wrong certainty:\n{}",
        all.wrong.join("\n")
    );
    assert!(all.agreed >= 640, "only {} probes agree", all.agreed);
    assert!(
        all.undecided.len() * 30 <= all.agreed,
        "{} undecided",
        all.undecided.len()
    );
}
