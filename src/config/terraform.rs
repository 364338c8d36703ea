//! In: a file in Terraform's language. Out: a gate for every resource that sets a policy.
//!
//! Nothing is evaluated: a policy counts where it is one text (quoted, a heredoc, or a `local` that is one); what `${..}`
//! fills in is a hole, and any other expression is unknown.

use super::csp;
use super::{Blocked, Claim, Facts, Files, Fix, Input, Kind, Reading};
use crate::model::Layer;

mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "terraform",
    title: "Terraform that sets a Content-Security-Policy",
    layer: Layer::Fetch,
    claims,
    read,
    fix,
    diagnostics: csp::DIAGNOSTICS,
};

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_terraform = name
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "tf");
    let sets = || {
        memchr::memmem::find_iter(bytes, b"content_security_policy").any(|at| {
            let rest = bytes.get(at + 23..).unwrap_or_default().trim_ascii_start();
            matches!(rest.first(), Some(b'=' | b'{'))
        })
    };
    if is_terraform && (csp::names_the_header(bytes) || sets()) {
        Claim::Yes("sets a Content-Security-Policy for responses")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let (documents, broken) = lower::documents(input.file, input.bytes);
    let mut reading = csp::reading(&documents, facts);
    let refused = broken
        .iter()
        .map(|broken| csp::refused("Terraform", broken));
    reading.findings.extend(refused);
    if documents.is_empty() {
        reading.not_judged = Some("no resource of it sets a policy".to_owned());
    } else {
        reading.assumptions.push(
            "a page gets the policy of one resource, and where that overrides nothing, its origin sends none (`curl -sI URL | gatelint check - --kind csp` judges the answer)"
                .to_owned(),
        );
    }
    reading
}

fn fix(input: &Input<'_>, reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    csp::fix_gate(
        lower::documents(input.file, input.bytes).0,
        reading,
        blocked,
    )
}
