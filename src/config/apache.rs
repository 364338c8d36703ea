//! In: a config of the Apache HTTP server, with what it includes, or a `.htaccess`. Out: a gate for every set of policies
//! that its responses carry.
//!
//! `Header` lines of all sections that match a request run in httpd's order of merging; `Header` and `Header always` fill
//! two tables, and both are sent. Where a section cannot be told to match the pages of another one, what it changes is
//! unknown on them (`lower`). Conditions (`env=`, `<If>`, `<IfModule>`) are not evaluated.

use super::csp::{self, Document};
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, NoFiles, Reading};
use crate::model::Layer;
use crate::source::{FileId, Spanned};

mod header;
mod lower;
mod parse;
mod sections;

pub(crate) const KIND: Kind = Kind {
    name: "apache",
    title: "Apache httpd config or .htaccess that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let sets =
        !csp::quotes_configs(path) && bytes.split(|byte| *byte == b'\n').any(sets_the_header);
    if sets {
        Claim::Yes("has a `Header .. Content-Security-Policy` line")
    } else {
        Claim::No
    }
}

/// `Header [always|onsuccess] action Content-Security-Policy ..`.
fn sets_the_header(line: &[u8]) -> bool {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_ascii_lowercase);
    let is_header = words.next().is_some_and(|word| word == b"header");
    let mut word = words.next().unwrap_or_default();
    if matches!(word.as_slice(), b"always" | b"onsuccess") {
        word = words.next().unwrap_or_default();
    }
    let is_action = header::ACTIONS
        .iter()
        .any(|action| action.as_bytes() == word);
    let name = words.next().unwrap_or_default();
    is_header && is_action && csp::names_the_header(&name)
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let (documents, broken, companions) = documents(input, files);
    let mut reading = csp::reading(&documents, facts);
    reading.companions = companions;
    let refused = broken.iter().map(|broken| csp::refused("httpd", broken));
    reading.findings.extend(refused);
    if documents.is_empty() {
        reading.not_judged = Some("no section of it sends a policy".to_owned());
    } else if is_htaccess(input) {
        reading.assumptions.push(
            "httpd heeds `.htaccess` here (`AllowOverride FileInfo`), and neither its own config, folders above nor the program that answers set a policy (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    } else {
        reading.assumptions.push(
            "a page is answered with success, and neither a `.htaccess` nor the program that answers sets a policy of its own (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    }
    reading
}

fn is_htaccess(input: &Input<'_>) -> bool {
    input.path.ends_with(".htaccess")
}

type Found = (Vec<Document>, Vec<Spanned<String>>, Vec<FileId>);

fn documents(input: &Input<'_>, files: &dyn Files) -> Found {
    let config = parse::parse(input.file, input.bytes, files);
    let (documents, broken) = lower::documents(&config, "page");
    (documents, broken, config.companions)
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_gate(documents(input, &NoFiles).0, reading, blocked)
}
