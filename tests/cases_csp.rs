//! In: `tests/cases/csp.json` and `csp-edges.json`, policies with what Chromium did. Out: gatelint predicts the same, or says that it cannot
//! tell.

#![expect(clippy::print_stderr, reason = "what was left open is said")]

mod csp_prediction;

use csp_prediction::{Comparison, compare};

#[test]
fn chromium_does_what_is_predicted() {
    let cases: Vec<serde_json::Value> = [
        include_str!("cases/csp.json"),
        include_str!("cases/csp-edges.json"),
    ]
    .into_iter()
    .flat_map(|text| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap())
    .collect();
    let mut all = Comparison::default();
    for case in &cases {
        all.add(compare(case));
    }
    eprintln!(
        "{} cases: {} probes agree, {} undecided, {} not expressible",
        cases.len(),
        all.agreed,
        all.undecided.len(),
        all.skipped
    );
    for line in &all.undecided {
        eprintln!("undecided: {line}");
    }
    assert!(
        all.wrong.is_empty(),
        "wrong certainty:\n{}",
        all.wrong.join("\n")
    );
    assert!(all.agreed >= 640, "only {} probes agree", all.agreed);
    assert!(
        all.undecided.len() * 30 <= all.agreed,
        "{} undecided",
        all.undecided.len()
    );
}

#[test]
fn long_lists_are_still_told_apart() {
    use std::fmt::Write as _;

    let mut policy = "connect-src".to_owned();
    for at in 0..200 {
        write!(policy, " https://h{at}.test https://*.w{at}.test").unwrap();
    }
    policy += " https://p.test/x/ https://h199.test";
    let probe = |url: &str, expect: &str| serde_json::json!({"kind": "connect", "url": url, "expect": expect});
    let case = serde_json::json!({"id": "crowd", "csp": [policy], "probes": [
        probe("https://h0.test/", "allowed"),
        probe("https://h199.test/", "allowed"),
        probe("https://x.w199.test/", "allowed"),
        probe("https://x.w199.test./", "blocked"),
        probe("https://w199.test/", "blocked"),
        probe("wss://x.w199.test/", "blocked"),
    ]});
    let comparison = compare(&case);
    assert!(
        comparison.wrong.is_empty(),
        "{}",
        comparison.wrong.join("\n")
    );
    assert_eq!(comparison.agreed, 6, "{:?}", comparison.undecided);
}

/// Text that nobody writes: many policies, many templates, control characters, what is cut off.
#[test]
fn odd_texts_are_read_to_their_end() {
    let odd: [Vec<u8>; 10] = [
        b",".repeat(20_000),
        b"img-src a,".repeat(1_500),
        b"${".repeat(20_000),
        b"img-src ; ".repeat(5_000),
        b"\xff\xfe\0img-src 'self'".to_vec(),
        b"HTTP/1.1 200 OK\nContent-Security-Policy".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-security-policy:\r\n\tx\r\n\r\n<meta http-equiv=content-security-policy content=&#".to_vec(),
        b"\"".to_vec(),
        b"< HTTP/2 200\n< \n".to_vec(),
        b"<meta http-equiv=content-security-policy content='&amp;&#0;&#xD800;\xc3".to_vec(),
    ];
    for text in odd {
        for kind in ["csp", "html"] {
            let (sources, reading) = csp_prediction::read(kind, &text, "nonsense");
            for finding in &reading.findings {
                assert!(finding.label.span.end as usize <= text.len());
                let _ = sources.text(finding.label.span);
            }
            let claims = gatelint::config::kind(kind).unwrap().claims;
            let _ = claims("a.txt", &text);
        }
    }
}
