//! What the spool remembers of watching an account: until when it was watched, what is missing since, how
//! long it is usually silent.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Spool, insert_gap};
use crate::collect::error::CollectError;
use crate::collect::staleness::Habit;
use crate::domain::{AccountId, Gap};
use crate::sqlite::SqliteError;

/// What must outlive the process to know what was not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchMemory {
    /// The last moment that is known to have been watched; `None`: never yet.
    pub watched_until: Option<Timestamp>,
    /// When the gap was noted that is still open.
    pub gap_since: Option<Timestamp>,
    /// When all histories were last read to their start.
    pub whole_at: Option<Timestamp>,
    /// The account was found stale, and nothing has come since.
    pub stale: bool,
    /// How long it is usually silent.
    pub habit: Habit,
}

impl Spool {
    /// What is remembered of an account. Something that can't be read is forgotten: it is a hint, and
    /// forgetting it costs one sweep.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn watch_memory(&self, account: &AccountId) -> Result<WatchMemory, CollectError> {
        let account = account.to_string();
        let read = move |connection: &Connection| -> Result<Option<String>, SqliteError> {
            let mut statement = connection.prepare_cached("SELECT document FROM watch WHERE account = ?1")?;
            Ok(statement.query_row([account], |row| row.get(0)).optional()?)
        };
        let document = self.db.read(read).await?;
        Ok(document.and_then(|document| serde_json::from_str(&document).ok()).unwrap_or_default())
    }

    /// Remembers it, and takes in a gap of time that opened or closed with it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remember_watch(
        &self,
        account: &AccountId,
        memory: &WatchMemory,
        gap: Option<Gap>,
        epoch: Option<u64>,
    ) -> Result<(), CollectError> {
        if self.dry_run {
            return Ok(());
        }
        let account = account.to_string();
        // Times and numbers: there is nothing in it that can't be written.
        let Ok(document) = serde_json::to_string(memory) else { return Ok(()) };
        let has_gap = gap.is_some();
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection
                .prepare_cached(
                    "INSERT INTO watch (account, document) VALUES (?1, ?2)
                     ON CONFLICT (account) DO UPDATE SET document = excluded.document",
                )?
                .execute(params![account, document])?;
            gap.map_or(Ok(()), |gap| insert_gap(connection, &gap, epoch))
        };
        self.db.write(write).await?;
        if has_gap {
            self.news.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GapReason;

    #[tokio::test]
    async fn a_gap_of_time_goes_in_with_what_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), false).unwrap();
        let account: AccountId = "demo/default".parse().unwrap();
        assert_eq!(spool.watch_memory(&account).await.unwrap(), WatchMemory::default());
        let now = Timestamp::UNIX_EPOCH;
        let memory = WatchMemory { watched_until: Some(now), gap_since: Some(now), ..WatchMemory::default() };
        let gap = Gap {
            account: account.clone(),
            conversation: None,
            reason: GapReason::NotWatched,
            seen_from: Some(now),
            since: now,
            closed_at: None,
        };
        spool.remember_watch(&account, &memory, Some(gap.clone()), Some(3)).await.unwrap();
        assert_eq!(spool.watch_memory(&account).await.unwrap(), memory);
        let gaps = spool.gaps().await.unwrap();
        assert_eq!((&gaps[0].gap, gaps[0].epoch, gaps.len()), (&gap, Some(3), 1));
    }
}
