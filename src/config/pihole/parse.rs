//! In: one pihole.toml. Out: the options that FTL writes for its dnsmasq, host names, and how it blocks.
//!
//! FTL writes the options anew from this file (`src/config/dnsmasq_config.c`); keys that it does not know it drops, and a
//! value that it does not take is replaced by the default.

use super::super::Input;
use super::super::dns::HostEntry;
use super::super::toml;
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Yaml};

/// How blocked names are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// `NULL`, `IP`: with another address.
    Address,
    /// `IP_NODATA_AAAA`: A with Pi-hole's address, AAAA without data.
    AddressOrNoData,
    /// `NX`.
    NxDomain,
    /// `NODATA`.
    NoData,
}

/// What the file says.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// Options of dnsmasq, each with the place that it comes from.
    pub(super) options: Vec<Spanned<String>>,
    /// `dns.hosts`.
    pub(super) hosts: Vec<HostEntry>,
    /// `dns.blocking.active`, where it is written.
    pub(super) is_blocking: bool,
    /// Where blocking is switched on or off.
    pub(super) blocking: Option<Span>,
    /// `dns.blocking.mode`.
    pub(super) mode: Mode,
    /// `dns.CNAMEdeepInspect`.
    pub(super) inspects_aliases: bool,
    /// Values that FTL replaces by the default; what it takes.
    pub(super) replaced: Vec<Spanned<&'static str>>,
    /// Where the text stops being TOML.
    pub(super) broken: Option<Spanned<String>>,
    /// How many settings there are.
    pub(super) statements: usize,
    /// `misc.dnsmasq_lines`, for edits.
    pub(super) lines: Vec<Spanned<String>>,
}

/// Reads the file.
pub(super) fn parse(input: &Input<'_>) -> Config {
    let text = String::from_utf8_lossy(input.bytes);
    let (tree, broken) = match text {
        std::borrow::Cow::Borrowed(text) => toml::read(input.file, text),
        std::borrow::Cow::Owned(_) => (
            Spanned::new(Node::Null, Span::new(input.file, 0, 0)),
            Some(Spanned::new(
                "it is not UTF-8".to_owned(),
                Span::new(input.file, 0, 0),
            )),
        ),
    };
    let mut reader = Reader {
        tree: &tree,
        replaced: Vec::new(),
    };
    let is_blocking = reader.flag(&["dns", "blocking", "active"], true);
    let inspects_aliases = reader.flag(&["dns", "CNAMEdeepInspect"], true);
    let mode = reader.mode();
    let options = reader.options();
    Config {
        options,
        hosts: hosts(&tree),
        is_blocking,
        blocking: tree.at(&["dns", "blocking", "active"]).map(|one| one.span),
        mode,
        inspects_aliases,
        replaced: reader.replaced,
        broken,
        statements: settings(&tree),
        lines: strings(tree.items(&["misc", "dnsmasq_lines"])),
    }
}

struct Reader<'a> {
    tree: &'a Yaml,
    replaced: Vec<Spanned<&'static str>>,
}

impl Reader<'_> {
    fn flag(&mut self, path: &[&str], default: bool) -> bool {
        match self.tree.text(path) {
            Some("true") => true,
            Some("false") => false,
            _ => {
                self.replace(path, "`true` or `false`");
                default
            }
        }
    }

    fn text(&mut self, path: &[&str], default: &str) -> Spanned<String> {
        let at = self.tree.at(path).map_or(self.tree.span, |one| one.span);
        let Some(text) = self.tree.text(path) else {
            self.replace(path, "a text");
            return Spanned::new(default.to_owned(), self.start());
        };
        Spanned::new(text.to_owned(), at)
    }

    /// Says so, where something else is written there.
    fn replace(&mut self, path: &[&str], takes: &'static str) {
        if let Some(written) = self.tree.at(path) {
            self.replaced.push(Spanned::new(takes, written.span));
        }
    }

    /// What comes from no line points at the start.
    fn start(&self) -> Span {
        Span {
            end: self.tree.span.start,
            ..self.tree.span
        }
    }

    fn mode(&mut self) -> Mode {
        let path = ["dns", "blocking", "mode"];
        match self.tree.text(&path) {
            Some("NULL" | "IP") => Mode::Address,
            Some("IP_NODATA_AAAA") => Mode::AddressOrNoData,
            Some("NX" | "NXDOMAIN") => Mode::NxDomain,
            Some("NODATA") => Mode::NoData,
            _ => {
                self.replace(&path, "`NULL`, `IP`, `IP_NODATA_AAAA`, `NX` or `NODATA`");
                Mode::Address
            }
        }
    }

    /// The options in the order in which FTL writes them.
    fn options(&mut self) -> Vec<Spanned<String>> {
        let mut options = vec![Spanned::new("no-resolv".to_owned(), self.start())];
        let port = self.text(&["dns", "port"], "53");
        options.push(option("port", &port));
        for server in strings(self.tree.items(&["dns", "upstreams"])) {
            options.push(option("server", &server));
        }
        if self.flag(&["dns", "dnssec"], false) {
            let span = self.span(&["dns", "dnssec"]);
            options.push(Spanned::new("dnssec".to_owned(), span));
            options.push(Spanned::new(ANCHOR.to_owned(), span));
        }
        let record = self.text(&["dns", "hostRecord"], "");
        if !record.value.is_empty() {
            options.push(option("host-record", &record));
        }
        self.listening(&mut options);
        self.reverse_servers(&mut options);
        let domain = match self.tree.at(&["dns", "domain", "name"]) {
            Some(_) => self.text(&["dns", "domain", "name"], "lan"),
            None => self.text(&["dns", "domain"], "lan"),
        };
        let is_local = self.flag(&["dns", "domainNeeded"], false)
            || self.tree.text(&["dns", "domain", "local"]) == Some("true");
        if is_local && !domain.value.is_empty() {
            options.push(Spanned::new(
                format!("local=/{}/", domain.value),
                domain.span,
            ));
        }
        for record in strings(self.tree.items(&["dns", "cnameRecords"])) {
            options.push(option("cname", &record));
        }
        if self.flag(&["misc", "etc_dnsmasq_d"], false) {
            let span = self.span(&["misc", "etc_dnsmasq_d"]);
            options.push(Spanned::new("conf-dir=/etc/dnsmasq.d".to_owned(), span));
        }
        options.extend(strings(self.tree.items(&["misc", "dnsmasq_lines"])));
        options
    }

    fn span(&self, path: &[&str]) -> Span {
        self.tree.at(path).map_or(self.start(), |one| one.span)
    }

    fn listening(&mut self, options: &mut Vec<Spanned<String>>) {
        let path = ["dns", "listeningMode"];
        let span = self.span(&path);
        let mut push = |text: String| options.push(Spanned::new(text, span));
        let interface = match self.tree.text(&["dns", "interface"]) {
            Some("") | None => "eth0",
            Some(interface) => interface,
        };
        match self.tree.text(&path) {
            Some("ALL") => push("except-interface=nonexisting".to_owned()),
            Some("SINGLE") => push(format!("interface={interface}")),
            Some("BIND") => {
                push(format!("interface={interface}"));
                push("bind-interfaces".to_owned());
            }
            Some("NONE") => {}
            Some("LOCAL") => push("local-service".to_owned()),
            _ => {
                push("local-service".to_owned());
                self.replace(&path, "`LOCAL`, `SINGLE`, `BIND`, `ALL` or `NONE`");
            }
        }
    }

    /// `ENABLED,NETWORK,SERVER,DOMAIN`: names of the domain go to the server.
    fn reverse_servers(&mut self, options: &mut Vec<Spanned<String>>) {
        for server in strings(self.tree.items(&["dns", "revServers"])) {
            let parts: Vec<&str> = server.value.split(',').map(str::trim).collect();
            if let ["true", _, target, domain] = parts.as_slice()
                && !domain.is_empty()
            {
                let text = format!("server=/{domain}/{target}");
                options.push(Spanned::new(text, server.span));
            }
        }
    }
}

/// The root zone's trust anchor, as FTL writes it.
const ANCHOR: &str =
    "trust-anchor=.,20326,8,2,E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";

fn option(name: &str, value: &Spanned<String>) -> Spanned<String> {
    Spanned::new(format!("{name}={}", value.value), value.span)
}

fn strings(items: &[Yaml]) -> Vec<Spanned<String>> {
    items
        .iter()
        .filter_map(|item| {
            let text = item.text(&[])?.to_owned();
            Some(Spanned::new(text, item.span))
        })
        .collect()
}

/// `dns.hosts`: `ADDRESS NAME NAME ...`.
fn hosts(tree: &Yaml) -> Vec<HostEntry> {
    let mut entries = Vec::new();
    for line in strings(tree.items(&["dns", "hosts"])) {
        let mut words = line.value.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        entries.extend(words.map(|name| HostEntry {
            name: name.trim_end_matches('.').to_ascii_lowercase(),
            address,
            span: line.span,
        }));
    }
    entries
}

fn settings(tree: &Yaml) -> usize {
    match &tree.value {
        Node::Map(entries) => entries.iter().map(|(_, value)| settings(value)).sum(),
        Node::Null => 0,
        Node::Scalar(_) | Node::List(_) => 1,
    }
}
