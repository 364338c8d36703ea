//! In: the gates of one config and a request. Out: the answer of the machine contract.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::question::{knows_nonce, questions};
use super::request::{PacketRequest, Request};
use crate::decide::{Decider, Evaluator, Final, Flows, Part, Verdict};
use crate::model::{
    Denial, Dim, Effect, Gate, Guard, Layer, Question, Ranges, Role, Standing, Test, UnknownKind,
    to_address,
};
use crate::source::{Sources, Span};

/// What the real program does with one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The request's own.
    pub id: Value,
    /// The gate that answered.
    pub gate: Option<String>,
    /// Whether it passes.
    pub verdict: Certainty,
    /// How, in the layer's words; none where it is undecided, or where it is certain that it does not pass and not how.
    pub effect: Option<&'static str>,
    /// The packet's addresses after NAT, where it passes a packet filter.
    #[serde(rename = "final")]
    pub arrives: Option<FinalAddresses>,
    /// The line that decided; none where the effect is.
    pub line: Option<u32>,
    /// The way.
    pub steps: Vec<AnswerStep>,
    /// What an undecided answer waits for.
    pub reasons: Vec<AnswerReason>,
}

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// It passes.
    Allowed,
    /// It does not.
    Denied,
    /// Cannot be known.
    Undecided,
}

/// A packet's addresses where it leaves; none where they are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FinalAddresses {
    /// Source.
    pub src: Option<IpAddr>,
    /// Destination.
    pub dst: Option<IpAddr>,
    /// Source port.
    pub sport: Option<u16>,
    /// Destination port.
    pub dport: Option<u16>,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerStep {
    /// Where, if the step is written somewhere.
    pub line: Option<u32>,
    /// In words.
    pub text: String,
}

/// What an undecided answer waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerReason {
    /// A stable word: `field`, `set`, `include`, `limit`.
    pub code: String,
    /// In words.
    pub text: String,
    /// The file.
    pub path: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// Answers a request. Where several gates are concerned (no hook is named, several policies), they must agree.
pub fn answer(sources: &Sources, gates: &[Gate], request: &Request) -> Answer {
    let answers: Vec<Answer> = concerned(gates, request)
        .into_iter()
        .flat_map(|gate| {
            questions(request).into_iter().map(move |mut question| {
                if let Request::Fetch(fetch) = request
                    && let Some(known) = knows_nonce(gate, fetch)
                {
                    question.fixed.insert("nonce".to_owned(), known);
                }
                if let Request::Packet(PacketRequest { hook: None, .. }) = request {
                    assume_addresses(gate, &mut question);
                }
                asked(sources, gate, request, &question)
            })
        })
        .collect();
    joined(answers, gates, request)
}

/// The gates that a request is about: the hook's for packets, else those that are judged, else all.
fn concerned<'g>(gates: &'g [Gate], request: &Request) -> Vec<&'g Gate> {
    let all = || gates.iter().collect::<Vec<_>>();
    match request {
        Request::Packet(PacketRequest {
            hook: Some(hook), ..
        }) => all()
            .into_iter()
            .filter(|gate| {
                gate.name
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|word| word == hook.word())
            })
            .collect(),
        Request::Packet(_) | Request::Proxy(_) | Request::Lookup(_) | Request::Fetch(_) => {
            let judged: Vec<_> = all()
                .into_iter()
                .filter(|gate| !matches!(gate.standing, Standing::NotJudged(_)))
                .collect();
            if judged.is_empty() { all() } else { judged }
        }
    }
}

/// Without a hook, and without the machine's own addresses, a packet is taken to be what the gate is judged for: one that
/// goes elsewhere, as in a check.
fn assume_addresses(gate: &Gate, question: &mut Question) {
    if gate.own_addresses.is_none()
        && let Some(role) = gate.role
    {
        question.destination_is_local.get_or_insert(false);
        question.source_is_local.get_or_insert(role == Role::Host);
    }
}

fn joined(mut answers: Vec<Answer>, gates: &[Gate], request: &Request) -> Answer {
    if answers.is_empty() {
        let known: Vec<_> = gates.iter().map(|gate| gate.name.as_str()).collect();
        let text = if known.is_empty() {
            "the file says nothing about such requests".to_owned()
        } else {
            format!("the file has no such gate, only {}", known.join(", "))
        };
        return Answer {
            id: request.id().clone(),
            gate: None,
            verdict: Certainty::Undecided,
            effect: None,
            arrives: None,
            line: None,
            steps: Vec::new(),
            reasons: vec![AnswerReason::plain("gate", text)],
        };
    }
    let mut first = answers.remove(0);
    let Some(other) = answers.iter().find(|next| next.verdict != first.verdict) else {
        return first;
    };
    let reason = if first.gate == other.gate {
        AnswerReason::plain(
            "field",
            "the answer depends on `state`, which the request does not give",
        )
    } else {
        AnswerReason::plain(
            "gate",
            format!(
                "{} and {} answer differently; name the one you mean",
                first.gate.as_deref().unwrap_or_default(),
                other.gate.as_deref().unwrap_or_default()
            ),
        )
    };
    first.verdict = Certainty::Undecided;
    first.effect = None;
    first.arrives = None;
    first.line = None;
    first.reasons.push(reason);
    first
}

impl AnswerReason {
    fn plain(code: &str, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            text: text.into(),
            path: None,
            line: None,
        }
    }
}

fn asked(sources: &Sources, gate: &Gate, request: &Request, question: &Question) -> Answer {
    let mut evaluator = Evaluator::new(gate);
    let verdict = evaluator.ask(question);
    let has = |flows: Flows| !evaluator.is_empty(flows);
    let certainty = match (has(verdict.allowed), has(verdict.denied)) {
        _ if has(verdict.undecided) || has(verdict.varying) || verdict.spent => {
            Certainty::Undecided
        }
        (true, false) => Certainty::Allowed,
        (false, true) => Certainty::Denied,
        (true, true) | (false, false) => Certainty::Undecided,
    };
    let part = deciding(&verdict, certainty);
    let line_of = |span: Option<Span>| span.map(|span| sources.line(span));
    let steps = verdict
        .steps
        .iter()
        .map(|step| AnswerStep {
            line: line_of(step.span),
            text: step.text.clone(),
        })
        .collect();
    let arrives = part
        .filter(|_| certainty == Certainty::Allowed && gate.layer == Layer::Packet)
        .map(|part| final_addresses(&one_end(&verdict, part), question));
    let reasons = if certainty == Certainty::Undecided {
        reasons(sources, gate, question, &mut evaluator, &verdict)
    } else {
        Vec::new()
    };
    Answer {
        id: request.id().clone(),
        gate: Some(gate.name.clone()),
        verdict: certainty,
        effect: part.map(|part| effect_word(gate.layer, part.effect)),
        arrives,
        line: part.and_then(|part| line_of(place(part, &verdict))),
        steps,
        reasons,
    }
}

/// The part that stands for a certain answer; none where ways that are all denied end in different ways.
fn deciding(verdict: &Verdict, certainty: Certainty) -> Option<&Part> {
    let mut ends = verdict
        .parts
        .iter()
        .filter(|part| match (certainty, part.effect) {
            (Certainty::Allowed, Effect::Allow) => part.decider == Decider::Arrived,
            (Certainty::Denied, Effect::Deny(_)) => true,
            (Certainty::Allowed | Certainty::Denied | Certainty::Undecided, _) => false,
        });
    let first = ends.next()?;
    let alike = ends.all(|other| other.effect == first.effect);
    (certainty == Certainty::Allowed || alike).then_some(first)
}

/// Where the decision is written: the deciding rule or policy; for what passed every stage, the last rule that let it pass.
fn place(part: &Part, verdict: &Verdict) -> Option<Span> {
    match &part.decider {
        Decider::Rule(span) => Some(*span),
        Decider::Fallback { span, .. } | Decider::Obscured(span) => *span,
        Decider::Arrived => verdict.steps.iter().rev().find_map(|step| step.span),
    }
}

/// The end of the way, as far as all ways that the packet may take agree.
fn one_end(verdict: &Verdict, part: &Part) -> Part {
    let mut one = part.clone();
    let others = verdict
        .parts
        .iter()
        .filter(|other| other.decider == Decider::Arrived && other.effect == Effect::Allow);
    for other in others {
        for (known, found) in [
            (&mut one.end.source, other.end.source),
            (&mut one.end.source_port, other.end.source_port),
            (&mut one.end.destination, other.end.destination),
            (&mut one.end.destination_port, other.end.destination_port),
        ] {
            if *known != found {
                *known = Final::Unknown;
            }
        }
    }
    one
}

fn effect_word(layer: Layer, effect: Effect) -> &'static str {
    match (layer, effect) {
        (Layer::Packet, Effect::Allow) => "accept",
        (Layer::Proxy, Effect::Allow) => "allow",
        (Layer::Lookup, Effect::Allow) => "resolved",
        (Layer::Fetch, Effect::Allow) => "allowed",
        // A program that does not start answers nobody.
        (Layer::Packet, Effect::Deny(Denial::DoesNotStart)) => "drop",
        (Layer::Proxy, Effect::Deny(Denial::DoesNotStart)) => "deny",
        (Layer::Lookup, Effect::Deny(Denial::DoesNotStart)) => "unreachable",
        (Layer::Fetch, Effect::Deny(Denial::DoesNotStart)) => "blocked",
        (Layer::Packet | Layer::Proxy | Layer::Lookup | Layer::Fetch, Effect::Deny(denial)) => {
            denial.word()
        }
    }
}

fn final_addresses(part: &Part, question: &Question) -> FinalAddresses {
    let value = |end: Final, dim: Dim| match end {
        Final::AsSent => question.numbers.get(&dim).and_then(Ranges::single),
        Final::Is(value) => Some(value),
        Final::Unknown => None,
    };
    let number = |end, dim| value(end, dim).and_then(|value| u16::try_from(value).ok());
    let end = part.end;
    FinalAddresses {
        src: value(end.source, Dim::Source).map(to_address),
        dst: value(end.destination, Dim::Destination).map(to_address),
        sport: number(end.source_port, Dim::SourcePort),
        dport: number(end.destination_port, Dim::DestinationPort),
    }
}

/// Why an answer is undecided: the unknowns of the file, then the fields on which the answer depends.
fn reasons(
    sources: &Sources,
    gate: &Gate,
    question: &Question,
    evaluator: &mut Evaluator<'_>,
    verdict: &Verdict,
) -> Vec<AnswerReason> {
    let mut seen = Vec::new();
    for id in verdict.parts.iter().flat_map(|part| &part.unknowns) {
        if !seen.contains(id) {
            seen.push(*id);
        }
    }
    let mut reasons: Vec<AnswerReason> = seen
        .iter()
        .filter_map(|id| gate.unknowns.get(id.0 as usize))
        .map(|unknown| AnswerReason {
            code: unknown.code.to_owned(),
            text: match unknown.kind {
                UnknownKind::Varies => format!("sometimes so and sometimes not: {}", unknown.text),
                UnknownKind::Fact | UnknownKind::Opaque => {
                    format!("cannot tell without {}", unknown.text)
                }
            },
            path: unknown.span.map(|span| sources.path(span.file)),
            line: unknown.span.map(|span| sources.line(span)),
        })
        .collect();
    for dim in Dim::ALL {
        let Some(field) = field(gate.layer, dim) else {
            continue;
        };
        let matters = if dim.is_text() {
            !question.texts.contains_key(&dim) && tests_word(gate, dim)
        } else {
            let given = question
                .numbers
                .get(&dim)
                .is_some_and(|set| set.single().is_some());
            !given
                && evaluator.values(verdict.allowed, dim) != evaluator.values(verdict.denied, dim)
        };
        let reason = AnswerReason::plain(
            "field",
            format!("the answer depends on `{field}`, which the request does not give"),
        );
        if matters && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if verdict.spent {
        reasons.push(AnswerReason::plain(
            "budget",
            "the file is too intricate: the budget of steps was spent",
        ));
    }
    reasons
}

/// Whether any rule of the gate tests a word.
fn tests_word(gate: &Gate, dim: Dim) -> bool {
    let rules = gate.chains.iter().flat_map(|chain| &chain.rules);
    let edges = gate.stages.iter().flat_map(|stage| &stage.edges);
    let mut guards: Vec<&Guard> = rules
        .map(|rule| &rule.guard)
        .chain(edges.map(|edge| &edge.guard))
        .collect();
    while let Some(guard) = guards.pop() {
        match guard {
            Guard::All(inner) | Guard::AnyOf(inner) => guards.extend(inner),
            Guard::Not(inner) => guards.push(inner),
            Guard::Is(Test::Text(tested, _)) if *tested == dim => return true,
            Guard::Is(_) | Guard::Always | Guard::Unknown(_) => {}
        }
    }
    false
}

/// The field of a layer's request that gives a dimension.
fn field(layer: Layer, dim: Dim) -> Option<&'static str> {
    FIELDS
        .iter()
        .find(|(of, known, _)| *of == layer && *known == dim)
        .map(|(_, _, field)| *field)
}

const FIELDS: [(Layer, Dim, &str); 36] = [
    (Layer::Packet, Dim::Source, "src"),
    (Layer::Packet, Dim::Destination, "dst"),
    (Layer::Packet, Dim::Protocol, "proto"),
    (Layer::Packet, Dim::DestinationPort, "dport"),
    (Layer::Packet, Dim::SourcePort, "sport"),
    (Layer::Packet, Dim::InInterface, "in"),
    (Layer::Packet, Dim::OutInterface, "out"),
    (Layer::Packet, Dim::TcpFlags, "flags"),
    (Layer::Packet, Dim::Length, "len"),
    (Layer::Packet, Dim::Icmp, "icmp_type"),
    (Layer::Packet, Dim::Ttl, "ttl"),
    (Layer::Packet, Dim::Tos, "tos"),
    (Layer::Packet, Dim::Owner, "uid"),
    (Layer::Packet, Dim::Mac, "smac"),
    (Layer::Proxy, Dim::Source, "src"),
    (Layer::Proxy, Dim::DestinationPort, "port"),
    (Layer::Proxy, Dim::Method, "method"),
    (Layer::Proxy, Dim::Scheme, "scheme"),
    (Layer::Proxy, Dim::Host, "host"),
    (Layer::Proxy, Dim::HostIsAddress, "host"),
    (Layer::Proxy, Dim::ReverseName, "ptr"),
    (Layer::Proxy, Dim::Path, "path"),
    (Layer::Proxy, Dim::UserAgent, "ua"),
    (Layer::Proxy, Dim::Listener, "listen"),
    (Layer::Proxy, Dim::Credentials, "auth"),
    (Layer::Proxy, Dim::User, "auth"),
    (Layer::Proxy, Dim::Minute, "now"),
    (Layer::Proxy, Dim::Tunnel, "carries"),
    (Layer::Lookup, Dim::Source, "client"),
    (Layer::Lookup, Dim::Host, "name"),
    (Layer::Lookup, Dim::QueryType, "type"),
    (Layer::Lookup, Dim::Length, "reply-size"),
    (Layer::Fetch, Dim::Resource, "kind"),
    (Layer::Fetch, Dim::Scheme, "url"),
    (Layer::Fetch, Dim::Host, "url"),
    (Layer::Fetch, Dim::Path, "url"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn gate(name: &str) -> Gate {
        let mut gate = Gate::new(name, Layer::Packet);
        gate.role = Some(Role::Gateway);
        gate
    }

    fn request(json: &str) -> Request {
        Request::list(Layer::Packet, json).unwrap().remove(0)
    }

    #[test]
    fn the_hook_picks_the_gate() {
        let gates = [gate("INPUT"), gate("FORWARD"), gate("OUTPUT")];
        let picked = concerned(&gates, &request(r#"{"hook": "FORWARD"}"#));
        assert_eq!(
            picked.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(),
            ["FORWARD"]
        );
    }

    #[test]
    fn a_file_without_the_gate_is_undecided_and_says_what_it_has() {
        let answer = answer(
            &Sources::new(),
            &[gate("OUTPUT")],
            &request(r#"{"id": "x", "hook": "FORWARD"}"#),
        );
        assert_eq!(answer.verdict, Certainty::Undecided);
        assert_eq!(answer.id, Value::from("x"));
        assert!(answer.reasons[0].text.contains("OUTPUT"));
    }

    #[test]
    fn an_answer_has_every_field_of_the_contract() {
        let answer = answer(&Sources::new(), &[], &request("{}"));
        let json = serde_json::to_value(&answer).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            names,
            [
                "effect", "final", "gate", "id", "line", "reasons", "steps", "verdict"
            ]
        );
    }
}
