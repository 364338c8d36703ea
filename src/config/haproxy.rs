//! In: a config of `HAProxy`. Out: a gate for every set of policies that answers carry on their ways through it.
//!
//! Backends and frontends are joined as `use_backend` and `default_backend` join them. Conditions (`if`, `unless`, `.if`)
//! are not evaluated: what a rule with one changes is unknown. Expressions (`%[..]`) and variables are holes.

use super::csp;
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "haproxy",
    title: "HAProxy config that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let sets = |line: &[u8]| {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let is_rule = matches!(
            words.next(),
            Some(b"http-response" | b"http-after-response" | b"rspadd")
        );
        is_rule && csp::names_the_header(line)
    };
    if !csp::quotes_configs(path) && bytes.split(|byte| *byte == b'\n').any(sets) {
        Claim::Yes("has an `http-response` rule about `Content-Security-Policy`")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let (documents, broken) = lower::documents(input.file, input.bytes);
    let mut reading = csp::reading(&documents, facts);
    let refused = broken.iter().map(|broken| csp::refused("HAProxy", broken));
    reading.findings.extend(refused);
    if documents.is_empty() {
        reading.not_judged = Some("no section of it sends a policy".to_owned());
    } else {
        reading.assumptions.push(
            "a page comes from a server that sends no policy of its own, not from HAProxy itself (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    }
    reading
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_gate(
        lower::documents(input.file, input.bytes).0,
        reading,
        blocked,
    )
}
