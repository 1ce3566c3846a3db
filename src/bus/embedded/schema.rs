//! The tables of the embedded bus, and the statements on them.
//!
//! One table per queue: an entry is there as long as it is pending and its row is its place in the
//! order. There is no state column, since marking a row costs as much as deleting it (measured: three
//! times slower to process). A body is stored once per queue that wants it, which today is one.

use crate::ports::Queue;
use crate::sqlite::Migration;

/// The component `bus`.
pub const MIGRATIONS: &[Migration] = &[Migration {
    component: "bus",
    version: 1,
    sql: "
CREATE TABLE bus_archive (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, first_failed_at INTEGER, failed_at INTEGER, not_before INTEGER,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE bus_analyze (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, first_failed_at INTEGER, failed_at INTEGER, not_before INTEGER,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE bus_mirror (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, first_failed_at INTEGER, failed_at INTEGER, not_before INTEGER,
    body BLOB NOT NULL
) STRICT;
-- Up to which entry a queue has handed out; what is still pending below it was in somebody's hands.
CREATE TABLE bus_handed_out (queue TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
    id BLOB NOT NULL, queue TEXT NOT NULL, kind TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    failures INTEGER NOT NULL, first_failed_at INTEGER NOT NULL, failed_at INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (queue, id)
) STRICT;",
}];

/// The statements on one queue's table; times are microseconds since 1970 UTC.
#[derive(Debug)]
pub(super) struct Statements {
    /// (seq, id, kind, body). The conflict is named, so that any other conflict is an error and no loss.
    pub insert: String,
    /// (after seq, limit) → seq, id, body, failures, failed_at, not_before.
    pub after: String,
    /// (seq) → the same columns.
    pub one: String,
    /// (first seq, last seq).
    pub delete: String,
    /// (seq, now, not before).
    pub retry: String,
    /// (seq, now, not before): `failed_at` is the moment from which the wait counts, also without a failure.
    pub wait: String,
    /// (seq, code, reason, now).
    pub bury: String,
    /// → seq, the highest ever used.
    pub highest: String,
    /// (seq): only forward.
    pub hand_out: String,
    /// → seq.
    pub handed_out: String,
    /// → count.
    pub count: String,
}

impl Statements {
    pub fn new(queue: Queue) -> Self {
        let table = table(queue);
        let name = queue.as_str();
        let columns = "seq, id, body, failures, failed_at, not_before";
        Self {
            insert: format!(
                "INSERT INTO {table} (seq, id, kind, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING"
            ),
            after: format!("SELECT {columns} FROM {table} WHERE seq > ?1 ORDER BY seq LIMIT ?2"),
            one: format!("SELECT {columns} FROM {table} WHERE seq = ?1"),
            delete: format!("DELETE FROM {table} WHERE seq BETWEEN ?1 AND ?2"),
            retry: format!(
                "UPDATE {table} SET failures = failures + 1, first_failed_at = coalesce(first_failed_at, ?2),
                    failed_at = ?2, not_before = ?3 WHERE seq = ?1"
            ),
            wait: format!("UPDATE {table} SET failed_at = ?2, not_before = ?3 WHERE seq = ?1"),
            bury: format!(
                "INSERT INTO dead_letters (id, queue, kind, code, reason, failures, first_failed_at, failed_at, body)
                 SELECT id, '{name}', kind, ?2, ?3, failures + 1, coalesce(first_failed_at, ?4), ?4, body
                 FROM {table} WHERE seq = ?1
                 ON CONFLICT (queue, id) DO UPDATE SET code = excluded.code, reason = excluded.reason,
                    failures = dead_letters.failures + excluded.failures, failed_at = excluded.failed_at,
                    body = excluded.body"
            ),
            highest: format!("SELECT coalesce(max(seq), 0) FROM {table}"),
            hand_out: format!(
                "INSERT INTO bus_handed_out (queue, seq) VALUES ('{name}', ?1)
                 ON CONFLICT (queue) DO UPDATE SET seq = max(seq, excluded.seq)"
            ),
            handed_out: format!("SELECT coalesce(max(seq), 0) FROM bus_handed_out WHERE queue = '{name}'"),
            count: format!("SELECT count(*) FROM {table}"),
        }
    }
}

/// The table of a queue's pending entries.
pub(super) const fn table(queue: Queue) -> &'static str {
    match queue {
        Queue::Archive => "bus_archive",
        Queue::Analyze => "bus_analyze",
        Queue::Mirror => "bus_mirror",
    }
}
