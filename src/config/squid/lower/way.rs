//! In: adaptation, rewriting, direct and peer lines. Out: the stages between and after the access lists.

use super::super::guards::Place;
use super::super::lists::{Action, List, Rule as Entry};
use super::{ALLOW, DENY, Lowering, inverted, passes};
use crate::model::{ChainId, Guard, Rule, Step, Unknown, UnknownId, UnknownKind};
use crate::source::Span;

impl Lowering<'_> {
    /// ICAP and eCAP services see every request, CONNECT too, and may answer it themselves.
    pub(super) fn adaptation(&mut self) {
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

    pub(super) fn has_request_service(&self, name: &str) -> bool {
        self.config.settings.get(name).is_some_and(|lines| {
            let mut words = lines.iter().flat_map(|(_, words)| words);
            words.any(|word| word.text.contains("reqmod"))
        })
    }

    /// A rewriter may answer with a redirect or another URL.
    pub(super) fn rewriting(&mut self) {
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

    pub(in crate::config::squid) fn outside(
        &mut self,
        code: &'static str,
        text: &str,
        span: Span,
    ) -> UnknownId {
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
    pub(super) fn way(&mut self) {
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
    pub(super) fn parents(&mut self, chain: ChainId) {
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
