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

mod web_server;

use std::path::Path;
use std::process::Command;

use web_server::{Dice, Tally, ask, free_port, read, until_it_listens};

const CONFIGS: u64 = 40;
const LOCATIONS: [&str; 3] = ["/a/", "/a/b/", "/c/"];

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
    let mut tally = Tally::default();
    for seed in 0..CONFIGS {
        let port = free_port();
        let config = config(seed, port, &folder);
        let path = folder.join("nginx.conf");
        std::fs::write(&path, &config).unwrap();
        // As one process in the foreground, so that it ends with this test.
        let mut server = Command::new(&nginx)
            .args(["-g", "daemon off; master_process off;", "-p"])
            .arg(&folder)
            .arg("-c")
            .arg(&path)
            .spawn()
            .unwrap();
        until_it_listens(&mut server, port, &format!("seed {seed}:\n{config}"));
        let paths = ["/x/"].into_iter().chain(LOCATIONS);
        let answers: Vec<(&str, Vec<u8>)> = paths.map(|path| (path, ask(port, path))).collect();
        server.kill().unwrap();
        server.wait().unwrap();
        let ours = read("nginx", config.as_bytes());
        for (path, sent) in answers {
            // A location without headers of its own sends what the block around it does.
            let names = [
                format!("server a.test location {path}"),
                "server a.test".to_owned(),
                "http".to_owned(),
            ];
            let gates = &ours.1.gates;
            let gate = names
                .iter()
                .find_map(|name| gates.iter().position(|gate| gate.name == *name));
            tally.compare(&format!("seed {seed} {path}\n{config}"), &ours, gate, &sent);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    tally.conclude(CONFIGS);
    assert_eq!(tally.open, 0, "every line of these configs is read");
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
