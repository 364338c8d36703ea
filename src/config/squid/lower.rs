//! In: a [`Config`]. Out: its one gate.
//!
//! Stages in the order of `ClientHttpRequest::doCallouts` and `FwdState` (`src/client_side_request.cc`, `src/FwdState.cc`):
//! `http_access`, adaptation and rewriting (outside of the file), `adapted_http_access`, `miss_access`, the choice of
//! a way, and for a CONNECT on an `ssl-bump` port what `ssl_bump` does.
//!
//! Invariants: a list's default is written here, as its stage's fallback; a stage that no line speaks of does not exist.

use super::guards::{self, Guards, Place};
use super::lists::{Action, List, Mode, Rule as Entry};
use super::parse::Config;
use super::{bump, clients};
use crate::model::{
    ChainId, Denial, Edge, Effect, Fallback, Gate, Guard, Layer, Onward, Rule, Stage, StageId,
    Step, Unknown, UnknownKind,
};
use crate::source::Span;

const ALLOW: Effect = Effect::Allow;
const DENY: Effect = Effect::Deny(Denial::Deny);

mod way;

/// Lowers a config.
pub(super) fn lower(config: &mut Config) -> Gate {
    let mut gate = Gate::new(List::HttpAccess.word(), Layer::Proxy);
    if let Some(refused) = &config.refused {
        let chain = gate.chain("squid.conf");
        gate.rule(
            chain,
            Rule {
                guard: Guard::Always,
                step: Step::Decide(Effect::Deny(Denial::DoesNotStart)),
                span: refused.span,
            },
        );
        gate.stage(Stage {
            name: "start".to_owned(),
            enter: Vec::new(),
            chain: Some(chain),
            fallback: Fallback {
                effect: Effect::Deny(Denial::DoesNotStart),
                span: Some(refused.span),
                text: "Squid does not start with this file".to_owned(),
            },
            edges: Vec::new(),
        });
        return gate;
    }
    let mut lowering = Lowering {
        guards: Guards::new(config),
        config,
        gate,
        stages: Vec::new(),
    };
    lowering.names();
    lowering.access(List::HttpAccess, Place::Slow);
    lowering.adaptation();
    lowering.rewriting();
    lowering.access(List::AdaptedHttpAccess, Place::Slow);
    lowering.access(List::MissAccess, Place::Fast);
    lowering.way();
    bump::stage(&mut lowering);
    let mut gate = lowering.finish();
    gate.groups = clients::groups(config);
    gate
}

/// What the proxy is for, in words.
pub(super) fn role(config: &Config) -> &'static str {
    if config.ports.is_empty() || config.ports.iter().any(|port| port.mode == Mode::Forward) {
        "client proxy"
    } else if config.ports.iter().any(|port| port.mode == Mode::Intercept) {
        "intercepting proxy"
    } else {
        "reverse proxy"
    }
}

/// Why the proxy is not on the way of the flows that are asked about.
pub(super) fn aside(config: &Config) -> Option<String> {
    let ports = &config.ports;
    if ports.is_empty() || ports.iter().any(|port| port.mode == Mode::Forward) {
        return None;
    }
    let intercepts = |secure: bool| {
        ports
            .iter()
            .any(|port| port.mode == Mode::Intercept && port.secure == secure)
    };
    match (intercepts(true), intercepts(false)) {
        (true, _) => None,
        (false, true) => Some("a proxy that intercepts port 80 only".to_owned()),
        (false, false) => Some("a reverse proxy only".to_owned()),
    }
}

/// A gate under construction.
pub(super) struct Lowering<'c> {
    pub(super) config: &'c Config,
    pub(super) gate: Gate,
    pub(super) guards: Guards<'c>,
    stages: Vec<Stage>,
}

impl Lowering<'_> {
    /// Adds a stage that all flows enter that the earlier ones allow.
    pub(super) fn stage(&mut self, name: &str, chain: ChainId, fallback: Fallback) {
        self.stages.push(Stage {
            name: name.to_owned(),
            enter: Vec::new(),
            chain: Some(chain),
            fallback,
            edges: Vec::new(),
        });
    }

    fn finish(mut self) -> Gate {
        let count = self.stages.len();
        for (index, mut stage) in std::mem::take(&mut self.stages).into_iter().enumerate() {
            if index + 1 < count {
                stage.edges.push(Edge {
                    guard: Guard::Always,
                    to: Onward::Stage(StageId(u32::try_from(index + 1).unwrap_or(u32::MAX))),
                });
            }
            self.gate.stage(stage);
        }
        self.gate
    }

    fn rules(&self, list: List) -> Vec<Entry> {
        self.config.lists.get(&list).cloned().unwrap_or_default()
    }

    /// Squid resolves the names of `src` and `dst` when it starts, and stops where one has no address.
    fn names(&mut self) {
        let named: Vec<_> = self
            .config
            .acls
            .iter()
            .filter_map(|acl| acl.unread.as_ref().filter(|unread| unread.code == "dns"))
            .collect();
        let Some(first) = named.first() else { return };
        let chain = self.gate.chain("start");
        let id = self.gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code: "dns",
            text: first.text.clone(),
            identity: Some("start".to_owned()),
            span: Some(first.span),
        });
        let refused = Effect::Deny(Denial::DoesNotStart);
        self.decide(chain, Guard::Unknown(id), refused, first.span);
        self.stage("start", chain, passes());
    }

    /// An access list: first match decides, no match is the opposite of the last line.
    fn access(&mut self, list: List, place: Place) {
        let rules = self.rules(list);
        if rules.is_empty() && list != List::HttpAccess {
            return;
        }
        let chain = self.gate.chain(list.word());
        for rule in &rules {
            match rule {
                Entry::Hole(index) => self.hole(chain, *index),
                Entry::Line {
                    action,
                    terms,
                    unread,
                    span,
                } => {
                    let meaning = self.guards.rule(&mut self.gate, terms, place);
                    if let Some(guard) = meaning.challenges {
                        self.decide(chain, guard, Effect::Deny(Denial::Challenge), *span);
                    }
                    let mut guard = meaning.matches;
                    if let Some(unread) = unread {
                        let id = guards::hole(&mut self.gate, &unread.text, unread.span);
                        guard = Guard::All(vec![guard, Guard::Unknown(id)]);
                    }
                    let asks = place == Place::Slow
                        && terms
                            .last()
                            .and_then(|term| self.config.acls.get(term.acl))
                            .is_some_and(|acl| acl.asks_for_credentials(&self.config.external));
                    let effect = match (action, asks) {
                        (Action::Allow, _) => ALLOW,
                        // A denial by credentials asks for others (clientAccessCheckDone).
                        (_, true) => Effect::Deny(Denial::Challenge),
                        (_, false) => DENY,
                    };
                    self.decide(chain, guard, effect, *span);
                }
            }
        }
        let fallback = inverted(list, &rules);
        self.stage(list.word(), chain, fallback);
    }

    pub(super) fn decide(&mut self, chain: ChainId, guard: Guard, effect: Effect, span: Span) {
        let step = Step::Decide(effect);
        self.gate.rule(chain, Rule { guard, step, span });
    }

    /// Lines that are not known may decide either way.
    fn hole(&mut self, chain: ChainId, index: usize) {
        let Some(include) = self.config.unread_includes.get(index) else {
            return;
        };
        for effect in [DENY, ALLOW] {
            let id = guards::hole(&mut self.gate, &include.value, include.span);
            self.decide(chain, Guard::Unknown(id), effect, include.span);
        }
    }
}

/// No match: the opposite of the last line that Squid kept.
fn inverted(list: List, rules: &[Entry]) -> Fallback {
    let last = rules.iter().rev().find_map(|rule| match rule {
        Entry::Line { action, span, .. } => Some((*action, *span)),
        Entry::Hole(_) => None,
    });
    let (effect, span, text) = match (last, list) {
        (Some((Action::Allow, span)), _) => (
            DENY,
            Some(span),
            "no line matches: the opposite of the last one (`allow`)",
        ),
        (Some((_, span)), _) => (
            ALLOW,
            Some(span),
            "no line matches: the opposite of the last one (`deny`)",
        ),
        (None, List::HttpAccess) => (DENY, None, "no `http_access` line: everything is denied"),
        (None, _) => (ALLOW, None, "no line: everything is allowed"),
    };
    Fallback {
        effect,
        span,
        text: text.to_owned(),
    }
}

/// Nothing speaks against it.
pub(super) fn passes() -> Fallback {
    Fallback {
        effect: ALLOW,
        span: None,
        text: "nothing speaks against it".to_owned(),
    }
}
