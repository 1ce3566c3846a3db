//! What can go wrong in the store.

use super::mongo::MongoError;
use crate::domain::AccountId;
use crate::fault::{Class, Code, Fault, Scope};
use crate::sqlite::SqliteError;

/// Why the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file of the embedded store could not be read or written.
    #[error("the embedded store could not use its file")]
    Storage(#[from] SqliteError),
    /// MongoDB could not be used.
    #[error("the store could not use MongoDB")]
    Mongo(#[from] MongoError),
    /// A write under a lease that another process has taken over.
    #[error("{account} is held by another process by now; a late write was refused")]
    LeaseLost {
        /// Whose lease.
        account: AccountId,
    },
}

impl Fault for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Storage(error) => error.class(),
            Self::Mongo(error) => error.class(),
            Self::LeaseLost { .. } => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Storage(error) => error.scope(),
            Self::Mongo(error) => error.scope(),
            Self::LeaseLost { .. } => Scope::Account,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Storage(error) => error.code(),
            Self::Mongo(error) => error.code(),
            Self::LeaseLost { .. } => Code::LeaseLost,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Storage(error) => error.action(),
            Self::Mongo(error) => error.action(),
            Self::LeaseLost { .. } => self.code().action().to_owned(),
        }
    }
}
