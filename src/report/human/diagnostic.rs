//! In: findings of one cause. Out: one diagnostic for miette: title, way, lines, help.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::window::Window;
use crate::finding::{Finding, Label, LabelRole, Reason, Severity, StepTaken};
use crate::report::{Style, one_line, visible};
use crate::source::{FileId, Sources, Span};

/// Places that one finding shows at most; more would hide the first.
const MOST_LABELS: usize = 4;
/// Steps of the way that are shown without `-v`.
const MOST_STEPS: usize = 4;

/// What miette renders.
#[derive(Debug)]
pub(super) struct Shown {
    code: Option<String>,
    severity: Severity,
    title: String,
    /// Lines under the title, each the cause of the former in miette's words.
    way: Option<Box<Clause>>,
    window: Option<Window>,
    help: Option<String>,
    /// Places in other files.
    elsewhere: Vec<Shown>,
}

/// One line of the way, and those that follow.
#[derive(Debug)]
struct Clause {
    text: String,
    next: Option<Box<Clause>>,
}

/// A finding, with others that have the same cause.
pub(super) fn finding(
    worst: &Finding,
    others: &[&Finding],
    sources: &Sources,
    style: Style,
) -> Shown {
    let mut clauses = Vec::new();
    for other in others {
        clauses.push(format!("also {}: {}", other.rule, other.message));
    }
    clauses.extend(way(worst, sources, style));
    let mut labels: Vec<&Label> = worst.primary.iter().collect();
    labels.extend(&worst.related);
    shown(
        &rules(worst, others),
        worst,
        one_line(&worst.message),
        clauses,
        &labels,
        help(worst, style),
        sources,
    )
}

/// A missing fact, with the findings that wait for it.
pub(super) fn undecided(
    reason: Option<&Reason>,
    worst: &Finding,
    others: &[&Finding],
    sources: &Sources,
    style: Style,
) -> Shown {
    let mut clauses = Vec::new();
    let title = match reason {
        Some(reason) => {
            let between: Vec<_> = worst.between.iter().map(|one| one.word()).collect();
            if between.len() > 1 {
                clauses.push(format!("it is one of: {}", between.join(", ")));
            }
            for waiting in std::iter::once(&worst).chain(others) {
                clauses.push(format!(
                    "waits for it: {}: {}",
                    waiting.rule, waiting.message
                ));
            }
            cannot_tell(&reason.text)
        }
        None => one_line(&worst.message),
    };
    clauses.extend(way(worst, sources, style));
    let own = reason.and_then(|reason| {
        Some(Label {
            span: reason.span?,
            role: LabelRole::Unknown,
            text: "this is what it depends on".to_owned(),
        })
    });
    let labels: Vec<&Label> = match &own {
        Some(label) => vec![label],
        None => worst.primary.iter().chain(&worst.related).collect(),
    };
    shown(
        &format!("undecided: {}", rules(worst, others)),
        worst,
        title,
        clauses,
        &labels,
        help(worst, style),
        sources,
    )
}

/// A problem that is no finding.
pub(super) fn problem(
    sources: &Sources,
    span: Span,
    message: &str,
    help: Option<&str>,
    severity: Severity,
) -> Shown {
    let label = Label {
        span,
        role: LabelRole::Decides,
        text: String::new(),
    };
    Shown {
        code: None,
        severity,
        title: one_line(message),
        way: None,
        window: Some(Window::new(&sources.file(span.file), &[&label])),
        help: help.map(|help| visible(help).into_owned()),
        elsewhere: Vec::new(),
    }
}

/// Unknowns complete "cannot tell without ..."; other reasons are sentences of their own.
fn cannot_tell(text: &str) -> String {
    let text = one_line(text);
    if text.starts_with("cannot ") {
        text
    } else {
        format!("cannot tell without {text}")
    }
}

fn shown(
    code: &str,
    finding: &Finding,
    title: String,
    clauses: Vec<String>,
    labels: &[&Label],
    help: Option<String>,
    sources: &Sources,
) -> Shown {
    let mut labels: Vec<&Label> = labels.to_vec();
    labels.truncate(MOST_LABELS);
    let mut files: Vec<FileId> = Vec::new();
    for label in &labels {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    let window = |file: FileId| {
        let here: Vec<&Label> = labels
            .iter()
            .copied()
            .filter(|label| label.span.file == file)
            .collect();
        Window::new(&sources.file(file), &here)
    };
    let mut files = files.into_iter();
    let main = files.next().map(window);
    let elsewhere = files
        .map(|file| Shown {
            code: None,
            severity: Severity::Info,
            title: format!("see also {}", one_line(&sources.path(file))),
            way: None,
            window: Some(window(file)),
            help: None,
            elsewhere: Vec::new(),
        })
        .collect();
    Shown {
        code: Some(visible(code).into_owned()),
        severity: finding.severity,
        title,
        way: clauses.into_iter().rev().fold(None, |next, text| {
            let text = one_line(&text);
            Some(Box::new(Clause { text, next }))
        }),
        window: main,
        help,
        elsewhere,
    }
}

/// All rules that the cause touches, the worst first.
fn rules(worst: &Finding, others: &[&Finding]) -> String {
    let mut rules = vec![worst.rule.as_str()];
    for rule in others.iter().map(|other| other.rule.as_str()) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules.join(", ")
}

/// The witness and its way, the fallback, for whom it holds, what it depends on.
fn way(finding: &Finding, sources: &Sources, style: Style) -> Vec<String> {
    let mut clauses = Vec::new();
    if let Some(witness) = &finding.witness {
        let noun = witness
            .fields
            .iter()
            .find_map(|(name, _)| match name.as_str() {
                "hook" | "proto" => Some("packet"),
                "method" => Some("request"),
                "name" => Some("lookup"),
                "kind" => Some("fetch"),
                _ => None,
            })
            .unwrap_or("example");
        let steps = steps(&finding.steps, sources, style);
        let sep = if steps.is_empty() { "" } else { ": " };
        clauses.push(format!("{noun}: {}{sep}{steps}", witness.text));
    }
    if let Some(fallback) = &finding.fallback {
        clauses.push(format!("fallback: {fallback}"));
    }
    let group_names = |through: bool| {
        let groups = finding.clients.groups.iter();
        let names: Vec<_> = groups
            .filter(|group| group.through == through)
            .map(|group| group.name.as_str())
            .collect();
        names.join(", ")
    };
    let (blocked, through) = (group_names(false), group_names(true));
    // A single group that is blocked is named in the title.
    if !blocked.is_empty() && finding.clients.groups.len() > 1 {
        let but = if through.is_empty() {
            String::new()
        } else {
            format!("; it works for {through}")
        };
        clauses.push(format!("clients: {blocked}{but}"));
    }
    for variant in &finding.variants {
        let (fact, value) = (&variant.fact, &variant.value);
        clauses.push(format!("{} if {fact} is {value}", variant.outcome.word()));
    }
    clauses
}

fn steps(steps: &[StepTaken], sources: &Sources, style: Style) -> String {
    let line = |step: &StepTaken| step.span.map(|span| (span.file, sources.line(span)));
    // A line that goes on to decide says so itself: its parts that did not are no steps of their own.
    let next = steps.iter().skip(1).map(Some).chain([None]);
    let shown: Vec<&StepTaken> = steps
        .iter()
        .zip(next)
        .filter(|(step, next)| {
            let same_line = next.is_some_and(|next| line(next) == line(step));
            !(step.text == "no" && step.span.is_some() && same_line)
        })
        .map(|(step, _)| step)
        .collect();
    // A run of rules that do the same is one step.
    let words: Vec<String> = shown
        .chunk_by(|left, right| {
            left.span.is_some() && right.span.is_some() && left.text == right.text
        })
        .filter_map(|alike| {
            let (first, last) = (alike.first()?, alike.last()?);
            let text = &first.text;
            Some(match (line(first), line(last)) {
                (Some((_, from)), Some((_, to))) if from == to => format!("line {from} {text}"),
                (Some((_, from)), Some((_, to))) => format!("lines {from} to {to} {text}"),
                (Some(_) | None, _) => text.clone(),
            })
        })
        .collect();
    let hidden = if style.verbose {
        0
    } else {
        words.len().saturating_sub(MOST_STEPS)
    };
    let mut said: Vec<String> = words.into_iter().skip(hidden).collect();
    if hidden > 0 {
        let plural = if hidden == 1 { "" } else { "s" };
        said.insert(0, format!("{hidden} step{plural} before"));
    }
    said.join(", ")
}

/// What to do first, then why, where it is written, and how to see it live.
fn help(finding: &Finding, style: Style) -> Option<String> {
    let mut lines = Vec::new();
    match finding.fixes.first() {
        Some(fix) => {
            lines.push(fix.title.clone());
            for (_, text) in &fix.edits {
                let text = text.trim();
                if !text.is_empty() && !fix.title.contains(text) {
                    lines.extend(text.lines().map(|line| format!("  + {line}")));
                }
            }
        }
        None => lines.extend(finding.help.clone()),
    }
    if !style.quiet {
        lines.extend(finding.why.as_ref().map(|why| format!("why: {why}")));
        lines.extend(finding.live_check.as_ref().map(|run| format!("see: {run}")));
        lines.extend(finding.link.as_ref().map(|link| format!("source: {link}")));
        let more = format!("gatelint explain {}", finding.rule);
        lines.push(if lines.is_empty() {
            format!("`{more}` says more")
        } else {
            format!("more: {more}")
        });
    }
    (!lines.is_empty()).then(|| visible(&lines.join("\n")).into_owned())
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.title)
    }
}

impl std::error::Error for Shown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.way
            .as_deref()
            .map(|clause| clause as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for Shown {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code
            .as_ref()
            .map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Info | Severity::None => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.window.as_ref().map(|window| window as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.window
            .as_ref()
            .map(|window| Box::new(window.labels()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.elsewhere.is_empty() {
            return None;
        }
        Some(Box::new(
            self.elsewhere.iter().map(|one| one as &dyn Diagnostic),
        ))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::error::Error for Clause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next
            .as_deref()
            .map(|next| next as &(dyn std::error::Error + 'static))
    }
}
