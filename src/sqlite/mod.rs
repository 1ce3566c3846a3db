//! One embedded database file: opening, checking, migrating, one writer thread, readers beside it.
//!
//! Bus, store and spool keep their tables in such files; this room knows none of their tables. It
//! exists because SQLite has one writer at a time: with all writes in one thread nobody waits for a
//! lock, and callers that come together share one fsync.
//!
//! It must never answer a write before it is durable, never change a damaged file, and never put a
//! bound or stored value into an error.

mod error;
mod migrate;
mod open;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

pub use error::{Cause, SqliteError};
pub use migrate::Migration;
use writer::{Order, Write};

/// Most readers at once; more would only compete for the same disk.
const READERS: u32 = 4;

/// A handle on one open database file; clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the file (mode 0600), creating it if it is missing, checks it with `quick_check`, and
    /// applies the migrations that are missing. Blocks: call it before the daemon serves.
    ///
    /// WAL with `synchronous=FULL`: what was committed survives a power cut.
    ///
    /// # Errors
    /// Critical [`SqliteError::Damaged`]: the file with its -wal and -shm lies beside it as
    /// `….corrupt-<time>`, unchanged, and every later start gives the same error until a backup is put
    /// in its place or the kept file is moved away. Permanent [`SqliteError::Unusable`] and
    /// [`SqliteError::NewerSchema`]; retryable if the disk is full or another program holds the lock.
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, SqliteError> {
        let connection = open::writer(path, migrations)?;
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writer::serve(&connection, &inbox))
            .map_err(|error| SqliteError::Unusable { path: path.to_owned(), cause: Cause::from(&error) })?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                orders,
                thread: Mutex::new(Some(thread)),
                readers: Arc::new(Semaphore::new(READERS as usize)),
                idle: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs `work` on the writer thread, inside a savepoint that an error or a panic rolls back, and
    /// returns once it is durable. Works run in the order of their submission (the first poll).
    ///
    /// Dropping the future does not undo the work: it may still be done, or not.
    ///
    /// # Errors
    /// What `work` gives; else retryable if the disk is full or the database closed. On any error
    /// nothing of `work` has stayed.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, SqliteError>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        E: Into<SqliteError> + 'static,
        T: Send + 'static,
    {
        self.submit(work)?.await.unwrap_or(Err(SqliteError::Closed))
    }

    /// Runs `work` as [`Database::write`] does, after what was submitted before, but waits for nothing
    /// and hears of no failure: for what may be lost.
    pub fn post<E, F>(&self, work: F)
    where
        F: FnOnce(&Connection) -> Result<(), E> + Send + 'static,
        E: Into<SqliteError> + 'static,
    {
        drop(self.submit(work));
    }

    fn submit<T, E, F>(&self, work: F) -> Result<oneshot::Receiver<Result<T, SqliteError>>, SqliteError>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        E: Into<SqliteError> + 'static,
        T: Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let order = Order::Run(Box::new(Write::new(work, reply)));
        self.inner.orders.send(order).map_err(|_| SqliteError::Closed)?;
        Ok(outcome)
    }

    /// Runs `work` on a connection that can't write, off the async threads, on one snapshot of the
    /// data: it sees every write that was answered before the call.
    ///
    /// # Errors
    /// What `work` gives; else retryable if the database is closed.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, SqliteError>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        E: Into<SqliteError> + 'static,
        T: Send + 'static,
    {
        let permit = Arc::clone(&self.inner.readers).acquire_owned().await.map_err(|_| SqliteError::Closed)?;
        let inner = Arc::clone(&self.inner);
        let outcome = tokio::task::spawn_blocking(move || {
            let idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open::reader(&inner.path)?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let outcome = work(&snapshot).map_err(Into::into);
            drop(snapshot);
            inner.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            outcome
        })
        .await;
        outcome.unwrap_or_else(|join| Err(if join.is_panic() { SqliteError::Panicked } else { SqliteError::Closed }))
    }

    /// Finishes the reads under way and the writes that were submitted, folds the WAL into the file and ends the thread.
    /// Every other handle then gives [`SqliteError::Closed`].
    pub async fn close(self) {
        // All permits at once: no reader holds the WAL when it is folded in. Refused if closed before.
        let all = self.inner.readers.acquire_many(READERS).await;
        self.inner.readers.close();
        drop(all);
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // An error means that the thread has ended already.
        let _ = self.inner.orders.send(Order::Close);
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Limits the file to so many pages, as a full disk would. For tests.
    ///
    /// # Errors
    /// As [`Database::write`].
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<u32, SqliteError> {
        self.write(move |connection| {
            connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |row| row.get(0))
        })
        .await
    }
}
