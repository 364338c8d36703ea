//! In: ACLs about the host and the URL. Out: their guards.

use regex_syntax::hir::Hir;

use super::super::acl::{Acl, Kind, Pattern};
use super::super::ere;
use super::words::{domain_test, stripped, text};
use super::{Guards, Place, method, never, one_of_any, union};
use crate::model::{Dim, Gate, Guard, Lang, Ranges, Test, TextSet, Unknown, UnknownKind};

/// Expressions of one list in bytes; more are unknown.
const PATTERN_BYTES: usize = 20_000;
/// Expressions joined into one automaton, in bytes.
const PATTERN_CHUNK: usize = 600;

impl Guards<'_> {
    pub(super) fn destination(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Guard {
        let any = Guard::Is(Test::AnyAddress(union(acl)));
        let literal = Guard::number(Dim::HostIsAddress, Ranges::one(1));
        let known = if acl.no_lookup {
            Guard::All(vec![literal, any])
        } else if place == Place::Fast {
            let text = "whether the host was resolved before".to_owned();
            let slow = self.unknown(gate, acl, UnknownKind::Opaque, "match", text);
            Guard::AnyOf(vec![
                Guard::All(vec![literal.clone(), any.clone()]),
                Guard::All(vec![literal.negated(), any, slow]),
            ])
        } else {
            any
        };
        self.or_unread(gate, acl, known)
    }

    /// The host as it was asked for; an address without `-n` also by its reverse name, or `none` where it has none
    /// (src/acl/DestinationDomain.cc).
    pub(super) fn domains(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Guard {
        let host = domain_test(gate, Dim::Host, acl);
        if acl.no_lookup {
            return host;
        }
        let mut reverse = vec![domain_test(gate, Dim::ReverseName, acl)];
        if acl
            .words
            .iter()
            .any(|word| matches!(word.value.as_str(), "none" | ".none"))
        {
            let empty = gate.text(TextSet::Literal("".into()));
            reverse.push(Guard::Is(Test::Text(Dim::ReverseName, empty)));
        }
        let reverse = self.looked_up(gate, acl, place, Guard::AnyOf(reverse));
        Guard::AnyOf(vec![host, reverse])
    }

    /// Whether an ACL asks for the name of the host, at a place where an intercepted tunnel need not have shown it.
    pub(super) fn asks_for_the_name(kind: Kind, place: Place) -> bool {
        let named_later = matches!(kind, Kind::ServerName | Kind::ServerNameRegex);
        matches!(
            kind,
            Kind::DestinationDomain | Kind::DestinationRegex | Kind::UrlRegex
        ) || named_later && place == Place::Bump(1)
    }

    /// Of an intercepted TLS connection Squid first knows the address alone (`client_side.cc`, `fakeAConnectRequest`); what
    /// an ACL about the name then says is left open.
    pub(super) fn named(&mut self, gate: &mut Gate, acl: &Acl, known: Guard) -> Guard {
        let (some, forward) = self.told_listeners();
        if !some {
            return known;
        }
        let named = Guard::AnyOf(vec![forward, method(gate, "CONNECT").negated()]);
        let text =
            "the name that an intercepted connection shows, if it shows one by then".to_owned();
        let open = self.unknown(gate, acl, UnknownKind::Opaque, "intercept", text);
        Guard::AnyOf(vec![
            Guard::All(vec![named.clone(), known]),
            Guard::All(vec![named.negated(), open]),
        ])
    }

    pub(super) fn looked_up(
        &mut self,
        gate: &mut Gate,
        acl: &Acl,
        place: Place,
        test: Guard,
    ) -> Guard {
        let mut all = vec![Guard::number(Dim::HostIsAddress, Ranges::one(1)), test];
        if place == Place::Fast {
            let text = "whether the address was looked up before".to_owned();
            all.push(self.unknown(gate, acl, UnknownKind::Opaque, "match", text));
        }
        Guard::All(all)
    }

    pub(super) fn patterns_on_host(&mut self, gate: &mut Gate, acl: &Acl, place: Place) -> Guard {
        let host = self.patterns(gate, acl, |gate, lang| text(gate, Dim::Host, lang));
        if acl.no_lookup {
            return host;
        }
        let reverse = self.patterns(gate, acl, |gate, lang| {
            let empty = Lang::literal(b"");
            let lang = if lang.contains(b"none") {
                lang.or(&empty)
            } else {
                lang.minus(&empty)
            };
            text(gate, Dim::ReverseName, lang.unwrap_or(empty))
        });
        let reverse = self.looked_up(gate, acl, place, reverse);
        Guard::AnyOf(vec![host, reverse])
    }

    /// The name that TLS shows is the CONNECT host until the server's certificate is seen (src/acl/ServerName.cc).
    pub(super) fn certificate(
        &mut self,
        gate: &mut Gate,
        acl: &Acl,
        place: Place,
    ) -> Option<Guard> {
        (acl.from_certificate || place == Place::Bump(3)).then(|| {
            let text = "the names in the server's certificate".to_owned();
            self.unknown(gate, acl, UnknownKind::Fact, "certificate", text)
        })
    }

    /// Any of the expressions: joined in small groups, as Squid does, so that one hard expression costs only its group.
    pub(super) fn patterns(
        &mut self,
        gate: &mut Gate,
        acl: &Acl,
        test: impl Fn(&mut Gate, Lang) -> Guard,
    ) -> Guard {
        let bytes: usize = acl.patterns.iter().map(|pattern| pattern.text.len()).sum();
        if bytes > PATTERN_BYTES {
            let text = format!(
                "a model of the {} expressions of `{}`",
                acl.patterns.len(),
                acl.name
            );
            return self.unknown(gate, acl, UnknownKind::Opaque, "expression", text);
        }
        let mut any = Vec::new();
        let mut group = Vec::new();
        let mut length = 0;
        for pattern in &acl.patterns {
            match ere::parse(stripped(pattern), pattern.ignore_case) {
                Ok(hir) => {
                    length += pattern.text.len();
                    group.push((hir, pattern));
                }
                Err(ere::Failure::Invalid) => {}
                Err(ere::Failure::Unknown) => any.push(self.odd(gate, acl, pattern)),
            }
            if length > PATTERN_CHUNK {
                any.push(self.joined(gate, acl, std::mem::take(&mut group), &test));
                length = 0;
            }
        }
        if !group.is_empty() {
            any.push(self.joined(gate, acl, group, &test));
        }
        one_of_any(any).unwrap_or_else(never)
    }

    pub(super) fn joined(
        &mut self,
        gate: &mut Gate,
        acl: &Acl,
        group: Vec<(Hir, &Pattern)>,
        test: impl Fn(&mut Gate, Lang) -> Guard,
    ) -> Guard {
        let first = group.first().map(|(_, pattern)| *pattern);
        let hir = Hir::alternation(group.into_iter().map(|(hir, _)| hir).collect());
        match (Lang::containing(&hir), first) {
            (Ok(lang), _) => test(gate, lang),
            (Err(_), Some(pattern)) => self.odd(gate, acl, pattern),
            (Err(_), None) => never(),
        }
    }

    pub(super) fn odd(&mut self, gate: &mut Gate, acl: &Acl, pattern: &Pattern) -> Guard {
        let id = self.add(
            gate,
            format!("expression:{}:{}", acl.name, pattern.text),
            Unknown {
                kind: UnknownKind::Opaque,
                code: "expression",
                text: format!("a model of the expression `{}`", pattern.text),
                identity: None,
                span: Some(pattern.span),
            },
        );
        Guard::Unknown(id)
    }
}
