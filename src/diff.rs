//! In: configs before and after, and what checks found in them. Out: what the change means: requirements that newly fail
//! or pass, and flows that newly get through or are stopped at all.
//!
//! Texts are not compared: rules that moved, were joined or written otherwise are no difference where every flow fares
//! as before. The one evaluator judges both sides, so a difference is as certain as a verdict is, and what is undecided
//! on either side is said to be so.

mod both;
mod boxes;
mod compare;
mod flows;
mod packets;
mod touched;
mod write;

use std::collections::BTreeMap;

pub use compare::{Compared, Moved, Pair, Side};
pub use flows::FlowChange;
pub use write::{FORMATS, Format};

use crate::finding::{Finding, Outcome, Report, Severity};
use crate::model::Gate;
use crate::policy::Policy;
use crate::source::FileId;

/// One config on one side.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    /// What it is called on both sides: its path below the named folder, nothing for a named file.
    pub name: &'a str,
    /// The file.
    pub file: FileId,
    /// As messages show it.
    pub path: &'a str,
    /// What it decides.
    pub gates: &'a [Gate],
}

/// One side: configs, and what a check found in them.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// In the order in which they were found.
    pub configs: &'a [Config<'a>],
    /// What was found.
    pub report: &'a Report,
}

/// What a change means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Requirements that fare otherwise, those that newly fail first.
    pub requirements: Vec<RequirementChange>,
    /// Flows that fare otherwise, or of which that cannot be known.
    pub flows: Vec<FlowChange>,
    /// What was not compared, and why.
    pub notes: Vec<String>,
    /// How many configs stand on both sides.
    pub compared: usize,
}

/// A requirement that fares otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementChange {
    /// Its outcome before; `None` where the config is new.
    pub before: Option<Outcome>,
    /// What is found now.
    pub finding: Finding,
}

impl RequirementChange {
    /// Whether it got worse.
    pub fn newly_fails(&self) -> bool {
        self.finding.outcome > self.before.unwrap_or(Outcome::Pass).max(Outcome::Pass)
    }
}

impl Difference {
    /// The worst severity of what newly fails.
    pub fn worst(&self) -> Severity {
        let failing = self.requirements.iter().filter(|one| one.newly_fails());
        failing
            .map(|one| one.finding.severity)
            .max()
            .unwrap_or(Severity::None)
    }
}

/// Compares the configs that stand on both sides under one name.
pub fn difference(policies: &[Policy], old: Judged<'_>, new: Judged<'_>) -> Difference {
    let mut all = Difference {
        requirements: requirements(policies, old, new),
        ..Difference::default()
    };
    for config in old.configs {
        if !new.configs.iter().any(|other| other.name == config.name) {
            let path = config.path;
            all.notes.push(format!("{path}: only on the old side"));
        }
    }
    for config in new.configs {
        let Some(before) = old.configs.iter().find(|other| other.name == config.name) else {
            let path = config.path;
            all.notes.push(format!(
                "{path}: only on the new side; its flows are not compared"
            ));
            continue;
        };
        all.compared += 1;
        gates(before, config, &mut all);
    }
    all
}

/// The flows of every gate that stands on both sides.
fn gates(old: &Config<'_>, new: &Config<'_>, all: &mut Difference) {
    let is_same = |left: &Gate, right: &Gate| {
        (&left.name, left.layer, left.family) == (&right.name, right.layer, right.family)
    };
    let target = |config: &Config<'_>, gate: &Gate| match config.gates {
        [_] => config.path.to_owned(),
        _ => format!("{}#{}", config.path, gate.name),
    };
    for gate in new.gates {
        let target = target(new, gate);
        let Some(before) = old.gates.iter().find(|other| is_same(other, gate)) else {
            all.notes.push(format!(
                "{target}: only on the new side; its flows are not compared"
            ));
            continue;
        };
        match flows::changes(&target, before, gate) {
            Ok(changes) => all.flows.extend(changes),
            Err(why) => all
                .notes
                .push(format!("{target}: flows are not compared: {why}")),
        }
    }
    for gate in old.gates {
        if !new.gates.iter().any(|other| is_same(other, gate)) {
            all.notes
                .push(format!("{}: only on the old side", target(old, gate)));
        }
    }
}

/// Results of the policies' requirements that are not what they were.
fn requirements(policies: &[Policy], old: Judged<'_>, new: Judged<'_>) -> Vec<RequirementChange> {
    let rules: Vec<String> = policies
        .iter()
        .flat_map(|policy| policy.requirements.iter().map(|one| policy.rule(one)))
        .collect();
    let key = |side: Judged<'_>, finding: &Finding| {
        let config = side.configs.iter().find(|one| one.file == finding.file)?;
        let gate = finding
            .target
            .rsplit_once('#')
            .map(|(_, gate)| gate.to_owned());
        Some((finding.rule.clone(), config.name.to_owned(), gate))
    };
    let is_required = |finding: &&Finding| rules.contains(&finding.rule);
    let before: BTreeMap<_, Outcome> = old
        .report
        .results
        .iter()
        .filter(is_required)
        .filter_map(|finding| Some((key(old, finding)?, finding.outcome)))
        .collect();
    let results = new.report.results.iter().filter(is_required);
    let mut all: Vec<RequirementChange> = results
        .map(|finding| RequirementChange {
            before: key(new, finding).and_then(|key| before.get(&key).copied()),
            finding: finding.clone(),
        })
        .filter(|one| {
            let before = one.before.unwrap_or(Outcome::Pass).max(Outcome::Pass);
            before != one.finding.outcome.max(Outcome::Pass)
        })
        .collect();
    all.sort_by_key(|one| {
        let is_worse = one.newly_fails();
        std::cmp::Reverse((is_worse, one.finding.severity, one.finding.outcome))
    });
    all
}
