//! What can go wrong with a database file, classified once, at the wall where rusqlite's error comes in.
//!
//! rusqlite's own message may quote a value that could not be converted, and a value may be chat text:
//! only the parts that are known to hold none are kept ([`Cause`]).

use std::fmt;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

use crate::fault::{Class, Code, Fault, Scope};

/// What SQLite or the operating system said, without any bound or stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

impl From<&rusqlite::Error> for Cause {
    fn from(error: &rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        Self(match error {
            // The message of a constraint names table and column; other messages may quote an argument.
            E::SqliteFailure(failure, message) => match message {
                Some(message) if failure.code == ErrorCode::ConstraintViolation => message.clone(),
                _ => ffi::code_to_str(failure.extended_code).to_owned(),
            },
            E::SqlInputError { msg, offset, .. } => format!("{msg} (at byte {offset} of the statement)"),
            E::FromSqlConversionFailure(column, kind, _) => format!("column {column} holds {kind} that is not ours"),
            E::IntegralValueOutOfRange(column, _) => format!("the number in column {column} is out of range"),
            E::InvalidColumnType(column, name, kind) => format!("column {column} ({name}) holds {kind}"),
            E::QueryReturnedNoRows => "a row that must exist does not".to_owned(),
            E::InvalidParameterCount(given, wanted) => format!("{given} parameters instead of {wanted}"),
            _ => "rusqlite refused the call".to_owned(),
        })
    }
}

impl From<&std::io::Error> for Cause {
    fn from(error: &std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Why a database file could not be opened, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqliteError {
    /// The file failed its check at the start; it was set aside under another name, unchanged.
    #[error("the database {} is damaged; it was kept as {}", path.display(), kept.display())]
    Damaged {
        /// Where it was.
        path: PathBuf,
        /// Where it is now.
        kept: PathBuf,
        /// What the check said.
        #[source]
        cause: Cause,
    },
    /// A damaged page was met while running; the next start checks the whole file.
    #[error("the database is damaged")]
    Corrupt(#[source] Cause),
    /// No room, on the disk or under the page limit.
    #[error("the disk is full")]
    Full(#[source] Cause),
    /// The file can't be created, opened or written.
    #[error("the database {} can't be opened for writing", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: Cause,
    },
    /// An open file can no longer be written.
    #[error("the database has become read-only")]
    ReadOnly(#[source] Cause),
    /// The operating system failed to read or write.
    #[error("the database file could not be read or written")]
    Io(#[source] Cause),
    /// Another connection holds the lock for longer than we wait.
    #[error("the database is locked by another program")]
    Busy,
    /// A later version of chatferry has written to this file.
    #[error("the database {} was written by a newer chatferry ({component} has schema version {found}, this one knows {known})", path.display())]
    NewerSchema {
        /// Which file.
        path: PathBuf,
        /// Whose tables.
        component: String,
        /// The version in the file.
        found: u32,
        /// The newest version that we know.
        known: u32,
    },
    /// A stored value is none of ours.
    #[error("the database holds a {0} that can't be read")]
    Unreadable(&'static str),
    /// The database was closed before.
    #[error("the database is closed")]
    Closed,
    /// The closure that was to run panicked; what it wrote was rolled back.
    #[error("a piece of work on the database panicked")]
    Panicked,
    /// Everything else: a defect of ours.
    #[error("a database statement failed")]
    Failed(#[source] Cause),
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        let cause = Cause::from(&error);
        let Some(failure) = error.sqlite_error() else { return Self::Failed(cause) };
        match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(cause),
            ErrorCode::DiskFull => Self::Full(cause),
            // What a full disk gives when it is the -shm file that can't grow.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::Full(cause),
            ErrorCode::SystemIoFailure => Self::Io(cause),
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::ReadOnly(cause),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            _ => Self::Failed(cause),
        }
    }
}

impl Fault for SqliteError {
    fn class(&self) -> Class {
        match self {
            Self::Damaged { .. } | Self::Corrupt(_) => Class::Critical,
            Self::Full(_) | Self::Io(_) | Self::Busy | Self::Closed => Class::RETRY,
            Self::Unusable { .. } | Self::ReadOnly(_) | Self::NewerSchema { .. } => Class::Permanent,
            Self::Unreadable(_) | Self::Panicked | Self::Failed(_) => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Damaged { .. } | Self::Corrupt(_) | Self::Full(_) | Self::Unusable { .. } => Scope::Process,
            Self::ReadOnly(_) | Self::Io(_) | Self::NewerSchema { .. } | Self::Closed => Scope::Process,
            Self::Busy | Self::Unreadable(_) | Self::Panicked | Self::Failed(_) => Scope::Event,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Damaged { .. } | Self::Corrupt(_) => Code::DataCorrupt,
            Self::Full(_) => Code::DiskFull,
            Self::Unusable { .. } | Self::ReadOnly(_) | Self::Io(_) => Code::DataDirUnusable,
            Self::NewerSchema { .. } | Self::Busy | Self::Unreadable(_) | Self::Failed(_) => Code::DatabaseFailed,
            Self::Closed => Code::Stopped,
            Self::Panicked => Code::Internal,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Damaged { path, kept, .. } => format!(
                "Put a backup in place as {}; or move {} elsewhere to begin with an empty database.",
                path.display(),
                kept.display()
            ),
            Self::NewerSchema { path, .. } => {
                format!("Run the newer chatferry again, or restore {} from a backup made before it.", path.display())
            }
            Self::Busy => "Close the other program that has the database file open.".to_owned(),
            _ => self.code().action().to_owned(),
        }
    }
}
