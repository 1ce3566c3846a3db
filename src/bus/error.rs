//! What can go wrong on the bus.

use crate::domain::EventType;
use crate::fault::{Class, Code, Fault, Scope};
use crate::sqlite::SqliteError;

/// Why the bus refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// No queue is bound to this type; the event stays with the publisher.
    #[error("no queue wants events of type {0}")]
    Unroutable(EventType),
    /// The file of the embedded bus could not be read or written.
    #[error("the embedded bus could not use its file")]
    Storage(#[from] SqliteError),
}

impl Fault for BusError {
    fn class(&self) -> Class {
        match self {
            // Permanent would make a dead letter of what a restored binding delivers.
            Self::Unroutable(_) => Class::RETRY,
            Self::Storage(error) => error.class(),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Unroutable(_) => Scope::Event,
            Self::Storage(error) => error.scope(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Unroutable(_) => Code::Unroutable,
            Self::Storage(error) => error.code(),
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Unroutable(_) => self.code().action().to_owned(),
            Self::Storage(error) => error.action(),
        }
    }
}
