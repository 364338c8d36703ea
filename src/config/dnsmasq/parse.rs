//! In: one dnsmasq.conf and the files that it names. Out: its options in order, typed where they count.
//!
//! `conf-file`, `conf-dir` and `servers-file` are followed where they stand. dnsmasq stops at the first mistake, so any is a
//! refusal of the whole file (`one_opt` and `read_file` in option.c; each message was seen with dnsmasq 2.90).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::dns::{HostEntry, hosts, network};
use super::super::{DialectFinding, Edit, Files, Fix, Input, Opened};
use super::grammar::{self, Takes};
use super::syntax::{self, Line};
use super::{LONG_LINE, refused};
use crate::source::{FileId, Span, Spanned};

/// Files name files no deeper.
const DEPTH: usize = 16;
/// No more files are read for one config.
const FILES: usize = 2_000;

/// One dnsmasq.conf with what it includes.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// All options in order.
    pub(super) lines: Vec<Line>,
    /// `server`, `local` and `address`, one entry for each domain.
    pub(super) targets: Vec<Target>,
    /// Files and directories that were not given.
    pub(super) missing: Vec<Missing>,
    /// Host files that were given: their names and addresses.
    pub(super) hosts: Vec<HostEntry>,
    /// What dnsmasq says of the file.
    pub(super) findings: Vec<DialectFinding>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
    /// How many options there are.
    pub(super) statements: usize,
    /// How many of them are understood.
    pub(super) understood: usize,
}

/// What is done with the names of a domain.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Lower case, no final dot; empty is everything. A wildcard's text may begin with a dot.
    pub(super) domain: String,
    /// `*text`: names that end so.
    pub(super) wildcard: bool,
    /// What.
    pub(super) action: Action,
    /// The option.
    pub(super) span: Span,
}

/// What `server`, `local` and `address` do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// `address=/d/::1`.
    V6(Ipv6Addr),
    /// `address=/d/10.0.0.1`.
    V4(Ipv4Addr),
    /// `address=/d/#`: 0.0.0.0 and ::.
    Zeros,
    /// `server=/d/#`: the standard servers.
    Standard,
    /// `server=/d/1.2.3.4`.
    Ask,
    /// No address: the domain is known here only.
    Nothing,
}

/// Something that was not given.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    /// Its name as written, and where.
    pub(super) name: Spanned<String>,
    /// It holds host names only.
    pub(super) hosts: bool,
}

impl Config {
    /// The first option of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// Whether the option is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All options of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.name == name)
    }
}

impl Line {
    /// The value's parts between commas.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.value
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
    }
}

/// Reads a config.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let mut reader = Reader {
        files,
        config: Config::default(),
        opened: BTreeSet::from([input.file]),
        once: BTreeMap::new(),
    };
    reader.file(input.file, input.bytes, 0);
    reader.config
}

/// Reads options that another program hands over, in their order.
pub(super) fn parse_lines(input: &Input<'_>, lines: Vec<Line>, files: &dyn Files) -> Config {
    let mut reader = Reader {
        files,
        config: Config::default(),
        opened: BTreeSet::from([input.file]),
        once: BTreeMap::new(),
    };
    reader.lines(input.file, lines, 0);
    reader.config
}

struct Reader<'a> {
    files: &'a dyn Files,
    config: Config,
    opened: BTreeSet<FileId>,
    once: BTreeMap<String, Span>,
}

impl Reader<'_> {
    fn file(&mut self, file: FileId, bytes: &[u8], depth: usize) {
        self.lines(file, syntax::lines(file, bytes), depth);
    }

    fn lines(&mut self, file: FileId, lines: Vec<Line>, depth: usize) {
        for line in lines {
            self.config.statements += 1;
            if self.takes(&line) {
                self.config.understood += 1;
                self.follow(&line, file, depth);
                self.config.lines.push(line);
            }
        }
    }

    /// Whether dnsmasq takes the option; a finding says why not.
    fn takes(&mut self, line: &Line) -> bool {
        if line.open_quote {
            self.refuse("a `\"` is never closed".to_owned(), line.span, None);
            return false;
        }
        if line.tail {
            self.config.findings.push(DialectFinding {
                id: LONG_LINE,
                ..refused(
                    "dnsmasq refuses the file: a line is longer than 1,024 bytes".to_owned(),
                    Spanned::new("read as an option of its own".to_owned(), line.span),
                )
            });
            return false;
        }
        let takes = match grammar::takes(&line.name) {
            Some(takes) => takes,
            None if grammar::is_newer(&line.name) => return true,
            None => {
                let meant = grammar::meant(&line.name);
                self.refuse(
                    format!("it knows no option `{}`", line.name),
                    line.name_span,
                    meant,
                );
                return false;
            }
        };
        match (takes, &line.value) {
            (Takes::Nothing, Some(_)) => {
                self.refuse(
                    format!("`{}` takes no value", line.name),
                    line.span,
                    Some(line.name.clone()),
                );
                return false;
            }
            (Takes::Value, None) => {
                self.refuse(format!("`{}` needs a value", line.name), line.span, None);
                return false;
            }
            (Takes::Nothing | Takes::Value | Takes::MaybeValue, _) => {}
        }
        if grammar::only_once(&line.name)
            && let Some(first) = self.once.insert(line.name.clone(), line.span)
        {
            let mut finding = refused(
                format!("dnsmasq refuses the file: `{}` stands twice", line.name),
                Spanned::new("illegal repeated keyword".to_owned(), line.span),
            );
            finding
                .related
                .push(Spanned::new("first given here".to_owned(), first));
            finding.help = Some("delete one of the two: neither wins".to_owned());
            self.config.findings.push(finding);
            return false;
        }
        self.value_is_good(line)
    }

    fn refuse(&mut self, what: String, span: Span, replace: Option<String>) {
        let mut finding = refused(
            format!("dnsmasq refuses the file: {what}"),
            Spanned::new(what, span),
        );
        if let Some(text) = replace {
            finding.help = Some(format!("write `{text}`"));
            finding.fix = Some(Fix {
                title: format!("write `{text}`"),
                edits: vec![Edit { span, text }],
                safe: false,
            });
        }
        self.config.findings.push(finding);
    }

    /// Checks the values that count here.
    fn value_is_good(&mut self, line: &Line) -> bool {
        let value = line.value.as_deref().unwrap_or_default();
        let is_number = |text: &str| {
            !text.is_empty() && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let good = match line.name.as_str() {
            "port" | "edns-packet-max" | "cache-size" | "dns-forward-max" | "local-ttl" => {
                value.is_empty() || is_number(value)
            }
            "listen-address" => line.parts().all(|part| part.parse::<IpAddr>().is_ok()),
            "bogus-nxdomain" | "ignore-address" => network(value).is_some(),
            "local-service" => matches!(value, "" | "net" | "host"),
            "server" | "local" | "address" => return self.target(line),
            _ => true,
        };
        if !good {
            self.refuse(
                format!("`{value}` is no value of `{}`", line.name),
                line.value_span,
                None,
            );
        }
        good
    }

    /// `server=/a/b/1.2.3.4`, `address=/a/#`, `local=/a/`.
    fn target(&mut self, line: &Line) -> bool {
        let value = line.value.as_deref().unwrap_or_default();
        let (domains, rest): (Vec<&str>, &str) = match value.strip_prefix('/') {
            Some(list) => match list.rsplit_once('/') {
                Some((domains, rest)) => (domains.split('/').collect(), rest),
                None => (Vec::new(), list),
            },
            None => (Vec::new(), value),
        };
        let is_address = line.name == "address";
        let action = match (is_address, rest) {
            (_, "") => Action::Nothing,
            (true, "#") => Action::Zeros,
            (false, "#") => Action::Standard,
            (true, text) => match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(v4)) => Action::V4(v4),
                Ok(IpAddr::V6(v6)) => Action::V6(v6),
                Err(_) => {
                    self.refuse(
                        format!("`{text}` is no address (`Bad address in --address`)"),
                        line.value_span,
                        None,
                    );
                    return false;
                }
            },
            (false, text) if !has_good_port(text) => {
                self.refuse(format!("`{text}` has a bad port"), line.value_span, None);
                return false;
            }
            (false, _) => Action::Ask,
        };
        let mut push = |domain: &str, wildcard: bool| {
            self.config.targets.push(Target {
                domain: domain.trim_end_matches('.').to_ascii_lowercase(),
                wildcard,
                action: action.clone(),
                span: line.span,
            });
        };
        if !value.starts_with('/') {
            push("", false);
        }
        for domain in domains {
            match domain.strip_prefix('*') {
                // Unqualified names only: no name that is asked for here.
                _ if domain.is_empty() => {}
                _ if domain == "#" => push("", false),
                Some("") => push("", false),
                Some(rest) => push(rest, true),
                None => push(domain.trim_start_matches('.'), false),
            }
        }
        true
    }

    /// Reads what the option names.
    fn follow(&mut self, line: &Line, from: FileId, depth: usize) {
        let Some(value) = line.value.as_deref().filter(|value| !value.is_empty()) else {
            return;
        };
        match line.name.as_str() {
            "conf-file" | "servers-file" => self.include(value, line, from, depth),
            "conf-dir" => self.directory(value, line, from, depth),
            "addn-hosts" => self.hosts(value, line, from),
            "hostsdir" => {
                let mut found = false;
                for (_, opened) in self.files.glob(from, &format!("{value}/*")) {
                    found |= self.host_file(opened);
                }
                if !found {
                    self.missing(value, line, true);
                }
            }
            _ => {}
        }
    }

    fn include(&mut self, name: &str, line: &Line, from: FileId, depth: usize) {
        // A glob since 2.83.
        let opened: Vec<Opened> = if name.contains(['*', '?', '[']) {
            let files = self.files.glob(from, name);
            files.into_iter().map(|(_, opened)| opened).collect()
        } else {
            vec![self.files.open(from, name)]
        };
        let mut found = false;
        for opened in opened {
            found |= self.config_file(opened, depth);
        }
        if !found {
            self.missing(name, line, false);
        }
    }

    fn config_file(&mut self, opened: Opened, depth: usize) -> bool {
        let Opened::Found { file, bytes } = opened else {
            return false;
        };
        // dnsmasq reads each file once (`one_file`).
        if depth < DEPTH && self.opened.len() < FILES && self.opened.insert(file) {
            self.config.companions.push(file);
            self.file(file, &bytes, depth + 1);
        }
        true
    }

    /// `conf-dir=d,.ext,*.ext`: `.ext` leaves out, `*.ext` takes only those.
    fn directory(&mut self, value: &str, line: &Line, from: FileId, depth: usize) {
        let mut parts = value.split(',');
        let directory = parts.next().unwrap_or_default().trim_end_matches('/');
        let (only, without): (Vec<&str>, Vec<&str>) = parts
            .filter(|part| !part.is_empty())
            .partition(|part| part.starts_with('*'));
        let files = self.files.glob(from, &format!("{directory}/*"));
        let mut found = false;
        for (path, opened) in files {
            found = true;
            let name = path.rsplit('/').next().unwrap_or(&path);
            let edited = name.ends_with('~')
                || name.starts_with('.')
                || (name.starts_with('#') && name.ends_with('#'));
            let wanted = only.is_empty()
                || only
                    .iter()
                    .any(|suffix| name.ends_with(suffix.trim_start_matches('*')));
            if wanted && !edited && !without.iter().any(|suffix| name.ends_with(suffix)) {
                self.config_file(opened, depth);
            }
        }
        if !found {
            self.missing(directory, line, false);
        }
    }

    fn hosts(&mut self, name: &str, line: &Line, from: FileId) {
        let opened = self.files.open(from, name);
        if self.host_file(opened) {
            return;
        }
        let mut found = false;
        for (_, opened) in self.files.glob(from, &format!("{name}/*")) {
            found |= self.host_file(opened);
        }
        if !found {
            self.missing(name, line, true);
        }
    }

    /// `address name name ...`.
    fn host_file(&mut self, opened: Opened) -> bool {
        let Opened::Found { file, bytes } = opened else {
            return false;
        };
        if self.opened.insert(file) {
            self.config.companions.push(file);
        }
        self.config.hosts.extend(hosts(file, &bytes));
        true
    }

    fn missing(&mut self, name: &str, line: &Line, hosts: bool) {
        self.config.missing.push(Missing {
            name: Spanned::new(name.to_owned(), line.span),
            hosts,
        });
    }
}

/// `address#port@source#port`: ports are numbers.
fn has_good_port(server: &str) -> bool {
    server.split('@').all(|part| {
        part.split_once('#')
            .is_none_or(|(_, port)| port.parse::<u16>().is_ok())
    })
}
