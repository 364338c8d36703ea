//! In: options of matches that ask about addresses in their network: types, sets, policies. Out: guards.
//!
//! What the addresses themselves tell is decided; the rest is a fact with a stable identity, so that the same question
//! asked twice has one answer.

use super::body::Body;
use super::members;
use super::words::Word;
use crate::model::{Dim, Family, Guard, Range, Ranges, Test, address};
use std::net::{Ipv4Addr, Ipv6Addr};

impl<'a> Body<'_, '_, 'a> {
    /// `--src-type`, `--dst-type` (`xt_addrtype.c`).
    pub(super) fn address_types(&mut self, dim: Dim, word: &Word<'a>) -> Guard {
        let types: Vec<Vec<u8>> = word
            .text
            .split(|byte| *byte == b',')
            .map(<[u8]>::to_ascii_uppercase)
            .collect();
        let mut guards = Vec::new();
        for name in &types {
            guards.push(match (name.as_slice(), self.book.family) {
                (b"LOCAL", _) => Guard::Is(Test::Local(dim)),
                (b"MULTICAST", family) => Guard::number(dim, multicast(family)),
                (b"BROADCAST", Family::V4) => self.broadcast(dim, word),
                (b"UNICAST", Family::V4) => {
                    let broadcast = self.broadcast(dim, word);
                    Guard::All(vec![
                        Guard::Is(Test::Local(dim)).negated(),
                        Guard::number(dim, multicast(Family::V4)).negated(),
                        broadcast.negated(),
                    ])
                }
                (b"UNICAST", Family::V6) => {
                    Guard::number(dim, multicast(Family::V6).union(&Ranges::one(0))).negated()
                }
                // The kernel asks the table of local routes, which has none of these.
                (
                    b"BLACKHOLE" | b"UNREACHABLE" | b"PROHIBIT" | b"THROW" | b"NAT" | b"XRESOLVE"
                    | b"UNSPEC",
                    Family::V4,
                ) => Guard::AnyOf(Vec::new()),
                // xt_addrtype.c refuses these for IPv6.
                (
                    b"BROADCAST" | b"BLACKHOLE" | b"PROHIBIT" | b"THROW" | b"NAT" | b"XRESOLVE",
                    Family::V6,
                ) => return self.bad_value(word, "address type of IPv6"),
                (b"ANYCAST" | b"UNREACHABLE" | b"UNSPEC", _) => {
                    let text = String::from_utf8_lossy(name).into_owned();
                    let span = self.book.span(word.start, word.end);
                    self.book.fact(
                        "route",
                        format!("knowing which addresses are routed as {text}"),
                        format!("addrtype:{dim:?}:{text}"),
                        span,
                    )
                }
                _ => return self.bad_value(word, "address type"),
            });
        }
        if self.book.family == Family::V6 && guards.len() > 1 {
            // For IPv6 the kernel combines several types in another way.
            return self.opaque_guard("addrtype", "knowing how IPv6 address types combine", word);
        }
        match guards.len() {
            1 => guards.pop().unwrap_or(Guard::Always),
            _ => Guard::AnyOf(guards),
        }
    }

    /// IPv4 broadcast: the addresses that always are, and those of the gate's own networks, which no file tells.
    fn broadcast(&mut self, dim: Dim, word: &Word<'a>) -> Guard {
        let span = self.book.span(word.start, word.end);
        let side = if dim == Dim::Source {
            "source"
        } else {
            "destination"
        };
        let own = self.book.fact(
            "broadcast",
            "knowing the broadcast addresses of the interfaces",
            format!("broadcast:{side}"),
            span,
        );
        Guard::AnyOf(vec![
            Guard::number(dim, always_broadcast()),
            Guard::All(vec![
                Guard::number(dim, multicast(Family::V4).union(&always_broadcast())).negated(),
                Guard::Is(Test::Local(dim)).negated(),
                own,
            ]),
        ])
    }

    /// `--pkt-type` (`xt_pkttype.c`): how the frame was addressed.
    pub(super) fn packet_type(&mut self, word: &Word<'a>) -> Guard {
        let kind = word.text.to_ascii_lowercase();
        let family = self.book.family;
        let span = self.book.span(word.start, word.end);
        let special = match family {
            Family::V4 => multicast(family).union(&always_broadcast()),
            Family::V6 => multicast(family),
        };
        // A packet to one host comes in a frame to one host, but for the broadcasts of one's own networks.
        let own = self.book.fact(
            "broadcast",
            "knowing the broadcast addresses of the interfaces",
            "broadcast:destination".to_owned(),
            span,
        );
        let shared = self.book.fact(
            "pkttype",
            "knowing how frames to many are addressed",
            format!("pkttype:{}", String::from_utf8_lossy(&kind)),
            span,
        );
        let to_one = Guard::number(Dim::Destination, special.clone()).negated();
        let to_many = Guard::All(vec![Guard::number(Dim::Destination, special), shared]);
        match (kind.as_slice(), family) {
            (b"unicast" | b"host", Family::V4) => {
                Guard::AnyOf(vec![Guard::All(vec![to_one, own.negated()]), to_many])
            }
            (b"unicast" | b"host", Family::V6) => Guard::AnyOf(vec![to_one, to_many]),
            (b"broadcast", Family::V4) => {
                Guard::AnyOf(vec![Guard::All(vec![to_one, own]), to_many])
            }
            (b"broadcast" | b"multicast", _) => to_many,
            _ => self.bad_value(word, "packet type"),
        }
    }

    /// `--match-set NAME src,dst`: what the set holds stands in a file beside.
    pub(super) fn set(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        if !matches!(&*option.text, b"--match-set" | b"--set") {
            return self.opaque_guard("set", "knowing the counters of the set", option);
        }
        let mut no = false;
        let sides = match self.peek_argument() {
            Some(_) => self.argument(option, &mut no),
            None => None,
        };
        let Some(sides) = sides else {
            return self.bad_value(word, "set with its `src` and `dst`");
        };
        let span = self.book.span(word.start, word.end);
        members::guard(self.book, &word.text, &sides.text, span)
    }

    /// `-m policy`: whether `IPsec` covers the packet.
    pub(super) fn policy(&mut self, option: &Word<'a>, word: &Word<'a>) -> Option<Guard> {
        match &*option.text {
            b"--dir" => {
                self.inbound = &*word.text == b"in";
                None
            }
            b"--pol" => {
                let direction = if self.inbound { "in" } else { "out" };
                let span = self.book.span(word.start, word.end);
                let covered = self.book.fact(
                    "ipsec",
                    "knowing which packets IPsec covers",
                    format!("ipsec:{direction}"),
                    span,
                );
                match &*word.text {
                    b"ipsec" => Some(covered),
                    b"none" => Some(covered.negated()),
                    _ => Some(self.bad_value(word, "IPsec policy")),
                }
            }
            name => {
                let text = format!(
                    "knowing the IPsec policies (`{} {}`)",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(&word.text)
                );
                Some(self.opaque_guard("ipsec-policy", &text, option))
            }
        }
    }
}

/// Multicast addresses (RFC 1112, RFC 4291).
fn multicast(family: Family) -> Ranges {
    match family {
        Family::V4 => Ranges::between(
            address(Ipv4Addr::new(224, 0, 0, 0).into()),
            address(Ipv4Addr::new(239, 255, 255, 255).into()),
        ),
        Family::V6 => Ranges::between(
            address(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into()),
            u128::MAX,
        ),
    }
}

/// What the kernel takes for broadcast without any interface (`__inet_dev_addr_type`): 0.0.0.0/8 and 255.255.255.255.
fn always_broadcast() -> Ranges {
    let zero = address(Ipv4Addr::UNSPECIFIED.into());
    Ranges::from_unsorted(
        Range::new(zero, zero + 0x00ff_ffff)
            .into_iter()
            .chain([Range::one(address(Ipv4Addr::BROADCAST.into()))])
            .collect(),
    )
}
