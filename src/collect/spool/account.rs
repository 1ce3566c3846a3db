//! What the spool remembers of an account beside its messages: which logins were tried, which drifts of its
//! pack were told.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::{Spool, insert_pending, queued};
use crate::collect::error::CollectError;
use crate::domain::{AccountId, Envelope, EventId};
use crate::sqlite::SqliteError;

impl Spool {
    /// The drifts of an account that were told, by field.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn told_drifts(&self, account: &AccountId) -> Result<HashMap<String, EventId>, CollectError> {
        let account = account.to_string();
        let read = move |connection: &Connection| -> Result<HashMap<String, EventId>, SqliteError> {
            let mut statement = connection.prepare_cached("SELECT field, id FROM drift WHERE account = ?1")?;
            let mut rows = statement.query([account])?;
            let mut told = HashMap::new();
            while let Some(row) = rows.next()? {
                told.insert(row.get(0)?, EventId::from_bytes(row.get(1)?));
            }
            Ok(told)
        };
        Ok(self.db.read(read).await?)
    }

    /// Takes in a drift and remembers that it was told.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn enqueue_drift(
        &self,
        account: &AccountId,
        field: &str,
        envelope: &Envelope,
    ) -> Result<(), CollectError> {
        if self.dry_run {
            return Ok(());
        }
        let (account, field, event) = (account.to_string(), field.to_owned(), queued(envelope)?);
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection.execute(
                "INSERT INTO drift (account, field, id) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, field) DO UPDATE SET id = excluded.id",
                params![account, field, event.id.as_bytes()],
            )?;
            insert_pending(connection, &event)
        };
        self.db.write(write).await?;
        self.news.notify_one();
        Ok(())
    }

    /// Forgets the drift of a field that matches again, so that the next one is told.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn drift_ended(&self, account: &AccountId, field: &str) -> Result<(), CollectError> {
        if self.dry_run {
            return Ok(());
        }
        let (account, field) = (account.to_string(), field.to_owned());
        let write = move |connection: &Connection| -> Result<(), SqliteError> {
            connection.execute("DELETE FROM drift WHERE account = ?1 AND field = ?2", [account, field])?;
            Ok(())
        };
        Ok(self.db.write(write).await?)
    }

    /// Notes a login attempt before it is made, if fewer than `attempts` were made within `window`;
    /// false if the budget is used up.
    ///
    /// The wall clock may be set: those of this process are counted by the monotonic clock too, so that a day
    /// that never passed refills nothing; and an attempt of the future counts as one of now, so that a clock
    /// that was set back locks the account out for no longer than the window.
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
        let lately = {
            let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
            let made = logins.entry(account.clone()).or_default();
            made.retain(|at| at.elapsed() < window);
            u32::try_from(made.len()).unwrap_or(u32::MAX)
        };
        if lately >= attempts {
            return Ok(false);
        }
        let id = account.to_string();
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN).as_microsecond();
        let write = move |connection: &Connection| -> Result<bool, SqliteError> {
            let now = now.as_microsecond();
            connection.execute("DELETE FROM login WHERE account = ?1 AND at_us < ?2", params![id, since])?;
            connection.execute("UPDATE login SET at_us = ?2 WHERE account = ?1 AND at_us > ?2", params![id, now])?;
            let made: u32 =
                connection.query_row("SELECT count(*) FROM login WHERE account = ?1", [&id], |row| row.get(0))?;
            if made < attempts {
                connection.execute("INSERT INTO login (account, at_us) VALUES (?1, ?2)", params![id, now])?;
            }
            Ok(made < attempts)
        };
        let is_granted = self.db.write(write).await?;
        if is_granted {
            let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
            logins.entry(account.clone()).or_default().push(Instant::now());
        }
        Ok(is_granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1800);
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// Two attempts within the window; how many of three more tries at this time are granted.
    async fn granted(spool: &Spool, at: Timestamp) -> Vec<bool> {
        let account = "demo/default".parse().unwrap();
        let mut granted = Vec::new();
        for _ in 0..3 {
            granted.push(spool.spend_login(&account, 2, WINDOW, at).await.unwrap());
        }
        granted
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_refills_no_budget() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), false).unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(granted(&spool, now).await, [true, true, false]);
        assert_eq!(granted(&spool, now + DAY).await, [false; 3], "the day never passed");
        assert_eq!(granted(&spool, now - DAY).await, [false; 3]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(granted(&spool, now + DAY).await, [true, true, false], "now it did");
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_locks_out_for_one_window() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let window = SignedDuration::try_from(WINDOW).unwrap();
        granted(&Spool::open(folder.path(), false).unwrap(), now).await;
        // Each time a new process, which has only what was written down.
        let anew = || Spool::open(folder.path(), false).unwrap();
        assert_eq!(granted(&anew(), now - DAY).await, [false; 3]);
        assert_eq!(granted(&anew(), now - DAY + window).await, [false; 3]);
        let after = now - DAY + window + SignedDuration::from_secs(1);
        assert_eq!(granted(&anew(), after).await, [true, true, false]);
    }
}
