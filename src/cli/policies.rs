//! In: policy names and parameters from the command line. Out: policies, or their errors on standard error.

use std::path::Path;

use gatelint::policy::{self, Networks, PolicyError};
use gatelint::project::Project;
use gatelint::report::{self, Style};
use gatelint::{Policy, Severity, Sources};

use super::arguments::PolicyArguments;
use super::disk::Disk;
use super::project::Declared;
use super::{networks, screen};

/// Reads the policies and sets their parameters; `None` where any of it is wrong, which has been said then.
pub(super) fn load(
    arguments: &PolicyArguments,
    declared: Option<&Declared>,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Option<Vec<Policy>> {
    let networks = networks::load(&arguments.networks, declared, sources, disk)?;
    let project = declared.and_then(|declared| declared.project.as_ref().map(|p| (declared, p)));
    let mut policies = match project {
        Some((declared, project)) if arguments.policy.is_empty() && !project.extends.is_empty() => {
            extended(declared, project, sources, disk, &networks)?
        }
        Some(_) | None => named(&arguments.names(), None, sources, disk, &networks)?,
    };
    for (name, value) in project.iter().flat_map(|(_, project)| &project.set) {
        if let Err(mut error) = set(&mut policies, &name.value, value) {
            error.span = Some(name.span);
            say(&error, &name.value, sources);
            return None;
        }
    }
    for (name, value) in &arguments.set {
        if let Err(error) = set(&mut policies, name, value) {
            say(&error, &format!("--set {name}={value}"), sources);
            return None;
        }
    }
    Some(policies)
}

/// Sets a parameter in every policy that has it; an error where none takes it.
fn set(policies: &mut [Policy], name: &str, value: &str) -> Result<(), PolicyError> {
    let tried: Vec<Result<(), PolicyError>> = policies
        .iter_mut()
        .map(|policy| policy.set(name, value))
        .collect();
    if tried.iter().any(Result::is_ok) {
        return Ok(());
    }
    tried.into_iter().next().unwrap_or(Ok(()))
}

/// The policies that the project's config names, each of the version that it pins.
fn extended(
    declared: &Declared,
    project: &Project,
    sources: &Sources,
    disk: &Disk<'_>,
    networks: &Networks,
) -> Option<Vec<Policy>> {
    let mut policies = Vec::new();
    for word in &project.extends {
        let (name, pinned) = match word.value.split_once('@') {
            Some((name, version)) if name.starts_with("builtin:") => (name, Some(version)),
            Some(_) | None => (word.value.as_str(), None),
        };
        let name = if name.starts_with("builtin:") {
            name.to_owned()
        } else {
            declared.folder.join(name).to_string_lossy().into_owned()
        };
        for policy in named(&[name], Some(&declared.folder), sources, disk, networks)? {
            if let Some(pinned) = pinned.filter(|pinned| *pinned != policy.version) {
                let error = PolicyError {
                    span: Some(word.span),
                    message: format!("policy `{}` is pinned to {pinned}", policy.id),
                    help: Some(format!("this program comes with {}", policy.version)),
                };
                say(&error, &word.value, sources);
                return None;
            }
            policies.push(policy);
        }
    }
    Some(policies)
}

/// Reads policies by their names; says what is wrong with them. What a config in a folder names must lie in its root.
pub(super) fn named(
    names: &[String],
    folder: Option<&Path>,
    sources: &Sources,
    disk: &Disk<'_>,
    networks: &Networks,
) -> Option<Vec<Policy>> {
    let mut policies = Vec::new();
    let mut is_fine = true;
    for name in names {
        let read = match open(name, folder, sources, disk, networks) {
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
pub(super) fn open(
    name: &str,
    folder: Option<&Path>,
    sources: &Sources,
    disk: &Disk<'_>,
    networks: &Networks,
) -> Result<Result<Policy, Vec<PolicyError>>, String> {
    let Some(builtin) = name.strip_prefix("builtin:") else {
        let file = disk
            .load(Path::new(name), folder)
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
    screen::say(told(error, of, sources).trim_end());
}

/// An error of a policy with its place.
pub(super) fn told(error: &PolicyError, of: &str, sources: &Sources) -> String {
    let help = error.help.as_deref();
    if let Some(span) = error.span {
        let style = Style::default();
        report::problem(sources, span, &error.message, help, Severity::Error, style)
    } else {
        let help = help.map_or(String::new(), |help| format!("; {help}"));
        format!("error: {of}: {}{help}", error.message)
    }
}
