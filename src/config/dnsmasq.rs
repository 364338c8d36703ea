//! In: one dnsmasq.conf with the files that it names. Out: its reading: a forwarder with names of its own.
//!
//! Rules: dnsmasq(8), `option.c` and `domain-match.c` of dnsmasq, and what dnsmasq 2.90 was seen to do. Facts:
//! `dnsmasq.version` (2.90 is assumed), `dnsmasq.addresses` (its addresses with prefix lengths, for `local-service`).

use super::dns::HostEntry;
use super::{
    Blocked, Claim, Diagnostic, DialectFinding, Facts, Files, Fix, Input, Kind, Level, Reading,
};
use crate::model::Layer;
use crate::source::{Sources, Spanned};

mod access;
mod answers;
mod domains;
mod edns;
mod fix;
mod grammar;
mod hosts;
mod lower;
mod parse;
mod syntax;

pub(crate) const KIND: Kind = Kind {
    name: "dnsmasq",
    title: "dnsmasq.conf",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: &DIAGNOSTICS,
};

/// dnsmasq does not start.
const REFUSED: &str = "dnsmasq/does-not-start";
/// A line is longer than dnsmasq reads at once.
const LONG_LINE: &str = "dnsmasq/long-line";

pub(super) const DIAGNOSTICS: [Diagnostic; 2] = [
    Diagnostic {
        id: REFUSED,
        level: Level::Error,
        title: "dnsmasq refuses the file",
        doc: "dnsmasq stops at the first mistake and does not start. Common mistakes: leading `--`, upper case, a blank \
              instead of `=`, a value after an option that takes none, a host name or several addresses in `address=`, \
              and an option that may stand only once, like `edns-packet-max`, given twice.\n\n\
              Mend the line, and check with `dnsmasq --test -C FILE`.",
    },
    Diagnostic {
        id: LONG_LINE,
        level: Level::Error,
        title: "A line is longer than dnsmasq reads",
        doc: "dnsmasq reads 1,024 bytes at once: what follows on the same line is read as an option of its own, even \
              in a comment, and so is refused.\n\nBreak the line.",
    },
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = name.contains("dnsmasq") || path.contains("dnsmasq.d/");
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default();
    // The spans of a claim are never shown.
    let Ok(file) = Sources::new().add("", Vec::new()) else {
        return Claim::No;
    };
    let (mut known, mut typical, mut foreign, mut template) = (0usize, 0usize, 0usize, false);
    for line in syntax::lines(file, head) {
        let text = line.value.as_deref().unwrap_or(&line.name);
        template |= text.contains(['{', '}']) || text.contains("<%");
        match grammar::takes(&line.name) {
            Some(_) => {
                known += 1;
                let domain = line
                    .value
                    .as_deref()
                    .is_some_and(|value| value.starts_with('/'));
                typical += usize::from(match line.name.as_str() {
                    "server" | "address" | "local" => domain,
                    name => TYPICAL.contains(&name),
                });
            }
            None => foreign += 1,
        }
    }
    if template && named && known > 0 {
        return Claim::Unreadable("it is a template: render it and give the result");
    }
    match (typical, known, foreign) {
        (1.., known, foreign) if foreign * 2 <= known => Claim::Yes("has options of dnsmasq"),
        (_, 1.., foreign) if named && foreign <= known => {
            Claim::Yes("is named like a file of dnsmasq and has its options")
        }
        (0, 0, 0) if name == "dnsmasq.conf" => Claim::Maybe("is named dnsmasq.conf"),
        _ => Claim::No,
    }
}

/// Options that no other program has.
const TYPICAL: &[&str] = &[
    "no-resolv",
    "domain-needed",
    "bogus-priv",
    "dhcp-range",
    "dhcp-option",
    "cache-size",
    "addn-hosts",
    "expand-hosts",
    "strict-order",
    "all-servers",
    "bogus-nxdomain",
    "stop-dns-rebind",
    "edns-packet-max",
    "listen-address",
    "resolv-file",
    "host-record",
    "no-negcache",
];

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    lower::lower(input, parse::parse(input, files), files, facts)
}

/// The dnsmasq inside another program, which writes its options; each is told where the user wrote what it comes from.
pub(super) fn embedded(
    input: &Input<'_>,
    options: &[Spanned<String>],
    hosts: Vec<HostEntry>,
    files: &dyn Files,
    facts: &Facts,
) -> Reading {
    let lines = options
        .iter()
        .flat_map(|option| {
            let lines = syntax::lines(option.span.file, option.value.as_bytes());
            lines.into_iter().map(|line| syntax::Line {
                name_span: option.span,
                value_span: option.span,
                span: option.span,
                ..line
            })
        })
        .collect();
    let mut config = parse::parse_lines(input, lines, files);
    config.hosts.extend(hosts);
    lower::lower(input, config, files, facts)
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, reading, blocked)
}

/// dnsmasq does not start with this.
fn refused(title: String, label: Spanned<String>) -> DialectFinding {
    DialectFinding {
        id: REFUSED,
        title,
        label,
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: true,
    }
}
