//! In: the bytes of one file. Out: its tree, [`File`].
//!
//! Follows `iptables-restore` (iptables 1.8.9, `iptables-restore.c` and `xtables-restore.c`): a table is replaced as a
//! whole when its `COMMIT` is reached, so order matters and `-I`, `-D`, `-R`, `-F`, `-N`, `-P` count as they do there.
//! Where the real program would stop, a problem is recorded and reading goes on with the next line.

mod acts;
mod edits;

pub(super) use acts::run;

use super::places::Places;
use super::syntax::{Chain, Doubt, File, Policy, Problem, ProblemKind, RuleLine, Table, TableName};
use super::words::{Word, Words};
use crate::model::Family;
use crate::source::{FileId, Span};

/// How many rules may be moved about by number (`-I CHAIN 7`), since each costs the chain's length.
const POSITIONAL_EDITS: usize = 10_000;
/// How many problems are kept; a binary file would give one per line.
const PROBLEMS: usize = 1_000;

/// Reads a file. Lines for the other family (`-4`, `-6`) are left out, as the real program leaves them out.
pub(super) fn parse(file: FileId, bytes: &[u8], family: Family) -> File<'_> {
    let mut parser = Parser::new(file, bytes, family);
    let mut start = usize::from(bytes.starts_with(b"\xef\xbb\xbf")) * 3;
    if start > 0 {
        parser.problem(
            ProblemKind::RefusedLine,
            parser.span(0, start),
            "a byte order mark stands before the first line",
        );
    }
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        if start < end || end < bytes.len() {
            parser.line(start, end);
        }
        start = end + 1;
    }
    parser.finish()
}

struct Parser<'a> {
    file: FileId,
    bytes: &'a [u8],
    family: Family,
    out: File<'a>,
    /// The table that lines go to.
    table: Option<usize>,
    /// Between `*table` and `COMMIT`.
    open: bool,
    /// The chain that was met last, to spare a search.
    recent: Option<(&'a [u8], usize)>,
    edits: usize,
    /// Where the text comes from, if it is not the file.
    places: Places,
    /// Commands are carried out one by one: one that fails changes nothing.
    is_live: bool,
}

/// What a line does to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Append,
    Insert,
    Replace,
    Delete,
    New,
    Flush,
    Policy,
    Remove,
    Harmless,
    Rename,
}

impl Command {
    fn from_word(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"-A" | b"--append" => Self::Append,
            b"-I" | b"--insert" => Self::Insert,
            b"-R" | b"--replace" => Self::Replace,
            b"-D" | b"--delete" => Self::Delete,
            b"-N" | b"--new-chain" | b"--new" => Self::New,
            b"-F" | b"--flush" => Self::Flush,
            b"-P" | b"--policy" => Self::Policy,
            b"-X" | b"--delete-chain" => Self::Remove,
            b"-Z" | b"--zero" | b"-C" | b"--check" | b"-L" | b"--list" | b"-S"
            | b"--list-rules" => Self::Harmless,
            b"-E" | b"--rename-chain" => Self::Rename,
            _ => return None,
        })
    }
}

impl<'a> Parser<'a> {
    fn new(file: FileId, bytes: &'a [u8], family: Family) -> Self {
        Self {
            file,
            bytes,
            family,
            out: File {
                tables: Vec::new(),
                problems: Vec::new(),
                statements: 0,
                other_backend: None,
                doubts: rustc_hash::FxHashMap::default(),
            },
            table: None,
            open: false,
            recent: None,
            edits: 0,
            places: Places::default(),
            is_live: false,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        self.places.span(self.file, start, end)
    }

    fn of(&self, word: &Word<'_>) -> Span {
        self.span(word.start as usize, word.end as usize)
    }

    fn problem(&mut self, kind: ProblemKind, span: Span, text: impl Into<String>) {
        if self.out.problems.len() < PROBLEMS {
            self.out.problems.push(Problem {
                kind,
                span,
                text: text.into(),
                related: None,
                help: None,
            });
        }
    }

    fn line(&mut self, start: usize, mut end: usize) {
        let mut line = self.bytes.get(start..end).unwrap_or_default();
        if let [rest @ .., b'\r'] = line {
            // fgets keeps the carriage return, and no word of iptables ends in one.
            self.problem(
                ProblemKind::CarriageReturn,
                self.span(start, end),
                "the line ends in a carriage return",
            );
            line = rest;
            end -= 1;
        }
        match line.first() {
            None => {}
            Some(b'#') => self.comment(start, end, line),
            Some(b'*') if !self.open => self.begin_table(start, end, line),
            Some(b':') => self.declare(start, end, line),
            Some(b'C') if is_commit(line) => self.commit(start, end),
            Some(_) => self.command(start, end, line),
        }
    }

    fn comment(&mut self, start: usize, end: usize, line: &[u8]) {
        // iptables-nft-save writes this where the legacy tables hold rules too, and the other way round.
        if memchr::memmem::find(line, b"tables present").is_some() {
            self.out.other_backend = Some(self.span(start, end));
        }
    }

    fn begin_table(&mut self, start: usize, end: usize, line: &[u8]) {
        self.out.statements += 1;
        let span = self.span(start, end);
        let name = line
            .get(1..)
            .unwrap_or_default()
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .find(|word| !word.is_empty())
            .unwrap_or_default();
        self.recent = None;
        let Some(name) = TableName::from_word(name) else {
            let kind = if is_template(name) {
                ProblemKind::Template
            } else {
                ProblemKind::RefusedLine
            };
            self.problem(
                kind,
                span,
                format!("`{}` is no table", String::from_utf8_lossy(name)),
            );
            self.table = None;
            self.open = true;
            return;
        };
        self.open = true;
        if let Some(at) = self.out.tables.iter().position(|table| table.name == name) {
            let first = self.out.tables.get(at).map(|table| table.span);
            self.problem(
                ProblemKind::DuplicateTable,
                span,
                format!(
                    "this second `*{}` block replaces the first one",
                    name.word()
                ),
            );
            if let (Some(problem), Some(first)) = (self.out.problems.last_mut(), first) {
                problem.related = Some((first, "the block that it replaces".to_owned()));
            }
            if let Some(table) = self.out.tables.get_mut(at) {
                *table = new_table(name, span);
            }
            self.table = Some(at);
            return;
        }
        self.table = Some(self.out.tables.len());
        self.out.tables.push(new_table(name, span));
    }

    fn commit(&mut self, start: usize, end: usize) {
        self.out.statements += 1;
        let span = self.span(start, end);
        if !self.open {
            self.problem(
                ProblemKind::RefusedLine,
                span,
                "this `COMMIT` belongs to no table",
            );
        }
        if let Some(table) = self.table.and_then(|at| self.out.tables.get_mut(at)) {
            table.commit = Some(span);
        }
        self.open = false;
        self.table = None;
        self.recent = None;
    }

    /// The table that a line goes to; outside of any block that is `filter`, though the real program stops there.
    fn place(&mut self, start: usize, end: usize) -> Option<usize> {
        if self.table.is_none() && !self.open {
            let span = self.span(start, end);
            self.problem(
                ProblemKind::RefusedLine,
                span,
                "no `*table` line stands before this one",
            );
            let at = self
                .out
                .tables
                .iter()
                .position(|table| table.name == TableName::Filter)
                .unwrap_or_else(|| {
                    self.out.tables.push(new_table(TableName::Filter, span));
                    self.out.tables.len() - 1
                });
            self.table = Some(at);
        }
        self.table
    }

    fn declare(&mut self, start: usize, end: usize, line: &'a [u8]) {
        self.out.statements += 1;
        let Some(at) = self.place(start, end) else {
            return;
        };
        let span = self.span(start, end);
        let mut words = line
            .get(1..)
            .unwrap_or_default()
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        let Some(policy) = words.next() else {
            self.problem(
                ProblemKind::RefusedLine,
                span,
                "the policy is missing (`-` for a chain of your own)",
            );
            return;
        };
        let chain = self.chain(at, name);
        if let Some(chain) = self.chain_mut(at, chain) {
            chain.declared = Some(span);
        }
        if policy != b"-" {
            self.set_policy(at, name, policy, span);
        }
    }

    fn set_policy(&mut self, table: usize, name: &'a [u8], policy: &[u8], span: Span) {
        let built_in = self
            .out
            .tables
            .get(table)
            .is_some_and(|table| table.name.has(name));
        if !built_in {
            // Legacy refuses it, the nft backend ignores it; the chain's end returns to the caller in any case.
            return;
        }
        let value = match policy {
            b"ACCEPT" => Policy::Accept,
            b"DROP" => Policy::Drop,
            _ => {
                let kind = if is_template(policy) {
                    ProblemKind::Template
                } else {
                    ProblemKind::RefusedLine
                };
                self.problem(
                    kind,
                    span,
                    format!("`{}` is no policy", String::from_utf8_lossy(policy)),
                );
                let chain = self.chain(table, name);
                if let Some(chain) = self.chain_mut(table, chain) {
                    chain.obscured = Some(plain(span));
                }
                return;
            }
        };
        let chain = self.chain(table, name);
        if let Some(chain) = self.chain_mut(table, chain) {
            chain.policy = Some((value, span));
        }
    }

    fn chain_mut(&mut self, table: usize, chain: usize) -> Option<&mut Chain<'a>> {
        self.out.tables.get_mut(table)?.chains.get_mut(chain)
    }

    /// The chain of this name; a new one where the table has none yet.
    fn chain(&mut self, table: usize, name: &'a [u8]) -> usize {
        if let Some((recent, at)) = self.recent
            && recent == name
        {
            return at;
        }
        let Some(table) = self.out.tables.get_mut(table) else {
            return 0;
        };
        let at = *table.by_name.entry(name).or_insert_with(|| {
            table.chains.push(Chain {
                name,
                declared: None,
                policy: None,
                rules: Vec::new(),
                front: Vec::new(),
                obscured: None,
            });
            table.chains.len() - 1
        });
        self.recent = Some((name, at));
        at
    }

    /// Everything that iptables itself reads: `-A` and the other commands, with counters before them.
    fn command(&mut self, start: usize, end: usize, line: &'a [u8]) {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let mut words = Words::new(self.bytes, offset(start), offset(end));
        let Some(mut first) = words.next() else {
            // A line of blanks is a call without a command.
            self.problem(
                ProblemKind::RefusedLine,
                self.span(start, end),
                "a line of blanks is no empty line here",
            );
            return;
        };
        self.out.statements += 1;
        if first.text.starts_with(b"[") && first.text.ends_with(b"]") {
            let Some(word) = words.next() else {
                self.refuse(&first, "counters without a rule");
                return;
            };
            first = word;
        }
        while let b"-4" | b"--ipv4" | b"-6" | b"--ipv6" = &*first.text {
            let v6 = matches!(&*first.text, b"-6" | b"--ipv6");
            if v6 != (self.family == Family::V6) {
                return;
            }
            match words.next() {
                Some(word) => first = word,
                None => return,
            }
        }
        let Some(command) = Command::from_word(&first.text) else {
            self.stray(&first, start, end, line);
            return;
        };
        let Some(table) = self.place(start, end) else {
            return;
        };
        let rule_start = first.start;
        let Some(name) = words.next() else {
            if matches!(
                command,
                Command::Flush | Command::Remove | Command::Harmless
            ) {
                self.whole_table(command, table);
            } else {
                self.refuse(&first, "the chain's name is missing");
            }
            return;
        };
        let name_bytes = match name.text {
            std::borrow::Cow::Borrowed(bytes) => bytes,
            std::borrow::Cow::Owned(_) => self
                .bytes
                .get(name.start as usize..name.end as usize)
                .unwrap_or_default(),
        };
        let rule = RuleLine {
            start: rule_start,
            body: words.offset(),
            end: offset(end),
        };
        self.apply(command, table, name_bytes, rule, words);
    }

    fn refuse(&mut self, word: &Word<'_>, text: &str) {
        let span = self.of(word);
        self.problem(ProblemKind::RefusedLine, span, text);
    }

    fn apply(
        &mut self,
        command: Command,
        table: usize,
        name: &'a [u8],
        rule: RuleLine,
        words: Words<'a>,
    ) {
        let span = self.span(rule.start as usize, rule.end as usize);
        let rule = trimmed(self.bytes, rule);
        let at = self.chain(table, name);
        match command {
            Command::Append => {
                if let Some(chain) = self.chain_mut(table, at) {
                    chain.rules.push(rule);
                }
            }
            Command::Insert => self.insert(table, at, rule, words),
            Command::Replace | Command::Delete => {
                self.change(command, table, at, rule, words);
            }
            Command::New => {
                if let Some(chain) = self.chain_mut(table, at) {
                    chain.declared = Some(span);
                }
            }
            Command::Flush => {
                if let Some(chain) = self.chain_mut(table, at) {
                    chain.rules.clear();
                    chain.front.clear();
                }
            }
            Command::Policy => {
                let mut words = words;
                match words.next() {
                    Some(policy) => self.set_policy(table, name, &policy.text, span),
                    None => self.problem(ProblemKind::RefusedLine, span, "the policy is missing"),
                }
            }
            Command::Remove | Command::Harmless => {}
            Command::Rename => {
                self.problem(
                    ProblemKind::NotUnderstood,
                    span,
                    "renaming a chain is not understood",
                );
                self.obscure(table, at, span);
            }
        }
    }

    fn obscure(&mut self, table: usize, chain: usize, span: Span) {
        if let Some(chain) = self.chain_mut(table, chain) {
            chain.obscured.get_or_insert(plain(span));
        }
    }

    fn whole_table(&mut self, command: Command, table: usize) {
        if command == Command::Flush
            && let Some(table) = self.out.tables.get_mut(table)
        {
            for chain in &mut table.chains {
                chain.rules.clear();
                chain.front.clear();
            }
        }
    }

    /// A line that begins with no command.
    fn stray(&mut self, first: &Word<'_>, start: usize, end: usize, line: &[u8]) {
        let span = self.span(start, end);
        if is_template(line) {
            self.problem(
                ProblemKind::Template,
                span,
                "the line is a template's, so what the file says depends on how it is filled in",
            );
            let chains: Vec<usize> = self
                .table
                .and_then(|at| self.out.tables.get(at))
                .map(|table| (0..table.chains.len()).collect())
                .unwrap_or_default();
            if let Some(table) = self.table {
                for chain in chains {
                    self.obscure(table, chain, span);
                }
            }
            return;
        }
        let text = if line.starts_with(b"COMMIT") || first.text.starts_with(b"COMMIT") {
            "`COMMIT` must stand alone on its line".to_owned()
        } else if first.text.starts_with(b"*") {
            "the block before has no `COMMIT`".to_owned()
        } else if line.contains(&0) {
            "the line has bytes that are no text".to_owned()
        } else {
            format!(
                "`{}` is no command of iptables-restore",
                String::from_utf8_lossy(first.text.get(..40).unwrap_or(&first.text))
            )
        };
        let missing_commit = first.text.starts_with(b"*");
        self.problem(
            if missing_commit {
                ProblemKind::MissingCommit
            } else {
                ProblemKind::RefusedLine
            },
            span,
            text,
        );
        if missing_commit {
            self.open = false;
            self.begin_table(start, end, line.trim_ascii_start());
        }
    }

    fn finish(mut self) -> File<'a> {
        if self.open
            && let Some(table) = self.table.and_then(|at| self.out.tables.get(at))
        {
            let (span, word) = (table.span, table.name.word());
            self.problem(
                ProblemKind::MissingCommit,
                span,
                format!("the `*{word}` block has no `COMMIT`"),
            );
        }
        for chain in self
            .out
            .tables
            .iter_mut()
            .flat_map(|table| &mut table.chains)
        {
            settle(chain);
        }
        self.out
    }
}

fn plain(span: Span) -> Doubt {
    Doubt {
        span,
        reason: "",
        is_anywhere: false,
    }
}

fn settle(chain: &mut Chain<'_>) {
    if !chain.front.is_empty() {
        let mut rules: Vec<RuleLine> = chain.front.drain(..).rev().collect();
        rules.append(&mut chain.rules);
        chain.rules = rules;
    }
}

fn new_table<'a>(name: TableName, span: Span) -> Table<'a> {
    Table {
        name,
        span,
        commit: None,
        chains: Vec::new(),
        by_name: rustc_hash::FxHashMap::default(),
    }
}

fn is_commit(line: &[u8]) -> bool {
    // The nft backend takes it without a line feed too; blanks after it are refused.
    line == b"COMMIT"
}

/// Without the blanks around its words.
fn trimmed(bytes: &[u8], rule: RuleLine) -> RuleLine {
    let blank = |at: u32| matches!(bytes.get(at as usize), Some(b' ' | b'\t'));
    let RuleLine {
        start,
        mut body,
        mut end,
    } = rule;
    while body < end && blank(body) {
        body += 1;
    }
    while end > body && blank(end - 1) {
        end -= 1;
    }
    RuleLine { start, body, end }
}

/// Whether a text has a placeholder of Jinja, ERB, a shell or the like.
pub(super) fn is_template(text: &[u8]) -> bool {
    const MARKS: [&[u8]; 5] = [b"{{", b"{%", b"<%", b"${", b"@@"];
    MARKS
        .iter()
        .any(|mark| memchr::memmem::find(text, mark).is_some())
        || text.windows(2).any(|pair| {
            matches!(pair, [b'$', next] if next.is_ascii_alphabetic() || *next == b'_' || *next == b'(')
        })
}

#[cfg(test)]
mod tests;
