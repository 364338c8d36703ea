//! In: a report. Out: XML as `JUnit` writes it: a suite per target, a case per requirement, passes too.
//!
//! A case fails where the run fails on it (`--fail-on`); what is worth a word and does not fail is skipped with that
//! word, since CI systems show no message of a case that passed. The shape is Ant's, which has no place for a missing
//! time: the times are zero, so that the same run gives the same bytes.

use super::markup::escaped;
use super::{Format, Style, one_line};
use crate::finding::{Finding, Outcome, Report};
use crate::source::Sources;

pub(super) const FORMAT: Format = Format {
    name: "junit",
    title: "JUnit's XML: one case per requirement and target, passes too",
    says_summary: false,
    render,
};

#[derive(Debug)]
struct Case<'r> {
    rule: &'r str,
    name: String,
    result: Came,
    message: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Passed,
    Skipped,
    Failed,
    Unusable,
}

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let mut suites: Vec<(&str, Vec<Case<'_>>)> = Vec::new();
    for finding in &report.results {
        let known = suites
            .iter()
            .position(|(target, _)| *target == finding.target);
        let at = known.unwrap_or_else(|| {
            suites.push((&finding.target, Vec::new()));
            suites.len() - 1
        });
        let Some((_, cases)) = suites.get_mut(at) else {
            continue;
        };
        let mut case = case(finding, sources, style);
        // A dialect's rule may be told of several places; a case is known by its name.
        let before = cases.iter().filter(|one| one.rule == case.rule).count();
        if before > 0 {
            case.name = format!("{} ({})", case.rule, before + 1);
        }
        cases.push(case);
    }
    for error in &report.errors {
        let case = Case {
            rule: "input",
            name: "input".to_owned(),
            result: Came::Unusable,
            message: error.message.clone(),
            text: one_line(&error.to_string()),
        };
        suites.push((&error.path, vec![case]));
    }
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (id, (target, cases)) in suites.iter().enumerate() {
        suite(&mut out, id, target, cases);
    }
    out.push_str("</testsuites>\n");
    out
}

/// So much of a line is quoted.
const LONGEST_LINE: usize = 400;

fn case<'r>(finding: &'r Finding, sources: &Sources, style: Style) -> Case<'r> {
    let fails = style.fail_on.is_some_and(|least| finding.severity >= least);
    let result = match finding.outcome {
        _ if fails => Came::Failed,
        Outcome::Pass => Came::Passed,
        Outcome::NotApplicable | Outcome::Degraded | Outcome::Undecided | Outcome::Fail => {
            Came::Skipped
        }
    };
    let mut lines = Vec::new();
    if let Some(label) = &finding.primary {
        let path = sources.path(label.span.file);
        let line = one_line(&sources.text(label.span));
        lines.push(format!(
            "at {path}:{}: {}",
            sources.line(label.span),
            line.chars().take(LONGEST_LINE).collect::<String>()
        ));
    }
    let witness = finding.witness.as_ref();
    lines.extend(witness.map(|witness| format!("example: {}", witness.text)));
    lines.extend(finding.advice().map(|advice| format!("help: {advice}")));
    let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
    Case {
        rule: &finding.rule,
        name: finding.rule.clone(),
        result,
        message: format!("{}: {}", finding.outcome.word(), finding.message),
        text: lines.join("\n"),
    }
}

fn suite(out: &mut String, id: usize, target: &str, cases: &[Case<'_>]) {
    let count = |came| cases.iter().filter(|case| case.result == came).count();
    let target = escaped(&one_line(target));
    let head = format!(
        "  <testsuite name=\"{target}\" package=\"gatelint\" id=\"{id}\" hostname=\"localhost\" \
         timestamp=\"1970-01-01T00:00:00\" time=\"0\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n    <properties/>\n",
        cases.len(),
        count(Came::Failed),
        count(Came::Unusable)
    );
    out.push_str(&head);
    for case in cases {
        let open = format!(
            "    <testcase classname=\"{target}\" name=\"{}\" time=\"0\"",
            escaped(&one_line(&case.name))
        );
        out.push_str(&open);
        let message = escaped(&one_line(&case.message));
        let text = escaped(&case.text);
        let close = match case.result {
            Came::Passed => "/>\n".to_owned(),
            Came::Skipped => format!("><skipped message=\"{message}\"/></testcase>\n"),
            Came::Failed => {
                format!(
                    "><failure type=\"finding\" message=\"{message}\">{text}</failure></testcase>\n"
                )
            }
            Came::Unusable => {
                format!("><error type=\"input\" message=\"{message}\">{text}</error></testcase>\n")
            }
        };
        out.push_str(&close);
    }
    out.push_str("    <system-out/>\n    <system-err/>\n  </testsuite>\n");
}
