//! In: the project's own files. Out: whether they keep the rules that no compiler holds.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop at what it did not expect, reads files and runs the program"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use. Data flows one way, and so does `use`.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("source", &[]),
    ("yaml", &["source"]),
    ("model", &["source"]),
    ("config", &["source", "yaml", "model"]),
    ("decide", &["source", "model"]),
    ("finding", &["source", "config"]),
    ("mend", &["source", "finding"]),
    ("report", &["source", "config", "finding"]),
    ("trace", &["source", "model", "decide"]),
    (
        "policy",
        &["source", "yaml", "model", "config", "decide", "finding"],
    ),
    (
        "project",
        &["source", "yaml", "model", "config", "finding", "policy"],
    ),
    (
        "diff",
        &[
            "source", "model", "config", "decide", "finding", "report", "policy",
        ],
    ),
    (
        "check",
        &["source", "config", "finding", "policy", "project"],
    ),
];

/// Lines of code in one file, without its tests.
const LONGEST_FILE: usize = 650;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project below a folder, but for what git and cargo keep there.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    files(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| {
            let name = path
                .strip_prefix(top())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name.replace('\\', "/"), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The code without tests and comments.
fn code(text: &str) -> String {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules of the crate that code names: `crate::model`, `crate::{model, source}`.
fn used(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for piece in code.split("crate::").skip(1) {
        let mut depth = 0;
        let mut word = String::new();
        let mut is_head = true;
        for c in piece.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_head = true,
                c if is_head && (c.is_alphanumeric() || c == '_') => {
                    word.push(c);
                    continue;
                }
                c if c.is_whitespace() => {}
                _ => is_head = false,
            }
            if !word.is_empty() {
                found.insert(std::mem::take(&mut word));
                is_head = is_head && c == ',';
            }
            if depth <= 0 && c != '{' {
                break;
            }
        }
    }
    found
}

#[test]
fn used_modules_are_found_in_every_form() {
    let code = "use crate::model::{Gate, Rule};\nuse crate::{source, config::Input};\nlet x: crate::finding::Finding;";
    let expected = ["config", "finding", "model", "source"].map(str::to_owned);
    assert_eq!(used(code), expected.into());
}

#[test]
fn use_points_one_way() {
    let mut wrong = Vec::new();
    for (name, text) in rust_files("src") {
        if name.ends_with("/tests.rs") {
            continue;
        }
        let module = name
            .trim_start_matches("src/")
            .split(['/', '.'])
            .next()
            .unwrap()
            .to_owned();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == module) else {
            assert!(
                ["lib", "main", "cli"].contains(&module.as_str()),
                "{name}: give the module its place in MAY_USE"
            );
            continue;
        };
        for other in used(&code(&text)) {
            let is_module = MAY_USE.iter().any(|(known, _)| *known == other);
            if is_module && other != module && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name} uses {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = rust_files("src")
        .iter()
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .map(|(name, text)| {
            let tests = text
                .lines()
                .position(|line| line.starts_with("#[cfg(test)]"));
            (name, tests.unwrap_or(text.lines().count()))
        })
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_file_says_what_comes_in_and_what_goes_out() {
    let silent: Vec<String> = rust_files("src")
        .into_iter()
        .filter(|(name, text)| !name.ends_with("/tests.rs") && !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "no module doc: {}", silent.join(", "));
}

#[test]
fn no_file_is_named_after_what_it_is_for_nobody() {
    let vague = [
        "utils", "util", "helpers", "helper", "common", "types", "misc",
    ];
    let found: Vec<String> = rust_files("src")
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let stem = name.rsplit('/').next().unwrap().trim_end_matches(".rs");
            vague.contains(&stem)
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join(", "));
}

#[test]
fn exceptions_are_expectations_with_a_reason() {
    let escapes = [
        concat!("#[", "allow("),
        concat!("#![", "allow("),
        concat!("unwrap_", "unchecked"),
        concat!("unsafe", " {"),
    ];
    let mut wrong = Vec::new();
    for (name, text) in rust_files("src") {
        let code = code(&text);
        wrong.extend(
            escapes
                .iter()
                .filter(|escape| code.contains(**escape))
                .map(|escape| format!("{name}: {escape}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    let machine = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
    ];
    let mut wrong = Vec::new();
    for path in files("") {
        let name = path
            .strip_prefix(top())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        // Configs quote the paths of the machines that they are for.
        if name.starts_with("fixtures") || name.starts_with("tests/cases") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        wrong.extend(
            machine
                .iter()
                .take(if path.extension().is_some_and(|ending| ending == "rs") {
                    1
                } else {
                    3
                })
                .filter(|needle| text.contains(**needle))
                .map(|needle| format!("{name}: {needle}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_has_a_fixture_and_a_folder_of_its_own() {
    let mut missing = Vec::new();
    for kind in gatelint::KINDS {
        let module = kind.name.replace('-', "_");
        for needed in [
            format!("fixtures/{}", kind.name),
            format!("src/config/{module}.rs"),
        ] {
            if !top().join(&needed).exists() {
                missing.push(needed);
            }
        }
        let doc = fs::read_to_string(top().join(format!("src/config/{module}.rs"))).unwrap();
        let lines = doc
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        if lines < 3 {
            missing.push(format!("a doc of {} ({lines} lines)", kind.name));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_diagnostic_has_a_name_of_its_kind_and_a_doc() {
    let mut docs = BTreeMap::new();
    for kind in gatelint::KINDS {
        let ids: BTreeSet<_> = kind.diagnostics.iter().map(|one| one.id).collect();
        assert_eq!(
            ids.len(),
            kind.diagnostics.len(),
            "{} lists one twice",
            kind.name
        );
    }
    for diagnostic in gatelint::KINDS.iter().flat_map(|kind| kind.diagnostics) {
        let id = diagnostic.id;
        // Kinds that carry the same dialect share its diagnostics.
        let doc = *docs.entry(id).or_insert(diagnostic.doc);
        assert_eq!(doc, diagnostic.doc, "{id} means two things");
        assert!(id.contains('/'), "{id} has no family");
        let sentences = diagnostic.doc.matches(['.', '?', '!']).count();
        assert!(sentences >= 2, "{id}: the doc is one sentence");
        assert!(
            !diagnostic.title.ends_with('.'),
            "{id}: full stop in the title"
        );
    }
}

#[test]
fn every_format_is_tried_by_its_name() {
    let tests = fs::read_to_string(top().join("src/report/tests.rs")).unwrap();
    for format in gatelint::report::FORMATS {
        assert!(
            tests.contains(&format!("format(\"{}\")", format.name)) || tests.contains("in FORMATS"),
            "{} has no test",
            format.name
        );
        assert!(!format.title.is_empty());
    }
}
