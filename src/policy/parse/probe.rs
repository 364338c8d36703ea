//! In: the value of `fetch`. Out: groups of probes: what a page must be able to load.
//!
//! `[PROBE]` or `{any-of: [{name, probes: [PROBE]}]}`; a probe is `{connect: URL}` or, without a URL, `worker-wasm`.

use super::super::parameters::did_you_mean;
use super::super::{Probe, ProbeGroup};
use super::fields::{self, Fields, Problems};
use crate::model::Resource;
use crate::source::Spanned;
use crate::yaml::{Node, Yaml};

pub(super) fn probe_groups(yaml: &Yaml, problems: &mut Problems) -> Vec<ProbeGroup> {
    if let Node::List(_) = &yaml.value {
        return vec![ProbeGroup {
            name: String::new(),
            probes: probes(yaml, problems),
            prefer: Vec::new(),
        }];
    }
    let Some(fields) = Fields::new(yaml, "`fetch`", &["any-of", "probes", "prefer"], problems)
    else {
        return Vec::new();
    };
    let Some(any_of) = fields.get("any-of") else {
        return group(&fields, problems).into_iter().collect();
    };
    fields::list(any_of, problems)
        .iter()
        .filter_map(|item| {
            let known = ["name", "probes", "prefer"];
            let fields = Fields::new(item, "a group of probes", &known, problems)?;
            group(&fields, problems)
        })
        .collect()
}

fn group(fields: &Fields<'_>, problems: &mut Problems) -> Option<ProbeGroup> {
    let must = fields.required("probes", problems)?;
    Some(ProbeGroup {
        name: fields.text("name", problems).unwrap_or_default(),
        probes: probes(must, problems),
        prefer: fields
            .get("prefer")
            .map_or_else(Vec::new, |yaml| probes(yaml, problems)),
    })
}

fn probes(yaml: &Yaml, problems: &mut Problems) -> Vec<Probe> {
    fields::list(yaml, problems)
        .iter()
        .filter_map(|item| probe(item, problems))
        .collect()
}

fn probe(yaml: &Yaml, problems: &mut Problems) -> Option<Probe> {
    let (kind, url) = match &yaml.value {
        Node::Map(entries) => {
            let [(key, value)] = entries.as_slice() else {
                problems.at(yaml.span, "a probe is one `kind: URL`");
                return None;
            };
            (key.clone(), fields::text(value, problems)?)
        }
        Node::Scalar(word) => (Spanned::new(word.clone(), yaml.span), String::new()),
        Node::Null | Node::List(_) => {
            problems.at(yaml.span, "a probe is `kind: URL`, or a kind without a URL");
            return None;
        }
    };
    let Some(resource) = Resource::from_word(&kind.value) else {
        let words = Resource::WORDS.map(|(_, word)| word);
        let message = format!("`{}` is nothing that a page loads", kind.value);
        problems.with_help(kind.span, message, did_you_mean(&kind.value, &words));
        return None;
    };
    let probe = url_of(resource, &url);
    if probe.is_none() {
        problems.with_help(
            yaml.span,
            format!("`{url}` is no URL of a probe"),
            "write `https://*.example.com`, `wss://host/path`, or `blob:`".to_owned(),
        );
    }
    probe
}

fn url_of(resource: Resource, url: &str) -> Option<Probe> {
    let bare = |scheme: &str| Probe {
        resource,
        url: url.to_owned(),
        scheme: scheme.to_owned(),
        host: None,
        port: 0,
        path: None,
    };
    if url.is_empty() {
        return Some(bare(""));
    }
    if let Some(scheme) = ["blob", "data"]
        .into_iter()
        .find(|scheme| url.strip_prefix(scheme) == Some(":"))
    {
        return Some(bare(scheme));
    }
    let (scheme, rest) = url.split_once("://")?;
    let default = match scheme {
        "https" | "wss" => 443,
        "http" | "ws" => 80,
        _ => return None,
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(format!("/{path}"))),
        None => (rest, None),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, default),
    };
    (!host.is_empty()).then(|| Probe {
        host: Some(host.to_ascii_lowercase()),
        port,
        path,
        ..bare(scheme)
    })
}
