//! In: a policy with its tests. Out: what did not come out as the tests expect.
//!
//! A requirement that a test does not list must not fail; a requirement that no test shows failing is reported.

use super::check::{Told, requirements};
use super::{Context, Policy, PolicyTest, Subject, TestConfig, TestReport, TestResult};
use crate::config::{Facts, Files, Input, Opened, kind};
use crate::finding::{Finding, Outcome};
use crate::source::{FileId, Sources};

/// Runs a policy's tests. `files` opens the configs that tests name, seen from the policy's file.
pub fn test(policy: &Policy, files: &dyn Files) -> TestReport {
    let mut failing: Vec<String> = Vec::new();
    let results = policy
        .tests
        .iter()
        .map(|test| {
            let problems = match run(policy, test, files) {
                Ok((results, sources)) => {
                    failing.extend(shown_failing(test, &results));
                    compare(policy, test, &results, &sources)
                }
                Err(problem) => vec![problem],
            };
            TestResult {
                name: test.name.clone(),
                span: test.span,
                problems,
            }
        })
        .collect();
    let without = policy
        .requirements
        .iter()
        .map(|requirement| policy.rule(requirement))
        .filter(|rule| !failing.contains(rule))
        .collect();
    TestReport {
        results,
        without_failing_test: without,
    }
}

/// The rules that a test expects not to hold and that do not hold.
fn shown_failing(test: &PolicyTest, results: &[Finding]) -> Vec<String> {
    let bad = |outcome: Outcome| matches!(outcome, Outcome::Fail | Outcome::Degraded);
    results
        .iter()
        .filter(|finding| bad(finding.outcome))
        .filter(|finding| {
            test.expect.iter().any(|expected| {
                bad(expected.outcome)
                    && finding
                        .rule
                        .ends_with(&format!("/{}", expected.requirement))
            })
        })
        .map(|finding| finding.rule.clone())
        .collect()
}

fn run(
    policy: &Policy,
    test: &PolicyTest,
    files: &dyn Files,
) -> Result<(Vec<Finding>, Sources), String> {
    let Some(kind) = kind(&test.kind) else {
        return Err(format!("there is no kind `{}`", test.kind));
    };
    let mut policy = policy.clone();
    for (name, value) in &test.set {
        policy.set(name, value).map_err(|error| error.message)?;
    }
    let sources = Sources::new();
    let bytes = match &test.config {
        TestConfig::Text(text) => text.as_bytes().to_vec(),
        TestConfig::File(name) => match files.open(policy.file, name) {
            Opened::Found { bytes, .. } => bytes.to_vec(),
            Opened::Missing => return Err(format!("`{name}` is not there")),
            Opened::Refused(why) => return Err(format!("`{name}` was not read: {why}")),
        },
    };
    let path = match &test.config {
        TestConfig::Text(_) => "input",
        TestConfig::File(name) => name,
    };
    let file = sources
        .add(path, bytes)
        .map_err(|error| error.to_string())?;
    let mut facts = Facts::default();
    for (name, value) in &test.facts {
        facts.set(name, value);
    }
    let results = results(&policy, kind, file, &sources, &facts);
    Ok((results, sources))
}

fn results(
    policy: &Policy,
    kind: &'static crate::config::Kind,
    file: FileId,
    sources: &Sources,
    facts: &Facts,
) -> Vec<Finding> {
    let source = sources.file(file);
    let input = Input {
        file,
        path: &source.path,
        bytes: &source.bytes,
    };
    let files = crate::config::NoFiles;
    let reading = (kind.read)(&input, &files, facts);
    let subject = Subject {
        input,
        kind,
        why: "the test says so",
        reading: &reading,
        own: super::Own::default(),
    };
    let context = Context {
        sources,
        files: &files,
        facts,
        clients: None,
        fixes: false,
    };
    let mut told = Told::default();
    requirements(policy, &subject, &context, true, &mut told);
    told.results
}

/// What is not as expected.
fn compare(
    policy: &Policy,
    test: &PolicyTest,
    results: &[Finding],
    sources: &Sources,
) -> Vec<String> {
    let mut problems = Vec::new();
    for requirement in &policy.requirements {
        let rule = policy.rule(requirement);
        let of_it = || results.iter().filter(|finding| finding.rule == rule);
        let worst = of_it().max_by_key(|finding| finding.outcome);
        let outcome = worst.map_or(Outcome::NotApplicable, |finding| finding.outcome);
        let expected = test.expect.iter().find(|e| e.requirement == requirement.id);
        let Some(expected) = expected else {
            if outcome == Outcome::Fail {
                let message = worst.map_or("", |finding| finding.message.as_str());
                problems.push(format!(
                    "`{}` fails and is not listed: {message}",
                    requirement.id
                ));
            }
            continue;
        };
        if expected.outcome != outcome {
            let message = worst.map_or("", |finding| finding.message.as_str());
            problems.push(format!(
                "`{}` is {}, expected {}: {message}",
                requirement.id,
                outcome.word(),
                expected.outcome.word()
            ));
            continue;
        }
        let line = worst
            .and_then(|finding| finding.primary.as_ref())
            .map(|label| sources.line(label.span));
        if let Some(wanted) = expected.line
            && line != Some(wanted)
        {
            let found = line.map_or_else(|| "no line".to_owned(), |line| format!("line {line}"));
            problems.push(format!(
                "`{}` is decided by {found}, expected line {wanted}",
                requirement.id
            ));
        }
    }
    problems
}
