//! In: commands in the order in which a shell runs them, or the kernel lists them. Out: the same tree as of a dump.

use super::super::places::Places;
use super::super::syntax::{Act, Doubt, File, RuleLine, TableName};
use super::super::words::Words;
use super::{Command, Parser, new_table, trimmed};
use crate::model::Family;
use crate::source::FileId;

/// Carries out commands, each a line of `bytes`, on a machine without rules.
pub(in super::super) fn run<'a>(
    file: FileId,
    bytes: &'a [u8],
    places: &Places,
    acts: &[Act],
) -> File<'a> {
    let mut parser = Parser::new(file, bytes, Family::V4);
    parser.places = places.clone();
    parser.is_live = true;
    for act in acts {
        parser.recent = None;
        match *act {
            Act::Run { table, start, end } => {
                parser.enter(table, start, end);
                let line = bytes.get(start..end).unwrap_or_default();
                parser.command(start, end, line);
            }
            Act::Perhaps {
                table,
                start,
                end,
                doubt,
            } => {
                parser.enter(table, start, end);
                parser.perhaps(start, end, doubt);
            }
            Act::Anything(doubt) => {
                for table in [
                    TableName::Raw,
                    TableName::Mangle,
                    TableName::Nat,
                    TableName::Filter,
                ] {
                    parser.enter(table, 0, 0);
                    parser.doubt_table(doubt);
                }
            }
        }
    }
    parser.open = false;
    parser.finish()
}

impl<'a> Parser<'a> {
    fn enter(&mut self, name: TableName, start: usize, end: usize) {
        let known = self.out.tables.iter().position(|table| table.name == name);
        let at = known.unwrap_or_else(|| {
            let span = self.span(start, end);
            self.out.tables.push(new_table(name, span));
            self.out.tables.len() - 1
        });
        self.table = Some(at);
        self.open = true;
    }

    /// Every way into the table.
    fn doubt_table(&mut self, doubt: Doubt) {
        let table = self.table.and_then(|at| self.out.tables.get(at));
        let Some(name) = table.map(|table| table.name) else {
            return;
        };
        self.recent = None;
        for chain in ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] {
            if name.has(chain.as_bytes()) {
                self.doubt_chain(chain.as_bytes(), doubt);
            }
        }
    }

    fn doubt_chain(&mut self, name: &'a [u8], doubt: Doubt) {
        let Some(table) = self.table else {
            return;
        };
        let at = self.chain(table, name);
        if let Some(chain) = self.chain_mut(table, at) {
            chain.obscured.get_or_insert(doubt);
        }
    }

    /// A command that may or may not be run, or more than once.
    fn perhaps(&mut self, start: usize, end: usize, doubt: Doubt) {
        self.out.statements += 1;
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let mut words = Words::new(self.bytes, offset(start), offset(end));
        let (Some(table), Some(first)) = (self.table, words.next()) else {
            return;
        };
        let command = Command::from_word(&first.text);
        let Some(name) = words.next() else {
            // Of every chain of the table; at any time also of those that are still to come.
            if doubt.is_anywhere {
                self.doubt_table(doubt);
                return;
            }
            let chains = self.out.tables.get_mut(table).into_iter();
            for chain in chains.flat_map(|table| &mut table.chains) {
                chain.obscured.get_or_insert(doubt);
            }
            return;
        };
        let name = self
            .bytes
            .get(name.start as usize..name.end as usize)
            .unwrap_or_default();
        let rule = trimmed(
            self.bytes,
            RuleLine {
                start: offset(start),
                body: words.offset(),
                end: offset(end),
            },
        );
        if command == Some(Command::Append) && !doubt.is_anywhere {
            let at = self.chain(table, name);
            self.out.doubts.insert(rule.start, doubt);
            if let Some(chain) = self.chain_mut(table, at) {
                chain.rules.push(rule);
            }
        } else {
            self.doubt_chain(name, doubt);
            if command == Some(Command::New) {
                let span = doubt.span;
                let at = self.chain(table, name);
                if let Some(chain) = self.chain_mut(table, at) {
                    chain.declared = Some(span);
                }
            }
        }
    }
}
