//! Why an account can't be collected, in the words that a human is told.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::format_duration;
use crate::domain::{AccountId, EnvelopeError};
use crate::fault::{AnyFault, Class, Code, Fault, Scope};
use crate::sqlite::SqliteError;

/// A collector's fault.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The pack is not verified and the owner has not acknowledged the site's terms.
    #[error(
        "the pack of {site} has not been verified on the real site, and terms_acknowledged is not set for this account"
    )]
    TermsNotAcknowledged {
        /// Which site.
        site: String,
    },
    /// Another process holds the account's lease.
    #[error("{account} is being collected by {holder}")]
    HeldElsewhere {
        /// Which account.
        account: String,
        /// Who.
        holder: String,
    },
    /// User name or password were refused.
    #[error("{site} refused the user name or the password")]
    BadCredentials {
        /// Which site.
        site: String,
    },
    /// A CAPTCHA, a code or another proof is wanted.
    #[error("{site} wants a proof that only a human can give")]
    Challenge {
        /// Which site.
        site: String,
    },
    /// A CAPTCHA is shown.
    #[error("{site} shows a CAPTCHA, which only a human may solve")]
    Captcha {
        /// Which site.
        site: String,
    },
    /// A one-time code is wanted.
    #[error("{site} wants a one-time code")]
    OneTimeCode {
        /// Which site.
        site: String,
    },
    /// A one-time code was given, and the site wants one still.
    #[error("{site} did not take the one-time code")]
    CodeRefused {
        /// Which site.
        site: String,
    },
    /// A new password must be chosen first.
    #[error("{site} wants a new password to be chosen first")]
    PasswordChange {
        /// Which site.
        site: String,
    },
    /// The account is locked.
    #[error("{site} has locked the account")]
    Locked {
        /// Which site.
        site: String,
    },
    /// No outcome of the login came in time.
    #[error("the login to {site} led neither in nor to a declared refusal within {seconds} s")]
    LoginUnclear {
        /// Which site.
        site: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Too many logins.
    #[error("{attempts} logins to {site} within {minutes} minutes are used up")]
    LoginBudget {
        /// Which site.
        site: String,
        /// The budget.
        attempts: u32,
        /// Its window.
        minutes: u64,
    },
    /// The login form came in the middle of a pass.
    #[error("{site} ended the session")]
    LoggedOut {
        /// Which site.
        site: String,
    },
    /// The login form comes again although the login was accepted.
    #[error("{site} accepts the login and ends the session at once")]
    LoggedOutAgain {
        /// Which site.
        site: String,
    },
    /// The page shows nothing that the pack knows.
    #[error("{what} did not appear within {}", format_duration(*waited))]
    NotRendered {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The list went on for longer than the pack allows.
    #[error("the conversation list did not end within {steps} steps (conversations.scroll.max_steps)")]
    ListTooLong {
        /// The most that the pack allows.
        steps: u32,
    },
    /// The page has another shape than the pack says.
    #[error("the layout does not fit the pack: {field} {problem}")]
    LayoutBroken {
        /// The query, as in the pack.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A human has not yet said that the account may be tried again.
    #[error("{account} waits for a human since {since}: {sentence}")]
    Resting {
        /// Which account.
        account: AccountId,
        /// Since when.
        since: Timestamp,
        /// Why.
        code: Code,
        /// Why, in the words of that time.
        sentence: String,
    },
    /// So little of the disk is free that nothing more may be collected.
    #[error("the disk is full: {free} bytes are free, {floor} must be")]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        floor: u64,
    },
    /// A stop was asked for.
    #[error("stopped in the middle of a pass")]
    Stopped,
    /// The spool failed.
    #[error("the spool can't be used")]
    Spool(#[from] SqliteError),
    /// An event could not be written, which no event of ours does.
    #[error("an event could not be written")]
    Envelope(#[from] EnvelopeError),
    /// A fault of a port.
    #[error("{0}")]
    Port(AnyFault),
}

impl From<AnyFault> for CollectError {
    fn from(fault: AnyFault) -> Self {
        Self::Port(fault)
    }
}

impl CollectError {
    /// True if it is the page of one conversation that can't be read: the others may well be.
    pub fn is_of_one_conversation(&self) -> bool {
        match self {
            Self::NotRendered { .. } | Self::LayoutBroken { .. } => true,
            Self::Port(fault) => matches!(fault.code(), Code::LayoutBroken | Code::PageTimeout),
            _ => false,
        }
    }
}

impl Fault for CollectError {
    fn class(&self) -> Class {
        match self {
            Self::TermsNotAcknowledged { .. }
            | Self::BadCredentials { .. }
            | Self::Challenge { .. }
            | Self::Captcha { .. }
            | Self::OneTimeCode { .. }
            | Self::CodeRefused { .. }
            | Self::PasswordChange { .. }
            | Self::Locked { .. }
            | Self::LoginUnclear { .. }
            | Self::LoginBudget { .. }
            | Self::LoggedOutAgain { .. }
            | Self::LayoutBroken { .. }
            | Self::Resting { .. }
            | Self::Envelope(_) => Class::Permanent,
            Self::LoggedOut { .. }
            | Self::NotRendered { .. }
            | Self::ListTooLong { .. }
            | Self::HeldElsewhere { .. }
            | Self::DiskFull { .. }
            | Self::Stopped => Class::RETRY,
            Self::Spool(error) => error.class(),
            Self::Port(fault) => fault.class(),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::LayoutBroken { .. } => Scope::Site,
            Self::DiskFull { .. } => Scope::Process,
            Self::Spool(error) => error.scope(),
            Self::Port(fault) => fault.scope(),
            Self::TermsNotAcknowledged { .. }
            | Self::BadCredentials { .. }
            | Self::Challenge { .. }
            | Self::Captcha { .. }
            | Self::OneTimeCode { .. }
            | Self::CodeRefused { .. }
            | Self::PasswordChange { .. }
            | Self::Locked { .. }
            | Self::LoginUnclear { .. }
            | Self::LoginBudget { .. }
            | Self::Resting { .. }
            | Self::LoggedOut { .. }
            | Self::LoggedOutAgain { .. }
            | Self::NotRendered { .. }
            | Self::ListTooLong { .. }
            | Self::HeldElsewhere { .. }
            | Self::Stopped
            | Self::Envelope(_) => Scope::Account,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::TermsNotAcknowledged { .. } => Code::TermsNotAcknowledged,
            Self::BadCredentials { .. } => Code::BadCredentials,
            Self::Challenge { .. } => Code::Challenge,
            Self::Captcha { .. } => Code::Captcha,
            Self::OneTimeCode { .. } | Self::CodeRefused { .. } => Code::OneTimeCode,
            Self::PasswordChange { .. } => Code::PasswordChange,
            Self::Resting { code, .. } => *code,
            Self::Locked { .. } => Code::Locked,
            Self::LoginUnclear { .. } => Code::LoginUnclear,
            Self::LoginBudget { .. } => Code::LoginBudget,
            Self::LoggedOut { .. } => Code::LoggedOut,
            Self::LoggedOutAgain { .. } => Code::LoggedOutElsewhere,
            Self::HeldElsewhere { .. } => Code::AccountHeld,
            Self::NotRendered { .. } | Self::ListTooLong { .. } => Code::PageNotRendered,
            Self::LayoutBroken { .. } => Code::LayoutBroken,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::Stopped => Code::Stopped,
            Self::Spool(error) => error.code(),
            Self::Envelope(_) => Code::Internal,
            Self::Port(fault) => fault.code(),
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Port(fault) => fault.action(),
            Self::Resting { account, code, .. } => {
                let action = code.action().replace("<ID>", &account.to_string());
                let says_how = action.contains("accounts resume");
                let how = format!(" If that is done and it still waits: `chatferry accounts resume {account}`.");
                if says_how { action } else { action + &how }
            }
            _ => self.code().action().to_owned(),
        }
    }
}
