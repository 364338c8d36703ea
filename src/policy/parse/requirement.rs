//! In: one item of `requirements`. Out: the [`Requirement`].
//!
//! Keys: `id`, `title`, `when`, `severity`, `severity-when: [{when, severity}]`, `message`, `degraded`, `short`
//! (words by outcome for the answer in one line), `why`, `fix`, `refs` (names from `policy.refs`), `live-check`, and one of
//! - `reach: {from, to: {networks, domains, any-one, or-local}, service | alternatives, otherwise, breadth}`;
//!   an alternative is `{service, outcome, severity, pass-when, message, addresses: known|unknown}`
//! - `resolve: {names, types, optional, alias-of, answers}`, or a list of these
//! - `fetch: [PROBE]`, `{probes, prefer}` or `{any-of: [{name, probes, prefer}]}`; a probe is `{connect: URL}` or, without a
//!   URL, `worker-wasm`
//! - `setting: {NAME: enabled | disabled | {at-least, at-most, prefer-at-least, prefer-at-most}}`
//! - `forbid: {..}` like `reach`; `advice: true`
//!
//! `message`, `degraded`, `fix` and `live-check` are one text or `{packet, proxy, lookup, fetch}`; their placeholders are
//! `{to}` (the destination), `{region}` (the clients concerned), `{blocker}` (what decided, with its line), `{blocked}` (how:
//! dropped, refused ..), `{detail}` (what was asked), `{is}` ("is", or "are" where that is several), `{share}` and `{missing}` (of a destination reached in part).

use std::collections::BTreeMap;

use super::super::parameters::did_you_mean;
use super::super::{
    Alternative, Breadth, Condition, Demand, Destination, Layered, Parameter, ParameterKind, Reach,
    Requirement, Resolve,
};
use super::fields::{self, Fields, Problems};
use super::probe::probe_groups;
use super::sets::Sets;
use super::setting::settings;
use crate::finding::{Outcome, Severity};
use crate::model::Layer;
use crate::source::Spanned;
use crate::yaml::{Node, Yaml};

/// What a requirement may name.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) parameters: &'a [Parameter],
    pub(super) sets: &'a Sets,
    pub(super) refs: &'a BTreeMap<String, String>,
}

pub(in crate::policy) const KEYS: [&str; 18] = [
    "id",
    "title",
    "when",
    "severity",
    "severity-when",
    "message",
    "degraded",
    "short",
    "why",
    "fix",
    "refs",
    "live-check",
    "reach",
    "resolve",
    "fetch",
    "setting",
    "forbid",
    "advice",
];

pub(super) fn requirement(
    yaml: &Yaml,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Requirement> {
    let fields = Fields::new(yaml, "a requirement", &KEYS, problems)?;
    let id_yaml = fields.required("id", problems);
    let id = id_yaml.and_then(|yaml| fields::identifier(yaml, problems));
    let title = fields
        .required("title", problems)
        .and_then(|yaml| fields::text(yaml, problems));
    let when = conditions(fields.get("when"), scope.parameters, problems);
    let severity = fields
        .get("severity")
        .and_then(|yaml| fields::severity(yaml, problems))
        .unwrap_or(Severity::Error);
    let severity_when = fields.get("severity-when").map_or_else(Vec::new, |yaml| {
        fields::list(yaml, problems)
            .iter()
            .filter_map(|item| {
                let case = Fields::new(item, "a severity", &["when", "severity"], problems)?;
                let when = conditions(case.required("when", problems), scope.parameters, problems);
                let severity = fields::severity(case.required("severity", problems)?, problems)?;
                Some((when, severity))
            })
            .collect()
    });
    let (mut message, mut severity) = (layered(&fields, "message", problems), severity);
    let demand = demand(&fields, scope, &mut message, &mut severity, problems);
    let short = fields.get("short").map_or_else(BTreeMap::new, |yaml| {
        let known = super::OUTCOMES.map(Outcome::word);
        Fields::new(yaml, "`short`", &known, problems).map_or_else(BTreeMap::new, |fields| {
            fields::outcome_words(&fields, problems)
        })
    });
    let links = links(&fields, scope.refs, problems);
    Some(Requirement {
        id: id?,
        title: title?,
        span: id_yaml?.span,
        when,
        severity,
        severity_when,
        demand: demand?,
        message,
        degraded_message: layered(&fields, "degraded", problems),
        short,
        why: fields.text("why", problems),
        fix: layered(&fields, "fix", problems),
        links,
        live_check: layered(&fields, "live-check", problems),
    })
}

fn demand(
    fields: &Fields<'_>,
    scope: &Scope<'_>,
    message: &mut Layered,
    severity: &mut Severity,
    problems: &mut Problems,
) -> Option<Demand> {
    let kinds = ["reach", "resolve", "fetch", "setting", "forbid", "advice"];
    let given: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    let [kind] = given.as_slice() else {
        let at = given.get(1).and_then(|kind| fields.key(kind));
        match at {
            Some(span) => problems.at(span, "a requirement demands one thing; make this its own"),
            None => {
                fields.required("reach", problems);
            }
        }
        return None;
    };
    let yaml = fields.get(kind)?;
    match *kind {
        "reach" => reach(yaml, scope, message, severity, problems).map(Demand::Reach),
        "forbid" => reach(yaml, scope, message, severity, problems).map(Demand::Forbid),
        "resolve" => {
            let items = match &yaml.value {
                Node::List(items) => items.as_slice(),
                Node::Null | Node::Scalar(_) | Node::Map(_) => std::slice::from_ref(yaml),
            };
            let lookups = items
                .iter()
                .filter_map(|item| resolve(item, scope, problems));
            Some(Demand::Resolve(lookups.collect()))
        }
        "fetch" => Some(Demand::Fetch(probe_groups(yaml, problems))),
        "setting" => Some(Demand::Setting(settings(yaml, problems))),
        _ => Some(Demand::Advice),
    }
}

fn reach(
    yaml: &Yaml,
    scope: &Scope<'_>,
    message: &mut Layered,
    severity: &mut Severity,
    problems: &mut Problems,
) -> Option<Reach> {
    let known = [
        "from",
        "to",
        "service",
        "alternatives",
        "otherwise",
        "breadth",
    ];
    let fields = Fields::new(yaml, "`reach`", &known, problems)?;
    if let Some(from) = fields.get("from") {
        check_from(from, scope.parameters, problems);
    }
    let to = fields
        .required("to", problems)
        .and_then(|yaml| destination(yaml, scope.sets, problems));
    let alternatives = match (fields.get("service"), fields.get("alternatives")) {
        (Some(yaml), None) => vec![Alternative {
            services: scope
                .sets
                .services(&fields::words(yaml, problems), problems),
            outcome: Outcome::Pass,
            severity: None,
            pass_when: None,
            message: None,
            addresses_unknown: false,
        }],
        (None, Some(yaml)) => fields::list(yaml, problems)
            .iter()
            .filter_map(|item| alternative(item, scope, problems))
            .collect(),
        (Some(yaml), Some(_)) => {
            problems.at(yaml.span, "give `service` or `alternatives`, not both");
            Vec::new()
        }
        (None, None) => {
            fields.required("service", problems);
            Vec::new()
        }
    };
    if let Some(yaml) = fields.get("otherwise")
        && let Some(otherwise) =
            Fields::new(yaml, "`otherwise`", &["severity", "message"], problems)
    {
        if let Some(yaml) = otherwise.get("severity") {
            *severity = fields::severity(yaml, problems).unwrap_or(*severity);
        }
        if let Some(text) = template(&otherwise, "message", problems) {
            message.any = Some(text);
        }
    }
    let breadth = fields.get("breadth").map_or(Breadth::All, |yaml| {
        let words = ["all", "any-large-part"];
        match fields::text(yaml, problems).as_deref() {
            Some("any-large-part") => Breadth::AnyLargePart,
            Some("all") | None => Breadth::All,
            Some(other) => {
                let message = format!("`{other}` is no breadth");
                problems.with_help(yaml.span, message, did_you_mean(other, &words));
                Breadth::All
            }
        }
    });
    Some(Reach {
        to: to?,
        alternatives,
        breadth,
    })
}

fn check_from(from: &Yaml, parameters: &[Parameter], problems: &mut Problems) {
    let Some(name) = fields::text(from, problems) else {
        return;
    };
    let known: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.kind == ParameterKind::Networks)
        .map(|parameter| parameter.name.as_str())
        .collect();
    if !known.contains(&name.as_str()) {
        let message = format!("`from` names a networks parameter; `{name}` is none");
        problems.with_help(from.span, message, did_you_mean(&name, &known));
    }
}

fn alternative(yaml: &Yaml, scope: &Scope<'_>, problems: &mut Problems) -> Option<Alternative> {
    let known = [
        "service",
        "outcome",
        "severity",
        "pass-when",
        "message",
        "addresses",
    ];
    let fields = Fields::new(yaml, "an alternative", &known, problems)?;
    let services = fields::words(fields.required("service", problems)?, problems);
    let addresses_unknown =
        fields
            .get("addresses")
            .is_some_and(|yaml| match fields::text(yaml, problems).as_deref() {
                Some("unknown") => true,
                Some("known") | None => false,
                Some(other) => {
                    let message = format!("`{other}` is neither `known` nor `unknown`");
                    problems.at(yaml.span, message);
                    false
                }
            });
    Some(Alternative {
        services: scope.sets.services(&services, problems),
        outcome: fields
            .get("outcome")
            .and_then(|yaml| fields::outcome(yaml, problems))
            .unwrap_or(Outcome::Pass),
        severity: fields
            .get("severity")
            .and_then(|yaml| fields::severity(yaml, problems)),
        pass_when: fields
            .get("pass-when")
            .map(|yaml| conditions(Some(yaml), scope.parameters, problems)),
        message: template(&fields, "message", problems),
        addresses_unknown,
    })
}

fn destination(yaml: &Yaml, sets: &Sets, problems: &mut Problems) -> Option<Destination> {
    let known = ["networks", "domains", "any-one", "or-local"];
    let fields = Fields::new(yaml, "`to`", &known, problems)?;
    let networks = fields
        .get("networks")
        .map_or_else(Vec::new, |yaml| fields::words(yaml, problems));
    let domains = fields
        .get("domains")
        .map_or_else(Vec::new, |yaml| fields::words(yaml, problems));
    let mut truth = |name: &str| {
        fields
            .get(name)
            .is_some_and(|yaml| fields::truth(yaml, problems))
    };
    let (any_one, or_local) = (truth("any-one"), truth("or-local"));
    let (names, wider) = names(sets, &domains, problems);
    Some(Destination {
        networks: sets.networks(&networks, problems),
        names,
        wider,
        any_one,
        or_local,
    })
}

fn names(
    sets: &Sets,
    domains: &[Spanned<String>],
    problems: &mut Problems,
) -> (Vec<String>, Vec<String>) {
    let (wider, names): (Vec<_>, Vec<_>) = sets
        .domains(domains, problems)
        .into_iter()
        .partition(|domain| domain.wider);
    let plain = |list: Vec<super::sets::Domain>| list.into_iter().map(|one| one.name).collect();
    (plain(names), plain(wider))
}

fn resolve(yaml: &Yaml, scope: &Scope<'_>, problems: &mut Problems) -> Option<Resolve> {
    let known = ["names", "types", "optional", "alias-of", "answers"];
    let fields = Fields::new(yaml, "`resolve`", &known, problems)?;
    let domains = fields::words(fields.required("names", problems)?, problems);
    let (names, wider) = names(scope.sets, &domains, problems);
    let mut types = |name: &str| {
        fields
            .get(name)
            .map_or_else(Vec::new, |yaml| record_types(yaml, problems))
    };
    let (types, optional) = (types("types"), types("optional"));
    let alias_of = fields
        .get("alias-of")
        .map_or_else(Vec::new, |yaml| fields::words(yaml, problems))
        .into_iter()
        .map(|word| word.value)
        .collect();
    let answers = fields.get("answers").map(|yaml| {
        let names = fields::words(yaml, problems);
        scope.sets.networks(&names, problems)
    });
    Some(Resolve {
        to: Destination {
            names,
            wider,
            ..Destination::default()
        },
        types: if types.is_empty() { vec![1] } else { types },
        optional,
        alias_of,
        answers,
    })
}

/// Record types, with their numbers in the IANA registry.
pub(in crate::policy) const RECORD_TYPES: [(&str, u16); 3] =
    [("A", 1), ("AAAA", 28), ("HTTPS", 65)];

fn record_types(yaml: &Yaml, problems: &mut Problems) -> Vec<u16> {
    fields::words(yaml, problems)
        .into_iter()
        .filter_map(|word| {
            let mut known = RECORD_TYPES.into_iter();
            let number = known.find(|(name, _)| *name == word.value);
            if number.is_none() {
                let message = format!("`{}` is no record type that is known here", word.value);
                let help = did_you_mean(&word.value, &RECORD_TYPES.map(|(name, _)| name));
                problems.with_help(word.span, message, help);
            }
            number.map(|(_, number)| number)
        })
        .collect()
}

/// `{clients: [a, b], features: c}`: every parameter has any of its words.
pub(super) fn conditions(
    yaml: Option<&Yaml>,
    parameters: &[Parameter],
    problems: &mut Problems,
) -> Vec<Condition> {
    let Some(yaml) = yaml else {
        return Vec::new();
    };
    fields::entries(yaml, problems)
        .iter()
        .filter_map(|(name, value)| {
            let Some(parameter) = parameters.iter().find(|p| p.name == name.value) else {
                let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
                let message = format!("there is no parameter `{}`", name.value);
                problems.with_help(name.span, message, did_you_mean(&name.value, &known));
                return None;
            };
            let any_of = fields::words(value, problems);
            let booleans = ["true".to_owned(), "false".to_owned()];
            let known: &[String] = match &parameter.kind {
                ParameterKind::Set(words) | ParameterKind::Enum(words) => words,
                ParameterKind::Boolean => &booleans,
                ParameterKind::Networks => {
                    problems.at(name.span, "networks are no condition");
                    return None;
                }
            };
            for word in &any_of {
                if !known.contains(&word.value) {
                    let message = format!("`{}` is no value of `{}`", word.value, parameter.name);
                    problems.with_help(word.span, message, did_you_mean(&word.value, known));
                }
            }
            Some(Condition {
                parameter: name.value.clone(),
                any_of: any_of.into_iter().map(|word| word.value).collect(),
            })
        })
        .collect()
}

fn links(
    fields: &Fields<'_>,
    refs: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Vec<String> {
    let words = fields
        .get("refs")
        .map_or_else(Vec::new, |yaml| fields::words(yaml, problems));
    words
        .into_iter()
        .filter_map(|word| {
            let link = refs.get(&word.value).cloned();
            if link.is_none() {
                let known: Vec<&String> = refs.keys().collect();
                let message = format!("`policy.refs` has no `{}`", word.value);
                problems.with_help(word.span, message, did_you_mean(&word.value, &known));
            }
            link
        })
        .collect()
}

/// The names that messages may use.
const PLACEHOLDERS: [&str; 8] = [
    "to", "region", "blocker", "blocked", "share", "missing", "detail", "is",
];

/// The words of layers in policies.
pub(in crate::policy) const LAYERS: [(&str, Layer); 4] = [
    ("packet", Layer::Packet),
    ("proxy", Layer::Proxy),
    ("lookup", Layer::Lookup),
    ("fetch", Layer::Fetch),
];

/// A text, or texts by layer.
fn layered(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Layered {
    let Some(yaml) = fields.get(name) else {
        return Layered::default();
    };
    if !matches!(yaml.value, Node::Map(_)) {
        return Layered {
            any: template(fields, name, problems),
            by: BTreeMap::new(),
        };
    }
    let words = LAYERS.map(|(word, _)| word);
    let Some(texts) = Fields::new(yaml, "a text by layer", &words, problems) else {
        return Layered::default();
    };
    let by = LAYERS
        .into_iter()
        .filter_map(|(word, layer)| Some((layer, template(&texts, word, problems)?)))
        .collect();
    Layered { any: None, by }
}

/// A field with `{placeholders}`.
fn template(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<String> {
    let yaml = fields.get(name)?;
    let text = fields::text(yaml, problems)?;
    for piece in text.split('{').skip(1) {
        let word = piece.split('}').next().unwrap_or_default();
        if !PLACEHOLDERS.contains(&word) {
            let message = format!("`{{{word}}}` is no placeholder");
            problems.with_help(yaml.span, message, did_you_mean(word, &PLACEHOLDERS));
        }
    }
    Some(text)
}
