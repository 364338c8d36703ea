//! In: the output of `iptables -S`, of one table or of several one after the other. Out: its commands with their tables.
//!
//! No line names the table: a prompt or comment above may (`# iptables -t nat -S`), else the chains that have a policy
//! tell, since each table has its own set of them (iptables(8), TABLES).

use super::syntax::{Act, Doubt, TableName};
use crate::source::{FileId, Span};

/// The commands, in order.
pub(super) fn read(file: FileId, bytes: &[u8]) -> Vec<Act> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut named = None;
    let mut is_new = true;
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = bytes.get(start..end).unwrap_or_default();
        let place = (start, start + line.trim_ascii_end().len());
        start = end + 1;
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        match words.next() {
            Some(b"-P") => {
                // The policies come first, so one after something else begins another table.
                let chain = words.next().unwrap_or_default();
                if is_new
                    || blocks
                        .last()
                        .is_none_or(|block| block.has_rules || block.policies.contains(&chain))
                {
                    blocks.push(Block::new(named.take()));
                }
                is_new = false;
                if let Some(block) = blocks.last_mut() {
                    block.policies.push(chain);
                    block.lines.push(place);
                }
            }
            Some(b"-N" | b"-A") => {
                if is_new {
                    blocks.push(Block::new(named.take()));
                }
                is_new = false;
                if let Some(block) = blocks.last_mut() {
                    block.has_rules = true;
                    block.lines.push(place);
                }
            }
            _ => {
                let table = line
                    .split(|byte| !byte.is_ascii_alphanumeric())
                    .find_map(TableName::from_word);
                let is_command = memchr::memmem::find(line, b"tables").is_some();
                if is_command || table.is_some() {
                    named = table.or(Some(TableName::Filter));
                    is_new = true;
                }
            }
        }
    }
    acts(file, &blocks)
}

/// What was listed of one table.
struct Block<'a> {
    named: Option<TableName>,
    policies: Vec<&'a [u8]>,
    has_rules: bool,
    lines: Vec<(usize, usize)>,
}

impl Block<'_> {
    fn new(named: Option<TableName>) -> Self {
        Self {
            named,
            policies: Vec::new(),
            has_rules: false,
            lines: Vec::new(),
        }
    }

    /// The table, where the chains leave no choice; without `-t` it is `filter`.
    fn table(&self) -> TableName {
        if let Some(named) = self.named {
            return named;
        }
        let has = |chain: &[u8]| self.policies.contains(&chain);
        match (has(b"PREROUTING"), has(b"FORWARD"), has(b"POSTROUTING")) {
            (_, true, true) | (true, true, _) => TableName::Mangle,
            (_, false, true) => TableName::Nat,
            (true, false, false) => TableName::Raw,
            (false, _, false) => TableName::Filter,
        }
    }
}

fn acts(file: FileId, blocks: &[Block<'_>]) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut tables = Vec::new();
    for block in blocks {
        let table = block.table();
        // `security` has the chains of `filter`, and whoever asks twice may have asked at different times.
        let is_again = tables.contains(&table);
        tables.push(table);
        for (start, end) in &block.lines {
            let (start, end) = (*start, *end);
            acts.push(if is_again {
                Act::Perhaps {
                    table,
                    start,
                    end,
                    doubt: Doubt {
                        span: Span::new(file, start, end),
                        reason: "nothing tells the table of a second list like this",
                        is_anywhere: true,
                    },
                }
            } else {
                Act::Run { table, start, end }
            });
        }
    }
    acts
}

/// Whether a file is such output: policies, chains and rules, and nothing that is not.
pub(super) fn is_rules(bytes: &[u8]) -> bool {
    let mut has_policy = false;
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let all = lines.by_ref().take(2_000).all(|line| {
        has_policy |= line.starts_with(b"-P ");
        line.is_empty()
            || line.starts_with(b"#")
            || [&b"-P "[..], b"-N ", b"-A "]
                .iter()
                .any(|command| line.starts_with(command))
            || (memchr::memmem::find(line, b"tables").is_some()
                && memchr::memmem::find(line, b" -S").is_some())
    });
    has_policy && all
}

/// The line by which a file is the output of `iptables -L`.
pub(super) fn headline(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for line in bytes.split(|byte| *byte == b'\n').take(20) {
        let end = start + line.trim_ascii_end().len();
        let is_head = line.starts_with(b"Chain ")
            && (memchr::memmem::find(line, b" (policy ").is_some()
                || memchr::memmem::find(line, b" references)").is_some());
        if is_head {
            return Some((start, end));
        }
        let is_command = memchr::memmem::find(line, b"tables").is_some();
        if !line.trim_ascii().is_empty() && !line.starts_with(b"#") && !is_command {
            return None;
        }
        start += line.len() + 1;
    }
    None
}
