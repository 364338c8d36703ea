//! In: a `hosts` plugin. Out: rules for its names.
//!
//! `hosts [FILE [ZONES]] { ADDRESS NAMES... fallthrough [ZONES] }`: a name that it has is answered, also where it lacks the
//! type; any other name of its zones is SERVFAIL unless it falls through (plugin/hosts/hosts.go).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::dns::{self, TYPE_A, TYPE_AAAA, obscure};
use super::parse::{Block, Plugin};
use super::plugins::{Context, fixed, hosts_file, rest, within};
use super::zones::scope;
use crate::model::{ChainId, Denial, DomainScope, Gate, Guard};
use crate::source::Span;

/// Adds the rules.
pub(super) fn lower(
    gate: &mut Gate,
    context: &mut Context<'_>,
    chain: ChainId,
    block: &Block,
    plugin: &Plugin,
) {
    let zones = plugin.args.get(1..).unwrap_or_default();
    let zones = scope(block, zones);
    let inside = within(gate, zones.as_deref());
    if zones.is_none() || plugin.is_open() {
        let text = "the words of `hosts` that the environment gives".to_owned();
        obscure(gate, chain, Guard::Always, plugin.span, "environment", text);
        return;
    }
    let mut names: BTreeMap<String, (Vec<IpAddr>, Span)> = BTreeMap::new();
    let mut add = |name: String, address: IpAddr, span: Span| {
        names
            .entry(name)
            .or_insert_with(|| (Vec::new(), span))
            .0
            .push(address);
    };
    match plugin.args.first() {
        Some(file) => {
            if let Some(entries) = hosts_file(context, file) {
                for entry in entries {
                    add(entry.name, entry.address, entry.span);
                }
            } else {
                let text = format!("the host names in `{}`", file.text);
                obscure(gate, chain, inside.clone(), file.span, "hosts", text);
            }
        }
        None => context
            .assumptions
            .push("`/etc/hosts` names none of the service's hosts".to_owned()),
    }
    for line in &plugin.body {
        let Some((address, rest)) = line.split_first() else {
            continue;
        };
        let Ok(ip) = address.text.parse::<IpAddr>() else {
            continue;
        };
        let span = rest
            .last()
            .map_or(address.span, |last| address.span.to(last.span));
        for word in rest {
            add(super::zones::name(&word.text), ip, span);
        }
    }
    for (name, (addresses, span)) in names {
        let host = dns::host(gate, &name, DomainScope::Exact);
        let host = Guard::All(vec![inside.clone(), host]);
        fixed(gate, chain, &host, &addresses, &[TYPE_A, TYPE_AAAA], span);
    }
    rest(gate, chain, plugin, inside, Denial::Fails);
}
