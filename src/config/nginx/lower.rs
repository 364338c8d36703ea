//! In: the directives of an nginx config. Out: the pages that it serves, each with the policies that reach them.

use super::parse::Directive;
use crate::config::csp::{
    Delivery, Disposition, Document, Ignored, Policy, parse_policies, unread,
};
use crate::source::{Span, Spanned};

/// The pages of a config: one for every block that sends other policies than the block around it.
pub(super) fn documents(tree: &[Directive]) -> Vec<Document> {
    let mut found = Vec::new();
    block(tree, "page", &Level::default(), &mut found);
    let mut names: Vec<String> = Vec::new();
    for document in &mut found {
        let same = names.iter().filter(|name| **name == document.name).count();
        names.push(document.name.clone());
        if same > 0 {
            document.name = format!("{} ({})", document.name, same + 1);
        }
    }
    found
}

/// The headers that a block sends.
#[derive(Clone, Default)]
struct Level {
    policies: Vec<Policy>,
    /// How blocks inside take them over.
    inherit: Inherit,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Inherit {
    #[default]
    UnlessSet,
    Merged,
    Off,
}

/// Blocks whose headers are those of responses; of others (`map`, `types`, `upstream`) none is sent.
const SENDS: [&str; 5] = ["http", "server", "location", "if", "limit_except"];

fn block(directives: &[Directive], name: &str, outer: &Level, found: &mut Vec<Document>) {
    let mut own = Level {
        inherit: outer.inherit,
        ..Level::default()
    };
    let mut first_header: Option<Span> = None;
    let mut missing = false;
    let mut other_module = None;
    for directive in directives.iter().filter(|one| one.block.is_none()) {
        match directive.word(0).as_str() {
            "add_header" => {
                first_header = first_header.or(directive.span());
                own.policies.extend(policies(directive));
            }
            "add_header_inherit" => {
                own.inherit = match directive.word(1).as_str() {
                    "merge" => Inherit::Merged,
                    "off" => Inherit::Off,
                    _ => Inherit::UnlessSet,
                };
            }
            "include" if directive.is_missing => {
                missing = true;
                own.policies.extend(directive.span().map(|span| {
                    unread(span, format!("the file of `include {}`", directive.word(1)))
                }));
            }
            // Modules of other makers change what was set, here and in the blocks inside.
            "more_set_headers" | "more_clear_headers" if names_the_header(directive) => {
                other_module = directive.span();
            }
            _ => {}
        }
    }
    let mut ignored = Vec::new();
    match own.inherit {
        Inherit::Merged => own
            .policies
            .splice(0..0, outer.policies.clone())
            .for_each(drop),
        Inherit::UnlessSet if first_header.is_none() && !missing => {
            own.policies.clone_from(&outer.policies);
        }
        Inherit::UnlessSet => {
            let drops = own.policies.is_empty() && !outer.policies.is_empty();
            ignored.extend(
                first_header
                    .filter(|_| drops)
                    .map(|span| Spanned::new(Ignored::Shadowed, span)),
            );
        }
        Inherit::Off => {}
    }
    if let Some(span) = other_module {
        own.policies = vec![unread(
            span,
            "what this module makes of the header".to_owned(),
        )];
        ignored.clear();
    }
    let spans =
        |level: &Level| -> Vec<Span> { level.policies.iter().map(|one| one.span).collect() };
    let differs = spans(&own) != spans(outer);
    if differs && (!own.policies.is_empty() || !ignored.is_empty()) {
        let mut document = Document::new(name);
        document.policies.clone_from(&own.policies);
        document.ignored = ignored;
        found.push(document);
    }
    for directive in directives {
        if let Some(inside) = &directive.block
            && SENDS.contains(&directive.word(0).as_str())
        {
            block(inside, &named(directive, inside, name), &own, found);
        }
    }
}

/// `server app.example.com`, `location /x`.
fn named(directive: &Directive, inside: &[Directive], outer: &str) -> String {
    let mut words: Vec<String> = (0..directive.words.len())
        .map(|at| directive.word(at))
        .collect();
    if words.first().is_some_and(|word| word == "server") {
        let name = inside.iter().find(|one| one.word(0) == "server_name");
        words.extend(name.map(|name| name.word(1)));
        return words.join(" ");
    }
    if outer == "page" || outer == "http" {
        words.join(" ")
    } else {
        format!("{outer} {}", words.join(" "))
    }
}

fn names_the_header(directive: &Directive) -> bool {
    (1..directive.words.len()).any(|at| {
        let word = directive.word(at).to_ascii_lowercase();
        word.contains("content-security-policy")
    })
}

/// The policies of an `add_header`; an empty value is not sent.
fn policies(directive: &Directive) -> Vec<Policy> {
    let disposition = match directive.word(1).to_ascii_lowercase().as_str() {
        "content-security-policy" => Disposition::Enforce,
        "content-security-policy-report-only" => Disposition::ReportOnly,
        _ => return Vec::new(),
    };
    directive.words.get(2).map_or_else(Vec::new, |value| {
        parse_policies(value, Delivery::Header, disposition)
    })
}
