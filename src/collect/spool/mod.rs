//! The durable outbox of the collectors: what was captured and not yet confirmed, and what is known.
//!
//! One transaction takes a conversation's new messages, what is known of it, and its gaps: after a
//! kill -9 all of it is there, or none and the next pass reads it again. The spool is a cache of the
//! store's truth: without it everything is read once more, and what the store does not hold is
//! published.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;
use tokio::time::Instant;

mod account;
mod capture;
mod parks;
mod schema;
mod watching;

pub use capture::{Capture, Cursor, Known, Pending, PendingGap, Recalled};
pub use parks::Tried;
pub use watching::WatchMemory;

use super::error::CollectError;
use crate::domain::{AccountId, ConversationKey, Envelope, EventId, EventType, Gap, GapReason, MessageKey};
use crate::fault::AnyFault;
use crate::lifecycle::Room;
use crate::ports::{Backlog, Outgoing};
use crate::sqlite::{Database, SqliteError};

/// Its file in the data directory.
pub const FILE: &str = "spool.db";

/// The spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    db: Database,
    /// Count what would be kept, and keep nothing.
    dry_run: bool,
    would_publish: AtomicU64,
    /// Logins of this process, by the monotonic clock.
    logins: Mutex<HashMap<AccountId, Vec<Instant>>>,
    /// Wakes the relay.
    pub news: Notify,
}

impl Spool {
    /// Opens `spool.db` in the data directory. In a dry run captures are counted and dropped; only
    /// logins are noted, because they happen.
    ///
    /// # Errors
    /// Those of an embedded database file: damaged, full, not ours.
    pub fn open(data_dir: &Path, dry_run: bool) -> Result<Self, CollectError> {
        let db = Database::open(&data_dir.join(FILE), schema::MIGRATIONS)?;
        let folder = data_dir.to_owned();
        Ok(Self {
            folder,
            db,
            dry_run,
            would_publish: AtomicU64::new(0),
            logins: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Says no while the disk has so little room that nothing more may be collected.
    ///
    /// # Errors
    /// `disk-full`, retryable. A disk that can't be asked is found out by whoever writes.
    pub fn refuse_full(&self) -> Result<(), CollectError> {
        match Room::of(&self.folder) {
            Ok(Room { free, floor }) if free < floor => Err(CollectError::DiskFull { free, floor }),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// How many events a dry run would have published.
    pub fn would_publish(&self) -> u64 {
        self.would_publish.load(Ordering::Relaxed)
    }

    /// What is known of a conversation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cursor(&self, key: ConversationKey) -> Result<Cursor, CollectError> {
        let read = move |connection: &Connection| -> Result<Cursor, SqliteError> {
            let head = connection
                .prepare_cached(
                    "SELECT complete, row_digest, open_gap, epoch, observed_us FROM conversation WHERE key = ?1",
                )?
                .query_row([key.as_bytes()], |row| {
                    let (gap, epoch): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
                    Ok((row.get(0)?, row.get(1)?, gap, epoch, row.get::<_, Option<i64>>(4)?))
                })
                .optional()?;
            let Some((complete, row_digest, open_gap, epoch, observed)) = head else { return Ok(Cursor::default()) };
            let open_gap = open_gap.and_then(|word| GapReason::parse(&word));
            let mut statement = connection
                .prepare_cached("SELECT key, content, revision, position FROM captured WHERE conversation = ?1")?;
            let mut rows = statement.query([key.as_bytes()])?;
            let mut messages = HashMap::new();
            while let Some(row) = rows.next()? {
                let key: Vec<u8> = row.get(0)?;
                if let Some(key) = MessageKey::from_bytes(&key) {
                    messages.insert(key, Known { content: row.get(1)?, revision: row.get(2)?, position: row.get(3)? });
                }
            }
            let epoch = epoch.map(i64::cast_unsigned);
            let observed_at = observed.and_then(|micros| Timestamp::from_microsecond(micros).ok());
            Ok(Cursor { complete, row_digest, open_gap, messages, epoch, observed_at, recalled: None })
        };
        Ok(self.db.read(read).await?)
    }

    /// Takes in what a reading found, all of it or nothing, durably.
    ///
    /// # Errors
    /// `disk-full` if there is too little room; those of the database.
    pub async fn commit(&self, capture: Capture) -> Result<(), CollectError> {
        if self.dry_run {
            self.would_publish.fetch_add(capture.events.len() as u64, Ordering::Relaxed);
            return Ok(());
        }
        self.refuse_full()?;
        let mut events = Vec::with_capacity(capture.events.len());
        for (envelope, key, known) in &capture.events {
            events.push((queued(envelope)?, *key, *known));
        }
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            let conversation = capture.conversation.key;
            connection
                .prepare_cached(
                    "INSERT INTO conversation (key, account, complete, row_digest, open_gap, epoch, observed_us)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (key) DO UPDATE SET complete = excluded.complete, row_digest = excluded.row_digest,
                         open_gap = excluded.open_gap, epoch = coalesce(excluded.epoch, epoch),
                         observed_us = excluded.observed_us",
                )?
                .execute(params![
                    conversation.as_bytes(),
                    capture.account.to_string(),
                    capture.complete,
                    capture.row_digest,
                    capture.open_gap.map(GapReason::as_str),
                    capture.epoch.filter(|_| capture.recalled.is_some()).map(u64::cast_signed),
                    capture.observed_at.as_microsecond(),
                ])?;
            let mut remember = connection.prepare_cached(
                "INSERT INTO captured (conversation, key, content, revision, position) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (conversation, key) DO UPDATE SET content = excluded.content, revision = excluded.revision, position = excluded.position",
            )?;
            // What was read now stands after, and over, what was recalled.
            let recalled = capture.recalled.iter().flatten().map(|(key, known)| (key, known));
            for (key, known) in recalled.chain(events.iter().map(|(_, key, known)| (key, known))) {
                let Known { content, revision, position } = known;
                remember.execute(params![conversation.as_bytes(), key.to_bytes(), content, revision, position])?;
            }
            for (event, ..) in &events {
                insert_pending(connection, event)?;
            }
            for gap in &capture.gaps {
                insert_gap(connection, gap, capture.epoch)?;
            }
            Ok(())
        };
        self.db.write(write).await?;
        self.news.notify_one();
        Ok(())
    }

    /// Takes in a single event.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn enqueue(&self, envelope: &Envelope) -> Result<(), CollectError> {
        if self.dry_run {
            return Ok(());
        }
        let event = queued(envelope)?;
        self.db.write(move |connection| insert_pending(connection, &event)).await?;
        self.news.notify_one();
        Ok(())
    }

    /// The oldest events that wait and stand behind `after` (0: all), at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<Pending>, CollectError> {
        let read = move |connection: &Connection| -> Result<Vec<Pending>, SqliteError> {
            let mut statement = connection
                .prepare_cached("SELECT seq, id, kind, site, body FROM pending WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = statement.query(params![after, limit])?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                let (kind, site): (String, String) = (row.get(2)?, row.get(3)?);
                // Both were written by us from these types; anything else is a foreign hand's row.
                if let (Some(kind), Ok(site)) = (EventType::parse(&kind), site.parse()) {
                    let outgoing = Outgoing { id: EventId::from_bytes(row.get(1)?), kind, site, body: row.get(4)? };
                    list.push(Pending { seq: row.get(0)?, outgoing });
                }
            }
            Ok(list)
        };
        Ok(self.db.read(read).await?)
    }

    /// Forgets events that the bus has confirmed, given in the order of the spool.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn confirmed(&self, seqs: Vec<i64>) -> Result<(), CollectError> {
        if seqs.is_empty() {
            return Ok(());
        }
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            let mut statement = connection.prepare_cached("DELETE FROM pending WHERE seq BETWEEN ?1 AND ?2")?;
            // A run of neighbours is one statement: every number in it was confirmed.
            for run in seqs.chunk_by(|a, b| a + 1 == *b) {
                statement.execute(params![run[0], run[run.len() - 1]])?;
            }
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Gaps that the store should hear of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn gaps(&self) -> Result<Vec<PendingGap>, CollectError> {
        let read = |connection: &Connection| -> Result<Vec<PendingGap>, SqliteError> {
            let mut statement = connection.prepare_cached(
                "SELECT seq, account, conversation, reason, seen_from_us, since_us, closed_us, epoch FROM gap ORDER BY seq LIMIT 1000",
            )?;
            let mut rows = statement.query([])?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                let (account, reason): (String, String) = (row.get(1)?, row.get(3)?);
                if let (Ok(account), Some(reason)) = (account.parse(), GapReason::parse(&reason)) {
                    let gap = Gap {
                        account,
                        conversation: Gap::conversation_of(ConversationKey::from_bytes(row.get(2)?), reason),
                        reason,
                        seen_from: row.get::<_, Option<i64>>(4)?.and_then(time),
                        since: time(row.get(5)?).unwrap_or_default(),
                        closed_at: row.get::<_, Option<i64>>(6)?.and_then(time),
                    };
                    let epoch = row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned);
                    list.push(PendingGap { seq: row.get(0)?, gap, epoch });
                }
            }
            Ok(list)
        };
        Ok(self.db.read(read).await?)
    }

    /// Forgets gaps that the store has recorded.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn gaps_recorded(&self, up_to: i64) -> Result<(), CollectError> {
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection.execute("DELETE FROM gap WHERE seq <= ?1", [up_to])?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Closes the file: everything is in it, and no `-wal` is left behind.
    pub async fn close(&self) {
        self.db.clone().close().await;
    }
}

#[async_trait]
impl Backlog for Spool {
    async fn pending(&self) -> Result<u64, AnyFault> {
        let count = |connection: &Connection| -> Result<u64, SqliteError> {
            let sql = "SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM gap)";
            let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        Ok(self.db.read(count).await?)
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, AnyFault> {
        let read = |connection: &Connection| -> Result<Option<String>, SqliteError> {
            let sql = "SELECT json_extract(CAST(body AS TEXT), '$.time') FROM pending ORDER BY seq LIMIT 1";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.flatten())
        };
        Ok(self.db.read(read).await?.and_then(|time| time.parse().ok()))
    }

    async fn captured(&self) -> Result<u64, AnyFault> {
        let count = |connection: &Connection| -> Result<u64, SqliteError> {
            let count: i64 =
                connection.prepare_cached("SELECT count(*) FROM captured")?.query_row([], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        Ok(self.db.read(count).await?)
    }
}

fn queued(envelope: &Envelope) -> Result<Outgoing, CollectError> {
    Ok(Outgoing {
        id: envelope.id,
        kind: envelope.event.kind(),
        site: envelope.event.account().site().clone(),
        body: envelope.to_json()?,
    })
}

fn insert_pending(connection: &Connection, event: &Outgoing) -> Result<(), SqliteError> {
    connection
        .prepare_cached(
            "INSERT INTO pending (id, kind, site, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![event.id.as_bytes(), event.kind.as_str(), event.site.as_str(), event.body])?;
    Ok(())
}

fn insert_gap(connection: &Connection, gap: &Gap, epoch: Option<u64>) -> Result<(), SqliteError> {
    connection
        .prepare_cached("INSERT INTO gap (account, conversation, reason, seen_from_us, since_us, closed_us, epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            gap.account.to_string(),
            gap.subject().as_bytes(),
            gap.reason.as_str(),
            gap.seen_from.map(Timestamp::as_microsecond),
            gap.since.as_microsecond(),
            gap.closed_at.map(Timestamp::as_microsecond),
            epoch.map(u64::cast_signed),
        ])?;
    Ok(())
}

fn time(microseconds: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(microseconds).ok()
}
