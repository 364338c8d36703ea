//! In: the value of `setting`. Out: what settings must be.
//!
//! `{NAME: enabled | disabled | {at-least, at-most, prefer-at-least, prefer-at-most}}`; bounds are inclusive, the
//! preferred ones degrade.

use super::super::parameters::did_you_mean;
use super::super::{SettingDemand, SettingTest};
use super::fields::{self, Fields, Problems};
use crate::yaml::{Node, Yaml};

pub(super) fn settings(yaml: &Yaml, problems: &mut Problems) -> Vec<SettingDemand> {
    fields::entries(yaml, problems)
        .iter()
        .filter_map(|(name, value)| {
            let must = setting_test(value, problems)?;
            Some(SettingDemand {
                name: name.value.clone(),
                must,
            })
        })
        .collect()
}

fn setting_test(yaml: &Yaml, problems: &mut Problems) -> Option<SettingTest> {
    if let Node::Scalar(word) = &yaml.value {
        return match word.as_str() {
            "enabled" => Some(SettingTest::Enabled),
            "disabled" => Some(SettingTest::Disabled),
            other => {
                let message = format!("`{other}` is nothing that a setting can be");
                let help = did_you_mean(other, &["enabled", "disabled"]);
                problems.with_help(yaml.span, message, help);
                None
            }
        };
    }
    let known = ["at-least", "at-most", "prefer-at-least", "prefer-at-most"];
    let fields = Fields::new(yaml, "a setting", &known, problems)?;
    let mut bound = |name: &str| {
        fields
            .get(name)
            .and_then(|yaml| fields::number(yaml, problems))
    };
    let must = (
        bound("at-least").unwrap_or(0),
        bound("at-most").unwrap_or(u64::MAX),
    );
    let should = (
        bound("prefer-at-least").unwrap_or(must.0),
        bound("prefer-at-most").unwrap_or(must.1),
    );
    Some(SettingTest::Within { must, should })
}
