//! In: what may have happened to the asked flows. Out: the verdict: a partition of the question.
//!
//! Flows that may be denied and allowed are undecided, unless a denial surely happens at some time: then they vary.
//! Boolean dimensions for unknowns are quantified away: what varies is judged for every value, what is not known decides
//! only where its values agree. Dimensions of which some value suffices are quantified last.
//!
//! INVARIANT: allowed, denied, varying and undecided are disjoint and make up the universe.

use rustc_hash::FxHashMap;

use super::guard::Synthetic;
use super::space::{Node, Space};
use super::stages::Seen;
use super::{Flows, Verdict};
use crate::model::{Dim, Gate, Question, UnknownKind};

/// The four sides.
#[derive(Debug, Clone, Copy)]
struct Sides {
    universe: Node,
    allowed: Node,
    denied: Node,
    varying: Node,
    undecided: Node,
}

pub(crate) fn settle(
    space: &mut Space,
    question: &Question,
    synthetic: &Synthetic,
    gate: &Gate,
    atoms: &FxHashMap<String, Dim>,
    universe: Node,
    seen: Seen,
) -> Verdict {
    let _ = synthetic;
    let (allow, deny) = (seen.allowed.node(space), seen.denied.node(space));
    let surely = seen.surely_denied.node(space);
    let both = space.and(allow, deny);
    let varying = space.and(both, surely);
    let mut sides = Sides {
        universe,
        allowed: space.minus(allow, deny),
        denied: space.minus(deny, allow),
        varying,
        undecided: space.minus(both, varying),
    };
    let kind_of = |identity: &str| {
        let unknown = gate
            .unknowns
            .iter()
            .find(|unknown| unknown.identity.as_deref() == Some(identity));
        unknown.map_or(UnknownKind::Opaque, |unknown| unknown.kind)
    };
    let (varies, unknown): (Vec<_>, Vec<_>) = atoms
        .iter()
        .partition(|(identity, _)| kind_of(identity) == UnknownKind::Varies);
    let varies: Vec<Dim> = varies.into_iter().map(|(_, dim)| *dim).collect();
    let unknown: Vec<Dim> = unknown.into_iter().map(|(_, dim)| *dim).collect();
    sides = sides.over_what_varies(space, &varies);
    sides = sides.over_what_is_unknown(space, &unknown);
    sides = sides.over_what_may_be_chosen(space, &question.existential);
    Verdict {
        universe: Flows(sides.universe),
        allowed: Flows(sides.allowed),
        denied: Flows(sides.denied),
        varying: Flows(sides.varying),
        undecided: Flows(sides.undecided),
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

    /// Denied at some time makes denied or varying; an unknown stays unknown only where no denial is sure.
    fn over_what_varies(self, space: &mut Space, dims: &[Dim]) -> Self {
        if dims.is_empty() {
            return self;
        }
        let universe = Self::some(space, self.universe, dims);
        let denied = self.every(space, self.denied, dims);
        let allowed = self.every(space, self.allowed, dims);
        let at_times = space.or(self.denied, self.varying);
        let at_times = Self::some(space, at_times, dims);
        let varying = space.minus(at_times, denied);
        Self {
            universe,
            allowed,
            denied,
            varying,
            undecided: Node::NONE,
        }
        .rest_undecided(space)
    }

    /// Certain only where every value agrees.
    fn over_what_is_unknown(self, space: &mut Space, dims: &[Dim]) -> Self {
        if dims.is_empty() {
            return self;
        }
        let universe = Self::some(space, self.universe, dims);
        let denied = self.every(space, self.denied, dims);
        let allowed = self.every(space, self.allowed, dims);
        let at_times = space.or(self.denied, self.varying);
        let at_times = self.every(space, at_times, dims);
        let varying = space.minus(at_times, denied);
        Self {
            universe,
            allowed,
            denied,
            varying,
            undecided: Node::NONE,
        }
        .rest_undecided(space)
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
        Self {
            universe,
            allowed,
            denied,
            varying,
            undecided,
        }
    }

    fn rest_undecided(self, space: &mut Space) -> Self {
        let known = space.or(self.allowed, self.denied);
        let known = space.or(known, self.varying);
        Self {
            undecided: space.minus(self.universe, known),
            ..self
        }
    }
}
