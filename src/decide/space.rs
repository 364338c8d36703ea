//! In: ranges per dimension. Out: exact sets of flows with set algebra.
//!
//! A set is a node of an interval decision diagram: dimensions in one fixed order, at every node the values of one
//! dimension cut into runs, each leading to the set of what the later dimensions may be. Nodes are shared and reduced, so
//! equal sets are equal nodes, emptiness is one comparison, and operations are remembered.
//!
//! Invariants: on every path dimensions ascend; neighbouring runs lead to different nodes; the last run ends at
//! `u128::MAX`.

use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::model::{Dim, Range, Ranges};

/// A set of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node(pub(crate) u32);

impl Node {
    /// No flow.
    pub(crate) const NONE: Self = Self(0);
    /// Every flow.
    pub(crate) const ALL: Self = Self(1);

    /// No flow.
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// A run of values: up to and including `high`.
type Run = (u128, Node);

/// `(low, high, rest)`: the values of a leading dimension from `low` to `high`, and what the others may be.
pub(crate) type Slice = (u128, u128, Node);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Branch {
    dim: u8,
    runs: Rc<[Run]>,
}

impl Hash for Branch {
    /// One word per run: nodes may have very many.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.dim);
        for (high, node) in self.runs.iter() {
            let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
            let high = half(*high) ^ half(*high >> 64).rotate_left(29);
            state.write_u64(high ^ u64::from(node.0).rotate_left(48));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    And,
    Or,
    Minus,
}

/// All nodes of one evaluation.
#[derive(Debug, Default)]
pub(crate) struct Space {
    branches: Vec<Branch>,
    ids: FxHashMap<Branch, Node>,
    memo: FxHashMap<(Op, Node, Node), Node>,
    /// How many steps the operations took: the currency of the budget.
    pub(crate) steps: u64,
    /// What the nodes weigh, in runs: the measure of memory, with the results that are remembered.
    held: usize,
    /// What the question at hand may use; nothing between questions.
    bounds: Option<Bounds>,
    /// The bounds were exceeded: results since then mean nothing.
    pub(crate) exhausted: bool,
}

/// Where a question has to end.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    steps: u64,
    held: usize,
    /// How many nodes there were before it.
    nodes: usize,
}

/// What a question may add, in runs: half a gigabyte.
const HELD: usize = 16 << 20;

/// What a node weighs beside its runs.
const NODE_WEIGHT: usize = 8;

/// A set with so many times the runs of another one is searched, not passed along.
const FEW: usize = 8;

/// The dimension behind a terminal: after all others.
const TERMINAL: u8 = u8::MAX;

impl Space {
    fn branch(&self, node: Node) -> Option<&Branch> {
        self.branches.get((node.0 as usize).checked_sub(2)?)
    }

    fn dim(&self, node: Node) -> u8 {
        self.branch(node).map_or(TERMINAL, |branch| branch.dim)
    }

    /// The runs of a node on a dimension; a node that does not branch there is one run.
    fn runs(&self, node: Node, dim: u8) -> Rc<[Run]> {
        match self.branch(node) {
            Some(branch) if branch.dim == dim => Rc::clone(&branch.runs),
            Some(_) | None => Rc::new([(u128::MAX, node)]),
        }
    }

    fn make(&mut self, dim: u8, runs: Vec<Run>) -> Node {
        self.steps += runs.len() as u64;
        let mut merged: Vec<Run> = Vec::with_capacity(runs.len());
        for run in runs {
            match merged.last_mut() {
                Some(last) if last.1 == run.1 => last.0 = run.0,
                Some(_) | None => merged.push(run),
            }
        }
        if let [(_, only)] = merged.as_slice() {
            return *only;
        }
        let branch = Branch {
            dim,
            runs: merged.into(),
        };
        let runs = branch.runs.len();
        let slot = match self.ids.entry(branch) {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(slot) => slot,
        };
        let node = Node(u32::try_from(self.branches.len() + 2).unwrap_or(u32::MAX));
        self.branches.push(slot.key().clone());
        slot.insert(node);
        self.held += NODE_WEIGHT + runs;
        self.exhausted |= self.bounds.is_some_and(|bounds| {
            self.held + self.memo.len() > bounds.held || self.steps > bounds.steps
        });
        node
    }

    /// The flows whose value of `dim` lies in `set` and whose later dimensions lie in `rest`.
    pub(crate) fn restrict(&mut self, dim: Dim, set: &Ranges, rest: Node) -> Node {
        if rest.is_none() {
            return Node::NONE;
        }
        let mut runs = Vec::with_capacity(set.ranges().len() * 2 + 1);
        for range in set.ranges() {
            if let Some(before) = range.low().checked_sub(1) {
                runs.push((before, Node::NONE));
            }
            runs.push((range.high(), rest));
        }
        if runs.last().is_none_or(|(high, _)| *high != u128::MAX) {
            runs.push((u128::MAX, Node::NONE));
        }
        self.make(dim as u8, runs)
    }

    /// The flows whose dimensions lie in all of these sets; at most one set per dimension, in any order.
    pub(crate) fn cube(&mut self, mut sets: Vec<(Dim, Ranges)>) -> Node {
        sets.sort_by_key(|(dim, _)| std::cmp::Reverse(*dim));
        sets.into_iter()
            .fold(Node::ALL, |rest, (dim, set)| self.restrict(dim, &set, rest))
    }

    /// Flows in both.
    pub(crate) fn and(&mut self, a: Node, b: Node) -> Node {
        match (a, b) {
            (Node::NONE, _) | (_, Node::NONE) => Node::NONE,
            (Node::ALL, other) | (other, Node::ALL) => other,
            (a, b) if a == b => a,
            (a, b) => self.apply(Op::And, a.min(b), a.max(b)),
        }
    }

    /// Flows in either.
    pub(crate) fn or(&mut self, a: Node, b: Node) -> Node {
        match (a, b) {
            (Node::ALL, _) | (_, Node::ALL) => Node::ALL,
            (Node::NONE, other) | (other, Node::NONE) => other,
            (a, b) if a == b => a,
            (a, b) => self.apply(Op::Or, a.min(b), a.max(b)),
        }
    }

    /// Flows of the first that are not in the second.
    pub(crate) fn minus(&mut self, a: Node, b: Node) -> Node {
        match (a, b) {
            (Node::NONE, _) | (_, Node::ALL) => Node::NONE,
            (a, Node::NONE) => a,
            (a, b) if a == b => Node::NONE,
            (a, b) => self.apply(Op::Minus, a, b),
        }
    }

    /// Starts a question that may take so many steps; until [`Space::end`] its nodes can be taken back.
    pub(crate) fn begin(&mut self, steps: u64) {
        self.bounds = Some(Bounds {
            steps: self.steps.saturating_add(steps),
            held: (self.held + self.memo.len()).saturating_add(HELD),
            nodes: self.branches.len(),
        });
        self.exhausted = false;
    }

    /// Ends a question; whether it kept within its bounds. If not, all of its nodes are gone.
    pub(crate) fn end(&mut self) -> bool {
        let bounds = self.bounds.take();
        if let Some(bounds) = bounds.filter(|_| self.exhausted) {
            let gone = self.branches.split_off(bounds.nodes);
            for branch in gone {
                self.held -= NODE_WEIGHT + branch.runs.len();
                self.ids.remove(&branch);
            }
            let lives = |node: Node| (node.0 as usize) < bounds.nodes + 2;
            self.memo
                .retain(|(_, a, b), result| lives(*a) && lives(*b) && lives(*result));
            self.memo.shrink_to_fit();
            self.ids.shrink_to_fit();
            self.branches.shrink_to_fit();
        }
        !std::mem::take(&mut self.exhausted)
    }

    fn apply(&mut self, op: Op, a: Node, b: Node) -> Node {
        if let Some(known) = self.memo.get(&(op, a, b)) {
            return *known;
        }
        if self.exhausted {
            return Node::NONE;
        }
        let dim = self.dim(a).min(self.dim(b));
        let (left, right) = (self.runs(a, dim), self.runs(b, dim));
        let runs = match op {
            Op::And if right.len() / FEW > left.len() => self.over(&left, &right, Self::and),
            Op::And if left.len() / FEW > right.len() => self.over(&right, &left, Self::and),
            Op::Minus if right.len() / FEW > left.len() => self.over(&left, &right, Self::minus),
            Op::And | Op::Or | Op::Minus => self.along(op, &left, &right),
        };
        let node = self.make(dim, runs);
        if !self.exhausted {
            self.memo.insert((op, a, b), node);
        }
        node
    }

    /// An operation that gives nothing where the first set has nothing: only its runs are sought in the other one.
    fn over(
        &mut self,
        few: &[Run],
        many: &[Run],
        mut apply: impl FnMut(&mut Self, Node, Node) -> Node,
    ) -> Vec<Run> {
        let mut runs = Vec::with_capacity(few.len() * 2);
        let mut low = 0;
        for (high, child) in few {
            if child.is_none() {
                runs.push((*high, Node::NONE));
            } else {
                let from = many.partition_point(|(end, _)| *end < low);
                for (end, other) in many.get(from..).unwrap_or_default() {
                    let result = apply(self, *child, *other);
                    runs.push(((*end).min(*high), result));
                    if end >= high {
                        break;
                    }
                }
            }
            low = high.saturating_add(1);
        }
        runs
    }

    fn along(&mut self, op: Op, left: &[Run], right: &[Run]) -> Vec<Run> {
        let mut runs = Vec::with_capacity(left.len() + right.len());
        let mut left = left.iter().copied().peekable();
        let mut right = right.iter().copied().peekable();
        while let (Some((high_a, child_a)), Some((high_b, child_b))) =
            (left.peek().copied(), right.peek().copied())
        {
            let child = match op {
                Op::And => self.and(child_a, child_b),
                Op::Or => self.or(child_a, child_b),
                Op::Minus => self.minus(child_a, child_b),
            };
            let high = high_a.min(high_b);
            runs.push((high, child));
            if high_a == high {
                left.next();
            }
            if high_b == high {
                right.next();
            }
        }
        runs
    }

    /// The set cut into slices of one leading dimension, ascending. Only for sets that do not branch on an earlier
    /// dimension.
    pub(crate) fn slices(&self, node: Node, dim: Dim) -> Vec<Slice> {
        let mut low = 0;
        let mut slices = Vec::new();
        for (high, child) in self.runs(node, dim as u8).iter() {
            if !child.is_none() {
                slices.push((low, *high, *child));
            }
            low = high.saturating_add(1);
        }
        slices
    }

    /// From ascending slices that do not overlap: the inverse of [`Space::slices`].
    pub(crate) fn join(&mut self, dim: Dim, slices: &[Slice]) -> Node {
        let mut runs = Vec::with_capacity(slices.len() * 2 + 1);
        let mut next = Some(0u128);
        for (low, high, child) in slices {
            if let Some(from) = next
                && from < *low
            {
                runs.push((*low - 1, Node::NONE));
            }
            runs.push((*high, *child));
            next = high.checked_add(1);
        }
        if next.is_some() {
            runs.push((u128::MAX, Node::NONE));
        }
        self.make(dim as u8, runs)
    }

    /// Forgets every dimension for which `keeps` is false: what remains is possible for some value of it.
    pub(crate) fn project(&mut self, node: Node, keeps: &dyn Fn(u8) -> bool) -> Node {
        let mut memo = FxHashMap::default();
        self.project_with(node, keeps, &mut memo)
    }

    fn project_with(
        &mut self,
        node: Node,
        keeps: &dyn Fn(u8) -> bool,
        memo: &mut FxHashMap<Node, Node>,
    ) -> Node {
        let Some(branch) = self.branch(node) else {
            return node;
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let (dim, runs) = (branch.dim, Rc::clone(&branch.runs));
        let runs: Vec<Run> = runs
            .iter()
            .map(|(high, child)| (*high, self.project_with(*child, keeps, memo)))
            .collect();
        let result = if keeps(dim) {
            self.make(dim, runs)
        } else {
            runs.iter()
                .fold(Node::NONE, |sum, (_, child)| self.or(sum, *child))
        };
        memo.insert(node, result);
        result
    }

    /// The values of a dimension that occur in a set.
    pub(crate) fn values(&mut self, node: Node, dim: Dim) -> Ranges {
        let projected = self.project(node, &|candidate| candidate == dim as u8);
        let ranges = self
            .slices(projected, dim)
            .into_iter()
            .filter_map(|(low, high, _)| Range::new(low, high))
            .collect();
        Ranges::from_unsorted(ranges)
    }

    /// How many nodes exist: the measure of memory.
    pub(crate) fn size(&self) -> usize {
        self.branches.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(low: u128, high: u128) -> Ranges {
        Ranges::between(low, high)
    }

    #[test]
    fn equal_sets_are_equal_nodes() {
        let mut space = Space::default();
        let a = space.cube(vec![(Dim::Protocol, set(6, 6)), (Dim::Source, set(1, 9))]);
        let b = space.cube(vec![(Dim::Source, set(1, 4)), (Dim::Protocol, set(6, 6))]);
        let c = space.cube(vec![(Dim::Source, set(5, 9)), (Dim::Protocol, set(6, 6))]);
        assert_eq!(space.or(b, c), a);
        assert_eq!(space.minus(a, b), c);
        assert_eq!(space.and(a, c), c);
        assert_eq!(space.minus(b, a), Node::NONE);
    }

    #[test]
    fn a_small_set_is_sought_in_a_large_one() {
        let mut space = Space::default();
        let large: Ranges = (0..200u128).map(|at| at * 3).collect();
        let large = space.cube(vec![(Dim::Source, large)]);
        let small = space.cube(vec![(Dim::Source, set(5, 10))]);
        let both = [6u128, 9].into_iter().collect();
        let both = space.cube(vec![(Dim::Source, both)]);
        let rest = [5u128, 7, 8, 10].into_iter().collect();
        let rest = space.cube(vec![(Dim::Source, rest)]);
        let before = space.steps;
        assert_eq!(space.and(small, large), both);
        assert_eq!(space.and(large, small), both);
        assert_eq!(space.minus(small, large), rest);
        assert!(space.steps - before < 40);
    }

    #[test]
    fn a_question_that_exceeds_its_bounds_leaves_nothing_behind() {
        let mut space = Space::default();
        let kept = space.cube(vec![(Dim::Source, set(1, 4))]);
        let nodes = space.size();
        space.begin(100);
        for at in 0..1000u128 {
            let one = space.cube(vec![
                (Dim::Source, set(at, at)),
                (Dim::Protocol, set(0, at)),
            ]);
            space.or(kept, one);
        }
        assert!(space.exhausted && !space.end());
        assert_eq!(space.size(), nodes);
        space.begin(100);
        let same = space.cube(vec![(Dim::Source, set(1, 4))]);
        assert!(space.end());
        assert_eq!(same, kept);
    }

    #[test]
    fn projection_keeps_what_is_possible() {
        let mut space = Space::default();
        let a = space.cube(vec![(Dim::Source, set(1, 4)), (Dim::Protocol, set(6, 6))]);
        let b = space.cube(vec![(Dim::Source, set(3, 9)), (Dim::Protocol, set(17, 17))]);
        let both = space.or(a, b);
        assert_eq!(space.values(both, Dim::Source), set(1, 9));
        assert_eq!(
            space.values(both, Dim::Protocol),
            [6u128, 17].into_iter().collect()
        );
        assert_eq!(space.values(both, Dim::Mac), Ranges::full());
        assert_eq!(space.values(Node::NONE, Dim::Mac), Ranges::empty());
    }

    #[test]
    fn slices_and_join_are_inverse() {
        let mut space = Space::default();
        let a = space.cube(vec![(Dim::Source, set(1, 4)), (Dim::Protocol, set(6, 6))]);
        let b = space.cube(vec![(Dim::Source, set(0, 0))]);
        let both = space.or(a, b);
        let slices = space.slices(both, Dim::Source);
        assert_eq!(slices.len(), 2);
        assert_eq!(space.join(Dim::Source, &slices), both);
        let all = space.slices(Node::ALL, Dim::Source);
        assert_eq!(space.join(Dim::Source, &all), Node::ALL);
    }
}
