//! In: a gate before and after. Out: the rules that were added, removed, moved or written otherwise on either side.
//!
//! A flow that can meet none of them takes the same way through what both sides share, so nothing about it can differ,
//! undecided as it may be. Rules are the same where all that they say is, whatever their numbers inside the gates are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::{
    ChainId, Denial, Effect, Fallback, Gate, Guard, Onward, Rewrite, Rule, Step, Test, UnknownId,
    Value,
};
use crate::report::{self, steps};

/// Rules by chain and index.
pub(super) type Rules = BTreeSet<(usize, usize)>;

/// How a marked rule denies: no packet filter's rule does so.
pub(super) const MARK: Effect = Effect::Deny(Denial::DoesNotStart);

/// The rules that differ, of the old gate and of the new one; nothing where more than rules differs.
pub(super) fn differing(old: &Gate, new: &Gate) -> Option<(Rules, Rules)> {
    let (left, right) = (Keys::of(old), Keys::of(new));
    let is_same_way = left.stages() == right.stages() && old.own_addresses == new.own_addresses;
    if !is_same_way {
        return None;
    }
    let mut differing = (Rules::new(), Rules::new());
    for (name, at) in &left.chains {
        let rules = left.rules(*at);
        let other = right.chains.get(name).copied();
        let others = other.map_or_else(Vec::new, |at| right.rules(at));
        let (gone, come) = apart(&rules, &others);
        differing
            .0
            .extend(gone.into_iter().map(|index| (*at, index)));
        if let Some(other) = other {
            differing
                .1
                .extend(come.into_iter().map(|index| (other, index)));
        }
    }
    for (name, at) in &right.chains {
        if !left.chains.contains_key(name) {
            let count = right.rules(*at).len();
            differing.1.extend((0..count).map(|index| (*at, index)));
        }
    }
    Some(differing)
}

/// The gate, where each of these rules ends the way of what it takes with [`MARK`].
pub(super) fn marked(gate: &Gate, rules: &Rules) -> Gate {
    let mut marked = gate.clone();
    for (chain, index) in rules {
        let chain = marked.chains.get_mut(*chain);
        if let Some(rule) = chain.and_then(|chain| chain.rules.get_mut(*index)) {
            rule.step = Step::Decide(MARK);
        }
    }
    marked
}

/// The indexes of what stands on one side only: what is no part of the shortest way from one order to the other.
fn apart(left: &[String], right: &[String]) -> (Vec<usize>, Vec<usize>) {
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (
        left.iter().map(String::as_bytes).collect(),
        right.iter().map(String::as_bytes).collect(),
    );
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    for step in steps(&old, &new) {
        match step {
            report::Step::Keep => (i, j) = (i + 1, j + 1),
            report::Step::Remove => {
                gone.push(i);
                i += 1;
            }
            report::Step::Add => {
                come.push(j);
                j += 1;
            }
        }
    }
    (gone, come)
}

/// What rules and stages say, as text that is the same for the same meaning.
struct Keys<'g> {
    gate: &'g Gate,
    /// Chains by name, and by how many of that name came before.
    chains: BTreeMap<(&'g str, usize), usize>,
    names: Vec<(&'g str, usize)>,
}

impl<'g> Keys<'g> {
    fn of(gate: &'g Gate) -> Self {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = Vec::new();
        for chain in &gate.chains {
            let count = seen.entry(&chain.name).or_default();
            names.push((chain.name.as_str(), *count));
            *count += 1;
        }
        Self {
            gate,
            chains: names
                .iter()
                .enumerate()
                .map(|(at, name)| (*name, at))
                .collect(),
            names,
        }
    }

    fn rules(&self, chain: usize) -> Vec<String> {
        let chain = self.gate.chains.get(chain);
        let rules = chain.into_iter().flat_map(|chain| &chain.rules);
        rules.map(|rule| self.rule(rule)).collect()
    }

    fn rule(&self, rule: &Rule) -> String {
        let mut key = String::new();
        self.guard(&rule.guard, &mut key);
        key.push_str(" => ");
        self.step(&rule.step, &mut key);
        key
    }

    fn stages(&self) -> String {
        let mut key = String::new();
        for stage in &self.gate.stages {
            let Fallback { effect, .. } = stage.fallback;
            let chain = stage.chain.map(|id| self.chain(id));
            put(&mut key, format_args!("stage {chain:?} else {effect:?}"));
            for rewrite in &stage.enter {
                self.rewrite(rewrite, &mut key);
            }
            for edge in &stage.edges {
                self.guard(&edge.guard, &mut key);
                let to: &Onward = &edge.to;
                put(&mut key, format_args!(" to {to:?}; "));
            }
        }
        key
    }

    fn chain(&self, id: ChainId) -> Option<(&'g str, usize)> {
        self.names.get(id.0 as usize).copied()
    }

    fn unknown(&self, id: UnknownId, key: &mut String) {
        if let Some(unknown) = self.gate.unknowns.get(id.0 as usize) {
            let (kind, code) = (unknown.kind, unknown.code);
            let (text, identity) = (&unknown.text, &unknown.identity);
            put(key, format_args!("?{kind:?} {code} {text:?} {identity:?}"));
        }
    }

    fn guard(&self, guard: &Guard, key: &mut String) {
        match guard {
            Guard::Always => key.push_str("always"),
            Guard::All(guards) | Guard::AnyOf(guards) => {
                let is_all = matches!(guard, Guard::All(_));
                key.push_str(if is_all { "all(" } else { "any(" });
                for guard in guards {
                    self.guard(guard, key);
                    key.push(' ');
                }
                key.push(')');
            }
            Guard::Not(inner) => {
                key.push_str("not ");
                self.guard(inner, key);
            }
            Guard::Is(Test::Text(dim, id)) => {
                let set = self.gate.texts.get(id.0 as usize);
                put(key, format_args!("{dim:?} in {set:?}"));
            }
            Guard::Is(test) => put(key, format_args!("{test:?}")),
            Guard::Unknown(id) => self.unknown(*id, key),
        }
    }

    fn step(&self, step: &Step, key: &mut String) {
        match step {
            Step::Call(id) => put(key, format_args!("call {:?}", self.chain(*id))),
            Step::Goto(id) => put(key, format_args!("goto {:?}", self.chain(*id))),
            Step::Rewrite(one) => self.rewrite(one, key),
            Step::RewriteAndAllow(all) => {
                key.push_str("allow with ");
                for one in all {
                    self.rewrite(one, key);
                }
            }
            Step::Obscure(id) => self.unknown(*id, key),
            Step::Decide(_) | Step::Return | Step::Continue => {
                put(key, format_args!("{step:?}"));
            }
        }
    }

    fn rewrite(&self, rewrite: &Rewrite, key: &mut String) {
        match rewrite {
            Rewrite::Set(dim, value) | Rewrite::Translate(dim, value) => {
                let is_set = matches!(rewrite, Rewrite::Set(..));
                put(key, format_args!("set {is_set} {dim:?} "));
                match value {
                    Value::Own(id) | Value::Unknown(id) => {
                        key.push_str(if matches!(value, Value::Own(_)) {
                            "own "
                        } else {
                            ""
                        });
                        self.unknown(*id, key);
                    }
                    Value::Const(_) | Value::OneOf(_) | Value::Prefix { .. } => {
                        put(key, format_args!("{value:?}"));
                    }
                }
            }
            Rewrite::MarkUnknown(mark, mask, id) => {
                put(key, format_args!("{mark:?} {mask} "));
                self.unknown(*id, key);
            }
            Rewrite::ApplyBinding(_)
            | Rewrite::Mark(..)
            | Rewrite::SaveMark(_)
            | Rewrite::RestoreMark(_)
            | Rewrite::Notrack
            | Rewrite::Track => put(key, format_args!("{rewrite:?}")),
        }
        key.push(';');
    }
}

fn put(key: &mut String, what: std::fmt::Arguments<'_>) {
    // A writer into a string has no errors of its own.
    let _ = key.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_apart_and_the_rest_is_not() {
        let words = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let found = |old, new| apart(&words(old), &words(new));
        assert_eq!(found("abcd", "abcd"), (vec![], vec![]));
        assert_eq!(found("abcd", "abd"), (vec![2], vec![]));
        assert_eq!(found("abd", "abcd"), (vec![], vec![2]));
        let (gone, come) = found("abcd", "acbd");
        assert_eq!((gone.len(), come.len()), (1, 1));
        assert_eq!(found("ab", "xy"), (vec![0, 1], vec![0, 1]));
    }
}
