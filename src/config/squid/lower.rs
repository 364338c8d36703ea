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

    /// ICAP and eCAP services see every request, CONNECT too, and may answer it themselves.
    fn adaptation(&mut self) {
        let on = |name: &str| {
            self.config
                .setting(name)
                .is_some_and(|(value, _)| value == "on")
        };
        let icap = on("icap_enable") && self.has_request_service("icap_service");
        let ecap = on("ecap_enable") && self.has_request_service("ecap_service");
        if !icap && !ecap {
            return;
        }
        let named = |((list, _), rules): (&(List, String), &Vec<Entry>)| {
            (*list == List::AdaptationAccess).then(|| rules.clone())
        };
        let lists: Vec<_> = self.config.named_lists.iter().filter_map(named).collect();
        if lists.is_empty() {
            return;
        }
        let chain = self.gate.chain(List::AdaptationAccess.word());
        for rules in lists {
            let service = self.gate.chain(List::AdaptationAccess.word());
            let mut place = None;
            for rule in &rules {
                let Entry::Line {
                    action,
                    terms,
                    span,
                    ..
                } = rule
                else {
                    continue;
                };
                place = Some(*span);
                let guard = self.guards.rule(&mut self.gate, terms, Place::Slow).matches;
                let step = if *action == Action::Allow {
                    let text = "what the ICAP or eCAP service answers";
                    Step::Obscure(self.outside("adaptation", text, *span))
                } else {
                    Step::Return
                };
                let span = *span;
                self.gate.rule(service, Rule { guard, step, span });
            }
            if let Some(span) = place {
                let (guard, step) = (Guard::Always, Step::Call(service));
                self.gate.rule(chain, Rule { guard, step, span });
            }
        }
        self.stage(List::AdaptationAccess.word(), chain, passes());
    }

    fn has_request_service(&self, name: &str) -> bool {
        self.config.settings.get(name).is_some_and(|lines| {
            let mut words = lines.iter().flat_map(|(_, words)| words);
            words.any(|word| word.text.contains("reqmod"))
        })
    }

    /// A rewriter may answer with a redirect or another URL.
    fn rewriting(&mut self) {
        let program = ["url_rewrite_program", "redirect_program"]
            .iter()
            .find_map(|name| self.config.setting(name));
        let Some((program, place)) = program else {
            return;
        };
        if program == "none" {
            return;
        }
        let rules = self.rules(List::RewriteAccess);
        let chain = self.gate.chain(List::RewriteAccess.word());
        let text = "what `url_rewrite_program` answers";
        for rule in &rules {
            let Entry::Line {
                action,
                terms,
                span,
                ..
            } = rule
            else {
                continue;
            };
            let guard = self.guards.rule(&mut self.gate, terms, Place::Slow).matches;
            let step = if *action == Action::Allow {
                Step::Obscure(self.outside("rewriter", text, place))
            } else {
                Step::Decide(ALLOW)
            };
            let span = *span;
            self.gate.rule(chain, Rule { guard, step, span });
        }
        if inverted(List::RewriteAccess, &rules).effect == ALLOW {
            let step = Step::Obscure(self.outside("rewriter", text, place));
            let (guard, span) = (Guard::Always, place);
            self.gate.rule(chain, Rule { guard, step, span });
        }
        self.stage("url_rewrite_program", chain, passes());
    }

    fn outside(&mut self, code: &'static str, text: &str, span: Span) -> crate::model::UnknownId {
        self.gate.unknown(Unknown {
            kind: UnknownKind::Opaque,
            code,
            text: text.to_owned(),
            identity: None,
            span: Some(span),
        })
    }

    /// `always_direct` wins over `never_direct`; a request that must not go direct needs a parent that may take it
    /// (`src/peer_select.cc`).
    fn way(&mut self) {
        let never = self.rules(List::NeverDirect);
        if never.is_empty() {
            return;
        }
        let parents = self.gate.chain("parents");
        self.parents(parents);
        let chain = self.gate.chain(List::AlwaysDirect.word());
        let mut all = Vec::new();
        for rule in self.rules(List::AlwaysDirect) {
            if let Entry::Line {
                action,
                terms,
                span,
                ..
            } = rule
            {
                let guard = self
                    .guards
                    .rule(&mut self.gate, &terms, Place::Slow)
                    .matches;
                all.push((guard, action, span));
            }
        }
        let then = self.gate.chain(List::NeverDirect.word());
        for (guard, action, span) in &all {
            let step = if *action == Action::Allow {
                Step::Decide(ALLOW)
            } else {
                Step::Goto(then)
            };
            let (guard, span) = (guard.clone(), *span);
            self.gate.rule(chain, Rule { guard, step, span });
        }
        let last = all.last().map(|(_, action, span)| (*action, *span));
        let after = never.iter().find_map(|rule| match rule {
            Entry::Line { span, .. } => Some(*span),
            Entry::Hole(_) => None,
        });
        match (last, after) {
            (Some((Action::Deny, span)), _) => self.decide(chain, Guard::Always, ALLOW, span),
            (Some((_, span)), _) | (None, Some(span)) => {
                let (guard, step) = (Guard::Always, Step::Goto(then));
                self.gate.rule(chain, Rule { guard, step, span });
            }
            (None, None) => {}
        }
        let mut last = None;
        for rule in &never {
            match rule {
                Entry::Hole(index) => self.hole(if after.is_some() { then } else { chain }, *index),
                Entry::Line {
                    action,
                    terms,
                    span,
                    ..
                } => {
                    let guard = self.guards.rule(&mut self.gate, terms, Place::Slow).matches;
                    let step = if *action == Action::Allow {
                        Step::Goto(parents)
                    } else {
                        Step::Decide(ALLOW)
                    };
                    let span = *span;
                    last = Some((*action, span));
                    self.gate.rule(then, Rule { guard, step, span });
                }
            }
        }
        if let Some((Action::Deny, span)) = last {
            let (guard, step) = (Guard::Always, Step::Goto(parents));
            self.gate.rule(then, Rule { guard, step, span });
        }
        self.stage(List::NeverDirect.word(), chain, passes());
    }

    /// Allowed where a parent may take the request, denied at the end.
    fn parents(&mut self, chain: ChainId) {
        let mut place = None;
        for peer in &self.config.peers {
            if !peer.parent {
                continue;
            }
            place = Some(peer.span);
            let key = (List::PeerAccess, peer.name.clone());
            let Some(rules) = self.config.named_lists.get(&key) else {
                self.decide(chain, Guard::Always, ALLOW, peer.span);
                return;
            };
            let own = self.gate.chain(List::PeerAccess.word());
            for rule in rules.clone() {
                if let Entry::Line {
                    action,
                    terms,
                    span,
                    ..
                } = rule
                {
                    let guard = self
                        .guards
                        .rule(&mut self.gate, &terms, Place::Fast)
                        .matches;
                    let step = if action == Action::Allow {
                        Step::Decide(ALLOW)
                    } else {
                        Step::Return
                    };
                    self.gate.rule(own, Rule { guard, step, span });
                }
            }
            if inverted(List::PeerAccess, rules).effect == ALLOW {
                self.decide(own, Guard::Always, ALLOW, peer.span);
            }
            let (guard, step, span) = (Guard::Always, Step::Call(own), peer.span);
            self.gate.rule(chain, Rule { guard, step, span });
        }
        let never = self.rules(List::NeverDirect);
        let place = place.or_else(|| {
            never.iter().find_map(|rule| match rule {
                Entry::Line { span, .. } => Some(*span),
                Entry::Hole(_) => None,
            })
        });
        if let Some(span) = place {
            self.decide(chain, Guard::Always, DENY, span);
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
