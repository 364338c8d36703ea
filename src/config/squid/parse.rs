//! In: one squid.conf, other files through [`Files`]. Out: a [`Config`]: ACLs, access lists, ports, peers, and what Squid
//! would say of the file.
//!
//! Statements are read in order, since order is meaning here: an ACL must exist before a rule names it, quoted values
//! switch on in the middle of a file, a line that Squid skips does not count as a list's last.
//!
//! Invariants: no statement is lost: it is kept, or reported, or irrelevant to access; what was not read is a
//! [`Rule::Hole`] in every list.

use std::collections::{BTreeMap, HashMap};

use super::IGNORED_LINE;
use super::acl::{Acl, Unread};
use super::directives::{self, Known, Version};
use super::lists::{List, Peer, Port, Rule, simple_list};
use super::syntax::{self, Line, Word};
use crate::config::{DialectFinding, Facts, Files, Input, Opened};
use crate::source::{FileId, Span, Spanned};

mod acls;
mod builtin;
mod report;
mod rules;

/// Includes nest no deeper (`src/cache_cf.cc`).
const DEPTH: usize = 16;
/// No config makes more findings than this.
const FINDINGS: usize = 200;

/// A config as Squid understands it.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// In the order of their definition, built-in ones first.
    pub(super) acls: Vec<Acl>,
    names: HashMap<String, usize>,
    /// Access lists that decide.
    pub(super) lists: BTreeMap<List, Vec<Rule>>,
    /// Of each peer and adaptation service, by its name.
    pub(super) named_lists: BTreeMap<(List, String), Vec<Rule>>,
    /// Where Squid listens.
    pub(super) ports: Vec<Port>,
    /// `cache_peer`.
    pub(super) peers: Vec<Peer>,
    /// Other directives, by name, the last one of each: its words.
    pub(super) settings: BTreeMap<String, Vec<(Span, Vec<Word>)>>,
    /// Whether the case of user names may count: not with the basic scheme alone, which lowers them.
    pub(super) keeps_user_names: bool,
    /// External ACL types by name: whether they need credentials.
    pub(super) external: BTreeMap<String, bool>,
    /// Includes that were not read.
    pub(super) unread_includes: Vec<Spanned<String>>,
    /// What Squid, or its reader, would say.
    pub(super) findings: Vec<DialectFinding>,
    /// The first statement that stops Squid.
    pub(super) refused: Option<Spanned<String>>,
    /// The release that is assumed or given.
    pub(super) version: Version,
    /// Whether it was given.
    pub(super) version_given: bool,
    /// In words.
    pub(super) assumptions: Vec<String>,
    /// Statements in all.
    pub(super) statements: usize,
    /// Statements that were understood.
    pub(super) understood: usize,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
}

/// Reads a config.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Config {
    let given = facts.get("squid.version").and_then(version);
    let mut reader = Reader {
        files,
        quoted: false,
        openssl: facts.get("squid.tls") != Some("gnutls"),
        config: Config {
            version: given.unwrap_or(DEFAULT_VERSION),
            version_given: given.is_some(),
            ..Config::default()
        },
        authenticates: false,
    };
    reader.built_in(input.file);
    reader.file(input.file, input.bytes, 0);
    reader.config
}

/// Taken where no version is given: the last release with the old value rules that a stable Debian carries.
const DEFAULT_VERSION: Version = (5, 7);

/// `5.7`, `6`, `7.1-2`.
fn version(text: &str) -> Option<Version> {
    let mut parts = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|minor| minor.parse().ok());
    Some((major, minor.unwrap_or(u16::MAX)))
}

struct Reader<'a> {
    files: &'a dyn Files,
    /// `configuration_includes_quoted_values`.
    quoted: bool,
    /// Built with OpenSSL.
    openssl: bool,
    /// An authentication scheme has a program.
    authenticates: bool,
    config: Config,
}

/// What a value list gives, files expanded.
enum Item {
    Value(Spanned<String>),
    Unread(Unread),
}

impl Reader<'_> {
    fn file(&mut self, file: FileId, bytes: &[u8], depth: usize) {
        let lines = syntax::lines(file, bytes);
        let mut states: Vec<(bool, Span)> = Vec::new();
        for line in &lines.lines {
            let word = line.directive();
            self.config.statements += 1;
            match word.text.as_str() {
                "if" => match self.condition(&line.rest()) {
                    Some(holds) => states.push((holds, line.span())),
                    None => states.push((true, line.span())),
                },
                "endif" => {
                    if states.pop().is_none() {
                        self.refuse(line.span(), "`endif` has no `if` before it".to_owned());
                    }
                }
                "else" => match states.last_mut() {
                    Some((holds, _)) => *holds = !*holds,
                    None => self.refuse(line.span(), "`else` has no `if` before it".to_owned()),
                },
                // Only the innermost `if` counts: conditions do not nest.
                _ if states.last().is_some_and(|(holds, _)| !holds) => {}
                "include" if !line.rest().text.is_empty() => self.include(line, depth),
                _ => {
                    self.statement(line, &word);
                    continue;
                }
            }
            self.config.understood += 1;
        }
        if let Some((_, span)) = states.last() {
            self.refuse(*span, "this `if` has no `endif`".to_owned());
        }
        if let Some(span) = lines.unfinished {
            self.report(
                IGNORED_LINE,
                "Squid never reads the last line: it ends in a continuation".to_owned(),
                span,
                "continued, but nothing follows",
                Some("remove the `\\` at the end of the line".to_owned()),
            );
        }
    }

    /// `ParseBoolExpr`: `true`, `false` or `N = M`.
    fn condition(&mut self, rest: &Word) -> Option<bool> {
        let holds = match rest.text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            text => text.split_once('=').and_then(|(left, right)| {
                let number = |text: &str| text.trim().parse::<i64>().ok();
                Some(number(left)? == number(right)?)
            }),
        };
        if holds.is_none() {
            self.refuse(
                rest.span,
                "a condition is `true`, `false` or `number = number`".to_owned(),
            );
        }
        holds
    }

    fn include(&mut self, line: &Line, depth: usize) {
        if depth >= DEPTH {
            self.refuse(
                line.span(),
                format!("includes nest deeper than {DEPTH}; perhaps the file includes itself"),
            );
            return;
        }
        let Ok(words) = line.words(false) else { return };
        for word in words {
            let name = word.text.trim_matches(['"', '\'']).to_owned();
            let file = word.span.file;
            let opened = if name.contains(['*', '?', '[']) {
                let found = self.files.glob(file, &name);
                found.into_iter().map(|(_, opened)| opened).collect()
            } else if name.starts_with(['!', '|']) {
                Vec::new()
            } else {
                vec![self.files.open(file, &name)]
            };
            let mut read = false;
            for opened in opened {
                if let Opened::Found { file, bytes } = opened {
                    read = true;
                    if self.config.companions.len() >= 4_096 {
                        self.refuse(word.span, "thousands of files are included".to_owned());
                        return;
                    }
                    self.config.companions.push(file);
                    self.file(file, &bytes, depth + 1);
                }
            }
            if !read {
                let hole = Spanned::new(name, word.span);
                let index = self.config.unread_includes.len();
                self.config.unread_includes.push(hole);
                for list in List::DECIDING {
                    let rules = self.config.lists.entry(list).or_default();
                    rules.push(Rule::Hole(index));
                }
            }
        }
    }

    fn statement(&mut self, line: &Line, directive: &Word) {
        let name = directive.text.as_str();
        let words = match line.words(self.quoted) {
            Ok(words) => words,
            Err(bad) => {
                self.refuse(bad.span, bad.why.to_owned());
                return;
            }
        };
        self.config.understood += 1;
        match name {
            "acl" => self.acl(line, &words),
            "configuration_includes_quoted_values" => {
                self.quoted = words.first().is_some_and(|word| word.text == "on");
            }
            "http_port" | "https_port" | "ftp_port" | "ascii_port" => {
                self.port(line, name == "https_port", &words);
            }
            "cache_peer" => self.peer(line, &words),
            "external_acl_type" => self.external(&words),
            "auth_param" => {
                let word = |at: usize| words.get(at).map_or("", |word| &word.text);
                self.authenticates |= word(1) == "program";
                // The basic scheme lowers names unless told not to; what the others do was not asked.
                if !word(0).eq_ignore_ascii_case("basic") || word(1) == "casesensitive" {
                    self.config.keeps_user_names = true;
                }
            }
            _ => {
                if let Some(listed) = simple_list(name) {
                    self.access(line, listed, &words);
                } else {
                    self.other(line, name, words);
                }
            }
        }
    }

    fn other(&mut self, line: &Line, name: &str, words: Vec<Word>) {
        match directives::known(name) {
            Known::Always => {}
            Known::Since(since) if self.config.version >= since => {}
            Known::Since(since) if !self.config.version_given => {
                self.needs(
                    line.directive().span,
                    since,
                    &format!("the directive `{name}`"),
                );
            }
            Known::Since(_) | Known::Never => {
                self.config.understood -= 1;
                let help = if name.starts_with('\u{feff}') {
                    "the file starts with a byte order mark; save it without one".to_owned()
                } else if directives::known(&name.to_ascii_lowercase()) == Known::Always {
                    format!(
                        "write `{}`: names are case-sensitive",
                        name.to_ascii_lowercase()
                    )
                } else {
                    format!(
                        "`{name}` is no directive of Squid {}",
                        shown(self.config.version)
                    )
                };
                self.refuse(line.directive().span, help);
            }
        }
        let entry = self.config.settings.entry(name.to_owned()).or_default();
        entry.push((line.span(), words));
    }
}

impl Config {
    /// The ACL of a name, in any case.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_ascii_lowercase()).copied()
    }

    fn define(&mut self, acl: Acl) -> usize {
        let index = self.acls.len();
        self.names.insert(acl.name.to_ascii_lowercase(), index);
        self.acls.push(acl);
        index
    }

    /// The last value of a setting, as its first word.
    pub(super) fn setting(&self, name: &str) -> Option<(&str, Span)> {
        let (span, words) = self.settings.get(name)?.last()?;
        Some((words.first()?.text.as_str(), *span))
    }
}

/// A release in words.
fn shown((major, minor): Version) -> String {
    if minor == 0 || minor == u16::MAX {
        major.to_string()
    } else {
        format!("{major}.{minor}")
    }
}
