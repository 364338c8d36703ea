//! In: the chains of one file. Out: what the machine is for, and who its clients are.
use super::book::Book;
use super::lower::Ruleset;
use crate::config::{Facts, Reading};
#[derive(Debug)]
pub(super) struct Roles(Option<String>);
pub(super) fn roles(_ruleset: &Ruleset, _book: &mut Book<'_>, _facts: &Facts) -> Roles {
    Roles(None)
}
impl Roles {
    pub(super) fn apply(self, reading: &mut Reading) {
        reading.role = self.0;
    }
}
