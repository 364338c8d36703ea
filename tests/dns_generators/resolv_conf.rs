//! In: random numbers. Out: a resolv.conf.

use super::{Generated, Random};

const LINES: &[&str] = &[
    "nameserver 10.0.0.2",
    "nameserver 10.0.0.3",
    "nameserver 10.0.0.4",
    "nameserver 192.0.2.53",
    "nameserver\t10.0.0.5",
    "nameserver 10.0.0.6 # router",
    "nameserver 10.0.0.2:53",
    "nameserver dns.example",
    "nameserver 8.8",
    "nameserver 127.0.0.53",
    "nameserver",
    " nameserver 10.0.0.7",
    "Nameserver 10.0.0.8",
    "search example.com corp.example",
    "domain example.com",
    "search",
    "options edns0",
    "options\tedns0\ttrust-ad",
    "options trust-ad",
    "options rotate,edns0",
    "options edns0,rotate",
    "options rotate edns0",
    "options edns0x",
    "options EDNS0",
    "OPTIONS edns0",
    " options edns0",
    "options: edns0",
    "options -edns0",
    "#options edns0",
    "; options edns0",
    "options use-vc",
    "options ndots:5",
    "options ndots:2 timeout:1 attempts:1",
    "options single-request-reopen",
    "options no-tld-query inet6 debug",
    "options no-aaaa",
    "options",
    "sortlist 10.0.0.0/8",
    "lookup file bind",
    "# comment",
    "",
    "garbage here",
];

pub(super) fn generate(random: &mut Random) -> Generated {
    let mut lines = Vec::new();
    if !random.one_in(6) {
        lines.push("nameserver 10.0.0.2");
    }
    for _ in 0..random.below(6) {
        let at = usize::try_from(random.below(lines.len() as u64 + 1)).unwrap();
        lines.insert(at, random.pick(LINES));
    }
    let end = if random.one_in(8) { "\r\n" } else { "\n" };
    let mut config = lines.join(end);
    if !random.one_in(4) {
        config += end;
    }
    if random.one_in(12) {
        config.insert(0, '\u{feff}');
    }
    Generated {
        config,
        ..Generated::default()
    }
}
