//! In: the text of a YAML file. Out: a tree of nodes, every one with its span.
//!
//! Policies and configs share it: this is the only module that knows the YAML library. Nodes are read by hand-written readers rather than derived
//! ones: serde's tagged, untagged and flattened shapes lose spans, and one bad list item must not hide the next.
//!
//! Invariants: a scalar keeps the text as it was written where it is no string (`version: 1.10` stays `1.10`); a
//! node's span lies within the file; depth, aliases and size are bounded by the library's budget.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};

use crate::source::{FileId, Span, Spanned};

/// One node and its place.
pub(crate) type Yaml = Spanned<Node>;

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A plain or quoted scalar, as text.
    Scalar(String),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping, in the order of the file.
    Map(Vec<(Spanned<String>, Yaml)>),
}

impl Node {
    /// In words, for "expected .., found ..".
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a word",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Yaml {
    /// The value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let Node::Map(entries) = &self.value else {
            return None;
        };
        let (_, value) = entries.iter().find(|(key, _)| key.value == *first)?;
        value.at(rest)
    }

    /// The text of the scalar at a path.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        match &self.at(path)?.value {
            Node::Scalar(text) => Some(text),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The items of the list at a path; none where there is no list.
    pub(crate) fn items(&self, path: &[&str]) -> &[Self] {
        match self.at(path).map(|yaml| &yaml.value) {
            Some(Node::List(items)) => items,
            Some(Node::Null | Node::Scalar(_) | Node::Map(_)) | None => &[],
        }
    }
}

/// Reads one document; the error has the place where the text stops being YAML.
pub(crate) fn read(file: FileId, text: &str) -> Result<Yaml, Spanned<String>> {
    let raw: serde_yaml::Spanned<Raw> =
        serde_yaml::from_str(text).map_err(|error| syntax_error(file, text, &error))?;
    Ok(spanned(file, text, raw, 0..text.len()))
}

fn syntax_error(file: FileId, text: &str, error: &serde_yaml::Error) -> Spanned<String> {
    let at = error
        .location()
        .and_then(|location| bytes(&location, text))
        .unwrap_or(0..0);
    let words = error.without_snippet().to_string();
    let first = words.lines().next().unwrap_or_default();
    // The library's words end with the place, which the span already says.
    let first = first
        .rsplit_once(" at line ")
        .map_or(first, |(words, _)| words);
    Spanned::new(first.to_owned(), Span::new(file, at.start, at.end))
}

/// The bytes of a location, where it has any.
fn bytes(location: &serde_yaml::Location, text: &str) -> Option<std::ops::Range<usize>> {
    let span = location.span();
    let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) else {
        return position(location, text);
    };
    let start = usize::try_from(start).ok()?;
    let end = start
        .checked_add(usize::try_from(length).ok()?)?
        .min(text.len());
    (start <= end).then_some(start..end)
}

/// Errors of the scanner only have line and column, from 1.
fn position(location: &serde_yaml::Location, text: &str) -> Option<std::ops::Range<usize>> {
    let above = usize::try_from(location.line()).ok()?.checked_sub(1)?;
    let left = usize::try_from(location.column()).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(above).map(str::len).sum();
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    let at = start + line.chars().take(left).map(char::len_utf8).sum::<usize>();
    Some(at..at)
}

fn spanned(
    file: FileId,
    text: &str,
    raw: serde_yaml::Spanned<Raw>,
    parent: std::ops::Range<usize>,
) -> Yaml {
    let own = bytes(&raw.referenced, text).unwrap_or(parent);
    let written = || text.get(own.clone()).unwrap_or_default().trim().to_owned();
    let node = match raw.value {
        Raw::Null => Node::Null,
        Raw::Text(text) => Node::Scalar(text),
        Raw::Plain => Node::Scalar(written()),
        Raw::List(items) => Node::List(
            items
                .into_iter()
                .map(|item| spanned(file, text, item, own.clone()))
                .collect(),
        ),
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = bytes(&key.referenced, text).unwrap_or(own.clone());
                    let key = match key.value {
                        Raw::Text(word) => word,
                        Raw::Plain | Raw::Null | Raw::List(_) | Raw::Map(_) => {
                            text.get(at.clone()).unwrap_or_default().trim().to_owned()
                        }
                    };
                    let key = Spanned::new(key, Span::new(file, at.start, at.end));
                    (key, spanned(file, text, value, at))
                })
                .collect(),
        ),
    };
    let mut span = Span::new(file, own.start, own.end);
    // The library gives a container only the place where it begins.
    let last = match &node {
        Node::List(items) => items.last().map(|item| item.span),
        Node::Map(entries) => entries.last().map(|(_, value)| value.span),
        Node::Null | Node::Scalar(_) => None,
    };
    if let Some(last) = last {
        span.end = span.end.max(last.end);
    }
    Spanned::new(node, span)
}

/// A node as the library gives it.
enum Raw {
    Null,
    Text(String),
    /// A number or a Boolean: its text stands in the file.
    Plain,
    List(Vec<serde_yaml::Spanned<Raw>>),
    Map(Vec<(serde_yaml::Spanned<Raw>, serde_yaml::Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn tree(text: &str) -> (Sources, Result<Yaml, Spanned<String>>) {
        let sources = Sources::new();
        let file = sources.add("p.yaml", text.as_bytes().to_vec()).unwrap();
        let read = read(file, text);
        (sources, read)
    }

    #[test]
    fn every_node_keeps_its_place() {
        let text = "a: {b: [x, 1.10, \"q r\"], c: true}\nd:\n  - e: ü\n    f: 7\n  - ~\n";
        let (sources, read) = tree(text);
        let mut seen = Vec::new();
        walk(&read.unwrap(), &mut |yaml| {
            if let Node::Scalar(text) = &yaml.value {
                seen.push((text.clone(), sources.text(yaml.span)));
            }
        });
        let want = [
            ("x", "x"),
            ("1.10", "1.10"),
            ("q r", "\"q r\""),
            ("true", "true"),
            ("ü", "ü"),
            ("7", "7"),
        ];
        assert_eq!(
            seen,
            want.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
        );
    }

    #[test]
    fn keys_have_spans_too() {
        let (sources, read) = tree("a:\n  long-key: 1\n");
        let Node::Map(top) = read.unwrap().value else {
            panic!("a map")
        };
        let Node::Map(inner) = &top[0].1.value else {
            panic!("a map")
        };
        assert_eq!(sources.text(inner[0].0.span), "long-key");
        assert_eq!(sources.position(inner[0].0.span).line, 2);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_a_place() {
        let (sources, read) = tree("a: 1\nb: [1, 2\nc: 3\n");
        let error = read.unwrap_err();
        assert!(sources.position(error.span).line >= 2, "{error:?}");
        assert!(!error.value.is_empty());
    }

    #[test]
    fn deep_nesting_ends_in_an_error_and_not_in_a_crash() {
        let (_, read) = tree(&"[".repeat(100_000));
        assert!(read.is_err());
        let (_, read) = tree(&"a: ".repeat(3));
        assert!(read.is_err());
    }

    fn walk(yaml: &Yaml, see: &mut impl FnMut(&Yaml)) {
        see(yaml);
        match &yaml.value {
            Node::Null | Node::Scalar(_) => {}
            Node::List(items) => items.iter().for_each(|item| walk(item, see)),
            Node::Map(entries) => entries.iter().for_each(|(_, value)| walk(value, see)),
        }
    }
}
