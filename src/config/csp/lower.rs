//! In: the policies of one page. Out: a [`Gate`] over fetches.
//!
//! Every enforced policy must allow (CSP3, 4.1.2): for each there is a stage without a chain that sends a fetch through
//! one stage for every question that the browser asks about it ([`DUTIES`]). A stage's rules are the sources that allow;
//! its fallback is the directive that decided, in the words of its fallback chain.
//!
//! Invariant: a question to which no directive answers has no stage, so it is allowed.

use crate::config::Facts;
use crate::model::{
    ChainId, Denial, Dim, Edge, Effect, Fallback, Gate, Guard, Layer, Onward, Ranges, Resource,
    Rule, Stage, StageId, Step, Unknown, UnknownId, UnknownKind,
};
use crate::source::Span;

use super::duties::{DUTIES, Duty, Inline, Operative, Use, operative};
use super::reach::{Origin, Upgrade, reach};
use super::syntax::{
    Directive, Disposition, Fate, HashOf, Keyword, Known, Name, Policy, Source, Token,
};

/// More policies than this on one page are not read: browsers and servers refuse headers of that size.
const POLICY_LIMIT: usize = 1_000;

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

/// A stage to be, and the resources that pass through it.
struct Question {
    resources: &'static [Resource],
    stage: Stage,
}

/// The questions that one policy answers.
struct Block {
    name: String,
    span: Span,
    questions: Vec<Question>,
}

struct Lowering<'a> {
    gate: Gate,
    page: &'a Page,
    upgrades: bool,
    requires_trusted_types: bool,
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
                let unknown = self.unknown(
                    "template",
                    format!("what the template puts into `{}`", template.written),
                    None,
                    template.span,
                );
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

    /// The rules for what a directive's list allows.
    fn allow(&mut self, chain: ChainId, directive: &Directive, duty: Duty) {
        match duty {
            Duty::Scripts | Duty::PlainString | Duty::PlainEval => return,
            Duty::BlobWorker | Duty::Load(_) => self.allow_urls(chain, directive, duty),
            Duty::Inline(_) => self.allow_inline(chain, directive, duty),
            Duty::Eval => {
                let hashed = has_hash(directive, HashOf::Evaluated);
                if hashed {
                    self.perhaps(chain, directive, HashOf::Evaluated, "the evaluated text");
                } else if let Some(token) = directive.keyword(Keyword::UnsafeEval) {
                    self.rule(chain, Guard::Always, Effect::Allow, token.span);
                }
                // It counts only where Trusted Types are required (measured in Chromium).
                if self.requires_trusted_types
                    && let Some(token) = directive.keyword(Keyword::TrustedTypesEval)
                {
                    self.rule(chain, Guard::Always, Effect::Allow, token.span);
                }
            }
            Duty::Wasm => {
                for keyword in [Keyword::WasmUnsafeEval, Keyword::UnsafeEval] {
                    if let Some(token) = directive.keyword(keyword) {
                        self.rule(chain, Guard::Always, Effect::Allow, token.span);
                    }
                }
            }
        }
        for token in &directive.values {
            if token.source == Source::Template {
                let unknown = self.template(token);
                self.rule(chain, Guard::Unknown(unknown), Effect::Allow, token.span);
            }
        }
    }

    /// What a list allows for a URL. Elements are taken to carry no `integrity`, so hashes of content allow none.
    fn allow_urls(&mut self, chain: ChainId, directive: &Directive, duty: Duty) {
        // CSP3, 6.7.1.1: what a trusted script loads is trusted, and lists of hosts are void.
        if duty.is_script()
            && let Some(token) = directive.keyword(Keyword::StrictDynamic)
        {
            if duty.made_by_script() {
                self.rule(chain, Guard::Always, Effect::Allow, token.span);
                return;
            }
        } else if duty.is_script() && has_hash(directive, HashOf::Url) {
            // Chromium: hashes of URLs make lists of hosts void too.
        } else {
            self.allow_sources(chain, directive, duty);
        }
        if duty.is_script() && has_hash(directive, HashOf::Url) {
            self.perhaps(chain, directive, HashOf::Url, "the script's URL");
        }
        if matches!(
            duty,
            Duty::Load(Use::Script | Use::ParsedScript | Use::Style)
        ) {
            self.perhaps_nonce(chain, directive);
        }
    }

    fn allow_sources(&mut self, chain: ChainId, directive: &Directive, duty: Duty) {
        let upgrade = if self.upgrades {
            duty.upgrade()
        } else {
            Upgrade::Never
        };
        for token in &directive.values {
            let Some(reach) = reach(&token.source, &self.page.origin) else {
                continue;
            };
            let guard = if duty == Duty::BlobWorker {
                if !reach.covers("blob", "", None) {
                    continue;
                }
                Guard::Always
            } else {
                reach.upgraded(upgrade).guard(&mut self.gate, token.span)
            };
            self.rule(chain, guard, Effect::Allow, token.span);
        }
    }

    /// CSP3, 6.7.3.2 "Does a source list allow all inline behavior": a nonce, a hash or `'strict-dynamic'` makes
    /// `'unsafe-inline'` void.
    fn allow_inline(&mut self, chain: ChainId, directive: &Directive, duty: Duty) {
        if duty.made_by_script()
            && let Some(token) = directive.keyword(Keyword::StrictDynamic)
        {
            self.rule(chain, Guard::Always, Effect::Allow, token.span);
            return;
        }
        // A template may put a nonce here, which would make `'unsafe-inline'` void.
        let template = directive
            .values
            .iter()
            .find(|token| token.source == Source::Template);
        if let Some(token) = template {
            let unknown = self.template(token);
            let blocked = Effect::Deny(Denial::Blocked);
            self.rule(chain, Guard::Unknown(unknown), blocked, token.span);
        }
        let is_void = directive.has(Keyword::StrictDynamic)
            || has_hash(directive, HashOf::Content)
            || directive
                .values
                .iter()
                .any(|token| matches!(token.source, Source::Nonce(_)));
        if !is_void && let Some(token) = directive.keyword(Keyword::UnsafeInline) {
            self.rule(chain, Guard::Always, Effect::Allow, token.span);
        }
        if duty != Duty::Inline(Inline::Handler) {
            self.perhaps_nonce(chain, directive);
        }
        if duty != Duty::Inline(Inline::Handler) || directive.has(Keyword::UnsafeHashes) {
            self.perhaps(chain, directive, HashOf::Content, "the inline text");
        }
    }

    /// A hash allows what nobody has shown.
    fn perhaps(&mut self, chain: ChainId, directive: &Directive, of: HashOf, what: &str) {
        for token in directive
            .values
            .iter()
            .filter(|token| token.source == Source::Hash(of))
        {
            let text = format!("{what}, of which `{}` may be the hash", token.text);
            let unknown = self.unknown("hash", text, Some(token.text.clone()), token.span);
            self.rule(chain, Guard::Unknown(unknown), Effect::Allow, token.span);
        }
    }

    fn perhaps_nonce(&mut self, chain: ChainId, directive: &Directive) {
        for token in &directive.values {
            if let Source::Nonce(nonce) = &token.source {
                let unknown = self.unknown(
                    "nonce",
                    "the nonce that the element carries".to_owned(),
                    Some(nonce.clone()),
                    token.span,
                );
                self.rule(chain, Guard::Unknown(unknown), Effect::Allow, token.span);
            }
        }
    }

    fn template(&mut self, token: &Token) -> UnknownId {
        self.unknown(
            "template",
            format!("what the template puts into `{}`", token.text),
            None,
            token.span,
        )
    }

    fn unknown(
        &mut self,
        code: &'static str,
        text: String,
        identity: Option<String>,
        span: Span,
    ) -> UnknownId {
        self.gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code,
            text,
            identity,
            span: Some(span),
        })
    }

    fn rule(&mut self, chain: ChainId, guard: Guard, effect: Effect, span: Span) {
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

fn has_hash(directive: &Directive, of: HashOf) -> bool {
    directive
        .values
        .iter()
        .any(|token| token.source == Source::Hash(of))
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

/// Why the fallback decides, as a clause.
fn explanation(duty: Duty, operative: &Operative<'_>) -> String {
    let Some(directive) = operative.directive else {
        return "no directive is set, so everything is allowed".to_owned();
    };
    let name = directive.written.to_ascii_lowercase();
    let decides = match duty.chain().first() {
        Some(first) if operative.is_fallback => {
            format!("`{}` is not set, so `{name}` decides", first.word())
        }
        Some(_) | None => format!("`{name}` decides"),
    };
    match duty {
        Duty::Scripts => "`sandbox` without `allow-scripts` lets no script run".to_owned(),
        Duty::PlainString => {
            format!("`{name}` refuses plain strings where scripts and workers are loaded")
        }
        Duty::PlainEval => format!("`{name}` refuses to evaluate plain strings"),
        Duty::BlobWorker => format!("{decides}: no source in it matches the worker's `blob:` URL"),
        Duty::Load(_) if directive.values.is_empty() => {
            format!("{decides}: its list is empty, which allows nothing")
        }
        Duty::Load(_) => format!("{decides}: no source in it matches"),
        Duty::Inline(_) => format!("{decides}: nothing in it allows inline code"),
        Duty::Eval => format!("`{name}` has no `'unsafe-eval'`"),
        Duty::Wasm => {
            format!("`{name}` has neither `'wasm-unsafe-eval'` nor `'unsafe-eval'`")
        }
    }
}

fn unread(gate: &mut Gate, span: Span) -> Question {
    const EVERY: &[Resource] = &{
        let mut every = [Resource::Connect; Resource::WORDS.len()];
        let mut at = 0;
        while at < every.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "the index stays below the length, at compile time"
            )]
            {
                every[at] = Resource::WORDS[at].0;
            }
            at += 1;
        }
        every
    };
    let chain = gate.chain("more policies");
    let unknown = gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code: "limit",
        text: format!("a page with fewer than {POLICY_LIMIT} policies"),
        identity: None,
        span: Some(span),
    });
    gate.rule(
        chain,
        Rule {
            guard: Guard::Unknown(unknown),
            step: Step::Decide(Effect::Deny(Denial::Blocked)),
            span,
        },
    );
    Question {
        resources: EVERY,
        stage: Stage {
            name: "more policies".to_owned(),
            enter: Vec::new(),
            chain: Some(chain),
            fallback: Fallback {
                effect: Effect::Allow,
                span: None,
                text: "further policies are not read".to_owned(),
            },
            edges: Vec::new(),
        },
    }
}

/// Adds the stages: for each policy an entry that sends a fetch to the first question that concerns it; a question's
/// stage sends it to the next one, or to the next policy.
fn connect(gate: &mut Gate, blocks: Vec<Block>) {
    let mut at = 0;
    for block in blocks {
        let entry = at;
        let next_policy = entry + 1 + block.questions.len();
        at = next_policy;
        let concerned: Vec<&'static [Resource]> = block
            .questions
            .iter()
            .map(|question| question.resources)
            .collect();
        let edges = |after: usize| {
            let mut edges: Vec<Edge> = concerned
                .iter()
                .enumerate()
                .skip(after)
                .map(|(place, resources)| Edge {
                    guard: concerns(resources),
                    to: onward(entry + 1 + place),
                })
                .collect();
            edges.push(Edge {
                guard: Guard::Always,
                to: onward(next_policy),
            });
            edges
        };
        gate.stage(Stage {
            fallback: Fallback {
                effect: Effect::Allow,
                span: Some(block.span),
                text: format!("{} is asked", block.name),
            },
            name: block.name,
            enter: Vec::new(),
            chain: None,
            edges: edges(0),
        });
        for (place, question) in block.questions.into_iter().enumerate() {
            gate.stage(Stage {
                edges: edges(place + 1),
                ..question.stage
            });
        }
    }
    gate.stage(Stage {
        name: "page".to_owned(),
        enter: Vec::new(),
        chain: None,
        fallback: Fallback {
            effect: Effect::Allow,
            span: None,
            text: "no directive restricts it".to_owned(),
        },
        edges: Vec::new(),
    });
}

fn onward(stage: usize) -> Onward {
    Onward::Stage(StageId(u32::try_from(stage).unwrap_or(u32::MAX)))
}

fn concerns(resources: &[Resource]) -> Guard {
    Guard::number(
        Dim::Resource,
        resources
            .iter()
            .map(|resource| *resource as u128)
            .collect::<Ranges>(),
    )
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
