//! In: a file of published address ranges. Out: the ranges that policies mean, or a smaller file of them for later runs.
//!
//! Nothing is downloaded: the file is fetched by whoever may, and its date is said wherever ranges are.

use std::path::Path;

use gatelint::Sources;
use gatelint::policy::{Networks, did_you_mean};

use super::arguments::{NetworksChoice, NetworksUpdateArguments};
use super::disk::{self, Disk, DiskError};
use super::project::Declared;
use super::{Exit, policies, screen};

/// The ranges that are chosen: the command line's, the project's, else the program's. `None` where they cannot be read,
/// which has been said then.
pub(super) fn load(
    choice: &NetworksChoice,
    declared: Option<&Declared>,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Option<Networks> {
    if let Some(path) = &choice.networks {
        return read(path, None, sources, disk);
    }
    let named = declared.and_then(|declared| Some((declared, declared.networks()?)));
    match named {
        Some((declared, path)) => read(&path, Some(&declared.folder), sources, disk),
        None => Some(Networks::embedded()),
    }
}

fn read(
    path: &Path,
    folder: Option<&Path>,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Option<Networks> {
    let label = disk.label(path);
    let file = match disk.load(path, folder) {
        Ok(file) => file,
        Err(error) => {
            screen::say(&format!("error: networks {label}: {error}"));
            return None;
        }
    };
    match Networks::read(sources, file) {
        Ok(networks) => Some(networks),
        Err(errors) => {
            for error in &errors {
                policies::say(error, &label, sources);
            }
            None
        }
    }
}

/// Writes the ranges of the services that the snapshot has, and of those that are asked for.
pub(super) fn update(arguments: &NetworksUpdateArguments) -> Exit {
    let sources = Sources::new();
    let Ok(disk) = Disk::new(&sources, None) else {
        return Exit::Unusable;
    };
    let Some(new) = read(&arguments.from, None, &sources, &disk) else {
        return Exit::Unusable;
    };
    let target = disk.label(&arguments.write);
    // What is there must hold ranges: nothing else is written over.
    let old = match disk.load(&arguments.write, None) {
        Err(DiskError::Missing) => Some(Networks::embedded()),
        Err(_) | Ok(_) => read(&arguments.write, None, &sources, &disk),
    };
    let Some(old) = old else {
        return Exit::Unusable;
    };
    let embedded = Networks::embedded();
    let mut services = embedded.names();
    services.extend(arguments.service.iter().map(String::as_str));
    services.sort_unstable();
    services.dedup();
    for service in &services {
        if new.service(service).is_none() {
            let hint = did_you_mean(service, &new.names());
            let from = arguments.from.display();
            screen::say(&format!("error: {from} has no service `{service}`; {hint}"));
            return Exit::Unusable;
        }
    }
    if let Err(error) = disk::write(&arguments.write, &new.to_yaml(&services)) {
        screen::say(&format!("error: {target}: {error}"));
        return Exit::Unusable;
    }
    let date = |networks: &Networks| {
        networks
            .date
            .clone()
            .unwrap_or_else(|| "unknown date".to_owned())
    };
    let mut lines = vec![format!(
        "wrote {target}: address ranges of {}, before {}",
        date(&new),
        date(&old)
    )];
    if new.date < old.date {
        lines.push("note: these are older than what was there".to_owned());
    }
    lines.extend(
        services
            .iter()
            .map(|service| format!("  {service}: {}", new.change(&old, service))),
    );
    lines.push(format!(
        "name it: `--networks {target}`, or `networks: {target}` in gatelint.yaml"
    ));
    lines.push(String::new());
    match screen::write(&gatelint::report::visible(&lines.join("\n"))) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unusable,
    }
}
