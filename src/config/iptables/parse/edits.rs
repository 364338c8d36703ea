//! In: an `-I`, `-R` or `-D` that names a place or a rule. Out: the chain as `iptables-restore` would leave it.

use super::super::syntax::{ProblemKind, RuleLine};
use super::super::words::Words;
use super::{Command, POSITIONAL_EDITS, Parser, settle, trimmed};
use crate::source::Span;

impl<'a> Parser<'a> {
    pub(super) fn insert(&mut self, table: usize, at: usize, rule: RuleLine, mut words: Words<'a>) {
        let after = words.next().and_then(|word| {
            let number = std::str::from_utf8(&word.text)
                .ok()?
                .parse::<usize>()
                .ok()?;
            Some((number, words.offset()))
        });
        let Some((number, body)) = after else {
            if let Some(chain) = self.chain_mut(table, at) {
                chain.front.push(rule);
            }
            return;
        };
        let rule = trimmed(self.bytes, RuleLine { body, ..rule });
        let span = self.span(rule.start as usize, rule.end as usize);
        if !self.may_edit(table, at, span) {
            return;
        }
        let length = self.settle(table, at);
        match number.checked_sub(1) {
            Some(index) if index <= length => {
                if let Some(chain) = self.chain_mut(table, at) {
                    chain.rules.insert(index, rule);
                }
            }
            Some(_) | None => {
                self.problem(
                    ProblemKind::RefusedLine,
                    span,
                    format!("the chain has {length} rules, so there is no place {number}"),
                );
            }
        }
    }

    /// `-R CHAIN 3 ..`, `-D CHAIN 3`, `-D CHAIN rule`.
    pub(super) fn change(
        &mut self,
        command: Command,
        table: usize,
        at: usize,
        rule: RuleLine,
        words: Words<'a>,
    ) {
        let span = self.span(rule.start as usize, rule.end as usize);
        if !self.may_edit(table, at, span) {
            return;
        }
        let length = self.settle(table, at);
        let mut rest = words.clone();
        let number = rest
            .next()
            .and_then(|word| std::str::from_utf8(&word.text).ok()?.parse::<usize>().ok());
        let index = if let Some(number) = number {
            number.checked_sub(1).filter(|index| *index < length)
        } else {
            let wanted: Vec<_> = words.map(|word| word.text).collect();
            let bytes = self.bytes;
            self.chain_mut(table, at).and_then(|chain| {
                chain.rules.iter().position(|rule| {
                    Words::new(bytes, rule.body, rule.end)
                        .map(|word| word.text)
                        .eq(wanted.iter().cloned())
                })
            })
        };
        let rule = trimmed(
            self.bytes,
            RuleLine {
                body: rest.offset(),
                ..rule
            },
        );
        match index {
            Some(index) => {
                if let Some(chain) = self.chain_mut(table, at) {
                    if command == Command::Delete {
                        chain.rules.remove(index);
                    } else if let Some(slot) = chain.rules.get_mut(index) {
                        *slot = rule;
                    }
                }
            }
            None if number.is_some() => {
                self.problem(
                    ProblemKind::RefusedLine,
                    span,
                    format!("the chain has only {length} rules"),
                );
            }
            None if self.is_live && length == 0 => {}
            None => {
                // The same rule may be written in other words.
                self.problem(
                    ProblemKind::NotUnderstood,
                    span,
                    "no rule above is written like this one",
                );
                self.obscure(table, at, span);
            }
        }
    }

    /// Joins the inserted rules to the others; how many there are then.
    fn settle(&mut self, table: usize, at: usize) -> usize {
        self.chain_mut(table, at).map_or(0, |chain| {
            settle(chain);
            chain.rules.len()
        })
    }

    fn may_edit(&mut self, table: usize, chain: usize, span: Span) -> bool {
        self.edits += 1;
        if self.edits == POSITIONAL_EDITS {
            self.problem(
                ProblemKind::NotUnderstood,
                span,
                "too many rules are inserted or deleted by number to follow",
            );
        }
        if self.edits >= POSITIONAL_EDITS {
            self.obscure(table, chain, span);
        }
        self.edits < POSITIONAL_EDITS
    }
}
