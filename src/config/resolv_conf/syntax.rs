//! In: the bytes of one resolv.conf, and the libc that reads it. Out: its lines, each with what that libc takes from it.
//!
//! Nothing is ever an error here: libc drops what it does not know without a word, so every line that is dropped keeps
//! its reason ([`Ignored`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::source::{Span, Spanned};

/// The C library whose reading of the file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Libc {
    /// The GNU one: `res_init.c`.
    Glibc,
    /// musl: `resolvconf.c`.
    Musl,
}

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// All of it.
    pub(super) span: Span,
    /// What libc takes from it.
    pub(super) statement: Statement,
    /// It holds the word `edns0`, in any case, whether or not it counts.
    pub(super) mentions_edns0: bool,
}

/// What libc takes from a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// Nothing but blanks.
    Blank,
    /// `#` or `;` in the first column.
    Comment,
    /// `nameserver ADDRESS`.
    Nameserver(Spanned<IpAddr>),
    /// `search` or `domain`: the last one counts.
    Search(Vec<Spanned<String>>),
    /// `options`, with the place right after the keyword.
    Options(Vec<Spanned<Choice>>, Span),
    /// `sortlist`, and keywords of other systems that libc skips: no effect here.
    NoEffect,
    /// Dropped.
    Ignored(Ignored),
}

/// One word of an `options` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// `edns0`, and what starts so (`edns0x`).
    Edns0,
    /// `-edns0`: clears it since glibc 2.41.
    ClearEdns0,
    /// `ndots:N`, capped.
    Ndots(u32),
    /// `use-vc`: TCP only.
    UseVc,
    /// `no-aaaa`.
    NoAaaa,
    /// Known, without effect on what is judged here.
    Known,
    /// `a,b`: one unknown word, where several were meant.
    Comma,
    /// A known word in another case.
    Case(String),
    /// Not known: skipped.
    Unknown,
}

/// Why a line is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ignored {
    /// A keyword with blanks before it.
    Indented,
    /// A keyword in another case.
    Case,
    /// `options:`.
    Colon,
    /// A byte order mark stands before the keyword.
    ByteOrderMark,
    /// A keyword without value.
    NoValue,
    /// A carriage return belongs to the address.
    CarriageReturn,
    /// `10.0.0.2:53`.
    Port,
    /// A nameserver that is no address.
    NotAnAddress,
    /// Longer than the 255 bytes that musl reads.
    TooLong,
    /// No keyword that anybody knows.
    Unknown,
}

const KEYWORDS: [&str; 5] = ["nameserver", "search", "domain", "options", "sortlist"];
/// Keywords of other systems (OpenBSD, macOS, Solaris): libc skips such lines, and nobody expects more.
const FOREIGN: [&str; 6] = [
    "lookup",
    "family",
    "port",
    "timeout",
    "search_order",
    "interface",
];
/// `res_init.c`, `res_setoptions`; compared by prefix, in this order.
const OPTIONS: [(&str, Choice); 13] = [
    ("rotate", Choice::Known),
    ("edns0", Choice::Edns0),
    ("single-request-reopen", Choice::Known),
    ("single-request", Choice::Known),
    ("no_tld_query", Choice::Known),
    ("no-tld-query", Choice::Known),
    ("no-reload", Choice::Known),
    ("use-vc", Choice::UseVc),
    ("trust-ad", Choice::Known),
    ("no-aaaa", Choice::NoAaaa),
    ("strict-error", Choice::Known),
    ("timeout:", Choice::Known),
    ("attempts:", Choice::Known),
];
/// Options of older releases: skipped, and nobody misses them.
const OLD_OPTIONS: [&str; 6] = [
    "inet6",
    "ip6-",
    "debug",
    "insecure",
    "no-ip6-dotint",
    "no-inet6",
];
/// `RES_MAXNDOTS`.
const MAX_NDOTS: u32 = 15;
/// musl reads lines into 256 bytes and drops longer ones.
const MUSL_LINE: usize = 255;

/// All lines of a file; `span_of` makes spans from byte offsets.
pub(super) fn lines(bytes: &[u8], libc: Libc, span_of: impl Fn(usize, usize) -> Span) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.push(Line {
            span: span_of(start, start + text.len()),
            statement: statement(text, libc, &|from, to| span_of(start + from, start + to)),
            mentions_edns0: text
                .to_ascii_lowercase()
                .windows(5)
                .any(|window| window == b"edns0"),
        });
        start += line.len();
    }
    lines
}

/// A piece of a line: its offset there and its text.
type Word<'a> = (usize, &'a [u8]);

fn statement(line: &[u8], libc: Libc, span_of: &impl Fn(usize, usize) -> Span) -> Statement {
    // C strings end at the first NUL.
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    if line.iter().all(u8::is_ascii_whitespace) {
        return Statement::Blank;
    }
    if matches!(line.first(), Some(b'#' | b';')) {
        return Statement::Comment;
    }
    if libc == Libc::Musl && line.len() > MUSL_LINE {
        return Statement::Ignored(Ignored::TooLong);
    }
    let mut words = words(line, libc);
    let Some((at, keyword)) = words.first().copied() else {
        return Statement::Blank;
    };
    if at > 0 {
        return Statement::Ignored(if is_keyword(keyword) {
            Ignored::Indented
        } else if keyword.starts_with(b"#") || keyword.starts_with(b";") {
            return Statement::Comment;
        } else {
            Ignored::Unknown
        });
    }
    let after = keyword.len();
    let values = words.split_off(1);
    let spans = |(at, word): Word<'_>| span_of(at, at + word.len());
    if !KEYWORDS.iter().any(|known| known.as_bytes() == keyword) {
        return not_a_keyword(keyword);
    }
    // Both need a blank right after the keyword.
    if line.len() == after || values.is_empty() {
        return Statement::Ignored(Ignored::NoValue);
    }
    match keyword {
        b"nameserver" => nameserver(values.first().copied(), spans),
        b"domain" | b"search" => {
            let take = if keyword == b"domain" && libc == Libc::Glibc {
                1
            } else {
                values.len()
            };
            Statement::Search(
                values
                    .into_iter()
                    .take(take)
                    .map(|word| Spanned::new(text(word.1), spans(word)))
                    .collect(),
            )
        }
        b"options" => Statement::Options(
            values
                .into_iter()
                .map(|word| Spanned::new(choice(word.1, libc), spans(word)))
                .collect(),
            span_of(after, after),
        ),
        _ => Statement::NoEffect,
    }
}

/// glibc splits at blanks and tabs; musl at every kind of space.
fn words(line: &[u8], libc: Libc) -> Vec<Word<'_>> {
    let is_space = |byte: &u8| match libc {
        Libc::Glibc => matches!(byte, b' ' | b'\t'),
        Libc::Musl => byte.is_ascii_whitespace() || *byte == 0x0b,
    };
    let mut words = Vec::new();
    let mut at = 0;
    for piece in line.split(is_space) {
        if !piece.is_empty() {
            words.push((at, piece));
        }
        at += piece.len() + 1;
    }
    words
}

fn is_keyword(word: &[u8]) -> bool {
    KEYWORDS
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn not_a_keyword(word: &[u8]) -> Statement {
    let bare = word.strip_prefix(b"\xef\xbb\xbf").unwrap_or(word);
    let named = bare.strip_suffix(b":").unwrap_or(bare);
    if bare.len() < word.len() {
        // Whatever stands on the first line after a byte order mark is lost.
        return if is_keyword(bare) {
            Statement::Ignored(Ignored::ByteOrderMark)
        } else if matches!(bare.first(), None | Some(b'#' | b';')) {
            Statement::Comment
        } else {
            Statement::Ignored(Ignored::Unknown)
        };
    }
    Statement::Ignored(if is_keyword(word) {
        // With the exact case it would have been one; a keyword that a carriage return or form feed ends has no value.
        Ignored::Case
    } else if named.len() < bare.len() && is_keyword(named) {
        Ignored::Colon
    } else if is_keyword(word.trim_ascii()) {
        Ignored::NoValue
    } else if FOREIGN.iter().any(|known| known.as_bytes() == word) {
        return Statement::NoEffect;
    } else {
        Ignored::Unknown
    })
}

fn nameserver(word: Option<Word<'_>>, spans: impl Fn(Word<'_>) -> Span) -> Statement {
    let Some(word) = word else {
        return Statement::Ignored(Ignored::NoValue);
    };
    let value = text(word.1);
    if let Some(address) = address(&value) {
        return Statement::Nameserver(Spanned::new(address, spans(word)));
    }
    Statement::Ignored(
        if value
            .strip_suffix('\r')
            .is_some_and(|bare| address(bare).is_some())
        {
            Ignored::CarriageReturn
        } else if has_port(&value) {
            Ignored::Port
        } else {
            Ignored::NotAnAddress
        },
    )
}

fn has_port(value: &str) -> bool {
    let value = value.trim_end_matches('\r');
    value.rsplit_once([':', '#']).is_some_and(|(host, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && address(host.trim_start_matches('[').trim_end_matches(']')).is_some()
    })
}

/// An address as `inet_aton` or `inet_pton` reads it; a scope (`fe80::1%eth0`) is cut off.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    inet_aton(text).map(IpAddr::V4).or_else(|| {
        let bare = text.split('%').next().unwrap_or_default();
        bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    })
}

/// `inet_aton(3)`: one to four numbers, decimal, octal or hexadecimal; the last one fills what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts = Vec::new();
    for part in text.split('.') {
        let (digits, radix) = match part.as_bytes() {
            [b'0', b'x' | b'X', ..] => (part.get(2..)?, 16),
            [b'0', _, ..] => (part.get(1..)?, 8),
            _ => (part, 10),
        };
        if digits.is_empty() || digits.starts_with('+') {
            return None;
        }
        parts.push(u32::from_str_radix(digits, radix).ok()?);
    }
    let last = parts.pop()?;
    let bits = 32 - 8 * u32::try_from(parts.len()).ok()?.min(4);
    if parts.len() > 3 || parts.iter().any(|part| *part > 255) {
        return None;
    }
    if bits < 32 && last >= 1 << bits {
        return None;
    }
    let high = parts
        .iter()
        .zip([24u32, 16, 8])
        .fold(0u32, |sum, (part, shift)| sum | part << shift);
    Some(Ipv4Addr::from(high | last))
}

fn choice(word: &[u8], libc: Libc) -> Choice {
    let word = text(word);
    if let Some(number) = word.strip_prefix("ndots:") {
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        return Choice::Ndots(digits.parse::<u32>().map_or_else(
            |_| if digits.is_empty() { 0 } else { MAX_NDOTS },
            |ndots| ndots.min(MAX_NDOTS),
        ));
    }
    if libc == Libc::Musl {
        return Choice::Known;
    }
    if let Some((_, choice)) = OPTIONS.iter().find(|(name, _)| word.starts_with(name)) {
        return choice.clone();
    }
    if word == "-edns0" {
        return Choice::ClearEdns0;
    }
    let lower = word.to_ascii_lowercase();
    if let Some((name, _)) = OPTIONS.iter().find(|(name, _)| lower.starts_with(name)) {
        return Choice::Case((*name).to_owned());
    }
    if OLD_OPTIONS.iter().any(|name| word.starts_with(name)) || word.starts_with('-') {
        return Choice::Known;
    }
    if word.contains(',') {
        return Choice::Comma;
    }
    Choice::Unknown
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn only(text: &str, libc: Libc) -> Statement {
        let file = Sources::new().add("x", text.as_bytes().to_vec()).unwrap();
        lines(text.as_bytes(), libc, |from, to| Span::new(file, from, to))
            .remove(0)
            .statement
    }

    fn edns0(text: &str) -> bool {
        let Statement::Options(choices, _) = only(text, Libc::Glibc) else {
            return false;
        };
        choices.iter().any(|choice| choice.value == Choice::Edns0)
    }

    #[test]
    fn glibc_reads_edns0_only_where_it_really_does() {
        for (line, on) in [
            ("options edns0", true),
            ("options\tedns0", true),
            ("options edns0\r\n", true),
            ("options edns0x", true),
            ("options edns0,rotate", true),
            ("options edns0 # comment", true),
            ("options rotate,edns0", false),
            (" options edns0", false),
            ("OPTIONS EDNS0", false),
            ("options EDNS0", false),
            ("options: edns0", false),
            ("#options edns0", false),
            (";options edns0", false),
            ("\u{feff}options edns0", false),
        ] {
            assert_eq!(edns0(line), on, "{line:?}");
        }
    }

    #[test]
    fn nameservers_are_dropped_for_a_reason() {
        for (line, why) in [
            ("nameserver 10.0.0.2:53", Ignored::Port),
            ("nameserver 10.0.0.2\r", Ignored::CarriageReturn),
            ("nameserver dns.example", Ignored::NotAnAddress),
            ("nameserver", Ignored::NoValue),
            (" nameserver 10.0.0.2", Ignored::Indented),
            ("Nameserver 10.0.0.2", Ignored::Case),
        ] {
            assert_eq!(only(line, Libc::Glibc), Statement::Ignored(why), "{line:?}");
        }
        assert!(matches!(
            only("nameserver 10.0.0.2\r", Libc::Musl),
            Statement::Nameserver(_)
        ));
        assert!(matches!(
            only("nameserver fe80::1%eth0 garbage", Libc::Glibc),
            Statement::Nameserver(_)
        ));
    }

    #[test]
    fn addresses_are_read_as_inet_aton_does() {
        for (text, value) in [
            ("10.0.0.2", Some("10.0.0.2")),
            ("8.8", Some("8.0.0.8")),
            ("0x7f.1", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("256.0.0.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.", None),
            ("", None),
        ] {
            let want = value.map(|value| value.parse::<IpAddr>().unwrap());
            assert_eq!(address(text), want, "{text}");
        }
    }
}
