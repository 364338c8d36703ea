//! In: a seed. Out: a random named.conf.

#![expect(
    clippy::format_push_string,
    reason = "a generator reads best as the text that it writes"
)]

use super::{Generated, Random};

const CLIENTS: &[&str] = &["192.168.77.10", "10.1.2.3"];
const NAMES: &[&str] = &["small5.app.chime.aws", "small6.a.b.chime.aws"];

/// A named.conf of clauses that people write, now and then with a mistake.
pub(crate) fn generate(random: &mut Random) -> Generated {
    let views = random.one_in(5);
    let mut config = String::new();
    if random.one_in(4) {
        config += "/* options { recursion no; }; */ // zone \"aws\" {\n# acl x {\n";
    }
    let acls = random.one_in(2);
    if acls {
        config += &format!("acl lan {{ {}}};\n", list(random, false));
    }
    let mut options = scope(random, acls) + &sizes(random);
    options += "directory \"/var/cache/bind\"; ";
    if random.one_in(8) {
        options += "listen-on { 127.0.0.1; }; ";
    }
    if random.one_in(14) {
        options += "blackhole { 192.168.77.0/24; }; ";
    }
    if random.one_in(10) {
        options += random.pick(&["nocookie-udp-size 512; ", "nocookie-udp-size 1000; "]);
    }
    config += &format!("options {{ {options}}};\n");
    config += &servers(random);
    if random.one_in(8) {
        config += "plugin query \"filter-aaaa.so\" { filter-aaaa-on-v4 yes; };\n";
    }
    if views {
        let takes = random.pick(&[
            "127.0.0.1; 192.168.77.10;",
            "192.168.77.0/24; 127/8;",
            "!10/8; any;",
            "any;",
        ]);
        // The facts tell of the worst view, the oracle of the one that it asks: sizes and servers are the same in both.
        let own = if random.one_in(2) {
            servers(random)
        } else {
            String::new()
        };
        config += &format!(
            "view a {{ match-clients {{ {takes} }}; {}{}{own}}};\n",
            scope(random, acls),
            zones(random),
        );
        if random.one_in(2) {
            config += &format!(
                "view b {{ match-clients {{ any; }}; {}{}{own}}};\n",
                scope(random, acls),
                zones(random)
            );
        }
    } else {
        config += &zones(random);
    }
    if random.one_in(12) {
        config = broken(random, &config);
    }
    // The oracle's stub answers everything as the root, where named exempts all aliases while it iterates.
    if config.contains("forwarders { };") || !config.to_ascii_lowercase().contains("forwarders") {
        config = config.replace("\"cloudfront.net\"", "\"example.org\"");
        config = config.replace("\"net\"", "\"example.org\"");
    }
    Generated {
        config,
        clients: CLIENTS.to_vec(),
        names: NAMES.to_vec(),
    }
}

/// Clauses that `options` and views share.
fn scope(random: &mut Random, acls: bool) -> String {
    let mut text = String::new();
    if !random.one_in(8) {
        text += random.pick(&[
            "forwarders { 8.8.8.8; }; ",
            "FORWARDERS { 8.8.8.8; }; ",
            "forwarders { 8.8.8.8 port 53; }; ",
        ]);
        text += random.pick(&["forward only; ", "forward only; ", ""]);
    }
    if random.one_in(10) {
        text += "recursion no; ";
    }
    for (name, often) in [
        ("allow-recursion", 4),
        ("allow-query", 5),
        ("allow-query-cache", 7),
    ] {
        if random.one_in(often) {
            text += &format!("{name} {{ {}}}; ", list(random, acls));
        }
    }
    if random.one_in(8) {
        let except = random.pick(&[
            "",
            " except-from { \"chime.aws\"; }",
            " except-from { \"app.chime.aws\"; }",
        ]);
        let nets = random.pick(&[
            "99.77.0.0/16",
            "99.77/16",
            "10/8",
            "13.224.0.0/14",
            "2600::/12",
        ]);
        text += &format!("deny-answer-addresses {{ {nets}; }}{except}; ");
    }
    if random.one_in(8) {
        let except = random.pick(&["", " except-from { \"sdkassets.chime.aws\"; }"]);
        let alias = random.pick(&["cloudfront.net", "net", "example.org"]);
        text += &format!("deny-answer-aliases {{ \"{alias}\"; }}{except}; ");
    }
    text
}

fn sizes(random: &mut Random) -> String {
    let mut text = String::new();
    if random.one_in(3) {
        let size = random.pick(&["100", "512", "600", "1232", "1400", "4096", "9999"]);
        text += &format!("edns-udp-size {size}; ");
    }
    if random.one_in(3) {
        let size = random.pick(&["100", "512", "1000", "1232", "4096", "65535"]);
        text += &format!("max-udp-size {size}; ");
    }
    text
}

/// An address match list.
fn list(random: &mut Random, acls: bool) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(3) {
        text += random.pick(&["", "", "", "!"]);
        let element = random.pick(&[
            "any",
            "none",
            "localhost",
            "localnets",
            "192.168.77.0/24",
            "192.168/16",
            "10/8",
            "10.1.2.3",
            "127.0.0.1",
            "{ !10.1/16; 10/8; 127/8; }",
            "{ 192.168.77.10; }",
            "lan",
        ]);
        text += if element == "lan" && !acls {
            "any"
        } else {
            element
        };
        text += "; ";
    }
    text
}

fn servers(random: &mut Random) -> String {
    let mut text = String::new();
    let mut used = Vec::new();
    for _ in 0..random.below(3) {
        let prefix = random.pick(&[
            "8.8.8.8",
            "8.8.8.0/24",
            "9.9.9.9",
            "0.0.0.0/0",
            "8/8",
            "1.1.1.1",
            "::/0",
        ]);
        if used.contains(&prefix) {
            continue;
        }
        used.push(prefix);
        let clause = random.pick(&[
            "edns no;",
            "edns no;",
            "edns yes;",
            "edns-udp-size 1400;",
            "edns-udp-size 512;",
            "tcp-only yes;",
            "edns no; edns-udp-size 900;",
            "",
        ]);
        text += &format!("server {prefix} {{ {clause} }};\n");
    }
    text
}

fn zones(random: &mut Random) -> String {
    let mut text = String::new();
    let mut used = Vec::new();
    for _ in 0..random.below(4) {
        let name = random.pick(&[
            "aws",
            "chime.aws",
            "app.chime.aws",
            "sdkassets.chime.aws",
            "example.com",
            "AWS.",
            "corp.local",
        ]);
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        if used.contains(&plain) {
            continue;
        }
        used.push(plain);
        let body = random.pick(&[
            "type primary; file \"/etc/bind/db.empty\";",
            "type master; file \"/etc/bind/db.empty\";",
            "type forward; forwarders { 9.9.9.9; };",
            "type forward; forward only; forwarders { 9.9.9.9; };",
            "type forward; forwarders { };",
            "type primary; file \"/etc/bind/db.empty\"; allow-query { 127.0.0.1; };",
            "type primary; file \"/etc/bind/db.local\";",
        ]);
        text += &format!(
            "zone \"{name}\" {}{{ {body} }};\n",
            random.pick(&["", "IN ", "in "])
        );
    }
    text
}

/// The same with a mistake.
fn broken(random: &mut Random, config: &str) -> String {
    match random.below(6) {
        0 => config.replacen("};\n", "}\n", 1),
        1 => config.replacen(
            "directory \"/var/cache/bind\";",
            "directory \"/var/cache/bind\"",
            1,
        ),
        2 => config.replacen("directory", "recusion no; directory", 1),
        3 => config.replacen("directory", "querylog no; querylog yes; directory", 1),
        4 => config.replacen(
            "directory",
            "allow-transfer { nobody; }; allow-query-on { nosuch; }; directory",
            1,
        ),
        _ => format!("{config}}};\n"),
    }
}
