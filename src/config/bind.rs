//! In: one named.conf with its includes and zone files. Out: its reading: whom it answers, and what.
//!
//! Rules: named.conf(5), the reference manual of BIND 9.18, `lib/isccfg` and `bin/named/server.c`, and what named 9.18.49
//! was seen to do. Facts: `bind.version` (9.18 is assumed), `bind.addresses` (the server's addresses with prefix lengths).

use super::{
    Blocked, Claim, Diagnostic, DialectFinding, Facts, Files, Fix, Input, Kind, Level, Reading,
};
use crate::model::Layer;
use crate::source::{Sources, Spanned};

mod access;
mod acl;
mod answers;
mod edns;
mod fix;
mod grammar;
mod lower;
mod masterfile;
mod names;
mod parse;
mod scene;
mod scope;
mod syntax;
mod upstream;

pub(crate) const KIND: Kind = Kind {
    name: "bind",
    title: "named.conf of BIND 9",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// named does not start.
const REFUSED: &str = "bind/does-not-start";
/// A clause that 9.18 no longer takes.
const REMOVED_OPTION: &str = "bind/removed-option";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: REFUSED,
        level: Level::Error,
        title: "named refuses the file",
        doc: "named stops at the first mistake and does not start; a running one keeps its old configuration. Common \
              mistakes: a missing `;` (one belongs after every `}` too), the same clause twice in one block (the last \
              does not win), an address list that names an acl which is not defined, a zone outside the views.\n\n\
              Mend the line, and check with `named-checkconf`.",
    },
    Diagnostic {
        id: REMOVED_OPTION,
        level: Level::Warning,
        title: "A clause was removed from BIND",
        doc: "Older versions took the clause and did little or nothing with it; since 9.18 named does not start when it \
              meets it.\n\nDelete the clause before the next upgrade.",
    },
    Diagnostic {
        id: "bind/server-ignored-in-view",
        level: Level::Warning,
        title: "A `server` outside a view has no effect in it",
        doc: "A view that has any `server` statement of its own takes none from outside, so what those say about EDNS0, \
              sizes or TCP does not hold there.\n\nRepeat the statements in the view.",
    },
    Diagnostic {
        id: "bind/forwarders-empty",
        level: Level::Info,
        title: "An empty `forwarders` does not block",
        doc: "A zone of `type forward` with an empty `forwarders` list turns forwarding off below its name: named asks \
              the root and the servers below it. Where the firewall lets only the forwarders out, these names fail.\n\n\
              To block names use a primary zone without records, or a response policy zone.",
    },
    Diagnostic {
        id: "bind/size-out-of-range",
        level: Level::Warning,
        title: "A UDP size is outside 512 to 4096",
        doc: "named clamps the value without a word; versions after 9.21.16 refuse the file.\n\nSet 1232: such \
              packets cross every path without fragments.",
    },
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = name.starts_with("named") || name.contains("bind");
    let head = bytes.get(..bytes.len().min(256 * 1024)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    if ["{{", "{%", "<%", "${"]
        .iter()
        .any(|mark| text.contains(mark))
        && named
        && text.contains("options")
    {
        return Claim::Unreadable("it is a template: render it and give the result");
    }
    // The spans of a claim are never shown.
    let Ok(file) = Sources::new().add("", Vec::new()) else {
        return Claim::No;
    };
    let tree = syntax::parse(file, head);
    let mut typical = 0;
    let mut weak = 0;
    let mut foreign = 0;
    for statement in &tree.statements {
        let body = |keywords: &[&str]| {
            statement.block().is_some_and(|block| {
                block
                    .statements
                    .iter()
                    .any(|clause| keywords.contains(&clause.keyword().as_str()))
            })
        };
        match statement.keyword().as_str() {
            "options"
                if body(&[
                    "directory",
                    "recursion",
                    "forwarders",
                    "listen-on",
                    "allow-query",
                    "allow-recursion",
                    "dnssec-validation",
                    "forward",
                    "listen-on-v6",
                    "pid-file",
                ]) =>
            {
                typical += 1;
            }
            "zone" if body(&["type"]) => typical += 1,
            "view" if body(&["match-clients", "zone", "recursion"]) => typical += 1,
            "server" if body(&["edns", "edns-udp-size", "max-udp-size", "bogus", "tcp-only"]) => {
                typical += 1;
            }
            "options" | "acl" | "logging" | "key" | "controls" if statement.block().is_some() => {
                weak += 1;
            }
            "include" => weak += 1,
            _ => foreign += 1,
        }
    }
    match (typical, weak, foreign) {
        (1.., _, foreign) if foreign <= typical + weak => {
            Claim::Yes("has `options`, `zone` or `view` blocks of BIND")
        }
        (0, 1.., 0) if named => Claim::Maybe("is named like a file of BIND and has its statements"),
        _ => Claim::No,
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    lower::lower(input, parse::parse(input, files), files, facts)
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, reading, blocked)
}

/// named does not start with this.
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
