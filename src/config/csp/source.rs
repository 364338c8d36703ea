//! In: one token of a source list. Out: what it matches, or why it matches nothing.
//!
//! Grammar: CSP3, 2.3.1 "Source Lists", as Chromium reads it: keywords, schemes and hosts in any case; a query or
//! fragment after a path is cut off; a host may end in a dot; `_` and IPv6 literals are no hosts.

use super::syntax::{Bad, HashOf, Host, Keyword, Port, Source};

/// What a token means as a source expression.
pub(super) fn parse_source(token: &str) -> Source {
    if token == "*" {
        return Source::Star;
    }
    if let Some(inner) = between(token, '\'') {
        return quoted(inner);
    }
    if let Some(inner) = between(token, '"') {
        return Source::Bad(Bad::DoubleQuoted(inner.to_owned()));
    }
    unquoted(token)
}

fn between(token: &str, quote: char) -> Option<&str> {
    token.strip_prefix(quote)?.strip_suffix(quote)
}

fn quoted(inner: &str) -> Source {
    let lower = inner.to_ascii_lowercase();
    match lower.as_str() {
        "self" => return Source::Myself,
        "none" => return Source::None,
        _ => {}
    }
    if let Some(keyword) = Keyword::from_word(&lower) {
        return Source::Keyword(keyword);
    }
    if lower.starts_with("nonce-")
        && let Some((_, value)) = inner.split_once('-')
        && is_base64(value)
    {
        return Source::Nonce(value.to_owned());
    }
    for (prefix, of) in [
        ("", HashOf::Content),
        ("url-", HashOf::Url),
        ("eval-", HashOf::Evaluated),
    ] {
        let is_hash = lower
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(algorithm, value)| {
                matches!(algorithm, "sha256" | "sha384" | "sha512") && is_base64(value)
            });
        if is_hash {
            return Source::Hash(of);
        }
    }
    Source::Bad(match unquoted(inner) {
        Source::Scheme(scheme) => Bad::QuotedScheme(scheme),
        Source::Star => Bad::QuotedHost(inner.to_owned()),
        Source::Host(host) if looks_like_a_host(&host) => Bad::QuotedHost(inner.to_owned()),
        Source::Host(_)
        | Source::None
        | Source::Myself
        | Source::Keyword(_)
        | Source::Nonce(_)
        | Source::Hash(_)
        | Source::Template
        | Source::Bad(_) => Bad::UnknownKeyword,
    })
}

/// A single word without dots is rather a keyword than a host.
fn looks_like_a_host(host: &Host) -> bool {
    host.scheme.is_some()
        || host.wildcard
        || host.name.contains('.')
        || host.name == "localhost"
        || host.port != Port::Default
}

/// `base64-value` (CSP3, 2.3.1): letters, digits, `+ / - _`, then up to two `=`.
fn is_base64(value: &str) -> bool {
    let body = value.trim_end_matches('=');
    !body.is_empty()
        && value.len() - body.len() <= 2
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'))
}

fn unquoted(token: &str) -> Source {
    if let Some(scheme) = token.strip_suffix(':')
        && is_scheme(scheme)
    {
        return Source::Scheme(scheme.to_ascii_lowercase());
    }
    let (scheme, rest) = match token.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            if !is_scheme(scheme) {
                return Source::Bad(Bad::Malformed);
            }
            (Some(scheme.to_ascii_lowercase()), rest)
        }
        Some(_) | None => (None, token),
    };
    match host(scheme, rest) {
        Ok(host) => Source::Host(host),
        Err(bad) => Source::Bad(bad),
    }
}

fn host(scheme: Option<String>, rest: &str) -> Result<Host, Bad> {
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
        None => (rest, ""),
    };
    if authority.contains('[') || authority.contains(']') {
        return Err(Bad::Ipv6);
    }
    if authority.contains(['?', '#']) {
        return Err(Bad::QueryWithoutPath);
    }
    let (name, port) = match authority.split_once(':') {
        Some((name, "*")) => (name, Port::Any),
        Some((name, digits)) => (name, Port::Is(port(digits).ok_or(Bad::Port)?)),
        None => (authority, Port::Default),
    };
    let (wildcard, name) = match name.strip_prefix("*.") {
        Some(below) => (true, below),
        None if name == "*" => (true, ""),
        None => (false, name),
    };
    let every_name = wildcard && name.is_empty() && !authority.starts_with("*.");
    if !every_name && !is_host_name(name) {
        return Err(if name.contains('*') {
            Bad::Wildcard
        } else {
            Bad::Malformed
        });
    }
    let kept = path.split(['?', '#']).next().unwrap_or_default();
    Ok(Host {
        scheme,
        wildcard,
        name: name.to_ascii_lowercase(),
        port,
        path: (!kept.is_empty()).then(|| percent_decoded(kept)),
        cut: kept.len() < path.len(),
    })
}

fn port(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Labels of letters, digits and hyphens; the last may be empty (a trailing dot).
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn percent_decoded(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        if *first == b'%'
            && let [high, low, tail @ ..] = after
            && let (Some(high), Some(low)) = (hex(high), hex(low))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            decoded.push(byte);
            rest = tail;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(token: &str) -> Host {
        let source = parse_source(token);
        let Source::Host(host) = source else {
            panic!("{token}: {source:?}");
        };
        host
    }

    #[test]
    fn keywords_schemes_and_hosts_in_any_case() {
        assert_eq!(parse_source("'SELF'"), Source::Myself);
        assert_eq!(
            parse_source("'Wasm-Unsafe-Eval'"),
            Source::Keyword(Keyword::WasmUnsafeEval)
        );
        assert_eq!(parse_source("BLOB:"), Source::Scheme("blob".to_owned()));
        assert_eq!(host_of("HTTPS://*.Chime.AWS").name, "chime.aws");
        assert_eq!(
            parse_source("'NONCE-aBc='"),
            Source::Nonce("aBc=".to_owned())
        );
        assert_eq!(parse_source("'url-sha384-ab'"), Source::Hash(HashOf::Url));
    }

    #[test]
    fn quotes_around_what_is_no_keyword_match_nothing() {
        for (token, bad) in [
            ("'blob:'", Bad::QuotedScheme("blob".to_owned())),
            (
                "'https://a.test'",
                Bad::QuotedHost("https://a.test".to_owned()),
            ),
            ("'*.chime.aws'", Bad::QuotedHost("*.chime.aws".to_owned())),
            ("'unsafe_eval'", Bad::UnknownKeyword),
            ("'nonce-'", Bad::UnknownKeyword),
            ("\"'self'\"", Bad::DoubleQuoted("'self'".to_owned())),
            ("static.*.aws", Bad::Wildcard),
            ("https://*aws", Bad::Wildcard),
            ("*.", Bad::Malformed),
            ("https://[::1]", Bad::Ipv6),
            ("https://a.test:port", Bad::Port),
            ("https://a.test:", Bad::Port),
            ("https://c.test?q", Bad::QueryWithoutPath),
            ("https:/a.test", Bad::Port),
            ("//a.test", Bad::Malformed),
            ("https://u:p@a.test", Bad::Port),
            ("a_b.test", Bad::Malformed),
            ("https://.b.test", Bad::Malformed),
        ] {
            assert_eq!(parse_source(token), Source::Bad(bad), "{token}");
        }
    }

    #[test]
    fn unquoted_keywords_are_host_names() {
        assert_eq!(host_of("self").name, "self");
        assert_eq!(host_of("wasm-unsafe-eval").name, "wasm-unsafe-eval");
    }

    #[test]
    fn ports_and_paths() {
        assert_eq!(host_of("*:*").port, Port::Any);
        assert_eq!(host_of("https://a.test:0443").port, Port::Is(443));
        assert_eq!(host_of("a.test/%41b/?q").path.unwrap(), b"/Ab/");
        assert!(host_of("a.test/x#y").cut);
        assert_eq!(host_of("a.test/x:y").path.unwrap(), b"/x:y");
        assert_eq!(host_of("https://a.test.").name, "a.test.");
        assert!(host_of("*/x").wildcard);
    }
}
