//! In: a Corefile's server blocks. Out: its reading: one gate for each port that is served, settings, findings.
//!
//! At one port the longest zone takes a lookup, whatever the order of the blocks; names in no zone are refused. CoreDNS
//! hands on the OPT record that the client sends, `bufsize` only lowers its size (plugin/bufsize/bufsize.go), and a reply
//! is cut at the size that the query then has.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{
    self, ACCESS, ANSWERS, Behaviour, Edns0, Held, Hop, NAMES, ZoneRule, deepest_first, deny,
    obscure, version, way,
};
use super::super::{DialectFinding, Facts, Files, Input, Reading};
use super::parse::{Block, Config, Plugin};
use super::plugins::{self, Context};
use super::syntax::Token;
use super::zones::{Server, Transport, servers};
use super::{BUFSIZE, refused};
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, DomainScope, Effect, Gate, Guard, Layer, Ranges, Rule,
    Standing, Step, Unknown, UnknownKind,
};
use crate::source::{Span, Spanned};

/// The port that clients ask.
const PORT: u16 = 53;
/// The version that is assumed where no fact tells it.
const ASSUMED: (u32, u32, u32) = (1, 11, 0);

/// The reading of a config.
pub(super) fn lower(
    input: &Input<'_>,
    mut config: Config,
    files: &dyn Files,
    facts: &Facts,
) -> Reading {
    let findings = match config.mistake.take() {
        Some(mistake) => vec![refused(mistake.title, mistake.label)],
        None => mistakes(&config),
    };
    let plugins = config.blocks.iter().flat_map(|block| &block.plugins);
    let statements = plugins.clone().count();
    let understood = plugins
        .filter(|one| plugins::is_known(&one.name.text))
        .count();
    let mut reading = Reading {
        findings,
        // A file that stops being a Corefile at once is understood as one that is refused.
        statements: statements.max(1),
        understood: if statements == 0 { 1 } else { understood },
        companions: std::mem::take(&mut config.companions),
        ..Reading::default()
    };
    let mut assumptions = Vec::new();
    let mut context = Context {
        files,
        assumptions: &mut assumptions,
    };
    let chosen = chosen_port(&config);
    let ports: BTreeSet<(Transport, u16)> = config
        .blocks
        .iter()
        .flat_map(servers)
        .flatten()
        .map(|server| (server.transport, server.port))
        .chain([chosen])
        .collect();
    for at in ports {
        let mut gate = port(input, &mut context, &config, at);
        if at != chosen {
            gate.standing = Standing::NotJudged(format!("clients ask port {}", chosen.1));
        }
        reading.gates.push(gate);
    }
    assumptions.dedup();
    reading
        .gates
        .sort_by_key(|gate| gate.standing != Standing::Judged);
    let blocks: Vec<&Block> = config
        .blocks
        .iter()
        .filter(|block| {
            servers(block)
                .iter()
                .flatten()
                .any(|server| (server.transport, server.port) == chosen)
        })
        .collect();
    let running = facts.get("coredns.version").and_then(version);
    let is_default = |plugin: &&Plugin| plugin.name.text == "bufsize" && plugin.args.is_empty();
    if running.is_none()
        && blocks
            .iter()
            .any(|block| block.plugins.iter().any(|one| is_default(&one)))
    {
        assumptions.push("CoreDNS is 1.11 or newer (`--fact coredns.version=...`)".to_owned());
    }
    behaviour(&config, &blocks, running.unwrap_or(ASSUMED), chosen.0).report(&mut reading);
    let forwards = blocks
        .iter()
        .flat_map(|block| &block.plugins)
        .any(|plugin| plugin.name.text == "forward");
    reading.role = Some(if forwards { "forwarder" } else { "name server" }.to_owned());
    for gate in &mut reading.gates {
        gate.assumptions.clone_from(&assumptions);
    }
    assumptions
        .push("CoreDNS does what its documents and source say: no release was asked".to_owned());
    reading.assumptions = assumptions;
    reading
}

/// Port 53 where it is served, else the lowest port for plain DNS, else the lowest at all.
fn chosen_port(config: &Config) -> (Transport, u16) {
    let mut ports: Vec<(Transport, u16)> = config
        .blocks
        .iter()
        .flat_map(servers)
        .flatten()
        .map(|server| (server.transport, server.port))
        .collect();
    ports.sort_by_key(|(transport, port)| (*transport, *port != PORT, *port));
    ports.first().copied().unwrap_or((Transport::Dns, PORT))
}

/// The gate of one port.
fn port(
    input: &Input<'_>,
    context: &mut Context<'_>,
    config: &Config,
    at: (Transport, u16),
) -> Gate {
    let mut gate = Gate::new(format!("port {}", at.1), Layer::Lookup);
    let whole = Span::new(input.file, 0, 0);
    let here: Vec<Server<'_>> = config
        .blocks
        .iter()
        .flat_map(servers)
        .flatten()
        .filter(|server| (server.transport, server.port) == at)
        .collect();
    let access = access(&mut gate, &here);
    let names = gate.chain(NAMES);
    for missing in &config.missing {
        let text = format!("the imported file `{}`", missing.value);
        obscure(
            &mut gate,
            names,
            Guard::Always,
            missing.span,
            "include",
            text,
        );
    }
    for block in &config.blocks {
        if servers(block).iter().any(Option::is_none) {
            let text = "the zones of a server block".to_owned();
            obscure(
                &mut gate,
                names,
                Guard::Always,
                block.start,
                "environment",
                text,
            );
        }
    }
    let mut chains: BTreeMap<Span, ChainId> = BTreeMap::new();
    let mut zones = Vec::new();
    for server in &here {
        let chain = *chains
            .entry(server.block.start)
            .or_insert_with(|| plugins::chain(&mut gate, context, server.block));
        zones.push(ZoneRule {
            name: server.zone.clone(),
            scope: DomainScope::Tree,
            also: view(&mut gate, server.block),
            step: Step::Goto(chain),
            span: server.span,
        });
    }
    let table = deepest_first(&mut gate, "zones", zones);
    gate.rule(
        names,
        Rule {
            guard: Guard::Always,
            step: Step::Goto(table),
            span: whole,
        },
    );
    let answers = gate.chain(ANSWERS);
    way(
        &mut gate,
        vec![
            Hop::new(ACCESS, access, Effect::Allow, "the client reaches CoreDNS"),
            Hop::new(
                NAMES,
                names,
                Effect::Deny(Denial::Refused),
                "no zone has the name",
            ),
            Hop::new(ANSWERS, answers, Effect::Allow, "the answer is handed on"),
        ],
    );
    gate
}

/// A block that only some lookups see.
fn view(gate: &mut Gate, block: &Block) -> Option<Guard> {
    let view = block
        .plugins
        .iter()
        .find(|plugin| plugin.name.text == "view")?;
    let text = "which lookups the view takes".to_owned();
    Some(Guard::Unknown(gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code: "view",
        text,
        identity: None,
        span: Some(view.span),
    })))
}

/// `bind`: by default every address is listened to.
fn access(gate: &mut Gate, here: &[Server<'_>]) -> ChainId {
    let chain = gate.chain(ACCESS);
    let is_own = |word: &Token| {
        word.text == "lo"
            || word
                .text
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    };
    let binds: Vec<Option<&Plugin>> = here
        .iter()
        .map(|server| {
            server
                .block
                .plugins
                .iter()
                .find(|one| one.name.text == "bind")
        })
        .collect();
    let addresses = |bind: Option<&Plugin>| {
        bind.map(|bind| {
            let words = bind.args.iter().map(|word| word.text.clone());
            words.collect::<BTreeSet<String>>()
        })
    };
    let first = binds.first().copied().flatten();
    let alike = binds
        .windows(2)
        .all(|pair| pair.first().copied().map(addresses) == pair.last().copied().map(addresses));
    if let (Some(bind), false) = (binds.iter().flatten().next(), alike) {
        let text = "which address clients ask: the blocks are bound to different ones".to_owned();
        obscure(gate, chain, Guard::Always, bind.span, "bind", text);
    }
    let own = first.filter(|bind| alike && bind.args.iter().all(is_own));
    gate.groups.push(ClientGroup {
        name: if own.is_some() {
            "this machine"
        } else {
            "any client"
        }
        .to_owned(),
        sources: if own.is_some() {
            dns::loopback()
        } else {
            Ranges::full()
        },
        interface: None,
        span: first.map(|bind| bind.span),
    });
    if let Some(bind) = own {
        gate.rule(
            chain,
            Rule {
                guard: Guard::number(Dim::Source, dns::loopback().complement()),
                step: deny(Denial::Unreachable),
                span: bind.span,
            },
        );
    }
    chain
}

/// The OPT record is handed on; `bufsize` lowers its size.
fn behaviour(
    config: &Config,
    blocks: &[&Block],
    running: (u32, u32, u32),
    transport: Transport,
) -> Behaviour {
    let all = || blocks.iter().flat_map(|block| &block.plugins);
    let sizes: Vec<Option<(u64, Span)>> = blocks
        .iter()
        .map(|block| {
            let bufsize = block
                .plugins
                .iter()
                .find(|one| one.name.text == "bufsize")?;
            Some((size(bufsize, running)?, bufsize.span))
        })
        .collect();
    let first = sizes.first().copied().flatten();
    let mut given = sizes.iter().map(|size| size.map(|(size, _)| size));
    let one = given.next();
    let alike = given.all(|size| Some(size) == one);
    let limit = |without: Held<u64>| match (first, alike) {
        (_, false) => Held::unknown(
            sizes.iter().flatten().next().map(|(_, span)| *span),
            "which zone the names lie in: `bufsize` differs",
        ),
        (Some((size, span)), true) => {
            Held::set(size, span, format!("`bufsize` lowers it to {size}"))
        }
        (None, true) => without,
    };
    let moot = || Held::moot(None, "CoreDNS hands on the size that the client offers");
    let upstream = limit(moot());
    let mut behaviour = Behaviour {
        edns0: match all().find(|one| {
            one.name.text == "rewrite" && one.args.iter().any(|word| word.text == "edns0")
        }) {
            Some(rewrite) => Held::unknown(
                Some(rewrite.span),
                "whether `rewrite edns0` adds an OPT record",
            ),
            None => Held::default_is(
                Edns0::IfClient,
                "CoreDNS hands on the OPT record that the client sends",
            ),
        },
        upstream_sizes: Held {
            value: match &upstream.value {
                dns::Known::Is(size) => dns::Known::Is(vec![*size]),
                dns::Known::Moot => dns::Known::Moot,
                dns::Known::Unknown(missing) => dns::Known::Unknown(missing.clone()),
            },
            span: upstream.span,
            why: upstream.why,
            ignored: Vec::new(),
        },
        client_size: limit(moot()),
        max_reply: if transport == Transport::Dns {
            limit(moot())
        } else {
            Held::moot(None, "it is not asked over UDP")
        },
        tcp: Held::default_is(true, "CoreDNS answers over TCP"),
        nameservers: Held::moot(None, "each `forward` names its own"),
        sizes_are_settable: true,
    };
    if let Some(missing) = config.missing.first() {
        let text = || format!("the imported file `{}`", missing.value);
        behaviour.edns0 = Held::unknown(Some(missing.span), text());
        behaviour.upstream_sizes = Held::unknown(Some(missing.span), text());
        behaviour.client_size = Held::unknown(Some(missing.span), text());
        behaviour.max_reply = Held::unknown(Some(missing.span), text());
    }
    behaviour
}

/// The size of a `bufsize`; its default came with 1.11.
fn size(bufsize: &Plugin, running: (u32, u32, u32)) -> Option<u64> {
    match bufsize.args.first() {
        Some(word) => word.text.parse().ok(),
        None if running >= ASSUMED => Some(1232),
        None => Some(dns::PLAIN_UDP),
    }
}

/// What keeps CoreDNS from starting, plugin by plugin, and what does less than it seems to.
fn mistakes(config: &Config) -> Vec<DialectFinding> {
    let mut found = Vec::new();
    let mut refuse = |title: String, label: &str, span: Span| {
        found.push(refused(title, Spanned::new(label.to_owned(), span)));
    };
    let mut served: BTreeMap<(Transport, u16, String), Span> = BTreeMap::new();
    for block in &config.blocks {
        let apart = block
            .plugins
            .iter()
            .any(|one| matches!(one.name.text.as_str(), "bind" | "view"));
        for server in servers(block).into_iter().flatten().filter(|_| !apart) {
            let key = (server.transport, server.port, server.zone.clone());
            if served.insert(key, server.span).is_some() {
                refuse(
                    format!("`{}` is served twice", block_name(&server)),
                    "a second time",
                    server.span,
                );
            }
        }
    }
    for plugin in config.blocks.iter().flat_map(|block| &block.plugins) {
        if plugin.is_open() {
            continue;
        }
        match plugin.name.text.as_str() {
            "bufsize" => {
                let bad = plugin.args.iter().find(|word| {
                    word.text
                        .parse::<u64>()
                        .map_or(true, |size| !(512..=4096).contains(&size))
                });
                if let Some(word) = bad {
                    refuse(
                        format!("`bufsize {}` is out of range", word.text),
                        "512 to 4096",
                        word.span,
                    );
                }
            }
            "forward" if plugin.args.len() < 2 => refuse(
                "`forward` names no server".to_owned(),
                "a zone and at least one server belong here: `forward . 10.0.0.1`",
                plugin.span,
            ),
            "forward" if plugin.args.len() > 16 => refuse(
                "`forward` names more than 15 servers".to_owned(),
                "15 at most",
                plugin.span,
            ),
            "acl" => {
                let bad = plugin
                    .body
                    .iter()
                    .filter_map(|line| line.first())
                    .find(|word| {
                        !matches!(
                            word.text.to_ascii_lowercase().as_str(),
                            "allow" | "block" | "filter" | "drop"
                        )
                    });
                if let Some(word) = bad {
                    refuse(
                        format!("`acl` has no action `{}`", word.text),
                        "`allow`, `block`, `filter` or `drop`",
                        word.span,
                    );
                }
            }
            _ => {}
        }
    }
    let bufsize = config
        .blocks
        .iter()
        .flat_map(|block| &block.plugins)
        .find(|one| one.name.text == "bufsize");
    if let (Some(bufsize), true) = (bufsize, found.is_empty()) {
        found.push(DialectFinding {
            id: BUFSIZE,
            title: "`bufsize` does not turn EDNS0 on, it only lowers the size that clients offer"
                .to_owned(),
            label: Spanned::new(
                "clients without EDNS0 stay without it".to_owned(),
                bufsize.span,
            ),
            related: Vec::new(),
            help: Some("set `options edns0` in the clients' resolv.conf".to_owned()),
            fix: None,
            refuses: false,
        });
    }
    found
}

fn block_name(server: &Server<'_>) -> String {
    let zone = if server.zone.is_empty() {
        "."
    } else {
        &server.zone
    };
    format!("{zone}:{}", server.port)
}
