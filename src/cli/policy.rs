//! In: policies. Out: everything that is wrong with them, or the schema that editors want.

use gatelint::policy;
use gatelint::report::visible;
use gatelint::{Policy, Sources};

use super::arguments::PolicyCheckArguments;
use super::disk::Disk;
use super::{Exit, networks, policies, screen};

/// Says every fault of every policy; one that cannot be opened beats one that is faulty.
pub(super) fn check(arguments: &PolicyCheckArguments) -> Exit {
    let sources = Sources::new();
    let Ok(disk) = Disk::new(&sources, None) else {
        return Exit::Unusable;
    };
    let Some(networks) = networks::load(&arguments.networks, None, &sources, &disk) else {
        return Exit::Unusable;
    };
    let mut exit = Exit::Fine;
    let mut text = String::new();
    for name in &arguments.policy {
        match policies::open(name, None, &sources, &disk, &networks) {
            Ok(Ok(policy)) => text.push_str(&fine(name, &policy)),
            Ok(Err(faults)) => {
                for fault in &faults {
                    text.push_str(policies::told(fault, name, &sources).trim_end());
                    text.push('\n');
                }
                let word = if faults.len() == 1 { "fault" } else { "faults" };
                text.extend([name, ": ", &faults.len().to_string(), " ", word, "\n"]);
                if exit == Exit::Fine {
                    exit = Exit::Findings;
                }
            }
            Err(error) => {
                screen::say(&format!("error: {error}"));
                exit = Exit::Unusable;
            }
        }
    }
    match screen::write(&visible(&text)) {
        Ok(()) => exit,
        Err(_) => Exit::Unusable,
    }
}

fn fine(name: &str, policy: &Policy) -> String {
    let date = policy.ranges_date.as_deref();
    let ranges = date.map_or(String::new(), |date| format!(", address ranges of {date}"));
    format!(
        "{name}: no fault; policy {} {}, {} requirements, {} tests{ranges}\n",
        policy.id,
        policy.version,
        policy.requirements.len(),
        policy.tests.len()
    )
}

/// Writes the schema.
pub(super) fn schema() -> Exit {
    match screen::write(&policy::schema()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unusable,
    }
}
