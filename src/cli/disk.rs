//! In: paths on disk. Out: files in [`Sources`], and the files that configs name.
//!
//! A config may name any path, so nothing outside a root is read: by default the repository of the input, else its
//! folder. An absolute name is sought as the config's own tree suggests: where `X/etc/bind/named.conf` names
//! `/etc/bind/y`, `X` is the root of that machine.
//!
//! Invariants: no file is read twice under two ids; no device, pipe or folder is opened; a link that leads out of the
//! root is refused.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatelint::Sources;
use gatelint::config::{Files, Opened};
use gatelint::source::{FileId, SourceError};

/// A glob gives at most this many files.
const MOST_MATCHES: usize = 10_000;
/// How much of a file is looked at to see what it is.
const BEGINNING: u64 = 1_024;
/// A larger file is no part of a config: what a repository holds in a few bytes may fill the memory once unpacked.
const LARGEST_INCLUDED: u64 = 256 << 20;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    #[error("no such file or folder")]
    Missing,
    #[error("it is a folder")]
    Folder,
    #[error("it is no regular file; give it on standard input with `-`")]
    NotRegular,
    #[error("it lies outside the root {0}; choose another with --root")]
    Outside(String),
    #[error("it has more than 256 MiB")]
    Large,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for DiskError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::Missing
        } else {
            Self::Io(error)
        }
    }
}

/// A file and how it begins.
type Beginning = (PathBuf, Vec<u8>);

/// The disk below roots.
#[derive(Debug)]
pub(super) struct Disk<'s> {
    sources: &'s Sources,
    /// As given with `--root`, canonical.
    root: Option<PathBuf>,
    /// What is cut off in front of paths for messages.
    here: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_place: HashMap<PathBuf, FileId>,
    places: HashMap<FileId, Place>,
    /// What came on standard input.
    taken: Option<FileId>,
    /// How the files of a folder begin: many configs of one folder may ask.
    beginnings: HashMap<PathBuf, Arc<[Beginning]>>,
}

/// Where a file is.
#[derive(Debug, Clone)]
struct Place {
    /// As it was named.
    path: PathBuf,
    /// Canonical.
    root: PathBuf,
}

impl<'s> Disk<'s> {
    /// The disk, bound to a root where one is given.
    pub(super) fn new(sources: &'s Sources, root: Option<&Path>) -> Result<Self, DiskError> {
        Ok(Self {
            sources,
            root: root.map(Path::canonicalize).transpose()?,
            here: Path::new(".").canonicalize().ok(),
            known: Mutex::default(),
        })
    }

    /// Reads a file that the user named, or that a walk of `walked`, or the project's config in it, led to.
    pub(super) fn load(&self, path: &Path, walked: Option<&Path>) -> Result<FileId, DiskError> {
        let root = match &self.root {
            Some(root) => root.clone(),
            None => default_root(walked.unwrap_or(path))?,
        };
        // A file that the user names is read wherever its link leads; one that a walk meets must stay inside.
        let bound = walked.map(|_| root.as_path());
        self.read(path, &root, bound, false)
    }

    /// The first `most` bytes of a file that a walk of `walked` met, not kept.
    pub(super) fn peek(&self, path: &Path, walked: &Path, most: u64) -> Result<Vec<u8>, DiskError> {
        let root = match &self.root {
            Some(root) => root.clone(),
            None => default_root(walked)?,
        };
        let real = path.canonicalize()?;
        if !real.starts_with(&root) {
            return Err(DiskError::Outside(self.label(&root)));
        }
        Ok(start(&real, most)?)
    }

    /// Takes text that has no file, and seeks what it names below the current folder.
    pub(super) fn take(&self, name: &str, bytes: Vec<u8>) -> Result<FileId, DiskError> {
        let file = self.sources.add(name, bytes)?;
        let root = match (&self.root, &self.here) {
            (Some(root), _) | (None, Some(root)) => root.clone(),
            (None, None) => PathBuf::from("."),
        };
        let place = Place {
            path: root.join(name),
            root,
        };
        let mut known = self.known();
        known.places.insert(file, place);
        known.taken = Some(file);
        drop(known);
        Ok(file)
    }

    /// What came on standard input, if anything did.
    pub(super) fn taken(&self) -> Option<FileId> {
        self.known().taken
    }

    /// Where a file may be written anew: its path and the root that it must lie in.
    pub(super) fn destination(&self, file: FileId) -> Option<(PathBuf, PathBuf)> {
        let place = self.place(file)?;
        Some((place.path, place.root))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(
        &self,
        path: &Path,
        root: &Path,
        bound: Option<&Path>,
        is_included: bool,
    ) -> Result<FileId, DiskError> {
        let real = path.canonicalize()?;
        if let Some(bound) = bound
            && !real.starts_with(bound)
        {
            return Err(DiskError::Outside(self.label(bound)));
        }
        if let Some(known) = self.known().by_place.get(&real) {
            return Ok(*known);
        }
        let about = std::fs::metadata(&real)?;
        if about.is_dir() {
            return Err(DiskError::Folder);
        }
        if !about.is_file() {
            return Err(DiskError::NotRegular);
        }
        if u32::try_from(about.len()).is_err() {
            return Err(SourceError::TooLarge(about.len()).into());
        }
        if is_included && about.len() > LARGEST_INCLUDED {
            return Err(DiskError::Large);
        }
        let bytes = contents(&real)?;
        let file = self.sources.add(self.label(path), bytes)?;
        let mut known = self.known();
        known.by_place.insert(real, file);
        let place = Place {
            path: path.to_owned(),
            root: root.to_owned(),
        };
        known.places.insert(file, place);
        Ok(file)
    }

    /// Where the current folder lies below the top of its repository: empty or `web/`.
    pub(super) fn folder(&self) -> String {
        let below = self.here.as_deref().and_then(|here| {
            let top = repository(here)?;
            here.strip_prefix(top).ok()
        });
        let parts = below.into_iter().flat_map(Path::components);
        parts
            .map(|part| part.as_os_str().to_string_lossy() + "/")
            .collect()
    }

    /// A path as messages show it: as the user would write it from here.
    pub(super) fn label(&self, path: &Path) -> String {
        let path = tidy(path);
        let short = self
            .here
            .as_deref()
            .and_then(|here| path.strip_prefix(here).ok())
            .unwrap_or(&path);
        let text = short.to_string_lossy().replace('\\', "/");
        if text.is_empty() {
            ".".to_owned()
        } else {
            text
        }
    }

    fn place(&self, file: FileId) -> Option<Place> {
        self.known().places.get(&file).cloned()
    }

    /// Where a name that a config writes may lie, best first.
    fn candidates(&self, from: &Place, name: &str) -> Vec<PathBuf> {
        let name = Path::new(name);
        let folder = from.path.parent().unwrap_or(Path::new(""));
        if name.is_relative() {
            return vec![tidy(&folder.join(name))];
        }
        let below: PathBuf = name
            .components()
            .filter(|part| !matches!(part, Component::RootDir | Component::Prefix(_)))
            .collect();
        let mut places = Vec::new();
        places.extend(self.root.as_deref().map(|root| tidy(&root.join(&below))));
        // INVARIANT: both are canonical, so their components can be compared.
        let first = below.components().next();
        let folder = folder.canonicalize().unwrap_or_default();
        let tops = folder.ancestors().filter(|top| {
            folder
                .strip_prefix(top)
                .ok()
                .and_then(|p| p.components().next())
                == first
        });
        places.extend(tops.map(|top| tidy(&top.join(&below))));
        places.push(tidy(&from.root.join(&below)));
        places
    }

    /// How the files in the folder of a place begin, in the order of their names.
    fn beginnings(&self, place: &Place) -> Arc<[Beginning]> {
        let folder = place.path.parent().unwrap_or(Path::new(""));
        if let Some(known) = self.known().beginnings.get(folder) {
            return Arc::clone(known);
        }
        let found: Arc<[_]> = matches(&folder.join("*"), &place.root)
            .into_iter()
            .filter(|path| {
                let inside = |real: PathBuf| real.starts_with(&place.root) && real.is_file();
                path.canonicalize().is_ok_and(inside)
            })
            .filter_map(|path| start(&path, BEGINNING).ok().map(|bytes| (path, bytes)))
            .collect();
        let mut known = self.known();
        known
            .beginnings
            .insert(folder.to_owned(), Arc::clone(&found));
        found
    }

    fn open_at(&self, from: &Place, path: &Path) -> Opened {
        match self.read(path, &from.root, Some(&from.root), true) {
            Ok(file) => Opened::Found {
                file,
                bytes: Arc::clone(&self.sources.file(file).bytes),
            },
            Err(DiskError::Missing) => Opened::Missing,
            Err(DiskError::Outside(_)) => Opened::Refused("it lies outside the root"),
            Err(DiskError::Folder) => Opened::Refused("it is a folder"),
            Err(DiskError::NotRegular) => Opened::Refused("it is no regular file"),
            Err(DiskError::Large) => Opened::Refused("it has more than 256 MiB"),
            Err(DiskError::Source(_)) => Opened::Refused("it has 4 GiB or more"),
            Err(DiskError::Io(_)) => Opened::Refused("it cannot be read"),
        }
    }
}

impl Files for Disk<'_> {
    fn open(&self, from: FileId, name: &str) -> Opened {
        let Some(from) = self.place(from) else {
            return Opened::Missing;
        };
        let mut refused = Opened::Missing;
        for path in self.candidates(&from, name) {
            match self.open_at(&from, &path) {
                found @ Opened::Found { .. } => return found,
                // Outside the root nothing is asked of the disk in its name: another machine's file proves nothing.
                why @ Opened::Refused(_) => refused = why,
                Opened::Missing => {}
            }
        }
        refused
    }

    fn glob(&self, from: FileId, pattern: &str) -> Vec<(String, Opened)> {
        let Some(from) = self.place(from) else {
            return Vec::new();
        };
        let found = self
            .candidates(&from, pattern)
            .iter()
            .map(|pattern| matches(pattern, &from.root))
            .find(|found| !found.is_empty())
            .unwrap_or_default();
        found
            .into_iter()
            .map(|path| (self.label(&path), self.open_at(&from, &path)))
            .collect()
    }

    fn beside(&self, from: FileId, wanted: &dyn Fn(&[u8]) -> bool) -> Vec<(String, Opened)> {
        let Some(place) = self.place(from) else {
            return Vec::new();
        };
        let beginnings = self.beginnings(&place);
        let opened = beginnings
            .iter()
            .filter(|(path, beginning)| wanted(beginning) && *path != place.path)
            .map(|(path, _)| (self.label(path), self.open_at(&place, path)));
        opened
            .filter(|(_, opened)| !matches!(opened, Opened::Found { file, .. } if *file == from))
            .collect()
    }
}

/// The paths below `root` that a pattern matches, sorted; wildcards do not match hidden files unless they say so.
fn matches(pattern: &Path, root: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let word = part.as_os_str().to_string_lossy();
        if !word.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let Ok(glob) = globset::GlobBuilder::new(&word).build() else {
            return Vec::new();
        };
        let matcher = glob.compile_matcher();
        let mut next = Vec::new();
        for folder in &found {
            let inside = folder
                .canonicalize()
                .is_ok_and(|real| real.starts_with(root));
            let Some(entries) = inside.then(|| folder.read_dir().ok()).flatten() else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let is_hidden = name.to_string_lossy().starts_with('.');
                if matcher.is_match(&name) && (!is_hidden || word.starts_with('.')) {
                    next.push(folder.join(name));
                }
                if next.len() > MOST_MATCHES {
                    break;
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found.sort();
    found.truncate(MOST_MATCHES);
    found
}

/// The repository that a path lies in, else its folder.
fn default_root(path: &Path) -> Result<PathBuf, DiskError> {
    let is_here = path.as_os_str().is_empty();
    let real = if is_here { Path::new(".") } else { path }.canonicalize()?;
    let folder = if real.is_dir() {
        real.as_path()
    } else {
        real.parent().unwrap_or(&real)
    };
    Ok(repository(folder).unwrap_or(folder).to_owned())
}

/// The top of the repository that a folder lies in.
fn repository(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|top| top.join(".git").exists())
}

/// Without `.` and, where the path itself says so, without `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(tidy.components().next_back(), Some(Component::Normal(_))) =>
            {
                tidy.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => tidy.push(part),
        }
    }
    tidy
}

/// Writes a file that the user asked for, over what is there.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the shell's one place that reads files"
)]
pub(super) fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// What a file that the user names holds, or standard input (`-`); never a pipe or a device, which may have no end.
pub(super) fn given(path: &Path) -> Result<Vec<u8>, DiskError> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    if !std::fs::metadata(path)?.is_file() {
        return Err(DiskError::NotRegular);
    }
    Ok(contents(path)?)
}

/// At most so many bytes of a file.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the shell's one place that reads files"
)]
fn start(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(most)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that is not there yet.
pub(super) fn create(path: &Path, text: &str) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::fs::File::create_new(path)?, text.as_bytes())
}
