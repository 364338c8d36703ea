//! In: rules as they are written. Out: the same rules as one place of the packet's way sees them.
//!
//! A chain may be walked where a packet has no incoming interface, no owner, no Ethernet header; there the kernel decides
//! such tests without the packet. A chain without such tests is the same everywhere and is shared.

use rustc_hash::FxHashMap;

use crate::model::{
    Dim, Guard, Range, Ranges, Rewrite, Rule, Step, Test, TextId, TextSet, Unknown, UnknownId,
    UnknownKind, Value, address,
};
use std::net::{IpAddr, Ipv4Addr};

/// What a test may ask that not every place can answer: bits.
pub(super) type Sees = u8;
pub(super) const IN: Sees = 1;
pub(super) const OUT: Sees = 2;
pub(super) const OWNER: Sees = 4;
pub(super) const MAC: Sees = 8;
pub(super) const TTL: Sees = 16;
/// Unknowns that mean another thing for a reply or after a translation.
pub(super) const FACT: Sees = 32;
/// REDIRECT, which goes to 127.0.0.1 for the gate's own packets, and NOTRACK, which packets that come back ignore.
pub(super) const OWN: Sees = 64;

/// A property of the packet at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Presence {
    /// As the flow says.
    #[default]
    Asked,
    /// The packet has none: the kernel compares with nothing.
    Absent,
    /// The loopback interface.
    Loopback,
    /// There is one that the flow does not tell.
    Unknown,
}

/// A place of the packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Context {
    pub(super) input: Presence,
    pub(super) output: Presence,
    pub(super) owner: Presence,
    pub(super) mac: Presence,
    /// The kernel has already counted down the time to live.
    pub(super) forwarded: bool,
    /// Tells apart places where the same words ask about other addresses.
    pub(super) tag: u8,
    /// The packet was made on this machine.
    pub(super) own: bool,
    /// The packet has come back by the loopback interface.
    pub(super) looped: bool,
}

impl Context {
    /// Without what a chain does not ask.
    pub(super) fn for_chain(self, sees: Sees) -> Self {
        let keep = |bit: Sees, presence| {
            if sees & bit == 0 {
                Presence::Asked
            } else {
                presence
            }
        };
        Self {
            input: keep(IN, self.input),
            output: keep(OUT, self.output),
            owner: keep(OWNER, self.owner),
            mac: keep(MAC, self.mac),
            forwarded: self.forwarded && sees & TTL != 0,
            tag: if sees & FACT == 0 { 0 } else { self.tag },
            own: self.own && sees & OWN != 0,
            looped: self.looped && sees & OWN != 0,
        }
    }
}

/// What a rule asks.
pub(super) fn sees(rule: &Rule, unknowns: &[Unknown]) -> Sees {
    guard_sees(&rule.guard, unknowns) | step_sees(&rule.step)
}

fn guard_sees(guard: &Guard, unknowns: &[Unknown]) -> Sees {
    match guard {
        Guard::Always => 0,
        Guard::All(all) | Guard::AnyOf(all) => all
            .iter()
            .fold(0, |sees, guard| sees | guard_sees(guard, unknowns)),
        Guard::Not(inner) => guard_sees(inner, unknowns),
        Guard::Unknown(id) => {
            let stable = unknowns
                .get(id.0 as usize)
                .is_some_and(|unknown| unknown.identity.is_some());
            if stable { FACT } else { 0 }
        }
        Guard::Is(test) => match test {
            Test::Text(Dim::InInterface, _) => IN,
            Test::Text(Dim::OutInterface, _) => OUT,
            Test::In(Dim::Owner, _) => OWNER,
            Test::In(Dim::Mac, _) => MAC,
            Test::In(Dim::Ttl, _) => TTL,
            Test::In(..)
            | Test::Text(..)
            | Test::Mark(..)
            | Test::AnyAddress(_)
            | Test::Local(_)
            | Test::Translated(_) => 0,
        },
    }
}

fn step_sees(step: &Step) -> Sees {
    match step {
        Step::Rewrite(rewrite) => rewrite_sees(rewrite),
        Step::RewriteAndAllow(rewrites) => rewrites
            .iter()
            .fold(0, |sees, one| sees | rewrite_sees(one)),
        Step::Decide(_)
        | Step::Call(_)
        | Step::Goto(_)
        | Step::Return
        | Step::Continue
        | Step::Obscure(_) => 0,
    }
}

fn rewrite_sees(rewrite: &Rewrite) -> Sees {
    match rewrite {
        Rewrite::Set(Dim::Ttl, _) => TTL,
        Rewrite::Translate(Dim::Destination, Value::Own(_)) | Rewrite::Notrack => OWN,
        Rewrite::Set(..)
        | Rewrite::Translate(..)
        | Rewrite::ApplyBinding(_)
        | Rewrite::Mark(..)
        | Rewrite::MarkUnknown(..)
        | Rewrite::SaveMark(_)
        | Rewrite::RestoreMark(_)
        | Rewrite::Track => 0,
    }
}

/// Rewrites rules for a place.
#[derive(Debug)]
pub(super) struct Specialise<'t> {
    pub(super) context: Context,
    pub(super) texts: &'t [TextSet],
    pub(super) v6: bool,
    /// Grows by the unknowns of this place.
    pub(super) unknowns: &'t mut Vec<Unknown>,
    /// Unknowns that were already made for a tag.
    pub(super) tagged: &'t mut FxHashMap<(u8, UnknownId), UnknownId>,
}

impl Specialise<'_> {
    pub(super) fn guard(&mut self, guard: &Guard) -> Guard {
        match guard {
            Guard::Always => Guard::Always,
            Guard::All(all) => Guard::All(all.iter().map(|one| self.guard(one)).collect()),
            Guard::AnyOf(any) => Guard::AnyOf(any.iter().map(|one| self.guard(one)).collect()),
            Guard::Not(inner) => {
                // xt_mac.c: without an Ethernet header the match fails before `!` is looked at.
                if let Guard::Is(Test::In(Dim::Mac, _)) = **inner
                    && self.context.mac == Presence::Absent
                {
                    return Guard::AnyOf(Vec::new());
                }
                self.guard(inner).negated()
            }
            Guard::Unknown(id) => Guard::Unknown(self.unknown(*id)),
            Guard::Is(test) => self.test(test),
        }
    }

    fn unknown(&mut self, id: UnknownId) -> UnknownId {
        let tag = self.context.tag;
        if tag == 0 {
            return id;
        }
        if let Some(known) = self.tagged.get(&(tag, id)) {
            return *known;
        }
        let Some(unknown) = self.unknowns.get(id.0 as usize) else {
            return id;
        };
        let Some(identity) = &unknown.identity else {
            return id;
        };
        let copy = Unknown {
            identity: Some(format!("{tag}/{identity}")),
            ..unknown.clone()
        };
        let new = UnknownId(u32::try_from(self.unknowns.len()).unwrap_or(u32::MAX));
        self.unknowns.push(copy);
        self.tagged.insert((tag, id), new);
        new
    }

    /// An unknown that the place itself brings.
    fn missing(&mut self, code: &'static str, text: &str, identity: String) -> Guard {
        self.unknowns.push(Unknown {
            kind: UnknownKind::Fact,
            code,
            text: text.to_owned(),
            identity: Some(identity),
            span: None,
        });
        Guard::Unknown(UnknownId(
            u32::try_from(self.unknowns.len() - 1).unwrap_or(u32::MAX),
        ))
    }

    fn test(&mut self, test: &Test) -> Guard {
        let same = || Guard::Is(test.clone());
        match test {
            Test::Text(Dim::InInterface, id) => self.interface(self.context.input, *id, test),
            Test::Text(Dim::OutInterface, id) => self.interface(self.context.output, *id, test),
            Test::In(Dim::Owner, set) => match self.context.owner {
                Presence::Asked => same(),
                // xt_owner.c: without a socket only `!` matches.
                Presence::Absent | Presence::Loopback => never(),
                Presence::Unknown => self.missing(
                    "owner",
                    "knowing which program answers",
                    format!("reply-owner:{set:?}"),
                ),
            },
            Test::In(Dim::Mac, set) => match self.context.mac {
                Presence::Asked => same(),
                Presence::Absent | Presence::Loopback => never(),
                Presence::Unknown => self.missing(
                    "mac",
                    "knowing the next router's MAC address",
                    format!("reply-mac:{set:?}"),
                ),
            },
            Test::In(Dim::Ttl, set) if self.context.forwarded => {
                Guard::number(Dim::Ttl, shifted(set))
            }
            Test::In(..)
            | Test::Text(..)
            | Test::Mark(..)
            | Test::AnyAddress(_)
            | Test::Local(_)
            | Test::Translated(_) => same(),
        }
    }

    fn interface(&self, presence: Presence, id: TextId, test: &Test) -> Guard {
        let name = match presence {
            Presence::Asked | Presence::Unknown => return Guard::Is(test.clone()),
            Presence::Absent => "",
            Presence::Loopback => "lo",
        };
        // ip_tables.c compares with an empty name where there is no interface.
        let holds = self
            .texts
            .get(id.0 as usize)
            .and_then(|set| set.contains(name))
            .unwrap_or(false);
        if holds { Guard::Always } else { never() }
    }

    pub(super) fn step(&mut self, step: &Step) -> Step {
        match step {
            // xt_CT.c: a packet that was seen before is left alone.
            Step::Rewrite(rewrite) if self.context.looped && **rewrite == Rewrite::Notrack => {
                Step::Continue
            }
            Step::Rewrite(rewrite) => Step::Rewrite(Box::new(self.rewrite(rewrite))),
            Step::RewriteAndAllow(rewrites) => {
                Step::RewriteAndAllow(rewrites.iter().map(|one| self.rewrite(one)).collect())
            }
            other @ (Step::Decide(_)
            | Step::Call(_)
            | Step::Goto(_)
            | Step::Return
            | Step::Continue
            | Step::Obscure(_)) => other.clone(),
        }
    }

    fn rewrite(&self, rewrite: &Rewrite) -> Rewrite {
        match rewrite {
            // The dimension holds the time to live as it was before this machine counted it down.
            Rewrite::Set(Dim::Ttl, Value::Const(value)) if self.context.forwarded => {
                Rewrite::Set(Dim::Ttl, Value::Const(value + 1))
            }
            // nf_nat_redirect.c: the gate's own packets go to the loopback address.
            Rewrite::Translate(Dim::Destination, Value::Own(_)) if self.context.own => {
                let loopback = if self.v6 {
                    1
                } else {
                    address(IpAddr::V4(Ipv4Addr::LOCALHOST))
                };
                Rewrite::Translate(Dim::Destination, Value::Const(loopback))
            }
            other @ (Rewrite::Set(..)
            | Rewrite::Translate(..)
            | Rewrite::ApplyBinding(_)
            | Rewrite::Mark(..)
            | Rewrite::MarkUnknown(..)
            | Rewrite::SaveMark(_)
            | Rewrite::RestoreMark(_)
            | Rewrite::Notrack
            | Rewrite::Track) => other.clone(),
        }
    }
}

fn never() -> Guard {
    Guard::AnyOf(Vec::new())
}

/// The same set one higher.
fn shifted(set: &Ranges) -> Ranges {
    Ranges::from_unsorted(
        set.ranges()
            .iter()
            .filter_map(|range| {
                Range::new(
                    range.low().saturating_add(1),
                    range.high().saturating_add(1),
                )
            })
            .collect(),
    )
}
