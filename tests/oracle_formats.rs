//! In: the example office. Out: programs and schemas of others accept what the formats write.
//!
//! Runs with `GATELINT_ORACLE=1`; `GATELINT_SCHEMAS` names a folder with `sarif-2.1.0.json` (OASIS) and `junit.xsd`.
//! Needs `python3` with `jsonschema`, and `xmllint`.

#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this suite runs other programs, says what it skipped, and stops where it cannot go on"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of schemas and the office's report in a format, or nothing where this is not to be asked.
fn asked(format: &str) -> Option<(PathBuf, PathBuf)> {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return None;
    }
    let Some(schemas) = std::env::var_os("GATELINT_SCHEMAS") else {
        eprintln!("SKIPPED: GATELINT_SCHEMAS is not set");
        return None;
    };
    let office = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/office");
    let written = std::env::temp_dir().join(format!("gatelint-{}.{format}", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_gatelint"))
        .args(["check", ".", "gone.conf", "-q", "-o"])
        .arg(format!("{format}={}", written.display()))
        .current_dir(office)
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(2), "one input is not there");
    Some((schemas.into(), written))
}

fn accepts(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_published_schema_accepts_sarif() {
    let Some((schemas, written)) = asked("sarif") else {
        return;
    };
    let script = "import json, sys, jsonschema\n\
                  schema, log = (json.load(open(path)) for path in sys.argv[1:])\n\
                  kind = jsonschema.validators.validator_for(schema)\n\
                  kind(schema, format_checker=kind.FORMAT_CHECKER).validate(log)";
    accepts(
        Command::new("python3")
            .args(["-c", script])
            .arg(schemas.join("sarif-2.1.0.json"))
            .arg(&written),
    );
    std::fs::remove_file(written).unwrap();
}

#[test]
fn the_published_schema_accepts_junit() {
    let Some((schemas, written)) = asked("junit") else {
        return;
    };
    accepts(
        Command::new("xmllint")
            .args(["--noout", "--schema"])
            .arg(schemas.join("junit.xsd"))
            .arg(&written),
    );
    std::fs::remove_file(written).unwrap();
}
