//! In: a report. Out: one line per finding, as compilers write them and editors read them.

use super::{Format, Style, one_line};
use crate::finding::{Finding, Report, Severity};
use crate::source::{Position, Sources};

pub(super) const FORMAT: Format = Format {
    name: "concise",
    title: "one line per finding: file:line:col: severity[rule] message",
    says_summary: false,
    render,
};

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let least = style.least.max(Severity::Info);
    let errors = report.errors.iter().map(|error| {
        let text = format!("{}:1:1: error[input] {}", error.path, error.message);
        one_line(&text) + "\n"
    });
    let findings = report
        .results
        .iter()
        .filter(|finding| finding.severity >= least)
        .map(|finding| line(finding, sources) + "\n");
    errors.chain(findings).collect()
}

fn line(finding: &Finding, sources: &Sources) -> String {
    let (file, at) = match &finding.primary {
        Some(label) => (label.span.file, sources.position(label.span)),
        // What no line says is said at the beginning.
        None => (finding.file, Position { line: 1, column: 1 }),
    };
    one_line(&format!(
        "{}:{}:{}: {}[{}] {}",
        sources.path(file),
        at.line,
        at.column,
        finding.severity.word(),
        finding.rule,
        finding.message
    ))
}
