//! In: a report. Out: what a person reads: the answer first, then one finding per cause with its lines, then what could
//! not be told, what was not judged, what was assumed, and what was checked.

mod diagnostic;
mod window;

use miette::{GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};

use super::cause::{Cause, causes};
use super::{Format, Secrets, Style, one_line, summary};
use crate::finding::{Outcome, Report, Severity};
use crate::source::{Sources, Span};

pub(super) const FORMAT: Format = Format {
    name: "human",
    title: "for people: the answer, then each finding with its lines",
    says_summary: true,
    render,
};

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let mut out = String::new();
    if !style.quiet {
        paragraph(&mut out, answers(report, sources));
    }
    let handler = handler(style);
    for cause in causes(report, style.least) {
        let Cause {
            reason,
            worst,
            others,
        } = &cause;
        let shown = match worst.outcome {
            Outcome::Undecided => diagnostic::undecided(*reason, worst, others, sources, style),
            Outcome::NotApplicable | Outcome::Pass | Outcome::Degraded | Outcome::Fail => {
                diagnostic::finding(worst, others, sources, style)
            }
        };
        // A writer into a string has no errors of its own.
        let _ = handler.render_report(&mut out, &shown);
        out.push('\n');
    }
    if !style.quiet {
        paragraph(&mut out, report.notes.iter().map(|note| one_line(note)));
        // What is said of one gate need not be said of no one as well.
        let is_repeated = |text: &String| {
            let with_target = format!(": {text}");
            let mut others = report.assumptions.iter();
            others.any(|other| other.ends_with(&with_target))
        };
        let assumed = report.assumptions.iter().filter(|text| !is_repeated(text));
        paragraph(
            &mut out,
            assumed.map(|text| format!("assumed: {}", one_line(text))),
        );
    }
    out.push_str(&summary(report, sources));
    out.push('\n');
    if !style.quiet && report.inputs.iter().any(|input| input.judged) {
        out.push_str("judged from these files, not from the running machine\n");
    }
    if style.verbose {
        let policies = report.policies.iter();
        let named = policies.map(|policy| format!("policy {} {}", policy.id, policy.version));
        let dated = report.ranges_date.iter();
        lines(
            &mut out,
            named.chain(dated.map(|date| format!("address ranges of {date}"))),
        );
    }
    out
}

/// One problem at one place, for errors that are no findings: those of policies. Like a report, it shows no secret.
pub fn problem(
    sources: &Sources,
    span: Span,
    message: &str,
    help: Option<&str>,
    severity: Severity,
    style: Style,
) -> String {
    let mut out = String::new();
    let secrets = Secrets::of(sources);
    let (message, help) = (
        secrets.without(message),
        help.map(|help| secrets.without(help)),
    );
    let shown = diagnostic::problem(&secrets.sources, span, &message, help.as_deref(), severity);
    let _ = handler(style).render_report(&mut out, &shown);
    out
}

/// The look is decided here, not by what the terminal library would guess from standard error.
fn handler(style: Style) -> GraphicalReportHandler {
    let theme = GraphicalTheme {
        characters: ThemeCharacters::unicode(),
        styles: if style.color {
            ThemeStyles::ansi()
        } else {
            ThemeStyles::none()
        },
    };
    // Lines are not wrapped: commands and rules must stay whole for copying.
    GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(0)
        .with_wrap_lines(false)
        .with_show_related_as_nested(true)
        .without_syntax_highlighting()
}

/// Lines, then an empty one; nothing for no lines.
fn paragraph(out: &mut String, text: impl IntoIterator<Item = String>) {
    let before = out.len();
    lines(out, text);
    if out.len() > before {
        out.push('\n');
    }
}

fn lines(out: &mut String, text: impl IntoIterator<Item = String>) {
    for line in text {
        out.push_str(&line);
        out.push('\n');
    }
}

/// One line per input that has an answer.
fn answers(report: &Report, sources: &Sources) -> Vec<String> {
    let line = |input: &crate::finding::InputSummary| {
        let answer = input.answer.as_deref()?;
        Some(one_line(&format!("{}: {answer}", sources.path(input.file))))
    };
    report.inputs.iter().filter_map(line).collect()
}
