//! In: a gate and questions. Out: verdicts: which of the asked flows are allowed, denied, throttled or undecided, with
//! the rules that decided.
//!
//! This is the one symbolic evaluator, for checks and traces of every dialect.
//!
//! Invariants: allowed, denied, varying and undecided partition the question; a certain answer holds for every value of
//! every unknown.

use crate::model::{Denial, Dim, Effect, Gate, Question, Ranges, StageId, UnknownId};
use crate::source::Span;

/// A set of flows, kept by an [`Evaluator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flows(pub(crate) u32);

/// Answers questions about one gate.
#[derive(Debug)]
pub struct Evaluator<'g> {
    gate: &'g Gate,
}

/// Which packet of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packet {
    /// The first.
    Request,
    /// The answer.
    Reply,
    /// The client's next one.
    Again,
}

/// What a gate does with the flows of a question.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// All asked flows.
    pub universe: Flows,
    /// Surely allowed.
    pub allowed: Flows,
    /// Surely denied.
    pub denied: Flows,
    /// Denied at some times and allowed at others (limits, chance).
    pub varying: Flows,
    /// Cannot be known.
    pub undecided: Flows,
    /// Who decided what; parts of different effect overlap where the verdict is undecided or varies.
    pub parts: Vec<Part>,
    /// Every step, where the question asked for them.
    pub steps: Vec<StepSeen>,
    /// The budget was spent: what was not decided by then is undecided.
    pub spent: bool,
}

/// Flows with one fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Their fate.
    pub effect: Effect,
    /// Who decided.
    pub decider: Decider,
    /// The rules that called the deciding chain, outermost first.
    pub calls: Vec<Span>,
    /// The flows, as they were sent.
    pub flows: Flows,
    /// The unknowns that had to turn out this way; empty: it surely happens.
    pub unknowns: Vec<UnknownId>,
    /// The stage.
    pub stage: StageId,
    /// The packet.
    pub packet: Packet,
    /// Where allowed flows end up.
    pub arrival: Arrival,
    /// The addresses that the packet has at the end.
    pub end: End,
}

/// A packet's addresses at the end of its way, after NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Source address.
    pub source: Final,
    /// Source port.
    pub source_port: Final,
    /// Destination address.
    pub destination: Final,
    /// Destination port.
    pub destination_port: Final,
}

/// A value at the end of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Final {
    /// As it was sent.
    #[default]
    AsSent,
    /// Rewritten to this.
    Is(u128),
    /// Rewritten to something that is not known.
    Unknown,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decider {
    /// A rule.
    Rule(Span),
    /// The stage's fallback.
    Fallback {
        /// Where it is written.
        span: Option<Span>,
        /// In words.
        text: String,
    },
    /// All stages allowed it.
    Arrived,
}

/// Where a flow ends up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It did not, or the destination is the one asked for.
    AsAsked,
    /// Elsewhere: what the destination is then.
    Diverted {
        /// Address on the number line, where it is one.
        address: Option<u128>,
        /// Port.
        port: Option<u16>,
    },
    /// In a service of the gate's own machine.
    Local,
    /// Not known.
    Unknown,
}

/// One rule that a single flow met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSeen {
    /// Where.
    pub span: Option<Span>,
    /// In words.
    pub text: String,
}

/// One flow of a set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Numbers, for the dimensions that the question or the set restricts.
    pub numbers: std::collections::BTreeMap<Dim, u128>,
    /// Words.
    pub words: std::collections::BTreeMap<Dim, String>,
}

impl<'g> Evaluator<'g> {
    /// An evaluator with the standard budget.
    pub fn new(gate: &'g Gate) -> Self {
        Self { gate }
    }

    /// Answers one question.
    pub fn ask(&mut self, _question: &Question) -> Verdict {
        let _ = (self.gate, Denial::Drop);
        let none = Flows(0);
        Verdict {
            universe: none,
            allowed: none,
            denied: none,
            varying: none,
            undecided: none,
            parts: Vec::new(),
            steps: Vec::new(),
            spent: true,
        }
    }

    /// Like [`Evaluator::ask`], for those flows of the question whose numbers also lie in `within`.
    pub fn ask_within(&mut self, question: &Question, _within: Flows) -> Verdict {
        self.ask(question)
    }

    /// No flow at all.
    pub fn is_empty(&self, _flows: Flows) -> bool {
        true
    }

    /// Flows in either.
    pub fn union(&mut self, left: Flows, _right: Flows) -> Flows {
        left
    }

    /// Flows in both.
    pub fn intersect(&mut self, left: Flows, _right: Flows) -> Flows {
        left
    }

    /// Flows of the first that are not in the second.
    pub fn minus(&mut self, left: Flows, _right: Flows) -> Flows {
        left
    }

    /// Forgets every dimension but these: the flows whose values there occur in the set.
    pub fn keep(&mut self, flows: Flows, _dims: &[Dim]) -> Flows {
        flows
    }

    /// The values of one numeric dimension that occur.
    pub fn values(&mut self, _flows: Flows, _dim: Dim) -> Ranges {
        Ranges::empty()
    }

    /// One flow, familiar values first: low addresses, the first ephemeral port 49152 where it occurs, the shortest words.
    pub fn sample(&mut self, _question: &Question, _flows: Flows) -> Option<Sample> {
        None
    }
}
