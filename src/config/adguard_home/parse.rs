//! In: one AdGuardHome.yaml and the filter lists that it names. Out: its settings and rules.
//!
//! Settings of filtering stand in `filtering`, in files of older versions in `dns`. Downloaded lists lie in
//! `data/filters/ID.txt` beside the file.

use super::super::{Files, Input, Opened};
use super::rules::{self, Rule};
use crate::source::{FileId, Span, Spanned};
use crate::yaml::{self, Yaml};

/// One AdGuardHome.yaml.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// The whole file; `None` where it is no YAML.
    pub(super) tree: Option<Yaml>,
    /// Why it is none.
    pub(super) broken: Option<Spanned<String>>,
    /// Rules of `user_rules` and of the lists that block.
    pub(super) rules: Vec<Spanned<Rule>>,
    /// Rules of the lists that exempt.
    pub(super) exemptions: Vec<Spanned<Rule>>,
    /// Lists that are not there.
    pub(super) missing: Vec<Spanned<String>>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
}

/// Reads a config.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let mut config = Config::default();
    let start = Span::new(input.file, 0, 0);
    let Ok(text) = std::str::from_utf8(input.bytes) else {
        config.broken = Some(Spanned::new("it is not UTF-8".to_owned(), start));
        return config;
    };
    let tree = match yaml::read(input.file, text) {
        Ok(tree) => tree,
        Err(broken) => {
            config.broken = Some(broken);
            return config;
        }
    };
    for line in tree.items(&["user_rules"]) {
        let rule = line.text(&[]).and_then(rules::rule);
        config
            .rules
            .extend(rule.map(|rule| Spanned::new(rule, line.span)));
    }
    for (key, exempts) in [("filters", false), ("whitelist_filters", true)] {
        for list in tree.items(&[key]) {
            if list.text(&["enabled"]) != Some("true") {
                continue;
            }
            let id = list.text(&["id"]).unwrap_or_default();
            let name = format!("data/filters/{id}.txt");
            let Opened::Found { file, bytes } = files.open(input.file, &name) else {
                config.missing.push(Spanned::new(name, list.span));
                continue;
            };
            config.companions.push(file);
            let rules = read(file, &bytes);
            if exempts {
                config.exemptions.extend(rules);
            } else {
                config.rules.extend(rules);
            }
        }
    }
    config.tree = Some(tree);
    config
}

fn read(file: FileId, bytes: &[u8]) -> Vec<Spanned<Rule>> {
    let mut rules = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let span = Span::new(file, start, start + line.trim_ascii_end().len());
        start += line.len();
        let rule = rules::rule(&String::from_utf8_lossy(line));
        rules.extend(rule.map(|rule| Spanned::new(rule, span)));
    }
    rules
}

impl Config {
    /// A setting of filtering, wherever the version has it.
    pub(super) fn filtering(&self, key: &str) -> Option<&Yaml> {
        let tree = self.tree.as_ref()?;
        tree.at(&["filtering", key])
            .or_else(|| tree.at(&["dns", key]))
    }

    /// Whether a setting of filtering is on.
    pub(super) fn filters(&self, key: &str, default: bool) -> bool {
        flag(self.filtering(key), default)
    }

    /// A setting of `dns`.
    pub(super) fn dns(&self, key: &str) -> Option<&Yaml> {
        self.tree.as_ref()?.at(&["dns", key])
    }
}

/// `true` or `false`.
pub(super) fn flag(yaml: Option<&Yaml>, default: bool) -> bool {
    match yaml.and_then(|yaml| yaml.text(&[])) {
        Some("true") => true,
        Some("false") => false,
        Some(_) | None => default,
    }
}
