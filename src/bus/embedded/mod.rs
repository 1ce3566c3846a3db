//! The bus of one machine: a durable queue in the SQLite file that the store shares.
//!
//! An event is durable when [`Bus::publish`] returns, stays until its settlement is durable, and may
//! come twice but never not at all. One `EmbeddedBus` per file: who holds what is known in memory only
//! (the lock on the data directory keeps a second process away). After a restart everything pending
//! comes again; `redelivered` is then set for what was handed out, except for what was handed out in
//! the last fraction of a millisecond before a kill.

mod dead;
mod lane;
mod schema;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use super::{BusError, topology};
use crate::domain::{EventId, EventType};
use crate::fault::AnyFault;
use crate::ports::{Bus, DeadLetter, Deliveries, Outgoing, Queue, QueueDepth};
use crate::sqlite::{Database, SqliteError};
use lane::Lane;
pub use schema::MIGRATIONS;
use subscription::Subscription;

/// The embedded bus; clones share it.
#[derive(Debug, Clone)]
pub struct EmbeddedBus {
    database: Database,
    lanes: [Arc<Lane>; Queue::ALL.len()],
    /// The last place given in any queue; a place is never given twice, or a settlement of one entry
    /// could meet another.
    last: Arc<AtomicI64>,
    bindings: fn(EventType) -> &'static [Queue],
}

/// Rings the queues when it is dropped. It travels through the write, so that they ring after the
/// commit even if the publisher no longer waits.
struct Ring(Vec<Arc<Lane>>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.iter().for_each(|lane| lane.news.notify_waiters());
    }
}

impl EmbeddedBus {
    /// The bus in this file, which was opened with [`MIGRATIONS`].
    ///
    /// # Errors
    /// Those of [`Database::read`].
    pub async fn open(database: Database) -> Result<Self, BusError> {
        Self::with_bindings(database, topology::queues).await
    }

    /// As [`EmbeddedBus::open`], with other bindings: for tests of what is unroutable.
    ///
    /// # Errors
    /// Those of [`Database::read`].
    #[doc(hidden)]
    pub async fn with_bindings(
        database: Database,
        bindings: fn(EventType) -> &'static [Queue],
    ) -> Result<Self, BusError> {
        let (lanes, last) = database
            .read(|c| {
                let mut last = 0;
                let mut lanes = Vec::new();
                for queue in Queue::ALL {
                    let sql = schema::Statements::new(queue);
                    let highest: i64 = c.query_row(&sql.highest, [], |row| row.get(0))?;
                    let handed_out: i64 = c.query_row(&sql.handed_out, [], |row| row.get(0))?;
                    last = last.max(highest).max(handed_out);
                    lanes.push(handed_out);
                }
                Ok::<_, rusqlite::Error>((lanes, last))
            })
            .await?;
        let lane = |index: usize| Arc::new(Lane::new(Queue::ALL[index], lanes[index]));
        Ok(Self { database, lanes: std::array::from_fn(lane), last: Arc::new(AtomicI64::new(last)), bindings })
    }

    fn lane(&self, queue: Queue) -> &Arc<Lane> {
        let index = match queue {
            Queue::Archive => 0,
            Queue::Analyze => 1,
            Queue::Mirror => 2,
        };
        &self.lanes[index]
    }
}

/// One entry to be.
struct Placed {
    lane: Arc<Lane>,
    id: EventId,
    kind: EventType,
    body: Vec<u8>,
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut entries = Vec::with_capacity(batch.len());
        for event in batch {
            let queues = (self.bindings)(event.kind);
            if queues.is_empty() {
                outcomes.push(Err(BusError::Unroutable(event.kind).into()));
                continue;
            }
            entries.extend(queues.iter().map(|queue| Placed {
                lane: Arc::clone(self.lane(*queue)),
                id: event.id,
                kind: event.kind,
                body: event.body.clone(),
            }));
            outcomes.push(Ok(()));
        }
        if !entries.is_empty() {
            let last = Arc::clone(&self.last);
            let ring = Ring(self.lanes.to_vec());
            self.database
                .write(move |c| {
                    for entry in &entries {
                        let seq = last.fetch_add(1, Ordering::Relaxed) + 1;
                        c.prepare_cached(&entry.lane.sql.insert)?.execute((
                            seq,
                            entry.id.as_bytes(),
                            entry.kind.as_str(),
                            &entry.body,
                        ))?;
                    }
                    Ok::<_, rusqlite::Error>(ring)
                })
                .await
                .map_err(BusError::from)?;
        }
        Ok(outcomes)
    }

    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        Ok(Box::new(Subscription::new(self.database.clone(), Arc::clone(self.lane(queue)), prefetch)))
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        let lanes = self.lanes.clone();
        let depths = self.database.read(move |c| {
            lanes
                .iter()
                .map(|lane| {
                    let pending: i64 = c.prepare_cached(&lane.sql.count)?.query_row([], |row| row.get(0))?;
                    let pending = pending.cast_unsigned();
                    let in_flight = lane.in_flight().min(pending);
                    Ok(QueueDepth { queue: lane.queue, ready: pending - in_flight, in_flight, consumers: None })
                })
                .collect::<Result<Vec<_>, rusqlite::Error>>()
        });
        Ok(depths.await.map_err(BusError::from)?)
    }

    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        let count = self
            .database
            .read(|c| c.query_row("SELECT count(*) FROM dead_letters", [], |row| row.get::<_, i64>(0)))
            .await
            .map_err(BusError::from)?;
        Ok(count.cast_unsigned())
    }

    async fn probe(&self) -> Result<(), AnyFault> {
        // Written, read and taken back within one transaction, which is as durable as any.
        let write = |c: &rusqlite::Connection| {
            let table = schema::table(Queue::Archive);
            let (id, body) = ([0_u8; 16], b"probe".as_slice());
            c.execute(&format!("INSERT INTO {table} (seq, id, kind, body) VALUES (-1, ?1, 'probe', ?2)"), (id, body))?;
            let read: Vec<u8> =
                c.query_row(&format!("SELECT body FROM {table} WHERE seq = -1"), [], |row| row.get(0))?;
            c.execute(&format!("DELETE FROM {table} WHERE seq = -1"), [])?;
            if read == body { Ok(()) } else { Err(SqliteError::Unreadable("event")) }
        };
        Ok(self.database.write(write).await.map_err(BusError::from)?)
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        Ok(Self::list_dead(self).await?)
    }

    async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Ok(Self::replay_dead(self, ids).await?)
    }

    async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Ok(Self::drop_dead(self, ids).await?)
    }
}
