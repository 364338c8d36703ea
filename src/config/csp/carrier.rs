//! In: what a server's or host's config says around its policies. Out: what every kind of such a config does with it.

use super::{Document, fix_pages};
use crate::config::{Blocked, DialectFinding, Fix, Reading};
use crate::source::Spanned;

/// Endings of texts and programs that may show a line of a config, and are none.
const QUOTING: [&str; 24] = [
    "md", "rst", "adoc", "txt", "html", "htm", "js", "mjs", "cjs", "ts", "jsx", "tsx", "py", "rb",
    "go", "rs", "php", "sh", "java", "cs", "xml", "json", "yml", "yaml",
];

/// Whether a file is a text or a program by its name, so that what looks like a server's config in it is none.
pub(in crate::config) fn quotes_configs(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    QUOTING.contains(&ending.to_ascii_lowercase().as_str())
}

/// Gives each page a name of its own: a second `location /` becomes `location / (2)`.
pub(in crate::config) fn distinct(documents: &mut [Document]) {
    let mut names: Vec<String> = Vec::new();
    for document in documents {
        let same = names.iter().filter(|name| **name == document.name).count();
        names.push(document.name.clone());
        if same > 0 {
            document.name = format!("{} ({})", document.name, same + 1);
        }
    }
}

/// The edits for the page of the gate that blocks, found again by its name.
pub(in crate::config) fn fix_gate(
    mut documents: Vec<Document>,
    reading: &Reading,
    blocked: &Blocked<'_>,
) -> Vec<Fix> {
    let name = blocked
        .gate
        .and_then(|gate| reading.gates.get(gate))
        .map(|gate| gate.name.as_str());
    documents.retain(|document| Some(document.name.as_str()) == name);
    let alone = Blocked {
        gate: Some(0),
        ..*blocked
    };
    fix_pages(&documents, &alone)
}

/// A place at which the program that reads the file stops, in words without a full stop.
pub(in crate::config) fn refused(program: &str, broken: &Spanned<String>) -> DialectFinding {
    DialectFinding {
        id: "csp/broken-carrier",
        title: format!("{program} refuses this file: {}", broken.value),
        label: Spanned::new("refused here".to_owned(), broken.span),
        related: Vec::new(),
        help: Some("correct this place".to_owned()),
        fix: None,
        refuses: true,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Facts, Input, KINDS, Layer, NoFiles};
    use crate::source::Sources;

    #[test]
    fn no_kind_that_carries_policies_panics_on_broken_text() {
        let seeds = [
            "<If \"a\">\nHeader always set Content-Security-Policy \"img-src %{x}e \\\n y\"\n<Location /é>\n</If>\n<",
            "(s) {\n header Content-Security-Policy `a`\n}\na.test {\n import s {args[0]}\n header /x* {\n +Content-Security-Policy \"img-src {env.X}\"\n }\n}\n",
            "backend é\n http-response set-header Content-Security-Policy \"img-src %[env(X)]\" if { path -i /x }\n",
            "[[headers]]\nfor = \"/*\"\n[headers.values]\nContent-Security-Policy = \'\'\'\nimg-src é\'\'\'\n",
            "resource \"x\" \"y\" {\n content_security_policy = <<-EOT\n img-src ${join(\" \", [\"é\"])} %{ if x }\n EOT\n}\n",
            "metadata:\n annotations:\n  nginx.ingress.kubernetes.io/configuration-snippet: |\n   add_header Content-Security-Policy \"img-src é\";\n",
        ];
        for kind in KINDS.iter().filter(|kind| kind.layer == Layer::Fetch) {
            for seed in seeds {
                for at in 0..seed.len() {
                    for by in [&b""[..], b"\"", b"\\", b"{", b"\n", b"\xff"] {
                        let mut bytes = seed.as_bytes().to_vec();
                        let end = (at + 1).min(bytes.len());
                        bytes.splice(at..end, by.iter().copied());
                        read(kind, &bytes);
                    }
                    read(kind, seed.as_bytes().get(..at).unwrap());
                }
            }
            read(kind, "<a>\n{\n[".repeat(5_000).as_bytes());
        }
    }

    fn read(kind: &crate::config::Kind, bytes: &[u8]) {
        let sources = Sources::new();
        let input = Input {
            file: sources.add("a", bytes.to_vec()).unwrap(),
            path: "netlify.toml",
            bytes,
        };
        let reading = (kind.read)(&input, &NoFiles, &Facts::default());
        for finding in reading.findings {
            assert!(finding.label.span.range().end <= bytes.len());
        }
    }
}
