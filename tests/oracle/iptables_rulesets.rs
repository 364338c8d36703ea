//! Random rulesets and packets over what gatelint models, from a seed.

use std::fmt::Write;

use serde_json::{Value, json};

/// A ruleset and packets.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) rules: String,
    pub(crate) probes: Vec<Value>,
    v6: bool,
}

/// The interfaces of every case, in the order in which the oracle numbers them.
const INTERFACES: [&str; 6] = ["eth0", "eth1", "in0", "out0", "ppp0", "wlan0"];

impl Case {
    pub(crate) fn path(&self) -> &'static str {
        if self.v6 { "rules.v6" } else { "rules.v4" }
    }

    pub(crate) fn key(&self) -> &'static str {
        if self.v6 { "rules6" } else { "rules4" }
    }

    /// Addresses of the interfaces, besides those that the oracle gives each of them.
    pub(crate) fn interfaces() -> Value {
        INTERFACES
            .iter()
            .map(|name| {
                let addresses: &[&str] = match *name {
                    "eth0" => &["192.0.2.1/32", "2001:db8:ffff::1/128"],
                    "eth1" => &["192.0.2.2/32", "2001:db8:ffff::2/128"],
                    _ => &[],
                };
                ((*name).to_owned(), json!(addresses))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Every address of the machine under test.
    pub(crate) fn own_addresses() -> String {
        let mut all = "192.0.2.1,192.0.2.2,2001:db8:ffff::1,2001:db8:ffff::2".to_owned();
        for number in 1..=INTERFACES.len() {
            let _ = write!(all, ",198.18.200.{number},fd69:7074:6f72::{number:x}");
        }
        all
    }
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % sides as u64).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.roll(100) < chance
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// The case of a seed; every fifth is IPv6.
pub(crate) fn case(seed: u64) -> Case {
    let mut made = Maker {
        dice: Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)),
        v6: seed.is_multiple_of(5),
        text: String::new(),
    };
    made.rules();
    let probes = (0..24).map(|at| made.probe(at)).collect();
    Case {
        rules: made.text,
        probes,
        v6: made.v6,
    }
}

struct Maker {
    dice: Dice,
    v6: bool,
    text: String,
}

const TABLES: [(&str, &[&str], usize); 5] = [
    ("raw", &["PREROUTING", "OUTPUT"], 30),
    (
        "mangle",
        &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        40,
    ),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"], 45),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"], 97),
    ("security", &["INPUT", "FORWARD", "OUTPUT"], 10),
];

const PORTS: [&str; 14] = [
    "53",
    "443",
    "3478",
    "1:1023",
    "1024:65535",
    "3000:",
    ":4000",
    "https",
    "domain",
    "0",
    "65535",
    "5000:3000",
    "3478:3478",
    "8443",
];

impl Maker {
    fn rules(&mut self) {
        for (table, hooks, chance) in TABLES {
            if self.dice.percent(chance) {
                self.table(table, hooks);
            }
        }
        if self.text.is_empty() {
            self.text.push_str("*filter\nCOMMIT\n");
        }
    }

    fn table(&mut self, table: &str, hooks: &[&str]) {
        let _ = writeln!(self.text, "*{table}");
        for hook in hooks {
            let drops = match table {
                "filter" => 55,
                "nat" => 3,
                _ => 6,
            };
            if table == "filter" || self.dice.percent(80) {
                let policy = if self.dice.percent(drops) {
                    "DROP"
                } else {
                    "ACCEPT"
                };
                let _ = writeln!(self.text, ":{hook} {policy} [0:0]");
            }
        }
        // In nat, a chain is for one side, since targets may stand only where the kernel allows them.
        let own: Vec<String> = (0..self.dice.roll(4))
            .map(|at| {
                format!(
                    "{}{at}",
                    if table == "nat" && at % 2 == 1 {
                        "src"
                    } else {
                        "own"
                    }
                )
            })
            .collect();
        for chain in &own {
            let _ = writeln!(self.text, ":{chain} - [0:0]");
        }
        if table == "filter" && self.dice.percent(50) {
            for hook in hooks {
                let state = if self.dice.percent(50) {
                    "-m state --state RELATED,ESTABLISHED"
                } else {
                    "-m conntrack --ctstate ESTABLISHED"
                };
                let _ = writeln!(self.text, "-A {hook} {state} -j ACCEPT");
            }
        }
        for hook in hooks {
            for _ in 0..self.dice.roll(5) {
                self.rule(table, hook, hook, &own, 0);
            }
        }
        for (at, chain) in own.iter().enumerate() {
            for _ in 0..self.dice.roll(5) {
                self.rule(table, chain, "", &own, at + 1);
            }
        }
        self.text.push_str("COMMIT\n");
    }

    /// One rule of a chain; `hook` is empty in chains of one's own, which call later ones only.
    fn rule(&mut self, table: &str, chain: &str, hook: &str, own: &[String], later: usize) {
        let mut rule = format!("-A {chain}");
        let mut protocol = "";
        if self.dice.percent(45) {
            let not = self.not(15);
            let _ = write!(rule, " {not}-s {}", self.network(true));
        }
        if self.dice.percent(35) {
            let not = self.not(15);
            let _ = write!(rule, " {not}-d {}", self.network(false));
        }
        let may_in = !matches!(hook, "OUTPUT" | "POSTROUTING");
        let may_out = !matches!(hook, "INPUT" | "PREROUTING");
        if may_in && self.dice.percent(20) {
            let not = self.not(25);
            let _ = write!(rule, " {not}-i {}", self.interface());
        }
        if may_out && self.dice.percent(20) {
            let not = self.not(25);
            let _ = write!(rule, " {not}-o {}", self.interface());
        }
        if self.dice.percent(60) {
            protocol = self
                .dice
                .pick(&["tcp", "udp", "udp", "tcp", "icmp", "17", "UDP"]);
            if self.v6 && protocol == "icmp" {
                protocol = "ipv6-icmp";
            }
            if self.dice.percent(10) {
                let _ = write!(rule, " ! -p {protocol}");
                protocol = "";
            } else {
                let _ = write!(rule, " -p {protocol}");
            }
        }
        for _ in 0..self.dice.pick(&[0, 0, 1, 1, 2]) {
            let text = self.matching(table, hook, protocol);
            // An option may stand only once.
            let option = |text: &str| {
                text.split(' ')
                    .rfind(|word| word.starts_with("--"))
                    .map(|word| word.trim_end_matches("ports").to_owned())
            };
            let again = option(&text).is_none_or(|option| rule.contains(&option));
            let ports = text.contains("multiport") && rule.contains("multiport");
            if !again && !ports {
                rule.push_str(&text);
            }
        }
        let target = self.target(table, hook, chain, protocol, own, later);
        let _ = writeln!(self.text, "{rule}{target}");
    }

    fn not(&mut self, chance: usize) -> &'static str {
        if self.dice.percent(chance) { "! " } else { "" }
    }

    fn interface(&mut self) -> &'static str {
        self.dice
            .pick(&["eth0", "eth1", "eth+", "ppp+", "wlan0", "lo", "ppp0", "e+"])
    }

    fn network(&mut self, source: bool) -> &'static str {
        match (self.v6, source) {
            (false, true) => self.dice.pick(&[
                "10.0.0.0/8",
                "10.0.0.5/32",
                "10.0.0.5",
                "10.0.0.4/30",
                "172.16.0.0/12",
                "10.0.0.0/255.0.0.255",
                "0.0.0.0/0",
                "10.1.2.3/255.0.0.0",
                "99.77.128.0/18",
            ]),
            (false, false) => self.dice.pick(&[
                "99.77.128.0/18",
                "99.77.190.9/18",
                "99.77.130.1",
                "8.8.8.8",
                "10.9.9.9/32",
                "10.0.0.0/8",
                "99.0.130.0/255.0.255.0",
                "192.0.2.0/24",
                "127.0.0.0/8",
            ]),
            (true, true) => self.dice.pick(&[
                "2001:db8:1::/48",
                "2001:db8:1::5",
                "2001:db8::/32",
                "::/0",
                "2001:db8:1::4/126",
                "fd00::/8",
            ]),
            (true, false) => self.dice.pick(&[
                "2600:f0f0:4100::/40",
                "2600:f0f0:4100::1",
                "2001:db8:9::9/128",
                "2001:db8::/32",
                "::1/128",
            ]),
        }
    }

    fn port(&mut self) -> &'static str {
        self.dice.pick(&PORTS)
    }

    #[expect(clippy::too_many_lines, reason = "one table of matches")]
    fn matching(&mut self, table: &str, hook: &str, protocol: &str) -> String {
        let ported = matches!(protocol, "tcp" | "udp" | "17" | "UDP");
        let udp = matches!(protocol, "udp" | "17" | "UDP");
        let not = self.not(20);
        loop {
            let text = match self.dice.roll(20) {
                0..=2 if ported => format!(" {not}--dport {}", self.port()),
                3 if ported => format!(" {not}--sport {}", self.port()),
                4 if ported => {
                    let side = self.dice.pick(&["--dports", "--sports", "--ports"]);
                    let list = self.dice.pick(&[
                        "53,443",
                        "3478",
                        "1:1000,3478,5000:6000",
                        "1024:65535",
                        "443,8443,40000:50000",
                    ]);
                    format!(" -m multiport {not}{side} {list}")
                }
                5 if protocol == "tcp" => format!(
                    " {not}--tcp-flags {}",
                    self.dice.pick(&[
                        "FIN,SYN,RST,ACK SYN",
                        "SYN,ACK SYN,ACK",
                        "ALL ACK",
                        "ALL NONE",
                        "SYN SYN",
                    ])
                ),
                6 if protocol == "tcp" => format!(" {not}--syn"),
                7 if protocol == "icmp" => format!(
                    " {not}--icmp-type {}",
                    self.dice
                        .pick(&["8", "echo-request", "0", "any", "3/4", "8/0", "13"])
                ),
                7 if protocol == "ipv6-icmp" => format!(
                    " {not}--icmpv6-type {}",
                    self.dice
                        .pick(&["128", "echo-request", "129", "1/4", "128/0"])
                ),
                8 | 9 => format!(
                    " -m conntrack {not}--ctstate {}",
                    self.dice.pick(&[
                        "NEW",
                        "ESTABLISHED",
                        "RELATED,ESTABLISHED",
                        "INVALID",
                        "NEW,ESTABLISHED",
                        "UNTRACKED",
                        "DNAT",
                        "SNAT",
                        "INVALID,UNTRACKED",
                    ])
                ),
                10 => format!(
                    " -m state {not}--state {}",
                    self.dice
                        .pick(&["NEW", "ESTABLISHED", "INVALID", "NEW,RELATED"])
                ),
                11 => format!(
                    " -m mark {not}--mark {}",
                    self.dice
                        .pick(&["0", "0x1", "0x5/0xff", "0x4/0x4", "0x10/0xf0", "0x3/0x1"])
                ),
                12 => format!(
                    " -m connmark {not}--mark {}",
                    self.dice.pick(&["0", "0x1", "0x5/0xff", "0x4/0x4"])
                ),
                13 if !self.v6 => {
                    let side = self.dice.pick(&["--src-range", "--dst-range"]);
                    let range = self.dice.pick(&[
                        "10.0.0.0-10.0.0.5",
                        "99.77.128.0-99.77.191.255",
                        "10.0.0.6-172.16.0.9",
                        "99.77.130.1-99.77.130.1",
                    ]);
                    format!(" -m iprange {not}{side} {range}")
                }
                14 if matches!(hook, "PREROUTING" | "INPUT" | "FORWARD") => {
                    format!(" -m mac {not}--mac-source 02:00:00:00:00:0A")
                }
                15 if matches!(hook, "OUTPUT" | "POSTROUTING") => format!(
                    " -m owner {not}--uid-owner {}",
                    self.dice.pick(&["0", "1000", "1-2000", "root"])
                ),
                16 => format!(
                    " -m length {not}--length {}",
                    self.dice.pick(&["0:100", "541:", "100", ":540", "1260"])
                ),
                17 if !self.v6 => format!(
                    " -m ttl {}",
                    self.dice
                        .pick(&["--ttl-eq 64", "--ttl-gt 63", "--ttl-lt 64", "--ttl-eq 63"])
                ),
                17 => format!(
                    " -m hl {}",
                    self.dice
                        .pick(&["--hl-eq 64", "--hl-gt 63", "--hl-lt 64", "--hl-eq 63"])
                ),
                18 => self
                    .dice
                    .pick(&[
                        " -m dscp --dscp 0x2e",
                        " -m dscp ! --dscp-class EF",
                        " -m tos --tos 0x10/0x3f",
                        " -m tos ! --tos 0xb8",
                    ])
                    .to_owned(),
                19 => {
                    let kind = self
                        .dice
                        .pick(&["LOCAL", "UNICAST", "MULTICAST", "BROADCAST"]);
                    let side = self.dice.pick(&["--dst-type", "--src-type"]);
                    format!(" -m addrtype {not}{side} {kind}")
                }
                _ => String::new(),
            };
            // A negated `-p` and the like leave some matches out.
            if !text.is_empty() {
                let name = if udp
                    && self.dice.percent(50)
                    && text.contains("port ")
                    && !text.contains("-m")
                {
                    " -m udp"
                } else {
                    ""
                };
                let _ = table;
                return format!("{name}{text}");
            }
        }
    }

    fn target(
        &mut self,
        table: &str,
        hook: &str,
        chain: &str,
        protocol: &str,
        own: &[String],
        later: usize,
    ) -> String {
        if let Some(callee) = own
            .iter()
            .enumerate()
            .skip(later)
            .map(|(_, name)| name)
            .find(|_| self.dice.percent(25))
        {
            // A chain for sources is called where sources are translated.
            let source_side = matches!(hook, "POSTROUTING" | "INPUT") || chain.starts_with("src");
            if table != "nat" || callee.starts_with("src") == source_side {
                let flag = self.dice.pick(&["-j", "-j", "-g"]);
                return format!(" {flag} {callee}");
            }
        }
        let mark = |dice: &mut Dice| {
            dice.pick(&[
                " -j MARK --set-xmark 0x5/0xff",
                " -j MARK --set-mark 1",
                " -j MARK --set-mark 0x4/0x4",
                " -j MARK --and-mark 0xf0",
                " -j MARK --or-mark 0x10",
                " -j MARK --xor-mark 0x5",
                " -j CONNMARK --save-mark",
                " -j CONNMARK --restore-mark",
                " -j CONNMARK --set-mark 0x5/0xff",
                " -j CONNMARK --save-mark --mask 0xf",
                " -j CONNMARK --set-xmark 0x1/0x1",
            ])
            .to_owned()
        };
        let common = match self.dice.roll(8) {
            0 | 1 => " -j ACCEPT".to_owned(),
            2 => " -j RETURN".to_owned(),
            3 => " -j LOG --log-prefix \"a -j DROP \"".to_owned(),
            4 => String::new(),
            _ => " -j DROP".to_owned(),
        };
        match table {
            "raw" => match self.dice.roll(5) {
                0 => " -j CT --notrack".to_owned(),
                1 => " -j NOTRACK".to_owned(),
                2 => mark(&mut self.dice),
                _ => common,
            },
            "mangle" => match self.dice.roll(8) {
                0..=2 => mark(&mut self.dice),
                3 => self
                    .dice
                    .pick(&[
                        " -j DSCP --set-dscp 0x2e",
                        " -j TOS --set-tos 0x10",
                        " -j DSCP --set-dscp-class AF41",
                    ])
                    .to_owned(),
                4 if !self.v6 => " -j TTL --ttl-set 64".to_owned(),
                4 => " -j HL --hl-set 64".to_owned(),
                _ => common,
            },
            "nat" => {
                let source = matches!(hook, "POSTROUTING" | "INPUT") || chain.starts_with("src");
                self.translation(source, hook, protocol)
            }
            "filter" => match self.dice.roll(6) {
                0 => " -j REJECT".to_owned(),
                1 if protocol == "tcp" => " -j REJECT --reject-with tcp-reset".to_owned(),
                2 => mark(&mut self.dice),
                3 => " -j ACCEPT".to_owned(),
                _ => common,
            },
            _ => common,
        }
    }

    fn translation(&mut self, source: bool, hook: &str, protocol: &str) -> String {
        let ported = matches!(protocol, "tcp" | "udp" | "17" | "UDP");
        if self.dice.percent(25) {
            return self
                .dice
                .pick(&[
                    " -j ACCEPT",
                    " -j RETURN",
                    "",
                    " -j MARK --set-mark 0x4/0x4",
                ])
                .to_owned();
        }
        match (source, self.v6) {
            (true, false) if hook == "POSTROUTING" => self
                .dice
                .pick(&[
                    " -j MASQUERADE",
                    " -j SNAT --to-source 203.0.113.7",
                    " -j SNAT --to-source 203.0.113.7-203.0.113.9",
                    " -j NETMAP --to 203.0.113.0/24",
                ])
                .to_owned(),
            (true, true) if hook == "POSTROUTING" => self
                .dice
                .pick(&[" -j MASQUERADE", " -j SNAT --to-source 2001:db8:7::7"])
                .to_owned(),
            (true, false) => " -j SNAT --to-source 203.0.113.7".to_owned(),
            (true, true) => " -j SNAT --to-source 2001:db8:7::7".to_owned(),
            (false, false) if ported => self
                .dice
                .pick(&[
                    " -j DNAT --to-destination 10.9.9.9",
                    " -j DNAT --to-destination 10.9.9.9:4000",
                    " -j DNAT --to-destination 10.9.9.9:4000-4010",
                    " -j DNAT --to-destination :8443",
                    " -j REDIRECT --to-ports 3129",
                    " -j REDIRECT",
                    " -j DNAT --to-destination 192.0.2.1",
                ])
                .to_owned(),
            (false, false) => self
                .dice
                .pick(&[
                    " -j DNAT --to-destination 10.9.9.9",
                    " -j REDIRECT",
                    " -j DNAT --to-destination 192.0.2.2",
                ])
                .to_owned(),
            (false, true) if ported => self
                .dice
                .pick(&[
                    " -j DNAT --to-destination [2001:db8:9::9]:4000",
                    " -j DNAT --to-destination 2001:db8:9::9",
                    " -j REDIRECT --to-ports 3129",
                ])
                .to_owned(),
            (false, true) => " -j DNAT --to-destination 2001:db8:9::9".to_owned(),
        }
    }

    fn probe(&mut self, id: usize) -> Value {
        let hook = self.dice.pick(&["FORWARD", "FORWARD", "OUTPUT", "INPUT"]);
        let (clients, servers): (&[&str], &[&str]) = if self.v6 {
            (
                &["2001:db8:1::5", "2001:db8:1::6", "fd00::9"],
                &["2600:f0f0:4100::1", "2001:db8:9::8", "2600::8"],
            )
        } else {
            (
                &["10.0.0.5", "10.0.0.6", "172.16.0.9"],
                &["99.77.130.1", "99.77.190.7", "8.8.8.8", "10.9.9.8"],
            )
        };
        let protocol = self.dice.pick(&["udp", "tcp", "udp", "tcp", "icmp"]);
        // Nobody listens on the machine under test: it answers the opening of a TCP connection to itself with a reset.
        let established = self.dice.percent(30) && !(hook == "OUTPUT" && protocol == "tcp");
        let (mut src, mut dst) = (self.dice.pick(clients), self.dice.pick(servers));
        if established && self.dice.percent(60) {
            std::mem::swap(&mut src, &mut dst);
        }
        let dport = self.dice.pick(&[53, 443, 3478, 3478, 8443, 65535, 4000, 1]);
        let sport = self.dice.pick(&[40000, 53, 443, 3478, 1024]);
        let mut probe = json!({
            "id": id,
            "hook": hook,
            "src": src,
            "dst": dst,
            "proto": protocol,
            "state": if established { "established" } else { "new" },
            "len": self.dice.pick(&[80, 100, 540, 541, 1260]),
            "ttl": self.dice.pick(&[64, 64, 128, 63]),
            "tos": self.dice.pick(&[0, 0, 0xb8, 0x10]),
            "family": if self.v6 { 6 } else { 4 },
        });
        if protocol == "icmp" {
            let echo = match (self.v6, established) {
                (false, false) => 8,
                (false, true) => 0,
                (true, false) => 128,
                (true, true) => 129,
            };
            probe["icmp_type"] = json!(echo);
            probe["icmp_code"] = json!(0);
        } else {
            probe["sport"] = json!(sport);
            probe["dport"] = json!(dport);
        }
        if protocol == "tcp" && !established && self.dice.percent(25) {
            probe["flags"] = json!("A");
        }
        if hook != "OUTPUT" {
            // Few, since the oracle sends the packets of each interface apart.
            probe["in"] = json!(self.dice.pick(&["eth1", "wlan0"]));
            probe["smac"] = json!(self.dice.pick(&["02:00:00:00:00:0a", "02:00:00:00:00:0b"]));
        }
        if hook != "INPUT" {
            probe["out"] = json!(self.dice.pick(&["eth0", "ppp0"]));
        }
        if hook == "OUTPUT" {
            probe["uid"] = json!(self.dice.pick(&[0, 1000]));
            if self.dice.percent(20) {
                probe["mark"] = json!(self.dice.pick(&[1, 5, 0x15]));
            }
            if !established && self.dice.percent(20) {
                probe["out"] = json!("lo");
                let own = if self.v6 { "::1" } else { "127.0.0.1" };
                probe["src"] = json!(own);
                probe["dst"] = json!(own);
            }
        }
        probe
    }
}
