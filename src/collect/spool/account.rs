//! What the spool remembers of an account beside its messages: which logins were tried, which drifts of its
//! pack were told.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

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
    /// # Errors
    /// Those of the database.
    pub async fn spend_login(
        &self,
        account: &AccountId,
        attempts: u32,
        window: Duration,
        now: Timestamp,
    ) -> Result<bool, CollectError> {
        let account = account.to_string();
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN).as_microsecond();
        let write = move |connection: &Connection| -> Result<bool, SqliteError> {
            // Attempts of the future, left by a clock that was set back, count too.
            connection.execute("DELETE FROM login WHERE account = ?1 AND at_us < ?2", params![account, since])?;
            let made: u32 =
                connection.query_row("SELECT count(*) FROM login WHERE account = ?1", [&account], |row| row.get(0))?;
            if made < attempts {
                connection.execute(
                    "INSERT INTO login (account, at_us) VALUES (?1, ?2)",
                    params![account, now.as_microsecond()],
                )?;
            }
            Ok(made < attempts)
        };
        Ok(self.db.write(write).await?)
    }
}
