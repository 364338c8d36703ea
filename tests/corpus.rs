//! In: real configs, in the folder that `GATELINT_CORPUS` names. Out: every file is read and judged without a panic, no
//! file passes in silence, and the figures of what was understood are printed.
//!
//! The corpus is no part of this project; without it the test says so and ends.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads the files that it is given, and prints its figures"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gatelint::config::{Claim, Facts, Input, KINDS, Kind, NoFiles};
use gatelint::finding::Outcome;
use gatelint::policy::{Context, Networks, Subject, builtin, judge};
use gatelint::source::Sources;

#[derive(Default)]
struct Figures {
    files: usize,
    understood: usize,
    judged: usize,
    outcomes: BTreeMap<&'static str, usize>,
    reasons: BTreeMap<String, usize>,
}

#[test]
fn every_real_config_is_read_and_judged() {
    let Some(root) = std::env::var_os("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: GATELINT_CORPUS names no folder of real configs");
        return;
    };
    let mut figures: BTreeMap<&'static str, Figures> = BTreeMap::new();
    let mut unclaimed = Vec::new();
    let mut silent = Vec::new();
    for path in files(Path::new(&root)) {
        let bytes = std::fs::read(&path).unwrap();
        let label = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        match claimed(&label, &bytes) {
            Some(kind) => {
                let judged = judge_one(&label, &bytes, kind, figures.entry(kind.name).or_default());
                if !judged {
                    silent.push(format!("{} ({})", label, kind.name));
                }
            }
            None => unclaimed.push(label),
        }
    }
    for (kind, figures) in &figures {
        eprintln!(
            "{kind}: {} files, {} fully understood, {} judged, results {:?}",
            figures.files, figures.understood, figures.judged, figures.outcomes
        );
        let mut reasons: Vec<_> = figures.reasons.iter().collect();
        reasons.sort_by_key(|(text, count)| (std::cmp::Reverse(**count), (*text).clone()));
        for (reason, count) in reasons.into_iter().take(10) {
            eprintln!("    {count:5} {reason}");
        }
    }
    eprintln!("{} files are of no kind that is read", unclaimed.len());
    for file in &unclaimed {
        eprintln!("    no kind: {file}");
    }
    assert!(
        silent.is_empty(),
        "nothing was said about:\n{}",
        silent.join("\n")
    );
    assert!(
        figures.values().map(|figures| figures.files).sum::<usize>() > 0,
        "the corpus is empty"
    );
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != "manifest.json")
        .map(walkdir::DirEntry::into_path)
        .collect();
    files.sort();
    files
}

/// The name of a stored file spells its repository and path, `+` and `__` for `/`.
fn claimed(label: &str, bytes: &[u8]) -> Option<&'static Kind> {
    let path = label.replace("__", "/");
    let claims: Vec<_> = KINDS
        .iter()
        .map(|kind| (*kind, (kind.claims)(&path, bytes)))
        .collect();
    let sure = claims
        .iter()
        .find(|(_, claim)| matches!(claim, Claim::Yes(_)));
    let perhaps = claims
        .iter()
        .find(|(_, claim)| matches!(claim, Claim::Maybe(_)));
    sure.or(perhaps).map(|(kind, _)| *kind)
}

/// Whether something was said about the file.
fn judge_one(label: &str, bytes: &[u8], kind: &'static Kind, figures: &mut Figures) -> bool {
    let sources = Sources::new();
    let file = sources.add(label, bytes.to_vec()).unwrap();
    let facts = Facts::default();
    let input = Input {
        file,
        path: label,
        bytes,
    };
    let reading = (kind.read)(&input, &NoFiles, &facts);
    figures.files += 1;
    figures.understood += usize::from(reading.understood == reading.statements);
    let networks = Networks::embedded();
    let policy = builtin(&sources, "chime", &networks).unwrap().unwrap();
    let context = Context {
        sources: &sources,
        files: &NoFiles,
        facts: &facts,
        clients: None,
        fixes: false,
    };
    let subject = Subject {
        input,
        kind,
        why: "test",
        reading: &reading,
        own: gatelint::policy::Own::default(),
    };
    let report = judge(&[policy], &[subject], &context);
    figures.judged += usize::from(report.inputs.iter().any(|input| input.judged));
    for finding in &report.results {
        *figures.outcomes.entry(finding.outcome.word()).or_default() += 1;
        if finding.outcome == Outcome::Undecided {
            for reason in &finding.reasons {
                *figures
                    .reasons
                    .entry(format!("{}: {}", reason.code, reason.text))
                    .or_default() += 1;
            }
        }
    }
    let says_why_not =
        reading.not_judged.is_some() || !reading.findings.is_empty() || !report.notes.is_empty();
    !report.results.is_empty() || says_why_not
}
