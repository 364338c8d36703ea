//! In: copies of configs. Out: whether `--fix`, `--show-fixes` and `--unsafe-fixes` change what they promise and nothing
//! else.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files, runs the program and prints its figures"
)]

mod shell;

use std::fs;
use std::path::{Path, PathBuf};

use shell::Folder;

const RESOLV: &str = "# a comment\nnameserver 10.0.0.2\n";
const OFFICE: [&str; 5] = [
    "dns/resolv.conf",
    "dns/unbound.conf",
    "fw/edge.rules.v4",
    "proxy/squid.conf",
    "web/headers.txt",
];
/// A permit below what shadows it, and resolvers over TCP left out.
const EDGE: &str = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
    -A FORWARD -s 10.20.0.0/16 -p udp -m udp --dport 1024:65535 -j DROP\n\
    -A FORWARD -s 10.20.0.0/16 -d 99.77.128.0/18 -p udp -m udp --dport 3478 -j ACCEPT\n\
    -A FORWARD -s 10.20.0.0/16 -p tcp -m tcp --dport 443 -j ACCEPT\n\
    -A FORWARD -s 10.20.0.0/16 -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n";

fn read(folder: &Folder, name: &str) -> Vec<u8> {
    fs::read(folder.0.join(name)).unwrap()
}

fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(read(folder, name)).unwrap()
}

fn office() -> Folder {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/office");
    OFFICE.iter().fold(Folder::new(), |folder, name| {
        folder.with(name, fs::read(from.join(name)).unwrap())
    })
}

#[test]
fn the_office_is_mended_but_for_what_has_no_fix() {
    let office = office();
    let ran = office.run(&["check", "--fix", "--unsafe-fixes", "--format", "concise"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let left: Vec<&str> = ran.out.lines().collect();
    assert_eq!(left.len(), 2, "{ran:?}");
    assert!(left[0].contains("info[chime/aws-services]"), "{ran:?}");
    assert!(left[1].contains("narrower than AWS documents"), "{ran:?}");
    // What was written is what was judged, and there is nothing more to do.
    let again = office.run(&["check", "--fix", "--unsafe-fixes", "--format", "concise"]);
    assert_eq!(again.out, ran.out);
    assert!(again.said.starts_with("fixed nothing\n"), "{again:?}");
}

#[test]
fn safe_fixes_alone_leave_the_others_and_name_them() {
    let office = office();
    let headers = text(&office, "web/headers.txt");
    let ran = office.run(&["check", "--fix"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(text(&office, "web/headers.txt"), headers);
    assert!(ran.said.contains("left web/headers.txt: "), "{ran:?}");
    assert!(ran.said.contains("--unsafe-fixes"), "{ran:?}");
    assert!(text(&office, "proxy/squid.conf").contains("dstdomain .chime.aws\n"));
}

#[test]
fn shown_fixes_are_what_fixing_does_and_write_nothing() {
    let office = office();
    let before: Vec<Vec<u8>> = OFFICE.iter().map(|name| read(&office, name)).collect();
    let ran = office.run(&["check", "--show-fixes", "--unsafe-fixes"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let after: Vec<Vec<u8>> = OFFICE.iter().map(|name| read(&office, name)).collect();
    assert_eq!(before, after);
    assert!(ran.said.contains("would fix dns/resolv.conf"), "{ran:?}");
    // Applied by hand, the diff gives the files that fixing writes.
    let copy = office_of(&before);
    apply(&copy, &ran.out);
    office.run(&["check", "--fix", "--unsafe-fixes"]);
    for name in OFFICE {
        assert_eq!(text(&copy, name), text(&office, name), "{name}");
    }
}

fn office_of(files: &[Vec<u8>]) -> Folder {
    let named = OFFICE.iter().zip(files);
    named.fold(Folder::new(), |folder, (name, bytes)| {
        folder.with(name, bytes)
    })
}

/// Applies a unified diff as the words of each hunk say.
fn apply(folder: &Folder, patch: &str) {
    let mut name = String::new();
    let mut lines: Vec<String> = Vec::new();
    let (mut old, mut new) = (0, String::new());
    let finish = |name: &str, lines: &[String], old: usize, new: &mut String| {
        if !name.is_empty() {
            new.extend(lines.iter().skip(old).map(String::as_str));
            fs::write(folder.0.join(name), std::mem::take(new)).unwrap();
        }
    };
    for line in patch.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("--- ") {
            finish(&name, &lines, old, &mut new);
            path.trim().clone_into(&mut name);
            let whole = text(folder, &name);
            lines = whole.split_inclusive('\n').map(str::to_owned).collect();
            old = 0;
        } else if let Some(hunk) = line.strip_prefix("@@ -") {
            let start = hunk.split([',', ' ']).next().unwrap();
            let start = start.parse::<usize>().unwrap() - 1;
            new.extend(lines[old..start].iter().map(String::as_str));
            old = start;
        } else if let Some(kept) = line.strip_prefix(' ') {
            assert_eq!(lines[old], kept);
            new.push_str(kept);
            old += 1;
        } else if let Some(removed) = line.strip_prefix('-') {
            assert_eq!(lines[old], removed);
            old += 1;
        } else if let Some(added) = line.strip_prefix('+').filter(|_| !line.starts_with("+++")) {
            new.push_str(added);
        }
    }
    finish(&name, &lines, old, &mut new);
}

#[test]
fn a_move_needs_a_look_and_an_insertion_does_not() {
    let folder = Folder::new().with("edge.rules.v4", EDGE);
    let ran = folder.run(&[
        "check",
        "--fix",
        "--select",
        "chime/media",
        "--fail-on",
        "warning",
    ]);
    let fixed = text(&folder, "edge.rules.v4");
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = fixed.split_inclusive('\n').collect();
    let without_fourth = [&lines[..3], &lines[4..]].concat().concat();
    assert_eq!(without_fourth, EDGE, "{fixed}");
    let folder = folder.with("edge.rules.v4", EDGE);
    folder.run(&[
        "check",
        "--fix",
        "--unsafe-fixes",
        "--select",
        "chime/media",
    ]);
    let moved = text(&folder, "edge.rules.v4");
    let mut lines: Vec<&str> = moved.lines().collect();
    let mut before: Vec<&str> = EDGE.lines().collect();
    assert_ne!(lines, before);
    lines.sort_unstable();
    before.sort_unstable();
    assert_eq!(lines, before, "{moved}");
}

#[test]
fn several_fixes_in_one_file_are_all_applied() {
    let unbound = "server:\n    interface: 0.0.0.0\n    access-control: 10.0.0.0/8 allow\n    edns-buffer-size: 512\n    \
        local-zone: \"chime.aws\" always_nxdomain\n    # the end\n";
    let folder = Folder::new().with("unbound.conf", unbound);
    let found = folder.run(&["check", "--format", "concise"]).out;
    assert!(found.lines().count() > 1, "{found}");
    let ran = folder.run(&["check", "--fix", "--unsafe-fixes", "--format", "concise"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.said.matches("fixed unbound.conf").count() > 1,
        "{ran:?}"
    );
    assert!(text(&folder, "unbound.conf").ends_with("    # the end\n"));
}

#[test]
fn only_selected_rules_are_fixed_and_accepted_ones_are_not() {
    let folder = Folder::new().with("resolv.conf", RESOLV);
    folder.run(&["check", "--fix", "--ignore", "chime/edns0"]);
    assert_eq!(text(&folder, "resolv.conf"), RESOLV);
    let exception =
        "exceptions:\n  - {rule: chime/edns0, reason: old libc, owner: me, expires: 2027-03-31}\n";
    let folder = folder.with("gatelint.yaml", exception);
    folder.run(&["check", "--fix", "--today", "2027-01-01"]);
    assert_eq!(text(&folder, "resolv.conf"), RESOLV);
    folder.run(&["check", "--fix", "--today", "2027-04-01"]);
    assert!(text(&folder, "resolv.conf").ends_with("options edns0\n"));
}

#[test]
fn line_ends_and_byte_order_marks_stay() {
    let rules = EDGE.replace('\n', "\r\n");
    let squid = "\u{feff}http_port 3128\r\nacl lan src 10.0.0.0/8\r\nacl meet dstdomain chime.aws\r\n\
        http_access allow lan meet\r\nhttp_access deny all\r\n";
    let headers = "HTTP/1.1 200 OK\r\nContent-Security-Policy: default-src 'self'; connect-src 'self' \
        https://*.chime.aws\r\n\r\n";
    let unbound =
        "\u{feff}server:\r\n    access-control: 10.0.0.0/8 allow\r\n    edns-buffer-size: 512\r\n";
    for (name, before) in [
        ("edge.rules.v4", rules.as_str()),
        ("squid.conf", squid),
        ("headers.txt", headers),
        ("unbound.conf", unbound),
        ("bom/resolv.conf", "\u{feff}nameserver 10.0.0.2"),
    ] {
        let folder = Folder::new().with(name, before);
        let ran = folder.run(&["check", "--fix", "--unsafe-fixes"]);
        let after = text(&folder, name);
        assert!(ran.said.contains("fixed "), "{name}: {ran:?}");
        let is_marked = |text: &str| text.starts_with('\u{feff}');
        assert_eq!(is_marked(&after), is_marked(before), "{name}: {after:?}");
        assert_eq!(
            after.matches('\u{feff}').count(),
            usize::from(is_marked(before))
        );
        if before.contains("\r\n") {
            assert_eq!(
                after.matches('\n').count(),
                after.matches("\r\n").count(),
                "{name}: {after:?}"
            );
            assert!(!after.contains("\r\r"), "{name}: {after:?}");
        }
    }
}

#[test]
fn standard_input_comes_out_fixed_and_the_report_beside_it() {
    let folder = Folder::new();
    let flags = ["check", "-", "--kind", "resolv-conf", "--fix"];
    let ran = folder.run_with(&flags, RESOLV);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out, format!("{RESOLV}options edns0\n"));
    assert!(ran.said.contains("checked 1 file"), "{ran:?}");
    // With nothing to fix the text comes out as it went in; the name given to it is no file to write.
    let fine = "nameserver 10.0.0.2\noptions edns0";
    let ran = folder.run_with(
        &[&flags[..], &["--stdin-filename", "resolv.conf"]].concat(),
        fine,
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, fine), "{ran:?}");
    assert!(!folder.0.join("resolv.conf").exists());
    let ran = folder.run_with(&["check", "-", "--show-fixes"], RESOLV);
    assert!(ran.out.contains("+options edns0\n"), "{ran:?}");
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let folder = Folder::new().with("resolv.conf", RESOLV);
    for flags in [
        &["check", "--unsafe-fixes"][..],
        &["check", "--fix", "--show-fixes"],
        &["baseline", "--fix"],
    ] {
        assert_eq!(folder.run(flags).code, 2, "{flags:?}");
    }
    assert_eq!(text(&folder, "resolv.conf"), RESOLV);
}

#[test]
fn generated_files_are_left_to_their_generators() {
    let before = format!("# Written by a program. DO NOT EDIT.\n{EDGE}");
    let folder = Folder::new().with("edge.rules.v4", &before);
    let ran = folder.run(&["check", "--fix"]);
    assert_eq!(text(&folder, "edge.rules.v4"), before);
    assert!(
        ran.said.contains("not fixed edge.rules.v4: it says"),
        "{ran:?}"
    );
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn permissions_stay_and_nothing_is_left_behind() {
        let folder = Folder::new().with("resolv.conf", RESOLV);
        let path = folder.0.join("resolv.conf");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(folder.run(&["check", "--fix"]).code, 0);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn read_only_files_and_links_are_left_alone() {
        let folder = Folder::new()
            .with("a/resolv.conf", RESOLV)
            .with("real.conf", RESOLV);
        let path = folder.0.join("a/resolv.conf");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        fs::create_dir(folder.0.join("b")).unwrap();
        symlink("../real.conf", folder.0.join("b/resolv.conf")).unwrap();
        let ran = folder.run(&["check", "a", "b", "--fix", "--root", "."]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.said
                .contains("not fixed a/resolv.conf: it is read-only"),
            "{ran:?}"
        );
        assert!(
            ran.said.contains("not fixed b/resolv.conf: it is a link"),
            "{ran:?}"
        );
        assert_eq!(text(&folder, "a/resolv.conf"), RESOLV);
        assert_eq!(text(&folder, "real.conf"), RESOLV);
    }

    #[test]
    fn nothing_outside_the_root_is_written() {
        let folder = Folder::new()
            .with("inside/empty", "")
            .with("resolv.conf", RESOLV);
        let ran = folder.run(&["check", "resolv.conf", "--fix", "--root", "inside"]);
        assert_eq!(text(&folder, "resolv.conf"), RESOLV);
        assert!(ran.said.contains("outside the root"), "{ran:?}");
    }
}

/// Every applied fix leaves a file that differs in the fix only, and more passes than before.
#[test]
fn real_configs_keep_everything_but_what_is_fixed() {
    let Some(root) = std::env::var_os("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: GATELINT_CORPUS names no folder of real configs");
        return;
    };
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).unwrap().len() < 100_000 {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let (mut changed, mut fixes, mut refused) = (0, 0, 0);
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let before = fs::read(path).unwrap();
        let folder = Folder::new().with(name, &before);
        let shown = folder.run(&["check", name, "--show-fixes", "--unsafe-fixes"]);
        assert!(read(&folder, name) == before, "{name}");
        let found = badness(&folder, name);
        let ran = folder.run(&["check", name, "--fix", "--unsafe-fixes"]);
        refused += ran.said.matches("mends nothing").count();
        let after = read(&folder, name);
        if after == before {
            continue;
        }
        changed += 1;
        fixes += ran
            .said
            .lines()
            .filter(|line| line.starts_with("fixed "))
            .count();
        assert!(badness(&folder, name) < found, "{name}: {ran:?}");
        // The shown change is the whole change: what it does not touch stays, in its order and its bytes.
        let count = |sign: &str, other: &str| {
            let lines = shown.out.lines();
            lines
                .filter(|line| line.starts_with(sign) && !line.starts_with(other))
                .count()
        };
        let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').count();
        assert_eq!(
            lines(&after) + count("-", "---"),
            lines(&before) + count("+", "+++"),
            "{name}: {}",
            shown.out
        );
        let kept = common(&before, &after);
        assert_eq!(
            lines(&before) - kept,
            count("-", "---"),
            "{name}: {}",
            shown.out
        );
    }
    eprintln!(
        "{} files: {changed} changed by {fixes} fixes, {refused} fixes did not hold beside others",
        paths.len()
    );
}

/// How many results are bad, each as bad as it is.
fn badness(folder: &Folder, name: &str) -> u64 {
    let out = folder.run(&["check", name, "--format", "json"]).out;
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let results = report["results"].as_array().unwrap().iter();
    let weight = |result: &serde_json::Value| match result["outcome"].as_str().unwrap() {
        "fail" => 100,
        "undecided" => 10,
        "degraded" => 1,
        _ => 0,
    };
    results.map(weight).sum()
}

/// How many lines of the one text stand in the other in the same order.
fn common(before: &[u8], after: &[u8]) -> usize {
    let old: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let new: Vec<&[u8]> = after.split_inclusive(|byte| *byte == b'\n').collect();
    let mut row = vec![0_usize; new.len() + 1];
    for left in &old {
        let mut corner = 0;
        for (at, right) in new.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if left == right {
                corner + 1
            } else {
                above.max(row[at])
            };
            corner = above;
        }
    }
    row[new.len()]
}
