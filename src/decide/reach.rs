//! In: slices of flows. Out: what may still arrive at a rule, cut and joined in place.
//!
//! A map from the client's address to what the other dimensions may be. A hundred thousand `-s A -j DROP` lines each
//! touch one place of it, where a set value would be rebuilt each time.
//!
//! Invariants: the map starts at 0; a key's value holds until the next key; empty stretches hold [`Node::NONE`].

use std::collections::BTreeMap;
use std::ops::Bound;

use super::space::{Node, Slice, Space};
use crate::model::{Dim, Ranges};

/// Fewer slices than this, or than a part of all stretches, are changed one by one; more in one pass over everything.
const MANY: usize = 16;

/// How many stretches are looked at on either side for the first that holds a flow.
const HULL_LOOKS: usize = 4;

/// Flows that may still arrive.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    map: BTreeMap<u128, Node>,
    /// How many stretches hold each rest, so that a rule for all clients asks each different rest once.
    live: usize,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            map: BTreeMap::from([(0, Node::NONE)]),
            live: 0,
        }
    }
}

impl Reach {
    /// From ascending slices.
    pub(crate) fn from_slices(space: &mut Space, slices: &[Slice]) -> Self {
        if !are_apart(slices) {
            let mut reach = Self::default();
            reach.add_slices(space, slices);
            return reach;
        }
        // In order, so the map is built in one go.
        let mut stretches = Vec::with_capacity(slices.len() * 2 + 1);
        let mut next = Some(0);
        for (low, high, rest) in slices {
            if next.is_some_and(|next| next < *low) {
                stretches.extend(next.map(|next| (next, Node::NONE)));
            }
            stretches.push((*low, *rest));
            next = high.checked_add(1);
        }
        stretches.extend(next.map(|next| (next, Node::NONE)));
        Self::from_stretches(stretches)
    }

    /// From the starts of stretches, ascending from 0.
    fn from_stretches(stretches: Vec<(u128, Node)>) -> Self {
        let live = |(_, rest): &&(u128, Node)| !rest.is_none();
        Self {
            live: stretches.iter().filter(live).count(),
            map: stretches.into_iter().collect(),
        }
    }

    /// From a set.
    pub(crate) fn from_node(space: &mut Space, node: Node) -> Self {
        let slices = space.slices(node, Dim::Source);
        Self::from_slices(space, &slices)
    }

    /// No flow.
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Ends of an interval that holds all clients: the least one, unless it would take long to find.
    pub(crate) fn hull(&self) -> Option<(u128, u128)> {
        let live = |(_, rest): &(&u128, &Node)| !rest.is_none();
        let low = match self.map.iter().take(HULL_LOOKS).find(live) {
            Some((low, _)) => *low,
            None => *self.map.keys().nth(HULL_LOOKS - 1)?,
        };
        let mut end = u128::MAX;
        for (start, rest) in self.map.iter().rev().take(HULL_LOOKS) {
            if !rest.is_none() {
                break;
            }
            end = start.checked_sub(1)?;
        }
        Some((low, end))
    }

    /// As ascending slices.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::with_capacity(self.live);
        let mut keys = self.map.iter().peekable();
        while let Some((low, rest)) = keys.next() {
            let high = keys.peek().map_or(u128::MAX, |(next, _)| **next - 1);
            if !rest.is_none() {
                match slices.last_mut() {
                    Some(last) if last.2 == *rest && last.1.checked_add(1) == Some(*low) => {
                        last.1 = high;
                    }
                    Some(_) | None => slices.push((*low, high, *rest)),
                }
            }
        }
        slices
    }

    /// As a set.
    pub(crate) fn node(&self, space: &mut Space) -> Node {
        let slices = self.slices();
        space.join(Dim::Source, &slices)
    }

    /// Makes sure that a stretch starts at `at`.
    fn cut(&mut self, at: u128) {
        if let Some((_, rest)) = self.map.range(..=at).next_back() {
            let rest = *rest;
            if let std::collections::btree_map::Entry::Vacant(slot) = self.map.entry(at) {
                slot.insert(rest);
                self.live += usize::from(!rest.is_none());
            }
        }
    }

    fn change(&mut self, low: u128, high: u128, mut change: impl FnMut(u128, Node) -> Node) {
        self.cut(low);
        if let Some(after) = high.checked_add(1) {
            self.cut(after);
        }
        let mut gained = 0usize;
        let mut lost = 0usize;
        for (start, rest) in self
            .map
            .range_mut((Bound::Included(low), Bound::Included(high)))
        {
            let new = change(*start, *rest);
            gained += usize::from(rest.is_none() && !new.is_none());
            lost += usize::from(!rest.is_none() && new.is_none());
            *rest = new;
        }
        self.live = (self.live + gained).saturating_sub(lost);
    }

    fn is_worth_a_pass(&self, slices: &[Slice]) -> bool {
        slices.len() >= MANY && slices.len() >= self.map.len() / MANY && are_apart(slices)
    }

    /// Changes what lies in ascending slices, in one pass over both; neighbours that become equal are one stretch.
    fn pass(&mut self, slices: &[Slice], mut change: impl FnMut(Node, Node) -> Node) {
        let mut stretches: Vec<(u128, Node)> =
            Vec::with_capacity(self.map.len() + slices.len() * 2);
        let mut push = |start: u128, rest: Node| match stretches.last() {
            Some((_, last)) if *last == rest => {}
            Some(_) | None => stretches.push((start, rest)),
        };
        let mut slices = slices.iter().copied().peekable();
        let mut keys = std::mem::take(&mut self.map).into_iter().peekable();
        while let Some((start, old)) = keys.next() {
            let end = keys.peek().map_or(u128::MAX, |(next, _)| *next - 1);
            let mut at = Some(start);
            while let Some((from, (low, high, rest))) = at.zip(slices.peek().copied()) {
                if low > end {
                    break;
                }
                if from < low {
                    push(from, old);
                }
                push(from.max(low), change(old, rest));
                at = high.min(end).checked_add(1).filter(|next| *next <= end);
                if high > end {
                    break;
                }
                slices.next();
            }
            if let Some(from) = at {
                push(from, old);
            }
        }
        *self = Self::from_stretches(stretches);
    }

    /// Adds flows.
    pub(crate) fn add(&mut self, space: &mut Space, low: u128, high: u128, rest: Node) {
        if !rest.is_none() {
            self.change(low, high, |_, old| space.or(old, rest));
        }
    }

    /// Adds slices.
    pub(crate) fn add_slices(&mut self, space: &mut Space, slices: &[Slice]) {
        if self.is_empty() && are_apart(slices) {
            *self = Self::from_slices(space, slices);
            return;
        }
        if self.is_worth_a_pass(slices) {
            self.pass(slices, |old, rest| space.or(old, rest));
            return;
        }
        for (low, high, rest) in slices {
            self.add(space, *low, *high, *rest);
        }
    }

    /// Adds another reach.
    pub(crate) fn add_reach(&mut self, space: &mut Space, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else {
            self.add_slices(space, &other.slices());
        }
    }

    /// The flows with a client in `clients` and the rest in `rest`, without removing them. Cheap when there are none.
    pub(crate) fn peek(&self, space: &mut Space, clients: &Ranges, rest: Node) -> Vec<Slice> {
        let mut found = Vec::new();
        if self.is_empty() || rest.is_none() {
            return found;
        }
        for range in clients.ranges() {
            let from = self
                .map
                .range(..=range.low())
                .next_back()
                .map_or(0, |(start, _)| *start);
            let mut stretches = self.map.range(from..=range.high()).peekable();
            while let Some((start, old)) = stretches.next() {
                space.steps += 1;
                if old.is_none() {
                    continue;
                }
                let taken = space.and(*old, rest);
                if !taken.is_none() {
                    let end = match stretches.peek() {
                        Some((next, _)) => **next - 1,
                        None => self
                            .map
                            .range((Bound::Excluded(*start), Bound::Unbounded))
                            .next()
                            .map_or(u128::MAX, |(next, _)| *next - 1),
                    };
                    found.push(((*start).max(range.low()), end.min(range.high()), taken));
                }
            }
        }
        found
    }

    /// Removes slices that [`Reach::peek`] found.
    pub(crate) fn remove(&mut self, space: &mut Space, slices: &[Slice]) {
        if self.is_worth_a_pass(slices) {
            self.pass(slices, |old, rest| space.minus(old, rest));
            return;
        }
        for (low, high, rest) in slices {
            self.change(*low, *high, |_, old| space.minus(old, *rest));
        }
        if self.live == 0 && self.map.len() > 1 {
            *self = Self::default();
        }
    }
}

/// Whether slices ascend and do not overlap.
fn are_apart(slices: &[Slice]) -> bool {
    let apart = |pair: &[Slice]| matches!(pair, [before, after] if before.1 < after.0);
    slices.windows(2).all(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_gives_what_slices_one_by_one_give() {
        let mut space = Space::default();
        let protocols: Vec<Node> = [6u128, 17, 1]
            .into_iter()
            .map(|at| space.cube(vec![(Dim::Protocol, Ranges::one(at))]))
            .collect();
        let slices = |step: u128, width: u128, from: usize, end: u128| -> Vec<Slice> {
            let rests = protocols.iter().cycle().skip(from);
            let lows = (0..40u128).map(|at| at * step);
            let mut slices: Vec<Slice> = lows
                .zip(rests)
                .map(|(low, rest)| (low, low + width, *rest))
                .collect();
            slices.last_mut().unwrap().1 = end;
            slices
        };
        for (old, new) in [
            (slices(10, 5, 0, 400), slices(7, 6, 1, 300)),
            (slices(7, 6, 0, u128::MAX), slices(10, 2, 0, u128::MAX)),
            (slices(3, 1, 2, 500), slices(11, 10, 2, 2000)),
        ] {
            for removes in [false, true] {
                let mut whole = Reach::from_slices(&mut space, &old);
                let mut single = whole.clone();
                assert!(whole.is_worth_a_pass(&new));
                if removes {
                    whole.remove(&mut space, &new);
                } else {
                    whole.add_slices(&mut space, &new);
                }
                for slice in &new {
                    if removes {
                        single.remove(&mut space, &[*slice]);
                    } else {
                        single.add_slices(&mut space, &[*slice]);
                    }
                }
                assert_eq!(whole.slices(), single.slices());
                assert_eq!(whole.is_empty(), single.is_empty());
            }
        }
    }

    #[test]
    fn a_hull_holds_every_client() {
        let mut space = Space::default();
        let all = space.cube(vec![(Dim::Source, Ranges::between(10, 40))]);
        let mut reach = Reach::from_node(&mut space, all);
        assert_eq!(reach.hull(), Some((10, 40)));
        for gone in 10..20 {
            let found = reach.peek(&mut space, &Ranges::one(gone), Node::ALL);
            reach.remove(&mut space, &found);
            let (low, high) = reach.hull().unwrap();
            assert!(low <= gone + 1 && high == 40);
        }
        let found = reach.peek(&mut space, &Ranges::between(30, 40), Node::ALL);
        reach.remove(&mut space, &found);
        assert_eq!(reach.hull().unwrap().1, 29);
    }

    #[test]
    fn removing_what_was_found_leaves_the_difference() {
        let mut space = Space::default();
        let udp = space.cube(vec![(Dim::Protocol, Ranges::one(17))]);
        let all = space.cube(vec![(Dim::Source, Ranges::between(10, 20))]);
        let mut reach = Reach::from_node(&mut space, all);
        let found = reach.peek(&mut space, &Ranges::between(0, 12), udp);
        assert_eq!(found, vec![(10, 12, udp)]);
        reach.remove(&mut space, &found);
        let taken = space.join(Dim::Source, &found);
        let expected = space.minus(all, taken);
        assert_eq!(reach.node(&mut space), expected);
        let rest = reach.slices();
        reach.remove(&mut space, &rest);
        assert!(reach.is_empty());
        assert_eq!(reach.node(&mut space), Node::NONE);
    }
}
