//! Taking captured messages in: one job per batch, one row per key, counters beside them.
//!
//! Whatever the order of arrival, the same messages give the same rows: of two versions the greater
//! [`Version`] stays, a title is that of the latest observation, and counters follow from the rows.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{attachments_json, micros};
use crate::domain::ConversationKey;
use crate::domain::event::MessageCaptured;
use crate::ports::{Archived, DueRule};
use crate::sqlite::SqliteError;
use crate::store::version::Version;

/// The longest a due rule may wait; also keeps times within their range.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const INSERT_MESSAGE: &str =
    "INSERT INTO messages (key, conversation, position, revision, content, observed_at, origin,
    direction, author, sent_at, sent_at_precision, native_id, attachments, text)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (conversation, key) DO NOTHING";
const SELECT_VERSION: &str = "SELECT revision, observed_at, content, position FROM messages
    WHERE conversation = ?1 AND key = ?2";
// The origin stays: it says which path brought the message in first.
const REPLACE_MESSAGE: &str = "UPDATE messages SET position = ?3, revision = ?4, content = ?5, observed_at = ?6,
    direction = ?7, author = ?8, sent_at = ?9, sent_at_precision = ?10, native_id = ?11, attachments = ?12, text = ?13
    WHERE conversation = ?1 AND key = ?2";
const SELECT_CONVERSATION: &str = "SELECT id, title, title_at FROM conversations WHERE key = ?1";
const INSERT_CONVERSATION: &str = "INSERT INTO conversations (key, account, native_id, title, title_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
const UPDATE_CONVERSATION: &str = "UPDATE conversations SET messages = messages + ?2, title = ?3, title_at = ?4,
    (last_key, last_sent_at) = (SELECT key, sent_at FROM messages WHERE conversation = ?1
        ORDER BY position DESC, key DESC LIMIT 1),
    updated_at = CASE WHEN ?8 THEN max(updated_at, ?5) ELSE updated_at END,
    edits = edits + ?9,
    first_new_at = CASE WHEN ?2 + ?9 > 0 THEN coalesce(first_new_at, ?5) ELSE first_new_at END,
    due_at = CASE WHEN ?2 + ?9 > 0 THEN min(coalesce(first_new_at, ?5) + ?6, ?5 + ?7) ELSE due_at END
    WHERE id = ?1";

/// A captured message, prepared outside the writer thread.
pub(super) struct Prepared {
    captured: MessageCaptured,
    version: Version,
    attachments: Option<String>,
}

/// Owns the batch and does whatever needs no database.
pub(super) fn prepare(batch: &[MessageCaptured]) -> Vec<Prepared> {
    batch
        .iter()
        .map(|captured| Prepared {
            version: Version::of(captured),
            attachments: attachments_json(&captured.message.attachments),
            captured: captured.clone(),
        })
        .collect()
}

/// A conversation that this batch touches.
struct Touched {
    id: i64,
    title: String,
    title_at: i64,
    inserted: u64,
    /// Known messages that say something else now.
    edited: u64,
    changed: bool,
    /// Later titles, even the same: the time has to be kept, or an older title could win later.
    retitled: bool,
}

/// Writes a batch; all or none, as the savepoint around it sees to.
pub(super) fn write(
    connection: &Connection,
    batch: &[Prepared],
    rule: DueRule,
    now: Timestamp,
) -> Result<Archived, SqliteError> {
    let now = now.as_microsecond();
    let mut archived = Archived::default();
    let mut touched: HashMap<ConversationKey, Touched> = HashMap::new();
    let mut insert = connection.prepare_cached(INSERT_MESSAGE)?;
    for prepared in batch {
        let reference = &prepared.captured.conversation;
        let conversation = match touched.entry(reference.key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(touch(connection, prepared, now)?),
        };
        let title = reference.title.expose();
        if (prepared.version.observed_at, title) > (conversation.title_at, conversation.title.as_str()) {
            conversation.changed |= conversation.title != title;
            conversation.retitled = true;
            conversation.title_at = prepared.version.observed_at;
            title.clone_into(&mut conversation.title);
        }
        let (message, version) = (&prepared.captured.message, prepared.version);
        let is_new = insert.execute(params![
            message.key.to_bytes(),
            conversation.id,
            version.position,
            version.revision,
            version.content,
            version.observed_at,
            prepared.captured.origin.as_str(),
            message.direction.as_str(),
            message.author.expose(),
            message.sent_at.map(|at| at.as_microsecond()),
            message.sent_at_precision.as_str(),
            message.native_id,
            prepared.attachments,
            message.text.expose(),
        ])?;
        if is_new == 1 {
            archived.inserted += 1;
            conversation.inserted += 1;
            conversation.changed = true;
        } else if let Some(revision) = revise(connection, conversation.id, prepared)? {
            archived.revised += 1;
            conversation.edited += u64::from(revision == Revision::Edited);
            conversation.changed = true;
        } else {
            archived.duplicates += 1;
        }
    }
    let mut update = connection.prepare_cached(UPDATE_CONVERSATION)?;
    let (max_wait, quiet) = (micros(rule.max_wait.min(LONGEST_WAIT)), micros(rule.quiet.min(LONGEST_WAIT)));
    for conversation in touched.values().filter(|conversation| conversation.changed || conversation.retitled) {
        update.execute(params![
            conversation.id,
            conversation.inserted.cast_signed(),
            conversation.title,
            conversation.title_at,
            now,
            max_wait,
            quiet,
            conversation.changed,
            conversation.edited.cast_signed(),
        ])?;
    }
    Ok(archived)
}

fn touch(connection: &Connection, prepared: &Prepared, now: i64) -> Result<Touched, SqliteError> {
    let reference = &prepared.captured.conversation;
    let known = connection
        .prepare_cached(SELECT_CONVERSATION)?
        .query_row([reference.key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (id, title, title_at) = match known {
        Some(known) => known,
        None => {
            let title = reference.title.expose().to_owned();
            let title_at = prepared.version.observed_at;
            let account = prepared.captured.account.to_string();
            let id = connection
                .prepare_cached(INSERT_CONVERSATION)?
                .query_row(params![reference.key.as_bytes(), account, reference.id, title, title_at, now], |row| {
                    row.get(0)
                })?;
            (id, title, title_at)
        }
    };
    Ok(Touched { id, title, title_at, inserted: 0, edited: 0, changed: false, retitled: false })
}

/// What a reader would notice of a new version.
#[derive(PartialEq, Eq)]
enum Revision {
    /// It says something else.
    Edited,
    /// It stands elsewhere.
    Moved,
}

/// Lets the greater version stay; what a reader would notice, if anything. A later look at an unchanged
/// message only moves the time of observation.
fn revise(connection: &Connection, conversation: i64, prepared: &Prepared) -> Result<Option<Revision>, SqliteError> {
    let (message, version) = (&prepared.captured.message, prepared.version);
    let key = message.key.to_bytes();
    let known = connection.prepare_cached(SELECT_VERSION)?.query_row((conversation, &key), |row| {
        Ok(Version { revision: row.get(0)?, observed_at: row.get(1)?, content: row.get(2)?, position: row.get(3)? })
    })?;
    if version <= known {
        return Ok(None);
    }
    connection.prepare_cached(REPLACE_MESSAGE)?.execute(params![
        conversation,
        key,
        version.position,
        version.revision,
        version.content,
        version.observed_at,
        message.direction.as_str(),
        message.author.expose(),
        message.sent_at.map(|at| at.as_microsecond()),
        message.sent_at_precision.as_str(),
        message.native_id,
        prepared.attachments,
        message.text.expose(),
    ])?;
    let revision = if version.content == known.content { Revision::Moved } else { Revision::Edited };
    Ok(version.revises(&known).then_some(revision))
}
