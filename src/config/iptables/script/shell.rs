//! In: the text of a shell script. Out: its tokens, as POSIX sh (XCU 2.3) finds them.
//!
//! A word is a place of the text; what it stands for depends on the variables when it is run ([`super::expand`]).

/// A piece of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Between two offsets.
    Word(usize, usize),
    /// The operator, in its first letters, and where it stands.
    Operator(Operator, usize),
}

/// What stands between commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `;`, `&`, a line's end.
    Next,
    /// `;;`
    CaseEnd,
    And,
    Or,
    Pipe,
    Open,
    Close,
}

/// All tokens; redirections and here-documents are left out.
pub(super) fn tokens(text: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        documents: Vec::new(),
        tokens: Vec::new(),
    };
    while lexer.at < text.len() {
        lexer.token();
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Here-documents that begin after this line: the delimiter, and whether tabs before it do not count.
    documents: Vec<(Vec<u8>, bool)>,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn operator(&mut self, operator: Operator, length: usize) {
        self.tokens.push(Token::Operator(operator, self.at));
        self.at += length;
    }

    fn token(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some(b' ' | b'\t' | b'\r'), _) => self.at += 1,
            (Some(b'\\'), Some(b'\n')) => self.at += 2,
            (Some(b'\\'), Some(b'\r')) if self.peek(2) == Some(b'\n') => self.at += 3,
            (Some(b'\n'), _) => {
                self.operator(Operator::Next, 1);
                self.skip_documents();
            }
            (Some(b'#'), _) => {
                while self.peek(0).is_some_and(|byte| byte != b'\n') {
                    self.at += 1;
                }
            }
            (Some(b';'), Some(b';' | b'&')) => self.operator(Operator::CaseEnd, 2),
            (Some(b'&'), Some(b'&')) => self.operator(Operator::And, 2),
            (Some(b'&'), Some(b'>')) => {
                self.at += 1;
                self.redirection();
            }
            (Some(b';' | b'&'), _) => self.operator(Operator::Next, 1),
            (Some(b'|'), Some(b'|')) => self.operator(Operator::Or, 2),
            (Some(b'|'), Some(b'&')) => self.operator(Operator::Pipe, 2),
            (Some(b'|'), _) => self.operator(Operator::Pipe, 1),
            (Some(b'('), _) => self.operator(Operator::Open, 1),
            (Some(b')'), _) => self.operator(Operator::Close, 1),
            (Some(b'<' | b'>'), _) => self.redirection(),
            _ => {
                let start = self.at;
                self.at = word_end(self.text, start).max(start + 1);
                let word = self.text.get(start..self.at).unwrap_or_default();
                let is_descriptor = word.iter().all(u8::is_ascii_digit)
                    && matches!(self.peek(0), Some(b'<' | b'>'));
                if !is_descriptor {
                    self.tokens.push(Token::Word(start, self.at));
                }
            }
        }
    }

    /// `>file`, `2>&1`, `<<EOF`: what follows the sign is no word of the command.
    fn redirection(&mut self) {
        let start = self.at;
        while matches!(self.peek(0), Some(b'<' | b'>')) {
            self.at += 1;
        }
        let is_document = self.text.get(start..self.at) == Some(b"<<");
        let strips_tabs = is_document && self.peek(0) == Some(b'-');
        if strips_tabs || matches!(self.peek(0), Some(b'&' | b'|')) {
            self.at += 1;
        }
        if self.peek(0) == Some(b'(') {
            // Process substitution: its commands are met as a subshell.
            return;
        }
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let begin = self.at;
        self.at = word_end(self.text, begin);
        if is_document {
            let word = self.text.get(begin..self.at).unwrap_or_default();
            let delimiter = word
                .iter()
                .copied()
                .filter(|byte| !matches!(byte, b'\'' | b'"' | b'\\'))
                .collect();
            self.documents.push((delimiter, strips_tabs));
        }
    }

    fn skip_documents(&mut self) {
        for (delimiter, strips_tabs) in std::mem::take(&mut self.documents) {
            while self.at < self.text.len() {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let mut line = rest.get(..length).unwrap_or_default();
                self.at = (self.at + length + 1).min(self.text.len());
                while strips_tabs && line.starts_with(b"\t") {
                    line = line.get(1..).unwrap_or_default();
                }
                if line == delimiter {
                    break;
                }
            }
        }
    }
}

/// Where a word ends that begins at `at`.
fn word_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
            _ => at = piece_end(text, at),
        }
    }
    at.min(text.len())
}

/// Where the quotation, substitution or single byte ends that begins at `at`.
pub(super) fn piece_end(text: &[u8], at: usize) -> usize {
    let until = |from: usize, sign: u8| {
        let rest = text.get(from..).unwrap_or_default();
        memchr::memchr(sign, rest).map_or(text.len(), |found| from + found + 1)
    };
    match (text.get(at), text.get(at + 1)) {
        (Some(b'\\'), _) => at + 2,
        (Some(b'\''), _) => until(at + 1, b'\''),
        (Some(b'`'), _) => until(at + 1, b'`'),
        (Some(b'"'), _) => {
            let mut end = at + 1;
            while let Some(byte) = text.get(end) {
                match (byte, text.get(end + 1)) {
                    (b'"', _) => return end + 1,
                    (b'\\', _) => end += 2,
                    (b'$', Some(b'(')) => end = matching(text, end + 1, b'(', b')'),
                    _ => end += 1,
                }
            }
            text.len()
        }
        (Some(b'$'), Some(b'(')) => matching(text, at + 1, b'(', b')'),
        (Some(b'$'), Some(b'{')) => matching(text, at + 1, b'{', b'}'),
        _ => at + 1,
    }
}

/// After the bracket that closes the one at `at`; quotes inside hide brackets.
fn matching(text: &[u8], mut at: usize, open: u8, close: u8) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = text.get(at) {
        at += 1;
        match *byte {
            b'\\' => at += 1,
            b'\'' if open == b'(' => {
                let rest = text.get(at..).unwrap_or_default();
                at += memchr::memchr(b'\'', rest).map_or(rest.len(), |found| found + 1);
            }
            byte if byte == open => depth += 1,
            byte if byte == close => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    at.min(text.len())
}
