//! In: a `header` directive. Out: for which requests it changes which headers that carry policies.
//!
//! Source: `caddyserver.com/docs/caddyfile/directives/header`; the order in which one directive adds, sets, deletes and
//! replaces, and what defers it, as `modules/caddyhttp/headers` does it.

use super::parse::{Line, Word};
use crate::config::csp::{
    Change, Delivery, Disposition, Doubt, Policy, disposition, parse_policies, unread,
};
use crate::source::{Span, Spanned};

/// Which requests a directive is for.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    /// All.
    All,
    /// A path; with a star at its end all that begin so. Lower case, as Caddy compares.
    Path(String),
    /// It cannot be told.
    Open(Doubt),
}

/// What one `header` directive does.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// For which requests.
    pub(super) matcher: Matcher,
    /// At once, in order.
    pub(super) now: Vec<(Disposition, Change)>,
    /// When the answer is written, after what later directives do then.
    pub(super) deferred: Vec<(Disposition, Change)>,
}

/// The matcher of a directive, and the place of the word after it.
pub(super) fn matcher(line: &Line) -> (Matcher, usize) {
    let first = line.word(1);
    let open = |what: String| {
        let span = line.words.get(1).map(|word| word.span);
        span.map_or(Matcher::All, |span| Matcher::Open(Doubt { span, what }))
    };
    if first == "*" {
        (Matcher::All, 2)
    } else if first.starts_with('/') {
        let path = first.to_ascii_lowercase();
        let start = path.strip_suffix('*').unwrap_or(&path);
        let matcher = if start.contains(['*', '?', '[', '\\', '%', '{']) {
            open(format!("whether `{first}` matches the page"))
        } else if path == "/*" {
            Matcher::All
        } else {
            Matcher::Path(path)
        };
        (matcher, 2)
    } else if first.starts_with('@') {
        (open(format!("whether `{first}` matches the page")), 2)
    } else if first.starts_with("{args") {
        (open(format!("what `{first}` is")), 2)
    } else {
        (Matcher::All, 1)
    }
}

/// Reads a directive.
pub(super) fn header(line: &Line) -> Result<Header, Spanned<String>> {
    let (matcher, first) = matcher(line);
    let mut header = Header {
        matcher,
        now: Vec::new(),
        deferred: Vec::new(),
    };
    // Additions, then values, then deletions, then replacements, whatever their order.
    let mut by_rank: [Vec<(Disposition, Change)>; 4] = Default::default();
    let mut is_deferred = false;
    // All headers with `?` in one block are set where none of them is there.
    let mut fallback_names: Vec<String> = Vec::new();
    let mut fallbacks: Vec<(Disposition, Vec<Policy>, Span)> = Vec::new();
    let rest = line.words.get(first..).unwrap_or_default();
    let own = (!rest.is_empty()).then_some(rest);
    let inside = line
        .block
        .iter()
        .flatten()
        .map(|line| line.words.as_slice());
    for words in own.into_iter().chain(inside) {
        let Some((field, values)) = words.split_first() else {
            continue;
        };
        let name = field.lossy();
        if own.is_none() && matches!(name.as_str(), "defer" | "match") {
            is_deferred |= name == "defer";
            if name == "match" {
                let what = "whether the answer matches".to_owned();
                header.matcher = Matcher::Open(Doubt {
                    span: field.span,
                    what,
                });
                is_deferred = true;
            }
            continue;
        }
        if values.len() > 2 {
            let words = "`header` has too many arguments: a value with blanks stands in quotes";
            return Err(Spanned::new(
                words.to_owned(),
                field.span.to(last(values, field)),
            ));
        }
        let (sign, name) = signed(&name);
        is_deferred |= matches!(sign, "-" | ">");
        let name = name.trim_end_matches(':').to_ascii_lowercase();
        let span = field.span.to(last(values, field));
        if sign == "?" && !fallback_names.contains(&name) {
            fallback_names.push(name.clone());
        }
        for disposition in named(&name, sign == "-") {
            let policies = || {
                values.first().map_or_else(Vec::new, |value| {
                    parse_policies(&value.text, Delivery::Header, disposition)
                })
            };
            let (rank, change) = match (sign, values.len()) {
                ("-", _) => (2, Change::Unset),
                ("+", _) => (0, Change::Add(policies())),
                ("?", _) => {
                    fallbacks.retain(|(other, ..)| *other != disposition);
                    fallbacks.push((disposition, policies(), span));
                    continue;
                }
                (_, 2) => {
                    let what = "what this replacement makes of the value".to_owned();
                    (3, Change::Rewrite(Doubt { span, what }))
                }
                _ => (1, Change::Set(policies())),
            };
            if let Some(changes) = by_rank.get_mut(rank) {
                changes.push((disposition, change));
            }
        }
        if name.contains("{args") || name.contains("{$") {
            let what = format!("which header `{name}` is");
            let change = Change::Anything(Doubt { span, what });
            if let Some(changes) = by_rank.last_mut() {
                changes.push((Disposition::Enforce, change));
            }
        }
    }
    for (disposition, mut policies, span) in fallbacks {
        if fallback_names.len() > 1 {
            let what = "whether none of the headers with `?` in this block is there".to_owned();
            policies = vec![unread(span, what)];
            for policy in &mut policies {
                policy.disposition = disposition;
            }
        }
        let change = Change::SetIfEmpty(policies);
        header.deferred.push((disposition, change));
    }
    let changes = by_rank.into_iter().flatten();
    if is_deferred {
        // Those with `?` are a handler of their own, inside of this one.
        header.deferred.extend(changes);
    } else {
        header.now.extend(changes);
    }
    Ok(header)
}

/// What stands before a header's name, and the name.
fn signed(field: &str) -> (&str, &str) {
    match field.split_at_checked(1) {
        Some((sign @ ("+" | "-" | "?" | ">"), name)) => (sign, name),
        Some(_) | None => ("", field),
    }
}

/// The headers with policies that a name means; in a deletion a star stands for any beginning or end.
fn named(name: &str, may_have_stars: bool) -> Vec<Disposition> {
    if let (true, true) = (may_have_stars, name.contains('*')) {
        let (start, end) = (name.strip_suffix('*'), name.strip_prefix('*'));
        let matches = |header: &str| match (start, end) {
            (Some(start), Some(_)) => header.contains(start.trim_start_matches('*')),
            (Some(start), None) => header.starts_with(start),
            (None, Some(end)) => header.ends_with(end),
            (None, None) => false,
        };
        return [
            "content-security-policy",
            "content-security-policy-report-only",
        ]
        .into_iter()
        .filter(|header| matches(header))
        .filter_map(|header| disposition(header.as_bytes()))
        .collect();
    }
    disposition(name.as_bytes()).into_iter().collect()
}

fn last(values: &[Word], field: &Word) -> Span {
    values.last().map_or(field.span, |value| value.span)
}
