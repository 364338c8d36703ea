//! Whole programs side by side in one run: gatelint with its whole policy, and the checkers that come with the daemons,
//! on the same large configs. Compare ratios, not seconds.
//!
//! `cargo bench --bench beside [-- FILTER]`; needs Python 3 for the generators, and the daemons for their rows.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark runs programs, measures time and prints"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each command; the median is printed.
const RUNS: usize = 5;

struct Row {
    name: &'static str,
    /// Script in this folder and its arguments; nothing: an empty config.
    generator: &'static [&'static str],
    kind: &'static str,
    /// Programs to compare with: `{}` is the config's path, `<` feeds it to standard input.
    others: &'static [&'static [&'static str]],
}

const ROWS: &[Row] = &[
    Row {
        name: "start-up",
        generator: &[],
        kind: "iptables",
        others: &[&["true"]],
    },
    Row {
        name: "iptables, 100,000 rules",
        generator: &["gen_iptables.py", "100000"],
        kind: "iptables",
        others: &[
            &["iptables-restore", "--test", "{}"],
            &["iptables-legacy-restore", "--test", "{}"],
        ],
    },
    Row {
        name: "iptables, 100,000 blocked clients",
        generator: &["gen_iptables.py", "100000", "--shape", "blocklist"],
        kind: "iptables",
        others: &[&["iptables-restore", "--test", "{}"]],
    },
    Row {
        name: "iptables, 100,000 rules of Kubernetes services",
        generator: &["gen_iptables.py", "100000", "--shape", "k8s"],
        kind: "iptables",
        others: &[],
    },
    Row {
        name: "iptables, 1,000,000 rules",
        generator: &["gen_iptables.py", "1000000"],
        kind: "iptables",
        others: &[&["sha1sum", "{}"], &["wc", "-l", "{}"]],
    },
    Row {
        name: "Squid, 100,000 values",
        generator: &["gen_squid.py", "100000"],
        kind: "squid",
        others: &[&["squid", "-k", "parse", "-f", "{}"]],
    },
    Row {
        name: "unbound, 100,000 zones",
        generator: &["gen_dns.py", "unbound", "100000"],
        kind: "unbound",
        others: &[&["unbound-checkconf", "{}"]],
    },
    Row {
        name: "BIND, 100,000 zones",
        generator: &["gen_dns.py", "bind", "100000"],
        kind: "bind",
        others: &[&["named-checkconf", "{}"]],
    },
    Row {
        name: "dnsmasq, 100,000 addresses",
        generator: &["gen_dns.py", "dnsmasq", "100000"],
        kind: "dnsmasq",
        others: &[&["dnsmasq", "--test", "-C", "{}"]],
    },
];

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"))
        .unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("gatelint-bench-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        println!("SKIPPED: {}: {error}", folder.display());
        return;
    }
    for row in ROWS.iter().filter(|row| row.name.contains(&filter)) {
        match generated(row, &folder) {
            Ok(config) => measure(row, &config),
            Err(reason) => println!("SKIPPED: {}: {reason}", row.name),
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn generated(row: &Row, folder: &Path) -> Result<PathBuf, String> {
    let config = folder.join("config.conf");
    let text = match row.generator {
        [] => b"*filter\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n".to_vec(),
        [script, arguments @ ..] => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("benches")
                .join(script);
            let run = Command::new("python3")
                .arg(script)
                .args(arguments)
                .output()
                .map_err(|error| error.to_string())?;
            run.stdout
        }
    };
    std::fs::write(&config, text).map_err(|error| error.to_string())?;
    Ok(config)
}

fn measure(row: &Row, config: &Path) {
    let path = config.to_string_lossy().into_owned();
    let kind = format!("--kind={}", row.kind);
    let ours = [
        env!("CARGO_BIN_EXE_gatelint"),
        "check",
        &kind,
        "--format=concise",
        "--fail-on=never",
        &path,
    ];
    let Some(own) = median(&ours) else {
        println!("SKIPPED: {}: gatelint does not run", row.name);
        return;
    };
    println!(
        "{:48} gatelint {:>9.1} ms",
        row.name,
        own.as_secs_f64() * 1e3
    );
    for other in row.others {
        let command: Vec<&str> = other
            .iter()
            .map(|word| if *word == "{}" { path.as_str() } else { word })
            .collect();
        match median(&command) {
            Some(time) => println!(
                "{:48} {:>9.1} ms, {:.1} times gatelint's",
                format!("    {}", other.join(" ")),
                time.as_secs_f64() * 1e3,
                time.as_secs_f64() / own.as_secs_f64()
            ),
            None => println!("SKIPPED:     {} does not run here", other.join(" ")),
        }
    }
}

fn median(command: &[&str]) -> Option<Duration> {
    let (program, arguments) = command.split_first()?;
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let start = Instant::now();
        let run = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.ok()?;
        times.push(start.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    times.get(RUNS / 2).copied()
}
