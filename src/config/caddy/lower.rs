//! In: the lines of a Caddyfile. Out: the pages of its sites, each with the policies that reach them.
//!
//! Caddy sorts the directives of a site (`caddyserver.com/docs/caddyfile/directives`, "Sorting algorithm"): all `header`
//! lines come first, those with one path by its length, the longest first, those with another matcher next, those without
//! one last; then the first `handle` that matches; `route` keeps the order of the text. A page is a path that some
//! directive names, less the longer ones that others name.

use super::header::{Header, Matcher, header, matcher};
use super::parse::{Line, parse};
use crate::config::csp::{Change, Disposition, Document, Doubt, Table, distinct, names_the_header};
use crate::config::{Files, Opened};
use crate::source::{FileId, Span, Spanned};

/// What came of a file.
#[derive(Default)]
pub(super) struct Found {
    pub(super) pages: Vec<Document>,
    pub(super) broken: Vec<Spanned<String>>,
    pub(super) companions: Vec<FileId>,
}

/// A step on the way of a request.
enum Step {
    Header(Header),
    /// The first branch that matches.
    First(Vec<(Matcher, Vec<Step>)>),
    /// A branch of its own.
    Route(Matcher, Vec<Step>),
    /// Anything may happen to the headers here.
    Unknown(Doubt),
    /// A request is answered here and goes no further.
    Answer(Matcher),
}

/// The steps of a block before they are put in order.
#[derive(Default)]
struct Block {
    /// `header` lines; all steps, where the order of the text is kept.
    headers: Vec<Step>,
    /// `handle` blocks.
    branches: Vec<(Matcher, Vec<Step>)>,
    rest: Vec<Step>,
    answers: Vec<Step>,
}

/// The pages of a file.
pub(super) fn documents(file: FileId, bytes: &[u8], files: &dyn Files) -> Found {
    let mut found = Found::default();
    let (lines, broken) = parse(file, bytes);
    found.broken = broken;
    let is_snippet = |line: &&Line| line.block.is_some() && line.word(0).starts_with('(');
    let globals: Vec<&Line> = lines.iter().filter(|line| line.words.is_empty()).collect();
    let orders = globals
        .iter()
        .flat_map(|line| line.block.iter().flatten())
        .find(|line| line.word(0) == "order" && line.word(1) == "header");
    let named_route = lines
        .iter()
        .find(|line| line.word(0).starts_with("&(") && mentions(line));
    let mut walk = Walk {
        file,
        files,
        snippets: lines.iter().filter(is_snippet).collect(),
        named_route: named_route.and_then(Line::span),
        imports: 0,
        found: Found::default(),
    };
    // Without braces a file is one site, and its first line the address.
    let is_one = !lines
        .iter()
        .any(|line| line.block.is_some() && is_site(line));
    let whole;
    let sites: Vec<(String, &[Line])> = if is_one {
        let mut rest = lines
            .iter()
            .filter(|line| line.block.is_none() || !line.words.is_empty());
        let rest: Vec<Line> = rest
            .by_ref()
            .filter(|line| !is_snippet(line))
            .cloned()
            .collect();
        whole = rest;
        // A file that others import has no address.
        let has_address = whole
            .first()
            .is_some_and(|line| !is_directive(&line.word(0)));
        let name = if has_address {
            address(whole.first())
        } else {
            "page".to_owned()
        };
        vec![(
            name,
            whole.get(usize::from(has_address)..).unwrap_or_default(),
        )]
    } else {
        lines
            .iter()
            .filter(|line| is_site(line))
            .filter_map(|line| Some((address(Some(line)), line.block.as_deref()?)))
            .collect()
    };
    for (name, lines) in sites {
        let mut steps = walk.steps(lines, true, 0);
        if let Some(span) = orders.and_then(Line::span) {
            let what = "what this order of directives does".to_owned();
            steps.push(Step::Unknown(Doubt { span, what }));
        }
        found.pages.extend(pages(&name, &steps));
    }
    found.broken.extend(walk.found.broken);
    found.companions = walk.found.companions;
    distinct(&mut found.pages);
    found
}

fn is_site(line: &Line) -> bool {
    let first = line.word(0);
    !first.is_empty()
        && line.block.is_some()
        && !first.starts_with(['(', '&', '@'])
        && !is_directive(&first)
}

/// Directives that begin a line of a file without braces, or of a file that others import.
fn is_directive(word: &str) -> bool {
    const KNOWN: [&str; 16] = [
        "header",
        "handle",
        "handle_path",
        "handle_errors",
        "route",
        "import",
        "encode",
        "root",
        "file_server",
        "reverse_proxy",
        "respond",
        "redir",
        "tls",
        "log",
        "try_files",
        "php_fastcgi",
    ];
    KNOWN.contains(&word)
}

fn address(line: Option<&Line>) -> String {
    let words = line.map_or(&[][..], |line| line.words.as_slice());
    let words: Vec<String> = words.iter().map(super::parse::Word::lossy).collect();
    words.join(" ").trim_end_matches(',').to_owned()
}

struct Walk<'a> {
    file: FileId,
    files: &'a dyn Files,
    snippets: Vec<&'a Line>,
    /// A named route that changes policies.
    named_route: Option<Span>,
    /// So many lines were imported.
    imports: usize,
    found: Found,
}

/// So many imports are followed, and so deep.
const MOST_IMPORTS: usize = 1_000;
const DEEPEST: usize = 16;

impl Walk<'_> {
    /// The steps of a block, in the order in which requests take them.
    fn steps(&mut self, lines: &[Line], is_sorted: bool, depth: usize) -> Vec<Step> {
        let mut block = Block::default();
        self.lines(lines, is_sorted, depth, &mut block);
        if is_sorted {
            let order = |step: &Step| match step {
                Step::Header(header) => rank(&header.matcher),
                Step::Route(matcher, _) => rank(matcher),
                Step::First(_) | Step::Unknown(_) | Step::Answer(_) => (3, 0),
            };
            block.headers.sort_by_key(order);
            block.rest.sort_by_key(order);
            block.branches.sort_by_key(|(matcher, _)| rank(matcher));
            block.headers.push(Step::First(block.branches));
        }
        block.headers.extend(block.rest);
        block.headers.extend(block.answers);
        block.headers
    }

    fn lines(&mut self, lines: &[Line], is_sorted: bool, depth: usize, into: &mut Block) {
        for line in lines {
            let name = line.word(0);
            let Some(span) = line.span() else { continue };
            match (name.as_str(), &line.block) {
                ("header", _) => match header(line) {
                    Ok(header) => into.headers.push(Step::Header(header)),
                    Err(broken) => self.found.broken.push(broken),
                },
                ("handle" | "handle_path", Some(block)) => {
                    let inside = self.steps(block, true, depth);
                    let (matcher, _) = matcher(line);
                    let has_paths = name == "handle_path" && !paths(&inside).is_empty();
                    let inside = if has_paths {
                        // Paths inside are what is left of the path.
                        let what = "what `handle_path` leaves of the path".to_owned();
                        vec![Step::Unknown(Doubt { span, what })]
                    } else {
                        inside
                    };
                    if is_sorted {
                        into.branches.push((matcher, inside));
                    } else {
                        into.headers.push(Step::First(vec![(matcher, inside)]));
                    }
                }
                ("route", Some(block)) => {
                    let inside = self.steps(block, false, depth);
                    let step = Step::Route(matcher(line).0, inside);
                    if is_sorted {
                        &mut into.rest
                    } else {
                        &mut into.headers
                    }
                    .push(step);
                }
                ("import", _) => {
                    for imported in self.imported(line, depth) {
                        match imported {
                            Ok(lines) => {
                                self.lines(&lines, is_sorted, depth + 1, into);
                            }
                            Err(doubt) => into.rest.push(Step::Unknown(doubt)),
                        }
                    }
                }
                ("invoke", _) if self.named_route.is_some() => {
                    let what = format!("what `invoke {}` does", line.word(1));
                    into.rest.push(Step::Unknown(Doubt { span, what }));
                }
                ("handle_errors" | "log", _) => {}
                (
                    "respond" | "redir" | "file_server" | "reverse_proxy" | "php_fastcgi" | "error"
                    | "abort",
                    _,
                ) => {
                    if mentions(line) && name != "respond" {
                        let what = format!("what `{name}` does to the header");
                        into.rest.push(Step::Unknown(Doubt { span, what }));
                    }
                    let answer = Step::Answer(matcher(line).0);
                    if is_sorted {
                        &mut into.answers
                    } else {
                        &mut into.headers
                    }
                    .push(answer);
                }
                (other, _) if other.starts_with('@') => {}
                (other, _) if mentions(line) => {
                    let what = format!("what `{other}` does to the header");
                    into.rest.push(Step::Unknown(Doubt { span, what }));
                }
                _ => {}
            }
        }
    }

    /// The lines that stand for an `import`.
    fn imported(&mut self, line: &Line, depth: usize) -> Vec<Result<Vec<Line>, Doubt>> {
        let name = line.word(1);
        let unknown = || {
            let what = format!("what `import {name}` puts here");
            line.span().map(|span| Err(Doubt { span, what }))
        };
        self.imports += 1;
        if depth >= DEEPEST || self.imports > MOST_IMPORTS {
            return unknown().into_iter().collect();
        }
        let wanted = format!("({name})");
        let snippet = self.snippets.iter().find(|line| line.word(0) == wanted);
        if let Some(block) = snippet.and_then(|line| line.block.as_ref()) {
            return vec![Ok(block.clone())];
        }
        let opened: Vec<Opened> = if name.contains(['*', '?', '[']) {
            let opened = self.files.glob(self.file, &name);
            opened.into_iter().map(|(_, opened)| opened).collect()
        } else {
            vec![self.files.open(self.file, &name)]
        };
        if opened.is_empty() {
            return unknown().into_iter().collect();
        }
        let read = opened.into_iter().filter_map(|opened| match opened {
            Opened::Found { file, bytes } if file != self.file => {
                let (lines, broken) = parse(file, &bytes);
                self.found.companions.push(file);
                self.found.broken.extend(broken);
                Some(Ok(lines))
            }
            Opened::Found { .. } | Opened::Missing | Opened::Refused(_) => unknown(),
        });
        read.collect()
    }
}

/// Paths by their length, then other matchers, then none.
fn rank(matcher: &Matcher) -> (usize, usize) {
    match matcher {
        Matcher::Path(path) => {
            // A path without a star is more special than the same one with it.
            let length = path.trim_end_matches('*').len() * 2 + usize::from(!path.ends_with('*'));
            (0, usize::MAX - length)
        }
        Matcher::Open(_) => (1, 0),
        Matcher::All => (2, 0),
    }
}

fn mentions(line: &Line) -> bool {
    let own = line
        .words
        .iter()
        .any(|word| names_the_header(word.text.bytes()));
    own || line.block.iter().flatten().any(mentions)
}

/// Every path that a step names.
fn paths(steps: &[Step]) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |matcher: &Matcher| {
        if let Matcher::Path(path) = matcher
            && !found.contains(path)
        {
            found.push(path.clone());
        }
    };
    let mut inside = Vec::new();
    for step in steps {
        match step {
            Step::Header(header) => add(&header.matcher),
            Step::First(branches) => {
                for (matcher, steps) in branches {
                    add(matcher);
                    inside.extend(paths(steps));
                }
            }
            Step::Route(matcher, steps) => {
                add(matcher);
                inside.extend(paths(steps));
            }
            Step::Unknown(_) | Step::Answer(_) => {}
        }
    }
    inside.retain(|path| !found.contains(path));
    found.extend(inside);
    found
}

fn pages(site: &str, steps: &[Step]) -> Vec<Document> {
    let paths = paths(steps);
    let page = |path: Option<&str>| {
        let mut run = Run::default();
        let _ = run.steps(steps, path, None);
        for (disposition, change, doubt) in std::mem::take(&mut run.deferred).iter().rev() {
            run.table.change(*disposition, change, doubt.as_ref());
        }
        for doubt in std::mem::take(&mut run.unknown) {
            let change = Change::Anything(doubt);
            run.table.change(Disposition::Enforce, &change, None);
        }
        run.table.policies()
    };
    let base = page(None);
    let spans = |policies: &[crate::config::csp::Policy]| -> Vec<Span> {
        policies.iter().map(|policy| policy.span).collect()
    };
    let mut found = Vec::new();
    let mut add = |name: String, policies: Vec<crate::config::csp::Policy>| {
        if !policies.is_empty() {
            let mut document = Document::new(name);
            document.policies = policies;
            found.push(document);
        }
    };
    for path in paths {
        let policies = page(Some(&path));
        // What is like the rest of the site is judged with it.
        if spans(&policies) != spans(&base) {
            add(format!("{site} {path}"), policies);
        }
    }
    add(site.to_owned(), base);
    found.reverse();
    found
}

/// One page's way through the steps.
#[derive(Default)]
struct Run {
    table: Table,
    deferred: Vec<(Disposition, Change, Option<Doubt>)>,
    unknown: Vec<Doubt>,
}

enum Match {
    Yes,
    No,
    Open(Doubt),
}

/// How far a request goes.
enum Flow {
    Goes,
    Ends,
    /// It may end here.
    Open(Doubt),
}

impl Run {
    fn steps(&mut self, steps: &[Step], page: Option<&str>, doubt: Option<&Doubt>) -> Flow {
        let mut ends = None;
        for step in steps {
            let doubt = doubt.or(ends.as_ref()).cloned();
            let flow = match step {
                Step::Header(header) => {
                    match matches(&header.matcher, page) {
                        Match::No => {}
                        Match::Yes => self.header(header, doubt.as_ref()),
                        Match::Open(open) => self.header(header, Some(&open)),
                    }
                    Flow::Goes
                }
                Step::Route(matcher, inside) => {
                    self.branch(matcher, inside, page, doubt.as_ref()).1
                }
                Step::First(branches) => self.first(branches, page, doubt.as_ref()),
                Step::Answer(matcher) => match matches(matcher, page) {
                    Match::No => Flow::Goes,
                    Match::Yes => Flow::Ends,
                    Match::Open(open) => Flow::Open(open),
                },
                Step::Unknown(what) => {
                    self.unknown.push(what.clone());
                    Flow::Goes
                }
            };
            match flow {
                Flow::Goes => {}
                Flow::Ends => return ends.map_or(Flow::Ends, Flow::Open),
                Flow::Open(open) => ends = ends.or(Some(open)),
            }
        }
        ends.map_or(Flow::Goes, Flow::Open)
    }

    /// The first branch that matches, and those before it that may.
    fn first(
        &mut self,
        branches: &[(Matcher, Vec<Step>)],
        page: Option<&str>,
        doubt: Option<&Doubt>,
    ) -> Flow {
        let mut before: Option<Doubt> = None;
        let mut may_end: Option<Doubt> = None;
        for (matcher, inside) in branches {
            let doubt = doubt.or(before.as_ref()).cloned();
            let (matched, flow) = self.branch(matcher, inside, page, doubt.as_ref());
            match flow {
                Flow::Goes => {}
                Flow::Ends => match before {
                    None => return Flow::Ends,
                    Some(before) => return Flow::Open(before),
                },
                Flow::Open(open) => may_end = may_end.or(Some(open)),
            }
            match matched {
                Match::Yes => break,
                Match::No => {}
                Match::Open(open) => before = before.or(Some(open)),
            }
        }
        may_end.map_or(Flow::Goes, Flow::Open)
    }

    fn branch(
        &mut self,
        matcher: &Matcher,
        inside: &[Step],
        page: Option<&str>,
        doubt: Option<&Doubt>,
    ) -> (Match, Flow) {
        let matched = matches(matcher, page);
        let flow = match &matched {
            Match::No => Flow::Goes,
            Match::Yes => self.steps(inside, page, doubt),
            Match::Open(open) => match self.steps(inside, page, Some(open)) {
                Flow::Goes => Flow::Goes,
                Flow::Ends | Flow::Open(_) => Flow::Open(open.clone()),
            },
        };
        (matched, flow)
    }

    fn header(&mut self, header: &Header, doubt: Option<&Doubt>) {
        for (disposition, change) in &header.now {
            self.table.change(*disposition, change, doubt);
        }
        // The last of the list runs first.
        for (disposition, change) in header.deferred.iter().rev() {
            self.deferred
                .push((*disposition, change.clone(), doubt.cloned()));
        }
    }
}

/// Whether a directive is for a page; pages of longer paths are others.
fn matches(matcher: &Matcher, page: Option<&str>) -> Match {
    match matcher {
        Matcher::All => Match::Yes,
        Matcher::Open(doubt) => Match::Open(doubt.clone()),
        Matcher::Path(path) => {
            let is_inside = page.is_some_and(|page| match path.strip_suffix('*') {
                Some(start) => page.trim_end_matches('*').starts_with(start),
                None => page == path,
            });
            if is_inside { Match::Yes } else { Match::No }
        }
    }
}
