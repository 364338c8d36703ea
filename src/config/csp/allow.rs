//! In: the directive that answers a question. Out: rules for what its list allows.
//!
//! CSP3, 6.7.1 (scripts), 6.7.2 (URLs), 6.7.3 (inline code), 4.5 and 4.6 (evaluation), as Chromium answers.

use crate::model::{ChainId, Denial, Effect, Guard, UnknownId};

use super::duties::{Duty, Inline, Use};
use super::guards::guards;
use super::lower::Lowering;
use super::reach::{Comparer, Upgrade, reach};
use super::syntax::{Directive, HashOf, Keyword, Source, Token};

impl Lowering<'_> {
    /// The rules for what a directive's list allows.
    pub(super) fn allow(&mut self, chain: ChainId, directive: &Directive, duty: Duty) {
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
        let comparer = if duty == Duty::Load(Use::Frame) {
            Comparer::Navigation
        } else {
            Comparer::Page
        };
        let reaches = directive.values.iter().filter_map(|token| {
            let reach = reach(&token.source, &self.page.origin, comparer)?;
            Some((reach, token.span))
        });
        if duty == Duty::BlobWorker {
            let blob = reaches
                .filter(|(reach, _)| reach.covers("blob", "", None))
                .map(|(_, span)| span)
                .next();
            if let Some(span) = blob {
                self.rule(chain, Guard::Always, Effect::Allow, span);
            }
            return;
        }
        let reaches = reaches
            .map(|(reach, span)| (reach.upgraded(upgrade), span))
            .collect();
        for (guard, span) in guards(&mut self.gate, &mut self.words, reaches) {
            self.rule(chain, guard, Effect::Allow, span);
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
            let unknown = self.unknown("hash", text, token.span);
            self.rule(chain, Guard::Unknown(unknown), Effect::Allow, token.span);
        }
    }

    fn perhaps_nonce(&mut self, chain: ChainId, directive: &Directive) {
        for token in &directive.values {
            if let Source::Nonce(nonce) = &token.source {
                let unknown = self.unknown(
                    "nonce",
                    format!("the nonce of the element, which must be `{nonce}`"),
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
            token.span,
        )
    }
}

fn has_hash(directive: &Directive, of: HashOf) -> bool {
    directive
        .values
        .iter()
        .any(|token| token.source == Source::Hash(of))
}
