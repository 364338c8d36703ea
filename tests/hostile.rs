//! In: files that someone wants harm with. Out: whether the program ends, stays inside its root, and shows no more than it
//! should.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files and runs the program"
)]
#![cfg(unix)]

mod shell;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use shell::{Folder, Ran};

const RESOLV: &str = "nameserver 10.0.0.2\noptions edns0\n";
/// Sets a title, colours, turns the writing direction, clears the screen.
const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{202e}\u{200b}\u{9b}2J";
const SECRET: &str = "hunter2secret";

fn formats() -> impl Iterator<Item = &'static str> {
    gatelint::report::FORMATS.iter().map(|format| format.name)
}

fn fifo(folder: &Folder, name: &str) {
    let made = Command::new("mkfifo").arg(folder.0.join(name)).status();
    assert!(made.unwrap().success());
}

/// Nothing that a terminal obeys, a reader is misled by, or that should stay secret.
fn is_showable(ran: &Ran, what: &str) {
    for text in [&ran.out, &ran.said] {
        let obeyed = |c: &char| {
            (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{200b}')
        };
        let bad = text.chars().find(obeyed);
        assert_eq!(bad, None, "{what}: {text}");
        assert!(!text.contains(SECRET), "{what}: {text}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_where_named_and_left_out_of_walks() {
    let folder = Folder::new().with("resolv.conf", RESOLV);
    fifo(&folder, "rules.v4");
    fs::create_dir(folder.0.join("unbound.conf")).unwrap();
    let _socket = UnixListener::bind(folder.0.join("squid.conf")).unwrap();
    symlink("/dev/zero", folder.0.join("named.conf")).unwrap();
    symlink("b.conf", folder.0.join("a.conf")).unwrap();
    symlink("a.conf", folder.0.join("b.conf")).unwrap();
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("checked 1 file"), "{ran:?}");
    let listed = folder.run(&["inputs", "."]);
    assert!(listed.out.contains("rules.v4: left out"), "{listed:?}");
    for name in ["rules.v4", "squid.conf", "named.conf", "/dev/zero"] {
        let ran = folder.run(&["check", name]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.said.contains("no regular file"), "{ran:?}");
    }
    assert_eq!(folder.run(&["check", "a.conf"]).code, 2);
    assert_eq!(folder.run(&["check", "unbound.conf"]).code, 3);
    for flag in ["--policy", "--config", "--baseline"] {
        let ran = folder.run(&["check", "resolv.conf", flag, "rules.v4"]);
        assert_eq!(ran.code, 2, "{flag}: {ran:?}");
    }
    let ran = folder.run(&["trace", "resolv.conf", "--requests", "rules.v4"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn files_of_many_gigabytes_are_never_read() {
    let folder = Folder::new().with(
        "squid.conf",
        "http_port 3128\nacl a dstdomain \"/huge\"\nhttp_access allow a\nhttp_access deny all\n",
    );
    for name in ["huge", "rules.v4"] {
        let file = fs::File::create(folder.0.join(name)).unwrap();
        file.set_len(10 << 30).unwrap();
    }
    let begun = Instant::now();
    let ran = folder.run(&["check", "rules.v4"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.said.contains("4 GiB"), "{ran:?}");
    let ran = folder.run(&["check", "."]);
    assert!(ran.out.contains("cannot tell without"), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn a_config_too_large_for_a_walk_is_said() {
    let folder = Folder::new().with("rules.v4", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
    let file = fs::File::options()
        .append(true)
        .open(folder.0.join("rules.v4"));
    file.unwrap().set_len(65 << 20).unwrap();
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.out.contains("rules.v4: not judged: over 64 MiB"),
        "{ran:?}"
    );
}

#[test]
fn a_line_of_50_megabytes_is_read_and_shown_in_part() {
    let long = "x".repeat(50 << 20);
    let folder = Folder::new().with(
        "rules.v4",
        format!("*filter\n:OUTPUT DROP [0:0]\n-A OUTPUT -m comment --comment \"{long}\" -j DROP\nCOMMIT\n"),
    );
    let mut arguments = vec!["check".to_owned(), "rules.v4".to_owned()];
    arguments.extend(formats().map(|format| format!("--output={format}={format}")));
    let ran = folder.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.code, 1, "{}", ran.said);
    for format in formats() {
        let written = fs::metadata(folder.0.join(format)).unwrap().len();
        assert!(written < 1 << 20, "{format}: {written}");
    }
}

#[test]
fn files_outside_the_root_are_not_followed_unless_the_root_allows_it() {
    for (name, text) in [
        (
            "squid.conf",
            "http_port 3128\nacl a dstdomain \"OUT/f\"\ninclude OUT/f\nhttp_access allow a\nhttp_access deny all\n",
        ),
        (
            "unbound.conf",
            "server:\n edns-buffer-size: 1232\ninclude: \"OUT/f\"\ninclude: \"OUT/*\"\n",
        ),
        (
            "named.conf",
            "options { recursion yes; };\ninclude \"OUT/f\";\nzone \"chime.aws\" { type master; file \"OUT/f\"; };\n",
        ),
        (
            "dnsmasq.conf",
            "server=192.0.2.1\nconf-file=OUT/f\nconf-dir=OUT\naddn-hosts=OUT/f\nhostsdir=OUT\nresolv-file=OUT/f\n",
        ),
        (
            "nginx.conf",
            "include OUT/f;\nserver { include OUT/*; add_header Content-Security-Policy \"default-src x\"; }\n",
        ),
        (
            "httpd.conf",
            "Include OUT/f\nIncludeOptional OUT/*\nHeader set Content-Security-Policy \"default-src x\"\n",
        ),
        (
            "Caddyfile",
            "import OUT/f\na.example {\n header Content-Security-Policy \"default-src x\"\n}\n",
        ),
        (
            "Corefile",
            ". {\n forward . 192.0.2.1\n hosts OUT/f\n import OUT/f\n}\n",
        ),
        (
            "recursor.conf",
            "forward-zones=.=192.0.2.1\nforward-zones-file=OUT/f\ninclude-dir=OUT\nlua-config-file=OUT/f\n",
        ),
    ] {
        for way in ["../out", "/out", "link"] {
            let folder = Folder::new()
                .with("out/f", "hidden-word.example\n")
                .with("in/.git/HEAD", "")
                .with(&format!("in/{name}"), text.replace("OUT", way));
            symlink("../out", folder.0.join("in/link")).unwrap();
            let path = format!("in/{name}");
            let ran = folder.run(&["check", &path, "--format", "json"]);
            assert!(!ran.out.contains("hidden-word"), "{name} {way}: {ran:?}");
            assert!(!ran.said.contains("panic"), "{name} {way}: {ran:?}");
            let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
            assert_eq!(value["inputs"].as_array().unwrap().len(), 1, "{name} {way}");
        }
    }
    let folder = Folder::new()
        .with("out/f", ".chime.aws\n.amazonaws.com\n.sdkassets.chime.aws\n")
        .with(
            "in/squid.conf",
            "http_port 3128\nacl a dstdomain \"../out/f\"\nhttp_access allow a\nhttp_access deny all\n",
        );
    let ran = folder.run(&["check", "in/squid.conf"]);
    assert!(ran.out.contains("cannot tell without"), "{ran:?}");
    let ran = folder.run(&["check", "in/squid.conf", "--root", "."]);
    assert!(!ran.out.contains("cannot tell without"), "{ran:?}");
}

#[test]
fn the_projects_config_leads_to_nothing_outside_the_project() {
    let folder = Folder::new()
        .with("out/secrets", "root: hidden-word\n")
        .with("in/.git/HEAD", "")
        .with("in/resolv.conf", RESOLV);
    for text in ["extends: [../out/secrets]\n", "baseline: ../out/secrets\n"] {
        let folder = Folder::new()
            .with("out/secrets", "root: hidden-word\n")
            .with("in/.git/HEAD", "")
            .with("in/resolv.conf", RESOLV)
            .with("in/gatelint.yaml", text);
        let ran = folder.run(&["check", "in"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.said.contains("outside the root"), "{ran:?}");
        assert!(!ran.said.contains("hidden-word"), "{ran:?}");
    }
    symlink("../out/secrets", folder.0.join("in/gatelint.yaml")).unwrap();
    let ran = folder.run(&["check", "in"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(!ran.said.contains("hidden-word"), "{ran:?}");
}

#[test]
fn includes_in_circles_come_to_an_end() {
    for (name, text) in [
        (
            "squid.conf",
            "http_port 3128\ninclude ME\nhttp_access deny all\n",
        ),
        (
            "unbound.conf",
            "server:\n edns-buffer-size: 1232\ninclude: ME\n",
        ),
        (
            "named.conf",
            "options { recursion yes; };\ninclude \"ME\";\n",
        ),
        (
            "dnsmasq.conf",
            "server=192.0.2.1\nconf-file=ME\nconf-file=ME\n",
        ),
        (
            "nginx.conf",
            "include ME;\ninclude ME;\nserver { add_header Content-Security-Policy \"default-src x\"; }\n",
        ),
        (
            "httpd.conf",
            "Include ME\nInclude ME\nHeader set Content-Security-Policy \"default-src x\"\n",
        ),
        (
            "Caddyfile",
            "import ME\nimport ME\na.example {\n header Content-Security-Policy \"default-src x\"\n}\n",
        ),
        (
            "Corefile",
            "import ME\nimport ME\n. {\n forward . 192.0.2.1\n}\n",
        ),
        (
            "recursor.conf",
            "forward-zones=.=192.0.2.1\ninclude-dir=.\ninclude-dir=.\n",
        ),
    ] {
        let folder = Folder::new()
            .with(name, text.replace("ME", "other"))
            .with("other", text.replace("ME", name));
        let begun = Instant::now();
        let ran = folder.run(&["check", name]);
        assert!(ran.code <= 3, "{name}: {ran:?}");
        assert!(!ran.said.contains("a fault of gatelint"), "{name}: {ran:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{name}");
    }
}

/// Configs that hold a secret and escape sequences wherever a config can.
fn poisoned() -> Folder {
    Folder::new()
        .with(
            "squid.conf",
            format!(
                "http_port 3128\ncache_peer up{ESCAPES}.example parent 3128 0 login=bob:{SECRET} no-query\n\
                 never_direct allow all\nacl {ESCAPES} dstdomain .example\nacl pw url_regex token={SECRET}\n\
                 http_access deny pw\nhttp_access deny {ESCAPES}\nhttp_access deny all\n"
            ),
        )
        .with(
            "rules.v4",
            format!(
                "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n:X{ESCAPES} - [0:0]\n\
                 -A OUTPUT -p tcp -m set --match-set x{ESCAPES} dst -j DROP\n-A OUTPUT -p udp -j X{ESCAPES}\n\
                 -A X{ESCAPES} -m comment --comment \"password={SECRET}\" -m string --string \"password={SECRET}\" --algo bm -j DROP\n\
                 COMMIT\n"
            ),
        )
        .with(
            "h.txt",
            format!(
                "HTTP/1.1 200 OK\nset-cookie: {SECRET}\ncontent-security-policy: default-src 'none'; \
                 connect-src https://bob:{SECRET}@a{ESCAPES}.example; report-uri https://x.example/?sentry_key={SECRET}\n"
            ),
        )
        .with(
            "named.conf",
            format!(
                "options {{ recursion yes; directory \"{ESCAPES}\"; }};\n\
                 key \"k\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\nbogus \"secret\" \"{SECRET}{ESCAPES}\";\n"
            ),
        )
        .with(&format!("bad{ESCAPES}.conf"), "nothing\n")
        .with("bad-policy.yaml", format!("password: {SECRET}\n\"{}\": 1\n", "\\e[31m"))
}

#[test]
fn no_format_shows_a_secret_or_sends_an_escape_sequence() {
    let folder = poisoned();
    let bad = format!("bad{ESCAPES}.conf");
    for format in formats() {
        let names = ["squid.conf", "rules.v4", "h.txt", "named.conf", &bad];
        let ran = folder.run(&[&["check", "--format", format], &names[..]].concat());
        assert_eq!(ran.code, 2, "{format}: {ran:?}");
        is_showable(&ran, format);
    }
    for format in gatelint::diff::FORMATS.iter().map(|format| format.name) {
        let folder = poisoned().with("old", "*filter\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
        let ran = folder.run(&[
            "diff", "old", "rules.v4", "--kind", "iptables", "--format", format,
        ]);
        is_showable(&ran, format);
    }
}

#[test]
fn no_other_command_shows_a_secret_or_sends_an_escape_sequence() {
    let folder = poisoned();
    for arguments in [
        "trace squid.conf CONNECT a.example:443 from 10.0.0.1",
        "trace rules.v4 OUTPUT udp 10.0.0.1 to 99.77.130.1:3478",
        "trace rules.v4 OUTPUT tcp 10.0.0.1 to 99.77.130.1:3478",
        "trace h.txt connect wss://a.example at https://x.example",
        "trace named.conf A a.example from 10.0.0.1",
    ] {
        for format in ["human", "json"] {
            let words: Vec<&str> = arguments.split(' ').chain(["--format", format]).collect();
            let ran = folder.run(&words);
            assert!(ran.code <= 2, "{ran:?}");
            is_showable(&ran, arguments);
        }
    }
    for arguments in [
        "check h.txt --policy bad-policy.yaml",
        "check . -c bad-policy.yaml",
        "check rules.v4 --show-fixes --unsafe-fixes",
        "inputs .",
        "init .",
        "test bad-policy.yaml",
        "rules --policy bad-policy.yaml",
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        is_showable(&folder.run(&words), arguments);
    }
    let policy = "schema: gatelint.policy/v1\npolicy: {id: x, title: T, version: \"1\\e[31m\"}\nrequirements:\n\
                  - {id: a, title: \"b\\e[31m\\u202e\", severity: error, why: \"c\\e[31m\", resolve: {domains: [a.example], service: []}}\n";
    let folder = folder.with("policy.yaml", policy);
    is_showable(&folder.run(&["rules", "--policy", "policy.yaml"]), "rules");
    is_showable(
        &folder.run(&["explain", "x/a", "--policy", "policy.yaml"]),
        "explain",
    );
}
