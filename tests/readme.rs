//! In: README.md. Out: every example in it is true: a `console` block that begins with `$ gatelint` shows exactly what
//! the program prints, standard output and, behind it, standard error; its exit code stands in a closing `# exit N`. `GATELINT_BLESS=1` writes
//! the examples anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the README's commands are run as a user runs them"
)]

use std::process::Command;

struct Example {
    line: usize,
    arguments: Vec<String>,
    output: String,
    code: i32,
    written: String,
}

#[test]
fn every_example_of_the_readme_is_true() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let examples = examples(&text);
    assert!(
        examples.len() > 3,
        "the README has {} examples",
        examples.len()
    );
    let mut wrong = Vec::new();
    let mut written = text.clone();
    for example in examples {
        let run = Command::new(env!("CARGO_BIN_EXE_gatelint"))
            .args(&example.arguments)
            .current_dir(root)
            .env_clear()
            .output()
            .unwrap();
        let mut printed = String::from_utf8(run.stdout).unwrap();
        printed.push_str(&String::from_utf8(run.stderr).unwrap());
        let code = run.status.code().unwrap();
        if trimmed(&printed) != trimmed(&example.output) || code != example.code {
            written = written.replacen(&example.block(), &example.shows(&printed, code), 1);
            wrong.push(format!(
                "README.md:{}: `gatelint {}` printed (exit {code}):\n{printed}",
                example.line,
                example.arguments.join(" ")
            ));
        }
    }
    if std::env::var_os("GATELINT_BLESS").is_some() {
        std::fs::write(format!("{root}/README.md"), written).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Example {
    /// The block as it stands.
    fn block(&self) -> String {
        self.written.clone()
    }

    /// The block as it should stand.
    fn shows(&self, printed: &str, code: i32) -> String {
        let exit = if code == 0 {
            String::new()
        } else {
            format!("# exit {code}\n")
        };
        let lines = trimmed(printed).join("\n");
        format!(
            "```console\n$ gatelint {}\n{lines}\n{exit}```",
            self.arguments.join(" ")
        )
    }
}

/// Trailing blanks are no part of an example.
fn trimmed(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    lines.into_iter().take(end).collect()
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let Some(command) = block
            .first()
            .and_then(|first| first.strip_prefix("$ gatelint "))
        else {
            continue;
        };
        let exit = block.last().and_then(|last| last.strip_prefix("# exit "));
        let output = block
            .iter()
            .skip(1)
            .take(block.len() - 1 - usize::from(exit.is_some()));
        examples.push(Example {
            line: number + 1,
            arguments: command.split_whitespace().map(str::to_owned).collect(),
            output: output.fold(String::new(), |text, line| text + line + "\n"),
            code: exit.map_or(0, |code| code.parse().unwrap()),
            written: format!("```console\n{}\n```", block.join("\n")),
        });
    }
    examples
}
