//! In: one item of `tests`. Out: the [`PolicyTest`].
//!
//! `{name, input: {kind, text | file}, set: {PARAMETER: VALUES}, facts: {NAME: VALUE}, expect: {ID: OUTCOME}}`, where an
//! expectation may also be `{outcome, line}`.

use super::super::parameters::{did_you_mean, value_of};
use super::super::{Expected, Parameter, PolicyTest, TestConfig};
use super::fields::{self, Fields, Problems};
use crate::yaml::{Node, Yaml};

pub(super) fn test(
    yaml: &Yaml,
    parameters: &[Parameter],
    ids: &[&str],
    problems: &mut Problems,
) -> Option<PolicyTest> {
    let known = ["name", "input", "set", "facts", "expect"];
    let fields = Fields::new(yaml, "a test", &known, problems)?;
    let name_yaml = fields.required("name", problems);
    let name = name_yaml.and_then(|yaml| fields::text(yaml, problems));
    let input = fields
        .required("input", problems)
        .and_then(|yaml| input(yaml, problems));
    let set = fields.get("set").map_or_else(Vec::new, |yaml| {
        fields::entries(yaml, problems)
            .iter()
            .filter_map(|(name, value)| {
                let Some(parameter) = parameters.iter().find(|p| p.name == name.value) else {
                    let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
                    let message = format!("there is no parameter `{}`", name.value);
                    problems.with_help(name.span, message, did_you_mean(&name.value, &known));
                    return None;
                };
                let words = fields::words(value, problems);
                let words: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
                if let Err(help) = value_of(&parameter.kind, &words) {
                    let message = format!("this is no value of parameter `{}`", name.value);
                    problems.with_help(value.span, message, help);
                }
                Some((name.value.clone(), words.join(",")))
            })
            .collect()
    });
    let facts = fields.get("facts").map_or_else(Vec::new, |yaml| {
        fields::entries(yaml, problems)
            .iter()
            .filter_map(|(name, value)| Some((name.value.clone(), fields::text(value, problems)?)))
            .collect()
    });
    let expect = fields
        .required("expect", problems)
        .map_or_else(Vec::new, |yaml| {
            fields::entries(yaml, problems)
                .iter()
                .filter_map(|(id, value)| {
                    if !ids.contains(&id.value.as_str()) {
                        let message = format!("there is no requirement `{}`", id.value);
                        problems.with_help(id.span, message, did_you_mean(&id.value, ids));
                    }
                    let (outcome, line) = expected(value, problems)?;
                    Some(Expected {
                        requirement: id.value.clone(),
                        outcome,
                        line,
                        span: id.span,
                    })
                })
                .collect()
        });
    let (kind, config) = input?;
    Some(PolicyTest {
        name: name?,
        span: name_yaml?.span,
        kind,
        config,
        set,
        facts,
        expect,
    })
}

fn input(yaml: &Yaml, problems: &mut Problems) -> Option<(String, TestConfig)> {
    let fields = Fields::new(yaml, "an input", &["kind", "text", "file"], problems)?;
    let kind_yaml = fields.required("kind", problems)?;
    let kind = fields::text(kind_yaml, problems)?;
    if crate::config::kind(&kind).is_none() {
        let known: Vec<&str> = crate::config::KINDS.iter().map(|kind| kind.name).collect();
        let message = format!("there is no kind `{kind}`");
        problems.with_help(kind_yaml.span, message, did_you_mean(&kind, &known));
    }
    match (fields.text("text", problems), fields.text("file", problems)) {
        (Some(text), None) => Some((kind, TestConfig::Text(text))),
        (None, Some(file)) => Some((kind, TestConfig::File(file))),
        (None, None) | (Some(_), Some(_)) => {
            problems.at(yaml.span, "an input has either `text` or `file`");
            None
        }
    }
}

fn expected(
    yaml: &Yaml,
    problems: &mut Problems,
) -> Option<(crate::finding::Outcome, Option<u32>)> {
    if let Node::Map(_) = &yaml.value {
        let fields = Fields::new(yaml, "an expectation", &["outcome", "line"], problems)?;
        let outcome = fields::outcome(fields.required("outcome", problems)?, problems)?;
        let line = fields
            .get("line")
            .and_then(|yaml| fields::number(yaml, problems))
            .and_then(|line| u32::try_from(line).ok());
        return Some((outcome, line));
    }
    Some((fields::outcome(yaml, problems)?, None))
}
