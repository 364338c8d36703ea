//! In: a release. Out: the ACLs that Squid has before it reads the file.

use super::super::acl::{Acl, Kind};
use super::super::directives::Version;
use super::Reader;
use crate::source::{FileId, Span, Spanned};

impl Reader<'_> {
    /// Built-in ACLs (`DEFAULT` of `acl` in src/cf.data.pre).
    pub(super) fn built_in(&mut self, file: FileId) {
        let all: &[(&str, Kind, Version, &str)] = &[
            ("all", Kind::Source, (3, 1), "all"),
            (
                "manager",
                Kind::UrlRegex,
                (3, 2),
                "-i ^cache_object:// +i ^[^:]+://[^/]+/squid-internal-mgr/",
            ),
            ("localhost", Kind::Source, (3, 2), "127.0.0.1/32 ::1"),
            (
                "to_localhost",
                Kind::Destination,
                (3, 2),
                "127.0.0.0/8 0.0.0.0/32 ::1/128 ::/128",
            ),
            (
                "to_linklocal",
                Kind::Destination,
                (5, 8),
                "169.254.0.0/16 fe80::/10",
            ),
            ("CONNECT", Kind::Method, (5, 0), "CONNECT"),
        ];
        let nowhere = Span::new(file, 0, 0);
        for (name, kind, since, values) in all {
            if self.config.version < *since {
                continue;
            }
            let mut acl = Acl::new(name, *kind, None);
            for value in values.split(' ') {
                acl.take(
                    &Spanned::new(value.to_owned(), nowhere),
                    self.config.version,
                );
            }
            self.config.define(acl);
        }
    }
}
