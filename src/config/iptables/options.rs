//! In: the name that `-m` gives. Out: the match, what it needs, and which options are its own.
//!
//! Names as in iptables-extensions(8).

use super::extensions::Opaque;
use crate::model::Family;

/// A match that `-m` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    State,
    Conntrack,
    Multiport,
    Comment,
    Addrtype,
    Mark,
    Connmark,
    Iprange,
    Mac,
    Owner,
    Length,
    Ttl,
    Tos,
    Dscp,
    Tcpmss,
    Pkttype,
    Set,
    Policy,
    /// Known, and one unknown as a whole.
    Opaque,
    /// Not known at all.
    Foreign,
}

impl Match {
    pub(super) fn from_word(word: &[u8]) -> Self {
        match word {
            b"tcp" => Self::Tcp,
            b"udp" | b"udplite" => Self::Udp,
            b"sctp" | b"dccp" => Self::Sctp,
            b"icmp" => Self::Icmp,
            b"icmp6" | b"icmpv6" | b"ipv6-icmp" => Self::Icmp6,
            b"state" => Self::State,
            b"conntrack" => Self::Conntrack,
            b"multiport" | b"mport" => Self::Multiport,
            b"comment" => Self::Comment,
            b"addrtype" => Self::Addrtype,
            b"mark" => Self::Mark,
            b"connmark" => Self::Connmark,
            b"iprange" => Self::Iprange,
            b"mac" => Self::Mac,
            b"owner" => Self::Owner,
            b"length" => Self::Length,
            b"ttl" | b"hl" => Self::Ttl,
            b"tos" => Self::Tos,
            b"dscp" => Self::Dscp,
            b"tcpmss" => Self::Tcpmss,
            b"pkttype" => Self::Pkttype,
            b"set" => Self::Set,
            b"policy" => Self::Policy,
            name if Opaque::knows(name) => Self::Opaque,
            _ => Self::Foreign,
        }
    }

    /// The match that a protocol brings along.
    pub(super) fn implied(protocol: u8) -> Option<Self> {
        match protocol {
            6 => Some(Self::Tcp),
            17 | 136 => Some(Self::Udp),
            132 | 33 => Some(Self::Sctp),
            1 => Some(Self::Icmp),
            58 => Some(Self::Icmp6),
            _ => None,
        }
    }

    /// The protocols of which `-p` must name one.
    pub(super) fn needs_protocol(self, family: Family) -> Option<&'static [u8]> {
        match self {
            Self::Tcp | Self::Tcpmss => Some(&[6]),
            Self::Udp => Some(&[17, 136]),
            Self::Sctp => Some(&[132, 33]),
            Self::Icmp => Some(&[1]),
            Self::Icmp6 => Some(match family {
                Family::V4 => &[],
                Family::V6 => &[58],
            }),
            Self::State
            | Self::Conntrack
            | Self::Multiport
            | Self::Comment
            | Self::Addrtype
            | Self::Mark
            | Self::Connmark
            | Self::Iprange
            | Self::Mac
            | Self::Owner
            | Self::Length
            | Self::Ttl
            | Self::Tos
            | Self::Dscp
            | Self::Pkttype
            | Self::Set
            | Self::Policy
            | Self::Opaque
            | Self::Foreign => None,
        }
    }

    /// Whether an option is this match's.
    #[expect(clippy::too_many_lines, reason = "one table of options per match")]
    pub(super) fn knows(self, option: &[u8]) -> bool {
        match self {
            Self::Tcp => matches!(
                option,
                b"--dport"
                    | b"--sport"
                    | b"--destination-port"
                    | b"--source-port"
                    | b"--tcp-flags"
                    | b"--syn"
                    | b"--tcp-option"
            ),
            Self::Udp => matches!(
                option,
                b"--dport" | b"--sport" | b"--destination-port" | b"--source-port"
            ),
            Self::Sctp => matches!(
                option,
                b"--dport"
                    | b"--sport"
                    | b"--destination-port"
                    | b"--source-port"
                    | b"--chunk-types"
                    | b"--dccp-types"
                    | b"--dccp-option"
            ),
            Self::Icmp => matches!(option, b"--icmp-type"),
            Self::Icmp6 => matches!(option, b"--icmpv6-type" | b"--icmp6-type"),
            Self::State => matches!(option, b"--state"),
            Self::Conntrack => matches!(
                option,
                b"--ctstate"
                    | b"--ctproto"
                    | b"--ctorigsrc"
                    | b"--ctorigdst"
                    | b"--ctreplsrc"
                    | b"--ctrepldst"
                    | b"--ctorigsrcport"
                    | b"--ctorigdstport"
                    | b"--ctreplsrcport"
                    | b"--ctrepldstport"
                    | b"--ctstatus"
                    | b"--ctexpire"
                    | b"--ctdir"
            ),
            Self::Multiport => matches!(
                option,
                b"--dports"
                    | b"--sports"
                    | b"--ports"
                    | b"--port"
                    | b"--destination-ports"
                    | b"--source-ports"
            ),
            Self::Comment => matches!(option, b"--comment"),
            Self::Addrtype => matches!(
                option,
                b"--src-type" | b"--dst-type" | b"--limit-iface-in" | b"--limit-iface-out"
            ),
            Self::Mark | Self::Connmark => matches!(option, b"--mark"),
            Self::Iprange => matches!(option, b"--src-range" | b"--dst-range"),
            Self::Mac => matches!(option, b"--mac-source"),
            Self::Owner => matches!(
                option,
                b"--uid-owner"
                    | b"--gid-owner"
                    | b"--socket-exists"
                    | b"--suppl-groups"
                    | b"--pid-owner"
                    | b"--sid-owner"
                    | b"--cmd-owner"
            ),
            Self::Length => matches!(option, b"--length"),
            Self::Ttl => matches!(
                option,
                b"--ttl-eq"
                    | b"--ttl-lt"
                    | b"--ttl-gt"
                    | b"--ttl"
                    | b"--hl-eq"
                    | b"--hl-lt"
                    | b"--hl-gt"
            ),
            Self::Tos => matches!(option, b"--tos"),
            Self::Dscp => matches!(option, b"--dscp" | b"--dscp-class"),
            Self::Tcpmss => matches!(option, b"--mss"),
            Self::Pkttype => matches!(option, b"--pkt-type"),
            Self::Set => matches!(
                option,
                b"--match-set"
                    | b"--set"
                    | b"--return-nomatch"
                    | b"--update-counters"
                    | b"--update-subcounters"
                    | b"--packets-eq"
                    | b"--packets-lt"
                    | b"--packets-gt"
                    | b"--bytes-eq"
                    | b"--bytes-lt"
                    | b"--bytes-gt"
            ),
            Self::Policy => matches!(
                option,
                b"--dir"
                    | b"--pol"
                    | b"--strict"
                    | b"--reqid"
                    | b"--spi"
                    | b"--proto"
                    | b"--mode"
                    | b"--tunnel-src"
                    | b"--tunnel-dst"
                    | b"--next"
            ),
            Self::Opaque | Self::Foreign => false,
        }
    }

    /// What an instance of the match takes once, as a bit of all matches': an option, or options of which one excludes
    /// the others (`xtables_option_parse` in libxtables, `tcp_parse` in `libxt_tcp.c`).
    pub(super) fn once(self, option: &[u8]) -> u32 {
        let at = match option {
            b"--dport" | b"--destination-port" => 0,
            b"--sport" | b"--source-port" => 1,
            b"--tcp-flags" | b"--syn" => 2,
            b"--tcp-option" => 3,
            b"--icmp-type" | b"--icmpv6-type" | b"--icmp6-type" => 4,
            b"--state" => 5,
            b"--ctstate" => 6,
            b"--ctdir" => 7,
            b"--ctstatus" => 8,
            b"--ctproto" => 9,
            b"--src-type" => 10,
            b"--dst-type" => 11,
            b"--mark" if self == Self::Mark => 12,
            b"--mark" => 13,
            b"--src-range" => 14,
            b"--dst-range" => 15,
            b"--mac-source" => 16,
            b"--uid-owner" => 17,
            b"--gid-owner" => 18,
            b"--socket-exists" => 19,
            b"--length" => 20,
            b"--ttl-eq" | b"--ttl-lt" | b"--ttl-gt" | b"--ttl" => 21,
            b"--hl-eq" | b"--hl-lt" | b"--hl-gt" => 22,
            b"--tos" => 23,
            b"--dscp" | b"--dscp-class" => 24,
            b"--mss" => 25,
            b"--pkt-type" => 26,
            b"--comment" => 27,
            _ => return 0,
        };
        1 << at
    }

    /// The bits of everything that an instance takes once.
    pub(super) fn all_once(self) -> u32 {
        match self {
            Self::Tcp | Self::Udp | Self::Sctp => 0b1111,
            Self::Icmp | Self::Icmp6 => 1 << 4,
            Self::State => 1 << 5,
            Self::Conntrack => 0b1111 << 6,
            Self::Addrtype => 0b11 << 10,
            Self::Mark => 1 << 12,
            Self::Connmark => 1 << 13,
            Self::Iprange => 0b11 << 14,
            Self::Mac => 1 << 16,
            Self::Owner => 0b111 << 17,
            Self::Length => 1 << 20,
            Self::Ttl => 0b11 << 21,
            Self::Tos => 1 << 23,
            Self::Dscp => 1 << 24,
            Self::Tcpmss => 1 << 25,
            Self::Pkttype => 1 << 26,
            Self::Comment => 1 << 27,
            Self::Multiport | Self::Set | Self::Policy | Self::Opaque | Self::Foreign => 0,
        }
    }
}
