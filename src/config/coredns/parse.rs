//! In: one Corefile and the files that it imports. Out: its server blocks, each with its plugins.
//!
//! `import` is replaced by the tokens of a snippet or of files, before anything else is read; a single server needs no
//! braces; a plugin's line goes on inside its braces (caddyfile/parse.go). Mistakes keep CoreDNS from starting.

use std::collections::{HashMap, VecDeque};

use super::super::{Files, Input, Opened};
use super::syntax::{self, Token};
use crate::source::{FileId, Span, Spanned};

/// No more imports are followed (`maxSnippetExpansions`).
const IMPORTS: usize = 1_000;
/// No more tokens are kept: snippets that import snippets grow without bound.
const TOKENS: usize = 2_000_000;

/// A Corefile with what it imports.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// The server blocks in order.
    pub(super) blocks: Vec<Block>,
    /// Files that were not given: anything may stand in them.
    pub(super) missing: Vec<Spanned<String>>,
    /// What keeps CoreDNS from starting.
    pub(super) mistake: Option<Mistake>,
    /// Files that were read with this one.
    pub(super) companions: Vec<FileId>,
}

/// What CoreDNS stops at.
#[derive(Debug, Clone)]
pub(super) struct Mistake {
    /// The effect in words.
    pub(super) title: String,
    /// Where, and what is wrong there.
    pub(super) label: Spanned<String>,
}

impl Mistake {
    fn new(title: String, label: Spanned<String>) -> Self {
        Self { title, label }
    }
}

/// One server block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Zones with their transports and ports, as written.
    pub(super) keys: Vec<Token>,
    /// In the order of the file, which is not the order in which they work.
    pub(super) plugins: Vec<Plugin>,
    /// Where the block's text begins.
    pub(super) start: Span,
}

/// One plugin's statement.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    /// Its name.
    pub(super) name: Token,
    /// What stands behind it on the line.
    pub(super) args: Vec<Token>,
    /// The lines between its braces.
    pub(super) body: Vec<Vec<Token>>,
    /// From the name to the last token.
    pub(super) span: Span,
}

impl Plugin {
    /// The arguments of the body's lines that begin with this word.
    pub(super) fn lines<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a [Token]> {
        self.body.iter().filter_map(move |line| {
            let (first, rest) = line.split_first()?;
            (first.text == word).then_some(rest)
        })
    }

    /// Whether any of its words is not known.
    pub(super) fn is_open(&self) -> bool {
        self.args
            .iter()
            .chain(self.body.iter().flatten())
            .any(|token| token.open)
    }
}

/// Reads a Corefile.
pub(super) fn parse(input: &Input<'_>, files: &dyn Files) -> Config {
    let mut reader = Reader {
        files,
        rest: syntax::tokens(input.file, input.bytes).into(),
        last: None,
        snippets: HashMap::new(),
        imports: 0,
        config: Config::default(),
        end: Span::new(input.file, input.bytes.len(), input.bytes.len()),
    };
    while !reader.rest.is_empty() {
        if let Err(mistake) = reader.block() {
            reader.config.mistake = Some(mistake);
            break;
        }
    }
    reader.config
}

struct Reader<'a> {
    files: &'a dyn Files,
    rest: VecDeque<Token>,
    /// The token before the rest.
    last: Option<Token>,
    snippets: HashMap<String, Vec<Token>>,
    imports: usize,
    config: Config,
    /// Where messages about the end of the file point.
    end: Span,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.rest.pop_front();
        if token.is_some() {
            self.last.clone_from(&token);
        }
        token
    }

    /// The next token, where it stands on the line of the last one.
    fn same_line(&mut self) -> Option<Token> {
        let next = self.rest.front()?;
        let breaks = self.last.as_ref().is_none_or(|last| next.breaks_from(last));
        if breaks { None } else { self.next() }
    }

    /// Where a block opens, if one does here.
    fn brace(&mut self) -> Option<Span> {
        let next = self.rest.front().filter(|token| token.text == "{")?.span;
        self.next();
        Some(next)
    }

    /// A server block or a snippet.
    fn block(&mut self) -> Result<(), Mistake> {
        let Some(keys) = self.keys()? else {
            return Ok(());
        };
        let Some(start) = keys.first().map(|key| key.span) else {
            // A brace without a zone: caddy takes the block and serves nothing with it.
            let brace = self.rest.front().map_or(self.end, |token| token.span);
            return Err(Mistake::new(
                "A block stands without a zone".to_owned(),
                Spanned::new("the zone is missing in front of this".to_owned(), brace),
            ));
        };
        if let [key] = keys.as_slice()
            && let Some(name) = key.text.strip_prefix('(').and_then(|n| n.strip_suffix(')'))
        {
            return self.snippet(name, start);
        }
        let brace = self.brace();
        let mut plugins = Vec::new();
        loop {
            let Some(name) = self.next() else {
                match brace {
                    Some(open) => return Err(never_closed(open)),
                    None => break,
                }
            };
            match name.text.as_str() {
                "}" => break,
                "import" => self.import(&name)?,
                _ => {
                    let plugin = self.plugin(name)?;
                    plugins.push(plugin);
                }
            }
        }
        self.config.blocks.push(Block {
            keys,
            plugins,
            start,
        });
        Ok(())
    }

    /// The zones of a block; `None` at the end of the file.
    fn keys(&mut self) -> Result<Option<Vec<Token>>, Mistake> {
        let mut keys: Vec<Token> = Vec::new();
        let mut expects = false;
        loop {
            let Some(next) = self.rest.front() else {
                if expects {
                    let span = self.last.as_ref().map_or(self.end, |last| last.span);
                    return Err(Mistake::new(
                        "A zone is missing after the comma".to_owned(),
                        Spanned::new("the file ends here".to_owned(), span),
                    ));
                }
                return Ok((!keys.is_empty()).then_some(keys));
            };
            let breaks = self.last.as_ref().is_none_or(|last| next.breaks_from(last));
            if !keys.is_empty() && !expects && breaks {
                return Ok(Some(keys));
            }
            if next.text == "import" && breaks {
                if let Some(name) = self.next() {
                    self.import(&name)?;
                }
                continue;
            }
            if next.text == "{" {
                if expects {
                    return Err(Mistake::new(
                        "A zone is missing after the comma".to_owned(),
                        Spanned::new("another zone should stand here".to_owned(), next.span),
                    ));
                }
                return Ok(Some(keys));
            }
            let Some(mut key) = self.next() else {
                continue;
            };
            expects = key.text.ends_with(',');
            if expects {
                key.text.pop();
            }
            if !key.text.is_empty() {
                keys.push(key);
            }
        }
    }

    fn snippet(&mut self, name: &str, start: Span) -> Result<(), Mistake> {
        let Some(open) = self.brace() else {
            return Err(Mistake::new(
                format!("The snippet `{name}` has no braces"),
                Spanned::new("`{` should follow on this line".to_owned(), start),
            ));
        };
        let mut depth = 1usize;
        let mut tokens = Vec::new();
        while let Some(token) = self.next() {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                if self.snippets.insert(name.to_owned(), tokens).is_some() {
                    return Err(Mistake::new(
                        format!("The snippet `{name}` is declared twice"),
                        Spanned::new("a second time".to_owned(), start),
                    ));
                }
                return Ok(());
            }
            tokens.push(token);
        }
        Err(never_closed(open))
    }

    /// Puts what is imported in front of the rest.
    fn import(&mut self, statement: &Token) -> Result<(), Mistake> {
        let Some(pattern) = self.same_line() else {
            return Err(Mistake::new(
                "`import` names nothing".to_owned(),
                Spanned::new("a snippet or file should follow".to_owned(), statement.span),
            ));
        };
        if let Some(more) = self.same_line() {
            return Err(Mistake::new(
                "`import` takes one snippet or file".to_owned(),
                Spanned::new("one too many".to_owned(), more.span),
            ));
        }
        self.imports += 1;
        if self.imports > IMPORTS {
            return Err(Mistake::new(
                format!("More than {IMPORTS} imports"),
                Spanned::new(
                    "one too many; does it import itself?".to_owned(),
                    statement.span,
                ),
            ));
        }
        let tokens = match self.snippets.get(&pattern.text) {
            Some(tokens) => tokens.clone(),
            None => self.imported(&pattern),
        };
        if self.rest.len() + tokens.len() > TOKENS {
            return Err(Mistake::new(
                format!("More than {TOKENS} words after all imports"),
                Spanned::new("grows without bound".to_owned(), statement.span),
            ));
        }
        for token in tokens.into_iter().rev() {
            self.rest.push_front(token);
        }
        Ok(())
    }

    fn imported(&mut self, pattern: &Token) -> Vec<Token> {
        let from = pattern.span.file;
        let is_glob = pattern.text.contains(['*', '?', '[']);
        let opened: Vec<Opened> = if pattern.open {
            Vec::new()
        } else if is_glob {
            let matches = self.files.glob(from, &pattern.text);
            matches.into_iter().map(|(_, opened)| opened).collect()
        } else {
            vec![self.files.open(from, &pattern.text)]
        };
        let mut tokens = Vec::new();
        let mut found = false;
        for opened in opened {
            if let Opened::Found { file, bytes } = opened {
                found = true;
                if !self.config.companions.contains(&file) {
                    self.config.companions.push(file);
                }
                tokens.extend(syntax::tokens(file, &bytes));
            }
        }
        if !found {
            let name = Spanned::new(pattern.text.clone(), pattern.span);
            self.config.missing.push(name);
        }
        tokens
    }

    fn plugin(&mut self, name: Token) -> Result<Plugin, Mistake> {
        let mut plugin = Plugin {
            span: name.span,
            name,
            args: Vec::new(),
            body: Vec::new(),
        };
        let mut opened: Vec<Span> = Vec::new();
        let mut fresh = true;
        while let Some(next) = self.rest.front() {
            let breaks = self.last.as_ref().is_none_or(|last| next.breaks_from(last));
            match next.text.as_str() {
                "{" => opened.push(next.span),
                _ if breaks && opened.is_empty() => return Ok(plugin),
                "}" if opened.is_empty() => {
                    return Err(Mistake::new(
                        "A `}` stands on the line of a plugin".to_owned(),
                        Spanned::new(
                            "no brace is open here; give it a line of its own".to_owned(),
                            next.span,
                        ),
                    ));
                }
                "}" => {
                    opened.pop();
                }
                _ => {}
            }
            let Some(token) = self.next() else {
                break;
            };
            if token.text == "import" && breaks && !opened.is_empty() {
                self.import(&token)?;
                fresh = true;
                continue;
            }
            if token.span.file == plugin.span.file && token.span.start >= plugin.span.start {
                plugin.span = plugin.span.to(token.span);
            }
            match (token.text.as_str(), opened.len()) {
                ("{", 1) => fresh = true,
                ("}", 0) => {}
                (_, 0) => plugin.args.push(token),
                _ => {
                    if fresh || breaks {
                        plugin.body.push(Vec::new());
                        fresh = false;
                    }
                    if let Some(line) = plugin.body.last_mut() {
                        line.push(token);
                    }
                }
            }
        }
        match opened.first() {
            Some(open) => Err(never_closed(*open)),
            None => Ok(plugin),
        }
    }
}

fn never_closed(open: Span) -> Mistake {
    Mistake::new(
        "A block is never closed".to_owned(),
        Spanned::new("the `}` for this is missing".to_owned(), open),
    )
}
