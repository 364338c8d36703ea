//! In: a run of `check`. Out: files with the fixes that hold, or what these would change; then what remains.
//!
//! Fixes are applied in memory, one per file at a time, and everything is judged again after each round: a fix that does
//! not mend what it is for, or makes anything worse, is taken back and not tried again. Only what held is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gatelint::Report;
use gatelint::config::applied;
use gatelint::mend::{Candidate, candidates};
use gatelint::report::{Masked, one_line, patch};
use gatelint::source::FileId;

use super::check::{Judged, Place, Run};
use super::replace::{self, Left};
use super::{Exit, screen, walk};

/// After so many rounds the rest is left for another run; each mends something, so this is never met in practice.
const MOST_ROUNDS: usize = 200;

/// Fixes what can be fixed, or shows it, and tells what remains.
pub(super) fn run(run: &Run<'_>) -> Exit {
    let mut work = Work::new(run);
    work.mend();
    if run.arguments.show_fixes {
        work.show()
    } else {
        work.write()
    }
}

struct Work<'r, 'a> {
    run: &'r Run<'a>,
    judged: Judged,
    /// What the changed files held.
    originals: BTreeMap<FileId, Arc<[u8]>>,
    /// What was done, in order: file, title, rules.
    done: Vec<(FileId, String, Vec<String>)>,
    /// Fixes that did not hold.
    refused: BTreeSet<(FileId, String, String)>,
    /// Files that may not be written, and why.
    left: BTreeMap<FileId, String>,
}

impl<'r, 'a> Work<'r, 'a> {
    fn new(run: &'r Run<'a>) -> Self {
        Self {
            run,
            judged: run.judge(),
            originals: BTreeMap::new(),
            done: Vec::new(),
            refused: BTreeSet::new(),
            left: BTreeMap::new(),
        }
    }

    /// Applies fixes in memory until there is nothing more to apply.
    fn mend(&mut self) {
        let mut together = true;
        for _ in 0..MOST_ROUNDS {
            let mut round = self.next_round();
            if !together {
                round.truncate(1);
            }
            if round.is_empty() {
                break;
            }
            let before: Vec<(FileId, Arc<[u8]>)> = round
                .iter()
                .map(|fix| (fix.file, self.bytes(fix.file)))
                .collect();
            let is_applied = round.iter().all(|fix| self.apply(fix));
            let judged = is_applied.then(|| self.run.judge());
            if let Some(judged) = judged.filter(|judged| self.holds(&round, judged)) {
                self.note(&round, &judged);
                for (file, bytes) in before {
                    self.originals.entry(file).or_insert(bytes);
                }
                self.judged = judged;
            } else {
                for (file, bytes) in before {
                    // INVARIANT: these bytes were taken before.
                    let _ = self.run.sources.replace(file, bytes);
                }
                // One of several is at fault: from here on each has to hold alone.
                if let [only] = round.as_slice() {
                    self.refused.insert(only.name());
                }
                together = false;
            }
        }
    }

    fn bytes(&self, file: FileId) -> Arc<[u8]> {
        Arc::clone(&self.run.sources.file(file).bytes)
    }

    /// The first fix of each file that may be applied and was not refused.
    fn next_round(&mut self) -> Vec<Candidate> {
        let mut round: Vec<Candidate> = Vec::new();
        for candidate in candidates(&self.judged.report) {
            let is_allowed = candidate.fix.safe || self.run.arguments.unsafe_fixes;
            if !is_allowed
                || self.refused.contains(&candidate.name())
                || round.iter().any(|other| other.file == candidate.file)
            {
                continue;
            }
            if let Err(why) = self.allows(candidate.file) {
                self.left.insert(candidate.file, why.to_string());
            } else {
                round.push(candidate);
            }
        }
        round
    }

    /// Whether a file may be written; standard input always may.
    fn allows(&self, file: FileId) -> Result<(), Left> {
        if self.is_input(file) {
            return Ok(());
        }
        let (path, root) = self.run.disk.destination(file).ok_or(Left::NoPlace)?;
        replace::allows(&path, &root, &self.bytes(file))
    }

    fn is_input(&self, file: FileId) -> bool {
        self.run.disk.taken() == Some(file)
    }

    fn apply(&self, candidate: &Candidate) -> bool {
        let edits = candidate.fix.edits.iter();
        let edits = edits.map(|(span, text)| (*span, text.as_str()));
        let bytes = applied(&self.bytes(candidate.file), candidate.file, edits);
        bytes.is_some_and(|bytes| self.run.sources.replace(candidate.file, bytes).is_ok())
    }

    fn holds(&self, round: &[Candidate], after: &Judged) -> bool {
        let before = &self.judged.standing;
        !after.standing.is_worse_than(before)
            && round
                .iter()
                .all(|fix| after.standing.is_mended_by(fix, before))
    }

    /// Remembers what a round mended, for what is said at the end.
    fn note(&mut self, round: &[Candidate], after: &Judged) {
        for fix in round {
            let results = self.judged.report.results.iter();
            let targets: BTreeSet<&str> = results
                .filter(|finding| finding.fixes.contains(&fix.fix))
                .map(|finding| finding.target.as_str())
                .collect();
            let rules = after.standing.better_than(&self.judged.standing, &targets);
            self.done.push((fix.file, fix.fix.title.clone(), rules));
        }
    }

    /// Prints what would change, and tells how it stands without that.
    fn show(self) -> Exit {
        let color = screen::wants_color(self.run.arguments.look.color);
        let mut patches = String::new();
        for (file, old) in &self.originals {
            let source = self.run.sources.file(*file);
            patches.push_str(&patch(&source.path, old, &source.bytes, color));
        }
        let is_shown = screen::write(&patches).is_ok();
        self.say("would fix");
        self.say_left(&self.judged.report);
        for (file, old) in &self.originals {
            // INVARIANT: these bytes were taken before.
            let _ = self.run.sources.replace(*file, Arc::clone(old));
        }
        let report = self.run.judge().report;
        let is_unusable = walk::say_errors(&report.errors);
        self.run
            .tell(report, is_unusable || !is_shown, Place::Files)
    }

    /// Writes the files, and tells what remains.
    fn write(mut self) -> Exit {
        let mut failed: BTreeMap<FileId, Left> = BTreeMap::new();
        for (file, old) in &self.originals {
            let new = self.bytes(*file);
            if self.is_input(*file) || *old == new {
                continue;
            }
            let place = self.run.disk.destination(*file);
            let written = place.ok_or(Left::NoPlace);
            if let Err(why) =
                written.and_then(|(path, root)| replace::replace(&path, &root, old, &new))
            {
                // INVARIANT: these bytes were taken before.
                let _ = self.run.sources.replace(*file, Arc::clone(old));
                failed.insert(*file, why);
            }
        }
        if !failed.is_empty() {
            self.done.retain(|(file, _, _)| !failed.contains_key(file));
            self.judged = self.run.judge();
        }
        let input = self.run.disk.taken();
        let is_passed_on = input.is_none_or(|file| screen::write_bytes(&self.bytes(file)).is_ok());
        self.say("fixed");
        for (file, why) in &failed {
            let path = self.run.sources.path(*file);
            screen::say(&format!("error: {path}: not fixed: {why}"));
        }
        self.say_left(&self.judged.report);
        let is_unusable = walk::say_errors(&self.judged.report.errors);
        let place = match input {
            Some(_) => Place::Error,
            None => Place::Output,
        };
        let is_unusable = is_unusable || !is_passed_on || !failed.is_empty();
        self.run.tell(self.judged.report, is_unusable, place)
    }

    /// A fix's title, which may quote the file, as it may be shown.
    fn shown(&self, title: &str) -> String {
        one_line(&Masked::text(title, self.run.sources))
    }

    /// Says what was done, a line each.
    fn say(&self, word: &str) {
        if self.done.is_empty() {
            screen::say(&format!("{word} nothing"));
        }
        for (file, title, rules) in &self.done {
            let path = self.run.sources.path(*file);
            let title = self.shown(title);
            screen::say(&format!("{word} {path}: {title} ({})", rules.join(", ")));
        }
    }

    /// Says what was not done although there is a fix.
    fn say_left(&self, report: &Report) {
        for (file, why) in &self.left {
            let path = self.run.sources.path(*file);
            screen::say(&format!("not fixed {path}: {why}"));
        }
        for (file, _, title) in &self.refused {
            let path = self.run.sources.path(*file);
            let title = self.shown(title);
            screen::say(&format!(
                "not fixed {path}: {title}: beside the other fixes it mends nothing, or makes something worse"
            ));
        }
        let more: Vec<Candidate> = candidates(report)
            .into_iter()
            .filter(|fix| !fix.fix.safe && !self.run.arguments.unsafe_fixes)
            .filter(|fix| !self.left.contains_key(&fix.file))
            .collect();
        for fix in &more {
            let path = self.run.sources.path(fix.file);
            let title = self.shown(&fix.fix.title);
            screen::say(&format!("left {path}: {title} ({})", fix.rule()));
        }
        if !more.is_empty() {
            screen::say("these need a look first: --unsafe-fixes applies them, too");
        }
    }
}
