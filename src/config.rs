//! In: the bytes of one config, other files through [`Files`], facts. Out: a [`Reading`]: gates, settings, facts and
//! what the dialect itself has to say.
//!
//! Reading is pure and never fails: user text makes no `Err`; what was not understood is reported with a span and makes
//! undecided exactly what it could influence. A new kind is one folder here and one line of [`KINDS`].

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::model::Layer;
use crate::model::{Gate, Question, Ranges, Resource};
use crate::source::{FileId, Span, Spanned};

mod adguard_home;
mod apache;
mod bind;
mod caddy;
mod coredns;
mod csp;
mod detect;
mod dns;
mod dnsmasq;
mod edit;
mod haproxy;
mod hosting;
mod html;
mod iptables;
mod javascript;
mod nginx;
mod pihole;
mod recursor;
mod resolv_conf;
mod resolved;
mod squid;
mod terraform;
mod toml;
mod unbound;

pub use detect::{Detected, detect, kind_called, template_marker};
pub use edit::applied;

/// Every kind of config, in the order in which they are asked whether a file is theirs.
pub const KINDS: &[&Kind] = &[
    &iptables::KIND,
    &squid::KIND,
    &resolv_conf::KIND,
    &unbound::KIND,
    &bind::KIND,
    &dnsmasq::KIND,
    &resolved::KIND,
    &coredns::KIND,
    &pihole::KIND,
    &adguard_home::KIND,
    &recursor::KIND,
    &csp::KIND,
    &html::KIND,
    &nginx::KIND,
    &apache::KIND,
    &caddy::KIND,
    &haproxy::KIND,
    &terraform::KIND,
    &hosting::KIND,
    &javascript::KIND,
];

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// A config dialect.
#[derive(Debug)]
pub struct Kind {
    /// As users write it: `iptables`, `resolv-conf`.
    pub name: &'static str,
    /// In words, for `inputs` and help: `iptables-save dump`.
    pub title: &'static str,
    /// What flows its gates judge.
    pub layer: Layer,
    /// Whether a file is of this kind, by its path (as given, `/` separators) and content.
    pub claims: fn(path: &str, bytes: &[u8]) -> Claim,
    /// Reads it.
    pub read: fn(&Input<'_>, &dyn Files, &Facts) -> Reading,
    /// Edits that may let a blocked flow pass; each is applied in memory and judged again before it is offered.
    pub fix: fn(&Input<'_>, &Reading, &Blocked<'_>) -> Vec<Fix>,
    /// What the dialect itself can report.
    pub diagnostics: &'static [Diagnostic],
}

/// Whether a file is of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// No.
    No,
    /// It looks like it; the reason in words (`name ends in .rules`).
    Maybe(&'static str),
    /// Its content says so; the reason in words (`has a *filter line`).
    Yes(&'static str),
    /// Recognised, but not a form that can be read; the way out in words (`give me iptables-save`).
    Unreadable(&'static str),
}

/// The file to read.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its id, for spans.
    pub file: FileId,
    /// As messages show it.
    pub path: &'a str,
    /// As it is on disk.
    pub bytes: &'a [u8],
}

/// Other files that a config names. Implemented by the shell, and by maps in tests.
pub trait Files {
    /// Opens the file that `from` names so.
    fn open(&self, from: FileId, name: &str) -> Opened;
    /// Opens all files that match a glob, in the order of their names; none is an empty list.
    fn glob(&self, from: FileId, pattern: &str) -> Vec<(String, Opened)>;
    /// Opens the other files in the folder of `from` whose beginning is wanted, in the order of their names.
    fn beside(&self, from: FileId, wanted: &dyn Fn(&[u8]) -> bool) -> Vec<(String, Opened)> {
        let is_wanted = |opened: &Opened| match opened {
            Opened::Found { file, bytes } => *file != from && wanted(bytes),
            Opened::Missing | Opened::Refused(_) => false,
        };
        let mut found = self.glob(from, "*");
        found.retain(|(_, opened)| is_wanted(opened));
        found
    }
}

/// What came of opening a file.
#[derive(Debug, Clone)]
pub enum Opened {
    /// It was read.
    Found {
        /// Its id, for spans.
        file: FileId,
        /// Its bytes.
        bytes: Arc<[u8]>,
    },
    /// It is not there: its content is unknown, never empty.
    Missing,
    /// It must not be read; why (`outside the root`).
    Refused(&'static str),
}

/// Files without any other file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn open(&self, _: FileId, _: &str) -> Opened {
        Opened::Missing
    }

    fn glob(&self, _: FileId, _: &str) -> Vec<(String, Opened)> {
        Vec::new()
    }
}

/// Facts that no file tells: `squid.version`, `libc`, `unbound.version`, `csp.origin`, `role`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    values: BTreeMap<String, String>,
}

impl Facts {
    /// Sets a fact.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// These facts, and those of another one in their place where both say something.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        let mut values = self.values.clone();
        values.extend(over.values.clone());
        Self { values }
    }

    /// The value of a fact.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// What reading a config gives.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The decision procedures.
    pub gates: Vec<Gate>,
    /// Settings that requirements may ask for, by name.
    pub settings: Vec<Setting>,
    /// Facts for the machine contract, by name.
    pub facts: Vec<(String, FactValue)>,
    /// What the dialect itself reports.
    pub findings: Vec<DialectFinding>,
    /// How many statements the file has, and how many of them were understood.
    pub statements: usize,
    /// See [`Reading::statements`].
    pub understood: usize,
    /// What the daemon is for where it is not on the flows' way (`authoritative only`): recognised, not judged.
    pub not_judged: Option<String>,
    /// Its role in words for `inputs`: `gateway`, `client proxy`, `forwarder`.
    pub role: Option<String>,
    /// Other files that were read with this one: they are no inputs of their own.
    pub companions: Vec<FileId>,
    /// What was assumed, in words.
    pub assumptions: Vec<String>,
}

/// A value that a requirement may demand, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `dns.edns0`, `dns.edns0.upstream-size`.
    pub name: &'static str,
    /// What it is.
    pub value: SettingValue,
    /// The line that decides; `None` for a built-in default.
    pub span: Option<Span>,
    /// What the value does, as a clause: "queries carry no EDNS0"; empty where the value says it all.
    pub effect: String,
    /// Why it has this value, as a clause: "line 3 sets 512", "the default since 1.12".
    pub why: String,
    /// Lines that look as if they decided but do not, each with what is wrong with it.
    pub ignored: Vec<Spanned<String>>,
}

impl Setting {
    /// The name in words, to begin a clause with.
    pub fn title(&self) -> &'static str {
        match self.name {
            "dns.edns0" => "EDNS0",
            "dns.edns0.upstream-size" => "the EDNS0 size offered to other servers",
            "dns.edns0.client-size" => "the EDNS0 size offered to clients",
            "dns.udp.max-reply" => "the longest answer over UDP",
            "dns.tcp" => "DNS over TCP",
            "dns.nameservers" => "the number of nameservers",
            other => other,
        }
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// Enabled.
    On,
    /// Disabled.
    Off,
    /// A size or count.
    Number(u64),
    /// This hop passes on what it is given; another file decides.
    PassesThrough,
    /// Does not apply here.
    NotApplicable,
    /// Not known; why, completing "cannot tell without ...".
    Unknown(String),
}

/// A fact about an input, for the machine contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactValue {
    /// A word.
    Word(String),
    /// A number.
    Number(u64),
    /// Several numbers.
    Numbers(Vec<u64>),
    /// Not known.
    Unknown,
}

/// What a dialect can report about its own configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnostic {
    /// `squid/does-not-start`.
    pub id: &'static str,
    /// By default.
    pub level: Level,
    /// One line for `rules`.
    pub title: &'static str,
    /// For `explain`: what the program does, why it matters, what to do. Plain text in paragraphs.
    pub doc: &'static str,
}

/// How bad a dialect's finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Works badly, or may break.
    Warning,
    /// Does not do what its author meant.
    Error,
}

/// One dialect finding.
#[derive(Debug, Clone)]
pub struct DialectFinding {
    /// Which of the kind's diagnostics: its id.
    pub id: &'static str,
    /// The effect in the user's terms, no full stop.
    pub title: String,
    /// The text that it is about, and the label's words.
    pub label: Spanned<String>,
    /// Other places, with the label's words.
    pub related: Vec<Spanned<String>>,
    /// What to do, beginning with an imperative.
    pub help: Option<String>,
    /// An edit that mends it.
    pub fix: Option<Fix>,
    /// The real program refuses the file: every requirement at this input fails with this one cause.
    pub refuses: bool,
}

/// A change of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// A way to mend something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Imperative, names lines or tokens: "move line 7 above line 6".
    pub title: String,
    /// What to change, not overlapping.
    pub edits: Vec<Edit>,
    /// Whether it may be applied without a look (it opens nothing else and reorders nothing).
    pub safe: bool,
}

/// A flow that does not pass, for a kind's fixer.
#[derive(Debug, Clone, Copy)]
pub struct Blocked<'a> {
    /// The gate, by index in the reading; `None` for a setting.
    pub gate: Option<usize>,
    /// What was asked.
    pub question: &'a Question,
    /// The line that decided, where a line did.
    pub decided_by: Option<Span>,
    /// Lines that were meant to let it pass and never see it.
    pub shadowed: &'a [Span],
    /// Host patterns that the requirement names (`*.chime.aws`).
    pub domains: &'a [String],
    /// Destination networks of the requirement.
    pub networks: &'a Ranges,
    /// Protocol and port of the requirement, where it names them.
    pub service: Option<(u8, u16)>,
    /// Clients that are affected.
    pub clients: &'a Ranges,
    /// What a page must fetch.
    pub fetch: Option<(Resource, &'a str)>,
    /// The setting that a requirement demands.
    pub setting: Option<&'a str>,
}
