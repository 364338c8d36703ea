//! In: JavaScript. Out: its words, literals and marks, without comments.
//!
//! A slash begins a regular expression where a value may begin (ECMA-262, 12.9.5).

use std::ops::Range;

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, keyword or number.
    Word(Range<usize>),
    /// A string or template, between its quotes.
    Literal(Range<usize>, u8),
    /// A regular expression with its slashes.
    Regex(Range<usize>),
    /// Any other byte.
    Mark(u8),
}

/// The tokens of a text.
pub(super) fn tokens(bytes: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = bytes.get(at..).unwrap_or_default();
        let start = at;
        if rest.starts_with(b"//") {
            at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            let close = memchr::memmem::find(rest, b"*/");
            at += close.map_or(rest.len(), |close| close + 2);
        } else if matches!(byte, b'"' | b'\'' | b'`') {
            let end = closing(bytes, at + 1, byte);
            found.push(Token::Literal(start + 1..end, byte));
            at = end + 1;
        } else if byte == b'/' && value_may_begin(found.last()) {
            at = closing(bytes, at + 1, b'/') + 1;
            while bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
                at += 1;
            }
            found.push(Token::Regex(start..at.min(bytes.len())));
        } else if is_word(byte) {
            while bytes.get(at).is_some_and(|byte| is_word(*byte)) {
                at += 1;
            }
            found.push(Token::Word(start..at));
        } else {
            at += 1;
            if !byte.is_ascii_whitespace() {
                found.push(Token::Mark(byte));
            }
        }
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

fn value_may_begin(last: Option<&Token>) -> bool {
    match last {
        None => true,
        Some(Token::Mark(mark)) => !matches!(mark, b')' | b']' | b'}'),
        Some(Token::Word(_) | Token::Literal(..) | Token::Regex(_)) => false,
    }
}

/// Where the quote that closes a literal stands; strings and regular expressions end with their line at the latest.
fn closing(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    let mut in_class = false;
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'\\' => at += 1,
            b'\n' if quote != b'`' => return at,
            b'[' if quote == b'/' => in_class = true,
            b']' if quote == b'/' => in_class = false,
            byte if byte == quote && !in_class => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
