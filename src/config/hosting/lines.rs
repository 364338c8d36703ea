//! In: a `_headers` file (Netlify, Cloudflare Pages). Out: a page for every path that it names, with its policies.
//!
//! A line without space before it is a path, an indented one a header of it. All paths that match a page count, and
//! headers of one name are joined by commas, so a page must keep to all of them.

use crate::config::csp::{
    Delivery, Disposition, Document, Policy, Quoting, Text, parse_policies, unread,
};
use crate::source::FileId;

/// What a host adds to the pages of a path.
pub(super) struct Rule {
    /// The path, which may end in a star or hold placeholders.
    pub(super) path: String,
    /// The policies.
    pub(super) policies: Vec<Policy>,
}

/// The pages of a file.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> Vec<Document> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let at = start;
        start += line.len();
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        if !line.first().is_some_and(u8::is_ascii_whitespace) {
            rules.push(Rule {
                path: String::from_utf8_lossy(text).into_owned(),
                policies: Vec::new(),
            });
            continue;
        }
        let Some(rule) = rules.last_mut() else {
            continue;
        };
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let disposition = match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-security-policy" => Disposition::Enforce,
            b"content-security-policy-report-only" => Disposition::ReportOnly,
            _ => continue,
        };
        let value = value.get(1..).unwrap_or_default();
        let text = Text::new(file, Quoting::Bare)
            .sent(true)
            .with(value.trim_ascii_end(), at + colon + 1);
        let policies = parse_policies(&text, Delivery::Header, disposition);
        rule.policies.extend(policies);
    }
    pages(&rules)
}

/// A page for every path; all rules whose paths match it count.
pub(super) fn pages(rules: &[Rule]) -> Vec<Document> {
    let setting = || rules.iter().filter(|rule| !rule.policies.is_empty());
    let mut found: Vec<Document> = Vec::new();
    for rule in setting() {
        if found.iter().any(|document| document.name == rule.path) {
            continue;
        }
        let mut document = Document::new(rule.path.as_str());
        for other in setting() {
            match covers(&other.path, &rule.path) {
                Some(true) => document.policies.extend(other.policies.clone()),
                Some(false) => {}
                None => document
                    .policies
                    .extend(other.policies.first().map(|policy| {
                        unread(
                            policy.span,
                            format!("whether `{}` matches `{}`", other.path, rule.path),
                        )
                    })),
            }
        }
        found.push(document);
    }
    found
}

/// Whether all pages of one path are pages of another one; `None`: some may be. Pages of a path that a longer one matches
/// too are judged under the longer one's name.
fn covers(wider: &str, path: &str) -> Option<bool> {
    let has_pattern = |path: &str| path.contains(['*', ':']);
    if wider == path {
        return Some(true);
    }
    match wider.strip_suffix('*') {
        Some(prefix) if !has_pattern(prefix) && path.starts_with(prefix) => Some(true),
        Some(prefix) if !has_pattern(prefix) => {
            let is_plain = !has_pattern(path.strip_suffix('*').unwrap_or(path));
            is_plain.then_some(false)
        }
        Some(_) => None,
        None if has_pattern(wider) => None,
        None => Some(false),
    }
}
