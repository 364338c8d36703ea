//! In: what the parser found. Out: the tree of one iptables-save file: tables, chains and rules as places in the text.
//!
//! A rule is kept as three offsets, so that a million of them cost neither a copy nor an allocation each; its words are
//! read when it is lowered.
//!
//! Invariants: chains and tables stand in the order in which the file first names them; a chain's rules stand in the
//! order in which the kernel walks them after the whole file was loaded (`-I`, `-R`, `-D`, `-F` are already applied).

use rustc_hash::FxHashMap;

use crate::source::Span;

/// One file.
#[derive(Debug)]
pub(super) struct File<'a> {
    /// Each table once.
    pub(super) tables: Vec<Table<'a>>,
    /// What was wrong with lines.
    pub(super) problems: Vec<Problem>,
    /// Lines that say something (no blank line, no comment).
    pub(super) statements: usize,
    /// A comment says that tables of the other backend exist, which are not in this file.
    pub(super) other_backend: Option<Span>,
    /// Rules that may not be there, or not so, by the offset at which they start.
    pub(super) doubts: FxHashMap<u32, Doubt>,
}

/// Why it is not known what a chain or a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) span: Span,
    /// As a clause: "a loop is not followed"; empty where the span says it all.
    pub(super) reason: &'static str,
    /// It may come true at any time, not only where it stands.
    pub(super) is_anywhere: bool,
}

/// What a script does to the rules, step by step; places are those of the text that its words were put into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Runs one command of iptables, without its name and table.
    Run {
        table: TableName,
        start: usize,
        end: usize,
    },
    /// May run it, once or more often.
    Perhaps {
        table: TableName,
        start: usize,
        end: usize,
        doubt: Doubt,
    },
    /// May do anything.
    Anything(Doubt),
}

/// The tables, in the order in which a packet meets them at one hook (kernel, `enum nf_ip_hook_priorities`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TableName {
    Raw,
    Mangle,
    Nat,
    Filter,
    Security,
}

impl TableName {
    pub(super) const ALL: [Self; 5] = [
        Self::Raw,
        Self::Mangle,
        Self::Nat,
        Self::Filter,
        Self::Security,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }

    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|name| name.word().as_bytes() == word)
    }

    /// Whether the kernel has this chain in this table.
    pub(super) fn has(self, chain: &[u8]) -> bool {
        let known: &[&[u8]] = match self {
            Self::Raw => &[b"PREROUTING", b"OUTPUT"],
            Self::Mangle => &[
                b"PREROUTING",
                b"INPUT",
                b"FORWARD",
                b"OUTPUT",
                b"POSTROUTING",
            ],
            Self::Nat => &[b"PREROUTING", b"INPUT", b"OUTPUT", b"POSTROUTING"],
            Self::Filter | Self::Security => &[b"INPUT", b"FORWARD", b"OUTPUT"],
        };
        known.contains(&chain)
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) name: TableName,
    /// The `*filter` line.
    pub(super) span: Span,
    /// The `COMMIT` line.
    pub(super) commit: Option<Span>,
    pub(super) chains: Vec<Chain<'a>>,
    pub(super) by_name: FxHashMap<&'a [u8], usize>,
}

/// One chain.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) name: &'a [u8],
    /// The `:CHAIN` or `-N` line; a built-in chain needs none.
    pub(super) declared: Option<Span>,
    /// What the file says of a built-in chain's policy.
    pub(super) policy: Option<(Policy, Span)>,
    pub(super) rules: Vec<RuleLine>,
    /// Rules that `-I` put in front, last one first; empty once the file was read.
    pub(super) front: Vec<RuleLine>,
    /// Lines that change the chain in a way that was not understood: its content is unknown.
    pub(super) obscured: Option<Doubt>,
}

/// What a built-in chain does with packets that no rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Accept,
    Drop,
}

/// Where a rule stands: offsets into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleLine {
    /// The `-A`.
    pub(super) start: u32,
    /// After the chain's name.
    pub(super) body: u32,
    /// The line's end without trailing blanks.
    pub(super) end: u32,
}

/// Something wrong with a line.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) kind: ProblemKind,
    /// The words that it is about.
    pub(super) span: Span,
    /// The effect or cause in words, no full stop.
    pub(super) text: String,
    /// Another place that it is about.
    pub(super) related: Option<(Span, String)>,
    /// What to do, imperative.
    pub(super) help: Option<String>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProblemKind {
    /// iptables-restore stops at this line.
    RefusedLine,
    /// A range whose start lies after its end: it loads and never matches.
    ReversedRange,
    /// A table without `COMMIT`.
    MissingCommit,
    /// A rule in, or a jump to, a chain that nobody declared.
    UndeclaredChain,
    /// Chains that call each other in a circle.
    Loop,
    /// A second block of the same table.
    DuplicateTable,
    /// A placeholder of a template.
    Template,
    /// A name that is looked up when the rules are loaded.
    HostName,
    /// Windows line ends.
    CarriageReturn,
    /// Part of the ruleset lives in the other backend.
    OtherBackend,
    /// Words that were not understood, though the real program may.
    NotUnderstood,
}
