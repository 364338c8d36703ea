//! In: one squid.conf with the files that it names. Out: one gate: `http_access` and the lists that follow it.
//!
//! Squid decides a request by the first line of `http_access` whose ACLs all match; a list without a match does the
//! opposite of its last line. Then come `adapted_http_access`, `miss_access`, the choice of a way
//! (`never_direct`), and for a CONNECT on an `ssl-bump` port what `ssl_bump` does with the tunnel.
//!
//! Invariants: a value, file or ACL type that is not read or not modelled is an unknown with its span, never nothing; a
//! file that Squid refuses denies everything with that cause.

use super::{
    Blocked, Claim, Diagnostic, FactValue, Facts, Files, Fix, Input, Kind, Level, Reading,
};
use crate::model::Layer;

mod acl;
mod address;
mod bump;
mod clients;
mod directives;
mod ere;
mod fix;
mod guards;
mod lists;
mod lower;
mod parse;
mod syntax;
mod template;

pub(crate) const KIND: Kind = Kind {
    name: "squid",
    title: "squid.conf",
    layer: Layer::Proxy,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let text = String::from_utf8_lossy(bytes.get(..1 << 20).unwrap_or(bytes));
    let named = path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains("squid"));
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let own = lines.clone().any(|line| {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("http_access"), Some("allow" | "deny"), Some(_)) => true,
            (Some("acl"), Some(_), Some(kind)) => {
                named && acl::kind(kind.trim_start_matches("my")).is_some()
            }
            (Some("http_port" | "https_port"), Some(port), _) => {
                port.ends_with(|c: char| c.is_ascii_digit())
            }
            (Some(word), Some(_), _) => STRONG.contains(&word),
            _ => false,
        }
    });
    if own {
        return Claim::Yes("has Squid's access or port lines");
    }
    let known = |line: &str| {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        directives::known(word) == directives::Known::Always
    };
    if named && lines.any(known) {
        return Claim::Maybe("is named after Squid");
    }
    Claim::No
}

/// Directives that no other program has.
const STRONG: &[&str] = &[
    "adapted_http_access",
    "always_direct",
    "cache_peer",
    "cache_peer_access",
    "coredump_dir",
    "http_reply_access",
    "never_direct",
    "refresh_pattern",
    "ssl_bump",
    "url_rewrite_program",
];

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    if let Some(finding) = template::residue(input) {
        return Reading {
            findings: vec![finding],
            not_judged: Some("a template, not a config".to_owned()),
            statements: 1,
            understood: 1,
            ..Reading::default()
        };
    }
    let mut config = parse::parse(input, files, facts);
    let gate = lower::lower(&mut config);
    let (major, minor) = config.version;
    let version = if minor == u16::MAX {
        major.to_string()
    } else {
        format!("{major}.{minor}")
    };
    if !config.version_given {
        config.assumptions.push(format!(
            "Squid is version {version} (`squid.version` was not given)"
        ));
    }
    let not_judged = lower::aside(&config);
    Reading {
        gates: vec![gate],
        facts: vec![("squid.version".to_owned(), FactValue::Word(version))],
        statements: config.statements,
        understood: config.understood,
        role: Some(lower::role(&config).to_owned()),
        not_judged,
        findings: config.findings,
        companions: config.companions,
        assumptions: config.assumptions,
        ..Reading::default()
    }
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, blocked)
}

const REFUSED: &str = "squid/does-not-start";
const IGNORED_LINE: &str = "squid/ignored-line";
const VALUES_AFTER_FILE: &str = "squid/values-after-file";
const OVERLAP_LOST: &str = "squid/overlap-lost";
const NEEDS_VERSION: &str = "squid/needs-version";
const TEMPLATE: &str = "squid/template";
const UPGRADE_CASE: &str = "squid/upgrade-case";
const DSTDOMAIN_STAR: &str = "squid/dstdomain-star";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: REFUSED,
        level: Level::Error,
        title: "Squid does not start with this file",
        doc: "Squid reads its file before it listens, and stops at the first thing that it does not accept: an unknown \
              directive, an ACL that a rule names before it is defined, a network mask or port that is none, a domain \
              that covers an earlier one in the same ACL (before version 7), an include that finds no file.\n\nA proxy \
              that runs keeps its old configuration until it is restarted, so this often shows up later, after a \
              reboot.\n\nMend the line that is shown; `squid -k parse` shows the next one.",
    },
    Diagnostic {
        id: IGNORED_LINE,
        level: Level::Warning,
        title: "Squid ignores this line or a part of it",
        doc: "Some mistakes do not stop Squid: it writes a line to its log and goes on without the rule. A misspelt \
              action (`Allow`), a rule without an ACL, an ACL without values and a continuation at the end of the \
              file are such mistakes. A rule that is skipped does not count as the last one of its list either, so \
              the list's default can turn around.\n\nCorrect the line, or remove it if it is not meant to be there.",
    },
    Diagnostic {
        id: VALUES_AFTER_FILE,
        level: Level::Error,
        title: "values after a file name are never read",
        doc: "In `acl name type \"file\" value` Squid reads the file and then stops reading the line: the value after \
              it, or a second file, is lost without a word in the log.\n\nWrite one `acl` line for the file and \
              another for the values; lines of one name add up.",
    },
    Diagnostic {
        id: OVERLAP_LOST,
        level: Level::Warning,
        title: "an overlapping address value is dropped",
        doc: "Before version 7, Squid keeps the values of a `src` or `dst` ACL in a tree that has no room for overlaps: \
              a value that overlaps an earlier one is dropped. Where the narrow network stands first, the wide one is \
              lost, and with it most of its clients.\n\nPut the wider network first, or remove the narrower one.",
    },
    Diagnostic {
        id: NEEDS_VERSION,
        level: Level::Info,
        title: "older releases of Squid do not start with this file",
        doc: "The file uses something that came with a later release, for example the built-in ACL `to_linklocal` \
              (since 5.8). An older Squid stops there.\n\nSay which release runs with the fact `squid.version`, or \
              define the ACL in the file.",
    },
    Diagnostic {
        id: TEMPLATE,
        level: Level::Info,
        title: "this is a template of a config",
        doc: "The file has placeholders of a template language (Jinja, ERB, PHP, `${NAME}`), which some other program \
              fills in. What Squid will read is not known here.\n\nCheck the file that the template makes.",
    },
    Diagnostic {
        id: UPGRADE_CASE,
        level: Level::Warning,
        title: "this protocol name matches no WebSocket client",
        doc: "The names of `http_upgrade_request_protocols` are case-sensitive, and clients send `websocket` in lower \
              case. A line for `WebSocket` never applies, so a WebSocket in a decrypted tunnel loses its Upgrade header.\
              \n\nWrite `http_upgrade_request_protocols websocket allow ...`, or leave such tunnels alone with \
              `ssl_bump splice`.",
    },
    Diagnostic {
        id: DSTDOMAIN_STAR,
        level: Level::Error,
        title: "this domain value never matches",
        doc: "A `dstdomain` value is a host name, or a name with a leading dot for all names at and below it. Stars, \
              schemes, paths and a dot at the end are taken as they are written, so the value never matches, and \
              Squid says nothing.\n\nWrite `.example.com` for `*.example.com`.",
    },
];
