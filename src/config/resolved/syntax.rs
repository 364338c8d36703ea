//! In: the bytes of one file in systemd's INI dialect. Out: its statements with spans, section by section.
//!
//! A line whose first non-blank is `#` or `;` is a comment, also between joined lines; a backslash at the very end joins
//! the next line with a blank between; CR LF ends a line like LF; a byte order mark is skipped (`config_parse` in
//! conf-parser.c).
//!
//! Invariants: spans lie in the file; a word never crosses a line.

use crate::source::{FileId, Span, Spanned};

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// `[Resolve]`.
    Section(Spanned<String>),
    /// `[Resolve`: systemd stops reading the file here.
    BrokenSection(Span),
    /// `DNS=1.1.1.1 8.8.8.8`.
    Assignment(Assignment),
    /// No `=`, or nothing in front of it.
    NoAssignment(Span),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The text before the first `=`.
    pub(super) key: Spanned<String>,
    /// The words after it; none is an empty value, which resets lists.
    pub(super) words: Vec<Spanned<String>>,
    /// From the key to the last word.
    pub(super) span: Span,
}

/// Reads a file.
pub(super) fn statements(file: FileId, bytes: &[u8]) -> Vec<Statement> {
    let text = Text { file, bytes };
    let mut statements = Vec::new();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    let mut start = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, next) = ((start, start + length), start + length + 1);
        let (from, to) = text.trimmed(line);
        start = next;
        if matches!(bytes.get(from), Some(b'#' | b';')) && from < to {
            continue;
        }
        let whole = bytes.get(line.0..line.1).unwrap_or_default();
        let slashes = whole.iter().rev().take_while(|byte| **byte == b'\\');
        if slashes.count() % 2 == 1 {
            joined.push((from, to.max(from + 1) - 1));
            continue;
        }
        joined.push((from, to));
        statements.extend(text.statement(&joined));
        joined.clear();
    }
    statements.extend(text.statement(&joined));
    statements
}

#[derive(Clone, Copy)]
struct Text<'a> {
    file: FileId,
    bytes: &'a [u8],
}

impl Text<'_> {
    fn span(self, (from, to): (usize, usize)) -> Span {
        Span::new(self.file, from, to)
    }

    fn slice(self, (from, to): (usize, usize)) -> String {
        let bytes = self.bytes.get(from..to).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn trimmed(self, (from, to): (usize, usize)) -> (usize, usize) {
        let piece = self.bytes.get(from..to).unwrap_or_default();
        let left = piece.len() - piece.trim_ascii_start().len();
        let inner = piece.trim_ascii().len();
        (from + left, from + left + inner)
    }

    /// The statement in a line, or in several that are joined.
    fn statement(self, pieces: &[(usize, usize)]) -> Option<Statement> {
        let mut pieces = pieces.iter().copied().filter(|(from, to)| from < to);
        let first = pieces.next()?;
        let rest: Vec<(usize, usize)> = pieces.collect();
        let end = rest.last().map_or(first.1, |last| last.1);
        let span = self.span((first.0, end));
        let line = self.bytes.get(first.0..first.1).unwrap_or_default();
        if line.first() == Some(&b'[') {
            let closed = rest.is_empty() && line.len() > 1 && line.last() == Some(&b']');
            return Some(if closed {
                let name = self.slice((first.0 + 1, first.1 - 1));
                Statement::Section(Spanned::new(name, span))
            } else {
                Statement::BrokenSection(span)
            });
        }
        let Some(equals) = memchr::memchr(b'=', line) else {
            return Some(Statement::NoAssignment(span));
        };
        let key = self.trimmed((first.0, first.0 + equals));
        if key.0 == key.1 {
            return Some(Statement::NoAssignment(span));
        }
        let mut words = self.words((first.0 + equals + 1, first.1));
        for piece in rest {
            words.extend(self.words(piece));
        }
        Some(Statement::Assignment(Assignment {
            key: Spanned::new(self.slice(key), self.span(key)),
            words,
            span,
        }))
    }

    fn words(self, (from, to): (usize, usize)) -> Vec<Spanned<String>> {
        let piece = self.bytes.get(from..to).unwrap_or_default();
        let mut at = from;
        let mut words = Vec::new();
        for word in piece.split(u8::is_ascii_whitespace) {
            let range = (at, at + word.len());
            if !word.is_empty() {
                words.push(Spanned::new(self.slice(range), self.span(range)));
            }
            at = range.1 + 1;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> Vec<String> {
        let sources = Sources::new();
        let file = sources.add("r", text.as_bytes().to_vec()).unwrap();
        statements(file, text.as_bytes())
            .into_iter()
            .map(|statement| match statement {
                Statement::Section(name) => format!("[{}]", name.value),
                Statement::BrokenSection(_) => "broken".to_owned(),
                Statement::NoAssignment(span) => format!("none {}", sources.text(span)),
                Statement::Assignment(one) => {
                    let words: Vec<_> = one
                        .words
                        .iter()
                        .map(|word| {
                            assert_eq!(sources.text(word.span), word.value);
                            word.value.as_str()
                        })
                        .collect();
                    format!("{}={}", one.key.value, words.join(","))
                }
            })
            .collect()
    }

    #[test]
    fn lines_are_read_as_systemd_does() {
        assert_eq!(
            read("\u{feff}[Resolve]\r\n# c\n ; d\n DNS = 1.1.1.1  8.8.8.8 # x\nLLMNR\n=y\nDNS=\n"),
            [
                "[Resolve]",
                "DNS=1.1.1.1,8.8.8.8,#,x",
                "none LLMNR",
                "none =y",
                "DNS="
            ]
        );
        assert_eq!(read("DNS=\\\n; x\n 8.8.8.8\nA=b"), ["DNS=8.8.8.8", "A=b"]);
        assert_eq!(read("[Resolve\nDNS=a\\\\\n"), ["broken", "DNS=a\\\\"]);
        assert_eq!(read("DNS=a\\"), ["DNS=a"]);
    }

    #[test]
    fn broken_bytes_never_panic() {
        for bytes in [
            b"\xff[\xfe=\\".as_slice(),
            b"[",
            b"=",
            b"\\",
            b"\0\r\r",
            b"",
        ] {
            let file = Sources::new().add("r", bytes.to_vec()).unwrap();
            let _ = statements(file, bytes);
        }
    }
}
