//! Dead letters: what no retry could help, kept for a human with the reason.
//!
//! Only a person takes one away, by replaying or dropping it. A replay is harmless to repeat: the
//! event keeps its id, and every consumer knows what it has done before.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::Row;

use super::EmbeddedBus;
use crate::bus::BusError;
use crate::domain::EventId;
use crate::ports::{DeadLetter, Queue};
use crate::sqlite::SqliteError;

impl EmbeddedBus {
    /// The dead letters, the oldest failure first.
    ///
    /// # Errors
    /// Those of [`crate::sqlite::Database::read`].
    pub async fn list_dead(&self) -> Result<Vec<DeadLetter>, BusError> {
        let list = "SELECT id, queue, kind, code, reason, failures, first_failed_at, failed_at, body
                    FROM dead_letters ORDER BY failed_at, rowid";
        let letters = self.database.read(move |c| {
            let mut letters = Vec::new();
            let mut statement = c.prepare_cached(list)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                letters.push(letter(row)?);
            }
            Ok::<_, SqliteError>(letters)
        });
        Ok(letters.await?)
    }

    /// Puts dead letters back at the end of their queues, with no failure counted; returns how many
    /// there were. An id that is no dead letter is passed over.
    ///
    /// # Errors
    /// Those of [`crate::sqlite::Database::write`]; then none was moved.
    pub async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, BusError> {
        let (ids, lanes, last) = (ids.to_vec(), self.lanes.clone(), std::sync::Arc::clone(&self.last));
        let ring = super::Ring(self.lanes.to_vec());
        let (moved, _ring) = self
            .database
            .write(move |c| {
                let mut moved = 0;
                for id in &ids {
                    for lane in &lanes {
                        let key = (id.as_bytes(), lane.queue.as_str());
                        let back = format!(
                            "INSERT INTO {} (seq, id, kind, body)
                             SELECT ?3, id, kind, body FROM dead_letters WHERE id = ?1 AND queue = ?2
                             ON CONFLICT (id) DO NOTHING",
                            super::schema::table(lane.queue)
                        );
                        let seq = last.fetch_add(1, Ordering::Relaxed) + 1;
                        c.prepare_cached(&back)?.execute((key.0, key.1, seq))?;
                        moved += c.execute("DELETE FROM dead_letters WHERE id = ?1 AND queue = ?2", key)? as u64;
                    }
                }
                Ok::<_, rusqlite::Error>((moved, ring))
            })
            .await?;
        Ok(moved)
    }

    /// Forgets dead letters for good; returns how many there were.
    ///
    /// # Errors
    /// Those of [`crate::sqlite::Database::write`]; then none was dropped.
    pub async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, BusError> {
        let ids = ids.to_vec();
        let dropped = self.database.write(move |c| {
            ids.iter().try_fold(0, |dropped, id| {
                let count = c.execute("DELETE FROM dead_letters WHERE id = ?1", [id.as_bytes()])?;
                Ok::<_, rusqlite::Error>(dropped + count as u64)
            })
        });
        Ok(dropped.await?)
    }
}

fn letter(row: &Row<'_>) -> Result<DeadLetter, SqliteError> {
    let time = |column| {
        let micros: i64 = row.get(column)?;
        Timestamp::from_microsecond(micros).map_err(|_| SqliteError::Unreadable("time"))
    };
    let name: String = row.get(1)?;
    Ok(DeadLetter {
        id: EventId::from_bytes(row.get(0)?),
        queue: Queue::ALL.into_iter().find(|q| q.as_str() == name).ok_or(SqliteError::Unreadable("queue name"))?,
        kind: row.get(2)?,
        code: row.get(3)?,
        reason: row.get(4)?,
        failures: row.get(5)?,
        first_failed_at: time(6)?,
        failed_at: time(7)?,
        failed_on: None,
        body: row.get(8)?,
    })
}
