//! In: a report, or the text of a baseline. Out: the findings of one day by fingerprint, which later runs do not hold against
//! a config.
//!
//! A fingerprint is made of rule, target and the deciding line's text, never of line numbers: edits elsewhere keep it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::finding::{Report, Severity};

const SCHEMA: &str = "gatelint.baseline/v1";

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    schema: String,
    findings: Vec<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    rule: String,
    target: String,
    fingerprint: String,
}

impl Baseline {
    /// Everything that a report holds against its configs.
    pub fn of(report: &Report) -> Self {
        let told = report
            .results
            .iter()
            .filter(|finding| finding.severity > Severity::None);
        let findings: BTreeSet<Known> = told
            .map(|finding| Known {
                rule: finding.rule.clone(),
                target: finding.target.clone(),
                fingerprint: finding.fingerprint.clone(),
            })
            .collect();
        Self {
            schema: SCHEMA.to_owned(),
            findings: findings.into_iter().collect(),
        }
    }

    /// Reads one; an error says in words what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let baseline: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if baseline.schema == SCHEMA {
            Ok(baseline)
        } else {
            Err(format!(
                "`{}` is no schema of a baseline: expected `{SCHEMA}`",
                baseline.schema
            ))
        }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        // INVARIANT: strings and lists always have a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// How many findings it has.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Takes the severity of what was known, and says how much of it there is and how much is gone.
    pub fn apply(&self, report: &mut Report) {
        let known: BTreeSet<&str> = self
            .findings
            .iter()
            .map(|k| k.fingerprint.as_str())
            .collect();
        let mut met: BTreeSet<String> = BTreeSet::new();
        let mut count = 0_usize;
        for finding in &mut report.results {
            if finding.severity > Severity::None && known.contains(finding.fingerprint.as_str()) {
                finding.severity = Severity::None;
                met.insert(finding.fingerprint.clone());
                count += 1;
            }
        }
        let gone = known.len() - met.len();
        if !known.is_empty() {
            report.notes.push(format!(
                "baseline: {count} known findings are not held against this run, {gone} of its entries are gone"
            ));
        }
    }
}
