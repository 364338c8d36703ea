//! In: the chains of one file. Out: what the machine is for, and who its clients are.
//!
//! A gateway shows itself: FORWARD accepts new connections of some network, or POSTROUTING translates sources. What
//! containers, virtual machines and tunnels set up for themselves shows nothing, and neither does a policy alone.

use std::collections::BTreeMap;

use super::book::Book;
use super::lower::Ruleset;
use super::syntax::TableName;
use crate::config::{Facts, Reading};
use crate::model::{
    ClientGroup, Dim, Effect, Family, Guard, Ranges, Role, Rule, Standing, State, Step, Test,
    TextId, TextSet, to_address,
};
use crate::source::Span;

/// More groups than this are not told apart; the largest networks are kept.
const GROUPS: usize = 32;
/// How often one chain is looked at for different callers.
const VISITS: u8 = 3;

/// What was found.
#[derive(Debug)]
pub(super) struct Roles {
    evidence: Evidence,
    role: Option<Role>,
    groups: Vec<ClientGroup>,
    /// The rule or policy that stops what is forwarded.
    has_filter: bool,
}

/// How sure it is that the machine routes for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    None,
    /// FORWARD accepts, but for no network or interface in particular.
    Weak,
    Strong,
}

/// Where a chain was called from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Caller {
    sources: Option<Ranges>,
    interface: Option<TextId>,
}

/// What a rule asks, as far as roles are concerned.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent observations about one rule"
)]
struct Asks {
    sources: Option<Ranges>,
    destinations: bool,
    input: Option<TextId>,
    output: Option<TextId>,
    icmp: bool,
    new: bool,
    only_mark: bool,
    plumbing: bool,
    tunnel: bool,
}

/// Finds role and groups.
pub(super) fn roles(ruleset: &Ruleset, book: &mut Book<'_>, facts: &Facts) -> Roles {
    let mut found = Finder {
        ruleset,
        texts: &book.texts,
        family: book.family,
        evidence: Evidence::None,
        wan: Vec::new(),
        groups: BTreeMap::new(),
    };
    found.translations();
    found.forwarding();
    let has_filter = ruleset.tables.contains(&TableName::Filter);
    let hosts_rules = ["INPUT", "OUTPUT"]
        .iter()
        .any(|name| ruleset.built_in(TableName::Filter, name).is_some());
    if has_filter && !hosts_rules && ruleset.built_in(TableName::Filter, "FORWARD").is_some() {
        // A file that speaks of nothing but forwarding is a router's.
        found.evidence = Evidence::Strong;
    }
    let role = match facts.get("role") {
        Some("gateway") => Some(Role::Gateway),
        Some("host") => Some(Role::Host),
        Some(_) | None => None,
    };
    Roles {
        evidence: found.evidence,
        role,
        groups: found.groups(),
        has_filter,
    }
}

struct Finder<'r> {
    ruleset: &'r Ruleset,
    texts: &'r [TextSet],
    family: Family,
    evidence: Evidence,
    /// Interfaces that lead away from the clients.
    wan: Vec<TextId>,
    groups: BTreeMap<(Option<Ranges>, Option<TextId>), Span>,
}

impl<'r> Finder<'r> {
    fn name(&self, id: TextId) -> &str {
        match self.texts.get(id.0 as usize) {
            Some(TextSet::Literal(name) | TextSet::Prefix(name)) => name,
            Some(TextSet::Domains(_) | TextSet::Lang(_) | TextSet::Url(_)) | None => "",
        }
    }

    /// SNAT and MASQUERADE.
    fn translations(&mut self) {
        let Some(start) = self.ruleset.built_in(TableName::Nat, "POSTROUTING") else {
            return;
        };
        for (_, rule, caller) in self.walk(start, |_| false) {
            let Step::RewriteAndAllow(_) = rule.step else {
                continue;
            };
            let asks = self.asks(&rule.guard);
            if asks.plumbing || asks.only_mark {
                continue;
            }
            let sources = both(caller.sources.as_ref(), asks.sources.as_ref());
            if sources.as_ref().is_some_and(is_plumbing_network) {
                continue;
            }
            if let Some(out) = asks.output
                && !self.wan.contains(&out)
            {
                self.wan.push(out);
            }
            if asks.tunnel {
                self.evidence = self.evidence.max(Evidence::Weak);
                continue;
            }
            self.evidence = Evidence::Strong;
            self.groups.entry((sources, None)).or_insert(rule.span);
        }
    }

    /// Rules of FORWARD that accept new connections.
    fn forwarding(&mut self) {
        let Some(start) = self.ruleset.built_in(TableName::Filter, "FORWARD") else {
            return;
        };
        let input: Vec<usize> = self
            .ruleset
            .built_in(TableName::Filter, "INPUT")
            .map(|at| self.ruleset.reachable(at).collect())
            .unwrap_or_default();
        let shared: rustc_hash::FxHashSet<usize> = input.into_iter().collect();
        for (at, rule, caller) in self.walk(start, |_| false) {
            if rule.step != Step::Decide(Effect::Allow) {
                continue;
            }
            let asks = self.asks(&rule.guard);
            if !asks.new || asks.plumbing || asks.icmp {
                continue;
            }
            let sources = both(caller.sources.as_ref(), asks.sources.as_ref());
            let interface = asks.input.or(caller.interface);
            if sources.as_ref().is_some_and(is_plumbing_network) {
                continue;
            }
            let names_some = sources.is_some()
                || asks.destinations
                || interface.is_some()
                || asks.output.is_some();
            let strong = names_some && !asks.tunnel && !shared.contains(&at);
            self.evidence = self.evidence.max(if strong {
                Evidence::Strong
            } else {
                Evidence::Weak
            });
            if interface.is_some_and(|id| self.wan.contains(&id) || self.name(id) == "lo") {
                continue;
            }
            self.groups.entry((sources, interface)).or_insert(rule.span);
        }
    }

    /// The rules that a chain reaches, each with what its callers asked.
    fn walk(&self, start: usize, skip: fn(&str) -> bool) -> Vec<(usize, &'r Rule, Caller)> {
        let mut rules = Vec::new();
        let mut visits: BTreeMap<usize, u8> = BTreeMap::new();
        let mut todo = vec![(start, Caller::default())];
        while let Some((at, caller)) = todo.pop() {
            let Some(chain) = self.ruleset.chains.get(at) else {
                continue;
            };
            let seen = visits.entry(at).or_default();
            if *seen >= VISITS || skip(&chain.name) || is_plumbing_chain(&chain.name) {
                continue;
            }
            *seen += 1;
            // Called from many places: for nobody in particular.
            let caller = if *seen == VISITS {
                Caller::default()
            } else {
                caller
            };
            for rule in &chain.rules {
                match &rule.step {
                    Step::Call(callee) | Step::Goto(callee) => {
                        let asks = self.asks(&rule.guard);
                        if !asks.plumbing {
                            let inner = Caller {
                                sources: both(caller.sources.as_ref(), asks.sources.as_ref()),
                                interface: asks.input.or(caller.interface),
                            };
                            todo.push((callee.0 as usize, inner));
                        }
                    }
                    Step::Decide(Effect::Allow) | Step::RewriteAndAllow(_) => {
                        rules.push((at, rule, caller.clone()));
                    }
                    Step::Decide(Effect::Deny(_))
                    | Step::Return
                    | Step::Continue
                    | Step::Rewrite(_)
                    | Step::Obscure(_) => {}
                }
            }
        }
        rules
    }

    fn asks(&self, guard: &Guard) -> Asks {
        let mut asks = Asks {
            new: true,
            only_mark: !matches!(guard, Guard::Always),
            ..Asks::default()
        };
        let parts = match guard {
            Guard::All(parts) => parts.as_slice(),
            Guard::Always | Guard::AnyOf(_) | Guard::Not(_) | Guard::Is(_) | Guard::Unknown(_) => {
                std::slice::from_ref(guard)
            }
        };
        for part in parts {
            let (part, negated) = match part {
                Guard::Not(inner) => (&**inner, true),
                Guard::Always
                | Guard::All(_)
                | Guard::AnyOf(_)
                | Guard::Is(_)
                | Guard::Unknown(_) => (part, false),
            };
            let Guard::Is(test) = part else {
                continue;
            };
            if !matches!(test, Test::Mark(..)) {
                asks.only_mark = false;
            }
            self.ask(&mut asks, test, negated);
        }
        asks
    }

    fn ask(&self, asks: &mut Asks, test: &Test, negated: bool) {
        match test {
            Test::In(Dim::Source, set) if !negated => asks.sources = Some(set.clone()),
            Test::In(Dim::Destination, _) if !negated => asks.destinations = true,
            Test::In(Dim::Protocol, set) if !negated => {
                asks.icmp = set.single() == Some(1) || set.single() == Some(58);
            }
            Test::In(Dim::State, set) => {
                asks.new &= set.contains(State::New as u128) != negated;
            }
            Test::Translated(_) if !negated => asks.new = false,
            Test::Text(dim @ (Dim::InInterface | Dim::OutInterface), id) => {
                let name = self.name(*id);
                asks.plumbing |= is_plumbing_interface(name);
                asks.tunnel |= is_tunnel(name) && !negated;
                if !negated {
                    let slot = if *dim == Dim::InInterface {
                        &mut asks.input
                    } else {
                        &mut asks.output
                    };
                    *slot = Some(*id);
                }
            }
            Test::In(..)
            | Test::Text(..)
            | Test::Mark(..)
            | Test::AnyAddress(_)
            | Test::Local(_)
            | Test::Translated(_) => {}
        }
    }

    fn groups(&self) -> Vec<ClientGroup> {
        let all = match self.family {
            Family::V4 => Ranges::ipv4(),
            Family::V6 => Ranges::ipv6(),
        };
        let mut groups: Vec<ClientGroup> = self
            .groups
            .iter()
            .filter(|((sources, interface), _)| {
                sources.is_some()
                    || interface.is_some()
                    || self.groups.len() == 1
                    || !self
                        .groups
                        .keys()
                        .any(|(sources, interface)| sources.is_some() || interface.is_some())
            })
            .map(|((sources, interface), span)| ClientGroup {
                name: name_of(
                    sources.as_ref(),
                    interface.map(|id| (self.name(id), self.texts.get(id.0 as usize))),
                ),
                sources: sources.clone().unwrap_or_else(|| all.clone()),
                interface: *interface,
                span: Some(*span),
            })
            .collect();
        groups.sort_by(|a, b| {
            b.sources
                .count()
                .cmp(&a.sources.count())
                .then(a.name.cmp(&b.name))
        });
        groups.truncate(GROUPS);
        groups
    }
}

fn name_of(sources: Option<&Ranges>, interface: Option<(&str, Option<&TextSet>)>) -> String {
    let sources = sources.map(networks);
    let interface = interface.map(|(name, set)| match set {
        Some(TextSet::Prefix(_)) => format!("{name}+"),
        Some(TextSet::Literal(_) | TextSet::Domains(_) | TextSet::Lang(_) | TextSet::Url(_))
        | None => name.to_owned(),
    });
    match (sources, interface) {
        (Some(sources), Some(interface)) => format!("{sources} via {interface}"),
        (Some(sources), None) => sources,
        (None, Some(interface)) => format!("clients via {interface}"),
        (None, None) => "any client".to_owned(),
    }
}

/// A set of addresses in a few words.
fn networks(set: &Ranges) -> String {
    let mut words: Vec<String> = set
        .ranges()
        .iter()
        .take(3)
        .map(|range| {
            let (low, high) = (to_address(range.low()), to_address(range.high()));
            let span = range.high() - range.low();
            let bits = span.count_ones();
            let aligned = span & span.wrapping_add(1) == 0 && range.low() & span == 0;
            let width = if low.is_ipv4() { 32 } else { 128 };
            if aligned && bits == 0 {
                low.to_string()
            } else if aligned && bits <= width {
                format!("{low}/{}", width - bits)
            } else {
                format!("{low}-{high}")
            }
        })
        .collect();
    if set.ranges().len() > 3 {
        words.push(format!("+{} more", set.ranges().len() - 3));
    }
    words.join(", ")
}

fn both(left: Option<&Ranges>, right: Option<&Ranges>) -> Option<Ranges> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.intersect(right)),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

/// Chains of containers and virtual machines.
fn is_plumbing_chain(name: &str) -> bool {
    [
        "DOCKER", "KUBE-", "LIBVIRT", "CNI-", "cali-", "FLANNEL", "NETAVARK", "KILO",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// Interfaces of containers and virtual machines.
fn is_plumbing_interface(name: &str) -> bool {
    [
        "docker", "br-", "cni", "virbr", "veth", "cali", "flannel", "lxcbr", "lxdbr", "vnet",
        "podman", "kube",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// Interfaces of tunnels.
fn is_tunnel(name: &str) -> bool {
    ["tun", "tap", "wg", "tailscale", "zt", "ipsec", "gre"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Networks that libvirt and Docker use unless told otherwise.
fn is_plumbing_network(set: &Ranges) -> bool {
    ["192.168.122.0/24", "172.17.0.0/16"].iter().any(|network| {
        network
            .parse()
            .is_ok_and(|network| set.is_subset(&Ranges::network(network)))
    })
}

impl Roles {
    /// Says on each gate what it is and whether it is judged.
    pub(super) fn apply(self, reading: &mut Reading) {
        let (role, sure) = match (self.role, self.evidence) {
            (Some(role), _) => (role, true),
            (None, Evidence::Strong) => (Role::Gateway, true),
            (None, Evidence::Weak) => (Role::Host, false),
            (None, Evidence::None) => (Role::Host, true),
        };
        for gate in &mut reading.gates {
            match gate.name.as_str() {
                "FORWARD" => {
                    gate.role = Some(Role::Gateway);
                    gate.groups.clone_from(&self.groups);
                    gate.standing = match (role, sure) {
                        (Role::Gateway, _) => Standing::Judged,
                        (Role::Host, false) => Standing::Uncertain(
                            "rules in FORWARD accept, but nothing shows that this machine routes for others"
                                .to_owned(),
                        ),
                        (Role::Host, true) => Standing::NotJudged(
                            "nothing shows that this machine routes for others (`role: gateway` judges it)"
                                .to_owned(),
                        ),
                    };
                }
                "OUTPUT" => {
                    gate.role = Some(Role::Host);
                    gate.standing = match role {
                        Role::Host => Standing::Judged,
                        Role::Gateway => Standing::NotJudged(
                            "the clients are behind this gateway (`role: host` judges its own traffic)"
                                .to_owned(),
                        ),
                    };
                }
                _ => {
                    gate.standing = Standing::NotJudged(
                        "it is for services of the machine itself; replies are judged with what asks for them"
                            .to_owned(),
                    );
                }
            }
            if !self.has_filter {
                gate.assumptions
                    .push("the file has no `*filter` table: nothing is filtered there".to_owned());
            }
        }
        reading.role = Some(
            match (role, sure) {
                (Role::Gateway, _) => "gateway",
                (Role::Host, true) => "host",
                (Role::Host, false) => "host, perhaps gateway",
            }
            .to_owned(),
        );
    }
}
