//! The task that owns one account: its states, its passes, and what follows from each fault.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

mod entering;
mod lapses;
mod telling;
mod waiting;
mod watch;
mod watching;

use self::telling::sentence;
use super::account::Account;
use super::error::CollectError;
use super::pass::{Depth, Found, Pass, SoFar};
use super::spool::Spool;
use super::tenure::Held;
use crate::config::LoginBudget;
use crate::domain::{AccountState, AccountStatus};
use crate::fault::{AnyFault, Code, Scope};
use crate::lifecycle::Lifecycle;
use crate::ports::page::{Browser, SitePage};
use crate::ports::{Clock, Store};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::PassCompleted;
use crate::telemetry::{Counters, Occurrence, Progress, ProgressSink};

/// Tries of a single pass that a person waits for.
const ONCE: RetrySchedule = RetrySchedule::new(Duration::from_millis(500), Duration::from_secs(10), 3);
/// Waits of the daemon between two tries.
const ENDLESS: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(300));
/// How long a state may be believed that nobody renews: a single pass, a parked account.
const LONG: SignedDuration = SignedDuration::from_hours(24);

/// How often and how much.
#[derive(Debug, Clone, Copy)]
pub struct CollectorSettings {
    /// Logins in a time.
    pub login_budget: LoginBudget,
    /// Time between two passes of the daemon over an account whose list does not tell of news.
    pub pass_interval: Duration,
    /// Time between two sweeps through every conversation.
    pub reconcile_interval: Duration,
    /// How long the page may show news that is not stored.
    pub stale_after: Duration,
    /// Tell nobody but the log.
    pub dry_run: bool,
}

/// What a completed pass found, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassSummary {
    /// What it found.
    pub found: Found,
    /// How long it took.
    pub duration: Duration,
}

/// Owns one account.
pub struct Collector {
    /// The account.
    pub account: Arc<Account>,
    /// Starts its browser.
    pub browser: Arc<dyn Browser>,
    /// Where findings go.
    pub spool: Arc<Spool>,
    /// Where its state goes.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The life of the process: a fault of its own scope stops all of it.
    pub lifecycle: Lifecycle,
    /// The account in hand, and when to let it go.
    pub held: Held,
    /// Counts.
    pub counters: Arc<Counters>,
    /// For a person who watches.
    pub progress: ProgressSink,
    /// How often and how much.
    pub settings: CollectorSettings,
    /// What was last told.
    pub status: Mutex<Option<AccountStatus>>,
}

impl Collector {
    /// One completed pass over everything, with a browser of its own; passing faults are tried again.
    ///
    /// # Errors
    /// The fault that ended it; the account is parked or in backoff, as its class says.
    pub async fn once(&self) -> Result<PassSummary, AnyFault> {
        let mut failures = 0;
        loop {
            let fault = match self.attempt(Depth::Whole).await {
                Ok(summary) => {
                    self.tell(AccountState::Live, None, &sentence(&summary.found), LONG).await;
                    return Ok(summary);
                }
                Err(fault) => fault,
            };
            failures += 1;
            let wait = if self.is_over() { None } else { ONCE.delay_for(failures, fault.class(), fastrand::f64()) };
            self.tell_fault(&fault, wait, LONG).await;
            match wait {
                Some(wait) if fault.class().is_retryable() => self.sleep(wait).await,
                _ => return Err(fault),
            }
        }
    }

    /// Passes and watches until the stop. A fault that a human must mend parks the account; the task then only waits for the stop.
    pub async fn run(&self) {
        let mut failures = 0;
        while !self.is_over() {
            let begun = Instant::now();
            let Err(fault) = self.session().await else { break };
            if self.is_over() {
                break;
            }
            // A session that worked for a while has earned a fresh count.
            failures = if begun.elapsed() > ENDLESS.ceiling(u32::MAX).unwrap_or_default() { 1 } else { failures + 1 };
            let wait = ENDLESS.delay_for(failures, fault.class(), fastrand::f64());
            self.tell_fault(&fault, wait, LONG).await;
            match wait {
                Some(wait) if fault.class().is_retryable() => self.sleep(wait).await,
                _ => {
                    if fault.scope() == Scope::Process {
                        self.lifecycle.stop_over(fault.code());
                    }
                    self.held.stop.cancelled().await;
                }
            }
        }
        // What a human must do stays true while nobody runs; and an account that was lost is another's now.
        if self.lifecycle.is_stopping() && !self.is_parked() {
            self.tell(AccountState::Stopped, Some(Code::Stopped), "The daemon was stopped.", LONG).await;
        }
    }

    fn is_over(&self) -> bool {
        self.held.stop.is_cancelled()
    }

    /// One browser, until a fault or the stop.
    async fn session(&self) -> Result<(), AnyFault> {
        let page = self.open().await?;
        let outcome = self.watch(page.as_ref()).await;
        page.close().await;
        outcome
    }

    async fn attempt(&self, depth: Depth) -> Result<PassSummary, AnyFault> {
        let page = self.open().await?;
        let outcome = self.pass(page.as_ref(), depth, None, &mut SoFar::default()).await;
        page.close().await;
        outcome
    }

    /// A pass, with at most one login before it and one more whenever the session ends in its middle,
    /// as long as each session brings it further.
    async fn pass(
        &self,
        page: &dyn SitePage,
        depth: Depth,
        sweep_since: Option<Timestamp>,
        so_far: &mut SoFar,
    ) -> Result<PassSummary, AnyFault> {
        let begun = Instant::now();
        self.ensure_login(page).await?;
        // Once live it stays so while it looks for news: a state that changes with every pass says nothing.
        if !self.is_watched() {
            self.tell_reading().await;
        }
        let pass = self.pass_of(page, depth, sweep_since);
        let mut read_before = None;
        loop {
            match pass.run(so_far).await {
                Ok(()) => break,
                Err(CollectError::LoggedOut { site }) if read_before == Some(so_far.found.read) => {
                    return Err(CollectError::LoggedOutAgain { site }.into());
                }
                Err(CollectError::LoggedOut { .. }) => {
                    read_before = Some(so_far.found.read);
                    self.log_in(page).await?;
                    self.tell_reading().await;
                }
                Err(other) => return Err(other.into()),
            }
        }
        let found = so_far.found;
        let duration = begun.elapsed();
        let account = &self.account.id;
        PassCompleted { account, conversations: found.conversations, new_messages: found.new, duration }
            .emit(&self.counters);
        let conversations = usize::try_from(found.conversations).unwrap_or(usize::MAX);
        let told =
            Progress::PassCompleted { account: account.clone(), conversations, new_messages: found.new, duration };
        self.progress.tell(told);
        Ok(PassSummary { found, duration })
    }

    fn pass_of<'a>(&'a self, page: &'a dyn SitePage, depth: Depth, sweep_since: Option<Timestamp>) -> Pass<'a> {
        Pass {
            account: &self.account,
            page,
            spool: &self.spool,
            store: self.store.as_ref(),
            clock: self.clock.as_ref(),
            depth,
            sweep_since,
            epoch: self.held.epoch,
            stop: &self.held.stop,
            progress: &self.progress,
            counters: &self.counters,
        }
    }

    /// Waits, unless the stop comes. Cancel-safe: neither arm holds anything.
    async fn sleep(&self, wait: Duration) {
        tokio::select! {
            () = self.held.stop.cancelled() => (),
            () = tokio::time::sleep(wait) => (),
        }
    }
}
