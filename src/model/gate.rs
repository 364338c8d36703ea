//! In: calls from a dialect's lowering. Out: one [`Gate`]: staged decision lists over flows.
//!
//! A flow enters at the first stage. A stage applies its rewrites and walks its chain; *allow* there means: leave the
//! stage by the first edge whose guard holds; *deny* ends everything. A chain that does not decide meets the stage's
//! fallback. Lowering owns each dialect's defaults, so the evaluator has none.
//!
//! Invariants: stages form no loop; an id is valid for the gate that made it; every unknown has a reason and, where the
//! user wrote something, a span.

use std::collections::HashMap;

use super::{Dim, Ranges, TextSet};
use crate::source::Span;

/// Which kind of flow a gate judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// IP packets.
    Packet,
    /// Requests to a proxy.
    Proxy,
    /// DNS lookups.
    Lookup,
    /// What a page fetches.
    Fetch,
}

/// Index of a chain in its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u32);
/// Index of a stage in its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u32);
/// Index of a text set in its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(pub u32);
/// Index of an unknown in its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownId(pub u32);

/// One config's decision procedure for one kind of flow.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What the gate is called inside its file: `FORWARD`, `http_access`, `policy`.
    pub name: String,
    /// What flows it judges.
    pub layer: Layer,
    /// The address family that its rules are loaded for; `None` for both. It restricts nothing by itself.
    pub family: Option<Family>,
    /// Host or gateway, for packet gates.
    pub role: Option<Role>,
    /// Whether it is judged, and why not.
    pub standing: Standing,
    /// Stages; the first is the entry.
    pub stages: Vec<Stage>,
    /// Chains, called by stages and rules.
    pub chains: Vec<Chain>,
    /// Text sets that tests name.
    pub texts: Vec<TextSet>,
    /// What could not be known.
    pub unknowns: Vec<Unknown>,
    /// The source and interface groups that its rules name: who its clients may be.
    pub groups: Vec<ClientGroup>,
    /// The gate's own addresses; `None` where they are not known.
    pub own_addresses: Option<Ranges>,
    /// What the lowering assumed, in words, for the report.
    pub assumptions: Vec<String>,
    text_ids: HashMap<TextSet, TextId>,
}

/// An address family: iptables and ip6tables are two rulesets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a packet filter does for a living.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It is a client itself.
    Host,
    /// It routes for others.
    Gateway,
}

/// Whether a gate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is on the flows' way.
    Judged,
    /// Judged, but marked as possibly not on the way, with the reason.
    Uncertain(String),
    /// Recognised and left alone, with the reason (`reverse proxy only`).
    NotJudged(String),
}

/// A group of clients that a gate's rules tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientGroup {
    /// For messages: `10.0.0.0/8 via eth1`.
    pub name: String,
    /// Source addresses.
    pub sources: Ranges,
    /// The interface they come in by, as a pattern of the gate; `None` is any.
    pub interface: Option<TextId>,
    /// Where the file names the group.
    pub span: Option<Span>,
}

/// A named list of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain {
    /// As the file names it.
    pub name: String,
    /// In order.
    pub rules: Vec<Rule>,
}

/// What holds, and what then happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When.
    pub guard: Guard,
    /// What.
    pub step: Step,
    /// Where it is written; the whole rule.
    pub span: Span,
}

/// A condition on a flow, three-valued where it meets an unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Holds for every flow.
    Always,
    /// All of these; empty holds.
    All(Vec<Guard>),
    /// Any of these; empty does not hold.
    AnyOf(Vec<Guard>),
    /// The opposite.
    Not(Box<Guard>),
    /// A test that is decided by the flow.
    Is(Test),
    /// A test that cannot be decided from the flow and the file.
    Unknown(UnknownId),
}

/// A test on the *current* value of a dimension, as rewritten so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A numeric dimension lies in the set.
    In(Dim, Ranges),
    /// A text dimension lies in the set.
    Text(Dim, TextId),
    /// `(mark & mask) == value`.
    Mark(MarkName, u32, u32),
    /// Any of the addresses that the host resolves to lies in the set.
    AnyAddress(Ranges),
    /// The address is one of the gate's own ([`Dim::Source`] or [`Dim::Destination`]).
    Local(Dim),
    /// The connection's source or destination was translated (ctstate SNAT, DNAT).
    Translated(NatSide),
}

/// Which mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkName {
    /// Of the packet.
    Packet,
    /// Of the connection.
    Connection,
}

/// Which end of a connection NAT changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatSide {
    /// SNAT, MASQUERADE.
    Source,
    /// DNAT, REDIRECT.
    Destination,
}

/// What a rule does with the flows that its guard takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ends the stage: allow leaves by its edges, deny ends everything.
    Decide(Effect),
    /// Walks a chain; what returns from it goes on after this rule.
    Call(ChainId),
    /// Walks a chain; what returns from it returns from this chain.
    Goto(ChainId),
    /// Returns from this chain.
    Return,
    /// Nothing: logging and the like.
    Continue,
    /// Changes the packet and goes on.
    Rewrite(Box<Rewrite>),
    /// Changes the packet and ends the stage as allowed (DNAT, SNAT and friends).
    RewriteAndAllow(Vec<Rewrite>),
    /// A target whose effect is unknown: the flow is undecided at the end of the whole gate.
    Obscure(UnknownId),
}

/// Allowed or denied, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Passes.
    Allow,
    /// Does not pass.
    Deny(Denial),
}

/// How a flow is denied, as the client meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Denial {
    /// Silence.
    Drop,
    /// An ICMP error or a reset.
    Reject,
    /// A proxy's refusal.
    Deny,
    /// 407: credentials are asked for.
    Challenge,
    /// A proxy decrypts what does not survive that.
    Decrypted,
    /// The answer is not the service's.
    Rewritten,
    /// The name does not exist.
    NxDomain,
    /// The name has no such record.
    NoData,
    /// The resolver refuses the client.
    Refused,
    /// The answer does not fit.
    Truncated,
    /// The resolver cannot be reached.
    Unreachable,
    /// No answer, or SERVFAIL.
    Fails,
    /// The browser blocks.
    Blocked,
    /// The flow goes somewhere else than it asked for.
    Diverted,
    /// The program does not start with this file.
    DoesNotStart,
}

impl Denial {
    /// The word of the machine contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
            Self::Decrypted => "decrypted",
            Self::Rewritten => "rewritten",
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::Unreachable => "unreachable",
            Self::Fails => "fails",
            Self::Blocked => "blocked",
            Self::Diverted => "diverted",
            Self::DoesNotStart => "does-not-start",
        }
    }
}

/// A change of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Sets a numeric dimension.
    Set(Dim, Value),
    /// NAT of a NEW packet: sets the dimension and binds the connection, so that its later packets are translated too.
    /// Only [`Dim::Source`], [`Dim::SourcePort`], [`Dim::Destination`], [`Dim::DestinationPort`].
    Translate(Dim, Value),
    /// The connection's binding is applied to this packet: for the request direction the bound destination or source;
    /// for a reply, `Source` gives the packet its real client as destination.
    ApplyBinding(NatSide),
    /// `mark = (mark & !mask) ^ value`.
    Mark(MarkName, u32, u32),
    /// The bits of `mask` become unknown.
    MarkUnknown(MarkName, u32, UnknownId),
    /// Connection mark := packet mark under the mask (`CONNMARK --save-mark`).
    SaveMark(u32),
    /// Packet mark := connection mark under the mask (`CONNMARK --restore-mark`).
    RestoreMark(u32),
    /// The packet is exempt from connection tracking.
    Notrack,
    /// Connection tracking looks at the packet: the state becomes what the conversation says, unless exempt.
    Track,
}

/// A rewritten value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This one.
    Const(u128),
    /// One of these, the program chooses.
    OneOf(Ranges),
    /// The high bits become those of `base`, the low `host_bits` stay (NETMAP).
    Prefix {
        /// New high bits, low bits zero.
        base: u128,
        /// How many low bits stay.
        host_bits: u8,
    },
    /// One of the gate's own addresses; which one is the unknown (REDIRECT).
    Own(UnknownId),
    /// Not known.
    Unknown(UnknownId),
}

/// A step of the flow's way: a chain with a fallback, and where to go on when it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// As the program calls it: `filter FORWARD`.
    pub name: String,
    /// Applied on entry.
    pub enter: Vec<Rewrite>,
    /// Walked after that; `None` allows.
    pub chain: Option<ChainId>,
    /// What happens to flows that the chain does not decide.
    pub fallback: Fallback,
    /// Where allowed flows go: the first edge whose guard holds. None at all: the flow has arrived.
    pub edges: Vec<Edge>,
}

/// What happens when no rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The effect.
    pub effect: Effect,
    /// Where it is written (a chain policy, the last access rule); `None` where it is a built-in default.
    pub span: Option<Span>,
    /// In words: `policy DROP of FORWARD`, `no rule matches: the opposite of the last action`.
    pub text: String,
}

/// A way out of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// When; where undecided, the flow goes both ways.
    pub guard: Guard,
    /// Where.
    pub to: Onward,
}

/// Where an edge leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// To a stage, same packet.
    Stage(StageId),
    /// The packet has left towards its destination, or entered a local service.
    Arrive {
        /// Into a service of the gate's own machine.
        local: bool,
    },
    /// The packet has left; the conversation's reply enters at this stage.
    Reply(StageId),
    /// The reply has left; the request direction's next packet enters at this stage.
    Again(StageId),
}

/// Something that the file alone does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What kind of not knowing.
    pub kind: UnknownKind,
    /// A stable word for machines: `set`, `limit`, `include`, `helper`, `match`.
    pub code: &'static str,
    /// In words, completing "cannot tell without ...": "`ipset save` for `allowed`".
    pub text: String,
    /// Two unknowns with the same identity have the same truth for the same packet (its addresses, ports, protocol and
    /// interfaces as they are then); `None` never repeats.
    pub identity: Option<String>,
    /// Where the file says it.
    pub span: Option<Span>,
}

/// The three kinds of not knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnknownKind {
    /// Both happen: load, chance, browsers. Judged for every case, so it can fail.
    Varies,
    /// One value holds on the real machine, and a fact would tell.
    Fact,
    /// Not modelled.
    Opaque,
}

impl Gate {
    /// An empty gate: no stage, no chain.
    pub fn new(name: impl Into<String>, layer: Layer) -> Self {
        Self {
            name: name.into(),
            layer,
            family: None,
            role: None,
            standing: Standing::Judged,
            stages: Vec::new(),
            chains: Vec::new(),
            texts: Vec::new(),
            unknowns: Vec::new(),
            groups: Vec::new(),
            own_addresses: None,
            assumptions: Vec::new(),
            text_ids: HashMap::new(),
        }
    }

    /// Adds a chain.
    pub fn chain(&mut self, name: impl Into<String>) -> ChainId {
        self.chains.push(Chain {
            name: name.into(),
            rules: Vec::new(),
        });
        ChainId(index(self.chains.len() - 1))
    }

    /// Appends a rule to a chain.
    pub fn rule(&mut self, chain: ChainId, rule: Rule) {
        if let Some(chain) = self.chains.get_mut(chain.0 as usize) {
            chain.rules.push(rule);
        }
    }

    /// Adds a stage.
    pub fn stage(&mut self, stage: Stage) -> StageId {
        self.stages.push(stage);
        StageId(index(self.stages.len() - 1))
    }

    /// The id of a text set; equal sets share one.
    pub fn text(&mut self, set: TextSet) -> TextId {
        if let Some(id) = self.text_ids.get(&set) {
            return *id;
        }
        let id = TextId(index(self.texts.len()));
        self.texts.push(set.clone());
        self.text_ids.insert(set, id);
        id
    }

    /// Adds an unknown and gives a guard for it.
    pub fn unknown(&mut self, unknown: Unknown) -> UnknownId {
        self.unknowns.push(unknown);
        UnknownId(index(self.unknowns.len() - 1))
    }
}

fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl Guard {
    /// A numeric test.
    pub fn number(dim: Dim, set: Ranges) -> Self {
        Self::Is(Test::In(dim, set))
    }

    /// The opposite; double negations fold.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            Self::Always => Self::AnyOf(Vec::new()),
            other @ (Self::All(_) | Self::AnyOf(_) | Self::Is(_) | Self::Unknown(_)) => {
                Self::Not(Box::new(other))
            }
        }
    }

    /// The same or the opposite.
    #[must_use]
    pub fn negated_if(self, negated: bool) -> Self {
        if negated { self.negated() } else { self }
    }
}
