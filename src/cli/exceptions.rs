//! In: the project's config and a day. Out: its exceptions, the next to expire first.

use gatelint::{Facts, Sources};
use jiff::ToSpan;

use super::Exit;
use super::arguments::ExceptionsArguments;
use super::disk::Disk;
use super::project::{Declared, today};
use super::screen;

/// Lists the exceptions; ends with 1 where one has expired.
pub(super) fn run(arguments: &ExceptionsArguments) -> Exit {
    let sources = Sources::new();
    let Ok(disk) = Disk::new(&sources, None) else {
        return Exit::Unusable;
    };
    let paths = std::slice::from_ref(&arguments.path);
    let facts = Facts::default();
    let Some(declared) = Declared::load(&arguments.project, paths, &facts, &sources, &disk) else {
        return Exit::Unusable;
    };
    let Some(project) = declared.project else {
        screen::say("error: there is no gatelint.yaml; `gatelint init` writes one");
        return Exit::Unusable;
    };
    let today = today(arguments.project.today);
    let until = arguments
        .expiring_in
        .map(|days| today.saturating_add(i64::from(days).days()));
    let mut listed: Vec<_> = project
        .exceptions
        .iter()
        .filter(|exception| until.is_none_or(|until| exception.expires <= until))
        .collect();
    listed.sort_by_key(|exception| exception.expires);
    let text: String = listed
        .iter()
        .map(|exception| {
            let verb = if exception.expires < today {
                "expired"
            } else {
                "expires"
            };
            let target = exception.target.as_deref().unwrap_or("every target");
            let line = format!(
                "{verb} {}: {} at {target} ({}): {}",
                exception.expires, exception.rule.value, exception.owner, exception.reason
            );
            gatelint::report::one_line(&line) + "\n"
        })
        .collect();
    if screen::write(&text).is_err() {
        return Exit::Unusable;
    }
    if listed.is_empty() {
        screen::say("no exception");
    }
    if listed.iter().any(|exception| exception.expires < today) {
        Exit::Findings
    } else {
        Exit::Fine
    }
}
