//! What can go wrong with telemetry: only its own beginning. A log line that can't be written is
//! dropped, because a full disk behind stderr must not stop the collecting.

use std::path::PathBuf;

use crate::fault::{Class, Code, Fault, Scope};

/// Telemetry could not be turned on.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Logs are on already: `init` was called twice in one process.
    #[error("logs are on already")]
    AlreadyOn,
    /// Log files can't be kept there.
    #[error("no log file can be kept in {}", path.display())]
    Folder {
        /// The folder of LOG_DIR.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Fault for TelemetryError {
    fn class(&self) -> Class {
        match self {
            Self::AlreadyOn | Self::Folder { .. } => Class::Permanent,
        }
    }
    fn scope(&self) -> Scope {
        match self {
            Self::AlreadyOn | Self::Folder { .. } => Scope::Process,
        }
    }
    fn code(&self) -> Code {
        match self {
            Self::AlreadyOn => Code::Internal,
            Self::Folder { .. } => Code::LogDirUnusable,
        }
    }
}
