//! In: one iptables-save or ip6tables-save file. Out: its reading: a gate each for what is forwarded, sent and received.
//!
//! iptables is not one list: a packet passes up to five tables at each of several hooks, addresses change on the way, and
//! the reply takes the way back. [`parse`] finds chains and rules, [`body`] reads one rule, [`lower`] and [`hooks`] lay
//! out the packet's way, [`roles`] says what the machine is for and who its clients are.
//!
//! Invariants: a rule that is not understood stays as an unknown; what the real `iptables-restore` refuses is a finding.

mod body;
mod book;
mod companions;
mod context;
mod diagnose;
mod environment;
mod extensions;
mod fix;
mod forms;
mod hooks;
mod lower;
mod matches;
mod members;
mod names;
mod nat;
mod options;
mod parse;
mod roles;
mod sets;
mod syntax;
mod targets;
mod values;
mod words;

use super::{Facts, Files, Input, Kind, Reading};
use crate::model::{Layer, Ranges};

pub(crate) const KIND: Kind = Kind {
    name: "iptables",
    title: "iptables-save or ip6tables-save dump",
    layer: Layer::Packet,
    claims: forms::claims,
    read,
    fix: fix::fix,
    diagnostics: diagnose::DIAGNOSTICS,
};

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let family = forms::family(input.path, input.bytes);
    let tree = parse::parse(input.file, input.bytes, family);
    let mut book = book::Book::new(input.file, input.bytes, family);
    book.completed_by = forms::completed_by(input.path, input.bytes);
    let beside = companions::companions(input, files, input.bytes);
    book.sets = beside.sets;
    let mut ruleset = lower::chains(&tree, &mut book);
    let drafts = [
        ("INPUT", hooks::input as fn(&mut lower::Draft<'_>)),
        ("OUTPUT", hooks::output),
        ("FORWARD", hooks::forward),
    ]
    .map(|(name, build)| {
        let mut draft = lower::Draft::new(name, &ruleset, &book);
        build(&mut draft);
        draft.finish()
    });
    let roles = roles::roles(&ruleset, &mut book, facts);
    let mut gates = lower::distribute(&mut ruleset, drafts.into());
    let own = facts.get("addresses").map(addresses).or(beside.addresses);
    for gate in &mut gates {
        gate.own_addresses.clone_from(&own);
    }
    gates.reverse();
    let mut reading = Reading {
        gates,
        statements: tree.statements,
        companions: beside.files,
        assumptions: beside.assumptions,
        ..Reading::default()
    };
    roles.apply(&mut reading);
    diagnose::diagnose(&tree, &book, &mut reading);
    reading
}

/// `--fact addresses=10.0.0.1,2001:db8::1`: the machine's own addresses.
fn addresses(list: &str) -> Ranges {
    list.split([',', ' '])
        .filter_map(|word| word.split('/').next()?.parse().ok())
        .map(Ranges::host)
        .fold(Ranges::empty(), |all, one| all.union(&one))
}

#[cfg(test)]
mod tests;
