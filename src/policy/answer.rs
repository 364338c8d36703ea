//! In: the results at one config. Out: the answer in one line, in the policy's own words.

use super::words::listed;
use super::{Policy, Summary};
use crate::finding::{Finding, Outcome};
use crate::source::Sources;

/// `meetings work, audio and video over TLS only (line 6); DNS ok`; `None` where no part of it applies.
pub(super) fn answer(
    policies: &[Policy],
    results: &[Finding],
    sources: &Sources,
) -> Option<String> {
    let parts: Vec<String> = policies
        .iter()
        .flat_map(|policy| {
            policy
                .summary
                .iter()
                .filter_map(|summary| part(policy, summary, results, sources))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn part(
    policy: &Policy,
    summary: &Summary,
    results: &[Finding],
    sources: &Sources,
) -> Option<String> {
    let concerned: Vec<(&str, &Finding)> = summary
        .of
        .iter()
        .flat_map(|id| {
            let rule = format!("{}/{id}", policy.id);
            let mine = results.iter().filter(move |finding| finding.rule == rule);
            mine.map(move |finding| (id.as_str(), finding))
        })
        .filter(|(_, finding)| finding.outcome != Outcome::NotApplicable)
        .collect();
    let worst = concerned.iter().map(|(_, finding)| finding.outcome).max()?;
    let words = summary.words.get(&worst)?;
    let mut said: Vec<(&str, Vec<u32>)> = Vec::new();
    for (id, finding) in concerned.iter().filter(|(_, f)| f.outcome == worst) {
        let requirement = policy.requirements.iter().find(|r| r.id == *id);
        let Some(requirement) = requirement else {
            continue;
        };
        let short = requirement.short.get(&worst).unwrap_or(&requirement.title);
        let line = finding
            .primary
            .as_ref()
            .map(|label| sources.line(label.span));
        match said.iter_mut().find(|(known, _)| known == short) {
            Some((_, lines)) => lines.extend(line),
            None => said.push((short, line.into_iter().collect())),
        }
    }
    let said: Vec<String> = said
        .into_iter()
        .map(|(short, lines)| format!("{short}{}", places(lines)))
        .collect();
    Some(words.replace("{parts}", &listed(&said)))
}

/// ` (line 6)`, ` (lines 2 and 6)`.
fn places(mut lines: Vec<u32>) -> String {
    lines.sort_unstable();
    lines.dedup();
    let words: Vec<String> = lines.iter().map(u32::to_string).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => format!(" (line {one})"),
        several => format!(" (lines {})", listed(several)),
    }
}
