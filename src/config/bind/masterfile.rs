//! In: a zone's master file. Out: its names with what they hold, or why that is not known.
//!
//! RFC 1035, 5.1 with `$ORIGIN`, `$TTL` and the conventions of BIND: parentheses join lines, `;` comments, `@` is the
//! origin, a blank first column repeats the last owner. `$INCLUDE` and `$GENERATE` leave the content unknown.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::source::{FileId, Span};

/// More names are not kept: the content is unknown then.
const NAMES: usize = 500_000;

/// What one name holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Records {
    /// A records.
    pub(super) a: Vec<Ipv4Addr>,
    /// AAAA records.
    pub(super) aaaa: Vec<Ipv6Addr>,
    /// The target of a CNAME: absolute names without the final dot, the root is empty.
    pub(super) cname: Option<String>,
    /// A DNAME stands here.
    pub(super) dname: bool,
    /// NS records stand here: below the apex, a delegation.
    pub(super) ns: bool,
    /// The first line about it.
    pub(super) span: Span,
}

/// A zone's content by absolute name in lower case, without the final dot.
pub(super) type Names = BTreeMap<String, Records>;

/// Reads a master file of the zone `origin`; the error says what keeps its content unknown.
pub(super) fn parse(file: FileId, bytes: &[u8], origin: &str) -> Result<Names, String> {
    let mut names = Names::new();
    let mut origin = origin.to_owned();
    let mut owner = origin.clone();
    for entry in entries(file, bytes) {
        let Some(first) = entry.words.first() else {
            continue;
        };
        match first.to_ascii_uppercase().as_str() {
            "$TTL" => continue,
            "$ORIGIN" => {
                if let Some(name) = entry.words.get(1) {
                    origin = absolute(name, &origin);
                }
                continue;
            }
            directive if directive.starts_with('$') => {
                return Err(format!("what `{first}` in its zone file gives"));
            }
            _ => {}
        }
        let mut words = entry.words.iter();
        if !entry.indented {
            words.next();
            owner = absolute(first, &origin);
        }
        let rest: Vec<&String> = words.skip_while(|word| is_ttl_or_class(word)).collect();
        let Some((kind, data)) = rest.split_first() else {
            continue;
        };
        if names.len() > NAMES {
            return Err(format!("more than {NAMES} names of its zone file"));
        }
        let records = names.entry(owner.clone()).or_insert_with(|| Records {
            a: Vec::new(),
            aaaa: Vec::new(),
            cname: None,
            dname: false,
            ns: false,
            span: entry.span,
        });
        let first = data.first().map(|word| word.as_str()).unwrap_or_default();
        match kind.to_ascii_uppercase().as_str() {
            "A" => records.a.extend(first.parse::<Ipv4Addr>()),
            "AAAA" => records.aaaa.extend(first.parse::<Ipv6Addr>()),
            "CNAME" => records.cname = Some(absolute(first, &origin)),
            "DNAME" => records.dname = true,
            "NS" => records.ns = true,
            _ => {}
        }
    }
    Ok(names)
}

/// One record: its words, whether its line begins with a blank.
struct Entry {
    words: Vec<String>,
    indented: bool,
    span: Span,
}

fn entries(file: FileId, bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut start, mut indented, mut open) = (0usize, false, 0usize);
    let (mut quoted, mut comment, mut fresh) = (false, false, true);
    for (at, byte) in bytes.iter().copied().enumerate() {
        if fresh {
            (start, indented, fresh) = (at, matches!(byte, b' ' | b'\t'), false);
        }
        if comment && byte != b'\n' {
            continue;
        }
        match byte {
            b'\n' if !quoted => {
                comment = false;
                flush(&mut word, &mut words);
                if open == 0 {
                    if !words.is_empty() {
                        entries.push(Entry {
                            words: std::mem::take(&mut words),
                            indented,
                            span: Span::new(file, start, at),
                        });
                    }
                    fresh = true;
                }
            }
            b'"' => quoted = !quoted,
            _ if quoted => word.push(char::from(byte)),
            b';' => {
                flush(&mut word, &mut words);
                comment = true;
            }
            b'(' => {
                flush(&mut word, &mut words);
                open += 1;
            }
            b')' => {
                flush(&mut word, &mut words);
                open = open.saturating_sub(1);
            }
            b' ' | b'\t' | b'\r' => flush(&mut word, &mut words),
            _ => word.push(char::from(byte)),
        }
    }
    flush(&mut word, &mut words);
    if !words.is_empty() {
        entries.push(Entry {
            words,
            indented,
            span: Span::new(file, start, bytes.len()),
        });
    }
    entries
}

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn is_ttl_or_class(word: &str) -> bool {
    matches!(word.to_ascii_uppercase().as_str(), "IN" | "CH" | "HS")
        || word.starts_with(|first: char| first.is_ascii_digit())
}

/// A name of the file as an absolute one.
fn absolute(name: &str, origin: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_suffix('.') {
        Some(whole) => whole.to_owned(),
        None if name == "@" => origin.to_owned(),
        None if origin.is_empty() => name,
        None => format!("{name}.{origin}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn owners_origins_and_parentheses_are_followed() {
        let text = "$TTL 60\n@ IN SOA ns. root. ( 1 ; serial\n 2 3 4 5 )\n  NS ns\nns 300 IN A 10.0.0.1\n\
                    *.Sub IN CNAME .\n$ORIGIN other.test.\nx AAAA ::1\n";
        let file = Sources::new().add("z", text.as_bytes().to_vec()).unwrap();
        let names = parse(file, text.as_bytes(), "example.com").unwrap();
        assert!(names["example.com"].ns);
        assert_eq!(names["ns.example.com"].a, [Ipv4Addr::new(10, 0, 0, 1)]);
        assert_eq!(names["*.sub.example.com"].cname.as_deref(), Some(""));
        assert_eq!(names["x.other.test"].aaaa.len(), 1);
        assert!(parse(file, b"$GENERATE 1-9 a$ A 10.0.0.$\n", "e").is_err());
    }
}
