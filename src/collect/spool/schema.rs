//! The tables of the spool.

use crate::sqlite::Migration;

/// Every version of the tables.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    component: "spool",
    version: 1,
    sql: "
        -- What is known of each conversation: the cursor.
        CREATE TABLE conversation (
            key        BLOB PRIMARY KEY,
            account    TEXT NOT NULL,
            complete   INTEGER NOT NULL,
            row_digest BLOB,
            open_gap   TEXT
        ) WITHOUT ROWID;
        -- Every message captured: its content hash tells an edit from a repetition.
        CREATE TABLE captured (
            conversation BLOB NOT NULL,
            key          BLOB NOT NULL,
            content      BLOB NOT NULL,
            revision     INTEGER NOT NULL,
            position     INTEGER NOT NULL,
            PRIMARY KEY (conversation, key)
        ) WITHOUT ROWID;
        -- Events that the bus has not confirmed.
        CREATE TABLE pending (
            seq  INTEGER PRIMARY KEY AUTOINCREMENT,
            id   BLOB NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            site TEXT NOT NULL,
            body BLOB NOT NULL
        );
        -- Gaps that the store has not recorded; `closed_us` set: to be closed there.
        CREATE TABLE gap (
            seq          INTEGER PRIMARY KEY AUTOINCREMENT,
            account      TEXT NOT NULL,
            conversation BLOB NOT NULL,
            reason       TEXT NOT NULL,
            seen_from_us INTEGER,
            since_us     INTEGER NOT NULL,
            closed_us    INTEGER
        );
        CREATE TABLE login (account TEXT NOT NULL, at_us INTEGER NOT NULL);
        -- Drifts that were told, so that each is told once.
        CREATE TABLE drift (account TEXT NOT NULL, field TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (account, field)) WITHOUT ROWID;
    ",
}, Migration {
    component: "spool",
    version: 2,
    sql: "
        -- Under which lease a gap was seen: the store refuses what a late owner tells.
        ALTER TABLE gap ADD COLUMN epoch INTEGER;
        -- Under which lease a conversation was last read: under a later one the store may know more of it.
        ALTER TABLE conversation ADD COLUMN epoch INTEGER;
    ",
}, Migration {
    component: "spool",
    version: 3,
    sql: "
        -- The time that its last reading went by: the next one goes by a later one, whatever the clock says.
        ALTER TABLE conversation ADD COLUMN observed_us INTEGER;
    ",
}, Migration {
    component: "orders",
    version: 1,
    sql: "
        -- With what an account was tried when it was parked: a keyed hash of its credentials, and its pack.
        CREATE TABLE park (account TEXT PRIMARY KEY, salt BLOB NOT NULL, credentials BLOB NOT NULL, pack TEXT NOT NULL) WITHOUT ROWID;
        -- Accounts that a person wants read as a whole.
        CREATE TABLE recollect (account TEXT PRIMARY KEY, since_us INTEGER) WITHOUT ROWID;
    ",
}, Migration {
    component: "spool",
    version: 4,
    sql: "
        -- What is remembered of watching each account: until when, what is missing since, its habit.
        CREATE TABLE watch (account TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
    ",
}];
