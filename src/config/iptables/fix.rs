//! In: a blocked flow. Out: edits that may let it pass.
use crate::config::{Blocked, Fix, Input, Reading};
pub(super) fn fix(_input: &Input<'_>, _reading: &Reading, _blocked: &Blocked<'_>) -> Vec<Fix> {
    Vec::new()
}
