//! In: a config of a web host or CDN (`vercel.json`, `firebase.json`, `staticwebapp.config.json`, Amplify's
//! `customHttp.yml`, `_headers`, `netlify.toml`, `CloudFormation`, Traefik), or a HAR. Out: a gate for every rule that sets a policy.
//!
//! Where several rules match a page, hosts differ in which one wins, so each rule is judged as the one that does; only
//! in `_headers` and `netlify.toml` all of them count together. What is put together by the host (`!Sub`, `!Join`) is a hole.

use super::csp::{self, Document};
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;
use crate::source::Spanned;

mod lines;
mod netlify;
mod tree;

pub(crate) const KIND: Kind = Kind {
    name: "hosting",
    title: "hosting or CDN config, or HAR, with a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

/// Files that set response headers, by name.
const NAMES: [&str; 7] = [
    "netlify.toml",
    "vercel.json",
    "now.json",
    "firebase.json",
    "staticwebapp.config.json",
    "customHttp.yml",
    "customHttp.yaml",
];

/// Keys that hold a policy in `CloudFormation` and Traefik.
const KEYS: [&[u8]; 4] = [
    b"ContentSecurityPolicy:",
    b"\"ContentSecurityPolicy\"",
    b"contentSecurityPolicy:",
    b"\"contentSecurityPolicy\"",
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_tree = matches!(ending, "json" | "yml" | "yaml");
    if name == "_headers" || NAMES.contains(&name) {
        if csp::names_the_header(bytes) {
            Claim::Yes("sets a `Content-Security-Policy` header")
        } else {
            Claim::No
        }
    } else if ending == "har" {
        Claim::Yes("name ends in .har")
    } else if is_tree
        && KEYS
            .iter()
            .any(|key| memchr::memmem::find(bytes, key).is_some())
    {
        Claim::Yes("sets a Content-Security-Policy for responses")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let (documents, broken) = documents(input);
    let mut reading = csp::reading(&documents, facts);
    let refused = broken.map(|broken| csp::refused("Netlify", &broken));
    reading.findings.extend(refused);
    let name = name(input);
    if documents.is_empty() {
        reading.not_judged = Some(
            "no policy of it could be read (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    } else if name == "netlify.toml" {
        reading.assumptions.push(
            "no `_headers` file and no function of the site sets a policy (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    } else if documents.len() > 1 && name != "_headers" {
        reading.assumptions.push(
            "each rule is judged as if it were the one that sets the header of its pages"
                .to_owned(),
        );
    }
    reading
}

fn name<'a>(input: &Input<'a>) -> &'a str {
    input.path.rsplit('/').next().unwrap_or(input.path)
}

/// The pages, and where the host stops reading.
fn documents(input: &Input<'_>) -> (Vec<Document>, Option<Spanned<String>>) {
    match name(input) {
        "_headers" => (lines::documents(input.file, input.bytes), None),
        "netlify.toml" => netlify::documents(input.file, input.bytes),
        _ => (tree::documents(input.file, input.bytes), None),
    }
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_pages(&documents(input).0, blocked)
}
