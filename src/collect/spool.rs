//! The durable outbox of the collectors: what was captured and not yet confirmed, and what is known.
//!
//! One transaction takes a conversation's new messages, what is known of it, and its gaps: after a
//! kill -9 all of it is there, or none and the next pass reads it again. The spool is a cache of the
//! store's truth: without it everything is read and published once more, and the store drops the
//! repetitions.

mod schema;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;

use super::error::CollectError;
use crate::domain::conversation::ConversationRef;
use crate::domain::{AccountId, ConversationKey, Envelope, Event, EventId, EventType, Gap, GapReason, MessageKey};
use crate::fault::AnyFault;
use crate::ports::{Backlog, Outgoing};
use crate::sqlite::{Database, SqliteError};
use schema::MIGRATIONS;

/// What the spool remembers of one captured message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Hash of what a reader would notice.
    pub content: [u8; 16],
    /// How often the content changed.
    pub revision: u32,
    /// Where it stands.
    pub position: i64,
}

/// What is known of a conversation before it is read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Its history was once read back to its start, as far as the site shows it.
    pub complete: bool,
    /// Hash of its row in the list when it was last read.
    pub row_digest: Option<[u8; 16]>,
    /// Its messages.
    pub messages: HashMap<MessageKey, Known>,
}

/// What one reading of a conversation found.
#[derive(Debug)]
pub struct Capture {
    /// The account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationRef,
    /// True if the history was read back to its start.
    pub complete: bool,
    /// Hash of its row in the list; `None`: read it again next time, whatever the row shows.
    pub row_digest: Option<[u8; 16]>,
    /// New and changed messages as events, oldest first, with what to remember of each.
    pub events: Vec<(Envelope, MessageKey, Known)>,
    /// What could not be seen; `closed_at` set: what can be seen again.
    pub gaps: Vec<Gap>,
}

/// An event that waits for its confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the spool.
    pub seq: i64,
    /// The event.
    pub outgoing: Outgoing,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    db: Database,
    /// Count what would be kept, and keep nothing.
    dry_run: bool,
    would_publish: AtomicU64,
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
        let db = Database::open(&data_dir.join("spool.db"), MIGRATIONS)?;
        Ok(Self { db, dry_run, would_publish: AtomicU64::new(0), news: Notify::new() })
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
                .prepare_cached("SELECT complete, row_digest FROM conversation WHERE key = ?1")?
                .query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((complete, row_digest)) = head else { return Ok(Cursor::default()) };
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
            Ok(Cursor { complete, row_digest, messages })
        };
        Ok(self.db.read(read).await?)
    }

    /// Takes in what a reading found, all of it or nothing, durably.
    ///
    /// # Errors
    /// Those of the database; retryable if the disk is full.
    pub async fn commit(&self, capture: Capture) -> Result<(), CollectError> {
        if self.dry_run {
            self.would_publish.fetch_add(capture.events.len() as u64, Ordering::Relaxed);
            return Ok(());
        }
        let mut events = Vec::with_capacity(capture.events.len());
        for (envelope, key, known) in &capture.events {
            events.push((queued(envelope)?, *key, *known));
        }
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            let conversation = capture.conversation.key;
            connection
                .prepare_cached(
                    "INSERT INTO conversation (key, account, complete, row_digest) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (key) DO UPDATE SET complete = complete OR excluded.complete, row_digest = excluded.row_digest",
                )?
                .execute(params![conversation.as_bytes(), capture.account.to_string(), capture.complete, capture.row_digest])?;
            let mut remember = connection.prepare_cached(
                "INSERT INTO captured (conversation, key, content, revision, position) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (conversation, key) DO UPDATE SET content = excluded.content, revision = excluded.revision, position = excluded.position",
            )?;
            for (event, key, known) in &events {
                insert_pending(connection, event)?;
                remember.execute(params![
                    conversation.as_bytes(),
                    key.to_bytes(),
                    known.content,
                    known.revision,
                    known.position
                ])?;
            }
            for gap in &capture.gaps {
                insert_gap(connection, gap)?;
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

    /// Takes in a drift unless the same one was told before; true if it is news.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn enqueue_drift(&self, envelope: &Envelope) -> Result<bool, CollectError> {
        let Event::SelectorsDrifted(drift) = &envelope.event else { return Ok(false) };
        if self.dry_run {
            return Ok(true);
        }
        let (account, field, id) = (drift.account.to_string(), drift.field.clone(), *envelope.id.as_bytes());
        let event = queued(envelope)?;
        let write = move |connection: &Connection| -> Result<bool, SqliteError> {
            let told = connection.execute(
                "INSERT INTO drift (account, field, id) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, field) DO UPDATE SET id = excluded.id WHERE id <> excluded.id",
                params![account, field, id],
            )?;
            if told > 0 {
                insert_pending(connection, &event)?;
            }
            Ok(told > 0)
        };
        let news = self.db.write(write).await?;
        self.news.notify_one();
        Ok(news)
    }

    /// The oldest events that wait, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn oldest(&self, limit: u32) -> Result<Vec<Pending>, CollectError> {
        let read = move |connection: &Connection| -> Result<Vec<Pending>, SqliteError> {
            let mut statement =
                connection.prepare_cached("SELECT seq, id, kind, site, body FROM pending ORDER BY seq LIMIT ?1")?;
            let mut rows = statement.query([limit])?;
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

    /// Forgets events that the bus has confirmed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn confirmed(&self, seqs: Vec<i64>) -> Result<(), CollectError> {
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            let mut statement = connection.prepare_cached("DELETE FROM pending WHERE seq = ?1")?;
            for seq in seqs {
                statement.execute([seq])?;
            }
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Gaps that the store should hear of, with their place in the spool.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn gaps(&self) -> Result<Vec<(i64, Gap)>, CollectError> {
        let read = |connection: &Connection| -> Result<Vec<(i64, Gap)>, SqliteError> {
            let mut statement = connection.prepare_cached(
                "SELECT seq, account, conversation, reason, seen_from_us, since_us, closed_us FROM gap ORDER BY seq LIMIT 1000",
            )?;
            let mut rows = statement.query([])?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                let (account, reason): (String, String) = (row.get(1)?, row.get(3)?);
                if let (Ok(account), Some(reason)) = (account.parse(), GapReason::parse(&reason)) {
                    let gap = Gap {
                        account,
                        conversation: ConversationKey::from_bytes(row.get(2)?),
                        reason,
                        seen_from: row.get::<_, Option<i64>>(4)?.and_then(time),
                        since: time(row.get(5)?).unwrap_or_default(),
                        closed_at: row.get::<_, Option<i64>>(6)?.and_then(time),
                    };
                    list.push((row.get(0)?, gap));
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

    /// Notes a login attempt before it is made, if fewer than `attempts` were made within `window`;
    /// false if the budget is used up.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn spend_login(
        &self,
        account: &AccountId,
        attempts: u32,
        window: Duration,
        now: Timestamp,
    ) -> Result<bool, CollectError> {
        let account = account.to_string();
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN).as_microsecond();
        let write = move |connection: &Connection| -> Result<bool, SqliteError> {
            // Attempts of the future, left by a clock that was set back, count too.
            connection.execute("DELETE FROM login WHERE account = ?1 AND at_us < ?2", params![account, since])?;
            let made: u32 =
                connection.query_row("SELECT count(*) FROM login WHERE account = ?1", [&account], |row| row.get(0))?;
            if made < attempts {
                connection.execute(
                    "INSERT INTO login (account, at_us) VALUES (?1, ?2)",
                    params![account, now.as_microsecond()],
                )?;
            }
            Ok(made < attempts)
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

fn insert_gap(connection: &Connection, gap: &Gap) -> Result<(), SqliteError> {
    connection
        .prepare_cached("INSERT INTO gap (account, conversation, reason, seen_from_us, since_us, closed_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            gap.account.to_string(),
            gap.conversation.as_bytes(),
            gap.reason.as_str(),
            gap.seen_from.map(Timestamp::as_microsecond),
            gap.since.as_microsecond(),
            gap.closed_at.map(Timestamp::as_microsecond),
        ])?;
    Ok(())
}

fn time(microseconds: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(microseconds).ok()
}
