//! In: a text before and after. Out: what changed, as a unified diff (GNU diffutils manual, "Detailed Description of
//! Unified Format").
//!
//! Secrets are masked and control characters are shown, as in every format. The shortest way from one text to the other
//! is sought (E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986); where that is long, everything
//! between the first and the last difference is told as replaced.

use std::fmt::Write as _;

use super::mask::masked_bytes;
use super::visible;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Texts that differ in more lines than this are not compared line by line.
const MOST_DIFFERENCES: usize = 1000;

/// What becomes of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It stands on both sides.
    Keep,
    /// It is gone.
    Remove,
    /// It is new.
    Add,
}

/// What changed in the file at `path`; empty where nothing did.
pub fn patch(path: &str, old: &[u8], new: &[u8], color: bool) -> String {
    let (old, new) = (masked_bytes(old), masked_bytes(new));
    let old: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
    let new: Vec<&[u8]> = new.split_inclusive(|byte| *byte == b'\n').collect();
    let hunks = hunks(&steps(&old, &new));
    if hunks.is_empty() {
        return String::new();
    }
    let path = super::one_line(path);
    let mut out = String::new();
    let mut line = |text: &str, code: &str| {
        // A writer into a string has no errors of its own.
        let _ = if color && !code.is_empty() {
            writeln!(out, "\x1b[{code}m{text}\x1b[0m")
        } else {
            writeln!(out, "{text}")
        };
    };
    line(&format!("--- {path}"), "1");
    line(&format!("+++ {path}"), "1");
    for hunk in &hunks {
        line(&hunk.header(), "36");
        let (mut left, mut right) = (hunk.old, hunk.new);
        for step in &hunk.steps {
            let (sign, text, code) = match step {
                Step::Keep => (' ', old.get(left), ""),
                Step::Remove => ('-', old.get(left), "31"),
                Step::Add => ('+', new.get(right), "32"),
            };
            left += usize::from(*step != Step::Add);
            right += usize::from(*step != Step::Remove);
            let text = text.copied().unwrap_or_default();
            let body = text.strip_suffix(b"\n");
            let shown = String::from_utf8_lossy(body.unwrap_or(text));
            let (shown, end) = match shown.strip_suffix('\r') {
                Some(shown) => (shown, "\r"),
                None => (shown.as_ref(), ""),
            };
            line(&format!("{sign}{}{end}", visible(shown)), code);
            if body.is_none() {
                line("\\ No newline at end of file", "");
            }
        }
    }
    out
}

/// A run of changes with its context; where it starts in both texts, from 0.
#[derive(Debug)]
struct Hunk {
    old: usize,
    new: usize,
    steps: Vec<Step>,
}

impl Hunk {
    fn header(&self) -> String {
        let side = |start: usize, other: Step| {
            let count = self.steps.iter().filter(|step| **step != other).count();
            // An empty side is told by the line before it.
            let first = if count == 0 { start } else { start + 1 };
            if count == 1 {
                first.to_string()
            } else {
                format!("{first},{count}")
            }
        };
        let (old, new) = (side(self.old, Step::Add), side(self.new, Step::Remove));
        format!("@@ -{old} +{new} @@")
    }
}

fn hunks(steps: &[Step]) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut old, mut new) = (0, 0);
    // How many lines of context may still be added to the last hunk.
    let mut open = 0;
    for (at, step) in steps.iter().enumerate() {
        let is_change = |step: &Step| *step != Step::Keep;
        let is_near = steps.iter().skip(at).take(CONTEXT + 1).any(is_change);
        if is_change(step) {
            open = CONTEXT + 1;
        }
        if is_near || open > 0 {
            let is_first = open == 0 && !is_within(&hunks, old, new);
            if is_first || hunks.is_empty() {
                let steps = Vec::new();
                hunks.push(Hunk { old, new, steps });
            }
            if let Some(hunk) = hunks.last_mut() {
                hunk.steps.push(*step);
            }
        }
        open = open.saturating_sub(1);
        old += usize::from(*step != Step::Add);
        new += usize::from(*step != Step::Remove);
    }
    hunks
}

/// Whether the last hunk reaches up to these lines.
fn is_within(hunks: &[Hunk], old: usize, new: usize) -> bool {
    hunks.last().is_some_and(|hunk| {
        let reach = |other: Step| hunk.steps.iter().filter(|step| **step != other).count();
        hunk.old + reach(Step::Add) == old && hunk.new + reach(Step::Remove) == new
    })
}

/// The shortest way from one list of lines to the other.
pub(crate) fn steps(old: &[&[u8]], new: &[&[u8]]) -> Vec<Step> {
    let same = |pairs: &mut dyn Iterator<Item = (&&[u8], &&[u8])>| {
        pairs.take_while(|(left, right)| left == right).count()
    };
    let head = same(&mut old.iter().zip(new));
    let (old, new) = (
        old.get(head..).unwrap_or(&[]),
        new.get(head..).unwrap_or(&[]),
    );
    let tail = same(&mut old.iter().rev().zip(new.iter().rev()));
    let old = old.get(..old.len() - tail).unwrap_or(&[]);
    let new = new.get(..new.len() - tail).unwrap_or(&[]);
    let middle = shortest(old, new).unwrap_or_else(|| {
        let removed = std::iter::repeat_n(Step::Remove, old.len());
        removed
            .chain(std::iter::repeat_n(Step::Add, new.len()))
            .collect()
    });
    let keep = |count| std::iter::repeat_n(Step::Keep, count);
    keep(head).chain(middle).chain(keep(tail)).collect()
}

/// The shortest way, unless it has too many differences.
fn shortest(old: &[&[u8]], new: &[&[u8]]) -> Option<Vec<Step>> {
    let most = (old.len() + new.len()).min(MOST_DIFFERENCES);
    // `reach[k]` is how far into `old` a way on diagonal `k - most - 1` (old minus new) gets.
    let zero = most + 1;
    let mut reach = vec![0_usize; 2 * most + 3];
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for round in 0..=most {
        rounds.push(reach.clone());
        for diagonal in (zero - round..=zero + round).step_by(2) {
            let below = *reach.get(diagonal - 1)?;
            let above = *reach.get(diagonal + 1)?;
            let adds = diagonal == zero - round || (diagonal != zero + round && below < above);
            let mut left = if adds { above } else { below + 1 };
            if round == 0 {
                left = 0;
            }
            let mut right = (left + zero).checked_sub(diagonal);
            while let Some(at) = right
                && let (Some(one), Some(other)) = (old.get(left), new.get(at))
                && one == other
            {
                left += 1;
                right = Some(at + 1);
            }
            *reach.get_mut(diagonal)? = left;
            if left >= old.len() && right.is_some_and(|right| right >= new.len()) {
                return Some(walked_back(&rounds, zero, old.len(), new.len()));
            }
        }
    }
    None
}

/// The steps of the way that ends at both texts' ends, from what each round reached.
fn walked_back(rounds: &[Vec<usize>], zero: usize, old: usize, new: usize) -> Vec<Step> {
    let (mut left, mut right) = (old, new);
    let mut steps = Vec::with_capacity(old + new);
    for (round, reach) in rounds.iter().enumerate().skip(1).rev() {
        let diagonal = left + zero - right;
        let at = |index: usize| reach.get(index).copied().unwrap_or(0);
        let (below, above) = (at(diagonal - 1), at(diagonal + 1));
        let adds = diagonal == zero - round || (diagonal != zero + round && below < above);
        let start = if adds { above } else { below + 1 };
        steps.extend(std::iter::repeat_n(Step::Keep, left.saturating_sub(start)));
        right -= left.saturating_sub(start);
        left = start;
        if adds {
            steps.push(Step::Add);
            right = right.saturating_sub(1);
        } else {
            steps.push(Step::Remove);
            left = left.saturating_sub(1);
        }
    }
    steps.extend(std::iter::repeat_n(Step::Keep, left));
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        let expected = "--- a\n+++ a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(patch("a", old, new, false), expected);
        assert_eq!(patch("a", old, old, false), "");
    }

    #[test]
    fn changes_far_apart_are_two_hunks_and_close_ones_are_one() {
        let text = |skip: &[usize]| {
            let lines = (1..=20).filter(|line| !skip.contains(line));
            lines.fold(String::new(), |text, line| format!("{text}{line}\n"))
        };
        let hunks = |skip: &[usize]| {
            let shown = patch("a", text(&[]).as_bytes(), text(skip).as_bytes(), false);
            shown.matches("@@ -").count()
        };
        assert_eq!(hunks(&[3, 18]), 2);
        assert_eq!(hunks(&[3, 10]), 1);
        assert_eq!(hunks(&[3, 11]), 2);
    }

    #[test]
    fn a_missing_line_feed_is_said() {
        let shown = patch("a", b"1", b"1\n2\n", false);
        let expected = "--- a\n+++ a\n@@ -1 +1,2 @@\n-1\n\\ No newline at end of file\n+1\n+2\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn secrets_and_control_characters_do_not_show() {
        let shown = patch("a", b"password: hunter2hunter2\n", b"\x1b[2J\n", false);
        assert!(
            !shown.contains("hunter2") && !shown.contains('\u{1b}'),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn the_steps_make_the_new_text_of_the_old_one(
            old in proptest::collection::vec(0_u8..4, 0..12),
            new in proptest::collection::vec(0_u8..4, 0..12),
        ) {
            let old: Vec<&[u8]> = old.iter().map(std::slice::from_ref).collect();
            let new: Vec<&[u8]> = new.iter().map(std::slice::from_ref).collect();
            let (mut left, mut right) = (old.iter(), new.iter());
            for step in steps(&old, &new) {
                match step {
                    Step::Keep => prop_assert_eq!(left.next().unwrap(), right.next().unwrap()),
                    Step::Remove => prop_assert!(left.next().is_some()),
                    Step::Add => prop_assert!(right.next().is_some()),
                }
            }
            prop_assert!(left.next().is_none() && right.next().is_none());
        }
    }
}
