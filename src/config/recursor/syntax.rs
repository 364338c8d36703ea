//! In: the text of one recursor.conf, in the old syntax or in YAML. Out: its settings under their old names.
//!
//! Old: `name=value`, `name+=value` appends, a backslash at the end joins lines, `#` starts a comment at the start of a line
//! or after a blank (`arguments.cc`). YAML came with 5.0; its sections and names map onto the old ones
//! (`settings/table.py`).

use crate::source::{FileId, Span, Spanned};
use crate::yaml::{self, Node, Yaml};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its old name.
    pub(super) name: Spanned<String>,
    /// The words of its value.
    pub(super) words: Vec<Spanned<String>>,
    /// It adds to what was set before.
    pub(super) adds: bool,
    /// All of it.
    pub(super) span: Span,
}

/// Where a file stops being what it should be.
pub(super) type Broken = Spanned<String>;

/// Whether a text is YAML: its first line with anything is a key that ends with a colon, or `---`.
pub(super) fn is_yaml(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim_end)
        .find(|line| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'));
    first.is_some_and(|line| line == "---" || (line.contains(':') && !line.contains('=')))
}

/// Reads a file.
pub(super) fn settings(file: FileId, bytes: &[u8]) -> (Vec<Setting>, Option<Broken>) {
    let text = String::from_utf8_lossy(bytes);
    if !is_yaml(&text) {
        return (lines(file, bytes), None);
    }
    // Lossy text would shift spans.
    let Ok(text) = std::str::from_utf8(bytes) else {
        let start = Span::new(file, 0, 0);
        return (
            Vec::new(),
            Some(Spanned::new("it is not UTF-8".to_owned(), start)),
        );
    };
    match yaml::read(file, text) {
        Ok(tree) => (tree_settings(&tree), None),
        Err(broken) => (Vec::new(), Some(broken)),
    }
}

/// The old syntax.
fn lines(file: FileId, bytes: &[u8]) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let from = start;
        start += line.len();
        let line = line.trim_ascii_end();
        if let Some(rest) = line.strip_suffix(b"\\") {
            joined.push((from, from + rest.len()));
            continue;
        }
        joined.push((from, from + line.len()));
        settings.extend(setting(file, bytes, &joined));
        joined.clear();
    }
    settings.extend(setting(file, bytes, &joined));
    settings
}

/// One line, or several that are joined.
fn setting(file: FileId, bytes: &[u8], pieces: &[(usize, usize)]) -> Option<Setting> {
    let mut name = None;
    let mut words = Vec::new();
    let mut adds = false;
    'pieces: for (from, to) in pieces.iter().copied() {
        let piece = bytes.get(from..to).unwrap_or_default();
        let comment = piece.iter().enumerate().position(|(at, byte)| {
            let before = at.checked_sub(1).and_then(|before| piece.get(before));
            *byte == b'#' && before.is_none_or(u8::is_ascii_whitespace)
        });
        let piece = piece
            .get(..comment.unwrap_or(piece.len()))
            .unwrap_or_default();
        let mut value_at = 0;
        if name.is_none() {
            let equals = memchr::memchr(b'=', piece);
            let key = piece
                .get(..equals.unwrap_or(piece.len()))
                .unwrap_or_default();
            adds = equals.is_some() && key.ends_with(b"+");
            let key = key.strip_suffix(b"+").filter(|_| adds).unwrap_or(key);
            if key.trim_ascii().is_empty() && equals.is_none() {
                if comment.is_some() {
                    break 'pieces;
                }
                continue;
            }
            let left = key.len() - key.trim_ascii_start().len();
            let text = String::from_utf8_lossy(key.trim_ascii()).into_owned();
            let at = from + left;
            name = Some(Spanned::new(
                text,
                Span::new(file, at, at + key.trim_ascii().len()),
            ));
            value_at = equals.map_or(piece.len(), |equals| equals + 1);
        }
        let value = piece.get(value_at..).unwrap_or_default();
        let mut at = from + value_at;
        for word in value.split(|byte| byte.is_ascii_whitespace() || *byte == b',') {
            if !word.is_empty() {
                let text = String::from_utf8_lossy(word).into_owned();
                words.push(Spanned::new(text, Span::new(file, at, at + word.len())));
            }
            at += word.len() + 1;
        }
        if comment.is_some() {
            break;
        }
    }
    let name = name?;
    let end = words
        .last()
        .map_or(name.span, |word: &Spanned<String>| word.span);
    Some(Setting {
        span: name.span.to(end),
        name,
        words,
        adds,
    })
}

/// Sections and names of YAML whose old name is not the same with hyphens.
const RENAMED: [(&str, &str); 6] = [
    ("incoming.listen", "local-address"),
    ("incoming.port", "local-port"),
    ("outgoing.edns_bufsize", "edns-outgoing-bufsize"),
    ("recursor.forward_zones_recurse", "forward-zones-recurse"),
    ("dnssec.validation", "dnssec"),
    ("recursor.lua_dns_script", "lua-dns-script"),
];

fn tree_settings(tree: &Yaml) -> Vec<Setting> {
    let Node::Map(sections) = &tree.value else {
        return Vec::new();
    };
    let mut settings = Vec::new();
    for (section, content) in sections {
        let Node::Map(entries) = &content.value else {
            continue;
        };
        for (key, value) in entries {
            let path = format!("{}.{}", section.value, key.value);
            let name = RENAMED
                .iter()
                .find(|(new, _)| *new == path)
                .map_or_else(|| key.value.replace('_', "-"), |(_, old)| (*old).to_owned());
            let words = match &value.value {
                Node::Null => continue,
                Node::Scalar(text) => vec![Spanned::new(text.clone(), value.span)],
                Node::List(items) => items.iter().filter_map(item).collect(),
                // `!override` and `!replace` are not lists; the content is not modelled.
                Node::Map(_) => vec![Spanned::new("{}".to_owned(), value.span)],
            };
            settings.push(Setting {
                span: key.span.to(value.span),
                name: Spanned::new(name, key.span),
                words,
                adds: false,
            });
        }
    }
    settings
}

/// An item of a list in the form of the old syntax: `{zone: Z, forwarders: [A, B]}` is `Z=A;B`.
fn item(item: &Yaml) -> Option<Spanned<String>> {
    let text = match &item.value {
        Node::Scalar(text) => text.clone(),
        Node::Map(_) => {
            let zone = item.text(&["zone"])?;
            let servers: Vec<&str> = item
                .items(&["forwarders"])
                .iter()
                .filter_map(|server| server.text(&[]))
                .collect();
            match item.text(&["file"]) {
                Some(file) => format!("{zone}={file}"),
                None => format!("{zone}={}", servers.join(";")),
            }
        }
        Node::Null | Node::List(_) => return None,
    };
    Some(Spanned::new(text, item.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> Vec<String> {
        let sources = Sources::new();
        let file = sources.add("r", text.as_bytes().to_vec()).unwrap();
        let (settings, broken) = settings(file, text.as_bytes());
        assert!(broken.is_none());
        settings
            .iter()
            .map(|setting| {
                let words: Vec<_> = setting
                    .words
                    .iter()
                    .map(|word| word.value.as_str())
                    .collect();
                let sign = if setting.adds { "+=" } else { "=" };
                format!("{}{sign}{}", setting.name.value, words.join("|"))
            })
            .collect()
    }

    #[test]
    fn old_lines_are_read_as_the_recursor_does() {
        let text = "# x\nallow-from+=10.0.0.0/8, !10.1.0.0/16 # c\nforward-zones=\\\n .=8.8.8.8;9.9.9.9\\\n, a=1.1.1.1#5\nquiet\n  \n";
        assert_eq!(
            read(text),
            [
                "allow-from+=10.0.0.0/8|!10.1.0.0/16",
                "forward-zones=.=8.8.8.8;9.9.9.9|a=1.1.1.1#5",
                "quiet="
            ]
        );
    }

    #[test]
    fn yaml_maps_onto_the_old_names() {
        let text = "# x\nincoming:\n  listen: [127.0.0.1, \"::1\"]\n  allow_from:\n  - 10.0.0.0/8\nrecursor:\n  forward_zones:\n  - zone: .\n    forwarders: [8.8.8.8, 9.9.9.9]\noutgoing:\n  edns_bufsize: 512\n";
        assert_eq!(
            read(text),
            [
                "local-address=127.0.0.1|::1",
                "allow-from=10.0.0.0/8",
                "forward-zones=.=8.8.8.8;9.9.9.9",
                "edns-outgoing-bufsize=512"
            ]
        );
    }

    #[test]
    fn broken_bytes_never_panic() {
        for bytes in [
            b"\\".as_slice(),
            b"=\xff",
            b"a:\n\xff",
            b"a: [",
            b"\0+=#",
            b"+=\\\n#",
        ] {
            let file = Sources::new().add("r", bytes.to_vec()).unwrap();
            let _ = settings(file, bytes);
        }
    }
}
