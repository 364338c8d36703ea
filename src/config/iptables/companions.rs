//! In: the folder of a dump. Out: what lies beside it and belongs to it: the sets that its rules name, the addresses of
//! the machine.
//!
//! A companion is known by its first lines, not by its name. Nothing is looked for that no rule asks about.

use std::sync::Arc;

use memchr::memmem;

use super::sets::{self, Sets};
use crate::config::{Files, Input, Opened};
use crate::model::Ranges;
use crate::source::FileId;

/// Endings of copies, which would say everything twice.
const COPIES: [&str; 5] = [".bak", ".old", ".orig", ".rej", "~"];

/// What lies beside a dump.
#[derive(Debug, Default)]
pub(super) struct Companions {
    pub(super) sets: Arc<Sets>,
    /// The machine's own addresses.
    pub(super) addresses: Option<Ranges>,
    /// The files that were read.
    pub(super) files: Vec<FileId>,
    /// What follows from their being taken for this machine's.
    pub(super) assumptions: Vec<String>,
}

/// Looks for what the rules in `text` ask about.
pub(super) fn companions(input: &Input<'_>, files: &dyn Files, text: &[u8]) -> Companions {
    let mut found = Companions::default();
    let names = set_names(text);
    if !names.is_empty() {
        found.sets(input, files, &names);
    }
    if memmem::find(text, b"LOCAL").is_some() || memmem::find(text, b"REDIRECT").is_some() {
        found.addresses(input, files);
    }
    found
}

impl Companions {
    fn sets(&mut self, input: &Input<'_>, files: &dyn Files, names: &[&[u8]]) {
        let mut sets = Sets::default();
        let mut paths = Vec::new();
        for (path, file, bytes) in beside(input, files, &sets::is_save) {
            let asked = |name: &[u8]| names.contains(&name);
            let members = Sets::members(&bytes, &asked);
            sets.read(&path, &bytes, &|name| {
                asked(name) || members.iter().any(|member| member == name)
            });
            if names.iter().any(|name| sets.get(name).is_some()) {
                self.files.push(file);
                paths.push(format!("`{path}`"));
            }
        }
        self.sets = Arc::new(sets);
        if !paths.is_empty() {
            self.assumptions
                .push(format!("its sets hold what {} says", paths.join(" and ")));
        }
    }

    fn addresses(&mut self, input: &Input<'_>, files: &dyn Files) {
        let found = beside(input, files, &is_address_list);
        match found.as_slice() {
            [] => {}
            [(path, file, bytes)] => {
                self.addresses = Some(addresses(bytes));
                self.files.push(*file);
                self.assumptions.push(format!(
                    "{}: the machine's own addresses are those of `{path}`",
                    input.path
                ));
            }
            // Of which machine each is, nothing says.
            several => {
                let paths: Vec<String> = several
                    .iter()
                    .map(|(path, _, _)| format!("`{path}`"))
                    .collect();
                self.assumptions.push(format!(
                    "{}: the machine's own addresses stand in one of {}, and nothing says in which",
                    input.path,
                    paths.join(" and ")
                ));
            }
        }
    }
}

fn beside(
    input: &Input<'_>,
    files: &dyn Files,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> Vec<(String, FileId, Arc<[u8]>)> {
    files
        .beside(input.file, wanted)
        .into_iter()
        .filter(|(path, _)| !COPIES.iter().any(|ending| path.ends_with(ending)))
        .filter_map(|(path, opened)| match opened {
            Opened::Found { file, bytes } => {
                let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                Some((name, file, bytes))
            }
            Opened::Missing | Opened::Refused(_) => None,
        })
        .collect()
}

/// The sets that rules name, each once.
fn set_names(text: &[u8]) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = memmem::find_iter(text, b"--match-set ")
        .chain(memmem::find_iter(text, b" --set "))
        .filter_map(|at| {
            text.get(at..)?
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .nth(1)
        })
        .map(|name| name.strip_prefix(b"\"").unwrap_or(name))
        .map(|name| name.strip_suffix(b"\"").unwrap_or(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the first lines of a file are those of `ip addr`, `ip -o addr` or `ip -br addr`.
fn is_address_list(head: &[u8]) -> bool {
    let Some(line) = head
        .split(|byte| *byte == b'\n')
        .find(|line| !line.is_empty())
    else {
        return false;
    };
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (first, second, third) = (words.next(), words.next(), words.next());
    let is_number = first.is_some_and(|word| {
        word.strip_suffix(b":")
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    });
    let is_full = is_number
        && (third.is_some_and(|word| word.starts_with(b"<"))
            || matches!(third, Some(b"inet" | b"inet6")));
    let is_brief = matches!(second, Some(b"UP" | b"DOWN" | b"UNKNOWN"))
        && third.is_none_or(|word| network(word).is_some());
    is_full || is_brief
}

/// The addresses in the output of `ip addr`: of a tunnel the near end, of `127.0.0.1/8` the whole network, since the
/// kernel's table of local routes has it so.
fn addresses(bytes: &[u8]) -> Ranges {
    let mut all = Ranges::empty();
    for line in bytes.split(|byte| *byte == b'\n') {
        let words: Vec<&[u8]> = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .collect();
        let full = words
            .iter()
            .position(|word| matches!(*word, b"inet" | b"inet6"));
        let found: Vec<&[u8]> = match full {
            Some(at) => words.get(at + 1).copied().into_iter().collect(),
            None => words
                .windows(2)
                .filter(|pair| !matches!(pair, [b"peer" | b"brd" | b"metric", _]))
                .filter_map(|pair| pair.last().copied())
                .collect(),
        };
        for net in found.into_iter().filter_map(network) {
            all = all.union(&if net.addr().is_loopback() {
                Ranges::network(net)
            } else {
                Ranges::host(net.addr())
            });
        }
    }
    all
}

/// `10.0.0.2/24`, or the address alone of a tunnel's near end.
fn network(word: &[u8]) -> Option<ipnet::IpNet> {
    let text = std::str::from_utf8(word).ok()?;
    text.parse()
        .ok()
        .or_else(|| Some(ipnet::IpNet::from(text.parse::<std::net::IpAddr>().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_each_form_of_ip_addr() {
        let brief = b"lo               UNKNOWN        127.0.0.1/8 ::1/128 \neth0@if5 UP 10.0.0.2/24 fe80::1/64\n\
                      tun0 UNKNOWN 10.8.0.1 peer 10.8.0.2/32\n";
        let full = b"1: lo: <LOOPBACK,UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n\
                     \x20   inet6 ::1/128 scope host\n2: eth0: <UP>\n    inet 10.0.0.2/24 brd 10.0.0.255 scope global\n\
                     \x20   inet6 fe80::1/64 scope link\n3: tun0: <UP>\n    inet 10.8.0.1 peer 10.8.0.2/32 scope global\n";
        let line = b"1: lo    inet 127.0.0.1/8 scope host lo\n1: lo    inet6 ::1/128 scope host\n\
                     2: eth0    inet 10.0.0.2/24 brd 10.0.0.255\n2: eth0    inet6 fe80::1/64 scope link\n\
                     3: tun0    inet 10.8.0.1 peer 10.8.0.2/32\n";
        for text in [&brief[..], full, line] {
            assert!(is_address_list(text));
            let found = addresses(text);
            let has = |ip: &str| found.contains(crate::model::address(ip.parse().unwrap()));
            assert!(has("127.5.5.5") && has("::1") && has("10.0.0.2") && has("fe80::1"));
            assert!(has("10.8.0.1") && !has("10.8.0.2") && !has("10.0.0.255"));
        }
        assert!(!is_address_list(b"# Generated by iptables-save\n*filter\n"));
        assert!(!is_address_list(b"nameserver UP yes\n"));
    }

    #[test]
    fn each_set_is_named_once() {
        let text = b"-A X -m set --match-set a src -j DROP\n-A X -m set ! --match-set \"b\" dst,dst\n-A X -m set --match-set a dst\n";
        assert_eq!(set_names(text), [b"a", b"b"]);
    }
}
