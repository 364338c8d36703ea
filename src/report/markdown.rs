//! In: a report. Out: Markdown for a pull request's comment or a job's summary: the answer, the findings, what was
//! checked.
//!
//! Nothing that a config says is markup: it stands in code spans, or escaped, and mentions nobody.

use super::cause::{Cause, causes};
use super::{Format, Style, one_line, summary};
use crate::finding::{Finding, Label, Outcome, Report, Severity};
use crate::source::Sources;

pub(super) const FORMAT: Format = Format {
    name: "markdown",
    title: "for a pull request's comment or a job's summary",
    says_summary: true,
    render,
};

/// Characters of a source line that are quoted.
const LONGEST_LINE: usize = 300;

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let causes = causes(report, style.least);
    let mut out = vec![format!("## gatelint: {}\n\n", report.headline())];
    for error in &report.errors {
        out.push(format!(
            "- ⛔ {}: {}\n",
            code(&error.path),
            escaped(&error.message)
        ));
    }
    if !report.errors.is_empty() {
        out.push("\n".to_owned());
    }
    let answers: Vec<String> = report
        .inputs
        .iter()
        .filter_map(|input| {
            let answer = input.answer.as_deref()?;
            let path = code(&sources.path(input.file));
            Some(format!("| {path} | {} |\n", escaped(answer)))
        })
        .collect();
    if !answers.is_empty() {
        out.push("| config | answer |\n|---|---|\n".to_owned());
        out.extend(answers);
        out.push("\n".to_owned());
    }
    for cause in &causes {
        out.push(section(cause, sources));
    }
    if !style.quiet {
        out.push(list("Not judged", &report.notes));
        out.push(list("Assumed", &report.assumptions));
    }
    out.push(format!("{}\n", escaped(&summary(report, sources))));
    out.concat()
}

fn section(cause: &Cause<'_>, sources: &Sources) -> String {
    let finding = cause.worst;
    let mut out = vec![format!(
        "### {} {}\n\n",
        sign(finding),
        escaped(&finding.message)
    )];
    let mut rules = vec![finding.rule.as_str()];
    rules.extend(cause.others.iter().map(|other| other.rule.as_str()));
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(|rule| code(rule)).collect();
    out.push(format!(
        "{} in {}\n\n",
        rules.join(", "),
        code(&finding.target)
    ));
    if let Some(reason) = cause.reason {
        out.push(format!(
            "- cannot be told without {}\n",
            escaped(&reason.text)
        ));
    }
    for other in &cause.others {
        out.push(format!(
            "- also {}: {}\n",
            code(&other.rule),
            escaped(&other.message)
        ));
    }
    if let Some(witness) = &finding.witness {
        out.push(format!("- example: {}\n", code(&witness.text)));
    }
    if let Some(fallback) = &finding.fallback {
        out.push(format!("- fallback: {}\n", escaped(fallback)));
    }
    for label in finding.primary.iter().chain(&finding.related) {
        out.push(place(label, sources));
    }
    out.push("\n".to_owned());
    if let Some(advice) = cause.advice() {
        out.push(format!("**To do:** {}\n", escaped(advice)));
        let edits = finding.fixes.first().into_iter().flat_map(|fix| &fix.edits);
        let added: Vec<String> = edits
            .flat_map(|(_, text)| text.lines())
            .filter(|line| !line.trim().is_empty())
            .map(|line| format!("+ {}\n", one_line(line)))
            .collect();
        if added.is_empty() {
            out.push("\n".to_owned());
        } else {
            let added = added.concat();
            let fence = fence(&added, 3);
            out.push(format!("\n{fence}diff\n{added}{fence}\n\n"));
        }
    }
    if let Some(why) = &finding.why {
        out.push(format!("<sub>{}</sub>\n\n", escaped(why)));
    }
    out.concat()
}

fn place(label: &Label, sources: &Sources) -> String {
    let path = format!(
        "{}:{}",
        sources.path(label.span.file),
        sources.line(label.span)
    );
    let line: String = one_line(&sources.text(label.span))
        .chars()
        .take(LONGEST_LINE)
        .collect();
    let quoted = if line.is_empty() {
        String::new()
    } else {
        format!(" {}", code(&line))
    };
    format!("- {}{quoted}: {}\n", code(&path), escaped(&label.text))
}

fn sign(finding: &Finding) -> &'static str {
    match (finding.outcome, finding.severity) {
        (Outcome::Undecided, _) => "❔",
        (_, Severity::Error) => "❌",
        (_, Severity::Warning) => "⚠️",
        (_, Severity::Info | Severity::None) => "ℹ️",
    }
}

fn list(title: &str, texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let items: Vec<String> = texts
        .iter()
        .map(|text| format!("- {}\n", escaped(text)))
        .collect();
    format!(
        "<details><summary>{title}</summary>\n\n{}\n</details>\n\n",
        items.concat()
    )
}

/// A code span, whatever the text: its fence is longer than every run of backticks in it (`CommonMark` 6.1).
pub(crate) fn code(text: &str) -> String {
    let text = one_line(text).replace('|', "\\|");
    if text.is_empty() {
        return String::new();
    }
    let fence = fence(&text, 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn fence(text: &str, least: usize) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(least.max(longest + 1))
}

/// Prose: what stands between backticks is code, everything else is no markup.
pub(crate) fn escaped(text: &str) -> String {
    let text = one_line(text);
    let pieces: Vec<&str> = text.split('`').collect();
    let is_balanced = pieces.len() % 2 == 1;
    let mut out = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        if at % 2 == 1 && is_balanced {
            out += &code(piece);
        } else {
            if at > 0 && !is_balanced {
                out += "\\`";
            }
            out.extend(piece.chars().map(harmless));
        }
    }
    out
}

fn harmless(c: char) -> String {
    match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        // A mention needs its name right behind the sign.
        '@' => "<span>@</span>".to_owned(),
        '\\' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => format!("\\{c}"),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_config_is_markup() {
        assert_eq!(
            escaped("*a* <b> @me [x](y) `c|d` |"),
            "\\*a\\* &lt;b&gt; <span>@</span>me \\[x\\](y) `c\\|d` \\|"
        );
        assert_eq!(escaped("odd ` one"), "odd \\` one");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\n``` x"), "````a ``` x````");
    }
}
