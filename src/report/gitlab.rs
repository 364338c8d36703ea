//! In: a report. Out: GitLab's code quality report: a list of issues for the merge request's widget.
//!
//! The fields are those that GitLab's documentation names ("Code Quality report format").

use serde::Serialize;

use super::cause::{Cause, causes};
use super::place::in_repository;
use super::{Format, Style, one_line};
use crate::finding::{InputError, Report, Severity};
use crate::source::Sources;

pub(super) const FORMAT: Format = Format {
    name: "gitlab",
    title: "GitLab's code quality report",
    says_summary: false,
    render,
};

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let errors = report.errors.iter().map(|error| unusable(error, report));
    let causes = causes(report, style.least);
    let told = causes.iter().map(|cause| issue(cause, report, sources));
    super::json::text(&errors.chain(told).collect::<Vec<_>>())
}

fn unusable(error: &InputError, report: &Report) -> Issue {
    let path = one_line(&in_repository(report, &error.path));
    Issue {
        description: one_line(&error.message),
        check_name: "input".to_owned(),
        fingerprint: format!("input:{path}"),
        severity: "blocker",
        location: Location {
            path,
            lines: Lines { begin: 1, end: 1 },
        },
    }
}

fn issue(cause: &Cause<'_>, report: &Report, sources: &Sources) -> Issue {
    let finding = cause.worst;
    let span = cause.place();
    let file = sources.file(span.map_or(finding.file, |span| span.file));
    let lines = span.map_or(Lines { begin: 1, end: 1 }, |span| Lines {
        begin: file.line(span.start),
        end: file.position(span.end).line,
    });
    Issue {
        description: one_line(&cause.message()),
        check_name: finding.rule.clone(),
        fingerprint: cause.fingerprint(),
        severity: match finding.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
            Severity::Info | Severity::None => "info",
        },
        location: Location {
            path: one_line(&in_repository(report, &file.path)),
            lines,
        },
    }
}
