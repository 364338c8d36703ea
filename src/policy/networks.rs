//! In: a file of published address ranges: the project's own form, or AWS's `ip-ranges.json` as it is downloaded. Out:
//! the ranges of every service by name, and their date.
//!
//! `ip-ranges.json` is described at <https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::PolicyError;
use super::parameters::network;
use super::words::{cidrs, few};
use crate::model::Ranges;
use crate::source::{FileId, Sources, Span};
use crate::yaml::{self, Node, Yaml};

/// The published address ranges that policies name by service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// When they were published.
    pub date: Option<String>,
    services: BTreeMap<String, Ranges>,
}

/// The snapshot that comes with the program.
const EMBEDDED: &str = include_str!("../../rules/aws-networks.yaml");

impl Networks {
    /// The snapshot that comes with the program.
    pub fn embedded() -> Self {
        let sources = Sources::new();
        sources
            .add("builtin:aws-networks", EMBEDDED.as_bytes().to_vec())
            .ok()
            .and_then(|file| Self::read(&sources, file).ok())
            .unwrap_or_default()
    }

    /// Reads a network file: the project's own form, or a downloaded `ip-ranges.json`.
    pub fn read(sources: &Sources, file: FileId) -> Result<Self, Vec<PolicyError>> {
        let bytes = &sources.file(file).bytes;
        let text = String::from_utf8_lossy(bytes);
        if text.trim_start().starts_with('{') {
            return published(&text)
                .map_err(|message| vec![problem(Span::new(file, 0, 0), message)]);
        }
        let tree = yaml::read(file, &text).map_err(|error| {
            vec![problem(
                error.span,
                format!("this is not YAML: {}", error.value),
            )]
        })?;
        own_form(&tree)
    }

    /// The ranges of a service; `None` where the file does not have it.
    pub fn service(&self, name: &str) -> Option<&Ranges> {
        self.services.get(name)
    }

    /// The services, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.services.keys().map(String::as_str).collect()
    }

    /// What became of a service's ranges, in words.
    pub fn change(&self, old: &Self, service: &str) -> String {
        let none = Ranges::empty();
        let [new, old] = [self, old].map(|all| all.service(service).unwrap_or(&none));
        let parts: Vec<String> = [("added", new.minus(old)), ("gone", old.minus(new))]
            .into_iter()
            .filter(|(_, ranges)| !ranges.is_empty())
            .map(|(word, ranges)| format!("{word} {}", few(&cidrs(&ranges))))
            .collect();
        if parts.is_empty() {
            "as before".to_owned()
        } else {
            parts.join("; ")
        }
    }

    /// The file's text in the project's own form, with these services only.
    pub fn to_yaml(&self, services: &[&str]) -> String {
        let mut text = format!(
            "create-date: {}\nsource: https://ip-ranges.amazonaws.com/ip-ranges.json\nservices:\n",
            self.date.as_deref().unwrap_or("unknown")
        );
        for (name, ranges) in &self.services {
            if !services.contains(&name.as_str()) {
                continue;
            }
            let v4 = cidrs(&ranges.intersect(&Ranges::ipv4())).join(", ");
            let v6 = cidrs(&ranges.intersect(&Ranges::ipv6())).join(", ");
            // Writing to a String cannot fail.
            let _ = write!(text, "  {name}:\n    ipv4: [{v4}]\n    ipv6: [{v6}]\n");
        }
        text
    }
}

fn problem(span: Span, message: impl Into<String>) -> PolicyError {
    PolicyError {
        span: Some(span),
        message: message.into(),
        help: Some(
            "give `rules/aws-networks.yaml`'s form, or `ip-ranges.json` as AWS publishes it"
                .to_owned(),
        ),
    }
}

fn own_form(tree: &Yaml) -> Result<Networks, Vec<PolicyError>> {
    let mut problems = Vec::new();
    let mut networks = Networks::default();
    let Node::Map(top) = &tree.value else {
        return Err(vec![problem(tree.span, "expected a mapping")]);
    };
    for (key, value) in top {
        match (key.value.as_str(), &value.value) {
            ("create-date", Node::Scalar(date)) => networks.date = Some(date.clone()),
            ("sync-token" | "source", Node::Scalar(_)) => {}
            ("services", Node::Map(services)) => {
                for (name, families) in services {
                    let ranges = families_of(families, &mut problems);
                    networks.services.insert(name.value.clone(), ranges);
                }
            }
            (other, _) => problems.push(problem(key.span, format!("`{other}` is not understood"))),
        }
    }
    if networks.services.is_empty() {
        problems.push(problem(tree.span, "the file names no service"));
    }
    if problems.is_empty() {
        Ok(networks)
    } else {
        Err(problems)
    }
}

fn families_of(families: &Yaml, problems: &mut Vec<PolicyError>) -> Ranges {
    let Node::Map(families) = &families.value else {
        problems.push(problem(families.span, "expected `ipv4` and `ipv6`"));
        return Ranges::empty();
    };
    let mut all = Vec::new();
    for (family, list) in families {
        let ("ipv4" | "ipv6", Node::List(items)) = (family.value.as_str(), &list.value) else {
            problems.push(problem(
                family.span,
                "expected a list under `ipv4` or `ipv6`",
            ));
            continue;
        };
        for item in items {
            let ranges = match &item.value {
                Node::Scalar(text) => network(text),
                Node::Null | Node::List(_) | Node::Map(_) => None,
            };
            match ranges {
                Some(ranges) => all.extend(ranges.ranges().iter().copied()),
                None => problems.push(problem(item.span, "this is no network")),
            }
        }
    }
    Ranges::from_unsorted(all)
}

#[derive(Deserialize)]
struct Published {
    #[serde(rename = "createDate")]
    date: Option<String>,
    #[serde(default)]
    prefixes: Vec<Prefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<Prefix>,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    network: String,
    service: String,
}

fn published(text: &str) -> Result<Networks, String> {
    let file: Published = serde_json::from_str(text)
        .map_err(|error| format!("this is not an `ip-ranges.json`: {error}"))?;
    let mut services: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for prefix in file.prefixes.iter().chain(&file.ipv6_prefixes) {
        let ranges = network(&prefix.network)
            .ok_or_else(|| format!("`{}` is no network", prefix.network))?;
        services
            .entry(prefix.service.clone())
            .or_default()
            .extend(ranges.ranges().iter().copied());
    }
    if services.is_empty() {
        return Err("the file names no service".to_owned());
    }
    Ok(Networks {
        date: file.date,
        services: services
            .into_iter()
            .map(|(name, ranges)| (name, Ranges::from_unsorted(ranges)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Networks, Vec<PolicyError>> {
        let sources = Sources::new();
        let file = sources.add("n", text.as_bytes().to_vec()).unwrap();
        Networks::read(&sources, file)
    }

    #[test]
    fn the_snapshot_has_its_date_and_services() {
        let networks = Networks::embedded();
        assert!(networks.date.is_some());
        let meetings = networks.service("CHIME_MEETINGS").unwrap();
        assert!(meetings.contains(crate::model::address("99.77.191.255".parse().unwrap())));
        assert!(!meetings.contains(crate::model::address("99.77.192.0".parse().unwrap())));
        assert!(networks.service("CLOUDFRONT").unwrap().ranges().len() > 100);
    }

    #[test]
    fn a_downloaded_file_gives_the_same_and_survives_the_own_form() {
        let json = r#"{"syncToken": "1", "createDate": "2026-01-02-03-04-05", "prefixes": [
            {"ip_prefix": "192.0.2.0/25", "region": "x", "service": "A", "network_border_group": "x"},
            {"ip_prefix": "192.0.2.128/25", "region": "x", "service": "A", "network_border_group": "x"}],
            "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "x", "service": "A"}]}"#;
        let networks = read(json).unwrap();
        assert_eq!(networks.service("A").unwrap().ranges().len(), 2);
        assert!(networks.to_yaml(&["A"]).contains("ipv4: [192.0.2.0/24]"));
        assert_eq!(read(&networks.to_yaml(&["A"])).unwrap(), networks);
        let old = read("services: {A: {ipv4: [192.0.2.0/23]}}").unwrap();
        assert_eq!(
            networks.change(&old, "A"),
            "added 2001:db8::/32; gone 192.0.3.0/24"
        );
        assert_eq!(old.change(&old, "A"), "as before");
    }

    #[test]
    fn what_is_no_network_file_is_an_error() {
        for text in [
            "",
            "{}",
            "{\"prefixes\": 1}",
            "services: {A: {ipv4: [x]}}",
            "a: b",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
