//! In: policies and read configs. Out: the report: every requirement at every target, passes too.
//!
//! Each judged gate of a config is a target; settings and advice belong to the whole file. A config that the real
//! program refuses fails every requirement that it could be asked for, with that one cause.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::clients::{Groups, groups};
use super::fixes;
use super::outcome::{Bench, Known};
use super::setting::settings;
use super::tell::{self, Target};
use super::{Context, Demand, Policy, Requirement, Subject, answer};
use crate::config::{DialectFinding, Level};
use crate::decide::Evaluator;
use crate::finding::{
    Clients, Finding, InputSummary, Label, LabelRole, Outcome, PolicyApplied, Report, Severity,
};
use crate::model::{Gate, Layer, Role, Standing};

/// Judges every requirement of every policy at every config.
pub fn judge(policies: &[Policy], subjects: &[Subject<'_>], context: &Context<'_>) -> Report {
    let mut report = Report {
        policies: policies
            .iter()
            .map(|policy| PolicyApplied {
                id: policy.id.clone(),
                version: policy.version.clone(),
            })
            .collect(),
        ranges_date: policies
            .iter()
            .find_map(|policy| policy.ranges_date.clone()),
        ..Report::default()
    };
    for (index, subject) in subjects.iter().enumerate() {
        let context = &context.of_one(subject.own);
        let mut told = Told::default();
        for policy in policies {
            requirements(policy, subject, context, index == 0, &mut told);
        }
        if context.fixes {
            fixes::offer(policies, subject, context, &mut told);
        }
        let answer = answer::answer(policies, &told.results, context.sources);
        let mut results = dialect(subject, context);
        results.retain(|finding| !is_told(finding, &told.results));
        results.append(&mut told.results);
        mark_same_cause(&mut results);
        results.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.outcome)));
        report.inputs.push(summary(subject, answer));
        report.results.append(&mut results);
        for (sum, part) in [
            (&mut report.assumptions, told.assumptions),
            (&mut report.notes, told.notes),
        ] {
            for line in part {
                if !sum.contains(&line) {
                    sum.push(line);
                }
            }
        }
    }
    report
}

/// What judging one config gives.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Only this rule is judged; every one where it is nothing.
    pub(super) only: Option<String>,
    /// Only outcomes are wanted, not what shows them.
    pub(super) bare: bool,
    /// Who was judged at each gate, by the names of policy and target; where they are known before, they are judged.
    pub(super) groups: Vec<(String, String, Rc<Groups>)>,
    pub(super) results: Vec<Finding>,
    pub(super) assumptions: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Told {
    fn groups_of(
        &mut self,
        policy: &Policy,
        target: &str,
        find: impl FnOnce() -> Groups,
    ) -> Rc<Groups> {
        let known =
            |(id, name, _): &&(String, String, Rc<Groups>)| *id == policy.id && *name == target;
        if let Some((.., groups)) = self.groups.iter().find(known) {
            return Rc::clone(groups);
        }
        let groups = Rc::new(find());
        self.groups
            .push((policy.id.clone(), target.to_owned(), Rc::clone(&groups)));
        groups
    }

    fn wants(&self, policy: &Policy, requirement: &Requirement) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| policy.rule(requirement) == *only)
    }
}

/// The requirements of one policy at one config.
pub(super) fn requirements(
    policy: &Policy,
    subject: &Subject<'_>,
    context: &Context<'_>,
    with_advice: bool,
    told: &mut Told,
) {
    let reading = subject.reading;
    let path = subject.input.path;
    if let Some(reason) = &reading.not_judged {
        told.notes.push(format!("{path}: not judged: {reason}"));
        return;
    }
    told.assumptions.extend(reading.assumptions.iter().cloned());
    let judged: Vec<(usize, &Gate)> = reading
        .gates
        .iter()
        .enumerate()
        .filter(|(_, gate)| !is_received(gate))
        .filter(|(_, gate)| match &gate.standing {
            Standing::Judged | Standing::Uncertain(_) => true,
            Standing::NotJudged(reason) => {
                let note = format!("{path}: {} is not judged: {reason}", gate.name);
                told.notes.push(note);
                false
            }
        })
        .collect();
    let refused = reading.findings.iter().find(|finding| finding.refuses);
    let whole = Target {
        name: path.to_owned(),
        file: subject.input.file,
        layer: subject.kind.layer,
        gate: None,
    };
    for requirement in &policy.requirements {
        let unwanted = matches!(requirement.demand, Demand::Advice) && !with_advice;
        if unwanted || !told.wants(policy, requirement) {
            continue;
        }
        let teller = tell::Teller {
            policy,
            requirement,
            target: &whole,
            context,
        };
        let finding = match &requirement.demand {
            Demand::Setting(demands) if applies(policy, requirement) => {
                match (refused, settings(demands, reading)) {
                    (Some(cause), _) if subject.kind.layer == Layer::Lookup => {
                        teller.refused(cause)
                    }
                    (_, Some(settings)) => {
                        told.assumptions
                            .extend(settings.assumptions.iter().map(|a| format!("{path}: {a}")));
                        teller.setting(settings)
                    }
                    (_, None) => teller.not_applicable("the file has no such setting"),
                }
            }
            Demand::Advice if applies(policy, requirement) => teller.advice(),
            Demand::Setting(_) | Demand::Advice => teller.not_applicable(NOT_SET),
            Demand::Reach(_) | Demand::Resolve(_) | Demand::Fetch(_) | Demand::Forbid(_) => {
                match refused {
                    Some(cause) if concerns(requirement, subject.kind.layer) => {
                        if applies(policy, requirement) {
                            teller.refused(cause)
                        } else {
                            teller.not_applicable(NOT_SET)
                        }
                    }
                    Some(_) => teller.not_applicable(OTHER_LAYER),
                    None if judged.is_empty() => teller.not_applicable("the file has no gate"),
                    None => continue,
                }
            }
        };
        told.results.push(finding);
    }
    if refused.is_none() {
        for (_, gate) in &judged {
            let name = if judged.len() > 1 {
                format!("{path}#{}", gate.name)
            } else {
                path.to_owned()
            };
            let target = Target {
                name,
                file: subject.input.file,
                layer: gate.layer,
                gate: Some(gate),
            };
            let received = reading
                .gates
                .iter()
                .find(|other| is_received(other) && gate.role != Some(Role::Host));
            at_gate(policy, &target, gate, received, context, told);
        }
    }
}

const NOT_SET: &str = "the parameters as they are set do not ask for it";
const OTHER_LAYER: &str = "it is not asked of a config of this kind";

/// Whether a gate is about packets to the machine's own services: no flow of a policy ends there but lookups.
fn is_received(gate: &Gate) -> bool {
    gate.layer == Layer::Packet && gate.name == "INPUT"
}

fn applies(policy: &Policy, requirement: &Requirement) -> bool {
    policy.holds(&requirement.when)
}

/// Whether a requirement can be asked at a layer at all.
fn concerns(requirement: &Requirement, layer: Layer) -> bool {
    match &requirement.demand {
        Demand::Reach(reach) => match layer {
            Layer::Packet => !reach.to.networks.is_empty(),
            Layer::Proxy => !reach.to.names.is_empty(),
            Layer::Lookup | Layer::Fetch => false,
        },
        Demand::Forbid(_) => layer == Layer::Packet,
        Demand::Resolve(_) => layer == Layer::Lookup,
        Demand::Fetch(_) => layer == Layer::Fetch,
        Demand::Setting(_) | Demand::Advice => false,
    }
}

/// The requirements of one policy at one gate.
fn at_gate(
    policy: &Policy,
    target: &Target<'_>,
    gate: &Gate,
    received: Option<&Gate>,
    context: &Context<'_>,
    told: &mut Told,
) {
    let concerned = |requirement: &&Requirement| {
        !matches!(requirement.demand, Demand::Setting(_) | Demand::Advice)
            && told.wants(policy, requirement)
    };
    let concerned: Vec<&Requirement> = policy.requirements.iter().filter(concerned).collect();
    if concerned.is_empty() {
        return;
    }
    let mut evaluator = Evaluator::new(gate);
    let groups = told.groups_of(policy, &target.name, || {
        groups(policy, gate, &mut evaluator, context)
    });
    if !told.bare {
        assumptions(policy, target, gate, &groups, told);
    }
    let mut known = Known::default();
    for requirement in concerned {
        let teller = tell::Teller {
            policy,
            requirement,
            target,
            context,
        };
        if !applies(policy, requirement) {
            told.results.push(teller.not_applicable(NOT_SET));
            continue;
        }
        let mut outcomes = Vec::new();
        for group in &groups.judged {
            let mut bench = Bench {
                policy,
                gate,
                evaluator: &mut evaluator,
                received,
                group,
                known: &mut known,
            };
            if let Some(outcome) = bench.outcome(requirement) {
                outcomes.push((group, outcome));
            }
        }
        let finding = if outcomes.is_empty() {
            teller.not_applicable(OTHER_LAYER)
        } else if told.bare {
            teller.bare(&outcomes)
        } else {
            teller.verdict(&mut evaluator, &groups, outcomes)
        };
        told.results.push(finding);
    }
}

fn assumptions(
    policy: &Policy,
    target: &Target<'_>,
    gate: &Gate,
    groups: &Groups,
    told: &mut Told,
) {
    let name = &target.name;
    // What the whole file assumes is said once.
    let lines: Vec<String> = gate
        .assumptions
        .iter()
        .filter(|line| !told.assumptions.contains(line))
        .map(|line| format!("{name}: {line}"))
        .collect();
    told.assumptions.extend(lines);
    if gate.layer == Layer::Fetch {
        return;
    }
    let judged: Vec<&str> = groups
        .judged
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    let source = if groups.declared.is_empty() {
        "found in the config"
    } else {
        "declared"
    };
    told.assumptions.push(format!(
        "{name}: judged for {} ({source})",
        super::words::few(&judged)
    ));
    if !groups.left_out.is_empty() {
        told.assumptions.push(format!(
            "{name}: without web access and not judged: {}",
            super::words::few(&groups.left_out)
        ));
    }
    if let Standing::Uncertain(reason) = &gate.standing {
        told.assumptions.push(format!("{name}: {reason}"));
    }
    match gate.layer {
        Layer::Packet => told.assumptions.push(
            "the interface that a packet leaves by is the router's choice: one that works suffices"
                .to_owned(),
        ),
        Layer::Proxy if asks_for_udp(policy) => told.notes.push(
            "a proxy carries no UDP: what the policy asks for over UDP is not asked of it"
                .to_owned(),
        ),
        Layer::Proxy | Layer::Lookup | Layer::Fetch => {}
    }
}

fn asks_for_udp(policy: &Policy) -> bool {
    policy.requirements.iter().any(|requirement| {
        let Demand::Reach(reach) = &requirement.demand else {
            return false;
        };
        let services = reach.alternatives.iter().flat_map(|a| &a.services);
        !reach.to.names.is_empty() && services.into_iter().any(|s| s.protocol != super::ask::TCP)
    })
}

/// What the dialect itself reports.
fn dialect(subject: &Subject<'_>, context: &Context<'_>) -> Vec<Finding> {
    let told = |finding: &DialectFinding| {
        let level = subject
            .kind
            .diagnostics
            .iter()
            .find(|diagnostic| diagnostic.id == finding.id)
            .map_or(Level::Warning, |diagnostic| diagnostic.level);
        let (outcome, severity) = match level {
            Level::Error => (Outcome::Fail, Severity::Error),
            Level::Warning => (Outcome::Degraded, Severity::Warning),
            Level::Info => (Outcome::Degraded, Severity::Info),
        };
        let label = Label {
            span: finding.label.span,
            role: LabelRole::Decides,
            text: finding.label.value.clone(),
        };
        let related = finding.related.iter().map(|place| Label {
            span: place.span,
            role: LabelRole::Context,
            text: place.value.clone(),
        });
        let fixes = finding.fix.iter().map(|fix| {
            // An edit may stand in a file that is read along.
            let file = fix.edits.first().map(|edit| edit.span.file);
            let source = context.sources.file(file.unwrap_or(subject.input.file));
            fixes::offer_of(fix.fitted(&source.bytes))
        });
        let fingerprint = tell::fingerprint(
            finding.id,
            subject.input.path,
            Some(finding.label.span),
            context.sources,
        );
        Finding {
            target: subject.input.path.to_owned(),
            file: subject.input.file,
            rule: finding.id.to_owned(),
            outcome,
            severity,
            between: Vec::new(),
            message: finding.title.clone(),
            primary: Some(label),
            related: related.collect(),
            clients: Clients::default(),
            variants: Vec::new(),
            witness: None,
            fallback: None,
            steps: Vec::new(),
            reasons: Vec::new(),
            fixes: fixes.collect(),
            help: finding.help.clone(),
            why: None,
            link: None,
            live_check: None,
            same_cause: Vec::new(),
            fingerprint,
        }
    };
    subject.reading.findings.iter().map(told).collect()
}

/// Whether a requirement's finding already shows this place with these words, and this one has no edit to add: one
/// cause is one finding.
fn is_told(finding: &Finding, results: &[Finding]) -> bool {
    let Some(place) = finding
        .primary
        .as_ref()
        .filter(|_| finding.fixes.is_empty())
    else {
        return false;
    };
    results
        .iter()
        .filter(|result| result.severity != Severity::None)
        .flat_map(|result| result.related.iter().take(3))
        .any(|label| {
            label.role == LabelRole::Ignored
                && label.text == place.text
                && label.span.file == place.span.file
                && label.span.start <= place.span.start
                && place.span.end <= label.span.end
        })
}

/// Findings with the same outcome, the same deciding place and the same fix, waiting for the same missing fact, or mended
/// by the same edit name each other.
fn mark_same_cause(results: &mut [Finding]) {
    let causes: Vec<_> = results
        .iter()
        .map(|finding| {
            let missing = finding
                .reasons
                .first()
                .map(|r| (r.code.clone(), r.text.clone()));
            let place = finding.primary.as_ref().map(|label| label.span);
            let waits = finding.outcome == Outcome::Undecided;
            let tells = finding.severity != Severity::None && finding.rule.contains('/');
            let key = match (waits, missing, place) {
                (true, Some(missing), _) => Some((None, Some(missing))),
                (_, _, Some(place)) => Some((Some(place), None)),
                (_, _, None) => None,
            };
            key.filter(|_| tells).map(|key| {
                let fix = finding.fixes.first().cloned();
                (finding.target.clone(), finding.outcome, key, fix)
            })
        })
        .collect();
    let edits = |finding: &Finding| finding.fixes.first().map(|fix| fix.edits.clone());
    let edits: Vec<_> = results.iter().map(edits).collect();
    let (by_cause, by_edit) = (sharing(&causes), sharing(&edits));
    let rules: Vec<String> = results.iter().map(|finding| finding.rule.clone()).collect();
    for (index, finding) in results.iter_mut().enumerate() {
        let cause = causes.get(index).and_then(Option::as_ref);
        let edit = edits.get(index).and_then(Option::as_ref);
        let same_cause = cause.and_then(|cause| by_cause.get(cause));
        let same_edit = edit.and_then(|edit| by_edit.get(edit));
        let sharers = same_cause.into_iter().chain(same_edit).flatten().copied();
        let sharers: BTreeSet<usize> = sharers.filter(|other| *other != index).collect();
        let mut others: Vec<String> = Vec::new();
        for rule in sharers.iter().filter_map(|other| rules.get(*other)) {
            if !others.contains(rule) {
                others.push(rule.clone());
            }
        }
        finding.same_cause = others;
    }
}

/// Which places of a list have each key.
fn sharing<K: Eq + Hash>(keys: &[Option<K>]) -> HashMap<&K, Vec<usize>> {
    let mut sharing: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            sharing.entry(key).or_default().push(index);
        }
    }
    sharing
}

fn summary(subject: &Subject<'_>, answer: Option<String>) -> InputSummary {
    let reading = subject.reading;
    let judged: Vec<&Gate> = reading
        .gates
        .iter()
        .filter(|gate| !matches!(gate.standing, Standing::NotJudged(_)) && !is_received(gate))
        .collect();
    let role = reading.role.clone().or_else(|| {
        let role = judged.iter().find_map(|gate| gate.role)?;
        Some(
            match role {
                Role::Host => "host",
                Role::Gateway => "gateway",
            }
            .to_owned(),
        )
    });
    let is_judged = reading.not_judged.is_none()
        && (!judged.is_empty()
            || !reading.settings.is_empty()
            || reading.findings.iter().any(|finding| finding.refuses));
    let names: Vec<&str> = judged.iter().map(|gate| gate.name.as_str()).collect();
    let article = |role: &str| {
        let vowel = role.starts_with(['a', 'e', 'i', 'o', 'u']);
        if vowel { "an" } else { "a" }
    };
    let judged_as = is_judged.then(|| {
        let path = subject.input.path;
        let is_said = names.iter().all(|name| Some(*name) == role.as_deref());
        let gates = if is_said {
            String::new()
        } else {
            format!(" ({})", super::words::listed(&names))
        };
        match &role {
            Some(role) => format!("judged {path} as {} {role}{gates}", article(role)),
            None => format!("judged {path}{gates}"),
        }
    });
    let digest = Sha256::digest(subject.input.bytes);
    InputSummary {
        file: subject.input.file,
        kind: Some(subject.kind.name),
        role,
        why: subject.why.to_owned(),
        judged: is_judged,
        not_judged: reading.not_judged.clone(),
        sha256: tell::hex(&digest),
        facts: reading.facts.clone(),
        answer: answer.filter(|_| is_judged),
        judged_as,
    }
}

#[cfg(test)]
mod tests;
