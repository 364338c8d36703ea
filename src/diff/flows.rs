//! In: two gates of one name, before and after. Out: the flows that fare otherwise, each group with one of them, and the
//! lines that decide about it on either side.

use std::collections::BTreeMap;

use super::both::Which;
use super::boxes::{self, Told};
use super::compare::{Compared, Moved, Pair, Side};
use super::packets;
use crate::decide::{Decider, Evaluator, Flows, Packet, Part};
use crate::finding::Witness;
use crate::model::{Effect, Gate, Layer, Question};
use crate::policy::{accepted_at, witness};
use crate::source::Span;

/// A group of flows that fare otherwise than before, or of which that cannot be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowChange {
    /// Where: `PATH` or `PATH#FORWARD`.
    pub target: String,
    /// Before.
    pub old: Side,
    /// After.
    pub new: Side,
    /// Parts of the group in words, all of whose flows belong to it.
    pub flows: Vec<String>,
    /// The group is larger than that.
    pub is_more: bool,
    /// One of its flows.
    pub witness: Option<Witness>,
    /// Which packet of the conversation is stopped, on the side where one is.
    pub packet: Packet,
    /// What decided about that one before.
    pub old_place: Option<Span>,
    /// What decides about it now.
    pub new_place: Option<Span>,
    /// What an undecided side waits for.
    pub reasons: Vec<String>,
}

/// What differs between two gates; an error says why that was not looked into.
pub(super) fn changes(
    target: &str,
    old: &Gate,
    new: &Gate,
) -> Result<Vec<FlowChange>, &'static str> {
    if old.layer != Layer::Packet {
        return Err("only packet filters are compared flow by flow; see what is required of it");
    }
    let asked = packets::questions(new);
    let questions: Vec<Question> = asked.iter().map(|(_, question)| question.clone()).collect();
    let pair = Pair::of(old, new, &questions).ok_or("it decides nothing")?;
    let mut evaluator = pair.evaluator();
    let mut found = Vec::new();
    for (what, question) in &asked {
        let touched = pair.touched(&mut evaluator, question);
        if evaluator.is_empty(touched) {
            continue;
        }
        let compared = pair.compare(&mut evaluator, question, touched);
        let mut asking = Asking {
            target,
            gate: new,
            pair: &pair,
            evaluator: &mut evaluator,
            question,
            what,
            compared: &compared,
        };
        for moved in &compared.moved {
            let is_unknown = [moved.old, moved.new].contains(&Side::Undecided);
            let flows = asking.evaluator.intersect(moved.flows, touched);
            if (moved.old != moved.new || is_unknown) && !asking.evaluator.is_empty(flows) {
                found.extend(asking.groups(Moved { flows, ..*moved }));
            }
        }
    }
    Ok(joined(found))
}

struct Asking<'a, 'g> {
    target: &'a str,
    gate: &'a Gate,
    pair: &'g Pair,
    evaluator: &'a mut Evaluator<'g>,
    question: &'a Question,
    what: &'a str,
    compared: &'a Compared,
}

impl Asking<'_, '_> {
    /// The flows by what stops them: before, where they pass now; now, where they passed before.
    fn groups(&mut self, moved: Moved) -> Vec<FlowChange> {
        if [moved.old, moved.new].contains(&Side::Undecided) {
            return self.undecided(moved);
        }
        let stopped = if moved.new == Side::Allowed || moved.old == Side::Denied {
            Which::Old
        } else {
            Which::New
        };
        let mut left = moved.flows;
        let mut found = Vec::new();
        let compared = self.compared;
        let mut places: BTreeMap<(Packet, Option<Span>), Flows> = BTreeMap::new();
        let denies = |part: &&Part| part.effect != Effect::Allow;
        let mut parts: Vec<&Part> = compared.verdict.parts.iter().filter(denies).collect();
        // What surely stops them is told before what may.
        parts.sort_by_key(|part| !part.unknowns.is_empty());
        for part in parts {
            let place = match &part.decider {
                Decider::Rule(span) => Some(*span),
                Decider::Fallback { span, .. } | Decider::Obscured(span) => *span,
                Decider::Arrived => continue,
            };
            let flows = self.pair.of_one(self.evaluator, part.flows, stopped);
            let flows = self.evaluator.intersect(flows, left);
            if self.evaluator.is_empty(flows) {
                continue;
            }
            left = self.evaluator.minus(left, flows);
            let known = places.entry((part.packet, place)).or_insert(flows);
            *known = self.evaluator.union(*known, flows);
        }
        if !self.evaluator.is_empty(left) {
            places.insert((Packet::Request, None), left);
        }
        for (place, flows) in places {
            found.push(self.group(moved, flows, stopped, place));
        }
        found
    }

    fn group(
        &mut self,
        moved: Moved,
        flows: Flows,
        stopped: Which,
        (packet, place): (Packet, Option<Span>),
    ) -> FlowChange {
        let (boxes, is_more) = boxes::told(self.evaluator, self.question, self.what, flows);
        let first = boxes.first().map_or(flows, |first| first.flows);
        let mut change = self.change(moved, &boxes, is_more);
        change.packet = packet;
        change.witness = self.seen(stopped, first, packet);
        let is_opened = stopped == Which::Old;
        let other = if is_opened { Which::New } else { Which::Old };
        let question = self.pair.put(self.question, other);
        let passes = accepted_at(self.evaluator, &question, first);
        (change.old_place, change.new_place) = if is_opened {
            (place, passes)
        } else {
            (passes, place)
        };
        change
    }

    /// One of the flows, told by one packet of its conversation.
    fn seen(&mut self, which: Which, flows: Flows, packet: Packet) -> Option<Witness> {
        let question = self.pair.put(self.question, which);
        witness(self.evaluator, self.gate, &question, flows, packet).map(|(witness, _)| witness)
    }

    /// By what they wait for.
    fn undecided(&mut self, moved: Moved) -> Vec<FlowChange> {
        let which = if moved.new == Side::Undecided {
            Which::New
        } else {
            Which::Old
        };
        let compared = self.compared;
        let mut left = moved.flows;
        let mut groups: Vec<(String, Option<Span>, Flows)> = Vec::new();
        for part in &compared.verdict.parts {
            let unknown = part
                .unknowns
                .iter()
                .find_map(|id| self.evaluator.unknown(*id));
            let Some(unknown) = unknown.cloned() else {
                continue;
            };
            let flows = self.pair.of_one(self.evaluator, part.flows, which);
            let flows = self.evaluator.intersect(flows, left);
            if self.evaluator.is_empty(flows) {
                continue;
            }
            left = self.evaluator.minus(left, flows);
            match groups.iter_mut().find(|(text, _, _)| *text == unknown.text) {
                Some((_, _, known)) => *known = self.evaluator.union(*known, flows),
                None => groups.push((unknown.text, unknown.span, flows)),
            }
        }
        if !self.evaluator.is_empty(left) {
            let why = if compared.spent {
                "that would take too much work"
            } else {
                "what decides is not known"
            };
            groups.push((why.to_owned(), None, left));
        }
        let mut found = Vec::new();
        for (reason, span, flows) in groups {
            let (boxes, is_more) = boxes::told(self.evaluator, self.question, self.what, flows);
            let mut change = self.change(moved, &boxes, is_more);
            let first = boxes.first().map_or(flows, |first| first.flows);
            change.witness = self.seen(which, first, Packet::Request);
            if which == Which::Old {
                change.old_place = span;
            } else {
                change.new_place = span;
            }
            change.reasons.push(reason);
            found.push(change);
        }
        found
    }

    fn change(&self, moved: Moved, boxes: &[Told], is_more: bool) -> FlowChange {
        FlowChange {
            target: self.target.to_owned(),
            old: moved.old,
            new: moved.new,
            flows: boxes.iter().map(|one| one.text.clone()).collect(),
            is_more,
            witness: None,
            packet: Packet::Request,
            old_place: None,
            new_place: None,
            reasons: Vec::new(),
        }
    }
}

/// What the same lines decide for several protocols is told once.
fn joined(found: Vec<FlowChange>) -> Vec<FlowChange> {
    let mut all: Vec<FlowChange> = Vec::new();
    for change in found {
        let place = |one: &FlowChange| (one.packet, one.old_place, one.new_place);
        let known = all.iter_mut().find(|known| {
            (known.old, known.new) == (change.old, change.new)
                && place(known) == place(&change)
                && known.reasons == change.reasons
        });
        match known {
            Some(known) => {
                known.flows.extend(change.flows);
                known.is_more |= change.is_more;
            }
            None => all.push(change),
        }
    }
    all.sort_by_key(|change| {
        (
            change.reasons.is_empty(),
            change.old_place,
            change.new_place,
        )
    });
    all.sort_by_key(|change| !change.reasons.is_empty());
    all
}
