//! In: a `Header` directive. Out: what it does to the policies of a response, or why httpd refuses it.
//!
//! Source: `mod_headers` (`httpd.apache.org/docs/2.4/mod/mod_headers.html`); the order of the arguments and the escapes of
//! a value as `header_cmd` and `parse_format_string` in `modules/metadata/mod_headers.c` read them.

use super::parse::Directive;
use crate::config::csp::{
    Change, Delivery, Disposition, Doubt, Policy, Quoting, Text, disposition, parse_policies,
    unread,
};
use crate::source::{Span, Spanned};

/// A change of a header that carries policies.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// The table that it changes: both are sent.
    pub(super) table: Which,
    /// The header.
    pub(super) disposition: Disposition,
    /// What becomes of it.
    pub(super) change: Change,
    /// Whether that happens.
    pub(super) doubt: Option<Doubt>,
}

/// The two tables of headers that httpd keeps for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Errors that httpd answers with by itself drop it.
    OnSuccess,
    /// It goes with every response.
    Always,
}

/// What a `Header` line does; nothing where it is about another header.
pub(super) fn operation(directive: &Directive) -> Result<Option<Operation>, Spanned<String>> {
    let refuse = |words: &str| Err(Spanned::new(words.to_owned(), directive.span));
    let mut words = directive.words.iter().peekable();
    let lower = |word: &Text| String::from_utf8_lossy(word.bytes()).to_ascii_lowercase();
    let table = match words.peek().map(|word| lower(word)).as_deref() {
        Some("always") => Some(Which::Always),
        Some("onsuccess") => Some(Which::OnSuccess),
        Some(_) | None => None,
    };
    if table.is_some() {
        words.next();
    }
    let action = words.next().map(lower).unwrap_or_default();
    if !ACTIONS.contains(&action.as_str()) {
        if action.contains("${") {
            return Ok(None);
        }
        return refuse(
            "the first argument of `Header` must be add, append, echo, edit, edit*, merge, note, set, setifempty or unset",
        );
    }
    let name = words.next();
    let rest: Vec<&Text> = words.collect();
    let wants = match action.as_str() {
        "edit" | "edit*" => 2,
        "unset" | "echo" => 0,
        _ => 1,
    };
    let Some(name) = name.filter(|_| rest.len() >= wants) else {
        return refuse("arguments of `Header` are missing");
    };
    if rest.len() > wants + 1 {
        return refuse("`Header` has too many arguments: a value with blanks stands in quotes");
    }
    let condition = rest.get(wants).map(|word| lower(word));
    let is_condition = |word: &str| {
        word == "early" || word.starts_with("env=") || word.starts_with("expr=") || is_filled(word)
    };
    if condition.as_deref().is_some_and(|word| !is_condition(word)) {
        return refuse("the last argument of `Header` must be `early`, `env=..` or `expr=..`");
    }
    let value = rest.first().filter(|_| wants > 0).copied();
    if let (Some(value), false) = (value, wants == 2)
        && let Some(words) = bad_format(value)
    {
        return refuse(&words);
    }
    let header = name.bytes().split(|byte| *byte == b':').next();
    let Some(disposition) = disposition(header.unwrap_or_default()) else {
        return Ok(None);
    };
    let Some(change) = change(&action, value, disposition, directive.span) else {
        return Ok(None);
    };
    let doubt = condition.map(|word| Doubt {
        span: directive.span,
        what: format!("whether `{word}` holds"),
    });
    Ok(Some(Operation {
        table: table.unwrap_or(Which::OnSuccess),
        disposition,
        change,
        doubt,
    }))
}

/// What a `Header` line may do.
pub(super) const ACTIONS: [&str; 10] = [
    "add",
    "append",
    "echo",
    "edit",
    "edit*",
    "merge",
    "note",
    "set",
    "setifempty",
    "unset",
];

/// What an action does to the lines of a header; `echo` and `note` change no line.
fn change(
    action: &str,
    value: Option<&Text>,
    disposition: Disposition,
    span: Span,
) -> Option<Change> {
    let policies = || value.map_or_else(Vec::new, |value| policies(value, disposition, span));
    Some(match action {
        // A value that `merge` finds there already would change nothing by being there twice.
        "add" | "append" | "merge" => Change::Add(policies()),
        "set" => Change::Set(policies()),
        "setifempty" => Change::SetIfEmpty(policies()),
        "unset" => Change::Unset,
        "edit" | "edit*" => Change::Rewrite(Doubt {
            span,
            what: "what `Header edit` makes of the value".to_owned(),
        }),
        _ => return None,
    })
}

/// The policies of a value: `%{X}e` and `${X}` are holes, `%%` is a percent sign, `\t` a tab.
fn policies(value: &Text, disposition: Disposition, span: Span) -> Vec<Policy> {
    let what = || "what the server makes this value of".to_owned();
    let bytes = value.bytes();
    // What fills an unquoted word may be several words.
    let is_split =
        is_filled(&String::from_utf8_lossy(bytes)) && value.quoting() == Quoting::Unquoted;
    if bytes.starts_with(b"expr=") || is_split {
        let mut policy = unread(span, what());
        policy.disposition = disposition;
        return vec![policy];
    }
    let mut text = value.emptied();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let next = bytes.get(at + 1).copied();
        let raw = value.span(&(at..at + 2)).range();
        let decoded: Option<&[u8]> = match (byte, next) {
            (b'\\', Some(b't')) => Some(b"\t"),
            (b'\\', Some(b'\\')) => Some(b"\\"),
            (b'%', Some(b'%')) => Some(b"%"),
            // A line break in a value makes the answer an error.
            (b'\\', Some(b'n' | b'r')) | (b'%', Some(b't' | b'D' | b'l' | b'i' | b'b')) => {
                let mut policy = unread(span, what());
                policy.disposition = disposition;
                return vec![policy];
            }
            _ => None,
        };
        if let Some(decoded) = decoded {
            text.push(decoded, raw);
            at += 2;
        } else {
            text.push_byte(byte, value.span(&(at..at + 1)).range());
            at += 1;
        }
    }
    parse_policies(&text, Delivery::Header, disposition)
}

/// Whether httpd puts the value of a variable into a word while it reads the file.
fn is_filled(word: &str) -> bool {
    word.contains("${")
}

/// Why `parse_format_tag` refuses a value.
fn bad_format(value: &Text) -> Option<String> {
    let bytes = value.bytes();
    if bytes.starts_with(b"expr=") {
        return None;
    }
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'%', bytes.get(at..)?) {
        let rest = bytes.get(at + found + 1..)?;
        let taken = match rest.first() {
            Some(b'%' | b't' | b'D' | b'l' | b'i' | b'b') => 1,
            Some(b'{') => {
                let close = memchr::memchr(b'}', rest)?;
                match rest.get(close + 1) {
                    Some(b'e' | b's') => close + 2,
                    _ => return Some("`%{..}` must be followed by `e` or `s`".to_owned()),
                }
            }
            // At the end of a value it stands for itself.
            None => return None,
            Some(_) => {
                return Some("a percent sign in a value is written `%%`".to_owned());
            }
        };
        at += found + 1 + taken;
    }
    None
}
