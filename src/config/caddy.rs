//! In: a Caddyfile, with what it imports. Out: a gate for every set of policies that its sites send.
//!
//! `header` directives run in the order that Caddy sorts them into, deferred ones after all others; paths are followed,
//! named matchers are not, so what they guard is unknown on every page. Placeholders (`{env.X}`, `{$X}`) are holes.

use super::csp;
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, NoFiles, Reading};
use crate::model::Layer;

mod header;
mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "caddy",
    title: "Caddyfile that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let lower = name.to_ascii_lowercase();
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_named = lower.starts_with("caddyfile") || matches!(ending, "caddy" | "caddyfile");
    if is_named && csp::names_the_header(bytes) {
        Claim::Yes("is a Caddyfile that names `Content-Security-Policy`")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let found = lower::documents(input.file, input.bytes, files);
    let mut reading = csp::reading(&found.pages, facts);
    reading.companions = found.companions;
    let refused = found
        .broken
        .iter()
        .map(|broken| csp::refused("Caddy", broken));
    reading.findings.extend(refused);
    if found.pages.is_empty() {
        reading.not_judged = Some("no site of it sends a policy".to_owned());
    } else {
        reading.assumptions.push(
            "what a page is proxied to sends no policy of its own, and `>` before a header's name is known to this Caddy (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    }
    reading
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    let found = lower::documents(input.file, input.bytes, &NoFiles);
    csp::fix_gate(found.pages, reading, blocked)
}
