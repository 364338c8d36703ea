//! In: one csp config. Out: its reading.

use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

pub(crate) const KIND: Kind = Kind {
    name: "csp",
    title: "csp",
    layer: Layer::Fetch,
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
