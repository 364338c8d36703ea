//! In: random configs of httpd. Out: for every path, the headers that a real httpd sends allow a page the same as the
//! policies that are read from the config; those of an error are what is read of the `always` lines alone.
//!
//! Runs with `GATELINT_ORACLE=1` and needs `apache2` with its modules (or its path in `GATELINT_APACHE`, the folder above
//! `modules` in `GATELINT_APACHE_ROOT`).

#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "this suite runs another program, says what it skipped, and stops where it cannot go on"
)]

mod web_server;

use std::path::Path;
use std::process::{Command, Stdio};

use gatelint::config::Reading;

use web_server::{Dice, Tally, ask, free_port, read, until_it_listens};

const CONFIGS: u64 = 40;

/// Sections that a config may have; `@` is the folder of the files, a bar stands before a section inside.
const SECTIONS: [&str; 13] = [
    "Directory @",
    "Directory @/a",
    "Directory @/a/b",
    "Directory @/a | Files index.html",
    "Directory @ | FilesMatch \"\\.html$\"",
    "Location /",
    "Location /a",
    "Location /a/",
    "Location /a/b/",
    "Location /c",
    "Files index.html",
    "Files x.html",
    "FilesMatch \"\\.html$\"",
];
/// What is asked for.
const PATHS: [&str; 5] = [
    "/x.html",
    "/a/x.html",
    "/a/b/x.html",
    "/c/index.html",
    "/a/index.html",
];

#[test]
fn httpd_sends_the_policies_that_are_read() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let httpd = std::env::var("GATELINT_APACHE").unwrap_or_else(|_| "apache2".to_owned());
    if Command::new(&httpd).arg("-v").output().is_err() {
        eprintln!("SKIPPED: apache2 is missing");
        return;
    }
    let configs = std::env::var("GATELINT_CONFIGS").map_or(CONFIGS, |count| count.parse().unwrap());
    let folder = std::env::temp_dir().join(format!("gatelint-apache-{}", std::process::id()));
    for path in PATHS {
        let file = folder.join("site").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "x").unwrap();
    }
    let mut tally = Tally::default();
    for seed in 0..configs {
        let port = free_port();
        let (config, sections) = config(seed, port, &folder);
        let path = folder.join("httpd.conf");
        std::fs::write(&path, &config).unwrap();
        // As one process in the foreground, so that it ends with this test.
        let mut server = Command::new(&httpd)
            .args(["-X", "-f"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until_it_listens(&mut server, port, &format!("seed {seed}:\n{config}"));
        let answers = PATHS.map(|path| (path, ask(port, path)));
        let error = ask(port, "/a/missing");
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(error.starts_with(b"HTTP/1.1 404"), "seed {seed}");
        let ours = read("apache", config.as_bytes());
        for (path, sent) in answers {
            let gates = page(&ours.1, &sections, &folder, path);
            tally.compare(
                &format!("seed {seed} {path}\n{config}"),
                &ours,
                gates,
                &sent,
            );
        }
        // httpd answers an error with the lines of `always` alone.
        let mut always = String::new();
        for line in config.lines() {
            if !line.contains("Header") || line.contains("Header always") {
                always += line;
                always += "\n";
            }
        }
        let always_sections: Vec<Section> = sections
            .iter()
            .filter(|section| section.has_always)
            .cloned()
            .collect();
        let ours = read("apache", always.as_bytes());
        let gates = page(&ours.1, &always_sections, &folder, "/a/missing");
        tally.compare(
            &format!("seed {seed} error\n{config}"),
            &ours,
            gates,
            &error,
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
    tally.conclude(configs);
}

/// A section that a config has and that changes policies.
#[derive(Clone)]
struct Section {
    name: &'static str,
    /// Phase and depth, then whether it stands in the virtual host, then its place in the text.
    order: (u32, usize, bool, usize),
    has_always: bool,
}

/// The gate of the pages that a path belongs to: the one whose section is merged last and holds no other one.
fn page(ours: &Reading, sections: &[Section], folder: &Path, path: &str) -> Option<usize> {
    let folders = ["/", "/a/", "/a/b/", "/a/b/c/", "/c/", "/c/d/", "/e/"];
    let names = ["x.html", "index.html", "y.txt", "missing"];
    let universe = || {
        folders
            .iter()
            .flat_map(|at| names.map(|name| format!("{at}{name}")))
    };
    // What a pattern matches is not known to hold what another section does.
    let holds = |outer: &str, inner: &str| {
        let is_part = |pattern: &str| inner.contains(pattern) || !outer.contains(pattern);
        universe().all(|path| matches(outer, &path) || !matches(inner, &path))
            && is_part("FilesMatch")
    };
    let mut met: Vec<&Section> = sections
        .iter()
        .filter(|section| matches(section.name, path) && !holds(section.name, ""))
        .collect();
    met.sort_by_key(|section| section.order);
    let last = met.iter().rfind(|section| {
        met.iter()
            .all(|other| !holds(section.name, other.name) || holds(other.name, section.name))
    });
    let name = last.map_or_else(
        || "VirtualHost a.test".to_owned(),
        |section| {
            let site = folder.join("site").display().to_string();
            let name = section.name.replace('@', &site).replace(" |", "");
            format!("VirtualHost a.test {}", name.replace('"', ""))
        },
    );
    ours.gates.iter().position(|gate| gate.name == name)
}

/// Whether a section matches a path; one without a name matches all.
fn matches(section: &str, path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap();
    section.split(" | ").all(|section| {
        let (kind, place) = section.split_once(' ').unwrap_or_default();
        match kind {
            "Directory" => format!("@{path}").starts_with(&format!("{place}/")),
            "Location" => path.strip_prefix(place).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || place.ends_with('/')
            }),
            "Files" => file == place,
            "FilesMatch" => file.ends_with(".html"),
            _ => true,
        }
    })
}

fn config(seed: u64, port: u16, folder: &Path) -> (String, Vec<Section>) {
    let mut dice = Dice(seed);
    let at = folder.display();
    let root =
        std::env::var("GATELINT_APACHE_ROOT").unwrap_or_else(|_| "/usr/lib/apache2".to_owned());
    let mut text = format!(
        "ServerRoot {root}\nServerName a.test\nPidFile {at}/httpd.pid\nErrorLog {at}/error.log\nListen 127.0.0.1:{port}\n"
    );
    for module in ["mpm_event", "authz_core", "headers", "dir"] {
        text += &format!("LoadModule {module}_module modules/mod_{module}.so\n");
    }
    text += &format!("User www-data\nGroup www-data\nDefaultRuntimeDir {at}\n");
    let mut sections: Vec<Section> = Vec::new();
    for in_host in [false, true] {
        if in_host {
            text += &format!("<VirtualHost *:{port}>\nServerName a.test\nDocumentRoot {at}/site\n");
        }
        text += &headers(&mut dice, 2);
        for _ in 0..dice.below(4) {
            let name = SECTIONS[usize::try_from(dice.below(13)).unwrap()];
            let own = headers(&mut dice, 2);
            let changes = |start: &str| {
                own.to_ascii_lowercase().lines().any(|line| {
                    line.starts_with(start) && line.contains("content-") && !line.contains("note ")
                })
            };
            if changes("header") {
                let kind = name.rsplit(" | ").next().unwrap();
                let (phase, depth) = match kind.split(' ').next().unwrap() {
                    "Directory" => (1, name.matches('/').count()),
                    "Location" => (4, 0),
                    _ if name == kind => (3, 0),
                    _ => (3, 1 + name.matches('/').count()),
                };
                let earlier = sections.iter().position(|section| section.name == name);
                let earlier = earlier.map(|at| sections.remove(at));
                sections.push(Section {
                    name,
                    order: (phase, depth, in_host, text.len()),
                    has_always: changes("header always")
                        || earlier.is_some_and(|section| section.has_always),
                });
            }
            let parts: Vec<String> = name
                .split(" | ")
                .map(|part| part.replace('@', &format!("{at}/site")))
                .collect();
            for part in &parts {
                text += &format!("<{part}>\n");
            }
            text += &own;
            for part in parts.iter().rev() {
                text += &format!("</{}>\n", part.split(' ').next().unwrap());
            }
        }
        text += &headers(&mut dice, 2);
    }
    (text + "</VirtualHost>\n", sections)
}

/// Lines of `Header`, in every way of quoting.
fn headers(dice: &mut Dice, most: u64) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most + 1) {
        let always = ["", "", "always ", "onsuccess "][usize::try_from(dice.below(4)).unwrap()];
        let name = match dice.below(8) {
            0 => "X-Frame-Options",
            1 => "'content-security-policy'",
            2 => "Content-Security-Policy-Report-Only",
            3 => "Content-Security-Policy:",
            _ => "Content-Security-Policy",
        };
        let host = dice.below(4) + 1;
        let value = match dice.below(6) {
            0 => format!(r#""connect-src https://h{host}.test wss://h3.test""#),
            1 => format!(r"'connect-src https://h{host}.test \'self\''"),
            2 => format!(r#""default-src \"x\" https://h{host}.test; img-src \x%%20 *""#),
            3 => format!(r"connect-src\thttps://h{host}.test"),
            4 => {
                format!("\"connect-src https://h1.test \\\n  https://h{host}.test, connect-src *\"")
            }
            _ => format!(
                r#""script-src 'none' #{{; }} ; connect-src wss://h3.test https://h{host}.test""#
            ),
        };
        text += &match dice.below(12) {
            0 => format!("Header {always}unset {name}\n"),
            1 => format!("Header {always}append {name} {value}\n"),
            2 => format!("Header {always}merge {name} {value}\n"),
            3 => format!("Header {always}add {name} {value}\n"),
            4 => format!("Header {always}setifempty {name} {value}\n"),
            5 => format!("Header {always}edit {name} h{host}.test h1.test\n"),
            6 => format!("Header {always}set {name} {value} env=!X\n"),
            7 => format!("Header {always}note {name} x\n"),
            _ => format!("Header {always}set {name} {value}\n"),
        };
    }
    text
}
