//! In: the text of a policy. Out: the [`Policy`], or every error that was found, each with its place.
//!
//! The keys of `gatelint.policy/v1`:
//! - `policy: {id, title, version, refs: {NAME: URL}, relevant: [DOMAIN], familiar: [NAME]}`
//! - `parameters: {NAME: {type: set|enum|networks|boolean, of: [..], default: .., help: ..}}`; the engine itself reads
//!   the parameter `address-families` (words `ipv4`, `ipv6`) and the networks parameter that `from` names
//! - `sets: {networks, domains, services}`; a list item is a value or the name of another set of the same sort.
//!   Networks: `{aws-service: NAME}` or CIDRs. Domains: `[..]` or `{names: [..], wider: [..]}`, where `wider` is published
//!   as needed but wider than what is known to be used. Services: `[udp/3478]` or `{ports: [..], max-length: 1260,
//!   carries: https|wss|tls}`, where `carries` is what goes through a proxy's tunnel (HTTPS unless it says otherwise)
//! - `requirements: [..]`, see [`requirement`]; `summary: [{of, pass, degraded, undecided, fail}]`; `tests: [..]`
//!
//! One error does not hide the next: every list item and every key is read on its own. Invariant: a policy without an
//! error has no dangling reference and no key that was not understood.

pub(crate) mod fields;
mod probe;
mod requirement;
mod sets;
mod setting;
mod tests_section;

use std::collections::BTreeMap;

use super::parameters::{did_you_mean, value_of};
use super::{
    Networks, Parameter, ParameterKind, ParameterValue, Policy, PolicyError, Requirement, Summary,
};
use crate::finding::Outcome;
use crate::source::{FileId, Sources, Span};
use crate::yaml::{self, Node, Yaml};
use fields::{Fields, Problems};

#[cfg(test)]
pub(super) use requirement::KEYS;
pub(super) use requirement::{LAYERS, RECORD_TYPES};

const SCHEMA: &str = "gatelint.policy/v1";

/// Reads a policy.
pub fn parse(
    sources: &Sources,
    file: FileId,
    networks: &Networks,
) -> Result<Policy, Vec<PolicyError>> {
    let bytes = &sources.file(file).bytes;
    let mut problems = Problems::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = Span::new(file, error.valid_up_to(), error.valid_up_to() + 1);
            problems.at(at, "the policy is not UTF-8 from here on");
            return Err(problems.list);
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = match yaml::read(file, text) {
        Ok(tree) => tree,
        Err(error) => {
            problems.at(error.span, format!("this is not YAML: {}", error.value));
            return Err(problems.list);
        }
    };
    let policy = top(&tree, file, networks, &mut problems);
    match policy {
        Some(policy) if problems.list.is_empty() => Ok(policy),
        Some(_) | None => Err(problems.list),
    }
}

fn top(tree: &Yaml, file: FileId, networks: &Networks, problems: &mut Problems) -> Option<Policy> {
    let known = [
        "schema",
        "policy",
        "parameters",
        "sets",
        "requirements",
        "summary",
        "tests",
    ];
    let fields = Fields::new(tree, "a policy", &known, problems)?;
    if let Some(schema) = fields.required("schema", problems)
        && let Some(word) = fields::text(schema, problems)
        && word != SCHEMA
    {
        problems.with_help(
            schema.span,
            format!("`{word}` is no schema that this version reads"),
            format!("write `schema: {SCHEMA}`"),
        );
    }
    let head = fields
        .required("policy", problems)
        .and_then(|yaml| head(yaml, problems));
    let parameters = fields
        .get("parameters")
        .map_or_else(Vec::new, |yaml| parameters(yaml, problems));
    let sets = sets::read(fields.get("sets"), networks, problems);
    let refs = head
        .as_ref()
        .map_or_else(BTreeMap::new, |head| head.refs.clone());
    let scope = requirement::Scope {
        parameters: &parameters,
        sets: &sets,
        refs: &refs,
    };
    let requirements_yaml = fields.required("requirements", problems);
    let requirements =
        requirements_yaml.map_or_else(Vec::new, |yaml| requirements(yaml, &scope, problems));
    let ids = requirements_yaml.map_or_else(Vec::new, declared_ids);
    let summary = fields.get("summary").map_or_else(Vec::new, |yaml| {
        fields::list(yaml, problems)
            .iter()
            .filter_map(|item| summary(item, &ids, problems))
            .collect()
    });
    let tests = fields.get("tests").map_or_else(Vec::new, |yaml| {
        fields::list(yaml, problems)
            .iter()
            .filter_map(|item| tests_section::test(item, &parameters, &ids, problems))
            .collect()
    });
    let head = head?;
    Some(Policy {
        id: head.id,
        title: head.title,
        version: head.version,
        file,
        refs: head.refs,
        parameters,
        requirements,
        summary,
        relevant: head.relevant,
        familiar: head.familiar,
        tests,
        ranges_date: sets.published.then(|| networks.date.clone()).flatten(),
    })
}

struct Head {
    id: String,
    title: String,
    version: String,
    refs: BTreeMap<String, String>,
    relevant: Vec<String>,
    familiar: Vec<String>,
}

fn head(yaml: &Yaml, problems: &mut Problems) -> Option<Head> {
    let known = ["id", "title", "version", "refs", "relevant", "familiar"];
    let fields = Fields::new(yaml, "`policy`", &known, problems)?;
    let word = |name: &str, problems: &mut Problems| {
        fields
            .required(name, problems)
            .and_then(|yaml| fields::text(yaml, problems))
            .unwrap_or_default()
    };
    let id = fields
        .required("id", problems)
        .and_then(|yaml| fields::identifier(yaml, problems))
        .unwrap_or_default();
    let (title, version) = (word("title", problems), word("version", problems));
    let refs = fields.get("refs").map_or_else(BTreeMap::new, |yaml| {
        fields::entries(yaml, problems)
            .iter()
            .filter_map(|(name, value)| Some((name.value.clone(), fields::text(value, problems)?)))
            .collect()
    });
    let mut words = |name: &str| -> Vec<String> {
        fields
            .get(name)
            .map_or_else(Vec::new, |yaml| fields::words(yaml, problems))
            .into_iter()
            .map(|word| word.value)
            .collect()
    };
    let (relevant, familiar) = (words("relevant"), words("familiar"));
    Some(Head {
        id,
        title,
        version,
        refs,
        relevant,
        familiar,
    })
}

fn parameters(yaml: &Yaml, problems: &mut Problems) -> Vec<Parameter> {
    fields::entries(yaml, problems)
        .iter()
        .filter_map(|(name, value)| {
            let known = ["type", "of", "default", "help"];
            let fields = Fields::new(value, "a parameter", &known, problems)?;
            let of: Vec<String> = fields
                .get("of")
                .map_or_else(Vec::new, |yaml| fields::words(yaml, problems))
                .into_iter()
                .map(|word| word.value)
                .collect();
            let sort = fields.required("type", problems)?;
            let kind = match fields::text(sort, problems)?.as_str() {
                "set" => ParameterKind::Set(of),
                "enum" => ParameterKind::Enum(of),
                "networks" => ParameterKind::Networks,
                "boolean" => ParameterKind::Boolean,
                other => {
                    let words = ["set", "enum", "networks", "boolean"];
                    let message = format!("`{other}` is no type of parameter");
                    problems.with_help(sort.span, message, did_you_mean(other, &words));
                    return None;
                }
            };
            if let ParameterKind::Set(of) | ParameterKind::Enum(of) = &kind
                && of.is_empty()
            {
                problems.at(
                    name.span,
                    format!("parameter `{}` lists no values under `of`", name.value),
                );
            }
            let default = fields.required("default", problems)?;
            let words = fields::words(default, problems);
            let words: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
            let value = match value_of(&kind, &words) {
                Ok(value) => value,
                Err(help) => {
                    problems.with_help(
                        default.span,
                        format!("this is no value of parameter `{}`", name.value),
                        help,
                    );
                    ParameterValue::Networks(None)
                }
            };
            let help = fields
                .get("help")
                .and_then(|yaml| fields::text(yaml, problems));
            Some(Parameter {
                name: name.value.clone(),
                kind,
                value,
                help,
                span: name.span,
            })
        })
        .collect()
}

fn requirements(
    yaml: &Yaml,
    scope: &requirement::Scope<'_>,
    problems: &mut Problems,
) -> Vec<Requirement> {
    let mut read: Vec<Requirement> = Vec::new();
    for item in fields::list(yaml, problems) {
        let Some(requirement) = requirement::requirement(item, scope, problems) else {
            continue;
        };
        if read.iter().any(|other| other.id == requirement.id) {
            problems.at(
                requirement.span,
                format!("there is another requirement `{}`", requirement.id),
            );
        }
        read.push(requirement);
    }
    read
}

/// The ids of all requirements, also of those that have errors, so that one error does not make others.
fn declared_ids(yaml: &Yaml) -> Vec<&str> {
    let Node::List(items) = &yaml.value else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| match &item.value {
            Node::Map(entries) => entries.iter().find(|(key, _)| key.value == "id"),
            Node::Null | Node::Scalar(_) | Node::List(_) => None,
        })
        .filter_map(|(_, id)| match &id.value {
            Node::Scalar(id) => Some(id.as_str()),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        })
        .collect()
}

fn summary(yaml: &Yaml, ids: &[&str], problems: &mut Problems) -> Option<Summary> {
    let known = ["of", "pass", "degraded", "undecided", "fail"];
    let fields = Fields::new(yaml, "a summary", &known, problems)?;
    let of = fields::words(fields.required("of", problems)?, problems);
    for word in &of {
        if !ids.contains(&word.value.as_str()) {
            let message = format!("there is no requirement `{}`", word.value);
            problems.with_help(word.span, message, did_you_mean(&word.value, ids));
        }
    }
    let words = fields::outcome_words(&fields, problems);
    Some(Summary {
        of: of.into_iter().map(|word| word.value).collect(),
        words,
    })
}

/// The outcomes that words may be given for.
const OUTCOMES: [Outcome; 4] = [
    Outcome::Pass,
    Outcome::Degraded,
    Outcome::Undecided,
    Outcome::Fail,
];

/// What a node of the wrong shape is.
fn found(node: &Node) -> &'static str {
    node.what()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<(u32, String)> {
        let sources = Sources::new();
        let file = sources.add("p.yaml", text.as_bytes().to_vec()).unwrap();
        match parse(&sources, file, &Networks::embedded()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors
                .into_iter()
                .map(|error| {
                    let help = error
                        .help
                        .map_or_else(String::new, |help| format!(" ({help})"));
                    let span = error.span.expect("errors of a file have a place");
                    (sources.line(span), format!("{}{help}", error.message))
                })
                .collect(),
        }
    }

    const GOOD: &str = "schema: gatelint.policy/v1
policy: {id: p, title: P, version: 1.10, refs: {net: \"https://example.test/\"}}
parameters:
  clients: {type: set, of: [a, b], default: [a]}
  nets: {type: networks, default: undeclared}
sets:
  networks: {n: [192.0.2.0/24], all: [n, 198.51.100.1]}
  domains: {d: [\"*.example.test\"]}
  services: {web: [tcp/443]}
requirements:
  - id: r
    title: R
    when: {clients: [a]}
    reach: {from: nets, to: {networks: all, domains: d}, service: web}
    refs: net
  - {id: s, title: S, setting: {x.y: enabled, x.size: {at-least: 513, prefer-at-least: 1220}}}
  - {id: f, title: F, fetch: [{connect: \"wss://*.example.test\"}, worker-wasm, {worker: \"blob:\"}]}
tests:
  - name: one
    input: {kind: squid, text: \"x\"}
    set: {clients: b}
    expect: {r: fail, s: {outcome: pass, line: 3}}
";

    #[test]
    fn a_good_policy_is_read_whole() {
        assert_eq!(errors(GOOD), vec![]);
        let sources = Sources::new();
        let file = sources.add("p.yaml", GOOD.as_bytes().to_vec()).unwrap();
        let policy = parse(&sources, file, &Networks::embedded()).unwrap();
        assert_eq!(policy.version, "1.10");
        assert_eq!(policy.requirements.len(), 3);
        assert_eq!(policy.requirements[0].links, ["https://example.test/"]);
        let super::super::Demand::Reach(reach) = &policy.requirements[0].demand else {
            panic!("a reach")
        };
        assert_eq!(reach.to.networks.count(), 257);
        assert_eq!(policy.tests[0].expect.len(), 2);
    }

    #[test]
    fn several_errors_come_in_one_run_each_with_its_line() {
        let text = GOOD
            .replace("title: R\n", "titel: R\n")
            .replace("clients: [a]}\n    reach", "client: [a]}\n    reach")
            .replace("type: networks", "type: network")
            .replace("worker-wasm", "worker-wams")
            .replace("r: fail", "rr: fail");
        let found = errors(&text);
        let lines: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
        for line in [5, 12, 13, 17, 22] {
            assert!(lines.contains(&line), "{line}: {found:#?}");
        }
        assert!(
            found
                .iter()
                .any(|(_, text)| text.contains("did you mean `title`?")),
            "{found:#?}"
        );
    }

    #[test]
    fn unknown_references_and_cycles_are_errors() {
        let found = errors(&GOOD.replace("networks: all,", "networks: al,"));
        assert!(found[0].1.contains("did you mean `all`?"), "{found:?}");
        let found = errors(&GOOD.replace("n: [192.0.2.0/24]", "n: [all]"));
        assert!(found[0].1.contains("names itself"), "{found:?}");
        let found = errors(&GOOD.replace("{n: [192.0.2.0/24],", "{n: {aws-service: NOPE},"));
        assert!(found[0].1.contains("NOPE"), "{found:?}");
    }

    #[test]
    fn any_bytes_give_errors_and_never_a_panic() {
        for text in [
            "",
            "\0",
            "[]",
            "a",
            "- - -",
            "schema: x\n",
            "{",
            "? ? ?",
            "&a [*a]",
        ] {
            assert!(!errors(text).is_empty(), "{text:?}");
        }
    }
}
