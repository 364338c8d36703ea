//! In: a difference and the files that it points into. Out: text for people, for programs, and for a pull request.
//!
//! What configs say is masked and shown as in every report.

use serde::Serialize;
use serde_json::Value;

use super::{Difference, FlowChange, RequirementChange, Side};
use crate::decide::Packet;
use crate::finding::Outcome;
use crate::report::{Masked, json_text, markdown_code, markdown_text, one_line, witness_value};
use crate::source::{Sources, Span};

/// The ways to write a difference.
pub const FORMATS: &[Format] = &[
    Format {
        name: "human",
        render: human,
    },
    Format {
        name: "json",
        render: json,
    },
    Format {
        name: "markdown",
        render: markdown,
    },
];

/// A way to write a difference.
#[derive(Debug)]
pub struct Format {
    /// As users write it.
    pub name: &'static str,
    render: fn(&Difference, &Sources, bool) -> String,
}

impl Format {
    /// The text; `color` is for people only.
    pub fn write(&self, difference: &Difference, sources: &Sources, color: bool) -> String {
        let masked = Masked::of(crate::finding::Report::default(), sources);
        (self.render)(difference, &masked.sources, color)
    }
}

/// What happened to flows, in a word, and whether it opens or closes.
fn verb(change: &FlowChange) -> &'static str {
    match (change.old, change.new) {
        (_, Side::Undecided) | (Side::Undecided, _) => "cannot tell",
        (Side::Denied, Side::Allowed) => "opens",
        (Side::Denied, Side::Varying) => "opens at times",
        (Side::Varying, Side::Allowed) => "is stopped at times no more",
        (Side::Allowed, Side::Denied) => "closes",
        (Side::Allowed, Side::Varying) => "closes at times",
        (Side::Varying, Side::Denied) => "passes at times no more",
        (Side::Allowed, Side::Allowed)
        | (Side::Denied, Side::Denied)
        | (Side::Varying, Side::Varying) => "stays",
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Allowed => "allowed",
        Side::Varying => "varying",
        Side::Denied => "denied",
        Side::Undecided => "undecided",
    }
}

/// `newly fails`, `newly passes`, and what it was before.
fn fares(change: &RequirementChange) -> String {
    let verb = match (change.newly_fails(), change.finding.outcome) {
        (true, Outcome::Degraded) => "gets worse",
        (true, Outcome::Undecided) => "cannot be told any more",
        (true, Outcome::Fail | Outcome::Pass | Outcome::NotApplicable) => "newly fails",
        (false, Outcome::Pass | Outcome::NotApplicable) => "newly passes",
        (false, Outcome::Degraded | Outcome::Undecided | Outcome::Fail) => "gets better",
    };
    match change.before {
        Some(before) => format!("{verb} (was {})", before.word()),
        None => format!("{verb} (new)"),
    }
}

/// A place with its line: ``edge.rules:6: `-A FORWARD -j DROP` ``.
fn quoted(span: Span, sources: &Sources) -> String {
    let file = sources.file(span.file);
    let line = sources.line(span);
    let text = String::from_utf8_lossy(file.slice(file.line_range(line))).into_owned();
    format!("{}:{line}: `{}`", file.path, one_line(&text))
}

fn human(difference: &Difference, sources: &Sources, color: bool) -> String {
    let mut out = Vec::new();
    let head = |text: &str, code: &str| {
        if color {
            format!("\x1b[1;{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    for change in &difference.requirements {
        let finding = &change.finding;
        let code = if change.newly_fails() { "31" } else { "32" };
        let (rule, target) = (&finding.rule, &finding.target);
        let fares = head(&fares(change), code);
        out.push(format!(
            "{rule} at {target} {fares}: {}",
            one_line(&finding.message)
        ));
        if let Some(label) = &finding.primary {
            out.push(format!("  {}", quoted(label.span, sources)));
        }
        if let Some(witness) = &finding.witness {
            out.push(format!("  such as {}", one_line(&witness.text)));
        }
    }
    if !difference.requirements.is_empty() {
        out.push(String::new());
    }
    for change in &difference.flows {
        let code = match (change.old, change.new) {
            (_, Side::Undecided) | (Side::Undecided, _) => "36",
            (_, Side::Allowed) | (Side::Denied, _) => "33",
            (Side::Allowed | Side::Varying, Side::Denied | Side::Varying) => "35",
        };
        out.push(format!("{} {}:", change.target, head(verb(change), code)));
        out.extend(
            change
                .flows
                .iter()
                .map(|text| format!("  {}", one_line(text))),
        );
        if change.is_more {
            out.push("  and more".to_owned());
        }
        out.extend(
            details(change, sources)
                .iter()
                .map(|text| format!("    {text}")),
        );
    }
    if !difference.flows.is_empty() {
        out.push(String::new());
    }
    out.extend(difference.notes.iter().map(|note| one_line(note)));
    out.push(summary(difference));
    out.join("\n") + "\n"
}

/// The witness, and what decides on either side.
fn details(change: &FlowChange, sources: &Sources) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(witness) = &change.witness {
        all.push(format!("such as {}", one_line(&witness.text)));
    }
    for (side, name, place) in [
        (change.old, "before", change.old_place),
        (change.new, "now", change.new_place),
    ] {
        let place = place.map_or_else(String::new, |span| format!(", {}", quoted(span, sources)));
        all.push(format!("{name}: {}{place}", word(side)));
    }
    let reasons = change.reasons.iter();
    all.extend(reasons.map(|reason| format!("cannot tell without {}", one_line(reason))));
    all
}

/// The closing line.
fn summary(difference: &Difference) -> String {
    let failing = difference
        .requirements
        .iter()
        .filter(|one| one.newly_fails())
        .count();
    let passing = difference.requirements.len() - failing;
    let count =
        |is: &dyn Fn(&FlowChange) -> bool| difference.flows.iter().filter(|one| is(one)).count();
    let is_unknown = |one: &FlowChange| [one.old, one.new].contains(&Side::Undecided);
    let unknown = count(&is_unknown);
    let opens =
        count(&|one| !is_unknown(one) && (one.new == Side::Allowed || one.old == Side::Denied));
    let closes = difference.flows.len() - unknown - opens;
    format!(
        "requirements: {failing} newly fail or get worse, {passing} newly pass or get better; flows: {opens} openings, \
         {closes} closings, {unknown} undecided; compared {}",
        match difference.compared {
            1 => "1 config".to_owned(),
            count => format!("{count} configs"),
        }
    )
}

fn markdown(difference: &Difference, sources: &Sources, _: bool) -> String {
    let mut out = vec![
        "## gatelint: what this change means".to_owned(),
        String::new(),
    ];
    for change in &difference.requirements {
        let finding = &change.finding;
        let sign = if change.newly_fails() { "❌" } else { "✅" };
        out.push(format!(
            "- {sign} {} at {} {}: {}",
            markdown_code(&finding.rule),
            markdown_code(&finding.target),
            fares(change),
            markdown_text(&finding.message)
        ));
        if let Some(label) = &finding.primary {
            out.push(format!(
                "  - {}",
                markdown_code(&quoted(label.span, sources).replace('`', ""))
            ));
        }
    }
    for change in &difference.flows {
        let flows: Vec<String> = change
            .flows
            .iter()
            .map(|text| markdown_code(text))
            .collect();
        let more = if change.is_more { " and more" } else { "" };
        out.push(format!(
            "- {} **{}**: {}{more}",
            markdown_code(&change.target),
            verb(change),
            flows.join(", ")
        ));
        let details = details(change, sources);
        out.extend(
            details
                .iter()
                .map(|text| format!("  - {}", markdown_code(&text.replace('`', "")))),
        );
    }
    if difference.requirements.is_empty() && difference.flows.is_empty() {
        out.push("Nothing fares otherwise than before.".to_owned());
    }
    out.push(String::new());
    out.extend(
        difference
            .notes
            .iter()
            .map(|note| format!("- {}", markdown_text(note))),
    );
    out.push(markdown_text(&summary(difference)));
    out.join("\n") + "\n"
}

#[derive(Serialize)]
struct DifferenceV1 {
    schema: &'static str,
    tool: ToolV1,
    requirements: Vec<RequirementV1>,
    flows: Vec<FlowV1>,
    notes: Vec<String>,
    compared: usize,
}

#[derive(Serialize)]
struct ToolV1 {
    version: &'static str,
}

#[derive(Serialize)]
struct RequirementV1 {
    rule: String,
    target: String,
    before: Option<&'static str>,
    after: &'static str,
    #[serde(rename = "newlyFails")]
    newly_fails: bool,
    severity: &'static str,
    message: String,
    location: Option<PlaceV1>,
    witness: Option<Value>,
}

#[derive(Serialize)]
struct FlowV1 {
    target: String,
    before: &'static str,
    after: &'static str,
    flows: Vec<String>,
    more: bool,
    witness: Option<Value>,
    /// Which packet of the witness's conversation is stopped.
    packet: &'static str,
    #[serde(rename = "oldLocation")]
    old: Option<PlaceV1>,
    #[serde(rename = "newLocation")]
    new: Option<PlaceV1>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct PlaceV1 {
    path: String,
    line: u32,
    text: String,
}

fn json(difference: &Difference, sources: &Sources, _: bool) -> String {
    let place = |span: Span| {
        let file = sources.file(span.file);
        let line = sources.line(span);
        PlaceV1 {
            path: file.path.clone(),
            line,
            text: String::from_utf8_lossy(file.slice(file.line_range(line))).into_owned(),
        }
    };
    let requirements = difference.requirements.iter().map(|change| RequirementV1 {
        rule: change.finding.rule.clone(),
        target: change.finding.target.clone(),
        before: change.before.map(Outcome::word),
        after: change.finding.outcome.word(),
        newly_fails: change.newly_fails(),
        severity: change.finding.severity.word(),
        message: change.finding.message.clone(),
        location: change
            .finding
            .primary
            .as_ref()
            .map(|label| place(label.span)),
        witness: change.finding.witness.as_ref().map(witness_value),
    });
    let flows = difference.flows.iter().map(|change| FlowV1 {
        target: change.target.clone(),
        before: word(change.old),
        after: word(change.new),
        flows: change.flows.clone(),
        more: change.is_more,
        witness: change.witness.as_ref().map(witness_value),
        packet: match change.packet {
            Packet::Request => "request",
            Packet::Reply => "reply",
            Packet::Again => "again",
        },
        old: change.old_place.map(place),
        new: change.new_place.map(place),
        reasons: change.reasons.clone(),
    });
    json_text(&DifferenceV1 {
        schema: "gatelint.diff/v1",
        tool: ToolV1 {
            version: env!("CARGO_PKG_VERSION"),
        },
        requirements: requirements.collect(),
        flows: flows.collect(),
        notes: difference.notes.clone(),
        compared: difference.compared,
    })
}
