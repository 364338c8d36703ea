//! In: `acl` lines. Out: the ACLs of the config, with what Squid drops, ignores or refuses of their values.

use super::super::acl::{self, Acl, Kind, Shape, Taken, Term, Unread};
use super::super::ere;
use super::super::syntax::{self, Form, Line, Word};
use super::super::{DSTDOMAIN_STAR, IGNORED_LINE, OVERLAP_LOST, VALUES_AFTER_FILE};
use super::report::finding;
use super::{Item, Reader};
use crate::config::{Edit, Fix, Opened};
use crate::source::{Span, Spanned};

impl Reader<'_> {
    pub(super) fn acl(&mut self, line: &Line, words: &[Word]) {
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
    pub(super) fn no_scheme(&mut self, span: Span) {
        if self.config.unread_includes.is_empty() {
            self.refuse(
                span,
                "`proxy_auth` needs an `auth_param ... program` line before it".to_owned(),
            );
        }
    }

    pub(super) fn flags<'w>(&mut self, index: usize, kind: Kind, words: &'w [Word]) -> &'w [Word] {
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

    pub(super) fn acl_values(&mut self, index: usize, kind: Kind, words: &[Word], line: &Line) {
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
        let known = self.config.acls.get(index);
        let known = known.map_or((0, 0), |acl| (acl.words.len(), acl.patterns.len()));
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
        self.never_matching(index, shape, known);
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

    /// Values that Squid takes without a word and that never match; those behind the words and patterns that were known
    /// before.
    fn never_matching(&mut self, index: usize, shape: Shape, known: (usize, usize)) {
        let Some(acl) = self.config.acls.get(index) else {
            return;
        };
        let mut found = Vec::new();
        if shape == Shape::Domains {
            found.extend(
                acl.words
                    .iter()
                    .skip(known.0)
                    .filter(|word| odd_domain(&word.value))
                    .cloned(),
            );
        }
        let invalid: Vec<_> = acl
            .patterns
            .iter()
            .skip(known.1)
            .filter(|pattern| ere::parse(&pattern.text, false) == Err(ere::Failure::Invalid))
            .map(|pattern| pattern.span)
            .collect();
        for word in found {
            let bare = word.value.trim_start_matches("*.").to_owned();
            let mut finding = finding(
                DSTDOMAIN_STAR,
                format!("`{}` never matches a host", word.value),
                word.span,
                "taken as it is written",
            );
            finding.help =
                Some("write the bare name, with a leading dot for all names below it".to_owned());
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if word.value.starts_with("*.") && bare.chars().all(plain) {
                finding.fix = Some(Fix {
                    title: format!("write `.{bare}`"),
                    edits: vec![Edit {
                        span: word.span,
                        text: format!(".{bare}"),
                    }],
                    safe: false,
                });
            }
            self.push_once(finding);
        }
        for span in invalid {
            let mut finding = finding(
                IGNORED_LINE,
                "Squid ignores this expression, since it is not valid".to_owned(),
                span,
                "not a POSIX extended regular expression",
            );
            finding.help = Some("mend the expression; `.*` stands for anything".to_owned());
            self.push_once(finding);
        }
    }

    pub(super) fn tell(&mut self, index: usize, span: Span, taken: Taken) {
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

    pub(super) fn external(&mut self, words: &[Word]) {
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

    pub(super) fn external_use(&mut self, index: usize, words: &[Word], line: &Line) {
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
            if !acl.words.is_empty() {
                // src/external_acl.cc, ACLExternal::parse: the data of an ACL is set once.
                let why = format!("the external ACL `{}` is defined twice", acl.name);
                self.refuse(line.span(), why);
                return;
            }
            acl.words.push(Spanned::new(word.text, word.span));
        }
    }

    /// `ConfigParser::strtokFile`: a name in quotes is a file of values, after which the line ends.
    pub(super) fn expand(&mut self, words: &[Word]) -> Vec<Item> {
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

    pub(super) fn terms(&mut self, items: &[Item]) -> Vec<Term> {
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
    pub(super) fn missing(&mut self, name: &str, span: Span) -> usize {
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

    pub(super) fn ensure(&mut self, name: &str, kind: Kind, span: Span) -> usize {
        match self.config.find(name) {
            Some(index) => index,
            None => self.config.define(Acl::new(name, kind, Some(span))),
        }
    }
}

/// A star, a scheme, a path or a dot at the end: no host name has them.
fn odd_domain(value: &str) -> bool {
    value.contains(['*', '/', ':', '@']) || value.ends_with('.')
}
