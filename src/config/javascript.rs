//! In: a JavaScript or TypeScript file. Out: a gate for every policy that stands in it as one literal.
//!
//! Nothing is executed: a literal counts where it is the value of the header's name, directly or through one `const`, and
//! nothing is added to it. What a template literal fills in is a hole; a value in any other form is unknown.

use super::csp::{self, Document};
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "javascript",
    title: "JavaScript or TypeScript that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

const ENDINGS: [&str; 6] = ["js", "mjs", "cjs", "ts", "jsx", "tsx"];

/// More than a person writes: a bundle.
const LONGEST: usize = 1 << 20;

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !ENDINGS.contains(&ending) || bytes.len() > LONGEST {
        return Claim::No;
    }
    let has = |needle: &str| memchr::memmem::find(bytes, needle.as_bytes()).is_some();
    let names_it = csp::names_the_header(bytes);
    if names_it && !lower::values(bytes, &parse::tokens(bytes)).is_empty() {
        Claim::Yes("gives a `Content-Security-Policy` header a value")
    } else if has("contentSecurityPolicy") && has("helmet") {
        Claim::Unreadable(
            "helmet builds the policy when it runs; judge the answer: `curl -sI URL | gatelint check - --kind csp`",
        )
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let mut reading = csp::reading(&documents(input), facts);
    reading.assumptions.push(
        "a policy is sent as its literal says (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
            .to_owned(),
    );
    reading
}

fn documents(input: &Input<'_>) -> Vec<Document> {
    lower::documents(input.file, input.bytes)
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_pages(&documents(input), blocked)
}
