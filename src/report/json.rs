//! In: a report. Out: one JSON object, `gatelint.report/v1`: every requirement at every target, passes too.
//!
//! The shape is a promise to other programs, so it has its own structs. Every field is always there; `null` where it
//! does not apply.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::visible::is_dangerous;
use super::{Format, Style, visible};
use crate::config::FactValue;
use crate::finding::{Finding, InputSummary, Outcome, Report, Witness, WitnessValue};
use crate::source::{Sources, Span};

pub(super) const FORMAT: Format = Format {
    name: "json",
    title: "everything, passes too, as one object (gatelint.report/v1)",
    says_summary: false,
    render,
};

fn render(report: &Report, sources: &Sources, _: Style) -> String {
    text(&ReportV1::of(report, sources))
}

/// Pretty JSON with a line feed at the end.
pub(crate) fn text(document: &impl Serialize) -> String {
    // INVARIANT: the structs hold only strings, numbers, lists and maps with text keys, which always serialize.
    ascii_controls(&serde_json::to_string_pretty(document).unwrap_or_default()) + "\n"
}

/// The same on one line.
pub(super) fn line(document: &impl Serialize) -> String {
    ascii_controls(&serde_json::to_string(document).unwrap_or_default()) + "\n"
}

/// JSON may hold control characters beyond ASCII as they are; a terminal would obey them. Such characters stand within
/// strings only, and all of them are in the basic plane, so an escape says the same (RFC 8259, 7).
fn ascii_controls(json: &str) -> String {
    let escaped = |c: char| match c {
        c if is_dangerous(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    if json.chars().any(is_dangerous) {
        json.chars().map(escaped).collect()
    } else {
        json.to_owned()
    }
}

#[derive(Serialize)]
struct ReportV1 {
    schema: &'static str,
    tool: ToolV1,
    policies: Vec<PolicyV1>,
    ranges: RangesV1,
    inputs: Vec<InputV1>,
    sites: Vec<SiteV1>,
    results: Vec<ResultV1>,
    assumptions: Vec<String>,
    notes: Vec<String>,
    errors: Vec<ErrorV1>,
    summary: SummaryV1,
}

#[derive(Serialize)]
struct ToolV1 {
    version: &'static str,
}

#[derive(Serialize)]
struct PolicyV1 {
    id: String,
    version: String,
}

#[derive(Serialize)]
struct RangesV1 {
    date: Option<String>,
}

#[derive(Serialize)]
pub(super) struct InputV1 {
    path: String,
    kind: Option<&'static str>,
    role: Option<String>,
    why: String,
    sha256: String,
    judged: bool,
    #[serde(rename = "notJudged")]
    not_judged: Option<String>,
    answer: Option<String>,
    facts: BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct ErrorV1 {
    path: String,
    message: String,
}

#[derive(Serialize)]
struct SiteV1 {
    name: String,
    gates: Vec<String>,
    routes: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct ResultV1 {
    target: String,
    rule: String,
    outcome: &'static str,
    severity: &'static str,
    between: Option<Vec<&'static str>>,
    message: String,
    location: Option<LocationV1>,
    related: Vec<RelatedV1>,
    clients: ClientsV1,
    variants: Vec<VariantV1>,
    witness: Option<Value>,
    steps: Vec<StepV1>,
    reasons: Vec<ReasonV1>,
    fixes: Vec<FixV1>,
    help: Option<String>,
    fingerprint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LocationV1 {
    path: String,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct RelatedV1 {
    path: String,
    line: u32,
    role: &'static str,
    text: String,
}

#[derive(Serialize)]
struct ClientsV1 {
    declared: Option<Vec<String>>,
    groups: Vec<GroupV1>,
}

#[derive(Serialize)]
struct GroupV1 {
    name: String,
    through: bool,
}

#[derive(Serialize)]
struct VariantV1 {
    fact: String,
    value: String,
    outcome: &'static str,
}

#[derive(Serialize)]
struct StepV1 {
    path: Option<String>,
    line: Option<u32>,
    text: String,
}

#[derive(Serialize)]
struct ReasonV1 {
    code: String,
    text: String,
    path: Option<String>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct FixV1 {
    title: String,
    safe: bool,
    edits: Vec<EditV1>,
}

#[derive(Serialize)]
struct EditV1 {
    #[serde(flatten)]
    location: LocationV1,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SummaryV1 {
    pass: usize,
    degraded: usize,
    fail: usize,
    undecided: usize,
    not_applicable: usize,
}

impl ReportV1 {
    fn of(report: &Report, sources: &Sources) -> Self {
        Self {
            schema: "gatelint.report/v1",
            tool: ToolV1 {
                version: env!("CARGO_PKG_VERSION"),
            },
            policies: report
                .policies
                .iter()
                .map(|policy| PolicyV1 {
                    id: policy.id.clone(),
                    version: policy.version.clone(),
                })
                .collect(),
            ranges: RangesV1 {
                date: report.ranges_date.clone(),
            },
            inputs: report
                .inputs
                .iter()
                .map(|input| InputV1::of(input, sources))
                .collect(),
            sites: Vec::new(),
            results: report
                .results
                .iter()
                .map(|finding| ResultV1::of(finding, sources))
                .collect(),
            assumptions: report.assumptions.iter().map(|text| shown(text)).collect(),
            notes: report.notes.iter().map(|text| shown(text)).collect(),
            errors: report
                .errors
                .iter()
                .map(|error| ErrorV1 {
                    path: shown(&error.path),
                    message: shown(&error.message),
                })
                .collect(),
            summary: SummaryV1::of(report),
        }
    }
}

impl SummaryV1 {
    pub(super) fn of(report: &Report) -> Self {
        Self {
            pass: report.count(Outcome::Pass),
            degraded: report.count(Outcome::Degraded),
            fail: report.count(Outcome::Fail),
            undecided: report.count(Outcome::Undecided),
            not_applicable: report.count(Outcome::NotApplicable),
        }
    }
}

impl InputV1 {
    pub(super) fn of(input: &InputSummary, sources: &Sources) -> Self {
        Self {
            path: shown(&sources.path(input.file)),
            kind: input.kind,
            role: input.role.clone(),
            why: shown(&input.why),
            sha256: input.sha256.clone(),
            judged: input.judged,
            not_judged: input.not_judged.as_deref().map(shown),
            answer: input.answer.as_deref().map(shown),
            facts: input
                .facts
                .iter()
                .map(|(name, value)| (name.clone(), fact(value)))
                .collect(),
        }
    }
}

impl ResultV1 {
    pub(super) fn of(finding: &Finding, sources: &Sources) -> Self {
        let place = |span: Option<Span>| {
            span.map(|span| (shown(&sources.path(span.file)), sources.line(span)))
        };
        Self {
            target: shown(&finding.target),
            rule: finding.rule.clone(),
            outcome: finding.outcome.word(),
            severity: finding.severity.word(),
            between: (finding.outcome == Outcome::Undecided)
                .then(|| finding.between.iter().map(|one| one.word()).collect()),
            message: shown(&finding.message),
            location: finding
                .primary
                .as_ref()
                .map(|label| LocationV1::of(label.span, sources)),
            related: finding
                .related
                .iter()
                .map(|label| RelatedV1 {
                    path: shown(&sources.path(label.span.file)),
                    line: sources.line(label.span),
                    role: label.role.word(),
                    text: shown(&label.text),
                })
                .collect(),
            clients: ClientsV1 {
                declared: (!finding.clients.declared.is_empty())
                    .then(|| finding.clients.declared.clone()),
                groups: finding
                    .clients
                    .groups
                    .iter()
                    .map(|group| GroupV1 {
                        name: shown(&group.name),
                        through: group.through,
                    })
                    .collect(),
            },
            variants: finding
                .variants
                .iter()
                .map(|variant| VariantV1 {
                    fact: variant.fact.clone(),
                    value: variant.value.clone(),
                    outcome: variant.outcome.word(),
                })
                .collect(),
            witness: finding.witness.as_ref().map(witness),
            steps: finding
                .steps
                .iter()
                .map(|step| {
                    let (path, line) = place(step.span).unzip();
                    let text = shown(&step.text);
                    StepV1 { path, line, text }
                })
                .collect(),
            reasons: finding
                .reasons
                .iter()
                .map(|reason| {
                    let (path, line) = place(reason.span).unzip();
                    ReasonV1 {
                        code: reason.code.clone(),
                        text: shown(&reason.text),
                        path,
                        line,
                    }
                })
                .collect(),
            fixes: finding
                .fixes
                .iter()
                .map(|fix| FixV1 {
                    title: shown(&fix.title),
                    safe: fix.safe,
                    edits: fix
                        .edits
                        .iter()
                        .map(|(span, text)| EditV1 {
                            location: LocationV1::of(*span, sources),
                            // Exactly what is to be written; JSON escapes control characters.
                            text: text.clone(),
                        })
                        .collect(),
                })
                .collect(),
            help: finding.help.as_deref().map(shown),
            fingerprint: finding.fingerprint.clone(),
        }
    }
}

impl LocationV1 {
    fn of(span: Span, sources: &Sources) -> Self {
        let file = sources.file(span.file);
        let (from, to) = (file.position(span.start), file.position(span.end));
        Self {
            path: shown(&file.path),
            line: from.line,
            column: from.column,
            end_line: to.line,
            end_column: to.column,
        }
    }
}

pub(super) fn shown(text: &str) -> String {
    visible(text).into_owned()
}

fn fact(value: &FactValue) -> Value {
    match value {
        FactValue::Word(word) => Value::from(shown(word)),
        FactValue::Number(number) => Value::from(*number),
        FactValue::Numbers(numbers) => Value::from(numbers.clone()),
        FactValue::Unknown => Value::Null,
    }
}

/// The witness as a request of `trace`.
pub(crate) fn witness(witness: &Witness) -> Value {
    let fields = witness.fields.iter().map(|(name, value)| {
        let value = match value {
            WitnessValue::Number(number) => Value::from(*number),
            WitnessValue::Word(word) => Value::from(shown(word)),
            WitnessValue::Flag(flag) => Value::from(*flag),
        };
        (name.clone(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}
