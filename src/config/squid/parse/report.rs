//! In: what is wrong with a line. Out: findings and assumptions of the config.

use super::super::directives::Version;
use super::super::{NEEDS_VERSION, REFUSED};
use super::{FINDINGS, Reader, shown};
use crate::config::DialectFinding;
use crate::source::{Span, Spanned};

impl Reader<'_> {
    /// The file needs a later release than the one that is assumed: that one is assumed instead, and said.
    pub(super) fn needs(&mut self, span: Span, since: Version, what: &str) {
        if self.config.version < since {
            self.config.version = since;
        }
        let release = shown(since);
        self.report(
            NEEDS_VERSION,
            format!("Squid before {release} does not start with this file"),
            span,
            "not known before",
            Some(format!(
                "use Squid {release} or later, which has {what}, or remove it"
            )),
        );
        self.assume(&format!(
            "Squid is {release} or later, since the file needs it"
        ));
    }

    pub(super) fn assume(&mut self, text: &str) {
        if !self.config.assumptions.iter().any(|known| known == text) {
            self.config.assumptions.push(text.to_owned());
        }
    }

    pub(super) fn refuse(&mut self, span: Span, why: String) {
        if self.config.refused.is_none() {
            self.config.refused = Some(Spanned::new(why.clone(), span));
        }
        let mut finding = finding(
            REFUSED,
            "Squid does not start with this file".to_owned(),
            span,
            "it stops here",
        );
        finding.help = Some(why);
        finding.refuses = true;
        self.push(finding);
    }

    pub(super) fn report(
        &mut self,
        id: &'static str,
        title: String,
        span: Span,
        label: &str,
        help: Option<String>,
    ) {
        let mut finding = finding(id, title, span, label);
        finding.help = help;
        self.push(finding);
    }

    /// Lines of one ACL add up, so a value can be met more than once.
    pub(super) fn push_once(&mut self, finding: DialectFinding) {
        let known = self
            .config
            .findings
            .iter()
            .any(|other| other.id == finding.id && other.label.span == finding.label.span);
        if !known {
            self.push(finding);
        }
    }

    pub(super) fn push(&mut self, finding: DialectFinding) {
        if self.config.findings.len() < FINDINGS {
            self.config.findings.push(finding);
        }
    }
}

/// A finding without related places, help or fix.
pub(super) fn finding(id: &'static str, title: String, span: Span, label: &str) -> DialectFinding {
    DialectFinding {
        id,
        title,
        label: Spanned::new(label.to_owned(), span),
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: false,
    }
}
