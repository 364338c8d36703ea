//! In: the paths that the user names. Out: the files that may be configs, each with what it is, and what was left out.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory;
use gatelint::config::{Detected, Input, detect, template_marker};
use gatelint::finding::InputError;
use gatelint::policy::Own;
use gatelint::source::{FileId, SourceFile};
use gatelint::{Kind, Sources, Target};
use ignore::WalkBuilder;

use super::arguments::{Cli, InputArguments, KindChoice};
use super::disk::{Disk, DiskError};
use super::project::DeclaredTarget;
use super::screen;

/// Endings of copies and samples that are not in force.
const COPIES: [&str; 14] = [
    ".bak", ".backup", ".save", ".orig", ".old", ".default", ".sample", ".example", ".dist",
    ".rpmnew", ".rpmsave", ".rej", "~", ".swp",
];
/// Where a system shows itself as files that are none.
const NO_FILES: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Files met on a walk that are larger than this are no configs to look into unasked.
const LARGEST_WALKED: u64 = 64 << 20;
/// So much of a larger one tells whether it is a config.
const LARGEST_START: u64 = 64 << 10;

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Configs, in a fixed order.
    pub(super) configs: Vec<FoundConfig>,
    /// Files that were seen and left alone: path and why.
    pub(super) skipped: Vec<(String, String)>,
    /// What is worth a word in a report, though it is no config that can be judged.
    pub(super) notes: Vec<String>,
    /// What makes the run unusable: named files that are missing, unreadable or nothing we know.
    pub(super) errors: Vec<InputError>,
    /// Files that no kind knows, met on walks.
    pub(super) unknown: usize,
}

/// A config.
#[derive(Debug)]
pub(super) struct FoundConfig {
    pub(super) file: FileId,
    pub(super) kind: &'static Kind,
    pub(super) why: String,
    pub(super) is_named: bool,
    /// What the project's config says of it.
    pub(super) declared: Option<DeclaredTarget>,
}

impl Found {
    /// The files of the configs, to be borrowed from.
    pub(super) fn files(&self, sources: &Sources) -> Vec<Arc<SourceFile>> {
        let configs = self.configs.iter();
        configs.map(|config| sources.file(config.file)).collect()
    }

    /// The configs as targets.
    pub(super) fn targets<'a>(&'a self, files: &'a [Arc<SourceFile>]) -> Vec<Target<'a>> {
        let target = |(config, source): (&'a FoundConfig, &'a Arc<SourceFile>)| Target {
            input: Input {
                file: config.file,
                path: &source.path,
                bytes: &source.bytes,
            },
            kind: config.kind,
            why: &config.why,
            is_named: config.is_named,
            own: Own {
                facts: config.declared.as_ref().map(|declared| &declared.facts),
                clients: config
                    .declared
                    .as_ref()
                    .and_then(|declared| declared.clients.as_ref()),
            },
        };
        self.configs.iter().zip(files).map(target).collect()
    }
}

/// Finds the configs among the named files and below the named folders.
pub(super) fn find(
    arguments: &InputArguments,
    declared: &[DeclaredTarget],
    sources: &Sources,
    disk: &Disk<'_>,
) -> Found {
    let mut finder = Finder {
        kinds: &arguments.kind,
        declared,
        sources,
        disk,
        found: Found::default(),
    };
    finder.declared_below(&arguments.paths);
    for path in &arguments.paths {
        if path.as_os_str() == "-" {
            finder.standard_input(arguments.stdin_filename.as_deref());
        } else if path.is_dir() {
            finder.walk(path, !arguments.no_gitignore);
        } else {
            finder.named(path);
        }
    }
    for choice in &arguments.kind {
        if let Some(path) = &choice.path {
            finder.named(path);
        }
    }
    finder.found
}

struct Finder<'a> {
    kinds: &'a [KindChoice],
    declared: &'a [DeclaredTarget],
    sources: &'a Sources,
    disk: &'a Disk<'a>,
    found: Found,
}

impl Finder<'_> {
    fn standard_input(&mut self, name: Option<&str>) {
        let mut bytes = Vec::new();
        if let Err(error) = std::io::stdin().lock().read_to_end(&mut bytes) {
            self.refuse("<stdin>", format!("it cannot be read: {error}"));
            return;
        }
        let name = name.unwrap_or("<stdin>");
        match self.disk.take(name, bytes) {
            Ok(file) => self.decide_named(file, Path::new(name)),
            Err(error) => self.refuse(name, error.to_string()),
        }
    }

    fn refuse(&mut self, path: &str, message: String) {
        let path = path.to_owned();
        self.found.errors.push(InputError { path, message });
    }

    /// What the project's config declares at or below the paths is read as it says, before anything is met on a walk.
    fn declared_below(&mut self, paths: &[PathBuf]) {
        let asked: Vec<PathBuf> = paths
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        for target in self.declared {
            let below = |top: &PathBuf| match target.path.canonicalize() {
                Ok(real) => real.starts_with(top),
                Err(_) => top.is_dir(),
            };
            if asked.iter().any(below) {
                self.named(&target.path);
            }
        }
    }

    fn named(&mut self, path: &Path) {
        match self.disk.load(path, None) {
            Ok(file) => self.decide_named(file, path),
            Err(error) => {
                let label = self.disk.label(path);
                let hint = match error {
                    DiskError::Missing => command_meant(path),
                    DiskError::Folder
                    | DiskError::NotRegular
                    | DiskError::Outside(_)
                    | DiskError::Large
                    | DiskError::Source(_)
                    | DiskError::Io(_) => String::new(),
                };
                self.refuse(&label, format!("{error}{hint}"));
            }
        }
    }

    /// A named file is a config, or an error that says what was expected.
    fn decide_named(&mut self, file: FileId, path: &Path) {
        if self.found.configs.iter().any(|known| known.file == file) {
            return;
        }
        let source = self.sources.file(file);
        let label = source.path.clone();
        let choice = self
            .kinds
            .iter()
            .find(|choice| choice.path.as_deref() == Some(path))
            .or_else(|| self.kinds.iter().find(|choice| choice.path.is_none()));
        let declared = self
            .declared
            .iter()
            .find(|target| is_same_file(&target.path, path))
            .cloned();
        let kind = choice
            .map(|choice| (choice.kind, "declared with --kind"))
            .or_else(|| Some((declared.as_ref()?.kind?, "declared in gatelint.yaml")));
        let detected = match kind {
            Some((kind, why)) => match template_marker(kind, &source.bytes) {
                Some(marker) => Detected::Template(kind, marker),
                None => Detected::Kind(kind, why),
            },
            None => detect(&label, &source.bytes),
        };
        match detected {
            Detected::Kind(kind, why) => self.found.configs.push(FoundConfig {
                file,
                kind,
                why: why.to_owned(),
                is_named: true,
                declared,
            }),
            Detected::Unreadable(way_out) => self.refuse(&label, way_out.to_owned()),
            Detected::Template(kind, marker) => {
                self.refuse(&label, template_words(kind, marker));
            }
            Detected::Nothing => self.refuse(&label, nothing_words(&source.bytes)),
        }
    }

    /// Every file below a folder, in the order of the names; links are followed to files only.
    fn walk(&mut self, folder: &Path, gitignore: bool) {
        let walk = WalkBuilder::new(folder)
            .standard_filters(gitignore)
            .hidden(false)
            .sort_by_file_path(Path::cmp)
            .filter_entry(|entry| {
                let name = entry.file_name().to_string_lossy();
                let is_hidden = entry.depth() > 0 && name.starts_with('.') && name != ".htaccess";
                !is_hidden && !NO_FILES.iter().any(|path| entry.path() == Path::new(path))
            })
            .build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    // A folder that cannot be read may hold a config: said, not fatal.
                    self.found.notes.push(format!("not read: {error}"));
                    continue;
                }
            };
            if entry.file_type().is_some_and(|kind| kind.is_dir()) {
                continue;
            }
            self.met(entry.path(), folder);
        }
    }

    /// A large file is left alone; where its beginning is that of a config, every report says so.
    fn too_large(&mut self, path: &Path, folder: &Path, label: String) {
        const WHY: &str = "over 64 MiB; name it to read it";
        let start = self.disk.peek(path, folder, LARGEST_START);
        match start.map(|start| detect(&label, &start)) {
            Ok(Detected::Kind(_, _)) => {
                self.found.notes.push(format!("{label}: not judged: {WHY}"));
            }
            Ok(Detected::Unreadable(_) | Detected::Template(_, _) | Detected::Nothing) | Err(_) => {
                self.found.skipped.push((label, WHY.to_owned()));
            }
        }
    }

    /// A file met on a walk is a config, or is left alone.
    fn met(&mut self, path: &Path, folder: &Path) {
        let label = self.disk.label(path);
        let skip = |why: &str| (label.clone(), why.to_owned());
        if is_copy(&label) {
            self.found
                .skipped
                .push(skip("a copy or sample by its name"));
            return;
        }
        let Ok(about) = std::fs::metadata(path) else {
            self.found.skipped.push(skip("a link that leads nowhere"));
            return;
        };
        if !about.is_file() {
            self.found.skipped.push(skip("no regular file"));
            return;
        }
        if about.len() > LARGEST_WALKED {
            self.too_large(path, folder, label);
            return;
        }
        // Only what is a config is kept: a walk may meet a whole disk.
        let detected = match self.disk.peek(path, folder, LARGEST_WALKED) {
            Ok(bytes) => detect(&label, &bytes),
            Err(error) => {
                self.found.notes.push(format!("{label}: not read: {error}"));
                return;
            }
        };
        match detected {
            Detected::Kind(_, _) if is_drop_in(path, folder) => self.found.skipped.push(skip(
                "in a drop-in folder: read where a config includes it; name it to read it alone",
            )),
            Detected::Kind(kind, why) => match self.disk.load(path, Some(folder)) {
                Ok(file) if self.found.configs.iter().any(|known| known.file == file) => {}
                Ok(file) => self.found.configs.push(FoundConfig {
                    file,
                    kind,
                    why: why.to_owned(),
                    is_named: false,
                    declared: None,
                }),
                Err(error) => self.found.notes.push(format!("{label}: not read: {error}")),
            },
            Detected::Unreadable(way_out) => {
                self.found
                    .notes
                    .push(format!("{label}: not judged: {way_out}"));
            }
            Detected::Template(kind, marker) => {
                let words = template_words(kind, marker);
                self.found
                    .notes
                    .push(format!("{label}: not judged: {words}"));
            }
            Detected::Nothing => self.found.unknown += 1,
        }
    }
}

/// Says what cannot be used; whether there was any of it.
pub(super) fn say_errors(errors: &[InputError]) -> bool {
    for error in errors {
        screen::say(&format!("error: {error}"));
    }
    !errors.is_empty()
}

fn is_same_file(left: &Path, right: &Path) -> bool {
    left == right || matches!((left.canonicalize(), right.canonicalize()), (Ok(l), Ok(r)) if l == r)
}

fn is_copy(label: &str) -> bool {
    let name = label
        .rsplit('/')
        .next()
        .unwrap_or(label)
        .to_ascii_lowercase();
    COPIES.iter().any(|ending| name.ends_with(ending)) || name.contains(".dpkg-")
}

/// Whether a file lies in a folder `*.d` below the walked one.
fn is_drop_in(path: &Path, folder: &Path) -> bool {
    let below: PathBuf = path.strip_prefix(folder).unwrap_or(path).to_owned();
    below
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .any(|part| part.as_os_str().to_string_lossy().ends_with(".d"))
}

fn template_words(kind: &Kind, marker: &str) -> String {
    format!(
        "this is a template of {}, not a config (`{marker}`): render it and give the result",
        kind.title
    )
}

fn nothing_words(bytes: &[u8]) -> String {
    let kinds: Vec<&str> = gatelint::KINDS.iter().map(|kind| kind.name).collect();
    let what = if bytes.is_empty() {
        "the file is empty"
    } else if bytes.iter().take(8192).any(|byte| *byte == 0) {
        "this is a binary file"
    } else {
        "this is no config that gatelint knows"
    };
    format!(
        "{what}; say what it is with --kind, one of: {}",
        kinds.join(", ")
    )
}

/// A word that is no path may be a misspelt command.
fn command_meant(path: &Path) -> String {
    let command = Cli::command();
    let commands: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let word = path.to_string_lossy();
    if word.contains(['.', '/']) {
        return String::new();
    }
    let nearest = gatelint::policy::did_you_mean(&word, &commands);
    if nearest.starts_with("did you mean") {
        format!(" ({nearest})")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_known_by_their_names() {
        for name in [
            "a/rules.v4.bak",
            "squid.conf.dpkg-dist",
            "resolv.conf~",
            "x.SAVE",
        ] {
            assert!(is_copy(name), "{name}");
        }
        for name in ["squid.conf", "rules.v4", "default/ufw"] {
            assert!(!is_copy(name), "{name}");
        }
    }

    #[test]
    fn a_drop_in_lies_in_a_folder_that_ends_so() {
        assert!(is_drop_in(
            Path::new("etc/unbound/unbound.conf.d/a.conf"),
            Path::new("etc")
        ));
        assert!(!is_drop_in(Path::new("conf.d/a.conf"), Path::new("conf.d")));
        assert!(!is_drop_in(Path::new("etc/a.d.conf"), Path::new("etc")));
    }
}
