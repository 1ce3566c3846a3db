//! The runner: takes deliveries from one queue, gives them to a handler, settles what came of them.
//!
//! It knows no handler and a handler knows no bus. All that differs between "try again", "dead letter"
//! and "stop" is decided in [`super::consequence`]; all waiting and resubscribing happens here, once.
//!
//! Must never settle an event before its effect is durable, punish an event for its neighbours or for a
//! broken store, or hold a delivery while it waits: it lets the subscription go first.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use super::consequence::{Next, is_wider_than_event, of_fault, of_outcome, reason};
use super::error::ConsumeError;
use super::journal::{self, Journal};
use crate::domain::{Envelope, EventId};
use crate::fault::{AnyFault, Class, Fault};
use crate::lifecycle::{CrashPoint, Lifecycle, crash_point, poison_point};
use crate::ports::{Bus, Deliveries, Delivery, Queue, Settlement};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{
    BatchTakenApart, ConsumerBackedOff, DeliveriesDone, DeliveryDead, DeliveryRetried, StoppedOverFault,
};
use crate::telemetry::{Counters, Occurrence};

/// One event in the hands of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The event.
    pub envelope: Envelope,
    /// How many attempts at it failed before.
    pub failures: u32,
}

/// What came of one event.
#[derive(Debug)]
pub enum Outcome {
    /// Its effect is durable (or was so before).
    Done,
    /// It has no effect; the fault's class says what becomes of it.
    Failed(AnyFault),
    /// It has no effect because the time for it has not come, which is not held against it however often:
    /// it comes again after the wait that the fault asks for, and its neighbours go on.
    NotYet(AnyFault),
    /// Not begun.
    HandBack,
}

/// What a consumer does with events. Called with one batch at a time; a batch may come again, whole or
/// in part, so every effect is idempotent.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Where its events come from.
    fn queue(&self) -> Queue;

    /// How many deliveries may be under way to it.
    fn prefetch(&self) -> u16;

    /// How many events it takes at once, at most.
    fn batch(&self) -> usize;

    /// Takes a batch of at least one event in: one outcome per event, in order.
    ///
    /// # Errors
    /// The batch failed as a whole and none of it has an effect. If the fault may be one event's, the
    /// runner tries them one by one.
    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault>;
}

/// Runs one handler on one bus.
pub struct Runner {
    bus: Arc<dyn Bus>,
    handler: Arc<dyn Handler>,
    lifecycle: Lifecycle,
    schedule: RetrySchedule,
    journal: Option<Arc<Journal>>,
    counters: Arc<Counters>,
}

/// The waits after a setback that is no event's fault (1 s to 30 s, full jitter: a broker that restarts is back within some seconds).
const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(30));

/// Why a subscription was given up.
enum Ended {
    Stopping,
    /// The suspects are through: events can be taken in batches again.
    Relieved,
    Setback(AnyFault),
    Fatal(AnyFault),
}

/// What came of a batch.
struct Verdicts {
    settlements: Vec<(u64, Settlement)>,
    next: Next,
    fault: Option<AnyFault>,
}

impl Runner {
    /// A runner that begins when it is [run](Self::run).
    pub fn new(bus: Arc<dyn Bus>, handler: Arc<dyn Handler>, lifecycle: Lifecycle, counters: Arc<Counters>) -> Self {
        Self { bus, handler, lifecycle, schedule: SETBACKS, journal: None, counters }
    }

    /// The same with a journal of what is in hand, against events that kill the process.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// The same with other waits after a setback.
    #[must_use]
    pub const fn with_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Runs as a task of the lifecycle, under the name of the queue.
    pub fn spawn(self) {
        let (lifecycle, name) = (self.lifecycle.clone(), self.handler.queue().as_str());
        lifecycle.spawn(name, self.run());
    }

    /// Runs until the soft stop: then the batch in hand is finished and nothing new is taken. At the
    /// hard stop the batch in hand is let go unsettled; the bus gives it out again.
    pub async fn run(self) {
        let mut setbacks = 0;
        while !self.lifecycle.is_stopping() {
            match self.serve(&mut setbacks).await {
                Ended::Stopping => return,
                Ended::Relieved => (),
                Ended::Setback(fault) => {
                    setbacks += 1;
                    self.wait_out(&fault, setbacks).await;
                }
                Ended::Fatal(fault) => {
                    StoppedOverFault { who: self.handler.queue().as_str(), fault: &fault }.emit(&self.counters);
                    self.lifecycle.stop_over(fault.code());
                    return;
                }
            }
        }
    }

    /// One subscription, from its opening to its end.
    async fn serve(&self, setbacks: &mut u32) -> Ended {
        let queue = self.handler.queue();
        let wary = self.journal.as_deref().filter(|journal| journal.is_wary());
        let (prefetch, size) =
            if wary.is_some() { (1, 1) } else { (self.handler.prefetch(), self.handler.batch().max(1)) };
        // Cancel-safe: a subscription that was not handed over holds nothing.
        let subscribed = tokio::select! {
            biased;
            () = self.lifecycle.soft.cancelled() => return Ended::Stopping,
            subscribed = self.bus.subscribe(queue, prefetch) => subscribed,
        };
        let mut deliveries = match subscribed {
            Ok(deliveries) => deliveries,
            Err(fault) => return Self::ended_by(fault),
        };
        loop {
            // Cancel-safe: `next` promises that a delivery is either returned or stays with the bus. The
            // stop comes first, so that a queue that is never empty can't outrun it.
            let batch = tokio::select! {
                biased;
                () = self.lifecycle.soft.cancelled() => return Ended::Stopping,
                batch = deliveries.next(size) => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(fault) => return Self::ended_by(fault),
            };
            // Not cancel-safe, on purpose only at the hard stop: an effect may be durable without its
            // settlement; the event comes again and finds its effect there.
            let verdicts = tokio::select! {
                biased;
                () = self.lifecycle.hard.cancelled() => return Ended::Stopping,
                verdicts = self.take_in(&batch) => verdicts,
            };
            if let Some(ended) = self.settle(&mut *deliveries, verdicts).await {
                return ended;
            }
            *setbacks = 0;
            if let Some(journal) = wary {
                journal.give_up_after(usize::from(self.handler.prefetch()));
                if !journal.is_wary() {
                    return Ended::Relieved;
                }
            }
        }
    }

    async fn settle(&self, deliveries: &mut dyn Deliveries, verdicts: Verdicts) -> Option<Ended> {
        let done = verdicts.settlements.iter().filter(|(_, settlement)| matches!(settlement, Settlement::Done)).count();
        // As above: cut off only by the hard stop, after which everything unsettled comes again.
        let settled = tokio::select! {
            biased;
            () = self.lifecycle.hard.cancelled() => return Some(Ended::Stopping),
            settled = deliveries.settle(verdicts.settlements) => settled,
        };
        if settled.is_ok() && done > 0 {
            DeliveriesDone { queue: self.handler.queue().as_str(), count: done as u64 }.emit(&self.counters);
        }
        match (verdicts.fault, verdicts.next) {
            (Some(fault), Next::Stop) => Some(Ended::Fatal(fault)),
            (Some(fault), Next::BackOff(_)) => Some(Ended::Setback(fault)),
            _ => settled.err().map(Self::ended_by),
        }
    }

    /// A subscription that broke is opened again; one that can't be had is for a human.
    fn ended_by(fault: AnyFault) -> Ended {
        match fault.class() {
            Class::Retryable { .. } => Ended::Setback(fault),
            Class::Permanent | Class::Critical => Ended::Fatal(fault),
        }
    }

    async fn wait_out(&self, fault: &AnyFault, setbacks: u32) {
        let wait = self.schedule.delay_for(setbacks, fault.class(), fastrand::f64()).unwrap_or_default();
        ConsumerBackedOff { who: self.handler.queue().as_str(), setbacks, wait, fault }.emit(&self.counters);
        // Cancel-safe: neither arm holds anything.
        tokio::select! {
            () = self.lifecycle.soft.cancelled() => (),
            () = tokio::time::sleep(wait) => (),
        }
    }

    /// Reads the bodies, gives what could be read to the handler, and decides about each event.
    async fn take_in(&self, batch: &[Delivery]) -> Verdicts {
        let _alone = match self.journal.as_deref().filter(|journal| journal.is_wary()) {
            Some(journal) => Some(journal.alone.lock().await),
            None => None,
        };
        let in_hand = self.journal.as_deref().map(|journal| InHand::begin(journal, batch));
        crash_point(CrashPoint::DeliveryTaken);
        let verdicts = self.judge(batch).await;
        if let Some(in_hand) = in_hand {
            in_hand.returned();
        }
        verdicts
    }

    async fn judge(&self, batch: &[Delivery]) -> Verdicts {
        let mut verdicts = Verdicts { settlements: Vec::with_capacity(batch.len()), next: Next::GoOn, fault: None };
        let (mut received, mut origins) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in batch {
            let deaths = self.journal.as_ref().map_or(0, |journal| journal.deaths(delivery.id));
            if deaths >= journal::DEATHS {
                let error = ConsumeError::Deadly { deaths };
                let dead = Settlement::Dead { code: error.code(), reason: error.to_string() };
                self.note(&mut verdicts, (delivery.tag, delivery.id), delivery.failures, dead);
                continue;
            }
            poison_point(delivery.id);
            match Envelope::parse(&delivery.body) {
                Ok(envelope) => {
                    received.push(Received { envelope, failures: delivery.failures });
                    origins.push((delivery.tag, delivery.id));
                }
                Err(error) => {
                    let dead = Settlement::Dead { code: error.code(), reason: reason(&error.to_string()) };
                    self.note(&mut verdicts, (delivery.tag, delivery.id), delivery.failures, dead);
                }
            }
        }
        if received.is_empty() {
            return verdicts;
        }
        match self.consume(&received).await {
            Ok(outcomes) => {
                for ((event, origin), outcome) in received.iter().zip(origins).zip(outcomes) {
                    self.decide(&mut verdicts, origin, event.failures, outcome);
                }
            }
            Err(fault) if received.len() > 1 && !is_wider_than_event(&fault) => {
                let queue = self.handler.queue().as_str();
                BatchTakenApart { queue, events: received.len(), fault: &fault }.emit(&self.counters);
                self.take_apart(&mut verdicts, &received, origins).await;
            }
            Err(fault) => self.decide_all(&mut verdicts, &received, origins, fault),
        }
        verdicts
    }

    /// One by one, so that only the event at fault is counted. What the soft stop leaves over, and what
    /// comes after a fault that is no event's, is handed back.
    async fn take_apart(&self, verdicts: &mut Verdicts, received: &[Received], origins: Vec<(u64, EventId)>) {
        for (event, origin) in received.iter().zip(origins) {
            let outcome = if self.lifecycle.is_stopping() || verdicts.next > Next::GoOn {
                Outcome::HandBack
            } else {
                match self.consume(std::slice::from_ref(event)).await {
                    Ok(mut outcomes) => outcomes.pop().unwrap_or(Outcome::HandBack),
                    Err(fault) => Outcome::Failed(fault),
                }
            };
            self.decide(verdicts, origin, event.failures, outcome);
        }
    }

    /// The handler's outcomes, as many as there are events; a panic becomes a fault.
    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        // Unwind-safe: what a handler shares is behind locks that tolerate poison, and the store and bus
        // are told of nothing that did not end well.
        let caught = AssertUnwindSafe(self.handler.consume(batch)).catch_unwind().await;
        let outcomes = caught.map_err(|_| ConsumeError::Panicked { queue: self.handler.queue() })??;
        if outcomes.len() == batch.len() {
            Ok(outcomes)
        } else {
            let (events, outcomes) = (batch.len(), outcomes.len());
            Err(ConsumeError::Miscounted { who: self.handler.queue().as_str(), events, outcomes }.into())
        }
    }

    fn decide(&self, verdicts: &mut Verdicts, origin: (u64, EventId), failures: u32, outcome: Outcome) {
        let (settlement, next) = of_outcome(&outcome, failures);
        self.note(verdicts, origin, failures, settlement);
        if next > verdicts.next {
            verdicts.next = next;
            if let Outcome::Failed(fault) = outcome {
                verdicts.fault = Some(fault);
            }
        }
    }

    /// One fault for every event of the batch.
    fn decide_all(
        &self,
        verdicts: &mut Verdicts,
        received: &[Received],
        origins: Vec<(u64, EventId)>,
        fault: AnyFault,
    ) {
        for (event, origin) in received.iter().zip(origins) {
            let (settlement, next) = of_fault(&fault, event.failures);
            self.note(verdicts, origin, event.failures, settlement);
            verdicts.next = verdicts.next.max(next);
        }
        verdicts.fault = Some(fault);
    }

    fn note(&self, verdicts: &mut Verdicts, (tag, id): (u64, EventId), failures: u32, settlement: Settlement) {
        let queue = self.handler.queue().as_str();
        match &settlement {
            // Whoever says that the time has not come tells why.
            Settlement::Done | Settlement::HandBack | Settlement::Wait { .. } => {}
            Settlement::Retry { code, .. } => {
                DeliveryRetried { queue, event_id: id, code: *code, failures: failures + 1 }.emit(&self.counters);
            }
            Settlement::Dead { code, reason } => {
                DeliveryDead { queue, event_id: id, code: *code, reason, failures }.emit(&self.counters);
            }
        }
        verdicts.settlements.push((tag, settlement));
    }
}

/// A batch that the journal knows to be in hand, until this is dropped.
struct InHand<'a> {
    journal: &'a Journal,
    ids: Vec<EventId>,
}

impl<'a> InHand<'a> {
    fn begin(journal: &'a Journal, batch: &[Delivery]) -> Self {
        let in_hand = Self { journal, ids: batch.iter().map(|delivery| delivery.id).collect() };
        Self::said(journal.taken(&in_hand.ids));
        in_hand
    }

    fn returned(mut self) {
        Self::said(self.journal.returned(&std::mem::take(&mut self.ids)));
    }

    /// Without the journal the work goes on: only an event that kills the process would be found later.
    fn said(written: std::io::Result<()>) {
        if let Err(error) = written {
            tracing::warn!(error.reason = %error, "the journal of what is in hand could not be written");
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            Self::said(self.journal.let_go(&self.ids));
        }
    }
}
