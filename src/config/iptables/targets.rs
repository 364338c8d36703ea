//! In: a rule's `-j` or `-g` with its options. Out: a step.
//!
//! Names and options as in iptables-extensions(8); effects as in the kernel's `xt_*.c`.

use super::body::Body;
use super::nat;
use super::parse::is_template;
use super::syntax::{ProblemKind, TableName};
use super::values;
use super::words::Word;
use crate::model::{
    ChainId, Denial, Dim, Effect, MarkName, Rewrite, Step, Unknown, UnknownId, UnknownKind, Value,
};

/// Targets that look at the packet, or change what no test of this model sees, and go on.
const CONTINUING: &[&[u8]] = &[
    b"LOG",
    b"NFLOG",
    b"ULOG",
    b"TRACE",
    b"AUDIT",
    b"CHECKSUM",
    b"CLASSIFY",
    b"TEE",
    b"SET",
    b"IDLETIMER",
    b"LED",
    b"RATEEST",
    b"SECMARK",
    b"CONNSECMARK",
    b"TCPOPTSTRIP",
    b"ECN",
    b"ACCOUNT",
];

/// Targets that hand the packet to somebody else, with what would have to be known.
const OBSCURE: &[(&[u8], &str, &str)] = &[
    (
        b"NFQUEUE",
        "queue",
        "knowing what the program behind the queue answers",
    ),
    (
        b"QUEUE",
        "queue",
        "knowing what the program behind the queue answers",
    ),
    (
        b"TPROXY",
        "tproxy",
        "knowing the local proxy that the packet is given to",
    ),
    (
        b"SYNPROXY",
        "synproxy",
        "knowing what the SYN proxy does with the connection",
    ),
    (
        b"CLUSTERIP",
        "cluster",
        "knowing which node of the cluster answers",
    ),
    (b"NFPROXY", "target", "a model of the target"),
    (b"TARPIT", "target", "a model of the target"),
    (b"DELUDE", "target", "a model of the target"),
    (b"CHAOS", "target", "a model of the target"),
    (b"MIRROR", "target", "a model of the target"),
    (b"STEAL", "target", "a model of the target"),
    (b"SNPT", "target", "a model of the target"),
    (b"DNPT", "target", "a model of the target"),
    (b"DNETMAP", "target", "a model of the target"),
    (b"RAWDNAT", "target", "a model of the target"),
    (b"RAWSNAT", "target", "a model of the target"),
    (b"RTPENGINE", "target", "a model of the target"),
    (b"NAT", "target", "a model of the target"),
    (b"SAME", "target", "a model of the target"),
    (b"BALANCE", "target", "a model of the target"),
    (b"ROUTE", "target", "a model of the target"),
    (b"IMQ", "target", "a model of the target"),
    (b"XOR", "target", "a model of the target"),
];

/// The step of a rule.
pub(super) fn step(body: &mut Body<'_, '_, '_>) -> Step {
    let Some(target) = body.target.take() else {
        return Step::Continue;
    };
    let name = &*target.text;
    if let Some(at) = body.place.chains.get(name) {
        let id = ChainId(u32::try_from(body.place.base + at).unwrap_or(u32::MAX));
        return if body.goto {
            Step::Goto(id)
        } else {
            Step::Call(id)
        };
    }
    if body.goto {
        return undeclared(body, &target);
    }
    one_change(body, name);
    match name {
        b"ACCEPT" => Step::Decide(Effect::Allow),
        b"DROP" => {
            if body.place.table == TableName::Nat {
                body.refuse(&target, "the nat table takes no `DROP`");
            }
            Step::Decide(Effect::Deny(Denial::Drop))
        }
        b"RETURN" => Step::Return,
        b"REJECT" => Step::Decide(Effect::Deny(Denial::Reject)),
        b"MARK" => mark(body, MarkName::Packet, &target),
        b"CONNMARK" => mark(body, MarkName::Connection, &target),
        b"HMARK" => {
            let id = unknown(body, &target, "mark", "knowing the mark that a hash gives");
            rewrite(Rewrite::MarkUnknown(MarkName::Packet, u32::MAX, id))
        }
        b"CT" => tracking(body, &target),
        b"NOTRACK" => rewrite(Rewrite::Notrack),
        b"TCPMSS" => {
            let id = unknown(body, &target, "mss", "knowing the segment size");
            rewrite(Rewrite::Set(Dim::Mss, Value::Unknown(id)))
        }
        b"TOS" | b"DSCP" => service_type(body, &target),
        b"TTL" | b"HL" => lifetime(body, &target),
        b"DNAT" | b"REDIRECT" | b"SNAT" | b"MASQUERADE" | b"NETMAP" => nat::step(body, &target),
        _ if CONTINUING.contains(&name) => Step::Continue,
        _ => match OBSCURE.iter().find(|(known, _, _)| *known == name) {
            Some((_, code, text)) => obscure(body, &target, code, text),
            None => undeclared(body, &target),
        },
    }
}

/// Of the changes that such a target makes, one excludes the others (`xtables_option_parse` in libxtables).
fn one_change(body: &mut Body<'_, '_, '_>, target: &[u8]) {
    const CHANGES: [&[u8]; 8] = [
        b"--set-",
        b"--and-",
        b"--or-",
        b"--xor-",
        b"--save-",
        b"--restore-",
        b"--ttl-",
        b"--hl-",
    ];
    if !matches!(
        target,
        b"MARK" | b"CONNMARK" | b"TOS" | b"DSCP" | b"TTL" | b"HL"
    ) {
        return;
    }
    let is_change =
        |word: &&Word<'_>| !word.quoted && CHANGES.iter().any(|way| word.text.starts_with(way));
    let second = body.options.iter().filter(is_change).nth(1).cloned();
    if let Some(word) = second {
        body.refuse(&word, "the target makes one change");
    }
}

fn rewrite(rewrite: Rewrite) -> Step {
    Step::Rewrite(Box::new(rewrite))
}

pub(super) fn unknown(
    body: &mut Body<'_, '_, '_>,
    at: &Word<'_>,
    code: &'static str,
    text: &str,
) -> UnknownId {
    let span = body.book.span(at.start, at.end);
    body.book.unknown(Unknown {
        kind: UnknownKind::Fact,
        code,
        text: text.to_owned(),
        identity: None,
        span: Some(span),
    })
}

fn obscure(body: &mut Body<'_, '_, '_>, target: &Word<'_>, code: &'static str, text: &str) -> Step {
    body.strange = true;
    let text = format!("{text} (`{}`)", String::from_utf8_lossy(&target.text));
    Step::Obscure(unknown(body, target, code, &text))
}

/// A target that is neither a chain of this file nor known.
fn undeclared(body: &mut Body<'_, '_, '_>, target: &Word<'_>) -> Step {
    let name = String::from_utf8_lossy(&target.text).into_owned();
    let span = body.book.span(target.start, target.end);
    if is_template(&target.text) {
        body.book.problem(
            ProblemKind::Template,
            span,
            format!("`{name}` is filled in by a template"),
        );
    } else if body.book.completed_by.is_none() {
        body.book.problem(
            ProblemKind::UndeclaredChain,
            span,
            format!("`{name}` is no chain of this file and no target that is known"),
        );
    }
    let text = match body.book.completed_by {
        Some(program) => format!("the chain `{name}`, which {program} adds"),
        None => format!("the chain `{name}`"),
    };
    body.strange = true;
    Step::Obscure(unknown(body, target, "chain", &text))
}

/// The target's options: each with the argument after it, if any.
pub(super) fn options<'w, 'a>(
    words: &'w [Word<'a>],
) -> impl Iterator<Item = (&'w [u8], Option<&'w Word<'a>>)> {
    words.iter().enumerate().filter_map(|(at, word)| {
        if word.quoted || !word.text.starts_with(b"-") {
            return None;
        }
        let argument = words
            .get(at + 1)
            .filter(|next| next.quoted || !next.text.starts_with(b"-"));
        Some((&*word.text, argument))
    })
}

/// MARK and CONNMARK: `mark = (mark & !mask) ^ value` (`xt_mark.c`, `xt_connmark.c`).
fn mark(body: &mut Body<'_, '_, '_>, name: MarkName, target: &Word<'_>) -> Step {
    let words = std::mem::take(&mut body.options);
    let (mut nf_mask, mut ct_mask) = (u32::MAX, u32::MAX);
    let mut change = None;
    for (option, argument) in options(&words) {
        let pair = argument.and_then(|word| values::value_mask(&word.text));
        let one = argument.and_then(|word| values::word(&word.text));
        match (option, pair, one) {
            (b"--set-xmark", Some((value, mask)), _) => {
                change = Some(Rewrite::Mark(name, value, mask));
            }
            (b"--set-mark", Some((value, mask)), _) => {
                change = Some(Rewrite::Mark(name, value, mask | value));
            }
            (b"--and-mark", _, Some(bits)) => change = Some(Rewrite::Mark(name, 0, !bits)),
            (b"--or-mark", _, Some(bits)) => change = Some(Rewrite::Mark(name, bits, bits)),
            (b"--xor-mark", _, Some(bits)) => change = Some(Rewrite::Mark(name, bits, 0)),
            (b"--save-mark", _, _) if name == MarkName::Connection => {
                change = Some(Rewrite::SaveMark(u32::MAX));
            }
            (b"--restore-mark", _, _) if name == MarkName::Connection => {
                change = Some(Rewrite::RestoreMark(u32::MAX));
            }
            (b"--mask", _, Some(mask)) => (nf_mask, ct_mask) = (mask, mask),
            (b"--nfmask", _, Some(mask)) => nf_mask = mask,
            (b"--ctmask", _, Some(mask)) => ct_mask = mask,
            _ => {
                body.strange = true;
                let id = unknown(body, target, "mark", "knowing the mark that is set");
                return rewrite(Rewrite::MarkUnknown(name, u32::MAX, id));
            }
        }
    }
    match change {
        Some(Rewrite::SaveMark(_)) if nf_mask == ct_mask => rewrite(Rewrite::SaveMark(nf_mask)),
        Some(Rewrite::RestoreMark(_)) if nf_mask == ct_mask => {
            rewrite(Rewrite::RestoreMark(nf_mask))
        }
        Some(Rewrite::SaveMark(_)) => {
            let id = unknown(body, target, "mark", "knowing how two masks combine");
            rewrite(Rewrite::MarkUnknown(
                MarkName::Connection,
                nf_mask | ct_mask,
                id,
            ))
        }
        Some(Rewrite::RestoreMark(_)) => {
            let id = unknown(body, target, "mark", "knowing how two masks combine");
            rewrite(Rewrite::MarkUnknown(
                MarkName::Packet,
                nf_mask | ct_mask,
                id,
            ))
        }
        Some(change) => rewrite(change),
        None => {
            body.refuse(target, "what to do with the mark is missing");
            Step::Continue
        }
    }
}

/// CT: `--notrack` exempts the packet; zones and timeouts are not modelled, helpers change nothing here.
fn tracking(body: &mut Body<'_, '_, '_>, target: &Word<'_>) -> Step {
    let words = std::mem::take(&mut body.options);
    if options(&words).any(|(option, _)| option == b"--notrack") {
        return rewrite(Rewrite::Notrack);
    }
    if options(&words).any(|(option, _)| option.starts_with(b"--zone")) {
        return obscure(body, target, "zone", "a model of connection tracking zones");
    }
    Step::Continue
}

/// TOS and DSCP.
fn service_type(body: &mut Body<'_, '_, '_>, target: &Word<'_>) -> Step {
    let words = std::mem::take(&mut body.options);
    let id = unknown(
        body,
        target,
        "tos",
        "knowing the type of service that is set",
    );
    let mut value = Value::Unknown(id);
    for (option, argument) in options(&words) {
        let text = argument.map_or(&[][..], |word| &*word.text);
        let class = match option {
            b"--set-dscp" => values::number(text).and_then(|n| u8::try_from(n).ok()),
            b"--set-dscp-class" => super::names::dscp_class(text),
            _ => None,
        };
        if let Some(class) = class.filter(|class| *class <= 63) {
            // The two lowest bits, congestion notification, stay.
            value = Value::Prefix {
                base: u128::from(class << 2),
                host_bits: 2,
            };
        }
        if option == b"--set-tos"
            && let Some((tos, 0xff)) = values::value_mask(text)
                .map(|(tos, mask)| (tos, if text.contains(&b'/') { mask } else { 0xff }))
            && tos <= 0xff
        {
            value = Value::Const(u128::from(tos));
        }
    }
    rewrite(Rewrite::Set(Dim::Tos, value))
}

/// TTL and HL. A packet whose time ends on the way is lost where it is forwarded.
fn lifetime(body: &mut Body<'_, '_, '_>, target: &Word<'_>) -> Step {
    let words = std::mem::take(&mut body.options);
    for (option, argument) in options(&words) {
        let number = argument.and_then(|word| values::number(&word.text));
        if let (b"--ttl-set" | b"--hl-set", Some(value @ 2..=255)) = (option, number) {
            return rewrite(Rewrite::Set(Dim::Ttl, Value::Const(u128::from(value))));
        }
        if let (b"--ttl-inc" | b"--hl-inc", Some(_)) = (option, number) {
            let id = unknown(body, target, "ttl", "knowing the time to live that is set");
            return rewrite(Rewrite::Set(Dim::Ttl, Value::Unknown(id)));
        }
    }
    obscure(
        body,
        target,
        "ttl",
        "knowing where the packet's time to live ends",
    )
}
