//! In: what a requirement or a request asks. Out: the set of flows that a gate is asked about.
//!
//! Everything a question does not restrict is asked for every value (numbers), or is not known (words): a rule that
//! tests a word the question does not give is undecided.

use std::collections::BTreeMap;

use super::{Dim, Lang, Ranges};

/// The flows somebody asks about, and what is known about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Numeric dimensions; one that is not here is asked for every value.
    pub numbers: BTreeMap<Dim, Ranges>,
    /// Text dimensions; one that is not here is not known.
    pub texts: BTreeMap<Dim, TextSpace>,
    /// The addresses that the host may resolve to, for tests on any of them; `None` where they are not known.
    pub addresses: Option<Ranges>,
    /// Answers to unknowns by their code (`external`, `set`): an axiom or a fact of the request.
    pub fixed: BTreeMap<String, bool>,
    /// Whether the destination is one of the gate's own addresses, where the question implies it.
    pub destination_is_local: Option<bool>,
    /// Whether the source is one of the gate's own addresses, where the question implies it.
    pub source_is_local: Option<bool>,
    /// The packet mark at the start.
    pub mark: u32,
    /// Which packets.
    pub conversation: Conversation,
    /// Dimensions of which some value suffices (the router picks the out-interface); the others are asked for every value.
    pub existential: Vec<Dim>,
    /// Ask for every step of the way (only of use for one flow).
    pub steps: bool,
}

/// The words a question asks about, in one text dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSpace {
    /// Exactly these words.
    pub lang: Lang,
    /// Host names: every word lies at or below one of these (empty: no such bound); only to skip unrelated lists fast.
    pub suffixes: Vec<String>,
    /// Words of the language that people know, tried first when one word stands for many.
    pub familiar: Vec<String>,
}

impl TextSpace {
    /// One word.
    pub fn one(word: &str) -> Self {
        Self {
            lang: Lang::literal(word.as_bytes()),
            suffixes: vec![word.to_owned()],
            familiar: Vec::new(),
        }
    }

    /// Every name strictly below a domain, made of well-formed labels.
    pub fn below(domain: &str) -> Self {
        Self {
            lang: Lang::hosts_below(domain),
            suffixes: vec![domain.to_owned()],
            familiar: Vec::new(),
        }
    }
}

/// Which packets of a conversation a question means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conversation {
    /// Request, reply, and the request direction again: all must pass.
    #[default]
    Whole,
    /// The first packet only.
    First,
    /// One packet of a connection that was opened before (`established`).
    Established,
}
