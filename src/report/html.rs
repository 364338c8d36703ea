//! In: a report. Out: one HTML page that needs nothing else: the way through the gates, every requirement at every gate,
//! and behind each cell the lines, the flow, its way and the fix.
//!
//! The page holds no script and forbids itself to load anything, so what a config says cannot act in it. Filters and
//! colours are form controls that the style sheet asks about. A link to a place inside a closed part opens it (HTML
//! standard, "ancestor revealing algorithm").

mod details;
mod matrix;

use std::collections::HashMap;

use super::cause::{Cause, causes};
use super::markup::escaped;
use super::{Format, Style, one_line, summary};
use crate::config::{Layer, kind_called};
use crate::finding::{Finding, Outcome, Report, Severity};
use crate::source::{FileId, Sources};

pub(super) const FORMAT: Format = Format {
    name: "html",
    title: "one page for people who would rather look",
    says_summary: true,
    render,
};

const STYLE: &str = include_str!("html/style.css");

fn render(report: &Report, sources: &Sources, style: Style) -> String {
    let page = Page::new(report, sources, style);
    let headline = escaped(report.headline());
    let closing = escaped(&summary(report, sources));
    [
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
        &format!("<title>gatelint: {headline}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"),
        "<a class=\"skip\" href=\"#findings\">Skip to the findings</a>\n<header>\n",
        &format!("<div><h1>gatelint: {headline}</h1>\n<p class=\"dim\">{closing}</p></div>\n"),
        CONTROLS,
        "</header>\n<main>\n",
        &page.errors(),
        &page.path(),
        &matrix::section(&page),
        &details::findings(&page),
        &details::passing(&page),
        &list("Not judged", &report.notes),
        &list("Assumed", &report.assumptions),
        "</main>\n</body>\n</html>\n",
    ]
    .concat()
}

const CONTROLS: &str = "<fieldset><legend>Colours</legend>\
    <label><input type=\"radio\" name=\"colours\" id=\"auto\" checked> system</label>\
    <label><input type=\"radio\" name=\"colours\" id=\"light\"> light</label>\
    <label><input type=\"radio\" name=\"colours\" id=\"dark\"> dark</label></fieldset>\n\
    <fieldset><legend>Requirements</legend>\
    <label><input type=\"radio\" name=\"shown\" id=\"all\" checked> all</label>\
    <label><input type=\"radio\" name=\"shown\" id=\"failing\"> only those not passing everywhere</label></fieldset>\n";

/// What every part of the page needs.
struct Page<'r> {
    report: &'r Report,
    sources: &'r Sources,
    causes: Vec<Cause<'r>>,
    columns: Vec<Column<'r>>,
    /// The anchor that tells a result, by its place in the report.
    anchors: HashMap<*const Finding, String>,
}

/// A gate: one target of the report.
struct Column<'r> {
    target: &'r str,
    station: Station,
    findings: Vec<&'r Finding>,
    answer: Option<&'r str>,
}

/// Where traffic meets a gate, in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Station {
    Site,
    Page,
    Names,
    Proxy,
    Firewall,
    Unknown,
}

impl Station {
    fn word(self) -> &'static str {
        match self {
            Self::Site => "Whole sites",
            Self::Page => "Page (CSP)",
            Self::Names => "Names (DNS)",
            Self::Proxy => "Proxy",
            Self::Firewall => "Firewall",
            Self::Unknown => "Other files",
        }
    }
}

impl<'r> Page<'r> {
    fn new(report: &'r Report, sources: &'r Sources, style: Style) -> Self {
        let causes = causes(report, style.least);
        let mut anchors = HashMap::new();
        for (at, finding) in report.results.iter().enumerate() {
            anchors.insert(std::ptr::from_ref(finding), format!("r{at}"));
        }
        for (at, cause) in causes.iter().enumerate() {
            for finding in std::iter::once(&cause.worst).chain(&cause.others) {
                anchors.insert(std::ptr::from_ref(*finding), format!("c{at}"));
            }
        }
        let mut columns: Vec<Column<'r>> = Vec::new();
        for finding in &report.results {
            match columns.iter_mut().find(|one| one.target == finding.target) {
                Some(column) => column.findings.push(finding),
                None => columns.push(Column {
                    target: &finding.target,
                    station: station(report, finding),
                    findings: vec![finding],
                    answer: answer(report, finding.file),
                }),
            }
        }
        // A stable sort: within a station the order of the report stays.
        columns.sort_by_key(|column| column.station);
        Self {
            report,
            sources,
            causes,
            columns,
            anchors,
        }
    }

    fn anchor(&self, finding: &Finding) -> &str {
        let known = self.anchors.get(&std::ptr::from_ref(finding));
        known.map_or("findings", String::as_str)
    }

    fn errors(&self) -> String {
        let items: Vec<String> = self
            .report
            .errors
            .iter()
            .map(|error| {
                let (path, message) = (one_line(&error.path), one_line(&error.message));
                format!(
                    "<li><code>{}</code>: {}</li>\n",
                    escaped(&path),
                    escaped(&message)
                )
            })
            .collect();
        if items.is_empty() {
            return String::new();
        }
        format!(
            "<section aria-labelledby=\"unusable\"><h2 id=\"unusable\">Inputs that could not be used</h2>\n<ul>\n{}</ul></section>\n",
            items.concat()
        )
    }

    /// The stations in the order that traffic meets them, each with its gates.
    fn path(&self) -> String {
        let mut stations: Vec<Station> = self.columns.iter().map(|one| one.station).collect();
        stations.dedup();
        let stations: Vec<String> = stations
            .into_iter()
            .map(|station| self.station(station))
            .collect();
        format!(
            "<section aria-labelledby=\"way\"><h2 id=\"way\">The way of the traffic</h2>\n<ol class=\"path\">\n\
             {}<li><h3>Service</h3></li>\n</ol></section>\n",
            stations.concat()
        )
    }

    fn station(&self, station: Station) -> String {
        let gates = self.columns.iter().enumerate();
        let gates: Vec<String> = gates
            .filter(|(_, column)| column.station == station)
            .map(|(at, column)| {
                let worst = column.worst();
                let answer = column.answer.map_or(String::new(), |answer| {
                    format!(
                        "<br><span class=\"dim\">{}</span>",
                        escaped(&one_line(answer))
                    )
                });
                format!(
                    "<li>{} <a href=\"#t{at}\">{}</a>{answer}</li>\n",
                    sign(worst),
                    escaped(&one_line(column.target))
                )
            })
            .collect();
        format!(
            "<li><h3>{}</h3>\n<ul>\n{}</ul></li>\n",
            station.word(),
            gates.concat()
        )
    }
}

impl Column<'_> {
    /// What is worst at this gate.
    fn worst(&self) -> Outcome {
        let told = self
            .findings
            .iter()
            .filter(|one| one.severity > Severity::None);
        told.max_by_key(|one| (one.severity, one.outcome))
            .map_or(Outcome::Pass, |one| one.outcome)
    }
}

fn list(title: &str, texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let items: Vec<String> = texts
        .iter()
        .map(|text| format!("<li>{}</li>\n", escaped(&one_line(text))))
        .collect();
    format!(
        "<section><h2>{title}</h2>\n<ul>\n{}</ul></section>\n",
        items.concat()
    )
}

fn station(report: &Report, finding: &Finding) -> Station {
    if finding.target.starts_with("site:") {
        return Station::Site;
    }
    let input = report
        .inputs
        .iter()
        .find(|input| input.file == finding.file);
    let kind = input.and_then(|input| kind_called(input.kind?));
    match kind.map(|kind| kind.layer) {
        Some(Layer::Fetch) => Station::Page,
        Some(Layer::Lookup) => Station::Names,
        Some(Layer::Proxy) => Station::Proxy,
        Some(Layer::Packet) => Station::Firewall,
        None => Station::Unknown,
    }
}

fn answer(report: &Report, file: FileId) -> Option<&str> {
    let input = report.inputs.iter().find(|input| input.file == file)?;
    input.answer.as_deref()
}

/// A sign that tells the outcome without colour, and its word for those who hear it.
fn sign(outcome: Outcome) -> String {
    let sign = match outcome {
        Outcome::Pass => "✓",
        Outcome::Degraded => "▲",
        Outcome::Undecided => "?",
        Outcome::Fail => "✗",
        Outcome::NotApplicable => "·",
    };
    let word = outcome.word();
    format!(
        "<span class=\"{word}\" aria-hidden=\"true\">{sign}</span><span class=\"sr\">{word}:</span>"
    )
}
