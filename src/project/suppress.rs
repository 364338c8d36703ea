//! In: a report and the files that it speaks of. Out: the report, where what a comment ignores has no severity.
//!
//! `gatelint: ignore[RULE, ..] reason` stands in a comment on the line that decided, or alone on the line above it;
//! `gatelint: ignore-file[RULE, ..] reason` stands anywhere in the file. For iptables it may also be a rule's `--comment`, which
//! iptables-save keeps.

use std::collections::BTreeSet;

use super::{covers, finding_about};
use crate::finding::{Finding, Report, Severity};
use crate::source::{FileId, Sources, Span};

const MARKER: &str = "gatelint: ignore";
const OPENERS: [&str; 5] = ["#", "//", "/*", ";", "<!--"];
const CLOSERS: [&str; 2] = ["*/", "-->"];

/// One comment.
#[derive(Debug, PartialEq, Eq)]
struct Suppression {
    span: Span,
    /// The line that it stands on, and whether nothing else does.
    line: u32,
    is_alone: bool,
    /// For the whole file.
    is_for_file: bool,
    rules: Vec<String>,
    reason: String,
}

/// Takes the severity of what comments ignore, and tells what is wrong with the comments. `knows` says whether a rule
/// exists.
pub fn suppress(knows: &dyn Fn(&str) -> bool, report: &mut Report, sources: &Sources) {
    let inputs = report.inputs.iter().map(|input| input.file);
    let places = report
        .results
        .iter()
        .filter_map(|finding| finding.primary.as_ref());
    let files: BTreeSet<FileId> = inputs.chain(places.map(|label| label.span.file)).collect();
    let mut own = Vec::new();
    for file in files {
        for read in suppressions(file, sources) {
            let suppression = match read {
                Ok(suppression) => suppression,
                Err((span, message)) => {
                    let help = "write it as `gatelint: ignore[chime/media] the reason`";
                    own.push(finding_about(
                        sources,
                        "suppression/malformed",
                        span,
                        message,
                        help,
                    ));
                    continue;
                }
            };
            for rule in &suppression.rules {
                if !knows(rule) {
                    let message =
                        format!("a comment ignores the rule `{rule}`, which does not exist");
                    let help = "gatelint rules lists every name";
                    let id = "suppression/unknown-rule";
                    own.push(finding_about(sources, id, suppression.span, message, help));
                    continue;
                }
                let mut is_used = false;
                for finding in &mut report.results {
                    if suppression.covers(rule, finding, file, sources) {
                        is_used = true;
                        finding.severity = Severity::None;
                        report.notes.push(format!(
                            "ignored at line {} of {}: {} at {}: {}",
                            suppression.line,
                            sources.path(file),
                            finding.rule,
                            finding.target,
                            suppression.reason
                        ));
                    }
                }
                if !is_used {
                    let message = format!("the comment that ignores {rule} ignores nothing");
                    let id = "suppression/unused";
                    own.push(finding_about(
                        sources,
                        id,
                        suppression.span,
                        message,
                        "delete it",
                    ));
                }
            }
        }
    }
    report.results.append(&mut own);
}

impl Suppression {
    fn covers(&self, rule: &str, finding: &Finding, file: FileId, sources: &Sources) -> bool {
        if finding.severity == Severity::None || !covers(rule, &finding.rule) {
            return false;
        }
        let place = finding.primary.as_ref().map(|label| label.span);
        let in_file = place.map_or(finding.file, |span| span.file) == file;
        let on_line = place.is_some_and(|span| {
            let line = sources.line(span);
            line == self.line || (self.is_alone && line == self.line + 1)
        });
        in_file && (self.is_for_file || on_line)
    }
}

/// The comments of a file, and those that are none, with what is wrong.
fn suppressions(file: FileId, sources: &Sources) -> Vec<Result<Suppression, (Span, String)>> {
    let source = sources.file(file);
    let places = memchr::memmem::find_iter(&source.bytes, MARKER);
    places
        .filter_map(|start| {
            let offset = u32::try_from(start).ok()?;
            let line = source.line(offset);
            let range = source.line_range(line);
            let before = String::from_utf8_lossy(source.slice(range.start..start)).into_owned();
            let after = String::from_utf8_lossy(source.slice(start + MARKER.len()..range.end));
            let before = before.trim();
            let opener = OPENERS.iter().find(|opener| before.ends_with(**opener));
            let quote = before
                .chars()
                .next_back()
                .filter(|last| ['"', '\''].contains(last) && before.contains("--comment"));
            let after = match (opener, quote) {
                (Some(_), _) => after.trim().to_owned(),
                (None, Some(quote)) => after.split(quote).next()?.to_owned(),
                (None, None) => return None,
            };
            let span = Span::new(file, start, start + MARKER.len() + after.len());
            let is_alone = opener.is_some_and(|opener| before.len() == opener.len());
            Some(parse(&after, span, line, is_alone).map_err(|why| (span, why.to_owned())))
        })
        .collect()
}

/// What stands behind the marker.
fn parse(text: &str, span: Span, line: u32, is_alone: bool) -> Result<Suppression, &'static str> {
    let (is_for_file, text) = match text.strip_prefix("-file") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let listed = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    let Some((rules, reason)) = listed else {
        return Err("a comment ignores without naming rules, so it ignores nothing");
    };
    let rules: Vec<String> = rules
        .split(',')
        .map(|rule| rule.trim().to_owned())
        .filter(|rule| !rule.is_empty())
        .collect();
    if rules.is_empty() {
        return Err("a comment ignores without naming rules, so it ignores nothing");
    }
    let reason = CLOSERS.iter().fold(reason.trim(), |reason, closer| {
        reason.strip_suffix(closer).unwrap_or(reason).trim()
    });
    if reason.is_empty() {
        return Err("a comment ignores without a reason, so it ignores nothing");
    }
    Ok(Suppression {
        span,
        line,
        is_alone,
        is_for_file,
        rules,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Suppression, String>> {
        let sources = Sources::new();
        let file = sources.add("f", text.as_bytes().to_vec()).unwrap();
        let all = suppressions(file, &sources);
        all.into_iter()
            .map(|one| one.map_err(|(_, why)| why))
            .collect()
    }

    #[test]
    fn every_dialects_comments_carry_them() {
        for text in [
            "# gatelint: ignore[a/b, c] why",
            "x // gatelint: ignore[a/b, c] why",
            "/* gatelint: ignore[a/b, c] why */",
            "; gatelint: ignore[a/b, c] why",
            "<!-- gatelint: ignore[a/b, c] why -->",
            "-A F -m comment --comment \"gatelint: ignore[a/b, c] why\" -j DROP",
        ] {
            let read = read(text);
            let one = read[0].as_ref().unwrap();
            assert_eq!(
                (one.rules.join(" "), one.reason.as_str()),
                ("a/b c".to_owned(), "why"),
                "{text}"
            );
        }
        assert!(read("a gatelint: ignore[a] is no comment").is_empty());
    }

    #[test]
    fn rules_and_a_reason_are_required() {
        for text in [
            "# gatelint: ignore why",
            "# gatelint: ignore[] why",
            "# gatelint: ignore[a]",
            "/* gatelint: ignore[a] */",
        ] {
            assert!(read(text)[0].is_err(), "{text}");
        }
        let read = read("x\n# gatelint: ignore-file[a] why\ny # gatelint: ignore[a] why\n");
        let (whole, one) = (read[0].as_ref().unwrap(), read[1].as_ref().unwrap());
        assert!(whole.is_for_file && whole.is_alone && whole.line == 2);
        assert!(!one.is_for_file && !one.is_alone && one.line == 3);
    }
}
