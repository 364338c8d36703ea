//! In: the bytes of one Corefile. Out: its tokens with spans and lines.
//!
//! Tokens end at blanks; a `"` at a token's start quotes up to the next one, over lines, `\"` inside; `#` starts a comment
//! up to the end of the line (caddyfile/lexer.go).
//!
//! Invariants: spans lie in the file; a token whose text depends on the environment, or on which lexer reads it, is
//! marked as open.

use crate::source::{FileId, Span};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Without quotes.
    pub(super) text: String,
    /// Where, with quotes.
    pub(super) span: Span,
    /// The line of its first byte.
    pub(super) line: usize,
    /// The line of its last byte.
    pub(super) last_line: usize,
    /// Its text is not known: `{$NAME}`, `{%NAME%}`, or a `#` inside, which only newer versions keep.
    pub(super) open: bool,
}

impl Token {
    /// Whether it stands on a new line after the other one.
    pub(super) fn breaks_from(&self, before: &Self) -> bool {
        self.span.file != before.span.file || self.line > before.last_line
    }
}

/// Reads a file.
pub(super) fn tokens(file: FileId, bytes: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let mut line = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'\n' => {
                line += 1;
                at += 1;
            }
            _ if byte.is_ascii_whitespace() => at += 1,
            b'#' => {
                let rest = bytes.get(at..).unwrap_or_default();
                at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            }
            _ => {
                let (text, end) = if byte == b'"' {
                    quoted(bytes, at + 1)
                } else {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let length = rest.iter().position(u8::is_ascii_whitespace);
                    let end = at + length.unwrap_or(rest.len());
                    (bytes.get(at..end).unwrap_or_default().to_vec(), end)
                };
                let breaks = memchr::memchr_iter(b'\n', &text).count();
                let text = String::from_utf8_lossy(&text).into_owned();
                let open = text.contains("{$")
                    || (text.contains("{%") && text.contains("%}"))
                    || (byte != b'"' && text.contains('#'));
                tokens.push(Token {
                    open,
                    text,
                    span: Span::new(file, at, end),
                    line,
                    last_line: line + breaks,
                });
                line += breaks;
                at = end;
            }
        }
    }
    tokens
}

/// A quoted token's text, and where it ends.
fn quoted(bytes: &[u8], from: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut at = from;
    while let Some(byte) = bytes.get(at).copied() {
        match (byte, bytes.get(at + 1).copied()) {
            (b'"', _) => return (text, at + 1),
            (b'\\', Some(b'"')) => {
                text.push(b'"');
                at += 2;
            }
            // The backslash stays; what follows it ends nothing.
            (b'\\', Some(next)) => {
                text.extend([byte, next]);
                at += 2;
            }
            _ => {
                text.push(byte);
                at += 1;
            }
        }
    }
    (text, at.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn texts(text: &str) -> Vec<String> {
        let file = Sources::new().add("c", text.as_bytes().to_vec()).unwrap();
        let tokens = tokens(file, text.as_bytes());
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn tokens_are_split_as_caddy_does() {
        assert_eq!(
            texts("\u{feff}. {\n a \"b \\\" c\\d\" # x\n}"),
            [".", "{", "a", "b \" c\\d", "}"]
        );
        assert_eq!(texts("\"\" \"open"), ["", "open"]);
    }

    #[test]
    fn lines_and_open_tokens_are_known() {
        let text = "a \"b\nc\" d\n{$X} e#f {{ .Name }}";
        let file = Sources::new().add("c", text.as_bytes().to_vec()).unwrap();
        let tokens = tokens(file, text.as_bytes());
        assert!(!tokens[2].breaks_from(&tokens[1]));
        assert!(tokens[3].breaks_from(&tokens[2]));
        let open: Vec<_> = tokens.iter().map(|token| token.open).collect();
        assert_eq!(open, [false, false, false, true, true, false, false, false]);
    }

    #[test]
    fn broken_bytes_never_panic() {
        for bytes in [b"\"\\".as_slice(), b"\xff\xfe{", b"\"", b"#", b"\\\"\0"] {
            let file = Sources::new().add("c", bytes.to_vec()).unwrap();
            let _ = tokens(file, bytes);
        }
    }
}
