//! In: the bytes of files. Out: spans, and where a span stands (path, line, column, text).
//!
//! Every value that a message may point at carries a [`Span`]: byte offsets into one file.
//! This is the only module that knows lines and columns.
//!
//! Invariants: a span lies within its file; files of 4 GiB and more are refused, so that offsets fit `u32`;
//! a [`FileId`] is valid for the [`Sources`] that made it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One file of a [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A piece of one file: byte offsets, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file that the offsets count in.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// The span of `start..end`; offsets past `u32` are clamped (files that large are refused when they are added).
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX).max(start);
        Self { file, start, end }
    }

    /// From the start of this span to the end of `other`; the two stand in one file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            end: other.end.max(self.end),
            ..self
        }
    }

    /// The offsets as a range for slicing.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// No byte at all: a place between two bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A value and the place where the user wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A place as people count it: line and column from 1, the column in Unicode characters of the lossy text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceError {
    /// Offsets are 32 bits.
    #[error("the file has {0} bytes; files of 4 GiB and more are refused")]
    TooLarge(u64),
}

/// Every file that was read in one run. Files are added through a shared reference, since includes are met while
/// another file is being read.
#[derive(Debug, Default)]
pub struct Sources {
    files: Mutex<Vec<Arc<SourceFile>>>,
}

/// One file: its label, its bytes and, once asked for, its lines.
#[derive(Debug)]
pub struct SourceFile {
    /// The path as the user would write it: relative, `/` separators; `<stdin>` for standard input.
    pub path: String,
    /// The bytes as they are on disk.
    pub bytes: Arc<[u8]>,
    lines: OnceLock<Vec<u32>>,
}

impl Sources {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a file. `path` is what messages show.
    pub fn add(
        &self,
        path: impl Into<String>,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<FileId, SourceError> {
        let bytes = bytes.into();
        if u32::try_from(bytes.len()).is_err() {
            return Err(SourceError::TooLarge(bytes.len() as u64));
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let id = FileId(u32::try_from(files.len()).unwrap_or(u32::MAX));
        files.push(Arc::new(SourceFile {
            path: path.into(),
            bytes,
            lines: OnceLock::new(),
        }));
        Ok(id)
    }

    /// The same files under the same ids; those that `change` gives other bytes for have these.
    #[must_use]
    pub fn rewritten(&self, mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Self {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let rewrite = |file: &Arc<SourceFile>| match change(&file.bytes) {
            None => Arc::clone(file),
            Some(bytes) => Arc::new(SourceFile {
                path: file.path.clone(),
                bytes: bytes.into(),
                lines: OnceLock::new(),
            }),
        };
        Self {
            files: Mutex::new(files.iter().map(rewrite).collect()),
        }
    }

    /// Gives a file other bytes; spans into what it had before mean nothing from then on.
    pub fn replace(&self, id: FileId, bytes: impl Into<Arc<[u8]>>) -> Result<(), SourceError> {
        let bytes = bytes.into();
        if u32::try_from(bytes.len()).is_err() {
            return Err(SourceError::TooLarge(bytes.len() as u64));
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get_mut(id.0 as usize) {
            *file = Arc::new(SourceFile {
                path: file.path.clone(),
                bytes,
                lines: OnceLock::new(),
            });
        }
        Ok(())
    }

    /// The file behind an id.
    ///
    /// # Panics
    /// Never for an id of this `Sources`; an id of another one is a bug of the caller.
    #[expect(
        clippy::expect_used,
        reason = "an id of another Sources is a bug, not user input"
    )]
    pub fn file(&self, id: FileId) -> Arc<SourceFile> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            files
                .get(id.0 as usize)
                .expect("the id was made by these sources"),
        )
    }

    /// The text of a span; bytes that are no UTF-8 show as U+FFFD.
    pub fn text(&self, span: Span) -> String {
        let file = self.file(span.file);
        String::from_utf8_lossy(file.slice(span.range())).into_owned()
    }

    /// Where a span starts.
    pub fn position(&self, span: Span) -> Position {
        self.file(span.file).position(span.start)
    }

    /// The line on which a span starts, from 1.
    pub fn line(&self, span: Span) -> u32 {
        self.file(span.file).line(span.start)
    }

    /// The path of a file, as messages show it.
    pub fn path(&self, id: FileId) -> String {
        self.file(id).path.clone()
    }
}

impl SourceFile {
    /// The bytes of a range, cut to the file.
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        let end = range.end.min(self.bytes.len());
        self.bytes
            .get(range.start.min(end)..end)
            .unwrap_or_default()
    }

    fn line_starts(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            std::iter::once(0)
                .chain(
                    memchr::memchr_iter(b'\n', &self.bytes)
                        .map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX)),
                )
                .collect()
        })
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: u32) -> u32 {
        let after = self.line_starts().partition_point(|start| *start <= offset);
        u32::try_from(after.max(1)).unwrap_or(u32::MAX)
    }

    /// How many lines the file has; a last line without a line feed counts.
    pub fn line_count(&self) -> u32 {
        let starts = self.line_starts();
        let last_is_empty = starts
            .last()
            .is_some_and(|start| *start as usize == self.bytes.len());
        u32::try_from(starts.len() - usize::from(last_is_empty && starts.len() > 1))
            .unwrap_or(u32::MAX)
    }

    /// The bytes of a line without its line feed, as a range; empty for a line that is not there.
    pub fn line_range(&self, line: u32) -> std::ops::Range<usize> {
        let starts = self.line_starts();
        let index = line.saturating_sub(1) as usize;
        let Some(start) = starts.get(index) else {
            return self.bytes.len()..self.bytes.len();
        };
        let end = starts
            .get(index + 1)
            .map_or(self.bytes.len(), |next| *next as usize - 1);
        *start as usize..end
    }

    /// Line and column of a byte.
    pub fn position(&self, offset: u32) -> Position {
        let line = self.line(offset);
        let start = self.line_range(line).start;
        let before: Cow<'_, str> = String::from_utf8_lossy(self.slice(start..offset as usize));
        Position {
            line,
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_and_columns_in_characters() {
        let sources = Sources::new();
        let file = sources
            .add("a", "äb\nc\r\n\nd".as_bytes().to_vec())
            .unwrap();
        let at = |start| {
            let p = sources.position(Span::new(file, start, start));
            (p.line, p.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 2));
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(7), (3, 1));
        assert_eq!(at(8), (4, 1));
        assert_eq!(at(9), (4, 2));
        assert_eq!(sources.file(file).line_count(), 4);
        assert_eq!(sources.file(file).line_range(2), 4..6);
    }

    #[test]
    fn a_span_outside_its_file_reads_as_empty() {
        let sources = Sources::new();
        let file = sources.add("a", b"abc".to_vec()).unwrap();
        assert_eq!(sources.text(Span::new(file, 5, 9)), "");
        assert_eq!(sources.text(Span::new(file, 1, 9)), "bc");
    }
}
