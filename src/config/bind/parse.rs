//! In: one named.conf and the files that it includes. Out: its scopes: options, views, zones, servers, address lists.
//!
//! Includes are expanded where they stand, relative to the working directory until `directory` was met and to that
//! directory from then on (named changes its directory while it reads). A file that is not there is unknown, never
//! empty: its place is kept in [`Missing`].

use std::collections::{BTreeMap, BTreeSet};

use super::super::{DialectFinding, Files, Fix, Input, Opened};
use super::grammar::{self, Place, Standing};
use super::scope::{Missing, Scope, Server, View, Zone};
use super::syntax::{self, Broken, Statement};
use super::{REMOVED_OPTION, refused};
use crate::source::{FileId, Span, Spanned};

/// Includes nest no deeper.
const INCLUDE_DEPTH: usize = 16;

/// No more files are read for one config.
const INCLUDE_FILES: usize = 2_000;

/// One named.conf with its includes.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// The clauses of `options`.
    pub(super) options: Scope,
    /// In order.
    pub(super) views: Vec<View>,
    /// Outside views.
    pub(super) zones: Vec<Zone>,
    /// Outside views.
    pub(super) servers: Vec<Server>,
    /// `plugin` statements outside views.
    pub(super) plugins: Vec<Statement>,
    /// By lower-case name.
    pub(super) acls: BTreeMap<String, Statement>,
    /// Whether an `options` block was met.
    pub(super) has_options: bool,
    /// Includes outside views and blocks that could not be read.
    pub(super) missing: Vec<Missing>,
    /// What named says of the file.
    pub(super) findings: Vec<DialectFinding>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
    /// Stock files that were not given, taken for what the packages ship.
    pub(super) stock: Vec<String>,
    /// How many statements there are.
    pub(super) statements: usize,
    /// How many of them are understood.
    pub(super) understood: usize,
}

/// Reads a config.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let mut reader = Reader {
        files,
        config: Config::default(),
        directory: None,
        opened: BTreeSet::new(),
        outside_views: BTreeSet::new(),
    };
    let tree = syntax::parse(input.file, input.bytes);
    reader.broken(tree.broken);
    let mut missing = Vec::new();
    let statements = reader.expand(tree.statements, input.file, 0, &mut missing);
    reader.config.missing = missing;
    reader.top(statements, input.file);
    reader.config
}

struct Reader<'a> {
    files: &'a dyn Files,
    config: Config,
    directory: Option<String>,
    opened: BTreeSet<FileId>,
    /// Names of the zones outside views.
    outside_views: BTreeSet<String>,
}

impl Reader<'_> {
    fn broken(&mut self, broken: Vec<Broken>) {
        for error in broken {
            let mut finding = refused(
                format!("named refuses the file: {}", error.what),
                Spanned::new(error.what.clone(), error.span),
            );
            if let Some(insert) = error.insert {
                let at = Span {
                    start: error.span.end,
                    ..error.span
                };
                finding.help = Some(format!("insert `{insert}` here"));
                finding.fix = Some(Fix {
                    title: format!("insert `{insert}`"),
                    edits: vec![super::super::Edit {
                        span: at,
                        text: insert.to_owned(),
                    }],
                    safe: true,
                });
            }
            self.config.findings.push(finding);
        }
    }

    fn refuse(&mut self, what: String, statement: &Statement) {
        self.config.findings.push(refused(
            format!("named refuses the file: {what}"),
            Spanned::new(what, statement.span),
        ));
    }

    /// Replaces includes by what they name.
    fn expand(
        &mut self,
        statements: Vec<Statement>,
        from: FileId,
        depth: usize,
        missing: &mut Vec<Missing>,
    ) -> Vec<Statement> {
        let mut expanded = Vec::with_capacity(statements.len());
        for statement in statements {
            match statement.keyword().as_str() {
                "include" => {
                    self.config.statements += 1;
                    expanded.extend(self.include(&statement, from, depth, missing));
                }
                "options" => {
                    self.find_directory(&statement);
                    expanded.push(statement);
                }
                _ => expanded.push(statement),
            }
        }
        expanded
    }

    fn find_directory(&mut self, options: &Statement) {
        let directory = options
            .block()
            .and_then(|block| {
                block
                    .statements
                    .iter()
                    .find(|clause| clause.keyword() == "directory")
            })
            .and_then(|clause| clause.word(1));
        if let Some(directory) = directory {
            self.directory = Some(directory.text.clone());
        }
    }

    fn include(
        &mut self,
        statement: &Statement,
        from: FileId,
        depth: usize,
        missing: &mut Vec<Missing>,
    ) -> Vec<Statement> {
        let Some(name) = statement.word(1) else {
            self.refuse("`include` names no file".to_owned(), statement);
            return Vec::new();
        };
        let path = resolve(self.directory.as_deref(), &name.text);
        let opened = if path.contains(['*', '?', '[']) {
            self.files
                .glob(from, &path)
                .into_iter()
                .map(|(_, opened)| opened)
                .collect()
        } else {
            vec![self.files.open(from, &path)]
        };
        let mut statements = Vec::new();
        let mut found = false;
        for opened in opened {
            let Opened::Found { file, bytes } = opened else {
                continue;
            };
            found = true;
            if depth >= INCLUDE_DEPTH
                || self.opened.len() >= INCLUDE_FILES
                || !self.opened.insert(file)
            {
                // A second inclusion of one file, or a loop: read once.
                continue;
            }
            self.config.companions.push(file);
            let tree = syntax::parse(file, &bytes);
            self.broken(tree.broken);
            statements.extend(self.expand(tree.statements, file, depth + 1, missing));
        }
        if found {
            self.config.understood += 1;
        } else if is_stock(&name.text) {
            self.config.understood += 1;
            self.config.stock.push(name.text.clone());
        } else {
            missing.push(Missing {
                name: Spanned::new(name.text.clone(), statement.span),
            });
        }
        statements
    }

    fn top(&mut self, statements: Vec<Statement>, file: FileId) {
        let scope = self.scope(statements, Place::Top, file);
        for statement in scope.clauses {
            let body = statement
                .block()
                .map(|block| block.statements.clone())
                .unwrap_or_default();
            match statement.keyword().as_str() {
                "options" => {
                    self.config.has_options = true;
                    let scope = self.block(body, Place::Options, statement.span.file);
                    self.config.options = scope;
                }
                "acl" => self.acl(statement),
                "view" => self.view(&statement, body),
                "zone" => {
                    if let Some(zone) = self.zone(statement, body) {
                        self.outside_views.insert(zone.name.clone());
                        self.config.zones.push(zone);
                    }
                }
                "server" => {
                    let server = self.server(statement, body);
                    self.config.servers.push(server);
                }
                "plugin" => self.config.plugins.push(statement),
                _ => {}
            }
        }
        self.config.missing.extend(scope.missing);
        if let (Some(plugin), false) = (
            self.config.plugins.first().cloned(),
            self.config.views.is_empty(),
        ) {
            self.refuse("a `plugin` stands outside the views".to_owned(), &plugin);
        }
        if let (Some(first), false) = (
            self.config.zones.first().cloned(),
            self.config.views.is_empty(),
        ) {
            self.refuse(
                format!("zone `{}` stands outside the views", shown(&first.name)),
                &first.statement,
            );
        }
    }

    fn acl(&mut self, statement: Statement) {
        let Some(name) = statement.word(1).map(|word| word.text.clone()) else {
            return;
        };
        // ACL names are compared without case, aclconf.c.
        let key = name.to_ascii_lowercase();
        let built_in = matches!(key.as_str(), "any" | "none" | "localhost" | "localnets");
        if built_in || self.config.acls.contains_key(&key) {
            self.refuse(format!("acl `{name}` is defined twice"), &statement);
        } else {
            self.config.acls.insert(key, statement);
        }
    }

    fn view(&mut self, statement: &Statement, body: Vec<Statement>) {
        let name = statement
            .word(1)
            .map(|word| word.text.clone())
            .unwrap_or_default();
        let mut missing = Vec::new();
        let body = self.expand(body, statement.span.file, 1, &mut missing);
        let mut scope = self.scope(body, Place::View, statement.span.file);
        scope.missing.extend(missing);
        let (mut zones, mut servers, mut plugins) = (Vec::new(), Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for clause in scope.clauses.clone() {
            let body = clause
                .block()
                .map(|block| block.statements.clone())
                .unwrap_or_default();
            match clause.keyword().as_str() {
                "zone" => {
                    if let Some(zone) = self.zone(clause, body) {
                        if !names.insert(zone.name.clone()) {
                            self.twice(&zone);
                        }
                        zones.push(zone);
                    }
                }
                "server" => servers.push(self.server(clause, body)),
                "plugin" => plugins.push(clause),
                _ => {}
            }
        }
        if self.config.views.iter().any(|other| other.name == name) {
            self.refuse(format!("view `{name}` is defined twice"), statement);
        }
        self.config.views.push(View {
            name,
            scope,
            zones,
            servers,
            plugins,
        });
    }

    fn zone(&mut self, statement: Statement, body: Vec<Statement>) -> Option<Zone> {
        let name = statement
            .word(1)?
            .text
            .trim_matches('.')
            .to_ascii_lowercase();
        if statement
            .word(2)
            .is_some_and(|class| !class.text.eq_ignore_ascii_case("in"))
        {
            // Other classes answer other questions (`version.bind CH`).
            return None;
        }
        let scope = self.block(body, Place::Zone, statement.span.file);
        let zone = Zone {
            name,
            scope,
            statement,
        };
        if self.config.views.is_empty() && self.outside_views.contains(&zone.name) {
            self.twice(&zone);
        }
        let kind = zone.kind();
        if kind.is_empty() && zone.scope.missing.is_empty() {
            self.refuse(
                format!("zone `{}` has no `type`", shown(&zone.name)),
                &zone.statement,
            );
        } else if !kind.is_empty() && !TYPES.contains(&kind.as_str()) {
            self.refuse(format!("`{kind}` is no type of zone"), &zone.statement);
        } else if kind == "primary"
            && zone.scope.missing.is_empty()
            && ["file", "database", "dlz"]
                .iter()
                .all(|clause| zone.scope.get(clause).is_none())
        {
            self.refuse(
                format!("primary zone `{}` has no `file`", shown(&zone.name)),
                &zone.statement,
            );
        }
        Some(zone)
    }

    fn twice(&mut self, zone: &Zone) {
        self.refuse(
            format!("zone `{}` is defined twice", shown(&zone.name)),
            &zone.statement,
        );
    }

    fn server(&mut self, statement: Statement, body: Vec<Statement>) -> Server {
        let scope = self.block(body, Place::Server, statement.span.file);
        Server { scope, statement }
    }

    fn block(&mut self, body: Vec<Statement>, place: Place, file: FileId) -> Scope {
        let mut missing = Vec::new();
        let body = self.expand(body, file, 1, &mut missing);
        let mut scope = self.scope(body, place, file);
        scope.missing.extend(missing);
        scope
    }

    /// Sorts out what named refuses: unknown names, and scalars that stand twice.
    fn scope(&mut self, statements: Vec<Statement>, place: Place, _file: FileId) -> Scope {
        let mut scope = Scope::default();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for statement in statements {
            self.config.statements += 1;
            let name = statement.keyword();
            match grammar::standing(place, &name) {
                Standing::Known => {
                    self.config.understood += 1;
                    if !grammar::repeats(place, &name)
                        && let Some(first) = seen.insert(name.clone(), statement.span)
                    {
                        let mut finding = refused(
                            format!("named refuses the file: `{name}` is set twice"),
                            Spanned::new("set here again".to_owned(), statement.span),
                        );
                        finding
                            .related
                            .push(Spanned::new("first set here".to_owned(), first));
                        finding.help = Some(
                            "delete one of the two: named does not let the last one win".to_owned(),
                        );
                        self.config.findings.push(finding);
                    }
                    scope.clauses.push(statement);
                }
                Standing::Removed => {
                    self.config.understood += 1;
                    self.removed(&name, &statement);
                }
                Standing::Newer => scope.strange.push(statement),
                Standing::Unknown => {
                    let shown = statement
                        .word(0)
                        .map_or_else(|| "{".to_owned(), |word| word.text.clone());
                    let mut finding = refused(
                        format!(
                            "named refuses the file: it knows no `{shown}` in {}",
                            place.text()
                        ),
                        Spanned::new("not a statement of named.conf here".to_owned(), {
                            statement.word(0).map_or(statement.span, |word| word.span)
                        }),
                    );
                    finding.help = grammar::meant(place, &name)
                        .map(|meant| format!("write `{meant}`, if that is meant"));
                    self.config.findings.push(finding);
                    scope.strange.push(statement);
                }
            }
        }
        scope
    }

    fn removed(&mut self, name: &str, statement: &Statement) {
        self.config.findings.push(DialectFinding {
            id: REMOVED_OPTION,
            title: format!("`{name}` was removed: named 9.18 and later do not start with it"),
            label: Spanned::new("removed in 9.18".to_owned(), statement.span),
            related: Vec::new(),
            help: Some(format!(
                "delete `{name}`; it has no effect in older versions either"
            )),
            fix: None,
            refuses: false,
        });
    }
}

/// Every type of zone, with the old words.
const TYPES: &[&str] = &[
    "primary",
    "secondary",
    "mirror",
    "hint",
    "stub",
    "static-stub",
    "forward",
    "redirect",
    "delegation-only",
    "in-view",
];

/// A name as people read it.
pub(super) fn shown(zone: &str) -> &str {
    if zone.is_empty() { "." } else { zone }
}

/// A file's name as named would open it.
pub(super) fn resolve(directory: Option<&str>, name: &str) -> String {
    match directory {
        Some(directory) if !name.starts_with('/') => {
            format!("{}/{name}", directory.trim_end_matches('/'))
        }
        Some(_) | None => name.to_owned(),
    }
}

/// Files that the packages ship and that only hold the usual local zones, root hints, keys and trust anchors.
fn is_stock(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    matches!(
        file,
        "named.conf.default-zones"
            | "zones.rfc1918"
            | "named.rfc1912.zones"
            | "named.root.key"
            | "bind.keys"
            | "rndc.key"
            | "rndc.conf"
            | "named.root.hints"
    ) || file
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "key")
}
