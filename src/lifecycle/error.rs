//! What can go wrong with starting and stopping: nothing that an event could be blamed for.

use std::path::PathBuf;

use crate::fault::{Class, Code, Fault, Scope};

/// Why the process can't begin its life.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// A test variable names a point that does not exist, or no count.
    #[error("{variable}={value}: {problem}")]
    CrashPoint {
        /// `CHATFERRY_CRASH_AT` or `CHATFERRY_KILL_BROWSER_AT`.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// SIGTERM and SIGINT can't be listened to.
    #[error("signals can't be listened to")]
    Signals(#[source] std::io::Error),
    /// The data directory can't be made, entered or written.
    #[error("the data directory {} can't be used", path.display())]
    DataDir {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// So little is free that nothing more may be collected.
    #[error("the disk of the data directory {} is full: {free} bytes are free, {floor} must be", path.display())]
    DiskFull {
        /// Which one.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        floor: u64,
    },
    /// There is no database yet where one is to be read.
    #[error("nothing has been collected into the data directory {} yet", path.display())]
    NothingThere {
        /// Which one.
        path: PathBuf,
    },
    /// Another process holds the data directory.
    #[error("another chatferry holds the data directory {}", path.display())]
    DataDirLocked {
        /// Which one.
        path: PathBuf,
    },
}

impl Fault for LifecycleError {
    fn class(&self) -> Class {
        match self {
            Self::DataDir { source, .. } if is_full(source) => Class::RETRY,
            Self::CrashPoint { .. } | Self::Signals(_) | Self::DataDir { .. } | Self::NothingThere { .. } => {
                Class::Permanent
            }
            Self::DataDirLocked { .. } | Self::DiskFull { .. } => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::CrashPoint { .. }
            | Self::Signals(_)
            | Self::DataDir { .. }
            | Self::NothingThere { .. }
            | Self::DiskFull { .. }
            | Self::DataDirLocked { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::CrashPoint { .. } => Code::ConfigInvalid,
            Self::Signals(_) => Code::Internal,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::DataDir { source, .. } if is_full(source) => Code::DiskFull,
            Self::DataDir { .. } | Self::NothingThere { .. } => Code::DataDirUnusable,
            Self::DataDirLocked { .. } => Code::DataDirLocked,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::NothingThere { .. } => {
                "Collect something first, or name the right directory with --data-dir.".to_owned()
            }
            Self::CrashPoint { .. }
            | Self::Signals(_)
            | Self::DataDir { .. }
            | Self::DiskFull { .. }
            | Self::DataDirLocked { .. } => self.code().action().to_owned(),
        }
    }
}

/// True if it is for want of space or quota.
fn is_full(source: &std::io::Error) -> bool {
    matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_broken_data_directory_and_passes() {
        let fault = |kind: std::io::ErrorKind| {
            let fault = LifecycleError::DataDir { path: "x".into(), source: kind.into() };
            (fault.code(), fault.class())
        };
        assert_eq!(fault(std::io::ErrorKind::StorageFull), (Code::DiskFull, Class::RETRY));
        assert_eq!(fault(std::io::ErrorKind::PermissionDenied), (Code::DataDirUnusable, Class::Permanent));
        let short = LifecycleError::DiskFull { path: "x".into(), free: 1, floor: 2 };
        assert_eq!((short.code(), short.class()), (Code::DiskFull, Class::RETRY));
    }
}
