//! In: a report. Out: JSON Lines for large audits: each result on its line, then the status of each file, then the sum.
//!
//! Every line is an object with a `record`: `result`, `file`, `error` or `summary`; the fields are those of the JSON
//! report. A file's status is `judged`, `not-judged` or `error`.

use serde::Serialize;

use super::json::{InputV1, ResultV1, SummaryV1, line, shown};
use super::{Format, Style};
use crate::finding::{Report, Severity};
use crate::source::Sources;

pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    title: "JSON Lines: every result, then a status line per file",
    says_summary: false,
    render,
};

#[derive(Serialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    Result(ResultV1),
    File(FileLine),
    Error {
        path: String,
        status: &'static str,
        message: String,
    },
    Summary(SummaryV1),
}

#[derive(Serialize)]
struct FileLine {
    #[serde(flatten)]
    input: InputV1,
    status: &'static str,
    worst: &'static str,
    results: usize,
}

fn render(report: &Report, sources: &Sources, _: Style) -> String {
    let mut out = String::new();
    for finding in &report.results {
        out += &line(&Record::Result(ResultV1::of(finding, sources)));
    }
    for input in &report.inputs {
        let own = report.results.iter().filter(|one| one.file == input.file);
        let worst = own.clone().map(|finding| finding.severity).max();
        let file = FileLine {
            input: InputV1::of(input, sources),
            status: if input.judged { "judged" } else { "not-judged" },
            worst: worst.unwrap_or(Severity::None).word(),
            results: own.count(),
        };
        out += &line(&Record::File(file));
    }
    for error in &report.errors {
        let record = Record::Error {
            path: shown(&error.path),
            status: "error",
            message: shown(&error.message),
        };
        out += &line(&record);
    }
    out += &line(&Record::Summary(SummaryV1::of(report)));
    out
}
