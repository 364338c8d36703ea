//! In: what settings must be, and what a config sets. Out: an outcome with the lines that decide.

use super::{SettingDemand, SettingTest};
use crate::config::{Reading, Setting, SettingValue};
use crate::finding::{Label, LabelRole, Outcome, Reason};

/// What came of the settings of one requirement.
#[derive(Debug)]
pub(super) struct Settings {
    /// The worst outcome.
    pub(super) outcome: Outcome,
    /// What is possible, where it is undecided.
    pub(super) between: Vec<Outcome>,
    /// The setting that decided.
    pub(super) name: String,
    /// What is wrong, as a clause.
    pub(super) detail: String,
    /// The line that decides.
    pub(super) primary: Option<Label>,
    /// Lines that look as if they did.
    pub(super) related: Vec<Label>,
    /// What an undecided outcome waits for.
    pub(super) reasons: Vec<Reason>,
    /// What was taken for granted.
    pub(super) assumptions: Vec<String>,
}

/// Judges all demands; `None` where the config has none of the settings, or they do not apply.
pub(super) fn settings(demands: &[SettingDemand], reading: &Reading) -> Option<Settings> {
    let mut worst: Option<Settings> = None;
    for demand in demands {
        for setting in reading.settings.iter().filter(|s| s.name == demand.name) {
            let Some(next) = one(demand, setting) else {
                continue;
            };
            match &mut worst {
                Some(known) if known.outcome >= next.outcome => {
                    known.assumptions.extend(next.assumptions);
                }
                Some(_) | None => {
                    let before = worst.map_or_else(Vec::new, |known| known.assumptions);
                    worst = Some(next);
                    if let Some(known) = &mut worst {
                        known.assumptions.splice(0..0, before);
                    }
                }
            }
        }
    }
    worst
}

fn one(demand: &SettingDemand, setting: &Setting) -> Option<Settings> {
    let mut assumptions = Vec::new();
    let (outcome, between) = match (demand.must, &setting.value) {
        (_, SettingValue::NotApplicable) => return None,
        (_, SettingValue::Unknown(_)) => (Outcome::Undecided, vec![Outcome::Pass, Outcome::Fail]),
        (_, SettingValue::PassesThrough) => {
            assumptions.push(format!(
                "{} is passed through as clients ask for it: their own stub's file decides",
                setting.title()
            ));
            (Outcome::Pass, Vec::new())
        }
        (SettingTest::Enabled, SettingValue::On) | (SettingTest::Disabled, SettingValue::Off) => {
            (Outcome::Pass, Vec::new())
        }
        (SettingTest::Within { must, should }, SettingValue::Number(number)) => {
            (within(*number, must, should), Vec::new())
        }
        (
            SettingTest::Enabled | SettingTest::Disabled | SettingTest::Within { .. },
            SettingValue::On | SettingValue::Off | SettingValue::Number(_),
        ) => (Outcome::Fail, Vec::new()),
    };
    let reasons = match &setting.value {
        SettingValue::Unknown(missing) => vec![Reason {
            code: "fact".to_owned(),
            text: missing.clone(),
            span: setting.span,
        }],
        SettingValue::On
        | SettingValue::Off
        | SettingValue::Number(_)
        | SettingValue::PassesThrough
        | SettingValue::NotApplicable => Vec::new(),
    };
    let label = |span| Label {
        span,
        role: LabelRole::Decides,
        text: setting.why.clone(),
    };
    let ignored = setting.ignored.iter().map(|line| Label {
        span: line.span,
        role: LabelRole::Ignored,
        text: line.value.clone(),
    });
    Some(Settings {
        outcome,
        between,
        name: setting.name.to_owned(),
        detail: detail(setting),
        primary: setting.span.map(label),
        related: ignored.collect(),
        reasons,
        assumptions,
    })
}

/// What the setting does, and why.
fn detail(setting: &Setting) -> String {
    if setting.effect.is_empty() {
        format!("{}: {}", setting.title(), setting.why)
    } else {
        format!("{} ({})", setting.effect, setting.why)
    }
}

fn within(number: u64, must: (u64, u64), should: (u64, u64)) -> Outcome {
    let inside = |(low, high): (u64, u64)| low <= number && number <= high;
    match (inside(must), inside(should)) {
        (false, _) => Outcome::Fail,
        (true, false) => Outcome::Degraded,
        (true, true) => Outcome::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SettingValue::{NotApplicable, Number, Off, On, PassesThrough, Unknown};

    fn reading(values: &[(&'static str, SettingValue)]) -> Reading {
        Reading {
            settings: values
                .iter()
                .map(|(name, value)| Setting {
                    effect: String::new(),
                    name,
                    value: value.clone(),
                    span: None,
                    why: "a test".to_owned(),
                    ignored: Vec::new(),
                })
                .collect(),
            ..Reading::default()
        }
    }

    #[test]
    fn the_worst_setting_decides() {
        let demands = [
            SettingDemand {
                name: "x".to_owned(),
                must: SettingTest::Enabled,
            },
            SettingDemand {
                name: "size".to_owned(),
                must: SettingTest::Within {
                    must: (513, u64::MAX),
                    should: (1220, 1432),
                },
            },
        ];
        let outcome = |values: &[(&'static str, SettingValue)]| {
            settings(&demands, &reading(values)).map(|settings| settings.outcome)
        };
        assert_eq!(outcome(&[]), None);
        assert_eq!(outcome(&[("x", NotApplicable)]), None);
        assert_eq!(outcome(&[("x", On)]), Some(Outcome::Pass));
        assert_eq!(outcome(&[("x", Off)]), Some(Outcome::Fail));
        assert_eq!(outcome(&[("x", PassesThrough)]), Some(Outcome::Pass));
        assert_eq!(
            outcome(&[("x", On), ("size", Number(1200))]),
            Some(Outcome::Degraded)
        );
        assert_eq!(
            outcome(&[("x", On), ("size", Number(512))]),
            Some(Outcome::Fail)
        );
        assert_eq!(
            outcome(&[("x", Unknown("y".to_owned())), ("size", Number(1232))]),
            Some(Outcome::Undecided)
        );
    }
}
