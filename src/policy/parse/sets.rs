//! In: the `sets` of a policy. Out: named networks, domains and services, references resolved.

use std::collections::BTreeMap;

use super::super::parameters::{did_you_mean, network};
use super::super::{Networks, Service};
use super::fields::{self, Fields, Problems};
use crate::model::{Ranges, Tunnel};
use crate::source::Spanned;
use crate::yaml::{Node, Yaml};

/// The named sets of a policy.
#[derive(Debug, Default)]
pub(super) struct Sets {
    networks: BTreeMap<String, Vec<Item<Ranges>>>,
    domains: BTreeMap<String, Vec<Item<Domain>>>,
    services: BTreeMap<String, Vec<Item<Service>>>,
    /// Some set names published ranges.
    pub(super) published: bool,
}

/// A domain pattern of a set.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    /// `*.example.test`.
    pub(super) name: String,
    /// Published as needed, wider than what is known to be used.
    pub(super) wider: bool,
}

/// One entry of a set.
#[derive(Debug, Clone)]
enum Item<T> {
    Value(T),
    Name(Spanned<String>),
}

pub(super) fn read(yaml: Option<&Yaml>, networks: &Networks, problems: &mut Problems) -> Sets {
    let mut sets = Sets::default();
    let Some(fields) = yaml.and_then(|yaml| {
        Fields::new(
            yaml,
            "`sets`",
            &["networks", "domains", "services"],
            problems,
        )
    }) else {
        return sets;
    };
    if let Some(yaml) = fields.get("networks") {
        for (name, value) in fields::entries(yaml, problems) {
            let items = network_items(value, networks, &mut sets.published, problems);
            sets.networks.insert(name.value.clone(), items);
        }
    }
    if let Some(yaml) = fields.get("domains") {
        for (name, value) in fields::entries(yaml, problems) {
            let items = domain_items(value, problems);
            sets.domains.insert(name.value.clone(), items);
        }
    }
    if let Some(yaml) = fields.get("services") {
        for (name, value) in fields::entries(yaml, problems) {
            let items = service_items(value, problems);
            sets.services.insert(name.value.clone(), items);
        }
    }
    // A set that nothing names is still checked.
    sets.check(problems);
    sets
}

impl Sets {
    fn check(&self, problems: &mut Problems) {
        check_all(&self.networks, "network set", problems);
        check_all(&self.domains, "domain set", problems);
        check_all(&self.services, "service", problems);
    }

    pub(super) fn networks(&self, names: &[Spanned<String>], problems: &mut Problems) -> Ranges {
        names
            .iter()
            .flat_map(|name| match network(&name.value) {
                Some(ranges) => vec![ranges],
                None => resolve(&self.networks, name, "network set", problems),
            })
            .fold(Ranges::empty(), |all, part| all.union(&part))
    }

    pub(super) fn domains(
        &self,
        names: &[Spanned<String>],
        problems: &mut Problems,
    ) -> Vec<Domain> {
        names
            .iter()
            .flat_map(|name| {
                if name.value.contains('.') {
                    domain(name, false, problems).into_iter().collect()
                } else {
                    resolve(&self.domains, name, "domain set", problems)
                }
            })
            .collect()
    }

    pub(super) fn services(
        &self,
        names: &[Spanned<String>],
        problems: &mut Problems,
    ) -> Vec<Service> {
        names
            .iter()
            .flat_map(|name| {
                if name.value.contains('/') {
                    service(name, DEFAULT_LENGTH, Tunnel::Https, problems)
                        .into_iter()
                        .collect()
                } else {
                    resolve(&self.services, name, "service", problems)
                }
            })
            .collect()
    }
}

fn check_all<T: Clone>(sets: &BTreeMap<String, Vec<Item<T>>>, what: &str, problems: &mut Problems) {
    for items in sets.values() {
        for item in items {
            if let Item::Name(name) = item {
                let before = problems.list.len();
                resolve(sets, name, what, problems);
                if problems.list.len() > before {
                    return;
                }
            }
        }
    }
}

/// The values behind a name; names are followed as deep as there are sets.
fn resolve<T: Clone>(
    sets: &BTreeMap<String, Vec<Item<T>>>,
    name: &Spanned<String>,
    what: &str,
    problems: &mut Problems,
) -> Vec<T> {
    let mut values = Vec::new();
    let first: Item<T> = Item::Name(name.clone());
    let mut open = vec![(&first, 0)];
    while let Some((item, depth)) = open.pop() {
        let name = match item {
            Item::Value(value) => {
                values.push(value.clone());
                continue;
            }
            Item::Name(name) => name,
        };
        let Some(items) = sets.get(&name.value) else {
            let known: Vec<&String> = sets.keys().collect();
            problems.with_help(
                name.span,
                format!("there is no {what} `{}`", name.value),
                did_you_mean(&name.value, &known),
            );
            continue;
        };
        if depth > sets.len() {
            problems.at(
                name.span,
                format!("{what} `{}` names itself, over other sets", name.value),
            );
            return Vec::new();
        }
        // In the order of the file: the last one put in is looked at first.
        open.extend(items.iter().rev().map(|item| (item, depth + 1)));
        // A set that names two others at every level would grow without bound.
        if open.len() > 10_000 || values.len() > 1_000_000 {
            problems.at(name.span, format!("{what} `{}` is too large", name.value));
            return Vec::new();
        }
    }
    values
}

fn network_items(
    yaml: &Yaml,
    networks: &Networks,
    published: &mut bool,
    problems: &mut Problems,
) -> Vec<Item<Ranges>> {
    if let Node::Map(_) = &yaml.value {
        let Some(fields) = Fields::new(yaml, "a network set", &["aws-service"], problems) else {
            return Vec::new();
        };
        let Some(name) = fields.required("aws-service", problems) else {
            return Vec::new();
        };
        *published = true;
        return fields::words(name, problems)
            .iter()
            .filter_map(|word| {
                let ranges = networks.service(&word.value);
                if ranges.is_none() {
                    problems.with_help(
                        word.span,
                        format!("no published ranges are known for service `{}`", word.value),
                        did_you_mean(&word.value, &networks.names()),
                    );
                }
                ranges.map(|ranges| Item::Value(ranges.clone()))
            })
            .collect();
    }
    fields::words(yaml, problems)
        .into_iter()
        .filter_map(|word| match network(&word.value) {
            Some(ranges) => Some(Item::Value(ranges)),
            None if word.value.contains(['/', '.', ':']) => {
                problems.at(word.span, format!("`{}` is no network", word.value));
                None
            }
            None => Some(Item::Name(word)),
        })
        .collect()
}

fn domain_items(yaml: &Yaml, problems: &mut Problems) -> Vec<Item<Domain>> {
    let (names, wider) = if let Node::Map(_) = &yaml.value {
        let Some(fields) = Fields::new(yaml, "a domain set", &["names", "wider"], problems) else {
            return Vec::new();
        };
        let mut words = |name: &str| {
            fields
                .get(name)
                .map_or_else(Vec::new, |yaml| fields::words(yaml, problems))
        };
        (words("names"), words("wider"))
    } else {
        (fields::words(yaml, problems), Vec::new())
    };
    let narrow = names.into_iter().map(|word| (word, false));
    let wide = wider.into_iter().map(|word| (word, true));
    narrow
        .chain(wide)
        .filter_map(|(word, wider)| {
            if word.value.contains('.') {
                domain(&word, wider, problems).map(Item::Value)
            } else {
                Some(Item::Name(word))
            }
        })
        .collect()
}

/// `*.example.test` or `example.test`.
fn domain(word: &Spanned<String>, wider: bool, problems: &mut Problems) -> Option<Domain> {
    let name = word.value.to_ascii_lowercase();
    let host = name.strip_prefix("*.").unwrap_or(&name);
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if host.len() > 253 || !host.split('.').all(fits) {
        problems.with_help(
            word.span,
            format!("`{}` is no domain", word.value),
            "write `*.example.com` or `www.example.com`".to_owned(),
        );
        return None;
    }
    Some(Domain { name, wider })
}

/// The longest IP packet on Ethernet, RFC 894.
const DEFAULT_LENGTH: u16 = 1500;

fn service_items(yaml: &Yaml, problems: &mut Problems) -> Vec<Item<Service>> {
    let (ports, length, carries) = if let Node::Map(_) = &yaml.value {
        let Some(fields) = Fields::new(
            yaml,
            "a service",
            &["ports", "max-length", "carries"],
            problems,
        ) else {
            return Vec::new();
        };
        let length = fields
            .get("max-length")
            .and_then(|yaml| fields::number(yaml, problems))
            .and_then(|number| u16::try_from(number).ok())
            .unwrap_or(DEFAULT_LENGTH);
        let carries = fields
            .get("carries")
            .map_or(Some(Tunnel::Https), |yaml| carried(yaml, problems));
        let Some(carries) = carries else {
            return Vec::new();
        };
        let ports = fields
            .required("ports", problems)
            .map_or_else(Vec::new, |yaml| fields::words(yaml, problems));
        (ports, length, carries)
    } else {
        (fields::words(yaml, problems), DEFAULT_LENGTH, Tunnel::Https)
    };
    ports
        .into_iter()
        .filter_map(|word| {
            if word.value.contains('/') {
                service(&word, length, carries, problems).map(Item::Value)
            } else {
                Some(Item::Name(word))
            }
        })
        .collect()
}

/// `https`, `wss` or `tls`.
fn carried(yaml: &Yaml, problems: &mut Problems) -> Option<Tunnel> {
    let word = fields::text(yaml, problems)?;
    let known = Tunnel::parse(&word);
    if known.is_none() {
        problems.with_help(
            yaml.span,
            format!("`{word}` is nothing that a tunnel carries"),
            "write `https`, `wss` or `tls`".to_owned(),
        );
    }
    known
}

/// `udp/3478`, `tcp/5000-5010`.
fn service(
    word: &Spanned<String>,
    max_length: u16,
    carries: Tunnel,
    problems: &mut Problems,
) -> Option<Service> {
    let parsed = word.value.split_once('/').and_then(|(protocol, ports)| {
        let protocol = match protocol {
            "tcp" => 6,
            "udp" => 17,
            _ => return None,
        };
        let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
        let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
        let ports = Ranges::between(u128::from(low), u128::from(high));
        (!ports.is_empty()).then_some((protocol, ports))
    });
    let Some((protocol, ports)) = parsed else {
        problems.with_help(
            word.span,
            format!("`{}` is no service", word.value),
            "write `udp/3478` or `tcp/5000-5010`".to_owned(),
        );
        return None;
    };
    Some(Service {
        protocol,
        ports,
        max_length,
        carries,
        text: word.value.clone(),
    })
}
