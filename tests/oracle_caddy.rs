//! In: random Caddyfiles. Out: for every path, the headers that a real Caddy sends allow a page the same as the policies
//! that are read from the file.
//!
//! Runs with `GATELINT_ORACLE=1` and needs `caddy` (or its path in `GATELINT_CADDY`).

#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    reason = "this suite runs another program, says what it skipped, and stops where it cannot go on"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gatelint::config::{Facts, Input, NoFiles, Reading, kind};
use gatelint::model::Layer;
use gatelint::source::Sources;
use gatelint::trace::{Certainty, Request, answer};
use serde_json::json;

const CONFIGS: u64 = 40;
const URLS: [&str; 4] = [
    "https://h1.test/",
    "https://h2.test/",
    "wss://h3.test/",
    "https://h4.test/",
];

/// What is asked for, each with the paths that may name its page, the most special one first.
const PATHS: [(&str, &[&str]); 4] = [
    ("/x", &[]),
    ("/a/x", &["/a/*"]),
    ("/a/b/x", &["/a/b/*", "/a/*"]),
    ("/a/b/one", &["/a/b/one", "/a/b/*", "/a/*"]),
];
const MATCHERS: [&str; 5] = ["", "", "/a/* ", "/a/b/* ", "/a/b/one "];

#[test]
fn caddy_sends_the_policies_that_are_read() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let caddy = std::env::var("GATELINT_CADDY").unwrap_or_else(|_| "caddy".to_owned());
    if Command::new(&caddy).arg("version").output().is_err() {
        eprintln!("SKIPPED: caddy is missing");
        return;
    }
    let configs = std::env::var("GATELINT_CONFIGS").map_or(CONFIGS, |count| count.parse().unwrap());
    let folder = std::env::temp_dir().join(format!("gatelint-caddy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut tally = Tally::default();
    for seed in 0..configs {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = config(seed, port);
        let path = folder.join("Caddyfile");
        std::fs::write(&path, &config).unwrap();
        let mut server = Command::new(&caddy)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&path)
            .env("HOME", &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let refused = server.try_wait().unwrap().is_some();
            assert!(
                !refused && started.elapsed() < Duration::from_secs(20),
                "caddy refuses seed {seed}:\n{config}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let answers = PATHS.map(|(path, _)| ask(port, path));
        server.kill().unwrap();
        server.wait().unwrap();
        let ours = read("caddy", config.as_bytes());
        for ((path, names), sent) in PATHS.iter().zip(&answers) {
            // The page has the name of the most special path that the file has, or is like the rest.
            let named = names
                .iter()
                .find(|name| config.contains(&format!("{name} ")));
            let gate = |name: &str| ours.1.gates.iter().position(|gate| gate.name == name);
            let own = named.and_then(|name| gate(&format!(":{port} {name}")));
            let is_emptied = named.is_some() && own.is_none() && is_bare(sent);
            let page = if is_emptied {
                None
            } else {
                own.or_else(|| gate(&format!(":{port}")))
            };
            tally.compare(&format!("seed {seed} {path}\n{config}"), &ours, page, sent);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    eprintln!(
        "{configs} configs: {} allowed and {} blocked alike, {} left open",
        tally.allowed, tally.blocked, tally.open
    );
    assert!(
        tally.wrong.is_empty(),
        "{} wrong:\n{}",
        tally.wrong.len(),
        tally.wrong.join("\n")
    );
    assert!(
        tally.open * 4 < tally.allowed + tally.blocked,
        "too much is left open"
    );
}

/// Whether an answer has no policy at all, for which there is no page.
fn is_bare(sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sent).to_ascii_lowercase();
    !text.contains("content-security-policy:")
}

#[derive(Default)]
struct Tally {
    allowed: usize,
    blocked: usize,
    open: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn compare(&mut self, what: &str, ours: &(Sources, Reading), gate: Option<usize>, sent: &[u8]) {
        let (sent_sources, theirs) = read("csp", sent);
        for url in URLS {
            let request = json!({"kind": "connect", "url": url});
            let request = Request::from_value(Layer::Fetch, request).unwrap();
            let expected = answer(&sent_sources, &theirs.gates, &request).verdict;
            let predicted = gate.map_or(Certainty::Allowed, |gate| {
                answer(&ours.0, &ours.1.gates[gate..=gate], &request).verdict
            });
            match predicted {
                _ if predicted == expected && expected == Certainty::Allowed => self.allowed += 1,
                _ if predicted == expected => self.blocked += 1,
                Certainty::Undecided => self.open += 1,
                Certainty::Allowed | Certainty::Denied => self
                    .wrong
                    .push(format!("{url}: {predicted:?}, caddy: {expected:?}; {what}")),
            }
        }
    }
}

fn read(name: &str, bytes: &[u8]) -> (Sources, Reading) {
    let sources = Sources::new();
    let input = Input {
        file: sources.add("a", bytes.to_vec()).unwrap(),
        path: "a",
        bytes,
    };
    let reading = (kind(name).unwrap().read)(&input, &NoFiles, &Facts::default());
    (sources, reading)
}

fn ask(port: u16, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: a.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Numbers that are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % count
    }
}

fn config(seed: u64, port: u16) -> String {
    let mut dice = Dice(seed);
    let mut text = format!(
        "{{\n  admin off\n  auto_https off\n}}\n(more) {{\n{}}}\n:{port} {{\n",
        headers(&mut dice, 1)
    );
    text += &headers(&mut dice, 4);
    text += "  import more\n";
    for matcher in ["/a/* ", "/a/b/* ", ""] {
        if dice.below(2) == 0 {
            let kind = ["handle", "route"][usize::try_from(dice.below(2)).unwrap()];
            let inside = headers(&mut dice, 3);
            text += &format!("  {kind} {matcher}{{\n{inside}  respond ok\n  }}\n");
        }
    }
    text + "  respond ok\n}\n"
}

/// Lines and blocks of `header`, in every way of quoting.
fn headers(dice: &mut Dice, most: u64) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most + 1) {
        let matcher = MATCHERS[usize::try_from(dice.below(5)).unwrap()];
        if dice.below(3) == 0 {
            let mut lines = String::new();
            for _ in 0..=dice.below(3) {
                lines += &format!("    {}\n", field(dice));
            }
            // A block of `?` alone with `defer` makes some versions panic.
            let may_defer = !lines.contains("    ?");
            let defer = if may_defer && dice.below(2) == 0 {
                "    defer\n"
            } else {
                ""
            };
            text += &format!("  header {matcher}{{\n{lines}{defer}  }}\n");
        } else {
            text += &format!("  header {matcher}{}\n", field(dice));
        }
    }
    text
}

fn field(dice: &mut Dice) -> String {
    let name = match dice.below(6) {
        0 => "X-Frame-Options",
        1 => "content-security-policy",
        2 => "Content-Security-Policy-Report-Only",
        _ => "Content-Security-Policy",
    };
    let host = dice.below(4) + 1;
    let value = match dice.below(4) {
        0 => format!(r#""connect-src https://h{host}.test wss://h3.test""#),
        1 => format!(r#"`default-src "x" https://h{host}.test; img-src \x *`"#),
        2 => format!(
            "\"connect-src https://h1.test\n  https://h{host}.test, connect-src \\\"x\\\" *\""
        ),
        _ => format!("\"script-src 'none' ; connect-src wss://h3.test https://h{host}.test\""),
    };
    match dice.below(10) {
        0 | 1 => format!("-{name}"),
        2 | 3 => format!("+{name} {value}"),
        4 => format!("?{name} {value}"),
        5 => format!("{name} h{host}.test h1.test"),
        _ => format!("{name} {value}"),
    }
}
