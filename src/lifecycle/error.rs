//! What can go wrong with starting and stopping: nothing that an event could be blamed for.

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
}

impl Fault for LifecycleError {
    fn class(&self) -> Class {
        match self {
            Self::CrashPoint { .. } | Self::Signals(_) => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::CrashPoint { .. } | Self::Signals(_) => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::CrashPoint { .. } => Code::ConfigInvalid,
            Self::Signals(_) => Code::Internal,
        }
    }
}
