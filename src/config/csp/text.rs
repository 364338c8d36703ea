//! In: pieces of a file, as a carrier holds them. Out: a policy text whose every byte knows where the user wrote it.
//!
//! A header line is one piece; a folded header or an HTML attribute with character references is several.
//!
//! Invariant: pieces cover the text in order and without gaps.

use std::ops::Range;

use crate::source::{FileId, Span};

/// A policy text and where it was written.
#[derive(Debug, Clone)]
pub(in crate::config) struct Text {
    file: FileId,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    quoting: Quoting,
    is_final: bool,
    holes: Vec<Range<usize>>,
}

/// What stands around the text in the file, so that an edit can be written in the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Quoting {
    /// Nothing: a header value or a file of policy text.
    Bare,
    /// An HTML attribute in double quotes.
    DoubleQuoted,
    /// An HTML attribute in single quotes.
    SingleQuoted,
    /// An HTML attribute or a word without quotes; no further word can be added there.
    Unquoted,
    /// A string in double quotes or backticks with backslash escapes.
    Escaped,
    /// A string in single quotes with backslash escapes.
    Backslashed,
    /// A string in single quotes, in which a single quote is written twice.
    Doubled,
    /// A string in single quotes, in which no single quote can stand.
    Literal,
}

/// Bytes of the text that stand together in the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    len: usize,
    raw_start: usize,
    raw_len: usize,
}

impl Text {
    /// No text yet.
    pub(in crate::config) fn new(file: FileId, quoting: Quoting) -> Self {
        Self {
            file,
            bytes: Vec::new(),
            pieces: Vec::new(),
            quoting,
            is_final: false,
            holes: Vec::new(),
        }
    }

    /// No text yet, in the same quotes of the same file.
    pub(in crate::config) fn emptied(&self) -> Self {
        Self::new(self.file, self.quoting)
    }

    /// The same text in other quotes.
    #[must_use]
    pub(in crate::config) fn quoted(mut self, quoting: Quoting) -> Self {
        self.quoting = quoting;
        self
    }

    /// As it reached the browser: what looks like a template's placeholder is none.
    #[must_use]
    pub(in crate::config) fn sent(mut self, is_final: bool) -> Self {
        self.is_final = is_final;
        self
    }

    /// Whether it reached the browser like this.
    pub(in crate::config) fn is_final(&self) -> bool {
        self.is_final
    }

    /// Bytes that stand in the file as they are, from `raw_start`.
    #[must_use]
    pub(in crate::config) fn with(mut self, bytes: &[u8], raw_start: usize) -> Self {
        self.push(bytes, raw_start..raw_start + bytes.len());
        self
    }

    /// Appends bytes that are written as `raw` in the file.
    pub(in crate::config) fn push(&mut self, bytes: &[u8], raw: Range<usize>) {
        self.pieces.push(Piece {
            start: self.bytes.len(),
            len: bytes.len(),
            raw_start: raw.start,
            raw_len: raw.end.saturating_sub(raw.start),
        });
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one byte that is written as `raw` in the file; bytes that stand there as they are share a piece.
    pub(in crate::config) fn push_byte(&mut self, byte: u8, raw: Range<usize>) {
        match self.pieces.last_mut() {
            Some(last)
                if last.len == last.raw_len
                    && last.raw_start + last.raw_len == raw.start
                    && raw.len() == 1 =>
            {
                last.len += 1;
                last.raw_len += 1;
                self.bytes.push(byte);
            }
            Some(_) | None => self.push(&[byte], raw),
        }
    }

    /// Appends a place that another program fills, as it is written.
    pub(in crate::config) fn push_hole(&mut self, written: &[u8], raw: Range<usize>) {
        let start = self.bytes.len();
        self.push(written, raw);
        self.holes.push(start..self.bytes.len());
    }

    /// The places that another program fills, in order, as the carrier knows them.
    pub(in crate::config) fn holes(&self) -> &[Range<usize>] {
        &self.holes
    }

    /// The text as the browser sees it.
    pub(in crate::config) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A part of it, cut to its length.
    pub(in crate::config) fn slice(&self, range: &Range<usize>) -> &[u8] {
        let end = range.end.min(self.bytes.len());
        self.bytes
            .get(range.start.min(end)..end)
            .unwrap_or_default()
    }

    /// A part of it as a text of its own.
    pub(in crate::config) fn part(&self, range: Range<usize>) -> Self {
        let mut part = self.emptied().sent(self.is_final);
        let mut at = range.start;
        while at < range.end {
            let hole = self.holes.iter().find(|hole| hole.start == at);
            let end = hole.map_or(at + 1, |hole| hole.end).max(at + 1);
            let (written, raw) = (self.slice(&(at..end)), self.span(&(at..end)).range());
            match (hole, written) {
                (None, [byte]) => part.push_byte(*byte, raw),
                (Some(_) | None, _) => part.push_hole(written, raw),
            }
            at = end;
        }
        part
    }

    /// What stands around it.
    pub(in crate::config) fn quoting(&self) -> Quoting {
        self.quoting
    }

    /// Where a part of the text is written.
    pub(in crate::config) fn span(&self, range: &Range<usize>) -> Span {
        let start = self.raw_start(range.start);
        let end = if range.end > range.start {
            self.raw_end(range.end - 1)
        } else {
            start
        };
        Span::new(self.file, start, end.max(start))
    }

    /// All of it.
    pub(in crate::config) fn whole(&self) -> Span {
        self.span(&(0..self.bytes.len()))
    }

    fn piece(&self, at: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.start <= at);
        self.pieces.get(after.checked_sub(1)?)
    }

    fn raw_start(&self, at: usize) -> usize {
        self.piece(at).map_or(0, |piece| {
            let inside = at - piece.start;
            if piece.len == piece.raw_len {
                piece.raw_start + inside
            } else if inside >= piece.len {
                piece.raw_start + piece.raw_len
            } else {
                piece.raw_start
            }
        })
    }

    /// The place in the file after the byte `at`.
    fn raw_end(&self, at: usize) -> usize {
        self.piece(at).map_or(0, |piece| {
            if piece.len == piece.raw_len {
                piece.raw_start + (at - piece.start) + 1
            } else {
                piece.raw_start + piece.raw_len
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn spans_point_at_what_the_user_wrote() {
        let sources = Sources::new();
        let raw = b"img-src &#39;self&#39; x";
        let file = sources.add("a", raw.to_vec()).unwrap();
        let mut text = Text::new(file, Quoting::DoubleQuoted);
        text.push(b"img-src ", 0..8);
        text.push(b"'", 8..13);
        text.push(b"self", 13..17);
        text.push(b"'", 17..22);
        text.push(b" x", 22..24);
        assert_eq!(text.bytes(), b"img-src 'self' x");
        assert_eq!(sources.text(text.span(&(8..14))), "&#39;self&#39;");
        assert_eq!(sources.text(text.span(&(9..11))), "se");
        assert_eq!(sources.text(text.span(&(15..16))), "x");
        assert_eq!(text.span(&(16..16)).start, 24);
    }
}
