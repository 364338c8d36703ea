//! In: small configs of BIND and dnsmasq. Out: what they settle, what is refused, and how it is mended.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use gatelint::config::{
    self, Blocked, Claim, Facts, Fix, Input, NoFiles, Reading, Setting, SettingValue,
};
use gatelint::model::{Question, Ranges};
use gatelint::source::{Sources, Span};

/// Reads a config, and asks for a fix of what a piece of it decided.
fn read(kind: &str, text: &str, decided_by: &str) -> (Reading, Vec<Fix>) {
    let kind = config::kind(kind).unwrap();
    let sources = Sources::new();
    let file = sources.add("config", text.as_bytes().to_vec()).unwrap();
    let input = Input {
        file,
        path: "config",
        bytes: text.as_bytes(),
    };
    let reading = (kind.read)(&input, &NoFiles, &Facts::default());
    let at = text.find(decided_by).unwrap();
    let (none, question) = (Ranges::empty(), Question::default());
    let domains = ["*.chime.aws".to_owned()];
    let blocked = Blocked {
        gate: Some(0),
        question: &question,
        decided_by: Some(Span::new(file, at, at + decided_by.len())),
        shadowed: &[],
        domains: &domains,
        networks: &none,
        service: None,
        clients: &none,
        fetch: None,
        setting: None,
    };
    let fixes = (kind.fix)(&input, &reading, &blocked);
    (reading, fixes)
}

fn setting(reading: &Reading, name: &str) -> Setting {
    let found = reading.settings.iter().find(|setting| setting.name == name);
    found.unwrap().clone()
}

fn refuses(kind: &str, text: &str) -> bool {
    let (reading, _) = read(kind, text, "");
    reading.findings.iter().any(|finding| finding.refuses)
}

#[test]
fn the_most_specific_server_decides_about_edns0() {
    let base = "options { forwarders { 8.8.8.8; }; forward only; };";
    for (servers, value) in [
        ("", SettingValue::On),
        ("server 8.8.8.0/24 { edns no; };", SettingValue::Off),
        (
            "server 8.8.8.8 { edns yes; }; server 0.0.0.0/0 { edns no; };",
            SettingValue::On,
        ),
        ("server ::/0 { edns no; };", SettingValue::On),
    ] {
        let (reading, _) = read("bind", &format!("{base}{servers}"), "");
        assert_eq!(setting(&reading, "dns.edns0").value, value, "{servers}");
    }
}

#[test]
fn what_named_refuses_is_refused() {
    for text in [
        "options { recursion yes; recursion no; };",
        "options { allow-query { nosuch; }; };",
        "options { allow-transfer { nosuch; }; };",
        "options { allow-query { 10.0.0.1/8; }; };",
        "view a { }; zone \"x\" { type forward; forwarders { 1.1.1.1; }; };",
        "plugin query \"filter-aaaa.so\"; view a { };",
        "zone \"x\" { type native; file \"f\"; };",
        "options { recursion yes; }",
        "options { recusion yes; };",
    ] {
        assert!(refuses("bind", text), "{text}");
    }
    assert!(!refuses(
        "bind",
        "options { allow-query { l; 10/8; }; };\nacl L { !10.1/16; any; };"
    ));
}

#[test]
fn servers_without_recursion_are_not_judged() {
    let text = "options { recursion no; }; zone \"x\" { type primary; file \"f\"; };";
    assert!(read("bind", text, "").0.not_judged.is_some());
    assert!(read("dnsmasq", "port=0\n", "").0.not_judged.is_some());
}

#[test]
fn a_filter_of_named_is_mended_by_an_exemption() {
    let clause = "deny-answer-aliases { \"net\"; }";
    let text = format!("options {{ {clause}; }};");
    let (_, fixes) = read("bind", &text, clause);
    assert_eq!(fixes[0].edits[0].text, " except-from { \"chime.aws\"; }");
}

#[test]
fn a_domain_of_dnsmasq_is_exempted_only_where_that_wins() {
    let (_, fixes) = read("dnsmasq", "address=/aws/\n", "address=/aws/");
    assert_eq!(fixes[0].edits[0].text, "server=/chime.aws/#\n");
    let (_, fixes) = read("dnsmasq", "local=/chime.aws/\n", "local=/chime.aws/");
    assert!(fixes.is_empty());
}

#[test]
fn dnsmasq_passes_edns0_on_and_never_below_512() {
    let (reading, _) = read("dnsmasq", "edns-packet-max=100\n", "");
    assert_eq!(
        setting(&reading, "dns.edns0").value,
        SettingValue::PassesThrough
    );
    assert_eq!(
        setting(&reading, "dns.udp.max-reply").value,
        SettingValue::Number(512)
    );
    let twice = "edns-packet-max=512\nedns-packet-max=512\n";
    assert!(refuses("dnsmasq", twice));
    assert!(refuses("dnsmasq", "--server=1.1.1.1\n"));
    assert!(refuses("dnsmasq", &format!("#{}\n", "x".repeat(1500))));
}

#[test]
fn files_are_claimed_by_what_they_say() {
    let claims = |kind: &str, path: &str, text: &str| {
        let kind = config::kind(kind).unwrap();
        (kind.claims)(path, text.as_bytes())
    };
    let named = "options { recursion yes; };\nzone \".\" { type hint; file \"x\"; };";
    assert!(matches!(claims("bind", "x.conf", named), Claim::Yes(_)));
    assert!(matches!(claims("dnsmasq", "x.conf", named), Claim::No));
    let dnsmasq = "domain-needed\nno-resolv\nserver=8.8.8.8\n";
    assert!(matches!(
        claims("dnsmasq", "x.conf", dnsmasq),
        Claim::Yes(_)
    ));
    assert!(matches!(claims("bind", "named.conf", dnsmasq), Claim::No));
    let bus = "<busconfig>\n <policy user=\"root\"/>\n</busconfig>";
    assert!(matches!(claims("dnsmasq", "dnsmasq.conf", bus), Claim::No));
}
