//! In: the example office. Out: programs and schemas of others accept what the formats write, and a browser shows the page.
//!
//! Runs with `GATELINT_ORACLE=1`; `GATELINT_SCHEMAS` names a folder with `sarif-2.1.0.json` (OASIS) and `junit.xsd`.
//! Needs `python3` with `jsonschema`, `xmllint` and `chromium`.

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
    Some((schemas.into(), office(format)))
}

/// The office's report in a format, with an input that is not there.
fn office(format: &str) -> PathBuf {
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
    written
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
fn chromium_shows_the_page_without_a_complaint() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let written = office("html");
    let net_log = written.with_extension("net.json");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--enable-logging=stderr", "--disable-background-networking"])
        .arg(format!("--log-net-log={}", net_log.display()))
        .arg(format!("file://{}", written.display()))
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: chromium is missing");
        return;
    };
    let (page, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    for content in [
        "The way of the traffic",
        "proxy/squid.conf",
        "gone.conf",
        "chime/media",
    ] {
        assert!(page.contains(content), "{content}: {page}");
    }
    assert!(!said.contains("CONSOLE"), "{said}");
    // The net log tells every request by its address; those of the browser itself are no matter of the page.
    let log = std::fs::read_to_string(&net_log).unwrap_or_default();
    for address in ["docs.aws.amazon.com", "aws.github.io", "chime.aws"] {
        assert!(!log.contains(address), "the page asked for {address}");
    }
    for file in [written, net_log] {
        let _ = std::fs::remove_file(file);
    }
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

#[test]
fn the_schema_of_policies_accepts_those_that_come_with_the_program() {
    if std::env::var("GATELINT_ORACLE").as_deref() != Ok("1") {
        eprintln!("SKIPPED: GATELINT_ORACLE=1 is not set");
        return;
    }
    let script = "import json, sys, yaml, jsonschema\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  kind = jsonschema.Draft202012Validator\n\
                  kind.check_schema(schema)\n\
                  for path in sys.argv[2:]:\n\
                  \x20 kind(schema).validate(yaml.safe_load(open(path)))";
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policies = gatelint::policy::BUILTINS.iter();
    accepts(
        Command::new("python3")
            .args(["-c", script])
            .arg(top.join("schemas/policy.schema.json"))
            .args(policies.map(|(name, _)| top.join(format!("rules/{name}.yaml")))),
    );
}
