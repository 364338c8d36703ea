//! In: the command line as types. Out: what shells and `man` want to know of it.

use clap::CommandFactory;

use super::arguments::{Cli, CompletionsArguments};
use super::{Exit, screen};

const NAME: &str = "gatelint";

/// Writes the completions of a shell.
pub(super) fn completions(arguments: &CompletionsArguments) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), NAME, &mut script);
    finish(&script)
}

/// Writes the man page: that of the program, then those of its commands in one.
pub(super) fn page() -> Exit {
    let mut command = Cli::command();
    // Built, so that the commands know the flags that hold for all of them.
    command.build();
    let mut page = Vec::new();
    let mut written = clap_mangen::Man::new(command.clone()).render(&mut page);
    for inner in command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        let man = clap_mangen::Man::new(inner.clone());
        let heading = format!(".SH \"{NAME} {}\"\n", inner.get_name());
        page.extend_from_slice(heading.as_bytes());
        written = written
            .and_then(|()| man.render_description_section(&mut page))
            .and_then(|()| man.render_synopsis_section(&mut page))
            .and_then(|()| man.render_options_section(&mut page));
    }
    match written {
        Ok(()) => finish(&page),
        Err(_) => Exit::Unusable,
    }
}

fn finish(text: &[u8]) -> Exit {
    match screen::write_bytes(text) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unusable,
    }
}
