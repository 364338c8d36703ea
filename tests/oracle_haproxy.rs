//! In: random configs of `HAProxy`. Out: for every frontend and backend, the headers that a real `HAProxy` sends allow a
//! page the same as the policies that are read from the config.
//!
//! Runs with `GATELINT_ORACLE=1` and needs `haproxy` (or its path in `GATELINT_HAPROXY`).

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

const BACKENDS: [&str; 2] = ["one", "two"];

#[test]
fn haproxy_sends_the_policies_that_are_read() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let haproxy = std::env::var("GATELINT_HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
    if Command::new(&haproxy).arg("-v").output().is_err() {
        eprintln!("SKIPPED: haproxy is missing");
        return;
    }
    let configs = std::env::var("GATELINT_CONFIGS").map_or(CONFIGS, |count| count.parse().unwrap());
    let folder = std::env::temp_dir().join(format!("gatelint-haproxy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut tally = Tally::default();
    for seed in 0..configs {
        let ports = [0, 1].map(|_| free_port());
        let config = config(seed, ports);
        let path = folder.join("haproxy.cfg");
        std::fs::write(&path, &config).unwrap();
        let mut server = Command::new(&haproxy)
            .args(["-db", "-f"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until_it_listens(&mut server, ports[0], &format!("seed {seed}:\n{config}"));
        let answers = BACKENDS.map(|backend| ask(ports[0], &format!("/{backend}")));
        server.kill().unwrap();
        server.wait().unwrap();
        for (backend, sent) in BACKENDS.iter().zip(&answers) {
            assert!(sent.starts_with(b"HTTP/1.1 200"), "seed {seed}");
            // Ways with the same policies are one page: the other backend is taken out, so that this way is the only one.
            let only: Vec<&str> = config
                .lines()
                .filter(|line| {
                    !line.contains("use_backend")
                        || line.contains(&format!("use_backend {backend}"))
                })
                .filter(|line| !line.contains("default_backend") || *backend == "two")
                .collect();
            let ours = read("haproxy", only.join("\n").as_bytes());
            let name = format!("frontend front backend {backend}");
            let gate = ours.1.gates.iter().position(|gate| gate.name == name);
            tally.compare(
                &format!("seed {seed} {backend}\n{config}"),
                &ours,
                gate,
                sent,
            );
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    tally.conclude(configs);
}

fn config(seed: u64, ports: [u16; 2]) -> String {
    let mut dice = Dice(seed);
    let times = "  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n";
    let shared = rules(&mut dice, 2);
    let behind = rules(&mut dice, 2);
    let front = rules(&mut dice, 4);
    let mut text = format!(
        "global\n  setenv HOST h2.test\ndefaults shared\n{times}{shared}defaults behind\n{times}{behind}defaults plain\n{times}frontend front from shared\n  bind 127.0.0.1:{}\n{front}  use_backend one if {{ path /one }}\n  default_backend two\n",
        ports[0]
    );
    for (backend, from) in BACKENDS.iter().zip(["behind", "plain"]) {
        let own = rules(&mut dice, 4);
        text += &format!(
            "backend {backend} from {from}\n{own}  server s 127.0.0.1:{}\n",
            ports[1]
        );
    }
    text + &format!(
        "frontend origin from plain\n  bind 127.0.0.1:{}\n  http-request return status 200 content-type text/html string x\n",
        ports[1]
    )
}

/// Rules about headers, in every way of quoting.
fn rules(dice: &mut Dice, most: u64) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most + 1) {
        let kind = ["http-response", "http-response", "http-after-response"];
        let kind = kind[usize::try_from(dice.below(3)).unwrap()];
        let name = match dice.below(6) {
            0 => "X-Frame-Options",
            1 => "'content-security-policy'",
            2 => "Content-Security-Policy-Report-Only",
            _ => "Content-Security-Policy",
        };
        let host = dice.below(4) + 1;
        let value = match dice.below(6) {
            0 => format!(r#""connect-src https://h{host}.test wss://h3.test""#),
            1 => format!(r"connect-src\ https://h{host}.test\ \'self\'"),
            2 => format!(r#"'default-src "x" https://h{host}.test; img-src \x%%20 *'"#),
            3 => {
                format!("\"connect-src https://h1.test\\thttps://h{host}.test, connect-src *\" # x")
            }
            4 => format!("connect-src\" https://h{host}\"'.test #x'"),
            _ => format!(
                r#""script-src 'none' \#{{; }} ; connect-src wss://h3.test https://h{host}.test""#
            ),
        };
        let value = if dice.below(20) == 0 {
            format!("\"connect-src https://${{HOST}} %[str(https://h{host}.test)]\"")
        } else {
            value
        };
        text += &match dice.below(20) {
            0 | 1 | 8 => format!("  {kind} del-header {name}\n"),
            2..=4 | 9..=11 => format!("  {kind} add-header {name} {value}\n"),
            5 => format!("  {kind} replace-header {name} h{host}.test h1.test\n"),
            6 if !value.contains(" # ") => {
                format!("  {kind} set-header {name} {value} unless {{ always_false }}\n")
            }
            7 => format!("  {kind} allow\n"),
            _ => format!("  {kind} set-header {name} {value}\n"),
        };
    }
    text
}
