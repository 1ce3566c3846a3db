//! One queue in memory: what is fresh, what comes again, what waits for its time.
//!
//! Only outcomes are written to the file; who holds what is known here alone, because a write per
//! delivery would cost a commit. A restart begins with empty hands, so everything pending comes again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Row};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::schema::Statements;
use crate::domain::EventId;
use crate::ports::Queue;
use crate::sqlite::{Database, SqliteError};

/// One queue, shared by its subscriptions.
#[derive(Debug)]
pub(super) struct Lane {
    pub queue: Queue,
    pub sql: Statements,
    /// Rung when there may be something to hand out.
    pub news: Notify,
    state: Mutex<State>,
    /// Held while rows are chosen and read, so that two subscriptions never choose the same.
    choosing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Every entry up to this one was handed out, or is in one of the sets.
    cursor: i64,
    /// Entries up to this one were handed out before the file was opened.
    before: i64,
    /// Handed out and not settled by whoever had them.
    again: BTreeSet<i64>,
    /// Failed, and due later.
    delayed: BTreeSet<(Instant, i64)>,
    /// In somebody's hands.
    in_flight: u64,
}

/// An entry on its way to a subscription.
#[derive(Debug)]
pub(super) struct Entry {
    pub seq: i64,
    pub id: EventId,
    pub body: Vec<u8>,
    pub failures: u32,
    pub redelivered: bool,
    /// How long it may not be handed out yet.
    wait: Duration,
}

/// What one reading found.
struct Reading {
    entries: Vec<Entry>,
    early: Vec<(Duration, i64)>,
    cursor: i64,
}

impl Lane {
    pub fn new(queue: Queue, handed_out: i64) -> Self {
        let state =
            State { cursor: 0, before: handed_out, again: BTreeSet::new(), delayed: BTreeSet::new(), in_flight: 0 };
        Self {
            queue,
            sql: Statements::new(queue),
            news: Notify::new(),
            state: Mutex::new(state),
            choosing: tokio::sync::Mutex::new(()),
        }
    }

    /// Takes up to `room` entries in the order of publishing, retries that are due among them.
    ///
    /// Cancel-safe: nothing changes before the last await, and nothing is awaited after it.
    pub async fn take(
        self: &std::sync::Arc<Self>,
        database: &Database,
        room: usize,
    ) -> Result<Vec<Entry>, SqliteError> {
        let _choosing = self.choosing.lock().await;
        let (again, due, cursor) = {
            let state = self.state();
            let now = Instant::now();
            let again: Vec<i64> = state.again.iter().copied().take(room).collect();
            let due: Vec<(Instant, i64)> =
                state.delayed.iter().copied().take_while(|(at, _)| *at <= now).take(room - again.len()).collect();
            (again, due, state.cursor)
        };
        let (lane, chosen, chosen_due) = (std::sync::Arc::clone(self), again.clone(), due.clone());
        let reading = database.read(move |c| lane.read(c, &chosen, &chosen_due, cursor, room)).await?;

        let mut state = self.state();
        for seq in &again {
            state.again.remove(seq);
        }
        for key in &due {
            state.delayed.remove(key);
        }
        let now = Instant::now();
        state.delayed.extend(reading.early.into_iter().map(|(wait, seq)| (now + wait, seq)));
        state.in_flight += reading.entries.len() as u64;
        if reading.cursor > state.cursor {
            state.cursor = reading.cursor;
            // Not waited for: a kill within this commit costs the mark `redelivered` only.
            let hand_out = self.sql.hand_out.clone();
            database.post(move |c| c.prepare_cached(&hand_out)?.execute([reading.cursor]).map(drop));
        }
        Ok(reading.entries)
    }

    /// When the next retry is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.state().delayed.first().map(|(at, _)| *at)
    }

    pub fn in_flight(&self) -> u64 {
        self.state().in_flight
    }

    /// Entries leave the hands of a subscription: some come again at once, some later, the rest is gone.
    pub fn release(&self, count: usize, again: &[i64], later: &[(Instant, i64)]) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(count as u64);
        state.again.extend(again);
        state.delayed.extend(later);
        drop(state);
        if !again.is_empty() || !later.is_empty() {
            self.news.notify_waiters();
        }
    }

    fn read(
        &self,
        connection: &Connection,
        again: &[i64],
        due: &[(Instant, i64)],
        cursor: i64,
        room: usize,
    ) -> Result<Reading, SqliteError> {
        let before = self.state().before;
        let now = jiff::Timestamp::now().as_microsecond();
        let mut reading = Reading { entries: Vec::new(), early: Vec::new(), cursor };
        let mut one = connection.prepare_cached(&self.sql.one)?;
        for seq in again.iter().chain(due.iter().map(|(_, seq)| seq)) {
            // No row: a settlement whose caller did not wait for its end.
            let Some(row) = one.query([seq])?.next()?.map(|row| entry(row, now)).transpose()? else { continue };
            let came_back = again.contains(&row.seq);
            if came_back && !row.wait.is_zero() {
                reading.early.push((row.wait, row.seq));
            } else {
                reading.entries.push(Entry { redelivered: came_back, ..row });
            }
        }
        let mut after = connection.prepare_cached(&self.sql.after)?;
        while reading.entries.len() < room {
            let wanted = room - reading.entries.len();
            let mut rows = after.query((reading.cursor, i64::try_from(wanted).unwrap_or(i64::MAX)))?;
            let mut found = 0;
            while let Some(row) = rows.next()? {
                let row = entry(row, now)?;
                found += 1;
                reading.cursor = row.seq;
                if row.wait.is_zero() {
                    reading.entries.push(Entry { redelivered: row.seq <= before, ..row });
                } else {
                    reading.early.push((row.wait, row.seq));
                }
            }
            if found < wanted {
                break;
            }
        }
        Ok(reading)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(row: &Row<'_>, now: i64) -> Result<Entry, SqliteError> {
    let id: [u8; 16] =
        row.get_ref(1)?.as_blob().ok().and_then(|id| id.try_into().ok()).ok_or(SqliteError::Unreadable("event id"))?;
    let failed_at: Option<i64> = row.get(4)?;
    let not_before: Option<i64> = row.get(5)?;
    // Never longer than was asked for, whatever the wall clock has done since.
    let wait = match (failed_at, not_before) {
        (Some(failed_at), Some(not_before)) => (not_before - now).min(not_before - failed_at),
        _ => 0,
    };
    Ok(Entry {
        seq: row.get(0)?,
        id: EventId::from_bytes(id),
        body: row.get(2)?,
        failures: row.get(3)?,
        redelivered: false,
        wait: Duration::from_micros(u64::try_from(wait).unwrap_or(0)),
    })
}
