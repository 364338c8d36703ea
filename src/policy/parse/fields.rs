//! In: one YAML node. Out: its fields, words and numbers; what is wrong with it goes to [`Problems`].

use std::collections::BTreeMap;

use super::super::PolicyError;
use super::super::parameters::did_you_mean;
use crate::finding::{Outcome, Severity};
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Yaml};

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// In the order in which it was found.
    pub(crate) list: Vec<PolicyError>,
}

impl Problems {
    pub(crate) fn at(&mut self, span: Span, message: impl Into<String>) {
        self.list.push(PolicyError {
            span: Some(span),
            message: message.into(),
            help: None,
        });
    }

    pub(crate) fn with_help(&mut self, span: Span, message: impl Into<String>, help: String) {
        self.list.push(PolicyError {
            span: Some(span),
            message: message.into(),
            help: Some(help),
        });
    }
}

/// A mapping with a fixed vocabulary.
#[derive(Debug)]
pub(crate) struct Fields<'y> {
    what: &'static str,
    span: Span,
    entries: &'y [(Spanned<String>, Yaml)],
}

impl<'y> Fields<'y> {
    /// The fields of a mapping; keys that are not known are reported.
    pub(crate) fn new(
        yaml: &'y Yaml,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Node::Map(entries) = &yaml.value else {
            let found = super::found(&yaml.value);
            problems.at(yaml.span, format!("{what} is a mapping, this is {found}"));
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.value.as_str()) {
                problems.with_help(
                    key.span,
                    format!("{what} has no key `{}`", key.value),
                    did_you_mean(&key.value, known),
                );
            }
        }
        Some(Self {
            what,
            span: yaml.span,
            entries,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'y Yaml> {
        self.entries
            .iter()
            .find(|(key, _)| key.value == name)
            .map(|(_, value)| value)
    }

    /// Where a key stands.
    pub(crate) fn key(&self, name: &str) -> Option<Span> {
        self.entries
            .iter()
            .find(|(key, _)| key.value == name)
            .map(|(key, _)| key.span)
    }

    pub(crate) fn required(&self, name: &str, problems: &mut Problems) -> Option<&'y Yaml> {
        let value = self.get(name);
        if value.is_none() {
            problems.at(self.span, format!("{} needs a `{name}`", self.what));
        }
        value
    }

    /// A field that holds text, where it is given.
    pub(crate) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        self.get(name).and_then(|yaml| text(yaml, problems))
    }
}

/// A scalar.
pub(crate) fn text(yaml: &Yaml, problems: &mut Problems) -> Option<String> {
    match &yaml.value {
        Node::Scalar(text) => Some(text.clone()),
        Node::Null | Node::List(_) | Node::Map(_) => {
            let found = super::found(&yaml.value);
            problems.at(yaml.span, format!("expected text, found {found}"));
            None
        }
    }
}

/// A name that can stand in rule names: lower-case letters, digits and hyphens.
pub(crate) fn identifier(yaml: &Yaml, problems: &mut Problems) -> Option<String> {
    let word = text(yaml, problems)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if word.is_empty() || !word.chars().all(fits) {
        problems.at(
            yaml.span,
            format!("`{word}` is no id: use lower-case letters, digits and hyphens"),
        );
        return None;
    }
    Some(word)
}

/// A whole number.
pub(crate) fn number(yaml: &Yaml, problems: &mut Problems) -> Option<u64> {
    let word = text(yaml, problems)?;
    let number = word.parse().ok();
    if number.is_none() {
        problems.at(yaml.span, format!("`{word}` is no whole number"));
    }
    number
}

/// `true` or `false`.
pub(crate) fn truth(yaml: &Yaml, problems: &mut Problems) -> bool {
    match text(yaml, problems).as_deref() {
        Some("true") => true,
        Some("false") | None => false,
        Some(other) => {
            problems.at(
                yaml.span,
                format!("`{other}` is neither `true` nor `false`"),
            );
            false
        }
    }
}

/// A list's items.
pub(crate) fn list<'y>(yaml: &'y Yaml, problems: &mut Problems) -> &'y [Yaml] {
    match &yaml.value {
        Node::List(items) => items,
        Node::Null | Node::Scalar(_) | Node::Map(_) => {
            let found = super::found(&yaml.value);
            problems.at(yaml.span, format!("expected a list, found {found}"));
            &[]
        }
    }
}

/// A mapping's entries, where its keys are free.
pub(crate) fn entries<'y>(
    yaml: &'y Yaml,
    problems: &mut Problems,
) -> &'y [(Spanned<String>, Yaml)] {
    match &yaml.value {
        Node::Map(entries) => entries,
        Node::Null | Node::Scalar(_) | Node::List(_) => {
            let found = super::found(&yaml.value);
            problems.at(yaml.span, format!("expected a mapping, found {found}"));
            &[]
        }
    }
}

/// One word or a list of words.
pub(crate) fn words(yaml: &Yaml, problems: &mut Problems) -> Vec<Spanned<String>> {
    let items = match &yaml.value {
        Node::List(items) => items.as_slice(),
        Node::Null | Node::Scalar(_) | Node::Map(_) => std::slice::from_ref(yaml),
    };
    items
        .iter()
        .filter_map(|item| Some(Spanned::new(text(item, problems)?, item.span)))
        .collect()
}

/// `error`, `warning`, `info`.
pub(crate) fn severity(yaml: &Yaml, problems: &mut Problems) -> Option<Severity> {
    let known = [Severity::Error, Severity::Warning, Severity::Info];
    let word = text(yaml, problems)?;
    let severity = known.into_iter().find(|severity| severity.word() == word);
    if severity.is_none() {
        let words = known.map(Severity::word);
        let message = format!("`{word}` is no severity");
        problems.with_help(yaml.span, message, did_you_mean(&word, &words));
    }
    severity
}

/// `pass`, `degraded`, `fail`, `undecided`, `not-applicable`.
pub(crate) fn outcome(yaml: &Yaml, problems: &mut Problems) -> Option<Outcome> {
    let word = text(yaml, problems)?;
    let outcome = Outcome::from_word(&word);
    if outcome.is_none() {
        let words = ["pass", "degraded", "fail", "undecided", "not-applicable"];
        let message = format!("`{word}` is no outcome");
        problems.with_help(yaml.span, message, did_you_mean(&word, &words));
    }
    outcome
}

/// Words by outcome, from the keys `pass`, `degraded`, `undecided`, `fail`.
pub(crate) fn outcome_words(
    fields: &Fields<'_>,
    problems: &mut Problems,
) -> BTreeMap<Outcome, String> {
    super::OUTCOMES
        .into_iter()
        .filter_map(|outcome| Some((outcome, fields.text(outcome.word(), problems)?)))
        .collect()
}
