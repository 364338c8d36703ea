//! In: the text of one TOML file. Out: its nodes with spans, or where it stops being TOML.
//!
//! This is the only module that knows the TOML library.

use toml::Spanned as Toml;
use toml::de::{DeTable, DeValue};

use crate::source::{FileId, Span, Spanned};
use crate::yaml::{Node, Yaml};

/// Reads a file; what can be read is read, whatever mistakes it has.
pub(in crate::config) fn read(file: FileId, text: &str) -> (Yaml, Option<Spanned<String>>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let span = Span::new(file, 0, text.len());
    let error = errors.first().map(|error| {
        let at = error.span().unwrap_or(0..0);
        let span = Span::new(file, at.start, at.end.min(text.len()));
        Spanned::new(error.message().to_owned(), span)
    });
    (Spanned::new(map(file, text, table.get_ref()), span), error)
}

fn map(file: FileId, text: &str, table: &DeTable<'_>) -> Node {
    let mut entries: Vec<(Spanned<String>, Yaml)> = table
        .iter()
        .map(|(key, value)| {
            let at = key.span();
            let key = Spanned::new(key.get_ref().to_string(), Span::new(file, at.start, at.end));
            (key, node(file, text, value))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    Node::Map(entries)
}

fn node(file: FileId, text: &str, value: &Toml<DeValue<'_>>) -> Yaml {
    let at = value.span();
    let written = || text.get(at.clone()).unwrap_or_default().to_owned();
    let node = match value.get_ref() {
        DeValue::String(text) => Node::Scalar(text.to_string()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Node::Scalar(written())
        }
        DeValue::Array(items) => {
            Node::List(items.iter().map(|item| node(file, text, item)).collect())
        }
        DeValue::Table(table) => map(file, text, table),
    };
    Spanned::new(node, Span::new(file, at.start, at.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn nodes_keep_their_places() {
        let text =
            "a = 1\n[dns]\n upstreams = [ \"9.9.9.9\" ]\n [dns.blocking]\n  active = false # x\n";
        let sources = Sources::new();
        let file = sources.add("p", text.as_bytes().to_vec()).unwrap();
        let (tree, error) = read(file, text);
        assert!(error.is_none());
        assert_eq!(tree.text(&["dns", "blocking", "active"]), Some("false"));
        let item = &tree.items(&["dns", "upstreams"])[0];
        assert_eq!(sources.text(item.span), "\"9.9.9.9\"");
    }

    #[test]
    fn broken_text_has_a_place_and_never_panics() {
        for text in [
            "a = ",
            "[",
            "a = [1, \"",
            "\u{0}",
            "a.b = 1\na = 2\n",
            &"[".repeat(50_000),
        ] {
            let file = Sources::new().add("p", text.as_bytes().to_vec()).unwrap();
            assert!(read(file, text).1.is_some(), "{}", text.len());
        }
    }
}
