//! In: the text of `gatelint.yaml`. Out: the [`Project`], or every error that was found, each with its place.

use jiff::civil::Date;

use super::shape::{EXCEPTION, FAIL_ON, Key, PROJECT, ROLES, TARGET, names};
use super::{Exception, FailOn, Project, TargetEntry};
use crate::config::{Facts, KINDS, kind_called};
use crate::finding::Severity;
use crate::model::Ranges;
use crate::policy::fields::{self, Fields, Problems};
use crate::policy::{DeclaredClients, PolicyError, did_you_mean, network};
use crate::source::{FileId, Sources, Span, Spanned};
use crate::yaml::{self, Node, Yaml};

/// Reads a project's config; an empty file says nothing and is none of an error.
pub fn parse(sources: &Sources, file: FileId) -> Result<Project, Vec<PolicyError>> {
    let mut problems = Problems::default();
    let bytes = &sources.file(file).bytes;
    let project = match std::str::from_utf8(bytes) {
        Ok(text) => {
            // A byte order mark would shift every place: YAML readers skip it themselves.
            match yaml::read(file, text) {
                Ok(tree) => read(file, &tree, &mut problems),
                Err(error) => {
                    problems.at(error.span, format!("this is not YAML: {}", error.value));
                    None
                }
            }
        }
        Err(error) => {
            let at = Span::new(file, error.valid_up_to(), error.valid_up_to() + 1);
            problems.at(at, "the file is not UTF-8 from here on");
            None
        }
    };
    match project {
        Some(project) if problems.list.is_empty() => Ok(project),
        Some(_) | None => Err(problems.list),
    }
}

fn read(file: FileId, tree: &Yaml, problems: &mut Problems) -> Option<Project> {
    let nothing = Yaml::new(Node::Map(Vec::new()), tree.span);
    let tree = if tree.value == Node::Null {
        &nothing
    } else {
        tree
    };
    let top = mapping(tree, "the project's config", PROJECT, problems)?;
    Some(Project {
        file,
        extends: top
            .get("extends")
            .map_or_else(Vec::new, |yaml| fields::words(yaml, problems)),
        set: named(&top, "set", problems),
        facts: facts(&top, problems),
        clients: clients(&top, problems),
        fail_on: word(&top, "fail-on", FAIL_ON, problems).map(|word| match word.as_str() {
            "never" => FailOn::Never,
            "info" => FailOn::From(Severity::Info),
            "warning" => FailOn::From(Severity::Warning),
            _ => FailOn::From(Severity::Error),
        }),
        targets: items(&top, "targets", target, problems),
        baseline: path(&top, "baseline", problems),
        networks: path(&top, "networks", problems),
        exceptions: items(&top, "exceptions", exception, problems),
    })
}

/// A path and its place.
fn path(fields: &Fields<'_>, key: &str, problems: &mut Problems) -> Option<Spanned<String>> {
    let yaml = fields.get(key)?;
    Some(Spanned::new(fields::text(yaml, problems)?, yaml.span))
}

/// A mapping with the keys of a shape.
fn mapping<'y>(
    yaml: &'y Yaml,
    what: &'static str,
    keys: &[Key],
    problems: &mut Problems,
) -> Option<Fields<'y>> {
    let fields = Fields::new(yaml, what, &names(keys), problems)?;
    for key in keys.iter().filter(|key| key.is_required) {
        fields.required(key.name, problems);
    }
    Some(fields)
}

fn items<T>(
    top: &Fields<'_>,
    name: &str,
    one: fn(&Yaml, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Vec<T> {
    top.get(name).map_or_else(Vec::new, |yaml| {
        fields::list(yaml, problems)
            .iter()
            .filter_map(|item| one(item, problems))
            .collect()
    })
}

fn named(
    fields: &Fields<'_>,
    name: &str,
    problems: &mut Problems,
) -> Vec<(Spanned<String>, String)> {
    fields.get(name).map_or_else(Vec::new, |yaml| {
        fields::entries(yaml, problems)
            .iter()
            .map(|(key, value)| {
                let words: Vec<String> = fields::words(value, problems)
                    .into_iter()
                    .map(|word| word.value)
                    .collect();
                (key.clone(), words.join(","))
            })
            .collect()
    })
}

fn facts(fields: &Fields<'_>, problems: &mut Problems) -> Facts {
    let mut facts = Facts::default();
    for (name, value) in named(fields, "facts", problems) {
        facts.set(name.value, value);
    }
    facts
}

fn clients(fields: &Fields<'_>, problems: &mut Problems) -> Option<DeclaredClients> {
    let words = fields::words(fields.get("clients")?, problems);
    let mut all = Ranges::empty();
    for word in &words {
        match network(&word.value) {
            Some(ranges) => all = all.union(&ranges),
            None => problems.with_help(
                word.span,
                format!("`{}` is no address and no network", word.value),
                "write it as `10.20.0.0/16`".to_owned(),
            ),
        }
    }
    Some((words.into_iter().map(|word| word.value).collect(), all))
}

/// One of a few words.
fn word(
    fields: &Fields<'_>,
    name: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Option<String> {
    let yaml = fields.get(name)?;
    let word = fields::text(yaml, problems)?;
    if known.contains(&word.as_str()) {
        return Some(word);
    }
    let message = format!("`{word}` cannot stand at `{name}`");
    problems.with_help(yaml.span, message, did_you_mean(&word, known));
    None
}

fn target(yaml: &Yaml, problems: &mut Problems) -> Option<TargetEntry> {
    let fields = mapping(yaml, "a target", TARGET, problems)?;
    let kind = fields.get("kind").and_then(|yaml| {
        let name = fields::text(yaml, problems)?;
        let kind = kind_called(&name);
        if kind.is_none() {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            let help = did_you_mean(&name, &known);
            problems.with_help(yaml.span, format!("`{name}` is no kind"), help);
        }
        kind
    });
    let mut facts = facts(&fields, problems);
    if let Some(role) = word(&fields, "role", ROLES, problems) {
        facts.set("role", role);
    }
    let clients = clients(&fields, problems);
    let path = fields.get("path")?;
    Some(TargetEntry {
        path: Spanned::new(fields::text(path, problems)?, path.span),
        kind,
        facts,
        clients,
    })
}

fn exception(yaml: &Yaml, problems: &mut Problems) -> Option<Exception> {
    let fields = mapping(yaml, "an exception", EXCEPTION, problems)?;
    let expires = fields.get("expires").and_then(|yaml| {
        let word = fields::text(yaml, problems)?;
        let day: Option<Date> = word.parse().ok();
        if day.is_none() {
            problems.with_help(
                yaml.span,
                format!("`{word}` is no day"),
                "write it as `2027-03-31`".to_owned(),
            );
        }
        day
    });
    for name in ["reason", "owner"] {
        if let Some(yaml) = fields.get(name)
            && fields::text(yaml, problems).is_some_and(|text| text.trim().is_empty())
        {
            problems.at(yaml.span, format!("the {name} of an exception is empty"));
        }
    }
    let rule = fields.get("rule")?;
    Some(Exception {
        span: yaml.span,
        rule: Spanned::new(fields::text(rule, problems)?, rule.span),
        target: fields.text("target", problems),
        reason: fields.text("reason", problems)?,
        owner: fields.text("owner", problems)?,
        expires: expires?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Project, Vec<(u32, String)>> {
        let sources = Sources::new();
        let file = sources
            .add("gatelint.yaml", text.as_bytes().to_vec())
            .unwrap();
        parse(&sources, file).map_err(|errors| {
            let line = |error: &PolicyError| error.span.map_or(0, |span| sources.line(span));
            errors
                .iter()
                .map(|error| {
                    let help = error.help.clone().unwrap_or_default();
                    (line(error), format!("{error}; {help}"))
                })
                .collect()
        })
    }

    #[test]
    fn every_key_is_read() {
        let project = told(
            "extends: [builtin:chime]\nset: {clients: [javascript, ios]}\nfacts: {squid.version: 5.10}\n\
             clients: [10.20.0.0/16]\nfail-on: never\ntargets:\n  - {path: fw/edge, kind: ip6tables, role: gateway}\n\
             exceptions:\n  - {rule: chime/media, target: fw/edge, reason: swap, owner: netops, expires: 2027-03-31}\n",
        )
        .unwrap();
        assert_eq!(project.extends[0].value, "builtin:chime");
        assert_eq!(project.set[0].1, "javascript,ios");
        assert_eq!(project.facts.get("squid.version"), Some("5.10"));
        assert_eq!(project.clients.unwrap().0, ["10.20.0.0/16"]);
        assert_eq!(project.fail_on, Some(FailOn::Never));
        assert_eq!(project.targets[0].facts.get("role"), Some("gateway"));
        assert_eq!(project.exceptions[0].expires.to_string(), "2027-03-31");
        assert!(told("# nothing yet\n").is_ok());
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let errors = told(
            "exend: []\nfail-on: errors\ntargets:\n  - {kind: iptabels, path: x}\n  - {role: gateway}\n\
             exceptions:\n  - {rule: a, reason: \"\", owner: b, expires: soon}\n  - {rule: a, owner: b, expires: 2027-01-01}\n",
        )
        .unwrap_err();
        let lines: Vec<u32> = errors.iter().map(|(line, _)| *line).collect();
        for line in [1, 2, 4, 5, 7, 8] {
            assert!(lines.contains(&line), "{line}: {errors:#?}");
        }
        assert!(
            errors
                .iter()
                .any(|(_, e)| e.contains("did you mean `extends`"))
        );
        assert!(
            errors
                .iter()
                .any(|(_, e)| e.contains("did you mean `iptables`"))
        );
    }
}
