//! In: which stable unknowns a gate meets more than once. Out: Boolean dimensions for them, so that `deny !auth` and a
//! later `allow auth` agree with each other.
//!
//! A truth is stable for the same packet: the same set looked up for a reply, or behind NAT, is another truth.
//!
//! Invariants: in a set of flows, an atom is false at 0 and true everywhere else; so every value of an atom is asked for
//! without the question saying so.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::env::{Current, Env};
use crate::model::{Chain, ChainId, Dim, Gate, Guard, Ranges, Step, UnknownId, UnknownKind};

/// How often the gate can meet an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// At most once on any way.
    Once,
    /// One rule, on several ways.
    Again,
    /// Several rules.
    Often,
}

/// What stands for something that a verdict quantifies away.
#[derive(Debug, Clone)]
pub(crate) struct Inner {
    pub(crate) dim: Dim,
    pub(crate) kind: UnknownKind,
    pub(crate) unknown: UnknownId,
}

/// An identity, the packet's ends that it was met with, and the atom.
type Taken = (String, Vec<(Dim, Current)>, Dim);

/// The atoms of one question.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    meets: FxHashMap<String, Meets>,
    taken: Vec<Taken>,
    /// Atoms that identities named by several rules still wait for.
    reserved: usize,
    inner: Vec<Inner>,
}

impl Atoms {
    /// Looks through a gate.
    pub(crate) fn of(gate: &Gate) -> Self {
        let mut meets: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        if gate
            .unknowns
            .iter()
            .all(|unknown| unknown.identity.is_none())
        {
            return Self::default();
        }
        let ways = ways(gate);
        let mut see = |guard: &Guard, ways: u32| {
            super::for_each_leaf(guard, &mut |leaf| {
                if let Guard::Unknown(id) = leaf
                    && let Some(unknown) = gate.unknowns.get(id.0 as usize)
                    && let Some(identity) = &unknown.identity
                    && ways > 0
                {
                    let (rules, times) = meets.entry(identity).or_insert((0, 0));
                    *rules = rules.saturating_add(1);
                    *times = times.saturating_add(ways);
                }
            });
        };
        for (chain, ways) in gate.chains.iter().zip(&ways) {
            chain.rules.iter().for_each(|rule| see(&rule.guard, *ways));
        }
        let edges = gate.stages.iter().flat_map(|stage| &stage.edges);
        edges.for_each(|edge| see(&edge.guard, 1));
        let meets = meets.into_iter().map(|(identity, (rules, times))| {
            let meets = match (rules, times) {
                (2.., _) => Meets::Often,
                (_, 2..) => Meets::Again,
                (_, _) => Meets::Once,
            };
            (identity.to_owned(), meets)
        });
        Self {
            meets: meets.collect(),
            ..Self::default()
        }
        .fresh()
    }

    /// For the next question.
    pub(crate) fn fresh(self) -> Self {
        let often = self.meets.values().filter(|meets| **meets == Meets::Often);
        let reserved = often.count();
        Self {
            meets: self.meets,
            reserved,
            ..Self::default()
        }
    }

    /// Whether an identity is met at most once on any way, so that its truth is as good as independent.
    pub(crate) fn is_met_once(&self, identity: &str) -> bool {
        self.meets.get(identity) == Some(&Meets::Once)
    }

    /// The atom of an identity that is met more than once, for a packet; nothing where there is none left.
    pub(crate) fn atom(
        &mut self,
        identity: &str,
        kind: UnknownKind,
        unknown: UnknownId,
        env: &Env,
    ) -> Option<Dim> {
        let meets = *self.meets.get(identity)?;
        if meets == Meets::Once {
            return None;
        }
        let ends = env.ends()?;
        let named = |taken: &&Taken| taken.0 == identity;
        if let Some((_, _, dim)) = self
            .taken
            .iter()
            .filter(named)
            .find(|taken| taken.1 == ends)
        {
            return Some(*dim);
        }
        let waits = meets == Meets::Often && !self.taken.iter().any(|taken| named(&taken));
        let left = Dim::ATOMS.len().saturating_sub(self.taken.len());
        if !waits && left <= self.reserved {
            return None;
        }
        let dim = *Dim::ATOMS.get(self.taken.len())?;
        self.reserved = self.reserved.saturating_sub(usize::from(waits));
        // Rewritten ends may still be the same ones, and then the truth is the same: that is not left to chance.
        let is_first = !self.taken.iter().any(|taken| named(&taken));
        let kind = if is_first { kind } else { UnknownKind::Fact };
        self.taken.push((identity.to_owned(), ends, dim));
        self.inner.push(Inner { dim, kind, unknown });
        Some(dim)
    }

    /// Notes that a dimension of which every value occurs was tested.
    pub(crate) fn occurs(&mut self, dim: Dim, unknown: UnknownId) {
        if self.inner.iter().all(|inner| inner.dim != dim) {
            self.inner.push(Inner {
                dim,
                kind: UnknownKind::Varies,
                unknown,
            });
        }
    }

    /// How far it is, for [`Atoms::back_to`].
    pub(crate) fn mark(&self) -> (usize, usize, usize) {
        (self.taken.len(), self.inner.len(), self.reserved)
    }

    /// Forgets what was met since: a rule that is only told of decides nothing.
    pub(crate) fn back_to(&mut self, (taken, inner, reserved): (usize, usize, usize)) {
        self.taken.truncate(taken);
        self.inner.truncate(inner);
        self.reserved = reserved;
    }

    /// What was brought in and has to be quantified away.
    pub(crate) fn inner(&self) -> &[Inner] {
        &self.inner
    }
}

/// An atom's values.
pub(crate) fn truth(holds: bool) -> Ranges {
    if holds {
        Ranges::one(0).complement()
    } else {
        Ranges::one(0)
    }
}

/// A tested set on a dimension of which only some values occur: the others behave as their neighbours, so that no
/// question has to exclude them.
pub(crate) fn widened(set: &Ranges, occurring: &Ranges) -> Ranges {
    let mut low = 0;
    let mut parts = Vec::new();
    let mut ranges = occurring.ranges().iter().peekable();
    while let Some(range) = ranges.next() {
        let high = ranges.peek().map_or(u128::MAX, |next| next.low() - 1);
        let inside = set.intersect(&Ranges::from(*range));
        for part in inside.ranges() {
            let from = if part.low() == range.low() {
                low
            } else {
                part.low()
            };
            let to = if part.high() == range.high() {
                high
            } else {
                part.high()
            };
            parts.extend(crate::model::Range::new(from, to));
        }
        low = high.saturating_add(1);
    }
    Ranges::from_unsorted(parts)
}

/// On how many ways each chain is walked, counted up to two.
fn ways(gate: &Gate) -> Vec<u32> {
    let called = |chain: &Chain| -> Vec<ChainId> {
        let rules = chain.rules.iter();
        rules
            .filter_map(|rule| match rule.step {
                Step::Call(to) | Step::Goto(to) => Some(to),
                Step::Decide(_)
                | Step::Return
                | Step::Continue
                | Step::Rewrite(_)
                | Step::RewriteAndAllow(_)
                | Step::Obscure(_) => None,
            })
            .collect()
    };
    let calls: Vec<Vec<ChainId>> = gate.chains.iter().map(called).collect();
    let mut ways = vec![0u32; gate.chains.len()];
    let mut more: Vec<ChainId> = gate.stages.iter().filter_map(|stage| stage.chain).collect();
    while let Some(id) = more.pop() {
        if let Some(count) = ways.get_mut(id.0 as usize)
            && *count < 2
        {
            *count += 1;
            more.extend(calls.get(id.0 as usize).into_iter().flatten());
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_occur_follow_their_neighbours() {
        let occurring: Ranges = [16u128, 24].into_iter().collect();
        let ack = widened(&Ranges::one(16), &occurring);
        assert_eq!(ack, Ranges::between(0, 23));
        assert_eq!(widened(&Ranges::one(24), &occurring), ack.complement());
        assert_eq!(widened(&Ranges::between(0, 99), &occurring), Ranges::full());
        assert!(widened(&Ranges::one(17), &occurring).is_empty());
        let lengths = Ranges::between(40, 1500);
        let short = widened(&Ranges::between(0, 99), &lengths);
        assert_eq!(short, Ranges::between(0, 99));
        assert_eq!(
            widened(&Ranges::between(100, 9999), &lengths),
            short.complement()
        );
    }
}
