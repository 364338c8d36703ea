//! In: the bytes of one file. Out: its logical lines and their words, every byte with the place that it came from.
//!
//! Squid's reader is older than its documentation, so this follows `parseOneConfigFile` (`src/cache_cf.cc`) and
//! `ConfigParser` (src/ConfigParser.cc) step by step: a continuation crosses comments and empty lines and joins without a
//! space, a line ends after 8,191 bytes, a comment starts where a word starts with `#`.
//!
//! Invariants: every byte of a [`Line`] knows its offset in the file; nothing here knows a directive.

use crate::source::{FileId, Span, Spanned};

/// `fgets` into a buffer of 8,192 bytes.
const PHYSICAL_LIMIT: usize = 8_191;
/// `fgets` into a buffer of 2,048 bytes, for files of values.
const VALUE_LIMIT: usize = 2_047;

/// A logical line: physical lines joined by their continuations, macros replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    file: FileId,
    bytes: Vec<u8>,
    /// The offset in the file of every byte.
    offsets: Vec<u32>,
}

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes; bytes that are no UTF-8 show as U+FFFD.
    pub(super) text: String,
    /// Where it stands, quotes included.
    pub(super) span: Span,
    /// How it was written.
    pub(super) form: Form,
}

/// How a word was written, while quoted values are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// In quotes.
    Quoted,
    /// `parameters("file")`: the text is the file's name.
    Parameters,
}

/// A file's logical lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    /// In order.
    pub(super) lines: Vec<Line>,
    /// A last line that ends in a continuation: Squid never looks at it.
    pub(super) unfinished: Option<Span>,
}

/// Why the words of a line cannot be told apart (only while quoted values are recognised): Squid does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadWord {
    /// Where.
    pub(super) span: Span,
    /// What is wrong, as a clause.
    pub(super) why: &'static str,
}

/// Splits a file into logical lines.
pub(super) fn lines(file: FileId, bytes: &[u8]) -> Lines {
    let mut out = Lines::default();
    let mut held = Line::empty(file);
    for (start, physical) in physical_lines(bytes, PHYSICAL_LIMIT) {
        let cut = physical
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r' | 0))
            .unwrap_or(physical.len());
        let kept = physical.get(..cut).unwrap_or_default();
        let blank = kept.iter().take_while(|byte| is_space(**byte)).count();
        let content = kept.get(blank..).unwrap_or_default();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        held.append(content, start + blank);
        if held.bytes.last() == Some(&b'\\') {
            held.bytes.pop();
            held.offsets.pop();
            continue;
        }
        let mut line = std::mem::replace(&mut held, Line::empty(file));
        line.trim_end();
        line.replace_macros();
        out.lines.push(line);
    }
    if !held.bytes.is_empty() {
        out.unfinished = Some(held.span());
    }
    out
}

/// The values of a file that an ACL reads: one a line, `#` at its start or after a blank ends it.
pub(super) fn values(file: FileId, bytes: &[u8]) -> Vec<Spanned<String>> {
    physical_lines(bytes, VALUE_LIMIT)
        .filter_map(|(start, physical)| {
            let cut = physical.iter().position(|byte| *byte == 0);
            let kept = physical
                .get(..cut.unwrap_or(physical.len()))
                .unwrap_or_default();
            let blank = kept.iter().take_while(|byte| is_blank(**byte)).count();
            let content = kept.get(blank..).unwrap_or_default();
            let mut end = 0;
            let mut at = 0;
            for word in content.split_inclusive(|byte| is_blank(*byte)) {
                let bare = word.len() - usize::from(word.last().is_some_and(|b| is_blank(*b)));
                if bare > 0 {
                    if word.first() == Some(&b'#') {
                        break;
                    }
                    end = at + bare;
                }
                at += word.len();
            }
            let value = content.get(..end).filter(|value| !value.is_empty())?;
            let from = start + blank;
            Some(Spanned::new(
                String::from_utf8_lossy(value).into_owned(),
                Span::new(file, from, from + value.len()),
            ))
        })
        .collect()
}

/// Physical lines with their offsets, line feed included, cut where `fgets` stops.
fn physical_lines(bytes: &[u8], limit: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let window = rest.get(..limit.min(rest.len())).unwrap_or(rest);
        let len = memchr::memchr(b'\n', window).map_or(window.len(), |feed| feed + 1);
        let start = at;
        at += len;
        rest.get(..len).map(|line| (start, line))
    })
}

impl Line {
    fn empty(file: FileId) -> Self {
        Self {
            file,
            bytes: Vec::new(),
            offsets: Vec::new(),
        }
    }

    fn append(&mut self, bytes: &[u8], start: usize) {
        self.bytes.extend_from_slice(bytes);
        self.offsets
            .extend((start..start + bytes.len()).map(|at| u32::try_from(at).unwrap_or(u32::MAX)));
    }

    fn trim_end(&mut self) {
        let len = self
            .bytes
            .iter()
            .rposition(|byte| !is_space(*byte))
            .map_or(0, |last| last + 1);
        self.bytes.truncate(len);
        self.offsets.truncate(len);
    }

    /// `ProcessMacros` (`src/cache_cf.cc`): one Squid process named `squid`.
    fn replace_macros(&mut self) {
        for (name, value) in [
            ("${service_name}", "squid"),
            ("${process_name}", "squid"),
            ("${process_number}", "0"),
        ] {
            let mut from = 0;
            while let Some(at) = self
                .bytes
                .get(from..)
                .and_then(|rest| memchr::memmem::find(rest, name.as_bytes()))
                .map(|at| at + from)
            {
                let first = self.offsets.get(at).copied().unwrap_or(0);
                self.bytes
                    .splice(at..at + name.len(), value.bytes())
                    .for_each(drop);
                self.offsets
                    .splice(at..at + name.len(), value.bytes().map(|_| first))
                    .for_each(drop);
                from = at + value.len();
            }
        }
    }

    /// The whole line.
    pub(super) fn span(&self) -> Span {
        self.part(0, self.bytes.len())
    }

    /// The bytes as text.
    #[cfg(test)]
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn part(&self, start: usize, end: usize) -> Span {
        let first = self.offsets.get(start).copied().unwrap_or(0) as usize;
        let last = end
            .checked_sub(1)
            .and_then(|last| self.offsets.get(last))
            .map_or(first, |last| *last as usize + 1);
        Span::new(self.file, first.min(last), last)
    }

    fn word(&self, start: usize, end: usize, form: Form, text: Vec<u8>) -> Word {
        Word {
            text: String::from_utf8(text)
                .unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned()),
            span: self.part(start, end),
            form,
        }
    }

    /// The first word: `strtok(line, " \t\n\r")`.
    pub(super) fn directive(&self) -> Word {
        let start = self.skip_blanks(0);
        let end = self.word_end(start);
        self.word(start, end, Form::Plain, self.bytes_of(start, end))
    }

    /// Everything after the first word, as written.
    pub(super) fn rest(&self) -> Word {
        let start = self.skip_blanks(self.word_end(self.skip_blanks(0)));
        let end = self.bytes.len().max(start);
        self.word(start, end, Form::Plain, self.bytes_of(start, end))
    }

    /// The words after the first one, up to a word that starts with `#`. `quoted` while
    /// `configuration_includes_quoted_values` is on.
    pub(super) fn words(&self, quoted: bool) -> Result<Vec<Word>, BadWord> {
        let mut words = Vec::new();
        let mut at = self.word_end(self.skip_blanks(0));
        loop {
            at = self.skip_blanks(at);
            match self.bytes.get(at) {
                None | Some(b'#') => return Ok(words),
                Some(b'"' | b'\'') if quoted => {
                    let (word, next) = self.quoted_word(at)?;
                    words.push(word);
                    at = next;
                }
                Some(_) if quoted => {
                    let (word, next) = self.strict_word(at)?;
                    words.push(word);
                    at = next;
                }
                Some(_) => {
                    let end = self.word_end(at);
                    words.push(self.word(at, end, Form::Plain, self.bytes_of(at, end)));
                    at = end;
                }
            }
        }
    }

    /// `ConfigParser::UnQuote`.
    fn quoted_word(&self, start: usize) -> Result<(Word, usize), BadWord> {
        let quote = self.bytes.get(start).copied();
        let mut text = Vec::new();
        let mut at = start + 1;
        loop {
            match self.bytes.get(at).copied() {
                None => {
                    return Err(BadWord {
                        span: self.part(start, at),
                        why: "the quote is never closed",
                    });
                }
                byte if byte == quote => break,
                Some(b'\\') if quote == Some(b'"') => {
                    at += 1;
                    match self.bytes.get(at).copied() {
                        Some(b'n') => text.push(b'\n'),
                        Some(b'r') => text.push(b'\r'),
                        Some(b't') => text.push(b'\t'),
                        Some(byte) if !byte.is_ascii_alphanumeric() => text.push(byte),
                        Some(_) | None => {
                            return Err(BadWord {
                                span: self.part(at - 1, at + 1),
                                why: "this escape is not supported",
                            });
                        }
                    }
                    at += 1;
                }
                Some(byte) => {
                    text.push(byte);
                    at += 1;
                }
            }
        }
        Ok((self.word(start, at + 1, Form::Quoted, text), at + 1))
    }

    /// A word while quoted values are recognised: `parameters("file")`, or letters, digits and `.,()-=_/:+`.
    fn strict_word(&self, start: usize) -> Result<(Word, usize), BadWord> {
        let end = (start..self.bytes.len())
            .find(|at| {
                self.bytes
                    .get(*at)
                    .is_some_and(|byte| is_blank(*byte) || matches!(byte, b'\\' | b'('))
            })
            .unwrap_or(self.bytes.len());
        if self.bytes.get(end) == Some(&b'(') && end > start {
            if self.bytes_of(start, end) != b"parameters" {
                return Err(BadWord {
                    span: self.part(start, end + 1),
                    why: "only the function `parameters` exists",
                });
            }
            let inner = self.skip_blanks(end + 1);
            if !matches!(self.bytes.get(inner), Some(b'"' | b'\'')) {
                return Err(BadWord {
                    span: self.part(start, inner + 1),
                    why: "`parameters(` takes a file name in quotes",
                });
            }
            let (name, next) = self.quoted_word(inner)?;
            let close = self.skip_blanks(next);
            if self.bytes.get(close) != Some(&b')') {
                return Err(BadWord {
                    span: self.part(start, close),
                    why: "`)` is missing after the file name",
                });
            }
            let text = name.text.into_bytes();
            return Ok((
                self.word(start, close + 1, Form::Parameters, text),
                close + 1,
            ));
        }
        let end = end.max(start + 1);
        let text = self.bytes_of(start, end);
        let number = text.iter().rev().skip(1).all(u8::is_ascii_digit);
        let fits = text.iter().enumerate().all(|(index, byte)| {
            byte.is_ascii_alphanumeric()
                || b".,()-=_/:+".contains(byte)
                || (*byte == b'%' && number && index + 1 == text.len())
        });
        if !fits {
            return Err(BadWord {
                span: self.part(start, end),
                why: "while quoted values are on, a word without quotes has only letters, digits and `.,()-=_/:+`",
            });
        }
        Ok((self.word(start, end, Form::Plain, text), end))
    }

    fn bytes_of(&self, start: usize, end: usize) -> Vec<u8> {
        self.bytes.get(start..end).unwrap_or_default().to_vec()
    }

    fn skip_blanks(&self, mut at: usize) -> usize {
        while self.bytes.get(at).is_some_and(|byte| is_blank(*byte)) {
            at += 1;
        }
        at
    }

    fn word_end(&self, mut at: usize) -> usize {
        while self.bytes.get(at).is_some_and(|byte| !is_blank(*byte)) {
            at += 1;
        }
        at
    }
}

/// `w_space`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// `isspace`.
fn is_space(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> (Sources, Lines) {
        let sources = Sources::new();
        let file = sources.add("squid.conf", text.as_bytes().to_vec()).unwrap();
        let lines = lines(file, text.as_bytes());
        (sources, lines)
    }

    fn texts(text: &str) -> Vec<String> {
        read(text).1.lines.iter().map(Line::text).collect()
    }

    #[test]
    fn a_continuation_crosses_comments_and_joins_without_a_space() {
        assert_eq!(
            texts(
                "acl a dstdomain \\\n  .chime.aws \\\n\n # middle\n  .b\nacl b dstdomain .amazon\\\naws.com\n"
            ),
            [
                "acl a dstdomain .chime.aws .b",
                "acl b dstdomain .amazonaws.com"
            ]
        );
        assert_eq!(texts("a \\ \nb\r\nc"), ["a \\", "b", "c"]);
    }

    #[test]
    fn a_continuation_at_the_end_of_the_file_loses_the_line() {
        let (sources, lines) = read("a b\nhttp_access deny all \\\n");
        assert_eq!(lines.lines.len(), 1);
        assert_eq!(
            sources.text(lines.unfinished.unwrap()),
            "http_access deny all "
        );
    }

    #[test]
    fn spans_survive_continuations_and_macros() {
        let (sources, lines) =
            read("acl a dstdomain \\\n  .chime.aws # note\n x ${service_name}.log\n");
        let words = lines.lines[0].words(false).unwrap();
        assert_eq!(words.len(), 3);
        assert_eq!(sources.text(words[2].span), ".chime.aws");
        assert_eq!(lines.lines[1].words(false).unwrap()[0].text, "squid.log");
    }

    #[test]
    fn a_long_line_is_cut_where_the_buffer_ends() {
        let long = format!("acl a src {}\n", "1".repeat(9_000));
        let parts = texts(&long);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].len(), 8_191);
    }

    #[test]
    fn quoted_values_are_words_and_parameters_name_files() {
        let (_, lines) = read("acl q dstdomain \".a b\" parameters(\"l.txt\") x%\n");
        let words = lines.lines[0].words(true);
        assert!(words.is_err());
        let (_, lines) = read("acl q dstdomain \".a b\" parameters(\"l.txt\")\n");
        let words = lines.lines[0].words(true).unwrap();
        assert_eq!(words[2].text, ".a b");
        assert_eq!(
            (words[3].text.as_str(), words[3].form),
            ("l.txt", Form::Parameters)
        );
    }

    #[test]
    fn value_files_have_one_value_a_line() {
        let sources = Sources::new();
        let bytes = b"# list\n  .a.test  # note\n\nb#c\nd e #\r\n#x";
        let file = sources.add("list", bytes.to_vec()).unwrap();
        let values = values(file, bytes);
        let texts: Vec<_> = values.iter().map(|v| v.value.as_str()).collect();
        assert_eq!(texts, [".a.test", "b#c", "d e"]);
        assert_eq!(sources.text(values[2].span), "d e");
    }
}
