//! Spool → bus. A row leaves the spool only after the bus has confirmed it; what is not confirmed is
//! published again, so the bus may see an event twice and never not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::spool::{Pending, PendingGap, Spool};
use crate::fault::{AnyFault, Code};
use crate::lifecycle::{CrashPoint, Lifecycle, crash_point};
use crate::ports::{Bus, BusState, Outgoing, Store};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{EventPublished, LeaseChanged, PublishFailed};
use crate::telemetry::{Counters, Occurrence};

/// Waits after a failure; the spool keeps everything meanwhile.
const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(30));

/// How long the queues are believed to be there. A queue that is deleted while a stranger's is bound beside it
/// loses what is published until the next look: a broker confirms what any queue takes.
const ENSURE_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for a blocked broker's word before it is tried all the same.
const BLOCKED: Duration = Duration::from_secs(30);
/// Between two looks at whether it is still blocked; nothing is sent for that.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Publishes what the spool holds.
pub struct Relay {
    /// From here.
    pub spool: Arc<Spool>,
    /// To there.
    pub bus: Arc<dyn Bus>,
    /// Gaps are no events: they go to the store directly.
    pub store: Arc<dyn Store>,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// Counts.
    pub counters: Arc<Counters>,
}

impl Relay {
    /// Publishes until the stop, and then what is there.
    pub async fn run(&self) {
        let mut setbacks = 0;
        let mut ensured = None;
        loop {
            let wait = match self.empty_spool(&mut ensured).await {
                Ok(()) if self.lifecycle.is_stopping() => return,
                Ok(()) => {
                    setbacks = 0;
                    None
                }
                // What is still there goes out after the next start.
                Err(_) if self.lifecycle.is_stopping() => return,
                Err(fault) if fault.code() == Code::BrokerBlocked => {
                    PublishFailed { fault: &fault }.emit(&self.counters);
                    self.wait_while_blocked().await;
                    continue;
                }
                Err(fault) => {
                    PublishFailed { fault: &fault }.emit(&self.counters);
                    setbacks += 1;
                    SETBACKS.delay(setbacks, None, fastrand::f64())
                }
            };
            // Cancel-safe: a notification that is not taken stays for the next round.
            tokio::select! {
                () = self.lifecycle.soft.cancelled() => (),
                () = self.spool.news.notified(), if wait.is_none() => (),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => (),
            }
        }
    }

    /// A broker with an alarm is not asked again and again: it says by itself when it takes events again.
    async fn wait_while_blocked(&self) {
        let end = Instant::now() + BLOCKED;
        while matches!(self.bus.state(), BusState::Blocked { .. }) && Instant::now() < end {
            // Cancel-safe: neither arm holds anything.
            tokio::select! {
                () = self.lifecycle.soft.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
    }

    /// Publishes batch after batch. While one is on its way, the one before it is marked and the next
    /// one is read: bus and spool are different files, or different machines.
    async fn empty_spool(&self, ensured: &mut Option<Instant>) -> Result<(), AnyFault> {
        let size = u32::try_from(self.bus.batch()).unwrap_or(u32::MAX);
        let mut batch = self.spool.waiting(0, size).await?;
        let mut confirmed = Vec::new();
        let mut took = Duration::ZERO;
        loop {
            let gaps = self.pass_gaps_on().await;
            let Some(last) = batch.last().map(|pending| pending.seq) else {
                self.mark(confirmed, took).await?;
                return gaps;
            };
            let (marked, sent, following) =
                tokio::join!(self.mark(confirmed, took), self.publish(batch, ensured), self.spool.waiting(last, size));
            let sent = sent?;
            // Whatever else went wrong, what the bus holds is not sent again.
            let wrong = sent.refused.or(marked.err()).or(gaps.err());
            match (wrong, following) {
                (None, Ok(following)) => (confirmed, took, batch) = (sent.confirmed, sent.duration, following),
                (wrong, following) => {
                    self.mark(sent.confirmed, sent.duration).await?;
                    let following = following.map(drop).map_err(AnyFault::from);
                    return wrong.map_or(following, Err);
                }
            }
        }
    }

    async fn publish(&self, batch: Vec<Pending>, ensured: &mut Option<Instant>) -> Result<Sent, AnyFault> {
        if ensured.is_none_or(|at| at.elapsed() > ENSURE_EVERY) {
            self.bus.ensure().await?;
            *ensured = Some(Instant::now());
        }
        let (seqs, events): (Vec<i64>, Vec<Outgoing>) =
            batch.into_iter().map(|pending| (pending.seq, pending.outgoing)).unzip();
        let begun = Instant::now();
        let outcomes = self.bus.publish(&events).await?;
        let duration = begun.elapsed();
        crash_point(CrashPoint::RelayPublished);
        let mut sent = Sent { confirmed: Vec::with_capacity(seqs.len()), refused: None, duration };
        for (seq, outcome) in seqs.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => sent.confirmed.push(seq),
                Err(fault) => sent.refused = Some(fault),
            }
        }
        Ok(sent)
    }

    /// Takes what the bus has confirmed out of the spool.
    async fn mark(&self, confirmed: Vec<i64>, duration: Duration) -> Result<(), AnyFault> {
        if confirmed.is_empty() {
            return Ok(());
        }
        let count = confirmed.len() as u64;
        self.spool.confirmed(confirmed).await?;
        EventPublished { count, duration }.emit(&self.counters);
        crash_point(CrashPoint::RelayMarked);
        Ok(())
    }

    async fn pass_gaps_on(&self) -> Result<(), AnyFault> {
        let gaps = self.spool.gaps().await?;
        let Some(last) = gaps.last().map(|pending| pending.seq) else { return Ok(()) };
        for PendingGap { gap, epoch, .. } in gaps {
            match self.store.record_gap(&gap, epoch).await {
                // The account is another's now, who sees for himself what is missing.
                Err(fault) if fault.code() == Code::LeaseLost => {
                    LeaseChanged { account: &gap.account, epoch, what: "lost", fault: Some(&fault) }
                        .emit(&self.counters);
                }
                recorded => recorded?,
            }
        }
        Ok(self.spool.gaps_recorded(last).await?)
    }
}

/// What the bus did with a batch.
struct Sent {
    /// Places in the spool, in order.
    confirmed: Vec<i64>,
    /// How long it took.
    duration: Duration,
    /// Why the others are not among them.
    refused: Option<AnyFault>,
}
