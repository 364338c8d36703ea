//! In: one AdGuardHome.yaml with the filter lists beside it. Out: its reading: a forwarder that filters.
//!
//! Rules: the manual and source of AdGuard Home and of its filter library. No program could be asked, so what is not
//! plain there is left open.

use super::{Blocked, Claim, Diagnostic, Facts, Files, Fix, Input, Kind, Level, NoFiles, Reading};
use crate::model::Layer;

mod fix;
mod lower;
mod parse;
mod rules;

pub(crate) const KIND: Kind = Kind {
    name: "adguard-home",
    title: "AdGuardHome.yaml",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// It does not start.
const REFUSED: &str = "adguard-home/does-not-start";

const DIAGNOSTICS: &[Diagnostic] = &[Diagnostic {
    id: REFUSED,
    level: Level::Error,
    title: "AdGuard Home refuses the file",
    doc: "AdGuard Home reads the whole file as YAML and does not start where it is none.\n\n\
          Mend the place; `AdGuardHome --check-config` names it, too.",
}];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let has = |needle: &str| {
        bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii().starts_with(needle.as_bytes()))
    };
    if has("dns:") && has("upstream_dns:") && (has("bind_hosts:") || has("schema_version:")) {
        Claim::Yes("has keys of AdGuardHome.yaml")
    } else if name == "AdGuardHome.yaml" {
        Claim::Maybe("is named AdGuardHome.yaml")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, files: &dyn Files, _facts: &Facts) -> Reading {
    lower::lower(input, &parse::parse(input, files))
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, &parse::parse(input, &NoFiles), blocked)
}
