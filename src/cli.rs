//! In: arguments, files, environment. Out: text and an exit code. The only part that touches files, environment and
//! terminal.
//!
//! Exit codes, the same for every format: 0 nothing at or above `--fail-on`; 1 findings; 2 usage, policy or I/O error,
//! or a named input that could not be recognised; 3 nothing was checked. 2 beats 1 beats 3. Findings go to standard
//! output, everything else to standard error.

mod arguments;
mod check;
mod diff;
mod disk;
mod exceptions;
mod files_from;
mod fix;
mod init;
mod inputs;
mod manual;
mod networks;
mod policies;
mod policy;
mod project;
mod replace;
mod rules;
mod screen;
mod test;
mod trace;
mod walk;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Cli, Command, NetworksCommand, PolicyCommand};

/// Deep configs recurse; the main thread's stack is the system's choice, this one is ours.
const STACK: usize = 256 << 20;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Fine,
    Findings,
    Unusable,
    NothingChecked,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Findings => 1,
            Self::Unusable => 2,
            Self::NothingChecked => 3,
        }
    }
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    // A fault at one file becomes a value (`gatelint::check` catches it), so it is said once, by us.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = std::env::args_os().map(trace::arrow_as_word);
    let mut cli = Cli::parse_from(arguments);
    if let Err(error) = files_from::add(&mut cli) {
        screen::say(&format!("error: --files-from: {error}"));
        return ExitCode::from(Exit::Unusable.code());
    }
    let work = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || dispatch(&cli));
    let exit = match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(exit)) => exit,
        Ok(Err(fault)) => {
            let said = fault
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| fault.downcast_ref::<&str>().copied());
            screen::say(&format!(
                "error: a fault of gatelint, please report it: {}",
                said.unwrap_or("unknown")
            ));
            Exit::Unusable
        }
        Err(error) => {
            screen::say(&format!("error: no thread could be started: {error}"));
            Exit::Unusable
        }
    };
    ExitCode::from(exit.code())
}

fn dispatch(cli: &Cli) -> Exit {
    match &cli.command {
        None => check::run(&cli.check, None),
        Some(Command::Check(arguments)) => check::run(arguments, None),
        Some(Command::Diff(arguments)) => diff::run(arguments),
        Some(Command::Trace(arguments)) => trace::run(arguments),
        Some(Command::Inputs(arguments)) => inputs::run(arguments),
        Some(Command::Rules(arguments)) => rules::list(arguments),
        Some(Command::Explain(arguments)) => rules::explain(arguments),
        Some(Command::Init(arguments)) => init::run(arguments),
        Some(Command::Baseline(arguments)) => check::run(&arguments.check, Some(&arguments.write)),
        Some(Command::Exceptions(arguments)) => exceptions::run(arguments),
        Some(Command::Test(arguments)) => test::run(arguments),
        Some(Command::Policy(PolicyCommand::Check(arguments))) => policy::check(arguments),
        Some(Command::Policy(PolicyCommand::Schema)) => policy::schema(),
        Some(Command::Networks(NetworksCommand::Update(arguments))) => networks::update(arguments),
        Some(Command::Completions(arguments)) => manual::completions(arguments),
        Some(Command::Man) => manual::page(),
    }
}
