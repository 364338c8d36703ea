//! In: nothing. Out: the blocks of a named.conf as values: scopes of clauses, views, zones, servers.

use super::syntax::Statement;
use crate::source::Spanned;

/// The clauses of one block.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// In order.
    pub(super) clauses: Vec<Statement>,
    /// Includes in it that could not be read.
    pub(super) missing: Vec<Missing>,
    /// Clauses that are not understood.
    pub(super) strange: Vec<Statement>,
}

impl Scope {
    /// The clause of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Statement> {
        self.clauses
            .iter()
            .find(|statement| statement.keyword() == name)
    }

    /// All clauses of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Statement> {
        self.clauses
            .iter()
            .filter(move |statement| statement.keyword() == name)
    }
}

/// A `view`.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Its name.
    pub(super) name: String,
    /// Its clauses.
    pub(super) scope: Scope,
    /// Its zones.
    pub(super) zones: Vec<Zone>,
    /// Its servers.
    pub(super) servers: Vec<Server>,
    /// Its plugins.
    pub(super) plugins: Vec<Statement>,
}

/// A `zone`.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    /// Lower case, no outer dots; empty is the root.
    pub(super) name: String,
    /// Its clauses.
    pub(super) scope: Scope,
    /// The whole statement.
    pub(super) statement: Statement,
}

impl Zone {
    /// The type in lower case; old words become the new ones.
    pub(super) fn kind(&self) -> String {
        let word = self
            .scope
            .get("type")
            .and_then(|clause| clause.word(1))
            .map(|word| word.text.to_ascii_lowercase())
            .unwrap_or_default();
        match word.as_str() {
            "master" => "primary".to_owned(),
            "slave" => "secondary".to_owned(),
            "" if self.scope.get("in-view").is_some() => "in-view".to_owned(),
            _ => word,
        }
    }
}

/// A `server`.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Its clauses.
    pub(super) scope: Scope,
    /// The whole statement.
    pub(super) statement: Statement,
}

/// An include that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    /// The file's name as written, and where.
    pub(super) name: Spanned<String>,
}
