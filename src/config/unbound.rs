//! In: one unbound.conf with what it includes. Out: its reading: a resolver, the hop that most lookups pass.
//!
//! Rules: unbound.conf(5), unbound's own lexer and grammar for the syntax, and what unbound 1.17.1 was seen to do. The
//! fact `unbound.version` chooses between defaults that have changed.

use super::{Blocked, Claim, Diagnostic, Facts, Files, Fix, Input, Kind, Level, Reading};
use crate::model::Layer;

mod fix;
mod keywords;
mod lower;
mod parse;
mod syntax;

pub(crate) const KIND: Kind = Kind {
    name: "unbound",
    title: "unbound.conf of the resolver unbound",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: "unbound/does-not-start",
        level: Level::Error,
        title: "unbound refuses the file",
        doc: "unbound stops at start when it meets a keyword that it does not know, one in the wrong clause, or a value \
              that it cannot take. Some of these pass unbound-checkconf: `rpz:` and `response-ip:` without the module \
              `respip` do.\n\n\
              Correct the line; `unbound-checkconf` then says whether more is wrong.",
    },
    Diagnostic {
        id: "unbound/loopback-only",
        level: Level::Info,
        title: "Only the machine itself can ask",
        doc: "unbound listens on loopback only unless `interface:` says otherwise, and allows loopback only unless \
              `access-control:` does. That is right for a resolver of one machine.\n\n\
              For a network, set `interface: 0.0.0.0` and allow the clients' netblocks.",
    },
    Diagnostic {
        id: "unbound/overridden-zone",
        level: Level::Warning,
        title: "A local zone is set twice",
        doc: "Of two `local-zone:` lines for the same name the last one wins; unbound only logs a warning.\n\n\
              Remove the line that is not meant.",
    },
    Diagnostic {
        id: "unbound/wildcard-zone",
        level: Level::Warning,
        title: "A local zone with a `*` covers nothing",
        doc: "A local zone covers its name and all names below it. A `*` is an ordinary label to it, so \
              `local-zone: \"*.example.com\"` covers only names that really have a star in them.\n\n\
              Write the name without the star.",
    },
    Diagnostic {
        id: "unbound/dead-zone",
        level: Level::Warning,
        title: "A forwarded zone has no server that may be asked",
        doc: "A `forward-zone:` or `stub-zone:` without a usable server answers SERVFAIL for all its names; it does not \
              fall back to ordinary resolution unless `forward-first: yes` or `stub-first: yes` is set. A server is \
              not usable when `do-not-query-address` covers it (loopback is covered unless \
              `do-not-query-localhost: no`), or when its address family is switched off.\n\n\
              Add a server, or remove the zone.",
    },
];

/// Keywords that only unbound has.
const TELLING: [&str; 14] = [
    "local-zone:",
    "local-data:",
    "forward-addr:",
    "forward-zone:",
    "stub-zone:",
    "stub-addr:",
    "access-control:",
    "edns-buffer-size:",
    "harden-glue:",
    "auto-trust-anchor-file:",
    "private-address:",
    "rrset-cache-size:",
    "qname-minimisation:",
    "domain-insecure:",
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let head = bytes.get(..bytes.len().min(256 * 1024)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let (mut known, mut foreign, mut telling, mut opened) = (0usize, 0usize, 0usize, 0usize);
    let (mut own, mut template) = (0usize, false);
    for line in text.lines() {
        let line = line.trim_start_matches('\u{feff}').trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let word = line
            .split_inclusive(':')
            .next()
            .and_then(|word| word.split_ascii_whitespace().next())
            .unwrap_or_default();
        let Some(name) = word.strip_suffix(':') else {
            foreign += 1;
            continue;
        };
        opened += usize::from(keywords::opens(name).is_some());
        if matches!(name, "zone" | "pattern") {
            // NSD has the same syntax, and these clauses.
            return Claim::No;
        }
        if keywords::keyword(name, None).is_some()
            || keywords::opens(name).is_some()
            || name.starts_with("include")
        {
            known += 1;
        } else {
            foreign += 1;
        }
        telling += usize::from(TELLING.contains(&word));
        // Words like `port:` are other programs', too.
        own += usize::from(name.contains('-') && keywords::keyword(name, None).is_some());
        template |= ["{{", "{%", "<%", "${"]
            .iter()
            .any(|mark| line.contains(mark));
    }
    let named = path.contains("unbound");
    if template && telling > 0 && known > foreign {
        return Claim::Unreadable("it is a template: render it and give the result");
    }
    match (telling, opened, named) {
        (1.., _, _) if known >= foreign => Claim::Yes("has keywords of unbound.conf"),
        (_, 1.., _) if foreign == 0 && own > 0 => {
            Claim::Yes("has a clause and keywords of unbound.conf")
        }
        (_, 1.., true) if known > foreign => Claim::Yes("is named unbound and has its clauses"),
        (_, _, true) if known > 0 && foreign == 0 => Claim::Maybe("is named unbound"),
        _ => Claim::No,
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    let tokens = syntax::tokens(input, files);
    let fragment = is_fragment(&tokens.tokens);
    let companions = tokens.companions;
    let config = parse::parse(tokens.tokens, fragment);
    let mut reading = lower::lower(&config, input.file, facts);
    reading.companions = companions;
    if fragment {
        // What is wrong without a clause may be right inside one.
        reading.findings.retain(|finding| !finding.refuses);
        reading.not_judged =
            Some("it opens no clause: a piece that another unbound.conf includes".to_owned());
    }
    reading
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    let tokens = syntax::tokens(input, &super::NoFiles).tokens;
    let fragment = is_fragment(&tokens);
    fix::fix(input, &parse::parse(tokens, fragment), blocked)
}

/// It has keywords, but opens no clause: it stands inside another file's.
fn is_fragment(tokens: &[syntax::Token]) -> bool {
    let mut keywords = tokens.iter().filter_map(|token| match token {
        syntax::Token::Keyword(name) => Some(name.value.as_str()),
        syntax::Token::Value(_)
        | syntax::Token::TopLevel
        | syntax::Token::Missing(_)
        | syntax::Token::Wrong(_) => None,
    });
    keywords
        .clone()
        .any(|name| keywords::keyword(name, None).is_some())
        && !keywords.any(|name| keywords::opens(name).is_some())
}
