//! In: the arguments of `check`. Out: a report on standard output, and the exit code.

use std::net::IpAddr;
use std::path::Path;

use gatelint::finding::Finding;
use gatelint::model::Ranges;
use gatelint::project::{Baseline, FailOn, accept, covers, suppress};
use gatelint::report::{self, Masked, Style};
use gatelint::{Context, Facts, Outcome, Report, Severity, Sources};

use super::Exit;
use super::arguments::{CheckArguments, FactArguments};
use super::disk::{self, Disk};
use super::project::{self, Declared};
use super::{policies, rules, screen, walk};

/// Checks, or writes down what a check finds as a baseline.
pub(super) fn run(arguments: &CheckArguments, baseline: Option<&Path>) -> Exit {
    let sources = Sources::new();
    let disk = match Disk::new(&sources, arguments.input.root.as_deref()) {
        Ok(disk) => disk,
        Err(error) => {
            screen::say(&format!("error: --root: {error}"));
            return Exit::Unusable;
        }
    };
    let facts = facts(&arguments.facts);
    let paths = &arguments.input.paths;
    let Some(mut declared) = Declared::load(&arguments.project, paths, &facts, &sources, &disk)
    else {
        return Exit::Unusable;
    };
    let Some(policies) = policies::load(&arguments.policy, Some(&declared), &sources, &disk) else {
        return Exit::Unusable;
    };
    if !rules::say_unknown(arguments.select.iter().chain(&arguments.ignore), &policies) {
        return Exit::Unusable;
    }
    let clients = match clients(&arguments.client) {
        Ok(clients) => clients,
        Err(word) => {
            screen::say(&format!(
                "error: --client: `{word}` is no address and no network (10.20.0.0/16)"
            ));
            return Exit::Unusable;
        }
    };
    if !clients.0.is_empty() {
        declared.forget_clients();
    }
    let found = walk::find(&arguments.input, &declared.targets, &sources, &disk);
    let facts = declared.facts(&facts);
    let context = Context {
        sources: &sources,
        files: &disk,
        facts: &facts,
        clients: Some(&clients)
            .filter(|(written, _)| !written.is_empty())
            .or(declared.clients()),
        fixes: true,
    };
    let files = found.files(&sources);
    let mut report = gatelint::check(&found.targets(&files), &policies, &context);
    report.errors.splice(..0, found.errors.iter().cloned());
    report.notes.extend(found.notes.iter().cloned());
    report.folder = disk.folder();
    let undecided = arguments.undecided.severity();
    let keeps = |finding: &Finding| {
        let named = |rules: &[String]| rules.iter().any(|rule| covers(rule, &finding.rule));
        (arguments.select.is_empty() || named(&arguments.select)) && !named(&arguments.ignore)
    };
    let knows = |rule: &str| rules::is_known(rule, &policies);
    suppress(&knows, &mut report, &sources);
    if let Some(project) = &declared.project {
        let today = project::today(arguments.project.today);
        accept(project, today, &knows, &mut report, &sources);
    }
    report.results.retain(keeps);
    for finding in &mut report.results {
        if finding.outcome == Outcome::Undecided && finding.severity > Severity::Info {
            finding.severity = undecided;
        }
    }
    if let Some(path) = baseline {
        return write_baseline(path, &report);
    }
    let Ok(known) = known(arguments, &declared, &sources, &disk) else {
        return Exit::Unusable;
    };
    if let Some(known) = known {
        known.apply(&mut report);
    }
    let is_unusable = walk::say_errors(&report.errors);
    let masked = Masked::of(report, &sources);
    let least = match arguments.fail_on {
        Some(given) => given.severity(),
        None => match declared.fail_on() {
            Some(FailOn::From(severity)) => Some(severity),
            Some(FailOn::Never) => None,
            None => Some(Severity::Error),
        },
    };
    if !show(arguments, least, &masked) {
        return Exit::Unusable;
    }
    let report = &masked.report;
    let has_checked = report.inputs.iter().any(|input| input.judged);
    if !has_checked && !is_unusable {
        say_nothing_checked(report, found.unknown, arguments.allow_nothing);
    }
    exit(arguments, least, report, is_unusable, has_checked)
}

/// Writes down what a check holds against its configs.
fn write_baseline(path: &Path, report: &Report) -> Exit {
    if walk::say_errors(&report.errors) {
        return Exit::Unusable;
    }
    let baseline = Baseline::of(report);
    if let Err(error) = disk::write(path, &baseline.text()) {
        screen::say(&format!("error: {}: {error}", path.display()));
        return Exit::Unusable;
    }
    screen::say(&format!(
        "wrote {} findings to {}",
        baseline.len(),
        path.display()
    ));
    Exit::Fine
}

/// The baseline that holds for a run, where there is one; an error has been said.
fn known(
    arguments: &CheckArguments,
    declared: &Declared,
    sources: &Sources,
    disk: &Disk<'_>,
) -> Result<Option<Baseline>, ()> {
    let Some(path) = arguments.baseline.clone().or_else(|| declared.baseline()) else {
        return Ok(None);
    };
    let read = disk
        .load(&path, None)
        .map_err(|error| error.to_string())
        .and_then(|file| {
            let bytes = &sources.file(file).bytes;
            Baseline::parse(&String::from_utf8_lossy(bytes))
        });
    read.map(Some).map_err(|error| {
        screen::say(&format!("error: baseline {}: {error}", disk.label(&path)));
    })
}

fn exit(
    arguments: &CheckArguments,
    least: Option<Severity>,
    report: &Report,
    is_unusable: bool,
    has_checked: bool,
) -> Exit {
    let fails = least.is_some_and(|least| report.worst() >= least);
    if is_unusable {
        Exit::Unusable
    } else if fails && !arguments.exit_zero {
        Exit::Findings
    } else if has_checked || arguments.allow_nothing {
        Exit::Fine
    } else {
        Exit::NothingChecked
    }
}

/// Writes the report to standard output, and to every file that asks for it; whether that went well.
fn show(arguments: &CheckArguments, least: Option<Severity>, masked: &Masked) -> bool {
    let Some(format) = report::format(&arguments.format) else {
        return false;
    };
    let style = Style {
        color: screen::wants_color(arguments.look.color),
        least: arguments.min_severity.severity(),
        quiet: arguments.quiet,
        verbose: arguments.verbose,
        fail_on: least,
    };
    let mut is_fine = true;
    for output in &arguments.output {
        let plain = Style {
            color: false,
            ..style
        };
        if let Err(error) = disk::write(&output.path, &output.format.write(masked, plain)) {
            let path = output.path.display();
            screen::say(&format!(
                "error: {path}: the report cannot be written: {error}"
            ));
            is_fine = false;
        }
    }
    if let Err(error) = screen::write(&format.write(masked, style)) {
        screen::say(&format!("error: the report cannot be written: {error}"));
        is_fine = false;
    }
    if !format.says_summary && !arguments.quiet {
        for note in &masked.report.notes {
            screen::say(&report::one_line(note));
        }
        screen::say(&report::summary(&masked.report, &masked.sources));
    }
    is_fine
}

fn say_nothing_checked(report: &Report, unknown: usize, is_allowed: bool) {
    let word = if is_allowed { "note" } else { "error" };
    let seen = if report.inputs.is_empty() {
        match unknown {
            0 => "no config was found".to_owned(),
            1 => "no config was found (1 file is none that gatelint knows)".to_owned(),
            more => format!("no config was found ({more} files are none that gatelint knows)"),
        }
    } else {
        "no config that was found could be judged".to_owned()
    };
    screen::say(&format!(
        "{word}: nothing was checked: {seen}; `gatelint inputs` shows what each file is taken for"
    ));
}

pub(super) fn facts(arguments: &FactArguments) -> Facts {
    let mut facts = Facts::default();
    for (name, value) in &arguments.fact {
        facts.set(name, value);
    }
    facts
}

/// The declared clients, as written and as addresses; an error is the word that is no address.
fn clients(written: &[String]) -> Result<(Vec<String>, Ranges), &str> {
    let mut all = Ranges::empty();
    for word in written {
        let one = word.parse::<IpAddr>().map(Ranges::host);
        let one = one.or_else(|_| word.parse().map(Ranges::network));
        all = all.union(&one.map_err(|_| word.as_str())?);
    }
    Ok((written.to_vec(), all))
}
