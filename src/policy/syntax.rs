//! In: nothing. Out: what a policy is, once read: parameters, sets, requirements, summary, tests.
//!
//! The types are the language (`gatelint.policy/v1`); [`super::parse`] makes them and refuses the rest. Nothing here
//! knows any service: names, networks and words all come from the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Outcome, Severity};
use crate::model::{Layer, Ranges, Resource, Tunnel};
use crate::source::{FileId, Span};

/// A policy: what flows a service needs, why, and tests of that.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `chime`; the first half of every rule name.
    pub id: String,
    /// In words.
    pub title: String,
    /// Of the content.
    pub version: String,
    /// The file that it was read from.
    pub file: FileId,
    /// Where its facts come from, by short name.
    pub refs: BTreeMap<String, String>,
    /// What users may set.
    pub parameters: Vec<Parameter>,
    /// What flows and settings it demands, in the order of the file.
    pub requirements: Vec<Requirement>,
    /// How the answer in one line is said.
    pub summary: Vec<Summary>,
    /// Domains whose absence from a config says that it is about something else.
    pub relevant: Vec<String>,
    /// Names that people know, preferred in examples of flows.
    pub familiar: Vec<String>,
    /// Tests of the policy itself.
    pub tests: Vec<PolicyTest>,
    /// The date of the published address ranges that its sets name.
    pub ranges_date: Option<String>,
}

/// Something a user may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As users write it.
    pub name: String,
    /// What values it takes.
    pub kind: ParameterKind,
    /// Its value now.
    pub value: ParameterValue,
    /// For help.
    pub help: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// What values a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any of these words.
    Set(Vec<String>),
    /// One of these words.
    Enum(Vec<String>),
    /// Networks, or `undeclared`.
    Networks,
    /// `true` or `false`.
    Boolean,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// Words; one for an enum, `true` or `false` for a Boolean.
    Words(BTreeSet<String>),
    /// Networks as they were written, and what they cover; `None` is undeclared.
    Networks(Option<(Vec<String>, Ranges)>),
}

/// What must hold.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// `media`; the second half of the rule name.
    pub id: String,
    /// In words, for reports' tables.
    pub title: String,
    /// Where it is declared.
    pub span: Span,
    /// All must hold, or the requirement is of no concern.
    pub when: Vec<Condition>,
    /// Of a failure; by default error.
    pub severity: Severity,
    /// The first whose condition holds replaces it.
    pub severity_when: Vec<(Vec<Condition>, Severity)>,
    /// What.
    pub demand: Demand,
    /// The effect where it fails, with `{placeholders}`.
    pub message: Layered,
    /// The effect where it is degraded for another reason than its alternative.
    pub degraded_message: Layered,
    /// Short words for the answer in one line, by outcome.
    pub short: BTreeMap<Outcome, String>,
    /// One sentence about the service.
    pub why: Option<String>,
    /// What to do, imperative, with `{placeholders}`.
    pub fix: Layered,
    /// Where it comes from.
    pub links: Vec<String>,
    /// A command that shows it on the live machine, with `{placeholders}`.
    pub live_check: Layered,
}

/// A text that may differ by the layer of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layered {
    /// For the layers that have none of their own.
    pub any: Option<String>,
    /// By layer.
    pub by: BTreeMap<Layer, String>,
}

impl Layered {
    /// The text for a layer.
    pub fn get(&self, layer: Layer) -> Option<&str> {
        self.by
            .get(&layer)
            .or(self.any.as_ref())
            .map(String::as_str)
    }

    /// Every text, the general one first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.any.iter().chain(self.by.values()).map(String::as_str)
    }
}

/// A test of a parameter: it has any of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The parameter.
    pub parameter: String,
    /// Any of these.
    pub any_of: Vec<String>,
}

/// What a requirement asks for.
#[derive(Debug, Clone)]
pub enum Demand {
    /// Flows to addresses and names.
    Reach(Reach),
    /// Lookups.
    Resolve(Vec<Resolve>),
    /// What a page must be able to load: every probe of any one group.
    Fetch(Vec<ProbeGroup>),
    /// Values that must hold.
    Setting(Vec<SettingDemand>),
    /// Flows that must not pass.
    Forbid(Reach),
    /// Nothing can be done: its message is told once, wherever its condition holds.
    Advice,
}

/// Flows that must pass.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Addresses and names: two faces of one destination.
    pub to: Destination,
    /// In order; the next is asked for what the former left uncovered.
    pub alternatives: Vec<Alternative>,
    /// How much of the destination must be reachable.
    pub breadth: Breadth,
}

/// Where flows go.
#[derive(Debug, Clone, Default)]
pub struct Destination {
    /// Addresses, for packet filters.
    pub networks: Ranges,
    /// Names, for proxies, resolvers and browsers: `*.example.test` or one name; each must pass.
    pub names: Vec<String>,
    /// Names that are published as needed but wider than what is known to be used: a warning where they do not pass.
    pub wider: Vec<String>,
    /// One destination suffices.
    pub any_one: bool,
    /// A service of the gate's own machine will do.
    pub or_local: bool,
}

/// One way to reach the destination.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// Any of these, all must pass.
    pub services: Vec<Service>,
    /// The requirement's outcome where this covers what the former did not.
    pub outcome: Outcome,
    /// Its severity, by default that of the outcome.
    pub severity: Option<Severity>,
    /// The outcome is a pass where this holds.
    pub pass_when: Option<Vec<Condition>>,
    /// The effect where this had to serve, with `{placeholders}`.
    pub message: Option<String>,
    /// The names may resolve to addresses outside the networks.
    pub addresses_unknown: bool,
}

/// A transport and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// Destination ports.
    pub ports: Ranges,
    /// The longest IP packet that must pass.
    pub max_length: u16,
    /// What it carries through a proxy.
    pub carries: Tunnel,
    /// As the policy writes it: `udp/3478`.
    pub text: String,
}

/// How much of a destination must be reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// Every address.
    All,
    /// Nothing reachable fails; a part that is not is a warning.
    AnyLargePart,
}

/// Lookups that must succeed.
#[derive(Debug, Clone)]
pub struct Resolve {
    /// Names.
    pub to: Destination,
    /// Record types that must resolve, by number.
    pub types: Vec<u16>,
    /// Record types whose failure is a warning.
    pub optional: Vec<u16>,
    /// What an answer's alias may be; empty: answers have no alias.
    pub alias_of: Vec<String>,
    /// What the answers may be.
    pub answers: Option<Ranges>,
}

/// Probes of which all must pass.
#[derive(Debug, Clone)]
pub struct ProbeGroup {
    /// In words, where a requirement has several groups.
    pub name: String,
    /// All of them.
    pub probes: Vec<Probe>,
    /// Those whose failure only degrades.
    pub prefer: Vec<Probe>,
}

/// One thing that a page loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// As what.
    pub resource: Resource,
    /// From where, as written: `wss://*.example.test`, `blob:`; empty where the kind has no URL.
    pub url: String,
    /// Of the URL.
    pub scheme: String,
    /// Of the URL; a leading `*.` is any name below.
    pub host: Option<String>,
    /// Of the URL, or its scheme's.
    pub port: u16,
    /// Of the URL; `None` is any path.
    pub path: Option<String>,
}

/// A setting that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDemand {
    /// `dns.edns0`.
    pub name: String,
    /// What it must be.
    pub must: SettingTest,
}

/// What a setting must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingTest {
    /// On.
    Enabled,
    /// Off.
    Disabled,
    /// Within bounds: outside `must` fails, outside `should` is degraded. Inclusive.
    Within {
        /// Lowest and highest that works.
        must: (u64, u64),
        /// Lowest and highest that works well.
        should: (u64, u64),
    },
}

/// One part of the answer in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The requirements it speaks of.
    pub of: Vec<String>,
    /// By their worst outcome; `{parts}` is the short words of those that have it.
    pub words: BTreeMap<Outcome, String>,
}

/// A test of the policy.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// In words.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The kind of its config.
    pub kind: String,
    /// Its config.
    pub config: TestConfig,
    /// Parameters.
    pub set: Vec<(String, String)>,
    /// Facts.
    pub facts: Vec<(String, String)>,
    /// The outcome of each requirement that is named; the others must not fail.
    pub expect: Vec<Expected>,
}

/// Where a test's config is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestConfig {
    /// In the policy.
    Text(String),
    /// In a file beside it.
    File(String),
}

/// What a test expects of a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The requirement.
    pub requirement: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// The line that decides.
    pub line: Option<u32>,
    /// Where it is expected.
    pub span: Span,
}

impl Policy {
    /// A parameter by name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == name)
    }

    /// Whether all conditions hold for the parameters as they are set.
    pub fn holds(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| {
            match self
                .parameter(&condition.parameter)
                .map(|found| &found.value)
            {
                Some(ParameterValue::Words(words)) => {
                    condition.any_of.iter().any(|word| words.contains(word))
                }
                Some(ParameterValue::Networks(_)) | None => false,
            }
        })
    }

    /// The severity of a requirement's failure, as the parameters are set.
    pub fn severity(&self, requirement: &Requirement) -> Severity {
        requirement
            .severity_when
            .iter()
            .find(|(when, _)| self.holds(when))
            .map_or(requirement.severity, |(_, severity)| *severity)
    }

    /// `chime/media`.
    pub fn rule(&self, requirement: &Requirement) -> String {
        format!("{}/{}", self.id, requirement.id)
    }
}
