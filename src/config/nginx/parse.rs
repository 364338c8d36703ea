//! In: an nginx config. Out: its directives as a tree, included files in their places.
//!
//! Words as `ngx_conf_read_token` (`src/core/ngx_conf_file.c`) makes them: quotes count at the start of a word, a backslash
//! before a quote or a backslash is dropped, before `t`, `r` and `n` it makes that character, and elsewhere it stays.

use std::ops::Range;

use crate::config::csp::{Quoting, Text};
use crate::config::{Files, Opened};
use crate::source::{FileId, Span};

/// A directive, with its block where it has one.
pub(super) struct Directive {
    pub(super) words: Vec<Text>,
    pub(super) block: Option<Vec<Directive>>,
    /// An `include` that could not be followed.
    pub(super) is_missing: bool,
}

impl Directive {
    /// A word, as text.
    pub(super) fn word(&self, at: usize) -> String {
        self.words.get(at).map_or_else(String::new, |word| {
            String::from_utf8_lossy(word.bytes()).into_owned()
        })
    }

    /// From the first word to the last.
    pub(super) fn span(&self) -> Option<Span> {
        let (first, last) = (self.words.first()?.whole(), self.words.last()?.whole());
        Some(Span {
            end: last.end,
            ..first
        })
    }
}

/// Blocks deeper than this, and files included deeper, are not read.
const DEEPEST: usize = 32;
/// So many files are included at most.
const MOST_FILES: usize = 1_000;

/// The directives of a file; the files that it includes are added to `companions`.
pub(super) fn parse(
    file: FileId,
    bytes: &[u8],
    files: &dyn Files,
    companions: &mut Vec<FileId>,
) -> Vec<Directive> {
    let mut words = Words { file, bytes, at: 0 };
    let mut including = Including {
        companions,
        open: vec![file],
    };
    directives(&mut words, files, &mut including, 0)
}

/// The files that have been included, and those that are being read: a circle of them has no end.
struct Including<'c> {
    companions: &'c mut Vec<FileId>,
    open: Vec<FileId>,
}

fn directives(
    words: &mut Words<'_>,
    files: &dyn Files,
    including: &mut Including<'_>,
    depth: usize,
) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut line: Vec<Text> = Vec::new();
    loop {
        match words.next() {
            Token::Word(word) => line.push(word),
            Token::Semicolon => {
                let directive = Directive {
                    words: std::mem::take(&mut line),
                    block: None,
                    is_missing: false,
                };
                if directive.word(0) == "include" {
                    found.extend(included(directive, words.file, files, including, depth));
                } else if !directive.words.is_empty() {
                    found.push(directive);
                }
            }
            Token::Open => {
                let mut directive = Directive {
                    words: std::mem::take(&mut line),
                    block: None,
                    is_missing: false,
                };
                if depth >= DEEPEST || directive.word(0).ends_with("_by_lua_block") {
                    words.skip_block();
                } else {
                    directive.block = Some(directives(words, files, including, depth + 1));
                }
                if !directive.words.is_empty() {
                    found.push(directive);
                }
            }
            Token::Close if depth > 0 => return found,
            Token::Close => {}
            Token::End => return found,
        }
    }
}

/// The directives of the files that an `include` names, or the `include` itself where they cannot be read.
fn included(
    mut directive: Directive,
    from: FileId,
    files: &dyn Files,
    including: &mut Including<'_>,
    depth: usize,
) -> Vec<Directive> {
    let name = directive.word(1);
    let is_glob = name.contains(['*', '?', '[']);
    let opened: Vec<Opened> = if is_glob {
        let opened = files.glob(from, &name);
        opened.into_iter().map(|(_, opened)| opened).collect()
    } else {
        vec![files.open(from, &name)]
    };
    let mut found = Vec::new();
    let mut is_missing = opened.is_empty();
    for one in opened {
        match one {
            Opened::Found { file, bytes }
                if depth < DEEPEST
                    && including.companions.len() < MOST_FILES
                    && !including.open.contains(&file) =>
            {
                including.companions.push(file);
                including.open.push(file);
                let mut words = Words {
                    file,
                    bytes: &bytes,
                    at: 0,
                };
                // A file's own blocks end with it: a brace too many does not close the block around the include.
                while words.at < words.bytes.len() {
                    found.extend(directives(&mut words, files, including, depth + 1));
                }
                including.open.pop();
            }
            Opened::Found { .. } | Opened::Missing | Opened::Refused(_) => is_missing = true,
        }
    }
    let holds_no_headers = HEADERLESS.iter().any(|ending| name.ends_with(ending));
    if is_missing && !holds_no_headers {
        directive.is_missing = true;
        found.push(directive);
    }
    found
}

/// Files of nginx's own distribution that set no header of a response.
const HEADERLESS: [&str; 7] = [
    "mime.types",
    "fastcgi_params",
    "fastcgi.conf",
    "fastcgi-php.conf",
    "scgi_params",
    "uwsgi_params",
    "proxy_params",
];

enum Token {
    Word(Text),
    Semicolon,
    Open,
    Close,
    End,
}

struct Words<'a> {
    file: FileId,
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Token {
        loop {
            match self.peek() {
                None => return Token::End,
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                Some(b'#') => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                Some(b';') => {
                    self.at += 1;
                    return Token::Semicolon;
                }
                Some(b'{') => {
                    self.at += 1;
                    return Token::Open;
                }
                Some(b'}') => {
                    self.at += 1;
                    return Token::Close;
                }
                Some(quote @ (b'"' | b'\'')) => {
                    self.at += 1;
                    let quoting = if quote == b'"' {
                        Quoting::Escaped
                    } else {
                        Quoting::Backslashed
                    };
                    let word = self.word(quoting, |byte, _| byte == quote);
                    self.at += 1;
                    return Token::Word(word);
                }
                Some(_) => {
                    let word = self.word(Quoting::Unquoted, |byte, before| {
                        byte.is_ascii_whitespace()
                            || byte == b';'
                            || (byte == b'{' && before != Some(b'$'))
                    });
                    return Token::Word(word);
                }
            }
        }
    }

    /// Up to a byte that ends it, which is not read.
    fn word(&mut self, quoting: Quoting, ends: impl Fn(u8, Option<u8>) -> bool) -> Text {
        let mut text = Text::new(self.file, quoting);
        let mut start = self.at;
        let mut before = None;
        while let Some(byte) = self.peek() {
            if ends(byte, before) {
                break;
            }
            let next = self.bytes.get(self.at + 1).copied();
            if byte != b'\\' || next.is_none() {
                self.at += 1;
                before = Some(byte);
                continue;
            }
            let decoded: Option<&[u8]> = match next {
                Some(b'"') => Some(b"\""),
                Some(b'\'') => Some(b"'"),
                Some(b'\\') => Some(b"\\"),
                Some(b't') => Some(b"\t"),
                Some(b'r') => Some(b"\r"),
                Some(b'n') => Some(b"\n"),
                Some(_) | None => None,
            };
            if let Some(decoded) = decoded {
                push(&mut text, self.bytes, start..self.at);
                text.push(decoded, self.at..self.at + 2);
                start = self.at + 2;
            }
            self.at += 2;
            before = None;
        }
        self.at = self.at.min(self.bytes.len());
        push(&mut text, self.bytes, start..self.at);
        text
    }

    /// Up to the brace that closes what was opened.
    fn skip_block(&mut self) {
        let mut open = 1usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'{' => open += 1,
                b'}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return;
            }
        }
    }
}

fn push(text: &mut Text, bytes: &[u8], range: Range<usize>) {
    text.push(bytes.get(range.clone()).unwrap_or_default(), range);
}
