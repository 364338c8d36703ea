//! In: a report. Out: workflow commands that GitHub shows as annotations on the lines of a pull request, worst first.
//!
//! The grammar and its escapes are those of GitHub's runner (`ActionCommand.cs`) and of its toolkit (`command.ts`): in a
//! message `%`, CR and LF are escaped, in a property also `:` and `,`. Nothing that a config says can end a command or
//! begin another one.

use super::cause::{Cause, causes};
use super::place::in_repository;
use super::{Format, Style, one_line};
use crate::finding::{Report, Severity};
use crate::source::Sources;

pub(super) const FORMAT: Format = Format {
    name: "github",
    title: "workflow commands: annotations on the lines of a pull request",
    says_summary: false,
    render,
};

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let mut out = String::new();
    for error in &report.errors {
        let file = in_repository(report, &error.path);
        let properties = [("file", file), ("title", "input".to_owned())];
        out.push_str(&command("error", &properties, &one_line(&error.message)));
    }
    let mut causes = causes(report, style.least);
    // GitHub shows ten of a severity and step: those that count must be among them.
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.worst.severity));
    for cause in &causes {
        out.push_str(&annotation(cause, report, sources));
    }
    out
}

fn annotation(cause: &Cause<'_>, report: &Report, sources: &Sources) -> String {
    let finding = cause.worst;
    let span = cause.place();
    let file = sources.file(span.map_or(finding.file, |span| span.file));
    let mut properties = vec![("file", in_repository(report, &file.path))];
    if let Some(span) = span {
        let (from, to) = (file.position(span.start), file.position(span.end));
        properties.push(("line", from.line.to_string()));
        properties.push(("endLine", to.line.to_string()));
        // Columns are shown only within one line.
        if from.line == to.line {
            properties.push(("col", from.column.to_string()));
            properties.push(("endColumn", to.column.to_string()));
        }
    }
    properties.push(("title", finding.rule.clone()));
    let mut lines = vec![cause.message()];
    lines.extend(finding.witness.as_ref().map(|witness| witness.text.clone()));
    lines.extend(cause.advice().map(|advice| format!("help: {advice}")));
    let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
    command(level(finding.severity), &properties, &lines.join("\n"))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::None => "notice",
    }
}

fn command(name: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={}", property(&one_line(value))))
        .collect();
    format!("::{name} {}::{}\n", properties.join(","), data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
