//! In: the words in front of a server block, and zones in a plugin's arguments. Out: where and for which names it serves.

use super::parse::{Block, Plugin};
use super::syntax::Token;
use crate::source::Span;

/// What clients speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    /// DNS over UDP and TCP.
    Dns,
    /// TLS, HTTPS, gRPC or QUIC.
    Other,
}

/// One zone at one port.
#[derive(Debug, Clone)]
pub(super) struct Server<'a> {
    /// The zone, lower case without outer dots; empty is the root.
    pub(super) zone: String,
    /// The port.
    pub(super) port: u16,
    /// What is spoken.
    pub(super) transport: Transport,
    /// Its block.
    pub(super) block: &'a Block,
    /// Where the zone is written.
    pub(super) span: Span,
}

/// The servers of a block; `None` for a key that cannot be read. Reverse zones are left out: no service has such a name.
pub(super) fn servers(block: &Block) -> Vec<Option<Server<'_>>> {
    let read = block.keys.iter().filter_map(|key| match server(key) {
        Some((zone, ..)) if zone.contains('/') => None,
        Some((zone, port, transport)) => Some(Some(Server {
            zone,
            port,
            transport,
            block,
            span: key.span,
        })),
        None => Some(None),
    });
    read.collect()
}

/// `[TRANSPORT://]ZONE[:PORT]` (`normalizeZone` in core/dnsserver/address.go).
fn server(key: &Token) -> Option<(String, u16, Transport)> {
    if key.open {
        return None;
    }
    let (scheme, rest) = key.text.split_once("://").unwrap_or(("dns", &key.text));
    let (transport, port) = match scheme {
        "dns" => (Transport::Dns, 53),
        "tls" | "quic" => (Transport::Other, 853),
        "https" | "grpc" | "https3" => (Transport::Other, 443),
        _ => return None,
    };
    let (zone, port) = match rest.rsplit_once(':') {
        Some((zone, given)) if !zone.contains(':') => (zone, given.parse().ok()?),
        Some(_) | None => (rest, port),
    };
    Some((name(zone), port, transport))
}

/// A name as the model has it.
pub(super) fn name(text: &str) -> String {
    text.trim_matches('.').to_ascii_lowercase()
}

/// The zones that a plugin's arguments name, by default those of its block; `None` where one is not known.
pub(super) fn scope(block: &Block, args: &[Token]) -> Option<Vec<String>> {
    if args.is_empty() {
        return servers(block)
            .into_iter()
            .map(|server| server.map(|server| server.zone))
            .collect();
    }
    args.iter()
        .map(|arg| Some(server(arg)?.0))
        .filter(|zone| zone.as_ref().is_none_or(|zone| !zone.contains('/')))
        .collect()
}

/// The zones for which a plugin hands on what it does not know; `None` where it never does.
pub(super) fn falls_through(plugin: &Plugin) -> Option<Vec<String>> {
    let zones = plugin.lines("fallthrough").last()?;
    if zones.is_empty() {
        return Some(vec![String::new()]);
    }
    Some(zones.iter().map(|zone| name(&zone.text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn keys_have_transports_zones_and_ports() {
        let text = ". example.org:5353 tls://X.org. :54 10.0.0.0/24 foo://x {$Z}";
        let file = Sources::new().add("c", text.as_bytes().to_vec()).unwrap();
        let tokens = super::super::syntax::tokens(file, text.as_bytes());
        let read: Vec<_> = tokens.iter().map(server).collect();
        let dns = |zone: &str, port| Some((zone.to_owned(), port, Transport::Dns));
        assert_eq!(
            read,
            [
                dns("", 53),
                dns("example.org", 5353),
                Some(("x.org".to_owned(), 853, Transport::Other)),
                dns("", 54),
                dns("10.0.0.0/24", 53),
                None,
                None
            ]
        );
    }
}
