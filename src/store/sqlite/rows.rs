//! Between rows and the words of the house, both ways.
//!
//! A value that can't be read is named by what it should be and never quoted.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Row;

use crate::domain::{Attachment, Conversation, ConversationKey, Direction, Message, MessageKey, Origin, Precision};
use crate::ports::StoredMessage;
use crate::sqlite::SqliteError;

/// The columns of [`conversation`].
pub(super) const CONVERSATION: &str =
    "key, account, native_id, title, messages, last_key, last_sent_at, updated_at, due_at";

/// The columns of [`message`].
pub(super) const MESSAGE: &str = "key, position, observed_at, origin, direction, author, sent_at, sent_at_precision,
    native_id, attachments, text";

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A stored time.
pub(super) fn time(micros: i64) -> Result<Timestamp, SqliteError> {
    Timestamp::from_microsecond(micros).map_err(|_| SqliteError::Unreadable("time"))
}

/// A stored message key.
pub(super) fn message_key(bytes: &[u8]) -> Result<MessageKey, SqliteError> {
    MessageKey::from_bytes(bytes).ok_or(SqliteError::Unreadable("message key"))
}

/// A conversation's row.
pub(super) fn conversation(row: &Row<'_>) -> Result<Conversation, SqliteError> {
    let account: String = row.get(1)?;
    let last_message: Option<Vec<u8>> = row.get(5)?;
    let messages: i64 = row.get(4)?;
    Ok(Conversation {
        key: ConversationKey::from_bytes(row.get(0)?),
        account: account.parse().map_err(|_| SqliteError::Unreadable("account id"))?,
        native_id: row.get(2)?,
        title: row.get::<_, String>(3)?.into(),
        messages: messages.cast_unsigned(),
        last_message: last_message.map(|key| message_key(&key)).transpose()?,
        last_sent_at: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
        updated_at: time(row.get(7)?)?,
        due_at: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
    })
}

/// A message's row.
pub(super) fn message(row: &Row<'_>) -> Result<StoredMessage, SqliteError> {
    let attachments: Option<String> = row.get(9)?;
    let attachments: Option<Vec<Attachment>> = attachments
        .map(|json| serde_json::from_str(&json).map_err(|_| SqliteError::Unreadable("list of attachments")))
        .transpose()?;
    let message = Message {
        key: message_key(&row.get::<_, Vec<u8>>(0)?)?,
        native_id: row.get(8)?,
        author: row.get::<_, String>(5)?.into(),
        direction: word(row, 4, &[Direction::In, Direction::Out], Direction::as_str, "direction")?,
        text: row.get::<_, String>(10)?.into(),
        sent_at: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
        sent_at_precision: word(row, 7, PRECISIONS, Precision::as_str, "precision")?,
        observed_at: time(row.get(2)?)?,
        attachments: attachments.unwrap_or_default(),
        position: row.get(1)?,
    };
    Ok(StoredMessage { message, origin: word(row, 3, ORIGINS, Origin::as_str, "origin")? })
}

/// The attachments as JSON, or nothing if there are none.
pub(super) fn attachments_json(attachments: &[Attachment]) -> Option<String> {
    // A list of strings can always be written.
    if attachments.is_empty() { None } else { serde_json::to_string(attachments).ok() }
}

/// All rows of a query, through a reader of rows.
pub(super) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl Fn(&Row<'_>) -> Result<T, SqliteError>,
) -> Result<Vec<T>, SqliteError> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// A number that counts things.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

const PRECISIONS: &[Precision] =
    &[Precision::Millisecond, Precision::Second, Precision::Minute, Precision::Day, Precision::Unknown];
const ORIGINS: &[Origin] = &[Origin::Live, Origin::Backfill, Origin::Reconcile];

fn word<T: Copy>(
    row: &Row<'_>,
    column: usize,
    all: &[T],
    name: fn(T) -> &'static str,
    what: &'static str,
) -> Result<T, SqliteError> {
    let stored = row.get_ref(column)?;
    let stored = stored.as_str().map_err(|_| SqliteError::Unreadable(what))?;
    all.iter().copied().find(|one| name(*one) == stored).ok_or(SqliteError::Unreadable(what))
}
