//! In: policies and the tables of kinds. Out: the list of every rule, and what one of them means.

use std::collections::BTreeSet;

use gatelint::config::{Diagnostic, Level};
use gatelint::policy::did_you_mean;
use gatelint::{KINDS, Policy, Severity, Sources};

use super::Exit;
use super::arguments::{ExplainArguments, PolicyArguments, RulesArguments};
use super::disk::Disk;
use super::{policies, screen};

/// The rule of a file that was taken for a config and is none.
const INPUT: &str = "input";

/// Lists every rule with its severity.
pub(super) fn list(arguments: &RulesArguments) -> Exit {
    let Some(policies) = load(&arguments.policy) else {
        return Exit::Unusable;
    };
    let mut rows: Vec<(String, &str, String)> = Vec::new();
    for policy in &policies {
        for requirement in &policy.requirements {
            rows.push((
                policy.rule(requirement),
                policy.severity(requirement).word(),
                requirement.title.clone(),
            ));
        }
    }
    for diagnostic in diagnostics() {
        rows.push((
            diagnostic.id.to_owned(),
            severity(diagnostic.level).word(),
            diagnostic.title.to_owned(),
        ));
    }
    rows.push((
        INPUT.to_owned(),
        Severity::Warning.word(),
        "A file that looked like a config could not be read".to_owned(),
    ));
    let width = rows.iter().map(|(id, ..)| id.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(id, severity, title)| format!("{id:width$}  {severity:7}  {title}"))
        .collect();
    for policy in &policies {
        let date = policy.ranges_date.as_deref();
        let ranges = date.map_or(String::new(), |date| format!(", address ranges of {date}"));
        lines.push(String::new());
        lines.push(format!("policy {} {}{ranges}", policy.id, policy.version));
    }
    lines.push(String::new());
    finish(&lines.join("\n"))
}

/// Says what a rule means.
pub(super) fn explain(arguments: &ExplainArguments) -> Exit {
    let Some(policies) = load(&arguments.policy) else {
        return Exit::Unusable;
    };
    let name = arguments.rule.as_str();
    if let Some(text) = policies.iter().find_map(|policy| requirement(policy, name)) {
        return finish(&text);
    }
    if let Some(diagnostic) = diagnostics().find(|diagnostic| diagnostic.id == name) {
        return finish(&format!(
            "{}\n{} ({} by default)\n\n{}\n",
            diagnostic.id,
            diagnostic.title,
            severity(diagnostic.level).word(),
            diagnostic.doc
        ));
    }
    if name == INPUT {
        return finish(
            "input\nA file that looked like a config could not be read (warning by default)\n\n\
             A walk met a file whose name or text looks like a config, but not one statement of it could be read, so \
             nothing about it was checked. Say what it is with `--kind KIND=PATH`, or leave it out.\n",
        );
    }
    say_unknown([&arguments.rule], &policies);
    Exit::Unusable
}

fn requirement(policy: &Policy, name: &str) -> Option<String> {
    let requirement = policy
        .requirements
        .iter()
        .find(|requirement| policy.rule(requirement) == name)?;
    let mut paragraphs = vec![format!(
        "{name}\n{} ({} by default)",
        requirement.title,
        policy.severity(requirement).word()
    )];
    paragraphs.extend(requirement.why.clone());
    let fixes = requirement.fix.all();
    paragraphs.extend(fixes.map(|fix| format!("What to do: {fix}")));
    let checks = requirement.live_check.all();
    paragraphs.extend(checks.map(|check| format!("On the live machine: {check}")));
    if !requirement.links.is_empty() {
        paragraphs.push(format!("Source: {}", requirement.links.join(", ")));
    }
    Some(paragraphs.join("\n\n") + "\n")
}

/// Whether a selector (`chime`, `chime/media`) covers a rule.
pub(super) fn covers(selector: &str, rule: &str) -> bool {
    selector == rule
        || rule
            .strip_prefix(selector.trim_end_matches("/*").trim_end_matches('/'))
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Says selectors that cover no rule; whether all of them cover one.
pub(super) fn say_unknown<'a>(
    selectors: impl IntoIterator<Item = &'a String>,
    policies: &[Policy],
) -> bool {
    let mut known: Vec<String> = vec![INPUT.to_owned()];
    for policy in policies {
        known.extend(policy.requirements.iter().map(|r| policy.rule(r)));
    }
    known.extend(diagnostics().map(|diagnostic| diagnostic.id.to_owned()));
    let mut is_fine = true;
    for selector in selectors {
        if known.iter().any(|rule| covers(selector, rule)) {
            continue;
        }
        let nearest = did_you_mean(selector, &known);
        let hint = if nearest.starts_with("did you mean") {
            nearest
        } else {
            "`gatelint rules` lists them".to_owned()
        };
        screen::say(&format!("error: no rule `{selector}`; {hint}"));
        is_fine = false;
    }
    is_fine
}

fn diagnostics() -> impl Iterator<Item = &'static Diagnostic> {
    let mut seen = BTreeSet::new();
    let all = KINDS.iter().flat_map(|kind| kind.diagnostics);
    all.filter(move |diagnostic| seen.insert(diagnostic.id))
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Info => Severity::Info,
        Level::Warning => Severity::Warning,
        Level::Error => Severity::Error,
    }
}

fn load(arguments: &PolicyArguments) -> Option<Vec<Policy>> {
    let sources = Sources::new();
    let disk = Disk::new(&sources, None).ok()?;
    policies::load(arguments, &sources, &disk)
}

fn finish(text: &str) -> Exit {
    if screen::write(text).is_ok() {
        Exit::Fine
    } else {
        Exit::Unusable
    }
}
