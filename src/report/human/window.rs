//! In: a file and the places to show. Out: only the lines around them, long lines cut to what matters, as a source that
//! miette can draw.
//!
//! A config line may be a header of many kilobytes and a file may hold a million lines, so neither is handed over: the
//! window holds the few lines it needs, each with its real number, and maps the labels into them.
//!
//! Invariants: every label lies within one run of consecutive lines of the window; no character of the window would be
//! obeyed by a terminal.

use std::collections::BTreeSet;
use std::ops::Range;

use miette::{LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::finding::Label;
use crate::report::one_line;
use crate::report::visible::push_visible;
use crate::source::SourceFile;

/// Lines up to this many bytes are shown whole.
const WHOLE: usize = 160;
/// What is kept before and behind a label on a longer line.
const AROUND: usize = 32;
/// A label longer than this keeps its beginning and its end.
const LONGEST: usize = 120;
/// A label over more lines than this points at its first line only.
const MOST_LINES: u32 = 6;

/// Some lines of a file.
#[derive(Debug)]
pub(super) struct Window {
    name: String,
    text: String,
    lines: Vec<Line>,
    labels: Vec<Placed>,
}

/// One line of the window.
#[derive(Debug)]
struct Line {
    /// In the file, from 1.
    number: u32,
    /// In the window's text, with the line feed.
    at: Range<usize>,
}

/// A label in the window.
#[derive(Debug)]
struct Placed {
    at: Range<usize>,
    /// In the file, from 1.
    column: u32,
    text: String,
    is_primary: bool,
}

impl Window {
    /// The lines of `file` that the labels need; the first label is the main one.
    pub(super) fn new(file: &SourceFile, labels: &[&Label]) -> Self {
        let spans: Vec<Range<usize>> = labels
            .iter()
            .map(|label| clipped(file, label.span.range()))
            .collect();
        let numbers: BTreeSet<u32> = spans
            .iter()
            .flat_map(|span| line_of(file, span.start)..=line_of(file, span.end))
            .collect();
        let mut window = Self {
            name: one_line(&file.path),
            text: String::new(),
            lines: Vec::new(),
            labels: Vec::new(),
        };
        let mut places = vec![0..0; spans.len()];
        for number in numbers {
            let start = window.text.len();
            window.add_line(file, number, &spans, &mut places);
            window.text.push('\n');
            let at = start..window.text.len();
            window.lines.push(Line { number, at });
        }
        window.labels = labels
            .iter()
            .zip(places)
            .enumerate()
            .map(|(index, (label, at))| Placed {
                at,
                column: file.position(label.span.start).column,
                text: one_line(&label.text),
                is_primary: index == 0,
            })
            .collect();
        // Two labels at one place would be drawn into each other: the first says it.
        let mut seen: Vec<Range<usize>> = Vec::new();
        window.labels.retain(|label| {
            let fresh = !seen.contains(&label.at);
            seen.push(label.at.clone());
            fresh
        });
        window
    }

    /// The labels, in the window's offsets.
    pub(super) fn labels(&self) -> impl Iterator<Item = LabeledSpan> + '_ {
        self.labels.iter().map(|label| {
            let span = (label.at.start, label.at.len());
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            if label.is_primary {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        })
    }

    /// Appends one line, cut where it is long, and notes where the labels' ends come to lie.
    fn add_line(
        &mut self,
        file: &SourceFile,
        number: u32,
        spans: &[Range<usize>],
        places: &mut [Range<usize>],
    ) {
        let line = trimmed(file, file.line_range(number));
        let kept = if line.len() <= WHOLE {
            vec![line.clone()]
        } else {
            around(file, &line, spans)
        };
        let mut marks: Vec<(usize, usize)> = Vec::new();
        let mut before = line.start;
        for piece in kept {
            if piece.start > before {
                self.text.push('…');
            }
            before = piece.end;
            let mut offset = piece.start;
            for chunk in file.slice(piece).utf8_chunks() {
                for c in chunk.valid().chars() {
                    marks.push((offset, self.text.len()));
                    push_visible(&mut self.text, c);
                    offset += c.len_utf8();
                }
                if !chunk.invalid().is_empty() {
                    marks.push((offset, self.text.len()));
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    offset += chunk.invalid().len();
                }
            }
            marks.push((offset, self.text.len()));
        }
        if before < line.end {
            self.text.push('…');
        }
        let end = self.text.len();
        let place = |offset: usize| {
            let at = marks.partition_point(|(real, _)| *real < offset);
            marks.get(at).map_or(end, |(_, shown)| *shown)
        };
        let here = file.line_range(number);
        for (span, at) in spans.iter().zip(places) {
            if (here.start..=here.end).contains(&span.start) && line_of(file, span.start) == number
            {
                at.start = place(span.start);
                at.end = at.start;
            }
            if (here.start..=here.end).contains(&span.end) && line_of(file, span.end) == number {
                at.end = place(span.end).max(at.start);
            }
        }
    }

    /// The lines that a range of the window touches, if they are consecutive in the file.
    fn run(&self, at: Range<usize>) -> Option<&[Line]> {
        let touches = |line: &Line| line.at.start <= at.end && at.start < line.at.end;
        let first = self.lines.iter().position(touches)?;
        let last = self.lines.iter().rposition(|line| {
            touches(line) && (line.at.start < at.end || line.at.contains(&at.start))
        })?;
        let run = self.lines.get(first..=last.max(first))?;
        let consecutive = run
            .iter()
            .zip(run.iter().skip(1))
            .all(|(line, next)| line.number + 1 == next.number);
        consecutive.then_some(run)
    }
}

impl SourceCode for Window {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let at = span.offset()..span.offset() + span.len();
        let run = self.run(at.clone()).ok_or(MietteError::OutOfBounds)?;
        let (first, last) = run
            .first()
            .zip(run.last())
            .ok_or(MietteError::OutOfBounds)?;
        let bytes = first.at.start..last.at.end;
        let column = self
            .labels
            .iter()
            .find(|label| label.at.start == at.start)
            .map_or(0, |label| label.column.saturating_sub(1));
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text
                .as_bytes()
                .get(bytes.clone())
                .ok_or(MietteError::OutOfBounds)?,
            (bytes.start, bytes.len()).into(),
            first.number.saturating_sub(1) as usize,
            column as usize,
            run.len(),
        )))
    }
}

/// A span within its file, without the line ends behind it, and over few lines.
fn clipped(file: &SourceFile, span: Range<usize>) -> Range<usize> {
    let start = span.start.min(file.bytes.len());
    let mut end = start + trimmed_len(file.slice(start..span.end));
    let first = line_of(file, start);
    if line_of(file, end) - first >= MOST_LINES {
        end = trimmed(file, file.line_range(first)).end.max(start);
    }
    start..end
}

fn trimmed(file: &SourceFile, line: Range<usize>) -> Range<usize> {
    let len = trimmed_len(file.slice(line.clone()));
    line.start..line.start + len
}

fn trimmed_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
        .map_or(0, |last| last + 1)
}

fn line_of(file: &SourceFile, offset: usize) -> u32 {
    file.line(u32::try_from(offset).unwrap_or(u32::MAX))
}

/// The pieces of a long line that are worth showing: its beginning where no label is on it, else what is around labels.
fn around(file: &SourceFile, line: &Range<usize>, spans: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for span in spans {
        if span.end < line.start || span.start > line.end {
            continue;
        }
        let (start, end) = (span.start.max(line.start), span.end.min(line.end));
        if end - start <= LONGEST {
            pieces.push(start.saturating_sub(AROUND)..end + AROUND);
        } else {
            pieces.push(start.saturating_sub(AROUND)..start + LONGEST - AROUND);
            pieces.push(end - AROUND..end + AROUND);
        }
    }
    if pieces.is_empty() {
        pieces.push(line.start..line.start + WHOLE);
    }
    pieces.sort_unstable_by_key(|piece| piece.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for piece in pieces {
        let piece = char_start(file, piece.start.max(line.start))
            ..char_start(file, piece.end.min(line.end));
        match merged.last_mut() {
            Some(last) if piece.start <= last.end => last.end = last.end.max(piece.end),
            Some(_) | None => merged.push(piece),
        }
    }
    merged
}

/// The offset, moved back to where its UTF-8 character begins.
fn char_start(file: &SourceFile, offset: usize) -> usize {
    let is_inside = |at: &usize| {
        file.bytes
            .get(*at)
            .is_some_and(|byte| (0x80..0xc0).contains(byte))
    };
    (offset.saturating_sub(3)..=offset)
        .rev()
        .find(|at| !is_inside(at))
        .unwrap_or(offset)
}
