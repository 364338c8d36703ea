//! In: the arguments of `inputs`. Out: what each file is taken for, and why.

use gatelint::report::one_line;
use gatelint::{Context, Sources};

use super::Exit;
use super::arguments::InputsArguments;
use super::disk::Disk;
use super::project::Declared;
use super::{check, screen, walk};

/// Lists the inputs.
pub(super) fn run(arguments: &InputsArguments) -> Exit {
    let sources = Sources::new();
    let disk = match Disk::new(&sources, arguments.input.root.as_deref()) {
        Ok(disk) => disk,
        Err(error) => {
            screen::say(&format!("error: --root: {error}"));
            return Exit::Unusable;
        }
    };
    let facts = check::facts(&arguments.facts);
    let paths = &arguments.input.paths;
    let Some(declared) = Declared::load(&arguments.project, paths, &facts, &sources, &disk) else {
        return Exit::Unusable;
    };
    let facts = declared.facts(&facts);
    let found = walk::find(&arguments.input, &declared.targets, &sources, &disk);
    let files = found.files(&sources);
    let targets = found.targets(&files);
    let context = Context {
        sources: &sources,
        files: &disk,
        facts: &facts,
        clients: None,
        fixes: false,
    };
    let report = gatelint::check(&targets, &[], &context);
    let mut lines = Vec::new();
    for read in gatelint::read(&targets, &context) {
        let summary = report
            .inputs
            .iter()
            .find(|input| input.file == read.target.input.file);
        let role = read.reading.as_ref().ok().and_then(|r| r.role.clone());
        let along = summary
            .and_then(|input| input.not_judged.clone())
            .filter(|why| why.starts_with("read along"));
        let not_judged = read
            .reading
            .as_ref()
            .ok()
            .and_then(|r| r.not_judged.clone());
        let mut line = format!(
            "{}: {} ({})",
            read.target.input.path, read.target.kind.name, read.target.why
        );
        for more in [
            role,
            along,
            not_judged.map(|why| format!("not judged: {why}")),
        ]
        .into_iter()
        .flatten()
        {
            line.push_str(", ");
            line.push_str(&more);
        }
        lines.push(line);
    }
    lines.extend(found.notes.iter().cloned());
    let skipped = found.skipped.iter();
    lines.extend(skipped.map(|(path, why)| format!("{path}: left out, {why}")));
    if found.unknown > 0 {
        lines.push(format!("{} other files are no config", found.unknown));
    }
    let text: String = lines.iter().map(|line| one_line(line) + "\n").collect();
    if screen::write(&text).is_err() {
        return Exit::Unusable;
    }
    if walk::say_errors(&found.errors) {
        Exit::Unusable
    } else if found.configs.is_empty() {
        Exit::NothingChecked
    } else {
        Exit::Fine
    }
}
