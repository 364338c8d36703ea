//! In: a packet gate. Out: the questions that together ask about every conversation that somebody may open through it.

use crate::model::{Conversation, Dim, Family, Flags, Gate, Question, Ranges, Role};
use crate::policy::any_interface;

const TCP: u128 = 6;
const UDP: u128 = 17;

/// The questions, each with what it asks about in a word.
pub(super) fn questions(gate: &Gate) -> Vec<(&'static str, Question)> {
    let family = match gate.family {
        Some(Family::V4) => Ranges::ipv4(),
        Some(Family::V6) => Ranges::ipv6(),
        None => Ranges::ipv4().union(&Ranges::ipv6()),
    };
    let icmp: u128 = match gate.family {
        Some(Family::V6) => 58,
        Some(Family::V4) | None => 1,
    };
    let known: Ranges = [TCP, UDP, icmp].into_iter().collect();
    let others = Ranges::between(0, 255).minus(&known);
    let kinds = [
        ("tcp", Ranges::one(TCP)),
        ("udp", Ranges::one(UDP)),
        ("icmp", Ranges::one(icmp)),
        ("other protocols", others),
    ];
    let is_host = gate.role == Some(Role::Host) || gate.name.contains("OUTPUT");
    let is_local = gate.name.contains("INPUT");
    let mut all = Vec::new();
    for (what, protocol) in kinds {
        let mut question = Question::default();
        let mut set = |dim, ranges| {
            question.numbers.insert(dim, ranges);
        };
        set(Dim::Source, family.clone());
        set(Dim::Destination, family.clone());
        set(Dim::Protocol, protocol);
        set(Dim::Ttl, Ranges::between(1, 255));
        set(Dim::Length, Ranges::between(20, 65535));
        if ["tcp", "udp"].contains(&what) {
            set(Dim::SourcePort, Ranges::between(0, 65535));
            set(Dim::DestinationPort, Ranges::between(0, 65535));
        }
        if what == "tcp" {
            set(Dim::TcpFlags, Ranges::one(u128::from(Flags::SYN)));
        }
        if !is_host {
            question.texts.insert(Dim::InInterface, any_interface());
        }
        if !is_local {
            question.texts.insert(Dim::OutInterface, any_interface());
        }
        question.conversation = Conversation::Whole;
        question.destination_is_local = Some(is_local);
        question.source_is_local = Some(is_host);
        all.push((what, question));
    }
    all
}
