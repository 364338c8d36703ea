//! In: a shell script that runs iptables. Out: what it does to the rules, step by step, and where each step is written.
//!
//! What runs once and in order is followed, with variables that hold constants. A loop, a condition, a function and a
//! program that may change rules are not: what they touch is in doubt from there on, with the place that says why.
//! Commands as in iptables(8); the shell as in POSIX XCU 2.
//!
//! Invariants: nothing is run; no command of iptables is passed over in silence, whatever surrounds it.

mod call;
mod expand;
mod programs;
mod shell;

use rustc_hash::FxHashSet;

use self::call::Call;
use self::expand::{Field, Variables, expand, expand_one};
use self::programs::{Program, program};
use self::shell::{Operator, Token, tokens};
use super::places::Places;
use super::syntax::{Act, Doubt};
use crate::model::Family;
use crate::source::{FileId, Span};

/// A pattern of `case` has at most this many words; what has more is taken for commands.
const ALTERNATIVES: usize = 512;

/// How deep blocks may stand in each other.
const DEEPEST: usize = 256;

/// What a script does.
#[derive(Debug)]
pub(super) struct Script {
    /// The commands, each a line, in the words and quotes of `iptables-restore`.
    pub(super) text: Vec<u8>,
    pub(super) places: Places,
    pub(super) acts: Vec<(Family, Act)>,
    /// Some command of iptables changes rules, followed or not.
    pub(super) changes_rules: bool,
}

/// Follows a script.
pub(super) fn read(file: FileId, bytes: &[u8]) -> Script {
    let mut run = Run {
        file,
        bytes,
        out: Script {
            text: Vec::new(),
            places: Places::default(),
            acts: Vec::new(),
            changes_rules: false,
        },
        variables: Variables::default(),
        lost: FxHashSet::default(),
        functions: FxHashSet::default(),
        blocks: Vec::new(),
        words: Vec::new(),
        before: Before::Start,
        last: Last::Other,
        has_ended: false,
    };
    run.all(&tokens(bytes));
    run.out
}

struct Run<'a> {
    file: FileId,
    bytes: &'a [u8],
    out: Script,
    variables: Variables,
    /// Variables that something not followed may set at any time.
    lost: FxHashSet<Vec<u8>>,
    functions: FxHashSet<Vec<u8>>,
    blocks: Vec<Block>,
    words: Vec<(usize, usize)>,
    before: Before,
    last: Last,
    has_ended: bool,
}

/// What is open.
#[derive(Debug, Clone, Copy)]
struct Block {
    kind: BlockKind,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Loop,
    Condition,
    Case,
    Function,
    Group,
    Subshell,
}

/// What stands before a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    And,
    Or,
    Pipe,
    /// The name of a function and its brackets.
    FunctionName,
}

/// What the command before was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// One of iptables that changes rules.
    Change,
    /// `iptables -C`.
    Check,
    Other,
}

impl Run<'_> {
    fn all(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            if self.has_ended {
                return;
            }
            if let Some(block) = self.blocks.get(DEEPEST).copied() {
                let reason = "blocks so deep are not followed";
                self.out.changes_rules = true;
                self.anything(block.start, block.end, reason);
                return;
            }
            match *token {
                Token::Word(start, end) => at += self.word(start, end, tokens.get(at..)),
                Token::Operator(operator, place) => {
                    at += self.operator(operator, place, tokens.get(at..));
                }
            }
        }
        self.command();
        if let Some(block) = self.blocks.first().copied() {
            self.anything(
                block.start,
                block.end,
                "a block without its end is not followed",
            );
        }
    }

    fn text(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// One more word; how many tokens after it are taken as well.
    fn word(&mut self, start: usize, end: usize, rest: Option<&[Token]>) -> usize {
        if !self.words.is_empty() {
            self.words.push((start, end));
            return 0;
        }
        let is_body = self.before == Before::FunctionName;
        let open = |kind| Block { kind, start, end };
        match self.text(start, end) {
            b"if" => self.blocks.push(open(BlockKind::Condition)),
            b"while" | b"until" => self.blocks.push(open(BlockKind::Loop)),
            b"for" | b"select" => {
                self.blocks.push(open(BlockKind::Loop));
                return self.header(rest, true);
            }
            b"case" => {
                self.blocks.push(open(BlockKind::Case));
                return self.header(rest, false);
            }
            b"{" => {
                self.blocks.push(open(if is_body {
                    BlockKind::Function
                } else {
                    BlockKind::Group
                }));
                self.before = Before::Start;
            }
            b"}" | b"fi" | b"done" | b"esac" => {
                self.blocks.pop();
                self.last = Last::Other;
            }
            b"then" | b"do" | b"else" | b"elif" => self.before = Before::Start,
            b"!" | b"time" => {}
            b"function" => {
                if let Some(Token::Word(start, end)) = rest.and_then(<[Token]>::first) {
                    let name = self.text(*start, *end).to_vec();
                    self.functions.insert(name);
                    self.before = Before::FunctionName;
                    return 1;
                }
            }
            b"[[" => {
                let tokens = rest.unwrap_or_default();
                let length = tokens.iter().position(
                    |token| matches!(token, Token::Word(start, end) if self.text(*start, *end) == b"]]"),
                );
                self.words.push((start, end));
                return length.map_or(0, |length| length + 1);
            }
            _ => self.words.push((start, end)),
        }
        0
    }

    /// `for NAME in ..`, `case WORD in`: the words up to the body.
    fn header(&mut self, rest: Option<&[Token]>, sets_variable: bool) -> usize {
        let tokens = rest.unwrap_or_default();
        if sets_variable && let Some(Token::Word(start, end)) = tokens.first() {
            let name = self.text(*start, *end).to_vec();
            self.lose(name);
        }
        let is_end = |token: &Token| match token {
            Token::Word(start, end) => !sets_variable && self.text(*start, *end) == b"in",
            Token::Operator(operator, _) => *operator == Operator::Next && sets_variable,
        };
        tokens
            .iter()
            .position(is_end)
            .map_or(tokens.len(), |at| at + 1)
    }

    fn operator(&mut self, operator: Operator, place: usize, rest: Option<&[Token]>) -> usize {
        let in_case = self
            .blocks
            .last()
            .is_some_and(|block| block.kind == BlockKind::Case);
        match operator {
            Operator::Next | Operator::CaseEnd => {
                self.command();
                if self.before != Before::FunctionName {
                    self.before = Before::Start;
                }
            }
            Operator::And => {
                self.command();
                self.before = Before::And;
            }
            Operator::Or => {
                self.command();
                self.before = Before::Or;
            }
            // A pattern's alternatives.
            Operator::Pipe if in_case && self.is_pattern(rest) => self.words.clear(),
            Operator::Pipe => {
                self.command();
                self.before = Before::Pipe;
            }
            Operator::Open => return self.open(place, rest.unwrap_or_default()),
            Operator::Close if in_case => {
                self.words.clear();
                self.before = Before::Start;
            }
            Operator::Close => {
                self.command();
                if self
                    .blocks
                    .last()
                    .is_some_and(|block| block.kind == BlockKind::Subshell)
                {
                    self.blocks.pop();
                }
            }
        }
        0
    }

    /// Whether a bracket closes a pattern before the line ends.
    fn is_pattern(&self, rest: Option<&[Token]>) -> bool {
        self.words.len() <= 1
            && rest
                .unwrap_or_default()
                .iter()
                .take(ALTERNATIVES)
                .find_map(|token| match token {
                    Token::Operator(Operator::Close, _) => Some(true),
                    Token::Operator(Operator::Pipe, _) | Token::Word(..) => None,
                    Token::Operator(..) => Some(false),
                })
                == Some(true)
    }

    fn open(&mut self, place: usize, rest: &[Token]) -> usize {
        let closes = matches!(rest.first(), Some(Token::Operator(Operator::Close, _)));
        match self.words.as_slice() {
            [(start, end)] if closes => {
                let name = self.text(*start, *end).to_vec();
                self.functions.insert(name);
                self.words.clear();
                self.before = Before::FunctionName;
                1
            }
            [.., (start, end)] if self.text(*start, *end).ends_with(b"=") => {
                // A list: its words are no commands.
                rest.iter()
                    .position(|token| matches!(token, Token::Operator(Operator::Close, _)))
                    .map_or(rest.len(), |at| at + 1)
            }
            _ => {
                self.command();
                let kind = if self.before == Before::FunctionName {
                    BlockKind::Function
                } else {
                    BlockKind::Subshell
                };
                self.blocks.push(Block {
                    kind,
                    start: place,
                    end: place + 1,
                });
                self.before = Before::Start;
                0
            }
        }
    }

    /// Why what stands here may not be run, or not once.
    fn doubt(&self) -> Option<Doubt> {
        let of_block = |block: &Block| {
            let reason = match block.kind {
                BlockKind::Loop => "a loop is not followed",
                BlockKind::Condition | BlockKind::Case => "a condition is not followed",
                BlockKind::Function => "a function is not followed",
                BlockKind::Group | BlockKind::Subshell => return None,
            };
            Some(Doubt {
                span: Span::new(self.file, block.start, block.end),
                reason,
                is_anywhere: false,
            })
        };
        let is_in_function = self
            .blocks
            .iter()
            .any(|block| block.kind == BlockKind::Function);
        let found = self.blocks.iter().find_map(of_block);
        let found = found.or_else(|| {
            let is_sure = match self.before {
                Before::Start | Before::Pipe | Before::FunctionName => true,
                Before::And => self.last == Last::Change,
                Before::Or => self.last == Last::Check,
            };
            let (start, end) = self.words.first().copied().filter(|_| !is_sure)?;
            Some(Doubt {
                span: Span::new(self.file, start, end),
                reason: "a condition is not followed",
                is_anywhere: false,
            })
        });
        found.map(|doubt| Doubt {
            is_anywhere: is_in_function,
            ..doubt
        })
    }

    fn anything(&mut self, start: usize, end: usize, reason: &'static str) {
        let doubt = Doubt {
            span: Span::new(self.file, start, end),
            reason,
            is_anywhere: true,
        };
        for family in [Family::V4, Family::V6] {
            self.out.acts.push((family, Act::Anything(doubt)));
        }
    }

    fn lose(&mut self, name: Vec<u8>) {
        self.variables.remove(&name);
        self.lost.insert(name);
    }

    /// The words so far are a whole command.
    fn command(&mut self) {
        let words = std::mem::take(&mut self.words);
        let Some(first) = words.first().copied() else {
            return;
        };
        self.words.push(first);
        let doubt = self.doubt();
        self.words.clear();
        let mut words = words.as_slice();
        while let Some(((start, end), rest)) = words.split_first() {
            if !self.assign(*start, *end, doubt.is_some()) {
                break;
            }
            words = rest;
        }
        let fields: Vec<Field> = words
            .iter()
            .flat_map(|place| expand(self.bytes, *place, &self.variables))
            .collect();
        let mut fields = fields.as_slice();
        self.last = Last::Other;
        loop {
            let Some(name) = fields.first() else {
                return;
            };
            let called = name.text.rsplit(|byte| *byte == b'/').next();
            let called = called.unwrap_or_default().to_vec();
            if self.functions.contains(&called) {
                // What it touches is in doubt since its definition.
                return;
            }
            let (start, end) = (name.start, name.end);
            match program(&called, name.is_known, fields) {
                Program::Prefix(length) => fields = fields.get(length..).unwrap_or_default(),
                Program::Iptables(family) => {
                    let arguments = fields.get(1..).unwrap_or_default();
                    return self.iptables(family, arguments, doubt);
                }
                Program::Unrelated => return,
                Program::Sets => {
                    for (start, end) in words.iter().skip(1) {
                        let text = self.text(*start, *end);
                        let name = text.split(|byte| *byte == b'=').next();
                        let name = name.unwrap_or_default().to_vec();
                        if !self.assign(*start, *end, doubt.is_some()) && called != b"export" {
                            self.lose(name);
                        }
                    }
                    return;
                }
                Program::Ends => {
                    // One that depends on a condition is for cases in which nothing is to be done.
                    self.has_ended = doubt.is_none() && self.blocks.is_empty();
                    return;
                }
                Program::Changes(reason) => {
                    self.anything(start, end, reason);
                    if matches!(&*called, b"." | b"source" | b"eval") {
                        self.variables.clear();
                    }
                    return;
                }
            }
        }
    }

    /// `NAME=value`; whether the word is one.
    fn assign(&mut self, start: usize, end: usize, is_doubtful: bool) -> bool {
        let text = self.text(start, end);
        let Some(at) = memchr::memchr(b'=', text) else {
            return false;
        };
        let name = text.get(..at).unwrap_or_default().to_vec();
        let name = name.strip_suffix(b"+").unwrap_or(&name).to_vec();
        let is_name = name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && name.first().is_some_and(|byte| !byte.is_ascii_digit());
        if !is_name {
            return false;
        }
        let adds = text.get(..at).is_some_and(|name| name.ends_with(b"+"));
        let is_own = self
            .blocks
            .iter()
            .all(|block| block.kind == BlockKind::Group);
        let value = expand_one(self.bytes, (start + at + 1, end), &self.variables);
        match value {
            Some(value) if is_own && !is_doubtful && !adds && !self.lost.contains(&name) => {
                self.variables.insert(name, value);
            }
            Some(_) if !is_own || is_doubtful => self.lose(name),
            Some(_) | None => {
                self.variables.remove(&name);
            }
        }
        true
    }

    /// One command of iptables: `-t` and what changes no rule are taken out, its command comes first.
    fn iptables(&mut self, family: Family, arguments: &[Field], doubt: Option<Doubt>) {
        let call = Call::new(arguments);
        if call.only_asks {
            self.last = Last::Check;
            return;
        }
        let Call { table, words, .. } = call;
        let (Some((first, at)), Some(table)) = (call.command, table) else {
            let known = arguments.iter().all(|field| field.is_known);
            if let Some(field) = arguments.first()
                && !call.only_lists
            {
                self.out.changes_rules = true;
                let reason = if known {
                    "a command is not understood"
                } else {
                    "a variable's value is not known"
                };
                self.anything(field.start, field.end, reason);
            }
            return;
        };
        self.last = Last::Change;
        self.out.changes_rules = true;
        // The chain and the place in it follow the command; what stood before comes after them.
        let (before, after) = words.split_at_checked(at).unwrap_or_default();
        let has_place = matches!(
            &*first.text,
            b"-I" | b"--insert" | b"-R" | b"--replace" | b"-D" | b"--delete"
        ) && after
            .get(1)
            .is_some_and(|word| word.text.iter().all(u8::is_ascii_digit));
        let operands = 1 + usize::from(has_place);
        let (operands, after) = after
            .split_at_checked(operands.min(after.len()))
            .unwrap_or_default();
        if let Some(chain) = operands.first()
            && !chain.is_known
        {
            return self.anything(chain.start, chain.end, "a variable's value is not known");
        }
        let order: Vec<&Field> = [first]
            .into_iter()
            .chain(operands.iter().copied())
            .chain(before.iter().copied())
            .chain(after.iter().copied())
            .collect();
        // A variable that stands where an option may is any words at all.
        let loose = order.windows(2).find_map(|pair| match pair {
            [before, word] if !word.is_known && !before.text.starts_with(b"-") => Some(*word),
            _ => None,
        });
        let doubt = doubt.or_else(|| {
            loose.map(|word| Doubt {
                span: Span::new(self.file, word.start, word.end),
                reason: "a variable's value is not known",
                is_anywhere: false,
            })
        });
        let (start, end) = self.write(&order);
        self.out.acts.push((
            family,
            match doubt {
                None => Act::Run { table, start, end },
                Some(doubt) => Act::Perhaps {
                    table,
                    start,
                    end,
                    doubt,
                },
            },
        ));
    }

    /// A line of the text, in the quotes of `iptables-restore`; where it stands.
    fn write(&mut self, words: &[&Field]) -> (usize, usize) {
        let text = &mut self.out.text;
        let start = text.len();
        for word in words {
            if text.len() > start {
                text.push(b' ');
            }
            self.out.places.add(text.len(), word.start, word.end);
            let is_plain = !word.text.is_empty()
                && !word
                    .text
                    .iter()
                    .any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\\'));
            if is_plain {
                text.extend_from_slice(&word.text);
                continue;
            }
            text.push(b'"');
            for byte in &word.text {
                match byte {
                    b'"' | b'\\' => text.extend([b'\\', *byte]),
                    b'\n' => text.push(b' '),
                    byte => text.push(*byte),
                }
            }
            text.push(b'"');
        }
        let end = text.len();
        text.push(b'\n');
        (start, end)
    }
}

#[cfg(test)]
mod tests;
