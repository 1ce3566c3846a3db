//! What happens to the program itself. Targets: `chatferry::browser`, `chatferry::web`,
//! `chatferry::lifecycle`.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{Occurrence, milliseconds};
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// The program begins its work.
#[derive(Debug)]
pub struct ProgramStarted<'o> {
    /// Its version.
    pub version: &'o str,
}

impl Occurrence for ProgramStarted<'_> {
    fn emit(self, _: &Counters) {
        info!(
            target: "chatferry::lifecycle",
            { version = self.version, pid = std::process::id() },
            "chatferry started"
        );
    }
}

/// A soft stop begins.
#[derive(Debug)]
pub struct ProgramStopping<'o> {
    /// Who asked: `SIGTERM`, `finished`, the code of a fault.
    pub cause: &'o str,
}

impl Occurrence for ProgramStopping<'_> {
    fn emit(self, _: &Counters) {
        info!(
            target: "chatferry::lifecycle",
            { cause = self.cause },
            "stopping"
        );
    }
}

/// A task did not end within the drain's deadline and was stopped hard.
#[derive(Debug)]
pub struct LateTask<'o> {
    /// Its name.
    pub task: &'o str,
}

impl Occurrence for LateTask<'_> {
    fn emit(self, counters: &Counters) {
        add(&counters.late_tasks, 1);
        warn!(
            target: "chatferry::lifecycle",
            { task = self.task },
            "task was late and stopped hard"
        );
    }
}

/// The settings were read again.
#[derive(Debug)]
pub struct SettingsReloaded<'o> {
    /// Names of those that changed and count now.
    pub now: &'o str,
    /// Names of those that changed and count after the next start.
    pub later: &'o str,
}

impl Occurrence for SettingsReloaded<'_> {
    fn emit(self, _: &Counters) {
        let Self { now, later } = self;
        info!(target: "chatferry::program", { settings.now = now, settings.at_next_start = later }, "settings read again");
    }
}

/// The settings were read again and hold mistakes: the old ones stay.
#[derive(Debug)]
pub struct SettingsRefused<'o> {
    /// How many mistakes.
    pub problems: usize,
    /// In which settings.
    pub names: &'o str,
}

impl Occurrence for SettingsRefused<'_> {
    fn emit(self, _: &Counters) {
        let Self { problems, names } = self;
        let (code, action) = (Code::ConfigInvalid.as_str(), Code::ConfigInvalid.action());
        warn!(
            target: "chatferry::program",
            { error.code = code, problems, settings = names, action },
            "settings read again have mistakes; the old ones stay"
        );
    }
}

/// Chromium runs.
#[derive(Debug)]
pub struct BrowserStarted {
    /// Its process.
    pub pid: u32,
}

impl Occurrence for BrowserStarted {
    fn emit(self, counters: &Counters) {
        add(&counters.browser_starts, 1);
        info!(
            target: "chatferry::browser",
            { browser.pid = self.pid },
            "browser started"
        );
    }
}

/// Chromium is gone.
#[derive(Debug)]
pub struct BrowserEnded {
    /// The process it was.
    pub pid: u32,
    /// True if we closed it.
    pub asked: bool,
}

impl Occurrence for BrowserEnded {
    fn emit(self, counters: &Counters) {
        if self.asked {
            debug!(
                target: "chatferry::browser",
                { browser.pid = self.pid },
                "browser closed"
            );
        } else {
            add(&counters.browser_losses, 1);
            warn!(
                target: "chatferry::browser",
                {
                    browser.pid = self.pid, error.code = Code::BrowserGone.as_str(),
                    action = Code::BrowserGone.action(),
                },
                "browser ended unasked"
            );
        }
    }
}

/// A browser has served long enough; its accounts move to a new one when their passes are complete.
#[derive(Debug)]
pub struct BrowserRetired {
    /// Its process.
    pub pid: u32,
    /// Which limit it reached: `age`, `memory` or `processes`.
    pub reason: &'static str,
}

impl Occurrence for BrowserRetired {
    fn emit(self, counters: &Counters) {
        add(&counters.browser_retirements, 1);
        info!(
            target: "chatferry::browser",
            { browser.pid = self.pid, reason = self.reason },
            "browser retires"
        );
    }
}

/// The owner gave Chromium's sandbox up. An error line at every start, so that it can't be forgotten.
#[derive(Debug)]
pub struct SandboxOff;

impl Occurrence for SandboxOff {
    fn emit(self, _: &Counters) {
        let action = Code::SandboxUnavailable.action();
        error!(
            target: "chatferry::browser",
            { action },
            "CHROMIUM RUNS WITHOUT ITS SANDBOX: a hostile page that breaks the renderer has the daemon's rights"
        );
    }
}

/// The status page can be reached.
#[derive(Debug)]
pub struct HttpListening {
    /// Where.
    pub addr: SocketAddr,
}

impl Occurrence for HttpListening {
    fn emit(self, _: &Counters) {
        info!(
            target: "chatferry::web",
            { http.address = %self.addr },
            "http listening"
        );
    }
}

/// The daemon waits for a server before it begins.
#[derive(Debug)]
pub struct ServerAwaited<'o> {
    /// How often it was tried.
    pub attempt: u32,
    /// Until the next try.
    pub wait: Duration,
    /// What keeps it.
    pub fault: &'o AnyFault,
}

impl Occurrence for ServerAwaited<'_> {
    fn emit(self, _: &Counters) {
        let Self { attempt, wait, fault } = self;
        let wait_ms = milliseconds(wait);
        warn!(
            target: "chatferry::lifecycle",
            { attempt, wait_ms, error.code = fault.code().as_str(), error = fault.chain(), action = fault.action() },
            "waiting for a server"
        );
    }
}
