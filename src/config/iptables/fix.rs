//! In: a blocked flow and the rule or policy that stopped it. Out: edits that may let it pass.
//!
//! A permit that stands too low is moved up; otherwise a new line accepts exactly the service that is required, for the
//! clients that are blocked, directly above what stops it. Where the way back is blocked, a line for replies is offered.
//! Each edit is judged again before it is shown; nothing here decides whether it helps.

use super::forms::{self, Form};
use super::parse::parse;
use super::syntax::{Chain, File, RuleLine, Table};
use crate::config::{Blocked, Edit, Fix, Input, Reading};
use crate::model::{Family, Gate, Ranges, TextSet, to_address};
use crate::source::Span;

/// More networks than this are no line that anybody would read.
const NETWORKS: usize = 16;

/// Edits for a blocked packet flow.
pub(super) fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    if forms::form(input.path, input.bytes) != Form::Save {
        // A line of a dump has no place in a script or a list.
        return Vec::new();
    }
    let family = forms::family(input.path, input.bytes);
    let tree = parse(input.file, input.bytes, family);
    let Some(place) = blocked
        .decided_by
        .and_then(|span| Place::find(&tree, input, span))
    else {
        return Vec::new();
    };
    let mut fixes: Vec<Fix> = blocked
        .shadowed
        .iter()
        .filter_map(|span| moved(input, &place, *span))
        .collect();
    let gate = blocked.gate.and_then(|at| reading.gates.get(at));
    let service = service(family, gate, blocked, &place);
    let replies = format!(
        "-A {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        place.chain
    );
    if let Some(service) = &service {
        fixes.push(place.insert(input, &[service]));
    }
    fixes.push(place.insert(input, &[&replies]));
    if let Some(service) = &service {
        fixes.push(place.insert(input, &[&replies, service]));
    }
    fixes
}

/// Where a new line goes.
struct Place {
    chain: String,
    /// Byte offset of a line's start.
    at: usize,
    /// The rule that decides; none where the policy does.
    rule: Option<RuleLine>,
    /// Rules of the chain, to see what stands below.
    rules: Vec<RuleLine>,
}

impl Place {
    fn find(tree: &File<'_>, input: &Input<'_>, span: Span) -> Option<Self> {
        tree.tables.iter().find_map(|table| {
            table
                .chains
                .iter()
                .find_map(|chain| Self::in_chain(table, chain, input, span))
        })
    }

    fn in_chain(
        table: &Table<'_>,
        chain: &Chain<'_>,
        input: &Input<'_>,
        span: Span,
    ) -> Option<Self> {
        let name = String::from_utf8_lossy(chain.name).into_owned();
        let appended = |rule: &&RuleLine| {
            let word = input
                .bytes
                .get(rule.start as usize..rule.start as usize + 2);
            word == Some(b"-A")
        };
        let made = |at, rule| Self {
            chain: name.clone(),
            at,
            rule,
            rules: chain.rules.clone(),
        };
        if let Some(rule) = chain
            .rules
            .iter()
            .find(|rule| rule.start <= span.start && span.start <= rule.end && span.end <= rule.end)
        {
            // `-I` lines stand in another order than they work.
            if !appended(&rule) {
                return None;
            }
            return Some(made(
                line_start(input.bytes, rule.start as usize),
                Some(*rule),
            ));
        }
        let (_, policy) = chain.policy?;
        if policy != span {
            return None;
        }
        let at = match chain.rules.last().filter(appended) {
            Some(last) => line_end(input.bytes, last.end as usize),
            None => table
                .commit
                .map_or(input.bytes.len(), |commit| commit.start as usize),
        };
        Some(made(at, None))
    }

    fn insert(&self, input: &Input<'_>, lines: &[&String]) -> Fix {
        let place = match self.rule {
            Some(_) => format!("above line {}", line_number(input.bytes, self.at)),
            None => format!(
                "at the end of {}, above line {}",
                self.chain,
                line_number(input.bytes, self.at)
            ),
        };
        let words: Vec<String> = lines.iter().map(|line| format!("`{line}`")).collect();
        let mut text: String = lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect();
        if self.at == input.bytes.len() && !input.bytes.ends_with(b"\n") {
            text.insert(0, '\n');
        }
        Fix {
            title: format!("insert {} {place}", words.join(" and ")),
            edits: vec![Edit {
                span: Span::new(input.file, self.at, self.at),
                text,
            }],
            safe: true,
        }
    }
}

/// Moves a permit above what shadows it.
fn moved(input: &Input<'_>, place: &Place, permit: Span) -> Option<Fix> {
    let rule = place.rule?;
    let permit = place.rules.iter().find(|line| {
        line.start <= permit.start && permit.end <= line.end && line.start > rule.start
    })?;
    let start = line_start(input.bytes, permit.start as usize);
    let end = line_end(input.bytes, permit.end as usize);
    let mut text = String::from_utf8(input.bytes.get(start..end)?.to_vec()).ok()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(Fix {
        title: format!(
            "move line {} above line {}",
            line_number(input.bytes, start),
            line_number(input.bytes, place.at)
        ),
        edits: vec![
            Edit {
                span: Span::new(input.file, place.at, place.at),
                text,
            },
            Edit {
                span: Span::new(input.file, start, end),
                text: String::new(),
            },
        ],
        safe: false,
    })
}

/// A line that accepts exactly the service.
fn service(
    family: Family,
    gate: Option<&Gate>,
    blocked: &Blocked<'_>,
    place: &Place,
) -> Option<String> {
    let (protocol, port) = blocked.service?;
    let protocol = match protocol {
        6 => "tcp",
        17 => "udp",
        _ => return None,
    };
    let all = match family {
        Family::V4 => Ranges::ipv4(),
        Family::V6 => Ranges::ipv6(),
    };
    let mut words = vec![format!("-A {}", place.chain)];
    if let Some(name) = gate.and_then(|gate| interface(gate, blocked.clients)) {
        words.push(format!("-i {name}"));
    }
    let clients = blocked.clients.intersect(&all);
    let wide = clients.is_empty() || all.count() - clients.count() <= 1 << 24;
    if !wide {
        words.push(format!("-s {}", networks(&clients)?));
    }
    let to = blocked.networks.intersect(&all);
    if !to.is_empty() && to != all {
        words.push(format!("-d {}", networks(&to)?));
    }
    words.push(format!(
        "-p {protocol} -m {protocol} --dport {port} -j ACCEPT"
    ));
    Some(words.join(" "))
}

/// The interface of the blocked clients, where they share one.
fn interface(gate: &Gate, clients: &Ranges) -> Option<String> {
    if clients.is_empty() {
        return None;
    }
    let mut names = gate
        .groups
        .iter()
        .filter(|group| group.sources.is_subset(clients))
        .map(|group| group.interface);
    let first = names.next()??;
    if names.any(|other| other != Some(first)) {
        return None;
    }
    match gate.texts.get(first.0 as usize)? {
        TextSet::Literal(name) => Some(name.to_string()),
        TextSet::Prefix(name) => Some(format!("{name}+")),
        TextSet::Domains(_) | TextSet::Lang(_) | TextSet::Url(_) => None,
    }
}

/// Networks as `-s` and `-d` take them.
fn networks(set: &Ranges) -> Option<String> {
    let mut words = Vec::new();
    for range in set.ranges() {
        let (mut low, high) = (range.low(), range.high());
        loop {
            // The largest aligned block that starts here and ends within.
            let room = (high - low).checked_add(1).map_or(127, u128::ilog2);
            let bits = room.min(low.trailing_zeros());
            if words.len() == NETWORKS {
                return None;
            }
            let address = to_address(low);
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.min(width);
            words.push(if bits == 0 {
                address.to_string()
            } else {
                format!("{address}/{}", width - bits)
            });
            let last = low + ((1u128 << bits) - 1);
            if last >= high {
                break;
            }
            low = last + 1;
        }
    }
    Some(words.join(","))
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(..at)
        .and_then(|before| memchr::memrchr(b'\n', before))
        .map_or(0, |found| found + 1)
}

/// After the line's line feed.
fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..)
        .and_then(|after| memchr::memchr(b'\n', after))
        .map_or(bytes.len(), |found| at + found + 1)
}

fn line_number(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(..at)
        .map_or(1, |before| memchr::memchr_iter(b'\n', before).count() + 1)
}
