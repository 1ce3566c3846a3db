//! Why the sheet could not be read or written. No variant holds a cell, a header that somebody else wrote, a token or
//! a piece of an answer: Google's error bodies quote what was sent, which is what people wrote to each other.

use std::time::Duration;

use super::layout::Misfit;
use crate::fault::{Class, Code, Fault, Scope};

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Asking for a token.
    Token,
    /// Reading which tabs there are.
    Tabs,
    /// Reading cells.
    Read,
    /// Writing cells.
    Write,
    /// Making tabs, formats or rows.
    Change,
}

impl Step {
    /// As it continues "while".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "asking for a token",
            Self::Tabs => "looking at the tabs",
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Change => "changing tabs or rows",
        }
    }

    /// Whether it changes the sheet.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::Change)
    }
}

/// What is wrong with the service account or its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTrouble {
    /// The private key can't be read.
    Unreadable,
    /// Google does not take the signature: the key was deleted, or belongs to another account.
    Signature,
    /// The account is gone or disabled.
    Account,
    /// The token that was given is not taken.
    Token,
    /// The Sheets API is off in the account's project.
    ApiOff,
    /// This machine trusts no certificates.
    NoCertificates,
}

/// What went wrong with the sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// The key is of no use.
    #[error("the service account {email} can't be used: {}", in_words(*.trouble))]
    Key {
        /// The account's address.
        email: String,
        /// The key file.
        path: String,
        /// What is wrong.
        trouble: KeyTrouble,
    },
    /// The account may not read, or may read and not write.
    #[error("{email} may not {} the sheet", if *.writing { "write" } else { "read" })]
    NotShared {
        /// The account's address.
        email: String,
        /// True if writing was refused.
        writing: bool,
    },
    /// A range of ours is protected by somebody.
    #[error("a cell that chatferry writes is protected")]
    Protected {
        /// The account's address.
        email: String,
    },
    /// No such sheet.
    #[error("there is no sheet with this id, or it is in the bin")]
    Missing,
    /// The header row is not ours any more.
    #[error("the tab {tab} can't be written: {misfit}")]
    Columns {
        /// Our name of the tab.
        tab: &'static str,
        /// What is wrong.
        misfit: Misfit,
    },
    /// A tab of our name holds something else.
    #[error("the tab {tab} holds something that chatferry did not write")]
    Foreign {
        /// Our name of the tab.
        tab: &'static str,
    },
    /// Too many requests.
    #[error("Google's quota of requests is used up")]
    RateLimited {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Google is away, or its answer was lost on the way.
    #[error("Google Sheets did not answer while {} ({what})", .step.as_str())]
    Unavailable {
        /// What was being done; after a write nobody knows whether it was.
        step: Step,
        /// The kind of failure, from a closed list.
        what: &'static str,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Fewer rows were written than asked for.
    #[error("Google wrote {written} of {asked} rows")]
    Partly {
        /// Rows in the request.
        asked: usize,
        /// Rows that were written.
        written: usize,
    },
    /// The grid ended before the range did.
    #[error("the tab is smaller than it was")]
    Shrunk,
    /// A tab that was there is not there under this name.
    #[error("a tab was renamed or deleted")]
    TabGone,
    /// Ten million cells.
    #[error("the spreadsheet holds as many cells as Google allows")]
    Full,
    /// Google refused a request of ours for what it is.
    #[error("Google refused a request while {} (HTTP {status})", .step.as_str())]
    Refused {
        /// What was being done.
        step: Step,
        /// The answer's status.
        status: u16,
    },
    /// This machine's clock.
    #[error("this machine's clock is off{}", .seconds.map(off).unwrap_or_default())]
    Clock {
        /// By how much, if it could be told: positive if it is fast.
        seconds: Option<i64>,
    },
    /// Another process holds the lease.
    #[error("another process writes the sheet")]
    Held,
}

fn off(seconds: i64) -> String {
    let minutes = seconds.unsigned_abs().div_ceil(60);
    format!(" by about {minutes} minutes ({})", if seconds > 0 { "fast" } else { "slow" })
}

const fn in_words(trouble: KeyTrouble) -> &'static str {
    match trouble {
        KeyTrouble::Unreadable => "the private key in the file can't be read",
        KeyTrouble::Signature => "Google does not take its signature; the key may have been deleted",
        KeyTrouble::Account => "Google does not know it, or it is disabled",
        KeyTrouble::Token => "Google does not take the token that it gave",
        KeyTrouble::ApiOff => "the Google Sheets API is turned off in its project",
        KeyTrouble::NoCertificates => "this machine has no certificates to check Google's by",
    }
}

impl SheetError {
    /// The same, to be tried again after `wait` at the earliest.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        match self {
            Self::RateLimited { .. } => Self::RateLimited { after: Some(wait) },
            Self::Unavailable { step, what, .. } => Self::Unavailable { step, what, after: Some(wait) },
            Self::Partly { .. } | Self::Shrunk | Self::TabGone => {
                Self::Unavailable { step: Step::Write, what: "the sheet changed meanwhile", after: Some(wait) }
            }
            other => other,
        }
    }

    /// How long the other side asked to wait.
    pub const fn wished(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after } | Self::Unavailable { after, .. } => *after,
            _ => None,
        }
    }
}

impl Fault for SheetError {
    fn class(&self) -> Class {
        match self {
            Self::RateLimited { after } | Self::Unavailable { after, .. } => Class::Retryable { after: *after },
            Self::Partly { .. } | Self::Shrunk | Self::TabGone | Self::Held => Class::RETRY,
            Self::Key { .. }
            | Self::NotShared { .. }
            | Self::Protected { .. }
            | Self::Missing
            | Self::Columns { .. }
            | Self::Foreign { .. }
            | Self::Full
            | Self::Refused { .. }
            | Self::Clock { .. } => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn code(&self) -> Code {
        match self {
            Self::Key { .. } => Code::SheetCredentials,
            Self::NotShared { .. } | Self::Protected { .. } => Code::SheetNotShared,
            Self::Missing => Code::SheetMissing,
            Self::Columns { .. } | Self::Foreign { .. } => Code::SheetColumns,
            Self::RateLimited { .. } => Code::SheetRateLimited,
            Self::Unavailable { .. } | Self::Partly { .. } | Self::Shrunk | Self::TabGone => Code::SheetUnavailable,
            Self::Full => Code::SheetFull,
            Self::Refused { .. } => Code::Internal,
            Self::Clock { .. } => Code::ClockOff,
            Self::Held => Code::SheetHeld,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::NotShared { email, .. } => {
                format!("Open the sheet, choose Share, and add {email} as editor; the mirror goes on by itself.")
            }
            Self::Protected { email } => {
                format!("Take the protection off chatferry's columns, or allow {email} to edit them; the mirror goes on by itself.")
            }
            Self::Key { path, trouble, .. } => match trouble {
                KeyTrouble::ApiOff => {
                    "Turn the Google Sheets API on in the service account's project (Google Cloud console, APIs and services); the mirror goes on by itself.".to_owned()
                }
                KeyTrouble::NoCertificates => {
                    "Install the system's certificates (Debian: apt-get install ca-certificates), and start chatferry again.".to_owned()
                }
                _ => format!("Create a new key for the service account, put its JSON file at {path}, and start chatferry again."),
            },
            Self::Foreign { tab } => {
                format!("Rename that tab, or empty it: chatferry then makes its own tab {tab}.")
            }
            Self::Missing
            | Self::Columns { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Partly { .. }
            | Self::Shrunk
            | Self::TabGone
            | Self::Full
            | Self::Refused { .. }
            | Self::Clock { .. }
            | Self::Held => self.code().action().to_owned(),
        }
    }
}
