//! In: a guard, a packet's environment, the question. Out: which of the asked flows surely and possibly match.
//!
//! Truth on a set of flows is a pair `must ⊆ may`; an unknown is the gap between them. `not (a, b) = (¬b, ¬a)`, *and*
//! and *or* work pairwise. A conjunction of plain tests, which is what nearly every rule is, stays a product of ranges.

use std::collections::BTreeMap;

use super::Packet;
use super::atoms::{self, Atoms};
use super::env::{Current, Env, low_bits};
use super::sketch::Sketches;
use super::space::{Node, Space};
use super::words::Cells;
use crate::model::{Dim, Gate, Guard, Question, Ranges, Test, Unknown, UnknownId, UnknownKind};

/// A mapped network's test is pulled back to so many networks of asked addresses, no more.
const MAPPED_NETWORKS: u32 = 256;

/// Everything a guard's truth depends on but the packet.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) question: &'a Question,
    pub(crate) cells: &'a BTreeMap<Dim, Cells>,
    /// What the question asks for, per dimension; a dimension that is not here is asked for every value.
    pub(crate) asked: &'a BTreeMap<Dim, Ranges>,
    /// What each rule is about, roughly.
    pub(crate) sketches: &'a Sketches,
}

/// What a single test says of the asked flows.
enum Truth {
    No,
    Yes,
    Within(Dim, Ranges),
    /// Not known, and perhaps tied to another gap.
    Gap(UnknownId),
    /// Both happen, whatever happened before.
    Chance(UnknownId),
}

/// How sure it is that flows get somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Taint {
    /// Surely.
    #[default]
    Sure,
    /// At some times.
    Varies,
    /// Perhaps.
    Perhaps,
}

/// Unknowns that had to turn out one way.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    pub(crate) unknowns: Vec<UnknownId>,
    pub(crate) taint: Taint,
}

impl Gaps {
    /// One that may be tied to others.
    pub(crate) fn perhaps(unknown: UnknownId) -> Self {
        Self {
            unknowns: vec![unknown],
            taint: Taint::Perhaps,
        }
    }

    fn push(&mut self, unknown: UnknownId, taint: Taint) {
        self.unknowns.push(unknown);
        self.taint = self.taint.max(taint);
    }
}

/// A guard on the asked flows.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Holds for no asked flow.
    pub(crate) never: bool,
    /// The clients it can hold for; `None` is all.
    pub(crate) clients: Option<Ranges>,
    /// What it demands of the other dimensions.
    pub(crate) rest: Vec<(Dim, Ranges)>,
    /// A part that is no product of ranges: must and may.
    pub(crate) general: Option<(Node, Node)>,
    /// Unknowns that must hold too.
    pub(crate) gaps: Gaps,
    /// Unknowns inside the general part, which may or may not matter.
    pub(crate) general_gaps: Gaps,
}

/// Unknowns that the evaluation itself brings in, numbered after the gate's own.
#[derive(Debug, Default)]
pub(crate) struct Synthetic {
    first: u32,
    list: Vec<Unknown>,
    /// The Boolean dimensions of the question at hand.
    pub(crate) atoms: Atoms,
}

impl Synthetic {
    pub(crate) fn after(gate: &Gate) -> Self {
        Self {
            first: u32::try_from(gate.unknowns.len()).unwrap_or(u32::MAX),
            list: Vec::new(),
            atoms: Atoms::of(gate),
        }
    }

    /// Forgets the Boolean dimensions of the last question.
    pub(crate) fn next_question(&mut self) {
        self.atoms = std::mem::take(&mut self.atoms).fresh();
    }

    /// The id of such an unknown; equal ones share it.
    pub(crate) fn id(&mut self, kind: UnknownKind, code: &'static str, text: String) -> UnknownId {
        let at = self
            .list
            .iter()
            .position(|unknown| unknown.code == code && unknown.text == text);
        let at = at.unwrap_or_else(|| {
            self.list.push(Unknown {
                kind,
                code,
                text,
                identity: None,
                span: None,
            });
            self.list.len() - 1
        });
        UnknownId(
            self.first
                .saturating_add(u32::try_from(at).unwrap_or(u32::MAX)),
        )
    }

    /// The unknown behind an id, the gate's own or one of these.
    pub(crate) fn get<'a>(&'a self, gate: &'a Gate, id: UnknownId) -> Option<&'a Unknown> {
        gate.unknowns
            .get(id.0 as usize)
            .or_else(|| self.list.get(id.0.checked_sub(self.first)? as usize))
    }
}

impl Ground<'_> {
    /// A guard as it stands for a packet.
    pub(crate) fn compile(
        &self,
        space: &mut Space,
        synthetic: &mut Synthetic,
        guard: &Guard,
        env: &Env,
    ) -> Compiled {
        let mut compiled = Compiled::default();
        self.conjoin(space, synthetic, guard, env, &mut compiled);
        compiled
    }

    fn conjoin(
        &self,
        space: &mut Space,
        synthetic: &mut Synthetic,
        guard: &Guard,
        env: &Env,
        into: &mut Compiled,
    ) {
        let truth = match guard {
            Guard::Always => return,
            Guard::All(guards) => {
                for guard in guards {
                    self.conjoin(space, synthetic, guard, env, into);
                    if into.never {
                        return;
                    }
                }
                return;
            }
            Guard::Is(test) => self.test(synthetic, test, env, false),
            Guard::Not(inner) => match &**inner {
                Guard::Is(test) => self.test(synthetic, test, env, true),
                Guard::Unknown(unknown) => self.unknown(synthetic, *unknown, env, true),
                Guard::Always | Guard::All(_) | Guard::AnyOf(_) | Guard::Not(_) => {
                    return self.conjoin_general(space, synthetic, guard, env, into);
                }
            },
            Guard::Unknown(unknown) => self.unknown(synthetic, *unknown, env, false),
            Guard::AnyOf(_) => return self.conjoin_general(space, synthetic, guard, env, into),
        };
        match truth {
            Truth::Yes => {}
            Truth::No => into.never = true,
            Truth::Gap(unknown) => into.gaps.push(unknown, Taint::Perhaps),
            Truth::Chance(unknown) => into.gaps.push(unknown, Taint::Varies),
            Truth::Within(Dim::Source, set) => {
                let both = into
                    .clients
                    .take()
                    .map_or(set.clone(), |old| old.intersect(&set));
                into.never |= both.is_empty();
                into.clients = Some(both);
            }
            Truth::Within(dim, set) => {
                match into.rest.iter_mut().find(|(known, _)| *known == dim) {
                    Some((_, old)) => {
                        *old = old.intersect(&set);
                        into.never |= old.is_empty();
                    }
                    None => into.rest.push((dim, set)),
                }
            }
        }
    }

    fn conjoin_general(
        &self,
        space: &mut Space,
        synthetic: &mut Synthetic,
        guard: &Guard,
        env: &Env,
        into: &mut Compiled,
    ) {
        let mut gaps = Gaps::default();
        let (must, may) = self.bounds(space, synthetic, guard, env, &mut gaps);
        if may.is_none() {
            into.never = true;
        } else if must != may {
            for unknown in gaps.unknowns {
                into.general_gaps.push(unknown, gaps.taint);
            }
            into.and_general(space, must, may);
        } else if may != Node::ALL {
            into.and_general(space, must, may);
        }
    }

    /// INVARIANT: must ⊆ may.
    fn bounds(
        &self,
        space: &mut Space,
        synthetic: &mut Synthetic,
        guard: &Guard,
        env: &Env,
        gaps: &mut Gaps,
    ) -> (Node, Node) {
        match guard {
            Guard::Always => (Node::ALL, Node::ALL),
            Guard::All(guards) => {
                let mut both = (Node::ALL, Node::ALL);
                for guard in guards {
                    let (must, may) = self.bounds(space, synthetic, guard, env, gaps);
                    both = (space.and(both.0, must), space.and(both.1, may));
                    if both.1.is_none() {
                        break;
                    }
                }
                both
            }
            Guard::AnyOf(guards) => {
                let mut either = (Node::NONE, Node::NONE);
                for guard in guards {
                    let (must, may) = self.bounds(space, synthetic, guard, env, gaps);
                    either = (space.or(either.0, must), space.or(either.1, may));
                }
                either
            }
            Guard::Not(inner) => {
                let (must, may) = self.bounds(space, synthetic, inner, env, gaps);
                (space.minus(Node::ALL, may), space.minus(Node::ALL, must))
            }
            Guard::Is(test) => node(space, self.test(synthetic, test, env, false), gaps),
            Guard::Unknown(unknown) => {
                let truth = self.unknown(synthetic, *unknown, env, false);
                node(space, truth, gaps)
            }
        }
    }

    fn unknown(&self, synthetic: &mut Synthetic, id: UnknownId, env: &Env, negated: bool) -> Truth {
        let Some(unknown) = self.gate.unknowns.get(id.0 as usize) else {
            return Truth::Gap(id);
        };
        if let Some(fixed) = self.question.fixed.get(unknown.code) {
            return if *fixed == negated {
                Truth::No
            } else {
                Truth::Yes
            };
        }
        let independent = match unknown.kind {
            UnknownKind::Varies => Truth::Chance(id),
            UnknownKind::Fact | UnknownKind::Opaque => Truth::Gap(id),
        };
        let Some(identity) = &unknown.identity else {
            return independent;
        };
        if synthetic.atoms.is_met_once(identity) {
            return independent;
        }
        match synthetic.atoms.atom(identity, unknown.kind, id, env) {
            Some(atom) => Truth::Within(atom, atoms::truth(!negated)),
            None => Truth::Gap(id),
        }
    }

    fn test(&self, synthetic: &mut Synthetic, test: &Test, env: &Env, negated: bool) -> Truth {
        let truth = match test {
            Test::In(dim, set) => self.number(synthetic, *dim, set, env),
            Test::Text(dim, text) => match env.get(*dim) {
                Current::Of(of) => match self.cells.get(&of).map(|cells| cells.of(*text)) {
                    Some(Some(set)) => Truth::Within(of, set),
                    Some(None) => Truth::Gap(synthetic.id(
                        UnknownKind::Opaque,
                        "too-large",
                        "a smaller set of words than this rule tests".to_owned(),
                    )),
                    None => {
                        Truth::Gap(synthetic.id(UnknownKind::Fact, "word", word_of(of).to_owned()))
                    }
                },
                Current::Unknown(unknown) | Current::Own(unknown) => Truth::Gap(unknown),
                Current::Const(_)
                | Current::Every(..)
                | Current::OneOf(_)
                | Current::Prefix { .. } => {
                    Truth::Gap(synthetic.id(UnknownKind::Fact, "word", word_of(*dim).to_owned()))
                }
            },
            Test::Mark(name, value, mask) => {
                let mark = match name {
                    crate::model::MarkName::Packet => env.mark,
                    crate::model::MarkName::Connection => env.connection_mark,
                };
                match mark.matches(*value, *mask) {
                    Some(true) => Truth::Yes,
                    Some(false) => Truth::No,
                    None => Truth::Gap(mark.by.unwrap_or_else(|| {
                        synthetic.id(UnknownKind::Opaque, "mark", "the packet's mark".to_owned())
                    })),
                }
            }
            Test::AnyAddress(set) => match &self.question.addresses {
                Some(addresses) if addresses.is_subset(set) && !addresses.is_empty() => Truth::Yes,
                Some(addresses) if !addresses.meets(set) => Truth::No,
                Some(_) | None => Truth::Gap(synthetic.id(
                    UnknownKind::Fact,
                    "host-address",
                    "the addresses that the name resolves to".to_owned(),
                )),
            },
            Test::Local(dim) => self.local(synthetic, *dim, env),
            Test::Translated(side) => {
                // A connection that was opened before the rules were loaded was not translated by them.
                yes(env.is_translated(*side))
            }
        };
        self.settle(truth, negated)
    }

    fn number(&self, synthetic: &mut Synthetic, dim: Dim, set: &Ranges, env: &Env) -> Truth {
        let chosen = |synthetic: &mut Synthetic, text: &str| {
            Truth::Gap(synthetic.id(UnknownKind::Fact, "choice", text.to_owned()))
        };
        match env.get(dim) {
            Current::Of(of) => Truth::Within(of, set.clone()),
            Current::Const(value) => yes(set.contains(value)),
            Current::Every(_, values) if values.is_subset(set) => Truth::Yes,
            Current::OneOf(values) if values.is_subset(set) => Truth::Yes,
            Current::Every(_, values) | Current::OneOf(values) if !values.meets(set) => Truth::No,
            Current::Every(every, values) => {
                let what = match env.packet {
                    Packet::Reply => "replies",
                    Packet::Request | Packet::Again => "packets",
                };
                let text = format!("some {what} match and others do not");
                let unknown = synthetic.id(UnknownKind::Varies, "packet", text);
                synthetic.atoms.occurs(every, unknown);
                Truth::Within(every, atoms::widened(set, &values))
            }
            Current::OneOf(_) => chosen(synthetic, "which of several values the packet gets"),
            Current::Prefix {
                of,
                base,
                host_bits,
            } => {
                let image = Ranges::between(base, base | low_bits(host_bits)).intersect(set);
                match self.mapped_into(of, base, host_bits, &image) {
                    Some(sent) => Truth::Within(of, sent),
                    None if image.is_empty() => Truth::No,
                    None => chosen(synthetic, "which address a mapped network gives"),
                }
            }
            // xt_REDIRECT.c, nf_nat_redirect.c: packets of this machine's own go to the loopback address.
            Current::Own(unknown) => match &self.gate.own_addresses {
                Some(own) if own.union(&own_loopback()).is_subset(set) => Truth::Yes,
                Some(own) if !own.union(&own_loopback()).meets(set) => Truth::No,
                Some(_) | None => Truth::Gap(unknown),
            },
            Current::Unknown(unknown) => Truth::Gap(unknown),
        }
    }

    /// The asked values whose mapped value lies in the image; nothing where they spread over too many networks.
    fn mapped_into(&self, of: Dim, base: u128, bits: u8, image: &Ranges) -> Option<Ranges> {
        let asked = self.asked.get(&of)?;
        let mut sent = Vec::new();
        let mut blocks = 0;
        for range in asked.ranges() {
            let mut block = range.low() & !low_bits(bits);
            loop {
                blocks += 1;
                if blocks > MAPPED_NETWORKS {
                    return None;
                }
                sent.extend(image.ranges().iter().filter_map(|range| {
                    let (low, high) = (range.low() - base, range.high() - base);
                    crate::model::Range::new(block | low, block | high)
                }));
                match (block | low_bits(bits)).checked_add(1) {
                    Some(next) if next <= range.high() => block = next,
                    Some(_) | None => break,
                }
            }
        }
        Some(Ranges::from_unsorted(sent))
    }

    fn local(&self, synthetic: &mut Synthetic, dim: Dim, env: &Env) -> Truth {
        let loopback = Ranges::loopback();
        let own = self.gate.own_addresses.as_ref();
        let own = own.map(|own| own.union(&loopback));
        let gap = |synthetic: &mut Synthetic| {
            Truth::Gap(synthetic.id(
                UnknownKind::Fact,
                "own-addresses",
                "this machine's own addresses (`ip -br addr`)".to_owned(),
            ))
        };
        match env.get(dim) {
            Current::Of(of) => {
                let implied = if of == Dim::Destination {
                    self.question.destination_is_local
                } else {
                    self.question.source_is_local
                };
                match (implied, own) {
                    (Some(local), _) => yes(local),
                    (None, Some(own)) => Truth::Within(of, own),
                    (None, None)
                        if self
                            .asked
                            .get(&of)
                            .is_some_and(|asked| asked.is_subset(&loopback)) =>
                    {
                        Truth::Yes
                    }
                    (None, None) => gap(synthetic),
                }
            }
            Current::Own(_) => Truth::Yes,
            Current::Const(value) => match own {
                Some(own) => yes(own.contains(value)),
                None if loopback.contains(value) => Truth::Yes,
                None => gap(synthetic),
            },
            Current::Every(_, values) | Current::OneOf(values) => match own {
                Some(own) if values.is_subset(&own) => Truth::Yes,
                Some(own) if !values.meets(&own) => Truth::No,
                None if values.is_subset(&loopback) => Truth::Yes,
                Some(_) | None => gap(synthetic),
            },
            Current::Prefix {
                of,
                base,
                host_bits,
            } => {
                let image = Ranges::between(base, base | low_bits(host_bits));
                let image = own.map(|own| own.intersect(&image));
                let sent = image.and_then(|image| self.mapped_into(of, base, host_bits, &image));
                sent.map_or_else(|| gap(synthetic), |sent| Truth::Within(of, sent))
            }
            Current::Unknown(_) => gap(synthetic),
        }
    }

    /// Cuts a truth to what is asked, and turns it round where it is negated.
    fn settle(&self, truth: Truth, negated: bool) -> Truth {
        match truth {
            Truth::Within(dim, set) => {
                let Some(asked) = self.asked.get(&dim) else {
                    let set = if negated { set.complement() } else { set };
                    return if set.is_empty() {
                        Truth::No
                    } else if set.is_full() {
                        Truth::Yes
                    } else {
                        Truth::Within(dim, set)
                    };
                };
                // Cheap answers first: most rules are about something else.
                if !asked.meets(&set) {
                    return yes(negated);
                }
                let inside = asked.intersect(&set);
                if inside == *asked {
                    return yes(!negated);
                }
                Truth::Within(dim, if negated { asked.minus(&set) } else { inside })
            }
            Truth::Yes => yes(!negated),
            Truth::No => yes(negated),
            gap @ (Truth::Gap(_) | Truth::Chance(_)) => gap,
        }
    }
}

impl Compiled {
    /// Every flow meets it, but for unknowns.
    pub(crate) fn holds_always(&self) -> bool {
        !self.never && self.clients.is_none() && self.rest.is_empty() && self.general.is_none()
    }

    fn and_general(&mut self, space: &mut Space, must: Node, may: Node) {
        self.general = Some(match self.general {
            Some((old_must, old_may)) => (space.and(old_must, must), space.and(old_may, may)),
            None => (must, may),
        });
    }
}

/// INVARIANT: must ⊆ may.
fn node(space: &mut Space, truth: Truth, gaps: &mut Gaps) -> (Node, Node) {
    match truth {
        Truth::No => (Node::NONE, Node::NONE),
        Truth::Yes => (Node::ALL, Node::ALL),
        Truth::Within(dim, set) => {
            let node = space.restrict(dim, &set, Node::ALL);
            (node, node)
        }
        Truth::Gap(unknown) => {
            gaps.push(unknown, Taint::Perhaps);
            (Node::NONE, Node::ALL)
        }
        Truth::Chance(unknown) => {
            gaps.push(unknown, Taint::Varies);
            (Node::NONE, Node::ALL)
        }
    }
}

fn yes(yes: bool) -> Truth {
    if yes { Truth::Yes } else { Truth::No }
}

/// Where REDIRECT sends what this machine sends itself.
fn own_loopback() -> Ranges {
    let v4 = crate::model::address([127, 0, 0, 1].into());
    [v4, 1].into_iter().collect()
}

/// What a text dimension is, completing "cannot tell without ...".
fn word_of(dim: Dim) -> &'static str {
    const WORDS: [(Dim, &str); 10] = [
        (
            Dim::InInterface,
            "the interface that the packet comes in by",
        ),
        (Dim::OutInterface, "the interface that the packet leaves by"),
        (
            Dim::ReverseName,
            "what a reverse lookup of the address says",
        ),
        (Dim::UserAgent, "the client's `User-Agent`"),
        (Dim::Path, "the path of the URL"),
        (Dim::User, "the user's name"),
        (Dim::Alias, "the name that the answer's CNAME points to"),
        (Dim::Host, "the host name"),
        (Dim::Method, "the request's method"),
        (Dim::Scheme, "the URL's scheme"),
    ];
    WORDS
        .iter()
        .find(|(known, _)| *known == dim)
        .map_or("this word of the flow", |(_, words)| words)
}
