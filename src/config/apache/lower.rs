//! In: the directives of a config of httpd. Out: the pages that it serves, each with the policies that reach them.
//!
//! A page is named after the section among those that match it that is merged last and holds no other one of them. So of
//! the sections that are merged later only those count that surely match, and earlier ones that may match leave unread
//! what they change.

use super::header::{Operation, Which, operation};
use super::parse::{Config, Directive};
use super::sections::{Mapping, Place, are_disjoint, covers, folder};
use crate::config::csp::{Change, Disposition, Document, Doubt, Table, distinct};
use crate::source::{Span, Spanned};

/// The pages of a config, and where httpd refuses it.
pub(super) fn documents(config: &Config, page: &str) -> (Vec<Document>, Vec<Spanned<String>>) {
    let mut walk = Walk::default();
    walk.broken.clone_from(&config.broken);
    let hosts: Vec<&Directive> = flat(&config.tree)
        .into_iter()
        .filter(|directive| directive.name == "virtualhost")
        .collect();
    let server = walk.server(&config.tree, Vec::new(), page, 0);
    let mut found = Vec::new();
    if hosts.is_empty() {
        let mapping = mapping(&[&config.tree]);
        found.extend(pages(page, &server, &mapping));
    }
    for host in hosts {
        let block = host.block.as_deref().unwrap_or_default();
        let name = flat(block)
            .into_iter()
            .find(|directive| directive.name == "servername")
            .map_or_else(|| host.word(0), |name| name.word(0));
        let name = format!("VirtualHost {name}");
        let sections = walk.server(block, server.clone(), &name, 1);
        let mapping = mapping(&[&config.tree, block]);
        found.extend(pages(&name, &sections, &mapping));
    }
    distinct(&mut found);
    (found, walk.broken)
}

/// A section that changes policies.
#[derive(Clone)]
struct Section {
    /// What its pages are called.
    name: String,
    places: Vec<Place>,
    operations: Vec<Operation>,
    /// Its rank in the order of merging.
    key: Vec<usize>,
    span: Span,
    /// All branches of its condition change something, and one of them matches for sure.
    is_total: bool,
}

#[derive(Default)]
struct Walk {
    sections: Vec<Section>,
    broken: Vec<Spanned<String>>,
    /// So many sections were met.
    count: usize,
    /// So many conditions were met.
    conditions: usize,
    /// Those with an `<Else>`.
    closed: Vec<usize>,
    /// Bodies of macros, by name.
    macros: Vec<(String, bool)>,
}

/// What is known of where a directive stands.
#[derive(Clone)]
struct Context {
    /// The section, by index.
    section: usize,
    doubt: Option<Doubt>,
}

impl Walk {
    /// The sections of a server: those of the server around it, and its own.
    fn server(
        &mut self,
        tree: &[Directive],
        outer: Vec<Section>,
        name: &str,
        scope: usize,
    ) -> Vec<Section> {
        self.sections = outer;
        // A section without places is shown at its operations only.
        let span = tree.first().map(|first| first.span);
        let Some(span) = span else {
            return std::mem::take(&mut self.sections);
        };
        let section = self.section(name.to_owned(), Vec::new(), vec![0, scope], span);
        let context = Context {
            section,
            doubt: None,
        };
        self.block(tree, &context, scope);
        let mut sections = std::mem::take(&mut self.sections);
        let is_branch = |section: &Section, number: usize| matches!(section.places.last(), Some(Place::Branch(one, _)) if *one == number);
        for number in std::mem::take(&mut self.closed) {
            let branches = || sections.iter().filter(|section| is_branch(section, number));
            if branches().all(|branch| !branch.operations.is_empty()) {
                let branches = sections
                    .iter_mut()
                    .filter(|section| is_branch(section, number));
                branches.for_each(|branch| branch.is_total = true);
            }
        }
        sections.sort_by(|one, other| one.key.cmp(&other.key));
        sections
    }

    fn section(&mut self, name: String, places: Vec<Place>, key: Vec<usize>, span: Span) -> usize {
        self.sections.push(Section {
            name,
            places,
            operations: Vec::new(),
            key,
            span,
            is_total: false,
        });
        self.sections.len() - 1
    }

    fn block(&mut self, tree: &[Directive], context: &Context, scope: usize) {
        let mut condition = (0, 0);
        for directive in tree {
            let name = directive.name.as_str();
            if directive.is_unread {
                self.unread(directive, context, "what this directive leads to");
                continue;
            }
            match (&directive.block, name) {
                (None, "header") => match operation(directive) {
                    Ok(Some(mut operation)) => {
                        operation.doubt = context.doubt.clone().or(operation.doubt);
                        if let Some(section) = self.sections.get_mut(context.section) {
                            section.operations.push(operation);
                        }
                    }
                    Ok(None) => {}
                    Err(broken) => self.broken.push(broken),
                },
                (None, "use") => self.expand(directive, context),
                (None, _) | (Some(_), "virtualhost") => {}
                (Some(block), "macro") => {
                    let body = mentions_the_header(block);
                    self.macros.push((directive.word(0), body));
                }
                (Some(block), "if" | "elseif" | "else") => {
                    if name == "if" {
                        self.conditions += 1;
                        condition = (self.conditions, 0);
                    } else {
                        condition.1 += 1;
                    }
                    let place = Place::Branch(condition.0, condition.1);
                    let at = self.inside(directive, context, place, scope);
                    if name == "else" {
                        self.closed.push(condition.0);
                    }
                    self.block(block, &at, scope);
                }
                (
                    Some(block),
                    "ifmodule" | "ifdefine" | "ifversion" | "iffile" | "ifdirective" | "ifsection",
                ) => {
                    let mut inside = context.clone();
                    match holds(directive) {
                        Some(true) => {}
                        Some(false) => continue,
                        None => {
                            inside.doubt = inside.doubt.or(Some(Doubt {
                                span: directive.span,
                                what: format!("whether `{}` holds", directive.title(name)),
                            }));
                        }
                    }
                    self.block(block, &inside, scope);
                }
                (Some(block), _) => {
                    let words: Vec<String> = (0..directive.words.len())
                        .map(|at| directive.word(at))
                        .collect();
                    match Place::of(name, &words) {
                        Some(place) => {
                            let at = self.inside(directive, context, place, scope);
                            self.block(block, &at, scope);
                        }
                        // `<Limit>`, `<RequireAll>`: headers in them are those of what is around.
                        None => self.block(block, context, scope),
                    }
                }
            }
        }
    }

    /// The context in a section.
    fn inside(
        &mut self,
        directive: &Directive,
        context: &Context,
        place: Place,
        scope: usize,
    ) -> Context {
        self.count += 1;
        let [phase, depth] = place.rank();
        let outer = self.sections.get(context.section);
        let mut places = outer.map(|outer| outer.places.clone()).unwrap_or_default();
        let mut key = vec![phase];
        if places.is_empty() {
            key.extend([0, depth, scope, self.count]);
        } else {
            key.push(1);
            key.extend(outer.map(|outer| outer.key.clone()).unwrap_or_default());
            key.extend([depth, self.count]);
        }
        let written = match directive.name.as_str() {
            "directory" => "Directory",
            "directorymatch" => "DirectoryMatch",
            "location" => "Location",
            "locationmatch" => "LocationMatch",
            "files" => "Files",
            "filesmatch" => "FilesMatch",
            "proxy" => "Proxy",
            "proxymatch" => "ProxyMatch",
            "if" => "If",
            "elseif" => "ElseIf",
            _ => "Else",
        };
        let title = directive.title(written);
        let title = title.trim_start_matches('<').trim_end_matches('>');
        let name = outer.map_or_else(String::new, |outer| format!("{} {title}", outer.name));
        places.push(place);
        Context {
            section: self.section(name, places, key, directive.span),
            doubt: context.doubt.clone(),
        }
    }

    /// What may stand here changes anything on the pages of the section, after everything else.
    fn unread(&mut self, directive: &Directive, context: &Context, what: &str) {
        let Some(outer) = self.sections.get(context.section) else {
            return;
        };
        let (name, places) = (outer.name.clone(), outer.places.clone());
        self.count += 1;
        let at = self.section(name, places, vec![9, self.count], directive.span);
        let doubt = Doubt {
            span: directive.span,
            what: what.to_owned(),
        };
        if let Some(section) = self.sections.get_mut(at) {
            section.operations.push(Operation {
                table: Which::OnSuccess,
                disposition: Disposition::Enforce,
                change: Change::Anything(doubt.clone()),
                doubt: None,
            });
            section.operations.push(Operation {
                table: Which::Always,
                disposition: Disposition::Enforce,
                change: Change::Anything(doubt),
                doubt: None,
            });
        }
    }

    /// `mod_macro`, `Use`: a body that names no policy changes none.
    fn expand(&mut self, directive: &Directive, context: &Context) {
        let name = directive.word(0);
        let body = self
            .macros
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        if body.is_none_or(|(_, mentions)| *mentions) {
            self.unread(directive, context, &format!("what `Use {name}` puts here"));
        }
    }
}

/// The pages of a server: those that no section matches, and those of every section that changes policies.
fn pages(server: &str, sections: &[Section], mapping: &Mapping) -> Vec<Document> {
    let mut found = vec![Document::new(server)];
    let everywhere = |section: &Section| covers(&section.places, &[], mapping);
    let changing: Vec<&Section> = sections
        .iter()
        .filter(|section| !section.operations.is_empty())
        .collect();
    if let Some(page) = found
        .first_mut()
        .filter(|_| !is_split(&changing, &[], mapping))
    {
        page.policies = policies(&changing, None, mapping);
    }
    for (at, section) in changing.iter().enumerate() {
        // Of several sections of the same pages the last one gives its name.
        let is_last = changing.iter().skip(at + 1).all(|other| {
            !covers(&other.places, &section.places, mapping)
                || !covers(&section.places, &other.places, mapping)
        });
        if is_last && !everywhere(section) && !is_split(&changing, &section.places, mapping) {
            let name = if section.name.starts_with(server) {
                section.name.clone()
            } else {
                // A section outside the virtual host.
                format!("{server} {}", section.name.trim_start_matches("page "))
            };
            let mut page = Document::new(name);
            page.policies = policies(&changing, Some(at), mapping);
            found.push(page);
        }
    }
    found.retain(|page| !page.policies.is_empty());
    found
}

/// The policies of the pages that a section gives its name to; of no section, where `at` is none.
fn policies(
    sections: &[&Section],
    at: Option<usize>,
    mapping: &Mapping,
) -> Vec<crate::config::csp::Policy> {
    let own: &[Place] = at
        .and_then(|at| sections.get(at))
        .map_or(&[], |section| &section.places);
    let covers = |outer: &[Place], inner: &[Place]| covers(outer, inner, mapping);
    let is_inside =
        |inner: &[Place], outer: &[Place]| covers(outer, inner) && !covers(inner, outer);
    let (mut success, mut always) = (Table::default(), Table::default());
    for (place, section) in sections.iter().enumerate() {
        let is_sure = covers(&section.places, own);
        let is_later = at.is_none_or(|at| place > at);
        let earlier = sections.iter().take(at.unwrap_or_default());
        let mut hidden = earlier.filter(|earlier| {
            is_inside(&earlier.places, &section.places)
                && !are_disjoint(&earlier.places, own, mapping)
        });
        let never = are_disjoint(&section.places, own, mapping)
            || is_inside(&section.places, own)
            || is_later && hidden.next().is_none();
        if never && !is_sure {
            continue;
        }
        let doubt = (!is_sure).then(|| Doubt {
            span: section.span,
            what: format!("whether `{}` is for this page too", section.name),
        });
        for operation in &section.operations {
            let table = match operation.table {
                Which::OnSuccess => &mut success,
                Which::Always => &mut always,
            };
            let doubt = operation.doubt.as_ref().or(doubt.as_ref());
            table.change(operation.disposition, &operation.change, doubt);
        }
    }
    // `ap_http_header_filter` (`modules/http/http_filters.c`): the table of `always` stands before the other one.
    let mut policies = always.policies();
    policies.extend(success.policies());
    policies
}

/// Whether every page of these places is one of a branch of a condition.
fn is_split(sections: &[&Section], own: &[Place], mapping: &Mapping) -> bool {
    sections
        .iter()
        .filter(|section| section.is_total)
        .any(|section| {
            let Some((Place::Branch(number, _), outer)) = section.places.split_last() else {
                return false;
            };
            let is_branch = |place: &Place| matches!(place, Place::Branch(one, _) if one == number);
            covers(outer, own, mapping) && !own.iter().any(is_branch)
        })
}

/// The directives of a server, those too that a condition on httpd itself holds.
fn flat(tree: &[Directive]) -> Vec<&Directive> {
    let mut found = Vec::new();
    for directive in tree {
        match &directive.block {
            Some(block) if directive.name.starts_with("if") && directive.name != "if" => {
                found.extend(flat(block));
            }
            Some(_) | None => found.push(directive),
        }
    }
    found
}

/// Where the files of a server are, if only `DocumentRoot` says it.
fn mapping(trees: &[&[Directive]]) -> Mapping {
    const MAPS: [&str; 15] = [
        "alias",
        "aliasmatch",
        "scriptalias",
        "scriptaliasmatch",
        "proxypass",
        "proxypassmatch",
        "rewriterule",
        "rewritemap",
        "userdir",
        "virtualdocumentroot",
        "virtualscriptalias",
        "jkmount",
        "wsgiscriptalias",
        "wsgiscriptaliasmatch",
        "use",
    ];
    let directives: Vec<&Directive> = trees.iter().flat_map(|tree| flat(tree)).collect();
    let maps = |directive: &&Directive| {
        let inside = directive.block.iter().flatten();
        let is_map = |name: &str| MAPS.contains(&name);
        let is_host = directive.name == "virtualhost";
        // In a folder a rewritten URL is looked up anew.
        directive.is_unread
            || is_map(&directive.name)
            || !is_host
                && inside
                    .clone()
                    .any(|one| one.is_unread || is_map(&one.name) && one.name != "rewriterule")
    };
    if directives.iter().any(maps) {
        return Mapping::default();
    }
    let roots = directives
        .iter()
        .rev()
        .filter(|one| one.name == "documentroot");
    let root = roots.map(|root| root.word(0)).next();
    Mapping {
        root: root
            .filter(|root| root.starts_with('/') && !root.contains('$'))
            .map(|root| folder(&root)),
    }
}

/// Whether a condition on httpd itself holds; `None`: that is not known.
fn holds(directive: &Directive) -> Option<bool> {
    let first = directive.word(0);
    match directive.name.as_str() {
        "ifmodule" => {
            let (is_negated, module) = match first.strip_prefix('!') {
                Some(module) => (true, module),
                None => (false, first.as_str()),
            };
            // Without it no `Header` line could be read.
            let is_own = matches!(module, "mod_headers.c" | "headers_module");
            is_own.then_some(!is_negated)
        }
        "ifversion" => {
            let version = directive.word(1);
            let (major, minor) = version.split_once('.')?;
            let asked: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
            match first.as_str() {
                ">=" => (asked <= (2, 4)).then_some(true),
                "<" => (asked <= (2, 4)).then_some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

fn mentions_the_header(block: &[Directive]) -> bool {
    block.iter().any(|directive| {
        let names = |at: usize| {
            let word = directive.word(at).to_ascii_lowercase();
            word.contains("content-security-policy") || word.contains(['$', '@', '%'])
        };
        let is_header = matches!(directive.name.as_str(), "header" | "include" | "use");
        is_header && (0..directive.words.len()).any(names)
            || directive.block.as_deref().is_some_and(mentions_the_header)
    })
}
