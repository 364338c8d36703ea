//! In: one POSIX extended regular expression as Squid hands it to `regcomp`. Out: the same as an [`Hir`].
//!
//! Squid uses the C library's expressions (`REG_EXTENDED`), here glibc's: `\d` is the letter `d`, a backslash inside
//! brackets is itself, `a+?` is `(a+)?`, `(?:` is an error, `\w \W \s \S \b \B \< \>` exist as an extension.
//!
//! Invariant: what is not read exactly is [`Failure::Unknown`], never something near it.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

/// Why there is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The C library refuses it: Squid logs that and goes on without it.
    Invalid,
    /// It has a form that is not modelled.
    Unknown,
}

/// No group nests deeper than this.
const DEPTH: usize = 60;
/// `RE_DUP_MAX` is 32,767; more than this would make automata that nobody can build.
const REPEAT_LIMIT: u32 = 1_000;

/// Reads an expression.
pub(super) fn parse(text: &str, ignore_case: bool) -> Result<Hir, Failure> {
    if !text.is_ascii() {
        return Err(Failure::Unknown);
    }
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: 0,
        ignore_case,
    };
    let hir = reader.alternatives(0)?;
    if reader.at < reader.bytes.len() {
        // A `)` without its `(`: ordinary to glibc, but Squid wraps and joins the expressions of a list.
        return Err(Failure::Unknown);
    }
    Ok(hir)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    ignore_case: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn alternatives(&mut self, depth: usize) -> Result<Hir, Failure> {
        let mut branches = vec![self.branch(depth)?];
        while self.eat(b'|') {
            branches.push(self.branch(depth)?);
        }
        Ok(Hir::alternation(branches))
    }

    fn branch(&mut self, depth: usize) -> Result<Hir, Failure> {
        let mut parts = Vec::new();
        loop {
            let (atom, anchors) = match self.peek() {
                None | Some(b'|' | b')') => return Ok(Hir::concat(parts)),
                // RE_CONTEXT_INVALID_OPS: nothing to repeat at the start of a branch or group, or after an anchor.
                Some(b'*' | b'+' | b'?') => return Err(Failure::Invalid),
                Some(b'{') => return Err(Failure::Unknown),
                Some(b'^') => {
                    self.at += 1;
                    (Hir::look(Look::Start), true)
                }
                Some(b'$') => {
                    self.at += 1;
                    (Hir::look(Look::End), true)
                }
                Some(b'(') => {
                    self.at += 1;
                    if depth >= DEPTH {
                        return Err(Failure::Unknown);
                    }
                    let inner = self.alternatives(depth + 1)?;
                    if !self.eat(b')') {
                        return Err(Failure::Invalid);
                    }
                    (inner, false)
                }
                Some(b'[') => {
                    self.at += 1;
                    (self.bracket()?, false)
                }
                Some(b'.') => {
                    self.at += 1;
                    // REG_NEWLINE is not set; no subject has a NUL byte.
                    (class([(1, 255)], false), false)
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?
                }
                Some(byte) => {
                    self.at += 1;
                    (self.literal(byte), false)
                }
            };
            parts.push(self.repeated(atom, anchors)?);
        }
    }

    fn repeated(&mut self, mut atom: Hir, anchor: bool) -> Result<Hir, Failure> {
        loop {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => self.interval()?,
                Some(_) | None => return Ok(atom),
            };
            self.at += 1;
            if anchor {
                return Err(Failure::Unknown);
            }
            atom = Hir::repetition(Repetition {
                min,
                max,
                greedy: true,
                sub: Box::new(atom),
            });
        }
    }

    /// `{n}`, `{n,}`, `{,m}`, `{n,m}`; leaves the reader on the closing brace.
    fn interval(&mut self) -> Result<(u32, Option<u32>), Failure> {
        self.at += 1;
        let low = self.number()?;
        let bounds = if self.eat(b',') {
            (low.unwrap_or(0), self.number()?)
        } else {
            (low.ok_or(Failure::Unknown)?, low)
        };
        if self.peek() != Some(b'}') {
            return Err(Failure::Unknown);
        }
        if bounds.1.is_some_and(|high| high < bounds.0) {
            return Err(Failure::Invalid);
        }
        Ok(bounds)
    }

    fn number(&mut self) -> Result<Option<u32>, Failure> {
        let mut value = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            let next = value.unwrap_or(0) * 10 + u32::from(digit - b'0');
            if next > REPEAT_LIMIT {
                return Err(Failure::Unknown);
            }
            value = Some(next);
        }
        Ok(value)
    }

    fn escape(&mut self) -> Result<(Hir, bool), Failure> {
        let word = [(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')];
        let space = [(b'\t', b'\r'), (b' ', b' ')];
        Ok(match self.next() {
            None => return Err(Failure::Invalid),
            Some(b'w') => (class(word, false), false),
            Some(b'W') => (class(word, true), false),
            Some(b's') => (class(space, false), false),
            Some(b'S') => (class(space, true), false),
            Some(b'b') => (Hir::look(Look::WordAscii), true),
            Some(b'B') => (Hir::look(Look::WordAsciiNegate), true),
            Some(b'<') => (Hir::look(Look::WordStartAscii), true),
            Some(b'>') => (Hir::look(Look::WordEndAscii), true),
            Some(b'`') => (Hir::look(Look::Start), true),
            Some(b'\'') => (Hir::look(Look::End), true),
            Some(b'1'..=b'9') => return Err(Failure::Unknown),
            Some(byte) => (self.literal(byte), false),
        })
    }

    fn literal(&self, byte: u8) -> Hir {
        class_of(&[(byte, byte)], false, self.ignore_case)
    }

    /// A bracket expression, its `[` already read (POSIX, 9.3.5).
    fn bracket(&mut self) -> Result<Hir, Failure> {
        let negated = self.eat(b'^');
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        let mut first = true;
        loop {
            let byte = self.next().ok_or(Failure::Invalid)?;
            if byte == b']' && !first {
                return Ok(class_of(&ranges, negated, self.ignore_case));
            }
            first = false;
            if byte == b'[' && matches!(self.peek(), Some(b':' | b'.' | b'=')) {
                ranges.extend(self.named_class()?);
                if self.peek() == Some(b'-') && self.bytes.get(self.at + 1) != Some(&b']') {
                    return Err(Failure::Unknown);
                }
                continue;
            }
            let ranged = self.peek() == Some(b'-')
                && self
                    .bytes
                    .get(self.at + 1)
                    .is_some_and(|next| *next != b']');
            if !ranged {
                ranges.push((byte, byte));
                continue;
            }
            self.at += 1;
            let end = self.next().ok_or(Failure::Invalid)?;
            if end == b'[' && matches!(self.peek(), Some(b':' | b'.' | b'=')) {
                return Err(Failure::Unknown);
            }
            if end < byte {
                return Err(Failure::Invalid);
            }
            ranges.push((byte, end));
        }
    }

    fn named_class(&mut self) -> Result<Vec<(u8, u8)>, Failure> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let close = memchr::memmem::find(rest, b":]").ok_or(Failure::Invalid)?;
        let name = rest.get(..close).unwrap_or_default();
        let ranges: &[(u8, u8)] = match name {
            b":alpha" => &[(b'A', b'Z'), (b'a', b'z')],
            b":digit" => &[(b'0', b'9')],
            b":alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
            b":upper" => &[(b'A', b'Z')],
            b":lower" => &[(b'a', b'z')],
            b":space" => &[(b'\t', b'\r'), (b' ', b' ')],
            b":blank" => &[(b'\t', b'\t'), (b' ', b' ')],
            b":punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
            b":xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
            b":print" => &[(b' ', b'~')],
            b":graph" => &[(b'!', b'~')],
            b":cntrl" => &[(0, 31), (127, 127)],
            _ => return Err(Failure::Unknown),
        };
        self.at += close + 2;
        Ok(ranges.to_vec())
    }
}

fn class<const N: usize>(ranges: [(u8, u8); N], negated: bool) -> Hir {
    class_of(&ranges, negated, false)
}

fn class_of(ranges: &[(u8, u8)], negated: bool, ignore_case: bool) -> Hir {
    let mut set = ClassBytes::new(
        ranges
            .iter()
            .map(|(low, high)| ClassBytesRange::new(*low, *high)),
    );
    if ignore_case {
        set.case_fold_simple();
    }
    if negated {
        set.negate();
    }
    Hir::class(Class::Bytes(set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lang;

    fn matches(pattern: &str, word: &str) -> bool {
        Lang::containing(&parse(pattern, false).unwrap())
            .unwrap()
            .contains(word.as_bytes())
    }

    #[test]
    fn posix_reads_differently_from_perl() {
        assert!(matches(r"a\d", "ad"));
        assert!(!matches(r"a\d", "a1"));
        assert!(matches(r"[a\]b]", r"\b]"));
        assert!(matches("^a+?$", ""));
        assert!(matches("x{2,3}$", "xxx"));
        assert!(matches("[[:digit:]]+z", "12z"));
        assert!(matches("[]a]$", "]"));
        assert!(matches(r"\.chime\.aws:443$", "a.chime.aws:443"));
        assert!(!matches("^SIGNAL", "signal"));
        assert!(
            Lang::containing(&parse("^SIGNAL", true).unwrap())
                .unwrap()
                .contains(b"signal.x")
        );
    }

    #[test]
    fn what_regcomp_refuses_is_invalid() {
        for pattern in ["*.chime.aws", "(?:a)", "a(b", "[z", "a|*b", "x\\"] {
            assert_eq!(
                parse(pattern, false).unwrap_err(),
                Failure::Invalid,
                "{pattern}"
            );
        }
        for pattern in ["a)b", r"(a)\1", "{2}", "^*a"] {
            assert_eq!(
                parse(pattern, false).unwrap_err(),
                Failure::Unknown,
                "{pattern}"
            );
        }
    }
}
