//! In: the values of one `acl`, line by line. Out: an [`Acl`] that holds what Squid keeps of them.
//!
//! The values of one ACL are not simply a union: up to Squid 6 a `src` or `dst` value that overlaps an earlier one is
//! dropped, and a domain that covers an earlier one stops Squid (src/acl/Ip.cc, src/acl/DomainData.cc).
//!
//! Invariants: kept addresses do not overlap (before Squid 7); values after a part that could not be read are held apart.

use std::collections::{BTreeMap, HashSet};

use super::address;
use super::directives::Version;
use crate::model::{Range, Ranges};
use crate::source::{Span, Spanned};

mod kind;

pub(super) use kind::{Kind, Shape, kind, needs_openssl};

/// An ACL.
#[derive(Debug, Clone)]
pub(super) struct Acl {
    /// As it was first written.
    pub(super) name: String,
    /// Its type.
    pub(super) kind: Kind,
    /// The first line that defines it; `None` for one that is built in.
    pub(super) span: Option<Span>,
    /// `-n`: no lookups.
    pub(super) no_lookup: bool,
    /// `-i` in force at the end of its values.
    pub(super) ignore_case: bool,
    /// `--server-provided` or `--consensus`: certificates decide.
    pub(super) from_certificate: bool,
    /// `src`, `dst`, `localip`.
    pub(super) addresses: Vec<Spanned<Ranges>>,
    /// Domains, words and the names of compound ACLs, lower case for domains.
    pub(super) words: Vec<Spanned<String>>,
    /// Expressions.
    pub(super) patterns: Vec<Pattern>,
    /// Ports.
    pub(super) numbers: Vec<Range>,
    /// `time`.
    pub(super) times: Vec<Time>,
    /// The lines of an `any-of` or `all-of`.
    pub(super) lines: Vec<Vec<Term>>,
    /// The first part that could not be read.
    pub(super) unread: Option<Unread>,
    domains: DomainIndex,
    /// First address to last address and place, of what is kept.
    index: BTreeMap<u128, (u128, Span)>,
}

/// A regular expression of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As written.
    pub(super) text: String,
    /// Under `-i`.
    pub(super) ignore_case: bool,
    /// Where.
    pub(super) span: Span,
}

/// One part of a `time` ACL: minutes of the day, both included, on some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Time {
    /// Bit 0 is Sunday.
    pub(super) days: u8,
    /// Minute of the day.
    pub(super) start: u16,
    /// Minute of the day, included.
    pub(super) stop: u16,
}

/// One ACL of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    /// `!`.
    pub(super) negated: bool,
    /// Index in the config's ACLs.
    pub(super) acl: usize,
    /// With its `!`.
    pub(super) span: Span,
}

/// Values that are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// `file`, `dns`, `match`.
    pub(super) code: &'static str,
    /// Completing "cannot tell without ...".
    pub(super) text: String,
    /// Where the config names them.
    pub(super) span: Span,
}

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// It counts.
    Kept,
    /// It overlaps an earlier value that covers it: nothing is lost.
    Covered(Span),
    /// It overlaps an earlier value and is dropped, though it reaches further.
    Lost(Span),
    /// Squid logs it and goes on without it.
    Skipped(&'static str),
    /// Squid does not start; why, as a clause.
    Refused(String),
}

#[derive(Debug, Clone, Default)]
struct DomainIndex {
    kept: HashSet<String>,
    /// Every kept name without its leading dots, and all names above it.
    at_or_above: HashSet<String>,
}

impl Acl {
    /// An ACL without values.
    pub(super) fn new(name: &str, kind: Kind, span: Option<Span>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            span,
            no_lookup: false,
            ignore_case: false,
            from_certificate: false,
            addresses: Vec::new(),
            words: Vec::new(),
            patterns: Vec::new(),
            numbers: Vec::new(),
            times: Vec::new(),
            lines: Vec::new(),
            unread: None,
            domains: DomainIndex::default(),
            index: BTreeMap::new(),
        }
    }

    /// Whether a denial by it asks for credentials (`aclIsProxyAuth`).
    pub(super) fn asks_for_credentials(&self, external: &BTreeMap<String, bool>) -> bool {
        let helper = || {
            self.words
                .first()
                .is_some_and(|word| external.get(&word.value) == Some(&true))
        };
        matches!(self.kind, Kind::User | Kind::UserRegex)
            || (self.kind == Kind::External && helper())
    }

    /// Notes that some values are not here.
    pub(super) fn cannot_read(&mut self, unread: Unread) {
        self.unread.get_or_insert(unread);
    }

    /// Takes one value; names of compound ACLs and times are not taken here.
    pub(super) fn take(&mut self, value: &Spanned<String>, version: Version) -> Taken {
        match self.kind.shape() {
            Shape::Addresses => self.take_address(value, version),
            Shape::Domains => self.take_domain(value, version),
            Shape::Patterns => {
                match value.value.as_str() {
                    "-i" => self.ignore_case = true,
                    "+i" => self.ignore_case = false,
                    text => self.patterns.push(Pattern {
                        text: text.to_owned(),
                        ignore_case: self.ignore_case,
                        span: value.span,
                    }),
                }
                Taken::Kept
            }
            Shape::Numbers => self.take_number(&value.value),
            Shape::Words => {
                self.words.push(value.clone());
                Taken::Kept
            }
            Shape::Times | Shape::Names | Shape::Ignored => Taken::Kept,
        }
    }

    fn take_address(&mut self, value: &Spanned<String>, version: Version) -> Taken {
        let sets = match address::parse(&value.value) {
            None => {
                return Taken::Refused(format!("`{}` is no address or network", value.value));
            }
            Some(address::Value::Name) => {
                self.cannot_read(Unread {
                    code: "dns",
                    text: format!(
                        "the addresses that `{}` had when Squid started",
                        value.value
                    ),
                    span: value.span,
                });
                return Taken::Kept;
            }
            Some(address::Value::Odd) => {
                self.cannot_read(Unread {
                    code: "match",
                    text: format!("a model of the address form `{}`", value.value),
                    span: value.span,
                });
                return Taken::Kept;
            }
            Some(address::Value::Sets(sets)) => sets,
        };
        if self.unread.is_some() && version < (7, 0) {
            // A value of the part that was not read may overlap this one, which would then be dropped.
            return Taken::Kept;
        }
        let mut taken = Taken::Kept;
        for set in sets {
            let (Some(low), Some(high)) = (Ranges::min(&set), Ranges::max(&set)) else {
                continue;
            };
            // Kept ranges are disjoint, so the last one that starts at or before the end is the only candidate.
            let earlier = self
                .index
                .range(..=high)
                .next_back()
                .filter(|(_, (end, _))| version < (7, 0) && *end >= low);
            match earlier {
                None => {
                    self.index.insert(low, (high, value.span));
                    self.addresses.push(Spanned::new(set, value.span));
                }
                Some((start, (end, span))) if *start <= low && high <= *end => {
                    taken = Taken::Covered(*span);
                }
                Some((_, (_, span))) => taken = Taken::Lost(*span),
            }
        }
        taken
    }

    /// `aclDomainCompare` (src/acl/DomainData.cc), with [`Self::domains`] in place of its splay tree: values that are
    /// kept never overlap, so a search meets an overlap wherever there is one.
    fn take_domain(&mut self, value: &Spanned<String>, version: Version) -> Taken {
        let name = value.value.to_ascii_lowercase();
        if self.domains.kept.contains(&name) {
            return Taken::Covered(value.span);
        }
        let bare = name.trim_start_matches('.');
        let covers = match name.strip_prefix('.') {
            Some(below) => !below.is_empty() && self.domains.at_or_above.contains(below),
            None => self.domains.kept.contains(&format!(".{name}")),
        };
        if covers && version < (7, 0) {
            return Taken::Refused(format!(
                "`{}` covers a value that stands before it in the ACL `{}`; keep the wider one only",
                value.value, self.name
            ));
        }
        let covered = above(bare).any(|parent| self.domains.kept.contains(&format!(".{parent}")));
        if covered && !covers {
            return Taken::Covered(value.span);
        }
        self.domains
            .at_or_above
            .extend(above(bare).map(str::to_owned));
        self.domains.kept.insert(name.clone());
        self.words.push(Spanned::new(name, value.span));
        Taken::Kept
    }

    /// `ACLIntRange::parse` with `xatos`.
    fn take_number(&mut self, text: &str) -> Taken {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            Some(digits)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse::<u16>().ok())
        };
        match (number(low), number(high)) {
            (Some(low), Some(high)) => match Range::new(low.into(), high.into()) {
                Some(range) => {
                    self.numbers.push(range);
                    Taken::Kept
                }
                None => Taken::Refused(format!("the range `{text}` is reversed")),
            },
            _ => Taken::Refused(format!(
                "`{text}` is no port; write one port or `low-high` per value, separated by blanks"
            )),
        }
    }

    /// `ACLTimeData::parse`: days apply to the next range; what is left of them is a whole day.
    pub(super) fn take_times(&mut self, values: &[Spanned<String>]) -> Vec<(Span, Taken)> {
        let mut odd = Vec::new();
        let mut days = 0u8;
        for value in values {
            if value.value.starts_with(|c: char| c.is_ascii_digit()) {
                if let Some((start, stop)) = minutes(&value.value) {
                    self.times.push(Time {
                        days: if days == 0 { 0x7f } else { days },
                        start,
                        stop,
                    });
                } else {
                    let why = format!(
                        "`{}` is no range of times within one day (`08:00-18:00`)",
                        value.value
                    );
                    odd.push((value.span, Taken::Refused(why)));
                }
                days = 0;
                continue;
            }
            for letter in value.value.bytes() {
                days |= match letter {
                    b'S' => 0x01,
                    b'M' => 0x02,
                    b'T' => 0x04,
                    b'W' => 0x08,
                    b'H' => 0x10,
                    b'F' => 0x20,
                    b'A' => 0x40,
                    b'D' => 0x3e,
                    b'-' => 0,
                    _ => {
                        odd.push((
                            value.span,
                            Taken::Skipped("days are written S M T W H F A, or D for weekdays"),
                        ));
                        0
                    }
                };
            }
        }
        if days != 0 {
            self.times.push(Time {
                days,
                start: 0,
                stop: 24 * 60,
            });
        }
        odd
    }
}

/// A name and all names above it.
fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| {
        name.split_once('.').map(|(_, parent)| parent)
    })
    .filter(|name| !name.is_empty())
}

/// `sscanf(t, "%d:%d-%d:%d")` with its bounds: a range must not cross midnight.
fn minutes(text: &str) -> Option<(u16, u16)> {
    let (start, stop) = text.split_once('-')?;
    let clock = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let digits = minute
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(minute.len());
        let minute: u16 = minute.get(..digits)?.parse().ok()?;
        let hour: u16 = hour.trim_start().parse().ok()?;
        let fits = minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
        fits.then_some(hour * 60 + minute)
    };
    let (start, stop) = (clock(start)?, clock(stop)?);
    (start < 24 * 60 && start <= stop).then_some((start, stop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn fill(kind: Kind, values: &str, version: Version) -> (Acl, Vec<Taken>) {
        let file = Sources::new().add("x", Vec::new()).unwrap();
        let mut acl = Acl::new("a", kind, None);
        let taken = values
            .split(' ')
            .map(|value| {
                let value = Spanned::new(value.to_owned(), Span::new(file, 0, 0));
                acl.take(&value, version)
            })
            .collect();
        (acl, taken)
    }

    #[test]
    fn an_overlapping_address_is_dropped_before_squid_7() {
        let (acl, taken) = fill(Kind::Destination, "99.77.130.1 99.77.128.0/18", (5, 7));
        assert_eq!(acl.addresses.len(), 1);
        assert!(matches!(taken[1], Taken::Lost(_)));
        let (acl, _) = fill(Kind::Destination, "99.77.130.1 99.77.128.0/18", (7, 0));
        assert_eq!(acl.addresses.len(), 2);
    }

    #[test]
    fn a_domain_that_covers_an_earlier_one_is_refused_before_squid_7() {
        let refused = |values| {
            fill(Kind::DestinationDomain, values, (5, 7))
                .1
                .iter()
                .any(|taken| matches!(taken, Taken::Refused(_)))
        };
        // Each measured with `squid -k parse` 5.7.
        assert!(refused(".sdkassets.chime.aws .chime.aws"));
        assert!(refused(".chime.aws chime.aws"));
        assert!(refused("chime.aws .chime.aws"));
        assert!(refused("*.chime.aws .chime.aws"));
        assert!(refused("..foo.com .foo.com"));
        assert!(!refused(".chime.aws .chime.aws .CHIME.aws"));
        assert!(!refused(".chime.aws x.chime.aws"));
        assert!(!refused(".chime.aws *.chime.aws"));
        assert!(!refused("*.chime.aws x.chime.aws y.chime.aws"));
        assert!(!refused(".foo.com. .foo.com"));
        assert!(!refused("chime.aws chime.aws"));
        assert!(!refused("."));
    }

    #[test]
    fn ports_are_single_or_ranges() {
        let refused = |value| {
            matches!(
                fill(Kind::Port, value, (5, 7)).1.as_slice(),
                [Taken::Refused(_)]
            )
        };
        for value in ["443,80", "http", "70000", "500-400", "-5", "0x50"] {
            assert!(refused(value), "{value}");
        }
        assert!(!refused("0-65535"));
    }

    #[test]
    fn times_read_as_days_then_range() {
        assert_eq!(minutes("08:00-18:00"), Some((480, 1080)));
        assert_eq!(minutes("00:00-24:00"), Some((0, 1440)));
        assert_eq!(minutes("24:00-24:00"), None);
        assert_eq!(minutes("22:00-06:00"), None);
    }
}
