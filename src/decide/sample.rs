//! In: a set of flows. Out: one of them, with values that people recognise.

use std::collections::BTreeMap;

use super::Sample;
use super::space::{Node, Space};
use super::words::Cells;
use crate::model::{Dim, Question, Ranges};

/// The first port of the range that systems use for clients (RFC 6335, 6).
const FAMILIAR_SOURCE_PORT: u128 = 49152;

/// Chooses dimension by dimension, so that the flow as a whole lies in the set.
pub(crate) fn sample(
    space: &mut Space,
    question: &Question,
    cells: &BTreeMap<Dim, Cells>,
    flows: Node,
) -> Option<Sample> {
    let mut sets: Vec<(Dim, Ranges)> = question
        .numbers
        .iter()
        .map(|(dim, set)| (*dim, set.clone()))
        .collect();
    sets.extend(cells.iter().map(|(dim, cells)| (*dim, cells.all())));
    let asked = space.cube(sets);
    let mut left = space.and(flows, asked);
    if left.is_none() {
        return None;
    }
    let mut sample = Sample::default();
    for dim in Dim::ALL.into_iter().filter(|dim| !dim.is_inner()) {
        let asked = question.numbers.contains_key(&dim) || cells.contains_key(&dim);
        let values = space.values(left, dim);
        if !asked && values.is_full() {
            continue;
        }
        let value = familiar(dim, &values)?;
        let here = space.restrict(dim, &Ranges::one(value), Node::ALL);
        left = space.and(left, here);
        match cells.get(&dim) {
            Some(cells) => {
                let word = usize::try_from(value)
                    .ok()
                    .and_then(|at| cells.words.get(at))?;
                sample.words.insert(dim, word.clone());
            }
            None => {
                sample.numbers.insert(dim, value);
            }
        }
    }
    Some(sample)
}

fn familiar(dim: Dim, values: &Ranges) -> Option<u128> {
    const FAMILIAR: [(Dim, u128); 3] = [
        (Dim::SourcePort, FAMILIAR_SOURCE_PORT),
        (Dim::Ttl, 64),
        (Dim::Length, 100),
    ];
    if let Some((_, value)) = FAMILIAR
        .iter()
        .find(|(known, value)| *known == dim && values.contains(*value))
    {
        return Some(*value);
    }
    let low = values.min()?;
    let is_address = matches!(dim, Dim::Source | Dim::Destination);
    // Not the network's own address, which no host has.
    let is_network = is_address && low.trailing_zeros() >= 8 && values.contains(low + 1);
    Some(if is_network { low + 1 } else { low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_lies_in_its_set() {
        let mut space = Space::default();
        let net = crate::model::address([10, 0, 0, 0].into());
        let flows = space.cube(vec![
            (Dim::Source, Ranges::between(net, net + 255)),
            (Dim::SourcePort, Ranges::between(1024, 65535)),
        ]);
        let sample = sample(&mut space, &Question::default(), &BTreeMap::new(), flows).unwrap();
        assert_eq!(sample.numbers[&Dim::Source], net + 1);
        assert_eq!(sample.numbers[&Dim::SourcePort], 49152);
    }
}
