//! In: targets and policies. Out: the steps of [`crate::check`], each one function.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest, Sha256};

use crate::config::{Diagnostic, Input, KINDS, Kind, Level, Reading};
use crate::finding::{Finding, InputError, InputSummary, Report, RuleInfo, Severity};
use crate::policy::{Context, Own, Policy, Subject, judge};
use crate::project;
use crate::source::FileId;

/// A config that is to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The file.
    pub input: Input<'a>,
    /// Its kind, declared or detected.
    pub kind: &'static Kind,
    /// Why it was taken for that kind.
    pub why: &'a str,
    /// The user named this file or declared its kind; it was not just met on a walk.
    pub is_named: bool,
    /// What is known of it alone.
    pub own: Own<'a>,
}

/// A target and what came of reading it.
#[derive(Debug)]
pub struct Read<'a> {
    /// The target.
    pub target: Target<'a>,
    /// What it says, or the fault of this program.
    pub reading: Result<Reading, String>,
}

/// Reads every target; a fault at one leaves the others alone.
pub fn read<'a>(targets: &[Target<'a>], context: &Context<'_>) -> Vec<Read<'a>> {
    targets
        .iter()
        .map(|target| Read {
            target: *target,
            reading: guarded(|| {
                let facts = target.own.facts.unwrap_or(context.facts);
                (target.kind.read)(&target.input, context.files, facts)
            }),
        })
        .collect()
}

/// The targets that no other one reads along. Of files that read each other the first one stays.
pub(crate) fn without_companions<'r, 'a>(readings: &'r [Read<'a>]) -> Vec<&'r Read<'a>> {
    let mut readers: HashMap<FileId, Vec<usize>> = HashMap::new();
    for (at, reader) in readings.iter().enumerate() {
        for file in reader
            .reading
            .iter()
            .flat_map(|reading| &reading.companions)
        {
            readers.entry(*file).or_default().push(at);
        }
    }
    let reads = |reader: usize, file: FileId| {
        readers
            .get(&file)
            .is_some_and(|readers| readers.contains(&reader))
    };
    let belongs = |at: usize, read: &Read<'_>| {
        let file_of = |other: usize| readings.get(other).map(|read| read.target.input.file);
        let of_this = readers.get(&read.target.input.file);
        of_this.into_iter().flatten().any(|&other| {
            other != at && (other < at || !file_of(other).is_some_and(|file| reads(at, file)))
        })
    };
    readings
        .iter()
        .enumerate()
        .filter(|(at, read)| !belongs(*at, read))
        .map(|(_, read)| read)
        .collect()
}

/// Apart from those that said anything, the targets of which not one statement was understood.
pub(crate) fn understood<'r, 'a>(own: &[&'r Read<'a>]) -> (Vec<&'r Read<'a>>, Vec<&'r Read<'a>>) {
    own.iter().partition(|read| {
        read.reading.as_ref().is_ok_and(|reading| {
            reading.understood > 0
                || (reading.statements == 0
                    && !reading.findings.iter().any(|finding| finding.refuses)
                    && (!reading.gates.is_empty() || !reading.settings.is_empty()))
        })
    })
}

pub(crate) fn subject<'r>(read: &'r Read<'_>) -> Option<Subject<'r>> {
    Some(Subject {
        input: read.target.input,
        kind: read.target.kind,
        why: read.target.why,
        reading: read.reading.as_ref().ok()?,
        own: read.target.own,
    })
}

/// Judges all targets together; where that meets a fault of this program, each alone, so that one cannot take the rest
/// down.
pub(crate) fn judge_apart(
    policies: &[Policy],
    subjects: &[Subject<'_>],
    context: &Context<'_>,
) -> Report {
    if let Ok(report) = guarded(|| judge(policies, subjects, context)) {
        return report;
    }
    let mut all = Report::default();
    for subject in subjects {
        match guarded(|| judge(policies, &[*subject], context)) {
            Ok(report) => {
                all.inputs.extend(report.inputs);
                all.results.extend(report.results);
                all.assumptions.extend(report.assumptions);
                all.notes.extend(report.notes);
                all.policies = report.policies;
                all.ranges_date = report.ranges_date;
            }
            Err(fault) => all.results.push(Finding {
                message: format!("a fault of gatelint while judging: {fault}"),
                severity: Severity::Error,
                ..Finding::blank(subject.input.file, subject.input.path, "input/fault")
            }),
        }
    }
    all
}

/// Every target has its line in the report, whatever came of it; in the order of the targets.
pub(crate) fn tell_inputs(
    report: &mut Report,
    readings: &[Read<'_>],
    own: &[&Read<'_>],
    context: &Context<'_>,
) {
    let mut told = Vec::with_capacity(readings.len());
    for read in readings {
        let file = read.target.input.file;
        let known = report.inputs.iter().position(|input| input.file == file);
        if let Some(at) = known {
            told.push(report.inputs.remove(at));
            continue;
        }
        let is_own = own.iter().any(|kept| kept.target.input.file == file);
        let not_judged = match &read.reading {
            Err(fault) => format!("a fault of gatelint: {fault}"),
            Ok(_) if !is_own => match reader_of(readings, file) {
                Some(reader) => format!("read along with {}", context.sources.path(reader)),
                None => "read along with another file".to_owned(),
            },
            Ok(reading) => reading
                .not_judged
                .clone()
                .unwrap_or_else(|| "no statement could be read".to_owned()),
        };
        told.push(InputSummary {
            file,
            kind: Some(read.target.kind.name),
            role: None,
            why: read.target.why.to_owned(),
            judged: false,
            not_judged: Some(not_judged),
            sha256: String::new(),
            facts: Vec::new(),
            answer: None,
            judged_as: None,
        });
    }
    told.append(&mut report.inputs);
    report.inputs = told;
    for input in &mut report.inputs {
        if input.sha256.is_empty() {
            let digest = Sha256::digest(&context.sources.file(input.file).bytes);
            input.sha256 = format!("{digest:x}");
        }
    }
}

fn reader_of(readings: &[Read<'_>], file: FileId) -> Option<FileId> {
    readings
        .iter()
        .find(|read| {
            read.reading
                .as_ref()
                .is_ok_and(|reading| reading.companions.contains(&file))
        })
        .map(|read| read.target.input.file)
}

/// A file met on a walk that looked like a config and was none is a warning: it would be missed without a word.
pub(crate) fn tell_foreign(report: &mut Report, foreign: &[&Read<'_>]) {
    for read in foreign {
        let kind = read.target.kind;
        if read.reading.is_err() || read.target.is_named {
            continue;
        }
        report.results.push(Finding {
            message: format!(
                "this was taken for {} ({}), but no statement of it could be read",
                kind.title, read.target.why
            ),
            severity: Severity::Warning,
            help: Some(format!(
                "say what it is with `--kind KIND={}`, or leave it out",
                read.target.input.path
            )),
            ..Finding::blank(read.target.input.file, read.target.input.path, "input")
        });
    }
}

/// Named files that are not what they were taken for, and faults of this program.
pub(crate) fn tell_errors(report: &mut Report, readings: &[Read<'_>], foreign: &[&Read<'_>]) {
    let unrecognised = foreign
        .iter()
        .filter(|read| read.target.is_named && read.reading.is_ok())
        .map(|read| InputError {
            path: read.target.input.path.to_owned(),
            message: format!(
                "not one statement of {} was found in it ({}); say what it is with --kind",
                read.target.kind.title, read.target.why
            ),
        });
    report.errors.extend(unrecognised);
    let faults = readings.iter().filter_map(|read| {
        let fault = read.reading.as_ref().err()?;
        Some(InputError {
            path: read.target.input.path.to_owned(),
            message: format!("a fault of gatelint, please report it: {fault}"),
        })
    });
    report.errors.extend(faults);
}

/// Every rule that these policies, the kinds and the reading of files can tell.
pub fn rules(policies: &[Policy]) -> Vec<RuleInfo> {
    let required = policies.iter().flat_map(|policy| {
        policy.requirements.iter().map(|requirement| RuleInfo {
            id: policy.rule(requirement),
            title: requirement.title.clone(),
            severity: policy.severity(requirement),
            why: requirement.why.clone(),
            fixes: requirement.fix.all().map(str::to_owned).collect(),
            live_checks: requirement.live_check.all().map(str::to_owned).collect(),
            links: requirement.links.clone(),
        })
    });
    let mut seen = BTreeSet::new();
    let diagnosed = KINDS
        .iter()
        .flat_map(|kind| kind.diagnostics)
        .filter(move |diagnostic| seen.insert(diagnostic.id))
        .map(plain_rule);
    let own = OWN_RULES.iter().chain(project::DIAGNOSTICS).map(plain_rule);
    required.chain(diagnosed).chain(own).collect()
}

fn plain_rule(diagnostic: &Diagnostic) -> RuleInfo {
    RuleInfo {
        id: diagnostic.id.to_owned(),
        title: diagnostic.title.to_owned(),
        severity: match diagnostic.level {
            Level::Info => Severity::Info,
            Level::Warning => Severity::Warning,
            Level::Error => Severity::Error,
        },
        why: Some(diagnostic.doc.to_owned()),
        fixes: Vec::new(),
        live_checks: Vec::new(),
        links: Vec::new(),
    }
}

/// What is told of files whatever their kind.
const OWN_RULES: &[Diagnostic] = &[
    Diagnostic {
        id: "input",
        level: Level::Warning,
        title: "A file that looked like a config could not be read",
        doc: "A file whose name or text looks like a config, or that was named as one, could not be read as such: not \
              one statement of it was understood, so nothing about it was checked. Say what it is with \
              `--kind KIND=PATH`, or leave it out.",
    },
    Diagnostic {
        id: "input/fault",
        level: Level::Error,
        title: "A file brought gatelint to a fault of its own",
        doc: "The program met a state that it must never meet, so nothing is known of this file. The other files are \
              judged. Please report it, with the file if you may show it.",
    },
];

/// Why there is no one config to trace.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// None at all.
    #[error("no config was found")]
    None,
    /// Several that are not read along with each other.
    #[error("one config is traced at a time, and these are {}: {}", .0.len(), .0.join(", "))]
    Several(Vec<String>),
    /// Nothing was understood.
    #[error("{path}: not one statement of {kind} was found in it")]
    NotUnderstood {
        /// The file.
        path: String,
        /// The kind, in words.
        kind: &'static str,
    },
    /// A fault of this program.
    #[error("a fault of gatelint, please report it: {0}")]
    Fault(String),
}

/// The one config among the targets: the others are read along with it, or are refused. For a trace.
pub fn main_reading(targets: &[Target<'_>], context: &Context<'_>) -> Result<Reading, TargetError> {
    let mut readings = read(targets, context);
    let own: Vec<FileId> = without_companions(&readings)
        .iter()
        .map(|read| read.target.input.file)
        .collect();
    let [only] = own.as_slice() else {
        let names: Vec<String> = own.iter().map(|file| context.sources.path(*file)).collect();
        return Err(TargetError::Several(names));
    };
    readings.retain(|read| read.target.input.file == *only);
    let read = readings.pop().ok_or(TargetError::None)?;
    if understood(&[&read]).0.is_empty() && read.reading.is_ok() {
        return Err(TargetError::NotUnderstood {
            path: read.target.input.path.to_owned(),
            kind: read.target.kind.title,
        });
    }
    read.reading.map_err(TargetError::Fault)
}

/// A fault of this program as a value: one bad file must not take the others down.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let said = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        said.unwrap_or_else(|| "unknown".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Facts, NoFiles};
    use crate::source::Sources;

    fn kind_with(
        read: fn(&Input<'_>, &dyn crate::config::Files, &Facts) -> Reading,
    ) -> &'static Kind {
        let known = KINDS.first().unwrap();
        Box::leak(Box::new(Kind {
            name: "made",
            title: "a made-up kind",
            layer: known.layer,
            claims: known.claims,
            read,
            fix: known.fix,
            diagnostics: &[],
        }))
    }

    fn with_targets(
        kinds: &[(&'static Kind, bool)],
        then: impl FnOnce(&Sources, &[Target<'_>], &Context<'_>),
    ) {
        let sources = Sources::new();
        let paths: Vec<String> = (0..kinds.len()).map(|at| format!("file{at}")).collect();
        let targets: Vec<Target<'_>> = kinds
            .iter()
            .zip(&paths)
            .map(|((kind, is_named), path)| Target {
                input: Input {
                    file: sources.add(path.clone(), b"x\n".to_vec()).unwrap(),
                    path,
                    bytes: b"x\n",
                },
                kind,
                why: "a test",
                is_named: *is_named,
                own: Own::default(),
            })
            .collect();
        let facts = Facts::default();
        let context = Context {
            sources: &sources,
            files: &NoFiles,
            facts: &facts,
            clients: None,
            fixes: false,
        };
        then(&sources, &targets, &context);
    }

    fn understood_one() -> Reading {
        Reading {
            statements: 1,
            understood: 1,
            ..Reading::default()
        }
    }

    #[test]
    fn a_fault_at_one_file_leaves_the_others_alone() {
        let faulty = kind_with(|_, _, _| panic!("made to fail"));
        let fine = kind_with(|_, _, _| understood_one());
        with_targets(&[(faulty, true), (fine, true)], |_, targets, context| {
            let report = crate::check(targets, &[], context);
            assert_eq!(report.errors.len(), 1);
            assert_eq!(report.errors[0].path, "file0");
            assert!(report.errors[0].message.ends_with("made to fail"));
            assert_eq!(report.inputs.len(), 2);
        });
    }

    #[test]
    fn a_file_that_another_one_reads_is_no_target_of_its_own() {
        // Both read the other one: the first stays.
        let mutual = kind_with(|input, _, _| Reading {
            companions: vec![input.file],
            ..understood_one()
        });
        with_targets(&[(mutual, true), (mutual, true)], |_, targets, context| {
            let mut readings = read(targets, context);
            let files: Vec<FileId> = targets.iter().map(|target| target.input.file).collect();
            for read in &mut readings {
                read.reading.as_mut().unwrap().companions.clone_from(&files);
            }
            let own = without_companions(&readings);
            assert_eq!(own.len(), 1);
            assert_eq!(own[0].target.input.file, files[0]);
            // Only the second reads the first: the second stays.
            readings[0].reading.as_mut().unwrap().companions.clear();
            let own = without_companions(&readings);
            assert_eq!(own.len(), 1);
            assert_eq!(own[0].target.input.file, files[1]);
        });
    }

    #[test]
    fn nothing_understood_is_told_and_not_judged() {
        let foreign = kind_with(|_, _, _| Reading {
            statements: 3,
            ..Reading::default()
        });
        with_targets(
            &[(foreign, true), (foreign, false)],
            |_, targets, context| {
                let report = crate::check(targets, &[], context);
                let wrong: Vec<_> = report.errors.iter().map(|error| &error.path).collect();
                assert_eq!(wrong, ["file0"]);
                let told: Vec<_> = report.results.iter().map(|f| &f.target).collect();
                assert_eq!(told, ["file1"]);
                assert!(report.inputs.iter().all(|input| !input.judged));
            },
        );
    }
}
