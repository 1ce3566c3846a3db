//! Leases in the embedded file. Its data directory is locked by one process, so that they guard one
//! process's own tasks against each other, and tests against a different meaning elsewhere.
//!
//! Time is that of the caller's clock.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use crate::domain::AccountId;
use crate::ports::Lease;
use crate::sqlite::SqliteError;

// A lease that was given back has run out, whatever the clock says next.
const GIVEN_BACK: i64 = i64::MIN;

/// The highest epoch there was; 0 if there was none.
pub(super) fn epoch(connection: &Connection, account: &str) -> Result<i64, SqliteError> {
    let found = connection
        .prepare_cached("SELECT epoch FROM leases WHERE account = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

pub(super) fn acquire(
    connection: &Connection,
    account: &AccountId,
    owner: &str,
    now: i64,
    ttl: i64,
) -> Result<Option<Lease>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO leases (account, owner, epoch, until) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (account) DO UPDATE SET owner = excluded.owner, until = excluded.until,
            epoch = CASE WHEN owner = excluded.owner AND until > ?4 THEN epoch ELSE epoch + 1 END
         WHERE owner = excluded.owner OR until <= ?4
         RETURNING owner, epoch, until",
    )?;
    let mut found = statement.query(params![account.to_string(), owner, now.saturating_add(ttl), now])?;
    found.next()?.map(|row| read(account, row)).transpose()
}

pub(super) fn renew(connection: &Connection, lease: &Lease, now: i64, ttl: i64) -> Result<Option<Lease>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET until = ?4 WHERE account = ?1 AND owner = ?2 AND epoch = ?3 RETURNING owner, epoch, until",
    )?;
    let account = lease.account.to_string();
    let mut found =
        statement.query(params![account, lease.owner, lease.epoch.cast_signed(), now.saturating_add(ttl)])?;
    found.next()?.map(|row| read(&lease.account, row)).transpose()
}

pub(super) fn release(connection: &Connection, lease: &Lease) -> Result<(), SqliteError> {
    connection
        .prepare_cached("UPDATE leases SET owner = NULL, until = ?4 WHERE account = ?1 AND owner = ?2 AND epoch = ?3")?
        .execute(params![lease.account.to_string(), lease.owner, lease.epoch.cast_signed(), GIVEN_BACK])?;
    Ok(())
}

pub(super) fn holder(connection: &Connection, account: &AccountId, now: i64) -> Result<Option<Lease>, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT owner, epoch, until FROM leases WHERE account = ?1 AND owner IS NOT NULL AND until > ?2",
    )?;
    let mut found = statement.query(params![account.to_string(), now])?;
    found.next()?.map(|row| read(account, row)).transpose()
}

fn read(account: &AccountId, row: &Row<'_>) -> Result<Lease, SqliteError> {
    Ok(Lease {
        account: account.clone(),
        owner: row.get(0)?,
        epoch: rows::count(row, 1)?,
        until: rows::time(row.get(2)?)?,
    })
}
