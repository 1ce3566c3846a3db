//! What can go wrong in the store.

use crate::fault::{Class, Code, Fault, Scope};
use crate::sqlite::SqliteError;

/// Why the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file of the embedded store could not be read or written.
    #[error("the embedded store could not use its file")]
    Storage(#[from] SqliteError),
}

impl Fault for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Storage(error) => error.class(),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Storage(error) => error.scope(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Storage(error) => error.code(),
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Storage(error) => error.action(),
        }
    }
}
