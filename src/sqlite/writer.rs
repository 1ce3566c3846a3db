//! The thread that writes: takes all jobs that wait, runs them in one transaction, commits once.
//!
//! One fsync then serves every caller that came while the last one was under way (group commit). Each
//! job has a savepoint of its own, so that a failing job leaves its neighbours alone. A job is
//! answered only after the commit; nobody who was told "done" can lose it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::SqliteError;

/// Most jobs in one transaction: bounds how long the first one waits for its answer.
const GROUP: usize = 256;

/// What the thread is told.
pub(super) enum Order {
    /// Run this in the next transaction.
    Run(Box<dyn Job>),
    /// Finish what came before, fold the WAL in, and end.
    Close,
}

/// One piece of work with the way back to its caller.
pub(super) trait Job: Send {
    /// Does the work; an error means that it must not stay.
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError>;
    /// The work did not or does not stay: whoever waits gets this error, unless it has one of its own.
    fn fail(&mut self, error: &SqliteError);
    /// Gives the caller the outcome.
    fn answer(self: Box<Self>);
}

/// The work of a [`super::Database::write`].
pub(super) struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, SqliteError>>,
    reply: oneshot::Sender<Result<T, SqliteError>>,
}

impl<T, F> Write<T, F> {
    pub(super) const fn new(work: F, reply: oneshot::Sender<Result<T, SqliteError>>) -> Self {
        Self { work: Some(work), outcome: None, reply }
    }
}

impl<T, E, F> Job for Write<T, F>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    E: Into<SqliteError>,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A panic must cost its own caller only: without this the thread, and with it all writing, would end.
        let outcome = match catch_unwind(AssertUnwindSafe(|| work(connection))) {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(_) => Err(SqliteError::Panicked),
        };
        let verdict = outcome.as_ref().map(drop).map_err(SqliteError::clone);
        self.outcome = Some(outcome);
        verdict
    }

    fn fail(&mut self, error: &SqliteError) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(error.clone()));
        }
    }

    fn answer(self: Box<Self>) {
        // A caller that has gone away needs no answer; its work stays done.
        let _ = self.reply.send(self.outcome.unwrap_or(Err(SqliteError::Closed)));
    }
}

/// Runs until told to close, or until every handle is gone.
pub(super) fn serve(connection: &Connection, orders: &Receiver<Order>) {
    let mut open = true;
    while open {
        let Ok(first) = orders.recv() else { break };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Run(job) => group.push(job),
                Order::Close => open = false,
            }
            next = if open && group.len() < GROUP { orders.try_recv().ok() } else { None };
        }
        commit_group(connection, group);
    }
    // Whoever came after the close is told so.
    for order in orders.try_iter() {
        if let Order::Run(job) = order {
            job.answer();
        }
    }
    // Best effort: what is not folded in now is at the next start.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

fn commit_group(connection: &Connection, mut group: Vec<Box<dyn Job>>) {
    if group.is_empty() {
        return;
    }
    let mut first = 0;
    let mut state = statement(connection, "BEGIN IMMEDIATE");
    for index in 0..group.len() {
        if state.is_err() {
            break;
        }
        if let Err(error) = in_savepoint(connection, &mut *group[index]) {
            // The whole transaction is gone, and with it what the jobs before this one wrote.
            group[first..=index].iter_mut().for_each(|job| job.fail(&error));
            first = index + 1;
            state = statement(connection, "BEGIN IMMEDIATE");
        }
    }
    if let Err(error) = state.and_then(|()| statement(connection, "COMMIT")) {
        if !connection.is_autocommit() {
            // If even this fails, the next BEGIN says so.
            let _ = statement(connection, "ROLLBACK");
        }
        group[first..].iter_mut().for_each(|job| job.fail(&error));
    }
    group.into_iter().for_each(|job| job.answer());
}

/// Runs one job in a savepoint. `Err` only if the transaction around it is lost: SQLite itself rolls
/// everything back on some failures (full disk, I/O).
fn in_savepoint(connection: &Connection, job: &mut dyn Job) -> Result<(), SqliteError> {
    let outcome = statement(connection, "SAVEPOINT job")
        .and_then(|()| job.run(connection))
        .and_then(|()| statement(connection, "RELEASE job"));
    let Err(error) = outcome else { return Ok(()) };
    job.fail(&error);
    let undone = statement(connection, "ROLLBACK TO job").and_then(|()| statement(connection, "RELEASE job"));
    if undone.is_err() && !connection.is_autocommit() {
        // Half a job must not be committed with its neighbours.
        statement(connection, "ROLLBACK")?;
    }
    if connection.is_autocommit() { Err(error) } else { Ok(()) }
}

fn statement(connection: &Connection, sql: &str) -> Result<(), SqliteError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
