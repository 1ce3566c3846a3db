//! The purses: what was consumed, and what is set aside, each a row. One writer writes, so that what is
//! read before a reservation is still true when it is made.

use rusqlite::{Connection, Row, params};

use super::rows;
use crate::domain::{Balance, Usage};
use crate::ports::{Draw, Reservation, Reserved};
use crate::sqlite::SqliteError;

const SUMS: &str = "coalesce(sum(calls), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost_micros), 0)";

/// Times in microseconds.
pub(super) fn reserve(
    connection: &Connection,
    id: &str,
    draws: &[Draw],
    most: Usage,
    now: i64,
    ttl: i64,
) -> Result<Reserved, SqliteError> {
    forget(connection, now)?;
    let mut balances = Vec::with_capacity(draws.len());
    for draw in draws {
        let balance = without(connection, &draw.purse.id(), id, now)?;
        if !draw.allowance.admits(&balance, most) {
            return Ok(Reserved::Refused { purse: draw.purse.clone(), balance });
        }
        balances.push(balance);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO reservations (purse, id, until, calls, input_tokens, output_tokens, cost_micros, forget_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (purse, id) DO NOTHING",
    )?;
    for draw in draws {
        insert.execute(params![
            draw.purse.id(),
            id,
            now.saturating_add(ttl),
            most.calls,
            most.input_tokens.cast_signed(),
            most.output_tokens.cast_signed(),
            most.cost_micros.cast_signed(),
            draw.purse.forgotten().as_microsecond(),
        ])?;
    }
    Ok(Reserved::Granted(balances))
}

/// Counted only where it is still set aside: so a repetition counts nothing twice.
pub(super) fn settle(connection: &Connection, reservation: &Reservation, used: Usage) -> Result<(), SqliteError> {
    for purse in &reservation.purses {
        let held = connection
            .prepare_cached("DELETE FROM reservations WHERE purse = ?1 AND id = ?2")?
            .execute(params![purse.id(), reservation.id])?;
        if held == 0 {
            continue;
        }
        connection
            .prepare_cached(
                "INSERT INTO spending (purse, calls, input_tokens, output_tokens, cost_micros, forget_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (purse) DO UPDATE SET calls = calls + excluded.calls,
                    input_tokens = input_tokens + excluded.input_tokens,
                    output_tokens = output_tokens + excluded.output_tokens,
                    cost_micros = cost_micros + excluded.cost_micros",
            )?
            .execute(params![
                purse.id(),
                used.calls,
                used.input_tokens.cast_signed(),
                used.output_tokens.cast_signed(),
                used.cost_micros.cast_signed(),
                purse.forgotten().as_microsecond(),
            ])?;
    }
    Ok(())
}

pub(super) fn balance(connection: &Connection, purse: &str, now: i64) -> Result<Balance, SqliteError> {
    without(connection, purse, "", now)
}

/// The balance as if this reservation had not been made.
fn without(connection: &Connection, purse: &str, id: &str, now: i64) -> Result<Balance, SqliteError> {
    let mut spent = connection
        .prepare_cached(&format!("SELECT {SUMS} FROM spending WHERE purse = ?1"))?
        .query_row([purse], usage)?;
    let lost = connection
        .prepare_cached(&format!("SELECT {SUMS} FROM reservations WHERE purse = ?1 AND id <> ?2 AND until <= ?3"))?
        .query_row(params![purse, id, now], usage)?;
    spent += lost;
    let (held, holders) = connection
        .prepare_cached(&format!(
            "SELECT {SUMS}, count(*) FROM reservations WHERE purse = ?1 AND id <> ?2 AND until > ?3"
        ))?
        .query_row(params![purse, id, now], |row| Ok((usage(row)?, rows::count(row, 4)?)))?;
    Ok(Balance { spent, held, holders })
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Usage> {
    Ok(Usage {
        calls: row.get(0)?,
        input_tokens: rows::count(row, 1)?,
        output_tokens: rows::count(row, 2)?,
        cost_micros: rows::count(row, 3)?,
    })
}

/// Drops purses of long ago.
fn forget(connection: &Connection, now: i64) -> Result<(), SqliteError> {
    connection.prepare_cached("DELETE FROM spending WHERE forget_at < ?1")?.execute([now])?;
    connection.prepare_cached("DELETE FROM reservations WHERE forget_at < ?1")?.execute([now])?;
    Ok(())
}
