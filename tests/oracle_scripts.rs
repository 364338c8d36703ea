//! A shell runs scripts in a network namespace of their own, and gatelint reads them: what iptables-save says afterwards
//! must mean the same for every packet.
//!
//! Runs with `GATELINT_ORACLE=1`, as root, where `unshare` and `iptables` are installed.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of the whole against a real program starts it and reads its switches"
)]
#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]
#![expect(
    clippy::print_stderr,
    reason = "the reason for skipping goes to the terminal"
)]

use std::path::Path;
use std::process::Command;

/// Linear scripts.
const SCRIPTS: [&str; 8] = [
    "IPT='/usr/sbin/iptables -w'\nLAN=10.1.0.0/16\n$IPT -P FORWARD DROP\n$IPT -A FORWARD -s ${LAN} -p udp \\\n  --dport 53 -j ACCEPT\n$IPT -A FORWARD -p sctp -j ACCEPT\n",
    "iptables -N a\niptables -A FORWARD -j a\niptables -A a -d 99.77.128.0/18 -j RETURN\niptables -A a -p udp -j DROP\n\
     iptables -I a 2 -p udp --dport 3478 -j ACCEPT\niptables -I a -s 10.9.0.0/16 -j REJECT\n",
    "iptables -A FORWARD -p udp -j DROP\niptables -A FORWARD -p tcp -j DROP\niptables -D FORWARD 1\n",
    "iptables -A FORWARD -j DROP\niptables -F FORWARD\niptables -P FORWARD ACCEPT; iptables -A FORWARD -p udp -m udp --dport 3478 -j REJECT\n",
    "iptables -C FORWARD -p tcp -j DROP 2>/dev/null || iptables -A FORWARD -p tcp -j DROP\niptables -t mangle -A FORWARD -p udp --dport 53 -j DROP\n",
    "A=\"10.0.0.1\"; B=\"$A,10.0.0.2\"\niptables -A FORWARD -s \"$B\" -m comment --comment \"it's \\\"x\\\" -j ACCEPT\" -j DROP && iptables -P OUTPUT DROP\n",
    "iptables -p udp --dport 3478 -A FORWARD -j DROP\niptables -A missing -j DROP\niptables --table=raw -A PREROUTING -p tcp --dport 443 -j DROP\nexit 0\niptables -F\n",
    "cat <<E >/dev/null\niptables -P FORWARD DROP\nE\nif false; then echo no; fi\niptables -R FORWARD 1 -j DROP\niptables -A FORWARD ! -s 10.0.0.0/8 -p udp -j DROP # end\n",
];

#[test]
fn a_script_means_what_it_leaves_behind() {
    if std::env::var_os("GATELINT_ORACLE").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED: GATELINT_ORACLE is not 1, so no script was run");
        return;
    }
    let can_run = Command::new("unshare")
        .args(["-n", "iptables", "-S"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !can_run {
        eprintln!("SKIPPED: no network namespace with iptables in it can be made here");
        return;
    }
    let folder = std::env::temp_dir().join(format!("gatelint-scripts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = Vec::new();
    for (number, script) in SCRIPTS.iter().enumerate() {
        let path = folder.join(format!("{number}.sh"));
        let text = format!("#!/bin/sh\n{script}");
        std::fs::write(&path, &text).unwrap();
        let dump = folder.join(format!("{number}.rules"));
        std::fs::write(&dump, left_behind(&path)).unwrap();
        let told = difference(&path, &dump);
        if !told.contains("0 openings, 0 closings, 0 undecided") {
            wrong.push(format!("{text}\n{told}"));
        }
        // The comparison itself must notice what it is for.
        let other = folder.join("other.sh");
        let more = text.replacen('\n', "\niptables -t mangle -A FORWARD -p sctp -j DROP\n", 1);
        std::fs::write(&other, more).unwrap();
        let told = difference(&other, &dump);
        if told.contains("0 openings, 0 closings, 0 undecided") {
            wrong.push(format!("one more rule went unnoticed:\n{text}\n{told}"));
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What `iptables-save` says after the script.
fn left_behind(script: &Path) -> Vec<u8> {
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", "sh \"$0\" >/dev/null 2>&1; iptables-save"])
        .arg(script)
        .output()
        .unwrap();
    output.stdout
}

fn difference(old: &Path, new: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gatelint"))
        .args(["diff", "--no-config", "--fact", "role=gateway"])
        .args([old, new])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
