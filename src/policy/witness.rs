//! In: a question and flows of it. Out: one concrete flow, in the fields of a `trace` request and in words, and its way.

use crate::decide::{Evaluator, Flows, Packet, Sample};
use crate::finding::{StepTaken, Witness, WitnessValue};
use crate::model::{
    Conversation, Dim, Gate, Layer, Question, Ranges, Resource, Role, TextSpace, to_address,
};
use crate::source::Span;

/// One flow and its way through the gate.
pub(crate) fn witness(
    evaluator: &mut Evaluator<'_>,
    gate: &Gate,
    question: &Question,
    flows: Flows,
    packet: Packet,
) -> Option<(Witness, Vec<StepTaken>)> {
    let flows = familiar(evaluator, flows);
    let sample = evaluator.sample(question, flows)?;
    let one = alone(question, &sample);
    let steps = evaluator
        .ask(&one)
        .steps
        .into_iter()
        .map(|step| StepTaken {
            span: step.span,
            text: step.text,
        })
        .collect();
    let witness = match gate.layer {
        Layer::Packet => of_packet(gate, question, &sample, packet),
        Layer::Proxy => of_request(&sample),
        Layer::Lookup => of_lookup(&sample),
        Layer::Fetch => of_fetch(&sample),
    };
    Some((witness, steps))
}

/// The rule that lets a flow's first packet through, where one does: the last that accepts.
pub(crate) fn accepted_at(
    evaluator: &mut Evaluator<'_>,
    question: &Question,
    flows: Flows,
) -> Option<Span> {
    let flows = familiar(evaluator, flows);
    let sample = evaluator.sample(question, flows)?;
    let mut one = alone(question, &sample);
    one.conversation = Conversation::First;
    let steps = evaluator.ask(&one).steps;
    let accepts = |text: &str| matches!(text, "accept" | "allow" | "ACCEPT");
    let rule = steps.iter().rev().find(|step| accepts(&step.text));
    rule.or_else(|| steps.iter().rev().find(|step| step.span.is_some()))?
        .span
}

/// Of these flows those that look like daily ones, where there are any: private clients, no network addresses.
fn familiar(evaluator: &mut Evaluator<'_>, flows: Flows) -> Flows {
    let mut kept = flows;
    let hosts = |word: &str| {
        let network = super::parameters::network(word).unwrap_or_default();
        let first = Ranges::min(&network).map_or_else(Ranges::empty, Ranges::one);
        network.minus(&first)
    };
    for word in ["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"] {
        let private = evaluator.flows(&[(Dim::Source, hosts(word))]);
        let private = evaluator.intersect(kept, private);
        if !evaluator.is_empty(private) {
            kept = private;
            break;
        }
    }
    for dim in [Dim::Source, Dim::Destination] {
        let Some(lowest) = Ranges::min(&evaluator.values(kept, dim)) else {
            continue;
        };
        // The first address of a network names the network.
        if lowest.trailing_zeros() >= 8 {
            let others = evaluator.flows(&[(dim, Ranges::one(lowest).complement())]);
            let others = evaluator.intersect(kept, others);
            if !evaluator.is_empty(others) {
                kept = others;
            }
        }
    }
    kept
}

/// The question about this flow only.
fn alone(question: &Question, sample: &Sample) -> Question {
    let mut one = question.clone();
    for (dim, value) in &sample.numbers {
        one.numbers.insert(*dim, Ranges::one(*value));
    }
    for (dim, word) in &sample.words {
        one.texts.insert(*dim, TextSpace::one(word));
    }
    one.steps = true;
    one
}

/// Fields in the order of the machine contract.
#[derive(Default)]
struct Fields(Vec<(String, WitnessValue)>);

impl Fields {
    fn word(&mut self, name: &str, value: impl Into<String>) {
        self.0
            .push((name.to_owned(), WitnessValue::Word(value.into())));
    }

    fn number(&mut self, name: &str, value: Option<u128>) {
        if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
            self.0.push((name.to_owned(), WitnessValue::Number(value)));
        }
    }
}

fn of_packet(gate: &Gate, question: &Question, sample: &Sample, packet: Packet) -> Witness {
    let number = |dim: Dim| sample.numbers.get(&dim).copied();
    let word = |dim: Dim| sample.words.get(&dim).cloned();
    let hook = if question.destination_is_local == Some(true) {
        "INPUT"
    } else if gate.role == Some(Role::Host) {
        "OUTPUT"
    } else {
        "FORWARD"
    };
    let source = number(Dim::Source).map(to_address);
    let destination = number(Dim::Destination).map(to_address);
    let is_v6 = [source, destination]
        .iter()
        .flatten()
        .any(std::net::IpAddr::is_ipv6);
    let protocol = match number(Dim::Protocol) {
        Some(6) => "tcp",
        Some(17) => "udp",
        _ => "packet",
    };
    let mut fields = Fields::default();
    fields.word("hook", hook);
    fields.number("family", Some(if is_v6 { 6 } else { 4 }));
    if let Some(source) = source {
        fields.word("src", source.to_string());
    }
    if let Some(destination) = destination {
        fields.word("dst", destination.to_string());
    }
    fields.word("proto", protocol);
    fields.number("sport", number(Dim::SourcePort));
    fields.number("dport", number(Dim::DestinationPort));
    if hook != "OUTPUT"
        && let Some(name) = word(Dim::InInterface)
    {
        fields.word("in", name);
    }
    if hook != "INPUT"
        && let Some(name) = word(Dim::OutInterface)
    {
        fields.word("out", name);
    }
    fields.word("state", "new");
    fields.number("len", number(Dim::Length));
    fields.number("ttl", number(Dim::Ttl));
    let end = |address: Option<std::net::IpAddr>, port: Option<u128>| {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        match address {
            Some(std::net::IpAddr::V6(v6)) => format!("[{v6}]{port}"),
            Some(std::net::IpAddr::V4(v4)) => format!("{v4}{port}"),
            None => format!("anywhere{port}"),
        }
    };
    let which = match packet {
        Packet::Request => "new",
        Packet::Reply => "its reply",
        Packet::Again => "established",
    };
    let text = format!(
        "{protocol} {} -> {}, {which}, {hook}",
        end(source, number(Dim::SourcePort)),
        end(destination, number(Dim::DestinationPort)),
    );
    Witness {
        fields: fields.0,
        text,
    }
}

fn of_request(sample: &Sample) -> Witness {
    let mut fields = Fields::default();
    let source = source(sample, "src", &mut fields);
    let host = sample.words.get(&Dim::Host).cloned().unwrap_or_default();
    let port = sample.numbers.get(&Dim::DestinationPort).copied();
    fields.word("method", "CONNECT");
    fields.word("host", &*host);
    fields.number("port", port);
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    Witness {
        fields: fields.0,
        text: format!("CONNECT {host}{port}{source}"),
    }
}

fn of_lookup(sample: &Sample) -> Witness {
    let mut fields = Fields::default();
    let host = sample.words.get(&Dim::Host).cloned().unwrap_or_default();
    let kind = match sample.numbers.get(&Dim::QueryType) {
        Some(28) => "AAAA",
        _ => "A",
    };
    fields.word("name", &*host);
    fields.word("type", kind);
    let source = source(sample, "client", &mut fields);
    Witness {
        fields: fields.0,
        text: format!("{kind} {host}{source}"),
    }
}

fn of_fetch(sample: &Sample) -> Witness {
    let mut fields = Fields::default();
    let kind = sample
        .numbers
        .get(&Dim::Resource)
        .and_then(|number| {
            Resource::WORDS
                .iter()
                .find(|(kind, _)| *kind as u128 == *number)
        })
        .map_or("connect", |(_, word)| word);
    let word = |dim: Dim| sample.words.get(&dim).map_or("", String::as_str);
    let (scheme, host, path) = (word(Dim::Scheme), word(Dim::Host), word(Dim::Path));
    let url = match (scheme.is_empty(), host.is_empty()) {
        (true, _) => String::new(),
        (false, true) => format!("{scheme}:{path}"),
        (false, false) => format!("{scheme}://{host}{path}"),
    };
    fields.word("kind", kind);
    if !url.is_empty() {
        fields.word("url", &*url);
    }
    Witness {
        fields: fields.0,
        text: format!("{kind} {url}").trim_end().to_owned(),
    }
}

/// The client as a field, and as words to end with.
fn source(sample: &Sample, name: &str, fields: &mut Fields) -> String {
    let Some(source) = sample.numbers.get(&Dim::Source).copied().map(to_address) else {
        return String::new();
    };
    fields.word(name, source.to_string());
    format!(" from {source}")
}
