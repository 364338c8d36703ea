//! In: a path and bytes. Out: whether they are iptables' rules, in which form, and for which address family.

use memchr::memmem;

use super::listing;
use crate::config::Claim;
use crate::model::Family;

/// Whether a file has rules of iptables.
pub(super) fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let lines = || bytes.split(|byte| *byte == b'\n').take(2_000);
    let has_table = lines().any(|line| {
        matches!(
            line.trim_ascii(),
            b"*filter" | b"*nat" | b"*mangle" | b"*raw" | b"*security"
        )
    });
    let has_rules = lines().any(|line| {
        let line = line.trim_ascii_start();
        line.starts_with(b"-A ") || line.starts_with(b":") || line.starts_with(b"-P ")
    });
    match form(path, bytes) {
        Form::Script if is_shell(bytes) => return Claim::Yes("is a script that runs iptables"),
        Form::Script => {
            return Claim::Unreadable(
                "it is a program that runs iptables: run it on a test machine and give me the output of `iptables-save`",
            );
        }
        Form::Rules => return Claim::Yes("is the output of `iptables -S`"),
        Form::Listing => return Claim::Yes("is a listing of `iptables -L`"),
        Form::Save if has_table => return Claim::Yes("has a `*table` line of iptables-save"),
        Form::Save => {}
    }
    let ending = name.rsplit('.').next().unwrap_or_default();
    let named = matches!(ending, "rules" | "iptables")
        || name.starts_with("rules.v")
        || name.starts_with("iptables")
        || name.starts_with("ip6tables");
    let told = lines().any(|line| memmem::find(line, b"iptables-save").is_some());
    if has_rules && (named || told) {
        Claim::Maybe("has iptables rules, though no `*table` line")
    } else {
        Claim::No
    }
}

/// In which form rules stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Input of `iptables-restore`.
    Save,
    /// Output of `iptables -S`.
    Rules,
    /// Output of `iptables -L`, which leaves too much out.
    Listing,
    /// A program that runs iptables.
    Script,
}

/// The form of a file.
pub(super) fn form(path: &str, bytes: &[u8]) -> Form {
    if runs_iptables(path, bytes) {
        Form::Script
    } else if listing::headline(bytes).is_some() {
        Form::Listing
    } else if !path.contains("rules.v") && listing::is_rules(bytes) {
        Form::Rules
    } else {
        Form::Save
    }
}

fn runs_iptables(path: &str, bytes: &[u8]) -> bool {
    const TEXTS: [&str; 9] = [
        ".md", ".rst", ".adoc", ".html", ".txt", ".yml", ".yaml", ".json", ".log",
    ];
    let is_program = bytes.starts_with(b"#!");
    if !is_program && TEXTS.iter().any(|ending| path.ends_with(ending)) {
        return false;
    }
    let lines = || bytes.split(|byte| *byte == b'\n').take(2_000);
    let command = |line: &[u8]| {
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"sudo ").unwrap_or(line);
        let line = line.strip_prefix(b"/sbin/").unwrap_or(line);
        let line = line.strip_prefix(b"/usr/sbin/").unwrap_or(line);
        [
            &b"iptables -"[..],
            b"ip6tables -",
            b"$IPT",
            b"${IPT",
            b"$IP6T",
            b"${IP6T",
            b"$ipt",
            b"${ipt",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    // Prose may quote a command; what begins with one is a script.
    let first = lines().find(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    let is_assignment = |line: &[u8]| {
        let name = line.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.len() < line.len()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let begins_as_script = |line: &[u8]| {
        command(line)
            || is_assignment(line.strip_prefix(b"export ").unwrap_or(line))
            || [&b"set "[..], b"modprobe ", b"sysctl ", b"echo ", b"sudo "]
                .iter()
                .any(|start| line.starts_with(start))
    };
    if !is_program && !first.is_some_and(begins_as_script) {
        return false;
    }
    // `iptables -S` under a prompt is no command of a script.
    let has_command = lines().any(|line| command(line) && memmem::find(line, b" -S").is_none());
    has_command
        || (is_program
            && lines()
                .any(|line| !line.starts_with(b"#") && memmem::find(line, b"tables -").is_some()))
}

fn is_shell(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    !line.starts_with(b"#!") || memmem::find(line, b"sh").is_some()
}

/// The family whose rules a file holds: what its header says, then its content, then its name.
pub(super) fn family(path: &str, bytes: &[u8]) -> Family {
    let head = bytes.get(..bytes.len().min(4_096)).unwrap_or(bytes);
    if memmem::find(head, b"ip6tables-save").is_some() {
        return Family::V6;
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let named_v6 = name.contains("v6") || name.contains("ip6") || name.ends_with("6.rules");
    // Words that only one of the two takes.
    let has = |word: &[u8]| memmem::find(bytes, word).is_some();
    let v6 = has(b"icmp6-")
        || has(b"-p ipv6-icmp")
        || has(b"-p icmpv6")
        || has(b"-m icmp6")
        || has(b"::/0");
    if memmem::find(head, b"Generated by iptables-save").is_some() && !(v6 && named_v6) {
        return Family::V4;
    }
    if v6 && !has(b"-p icmp ") {
        return Family::V6;
    }
    if named_v6 && !has(b"-p icmp ") && !has(b".0/") {
        return Family::V6;
    }
    Family::V4
}

/// The program that adds chains of its own before it loads such a file.
pub(super) fn completed_by(path: &str, bytes: &[u8]) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let part = ["before", "after", "user"]
        .iter()
        .any(|word| name.contains(word));
    // ufw's own files; a dump of a machine that runs ufw has all the chains.
    let is_dump = memmem::find(bytes, b"Generated by ip").is_some();
    if !is_dump
        && (path.contains("ufw/") || part || memmem::find(bytes, b"ufw-").is_some())
        && memmem::find(bytes, b"ufw").is_some()
    {
        return Some("ufw");
    }
    None
}
