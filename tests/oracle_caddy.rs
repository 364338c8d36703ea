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

mod web_server;

use std::process::{Command, Stdio};

use web_server::{Dice, Tally, ask, free_port, read, until_it_listens};

const CONFIGS: u64 = 40;

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
        let port = free_port();
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
        until_it_listens(&mut server, port, &format!("seed {seed}:\n{config}"));
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
    tally.conclude(configs);
}

/// Whether an answer has no policy at all, for which there is no page.
fn is_bare(sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sent).to_ascii_lowercase();
    !text.contains("content-security-policy:")
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
