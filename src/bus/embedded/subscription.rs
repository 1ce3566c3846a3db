//! One consumer's hands: what it holds, and what becomes of it.
//!
//! What is held goes back to the queue when the subscription is dropped or a settlement fails: a
//! delivery is never forgotten, it may only come twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::lane::Lane;
use crate::bus::BusError;
use crate::fault::{AnyFault, Code};
use crate::ports::{Deliveries, Delivery, Settlement};
use crate::sqlite::Database;

/// The longest wait of a retry; also keeps times within their range.
const LONGEST_RETRY: Duration = Duration::from_secs(365 * 24 * 3600);

/// A subscription to one queue.
#[derive(Debug)]
pub(super) struct Subscription {
    database: Database,
    lane: Arc<Lane>,
    prefetch: usize,
    next_tag: u64,
    held: HashMap<u64, i64>,
}

impl Subscription {
    pub fn new(database: Database, lane: Arc<Lane>, prefetch: u16) -> Self {
        Self { database, lane, prefetch: usize::from(prefetch.max(1)), next_tag: 1, held: HashMap::new() }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let held: Vec<i64> = self.held.drain().map(|(_, seq)| seq).collect();
        self.lane.release(held.len(), &held, &[]);
    }
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, AnyFault> {
        let room = max.min(self.prefetch.saturating_sub(self.held.len()));
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            // Listening begins before looking, so that no news falls between the two.
            let mut news = std::pin::pin!(self.lane.news.notified());
            news.as_mut().enable();
            if room == 0 {
                news.await;
                continue;
            }
            let entries = self.lane.take(&self.database, room).await.map_err(BusError::from)?;
            if entries.is_empty() {
                match self.lane.next_due() {
                    Some(at) => drop(tokio::time::timeout_at(at, news).await),
                    None => news.await,
                }
                continue;
            }
            let tags = self.next_tag..;
            self.next_tag += entries.len() as u64;
            self.held.extend(tags.clone().zip(entries.iter().map(|entry| entry.seq)));
            return Ok(tags
                .zip(entries)
                .map(|(tag, entry)| Delivery {
                    tag,
                    id: entry.id,
                    body: entry.body,
                    failures: entry.failures,
                    redelivered: entry.redelivered,
                })
                .collect());
        }
    }

    async fn settle(&mut self, settlements: Vec<(u64, Settlement)>) -> Result<(), AnyFault> {
        let mut leaving = Leaving { lane: Arc::clone(&self.lane), seqs: Vec::new() };
        let mut outcome = Outcome::default();
        let now = jiff::Timestamp::now().as_microsecond();
        for (tag, settlement) in settlements {
            let Some(seq) = self.held.remove(&tag) else { continue };
            leaving.seqs.push(seq);
            match settlement {
                Settlement::Done => outcome.done.push(seq),
                Settlement::HandBack => outcome.again.push(seq),
                Settlement::Dead { code, reason } => outcome.dead.push((seq, code, reason)),
                Settlement::Retry { after, .. } => outcome.put_off(seq, now, after, true),
                Settlement::Wait { after } => outcome.put_off(seq, now, after, false),
            }
        }
        let (again, later) = (std::mem::take(&mut outcome.again), std::mem::take(&mut outcome.later));
        if !outcome.is_empty() {
            let lane = Arc::clone(&self.lane);
            self.database.write(move |c| outcome.write(c, &lane, now)).await.map_err(BusError::from)?;
        }
        let count = std::mem::take(&mut leaving.seqs).len();
        self.lane.release(count, &again, &later);
        Ok(())
    }
}

/// Deliveries between the hands and the file: back to the queue unless the write succeeds, also when
/// the future is dropped.
struct Leaving {
    lane: Arc<Lane>,
    seqs: Vec<i64>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.seqs.is_empty() {
            self.lane.release(self.seqs.len(), &self.seqs, &[]);
        }
    }
}

#[derive(Debug, Default)]
struct Outcome {
    done: Vec<i64>,
    dead: Vec<(i64, Code, String)>,
    retries: Vec<(i64, i64)>,
    waits: Vec<(i64, i64)>,
    again: Vec<i64>,
    later: Vec<(Instant, i64)>,
}

impl Outcome {
    const fn is_empty(&self) -> bool {
        self.done.is_empty() && self.dead.is_empty() && self.retries.is_empty() && self.waits.is_empty()
    }

    /// Notes an entry that comes again later, counted as a failure or not.
    fn put_off(&mut self, seq: i64, now: i64, after: Duration, counted: bool) {
        let after = after.min(LONGEST_RETRY);
        let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        let put_off = if counted { &mut self.retries } else { &mut self.waits };
        put_off.push((seq, now.saturating_add(micros)));
        self.later.push((Instant::now() + after, seq));
    }

    fn write(mut self, connection: &Connection, lane: &Lane, now: i64) -> rusqlite::Result<()> {
        let sql = &lane.sql;
        for (seq, not_before) in self.retries {
            connection.prepare_cached(&sql.retry)?.execute((seq, now, not_before))?;
        }
        for (seq, not_before) in self.waits {
            connection.prepare_cached(&sql.wait)?.execute((seq, now, not_before))?;
        }
        for (seq, code, reason) in self.dead {
            connection.prepare_cached(&sql.bury)?.execute(params![seq, code.as_str(), reason, now])?;
            self.done.push(seq);
        }
        self.done.sort_unstable();
        let mut delete = connection.prepare_cached(&sql.delete)?;
        // A run of neighbours is one statement: all of it is ours, as every number in it is.
        for run in self.done.chunk_by(|a, b| a + 1 == *b) {
            delete.execute((run[0], run[run.len() - 1]))?;
        }
        Ok(())
    }
}
