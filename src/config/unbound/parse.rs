//! In: tokens. Out: what the daemon is configured to do: clauses with their values, each with its line, and everything
//! that makes unbound refuse the file.
//!
//! Repeated `server:` clauses merge and the last of repeated scalars wins; each `forward-zone:`, `stub-zone:`, `view:`,
//! `auth-zone:` and `rpz:` is an object of its own (unbound `util/configparser.y`).

use std::collections::HashMap;

use super::keywords::{Clause, Keyword, Values, keyword, names, opens};
use super::syntax::{Token, Wrong};
use crate::source::{Span, Spanned};

/// What the daemon is configured to do.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// The last value of each scalar of `server:`.
    pub(super) scalars: HashMap<String, Entry>,
    /// All values of the keywords of `server:` that add up, in order.
    pub(super) lists: HashMap<String, Vec<Entry>>,
    /// `forward-zone:`, `stub-zone:`, `view:`, `auth-zone:` and `rpz:`, in order.
    pub(super) objects: Vec<Object>,
    /// Files that are not there, with the place in the order.
    pub(super) missing: Vec<(usize, Spanned<String>)>,
    /// Why unbound refuses the file.
    pub(super) refusals: Vec<Refusal>,
    /// How many statements there are.
    pub(super) statements: usize,
    /// How many of them are understood.
    pub(super) understood: usize,
}

/// One keyword with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The values.
    pub(super) values: Vec<Spanned<String>>,
    /// From the keyword to the last value.
    pub(super) span: Span,
    /// The place in the order of all statements.
    pub(super) order: usize,
}

impl Entry {
    /// A value's text; empty where there is none.
    pub(super) fn value(&self, index: usize) -> &str {
        self.values
            .get(index)
            .map_or("", |value| value.value.as_str())
    }
}

/// A clause that is an object of its own.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// Which.
    pub(super) clause: Clause,
    /// The keyword that opens it.
    pub(super) span: Span,
    /// Its statements, in order.
    pub(super) entries: Vec<(String, Entry)>,
}

impl Object {
    /// The last value of a keyword.
    pub(super) fn last(&self, name: &str) -> Option<&Entry> {
        self.all(name).next_back()
    }

    /// All values of a keyword.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = &'a Entry> {
        let name = name.to_owned();
        self.entries
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, entry)| entry)
    }

    /// Whether a yes-or-no keyword says yes.
    pub(super) fn says_yes(&self, name: &str) -> bool {
        self.last(name).is_some_and(|entry| entry.value(0) == "yes")
    }

    /// Its name, as written, and the place of the name or of the clause.
    pub(super) fn name(&self) -> Option<Spanned<String>> {
        let entry = self.last("name")?;
        entry.values.first().cloned()
    }
}

/// Why unbound refuses the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What about it, as a clause.
    pub(super) why: String,
    /// Where.
    pub(super) span: Span,
    /// What to do.
    pub(super) help: Option<String>,
}

/// Keywords of `server:` whose values add up; of all others the last value counts.
const LISTS: &[&str] = &[
    "access-control",
    "access-control-tag",
    "access-control-tag-action",
    "access-control-tag-data",
    "access-control-view",
    "do-not-query-address",
    "interface",
    "interface-action",
    "interface-tag",
    "interface-view",
    "ip-address",
    "local-data",
    "local-zone",
    "local-zone-override",
    "local-zone-tag",
    "private-address",
    "private-domain",
    "response-ip",
    "response-ip-data",
    "response-ip-tag",
];

/// Puts tokens together; a fragment stands inside another file's `server:` clause.
pub(super) fn parse(tokens: Vec<Token>, fragment: bool) -> Config {
    let mut parser = Parser {
        clause: fragment.then_some(Clause::Server),
        ..Parser::default()
    };
    for token in tokens {
        match token {
            Token::Keyword(name) => parser.keyword(name),
            Token::Value(value) => parser.value(value),
            Token::TopLevel => {
                parser.finish();
                parser.clause = None;
            }
            Token::Missing(name) => {
                let order = parser.order;
                parser.order += 1;
                parser.config.missing.push((order, name));
            }
            Token::Wrong(wrong) => parser.refuse(wrong_reason(wrong.value), wrong.span, None),
        }
    }
    parser.finish();
    parser.config
}

/// A keyword, what is known of it here, and its values so far.
type Open = (Spanned<String>, Option<Keyword>, Vec<Spanned<String>>);

#[derive(Debug, Default)]
struct Parser {
    config: Config,
    clause: Option<Clause>,
    /// The keyword that waits for its values.
    open: Option<Open>,
    order: usize,
}

impl Parser {
    fn keyword(&mut self, name: Spanned<String>) {
        self.finish();
        if let Some(clause) = opens(&name.value) {
            self.clause = Some(clause);
            if !matches!(clause, Clause::Server | Clause::Other) {
                self.config.objects.push(Object {
                    clause,
                    span: name.span,
                    entries: Vec::new(),
                });
            }
            return;
        }
        self.config.statements += 1;
        let known = self
            .clause
            .and_then(|clause| keyword(&name.value, Some(clause)));
        if known.is_none() {
            self.not_here(&name);
        }
        self.open = Some((name, known, Vec::new()));
    }

    /// A keyword that does not exist, or not in this clause.
    fn not_here(&mut self, name: &Spanned<String>) {
        let (why, help) = if keyword(&name.value, None).is_none() {
            let near = nearest(&name.value).map(|near| format!("write `{near}:`"));
            (format!("there is no keyword `{}:`", name.value), near)
        } else if self.clause.is_none() {
            (
                format!("`{}:` stands before any clause", name.value),
                Some("put it below `server:`".to_owned()),
            )
        } else {
            (
                format!("`{}:` does not belong into this clause", name.value),
                Some("put it below the clause that it belongs to".to_owned()),
            )
        };
        self.refuse(why, name.span, help);
    }

    fn value(&mut self, value: Spanned<String>) {
        if let Some((_, known, values)) = &mut self.open {
            values.push(value);
            let wanted = known.map_or(usize::MAX, |known| known.arguments.into());
            if values.len() >= wanted {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        let Some((name, known, values)) = self.open.take() else {
            return;
        };
        let order = self.order;
        self.order += 1;
        let Some(known) = known else {
            return;
        };
        let span = values
            .last()
            .filter(|last| last.span.file == name.span.file && last.span.end >= name.span.start)
            .map_or(name.span, |last| name.span.to(last.span));
        if values.len() < usize::from(known.arguments) {
            self.refuse(format!("`{}:` lacks a value", name.value), span, None);
            return;
        }
        self.config.understood += 1;
        for value in &values {
            self.check(&name.value, known.values, value);
        }
        let entry = Entry {
            values,
            span,
            order,
        };
        match (known.clause, self.config.objects.last_mut()) {
            (Clause::Server, _) if LISTS.contains(&name.value.as_str()) => {
                self.config.lists.entry(name.value).or_default().push(entry);
            }
            (Clause::Server, _) => {
                self.config.scalars.insert(name.value, entry);
            }
            (
                Clause::Stub | Clause::Forward | Clause::View | Clause::Auth | Clause::Rpz,
                Some(object),
            ) => object.entries.push((name.value, entry)),
            (
                Clause::Other
                | Clause::Stub
                | Clause::Forward
                | Clause::View
                | Clause::Auth
                | Clause::Rpz,
                _,
            ) => {}
        }
    }

    fn check(&mut self, name: &str, values: Values, value: &Spanned<String>) {
        let text = value.value.as_str();
        match values {
            Values::YesNo if text != "yes" && text != "no" => self.refuse(
                format!("`{name}:` takes `yes` or `no`, not `{text}`"),
                value.span,
                Some("write `yes` or `no`".to_owned()),
            ),
            Values::Number if atoi(text) == 0 && (text != "0" || name == "edns-buffer-size") => {
                self.refuse(
                    format!("`{name}:` takes a number, not `{text}`"),
                    value.span,
                    None,
                );
            }
            Values::YesNo | Values::Number | Values::Text => {}
        }
    }

    fn refuse(&mut self, why: impl Into<String>, span: Span, help: Option<String>) {
        self.config.refusals.push(Refusal {
            why: why.into(),
            span,
            help,
        });
    }
}

fn wrong_reason(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::NotAKeyword => "a keyword must stand here, with its colon",
        Wrong::Stray => "this character starts nothing that unbound knows",
        Wrong::OpenQuote => "the quoted string does not end on its line",
        Wrong::EmptyInclude => "the include names no file",
        Wrong::TooManyIncludes => "files include each other without end",
        Wrong::EndsEarly => "the file ends before the last keyword's value",
    }
}

/// `atoi(3)`, without its sign: what follows the digits does not count.
pub(super) fn atoi(text: &str) -> u64 {
    let text = text.trim_start();
    let digits: String = text
        .trim_start_matches('+')
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or(if digits.is_empty() { 0 } else { u64::MAX })
}

/// The keyword that was probably meant: the one with the fewest edits, at most two.
fn nearest(word: &str) -> Option<&'static str> {
    if word.len() > 64 {
        return None;
    }
    names()
        .map(|name| (edits(word, name), name))
        .filter(|(edits, _)| *edits <= 2)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let cost = diagonal + usize::from(a != b);
            diagonal = *cell;
            before = cost.min(*cell + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;
    use crate::config::{Input, NoFiles};
    use crate::source::Sources;

    fn config(text: &str) -> Config {
        let file = Sources::new().add("u", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "u",
            bytes: text.as_bytes(),
        };
        parse(syntax::tokens(&input, &NoFiles).tokens, false)
    }

    #[test]
    fn the_last_scalar_wins_and_lists_add_up() {
        let config = config(
            "server: port: 53 access-control: 10.0.0.0/8 allow\nserver: port: 54\n\
             access-control: ::1 refuse\nforward-zone: name: a\nforward-zone: name: b forward-addr: 1.1.1.1",
        );
        assert_eq!(config.refusals, []);
        assert_eq!(config.scalars["port"].value(0), "54");
        assert_eq!(config.lists["access-control"].len(), 2);
        assert_eq!(config.objects.len(), 2);
        assert_eq!(config.objects[1].name().unwrap().value, "b");
        assert_eq!((config.statements, config.understood), (7, 7));
    }

    #[test]
    fn what_unbound_refuses_is_refused() {
        for (text, why) in [
            ("port: 53", "stands before any clause"),
            ("server: forward-addr: 1.1.1.1", "does not belong"),
            ("forward-zone: edns-buffer-size: 512", "does not belong"),
            ("server: edns-bufer-size: 512", "no keyword"),
            ("server: do-tcp: maybe", "takes `yes` or `no`"),
            ("server: edns-buffer-size: 0", "takes a number"),
            ("server: port: x", "takes a number"),
            ("server: local-zone: a\n", "lacks a value"),
            ("server: Port: 53", "no keyword"),
        ] {
            let refusals = config(text).refusals;
            assert!(
                refusals.iter().any(|refusal| refusal.why.contains(why)),
                "{text}: {refusals:?}"
            );
        }
        let typo = config("server: edns-bufer-size: 512").refusals;
        assert_eq!(typo[0].help.as_deref(), Some("write `edns-buffer-size:`"));
    }

    #[test]
    fn numbers_are_read_as_atoi_does() {
        assert_eq!(atoi("512k"), 512);
        assert_eq!(atoi("k"), 0);
        assert_eq!(atoi("99999999999999999999999"), u64::MAX);
    }
}
