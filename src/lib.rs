//! gatelint reads network configs, lowers each to one normalized model, and proves whether the flows that a policy
//! requires pass.
//!
//! ```text
//! text -> Reading -> Gate -> Verdict -> Finding -> bytes
//!         config     model   decide     policy     report
//! ```
//!
//! [`check`] is the whole way. Nothing here touches files, environment, clock or terminal: the shell (`main.rs` and
//! `cli/`) does.

pub mod config;
pub mod decide;
pub mod diff;
pub mod finding;
pub mod mend;
pub mod model;
pub mod policy;
pub mod project;
pub mod report;
pub mod source;
pub mod trace;

mod check;
mod yaml;

pub use check::{Target, TargetError, main_reading, read, rules};
pub use config::{Facts, KINDS, Kind};
pub use finding::{Finding, Outcome, Report, Severity};
pub use policy::{Context, Policy};
pub use source::Sources;

/// Reads every target, judges every policy at every one that could be read, and tells all of it.
///
/// A file that another target reads along is no target of its own; a file of which nothing was understood is reported
/// and not judged; a fault of this program at one file leaves the others alone.
pub fn check(targets: &[Target<'_>], policies: &[Policy], context: &Context<'_>) -> Report {
    let readings = read(targets, context);
    let own = check::without_companions(&readings);
    let (understood, foreign) = check::understood(&own);
    let subjects: Vec<_> = understood
        .iter()
        .filter_map(|read| check::subject(read))
        .collect();
    let mut report = check::judge_apart(policies, &subjects, context);
    check::tell_inputs(&mut report, &readings, &own, context);
    check::tell_foreign(&mut report, &foreign);
    check::tell_errors(&mut report, &readings, &foreign);
    report.rules = rules(policies);
    report
}
