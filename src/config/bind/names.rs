//! In: a view's zones. Out: the chain of what the server answers by itself.
//!
//! The deepest zone wins. A primary zone answers from its file: a name that is not in it does not exist. Static-stub and
//! stub zones hand their names on; a forward zone is no zone of this table, so one below a primary zone is never reached
//! (observed with named 9.18). A file that was not given is unknown, but for the empty ones that packages ship.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::super::Opened;
use super::super::dns::{TYPE_A, TYPE_AAAA, ZoneRule, allow, deepest_first, deny, fixed, opaque};
use super::acl::Lists;
use super::lower::obscure_missing;
use super::masterfile::{self, Names, Records};
use super::parse::{resolve, shown};
use super::scene::{Context, Scene};
use super::scope::Zone;
use crate::model::{ChainId, Denial, DomainScope, Gate, Guard, Rule, Step};
use crate::source::Span;

/// Zone files that were opened, by path and origin.
pub(super) type ZoneFiles = BTreeMap<(String, String), Result<Arc<Names>, String>>;

/// The chain of a view's zones.
pub(super) fn chain(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
) -> ChainId {
    let mut table = Vec::new();
    for zone in scene.zones {
        if let Some(step) = step(gate, context, lists, scene, zone) {
            table.push(ZoneRule {
                name: zone.name.clone(),
                scope: DomainScope::Tree,
                also: None,
                step,
                span: zone.statement.span,
            });
        }
    }
    let zones = deepest_first(gate, "zones", table);
    let chain = gate.chain("names");
    if scene.view.is_none() {
        for missing in &context.config.missing {
            obscure_missing(gate, chain, missing);
        }
    }
    for name in ["catalog-zones", "dlz"] {
        if let Some(clause) = scene.get(name) {
            let step = opaque(
                gate,
                clause.span,
                "zones",
                format!("the zones that `{name}` adds"),
            );
            rule(gate, chain, Guard::Always, step, clause.span);
        }
    }
    rule(gate, chain, Guard::Always, Step::Call(zones), context.whole);
    chain
}

fn rule(gate: &mut Gate, chain: ChainId, guard: Guard, step: Step, span: Span) {
    gate.rule(chain, Rule { guard, step, span });
}

/// What a zone does with its names; `None` for zones that answer nothing by themselves.
fn step(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
    zone: &Zone,
) -> Option<Step> {
    let span = zone.statement.span;
    let unknown = |gate: &mut Gate, text: String| Some(opaque(gate, span, "zone", text));
    match zone.kind().as_str() {
        "static-stub" | "stub" | "mirror" => Some(allow()),
        // A copy of the root only refers to the servers below it.
        "secondary" if zone.name.is_empty() => Some(allow()),
        "secondary" => unknown(gate, format!("the content of zone `{}`", shown(&zone.name))),
        "primary" => match content(context, zone) {
            Ok(names) => Some(Step::Call(zone_chain(gate, lists, scene, zone, &names))),
            Err(missing) => unknown(gate, missing),
        },
        "in-view" => {
            let other = zone
                .scope
                .get("in-view")
                .and_then(|clause| clause.word(1))
                .map(|word| word.text.clone())
                .unwrap_or_default();
            let source = context
                .config
                .views
                .iter()
                .find(|view| view.name == other)
                .and_then(|view| view.zones.iter().find(|there| there.name == zone.name))
                .filter(|there| there.kind() != "in-view")?;
            step(gate, context, lists, scene, source)
        }
        "delegation-only" => unknown(
            gate,
            format!(
                "whether answers below `{}` are delegations",
                shown(&zone.name)
            ),
        ),
        // Forwarding is asked later; hints only help to start; a redirect only changes what does not exist.
        _ => None,
    }
}

/// A primary zone's names.
pub(super) fn content(context: &mut Context<'_>, zone: &Zone) -> Result<Arc<Names>, String> {
    let unknown = || format!("the content of zone `{}`", shown(&zone.name));
    if !zone.scope.missing.is_empty() {
        return Err(unknown());
    }
    let file = zone
        .scope
        .get("file")
        .and_then(|clause| clause.word(1))
        .ok_or_else(unknown)?;
    let directory = context
        .config
        .options
        .get("directory")
        .and_then(|clause| clause.word(1))
        .map(|word| word.text.clone());
    let path = resolve(directory.as_deref(), &file.text);
    let key = (path.clone(), zone.name.clone());
    if let Some(known) = context.zone_files.get(&key) {
        return known.clone();
    }
    let read = match context.files.open(file.span.file, &path) {
        Opened::Found { file, bytes } => masterfile::parse(file, &bytes, &zone.name).map(Arc::new),
        Opened::Missing | Opened::Refused(_) => match stock(&file.text, &zone.name, file.span) {
            Some(names) => {
                let said = format!("`{}` is as the package ships it", file.text);
                if !context.assumptions.contains(&said) {
                    context.assumptions.push(said);
                }
                Ok(Arc::new(names))
            }
            None => Err(format!("the zone file `{}`", file.text)),
        },
    };
    context.zone_files.insert(key, read.clone());
    read
}

/// The zone files of Debian's and Red Hat's packages that hold nothing or the loopback.
fn stock(path: &str, origin: &str, span: Span) -> Option<Names> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let loopback = match file {
        "db.empty" | "db.0" | "db.255" | "db.127" | "named.empty" => false,
        "db.local" | "named.localhost" | "named.loopback" => true,
        _ => return None,
    };
    let apex = Records {
        a: loopback
            .then_some(Ipv4Addr::LOCALHOST)
            .into_iter()
            .collect(),
        aaaa: loopback
            .then_some(Ipv6Addr::LOCALHOST)
            .into_iter()
            .collect(),
        cname: None,
        dname: false,
        ns: true,
        span,
    };
    Some(Names::from([(origin.to_owned(), apex)]))
}

/// A zone with known names: exact names, names that exist only above others, wildcards, and all else does not exist.
fn zone_chain(
    gate: &mut Gate,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
    zone: &Zone,
    names: &Names,
) -> ChainId {
    let origin = zone.name.as_str();
    let mut table = Vec::new();
    let mut existing: BTreeSet<&str> = BTreeSet::new();
    for (name, records) in names {
        if !within(name, origin) || is_occluded(names, name, origin) {
            continue;
        }
        let mut above = name.as_str();
        while existing.insert(above) && above != origin {
            above = above.split_once('.').map_or("", |(_, parent)| parent);
        }
        let (owner, scopes): (&str, &[DomainScope]) = match name.strip_prefix("*.") {
            Some(parent) => (parent, &[DomainScope::Below]),
            None if is_cut(records, name != origin) => {
                (name, &[DomainScope::Exact, DomainScope::Below])
            }
            None => (name, &[DomainScope::Exact]),
        };
        for (also, step) in answers(gate, records, name != origin) {
            for scope in scopes {
                table.push(ZoneRule {
                    name: owner.to_owned(),
                    scope: *scope,
                    also: also.clone(),
                    step: step.clone(),
                    span: records.span,
                });
            }
        }
    }
    for name in existing {
        if name.starts_with("*.") {
            continue;
        }
        for (scope, denial) in [
            (DomainScope::Exact, Denial::NoData),
            (DomainScope::Below, Denial::NxDomain),
        ] {
            table.push(ZoneRule {
                name: name.to_owned(),
                scope,
                also: None,
                step: deny(denial),
                span: zone.statement.span,
            });
        }
    }
    let content = deepest_first(gate, &format!("zone {}", shown(origin)), table);
    let allowed = zone
        .scope
        .get("allow-query")
        .or_else(|| scene.get("allow-query"));
    let chain = gate.chain(format!("zone {}", shown(origin)));
    if let Some(clause) = allowed {
        let list = lists.clause(gate, clause);
        if !list.accepts_all() {
            rule(
                gate,
                chain,
                list.guard().negated(),
                deny(Denial::Refused),
                clause.span,
            );
        }
    }
    rule(
        gate,
        chain,
        Guard::Always,
        Step::Call(content),
        zone.statement.span,
    );
    rule(
        gate,
        chain,
        Guard::Always,
        deny(Denial::NxDomain),
        zone.statement.span,
    );
    chain
}

/// Names below it are not the zone's: they are delegated or renamed.
fn is_cut(records: &Records, below_apex: bool) -> bool {
    records.dname || (records.ns && below_apex)
}

/// Lies below a delegation: only glue.
fn is_occluded(names: &Names, name: &str, origin: &str) -> bool {
    std::iter::successors(name.split_once('.').map(|(_, parent)| parent), |parent| {
        parent.split_once('.').map(|(_, parent)| parent)
    })
    .take_while(|parent| *parent != origin && within(parent, origin))
    .any(|parent| {
        names
            .get(parent)
            .is_some_and(|records| is_cut(records, true))
    })
}

fn within(name: &str, origin: &str) -> bool {
    origin.is_empty()
        || name == origin
        || name
            .strip_suffix(origin)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// What a name's records answer, for A and AAAA.
fn answers(gate: &mut Gate, records: &Records, below_apex: bool) -> Vec<(Option<Guard>, Step)> {
    let span = records.span;
    if is_cut(records, below_apex) {
        let text = "what the servers that the zone file delegates to answer".to_owned();
        return vec![(None, opaque(gate, span, "zone", text))];
    }
    if let Some(target) = &records.cname {
        let text = format!("where the alias to `{target}` leads");
        return vec![(None, opaque(gate, span, "zone", text))];
    }
    let mut steps = Vec::new();
    let a: Vec<IpAddr> = records.a.iter().copied().map(IpAddr::from).collect();
    let aaaa: Vec<IpAddr> = records.aaaa.iter().copied().map(IpAddr::from).collect();
    for (kind, addresses) in [(TYPE_A, a), (TYPE_AAAA, aaaa)] {
        let fixed = fixed(gate, kind, &addresses, span);
        steps.extend(fixed.into_iter().map(|(guard, step)| (Some(guard), step)));
    }
    steps.push((None, deny(Denial::NoData)));
    steps
}

/// Opens the file of a response policy zone.
pub(super) fn policy_zone(
    context: &mut Context<'_>,
    scene: Scene<'_>,
    name: &str,
) -> Result<Arc<Names>, String> {
    let zone = scene
        .zones
        .iter()
        .find(|zone| zone.name == name)
        .ok_or_else(|| format!("the response policy zone `{name}`"))?;
    if zone.kind() != "primary" {
        return Err(format!("the content of response policy zone `{name}`"));
    }
    content(context, zone)
}
