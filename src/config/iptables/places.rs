//! In: words of a text that was made from a file. Out: where in the file each comes from.
//!
//! Rules of a script are read in the words that the shell would give to iptables; messages point at what its author wrote.

use crate::source::{FileId, Span};

/// Where the words of a made text come from; empty for a text that is the file itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// Where a word begins in the text, and its place in the file; ascending.
    words: Vec<(usize, usize, usize)>,
}

impl Places {
    /// A word at `at` of the text stands for a place of the file.
    pub(super) fn add(&mut self, at: usize, start: usize, end: usize) {
        self.words.push((at, start, end));
    }

    /// The place in the file of a piece of the text.
    pub(super) fn span(&self, file: FileId, start: usize, end: usize) -> Span {
        let word = |at: usize| {
            let after = self.words.partition_point(|(begin, _, _)| *begin <= at);
            self.words.get(after.checked_sub(1)?)
        };
        match (word(start), word(end.saturating_sub(1).max(start))) {
            (Some((_, from, first)), Some((_, _, to))) => {
                // A word that comes from elsewhere may stand before the one that it follows here.
                Span::new(file, *from, (*to).max(*first))
            }
            _ => Span::new(file, start, end),
        }
    }
}
