//! Exit codes, and the sentence that goes with them.
//!
//! 0 ok · 1 the command found faults · 2 usage · 70 internal · 75 try later · 78 bad configuration
//! (sysexits.h). systemd's `RestartPreventExitStatus=75 78` relies on them.

use std::process::ExitCode;

use crate::config::ConfigProblems;
use crate::domain::AccountId;
use crate::fault::{AnyFault, Code, Fault};
use crate::lifecycle::Drained;

/// The command found faults.
pub const FAULTS: u8 = 1;
/// A defect of ours.
pub const INTERNAL: u8 = 70;
/// Something is held elsewhere.
pub const TRY_LATER: u8 = 75;
/// Nothing can work before a human corrects something on this machine.
pub const CONFIG: u8 = 78;

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub struct Failure {
    message: Option<String>,
    code: u8,
}

impl Failure {
    /// The command has said everything itself.
    pub const fn told(code: u8) -> Self {
        Self { message: None, code }
    }

    /// A sentence of its own.
    pub fn said(message: impl Into<String>, code: u8) -> Self {
        Self { message: Some(message.into()), code }
    }

    /// The fault of one account: what to do names it.
    pub fn of_account(fault: AnyFault, account: &AccountId) -> Self {
        let Self { message, code } = fault.into();
        Self { message: message.map(|message| message.replace("<ID>", &account.to_string())), code }
    }

    /// The code to end with.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// Writes the sentence to stderr; the code to end with.
    pub fn report(&self) -> ExitCode {
        self.say();
        ExitCode::from(self.code)
    }

    /// Writes the sentence to stderr.
    pub fn say(&self) {
        if let Some(message) = &self.message {
            super::out::error(message);
        }
    }
}

/// How a command ends whose tasks did not end by themselves.
///
/// # Errors
/// 70 if a task panicked, the code of the fault that stopped them if one did.
pub fn of_stopped(drained: &Drained) -> Result<(), Failure> {
    if !drained.panicked.is_empty() {
        let message = format!(
            "chatferry: a defect of ours ended {} [internal]\n  what to do: {}",
            drained.panicked.join(", "),
            Code::Internal.action()
        );
        return Err(Failure::said(message, INTERNAL));
    }
    if let Some(code) = drained.fault {
        let message = format!("chatferry: stopped over a fault [{code}]\n  what to do: {}", code.action());
        return Err(Failure::said(message, of_code(code)));
    }
    Ok(())
}

/// How a command ends after its tasks have.
///
/// # Errors
/// As [`of_stopped`]; 1 if a task was late.
pub fn of_drained(drained: &Drained) -> Result<(), Failure> {
    of_stopped(drained)?;
    if drained.late.is_empty() {
        return Ok(());
    }
    Err(Failure::said(format!("chatferry: these did not end in time: {}", drained.late.join(", ")), FAULTS))
}

impl From<AnyFault> for Failure {
    fn from(fault: AnyFault) -> Self {
        let message = format!("chatferry: {} [{}]\n  what to do: {}", fault.chain(), fault.code(), fault.action());
        Self { message: Some(message), code: of_code(fault.code()) }
    }
}

impl From<ConfigProblems> for Failure {
    fn from(problems: ConfigProblems) -> Self {
        Self {
            message: Some(super::config::render_problems(&problems).trim_end().to_owned()),
            code: of_code(problems.code()),
        }
    }
}

/// The exit code of a failure code.
pub const fn of_code(code: Code) -> u8 {
    match code {
        Code::ConfigInvalid
        | Code::DataDirUnusable
        | Code::DataCorrupt
        | Code::StoreRefused
        | Code::PackInvalid
        | Code::PackRefused
        | Code::PackUnknown
        | Code::TermsNotAcknowledged
        | Code::ChromiumMissing
        | Code::ChromiumFailed
        | Code::SandboxUnavailable
        | Code::BusRefused
        | Code::TopologyMismatch
        | Code::SheetMissing
        | Code::SheetCredentials
        | Code::HttpAddressUnusable
        | Code::LogDirUnusable => CONFIG,
        Code::DataDirLocked | Code::AccountHeld | Code::LeaseLost | Code::SheetHeld => TRY_LATER,
        Code::DatabaseFailed | Code::Internal => INTERNAL,
        Code::DiskFull
        | Code::StoreUnavailable
        | Code::BrowserGone
        | Code::PageCrashed
        | Code::PageHung
        | Code::PageTimeout
        | Code::BrowserProtocol
        | Code::SiteUnreachable
        | Code::BadCredentials
        | Code::Challenge
        | Code::Captcha
        | Code::OneTimeCode
        | Code::PasswordChange
        | Code::Locked
        | Code::LoggedOut
        | Code::LoggedOutElsewhere
        | Code::SessionNotSaved
        | Code::SessionUnreadable
        | Code::LoginBudget
        | Code::LoginUnclear
        | Code::LayoutBroken
        | Code::PageNotRendered
        | Code::SelectorsDrifted
        | Code::StaleNews
        | Code::StaleQuiet
        | Code::HistoryIncomplete
        | Code::Unroutable
        | Code::BusUnavailable
        | Code::BrokerBlocked
        | Code::QueueFull
        | Code::DeliveryLimit
        | Code::EventInvalid
        | Code::EventOrphaned
        | Code::EventDeadly
        | Code::AttemptsExhausted
        | Code::AiRateLimited
        | Code::AiQuotaExhausted
        | Code::AiCutOff
        | Code::AiRefused
        | Code::AiInvalid
        | Code::AiRejected
        | Code::AiUnreachable
        | Code::AiAuth
        | Code::AiModelUnknown
        | Code::AiQuarantined
        | Code::ClockOff
        | Code::MirrorFailed
        | Code::SheetNotShared
        | Code::SheetRateLimited
        | Code::SheetUnavailable
        | Code::SheetColumns
        | Code::SheetFull
        | Code::AiBudget
        | Code::PromptUnknown
        | Code::Paused
        | Code::AccountUnknown
        | Code::OrderRefused
        | Code::Stopped => FAULTS,
    }
}
