//! Captured messages → store: one transaction per batch.
//!
//! There is one path for live, backfill and reconcile: what a message does depends on its key, never on
//! when or how often it comes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::ConsumeError;
use super::runner::{Handler, Outcome, Received};
use crate::domain::Event;
use crate::fault::AnyFault;
use crate::lifecycle::{CrashPoint, crash_point};
use crate::ports::{Archived, Clock, DueRule, Queue, Store};
use crate::telemetry::occurrences::BatchArchived;
use crate::telemetry::{Counters, Occurrence};

/// How many messages go into one transaction: each costs two durable commits, whatever its size. Of 200,
/// 500 and 1,000 the last was fastest (docs/benchmarks.md).
const BATCH: usize = 1000;

/// The consumer of `chatferry.archive`.
pub struct Archive {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rule: DueRule,
    news: Arc<Notify>,
    counters: Arc<Counters>,
}

impl Archive {
    /// Stores messages; new ones make their conversation due by `rule` and wake whoever waits on `news`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        rule: DueRule,
        news: Arc<Notify>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { store, clock, rule, news, counters }
    }
}

#[async_trait]
impl Handler for Archive {
    fn queue(&self) -> Queue {
        Queue::Archive
    }

    fn prefetch(&self) -> u16 {
        // The next batch is on its way while one is being stored.
        2000
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        let mut captured = Vec::with_capacity(batch.len());
        let mut outcomes = Vec::with_capacity(batch.len());
        for received in batch {
            outcomes.push(match &received.envelope.event {
                Event::MessageCaptured(data) => {
                    captured.push((**data).clone());
                    Outcome::Done
                }
                other => Outcome::Failed(ConsumeError::Misrouted { queue: self.queue(), kind: other.kind() }.into()),
            });
        }
        if !captured.is_empty() {
            let begun = Instant::now();
            let archived = self.store.archive(&captured, self.rule, self.clock.now()).await?;
            crash_point(CrashPoint::ArchiveStored);
            let Archived { inserted, revised, duplicates } = archived;
            let oldest = captured.iter().map(|data| data.message.observed_at).min();
            let since_seen = oldest.and_then(|seen| Duration::try_from(self.clock.now().duration_since(seen)).ok());
            BatchArchived {
                inserted,
                revised,
                duplicates,
                duration: begun.elapsed(),
                since_seen: since_seen.unwrap_or_default(),
            }
            .emit(&self.counters);
            if archived.inserted > 0 {
                self.news.notify_one();
            }
        }
        Ok(outcomes)
    }
}
