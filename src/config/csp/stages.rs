//! In: the questions that the policies of a page answer. Out: the stages of its gate, connected.

use crate::model::{
    Denial, Dim, Edge, Effect, Fallback, Gate, Guard, Onward, Ranges, Resource, Rule, Stage,
    StageId, Step, Unknown, UnknownKind,
};
use crate::source::Span;

use super::lower::POLICY_LIMIT;

/// A stage to be, and the resources that pass through it.
pub(super) struct Question {
    pub(super) resources: &'static [Resource],
    pub(super) stage: Stage,
}

/// The questions that one policy answers.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) questions: Vec<Question>,
}

/// What is not read of a page with too many policies: it may block anything.
pub(super) fn unread(gate: &mut Gate, span: Span) -> Question {
    const EVERY: &[Resource] = &{
        let mut every = [Resource::Connect; Resource::WORDS.len()];
        let mut at = 0;
        while at < every.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "the index stays below the length, at compile time"
            )]
            {
                every[at] = Resource::WORDS[at].0;
            }
            at += 1;
        }
        every
    };
    let chain = gate.chain("more policies");
    let unknown = gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code: "limit",
        text: format!("a page with fewer than {POLICY_LIMIT} policies"),
        identity: None,
        span: Some(span),
    });
    gate.rule(
        chain,
        Rule {
            guard: Guard::Unknown(unknown),
            step: Step::Decide(Effect::Deny(Denial::Blocked)),
            span,
        },
    );
    Question {
        resources: EVERY,
        stage: Stage {
            name: "more policies".to_owned(),
            enter: Vec::new(),
            chain: Some(chain),
            fallback: Fallback {
                effect: Effect::Allow,
                span: None,
                text: "further policies are not read".to_owned(),
            },
            edges: Vec::new(),
        },
    }
}

/// Adds the stages: for each policy an entry that sends a fetch to the first question that concerns it; a question's
/// stage sends it to the next one, or to the next policy.
pub(super) fn connect(gate: &mut Gate, blocks: Vec<Block>) {
    let mut at = 0;
    for block in blocks {
        let entry = at;
        let next_policy = entry + 1 + block.questions.len();
        at = next_policy;
        let concerned: Vec<&'static [Resource]> = block
            .questions
            .iter()
            .map(|question| question.resources)
            .collect();
        let edges = |after: usize| {
            let mut edges: Vec<Edge> = concerned
                .iter()
                .enumerate()
                .skip(after)
                .map(|(place, resources)| Edge {
                    guard: concerns(resources),
                    to: onward(entry + 1 + place),
                })
                .collect();
            edges.push(Edge {
                guard: Guard::Always,
                to: onward(next_policy),
            });
            edges
        };
        gate.stage(Stage {
            fallback: Fallback {
                effect: Effect::Allow,
                span: Some(block.span),
                text: format!("{} is asked", block.name),
            },
            name: block.name,
            enter: Vec::new(),
            chain: None,
            edges: edges(0),
        });
        for (place, question) in block.questions.into_iter().enumerate() {
            gate.stage(Stage {
                edges: edges(place + 1),
                ..question.stage
            });
        }
    }
    gate.stage(Stage {
        name: "page".to_owned(),
        enter: Vec::new(),
        chain: None,
        fallback: Fallback {
            effect: Effect::Allow,
            span: None,
            text: "no directive restricts it".to_owned(),
        },
        edges: Vec::new(),
    });
}

fn onward(stage: usize) -> Onward {
    Onward::Stage(StageId(u32::try_from(stage).unwrap_or(u32::MAX)))
}

fn concerns(resources: &[Resource]) -> Guard {
    Guard::number(
        Dim::Resource,
        resources
            .iter()
            .map(|resource| *resource as u128)
            .collect::<Ranges>(),
    )
}
