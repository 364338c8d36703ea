//! In: DNAT, REDIRECT, SNAT, MASQUERADE, NETMAP with their options. Out: the rewrites that they bind a connection to.

use super::body::Body;
use super::syntax::TableName;
use super::targets::{options, unknown};
use super::values;
use super::words::Word;
use crate::model::{Dim, Family, Range, Ranges, Rewrite, Step, Value};

/// New addresses and ports, where an option names them.
#[derive(Debug, Default)]
struct Translation {
    addresses: Option<Value>,
    ports: Option<Value>,
}

/// The step of a target of the nat table.
pub(super) fn step(body: &mut Body<'_, '_, '_>, target: &Word<'_>) -> Step {
    if body.place.table != TableName::Nat {
        let name = String::from_utf8_lossy(&target.text).into_owned();
        body.refuse(target, &format!("`{name}` works in the nat table only"));
    }
    let words = std::mem::take(&mut body.options);
    let mut to = Translation::default();
    let mut random = false;
    for (option, argument) in options(&words) {
        match (option, argument) {
            (b"--to-destination" | b"--to-source", Some(word)) => {
                if let Some(found) = endpoint(&word.text, body.book.family) {
                    to = found;
                } else {
                    let id = unknown(body, word, "nat", "knowing the new address");
                    body.bad_value(word, "address to translate to");
                    to = Translation {
                        addresses: Some(Value::Unknown(id)),
                        ports: Some(Value::Unknown(id)),
                    };
                }
            }
            (b"--to-ports" | b"--to-port", Some(word)) => to.ports = ports(body, word),
            (b"--to", Some(word)) => to.addresses = Some(netmap(body, word)),
            (b"--random" | b"--random-fully", _) => random = true,
            _ => {}
        }
    }
    if random {
        // Any port of the range, or any unprivileged one.
        to.ports = Some(match to.ports {
            Some(Value::Const(_)) | None => Value::OneOf(Ranges::between(1024, 65535)),
            Some(ports) => ports,
        });
    }
    let (address, port) = match &*target.text {
        b"SNAT" | b"MASQUERADE" => (Dim::Source, Dim::SourcePort),
        // In POSTROUTING and INPUT, NETMAP maps the source.
        b"NETMAP" if matches!(body.place.chain, b"POSTROUTING" | b"INPUT") => {
            (Dim::Source, Dim::SourcePort)
        }
        _ => (Dim::Destination, Dim::DestinationPort),
    };
    if matches!(&*target.text, b"MASQUERADE" | b"REDIRECT") {
        let id = unknown(
            body,
            target,
            "own-address",
            "knowing the addresses of the interfaces",
        );
        to.addresses = Some(Value::Own(id));
    }
    if to.addresses.is_none() && to.ports.is_none() {
        body.refuse(target, "what to translate to is missing");
    }
    Step::RewriteAndAllow(
        to.addresses
            .map(|value| Rewrite::Translate(address, value))
            .into_iter()
            .chain(to.ports.map(|value| Rewrite::Translate(port, value)))
            .collect(),
    )
}

/// `[address[-address]][:port[-port[/base]]]`, IPv6 addresses in brackets where a port follows.
fn endpoint(text: &[u8], family: Family) -> Option<Translation> {
    let (addresses, ports) = match (family, text) {
        (Family::V6, [b'[', rest @ ..]) => {
            let close = memchr::memchr(b']', rest)?;
            let after = rest.get(close + 1..)?;
            (
                rest.get(..close)?,
                match after {
                    [] => None,
                    [b':', ports @ ..] => Some(ports),
                    _ => return None,
                },
            )
        }
        (Family::V6, text) => (text, None),
        (Family::V4, text) => match memchr::memchr(b':', text) {
            Some(at) => (text.get(..at)?, Some(text.get(at + 1..)?)),
            None => (text, None),
        },
    };
    Some(Translation {
        addresses: if addresses.is_empty() {
            None
        } else {
            Some(address_value(addresses, family)?)
        },
        ports: match ports {
            Some(ports) => Some(port_value(ports)?),
            None => None,
        },
    })
}

fn address_value(text: &[u8], family: Family) -> Option<Value> {
    match memchr::memchr(b'-', text) {
        Some(at) => {
            let low = values::address(text.get(..at)?, family)?;
            let high = values::address(text.get(at + 1..)?, family)?;
            Some(one_of(low, high))
        }
        None => values::address(text, family).map(Value::Const),
    }
}

fn port_value(text: &[u8]) -> Option<Value> {
    let number = |text: &[u8]| values::port(text, 6).map(u128::from);
    // `8000-8009/80` shifts each port: the new one depends on the old one.
    let text = match memchr::memchr(b'/', text) {
        Some(at) => text.get(..at)?,
        None => text,
    };
    match memchr::memchr(b'-', text) {
        Some(at) => Some(one_of(
            number(text.get(..at)?)?,
            number(text.get(at + 1..)?)?,
        )),
        None => number(text).map(Value::Const),
    }
}

fn one_of(low: u128, high: u128) -> Value {
    match Range::new(low.min(high), high.max(low)) {
        Some(range) if range.low() == range.high() => Value::Const(low),
        Some(range) => Value::OneOf(Ranges::from(range)),
        None => Value::Const(low),
    }
}

fn ports(body: &mut Body<'_, '_, '_>, word: &Word<'_>) -> Option<Value> {
    let value = port_value(&word.text);
    if value.is_some() {
        return value;
    }
    body.bad_value(word, "port to translate to");
    Some(Value::Unknown(unknown(
        body,
        word,
        "nat",
        "knowing the new port",
    )))
}

/// NETMAP: the network's bits change, the host's stay.
fn netmap(body: &mut Body<'_, '_, '_>, word: &Word<'_>) -> Value {
    let set = values::network(&word.text, body.book.family).ok();
    let range = set.as_ref().and_then(|set| match set.ranges() {
        [only] => Some(*only),
        _ => None,
    });
    if let Some(range) = range {
        let host_bits = (range.high() - range.low()).trailing_ones();
        if let Ok(host_bits) = u8::try_from(host_bits) {
            return Value::Prefix {
                base: range.low(),
                host_bits,
            };
        }
    }
    body.bad_value(word, "network to map to");
    Value::Unknown(unknown(body, word, "nat", "knowing the new network"))
}
