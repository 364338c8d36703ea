//! In: a project, a report, a day. Out: the report, where what is accepted on purpose has no severity.
//!
//! The outcome stays: what fails still fails, it is only not held against the run. What was accepted is said in a note.

use jiff::civil::Date;

use super::{Exception, Project, covers, finding_about};
use crate::finding::{Finding, Report, Severity};
use crate::source::Sources;

/// Takes the severity of what a project accepts, and tells what is wrong with its exceptions. `knows` says whether a rule
/// exists.
pub fn accept(
    project: &Project,
    today: Date,
    knows: &dyn Fn(&str) -> bool,
    report: &mut Report,
    sources: &Sources,
) {
    let mut own = Vec::new();
    for exception in &project.exceptions {
        let rule = &exception.rule.value;
        if !knows(rule) {
            let message = format!("the exception names the rule `{rule}`, which does not exist");
            let help = "gatelint rules lists every name";
            let span = exception.rule.span;
            own.push(finding_about(
                sources,
                "exception/unknown-rule",
                span,
                message,
                help,
            ));
            continue;
        }
        let matching: Vec<&mut Finding> = report
            .results
            .iter_mut()
            .filter(|finding| finding.severity > Severity::None && accepts(exception, finding))
            .collect();
        let is_expired = exception.expires < today;
        if matching.is_empty() {
            if is_in_run(exception, report, sources) {
                let message = format!("the exception for {rule} accepts nothing");
                let help = "delete it";
                own.push(finding_about(
                    sources,
                    "exception/unused",
                    exception.span,
                    message,
                    help,
                ));
            }
        } else if is_expired {
            let message = format!("the exception for {rule} expired on {}", exception.expires);
            let help =
                "mend what it accepted, or renew it with a new day and a reason that still holds";
            own.push(finding_about(
                sources,
                "exception/expired",
                exception.span,
                message,
                help,
            ));
        } else {
            for finding in matching {
                finding.severity = Severity::None;
                report.notes.push(format!(
                    "accepted until {} by {}: {} at {}: {}",
                    exception.expires,
                    exception.owner,
                    finding.rule,
                    finding.target,
                    exception.reason
                ));
            }
        }
    }
    report.results.append(&mut own);
}

fn accepts(exception: &Exception, finding: &Finding) -> bool {
    covers(&exception.rule.value, &finding.rule)
        && exception
            .target
            .as_ref()
            .is_none_or(|target| is_target(target, &finding.target))
}

/// Whether a target is meant: by its name, or by the path before its gate.
fn is_target(written: &str, target: &str) -> bool {
    written == target
        || target
            .strip_prefix(written)
            .is_some_and(|rest| rest.starts_with('#'))
}

/// Whether a run looked at what an exception is about: one that checks other files says nothing of it.
fn is_in_run(exception: &Exception, report: &Report, sources: &Sources) -> bool {
    exception.target.as_ref().is_none_or(|target| {
        report.inputs.iter().any(|input| {
            is_target(&sources.path(input.file), target) || *target == sources.path(input.file)
        })
    })
}
