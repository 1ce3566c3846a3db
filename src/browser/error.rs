//! What can go wrong with a browser, told apart at the wall where DevTools errors come in.

use std::path::PathBuf;
use std::time::Duration;

use chromiumoxide::error::CdpError;

use crate::fault::{Class, Code, Fault, Scope};

/// The deadline of a command that does not wait for anything in the page.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A browser's fault. Holds steps, selectors and hosts, never what a page says.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// No executable.
    #[error("no Chromium was found: {looked}")]
    Missing {
        /// Where it was looked for.
        looked: String,
    },
    /// It ended before it could be used.
    #[error("Chromium ({}) did not start: {reason}", executable.display())]
    NotStarted {
        /// Which one.
        executable: PathBuf,
        /// Its own last words, or what we waited for.
        reason: String,
    },
    /// The profile folder can't be made ours.
    #[error("the browser profile {} can't be prepared", path.display())]
    Profile {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The renderers run without the sandbox.
    #[error("Chromium's sandbox is not in force: {reason}")]
    Sandbox {
        /// How we know.
        reason: String,
    },
    /// The process is gone.
    #[error("the browser is gone (during {step})")]
    Gone {
        /// What was being done.
        step: &'static str,
    },
    /// The renderer crashed.
    #[error("the page crashed (during {step})")]
    Crashed {
        /// What was being done.
        step: &'static str,
    },
    /// The page answers nothing any more.
    #[error("the page hangs (during {step})")]
    Hung {
        /// What was being done.
        step: &'static str,
    },
    /// A deadline passed.
    #[error("the page did not answer within {after:?} (during {step})")]
    Timeout {
        /// What was being done.
        step: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The document was replaced while we looked at it.
    #[error("the page was replaced (during {step})")]
    ContextLost {
        /// What was being done.
        step: &'static str,
    },
    /// A session was written down by something else.
    #[error("the kept session was written down by another version")]
    Session,
    /// The site can't be reached.
    #[error("{host} can't be reached: {reason}")]
    Unreachable {
        /// The host, without path and query.
        host: String,
        /// Chromium's network error, or the HTTP status.
        reason: String,
    },
    /// A selector of the pack is no selector, or finds nothing that can be used.
    #[error("{query}: {reason} (during {step})")]
    Selector {
        /// What was being done.
        step: &'static str,
        /// The query, described.
        query: String,
        /// What is wrong.
        reason: String,
    },
    /// DevTools answered with an error, or with nonsense.
    #[error("DevTools refused {step}: {reason}")]
    Protocol {
        /// What was being done.
        step: &'static str,
        /// DevTools' own words, which name commands and not content.
        reason: String,
    },
}

impl BrowserError {
    /// Sorts an error of the DevTools crate. Its variants that can quote content lose their text.
    pub(super) fn from_cdp(step: &'static str, error: CdpError) -> Self {
        let protocol = |reason: String| Self::Protocol { step, reason };
        match error {
            CdpError::Ws(_) | CdpError::Io(_) | CdpError::NoResponse | CdpError::ChannelSendError(_) => {
                Self::Gone { step }
            }
            CdpError::Timeout => Self::Timeout { step, after: REQUEST_TIMEOUT },
            CdpError::Chrome(error) if is_context_lost(&error.message) => Self::ContextLost { step },
            CdpError::Chrome(error) => protocol(error.message),
            CdpError::ChromeMessage(message) if is_context_lost(&message) => Self::ContextLost { step },
            CdpError::NotFound | CdpError::FrameNotFound(_) => Self::ContextLost { step },
            CdpError::Serde(_)
            | CdpError::InvalidMessage(..)
            | CdpError::UnexpectedWsMessage(_)
            | CdpError::DecodeError(_) => protocol("an answer that can't be read".to_owned()),
            CdpError::JavascriptException(_) => protocol("the page agent threw".to_owned()),
            CdpError::ChromeMessage(_)
            | CdpError::LaunchExit(..)
            | CdpError::LaunchTimeout(_)
            | CdpError::LaunchIo(..)
            | CdpError::ScrollingFailed(_)
            | CdpError::Url(_) => protocol("an unexpected error".to_owned()),
        }
    }

    /// True if the same call may succeed on the document that took the place of the old one.
    pub(super) const fn is_context_lost(&self) -> bool {
        matches!(self, Self::ContextLost { .. })
    }
}

/// True if it is for want of space or quota.
fn is_full(source: &std::io::Error) -> bool {
    matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// The ways in which Chromium says that a document, and our world in it, is no more.
fn is_context_lost(message: &str) -> bool {
    [
        "Cannot find context",
        "Execution context was destroyed",
        "Inspected target navigated",
        "No frame for given id",
        "uniqueContextId not found",
    ]
    .iter()
    .any(|known| message.contains(known))
}

impl Fault for BrowserError {
    fn class(&self) -> Class {
        match self {
            Self::Profile { source, .. } if is_full(source) => Class::RETRY,
            Self::Missing { .. }
            | Self::NotStarted { .. }
            | Self::Profile { .. }
            | Self::Sandbox { .. }
            | Self::Session
            | Self::Selector { .. } => Class::Permanent,
            Self::Gone { .. }
            | Self::Crashed { .. }
            | Self::Hung { .. }
            | Self::Timeout { .. }
            | Self::ContextLost { .. }
            | Self::Unreachable { .. }
            | Self::Protocol { .. } => Class::RETRY,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Missing { .. } | Self::NotStarted { .. } | Self::Profile { .. } | Self::Sandbox { .. } => {
                Scope::Process
            }
            Self::Selector { .. } => Scope::Site,
            Self::Gone { .. }
            | Self::Crashed { .. }
            | Self::Hung { .. }
            | Self::Session
            | Self::Timeout { .. }
            | Self::ContextLost { .. }
            | Self::Unreachable { .. }
            | Self::Protocol { .. } => Scope::Account,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::ChromiumMissing,
            Self::NotStarted { .. } => Code::ChromiumFailed,
            Self::Profile { source, .. } if is_full(source) => Code::DiskFull,
            Self::Profile { .. } => Code::DataDirUnusable,
            Self::Sandbox { .. } => Code::SandboxUnavailable,
            Self::Gone { .. } => Code::BrowserGone,
            Self::Crashed { .. } => Code::PageCrashed,
            Self::Hung { .. } => Code::PageHung,
            Self::Timeout { .. } | Self::ContextLost { .. } => Code::PageTimeout,
            Self::Session => Code::SessionUnreadable,
            Self::Unreachable { .. } => Code::SiteUnreachable,
            Self::Selector { .. } => Code::LayoutBroken,
            Self::Protocol { .. } => Code::BrowserProtocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_parks_nobody() {
        let fault = |kind: std::io::ErrorKind| {
            let fault = BrowserError::Profile { path: "x".into(), source: kind.into() };
            (fault.code(), fault.class())
        };
        assert_eq!(fault(std::io::ErrorKind::StorageFull), (Code::DiskFull, Class::RETRY));
        assert_eq!(fault(std::io::ErrorKind::PermissionDenied), (Code::DataDirUnusable, Class::Permanent));
    }
}
