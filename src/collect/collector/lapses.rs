//! Times in which nobody watched an account: noted as a gap of the whole account when watching ends or is
//! found to have ended, closed by the pass that reads back to what is known.

use jiff::SignedDuration;

use super::Collector;
use crate::collect::error::CollectError;
use crate::collect::spool::WatchMemory;
use crate::domain::{Gap, GapReason};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::GapRecorded;

/// A change of browsers takes this long; what comes meanwhile is read by the pass that follows.
const LAPSE: SignedDuration = SignedDuration::from_secs(2);

impl Collector {
    /// What is remembered of watching the account, with the gap since then noted.
    pub(super) async fn recall_watch(&self) -> Result<WatchMemory, CollectError> {
        let mut memory = self.spool.watch_memory(&self.account.id).await?;
        let now = self.clock.now();
        if memory.watched_until.is_some_and(|until| until.duration_until(now) > LAPSE) {
            self.open_lapse(&mut memory).await?;
        }
        Ok(memory)
    }

    /// Notes that nobody watches from now on; once, until it is closed. What was never watched has no gap.
    pub(super) async fn open_lapse(&self, memory: &mut WatchMemory) -> Result<(), CollectError> {
        if memory.gap_since.is_some() || memory.watched_until.is_none() {
            return Ok(());
        }
        memory.gap_since = Some(self.clock.now());
        let gap = self.lapse(memory);
        let account = &self.account.id;
        self.spool.remember_watch(account, memory, gap, self.held.epoch).await?;
        GapRecorded { account, conversation: None, reason: GapReason::NotWatched }.emit(&self.counters);
        Ok(())
    }

    /// Notes that everything up to now was seen.
    pub(super) async fn close_lapse(&self, memory: &mut WatchMemory) -> Result<(), CollectError> {
        let now = self.clock.now();
        let gap = self.lapse(memory).map(|gap| Gap { closed_at: Some(now.max(gap.since)), ..gap });
        memory.gap_since = None;
        memory.watched_until = Some(now);
        self.spool.remember_watch(&self.account.id, memory, gap, self.held.epoch).await
    }

    fn lapse(&self, memory: &WatchMemory) -> Option<Gap> {
        Some(Gap {
            account: self.account.id.clone(),
            conversation: None,
            reason: GapReason::NotWatched,
            seen_from: memory.watched_until,
            since: memory.gap_since?,
            closed_at: None,
        })
    }
}
