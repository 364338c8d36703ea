//! In: the name and options of a match that cannot be decided from the packet. Out: one unknown of the right kind.
//!
//! What varies with load, time or chance is told from what a fact would decide and from what is not modelled at all.

use super::book::Book;
use super::options::Match;
use super::words::{Word, Words};
use crate::model::{Guard, Unknown, UnknownKind};

/// A match whose options together are one unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opaque {
    kind: UnknownKind,
    code: &'static str,
    /// Completes "cannot tell without ...".
    text: &'static str,
    /// The same words have the same truth.
    stable: bool,
    pub(super) start: u32,
    pub(super) end: u32,
}

struct Known {
    name: &'static str,
    kind: UnknownKind,
    text: &'static str,
    stable: bool,
}

const fn varies(name: &'static str, text: &'static str) -> Known {
    Known {
        name,
        kind: UnknownKind::Varies,
        text,
        stable: false,
    }
}

const fn fact(name: &'static str, text: &'static str) -> Known {
    Known {
        name,
        kind: UnknownKind::Fact,
        text,
        stable: true,
    }
}

const fn opaque(name: &'static str, text: &'static str) -> Known {
    Known {
        name,
        kind: UnknownKind::Opaque,
        text,
        stable: false,
    }
}

const KNOWN: &[Known] = &[
    varies("limit", "knowing how many packets arrive"),
    varies("hashlimit", "knowing how many packets each host sends"),
    varies("recent", "knowing which addresses were seen before"),
    varies("connlimit", "knowing how many connections are open"),
    varies("connbytes", "knowing how much a connection has carried"),
    varies("statistic", "knowing which packets chance picks"),
    varies("quota", "knowing how much of the quota is used up"),
    varies("rateest", "knowing the rate of traffic"),
    varies("time", "knowing the time of day"),
    varies("cpu", "knowing which processor handles the packet"),
    varies("condition", "knowing how the condition is set"),
    varies("nfacct", "knowing how much the account has counted"),
    fact("physdev", "knowing the bridge port that the packet uses"),
    fact(
        "rpfilter",
        "knowing whether the source is reached by the same interface",
    ),
    fact(
        "socket",
        "knowing whether a local socket waits for the packet",
    ),
    fact("cgroup", "knowing the control group of the sender"),
    fact("realm", "knowing the routing realm"),
    fact("devgroup", "knowing the group of the interface"),
    fact("helper", "knowing whether a helper expects the connection"),
    fact("connlabel", "knowing the connection's labels"),
    fact(
        "cluster",
        "knowing which node of the cluster is responsible",
    ),
    fact("geoip", "the country database"),
    fact("ipvs", "knowing the virtual services"),
    opaque("string", "looking into the payload"),
    opaque("u32", "looking into the packet's bytes"),
    opaque("bpf", "running the packet filter program"),
    opaque("osf", "guessing the sender's operating system"),
    opaque("ecn", "knowing the congestion bits"),
    opaque("ah", "knowing the IPsec index"),
    opaque("esp", "knowing the IPsec index"),
    opaque("ipcomp", "knowing the IPsec index"),
    opaque("dst", "knowing the extension headers"),
    opaque("hbh", "knowing the extension headers"),
    opaque("rt", "knowing the routing header"),
    opaque("srh", "knowing the routing header"),
    opaque("frag", "knowing the fragment header"),
    opaque("ipv6header", "knowing the extension headers"),
    opaque(
        "eui64",
        "comparing the address with the sender's MAC address",
    ),
    opaque("mh", "knowing the mobility header"),
    opaque("layer7", "looking into the payload"),
    opaque("ndpi", "looking into the payload"),
    opaque("ipp2p", "looking into the payload"),
    opaque("unclean", "checking the packet's sanity"),
    opaque("tcp-option", "knowing the TCP options"),
];

impl Opaque {
    /// A match by name.
    pub(super) fn of(name: &Word<'_>) -> Self {
        let known = KNOWN
            .iter()
            .find(|known| known.name.as_bytes() == &*name.text);
        match known {
            Some(known) => Self {
                kind: known.kind,
                code: known.name,
                text: known.text,
                stable: known.stable,
                start: name.start,
                end: name.end,
            },
            None => Self {
                kind: UnknownKind::Opaque,
                code: "match",
                text: "a model of the match",
                stable: false,
                start: name.start,
                end: name.end,
            },
        }
    }

    /// Whether a name is in the table.
    pub(super) fn knows(name: &[u8]) -> bool {
        KNOWN.iter().any(|known| known.name.as_bytes() == name)
    }

    /// The guard.
    pub(super) fn guard(self, book: &mut Book<'_>) -> Guard {
        let words: Vec<_> = Words::new(book.bytes, self.start, self.end)
            .map(|word| word.text.into_owned())
            .collect();
        let has = |wanted: &[u8]| words.iter().any(|word| word == wanted);
        if self.code == "recent" && has(b"--set") {
            // xt_recent.c: with --set the entry is made and the rule matches; `! --set` never does.
            let never = words
                .windows(2)
                .any(|pair| matches!(pair, [not, set] if not == b"!" && set == b"--set"));
            return Guard::Always.negated_if(never);
        }
        let invert = self.code == "rpfilter" && has(b"--invert");
        let written: Vec<String> = words
            .iter()
            .filter(|word| !(invert && word.as_slice() == b"--invert"))
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let written = written.join(" ");
        let span = book.span(self.start, self.end);
        let id = book.unknown(Unknown {
            kind: self.kind,
            code: self.code,
            text: format!("{} (`{}`)", self.text, shortened(&written)),
            identity: self.stable.then_some(written),
            span: Some(span),
        });
        Guard::Unknown(id).negated_if(invert)
    }
}

impl Match {
    /// The unknown that the whole match is, where it is one.
    pub(super) fn opaque(self, name: &Word<'_>) -> Option<Opaque> {
        matches!(self, Self::Opaque | Self::Foreign).then(|| Opaque::of(name))
    }
}

/// Long option lists stay readable in messages.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    text.chars().take(79).chain(['…']).collect()
}
