//! One running browser: its connection, its keeper, and when it has served long enough.
//!
//! The keeper is the task that owns the process. It ends the browser when nobody needs it, notices when it
//! is gone, looks at its limits, and reaps it: no page, however it ends, can leave a process behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chromiumoxide::Handler;
use chromiumoxide::browser::Browser as DevTools;
use chromiumoxide::cdp::browser_protocol::browser::CloseParams;
use chromiumoxide::handler::HandlerConfig;
use chromiumoxide::types::Command;
use futures::StreamExt;
use rustix::process::Pid;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::limits::Limits;
use super::proc;
use super::process::{ChromiumProcess, kill_group};
use super::profile::Profile;
use crate::telemetry::metrics::catalogue as m;
use crate::telemetry::occurrences::{BrowserEnded, BrowserRetired, BrowserStarted};
use crate::telemetry::{Counters, Occurrence};

/// Longer than any deadline of ours.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// How long DevTools may take to take the request to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A browser that runs, shared by the pages in it.
#[derive(Debug)]
pub struct Running {
    devtools: DevTools,
    group: Pid,
    /// True once the connection, and so the browser, is gone.
    gone: watch::Receiver<bool>,
    /// It takes no new pages; those in it should leave when they can.
    pub retiring: CancellationToken,
    /// Nobody is in it any more.
    closing: CancellationToken,
    /// A page in it does not let go: no use asking politely.
    is_stuck: AtomicBool,
    /// True once no process of it is left.
    ended: watch::Receiver<bool>,
}

impl Running {
    /// Starts a browser on an empty profile, and the keeper that will end it.
    ///
    /// # Errors
    /// [`BrowserError::NotStarted`], [`BrowserError::Sandbox`], [`BrowserError::Gone`].
    pub async fn start(
        process: ChromiumProcess,
        profile: Profile,
        limits: Limits,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>, BrowserError> {
        const STEP: &str = "connecting to the browser";
        let pid = process.pid();
        BrowserStarted { pid }.emit(&counters);
        let config = HandlerConfig {
            ignore_https_errors: false,
            viewport: None,
            // Every command of ours has a deadline of its own; the crate's must only not be the shorter one,
            // or a page could not be waited for as long as its pack says.
            request_timeout: COMMAND_TIMEOUT,
            ..HandlerConfig::default()
        };
        let connected = timeout(REQUEST_TIMEOUT, DevTools::connect_with_config(&process.websocket, config)).await;
        let (devtools, handler) = match connected {
            Ok(Ok(connected)) => connected,
            refused => {
                process.kill();
                process.end().await;
                drop(profile);
                BrowserEnded { pid, asked: false }.emit(&counters);
                return Err(match refused {
                    Ok(Err(error)) => BrowserError::from_cdp(STEP, error),
                    _ => BrowserError::Timeout { step: STEP, after: REQUEST_TIMEOUT },
                });
            }
        };
        let (is_gone, gone) = watch::channel(false);
        let (has_ended, ended) = watch::channel(false);
        let running = Arc::new(Self {
            devtools,
            group: process.group(),
            gone,
            retiring: CancellationToken::new(),
            closing: CancellationToken::new(),
            is_stuck: AtomicBool::new(false),
            ended,
        });
        tokio::spawn(drive(handler, is_gone));
        tokio::spawn(keep(running.clone(), process, profile, limits, counters, has_ended));
        Ok(running)
    }

    /// DevTools of the whole browser.
    pub const fn devtools(&self) -> &DevTools {
        &self.devtools
    }

    /// Follows the end of the browser.
    pub fn gone(&self) -> watch::Receiver<bool> {
        self.gone.clone()
    }

    /// True while new pages may be opened in it.
    pub fn takes_pages(&self) -> bool {
        !*self.gone.borrow() && !self.retiring.is_cancelled() && !self.closing.is_cancelled()
    }

    /// The process group.
    pub const fn group(&self) -> Pid {
        self.group
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.group.as_raw_pid().unsigned_abs()
    }

    /// Sends one command to the browser and waits for its answer, at most `limit`.
    ///
    /// # Errors
    /// [`BrowserError`]: end of the browser, deadline, or DevTools' own refusal.
    pub async fn execute<C: Command>(
        &self,
        step: &'static str,
        command: C,
        limit: Duration,
    ) -> Result<C::Response, BrowserError> {
        self.answer(step, self.devtools.execute(command), limit).await.map(|answer| answer.result)
    }

    /// Waits for an answer of DevTools, but not beyond the end of the browser or a limit.
    ///
    /// # Errors
    /// As [`Running::execute`].
    pub async fn answer<T>(
        &self,
        step: &'static str,
        asked: impl Future<Output = chromiumoxide::error::Result<T>>,
        limit: Duration,
    ) -> Result<T, BrowserError> {
        let mut gone = self.gone.clone();
        // Cancel-safe: an answer that is not waited for is dropped by the handler.
        tokio::select! {
            biased;
            _ = gone.wait_for(|gone| *gone) => Err(BrowserError::Gone { step }),
            answer = timeout(limit, asked) => match answer {
                Ok(answer) => answer.map_err(|error| BrowserError::from_cdp(step, error)),
                Err(_) => Err(BrowserError::Timeout { step, after: limit }),
            },
        }
    }

    /// The last resort, at once: the whole process group. The keeper does the rest.
    pub fn kill(&self) {
        kill_group(self.group);
    }

    /// A page of it can't be closed: nothing new is opened in it, and at its end it is not asked but killed.
    pub fn give_up(&self) {
        self.is_stuck.store(true, Ordering::Relaxed);
        self.retiring.cancel();
    }

    /// Asks the keeper to end it: nobody is in it any more.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until it has ended if it is about to; else returns at once.
    pub async fn ended_if_ending(&self) {
        if self.closing.is_cancelled() || *self.gone.borrow() {
            let mut ended = self.ended.clone();
            // A keeper that is gone was stopped with the whole program.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

/// Drives the DevTools connection; its end is the end of the browser. Messages that the crate can't
/// read are passed over: they are events of a newer Chromium.
async fn drive(mut handler: Handler, gone: watch::Sender<bool>) {
    while let Some(message) = handler.next().await {
        if message.is_err_and(|error| is_fatal(&error)) {
            break;
        }
    }
    gone.send_replace(true);
}

const fn is_fatal(error: &chromiumoxide::error::CdpError) -> bool {
    use chromiumoxide::error::CdpError;
    matches!(error, CdpError::Ws(_) | CdpError::Io(_) | CdpError::NoResponse)
}

/// The keeper: waits for the end, looking at the limits meanwhile, then makes sure of it.
async fn keep(
    running: Arc<Running>,
    process: ChromiumProcess,
    profile: Profile,
    limits: Limits,
    counters: Arc<Counters>,
    has_ended: watch::Sender<bool>,
) {
    let born = Instant::now();
    let mut told = proc::Footprint::default();
    let mut gone = running.gone();
    let mut look = interval_at(born + limits.every, limits.every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = loop {
        // Cancel-safe: no arm holds anything.
        tokio::select! {
            biased;
            _ = gone.wait_for(|gone| *gone) => break false,
            () = running.closing.cancelled() => break true,
            _ = look.tick() => {
                let now = proc::footprint(running.group);
                tell_footprint(std::mem::replace(&mut told, now), now, &counters);
                let exceeded = limits.exceeded(born.elapsed(), || now);
                if let (Some(reason), false) = (exceeded, running.retiring.is_cancelled()) {
                    BrowserRetired { pid: running.pid(), reason }.emit(&counters);
                    running.retiring.cancel();
                }
            }
        }
    };
    if asked && !running.is_stuck.load(Ordering::Relaxed) {
        // A browser that does not take it is killed by what follows.
        let _ = timeout(CLOSE_TIMEOUT, running.devtools.execute(CloseParams::default())).await;
    } else {
        process.kill();
    }
    process.end().await;
    tell_footprint(told, proc::Footprint::default(), &counters);
    drop(profile);
    BrowserEnded { pid: running.pid(), asked }.emit(&counters);
    has_ended.send_replace(true);
}

/// What one browser takes now in place of what it took, in the sums over all of them.
fn tell_footprint(before: proc::Footprint, now: proc::Footprint, counters: &Counters) {
    // Sizes of memory stay far below 2^53, where a float is exact.
    #[allow(clippy::cast_precision_loss)]
    let memory = now.memory as f64 - before.memory as f64;
    counters.series().shift(&m::BROWSER_MEMORY, &[], memory);
    counters.series().shift(&m::BROWSER_PROCESSES, &[], f64::from(now.processes) - f64::from(before.processes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_add_their_shares_and_take_them_back() {
        let counters = Counters::default();
        let is = |memory: u64, processes: u32| {
            let text = counters.render();
            for line in
                [format!("chatferry_browser_memory_bytes {memory}"), format!("chatferry_browser_processes {processes}")]
            {
                assert!(text.lines().any(|known| known == line), "{line}\n{text}");
            }
        };
        let [nothing, one, other] =
            [(0, 0), (1000, 3), (500, 2)].map(|(memory, processes)| proc::Footprint { memory, processes });
        tell_footprint(nothing, one, &counters);
        tell_footprint(nothing, other, &counters);
        is(1500, 5);
        tell_footprint(one, other, &counters);
        is(1000, 4);
        tell_footprint(other, nothing, &counters);
        tell_footprint(other, nothing, &counters);
        is(0, 0);
    }
}
