//! In: one header value or meta content. Out: its policies.
//!
//! CSP3, 2.2.1 "Parse a serialized CSP", as Chromium does it: a comma starts another policy, `;` another directive, the
//! first of several directives with one name counts, a directive with a character outside printable ASCII and
//! whitespace is dropped whole (and still keeps later ones of its name from counting).
//!
//! What a template fills in (`${X}`, `{{x}}`, `<%= x %>`, `$x`) is one unit whatever it contains; a text that was sent has no
//! templates any more.

use std::collections::HashMap;
use std::ops::Range;

use crate::source::{Span, Spanned};

use super::source::parse_source;
use super::syntax::{Delivery, Directive, Disposition, Fate, Known, Name, Policy, Source, Token};
use super::text::{Quoting, Text};

/// The policies of one header value or meta content, empty ones left out.
pub(in crate::config) fn parse_policies(
    text: &Text,
    delivery: Delivery,
    disposition: Disposition,
) -> Vec<Policy> {
    let holes = if text.is_final() {
        Holes(text.holes().to_vec())
    } else {
        Holes::find(text.bytes())
    };
    let whole = 0..text.bytes().len();
    let mut policies = Vec::new();
    for part in split(text.bytes(), &whole, &holes, |byte| byte == b',') {
        let comma = (part.start > 0).then(|| text.span(&(part.start - 1..part.start)));
        let part = trim(text.bytes(), &part);
        if part.is_empty() {
            continue;
        }
        policies.push(Policy {
            delivery,
            disposition,
            directives: directives(text, &part, &holes, delivery),
            span: text.span(&part),
            quoting: text.quoting(),
            after_comma: comma,
        });
    }
    policies
}

/// A policy that may be sent, of which nothing can be read; what is missing completes "cannot tell without ...".
pub(in crate::config) fn unread(span: Span, what: String) -> Policy {
    Policy {
        delivery: Delivery::Header,
        disposition: Disposition::Enforce,
        directives: vec![Directive {
            name: Spanned::new(Name::Unrecognised, span),
            written: String::new(),
            values: Vec::new(),
            span,
            fate: Fate::Unread(what),
        }],
        span,
        quoting: Quoting::Unquoted,
        after_comma: None,
    }
}

fn directives(
    text: &Text,
    policy: &Range<usize>,
    holes: &Holes,
    delivery: Delivery,
) -> Vec<Directive> {
    let mut first: HashMap<String, Span> = HashMap::new();
    let mut directives = Vec::new();
    for part in split(text.bytes(), policy, holes, |byte| byte == b';') {
        let part = trim(text.bytes(), &part);
        if part.is_empty() {
            continue;
        }
        let mut tokens =
            split(text.bytes(), &part, holes, is_space).filter(|token| !token.is_empty());
        let Some(name_at) = tokens.next() else {
            continue;
        };
        let written = lossy(text.slice(&name_at));
        let lower = written.to_ascii_lowercase();
        let span = text.span(&part);
        let name = Known::from_word(&lower).map_or(Name::Unrecognised, Name::Known);
        let fate = if holes.touch(&name_at) {
            Fate::Template
        } else if let Some(earlier) = first.get(&lower) {
            Fate::Duplicate(*earlier)
        } else {
            first.insert(lower, span);
            if let Some(refused) = refused_character(text, &part, holes) {
                Fate::Dropped(refused)
            } else {
                match name {
                    Name::Unrecognised => Fate::Unrecognised,
                    Name::Known(Known::FrameAncestors | Known::ReportUri | Known::Sandbox)
                        if delivery == Delivery::Meta =>
                    {
                        Fate::IgnoredInMeta
                    }
                    Name::Known(_) => Fate::InForce,
                }
            }
        };
        let values = tokens
            .map(|token| {
                let written = lossy(text.slice(&token));
                Token {
                    source: source(&written, holes.touch(&token)),
                    span: text.span(&token),
                    text: written,
                }
            })
            .collect();
        directives.push(Directive {
            name: Spanned::new(name, text.span(&name_at)),
            written,
            values,
            span,
            fate,
        });
    }
    directives
}

fn source(token: &str, from_template: bool) -> Source {
    if !from_template {
        return parse_source(token);
    }
    // Whatever the template fills in, these stay what they are.
    let lower = token.to_ascii_lowercase();
    if lower.starts_with("'nonce-") {
        Source::Nonce(token.to_owned())
    } else if lower.starts_with("'sha") {
        Source::Hash(super::syntax::HashOf::Content)
    } else {
        Source::Template
    }
}

/// The first character that makes browsers drop the whole directive: not ASCII, or a control character that is no ASCII
/// whitespace. CSP3 drops the former; Chromium drops both.
fn refused_character(text: &Text, part: &Range<usize>, holes: &Holes) -> Option<Spanned<char>> {
    let bytes = text.slice(part);
    let (at, _) = bytes.iter().enumerate().find(|(at, byte)| {
        let refused = !byte.is_ascii() || (byte.is_ascii_control() && !is_space(**byte));
        refused && !holes.contain(part.start + at)
    })?;
    let rest = bytes.get(at..).unwrap_or_default();
    let rest = rest.get(..4).unwrap_or(rest);
    let character = String::from_utf8_lossy(rest).chars().next()?;
    let width = if character == char::REPLACEMENT_CHARACTER {
        1
    } else {
        character.len_utf8()
    };
    let start = part.start + at;
    Some(Spanned::new(character, text.span(&(start..start + width))))
}

/// The parts between separators outside templates.
fn split<'a>(
    bytes: &'a [u8],
    within: &Range<usize>,
    holes: &'a Holes,
    separates: impl Fn(u8) -> bool + 'a,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let end = within.end;
    let mut next = Some(within.start);
    std::iter::from_fn(move || {
        let start = next?;
        let mut at = start;
        loop {
            if at >= end {
                next = None;
                return Some(start..end);
            }
            if let Some(hole) = holes.starting_at(at) {
                at = hole.end.min(end);
            } else if bytes.get(at).is_some_and(|byte| separates(*byte)) {
                next = Some(at + 1);
                return Some(start..at);
            } else {
                at += 1;
            }
        }
    })
}

fn trim(bytes: &[u8], range: &Range<usize>) -> Range<usize> {
    let slice = bytes.get(range.clone()).unwrap_or_default();
    let lead = slice.iter().take_while(|byte| is_space(**byte)).count();
    let tail = slice
        .iter()
        .skip(lead)
        .rev()
        .take_while(|byte| is_space(**byte))
        .count();
    range.start + lead..range.end - tail
}

/// ASCII whitespace (Infra, 4.6): not the vertical tab.
pub(in crate::config) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where a template fills something in.
struct Holes(Vec<Range<usize>>);

/// What opens and closes a placeholder in the template languages that policies are found in.
const BRACKETS: [(&[u8], &[u8]); 7] = [
    (b"${", b"}"),
    (b"{{", b"}}"),
    (b"{%", b"%}"),
    (b"<%", b"%>"),
    (b"#{", b"}"),
    (b"%{", b"}"),
    (b"%(", b")s"),
];

impl Holes {
    fn find(bytes: &[u8]) -> Self {
        let mut holes = Vec::new();
        // A closing bracket that is nowhere after one place is nowhere after a later one: look for each only once.
        let mut missing = [false; BRACKETS.len()];
        let mut at = 0;
        while let Some(found) =
            memchr::memchr3(b'$', b'{', b'<', bytes.get(at..).unwrap_or_default())
                .into_iter()
                .chain(memchr::memchr2(
                    b'#',
                    b'%',
                    bytes.get(at..).unwrap_or_default(),
                ))
                .min()
        {
            let start = at + found;
            let rest = bytes.get(start..).unwrap_or_default();
            let bracket = BRACKETS
                .iter()
                .zip(&mut missing)
                .find(|((open, _), missing)| !**missing && rest.starts_with(open));
            let mut end = None;
            if let Some(((open, close), missing)) = bracket {
                let inside = rest.get(open.len()..).unwrap_or_default();
                if let Some(length) = memchr::memmem::find(inside, close) {
                    end = Some(start + open.len() + length + close.len());
                } else {
                    *missing = true;
                }
            }
            let end = end.or_else(|| variable(rest).map(|length| start + length));
            if let Some(end) = end {
                holes.push(start..end);
                at = end;
            } else {
                at = start + 1;
            }
        }
        Self(holes)
    }

    fn after(&self, at: usize) -> Option<&Range<usize>> {
        self.0.get(self.0.partition_point(|hole| hole.end <= at))
    }

    fn starting_at(&self, at: usize) -> Option<&Range<usize>> {
        self.after(at).filter(|hole| hole.start == at)
    }

    fn contain(&self, at: usize) -> bool {
        self.after(at).is_some_and(|hole| hole.start <= at)
    }

    fn touch(&self, range: &Range<usize>) -> bool {
        self.after(range.start)
            .is_some_and(|hole| hole.start < range.end)
    }
}

/// The length of `$name`.
fn variable(rest: &[u8]) -> Option<usize> {
    let (dollar, name) = rest.split_first()?;
    let starts = name
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    (*dollar == b'$' && starts).then(|| {
        1 + name
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn parse(raw: &str) -> (Sources, Vec<Policy>) {
        let sources = Sources::new();
        let file = sources.add("a", raw.as_bytes().to_vec()).unwrap();
        let text = Text::new(file, Quoting::Bare).with(raw.as_bytes(), 0);
        let policies = parse_policies(&text, Delivery::Header, Disposition::Enforce);
        (sources, policies)
    }

    #[test]
    fn commas_make_policies_and_the_first_of_a_name_counts() {
        let (sources, policies) =
            parse(" connect-src a.test , https://b.test; IMG-SRC x; img-src y,,");
        assert_eq!(policies.len(), 2);
        assert_eq!(policies[1].directives[0].fate, Fate::Unrecognised);
        assert_eq!(policies[1].directives[1].fate, Fate::InForce);
        assert!(matches!(
            policies[1].directives[2].fate,
            Fate::Duplicate(span) if sources.text(span) == "IMG-SRC x"
        ));
        assert_eq!(
            sources.text(policies[0].directives[0].values[0].span),
            "a.test"
        );
        assert_eq!(sources.text(policies[1].after_comma.unwrap()), ",");
    }

    #[test]
    fn a_dropped_directive_still_keeps_later_ones_from_counting() {
        let (sources, policies) = parse("connect-src ‘self’; connect-src 'none'; img-src a\x0bb");
        let fates: Vec<_> = policies[0].directives.iter().map(|d| &d.fate).collect();
        assert!(matches!(fates[0], Fate::Dropped(bad) if bad.value == '‘'
            && sources.text(bad.span) == "‘"));
        assert!(matches!(fates[1], Fate::Duplicate(_)));
        assert!(matches!(fates[2], Fate::Dropped(bad) if bad.value == '\x0b'));
    }

    #[test]
    fn templates_are_units() {
        let (_, policies) = parse(
            "script-src 'nonce-{{ a, b; c }}' ${é} https://$host/; <% if x %>; img-src {a} $ 5%",
        );
        assert_eq!(policies.len(), 1);
        let first = &policies[0].directives[0];
        assert!(matches!(first.values[0].source, Source::Nonce(_)));
        assert_eq!(first.values[1].source, Source::Template);
        assert_eq!(first.values[2].source, Source::Template);
        assert_eq!(first.fate, Fate::InForce);
        assert_eq!(policies[0].directives[1].fate, Fate::Template);
        assert!(
            policies[0].directives[2]
                .values
                .iter()
                .all(|token| token.source != Source::Template)
        );
    }
}
