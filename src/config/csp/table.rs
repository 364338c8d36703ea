//! In: the changes that a server makes to the headers of a response, in its order. Out: the policies that are sent.
//!
//! A change that may or may not happen leaves unread exactly the lines that it could have changed: a line that is only
//! added beside others leaves the others as they are.
//!
//! Invariant: a line of which nothing is known stands for any number of policies, none too.

use super::parse::unread;
use super::syntax::{Disposition, Policy};
use crate::source::Span;

/// The disposition of the policies that a header of this name carries.
pub(in crate::config) fn disposition(name: &[u8]) -> Option<Disposition> {
    match name.trim_ascii().to_ascii_lowercase().as_slice() {
        b"content-security-policy" => Some(Disposition::Enforce),
        b"content-security-policy-report-only" => Some(Disposition::ReportOnly),
        _ => None,
    }
}

/// What cannot be known here; the words complete "cannot tell without ...".
#[derive(Debug, Clone)]
pub(in crate::config) struct Doubt {
    /// What it depends on.
    pub(in crate::config) span: Span,
    /// In words.
    pub(in crate::config) what: String,
}

impl Doubt {
    fn policies(&self, disposition: Disposition) -> Vec<Policy> {
        let mut policy = unread(self.span, self.what.clone());
        policy.disposition = disposition;
        vec![policy]
    }
}

/// What a server does to the lines of one header.
#[derive(Debug, Clone)]
pub(in crate::config) enum Change {
    /// One more line, or one more value in a line: a comma and a line break mean the same to browsers.
    Add(Vec<Policy>),
    /// The only line.
    Set(Vec<Policy>),
    /// A line where there is none.
    SetIfEmpty(Vec<Policy>),
    /// No line.
    Unset,
    /// Every line there is becomes another one.
    Rewrite(Doubt),
    /// Anything.
    Anything(Doubt),
}

/// The lines of a response that carry policies.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Table {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    disposition: Disposition,
    policies: Vec<Policy>,
}

impl Table {
    /// Changes the lines of one header; with a doubt, perhaps.
    pub(in crate::config) fn change(
        &mut self,
        disposition: Disposition,
        change: &Change,
        doubt: Option<&Doubt>,
    ) {
        let is_there = self.has(disposition);
        let policies = |sure: &[Policy]| match doubt {
            Some(doubt) => doubt.policies(disposition),
            None => sure.to_vec(),
        };
        match change {
            Change::Add(sure) => self.add(disposition, policies(sure)),
            Change::SetIfEmpty(sure) if !is_there => self.add(disposition, policies(sure)),
            Change::Set(sure) => self.replace(disposition, policies(sure)),
            Change::Unset if is_there && doubt.is_some() => {
                self.replace(disposition, policies(&[]));
            }
            Change::Unset => self.remove(disposition),
            Change::Rewrite(unknown) if is_there => {
                self.replace(disposition, unknown.policies(disposition));
            }
            Change::Anything(unknown) => {
                self.replace(disposition, unknown.policies(disposition));
            }
            Change::SetIfEmpty(_) | Change::Rewrite(_) => {}
        }
    }

    /// Whether a line of the header may be there.
    fn has(&self, disposition: Disposition) -> bool {
        self.lines
            .iter()
            .any(|line| line.disposition == disposition)
    }

    fn add(&mut self, disposition: Disposition, policies: Vec<Policy>) {
        self.lines.push(Line {
            disposition,
            policies,
        });
    }

    fn replace(&mut self, disposition: Disposition, policies: Vec<Policy>) {
        self.remove(disposition);
        self.add(disposition, policies);
    }

    fn remove(&mut self, disposition: Disposition) {
        self.lines.retain(|line| line.disposition != disposition);
    }

    /// Every policy, in order.
    pub(in crate::config) fn policies(&self) -> Vec<Policy> {
        let lines = self.lines.iter();
        lines.flat_map(|line| line.policies.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse_policies;
    use super::super::syntax::{Delivery, Fate};
    use super::super::text::{Quoting, Text};
    use super::*;
    use crate::source::Sources;

    /// `Ok` for a policy as it is written, `Err` for one of which nothing is known.
    fn after(changes: &[(&str, Option<&str>, bool)]) -> Vec<Result<String, String>> {
        let sources = Sources::new();
        let file = sources.add("a", b"x".to_vec()).unwrap();
        let mut table = Table::default();
        for (name, value, is_sure) in changes {
            let text = Text::new(file, Quoting::Bare).with(value.unwrap_or("").as_bytes(), 0);
            let policies = parse_policies(&text, Delivery::Header, Disposition::Enforce);
            let doubt = Doubt {
                span: Span::new(file, 0, 1),
                what: (*name).to_owned(),
            };
            let change = match *name {
                "add" => Change::Add(policies),
                "set" => Change::Set(policies),
                "setifempty" => Change::SetIfEmpty(policies),
                "unset" => Change::Unset,
                _ => Change::Rewrite(doubt.clone()),
            };
            let doubt = (!is_sure).then_some(&doubt);
            table.change(Disposition::Enforce, &change, doubt);
        }
        let policies = table.policies();
        let shown = policies.iter().flat_map(|policy| &policy.directives);
        shown
            .map(|directive| {
                if let Fate::Unread(what) = &directive.fate {
                    Err(what.clone())
                } else {
                    Ok(directive.written.clone())
                }
            })
            .collect()
    }

    #[test]
    fn lines_change_in_order() {
        let ok = |words: &[&str]| -> Vec<Result<String, String>> {
            words.iter().map(|word| Ok((*word).to_owned())).collect()
        };
        let (set, add) = (
            ("set", Some("img-src a"), true),
            ("add", Some("font-src a"), true),
        );
        let unset = ("unset", None, true);
        let fallback = ("setifempty", Some("media-src a"), true);
        assert_eq!(after(&[add, set, add]), ok(&["img-src", "font-src"]));
        assert_eq!(after(&[set, unset, fallback]), ok(&["media-src"]));
        assert_eq!(after(&[set, fallback]), ok(&["img-src"]));
        // A header without a value is there all the same.
        assert_eq!(after(&[("set", None, true), fallback]), ok(&[]));
        assert_eq!(after(&[("edit", None, true), set]), ok(&["img-src"]));
    }

    #[test]
    fn a_doubt_covers_what_it_could_change_and_no_more() {
        let (set, add) = (
            ("set", Some("img-src a"), true),
            ("add", Some("font-src a"), false),
        );
        assert_eq!(
            after(&[set, add]),
            [Ok("img-src".to_owned()), Err("add".to_owned())]
        );
        let unset = ("unset", None, false);
        assert_eq!(after(&[set, unset]), [Err("unset".to_owned())]);
        assert_eq!(after(&[unset, set]), [Ok("img-src".to_owned())]);
        assert_eq!(
            after(&[set, ("edit", None, true)]),
            [Err("edit".to_owned())]
        );
    }
}
