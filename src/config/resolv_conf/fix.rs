//! In: a requirement that a resolv.conf does not meet. Out: the line that switches EDNS0 on, or the margin for one
//! that stands where nobody reads it.

use super::parse::Config;
use crate::config::{Blocked, Edit, Fix, Input};
use crate::source::Span;

/// Adds `edns0` to the options that count, or a line of its own.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if blocked.setting != Some("dns.edns0") || config.edns0.is_some() {
        return Vec::new();
    }
    let mut fixes: Vec<Fix> = config
        .looks_like_edns0
        .iter()
        .filter_map(|line| unindented(input, line.span))
        .collect();
    let edit = if let Some(after) = config.options {
        Edit {
            span: after,
            text: " edns0".to_owned(),
        }
    } else {
        let end = input.bytes.len();
        let ends_a_line = input.bytes.last().is_none_or(|last| *last == b'\n');
        Edit {
            span: Span::new(input.file, end, end),
            text: format!("{}options edns0\n", if ends_a_line { "" } else { "\n" }),
        }
    };
    fixes.push(Fix {
        title: match config.options {
            Some(_) => "add `edns0` to the `options` line".to_owned(),
            None => "add the line `options edns0`".to_owned(),
        },
        edits: vec![edit],
        safe: true,
    });
    fixes
}

/// A line that nobody reads because it does not start at the margin (glibc, `resolv/res_init.c`), moved there.
fn unindented(input: &Input<'_>, line: Span) -> Option<Fix> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let before = input.bytes.get(..line.range().start)?;
    let start = memchr::memrchr(b'\n', before).map_or(0, |feed| feed + 1);
    let text = input.bytes.get(start..)?;
    let blanks = text.iter().take_while(|byte| is_blank(byte)).count();
    let number = memchr::memchr_iter(b'\n', before).count() + 1;
    (blanks > 0).then(|| Fix {
        title: format!("delete the blanks in front of line {number}"),
        edits: vec![Edit {
            span: Span::new(input.file, start, start + blanks),
            text: String::new(),
        }],
        safe: true,
    })
}
