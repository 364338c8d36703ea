//! In: `local-data`. Out: what is known about each name, and the rules of the names that have data.
//!
//! Data lies in the deepest zone around its name; without one it makes a transparent zone of its own (unbound
//! `services/localzone.c`, `lz_setup_implicit`).

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use super::super::{Lowering, enclosing, parent, zone_name};
use super::{Type, Zone, rule};
use crate::config::dns::{self, TYPE_A, TYPE_AAAA, ZoneRule};
use crate::model::{Denial, DomainScope, Guard, Ranges, address};
use crate::source::Span;

/// Record type CNAME.
pub(super) const TYPE_CNAME: u128 = 5;

/// What is written about one name.
#[derive(Debug, Default)]
pub(super) struct Data {
    /// Addresses and lines by record type.
    pub(super) types: BTreeMap<u128, (Vec<IpAddr>, Option<Span>)>,
    first: Option<Span>,
}

/// All names that have data.
pub(super) fn data(
    lowering: &mut Lowering<'_>,
    zones: &BTreeMap<String, Zone>,
) -> BTreeMap<String, Data> {
    let mut all: BTreeMap<String, Data> = BTreeMap::new();
    let mut refused = Vec::new();
    for entry in lowering.list("local-data") {
        let span = entry.span;
        let Some((name, kind, rdata)) = record(entry.value(0)) else {
            refused.push(("this is no resource record".to_owned(), span));
            continue;
        };
        let address = rdata
            .split_ascii_whitespace()
            .next()
            .map(str::parse::<IpAddr>);
        let data = all.entry(name.clone()).or_default();
        data.first.get_or_insert(span);
        let (addresses, first) = data.types.entry(kind).or_default();
        first.get_or_insert(span);
        match (kind, address) {
            (TYPE_A, Some(Ok(ip))) if ip.is_ipv4() => addresses.push(ip),
            (TYPE_AAAA, Some(Ok(ip))) if ip.is_ipv6() => addresses.push(ip),
            (TYPE_A | TYPE_AAAA, _) => refused.push((
                format!("`{}` is no address of this record type", rdata.trim()),
                span,
            )),
            _ => {}
        }
        if let Some((zone, found)) = enclosing(&name, zones)
            && found.kind == Type::Redirect
            && zone != name
        {
            refused.push((
                "data of a `redirect` zone must stand at the zone's own name".to_owned(),
                span,
            ));
        }
    }
    for (why, span) in refused {
        lowering.refuses(why, span, None);
    }
    all
}

/// Name, type number and data of a record: `NAME [TTL] [IN] TYPE DATA`.
fn record(text: &str) -> Option<(String, u128, String)> {
    let mut words = text.split_ascii_whitespace().peekable();
    let name = zone_name(words.next()?);
    for _ in 0..2 {
        let skip = words.peek().is_some_and(|word| {
            word.eq_ignore_ascii_case("IN")
                || word.starts_with(|first: char| first.is_ascii_digit())
        });
        if skip {
            words.next();
        }
    }
    let kind = words.next()?.to_ascii_uppercase();
    let rdata: Vec<&str> = words.collect();
    (!rdata.is_empty()).then_some(())?;
    let number = match kind.as_str() {
        "A" => TYPE_A,
        "NS" => 2,
        "CNAME" => TYPE_CNAME,
        "SOA" => 6,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => TYPE_AAAA,
        "SRV" => 33,
        "DS" => 43,
        "SSHFP" => 44,
        "DNSKEY" => 48,
        "TLSA" => 52,
        "SVCB" => 64,
        "HTTPS" => 65,
        "CAA" => 257,
        other => other
            .strip_prefix("TYPE")
            .and_then(|number| number.parse().ok())
            .unwrap_or(u128::from(u16::MAX)),
    };
    Some((name, number, rdata.join(" ")))
}

/// Data at one name.
pub(super) fn exact(
    name: &str,
    data: &Data,
    zones: &BTreeMap<String, Zone>,
    rules: &mut Vec<ZoneRule>,
) {
    let zone = enclosing(name, zones).map(|(_, zone)| zone);
    let kind = zone.map_or(Type::Transparent, |zone| zone.kind);
    if !kind.answers_data() || kind == Type::Redirect {
        return;
    }
    let tagged = zone.and_then(|zone| zone.tagged).map(Guard::Unknown);
    let Some(span) = data.first else {
        return;
    };
    if let Some((_, Some(cname))) = data.types.get(&TYPE_CNAME) {
        // The alias is told, but nobody follows it.
        let step = dns::deny(Denial::NoData);
        rules.push(rule(name, DomainScope::Exact, tagged, step, *cname));
        return;
    }
    answers(name, DomainScope::Exact, data, tagged.as_ref(), rules);
    if matches!(kind, Type::Static | Type::Transparent) {
        let step = dns::deny(Denial::NoData);
        rules.push(rule(name, DomainScope::Exact, tagged, step, span));
    }
}

/// The types that data has: the service's own addresses pass, all else is rewritten.
pub(super) fn answers(
    name: &str,
    scope: DomainScope,
    data: &Data,
    tagged: Option<&Guard>,
    rules: &mut Vec<ZoneRule>,
) {
    for (kind, (addresses, span)) in &data.types {
        let Some(span) = *span else {
            continue;
        };
        let of_type = |more: Option<Guard>| {
            let mut all = vec![dns::query_type([*kind])];
            all.extend(more);
            all.extend(tagged.cloned());
            Some(Guard::All(all))
        };
        if addresses.iter().any(|ip| could_be_public(*ip)) {
            let same: Ranges = addresses.iter().copied().map(address).collect();
            let also = of_type(Some(dns::any_address(same)));
            rules.push(rule(name, scope, also, dns::allow(), span));
        }
        let step = dns::deny(Denial::Rewritten);
        rules.push(rule(name, scope, of_type(None), step, span));
    }
}

/// Not an address that no public service has.
fn could_be_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_loopback() || v4.is_unspecified() || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// Names above data inside a static zone exist, without data of their own.
pub(super) fn empty_names(
    data: &BTreeMap<String, Data>,
    zones: &BTreeMap<String, Zone>,
    rules: &mut Vec<ZoneRule>,
) {
    let mut seen = HashSet::new();
    for (name, found) in data {
        let (
            Some((
                zone,
                Zone {
                    kind: Type::Static,
                    tagged,
                    ..
                },
            )),
            Some(span),
        ) = (enclosing(name, zones), found.first)
        else {
            continue;
        };
        let mut here = name.as_str();
        while here != zone {
            here = parent(here).unwrap_or_default();
            if data.contains_key(here) || !seen.insert(here) {
                break;
            }
            let also = tagged.map(Guard::Unknown);
            let step = dns::deny(Denial::NoData);
            rules.push(rule(here, DomainScope::Exact, also, step, span));
        }
    }
}
