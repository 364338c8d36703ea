//! In: the bytes of one file. Out: statements, each a list of words and blocks with spans, and what breaks the grammar.
//!
//! named.conf is `words { statements };` all the way down (named.conf(5)); this module knows no statement by name. Three
//! kinds of comments stand anywhere outside strings, `/* */` does not nest; strings are `"..."` only; `!` is a word of
//! its own. After an error reading goes on at the next `;` or `}` of the same depth.
//!
//! Invariants: spans lie in the file; nesting is capped, deeper blocks are reported and skipped.

use crate::source::{FileId, Span};

/// Blocks nest no deeper; real files need six.
const DEPTH: usize = 64;

/// One statement without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its parts.
    pub(super) items: Vec<Item>,
    /// From its first part to its last.
    pub(super) span: Span,
}

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A word, a number, an address or a string.
    Word(Word),
    /// `{ ... }`.
    Block(Block),
}

/// A word or a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Its text without quotes, escapes resolved.
    pub(super) text: String,
    /// It was in quotes.
    pub(super) quoted: bool,
    /// With its quotes.
    pub(super) span: Span,
}

/// A braced list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// What stands in it.
    pub(super) statements: Vec<Statement>,
    /// With its braces.
    pub(super) span: Span,
}

/// Something that breaks the grammar: named refuses the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// What is wrong, as a clause.
    pub(super) what: String,
    /// Where.
    pub(super) span: Span,
    /// Text that mends it, inserted where the span ends.
    pub(super) insert: Option<&'static str>,
}

/// A file's statements and what breaks its grammar.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    /// Top level statements.
    pub(super) statements: Vec<Statement>,
    /// Errors in order.
    pub(super) broken: Vec<Broken>,
}

impl Statement {
    /// The word at a place.
    pub(super) fn word(&self, index: usize) -> Option<&Word> {
        match self.items.get(index)? {
            Item::Word(word) => Some(word),
            Item::Block(_) => None,
        }
    }

    /// The keyword: the first word in lower case; named.conf keywords have no case.
    pub(super) fn keyword(&self) -> String {
        self.word(0)
            .filter(|word| !word.quoted)
            .map(|word| word.text.to_ascii_lowercase())
            .unwrap_or_default()
    }

    /// The first block.
    pub(super) fn block(&self) -> Option<&Block> {
        self.blocks().next()
    }

    /// All blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.items.iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Word(_) => None,
        })
    }

    /// All words.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word> {
        self.items.iter().filter_map(|item| match item {
            Item::Word(word) => Some(word),
            Item::Block(_) => None,
        })
    }
}

impl Item {
    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Word(word) => word.span,
            Self::Block(block) => block.span,
        }
    }
}

/// Reads a file.
pub(super) fn parse(file: FileId, bytes: &[u8]) -> Tree {
    let mut reader = Reader {
        file,
        bytes,
        at: if bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        },
        broken: Vec::new(),
    };
    let statements = reader.top();
    Tree {
        statements,
        broken: reader.broken,
    }
}

#[derive(Debug)]
enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
    Semicolon(Span),
    End,
}

/// A list that is being filled.
#[derive(Default)]
struct Level {
    /// Where its brace stands.
    open: usize,
    /// The statement's parts before the block.
    before: Vec<Item>,
    statements: Vec<Statement>,
}

struct Reader<'a> {
    file: FileId,
    bytes: &'a [u8],
    at: usize,
    broken: Vec<Broken>,
}

impl Reader<'_> {
    fn top(&mut self) -> Vec<Statement> {
        let mut levels: Vec<Level> = vec![Level::default()];
        let mut items: Vec<Item> = Vec::new();
        // Blocks that are too deep are only counted.
        let mut skipped = 0usize;
        loop {
            let token = self.token();
            if skipped > 0 {
                match token {
                    Token::Open(_) => skipped += 1,
                    Token::Close(_) => skipped -= 1,
                    Token::Word(_) | Token::Semicolon(_) => {}
                    Token::End => skipped = 0,
                }
                if !matches!(token, Token::End) {
                    continue;
                }
            }
            match token {
                Token::Word(word) => {
                    if needs_semicolon(&items, &word) {
                        let before = items.last().map_or(word.span, Item::span);
                        self.broken.push(Broken {
                            what: format!("a `;` is missing before `{}`", word.text),
                            span: before,
                            insert: Some(";"),
                        });
                        finish(&mut items, &mut levels);
                    }
                    items.push(Item::Word(word));
                }
                Token::Open(span) => {
                    if levels.len() > DEPTH {
                        self.broken.push(Broken {
                            what: format!("blocks nest deeper than {DEPTH}"),
                            span,
                            insert: None,
                        });
                        skipped = 1;
                    } else {
                        levels.push(Level {
                            open: span.start as usize,
                            before: std::mem::take(&mut items),
                            statements: Vec::new(),
                        });
                    }
                }
                Token::Semicolon(span) => {
                    if items.is_empty() {
                        self.broken.push(Broken {
                            what: "a `;` stands alone".to_owned(),
                            span,
                            insert: None,
                        });
                    }
                    finish(&mut items, &mut levels);
                }
                Token::Close(span) => {
                    self.unfinished(&mut items, &mut levels, "`}`");
                    if levels.len() > 1 {
                        close(span, &mut items, &mut levels, self.file);
                    } else {
                        self.broken.push(Broken {
                            what: "a `}` closes nothing".to_owned(),
                            span,
                            insert: None,
                        });
                    }
                }
                Token::End => {
                    self.unfinished(&mut items, &mut levels, "the end of the file");
                    let end = Span::new(self.file, self.bytes.len(), self.bytes.len());
                    while levels.len() > 1 {
                        let open = levels.last().map_or(0, |level| level.open);
                        self.broken.push(Broken {
                            what: "this `{` is never closed".to_owned(),
                            span: Span::new(self.file, open, open + 1),
                            insert: None,
                        });
                        close(end, &mut items, &mut levels, self.file);
                        finish(&mut items, &mut levels);
                    }
                    return levels.pop().unwrap_or_default().statements;
                }
            }
        }
    }

    /// A statement that ends without its semicolon.
    fn unfinished(&mut self, items: &mut Vec<Item>, levels: &mut [Level], before: &str) {
        if let Some(last) = items.last() {
            self.broken.push(Broken {
                what: format!("a `;` is missing before {before}"),
                span: last.span(),
                insert: Some(";"),
            });
            finish(items, levels);
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn token(&mut self) -> Token {
        loop {
            let Some(byte) = self.peek(0) else {
                return Token::End;
            };
            match (byte, self.peek(1)) {
                (b'#', _) | (b'/', Some(b'/')) => {
                    self.at = memchr::memchr(b'\n', self.rest())
                        .map_or(self.bytes.len(), |line| self.at + line + 1);
                }
                (b'/', Some(b'*')) => self.comment(),
                (b'{', _) => return Token::Open(self.one()),
                (b'}', _) => return Token::Close(self.one()),
                (b';', _) => return Token::Semicolon(self.one()),
                (b'"', _) => return Token::Word(self.string()),
                (b'!', _) => {
                    let span = self.one();
                    return Token::Word(Word {
                        text: "!".to_owned(),
                        quoted: false,
                        span,
                    });
                }
                (byte, _) if is_blank(byte) => self.at += 1,
                (_, _) => return Token::Word(self.bare()),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn one(&mut self) -> Span {
        self.at += 1;
        Span::new(self.file, self.at - 1, self.at)
    }

    fn comment(&mut self) {
        let start = self.at;
        let body = self.bytes.get(start + 2..).unwrap_or_default();
        if let Some(end) = memchr::memmem::find(body, b"*/") {
            self.at = start + 2 + end + 2;
        } else {
            self.broken.push(Broken {
                what: "this comment is never closed".to_owned(),
                span: Span::new(self.file, start, start + 2),
                insert: None,
            });
            self.at = self.bytes.len();
        }
    }

    fn string(&mut self) -> Word {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') if self.peek(1).is_some_and(|next| next != b'\n') => {
                    text.extend(self.peek(1));
                    self.at += 2;
                }
                None => {
                    self.broken.push(Broken {
                        what: "this string is never closed".to_owned(),
                        span: Span::new(self.file, start, start + 1),
                        insert: None,
                    });
                    break;
                }
                Some(byte) => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        Word {
            text: String::from_utf8_lossy(&text).into_owned(),
            quoted: true,
            span: Span::new(self.file, start, self.at),
        }
    }

    fn bare(&mut self) -> Word {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            let comment = byte == b'/' && matches!(self.peek(1), Some(b'/' | b'*'));
            if comment || is_blank(byte) || matches!(byte, b'{' | b'}' | b';' | b'"' | b'#' | b'!')
            {
                break;
            }
            self.at += 1;
        }
        // A comment sign that `token` did not take is never met at the start of a word.
        self.at = self.at.max(start + 1);
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        Word {
            text: String::from_utf8_lossy(text).into_owned(),
            quoted: false,
            span: Span::new(self.file, start, self.at),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Ends the statement that is being read.
fn finish(items: &mut Vec<Item>, levels: &mut [Level]) {
    let items = std::mem::take(items);
    if let (Some(first), Some(last), Some(level)) = (items.first(), items.last(), levels.last_mut())
    {
        let span = first.span().to(last.span());
        level.statements.push(Statement { items, span });
    }
}

/// Ends the innermost block: it becomes a part of the statement that it belongs to.
fn close(end: Span, items: &mut Vec<Item>, levels: &mut Vec<Level>, file: FileId) {
    if let Some(level) = levels.pop() {
        *items = level.before;
        items.push(Item::Block(Block {
            statements: level.statements,
            span: Span::new(file, level.open, end.end as usize),
        }));
    }
}

/// Whether a word can only begin the next statement: after a block only a few statements go on, and a clause with one
/// scalar is over after it.
fn needs_semicolon(items: &[Item], next: &Word) -> bool {
    let (Some(Item::Word(first)), Some(last)) = (items.first(), items.last()) else {
        return matches!(items.last(), Some(Item::Block(_)));
    };
    let keyword = first.text.to_ascii_lowercase();
    match last {
        Item::Block(_) => {
            !(CONTINUED.contains(&keyword.as_str())
                || matches!(next.text.as_str(), "except-from" | "block-size"))
        }
        Item::Word(_) => items.len() == 2 && SCALAR.contains(&keyword.as_str()),
    }
}

/// Statements in which words follow a block.
const CONTINUED: &[&str] = &[
    "inet",
    "unix",
    "deny-answer-addresses",
    "deny-answer-aliases",
    "response-policy",
    "response-padding",
    "root-delegation-only",
    "zone",
];

/// Clauses that take exactly one word.
const SCALAR: &[&str] = &[
    "recursion",
    "forward",
    "directory",
    "dnssec-validation",
    "edns",
    "edns-udp-size",
    "max-udp-size",
    "nocookie-udp-size",
    "file",
    "type",
    "bogus",
    "tcp-only",
    "pid-file",
    "auth-nxdomain",
    "minimal-responses",
    "querylog",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn tree(text: &str) -> Tree {
        let file = Sources::new()
            .add("named.conf", text.as_bytes().to_vec())
            .unwrap();
        parse(file, text.as_bytes())
    }

    fn shape(statements: &[Statement]) -> String {
        let mut text = String::new();
        for statement in statements {
            for item in &statement.items {
                match item {
                    Item::Word(word) => {
                        text.push_str(&word.text);
                        text.push(' ');
                    }
                    Item::Block(block) => {
                        text += "{";
                        text += &shape(&block.statements);
                        text += "} ";
                    }
                }
            }
            text.push(';');
        }
        text
    }

    #[test]
    fn all_comments_and_strings_are_understood() {
        let tree = tree(
            "/* options { /* ; */ options { // a } ;\n directory \"/a # b\"; # c\n acl x { !10/8;10.1/16; }; };",
        );
        assert_eq!(tree.broken, []);
        assert_eq!(
            shape(&tree.statements),
            "options {directory /a # b ;acl x {! 10/8 ;10.1/16 ;} ;} ;"
        );
    }

    #[test]
    fn a_missing_semicolon_is_reported_once_and_reading_goes_on() {
        for text in [
            "options { recursion yes; }\nzone \"a\" { type hint; };",
            "options { recursion yes forwarders { 1.1.1.1; }; };",
            "options { recursion yes };",
            "options { recursion yes; }",
        ] {
            let tree = tree(text);
            assert_eq!(tree.broken.len(), 1, "{text}: {:?}", tree.broken);
            assert!(shape(&tree.statements).contains("recursion yes ;"));
        }
    }

    #[test]
    fn broken_input_never_panics_and_depth_is_capped() {
        for text in [
            "}",
            "{",
            ";",
            "\"",
            "/*",
            "/",
            "\\",
            "a{b{c",
            "!",
            "\u{feff}options {",
        ] {
            let _ = tree(text);
        }
        let deep = "a {".repeat(5000);
        assert!(!tree(&deep).broken.is_empty());
    }
}
