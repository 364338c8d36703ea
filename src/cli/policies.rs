//! In: policy names and parameters from the command line. Out: policies, or their errors on standard error.

use std::path::Path;

use gatelint::policy::{self, Networks, PolicyError};
use gatelint::report::{self, Style};
use gatelint::{Policy, Severity, Sources};

use super::arguments::PolicyArguments;
use super::disk::Disk;
use super::screen;

/// Reads the policies and sets their parameters; `None` where any of it is wrong, which has been said then.
pub(super) fn load(
    arguments: &PolicyArguments,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Option<Vec<Policy>> {
    let networks = Networks::embedded();
    let mut policies = named(&arguments.policy, sources, disk, &networks)?;
    for (name, value) in &arguments.set {
        let tried: Vec<Result<(), PolicyError>> = policies
            .iter_mut()
            .map(|policy| policy.set(name, value))
            .collect();
        if tried.iter().any(Result::is_ok) {
            continue;
        }
        if let Some(Err(error)) = tried.into_iter().next() {
            say(&error, &format!("--set {name}={value}"), sources);
            return None;
        }
    }
    Some(policies)
}

/// Reads policies by their names; says what is wrong with them.
pub(super) fn named(
    names: &[String],
    sources: &Sources,
    disk: &Disk<'_>,
    networks: &Networks,
) -> Option<Vec<Policy>> {
    let mut policies = Vec::new();
    let mut is_fine = true;
    for name in names {
        let read = match open(name, sources, disk, networks) {
            Ok(read) => read,
            Err(error) => {
                screen::say(&format!("error: {error}"));
                is_fine = false;
                continue;
            }
        };
        match read {
            Ok(policy) => policies.push(policy),
            Err(errors) => {
                for error in errors {
                    say(&error, name, sources);
                }
                is_fine = false;
            }
        }
    }
    is_fine.then_some(policies)
}

/// Opens a policy by its name; an error says that there is none.
fn open(
    name: &str,
    sources: &Sources,
    disk: &Disk<'_>,
    networks: &Networks,
) -> Result<Result<Policy, Vec<PolicyError>>, String> {
    let Some(builtin) = name.strip_prefix("builtin:") else {
        let file = disk
            .load(Path::new(name), None)
            .map_err(|error| format!("policy {name}: {error}"))?;
        return Ok(policy::parse(sources, file, networks));
    };
    policy::builtin(sources, builtin, networks).ok_or_else(|| {
        let known: Vec<&str> = policy::BUILTINS.iter().map(|(name, _)| *name).collect();
        let nearest = policy::did_you_mean(builtin, &known);
        format!("no builtin policy `{builtin}`; {nearest}")
    })
}

/// Says an error of a policy with its place.
pub(super) fn say(error: &PolicyError, of: &str, sources: &Sources) {
    let help = error.help.as_deref();
    let text = if let Some(span) = error.span {
        let style = Style::default();
        report::problem(sources, span, &error.message, help, Severity::Error, style)
    } else {
        let help = help.map_or(String::new(), |help| format!("; {help}"));
        format!("error: {of}: {}{help}", error.message)
    };
    screen::say(text.trim_end());
}
