//! In: a seed. Out: a random dnsmasq.conf.

#![expect(
    clippy::format_push_string,
    reason = "a generator reads best as the text that it writes"
)]

use super::{Generated, Random};

const NAMES: &[&str] = &[
    "small5.app.chime.aws",
    "small6.a.b.chime.aws",
    "small7.xchime.chime.aws",
];

/// A dnsmasq.conf of options that people write, now and then with a mistake.
pub(crate) fn generate(random: &mut Random) -> Generated {
    let mut lines: Vec<String> = vec!["no-resolv".to_owned()];
    if !random.one_in(10) {
        lines.push("server=8.8.8.8".to_owned());
    }
    for _ in 0..random.below(5) {
        lines.push(target(random));
    }
    if random.one_in(3) {
        let size = random.pick(&["0", "100", "512", "700", "1232", "1400", "4096", "65535"]);
        lines.push(format!("edns-packet-max={size}"));
    }
    if random.one_in(3) {
        let option = random.pick(&[
            "filter-AAAA",
            "filter-rr=AAAA",
            "stop-dns-rebind",
            "ignore-address=99.77.128.10",
            "ignore-address=13.224.1.0/24",
            "cname=small5.app.chime.aws,small6.a.b.chime.aws",
            "txt-record=small5.app.chime.aws,x",
            "local-ttl=5",
            "dnssec-check-unsigned",
            "proxy-dnssec",
            "bogus-nxdomain=10.0.0.0/8",
            "bogus-nxdomain=99.77.128.0/18",
            "bogus-nxdomain=13.224.1.0/24",
            "bogus-priv",
            "domain-needed",
            "alias=99.77.0.0,10.77.0.0,255.255.0.0",
            "host-record=small2.chime.aws,10.1.1.1",
            "host-record=small3.chime.aws,small5.app.chime.aws,10.1.1.1,fd00::1",
            "add-mac",
            "strict-order",
            "all-servers",
        ]);
        lines.push(option.to_owned());
    }
    if random.one_in(8) {
        let listen = random.pick(&[
            "listen-address=127.0.0.1",
            "interface=lo",
            "listen-address=127.0.0.1,192.168.77.10",
        ]);
        lines.push(listen.to_owned());
    }
    // The order does not count.
    let turn = usize::try_from(random.below(lines.len() as u64)).unwrap_or(0);
    lines.rotate_left(turn);
    if random.one_in(8) {
        lines.push(
            random
                .pick(&[
                    "--server=1.1.1.1",
                    "SERVER=1.1.1.1",
                    "server 1.1.1.1",
                    "no-resolv=yes",
                    "edns-packet-max=big",
                    "edns-packet-max=512\nedns-packet-max=512",
                    "address=/aws/nowhere",
                    "address=/aws",
                    "no-such-option",
                    "cache-size",
                    "port",
                    "bogus-nxdomain=x",
                    "server=8.8.8.8#x",
                    "txt-record=\"a",
                ])
                .to_owned(),
        );
    }
    let end = random.pick(&["\n", "\n", "\n", "\r\n"]);
    let mut config = String::new();
    for line in lines {
        config += random.pick(&["", "", "", "  "]);
        config += &match random.below(8) {
            0 => line.replacen('=', " = ", 1),
            1 => format!("{line} # aws"),
            2 => format!("#{line} x{end}{line}"),
            _ => line,
        };
        config += end;
    }
    Generated {
        config,
        clients: vec!["192.168.77.10"],
        names: NAMES.to_vec(),
    }
}

fn target(random: &mut Random) -> String {
    let domain = random.pick(&[
        "aws",
        "chime.aws",
        "app.chime.aws",
        "sdkassets.chime.aws",
        ".chime.aws",
        "*.chime.aws",
        "*chime.aws",
        "*",
        "#",
        "CHIME.aws",
        "cloudfront.net",
        "small2.chime.aws",
        "b.chime.aws",
        "example.com",
        "aws/net",
    ]);
    match random.below(6) {
        0 | 1 => {
            let to = random.pick(&["", "#", "10.0.0.1", "0.0.0.0", "::", "fd00::1"]);
            format!("address=/{domain}/{to}")
        }
        2 => format!("local=/{domain}/"),
        _ => {
            let to = random.pick(&["", "#", "#", "9.9.9.9", "9.9.9.9#53", "9.9.9.9"]);
            format!("server=/{domain}/{to}")
        }
    }
}
