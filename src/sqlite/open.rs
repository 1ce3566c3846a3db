//! From a path to a checked, migrated connection.
//!
//! The check comes first and writes nothing: a damaged file is renamed as it was found and never
//! deleted, and while it lies there no empty database takes its place, since a restart loop would
//! otherwise begin anew in silence.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Cause, SqliteError};
use super::migrate::{self, Migration};

/// Statements kept ready per connection; more than any part of ours uses.
const CACHED_STATEMENTS: usize = 128;

/// Opens the one connection that writes.
pub(super) fn writer(path: &Path, migrations: &[Migration]) -> Result<Connection, SqliteError> {
    let unusable = |error: io::Error| SqliteError::Unusable { path: path.to_owned(), cause: Cause::from(&error) };
    let missing = !path.try_exists().map_err(unusable)?;
    if let Some(kept) = quarantined(path).filter(|_| missing) {
        let cause = Cause::from("it was set aside at an earlier start, and no backup was put in its place");
        return Err(SqliteError::Damaged { path: path.to_owned(), kept, cause });
    }
    private_file(path).map_err(unusable)?;
    let connection = match checked(path) {
        Err(SqliteError::Corrupt(cause)) => {
            let kept = quarantine(path).map_err(unusable)?;
            return Err(SqliteError::Damaged { path: path.to_owned(), kept, cause });
        }
        Err(SqliteError::ReadOnly(cause) | SqliteError::Io(cause)) => {
            return Err(SqliteError::Unusable { path: path.to_owned(), cause });
        }
        other => other?,
    };
    match migrate::run(&connection, path, migrations) {
        Err(SqliteError::ReadOnly(cause)) => Err(SqliteError::Unusable { path: path.to_owned(), cause }),
        other => other.map(|()| connection),
    }
}

/// Opens a connection that can't write.
pub(super) fn reader(path: &Path) -> Result<Connection, SqliteError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA busy_timeout=5000; PRAGMA mmap_size=268435456;")?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

fn checked(path: &Path) -> Result<Connection, SqliteError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Closing the last connection would fold the WAL into a damaged file and so change the evidence.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA busy_timeout=5000;")?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(SqliteError::Corrupt(Cause::from(verdict.as_str())));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    // FULL: without it a power cut loses up to thousands of acknowledged events (measured).
    // Savepoints keep old pages in memory: else they are written to a file in the temporary folder,
    // which is slower by an eighth and no place for chat text.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;
         PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=268435456; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY;
         PRAGMA foreign_keys=ON;",
    )?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Creates the file if it is missing, and takes it away from everybody but its owner. SQLite gives
/// -wal and -shm the same mode.
fn private_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Renames the file with its -wal and -shm so that they still belong together: SQLite's own tools
/// find `<name>-wal` beside `<name>`.
fn quarantine(path: &Path) -> io::Result<PathBuf> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut kept = beside(path, &format!(".corrupt-{stamp}"));
    let mut again = 2;
    while kept.try_exists()? {
        kept = beside(path, &format!(".corrupt-{stamp}-{again}"));
        again += 1;
    }
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, ending), beside(&kept, ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !ending.is_empty() => {}
            other => other?,
        }
    }
    Ok(kept)
}

/// The newest file that was set aside for `path`.
fn quarantined(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}.corrupt-", path.file_name()?.to_str()?);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|kept| {
            let name = kept.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .max()
}
