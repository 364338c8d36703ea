//! In: where sections of httpd apply. Out: whether the pages of one are pages of another one, and in which order they
//! are merged.
//!
//! Source: "Configuration Sections" (httpd.apache.org/docs/2.4/sections.html), "How the sections are merged":
//! directories from the shortest to the longest, patterns of them, files, locations, conditions; within each in the order
//! of the text, those outside a virtual host first.

/// Where a section applies; sections inside sections have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder and all below it.
    Directory(String),
    /// A path of a URL and all below it.
    Location(String),
    /// A file's name.
    File(String),
    /// A pattern of directories, locations or files, or a place that another server answers for.
    Pattern(&'static str, String),
    /// One branch of a condition: the condition's number and the branch's.
    Branch(usize, usize),
}

/// Whether the pages of one place are pages of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// Every page is.
    Covers,
    /// No page is.
    Disjoint,
    /// It is not known, or some are.
    Open,
}

/// From URLs to files, where nothing but `DocumentRoot` says it.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping {
    /// The folder; `None`: another directive maps too.
    pub(super) root: Option<String>,
}

impl Place {
    /// The place that a section's name and argument say.
    pub(super) fn of(section: &str, words: &[String]) -> Option<Self> {
        let first = words.first().map_or("", String::as_str);
        let (is_regex, argument) = if first == "~" {
            (true, words.get(1).map_or("", String::as_str))
        } else {
            (section.ends_with("match"), first)
        };
        let is_open = is_regex || argument.contains(['*', '?', '[', '$']);
        let pattern = |kind| Some(Self::Pattern(kind, format!("{is_regex} {argument}")));
        match section {
            "directory" | "directorymatch" if is_open => pattern("directory"),
            "directory" => Some(Self::Directory(folder(argument))),
            "location" | "locationmatch" if is_open => pattern("location"),
            "location" => Some(Self::Location(argument.to_owned())),
            "files" | "filesmatch" if is_open => pattern("files"),
            "files" => Some(Self::File(argument.to_owned())),
            "proxy" | "proxymatch" => pattern("proxy"),
            _ => None,
        }
    }

    /// Whether each page of `inner` is a page of this place.
    fn relation(&self, inner: &Self, mapping: &Mapping) -> Relation {
        use Relation::{Covers, Disjoint, Open};
        let known = |covers: bool, overlaps: bool| match (covers, overlaps) {
            (true, _) => Covers,
            (false, true) => Open,
            (false, false) => Disjoint,
        };
        match (self, inner) {
            (Self::Directory(outer), Self::Directory(inner)) => {
                known(holds(outer, inner), holds(inner, outer))
            }
            (Self::Location(outer), Self::Location(inner)) => {
                known(begins(outer, inner), begins(inner, outer))
            }
            (Self::File(one), Self::File(other)) => known(one == other, false),
            (Self::Directory(outer), Self::Location(inner)) => match &mapping.root {
                Some(root) => {
                    let inner = folder(&format!("{root}{inner}"));
                    known(holds(outer, &inner), holds(&inner, outer))
                }
                None => Open,
            },
            (Self::Location(outer), Self::Directory(inner)) => match &mapping.root {
                Some(root) => {
                    let outer = folder(&format!("{root}{outer}"));
                    known(holds(&outer, inner), holds(inner, &outer))
                }
                None => Open,
            },
            (Self::Branch(one, branch), Self::Branch(other, inner)) if one == other => {
                known(branch == inner, false)
            }
            (
                Self::Directory(_)
                | Self::Location(_)
                | Self::File(_)
                | Self::Pattern(..)
                | Self::Branch(..),
                _,
            ) => known(self == inner, true),
        }
    }

    /// Whether every page of the server is one of this place.
    fn is_everywhere(&self, mapping: &Mapping) -> bool {
        match self {
            Self::Location(path) => path == "/",
            Self::Directory(path) => mapping.root.as_ref().is_some_and(|root| holds(path, root)),
            Self::File(_) | Self::Pattern(..) | Self::Branch(..) => false,
        }
    }

    /// The rank among its siblings: the phase, then the depth of a folder.
    pub(super) fn rank(&self) -> [usize; 2] {
        match self {
            Self::Directory(path) => [1, path.matches('/').count()],
            Self::Pattern("directory" | "proxy", _) => [2, 0],
            Self::File(_) | Self::Pattern("files", _) => [3, 0],
            Self::Location(_) | Self::Pattern(..) => [4, 0],
            Self::Branch(..) => [5, 0],
        }
    }
}

/// Whether every page that is in all places of `inner` is in all of `outer`.
pub(super) fn covers(outer: &[Place], inner: &[Place], mapping: &Mapping) -> bool {
    outer.iter().all(|place| {
        place.is_everywhere(mapping)
            || inner
                .iter()
                .any(|inner| place.relation(inner, mapping) == Relation::Covers)
    })
}

/// Whether no page is in all places of both.
pub(super) fn are_disjoint(one: &[Place], other: &[Place], mapping: &Mapping) -> bool {
    one.iter().any(|place| {
        other
            .iter()
            .any(|other| place.relation(other, mapping) == Relation::Disjoint)
    })
}

/// A folder's path with a slash at its end and no doubled ones.
pub(super) fn folder(path: &str) -> String {
    let mut clean = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        clean.push('/');
        clean.push_str(part);
    }
    clean.push('/');
    clean
}

fn holds(outer: &str, inner: &str) -> bool {
    inner.starts_with(outer)
}

/// `/a` is the beginning of `/a` and `/a/b`, not of `/ab`; `/a/` not of `/a`.
fn begins(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(section: &str, argument: &str) -> Place {
        Place::of(section, &[argument.to_owned()]).unwrap()
    }

    #[test]
    fn places_cover_what_is_below_them() {
        let mapping = Mapping {
            root: Some("/var/www/".to_owned()),
        };
        let relation = |outer: (&str, &str), inner: (&str, &str), mapping: &Mapping| {
            place(outer.0, outer.1).relation(&place(inner.0, inner.1), mapping)
        };
        for (outer, inner, expected) in [
            (("location", "/a"), ("location", "/a/b"), Relation::Covers),
            (("location", "/a"), ("location", "/ab"), Relation::Disjoint),
            (("location", "/a/b"), ("location", "/a"), Relation::Open),
            (("directory", "/var"), ("location", "/a"), Relation::Covers),
            (
                ("directory", "/srv"),
                ("location", "/a"),
                Relation::Disjoint,
            ),
            (
                ("location", "/a"),
                ("directory", "/var/www/a/b"),
                Relation::Covers,
            ),
            (("files", "a"), ("files", "b"), Relation::Disjoint),
            (("files", "a*"), ("files", "b"), Relation::Open),
            (("filesmatch", "a"), ("filesmatch", "a"), Relation::Covers),
            (("files", "a"), ("location", "/a"), Relation::Open),
        ] {
            assert_eq!(
                relation(outer, inner, &mapping),
                expected,
                "{outer:?} {inner:?}"
            );
        }
        let unmapped = Mapping::default();
        assert_eq!(
            relation(("directory", "/srv"), ("location", "/a"), &unmapped),
            Relation::Open
        );
    }
}
