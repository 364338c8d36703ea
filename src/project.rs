//! In: `gatelint.yaml`. Out: a [`Project`]: what is checked, by which policies, and what is accepted on purpose.
//!
//! ```text
//! yaml -> parse -> Project ─┐
//! Report ───────────────────┴─ accept -> Report
//! ```
//!
//! The keys stand once, in `shape`: the reader knows no other ones, and the JSON Schema is made from them. Invariants: a
//! key that is not known is an error with its place; nothing is accepted without a reason, an owner and an end.

mod accept;
mod baseline;
mod parse;
mod shape;
mod suppress;

use jiff::civil::Date;

use crate::config::{Diagnostic, Facts, Kind, Level};
use crate::finding::{Finding, Label, LabelRole, Outcome, Severity};
use crate::policy::DeclaredClients;
use crate::source::{FileId, Sources, Span, Spanned};

pub use accept::accept;
pub use baseline::Baseline;
pub use parse::parse;
pub use shape::schema;
pub use suppress::suppress;

/// What a project says about its configs.
#[derive(Debug, Clone)]
pub struct Project {
    /// The file.
    pub file: FileId,
    /// The policies: `builtin:chime`, `builtin:chime@2026.11.1`, or paths; empty where the default is meant.
    pub extends: Vec<Spanned<String>>,
    /// Parameters of the policies, each with its value as `Policy::set` takes it.
    pub set: Vec<(Spanned<String>, String)>,
    /// Facts for all configs.
    pub facts: Facts,
    /// The clients of all configs.
    pub clients: Option<DeclaredClients>,
    /// From what severity on a run fails.
    pub fail_on: Option<FailOn>,
    /// What is said of single configs.
    pub targets: Vec<TargetEntry>,
    /// The baseline's path, from the project's folder.
    pub baseline: Option<Spanned<String>>,
    /// The path of the address ranges that policies name, from the project's folder.
    pub networks: Option<Spanned<String>>,
    /// What is accepted on purpose.
    pub exceptions: Vec<Exception>,
}

/// From what severity on a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// From this one on.
    From(Severity),
    /// It never does.
    Never,
}

/// What is said of one config.
#[derive(Debug, Clone)]
pub struct TargetEntry {
    /// The path, from the project's folder.
    pub path: Spanned<String>,
    /// Its kind, where the content does not tell.
    pub kind: Option<&'static Kind>,
    /// Facts of it alone, its role among them.
    pub facts: Facts,
    /// Its clients.
    pub clients: Option<DeclaredClients>,
}

/// A finding that is accepted on purpose, until a day.
#[derive(Debug, Clone)]
pub struct Exception {
    /// Where it stands.
    pub span: Span,
    /// `chime/media`, or `chime` for all of it.
    pub rule: Spanned<String>,
    /// `PATH` or `PATH#FORWARD`; any where it is not given.
    pub target: Option<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it counts.
    pub expires: Date,
}

/// Whether a rule is meant by a name: itself, or its family (`chime` means `chime/media`).
pub fn covers(name: &str, rule: &str) -> bool {
    let family = name.trim_end_matches("/*").trim_end_matches('/');
    rule == name
        || rule
            .strip_prefix(family)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// What is reported about a project's own words.
pub const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: "exception/expired",
        level: Level::Warning,
        title: "An exception has expired",
        doc: "An exception counts up to and including its `expires` day. After it, what it accepted is told again. Mend the \
              config, or renew the exception with a new day and a reason that still holds.",
    },
    Diagnostic {
        id: "exception/unused",
        level: Level::Warning,
        title: "An exception accepts nothing",
        doc: "No finding of this run has the exception's rule and target. What it accepted was mended, or the target has \
              another name now. Delete the exception: left in place, it would hide the next mistake.",
    },
    Diagnostic {
        id: "exception/unknown-rule",
        level: Level::Warning,
        title: "An exception names a rule that does not exist",
        doc: "The rule's name is misspelt, or its policy is not among those that are checked. `gatelint rules` lists every \
              name.",
    },
    Diagnostic {
        id: "suppression/malformed",
        level: Level::Warning,
        title: "A comment that ignores findings is not complete",
        doc: "A comment ignores findings only where it names their rules and gives a reason. This one does not, so it counts \
              for nothing. Write `gatelint: ignore[chime/media] the reason`.",
    },
    Diagnostic {
        id: "suppression/unknown-rule",
        level: Level::Warning,
        title: "A comment ignores a rule that does not exist",
        doc: "The rule's name is misspelt, or its policy is not among those that are checked. `gatelint rules` lists every \
              name.",
    },
    Diagnostic {
        id: "suppression/unused",
        level: Level::Warning,
        title: "A comment ignores nothing",
        doc: "No finding of this rule was decided on the comment's line, the line below it, or in its file. Delete the \
              comment: left in place, it would hide the next mistake.",
    },
];

/// A finding about the project's own words.
fn finding_about(sources: &Sources, id: &str, span: Span, message: String, help: &str) -> Finding {
    let diagnostic = DIAGNOSTICS.iter().find(|diagnostic| diagnostic.id == id);
    let severity = match diagnostic.map(|diagnostic| diagnostic.level) {
        Some(Level::Error) => Severity::Error,
        Some(Level::Info) => Severity::Info,
        Some(Level::Warning) | None => Severity::Warning,
    };
    Finding {
        outcome: Outcome::Degraded,
        severity,
        primary: Some(Label {
            span,
            role: LabelRole::Decides,
            text: diagnostic.map_or(String::new(), |diagnostic| diagnostic.title.to_lowercase()),
        }),
        fingerprint: format!("{id}:{message}"),
        message,
        help: Some(help.to_owned()),
        ..Finding::blank(span.file, &sources.path(span.file), id)
    }
}
