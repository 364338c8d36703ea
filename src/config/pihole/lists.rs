//! In: the block lists that Pi-hole downloaded. Out: their names.
//!
//! A line is a name, an address with names, or `||NAME^`, which takes the names below it, too; `#` and `!` start comments;
//! anything else is skipped (`gravity_parseList` in gravity-parseList.c).

use crate::model::DomainScope;
use crate::source::{FileId, Span};

/// One name of a list.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Lower case, no final dot.
    pub(super) name: String,
    /// The name itself, or also what lies below.
    pub(super) scope: DomainScope,
    /// Its line.
    pub(super) span: Span,
}

/// Reads a list.
pub(super) fn entries(file: FileId, bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let span = Span::new(file, start, start + line.trim_ascii_end().len());
        start += line.len();
        let text = String::from_utf8_lossy(line);
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() || text.starts_with('!') {
            continue;
        }
        if let Some(name) = text
            .strip_prefix("||")
            .and_then(|rest| rest.strip_suffix('^'))
        {
            if is_name(name) {
                let (name, scope) = (normal(name), DomainScope::Tree);
                entries.push(Entry { name, scope, span });
            }
            continue;
        }
        let mut words = text.split_ascii_whitespace().peekable();
        let has_address = words
            .peek()
            .is_some_and(|word| word.parse::<std::net::IpAddr>().is_ok());
        if has_address {
            words.next();
        }
        entries.extend(words.filter(|word| is_name(word)).map(|name| Entry {
            name: normal(name),
            scope: DomainScope::Exact,
            span,
        }));
    }
    entries
}

fn normal(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn lists_have_three_forms() {
        let text = "# c\n0.0.0.0 A.example # d\n||aws^\nb.example\n! x\n/regex/\n@@||c^\n||d*^\n";
        let file = Sources::new().add("l", text.as_bytes().to_vec()).unwrap();
        let read: Vec<_> = entries(file, text.as_bytes())
            .into_iter()
            .map(|entry| (entry.name, entry.scope))
            .collect();
        let one = |name: &str, scope| (name.to_owned(), scope);
        assert_eq!(
            read,
            [
                one("a.example", DomainScope::Exact),
                one("aws", DomainScope::Tree),
                one("b.example", DomainScope::Exact)
            ]
        );
    }
}
