//! What can go wrong with kept sessions; none of it keeps an account from being collected.

use std::path::PathBuf;

use super::seal::Refusal;
use crate::domain::AccountId;
use crate::fault::{Class, Code, Fault, Scope};

/// A vault's fault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The folder, or the file of the key, can't be made.
    #[error("sessions can't be kept at {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A session can't be written.
    #[error("the session of {account} can't be written")]
    Unwritable {
        /// Whose.
        account: AccountId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A session can't be read.
    #[error("the session of {account} can't be read")]
    Unreadable {
        /// Whose.
        account: AccountId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A session can't be opened.
    #[error("the session of {account} can't be opened: {}", refusal.as_str())]
    Refused {
        /// Whose.
        account: AccountId,
        /// Why.
        refusal: Refusal,
    },
}

impl Fault for VaultError {
    fn class(&self) -> Class {
        match self {
            Self::Folder { .. } | Self::Refused { .. } => Class::Permanent,
            Self::Unwritable { .. } | Self::Unreadable { .. } => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Folder { .. } => Scope::Process,
            Self::Unwritable { .. } | Self::Unreadable { .. } | Self::Refused { .. } => Scope::Account,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Folder { .. } => Code::DataDirUnusable,
            Self::Unwritable { .. } => Code::SessionNotSaved,
            Self::Unreadable { .. } | Self::Refused { .. } => Code::SessionUnreadable,
        }
    }
}
