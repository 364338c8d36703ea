//! In: real resolver configs (`GATELINT_CORPUS`). Out: all of them are read; how many are fully understood is said.

#![expect(clippy::print_stderr, reason = "what was skipped or left open is said")]
#![expect(
    clippy::disallowed_methods,
    reason = "the corpus lies outside the repository"
)]

use std::collections::BTreeMap;
use std::path::Path;

use gatelint::config::{self, Claim, Facts, Input, KINDS, NoFiles};
use gatelint::source::Sources;

/// Folders of the corpus and the kinds that read them.
const FOLDERS: [(&str, &str); 7] = [
    ("resolv.conf", "resolv-conf"),
    ("unbound", "unbound"),
    ("named", "bind"),
    ("dnsmasq", "dnsmasq"),
    ("resolved", "resolved"),
    ("Corefile", "coredns"),
    ("recursor", "recursor"),
];

#[test]
fn real_configs_are_read() {
    let Ok(corpus) = std::env::var("GATELINT_CORPUS") else {
        eprintln!("SKIPPED: real resolver configs: GATELINT_CORPUS is not set");
        return;
    };
    for (folder, name) in FOLDERS {
        let kind = config::kind(name).unwrap();
        let (mut files, mut claimed, mut whole, mut open) = (0, 0, 0, 0);
        let mut unknowns: BTreeMap<&str, usize> = BTreeMap::new();
        let mut refused = Vec::new();
        let Ok(entries) = std::fs::read_dir(Path::new(&corpus).join("dns").join(folder)) else {
            eprintln!("SKIPPED: the corpus has no folder {folder}");
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let shown = path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace("__", "/");
            files += 1;
            let sources = Sources::new();
            let input = Input {
                file: sources.add(shown.as_str(), bytes.clone()).unwrap(),
                path: &shown,
                bytes: &bytes,
            };
            for other in KINDS {
                let _ = (other.claims)(&shown, &bytes);
            }
            let reading = (kind.read)(&input, &NoFiles, &Facts::default());
            match (kind.claims)(&shown, &bytes) {
                Claim::Yes(_) | Claim::Maybe(_) => claimed += 1,
                Claim::No | Claim::Unreadable(_) => {
                    eprintln!("{name}: not claimed: {shown}");
                    continue;
                }
            }
            let unknown: Vec<_> = reading
                .gates
                .iter()
                .flat_map(|gate| &gate.unknowns)
                .collect();
            whole += usize::from(reading.understood == reading.statements && unknown.is_empty());
            open += usize::from(!unknown.is_empty());
            for unknown in unknown {
                *unknowns.entry(unknown.code).or_default() += 1;
            }
            for finding in reading.findings.iter().filter(|finding| finding.refuses) {
                let text = sources.text(finding.label.span);
                refused.push(format!("{shown}: {} `{text}`", finding.label.value));
            }
        }
        eprintln!(
            "{name}: {claimed} of {files} claimed; {whole} fully understood, {open} with unknowns {unknowns:?}"
        );
        for line in refused {
            eprintln!("  refused: {line}");
        }
    }
}
