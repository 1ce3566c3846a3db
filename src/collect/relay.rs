//! Spool → bus. A row leaves the spool only after the bus has confirmed it; what is not confirmed is
//! published again, so the bus may see an event twice and never not at all.

use std::sync::Arc;
use std::time::Duration;

use super::spool::{Pending, Spool};
use crate::fault::AnyFault;
use crate::lifecycle::{CrashPoint, Lifecycle, crash_point};
use crate::ports::{Bus, Outgoing, Store};
use crate::resilience::RetrySchedule;
use crate::telemetry::occurrences::{EventPublished, PublishFailed};
use crate::telemetry::{Counters, Occurrence};

/// Events published together: one durable commit of the embedded bus takes 0.2 ms, so a batch of some
/// hundreds hides it.
const BATCH: u32 = 1000;
/// Waits after a failure; the spool keeps everything meanwhile.
const SETBACKS: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(30));

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
        loop {
            let wait = match self.empty_spool().await {
                Ok(()) if self.lifecycle.is_stopping() => return,
                Ok(()) => {
                    setbacks = 0;
                    None
                }
                // What is still there goes out after the next start.
                Err(_) if self.lifecycle.is_stopping() => return,
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

    async fn empty_spool(&self) -> Result<(), AnyFault> {
        loop {
            self.pass_gaps_on().await?;
            let batch = self.spool.oldest(BATCH).await?;
            if batch.is_empty() {
                return Ok(());
            }
            self.publish(batch).await?;
        }
    }

    async fn publish(&self, batch: Vec<Pending>) -> Result<(), AnyFault> {
        let (seqs, events): (Vec<i64>, Vec<Outgoing>) =
            batch.into_iter().map(|pending| (pending.seq, pending.outgoing)).unzip();
        let outcomes = self.bus.publish(&events).await?;
        crash_point(CrashPoint::RelayPublished);
        let mut refused = None;
        let mut confirmed = Vec::with_capacity(seqs.len());
        for (seq, outcome) in seqs.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => confirmed.push(seq),
                Err(fault) => refused = Some(fault),
            }
        }
        let count = confirmed.len() as u64;
        self.spool.confirmed(confirmed).await?;
        EventPublished { count }.emit(&self.counters);
        crash_point(CrashPoint::RelayMarked);
        refused.map_or(Ok(()), Err)
    }

    async fn pass_gaps_on(&self) -> Result<(), AnyFault> {
        let gaps = self.spool.gaps().await?;
        let Some((last, _)) = gaps.last() else { return Ok(()) };
        let last = *last;
        for (_, gap) in gaps {
            self.store.record_gap(&gap).await?;
        }
        Ok(self.spool.gaps_recorded(last).await?)
    }
}
