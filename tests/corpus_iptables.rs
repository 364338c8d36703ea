//! Real configs are read: none may break the reader, and what is not understood is counted.
//!
//! `GATELINT_CORPUS` names the folder that holds them; they are not part of the project.
#![expect(
    clippy::disallowed_methods,
    reason = "the corpus lies outside; its place comes from the environment"
)]
#![expect(
    clippy::print_stderr,
    reason = "the figures and the reason for skipping go to the terminal"
)]

use std::collections::BTreeMap;

use gatelint::config::{self, Claim, Facts, Input, NoFiles};
use gatelint::model::{Guard, Step};
use gatelint::source::Sources;

#[test]
fn every_file_is_read() {
    let Ok(corpus) = std::env::var("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: GATELINT_CORPUS is not set, so no real config was read");
        return;
    };
    let folder = std::path::Path::new(&corpus).join("iptables");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let kind = config::kind("iptables").unwrap();
    let (mut claims, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    let (mut findings, mut roles) = (BTreeMap::new(), BTreeMap::new());
    let (mut read, mut whole, mut refused) = (0, 0, 0);
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let shown = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace("__", "/");
        let claim = (kind.claims)(&shown, &bytes);
        let word = match claim {
            Claim::No => "no",
            Claim::Maybe(_) => "maybe",
            Claim::Yes(_) => "yes",
            Claim::Unreadable(_) => "unreadable",
        };
        *claims.entry(word).or_insert(0usize) += 1;
        // Whatever was claimed: reading must not break.
        let sources = Sources::new();
        let file = sources.add(shown.as_str(), bytes.clone()).unwrap();
        let input = Input {
            file,
            path: &shown,
            bytes: &bytes,
        };
        let reading = (kind.read)(&input, &NoFiles, &Facts::default());
        for finding in &reading.findings {
            assert!(finding.label.span.end as usize <= bytes.len(), "{shown}");
        }
        if !matches!(claim, Claim::Yes(_) | Claim::Maybe(_)) {
            continue;
        }
        read += 1;
        refused += usize::from(reading.findings.iter().any(|finding| finding.refuses));
        for finding in &reading.findings {
            *findings.entry(finding.id).or_insert(0usize) += 1;
        }
        *roles
            .entry(reading.role.clone().unwrap_or_default())
            .or_insert(0usize) += 1;
        let mut seen = std::collections::BTreeSet::new();
        for gate in &reading.gates {
            for rule in gate.chains.iter().flat_map(|chain| &chain.rules) {
                let mut ids = Vec::new();
                unknowns(&rule.guard, &mut ids);
                if let Step::Obscure(id) = rule.step {
                    ids.push(id);
                }
                for id in ids {
                    let unknown = gate.unknowns.get(id.0 as usize).unwrap();
                    if rule.step != Step::Continue {
                        seen.insert((unknown.code, rule.span.start));
                    }
                }
            }
        }
        whole += usize::from(seen.is_empty() && reading.findings.is_empty());
        for (code, _) in seen {
            *reasons.entry(code).or_insert(0usize) += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons.truncate(10);
    eprintln!(
        "claims {claims:?}; {read} read, {refused} refused by the real program, {whole} without any unknown or finding; \
         roles {roles:?}; rules that wait for {reasons:?}; findings {findings:?}"
    );
    assert!(read > 0);
}

fn unknowns(guard: &Guard, found: &mut Vec<gatelint::model::UnknownId>) {
    match guard {
        Guard::Unknown(id) => found.push(*id),
        Guard::All(inner) | Guard::AnyOf(inner) => {
            for one in inner {
                unknowns(one, found);
            }
        }
        Guard::Not(inner) => unknowns(inner, found),
        Guard::Always | Guard::Is(_) => {}
    }
}
