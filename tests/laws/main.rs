//! Laws of the evaluator, on random gates: what it says of many flows at once is what a naive walk of each flow finds.
//!
//! `GATELINT_LAWS_ROUNDS` sets how many gates are tried, `GATELINT_LAWS_SEED` which, `GATELINT_LAWS_FIRST` where to start.

#![expect(
    clippy::unwrap_used,
    clippy::struct_excessive_bools,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "a test may stop at what it did not expect, and reads its own settings"
)]

mod differences;
mod naive;
mod random;
mod verdicts;

use random::{Case, Random};
use verdicts::Figures;

/// Rounds of the first seed that found something wrong.
const ONCE_BROKEN: [u64; 1] = [66_593];

#[test]
fn the_evaluator_agrees_with_one_flow_at_a_time() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let rounds = number("GATELINT_LAWS_ROUNDS", 250);
    let seed = number("GATELINT_LAWS_SEED", 1);
    let mut figures = Figures::default();
    let mut broken = Vec::new();
    let first = number("GATELINT_LAWS_FIRST", 0);
    let once_broken = ONCE_BROKEN.map(|round| (1, round));
    let others = (first..first + rounds).map(|round| (seed, round));
    for (seed, round) in once_broken.into_iter().chain(others) {
        let mut random = Random(seed.wrapping_mul(1 << 32).wrapping_add(round));
        let case = random::case(&mut random);
        if let Err(why) = verdicts::check(&case, round, &mut figures) {
            eprintln!("round {round}: {why}");
            broken.push((round, case, why));
            if broken.len() >= 5 {
                break;
            }
        }
    }
    eprintln!("{figures}");
    for (round, case, why) in &broken {
        eprintln!("--- round {round}");
        let (case, why) = reduced(case, *round, why);
        eprintln!("{why}\n{}", shown(&case));
    }
    assert!(broken.is_empty(), "{} laws broken", broken.len());
}

#[test]
fn what_differs_between_gates_differs_for_one_flow_at_a_time() {
    let rounds = std::env::var("GATELINT_LAWS_ROUNDS");
    let rounds: u64 = rounds.map_or(250, |text| text.parse().unwrap());
    let mut figures = differences::Figures::default();
    for round in 0..rounds {
        let mut random = Random((7 << 32) + round);
        let case = random::case(&mut random);
        let other = differences::other(&case, &mut random);
        if let Err(why) = differences::check(&case, &other, &mut figures) {
            let other = shown(&Case {
                gate: other,
                question: case.question.clone(),
                file: case.file,
            });
            panic!(
                "round {round}: {why}\n{}\n--- the other\n{other}",
                shown(&case)
            );
        }
    }
    eprintln!("{figures}");
    assert!(figures.changed > 0 && figures.same > 0, "{figures}");
}

/// The smallest case that breaks the same law.
fn reduced(case: &Case, round: u64, why: &str) -> (Case, String) {
    let law = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
    let mut best = Case {
        gate: case.gate.clone(),
        question: case.question.clone(),
        file: case.file,
    };
    let mut reason = why.to_owned();
    loop {
        let next = random::smaller(&best).into_iter().find_map(|case| {
            let result = verdicts::check(&case, round, &mut Figures::default());
            result
                .err()
                .filter(|other| law(other) == law(why))
                .map(|why| (case, why))
        });
        match next {
            Some((case, why)) => (best, reason) = (case, why),
            None => return (best, reason),
        }
    }
}

fn shown(case: &Case) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (at, chain) in case.gate.chains.iter().enumerate() {
        for rule in &chain.rules {
            writeln!(text, "c{at}: {:?} -> {:?}", rule.guard, rule.step).unwrap();
        }
    }
    for (at, stage) in case.gate.stages.iter().enumerate() {
        writeln!(
            text,
            "s{at}: enter {:?} chain {:?} else {:?} edges {:?}",
            stage.enter, stage.chain, stage.fallback.effect, stage.edges
        )
        .unwrap();
    }
    for (at, unknown) in case.gate.unknowns.iter().enumerate() {
        writeln!(
            text,
            "u{at}: {:?} {} {:?}",
            unknown.kind, unknown.code, unknown.identity
        )
        .unwrap();
    }
    writeln!(text, "own {:?}", case.gate.own_addresses).unwrap();
    let q = &case.question;
    let numbers: Vec<_> = q
        .numbers
        .iter()
        .map(|(dim, set)| format!("{dim:?}={:?}..={:?}", set.min(), set.max()))
        .collect();
    writeln!(
        text,
        "{numbers:?} texts {:?} addresses {:?} fixed {:?} dlocal {:?} slocal {:?} mark {} {:?}",
        q.texts.keys().collect::<Vec<_>>(),
        q.addresses,
        q.fixed,
        q.destination_is_local,
        q.source_is_local,
        q.mark,
        q.conversation
    )
    .unwrap();
    text.replace("Range { low: ", "(")
        .replace(", high: ", "..=")
        .replace(" }", ")")
}
