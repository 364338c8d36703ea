//! In: a finished [`Report`]. Out: text in one of the [`FORMATS`].
//!
//! A format knows findings and sources, nothing of models or policies: what it shows is already in the report. A new
//! format is one file here and one line of [`FORMATS`].
//!
//! Invariants: the same report gives the same bytes; no format lets a control character of a config reach a terminal.

use crate::finding::{Finding, Outcome, Report, Severity};
use crate::source::Sources;

mod cause;
mod concise;
mod github;
mod gitlab;
mod html;
mod human;
mod json;
mod jsonl;
mod junit;
mod markdown;
mod markup;
mod mask;
mod patch;
mod place;
mod sarif;
mod visible;

pub use human::problem;
pub(crate) use json::{text as json_text, witness as witness_value};
pub(crate) use markdown::{code as markdown_code, escaped as markdown_text};
pub use mask::{Masked, Secrets};
pub use patch::patch;
pub(crate) use patch::{Step, steps};
pub use visible::{one_line, visible};

/// Every output format.
pub const FORMATS: &[Format] = &[
    human::FORMAT,
    concise::FORMAT,
    json::FORMAT,
    jsonl::FORMAT,
    sarif::FORMAT,
    github::FORMAT,
    gitlab::FORMAT,
    junit::FORMAT,
    markdown::FORMAT,
    html::FORMAT,
];

/// The format with this name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// A way to write a report.
#[derive(Debug)]
pub struct Format {
    /// As users write it.
    pub name: &'static str,
    /// In words, for help.
    pub title: &'static str,
    /// Whether the text already ends with what was checked; else the shell says it on standard error.
    pub says_summary: bool,
    render: fn(&Report, &Sources, Style) -> String,
}

impl Format {
    /// The text.
    pub fn write(&self, masked: &Masked, style: Style) -> String {
        (self.render)(&masked.report, &masked.sources, style)
    }
}

/// How a report is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Nothing below this is shown (machine formats always hold everything).
    pub least: Severity,
    /// Only findings and the closing line.
    pub quiet: bool,
    /// Every step, every assumption.
    pub verbose: bool,
    /// From what severity on the run fails; `None` for never.
    pub fail_on: Option<Severity>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: false,
            least: Severity::Info,
            quiet: false,
            verbose: false,
            fail_on: Some(Severity::Error),
        }
    }
}

/// The closing line: how many findings, what was checked, and as what.
pub fn summary(report: &Report, sources: &Sources) -> String {
    let told = |severity| {
        let of = |finding: &&Finding| {
            finding.severity == severity && finding.outcome != Outcome::Undecided
        };
        report.results.iter().filter(of).count()
    };
    let mut counts: Vec<String> = [
        (told(Severity::Error), "error"),
        (told(Severity::Warning), "warning"),
        (told(Severity::Info), "note"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, noun)| plural(count, noun))
    .collect();
    let undecided = report.count(Outcome::Undecided);
    if undecided > 0 {
        counts.push(format!("{undecided} undecided"));
    }
    let judged: Vec<_> = report.inputs.iter().filter(|input| input.judged).collect();
    if counts.is_empty() {
        let nothing = if judged.is_empty() {
            "nothing was judged"
        } else {
            "nothing to report"
        };
        counts.push(nothing.to_owned());
    }
    let requirements = report
        .results
        .iter()
        .filter(|finding| finding.outcome != Outcome::NotApplicable && is_required(report, finding))
        .count();
    let mut parts = vec![
        counts.join(", "),
        format!(
            "checked {}, {}",
            plural(judged.len(), "file"),
            plural(requirements, "requirement")
        ),
    ];
    if let [only] = judged.as_slice() {
        parts.extend(only.judged_as.clone());
    } else {
        let mut roles: Vec<String> = Vec::new();
        for role in judged.iter().filter_map(|input| input.role.clone()) {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        if !roles.is_empty() {
            parts.push(format!("judged as {}", roles.join(", ")));
        }
    }
    let unread: Vec<_> = report
        .inputs
        .iter()
        .filter(|input| !input.judged)
        .map(|input| sources.path(input.file))
        .collect();
    if !unread.is_empty() {
        parts.push(format!("not judged: {}", shortened(&unread, 3)));
    }
    one_line(&parts.join("; "))
}

/// Whether a result is a policy's requirement rather than a dialect's own finding.
fn is_required(report: &Report, finding: &Finding) -> bool {
    finding
        .rule
        .split_once('/')
        .is_some_and(|(family, _)| report.policies.iter().any(|policy| policy.id == family))
}

/// `1 file`, `2 files`.
fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The first few, then how many more.
fn shortened(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).cloned().collect::<Vec<_>>();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{}, +{more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
