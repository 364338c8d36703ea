//! In: the arguments of `check`. Out: a report on standard output, and the exit code.

use std::net::IpAddr;
use std::path::Path;

use gatelint::finding::Finding;
use gatelint::mend::Standing;
use gatelint::model::Ranges;
use gatelint::project::{Baseline, FailOn, accept, covers, suppress};
use gatelint::report::{self, Masked, Style};
use gatelint::{Context, Facts, Outcome, Policy, Report, Severity, Sources};

use super::Exit;
use super::arguments::{CheckArguments, FactArguments};
use super::disk::{self, Disk};
use super::project::{self, Declared};
use super::walk::{self, Found};
use super::{fix, policies, rules, screen};

/// Checks, or writes down what a check finds as a baseline.
pub(super) fn run(arguments: &CheckArguments, baseline: Option<&Path>) -> Exit {
    if let Some(wrong) = wrong_flags(arguments, baseline.is_some()) {
        screen::say(&format!("error: {wrong}"));
        return Exit::Unusable;
    }
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
    let mut run = Run {
        arguments,
        facts: declared.facts(&facts),
        sources: &sources,
        disk: &disk,
        declared: &declared,
        policies: &policies,
        clients: &clients,
        found: &found,
        known: None,
    };
    if let Some(path) = baseline {
        return write_baseline(path, &run.judge().report);
    }
    let Ok(known) = known(arguments, &declared, &sources, &disk) else {
        return Exit::Unusable;
    };
    run.known = known;
    if arguments.fix || arguments.show_fixes {
        return fix::run(&run);
    }
    let report = run.judge().report;
    let is_unusable = walk::say_errors(&report.errors);
    run.tell(report, is_unusable, Place::Output)
}

/// One run of `check`: what it is asked, and what it found.
pub(super) struct Run<'a> {
    pub(super) arguments: &'a CheckArguments,
    pub(super) sources: &'a Sources,
    pub(super) disk: &'a Disk<'a>,
    found: &'a Found,
    declared: &'a Declared,
    policies: &'a [Policy],
    facts: Facts,
    clients: &'a (Vec<String>, Ranges),
    known: Option<Baseline>,
}

/// What a judgement came to.
pub(super) struct Judged {
    /// As it is to be told.
    pub(super) report: Report,
    /// Before anything was left out of it or accepted.
    pub(super) standing: Standing,
}

/// Where a report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard output.
    Output,
    /// Standard error: standard output holds something else.
    Error,
    /// Nowhere but to the files that are named for it.
    Files,
}

impl Run<'_> {
    /// Judges everything that was found, as the files now read.
    pub(super) fn judge(&self) -> Judged {
        let arguments = self.arguments;
        let context = Context {
            sources: self.sources,
            files: self.disk,
            facts: &self.facts,
            clients: Some(self.clients)
                .filter(|(written, _)| !written.is_empty())
                .or(self.declared.clients()),
            fixes: true,
        };
        let files = self.found.files(self.sources);
        let mut report = gatelint::check(&self.found.targets(&files), self.policies, &context);
        report.errors.splice(..0, self.found.errors.iter().cloned());
        report.notes.extend(self.found.notes.iter().cloned());
        report.folder = self.disk.folder();
        let standing = Standing::of(&report);
        let keeps = |finding: &Finding| {
            let named = |rules: &[String]| rules.iter().any(|rule| covers(rule, &finding.rule));
            (arguments.select.is_empty() || named(&arguments.select)) && !named(&arguments.ignore)
        };
        let knows = |rule: &str| rules::is_known(rule, self.policies);
        suppress(&knows, &mut report, self.sources);
        if let Some(project) = &self.declared.project {
            let today = project::today(arguments.project.today);
            accept(project, today, &knows, &mut report, self.sources);
        }
        report.results.retain(keeps);
        for finding in &mut report.results {
            if finding.outcome == Outcome::Undecided && finding.severity > Severity::Info {
                finding.severity = arguments.undecided.severity();
            }
        }
        if let Some(known) = &self.known {
            known.apply(&mut report);
        }
        Judged { report, standing }
    }

    /// Shows a report, and says what the run came to.
    pub(super) fn tell(&self, report: Report, is_unusable: bool, place: Place) -> Exit {
        let arguments = self.arguments;
        let masked = Masked::of(report, self.sources);
        let least = match arguments.fail_on {
            Some(given) => given.severity(),
            None => match self.declared.fail_on() {
                Some(FailOn::From(severity)) => Some(severity),
                Some(FailOn::Never) => None,
                None => Some(Severity::Error),
            },
        };
        if !show(arguments, least, &masked, place) {
            return Exit::Unusable;
        }
        let report = &masked.report;
        let has_checked = report.inputs.iter().any(|input| input.judged);
        if !has_checked && !is_unusable {
            say_nothing_checked(report, self.found.unknown, arguments.allow_nothing);
        }
        exit(arguments, least, report, is_unusable, has_checked)
    }
}

/// What flags mean nothing together, in words.
fn wrong_flags(arguments: &CheckArguments, is_baseline: bool) -> Option<&'static str> {
    let fixes = arguments.fix || arguments.show_fixes;
    if fixes && is_baseline {
        Some("a baseline mends nothing: leave out --fix and --show-fixes")
    } else if arguments.unsafe_fixes && !fixes {
        Some("--unsafe-fixes goes with --fix or --show-fixes")
    } else {
        None
    }
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
    let (path, folder) = match (&arguments.baseline, declared.baseline()) {
        (Some(path), _) => (path.clone(), None),
        (None, Some(path)) => (path, Some(declared.folder.as_path())),
        (None, None) => return Ok(None),
    };
    let read = disk
        .load(&path, folder)
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
fn show(
    arguments: &CheckArguments,
    least: Option<Severity>,
    masked: &Masked,
    place: Place,
) -> bool {
    let Some(format) = report::format(&arguments.format) else {
        return false;
    };
    let style = Style {
        color: place == Place::Output && screen::wants_color(arguments.look.color),
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
    let written = match place {
        Place::Output => screen::write(&format.write(masked, style)),
        Place::Error => screen::write_beside(&format.write(masked, style)),
        Place::Files => Ok(()),
    };
    if let Err(error) = written {
        screen::say(&format!("error: the report cannot be written: {error}"));
        is_fine = false;
    }
    if (!format.says_summary || place == Place::Files) && !arguments.quiet {
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
pub(super) fn clients(written: &[String]) -> Result<(Vec<String>, Ranges), &str> {
    let mut all = Ranges::empty();
    for word in written {
        let one = word.parse::<IpAddr>().map(Ranges::host);
        let one = one.or_else(|_| word.parse().map(Ranges::network));
        all = all.union(&one.map_err(|_| word.as_str())?);
    }
    Ok((written.to_vec(), all))
}
