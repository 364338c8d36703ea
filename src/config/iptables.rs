//! In: one iptables config. Out: its reading.

mod body;
mod book;
mod context;
mod environment;
mod extensions;
mod hooks;
mod lower;
mod matches;
mod names;
mod nat;
mod parse;
mod syntax;
mod targets;
mod values;
mod words;

use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

pub(crate) const KIND: Kind = Kind {
    name: "iptables",
    title: "iptables",
    layer: Layer::Packet,
    claims,
    read,
    fix,
    diagnostics: &[],
};

fn claims(_path: &str, _bytes: &[u8]) -> Claim {
    Claim::No
}

fn read(_input: &Input<'_>, _files: &dyn Files, _facts: &Facts) -> Reading {
    Reading::default()
}

fn fix(_input: &Input<'_>, _reading: &Reading, _blocked: &Blocked<'_>) -> Vec<Fix> {
    Vec::new()
}
