//! In: random numbers. Out: an unbound.conf.

use super::{Generated, Random};

const NAMES: &[&str] = &[
    ".",
    "aws",
    "aws.",
    "\"chime.aws.\"",
    "chime.aws",
    "CHIME.aws",
    "'sdkassets.chime.aws'",
    "app.chime.aws",
    "ue1.app.chime.aws.",
    "cloudfront.net",
    "small2.chime.aws",
    "small3.chime.aws",
    "small4.app.chime.aws",
    "x.app.chime.aws",
    "example.com",
    "net",
    "*.chime.aws",
];
const ZONE_TYPES: &[&str] = &[
    "deny",
    "refuse",
    "static",
    "transparent",
    "typetransparent",
    "redirect",
    "inform",
    "inform_deny",
    "always_transparent",
    "always_refuse",
    "always_nxdomain",
    "always_nodata",
    "always_null",
    "noview",
    "nodefault",
    "block_a",
    "always_deny",
];
const DATA: &[&str] = &[
    "small2.chime.aws A 10.0.0.1",
    "small2.chime.aws. 300 IN A 10.0.0.2",
    "small2.chime.aws AAAA ::9",
    "small3.chime.aws AAAA fd00::9",
    "small3.chime.aws A 10.0.0.3",
    "small4.app.chime.aws IN TXT x",
    "x.small4.app.chime.aws A 10.0.0.1",
    "chime.aws A 10.0.0.4",
    "app.chime.aws A 10.0.0.5",
    "example.com A 10.0.0.6",
    "static.sdkassets.chime.aws A 10.0.0.7",
];
const NETS: &[&str] = &[
    "99.77.128.0/18",
    "99.77.0.0/16",
    "13.224.0.0/16",
    "10.0.0.0/8",
    "2600:1f28::/32",
    "2600:9000::/28",
    "0.0.0.0/0",
];
const CLIENTS: &[&str] = &[
    "192.168.77.0/24",
    "192.168.0.0/16",
    "192.168.77.10",
    "192.168.77.10/32",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "127.0.0.1",
    "::0/0",
    "192.168.77.99/24",
];
const ACTIONS: &[&str] = &[
    "allow",
    "allow",
    "allow_snoop",
    "allow_setrd",
    "refuse",
    "deny",
    "refuse_non_local",
    "deny_non_local",
    "allow_setrd",
];
const PLAIN: &[&str] = &[
    "do-ip6: no",
    "do-tcp: no",
    "do-tcp: yes",
    "tcp-upstream: yes",
    "tcp-upstream: no",
    "hide-identity: yes",
    "qname-minimisation: no",
    "prefetch: yes # warm",
    "minimal-responses: yes",
    "do-not-query-address: 8.8.8.8",
    "do-not-query-address: 9.9.0.0/16",
    "do-not-query-localhost: no",
    "module-config: \"iterator\"",
    "module-config: \"validator iterator\"",
    "deny-any: yes",
    "msg-buffer-size: 8192",
    "unblock-lan-zones: yes",
    "identity: \"a # b\"",
    "verbosity: 1",
];
const BROKEN: &[&str] = &[
    "do-tcp: maybe",
    "edns-bufer-size: 512",
    "local-zone: \"x\" blocked",
    "forward-addr: 8.8.8.8",
    "msg-buffer-size: 512",
    "edns-buffer-size: 0",
    "access-control: 10.0.0.0/8 permit",
    "response-ip: 10.0.0.0/8 deny",
    "port: \"53",
    "Port: 53",
    "local-data: \"x A notanip\"",
];
const SIZES: &[&str] = &[
    "100", "512", "600", "1232", "1400", "1472", "4096", "512k", "70000",
];

pub(super) fn generate(random: &mut Random) -> Generated {
    let mut server = Vec::new();
    if random.one_in(2) {
        server.push(format!("edns-buffer-size: {}", random.pick(SIZES)));
    }
    if random.one_in(3) {
        server.push(format!("max-udp-size: {}", random.pick(SIZES)));
    }
    for _ in 0..random.below(4) {
        let name = random.pick(NAMES);
        server.push(format!("local-zone: {name} {}", random.pick(ZONE_TYPES)));
    }
    if random.one_in(2) {
        for _ in 0..=random.below(3) {
            server.push(format!("local-data: \"{}\"", random.pick(DATA)));
        }
    }
    if random.one_in(4) {
        server.push(format!("private-address: {}", random.pick(NETS)));
        if random.one_in(2) {
            server.push(format!("private-address: {}", random.pick(NETS)));
        }
        if random.one_in(2) {
            server.push(format!("private-domain: {}", random.pick(NAMES)));
        }
    }
    if random.one_in(6) {
        server.push("module-config: \"respip iterator\"".to_owned());
        for _ in 0..=random.below(2) {
            let action = random.pick(&[
                "deny",
                "inform",
                "inform_deny",
                "always_transparent",
                "always_refuse",
                "always_nxdomain",
                "redirect",
            ]);
            server.push(format!("response-ip: {} {action}", random.pick(NETS)));
        }
    }
    if random.one_in(2) {
        let interface = random.pick(&["0.0.0.0", "192.168.77.1", "127.0.0.1", "::1", "0.0.0.0@53"]);
        server.push(format!("interface: {interface}"));
    }
    for _ in 0..random.below(4) {
        let net = random.pick(CLIENTS);
        server.push(format!("access-control: {net} {}", random.pick(ACTIONS)));
    }
    for _ in 0..random.below(3) {
        server.push(random.pick(PLAIN).to_owned());
    }
    if random.one_in(12) {
        server.push(random.pick(BROKEN).to_owned());
    }
    let mut text = "server:\n".to_owned();
    while !server.is_empty() {
        let at = usize::try_from(random.below(server.len() as u64)).unwrap();
        text += random.pick(&["  ", "\t", "", "    "]);
        text += &server.remove(at);
        // A comment would swallow what follows on its line.
        text += if text.contains('#') {
            "\n"
        } else {
            random.pick(&["\n", "\n", "\n", " "])
        };
    }
    text += "\n";
    for _ in 0..random.below(3) {
        text += &zone(random);
    }
    text += "forward-zone:\n  name: \".\"\n  forward-addr: 8.8.8.8\n";
    if random.one_in(10) {
        text = text.replace('\n', "\r\n");
    }
    Generated {
        config: text,
        clients: vec!["192.168.77.10", "10.1.2.3"],
        names: vec!["small4.app.chime.aws", "small5.chime.aws"],
    }
}

fn zone(random: &mut Random) -> String {
    let kind = random.pick(&["forward", "forward", "stub"]);
    let mut text = format!("{kind}-zone:\n name: {}\n", random.pick(NAMES));
    for _ in 0..random.below(3) {
        let server = random.pick(&[
            "8.8.8.8",
            "9.9.9.9",
            "9.9.9.9@5300",
            "127.0.0.1@5353",
            "2001:4860:4860::8888",
        ]);
        text += &[" ", kind, "-addr: ", server, "\n"].concat();
    }
    if random.one_in(5) {
        text += &[" ", kind, "-first: yes\n"].concat();
    }
    text
}
