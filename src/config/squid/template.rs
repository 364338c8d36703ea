//! In: the bytes of a file. Out: whether it is a template of a config, and where that shows.

use super::TEMPLATE;
use crate::config::{DialectFinding, Input};
use crate::source::{Span, Spanned};

/// The first placeholder outside of comments.
pub(super) fn residue(input: &Input<'_>) -> Option<DialectFinding> {
    let mut at = 0;
    for line in input.bytes.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let content = line.trim_ascii_start();
        let code = !content.starts_with(b"#");
        let found = MARKS.iter().find_map(|mark| {
            (code || mark.in_comments)
                .then(|| memchr::memmem::find(line, mark.text))
                .flatten()
                .filter(|place| mark.text != b"${" || !is_macro(line.get(*place..)))
                .map(|place| (place, mark))
        });
        if let Some((place, mark)) = found {
            let begin = start + place;
            let span = Span::new(input.file, begin, begin + mark.text.len());
            return Some(DialectFinding {
                id: TEMPLATE,
                title: format!("This is a template ({}), not a config", mark.language),
                label: Spanned::new("a placeholder".to_owned(), span),
                related: Vec::new(),
                help: Some("check the file that the template makes".to_owned()),
                fix: None,
                refuses: false,
            });
        }
    }
    None
}

struct Mark {
    text: &'static [u8],
    language: &'static str,
    /// Control structures are often hidden in comments.
    in_comments: bool,
}

const MARKS: &[Mark] = &[
    Mark {
        text: b"{{",
        language: "Jinja or Go",
        in_comments: false,
    },
    Mark {
        text: b"{%",
        language: "Jinja",
        in_comments: false,
    },
    Mark {
        text: b"<%",
        language: "ERB",
        in_comments: false,
    },
    Mark {
        text: b"<?",
        language: "PHP",
        in_comments: true,
    },
    Mark {
        text: b"${",
        language: "shell",
        in_comments: false,
    },
];

/// Squid's own macros (`src/cache_cf.cc`).
fn is_macro(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| {
        [
            &b"${service_name}"[..],
            b"${process_name}",
            b"${process_number}",
        ]
        .iter()
        .any(|name| text.starts_with(name))
    })
}
