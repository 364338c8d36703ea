//! In: what a requirement demands, and a gate. Out: the questions to ask the gate, or why there is none.
//!
//! A demand has several faces: a packet filter is asked for addresses, a proxy and a resolver for names, a browser for
//! what it loads. A gate of another layer is not asked.
//!
//! The shape of the packets: the first TCP packet is a pure SYN with a maximum segment size of 536 to 9000; the time to
//! live is at least 32; packets have up to 1500 bytes; source ports are the ephemeral ones, 1024-65535 (RFC 6335, 6).
//! Words that a question does not give are not known, and tests on them undecided.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::words::{cidrs, few};
use super::{Alternative, Destination, ParameterValue, Policy, Probe, Resolve, Service};
use crate::model::{
    Conversation, Dim, Family, Flags, Gate, Guard, Lang, Question, Ranges, Resource, Role, Test,
    TextSpace,
};

/// One question with what it means.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// Without the client, which the group gives.
    pub(super) question: Question,
    /// The destination in words: `99.77.128.0/18`, `*.example.test`.
    pub(super) to: String,
    /// What is asked, in words: `UDP 3478 to 99.77.128.0/18`.
    pub(super) what: String,
    /// Whether its denial fails or degrades the requirement.
    pub(super) weight: Weight,
    /// Protocol and port, where it has them.
    pub(super) service: Option<(u8, u16)>,
    /// What a page loads, where it is that.
    pub(super) probe: Option<Probe>,
}

/// What a denial means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// The requirement is degraded.
    Should,
    /// The requirement fails.
    Must,
}

pub(super) const TCP: u8 = 6;
const UDP: u8 = 17;

/// The address families that the policy asks for.
pub(super) fn families(policy: &Policy) -> Ranges {
    let Some(ParameterValue::Words(words)) = policy
        .parameter("address-families")
        .map(|parameter| &parameter.value)
    else {
        return Ranges::ipv4();
    };
    let family = |word: &str, ranges: Ranges| {
        if words.contains(word) {
            ranges
        } else {
            Ranges::empty()
        }
    };
    family("ipv4", Ranges::ipv4()).union(&family("ipv6", Ranges::ipv6()))
}

/// The address families that the policy asks for and a gate's rules are loaded for.
pub(super) fn families_at(policy: &Policy, gate: &Gate) -> Ranges {
    let all = families(policy);
    match gate.family {
        Some(Family::V4) => all.intersect(&Ranges::ipv4()),
        Some(Family::V6) => all.intersect(&Ranges::ipv6()),
        None => all,
    }
}

/// Packets to the destination's addresses, one question per service.
pub(super) fn packets(
    policy: &Policy,
    gate: &Gate,
    to: &Destination,
    alternative: &Alternative,
) -> Vec<Ask> {
    let networks = to.networks.intersect(&families_at(policy, gate));
    if networks.is_empty() {
        return Vec::new();
    }
    let words = few(&cidrs(&networks));
    let mut asks = Vec::new();
    for service in &alternative.services {
        let mut ask = Ask {
            question: packet(gate, &networks, service),
            what: format!("{} to {words}", spoken(service)),
            to: words.clone(),
            weight: Weight::Must,
            service: port_of(service),
            probe: None,
        };
        if to.or_local {
            // The machine's own resolver answers on any of its addresses.
            let mut local = ask.clone();
            local.question.destination_is_local = Some(true);
            if gate.role == Some(Role::Host) {
                // What a machine sends to itself crosses the loopback.
                local
                    .question
                    .texts
                    .insert(Dim::OutInterface, TextSpace::one("lo"));
            }
            local.what = format!("{} to this machine", spoken(service));
            "this machine".clone_into(&mut local.to);
            asks.push(ask);
            ask = local;
        }
        asks.push(ask);
    }
    asks
}

/// One packet of a service, whoever sends it.
pub(super) fn packet(gate: &Gate, networks: &Ranges, service: &Service) -> Question {
    let between = Ranges::between;
    let tcp = service.protocol == TCP;
    let mut question = Question::default();
    let mut set = |dim, ranges| {
        question.numbers.insert(dim, ranges);
    };
    set(Dim::Destination, networks.clone());
    set(Dim::Protocol, Ranges::one(u128::from(service.protocol)));
    set(Dim::DestinationPort, service.ports.clone());
    set(Dim::SourcePort, between(1024, 65535));
    set(Dim::Ttl, between(32, 255));
    if tcp {
        set(Dim::TcpFlags, Ranges::one(u128::from(Flags::SYN)));
        set(Dim::Mss, between(536, 9000));
        set(Dim::Length, between(40, 80));
    } else {
        set(Dim::Length, between(28, u128::from(service.max_length)));
    }
    question.texts.insert(Dim::OutInterface, any_interface());
    question.existential.push(Dim::OutInterface);
    question.conversation = Conversation::Whole;
    question.destination_is_local = Some(false);
    question.source_is_local = Some(gate.role == Some(Role::Host));
    question
}

/// Every name that an interface may have but the loopback's (`dev_valid_name` in the kernel: 1 to 15 bytes, no slash,
/// colon or space).
pub(crate) fn any_interface() -> TextSpace {
    static NAMES: LazyLock<Lang> = LazyLock::new(|| {
        let lang = Lang::pattern(r"[!-.0-9;-~]{1,15}").unwrap_or_else(|_| Lang::any());
        lang.minus(&Lang::literal(b"lo")).unwrap_or(lang)
    });
    TextSpace {
        lang: NAMES.clone(),
        suffixes: Vec::new(),
        familiar: vec!["eth1".to_owned(), "eth0".to_owned()],
    }
}

/// CONNECT requests to the destination's names. Services over UDP are not asked of a proxy.
pub(super) fn connects(
    policy: &Policy,
    gate: &Gate,
    to: &Destination,
    alternative: &Alternative,
) -> Vec<Ask> {
    let known = to.networks.intersect(&families(policy));
    let addresses = if alternative.addresses_unknown || known.is_empty() {
        // Some public address: rules about private ones do not apply, rules about the networks may or may not.
        public()
    } else {
        known.clone()
    };
    let mut asks = Vec::new();
    for service in &alternative.services {
        if service.protocol != TCP {
            continue;
        }
        for (name, weight) in weighted(to) {
            asks.push(connect(name, service, addresses.clone(), weight));
        }
        // Clients use names: a rule that lets them through by today's addresses only is not to be relied on.
        if !alternative.addresses_unknown
            && !known.is_empty()
            && let Some(stranger) = stranger(gate)
        {
            for name in &to.names {
                let mut ask = connect(name, service, stranger.clone(), Weight::Should);
                ask.what = format!("{} (by name)", ask.what);
                asks.push(ask);
            }
        }
    }
    asks
}

/// A public address that no rule names; `None` where no rule tests the host's addresses.
fn stranger(gate: &Gate) -> Option<Ranges> {
    let mut named = Vec::new();
    let mut open: Vec<&Guard> = gate
        .chains
        .iter()
        .flat_map(|chain| chain.rules.iter().map(|rule| &rule.guard))
        .collect();
    while let Some(guard) = open.pop() {
        match guard {
            Guard::All(guards) | Guard::AnyOf(guards) => open.extend(guards),
            Guard::Not(guard) => open.push(guard),
            Guard::Is(Test::AnyAddress(ranges)) => named.push(ranges),
            Guard::Always | Guard::Is(_) | Guard::Unknown(_) => {}
        }
    }
    if named.is_empty() {
        return None;
    }
    let named = named.iter().flat_map(|ranges| ranges.ranges());
    let named = Ranges::from_unsorted(named.copied().collect());
    Ranges::min(&public().minus(&named)).map(Ranges::one)
}

/// One CONNECT request.
pub(super) fn connect(name: &str, service: &Service, addresses: Ranges, weight: Weight) -> Ask {
    let mut question = Question::default();
    let numbers = [
        (Dim::DestinationPort, service.ports.clone()),
        (Dim::HostIsAddress, Ranges::one(0)),
        // Only proxies that ask for no credentials can be used.
        (Dim::Credentials, Ranges::one(0)),
        (Dim::Tunnel, Ranges::one(service.carries as u128)),
    ];
    question.numbers.extend(numbers);
    let words = [
        (Dim::Host, host_space(name)),
        (Dim::Method, TextSpace::one("CONNECT")),
        (Dim::Scheme, TextSpace::one("")),
        (Dim::Path, TextSpace::one("")),
        (Dim::ReverseName, TextSpace::one("")),
    ];
    question.texts.extend(words);
    question.addresses = Some(addresses);
    // A client is configured with one of the proxy's ports.
    question.existential.push(Dim::Listener);
    let port = few(&ports(&service.ports));
    Ask {
        question,
        to: name.to_owned(),
        what: format!("CONNECT to {name}:{port}"),
        weight,
        service: port_of(service),
        probe: None,
    }
}

/// Lookups of the destination's names.
pub(super) fn lookups(policy: &Policy, resolve: &Resolve) -> Vec<Ask> {
    let answers = resolve.answers.clone().unwrap_or_else(public);
    let mut asks = Vec::new();
    for (kinds, weight) in [
        (&resolve.types, Weight::Must),
        (&resolve.optional, Weight::Should),
    ] {
        for kind in kinds {
            let family = match kind {
                28 => Ranges::ipv6(),
                _ => Ranges::ipv4(),
            };
            if weight == Weight::Should && !family.meets(&families(policy)) {
                continue;
            }
            for (name, worth) in weighted(&resolve.to) {
                asks.push(lookup(
                    name,
                    *kind,
                    answers.intersect(&family),
                    &resolve.alias_of,
                    weight.min(worth),
                ));
            }
        }
    }
    asks
}

/// One lookup.
pub(super) fn lookup(
    name: &str,
    kind: u16,
    answers: Ranges,
    alias_of: &[String],
    weight: Weight,
) -> Ask {
    let mut question = Question::default();
    question
        .numbers
        .insert(Dim::QueryType, Ranges::one(u128::from(kind)));
    question.texts.insert(Dim::Host, host_space(name));
    let alias = match alias_of {
        [] => TextSpace::one(""),
        [one] => host_space(one),
        [first, rest @ ..] => rest.iter().fold(host_space(first), |all, next| {
            let next = host_space(next);
            TextSpace {
                lang: all.lang.or(&next.lang).unwrap_or_else(|_| Lang::any()),
                suffixes: [all.suffixes, next.suffixes].concat(),
                familiar: Vec::new(),
            }
        }),
    };
    question.texts.insert(Dim::Alias, alias);
    question.addresses = Some(answers);
    // The stub's own file answers whether it sends EDNS0.
    question.fixed.insert("edns".to_owned(), true);
    let word = match kind {
        1 => "A",
        28 => "AAAA",
        _ => "record",
    };
    Ask {
        question,
        to: name.to_owned(),
        what: format!("{word} of {name}"),
        weight,
        service: None,
        probe: None,
    }
}

/// Paths of requests.
static PATHS: LazyLock<Lang> =
    LazyLock::new(|| Lang::pattern(r"/[!-\x22$->@-~]*").unwrap_or_else(|_| Lang::any()));

/// What a page loads.
pub(super) fn fetch(probe: &Probe, weight: Weight) -> Ask {
    let mut question = Question::default();
    question
        .numbers
        .insert(Dim::Resource, Ranges::one(probe.resource as u128));
    // What a library loads or makes carries no nonce of the page.
    question.fixed.insert("nonce".to_owned(), false);
    if !probe.url.is_empty() {
        question
            .texts
            .insert(Dim::Scheme, TextSpace::one(&probe.scheme));
        let path = match &probe.path {
            Some(path) => TextSpace::one(path),
            None if probe.host.is_none() => any_word(),
            None => TextSpace {
                // A path of a request: no query, which source lists never see (CSP3, 6.7.2.12).
                lang: PATHS.clone(),
                suffixes: Vec::new(),
                familiar: vec!["/".to_owned()],
            },
        };
        question.texts.insert(Dim::Path, path);
        let host = probe
            .host
            .as_deref()
            .map_or_else(|| TextSpace::one(""), host_space);
        question.texts.insert(Dim::Host, host);
        if probe.port != 0 {
            question
                .numbers
                .insert(Dim::DestinationPort, Ranges::one(u128::from(probe.port)));
        }
    }
    Ask {
        question,
        to: probe.url.clone(),
        what: fetched(probe.resource, &probe.url),
        weight,
        service: None,
        probe: Some(probe.clone()),
    }
}

/// What a page fetches, as the object of "blocks".
fn fetched(resource: Resource, url: &str) -> String {
    match resource {
        Resource::Connect => url.to_owned(),
        Resource::Worker => format!("{url} workers"),
        Resource::WorkerWasm => "WebAssembly in workers".to_owned(),
        Resource::WorkerConnect => format!("{url} in workers"),
        Resource::Script => format!("scripts from {url}"),
        Resource::Module => format!("modules from {url}"),
        Resource::Worklet => format!("audio worklets from {url}"),
        Resource::Img => format!("images from {url}"),
        Resource::WorkerEval
        | Resource::WorkerImport
        | Resource::WorkletWasm
        | Resource::Wasm
        | Resource::WasmStreaming
        | Resource::Eval
        | Resource::Style
        | Resource::InlineStyle
        | Resource::ScriptTag
        | Resource::InlineScript
        | Resource::InlineTag
        | Resource::InlineHandler
        | Resource::Frame
        | Resource::Media
        | Resource::Font
        | Resource::Manifest
        | Resource::Webrtc
        | Resource::SrcObject => format!("{} {url}", resource.word()).trim_end().to_owned(),
    }
}

fn any_word() -> TextSpace {
    TextSpace {
        lang: Lang::any(),
        suffixes: Vec::new(),
        familiar: Vec::new(),
    }
}

/// Names that people know, for the one that stands for many.
pub(super) fn with_familiar(mut ask: Ask, familiar: &[String]) -> Ask {
    if let Some(hosts) = ask.question.texts.get_mut(&Dim::Host) {
        hosts.familiar = familiar
            .iter()
            .filter(|name| hosts.lang.contains(name.as_bytes()))
            .cloned()
            .collect();
    }
    ask
}

/// `*.example.test` is every name below, anything else one name.
fn host_space(name: &str) -> TextSpace {
    // The same few domains are asked for at every gate, and their automata take a while to build.
    static BUILT: Mutex<BTreeMap<String, TextSpace>> = Mutex::new(BTreeMap::new());
    let Some(domain) = name.strip_prefix("*.") else {
        return TextSpace::one(name);
    };
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(space) = built.get(domain) {
        return space.clone();
    }
    let space = TextSpace::below(domain);
    if built.len() < MOST_BUILT {
        built.insert(domain.to_owned(), space.clone());
    }
    space
}

/// No more host spaces than this are kept.
const MOST_BUILT: usize = 256;

/// The names, and what the denial of each means.
fn weighted(to: &Destination) -> impl Iterator<Item = (&str, Weight)> {
    let names = to.names.iter().map(|name| (name.as_str(), Weight::Must));
    let wider = to.wider.iter().map(|name| (name.as_str(), Weight::Should));
    names.chain(wider)
}

/// Public addresses at large: without the private and reserved ranges (RFC 6890).
pub(super) fn public() -> Ranges {
    let v4 = "1.0.0.0-9.255.255.255 11.0.0.0-100.63.255.255 100.128.0.0-126.255.255.255 \
              128.0.0.0-169.253.255.255 169.255.0.0-172.15.255.255 172.32.0.0-191.255.255.255 \
              192.0.3.0-192.167.255.255 192.169.0.0-198.17.255.255 198.20.0.0-223.255.255.255 \
              2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    v4.split_whitespace()
        .filter_map(|range| {
            let (low, high) = range.split_once('-')?;
            let address = |word: &str| Some(crate::model::address(word.parse().ok()?));
            Some(Ranges::between(address(low)?, address(high)?))
        })
        .fold(Ranges::empty(), |all, range| all.union(&range))
}

fn ports(ranges: &Ranges) -> Vec<String> {
    ranges
        .ranges()
        .iter()
        .map(|range| {
            if range.low() == range.high() {
                range.low().to_string()
            } else {
                format!("{}-{}", range.low(), range.high())
            }
        })
        .collect()
}

/// `UDP 3478`.
fn spoken(service: &Service) -> String {
    let protocol = match service.protocol {
        TCP => "TCP",
        UDP => "UDP",
        _ => "IP protocol",
    };
    format!("{protocol} {}", few(&ports(&service.ports)))
}

fn port_of(service: &Service) -> Option<(u8, u16)> {
    let port = Ranges::min(&service.ports)?;
    Some((service.protocol, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_leave_the_private_ones_out() {
        let holds = |word: &str| public().contains(crate::model::address(word.parse().unwrap()));
        for word in ["1.1.1.1", "99.77.128.1", "13.224.0.1", "2600:f0f0:4100::1"] {
            assert!(holds(word), "{word}");
        }
        for word in [
            "10.1.1.1",
            "127.0.0.1",
            "192.168.0.1",
            "172.16.0.1",
            "224.0.0.1",
            "169.254.0.1",
            "fe80::1",
        ] {
            assert!(!holds(word), "{word}");
        }
    }

    #[test]
    fn interface_names_are_what_the_kernel_takes_but_the_loopback() {
        let space = any_interface();
        for (name, fits) in [
            ("eth0", true),
            ("br-lan.10", true),
            ("lo", false),
            ("loop", true),
            ("", false),
            ("a/b", false),
            ("0123456789abcdef", false),
        ] {
            assert_eq!(space.lang.contains(name.as_bytes()), fits, "{name}");
        }
    }
}
