//! Reading conversations and their messages, and which of them are due.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows;
use crate::domain::{AccountId, Conversation, ConversationKey, MessageKey};
use crate::ports::{ConversationFilter, Counts, DueConversation, MessageRange, StoredMessage};
use crate::sqlite::SqliteError;

pub(super) fn one(connection: &Connection, key: &ConversationKey) -> Result<Option<Conversation>, SqliteError> {
    let sql = format!("SELECT {} FROM conversations WHERE key = ?1", rows::CONVERSATION);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([key.as_bytes()])?;
    found.next()?.map(rows::conversation).transpose()
}

pub(super) fn list(connection: &Connection, filter: &ConversationFilter) -> Result<Vec<Conversation>, SqliteError> {
    // NULL is smaller than any time, so that descending order puts the unknown last.
    let (columns, order) = (rows::CONVERSATION, "ORDER BY last_sent_at DESC, key");
    // A negative limit is none.
    let limit = filter.limit.map_or(-1, i64::from);
    match &filter.account {
        Some(account) => {
            let sql = format!("SELECT {columns} FROM conversations WHERE account = ?1 {order} LIMIT ?2");
            rows::collect(
                connection.prepare_cached(&sql)?.query(params![account.to_string(), limit])?,
                rows::conversation,
            )
        }
        None => {
            let sql = format!("SELECT {columns} FROM conversations {order} LIMIT ?1");
            rows::collect(connection.prepare_cached(&sql)?.query([limit])?, rows::conversation)
        }
    }
}

pub(super) fn messages(
    connection: &Connection,
    key: &ConversationKey,
    range: MessageRange,
) -> Result<Vec<StoredMessage>, SqliteError> {
    let Some(first) = range.after.map_or(Some(i64::MIN), |after| after.checked_add(1)) else { return Ok(Vec::new()) };
    let columns = rows::MESSAGE;
    let limit = range.limit.map_or(-1, i64::from);
    let window = format!(
        "SELECT {columns} FROM messages
         WHERE conversation = (SELECT id FROM conversations WHERE key = ?1) AND position >= ?2"
    );
    let Some(up_to) = range.up_to else {
        let sql = format!("{window} ORDER BY position, key LIMIT ?3");
        let mut statement = connection.prepare_cached(&sql)?;
        return rows::collect(statement.query(params![key.as_bytes(), first, limit])?, rows::message);
    };
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT position FROM messages
             WHERE key = ?1 AND conversation = (SELECT id FROM conversations WHERE key = ?2)",
        )?
        .query_row(params![up_to.to_bytes(), key.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(last) = last else { return Ok(Vec::new()) };
    let sql = format!("{window} AND (position, key) <= (?3, ?4) ORDER BY position, key LIMIT ?5");
    let mut statement = connection.prepare_cached(&sql)?;
    rows::collect(statement.query(params![key.as_bytes(), first, last, up_to.to_bytes(), limit])?, rows::message)
}

pub(super) fn due(connection: &Connection, now: i64, limit: u32) -> Result<Vec<DueConversation>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT account, key, last_key, due_at, edits FROM conversations
         WHERE due_at IS NOT NULL AND due_at <= ?1 AND last_key IS NOT NULL ORDER BY due_at, key LIMIT ?2",
    )?;
    rows::collect(statement.query(params![now, limit])?, |row| {
        let account: String = row.get(0)?;
        Ok(DueConversation {
            account: account.parse().map_err(|_| SqliteError::Unreadable("account id"))?,
            conversation: ConversationKey::from_bytes(row.get(1)?),
            up_to: rows::message_key(&row.get::<_, Vec<u8>>(2)?)?,
            due_at: rows::time(row.get(3)?)?,
            edits: rows::count(row, 4)?,
        })
    })
}

pub(super) fn next_due(connection: &Connection) -> Result<Option<i64>, SqliteError> {
    let sql = "SELECT min(due_at) FROM conversations WHERE due_at IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// A newer message, or a later edit, keeps the conversation due: its own time has not been answered.
pub(super) fn requested(
    connection: &Connection,
    key: &ConversationKey,
    up_to: &MessageKey,
    edits: u64,
) -> Result<(), SqliteError> {
    connection
        .prepare_cached(
            "UPDATE conversations SET first_new_at = NULL, due_at = NULL
             WHERE key = ?1 AND last_key = ?2 AND edits = ?3",
        )?
        .execute(params![key.as_bytes(), up_to.to_bytes(), edits.cast_signed()])?;
    Ok(())
}

pub(super) fn counts(connection: &Connection, account: Option<&AccountId>) -> Result<Counts, SqliteError> {
    let account = account.map(ToString::to_string);
    let of = "(?1 IS NULL OR account = ?1)";
    let (conversations, messages) = connection
        .prepare_cached(&format!("SELECT count(*), coalesce(sum(messages), 0) FROM conversations WHERE {of}"))?
        .query_row([&account], |row| Ok((rows::count(row, 0)?, rows::count(row, 1)?)))?;
    let (analysed_conversations, analysed_messages) = connection
        .prepare_cached(&format!(
            "SELECT count(covered), coalesce(sum(covered), 0) FROM (
                SELECT (SELECT max(a.messages) FROM analyses a
                        WHERE a.conversation = c.key AND a.up_to = c.last_key) AS covered
                FROM conversations c WHERE {of})"
        ))?
        .query_row([&account], |row| Ok((rows::count(row, 0)?, rows::count(row, 1)?)))?;
    let open_gaps = connection
        .prepare_cached(&format!("SELECT count(*) FROM gaps WHERE closed_at IS NULL AND {of}"))?
        .query_row([&account], |row| rows::count(row, 0))?;
    Ok(Counts { conversations, messages, analysed_conversations, analysed_messages, open_gaps })
}
