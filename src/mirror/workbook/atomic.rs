//! Replacing a file as a whole: a reader sees the old one or the new one, through kill -9 and power
//! loss at any moment.
//!
//! The temporary file has a fixed name in the same folder (a rename must not cross file systems), so
//! that what a kill left behind is found and removed by the next write, without guessing which files
//! are ours. That one process at a time writes the folder is seen to by the data directory's lock.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::mirror::error::MirrorError;

/// Makes `path` hold `bytes`, durably, readable by the owner only.
///
/// # Errors
/// [`MirrorError::DiskFull`] or [`MirrorError::File`]: the old file is untouched.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), MirrorError> {
    let part = part_of(path);
    remove_left_over(&part)?;
    // `create_new` never follows a link that somebody planted under the temporary name.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let file = file.map_err(|error| MirrorError::file("create", part.clone(), error))?;
    fill(file, bytes, &part)
        .and_then(|()| fs::rename(&part, path).map_err(|error| MirrorError::file("rename to", path.to_owned(), error)))
        .inspect_err(|_| {
            // The first failure is the one to report; what stays is removed by the next write.
            let _ = fs::remove_file(&part);
        })?;
    sync_folder(path)
}

fn fill(mut file: File, bytes: &[u8], part: &Path) -> Result<(), MirrorError> {
    file.write_all(bytes).map_err(|error| MirrorError::file("write", part.to_owned(), error))?;
    file.sync_all().map_err(|error| MirrorError::file("sync", part.to_owned(), error))
}

/// Without this a power loss may forget the rename, though not the bytes.
fn sync_folder(path: &Path) -> Result<(), MirrorError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| MirrorError::file("sync", folder.to_owned(), error))
}

fn remove_left_over(part: &Path) -> Result<(), MirrorError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(MirrorError::file("remove", part.to_owned(), error)),
        _ => Ok(()),
    }
}

/// `.summaries.xlsx.part`: hidden, beside its target.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_file_is_whole_private_and_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "old, and readable by all").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_kill_left_behind_is_cleared_and_a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a.csv"), dir.path().join("other"));
        fs::write(part_of(&path), "half").unwrap();
        replace(&path, b"one").unwrap();
        fs::write(&other, "untouched").unwrap();
        symlink(&other, part_of(&path)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read(&other).unwrap(), b"untouched");
        assert!(!part_of(&path).exists());
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        // A folder under the target's name makes the last step, the rename, fail.
        fs::create_dir(&path).unwrap();
        fs::write(path.join("kept"), "x").unwrap();
        assert!(replace(&path, b"new").is_err());
        assert!(path.join("kept").exists());
        assert!(!part_of(&path).exists());
    }
}
