//! In: resolved.conf and its drop-ins. Out: what systemd-resolved ends up with, and every line that it skips.
//!
//! The main file comes first, then the `*.conf` files of the `resolved.conf.d` folders by name; of two with one name the
//! one in /etc wins over /run, /usr/local/lib and /usr/lib. List keys append, an empty value resets them, other keys are
//! overridden (`resolved-conf.c`, `resolved-gperf.gperf`; each rule was seen with systemd 252).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::{Files, Input, Opened};
use super::syntax::{self, Assignment, Statement};
use crate::config::dns::{TYPE_A, TYPE_AAAA};
use crate::source::{FileId, Span, Spanned};

/// Where drop-ins lie, strongest first; the first is beside the main file.
const FOLDERS: [&str; 4] = [
    "resolved.conf.d",
    "/run/systemd/resolved.conf.d",
    "/usr/local/lib/systemd/resolved.conf.d",
    "/usr/lib/systemd/resolved.conf.d",
];

/// Keys without effect on what is asked here.
const HARMLESS: [&str; 7] = [
    "LLMNR",
    "MulticastDNS",
    "Cache",
    "CacheFromLocalhost",
    "ReadEtcHosts",
    "ResolveUnicastSingleLabel",
    "StaleRetentionSec",
];

/// Keys that count.
const KEYS: [&str; 8] = [
    "DNS",
    "FallbackDNS",
    "Domains",
    "DNSSEC",
    "DNSOverTLS",
    "DNSStubListener",
    "DNSStubListenerExtra",
    "RefuseRecordTypes",
];

/// The settings of all files.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// The servers of `DNS=`.
    pub(super) servers: Vec<Spanned<IpAddr>>,
    /// The servers of `FallbackDNS=`; `None` are the built-in ones.
    pub(super) fallback: Option<Vec<Spanned<IpAddr>>>,
    /// Where `FallbackDNS=` was last set.
    pub(super) fallback_span: Option<Span>,
    /// `DNSOverTLS=`.
    pub(super) over_tls: Option<Spanned<Tls>>,
    /// `DNSSEC=yes`.
    pub(super) strict_dnssec: Option<Span>,
    /// `DNSStubListener=`.
    pub(super) stub: Option<Spanned<Listener>>,
    /// `DNSStubListenerExtra=`.
    pub(super) extras: Vec<Spanned<Extra>>,
    /// Record types of `RefuseRecordTypes=` that the model has.
    pub(super) refused: Vec<Spanned<u128>>,
    /// What is skipped, and why.
    pub(super) skipped: Vec<Skipped>,
    /// A drop-in that is there and cannot be read, with the reason.
    pub(super) unread: Option<String>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
    /// How many statements there are.
    pub(super) statements: usize,
    /// How many of them count or are known to have no effect.
    pub(super) understood: usize,
}

/// Whether servers are asked over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Never.
    No,
    /// Where the server can.
    Opportunistic,
    /// Always.
    Yes,
}

/// Which transports a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    /// UDP.
    pub(super) udp: bool,
    /// TCP.
    pub(super) tcp: bool,
}

impl Listener {
    /// UDP only.
    pub(super) const UDP: Self = Self {
        udp: true,
        tcp: false,
    };
    /// TCP only.
    pub(super) const TCP: Self = Self {
        udp: false,
        tcp: true,
    };
    /// Both.
    pub(super) const BOTH: Self = Self {
        udp: true,
        tcp: true,
    };
}

/// A listener beside 127.0.0.53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extra {
    /// Its address.
    pub(super) address: IpAddr,
    /// Its port.
    pub(super) port: u16,
    /// Its transports.
    pub(super) takes: Listener,
}

/// A piece of a file that systemd-resolved skips.
#[derive(Debug, Clone)]
pub(super) struct Skipped {
    /// Where.
    pub(super) span: Span,
    /// Why.
    pub(super) why: Why,
}

/// Why it is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The key is not known; the known one that differs by case.
    Key(Option<&'static str>),
    /// It stands in front of `[Resolve]`.
    Outside,
    /// The section is not `[Resolve]`.
    Section,
    /// A section header without `]`: the rest of the files is skipped, too.
    Rest,
    /// No `key=value`.
    NoAssignment,
    /// No address of a server.
    Server,
    /// No value that the key takes; what it takes.
    Value(&'static str),
}

/// Reads a config: the main file with its drop-ins, or a drop-in with the others around it.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let mut config = Config::default();
    let mut all: Vec<(FileId, std::sync::Arc<[u8]>)> = Vec::new();
    let name = input.path.rsplit('/').next().unwrap_or(input.path);
    let is_drop_in = is_drop_in(input.path);
    let mut drop_ins: BTreeMap<String, (FileId, std::sync::Arc<[u8]>)> = BTreeMap::new();
    for (strength, folder) in FOLDERS.iter().enumerate() {
        let pattern = match (is_drop_in, strength) {
            (true, 0) => "*.conf".to_owned(),
            (true, _) => continue,
            (false, _) => format!("{folder}/*.conf"),
        };
        for (path, opened) in files.glob(input.file, &pattern) {
            let base = path.rsplit('/').next().unwrap_or(&path).to_owned();
            match opened {
                Opened::Found { file, bytes } => {
                    drop_ins.entry(base).or_insert((file, bytes));
                }
                Opened::Missing => config.unread = Some(format!("{path}: cannot be read")),
                Opened::Refused(why) => config.unread = Some(format!("{path}: {why}")),
            }
        }
    }
    if is_drop_in {
        if let Opened::Found { file, bytes } = files.open(input.file, "../resolved.conf") {
            all.push((file, bytes));
        }
        drop_ins.insert(name.to_owned(), (input.file, input.bytes.into()));
    } else {
        all.push((input.file, input.bytes.into()));
    }
    all.extend(drop_ins.into_values());
    for (file, bytes) in all {
        if file != input.file {
            config.companions.push(file);
        }
        if !config.file(file, &bytes) {
            break;
        }
    }
    config
}

/// Whether a path is that of a drop-in.
pub(super) fn is_drop_in(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("resolved.conf.d")
}

impl Config {
    /// Whether the files after this one are read.
    fn file(&mut self, file: FileId, bytes: &[u8]) -> bool {
        let mut inside = None;
        for statement in syntax::statements(file, bytes) {
            self.statements += 1;
            match statement {
                Statement::Section(name) => {
                    inside = Some(name.value == "Resolve");
                    if inside == Some(false) && !name.value.starts_with("X-") {
                        self.skip(name.span, Why::Section);
                    } else {
                        self.understood += 1;
                    }
                }
                Statement::BrokenSection(span) => {
                    self.understood += 1;
                    self.skip(span, Why::Rest);
                    return false;
                }
                Statement::NoAssignment(span) => self.skip(span, Why::NoAssignment),
                Statement::Assignment(one) => match inside {
                    Some(true) => self.assign(&one),
                    Some(false) => self.understood += 1,
                    None => self.skip(one.span, Why::Outside),
                },
            }
        }
        true
    }

    fn skip(&mut self, span: Span, why: Why) {
        self.skipped.push(Skipped { span, why });
    }

    fn assign(&mut self, one: &Assignment) {
        let key = one.key.value.as_str();
        if HARMLESS.contains(&key) {
            self.understood += 1;
            return;
        }
        let text: Vec<&str> = one.words.iter().map(|word| word.value.as_str()).collect();
        let text = text.join(" ");
        let wrong = match key {
            "DNS" => {
                let servers = self.servers(one);
                if one.words.is_empty() {
                    self.servers.clear();
                }
                self.servers.extend(servers);
                None
            }
            "FallbackDNS" => {
                let servers = self.servers(one);
                let fallback = self.fallback.get_or_insert_default();
                if one.words.is_empty() {
                    fallback.clear();
                }
                fallback.extend(servers);
                self.fallback_span = Some(one.span);
                None
            }
            "Domains" => None,
            "DNSSEC" => match (boolean(&text), text.as_str()) {
                (Some(strict), _) => {
                    self.strict_dnssec = strict.then_some(one.span);
                    None
                }
                (None, "allow-downgrade") => {
                    self.strict_dnssec = None;
                    None
                }
                (None, _) => Some("`yes`, `no` or `allow-downgrade`"),
            },
            "DNSOverTLS" => match (boolean(&text), text.as_str()) {
                (Some(true), _) => set(&mut self.over_tls, Tls::Yes, one.span),
                (Some(false), _) => set(&mut self.over_tls, Tls::No, one.span),
                (None, "opportunistic") => set(&mut self.over_tls, Tls::Opportunistic, one.span),
                (None, _) => Some("`yes`, `no` or `opportunistic`"),
            },
            "DNSStubListener" => match (boolean(&text), text.as_str()) {
                (Some(on), _) => set(&mut self.stub, Listener { udp: on, tcp: on }, one.span),
                (None, "udp") => set(&mut self.stub, Listener::UDP, one.span),
                (None, "tcp") => set(&mut self.stub, Listener::TCP, one.span),
                (None, _) => Some("`yes`, `no`, `udp` or `tcp`"),
            },
            "DNSStubListenerExtra" => match extra(&text) {
                _ if text.is_empty() => {
                    self.extras.clear();
                    None
                }
                Some(extra) => {
                    self.extras.push(Spanned::new(extra, one.span));
                    None
                }
                None => Some("an address, with a port after `:` and `udp:` or `tcp:` in front"),
            },
            "RefuseRecordTypes" => {
                if text.is_empty() {
                    self.refused.clear();
                }
                for word in &one.words {
                    let kind = match word.value.to_ascii_uppercase().as_str() {
                        "A" => TYPE_A,
                        "AAAA" => TYPE_AAAA,
                        _ => continue,
                    };
                    self.refused.push(Spanned::new(kind, word.span));
                }
                None
            }
            _ => {
                let meant = KEYS
                    .iter()
                    .chain(&HARMLESS)
                    .copied()
                    .find(|known| known.eq_ignore_ascii_case(key));
                self.skip(one.key.span, Why::Key(meant));
                return;
            }
        };
        match wrong {
            Some(takes) => self.skip(one.span, Why::Value(takes)),
            None => self.understood += 1,
        }
    }

    fn servers(&mut self, one: &Assignment) -> Vec<Spanned<IpAddr>> {
        let mut servers = Vec::new();
        for word in &one.words {
            match server(&word.value) {
                Some(address) => servers.push(Spanned::new(address, word.span)),
                None => self.skip(word.span, Why::Server),
            }
        }
        servers
    }
}

fn set<T>(place: &mut Option<Spanned<T>>, value: T, span: Span) -> Option<&'static str> {
    *place = Some(Spanned::new(value, span));
    None
}

/// `parse_boolean` in parse-util.c.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// `address[:port][%interface][#name]`, with `[]` around an IPv6 address that has a port.
fn server(text: &str) -> Option<IpAddr> {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let text = text.split_once('%').map_or(text, |(before, _)| before);
    let (address, _) = with_port(text)?;
    Some(address)
}

fn extra(text: &str) -> Option<Extra> {
    let (takes, text) = match text.split_once(':') {
        Some(("udp", rest)) => (Listener::UDP, rest),
        Some(("tcp", rest)) => (Listener::TCP, rest),
        Some(_) | None => (Listener::BOTH, text),
    };
    let (address, port) = with_port(text)?;
    Some(Extra {
        address,
        port,
        takes,
    })
}

/// An address and its port, 53 where none is given.
fn with_port(text: &str) -> Option<(IpAddr, u16)> {
    if let Ok(address) = text.parse() {
        return Some((address, 53));
    }
    let (address, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let address = match address.strip_prefix('[') {
        Some(inner) => IpAddr::V6(inner.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(address.parse().ok()?),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_many_forms() {
        for (text, address) in [
            ("8.8.8.8", "8.8.8.8"),
            ("8.8.8.8:5353#dns.google", "8.8.8.8"),
            ("2001:db8::1%lo", "2001:db8::1"),
            ("[2001:db8::1]:853#x", "2001:db8::1"),
        ] {
            assert_eq!(server(text), address.parse().ok(), "{text}");
        }
        for text in ["8.8.8.8,9.9.9.9", "\"8.8.8.8\"", "dns.google", "8.8.8.8:0"] {
            assert_eq!(server(text), None, "{text}");
        }
    }

    #[test]
    fn drop_ins_are_known_by_their_folder() {
        assert!(is_drop_in("etc/systemd/resolved.conf.d/a.conf"));
        assert!(!is_drop_in("etc/systemd/resolved.conf"));
    }
}
