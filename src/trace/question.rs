//! In: one request. Out: the question that asks about exactly it.
//!
//! Every field restricts its dimension. A number that is missing stays unrestricted (every value), a word that is
//! missing stays unknown.

use std::net::IpAddr;

use super::request::{
    FetchRequest, HelperAnswer, Hook, LookupRequest, PacketRequest, PacketState, ProxyRequest,
    RecordType, Request,
};
use crate::model::{Conversation, Dim, Flags, Gate, Question, Ranges, TextSpace};

/// ICMP and `ICMPv6`.
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const TCP: u8 = 6;

/// The question about a request; a packet whose state is missing is asked about as new.
pub fn question(request: &Request) -> Question {
    match request {
        Request::Packet(packet) => self::packet(packet, packet.state.unwrap_or(PacketState::New)),
        Request::Proxy(request) => proxy(request),
        Request::Lookup(request) => lookup(request),
        Request::Fetch(request) => fetch(request),
    }
}

/// The questions that together ask about a request: two for a packet whose state is missing.
pub fn questions(request: &Request) -> Vec<Question> {
    match request {
        Request::Packet(packet) if packet.state.is_none() => {
            [PacketState::New, PacketState::Established]
                .map(|state| self::packet(packet, state))
                .into()
        }
        Request::Packet(_) | Request::Proxy(_) | Request::Lookup(_) | Request::Fetch(_) => {
            vec![question(request)]
        }
    }
}

/// A question under construction.
#[derive(Default)]
struct Builder(Question);

impl Builder {
    fn number(&mut self, dim: Dim, value: Option<impl Into<u128>>) {
        if let Some(value) = value {
            self.0.numbers.insert(dim, Ranges::one(value.into()));
        }
    }

    fn address(&mut self, dim: Dim, value: Option<IpAddr>) {
        if let Some(value) = value {
            self.0.numbers.insert(dim, Ranges::host(value));
        }
    }

    fn word(&mut self, dim: Dim, value: Option<&str>) {
        if let Some(value) = value {
            self.0.texts.insert(dim, TextSpace::one(value));
        }
    }
}

fn packet(request: &PacketRequest, state: PacketState) -> Question {
    let mut asked = Builder::default();
    let family = match request.family {
        Some(4) => Some(Ranges::ipv4()),
        Some(_) => Some(Ranges::ipv6()),
        None => [request.src, request.dst]
            .into_iter()
            .flatten()
            .next()
            .map(|known| {
                if known.is_ipv4() {
                    Ranges::ipv4()
                } else {
                    Ranges::ipv6()
                }
            }),
    };
    for dim in [Dim::Source, Dim::Destination] {
        if let Some(family) = &family {
            asked.0.numbers.insert(dim, family.clone());
        }
    }
    asked.address(Dim::Source, request.src);
    asked.address(Dim::Destination, request.dst);
    // The kernel knows ICMP of IPv6 as a protocol of its own.
    let is_v6 = family.as_ref() == Some(&Ranges::ipv6());
    let protocol = request.proto.map(|number| match number {
        ICMP if is_v6 => ICMP6,
        other => other,
    });
    asked.number(Dim::Protocol, protocol);
    asked.number(Dim::SourcePort, request.sport);
    asked.number(Dim::DestinationPort, request.dport);
    asked.word(Dim::InInterface, request.in_interface.as_deref());
    asked.word(Dim::OutInterface, request.out_interface.as_deref());
    let usual_flags = match state {
        PacketState::New => Flags::SYN,
        PacketState::Established => Flags::SYN | Flags::ACK,
    };
    let flags = request
        .flags
        .or((protocol == Some(TCP)).then_some(usual_flags));
    asked.number(Dim::TcpFlags, flags);
    asked.number(Dim::Length, request.len);
    if let Some(kind) = request.icmp_type {
        let first = u128::from(kind) << 8;
        let set = match request.icmp_code {
            Some(code) => Ranges::one(first | u128::from(code)),
            None => Ranges::between(first, first | 0xff),
        };
        asked.0.numbers.insert(Dim::Icmp, set);
    }
    asked.number(Dim::Owner, request.uid);
    asked.number(Dim::Tos, request.tos);
    asked.number(Dim::Ttl, request.ttl);
    asked.number(Dim::Mac, request.smac);
    let mut question = asked.0;
    question.mark = request.mark.unwrap_or(0);
    question.conversation = match state {
        PacketState::New => Conversation::First,
        PacketState::Established => Conversation::Established,
    };
    match request.hook {
        Some(Hook::Input) => question.destination_is_local = Some(true),
        Some(Hook::Forward) => {
            question.destination_is_local = Some(false);
            question.source_is_local = Some(false);
        }
        Some(Hook::Output) => {
            question.source_is_local = Some(true);
            // What the machine sends to itself leaves by the loopback interface, and nothing else does.
            question.destination_is_local =
                request.out_interface.as_deref().map(|name| name == "lo");
        }
        None => {}
    }
    question.steps = true;
    question
}

fn proxy(request: &ProxyRequest) -> Question {
    let mut asked = Builder::default();
    let method = request.method.to_ascii_uppercase();
    let connects = method == "CONNECT";
    asked.address(Dim::Source, Some(request.src));
    asked.word(Dim::Method, Some(&method));
    asked.number(Dim::DestinationPort, Some(request.port));
    let scheme = if connects {
        Some(String::new())
    } else {
        request.scheme.as_deref().map(str::to_ascii_lowercase)
    };
    asked.word(Dim::Scheme, scheme.as_deref());
    asked.word(Dim::Path, request.path.as_deref());
    let agent = request.ua.as_deref().or_else(|| {
        let named = |name: &&String| name.eq_ignore_ascii_case("user-agent");
        let name = request.headers.keys().find(named)?;
        request.headers.get(name).map(String::as_str)
    });
    asked.word(Dim::UserAgent, agent);
    asked.number(Dim::Listener, request.listen);
    asked.number(Dim::Minute, request.now);
    asked.number(Dim::Tunnel, request.carries.map(|tunnel| tunnel as u8));
    if let Some(host) = &request.host {
        let host = host_name(host);
        asked.word(Dim::Host, Some(&host));
        let literal: Option<IpAddr> = host.parse().ok();
        asked.number(Dim::HostIsAddress, Some(u8::from(literal.is_some())));
        asked.0.addresses = match literal {
            Some(address) => Some(Ranges::host(address)),
            None => resolved(request, &host),
        };
        if let (Some(address), Some(reverse)) = (literal, &request.ptr) {
            let name = reverse.get(&address).map(|name| host_name(name));
            asked.word(Dim::ReverseName, Some(&name.unwrap_or_default()));
        }
    }
    // No credentials at all unless the request says so: that is what the wire would show.
    let (credentials, user) = match &request.auth {
        None => (0u8, None),
        Some(auth) => {
            let user = auth.split_once(':').map_or(auth.as_str(), |(user, _)| user);
            (if user == "bad" { 2 } else { 1 }, Some(user))
        }
    };
    asked.number(Dim::Credentials, Some(credentials));
    asked.word(Dim::User, user);
    let mut question = asked.0;
    if let Some(answer) = request.external {
        question
            .fixed
            .insert("external".to_owned(), answer == HelperAnswer::Ok);
    }
    question.steps = true;
    question
}

/// The addresses that the request's names give a host; the longest matching `*.` pattern counts. None where no name fits.
fn resolved(request: &ProxyRequest, host: &str) -> Option<Ranges> {
    let named = |pattern: &str| {
        request
            .names
            .iter()
            .find(|(name, _)| host_name(name) == pattern)
    };
    let parents = std::iter::successors(host.split_once('.'), |(_, rest)| rest.split_once('.'));
    let patterns = parents.map(|(_, parent)| format!("*.{parent}"));
    let addresses = std::iter::once(host.to_owned())
        .chain(patterns)
        .find_map(|pattern| named(&pattern))?
        .1;
    addresses
        .as_slice()
        .iter()
        .map(|address| Ranges::host(*address))
        .reduce(|all, next| all.union(&next))
        // An empty list says that the name does not exist.
        .or_else(|| Some(Ranges::empty()))
}

fn host_name(written: &str) -> String {
    let bare = written.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    let name = bare.unwrap_or(written).to_ascii_lowercase();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

fn lookup(request: &LookupRequest) -> Question {
    let mut asked = Builder::default();
    let name = request.name.as_deref().map(host_name);
    asked.word(Dim::Host, name.as_deref());
    asked.address(Dim::Source, request.client);
    // RFC 1035, 3.2.2 and RFC 3596, 2.1.
    let (a, aaaa) = (Ranges::one(1), Ranges::one(28));
    let types = match request.record {
        Some(RecordType::A) => a,
        Some(RecordType::Aaaa) => aaaa,
        None => a.union(&aaaa),
    };
    asked.0.numbers.insert(Dim::QueryType, types);
    asked.number(Dim::Length, request.reply_size);
    let mut question = asked.0;
    if let Some(edns) = request.edns {
        question.fixed.insert("edns".to_owned(), edns);
    }
    question.steps = true;
    question
}

fn fetch(request: &FetchRequest) -> Question {
    let mut asked = Builder::default();
    asked.number(Dim::Resource, request.kind.map(|kind| kind as u8));
    if let Some(url) = &request.url {
        let url = match url.strip_prefix("self:") {
            Some(path) => format!("{}{path}", request.origin),
            None => url.clone(),
        };
        let parts = UrlParts::of(&url);
        asked.word(Dim::Scheme, Some(&parts.scheme));
        if parts.host.is_ascii() {
            asked.word(Dim::Host, Some(&parts.host));
        }
        asked.number(Dim::DestinationPort, parts.port);
        asked.word(Dim::Path, Some(&parts.path));
    }
    let mut question = asked.0;
    if request.nonce.is_none() {
        question.fixed.insert("nonce".to_owned(), false);
    }
    question.steps = true;
    question
}

/// Whether the nonce of a request is one that the gate's policies list, where it is all of them or none.
pub(super) fn knows_nonce(gate: &Gate, request: &FetchRequest) -> Option<bool> {
    let nonce = format!("`{}`", request.nonce.as_ref()?);
    let mut listed = gate
        .unknowns
        .iter()
        .filter(|unknown| unknown.code == "nonce")
        .map(|unknown| unknown.text.ends_with(&nonce));
    let first = listed.next()?;
    listed.all(|other| other == first).then_some(first)
}

/// A URL as a page's policy sees it: lower-case scheme and host, the port that is used, the path without query and
/// fragment. A trailing dot of the host stays: browsers tell the two apart.
struct UrlParts {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
}

impl UrlParts {
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let scheme = scheme.to_ascii_lowercase();
        let Some(rest) = rest.strip_prefix("//") else {
            return Self {
                scheme,
                host: String::new(),
                port: None,
                path: rest.to_owned(),
            };
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(authority_end).unwrap_or((rest, ""));
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            Some(_) | None => (authority, None),
        };
        let usual = match scheme.as_str() {
            "https" | "wss" => Some(443),
            "http" | "ws" => Some(80),
            _ => None,
        };
        let path_end = path.find(['?', '#']).unwrap_or(path.len());
        let path = path.get(..path_end).unwrap_or_default();
        Self {
            port: port.or(usual),
            scheme,
            host: host.to_ascii_lowercase(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Layer, Resource, address};

    fn asked(layer: Layer, json: &str) -> Question {
        question(&Request::list(layer, json).unwrap().remove(0))
    }

    fn word(question: &Question, dim: Dim) -> Option<String> {
        let lang = &question.texts.get(&dim)?.lang;
        Some(String::from_utf8(lang.shortest()?).unwrap())
    }

    #[test]
    fn a_packet_restricts_what_it_names_and_nothing_else() {
        let question = asked(
            Layer::Packet,
            r#"{"hook": "FORWARD", "src": "10.0.0.5", "proto": "tcp", "dport": 443, "in": "eth1"}"#,
        );
        let one = |dim| question.numbers.get(&dim).and_then(Ranges::single);
        assert_eq!(one(Dim::Source), Some(address("10.0.0.5".parse().unwrap())));
        assert_eq!(
            question.numbers.get(&Dim::Destination),
            Some(&Ranges::ipv4())
        );
        assert_eq!(one(Dim::TcpFlags), Some(u128::from(Flags::SYN)));
        assert_eq!(one(Dim::DestinationPort), Some(443));
        assert!(!question.numbers.contains_key(&Dim::SourcePort));
        assert!(!question.texts.contains_key(&Dim::OutInterface));
        assert_eq!(word(&question, Dim::InInterface).as_deref(), Some("eth1"));
        assert_eq!(question.destination_is_local, Some(false));
    }

    #[test]
    fn a_missing_state_asks_for_both() {
        let list = Request::list(Layer::Packet, r#"{"proto": "tcp"}"#).unwrap();
        let both = questions(&list[0]);
        let flags = |q: &Question| q.numbers.get(&Dim::TcpFlags).and_then(Ranges::single);
        assert_eq!(
            both.iter().map(flags).collect::<Vec<_>>(),
            [Some(0x02), Some(0x12)]
        );
        assert_eq!(both[1].conversation, Conversation::Established);
    }

    #[test]
    fn icmp_of_ipv6_is_its_own_protocol() {
        let question = asked(
            Layer::Packet,
            r#"{"proto": "icmp", "src": "2001:db8::1", "icmp_type": 128}"#,
        );
        assert_eq!(question.numbers.get(&Dim::Protocol), Some(&Ranges::one(58)));
        assert_eq!(
            question.numbers.get(&Dim::Icmp),
            Some(&Ranges::between(0x8000, 0x80ff))
        );
    }

    #[test]
    fn a_proxy_request_has_the_documented_defaults() {
        let question = asked(Layer::Proxy, r#"{"host": "Signal.Chime.AWS."}"#);
        assert_eq!(word(&question, Dim::Method).as_deref(), Some("CONNECT"));
        assert_eq!(
            word(&question, Dim::Host).as_deref(),
            Some("signal.chime.aws")
        );
        assert_eq!(word(&question, Dim::Scheme).as_deref(), Some(""));
        assert_eq!(
            question.numbers.get(&Dim::Credentials),
            Some(&Ranges::one(0))
        );
        assert_eq!(question.addresses, None);
    }

    #[test]
    fn names_and_reverse_names_are_taken_from_the_request() {
        let question = asked(
            Layer::Proxy,
            r#"{"host": "a.b.chime.aws", "names": {"*.chime.aws": "99.77.130.1", "*.b.chime.aws": ["1.2.3.4"]}}"#,
        );
        assert_eq!(
            question.addresses,
            Some(Ranges::host("1.2.3.4".parse().unwrap()))
        );
        let literal = asked(
            Layer::Proxy,
            r#"{"host": "5.5.5.5", "ptr": {"5.5.5.5": "h.rev.test"}, "auth": "bad:x"}"#,
        );
        assert_eq!(
            word(&literal, Dim::ReverseName).as_deref(),
            Some("h.rev.test")
        );
        assert_eq!(
            literal.addresses,
            Some(Ranges::host("5.5.5.5".parse().unwrap()))
        );
        assert_eq!(
            literal.numbers.get(&Dim::Credentials),
            Some(&Ranges::one(2))
        );
    }

    #[test]
    fn a_url_falls_apart_as_browsers_see_it() {
        let question = asked(
            Layer::Fetch,
            r#"{"kind": "connect", "url": "WSS://Signal.chime.aws/control/1?x#y"}"#,
        );
        assert_eq!(word(&question, Dim::Scheme).as_deref(), Some("wss"));
        assert_eq!(
            word(&question, Dim::Host).as_deref(),
            Some("signal.chime.aws")
        );
        assert_eq!(word(&question, Dim::Path).as_deref(), Some("/control/1"));
        assert_eq!(
            question.numbers.get(&Dim::DestinationPort),
            Some(&Ranges::one(443))
        );
        assert_eq!(
            question.numbers.get(&Dim::Resource),
            Some(&Ranges::one(Resource::Connect as u128))
        );
        let blob = asked(Layer::Fetch, r#"{"kind": "worker", "url": "blob:"}"#);
        assert_eq!(word(&blob, Dim::Scheme).as_deref(), Some("blob"));
        assert_eq!(word(&blob, Dim::Host).as_deref(), Some(""));
    }
}
