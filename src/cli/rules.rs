//! In: policies and the tables of kinds. Out: the list of every rule, and what one of them means.

use gatelint::finding::RuleInfo;
use gatelint::policy::did_you_mean;
use gatelint::project::covers;
use gatelint::report::visible;
use gatelint::{Facts, Policy, Sources};

use super::Exit;
use super::arguments::{ExplainArguments, PolicyArguments, ProjectArguments, RulesArguments};
use super::disk::Disk;
use super::project::Declared;
use super::{policies, screen};

/// Lists every rule with its severity.
pub(super) fn list(arguments: &RulesArguments) -> Exit {
    let Some(policies) = load(&arguments.project, &arguments.policy) else {
        return Exit::Unusable;
    };
    let rows = gatelint::rules(&policies);
    let width = rows.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = rows
        .iter()
        .map(|rule| {
            let severity = rule.severity.word();
            format!("{:width$}  {severity:7}  {}", rule.id, rule.title)
        })
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
    let Some(policies) = load(&arguments.project, &arguments.policy) else {
        return Exit::Unusable;
    };
    let rules = gatelint::rules(&policies);
    let Some(rule) = rules.iter().find(|rule| rule.id == arguments.rule) else {
        say_unknown([&arguments.rule], &policies);
        return Exit::Unusable;
    };
    finish(&explanation(rule))
}

fn explanation(rule: &RuleInfo) -> String {
    let mut paragraphs = vec![format!(
        "{}\n{} ({} by default)",
        rule.id,
        rule.title,
        rule.severity.word()
    )];
    paragraphs.extend(rule.why.clone());
    let fixes = rule.fixes.iter();
    paragraphs.extend(fixes.map(|fix| format!("What to do: {fix}")));
    let checks = rule.live_checks.iter();
    paragraphs.extend(checks.map(|check| format!("On the live machine: {check}")));
    if !rule.links.is_empty() {
        paragraphs.push(format!("Source: {}", rule.links.join(", ")));
    }
    paragraphs.join("\n\n") + "\n"
}

/// Whether a name covers any rule.
pub(super) fn is_known(selector: &str, policies: &[Policy]) -> bool {
    let rules = gatelint::rules(policies);
    rules.iter().any(|rule| covers(selector, &rule.id))
}

/// Says selectors that cover no rule; whether all of them cover one.
pub(super) fn say_unknown<'a>(
    selectors: impl IntoIterator<Item = &'a String>,
    policies: &[Policy],
) -> bool {
    let rules = gatelint::rules(policies);
    let known: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
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

fn load(project: &ProjectArguments, arguments: &PolicyArguments) -> Option<Vec<Policy>> {
    let sources = Sources::new();
    let disk = Disk::new(&sources, None).ok()?;
    let declared = Declared::load(project, &[], &Facts::default(), &sources, &disk)?;
    policies::load(arguments, Some(&declared), &sources, &disk)
}

fn finish(text: &str) -> Exit {
    // Policies are other people's text as much as configs are.
    if screen::write(&visible(text)).is_ok() {
        Exit::Fine
    } else {
        Exit::Unusable
    }
}
