//! In: address match lists. Out: guards on the client's address.
//!
//! The first element that matches decides, `!` turns its match into a refusal, no match refuses (BIND's `dns_acl_match`). A
//! list inside a list, named or in braces, matches where it accepts; where it refuses, the outer list goes on. Keys are
//! never presented by the clients that are judged. `localhost` and `localnets` are the server's own addresses and
//! networks: the fact `bind.addresses` (`192.168.1.2/24, ...`) tells them; the loopback always belongs to both.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::super::Facts;
use super::parse::Config;
use super::syntax::{Block, Item, Statement};
use crate::model::{Dim, Gate, Guard, Ranges, Test, Unknown, UnknownId, UnknownKind};
use crate::source::{Span, Spanned};

/// Lists nest no deeper.
const DEPTH: usize = 16;
/// Alternations of what is known and what is not; more make the whole list unknown.
const SEGMENTS: usize = 24;

/// What the elements mean here.
pub(super) struct Lists<'c> {
    acls: &'c BTreeMap<String, Statement>,
    /// The server's own addresses and networks; `None` where they are not known.
    own: Option<(Ranges, Ranges)>,
    /// Whether a name that is not defined may stand in a file that was not given.
    open_ended: bool,
    localnets: Option<UnknownId>,
    /// Names that are not defined.
    pub(super) undefined: Vec<Spanned<String>>,
    /// Elements that named refuses.
    pub(super) refused: Vec<Spanned<String>>,
    /// Elements that are not understood.
    pub(super) strange: Vec<Spanned<String>>,
}

/// A list as alternating pieces, first match first.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    /// Sources that are decided here, and those of them that are accepted.
    Known { decided: Ranges, accepted: Ranges },
    /// Sources that match where the guard holds.
    Open { guard: Guard, negated: bool },
}

impl<'c> Lists<'c> {
    /// For one config.
    pub(super) fn new(config: &'c Config, facts: &Facts) -> Self {
        Self {
            acls: &config.acls,
            own: facts.get("bind.addresses").map(own),
            open_ended: !config.missing.is_empty(),
            localnets: None,
            undefined: Vec::new(),
            refused: Vec::new(),
            strange: Vec::new(),
        }
    }

    /// The list of a clause's first block.
    pub(super) fn clause(&mut self, gate: &mut Gate, clause: &Statement) -> List {
        clause
            .block()
            .map(|block| self.block(gate, block, 0))
            .unwrap_or_default()
    }

    /// The default of `allow-recursion` and `allow-query-cache`.
    pub(super) fn local(&mut self, gate: &mut Gate) -> List {
        let mut list = List::default();
        let (guard, known) = self.localnets(gate, None);
        push_known(&mut list, &known, false);
        push_open(&mut list, guard, false);
        let (guard, known) = self.localhost();
        push_known(&mut list, &known, false);
        push_open(&mut list, guard, false);
        list
    }

    /// A list in braces.
    pub(super) fn block(&mut self, gate: &mut Gate, block: &Block, depth: usize) -> List {
        let mut list = List::default();
        for element in &block.statements {
            if list.segments.len() > SEGMENTS {
                let rest = self.strange(gate, element.span, "a list with this many open parts");
                list.segments.extend(rest.segments);
                break;
            }
            self.element(gate, element, depth, &mut list);
        }
        list
    }

    fn element(&mut self, gate: &mut Gate, element: &Statement, depth: usize, list: &mut List) {
        let mut items = element.items.as_slice();
        let mut negated = false;
        while let [Item::Word(word), rest @ ..] = items {
            if word.text != "!" || word.quoted {
                break;
            }
            negated = !negated;
            items = rest;
        }
        match items {
            [Item::Block(block)] => {
                let inner = if depth < DEPTH {
                    self.block(gate, block, depth + 1)
                } else {
                    self.strange(gate, element.span, "a list that nests too deeply")
                };
                push_list(list, &inner, negated);
            }
            [Item::Word(word)] => {
                self.word(gate, &word.text, word.span, depth, negated, list);
            }
            [Item::Word(first), Item::Word(_), ..] if first.text.eq_ignore_ascii_case("key") => {}
            // Blanks around the slash are legal.
            [Item::Word(base), Item::Word(slash), Item::Word(bits)] if slash.text == "/" => {
                let text = format!("{}/{}", base.text, bits.text);
                self.word(gate, &text, element.span, depth, negated, list);
            }
            _ => {
                let open = self.strange(gate, element.span, "an element that is not understood");
                push_list(list, &open, negated);
            }
        }
    }

    fn word(
        &mut self,
        gate: &mut Gate,
        text: &str,
        span: Span,
        depth: usize,
        negated: bool,
        list: &mut List,
    ) {
        match network(text) {
            Network::Is(ranges) => push_known(list, &ranges, negated),
            Network::Refused(why) => self.refused.push(Spanned::new(why, span)),
            Network::No => match text.to_ascii_lowercase().as_str() {
                "any" => push_known(list, &Ranges::full(), negated),
                "none" => push_known(list, &Ranges::full(), !negated),
                "localhost" => {
                    let (guard, known) = self.localhost();
                    push_known(list, &known, negated);
                    push_open(list, guard, negated);
                }
                "localnets" => {
                    let (guard, known) = self.localnets(gate, Some(span));
                    push_known(list, &known, negated);
                    push_open(list, guard, negated);
                }
                name => {
                    let inner = self.named(gate, name, text, span, depth);
                    push_list(list, &inner, negated);
                }
            },
        }
    }

    fn named(&mut self, gate: &mut Gate, name: &str, text: &str, span: Span, depth: usize) -> List {
        match self.acls.get(name).and_then(Statement::block) {
            Some(block) if depth < DEPTH => {
                let block = block.clone();
                self.block(gate, &block, depth + 1)
            }
            Some(_) => self.strange(gate, span, "an acl that nests too deeply, or in itself"),
            None => {
                if !self.open_ended {
                    self.undefined.push(Spanned::new(text.to_owned(), span));
                }
                self.strange(gate, span, "the definition of an acl")
            }
        }
    }

    fn strange(&mut self, gate: &mut Gate, span: Span, what: &str) -> List {
        self.strange.push(Spanned::new(what.to_owned(), span));
        let unknown = gate.unknown(Unknown {
            kind: UnknownKind::Opaque,
            code: "acl",
            text: what.to_owned(),
            identity: Some(format!("acl {} {}", span.start, span.end)),
            span: Some(span),
        });
        List {
            segments: vec![Segment::Open {
                guard: Guard::Unknown(unknown),
                negated: false,
            }],
        }
    }

    /// The server's own addresses: what is not known, and what is.
    fn localhost(&self) -> (Option<Guard>, Ranges) {
        match &self.own {
            Some((addresses, _)) => (None, addresses.clone()),
            None => (Some(Guard::Is(Test::Local(Dim::Source))), this_host()),
        }
    }

    /// The server's own networks: what is not known, and what is.
    fn localnets(&mut self, gate: &mut Gate, span: Option<Span>) -> (Option<Guard>, Ranges) {
        if let Some((_, networks)) = &self.own {
            return (None, networks.clone());
        }
        let id = *self.localnets.get_or_insert_with(|| {
            gate.unknown(Unknown {
                kind: UnknownKind::Fact,
                code: "localnets",
                text: "the server's own addresses and networks (`--fact bind.addresses=192.168.1.2/24`)"
                    .to_owned(),
                identity: Some("localnets".to_owned()),
                span,
            })
        });
        (Some(Guard::Unknown(id)), loopback())
    }
}

impl List {
    /// Accepts everybody, whatever is not known.
    pub(super) fn accepts_all(&self) -> bool {
        self.exact().is_some_and(|accepted| accepted.is_full())
    }

    /// The accepted sources, where all of it is known.
    pub(super) fn exact(&self) -> Option<Ranges> {
        let mut accepted = Ranges::empty();
        let mut left = Ranges::full();
        for segment in &self.segments {
            match segment {
                Segment::Known {
                    decided,
                    accepted: here,
                } => {
                    accepted = accepted.union(&here.intersect(&left));
                    left = left.minus(decided);
                }
                Segment::Open { .. } if left.is_empty() => {}
                Segment::Open { .. } => return None,
            }
        }
        Some(accepted)
    }

    /// Sources that are accepted for sure.
    pub(super) fn surely(&self) -> Ranges {
        let mut accepted = Ranges::empty();
        let mut left = Ranges::full();
        for segment in &self.segments {
            match segment {
                Segment::Known {
                    decided,
                    accepted: here,
                } => {
                    accepted = accepted.union(&here.intersect(&left));
                    left = left.minus(decided);
                }
                Segment::Open { negated: true, .. } => left = Ranges::empty(),
                Segment::Open { negated: false, .. } => {}
            }
        }
        accepted
    }

    /// Holds for the sources that are accepted.
    pub(super) fn guard(&self) -> Guard {
        let mut guard = Guard::AnyOf(Vec::new());
        for segment in self.segments.iter().rev() {
            guard = match segment {
                Segment::Known { decided, accepted } => {
                    let here = Guard::number(Dim::Source, accepted.clone());
                    let rest = matches!(&guard, Guard::AnyOf(none) if none.is_empty());
                    match (rest, decided.is_full()) {
                        (_, true) if accepted.is_full() => Guard::Always,
                        (true, _) | (_, true) => here,
                        (false, false) => Guard::AnyOf(vec![
                            here,
                            Guard::All(vec![
                                Guard::number(Dim::Source, decided.complement()),
                                guard,
                            ]),
                        ]),
                    }
                }
                Segment::Open {
                    guard: open,
                    negated: true,
                } => Guard::All(vec![open.clone().negated(), guard]),
                Segment::Open {
                    guard: open,
                    negated: false,
                } => Guard::AnyOf(vec![open.clone(), guard]),
            };
        }
        guard
    }
}

fn push_known(list: &mut List, ranges: &Ranges, negated: bool) {
    let fresh = |decided: &Ranges| ranges.minus(decided);
    if let Some(Segment::Known { decided, accepted }) = list.segments.last_mut() {
        if !negated {
            *accepted = accepted.union(&fresh(decided));
        }
        *decided = decided.union(ranges);
    } else {
        list.segments.push(Segment::Known {
            decided: ranges.clone(),
            accepted: if negated {
                Ranges::empty()
            } else {
                ranges.clone()
            },
        });
    }
}

fn push_open(list: &mut List, guard: Option<Guard>, negated: bool) {
    if let Some(guard) = guard {
        list.segments.push(Segment::Open { guard, negated });
    }
}

/// An inner list matches where it accepts.
fn push_list(list: &mut List, inner: &List, negated: bool) {
    match inner.exact() {
        Some(accepted) => push_known(list, &accepted, negated),
        None => push_open(list, Some(inner.guard()), negated),
    }
}

/// What a word is as a network.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// These addresses.
    Is(Ranges),
    /// It looks like one, and named refuses it; why.
    Refused(String),
    /// A name.
    No,
}

/// An address or a prefix; IPv4 prefixes may be short: `10/8`, `192.168/16` (`cfg_parse_netprefix`).
pub(super) fn network(text: &str) -> Network {
    let (base, bits) = match text.split_once('/') {
        Some((base, bits)) => (base, Some(bits)),
        None => (text, None),
    };
    // A scope id (`fe80::1%eth0`) names an interface; the address counts.
    let plain = base.split('%').next().unwrap_or(base);
    let address = plain.parse::<IpAddr>().ok().or_else(|| {
        let octets: Vec<Option<u8>> = plain.split('.').map(|part| part.parse().ok()).collect();
        let short = bits.is_some() && octets.len() < 4;
        short.then(|| {
            let mut four = [0; 4];
            for (slot, octet) in four.iter_mut().zip(&octets) {
                *slot = (*octet)?;
            }
            Some(IpAddr::V4(Ipv4Addr::from(four)))
        })?
    });
    let Some(address) = address else {
        return Network::No;
    };
    let Some(bits) = bits else {
        return Network::Is(Ranges::host(address));
    };
    let net = bits
        .parse::<u8>()
        .ok()
        .and_then(|bits| IpNet::new(address, bits).ok());
    match net {
        None => Network::Refused(format!("`{text}` has no such prefix length")),
        Some(net) if net.network() != net.addr() => {
            Network::Refused(format!("`{text}` has bits set beyond its prefix length"))
        }
        // Mapped addresses are the IPv4 ones here, and IPv6 prefixes do not match those.
        Some(net @ IpNet::V6(_)) => Network::Is(Ranges::network(net).minus(&Ranges::ipv4())),
        Some(net @ IpNet::V4(_)) => Network::Is(Ranges::network(net)),
    }
}

/// The addresses and networks of `bind.addresses`.
fn own(fact: &str) -> (Ranges, Ranges) {
    let (mut addresses, mut networks) = (this_host(), loopback());
    for text in fact.split([',', ' ']).filter(|text| !text.is_empty()) {
        if let Ok(net) = text.parse::<IpNet>() {
            addresses = addresses.union(&Ranges::host(net.addr()));
            networks = networks.union(&Ranges::network(net));
        } else if let Ok(ip) = text.parse::<IpAddr>() {
            addresses = addresses.union(&Ranges::host(ip));
            networks = networks.union(&Ranges::host(ip));
        }
    }
    (addresses, networks)
}

fn this_host() -> Ranges {
    Ranges::host(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .union(&Ranges::host(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)))
}

/// The networks of the loopback interface.
pub(super) fn loopback() -> Ranges {
    let mut loopback = Ranges::host(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
    if let Ok(net) = "127.0.0.0/8".parse::<IpNet>() {
        loopback = loopback.union(&Ranges::network(net));
    }
    loopback
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;
    use crate::model::{Layer, address};
    use crate::source::Sources;

    fn accepts(list: &str, client: &str) -> Option<bool> {
        let text = format!("acl x {{ !10.9/16; 10/8; }}; allow {{ {list} }};");
        let file = Sources::new().add("n", text.as_bytes().to_vec()).unwrap();
        let tree = syntax::parse(file, text.as_bytes());
        let mut config = Config::default();
        config
            .acls
            .insert("x".to_owned(), tree.statements[0].clone());
        let mut gate = Gate::new("g", Layer::Lookup);
        let mut lists = Lists::new(&config, &Facts::default());
        let list = lists.clause(&mut gate, &tree.statements[1]);
        list.exact()
            .map(|ranges| ranges.contains(address(client.parse().unwrap())))
    }

    #[test]
    fn the_first_match_decides_and_no_match_refuses() {
        assert_eq!(
            accepts("!192.168.77/24; any;", "192.168.77.10"),
            Some(false)
        );
        assert_eq!(accepts("any; !192.168.77/24;", "192.168.77.10"), Some(true));
        assert_eq!(accepts("10/8;", "192.168.77.10"), Some(false));
        assert_eq!(accepts("none;", "10.0.0.1"), Some(false));
        assert_eq!(accepts("!none;", "10.0.0.1"), Some(true));
        assert_eq!(accepts("key k; 10.1.2.3;", "10.1.2.3"), Some(true));
        assert_eq!(accepts("localnets;", "10.1.2.3"), None);
    }

    #[test]
    fn a_nested_refusal_lets_the_outer_list_go_on() {
        assert_eq!(accepts("x;", "10.9.0.1"), Some(false));
        assert_eq!(accepts("x; any;", "10.9.0.1"), Some(true));
        assert_eq!(accepts("!x; any;", "10.9.0.1"), Some(true));
        assert_eq!(accepts("!x; any;", "10.8.0.1"), Some(false));
        assert_eq!(accepts("{ !10.9/16; 10/8; };", "10.8.0.1"), Some(true));
    }

    #[test]
    fn prefixes_are_read_as_named_reads_them() {
        assert!(matches!(network("10.1/16"), Network::Is(_)));
        assert!(matches!(network("10.0.0.1/8"), Network::Refused(_)));
        assert_eq!(network("10.1"), Network::No);
        assert_eq!(network("trusted"), Network::No);
    }
}
