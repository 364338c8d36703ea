//! In: what the daemon is configured to do. Out: the reading: one gate whose stages are unbound's own, settings with the
//! version's defaults, and findings.
//!
//! Order of a lookup (unbound `daemon/worker.c`, `util/module.c`): the client's netblock, local zones, then the modules:
//! the zones that are forwarded, and what is done with answers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::keywords::Clause;
use super::parse::{Config, Entry, atoi};
use crate::config::dns::{self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, NAMES, UPSTREAM};
use crate::config::{DialectFinding, Facts, Reading};
use crate::model::{
    Effect, Gate, Guard, Layer, Ranges, Rule, Step, Unknown, UnknownId, UnknownKind,
};
use crate::source::{FileId, Span, Spanned};

mod access;
mod answers;
mod names;
mod upstream;

/// What the parts of the lowering share.
pub(super) struct Lowering<'c> {
    config: &'c Config,
    version: Option<(u32, u32, u32)>,
    file: FileId,
    gate: Gate,
    findings: Vec<DialectFinding>,
    /// Which clients are answered from local zones only, netblock by netblock; empty where none is.
    beyond_local: Vec<Rule>,
}

/// Puts everything into a reading.
pub(super) fn lower(config: &Config, file: FileId, facts: &Facts) -> Reading {
    let mut lowering = Lowering {
        config,
        version: facts.get("unbound.version").and_then(dns::version),
        file,
        gate: Gate::new("unbound", Layer::Lookup),
        findings: Vec::new(),
        beyond_local: Vec::new(),
    };
    lowering.refusals();
    let access = access::chain(&mut lowering);
    let names = names::chain(&mut lowering);
    let upstream = upstream::chain(&mut lowering);
    let answers = answers::chain(&mut lowering);
    lowering.impossible();
    dns::way(
        &mut lowering.gate,
        [
            (ACCESS, access, "clients that no netblock stops are served"),
            (NAMES, names, "no local zone has an answer"),
            (UPSTREAM, upstream, "the name is resolved"),
            (ANSWERS, answers, "the answer passes"),
        ]
        .map(|(name, chain, text)| Hop::new(name, chain, Effect::Allow, text))
        .to_vec(),
    );
    let behaviour = lowering.behaviour();
    let mut reading = Reading {
        statements: config.statements,
        understood: config.understood,
        role: Some(upstream::role(config).to_owned()),
        ..Reading::default()
    };
    if lowering.version.is_none() {
        reading
            .assumptions
            .push("unbound is 1.18 or newer (fact `unbound.version`)".to_owned());
    }
    behaviour.report(&mut reading);
    if let Some((span, why)) = lowering.upstream_over_tcp() {
        dns::sizes_are_moot(&mut reading, span, why);
    }
    reading.findings = lowering.findings;
    reading.gates.push(lowering.gate);
    reading
}

impl Lowering<'_> {
    /// The last value of a scalar of `server:`.
    fn scalar(&self, name: &str) -> Option<&Entry> {
        self.config.scalars.get(name)
    }

    /// All values of a list of `server:`.
    fn list(&self, name: &str) -> &[Entry] {
        self.config.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a yes-or-no scalar says yes.
    fn says(&self, name: &str, default: bool) -> bool {
        self.scalar(name)
            .map_or(default, |entry| entry.value(0) == "yes")
    }

    /// Adds an unknown.
    fn unknown(&mut self, code: &'static str, text: String, span: Span) -> UnknownId {
        self.gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code,
            text,
            identity: None,
            span: Some(span),
        })
    }

    /// A rule after which nothing certain can be said about these lookups.
    fn obscure(&mut self, guard: Guard, code: &'static str, text: String, span: Span) -> Rule {
        let unknown = self.unknown(code, text, span);
        Rule {
            guard,
            step: Step::Obscure(unknown),
            span,
        }
    }

    fn finding(
        &mut self,
        id: &'static str,
        title: impl Into<String>,
        label: impl Into<String>,
        span: Span,
    ) -> &mut DialectFinding {
        self.findings.push(DialectFinding {
            id,
            title: title.into(),
            label: Spanned::new(label.into(), span),
            related: Vec::new(),
            help: None,
            fix: None,
            refuses: false,
        });
        let last = self.findings.len() - 1;
        // INVARIANT: the finding was just pushed.
        #[expect(clippy::indexing_slicing, reason = "the finding was just pushed")]
        &mut self.findings[last]
    }

    fn refuses(&mut self, why: impl Into<String>, span: Span, help: Option<String>) {
        let found = self.finding(
            "unbound/does-not-start",
            "unbound refuses this file, so nothing resolves",
            why,
            span,
        );
        found.help = help;
        found.refuses = true;
    }

    fn refusals(&mut self) {
        let config = self.config;
        for refusal in &config.refusals {
            self.refuses(refusal.why.clone(), refusal.span, refusal.help.clone());
        }
    }

    /// Combinations that unbound checks after reading (`unbound-checkconf`, `daemon_init`).
    fn impossible(&mut self) {
        if let (Some(udp), Some(_)) = (self.scalar("do-udp"), self.scalar("do-tcp"))
            && !self.says("do-udp", true)
            && !self.says("do-tcp", true)
        {
            let span = udp.span;
            self.refuses("UDP and TCP are both disabled", span, None);
        }
        if let Some(size) = self.scalar("msg-buffer-size")
            && atoi(size.value(0)) < 4096
        {
            let span = size.span;
            self.refuses(
                "the message buffer must have at least 4096 bytes",
                span,
                Some("write `msg-buffer-size: 65552`, the default".to_owned()),
            );
        }
        let modules = self.scalar("module-config").map(|entry| {
            let words: Vec<String> = entry
                .value(0)
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect();
            (words, entry.span)
        });
        if let Some((words, span)) = &modules
            && words.is_empty()
        {
            self.refuses("no module is configured", *span, None);
        }
        let respip = modules
            .as_ref()
            .is_some_and(|(words, _)| words.iter().any(|word| word == "respip"));
        let needs = self
            .list("response-ip")
            .first()
            .map(|entry| entry.span)
            .or_else(|| {
                let mut objects = self.config.objects.iter();
                objects
                    .find(|object| object.clause == Clause::Rpz)
                    .map(|object| object.span)
            });
        if let Some(span) = needs
            && !respip
        {
            self.refuses(
                "this needs the module `respip`; unbound-checkconf does not notice, the daemon exits",
                span,
                Some("set `module-config: \"respip validator iterator\"` in `server:`".to_owned()),
            );
        }
    }

    fn behaviour(&self) -> Behaviour {
        let sizes = self.size("edns-buffer-size", (1, 12, 0), "1.12");
        let reply = self.size("max-udp-size", (1, 18, 0), "1.18");
        let udp = self.scalar("do-udp").filter(|udp| udp.value(0) == "no");
        Behaviour {
            edns0: match self.missing_after(None) {
                Some(missing) if self.scalar("do-udp").is_none() && self.config.statements == 0 => {
                    Held::unknown(Some(missing.span), format!("`{}`", missing.value))
                }
                Some(_) | None => Held::default_is(
                    Edns0::Always,
                    "unbound always sends EDNS0, there is no switch",
                ),
            },
            upstream_sizes: mapped(&sizes, |size| vec![size.min(65535)]),
            client_size: mapped(&sizes, |size| size.min(65535)),
            max_reply: match udp {
                Some(udp) => Held::set(0, udp.span, "`do-udp: no` leaves no UDP socket"),
                None => reply,
            },
            tcp: match self.scalar("do-tcp") {
                Some(entry) if self.missing_after(Some(entry)).is_none() => Held::set(
                    entry.value(0) != "no",
                    entry.span,
                    format!("`do-tcp: {}` says so", entry.value(0)),
                ),
                Some(_) | None => match self.missing_after(self.scalar("do-tcp")) {
                    Some(missing) => {
                        Held::unknown(Some(missing.span), format!("`{}`", missing.value))
                    }
                    None => Held::default_is(true, "TCP is on by default"),
                },
            },
            nameservers: upstream::nameservers(self),
            sizes_are_settable: true,
        }
    }

    /// A size of `server:`, 4096 by default before `since`, 1232 from then on.
    fn size(&self, name: &str, since: (u32, u32, u32), word: &str) -> Held<u64> {
        let entry = self.scalar(name);
        if let Some(missing) = self.missing_after(entry) {
            return Held::unknown(Some(missing.span), format!("`{}`", missing.value));
        }
        match entry {
            Some(entry) => Held::set(
                atoi(entry.value(0)),
                entry.span,
                format!("`{name}: {}` sets it", entry.value(0)),
            ),
            None => match self.version {
                Some(version) if version < since => {
                    Held::default_is(4096, format!("4096 is the default before {word}"))
                }
                Some(_) | None => {
                    Held::default_is(1232, format!("1232 is the default since {word}"))
                }
            },
        }
    }

    /// The last missing file, where it is read after an entry and so may override it.
    fn missing_after(&self, entry: Option<&Entry>) -> Option<&Spanned<String>> {
        let (order, missing) = self.config.missing.last()?;
        let overrides = entry.is_none_or(|entry| *order > entry.order);
        overrides.then_some(missing)
    }

    /// Why no UDP is used upstream, where that is so.
    fn upstream_over_tcp(&self) -> Option<(Span, &'static str)> {
        for name in ["tls-upstream", "ssl-upstream", "tcp-upstream"] {
            if let Some(entry) = self.scalar(name)
                && entry.value(0) == "yes"
            {
                return Some((entry.span, "upstream servers are asked over TCP or TLS"));
            }
        }
        upstream::all_over_tcp(self.config)
    }
}

fn mapped<T>(held: &Held<u64>, map: impl FnOnce(u64) -> T) -> Held<T> {
    Held {
        value: match &held.value {
            dns::Known::Is(value) => dns::Known::Is(map(*value)),
            dns::Known::Moot => dns::Known::Moot,
            dns::Known::Unknown(missing) => dns::Known::Unknown(missing.clone()),
        },
        span: held.span,
        why: held.why.clone(),
        ignored: held.ignored.clone(),
    }
}

/// A netblock as unbound reads it: an address and, where given, how many bits count.
fn netblock(text: &str) -> Option<(Ranges, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = bits.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
    let net = ipnet::IpNet::new(address, bits).ok()?;
    let all = Ranges::network(net.trunc());
    // The model's number line has IPv4 inside `::ffff:0:0/96`, which no IPv6 netblock means.
    let all = if address.is_ipv4() {
        all
    } else {
        all.intersect(&Ranges::ipv6())
    };
    Some((all, bits))
}

/// A name as the model has it: lower case, no outer dots.
fn zone_name(text: &str) -> String {
    text.trim_matches('.').to_ascii_lowercase()
}

/// The name above a name; the root is the empty one.
fn parent(name: &str) -> Option<&str> {
    match name.split_once('.') {
        Some((_, parent)) => Some(parent),
        None if name.is_empty() => None,
        None => Some(""),
    }
}

/// The deepest zone around a name, or at it.
fn enclosing<'z, V>(name: &str, zones: &'z BTreeMap<String, V>) -> Option<(&'z str, &'z V)> {
    std::iter::successors(Some(name), |name| parent(name))
        .find_map(|name| zones.get_key_value(name))
        .map(|(name, zone)| (name.as_str(), zone))
}
