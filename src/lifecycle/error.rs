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
            Self::CrashPoint { .. } | Self::Signals(_) | Self::DataDir { .. } | Self::NothingThere { .. } => {
                Class::Permanent
            }
            Self::DataDirLocked { .. } => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::CrashPoint { .. }
            | Self::Signals(_)
            | Self::DataDir { .. }
            | Self::NothingThere { .. }
            | Self::DataDirLocked { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::CrashPoint { .. } => Code::ConfigInvalid,
            Self::Signals(_) => Code::Internal,
            Self::DataDir { .. } | Self::NothingThere { .. } => Code::DataDirUnusable,
            Self::DataDirLocked { .. } => Code::DataDirLocked,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::NothingThere { .. } => {
                "Collect something first, or name the right directory with --data-dir.".to_owned()
            }
            Self::CrashPoint { .. } | Self::Signals(_) | Self::DataDir { .. } | Self::DataDirLocked { .. } => {
                self.code().action().to_owned()
            }
        }
    }
}
