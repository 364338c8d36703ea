//! In: nothing. Out: the JSON Schema of policies, for editors. It holds the shape; references between parts (sets,
//! parameters, ids) are checked by `policy check` only.

use serde_json::{Value, json};

use super::parse::{LAYERS, RECORD_TYPES};
use crate::config::KINDS;
use crate::finding::{Outcome, Severity};
use crate::model::{Resource, Tunnel};

/// The JSON Schema (draft 2020-12) of `gatelint.policy/v1`, pretty-printed, with a line feed at its end.
pub fn schema() -> String {
    let mut top = object(
        json!({
            "schema": {"const": "gatelint.policy/v1"},
            "policy": head(),
            "parameters": {"type": "object", "additionalProperties": parameter()},
            "sets": sets(),
            "requirements": {"type": "array", "items": requirement()},
            "summary": {"type": "array", "items": object(json!({
                "of": words(), "pass": scalar(), "degraded": scalar(), "undecided": scalar(), "fail": scalar(),
            }), &["of"])},
            "tests": {"type": "array", "items": test()},
        }),
        &["schema", "policy", "requirements"],
    );
    if let Value::Object(top) = &mut top {
        let draft = json!("https://json-schema.org/draft/2020-12/schema");
        top.insert("$schema".to_owned(), draft);
        top.insert("title".to_owned(), json!("a policy of gatelint"));
    }
    format!("{top:#}\n")
}

/// A mapping with these keys and no others.
fn object(properties: Value, required: &[&str]) -> Value {
    let mut object = json!({"type": "object", "additionalProperties": false, "required": required});
    if let Value::Object(map) = &mut object {
        map.insert("properties".to_owned(), properties);
    }
    object
}

fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// One word or a list of words.
fn words() -> Value {
    one_or_many(&scalar())
}

fn one_or_many(one: &Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "items": one}]})
}

fn free(of: &Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

fn id() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9-]+$"})
}

fn severity() -> Value {
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    json!({"enum": severities.map(Severity::word)})
}

fn outcome() -> Value {
    let outcomes = [
        Outcome::Pass,
        Outcome::Degraded,
        Outcome::Fail,
        Outcome::Undecided,
        Outcome::NotApplicable,
    ];
    json!({"enum": outcomes.map(Outcome::word)})
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn head() -> Value {
    object(
        json!({
            "id": id(), "title": scalar(), "version": scalar(), "refs": free(&scalar()),
            "relevant": words(), "familiar": words(),
        }),
        &["id", "title", "version"],
    )
}

fn parameter() -> Value {
    object(
        json!({
            "type": {"enum": ["set", "enum", "networks", "boolean"]}, "of": words(), "default": words(), "help": scalar(),
        }),
        &["type", "default"],
    )
}

fn sets() -> Value {
    let networks = object(json!({"aws-service": words()}), &["aws-service"]);
    let domains = object(json!({"names": words(), "wider": words()}), &[]);
    let services = object(
        json!({"ports": words(), "max-length": number(), "carries": {"enum": Tunnel::WORDS.map(|(_, word)| word)}}),
        &["ports"],
    );
    let of = |one: Value| free(&json!({"anyOf": [words(), one]}));
    object(
        json!({"networks": of(networks), "domains": of(domains), "services": of(services)}),
        &[],
    )
}

fn requirement() -> Value {
    let demands = ["reach", "resolve", "fetch", "setting", "forbid", "advice"];
    let mut requirement = object(
        json!({
            "id": id(), "title": scalar(), "when": when(), "severity": severity(),
            "severity-when": {"type": "array", "items":
                object(json!({"when": when(), "severity": severity()}), &["when", "severity"])},
            "message": layered(), "degraded": layered(), "short": object(json!({
                "pass": scalar(), "degraded": scalar(), "undecided": scalar(), "fail": scalar(),
            }), &[]),
            "why": scalar(), "fix": layered(), "refs": words(), "live-check": layered(),
            "reach": reach(), "forbid": reach(), "resolve": one_or_many(&resolve()), "fetch": fetch(),
            "setting": free(&setting()), "advice": {},
        }),
        &["id", "title"],
    );
    if let Value::Object(map) = &mut requirement {
        let one = demands.map(|name| json!({"required": [name]}));
        map.insert("oneOf".to_owned(), json!(one));
    }
    requirement
}

fn when() -> Value {
    free(&words())
}

/// A text, or texts by layer.
fn layered() -> Value {
    let by = LAYERS.map(|(word, _)| (word.to_owned(), scalar()));
    let by = Value::Object(by.into_iter().collect());
    json!({"anyOf": [scalar(), object(by, &[])]})
}

fn reach() -> Value {
    let to = object(
        json!({
            "networks": words(), "domains": words(), "any-one": {"type": "boolean"}, "or-local": {"type": "boolean"},
        }),
        &[],
    );
    let alternative = object(
        json!({
            "service": words(), "outcome": outcome(), "severity": severity(), "pass-when": when(),
            "message": scalar(), "addresses": {"enum": ["known", "unknown"]},
        }),
        &["service"],
    );
    let mut reach = object(
        json!({
            "from": scalar(), "to": to, "service": words(),
            "alternatives": {"type": "array", "items": alternative},
            "otherwise": object(json!({"severity": severity(), "message": scalar()}), &[]),
            "breadth": {"enum": ["all", "any-large-part"]},
        }),
        &["to"],
    );
    if let Value::Object(map) = &mut reach {
        let one = ["service", "alternatives"].map(|name| json!({"required": [name]}));
        map.insert("oneOf".to_owned(), json!(one));
    }
    reach
}

fn resolve() -> Value {
    let types = || one_or_many(&json!({"enum": RECORD_TYPES.map(|(word, _)| word)}));
    object(
        json!({
            "names": words(), "types": types(), "optional": types(), "alias-of": words(), "answers": words(),
        }),
        &["names"],
    )
}

fn fetch() -> Value {
    let kinds = Resource::WORDS.map(|(_, word)| word);
    let probe = json!({"anyOf": [
        {"enum": kinds},
        {"type": "object", "propertyNames": {"enum": kinds}, "additionalProperties": scalar(),
         "minProperties": 1, "maxProperties": 1},
    ]});
    let probes = json!({"type": "array", "items": probe});
    let group = object(
        json!({"name": scalar(), "probes": probes, "prefer": probes}),
        &["probes"],
    );
    let several = object(
        json!({"any-of": {"type": "array", "items": group}}),
        &["any-of"],
    );
    let alone = object(json!({"probes": probes, "prefer": probes}), &["probes"]);
    json!({"anyOf": [probes, several, alone]})
}

fn setting() -> Value {
    let bounds = object(
        json!({
            "at-least": number(), "at-most": number(), "prefer-at-least": number(), "prefer-at-most": number(),
        }),
        &[],
    );
    json!({"anyOf": [{"enum": ["enabled", "disabled"]}, bounds]})
}

fn test() -> Value {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut input = object(
        json!({"kind": {"enum": kinds}, "text": scalar(), "file": scalar()}),
        &["kind"],
    );
    if let Value::Object(map) = &mut input {
        let one = ["text", "file"].map(|name| json!({"required": [name]}));
        map.insert("oneOf".to_owned(), json!(one));
    }
    let line = object(
        json!({"outcome": outcome(), "line": number()}),
        &["outcome"],
    );
    object(
        json!({
            "name": scalar(), "input": input, "set": free(&words()), "facts": free(&scalar()),
            "expect": free(&json!({"anyOf": [outcome(), line]})),
        }),
        &["name", "input", "expect"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_have_the_keys_that_are_read() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let one = &schema["properties"]["requirements"]["items"];
        let mut keys: Vec<&str> = crate::policy::parse::KEYS.to_vec();
        keys.sort_unstable();
        let known = one["properties"].as_object().unwrap();
        let mut known: Vec<&str> = known.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, keys);
    }
}
