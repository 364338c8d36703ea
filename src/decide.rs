//! In: a gate and questions. Out: verdicts: which of the asked flows are allowed, denied, throttled or undecided, with
//! the rules that decided.
//!
//! This is the one symbolic evaluator, for checks and traces of every dialect.
//!
//! Invariants: allowed, denied, varying and undecided partition the question; a certain answer holds for every value of
//! every unknown.

mod atoms;
mod env;
mod guard;
mod reach;
mod sample;
mod sketch;
mod space;
mod stages;
mod verdict;
mod walk;
mod words;

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::model::{
    ChainId, Dim, Effect, Gate, Guard, Lang, Question, Ranges, StageId, Step, Test, TextId,
    TextSpace, Unknown, UnknownId,
};
use crate::source::Span;
use guard::{Ground, Synthetic};
use sketch::Sketches;
use space::{Node, Space};
use words::Cells;

/// A set of flows, kept by an [`Evaluator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flows(Node);

/// Operations that one question may take: far above what a million rules need, and seconds at the worst.
const STANDARD_BUDGET: u64 = 100_000_000;

/// The words of so many questions are remembered: requirements mostly ask about a few domains in turn.
const WORDS_KEPT: usize = 8;

/// Answers questions about one gate.
#[derive(Debug)]
pub struct Evaluator<'g> {
    gate: &'g Gate,
    space: Space,
    synthetic: Synthetic,
    budget: u64,
    visits: u64,
    /// Which text sets the gate tests on which dimension.
    tested: BTreeMap<Dim, Vec<TextId>>,
    sketches: Sketches,
    /// The words of the last questions, the latest first, and the words' cells.
    words: Vec<(WordsAsked, BTreeMap<Dim, Cells>)>,
}

/// What cells depend on: the words, and the port that stands in a URL.
type WordsAsked = (BTreeMap<Dim, TextSpace>, Option<Ranges>);

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
    /// Denied at some times and allowed at others (limits, chance), whatever the facts are.
    pub varying: Flows,
    /// Cannot be known.
    pub undecided: Flows,
    /// Those of the undecided flows that are surely denied at some time: not known is only whether they ever pass.
    pub hindered: Flows,
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
    /// The deciding rule: its chain and its index there.
    pub rule: Option<(ChainId, usize)>,
}

/// A packet's addresses at the end of its way, after NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
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
    /// A target or a limit of this program's that leaves the effect unknown.
    Obscured(Option<Span>),
}

/// Where a flow ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    pub numbers: BTreeMap<Dim, u128>,
    /// Words.
    pub words: BTreeMap<Dim, String>,
}

impl Verdict {
    /// Nothing is known of the asked flows, for it would take too much work.
    fn undecided(universe: Flows) -> Self {
        let none = Flows(Node::NONE);
        Self {
            universe,
            allowed: none,
            denied: none,
            varying: none,
            undecided: universe,
            hindered: none,
            parts: Vec::new(),
            steps: Vec::new(),
            spent: true,
        }
    }
}

impl<'g> Evaluator<'g> {
    /// An evaluator with the standard budget.
    pub fn new(gate: &'g Gate) -> Self {
        Self::with_budget(gate, STANDARD_BUDGET)
    }

    /// An evaluator that spends at most so many operations on a question; what is not decided by then is undecided.
    pub fn with_budget(gate: &'g Gate, budget: u64) -> Self {
        let tested = survey(gate);
        Self {
            gate,
            space: Space::default(),
            synthetic: Synthetic::after(gate),
            budget,
            visits: 0,
            tested,
            sketches: Sketches::of(gate),
            words: Vec::new(),
        }
    }

    /// Answers one question.
    pub fn ask(&mut self, question: &Question) -> Verdict {
        self.ask_within(question, Flows(Node::ALL))
    }

    /// Like [`Evaluator::ask`], for those flows of the question that also lie in `within`, a set over numeric dimensions.
    pub fn ask_within(&mut self, question: &Question, within: Flows) -> Verdict {
        self.know_words(question);
        self.synthetic.next_question();
        let none = BTreeMap::new();
        let cells = self.words.first().map_or(&none, |(_, cells)| cells);
        let mut asked = question.numbers.clone();
        asked.extend(cells.iter().map(|(dim, cells)| (*dim, cells.all())));
        let sets = asked.iter().map(|(dim, set)| (*dim, set.clone())).collect();
        let cube = self.space.cube(sets);
        let universe = self.space.and(cube, within.0);
        let limit = self.space.steps.saturating_add(self.budget);
        // What the walk leaves undecided still has to be settled.
        self.space.begin(self.budget.saturating_mul(2));
        let ground = Ground {
            gate: self.gate,
            question,
            cells,
            asked: &asked,
            sketches: &self.sketches,
        };
        let walk = walk::Walk::new(
            ground,
            &mut self.space,
            &mut self.synthetic,
            universe,
            limit,
        );
        let seen = stages::run(walk);
        self.visits += seen.visits;
        let verdict = verdict::settle(
            &mut self.space,
            question,
            self.synthetic.atoms.inner(),
            universe,
            seen,
        );
        if self.space.end() {
            return verdict;
        }
        // So that many hard questions do not take many times as long as one.
        self.budget /= 2;
        let existential = |dim| question.existential.iter().all(|gone| *gone as u8 != dim);
        let universe = self.space.project(universe, &existential);
        Verdict::undecided(Flows(universe))
    }

    /// No flow at all.
    pub fn is_empty(&self, flows: Flows) -> bool {
        let _ = self;
        flows.0.is_none()
    }

    /// Flows in either.
    pub fn union(&mut self, left: Flows, right: Flows) -> Flows {
        Flows(self.space.or(left.0, right.0))
    }

    /// Flows in both.
    pub fn intersect(&mut self, left: Flows, right: Flows) -> Flows {
        Flows(self.space.and(left.0, right.0))
    }

    /// Flows of the first that are not in the second.
    pub fn minus(&mut self, left: Flows, right: Flows) -> Flows {
        Flows(self.space.minus(left.0, right.0))
    }

    /// Forgets every dimension but these: the flows whose values there occur in the set.
    pub fn keep(&mut self, flows: Flows, dims: &[Dim]) -> Flows {
        let keeps = |dim: u8| dims.iter().any(|kept| *kept as u8 == dim);
        Flows(self.space.project(flows.0, &keeps))
    }

    /// The values of one numeric dimension that occur.
    pub fn values(&mut self, flows: Flows, dim: Dim) -> Ranges {
        self.space.values(flows.0, dim)
    }

    /// The words of one text dimension that occur in flows of the question; `None` where they are all that it asks about,
    /// or none.
    pub fn words(&mut self, question: &Question, flows: Flows, dim: Dim) -> Option<TextSpace> {
        self.know_words(question);
        let occurring = self.space.values(flows.0, dim);
        let (_, cells) = self.words.first()?;
        let cells = cells.get(&dim)?;
        let inside = |cell: &usize| occurring.contains(*cell as u128);
        let kept: Vec<usize> = (0..cells.langs.len()).filter(inside).collect();
        if kept.is_empty() || kept.len() == cells.langs.len() {
            return None;
        }
        let mut langs = kept.iter().filter_map(|cell| cells.langs.get(*cell));
        let lang = langs.try_fold(Lang::none(), |all, lang| all.or(lang).ok())?;
        let familiar = kept
            .iter()
            .filter_map(|cell| cells.words.get(*cell))
            .cloned()
            .collect();
        Some(TextSpace {
            lang,
            suffixes: Vec::new(),
            familiar,
        })
    }

    /// The flows whose numbers lie in these sets.
    pub fn flows(&mut self, sets: &[(Dim, Ranges)]) -> Flows {
        Flows(self.space.cube(sets.to_vec()))
    }

    /// One flow, familiar values first: low addresses, source port 49152 where it occurs, familiar or short words.
    pub fn sample(&mut self, question: &Question, flows: Flows) -> Option<Sample> {
        self.know_words(question);
        let none = BTreeMap::new();
        let cells = self.words.first().map_or(&none, |(_, cells)| cells);
        sample::sample(&mut self.space, question, cells, flows.0)
    }

    /// Rules behind the one that decided a part, in the same chain, that allow some of these flows on their own: what
    /// was meant to let them pass and never sees them. At most `most` of them.
    pub fn later_permits(
        &mut self,
        question: &Question,
        part: &Part,
        flows: Flows,
        most: usize,
    ) -> Vec<Span> {
        self.know_words(question);
        let Some((chain, index)) = part.rule else {
            return Vec::new();
        };
        let at = chain.0 as usize;
        let Some(chain) = self.gate.chains.get(at) else {
            return Vec::new();
        };
        let none = BTreeMap::new();
        let cells = self.words.first().map_or(&none, |(_, cells)| cells);
        let mut asked = question.numbers.clone();
        asked.extend(cells.iter().map(|(dim, cells)| (*dim, cells.all())));
        let ground = Ground {
            gate: self.gate,
            question,
            cells,
            asked: &asked,
            sketches: &self.sketches,
        };
        let env = env::Env::first(question.mark).rewritten(&crate::model::Rewrite::Track);
        let mut permits = Vec::new();
        let asked = |dim| asked.get(&dim);
        let about = self.sketches.flows(&env, &asked, None);
        let later = chain.rules.iter().zip(self.sketches.chain(at));
        for (rule, sketch) in later.skip(index + 1) {
            if !matches!(rule.step, Step::Decide(Effect::Allow)) || !about.meets(sketch) {
                continue;
            }
            let compiled = ground.compile(&mut self.space, &mut self.synthetic, &rule.guard, &env);
            if compiled.never {
                continue;
            }
            let mut sets = compiled.rest.clone();
            sets.extend(
                compiled
                    .clients
                    .clone()
                    .map(|clients| (Dim::Source, clients)),
            );
            let product = self.space.cube(sets);
            let may = compiled.general.map_or(Node::ALL, |(_, may)| may);
            let may = self.space.and(product, may);
            if !self.space.and(may, flows.0).is_none() {
                permits.push(rule.span);
            }
            if permits.len() == most {
                break;
            }
        }
        permits
    }

    /// What an unknown of a part or verdict is.
    pub fn unknown(&self, id: UnknownId) -> Option<&Unknown> {
        self.synthetic.get(self.gate, id)
    }

    /// How many rules were met so far, and how many sets of flows exist: the work done, for tests.
    pub fn work(&self) -> (u64, usize) {
        (self.visits, self.space.size())
    }

    fn know_words(&mut self, question: &Question) {
        let port = question.numbers.get(&Dim::DestinationPort);
        let known = |((texts, known), _): &(WordsAsked, BTreeMap<Dim, Cells>)| {
            *texts == question.texts && known.as_ref() == port
        };
        match self.words.iter().position(known) {
            Some(0) => {}
            Some(at) => self.words.swap(0, at),
            None => {
                let cells = words::cells(question, &self.gate.texts, &self.tested);
                let asked = (question.texts.clone(), port.cloned());
                self.words.truncate(WORDS_KEPT - 1);
                self.words.insert(0, (asked, cells));
            }
        }
    }
}

/// Which text sets are tested where.
fn survey(gate: &Gate) -> BTreeMap<Dim, Vec<TextId>> {
    let mut tested: BTreeMap<Dim, Vec<TextId>> = BTreeMap::new();
    let mut seen: FxHashSet<(Dim, TextId)> = FxHashSet::default();
    let mut see = |guard: &Guard| {
        for_each_leaf(guard, &mut |leaf| {
            if let Guard::Is(Test::Text(dim, id)) = leaf
                && seen.insert((*dim, *id))
            {
                tested.entry(*dim).or_default().push(*id);
            }
        });
    };
    gate.chains
        .iter()
        .flat_map(|chain| &chain.rules)
        .for_each(|rule| see(&rule.guard));
    gate.stages
        .iter()
        .flat_map(|stage| &stage.edges)
        .for_each(|edge| see(&edge.guard));
    // A reply swaps the interfaces, so what is tested on one side is tested on the other.
    let sides = [Dim::InInterface, Dim::OutInterface];
    let mut both: Vec<TextId> = sides
        .iter()
        .filter_map(|side| tested.get(side))
        .flatten()
        .copied()
        .collect();
    both.sort_unstable();
    both.dedup();
    for side in sides {
        tested.insert(side, both.clone());
    }
    tested
}

fn for_each_leaf<'g>(guard: &'g Guard, see: &mut dyn FnMut(&'g Guard)) {
    match guard {
        Guard::All(guards) | Guard::AnyOf(guards) => {
            for guard in guards {
                for_each_leaf(guard, see);
            }
        }
        Guard::Not(inner) => for_each_leaf(inner, see),
        Guard::Always | Guard::Is(_) | Guard::Unknown(_) => see(guard),
    }
}
