//! In: the bytes of one file. Out: its options, with spans, and lines that dnsmasq cannot read.
//!
//! dnsmasq reads pieces of at most 1,024 bytes up to a line feed, so a longer line goes on as a line of its own
//! (`read_file` in option.c). A `"` hides blanks, commas and `#` up to the next one, with `\` escapes; `#` starts a comment
//! at the start of the line or after a blank; blanks around the first `=` do not count; option names have a case.
//!
//! Invariants: spans lie in the file; a NUL ends its piece.

use crate::source::{FileId, Span};

/// `MAXDNAME` is 1025, with room for the final NUL.
const PIECE: usize = 1024;

/// One option as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its name.
    pub(super) name: String,
    /// Where the name stands.
    pub(super) name_span: Span,
    /// What follows the `=`, quotes removed.
    pub(super) value: Option<String>,
    /// Where that stands.
    pub(super) value_span: Span,
    /// The whole option without comment.
    pub(super) span: Span,
    /// A quote is never closed.
    pub(super) open_quote: bool,
    /// It is the tail of a line that is longer than dnsmasq reads at once.
    pub(super) tail: bool,
}

/// Reads a file.
pub(super) fn lines(file: FileId, bytes: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut tail = false;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let limit = rest.len().min(PIECE);
        let window = rest.get(..limit).unwrap_or_default();
        let (length, ends) = match memchr::memchr(b'\n', window) {
            Some(at) => (at + 1, true),
            None => (limit, limit == rest.len()),
        };
        let piece = window.get(..length).unwrap_or_default();
        let piece =
            memchr::memchr(0, piece).map_or(piece, |nul| piece.get(..nul).unwrap_or_default());
        lines.extend(line(file, start, piece, tail));
        start += length.max(1);
        tail = !ends;
    }
    lines
}

/// One character of a piece after quotes and escapes, with its place.
struct Seen {
    byte: u8,
    at: usize,
    /// Inside quotes: blanks and `=` are ordinary.
    hidden: bool,
}

fn line(file: FileId, offset: usize, piece: &[u8], tail: bool) -> Option<Line> {
    let mut seen: Vec<Seen> = Vec::with_capacity(piece.len());
    let mut open_quote = false;
    let (mut at, mut white, mut quoted) = (0, true, false);
    while let Some(byte) = piece.get(at).copied() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\'
                if quoted
                    && piece
                        .get(at + 1)
                        .is_some_and(|next| b"\"tnebr\\".contains(next)) =>
            {
                at += 1;
                let byte = match piece.get(at).copied().unwrap_or(b'\\') {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'b' => 8,
                    b'r' => b'\r',
                    b'e' => 27,
                    other => other,
                };
                seen.push(Seen {
                    byte,
                    at,
                    hidden: true,
                });
            }
            _ if quoted => seen.push(Seen {
                byte,
                at,
                hidden: true,
            }),
            b'#' if white => break,
            _ => {
                white = is_blank(byte);
                seen.push(Seen {
                    byte: if white { b' ' } else { byte },
                    at,
                    hidden: false,
                });
            }
        }
        if byte == b'"' {
            white = false;
        }
        at += 1;
    }
    if quoted {
        open_quote = true;
    }
    let is_space = |seen: &Seen| seen.byte == b' ' && !seen.hidden;
    let first = seen.iter().position(|seen| !is_space(seen))?;
    let last = seen.iter().rposition(|seen| !is_space(seen))?;
    let seen = seen.get(first..=last)?;
    let split = seen
        .iter()
        .position(|seen| seen.byte == b'=' && !seen.hidden);
    let (name, value) = match split {
        Some(at) => (seen.get(..at)?, Some(seen.get(at + 1..)?)),
        None => (seen, None),
    };
    let name = trimmed(name);
    let value = value.map(trimmed);
    let end = offset + seen.last().map_or(0, |seen| seen.at + 1);
    let span_of = |part: &[Seen]| match (part.first(), part.last()) {
        (Some(first), Some(last)) => Span::new(file, offset + first.at, offset + last.at + 1),
        (None, _) | (_, None) => Span::new(file, end, end),
    };
    Some(Line {
        name: text(name),
        name_span: span_of(name),
        value: value.map(text),
        value_span: value.map_or(Span::new(file, end, end), span_of),
        span: span_of(seen),
        open_quote,
        tail,
    })
}

fn trimmed(part: &[Seen]) -> &[Seen] {
    let blank = |seen: &Seen| seen.byte == b' ' && !seen.hidden;
    let start = part
        .iter()
        .position(|seen| !blank(seen))
        .unwrap_or(part.len());
    let end = part
        .iter()
        .rposition(|seen| !blank(seen))
        .map_or(start, |at| at + 1);
    part.get(start..end).unwrap_or_default()
}

fn text(part: &[Seen]) -> String {
    let bytes: Vec<u8> = part.iter().map(|seen| seen.byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> Vec<(String, Option<String>)> {
        let file = Sources::new().add("d", text.as_bytes().to_vec()).unwrap();
        lines(file, text.as_bytes())
            .into_iter()
            .map(|line| (line.name, line.value))
            .collect()
    }

    fn one(name: &str, value: &str) -> (String, Option<String>) {
        (name.to_owned(), Some(value.to_owned()))
    }

    #[test]
    fn comments_quotes_and_blanks_are_read_as_dnsmasq_does() {
        assert_eq!(
            read("server=1.2.3.4#5353 # x\r\n"),
            [one("server", "1.2.3.4#5353")]
        );
        assert_eq!(
            read("  server = 8.8.8.8  \n#x\n"),
            [one("server", "8.8.8.8")]
        );
        assert_eq!(
            read("txt-record=a,\"b # \\\" c\"\n"),
            [one("txt-record", "a,b # \" c")]
        );
        assert_eq!(read("no-resolv"), [("no-resolv".to_owned(), None)]);
        assert_eq!(
            read("server 8.8.8.8\n"),
            [("server 8.8.8.8".to_owned(), None)]
        );
    }

    #[test]
    fn a_long_line_goes_on_as_another_one() {
        let text = format!("#{}\n", "x".repeat(2000));
        let file = Sources::new().add("d", text.as_bytes().to_vec()).unwrap();
        let lines = lines(file, text.as_bytes());
        assert_eq!(lines.len(), 1);
        assert!(lines[0].tail);
    }

    #[test]
    fn broken_bytes_never_panic() {
        for bytes in [
            b"\0".as_slice(),
            b"\"",
            b"a=\"\\",
            b"\xff\xfe=\xff",
            b"=",
            b"\xef\xbb\xbfport=0",
        ] {
            let file = Sources::new().add("d", bytes.to_vec()).unwrap();
            let _ = lines(file, bytes);
        }
    }
}
