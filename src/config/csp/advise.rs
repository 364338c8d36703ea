//! In: the policies of a page. Out: what in them does not do what its author meant, each with a span on the token and,
//! where an edit of the token mends it, a fix.
//!
//! A fix that makes the policy allow more is not marked safe.

use crate::config::{DialectFinding, Edit, Fix};
use crate::source::{Span, Spanned};

use super::lower::{Page, allows_default_policy, requires_trusted_types};
use super::names::meant;
use super::syntax::{Delivery, Directive, Disposition, Fate, Known, Name, Policy};
use super::text::Quoting;
use super::tokens::about_sources;
use super::{Document, Ignored};

/// Of so many directives of a policy something is told; a policy of a person has a dozen.
const TOLD: usize = 2_000;

/// What the policies of a page report about themselves, in the order of the text.
pub(super) fn advise(document: &Document, page: &Page) -> Vec<DialectFinding> {
    let mut findings = Vec::new();
    for policy in &document.policies {
        findings.extend(comma(policy));
        for (place, directive) in policy.directives.iter().enumerate().take(TOLD) {
            findings.extend(about_name(policy, directive, place));
            if directive.fate == Fate::InForce
                && matches!(directive.name.value, Name::Known(name) if name.takes_sources())
            {
                about_sources(policy, directive, &mut findings);
            }
        }
        findings.extend(trusted_types(policy, page));
    }
    findings.extend(document.ignored.iter().map(ignored));
    findings.extend(report_only(document));
    findings.sort_by_key(|finding| (finding.label.span, finding.id));
    findings
}

pub(super) fn finding(id: &'static str, title: String, span: Span, label: &str) -> DialectFinding {
    DialectFinding {
        id,
        title,
        label: Spanned::new(label.to_owned(), span),
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: false,
    }
}

/// Adds what to do, and an edit that does it where the text around allows one.
pub(super) fn mended(
    mut finding: DialectFinding,
    help: String,
    edits: Option<Vec<Edit>>,
    safe: bool,
) -> DialectFinding {
    finding.fix = edits.filter(|edits| !edits.is_empty()).map(|edits| Fix {
        title: help.clone(),
        edits,
        safe,
    });
    finding.help = Some(help);
    finding
}

/// A text as it must be written inside what stands around the policy.
pub(super) fn written(quoting: Quoting, text: &str) -> Option<String> {
    match quoting {
        Quoting::Bare | Quoting::DoubleQuoted => Some(text.to_owned()),
        Quoting::SingleQuoted => Some(text.replace('\'', "&#39;")),
        Quoting::Escaped => (!text.contains(['"', '\\', '`', '$'])).then(|| text.to_owned()),
        Quoting::Backslashed => (!text.contains(['\\', '$'])).then(|| text.replace('\'', "\\'")),
        Quoting::Doubled => Some(text.replace('\'', "''")),
        Quoting::Literal => (!text.contains('\'')).then(|| text.to_owned()),
        Quoting::Unquoted => {
            let needs_quotes = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '>' | '=');
            (!text.contains(needs_quotes)).then(|| text.to_owned())
        }
    }
}

pub(super) fn replace(policy: &Policy, span: Span, text: &str) -> Option<Vec<Edit>> {
    let text = written(policy.quoting, text)?;
    Some(vec![Edit { span, text }])
}

pub(super) fn after(span: Span) -> Span {
    Span {
        start: span.end,
        ..span
    }
}

fn about_name(policy: &Policy, directive: &Directive, place: usize) -> Option<DialectFinding> {
    let name = &directive.written;
    match &directive.fate {
        Fate::InForce | Fate::Template | Fate::Unread(_) => None,
        Fate::Unrecognised => Some(unrecognised(policy, directive, place)),
        Fate::Duplicate(first) => Some(duplicate(policy, directive, *first)),
        Fate::Dropped(refused) => Some(dropped(policy, directive, *refused)),
        Fate::IgnoredInMeta => Some(mended(
            finding(
                "csp/meta-ignored",
                format!("`{name}` has no effect in a meta element"),
                directive.name.span,
                "ignored here",
            ),
            format!("send `{name}` in a Content-Security-Policy header"),
            None,
            false,
        )),
    }
}

fn unrecognised(policy: &Policy, directive: &Directive, place: usize) -> DialectFinding {
    let (name, span) = (&directive.written, directive.name.span);
    let Some(meant) = meant(name) else {
        return mended(
            finding(
                "csp/unknown-directive",
                format!("`{name}` is no directive that browsers know"),
                span,
                "skipped",
            ),
            format!("remove `{name}`, or correct it"),
            None,
            false,
        );
    };
    let Some(known) = meant.name else {
        // The header's name inside its value: the next word is the directive's name.
        let next = directive.values.first().map(|token| token.text.as_str());
        let title = match next {
            Some(next) => format!("`{name}` inside the value hides `{next}`"),
            None => format!("`{name}` stands inside the value"),
        };
        return mended(
            finding("csp/directive-name", title, span, "taken as a directive"),
            format!("remove `{name}`"),
            replace(policy, span, ""),
            false,
        );
    };
    let word = known.word();
    let label = if policy.directive(known).is_some() || is_later(policy, known, place) {
        "no directive: its sources count nowhere".to_owned()
    } else if word.ends_with("-src") && known != Known::DefaultSrc {
        match policy.directive(Known::DefaultSrc) {
            Some(_) => format!("no directive: `default-src` decides instead of `{word}`"),
            None => format!("no directive: `{word}` is not set and restricts nothing"),
        }
    } else {
        format!("no directive: `{word}` is not set")
    };
    let text = match &meant.value {
        Some(value) => format!("{word} {value}"),
        None => word.to_owned(),
    };
    mended(
        finding(
            "csp/directive-name",
            format!("`{name}` is no directive, so `{word}` has no effect"),
            span,
            &label,
        ),
        format!("write `{text}` instead of `{name}`"),
        replace(policy, span, &text),
        false,
    )
}

fn is_later(policy: &Policy, name: Known, place: usize) -> bool {
    policy
        .directives
        .iter()
        .skip(place + 1)
        .any(|directive| directive.name.value == Name::Known(name))
}

fn duplicate(policy: &Policy, directive: &Directive, first: Span) -> DialectFinding {
    let name = &directive.written;
    let earlier = policy
        .directives
        .iter()
        .find(|earlier| earlier.span == first);
    let missing: Vec<&str> = directive
        .values
        .iter()
        .map(|token| token.text.as_str())
        .filter(|text| {
            earlier.is_none_or(|earlier| earlier.values.iter().all(|token| token.text != *text))
        })
        .collect();
    let mut found = finding(
        "csp/duplicate-directive",
        format!("`{name}` is set a second time and ignored"),
        directive.span,
        "ignored",
    );
    found.related.push(Spanned::new(
        "this one counts, even if the browser drops it".to_owned(),
        first,
    ));
    if missing.is_empty() {
        let edits = replace(policy, directive.span, "");
        return mended(found, format!("remove the second `{name}`"), edits, true);
    }
    let edits = written(policy.quoting, &format!(" {}", missing.join(" "))).map(|text| {
        vec![
            Edit {
                span: after(first),
                text,
            },
            Edit {
                span: directive.span,
                text: String::new(),
            },
        ]
    });
    mended(
        found,
        format!("move its sources into the first `{name}`"),
        edits,
        false,
    )
}

fn dropped(policy: &Policy, directive: &Directive, refused: Spanned<char>) -> DialectFinding {
    let shown = format!("U+{:04X}", u32::from(refused.value));
    let found = finding(
        "csp/non-ascii",
        format!(
            "the browser drops `{}` because of the character {shown}",
            directive.written.escape_debug()
        ),
        refused.span,
        "drops the whole directive",
    );
    let plain = match refused.value {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' => Some("'"),
        '\u{a0}' | '\u{2003}' | '\u{2002}' | '\u{2009}' | '\u{202f}' | '\u{b}' => Some(" "),
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{ad}' | '\u{2060}' => Some(""),
        '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' | '\u{2014}' => Some("-"),
        _ => None,
    };
    let help = match plain {
        Some("") => format!("remove {shown}"),
        Some(plain) => format!("write `{plain}` instead of {shown}"),
        None => format!("write {shown} in ASCII (host names in punycode)"),
    };
    let edits = plain.and_then(|plain| replace(policy, refused.span, plain));
    mended(found, help, edits, false)
}

fn comma(policy: &Policy) -> Option<DialectFinding> {
    let comma = policy.after_comma?;
    let first = policy.directives.first()?;
    let is_rest_of_list = first.fate == Fate::Unrecognised && meant(&first.written).is_none();
    if is_rest_of_list {
        let found = finding(
            "csp/comma",
            format!("the comma before `{}` ends the policy", first.written),
            comma,
            "starts another policy, which has no directive here",
        );
        let help = "remove the comma: sources are separated by blanks".to_owned();
        return Some(mended(found, help, replace(policy, comma, " "), false));
    }
    (policy.delivery == Delivery::Meta).then(|| {
        mended(
            finding(
                "csp/comma",
                "browsers differ about the comma in this meta element".to_owned(),
                comma,
                "Chromium starts another policy here, Firefox does not",
            ),
            "use a meta element for each policy".to_owned(),
            None,
            false,
        )
    })
}

fn trusted_types(policy: &Policy, page: &Page) -> Option<DialectFinding> {
    let enforced = policy.disposition == Disposition::Enforce && requires_trusted_types(policy);
    let helped = page.has_default_policy && allows_default_policy(policy);
    let directive = policy
        .directive(Known::RequireTrustedTypesFor)
        .filter(|_| enforced && !helped)?;
    Some(mended(
        finding(
            "csp/trusted-types",
            "workers and scripts cannot be started from plain strings".to_owned(),
            directive.span,
            "refuses plain strings",
        ),
        "make a Trusted Types policy named `default`, or send this directive report-only"
            .to_owned(),
        None,
        false,
    ))
}

fn ignored(place: &Spanned<Ignored>) -> DialectFinding {
    let label = if place.value == Ignored::Shadowed {
        "no header from outside is sent with this one"
    } else {
        "no effect"
    };
    let (id, title, help) = match place.value {
        Ignored::OutsideHead => (
            "csp/meta-ignored",
            "a policy in the body is ignored",
            "move the meta element into the head, before anything visible",
        ),
        Ignored::ReportOnlyMeta => (
            "csp/meta-ignored",
            "a report-only policy in a meta element is ignored",
            "send it in a Content-Security-Policy-Report-Only header",
        ),
        Ignored::Shadowed => (
            "csp/shadowed-header",
            "a header set in this block drops the policy that is set outside of it",
            "repeat the policy's `add_header` in this block",
        ),
        Ignored::Obsolete => (
            "csp/obsolete-header",
            "no browser reads this header any more",
            "use the name `Content-Security-Policy`",
        ),
    };
    mended(
        finding(id, title.to_owned(), place.span, label),
        help.to_owned(),
        None,
        false,
    )
}

fn report_only(document: &Document) -> Option<DialectFinding> {
    let first = document.policies.first()?;
    let all = document
        .policies
        .iter()
        .all(|policy| policy.disposition == Disposition::ReportOnly);
    all.then(|| {
        mended(
            finding(
                "csp/report-only",
                "the page's policy only reports and blocks nothing".to_owned(),
                first.span,
                "reports only",
            ),
            "check it as `Content-Security-Policy` before you enforce it".to_owned(),
            None,
            false,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::headers::documents;
    use super::*;
    use crate::config::{Facts, Input, NoFiles};
    use crate::source::Sources;

    /// Ids of the findings of a text, each with the text of its span, and the text with all fixes applied.
    fn told(text: &str) -> (Vec<(String, String)>, String) {
        let sources = Sources::new();
        let file = sources.add("a", text.as_bytes().to_vec()).unwrap();
        let page = Page::of(&Facts::default());
        let documents = documents(file, text.as_bytes());
        let findings = advise(&documents[0], &page);
        let mut edits: Vec<Edit> = findings
            .iter()
            .filter_map(|finding| finding.fix.clone())
            .flat_map(|fix| fix.edits)
            .collect();
        edits.sort_by_key(|edit| edit.span);
        let mut mended = text.to_owned();
        for edit in edits.iter().rev() {
            mended.replace_range(edit.span.range(), &edit.text);
        }
        let told = findings
            .iter()
            .map(|finding| {
                assert!(super::super::DIAGNOSTICS.iter().any(|d| d.id == finding.id));
                (finding.id.to_owned(), sources.text(finding.label.span))
            })
            .collect();
        (told, mended)
    }

    #[test]
    fn each_mistake_is_told_on_its_token_and_mended() {
        for (text, id, at, mended) in [
            (
                "worker-src 'blob:'",
                "csp/quoted-scheme",
                "'blob:'",
                "worker-src blob:",
            ),
            (
                "connect-src '*.a.test'",
                "csp/quoted-source",
                "'*.a.test'",
                "connect-src *.a.test",
            ),
            (
                "connect-src self",
                "csp/unquoted-keyword",
                "self",
                "connect-src 'self'",
            ),
            (
                "img-src \"self\"",
                "csp/quoted-source",
                "\"self\"",
                "img-src 'self'",
            ),
            (
                "connect-src: *.a.test",
                "csp/directive-name",
                "connect-src:",
                "connect-src *.a.test",
            ),
            (
                "content=\"img-src a.test",
                "csp/directive-name",
                "content=\"img-src",
                "img-src a.test",
            ),
            (
                "img-src a.test connect-src b.test",
                "csp/missing-semicolon",
                "connect-src",
                "img-src a.test; connect-src b.test",
            ),
            ("img-src ‘self’", "csp/non-ascii", "‘", "img-src 'self’"),
            (
                "img-src a; img-src b a",
                "csp/duplicate-directive",
                "img-src b a",
                "img-src a b; ",
            ),
            (
                "img-src a.test, https://b.test",
                "csp/comma",
                ",",
                "img-src a.test  https://b.test",
            ),
            (
                "img-src 'none' a.test",
                "csp/none-with-others",
                "'none'",
                "img-src  a.test",
            ),
            ("img-src", "csp/empty-list", "img-src", "img-src 'none'"),
            (
                "img-src static.*.a",
                "csp/bad-source",
                "static.*.a",
                "img-src static.*.a",
            ),
            ("img-src https", "csp/bad-source", "https", "img-src https:"),
            (
                "script-src-elem 'unsafe-eval'",
                "csp/keyword-wrong-directive",
                "'unsafe-eval'",
                "script-src-elem 'unsafe-eval'",
            ),
            (
                "require-trusted-types-for 'script'",
                "csp/trusted-types",
                "require-trusted-types-for 'script'",
                "require-trusted-types-for 'script'",
            ),
            ("x-y z", "csp/unknown-directive", "x-y", "x-y z"),
        ] {
            let (found, after) = told(text);
            assert!(
                found.contains(&(id.to_owned(), at.to_owned())),
                "{text}: {found:?}"
            );
            assert_eq!(after, mended, "{text}");
        }
    }

    #[test]
    fn a_sound_policy_reports_nothing() {
        let (found, _) = told(
            "default-src 'none'; connect-src https://*.a.test wss://*.a.test; script-src 'self' \
             https://*.b.test blob: 'wasm-unsafe-eval'; worker-src blob:; img-src blob: data:; \
             frame-ancestors 'none'; upgrade-insecure-requests",
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_explanation_is_told_for_html_too() {
        let html = br"<meta http-equiv=content-security-policy content='sandbox; worker-src &#39;blob:&#39;'>";
        let sources = Sources::new();
        let file = sources.add("a.html", html.to_vec()).unwrap();
        let input = Input {
            file,
            path: "a.html",
            bytes: html,
        };
        let kind = crate::config::kind("html").unwrap();
        let reading = (kind.read)(&input, &NoFiles, &Facts::default());
        let ids: Vec<_> = reading.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, ["csp/meta-ignored", "csp/quoted-scheme"]);
        let quoted = &reading.findings[1];
        assert_eq!(sources.text(quoted.label.span), "&#39;blob:&#39;");
        assert_eq!(quoted.fix.as_ref().unwrap().edits[0].text, "blob:");
    }
}
