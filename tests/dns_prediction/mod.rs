//! In: a resolver's config and who asks. Out: what gatelint predicts of it, in the words of the DNS oracle.
//!
//! The oracle (`tests/oracle/dns_edns.py`) asks a running resolver for names of fixed shapes: two addresses (`small`), 55
//! (`mid`, about 0.9 kB) and 100 (`huge`, about 1.7 kB) below `chime.aws`, and one name that is an alias of a name at
//! `CloudFront`. A prediction is a word, or `undecided: reason`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use gatelint::config::{self, FactValue, Facts, Files, Input, Reading, SettingValue};
use gatelint::decide::Evaluator;
use gatelint::model::{Dim, Effect, Gate, Question, Ranges, TextSpace, address};
use gatelint::source::Sources;

/// What is predicted: keys as in the oracle's answers (`upstream_opt`, `resolution.chime`).
pub(crate) type Prediction = BTreeMap<String, String>;

/// The kinds of the oracle and the kinds of gatelint.
pub(crate) const KINDS: [(&str, &str); 7] = [
    ("resolv.conf", "resolv-conf"),
    ("resolv.conf-musl", "resolv-conf"),
    ("unbound", "unbound"),
    ("named", "bind"),
    ("dnsmasq", "dnsmasq"),
    ("resolved", "resolved"),
    ("recursor", "recursor"),
];

/// The versions of the programs that gave the answers, as facts.
pub(crate) const VERSIONS: [(&str, &str); 8] = [
    ("glibc.version", "2.36"),
    ("unbound.version", "1.17.1"),
    ("bind.version", "9.18.49"),
    ("dnsmasq.version", "2.90"),
    // The oracle's server has these addresses.
    (
        "bind.addresses",
        "127.0.0.1/8, 192.168.77.10/32, 10.1.2.3/32, 100.64.0.1/30",
    ),
    (
        "dnsmasq.addresses",
        "127.0.0.1/8, 192.168.77.10/32, 100.64.0.1/30",
    ),
    ("resolved.link-servers", "none"),
    ("recursor.version", "4.8.8"),
];

const SMALL_BYTES: u64 = 90;
const SMALL_AAAA_BYTES: u64 = 110;
const ASSETS_BYTES: u64 = 170;
const MID_BYTES: u64 = 921;
const HUGE_BYTES: u64 = 1641;

/// One lookup as the oracle does it.
struct Lookup {
    name: String,
    types: Vec<u128>,
    alias: &'static str,
    addresses: Ranges,
}

fn addresses(list: impl IntoIterator<Item = String>) -> Ranges {
    list.into_iter()
        .map(|text| address(text.parse::<IpAddr>().unwrap()))
        .collect()
}

fn chime(name: &str, count: u32) -> Lookup {
    Lookup {
        name: format!("{name}.chime.aws"),
        types: vec![1],
        alias: "",
        addresses: addresses((0..count).map(|i| format!("99.77.{}.{}", 128 + i % 64, 10 + i))),
    }
}

fn chime_aaaa(name: &str) -> Lookup {
    Lookup {
        name: format!("{name}.chime.aws"),
        types: vec![28],
        alias: "",
        addresses: addresses((1..3).map(|i| format!("2600:1f28:1234::{i:x}"))),
    }
}

fn assets() -> Lookup {
    Lookup {
        name: "static.sdkassets.chime.aws".to_owned(),
        types: vec![1],
        alias: "d1l8d7zj8qfv5v.cloudfront.net",
        addresses: addresses((11..15).map(|i| format!("13.224.1.{i}"))),
    }
}

/// A lookup's fate and, where the gate decided, the stage that did.
struct Fate {
    word: String,
    stage: Option<String>,
}

fn fate(gate: &Gate, lookup: &Lookup, client: IpAddr) -> Fate {
    let question = Question {
        numbers: BTreeMap::from([
            (Dim::QueryType, lookup.types.iter().copied().collect()),
            (Dim::Source, Ranges::host(client)),
        ]),
        texts: BTreeMap::from([
            (Dim::Host, TextSpace::one(&lookup.name)),
            (Dim::Alias, TextSpace::one(lookup.alias)),
        ]),
        addresses: Some(lookup.addresses.clone()),
        ..Question::default()
    };
    let mut evaluator = Evaluator::new(gate);
    let verdict = evaluator.ask(&question);
    let only_allowed = evaluator.is_empty(verdict.denied)
        && evaluator.is_empty(verdict.varying)
        && evaluator.is_empty(verdict.undecided);
    if only_allowed && !evaluator.is_empty(verdict.allowed) {
        return Fate {
            word: "resolved".to_owned(),
            stage: None,
        };
    }
    let only_denied = evaluator.is_empty(verdict.allowed)
        && evaluator.is_empty(verdict.varying)
        && evaluator.is_empty(verdict.undecided);
    let denials: Vec<_> = verdict
        .parts
        .iter()
        .filter(|part| !evaluator.is_empty(part.flows))
        .filter_map(|part| match part.effect {
            Effect::Deny(denial) => Some((denial.word(), part.stage)),
            Effect::Allow => None,
        })
        .collect();
    if only_denied
        && let Some((word, stage)) = denials.first()
        && denials.iter().all(|(other, _)| other == word)
    {
        return Fate {
            word: (*word).to_owned(),
            stage: gate.stages.get(stage.0 as usize).map(|s| s.name.clone()),
        };
    }
    let reasons: Vec<&str> = gate.unknowns.iter().map(|u| u.text.as_str()).collect();
    Fate {
        word: format!("undecided: {}", reasons.join("; ")),
        stage: None,
    }
}

/// Reads a config; `None` where the kind is not implemented yet (its reading is empty).
pub(crate) fn read(
    oracle_kind: &str,
    config: &[u8],
    files: &dyn Files,
    facts: &[(&str, &str)],
) -> Option<Reading> {
    let (_, kind) = KINDS.iter().find(|(name, _)| *name == oracle_kind)?;
    let kind = config::kind(kind)?;
    let sources = Sources::new();
    let file = sources.add("config", config.to_vec()).unwrap();
    let mut all = Facts::default();
    for (name, value) in VERSIONS.iter().chain(facts) {
        all.set(*name, *value);
    }
    if oracle_kind.ends_with("musl") {
        all.set("libc", "musl");
        all.set("musl.version", "1.2.3");
    }
    let input = Input {
        file,
        path: "config",
        bytes: config,
    };
    let reading = (kind.read)(&input, files, &all);
    let is_stub = reading.gates.is_empty()
        && reading.settings.is_empty()
        && reading.findings.is_empty()
        && reading.not_judged.is_none();
    (!is_stub).then_some(reading)
}

/// Whether the program refuses the config.
pub(crate) fn refuses(reading: &Reading) -> bool {
    reading.findings.iter().any(|finding| finding.refuses)
}

fn fact(reading: &Reading, name: &str) -> Option<FactValue> {
    reading
        .facts
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.clone())
}

fn fact_word(reading: &Reading, name: &str) -> String {
    match fact(reading, name) {
        Some(FactValue::Word(word)) => word,
        Some(FactValue::Number(number)) => number.to_string(),
        Some(FactValue::Numbers(numbers)) => format!("{numbers:?}"),
        Some(FactValue::Unknown) | None => format!("undecided: {}", why(reading, name)),
    }
}

fn why(reading: &Reading, name: &str) -> String {
    reading
        .settings
        .iter()
        .filter(|setting| setting.name == name || name.starts_with(setting.name))
        .map(|setting| match &setting.value {
            SettingValue::Unknown(why) => why.clone(),
            SettingValue::On
            | SettingValue::Off
            | SettingValue::Number(_)
            | SettingValue::PassesThrough
            | SettingValue::NotApplicable => setting.why.clone(),
        })
        .collect::<Vec<_>>()
        .join("; ")
}

fn number(reading: &Reading, name: &str) -> Option<u64> {
    match fact(reading, name) {
        Some(FactValue::Number(number)) => Some(number),
        Some(FactValue::Word(_) | FactValue::Numbers(_) | FactValue::Unknown) | None => None,
    }
}

/// What a daemon is predicted to do. `local` is the address that the oracle asks from by default, `clients` are the
/// others, `names` are further names with their kind of answer like `chime`'s small ones.
pub(crate) fn daemon(
    reading: &Reading,
    local: IpAddr,
    clients: &[IpAddr],
    names: &[String],
) -> Prediction {
    let mut prediction = Prediction::new();
    let Some(gate) = reading.gates.first() else {
        return prediction;
    };
    let mid = fate(gate, &chime("mid2.ue1.app", 55), local);
    let mut asked = vec![
        fate(gate, &chime("small2", 2), local),
        fate(gate, &chime("small1", 2), local),
        fate(gate, &chime("mid1.ue1.app", 55), local),
    ];
    let aaaa = fate(gate, &chime_aaaa("small3"), local);
    let cdn = fate(gate, &assets(), local);
    for (key, fate, bytes) in [
        ("chime", &asked[0], SMALL_BYTES),
        ("chime_aaaa", &aaaa, SMALL_AAAA_BYTES),
        ("sdkassets", &cdn, ASSETS_BYTES),
    ] {
        prediction.insert(format!("resolution.{key}"), fits(reading, fate, bytes));
    }
    for client in clients {
        let name = format!("small9-{}", client.to_string().replace('.', "-"));
        let got = fate(gate, &chime(&name, 2), *client);
        prediction.insert(
            format!("resolution.client:{client}"),
            fits(reading, &got, SMALL_BYTES),
        );
        asked.push(got);
    }
    for name in names {
        let below = name.trim_end_matches(".chime.aws");
        let got = fate(gate, &chime(below, 2), local);
        prediction.insert(
            format!("resolution.name:{name}"),
            fits(reading, &got, SMALL_BYTES),
        );
        asked.push(got);
    }
    prediction.insert(
        "reply_over_512_udp".to_owned(),
        sized(reading, &mid, MID_BYTES, 1232),
    );
    let huge = fate(gate, &chime("huge1", 100), local);
    prediction.insert(
        "reply_over_1232_udp".to_owned(),
        sized(reading, &huge, HUGE_BYTES, 4096),
    );
    prediction.insert(
        "tcp".to_owned(),
        match fact_word(reading, "dns.tcp").as_str() {
            "ok" if mid.word == "resolved" => "ok".to_owned(),
            "ok" => mid.word.clone(),
            "no" => "fails".to_owned(),
            other => other.to_owned(),
        },
    );
    prediction.insert("client_opt".to_owned(), client_opt(reading, &asked[0]));
    // The name itself is asked for even where its alias then fails.
    let head = Lookup {
        alias: "",
        ..assets()
    };
    asked.extend([aaaa, cdn, mid, huge, fate(gate, &head, local)]);
    let something_leaves = asked
        .iter()
        .any(|fate| fate.word == "resolved" || fate.stage.as_deref() == Some("answers"));
    let nothing_leaves = asked.iter().all(|fate| {
        fate.stage
            .as_deref()
            .is_some_and(|stage| ["access", "names", "upstream"].contains(&stage))
    });
    let open = asked
        .iter()
        .find(|fate| fate.word.starts_with("undecided"))
        .filter(|_| !something_leaves);
    if let Some(open) = open {
        // Whether anything leaves is open then, too.
        prediction.insert("upstream_opt".to_owned(), open.word.clone());
        prediction.insert("upstream_size".to_owned(), open.word.clone());
    } else if nothing_leaves {
        prediction.insert("upstream_opt".to_owned(), "none-sent".to_owned());
        prediction.insert("upstream_size".to_owned(), "[]".to_owned());
    } else if fact_word(reading, "dns.edns0.upstream") == "if-client" {
        let (opt, sizes) = transparent(reading, gate, local, clients, names);
        prediction.insert("upstream_opt".to_owned(), opt.to_owned());
        prediction.insert("upstream_size".to_owned(), sizes);
    } else {
        prediction.insert(
            "upstream_opt".to_owned(),
            fact_word(reading, "dns.edns0.upstream"),
        );
        prediction.insert(
            "upstream_size".to_owned(),
            fact_word(reading, "dns.edns0.upstream-size"),
        );
    }
    prediction
}

/// The size in the OPT record of a reply with this fate.
fn client_opt(reading: &Reading, fate: &Fate) -> String {
    let offered = fact_word(reading, "dns.edns0.client-size");
    let passes_on = fact_word(reading, "dns.edns0.upstream") == "if-client";
    match offered.parse::<u64>() {
        // A forwarder lowers the size in the upstream's own OPT record, which is 4096 here, and never raises it.
        Ok(size) if passes_on && fate.word == "resolved" => size.min(4096).to_string(),
        Ok(_) | Err(_) => offered,
    }
}

/// What a forwarder that passes OPT records on shows of the oracle's queries, some of which have none.
fn transparent(
    reading: &Reading,
    gate: &Gate,
    local: IpAddr,
    clients: &[IpAddr],
    names: &[String],
) -> (&'static str, String) {
    let limit = match fact(reading, "dns.edns0.upstream-size") {
        Some(FactValue::Numbers(sizes)) => sizes.first().copied().unwrap_or(0),
        Some(FactValue::Word(_) | FactValue::Number(_) | FactValue::Unknown) | None => {
            return ("undecided: its size", "undecided: its size".to_owned());
        }
    };
    let mut asked = vec![
        (chime("small1", 2), local, None),
        (chime("mid1.ue1.app", 55), local, None),
        (chime("mid4.ue1.app", 55), local, None),
        (chime("small2", 2), local, Some(1232)),
        (chime("mid2.ue1.app", 55), local, Some(1232)),
        (assets(), local, Some(1232)),
        (chime_aaaa("small3"), local, Some(1232)),
        (chime("mid3.ue1.app", 55), local, Some(4096)),
        (chime("huge1", 100), local, Some(4096)),
    ];
    for client in clients {
        let name = format!("small9-{}", client.to_string().replace('.', "-"));
        asked.push((chime(&name, 2), *client, Some(1232)));
    }
    for name in names {
        let below = name.trim_end_matches(".chime.aws");
        asked.push((chime(below, 2), local, Some(1232)));
    }
    let mut sizes = Vec::new();
    let mut plain = false;
    for (lookup, client, offered) in &asked {
        let fate = fate(gate, lookup, *client);
        let stays = ["access", "names", "upstream"];
        if fate
            .stage
            .is_some_and(|stage| stays.contains(&stage.as_str()))
        {
            continue;
        }
        match offered {
            Some(size) => sizes.push(limit.min(*size)),
            None => plain = true,
        }
    }
    sizes.sort_unstable();
    sizes.dedup();
    let opt = match (sizes.is_empty(), plain) {
        (true, true) => "never",
        (true, false) => "none-sent",
        (false, true) => "sometimes",
        (false, false) => "always",
    };
    (opt, format!("{sizes:?}"))
}

/// The fate of a small reply: only a limit below 512 cuts it.
fn fits(reading: &Reading, fate: &Fate, bytes: u64) -> String {
    match number(reading, "dns.udp.max-reply") {
        Some(limit) if fate.word == "resolved" && bytes > limit => "truncated".to_owned(),
        Some(_) | None => fate.word.clone(),
    }
}

/// The fate of a reply of `bytes` for a client that takes `offered`.
fn sized(reading: &Reading, fate: &Fate, bytes: u64, offered: u64) -> String {
    if fate.word != "resolved" {
        // A forwarder that passes truncated answers on has no addresses to filter.
        let passes_on = fact_word(reading, "dns.edns0.upstream") == "if-client"
            && fate.stage.as_deref() == Some("answers")
            && number(reading, "dns.udp.max-reply").is_some_and(|limit| bytes > limit.min(offered));
        return if passes_on {
            "truncated".to_owned()
        } else {
            fate.word.clone()
        };
    }
    let tcp = fact_word(reading, "dns.tcp");
    let upstream = match fact(reading, "dns.edns0.upstream-size") {
        Some(FactValue::Numbers(sizes)) => sizes.into_iter().min().unwrap_or(512),
        Some(FactValue::Word(_) | FactValue::Number(_) | FactValue::Unknown) | None => {
            return format!("undecided: {}", why(reading, "dns.edns0.upstream-size"));
        }
    };
    // The upstream truncates what is larger than what it was offered; without TCP nothing can follow.
    if tcp == "no" && bytes > upstream.max(512) {
        return "fails".to_owned();
    }
    match number(reading, "dns.udp.max-reply") {
        Some(limit) if bytes <= limit.min(offered) => "intact".to_owned(),
        Some(_) => "truncated".to_owned(),
        None => format!("undecided: {}", why(reading, "dns.udp.max-reply")),
    }
}

/// What a libc is predicted to do with its resolv.conf.
pub(crate) fn stub(reading: &Reading) -> Prediction {
    let mut prediction = Prediction::new();
    let Some(gate) = reading.gates.first() else {
        return prediction;
    };
    let local = "127.0.0.1".parse().unwrap();
    prediction.insert(
        "upstream_opt".to_owned(),
        fact_word(reading, "dns.edns0.upstream"),
    );
    prediction.insert(
        "upstream_size".to_owned(),
        fact_word(reading, "dns.edns0.upstream-size"),
    );
    let limit = number(reading, "dns.udp.max-reply").unwrap_or(0);
    let tcp = fact_word(reading, "dns.tcp");
    let outcome = |lookup: &Lookup, bytes: u64| {
        let word = fate(gate, lookup, local).word;
        if word.starts_with("undecided") || tcp.starts_with("undecided") {
            "undecided: ".to_owned() + &tcp
        } else if word != "resolved" || (bytes > limit && tcp == "no") {
            "failed".to_owned()
        } else {
            word
        }
    };
    let mid = outcome(&chime("mid1.ue1.app", 55), MID_BYTES);
    prediction.insert(
        "reply_over_512".to_owned(),
        match mid.as_str() {
            "resolved" if MID_BYTES <= limit => "intact over UDP".to_owned(),
            "resolved" => "intact after TCP retry".to_owned(),
            "failed" => "lost or cut (0 of 55)".to_owned(),
            other => other.to_owned(),
        },
    );
    for (key, value) in [
        ("small", outcome(&chime("small1", 2), 100)),
        ("mid", mid),
        ("huge", outcome(&chime("huge1", 100), HUGE_BYTES)),
        ("assets", outcome(&assets(), 200)),
        ("both_families", outcome(&chime("small5", 2), 100)),
    ] {
        prediction.insert(format!("resolution.{key}"), value);
    }
    prediction
}

/// What the real program did, with the same keys; `None` where it did not start, nothing where it listens to no UDP.
pub(crate) fn observed(case: &serde_json::Value) -> Option<Prediction> {
    if case.get("starts").and_then(serde_json::Value::as_bool) == Some(false) {
        return None;
    }
    let mut observed = Prediction::new();
    if case.get("error").is_some() {
        return Some(observed);
    }
    let edns = case.get("edns")?.as_object()?;
    for key in [
        "upstream_opt",
        "upstream_size",
        "client_opt",
        "reply_over_512",
        "reply_over_512_udp",
        "reply_over_1232_udp",
        "tcp",
    ] {
        // A stub's `tcp` counts packets, which nobody predicts; without a reply there is no OPT record to look at.
        let told = edns.get(key).filter(|value| match key {
            "tcp" => !value.is_number(),
            "client_opt" => !value.is_null(),
            _ => true,
        });
        if let Some(value) = told {
            observed.insert(key.to_owned(), plain(value));
        }
    }
    for (key, value) in case.get("resolution")?.as_object()? {
        observed.insert(format!("resolution.{key}"), plain(value));
    }
    Some(observed)
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(plain).collect::<Vec<_>>().join(", ")
            )
        }
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => value.to_string(),
    }
}

/// After a timeout, which a busy machine brings about, resolvers ask again with a size that needs no fragments.
fn retried(predicted: &str, real: &str) -> bool {
    let sizes = |text: &str| -> Vec<String> {
        text.trim_matches(['[', ']'])
            .split(", ")
            .filter(|size| !["1232", "1472"].contains(size))
            .map(str::to_owned)
            .collect()
    };
    real.len() > predicted.len() && predicted != "[]" && sizes(predicted) == sizes(real)
}

/// SERVFAIL, silence and a refused connection vary from run to run: one class. A stub has one word for every failure.
fn class(word: &str) -> &str {
    match word {
        "servfail" | "timeout" | "connrefused" | "drop" | "fails" => "fails",
        broken if broken.starts_with("err ") => "fails",
        other => other,
    }
}

/// What came of comparing one config.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// `key: predicted, really observed`, for certain predictions that are wrong.
    pub(crate) wrong: Vec<String>,
    /// `key: reason`, for what was not decided.
    pub(crate) undecided: Vec<String>,
    /// How many keys agreed.
    pub(crate) agreed: usize,
}

/// Compares a prediction with what happened. Keys that were not predicted at all are wrong.
pub(crate) fn compare(predicted: &Prediction, observed: &Prediction) -> Comparison {
    let mut comparison = Comparison::default();
    for (key, real) in observed {
        match predicted.get(key) {
            Some(word) if word.starts_with("undecided") => {
                comparison.undecided.push(format!("{key}: {word}"));
            }
            Some(word)
                if class(word) == class(real)
                    || (key == "upstream_size" && retried(word, real)) =>
            {
                comparison.agreed += 1;
            }
            Some(word) => comparison
                .wrong
                .push(format!("{key}: {word}, really {real}")),
            None => comparison
                .wrong
                .push(format!("{key}: nothing, really {real}")),
        }
    }
    comparison
}

/// What the program is predicted to do, whatever its kind.
pub(crate) fn predict(
    oracle_kind: &str,
    reading: &Reading,
    local: IpAddr,
    clients: &[IpAddr],
    names: &[String],
) -> Prediction {
    if oracle_kind.starts_with("resolv.conf") {
        stub(reading)
    } else {
        daemon(reading, local, clients, names)
    }
}

/// Whether there is an evaluator at all.
pub(crate) fn evaluator_answers() -> bool {
    let gate = Gate::new("probe", gatelint::model::Layer::Lookup);
    let mut evaluator = Evaluator::new(&gate);
    let verdict = evaluator.ask(&Question::default());
    !evaluator.is_empty(verdict.universe)
}
