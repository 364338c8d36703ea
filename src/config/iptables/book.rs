//! In: words and unknowns as rules name them. Out: their ids, the same in every gate of one file.
//!
//! A chain may serve several gates; its rules are lowered once, so what they name is numbered per file, not per gate.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::forms::Form;
use super::places::Places;
use super::sets::Sets;
use super::syntax::{Problem, ProblemKind};
use crate::model::{
    Family, Guard, Range, Ranges, TextId, TextSet, Unknown, UnknownId, UnknownKind,
};
use crate::source::{FileId, Span};

/// What the rules of one file share.
#[derive(Debug)]
pub(super) struct Book<'a> {
    pub(super) file: FileId,
    pub(super) bytes: &'a [u8],
    pub(super) family: Family,
    /// The file is a template or a fragment that another program completes: what is missing is no mistake.
    pub(super) completed_by: Option<&'static str>,
    /// What lies beside the file.
    pub(super) sets: Arc<Sets>,
    /// Where the text comes from, if it is not the file.
    pub(super) places: Places,
    pub(super) form: Form,
    pub(super) problems: Vec<Problem>,
    pub(super) texts: Vec<TextSet>,
    pub(super) unknowns: Vec<Unknown>,
    text_ids: FxHashMap<Vec<u8>, TextId>,
    by_identity: FxHashMap<String, UnknownId>,
    flags: FxHashMap<(u8, u8), Ranges>,
    /// What a set asks on the sides that rules name, so that a large one is asked only once.
    pub(super) set_guards: FxHashMap<(Vec<u8>, Vec<u8>), Guard>,
    /// Rules that were read, and those of them that were understood in full.
    pub(super) rules: usize,
    pub(super) understood: usize,
}

/// How many problems are kept.
const PROBLEMS: usize = 1_000;

impl<'a> Book<'a> {
    pub(super) fn new(file: FileId, bytes: &'a [u8], family: Family) -> Self {
        Self {
            file,
            bytes,
            family,
            completed_by: None,
            sets: Arc::default(),
            places: Places::default(),
            form: Form::Save,
            set_guards: FxHashMap::default(),
            problems: Vec::new(),
            texts: Vec::new(),
            unknowns: Vec::new(),
            text_ids: FxHashMap::default(),
            by_identity: FxHashMap::default(),
            flags: FxHashMap::default(),
            rules: 0,
            understood: 0,
        }
    }

    pub(super) fn span(&self, start: u32, end: u32) -> Span {
        self.places.span(self.file, start as usize, end as usize)
    }

    pub(super) fn problem(&mut self, kind: ProblemKind, span: Span, text: impl Into<String>) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem {
                kind,
                span,
                text: text.into(),
                related: None,
                help: None,
            });
        }
    }

    /// A set of interface names; `None` is every name (`+`).
    pub(super) fn interface(&mut self, name: &[u8]) -> Option<TextId> {
        if let Some(id) = self.text_ids.get(name) {
            return Some(*id);
        }
        let text = String::from_utf8_lossy(name);
        // ip_tables.c, ifname_compare: `ppp+` also takes `ppp` itself.
        let set = match text.strip_suffix('+') {
            Some("") => return None,
            Some(prefix) => TextSet::Prefix(prefix.into()),
            None => TextSet::Literal(text.as_ref().into()),
        };
        let id = TextId(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(set);
        self.text_ids.insert(name.to_vec(), id);
        Some(id)
    }

    /// An unknown; equal identities are one.
    pub(super) fn unknown(&mut self, unknown: Unknown) -> UnknownId {
        if let Some(identity) = &unknown.identity
            && let Some(id) = self.by_identity.get(identity)
        {
            return *id;
        }
        let id = UnknownId(u32::try_from(self.unknowns.len()).unwrap_or(u32::MAX));
        if let Some(identity) = &unknown.identity {
            self.by_identity.insert(identity.clone(), id);
        }
        self.unknowns.push(unknown);
        id
    }

    /// A stable unknown as a guard.
    pub(super) fn fact(
        &mut self,
        code: &'static str,
        text: impl Into<String>,
        identity: String,
        span: Span,
    ) -> Guard {
        Guard::Unknown(self.unknown(Unknown {
            kind: UnknownKind::Fact,
            code,
            text: text.into(),
            identity: Some(identity),
            span: Some(span),
        }))
    }

    /// TCP flag bytes `f` with `f & mask == value` (kernel, `xt_tcpudp.c`).
    pub(super) fn tcp_flags(&mut self, mask: u8, value: u8) -> Ranges {
        self.flags
            .entry((mask, value))
            .or_insert_with(|| bytes_with(mask, value))
            .clone()
    }
}

/// The bytes `b` with `b & mask == value`.
pub(super) fn bytes_with(mask: u8, value: u8) -> Ranges {
    Ranges::from_unsorted(
        (0..=255u8)
            .filter(|byte| byte & mask == value)
            .map(|byte| Range::one(u128::from(byte)))
            .collect(),
    )
}
