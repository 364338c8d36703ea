//! In: what was wrong with lines. Out: findings in the user's terms, and what stays in force where a load fails.
//!
//! The first line at which `iptables-restore` stops decides: everything up to the last `COMMIT` before it is loaded, the
//! rest of the file never is.

use super::book::Book;
use super::forms::Form;
use super::listing;
use super::syntax::{File, Problem, ProblemKind};
use crate::config::{Diagnostic, DialectFinding, Edit, Fix, Input, Level, Reading};
use crate::model::Family;
use crate::source::{Span, Spanned};

/// How many findings of one kind are told one by one.
const PER_KIND: usize = 20;

pub(super) const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: "iptables/refused-line",
        level: Level::Error,
        title: "iptables-restore refuses the line",
        doc: "iptables-restore reads a file line by line and stops at the first line that it does not take. \
              Tables whose COMMIT was reached before stay loaded; the rest of the file never is.\n\n\
              After a boot that means chains with their default policy ACCEPT, or the rules that were there before. \
              Mend the line, and try the file with `iptables-restore --test`.",
    },
    Diagnostic {
        id: "iptables/missing-commit",
        level: Level::Error,
        title: "a table block has no COMMIT",
        doc: "A table is loaded when its COMMIT line is reached. Without it, iptables-restore reports an error and the \
              table keeps what it had before.\n\nWrite `COMMIT` alone on a line after the table's last rule.",
    },
    Diagnostic {
        id: "iptables/undeclared-chain",
        level: Level::Error,
        title: "a chain is used but not declared",
        doc: "A chain of your own must be declared (`:NAME - [0:0]` or `-N NAME`) before a rule stands in it or jumps to \
              it; a target must be a chain of the same table or an extension that is installed.\n\n\
              iptables-restore stops at such a rule. Declare the chain at the top of its table.",
    },
    Diagnostic {
        id: "iptables/loop",
        level: Level::Error,
        title: "chains call each other in a circle",
        doc: "The kernel refuses a table in which a packet could walk in a circle: a chain that calls itself, directly or \
              through others, and that a built-in chain reaches.\n\nRemove one of the jumps.",
    },
    Diagnostic {
        id: "iptables/duplicate-table",
        level: Level::Warning,
        title: "a table stands in the file twice",
        doc: "iptables-restore empties a table when its block begins, so a second block of the same table replaces the \
              first. (Where the second block declares no chain, the nft backend adds to the first block and the legacy \
              backend replaces it.)\n\nJoin the two blocks into one.",
    },
    Diagnostic {
        id: "iptables/reversed-range",
        level: Level::Warning,
        title: "a range ends before it begins",
        doc: "The rule loads and never matches, since no number lies in such a range.\n\nSwap the two ends.",
    },
    Diagnostic {
        id: "iptables/carriage-return",
        level: Level::Error,
        title: "the file has Windows line ends",
        doc: "iptables-restore takes the carriage return as part of the last word of each line, so no target, table or \
              COMMIT is recognised and the whole file is refused.\n\nStore the file with line feeds only \
              (`sed -i 's/\\r$//' FILE`).",
    },
    Diagnostic {
        id: "iptables/host-name",
        level: Level::Warning,
        title: "a host name is looked up when the rules are loaded",
        doc: "iptables resolves a name once, when the rule is loaded, and stores the addresses. If the name does not \
              resolve then (at boot, before the network is up), the whole file is refused; if it changes later, the \
              rule keeps the old addresses.\n\nWrite addresses, or an ipset that something keeps up to date.",
    },
    Diagnostic {
        id: "iptables/template",
        level: Level::Warning,
        title: "the file is a template",
        doc: "A placeholder (`{{ }}`, `${NAME}`) stands where a value is expected. What the rules do depends on how it is \
              filled in, so everything that it may influence is undecided.\n\nCheck the file that the template makes.",
    },
    Diagnostic {
        id: "iptables/other-backend",
        level: Level::Warning,
        title: "part of the rules is in the other backend",
        doc: "iptables keeps its rules either in nftables or in the legacy tables; the kernel applies both. The dump says \
              that the other backend has rules as well, which are not in it.\n\nSave both with `iptables-nft-save` and \
              `iptables-legacy-save`, and check both.",
    },
    Diagnostic {
        id: "iptables/listing",
        level: Level::Error,
        title: "the file is a listing of iptables -L",
        doc: "`iptables -L` prints for people: without -v it leaves out interfaces, and match options stand in free \
              text. A rule that looks like `ACCEPT all anywhere anywhere` may accept on the loopback interface only, \
              so nothing is decided from it.\n\nRun `iptables-save` (or `iptables -S` for each table) on the machine \
              and check its output.",
    },
    Diagnostic {
        id: "iptables/not-understood",
        level: Level::Warning,
        title: "a line is not understood",
        doc: "The real program may take the line, but gatelint could not follow what it does. What it may influence is \
              undecided.\n\nCheck the output of `iptables-save` on the machine instead.",
    },
];

impl ProblemKind {
    fn id(self) -> &'static str {
        match self {
            Self::RefusedLine => "iptables/refused-line",
            Self::ReversedRange => "iptables/reversed-range",
            Self::MissingCommit => "iptables/missing-commit",
            Self::UndeclaredChain => "iptables/undeclared-chain",
            Self::Loop => "iptables/loop",
            Self::DuplicateTable => "iptables/duplicate-table",
            Self::Template => "iptables/template",
            Self::HostName => "iptables/host-name",
            Self::CarriageReturn => "iptables/carriage-return",
            Self::OtherBackend => "iptables/other-backend",
            Self::NotUnderstood => "iptables/not-understood",
        }
    }

    /// Whether the real program stops there.
    fn stops_the_load(self) -> bool {
        match self {
            Self::RefusedLine
            | Self::MissingCommit
            | Self::UndeclaredChain
            | Self::Loop
            | Self::CarriageReturn => true,
            Self::ReversedRange
            | Self::DuplicateTable
            | Self::Template
            | Self::HostName
            | Self::OtherBackend
            | Self::NotUnderstood => false,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::RefusedLine => "mend the line, then try the file with `iptables-restore --test`",
            Self::ReversedRange => "swap the two ends of the range",
            Self::MissingCommit => "write `COMMIT` on a line after the table's last rule",
            Self::UndeclaredChain => "declare the chain (`:NAME - [0:0]`) at the top of its table",
            Self::Loop => "remove one of the jumps of the circle",
            Self::DuplicateTable => "join the two blocks of the table into one",
            Self::Template => "check the file that the template makes",
            Self::HostName => "write the addresses instead of the name",
            Self::CarriageReturn => "store the file with line feeds only",
            Self::OtherBackend => {
                "check the output of both `iptables-nft-save` and `iptables-legacy-save`"
            }
            Self::NotUnderstood => "check the output of `iptables-save` on the machine instead",
        }
    }
}

/// Adds the findings of a file to its reading.
pub(super) fn diagnose(tree: &File<'_>, book: &Book<'_>, reading: &mut Reading) {
    let unread = book.rules - book.understood.min(book.rules);
    reading.understood = tree.statements.saturating_sub(unread).saturating_sub(
        tree.problems
            .iter()
            .filter(|problem| {
                // What a line end or a missing COMMIT says of a line is no doubt about its words.
                matches!(
                    problem.kind,
                    ProblemKind::RefusedLine | ProblemKind::Template | ProblemKind::NotUnderstood
                )
            })
            .count(),
    );
    let mut problems: Vec<&Problem> = tree.problems.iter().chain(&book.problems).collect();
    let other = tree.other_backend.map(|span| Problem {
        kind: ProblemKind::OtherBackend,
        span,
        text: "the rules of the other backend are not in this file".to_owned(),
        related: None,
        help: None,
    });
    problems.extend(&other);
    problems.sort_by_key(|problem| problem.span.start);
    let template = problems
        .iter()
        .any(|problem| problem.kind == ProblemKind::Template)
        && book.form == Form::Save;
    let mut refused = false;
    let mut told: Vec<(ProblemKind, usize)> = Vec::new();
    for problem in problems {
        // What a placeholder makes of a line is not the file's mistake.
        if template && problem.kind.stops_the_load() {
            continue;
        }
        // What a variable leaves open is said where it matters.
        if book.form != Form::Save && problem.kind == ProblemKind::Template {
            continue;
        }
        if book.completed_by.is_some() && problem.kind == ProblemKind::UndeclaredChain {
            continue;
        }
        match told.iter_mut().find(|(kind, _)| *kind == problem.kind) {
            Some((_, count)) if *count >= PER_KIND => continue,
            // One carriage return says it all.
            Some(_) if problem.kind == ProblemKind::CarriageReturn => continue,
            Some((_, count)) => *count += 1,
            None => told.push((problem.kind, 1)),
        }
        // A command that fails stops no script, and a list shows what is loaded.
        let refuses = problem.kind.stops_the_load() && !refused && book.form == Form::Save;
        refused |= refuses;
        reading.findings.push(finding(tree, book, problem, refuses));
    }
}

fn finding(tree: &File<'_>, book: &Book<'_>, problem: &Problem, refuses: bool) -> DialectFinding {
    let program = match book.family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    };
    let title = match problem.kind {
        ProblemKind::RefusedLine
        | ProblemKind::MissingCommit
        | ProblemKind::UndeclaredChain
        | ProblemKind::Loop
        | ProblemKind::CarriageReturn => {
            if book.form != Form::Save {
                "iptables refuses the command: its rule is not there".to_owned()
            } else if refuses {
                format!(
                    "{program} refuses the file: {}",
                    in_force(tree, problem.span)
                )
            } else {
                format!("{program} refuses this line too")
            }
        }
        ProblemKind::ReversedRange => "the rule never matches".to_owned(),
        ProblemKind::DuplicateTable => {
            "the first block of the table is thrown away when the second is loaded".to_owned()
        }
        ProblemKind::Template => "what the file does depends on a template".to_owned(),
        ProblemKind::HostName => {
            "the rule's addresses are those that a name had when the rules were loaded".to_owned()
        }
        ProblemKind::OtherBackend => {
            "the kernel applies rules that are not in this file".to_owned()
        }
        ProblemKind::NotUnderstood => {
            "the line may change the rules in a way that is not followed".to_owned()
        }
    };
    DialectFinding {
        id: problem.kind.id(),
        title,
        label: Spanned::new(problem.text.clone(), problem.span),
        related: problem
            .related
            .iter()
            .map(|(span, text)| Spanned::new(text.clone(), *span))
            .collect(),
        help: Some(match (&problem.help, problem.kind, book.form) {
            (Some(help), _, _) => help.clone(),
            (None, ProblemKind::RefusedLine, Form::Script) => {
                "mend the command, and try it on a test machine".to_owned()
            }
            (None, kind, _) => kind.help().to_owned(),
        }),
        fix: swapped(book, problem),
        refuses,
    }
}

/// A listing leaves too much out to be judged: one finding says what to give instead.
pub(super) fn listed(input: &Input<'_>) -> Reading {
    let (start, end) = listing::headline(input.bytes).unwrap_or_default();
    let finding = DialectFinding {
        id: "iptables/listing",
        title: "this is a listing; give the output of `iptables-save`".to_owned(),
        label: Spanned::new(
            "`iptables -L` leaves out interfaces and options of matches".to_owned(),
            Span::new(input.file, start, end),
        ),
        related: Vec::new(),
        help: Some("run `iptables-save` on the machine and check its output".to_owned()),
        fix: None,
        refuses: false,
    };
    Reading {
        findings: vec![finding],
        statements: 1,
        understood: 1,
        not_judged: Some("a listing does not hold the whole rules".to_owned()),
        ..Reading::default()
    }
}

/// What is loaded although the file is refused at a place.
fn in_force(tree: &File<'_>, at: Span) -> String {
    let committed: Vec<&str> = tree
        .tables
        .iter()
        .filter(|table| table.commit.is_some_and(|commit| commit.end <= at.start))
        .map(|table| table.name.word())
        .collect();
    match committed.as_slice() {
        [] => "nothing of it is loaded, the rules of before stay".to_owned(),
        [one] => format!("only its {one} table is loaded, the other tables stay as before"),
        several => format!(
            "only its tables {} are loaded, the others stay as before",
            several.join(", ")
        ),
    }
}

/// The ends of a reversed range the right way round.
fn swapped(book: &Book<'_>, problem: &Problem) -> Option<Fix> {
    if problem.kind != ProblemKind::ReversedRange || book.form == Form::Script {
        return None;
    }
    let text = std::str::from_utf8(book.bytes.get(problem.span.range())?).ok()?;
    let separator = text.find([':', '-'])?;
    let (low, high) = (text.get(..separator)?, text.get(separator + 1..)?);
    let between = text.get(separator..=separator)?;
    Some(Fix {
        title: format!("write `{high}{between}{low}` instead of `{text}`"),
        edits: vec![Edit {
            span: problem.span,
            text: format!("{high}{between}{low}"),
        }],
        // A rule that never matched begins to match.
        safe: false,
    })
}
