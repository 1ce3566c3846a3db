//! Times in which nobody watched an account: noted as a gap of the whole account when watching ends or is
//! found to have ended, closed by the pass that reads back to what is known.

use jiff::{SignedDuration, Timestamp};

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
        if memory.watched_until.is_some_and(|until| is_lapse(until, now)) {
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
            // Never behind its own beginning, whatever the clock said then.
            seen_from: memory.watched_until.map(|until| memory.gap_since.map_or(until, |since| until.min(since))),
            since: memory.gap_since?,
            closed_at: None,
        })
    }
}

/// True if nobody watched between the two. If the clock was set back in between, nobody knows how long it was.
fn is_lapse(until: Timestamp, now: Timestamp) -> bool {
    until.duration_until(now).abs() > LAPSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_hides_no_lapse() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert!(!is_lapse(now, now));
        assert!(!is_lapse(now - LAPSE, now) && !is_lapse(now + LAPSE, now), "a step of NTP is no lapse");
        assert!(is_lapse(now - SignedDuration::from_secs(3), now));
        assert!(is_lapse(now + SignedDuration::from_hours(24), now), "it was set back");
    }
}
