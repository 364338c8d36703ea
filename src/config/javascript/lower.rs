//! In: the tokens of a program. Out: the values that the header is given, as pages.

use std::ops::Range;

use super::parse::{Token, tokens};
use crate::config::csp::{
    Delivery, Disposition, Document, Quoting, escaped, parse_policies, unread,
};
use crate::source::{FileId, Span};

/// A value that the header is given.
pub(super) struct Value {
    disposition: Disposition,
    /// The literal and its quote; `None`: it has another form.
    literal: Option<(Range<usize>, u8)>,
    /// Where the header is named.
    name: Range<usize>,
}

/// A page for every value.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> Vec<Document> {
    let values = values(bytes, &tokens(bytes));
    let pages = values.into_iter().enumerate().map(|(at, value)| {
        let mut page = Document::new(format!("policy {}", at + 1));
        page.policies = if let Some((inside, quote)) = value.literal {
            let quoting = if quote == b'\'' {
                Quoting::Backslashed
            } else {
                Quoting::Escaped
            };
            let text = escaped(file, bytes, &inside, quoting);
            parse_policies(&text, Delivery::Header, value.disposition)
        } else {
            let span = Span::new(file, value.name.start, value.name.end);
            let what = "what the program makes the value of this header".to_owned();
            vec![unread(span, what)]
        };
        page
    });
    pages.collect()
}

/// The values in the order of the text.
pub(super) fn values(bytes: &[u8], tokens: &[Token]) -> Vec<Value> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Literal(name, _) = token else {
            continue;
        };
        let word = bytes.get(name.clone()).unwrap_or_default();
        let disposition = match word.to_ascii_lowercase().as_slice() {
            b"content-security-policy" => Disposition::Enforce,
            b"content-security-policy-report-only" => Disposition::ReportOnly,
            _ => continue,
        };
        let Some(value) = value_at(bytes, tokens, at) else {
            continue;
        };
        found.push(Value {
            disposition,
            literal: literal(bytes, tokens, value, true),
            name: name.clone(),
        });
    }
    found
}

/// Where the value of the header that is named at a place begins.
fn value_at(bytes: &[u8], tokens: &[Token], name: usize) -> Option<usize> {
    let mark = |at: usize, wanted: u8| tokens.get(at) == Some(&Token::Mark(wanted));
    let word = |at: usize, wanted: &[&[u8]]| match tokens.get(at) {
        Some(Token::Word(range) | Token::Literal(range, _)) => {
            wanted.contains(&bytes.get(range.clone()).unwrap_or_default())
        }
        Some(Token::Mark(_) | Token::Regex(_)) | None => false,
    };
    // `{key: 'Content-Security-Policy', value: ..}`
    let is_key = mark(name.checked_sub(1)?, b':')
        && word(name.checked_sub(2)?, &[b"key", b"name", b"header"]);
    if is_key {
        let follows = mark(name + 1, b',') && word(name + 2, &[b"value"]) && mark(name + 3, b':');
        return follows.then_some(name + 4);
    }
    // `'Content-Security-Policy': ..`, `['Content-Security-Policy']: ..`
    let after = name + 1 + usize::from(mark(name + 1, b']'));
    if mark(after, b':') || mark(after, b'=') && !mark(after + 1, b'=') {
        return Some(after + 1);
    }
    // `setHeader('Content-Security-Policy', ..)`
    let sets = mark(name - 1, b'(')
        && word(
            name.checked_sub(2)?,
            &[b"setHeader", b"set", b"header", b"append"],
        );
    (sets && mark(name + 1, b',')).then_some(name + 2)
}

/// The literal that a value is, where it is no more than that.
fn literal(
    bytes: &[u8],
    tokens: &[Token],
    at: usize,
    may_be_named: bool,
) -> Option<(Range<usize>, u8)> {
    match tokens.get(at)? {
        Token::Literal(inside, quote) => {
            let text = bytes.get(inside.clone())?;
            (is_plain(text) && ends(bytes, tokens, at + 1, text)).then(|| (inside.clone(), *quote))
        }
        Token::Word(name) if may_be_named => {
            let name = bytes.get(name.clone())?;
            let is = |at: usize, wanted: &[u8]| matches!(tokens.get(at), Some(Token::Word(range)) if bytes.get(range.clone()) == Some(wanted));
            let mut places = (1..tokens.len()).filter(|place| {
                is(*place, name) && tokens.get(place + 1) == Some(&Token::Mark(b'='))
            });
            let place = places.next()?;
            if places.next().is_some() || !is(place - 1, b"const") {
                return None;
            }
            let (inside, quote) = literal(bytes, tokens, place + 2, false)?;
            let text = bytes.get(inside.clone())?;
            ends(bytes, tokens, at + 1, text).then_some((inside, quote))
        }
        Token::Word(_) | Token::Regex(_) | Token::Mark(_) => None,
    }
}

/// Whether what a template literal fills in holds no braces and templates of its own.
fn is_plain(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, b"${").all(|at| {
        let inside = text.get(at + 2..).unwrap_or_default();
        let length = memchr::memchr(b'}', inside).unwrap_or(inside.len());
        !inside
            .iter()
            .take(length)
            .any(|byte| matches!(byte, b'{' | b'`'))
    })
}

/// Whether a value ends at a place, but for calls that only fold its blanks.
fn ends(bytes: &[u8], tokens: &[Token], from: usize, text: &[u8]) -> bool {
    const STATEMENTS: [&[u8]; 13] = [
        b"const",
        b"let",
        b"var",
        b"export",
        b"module",
        b"function",
        b"import",
        b"async",
        b"class",
        b"return",
        b"if",
        b"for",
        b"app",
    ];
    const FOLDS: [&[u8]; 4] = [br"/\s{2,}/g", br"/\n/g", br"/\s+/g", br"/\r?\n/g"];
    let mut at = from;
    loop {
        let token = |offset: usize| tokens.get(at + offset);
        let is = |offset: usize, wanted: u8| token(offset) == Some(&Token::Mark(wanted));
        match token(0) {
            None | Some(Token::Mark(b',' | b'}' | b')' | b';' | b']')) => return true,
            Some(Token::Word(word)) => {
                return STATEMENTS.contains(&bytes.get(word.clone()).unwrap_or_default());
            }
            Some(Token::Mark(b'.')) => {}
            Some(Token::Mark(_) | Token::Literal(..) | Token::Regex(_)) => return false,
        }
        let Some(Token::Word(call)) = token(1) else {
            return false;
        };
        match bytes.get(call.clone()).unwrap_or_default() {
            b"trim" if is(2, b'(') && is(3, b')') => at += 4,
            b"replace" | b"replaceAll" if is(2, b'(') && is(4, b',') && is(6, b')') => {
                let (Some(Token::Regex(regex)), Some(Token::Literal(by, _))) = (token(3), token(5))
                else {
                    return false;
                };
                let folds = FOLDS.contains(&bytes.get(regex.clone()).unwrap_or_default());
                let by = bytes.get(by.clone()).unwrap_or_default();
                if !folds || !(by == b" " || by.is_empty() && joins_nothing(text, bytes, regex)) {
                    return false;
                }
                at += 7;
            }
            _ => return false,
        }
    }
}

/// Whether a text whose line breaks are taken out keeps its words apart: a blank or a semicolon stands beside each.
fn joins_nothing(text: &[u8], bytes: &[u8], regex: &Range<usize>) -> bool {
    let takes_blanks = bytes.get(regex.clone()) != Some(br"/\n/g");
    !takes_blanks
        && memchr::memchr_iter(b'\n', text).all(|at| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            let after = text.get(at + 1);
            [before, after].into_iter().any(|byte| {
                byte.is_none_or(|byte| {
                    byte.is_ascii_whitespace() && *byte != b'\n' || *byte == b';'
                })
            })
        })
}
