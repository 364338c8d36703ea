//! In: one case of the Chromium oracle. Out: how gatelint's answers compare with what the browser did.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test's helper: a case that is not as expected must stop it"
)]

use gatelint::config::{Facts, Input, NoFiles, Reading, kind};
use gatelint::source::Sources;
use gatelint::trace::{Certainty, Request, answer};
use serde_json::{Value, json};

/// What came of comparing probes.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) agreed: usize,
    pub(crate) undecided: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// Probes that no request can express: redirects.
    pub(crate) skipped: usize,
}

impl Comparison {
    pub(crate) fn add(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.undecided.extend(other.undecided);
        self.wrong.extend(other.wrong);
        self.skipped += other.skipped;
    }
}

/// Asks about every probe of a case whose `expect` is `allowed` or `blocked`.
pub(crate) fn compare(case: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    let dump = dump(case);
    let page = case["page"].as_str().unwrap_or("https://app.example.com");
    let (sources, reading) = read("csp", dump.as_bytes(), page);
    for probe in case["probes"].as_array().unwrap() {
        let expected = probe["expect"].as_str().unwrap();
        let url = probe["url"].as_str().unwrap_or_default();
        if !matches!(expected, "allowed" | "blocked") || url.contains("__redirect__") {
            comparison.skipped += 1;
            continue;
        }
        let mut request = json!({"kind": probe["kind"], "origin": page});
        for field in ["url", "nonce"] {
            if let Some(value) = probe.get(field).filter(|value| *value != "") {
                request[field] = value.clone();
            }
        }
        let request = Request::from_value(gatelint::model::Layer::Fetch, request).unwrap();
        let answer = answer(&sources, &reading.gates, &request);
        let line = format!(
            "{}: {} {url}: Chromium {expected}, predicted {:?}: {}",
            case["id"],
            probe["kind"],
            answer.verdict,
            serde_json::to_string(&answer).unwrap()
        );
        match (answer.verdict, expected) {
            (Certainty::Allowed, "allowed") | (Certainty::Denied, "blocked") => {
                comparison.agreed += 1;
            }
            (Certainty::Undecided, _) => comparison.undecided.push(line),
            (Certainty::Allowed | Certainty::Denied, _) => comparison.wrong.push(line),
        }
    }
    comparison
}

/// Reads a text as a kind.
pub(crate) fn read(kind_name: &str, bytes: &[u8], origin: &str) -> (Sources, Reading) {
    let sources = Sources::new();
    let file = sources.add("page", bytes.to_vec()).unwrap();
    let mut facts = Facts::default();
    facts.set("csp.origin", origin);
    let input = Input {
        file,
        path: "page",
        bytes,
    };
    let reading = (kind(kind_name).unwrap().read)(&input, &NoFiles, &facts);
    (sources, reading)
}

/// The response of a case, as `curl -i` would show it.
fn dump(case: &Value) -> String {
    let list = |name: &str| {
        case[name]
            .as_array()
            .into_iter()
            .flatten()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut dump = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_owned();
    for policy in list("csp") {
        dump += &format!("Content-Security-Policy: {policy}\r\n");
    }
    for policy in list("csp_report_only") {
        dump += &format!("Content-Security-Policy-Report-Only: {policy}\r\n");
    }
    dump += "\r\n<!doctype html><html><head><meta charset=utf-8>";
    for policy in list("meta") {
        let escaped = policy
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('\'', "&#x27;");
        dump += &format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{escaped}\">");
    }
    dump += case["head_html"].as_str().unwrap_or_default();
    dump + "</head><body></body></html>"
}
