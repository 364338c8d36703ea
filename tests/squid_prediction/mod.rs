//! In: a squid.conf, its files, and the requests of one oracle job. Out: what gatelint predicts for each.

#![expect(
    clippy::expect_used,
    reason = "a test fails by panicking, and these are its own inputs"
)]

use std::collections::BTreeMap;

use gatelint::config::{self, Facts, Files, Input, Opened, Reading};
use gatelint::model::Layer;
use gatelint::source::{FileId, Sources};
use gatelint::trace::{self, Answer, Certainty, Request};
use serde_json::{Map, Value, json};

/// A prediction, in the oracle's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Predicted {
    Allow,
    Deny {
        challenge: bool,
    },
    DoesNotStart,
    /// With the reasons.
    Undecided(Vec<String>),
}

/// What a job's probes share.
#[derive(Debug, Default)]
pub(crate) struct Job<'a> {
    pub(crate) conf: &'a str,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) names: Map<String, Value>,
    pub(crate) ptr: Map<String, Value>,
    pub(crate) now: Option<String>,
    pub(crate) external: Option<String>,
    pub(crate) facts: Facts,
}

/// A config that was read.
pub(crate) struct Read {
    pub(crate) sources: Sources,
    pub(crate) reading: Reading,
}

/// Names that the oracle resolves by default.
const DEFAULT_NAMES: &[(&str, &str)] = &[
    ("*.chime.aws", "99.77.130.1"),
    ("chime.aws", "99.77.130.2"),
    ("*.sdkassets.chime.aws", "13.224.10.1"),
    ("*.amazonaws.com", "52.94.10.1"),
    ("*.example.com", "93.184.216.34"),
    ("example.com", "93.184.216.34"),
    ("*.example.org", "93.184.216.35"),
    ("localhost", "127.0.0.1"),
];

struct MapFiles<'a> {
    sources: &'a Sources,
    files: &'a BTreeMap<String, String>,
}

impl Files for MapFiles<'_> {
    fn open(&self, _: FileId, name: &str) -> Opened {
        let Some(text) = self.files.get(name) else {
            return Opened::Missing;
        };
        let bytes = text.as_bytes().to_vec();
        let file = self.sources.add(name, bytes.clone()).expect("small");
        Opened::Found {
            file,
            bytes: bytes.into(),
        }
    }

    fn glob(&self, from: FileId, pattern: &str) -> Vec<(String, Opened)> {
        let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
        self.files
            .keys()
            .filter(|name| name.starts_with(before) && name.ends_with(after))
            .map(|name| (name.clone(), self.open(from, name)))
            .collect()
    }
}

impl Job<'_> {
    /// Reads the config. Like the oracle, a config without a port gets one.
    pub(crate) fn read(&self) -> Read {
        let sources = Sources::new();
        let has_port = self
            .conf
            .lines()
            .any(|line| line.trim_start().starts_with("http_port"));
        let mut text = self.conf.to_owned();
        if !has_port {
            text.push_str("\nhttp_port 3128\n");
        }
        let file = sources
            .add("squid.conf", text.as_bytes().to_vec())
            .expect("small");
        let input = Input {
            file,
            path: "squid.conf",
            bytes: text.as_bytes(),
        };
        let files = MapFiles {
            sources: &sources,
            files: &self.files,
        };
        let kind = config::kind("squid").expect("is a kind");
        let reading = (kind.read)(&input, &files, &self.facts);
        Read { sources, reading }
    }

    /// One probe in the fields of a trace request.
    pub(crate) fn request(&self, probe: &Value) -> Request {
        let mut fields = probe.as_object().expect("an object").clone();
        let method = fields.get("method").and_then(Value::as_str);
        if method.is_some_and(|method| method != "CONNECT") {
            let scheme = fields.get("scheme").and_then(Value::as_str);
            let port = match scheme.unwrap_or("http") {
                "https" => 443,
                "ftp" => 21,
                _ => 80,
            };
            fields.entry("scheme").or_insert(json!("http"));
            fields.entry("port").or_insert(json!(port));
            fields.entry("path").or_insert(json!("/"));
        } else {
            fields.insert("path".to_owned(), json!(""));
        }
        fields.entry("src").or_insert(json!("127.0.0.1"));
        fields.entry("ua").or_insert(json!("oracle/1"));
        fields.entry("listen").or_insert(json!(0));
        let mut names: Map<String, Value> = DEFAULT_NAMES
            .iter()
            .map(|(name, address)| ((*name).to_owned(), json!(address)))
            .collect();
        names.extend(self.names.clone());
        let host = probe["host"].as_str().unwrap_or_default();
        if !resolves(&names, host) {
            names.insert(host.to_owned(), json!([]));
        }
        fields.insert("names".to_owned(), Value::Object(names));
        fields.insert("ptr".to_owned(), Value::Object(self.ptr.clone()));
        if let Some(now) = &self.now {
            fields.insert("now".to_owned(), json!(now));
        }
        let external = self.external.as_deref().unwrap_or("ERR");
        fields.insert("external".to_owned(), json!(external));
        Request::from_value(Layer::Proxy, Value::Object(fields)).expect("a proxy request")
    }
}

/// Whether the oracle's resolver has an answer.
fn resolves(names: &Map<String, Value>, host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let above = |name: &str| {
        name.split_once('.')
            .map(|(_, parent)| format!("*.{parent}"))
    };
    let mut patterns = vec![name.to_owned()];
    let mut parent = name;
    while let Some(pattern) = above(parent) {
        patterns.push(pattern);
        parent = parent.split_once('.').map_or("", |(_, rest)| rest);
    }
    patterns.iter().any(|pattern| names.contains_key(pattern))
}

impl Read {
    /// What the gate does with one request.
    pub(crate) fn predict(&self, request: &Request) -> Predicted {
        let answer = self.answer(request);
        match (answer.verdict, answer.effect) {
            (Certainty::Allowed, _) => Predicted::Allow,
            (Certainty::Denied, _) if self.refused() => Predicted::DoesNotStart,
            (Certainty::Denied, effect) => Predicted::Deny {
                challenge: effect == Some("challenge"),
            },
            (Certainty::Undecided, _) => Predicted::Undecided(
                answer
                    .reasons
                    .iter()
                    .map(|reason| format!("{}: {}", reason.code, reason.text))
                    .collect(),
            ),
        }
    }

    /// Whether Squid refuses the config.
    pub(crate) fn refused(&self) -> bool {
        self.reading.findings.iter().any(|finding| finding.refuses)
    }

    /// The whole answer.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        trace::answer(&self.sources, &self.reading.gates, request)
    }
}
