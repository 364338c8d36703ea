//! In: one request in words (`udp 10.0.0.5 -> 99.77.130.1:3478`). Out: the same request as JSON would give it.
//!
//! `key=value` sets any field of the machine contract by its name.

use serde_json::{Map, Value};

use super::request::{Request, TraceError, protocol_number, resource_of};
use crate::model::Layer;

const PACKET: &str = "udp 10.0.0.5 -> 99.77.130.1:3478";
const PROXY: &str = "CONNECT signal.chime.aws:443 from 10.0.0.5";
const LOOKUP: &str = "A signal.chime.aws from 10.0.0.5";
const FETCH: &str = "connect wss://signal.chime.aws";

/// Fields that are numbers or truth values in JSON.
const NUMBERS: [&str; 11] = [
    "sport",
    "dport",
    "len",
    "icmp_type",
    "icmp_code",
    "uid",
    "mark",
    "tos",
    "ttl",
    "port",
    "listen",
];

/// The request that words say.
pub fn in_words(layer: Layer, words: &[String]) -> Result<Request, TraceError> {
    let example = match layer {
        Layer::Packet => PACKET,
        Layer::Proxy => PROXY,
        Layer::Lookup => LOOKUP,
        Layer::Fetch => FETCH,
    };
    let fail = |problem: String| TraceError::Words { problem, example };
    let mut fields = Map::new();
    let mut rest = Vec::new();
    for word in words.iter().flat_map(|word| word.split_whitespace()) {
        match word.split_once('=') {
            Some((name, value)) if is_field_name(name) => {
                fields.insert(name.to_owned(), typed(name, value));
            }
            Some(_) | None => rest.push(word),
        }
    }
    let said = match layer {
        Layer::Packet => packet(&rest, &mut fields),
        Layer::Proxy => proxy(&rest, &mut fields),
        Layer::Lookup => lookup(&rest, &mut fields),
        Layer::Fetch => fetch(&rest, &mut fields),
    };
    said.map_err(fail)?;
    Request::from_value(layer, Value::Object(fields)).map_err(|error| fail(error.to_string()))
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'))
}

fn typed(name: &str, value: &str) -> Value {
    match value {
        "true" | "yes" if name == "edns" => Value::Bool(true),
        "false" | "no" if name == "edns" => Value::Bool(false),
        number if NUMBERS.contains(&name) || name == "reply-size" => number
            .parse::<u64>()
            .map_or_else(|_| Value::from(number), Value::from),
        word => Value::from(word),
    }
}

fn set(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    fields.entry(name).or_insert(value.into());
}

/// `[HOOK] PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [in IF] [out IF] [new|established]`
fn packet(words: &[&str], fields: &mut Map<String, Value>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = |name: &str| {
            words
                .next()
                .copied()
                .ok_or_else(|| format!("`{name}` wants a word behind it"))
        };
        match *word {
            hook @ ("INPUT" | "FORWARD" | "OUTPUT" | "input" | "forward" | "output") => {
                set(fields, "hook", hook);
            }
            "in" => {
                let name = value("in")?;
                set(fields, "in", name);
            }
            "out" => {
                let name = value("out")?;
                set(fields, "out", name);
            }
            state @ ("new" | "established") => set(fields, "state", state),
            "->" | "to" => {
                let (address, port) = endpoint(value("->")?)?;
                set(fields, "dst", address);
                if let Some(port) = port {
                    set(fields, "dport", port);
                }
            }
            "from" => {}
            protocol if protocol_number(protocol).is_some() && !protocol.contains('.') => {
                set(fields, "proto", protocol);
            }
            source => {
                let (address, port) = endpoint(source)?;
                set(fields, "src", address);
                if let Some(port) = port {
                    set(fields, "sport", port);
                }
            }
        }
    }
    if !fields.contains_key("dst") {
        return Err("the request names no destination".to_owned());
    }
    // In words a packet is the first of its connection; JSON asks for both where it does not say.
    set(fields, "state", "new");
    Ok(())
}

/// `METHOD HOST[:PORT]` or `METHOD URL`, `[from CLIENT]`
fn proxy(words: &[&str], fields: &mut Map<String, Value>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "from" => set(
                fields,
                "src",
                *words.next().ok_or("`from` wants an address")?,
            ),
            url if url.contains("://") => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
                let (authority, path) =
                    match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
                        Some((authority, path)) => (authority, path),
                        None => (rest, "/"),
                    };
                let (host, port) = host_and_port(authority)?;
                set(fields, "host", host);
                set(
                    fields,
                    "port",
                    port.unwrap_or(if scheme == "https" { 443 } else { 80 }),
                );
                set(fields, "scheme", scheme);
                set(fields, "path", path);
                set(fields, "method", "GET");
            }
            host if host.contains(['.', ':']) => {
                let (host, port) = host_and_port(host)?;
                set(fields, "host", host);
                if let Some(port) = port {
                    set(fields, "port", port);
                }
            }
            method if method.chars().all(|c| c.is_ascii_alphabetic()) => {
                set(fields, "method", method.to_ascii_uppercase());
            }
            other => return Err(format!("cannot tell what `{other}` is")),
        }
    }
    if fields.contains_key("host") {
        Ok(())
    } else {
        Err("the request names no host".to_owned())
    }
}

/// `[A|AAAA] NAME [from CLIENT]`
fn lookup(words: &[&str], fields: &mut Map<String, Value>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "from" => set(
                fields,
                "client",
                *words.next().ok_or("`from` wants an address")?,
            ),
            "A" | "a" => set(fields, "type", "A"),
            "AAAA" | "aaaa" => set(fields, "type", "AAAA"),
            name => set(fields, "name", name),
        }
    }
    if fields.contains_key("name") {
        Ok(())
    } else {
        Err("the lookup names no name".to_owned())
    }
}

/// `[KIND] URL [at ORIGIN]`
fn fetch(words: &[&str], fields: &mut Map<String, Value>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "at" | "from" => set(
                fields,
                "origin",
                *words.next().ok_or("`at` wants an origin")?,
            ),
            url if url.contains(':') => set(fields, "url", url),
            kind if resource_of(kind).is_some() => set(fields, "kind", kind),
            other => return Err(format!("`{other}` is neither a kind of resource nor a URL")),
        }
    }
    // Evaluation has no URL.
    if fields.contains_key("url") || fields.contains_key("kind") {
        Ok(())
    } else {
        Err("the fetch names neither a kind nor a URL".to_owned())
    }
}

/// `10.0.0.5`, `10.0.0.5:3478`, `[2001:db8::1]:443`, `2001:db8::1`.
fn endpoint(text: &str) -> Result<(String, Option<u16>), String> {
    let (address, port) = host_and_port(text)?;
    if address.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("`{text}` is no address (names are never resolved)"));
    }
    Ok((address, port))
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let port = port
        .map(|port| {
            port.parse()
                .map_err(|_| format!("`{port}` in `{text}` is no port"))
        })
        .transpose()?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Resource;

    fn said(layer: Layer, text: &str) -> Request {
        in_words(layer, &[text.to_owned()]).unwrap()
    }

    #[test]
    fn a_packet_in_words() {
        let Request::Packet(packet) = said(
            Layer::Packet,
            "FORWARD udp 10.0.0.5:49152 -> 99.77.130.1:3478 in eth1 out eth0 ttl=64",
        ) else {
            panic!("a packet");
        };
        assert_eq!(packet.proto, Some(17));
        assert_eq!(packet.sport, Some(49152));
        assert_eq!(packet.dport, Some(3478));
        assert_eq!(packet.in_interface.as_deref(), Some("eth1"));
        assert_eq!(packet.ttl, Some(64));
        assert!(packet.state.is_some());
    }

    #[test]
    fn ipv6_endpoints_may_stand_in_brackets() {
        let Request::Packet(packet) = said(Layer::Packet, "tcp 2001:db8::1 -> [2600:f0f0::1]:443")
        else {
            panic!("a packet");
        };
        assert_eq!(packet.dport, Some(443));
        assert_eq!(packet.src, Some("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn the_other_layers_in_words() {
        let Request::Proxy(request) = said(Layer::Proxy, "get http://a.test/x from 10.1.2.3")
        else {
            panic!("a proxy request");
        };
        assert_eq!(
            (
                request.method.as_str(),
                request.port,
                request.path.as_deref()
            ),
            ("GET", 80, Some("/x"))
        );
        let Request::Lookup(request) =
            said(Layer::Lookup, "AAAA a.chime.aws from 10.0.0.1 edns=true")
        else {
            panic!("a lookup");
        };
        assert_eq!(request.edns, Some(true));
        let Request::Fetch(request) = said(Layer::Fetch, "worker blob:") else {
            panic!("a fetch");
        };
        assert_eq!(request.kind, Some(Resource::Worker));
        assert_eq!(request.url.as_deref(), Some("blob:"));
    }

    #[test]
    fn a_name_instead_of_an_address_is_said() {
        let error = in_words(Layer::Packet, &["udp host.test -> 1.2.3.4:5".to_owned()]);
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("host.test") && text.contains("udp 10.0.0.5"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_field_in_words_is_named() {
        let error = in_words(Layer::Lookup, &["a.test size=3".to_owned()]);
        assert!(error.unwrap_err().to_string().contains("`size`"));
    }
}
