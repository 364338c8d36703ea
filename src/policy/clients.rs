//! In: a gate, the clients that were declared. Out: the groups that requirements are judged for, each for all members.
//!
//! Where none are declared, the clients are the groups that the gate's rules name and that it gives general web access
//! (TCP 443 to public addresses at large, CONNECT to any name, recursion); where no group has that, those with any
//! access at all; where none has any, all of them, which then fail.

use std::net::IpAddr;

use super::ask::{self, TCP};
use super::{Context, ParameterValue, Policy, Service};
use crate::decide::{Evaluator, Verdict};
use crate::model::{
    ClientGroup, Dim, Gate, Lang, Layer, Question, Ranges, Role, TextSet, TextSpace, Tunnel,
    address,
};

/// Clients that are judged together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// For messages: `10.0.0.0/8 via eth1`.
    pub(super) name: String,
    /// Source addresses; `None` where the layer has no clients.
    sources: Option<Ranges>,
    /// The interface that they come in by; any where the file names none.
    interface: Option<TextSpace>,
}

/// Who a gate is judged for.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    /// Each is judged for all its members.
    pub(super) judged: Vec<Group>,
    /// As the user wrote them; empty where they were found in the config.
    pub(super) declared: Vec<String>,
    /// Groups without web access, by name: listed, not judged.
    pub(super) left_out: Vec<String>,
}

impl Group {
    /// The question, asked by this group.
    pub(super) fn asks(&self, question: &Question, layer: Layer) -> Question {
        let mut question = question.clone();
        if let Some(sources) = &self.sources {
            question.numbers.insert(Dim::Source, sources.clone());
        }
        if layer == Layer::Packet {
            let interface = self.interface.clone().unwrap_or_else(|| {
                question.existential.push(Dim::InInterface);
                ask::any_interface()
            });
            question.texts.insert(Dim::InInterface, interface);
        }
        question
    }

    /// Whether every client of another group, at every interface it may come in by, is one of this group.
    fn holds(&self, other: &Self) -> bool {
        let interfaces = match (&self.interface, &other.interface) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => theirs.lang.is_subset(&ours.lang) == Ok(true),
        };
        interfaces && other.sources().is_subset(&self.sources())
    }

    /// Its addresses.
    pub(super) fn sources(&self) -> Ranges {
        self.sources.clone().unwrap_or_default()
    }
}

/// The groups to judge for a policy.
pub(super) fn groups(
    policy: &Policy,
    gate: &Gate,
    evaluator: &mut Evaluator<'_>,
    context: &Context<'_>,
) -> Groups {
    let families = ask::families_at(policy, gate);
    let everyone = |name: &str| Group {
        name: name.to_owned(),
        sources: Some(families.minus(&never_clients())),
        interface: None,
    };
    let only = |group: Group| Groups {
        judged: vec![group],
        declared: Vec::new(),
        left_out: Vec::new(),
    };
    if gate.layer == Layer::Fetch {
        return only(Group {
            name: "every page".to_owned(),
            sources: None,
            interface: None,
        });
    }
    if gate.layer == Layer::Packet && gate.role == Some(Role::Host) {
        let own = gate
            .own_addresses
            .as_ref()
            .map(|own| own.minus(&never_clients()));
        let mut group = everyone("this machine");
        if let Some(own) = own.filter(|own| own.meets(&families)) {
            group.sources = Some(own.intersect(&families));
        }
        return only(group);
    }
    if let Some((written, ranges)) = declared(policy, context) {
        return Groups {
            judged: declared_groups(&written, &ranges, &families),
            declared: written,
            left_out: Vec::new(),
        };
    }
    if let Some(own) = only_itself(gate) {
        return only(Group {
            name: "this machine".to_owned(),
            sources: Some(own.intersect(&families)).filter(|own| !own.is_empty()),
            interface: None,
        });
    }
    let candidates: Vec<Group> = gate
        .groups
        .iter()
        .map(|group| candidate(gate, group, &families))
        .filter(|group| group.sources.as_ref().is_some_and(|all| !all.is_empty()))
        .collect();
    if candidates.is_empty() {
        return only(everyone("all clients"));
    }
    let (mut with, without) = split(candidates, |group| has_web_access(gate, evaluator, group));
    if !with.is_empty() {
        for group in &mut with {
            attach(gate, evaluator, group);
        }
        return found(widest(with), &without);
    }
    let (with, without) = split(without, |group| has_any_access(gate, evaluator, group));
    if with.is_empty() {
        found(without, &[])
    } else {
        found(with, &without)
    }
}

/// Where the rules name clients without their interface: they are attached where they get web access.
fn attach(gate: &Gate, evaluator: &mut Evaluator<'_>, group: &mut Group) {
    if gate.layer != Layer::Packet || group.interface.is_some() {
        return;
    }
    let mut question = ask::packet(gate, &reachable(group), &web());
    question = group.asks(&question, gate.layer);
    question.existential.retain(|dim| *dim != Dim::InInterface);
    let verdict = evaluator.ask(&question);
    let through = through(evaluator, &verdict);
    group.interface = evaluator.words(&question, through, Dim::InInterface);
}

/// Without the groups that another one holds: what holds for all of that holds for them.
fn widest(groups: Vec<Group>) -> Vec<Group> {
    let mut kept: Vec<Group> = Vec::new();
    for group in groups {
        if kept.iter().any(|other| other.holds(&group)) {
            continue;
        }
        kept.retain(|other| !group.holds(other));
        kept.push(group);
    }
    kept
}

/// The loopback addresses, where a resolver serves nobody but its own machine: that machine is its client.
fn only_itself(gate: &Gate) -> Option<Ranges> {
    let loopback = Ranges::between(
        address(IpAddr::from([127, 0, 0, 0])),
        address(IpAddr::from([127, 255, 255, 255])),
    )
    .union(&Ranges::one(1));
    let own = gate
        .groups
        .iter()
        .fold(Ranges::empty(), |all, group| all.union(&group.sources));
    (gate.layer == Layer::Lookup && !own.is_empty() && own.is_subset(&loopback)).then_some(own)
}

fn found(judged: Vec<Group>, left_out: &[Group]) -> Groups {
    Groups {
        judged,
        declared: Vec::new(),
        left_out: left_out.iter().map(|group| group.name.clone()).collect(),
    }
}

fn split(groups: Vec<Group>, mut test: impl FnMut(&Group) -> bool) -> (Vec<Group>, Vec<Group>) {
    groups.into_iter().partition(|group| test(group))
}

/// Clients on the command line or in the project's config, else those of the policy's networks parameter.
pub(super) fn declared(policy: &Policy, context: &Context<'_>) -> Option<(Vec<String>, Ranges)> {
    if let Some(clients) = context.clients {
        return Some(clients.clone());
    }
    policy
        .parameters
        .iter()
        .find_map(|parameter| match &parameter.value {
            ParameterValue::Networks(networks) => networks.clone(),
            ParameterValue::Words(_) => None,
        })
}

fn declared_groups(written: &[String], ranges: &Ranges, families: &Ranges) -> Vec<Group> {
    let one = |word: &String| {
        let sources = super::parameters::network(word)?.intersect(families);
        (!sources.is_empty()).then(|| Group {
            name: word.clone(),
            sources: Some(sources),
            interface: None,
        })
    };
    let groups: Vec<Group> = written.iter().filter_map(one).collect();
    if !groups.is_empty() {
        return groups;
    }
    vec![Group {
        name: super::words::listed(written),
        sources: Some(ranges.clone()),
        interface: None,
    }]
}

fn candidate(gate: &Gate, group: &ClientGroup, families: &Ranges) -> Group {
    let interface = group
        .interface
        .and_then(|id| gate.texts.get(id.0 as usize))
        .and_then(words_of);
    Group {
        name: group.name.clone(),
        sources: Some(group.sources.intersect(families).minus(&never_clients())),
        interface,
    }
}

/// The words of an interface pattern.
fn words_of(set: &TextSet) -> Option<TextSpace> {
    let lang = match set {
        TextSet::Literal(word) => Lang::literal(word.as_bytes()),
        TextSet::Prefix(prefix) => Lang::prefix(prefix.as_bytes()),
        TextSet::Lang(lang) => lang.clone(),
        TextSet::Domains(_) | TextSet::Url(_) => return None,
    };
    let lang = lang.and(&ask::any_interface().lang).ok()?;
    (!lang.is_empty()).then_some(TextSpace {
        lang,
        suffixes: Vec::new(),
        familiar: Vec::new(),
    })
}

/// Addresses that no client sends from: this network, loopback, multicast, reserved and broadcast (RFC 6890).
fn never_clients() -> Ranges {
    [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/3",
        "::/127",
        "ff00::/8",
    ]
    .iter()
    .filter_map(|word| super::parameters::network(word))
    .fold(Ranges::empty(), |all, range| all.union(&range))
}

/// A name that no list has a reason to know.
const ANY_NAME: &str = "www.general-access.example";

fn has_web_access(gate: &Gate, evaluator: &mut Evaluator<'_>, group: &Group) -> bool {
    let question = match gate.layer {
        Layer::Packet => ask::packet(gate, &reachable(group), &web()),
        Layer::Proxy => with_credentials(
            ask::connect(ANY_NAME, &web(), ask::public(), ask::Weight::Must).question,
        ),
        Layer::Lookup => ask::lookup(ANY_NAME, 1, ask::public(), &[], ask::Weight::Must).question,
        Layer::Fetch => return true,
    };
    let verdict = evaluator.ask(&group.asks(&question, gate.layer));
    let through = through(evaluator, &verdict);
    if gate.layer != Layer::Packet {
        return !evaluator.is_empty(through);
    }
    // Most of the group: one server with an exception does not make its network a client.
    let clients = evaluator.values(through, Dim::Source).count();
    if clients < group.sources().count() / 2 {
        return false;
    }
    let open = evaluator.values(through, Dim::Destination).count();
    // "At large": lists that close some countries or clouds leave far more than this.
    open >= reachable(group).count() / 4
}

/// Who may use the web after a login has general web access, too.
fn with_credentials(mut question: Question) -> Question {
    question.numbers.insert(Dim::Credentials, Ranges::one(1));
    question
}

fn has_any_access(gate: &Gate, evaluator: &mut Evaluator<'_>, group: &Group) -> bool {
    let mut question = match gate.layer {
        Layer::Packet => ask::packet(gate, &reachable(group), &web()),
        Layer::Proxy => ask::connect("*.", &web(), ask::public(), ask::Weight::Must).question,
        Layer::Lookup => ask::lookup("*.", 1, ask::public(), &[], ask::Weight::Must).question,
        Layer::Fetch => return true,
    };
    if gate.layer == Layer::Packet {
        let both = Ranges::one(6).union(&Ranges::one(17));
        question.numbers.insert(Dim::Protocol, both);
        question.numbers.remove(&Dim::DestinationPort);
        question.numbers.remove(&Dim::Length);
    }
    let verdict = evaluator.ask(&group.asks(&question, gate.layer));
    let through = through(evaluator, &verdict);
    !evaluator.is_empty(through)
}

fn through(evaluator: &mut Evaluator<'_>, verdict: &Verdict) -> crate::decide::Flows {
    let some = evaluator.union(verdict.allowed, verdict.varying);
    evaluator.union(some, verdict.undecided)
}

/// Public addresses of the families that the group has.
fn reachable(group: &Group) -> Ranges {
    let mut all = Ranges::empty();
    for family in [Ranges::ipv4(), Ranges::ipv6()] {
        if group.sources().meets(&family) {
            all = all.union(&ask::public().intersect(&family));
        }
    }
    all
}

fn web() -> Service {
    Service {
        protocol: TCP,
        ports: Ranges::one(443),
        max_length: 1500,
        carries: Tunnel::Https,
        text: "tcp/443".to_owned(),
    }
}
