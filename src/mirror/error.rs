//! Why the mirror could not be written. No variant holds a cell: the causes are the system's own
//! messages about files, never the writer library's messages about content.

use std::io;
use std::path::PathBuf;

use crate::fault::{Class, Code, Fault, Scope};

/// A write of the mirror that did not happen: the files are as they were before.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The folder is not there, or something else has its name.
    #[error("the mirror's folder {} does not exist", folder.display())]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk or the quota is full.
    #[error("no space to write {}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// Another failure to write, sync or rename.
    #[error("can't {step} {}", path.display())]
    File {
        /// What was tried: `create`, `write`, `sync`, `rename`.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// More rows than a worksheet can hold.
    #[error("{rows} conversations do not fit into one worksheet (at most {limit})")]
    TooManyRows {
        /// Conversations in the projection.
        rows: usize,
        /// What a worksheet holds.
        limit: usize,
    },
    /// The cells could not be put into a file format: a defect of ours.
    #[error("can't build the {format} file ({cause})")]
    Format {
        /// `xlsx` or `csv`.
        format: &'static str,
        /// The kind of failure, from a closed list; never the library's own sentence, which may
        /// quote a cell.
        cause: &'static str,
    },
    /// The process is being stopped, or the writer panicked.
    #[error("the writing was interrupted")]
    Interrupted,
}

impl MirrorError {
    /// Sorts a failure of the file system.
    pub(super) fn file(step: &'static str, path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            _ => Self::File { step, path, source },
        }
    }
}

impl Fault for MirrorError {
    fn class(&self) -> Class {
        match self {
            Self::DiskFull { .. } | Self::File { .. } | Self::Interrupted => Class::RETRY,
            Self::FolderMissing { .. } | Self::TooManyRows { .. } | Self::Format { .. } => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::FolderMissing { .. }
            | Self::DiskFull { .. }
            | Self::File { .. }
            | Self::TooManyRows { .. }
            | Self::Format { .. }
            | Self::Interrupted => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::DiskFull { .. } => Code::DiskFull,
            Self::FolderMissing { .. } | Self::File { .. } | Self::TooManyRows { .. } | Self::Interrupted => {
                Code::MirrorFailed
            }
            Self::Format { .. } => Code::Internal,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::FolderMissing { folder } => {
                format!(
                    "Create the folder {} for the daemon's user, or choose another with --data-dir.",
                    folder.display()
                )
            }
            Self::TooManyRows { .. } => {
                "Use Google Sheets or the store itself: a workbook has no room for more.".to_owned()
            }
            Self::DiskFull { .. } | Self::File { .. } | Self::Format { .. } | Self::Interrupted => {
                self.code().action().to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_and_waits() {
        let full = MirrorError::file("write", "x".into(), io::ErrorKind::StorageFull.into());
        assert_eq!((full.code(), full.class()), (Code::DiskFull, Class::RETRY));
        let denied = MirrorError::file("create", "x".into(), io::ErrorKind::PermissionDenied.into());
        assert_eq!((denied.code(), denied.class()), (Code::MirrorFailed, Class::RETRY));
        let missing = MirrorError::FolderMissing { folder: "x".into() };
        assert_eq!((missing.code(), missing.class()), (Code::MirrorFailed, Class::Permanent));
    }
}
