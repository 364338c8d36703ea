//! In: a word of a script and the variables. Out: the words that the shell makes of it (XCU 2.6), where that is known.

use rustc_hash::FxHashMap;

use super::shell::piece_end;
use crate::config::iptables::parse::is_template;

/// A word as a command gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: Vec<u8>,
    /// Where it is not, the text names what would have to be known.
    pub(super) is_known: bool,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Values of variables; one that is not known is none here.
pub(super) type Variables = FxHashMap<Vec<u8>, Vec<u8>>;

/// The words that a word becomes.
pub(super) fn expand(text: &[u8], (start, end): (usize, usize), known: &Variables) -> Vec<Field> {
    let mut made = Making {
        fields: Vec::new(),
        text: Vec::new(),
        is_open: false,
        is_known: true,
        place: (start, end),
    };
    let whole = text.get(..end).unwrap_or(text);
    let mut at = start;
    while at < end {
        let next = piece_end(whole, at).clamp(at + 1, end);
        let piece = whole.get(at..next).unwrap_or_default();
        at = next;
        match piece {
            [b'\\', b'\n'] => {}
            [b'\\', rest @ ..] => made.put(rest),
            [b'\'', inner @ .., b'\''] => made.put(inner),
            [b'"', inner @ ..] => {
                made.is_open = true;
                quoted(inner.strip_suffix(b"\"").unwrap_or(inner), known, &mut made);
            }
            [b'$' | b'`', ..] => {
                let length = variable_length(whole.get(at - piece.len()..end).unwrap_or_default());
                let begin = at - piece.len();
                let length = length.max(piece.len());
                at = begin + length;
                match value(whole.get(begin..at).unwrap_or_default(), known) {
                    Ok(value) => made.split(value),
                    Err(raw) => made.unknown(&raw),
                }
            }
            _ => made.put(piece),
        }
    }
    made.finish_field();
    made.fields
}

/// The value of one word that is not split: the right side of an assignment.
pub(super) fn expand_one(text: &[u8], place: (usize, usize), known: &Variables) -> Option<Vec<u8>> {
    let raw = text.get(place.0..place.1)?;
    // `which iptables` gives iptables, wherever it is.
    let inner = [&b"$("[..], b"`", b"\"$(", b"\"`"]
        .iter()
        .find_map(|open| raw.strip_prefix(*open));
    if let Some(inner) = inner {
        let words: Vec<&[u8]> = inner
            .split(|byte| byte.is_ascii_whitespace() || matches!(byte, b')' | b'`' | b'"'))
            .filter(|word| !word.is_empty())
            .collect();
        return match words.as_slice() {
            [b"which" | b"command" | b"type", .., program]
                if program.ends_with(b"iptables") || program.ends_with(b"ip6tables") =>
            {
                Some(program.to_vec())
            }
            _ => None,
        };
    }
    let fields = expand(text, place, known);
    fields.iter().all(|field| field.is_known).then(|| {
        let texts: Vec<&[u8]> = fields.iter().map(|field| field.text.as_slice()).collect();
        texts.join(&b' ')
    })
}

struct Making {
    fields: Vec<Field>,
    text: Vec<u8>,
    /// There is a word, though it may be empty.
    is_open: bool,
    is_known: bool,
    place: (usize, usize),
}

impl Making {
    fn put(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.is_open = true;
    }

    fn unknown(&mut self, raw: &[u8]) {
        self.put(raw);
        self.is_known = false;
    }

    /// What an unquoted variable holds is split at blanks.
    fn split(&mut self, value: &[u8]) {
        let mut is_first = true;
        for word in value.split(u8::is_ascii_whitespace) {
            if !is_first {
                self.finish_field();
            }
            is_first = false;
            if !word.is_empty() {
                self.put(word);
            }
        }
    }

    fn finish_field(&mut self) {
        if self.is_open || !self.text.is_empty() {
            self.fields.push(Field {
                text: std::mem::take(&mut self.text),
                is_known: self.is_known,
                start: self.place.0,
                end: self.place.1,
            });
        }
        self.is_open = false;
        self.is_known = true;
    }
}

/// What stands between double quotes.
fn quoted(inner: &[u8], known: &Variables, made: &mut Making) {
    let mut at = 0;
    while let Some(byte) = inner.get(at) {
        match (byte, inner.get(at + 1)) {
            (b'\\', Some(next)) if matches!(next, b'"' | b'\\' | b'$' | b'`') => {
                made.put(&[*next]);
                at += 2;
            }
            (b'\\', Some(b'\n')) => at += 2,
            (b'$' | b'`', _) => {
                let rest = inner.get(at..).unwrap_or_default();
                let length = variable_length(rest)
                    .max(piece_end(rest, 0))
                    .clamp(1, rest.len());
                match value(rest.get(..length).unwrap_or_default(), known) {
                    Ok(value) => made.put(value),
                    Err(raw) => made.unknown(&raw),
                }
                at += length;
            }
            _ => {
                made.put(&[*byte]);
                at += 1;
            }
        }
    }
}

/// The length of `$NAME`, `$1`, `$?`.
fn variable_length(text: &[u8]) -> usize {
    let rest = text.get(1..).unwrap_or_default();
    let name = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    match (text.first(), rest.first()) {
        (Some(b'$'), Some(first)) if first.is_ascii_digit() => 2,
        (Some(b'$'), Some(b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-')) => 2,
        (Some(b'$'), _) => 1 + name,
        _ => 1,
    }
}

/// The value of `$NAME`, `${NAME}`, `${NAME:-..}`; else the text that tells what would have to be known.
fn value<'k>(raw: &[u8], known: &'k Variables) -> Result<&'k [u8], Vec<u8>> {
    if raw == b"$" {
        return Ok(b"$");
    }
    let name = match raw.strip_prefix(b"${") {
        Some(inner) => {
            let inner = inner.strip_suffix(b"}").unwrap_or(inner);
            let length = inner
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let (name, rest) = inner.split_at_checked(length).unwrap_or_default();
            let value = known.get(name);
            // A default counts where the variable is not set or empty.
            match (rest, value) {
                ([], _) => name,
                ([b':', b'-' | b'=' | b'?', ..] | [b'-' | b'=' | b'?', ..], Some(value))
                    if !value.is_empty() =>
                {
                    name
                }
                _ => &[],
            }
        }
        None => raw.strip_prefix(b"$").unwrap_or_default(),
    };
    known.get(name).map(Vec::as_slice).ok_or_else(|| {
        if is_template(raw) {
            return raw.to_vec();
        }
        let inner: Vec<u8> = raw
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'`' | b'$' | b'{' | b'}'))
            .collect();
        [b"${", inner.as_slice(), b"}"].concat()
    })
}
