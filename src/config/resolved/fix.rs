//! In: a lookup or a setting that fails. Out: the smallest edit that mends it.

use super::super::{Blocked, Edit, Fix, Input};
use super::parse::{Config, Listener};

/// Edits for one failure: a refused record type is taken out, a listener takes both transports again.
pub(super) fn fix(input: &Input<'_>, config: &Config, blocked: &Blocked<'_>) -> Vec<Fix> {
    if blocked.setting == Some("dns.tcp")
        && let Some(stub) = config.stub.filter(|stub| stub.value == Listener::UDP)
        && stub.span.file == input.file
    {
        return vec![Fix {
            title: "listen with UDP and TCP".to_owned(),
            edits: vec![Edit {
                span: stub.span,
                text: "DNSStubListener=yes".to_owned(),
            }],
            safe: false,
        }];
    }
    config
        .refused
        .iter()
        .filter(|kind| Some(kind.span) == blocked.decided_by && kind.span.file == input.file)
        .map(|kind| Fix {
            title: "take the record type out".to_owned(),
            edits: vec![Edit {
                span: kind.span,
                text: String::new(),
            }],
            safe: false,
        })
        .collect()
}
