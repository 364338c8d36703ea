//! In: an option of a match that is decided by the packet. Out: a guard on the packet's dimensions.
//!
//! Names and arguments as in iptables-extensions(8); truth as in the kernel's `xt_*.c` and `ipt_*.c`.

use super::body::Body;
use super::names;
use super::options::Match;
use super::syntax::ProblemKind;
use super::values;
use super::words::Word;
use crate::model::{Dim, Flags, Guard, MarkName, NatSide, Range, Ranges, State, Test};

/// The most ports that one multiport option takes; a range takes two (`xt_multiport.h`).
const MULTIPORTS: usize = 15;

/// A byte dimension and a mask-and-compare test on it.
fn masked_byte(dim: Dim, value: u8, mask: u8) -> Guard {
    Guard::number(dim, super::book::bytes_with(mask, value))
}

impl<'a> Body<'_, '_, 'a> {
    /// Lets a match read an option; `false` where it is not its own.
    pub(super) fn offer(&mut self, module: Match, option: &Word<'a>) -> bool {
        if !module.knows(&option.text) {
            return false;
        }
        let once = module.once(&option.text);
        if self.taken & once != 0 {
            self.refuse(option, "one match takes the option, or one like it, once");
        }
        self.taken |= once;
        let mut negated = self.take_negation();
        if let Some(guard) = self.without_argument(&option.text, option) {
            self.guards.push(guard.negated_if(negated));
            return true;
        }
        if matches!(
            &*option.text,
            b"--strict"
                | b"--next"
                | b"--return-nomatch"
                | b"--update-counters"
                | b"--update-subcounters"
        ) {
            return true;
        }
        let Some(word) = self.argument(option, &mut negated) else {
            return true;
        };
        if let Some(guard) = self.match_option(module, option, &word) {
            self.guards.push(guard.negated_if(negated));
        }
        true
    }

    fn without_argument(&mut self, name: &[u8], option: &Word<'a>) -> Option<Guard> {
        match name {
            b"--syn" => {
                let mask = Flags::FIN | Flags::SYN | Flags::RST | Flags::ACK;
                let set = self.book.tcp_flags(mask, Flags::SYN);
                Some(Guard::number(Dim::TcpFlags, set))
            }
            b"--socket-exists" => Some(Guard::number(Dim::Owner, Ranges::full())),
            b"--limit-iface-in" | b"--limit-iface-out" => Some(self.opaque_guard(
                "addrtype",
                "knowing which addresses the interface itself has",
                option,
            )),
            _ => None,
        }
    }

    fn match_option(&mut self, module: Match, option: &Word<'a>, word: &Word<'a>) -> Option<Guard> {
        match module {
            Match::Tcp | Match::Udp | Match::Sctp => Some(self.transport(option, word)),
            Match::Icmp | Match::Icmp6 => Some(self.icmp(module, word)),
            Match::State => Some(self.states(word, false)),
            Match::Conntrack => Some(if &*option.text == b"--ctstate" {
                self.states(word, true)
            } else {
                self.unmodelled("conntrack", "the connection's entry", option, word)
            }),
            Match::Multiport => Some(self.multiport(option, word)),
            Match::Addrtype => {
                let dim = if &*option.text == b"--src-type" {
                    Dim::Source
                } else {
                    Dim::Destination
                };
                Some(self.address_types(dim, word))
            }
            Match::Mark => Some(self.mark(MarkName::Packet, word)),
            Match::Connmark => Some(self.mark(MarkName::Connection, word)),
            Match::Iprange => Some(self.address_range(option, word)),
            Match::Mac => Some(match values::mac(&word.text) {
                Some(mac) => Guard::number(Dim::Mac, Ranges::one(u128::from(mac))),
                None => self.bad_value(word, "MAC address"),
            }),
            Match::Owner => Some(self.owner(option, word)),
            Match::Length => Some(self.number_range(Dim::Length, word, "length")),
            Match::Ttl => Some(self.ttl(option, word)),
            Match::Tos => Some(self.tos(word)),
            Match::Dscp => Some(self.dscp(option, word)),
            Match::Tcpmss => {
                // xt_tcpmss.c: without the option, which only a SYN carries, the match does not hold.
                let syn = self.book.tcp_flags(Flags::SYN, Flags::SYN);
                let range = self.number_range(Dim::Mss, word, "segment size");
                Some(Guard::All(vec![Guard::number(Dim::TcpFlags, syn), range]))
            }
            Match::Pkttype => Some(self.packet_type(word)),
            Match::Set => Some(self.set(option, word)),
            Match::Policy => self.policy(option, word),
            Match::Comment | Match::Opaque | Match::Foreign => None,
        }
    }

    fn unmodelled(
        &mut self,
        code: &'static str,
        what: &str,
        option: &Word<'a>,
        word: &Word<'a>,
    ) -> Guard {
        let text = format!(
            "knowing {what} (`{} {}`)",
            String::from_utf8_lossy(&option.text),
            String::from_utf8_lossy(&word.text)
        );
        self.opaque_guard(code, &text, option)
    }

    fn transport(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        let dim = match &*option.text {
            b"--dport" | b"--destination-port" => Dim::DestinationPort,
            b"--sport" | b"--source-port" => Dim::SourcePort,
            b"--tcp-flags" => return self.tcp_flags(word),
            _ => return self.unmodelled("tcp-option", "the packet's options", option, word),
        };
        let protocol = self.protocol.map_or(6, |(number, _)| number);
        match values::ports(&word.text, protocol) {
            Some((low, high)) => {
                if low > high && matches!(protocol, 17 | 136) {
                    self.reversed(word);
                } else if low > high {
                    self.refuse(word, "the range ends before it begins");
                }
                Guard::number(dim, values::between(low, high))
            }
            None => self.bad_value(word, "port"),
        }
    }

    fn reversed(&mut self, word: &Word<'_>) {
        let span = self.book.span(word.start, word.end);
        let text = String::from_utf8_lossy(&word.text).into_owned();
        self.book.problem(
            ProblemKind::ReversedRange,
            span,
            format!("`{text}` ends before it begins, so nothing is in it"),
        );
    }

    fn tcp_flags(&mut self, mask: &Word<'a>) -> Guard {
        let Some(value) = self.peek_argument() else {
            return self.bad_value(mask, "pair of flag lists");
        };
        let mut no = false;
        let _ = self.argument(mask, &mut no);
        match (
            values::tcp_flags(&mask.text),
            values::tcp_flags(&value.text),
        ) {
            (Some(mask), Some(value)) => {
                let set = self.book.tcp_flags(mask, value);
                Guard::number(Dim::TcpFlags, set)
            }
            (None, _) => self.bad_value(mask, "list of TCP flags"),
            (Some(_), None) => self.bad_value(&value, "list of TCP flags"),
        }
    }

    fn icmp(&mut self, module: Match, word: &Word<'a>) -> Guard {
        let v6 = module == Match::Icmp6;
        let numbers = || {
            let mut parts = word.text.splitn(2, |byte| *byte == b'/');
            let number = |text: &[u8]| values::number(text).and_then(|n| u16::try_from(n).ok());
            let kind = number(parts.next()?).filter(|kind| *kind <= 255)?;
            if kind == 255 && !v6 {
                return Some((0, 0xffff));
            }
            match parts.next() {
                Some(code) => {
                    let code = number(code).filter(|code| *code <= 255)?;
                    Some((kind << 8 | code, kind << 8 | code))
                }
                None => Some((kind << 8, kind << 8 | 0xff)),
            }
        };
        match numbers().or_else(|| names::icmp(&word.text, v6)) {
            Some((low, high)) => Guard::number(Dim::Icmp, values::between(low, high)),
            None => self.bad_value(word, "ICMP type"),
        }
    }

    fn states(&mut self, word: &Word<'a>, with_nat: bool) -> Guard {
        let mut states = Vec::new();
        let mut tests = Vec::new();
        for name in word.text.split(|byte| *byte == b',') {
            let state = match name.to_ascii_uppercase().as_slice() {
                b"INVALID" => State::Invalid,
                b"NEW" => State::New,
                b"ESTABLISHED" => State::Established,
                b"RELATED" => State::Related,
                b"UNTRACKED" => State::Untracked,
                b"SNAT" if with_nat => {
                    tests.push(Guard::Is(Test::Translated(NatSide::Source)));
                    continue;
                }
                b"DNAT" if with_nat => {
                    tests.push(Guard::Is(Test::Translated(NatSide::Destination)));
                    continue;
                }
                _ => return self.bad_value(word, "list of connection states"),
            };
            states.push(Range::one(state as u128));
        }
        let set = Guard::number(Dim::State, Ranges::from_unsorted(states));
        if tests.is_empty() {
            return set;
        }
        tests.push(set);
        Guard::AnyOf(tests)
    }

    fn multiport(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        let protocol = if let Some((number @ (6 | 17 | 33 | 132 | 136), false)) = self.protocol {
            number
        } else {
            self.refuse(
                option,
                "multiport needs `-p tcp`, `-p udp` or another protocol with ports before it",
            );
            6
        };
        let mut ranges = Vec::new();
        let mut slots = 0;
        for part in word.text.split(|byte| *byte == b',') {
            let pair = match memchr::memchr(b':', part) {
                Some(at) => values::port(part.get(..at).unwrap_or_default(), protocol)
                    .zip(values::port(
                        part.get(at + 1..).unwrap_or_default(),
                        protocol,
                    ))
                    .filter(|(low, high)| low < high),
                None => values::port(part, protocol).map(|port| (port, port)),
            };
            let Some((low, high)) = pair else {
                return self.bad_value(word, "list of ports");
            };
            slots += 1 + usize::from(low != high);
            ranges.extend(Range::new(u128::from(low), u128::from(high)));
        }
        if slots > MULTIPORTS {
            self.refuse(word, "more than 15 ports (a range counts twice)");
        }
        let set = Ranges::from_unsorted(ranges);
        match &*option.text {
            b"--dports" | b"--destination-ports" => Guard::number(Dim::DestinationPort, set),
            b"--sports" | b"--source-ports" => Guard::number(Dim::SourcePort, set),
            _ => Guard::AnyOf(vec![
                Guard::number(Dim::SourcePort, set.clone()),
                Guard::number(Dim::DestinationPort, set),
            ]),
        }
    }

    fn mark(&mut self, name: MarkName, word: &Word<'a>) -> Guard {
        match values::value_mask(&word.text) {
            // The kernel compares with the value as written: bits outside the mask never match.
            Some((value, mask)) => Guard::Is(Test::Mark(name, value, mask)),
            None => self.bad_value(word, "mark"),
        }
    }

    fn address_range(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        let dim = if &*option.text == b"--src-range" {
            Dim::Source
        } else {
            Dim::Destination
        };
        let family = self.book.family;
        let (low, high) = if let Some(at) = memchr::memchr(b'-', &word.text) {
            (
                values::address(word.text.get(..at).unwrap_or_default(), family),
                values::address(word.text.get(at + 1..).unwrap_or_default(), family),
            )
        } else {
            let one = values::address(&word.text, family);
            (one, one)
        };
        match low.zip(high) {
            Some((low, high)) => {
                if low > high {
                    self.reversed(word);
                }
                Guard::number(dim, values::between(low, high))
            }
            None => self.bad_value(word, "address range"),
        }
    }

    fn number_range(&mut self, dim: Dim, word: &Word<'a>, what: &str) -> Guard {
        match values::range(&word.text, b':', 65535) {
            Some((low, high)) => {
                if low > high {
                    self.reversed(word);
                }
                Guard::number(dim, values::between(low, high))
            }
            None => self.bad_value(word, what),
        }
    }

    fn owner(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        if &*option.text != b"--uid-owner" {
            return self.unmodelled("owner", "the sending process", option, word);
        }
        if let Some((low, high)) = values::range(&word.text, b'-', u64::from(u32::MAX)) {
            return Guard::number(Dim::Owner, values::between(low, high));
        }
        if &*word.text == b"root" {
            return Guard::number(Dim::Owner, Ranges::one(0));
        }
        if super::parse::is_template(&word.text) {
            return self.bad_value(word, "user");
        }
        let text = String::from_utf8_lossy(&word.text).into_owned();
        let span = self.book.span(word.start, word.end);
        self.book.fact(
            "user",
            format!("the user id of `{text}`"),
            format!("user:{text}"),
            span,
        )
    }

    fn ttl(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        let Some(value) = values::number(&word.text).filter(|value| *value <= 255) else {
            return self.bad_value(word, "time to live");
        };
        let set = match &*option.text {
            b"--ttl-lt" | b"--hl-lt" => match value.checked_sub(1) {
                Some(high) => values::between(0u64, high),
                None => Ranges::empty(),
            },
            b"--ttl-gt" | b"--hl-gt" => values::between(value + 1, 255u64),
            _ => values::between(value, value),
        };
        Guard::number(Dim::Ttl, set)
    }

    fn tos(&mut self, word: &Word<'a>) -> Guard {
        let byte = |text: &[u8]| values::number(text).and_then(|n| u8::try_from(n).ok());
        let pair = match memchr::memchr(b'/', &word.text) {
            Some(at) => byte(word.text.get(..at).unwrap_or_default())
                .zip(byte(word.text.get(at + 1..).unwrap_or_default())),
            // libxt_tos: a name leaves the rest of the byte alone.
            None => names::tos(&word.text)
                .map(|value| (value, 0x3f))
                .or_else(|| byte(&word.text).map(|value| (value, 0xff))),
        };
        match pair {
            Some((value, mask)) => masked_byte(Dim::Tos, value, mask),
            None => self.bad_value(word, "type of service"),
        }
    }

    fn dscp(&mut self, option: &Word<'a>, word: &Word<'a>) -> Guard {
        let value = if &*option.text == b"--dscp-class" {
            names::dscp_class(&word.text)
        } else {
            values::number(&word.text)
                .and_then(|value| u8::try_from(value).ok())
                .filter(|value| *value <= 63)
        };
        match value {
            Some(value) => masked_byte(Dim::Tos, value << 2, 0xfc),
            None => self.bad_value(word, "DSCP value"),
        }
    }
}
