//! In: a string literal of a config or program. Out: the policy text in it, every byte with its place.
//!
//! Whitespace of any kind separates the words of a policy, so what a format folds into a blank may stay a line break.

use std::ops::Range;

use super::text::{Quoting, Text};
use crate::source::FileId;

/// The text of a literal that uses backslashes, between its quotes.
pub(in crate::config) fn escaped(
    file: FileId,
    bytes: &[u8],
    inside: &Range<usize>,
    quoting: Quoting,
) -> Text {
    let mut text = Text::new(file, quoting);
    let mut at = inside.start;
    while at < inside.end {
        let rest = bytes.get(at..inside.end).unwrap_or_default();
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        if plain > 0 {
            text.push(rest.get(..plain).unwrap_or_default(), at..at + plain);
            at += plain;
            continue;
        }
        let (decoded, length) = escape(rest);
        text.push(decoded.as_bytes(), at..at + length);
        at += length;
    }
    text
}

/// The text of a literal in which a single quote is written twice.
pub(in crate::config) fn doubled(file: FileId, bytes: &[u8], inside: &Range<usize>) -> Text {
    let mut text = Text::new(file, Quoting::Doubled);
    let mut at = inside.start;
    while at < inside.end {
        let rest = bytes.get(at..inside.end).unwrap_or_default();
        let quote = memchr::memmem::find(rest, b"''").unwrap_or(rest.len());
        text.push(rest.get(..quote).unwrap_or_default(), at..at + quote);
        at += quote;
        if at < inside.end {
            text.push(b"'", at..at + 2);
            at += 2;
        }
    }
    text
}

/// What a text that begins with a backslash stands for, and its length.
fn escape(rest: &[u8]) -> (String, usize) {
    let Some(kind) = rest.get(1) else {
        return ("\\".to_owned(), 1);
    };
    let simple = match kind {
        b'n' => "\n",
        b't' => "\t",
        b'r' => "\r",
        b'\n' => "",
        b'u' => {
            let digits = rest.get(2..6).and_then(|hex| std::str::from_utf8(hex).ok());
            let code = digits.and_then(|hex| u32::from_str_radix(hex, 16).ok());
            return match code {
                Some(code) => {
                    let decoded = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    (decoded.to_string(), 6)
                }
                None => ("\\u".to_owned(), 2),
            };
        }
        other if other.is_ascii() => return (char::from(*other).to_string(), 2),
        _ => return ("\\".to_owned(), 1),
    };
    (simple.to_owned(), 2)
}
