//! In: a folder. Out: a `gatelint.yaml` for it, what was assumed marked so.

use std::fmt::Write as _;

use gatelint::finding::Report;
use gatelint::policy::ParameterValue;
use gatelint::report::visible;
use gatelint::{Context, Facts, Policy, Sources};

use super::Exit;
use super::arguments::InitArguments;
use super::disk::Disk;
use super::{policies, screen, walk};

/// Shows the file, or writes it where `--yes` says so; never over one that is there.
pub(super) fn run(arguments: &InitArguments) -> Exit {
    let sources = Sources::new();
    let Ok(disk) = Disk::new(&sources, None) else {
        return Exit::Unusable;
    };
    let Some(policies) = policies::load(&arguments.policy, None, &sources, &disk) else {
        return Exit::Unusable;
    };
    let found = walk::find(&arguments.input, &[], &sources, &disk);
    if walk::say_errors(&found.errors) {
        return Exit::Unusable;
    }
    let files = found.files(&sources);
    let facts = Facts::default();
    let context = Context {
        sources: &sources,
        files: &disk,
        facts: &facts,
        clients: None,
        fixes: false,
    };
    let report = gatelint::check(&found.targets(&files), &policies, &context);
    let text = text(&report, &policies, &arguments.policy.names(), &sources);
    if !arguments.yes {
        screen::say("this is what `gatelint init --yes` writes to gatelint.yaml:");
        return match screen::write(&visible(&text)) {
            Ok(()) => Exit::Fine,
            Err(_) => Exit::Unusable,
        };
    }
    match super::disk::create(std::path::Path::new("gatelint.yaml"), &text) {
        Ok(()) => {
            screen::say("wrote gatelint.yaml; look at what is marked `# assumed`");
            Exit::Fine
        }
        Err(error) => {
            screen::say(&format!("error: gatelint.yaml: {error}"));
            Exit::Unusable
        }
    }
}

fn text(report: &Report, policies: &[Policy], names: &[String], sources: &Sources) -> String {
    let names: Vec<String> = names.iter().map(|name| word(name)).collect();
    let mut text = format!("extends: [{}]\nset:\n", names.join(", "));
    for policy in policies {
        for parameter in &policy.parameters {
            if let ParameterValue::Words(words) = &parameter.value {
                let words: Vec<String> = words.iter().map(|each| word(each)).collect();
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "  {}: [{}]  # assumed",
                    parameter.name,
                    words.join(", ")
                );
            }
        }
    }
    text.push_str("targets:\n");
    let judged: Vec<_> = report.inputs.iter().filter(|input| input.judged).collect();
    for input in &judged {
        let path = sources.path(input.file);
        let role = input.role.as_deref().filter(|role| is_role(role));
        let role = role.map_or(String::new(), |role| format!(", role: {role}"));
        let kind = input.kind.unwrap_or_default();
        let _ = writeln!(
            text,
            "  - {{path: {}, kind: {kind}{role}}}  # assumed",
            word(&path)
        );
    }
    if judged.is_empty() {
        text.push_str("  []\n");
    }
    let mut clients: Vec<&str> = report
        .results
        .iter()
        .flat_map(|finding| &finding.clients.groups)
        .map(|group| group.name.as_str())
        .collect();
    clients.sort_unstable();
    clients.dedup();
    if !clients.is_empty() {
        let _ = writeln!(
            text,
            "# the clients that the configs serve; declare others with `clients: [10.0.0.0/8]`:\n# {}",
            gatelint::report::one_line(&clients.join(", "))
        );
    }
    text
}

fn is_role(role: &str) -> bool {
    ["host", "gateway"].contains(&role)
}

/// A YAML scalar; anything but plain words is quoted as JSON does, which YAML reads the same.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-:".contains(c);
    let starts_plainly = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    if starts_plainly && text.chars().all(is_plain) && !text.contains(": ") && !text.ends_with(':')
    {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
