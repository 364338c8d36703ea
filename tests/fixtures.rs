//! In: `fixtures/**`. Out: for each folder, whether the program still says what stands beside the input.
//!
//! A fixture is a folder with input files and `expected.txt`: standard output, standard error where there is any, and
//! the exit code. It may have `expected.FORMAT` (the same run in that format) and `cmd` (the arguments; by default `check .`).
//! Where users check the folder itself, the expectation would be read as a config: there it stands beside the folder
//! (`office.expected.txt`). There is no code per case. `GATELINT_BLESS=1 cargo test --test fixtures` writes the expectations anew.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files and runs the program"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether a file of a fixture's folder is none of its inputs.
fn is_beside_input(name: &str) -> bool {
    name.starts_with("expected.") || ["cmd", "README.md"].contains(&name)
}

#[test]
fn every_fixture_says_what_is_expected() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let bless = std::env::var_os("GATELINT_BLESS").is_some_and(|value| value == "1");
    let mut fixtures = Vec::new();
    let mut problems = Vec::new();
    find(&top, 0, bless, &mut fixtures, &mut problems);
    fixtures.sort();
    assert!(!fixtures.is_empty(), "no fixture at all below fixtures/");
    let scratch = std::env::temp_dir().join(format!("gatelint-fixtures-{}", std::process::id()));
    for fixture in &fixtures {
        let name = fixture.strip_prefix(&top).unwrap();
        let here = scratch.join(name);
        copy_inputs(fixture, &here, true);
        // One run writes every format that is expected.
        let mut arguments = arguments(fixture);
        let formats: Vec<(PathBuf, PathBuf)> = gatelint::report::FORMATS
            .iter()
            .map(|format| {
                let expected = beside(fixture, &format!("expected.{}", format.name));
                (expected, scratch.join(format!("report.{}", format.name)))
            })
            .filter(|(expected, _)| expected.exists())
            .collect();
        for (_, written) in &formats {
            let format = written.extension().unwrap().to_string_lossy();
            arguments.extend(["-o".to_owned(), format!("{format}={}", written.display())]);
        }
        let text = run(&here, &arguments);
        let expected = beside(fixture, "expected.txt");
        compare(&expected, &text, bless, &mut problems);
        for (expected, written) in &formats {
            let text = without_version(&fs::read_to_string(written).unwrap());
            compare(expected, &text, bless, &mut problems);
        }
    }
    let _ = fs::remove_dir_all(&scratch);
    assert!(
        problems.is_empty(),
        "{} of {} fixtures differ:\n\n{}\n\nGATELINT_BLESS=1 cargo test --test fixtures writes them anew",
        problems.len(),
        fixtures.len(),
        problems.join("\n\n")
    );
}

/// A folder with an expectation is a fixture; one with files and none is a mistake; others are looked into.
fn find(
    folder: &Path,
    depth: usize,
    bless: bool,
    fixtures: &mut Vec<PathBuf>,
    problems: &mut Vec<String>,
) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    entries.sort();
    let has_files = depth > 0
        && entries
            .iter()
            .any(|path| path.is_file() && !path.ends_with("README.md"));
    if beside(folder, "expected.txt").exists() || (bless && depth >= 2) {
        fixtures.push(folder.to_owned());
    } else if has_files || depth >= 2 {
        problems.push(format!("{}: no expected.txt", folder.display()));
    } else {
        for entry in entries.iter().filter(|path| path.is_dir()) {
            find(entry, depth + 1, bless, fixtures, problems);
        }
    }
}

/// Where the expectation of that name stands: in the folder, or beside it with the folder's name in front.
fn beside(fixture: &Path, name: &str) -> PathBuf {
    let mut file = fixture.file_name().unwrap_or_default().to_owned();
    file.push(".");
    file.push(name);
    let beside = fixture.with_file_name(file);
    if beside.exists() {
        beside
    } else {
        fixture.join(name)
    }
}

/// The inputs alone: the expectation quotes them and would be found as a config itself.
fn copy_inputs(from: &Path, to: &Path, is_top: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy_inputs(&path, &to.join(name), false);
        } else if !is_top || !is_beside_input(&name.to_string_lossy()) {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn arguments(fixture: &Path) -> Vec<String> {
    let text = fs::read_to_string(fixture.join("cmd")).unwrap_or_else(|_| "check .".to_owned());
    text.split_whitespace().map(str::to_owned).collect()
}

fn run(folder: &Path, arguments: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gatelint"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if !said.is_empty() {
        text.push_str("--- standard error\n");
        text.push_str(&said);
    }
    let code = output.status.code().unwrap();
    text + &format!("--- exit {code}\n")
}

/// The program's version changes with each release and says nothing here.
fn without_version(text: &str) -> String {
    let version = format!("ersion\": \"{}\"", env!("CARGO_PKG_VERSION"));
    text.replacen(&version, "ersion\": \"\"", 1)
}

fn compare(path: &Path, shown: &str, bless: bool, problems: &mut Vec<String>) {
    if bless {
        fs::write(path, shown).unwrap();
        return;
    }
    let expected = fs::read_to_string(path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    if expected != shown {
        problems.push(format!(
            "{}\n{}",
            path.display(),
            difference(&expected, shown)
        ));
    }
}

/// The lines around the first difference.
fn difference(expected: &str, shown: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (expected.lines().collect(), shown.lines().collect());
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(left, right)| left == right)
        .count();
    let around = |lines: &[&str], sign: &str| {
        let wanted: Vec<&str> = lines.iter().copied().skip(same).take(8).collect();
        format!("{sign} {}\n", wanted.join(&format!("\n{sign} ")))
    };
    format!(
        "at line {}:\n{}{}",
        same + 1,
        around(&before, "-"),
        around(&after, "+")
    )
}
