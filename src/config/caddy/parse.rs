//! In: a Caddyfile. Out: its lines as a tree of words and blocks, and where Caddy refuses it.
//!
//! Words as Caddy's lexer makes them (`caddyconfig/caddyfile/lexer.go`): in double quotes a backslash escapes only the
//! quote, in backticks nothing is escaped, both may go over lines; a brace alone at the end of a line opens a block.

use crate::config::csp::{Quoting, Text};
use crate::source::{FileId, Span, Spanned};

/// A word.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// What it says; placeholders are holes.
    pub(super) text: Text,
    /// With its quotes.
    pub(super) span: Span,
    is_bare: bool,
    /// It is the first one of its line.
    starts: bool,
}

/// A line, with its block where it opens one.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    pub(super) block: Option<Vec<Line>>,
}

impl Word {
    /// As text.
    pub(super) fn lossy(&self) -> String {
        String::from_utf8_lossy(self.text.bytes()).into_owned()
    }

    fn is(&self, brace: &[u8]) -> bool {
        self.is_bare && self.text.bytes() == brace
    }
}

impl Line {
    /// A word, as text.
    pub(super) fn word(&self, at: usize) -> String {
        self.words.get(at).map_or_else(String::new, Word::lossy)
    }

    /// From the first word to the last; lines without words are not kept, but for blocks without a name.
    pub(super) fn span(&self) -> Option<Span> {
        Some(self.words.first()?.span.to(self.words.last()?.span))
    }
}

/// Blocks deeper than this are flattened.
const DEEPEST: usize = 32;

/// The lines of a file, and where it is broken.
pub(super) fn parse(file: FileId, bytes: &[u8]) -> (Vec<Line>, Vec<Spanned<String>>) {
    let mut broken = Vec::new();
    let mut lexer = Lexer { file, bytes, at: 0 };
    let mut words = Vec::new();
    while let Some(word) = lexer.next(&mut broken) {
        words.push(word);
    }
    let mut open: Vec<(Line, Span)> = Vec::new();
    let mut top: Vec<Line> = Vec::new();
    let mut line: Vec<Word> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let ends = words.peek().is_none_or(|next| next.starts);
        if word.is(b"{") && ends && open.len() < DEEPEST {
            let opened = Line {
                words: std::mem::take(&mut line),
                block: Some(Vec::new()),
            };
            open.push((opened, word.span));
            continue;
        }
        if word.is(b"}") && line.is_empty() {
            match open.pop() {
                Some((closed, _)) => place(closed, &mut open, &mut top),
                None => broken.push(Spanned::new("`}` closes nothing".to_owned(), word.span)),
            }
            continue;
        }
        line.push(word);
        if ends {
            let line = Line {
                words: std::mem::take(&mut line),
                block: None,
            };
            place(line, &mut open, &mut top);
        }
    }
    while let Some((line, span)) = open.pop() {
        broken.push(Spanned::new("this block is not closed".to_owned(), span));
        place(line, &mut open, &mut top);
    }
    (top, broken)
}

fn place(line: Line, open: &mut [(Line, Span)], top: &mut Vec<Line>) {
    match open.last_mut().and_then(|(line, _)| line.block.as_mut()) {
        Some(block) => block.push(line),
        None => top.push(line),
    }
}

struct Lexer<'a> {
    file: FileId,
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self, broken: &mut Vec<Spanned<String>>) -> Option<Word> {
        let mut starts = self.at == 0;
        loop {
            match self.peek()? {
                b'\n' => {
                    starts = true;
                    self.at += 1;
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                b'#' => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                // A line break after a backslash is none.
                b'\\' if self.bytes.get(self.at + 1) == Some(&b'\n') => self.at += 2,
                b'\\' if self.bytes.get(self.at + 1..self.at + 3) == Some(b"\r\n") => self.at += 3,
                _ => break,
            }
        }
        let start = self.at;
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'`'));
        let heredoc = self
            .bytes
            .get(start..)
            .unwrap_or_default()
            .starts_with(b"<<");
        let text = match quote {
            Some(quote) => {
                self.at += 1;
                let text = self.text(Quoting::Escaped, |byte| byte == quote, quote == b'"');
                if self.peek().is_none() {
                    let span = Span::new(self.file, start, start + 1);
                    broken.push(Spanned::new("this quote is not closed".to_owned(), span));
                }
                self.at = (self.at + 1).min(self.bytes.len());
                text
            }
            None if heredoc => self.heredoc(),
            None => self.text(Quoting::Unquoted, |byte| byte.is_ascii_whitespace(), false),
        };
        Some(Word {
            text,
            span: Span::new(self.file, start, self.at),
            is_bare: quote.is_none(),
            starts,
        })
    }

    /// Up to a byte that ends it, which is not read.
    fn text(&mut self, quoting: Quoting, ends: impl Fn(u8) -> bool, escapes: bool) -> Text {
        let mut text = Text::new(self.file, quoting).sent(true);
        while let Some(byte) = self.peek() {
            if ends(byte) {
                break;
            }
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            if escapes && rest.starts_with(b"\\\"") {
                text.push(b"\"", self.at..self.at + 2);
                self.at += 2;
            } else if let Some(length) = placeholder(rest) {
                text.push_hole(
                    rest.get(..length).unwrap_or_default(),
                    self.at..self.at + length,
                );
                self.at += length;
            } else {
                text.push_byte(byte, self.at..self.at + 1);
                self.at += 1;
            }
        }
        text
    }

    /// `<<NAME`, then lines up to one that is the name.
    fn heredoc(&mut self) -> Text {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let name = rest.get(2..end).unwrap_or_default().trim_ascii();
        let mut from = end;
        let close = loop {
            let Some(line) = rest.get(from + 1..).filter(|line| !line.is_empty()) else {
                break None;
            };
            let length = memchr::memchr(b'\n', line).unwrap_or(line.len());
            let is_end = line.get(..length).unwrap_or_default().trim_ascii() == name;
            if is_end && !name.is_empty() {
                break Some((from, from + 1 + length));
            }
            from += 1 + length;
        };
        let Some((last, after)) = close else {
            return self.text(Quoting::Unquoted, |byte| byte.is_ascii_whitespace(), false);
        };
        let (stop, after) = (self.at + last, self.at + after);
        self.at += end;
        let mut text = Text::new(self.file, Quoting::Bare).sent(true);
        while self.at < stop {
            let rest = self.bytes.get(self.at..stop).unwrap_or_default();
            let length = placeholder(rest).unwrap_or(1);
            let written = rest.get(..length).unwrap_or_default();
            if length > 1 {
                text.push_hole(written, self.at..self.at + length);
            } else {
                text.push(written, self.at..self.at + 1);
            }
            self.at += length;
        }
        self.at = after;
        text
    }
}

/// The length of a placeholder that a text begins with: `{path}`, `{$HOST}`, `{args[0]}`.
fn placeholder(rest: &[u8]) -> Option<usize> {
    let inside = rest.strip_prefix(b"{")?;
    let length = inside.iter().take(200).position(|byte| *byte == b'}')?;
    let is_name = |byte: &u8| !byte.is_ascii_whitespace() && !matches!(byte, b'{' | b'"' | b'`');
    let name = inside.get(..length)?;
    (length > 0 && name.iter().all(is_name)).then_some(length + 2)
}
