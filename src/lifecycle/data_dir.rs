//! The data directory: made private, tried, and held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::LifecycleError;

/// The file whose lock says who owns the directory. The kernel drops the lock with its process.
pub const LOCK: &str = "lock";

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (0700) if need be, writes to it to see that it can, and takes its lock.
    ///
    /// # Errors
    /// `data-dir-unusable` names the directory and the reason; `data-dir-locked` if another process
    /// holds it.
    pub fn open(path: &Path) -> Result<Self, LifecycleError> {
        let unusable = |source| LifecycleError::DataDir { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let path = fs::canonicalize(path).map_err(unusable)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(unusable)?;
        check_writable(&path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(LifecycleError::DataDirLocked { path }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// True if a process holds this directory now.
    pub fn is_held(path: &Path) -> bool {
        // Only asked about: to try the lock would keep a daemon out that starts at this very moment.
        let Ok(file) = fs::metadata(path.join(LOCK)) else { return false };
        let inode = format!(":{}", file.ino());
        let is_ours = |line: &str| line.contains("FLOCK") && line.split(' ').any(|part| part.ends_with(&inode));
        fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.lines().any(is_ours))
    }

    /// A name for whoever works in this directory, the same after every restart: host and a number drawn
    /// once. Kept in the file `identity`.
    ///
    /// # Errors
    /// `data-dir-unusable`.
    pub fn identity(&self) -> Result<String, LifecycleError> {
        let path = self.path.join("identity");
        let unusable = |source| LifecycleError::DataDir { path: self.path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            Ok(_) | Err(_) => {}
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
        let name = format!("{host}-{:016x}", fastrand::u64(..));
        // Whole or not at all: half a name would be another one's.
        let drawn = self.path.join(".identity.new");
        fs::write(&drawn, &name).and_then(|()| fs::rename(&drawn, &path)).map_err(unusable)?;
        Ok(name)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a byte to the directory and takes it back.
///
/// # Errors
/// Those of the file system.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let probe = path.join(format!(".writable-{}", std::process::id()));
    let written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&probe)
        .and_then(|mut file| file.write_all(b"1"));
    let removed = fs::remove_file(&probe);
    written.and(removed)
}

/// What the database files of a data directory take, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    /// Those that are there, each with its journal.
    pub sizes: Vec<(&'static str, u64)>,
}

impl Databases {
    /// Looks at these files in `path`, each a name and the file's.
    ///
    /// # Errors
    /// The folder is not there.
    pub fn of(path: &Path, files: &[(&'static str, &str)]) -> io::Result<Self> {
        fs::metadata(path)?;
        let size = |file: String| fs::metadata(path.join(file)).map(|file| file.len());
        let taken = |(name, file): &(&'static str, &str)| {
            let journal = size(format!("{file}-wal")).unwrap_or_default();
            // One that is not there belongs to a server instead.
            Some((*name, size((*file).to_owned()).ok()? + journal))
        };
        Ok(Self { sizes: files.iter().filter_map(taken).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Code, Fault};

    #[test]
    fn one_process_at_a_time_and_nobody_else_may_look() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(DataDir::open(&path).unwrap_err().code(), Code::DataDirLocked);
        assert!(DataDir::is_held(&path));
        drop(first);
        assert!(!DataDir::is_held(&path) && !DataDir::is_held(parent.path()));
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn who_works_here_keeps_the_name() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(&parent.path().join("a")).unwrap();
        let name = first.identity().unwrap();
        drop(first);
        assert_eq!(DataDir::open(&parent.path().join("a")).unwrap().identity().unwrap(), name);
        assert_ne!(DataDir::open(&parent.path().join("b")).unwrap().identity().unwrap(), name);
    }

    #[test]
    fn the_room_is_that_of_the_disk_and_of_the_files_that_are_there() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("a.db"), [0; 100]).unwrap();
        fs::write(parent.path().join("a.db-wal"), [0; 11]).unwrap();
        let room = Databases::of(parent.path(), &[("a", "a.db"), ("b", "b.db")]).unwrap();
        assert_eq!(room.sizes, [("a", 111)]);
        assert!(Databases::of(&parent.path().join("no"), &[]).is_err());
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert_eq!(error.code(), Code::DataDirUnusable);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
