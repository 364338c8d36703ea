//! In: a [`Config`]. Out: its views as scenes: for each clause the one that holds there.
//!
//! A clause of a view overrides the one of `options`; a view with a `server` of its own takes none from outside. Where
//! there is no view, named makes one up of all there is.

use super::super::Files;
use super::names;
use super::parse::Config;
use super::scope::{Scope, Server, View, Zone};
use super::syntax::{Block, Statement, Word};
use crate::source::Span;

/// Everything that lowering a view looks at.
pub(super) struct Context<'a> {
    /// The config.
    pub(super) config: &'a Config,
    /// Other files.
    pub(super) files: &'a dyn Files,
    /// The file itself, for what no line says.
    pub(super) whole: Span,
    /// Zone files that were read, by path, and what was assumed of those that were not given.
    pub(super) zone_files: names::ZoneFiles,
    /// What was assumed.
    pub(super) assumptions: Vec<String>,
}

/// A view, or the one that named makes up where there is none.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    /// `None` for the made-up one.
    pub(super) view: Option<&'a View>,
    /// The clauses of `options`.
    pub(super) options: &'a Scope,
    /// Its zones.
    pub(super) zones: &'a [Zone],
    /// Its servers: a view that has any ignores those outside.
    pub(super) servers: &'a [Server],
    /// Its plugins.
    pub(super) plugins: &'a [Statement],
}

impl<'a> Scene<'a> {
    /// A clause of the view, or else of `options`.
    pub(super) fn get(&self, name: &str) -> Option<&'a Statement> {
        self.view
            .and_then(|view| view.scope.get(name))
            .or_else(|| self.options.get(name))
    }

    /// All clauses of a name: those of the view, or else of `options`.
    pub(super) fn all(&self, name: &'a str) -> Vec<&'a Statement> {
        let own: Vec<_> = self
            .view
            .into_iter()
            .flat_map(|view| view.scope.all(name))
            .collect();
        if own.is_empty() {
            self.options.all(name).collect()
        } else {
            own
        }
    }

    /// As messages name it.
    pub(super) fn name(&self) -> &'a str {
        self.view.map_or("", |view| view.name.as_str())
    }

    /// Whether it resolves for anybody.
    pub(super) fn recurses(&self) -> bool {
        self.get("recursion").and_then(flag).unwrap_or(true)
    }
}

/// The scenes of a config.
pub(super) fn scenes(config: &Config) -> Vec<Scene<'_>> {
    if config.views.is_empty() {
        return vec![Scene {
            view: None,
            options: &config.options,
            zones: &config.zones,
            servers: &config.servers,
            plugins: &config.plugins,
        }];
    }
    config
        .views
        .iter()
        .map(|view| Scene {
            view: Some(view),
            options: &config.options,
            zones: &view.zones,
            servers: if view.servers.is_empty() {
                &config.servers
            } else {
                &view.servers
            },
            plugins: if view.plugins.is_empty() {
                &config.plugins
            } else {
                &view.plugins
            },
        })
        .collect()
}

/// `yes`, `no` and their synonyms (`cfg_parse_boolean`).
pub(super) fn flag(clause: &Statement) -> Option<bool> {
    match clause.word(1)?.text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// A plain number.
pub(super) fn number(word: &Word) -> Option<u64> {
    word.text.parse::<u32>().ok().map(u64::from)
}

/// The names of a block of names, normalised.
pub(super) fn name_list(block: &Block) -> Vec<String> {
    block
        .statements
        .iter()
        .filter_map(|statement| statement.word(0))
        .map(|word| word.text.trim_matches('.').to_ascii_lowercase())
        .collect()
}
