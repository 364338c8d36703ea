//! In: real squid.conf files (`GATELINT_CORPUS`). Out: all of them are read; how many are fully understood is said.

#![expect(clippy::print_stderr, reason = "what was skipped or left open is said")]
#![expect(
    clippy::disallowed_methods,
    reason = "the corpus lies outside the repository"
)]

use std::collections::BTreeMap;
use std::path::Path;

use gatelint::config::{self, Facts, Input, NoFiles};
use gatelint::source::Sources;

#[test]
fn real_configs_are_read() {
    let Ok(corpus) = std::env::var("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: real squid.conf files: GATELINT_CORPUS is not set");
        return;
    };
    let kind = config::kind("squid").unwrap();
    let (mut files, mut refused, mut whole, mut aside) = (0, 0, 0, 0);
    let mut unknowns: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(&corpus).join("squid")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let sources = Sources::new();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = sources.add(name.clone(), bytes.clone()).unwrap();
        let input = Input {
            file,
            path: &name,
            bytes: &bytes,
        };
        let reading = (kind.read)(&input, &NoFiles, &Facts::default());
        files += 1;
        for finding in &reading.findings {
            assert!(finding.label.span.range().end <= bytes.len(), "{name}");
        }
        refused += usize::from(reading.findings.iter().any(|finding| finding.refuses));
        aside += usize::from(reading.not_judged.is_some());
        let open: Vec<&str> = reading
            .gates
            .iter()
            .flat_map(|gate| gate.unknowns.iter().map(|unknown| unknown.code))
            .collect();
        whole += usize::from(open.is_empty() && reading.understood == reading.statements);
        for code in open {
            *unknowns.entry(code).or_default() += 1;
        }
    }
    eprintln!(
        "squid corpus: {files} files, {whole} without anything unknown, {refused} that Squid refuses, {aside} not judged; \
         unknowns {unknowns:?}"
    );
    assert!(files > 0, "the corpus is empty");
}
