//! In: the arguments and the checked paths. Out: the project's config that holds for them, its paths made ready.
//!
//! It is sought in the folder of the first path and upwards: to the top of the repository, or, where there is none, to the
//! current folder.

use std::path::{Path, PathBuf};

use gatelint::policy::DeclaredClients;
use gatelint::project::{self, FailOn, Project};
use gatelint::{Facts, Kind, Sources};
use jiff::civil::Date;

use super::arguments::ProjectArguments;
use super::disk::Disk;
use super::{policies, screen};

/// The names of the file, in the order in which they are tried.
const NAMES: [&str; 3] = ["gatelint.yaml", ".gatelint.yaml", ".github/gatelint.yaml"];

/// What the project's config says.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) project: Option<Project>,
    /// What paths in it start from.
    pub(super) folder: PathBuf,
    pub(super) targets: Vec<DeclaredTarget>,
}

/// One config that the project declares, with every fact that holds for it.
#[derive(Debug, Clone)]
pub(super) struct DeclaredTarget {
    pub(super) path: PathBuf,
    pub(super) kind: Option<&'static Kind>,
    pub(super) facts: Facts,
    pub(super) clients: Option<DeclaredClients>,
}

impl Declared {
    /// Finds and reads the config; `None` where it is wrong, which has been said then. Facts of the command line go before
    /// those of the file.
    pub(super) fn load(
        arguments: &ProjectArguments,
        paths: &[PathBuf],
        facts: &Facts,
        sources: &Sources,
        disk: &Disk<'_>,
    ) -> Option<Self> {
        let found = match &arguments.config {
            Some(path) => Some(path.clone()),
            None if arguments.no_config => None,
            None => sought(paths.first().map_or(Path::new("."), PathBuf::as_path)),
        };
        let Some(path) = found else {
            return Some(Self::default());
        };
        let label = disk.label(&path);
        // One that is only met must lie in the project: a link in it could show any file as a faulty config.
        let folder = folder_of(&path);
        let met = arguments.config.is_none().then_some(folder.as_path());
        let file = match disk.load(&path, met) {
            Ok(file) => file,
            Err(error) => {
                screen::say(&format!("error: {label}: {error}"));
                return None;
            }
        };
        let mut project = match project::parse(sources, file) {
            Ok(project) => project,
            Err(errors) => {
                for error in &errors {
                    policies::say(error, &label, sources);
                }
                return None;
            }
        };
        let folder = folder_of(&path);
        for exception in &mut project.exceptions {
            let written = exception.target.take();
            exception.target = written.map(|target| match target.split_once('#') {
                Some((path, gate)) => format!("{}#{gate}", disk.label(&folder.join(path))),
                None => disk.label(&folder.join(target)),
            });
        }
        let targets = project.targets.iter().map(|target| DeclaredTarget {
            path: folder.join(&target.path.value),
            kind: target.kind,
            facts: project.facts.with(&target.facts).with(facts),
            clients: target.clients.clone(),
        });
        Some(Self {
            targets: targets.collect(),
            project: Some(project),
            folder,
        })
    }

    /// The facts for all configs.
    pub(super) fn facts(&self, given: &Facts) -> Facts {
        self.project
            .as_ref()
            .map_or_else(|| given.clone(), |project| project.facts.with(given))
    }

    /// The clients for all configs, where the file declares some.
    pub(super) fn clients(&self) -> Option<&DeclaredClients> {
        self.project.as_ref()?.clients.as_ref()
    }

    /// The baseline, where the file names one.
    pub(super) fn baseline(&self) -> Option<PathBuf> {
        let written = self.project.as_ref()?.baseline.as_ref()?;
        Some(self.folder.join(&written.value))
    }

    /// The file of address ranges, where the file names one.
    pub(super) fn networks(&self) -> Option<PathBuf> {
        let written = self.project.as_ref()?.networks.as_ref()?;
        Some(self.folder.join(&written.value))
    }

    /// Clients of the command line stand for all of those in the file.
    pub(super) fn forget_clients(&mut self) {
        for target in &mut self.targets {
            target.clients = None;
        }
    }

    pub(super) fn fail_on(&self) -> Option<FailOn> {
        self.project.as_ref()?.fail_on
    }
}

/// The folder that a config speaks of: `.github/gatelint.yaml` speaks of the folder above.
fn folder_of(config: &Path) -> PathBuf {
    let folder = config.parent().unwrap_or(Path::new(""));
    if folder.ends_with(".github") {
        folder.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        folder.to_owned()
    }
}

fn sought(start: &Path) -> Option<PathBuf> {
    let real = start.canonicalize().ok();
    let here = Path::new(".").canonicalize().ok()?;
    let real = real.unwrap_or_else(|| here.clone());
    let first = if real.is_dir() {
        real.as_path()
    } else {
        real.parent()?
    };
    let top = first
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .or_else(|| first.starts_with(&here).then_some(here.as_path()))
        .unwrap_or(first);
    first
        .ancestors()
        .take_while(|folder| folder.starts_with(top))
        .find_map(|folder| {
            let mut names = NAMES.iter().map(|name| folder.join(name));
            names.find(|path| path.is_file())
        })
}

/// The day on which exceptions are looked at: as given, else today (UTC).
pub(super) fn today(given: Option<Date>) -> Date {
    given.unwrap_or_else(|| {
        jiff::tz::Offset::UTC
            .to_datetime(jiff::Timestamp::now())
            .date()
    })
}
