//! In: a parameter's name and value as a user writes them. Out: the policy with that value, or what is wrong with it.

use std::collections::BTreeSet;

use super::{Parameter, ParameterKind, ParameterValue, Policy, PolicyError};
use crate::model::Ranges;

impl Policy {
    /// Sets a parameter: `clients=javascript,ios`, lists comma-separated.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PolicyError> {
        let known: Vec<String> = self.parameters.iter().map(|p| p.name.clone()).collect();
        let Some(parameter) = self.parameters.iter_mut().find(|p| p.name == name) else {
            return Err(PolicyError {
                span: None,
                message: format!("policy `{}` has no parameter `{name}`", self.id),
                help: Some(did_you_mean(name, &known)),
            });
        };
        let words: Vec<&str> = value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        parameter.value = value_of(&parameter.kind, &words)
            .map_err(|error| error_about(parameter, value, error))?;
        Ok(())
    }
}

fn error_about(parameter: &Parameter, value: &str, help: String) -> PolicyError {
    PolicyError {
        span: None,
        message: format!("`{value}` is no value of parameter `{}`", parameter.name),
        help: Some(help),
    }
}

/// The value that the words give, or how to write one.
pub(super) fn value_of(kind: &ParameterKind, words: &[&str]) -> Result<ParameterValue, String> {
    let booleans = ["true".to_owned(), "false".to_owned()];
    let (allowed, one): (&[String], bool) = match kind {
        ParameterKind::Set(words) => (words, false),
        ParameterKind::Enum(words) => (words, true),
        ParameterKind::Boolean => (&booleans, true),
        ParameterKind::Networks => return networks(words),
    };
    if let Some(wrong) = words
        .iter()
        .find(|word| !allowed.iter().any(|a| a == *word))
    {
        return Err(did_you_mean(wrong, allowed));
    }
    if one && words.len() != 1 {
        return Err(format!("give one of {}", listed(allowed)));
    }
    let words: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(ParameterValue::Words(words))
}

fn networks(words: &[&str]) -> Result<ParameterValue, String> {
    if words == ["undeclared"] {
        return Ok(ParameterValue::Networks(None));
    }
    let mut all = Ranges::empty();
    for word in words {
        let Some(ranges) = network(word) else {
            return Err(format!(
                "`{word}` is no network: write `10.20.0.0/16`, an address, or `undeclared`"
            ));
        };
        all = all.union(&ranges);
    }
    let written = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(ParameterValue::Networks(Some((written, all))))
}

/// The addresses of `10.0.0.0/8` or `10.0.0.1`.
pub(crate) fn network(word: &str) -> Option<Ranges> {
    if let Ok(net) = word.parse::<ipnet::IpNet>() {
        return Some(Ranges::network(net));
    }
    word.parse().ok().map(Ranges::host)
}

/// The nearest of the known words, or all of them.
pub fn did_you_mean(word: &str, known: &[impl AsRef<str>]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(word, candidate.as_ref()), candidate.as_ref()))
        .min();
    match nearest {
        Some((far, candidate)) if far <= ((candidate.len().max(word.len()) + 1) / 3).max(1) => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) => format!("known here: {}", listed(known)),
        None => "nothing can be written here".to_owned(),
    }
}

fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    words.join(", ")
}

/// Edits between two words (Levenshtein), for words of at most 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.chars().take(64).enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (b, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cell;
            *cell = changed.min(*cell + 1).min(before + 1);
            before = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["clients", "features"];
        assert_eq!(did_you_mean("client", &known), "did you mean `clients`?");
        assert_eq!(did_you_mean("faetures", &known), "did you mean `features`?");
        assert!(did_you_mean("zebra", &known).starts_with("known here"));
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn values_are_checked_by_type() {
        let set = ParameterKind::Set(vec!["a".to_owned(), "b".to_owned()]);
        assert!(value_of(&set, &["a", "b"]).is_ok());
        assert!(value_of(&set, &["c"]).is_err());
        let one = ParameterKind::Enum(vec!["a".to_owned(), "b".to_owned()]);
        assert!(value_of(&one, &["a", "b"]).is_err());
        assert!(value_of(&ParameterKind::Boolean, &["true"]).is_ok());
        assert!(value_of(&ParameterKind::Networks, &["10.0.0.0/8", "::1"]).is_ok());
        assert!(value_of(&ParameterKind::Networks, &["10.0.0.0/40"]).is_err());
        assert_eq!(
            value_of(&ParameterKind::Networks, &["undeclared"]),
            Ok(ParameterValue::Networks(None))
        );
    }
}
