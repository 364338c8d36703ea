//! In: edits of one text. Out: the same edits in the text's own line ends, and the text that they make.
//!
//! Fixers write line feeds; a file whose lines end in CR LF keeps doing so, and nothing is put in front of a byte order
//! mark. What no edit names stays as it is, byte for byte.

use super::{Edit, Fix};
use crate::source::{FileId, Span};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Fix {
    /// The same fix, its edits fitted to the file that they are for.
    #[must_use]
    pub(crate) fn fitted(&self, bytes: &[u8]) -> Self {
        let edits = self.edits.iter();
        Self {
            edits: edits.map(|edit| fitted(edit, bytes)).collect(),
            ..self.clone()
        }
    }
}

/// The text with the edits; `None` where they overlap, or lie outside of it or in another file.
pub fn applied<'e>(
    bytes: &[u8],
    file: FileId,
    edits: impl IntoIterator<Item = (Span, &'e str)>,
) -> Option<Vec<u8>> {
    let mut edits: Vec<(Span, &str)> = edits.into_iter().collect();
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut text = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (span, new) in edits {
        if span.file != file {
            return None;
        }
        let range = span.range();
        text.extend_from_slice(bytes.get(done..range.start)?);
        text.extend_from_slice(new.as_bytes());
        done = range.end;
    }
    text.extend_from_slice(bytes.get(done..)?);
    Some(text)
}

fn fitted(edit: &Edit, bytes: &[u8]) -> Edit {
    let mut span = edit.span;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        let first = Span::new(span.file, BYTE_ORDER_MARK.len(), BYTE_ORDER_MARK.len());
        span.start = span.start.max(first.start);
        span.end = span.end.max(first.end);
    }
    let text = if ends_lines_with_both(bytes, span.range().start) {
        edit.text.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        edit.text.clone()
    };
    Edit { span, text }
}

/// Whether the line of a byte ends with CR LF; for a last line without an end, the line before it.
fn ends_lines_with_both(bytes: &[u8], at: usize) -> bool {
    let (before, after) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    let feed = match memchr::memchr(b'\n', after) {
        Some(found) => Some(at + found),
        None => memchr::memrchr(b'\n', before),
    };
    feed.and_then(|feed| bytes.get(feed.checked_sub(1)?)) == Some(&b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn with(bytes: &[u8], edits: &[(usize, usize, &str)]) -> Option<Vec<u8>> {
        let file = Sources::new().add("a", bytes.to_vec()).unwrap();
        let fix = Fix {
            title: String::new(),
            edits: edits
                .iter()
                .map(|(start, end, text)| Edit {
                    span: Span::new(file, *start, *end),
                    text: (*text).to_owned(),
                })
                .collect(),
            safe: true,
        };
        let fix = fix.fitted(bytes);
        let edits = fix.edits.iter();
        applied(
            bytes,
            file,
            edits.map(|edit| (edit.span, edit.text.as_str())),
        )
    }

    #[test]
    fn line_ends_are_those_of_the_file() {
        assert_eq!(
            with(b"a\r\nb", &[(4, 4, "\nc\n")]).unwrap(),
            b"a\r\nb\r\nc\r\n"
        );
        assert_eq!(
            with(b"a\r\nb\r\n", &[(3, 3, "c\r\n")]).unwrap(),
            b"a\r\nc\r\nb\r\n"
        );
        assert_eq!(with(b"a\nb\r\n", &[(0, 0, "c\n")]).unwrap(), b"c\na\nb\r\n");
        assert_eq!(with(b"", &[(0, 0, "c\n")]).unwrap(), b"c\n");
    }

    #[test]
    fn nothing_goes_before_a_byte_order_mark() {
        let bytes = b"\xef\xbb\xbfa\n";
        assert_eq!(
            with(bytes, &[(0, 0, "b\n")]).unwrap(),
            b"\xef\xbb\xbfb\na\n"
        );
        assert_eq!(with(bytes, &[(0, 4, "b")]).unwrap(), b"\xef\xbb\xbfb\n");
    }

    #[test]
    fn overlapping_edits_are_refused() {
        assert_eq!(with(b"abcd", &[(0, 2, "x"), (1, 3, "y")]), None);
        assert_eq!(with(b"abcd", &[(2, 9, "x")]), None);
        assert_eq!(with(b"abcd", &[(2, 4, "x"), (0, 2, "y")]).unwrap(), b"yx");
    }
}
