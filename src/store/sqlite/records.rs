//! Analyses, account states, gaps and what the mirror wrote: small records told and told again.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::{leases, rows};
use crate::domain::{AccountStatus, Analysis, AnalysisId, ConversationKey, Digest, Gap, GapReason};
use crate::sqlite::SqliteError;

pub(super) fn save_analysis(connection: &Connection, analysis: &Analysis) -> Result<bool, SqliteError> {
    let document = serde_json::to_string(analysis).map_err(|_| SqliteError::Unreadable("analysis"))?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO analyses (id, conversation, up_to, messages, created_at, document, content, question)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET messages = excluded.messages,
                 created_at = excluded.created_at, document = excluded.document, content = excluded.content,
                 question = excluded.question
             WHERE excluded.messages > analyses.messages
                OR (excluded.content IS NOT analyses.content AND excluded.created_at >= analyses.created_at)",
        )?
        .execute(params![
            analysis.id.as_bytes(),
            analysis.conversation.as_bytes(),
            analysis.up_to.to_bytes(),
            analysis.messages.cast_signed(),
            analysis.created_at.as_microsecond(),
            document,
            analysis.reading.content.map(|content| *content.as_bytes()),
            analysis.reading.question.map(|question| *question.as_bytes()),
        ])?;
    Ok(inserted == 1)
}

pub(super) fn analysis(connection: &Connection, id: &AnalysisId) -> Result<Option<Analysis>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT document FROM analyses WHERE id = ?1")?;
    let mut found = statement.query([id.as_bytes()])?;
    found.next()?.map(read_analysis).transpose()
}

pub(super) fn latest_analysis(
    connection: &Connection,
    conversation: &ConversationKey,
    model: &str,
    prompt_version: &str,
) -> Result<Option<Analysis>, SqliteError> {
    // The first row of the index nearly always: other models and versions are an exception.
    let mut statement = connection.prepare_cached(
        "SELECT document FROM analyses WHERE conversation = ?1 AND document ->> '$.model' = ?2
            AND document ->> '$.prompt_version' = ?3 ORDER BY messages DESC, created_at DESC, id DESC LIMIT 1",
    )?;
    let mut found = statement.query(params![conversation.as_bytes(), model, prompt_version])?;
    found.next()?.map(read_analysis).transpose()
}

pub(super) fn answer_to(connection: &Connection, question: &Digest) -> Result<Option<Analysis>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT document FROM analyses WHERE question = ?1 LIMIT 1")?;
    let mut found = statement.query([question.as_bytes()])?;
    found.next()?.map(read_analysis).transpose()
}

pub(super) fn latest_analyses(connection: &Connection) -> Result<HashMap<ConversationKey, Analysis>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT document FROM (SELECT DISTINCT conversation FROM analyses) analysed
         JOIN analyses ON analyses.id = (
            SELECT id FROM analyses best WHERE best.conversation = analysed.conversation
            ORDER BY messages DESC, created_at DESC, id DESC LIMIT 1)",
    )?;
    let latest = rows::collect(statement.query([])?, read_analysis)?;
    Ok(latest.into_iter().map(|analysis| (analysis.conversation, analysis)).collect())
}

fn read_analysis(row: &rusqlite::Row<'_>) -> Result<Analysis, SqliteError> {
    let document: String = row.get(0)?;
    serde_json::from_str(&document).map_err(|_| SqliteError::Unreadable("analysis"))
}

/// False, and nothing is written, if the epoch is a stale one.
pub(super) fn save_account(
    connection: &Connection,
    status: &AccountStatus,
    epoch: Option<u64>,
) -> Result<bool, SqliteError> {
    let account = status.account.to_string();
    let stored = connection
        .prepare_cached("SELECT epoch FROM accounts WHERE account = ?1")?
        .query_row([&account], |row| row.get::<_, i64>(0))
        .optional()?
        .unwrap_or(0);
    if is_stale(connection, &account, epoch, stored)? {
        return Ok(false);
    }
    let document = serde_json::to_string(status).map_err(|_| SqliteError::Unreadable("account state"))?;
    connection
        .prepare_cached(
            "INSERT INTO accounts (account, since, document, epoch) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account) DO UPDATE
             SET since = excluded.since, document = excluded.document, epoch = excluded.epoch
             WHERE excluded.epoch > epoch OR excluded.since >= since",
        )?
        .execute(params![account, status.since.as_microsecond(), document, written_epoch(epoch, stored)])?;
    Ok(true)
}

/// An epoch below the lease's or below that of what stands there already.
fn is_stale(connection: &Connection, account: &str, epoch: Option<u64>, stored: i64) -> Result<bool, SqliteError> {
    let Some(epoch) = epoch else { return Ok(false) };
    Ok(epoch.cast_signed() < stored.max(leases::epoch(connection, account)?))
}

/// Work without a lease leaves the epoch as it is.
fn written_epoch(epoch: Option<u64>, stored: i64) -> i64 {
    epoch.map_or(stored, u64::cast_signed)
}

pub(super) fn accounts(connection: &Connection) -> Result<Vec<AccountStatus>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT document FROM accounts ORDER BY account")?;
    rows::collect(statement.query([])?, |row| {
        let document: String = row.get(0)?;
        serde_json::from_str(&document).map_err(|_| SqliteError::Unreadable("account state"))
    })
}

/// What was noticed before the last closing, or closed before the gap was noticed, is old news told
/// again and changes nothing.
/// False, and nothing is written, if the epoch is a stale one.
pub(super) fn record_gap(connection: &Connection, gap: &Gap, epoch: Option<u64>) -> Result<bool, SqliteError> {
    let (subject, reason) = (gap.subject(), gap.reason.as_str());
    let conversation = subject.as_bytes();
    let account = gap.account.to_string();
    let stored: i64 = connection
        .prepare_cached("SELECT coalesce(max(epoch), 0) FROM gaps WHERE conversation = ?1 AND reason = ?2")?
        .query_row(params![conversation, reason], |row| row.get(0))?;
    if is_stale(connection, &account, epoch, stored)? {
        return Ok(false);
    }
    let epoch = written_epoch(epoch, stored);
    let since = gap.since.as_microsecond();
    if let Some(closed_at) = gap.closed_at {
        connection
            .prepare_cached(
                "UPDATE gaps SET closed_at = ?3, epoch = ?4
                 WHERE conversation = ?1 AND reason = ?2 AND closed_at IS NULL AND since <= ?3",
            )?
            .execute(params![conversation, reason, closed_at.as_microsecond(), epoch])?;
        return Ok(true);
    }
    connection
        .prepare_cached(
            "INSERT INTO gaps (conversation, reason, account, seen_from, since, epoch)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
                SELECT 1 FROM gaps WHERE conversation = ?1 AND reason = ?2 AND closed_at >= ?5)
             ON CONFLICT (conversation, reason) WHERE closed_at IS NULL
             DO UPDATE SET seen_from = excluded.seen_from, since = min(since, excluded.since), epoch = excluded.epoch",
        )?
        .execute(params![conversation, reason, account, gap.seen_from.map(|at| at.as_microsecond()), since, epoch])?;
    Ok(true)
}

pub(super) fn open_gaps(connection: &Connection) -> Result<Vec<Gap>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT account, conversation, reason, seen_from, since FROM gaps
         WHERE closed_at IS NULL ORDER BY since, conversation, reason",
    )?;
    rows::collect(statement.query([])?, |row| {
        let (account, reason): (String, String) = (row.get(0)?, row.get(2)?);
        let reason = GapReason::parse(&reason).ok_or(SqliteError::Unreadable("reason of a gap"))?;
        Ok(Gap {
            account: account.parse().map_err(|_| SqliteError::Unreadable("account id"))?,
            conversation: Gap::conversation_of(ConversationKey::from_bytes(row.get(1)?), reason),
            reason,
            seen_from: row.get::<_, Option<i64>>(3)?.map(rows::time).transpose()?,
            since: rows::time(row.get(4)?)?,
            closed_at: None,
        })
    })
}

pub(super) fn mirrored(
    connection: &Connection,
    target: &str,
) -> Result<HashMap<ConversationKey, [u8; 16]>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT conversation, hash FROM mirror_rows WHERE target = ?1")?;
    let noted =
        rows::collect(statement.query([target])?, |row| Ok((ConversationKey::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(noted.into_iter().collect())
}

pub(super) fn save_mirrored(
    connection: &Connection,
    target: &str,
    noted: &HashMap<ConversationKey, [u8; 16]>,
) -> Result<(), SqliteError> {
    connection.execute("DELETE FROM mirror_rows WHERE target = ?1", [target])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO mirror_rows (target, conversation, hash) VALUES (?1, ?2, ?3)")?;
    for (conversation, hash) in noted {
        insert.execute((target, conversation.as_bytes(), hash))?;
    }
    Ok(())
}
