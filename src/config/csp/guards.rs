//! In: what sources match. Out: tests in the dimensions of a gate.
//!
//! Each host and path is its own test, so that an answer names the source; only a crowd of them shares one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{
    Dim, DomainScope, Domains, Gate, Guard, Lang, Ranges, Test, TextId, TextSet, Unknown,
    UnknownKind,
};
use crate::source::Span;

use super::reach::{Hosts, LAST_PORT, NETWORK, Paths, Reach};

impl Reach {
    /// The test of a URL, in the dimensions of a gate. The span is the source's, for what cannot be known.
    fn guard(&self, gate: &mut Gate, words: &mut Words, span: Span) -> Guard {
        let mut parts = vec![self.place(gate)];
        match &self.host {
            Hosts::Any => {}
            Hosts::One(name) => {
                words.made += usize::from(words.hosts.insert(name.clone()));
                parts.push(word(gate, Dim::Host, name));
            }
            Hosts::Below(name) => parts.push(words.below(gate, name)),
        }
        if let Paths::Like(path) = &self.path {
            parts.push(words.path(gate, path, span));
        }
        all_of(parts)
    }

    /// Scheme and port.
    fn place(&self, gate: &mut Gate) -> Guard {
        if let Some(scheme) = &self.other {
            return word(gate, Dim::Scheme, scheme);
        }
        let all = Ranges::between(0, u128::from(LAST_PORT));
        let mut by_ports: Vec<(&Ranges, Vec<&str>)> = Vec::new();
        for (ports, (scheme, _)) in self.ports.iter().zip(NETWORK) {
            if ports.is_empty() {
                continue;
            }
            match by_ports.iter_mut().find(|(same, _)| *same == ports) {
                Some((_, schemes)) => schemes.push(scheme),
                None => by_ports.push((ports, vec![scheme])),
            }
        }
        let mut places: Vec<Guard> = Vec::new();
        for (ports, schemes) in by_ports {
            let schemes = schemes
                .into_iter()
                .map(|scheme| word(gate, Dim::Scheme, scheme))
                .collect();
            let mut parts = vec![any_of(schemes)];
            if *ports != all {
                parts.push(Guard::number(Dim::DestinationPort, ports.clone()));
            }
            places.push(all_of(parts));
        }
        any_of(places)
    }

    /// The host as an entry of a list of names, where nothing but scheme and port restricts the URL besides.
    fn entry(&self) -> Option<(String, DomainScope)> {
        if self.path != Paths::Any {
            return None;
        }
        match &self.host {
            Hosts::One(name) if !name.ends_with('.') => Some((name.clone(), DomainScope::Exact)),
            Hosts::Below(name) if !name.ends_with('.') => Some((name.clone(), DomainScope::Below)),
            Hosts::Any | Hosts::One(_) | Hosts::Below(_) => None,
        }
    }

    /// The host of a source in a crowd, or more: lists of domains know no dot at the end of a name.
    fn some_host(&self, gate: &mut Gate) -> Guard {
        let (name, scope) = match &self.host {
            Hosts::Any => return Guard::Always,
            Hosts::One(name) | Hosts::Below(name) if name.ends_with('.') => return Guard::Always,
            Hosts::One(name) => (name, DomainScope::Exact),
            Hosts::Below(name) => (name, DomainScope::Below),
        };
        let id = gate.text(TextSet::domain(name, scope));
        Guard::Is(Test::Text(Dim::Host, id))
    }

    fn names_a_host(&self) -> bool {
        self.host != Hosts::Any
    }
}

/// The words that the rules of a gate test, each made once.
#[derive(Debug, Default)]
pub(super) struct Words {
    hosts: HashSet<String>,
    below: HashMap<String, TextId>,
    paths: HashMap<Vec<u8>, Guard>,
    made: usize,
}

/// More hosts and paths than this are not told apart one by one: the evaluator's work grows with their square.
const WORD_LIMIT: usize = 150;

impl Words {
    fn below(&mut self, gate: &mut Gate, name: &str) -> Guard {
        let id = *self.below.entry(name.to_owned()).or_insert_with(|| {
            self.made += 1;
            // A language and no list of domains: to browsers a trailing dot makes another name.
            gate.text(TextSet::Lang(Lang::domain(name, false, true)))
        });
        Guard::Is(Test::Text(Dim::Host, id))
    }

    fn path(&mut self, gate: &mut Gate, path: &[u8], span: Span) -> Guard {
        if let Some(guard) = self.paths.get(path) {
            return guard.clone();
        }
        let guard = path_guard(gate, path, span);
        self.paths.insert(path.to_owned(), guard.clone());
        self.made += 1;
        guard
    }
}

/// Hosts behind the same schemes and ports.
struct Crowd {
    reach: Reach,
    entries: Vec<(String, DomainScope)>,
    span: Span,
}

/// The tests of the sources of one list: for the first ones one by one, for a crowd of further ones by scheme and port.
pub(super) fn guards(
    gate: &mut Gate,
    words: &mut Words,
    sources: Vec<(Reach, Span)>,
) -> Vec<(Guard, Span)> {
    let mut guards = Vec::new();
    let mut crowds: Vec<Crowd> = Vec::new();
    for (reach, span) in sources {
        if words.made < WORD_LIMIT || !reach.names_a_host() {
            let guard = reach.guard(gate, words, span);
            guards.push((guard, span));
        } else if let Some(entry) = reach.entry() {
            match crowds
                .iter_mut()
                .find(|crowd| crowd.reach.ports == reach.ports)
            {
                Some(crowd) => {
                    crowd.entries.push(entry);
                    crowd.span = crowd.span.to(span);
                }
                None => crowds.push(Crowd {
                    reach,
                    entries: vec![entry],
                    span,
                }),
            }
        } else {
            let unknown = gate.unknown(Unknown {
                kind: UnknownKind::Opaque,
                code: "limit",
                text: "a list with fewer sources that name a path".to_owned(),
                identity: None,
                span: Some(span),
            });
            guards.push((
                all_of(vec![
                    reach.place(gate),
                    reach.some_host(gate),
                    Guard::Unknown(unknown),
                ]),
                span,
            ));
        }
    }
    for Crowd {
        reach,
        entries,
        span,
    } in crowds
    {
        let names = gate.text(TextSet::Domains(Arc::new(Domains::new(entries))));
        // A list of domains does not look at a dot at the end of a name.
        let dotted = gate.text(TextSet::Lang(
            Lang::pattern(r"(?s-u:.)*\.").unwrap_or_else(|_| Lang::none()),
        ));
        let guard = all_of(vec![
            reach.place(gate),
            Guard::Is(Test::Text(Dim::Host, names)),
            Guard::Is(Test::Text(Dim::Host, dotted)).negated(),
        ]);
        guards.push((guard, span));
    }
    guards
}

fn all_of(mut parts: Vec<Guard>) -> Guard {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => Guard::All(parts.into_iter().chain(last).collect()),
    }
}

fn any_of(mut parts: Vec<Guard>) -> Guard {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => Guard::AnyOf(parts.into_iter().chain(last).collect()),
    }
}

fn word(gate: &mut Gate, dim: Dim, word: &str) -> Guard {
    let id = gate.text(TextSet::Literal(word.into()));
    Guard::Is(Test::Text(dim, id))
}

/// CSP3, 6.7.2.12 "path-part match": both sides percent-decoded; a path that ends in `/` matches all below it. The
/// dimension's path holds the query too, which is not compared.
fn path_guard(gate: &mut Gate, path: &[u8], span: Span) -> Guard {
    let opaque = |gate: &mut Gate, text: String| {
        Guard::Unknown(gate.unknown(Unknown {
            kind: UnknownKind::Opaque,
            code: "path",
            identity: None,
            text,
            span: Some(span),
        }))
    };
    let shown = String::from_utf8_lossy(path).into_owned();
    if !path.is_ascii() {
        // Browsers decode as UTF-8 or, where it is none, byte by byte: several spellings of a URL then match.
        return opaque(gate, format!("how the browser decodes the path `{shown}`"));
    }
    let mut pattern = String::new();
    for byte in path {
        let escaped = format!("%{byte:02x}")
            .chars()
            .map(|digit| match digit {
                'a'..='f' => format!("[{digit}{}]", digit.to_ascii_uppercase()),
                _ => digit.to_string(),
            })
            .collect::<String>();
        if matches!(byte, b'?' | b'#' | b'%') {
            pattern.push_str(&escaped);
        } else {
            let literal = regex_syntax::escape(&char::from(*byte).to_string());
            pattern.extend(["(?:", &literal, "|", &escaped, ")"]);
        }
    }
    pattern.push_str(if path.ends_with(b"/") {
        "(?s-u:.)*"
    } else {
        "(?:\\?(?s-u:.)*)?"
    });
    match Lang::pattern(&pattern) {
        Ok(lang) => {
            let id = gate.text(TextSet::Lang(lang));
            Guard::Is(Test::Text(Dim::Path, id))
        }
        Err(_) => opaque(gate, format!("a look at the very long path `{shown}`")),
    }
}
