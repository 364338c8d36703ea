//! In: a requirement's outcome for every client group. Out: the finding, in the user's terms.
//!
//! The message says the effect and for whom; the primary label is the rule that decided most of the failing flows; the
//! shadowed label a later rule that was meant to let them pass.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::cause::{astray, decisive, reasons, spoken};
use super::clients::{Group, Groups};
use super::outcome::{GroupOutcome, Problem};
use super::setting::Settings;
use super::witness::{accepted_at, witness};
use super::words::{addresses, few, few_alike, filled, listed};
use super::{Context, Policy, Requirement};
use crate::config::DialectFinding;
use crate::decide::{Decider, End, Evaluator, Packet, Part};
use crate::finding::{
    Clients, Finding, GroupResult, Label, LabelRole, Outcome, Reason, Severity, Witness,
};
use crate::model::{Dim, Effect, Gate, Layer};
use crate::source::{FileId, Sources, Span};

/// What a finding is about.
#[derive(Debug)]
pub(super) struct Target<'g> {
    /// `PATH` or `PATH#GATE`.
    pub(super) name: String,
    /// The file.
    pub(super) file: FileId,
    /// Of the gate.
    pub(super) layer: Layer,
    /// The gate, where it is about one.
    pub(super) gate: Option<&'g Gate>,
}

/// Makes findings of one requirement at one target.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) policy: &'a Policy,
    pub(super) requirement: &'a Requirement,
    pub(super) target: &'a Target<'a>,
    pub(super) context: &'a Context<'a>,
}

/// Who decided, in words and as a label.
struct Blame {
    label: Option<Label>,
    /// `line 6`, `policy DROP of FORWARD (line 3)`.
    blocker: String,
    /// `dropped`.
    blocked: String,
}

impl Teller<'_> {
    fn blank(&self, outcome: Outcome, message: String) -> Finding {
        let (policy, requirement) = (self.policy, self.requirement);
        let rule = policy.rule(requirement);
        let severity = match outcome {
            Outcome::Fail => policy.severity(requirement),
            Outcome::Degraded | Outcome::Undecided => {
                policy.severity(requirement).min(Severity::Warning)
            }
            Outcome::Pass | Outcome::NotApplicable => Severity::None,
        };
        let fingerprint = fingerprint(&rule, &self.target.name, None, self.context.sources);
        Finding {
            target: self.target.name.clone(),
            file: self.target.file,
            rule,
            outcome,
            severity,
            between: Vec::new(),
            message,
            primary: None,
            related: Vec::new(),
            clients: Clients::default(),
            variants: Vec::new(),
            witness: None,
            fallback: None,
            steps: Vec::new(),
            reasons: Vec::new(),
            fixes: Vec::new(),
            help: None,
            why: requirement
                .why
                .clone()
                .filter(|_| severity != Severity::None),
            link: requirement.links.first().cloned(),
            live_check: None,
            same_cause: Vec::new(),
            fingerprint,
        }
    }

    /// The requirement is of no concern; why.
    pub(super) fn not_applicable(&self, why: &str) -> Finding {
        let message = format!("{}: not judged here, {why}", self.requirement.title);
        self.blank(Outcome::NotApplicable, message)
    }

    /// The real program refuses the file.
    pub(super) fn refused(&self, cause: &DialectFinding) -> Finding {
        let message = format!("{} fails: {}", self.requirement.title, cause.title);
        let mut finding = self.blank(Outcome::Fail, message);
        finding.primary = Some(Label {
            span: cause.label.span,
            role: LabelRole::Decides,
            text: cause.label.value.clone(),
        });
        finding.help.clone_from(&cause.help);
        self.stamp(&mut finding);
        finding
    }

    /// What no config can change.
    pub(super) fn advice(&self) -> Finding {
        let text = self.requirement.message.get(self.target.layer);
        let message = text.unwrap_or(&self.requirement.title).to_owned();
        let mut finding = self.blank(Outcome::Degraded, message);
        finding.help = self
            .requirement
            .fix
            .get(self.target.layer)
            .map(str::to_owned);
        finding
    }

    /// The outcome of settings.
    pub(super) fn setting(&self, settings: Settings) -> Finding {
        let template = match settings.outcome {
            Outcome::Fail => self.requirement.message.get(self.target.layer),
            Outcome::Degraded => self.requirement.degraded_message.get(self.target.layer),
            Outcome::Pass | Outcome::Undecided | Outcome::NotApplicable => None,
        };
        let blocker = settings
            .primary
            .as_ref()
            .map_or_else(|| "the default".to_owned(), |label| self.line(label.span));
        let values = [
            ("detail", settings.detail.clone()),
            ("blocker", blocker),
            ("to", settings.name.clone()),
        ];
        let title = &self.requirement.title;
        let message = match (template, settings.outcome) {
            (Some(template), _) => filled(template, &values),
            (None, Outcome::Pass) => format!("{title}: {}", settings.detail),
            (None, Outcome::Undecided) => {
                let missing: Vec<&str> = settings.reasons.iter().map(|r| r.text.as_str()).collect();
                format!("{title}: cannot tell without {}", listed(&missing))
            }
            (None, Outcome::Fail | Outcome::Degraded | Outcome::NotApplicable) => {
                format!("{title}: {}", settings.detail)
            }
        };
        let mut finding = self.blank(settings.outcome, message);
        let tells = finding.severity != Severity::None;
        finding.between = settings.between;
        finding.primary = settings.primary;
        if tells {
            finding.related = settings.related;
        }
        finding.reasons = settings.reasons;
        self.help(&mut finding, &values);
        self.stamp(&mut finding);
        finding
    }

    /// The outcome of flows and nothing else.
    pub(super) fn bare(&self, outcomes: &[(&Group, GroupOutcome)]) -> Finding {
        self.blank(worst(outcomes), String::new())
    }

    /// The outcome of flows.
    pub(super) fn verdict(
        &self,
        evaluator: &mut Evaluator<'_>,
        groups: &Groups,
        outcomes: Vec<(&Group, GroupOutcome)>,
    ) -> Finding {
        let worst = worst(&outcomes);
        let clients = Clients {
            declared: groups.declared.clone(),
            groups: outcomes
                .iter()
                .map(|(group, result)| GroupResult {
                    name: group.name.clone(),
                    through: result.outcome <= Outcome::Degraded,
                })
                .collect(),
        };
        let (names, mut concerned): (Vec<String>, Vec<GroupOutcome>) = outcomes
            .into_iter()
            .filter(|(_, result)| result.outcome == worst)
            .map(|(group, result)| (self.region(evaluator, group, &result), result))
            .unzip();
        let region = few(&names);
        if concerned.is_empty() {
            return self.not_applicable("nothing could be asked");
        }
        let result = concerned.swap_remove(0);
        let mut finding = if worst <= Outcome::Pass {
            let title = &self.requirement.title;
            let whom = if self.target.layer == Layer::Fetch {
                String::new()
            } else {
                format!(" for {region}")
            };
            self.blank(worst, format!("{title}: every flow gets through{whom}"))
        } else {
            self.trouble(evaluator, &result, region)
        };
        finding.clients = clients;
        finding.between = result.between;
        self.stamp(&mut finding);
        finding
    }

    /// Whom of a group it concerns.
    fn region(
        &self,
        evaluator: &mut Evaluator<'_>,
        group: &Group,
        result: &GroupOutcome,
    ) -> String {
        let Some(problem) = result.problems.first() else {
            return group.name.clone();
        };
        if self.target.layer == Layer::Fetch {
            return group.name.clone();
        }
        let sources = evaluator.values(problem.flows, Dim::Source);
        if sources == group.sources() || sources.is_full() || sources.is_empty() {
            return group.name.clone();
        }
        // "all but" is said where that is shorter.
        let others = group.sources().minus(&sources);
        if others.ranges().len() < sources.ranges().len() {
            format!("{} but {}", group.name, addresses(&others))
        } else {
            addresses(&sources)
        }
    }

    fn trouble(
        &self,
        evaluator: &mut Evaluator<'_>,
        result: &GroupOutcome,
        region: String,
    ) -> Finding {
        let outcome = result.outcome;
        let deciding = result
            .problems
            .first()
            .and_then(|problem| Some((problem, decisive(evaluator, problem, outcome)?)));
        let blame = deciding
            .as_ref()
            .map(|(problem, part)| self.blame(evaluator, problem, part, outcome));
        let details: Vec<&str> = result
            .problems
            .iter()
            .map(|p| p.ask.what.as_str())
            .collect();
        let to: Vec<&str> = result.problems.iter().map(|p| p.ask.to.as_str()).collect();
        let (missing, share) = result.missing.as_ref().map_or_else(
            || (String::new(), String::new()),
            |(ranges, share)| (addresses(ranges), format!("{share:.1}%")),
        );
        let values = [
            ("detail", few_alike(&details)),
            (
                "is",
                if details.len() == 1 { "is" } else { "are" }.to_owned(),
            ),
            (
                "to",
                to.first().map_or_else(String::new, |to| (*to).to_owned()),
            ),
            ("region", region),
            (
                "blocker",
                blame
                    .as_ref()
                    .map_or_else(String::new, |b| b.blocker.clone()),
            ),
            (
                "blocked",
                blame
                    .as_ref()
                    .map_or_else(|| "blocked".to_owned(), |b| b.blocked.clone()),
            ),
            (
                "gets",
                if details.len() == 1 { "gets" } else { "get" }.to_owned(),
            ),
            ("missing", missing),
            ("share", share),
        ];
        let reasons = reasons(evaluator, result);
        let message = self.message(result, &values, &reasons);
        let mut finding = self.blank(outcome, message);
        if let (Outcome::Degraded, Some(severity)) = (outcome, result.said.1) {
            finding.severity = severity;
        }
        finding.reasons = reasons;
        finding.primary = blame.and_then(|blame| blame.label);
        if let (Some((problem, part)), Some(gate)) = (&deciding, self.target.gate) {
            self.places(evaluator, gate, problem, part, result, &mut finding);
        }
        self.help(&mut finding, &values);
        finding
    }

    fn message(
        &self,
        result: &GroupOutcome,
        values: &[(&str, String)],
        reasons: &[Reason],
    ) -> String {
        let layer = self.target.layer;
        let template = match result.outcome {
            Outcome::Fail => self.requirement.message.get(layer),
            Outcome::Degraded => result
                .said
                .0
                .as_deref()
                .filter(|_| result.missing.is_none())
                .or_else(|| self.requirement.degraded_message.get(layer)),
            Outcome::Undecided | Outcome::Pass | Outcome::NotApplicable => None,
        };
        if let Some(template) = template {
            return filled(template, values);
        }
        let title = &self.requirement.title;
        match result.outcome {
            Outcome::Undecided => {
                let missing: Vec<&str> = reasons.iter().map(|r| r.text.as_str()).collect();
                let why = if missing.is_empty() {
                    String::new()
                } else {
                    format!(" without {}", few(&missing))
                };
                let words = "{title}: cannot tell whether {detail} {gets} through for {region}";
                let values = [values, &[("title", title.clone())]].concat();
                format!("{}{why}", filled(words, &values))
            }
            Outcome::Fail | Outcome::Degraded | Outcome::Pass | Outcome::NotApplicable => {
                let words = "{title}: {detail} {is} {blocked} for {region}";
                filled(words, &[values, &[("title", title.clone())]].concat())
            }
        }
    }

    /// Labels, witness and fallback.
    fn places(
        &self,
        evaluator: &mut Evaluator<'_>,
        gate: &Gate,
        problem: &Problem,
        part: &Part,
        result: &GroupOutcome,
        finding: &mut Finding,
    ) {
        let flows = evaluator.intersect(part.flows, problem.flows);
        let question = &problem.judged.question;
        if finding.outcome != Outcome::Undecided {
            for span in evaluator.later_permits(question, part, flows, 2) {
                let text = match part.decider {
                    Decider::Rule(decider) => {
                        format!("never reached: {} comes first", self.line(decider))
                    }
                    Decider::Fallback { .. } | Decider::Arrived | Decider::Obscured(_) => {
                        "never reached".to_owned()
                    }
                };
                finding.related.push(Label {
                    span,
                    role: LabelRole::Shadowed,
                    text,
                });
            }
        }
        let flows = if evaluator.is_empty(flows) {
            problem.flows
        } else {
            flows
        };
        // What is sent elsewhere is so from its first packet on.
        let packet = match part.effect {
            Effect::Allow => Packet::Request,
            Effect::Deny(_) => part.packet,
        };
        if let Some((witness, steps)) = witness(evaluator, gate, question, flows, packet) {
            finding.witness = Some(witness);
            finding.steps = steps;
        }
        for also in result.problems.iter().skip(1) {
            let Some(other) = decisive(evaluator, also, result.outcome) else {
                continue;
            };
            let blame = self.blame(evaluator, also, &other, result.outcome);
            let Some(mut label) = blame.label else {
                continue;
            };
            let known = finding.primary.iter().chain(&finding.related);
            if known.into_iter().any(|known| known.span == label.span) || finding.related.len() > 2
            {
                continue;
            }
            label.role = LabelRole::AlsoBlocks;
            label.text = format!("{}: {} here", also.ask.what, blame.blocked);
            finding.related.push(label);
        }
        if let Some(fallback) = &result.fallback
            && let Some((works, _)) = witness(
                evaluator,
                gate,
                &fallback.judged.question,
                fallback.flows,
                Packet::Request,
            )
        {
            let span = accepted_at(evaluator, &fallback.judged.question, fallback.flows);
            let place = span.map_or_else(String::new, |span| format!(" at {}", self.line(span)));
            finding.fallback = Some(format!("{} is accepted{place}", works.text));
            if let Some(span) = span {
                finding.related.push(Label {
                    span,
                    role: LabelRole::Fallback,
                    text: format!("{} still gets through", fallback.ask.what),
                });
            }
        }
    }

    fn blame(
        &self,
        evaluator: &Evaluator<'_>,
        problem: &Problem,
        part: &Part,
        outcome: Outcome,
    ) -> Blame {
        let waits = outcome == Outcome::Undecided;
        let mut blocked = match part.effect {
            Effect::Deny(denial) => spoken(denial).to_owned(),
            Effect::Allow => astray(part),
        };
        let kinds = part.unknowns.iter().filter_map(|id| evaluator.unknown(*id));
        if kinds
            .into_iter()
            .any(|unknown| unknown.kind == crate::model::UnknownKind::Varies)
        {
            blocked = format!("{blocked} at times");
        }
        let on_the_way = match part.packet {
            Packet::Request => "",
            Packet::Reply => " (the reply)",
            Packet::Again => " (after the first packet)",
        };
        let role = if waits {
            LabelRole::Unknown
        } else {
            LabelRole::Decides
        };
        match &part.decider {
            Decider::Rule(span) => Blame {
                blocker: self.line(*span),
                label: Some(Label {
                    span: *span,
                    role,
                    text: if waits {
                        format!("{} may be {blocked} here{on_the_way}", problem.ask.what)
                    } else {
                        format!("{} is {blocked} here{on_the_way}", problem.ask.what)
                    },
                }),
                blocked,
            },
            Decider::Fallback { span, text } => {
                // A directive is named, then a clause says why; the label needs the clause only.
                let (name, label) = match text.split_once(": ") {
                    Some((name, clause)) if self.target.layer == Layer::Fetch => {
                        (name, clause.to_owned())
                    }
                    Some(_) | None => (
                        text.as_str(),
                        format!("nothing before this permits it{on_the_way}: {text}"),
                    ),
                };
                Blame {
                    blocker: span.map_or_else(
                        || name.to_owned(),
                        |span| format!("{name} ({})", self.line(span)),
                    ),
                    label: span.map(|span| Label {
                        span,
                        role,
                        text: label,
                    }),
                    blocked,
                }
            }
            Decider::Obscured(span) => Blame {
                blocker: span.map_or_else(String::new, |span| self.line(span)),
                label: span.map(|span| Label {
                    span,
                    role,
                    text: "what this does is not known".to_owned(),
                }),
                blocked,
            },
            Decider::Arrived => {
                // The rule that gave it the address it ends with, else what it hangs on.
                let goal = |end: End| (end.destination, end.destination_port);
                let sender = problem.judged.verdict.parts.iter().find_map(|other| {
                    match (&other.decider, goal(other.end) == goal(part.end)) {
                        (Decider::Rule(span), true) if goal(other.end) != goal(End::default()) => {
                            Some(*span)
                        }
                        _ => None,
                    }
                });
                let hangs_on = || {
                    let ids = part.unknowns.iter();
                    ids.filter_map(|id| evaluator.unknown(*id))
                        .find_map(|unknown| unknown.span)
                };
                let span = sender.or_else(hangs_on);
                Blame {
                    blocker: span.map_or_else(String::new, |span| self.line(span)),
                    label: span.map(|span| Label {
                        span,
                        role,
                        text: if sender.is_some() {
                            format!("{} is {blocked} here", problem.ask.what)
                        } else {
                            "it depends on this".to_owned()
                        },
                    }),
                    blocked,
                }
            }
        }
    }

    /// `line 6`, with the path where it is another file's.
    fn line(&self, span: Span) -> String {
        let line = self.context.sources.line(span);
        if span.file == self.target.file {
            format!("line {line}")
        } else {
            format!("{}:{line}", self.context.sources.path(span.file))
        }
    }

    fn help(&self, finding: &mut Finding, values: &[(&str, String)]) {
        if finding.severity == Severity::None {
            return;
        }
        let layer = self.target.layer;
        finding.help = self
            .requirement
            .fix
            .get(layer)
            .map(|text| filled(text, values));
        // One name can be looked up by hand, a pattern cannot.
        let name = finding
            .witness
            .as_ref()
            .filter(|_| layer == Layer::Lookup)
            .and_then(Witness::lookup);
        let live = name.map_or_else(
            || values.to_vec(),
            |name| [&[("to", name)], values].concat(),
        );
        finding.live_check = self
            .requirement
            .live_check
            .get(layer)
            .map(|text| filled(text, &live));
    }

    fn stamp(&self, finding: &mut Finding) {
        let place = finding.primary.as_ref().map(|label| label.span);
        finding.fingerprint =
            fingerprint(&finding.rule, &finding.target, place, self.context.sources);
    }
}

/// The outcome for all groups together.
fn worst(outcomes: &[(&Group, GroupOutcome)]) -> Outcome {
    let outcomes = outcomes.iter().map(|(_, result)| result.outcome);
    outcomes.max().unwrap_or(Outcome::NotApplicable)
}

/// From rule, target and the deciding line's text without its spacing; never from line numbers.
pub(super) fn fingerprint(
    rule: &str,
    target: &str,
    place: Option<Span>,
    sources: &Sources,
) -> String {
    let line = place.map_or_else(String::new, |span| {
        let file = sources.file(span.file);
        let range = file.line_range(file.line(span.start));
        let text = String::from_utf8_lossy(file.slice(range)).into_owned();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let digest = Sha256::digest(format!("{rule}\n{target}\n{line}"));
    hex(&digest).chars().take(32).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
