//! Analyses, account states, gaps and what the mirror wrote: small records told and told again.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::rows;
use crate::domain::{AccountStatus, Analysis, AnalysisId, ConversationKey, Gap, GapReason};
use crate::sqlite::SqliteError;

pub(super) fn save_analysis(connection: &Connection, analysis: &Analysis) -> Result<bool, SqliteError> {
    let document = serde_json::to_string(analysis).map_err(|_| SqliteError::Unreadable("analysis"))?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO analyses (id, conversation, up_to, messages, created_at, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            analysis.id.as_bytes(),
            analysis.conversation.as_bytes(),
            analysis.up_to.to_bytes(),
            analysis.messages.cast_signed(),
            analysis.created_at.as_microsecond(),
            document,
        ])?;
    Ok(inserted == 1)
}

pub(super) fn analysis(connection: &Connection, id: &AnalysisId) -> Result<Option<Analysis>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT document FROM analyses WHERE id = ?1")?;
    let mut found = statement.query([id.as_bytes()])?;
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

pub(super) fn save_account(connection: &Connection, status: &AccountStatus) -> Result<(), SqliteError> {
    let document = serde_json::to_string(status).map_err(|_| SqliteError::Unreadable("account state"))?;
    connection
        .prepare_cached(
            "INSERT INTO accounts (account, since, document) VALUES (?1, ?2, ?3)
             ON CONFLICT (account) DO UPDATE SET since = excluded.since, document = excluded.document
             WHERE excluded.since >= since",
        )?
        .execute(params![status.account.to_string(), status.since.as_microsecond(), document])?;
    Ok(())
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
pub(super) fn record_gap(connection: &Connection, gap: &Gap) -> Result<(), SqliteError> {
    let (conversation, reason) = (gap.conversation.as_bytes(), gap.reason.as_str());
    let since = gap.since.as_microsecond();
    if let Some(closed_at) = gap.closed_at {
        connection
            .prepare_cached(
                "UPDATE gaps SET closed_at = ?3
                 WHERE conversation = ?1 AND reason = ?2 AND closed_at IS NULL AND since <= ?3",
            )?
            .execute(params![conversation, reason, closed_at.as_microsecond()])?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO gaps (conversation, reason, account, seen_from, since)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
                SELECT 1 FROM gaps WHERE conversation = ?1 AND reason = ?2 AND closed_at >= ?5)
             ON CONFLICT (conversation, reason) WHERE closed_at IS NULL
             DO UPDATE SET seen_from = excluded.seen_from, since = min(since, excluded.since)",
        )?
        .execute(params![
            conversation,
            reason,
            gap.account.to_string(),
            gap.seen_from.map(|at| at.as_microsecond()),
            since
        ])?;
    Ok(())
}

pub(super) fn open_gaps(connection: &Connection) -> Result<Vec<Gap>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT account, conversation, reason, seen_from, since FROM gaps
         WHERE closed_at IS NULL ORDER BY since, conversation, reason",
    )?;
    rows::collect(statement.query([])?, |row| {
        let (account, reason): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(Gap {
            account: account.parse().map_err(|_| SqliteError::Unreadable("account id"))?,
            conversation: ConversationKey::from_bytes(row.get(1)?),
            reason: GapReason::parse(&reason).ok_or(SqliteError::Unreadable("reason of a gap"))?,
            seen_from: row.get::<_, Option<i64>>(3)?.map(rows::time).transpose()?,
            since: rows::time(row.get(4)?)?,
            closed_at: None,
        })
    })
}

pub(super) fn mirrored(connection: &Connection) -> Result<HashMap<ConversationKey, [u8; 16]>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT conversation, hash FROM mirror_rows")?;
    let noted = rows::collect(statement.query([])?, |row| Ok((ConversationKey::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(noted.into_iter().collect())
}

pub(super) fn save_mirrored(
    connection: &Connection,
    noted: &HashMap<ConversationKey, [u8; 16]>,
) -> Result<(), SqliteError> {
    connection.execute("DELETE FROM mirror_rows", [])?;
    let mut insert = connection.prepare_cached("INSERT INTO mirror_rows (conversation, hash) VALUES (?1, ?2)")?;
    for (conversation, hash) in noted {
        insert.execute((conversation.as_bytes(), hash))?;
    }
    Ok(())
}
