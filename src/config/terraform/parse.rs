//! In: a file in Terraform's language. Out: its words, texts and marks, without comments, and where a text is not closed.
//!
//! Texts as "Strings and Templates" (`developer.hashicorp.com/terraform/language/expressions/strings`) says: `${..}` and
//! `%{..}` are filled in, `$${` and `%%{` are not; nothing else is special in a heredoc.

use crate::config::csp::{Quoting, Text};
use crate::source::{FileId, Span, Spanned};

/// A piece of the text, with its place.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) what: What,
    pub(super) span: Span,
}

/// What a piece is.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A name with its dots, a number or a keyword.
    Word(String),
    /// A text in quotes, or a heredoc.
    Text { text: Text, is_heredoc: bool },
    /// A line ends.
    Break,
    /// Any other byte.
    Mark(u8),
}

/// The tokens of a file, and where it is broken.
pub(super) fn tokens(file: FileId, bytes: &[u8]) -> (Vec<Token>, Vec<Spanned<String>>) {
    let mut lexer = Lexer {
        file,
        bytes,
        at: 0,
        broken: Vec::new(),
    };
    let mut found = Vec::new();
    while let Some(token) = lexer.next() {
        found.push(token);
    }
    (found, lexer.broken)
}

struct Lexer<'a> {
    file: FileId,
    bytes: &'a [u8],
    at: usize,
    broken: Vec<Spanned<String>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let rest = self.rest();
            let start = self.at;
            let what = match *rest.first()? {
                b'\n' => {
                    self.at += 1;
                    What::Break
                }
                byte if byte.is_ascii_whitespace() => {
                    self.at += 1;
                    continue;
                }
                b'#' => {
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    continue;
                }
                b'/' if rest.starts_with(b"//") => {
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    continue;
                }
                b'/' if rest.starts_with(b"/*") => {
                    let close = memchr::memmem::find(rest, b"*/");
                    self.at += close.map_or(rest.len(), |close| close + 2);
                    continue;
                }
                b'"' => What::Text {
                    text: self.quoted(),
                    is_heredoc: false,
                },
                b'<' if rest.starts_with(b"<<") => {
                    if let Some(text) = self.heredoc() {
                        What::Text {
                            text,
                            is_heredoc: true,
                        }
                    } else {
                        self.at += 1;
                        What::Mark(b'<')
                    }
                }
                byte if is_word(byte) => {
                    let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                    self.at += length;
                    let word = rest.get(..length).unwrap_or_default();
                    What::Word(String::from_utf8_lossy(word).into_owned())
                }
                byte => {
                    self.at += 1;
                    What::Mark(byte)
                }
            };
            let span = Span::new(self.file, start, self.at);
            return Some(Token { what, span });
        }
    }

    fn quoted(&mut self) -> Text {
        let open = self.at;
        self.at += 1;
        let mut text = Text::new(self.file, Quoting::Escaped).sent(true);
        loop {
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return text;
                }
                [] | [b'\n', ..] => {
                    let span = Span::new(self.file, open, open + 1);
                    let words = "this text is not closed".to_owned();
                    self.broken.push(Spanned::new(words, span));
                    return text;
                }
                [b'\\', next, ..] if *next != b'\n' => {
                    let decoded = match next {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        other => *other,
                    };
                    text.push(&[decoded], self.at..self.at + 2);
                    self.at += 2;
                }
                _ => self.byte(&mut text),
            }
        }
    }

    /// `<<NAME` or `<<-NAME`, then lines up to one that is the name.
    fn heredoc(&mut self) -> Option<Text> {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest)?;
        let name = rest.get(2..end)?;
        let name = name.strip_prefix(b"-").unwrap_or(name).trim_ascii();
        if name.is_empty() || !name.iter().all(|byte| is_word(*byte)) {
            return None;
        }
        let mut line = end + 1;
        let close = loop {
            let Some(tail) = rest.get(line..).filter(|tail| !tail.is_empty()) else {
                let span = Span::new(self.file, self.at, self.at + end);
                let words = "this text is not closed".to_owned();
                self.broken.push(Spanned::new(words, span));
                break rest.len();
            };
            let length = memchr::memchr(b'\n', tail).unwrap_or(tail.len());
            if tail.get(..length).unwrap_or_default().trim_ascii() == name {
                break line;
            }
            line += length + 1;
        };
        let stop = self.at + close;
        self.at += end + 1;
        let mut text = Text::new(self.file, Quoting::Bare).sent(true);
        while self.at < stop {
            self.byte(&mut text);
        }
        let rest = self.rest();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        Some(text)
    }

    /// A byte, or what is filled in.
    fn byte(&mut self, text: &mut Text) {
        let rest = self.rest();
        let place = self.at..self.at + 1;
        match rest {
            [b'$', b'$', b'{', ..] | [b'%', b'%', b'{', ..] => {
                text.push(rest.get(1..3).unwrap_or_default(), self.at..self.at + 3);
                self.at += 3;
            }
            [b'$' | b'%', b'{', ..] => {
                let length = filled(rest);
                text.push_hole(
                    rest.get(..length).unwrap_or_default(),
                    self.at..self.at + length,
                );
                self.at += length;
            }
            [byte, ..] => {
                text.push_byte(*byte, place);
                self.at += 1;
            }
            [] => {}
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii()
}

/// The length of `${..}`, with the braces and texts in it.
fn filled(rest: &[u8]) -> usize {
    let (mut depth, mut in_text, mut at) = (0usize, false, 1);
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => depth -= 1,
            b'\n' => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}
