//! In: recursor.conf and what it includes. Out: the settings in force, and what keeps the recursor from starting.
//!
//! The last of two settings counts; the `*.conf` files of `include-dir` are read after the file (`arguments.cc`). Each
//! refusal was seen with 4.8.

use std::net::IpAddr;

use super::super::dns::network;
use super::super::{Files, Input, Opened};
use super::syntax::{self, Broken, Setting};
use crate::source::{FileId, Span, Spanned};

/// The settings in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// In order, with those of included files.
    pub(super) settings: Vec<Setting>,
    /// Zones that are handed to other servers, or that are held.
    pub(super) zones: Vec<Zone>,
    /// Files that were not given.
    pub(super) missing: Vec<Spanned<String>>,
    /// What keeps it from starting.
    pub(super) mistakes: Vec<Mistake>,
    /// Names that 4.8 does not know.
    pub(super) unknown: Vec<Spanned<String>>,
    /// Where the text is no YAML.
    pub(super) broken: Option<Broken>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
}

/// A zone of `forward-zones`, `forward-zones-recurse`, `forward-zones-file` or `auth-zones`.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    /// Lower case, no outer dots; empty is the root.
    pub(super) name: String,
    /// What is done with its names.
    pub(super) way: Way,
    /// Where.
    pub(super) span: Span,
}

/// What is done with a zone's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Other servers are asked.
    Forward,
    /// No server is named, so the zone is held, without a name in it.
    Empty,
    /// It is held, from a file.
    Held,
}

/// What the recursor stops at.
#[derive(Debug, Clone)]
pub(super) struct Mistake {
    /// The effect in words.
    pub(super) title: String,
    /// Where, and what is wrong there.
    pub(super) label: Spanned<String>,
}

/// Reads a config.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let (settings, broken) = syntax::settings(input.file, input.bytes);
    let mut config = Config {
        settings,
        broken,
        ..Config::default()
    };
    config.include(input, files);
    for setting in config.settings.clone() {
        config.check(&setting);
    }
    // YAML names are many more, and a section's own.
    if syntax::is_yaml(&String::from_utf8_lossy(input.bytes)) {
        config.unknown.clear();
    }
    for name in ["auth-zones", "forward-zones", "forward-zones-recurse"] {
        for word in config.words(name) {
            config.zone(name, &word);
        }
    }
    for word in config.words("forward-zones-file") {
        match files.open(word.span.file, &word.value) {
            Opened::Found { file, bytes } => {
                config.companions.push(file);
                config.zone_file(file, &bytes);
            }
            Opened::Missing | Opened::Refused(_) => config.missing.push(word),
        }
    }
    config
}

impl Config {
    /// The last setting of a name, with the ones that it adds to in front.
    pub(super) fn all(&self, name: &str) -> Vec<&Setting> {
        let mut found: Vec<&Setting> = Vec::new();
        for setting in self.settings.iter().filter(|one| one.name.value == name) {
            if !setting.adds {
                found.clear();
            }
            found.push(setting);
        }
        found
    }

    /// The last setting of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.all(name).pop()
    }

    /// The words in force for a name.
    pub(super) fn words(&self, name: &str) -> Vec<Spanned<String>> {
        let all = self.all(name);
        all.into_iter().flat_map(|one| one.words.clone()).collect()
    }

    fn include(&mut self, input: &Input<'_>, files: &dyn Files) {
        for folder in self.words("include-dir") {
            let pattern = format!("{}/*.conf", folder.value.trim_end_matches('/'));
            let found = files.glob(input.file, &pattern);
            if found.is_empty() {
                self.missing.push(folder);
                continue;
            }
            for (_, opened) in found {
                if let Opened::Found { file, bytes } = opened {
                    let (settings, _) = syntax::settings(file, &bytes);
                    self.settings.extend(settings);
                    self.companions.push(file);
                }
            }
        }
    }

    fn refuse(&mut self, title: String, label: &str, span: Span) {
        let label = Spanned::new(label.to_owned(), span);
        self.mistakes.push(Mistake { title, label });
    }

    fn check(&mut self, setting: &Setting) {
        let name = setting.name.value.as_str();
        if !super::names::is_known(name) {
            self.unknown.push(setting.name.clone());
            return;
        }
        let first = setting.words.first();
        match name {
            "edns-outgoing-bufsize" | "udp-truncation-threshold" | "local-port" => {
                if let Some(word) = first.filter(|word| word.value.parse::<u64>().is_err()) {
                    self.refuse(
                        format!("`{}` is no number", word.value),
                        "a number of bytes, or a port",
                        word.span,
                    );
                }
            }
            "allow-from" | "dont-query" => {
                for word in &setting.words {
                    if network(word.value.trim_start_matches('!')).is_none() {
                        self.refuse(
                            format!("`{}` is no network", word.value),
                            "an address or a prefix, `!` in front takes it out",
                            word.span,
                        );
                    }
                }
            }
            _ => {}
        }
    }

    /// `[+]ZONE=ADDRESS;ADDRESS`, or `ZONE=FILE`.
    fn zone(&mut self, setting: &str, word: &Spanned<String>) {
        let Some((name, value)) = word.value.split_once('=') else {
            self.refuse(
                format!("`{}` in `{setting}` has no `=`", word.value),
                "`ZONE=SERVER;SERVER`, no blanks in it",
                word.span,
            );
            return;
        };
        let way = match (setting, value) {
            ("auth-zones", _) => Way::Held,
            (_, "") => Way::Empty,
            _ => {
                for server in value.split(';').filter(|server| !server.is_empty()) {
                    self.server(server, word.span);
                }
                Way::Forward
            }
        };
        self.zones.push(Zone {
            name: zone_name(name),
            way,
            span: word.span,
        });
    }

    fn server(&mut self, server: &str, span: Span) {
        if address(server).is_none() {
            self.refuse(
                format!("`{server}` is no address"),
                "servers are addresses, a port after `:`",
                span,
            );
        }
    }

    /// `[+^]ZONE=ADDRESS, ADDRESS` on each line.
    fn zone_file(&mut self, file: FileId, bytes: &[u8]) {
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let span = Span::new(file, start, start + line.trim_ascii_end().len());
            start += line.len();
            let text = String::from_utf8_lossy(line);
            let text = text.split('#').next().unwrap_or_default().trim();
            if let Some((name, _)) = text.split_once('=') {
                self.zones.push(Zone {
                    name: zone_name(name.trim()),
                    way: Way::Forward,
                    span,
                });
            }
        }
    }
}

fn zone_name(text: &str) -> String {
    text.trim_start_matches(['+', '^'])
        .trim_matches('.')
        .to_ascii_lowercase()
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `ADDRESS@PORT`; a host name of a TLS server after `#`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.split('#').next().unwrap_or_default();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.rsplit_once([':', '@'])?;
    port.parse::<u16>().ok()?;
    address.trim_matches(['[', ']']).parse().ok()
}
