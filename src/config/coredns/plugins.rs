//! In: one server block. Out: the chain of its plugins, in the order in which CoreDNS runs them, whatever the file's order.
//!
//! The order is compiled in (plugin.cfg). A plugin answers, or hands on to the next one; a lookup that none answers is
//! SERVFAIL (`NextOrFailure` in plugin/plugin.go).

use std::net::IpAddr;

use super::super::dns::{
    self, HostEntry, TYPE_A, TYPE_AAAA, allow, deny, obscure, opaque, query_type,
};
use super::super::{Files, Opened};
use super::parse::{Block, Plugin};
use super::syntax::Token;
use super::zones::{falls_through, name, scope};
use super::{hosts, template};
use crate::model::{
    ChainId, Denial, Dim, DomainScope, Gate, Guard, Lang, Ranges, Rule, Step, Test, TextSet,
};
use crate::source::Span;

/// Plugins that answer, refuse or change lookups, in the order of plugin.cfg.
const ORDER: [&str; 20] = [
    "dns64",
    "acl",
    "tsig",
    "rewrite",
    "template",
    "hosts",
    "route53",
    "azure",
    "clouddns",
    "k8s_external",
    "kubernetes",
    "file",
    "auto",
    "secondary",
    "etcd",
    "nomad",
    "forward",
    "grpc",
    "erratic",
    "whoami",
];

/// Plugins without effect on which names resolve.
const QUIET: &str = "any autopath bind bufsize cache cancel chaos debug dnssec dnstap errors geoip header health loadbalance \
     local log loop metadata metrics minimal multisocket nsid on pprof prometheus quic ready reload root sign timeouts tls \
     trace transfer view https grpc_server";

/// Whether CoreDNS itself has the plugin.
pub(super) fn is_known(plugin: &str) -> bool {
    ORDER.contains(&plugin) || QUIET.split_ascii_whitespace().any(|quiet| quiet == plugin)
}

/// What a chain is made from.
pub(super) struct Context<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) assumptions: &'a mut Vec<String>,
}

/// The chain of a block.
pub(super) fn chain(gate: &mut Gate, context: &mut Context<'_>, block: &Block) -> ChainId {
    let title = block.keys.first().map_or("", |key| key.text.as_str());
    let chain = gate.chain(title);
    for plugin in block.plugins.iter().filter(|one| !is_known(&one.name.text)) {
        let text = format!(
            "what the plugin `{}` does, which is no part of CoreDNS",
            plugin.name.text
        );
        obscure(gate, chain, Guard::Always, plugin.span, "plugin", text);
    }
    for known in ORDER {
        for plugin in block.plugins.iter().filter(|one| one.name.text == known) {
            lower(gate, context, chain, block, plugin);
        }
    }
    // A block whose plugins only watch has a chain that ends in SERVFAIL; one without any refuses.
    let serves = block
        .plugins
        .iter()
        .any(|plugin| !NO_HANDLER.contains(&plugin.name.text.as_str()));
    gate.rule(
        chain,
        Rule {
            guard: Guard::Always,
            step: deny(if serves {
                Denial::Fails
            } else {
                Denial::Refused
            }),
            span: block.start,
        },
    );
    chain
}

/// Plugins that only set something up.
const NO_HANDLER: [&str; 12] = [
    "bind",
    "debug",
    "health",
    "multisocket",
    "on",
    "pprof",
    "quic",
    "ready",
    "reload",
    "root",
    "timeouts",
    "tls",
];

fn lower(
    gate: &mut Gate,
    context: &mut Context<'_>,
    chain: ChainId,
    block: &Block,
    plugin: &Plugin,
) {
    let unknown = |gate: &mut Gate, guard: Guard, text: String| {
        obscure(gate, chain, guard, plugin.span, "plugin", text);
    };
    let plugin_name = plugin.name.text.as_str();
    match plugin_name {
        "acl" => acl(gate, chain, block, plugin),
        "rewrite" => rewrite(gate, chain, plugin),
        "template" => template::lower(gate, chain, block, plugin),
        "hosts" => hosts::lower(gate, context, chain, block, plugin),
        "forward" | "grpc" => forward(gate, chain, plugin),
        "dns64" => unknown(
            gate,
            query_type([TYPE_AAAA]),
            "whether AAAA records are made from A records (`dns64`)".to_owned(),
        ),
        "tsig" => {
            let requires = plugin
                .lines("require")
                .any(|words| words.iter().all(|word| word.text != "none"));
            if requires {
                unknown(
                    gate,
                    Guard::Always,
                    "whether clients sign their queries (`tsig`)".to_owned(),
                );
            }
        }
        "whoami" => gate.rule(
            chain,
            Rule {
                guard: Guard::Always,
                step: deny(Denial::NoData),
                span: plugin.span,
            },
        ),
        "erratic" => unknown(
            gate,
            Guard::Always,
            "chance: `erratic` drops and delays replies".to_owned(),
        ),
        // Backends that hold the names of their zones.
        "file" => zone(gate, chain, block, plugin, plugin.args.get(1..)),
        "route53" => zone(gate, chain, block, plugin, None),
        _ => zone(gate, chain, block, plugin, Some(plugin.args.as_slice())),
    }
}

/// The names of zones whose content stands elsewhere; `None` where the zones themselves do.
fn zone(gate: &mut Gate, chain: ChainId, block: &Block, plugin: &Plugin, zones: Option<&[Token]>) {
    let scoped = match plugin.name.text.as_str() {
        // `azure RESOURCE_GROUP:ZONE`, `clouddns ZONE:PROJECT:HOSTED_ZONE`.
        "azure" | "clouddns" => None,
        _ => zones.and_then(|zones| scope(block, zones)),
    };
    let guard = within(gate, scoped.as_deref());
    let text = format!("what `{}` answers for its zones", plugin.name.text);
    obscure(gate, chain, guard, plugin.span, "zone", text);
}

/// The names of some zones; all names where they are not known.
pub(super) fn within(gate: &mut Gate, zones: Option<&[String]>) -> Guard {
    match zones {
        None => Guard::Always,
        Some(zones) => Guard::AnyOf(
            zones
                .iter()
                .map(|zone| dns::host(gate, zone, DomainScope::Tree))
                .collect(),
        ),
    }
}

/// Of what a plugin does not know, the part that it does not hand on is answered so.
pub(super) fn rest(
    gate: &mut Gate,
    chain: ChainId,
    plugin: &Plugin,
    inside: Guard,
    denial: Denial,
) {
    let through = match falls_through(plugin) {
        Some(zones) => within(gate, Some(&zones)),
        None => Guard::AnyOf(Vec::new()),
    };
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(vec![inside, through.negated()]),
            step: deny(denial),
            span: plugin.span,
        },
    );
}

/// `acl [ZONES] { ACTION [type TYPES] [net NETS] }`: the first policy that matches decides.
fn acl(gate: &mut Gate, chain: ChainId, block: &Block, plugin: &Plugin) {
    let zones = scope(block, &plugin.args);
    let known = zones.is_some();
    let inside = within(gate, zones.as_deref());
    let list = gate.chain("acl");
    for line in &plugin.body {
        let Some((action, rest)) = line.split_first() else {
            continue;
        };
        let Some(first) = line.first() else { continue };
        let span = line
            .last()
            .map_or(first.span, |last| first.span.to(last.span));
        let step = match action.text.to_ascii_lowercase().as_str() {
            "allow" => Step::Return,
            "block" => deny(Denial::Refused),
            "filter" => deny(Denial::NoData),
            "drop" => deny(Denial::Drop),
            _ => continue,
        };
        let (guard, sure) = policy(rest);
        let step = if sure && known {
            step
        } else {
            opaque(
                gate,
                span,
                "acl",
                "whom the policy of `acl` takes".to_owned(),
            )
        };
        gate.rule(list, Rule { guard, step, span });
    }
    gate.rule(
        chain,
        Rule {
            guard: inside,
            step: Step::Call(list),
            span: plugin.span,
        },
    );
}

/// What a policy takes, and whether that is all known.
fn policy(words: &[Token]) -> (Guard, bool) {
    let mut types: Option<Vec<u128>> = None;
    let mut nets: Option<Ranges> = None;
    let mut sure = true;
    let mut section = "";
    for word in words {
        match word.text.to_ascii_lowercase().as_str() {
            "type" => section = "type",
            "net" => section = "net",
            "file" => section = "file",
            "*" if section == "net" => nets = Some(Ranges::full()),
            "*" | "any" if section == "type" => {
                types.get_or_insert_default().extend([TYPE_A, TYPE_AAAA]);
            }
            "a" if section == "type" => types.get_or_insert_default().push(TYPE_A),
            "aaaa" if section == "type" => types.get_or_insert_default().push(TYPE_AAAA),
            _ if section == "type" => {
                types.get_or_insert_default();
            }
            text if section == "net" => match dns::network(text) {
                Some(net) => {
                    let all = nets.unwrap_or_else(Ranges::empty);
                    nets = Some(all.union(&Ranges::network(net)));
                }
                None => sure = false,
            },
            _ => sure = false,
        }
    }
    let guards = [
        types.map(query_type),
        nets.filter(|_| sure)
            .map(|nets| Guard::number(Dim::Source, nets)),
    ];
    (Guard::All(guards.into_iter().flatten().collect()), sure)
}

/// Names that are rewritten lead elsewhere.
fn rewrite(gate: &mut Gate, chain: ChainId, plugin: &Plugin) {
    let words: Vec<&Token> = plugin
        .args
        .iter()
        .chain(plugin.body.iter().flatten())
        .collect();
    let words = match words.split_first() {
        Some((mode, rest)) if matches!(mode.text.as_str(), "stop" | "continue") => rest,
        Some(_) | None => words.as_slice(),
    };
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let guard = match text(0) {
        // The lifetime of answers, and the query's OPT record.
        "ttl" | "edns0" => return,
        "name" => {
            let from = text(2).to_ascii_lowercase();
            match text(1) {
                "exact" => dns::host(gate, &from, DomainScope::Exact),
                "prefix" => {
                    let set = gate.text(TextSet::Prefix(from.into()));
                    Guard::Is(Test::Text(Dim::Host, set))
                }
                "suffix" => pattern(gate, &format!("(?s-u:.)*{}", escaped(&from))),
                "substring" => {
                    let inner = escaped(&from);
                    pattern(gate, &format!("(?s-u:.)*{inner}(?s-u:.)*"))
                }
                "regex" => template::matching(gate, text(2)).unwrap_or(Guard::Always),
                from => dns::host(gate, &from.to_ascii_lowercase(), DomainScope::Exact),
            }
        }
        "type" => match text(1).to_ascii_uppercase().as_str() {
            "A" => query_type([TYPE_A]),
            "AAAA" => query_type([TYPE_AAAA]),
            "ANY" => Guard::Always,
            _ => return,
        },
        _ => Guard::Always,
    };
    let guard = if plugin.is_open() {
        Guard::Always
    } else {
        guard
    };
    let text = "where `rewrite` leads".to_owned();
    obscure(gate, chain, guard, plugin.span, "rewrite", text);
}

/// A name with its final dot, as a pattern for names without.
fn escaped(text: &str) -> String {
    regex_syntax::escape(text.strip_suffix('.').unwrap_or(text))
}

fn pattern(gate: &mut Gate, pattern: &str) -> Guard {
    match Lang::pattern(pattern) {
        Ok(lang) => {
            let text = gate.text(TextSet::Lang(lang));
            Guard::Is(Test::Text(Dim::Host, text))
        }
        Err(_) => Guard::Always,
    }
}

/// `forward FROM TO... { except NAMES }`.
fn forward(gate: &mut Gate, chain: ChainId, plugin: &Plugin) {
    let Some(from) = plugin.args.first() else {
        return;
    };
    if from.open {
        let text = "which names are forwarded".to_owned();
        obscure(gate, chain, Guard::Always, plugin.span, "environment", text);
        return;
    }
    let zone = name(&from.text);
    let inside = dns::host(gate, &zone, DomainScope::Tree);
    let mut except = Vec::new();
    for word in plugin.lines("except").flatten() {
        let ignored = name(&word.text);
        // The zone itself is forwarded even so (`isAllowedDomain`).
        if word.open {
            let text = "which names are not forwarded".to_owned();
            obscure(gate, chain, inside.clone(), word.span, "environment", text);
        } else if ignored == zone {
            except.push(dns::host(gate, &ignored, DomainScope::Below));
        } else {
            except.push(dns::host(gate, &ignored, DomainScope::Tree));
        }
    }
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(vec![inside, Guard::AnyOf(except).negated()]),
            step: allow(),
            span: plugin.span,
        },
    );
}

/// The entries of a hosts file that a plugin names; `None` where it was not given.
pub(super) fn hosts_file(context: &Context<'_>, name: &Token) -> Option<Vec<HostEntry>> {
    match context.files.open(name.span.file, &name.text) {
        Opened::Found { file, bytes } if !name.open => Some(dns::hosts(file, &bytes)),
        Opened::Found { .. } | Opened::Missing | Opened::Refused(_) => None,
    }
}

/// Rules for fixed addresses of a name; a family that has none is answered without data.
pub(super) fn fixed(
    gate: &mut Gate,
    chain: ChainId,
    host: &Guard,
    addresses: &[IpAddr],
    kinds: &[u128],
    span: Span,
) {
    for kind in kinds {
        let ours: Vec<IpAddr> = addresses
            .iter()
            .copied()
            .filter(|ip| ip.is_ipv4() == (*kind == TYPE_A))
            .collect();
        let mut steps = dns::fixed(gate, *kind, &ours, span);
        if steps.is_empty() {
            steps.push((query_type([*kind]), deny(Denial::NoData)));
        }
        for (guard, step) in steps {
            let guard = Guard::All(vec![host.clone(), guard]);
            gate.rule(chain, Rule { guard, step, span });
        }
    }
}
