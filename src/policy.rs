//! In: a policy as YAML, and what was read from configs. Out: findings: which requirements hold, and if not, why.
//!
//! ```text
//! yaml -> parse -> Policy ─┐
//! configs -> Reading ──────┴─ ask -> decide -> check -> Report
//! ```
//!
//! The engine knows no service: everything it says about one comes from the policy. Invariants: a broken policy is a
//! list of errors with places, never a panic; a requirement passes only where every flow that it asks for is proved to
//! pass for every client.

mod answer;
mod ask;
mod cause;
mod check;
mod clients;
mod fixes;
mod judged;
mod networks;
mod outcome;
mod parameters;
mod parse;
mod schema;
mod setting;
mod syntax;
mod tell;
mod test;
mod witness;
mod words;

use crate::config::{Facts, Files, Input, Kind, Reading};
use crate::model::Ranges;
use crate::source::{Sources, Span};

pub(crate) use ask::any_interface;
pub use check::judge;
pub use networks::Networks;
pub use parameters::did_you_mean;
pub(crate) use parameters::network;
pub(crate) use parse::fields;
pub use parse::parse;
pub use schema::schema;
pub use syntax::{
    Alternative, Breadth, Condition, Demand, Destination, Expected, Layered, Parameter,
    ParameterKind, ParameterValue, Policy, PolicyTest, Probe, ProbeGroup, Reach, Requirement,
    Resolve, Service, SettingDemand, SettingTest, Summary, TestConfig,
};
pub use test::test;
pub(crate) use witness::{accepted_at, witness};
pub(crate) use words::{cidrs, few};

/// The policies that come with the program: name and text.
pub const BUILTINS: &[(&str, &str)] = &[("chime", include_str!("../rules/chime.yaml"))];

/// What is wrong with a policy, a parameter or a network file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyError {
    /// The place; `None` for values that come from the command line.
    pub span: Option<Span>,
    /// In words, no full stop.
    pub message: String,
    /// What to do (`did you mean "clients"?`).
    pub help: Option<String>,
}

/// One config, read.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its file.
    pub input: Input<'a>,
    /// Its dialect.
    pub kind: &'static Kind,
    /// Why it was taken for that kind.
    pub why: &'a str,
    /// What was read.
    pub reading: &'a Reading,
    /// What is known of it alone.
    pub own: Own<'a>,
}

/// What is known of one config alone: it goes before what the context says of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own<'a> {
    /// Facts for its reader, those for all configs among them.
    pub facts: Option<&'a Facts>,
    /// Its clients.
    pub clients: Option<&'a DeclaredClients>,
}

/// Clients as they were written, and what they cover.
pub type DeclaredClients = (Vec<String>, Ranges);

/// What judging needs beside policies and configs.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// For lines and text.
    pub sources: &'a Sources,
    /// For reading a config again with a fix applied.
    pub files: &'a dyn Files,
    /// As given to the readers.
    pub facts: &'a Facts,
    /// Clients declared on the command line or in the project's config.
    pub clients: Option<&'a DeclaredClients>,
    /// Whether fixes are looked for.
    pub fixes: bool,
}

impl<'a> Context<'a> {
    /// The context of one config.
    #[must_use]
    pub fn of_one(&self, own: Own<'a>) -> Self {
        Self {
            facts: own.facts.unwrap_or(self.facts),
            clients: own.clients.or(self.clients),
            ..*self
        }
    }
}

/// A builtin policy, added to the sources; `None` where there is none with this name.
pub fn builtin(
    sources: &Sources,
    name: &str,
    networks: &Networks,
) -> Option<Result<Policy, Vec<PolicyError>>> {
    let (name, text) = BUILTINS.iter().find(|(known, _)| *known == name)?;
    let file = sources
        .add(format!("builtin:{name}"), text.as_bytes().to_vec())
        .ok()?;
    Some(parse(sources, file, networks))
}

/// What `gatelint test` tells of one policy test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The test's name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// What was not as expected, each in one line; empty where the test passes.
    pub problems: Vec<String>,
}

/// What `gatelint test` tells of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestReport {
    /// In the order of the file.
    pub results: Vec<TestResult>,
    /// Requirements that no test shows failing.
    pub without_failing_test: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_policy_is_read_without_an_error() {
        for (name, _) in BUILTINS {
            let sources = Sources::new();
            let policy = builtin(&sources, name, &Networks::embedded()).unwrap();
            let errors: Vec<String> = policy
                .err()
                .unwrap_or_default()
                .iter()
                .map(|error| {
                    let line = error.span.map(|span| sources.line(span));
                    format!("{line:?} {error} {:?}", error.help)
                })
                .collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
    #[test]
    fn every_builtin_policy_holds_its_own_tests() {
        for (name, _) in BUILTINS {
            let sources = Sources::new();
            let policy = builtin(&sources, name, &Networks::embedded()).unwrap();
            let told = test(&policy.unwrap(), &crate::config::NoFiles);
            assert!(!told.results.is_empty());
            let problems: Vec<_> = told
                .results
                .iter()
                .filter(|result| !result.problems.is_empty())
                .collect();
            assert!(problems.is_empty(), "{problems:#?}");
            assert!(told.without_failing_test.is_empty());
        }
    }
}
