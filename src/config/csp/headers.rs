//! In: a header dump (`curl -I`, `curl -v`, HTTP/2 too), single header lines, or bare policy text. Out: the pages that
//! it answers, each with its policies.
//!
//! A dump may hold several responses: interim ones, redirects and proxy answers are not pages; every other response is.
//! Bare text may run over several lines; lines that begin with `#` are comments, since no browser gets the file itself.

use std::ops::Range;

use crate::source::{FileId, Spanned};

use super::parse::{is_space, parse_policies};
use super::syntax::{Delivery, Disposition, Known, Policy};
use super::text::{Quoting, Text};
use super::{Document, Ignored};
use crate::config::html::parse::metas;

/// The pages of a file. There is always at least one: a response without a policy restricts nothing.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> Vec<Document> {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let lines = lines(bytes, start);
    if lines.iter().any(|line| line.status.is_some()) {
        responses(file, bytes, &lines)
    } else if lines.iter().any(|line| line.header.is_some()) {
        let mut document = Document::new("page");
        read_headers(file, bytes, lines.iter(), true, &mut document);
        vec![document]
    } else {
        let mut document = Document::new("page");
        let text = bare(file, bytes, &lines);
        document.policies = parse_policies(&text, Delivery::Header, Disposition::Enforce);
        vec![document]
    }
}

/// Whether a text has a status line, and whether it has a policy header.
pub(super) fn signs(bytes: &[u8]) -> (bool, bool) {
    let head = bytes.get(..SIGNS_WITHIN).unwrap_or(bytes);
    let lines = lines(head, 0);
    let has_status = lines
        .iter()
        .find(|line| !line.text.is_empty())
        .is_some_and(|line| line.status.is_some())
        || lines
            .iter()
            .any(|line| line.status.is_some() && line.is_verbose);
    let has_header = lines
        .iter()
        .any(|line| line.header.is_some() && !line.is_indented);
    (has_status, has_header)
}

/// A dump shows what it is at its beginning.
const SIGNS_WITHIN: usize = 1 << 20;

/// One line, as a header dump has it.
struct Line {
    /// Without the line's end and without `< `.
    text: Range<usize>,
    /// `< ` stood before it.
    is_verbose: bool,
    /// Whitespace stands before it: a folded header goes on.
    is_indented: bool,
    /// The status code of a status line.
    status: Option<u16>,
    /// A proxy's answer to CONNECT.
    is_tunnel: bool,
    header: Option<Header>,
}

/// A header that concerns policies.
#[derive(Clone)]
struct Header {
    which: Which,
    value: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Enforce,
    ReportOnly,
    /// `X-Content-Security-Policy`, `X-WebKit-CSP`: no browser reads them any more.
    Obsolete,
}

fn lines(bytes: &[u8], start: usize) -> Vec<Line> {
    let ends = memchr::memchr_iter(b'\n', bytes)
        .filter(|end| *end >= start)
        .chain(std::iter::once(bytes.len()));
    let mut at = start;
    let mut lines = Vec::new();
    for end in ends {
        let range = at..end;
        at = end + 1;
        if range.start > range.end {
            break;
        }
        lines.push(line(bytes, range));
    }
    let is_verbose = lines
        .iter()
        .any(|line| line.is_verbose && line.status.is_some());
    if is_verbose {
        // `curl -v`: what the client sent and what curl says of itself is no part of the response.
        lines.retain(|line| line.is_verbose);
    }
    lines
}

fn line(bytes: &[u8], mut range: Range<usize>) -> Line {
    if range.end > range.start && bytes.get(range.end - 1) == Some(&b'\r') {
        range.end -= 1;
    }
    let whole = bytes.get(range.clone()).unwrap_or_default();
    let is_verbose = whole.starts_with(b"< ") || whole == b"<";
    if is_verbose {
        range.start = (range.start + 2).min(range.end);
    }
    let text = bytes.get(range.clone()).unwrap_or_default();
    let status = text
        .strip_prefix(b"HTTP/")
        .and_then(|rest| std::str::from_utf8(rest.get(..16).unwrap_or(rest)).ok())
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    let is_tunnel = status.is_some()
        && text
            .to_ascii_lowercase()
            .ends_with(b"connection established");
    Line {
        is_verbose,
        is_indented: text
            .first()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t')),
        status,
        is_tunnel,
        header: header(text, range.start),
        text: range,
    }
}

fn header(text: &[u8], start: usize) -> Option<Header> {
    let colon = memchr::memchr(b':', text)?;
    let name = text.get(..colon)?.trim_ascii().to_ascii_lowercase();
    let which = match name.as_slice() {
        b"content-security-policy" => Which::Enforce,
        b"content-security-policy-report-only" => Which::ReportOnly,
        b"x-content-security-policy" | b"x-webkit-csp" => Which::Obsolete,
        _ => return None,
    };
    Some(Header {
        which,
        value: start + colon + 1..start + text.len(),
    })
}

fn responses(file: FileId, bytes: &[u8], lines: &[Line]) -> Vec<Document> {
    let starts: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.status.is_some())
        .map(|(at, _)| at)
        .collect();
    let mut pages = Vec::new();
    let mut passed = Vec::new();
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(lines.len());
        let Some((status, headers)) = lines.get(*start..end).and_then(<[Line]>::split_first) else {
            continue;
        };
        let is_last = number + 1 == starts.len();
        let code = status.status.unwrap_or_default();
        let goes_on = match code {
            100..=199 | 401 | 407 => true,
            300..=399 => code != 304,
            _ => status.is_tunnel,
        };
        if goes_on && !is_last {
            passed.push(format!("{} ({code})", number + 1));
            continue;
        }
        let mut document = Document::new(format!("response {}", number + 1));
        // A blank line ends the headers; the page itself may follow.
        let count = headers
            .iter()
            .take_while(|line| !line.text.is_empty())
            .count();
        read_headers(
            file,
            bytes,
            headers.iter().take(count),
            false,
            &mut document,
        );
        if !status.is_verbose
            && let Some(first) = headers.get(count + 1)
            && let Some(last) = headers.last()
        {
            metas(
                file,
                bytes,
                first.text.start..last.text.end,
                true,
                &mut document,
            );
        }
        pages.push(document);
    }
    if !passed.is_empty()
        && let Some(page) = pages.first_mut()
    {
        page.assumptions.push(format!(
            "redirects and interim answers are not the page: response {}",
            passed.join(", ")
        ));
    }
    if let [only] = pages.as_mut_slice() {
        "page".clone_into(&mut only.name);
    }
    pages
}

/// Reads the policy headers of one response. Without a status line a header's text may go on in lines that are no
/// headers themselves.
fn read_headers<'l>(
    file: FileId,
    bytes: &[u8],
    lines: impl Iterator<Item = &'l Line>,
    is_loose: bool,
    document: &mut Document,
) {
    let mut open: Option<(Which, Text)> = None;
    for line in lines {
        let text = bytes.get(line.text.clone()).unwrap_or_default();
        if is_loose && is_comment(text) {
            continue;
        }
        let goes_on = line.is_indented || (is_loose && !looks_like_a_header(text));
        if let Some((_, value)) = &mut open
            && line.header.as_ref().is_none_or(|_| line.is_indented)
            && goes_on
        {
            // RFC 9112, 5.2: a folded line counts as a space.
            let end = value.whole().end as usize;
            value.push(b" ", end..line.text.start.max(end));
            value.push(text, line.text.clone());
            continue;
        }
        close(open.take(), document);
        open = line.header.as_ref().map(|header| {
            let value = bytes.get(header.value.clone()).unwrap_or_default();
            let text = Text::new(file, Quoting::Bare)
                .sent(!is_loose)
                .with(value, header.value.start);
            (header.which, text)
        });
    }
    close(open, document);
}

fn close(header: Option<(Which, Text)>, document: &mut Document) {
    let Some((which, text)) = header else {
        return;
    };
    let disposition = match which {
        Which::Enforce => Disposition::Enforce,
        Which::ReportOnly => Disposition::ReportOnly,
        Which::Obsolete => {
            let ignored = Spanned::new(Ignored::Obsolete, text.whole());
            document.ignored.push(ignored);
            return;
        }
    };
    let policies: Vec<Policy> = parse_policies(&text, Delivery::Header, disposition);
    document.policies.extend(policies);
}

fn looks_like_a_header(text: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', text) else {
        return false;
    };
    let name = text.get(..colon).unwrap_or_default();
    let is_token = !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // `connect-src: ...` on a line of its own is a directive with a colon too many.
    is_token && Known::from_word(&String::from_utf8_lossy(name).to_ascii_lowercase()).is_none()
}

fn is_comment(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"#")
}

/// All lines but comments as one text, without quotes around the whole.
fn bare(file: FileId, bytes: &[u8], lines: &[Line]) -> Text {
    let kept: Vec<Range<usize>> = lines
        .iter()
        .map(|line| line.text.clone())
        .filter(|range| !is_comment(bytes.get(range.clone()).unwrap_or_default()))
        .collect();
    let quoted = quotes_around(bytes, &kept);
    let mut text = Text::new(file, Quoting::Bare);
    for range in kept {
        let range = match quoted {
            Some(quoted) => range.start.max(quoted.start)..range.end.min(quoted.end),
            None => range,
        };
        if range.start > range.end {
            continue;
        }
        if !text.bytes().is_empty() {
            let end = text.whole().end as usize;
            text.push(b"\n", end..range.start.max(end));
        }
        text.push(bytes.get(range.clone()).unwrap_or_default(), range);
    }
    text
}

/// The place between double quotes that stand around the whole text.
fn quotes_around(bytes: &[u8], lines: &[Range<usize>]) -> Option<Inside> {
    let is_text = |at: &usize| bytes.get(*at).is_some_and(|byte| !is_space(*byte));
    let first = lines.iter().flat_map(Clone::clone).find(is_text)?;
    let last = lines
        .iter()
        .rev()
        .flat_map(|line| line.clone().rev())
        .find(is_text)?;
    let quote = bytes.get(first)?;
    (last > first && matches!(quote, b'"' | b'`') && bytes.get(last) == Some(quote)).then(|| {
        Inside {
            start: first + 1,
            end: last,
        }
    })
}

#[derive(Clone, Copy)]
struct Inside {
    start: usize,
    end: usize,
}
