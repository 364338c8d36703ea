//! In: the tokens of a file in Terraform's language. Out: a page for every resource that sets a policy.
//!
//! A policy is the value of `content_security_policy`, the `value` beside a `header`, `header_name`, `name` or `key` that
//! names the header, or a text `Content-Security-Policy: ..`. A value counts where it is one text, directly or through one
//! `local` of the same file; any other expression is unknown.

use super::parse::{Token, What, tokens};
use crate::config::csp::{
    Delivery, Disposition, Document, Policy, Text, disposition, distinct, names_the_header,
    parse_policies, unread,
};
use crate::source::{FileId, Span, Spanned};

/// The pages of a file, and where it is broken.
pub(super) fn documents(file: FileId, bytes: &[u8]) -> (Vec<Document>, Vec<Spanned<String>>) {
    let (tokens, broken) = tokens(file, bytes);
    let locals = locals(&tokens);
    let mut walk = Walk {
        tokens: &tokens,
        locals,
        open: Vec::new(),
        pages: Vec::new(),
        broken,
    };
    walk.run();
    distinct(&mut walk.pages);
    (walk.pages, walk.broken)
}

/// What stands between two braces.
struct Scope {
    /// `resource aws_x name`; nothing for an object.
    label: String,
    span: Span,
    attributes: Vec<Attribute>,
}

struct Attribute {
    name: String,
    span: Span,
    /// `None`: an expression.
    value: Option<Text>,
}

struct Walk<'a> {
    tokens: &'a [Token],
    locals: Vec<(String, Option<Text>)>,
    open: Vec<Scope>,
    pages: Vec<Document>,
    broken: Vec<Spanned<String>>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut label: Vec<String> = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            match &token.what {
                What::Mark(b'{') => self.open.push(Scope {
                    label: std::mem::take(&mut label).join(" "),
                    span: token.span,
                    attributes: Vec::new(),
                }),
                What::Mark(b'}') => {
                    label.clear();
                    if let Some(scope) = self.open.pop() {
                        self.close(&scope);
                    } else {
                        let words = "`}` closes nothing".to_owned();
                        self.broken.push(Spanned::new(words, token.span));
                    }
                }
                What::Break | What::Mark(_) => label.clear(),
                What::Word(name) => {
                    label.push(name.clone());
                    self.attribute(at, name);
                }
                What::Text { text, is_heredoc } => {
                    let written = String::from_utf8_lossy(text.bytes()).into_owned();
                    self.attribute(at, &written);
                    self.text(at, text, *is_heredoc);
                    label.push(written);
                }
            }
        }
        while let Some(scope) = self.open.pop() {
            let words = "this block is not closed".to_owned();
            self.broken.push(Spanned::new(words, scope.span));
            self.close(&scope);
        }
    }

    /// `name = value`, `name : value`.
    fn attribute(&mut self, at: usize, name: &str) {
        if !is_assigned(self.tokens, at) {
            return;
        }
        let value = match literal(self.tokens, at + 2) {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::Local(local)) => self
                .locals
                .iter()
                .find(|(known, _)| known == local)
                .and_then(|(_, text)| text.clone()),
            None => None,
        };
        let span = self.tokens.get(at).map(|token| token.span);
        if let (Some(scope), Some(span)) = (self.open.last_mut(), span) {
            scope.attributes.push(Attribute {
                name: name.to_owned(),
                span,
                value,
            });
        }
    }

    /// A text that is a whole header, or that holds one in a language of its own.
    fn text(&mut self, at: usize, text: &Text, is_heredoc: bool) {
        let colon = memchr::memchr(b':', text.bytes());
        let header = colon.and_then(|colon| Some((disposition(text.slice(&(0..colon)))?, colon)));
        let span = self.tokens.get(at).map(|token| token.span);
        if let Some((disposition, colon)) = header {
            let value = text.part(colon + 1..text.bytes().len());
            self.add(parse_policies(&value, Delivery::Header, disposition));
        } else if let (true, true, Some(span)) = (is_heredoc, names_the_header(text.bytes()), span)
        {
            self.add(vec![unread(span, "what this text sets".to_owned())]);
        }
    }

    fn close(&mut self, scope: &Scope) {
        let named = |names: &[&str]| {
            scope
                .attributes
                .iter()
                .find(|attribute| names.contains(&attribute.name.as_str()))
        };
        if scope.label == "locals" || scope.label.starts_with("variable ") {
            return;
        }
        let own = |attribute: &Attribute, disposition: Disposition| {
            if let Some(text) = &attribute.value {
                return parse_policies(text, Delivery::Header, disposition);
            }
            let what = format!("what the expression for `{}` is", attribute.name);
            let mut policy = unread(attribute.span, what);
            policy.disposition = disposition;
            vec![policy]
        };
        if let Some(attribute) = named(&["content_security_policy"]) {
            self.add(own(attribute, Disposition::Enforce));
        }
        for attribute in &scope.attributes {
            if let Some(disposition) = disposition(attribute.name.as_bytes()) {
                self.add(own(attribute, disposition));
            }
        }
        let (name, value) = (
            named(&["header", "header_name", "name", "key"]),
            named(&["value"]),
        );
        let (Some(name), Some(value)) = (name, value) else {
            return;
        };
        match &name.value {
            Some(text) if text.holes().is_empty() => {
                if let Some(disposition) = disposition(text.bytes()) {
                    self.add(own(value, disposition));
                }
            }
            // Of CloudFront's own items each is a header.
            Some(_) | None if self.is_in_items(scope) => {
                let what = format!("which header `{}` is", name.name);
                self.add(vec![unread(name.span, what)]);
            }
            Some(_) | None => {}
        }
    }

    fn is_in_items(&self, scope: &Scope) -> bool {
        let outer = self.open.iter().rev().take(2);
        outer
            .chain([scope])
            .any(|scope| scope.label == "custom_headers_config")
    }

    /// Adds policies to the page of the resource around.
    fn add(&mut self, policies: Vec<Policy>) {
        let outer = self.open.iter().find(|scope| !scope.label.is_empty());
        let name = outer.map_or_else(|| "page".to_owned(), |scope| scope.label.clone());
        let name = name.strip_prefix("resource ").unwrap_or(&name).to_owned();
        let page = self.pages.iter_mut().find(|page| page.name == name);
        match page {
            // Which of several values is sent differs between providers.
            Some(page) if !page.policies.is_empty() => {
                let span = policies.first().map(|policy| policy.span);
                let what = "which of several values the provider sends".to_owned();
                page.policies = span.map(|span| unread(span, what)).into_iter().collect();
            }
            Some(page) => page.policies = policies,
            None => {
                let mut page = Document::new(name);
                page.policies = policies;
                self.pages.push(page);
            }
        }
    }
}

enum Value<'a> {
    Text(&'a Text),
    Local(&'a str),
}

/// Whether `=` or `:` follows a name, and no `==`.
fn is_assigned(tokens: &[Token], at: usize) -> bool {
    let mark = |at: usize| match tokens.get(at).map(|token| &token.what) {
        Some(What::Mark(mark)) => Some(*mark),
        Some(What::Word(_) | What::Text { .. } | What::Break) | None => None,
    };
    let follows = mark(at + 1);
    let after = mark(at + 2);
    matches!(follows, Some(b'=' | b':')) && !matches!(after, Some(b'=' | b'>'))
}

/// The value that begins at a place, where it is a text or a local and no more.
fn literal(tokens: &[Token], at: usize) -> Option<Value<'_>> {
    match tokens.get(at + 1).map(|token| &token.what) {
        None | Some(What::Break | What::Mark(b',' | b'}')) => {}
        Some(What::Word(_) | What::Text { .. } | What::Mark(_)) => return None,
    }
    match &tokens.get(at)?.what {
        What::Text { text, .. } => Some(Value::Text(text)),
        What::Word(word) => word.strip_prefix("local.").map(Value::Local),
        What::Break | What::Mark(_) => None,
    }
}

/// The texts of `locals` blocks; none for a name that is there twice.
fn locals(tokens: &[Token]) -> Vec<(String, Option<Text>)> {
    let mut found: Vec<(String, Option<Text>)> = Vec::new();
    let mut depth: Option<usize> = None;
    for (at, token) in tokens.iter().enumerate() {
        let opens = matches!(
            tokens.get(at + 1).map(|next| &next.what),
            Some(What::Mark(b'{'))
        );
        match (&token.what, depth) {
            (What::Word(word), None) if word == "locals" && opens => depth = Some(0),
            (What::Mark(b'{'), Some(inside)) => depth = Some(inside + 1),
            (What::Mark(b'}'), Some(inside)) => {
                depth = inside.checked_sub(1).filter(|inside| *inside > 0);
            }
            (What::Word(name), Some(1)) if is_assigned(tokens, at) => {
                let text = match literal(tokens, at + 2) {
                    Some(Value::Text(text)) => Some(text.clone()),
                    Some(Value::Local(_)) | None => None,
                };
                match found.iter_mut().find(|(known, _)| known == name) {
                    Some((_, earlier)) => *earlier = None,
                    None => found.push((name.clone(), text)),
                }
            }
            _ => {}
        }
    }
    found
}
