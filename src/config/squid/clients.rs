//! In: a config's `http_access` lines. Out: the groups of clients that they tell apart.
//!
//! A group is what the source ACLs of an `allow` line leave: its positive ones intersected, its negated ones and the
//! sources that earlier lines deny outright taken away. A line without a source ACL is for all clients that are left.

use super::acl::Kind;
use super::lists::{Action, List, Rule};
use super::parse::Config;
use crate::model::{ClientGroup, Ranges};

/// The groups, in the order of their lines; equal ones once, loopback never.
pub(super) fn groups(config: &Config) -> Vec<ClientGroup> {
    let mut left = clients();
    let mut groups: Vec<ClientGroup> = Vec::new();
    for rule in config.lists.get(&List::HttpAccess).into_iter().flatten() {
        let Rule::Line {
            action,
            terms,
            span,
            ..
        } = rule
        else {
            continue;
        };
        let mut sources = left.clone();
        let mut names = Vec::new();
        let mut only_sources = true;
        let mut unread = false;
        for term in terms {
            let Some(acl) = config.acls.get(term.acl) else {
                continue;
            };
            if acl.kind != Kind::Source {
                only_sources = false;
                continue;
            }
            unread |= acl.unread.is_some();
            let ranges = acl
                .addresses
                .iter()
                .flat_map(|set| set.value.ranges().iter().copied())
                .collect();
            let set = Ranges::from_unsorted(ranges);
            if !set.is_full() {
                names.push(if term.negated {
                    format!("not {}", acl.name)
                } else {
                    acl.name.clone()
                });
            }
            sources = if term.negated {
                sources.minus(&set)
            } else {
                sources.intersect(&set)
            };
        }
        match action {
            Action::Allow if !unread && !sources.is_empty() => {
                if groups.iter().all(|group| group.sources != sources) {
                    let name = if names.is_empty() {
                        "all clients".to_owned()
                    } else {
                        names.join(", ")
                    };
                    groups.push(ClientGroup {
                        name,
                        sources,
                        interface: None,
                        span: Some(*span),
                    });
                }
            }
            Action::Deny if only_sources && !unread => left = left.minus(&sources),
            Action::Allow
            | Action::Deny
            | Action::Splice
            | Action::Peek
            | Action::Stare
            | Action::Bump
            | Action::Terminate => {}
        }
    }
    groups
}

/// Every address but loopback.
fn clients() -> Ranges {
    let loopback = ["127.0.0.0/8", "::1/128", "::/128"]
        .iter()
        .filter_map(|net| net.parse().ok())
        .map(Ranges::network)
        .fold(Ranges::empty(), |all, net| all.union(&net));
    loopback.complement()
}
