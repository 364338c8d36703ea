//! In: a config of `HAProxy`. Out: its sections with their rules as words, and where `HAProxy` refuses it.
//!
//! Words as "Quoting and escaping" (`HAProxy` Configuration Manual, 2.2) says: quotes may begin and end anywhere in a word,
//! nothing is special between single ones, variables count between double ones only, a `#` outside of quotes begins a
//! comment.

use crate::config::csp::{Quoting, Text};
use crate::source::{FileId, Span, Spanned};

/// A section.
pub(super) struct Section {
    /// `frontend`, `backend`, `listen`, `defaults`.
    pub(super) kind: String,
    /// Its name; empty for a `defaults` without one.
    pub(super) name: String,
    /// `from`: the `defaults` that it takes.
    pub(super) from: Option<String>,
    /// Its lines.
    pub(super) rules: Vec<Rule>,
}

/// A line of a section.
pub(super) struct Rule {
    pub(super) words: Vec<Text>,
    pub(super) span: Span,
    /// It stands between `.if` and `.endif`.
    pub(super) is_conditional: bool,
}

impl Rule {
    /// A word, as text.
    pub(super) fn word(&self, at: usize) -> String {
        self.words.get(at).map_or_else(String::new, |word| {
            String::from_utf8_lossy(word.bytes()).into_owned()
        })
    }
}

/// Words that begin a section (`cfg_register_section`, `src/`).
const SECTIONS: [&str; 18] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "mailers",
    "resolvers",
    "userlist",
    "program",
    "http-errors",
    "ring",
    "cache",
    "fcgi-app",
    "log-forward",
    "crt-store",
    "traces",
    "acme",
];

/// The sections of a file, and where it is broken.
pub(super) fn parse(file: FileId, bytes: &[u8]) -> (Vec<Section>, Vec<Spanned<String>>) {
    let mut sections: Vec<Section> = Vec::new();
    let mut broken = Vec::new();
    let mut conditions = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = at + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let mut line = Line {
            file,
            bytes,
            at,
            end,
        };
        at = end + 1;
        let (words, quote) = line.words();
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            continue;
        };
        let span = first.1.to(last.1);
        if let Some(quote) = quote {
            broken.push(Spanned::new("this quote is not closed".to_owned(), quote));
        }
        let rule = Rule {
            words: words.into_iter().map(|(text, _)| text).collect(),
            span,
            is_conditional: conditions > 0,
        };
        let name = rule.word(0);
        match name.as_str() {
            ".if" => conditions += 1,
            ".endif" => conditions = conditions.saturating_sub(1),
            _ if SECTIONS.contains(&name.as_str()) => sections.push(Section {
                from: (2..rule.words.len())
                    .find(|at| rule.word(at - 1) == "from")
                    .map(|at| rule.word(at)),
                name: Some(rule.word(1))
                    .filter(|name| name != "from")
                    .unwrap_or_default(),
                kind: name,
                rules: Vec::new(),
            }),
            _ => {
                if let Some(section) = sections.last_mut() {
                    section.rules.push(rule);
                }
            }
        }
    }
    (sections, broken)
}

struct Line<'a> {
    file: FileId,
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl Line<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        let at = self.at + ahead;
        self.bytes.get(at).copied().filter(|_| at < self.end)
    }

    /// The words, and a quote that is not closed.
    fn words(&mut self) -> (Vec<(Text, Span)>, Option<Span>) {
        let mut found = Vec::new();
        loop {
            while self.byte(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.at += 1;
            }
            if self.byte(0).is_none_or(|byte| byte == b'#') {
                return (found, None);
            }
            let start = self.at;
            let (text, open) = self.word();
            found.push((text, Span::new(self.file, start, self.at)));
            if open.is_some() {
                return (found, open);
            }
        }
    }

    fn word(&mut self) -> (Text, Option<Span>) {
        let start = self.at;
        let first = self.byte(0);
        let (mut text, mut quote) = (Text::new(self.file, Quoting::Unquoted).sent(true), None);
        let mut changes = 0;
        while let Some(byte) = self.byte(0) {
            let place = self.at..self.at + 1;
            match (byte, quote) {
                (b'"' | b'\'', None) => {
                    quote = Some((byte, self.at));
                    changes += 1;
                    self.at += 1;
                }
                (_, Some((open, _))) if open == byte => {
                    quote = None;
                    self.at += 1;
                }
                (b' ' | b'\t' | b'\r' | b'#', None) => break,
                (b'\\', None | Some((b'"', _))) => self.escape(&mut text),
                (b'$', Some((b'"', _))) if self.variable() > 0 => {
                    let length = self.variable();
                    let raw = self.at..self.at + length;
                    text.push_hole(self.bytes.get(raw.clone()).unwrap_or_default(), raw);
                    self.at += length;
                }
                _ => {
                    text.push_byte(byte, place);
                    self.at += 1;
                }
            }
        }
        let open = quote.map(|(_, at)| Span::new(self.file, at, at + 1));
        // An edit fits in where one pair of quotes stands around the word.
        let is_whole = changes == 1 && self.bytes.get(self.at - 1) == self.bytes.get(start);
        let quoting = match first {
            Some(b'"') if is_whole => Quoting::Escaped,
            Some(b'\'') if is_whole => Quoting::Literal,
            Some(_) | None => Quoting::Unquoted,
        };
        (text.quoted(quoting), open)
    }

    fn escape(&mut self, text: &mut Text) {
        let decoded = match self.byte(1) {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(byte @ (b' ' | b'#' | b'\\' | b'"' | b'\'' | b'$')) => byte,
            Some(_) | None => {
                text.push_byte(b'\\', self.at..self.at + 1);
                self.at += 1;
                return;
            }
        };
        text.push(&[decoded], self.at..self.at + 2);
        self.at += 2;
    }

    /// The length of the variable that begins here: `$X`, `${X}`; none is 0.
    fn variable(&self) -> usize {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let name = |from: usize| {
            (from..)
                .map_while(|at| self.byte(at).filter(|byte| is_name(*byte)))
                .count()
        };
        if self.byte(1) == Some(b'{') {
            let close = (2..)
                .map_while(|at| self.byte(at))
                .position(|byte| byte == b'}');
            return close.map_or(0, |length| length + 3);
        }
        match name(1) {
            0 => 0,
            length => length + 1,
        }
    }
}
