//! In: one config and requests. Out: what the real program would do with each, step by step.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gatelint::config::Reading;
use gatelint::report::{Secrets, visible};
use gatelint::trace::{Answer, AnswerStep, Certainty, Request, answer, in_words};
use gatelint::{Context, Sources, Target};

use super::Exit;
use super::arguments::{InputArguments, TraceArguments};
use super::disk::{self, Disk};
use super::{check, screen, walk};

/// `->` is a word of requests, but the argument parser would take it for a flag.
pub(super) fn arrow_as_word(argument: OsString) -> OsString {
    if argument == "->" {
        OsString::from("to")
    } else {
        argument
    }
}

/// Answers every request.
pub(super) fn run(arguments: &TraceArguments) -> Exit {
    match traced(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            screen::say(&format!("error: {error}"));
            Exit::Unusable
        }
    }
}

fn traced(arguments: &TraceArguments) -> Result<Exit, String> {
    let sources = Sources::new();
    let disk = Disk::new(&sources, arguments.root.as_deref())
        .map_err(|error| format!("--root: {error}"))?;
    let (files, words) = files_and_words(arguments);
    let input = InputArguments {
        paths: files,
        kind: arguments.kind.clone(),
        stdin_filename: None,
        files_from: None,
        null: false,
        root: None,
        no_gitignore: false,
    };
    let found = walk::find(&input, &[], &sources, &disk);
    let Some(first) = found.configs.first() else {
        return Err(found.errors.into_iter().next().map_or_else(
            || "no config was found".to_owned(),
            |error| error.to_string(),
        ));
    };
    let layer = first.kind.layer;
    let requests = match &arguments.requests {
        Some(path) => Request::list(layer, &text_of(path)?).map_err(|error| error.to_string())?,
        None => vec![
            in_words(layer, &words).map_err(|error| with_shell_hint(&error.to_string(), &words))?,
        ],
    };
    let files = found.files(&sources);
    let targets = found.targets(&files);
    let answers = answers(arguments, &sources, &disk, &targets, &requests);
    let secrets = Secrets::of(&sources);
    let mut answers = answers.map_err(|error| secrets.without(&error))?;
    for answer in &mut answers {
        make_showable(answer, &secrets);
    }
    let text = if arguments.format == "json" {
        serde_json::to_string_pretty(&answers).map_err(|error| error.to_string())? + "\n"
    } else {
        answers.iter().map(human).collect()
    };
    screen::write(&text).map_err(|error| error.to_string())?;
    let all_allowed = answers
        .iter()
        .all(|answer| answer.verdict == Certainty::Allowed);
    Ok(if all_allowed {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

/// Takes out of an answer what a config may hold and nobody should be shown: secrets, and what a terminal would obey.
fn make_showable(answer: &mut Answer, secrets: &Secrets) {
    let show = |text: &mut String| *text = visible(&secrets.without(text)).into_owned();
    answer.gate.iter_mut().for_each(show);
    answer
        .steps
        .iter_mut()
        .for_each(|step| show(&mut step.text));
    for reason in &mut answer.reasons {
        show(&mut reason.text);
        reason.path.iter_mut().for_each(show);
    }
}

/// The config is read again where a request changes what is known while reading (the page's origin).
fn answers(
    arguments: &TraceArguments,
    sources: &Sources,
    disk: &Disk<'_>,
    targets: &[Target<'_>],
    requests: &[Request],
) -> Result<Vec<Answer>, String> {
    let mut last: Option<(gatelint::Facts, Reading)> = None;
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let mut facts = check::facts(&arguments.facts);
        for (name, value) in request.facts() {
            facts.set(name, value);
        }
        let reading = match last.take() {
            Some((known, reading)) if known == facts => reading,
            Some(_) | None => {
                let context = Context {
                    sources,
                    files: disk,
                    facts: &facts,
                    clients: None,
                    fixes: false,
                };
                gatelint::main_reading(targets, &context).map_err(|error| error.to_string())?
            }
        };
        answers.push(answer(sources, &reading.gates, request));
        last = Some((facts, reading));
    }
    Ok(answers)
}

/// The first word is a file; so are those behind it that exist. With `--requests` all of them are.
fn files_and_words(arguments: &TraceArguments) -> (Vec<PathBuf>, Vec<String>) {
    let is_file = |at: usize, word: &str| {
        at == 0 || arguments.requests.is_some() || Path::new(word).is_file()
    };
    let count = arguments
        .words
        .iter()
        .enumerate()
        .take_while(|(at, word)| is_file(*at, word))
        .count();
    let (files, words) = arguments.words.split_at(count);
    (files.iter().map(PathBuf::from).collect(), words.to_vec())
}

/// An unquoted `->` never arrives: the shell reads `>` as a redirection and leaves `-`.
fn with_shell_hint(error: &str, words: &[String]) -> String {
    if words.iter().any(|word| word == "-") {
        format!("{error} (the shell took `>` for itself: write `to`, or quote the request)")
    } else {
        error.to_owned()
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let bytes = disk::given(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{}: no UTF-8", path.display()))
}

/// The answer, the way, the reasons.
fn human(answer: &Answer) -> String {
    let verdict = match answer.verdict {
        Certainty::Allowed => "allowed",
        Certainty::Denied => "denied",
        Certainty::Undecided => "undecided",
    };
    let mut lines = Vec::new();
    let gate = answer.gate.as_deref().unwrap_or("no gate");
    let effect = answer
        .effect
        .map_or(String::new(), |word| format!(" ({word})"));
    let line = answer
        .line
        .map_or(String::new(), |line| format!(", line {line}"));
    lines.push(format!("{gate}: {verdict}{effect}{line}"));
    let goes_on = |last: &AnswerStep, next: &AnswerStep| {
        last.text == "no" && next.text == "no" && last.line < next.line
    };
    for run in answer.steps.chunk_by(goes_on) {
        match run {
            [first, _, .., last] => lines.push(format!(
                "  lines {}-{}: no",
                first.line.unwrap_or_default(),
                last.line.unwrap_or_default()
            )),
            few => lines.extend(few.iter().map(|step| {
                let place = step
                    .line
                    .map_or("  ".to_owned(), |line| format!("  line {line}: "));
                format!("{place}{}", step.text)
            })),
        }
    }
    if let Some(end) = &answer.arrives {
        let shown = |address: Option<std::net::IpAddr>, port: Option<u16>| {
            let address = address.map_or("unknown".to_owned(), |address| address.to_string());
            port.map_or(address.clone(), |port| format!("{address}:{port}"))
        };
        lines.push(format!(
            "  leaves as {} to {}",
            shown(end.src, end.sport),
            shown(end.dst, end.dport)
        ));
    }
    for reason in &answer.reasons {
        let place = match (&reason.path, reason.line) {
            (Some(path), Some(line)) => format!(" ({path}:{line})"),
            (Some(_) | None, _) => String::new(),
        };
        lines.push(format!("  {}{place}", reason.text));
    }
    visible(&lines.join("\n")).into_owned() + "\n"
}
