//! In: what a dialect's lowering says. Out: the one normalized model that every dialect shares.
//!
//! A [`Gate`] is a graph of stages; a stage walks a [`Chain`] of rules; a rule is a [`Guard`] and a [`Step`]. Guards
//! test dimensions ([`Dim`]) of a flow: numbers through [`Ranges`], names and other words through [`TextSet`]. A
//! [`Question`] says which flows somebody asks about.
//!
//! Invariants: nothing here knows a dialect or a policy; what a lowering could not model is an [`Unknown`] with its
//! reason and span, never left out.

mod dim;
mod gate;
mod lang;
mod question;
mod ranges;
mod text;

pub use dim::{Dim, Flags, Resource, State, Tunnel};
pub use gate::{
    Chain, ChainId, ClientGroup, Denial, Edge, Effect, Fallback, Family, Gate, Guard, Layer,
    MarkName, NatSide, Onward, Rewrite, Role, Rule, Stage, StageId, Standing, Step, Test, TextId,
    Unknown, UnknownId, UnknownKind, Value,
};
pub use lang::{Lang, LangError};
pub use question::{Conversation, Question, TextSpace};
pub use ranges::{Range, Ranges, address, to_address};
pub use text::{DomainEntry, DomainScope, Domains, TextSet};
