//! In: the bytes of one unbound.conf, and the files that it includes. Out: its tokens in the order in which unbound reads
//! them, whatever file they stand in.
//!
//! The grammar has tokens, not lines (unbound `util/configlexer.lex`): after a keyword as many values follow as it takes,
//! wherever they stand; `#` starts a comment only where a token could start; `"` and `'` quote within a line; an include
//! is textual and leaves the open clause open, `include-toplevel` closes it.

use std::sync::Arc;

use super::keywords::{keyword, opens};
use crate::config::{Files, Input, Opened};
use crate::source::{FileId, Span, Spanned};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word that ends with a colon, without the colon.
    Keyword(Spanned<String>),
    /// A value, without its quotes; the span is without them, too.
    Value(Spanned<String>),
    /// The open clause is closed.
    TopLevel,
    /// A file that is not there: what it says is unknown.
    Missing(Spanned<String>),
    /// Text that unbound refuses.
    Wrong(Spanned<Wrong>),
}

/// Why unbound refuses a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A word without colon where a keyword must stand.
    NotAKeyword,
    /// A character that starts no token.
    Stray,
    /// A quoted string that its line does not end.
    OpenQuote,
    /// `include:` without a name.
    EmptyInclude,
    /// Includes within includes without end.
    TooManyIncludes,
    /// The last keyword lacks values.
    EndsEarly,
}

/// What came of reading.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// In order.
    pub(super) tokens: Vec<Token>,
    /// Files that were included.
    pub(super) companions: Vec<FileId>,
}

/// unbound allows 100000; a loop of files needs far less to be known as one.
const MAX_INCLUDES: usize = 10_000;
/// Files within files.
const MAX_DEPTH: usize = 64;

/// Reads a file and all that it includes.
pub(super) fn tokens(input: &Input<'_>, files: &dyn Files) -> Tokens {
    let mut lexer = Lexer {
        files,
        out: Tokens::default(),
        expected: 0,
        included: 0,
        last: Span::new(input.file, 0, 0),
    };
    let mut stack = vec![Place {
        file: input.file,
        bytes: Arc::from(input.bytes),
        at: 0,
        depth: 0,
        toplevel: false,
    }];
    while let Some(place) = stack.last_mut() {
        match lexer.step(place) {
            Next::More => {}
            Next::End => {
                let toplevel = place.toplevel;
                stack.pop();
                if toplevel {
                    lexer.out.tokens.push(Token::TopLevel);
                }
            }
            Next::Include(found) => {
                // The last pushed is read first.
                stack.extend(found.into_iter().rev());
            }
        }
    }
    if lexer.expected > 0 {
        let span = lexer.last;
        lexer.wrong(Wrong::EndsEarly, span);
    }
    lexer.out
}

/// A file that is being read.
#[derive(Debug)]
struct Place {
    file: FileId,
    bytes: Arc<[u8]>,
    at: usize,
    /// How many files lie around it.
    depth: usize,
    /// The clause closes at its end.
    toplevel: bool,
}

impl Place {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn text(&self, start: usize, end: usize) -> String {
        String::from_utf8_lossy(self.bytes.get(start..end).unwrap_or_default()).into_owned()
    }

    /// The end of a bare word: a blank, line end or quote ends it, a backslash takes the next character along.
    fn word_end(&self, colon_ends: bool) -> usize {
        let mut at = self.at;
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'\'' | b'"' | b'\n' | b'\r' | b' ' | b'\t' => break,
                b':' if colon_ends => break,
                b'\\' => match self.bytes.get(at + 1) {
                    None | Some(b'\n') => break,
                    Some(_) => at += 2,
                },
                _ => at += 1,
            }
        }
        at
    }
}

enum Next {
    More,
    End,
    Include(Vec<Place>),
}

struct Lexer<'f> {
    files: &'f dyn Files,
    out: Tokens,
    /// How many values the last keyword still takes.
    expected: u8,
    included: usize,
    last: Span,
}

impl Lexer<'_> {
    fn step(&mut self, place: &mut Place) -> Next {
        let Some(byte) = place.peek() else {
            return Next::End;
        };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => place.at += 1,
            b'#' => {
                let rest = place.bytes.get(place.at..).unwrap_or_default();
                place.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            }
            _ => {
                if let Some((name, toplevel)) = include_keyword(place) {
                    place.at += name.len();
                    return self.include(place, toplevel);
                }
                if self.expected > 0 {
                    self.value(place);
                } else {
                    self.keyword(place);
                }
            }
        }
        Next::More
    }

    fn keyword(&mut self, place: &mut Place) {
        let start = place.at;
        let end = place.word_end(true);
        let span = place.span(start, end);
        place.at = end.max(start + 1);
        self.last = span;
        if end == start {
            let span = place.span(start, start + 1);
            self.wrong(Wrong::Stray, span);
            return;
        }
        if place.peek() != Some(b':') || place.at != end {
            self.wrong(Wrong::NotAKeyword, span);
            return;
        }
        place.at += 1;
        let name = place.text(start, end);
        if opens(&name).is_none() {
            // Of a word that it does not know, unbound says so and goes on with the next; one value is the likely shape.
            self.expected = keyword(&name, None).map_or(1, |known| known.arguments);
        }
        self.out
            .tokens
            .push(Token::Keyword(Spanned::new(name, span)));
    }

    fn value(&mut self, place: &mut Place) {
        let start = place.at;
        let quote = place.peek().filter(|byte| matches!(byte, b'"' | b'\''));
        let range = match quote {
            Some(quote) => quoted(place, quote).ok_or(Wrong::OpenQuote),
            None => bare(place).ok_or(Wrong::Stray),
        };
        let (from, to) = match range {
            Ok(range) => range,
            Err(wrong) => {
                if wrong == Wrong::OpenQuote {
                    self.expected = 0;
                }
                let span = place.span(start, place.at);
                self.wrong(wrong, span);
                return;
            }
        };
        self.expected -= 1;
        self.last = place.span(from, to);
        let value = Spanned::new(place.text(from, to), self.last);
        self.out.tokens.push(Token::Value(value));
    }

    fn include(&mut self, place: &mut Place, toplevel: bool) -> Next {
        while matches!(place.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            place.at += 1;
        }
        let start = place.at;
        let range = if place.peek() == Some(b'"') {
            quoted(place, b'"')
        } else {
            place.at = place.word_end(false);
            Some((start, place.at))
        };
        let Some((from, to)) = range else {
            let span = place.span(start, place.at);
            self.wrong(Wrong::OpenQuote, span);
            return Next::More;
        };
        let span = place.span(from, to);
        self.last = span;
        if from == to {
            self.wrong(Wrong::EmptyInclude, span);
            return Next::More;
        }
        if toplevel {
            self.out.tokens.push(Token::TopLevel);
        }
        self.included += 1;
        if self.included > MAX_INCLUDES || place.depth >= MAX_DEPTH {
            self.wrong(Wrong::TooManyIncludes, span);
            return Next::End;
        }
        Next::Include(self.open(place, &place.text(from, to), span, toplevel))
    }

    fn open(&mut self, place: &Place, name: &str, span: Span, toplevel: bool) -> Vec<Place> {
        let from = place.file;
        let is_glob = name.contains(['*', '?', '[', '{', '~']);
        let opened = if is_glob {
            self.files.glob(from, name)
        } else {
            vec![(name.to_owned(), self.files.open(from, name))]
        };
        // A glob without match is no error to unbound; here it may be a folder that was not given.
        if opened.is_empty() {
            self.missing(name, span);
        }
        let mut places = Vec::new();
        for (name, opened) in opened {
            match opened {
                Opened::Found { file, bytes } => {
                    self.out.companions.push(file);
                    places.push(Place {
                        file,
                        bytes,
                        at: 0,
                        depth: place.depth + 1,
                        toplevel,
                    });
                }
                Opened::Missing | Opened::Refused(_) => self.missing(&name, span),
            }
        }
        places
    }

    fn missing(&mut self, name: &str, span: Span) {
        let missing = Token::Missing(Spanned::new(name.to_owned(), span));
        self.out.tokens.push(missing);
    }

    fn wrong(&mut self, wrong: Wrong, span: Span) {
        self.out
            .tokens
            .push(Token::Wrong(Spanned::new(wrong, span)));
    }
}

/// The include keyword that stands here, and whether it closes the clause.
fn include_keyword(place: &Place) -> Option<(&'static str, bool)> {
    let rest = place.bytes.get(place.at..)?;
    [("include:", false), ("include-toplevel:", true)]
        .into_iter()
        .find(|(name, _)| rest.starts_with(name.as_bytes()))
}

/// The range of a bare word; over a character that starts none where there is none.
fn bare(place: &mut Place) -> Option<(usize, usize)> {
    let (start, end) = (place.at, place.word_end(false));
    place.at = end.max(start + 1);
    (end > start).then_some((start, end))
}

/// The range between quotes; goes behind the closing one, or to the end of the line where there is none.
fn quoted(place: &mut Place, quote: u8) -> Option<(usize, usize)> {
    place.at += 1;
    let start = place.at;
    while let Some(byte) = place.peek() {
        match byte {
            b'\n' | b'\r' => return None,
            b'\\' => {
                place.at += 1;
                if place.peek().is_some_and(|next| next != b'\n') {
                    place.at += 1;
                }
            }
            _ if byte == quote => {
                place.at += 1;
                return Some((start, place.at - 1));
            }
            _ => place.at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NoFiles;
    use crate::source::Sources;

    fn words(text: &str) -> Vec<String> {
        let file = Sources::new().add("u", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "u",
            bytes: text.as_bytes(),
        };
        tokens(&input, &NoFiles)
            .tokens
            .into_iter()
            .map(|token| match token {
                Token::Keyword(name) => format!("{}:", name.value),
                Token::Value(value) => value.value,
                Token::TopLevel => "^".to_owned(),
                Token::Missing(name) => format!("?{}", name.value),
                Token::Wrong(wrong) => format!("!{:?}", wrong.value),
            })
            .collect()
    }

    #[test]
    fn tokens_do_not_care_for_lines() {
        assert_eq!(
            words("server: edns-buffer-size:\n 512 max-udp-size: 600 # x\n#y\nport:53"),
            [
                "server:",
                "edns-buffer-size:",
                "512",
                "max-udp-size:",
                "600",
                "port:",
                "53"
            ]
        );
    }

    #[test]
    fn a_hash_inside_a_word_is_no_comment_and_quotes_end_words() {
        assert_eq!(
            words(
                "forward-zone:\nforward-addr: 1.1.1.1@853#cloudflare-dns.com #c\nname: \"a b\"\n"
            ),
            [
                "forward-zone:",
                "forward-addr:",
                "1.1.1.1@853#cloudflare-dns.com",
                "name:",
                "a b"
            ]
        );
        assert_eq!(
            words("server: local-zone: 'a.b' \"static\""),
            ["server:", "local-zone:", "a.b", "static"]
        );
    }

    #[test]
    fn a_value_that_is_missing_takes_the_next_word() {
        assert_eq!(
            words("forward-zone:\n forward-addr:\n forward-addr: 1.1.1.1\n"),
            [
                "forward-zone:",
                "forward-addr:",
                "forward-addr:",
                "!NotAKeyword"
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(words("server :"), ["!NotAKeyword", "!Stray"]);
        assert_eq!(
            words("server: identity: \"x\nport: 1"),
            ["server:", "identity:", "!OpenQuote", "port:", "1"]
        );
        assert_eq!(words("server: port:"), ["server:", "port:", "!EndsEarly"]);
        assert_eq!(words("include:"), ["!EmptyInclude"]);
        assert_eq!(
            words("include-toplevel: \"/etc/x/*.conf\" include: y"),
            ["^", "?/etc/x/*.conf", "?y"]
        );
    }
}
