//! In: the words of one rule. Out: a guard and a step.
//!
//! Reads options in the order of the line, as iptables' `xshared.c` and its extensions do: an option belongs to the
//! match that was named last, then to what `-p` implies, then to the target. An option that nobody knows belongs to the
//! extension that is not known; together they are one unknown.
//!
//! Invariants: a rule never loses a condition: what was not understood is an unknown guard or an obscure step.

use rustc_hash::FxHashMap;

use super::book::Book;
use super::extensions::Opaque;
use super::options::Match;
use super::parse::is_template;
use super::syntax::{ProblemKind, RuleLine, TableName};
use super::targets;
use super::values::{self, NoAddress};
use super::words::{Word, Words};
use crate::model::{Dim, Guard, Ranges, Rule, Test, Unknown, UnknownKind};

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p, 'a> {
    pub(super) table: TableName,
    pub(super) chain: &'a [u8],
    /// The chains of its table.
    pub(super) chains: &'p FxHashMap<&'a [u8], usize>,
    /// What the first of them is in the gate.
    pub(super) base: usize,
}

/// Reads one rule.
pub(super) fn rule<'a>(book: &mut Book<'a>, place: Place<'_, 'a>, line: RuleLine) -> Rule {
    let words = Words::new(book.bytes, line.body, line.end);
    let span = if line.body < line.end {
        book.span(line.body, line.end)
    } else {
        book.span(line.start, line.end)
    };
    let mut body = Body {
        book,
        place,
        line,
        words,
        guards: Vec::new(),
        negated: None,
        protocol: None,
        current: Current::Nothing,
        loaded: Vec::new(),
        seen: 0,
        taken: 0,
        inbound: true,
        opaque: None,
        target: None,
        goto: false,
        options: Vec::new(),
        strange: false,
    };
    body.read();
    let step = targets::step(&mut body);
    let strange = body.strange;
    let mut guards = body.guards;
    book.rules += 1;
    book.understood += usize::from(!strange);
    let guard = match guards.len() {
        0 => Guard::Always,
        1 => guards.pop().unwrap_or(Guard::Always),
        _ => {
            // There may be a million rules.
            guards.shrink_to_fit();
            Guard::All(guards)
        }
    };
    Rule { guard, step, span }
}

/// Whose options come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    Nothing,
    Match(Match),
    Target,
}

/// A rule that is being read.
pub(super) struct Body<'b, 'p, 'a> {
    pub(super) book: &'b mut Book<'a>,
    pub(super) place: Place<'p, 'a>,
    pub(super) line: RuleLine,
    words: Words<'a>,
    pub(super) guards: Vec<Guard>,
    /// A `!` waits for its option.
    negated: Option<Word<'a>>,
    /// Number, and whether it is negated.
    pub(super) protocol: Option<(u8, bool)>,
    current: Current,
    loaded: Vec<Match>,
    /// Options that may stand only once: bits.
    seen: u8,
    /// Options of the matches that were named last, of which each stands once.
    pub(super) taken: u32,
    /// `--dir` of the policy match.
    pub(super) inbound: bool,
    pub(super) opaque: Option<Opaque>,
    /// The target's name, once.
    pub(super) target: Option<Word<'a>>,
    pub(super) goto: bool,
    /// The target's options, each with its arguments.
    pub(super) options: Vec<Word<'a>>,
    /// Something was not understood.
    pub(super) strange: bool,
}

const SOURCE: u8 = 1;
const DESTINATION: u8 = 2;
const PROTOCOL: u8 = 4;
const IN: u8 = 8;
const OUT: u8 = 16;
/// An option of the multiport match that was named last.
const PORTS: u8 = 32;

impl<'a> Body<'_, '_, 'a> {
    fn read(&mut self) {
        while let Some(word) = self.words.next() {
            if !word.quoted && &*word.text == b"!" {
                if self.negated.is_some() {
                    self.refuse(&word, "a second `!`");
                }
                self.negated = Some(word);
                continue;
            }
            self.option(word);
        }
        self.close_opaque();
        if let Some(word) = self.negated.take() {
            self.refuse(&word, "a `!` with nothing after it");
        }
    }

    fn option(&mut self, word: Word<'a>) {
        // getopt takes `--dport=53` too.
        if word.text.starts_with(b"--")
            && let Some(at) = memchr::memchr(b'=', &word.text)
            && !word.quoted
        {
            let at32 = u32::try_from(at).unwrap_or(u32::MAX);
            self.words = Words::new(
                self.book.bytes,
                word.start.saturating_add(at32).saturating_add(1),
                self.line.end,
            );
            let text = word.text.get(..at).unwrap_or_default().to_vec();
            let end = word.start.saturating_add(at32);
            return self.option(Word {
                text: text.into(),
                end,
                ..word
            });
        }
        match &*word.text {
            b"-s" | b"--source" | b"--src" => self.address(&word, Dim::Source, SOURCE),
            b"-d" | b"--destination" | b"--dst" => {
                self.address(&word, Dim::Destination, DESTINATION);
            }
            b"-p" | b"--protocol" => self.protocol(&word),
            b"--proto" if self.current != Current::Match(Match::Policy) => self.protocol(&word),
            b"-i" | b"--in-interface" => self.interface(&word, Dim::InInterface, IN),
            b"-o" | b"--out-interface" => self.interface(&word, Dim::OutInterface, OUT),
            b"-m" | b"--match" => self.module(&word),
            b"-j" | b"--jump" => self.jump(&word, false),
            b"-g" | b"--goto" => self.jump(&word, true),
            b"-f" | b"--fragment" => {
                let negated = self.take_negation();
                let span = self.book.span(word.start, word.end);
                let guard = self.book.fact(
                    "fragment",
                    "knowing whether fragments arrive before they are put together",
                    "fragment".to_owned(),
                    span,
                );
                self.guards.push(guard.negated_if(negated));
            }
            b"-c" | b"--set-counters" => {
                self.words.next();
                self.words.next();
            }
            b"-w" | b"--wait" | b"-n" | b"-v" | b"-4" | b"-6" => {}
            _ => self.extension(word),
        }
    }

    /// An option of a match or target.
    fn extension(&mut self, word: Word<'a>) {
        if !word.text.starts_with(b"-") || word.quoted {
            return self.stray(&word);
        }
        let word = self.spelt_out(word);
        if Match::Multiport.knows(&word.text) && self.loaded.contains(&Match::Multiport) {
            if self.seen & PORTS != 0 {
                self.refuse(&word, "one multiport match takes one list of ports");
            }
            self.seen |= PORTS;
        }
        if let Current::Match(current) = self.current
            && self.offer(current, &word)
        {
            return;
        }
        if self.current == Current::Target && !self.implied(&word) {
            self.negated = None;
            if self
                .options
                .iter()
                .any(|known| !known.quoted && known.text == word.text)
            {
                self.refuse(&word, "a target takes the option once");
            }
            self.options.push(word);
            self.arguments();
            return;
        }
        if self.current == Current::Target || self.implied(&word) {
            let implied = self.implied_match();
            if let Some(implied) = implied
                && self.offer(implied, &word)
            {
                self.loaded.push(implied);
                return;
            }
        }
        let loaded = std::mem::take(&mut self.loaded);
        let taken = loaded.iter().rev().any(|at| self.offer(*at, &word));
        self.loaded = loaded;
        if taken {
            return;
        }
        if let Some(opaque) = &mut self.opaque {
            opaque.end = word.end;
            self.negated = None;
            self.skip_arguments();
            return;
        }
        let text = String::from_utf8_lossy(&word.text).into_owned();
        let help = match &*word.text {
            b"--dport"
            | b"--sport"
            | b"--destination-port"
            | b"--source-port"
            | b"--dports"
            | b"--sports" => {
                format!("`{text}` needs `-p tcp` or `-p udp` before it")
            }
            _ => format!("`{text}` is no option of anything that is named before it"),
        };
        self.refuse(&word, &help);
        self.skip_arguments();
    }

    /// Where multiport was named and the protocol's own match was not, getopt takes `--dport` for `--dports`.
    fn spelt_out(&self, word: Word<'a>) -> Word<'a> {
        let own = |known: &Match| matches!(known, Match::Tcp | Match::Udp | Match::Sctp);
        let short = matches!(
            &*word.text,
            b"--dport" | b"--sport" | b"--destination-port" | b"--source-port"
        );
        if !short || !self.loaded.contains(&Match::Multiport) || self.loaded.iter().any(own) {
            return word;
        }
        Word {
            text: [&*word.text, b"s"].concat().into(),
            ..word
        }
    }

    /// Whether the option is one of those that `-p` implies.
    fn implied(&self, word: &Word<'_>) -> bool {
        self.implied_match()
            .is_some_and(|implied| implied.knows(&word.text))
    }

    fn implied_match(&self) -> Option<Match> {
        match self.protocol {
            Some((number, _)) => Match::implied(number),
            None => None,
        }
    }

    /// Collects the arguments of a target's option.
    fn arguments(&mut self) {
        while let Some(word) = self.peek_argument() {
            self.words.next();
            self.options.push(word);
        }
    }

    fn skip_arguments(&mut self) {
        while let Some(word) = self.peek_argument() {
            if let Some(opaque) = &mut self.opaque {
                opaque.end = word.end;
            }
            self.words.next();
        }
    }

    /// The next word, where it is no option.
    pub(super) fn peek_argument(&self) -> Option<Word<'a>> {
        let word = self.words.clone().next()?;
        let option = !word.quoted && (word.text.starts_with(b"-") || &*word.text == b"!");
        (!option).then_some(word)
    }

    fn stray(&mut self, word: &Word<'a>) {
        let text = String::from_utf8_lossy(&word.text).into_owned();
        if is_template(&word.text) {
            self.template(word);
        } else if text.starts_with('#') {
            self.refuse(word, "a comment must stand on a line of its own");
            // Nothing after it was meant as a rule.
            while self.words.next().is_some() {}
            return;
        } else {
            self.refuse(word, &format!("`{text}` stands where an option must stand"));
        }
        let guard = self.opaque_guard("word", &format!("what `{text}` means here"), word);
        self.guards.push(guard);
    }

    pub(super) fn take_negation(&mut self) -> bool {
        self.negated.take().is_some()
    }

    /// The option's argument; `! X` after the option is how old dumps write a negation.
    pub(super) fn argument(&mut self, option: &Word<'a>, negated: &mut bool) -> Option<Word<'a>> {
        let Some(mut word) = self.words.next() else {
            self.refuse(option, "its argument is missing");
            return None;
        };
        if !word.quoted && &*word.text == b"!" {
            let old = word.clone();
            *negated = !*negated;
            let Some(next) = self.words.next() else {
                self.refuse(option, "its argument is missing");
                return None;
            };
            word = next;
            self.refuse(
                &old,
                "`!` must stand before the option since iptables 1.4.3, here it stands after it",
            );
        }
        Some(word)
    }

    pub(super) fn refuse(&mut self, word: &Word<'_>, text: &str) {
        let span = self.book.span(word.start, word.end);
        self.strange = true;
        self.book.problem(ProblemKind::RefusedLine, span, text);
    }

    fn template(&mut self, word: &Word<'_>) {
        let span = self.book.span(word.start, word.end);
        self.strange = true;
        self.book.problem(
            ProblemKind::Template,
            span,
            format!(
                "`{}` is filled in by a template",
                String::from_utf8_lossy(&word.text)
            ),
        );
    }

    /// A guard for an argument that is no value of its option.
    pub(super) fn bad_value(&mut self, word: &Word<'_>, what: &str) -> Guard {
        let text = String::from_utf8_lossy(&word.text).into_owned();
        let span = self.book.span(word.start, word.end);
        if is_template(&word.text) {
            self.template(word);
            return self.book.fact(
                "template",
                format!("the value of `{text}`"),
                format!("template:{what}:{text}"),
                span,
            );
        }
        self.refuse(word, &format!("`{text}` is no {what}"));
        self.opaque_guard("word", &format!("a {what} instead of `{text}`"), word)
    }

    pub(super) fn opaque_guard(
        &mut self,
        code: &'static str,
        text: &str,
        word: &Word<'_>,
    ) -> Guard {
        self.strange = true;
        let span = self.book.span(word.start, word.end);
        Guard::Unknown(self.book.unknown(Unknown {
            kind: UnknownKind::Opaque,
            code,
            text: text.to_owned(),
            identity: None,
            span: Some(span),
        }))
    }

    fn once(&mut self, word: &Word<'_>, bit: u8) {
        if self.seen & bit != 0 {
            self.refuse(word, "the option stands twice");
        }
        self.seen |= bit;
    }

    fn address(&mut self, option: &Word<'a>, dim: Dim, bit: u8) {
        self.once(option, bit);
        let mut negated = self.take_negation();
        let Some(word) = self.argument(option, &mut negated) else {
            return;
        };
        let mut all: Option<Ranges> = None;
        let mut other: Vec<Guard> = Vec::new();
        let mut parts = 0;
        for part in word.text.split(|byte| *byte == b',') {
            parts += 1;
            match values::network(part, self.book.family) {
                Ok(set) => {
                    all = Some(match all {
                        None => set,
                        Some(all) => all.union(&set),
                    });
                }
                Err(reason) => other.push(self.no_address(&word, part, dim, reason)),
            }
        }
        if negated && parts > 1 {
            self.refuse(&word, "`!` with several addresses");
        }
        let whole = match self.book.family {
            crate::model::Family::V4 => Ranges::ipv4(),
            crate::model::Family::V6 => Ranges::full(),
        };
        if other.is_empty() && all.as_ref() == Some(&whole) {
            if !negated {
                return;
            }
            self.refuse(&word, "`!` with every address");
        }
        other.extend(all.map(|set| Guard::number(dim, set)));
        let guard = match other.len() {
            1 => other.pop().unwrap_or(Guard::Always),
            _ => Guard::AnyOf(other),
        };
        self.guards.push(guard.negated_if(negated));
    }

    fn no_address(&mut self, word: &Word<'a>, part: &[u8], dim: Dim, reason: NoAddress) -> Guard {
        let text = String::from_utf8_lossy(part).into_owned();
        let span = self.book.span(word.start, word.end);
        match reason {
            NoAddress::Name => {
                self.strange = true;
                self.book.problem(
                    ProblemKind::HostName,
                    span,
                    format!("`{text}` is looked up once, when the rules are loaded"),
                );
                let side = if dim == Dim::Source {
                    "source"
                } else {
                    "destination"
                };
                self.book.fact(
                    "host-name",
                    format!("the addresses of `{text}`"),
                    format!("host:{side}:{text}"),
                    span,
                )
            }
            NoAddress::OtherFamily => {
                self.refuse(word, &format!("`{text}` is an address of the other family"));
                Guard::AnyOf(Vec::new())
            }
            NoAddress::TooManyHoles => self.opaque_guard(
                "mask",
                &format!("working out the many networks of `{text}`"),
                word,
            ),
            NoAddress::Wrong => self.bad_value(word, "address"),
        }
    }

    fn protocol(&mut self, option: &Word<'a>) {
        self.once(option, PROTOCOL);
        let mut negated = self.take_negation();
        let Some(word) = self.argument(option, &mut negated) else {
            return;
        };
        match values::protocol(&word.text) {
            Some(0) => {
                if negated {
                    self.refuse(&word, "`!` with every protocol");
                    self.guards.push(Guard::AnyOf(Vec::new()));
                }
            }
            Some(number) => {
                self.protocol = Some((number, negated));
                self.guards.push(
                    Guard::number(Dim::Protocol, Ranges::one(u128::from(number)))
                        .negated_if(negated),
                );
            }
            None => {
                let guard = self.bad_value(&word, "protocol");
                self.guards.push(guard.negated_if(negated));
            }
        }
    }

    fn interface(&mut self, option: &Word<'a>, dim: Dim, bit: u8) {
        self.once(option, bit);
        let mut negated = self.take_negation();
        let Some(word) = self.argument(option, &mut negated) else {
            return;
        };
        let wrong = if dim == Dim::InInterface {
            matches!(self.place.chain, b"OUTPUT" | b"POSTROUTING")
        } else {
            matches!(self.place.chain, b"INPUT" | b"PREROUTING")
        };
        if wrong {
            let (option, chain) = (
                String::from_utf8_lossy(&option.text).into_owned(),
                String::from_utf8_lossy(self.place.chain).into_owned(),
            );
            self.refuse(&word, &format!("`{option}` cannot be used in {chain}"));
        }
        if is_template(&word.text) {
            let guard = self.bad_value(&word, "interface");
            self.guards.push(guard.negated_if(negated));
            return;
        }
        // IFNAMSIZ is 16 with its end.
        if word.text.len() > 15 || word.text.is_empty() {
            let guard = self.bad_value(&word, "interface");
            self.guards.push(guard.negated_if(negated));
            return;
        }
        let guard = match self.book.interface(&word.text) {
            Some(id) => Guard::Is(Test::Text(dim, id)),
            None => Guard::Always,
        };
        if guard != Guard::Always || negated {
            self.guards.push(guard.negated_if(negated));
        }
    }

    fn module(&mut self, option: &Word<'a>) {
        self.close_opaque();
        if let Some(word) = self.negated.take() {
            self.refuse(
                &word,
                "`!` must stand before an option of the match, not before `-m`",
            );
        }
        let Some(word) = self.words.next() else {
            self.refuse(option, "the match's name is missing");
            return;
        };
        let module = Match::from_word(&word.text);
        if let Some(number) = module.needs_protocol(self.book.family)
            && !matches!(self.protocol, Some((found, false)) if number.contains(&found))
            && self.protocol_comes_later(number).is_none()
        {
            let name = String::from_utf8_lossy(&word.text).into_owned();
            self.refuse(
                &word,
                &format!("the match `{name}` needs its protocol (`-p`)"),
            );
        }
        if let Some(opaque) = module.opaque(&word) {
            if module == Match::Foreign {
                self.strange = true;
            }
            self.opaque = Some(opaque);
        }
        if module == Match::Multiport {
            self.seen &= !PORTS;
        }
        self.taken &= !module.all_once();
        self.loaded.push(module);
        self.current = Current::Match(module);
    }

    /// `-m udp -p udp` is taken too.
    fn protocol_comes_later(&self, wanted: &[u8]) -> Option<u8> {
        let mut words = self.words.clone();
        while let Some(word) = words.next() {
            if matches!(&*word.text, b"-p" | b"--protocol") {
                return words
                    .next()
                    .and_then(|word| values::protocol(&word.text))
                    .filter(|number| wanted.contains(number));
            }
        }
        None
    }

    fn jump(&mut self, option: &Word<'a>, goto: bool) {
        self.close_opaque();
        if let Some(word) = self.negated.take() {
            self.refuse(&word, "`!` before a target");
        }
        if self.target.is_some() {
            self.refuse(option, "a second target");
        }
        let Some(word) = self.words.next() else {
            self.refuse(option, "the target's name is missing");
            return;
        };
        self.target = Some(word);
        self.goto = goto;
        self.current = Current::Target;
    }

    /// Ends a match that is one unknown with all its options.
    fn close_opaque(&mut self) {
        if let Some(opaque) = self.opaque.take() {
            let guard = opaque.guard(self.book);
            self.guards.push(guard);
        }
    }
}
