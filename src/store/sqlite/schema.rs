//! The tables of the embedded store.
//!
//! Keys are blobs and times are microseconds since 1970 UTC, which keeps the indices small; words are
//! words, so that a person can read the file with `sqlite3`.

use crate::sqlite::Migration;

/// The component `store`.
pub const MIGRATIONS: &[Migration] = &[
    Migration { component: "store", version: 1, sql: TABLES },
    Migration { component: "store", version: 2, sql: LEASES },
    Migration { component: "store", version: 3, sql: ECONOMY },
    Migration { component: "store", version: 4, sql: TARGETS },
];

const TABLES: &str = "
CREATE TABLE accounts (account TEXT PRIMARY KEY, since INTEGER NOT NULL, document TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The counters are kept in the transaction that changes the messages, so that no reading has to count.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, account TEXT NOT NULL, native_id TEXT NOT NULL,
    title TEXT NOT NULL, title_at INTEGER NOT NULL, messages INTEGER NOT NULL DEFAULT 0,
    last_key BLOB, last_sent_at INTEGER, updated_at INTEGER NOT NULL, first_new_at INTEGER, due_at INTEGER
) STRICT;
CREATE INDEX conversations_newest ON conversations (last_sent_at DESC, key);
CREATE INDEX conversations_of_account ON conversations (account, last_sent_at DESC, key);
CREATE INDEX conversations_due ON conversations (due_at, key) WHERE due_at IS NOT NULL;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY, conversation INTEGER NOT NULL REFERENCES conversations (id), key BLOB NOT NULL,
    position INTEGER NOT NULL,
    revision INTEGER NOT NULL, content BLOB NOT NULL, observed_at INTEGER NOT NULL, origin TEXT NOT NULL,
    direction TEXT NOT NULL, author TEXT NOT NULL, sent_at INTEGER, sent_at_precision TEXT NOT NULL,
    native_id TEXT, attachments TEXT, text TEXT NOT NULL,
    -- A key alone is unique already; with the conversation before it, a batch of one conversation
    -- writes neighbouring pages of the index instead of one page per message.
    UNIQUE (conversation, key)
) STRICT;
CREATE INDEX messages_in_order ON messages (conversation, position, key);

CREATE TABLE analyses (
    id BLOB PRIMARY KEY, conversation BLOB NOT NULL, up_to BLOB NOT NULL, messages INTEGER NOT NULL,
    created_at INTEGER NOT NULL, document TEXT NOT NULL
) STRICT;
CREATE INDEX analyses_latest ON analyses (conversation, messages DESC, created_at DESC, id DESC, up_to);

CREATE TABLE gaps (
    conversation BLOB NOT NULL, reason TEXT NOT NULL, account TEXT NOT NULL, seen_from INTEGER,
    since INTEGER NOT NULL, closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX gaps_open ON gaps (conversation, reason) WHERE closed_at IS NULL;
CREATE INDEX gaps_of_conversation ON gaps (conversation, reason, closed_at);

CREATE TABLE mirror_rows (conversation BLOB PRIMARY KEY, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;";

// A row is never deleted, or the epoch would begin anew; a lease that was given back has no owner. The
// epoch of a state and of a gap is that of the lease under which it was written last.
const LEASES: &str = "
CREATE TABLE leases (
    account TEXT PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL, until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE accounts ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gaps ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;";

// What a process set aside and never settled stays in its purse, and counts as consumed once `until` is
// past: so nothing has to be tidied up for the count to be right. `edits` counts the changes of known
// messages, so that two requests up to one message can be told apart.
const ECONOMY: &str = "
ALTER TABLE conversations ADD COLUMN edits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE analyses ADD COLUMN content BLOB;
ALTER TABLE analyses ADD COLUMN question BLOB;
CREATE INDEX analyses_of_question ON analyses (question) WHERE question IS NOT NULL;
CREATE TABLE spending (
    purse TEXT PRIMARY KEY, calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL, forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_forgotten ON spending (forget_at);
CREATE TABLE reservations (
    purse TEXT NOT NULL, id TEXT NOT NULL, until INTEGER NOT NULL, calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost_micros INTEGER NOT NULL,
    forget_at INTEGER NOT NULL, PRIMARY KEY (purse, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_forgotten ON reservations (forget_at);";

// Of the notes without a target nobody knows what they were about: each row is written once more.
const TARGETS: &str = "
DROP TABLE mirror_rows;
CREATE TABLE mirror_rows (
    target TEXT NOT NULL, conversation BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (target, conversation)
) STRICT, WITHOUT ROWID;";
