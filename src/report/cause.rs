//! In: a report. Out: what is worth telling, once per cause: findings that one place decides the same way, and
//! undecided ones by the fact that they wait for.

use sha2::{Digest, Sha256};

use crate::finding::{Finding, LabelRole, Outcome, Reason, Report, Severity};
use crate::source::Span;

/// Findings that are told together.
#[derive(Debug)]
pub(super) struct Cause<'r> {
    /// What undecided ones wait for.
    pub(super) reason: Option<&'r Reason>,
    /// The one that speaks for them.
    pub(super) worst: &'r Finding,
    /// The others.
    pub(super) others: Vec<&'r Finding>,
}

/// Everything of this severity or worse: what is decided, then what is undecided.
pub(super) fn causes(report: &Report, least: Severity) -> Vec<Cause<'_>> {
    let least = least.max(Severity::Info);
    let (undecided, decided): (Vec<&Finding>, Vec<&Finding>) = report
        .results
        .iter()
        .filter(|finding| finding.severity >= least)
        .partition(|finding| finding.outcome == Outcome::Undecided);
    let mut all = by_place(&decided);
    all.extend(missing_facts(&undecided));
    all
}

impl Cause<'_> {
    /// The place to point at: what it waits for, else what decided.
    pub(super) fn place(&self) -> Option<Span> {
        let waits_at = self.reason.and_then(|reason| reason.span);
        let label = self.worst.primary.as_ref();
        waits_at.or_else(|| label.map(|label| label.span))
    }

    /// What to do first.
    pub(super) fn advice(&self) -> Option<&str> {
        self.worst.advice()
    }

    /// Stable like those of findings; two missing facts of one finding differ.
    pub(super) fn fingerprint(&self) -> String {
        match self.reason {
            None => self.worst.fingerprint.clone(),
            Some(reason) => {
                let of = format!("{}\n{}", self.worst.fingerprint, reason.text);
                let hex = format!("{:x}", Sha256::digest(of));
                hex.chars().take(32).collect()
            }
        }
    }

    /// The words of all: the effect, what it waits for, what else has this cause.
    pub(super) fn message(&self) -> String {
        let mut message = self.worst.message.clone();
        if let Some(reason) = self.reason {
            message.push_str("; this depends on ");
            message.push_str(&reason.text);
        }
        for other in &self.others {
            message.push_str("; also ");
            message.push_str(&other.rule);
            message.push_str(": ");
            message.push_str(&other.message);
        }
        message
    }
}

/// Merged where one place is the cause of several.
fn by_place<'r>(decided: &[&'r Finding]) -> Vec<Cause<'r>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in decided {
        let same = groups.iter_mut().find(|group| {
            group
                .first()
                .is_some_and(|first| have_one_cause(first, finding))
        });
        match same {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let cause = |group: &Vec<&'r Finding>| cause(None, group);
    groups.iter().filter_map(cause).collect()
}

/// Two findings have one cause where the same place decided the same way at the same target, and one fix mends both.
fn have_one_cause(left: &Finding, right: &Finding) -> bool {
    let place = |finding: &Finding| {
        let label = finding.primary.as_ref()?;
        (label.role != LabelRole::Context).then_some(label.span)
    };
    // What one fix mends is one cause; what it leaves is told apart.
    place(left).is_some()
        && place(left) == place(right)
        && left.fixes.first() == right.fixes.first()
        && left.outcome == right.outcome
        && left.target == right.target
}

fn cause<'r>(reason: Option<&'r Reason>, group: &[&'r Finding]) -> Option<Cause<'r>> {
    let worst = group.iter().map(|finding| finding.severity).max()?;
    let at = group.iter().position(|finding| finding.severity == worst)?;
    let mut others = group.to_vec();
    let worst = others.remove(at);
    Some(Cause {
        reason,
        worst,
        others,
    })
}

/// What is undecided, once per missing fact, with all that waits for it.
fn missing_facts<'r>(undecided: &[&'r Finding]) -> Vec<Cause<'r>> {
    let mut facts: Vec<(Option<&Reason>, Vec<&Finding>)> = Vec::new();
    for finding in undecided {
        let reasons: Vec<Option<&Reason>> = if finding.reasons.is_empty() {
            vec![None]
        } else {
            finding.reasons.iter().map(Some).collect()
        };
        for reason in reasons {
            let known = facts
                .iter_mut()
                .find(|(known, waiting)| match (known, reason) {
                    (Some(known), Some(reason)) => known == &reason,
                    // Without a reason only the same words at the same place are the same.
                    (None, None) => waiting.first().is_some_and(|first| {
                        first.message == finding.message && first.target == finding.target
                    }),
                    (Some(_), None) | (None, Some(_)) => false,
                });
            match known {
                Some((_, waiting)) => waiting.push(finding),
                None => facts.push((reason, vec![finding])),
            }
        }
    }
    let cause =
        |(reason, waiting): &(Option<&'r Reason>, Vec<&'r Finding>)| cause(*reason, waiting);
    facts.iter().filter_map(cause).collect()
}
