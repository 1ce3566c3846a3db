//! Where the socket of a daemon lies, whatever the length of its data directory's path.
//!
//! A socket's path has at most 107 bytes. Where it would be longer the folder is opened and the socket
//! named through the open folder, so that it lies in the data directory all the same and nobody else can
//! put one in its place.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The file's name in the data directory.
const NAME: &str = "control.sock";
/// The longest path that a socket's address holds.
const LONGEST: usize = 107;

/// The place of the control socket; its path is good for as long as this lives.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPlace {
    /// The place in this data directory, which must exist.
    ///
    /// # Errors
    /// The folder can't be opened.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data_dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(NAME);
        Ok(Self { path, _folder: Some(folder) })
    }

    /// The path to listen at, or to connect to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_long_path_is_no_hindrance() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["short".to_owned(), "long".repeat(40)] {
            let folder = parent.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let _listening = UnixListener::bind(SocketPlace::of(&folder).unwrap().path()).unwrap();
            assert!(folder.join(NAME).exists());
            UnixStream::connect(SocketPlace::of(&folder).unwrap().path()).unwrap();
        }
    }
}
