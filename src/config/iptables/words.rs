//! In: the text of one rule. Out: its words, as `iptables-restore` splits them.
//!
//! The rule is that of `add_param_to_argv` in iptables' `xshared.c`, which is not that of a shell: `"` opens and closes
//! a word, a backslash escapes only inside quotes, and there are no comments and no single quotes.

use std::borrow::Cow;

/// One word and where it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: Cow<'a, [u8]>,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) quoted: bool,
}

/// The words of a rule, one at a time.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Words<'a> {
    /// The words between two offsets of a file.
    pub(super) fn new(bytes: &'a [u8], start: u32, end: u32) -> Self {
        let end = (end as usize).min(bytes.len());
        Self {
            bytes,
            at: (start as usize).min(end),
            end,
        }
    }

    /// Where the next word may start.
    pub(super) fn offset(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        if at < self.end {
            self.bytes.get(at).copied()
        } else {
            None
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        while matches!(self.byte(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        let plain = self.bytes.get(start..self.end)?;
        let length = plain
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b'"'))
            .unwrap_or(plain.len());
        let stop = start + length;
        if self.byte(stop) == Some(b'"') {
            return Some(self.quoted(start));
        }
        if length == 0 {
            return None;
        }
        self.at = stop;
        Some(Word {
            text: Cow::Borrowed(plain.get(..length).unwrap_or_default()),
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(stop).unwrap_or(u32::MAX),
            quoted: false,
        })
    }
}

impl<'a> Words<'a> {
    /// A word with a quote in it: it ends at the closing quote, or at a blank before the opening one.
    fn quoted(&mut self, start: usize) -> Word<'a> {
        let mut text = Vec::new();
        let (mut open, mut escaped, mut quoted) = (false, false, false);
        let mut at = start;
        while let Some(byte) = self.byte(at) {
            at += 1;
            if open {
                if escaped {
                    escaped = false;
                    text.push(byte);
                } else if byte == b'\\' {
                    escaped = true;
                } else if byte == b'"' {
                    break;
                } else {
                    text.push(byte);
                }
            } else if byte == b'"' {
                open = true;
                quoted = true;
            } else if matches!(byte, b' ' | b'\t') {
                break;
            } else {
                text.push(byte);
            }
        }
        self.at = at;
        Word {
            text: Cow::Owned(text),
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(at).unwrap_or(u32::MAX),
            quoted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::new(text.as_bytes(), 0, u32::try_from(text.len()).unwrap())
            .map(|word| String::from_utf8_lossy(&word.text).into_owned())
            .collect()
    }

    #[test]
    fn quotes_are_those_of_iptables_and_not_of_a_shell() {
        assert_eq!(words("-A  X\t-j Y "), ["-A", "X", "-j", "Y"]);
        assert_eq!(
            words(r#"--comment "a \"b\" \\ -j DROP" -j ACCEPT"#),
            ["--comment", r#"a "b" \ -j DROP"#, "-j", "ACCEPT"]
        );
        assert_eq!(words("it's 'two words'"), ["it's", "'two", "words'"]);
        assert_eq!(words(r#"a"b c"d"#), ["ab c", "d"]);
        assert_eq!(words(r#""never closed"#), ["never closed"]);
        assert_eq!(words("a # b"), ["a", "#", "b"]);
        assert_eq!(words(""), Vec::<String>::new());
    }
}
