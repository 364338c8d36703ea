//! In: a report. Out: SARIF 2.1.0 (OASIS standard) as code scanning platforms read it.
//!
//! One result per cause, one location per result: the line that decided. Other places are related locations that the
//! message links; the witness's way is a code flow. Fingerprints hold no line numbers, so a result stays the same when
//! lines above it change. Paths are relative to the repository's top.

use serde_json::{Value, json};

use super::cause::{Cause, causes};
use super::place::uri;
use super::{Format, Style, one_line, visible};
use crate::finding::{Finding, InputError, Label, Report, RuleInfo, Severity, StepTaken};
use crate::source::{FileId, Sources, Span};

pub(super) const FORMAT: Format = Format {
    name: "sarif",
    title: "SARIF 2.1.0 for code scanning",
    says_summary: false,
    render,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The rule of inputs that could not be used.
const UNUSABLE: &str = "input";
/// Characters of a line that a snippet shows.
const LONGEST_SNIPPET: usize = 400;

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let causes = causes(report, style.least);
    // Rules that no result names would only make the file long.
    let is_named = |rule: &&RuleInfo| {
        let names = causes.iter().map(|cause| cause.worst.rule.as_str());
        let unusable = report.errors.iter().map(|_| UNUSABLE);
        names.chain(unusable).any(|name| name == rule.id)
    };
    let document = Document {
        report,
        sources,
        rules: report.rules.iter().filter(is_named).collect(),
    };
    super::json::text(&document.log(&causes))
}

struct Document<'r> {
    report: &'r Report,
    sources: &'r Sources,
    /// Those that results name.
    rules: Vec<&'r RuleInfo>,
}

impl Document<'_> {
    fn log(&self, causes: &[Cause<'_>]) -> Value {
        let report = self.report;
        let told = causes.iter().map(|cause| self.result(cause));
        let unusable = report.errors.iter().map(|error| self.unusable(error));
        let notifications: Vec<Value> = report
            .errors
            .iter()
            .map(|error| json!({"level": "error", "message": {"text": text(&error.to_string())}}))
            .collect();
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "gatelint",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": self.rules.iter().map(|one| rule(one)).collect::<Vec<_>>(),
                }},
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": report.errors.is_empty(),
                    "toolExecutionNotifications": notifications,
                }],
                "artifacts": report.inputs.iter().map(|input| json!({
                    "location": {"uri": self.uri(input.file)},
                    "hashes": {"sha-256": input.sha256},
                })).collect::<Vec<_>>(),
                "results": unusable.chain(told).collect::<Vec<_>>(),
            }],
        })
    }

    fn unusable(&self, error: &InputError) -> Value {
        let mut result = json!({
            "ruleId": UNUSABLE,
            "level": "error",
            "message": {"text": text(&error.message)},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": uri(self.report, &error.path)},
                "region": {"startLine": 1},
            }}],
            "partialFingerprints": {"primaryLocationLineHash": format!("input:{}", uri(self.report, &error.path))},
        });
        self.add_rule_index(&mut result, UNUSABLE);
        result
    }

    fn result(&self, cause: &Cause<'_>) -> Value {
        let finding = cause.worst;
        let primary = match cause.place() {
            Some(span) => self.physical(span, true),
            // What no line says is said at the beginning.
            None => json!({
                "artifactLocation": {"uri": self.uri(finding.file)},
                "region": {"startLine": 1},
            }),
        };
        let related: Vec<&Label> = finding.related.iter().collect();
        let mut result = json!({
            "ruleId": finding.rule,
            "level": level(finding.severity),
            "message": {"text": self.message(cause, &related)},
            "locations": [{"physicalLocation": primary}],
            "partialFingerprints": {"primaryLocationLineHash": cause.fingerprint()},
            "properties": {
                "outcome": finding.outcome.word(),
                "target": text(&finding.target),
                "rules": std::iter::once(&finding.rule)
                    .chain(cause.others.iter().map(|other| &other.rule))
                    .collect::<Vec<_>>(),
            },
        });
        if !related.is_empty() {
            let locations = related.iter().enumerate().map(|(at, label)| {
                json!({
                    "id": at + 1,
                    "physicalLocation": self.physical(label.span, false),
                    "message": {"text": text(&label.text)},
                })
            });
            set(&mut result, "relatedLocations", locations.collect());
        }
        let way = self.way(finding);
        if !way.is_empty() {
            let flow = json!([{"threadFlows": [{"locations": way}]}]);
            set(&mut result, "codeFlows", flow);
        }
        let fixes: Vec<Value> = finding.fixes.iter().map(|fix| self.fix(fix)).collect();
        if !fixes.is_empty() {
            set(&mut result, "fixes", Value::Array(fixes));
        }
        self.add_rule_index(&mut result, &finding.rule);
        result
    }

    /// The effect, the witness, links to the related places, and what to do.
    fn message(&self, cause: &Cause<'_>, related: &[&Label]) -> String {
        let finding = cause.worst;
        let mut lines = vec![plain(&cause.message())];
        lines.extend(finding.witness.as_ref().map(|witness| plain(&witness.text)));
        lines.extend(related.iter().enumerate().map(|(at, label)| {
            let line = self.sources.line(label.span);
            format!("[line {line}]({}): {}", at + 1, plain(&label.text))
        }));
        lines.extend(
            cause
                .advice()
                .map(|advice| format!("Help: {}", plain(advice))),
        );
        lines.join("\n")
    }

    /// The witness's way. A step that is written nowhere is told with the next one that is.
    fn way(&self, finding: &Finding) -> Vec<Value> {
        let mut before: Vec<&str> = Vec::new();
        let mut way = Vec::new();
        for StepTaken { span, text: said } in &finding.steps {
            before.push(said);
            if let Some(span) = span {
                way.push(json!({"location": {
                    "physicalLocation": self.physical(*span, false),
                    "message": {"text": text(&before.join(", "))},
                }}));
                before.clear();
            }
        }
        way
    }

    fn fix(&self, fix: &crate::finding::FixOffer) -> Value {
        let mut files: Vec<(FileId, Vec<Value>)> = Vec::new();
        for (span, inserted) in &fix.edits {
            let replacement = json!({
                "deletedRegion": self.region(*span),
                "insertedContent": {"text": inserted},
            });
            match files.iter_mut().find(|(file, _)| *file == span.file) {
                Some((_, replacements)) => replacements.push(replacement),
                None => files.push((span.file, vec![replacement])),
            }
        }
        let changes: Vec<Value> = files
            .into_iter()
            .map(|(file, replacements)| {
                json!({
                    "artifactLocation": {"uri": self.uri(file)},
                    "replacements": replacements,
                })
            })
            .collect();
        json!({"description": {"text": text(&fix.title)}, "artifactChanges": changes})
    }

    fn physical(&self, span: Span, with_snippet: bool) -> Value {
        let mut region = self.region(span);
        if with_snippet && !span.is_empty() {
            let shown: String = one_line(&self.sources.text(span))
                .chars()
                .take(LONGEST_SNIPPET)
                .collect();
            set(&mut region, "snippet", json!({"text": shown}));
        }
        json!({"artifactLocation": {"uri": self.uri(span.file)}, "region": region})
    }

    fn region(&self, span: Span) -> Value {
        let file = self.sources.file(span.file);
        let (from, to) = (file.position(span.start), file.position(span.end));
        json!({
            "startLine": from.line,
            "startColumn": from.column,
            "endLine": to.line,
            "endColumn": to.column,
        })
    }

    fn uri(&self, file: FileId) -> String {
        uri(self.report, &self.sources.path(file))
    }

    fn add_rule_index(&self, result: &mut Value, rule: &str) {
        if let Some(at) = self.rules.iter().position(|known| known.id == rule) {
            set(result, "ruleIndex", json!(at));
        }
    }
}

fn rule(rule: &RuleInfo) -> Value {
    let mut help: Vec<String> = rule.why.iter().cloned().collect();
    help.extend(rule.fixes.iter().map(|fix| format!("What to do: {fix}")));
    help.push(format!("`gatelint explain {}` says more.", rule.id));
    let mut described = json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why.as_deref().unwrap_or(&rule.title)},
        "help": {"text": help.join("\n\n"), "markdown": help.join("\n\n")},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": ["network"], "problem.severity": match rule.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info | Severity::None => "recommendation",
        }},
    });
    if let Some(link) = rule.links.first() {
        set(&mut described, "helpUri", json!(link));
    }
    described
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
        Severity::None => "none",
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn text(said: &str) -> String {
    visible(said).into_owned()
}

/// Text of a message, in which brackets begin links and braces placeholders (SARIF 2.1.0, 3.11.5 and 3.11.6).
fn plain(said: &str) -> String {
    let mut out = String::new();
    for c in one_line(said).chars() {
        match c {
            '[' | ']' | '\\' => out.extend(['\\', c]),
            '{' | '}' => out.extend([c, c]),
            c => out.push(c),
        }
    }
    out
}
