//! In: random nginx configs. Out: for every location, the headers that a real nginx sends allow a page the same as the
//! policies that are read from the config.
//!
//! Runs with `GATELINT_ORACLE=1` and needs `nginx` (or its path in `GATELINT_NGINX`).

#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "this suite runs another program, says what it skipped, and stops where it cannot go on"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use gatelint::config::{Facts, Input, NoFiles, Reading, kind};
use gatelint::model::Layer;
use gatelint::source::Sources;
use gatelint::trace::{Certainty, Request, answer};
use serde_json::json;

const CONFIGS: u64 = 40;
const LOCATIONS: [&str; 3] = ["/a/", "/a/b/", "/c/"];
const URLS: [&str; 4] = [
    "https://h1.test/",
    "https://h2.test/",
    "wss://h3.test/",
    "https://h4.test/",
];

#[test]
fn nginx_sends_the_policies_that_are_read() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let nginx = std::env::var("GATELINT_NGINX").unwrap_or_else(|_| "nginx".to_owned());
    if Command::new(&nginx).arg("-v").output().is_err() {
        eprintln!("SKIPPED: nginx is missing");
        return;
    }
    let folder = std::env::temp_dir().join(format!("gatelint-nginx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut blocked, mut allowed, mut wrong) = (0, 0, Vec::new());
    for seed in 0..CONFIGS {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = config(seed, port, &folder);
        let path = folder.join("nginx.conf");
        std::fs::write(&path, &config).unwrap();
        let run = |more: &[&str]| {
            let mut command = Command::new(&nginx);
            command.arg("-p").arg(&folder).arg("-c").arg(&path);
            command.args(more).status().unwrap().success()
        };
        // The first process returns when the socket is bound.
        assert!(run(&[]), "nginx refuses seed {seed}:\n{config}");
        let paths = ["/x/"].into_iter().chain(LOCATIONS);
        let answers: Vec<(&str, Vec<u8>)> = paths.map(|path| (path, ask(port, path))).collect();
        assert!(run(&["-s", "quit"]));
        let (sources, ours) = read("nginx", config.as_bytes());
        for (path, sent) in answers {
            let (sent_sources, theirs) = read("csp", &sent);
            // A location without headers of its own sends what the block around it does.
            let names = [
                format!("server a.test location {path}"),
                "server a.test".to_owned(),
                "http".to_owned(),
            ];
            let gate = names
                .iter()
                .find_map(|name| ours.gates.iter().find(|gate| gate.name == *name));
            for url in URLS {
                let request = json!({"kind": "connect", "url": url});
                let request = Request::from_value(Layer::Fetch, request).unwrap();
                let expected = answer(&sent_sources, &theirs.gates, &request).verdict;
                let predicted = gate.map_or(Certainty::Allowed, |gate| {
                    answer(&sources, std::slice::from_ref(gate), &request).verdict
                });
                if predicted != expected {
                    wrong.push(format!(
                        "seed {seed} {path} {url}: {predicted:?}, nginx: {expected:?}\n{config}"
                    ));
                } else if expected == Certainty::Allowed {
                    allowed += 1;
                } else {
                    blocked += 1;
                }
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    eprintln!("{CONFIGS} configs: {allowed} allowed and {blocked} blocked alike");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
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

fn config(seed: u64, port: u16, folder: &Path) -> String {
    let mut dice = Dice(seed);
    let at = folder.display();
    let mut text = format!(
        "pid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n  default_type text/html;\n"
    );
    for part in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text += &format!("  {part}_temp_path {at}/{part};\n");
    }
    text += &headers(&mut dice);
    text += &format!("  server {{\n  listen 127.0.0.1:{port};\n  server_name a.test;\n");
    text += &headers(&mut dice);
    text += "  location / { return 200 x; }\n";
    for path in LOCATIONS {
        let own = headers(&mut dice);
        text += &format!("  location {path} {{\n{own}    return 200 x;\n  }}\n");
    }
    text + "  }\n}\n"
}

/// None, one or two `add_header` lines, in every way of quoting.
fn headers(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(3) {
        let name = match dice.below(6) {
            0 => "X-Frame-Options",
            1 => "'content-security-policy'",
            2 => "Content-Security-Policy-Report-Only",
            _ => "Content-Security-Policy",
        };
        let host = dice.below(4) + 1;
        let value = match dice.below(7) {
            0 => format!(r#""connect-src https://h{host}.test wss://h3.test""#),
            1 => format!(r"'connect-src https://h{host}.test \'self\''"),
            2 => format!(r#""default-src \"x\" https://h{host}.test; img-src \x *""#),
            3 => format!(r"connect-src\thttps://h{host}.test"),
            4 => format!(r#""connect-src https://h1.test\thttps://h{host}.test, connect-src *""#),
            5 => r#""""#.to_owned(),
            _ => format!(
                r#""script-src 'none' #{{; }} ; connect-src wss://h3.test https://h{host}.test""#
            ),
        };
        let always = if dice.below(2) == 0 { "" } else { " always" };
        text += &format!("    add_header {name} {value}{always};\n");
    }
    text
}
