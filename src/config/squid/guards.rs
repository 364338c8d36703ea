//! In: the ACLs of a [`Config`]. Out: for each the [`Guard`] that it is, and the guard of asking for credentials.
//!
//! An ACL that needs credentials which are not there ends the whole check with 407 at that point; everything else is
//! true or false. So each ACL has two guards: when it matches, and when it challenges.
//!
//! Invariants: values that are not known make the guard unknown, with the place that names them; a cycle of compound ACLs
//! is unknown.

use std::collections::HashMap;

use super::acl::{Acl, Kind, Term};
use super::lists::Mode;
use super::parse::Config;
use crate::model::{
    Dim, Gate, Guard, Lang, Range, Ranges, Test, TextSet, Unknown, UnknownId, UnknownKind,
};
use crate::source::Span;
use words::{domain_test, minutes, protocols, text};

mod hosts;
mod users;
mod words;

pub(super) use words::method;

/// No guard is built larger than this.
const SIZE: usize = 20_000;

/// Where an ACL is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Lists that wait for lookups and helpers.
    Slow,
    /// Lists that do not wait: what is not known yet does not match.
    Fast,
    /// `ssl_bump`, at this step.
    Bump(u8),
}

/// What an ACL or rule means.
#[derive(Debug, Clone)]
pub(super) struct Meaning {
    /// It matches.
    pub(super) matches: Guard,
    /// It ends the check with a request for credentials.
    pub(super) challenges: Option<Guard>,
    size: usize,
}

/// Builds guards.
pub(super) struct Guards<'c> {
    config: &'c Config,
    known: HashMap<(usize, Place), Meaning>,
    open: Vec<usize>,
    /// Unknowns by identity.
    unknowns: HashMap<String, UnknownId>,
}

/// A guard that never holds.
pub(super) fn never() -> Guard {
    Guard::AnyOf(Vec::new())
}

impl<'c> Guards<'c> {
    pub(super) fn new(config: &'c Config) -> Self {
        Self {
            config,
            known: HashMap::new(),
            open: Vec::new(),
            unknowns: HashMap::new(),
        }
    }

    /// A rule: all its terms match; the first one that needs missing credentials challenges.
    pub(super) fn rule(&mut self, gate: &mut Gate, terms: &[Term], place: Place) -> Meaning {
        let mut matched = Vec::new();
        let mut challenges = Vec::new();
        let mut size = 1;
        for term in terms {
            let meaning = self.acl(gate, term.acl, place);
            size += meaning.size;
            if let Some(challenge) = meaning.challenges {
                let mut all = matched.clone();
                all.push(challenge);
                challenges.push(Guard::All(all));
            }
            matched.push(meaning.matches.negated_if(term.negated));
        }
        Meaning {
            matches: one_of_all(matched),
            challenges: one_of_any(challenges),
            size,
        }
    }

    /// An ACL, by index.
    pub(super) fn acl(&mut self, gate: &mut Gate, index: usize, place: Place) -> Meaning {
        if let Some(known) = self.known.get(&(index, place)) {
            return known.clone();
        }
        let Some(acl) = self.config.acls.get(index) else {
            return plain(never());
        };
        if self.open.contains(&index) || self.open.len() > 100 {
            let text = format!("a model of the ACL `{}`, which refers to itself", acl.name);
            let unknown = self.unknown(gate, acl, UnknownKind::Opaque, "match", text);
            return plain(unknown);
        }
        self.open.push(index);
        let mut meaning = self.meaning(gate, acl, place);
        self.open.pop();
        if meaning.size > SIZE {
            let text = format!("a model of the ACL `{}`, which is too large", acl.name);
            meaning = plain(self.unknown(gate, acl, UnknownKind::Opaque, "match", text));
        }
        self.known.insert((index, place), meaning.clone());
        meaning
    }

    fn meaning(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Meaning {
        let matches = match acl.kind {
            Kind::AnyOf | Kind::AllOf => return self.compound(gate, acl, place),
            Kind::User | Kind::UserRegex | Kind::External => {
                return self.credentials(gate, acl, place);
            }
            Kind::Source => Guard::number(Dim::Source, union(acl)),
            Kind::Destination => return plain(self.destination(gate, acl, place)),
            Kind::LocalAddress => {
                if acl.addresses.iter().any(|set| set.value.is_full()) {
                    Guard::Always
                } else {
                    let text = "the address that the client connected to".to_owned();
                    self.unknown(gate, acl, UnknownKind::Fact, "own-address", text)
                }
            }
            Kind::DestinationDomain => self.domains(gate, acl, place),
            Kind::ServerName => match self.certificate(gate, acl, place) {
                Some(unknown) => unknown,
                None => domain_test(gate, Dim::Host, acl),
            },
            Kind::ServerNameRegex => match self.certificate(gate, acl, place) {
                Some(unknown) => unknown,
                None => self.patterns(gate, acl, |gate, lang| text(gate, Dim::Host, lang)),
            },
            Kind::DestinationRegex => self.patterns_on_host(gate, acl, place),
            Kind::UrlRegex => self.patterns(gate, acl, |gate, lang| {
                let id = gate.text(TextSet::Url(lang));
                Guard::Is(Test::Text(Dim::Host, id))
            }),
            Kind::PathRegex => {
                let connect = method(gate, "CONNECT");
                let paths = self.patterns(gate, acl, |gate, lang| text(gate, Dim::Path, lang));
                Guard::All(vec![connect.negated(), paths])
            }
            Kind::Browser => self.patterns(gate, acl, |gate, lang| {
                // No header at all is no match (ACLRequestHeaderStrategy).
                let lang = lang.minus(&Lang::literal(b"")).unwrap_or(lang);
                text(gate, Dim::UserAgent, lang)
            }),
            Kind::Port => Guard::number(
                Dim::DestinationPort,
                Ranges::from_unsorted(acl.numbers.clone()),
            ),
            Kind::LocalPort | Kind::PortName => self.listener(gate, acl),
            Kind::Method => {
                let tests = acl.words.iter().map(|word| method(gate, &word.value));
                one_of_any(tests.collect()).unwrap_or_else(never)
            }
            Kind::Protocol => protocols(gate, acl),
            Kind::Time => Guard::number(Dim::Minute, minutes(acl)),
            Kind::BumpStep => {
                let step = match place {
                    Place::Slow | Place::Fast => 1,
                    Place::Bump(step) => step,
                };
                let word = format!("SslBump{step}");
                let holds = acl.words.iter().any(|known| known.value == word);
                if holds { Guard::Always } else { never() }
            }
            Kind::Initiator => {
                let client = |word: &str| matches!(word, "client" | "all");
                if acl.words.iter().any(|word| word.value.starts_with('!')) {
                    let text = "a model of negated transaction initiators".to_owned();
                    self.unknown(gate, acl, UnknownKind::Opaque, "match", text)
                } else if acl.words.iter().any(|word| client(&word.value)) {
                    Guard::Always
                } else {
                    never()
                }
            }
            Kind::Reply => never(),
            Kind::Load => {
                let text = format!("how busy Squid is, or chance (the ACL `{}`)", acl.name);
                return plain(varies(gate, acl, text));
            }
            Kind::Other(code) => {
                let text = other_text(code, &acl.name);
                self.unknown(gate, acl, UnknownKind::Opaque, code, text)
            }
        };
        let matches = if Self::asks_for_the_name(acl.kind, place) {
            self.named(gate, acl, matches)
        } else {
            matches
        };
        let size = 1 + acl.words.len().min(8);
        Meaning {
            matches: self.or_unread(gate, acl, matches),
            challenges: None,
            size,
        }
    }

    /// Either what is known, or what the part that was not read says.
    fn or_unread(&mut self, gate: &mut Gate, acl: &Acl, known: Guard) -> Guard {
        let Some(unread) = &acl.unread else {
            return known;
        };
        let id = self.add(
            gate,
            format!("unread:{}", acl.name.to_ascii_lowercase()),
            Unknown {
                kind: UnknownKind::Fact,
                code: unread.code,
                text: unread.text.clone(),
                identity: None,
                span: Some(unread.span),
            },
        );
        if known == never() {
            Guard::Unknown(id)
        } else {
            Guard::AnyOf(vec![known, Guard::Unknown(id)])
        }
    }

    fn compound(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Meaning {
        // Lines are tried in order; `any-of` is one term per alternative.
        let alternatives: Vec<Vec<Term>> = if acl.kind == Kind::AnyOf {
            acl.lines.iter().flatten().map(|term| vec![*term]).collect()
        } else {
            acl.lines.clone()
        };
        let mut matches = Vec::new();
        let mut challenges = Vec::new();
        let mut size = 1;
        for terms in &alternatives {
            let meaning = self.rule(gate, terms, place);
            size += meaning.size;
            if size > SIZE {
                break;
            }
            if let Some(challenge) = meaning.challenges {
                let mut all: Vec<_> = matches.iter().cloned().map(Guard::negated).collect();
                all.push(challenge);
                challenges.push(Guard::All(all));
            }
            matches.push(meaning.matches);
        }
        let matches = one_of_any(matches).unwrap_or_else(never);
        Meaning {
            matches: self.or_unread(gate, acl, matches),
            challenges: one_of_any(challenges),
            size,
        }
    }

    /// `proxy_auth` and external ACLs: without valid credentials the check ends with 407, except on intercepted
    /// connections, where authentication never matches (src/auth/Acl.cc).
    fn credentials(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Meaning {
        let valid = Guard::number(Dim::Credentials, Ranges::one(1));
        let login = acl.kind != Kind::External
            || acl
                .words
                .first()
                .is_some_and(|word| self.config.external.get(&word.value) == Some(&true));
        let matches = if acl.kind == Kind::External {
            let text = format!("what the helper of `{}` answers", acl.name);
            self.unknown(gate, acl, UnknownKind::Opaque, "external", text)
        } else if acl.kind == Kind::UserRegex {
            self.user_patterns(gate, acl)
        } else if acl.words.iter().any(|word| word.value == "REQUIRED") {
            Guard::Always
        } else {
            self.user_names(gate, acl)
        };
        let matches = self.or_unread(gate, acl, matches);
        if !login {
            return plain(matches);
        }
        let (told, forward) = self.told_listeners();
        let mut all = vec![valid.clone()];
        let mut asks = vec![valid.negated()];
        if told {
            all.push(forward.clone());
            asks.push(forward);
        }
        all.push(matches);
        if place != Place::Slow {
            let text = format!("whether `{}` is known by then", acl.name);
            return plain(self.unknown(gate, acl, UnknownKind::Opaque, "match", text));
        }
        Meaning {
            matches: Guard::All(all),
            challenges: Some(Guard::All(asks)),
            size: 4,
        }
    }

    /// Whether some listeners intercept, and the test of the others.
    fn told_listeners(&self) -> (bool, Guard) {
        let set = self.listeners(|index| {
            self.config
                .ports
                .get(index)
                .is_none_or(|port| port.mode != Mode::Intercept)
        });
        let some = self
            .config
            .ports
            .iter()
            .any(|port| port.mode == Mode::Intercept);
        (some, Guard::number(Dim::Listener, set))
    }

    /// Listeners by index; numbers past the last one stand for it.
    pub(super) fn listeners(&self, holds: impl Fn(usize) -> bool) -> Ranges {
        let count = self.config.ports.len().max(1);
        let ranges = (0..count)
            .filter(|index| holds(*index))
            .filter_map(|index| {
                let low = index as u128;
                Range::new(low, if index + 1 == count { u128::MAX } else { low })
            });
        Ranges::from_unsorted(ranges.collect())
    }

    fn listener(&mut self, gate: &mut Gate, acl: &Acl) -> Guard {
        if self.config.ports.is_empty() {
            let text = "the `http_port` lines".to_owned();
            return self.unknown(gate, acl, UnknownKind::Fact, "port", text);
        }
        let numbers = Ranges::from_unsorted(acl.numbers.clone());
        let set = self.listeners(|index| {
            self.config.ports.get(index).is_some_and(|port| {
                if acl.kind == Kind::LocalPort {
                    numbers.contains(port.number.into())
                } else {
                    acl.words.iter().any(|word| word.value == port.name)
                }
            })
        });
        Guard::number(Dim::Listener, set)
    }

    fn unknown(
        &mut self,
        gate: &mut Gate,
        acl: &Acl,
        kind: UnknownKind,
        code: &'static str,
        text: String,
    ) -> Guard {
        let id = self.add(
            gate,
            format!("acl:{}", acl.name.to_ascii_lowercase()),
            Unknown {
                kind,
                code,
                text,
                identity: None,
                span: acl.span,
            },
        );
        Guard::Unknown(id)
    }

    /// Adds an unknown once per identity.
    fn add(&mut self, gate: &mut Gate, identity: String, unknown: Unknown) -> UnknownId {
        if let Some(id) = self.unknowns.get(&identity) {
            return *id;
        }
        let id = gate.unknown(Unknown {
            identity: Some(identity.clone()),
            ..unknown
        });
        self.unknowns.insert(identity, id);
        id
    }
}

fn varies(gate: &mut Gate, acl: &Acl, text: String) -> Guard {
    Guard::Unknown(gate.unknown(Unknown {
        kind: UnknownKind::Varies,
        code: "load",
        text,
        identity: None,
        span: acl.span,
    }))
}

fn plain(matches: Guard) -> Meaning {
    Meaning {
        matches,
        challenges: None,
        size: 2,
    }
}

fn one_of_all(mut guards: Vec<Guard>) -> Guard {
    guards.retain(|guard| *guard != Guard::Always);
    match guards.len() {
        0 => Guard::Always,
        1 => guards.remove(0),
        _ => Guard::All(guards),
    }
}

fn one_of_any(mut guards: Vec<Guard>) -> Option<Guard> {
    match guards.len() {
        0 => None,
        1 => Some(guards.remove(0)),
        _ => Some(Guard::AnyOf(guards)),
    }
}

fn union(acl: &Acl) -> Ranges {
    let ranges = acl
        .addresses
        .iter()
        .flat_map(|set| set.value.ranges().iter().copied());
    Ranges::from_unsorted(ranges.collect())
}

fn other_text(code: &str, name: &str) -> String {
    match code {
        "mac" => format!("the client's MAC address (the ACL `{name}`)"),
        "ident" => format!("what the client's ident server says (the ACL `{name}`)"),
        "reverse-name" => format!("the client's reverse name (the ACL `{name}`)"),
        "header" => format!("the request's headers (the ACL `{name}`)"),
        "helper" => format!("what helpers said of the request (the ACL `{name}`)"),
        _ => format!("a model of the ACL `{name}`"),
    }
}

/// Where an unknown of a whole list stands.
pub(super) fn hole(gate: &mut Gate, path: &str, span: Span) -> UnknownId {
    gate.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "include",
        text: format!("the included `{path}`"),
        identity: None,
        span: Some(span),
    })
}
