//! The task that owns one account: its states, its passes, and what follows from each fault.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

mod entering;
mod lapses;
mod memory;
mod orders;
mod packs;
mod telling;
mod trying;
mod waiting;
mod watch;
mod watching;

pub use self::memory::{MISSES, Memory, Misses};
pub use self::orders::outlives_a_start;
pub use self::packs::{Offers, Packs};
use super::account::Account;
use super::error::CollectError;
use super::orders::{Mailbox, Wish};
use super::pass::{Depth, Found, Pass, Plan, SoFar};
use super::session::AccountSession;
use super::spool::Spool;
use super::tenure::Held;
use crate::config::LoginBudget;
use crate::domain::{AccountState, AccountStatus};
use crate::fault::{AnyFault, Class, Code, Scope};
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
/// Between two looks whether a full disk has room again.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(5);

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
    /// What is kept of its logins.
    pub session: AccountSession,
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
    /// Packs that change.
    pub packs: Packs,
    /// What a person wants of the account.
    pub orders: Arc<Mailbox>,
    /// Where failures are taken down.
    pub failures: PathBuf,
    /// What is remembered between two passes.
    pub memory: Memory,
}

impl Collector {
    /// One completed pass over everything, with a browser of its own; passing faults are tried again.
    ///
    /// # Errors
    /// The fault that ended it; the account is parked or in backoff, as its class says. The fault of an
    /// account that waits for a human, which is left as it is.
    pub async fn once(&self) -> Result<PassSummary, AnyFault> {
        self.refuse_resting(false).await?;
        let mut failures = 0;
        loop {
            let fault = match self.attempt(Depth::Whole).await {
                Ok(summary) => {
                    self.tell(AccountState::Live, None, &self.sentence(&summary.found), LONG).await;
                    return Ok(summary);
                }
                Err(fault) => fault,
            };
            failures += 1;
            let wait = self.wait_after(&fault, failures, ONCE).filter(|_| !self.is_over());
            self.tell_fault(&fault, wait, LONG).await;
            match wait {
                Some(wait) => self.sleep(wait).await,
                None => return Err(fault),
            }
        }
    }

    /// Passes and watches until the stop. A fault that a human must mend parks the account; the task then only
    /// waits for the human's word, for a pack that mends it, or for the stop. Ends too when the account is to go
    /// on with another pack ([`Collector::promoted`]).
    pub async fn run(&self) {
        self.take_up().await;
        let mut failures = 0;
        while !self.is_over() && !self.is_promoted() {
            let begun = Instant::now();
            let outcome = self.visit().await;
            if self.is_over() || self.is_promoted() {
                break;
            }
            let Err(fault) = outcome else {
                // The page was given up for a pack that wants another one, or its browser has served long enough.
                if self.has_apart() {
                    self.try_alone().await;
                }
                self.rest_if_parked().await;
                continue;
            };
            // A session that worked for a while has earned a fresh count.
            failures = if begun.elapsed() > ENDLESS.ceiling(u32::MAX).unwrap_or_default() { 1 } else { failures + 1 };
            let wait = self.wait_after(&fault, failures, ENDLESS);
            self.tell_fault(&fault, wait, LONG).await;
            match wait {
                Some(wait) => {
                    self.back_off(wait, fault.code()).await;
                    self.rest_if_parked().await;
                }
                None => {
                    if fault.scope() == Scope::Process {
                        self.lifecycle.stop_over(fault.code());
                    }
                    self.rest().await;
                    failures = 0;
                }
            }
        }
        if self.tell_pause().await {
            return;
        }
        // What a human must do stays true while nobody runs; and an account that was lost is another's now.
        let is_known = self.status().is_some();
        if self.lifecycle.is_stopping() && is_known && !self.is_resting() && !self.is_promoted() {
            self.tell(AccountState::Stopped, Some(Code::Stopped), "The daemon was stopped.", LONG).await;
        }
    }

    fn is_over(&self) -> bool {
        self.held.stop.is_cancelled()
    }

    /// How long to wait after a fault; `None`: no repetition helps. A page that was broken once or twice may
    /// have been caught in the middle of something.
    fn wait_after(&self, fault: &AnyFault, failures: u32, schedule: RetrySchedule) -> Option<Duration> {
        let is_hiccup = fault.code() == Code::LayoutBroken && self.memory.missed_passes() < MISSES;
        let class = if is_hiccup { Class::RETRY } else { fault.class() };
        schedule.delay_for(failures, class, fastrand::f64())
    }

    /// One page, until a fault, the stop, the end of its browser's service, or a pack that wants another page.
    async fn visit(&self) -> Result<(), AnyFault> {
        let begun = Instant::now();
        // It meant an earlier rest, which is over: no later challenge may be answered by it.
        self.orders.take(Wish::Resume);
        let page = self.open().await?;
        let mut outcome = self.watch(page.as_ref()).await;
        while let Err(fault) = outcome {
            outcome = match self.let_answer(page.as_ref(), fault).await {
                Ok(()) => {
                    self.keep_new_session(page.as_ref()).await;
                    self.watch(page.as_ref()).await
                }
                Err(fault) => {
                    self.take_down(page.as_ref(), &fault).await;
                    self.leave(page).await;
                    return Err(fault);
                }
            }
        }
        let is_retired = page.retiring().is_cancelled();
        self.leave(page).await;
        if is_retired {
            // A limit that every browser exceeds must not make the site's load.
            self.sleep(self.settings.pass_interval.saturating_sub(begun.elapsed())).await;
        }
        Ok(())
    }

    async fn attempt(&self, depth: Depth) -> Result<PassSummary, AnyFault> {
        let page = self.open().await?;
        let outcome = self.pass(page.as_ref(), Plan::of(depth), &mut SoFar::default()).await;
        if let Err(fault) = &outcome {
            self.take_down(page.as_ref(), fault).await;
        }
        self.leave(page).await;
        outcome
    }

    /// A pass, with at most one login before it and one more whenever the session ends in its middle,
    /// as long as each session brings it further.
    async fn pass(&self, page: &dyn SitePage, plan: Plan, so_far: &mut SoFar) -> Result<PassSummary, AnyFault> {
        let begun = Instant::now();
        self.ensure_login(page).await?;
        // Once live it stays so while it looks for news: a state that changes with every pass says nothing.
        if !self.is_watched() {
            self.tell_reading().await;
        }
        let pass = self.pass_of(page, plan);
        let mut read_before = None;
        loop {
            match pass.run(so_far).await {
                Ok(()) => break,
                Err(CollectError::LoggedOut { site }) if read_before == Some(so_far.found.read) => {
                    self.forget_session().await;
                    return Err(CollectError::LoggedOutAgain { site }.into());
                }
                Err(CollectError::LoggedOut { .. }) => {
                    read_before = Some(so_far.found.read);
                    self.log_in_anew(page).await?;
                    self.tell_reading().await;
                }
                Err(other) => return Err(other.into()),
            }
        }
        self.memory.completed();
        self.keep_session(page).await;
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

    fn pass_of<'a>(&'a self, page: &'a dyn SitePage, plan: Plan) -> Pass<'a> {
        Pass {
            account: &self.account,
            page,
            spool: &self.spool,
            store: self.store.as_ref(),
            clock: self.clock.as_ref(),
            plan,
            misses: &self.memory.misses,
            epoch: self.held.epoch,
            stop: &self.held.stop,
            progress: &self.progress,
            counters: &self.counters,
        }
    }

    /// Waits for a human if a trial of a pack met what only a human may answer.
    async fn rest_if_parked(&self) {
        if self.is_resting() && !self.is_promoted() {
            self.rest().await;
        }
    }

    /// Waits to try again, unless the stop, an order, or what mends the fault comes first: a pack, or room on the
    /// disk.
    async fn back_off(&self, wait: Duration, code: Code) {
        // Cancel-safe: no arm holds anything.
        tokio::select! {
            biased;
            () = self.offered(true), if packs::is_of_layout(code) => {
                self.try_alone().await;
            }
            () = self.room_again(), if code == Code::DiskFull => (),
            () = self.sleep(wait) => (),
        }
    }

    /// Waits until there is room on the disk. Cancel-safe: it holds nothing.
    async fn room_again(&self) {
        while self.spool.refuse_full().is_err() {
            tokio::time::sleep(LOOK_FOR_ROOM).await;
        }
    }

    /// Waits, unless the stop or an order comes. Cancel-safe: no arm holds anything.
    async fn sleep(&self, wait: Duration) {
        tokio::select! {
            biased;
            () = self.held.stop.cancelled() => (),
            // The loop looks at what there is to do anyway.
            wish = self.orders.wanted() => drop(self.orders.take(wish)),
            () = tokio::time::sleep(wait) => (),
        }
    }
}
