//! Why a conversation was not analysed. No variant holds chat text.

use crate::fault::{Class, Code, Fault, Scope};

/// An analysis that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    /// The analyst panicked over this conversation: it would again.
    #[error("the built-in analyst failed on this conversation")]
    Panicked,
    /// The process is being stopped.
    #[error("the analysis was interrupted")]
    Interrupted,
}

impl Fault for AiError {
    fn class(&self) -> Class {
        match self {
            Self::Panicked => Class::Permanent,
            Self::Interrupted => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Panicked | Self::Interrupted => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Panicked => Code::Internal,
            Self::Interrupted => Code::Stopped,
        }
    }
}
