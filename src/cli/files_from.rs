//! In: a list of file names. Out: the same as paths of the command line.
//!
//! What is listed counts as named: a file that is missing or no config is an error, an empty list checks nothing.

use std::ffi::OsString;
use std::path::PathBuf;

use super::arguments::{Cli, Command, InputArguments};
use super::disk;

/// Adds the listed files to the paths of the command that takes a list.
pub(super) fn add(cli: &mut Cli) -> Result<(), String> {
    let input = match &mut cli.command {
        None => &mut cli.check.input,
        Some(Command::Check(arguments)) => &mut arguments.input,
        Some(Command::Baseline(arguments)) => &mut arguments.check.input,
        Some(Command::Inputs(arguments)) => &mut arguments.input,
        Some(Command::Init(arguments)) => &mut arguments.input,
        Some(
            Command::Trace(_)
            | Command::Diff(_)
            | Command::Rules(_)
            | Command::Explain(_)
            | Command::Test(_)
            | Command::Exceptions(_)
            | Command::Policy(_)
            | Command::Networks(_)
            | Command::Completions(_)
            | Command::Man,
        ) => return Ok(()),
    };
    let InputArguments {
        paths,
        files_from: Some(list),
        null,
        ..
    } = input
    else {
        return Ok(());
    };
    let bytes = disk::given(list).map_err(|error| format!("{}: {error}", list.display()))?;
    for name in names(&bytes, *null) {
        let name = path(name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            format!("{}: `{name}` is no file name", list.display())
        })?;
        paths.push(name);
    }
    Ok(())
}

fn names(bytes: &[u8], ends_with_nul: bool) -> impl Iterator<Item = &[u8]> {
    let end = if ends_with_nul { b'\0' } else { b'\n' };
    let names = bytes.split(move |byte| *byte == end);
    let without_return = move |name| {
        let line: Option<&[u8]> = <[u8]>::strip_suffix(name, b"\r");
        line.filter(|_| !ends_with_nul).unwrap_or(name)
    };
    names.map(without_return).filter(|name| !name.is_empty())
}

fn path(name: &[u8]) -> Option<PathBuf> {
    let name = os_string(name)?;
    // In a list `-` is a file's name.
    let is_dash = name == "-";
    let path = PathBuf::from(name);
    Some(if is_dash { PathBuf::from("./-") } else { path })
}

#[cfg(unix)]
fn os_string(name: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    // The system takes no name that holds a NUL.
    (!name.contains(&0)).then(|| OsString::from_vec(name.to_vec()))
}

#[cfg(not(unix))]
fn os_string(name: &[u8]) -> Option<OsString> {
    let name = std::str::from_utf8(name).ok()?;
    (!name.contains('\0')).then(|| OsString::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_a_line_or_with_nul() {
        let listed = |text: &'static str, nul| names(text.as_bytes(), nul).collect::<Vec<_>>();
        assert_eq!(listed("a b\r\n\nc", false), [&b"a b"[..], b"c"]);
        assert_eq!(listed("a\nb\0c\0", true), [&b"a\nb"[..], b"c"]);
        assert_eq!(path(b"-"), Some(PathBuf::from("./-")));
        assert_eq!(path(b"a\0b"), None);
    }
}
