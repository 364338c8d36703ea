//! In: a report and the files that it points into. Out: the same without the secrets that the files hold.
//!
//! Formats see only what comes out of here, so none of them can show a key, a password, a hash or a token, in a quoted
//! line as little as in a message. A secret is overwritten with asterisks of the same length, so every place stays true.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::finding::{Finding, InputSummary, Report, WitnessValue};
use crate::source::Sources;

/// A report that may be shown.
#[derive(Debug)]
pub struct Masked {
    /// Without secrets.
    pub report: Report,
    /// The files, without secrets, under the same ids.
    pub sources: Sources,
}

/// Shorter secrets are masked in the files only: in messages they might be anything.
const SHORTEST_WORD: usize = 6;

/// What is secret, each in its first group.
const SECRETS: [&str; 9] = [
    // named.conf(5), knot, unbound, pdns, YAML: `secret "..."`, `api-key=...`, `password: ...`.
    r#"(?i)\bsecret"?[ \t]+"?([^\s";{}]{2,})"#,
    r#"(?i)(?:passw(?:or)?d|secret|token|api[-_]?key|access[-_]?key)[\w-]{0,16}["']?[ \t]*[:=][ \t]*["']?([^\s"';,&]{2,})"#,
    // The Corefile's `secret NAME KEY`.
    r"(?i)\bsecret[ \t]+\S+[ \t]+([A-Za-z0-9+/]{8,}={0,2})",
    // squid.conf: `cache_peer ... login=`, helpers' `-w PASSWORD`, `cachemgr_passwd`.
    r"(?i)\blogin=(?:PASS(?:THRU)?\b|NEGOTIATE\b)?([^\s]*)",
    r"(?im)^[ \t]*(?:auth_param|external_acl_type)\b[^\n]*?[ \t]-w[ \t]*([^\s]+)",
    r"(?im)^[ \t]*cachemgr_passwd[ \t]+([^\s]+)",
    // RFC 3986, 3.2.1: `user:password@`.
    r#"://[^\s/:@"']*:([^\s/@"']+)@"#,
    // RFC 6265, RFC 9110 11.6.2.
    r"(?im)^(?:set-cookie|cookie|authorization|proxy-authorization|x-api-key|x-amz-security-token)[ \t]*:[ \t]*([^\r\n]+)",
    // crypt(5) hashes; keys, tokens and signatures in queries; AWS key ids; JSON web tokens.
    r#"(?i)(\$(?:[156y]|2[aby]|apr1|argon2\w*)\$[^\s:"';]{8,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|[?&](?:key|sig|signature|sentry_key)=[^\s&"';]+)"#,
];

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // INVARIANT: each is written above and compiles, which a test holds.
    let patterns = SECRETS.iter();
    patterns.filter_map(|one| Regex::new(one).ok()).collect()
});

impl Masked {
    /// Takes the secrets out.
    pub fn of(mut report: Report, sources: &Sources) -> Self {
        let (sources, words) = hidden(sources);
        if !words.is_empty() {
            each_text(&mut report, &|text| hide(text, &words));
        }
        Self { report, sources }
    }

    /// One text without the secrets of the files.
    pub fn text(text: &str, sources: &Sources) -> String {
        Secrets::of(sources).without(text)
    }
}

/// The secrets of files, for texts that belong to no report.
#[derive(Debug)]
pub struct Secrets {
    /// The files, without secrets, under the same ids.
    pub(super) sources: Sources,
    words: Vec<String>,
}

impl Secrets {
    /// Finds them.
    pub fn of(sources: &Sources) -> Self {
        let (sources, words) = hidden(sources);
        Self { sources, words }
    }

    /// A text without them.
    pub fn without(&self, text: &str) -> String {
        let mut text = text.to_owned();
        hide(&mut text, &self.words);
        text
    }
}

/// The files without secrets, and the secrets. One may begin with another one: the longest stand first.
fn hidden(sources: &Sources) -> (Sources, Vec<String>) {
    let mut words = BTreeSet::new();
    let sources = sources.rewritten(|bytes| without_secrets(bytes, &mut words));
    let mut words: Vec<String> = words.into_iter().collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    (sources, words)
}

fn hide(text: &mut String, words: &[String]) {
    for word in words {
        if text.contains(word.as_str()) {
            *text = text.replace(word.as_str(), "***");
        }
    }
}

/// The bytes with asterisks for secrets.
pub(super) fn masked_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    without_secrets(bytes, &mut BTreeSet::new()).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// The bytes with asterisks for secrets, if there is any; the secrets are noted.
fn without_secrets(bytes: &[u8], words: &mut BTreeSet<String>) -> Option<Vec<u8>> {
    let mut masked: Option<Vec<u8>> = None;
    for pattern in PATTERNS.iter() {
        for captures in pattern.captures_iter(bytes) {
            let Some(secret) = captures.get(1).filter(|found| !found.is_empty()) else {
                continue;
            };
            if secret.len() >= SHORTEST_WORD {
                words.insert(String::from_utf8_lossy(secret.as_bytes()).into_owned());
            }
            let masked = masked.get_or_insert_with(|| bytes.to_vec());
            if let Some(place) = masked.get_mut(secret.range()) {
                place.fill(b'*');
            }
        }
    }
    masked
}

/// Every text that may quote a file.
fn each_text(report: &mut Report, change: &dyn Fn(&mut String)) {
    for input in &mut report.inputs {
        let InputSummary {
            why,
            not_judged,
            answer,
            judged_as,
            ..
        } = input;
        change(why);
        let texts = [not_judged, answer, judged_as];
        texts.into_iter().flatten().for_each(change);
    }
    report
        .results
        .iter_mut()
        .for_each(|f| each_text_of(f, change));
    report.assumptions.iter_mut().for_each(change);
    report.notes.iter_mut().for_each(change);
    let errors = report.errors.iter_mut();
    errors.for_each(|error| change(&mut error.message));
}

fn each_text_of(finding: &mut Finding, change: &dyn Fn(&mut String)) {
    change(&mut finding.message);
    let labels = finding.primary.iter_mut().chain(&mut finding.related);
    labels.for_each(|label| change(&mut label.text));
    let groups = finding.clients.groups.iter_mut();
    groups.for_each(|group| change(&mut group.name));
    for variant in &mut finding.variants {
        change(&mut variant.value);
    }
    if let Some(witness) = &mut finding.witness {
        change(&mut witness.text);
        for (_, value) in &mut witness.fields {
            match value {
                WitnessValue::Word(word) => change(word),
                WitnessValue::Number(_) | WitnessValue::Flag(_) => {}
            }
        }
    }
    finding
        .steps
        .iter_mut()
        .for_each(|step| change(&mut step.text));
    let reasons = finding.reasons.iter_mut();
    reasons.for_each(|reason| change(&mut reason.text));
    for fix in &mut finding.fixes {
        change(&mut fix.title);
        fix.edits.iter_mut().for_each(|(_, text)| change(text));
    }
    let texts = [
        &mut finding.fallback,
        &mut finding.help,
        &mut finding.live_check,
    ];
    texts.into_iter().flatten().for_each(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut words = BTreeSet::new();
        let bytes = without_secrets(text.as_bytes(), &mut words);
        let bytes = bytes.unwrap_or_else(|| text.as_bytes().to_vec());
        assert_eq!(bytes.len(), text.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), SECRETS.len());
    }

    #[test]
    fn secrets_of_every_dialect_are_masked() {
        for (text, secret) in [
            (
                "key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; };",
                "c2VjcmV0",
            ),
            ("key k { secret c2VjcmV0; };", "c2VjcmV0"),
            ("key k { \"secret\" \"c2VjcmV0\"; };", "c2VjcmV0"),
            (
                "tsig {\n  secret example. NoTCJU+DMqFWywaPyxSijrDEA/eC==\n}",
                "NoTCJU+DMqFWywaPyxSijrDEA/eC==",
            ),
            ("  redis-server-password: hunter2", "hunter2"),
            ("api-key=abcdefgh", "abcdefgh"),
            ("    cookie-secret: \"000102030405\"", "000102030405"),
            (
                "    password: $2a$10$N9qo8uLOickgx2ZMRZoMye",
                "$2a$10$N9qo8uLOickgx2ZMRZoMye",
            ),
            (
                "root:$6$saltsalt$qFmFH.bQmmtXzyBY:1",
                "$6$saltsalt$qFmFH.bQmmtXzyBY",
            ),
            (
                "cache_peer up.example parent 3128 0 login=bob:hunter2 no-query",
                "bob:hunter2",
            ),
            (
                "auth_param basic program /usr/lib/squid/basic_ldap_auth -D cn=x -w hunter2 ldap",
                "hunter2",
            ),
            ("cachemgr_passwd hunter2 all", "hunter2"),
            ("upstream https://bob:hunter2@dns.example/", "hunter2"),
            (
                "HTTP/2 200\nSet-Cookie: id=a3fWa; Secure\nX: y",
                "id=a3fWa; Secure",
            ),
            (
                "report-uri https://o1.ingest.example/api/1/security/?sentry_key=0123abcd;",
                "?sentry_key=0123abcd",
            ),
            ("-A INPUT -m comment --comment \"token=hunter2\"", "hunter2"),
            (
                "x eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM y",
                "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM",
            ),
        ] {
            let shown = masked(text);
            assert!(!shown.contains(secret), "{shown}");
            assert!(shown.contains(&"*".repeat(secret.len())), "{shown}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for text in [
            "cache_peer up.example parent 3128 0 login=PASS",
            "http_access allow password_users",
            "script-src 'sha256-abcdefgh' https://a.example/?v=1",
            "acl secret_sites dstdomain .example.com",
            "-A INPUT -p tcp --dport 443 -j ACCEPT",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
