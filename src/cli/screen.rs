//! In: finished text. Out: standard output and standard error, and whether colours belong there.

use std::io::{ErrorKind, IsTerminal, Write};

use gatelint::report::visible;

use super::arguments::ColorChoice;

/// Whether to write colours: flag, then `NO_COLOR`, then `FORCE_COLOR` and `CLICOLOR_FORCE`, then the terminal
/// (no-color.org, force-color.org, bixense.com/clicolors).
pub(super) fn wants_color(choice: ColorChoice) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let forces = |name: &str| is_set(name) && std::env::var_os(name).is_some_and(|v| v != "0");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            if is_set("NO_COLOR") {
                false
            } else {
                forces("FORCE_COLOR") || forces("CLICOLOR_FORCE") || std::io::stdout().is_terminal()
            }
        }
    }
}

/// Writes what was asked for. A reader that closes early (`| head`) is no error.
pub(super) fn write(text: &str) -> std::io::Result<()> {
    write_bytes(text.as_bytes())
}

/// The same for bytes that are passed on as they are.
pub(super) fn write_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes what was asked for where standard output holds something else.
pub(super) fn write_beside(text: &str) -> std::io::Result<()> {
    std::io::stderr().lock().write_all(text.as_bytes())
}

/// Says something beside the findings. Where even that cannot be written, nobody is there to hear it.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", visible(text));
}
