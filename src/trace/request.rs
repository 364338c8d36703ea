//! In: JSON. Out: typed requests; unknown fields and values are errors that name them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::{Flags, Layer, Resource, Tunnel};

/// Why a request was not understood.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Not JSON at all, or no list.
    #[error("the requests are no JSON list of objects: {0}")]
    NotAList(serde_json::Error),
    /// One request is wrong.
    #[error("request {number}: {error}")]
    Request {
        /// From 1.
        number: usize,
        /// What is wrong, with the field's name.
        error: serde_json::Error,
    },
    /// Words that make no request.
    #[error("{problem}; write it as `{example}`")]
    Words {
        /// What is wrong.
        problem: String,
        /// One that works.
        example: &'static str,
    },
}

/// One packet, proxy request, lookup or fetch.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// For a packet filter.
    Packet(PacketRequest),
    /// For a proxy.
    Proxy(ProxyRequest),
    /// For a resolver.
    Lookup(LookupRequest),
    /// For a page's policy.
    Fetch(FetchRequest),
}

impl Request {
    /// Every request of a JSON list; a single object counts as a list of one.
    pub fn list(layer: Layer, json: &str) -> Result<Vec<Self>, TraceError> {
        let values = match serde_json::from_str(json).map_err(TraceError::NotAList)? {
            Value::Array(values) => values,
            one @ Value::Object(_) => vec![one],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(TraceError::NotAList(de::Error::custom(
                    "expected `[{..}, ..]`",
                )));
            }
        };
        values
            .into_iter()
            .enumerate()
            .map(|(at, value)| {
                Self::from_value(layer, value).map_err(|error| TraceError::Request {
                    number: at + 1,
                    error,
                })
            })
            .collect()
    }

    /// One request.
    pub fn from_value(layer: Layer, value: Value) -> Result<Self, serde_json::Error> {
        fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
            serde_json::from_value(value)
        }
        Ok(match layer {
            Layer::Packet => Self::Packet(read(value)?),
            Layer::Proxy => Self::Proxy(read(value)?),
            Layer::Lookup => Self::Lookup(read(value)?),
            Layer::Fetch => Self::Fetch(read(value)?),
        })
    }

    /// What the sender calls it, echoed in the answer.
    pub fn id(&self) -> &Value {
        match self {
            Self::Packet(request) => &request.id,
            Self::Proxy(request) => &request.id,
            Self::Lookup(request) => &request.id,
            Self::Fetch(request) => &request.id,
        }
    }

    /// Facts that have to be known before the config is read: the origin of the page decides what `'self'` means.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Fetch(request) => vec![("csp.origin", request.origin.clone())],
            Self::Packet(_) | Self::Proxy(_) | Self::Lookup(_) => Vec::new(),
        }
    }
}

/// A packet at one hook.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PacketRequest {
    /// Echoed.
    pub id: Value,
    /// Where the packet is.
    pub hook: Option<Hook>,
    /// 4 or 6.
    #[serde(deserialize_with = "family")]
    pub family: Option<u8>,
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// `udp`, `tcp`, `icmp`, .. or a number.
    #[serde(deserialize_with = "protocol")]
    pub proto: Option<u8>,
    /// Source port.
    pub sport: Option<u16>,
    /// Destination port.
    pub dport: Option<u16>,
    /// Interface that it came in by.
    #[serde(rename = "in")]
    pub in_interface: Option<String>,
    /// Interface that it goes out by.
    #[serde(rename = "out")]
    pub out_interface: Option<String>,
    /// Whether its connection is new.
    #[serde(deserialize_with = "lowercase")]
    pub state: Option<PacketState>,
    /// TCP flags as letters; by default `S` for new and `SA` for established.
    #[serde(deserialize_with = "flags")]
    pub flags: Option<u8>,
    /// Length of the whole IP packet in bytes.
    pub len: Option<u16>,
    /// ICMP or `ICMPv6` type.
    pub icmp_type: Option<u8>,
    /// ICMP or `ICMPv6` code.
    pub icmp_code: Option<u8>,
    /// User id of the sender on this host.
    pub uid: Option<u32>,
    /// Packet mark at the start; 0 by default.
    pub mark: Option<u32>,
    /// Type of service.
    pub tos: Option<u8>,
    /// Time to live.
    pub ttl: Option<u8>,
    /// Source MAC address.
    #[serde(deserialize_with = "mac")]
    pub smac: Option<u64>,
}

/// A built-in chain of a packet filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Hook {
    /// For this machine.
    #[serde(rename = "INPUT", alias = "input")]
    Input,
    /// Through this machine.
    #[serde(rename = "FORWARD", alias = "forward")]
    Forward,
    /// From this machine.
    #[serde(rename = "OUTPUT", alias = "output")]
    Output,
}

impl Hook {
    /// As iptables writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
        }
    }
}

/// Whether a packet starts its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PacketState {
    /// The first packet.
    New,
    /// A packet of a connection that was opened before.
    Established,
}

/// A request to a proxy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyRequest {
    /// Echoed.
    pub id: Value,
    /// Client address.
    pub src: IpAddr,
    /// `CONNECT` by default.
    pub method: String,
    /// Host name or address literal.
    pub host: Option<String>,
    /// Port of the request's authority.
    pub port: u16,
    /// URL scheme; a CONNECT has none.
    pub scheme: Option<String>,
    /// URL path with its query.
    pub path: Option<String>,
    /// `User-Agent`.
    pub ua: Option<String>,
    /// Other headers.
    pub headers: BTreeMap<String, String>,
    /// `user:password`; the user `bad` is refused. None: no credentials are sent.
    pub auth: Option<String>,
    /// Which listening port, by index.
    pub listen: Option<u16>,
    /// What a CONNECT tunnel will carry: `https`, `wss` or `tls`.
    #[serde(deserialize_with = "tunnel")]
    pub carries: Option<Tunnel>,
    /// What host names resolve to, `*.` patterns allowed.
    pub names: BTreeMap<String, Addresses>,
    /// What reverse lookups say; an address that is not listed has no name. None: not known.
    pub ptr: Option<BTreeMap<IpAddr, String>>,
    /// `Mon 10:00`.
    #[serde(deserialize_with = "minute_of_week")]
    pub now: Option<u16>,
    /// What external helpers answer.
    pub external: Option<HelperAnswer>,
}

impl Default for ProxyRequest {
    fn default() -> Self {
        Self {
            id: Value::Null,
            src: IpAddr::from([127, 0, 0, 5]),
            method: "CONNECT".to_owned(),
            host: None,
            port: 443,
            scheme: None,
            path: None,
            ua: None,
            headers: BTreeMap::new(),
            auth: None,
            listen: None,
            carries: None,
            names: BTreeMap::new(),
            ptr: None,
            now: None,
            external: None,
        }
    }
}

/// One address or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Addresses {
    /// One.
    One(IpAddr),
    /// Several.
    Many(Vec<IpAddr>),
}

impl Addresses {
    /// The addresses.
    pub fn as_slice(&self) -> &[IpAddr] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What an external helper says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HelperAnswer {
    /// It matches.
    Ok,
    /// It does not.
    Err,
}

/// A lookup.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LookupRequest {
    /// Echoed.
    pub id: Value,
    /// The name.
    pub name: Option<String>,
    /// The record type.
    #[serde(rename = "type")]
    pub record: Option<RecordType>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Whether the client sends EDNS0.
    pub edns: Option<bool>,
    /// Bytes of the DNS answer.
    pub reply_size: Option<u16>,
}

/// A DNS record type that clients of a service ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
}

/// What a page fetches.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchRequest {
    /// Echoed.
    pub id: Value,
    /// The kind of resource.
    #[serde(deserialize_with = "resource")]
    pub kind: Option<Resource>,
    /// Its URL; `self:/x` is `/x` at the page's origin.
    pub url: Option<String>,
    /// The nonce that the element carries; none where it is missing.
    pub nonce: Option<String>,
    /// The page's origin.
    pub origin: String,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self {
            id: Value::Null,
            kind: None,
            url: None,
            nonce: None,
            origin: "https://app.example.com".to_owned(),
        }
    }
}

/// Protocol numbers by name (IANA protocol numbers; `icmp6` is the usual short form).
const PROTOCOLS: [(&str, u8); 10] = [
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("icmp6", 58),
    ("sctp", 132),
];

/// The number of a protocol that a request names.
pub(super) fn protocol_number(word: &str) -> Option<u8> {
    let word = word.to_ascii_lowercase();
    word.parse().ok().or_else(|| {
        PROTOCOLS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, number)| *number)
    })
}

fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    word_or_number(from, "a protocol name or number", |word| {
        protocol_number(word).ok_or_else(|| format!("`proto`: unknown protocol `{word}`"))
    })
}

fn family<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    word_or_number(from, "4 or 6", |word| match word {
        "4" => Ok(4),
        "6" => Ok(6),
        other => Err(format!("`family` is 4 or 6, not `{other}`")),
    })
}

fn flags<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    word(from, |text| {
        text.chars().try_fold(0, |flags, letter| {
            Ok(flags
                | match letter.to_ascii_uppercase() {
                    'F' => Flags::FIN,
                    'S' => Flags::SYN,
                    'R' => Flags::RST,
                    'P' => Flags::PSH,
                    'A' => Flags::ACK,
                    'U' => Flags::URG,
                    other => return Err(format!("`flags`: unknown TCP flag `{other}`")),
                })
        })
    })
}

fn mac<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    word(from, |text| {
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        (digits.len() == 12)
            .then(|| u64::from_str_radix(&digits, 16).ok())
            .flatten()
            .ok_or_else(|| format!("`smac`: `{text}` is no MAC address"))
    })
}

fn resource<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Resource>, D::Error> {
    word(from, |text| {
        resource_of(text).ok_or_else(|| format!("`kind`: unknown resource kind `{text}`"))
    })
}

/// The kind behind a word of a request; several APIs share the check of `connect`.
pub(super) fn resource_of(word: &str) -> Option<Resource> {
    match word {
        "fetch" | "xhr" | "websocket" | "eventsource" | "beacon" => Some(Resource::Connect),
        "child" => Some(Resource::Frame),
        other => Resource::from_word(other),
    }
}

/// `Mon 10:00` as the minute of the week; Sunday 00:00 is 0.
fn minute_of_week<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    word(from, |text| {
        let parse = || {
            let (day, time) = text.trim().split_once(' ')?;
            let day = day.to_ascii_lowercase();
            let day = DAYS.iter().position(|known| day.starts_with(known))?;
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            let day = u16::try_from(day).ok()?;
            (hour < 24 && minute < 60).then_some((day * 24 + hour) * 60 + minute)
        };
        parse().ok_or_else(|| format!("`now`: `{text}` is not of the form `Mon 10:00`"))
    })
}

fn tunnel<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Tunnel>, D::Error> {
    word(from, |text| {
        let known = Tunnel::parse(text);
        known.ok_or_else(|| format!("`carries` is `https`, `wss` or `tls`, not `{text}`"))
    })
}

fn lowercase<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PacketState>, D::Error> {
    word(from, |text| match text.to_ascii_lowercase().as_str() {
        "new" => Ok(PacketState::New),
        "established" => Ok(PacketState::Established),
        other => Err(format!("`state` is `new` or `established`, not `{other}`")),
    })
}

fn word<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    Option::<String>::deserialize(from)?
        .map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

fn word_or_number<'de, D: Deserializer<'de>, T>(
    from: D,
    expected: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    struct Either(&'static str);
    impl Visitor<'_> for Either {
        type Value = Option<String>;
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str(self.0)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Some(value.to_owned()))
        }
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Either(expected))?
        .map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_named() {
        let error = Request::list(Layer::Packet, r#"[{"id": 1}, {"sprot": 5}]"#).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("request 2") && text.contains("`sprot`"),
            "{text}"
        );
    }

    #[test]
    fn words_and_numbers_are_taken() {
        let json = r#"[{"proto": "UDP", "family": 4, "flags": "SA", "smac": "02:ff:00:00:00:01"}, {"proto": 17}]"#;
        let requests = Request::list(Layer::Packet, json).unwrap();
        let Some(Request::Packet(first)) = requests.first() else {
            panic!("a packet");
        };
        assert_eq!(
            (first.proto, first.flags, first.smac),
            (Some(17), Some(0x12), Some(0x02ff_0000_0001))
        );
        let Some(Request::Packet(second)) = requests.last() else {
            panic!("a packet");
        };
        assert_eq!(second.proto, Some(17));
    }

    #[test]
    fn minutes_count_from_sunday() {
        let read = |now: &str| {
            let json = format!(r#"{{"now": "{now}"}}"#);
            match Request::list(Layer::Proxy, &json).map(|mut list| list.remove(0)) {
                Ok(Request::Proxy(request)) => request.now,
                _ => None,
            }
        };
        assert_eq!(read("Sun 00:00"), Some(0));
        assert_eq!(read("Mon 10:00"), Some(24 * 60 + 600));
        assert_eq!(read("Sat 23:59"), Some(7 * 24 * 60 - 1));
        assert_eq!(read("Mon 24:00"), None);
    }
}
