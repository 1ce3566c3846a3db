//! Store → mirror: whatever an event on the mirror queue says, the answer is one projection of the
//! store, at most every interval; and one now and then although no event came.
//!
//! The mirror can be dropped at any time: nothing is read back from it.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Elsewhere;
use super::projection;
use super::runner::{Handler, Outcome, Received};
use crate::domain::{AccountStatus, BudgetLimits, Purse};
use crate::fault::{AnyFault, Class};
use crate::lifecycle::{CrashPoint, Lifecycle, crash_point};
use crate::ports::{Budgets, Bus, Clock, Mirror, MirrorFault, MirrorOutcome, MirrorState, Queue, Store};
use crate::resilience::Pace;
use crate::telemetry::occurrences::{MirrorFailed, MirrorWritten, StoppedOverFault};
use crate::telemetry::{Counters, Occurrence};

/// How long an event may wait for others to share a projection with, unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(2);

/// How often the mirror is written although no event came, unless told otherwise.
const RECONCILE_EVERY: Duration = Duration::from_secs(600);

/// How often a mirror that waits for a human is looked at again: a sheet that was shared, or a header that was put back,
/// should not need a restart.
const PARKED_EVERY: Duration = Duration::from_secs(60);

/// The wait after a failure of something that will come back by itself and did not say when.
const SETBACK: Duration = Duration::from_secs(30);

/// Who is to blame for a projection that was not written.
enum Refusal {
    /// The store or the bus.
    Source(AnyFault),
    /// The mirror itself.
    Mirror(AnyFault),
}

impl Refusal {
    const fn fault(&self) -> &AnyFault {
        match self {
            Self::Source(fault) | Self::Mirror(fault) => fault,
        }
    }

    fn into_fault(self) -> AnyFault {
        match self {
            Self::Source(fault) | Self::Mirror(fault) => fault,
        }
    }
}

/// The consumer of `chatferry.mirror`, and the only writer of the mirror in this process.
pub struct Mirroring {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    mirror: Arc<dyn Mirror>,
    clock: Arc<dyn Clock>,
    lifecycle: Lifecycle,
    budgets: Option<(Arc<dyn Budgets>, BudgetLimits)>,
    pace: StdMutex<Pace>,
    reconcile_every: Duration,
    /// One write at a time; when the last attempt began that ended with a mirror parked.
    writing: Mutex<()>,
    parked: StdMutex<Option<Instant>>,
    state: watch::Sender<MirrorState>,
    counters: Arc<Counters>,
}

impl Mirroring {
    /// Keeps `mirror` showing what is in `store`.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        mirror: Arc<dyn Mirror>,
        clock: Arc<dyn Clock>,
        lifecycle: Lifecycle,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            bus,
            mirror,
            clock,
            lifecycle,
            budgets: None,
            pace: StdMutex::new(Pace::new(INTERVAL)),
            reconcile_every: RECONCILE_EVERY,
            writing: Mutex::new(()),
            parked: StdMutex::new(None),
            state: watch::Sender::new(MirrorState::default()),
            counters,
        }
    }

    /// The same, telling what is known about the mirror there.
    #[must_use]
    pub fn with_state(mut self, state: watch::Sender<MirrorState>) -> Self {
        self.state = state;
        self
    }

    /// The same with other times: at most one projection per `interval` for events, and one every
    /// `reconcile_every` without.
    #[must_use]
    pub fn with_times(mut self, interval: Duration, reconcile_every: Duration) -> Self {
        self.pace = StdMutex::new(Pace::new(interval));
        self.reconcile_every = reconcile_every;
        self
    }

    /// The same with budgets whose end the mirror tells: a summary that waits for one is out of date.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Arc<dyn Budgets>, limits: BudgetLimits) -> Self {
        self.budgets = Some((budgets, limits));
        self
    }

    /// What is known about the mirror, now and from now on.
    pub fn state(&self) -> watch::Receiver<MirrorState> {
        self.state.subscribe()
    }

    /// Writes the mirror anew from the store, now.
    ///
    /// # Errors
    /// As the store's, the bus's and the mirror's.
    pub async fn rebuild(&self) -> Result<MirrorOutcome, AnyFault> {
        self.write().await.map_err(Refusal::into_fault)
    }

    async fn write(&self) -> Result<MirrorOutcome, Refusal> {
        let _writing = self.writing.lock().await;
        let begun = Instant::now();
        let written = self.project().await;
        let now = self.clock.now();
        let is_parked = matches!(&written, Err(Refusal::Mirror(fault)) if fault.class() == Class::Permanent);
        *self.parked.lock().unwrap_or_else(PoisonError::into_inner) = is_parked.then_some(begun);
        self.state.send_modify(|state| match &written {
            Ok(outcome) => {
                MirrorWritten { rows: outcome.rows, duration: begun.elapsed() }.emit(&self.counters);
                state.outcome = Some(outcome.clone());
                state.written_at = Some(now);
                state.fault = None;
            }
            Err(refusal) => {
                let fault = refusal.fault();
                MirrorFailed { fault }.emit(&self.counters);
                let known = state.fault.take().filter(|known| known.code == fault.code());
                state.fault = Some(MirrorFault::new(fault, known.map_or(now, |known| known.since)));
            }
        });
        written
    }

    /// True if the last attempt found a mirror that no repetition will mend.
    pub fn waits_for_human(&self) -> bool {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// True while a mirror that waits for a human has been looked at so lately that nobody can have mended it.
    fn is_parked(&self) -> bool {
        let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        parked.is_some_and(|since| since.elapsed() < PARKED_EVERY.min(self.reconcile_every))
    }

    async fn project(&self) -> Result<MirrorOutcome, Refusal> {
        let mut projection = projection::load(&*self.store, &*self.bus, &*self.clock).await.map_err(Refusal::Source)?;
        projection.status.analyses_wait =
            self.analyses_wait(&projection.status.accounts).await.map_err(Refusal::Source)?;
        let shown = self.store.mirrored(self.mirror.target()).await.map_err(Refusal::Source)?;
        let written = self.mirror.write(&projection, &shown).await;
        let outcome = written.map_err(|fault| Refusal::Mirror(Elsewhere(fault).into()))?;
        crash_point(CrashPoint::MirrorWritten);
        let wanted = projection.fingerprints();
        if wanted != shown {
            self.store.save_mirrored(self.mirror.target(), &wanted).await.map_err(Refusal::Source)?;
        }
        Ok(outcome)
    }

    /// The first budget that is used up: the month's, then those of accounts.
    async fn analyses_wait(&self, accounts: &[AccountStatus]) -> Result<Option<String>, AnyFault> {
        let Some((budgets, limits)) = &self.budgets else { return Ok(None) };
        let now = self.clock.now();
        let month = (Purse::of_month(now), limits.month, "The month's budget for analyses".to_owned());
        let days = accounts.iter().map(|one| {
            let whose = format!("The day's budget for analyses of {}", one.account);
            (Purse::of_account(one.account.clone(), now), limits.account_day, whose)
        });
        for (purse, allowance, whose) in std::iter::once(month).chain(days) {
            if !allowance.is_unlimited() && allowance.is_used_up(&budgets.balance(&purse).await?.spent) {
                return Ok(Some(format!("{whose} is used up until {}.", purse.ends().strftime("%Y-%m-%d %H:%M UTC"))));
            }
        }
        Ok(None)
    }

    /// True if every row that the mirror should show now is the row that was written last.
    ///
    /// # Errors
    /// As the store's and the bus's.
    pub async fn is_current(&self) -> Result<bool, AnyFault> {
        let wanted = projection::load(&*self.store, &*self.bus, &*self.clock).await?;
        Ok(wanted.fingerprints() == self.store.mirrored(self.mirror.target()).await?)
    }

    /// [`Self::reconcile`] until the soft stop, as a task of the lifecycle.
    pub fn spawn_reconcile(self: Arc<Self>) {
        let lifecycle = self.lifecycle.clone();
        lifecycle.spawn("mirror reconcile", async move { self.reconcile(&self.lifecycle.soft).await });
    }

    /// Writes the mirror at the start and then every so often until `stop`: what an event missed, or a person deleted,
    /// comes back. What failed is tried again as soon as the fault allows.
    pub async fn reconcile(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.rebuild().await.map_err(|fault| (fault.class(), fault)) {
                Ok(_) => self.reconcile_every,
                Err((Class::Retryable { after }, _)) => after.unwrap_or(SETBACK).min(self.reconcile_every),
                Err((Class::Permanent, _)) => PARKED_EVERY.min(self.reconcile_every),
                Err((Class::Critical, fault)) => {
                    StoppedOverFault { who: "mirror reconcile", fault: &fault }.emit(&self.counters);
                    self.lifecycle.stop_over(fault.code());
                    return;
                }
            };
            // Cancel-safe: neither arm holds anything. A failed write is reported in the state; events try meanwhile.
            tokio::select! {
                () = stop.cancelled() => (),
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    /// Waits until the next projection may begin; the soft stop cuts the wait short, so that the last
    /// events still show.
    async fn wait_for_turn(&self) {
        let wait = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.wait(Instant::now().into_std())
        };
        // Cancel-safe: neither arm holds anything.
        tokio::select! {
            () = self.lifecycle.soft.cancelled() => (),
            () = tokio::time::sleep(wait) => (),
        }
    }
}

#[async_trait]
impl Handler for Mirroring {
    fn queue(&self) -> Queue {
        Queue::Mirror
    }

    fn prefetch(&self) -> u16 {
        1000
    }

    fn batch(&self) -> usize {
        // Any number costs one projection; more only makes it longer to hand them back.
        500
    }

    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        self.wait_for_turn().await;
        if self.is_parked() {
            // Looking again would cost requests and find the same; the reconcile does it once a minute.
            return Ok(batch.iter().map(|_| Outcome::Done).collect());
        }
        match self.write().await {
            Ok(_) => (),
            // The events only said "look again", and the reconcile does: as dead letters they would bury
            // those that hold something, and a sheet that is not ours must not stop the capture. The
            // state and the log say what is wrong.
            Err(Refusal::Mirror(fault)) if fault.class() == Class::Permanent => (),
            Err(refusal) => return Err(refusal.into_fault()),
        }
        Ok(batch.iter().map(|_| Outcome::Done).collect())
    }
}
