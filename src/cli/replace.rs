//! In: a file's path, what it held when it was read, what it shall hold. Out: the file with the new text, or the reason
//! why it was left alone.
//!
//! The text goes to a new file beside the old one, which then takes its name: whoever reads it meanwhile sees the one text
//! or the other, never a part. Permissions and owner are kept. A file is left alone where it is a link, lies outside the
//! root, may not be written, says that nobody should edit it, or is not any more what was judged.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::disk;

/// Where a file says that a program writes it, it does so near its head.
const HEAD: usize = 2048;
const GENERATED: [&[u8]; 3] = [b"do not edit", b"do not modify", b"do not change this file"];

/// Why a file was left alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Left {
    #[error("it is a link")]
    Link,
    #[error("it has no place on disk")]
    NoPlace,
    #[error("it is no regular file")]
    NotRegular,
    #[error("it lies outside the root; choose another with --root")]
    Outside,
    #[error("it is read-only")]
    ReadOnly,
    #[error("it says that it is generated and not to be edited")]
    Generated,
    #[error("it was changed meanwhile")]
    Changed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Whether a file with this text may be written at all.
pub(super) fn allows(path: &Path, root: &Path, text: &[u8]) -> Result<(), Left> {
    let about = std::fs::symlink_metadata(path)?;
    if about.is_symlink() {
        return Err(Left::Link);
    }
    if !about.is_file() {
        return Err(Left::NotRegular);
    }
    if !path.canonicalize()?.starts_with(root.canonicalize()?) {
        return Err(Left::Outside);
    }
    if about.permissions().readonly() {
        return Err(Left::ReadOnly);
    }
    let head = text.get(..HEAD.min(text.len())).unwrap_or_default();
    let head = head.to_ascii_lowercase();
    let says = |words: &&[u8]| memchr::memmem::find(&head, words).is_some();
    if GENERATED.iter().any(says) {
        return Err(Left::Generated);
    }
    Ok(())
}

/// Writes the new text, unless the file does not hold the old one any more.
pub(super) fn replace(path: &Path, root: &Path, old: &[u8], new: &[u8]) -> Result<(), Left> {
    allows(path, root, old)?;
    let (beside, mut file) = create_beside(path)?;
    let written = fill(&mut file, path, new).map_err(Left::from);
    drop(file);
    let done = written.and_then(|()| {
        if disk::contents(path)? != old {
            return Err(Left::Changed);
        }
        Ok(std::fs::rename(&beside, path)?)
    });
    if done.is_err() {
        // What cannot be removed either is an empty or partial file with a name of its own.
        let _ = std::fs::remove_file(&beside);
    }
    done
}

/// A new file in the same folder that no walk takes for a config.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = std::process::id();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let beside = path.with_file_name(format!(".{name}.gatelint-{own}~"));
    let file = options.open(&beside)?;
    Ok((beside, file))
}

/// The text, then the owner and the permissions of the file that it is for.
fn fill(file: &mut File, path: &Path, text: &[u8]) -> std::io::Result<()> {
    let about = std::fs::metadata(path)?;
    file.write_all(text)?;
    keep_owner(file, &about)?;
    file.set_permissions(about.permissions())?;
    file.sync_all()
}

/// Nobody else reads the file before it has its permissions.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[cfg(unix)]
fn keep_owner(file: &File, about: &std::fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (about.uid(), about.gid()) {
        return Ok(());
    }
    fchown(file, Some(about.uid()), Some(about.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &std::fs::Metadata) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_meanwhile_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("gatelint-replace-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.conf");
        std::fs::write(&path, "written by someone else").unwrap();
        let done = replace(&path, &folder, b"old", b"new");
        assert!(matches!(done, Err(Left::Changed)), "{done:?}");
        let now = disk::contents(&path).unwrap();
        assert_eq!(now, b"written by someone else");
        let done = replace(&path, &folder, &now, b"new");
        assert!(done.is_ok(), "{done:?}");
        assert_eq!(disk::contents(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
