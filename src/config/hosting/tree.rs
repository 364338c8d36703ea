//! In: JSON or YAML. Out: a page for every rule in it that sets a policy, with spans into the strings.
//!
//! A policy is the value beside a `key`, `name` or `header` that names the header, or the value of a key of that name.

use crate::config::csp::{
    Delivery, Disposition, Document, Policy, Quoting, Text, doubled, escaped, parse_policies,
    unread,
};
use crate::source::{FileId, Span, Spanned};
use crate::yaml::{self, Node, Yaml};

/// The pages of a file; none where it is no JSON or YAML.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> Vec<Document> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Vec::new();
    };
    let Ok(tree) = yaml::read(file, text) else {
        return Vec::new();
    };
    let mut found = Found {
        file,
        bytes,
        pages: Vec::new(),
    };
    found.node(&tree, "page");
    found.pages
}

struct Found<'a> {
    file: FileId,
    bytes: &'a [u8],
    pages: Vec<Document>,
}

/// Keys whose value says which pages a rule is for.
const PAGES: [&str; 7] = ["source", "glob", "pattern", "route", "path", "regex", "url"];

impl Found<'_> {
    fn node(&mut self, node: &Yaml, page: &str) {
        match &node.value {
            Node::Null | Node::Scalar(_) => {}
            Node::List(items) => items.iter().for_each(|item| self.node(item, page)),
            Node::Map(entries) => self.map(entries, page),
        }
    }

    fn map(&mut self, entries: &[(Spanned<String>, Yaml)], page: &str) {
        let scalar = |names: &[&str]| {
            entries.iter().find_map(|(key, value)| match &value.value {
                Node::Scalar(text)
                    if names
                        .iter()
                        .any(|name| key.value.eq_ignore_ascii_case(name)) =>
                {
                    Some(text.as_str())
                }
                Node::Scalar(_) | Node::Null | Node::List(_) | Node::Map(_) => None,
            })
        };
        let own = scalar(&PAGES);
        let page = own.unwrap_or(page);
        // A HAR holds every response; only documents are pages.
        let request = entries.iter().find(|(key, _)| key.value == "request");
        let response = entries.iter().find(|(key, _)| key.value == "response");
        if let (Some((_, request)), Some((_, response))) = (request, response) {
            if is_document(response) {
                let url = match &request.value {
                    Node::Map(entries) => entries.iter().find(|(key, _)| key.value == "url"),
                    Node::Null | Node::Scalar(_) | Node::List(_) => None,
                };
                let name = match url.map(|(_, url)| &url.value) {
                    Some(Node::Scalar(url)) => url.split(['?', '#']).next().unwrap_or(url),
                    Some(Node::Null | Node::List(_) | Node::Map(_)) | None => page,
                };
                self.pages.push(Document::new(format!("response {name}")));
                let name = format!("response {name}");
                self.node(response, &name);
            }
            return;
        }
        if let Some(disposition) = scalar(&["key", "name", "header"]).and_then(header) {
            let value = entries
                .iter()
                .find(|(key, _)| key.value.eq_ignore_ascii_case("value"));
            if let Some((_, value)) = value {
                self.add(page, value, disposition);
            }
            return;
        }
        for (key, value) in entries {
            let is_scalar = !matches!(value.value, Node::List(_) | Node::Map(_));
            let disposition = header(&key.value).or_else(|| {
                key.value
                    .eq_ignore_ascii_case("contentsecuritypolicy")
                    .then_some(Disposition::Enforce)
            });
            match disposition {
                Some(disposition) if is_scalar => self.add(page, value, disposition),
                Some(_) if is_intrinsic(value) => self.add_unread(page, value.span),
                Some(_) | None => self.node(value, page),
            }
        }
    }

    fn page(&mut self, name: &str) -> &mut Document {
        let at = self.pages.iter().position(|page| page.name == name);
        let at = at.unwrap_or_else(|| {
            self.pages.push(Document::new(name));
            self.pages.len() - 1
        });
        // The place was found or just made.
        let last = self.pages.len().saturating_sub(1);
        #[expect(clippy::indexing_slicing, reason = "a page stands at this place")]
        &mut self.pages[at.min(last)]
    }

    fn add(&mut self, page: &str, value: &Yaml, disposition: Disposition) {
        let Some(text) = self.literal(value) else {
            return self.add_unread(page, value.span);
        };
        let is_har = page.starts_with("response ");
        let text = text.sent(is_har);
        let policies: Vec<Policy> = parse_policies(&text, Delivery::Header, disposition);
        let document = self.page(page);
        if !is_har && !document.policies.is_empty() {
            // Which of two values for one header is sent differs between hosts.
            document.policies = vec![unread(
                value.span,
                "which of several values the host sends".to_owned(),
            )];
            return;
        }
        document.policies.extend(policies);
    }

    fn add_unread(&mut self, page: &str, span: Span) {
        let what = "what the host puts together here".to_owned();
        self.page(page).policies.push(unread(span, what));
    }

    /// The text of a scalar; `None` where its form is not followed.
    fn literal(&self, value: &Yaml) -> Option<Text> {
        let Node::Scalar(read) = &value.value else {
            return None;
        };
        let range = value.span.range();
        let raw = self.bytes.get(range.clone())?;
        if self.is_tagged(range.start) {
            return None;
        }
        let inside = range.start + 1..range.end.saturating_sub(1).max(range.start + 1);
        let text = match raw.first()? {
            b'"' if raw.ends_with(b"\"") => {
                escaped(self.file, self.bytes, &inside, Quoting::Escaped)
            }
            b'\'' if raw.ends_with(b"'") => doubled(self.file, self.bytes, &inside),
            b'|' | b'>' => {
                let header = memchr::memchr(b'\n', raw)?;
                Text::new(self.file, Quoting::Bare).with(raw.get(header..)?, range.start + header)
            }
            _ => Text::new(self.file, Quoting::Bare).with(raw, range.start),
        };
        let words = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.split_ascii_whitespace().map(str::to_owned).collect()
        };
        (words(text.bytes()) == words(read.as_bytes())).then_some(text)
    }

    /// Whether a tag other than `!Sub` stands before a value.
    fn is_tagged(&self, at: usize) -> bool {
        let before = self.bytes.get(..at).unwrap_or_default();
        let from = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        let line = String::from_utf8_lossy(before.get(from..).unwrap_or_default()).into_owned();
        let last = line.split_whitespace().next_back().unwrap_or_default();
        let own = self.bytes.get(at) == Some(&b'!');
        own || (last.starts_with('!') && last != "!Sub")
    }
}

fn header(name: &str) -> Option<Disposition> {
    match name.trim().to_ascii_lowercase().as_str() {
        "content-security-policy" => Some(Disposition::Enforce),
        "content-security-policy-report-only" => Some(Disposition::ReportOnly),
        _ => None,
    }
}

/// The functions of `CloudFormation`, as a mapping: `{"Fn::Sub": ..}`, `{"Ref": ..}`.
fn is_intrinsic(value: &Yaml) -> bool {
    match &value.value {
        Node::Map(entries) => entries
            .iter()
            .any(|(key, _)| key.value.starts_with("Fn::") || key.value == "Ref"),
        Node::List(_) => true,
        Node::Null | Node::Scalar(_) => false,
    }
}

/// Whether a HAR's response is a page: its content is HTML.
fn is_document(response: &Yaml) -> bool {
    let field = |node: &Yaml, name: &str| match &node.value {
        Node::Map(entries) => entries
            .iter()
            .find(|(key, _)| key.value == name)
            .map(|(_, value)| value.clone()),
        Node::Null | Node::Scalar(_) | Node::List(_) => None,
    };
    let mime = field(response, "content").and_then(|content| field(&content, "mimeType"));
    matches!(mime.map(|mime| mime.value), Some(Node::Scalar(mime)) if mime.contains("html"))
}
