//! In: a list of sources. Out: what its tokens do not do that their author meant.

use crate::config::DialectFinding;
use crate::source::Span;

use super::advise::{after, finding, mended, replace};
use super::syntax::{Bad, Directive, Host, Keyword, Known, Name, Policy, Source, Token};

/// Adds what a directive's list of sources reports.
pub(super) fn about_sources(
    policy: &Policy,
    directive: &Directive,
    findings: &mut Vec<DialectFinding>,
) {
    let name = &directive.written;
    if directive.values.is_empty() {
        let found = finding(
            "csp/empty-list",
            format!("`{name}` has no sources and allows nothing"),
            directive.span,
            "means `'none'`",
        );
        findings.push(mended(
            found,
            format!("write `{name} 'none'` if nothing is to be allowed"),
            replace(policy, after(directive.span), " 'none'"),
            true,
        ));
    }
    let mut before: Option<&Token> = None;
    for token in &directive.values {
        let others = directive.values.len() > 1;
        findings.extend(about_token(policy, directive, token, before, others));
        before = Some(token);
    }
}

fn about_token(
    policy: &Policy,
    directive: &Directive,
    token: &Token,
    before: Option<&Token>,
    others: bool,
) -> Option<DialectFinding> {
    let text = &token.text;
    let instead = |id, title: String, label: &str, text: &str| {
        mended(
            finding(id, title, token.span, label),
            format!("write `{text}` instead of `{}`", token.text),
            replace(policy, token.span, text),
            false,
        )
    };
    match &token.source {
        Source::None if others => Some(mended(
            finding(
                "csp/none-with-others",
                format!("`{text}` beside other sources is ignored"),
                token.span,
                "counts only where it stands alone",
            ),
            format!("remove `{text}`"),
            replace(policy, token.span, ""),
            true,
        )),
        Source::Keyword(keyword) => wrong_directive(directive, token, *keyword),
        Source::Host(host) if !host.wildcard && host.scheme.is_none() => {
            if let Some(semicolon) = missing_semicolon(policy, token, before) {
                return Some(semicolon);
            }
            if matches!(
                host.name.as_str(),
                "http" | "https" | "ws" | "wss" | "blob" | "data"
            ) && text.len() == host.name.len()
            {
                let label = "taken as a host name";
                return Some(instead(
                    "csp/bad-source",
                    format!("`{text}` without a colon is a host, not a scheme"),
                    label,
                    &format!("{text}:"),
                ));
            }
            let lower = text.to_ascii_lowercase();
            let is_keyword = matches!(lower.as_str(), "self" | "none")
                || Keyword::from_word(&lower).is_some()
                || ["nonce-", "sha256-", "sha384-", "sha512-"]
                    .iter()
                    .any(|prefix| lower.starts_with(prefix));
            if is_keyword {
                return Some(instead(
                    "csp/unquoted-keyword",
                    format!("`{text}` without quotes is taken as a host name"),
                    "a host, not a keyword",
                    &format!("'{text}'"),
                ));
            }
            odd_path(token, host)
        }
        Source::Host(host) => odd_path(token, host),
        Source::Bad(bad) => Some(bad_source(policy, token, bad)),
        Source::Star
        | Source::None
        | Source::Myself
        | Source::Nonce(_)
        | Source::Hash(_)
        | Source::Scheme(_)
        | Source::Template => None,
    }
}

fn missing_semicolon(
    policy: &Policy,
    token: &Token,
    before: Option<&Token>,
) -> Option<DialectFinding> {
    let known = Known::from_word(&token.text.to_ascii_lowercase())?;
    // The word `sandbox` or `referrer` may be a host; `connect-src` is none.
    if !known.takes_sources() {
        return None;
    }
    let text = &token.text;
    let place = match before {
        Some(before) => after(before.span),
        None => Span {
            end: token.span.start,
            ..token.span
        },
    };
    Some(mended(
        finding(
            "csp/missing-semicolon",
            format!("a semicolon is missing before `{text}`, so it is not set"),
            token.span,
            "taken as a host name, and what follows as sources of the directive before",
        ),
        format!("put a semicolon before `{text}`"),
        replace(policy, place, ";"),
        false,
    ))
}

fn wrong_directive(
    directive: &Directive,
    token: &Token,
    keyword: Keyword,
) -> Option<DialectFinding> {
    let text = &token.text;
    if keyword == Keyword::WasmEval {
        return Some(mended(
            finding(
                "csp/keyword-wrong-directive",
                format!("no browser honours `{text}`"),
                token.span,
                "no effect",
            ),
            "use `'wasm-unsafe-eval'` in `script-src`".to_owned(),
            None,
            false,
        ));
    }
    let evaluates = matches!(
        keyword,
        Keyword::UnsafeEval | Keyword::WasmUnsafeEval | Keyword::TrustedTypesEval
    );
    let counts = matches!(
        directive.name.value,
        Name::Known(Known::ScriptSrc | Known::DefaultSrc)
    );
    (evaluates && !counts).then(|| {
        mended(
            finding(
                "csp/keyword-wrong-directive",
                format!("`{text}` has no effect in `{}`", directive.written),
                token.span,
                "counts only in `script-src`, or in `default-src` where that is not set",
            ),
            format!("move `{text}` into `script-src`"),
            None,
            false,
        )
    })
}

fn odd_path(token: &Token, host: &Host) -> Option<DialectFinding> {
    let text = &token.text;
    let path = host.path.as_deref().unwrap_or_default();
    let (title, label, help) = if path.contains(&b'*') {
        (
            format!("the star in the path of `{text}` is a plain character"),
            "matches only this very path",
            "end the path with `/` to match all below it",
        )
    } else if host.cut {
        (
            format!("the query in `{text}` is cut off"),
            "browsers compare the path only",
            "remove the query",
        )
    } else {
        return None;
    };
    Some(mended(
        finding("csp/bad-source", title, token.span, label),
        help.to_owned(),
        None,
        false,
    ))
}

fn bad_source(policy: &Policy, token: &Token, bad: &Bad) -> DialectFinding {
    let text = &token.text;
    let quotes = |id, what: &str, plain: &str| {
        mended(
            finding(
                id,
                format!("`{text}` matches nothing: {what}"),
                token.span,
                "matches nothing",
            ),
            format!("write `{plain}` instead of `{text}`"),
            replace(policy, token.span, plain),
            false,
        )
    };
    let (what, help) = match bad {
        Bad::QuotedScheme(scheme) => {
            let plain = format!("{scheme}:");
            return quotes(
                "csp/quoted-scheme",
                "a scheme is written without quotes",
                &plain,
            );
        }
        Bad::QuotedHost(host) => {
            return quotes(
                "csp/quoted-source",
                "a host is written without quotes",
                host,
            );
        }
        Bad::DoubleQuoted(inner) => {
            let is_keyword = matches!(inner.as_str(), "self" | "none")
                || Keyword::from_word(&inner.to_ascii_lowercase()).is_some();
            let plain = if is_keyword {
                format!("'{inner}'")
            } else {
                inner.clone()
            };
            return quotes("csp/quoted-source", "double quotes have no meaning", &plain);
        }
        Bad::UnknownKeyword => ("no browser knows the keyword", "correct the keyword"),
        Bad::Wildcard => (
            "a star may stand only as the whole first label",
            "write `*.` and the domain that all hosts share",
        ),
        Bad::Ipv6 => ("an IPv6 address is no host of a policy", "use a host name"),
        Bad::Port => (
            "its port is no number",
            "write a number or `*` behind the colon",
        ),
        Bad::QueryWithoutPath => (
            "a query follows the host without a path",
            "remove the query",
        ),
        Bad::Malformed => ("it is no host", "correct the source"),
    };
    mended(
        finding(
            "csp/bad-source",
            format!("`{text}` matches nothing: {what}"),
            token.span,
            "matches nothing",
        ),
        help.to_owned(),
        None,
        false,
    )
}
