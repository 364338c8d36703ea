//! In: a [`Config`]. Out: its reading: one gate with the stages of each view, settings, facts, diagnostics.
//!
//! A lookup enters at the access stage (`listen-on`, `blackhole`), goes to the first view that takes its client, and
//! passes that view's zones, its recursion lists and forwarders, and its answer filters. A clause of a view overrides
//! the one of `options`; a clause that is not understood makes its scope undecided.

use super::super::dns::{self, ACCESS, ANSWERS, Hop, NAMES, obscure, version, way};
use super::super::{DialectFinding, Facts, Files, Input, Reading};
use super::acl::Lists;
use super::parse::Config;
use super::scene::{Context, Scene, number, scenes};
use super::scope::{Missing, Scope};
use super::syntax::Statement;
use super::{access, answers, edns, names, refused};
use crate::model::{
    ChainId, Denial, Edge, Effect, Fallback, Gate, Guard, Layer, Onward, Stage, StageId,
};
use crate::source::{Span, Spanned};

/// The version that is assumed where no fact tells it.
pub(super) const ASSUMED: (u32, u32, u32) = (9, 18, 0);

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
    check_lists(&mut gate, &mut lists, &scenes);
    lists.undefined.sort_by_key(|name| name.span);
    lists.undefined.dedup();
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

/// Lists that decide nothing here, but must name defined acls all the same.
fn check_lists(gate: &mut Gate, lists: &mut Lists<'_>, scenes: &[Scene<'_>]) {
    let (unknowns, strange) = (gate.unknowns.len(), lists.strange.len());
    for name in [
        "allow-notify",
        "allow-query",
        "allow-query-cache",
        "allow-query-cache-on",
        "allow-query-on",
        "allow-recursion",
        "allow-recursion-on",
        "allow-transfer",
        "allow-update",
        "allow-update-forwarding",
        "keep-response-order",
        "no-case-compress",
    ] {
        for clause in scenes.iter().filter_map(|scene| scene.get(name)) {
            lists.clause(gate, clause);
        }
    }
    gate.unknowns.truncate(unknowns);
    lists.strange.truncate(strange);
}

fn gate_of(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scenes: &[Scene<'_>],
) {
    let config = context.config;
    let access = gate.chain("access");
    access::reachable(gate, lists, access, &config.options);
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
            guard: access::takes(gate, lists, *scene),
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

fn hops(
    gate: &mut Gate,
    context: &mut Context<'_>,
    lists: &mut Lists<'_>,
    scene: Scene<'_>,
    access: ChainId,
) -> Vec<Hop> {
    let names = names::chain(gate, context, lists, scene);
    let upstream = access::recursion(gate, context, lists, scene);
    let answers = answers::chain(gate, context, lists, scene);
    vec![
        Hop::new(
            ACCESS,
            access,
            Effect::Allow,
            "the client reaches the server",
        ),
        Hop::new(
            NAMES,
            names,
            Effect::Allow,
            "no zone of the server covers the name",
        ),
        upstream,
        Hop::new(
            ANSWERS,
            answers,
            Effect::Allow,
            "no filter takes the answer",
        ),
    ]
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

/// The name asked for lies in one of these trees.
pub(super) fn in_trees(gate: &mut Gate, trees: &[String]) -> Guard {
    Guard::AnyOf(
        trees
            .iter()
            .map(|name| dns::host(gate, name, crate::model::DomainScope::Tree))
            .collect(),
    )
}
