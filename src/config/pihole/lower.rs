//! In: a [`Config`]. Out: the reading of its dnsmasq, with blocking in front.
//!
//! FTL looks into its lists before dnsmasq answers, and again at the target of an alias (`CNAMEdeepInspect`). The lists are
//! in a database; the downloaded files beside pihole.toml are its source.

use super::super::dns::{
    self, ANSWERS, NAMES, TYPE_A, TYPE_AAAA, alias, deny, obscure, query_type,
};
use super::super::{
    DialectFinding, FactValue, Facts, Files, Input, Opened, Reading, SettingValue, dnsmasq,
};
use super::lists::{self, Entry};
use super::parse::{Config, Mode};
use super::{BROKEN, REPLACED};
use crate::model::{ChainId, Denial, Dim, Domains, Gate, Guard, Rule, Step, Test, TextSet};
use crate::source::{FileId, Span, Spanned};

/// Names beyond these get no rule of their own, but share one with the rest of their list.
const RULES: usize = 200_000;

/// The reading of a config.
pub(super) fn lower(
    input: &Input<'_>,
    config: &Config,
    files: &dyn Files,
    facts: &Facts,
) -> Reading {
    let hosts = config.hosts.clone();
    let mut reading = dnsmasq::embedded(input, &config.options, hosts, files, facts);
    reading.statements = config.statements.max(1);
    reading.understood = reading.statements;
    reading.role = Some("filtering forwarder".to_owned());
    reading
        .assumptions
        .push("no `FTLCONF_...` environment variable overrides the file".to_owned());
    // FTL tries the options first, and keeps its old ones where dnsmasq refuses them.
    for finding in &mut reading.findings {
        finding.refuses = false;
    }
    let start = Span::new(input.file, 0, 0);
    let old = reading.findings.first().map(|finding| finding.label.span);
    let Some(mut gate) = reading.gates.pop() else {
        return reading;
    };
    "pihole".clone_into(&mut gate.name);
    let blocking = gate.chain("blocking");
    let aliases = gate.chain("aliases");
    if let Some(broken) = &config.broken {
        let text = "what FTL falls back to: it cannot read the file".to_owned();
        obscure(
            &mut gate,
            blocking,
            Guard::Always,
            broken.span,
            "toml",
            text,
        );
        for setting in &mut reading.settings {
            setting.value = SettingValue::Unknown("a file that FTL can read".to_owned());
            setting.span = Some(broken.span);
        }
        for (_, fact) in &mut reading.facts {
            *fact = FactValue::Unknown;
        }
        reading.findings.push(finding(
            BROKEN,
            "FTL cannot read the file and falls back to an old one or to defaults",
            Spanned::new(broken.value.clone(), broken.span),
        ));
    } else if let Some(span) = old {
        let text = "the options that were in force before: dnsmasq refuses these".to_owned();
        obscure(&mut gate, blocking, Guard::Always, span, "options", text);
    }
    if config.is_blocking {
        block(
            &mut gate,
            &mut reading,
            input,
            config,
            files,
            facts,
            (blocking, aliases),
        );
    }
    call_first(&mut gate, NAMES, blocking, start);
    call_first(&mut gate, ANSWERS, aliases, start);
    for replaced in &config.replaced {
        reading.findings.push(finding(
            REPLACED,
            "FTL does not take this value and uses the default",
            Spanned::new(format!("it takes {}", replaced.value), replaced.span),
        ));
    }
    reading
        .assumptions
        .push("Pi-hole blocks as its documents say: no release was asked".to_owned());
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

/// The rules of the block lists, for names and for the targets of aliases.
fn block(
    gate: &mut Gate,
    reading: &mut Reading,
    input: &Input<'_>,
    config: &Config,
    files: &dyn Files,
    facts: &Facts,
    (blocking, aliases): (ChainId, ChainId),
) {
    let lists: Vec<(FileId, Vec<Entry>)> = ["listsCache/*.domains", "*.domains"]
        .iter()
        .flat_map(|pattern| files.glob(input.file, pattern))
        .filter_map(|(_, opened)| match opened {
            Opened::Found { file, bytes } => Some((file, lists::entries(file, &bytes))),
            Opened::Missing | Opened::Refused(_) => None,
        })
        .collect();
    if lists.is_empty() && facts.get("pihole.blocklists") != Some("none") {
        let span = config.blocking.unwrap_or(Span::new(input.file, 0, 0));
        let text = "the block lists: give the downloaded ones beside it (`listsCache/*.domains`), or say that none blocks \
                    the service (`--fact pihole.blocklists=none`)";
        obscure(
            gate,
            blocking,
            Guard::Always,
            span,
            "blocklist",
            text.to_owned(),
        );
        return;
    }
    reading.assumptions.push(
        "no allow or deny entry in the database `gravity.db` concerns the service".to_owned(),
    );
    let mut rules = 0;
    for (file, entries) in lists {
        reading.companions.push(file);
        let alone = RULES.saturating_sub(rules).min(entries.len());
        rules += alone;
        let (own, shared) = entries.split_at(alone);
        for entry in own {
            let host = dns::host(gate, &entry.name, entry.scope);
            answer(gate, blocking, &host, config.mode, entry.span);
            if config.inspects_aliases {
                let target = alias(gate, &entry.name, entry.scope);
                answer(gate, aliases, &target, config.mode, entry.span);
            }
        }
        if let Some(first) = shared.first() {
            let domains =
                Domains::new(shared.iter().map(|entry| (entry.name.clone(), entry.scope)));
            let text = gate.text(TextSet::Domains(domains.into()));
            let host = Guard::Is(Test::Text(Dim::Host, text));
            answer(gate, blocking, &host, config.mode, first.span);
            if config.inspects_aliases {
                let target = Guard::Is(Test::Text(Dim::Alias, text));
                answer(gate, aliases, &target, config.mode, first.span);
            }
        }
    }
}

/// What a blocked name is answered.
fn answer(gate: &mut Gate, chain: ChainId, guard: &Guard, mode: Mode, span: Span) {
    let mut rule = |guard: Guard, denial: Denial| {
        let step = deny(denial);
        gate.rule(chain, Rule { guard, step, span });
    };
    match mode {
        Mode::Address => rule(guard.clone(), Denial::Rewritten),
        Mode::NxDomain => rule(guard.clone(), Denial::NxDomain),
        Mode::NoData => rule(guard.clone(), Denial::NoData),
        Mode::AddressOrNoData => {
            for (kind, denial) in [(TYPE_A, Denial::Rewritten), (TYPE_AAAA, Denial::NoData)] {
                rule(Guard::All(vec![guard.clone(), query_type([kind])]), denial);
            }
        }
    }
}

/// A stage asks a chain before its own.
fn call_first(gate: &mut Gate, stage: &str, chain: ChainId, span: Span) {
    let own = gate
        .stages
        .iter()
        .find(|one| one.name == stage)
        .and_then(|one| one.chain);
    if let Some(own) = own.and_then(|own| gate.chains.get_mut(own.0 as usize)) {
        own.rules.insert(
            0,
            Rule {
                guard: Guard::Always,
                step: Step::Call(chain),
                span,
            },
        );
    }
}

fn finding(id: &'static str, title: &str, label: Spanned<String>) -> DialectFinding {
    DialectFinding {
        id,
        title: title.to_owned(),
        label,
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: false,
    }
}
