//! What can go wrong with telemetry: only its own beginning. A log line that can't be written is
//! dropped, because a full disk behind stderr must not stop the collecting.

use crate::fault::{Class, Code, Fault, Scope};

/// Telemetry could not be turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// Logs are on already: `init` was called twice in one process.
    #[error("logs are on already")]
    AlreadyOn,
}

impl Fault for TelemetryError {
    fn class(&self) -> Class {
        match self {
            Self::AlreadyOn => Class::Permanent,
        }
    }
    fn scope(&self) -> Scope {
        match self {
            Self::AlreadyOn => Scope::Process,
        }
    }
    fn code(&self) -> Code {
        match self {
            Self::AlreadyOn => Code::Internal,
        }
    }
}
