//! In: nothing. Out: the command line as types. Value lists come from the tables of kinds and formats.

use std::path::PathBuf;

use clap::builder::{ArgPredicate, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gatelint::{KINDS, Severity, report};

/// Proves whether network configs let a service through
///
/// Reads firewall dumps, proxy, resolver and content security policy configs, and proves for each what a policy asks:
/// by default what the Amazon Chime SDK needs from a network. It never opens a connection, resolves a name or needs
/// root; it judges the files that it is given, not the running machine.
#[derive(Debug, Parser)]
#[command(
    name = "gatelint",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Commands",
    after_help = "Exit codes: 0 nothing to fail on, 1 findings, 2 usage, policy or input error, 3 nothing was checked",
    after_long_help = EXAMPLES
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) check: CheckArguments,
}

const EXAMPLES: &str = "\
Examples:
  gatelint edge.rules                     judge one file
  gatelint check .                        judge every config below this folder
  iptables-save | gatelint check - --kind iptables
  gatelint trace edge.rules udp 10.0.0.5 to 99.77.130.1:3478
  gatelint explain chime/media

Exit codes:
  0  nothing at or above --fail-on
  1  findings
  2  usage, policy or I/O error, or a named input that is no config
  3  nothing was checked (see --allow-nothing)
  2 beats 1 beats 3";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Judge configs against policies (the default)
    Check(Box<CheckArguments>),
    /// Show what a config does with one packet, request, lookup or fetch
    Trace(TraceArguments),
    /// Show what a change of configs means: what newly fails, passes, opens or closes
    Diff(Box<DiffArguments>),
    /// Show what each file is taken for, and why
    Inputs(InputsArguments),
    /// List every rule
    Rules(RulesArguments),
    /// Say what a rule means, why it matters and what to do
    Explain(ExplainArguments),
    /// Run the tests of policies
    Test(TestArguments),
    /// Write a gatelint.yaml for the configs here
    Init(InitArguments),
    /// Write down what is found now, so that later runs tell only what is new
    Baseline(Box<BaselineArguments>),
    /// List the exceptions of the project
    Exceptions(ExceptionsArguments),
    /// Check a policy's text, or write the JSON Schema of policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Refresh the address ranges that policies name
    #[command(subcommand)]
    Networks(NetworksCommand),
    /// Write a shell's completions to standard output
    Completions(CompletionsArguments),
    /// Write the man page to standard output
    Man,
}

/// What is read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputArguments {
    /// Files or folders; `-` is standard input
    #[arg(
        value_name = "PATH",
        default_value = ".",
        default_value_if("files_from", ArgPredicate::IsPresent, None)
    )]
    pub(super) paths: Vec<PathBuf>,
    /// Also the files that this one lists, a name a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) files_from: Option<PathBuf>,
    /// The names in the list end with NUL instead
    #[arg(short = '0', requires = "files_from")]
    pub(super) null: bool,
    /// Take every named file, or the one at PATH, for this kind
    #[arg(long, value_name = "KIND[=PATH]", value_parser = kind_choice)]
    pub(super) kind: Vec<KindChoice>,
    /// What standard input is called, for detection and messages
    #[arg(long, value_name = "NAME")]
    pub(super) stdin_filename: Option<String>,
    /// Files that configs name are sought below this folder only (default: the repository, or the input's folder)
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// Also walk files that .gitignore names
    #[arg(long)]
    pub(super) no_gitignore: bool,
}

/// What is judged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct PolicyArguments {
    /// A policy file, or one that comes with the program (default: the project's, else builtin:chime)
    #[arg(long, value_name = "FILE|builtin:NAME", env = "GATELINT_POLICY")]
    pub(super) policy: Vec<String>,
    /// Set a parameter of the policy (clients=javascript,ios)
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(super) set: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) networks: NetworksChoice,
}

/// Which address ranges policies mean by the names of services.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct NetworksChoice {
    /// Address ranges of services: a file of `gatelint networks update`, or AWS's ip-ranges.json (default: the
    /// project's, else the snapshot that comes with the program)
    #[arg(long, value_name = "FILE", env = "GATELINT_NETWORKS")]
    pub(super) networks: Option<PathBuf>,
}

impl PolicyArguments {
    /// The policies that are named, or the default.
    pub(super) fn names(&self) -> Vec<String> {
        if self.policy.is_empty() {
            vec!["builtin:chime".to_owned()]
        } else {
            self.policy.clone()
        }
    }
}

/// What the project says.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(super) struct ProjectArguments {
    /// The project's config (default: gatelint.yaml, sought upwards from the first path)
    #[arg(short, long, value_name = "FILE", env = "GATELINT_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Read no project config
    #[arg(long, conflicts_with = "config")]
    pub(super) no_config: bool,
    /// The day on which exceptions are looked at (default: today, UTC)
    #[arg(long, value_name = "DATE")]
    pub(super) today: Option<jiff::civil::Date>,
}

/// What is known beside the files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Facts")]
pub(super) struct FactArguments {
    /// A fact that no file tells (squid.version=5.7, libc=musl, role=gateway)
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(super) fact: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    #[command(flatten)]
    pub(super) policy: PolicyArguments,
    /// Tell only these rules (chime, chime/media)
    #[arg(
        long,
        value_name = "RULE",
        value_delimiter = ',',
        help_heading = "Rules"
    )]
    pub(super) select: Vec<String>,
    /// Do not tell these rules
    #[arg(
        long,
        value_name = "RULE",
        value_delimiter = ',',
        help_heading = "Rules"
    )]
    pub(super) ignore: Vec<String>,
    #[command(flatten)]
    pub(super) facts: FactArguments,
    /// The clients to judge for: addresses or networks; can these users meet?
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        help_heading = "Facts"
    )]
    pub(super) client: Vec<String>,
    /// How findings are written
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "human",
        env = "GATELINT_FORMAT",
        value_parser = PossibleValuesParser::new(report::FORMATS.iter().map(|format| format.name)),
        help_heading = "Output"
    )]
    pub(super) format: String,
    /// Also write findings to a file in another format (sarif=gatelint.sarif); may be given several times
    #[arg(short, long, value_name = "FORMAT=FILE", value_parser = output, help_heading = "Output")]
    pub(super) output: Vec<Output>,
    #[command(flatten)]
    pub(super) look: LookArguments,
    /// Only findings and the closing line
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Every step of the way, policy versions, address snapshot
    #[arg(short, long, help_heading = "Output")]
    pub(super) verbose: bool,
    /// Show only findings of this severity or worse
    #[arg(
        long,
        value_name = "SEVERITY",
        default_value = "info",
        help_heading = "Gate"
    )]
    pub(super) min_severity: Threshold,
    /// Exit with 1 from this severity on (default: the project's, else error)
    #[arg(
        long,
        value_name = "SEVERITY",
        env = "GATELINT_FAIL_ON",
        help_heading = "Gate"
    )]
    pub(super) fail_on: Option<FailOn>,
    /// What an undecided requirement counts as
    #[arg(
        long,
        value_name = "SEVERITY",
        default_value = "warning",
        env = "GATELINT_UNDECIDED",
        help_heading = "Gate"
    )]
    pub(super) undecided: Threshold,
    /// Do not hold against the run what this baseline knows (default: the project's)
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    pub(super) baseline: Option<PathBuf>,
    /// Write the safe fixes into the files, then judge what remains; standard input is written to standard output
    #[arg(long, help_heading = "Fixes")]
    pub(super) fix: bool,
    /// Print what --fix would change, and write nothing
    #[arg(long, conflicts_with = "fix", help_heading = "Fixes")]
    pub(super) show_fixes: bool,
    /// Also the fixes that need a look: those that reorder lines, or may open more than is asked for
    #[arg(long, help_heading = "Fixes")]
    pub(super) unsafe_fixes: bool,
    /// Exit with 0 where it would be 1
    #[arg(long, help_heading = "Gate")]
    pub(super) exit_zero: bool,
    /// Exit with 0 where nothing was checked
    #[arg(long, help_heading = "Gate")]
    pub(super) allow_nothing: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct LookArguments {
    /// Colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorChoice,
}

#[derive(Debug, Args)]
#[command(after_help = trace_help())]
pub(super) struct TraceArguments {
    /// The config, then the request in words
    #[arg(value_name = "FILE|WORD", required = true)]
    pub(super) words: Vec<String>,
    /// Requests as a JSON list; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) requests: Option<PathBuf>,
    /// Take the file for this kind
    #[arg(long, value_name = "KIND[=PATH]", value_parser = kind_choice)]
    pub(super) kind: Vec<KindChoice>,
    /// Files that the config names are sought below this folder only
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    #[command(flatten)]
    pub(super) facts: FactArguments,
    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"])]
    pub(super) format: String,
}

fn trace_help() -> &'static str {
    "Requests in words (`to` may be written `->` where the shell leaves it alone):
  firewall  [FORWARD] udp 10.0.0.5 to 99.77.130.1:3478 [in eth1] [out eth0] [established]
  proxy     CONNECT signal.chime.aws:443 from 10.0.0.5
  resolver  A signal.chime.aws from 10.0.0.5
  browser   connect wss://signal.chime.aws at https://app.example.com
  any field of a JSON request can be added as name=value (sport=49152)

Exit codes: 0 all allowed, 1 denied or undecided, 2 error"
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing newly fails, 1 something newly fails, 2 error, 3 nothing was compared"
)]
pub(super) struct DiffArguments {
    /// The file or folder before; `-` is standard input
    pub(super) old: PathBuf,
    /// The file or folder after
    pub(super) new: PathBuf,
    /// Take the files for this kind
    #[arg(long, value_name = "KIND[=PATH]", value_parser = kind_choice)]
    pub(super) kind: Vec<KindChoice>,
    /// Files that configs name are sought below this folder only
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// Also walk files that .gitignore names
    #[arg(long)]
    pub(super) no_gitignore: bool,
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    #[command(flatten)]
    pub(super) policy: PolicyArguments,
    #[command(flatten)]
    pub(super) facts: FactArguments,
    /// The clients to judge for: addresses or networks
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        help_heading = "Facts"
    )]
    pub(super) client: Vec<String>,
    /// How the difference is written
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "human",
        value_parser = PossibleValuesParser::new(gatelint::diff::FORMATS.iter().map(|format| format.name)),
        help_heading = "Output"
    )]
    pub(super) format: String,
    #[command(flatten)]
    pub(super) look: LookArguments,
    /// Exit with 1 where a requirement of this severity newly fails
    #[arg(long, value_name = "SEVERITY", help_heading = "Gate")]
    pub(super) fail_on: Option<FailOn>,
}

#[derive(Debug, Args)]
pub(super) struct InputsArguments {
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    #[command(flatten)]
    pub(super) facts: FactArguments,
}

#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    #[command(flatten)]
    pub(super) policy: PolicyArguments,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The rule's name (chime/media, squid/does-not-start)
    pub(super) rule: String,
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    #[command(flatten)]
    pub(super) policy: PolicyArguments,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Policy files, or ones that come with the program
    #[arg(value_name = "FILE|builtin:NAME", default_value = "builtin:chime")]
    pub(super) policy: Vec<String>,
    #[command(flatten)]
    pub(super) networks: NetworksChoice,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) policy: PolicyArguments,
    /// Write the file, with every default
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct BaselineArguments {
    #[command(flatten)]
    pub(super) check: CheckArguments,
    /// Where the baseline is written
    #[arg(long, value_name = "FILE", default_value = "gatelint-baseline.json")]
    pub(super) write: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say everything that is wrong with policies, each fault with its place
    #[command(after_help = "Exit codes: 0 no fault, 1 faults, 2 a policy cannot be read")]
    Check(PolicyCheckArguments),
    /// Write the JSON Schema of policies to standard output
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct PolicyCheckArguments {
    /// Policy files, or ones that come with the program
    #[arg(value_name = "FILE|builtin:NAME", required = true)]
    pub(super) policy: Vec<String>,
    #[command(flatten)]
    pub(super) networks: NetworksChoice,
}

#[derive(Debug, Subcommand)]
pub(super) enum NetworksCommand {
    /// Write the ranges of an ip-ranges.json that lies here to a file for --networks; nothing is downloaded
    Update(NetworksUpdateArguments),
}

#[derive(Debug, Args)]
pub(super) struct NetworksUpdateArguments {
    /// AWS's ip-ranges.json, as it was downloaded
    #[arg(long, value_name = "FILE")]
    pub(super) from: PathBuf,
    /// Where the ranges are written
    #[arg(long, value_name = "FILE", default_value = "aws-networks.yaml")]
    pub(super) write: PathBuf,
    /// A further service to keep, beside those of the snapshot that comes with the program
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) service: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ExceptionsArguments {
    /// Where the project is
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) project: ProjectArguments,
    /// Only those that expire within so many days, or have expired
    #[arg(long, value_name = "DAYS")]
    pub(super) expiring_in: Option<u32>,
}

/// A kind, for all named files or for one.
#[derive(Debug, Clone)]
pub(super) struct KindChoice {
    pub(super) kind: &'static gatelint::Kind,
    pub(super) path: Option<PathBuf>,
}

fn kind_choice(text: &str) -> Result<KindChoice, String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name, Some(PathBuf::from(path))),
        None => (text, None),
    };
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    gatelint::config::kind_called(name)
        .map(|kind| KindChoice { kind, path })
        .ok_or_else(|| {
            let nearest = gatelint::policy::did_you_mean(name, &known);
            format!("no such kind; {nearest}")
        })
}

/// A file to write, and how.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) format: &'static report::Format,
    pub(super) path: PathBuf,
}

fn output(text: &str) -> Result<Output, String> {
    let (name, path) = assignment(text).map_err(|_| "write it as FORMAT=FILE".to_owned())?;
    if path.is_empty() {
        return Err("write it as FORMAT=FILE".to_owned());
    }
    let known: Vec<&str> = report::FORMATS.iter().map(|format| format.name).collect();
    let format = report::format(&name).ok_or_else(|| {
        let nearest = gatelint::policy::did_you_mean(&name, &known);
        format!("no such format; {nearest}")
    })?;
    let path = PathBuf::from(path);
    Ok(Output { format, path })
}

fn assignment(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

/// A severity.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Threshold {
    Info,
    Warning,
    Error,
}

impl Threshold {
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Warning => Severity::Warning,
            Self::Error => Severity::Error,
        }
    }
}

/// From what severity on a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Info,
    Warning,
    Error,
    Never,
}

impl FailOn {
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Info => Some(Severity::Info),
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
            Self::Never => None,
        }
    }
}

/// When to write colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_path_alone_is_a_check() {
        let cli = Cli::try_parse_from(["gatelint", "edge.rules", "--fail-on", "warning"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.check.input.paths, [PathBuf::from("edge.rules")]);
        assert_eq!(cli.check.fail_on, Some(FailOn::Warning));
    }

    #[test]
    fn a_misspelt_kind_is_answered_with_the_nearest() {
        let error = kind_choice("iptabels").unwrap_err();
        assert!(error.contains("did you mean `iptables`"), "{error}");
        assert_eq!(kind_choice("named=a/b").unwrap().kind.name, "bind");
    }
}
