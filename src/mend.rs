//! In: reports before and after a text was changed. Out: which fixes to try next, and whether those that were tried did
//! what they promise.
//!
//! Offers are proved where they are made, each alone and for its own file. What holds for one need not hold for several,
//! nor for another file that reads the same text, so whoever applies them judges everything again and asks here.
//!
//! Invariant: a fix that is kept mends what it is for and makes nothing else worse, so to apply and judge in turn ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, FixOffer, Outcome, Report, Severity};
use crate::source::FileId;

/// A fix that a finding offers.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The one file that it changes.
    pub file: FileId,
    /// The finding that offers it.
    rule: String,
    target: String,
    /// The fix.
    pub fix: FixOffer,
}

impl Candidate {
    /// The rule of the finding that offers it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What tells it from others of a run.
    pub fn name(&self) -> (FileId, String, String) {
        (self.file, self.rule.clone(), self.fix.title.clone())
    }
}

/// Every fix that the report offers for what it holds against a config, in its order, none twice.
pub fn candidates(report: &Report) -> Vec<Candidate> {
    let mut seen: BTreeSet<(FileId, &str)> = BTreeSet::new();
    let told = |finding: &&Finding| finding.severity > Severity::None;
    let offers = report.results.iter().filter(told).flat_map(|finding| {
        let fixes = finding.fixes.iter();
        fixes.filter_map(move |fix| Some((finding, fix, file_of(fix)?)))
    });
    offers
        .filter(|(_, fix, file)| seen.insert((*file, fix.title.as_str())))
        .map(|(finding, fix, file)| Candidate {
            file,
            rule: finding.rule.clone(),
            target: finding.target.clone(),
            fix: fix.clone(),
        })
        .collect()
}

/// The file that a fix changes, where it is one.
fn file_of(fix: &FixOffer) -> Option<FileId> {
    let mut files = fix.edits.iter().map(|(span, _)| span.file);
    let first = files.next()?;
    files.all(|file| file == first).then_some(first)
}

/// How everything stands: the outcomes, worst first, by rule and target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    outcomes: BTreeMap<(String, String), Vec<Outcome>>,
    errors: usize,
}

impl Standing {
    /// What a report says.
    pub fn of(report: &Report) -> Self {
        let mut outcomes: BTreeMap<_, Vec<Outcome>> = BTreeMap::new();
        for finding in &report.results {
            let key = (finding.rule.clone(), finding.target.clone());
            let outcome = finding.outcome.max(Outcome::Pass);
            outcomes.entry(key).or_default().push(outcome);
        }
        for outcomes in outcomes.values_mut() {
            outcomes.sort_unstable_by(|left, right| right.cmp(left));
        }
        let errors = report.errors.len();
        Self { outcomes, errors }
    }

    fn at(&self, key: &(String, String)) -> &[Outcome] {
        self.outcomes.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether anything is worse than it was. A remark of a dialect that was not told before does not count, unless it is
    /// an error: it may have been part of the finding that is mended.
    pub fn is_worse_than(&self, before: &Self) -> bool {
        let is_worse = |key, now: &[Outcome]| {
            let was = before.at(key);
            let mut more = now.iter().skip(was.len());
            more.any(|now| *now > Outcome::Degraded)
                || now.iter().zip(was).any(|(now, was)| now > was)
        };
        let mut standing = self.outcomes.iter();
        self.errors > before.errors || standing.any(|(key, now)| is_worse(key, now))
    }

    /// Whether what offered this fix is mended: gone, or as good as its alternatives allow.
    pub fn is_mended_by(&self, candidate: &Candidate, before: &Self) -> bool {
        let key = (candidate.rule.clone(), candidate.target.clone());
        let (was, now) = (before.at(&key), self.at(&key));
        let is_good = |now: &Outcome| *now <= Outcome::Degraded;
        now.len() < was.len() || (now < was && now.first().is_some_and(is_good))
    }

    /// The rules that are better than they were at any of these targets.
    pub fn better_than(&self, before: &Self, targets: &BTreeSet<&str>) -> Vec<String> {
        let mut rules: Vec<String> = Vec::new();
        for (key, was) in &before.outcomes {
            let (rule, target) = key;
            let now = self.at(key);
            if (now.len() < was.len() || now < was.as_slice())
                && targets.contains(target.as_str())
                && !rules.contains(rule)
            {
                rules.push(rule.clone());
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Sources, Span};

    fn report(results: &[(&str, Outcome)]) -> Report {
        let file = Sources::new().add("a", b"x\n".to_vec()).unwrap();
        let offer = FixOffer {
            title: "write y".to_owned(),
            safe: true,
            edits: vec![(Span::new(file, 0, 1), "y".to_owned())],
        };
        let results = results.iter().map(|(rule, outcome)| Finding {
            outcome: *outcome,
            fixes: vec![offer.clone()],
            ..Finding::blank(file, "a", rule)
        });
        Report {
            results: results.collect(),
            ..Report::default()
        }
    }

    fn standing(results: &[(&str, Outcome)]) -> Standing {
        Standing::of(&report(results))
    }

    #[test]
    fn a_fix_that_many_findings_offer_is_tried_once() {
        let found = report(&[("a/b", Outcome::Fail), ("a/c", Outcome::Fail)]);
        assert_eq!(candidates(&found).len(), 1);
    }

    #[test]
    fn what_got_worse_is_seen_also_where_it_is_new() {
        let before = standing(&[("a/b", Outcome::Degraded), ("a/c", Outcome::Pass)]);
        for after in [
            ("a/b", Outcome::Fail),
            ("a/c", Outcome::Degraded),
            ("a/d", Outcome::Fail),
        ] {
            assert!(standing(&[after]).is_worse_than(&before), "{after:?}");
        }
        for after in [("a/b", Outcome::Pass), ("a/d", Outcome::Degraded)] {
            assert!(!standing(&[after]).is_worse_than(&before), "{after:?}");
        }
    }

    #[test]
    fn mended_is_better_and_decided() {
        let found = report(&[("a/b", Outcome::Fail)]);
        let candidate = candidates(&found).pop().unwrap();
        let before = Standing::of(&found);
        let mended = |after| standing(&[("a/b", after)]).is_mended_by(&candidate, &before);
        assert!(mended(Outcome::Pass) && mended(Outcome::Degraded));
        assert!(!mended(Outcome::Undecided) && !mended(Outcome::Fail));
    }
}
