//! Brings the tables of each component up to the version that this program knows.
//!
//! Migrations only go forward, and a file from the future is refused: an older program would write
//! rows that the newer one no longer understands.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::SqliteError;

/// One step of one component's schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Whose tables: `bus`, `store`, `spool`.
    pub component: &'static str,
    /// Counted from 1 within the component.
    pub version: u32,
    /// What to execute; several statements are allowed.
    pub sql: &'static str,
}

/// Applies what is missing, all in one transaction.
pub(super) fn run(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), SqliteError> {
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            component TEXT NOT NULL, version INTEGER NOT NULL, applied_at INTEGER NOT NULL,
            PRIMARY KEY (component, version)
         ) STRICT, WITHOUT ROWID;",
    )?;
    let mut ordered: Vec<&Migration> = migrations.iter().collect();
    ordered.sort_by_key(|migration| (migration.component, migration.version));
    for of_component in ordered.chunk_by(|a, b| a.component == b.component) {
        let component = of_component[0].component;
        let known = of_component[of_component.len() - 1].version;
        let found: Option<u32> = transaction
            .query_row("SELECT max(version) FROM schema_migrations WHERE component = ?1", [component], |row| row.get(0))
            .optional()?
            .flatten();
        let found = found.unwrap_or(0);
        if found > known {
            return Err(SqliteError::NewerSchema {
                path: path.to_owned(),
                component: component.to_owned(),
                found,
                known,
            });
        }
        for migration in of_component.iter().filter(|migration| migration.version > found) {
            transaction.execute_batch(migration.sql)?;
            transaction.execute(
                "INSERT INTO schema_migrations (component, version, applied_at) VALUES (?1, ?2, ?3)",
                params![component, migration.version, jiff::Timestamp::now().as_microsecond()],
            )?;
        }
    }
    transaction.commit()?;
    Ok(())
}
