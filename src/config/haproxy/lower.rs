//! In: the sections of a config of `HAProxy`. Out: the pages of every way through it, each with the policies that reach them.
//!
//! On an answer the rules of the backend run before those of the frontend, those of their `defaults` before their own,
//! and all `http-after-response` rules after all `http-response` ones (Configuration Manual, "http-response",
//! "http-after-response"; `http_process_res_common` and `http_eval_after_res_rules` in `src/http_ana.c`).

use super::parse::{Rule, Section, parse};
use crate::config::csp::{
    Change, Delivery, Disposition, Document, Doubt, Policy, Table, Text, disposition, distinct,
    parse_policies,
};
use crate::source::{FileId, Span, Spanned};

/// The pages of a file, and where `HAProxy` refuses it.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> (Vec<Document>, Vec<Spanned<String>>) {
    let (sections, mut broken) = parse(file, bytes);
    let mut found: Vec<Document> = Vec::new();
    for section in &sections {
        broken.extend(section.rules.iter().filter_map(refusal));
    }
    for (name, way) in ways(&sections) {
        let mut table = Table::default();
        for kind in ["http-response", "http-after-response"] {
            for place in &way {
                run(&sections, *place, kind, &mut table);
            }
        }
        let policies = table.policies();
        let spans =
            |policies: &[Policy]| -> Vec<Span> { policies.iter().map(|one| one.span).collect() };
        let is_new = found
            .iter()
            .all(|page| spans(&page.policies) != spans(&policies));
        if is_new && !policies.is_empty() {
            let mut page = Document::new(name);
            page.policies = policies;
            found.push(page);
        }
    }
    distinct(&mut found);
    (found, broken)
}

/// The ways of an answer: the sections whose rules it meets, in order, by their places.
fn ways(sections: &[Section]) -> Vec<(String, Vec<usize>)> {
    let mut found = Vec::new();
    let mut reached: Vec<usize> = Vec::new();
    let place_of = |name: &str| {
        sections.iter().position(|section| {
            matches!(section.kind.as_str(), "backend" | "listen") && section.name == name
        })
    };
    for (place, front) in sections.iter().enumerate() {
        if !matches!(front.kind.as_str(), "frontend" | "listen") {
            continue;
        }
        let title = format!("{} {}", front.kind, front.name);
        let mut names: Vec<String> = Vec::new();
        for (at, rule) in front.rules.iter().enumerate() {
            if matches!(rule.word(0).as_str(), "use_backend" | "default_backend") {
                names.push(rule.word(1));
            }
            // What is computed may be any backend.
            if rule.word(0) == "use_backend" && rule.word(1).contains('%') && at < front.rules.len()
            {
                let backs = sections.iter().filter(|section| section.kind == "backend");
                names.extend(backs.map(|section| section.name.clone()));
            }
        }
        let backs: Vec<usize> = names.iter().filter_map(|name| place_of(name)).collect();
        reached.extend(&backs);
        if front.kind == "listen" || backs.is_empty() {
            found.push((title.clone(), vec![place]));
        }
        for back in backs {
            let name = sections.get(back).map_or("", |section| &section.name);
            found.push((format!("{title} backend {name}"), vec![back, place]));
        }
    }
    for (place, back) in sections.iter().enumerate() {
        if back.kind == "backend" && !reached.contains(&place) {
            found.push((format!("backend {}", back.name), vec![place]));
        }
    }
    found
}

/// Runs the rules of one kind of a section, those of its `defaults` first.
fn run(sections: &[Section], place: usize, kind: &str, table: &mut Table) {
    let Some(section) = sections.get(place) else {
        return;
    };
    let before = sections.get(..place).unwrap_or_default();
    let defaults = before.iter().rfind(|other| {
        let is_named = section.from.as_ref().is_none_or(|from| *from == other.name);
        other.kind == "defaults" && is_named
    });
    let own = defaults.into_iter().chain([section]);
    let rules = own.flat_map(|section| &section.rules);
    let mut ended: Option<Doubt> = None;
    for rule in rules
        .filter(|rule| rule.word(0) == kind || kind == "http-response" && rule.word(0) == "rspadd")
    {
        let doubt = ended.clone().or_else(|| condition(rule));
        let action = rule.word(1);
        if matches!(action.as_str(), "allow" | "return" | "redirect" | "deny") {
            match doubt {
                None => return,
                Some(doubt) => ended = ended.or(Some(doubt)),
            }
            continue;
        }
        for (disposition, change) in changes(rule) {
            table.change(disposition, &change, doubt.as_ref());
        }
    }
}

/// The place of `if` or `unless`, after the arguments of an action.
fn condition_at(rule: &Rule) -> Option<usize> {
    let first = if rule.word(0) == "rspadd" {
        2
    } else {
        2 + arguments(&rule.word(1))
    };
    (first..rule.words.len()).find(|at| matches!(rule.word(*at).as_str(), "if" | "unless"))
}

/// Whether a rule may not run.
fn condition(rule: &Rule) -> Option<Doubt> {
    let words = |from: usize| -> String {
        let words: Vec<String> = (from..rule.words.len()).map(|at| rule.word(at)).collect();
        words.join(" ")
    };
    let what = match condition_at(rule) {
        Some(at) => format!("whether `{}` holds", words(at)),
        None if rule.is_conditional => "whether the `.if` around it holds".to_owned(),
        None => return None,
    };
    Some(Doubt {
        span: rule.span,
        what,
    })
}

/// So many arguments an action takes before its condition.
fn arguments(action: &str) -> usize {
    match action {
        "set-header" | "add-header" => 2,
        "replace-header" | "replace-value" => 3,
        "del-header" => 1,
        _ => 0,
    }
}

/// What a rule does to headers with policies.
fn changes(rule: &Rule) -> Vec<(Disposition, Change)> {
    let action = rule.word(1);
    let span = rule.span;
    if rule.word(0) == "rspadd" {
        // The whole line as one word: `Name:\ value`.
        let line = rule.words.get(1);
        let colon = line.and_then(|line| memchr::memchr(b':', line.bytes()));
        let (Some(line), Some(colon)) = (line, colon) else {
            return Vec::new();
        };
        let name = disposition(line.slice(&(0..colon)));
        let value = line.part(colon + 1..line.bytes().len());
        return name
            .map(|name| (name, Change::Add(policies(&value, name))))
            .into_iter()
            .collect();
    }
    let header = rule.words.get(2).map_or(&[][..], |word| word.bytes());
    let value = |disposition| {
        rule.words
            .get(3)
            .map_or_else(Vec::new, |value| policies(value, disposition))
    };
    let unknown = |what: &str| Doubt {
        span,
        what: what.to_owned(),
    };
    let known = |change: &dyn Fn(Disposition) -> Change| -> Vec<(Disposition, Change)> {
        disposition(header)
            .map(|name| (name, change(name)))
            .into_iter()
            .collect()
    };
    match action.as_str() {
        "set-header" => known(&|name| Change::Set(value(name))),
        "add-header" => known(&|name| Change::Add(value(name))),
        "replace-header" | "replace-value" => {
            known(&|_| Change::Rewrite(unknown("what this replacement makes of the value")))
        }
        "del-header" if rule.word(3) == "-m" && rule.word(4) != "str" => {
            // Names are matched by a pattern.
            let both = [Disposition::Enforce, Disposition::ReportOnly];
            let change = Change::Rewrite(unknown("whether this pattern matches the header's name"));
            both.map(|name| (name, change.clone())).into()
        }
        "del-header" => known(&|_| Change::Unset),
        action if action.starts_with("lua.") => vec![(
            Disposition::Enforce,
            Change::Anything(unknown("what this script does to the header")),
        )],
        _ => Vec::new(),
    }
}

/// The policies of a format: `%[..]` and `%ci` are holes, `%%` is a percent sign (Configuration Manual, 8.2.6).
fn policies(format: &Text, disposition: Disposition) -> Vec<Policy> {
    let bytes = format.bytes();
    let mut text = format.emptied().sent(true);
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let hole = format.holes().iter().find(|hole| hole.start == at);
        let length = match (hole, rest) {
            (Some(hole), _) => hole.len(),
            (None, [b'%', b'%', ..]) => {
                text.push(b"%", format.span(&(at..at + 2)).range());
                at += 2;
                continue;
            }
            (None, [b'%', inside @ ..]) => 1 + expression(inside),
            (None, _) => 0,
        };
        if length > 1 {
            let written = rest.get(..length).unwrap_or(rest);
            text.push_hole(written, format.span(&(at..at + written.len())).range());
            at += written.len();
        } else {
            let byte = rest.first().copied().unwrap_or_default();
            text.push_byte(byte, format.span(&(at..at + 1)).range());
            at += 1;
        }
    }
    parse_policies(&text, Delivery::Header, disposition)
}

/// The length of what a percent sign begins.
fn expression(inside: &[u8]) -> usize {
    let flags = match inside {
        [b'{', ..] => memchr::memchr(b'}', inside).map_or(0, |close| close + 1),
        _ => 0,
    };
    let rest = inside.get(flags..).unwrap_or_default();
    if rest.first() == Some(&b'[') {
        let mut depth = 0usize;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return flags + at + 1;
            }
        }
        return flags + rest.len();
    }
    flags
        + rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
}

/// Why `HAProxy` refuses a rule about headers.
fn refusal(rule: &Rule) -> Option<Spanned<String>> {
    if !matches!(
        rule.word(0).as_str(),
        "http-response" | "http-after-response"
    ) {
        return None;
    }
    let action = rule.word(1);
    let wants = arguments(&action);
    let next = 2 + wants;
    if rule.words.len() < next {
        return Some(Spanned::new(
            format!("arguments of `{action}` are missing"),
            rule.span,
        ));
    }
    let follows = rule.word(next);
    let is_fine = wants == 0
        || rule.words.len() == next
        || matches!(follows.as_str(), "if" | "unless")
        || action == "del-header" && follows == "-m";
    (!is_fine).then(|| {
        let words =
            format!("`{action}` has too many arguments: a value with blanks stands in quotes");
        Spanned::new(words, rule.span)
    })
}
