//! In: a config of httpd. Out: its directives as a tree, included files in their places, and where httpd refuses it.
//!
//! Lines as `ap_cfg_getline` (`server/util.c`) makes them: a backslash before the line break continues a line, a comment
//! too. Words as `ap_getword_conf` does: quotes count at the start of a word, a backslash is dropped before a backslash
//! and, inside quotes, before the quote that they began with.

use crate::config::csp::{Quoting, Text};
use crate::config::{Files, Opened};
use crate::source::{FileId, Span, Spanned};

/// A directive, with its block where it is a section.
pub(super) struct Directive {
    /// Lower case.
    pub(super) name: String,
    /// Its arguments.
    pub(super) words: Vec<Text>,
    /// Where it stands, without its block.
    pub(super) span: Span,
    /// What the section holds.
    pub(super) block: Option<Vec<Directive>>,
    /// An `Include` that could not be followed, or a section that is nested too deep.
    pub(super) is_unread: bool,
}

impl Directive {
    /// An argument, as text.
    pub(super) fn word(&self, at: usize) -> String {
        self.words.get(at).map_or_else(String::new, |word| {
            String::from_utf8_lossy(word.bytes()).into_owned()
        })
    }

    /// `<Location /x>`, as messages show it.
    pub(super) fn title(&self, written: &str) -> String {
        let mut title = format!("<{written}");
        for at in 0..self.words.len() {
            title.push(' ');
            title.push_str(&self.word(at));
        }
        title.push('>');
        title
    }
}

/// A config that was read.
#[derive(Default)]
pub(super) struct Config {
    pub(super) tree: Vec<Directive>,
    /// Where httpd stops, in words.
    pub(super) broken: Vec<Spanned<String>>,
    /// The files that it includes.
    pub(super) companions: Vec<FileId>,
    /// The files that are being read: a circle of them has no end.
    open: Vec<FileId>,
}

/// Sections deeper than this, and files included deeper, are not read.
const DEEPEST: usize = 32;
/// So many files are included at most.
const MOST_FILES: usize = 1_000;

/// Reads a file, and what it includes.
pub(super) fn parse(file: FileId, bytes: &[u8], files: &dyn Files) -> Config {
    let mut config = Config {
        open: vec![file],
        ..Config::default()
    };
    config.tree = read(file, bytes, files, &mut config, 0);
    config
}

fn read(
    file: FileId,
    bytes: &[u8],
    files: &dyn Files,
    config: &mut Config,
    depth: usize,
) -> Vec<Directive> {
    let mut open: Vec<Directive> = Vec::new();
    let mut top: Vec<Directive> = Vec::new();
    let mut too_deep = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        let line = Line::read(file, bytes, &mut at);
        let Some(first) = line.first() else { continue };
        if first == b'#' {
            continue;
        }
        if first == b'<' && line.starts_with(b"</") {
            if too_deep > 0 {
                too_deep -= 1;
            } else {
                close(&line, &mut open, &mut top, config);
            }
        } else if first == b'<' {
            let directive = line.section(config);
            if depth + open.len() < DEEPEST {
                open.push(directive);
            } else {
                if too_deep == 0 {
                    let mut directive = directive;
                    directive.is_unread = true;
                    directive.block = None;
                    place(directive, &mut open, &mut top);
                }
                too_deep += 1;
            }
        } else if too_deep == 0 {
            let directive = line.directive();
            let found = if matches!(directive.name.as_str(), "include" | "includeoptional") {
                included(directive, file, files, config, depth + open.len())
            } else {
                vec![directive]
            };
            for directive in found {
                place(directive, &mut open, &mut top);
            }
        }
    }
    while let Some(section) = open.pop() {
        let words = format!("`<{}>` is not closed", section.name);
        config.broken.push(Spanned::new(words, section.span));
        place(section, &mut open, &mut top);
    }
    top
}

/// Puts a directive into the innermost section that is open.
fn place(directive: Directive, open: &mut [Directive], top: &mut Vec<Directive>) {
    match open.last_mut().and_then(|section| section.block.as_mut()) {
        Some(block) => block.push(directive),
        None => top.push(directive),
    }
}

/// Closes a section; one that is closed in another one's name is closed all the same.
fn close(line: &Line, open: &mut Vec<Directive>, top: &mut Vec<Directive>, config: &mut Config) {
    let name = line.text();
    let name = name.trim_start_matches("</").trim_end_matches('>').trim();
    let name = name.to_ascii_lowercase();
    let depth = open.iter().rposition(|section| section.name == name);
    let innermost = open.last().map(|section| section.name.clone());
    if innermost.as_ref() != Some(&name) {
        let words = match innermost {
            Some(expected) => format!("`</{expected}>` is expected here"),
            None => format!("`</{name}>` closes nothing"),
        };
        config.broken.push(Spanned::new(words, line.span()));
    }
    let Some(depth) = depth else { return };
    while open.len() > depth {
        if let Some(section) = open.pop() {
            place(section, open, top);
        }
    }
}

/// The directives of the files that an `Include` names, or the `Include` itself where they cannot be read.
fn included(
    mut directive: Directive,
    from: FileId,
    files: &dyn Files,
    config: &mut Config,
    depth: usize,
) -> Vec<Directive> {
    let name = directive.word(0);
    let opened: Vec<Opened> = if name.contains(['*', '?', '[']) {
        let opened = files.glob(from, &name);
        opened.into_iter().map(|(_, opened)| opened).collect()
    } else {
        vec![files.open(from, &name)]
    };
    let mut found = Vec::new();
    let mut is_missing = opened.is_empty();
    for one in opened {
        match one {
            Opened::Found { file, bytes }
                if depth < DEEPEST
                    && config.companions.len() < MOST_FILES
                    && !config.open.contains(&file) =>
            {
                config.companions.push(file);
                config.open.push(file);
                found.extend(read(file, &bytes, files, config, depth + 1));
                config.open.pop();
            }
            Opened::Found { .. } | Opened::Missing | Opened::Refused(_) => is_missing = true,
        }
    }
    let holds_no_headers = HEADERLESS.iter().any(|ending| name.ends_with(ending));
    if is_missing && !holds_no_headers {
        directive.is_unread = true;
        found.push(directive);
    }
    found
}

/// Files of the distributions and of certbot that set no header of a response.
const HEADERLESS: [&str; 6] = [
    "mods-enabled/*.load",
    "mods-enabled/*.conf",
    "conf.modules.d/*.conf",
    "ports.conf",
    "options-ssl-apache.conf",
    "serve-cgi-bin.conf",
];

/// A line without what continues it, each byte with its place.
struct Line {
    file: FileId,
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Line {
    /// The line at a place, without blanks around it; the place becomes that of the next one.
    fn read(file: FileId, bytes: &[u8], at: &mut usize) -> Self {
        let mut line = Self {
            file,
            bytes: Vec::new(),
            places: Vec::new(),
        };
        loop {
            let rest = bytes.get(*at..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest);
            let piece = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
            let piece = match piece.strip_suffix(b"\r") {
                Some(piece) if length.is_some() => piece,
                Some(_) | None => piece,
            };
            let start = *at;
            *at += length.map_or(rest.len(), |length| length + 1);
            let continued = length.and(piece.strip_suffix(b"\\"));
            let piece = continued.unwrap_or(piece);
            line.bytes.extend_from_slice(piece);
            line.places.extend(start..start + piece.len());
            if continued.is_none() || *at >= bytes.len() {
                break;
            }
        }
        let is_blank = |byte: &&u8| is_blank(**byte);
        let tail = line.bytes.iter().rev().take_while(is_blank).count();
        line.bytes.truncate(line.bytes.len() - tail);
        line.places.truncate(line.bytes.len());
        let lead = line.bytes.iter().take_while(is_blank).count();
        line.bytes.drain(..lead);
        line.places.drain(..lead);
        line
    }

    fn first(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes.starts_with(prefix)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn span(&self) -> Span {
        let start = self.places.first().copied().unwrap_or_default();
        let end = self.places.last().map_or(start, |last| last + 1);
        Span::new(self.file, start, end)
    }

    /// `Name argument ..`.
    fn directive(&self) -> Directive {
        let (name, words) = self.words(0, self.bytes.len());
        Directive {
            name,
            words,
            span: self.span(),
            block: None,
            is_unread: false,
        }
    }

    /// `<Name argument ..>`; the arguments end with the last bracket.
    fn section(&self, config: &mut Config) -> Directive {
        let end = memchr::memrchr(b'>', &self.bytes).unwrap_or_else(|| {
            let words = "the section's `>` is missing".to_owned();
            config.broken.push(Spanned::new(words, self.span()));
            self.bytes.len()
        });
        let (name, words) = self.words(1, end);
        Directive {
            name,
            words,
            span: self.span(),
            block: Some(Vec::new()),
            is_unread: false,
        }
    }

    fn words(&self, start: usize, end: usize) -> (String, Vec<Text>) {
        let mut at = start;
        let mut words = Vec::new();
        let name = self.word(&mut at, end).map(|word| {
            let name = String::from_utf8_lossy(word.bytes()).into_owned();
            name.to_ascii_lowercase()
        });
        while let Some(word) = self.word(&mut at, end) {
            words.push(word);
        }
        (name.unwrap_or_default(), words)
    }

    fn word(&self, at: &mut usize, end: usize) -> Option<Text> {
        let byte = |at: usize| self.bytes.get(at).copied().filter(|_| at < end);
        while byte(*at).is_some_and(is_blank) {
            *at += 1;
        }
        let quote = byte(*at)?;
        let quote = matches!(quote, b'"' | b'\'').then_some(quote);
        let quoting = match quote {
            Some(b'"') => Quoting::Escaped,
            Some(_) => Quoting::Backslashed,
            None => Quoting::Unquoted,
        };
        *at += usize::from(quote.is_some());
        let mut text = Text::new(self.file, quoting);
        let place = |at: usize| self.places.get(at).copied().unwrap_or_default();
        while let Some(one) = byte(*at) {
            if quote.map_or(is_blank(one), |quote| one == quote) {
                break;
            }
            let next = byte(*at + 1);
            if one == b'\\' && next.is_some() && (next == Some(b'\\') || next == quote) {
                let raw = place(*at)..place(*at + 1) + 1;
                text.push(&[next.unwrap_or_default()], raw);
                *at += 2;
            } else {
                text.push_byte(one, place(*at)..place(*at) + 1);
                *at += 1;
            }
        }
        *at += usize::from(quote.is_some() && byte(*at).is_some());
        Some(text)
    }
}

/// `apr_isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
