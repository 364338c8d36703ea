//! In: a `netlify.toml`. Out: a page for every path that a `[[headers]]` table names, with its policies, and where the file
//! stops being TOML.
//!
//! Source: "Custom headers" (`docs.netlify.com/manage/routing/headers`): all tables whose path matches count, and several
//! values for one name are joined by commas. Strings may be of TOML's four forms; in single quotes nothing is escaped.

use super::lines::{Rule, pages};
use crate::config::csp::{
    Delivery, Document, Policy, Quoting, Text, disposition, escaped, parse_policies, unread,
};
use crate::config::toml;
use crate::source::{FileId, Spanned};
use crate::yaml::{Node, Yaml};

/// The pages of a file.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> (Vec<Document>, Option<Spanned<String>>) {
    // What is no UTF-8 is replaced byte by byte, so that places stay.
    let ascii: String;
    let text = if let Ok(text) = std::str::from_utf8(bytes) {
        text
    } else {
        let chars = bytes.iter().map(|byte| char::from(*byte));
        ascii = chars.map(|c| if c.is_ascii() { c } else { '?' }).collect();
        &ascii
    };
    let (tree, broken) = toml::read(file, text);
    let rules: Vec<Rule> = tree
        .items(&["headers"])
        .iter()
        .filter_map(|table| {
            let values = table.at(&["values"])?;
            Some(Rule {
                path: table.text(&["for"]).unwrap_or("/*").to_owned(),
                policies: policies(file, bytes, values),
            })
        })
        .collect();
    (pages(&rules), broken)
}

fn policies(file: FileId, bytes: &[u8], values: &Yaml) -> Vec<Policy> {
    let Node::Map(entries) = &values.value else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in entries {
        let Some(disposition) = disposition(key.value.as_bytes()) else {
            continue;
        };
        let several = match &value.value {
            Node::List(items) => items.as_slice(),
            Node::Scalar(_) | Node::Null | Node::Map(_) => std::slice::from_ref(value),
        };
        for one in several {
            match literal(file, bytes, one) {
                Some(text) => found.extend(parse_policies(&text, Delivery::Header, disposition)),
                None => found.push(unread(one.span, "what this value is".to_owned())),
            }
        }
    }
    found
}

/// The text of a string; `None` where a value is none.
fn literal(file: FileId, bytes: &[u8], value: &Yaml) -> Option<Text> {
    let range = value.span.range();
    let raw = bytes.get(range.clone())?;
    let inside = |quotes: usize| {
        let end = range.end.checked_sub(quotes)?;
        (range.start + quotes <= end).then_some(range.start + quotes..end)
    };
    let plain = |quotes: usize, quoting: Quoting| {
        let inside = inside(quotes)?;
        Some(Text::new(file, quoting).with(bytes.get(inside.clone())?, inside.start))
    };
    if raw.starts_with(b"\"\"\"") {
        Some(escaped(file, bytes, &inside(3)?, Quoting::Escaped))
    } else if raw.starts_with(b"'''") {
        plain(3, Quoting::Bare)
    } else if raw.starts_with(b"\"") {
        Some(escaped(file, bytes, &inside(1)?, Quoting::Escaped))
    } else if raw.starts_with(b"'") {
        plain(1, Quoting::Literal)
    } else {
        None
    }
}
