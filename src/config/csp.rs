//! In: a Content Security Policy as text, as header lines, or in a dump of responses. Out: one gate per page.
//!
//! The browser is Chromium; where Firefox differs, that is said. What a page may load depends on every enforced policy,
//! so a gate is made of all policies of a page (`lower`), and a directive that does not do what its author meant is
//! reported on its own (`advise`).
//!
//! Source: Content Security Policy Level 3 (w3c.github.io/webappsec-csp); where browsers differ from it, the code says so.

use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;
use crate::source::Spanned;

mod advise;
mod allow;
mod carrier;
mod diagnostics;
mod duties;
mod fix;
mod guards;
mod headers;
mod literal;
mod lower;
mod names;
mod parse;
mod reach;
mod source;
mod stages;
mod syntax;
mod table;
mod text;
mod tokens;

pub(in crate::config) use carrier::{distinct, fix_gate, quotes_configs, refused};
pub(in crate::config) use diagnostics::DIAGNOSTICS;
pub(in crate::config) use fix::fix as fix_pages;
pub(in crate::config) use literal::{doubled, escaped};
pub(in crate::config) use parse::{is_space, parse_policies, unread};
pub(in crate::config) use syntax::{Delivery, Disposition, Policy};
pub(in crate::config) use table::{Change, Doubt, Table, disposition};
pub(in crate::config) use text::{Quoting, Text};

pub(crate) const KIND: Kind = Kind {
    name: "csp",
    title: "Content Security Policy, as text or response headers",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// A page and the policies that reach it.
#[derive(Debug, Clone)]
pub(in crate::config) struct Document {
    /// What the gate is called.
    pub(in crate::config) name: String,
    /// Every policy, in order.
    pub(in crate::config) policies: Vec<Policy>,
    /// Places that look like a policy but are none, with the reason.
    pub(in crate::config) ignored: Vec<Spanned<Ignored>>,
    /// What reading assumed.
    pub(in crate::config) assumptions: Vec<String>,
}

/// Why something that looks like a policy is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Ignored {
    /// A meta element in the body.
    OutsideHead,
    /// A report-only policy in a meta element.
    ReportOnlyMeta,
    /// `X-Content-Security-Policy`, `X-WebKit-CSP`.
    Obsolete,
    /// Another header, whose block does not inherit the policy any more.
    Shadowed,
}

impl Document {
    pub(in crate::config) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            policies: Vec::new(),
            ignored: Vec::new(),
            assumptions: Vec::new(),
        }
    }
}

/// File name endings of formats that hold a policy inside their own syntax.
const OTHER_FORMATS: [&str; 22] = [
    "yaml", "yml", "json", "toml", "js", "ts", "jsx", "tsx", "mjs", "cjs", "html", "htm", "md",
    "conf", "xml", "tf", "py", "rb", "go", "rs", "php", "har",
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    if OTHER_FORMATS.contains(&ending.as_str()) {
        return Claim::No;
    }
    let (has_status, has_header) = headers::signs(bytes);
    if has_status && has_header {
        Claim::Yes("has a response with a `Content-Security-Policy` header")
    } else if has_status {
        Claim::Maybe("has response headers")
    } else if has_header {
        Claim::Yes("has a `Content-Security-Policy` header")
    } else if starts_with_a_directive(bytes) {
        Claim::Yes("begins with a directive of a Content Security Policy")
    } else if ending == "csp" {
        Claim::Maybe("name ends in .csp")
    } else {
        Claim::No
    }
}

/// Whether a text has the header's name anywhere, in any case.
pub(in crate::config) fn names_the_header(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"content-security-policy";
    memchr::memchr2_iter(b'c', b'C', bytes).any(|at| {
        bytes
            .get(at..at + NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    })
}

/// `default-src 'self'`: a known name that takes sources, and something behind it.
fn starts_with_a_directive(bytes: &[u8]) -> bool {
    let head = bytes.get(..256).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head);
    let mut words = head
        .trim_start_matches(['\u{feff}', '"', '`', ' ', '\t', '\r', '\n'])
        .split([' ', '\t', '\n', '\r', ';']);
    words.next().is_some_and(|word| {
        syntax::Known::from_word(&word.to_ascii_lowercase()).is_some_and(|name| {
            name.takes_sources() || name == syntax::Known::UpgradeInsecureRequests
        })
    })
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    reading(&headers::documents(input.file, input.bytes), facts)
}

/// The reading of pages, wherever their policies came from.
pub(in crate::config) fn reading(documents: &[Document], facts: &Facts) -> Reading {
    let page = lower::Page::of(facts);
    let mut reading = Reading::default();
    for document in documents {
        let gate = lower::lower(&document.name, &document.policies, &page);
        reading.assumptions.extend(document.assumptions.clone());
        reading.gates.push(gate);
        reading.findings.extend(advise::advise(document, &page));
        let directives = || {
            document
                .policies
                .iter()
                .flat_map(|policy| &policy.directives)
        };
        reading.statements += directives().count();
        reading.understood += directives()
            .filter(|directive| directive.fate != syntax::Fate::Unrecognised)
            .count();
    }
    if reading.statements == 0 {
        // A response without a policy was read and understood: nothing restricts its page.
        (reading.statements, reading.understood) = (1, 1);
    }
    reading
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(&headers::documents(input.file, input.bytes), blocked)
}
