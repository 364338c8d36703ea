//! In: two files or folders. Out: what the change from one to the other means, and the exit code.

use std::path::{Path, PathBuf};

use gatelint::diff::{Config, FORMATS, Judged, difference};
use gatelint::report::Masked;
use gatelint::source::FileId;
use gatelint::{Context, Report, Severity, Sources};

use super::arguments::{DiffArguments, InputArguments};
use super::disk::Disk;
use super::project::Declared;
use super::walk::{self, Found};
use super::{Exit, check, policies, screen};

/// Compares.
pub(super) fn run(arguments: &DiffArguments) -> Exit {
    match compared(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            if !error.is_empty() {
                screen::say(&format!("error: {error}"));
            }
            Exit::Unusable
        }
    }
}

/// One side, read and checked.
struct Side {
    found: Found,
    declared: Declared,
    facts: gatelint::Facts,
    /// What names of configs are cut after.
    top: Option<String>,
}

/// An error that is empty has been said.
fn compared(arguments: &DiffArguments) -> Result<Exit, String> {
    let (old, new) = (&arguments.old, &arguments.new);
    if old.is_dir() != new.is_dir() {
        return Err("compare a file with a file, or a folder with a folder".to_owned());
    }
    let sources = Sources::new();
    let disk = Disk::new(&sources, arguments.root.as_deref())
        .map_err(|error| format!("--root: {error}"))?;
    let before = side(arguments, old, &sources, &disk)?;
    let after = side(arguments, new, &sources, &disk)?;
    let policies = policies::load(&arguments.policy, Some(&after.declared), &sources, &disk)
        .ok_or_else(String::new)?;
    let clients = check::clients(&arguments.client).map_err(|word| {
        format!("--client: `{word}` is no address and no network (10.20.0.0/16)")
    })?;
    let judged = |side: &Side, then: &mut dyn FnMut(Judged<'_>)| {
        let context = Context {
            sources: &sources,
            files: &disk,
            facts: &side.facts,
            clients: Some(&clients)
                .filter(|(written, _)| !written.is_empty())
                .or(side.declared.clients()),
            fixes: false,
        };
        let files = side.found.files(&sources);
        let targets = side.found.targets(&files);
        let mut report = gatelint::check(&targets, &policies, &context);
        report.errors.splice(..0, side.found.errors.iter().cloned());
        let readings = gatelint::read(&targets, &context);
        let is_judged = |file: FileId| {
            let mut inputs = report.inputs.iter();
            inputs.any(|input| input.file == file && input.judged)
        };
        let configs: Vec<Config<'_>> = readings
            .iter()
            .filter(|read| is_judged(read.target.input.file))
            .filter_map(|read| {
                let path = read.target.input.path;
                let below = side
                    .top
                    .as_deref()
                    .map(|top| path.strip_prefix(top).unwrap_or(path));
                Some(Config {
                    name: below.unwrap_or_default(),
                    file: read.target.input.file,
                    path,
                    gates: &read.reading.as_ref().ok()?.gates,
                })
            })
            .collect();
        let report = Masked::of(report, &sources).report;
        then(Judged {
            configs: &configs,
            report: &report,
        });
    };
    let mut exit = Exit::Fine;
    let mut found = None;
    judged(&before, &mut |old| {
        judged(&after, &mut |new| {
            let is_unusable = [old, new].map(|side| walk::say_errors(&side.report.errors));
            if is_unusable.contains(&true) {
                exit = Exit::Unusable;
            }
            let difference = difference(&policies, old, new);
            say_nothing_compared(difference.compared, new.report, &mut exit);
            found = Some(difference);
        });
    });
    let difference = found.unwrap_or_default();
    let format = FORMATS
        .iter()
        .find(|format| format.name == arguments.format);
    let text = format.map(|format| {
        let color = screen::wants_color(arguments.look.color);
        format.write(&difference, &sources, color)
    });
    screen::write(&text.unwrap_or_default()).map_err(|error| error.to_string())?;
    let least = arguments
        .fail_on
        .map_or(Some(Severity::Error), super::arguments::FailOn::severity);
    let fails = least.is_some_and(|least| difference.worst() >= least);
    Ok(if exit != Exit::Unusable && fails {
        Exit::Findings
    } else {
        exit
    })
}

/// Finds what one path holds, with its own project's config.
fn side(
    arguments: &DiffArguments,
    path: &Path,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Result<Side, String> {
    let paths = vec![PathBuf::from(path)];
    let facts = check::facts(&arguments.facts);
    let declared = Declared::load(&arguments.project, &paths, &facts, sources, disk);
    let declared = declared.ok_or_else(String::new)?;
    let input = InputArguments {
        paths,
        kind: arguments.kind.clone(),
        stdin_filename: None,
        files_from: None,
        null: false,
        root: arguments.root.clone(),
        no_gitignore: arguments.no_gitignore,
    };
    let found = walk::find(&input, &declared.targets, sources, disk);
    let top = path.is_dir().then(|| match disk.label(path).as_str() {
        "." => String::new(),
        label => format!("{}/", label.trim_end_matches('/')),
    });
    Ok(Side {
        found,
        facts: declared.facts(&facts),
        declared,
        top,
    })
}

fn say_nothing_compared(compared: usize, new: &Report, exit: &mut Exit) {
    if compared == 0 && *exit == Exit::Fine {
        let seen = match new.inputs.len() {
            0 => "no config was found on the new side",
            _ => "no config stands on both sides under one name and can be judged",
        };
        screen::say(&format!("error: nothing was compared: {seen}"));
        *exit = Exit::NothingChecked;
    }
}
