//! In: the lines of a resolv.conf. Out: what libc ends up with: the servers it asks, its options, and every line that it
//! drops although its author meant it.

use std::net::IpAddr;

use super::syntax::{Choice, Ignored, Libc, Line, Statement};
use crate::source::{Span, Spanned};

/// glibc `MAXNS`, musl `MAXNS`: later nameservers are never asked.
const MAX_NAMESERVERS: usize = 3;

/// What libc ends up with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The servers that are asked, in order.
    pub(super) nameservers: Vec<Spanned<IpAddr>>,
    /// The fourth and later ones.
    pub(super) beyond: Vec<Spanned<IpAddr>>,
    /// The last `search` or `domain` line.
    pub(super) search: Vec<Spanned<String>>,
    /// The last `ndots`.
    pub(super) ndots: Option<Spanned<u32>>,
    /// The last word that switches EDNS0 on.
    pub(super) edns0: Option<Span>,
    /// A `-edns0` after it: clears it since glibc 2.41.
    pub(super) cleared: Option<Span>,
    /// `use-vc`.
    pub(super) tcp_only: Option<Span>,
    /// `no-aaaa`.
    pub(super) no_aaaa: Option<Span>,
    /// The place right after the first `options` keyword that counts.
    pub(super) options: Option<Span>,
    /// Lines and words that are dropped.
    pub(super) dropped: Vec<Spanned<Dropped>>,
    /// Lines that look as if they switched EDNS0 on, and do not.
    pub(super) looks_like_edns0: Vec<Spanned<String>>,
    /// How many lines say something.
    pub(super) statements: usize,
    /// How many of them were understood.
    pub(super) understood: usize,
}

/// What is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A line.
    Line(Ignored),
    /// A word of an `options` line.
    Option(Choice),
}

impl Dropped {
    /// Whether a nameserver is lost with it.
    pub(super) fn is_server(&self) -> bool {
        matches!(
            self,
            Self::Line(Ignored::CarriageReturn | Ignored::Port | Ignored::NotAnAddress)
        )
    }

    /// Why, as a clause.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Line(ignored) => line_reason(ignored).to_owned(),
            Self::Option(Choice::Comma) => {
                "options are separated by blanks, so this is one unknown word".to_owned()
            }
            Self::Option(Choice::Case(known)) => {
                format!("options are lower case; `{known}` is meant")
            }
            Self::Option(
                Choice::Edns0
                | Choice::ClearEdns0
                | Choice::Ndots(_)
                | Choice::UseVc
                | Choice::NoAaaa
                | Choice::Known
                | Choice::Unknown,
            ) => "libc knows no such option".to_owned(),
        }
    }
}

fn line_reason(ignored: &Ignored) -> &'static str {
    match ignored {
        Ignored::Indented => "a blank stands before the keyword",
        Ignored::Case => "keywords are lower case",
        Ignored::Colon => "a keyword is followed by a blank, not by a colon",
        Ignored::ByteOrderMark => "a byte order mark stands before the keyword",
        Ignored::NoValue => "the keyword has no value",
        Ignored::CarriageReturn => {
            "the line ends with a carriage return, which becomes part of the address"
        }
        Ignored::Port => "a nameserver has no port; 53 is always used",
        Ignored::NotAnAddress => "a nameserver must be an address",
        Ignored::TooLong => "musl drops lines of more than 255 bytes",
        Ignored::Unknown => "libc knows no such keyword",
    }
}

/// Goes through the lines as libc does.
pub(super) fn parse(lines: &[Line], libc: Libc) -> Config {
    let mut config = Config::default();
    for line in lines {
        let known = config.dropped.len();
        let before = (config.edns0, config.cleared);
        match &line.statement {
            Statement::Blank => continue,
            Statement::Comment => {
                if line.mentions_edns0 {
                    config
                        .looks_like_edns0
                        .push(Spanned::new("it is a comment".to_owned(), line.span));
                }
                continue;
            }
            Statement::NoEffect => {}
            Statement::Nameserver(address) => {
                if config.nameservers.len() < MAX_NAMESERVERS {
                    config.nameservers.push(*address);
                } else {
                    config.beyond.push(*address);
                }
            }
            Statement::Search(list) => config.search.clone_from(list),
            Statement::Options(choices, after) => {
                config.options.get_or_insert(*after);
                for choice in choices {
                    take(&mut config, choice);
                }
            }
            Statement::Ignored(ignored) => config
                .dropped
                .push(Spanned::new(Dropped::Line(ignored.clone()), line.span)),
        }
        config.statements += 1;
        let dropped = config.dropped.get(known..).unwrap_or_default();
        let unknown = dropped.iter().any(|dropped| {
            matches!(
                dropped.value,
                Dropped::Line(Ignored::Unknown) | Dropped::Option(Choice::Unknown)
            )
        });
        config.understood += usize::from(!unknown);
        if line.mentions_edns0 {
            let misread: Vec<_> = dropped
                .iter()
                .map(|dropped| Spanned::new(dropped.value.why(), line.span))
                .collect();
            let is_options = matches!(line.statement, Statement::Options(..));
            if is_options && misread.is_empty() && (config.edns0, config.cleared) == before {
                // glibc compares the start of a word only: `rotate,edns0` is `rotate`.
                let why = "options are separated by blanks: only the start of a word counts";
                config
                    .looks_like_edns0
                    .push(Spanned::new(why.to_owned(), line.span));
            }
            config.looks_like_edns0.extend(misread);
            if libc == Libc::Musl {
                config
                    .looks_like_edns0
                    .push(Spanned::new("musl has no EDNS0".to_owned(), line.span));
            }
        }
    }
    config
}

fn take(config: &mut Config, choice: &Spanned<Choice>) {
    match &choice.value {
        Choice::Edns0 => {
            config.edns0 = Some(choice.span);
            config.cleared = None;
        }
        Choice::ClearEdns0 => config.cleared = Some(choice.span),
        Choice::Ndots(ndots) => config.ndots = Some(Spanned::new(*ndots, choice.span)),
        Choice::UseVc => config.tcp_only = Some(choice.span),
        Choice::NoAaaa => config.no_aaaa = Some(choice.span),
        Choice::Known => {}
        Choice::Comma | Choice::Case(_) | Choice::Unknown => config.dropped.push(Spanned::new(
            Dropped::Option(choice.value.clone()),
            choice.span,
        )),
    }
}
