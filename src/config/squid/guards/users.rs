//! In: ACLs about the names of users. Out: their guards.

use super::super::acl::{Acl, Pattern};
use super::words::text;
use super::{Guards, never, one_of_any};
use crate::model::{Dim, Gate, Guard, Lang, UnknownKind};

impl Guards<'_> {
    /// The names of `proxy_auth`. The basic scheme lowers a user's name first (src/auth/basic/Config.cc), so that a name
    /// in capitals matches nobody without `-i`.
    pub(super) fn user_names(&mut self, gate: &mut Gate, acl: &Acl) -> Guard {
        let ignore_case = acl.ignore_case || acl.words.iter().any(|word| word.value == "-i");
        let mut tests = Vec::new();
        let mut open = Vec::new();
        for word in acl.words.iter().filter(|word| word.value != "-i") {
            let escaped = regex_syntax::escape(&word.value);
            let Ok(any_case) = Lang::pattern(&format!("(?i){escaped}")) else {
                continue;
            };
            let any_case = text(gate, Dim::User, any_case);
            let is_low = word.value == word.value.to_ascii_lowercase();
            if ignore_case || is_low && !self.config.keeps_user_names {
                tests.push(any_case);
            } else if self.config.keeps_user_names {
                if is_low {
                    tests.push(text(gate, Dim::User, Lang::literal(word.value.as_bytes())));
                }
                open.push(any_case);
            }
        }
        if let Some(open) = one_of_any(open) {
            let unknown = self.case_of_users(gate, acl);
            tests.push(Guard::All(vec![open, unknown]));
        }
        one_of_any(tests).unwrap_or_else(never)
    }

    /// The expressions of `proxy_auth_regex`, which see the lowered name as well.
    pub(super) fn user_patterns(&mut self, gate: &mut Gate, acl: &Acl) -> Guard {
        let cares = |pattern: &Pattern| {
            let text = pattern.text.as_bytes();
            !pattern.ignore_case
                && (text.iter().any(u8::is_ascii_uppercase) || text.contains(&b'['))
        };
        let keeps = self.config.keeps_user_names && acl.patterns.iter().any(|p| !p.ignore_case);
        if keeps || acl.patterns.iter().any(cares) {
            return self.case_of_users(gate, acl);
        }
        let mut lowered = acl.clone();
        for pattern in &mut lowered.patterns {
            pattern.ignore_case = true;
        }
        self.patterns(gate, &lowered, |gate, lang| text(gate, Dim::User, lang))
    }

    fn case_of_users(&mut self, gate: &mut Gate, acl: &Acl) -> Guard {
        let text = format!("whether the case of user names counts in `{}`", acl.name);
        self.unknown(gate, acl, UnknownKind::Opaque, "case", text)
    }
}
