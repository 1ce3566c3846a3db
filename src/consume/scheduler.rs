//! Due conversations → `analysis.requested`.
//!
//! The store says what is due and when the next will be; this task waits for that moment, or for news.
//! A request is published before the store is told of it: a crash between the two publishes the same
//! event again, under the same id, and that costs nothing.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::publish::publish;
use crate::domain::event::AnalysisRequested;
use crate::domain::{Envelope, Event};
use crate::fault::{AnyFault, Class};
use crate::lifecycle::{CrashPoint, Lifecycle, crash_point};
use crate::ports::{Bus, Clock, DueConversation, Steady, Store};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{AnalysisDue, ConsumerBackedOff, StoppedOverFault};
use crate::telemetry::{Counters, Occurrence};

/// How many conversations are requested at once.
const LIMIT: u32 = 200;

/// The longest wait without a look, unless told otherwise: the archive may run in another process,
/// whose news don't reach us, and the wall clock, by which due times are told, may be set while we wait by the other one.
const LOOK_EVERY: Duration = Duration::from_secs(5);

const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(30));

/// A clock that is behind by more than this was set back. Less is left to the waits themselves.
const SET_BACK: SignedDuration = SignedDuration::from_mins(1);

/// How far ahead [`Scheduler::flush`] looks: further than any due time (`max_wait` is minutes).
const FAR: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Requests analyses when they are due.
pub struct Scheduler {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    news: Arc<Notify>,
    prompt_version: String,
    look_every: Duration,
    /// One round at a time: [`Scheduler::flush`] is called beside the running task.
    round: Mutex<()>,
    /// The time of the last look, and what has passed since.
    looked: std::sync::Mutex<Steady>,
    counters: Arc<Counters>,
}

impl Scheduler {
    /// Asks for analyses by this version of the question; `news` is what the archive notifies.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        news: Arc<Notify>,
        prompt_version: impl Into<String>,
        counters: Arc<Counters>,
    ) -> Self {
        let prompt_version = prompt_version.into();
        let looked = std::sync::Mutex::new(Steady::beginning(clock.now()));
        Self {
            store,
            bus,
            clock,
            news,
            prompt_version,
            look_every: LOOK_EVERY,
            round: Mutex::new(()),
            looked,
            counters,
        }
    }

    /// The same with another longest wait without a look.
    #[must_use]
    pub const fn with_look_every(mut self, look_every: Duration) -> Self {
        self.look_every = look_every;
        self
    }

    /// Runs as a task of the lifecycle until the soft stop.
    pub fn spawn(self: Arc<Self>, lifecycle: &Lifecycle) {
        let life = lifecycle.clone();
        lifecycle.spawn("scheduler", async move { self.run(&life).await });
    }

    /// Requests what has news, due or not: for a run that is to end. The number of requests.
    ///
    /// # Errors
    /// As the store's and the bus's.
    pub async fn flush(&self) -> Result<usize, AnyFault> {
        let horizon = self.clock.now().saturating_add(FAR).unwrap_or(Timestamp::MAX);
        self.request_due(horizon).await
    }

    async fn run(&self, life: &Lifecycle) {
        let mut setbacks = 0;
        while !life.is_stopping() {
            let wait = match self.look().await {
                Ok(wait) => {
                    setbacks = 0;
                    wait
                }
                Err(fault) if fault.class() == Class::Critical => {
                    StoppedOverFault { who: "scheduler", fault: &fault }.emit(&self.counters);
                    life.stop_over(fault.code());
                    return;
                }
                Err(fault) => {
                    setbacks += 1;
                    // Nothing is in hand here, so even a permanent fault is waited out: a human mends it.
                    let wait = SETBACKS.delay(setbacks, wished(&fault), fastrand::f64()).unwrap_or_default();
                    ConsumerBackedOff { who: "scheduler", setbacks, wait, fault: &fault }.emit(&self.counters);
                    // Cancel-safe: neither arm holds anything. News must not cut a setback short.
                    tokio::select! {
                        () = life.soft.cancelled() => return,
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
            };
            // Cancel-safe: a notification that is not taken stays with the `Notify`.
            tokio::select! {
                () = life.soft.cancelled() => return,
                () = self.news.notified() => (),
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    /// Requests what is due now; how long until the next look.
    pub(super) async fn look(&self) -> Result<Duration, AnyFault> {
        let now = self.clock.now();
        let is_set_back = self.looked().now().duration_since(now) > SET_BACK;
        // What was put off by the clock of then would wait until that time comes again, a day perhaps.
        let horizon = if is_set_back { now.saturating_add(FAR).unwrap_or(Timestamp::MAX) } else { now };
        self.request_due(horizon).await?;
        *self.looked() = Steady::beginning(now);
        let Some(next) = self.store.next_due().await? else { return Ok(self.look_every) };
        let wait = Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default();
        Ok(wait.min(self.look_every))
    }

    fn looked(&self) -> MutexGuard<'_, Steady> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn request_due(&self, horizon: Timestamp) -> Result<usize, AnyFault> {
        let _round = self.round.lock().await;
        let mut requested = 0;
        loop {
            let due = self.store.due(horizon, LIMIT).await?;
            requested += self.request(&due).await?;
            if due.len() < LIMIT as usize {
                return Ok(requested);
            }
        }
    }

    async fn request(&self, due: &[DueConversation]) -> Result<usize, AnyFault> {
        if due.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        let envelopes: Vec<Envelope> = due.iter().map(|due| Envelope::new(self.event(due), now)).collect();
        let outcomes = publish(&*self.bus, &envelopes).await?;
        crash_point(CrashPoint::SchedulerRequested);
        // Those that went out are noted before the first that did not is reported.
        let mut failed = None;
        let mut requested = 0;
        for (due, outcome) in due.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.store.requested(&due.conversation, &due.up_to, due.edits).await?;
                    AnalysisDue { account: &due.account, conversation: due.conversation }.emit(&self.counters);
                    requested += 1;
                }
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        failed.map_or(Ok(requested), Err)
    }

    fn event(&self, due: &DueConversation) -> Event {
        Event::AnalysisRequested(AnalysisRequested {
            account: due.account.clone(),
            conversation: due.conversation,
            up_to: due.up_to,
            prompt_version: self.prompt_version.clone(),
            edits: due.edits,
            reason: AnalysisRequested::NEW_MESSAGES.to_owned(),
        })
    }
}

fn wished(fault: &AnyFault) -> Option<Duration> {
    match fault.class() {
        Class::Retryable { after } => after,
        Class::Permanent | Class::Critical => None,
    }
}
