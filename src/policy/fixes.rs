//! In: findings at one config. Out: the same findings with the fixes that were proved to mend them.
//!
//! A kind offers edits; each is applied in memory, the text read and judged again. It is offered only where the
//! requirement then passes (or is as good as its alternatives allow) and no other result got worse.

use std::rc::Rc;

use super::check::{Told, requirements};
use super::clients::Groups;
use super::syntax::Destination;
use super::{Context, Demand, Policy, Requirement, Subject, ask, clients};
use crate::config::{Blocked, Edit, Fix, Input, applied};
use crate::finding::{Finding, FixOffer, LabelRole, Outcome};
use crate::model::{Gate, Layer, Question, Ranges};
use crate::source::Span;

/// More than this many candidates are not tried for one finding.
const MOST_TRIED: usize = 6;
/// Bytes that are read again for the fixes of one file, all candidates together; one is always tried.
const MOST_READ: usize = 128 << 20;
/// More than this many are not offered.
const MOST_OFFERED: usize = 2;

/// Adds fixes to the findings that have some.
pub(super) fn offer(
    policies: &[Policy],
    subject: &Subject<'_>,
    context: &Context<'_>,
    told: &mut Told,
) {
    let results = &mut told.results;
    let mut trials = Trials {
        policies,
        subject,
        context,
        before: results.iter().map(key).collect(),
        groups: &told.groups,
        known: Vec::new(),
        read: 0,
    };
    let mut offers: Vec<Vec<Proved>> = vec![Vec::new(); results.len()];
    for (at, finding) in results.iter().enumerate() {
        if !matches!(finding.outcome, Outcome::Fail | Outcome::Degraded) {
            continue;
        }
        let Some((policy, requirement)) = found(policies, &finding.rule) else {
            continue;
        };
        let mut tried = 0;
        let mut own: Vec<Proved> = Vec::new();
        for blocked in Asked::of(policy, requirement, subject, context, finding) {
            for fix in (subject.kind.fix)(&subject.input, subject.reading, &blocked.as_blocked()) {
                tried += 1;
                if tried > MOST_TRIED || own.len() >= MOST_OFFERED {
                    break;
                }
                if own.iter().any(|known| says_the_same(&known.offer, &fix)) {
                    continue;
                }
                let fix = fix.fitted(subject.input.bytes);
                let mended = trials.mended(at, &fix);
                if mended.contains(&at) {
                    own.push(Proved {
                        offer: offer_of(fix),
                        mended,
                    });
                }
            }
        }
        if let Some(place) = offers.get_mut(at) {
            *place = own;
        }
    }
    share(results, &offers);
}

/// A fix with the findings that it mends, by index.
#[derive(Debug, Clone)]
struct Proved {
    offer: FixOffer,
    mended: Vec<usize>,
}

/// Whether a candidate is one that was proved already, or another insertion where one was proved to suffice.
fn says_the_same(proved: &FixOffer, fix: &Fix) -> bool {
    let again = match (proved.edits.as_slice(), fix.edits.as_slice()) {
        ([(place, _)], [edit]) => place.start == place.end && edit.span == *place,
        _ => false,
    };
    again || proved.title == fix.title
}

/// A fix as a finding offers it.
pub(super) fn offer_of(fix: Fix) -> FixOffer {
    let edits = fix.edits.into_iter();
    FixOffer {
        title: fix.title,
        safe: fix.safe,
        edits: edits.map(|edit| (edit.span, edit.text)).collect(),
    }
}

/// Gives findings of one place the same fixes where one fix mends them, so that whoever reads them together reads what
/// mends them all, the one that mends most first; the others keep their own.
fn share(results: &mut [Finding], offers: &[Vec<Proved>]) {
    let mut done = vec![false; results.len()];
    let mut widest: Vec<(usize, &Vec<Proved>)> = offers.iter().enumerate().collect();
    widest.sort_by_key(|(_, own)| {
        let mended = own.first().map_or(0, |first| first.mended.len());
        std::cmp::Reverse(mended)
    });
    for (at, own) in widest {
        let (Some(first), Some(false)) = (own.first(), done.get(at)) else {
            continue;
        };
        let Some(leader) = results.get(at).map(cause) else {
            continue;
        };
        let together: Vec<usize> = results
            .iter()
            .enumerate()
            .filter(|(index, finding)| {
                cause(finding) == leader
                    && done.get(*index) == Some(&false)
                    && first.mended.contains(index)
            })
            .map(|(index, _)| index)
            .collect();
        let fixes: Vec<FixOffer> = own
            .iter()
            .filter(|proved| together.iter().all(|index| proved.mended.contains(index)))
            .map(|proved| proved.offer.clone())
            .collect();
        for index in together {
            if let (Some(finding), Some(done)) = (results.get_mut(index), done.get_mut(index)) {
                finding.fixes.clone_from(&fixes);
                *done = true;
            }
        }
    }
}

/// Where a finding was decided, and how.
fn cause(finding: &Finding) -> (String, Outcome, Option<Span>) {
    (
        finding.target.clone(),
        finding.outcome,
        finding.primary.as_ref().map(|label| label.span),
    )
}

fn key(finding: &Finding) -> (String, String, Outcome) {
    (
        finding.rule.clone(),
        finding.target.clone(),
        finding.outcome,
    )
}

fn found<'p>(policies: &'p [Policy], rule: &str) -> Option<(&'p Policy, &'p Requirement)> {
    policies.iter().find_map(|policy| {
        let requirement = policy
            .requirements
            .iter()
            .find(|requirement| policy.rule(requirement) == rule)?;
        Some((policy, requirement))
    })
}

/// Candidates that were tried, each at most once as a whole.
struct Trials<'a> {
    policies: &'a [Policy],
    subject: &'a Subject<'a>,
    context: &'a Context<'a>,
    /// Every result as it stands: rule, target, outcome.
    before: Vec<(String, String, Outcome)>,
    /// Who was judged: a change of the text that only changes who is judged mends nothing.
    groups: &'a [(String, String, Rc<Groups>)],
    /// What edits mend.
    known: Vec<(Vec<Edit>, Vec<usize>)>,
    /// Bytes that were read again.
    read: usize,
}

impl Trials<'_> {
    /// The findings that the changed text mends, if the one at `at` is among them; none where it makes another one
    /// worse.
    fn mended(&mut self, at: usize, fix: &Fix) -> Vec<usize> {
        if let Some((_, mended)) = self.known.iter().find(|(edits, _)| *edits == fix.edits) {
            return mended.clone();
        }
        let edits = fix.edits.iter();
        let edits = edits.map(|edit| (edit.span, edit.text.as_str()));
        let input = self.subject.input;
        let Some(bytes) = applied(input.bytes, input.file, edits) else {
            return Vec::new();
        };
        if self.read > 0 && self.read + bytes.len() > MOST_READ {
            return Vec::new();
        }
        self.read += bytes.len();
        let input = Input {
            bytes: &bytes,
            ..self.subject.input
        };
        let reading = (self.subject.kind.read)(&input, self.context.files, self.context.facts);
        let changed = Subject {
            input,
            reading: &reading,
            ..*self.subject
        };
        // Most candidates do not help: the finding itself is looked at before all the others.
        let own = self.before.get(at).map(|(rule, ..)| rule.clone());
        let after = self.after(&changed, own);
        let pair = self.before.get(at).zip(after.get(at));
        if !pair.is_some_and(|((.., before), after)| is_better(*before, *after)) {
            return Vec::new();
        }
        let after = self.after(&changed, None);
        let pairs = || self.before.iter().map(|(.., outcome)| *outcome).zip(&after);
        let mended = if pairs().any(|(before, after)| after.is_none_or(|after| after > before)) {
            Vec::new()
        } else {
            let better = pairs().enumerate();
            let better = better.filter(|(_, (before, after))| is_better(*before, **after));
            better.map(|(index, _)| index).collect()
        };
        self.known.push((fix.edits.clone(), mended.clone()));
        mended
    }

    /// What becomes of the results with a changed text; of one rule's where it is named.
    fn after(&self, changed: &Subject<'_>, only: Option<String>) -> Vec<Option<Outcome>> {
        let quiet = Context {
            fixes: false,
            ..*self.context
        };
        let mut told = Told {
            only,
            bare: true,
            groups: self.groups.to_vec(),
            ..Told::default()
        };
        for policy in self.policies {
            requirements(policy, changed, &quiet, true, &mut told);
        }
        let after = |(rule, target, _): &(String, String, Outcome)| {
            let mut results = told.results.iter();
            results
                .find(|result| result.rule == *rule && result.target == *target)
                .map(|result| result.outcome)
        };
        self.before.iter().map(after).collect()
    }
}

/// Whether a result is mended, as far as its alternatives allow.
fn is_better(before: Outcome, after: Option<Outcome>) -> bool {
    after.is_some_and(|after| after < before && after <= Outcome::Degraded)
}

/// What a fixer is told, owned.
struct Asked<'a> {
    gate: Option<usize>,
    question: Question,
    decided_by: Option<Span>,
    shadowed: Vec<Span>,
    domains: Vec<String>,
    networks: Ranges,
    service: Option<(u8, u16)>,
    clients: Ranges,
    fetch: Option<super::Probe>,
    setting: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// One for each question that the requirement asks at the finding's gate.
    fn of(
        policy: &Policy,
        requirement: &'a Requirement,
        subject: &Subject<'_>,
        context: &Context<'_>,
        finding: &Finding,
    ) -> Vec<Self> {
        let decided_by = finding.primary.as_ref().map(|label| label.span);
        let shadowed = finding
            .related
            .iter()
            .filter(|label| label.role == LabelRole::Shadowed)
            .map(|label| label.span)
            .collect();
        let base = Self {
            gate: None,
            question: Question::default(),
            decided_by,
            shadowed,
            domains: Vec::new(),
            networks: Ranges::empty(),
            service: None,
            clients: Ranges::empty(),
            fetch: None,
            setting: None,
        };
        let one = |setting: &'a str| Self {
            setting: Some(setting),
            ..base.clone()
        };
        if let Demand::Setting(demands) = &requirement.demand {
            return demands.iter().map(|demand| one(&demand.name)).collect();
        }
        let Some((index, gate)) = gate_of(subject, finding) else {
            return Vec::new();
        };
        let clients = clients_of(policy, finding, gate, context);
        asks(policy, requirement, gate)
            .into_iter()
            .map(|(ask, domains, networks)| Self {
                gate: Some(index),
                question: ask.question,
                domains,
                networks,
                service: ask.service,
                clients: clients.clone(),
                fetch: ask.probe,
                ..base.clone()
            })
            .collect()
    }

    fn as_blocked(&self) -> Blocked<'_> {
        Blocked {
            gate: self.gate,
            question: &self.question,
            decided_by: self.decided_by,
            shadowed: &self.shadowed,
            domains: &self.domains,
            networks: &self.networks,
            service: self.service,
            clients: &self.clients,
            fetch: self
                .fetch
                .as_ref()
                .map(|probe| (probe.resource, probe.url.as_str())),
            setting: self.setting,
        }
    }
}

impl Clone for Asked<'_> {
    fn clone(&self) -> Self {
        Self {
            question: self.question.clone(),
            shadowed: self.shadowed.clone(),
            domains: self.domains.clone(),
            networks: self.networks.clone(),
            clients: self.clients.clone(),
            fetch: self.fetch.clone(),
            ..*self
        }
    }
}

/// The clients that a fix is for: those that do not get through, or, where all get through and worse than they should,
/// all of them. Empty where nobody tells one client from another.
fn clients_of(policy: &Policy, finding: &Finding, gate: &Gate, context: &Context<'_>) -> Ranges {
    if let Some((_, declared)) = clients::declared(policy, context) {
        return declared;
    }
    let groups = &finding.clients.groups;
    let is_whole = groups.iter().all(|group| group.through);
    groups
        .iter()
        .filter(|group| is_whole || !group.through)
        .filter_map(|result| gate.groups.iter().find(|group| group.name == result.name))
        .fold(Ranges::empty(), |all, group| all.union(&group.sources))
}

/// The gate that a finding is about.
fn gate_of<'s>(subject: &Subject<'s>, finding: &Finding) -> Option<(usize, &'s Gate)> {
    let name = finding.target.rsplit_once('#').map(|(_, name)| name);
    subject
        .reading
        .gates
        .iter()
        .enumerate()
        .find(|(_, gate)| name.is_none_or(|name| gate.name == name))
}

/// The domains that the service documents, which may be wider than those that it needs.
fn widest(to: &Destination) -> &[String] {
    if to.wider.is_empty() {
        &to.names
    } else {
        &to.wider
    }
}

/// Whether a pattern covers another one: `*.chime.aws` covers `*.app.chime.aws`.
fn is_below(domain: &str, wider: &str) -> bool {
    let suffix = wider.strip_prefix('*');
    domain != wider && suffix.is_some_and(|suffix| domain.ends_with(suffix))
}

/// What a requirement asks at a gate, with the domains and networks that it names.
fn asks(
    policy: &Policy,
    requirement: &Requirement,
    gate: &Gate,
) -> Vec<(ask::Ask, Vec<String>, Ranges)> {
    let with = |asks: Vec<ask::Ask>, domains: &[String], networks: &Ranges| {
        asks.into_iter()
            .map(|ask| (ask, domains.to_vec(), networks.clone()))
            .collect::<Vec<_>>()
    };
    match (&requirement.demand, gate.layer) {
        (Demand::Reach(reach), layer @ (Layer::Packet | Layer::Proxy)) => {
            let networks = reach.to.networks.intersect(&ask::families(policy));
            let domains = widest(&reach.to);
            let alternatives = reach.alternatives.iter().flat_map(|alternative| {
                let asks = if layer == Layer::Packet {
                    ask::packets(policy, gate, &reach.to, alternative)
                } else {
                    ask::connects(policy, gate, &reach.to, alternative)
                        .into_iter()
                        .take(1)
                        .collect()
                };
                with(asks, domains, &networks)
            });
            alternatives.collect()
        }
        (Demand::Resolve(lookups), Layer::Lookup) => {
            // One line often blocks the names of several lookups, and only an edit for all of them mends it.
            let mut domains: Vec<String> = lookups
                .iter()
                .flat_map(|resolve| widest(&resolve.to))
                .cloned()
                .collect();
            domains.sort_unstable();
            domains.dedup();
            let all = domains.clone();
            domains.retain(|domain| !all.iter().any(|wider| is_below(domain, wider)));
            lookups
                .iter()
                .flat_map(|resolve| {
                    let asks = ask::lookups(policy, resolve).into_iter().take(1).collect();
                    let networks = resolve.answers.clone().unwrap_or_default();
                    with(asks, &domains, &networks)
                })
                .collect()
        }
        (Demand::Fetch(groups), Layer::Fetch) => groups
            .iter()
            .flat_map(|group| &group.probes)
            .flat_map(|probe| {
                let host = probe.host.iter().cloned().collect::<Vec<_>>();
                let asks = vec![ask::fetch(probe, ask::Weight::Must)];
                with(asks, &host, &Ranges::empty())
            })
            .collect(),
        (
            Demand::Reach(_)
            | Demand::Resolve(_)
            | Demand::Fetch(_)
            | Demand::Setting(_)
            | Demand::Forbid(_)
            | Demand::Advice,
            Layer::Packet | Layer::Proxy | Layer::Lookup | Layer::Fetch,
        ) => Vec::new(),
    }
}
