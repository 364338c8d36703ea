//! In: a set of flows. Out: boxes that lie in it, each as wide as it can be, in words.
//!
//! A box is one set of values per dimension, all of whose flows lie in the set: what is said of it holds for each of them.
//! It starts as one flow and is widened one dimension after the other, first along those that people rarely look at.

use std::collections::BTreeMap;

use crate::decide::{Evaluator, Flows};
use crate::model::{Dim, Lang, Question, Ranges, TextSpace};
use crate::policy::{cidrs, few};

/// More boxes than this are not told.
const MOST_BOXES: usize = 3;

/// The order in which a box is widened.
const ORDER: [Dim; 30] = [
    Dim::Mss,
    Dim::Ttl,
    Dim::Length,
    Dim::Tos,
    Dim::TcpFlags,
    Dim::State,
    Dim::Icmp,
    Dim::Mac,
    Dim::Owner,
    Dim::SourcePort,
    Dim::Minute,
    Dim::Listener,
    Dim::HostIsAddress,
    Dim::ReverseName,
    Dim::UserAgent,
    Dim::Credentials,
    Dim::User,
    Dim::Tunnel,
    Dim::Alias,
    Dim::QueryType,
    Dim::Method,
    Dim::Scheme,
    Dim::Path,
    Dim::Resource,
    Dim::OutInterface,
    Dim::InInterface,
    Dim::Source,
    Dim::Destination,
    Dim::DestinationPort,
    Dim::Host,
];

/// A box that lies in a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) flows: Flows,
}

/// The set's boxes in words, and whether there is more of it. `what` is what the question asks about: `tcp`.
pub(super) fn told(
    evaluator: &mut Evaluator<'_>,
    question: &Question,
    what: &str,
    flows: Flows,
) -> (Vec<Told>, bool) {
    let mut boxes = Vec::new();
    let mut left = flows;
    while boxes.len() < MOST_BOXES && !evaluator.is_empty(left) {
        let sets = widest(evaluator, flows, left);
        let own: Vec<(Dim, Ranges)> = sets.iter().map(|(dim, set)| (*dim, set.clone())).collect();
        let covered = evaluator.flows(&own);
        let covered = evaluator.intersect(covered, flows);
        left = evaluator.minus(left, covered);
        boxes.push(Told {
            text: in_words(evaluator, question, what, &sets, covered),
            flows: covered,
        });
    }
    let is_more = !evaluator.is_empty(left);
    (boxes, is_more)
}

/// A box within `flows` around a flow of `left`: the dimensions that the set restricts, with their values.
fn widest(evaluator: &mut Evaluator<'_>, flows: Flows, left: Flows) -> BTreeMap<Dim, Ranges> {
    let mut sets = BTreeMap::new();
    let mut point = left;
    for dim in all().rev() {
        let others: Vec<Dim> = Dim::ALL.into_iter().filter(|other| *other != dim).collect();
        if evaluator.keep(flows, &others) == flows {
            continue;
        }
        let Some(value) = usual(dim, &evaluator.values(point, dim)) else {
            continue;
        };
        let one = evaluator.flows(&[(dim, Ranges::one(value))]);
        point = evaluator.intersect(point, one);
        sets.insert(dim, Ranges::one(value));
    }
    for dim in all() {
        if !sets.contains_key(&dim) {
            continue;
        }
        let others: Vec<(Dim, Ranges)> = sets
            .iter()
            .filter(|(other, _)| **other != dim)
            .map(|(other, set)| (*other, set.clone()))
            .collect();
        let line = evaluator.flows(&others);
        let inside = evaluator.intersect(line, flows);
        let some = evaluator.values(inside, dim);
        // All of the line's flows with one of these values, and those of them that are not in the set.
        let candidates = evaluator.flows(&[(dim, some.clone())]);
        let candidates = evaluator.intersect(line, candidates);
        let outside = evaluator.minus(candidates, flows);
        let bad = if evaluator.is_empty(outside) {
            Ranges::empty()
        } else {
            evaluator.values(outside, dim)
        };
        sets.insert(dim, some.minus(&bad));
    }
    sets
}

fn all() -> impl DoubleEndedIterator<Item = Dim> {
    ORDER.into_iter().chain([Dim::Protocol])
}

/// A value that people know, else the lowest that no network is named after.
fn usual(dim: Dim, values: &Ranges) -> Option<u128> {
    const USUAL: [(Dim, u128); 4] = [
        (Dim::SourcePort, 49152),
        (Dim::DestinationPort, 443),
        (Dim::Ttl, 64),
        (Dim::Length, 100),
    ];
    let known = USUAL.iter().find(|(usual, _)| *usual == dim);
    if let Some((_, value)) = known.filter(|(_, value)| values.contains(*value)) {
        return Some(*value);
    }
    let low = values.min()?;
    let is_network = matches!(dim, Dim::Source | Dim::Destination)
        && low.trailing_zeros() >= 8
        && values.contains(low + 1);
    Some(if is_network { low + 1 } else { low })
}

/// A box as people say it; what is asked for as a whole is not named.
fn in_words(
    evaluator: &mut Evaluator<'_>,
    question: &Question,
    what: &str,
    sets: &BTreeMap<Dim, Ranges>,
    flows: Flows,
) -> String {
    let narrowed = |dim: Dim| {
        let set = sets.get(&dim)?;
        (question.numbers.get(&dim) != Some(set) && !set.is_full()).then_some(set)
    };
    let mut text = match narrowed(Dim::Protocol).and_then(Ranges::single) {
        Some(number) => format!("protocol {number}"),
        None => what.to_owned(),
    };
    for (dim, word) in [(Dim::Source, "from"), (Dim::Destination, "to")] {
        let set = narrowed(dim).map(|set| addresses(set, question.numbers.get(&dim)));
        let set = set.unwrap_or_else(|| "anywhere".to_owned());
        text.extend([" ", word, " ", &set]);
    }
    for (dim, word) in [
        (Dim::DestinationPort, "port"),
        (Dim::SourcePort, "source port"),
    ] {
        if let Some(set) = narrowed(dim) {
            let asked = question.numbers.get(&dim);
            text.extend([" ", word, " ", &ports(set, asked)]);
        }
    }
    let mut rest = Vec::new();
    for (dim, word) in WORDS {
        if dim.is_text() {
            let space = sets
                .get(&dim)
                .and_then(|_| evaluator.words(question, flows, dim));
            let asked = question.texts.get(&dim);
            rest.extend(
                space
                    .zip(asked)
                    .map(|(space, asked)| names(word, &space, asked)),
            );
        } else if let Some(set) = narrowed(dim) {
            rest.push(format!("{word} {}", numbers(set)));
        }
    }
    for more in rest {
        text.push_str(", ");
        text.push_str(&more);
    }
    text
}

/// What else a flow may be told by.
const WORDS: [(Dim, &str); 16] = [
    (Dim::Host, "host"),
    (Dim::InInterface, "in by"),
    (Dim::OutInterface, "out by"),
    (Dim::Icmp, "type and code"),
    (Dim::TcpFlags, "flags"),
    (Dim::Length, "length"),
    (Dim::Ttl, "ttl"),
    (Dim::Tos, "tos"),
    (Dim::Mss, "mss"),
    (Dim::State, "state"),
    (Dim::Owner, "uid"),
    (Dim::Mac, "mac"),
    (Dim::Minute, "minute of the week"),
    (Dim::Listener, "listener"),
    (Dim::Credentials, "credentials"),
    (Dim::QueryType, "type"),
];

/// Addresses, or those that are left out where these are fewer.
fn addresses(set: &Ranges, asked: Option<&Ranges>) -> String {
    let words = cidrs(set);
    let others = asked.map_or_else(Ranges::empty, |asked| asked.minus(set));
    let left_out = cidrs(&others);
    if words.len() > 3 && !left_out.is_empty() && left_out.len() < words.len().min(4) {
        format!("anywhere but {}", few(&left_out))
    } else {
        few(&words)
    }
}

/// Ports, or those that are left out where these are fewer.
fn ports(set: &Ranges, asked: Option<&Ranges>) -> String {
    let others = asked.map_or_else(Ranges::empty, |asked| asked.minus(set));
    if !others.is_empty() && others.ranges().len() < set.ranges().len() {
        format!("any but {}", numbers(&others))
    } else {
        numbers(set)
    }
}

/// `443`, `1024-65535`, at most three and how many more.
fn numbers(set: &Ranges) -> String {
    let words: Vec<String> = set
        .ranges()
        .iter()
        .map(|range| {
            if range.low() == range.high() {
                range.low().to_string()
            } else {
                format!("{}-{}", range.low(), range.high())
            }
        })
        .collect();
    few(&words)
}

/// The words by their names, where they are few; else those that are left out; else one of them.
fn names(word: &str, space: &TextSpace, asked: &TextSpace) -> String {
    if let Some(names) = literals(&space.lang) {
        return format!("{word} {}", few(&names));
    }
    let left_out = asked.lang.minus(&space.lang).ok();
    if let Some(names) = left_out.and_then(|lang| literals(&lang)) {
        return format!("{word} any but {}", few(&names));
    }
    let one = space.lang.shortest().unwrap_or_default();
    format!("{word} such as {}", String::from_utf8_lossy(&one))
}

/// The words of a language of at most eight.
fn literals(lang: &Lang) -> Option<Vec<String>> {
    let mut left = lang.clone();
    let mut words = Vec::new();
    while let Some(word) = left.shortest() {
        if words.len() == 8 {
            return None;
        }
        left = left.minus(&Lang::literal(&word)).ok()?;
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    words.sort_unstable();
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Gate, Layer};

    #[test]
    fn boxes_lie_in_their_set_and_make_it_up() {
        let gate = Gate::new("test", Layer::Packet);
        let mut evaluator = Evaluator::new(&gate);
        let port = |low, high| (Dim::DestinationPort, Ranges::between(low, high));
        let left = evaluator.flows(&[(Dim::Source, Ranges::between(0, 9)), port(1, 5)]);
        let right = evaluator.flows(&[(Dim::Source, Ranges::between(5, 19)), port(4, 8)]);
        let all = evaluator.union(left, right);
        let (boxes, is_more) = told(&mut evaluator, &Question::default(), "tcp", all);
        assert!(!is_more, "{boxes:?}");
        let mut sum = evaluator.flows(&[(Dim::Source, Ranges::empty())]);
        for one in &boxes {
            let outside = evaluator.minus(one.flows, all);
            assert!(evaluator.is_empty(outside), "{one:?}");
            sum = evaluator.union(sum, one.flows);
        }
        assert_eq!(sum, all);
    }

    #[test]
    fn few_words_are_named_and_many_are_named_by_what_they_leave_out() {
        let asked = TextSpace {
            lang: Lang::pattern("[a-z]{1,5}").unwrap(),
            suffixes: Vec::new(),
            familiar: Vec::new(),
        };
        let one = TextSpace::one("wan");
        assert_eq!(names("in by", &one, &asked), "in by wan");
        let others = TextSpace {
            lang: asked.lang.minus(&one.lang).unwrap(),
            ..one
        };
        assert_eq!(names("in by", &others, &asked), "in by any but wan");
    }
}
