//! In: what judging found. Out: findings and the report as plain data, all that a format may know.
//!
//! No serde and no miette here: each format owns its own shapes. A finding already holds its spans, the rule that
//! decided, its witness and its fixes; a report never asks the model.

use crate::source::{FileId, Span};

/// A requirement's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The requirement is of no concern here.
    NotApplicable,
    /// Proved.
    Pass,
    /// Proved to work, worse than it should.
    Degraded,
    /// Cannot be known from what was given.
    Undecided,
    /// Refuted.
    Fail,
}

impl Outcome {
    /// The word of policies, documents and the machine contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Pass => "pass",
            Self::Degraded => "degraded",
            Self::Undecided => "undecided",
            Self::Fail => "fail",
        }
    }

    /// The outcome behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::NotApplicable,
            Self::Pass,
            Self::Degraded,
            Self::Undecided,
            Self::Fail,
        ]
        .into_iter()
        .find(|outcome| outcome.word() == word)
    }
}

/// How bad a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing to tell.
    None,
    /// Worth knowing.
    Info,
    /// Works badly, or may break.
    Warning,
    /// Breaks.
    Error,
}

impl Severity {
    /// The word of policies, documents and the machine contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One requirement at one target, or one dialect finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `PATH`, `PATH#FORWARD` or `site:NAME`.
    pub target: String,
    /// The file that it is about.
    pub file: FileId,
    /// `chime/media`, `squid/does-not-start`.
    pub rule: String,
    /// The result.
    pub outcome: Outcome,
    /// Its own severity; `None` for passes and what does not apply.
    pub severity: Severity,
    /// For undecided: the outcomes that are possible.
    pub between: Vec<Outcome>,
    /// The effect in the user's terms; no rule id, no full stop.
    pub message: String,
    /// The place that decided.
    pub primary: Option<Label>,
    /// Other places: the shadowed permit, the fallback that works. At most three are shown.
    pub related: Vec<Label>,
    /// Who was judged.
    pub clients: Clients,
    /// Outcomes that depend on a fact.
    pub variants: Vec<Variant>,
    /// One concrete flow that proves it.
    pub witness: Option<Witness>,
    /// What the same client can still do, in words ("tcp ... is accepted at line 8").
    pub fallback: Option<String>,
    /// The witness's way.
    pub steps: Vec<StepTaken>,
    /// What it waits for (undecided) or depends on.
    pub reasons: Vec<Reason>,
    /// Checked ways to mend it.
    pub fixes: Vec<FixOffer>,
    /// What to do, where no checked edit is offered; imperative.
    pub help: Option<String>,
    /// One sentence about the service: why it matters.
    pub why: Option<String>,
    /// The requirement's source.
    pub link: Option<String>,
    /// A command that shows it on the live machine.
    pub live_check: Option<String>,
    /// Other requirements that fail for the same cause.
    pub same_cause: Vec<String>,
    /// Stable across edits elsewhere: from rule, target and normalised text, never from line numbers.
    pub fingerprint: String,
}

impl Finding {
    /// What to do first, in one line: a checked fix where there is one.
    pub fn advice(&self) -> Option<&str> {
        let fix = self.fixes.first().map(|fix| fix.title.as_str());
        fix.or(self.help.as_deref())
    }

    /// A finding with nothing but its name, undecided and a warning.
    pub fn blank(file: FileId, target: &str, rule: &str) -> Self {
        Self {
            target: target.to_owned(),
            file,
            rule: rule.to_owned(),
            outcome: Outcome::Undecided,
            severity: Severity::Warning,
            between: Vec::new(),
            message: String::new(),
            primary: None,
            related: Vec::new(),
            clients: Clients::default(),
            variants: Vec::new(),
            witness: None,
            fallback: None,
            steps: Vec::new(),
            reasons: Vec::new(),
            fixes: Vec::new(),
            help: None,
            why: None,
            link: None,
            live_check: None,
            same_cause: Vec::new(),
            fingerprint: format!("{rule}:{target}"),
        }
    }
}

/// A labelled place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What the place is to the finding.
    pub role: LabelRole,
    /// In words.
    pub text: String,
}

/// What a place is to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelRole {
    /// It decided.
    Decides,
    /// It was meant to let the flow pass and never sees it.
    Shadowed,
    /// The fallback that works.
    Fallback,
    /// It would stop the flow next.
    AlsoBlocks,
    /// Looks as if it counted, but is ignored.
    Ignored,
    /// What an undecided result waits for.
    Unknown,
    /// Anything else worth seeing.
    Context,
}

impl LabelRole {
    /// The word of the machine contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Shadowed => "shadowed",
            Self::Fallback => "fallback",
            Self::AlsoBlocks => "also-blocks",
            Self::Ignored => "ignored",
            Self::Unknown => "unknown",
            Self::Context => "context",
        }
    }
}

/// Who a finding was judged for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clients {
    /// Declared by the user, as written; empty where the groups were found in the config.
    pub declared: Vec<String>,
    /// The groups, each judged for all its members.
    pub groups: Vec<GroupResult>,
}

/// One client group's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupResult {
    /// `10.0.0.0/8 via eth1`.
    pub name: String,
    /// Whether the requirement passes for all of it.
    pub through: bool,
}

/// What happens under one value of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// `browser`, `squid.version`.
    pub fact: String,
    /// `firefox`, `7`.
    pub value: String,
    /// The result then.
    pub outcome: Outcome,
}

/// A concrete flow, in the fields of a `trace` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Field and value.
    pub fields: Vec<(String, WitnessValue)>,
    /// In words: `udp 10.20.0.1:49152 -> 99.77.128.1:3478, new, FORWARD`.
    pub text: String,
}

impl Witness {
    /// A lookup's name and type, as `dig` takes them.
    pub(crate) fn lookup(&self) -> Option<String> {
        let word = |name: &str| {
            self.fields.iter().find_map(|(field, value)| match value {
                WitnessValue::Word(word) if field == name => Some(word.as_str()),
                WitnessValue::Word(_) | WitnessValue::Number(_) | WitnessValue::Flag(_) => None,
            })
        };
        let name = word("name")?;
        Some(match word("type") {
            Some("A") | None => name.to_owned(),
            Some(other) => format!("{name} {other}"),
        })
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessValue {
    /// A number.
    Number(u64),
    /// A word.
    Word(String),
    /// Yes or no.
    Flag(bool),
}

/// One step of a flow's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTaken {
    /// Where, if the step is written somewhere.
    pub span: Option<Span>,
    /// In words: `no`, `DROP`, `jumps to cust1`.
    pub text: String,
}

/// What a result waits for or depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `set`, `include`, `limit`.
    pub code: String,
    /// In words.
    pub text: String,
    /// Where the file says it.
    pub span: Option<Span>,
}

/// A checked fix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FixOffer {
    /// Imperative.
    pub title: String,
    /// Whether it may be applied without a look.
    pub safe: bool,
    /// Place and new text.
    pub edits: Vec<(Span, String)>,
}

/// What one run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSummary {
    /// The file.
    pub file: FileId,
    /// Its kind; `None` where it was recognised but cannot be read.
    pub kind: Option<&'static str>,
    /// Host, gateway, client proxy, forwarder.
    pub role: Option<String>,
    /// Why it was taken for that kind.
    pub why: String,
    /// Whether its requirements were judged.
    pub judged: bool,
    /// Why not.
    pub not_judged: Option<String>,
    /// Hex.
    pub sha256: String,
    /// Facts for the machine contract.
    pub facts: Vec<(String, crate::config::FactValue)>,
    /// The answer in one line: `meetings work, audio and video over TLS only (line 6)`.
    pub answer: Option<String>,
    /// What the closing line says of it: `judged edge.rules as a gateway (FORWARD)`.
    pub judged_as: Option<String>,
}

/// A policy that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyApplied {
    /// `chime`.
    pub id: String,
    /// Of its content.
    pub version: String,
}

/// A rule that findings name, as `explain` and formats with rule lists tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// `chime/media`, `squid/does-not-start`.
    pub id: String,
    /// One line.
    pub title: String,
    /// Of a failure, by default.
    pub severity: Severity,
    /// Why it matters: plain text in paragraphs.
    pub why: Option<String>,
    /// What to do, imperative, with `{placeholders}`.
    pub fixes: Vec<String>,
    /// Commands that show it on the live machine, with `{placeholders}`.
    pub live_checks: Vec<String>,
    /// Where it comes from.
    pub links: Vec<String>,
}

/// A named input that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct InputError {
    /// As the user named it.
    pub path: String,
    /// Why, and what was expected.
    pub message: String,
}

/// Everything a format may know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// In the order in which they were given or found.
    pub inputs: Vec<InputSummary>,
    /// Every requirement at every target, passes too, and every dialect finding; worst first within a target.
    pub results: Vec<Finding>,
    /// In words.
    pub assumptions: Vec<String>,
    /// The policies.
    pub policies: Vec<PolicyApplied>,
    /// The date of the address snapshot.
    pub ranges_date: Option<String>,
    /// Inputs and files that were seen and not judged, each in one line with the reason.
    pub notes: Vec<String>,
    /// Named inputs that could not be used; the run is not to be trusted then.
    pub errors: Vec<InputError>,
    /// Every rule that could have been told.
    pub rules: Vec<RuleInfo>,
    /// Where the paths start, below the top of the repository: empty or `web/`. For formats that platforms read.
    pub folder: String,
}

impl Report {
    /// How many results have an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.results
            .iter()
            .filter(|finding| finding.outcome == outcome)
            .count()
    }

    /// The whole in a few words.
    pub fn headline(&self) -> &'static str {
        if !self.errors.is_empty() {
            return "an input could not be used";
        }
        match self.worst() {
            _ if self.inputs.iter().all(|input| !input.judged) => "nothing was checked",
            Severity::Error => "something does not get through",
            Severity::Warning => "works, with warnings",
            Severity::Info | Severity::None => "everything gets through",
        }
    }

    /// The worst severity of all results.
    pub fn worst(&self) -> Severity {
        self.results
            .iter()
            .map(|finding| finding.severity)
            .max()
            .unwrap_or(Severity::None)
    }
}
