//! In: rewrites and turns of a conversation. Out: what each dimension of the packet is by now, in terms of the flow as it
//! was sent.
//!
//! Sets of flows always speak of the flow as sent; a test on the packet is pulled back through its environment. So
//! provenance and messages need no translation.
//!
//! Invariants: a dimension without an entry is as sent; equal environments are equal values, so that their flows merge.

use super::{Arrival, End, Final, Packet};
use crate::model::{Dim, MarkName, NatSide, Ranges, Rewrite, State, UnknownId, Value};

/// What a dimension of the packet is by now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Current {
    /// The value that was sent in a dimension: its own, or the other side's in a reply.
    Of(Dim),
    /// This value.
    Const(u128),
    /// Every one of these occurs; the dimension says which in a set of flows.
    Every(Dim, Ranges),
    /// One of these, not known which.
    OneOf(Ranges),
    /// High bits of `base`, low bits of what was sent.
    Prefix { of: Dim, base: u128, host_bits: u8 },
    /// One of the gate's own addresses.
    Own(UnknownId),
    /// Not known.
    Unknown(UnknownId),
}

/// A packet or connection mark, bit by bit known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Mark {
    pub(crate) value: u32,
    pub(crate) unknown: u32,
    pub(crate) by: Option<UnknownId>,
}

/// The state that connection tracking gives this packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tracked {
    Is(State),
    /// The other direction was exempt, so the packet is new or invalid.
    Unclear,
}

/// A packet on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Env {
    /// Which packet of the conversation.
    pub(crate) packet: Packet,
    /// Dimensions that are not as sent, sorted.
    values: Vec<(Dim, Current)>,
    pub(crate) mark: Mark,
    pub(crate) connection_mark: Mark,
    tracked: Tracked,
    exempt: bool,
    any_exempt: bool,
    /// What NAT bound at the request, for the dimensions that it changed.
    bound: Vec<(Dim, Current)>,
    /// Where the request ended up.
    pub(crate) arrived: Option<(Arrival, End)>,
}

impl Env {
    /// The first packet, as sent.
    pub(crate) fn first(mark: u32) -> Self {
        Self {
            packet: Packet::Request,
            values: Vec::new(),
            mark: Mark {
                value: mark,
                ..Mark::default()
            },
            connection_mark: Mark::default(),
            tracked: Tracked::Is(State::New),
            exempt: false,
            any_exempt: false,
            bound: Vec::new(),
            arrived: None,
        }
    }

    /// A packet of a connection that was opened before, as sent.
    pub(crate) fn established(mark: u32) -> Self {
        Self {
            packet: Packet::Reply,
            tracked: Tracked::Is(State::Established),
            ..Self::first(mark)
        }
    }

    /// What a dimension is by now.
    pub(crate) fn get(&self, dim: Dim) -> Current {
        match self.values.binary_search_by_key(&dim, |(dim, _)| *dim) {
            Ok(at) => self
                .values
                .get(at)
                .map_or(Current::Of(dim), |(_, current)| current.clone()),
            Err(_) => Current::Of(dim),
        }
    }

    /// What the packet's ends and interfaces are by now, where that is certain: two packets with the same are the same
    /// to a test that looks at them.
    pub(crate) fn ends(&self) -> Option<Vec<(Dim, Current)>> {
        self.values
            .iter()
            .filter(|(dim, _)| {
                matches!(
                    dim,
                    Dim::Source
                        | Dim::Destination
                        | Dim::Protocol
                        | Dim::SourcePort
                        | Dim::DestinationPort
                        | Dim::InInterface
                        | Dim::OutInterface
                )
            })
            .map(|(dim, current)| match current {
                Current::Of(_) | Current::Const(_) | Current::Prefix { .. } => {
                    Some((*dim, current.clone()))
                }
                Current::Every(..) | Current::OneOf(_) | Current::Own(_) | Current::Unknown(_) => {
                    None
                }
            })
            .collect()
    }

    fn set(&mut self, dim: Dim, current: Current) {
        match self.values.binary_search_by_key(&dim, |(dim, _)| *dim) {
            Ok(at) if current == Current::Of(dim) => {
                self.values.remove(at);
            }
            Ok(at) => {
                if let Some(slot) = self.values.get_mut(at) {
                    slot.1 = current;
                }
            }
            Err(_) if current == Current::Of(dim) => {}
            Err(at) => self.values.insert(at, (dim, current)),
        }
    }

    /// The packet after a rewrite.
    pub(crate) fn rewritten(&self, rewrite: &Rewrite) -> Self {
        let mut env = self.clone();
        match rewrite {
            Rewrite::Set(dim, value) => {
                let current = env.valued(*dim, value);
                env.set(*dim, current);
            }
            Rewrite::Translate(dim, value) => {
                let current = env.valued(*dim, value);
                env.set(*dim, current.clone());
                env.bound.retain(|(bound, _)| bound != dim);
                env.bound.push((*dim, current));
                env.bound.sort_unstable_by_key(|(dim, _)| *dim);
            }
            Rewrite::ApplyBinding(side) => env.apply_binding(*side),
            Rewrite::Mark(name, value, mask) => {
                let mark = env.mark_mut(*name);
                mark.value = (mark.value & !mask) ^ value;
                // Bits inside the mask are known again; bits outside that are unknown stay so, flipped or not.
                mark.unknown &= !mask;
            }
            Rewrite::MarkUnknown(name, mask, unknown) => {
                let mark = env.mark_mut(*name);
                mark.unknown |= mask;
                mark.value &= !mask;
                mark.by = Some(*unknown);
            }
            Rewrite::SaveMark(mask) => {
                env.connection_mark = env.connection_mark.copied(env.mark, *mask);
            }
            Rewrite::RestoreMark(mask) => env.mark = env.mark.copied(env.connection_mark, *mask),
            Rewrite::Notrack => {
                env.exempt = true;
                env.any_exempt = true;
                env.set(Dim::State, Current::Const(State::Untracked as u128));
            }
            Rewrite::Track => {
                let state = match (env.exempt, env.tracked) {
                    (true, _) => Current::Const(State::Untracked as u128),
                    (false, Tracked::Is(state)) => Current::Const(state as u128),
                    (false, Tracked::Unclear) => Current::OneOf(Ranges::between(
                        State::Invalid as u128,
                        State::Established as u128,
                    )),
                };
                env.set(Dim::State, state);
            }
        }
        env
    }

    fn mark_mut(&mut self, name: MarkName) -> &mut Mark {
        match name {
            MarkName::Packet => &mut self.mark,
            MarkName::Connection => &mut self.connection_mark,
        }
    }

    fn valued(&self, dim: Dim, value: &Value) -> Current {
        match value {
            Value::Const(value) => Current::Const(*value),
            Value::OneOf(set) => set
                .single()
                .map_or_else(|| Current::OneOf(set.clone()), Current::Const),
            Value::Prefix { base, host_bits } => match self.get(dim) {
                Current::Of(of) => Current::Prefix {
                    of,
                    base: *base,
                    host_bits: *host_bits,
                },
                Current::Const(value) => {
                    let low = value & low_bits(*host_bits);
                    Current::Const(base | low)
                }
                Current::Prefix {
                    of,
                    host_bits: narrower,
                    ..
                } if *host_bits <= narrower => Current::Prefix {
                    of,
                    base: *base,
                    host_bits: *host_bits,
                },
                Current::Every(..) | Current::OneOf(_) | Current::Prefix { .. } => {
                    Current::OneOf(Ranges::between(*base, base | low_bits(*host_bits)))
                }
                unknown @ (Current::Own(_) | Current::Unknown(_)) => unknown,
            },
            Value::Own(unknown) => Current::Own(*unknown),
            Value::Unknown(unknown) => Current::Unknown(*unknown),
        }
    }

    fn bound(&self, dim: Dim) -> Option<&Current> {
        self.bound
            .iter()
            .find(|(bound, _)| *bound == dim)
            .map(|(_, current)| current)
    }

    fn apply_binding(&mut self, side: NatSide) {
        if self.exempt {
            return;
        }
        let pairs = match (self.packet, side) {
            (Packet::Request, _) => return,
            (Packet::Again, NatSide::Destination) => {
                [Dim::Destination, Dim::DestinationPort].map(|dim| (dim, dim))
            }
            (Packet::Again, NatSide::Source) => {
                [Dim::Source, Dim::SourcePort].map(|dim| (dim, dim))
            }
            // A reply's destination is the request's source, so undoing SNAT changes the destination.
            (Packet::Reply, NatSide::Source) => [
                (Dim::Source, Dim::Destination),
                (Dim::SourcePort, Dim::DestinationPort),
            ],
            (Packet::Reply, NatSide::Destination) => [
                (Dim::Destination, Dim::Source),
                (Dim::DestinationPort, Dim::SourcePort),
            ],
        };
        for (bound, changed) in pairs {
            let Some(current) = self.bound(bound).cloned() else {
                continue;
            };
            let new = if self.packet == Packet::Again {
                current
            } else {
                Current::Of(bound)
            };
            self.set(changed, new);
        }
    }

    /// Whether NAT bound an end of the connection.
    pub(crate) fn is_translated(&self, side: NatSide) -> bool {
        let dims = match side {
            NatSide::Source => [Dim::Source, Dim::SourcePort],
            NatSide::Destination => [Dim::Destination, Dim::DestinationPort],
        };
        dims.into_iter().any(|dim| self.bound(dim).is_some())
    }

    /// The packet's addresses as they are by now.
    pub(crate) fn end(&self) -> End {
        let end = |dim: Dim| match self.get(dim) {
            Current::Of(of) if of == dim => Final::AsSent,
            Current::Const(value) => Final::Is(value),
            Current::Of(_)
            | Current::Every(..)
            | Current::OneOf(_)
            | Current::Prefix { .. }
            | Current::Own(_)
            | Current::Unknown(_) => Final::Unknown,
        };
        End {
            source: end(Dim::Source),
            source_port: end(Dim::SourcePort),
            destination: end(Dim::Destination),
            destination_port: end(Dim::DestinationPort),
        }
    }

    /// The reply to this request, as it enters the gate.
    pub(crate) fn reply(&self, arrival: Arrival) -> Self {
        let mut reply = Self {
            packet: Packet::Reply,
            values: Vec::new(),
            mark: Mark::default(),
            connection_mark: self.connection_mark,
            // An exempt request made no connection, so its reply belongs to none.
            tracked: if self.exempt {
                Tracked::Unclear
            } else {
                Tracked::Is(State::Established)
            },
            exempt: false,
            any_exempt: self.any_exempt,
            bound: if self.exempt {
                Vec::new()
            } else {
                self.bound.clone()
            },
            arrived: Some((arrival, self.end())),
        };
        for (to, from) in [
            (Dim::Source, Dim::Destination),
            (Dim::Destination, Dim::Source),
            (Dim::SourcePort, Dim::DestinationPort),
            (Dim::DestinationPort, Dim::SourcePort),
            (Dim::InInterface, Dim::OutInterface),
            (Dim::OutInterface, Dim::InInterface),
        ] {
            reply.set(to, self.get(from));
        }
        let syn_ack = crate::model::Flags::SYN | crate::model::Flags::ACK;
        reply.set(Dim::TcpFlags, Current::Const(u128::from(syn_ack)));
        for (dim, every, low, high) in [
            (Dim::Length, Dim::ReplyLength, 40, 1500),
            (Dim::Ttl, Dim::ReplyTtl, 32, 255),
            (Dim::Mss, Dim::ReplyMss, 536, 9000),
        ] {
            reply.set(dim, Current::Every(every, Ranges::between(low, high)));
        }
        reply.set(Dim::Tos, Current::OneOf(Ranges::between(0, 255)));
        reply.set(Dim::Mac, Current::OneOf(Ranges::between(0, (1 << 48) - 1)));
        reply
    }

    /// The client's next packet after this reply; its socket marks it as the first.
    pub(crate) fn again(&self, mark: u32) -> Self {
        let mut again = Self::first(mark);
        again.packet = Packet::Again;
        again.connection_mark = self.connection_mark;
        again.bound.clone_from(&self.bound);
        again.arrived.clone_from(&self.arrived);
        again.any_exempt = self.any_exempt;
        again.tracked = if self.any_exempt {
            Tracked::Unclear
        } else {
            Tracked::Is(State::Established)
        };
        let (ack, push) = (
            u128::from(crate::model::Flags::ACK),
            u128::from(crate::model::Flags::PSH),
        );
        again.set(
            Dim::TcpFlags,
            Current::Every(Dim::NextFlags, [ack, ack | push].into_iter().collect()),
        );
        let lengths = Ranges::between(40, 1500);
        again.set(Dim::Length, Current::Every(Dim::NextLength, lengths));
        again
    }

    /// How many dimensions NAT bound, for tests.
    #[cfg(test)]
    pub(crate) fn bindings(&self) -> usize {
        self.bound.len()
    }
}

impl Mark {
    /// This mark with the bits under the mask taken from another.
    fn copied(self, other: Self, mask: u32) -> Self {
        Self {
            value: (self.value & !mask) | (other.value & mask),
            unknown: (self.unknown & !mask) | (other.unknown & mask),
            by: other.by.or(self.by),
        }
    }

    /// `(mark & mask) == value`, where it is known.
    pub(crate) fn matches(self, value: u32, mask: u32) -> Option<bool> {
        let known = mask & !self.unknown;
        if (self.value & known) != (value & known) || value & !mask != 0 {
            return Some(false);
        }
        (mask & self.unknown == 0).then_some(true)
    }
}

/// The lowest `bits` bits set.
pub(crate) fn low_bits(bits: u8) -> u128 {
    if bits >= 128 {
        u128::MAX
    } else {
        (1u128 << bits) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_undoes_nat_where_the_binding_is_applied() {
        let request = Env::first(0).rewritten(&Rewrite::Translate(Dim::Source, Value::Const(7)));
        assert_eq!(request.bindings(), 1);
        let reply = request.reply(Arrival::AsAsked);
        assert_eq!(reply.get(Dim::Destination), Current::Const(7));
        assert_eq!(reply.get(Dim::Source), Current::Of(Dim::Destination));
        let undone = reply.rewritten(&Rewrite::ApplyBinding(NatSide::Source));
        assert_eq!(undone.get(Dim::Destination), Current::Of(Dim::Source));
        let again = undone.again(0);
        assert_eq!(again.get(Dim::Source), Current::Of(Dim::Source));
        let bound = again.rewritten(&Rewrite::ApplyBinding(NatSide::Source));
        assert_eq!(bound.get(Dim::Source), Current::Const(7));
    }

    #[test]
    fn marks_follow_the_kernel_formula() {
        let env = Env::first(0b0110).rewritten(&Rewrite::Mark(MarkName::Packet, 0b1001, 0b0011));
        assert_eq!(env.mark.value, 0b1101);
        assert_eq!(env.mark.matches(0b1100, 0b1110), Some(true));
        assert_eq!(env.mark.matches(0b0001, 0b0001), Some(true));
        assert_eq!(env.mark.matches(0b0000, 0b0001), Some(false));
    }
}
