//! In: a fetch that a page's policies block. Out: the smallest addition to each directive that blocks it.
//!
//! Only what was asked for is added: never `*`, never `'unsafe-eval'`, never a host wider than the requirement's. Where a
//! fallback decided, a new directive repeats its sources with the one that is needed, so that nothing else changes.

use crate::config::{Blocked, Edit, Fix};
use crate::model::Resource;
use crate::source::Span;

use super::Document;
use super::advise::{after, written};
use super::duties::{DUTIES, Duty, Use, operative};
use super::reach::{Comparer, Origin, default_port, reach};
use super::syntax::{Bad, Directive, Disposition, Keyword, Known, Name, Policy, Source};

/// The edits that let a blocked fetch pass, where one addition for each policy does.
pub(in crate::config) fn fix(documents: &[Document], blocked: &Blocked<'_>) -> Vec<Fix> {
    let Some((resource, url)) = blocked.fetch else {
        return Vec::new();
    };
    let Some(document) = documents.get(blocked.gate.unwrap_or_default()) else {
        return Vec::new();
    };
    let enforced = document
        .policies
        .iter()
        .filter(|policy| policy.disposition == Disposition::Enforce);
    let mut all = Vec::new();
    for policy in enforced {
        match additions(policy, resource, url) {
            Some(additions) => all.extend(additions.into_iter().map(|addition| (policy, addition))),
            None => return Vec::new(),
        }
    }
    // What is added to a directive comes before a new directive at the same place.
    all.sort_by_key(|(_, addition)| addition.is_new_directive());
    let mut titles: Vec<String> = Vec::new();
    let mut edits: Vec<Edit> = Vec::new();
    for (policy, addition) in &all {
        let Some(edit) = addition.edit(policy) else {
            return Vec::new();
        };
        let title = addition.title();
        if !titles.contains(&title) {
            titles.push(title);
        }
        match edits.iter_mut().find(|other| other.span == edit.span) {
            Some(other) => other.text.push_str(&edit.text),
            None => edits.push(edit),
        }
    }
    if edits.is_empty() {
        return Vec::new();
    }
    edits.sort_by_key(|edit| edit.span);
    vec![Fix {
        title: titles.join("; "),
        edits,
        safe: false,
    }]
}

/// Sources to be added for one directive.
struct Addition<'p> {
    /// The directive that decides now.
    decides: &'p Directive,
    /// The directive that is to allow.
    name: Known,
    sources: Vec<String>,
    /// A token that meant the source and is written wrong.
    replaces: Option<Span>,
}

impl Addition<'_> {
    fn is_new_directive(&self) -> bool {
        self.decides.written.to_ascii_lowercase() != self.name.word()
    }

    fn title(&self) -> String {
        let sources = self
            .sources
            .iter()
            .map(|source| format!("`{source}`"))
            .collect::<Vec<_>>()
            .join(" and ");
        let name = self.name.word();
        if self.is_new_directive() {
            format!(
                "set `{name}` to the sources of `{}` and {sources}",
                self.decides.written
            )
        } else if self.replaces.is_some() {
            format!("write {sources} in `{name}`")
        } else {
            format!("add {sources} to `{name}`")
        }
    }

    fn edit(&self, policy: &Policy) -> Option<Edit> {
        let added = self.sources.join(" ");
        if let Some(span) = self.replaces.filter(|_| !self.is_new_directive()) {
            let text = written(policy.quoting, &added)?;
            return Some(Edit { span, text });
        }
        let lone_none = match self.decides.values.as_slice() {
            [only] if only.source == Source::None => Some(only.span),
            _ => None,
        };
        if self.is_new_directive() {
            let mut sources: Vec<&str> = self
                .decides
                .values
                .iter()
                .filter(|token| self.keeps(&token.source))
                .map(|token| token.text.as_str())
                .collect();
            sources.push(&added);
            let text = format!("; {} {}", self.name.word(), sources.join(" "));
            return Some(Edit {
                span: after(self.decides.span),
                text: written(policy.quoting, &text)?,
            });
        }
        Some(match lone_none {
            Some(span) => Edit {
                span,
                text: written(policy.quoting, &added)?,
            },
            None => Edit {
                span: after(self.decides.span),
                text: written(policy.quoting, &format!(" {added}"))?,
            },
        })
    }

    /// Whether the new directive repeats a source of the one that decided until now: what cannot count there is left.
    fn keeps(&self, source: &Source) -> bool {
        match source {
            Source::None | Source::Bad(_) => false,
            Source::Keyword(Keyword::StrictDynamic) => {
                matches!(self.name, Known::ScriptSrc | Known::WorkerSrc)
            }
            Source::Keyword(
                Keyword::UnsafeInline | Keyword::UnsafeHashes | Keyword::ReportSample,
            )
            | Source::Nonce(_)
            | Source::Hash(_) => matches!(self.name, Known::ScriptSrc | Known::StyleSrc),
            Source::Keyword(_) => self.name == Known::ScriptSrc,
            Source::Star
            | Source::Myself
            | Source::Scheme(_)
            | Source::Host(_)
            | Source::Template => true,
        }
    }
}

/// What a policy needs to allow a fetch; `None`: no addition does.
fn additions<'p>(policy: &'p Policy, resource: Resource, url: &str) -> Option<Vec<Addition<'p>>> {
    let mut additions: Vec<Addition<'p>> = Vec::new();
    for (duty, _) in DUTIES
        .iter()
        .filter(|(_, resources)| resources.contains(&resource))
    {
        let Some(decides) = operative(policy, *duty).directive else {
            continue;
        };
        let (url, name) = match duty {
            Duty::Scripts
                if decides
                    .values
                    .iter()
                    .any(|token| token.text == "allow-scripts") =>
            {
                continue;
            }
            Duty::Scripts | Duty::PlainEval | Duty::Eval | Duty::Inline(_) => return None,
            Duty::PlainString => {
                if super::lower::requires_trusted_types(policy) {
                    return None;
                }
                continue;
            }
            Duty::BlobWorker => ("blob:", Known::WorkerSrc),
            Duty::Load(used) => (url, own_directive(*used, decides)),
            Duty::Wasm => {
                let allowed = [Keyword::WasmUnsafeEval, Keyword::UnsafeEval]
                    .into_iter()
                    .any(|keyword| decides.has(keyword));
                if !allowed {
                    additions.push(Addition {
                        decides,
                        name: Known::ScriptSrc,
                        sources: vec!["'wasm-unsafe-eval'".to_owned()],
                        replaces: None,
                    });
                }
                continue;
            }
        };
        let dynamic = duty.made_by_script() && decides.has(Keyword::StrictDynamic);
        if dynamic || allows(decides, url) {
            continue;
        }
        additions.push(Addition {
            decides,
            name,
            sources: vec![source_for(url)?],
            replaces: meant_token(decides, url),
        });
    }
    join(&mut additions);
    Some(additions)
}

/// Where a source for this use belongs: the most special directive, but `script-src` for scripts, unless
/// `script-src-elem` decides already.
fn own_directive(used: Use, decides: &Directive) -> Known {
    match used {
        Use::Script | Use::ParsedScript => {
            if decides.name.value == Name::Known(Known::ScriptSrcElem) {
                Known::ScriptSrcElem
            } else {
                Known::ScriptSrc
            }
        }
        Use::Connect => Known::ConnectSrc,
        Use::Worker => Known::WorkerSrc,
        Use::Style => Known::StyleSrc,
        Use::Img => Known::ImgSrc,
        Use::Media => Known::MediaSrc,
        Use::Font => Known::FontSrc,
        Use::Frame => Known::FrameSrc,
        Use::Manifest => Known::ManifestSrc,
    }
}

/// Additions to one directive become one.
fn join(additions: &mut Vec<Addition<'_>>) {
    let mut joined: Vec<Addition<'_>> = Vec::new();
    for addition in additions.drain(..) {
        match joined
            .iter_mut()
            .find(|other| other.name == addition.name && other.replaces.is_none())
        {
            Some(other) if addition.replaces.is_none() => {
                for source in addition.sources {
                    if !other.sources.contains(&source) {
                        other.sources.push(source);
                    }
                }
            }
            Some(_) | None => joined.push(addition),
        }
    }
    *additions = joined;
}

/// Whether a list allows every URL of a pattern, as far as can be told without the page's origin.
fn allows(directive: &Directive, url: &str) -> bool {
    let (scheme, host, port) = parts(url);
    let origin = Origin::assumed();
    directive
        .values
        .iter()
        .filter_map(|token| reach(&token.source, &origin, Comparer::Page))
        .any(|reach| reach.covers(scheme, host, port))
}

fn parts(url: &str) -> (&str, &str, Option<u32>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.split(':').next().unwrap_or(url), "", None);
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) => (scheme, host, port.parse().ok()),
        None => (scheme, authority, None),
    }
}

/// The source that matches a URL pattern and no other host: `blob:`, `wss://*.a.test`, `https://a.test`.
fn source_for(url: &str) -> Option<String> {
    let (scheme, host, port) = parts(url);
    if host.is_empty() {
        return matches!(scheme, "blob" | "data").then(|| format!("{scheme}:"));
    }
    let own = default_port(scheme)?;
    let port = port.filter(|port| *port != own);
    Some(match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// A token that was meant to be this source: `'blob:'`.
fn meant_token(directive: &Directive, url: &str) -> Option<Span> {
    let wanted = source_for(url)?;
    directive
        .values
        .iter()
        .find(|token| {
            if let Source::Bad(Bad::QuotedScheme(scheme)) = &token.source {
                format!("{scheme}:") == wanted
            } else if let Source::Bad(Bad::QuotedHost(host) | Bad::DoubleQuoted(host)) =
                &token.source
            {
                *host == wanted
            } else {
                false
            }
        })
        .map(|token| token.span)
}

#[cfg(test)]
mod tests {
    use super::super::headers::documents;
    use super::*;
    use crate::model::{Question, Ranges};
    use crate::source::Sources;

    /// The text after the fix, and the fix's title.
    fn mend(policy: &str, resource: Resource, url: &str) -> Option<(String, String)> {
        let sources = Sources::new();
        let file = sources.add("a.csp", policy.as_bytes().to_vec()).unwrap();
        let question = Question::default();
        let blocked = Blocked {
            gate: Some(0),
            question: &question,
            decided_by: None,
            shadowed: &[],
            domains: &[],
            networks: &Ranges::empty(),
            service: None,
            clients: &Ranges::empty(),
            fetch: Some((resource, url)),
            setting: None,
        };
        let fix = fix(&documents(file, policy.as_bytes()), &blocked).pop()?;
        let mut text = policy.to_owned();
        for edit in fix.edits.iter().rev() {
            text.replace_range(edit.span.range(), &edit.text);
        }
        Some((text, fix.title))
    }

    #[test]
    fn the_smallest_source_is_added_where_it_is_decided() {
        for (before, resource, url, after) in [
            (
                "connect-src 'self' https://*.a.test",
                Resource::Connect,
                "wss://*.a.test",
                "connect-src 'self' https://*.a.test wss://*.a.test",
            ),
            (
                "connect-src 'none'; img-src x",
                Resource::Connect,
                "https://a.test:8443/x",
                "connect-src https://a.test:8443; img-src x",
            ),
            (
                "default-src 'self' 'unsafe-inline'; img-src *",
                Resource::Worker,
                "blob:",
                "default-src 'self' 'unsafe-inline'; worker-src 'self' blob:; img-src *",
            ),
            (
                "default-src 'none'; script-src 'self' 'nonce-a'",
                Resource::WorkerWasm,
                "",
                "default-src 'none'; script-src 'self' 'nonce-a' 'wasm-unsafe-eval'; worker-src 'self' blob:",
            ),
            (
                "default-src 'self' 'unsafe-inline'",
                Resource::Wasm,
                "",
                "default-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
            ),
            (
                "script-src 'self'; script-src-elem 'self'",
                Resource::Worklet,
                "https://*.a.test",
                "script-src 'self'; script-src-elem 'self' https://*.a.test",
            ),
            (
                "worker-src 'blob:' x",
                Resource::Worker,
                "blob:",
                "worker-src blob: x",
            ),
            (
                "connect-src a, connect-src b",
                Resource::Connect,
                "https://c.test",
                "connect-src a https://c.test, connect-src b https://c.test",
            ),
        ] {
            let (mended, _) = mend(before, resource, url).unwrap();
            assert_eq!(mended, after);
            assert_eq!(mend(&mended, resource, url), None, "{mended} is not enough");
        }
    }

    #[test]
    fn no_fix_where_none_is_small() {
        assert_eq!(mend("script-src 'self'", Resource::Eval, ""), None);
        assert_eq!(
            mend(
                "require-trusted-types-for 'script'",
                Resource::Worker,
                "blob:"
            ),
            None
        );
    }
}
