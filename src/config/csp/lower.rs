//! In: the policies of one page. Out: a [`Gate`] over fetches.
//!
//! Every enforced policy must allow (CSP3, 4.1.2): for each there is a stage without a chain that sends a fetch through
//! one stage for every question that the browser asks about it ([`DUTIES`]). A stage's rules are the sources that allow;
//! its fallback is the directive that decided, in the words of its fallback chain.
//!
//! Invariant: a question to which no directive answers has no stage, so it is allowed.

use crate::config::Facts;
use crate::model::{
    ChainId, Denial, Effect, Fallback, Gate, Guard, Layer, Resource, Rule, Stage, Step, Unknown,
    UnknownId, UnknownKind,
};
use crate::source::Span;

use super::duties::{DUTIES, Duty, Operative, Use, operative};
use super::guards::Words;
use super::reach::Origin;
use super::stages::{Block, Question, connect, unread};
use super::syntax::{Directive, Disposition, Fate, Keyword, Known, Name, Policy, Source};

/// More policies than this on one page are not read: browsers and servers refuse headers of that size.
pub(super) const POLICY_LIMIT: usize = 1_000;

/// What the page is like, beyond its policies.
#[derive(Debug, Clone)]
pub(in crate::config) struct Page {
    /// Its origin.
    pub(super) origin: Origin,
    /// Whether the user gave the origin.
    pub(super) origin_is_given: bool,
    /// Whether the page makes a Trusted Types policy named `default`, which turns plain strings into trusted ones.
    pub(super) has_default_policy: bool,
}

impl Page {
    /// What the facts say of it.
    pub(in crate::config) fn of(facts: &Facts) -> Self {
        let origin = facts.get("csp.origin").and_then(Origin::parse);
        Self {
            origin_is_given: origin.is_some(),
            origin: origin.unwrap_or_else(Origin::assumed),
            has_default_policy: facts.get("csp.default-policy") == Some("yes"),
        }
    }
}

/// The gate of one page.
pub(in crate::config) fn lower(name: &str, policies: &[Policy], page: &Page) -> Gate {
    let enforced: Vec<&Policy> = policies
        .iter()
        .filter(|policy| policy.disposition == Disposition::Enforce)
        .collect();
    let mut lowering = Lowering {
        gate: Gate::new(name, Layer::Fetch),
        words: Words::default(),
        page,
        upgrades: enforced
            .iter()
            .any(|policy| policy.directive(Known::UpgradeInsecureRequests).is_some()),
        requires_trusted_types: enforced.iter().any(|policy| requires_trusted_types(policy)),
        evaluates_trusted_types: enforced.iter().any(|policy| {
            operative(policy, Duty::Eval)
                .directive
                .is_some_and(|directive| directive.has(Keyword::TrustedTypesEval))
        }),
    };
    let mut blocks: Vec<Block> = Vec::new();
    for (number, policy) in enforced.iter().take(POLICY_LIMIT).enumerate() {
        let questions: Vec<Question> = DUTIES
            .iter()
            .filter_map(|(duty, resources)| lowering.question(policy, number + 1, *duty, resources))
            .collect();
        if !questions.is_empty() {
            blocks.push(Block {
                name: format!("policy {}", number + 1),
                span: policy.span,
                questions,
            });
        }
    }
    let too_many = enforced.get(POLICY_LIMIT).map(|policy| policy.span);
    let mut gate = lowering.gate;
    if let Some(span) = too_many {
        let questions = vec![unread(&mut gate, span)];
        blocks.push(Block {
            name: "further policies".to_owned(),
            span,
            questions,
        });
    }
    connect(&mut gate, blocks);
    assume(&mut gate, &enforced, page);
    gate
}

pub(super) struct Lowering<'a> {
    pub(super) gate: Gate,
    pub(super) words: Words,
    pub(super) page: &'a Page,
    pub(super) upgrades: bool,
    pub(super) requires_trusted_types: bool,
    evaluates_trusted_types: bool,
}

impl Lowering<'_> {
    fn question(
        &mut self,
        policy: &Policy,
        number: usize,
        duty: Duty,
        resources: &'static [Resource],
    ) -> Option<Question> {
        let operative = operative(policy, duty);
        let deciding = match operative.directive {
            Some(directive) => {
                if !self.restricts(policy, directive, duty) {
                    return None;
                }
                directive.span
            }
            None => operative.template?.span,
        };
        let name = operative
            .directive
            .map_or("template", |directive| directive.written.as_str());
        let chain = self.gate.chain(name);
        if let Some(template) = operative.template {
            for effect in [Effect::Allow, Effect::Deny(Denial::Blocked)] {
                let (code, text) = match &template.fate {
                    Fate::Unread(what) => ("unread", what.clone()),
                    Fate::Template
                    | Fate::InForce
                    | Fate::Duplicate(_)
                    | Fate::Dropped(_)
                    | Fate::Unrecognised
                    | Fate::IgnoredInMeta => (
                        "template",
                        format!("what the template puts into `{}`", template.written),
                    ),
                };
                let unknown = self.unknown(code, text, template.span);
                self.rule(chain, Guard::Unknown(unknown), effect, template.span);
            }
        }
        if let Some(directive) = operative.directive {
            self.allow(chain, directive, duty);
        }
        let allowed_otherwise = operative.directive.is_none();
        Some(Question {
            resources,
            stage: Stage {
                name: format!("policy {number}: {name}"),
                enter: Vec::new(),
                chain: Some(chain),
                fallback: Fallback {
                    effect: if allowed_otherwise {
                        Effect::Allow
                    } else {
                        Effect::Deny(Denial::Blocked)
                    },
                    span: Some(deciding),
                    text: explanation(duty, &operative),
                },
                edges: Vec::new(),
            },
        })
    }

    /// Whether a directive that is no list of sources has anything to say.
    fn restricts(&self, policy: &Policy, directive: &Directive, duty: Duty) -> bool {
        match duty {
            Duty::Scripts => !directive
                .values
                .iter()
                .any(|token| token.text.eq_ignore_ascii_case("allow-scripts")),
            Duty::PlainString | Duty::PlainEval => {
                let default_policy = self.page.has_default_policy && allows_default_policy(policy);
                let evaluates = duty == Duty::PlainEval && self.evaluates_trusted_types;
                requires_trusted_types(policy) && !default_policy && !evaluates
            }
            Duty::BlobWorker | Duty::Load(_) | Duty::Inline(_) | Duty::Eval | Duty::Wasm => true,
        }
    }

    pub(super) fn unknown(&mut self, code: &'static str, text: String, span: Span) -> UnknownId {
        self.gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code,
            text,
            identity: None,
            span: Some(span),
        })
    }

    pub(super) fn rule(&mut self, chain: ChainId, guard: Guard, effect: Effect, span: Span) {
        self.gate.rule(
            chain,
            Rule {
                guard,
                step: Step::Decide(effect),
                span,
            },
        );
    }
}

/// Trusted Types, 3.3: the only sink group is `'script'`, spelt exactly so.
pub(super) fn requires_trusted_types(policy: &Policy) -> bool {
    policy
        .directive(Known::RequireTrustedTypesFor)
        .is_some_and(|groups| groups.values.iter().any(|token| token.text == "'script'"))
}

/// Whether `trusted-types` lets the page make a policy named `default`; where it is not set, it does.
pub(super) fn allows_default_policy(policy: &Policy) -> bool {
    policy.directive(Known::TrustedTypes).is_none_or(|names| {
        names
            .values
            .iter()
            .any(|token| matches!(token.text.as_str(), "default" | "*"))
    })
}

/// Who decides where no source allows, and why: the directive's name, then a clause.
fn explanation(duty: Duty, operative: &Operative<'_>) -> String {
    let Some(directive) = operative.directive else {
        return "no directive is set, so everything is allowed".to_owned();
    };
    let name = directive.written.to_ascii_lowercase();
    let decides = match duty.chain().first() {
        Some(first) if operative.is_fallback => {
            format!(
                "`{name}`: `{}` is not set, so `{name}` decides, and",
                first.word()
            )
        }
        Some(_) | None => format!("`{name}`:"),
    };
    match duty {
        Duty::Scripts => "`sandbox`: without `allow-scripts` no script runs".to_owned(),
        Duty::PlainString => {
            format!("`{name}`: plain strings are refused where scripts and workers are loaded")
        }
        Duty::PlainEval => format!("`{name}`: plain strings are not evaluated"),
        Duty::BlobWorker => format!("{decides} no source in it matches a `blob:` worker"),
        Duty::Load(_) if directive.values.is_empty() => {
            format!("{decides} its list is empty, which allows nothing")
        }
        Duty::Load(Use::Connect) if lists_hosts_without_sockets(directive) => format!(
            "{decides} no source in it matches; `https:` sources and hosts without a scheme do not cover `wss:`"
        ),
        Duty::Load(_) => format!("{decides} no source in it matches"),
        Duty::Inline(_) => format!("{decides} nothing in it allows inline code"),
        Duty::Eval => format!("{decides} it has no `'unsafe-eval'`"),
        Duty::Wasm => {
            format!("{decides} it has neither `'wasm-unsafe-eval'` nor `'unsafe-eval'`")
        }
    }
}

/// A list that names servers, but none of them for a `WebSocket`.
fn lists_hosts_without_sockets(directive: &Directive) -> bool {
    let schemes = || {
        directive
            .values
            .iter()
            .filter_map(|token| match &token.source {
                Source::Host(host) => Some(host.scheme.as_deref().unwrap_or_default()),
                Source::Scheme(scheme) => Some(scheme.as_str()),
                Source::Star
                | Source::None
                | Source::Myself
                | Source::Keyword(_)
                | Source::Nonce(_)
                | Source::Hash(_)
                | Source::Template
                | Source::Bad(_) => None,
            })
    };
    schemes().any(|scheme| matches!(scheme, "" | "https"))
        && !schemes().any(|scheme| matches!(scheme, "ws" | "wss"))
}

/// What the verdict rests on, and where other browsers differ.
fn assume(gate: &mut Gate, enforced: &[&Policy], page: &Page) {
    let sources = || {
        enforced
            .iter()
            .flat_map(|policy| &policy.directives)
            .filter(|directive| {
                directive.fate == Fate::InForce
                    && matches!(directive.name.value, Name::Known(name) if name.takes_sources())
            })
            .flat_map(|directive| &directive.values)
            .map(|token| &token.source)
    };
    let rests_on_origin = sources().any(|source| {
        *source == Source::Myself || matches!(source, Source::Host(host) if host.scheme.is_none())
    });
    if rests_on_origin && !page.origin_is_given {
        gate.assumptions.push(format!(
            "the page is served from `{}://{}` (`--fact csp.origin=URL` says otherwise)",
            page.origin.scheme, page.origin.host
        ));
    }
    if sources().any(|source| matches!(source, Source::Host(host) if host.scheme.is_none() && host.port == super::syntax::Port::Is(80)))
    {
        gate.assumptions.push(
            "the browser is Chromium: Firefox matches a host with `:80` and without a scheme on port 443 too"
                .to_owned(),
        );
    }
    if sources().any(|source| matches!(source, Source::Host(host) if host.name.ends_with('.'))) {
        gate.assumptions.push(
            "the browser is Chromium: Firefox ignores the dot at the end of a host".to_owned(),
        );
    }
    let strings = enforced
        .iter()
        .any(|policy| requires_trusted_types(policy) && allows_default_policy(policy));
    if strings && !page.has_default_policy {
        gate.assumptions.push(
            "the page makes no Trusted Types policy named `default` (`--fact csp.default-policy=yes` says otherwise)"
                .to_owned(),
        );
    }
}
