//! In: the page. Out: the table of requirements and gates.

use super::{Column, Page, Station, escaped, one_line, sign};
use crate::finding::{Finding, Outcome};

/// The table, with a key to its signs.
pub(super) fn section(page: &Page<'_>) -> String {
    let rows: Vec<String> = rows(page);
    if rows.is_empty() {
        return String::new();
    }
    let key = [
        (Outcome::Pass, "proved to get through"),
        (Outcome::Degraded, "works, worse than it should"),
        (Outcome::Fail, "does not get through"),
        (Outcome::Undecided, "cannot be known from these files"),
        (Outcome::NotApplicable, "not asked of this gate"),
    ]
    .map(|(outcome, words)| format!("<li>{} {words}</li>\n", sign(outcome)));
    format!(
        "<section aria-labelledby=\"matrix\"><h2 id=\"matrix\">Every requirement at every gate</h2>\n\
         <ul class=\"key\">\n{}</ul>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"matrix\" tabindex=\"0\">\n<table>\n\
         <caption>Each sign leads to the lines behind it.</caption>\n{}<tbody>\n{}</tbody>\n</table></div></section>\n",
        key.concat(),
        head(page),
        rows.concat()
    )
}

/// Two rows: the stations, and the gates of each.
fn head(page: &Page<'_>) -> String {
    let mut stations: Vec<(Station, usize)> = Vec::new();
    for column in &page.columns {
        match stations.last_mut() {
            Some((station, count)) if *station == column.station => *count += 1,
            Some(_) | None => stations.push((column.station, 1)),
        }
    }
    let groups: Vec<String> = stations
        .iter()
        .map(|(station, count)| {
            format!(
                "<th scope=\"colgroup\" colspan=\"{count}\" class=\"layer\"><span>{}</span></th>",
                station.word()
            )
        })
        .collect();
    let gates: Vec<String> = page
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            format!(
                "<th scope=\"col\" class=\"target\"><a href=\"#t{at}\">{}</a></th>",
                escaped(&one_line(column.target))
            )
        })
        .collect();
    format!(
        "<thead>\n<tr><td></td>{}</tr>\n<tr><th scope=\"col\">Requirement</th>{}</tr>\n</thead>\n",
        groups.concat(),
        gates.concat()
    )
}

/// A row per rule that anything was asked by, in the order of the gates that are asked first.
fn rows(page: &Page<'_>) -> Vec<String> {
    let rules = page.report.rules.iter();
    let mut rows: Vec<(Option<usize>, String)> = rules
        .filter_map(|rule| {
            let cells: Vec<Option<&Finding>> = page
                .columns
                .iter()
                .map(|column| result(column, &rule.id))
                .map(|cell| cell.filter(|finding| finding.outcome != Outcome::NotApplicable))
                .collect();
            let first = cells.iter().position(Option::is_some)?;
            let mut asked = cells.iter().flatten();
            let passes = asked.all(|finding| finding.outcome == Outcome::Pass);
            let class = if passes { " class=\"passing\"" } else { "" };
            let station = page
                .columns
                .get(first)
                .map(|column| column.station as usize);
            let cells: Vec<String> = cells.iter().map(|finding| cell(page, *finding)).collect();
            let row = format!(
                "<tr{class}><th scope=\"row\">{}<br><code class=\"dim\">{}</code></th>{}</tr>\n",
                escaped(&one_line(&rule.title)),
                escaped(&rule.id),
                cells.concat()
            );
            Some((station, row))
        })
        .collect();
    rows.sort_by_key(|(station, _)| *station);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// What a gate says to a rule: the worst, where it is told of several places.
fn result<'r>(column: &Column<'r>, rule: &str) -> Option<&'r Finding> {
    let own = column.findings.iter().copied();
    own.filter(|finding| finding.rule == rule)
        .max_by_key(|finding| (finding.severity, finding.outcome))
}

fn cell(page: &Page<'_>, finding: Option<&Finding>) -> String {
    match finding {
        Some(finding) => {
            let word = finding.outcome.word();
            format!(
                "<td class=\"{word}\"><a href=\"#{}\" title=\"{}\">{}</a></td>",
                page.anchor(finding),
                escaped(&one_line(&finding.message)),
                sign(finding.outcome)
            )
        }
        None => format!("<td>{}</td>", sign(Outcome::NotApplicable)),
    }
}
