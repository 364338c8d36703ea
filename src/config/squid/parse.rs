//! In: one squid.conf, other files through [`Files`]. Out: a [`Config`]: ACLs, access lists, ports, peers, and what Squid
//! would say of the file.
//!
//! Statements are read in order, since order is meaning here: an ACL must exist before a rule names it, quoted values
//! switch on in the middle of a file, a line that Squid skips does not count as a list's last.
//!
//! Invariants: no statement is lost: it is kept, or reported, or irrelevant to access; what was not read is a
//! [`Rule::Hole`] in every list.

use std::collections::{BTreeMap, HashMap};

use super::acl::{self, Acl, Kind, Shape, Taken, Term, Unread};
use super::directives::{self, Known, Version};
use super::lists::{Action, List, Listed, Mode, Peer, Port, Rule, simple_list};
use super::syntax::{self, Form, Line, Word};
use super::{IGNORED_LINE, NEEDS_VERSION, OVERLAP_LOST, REFUSED, VALUES_AFTER_FILE};
use crate::config::{DialectFinding, Facts, Files, Input, Opened};
use crate::source::{FileId, Span, Spanned};

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
    /// Built-in ACLs (`DEFAULT` of `acl` in src/cf.data.pre).
    fn built_in(&mut self, file: FileId) {
        let all: &[(&str, Kind, Version, &str)] = &[
            ("all", Kind::Source, (3, 1), "all"),
            (
                "manager",
                Kind::UrlRegex,
                (3, 2),
                "-i ^cache_object:// +i ^[^:]+://[^/]+/squid-internal-mgr/",
            ),
            ("localhost", Kind::Source, (3, 2), "127.0.0.1/32 ::1"),
            (
                "to_localhost",
                Kind::Destination,
                (3, 2),
                "127.0.0.0/8 0.0.0.0/32 ::1/128 ::/128",
            ),
            (
                "to_linklocal",
                Kind::Destination,
                (5, 8),
                "169.254.0.0/16 fe80::/10",
            ),
            ("CONNECT", Kind::Method, (5, 0), "CONNECT"),
        ];
        let nowhere = Span::new(file, 0, 0);
        for (name, kind, since, values) in all {
            if self.config.version < *since {
                continue;
            }
            let mut acl = Acl::new(name, *kind, None);
            for value in values.split(' ') {
                acl.take(
                    &Spanned::new(value.to_owned(), nowhere),
                    self.config.version,
                );
            }
            self.config.define(acl);
        }
    }

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
                self.authenticates |= words.get(1).is_some_and(|word| word.text == "program");
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

    fn acl(&mut self, line: &Line, words: &[Word]) {
        let [name, type_word, rest @ ..] = words else {
            self.refuse(
                line.span(),
                "an `acl` line needs a name, a type and values".to_owned(),
            );
            return;
        };
        if name.text.len() > 63 {
            self.refuse(
                name.span,
                "an ACL name has at most 63 characters".to_owned(),
            );
        }
        let type_name = match type_word.text.as_str() {
            "myip" => "localip",
            "myport" => "localport",
            "clientside_mark" => "client_connection_mark",
            "proto" if name.text == "manager" => return,
            other => other,
        };
        let Some(kind) = acl::kind(type_name) else {
            self.refuse(
                type_word.span,
                format!("`{}` is no ACL type", type_word.text),
            );
            self.ensure(&name.text, Kind::Other("match"), line.span());
            return;
        };
        if acl::needs_openssl(type_name) {
            if self.openssl {
                self.assume("Squid is built with OpenSSL (`squid.tls=gnutls` says otherwise)");
            } else {
                self.refuse(
                    type_word.span,
                    format!("the ACL type `{type_name}` needs a Squid that is built with OpenSSL"),
                );
            }
        }
        if self.config.version >= (7, 0) && matches!(type_name, "ident" | "ident_regex") {
            self.refuse(type_word.span, "Squid 7 has no ident ACLs".to_owned());
        }
        let index = self.ensure(&name.text, kind, line.span());
        let Some(known) = self.config.acls.get(index) else {
            return;
        };
        if known.kind != kind {
            let place = known.span.map_or_else(
                || "is built in with another type".to_owned(),
                |_| "was defined with another type before".to_owned(),
            );
            self.refuse(name.span, format!("the ACL `{}` {place}", name.text));
            return;
        }
        if matches!(kind, Kind::User | Kind::UserRegex) && !self.authenticates {
            self.no_scheme(line.span());
        }
        let rest = self.flags(index, kind, rest);
        self.acl_values(index, kind, rest, line);
    }

    /// `ACLProxyAuth::valid`; an include that was not read may have the scheme.
    fn no_scheme(&mut self, span: Span) {
        if self.config.unread_includes.is_empty() {
            self.refuse(
                span,
                "`proxy_auth` needs an `auth_param ... program` line before it".to_owned(),
            );
        }
    }

    fn flags<'w>(&mut self, index: usize, kind: Kind, words: &'w [Word]) -> &'w [Word] {
        let mut rest = words;
        while let [word, more @ ..] = rest {
            if !word.text.starts_with(['-', '+']) || word.form != Form::Plain {
                break;
            }
            if kind.shape() == Shape::Ignored {
                break;
            }
            rest = more;
            if word.text == "--" {
                break;
            }
            if !kind.takes(&word.text) {
                self.refuse(
                    word.span,
                    format!("the ACL type does not take the option `{}`", word.text),
                );
            }
            let Some(acl) = self.config.acls.get_mut(index) else {
                break;
            };
            match word.text.as_str() {
                "-n" => acl.no_lookup = true,
                "-i" => acl.ignore_case = true,
                "+i" => acl.ignore_case = false,
                "--server-provided" | "--consensus" => acl.from_certificate = true,
                _ => {}
            }
        }
        rest
    }

    fn acl_values(&mut self, index: usize, kind: Kind, words: &[Word], line: &Line) {
        let shape = kind.shape();
        if shape == Shape::Patterns && self.quoted {
            self.refuse(
                line.span(),
                "expressions cannot be read while `configuration_includes_quoted_values` is on"
                    .to_owned(),
            );
            return;
        }
        if kind == Kind::External {
            self.external_use(index, words, line);
            return;
        }
        if kind == Kind::Reply || kind == Kind::Load || matches!(kind, Kind::Other(_)) {
            return;
        }
        let items = self.expand(words);
        if shape == Shape::Names {
            let terms = self.terms(&items);
            if let Some(acl) = self.config.acls.get_mut(index) {
                if !terms.is_empty() {
                    acl.lines.push(terms);
                }
                for item in items {
                    if let Item::Unread(unread) = item {
                        acl.cannot_read(unread);
                    }
                }
            }
            return;
        }
        let version = self.config.version;
        let mut taken = Vec::new();
        let mut times = Vec::new();
        let given = !items.is_empty();
        if let Some(acl) = self.config.acls.get_mut(index) {
            for item in items {
                match item {
                    Item::Unread(unread) => acl.cannot_read(unread),
                    Item::Value(value) if shape == Shape::Times => times.push(value),
                    Item::Value(value) => taken.push((value.span, acl.take(&value, version))),
                }
            }
            taken.extend(acl.take_times(&times));
        }
        for (span, taken) in taken {
            self.tell(index, span, taken);
        }
        if !given {
            self.report(
                IGNORED_LINE,
                "This ACL has no values, so it never matches".to_owned(),
                line.span(),
                "no values",
                None,
            );
        }
    }

    fn tell(&mut self, index: usize, span: Span, taken: Taken) {
        match taken {
            Taken::Kept | Taken::Covered(_) => {}
            Taken::Lost(earlier) => {
                let name = self.config.acls.get(index).map(|acl| acl.name.clone());
                let mut finding = finding(
                    OVERLAP_LOST,
                    format!(
                        "A value of `{}` is dropped, since it overlaps an earlier one",
                        name.unwrap_or_default()
                    ),
                    span,
                    "dropped by Squid before version 7",
                );
                finding
                    .related
                    .push(Spanned::new("kept: it stands first".to_owned(), earlier));
                finding.help = Some("put the wider value first, or remove the narrower".to_owned());
                self.push(finding);
            }
            Taken::Skipped(why) => self.report(
                IGNORED_LINE,
                "Squid ignores a part of this value".to_owned(),
                span,
                why,
                None,
            ),
            Taken::Refused(why) => self.refuse(span, why),
        }
    }

    fn external(&mut self, words: &[Word]) {
        let Some(name) = words.first() else { return };
        // `%LOGIN` and `%ul` ask for credentials (external_acl.cc).
        let login = words.iter().skip(1).any(|word| {
            let bare: String = word
                .text
                .chars()
                .filter(|c| !matches!(c, '#' | '"' | '\'' | '[' | '/' | '>' | '<' | '-'))
                .collect();
            bare == "%LOGIN" || bare == "%ul" || bare.starts_with("%LOGIN:")
        });
        self.config.external.insert(name.text.clone(), login);
    }

    fn external_use(&mut self, index: usize, words: &[Word], line: &Line) {
        let type_name = words.first().cloned();
        let defined = type_name
            .as_ref()
            .is_some_and(|word| self.config.external.contains_key(&word.text));
        if !defined && self.config.unread_includes.is_empty() {
            self.refuse(
                line.span(),
                "no `external_acl_type` with this name stands before it".to_owned(),
            );
        }
        if let (Some(word), Some(acl)) = (type_name, self.config.acls.get_mut(index)) {
            acl.words.push(Spanned::new(word.text, word.span));
        }
    }

    /// `ConfigParser::strtokFile`: a name in quotes is a file of values, after which the line ends.
    fn expand(&mut self, words: &[Word]) -> Vec<Item> {
        let mut items = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let name = match word.form {
                Form::Parameters => Some(word.text.as_str()),
                Form::Plain if !self.quoted => word
                    .text
                    .strip_prefix(['"', '\''])
                    .map(|name| name.split(['"', '\'']).next().unwrap_or(name)),
                Form::Plain | Form::Quoted => None,
            };
            let Some(name) = name else {
                items.push(Item::Value(Spanned::new(word.text.clone(), word.span)));
                continue;
            };
            match self.files.open(word.span.file, name) {
                Opened::Found { file, bytes } => {
                    self.config.companions.push(file);
                    items.extend(syntax::values(file, &bytes).into_iter().map(Item::Value));
                }
                Opened::Missing | Opened::Refused(_) => items.push(Item::Unread(Unread {
                    code: "file",
                    text: format!("the file `{name}`"),
                    span: word.span,
                })),
            }
            if let (false, Some(next)) = (self.quoted, words.get(index + 1)) {
                let last = words.last().map_or(next.span, |last| last.span);
                self.report(
                    VALUES_AFTER_FILE,
                    "Squid ignores the values after the file on this line".to_owned(),
                    next.span.to(last),
                    "never read",
                    Some("put them on an `acl` line of their own".to_owned()),
                );
                break;
            }
        }
        items
    }

    fn terms(&mut self, items: &[Item]) -> Vec<Term> {
        let mut terms = Vec::new();
        for item in items {
            let Item::Value(word) = item else { continue };
            let (negated, name) = match word.value.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.value.as_str()),
            };
            match self.config.find(name) {
                Some(acl) => terms.push(Term {
                    negated,
                    acl,
                    span: word.span,
                }),
                None => terms.push(Term {
                    negated,
                    acl: self.missing(name, word.span),
                    span: word.span,
                }),
            }
        }
        terms
    }

    /// A rule names an ACL that does not exist: Squid stops, unless a release or a file that is not here has it.
    fn missing(&mut self, name: &str, span: Span) -> usize {
        let mut acl = Acl::new(name, Kind::Other("acl"), Some(span));
        if name.eq_ignore_ascii_case("to_linklocal") && !self.config.version_given {
            self.needs(span, (5, 8), "the built-in ACL `to_linklocal`");
            acl = Acl::new("to_linklocal", Kind::Destination, None);
            for value in ["169.254.0.0/16", "fe80::/10"] {
                acl.take(&Spanned::new(value.to_owned(), span), self.config.version);
            }
        } else if name.to_ascii_lowercase().starts_with("ssl::cert") {
            acl.kind = Kind::Other("tls");
        } else if let Some(include) = self.config.unread_includes.last() {
            acl.cannot_read(Unread {
                code: "include",
                text: format!(
                    "the included `{}`, which may define `{name}`",
                    include.value
                ),
                span,
            });
        } else {
            self.refuse(span, format!("no ACL `{name}` is defined before this line"));
        }
        self.config.define(acl)
    }

    fn access(&mut self, line: &Line, listed: Listed, words: &[Word]) {
        let mut words = words;
        let mut subject = None;
        if listed.has_subject {
            let [first, rest @ ..] = words else {
                self.skipped(line, "the rule is not complete");
                return;
            };
            subject = Some(first.text.clone());
            words = rest;
        }
        let Some(([action], names)) = words.split_at_checked(1) else {
            self.skipped(line, "`allow` or `deny` is missing");
            return;
        };
        let action = match Action::parse(listed.list, &action.text) {
            Some(action) => action,
            None if listed.list == Some(List::SslBump) => {
                self.refuse(
                    action.span,
                    format!("`{}` is no ssl_bump action", action.text),
                );
                return;
            }
            None => {
                let lower = action.text.to_ascii_lowercase();
                let known = matches!(lower.as_str(), "allow" | "deny");
                let help = known.then(|| format!("write `{lower}`: actions are case-sensitive"));
                self.report(
                    IGNORED_LINE,
                    "Squid skips this rule".to_owned(),
                    action.span,
                    "neither `allow` nor `deny`",
                    help,
                );
                return;
            }
        };
        let items = self.expand(names);
        let terms = self.terms(&items);
        let unread = items.into_iter().find_map(|item| match item {
            Item::Unread(unread) => Some(unread),
            Item::Value(_) => None,
        });
        if terms.is_empty() && unread.is_none() && listed.list != Some(List::SslBump) {
            self.skipped(line, "the rule names no ACL; `all` stands for everybody");
            return;
        }
        let rule = Rule::Line {
            action,
            terms,
            unread,
            span: line.span(),
        };
        match (listed.list, subject) {
            (Some(list), None) => self.config.lists.entry(list).or_default().push(rule),
            (Some(list), Some(subject)) => self
                .config
                .named_lists
                .entry((list, subject))
                .or_default()
                .push(rule),
            (None, _) => {}
        }
    }

    fn skipped(&mut self, line: &Line, why: &'static str) {
        self.config.understood -= 1;
        self.report(
            IGNORED_LINE,
            "Squid skips this rule".to_owned(),
            line.span(),
            why,
            None,
        );
    }

    fn port(&mut self, line: &Line, secure: bool, words: &[Word]) {
        let Some(spec) = words.first() else {
            self.refuse(line.span(), "a port is missing".to_owned());
            return;
        };
        let (host, port) = match spec.text.rsplit_once(':') {
            Some((host, port)) => (Some(host.to_owned()), port),
            None => (None, spec.text.as_str()),
        };
        let Ok(number) = port.parse::<u16>() else {
            self.refuse(spec.span, format!("`{}` is no port", spec.text));
            return;
        };
        let has = |names: &[&str]| {
            words
                .iter()
                .skip(1)
                .any(|word| names.contains(&word.text.split('=').next().unwrap_or_default()))
        };
        let mode = if has(&["intercept", "transparent", "tproxy"]) {
            Mode::Intercept
        } else if has(&["accel", "vhost", "vport", "defaultsite", "act-as-origin"]) {
            Mode::Accelerator
        } else {
            Mode::Forward
        };
        let name = words
            .iter()
            .find_map(|word| word.text.strip_prefix("name="))
            .unwrap_or(&spec.text)
            .to_owned();
        self.config.ports.push(Port {
            host,
            number,
            name,
            mode,
            bump: has(&["ssl-bump", "sslBump", "ssl_bump"]),
            secure,
            span: line.span(),
        });
    }

    fn peer(&mut self, line: &Line, words: &[Word]) {
        let [host, kind, _, _, options @ ..] = words else {
            self.refuse(
                line.span(),
                "a `cache_peer` needs a host, a type, an HTTP port and an ICP port".to_owned(),
            );
            return;
        };
        let name = options
            .iter()
            .find_map(|word| word.text.strip_prefix("name="))
            .unwrap_or(&host.text)
            .to_owned();
        self.config.peers.push(Peer {
            name,
            parent: kind.text.eq_ignore_ascii_case("parent"),
            origin: options.iter().any(|word| word.text == "originserver"),
            span: line.span(),
        });
    }

    fn ensure(&mut self, name: &str, kind: Kind, span: Span) -> usize {
        match self.config.find(name) {
            Some(index) => index,
            None => self.config.define(Acl::new(name, kind, Some(span))),
        }
    }

    /// The file needs a later release than the one that is assumed: that one is assumed instead, and said.
    fn needs(&mut self, span: Span, since: Version, what: &str) {
        if self.config.version < since {
            self.config.version = since;
        }
        let release = shown(since);
        self.report(
            NEEDS_VERSION,
            format!("Squid before {release} does not start with this file"),
            span,
            "not known before",
            Some(format!(
                "use Squid {release} or later, which has {what}, or remove it"
            )),
        );
        self.assume(&format!(
            "Squid is {release} or later, since the file needs it"
        ));
    }

    fn assume(&mut self, text: &str) {
        if !self.config.assumptions.iter().any(|known| known == text) {
            self.config.assumptions.push(text.to_owned());
        }
    }

    fn refuse(&mut self, span: Span, why: String) {
        if self.config.refused.is_none() {
            self.config.refused = Some(Spanned::new(why.clone(), span));
        }
        let mut finding = finding(
            REFUSED,
            "Squid does not start with this file".to_owned(),
            span,
            "it stops here",
        );
        finding.help = Some(why);
        finding.refuses = true;
        self.push(finding);
    }

    fn report(
        &mut self,
        id: &'static str,
        title: String,
        span: Span,
        label: &str,
        help: Option<String>,
    ) {
        let mut finding = finding(id, title, span, label);
        finding.help = help;
        self.push(finding);
    }

    fn push(&mut self, finding: DialectFinding) {
        if self.config.findings.len() < FINDINGS {
            self.config.findings.push(finding);
        }
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

fn finding(id: &'static str, title: String, span: Span, label: &str) -> DialectFinding {
    DialectFinding {
        id,
        title,
        label: Spanned::new(label.to_owned(), span),
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: false,
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
