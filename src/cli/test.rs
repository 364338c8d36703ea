//! In: policies. Out: what their own tests say.

use gatelint::Sources;
use gatelint::policy;
use gatelint::report::visible;

use super::Exit;
use super::arguments::TestArguments;
use super::disk::Disk;
use super::{networks, policies, screen};

/// Runs the tests that stand beside each policy.
pub(super) fn run(arguments: &TestArguments) -> Exit {
    let sources = Sources::new();
    let Ok(disk) = Disk::new(&sources, None) else {
        return Exit::Unusable;
    };
    let Some(networks) = networks::load(&arguments.networks, None, &sources, &disk) else {
        return Exit::Unusable;
    };
    let Some(policies) = policies::named(&arguments.policy, None, &sources, &disk, &networks)
    else {
        return Exit::Unusable;
    };
    let (mut lines, mut passed, mut failed) = (Vec::new(), 0usize, 0usize);
    for policy in &policies {
        let told = policy::test(policy, &disk);
        for result in &told.results {
            if result.problems.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            let (path, line) = (sources.path(result.span.file), sources.line(result.span));
            lines.push(format!("{path}:{line}: {}", result.name));
            lines.extend(result.problems.iter().map(|problem| format!("  {problem}")));
        }
        let untested = told.without_failing_test.iter();
        lines.extend(untested.map(|rule| format!("{rule}: no test shows it failing")));
    }
    lines.push(format!("{passed} passed, {failed} failed"));
    lines.push(String::new());
    if screen::write(&visible(&lines.join("\n"))).is_err() {
        Exit::Unusable
    } else if failed > 0 {
        Exit::Findings
    } else if passed == 0 {
        Exit::NothingChecked
    } else {
        Exit::Fine
    }
}
