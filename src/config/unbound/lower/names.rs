//! In: `local-zone`, `local-data` and what belongs to them. Out: the stage of names that unbound answers by itself.
//!
//! unbound.conf(5) and `services/localzone.c`: the deepest zone wins, whatever the order; of the same name the last one.
//! Data lies in the deepest zone around its name; without one it makes a transparent zone of its own.

use std::collections::{BTreeMap, HashMap};

use super::{Lowering, netblock, zone_name};
use crate::config::dns::{self, NAMES, TYPE_A, TYPE_AAAA, ZoneRule};
use crate::config::unbound::parse::Entry;
use crate::model::{ChainId, Denial, Dim, DomainScope, Guard, Step, UnknownId};
use crate::source::{Span, Spanned};

mod data;

/// Zones that unbound has by itself and that public names can lie in (`services/localzone.c`, `local_zone_enter_defaults`).
const BUILT_IN: [&str; 3] = ["onion", "test", "invalid"];
/// The types of local zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Deny,
    Refuse,
    Static,
    Transparent,
    /// `typetransparent`.
    OtherTypesPass,
    Redirect,
    AlwaysTransparent,
    AlwaysRefuse,
    AlwaysNxdomain,
    AlwaysNodata,
    AlwaysDeny,
    AlwaysNull,
    BlockA,
    Nodefault,
}

impl Type {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "deny" | "inform_deny" => Self::Deny,
            "refuse" => Self::Refuse,
            "static" => Self::Static,
            "transparent" | "inform" | "noview" | "ipset" => Self::Transparent,
            "typetransparent" => Self::OtherTypesPass,
            "redirect" | "inform_redirect" => Self::Redirect,
            "always_transparent" => Self::AlwaysTransparent,
            "always_refuse" => Self::AlwaysRefuse,
            "always_nxdomain" => Self::AlwaysNxdomain,
            "always_nodata" => Self::AlwaysNodata,
            "always_deny" => Self::AlwaysDeny,
            "always_null" => Self::AlwaysNull,
            "block_a" => Self::BlockA,
            "nodefault" => Self::Nodefault,
            _ => return None,
        })
    }

    /// Whether data inside the zone counts.
    fn answers_data(self) -> bool {
        match self {
            Self::Deny
            | Self::Refuse
            | Self::Static
            | Self::Transparent
            | Self::OtherTypesPass
            | Self::Redirect
            | Self::AlwaysNull => true,
            Self::AlwaysTransparent
            | Self::AlwaysRefuse
            | Self::AlwaysNxdomain
            | Self::AlwaysNodata
            | Self::AlwaysDeny
            | Self::BlockA
            | Self::Nodefault => false,
        }
    }
}

/// A zone and where it is written.
#[derive(Debug, Clone, Copy)]
struct Zone {
    kind: Type,
    span: Span,
    /// It has tags: it only counts for clients that share one.
    tagged: Option<UnknownId>,
}

/// The chain of the stage.
pub(super) fn chain(lowering: &mut Lowering<'_>) -> ChainId {
    let zones = zones(lowering);
    let data = data::data(lowering, &zones);
    let mut rules = overrides(lowering);
    for (name, found) in &data {
        data::exact(name, found, &zones, &mut rules);
    }
    data::empty_names(&data, &zones, &mut rules);
    for (name, zone) in &zones {
        tree(name, *zone, data.get(name), &mut rules);
    }
    let nowhere = Span::new(lowering.file, 0, 0);
    for name in BUILT_IN {
        let removed = lowering
            .list("local-zone")
            .iter()
            .any(|entry| zone_name(entry.value(0)) == name);
        if !removed {
            rules.push(rule(
                name,
                DomainScope::Tree,
                None,
                dns::deny(Denial::NxDomain),
                nowhere,
            ));
        }
    }
    dns::deepest_first(&mut lowering.gate, NAMES, rules)
}

fn zones(lowering: &mut Lowering<'_>) -> BTreeMap<String, Zone> {
    let tags = tags(lowering);
    let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
    let (mut refused, mut overridden, mut stars) = (Vec::new(), Vec::new(), Vec::new());
    for entry in lowering.list("local-zone") {
        let Some(kind) = known_type(lowering, entry) else {
            refused.push((
                format!("`{}` is no type of a local zone", entry.value(1)),
                entry.values.get(1).map_or(entry.span, |value| value.span),
            ));
            continue;
        };
        if kind == Type::Nodefault {
            continue;
        }
        let name = zone_name(entry.value(0));
        if name.starts_with("*.") {
            stars.push((name.clone(), entry.span));
        }
        let tagged = tags.get(&name).copied();
        let zone = Zone {
            kind,
            span: entry.span,
            tagged: tagged.map(|(id, _)| id),
        };
        // Without any client that has tags, a tagged zone counts for nobody.
        if tagged.is_some_and(|(_, counts)| !counts) {
            continue;
        }
        if let Some(before) = zones.insert(name, zone)
            && before.kind != kind
        {
            overridden.push((before.span, entry.span));
        }
    }
    for (why, span) in refused {
        lowering.refuses(why, span, None);
    }
    for (before, after) in overridden {
        lowering
            .finding(
                "unbound/overridden-zone",
                "This local zone has no effect: the same name is set again further down",
                "the last line for a name wins",
                before,
            )
            .related
            .push(Spanned::new("this line wins".to_owned(), after));
    }
    for (name, span) in stars {
        lowering.finding(
            "unbound/wildcard-zone",
            format!("`{name}` covers nothing: `*` is an ordinary label to unbound"),
            "a local zone covers all names below it without a `*`",
            span,
        );
    }
    zones
}

/// The type of a `local-zone`, as far as this version has it.
fn known_type(lowering: &Lowering<'_>, entry: &Entry) -> Option<Type> {
    let kind = Type::from_word(entry.value(1))?;
    let too_old = lowering.version.is_some_and(|version| version < (1, 18, 0));
    (kind != Type::BlockA || !too_old).then_some(kind)
}

/// Tagged zones: the unknown of each, and whether any client has tags at all.
fn tags(lowering: &mut Lowering<'_>) -> HashMap<String, (UnknownId, bool)> {
    let counts = ["access-control-tag", "interface-tag"]
        .iter()
        .any(|name| !lowering.list(name).is_empty());
    let mut tags = HashMap::new();
    for entry in lowering.list("local-zone-tag").to_vec() {
        let text = format!("which clients have the tags `{}`", entry.value(1));
        let id = lowering.unknown("tag", text, entry.span);
        tags.insert(zone_name(entry.value(0)), (id, counts));
    }
    tags
}

/// `local-zone-override: NAME NETBLOCK TYPE`: for these clients the type is another one.
fn overrides(lowering: &mut Lowering<'_>) -> Vec<ZoneRule> {
    let mut rules = Vec::new();
    for entry in lowering.list("local-zone-override").to_vec() {
        let also = netblock(entry.value(1)).map(|(net, _)| Guard::number(Dim::Source, net));
        let text = format!("a model of `local-zone-override: {}`", entry.value(0));
        let id = lowering.unknown("view", text, entry.span);
        let name = zone_name(entry.value(0));
        rules.push(rule(
            &name,
            DomainScope::Tree,
            also,
            Step::Obscure(id),
            entry.span,
        ));
    }
    rules
}

/// A zone and all that lies below it.
fn tree(name: &str, zone: Zone, data: Option<&data::Data>, rules: &mut Vec<ZoneRule>) {
    let tagged = zone.tagged.map(Guard::Unknown);
    let mut put = |also: Option<Guard>, step: Step| {
        let guards: Vec<Guard> = also.into_iter().chain(tagged.clone()).collect();
        let also = (!guards.is_empty()).then_some(Guard::All(guards));
        rules.push(rule(name, DomainScope::Tree, also, step, zone.span));
    };
    let addresses = || Some(dns::query_type([TYPE_A, TYPE_AAAA]));
    match zone.kind {
        Type::Deny | Type::AlwaysDeny => put(None, dns::deny(Denial::Fails)),
        Type::Refuse | Type::AlwaysRefuse => put(None, dns::deny(Denial::Refused)),
        Type::Static | Type::AlwaysNxdomain => put(None, dns::deny(Denial::NxDomain)),
        Type::AlwaysNodata => put(None, dns::deny(Denial::NoData)),
        Type::AlwaysNull => {
            put(addresses(), dns::deny(Denial::Rewritten));
            put(None, dns::deny(Denial::NoData));
        }
        Type::BlockA => {
            put(Some(dns::query_type([TYPE_A])), dns::deny(Denial::NoData));
            put(None, dns::allow());
        }
        Type::Transparent | Type::OtherTypesPass | Type::AlwaysTransparent => {
            put(None, dns::allow());
        }
        Type::Redirect => {
            if let Some(found) = data {
                if found.types.contains_key(&data::TYPE_CNAME) {
                    put(None, dns::deny(Denial::Rewritten));
                    return;
                }
                data::answers(name, DomainScope::Tree, found, tagged.as_ref(), rules);
            }
            let step = dns::deny(Denial::NoData);
            rules.push(rule(name, DomainScope::Tree, tagged, step, zone.span));
        }
        Type::Nodefault => {}
    }
}

fn rule(name: &str, scope: DomainScope, also: Option<Guard>, step: Step, span: Span) -> ZoneRule {
    ZoneRule {
        name: name.to_owned(),
        scope,
        also,
        step,
        span,
    }
}
