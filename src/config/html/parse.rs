//! In: HTML. Out: the policies of its meta elements, with spans through character references.
//!
//! A policy counts only in the head (HTML, 4.2.5.3): so this follows the tokens far enough to know where the body begins
//! (HTML, 13.2.6.4.4 "The 'in head' insertion mode" and 13.2.6.4.6 "after head"), and skips templates, scripts, styles
//! and, since pages that need an SDK run scripts, `<noscript>`.

use std::convert::Infallible;
use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span as HtmlSpan, Tokenizer};

use crate::config::csp::{
    Delivery, Disposition, Document, Ignored, Quoting, Text, is_space, parse_policies,
};
use crate::source::{FileId, Spanned};

/// Adds the policies of the HTML in a part of a file to a document; `was_sent`: it holds no templates any more. Gives how many meta elements name a policy.
pub(in crate::config) fn metas(
    file: FileId,
    bytes: &[u8],
    part: Range<usize>,
    was_sent: bool,
    document: &mut Document,
) -> usize {
    let mut html = bytes.get(part.clone()).unwrap_or_default();
    let mut base = part.start;
    if let Some(rest) = html.strip_prefix(b"\xef\xbb\xbf") {
        (html, base) = (rest, base + 3);
    }
    let mut page = Page::default();
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, span: HtmlSpan<usize>| -> Option<Infallible> {
            page.event(&event, span.start..span.end);
            None
        },
    );
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(html, emitter).finish();
    for meta in &page.found {
        let Some(content) = &meta.content else {
            continue;
        };
        let text = attribute(file, bytes, base + content.start..base + content.end);
        add(&text.sent(was_sent), meta, document);
    }
    page.found.len()
}

/// A meta element that names a policy.
struct Meta {
    which: Which,
    is_in_head: bool,
    /// Where the value of `content` stands.
    content: Option<Range<usize>>,
}

#[derive(Clone, Copy)]
enum Which {
    Enforce,
    ReportOnly,
    Obsolete,
}

/// Where the tokens have come to.
#[derive(Default)]
struct Page {
    found: Vec<Meta>,
    is_in_body: bool,
    /// Open `<template>` elements.
    templates: usize,
    /// The element whose content is text.
    raw: Option<&'static str>,
    /// The start tag that is being read, where it is a meta element's.
    meta: Option<Open>,
    attribute: Vec<u8>,
}

/// The attributes of a meta element so far; the first of a name counts.
#[derive(Default)]
struct Open {
    equiv: Option<Vec<u8>>,
    content: Option<Range<usize>>,
}

/// Elements that may stand in the head, or before it.
const HEAD: [&[u8]; 13] = [
    b"html",
    b"head",
    b"base",
    b"basefont",
    b"bgsound",
    b"link",
    b"meta",
    b"title",
    b"noscript",
    b"noframes",
    b"style",
    b"script",
    b"template",
];

/// Elements of the head whose content is text.
const RAW: [&str; 5] = ["title", "style", "script", "noscript", "noframes"];

impl Page {
    fn event(&mut self, event: &CallbackEvent<'_>, at: Range<usize>) {
        match *event {
            CallbackEvent::OpenStartTag { name } => {
                self.meta = None;
                if self.raw.is_none() {
                    self.open(name);
                }
            }
            CallbackEvent::AttributeName { name } => name.clone_into(&mut self.attribute),
            CallbackEvent::AttributeValue { value } => {
                if let Some(open) = &mut self.meta {
                    match self.attribute.as_slice() {
                        b"http-equiv" => {
                            open.equiv.get_or_insert_with(|| value.to_owned());
                        }
                        b"content" => {
                            open.content.get_or_insert(at);
                        }
                        _ => {}
                    }
                }
            }
            CallbackEvent::CloseStartTag { .. } => {
                if let Some(open) = self.meta.take()
                    && let Some(which) = open.equiv.as_deref().and_then(policy_name)
                    && self.templates == 0
                {
                    self.found.push(Meta {
                        which,
                        is_in_head: !self.is_in_body,
                        content: open.content,
                    });
                }
            }
            CallbackEvent::EndTag { name } => {
                self.meta = None;
                if self.raw.is_some_and(|raw| raw.as_bytes() == name) {
                    self.raw = None;
                } else if self.raw.is_none() {
                    match name {
                        b"template" => self.templates = self.templates.saturating_sub(1),
                        b"body" | b"html" | b"br" if self.templates == 0 => self.is_in_body = true,
                        _ => {}
                    }
                }
            }
            CallbackEvent::String { value } => {
                let is_text = value.iter().any(|byte| !is_space(*byte));
                if self.raw.is_none() && self.templates == 0 && is_text {
                    self.is_in_body = true;
                }
            }
            CallbackEvent::Comment { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
    }

    fn open(&mut self, name: &[u8]) {
        self.raw = RAW.into_iter().find(|raw| raw.as_bytes() == name);
        if name == b"template" {
            self.templates += 1;
        } else if self.templates == 0 && !HEAD.contains(&name) {
            self.is_in_body = true;
        }
        if name == b"meta" {
            self.meta = Some(Open::default());
        }
    }
}

fn policy_name(equiv: &[u8]) -> Option<Which> {
    match equiv.to_ascii_lowercase().as_slice() {
        b"content-security-policy" => Some(Which::Enforce),
        b"content-security-policy-report-only" => Some(Which::ReportOnly),
        b"x-content-security-policy" | b"x-webkit-csp" => Some(Which::Obsolete),
        _ => None,
    }
}

fn add(text: &Text, meta: &Meta, document: &mut Document) {
    let ignored = match (meta.which, meta.is_in_head) {
        (Which::Enforce, true) => {
            document
                .policies
                .extend(parse_policies(text, Delivery::Meta, Disposition::Enforce));
            return;
        }
        (Which::Enforce, false) => Ignored::OutsideHead,
        (Which::ReportOnly, _) => Ignored::ReportOnlyMeta,
        (Which::Obsolete, _) => Ignored::Obsolete,
    };
    document.ignored.push(Spanned::new(ignored, text.whole()));
}

/// The value of an attribute, with its character references decoded.
fn attribute(file: FileId, bytes: &[u8], range: Range<usize>) -> Text {
    let quote = range
        .start
        .checked_sub(1)
        .and_then(|before| bytes.get(before));
    let quoting = match quote {
        Some(b'"') => Quoting::DoubleQuoted,
        Some(b'\'') => Quoting::SingleQuoted,
        Some(_) | None => Quoting::Unquoted,
    };
    let raw = bytes.get(range.clone()).unwrap_or_default();
    let mut text = Text::new(file, quoting);
    let mut at = 0;
    for next in memchr::memchr_iter(b'&', raw).chain(std::iter::once(raw.len())) {
        // A reference begins with `&` and holds no other one, so every piece decodes on its own.
        let piece = raw.get(at..next).unwrap_or_default();
        let start = range.start + at;
        at = next;
        let decoded = if piece.starts_with(b"&") {
            decoded(piece)
        } else {
            None
        };
        let Some(decoded) = decoded else {
            text.push(piece, start..start + piece.len());
            continue;
        };
        let same = piece
            .iter()
            .rev()
            .zip(decoded.iter().rev())
            .take_while(|(raw, decoded)| raw == decoded)
            .count();
        let (reference, rest) = (piece.len() - same, decoded.len() - same);
        text.push(
            decoded.get(..rest).unwrap_or_default(),
            start..start + reference,
        );
        text.push(
            piece.get(reference..).unwrap_or_default(),
            start + reference..start + piece.len(),
        );
    }
    text
}

/// What a piece of an attribute's value stands for.
fn decoded(piece: &[u8]) -> Option<Vec<u8>> {
    let quote = [b'"', b'\'']
        .into_iter()
        .find(|quote| !piece.contains(quote))?;
    let tag = [b"<a b=", &[quote][..], piece, &[quote], b">"].concat();
    let mut value = None;
    let emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, _: HtmlSpan<usize>| -> Option<Infallible> {
            if let CallbackEvent::AttributeValue { value: decoded } = event {
                value = Some(decoded.to_owned());
            }
            None
        },
    );
    let Ok(()) = Tokenizer::new_with_emitter(tag.as_slice(), emitter).finish();
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(html: &str) -> (Sources, Document, usize) {
        let sources = Sources::new();
        let file = sources.add("a.html", html.as_bytes().to_vec()).unwrap();
        let mut document = Document::new("page");
        let count = metas(file, html.as_bytes(), 0..html.len(), false, &mut document);
        (sources, document, count)
    }

    const META: &str = r#"<meta http-equiv="Content-Security-Policy" content="img-src 'none'">"#;

    #[test]
    fn a_policy_counts_in_the_head_only() {
        for (before, in_head) in [
            ("", true),
            ("<!doctype html><html><head><title><p></title>", true),
            ("</head>", true),
            (
                "<noscript><p></noscript><template><p>x</p></template>",
                true,
            ),
            ("<noframes><p></noframes></div>", true),
            ("<p>", false),
            ("text", false),
            ("<body>", false),
            ("</br>", false),
            ("<svg></svg>", false),
        ] {
            let (_, document, _) = read(&format!("{before}{META}"));
            assert_eq!(!document.policies.is_empty(), in_head, "{before}");
            assert_eq!(document.ignored.is_empty(), in_head, "{before}");
        }
        for around in [
            ("<template>", "</template>"),
            ("<script>", "</script>"),
            ("<noscript>", "</noscript>"),
            ("<!--", "-->"),
        ] {
            let (_, document, count) = read(&format!("{}{META}{}", around.0, around.1));
            assert!(document.policies.is_empty() && count == 0, "{around:?}");
        }
    }

    #[test]
    fn character_references_keep_their_places() {
        let (sources, document, _) = read(
            "<META content='img-src &#39;self&apos; https&colon;//a.test/?a&amp;b' HTTP-EQUIV=content-security-policy content=x>",
        );
        let values = &document.policies[0].directives[0].values;
        assert_eq!(values[0].text, "'self'");
        assert_eq!(sources.text(values[0].span), "&#39;self&apos;");
        assert_eq!(values[1].text, "https://a.test/?a&b");
        assert_eq!(
            sources.text(values[1].span),
            "https&colon;//a.test/?a&amp;b"
        );
    }
}
