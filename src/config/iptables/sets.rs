//! In: the output of `ipset save`. Out: per set what it holds, as boxes of addresses, ports and the like.
//!
//! Forms of lines and entries as in ipset(8), matching as in the kernel's `net/netfilter/ipset`. A million entries cost
//! one range each: entries that differ in their address alone are one box.
//!
//! Invariants: a line that is not understood makes its set unknown; an entry that expires is kept apart from the others.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::values;
use crate::model::{Range, Ranges, address};

/// The sets of all files beside a dump.
#[derive(Debug, Default)]
pub(super) struct Sets {
    by_name: FxHashMap<Vec<u8>, Set>,
}

/// One set.
#[derive(Debug)]
pub(super) struct Set {
    /// What an entry consists of.
    pub(super) parts: Vec<Part>,
    /// `None` where entries have no address, so that both families may ask (kernel, `NFPROTO_UNSPEC`).
    pub(super) is_v6: Option<bool>,
    /// What the entries take.
    pub(super) boxes: Vec<Entries>,
    /// The members of a `list:set`.
    pub(super) members: Vec<Vec<u8>>,
    /// Why the set is not known, completing "cannot tell without ...".
    pub(super) doubt: Option<String>,
    netmask: Option<u8>,
    raw: FxHashMap<(Vec<u8>, bool), Raw>,
}

/// One part of an entry, as type names spell it (`hash:ip,port`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Address,
    Port,
    Interface,
    Mac,
    Mark,
    Set,
}

/// Entries that differ in their first part only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entries {
    /// Values of the first part.
    pub(super) first: Ranges,
    /// The other parts.
    pub(super) rest: Vec<Rest>,
    /// They expire.
    pub(super) is_timed: bool,
}

/// A later part of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    Address(Ranges),
    /// Protocol, and ports, or type and code of ICMP; of other protocols nothing more is asked.
    Port(u8, Option<Ranges>),
    Interface(Vec<u8>),
    Mac(u64),
    Mark(u32),
}

/// Entries as they are collected.
#[derive(Debug, Default)]
struct Raw {
    taken: Vec<Range>,
    /// With `nomatch`.
    excepted: Vec<Range>,
}

/// Whether the first lines of a file are those of `ipset save`.
pub(super) fn is_save(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
        .is_some_and(|line| {
            let mut words = words(line);
            matches!(words.next(), Some(b"create" | b"-N" | b"add" | b"-A"))
                && words.nth(1).is_some_and(|word| {
                    [&b"hash:"[..], b"bitmap:", b"list:"]
                        .iter()
                        .any(|method| word.starts_with(method))
                })
        })
}

impl Sets {
    /// The set of that name.
    pub(super) fn get(&self, name: &[u8]) -> Option<&Set> {
        self.by_name.get(name)
    }

    /// Reads one file; sets for which `wanted` says no are passed over.
    pub(super) fn read(&mut self, path: &str, bytes: &[u8], wanted: &dyn Fn(&[u8]) -> bool) {
        let mut start = 0;
        let mut mine: FxHashMap<&[u8], Set> = FxHashMap::default();
        for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
            let line = bytes.get(start..end).unwrap_or_default().trim_ascii();
            start = end + 1;
            let mut rest = words(line).filter(|word| !matches!(*word, b"-exist" | b"-!"));
            let Some(command) = rest.next().filter(|word| !word.starts_with(b"#")) else {
                continue;
            };
            let Some(name) = rest.next() else {
                continue;
            };
            match command {
                b"create" | b"-N" if wanted(name) => {
                    mine.entry(name)
                        .or_insert_with(|| Set::new(&mut rest, path, name));
                }
                b"create" | b"-N" => {}
                b"add" | b"-A" => {
                    if let Some(set) = mine.get_mut(name)
                        && set.add(&mut rest).is_none()
                    {
                        set.doubt(path, name, line);
                    }
                }
                _ => {
                    // `swap` and `rename` name two.
                    for name in [Some(name), rest.next()].into_iter().flatten() {
                        if let Some(set) = mine.get_mut(name) {
                            set.doubt(path, name, line);
                        }
                    }
                }
            }
        }
        for (name, mut set) in mine {
            if let Some(known) = self.by_name.get_mut(name) {
                known.doubt = Some(format!(
                    "knowing which file beside this one has the right `{}`: more than one does",
                    String::from_utf8_lossy(name)
                ));
                continue;
            }
            set.finish();
            self.by_name.insert(name.to_vec(), set);
        }
    }

    /// The members of lists, so that they are read as well.
    pub(super) fn members(bytes: &[u8], list: &dyn Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        if memchr::memmem::find(bytes, b"list:set").is_none() {
            return Vec::new();
        }
        let mut lists = Vec::new();
        let mut found = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut words = words(line);
            match (words.next(), words.next(), words.next()) {
                (Some(b"create"), Some(name), Some(b"list:set")) if list(name) => lists.push(name),
                (Some(b"add"), Some(name), Some(member)) if lists.contains(&name) => {
                    found.push(member.to_vec());
                }
                _ => {}
            }
        }
        found
    }
}

impl Set {
    fn new<'a>(options: &mut impl Iterator<Item = &'a [u8]>, path: &str, name: &[u8]) -> Self {
        let kind = options.next().unwrap_or_default();
        let at = memchr::memchr(b':', kind).map_or(kind.len(), |at| at + 1);
        let mut is_known = true;
        let parts: Vec<Part> = kind
            .get(at..)
            .unwrap_or_default()
            .split(|byte| *byte == b',')
            .map(|part| match part {
                b"ip" | b"net" => Part::Address,
                b"port" => Part::Port,
                b"iface" => Part::Interface,
                b"mac" => Part::Mac,
                b"mark" => Part::Mark,
                b"set" => Part::Set,
                _ => {
                    is_known = false;
                    Part::Set
                }
            })
            .collect();
        let mut set = Self {
            is_v6: parts.contains(&Part::Address).then_some(false),
            parts,
            boxes: Vec::new(),
            members: Vec::new(),
            doubt: None,
            netmask: None,
            raw: FxHashMap::default(),
        };
        while let Some(option) = options.next() {
            match option {
                b"family" => {
                    let is_v6 = options.next() == Some(b"inet6");
                    set.is_v6 = set.is_v6.map(|_| is_v6);
                }
                b"netmask" => {
                    set.netmask = options
                        .next()
                        .and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                    is_known &= set.netmask.is_some();
                }
                b"bitmask" | b"markmask" => is_known = false,
                _ => {}
            }
        }
        if !is_known {
            set.doubt(path, name, b"create");
        }
        set
    }

    fn doubt(&mut self, path: &str, name: &[u8], line: &[u8]) {
        if self.doubt.is_none() {
            self.doubt = Some(format!(
                "knowing what `{}` in `{path}` makes of the set `{}`",
                String::from_utf8_lossy(line.get(..60).unwrap_or(line)),
                String::from_utf8_lossy(name)
            ));
        }
    }

    /// One entry; `None` where it is not understood.
    fn add<'a>(&mut self, line: &mut impl Iterator<Item = &'a [u8]>) -> Option<()> {
        let entry = line.next()?;
        let (mut is_timed, mut is_exception) = (false, false);
        while let Some(option) = line.next() {
            match option {
                b"timeout" => is_timed = line.next()? != b"0",
                b"nomatch" => is_exception = true,
                b"packets" | b"bytes" | b"skbmark" | b"skbprio" | b"skbqueue" => {
                    line.next()?;
                }
                // Its text goes on to the end: ipset writes it behind what matters.
                b"comment" => while line.next().is_some() {},
                _ => return None,
            }
        }
        if self.parts.first() == Some(&Part::Set) {
            self.members.push(entry.to_vec());
            return Some(());
        }
        let at = memchr::memchr(b',', entry).unwrap_or(entry.len());
        let (first, rest) = entry.split_at_checked(at)?;
        let range = match self.parts.first()? {
            Part::Address => networks(first, self.is_v6 == Some(true))?,
            Part::Port => ports(first)?,
            Part::Mac => Range::one(u128::from(values::mac(first)?)),
            Part::Interface | Part::Mark | Part::Set => return None,
        };
        let range = match self.netmask {
            Some(bits) => widened(range, bits, self.is_v6 == Some(true))?,
            None => range,
        };
        // INVARIANT: a box's key is the text of the later parts, so equal texts need no second reading.
        let raw = self.raw.entry((rest.to_vec(), is_timed)).or_default();
        if is_exception {
            raw.excepted.push(range);
        } else {
            raw.taken.push(range);
        }
        Some(())
    }

    /// Makes boxes of the entries: those with the same addresses share one for all their ports.
    fn finish(&mut self) {
        let mut by_place: BTreeMap<(Ranges, bool, u8, Vec<Rest>), Vec<Range>> = BTreeMap::new();
        for ((rest, is_timed), raw) in std::mem::take(&mut self.raw) {
            if !raw.excepted.is_empty() && (self.parts.len() > 1 && self.first_two_are_networks()) {
                self.doubt
                    .get_or_insert_with(|| "knowing how `nomatch` combines in two networks".into());
            }
            let first = raw.ranges();
            let Some(mut rest) = self.rest(&rest) else {
                self.doubt.get_or_insert_with(|| {
                    format!("understanding the set's entries with `{}`", text(&rest))
                });
                continue;
            };
            if let Some(Rest::Port(protocol, Some(ports))) = rest.first() {
                let (protocol, ports) = (*protocol, ports.ranges().to_vec());
                rest.remove(0);
                by_place
                    .entry((first, is_timed, protocol, rest))
                    .or_default()
                    .extend(ports);
            } else {
                self.boxes.push(Entries {
                    first,
                    rest,
                    is_timed,
                });
            }
        }
        for ((first, is_timed, protocol, mut rest), ports) in by_place {
            rest.insert(0, Rest::Port(protocol, Some(Ranges::from_unsorted(ports))));
            self.boxes.push(Entries {
                first,
                rest,
                is_timed,
            });
        }
        // The table above has no order of its own.
        self.boxes.sort_unstable();
    }

    fn first_two_are_networks(&self) -> bool {
        self.parts
            .iter()
            .filter(|part| **part == Part::Address)
            .count()
            > 1
    }

    /// The later parts of an entry (`,tcp:80,10.0.0.1`).
    fn rest(&self, text: &[u8]) -> Option<Vec<Rest>> {
        let mut words = text.split(|byte| *byte == b',').skip(1);
        let mut rest = Vec::new();
        for part in self.parts.iter().skip(1) {
            let word = words.next();
            rest.push(match part {
                Part::Address => Rest::Address(networks(word?, self.is_v6 == Some(true))?.into()),
                Part::Port => service(word?)?,
                Part::Interface => {
                    let name = word?;
                    // Of a bridge's port, or not one name alone.
                    if name.contains(&b':') {
                        return None;
                    }
                    Rest::Interface(name.to_vec())
                }
                // bitmap:ip,mac may leave the second part out, and learns it from packets.
                Part::Mac => Rest::Mac(values::mac(word?)?),
                Part::Mark => Rest::Mark(values::word(word?)?),
                Part::Set => return None,
            });
        }
        words.next().is_none().then_some(rest)
    }
}

impl Raw {
    /// What is taken in the end: the longest prefix decides (`hash_net4_test_cidrs`).
    fn ranges(self) -> Ranges {
        if self.excepted.is_empty() {
            return Ranges::from_unsorted(self.taken);
        }
        let mut by_size: BTreeMap<u128, (Vec<Range>, Vec<Range>)> = BTreeMap::new();
        let size = |range: &Range| u128::MAX - (range.high() - range.low());
        for range in self.taken {
            by_size.entry(size(&range)).or_default().0.push(range);
        }
        for range in self.excepted {
            by_size.entry(size(&range)).or_default().1.push(range);
        }
        by_size
            .into_values()
            .fold(Ranges::empty(), |all, (taken, excepted)| {
                all.union(&Ranges::from_unsorted(taken))
                    .minus(&Ranges::from_unsorted(excepted))
            })
    }
}

/// Words of a line; what a comment's quotes hold comes last and is not looked at.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .filter(|word| !word.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).into_owned()
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`.
fn networks(text: &[u8], is_v6: bool) -> Option<Range> {
    let text = std::str::from_utf8(text).ok()?;
    let of_family = |ip: std::net::IpAddr| (ip.is_ipv6() == is_v6).then_some(ip);
    if let Ok(ip) = text.parse() {
        return Some(Range::one(address(of_family(ip)?)));
    }
    if let Ok(net) = text.parse::<ipnet::IpNet>() {
        of_family(net.addr())?;
        return Range::new(address(net.network()), address(net.broadcast()));
    }
    let (low, high) = text.split_once('-')?;
    let end = |text: &str| Some(address(of_family(text.parse().ok()?)?));
    Range::new(end(low)?, end(high)?)
}

/// The whole networks that a range touches (`netmask 24`).
fn widened(range: Range, bits: u8, is_v6: bool) -> Option<Range> {
    let width: u8 = if is_v6 { 128 } else { 32 };
    let free = u32::from(width.checked_sub(bits)?);
    let host = u128::MAX.checked_shr(128 - free).unwrap_or(0);
    Range::new(range.low() & !host, range.high() | host)
}

/// `80`, `80-90`.
fn ports(text: &[u8]) -> Option<Range> {
    let text = std::str::from_utf8(text).ok()?;
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let end = |text: &str| Some(u128::from(text.parse::<u16>().ok()?));
    Range::new(end(low)?, end(high)?)
}

/// `tcp:80`, `udp:1024-65535`, `icmp:8/0`, `gre:0`; a port alone is one of TCP.
fn service(text: &[u8]) -> Option<Rest> {
    let Some(at) = memchr::memchr(b':', text) else {
        return Some(Rest::Port(6, Some(ports(text)?.into())));
    };
    let (protocol, value) = (text.get(..at)?, text.get(at + 1..)?);
    let protocol = values::protocol(protocol)?;
    Some(match protocol {
        6 | 17 | 132 | 136 => Rest::Port(protocol, Some(ports(value)?.into())),
        1 | 58 => {
            let value = std::str::from_utf8(value).ok()?;
            let number = match (value, protocol) {
                ("echo-request" | "ping", 1) => 8 << 8,
                ("echo-reply" | "pong", 1) => 0,
                ("echo-request" | "ping", _) => 128 << 8,
                ("echo-reply" | "pong", _) => 129 << 8,
                _ => {
                    let (kind, code) = value.split_once('/')?;
                    u128::from(kind.parse::<u8>().ok()?) << 8 | u128::from(code.parse::<u8>().ok()?)
                }
            };
            Rest::Port(protocol, Some(Ranges::one(number)))
        }
        // ip_set_getport.c: other protocols count as port 0.
        _ if value == b"0" => Rest::Port(protocol, None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Sets {
        let mut sets = Sets::default();
        sets.read("ipset.save", text.as_bytes(), &|_| true);
        sets
    }

    #[test]
    fn the_longest_prefix_decides_between_match_and_nomatch() {
        let sets = read(
            "create n hash:net family inet hashsize 1024 maxelem 65536\nadd n 10.0.0.0/8\n\
             add n 10.1.0.0/16 nomatch\nadd n 10.1.2.0/24\n",
        );
        let set = sets.get(b"n").unwrap();
        let [only] = set.boxes.as_slice() else {
            panic!("{set:?}");
        };
        let has = |ip: &str| only.first.contains(address(ip.parse().unwrap()));
        assert!(has("10.0.0.1") && !has("10.1.3.1") && has("10.1.2.9"));
    }

    #[test]
    fn ports_of_the_same_addresses_are_one_box() {
        let sets = read(
            "create p hash:ip,port family inet\nadd p 10.0.0.1,tcp:80\nadd p 10.0.0.1,tcp:443\n\
             add p 10.0.0.1,udp:53\nadd p 10.0.0.2,icmp:8/0 timeout 5\n",
        );
        let set = sets.get(b"p").unwrap();
        assert_eq!(set.boxes.len(), 3);
        assert_eq!(set.boxes.iter().filter(|one| one.is_timed).count(), 1);
        assert!(set.doubt.is_none());
    }

    #[test]
    fn what_is_not_understood_makes_its_set_unknown_and_no_other() {
        let sets = read(
            "create a hash:ip family inet\nadd a 10.0.0.1\ncreate b hash:ip family inet bitmask 255.0.255.0\n\
             create c hash:ip family inet\nadd c www.example.com\ncreate d hash:ip family inet6\nadd d 10.0.0.1\n",
        );
        let doubtful: Vec<bool> = [b"a", b"b", b"c", b"d"]
            .map(|name| sets.get(name).unwrap().doubt.is_some())
            .into();
        assert_eq!(doubtful, [false, true, true, true]);
    }

    #[test]
    fn only_the_output_of_ipset_save_is_taken_for_it() {
        assert!(is_save(
            b"\n# x\ncreate a hash:ip family inet\nadd a 10.0.0.1\n"
        ));
        assert!(!is_save(b"create table x (hash: int)\n"));
        assert!(!is_save(b"add header\n"));
    }
}
