//! In: a [`Config`]. Out: its reading: one gate with the stages of each view, settings, facts, diagnostics.
//!
//! A lookup enters at the access stage (`listen-on`, `blackhole`), goes to the first view that takes its client, and
//! passes that view's zones, its recursion lists and forwarders, and its answer filters. A clause of a view overrides
//! the one of `options`; a clause that is not understood makes its scope undecided.

use super::super::dns::{self, ACCESS, ANSWERS, Hop, NAMES, UPSTREAM, deny, version, way};
use super::super::{DialectFinding, Facts, Files, Input, Reading};
use super::acl::{self, List, Lists};
use super::parse::{Config, Missing, Scope, Server, View, Zone};
use super::syntax::{Statement, Word};
use super::{answers, edns, names, refused};
use crate::model::{
    ChainId, ClientGroup, Denial, Dim, Edge, Effect, Fallback, Gate, Guard, Layer, Onward, Ranges,
    Rule, Stage, StageId, Step, Unknown, UnknownKind,
};
use crate::source::{Span, Spanned};

/// The version that is assumed where no fact tells it.
pub(super) const ASSUMED: (u32, u32, u32) = (9, 18, 0);

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

/// The reading of a config.
pub(super) fn lower(
    input: &Input<'_>,
    mut config: Config,
    files: &dyn Files,
    facts: &Facts,
) -> Reading {
    let mut reading = Reading {
        findings: std::mem::take(&mut config.findings),
        statements: config.statements,
        understood: config.understood,
        companions: std::mem::take(&mut config.companions),
        ..Reading::default()
    };
    let known_version = facts.get("bind.version").and_then(version);
    if known_version.is_none() {
        reading
            .assumptions
            .push("named is of version 9.18 (`--fact bind.version=...`)".to_owned());
    }
    let running = known_version.unwrap_or(ASSUMED);
    for finding in &mut reading.findings {
        finding.refuses |=
            finding.id == super::REMOVED_OPTION && known_version.is_some_and(|v| v >= (9, 18, 0));
    }
    for stock in &config.stock {
        reading
            .assumptions
            .push(format!("`{stock}` is as the package ships it"));
    }
    let scenes = scenes(&config);
    let mut context = Context {
        config: &config,
        files,
        whole: Span::new(input.file, 0, 0),
        zone_files: names::ZoneFiles::default(),
        assumptions: Vec::new(),
    };
    let mut gate = Gate::new("named", Layer::Lookup);
    let mut lists = Lists::new(&config, facts);
    gate_of(&mut gate, &mut context, &mut lists, &scenes);
    for name in &lists.undefined {
        reading.findings.push(refused(
            format!(
                "named refuses the file: acl `{}` is not defined",
                name.value
            ),
            Spanned::new("no acl has this name".to_owned(), name.span),
        ));
    }
    for element in &lists.refused {
        reading.findings.push(refused(
            format!("named refuses the file: {}", element.value),
            element.clone(),
        ));
    }
    reading.understood = reading.understood.saturating_sub(lists.strange.len());
    reading.assumptions.append(&mut context.assumptions);
    edns::report(&mut reading, &config, &scenes, running);
    reading.not_judged = authoritative_only(&config, &scenes);
    reading.role = Some(role(&scenes, reading.not_judged.is_some()).to_owned());
    warn(&mut reading, &config, &scenes);
    gate.assumptions.clone_from(&reading.assumptions);
    reading.gates.push(gate);
    reading
}

fn gate_of(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scenes: &[Scene<'_>],
) {
    let config = context.config;
    let access = gate.chain("access");
    reachable(gate, lists, access, &config.options);
    obscure_scope(gate, access, &config.options);
    let [Scene { view: None, .. }] = scenes else {
        for missing in &config.missing {
            obscure_missing(gate, access, missing);
        }
        views(gate, context, lists, scenes, access);
        return;
    };
    for scene in scenes {
        let hops = hops(gate, context, lists, *scene, access);
        way(gate, hops);
    }
}

/// The entry stage, then four stages for each view, then the one of clients that no view takes.
fn views(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scenes: &[Scene<'_>],
    access: ChainId,
) {
    let stage =
        |index: usize| Onward::Stage(StageId(u32::try_from(1 + 4 * index).unwrap_or(u32::MAX)));
    let mut edges: Vec<Edge> = Vec::with_capacity(scenes.len() + 1);
    for (index, scene) in scenes.iter().enumerate() {
        edges.push(Edge {
            guard: takes(gate, lists, *scene),
            to: stage(index),
        });
    }
    edges.push(Edge {
        guard: Guard::Always,
        to: stage(scenes.len()),
    });
    gate.stage(Stage {
        name: ACCESS.to_owned(),
        enter: Vec::new(),
        chain: Some(access),
        fallback: Fallback {
            effect: Effect::Allow,
            span: None,
            text: "the client reaches the server".to_owned(),
        },
        edges,
    });
    for scene in scenes {
        let chain = gate.chain(format!("view {}", scene.name()));
        if let Some(view) = scene.view {
            obscure_scope(gate, chain, &view.scope);
        }
        let hops = hops(gate, context, lists, *scene, chain);
        way(gate, hops);
    }
    gate.stage(Stage {
        name: ACCESS.to_owned(),
        enter: Vec::new(),
        chain: None,
        fallback: Fallback {
            effect: Effect::Deny(Denial::Refused),
            span: None,
            text: "no view takes this client".to_owned(),
        },
        edges: Vec::new(),
    });
    // A stage without a chain allows, so the refusal needs one.
    let nobody = gate.chain("no view");
    if let Some(last) = gate.stages.last_mut() {
        last.chain = Some(nobody);
    }
}

/// Holds for the clients that a view takes.
fn takes(gate: &mut Gate, lists: &mut Lists<'_>, scene: Scene<'_>) -> Guard {
    let Some(view) = scene.view else {
        return Guard::Always;
    };
    let mut guards = Vec::new();
    if let Some(clause) = view.scope.get("match-clients") {
        guards.push(lists.clause(gate, clause).guard());
    }
    if let Some(clause) = view.scope.get("match-destinations")
        && !lists.clause(gate, clause).accepts_all()
    {
        guards.push(destination(gate, clause));
    }
    Guard::All(guards)
}

/// Which of the server's addresses a client asks is not a part of the flow.
fn destination(gate: &mut Gate, clause: &Statement) -> Guard {
    let text = format!(
        "the server's address that clients ask (`{}`)",
        clause.keyword()
    );
    Guard::Unknown(gate.unknown(Unknown {
        kind: UnknownKind::Fact,
        code: "destination",
        identity: Some(text.clone()),
        text,
        span: Some(clause.span),
    }))
}

fn hops(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
    access: ChainId,
) -> Vec<Hop> {
    let names = names::chain(gate, context, lists, scene);
    let upstream = upstream(gate, context, lists, scene);
    let answers = answers::chain(gate, context, lists, scene);
    vec![
        Hop {
            name: ACCESS,
            chain: access,
            fallback: Effect::Allow,
            span: None,
            text: "the client reaches the server".to_owned(),
        },
        Hop {
            name: NAMES,
            chain: names,
            fallback: Effect::Allow,
            span: None,
            text: "no zone of the server covers the name".to_owned(),
        },
        upstream,
        Hop {
            name: ANSWERS,
            chain: answers,
            fallback: Effect::Allow,
            span: None,
            text: "no filter takes the answer".to_owned(),
        },
    ]
}

/// `listen-on` and `blackhole`.
fn reachable(gate: &mut Gate, lists: &mut Lists<'_>, chain: ChainId, options: &Scope) {
    for (name, family) in [
        ("listen-on", Ranges::ipv4()),
        ("listen-on-v6", Ranges::ipv6()),
    ] {
        // TLS and HTTP listeners do not answer plain DNS.
        let clauses: Vec<&Statement> = options
            .all(name)
            .filter(|clause| {
                !clause
                    .words()
                    .any(|word| word.text == "tls" || word.text == "http")
            })
            .collect();
        let Some(last) = clauses.last() else {
            continue;
        };
        let mut beyond_loopback = false;
        for clause in &clauses {
            let list = lists.clause(gate, clause);
            beyond_loopback |= list
                .exact()
                .is_none_or(|own| !own.minus(&acl::loopback()).intersect(&family).is_empty());
        }
        if !beyond_loopback {
            gate.rule(
                chain,
                Rule {
                    guard: Guard::number(Dim::Source, family.minus(&acl::loopback())),
                    step: deny(Denial::Unreachable),
                    span: last.span,
                },
            );
        }
    }
    if let Some(clause) = options.get("blackhole") {
        let guard = lists.clause(gate, clause).guard();
        gate.rule(
            chain,
            Rule {
                guard,
                step: deny(Denial::Drop),
                span: clause.span,
            },
        );
    }
}

/// Who may have names resolved, and by whom they are.
fn upstream(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
) -> Hop {
    let chain = gate.chain(UPSTREAM);
    if !scene.recurses() {
        let clause = scene.get("recursion");
        return Hop {
            name: UPSTREAM,
            chain,
            fallback: Effect::Deny(Denial::Refused),
            span: clause.map(|clause| clause.span),
            text: "`recursion no`: the server only answers for its own zones".to_owned(),
        };
    }
    let recursion = scene.get("allow-recursion");
    let cache = scene.get("allow-query-cache");
    let query = scene.get("allow-query");
    let mut spans = Vec::new();
    let mut guards = Vec::new();
    // Each is the other's default, then allow-query, then localhost and localnets (configure_view).
    for clause in [recursion.or(cache).or(query), cache.or(recursion).or(query)] {
        let list = match clause {
            Some(clause) => {
                spans.push(clause.span);
                lists.clause(gate, clause)
            }
            None => lists.local(gate),
        };
        groups(gate, &list, clause);
        guards.push(list.guard());
    }
    for name in ["allow-recursion-on", "allow-query-cache-on"] {
        if let Some(clause) = scene.get(name)
            && !lists.clause(gate, clause).accepts_all()
        {
            guards.push(destination(gate, clause));
        }
    }
    let forwarding = edns::forwarding(gate, context, scene);
    gate.rule(
        chain,
        Rule {
            guard: Guard::All(guards),
            step: Step::Call(forwarding),
            span: spans.first().copied().unwrap_or(context.whole),
        },
    );
    Hop {
        name: UPSTREAM,
        chain,
        fallback: Effect::Deny(Denial::Refused),
        span: spans.first().copied(),
        text: if spans.is_empty() {
            "by default only the server itself and its own networks may have names resolved"
                .to_owned()
        } else {
            "no element of the list accepts the client".to_owned()
        },
    }
}

/// Who the clients may be: those that may have names resolved.
fn groups(gate: &mut Gate, list: &List, clause: Option<&Statement>) {
    let surely = list.surely();
    let beyond = surely.minus(&acl::loopback());
    let (name, sources) = if surely.is_full() {
        ("any client".to_owned(), surely)
    } else if beyond.is_empty() {
        ("the server's own networks (localnets)".to_owned(), surely)
    } else {
        ("clients that may have names resolved".to_owned(), beyond)
    };
    let group = ClientGroup {
        name,
        sources,
        interface: None,
        span: clause.map(|clause| clause.span),
    };
    if !group.sources.is_empty() && !gate.groups.contains(&group) {
        gate.groups.push(group);
    }
}

/// What cannot be read in a scope makes all of it undecided.
fn obscure_scope(gate: &mut Gate, chain: ChainId, scope: &Scope) {
    for missing in &scope.missing {
        obscure_missing(gate, chain, missing);
    }
    for clause in &scope.strange {
        let name = clause.keyword();
        obscure(
            gate,
            chain,
            Guard::Always,
            clause.span,
            "clause",
            format!("what `{name}` does"),
        );
    }
}

/// An include that was not given makes undecided what it may hold.
pub(super) fn obscure_missing(gate: &mut Gate, chain: ChainId, missing: &Missing) {
    obscure(
        gate,
        chain,
        Guard::Always,
        missing.name.span,
        "include",
        format!("the included file `{}`", missing.name.value),
    );
}

/// The flows of a guard are undecided.
pub(super) fn obscure(
    gate: &mut Gate,
    chain: ChainId,
    guard: Guard,
    span: Span,
    code: &'static str,
    text: String,
) {
    let step = opaque(gate, span, code, text);
    gate.rule(chain, Rule { guard, step, span });
}

/// A step whose effect is not known.
pub(super) fn opaque(gate: &mut Gate, span: Span, code: &'static str, text: String) -> Step {
    Step::Obscure(gate.unknown(Unknown {
        kind: UnknownKind::Opaque,
        code,
        identity: Some(text.clone()),
        text,
        span: Some(span),
    }))
}

/// Answers for its own zones only, so no client of a meeting asks it.
fn authoritative_only(config: &Config, scenes: &[Scene<'_>]) -> Option<String> {
    let serves = scenes.iter().any(|scene| {
        scene
            .zones
            .iter()
            .any(|zone| matches!(zone.kind().as_str(), "primary" | "secondary"))
    });
    let complete = config.options.missing.is_empty()
        && scenes
            .iter()
            .all(|scene| scene.view.is_none_or(|view| view.scope.missing.is_empty()));
    let views_complete = config.views.is_empty() || config.missing.is_empty();
    (serves && complete && views_complete && scenes.iter().all(|scene| !scene.recurses()))
        .then(|| "authoritative only (`recursion no`)".to_owned())
}

fn role(scenes: &[Scene<'_>], authoritative: bool) -> &'static str {
    if authoritative {
        "authoritative name server"
    } else if scenes.iter().any(|scene| scene.get("forwarders").is_some()) {
        "forwarder"
    } else {
        "resolver"
    }
}

/// What works, but not as it looks.
fn warn(reading: &mut Reading, config: &Config, scenes: &[Scene<'_>]) {
    let mut warn = |id: &'static str, title: String, label: &str, span: Span, help: &str| {
        reading.findings.push(DialectFinding {
            id,
            title,
            label: Spanned::new(label.to_owned(), span),
            related: Vec::new(),
            help: Some(help.to_owned()),
            fix: None,
            refuses: false,
        });
    };
    for scene in scenes {
        if let Some(view) = scene.view
            && let (false, Some(server)) = (view.servers.is_empty(), config.servers.first())
        {
            warn(
                "bind/server-ignored-in-view",
                format!("View `{}` ignores every `server` outside it", view.name),
                "not used in this view",
                server.statement.span,
                "repeat the statement in the view: a view with a `server` of its own takes none from outside",
            );
        }
        for zone in scene.zones {
            let empty = zone
                .scope
                .get("forwarders")
                .and_then(Statement::block)
                .is_some_and(|block| block.statements.is_empty());
            if zone.kind() == "forward" && empty {
                warn(
                    "bind/forwarders-empty",
                    format!(
                        "Names below `{}` are not blocked by an empty `forwarders`: named asks the root",
                        super::parse::shown(&zone.name)
                    ),
                    "turns forwarding off for these names",
                    zone.statement.span,
                    "keep it if the server may ask the internet directly; to block, use a primary zone",
                );
            }
        }
    }
    for clause in edns::sized(config, scenes) {
        if let Some(size) = clause.word(1).and_then(number)
            && !(512..=4096).contains(&size)
        {
            let name = clause.keyword();
            warn(
                "bind/size-out-of-range",
                format!(
                    "`{name} {size}` is outside 512 to 4096: named uses {}",
                    size.clamp(512, 4096)
                ),
                "clamped without a word, refused by versions after 9.21.16",
                clause.span,
                "set 1232, which crosses every path unfragmented",
            );
        }
    }
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
pub(super) fn name_list(block: &super::syntax::Block) -> Vec<String> {
    block
        .statements
        .iter()
        .filter_map(|statement| statement.word(0))
        .map(|word| word.text.trim_matches('.').to_ascii_lowercase())
        .collect()
}

/// The name asked for lies in one of these trees.
pub(super) fn in_trees(gate: &mut Gate, trees: &[String]) -> Guard {
    Guard::AnyOf(
        trees
            .iter()
            .map(|name| dns::host(gate, name, crate::model::DomainScope::Tree))
            .collect(),
    )
}
