//! In: the name of a command in a script. Out: what it may do to the rules.
//!
//! Only programs that are known not to touch rules count as unrelated: any other might be a script of its own.

use super::expand::Field;
use crate::model::Family;

/// What a command is, as far as rules are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Iptables(Family),
    /// Runs the command that begins after so many words (`sudo`).
    Prefix(usize),
    /// Sets variables (`export`, `read`).
    Sets,
    /// Ends the script.
    Ends,
    Unrelated,
    /// May change rules; why that is not followed.
    Changes(&'static str),
}

/// Commands that touch no rule.
const UNRELATED: &[&str] = &[
    ":",
    "[",
    "[[",
    "]]",
    "apt",
    "apt-get",
    "awk",
    "basename",
    "break",
    "brctl",
    "cat",
    "cd",
    "chmod",
    "chown",
    "clear",
    "conntrack",
    "continue",
    "cp",
    "curl",
    "cut",
    "date",
    "depmod",
    "df",
    "dig",
    "dirname",
    "dmesg",
    "echo",
    "egrep",
    "ethtool",
    "expr",
    "false",
    "fgrep",
    "free",
    "grep",
    "head",
    "hostname",
    "id",
    "ifconfig",
    "insmod",
    "install",
    "ip",
    "ip6tables-save",
    "iptables-save",
    "iptables-xml",
    "kill",
    "ln",
    "logger",
    "logname",
    "ls",
    "lsmod",
    "mkdir",
    "mktemp",
    "modinfo",
    "modprobe",
    "mount",
    "mv",
    "netstat",
    "nslookup",
    "ping",
    "ping6",
    "printf",
    "ps",
    "pwd",
    "rm",
    "rmdir",
    "rmmod",
    "route",
    "sed",
    "seq",
    "set",
    "shift",
    "shopt",
    "sleep",
    "sort",
    "ss",
    "stat",
    "sync",
    "sysctl",
    "tail",
    "tc",
    "tee",
    "test",
    "touch",
    "tput",
    "tr",
    "true",
    "type",
    "ulimit",
    "umask",
    "umount",
    "uname",
    "uniq",
    "wait",
    "wc",
    "wget",
    "which",
    "whoami",
];

/// What a command is. `fields` are its words, the name first.
pub(super) fn program(name: &[u8], is_known: bool, fields: &[Field]) -> Program {
    let has = |word: &[u8]| {
        fields
            .iter()
            .any(|field| memchr::memmem::find(&field.text, word).is_some())
    };
    if !is_known {
        // `$IPT`, set elsewhere: nobody calls another program so.
        let upper = name.to_ascii_uppercase();
        let is_iptables = memchr::memmem::find(&upper, b"IPT").is_some()
            || memchr::memmem::find(&upper, b"IP6T").is_some();
        return match (is_iptables, upper.contains(&b'6')) {
            (true, false) => Program::Iptables(Family::V4),
            (true, true) => Program::Iptables(Family::V6),
            (false, _) => Program::Changes("a variable's value is not known"),
        };
    }
    match name {
        b"iptables" | b"iptables-legacy" | b"iptables-nft" => Program::Iptables(Family::V4),
        b"ip6tables" | b"ip6tables-legacy" | b"ip6tables-nft" => Program::Iptables(Family::V6),
        b"sudo" | b"doas" | b"command" | b"nohup" | b"env" | b"builtin" | b"exec" | b"nice" => {
            let options = fields
                .iter()
                .skip(1)
                .take_while(|field| field.text.starts_with(b"-") || field.text.contains(&b'='))
                .count();
            // `command -v iptables` runs nothing.
            if name == b"command" && options > 0 {
                return Program::Unrelated;
            }
            Program::Prefix(1 + options)
        }
        b"export" | b"readonly" | b"declare" | b"typeset" | b"local" | b"read" | b"unset"
        | b"let" => Program::Sets,
        b"exit" | b"return" => Program::Ends,
        b"." | b"source" => Program::Changes("another script is not followed"),
        b"eval" | b"trap" if has(b"tables") || name == b"eval" => {
            Program::Changes("a command made of text is not followed")
        }
        b"trap" => Program::Unrelated,
        b"iptables-restore" | b"ip6tables-restore" | b"iptables-apply" => {
            Program::Changes("what `iptables-restore` loads is not followed")
        }
        b"systemctl" | b"service" => {
            const SERVICES: [&[u8]; 9] = [
                b"tables",
                b"firewall",
                b"docker",
                b"ufw",
                b"nft",
                b"fail2ban",
                b"netfilter",
                b"libvirt",
                b"network",
            ];
            if SERVICES.iter().any(|service| has(service)) && !has(b"save") {
                Program::Changes("a service that changes rules is not followed")
            } else {
                Program::Unrelated
            }
        }
        _ if UNRELATED.iter().any(|known| known.as_bytes() == name) => Program::Unrelated,
        _ => Program::Changes("a program is not followed"),
    }
}
