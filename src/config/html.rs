//! In: an HTML page. Out: the gate of the policies in its meta elements.
//!
//! A page without such an element may still get a policy in its response's headers, so it is read and not judged.

use super::csp::{self, Document};
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

pub(in crate::config) mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "html",
    title: "HTML page with a Content-Security-Policy meta element",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let ending = path
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    let has_name = matches!(ending.as_str(), "html" | "htm" | "xhtml");
    let first = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let starts = |tag: &[u8]| {
        first
            .get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    let is_html = has_name
        || [&b"<!doctype html"[..], b"<html", b"<head", b"<meta"]
            .into_iter()
            .any(starts);
    if !is_html {
        Claim::No
    } else if csp::names_the_header(bytes) {
        Claim::Yes("has a Content-Security-Policy meta element")
    } else if has_name {
        Claim::Maybe("name ends in .html")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let (document, metas) = document(input);
    let mut reading = csp::reading(&[document], facts);
    if metas == 0 {
        reading.not_judged = Some(
            "the page has no policy of its own; one may come in its response's headers".to_owned(),
        );
    }
    reading
}

fn document(input: &Input<'_>) -> (Document, usize) {
    let mut document = Document::new("page");
    let whole = 0..input.bytes.len();
    let metas = parse::metas(input.file, input.bytes, whole, false, &mut document);
    (document, metas)
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_pages(&[document(input).0], blocked)
}
