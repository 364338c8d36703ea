//! In: a requirement that a resolv.conf does not meet. Out: the line that switches EDNS0 on.

use super::parse::Config;
use crate::config::{Blocked, Edit, Fix, Input};
use crate::source::Span;

/// Adds `edns0` to the options that count, or a line of its own.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if blocked.setting != Some("dns.edns0") || config.edns0.is_some() {
        return Vec::new();
    }
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
    vec![Fix {
        title: match config.options {
            Some(_) => "add `edns0` to the `options` line".to_owned(),
            None => "add the line `options edns0`".to_owned(),
        },
        edits: vec![edit],
        safe: true,
    }]
}
