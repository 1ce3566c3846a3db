//! Which browsers run: one for each environment, shared by its accounts.
//!
//! A further account costs about 40 MB in a browser that runs and about 450 MB in one of its own (measured;
//! ADR 0020), so the accounts of a site share one, up to a limit. An *environment* is what a process can
//! have one of: the hosts that its resolver knows, and its language. The first to need a browser starts it,
//! everybody who comes meanwhile waits for that one, and the last to leave ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::BrowserError;
use super::running::Running;

/// What all pages of one browser have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Environment {
    /// The rules of its resolver.
    pub rules: String,
    /// Its language.
    pub locale: String,
}

#[derive(Debug)]
struct Entry {
    environment: Environment,
    running: Arc<Running>,
    seats: u32,
    /// Seats that no account keeps, which count for no limit.
    scratch: u32,
}

/// The browsers that run.
#[derive(Debug, Default)]
pub struct Pool {
    entries: Mutex<Vec<Entry>>,
    /// Whoever starts a browser of an environment holds its lock.
    starting: Mutex<HashMap<Environment, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to have a page in a browser, until it is dropped; the last one to go ends the browser.
#[derive(Debug)]
pub struct Seat {
    pool: Arc<Pool>,
    /// The browser.
    pub running: Arc<Running>,
    is_scratch: bool,
}

impl Pool {
    /// A seat in a browser of this environment: one that runs, or one that `start` gives. `is_scratch`: it
    /// is for a moment only and counts for no limit.
    ///
    /// # Errors
    /// Those of `start`.
    pub async fn join(
        self: &Arc<Self>,
        environment: &Environment,
        limit: u32,
        is_scratch: bool,
        start: impl AsyncFnOnce() -> Result<Arc<Running>, BrowserError>,
    ) -> Result<Seat, BrowserError> {
        let gate = {
            let mut starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
            starting.entry(environment.clone()).or_default().clone()
        };
        let _alone = gate.lock().await;
        if let Some(running) = self.take(environment, limit, is_scratch) {
            return Ok(Seat { pool: self.clone(), running, is_scratch });
        }
        let running = start().await?;
        let (seats, scratch) = if is_scratch { (0, 1) } else { (1, 0) };
        let entry = Entry { environment: environment.clone(), running: running.clone(), seats, scratch };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(Seat { pool: self.clone(), running, is_scratch })
    }

    fn take(&self, environment: &Environment, limit: u32, is_scratch: bool) -> Option<Arc<Running>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |entry: &&mut Entry| {
            entry.environment == *environment && entry.running.takes_pages() && (is_scratch || entry.seats < limit)
        };
        let entry = entries.iter_mut().find(has_room)?;
        *(if is_scratch { &mut entry.scratch } else { &mut entry.seats }) += 1;
        Some(entry.running.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entries = self.pool.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = entries.iter().position(|entry| Arc::ptr_eq(&entry.running, &self.running)) else { return };
        let entry = &mut entries[index];
        let seats = if self.is_scratch { &mut entry.scratch } else { &mut entry.seats };
        *seats = seats.saturating_sub(1);
        if entry.seats + entry.scratch == 0 {
            entries.swap_remove(index).running.close();
        }
    }
}
