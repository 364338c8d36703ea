//! In: a set's name and the sides that a rule asks about (`src,dst`). Out: a guard that holds for members.
//!
//! As `ip_set_test` in the kernel's `ip_set_core.c`: a set of the other family, or one whose entries have more parts than
//! the rule names sides, has no members for the rule. What is not in the file beside stays one unknown.

use memchr::memmem;

use super::book::Book;
use super::sets::{Entries, Part, Rest, Set};
use super::syntax::ProblemKind;
use crate::model::{Dim, Family, Guard, MarkName, Ranges, Test};
use crate::source::Span;

/// More boxes than this are not told apart; their addresses still are.
const BOXES: usize = 4_096;

/// Whether a packet is a member of the set.
pub(super) fn guard(book: &mut Book<'_>, name: &[u8], sides: &[u8], span: Span) -> Guard {
    let key = (name.to_vec(), sides.to_vec());
    if let Some(known) = book.set_guards.get(&key) {
        return known.clone();
    }
    let mut asked = Asked {
        book,
        sides,
        span,
        is_named: true,
    };
    let guard = asked.guard(name);
    book.set_guards.insert(key, guard.clone());
    guard
}

struct Asked<'s, 'b, 'a> {
    book: &'b mut Book<'a>,
    sides: &'s [u8],
    span: Span,
    /// By the rule itself, not as a member of a list.
    is_named: bool,
}

impl Asked<'_, '_, '_> {
    fn fact(&mut self, name: &[u8], what: &str, text: String) -> Guard {
        let identity = format!(
            "{what}:{}:{}",
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(self.sides)
        );
        self.book.fact("set", text, identity, self.span)
    }

    fn guard(&mut self, name: &[u8]) -> Guard {
        let shown = String::from_utf8_lossy(name).into_owned();
        let sets = std::sync::Arc::clone(&self.book.sets);
        let Some(set) = sets.get(name) else {
            return self.fact(
                name,
                "set",
                format!("`ipset save` of `{shown}` beside this file"),
            );
        };
        if let Some(doubt) = &set.doubt {
            return self.fact(name, "set", doubt.clone());
        }
        let known = if set.parts.first() == Some(&Part::Set) {
            if !self.is_named {
                return self.fact(
                    name,
                    "set",
                    format!("knowing what the list `{shown}` holds"),
                );
            }
            self.is_named = false;
            let members = set.members.iter();
            let any = members.map(|member| self.guard(member)).collect();
            self.is_named = true;
            Guard::AnyOf(any)
        } else {
            self.members(name, set)
        };
        let changed = |option: &[u8]| {
            let word = [option, b" ", name, b" "].concat();
            memmem::find(self.book.bytes, &word).is_some()
        };
        let (is_added_to, is_taken_from) = (changed(b"--add-set"), changed(b"--del-set"));
        if !is_added_to && !is_taken_from {
            return known;
        }
        let unknown = self.fact(
            name,
            "set-changed",
            format!("knowing what the rules make of the set `{shown}` as packets come"),
        );
        if is_taken_from {
            unknown
        } else {
            Guard::AnyOf(vec![known, unknown])
        }
    }

    fn members(&mut self, name: &[u8], set: &Set) -> Guard {
        let sides: Vec<bool> = self
            .sides
            .split(|byte| *byte == b',')
            .map(|side| side == b"src")
            .collect();
        let is_v6 = self.book.family == Family::V6;
        if self.is_named && set.is_v6.is_some_and(|of_set| of_set != is_v6) {
            // libxt_set.h, get_set_byname.
            let text = format!(
                "the set `{}` is one of the other family",
                String::from_utf8_lossy(name)
            );
            self.book.problem(ProblemKind::RefusedLine, self.span, text);
        }
        if sides.len() < set.parts.len() || set.is_v6.is_some_and(|of_set| of_set != is_v6) {
            return Guard::AnyOf(Vec::new());
        }
        let shown = String::from_utf8_lossy(name).into_owned();
        if set.boxes.len() > BOXES {
            let all = set
                .boxes
                .iter()
                .flat_map(|one| one.first.ranges().iter().copied())
                .collect();
            let first = first(set, &Ranges::from_unsorted(all), &sides);
            let rest = self.fact(
                name,
                "set-rest",
                format!("working out the many entries of the set `{shown}`"),
            );
            return Guard::All(vec![first, rest]);
        }
        let mut any: Vec<Guard> = set
            .boxes
            .iter()
            .map(|entries| self.entries(name, set, entries, &sides))
            .collect();
        match any.len() {
            1 => any.pop().unwrap_or(Guard::Always),
            _ => Guard::AnyOf(any),
        }
    }

    fn entries(&mut self, name: &[u8], set: &Set, entries: &Entries, sides: &[bool]) -> Guard {
        let mut all = vec![first(set, &entries.first, sides)];
        for (rest, is_source) in entries.rest.iter().zip(sides.iter().skip(1)) {
            all.extend(self.rest(name, rest, *is_source));
        }
        if entries.is_timed {
            let shown = String::from_utf8_lossy(name).into_owned();
            all.push(self.fact(
                name,
                "set-timeout",
                format!("knowing which entries of the set `{shown}` have not expired"),
            ));
        }
        match all.len() {
            1 => all.pop().unwrap_or(Guard::Always),
            _ => Guard::All(all),
        }
    }

    fn rest(&mut self, name: &[u8], rest: &Rest, is_source: bool) -> Vec<Guard> {
        match rest {
            Rest::Address(set) => vec![Guard::number(side(is_source), set.clone())],
            Rest::Port(protocol, value) => {
                let dim = match protocol {
                    1 | 58 => Dim::Icmp,
                    _ => port(is_source),
                };
                let protocol = Guard::number(Dim::Protocol, Ranges::one(u128::from(*protocol)));
                let value = value.iter().map(|set| Guard::number(dim, set.clone()));
                [protocol].into_iter().chain(value).collect()
            }
            Rest::Interface(text) => {
                let dim = if is_source {
                    Dim::InInterface
                } else {
                    Dim::OutInterface
                };
                let id = self.book.interface(text);
                id.map(|id| Guard::Is(Test::Text(dim, id)))
                    .into_iter()
                    .collect()
            }
            Rest::Mac(mac) if is_source => {
                vec![Guard::number(Dim::Mac, Ranges::one(u128::from(*mac)))]
            }
            Rest::Mac(_) => {
                let text = "knowing the hardware addresses that packets go to".to_owned();
                vec![self.fact(name, "set-mac", text)]
            }
            Rest::Mark(mark) => {
                vec![Guard::Is(Test::Mark(MarkName::Packet, u32::MAX, *mark))]
            }
        }
    }
}

/// The test of an entry's first part.
fn first(set: &Set, values: &Ranges, sides: &[bool]) -> Guard {
    let is_source = sides.first() == Some(&true);
    match set.parts.first() {
        Some(Part::Port) => Guard::All(vec![
            // ip_set_getport.c, ip_set_get_ip_port: no other protocol has ports here.
            Guard::number(Dim::Protocol, Ranges::one(6).union(&Ranges::one(17))),
            Guard::number(port(is_source), values.clone()),
        ]),
        Some(Part::Mac) => Guard::number(Dim::Mac, values.clone()),
        Some(Part::Address | Part::Interface | Part::Mark | Part::Set) | None => {
            Guard::number(side(is_source), values.clone())
        }
    }
}

fn side(is_source: bool) -> Dim {
    if is_source {
        Dim::Source
    } else {
        Dim::Destination
    }
}

fn port(is_source: bool) -> Dim {
    if is_source {
        Dim::SourcePort
    } else {
        Dim::DestinationPort
    }
}
