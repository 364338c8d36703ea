//! In: nothing. Out: the keys of `gatelint.yaml`, for its reader and for its JSON Schema.

use serde_json::{Map, Value, json};

use crate::config::KINDS;

/// What may stand at a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One text.
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    /// The name of a kind.
    Kind,
    /// A day: `2027-03-31`.
    Day,
    /// One text or a list of texts.
    Texts,
    /// Free names, each with one text or a list of texts.
    Named,
    /// A list of mappings with these keys.
    List(&'static [Key]),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) shape: Shape,
    about: &'static str,
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key {
        name,
        is_required: false,
        shape,
        about,
    }
}

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key {
        is_required: true,
        ..key(name, shape, about)
    }
}

pub(super) const FAIL_ON: &[&str] = &["error", "warning", "info", "never"];
pub(super) const ROLES: &[&str] = &["host", "gateway"];

/// The top of the file.
pub(super) const PROJECT: &[Key] = &[
    key(
        "extends",
        Shape::Texts,
        "policies: builtin:chime, builtin:chime@VERSION to pin its content, or paths",
    ),
    key(
        "set",
        Shape::Named,
        "parameters of the policies: clients: [javascript, ios]",
    ),
    key(
        "facts",
        Shape::Named,
        "what no file tells, for all configs: squid.version: 5.7",
    ),
    key(
        "clients",
        Shape::Texts,
        "the clients' networks, where not those are meant that each config serves",
    ),
    key(
        "fail-on",
        Shape::Word(FAIL_ON),
        "from what severity on a run ends with 1",
    ),
    key("targets", Shape::List(TARGET), "what single configs are"),
    key(
        "baseline",
        Shape::Text,
        "findings of an earlier day that are not held against a run",
    ),
    key(
        "networks",
        Shape::Text,
        "address ranges that policies name, as `gatelint networks update` writes them",
    ),
    key(
        "exceptions",
        Shape::List(EXCEPTION),
        "findings that are accepted on purpose",
    ),
];

/// One of `targets`.
pub(super) const TARGET: &[Key] = &[
    required("path", Shape::Text, "the file, from the project's folder"),
    key(
        "kind",
        Shape::Kind,
        "its kind, where the content does not tell",
    ),
    key("role", Shape::Word(ROLES), "whether it routes for others"),
    key("facts", Shape::Named, "facts of this config alone"),
    key("clients", Shape::Texts, "the clients of this config alone"),
];

/// One of `exceptions`.
pub(super) const EXCEPTION: &[Key] = &[
    required("rule", Shape::Text, "chime/media, or chime for all of it"),
    key(
        "target",
        Shape::Text,
        "PATH or PATH#GATE; any where not given",
    ),
    required("reason", Shape::Text, "why it is accepted"),
    required("owner", Shape::Text, "who answers for it"),
    required("expires", Shape::Day, "the last day on which it counts"),
];

/// The names of keys.
pub(super) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// The JSON Schema (draft 2020-12) of `gatelint.yaml`, pretty-printed, with a line feed at its end.
pub fn schema() -> String {
    let mut top = mapping(PROJECT);
    top.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    top.insert("title".to_owned(), json!("gatelint.yaml"));
    format!("{:#}\n", Value::Object(top))
}

fn mapping(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let mut value = of(key.shape);
            value.insert("description".to_owned(), json!(key.about));
            (key.name.to_owned(), Value::Object(value))
        })
        .collect();
    let needed: Vec<&str> = keys
        .iter()
        .filter(|key| key.is_required)
        .map(|key| key.name)
        .collect();
    object(json!({
        "type": "object",
        "additionalProperties": false,
        "required": needed,
        "properties": properties,
    }))
}

fn of(shape: Shape) -> Map<String, Value> {
    let scalar = json!({"type": ["string", "number", "boolean"]});
    let scalars = json!({"anyOf": [scalar, {"type": "array", "items": scalar}]});
    object(match shape {
        Shape::Text => scalar,
        Shape::Word(words) => json!({"enum": words}),
        Shape::Kind => json!({"enum": KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>()}),
        Shape::Day => json!({"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"}),
        Shape::Texts => scalars,
        Shape::Named => json!({"type": "object", "additionalProperties": scalars}),
        Shape::List(keys) => json!({"type": "array", "items": mapping(keys)}),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}
