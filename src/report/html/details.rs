//! In: the page. Out: each finding with its lines, its flow, the way and the fix; then what passed at each gate.

use super::{Page, escaped, one_line, sign};
use crate::finding::{Finding, FixOffer, Label, Outcome};
use crate::report::cause::Cause;
use crate::source::{Sources, Span};

/// Characters of a line that are shown on each side of what is marked.
const AROUND: usize = 100;
/// Characters that are marked at most.
const LONGEST_MARK: usize = 600;
/// Steps of a way that are listed at most: its end decides.
const MOST_STEPS: usize = 400;

/// Everything that is worth telling, once per cause.
pub(super) fn findings(page: &Page<'_>) -> String {
    let told: Vec<String> = page
        .causes
        .iter()
        .enumerate()
        .map(|(at, cause)| finding(page, at, cause))
        .collect();
    let told = if told.is_empty() {
        "<p>Nothing to report.</p>\n".to_owned()
    } else {
        told.concat()
    };
    format!(
        "<section aria-labelledby=\"findings\"><h2 id=\"findings\">Findings</h2>\n{told}</section>\n"
    )
}

fn finding(page: &Page<'_>, at: usize, cause: &Cause<'_>) -> String {
    let finding = cause.worst;
    let mut rules = vec![finding.rule.as_str()];
    rules.extend(cause.others.iter().map(|other| other.rule.as_str()));
    let waits = cause.reason.map_or(String::new(), |reason| {
        format!("<p>Cannot be told without {}.</p>\n", prose(&reason.text))
    });
    let also: Vec<String> = cause
        .others
        .iter()
        .map(|other| {
            let (rule, message) = (escaped(&other.rule), prose(&other.message));
            format!("<li>also <code>{rule}</code>: {message}</li>\n")
        })
        .collect();
    let also = if also.is_empty() {
        String::new()
    } else {
        format!("<ul>\n{}</ul>\n", also.concat())
    };
    let why = finding.why.as_deref().map_or(String::new(), |why| {
        format!("<dt>Why it matters</dt><dd>{}</dd>\n", prose(why))
    });
    let live = finding.live_check.as_deref().map_or(String::new(), |run| {
        let run = escaped(&one_line(run));
        format!("<dt>On the live machine</dt><dd><code>{run}</code></dd>\n")
    });
    format!(
        "<details class=\"finding {}\" open><summary><h3 id=\"c{at}\">{} {}</h3>\n\
         <br><span class=\"dim\">{} in {}</span></summary>\n<div class=\"inside\">\n{waits}{also}{}\
         <dl>\n{}{}{}{why}{live}{}</dl>\n</div></details>\n",
        finding.outcome.word(),
        sign(finding.outcome),
        prose(&finding.message),
        escaped(&rules.join(", ")),
        escaped(&one_line(&finding.target)),
        places(finding, page.sources),
        witness(finding),
        steps(finding, page.sources),
        advice(finding),
        source(finding)
    )
}

fn witness(finding: &Finding) -> String {
    let witness = finding.witness.as_ref().map_or(String::new(), |witness| {
        let text = escaped(&one_line(&witness.text));
        format!("<dt>For example</dt><dd><code>{text}</code></dd>\n")
    });
    let fallback = finding.fallback.as_deref().map_or(String::new(), |text| {
        format!("<dt>What still works</dt><dd>{}</dd>\n", prose(text))
    });
    let groups: Vec<String> = finding
        .clients
        .groups
        .iter()
        .map(|group| {
            let outcome = if group.through {
                Outcome::Pass
            } else {
                Outcome::Fail
            };
            format!("<li>{} {}</li>\n", sign(outcome), prose(&group.name))
        })
        .collect();
    let groups = if groups.is_empty() {
        String::new()
    } else {
        format!("<dt>Clients</dt><dd><ul>\n{}</ul></dd>\n", groups.concat())
    };
    let variants = finding.variants.iter().map(|variant| {
        format!(
            "<dd>{} if {} is {}</dd>\n",
            variant.outcome.word(),
            escaped(&one_line(&variant.fact)),
            escaped(&one_line(&variant.value))
        )
    });
    let variants: String = variants.collect();
    let variants = if variants.is_empty() {
        variants
    } else {
        format!("<dt>It depends</dt>\n{variants}")
    };
    witness + &fallback + &groups + &variants
}

fn steps(finding: &Finding, sources: &Sources) -> String {
    let count = finding.steps.len();
    if count == 0 {
        return String::new();
    }
    let skipped = count.saturating_sub(MOST_STEPS);
    let steps: Vec<String> = finding
        .steps
        .iter()
        .skip(skipped)
        .map(|step| {
            let line = step.span.map_or(String::new(), |span| {
                format!("line {}: ", sources.line(span))
            });
            format!("<li>{line}{}</li>\n", prose(&step.text))
        })
        .collect();
    let plural = if count == 1 { "" } else { "s" };
    format!(
        "<dt>Its way</dt><dd><details><summary>{count} step{plural}</summary>\n\
         <ol class=\"inside\" start=\"{}\">\n{}</ol></details></dd>\n",
        skipped + 1,
        steps.concat()
    )
}

fn advice(finding: &Finding) -> String {
    let Some(advice) = finding.advice() else {
        return String::new();
    };
    let edits: Vec<String> = finding.fixes.first().map(edits).unwrap_or_default();
    let edits = if edits.is_empty() {
        String::new()
    } else {
        format!("<pre>{}</pre>", edits.join("\n"))
    };
    format!("<dt>To do</dt><dd>{}{edits}</dd>\n", prose(advice))
}

/// The lines that a fix writes.
fn edits(fix: &FixOffer) -> Vec<String> {
    let written = fix.edits.iter().flat_map(|(_, text)| text.lines());
    written
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("+ {}", escaped(line)))
        .collect()
}

fn source(finding: &Finding) -> String {
    // Only addresses of the web become links.
    let link = finding.link.as_deref().map_or(String::new(), |link| {
        let shown = escaped(&one_line(link));
        if link.starts_with("https://") {
            format!("<a href=\"{shown}\" rel=\"noreferrer\">{shown}</a>, ")
        } else {
            format!("{shown}, ")
        }
    });
    let rule = escaped(&finding.rule);
    format!("<dt>More</dt><dd>{link}<code>gatelint explain {rule}</code></dd>\n")
}

fn places(finding: &Finding, sources: &Sources) -> String {
    let labels = finding.primary.iter().chain(&finding.related);
    labels.map(|label| place(label, sources)).collect()
}

/// A label with its line, the labelled part marked.
fn place(label: &Label, sources: &Sources) -> String {
    let Span { file, start, end } = label.span;
    let file = sources.file(file);
    let line = file.line(start);
    let whole = file.line_range(line);
    let (start, end) = (
        start as usize,
        (end as usize).min(whole.end.max(start as usize)),
    );
    let text = |range| String::from_utf8_lossy(file.slice(range)).into_owned();
    let before = text(whole.start..start);
    let after = text(end..whole.end);
    format!(
        "<figure><figcaption><code>{}:{line}</code> {}</figcaption><pre>{}<mark>{}</mark>{}</pre></figure>\n",
        escaped(&one_line(&file.path)),
        prose(&label.text),
        escaped(&ending(&before)),
        escaped(&beginning(&text(start..end), LONGEST_MARK)),
        escaped(&beginning(after.trim_end(), AROUND))
    )
}

fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

fn ending(text: &str) -> String {
    match text.char_indices().rev().nth(AROUND) {
        Some((at, _)) => "…".to_owned() + text.get(at..).unwrap_or_default(),
        None => text.to_owned(),
    }
}

/// Every answer that is not told as a finding, per gate.
pub(super) fn passing(page: &Page<'_>) -> String {
    let gates = page.columns.iter().enumerate();
    let gates: Vec<String> = gates
        .map(|(at, column)| {
            let answers: Vec<String> = column
                .findings
                .iter()
                .filter(|finding| finding.outcome != Outcome::NotApplicable)
                .map(|finding| answer(page, finding))
                .collect();
            let waits = column.findings.len() - answers.len();
            format!(
                "<details><summary><h3 id=\"t{at}\">{} {}</h3></summary>\n<div class=\"inside\">{}\n<ul>\n{}</ul>\n\
                 <p class=\"dim\">{waits} more are not asked of this gate.</p></div></details>\n",
                sign(column.worst()),
                escaped(&one_line(column.target)),
                column.answer.map_or(String::new(), |text| format!("<p>{}</p>", prose(text))),
                answers.concat()
            )
        })
        .collect();
    format!(
        "<section aria-labelledby=\"gates\"><h2 id=\"gates\">Every answer, gate by gate</h2>\n{}</section>\n",
        gates.concat()
    )
}

fn answer(page: &Page<'_>, finding: &Finding) -> String {
    let anchor = page.anchor(finding);
    let (rule, message) = (escaped(&finding.rule), prose(&finding.message));
    let sign = sign(finding.outcome);
    if anchor.starts_with('c') {
        return format!(
            "<li>{sign} <a href=\"#{anchor}\"><code>{rule}</code></a>: {message}</li>\n"
        );
    }
    format!(
        "<li id=\"{anchor}\">{sign} <code>{rule}</code>: {message}{}</li>\n",
        places(finding, page.sources)
    )
}

/// Text in which backticks stand around what a config says.
fn prose(text: &str) -> String {
    let text = one_line(text);
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return escaped(&text);
    }
    let code = |(at, piece): (usize, &&str)| {
        let piece = escaped(piece);
        if at % 2 == 1 {
            format!("<code>{piece}</code>")
        } else {
            piece
        }
    };
    pieces.iter().enumerate().map(code).collect()
}
