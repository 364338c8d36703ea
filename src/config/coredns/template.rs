//! In: a `template` plugin. Out: rules for the names that it answers.
//!
//! `template CLASS TYPE [ZONES] { match REGEX; answer RR; rcode CODE; fallthrough [ZONES] }`: the expressions look at the
//! name with its final dot; without one every name matches; what does not match is SERVFAIL unless it falls through
//! (plugin/template/template.go). An answer is fixed where its last word is an address.

use std::net::IpAddr;

use super::super::dns::{TYPE_A, TYPE_AAAA, deny, obscure, query_type};
use super::parse::{Block, Plugin};
use super::plugins::{fixed, rest, within};
use super::zones::scope;
use crate::model::{ChainId, Denial, Dim, Gate, Guard, Lang, Rule, Test, TextSet};

/// Adds the rules.
pub(super) fn lower(gate: &mut Gate, chain: ChainId, block: &Block, plugin: &Plugin) {
    let word = |at: usize| plugin.args.get(at).map_or("", |word| word.text.as_str());
    let class = word(0).to_ascii_uppercase();
    if !matches!(class.as_str(), "IN" | "ANY") {
        return;
    }
    let kinds: &[u128] = match word(1).to_ascii_uppercase().as_str() {
        "A" => &[TYPE_A],
        "AAAA" => &[TYPE_AAAA],
        "ANY" => &[TYPE_A, TYPE_AAAA],
        _ => return,
    };
    let zones = scope(block, plugin.args.get(2..).unwrap_or_default());
    let inside = Guard::All(vec![
        within(gate, zones.as_deref()),
        query_type(kinds.iter().copied()),
    ]);
    let expressions: Vec<_> = plugin.lines("match").flatten().collect();
    let mut matches = Vec::new();
    let mut sure = zones.is_some() && !plugin.is_open();
    for expression in &expressions {
        match matching(gate, &expression.text) {
            Some(guard) => matches.push(guard),
            None => sure = false,
        }
    }
    if expressions.is_empty() {
        matches.push(Guard::Always);
    }
    if !sure {
        let text = "which names the template matches".to_owned();
        obscure(gate, chain, inside, plugin.span, "template", text);
        return;
    }
    let hit = Guard::All(vec![inside.clone(), Guard::AnyOf(matches)]);
    answer(gate, chain, plugin, hit, kinds);
    rest(gate, chain, plugin, inside, Denial::Fails);
}

/// What matching names are answered.
fn answer(gate: &mut Gate, chain: ChainId, plugin: &Plugin, hit: Guard, kinds: &[u128]) {
    let code = plugin.lines("rcode").last().and_then(|words| words.first());
    let denial = match code.map(|code| code.text.to_ascii_uppercase()).as_deref() {
        None | Some("NOERROR") => None,
        Some("NXDOMAIN") => Some(Denial::NxDomain),
        Some("REFUSED") => Some(Denial::Refused),
        Some(_) => Some(Denial::Fails),
    };
    if let Some(denial) = denial {
        let (step, span) = (deny(denial), plugin.span);
        gate.rule(
            chain,
            Rule {
                guard: hit,
                step,
                span,
            },
        );
        return;
    }
    let answers: Vec<String> = plugin
        .lines("answer")
        .flatten()
        .map(|word| word.text.clone())
        .collect();
    let mut addresses = Vec::new();
    for answer in &answers {
        let mut words = answer.split_ascii_whitespace().rev();
        let (data, kind) = (words.next().unwrap_or_default(), words.next());
        if let (Ok(ip), Some("A" | "AAAA")) = (data.parse::<IpAddr>(), kind) {
            addresses.push(ip);
        } else {
            let text = "where the template's answer leads".to_owned();
            obscure(gate, chain, hit, plugin.span, "template", text);
            return;
        }
    }
    fixed(gate, chain, &hit, &addresses, kinds, plugin.span);
}

/// Names that an expression matches; `None` for one that cannot be modelled.
pub(super) fn matching(gate: &mut Gate, expression: &str) -> Option<Guard> {
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .unicode(false)
        .build()
        .parse(expression)
        .ok()?;
    let lang = Lang::containing(&hir).ok()?.before(b".");
    let text = gate.text(TextSet::Lang(lang));
    Some(Guard::Is(Test::Text(Dim::Host, text)))
}
