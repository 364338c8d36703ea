//! In: one iptables-save or ip6tables-save file, the output of `iptables -S`, or a script that runs iptables. Out: its reading: a gate each for what is forwarded, sent and received.
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
mod listing;
mod lower;
mod matches;
mod members;
mod names;
mod nat;
mod options;
mod parse;
mod places;
mod roles;
mod script;
mod sets;
mod syntax;
mod targets;
mod values;
mod words;

use self::forms::Form;
use self::places::Places;
use self::syntax::Act;
use super::{Facts, Files, Input, Kind, Reading};
use crate::model::{Family, Layer, Ranges};

pub(crate) const KIND: Kind = Kind {
    name: "iptables",
    title: "iptables rules: a dump, `iptables -S`, or a script",
    layer: Layer::Packet,
    claims: forms::claims,
    read,
    fix: fix::fix,
    diagnostics: diagnose::DIAGNOSTICS,
};

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let form = forms::form(input.path, input.bytes);
    match form {
        Form::Script => return script(input, files, facts),
        Form::Listing => return diagnose::listed(input),
        Form::Save | Form::Rules => {}
    }
    let family = forms::family(input.path, input.bytes);
    let tree = match form {
        Form::Rules => {
            let acts = listing::read(input.file, input.bytes);
            parse::run(input.file, input.bytes, &Places::default(), &acts)
        }
        Form::Save | Form::Script | Form::Listing => parse::parse(input.file, input.bytes, family),
    };
    let mut book = book::Book::new(input.file, input.bytes, family);
    book.form = form;
    book.completed_by = forms::completed_by(input.path, input.bytes);
    let mut reading = lowered(input, files, facts, &tree, book);
    if form == Form::Rules {
        reading.assumptions.push(format!(
            "{}: tables that are not listed have no rules (`iptables-save` gives them all)",
            input.path
        ));
    }
    reading
}

/// What a script leaves behind on a machine that had no rules before.
fn script(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let script = script::read(input.file, input.bytes);
    let of = |family: Family| {
        let acts = script.acts.iter().filter(|(of, _)| *of == family);
        acts.map(|(_, act)| *act).collect::<Vec<Act>>()
    };
    let (v4, v6) = (of(Family::V4), of(Family::V6));
    let changes = |acts: &[Act]| acts.iter().any(|act| !matches!(act, Act::Anything(_)));
    let family = if changes(&v6) && !changes(&v4) {
        Family::V6
    } else {
        Family::V4
    };
    let acts = if family == Family::V6 { &v6 } else { &v4 };
    if !script.changes_rules {
        return Reading {
            not_judged: Some("it runs no command of iptables that changes rules".to_owned()),
            ..Reading::default()
        };
    }
    let tree = parse::run(input.file, &script.text, &script.places, acts);
    let mut book = book::Book::new(input.file, &script.text, family);
    book.form = Form::Script;
    book.places = script.places.clone();
    let mut reading = lowered(input, files, facts, &tree, book);
    reading.assumptions.push(format!(
        "{}: it runs to its end, on a machine that has no rules yet",
        input.path
    ));
    if family == Family::V4 && changes(&v6) {
        reading.assumptions.push(format!(
            "{}: what it does with ip6tables is not judged",
            input.path
        ));
    }
    reading
}

fn lowered<'a>(
    input: &Input<'_>,
    files: &dyn Files,
    facts: &Facts,
    tree: &syntax::File<'a>,
    mut book: book::Book<'a>,
) -> Reading {
    let beside = companions::companions(input, files, book.bytes);
    book.sets = beside.sets;
    let mut ruleset = lower::chains(tree, &mut book);
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
    diagnose::diagnose(tree, &book, &mut reading);
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
