//! In: an nginx config, with what it includes. Out: a gate for every set of policies that its responses carry.
//!
//! `add_header` is inherited from the level outside only by a block that has none of its own (nginx,
//! `ngx_http_headers_module`, `add_header`); `add_header_inherit merge` keeps both. Of a variable only its place is known.
//! An included file that is missing may hold headers, so what the block sends is unknown then.

use super::csp::{self, Document};
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, NoFiles, Reading};
use crate::model::Layer;

mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "nginx",
    title: "nginx config that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(_path: &str, bytes: &[u8]) -> Claim {
    let sets = memchr::memmem::find_iter(bytes, b"add_header").any(|at| {
        let rest = bytes.get(at + 10..).unwrap_or_default();
        let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
        let name = rest.get(space.count()..).unwrap_or_default();
        let name = match name.split_first() {
            Some((b'"' | b'\'', name)) => name,
            Some(_) | None => name,
        };
        name.get(..23)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"content-security-policy"))
    });
    if sets {
        Claim::Yes("has an `add_header Content-Security-Policy` line")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let (documents, companions) = documents(input, files);
    let mut reading = csp::reading(&documents, facts);
    reading.companions = companions;
    if documents.is_empty() {
        reading.not_judged = Some("no block of it sends a policy".to_owned());
    } else {
        reading.assumptions.push(
            "a page is answered with a status for which nginx adds headers, and what it is proxied to sends no policy of its own (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    }
    reading
}

fn documents(input: &Input<'_>, files: &dyn Files) -> (Vec<Document>, Vec<crate::source::FileId>) {
    let mut companions = Vec::new();
    let tree = parse::parse(input.file, input.bytes, files, &mut companions);
    (lower::documents(&tree), companions)
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    let name = blocked
        .gate
        .and_then(|gate| reading.gates.get(gate))
        .map(|gate| gate.name.as_str());
    let (mut documents, _) = documents(input, &NoFiles);
    documents.retain(|document| Some(document.name.as_str()) == name);
    let alone = Blocked {
        gate: Some(0),
        ..*blocked
    };
    csp::fix_pages(&documents, &alone)
}
