//! In: what may have happened to the asked flows. Out: the verdict: a partition of the question.
//!
//! Flows that may be denied and allowed are undecided, unless both surely happen at some time: then they vary.
//! Dimensions for unknowns are quantified away: what varies happens both ways, what is not known decides only where its
//! values agree. Dimensions of which some value suffices are quantified last.
//!
//! INVARIANT: allowed, denied, varying and undecided are disjoint and make up the universe.

use super::atoms::Inner;
use super::space::{Node, Space};
use super::stages::Seen;
use super::{Flows, Part, Verdict};
use crate::model::{Dim, Question, UnknownKind};

/// The four sides.
#[derive(Debug, Clone, Copy)]
struct Sides {
    universe: Node,
    allowed: Node,
    denied: Node,
    varying: Node,
    undecided: Node,
    /// Undecided, but denied at some time.
    hindered: Node,
}

pub(crate) fn settle(
    space: &mut Space,
    question: &Question,
    inner: &[Inner],
    universe: Node,
    mut seen: Seen,
) -> Verdict {
    let (allow, deny) = (seen.allowed.node(space), seen.denied.node(space));
    let (at_times_allowed, at_times_denied) = (
        seen.surely_allowed.node(space),
        seen.surely_denied.node(space),
    );
    let both = space.and(allow, deny);
    let denied_at_times = space.and(both, at_times_denied);
    let varying = space.and(denied_at_times, at_times_allowed);
    let mut sides = Sides {
        universe,
        allowed: space.minus(allow, deny),
        denied: space.minus(deny, allow),
        varying,
        undecided: space.minus(both, varying),
        hindered: space.minus(denied_at_times, varying),
    };
    let (varies, unknown): (Vec<&Inner>, Vec<&Inner>) = inner
        .iter()
        .partition(|inner| inner.kind == UnknownKind::Varies);
    let dims = |inner: Vec<&Inner>| -> Vec<Dim> { inner.iter().map(|inner| inner.dim).collect() };
    sides = sides.over_what_varies(space, &dims(varies));
    sides = sides.over_what_is_unknown(space, &dims(unknown));
    seen.parts
        .iter_mut()
        .for_each(|part| forget(space, part, inner));
    sides = sides.over_what_may_be_chosen(space, &question.existential);
    Verdict {
        universe: Flows(sides.universe),
        allowed: Flows(sides.allowed),
        denied: Flows(sides.denied),
        varying: Flows(sides.varying),
        undecided: Flows(sides.undecided),
        hindered: Flows(sides.hindered),
        parts: seen.parts,
        steps: seen.steps,
        spent: seen.spent,
    }
}

impl Sides {
    fn some(space: &mut Space, node: Node, dims: &[Dim]) -> Node {
        space.project(node, &|dim| dims.iter().all(|gone| *gone as u8 != dim))
    }

    /// Flows for which every asked value of the dimensions lies in the set.
    fn every(self, space: &mut Space, node: Node, dims: &[Dim]) -> Node {
        let outside = space.minus(self.universe, node);
        let (all, some_outside) = (
            Self::some(space, self.universe, dims),
            Self::some(space, outside, dims),
        );
        space.minus(all, some_outside)
    }

    /// Both happen: what is allowed for some values and denied for others varies.
    fn over_what_varies(self, space: &mut Space, dims: &[Dim]) -> Self {
        if dims.is_empty() {
            return self;
        }
        let allowed_at_times = space.or(self.allowed, self.varying);
        let allowed_at_times = Self::some(space, allowed_at_times, dims);
        let denied_at_times = self.not_always(space);
        let denied_at_times = Self::some(space, denied_at_times, dims);
        let varies = space.or(self.denied, self.varying);
        let varies = Self::some(space, varies, dims);
        let varying = space.and(allowed_at_times, varies);
        self.settled(space, dims, varying, denied_at_times)
    }

    /// Certain only where every value agrees.
    fn over_what_is_unknown(self, space: &mut Space, dims: &[Dim]) -> Self {
        if dims.is_empty() {
            return self;
        }
        let varying = self.every(space, self.varying, dims);
        let denied_at_times = self.not_always(space);
        let denied_at_times = self.every(space, denied_at_times, dims);
        self.settled(space, dims, varying, denied_at_times)
    }

    /// The best that some value gives.
    fn over_what_may_be_chosen(self, space: &mut Space, dims: &[Dim]) -> Self {
        if dims.is_empty() {
            return self;
        }
        let universe = Self::some(space, self.universe, dims);
        let allowed = Self::some(space, self.allowed, dims);
        let undecided = Self::some(space, self.undecided, dims);
        let undecided = space.minus(undecided, allowed);
        let varying = Self::some(space, self.varying, dims);
        let better = space.or(allowed, undecided);
        let varying = space.minus(varying, better);
        let better = space.or(better, varying);
        let denied = space.minus(universe, better);
        let denied_at_times = self.not_always(space);
        let denied_at_times = self.every(space, denied_at_times, dims);
        Self {
            universe,
            allowed,
            denied,
            varying,
            undecided,
            hindered: space.and(undecided, denied_at_times),
        }
    }

    /// Flows that are denied at some time.
    fn not_always(self, space: &mut Space) -> Node {
        let known = space.or(self.denied, self.varying);
        space.or(known, self.hindered)
    }

    /// Where every value agrees, and otherwise what else is known.
    fn settled(
        self,
        space: &mut Space,
        dims: &[Dim],
        varying: Node,
        denied_at_times: Node,
    ) -> Self {
        let universe = Self::some(space, self.universe, dims);
        let denied = self.every(space, self.denied, dims);
        let allowed = self.every(space, self.allowed, dims);
        let known = space.or(allowed, denied);
        let known = space.or(known, varying);
        let undecided = space.minus(universe, known);
        Self {
            universe,
            allowed,
            denied,
            varying,
            undecided,
            hindered: space.and(undecided, denied_at_times),
        }
    }
}

/// Quantifies what a part's flows say of inner dimensions: it happens for some of their values, so it is no longer sure.
fn forget(space: &mut Space, part: &mut Part, inner: &[Inner]) {
    if inner.is_empty() {
        return;
    }
    let flows = space.project(part.flows.0, &|dim| {
        inner.iter().all(|gone| gone.dim as u8 != dim)
    });
    if flows == part.flows.0 {
        return;
    }
    for gone in inner {
        let without = space.project(part.flows.0, &|dim| dim != gone.dim as u8);
        if without != part.flows.0 && !part.unknowns.contains(&gone.unknown) {
            part.unknowns.push(gone.unknown);
        }
    }
    part.flows = Flows(flows);
}
