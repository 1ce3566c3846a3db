//! Which requests of this process wait for a budget: so that whoever waits for the queue to empty need not
//! wait for the next month.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::EventId;

/// Requests that wait, each with the reason.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<EventId, String>>);

impl Waiting {
    /// How many wait, and why one of them does.
    pub fn count(&self) -> (u64, Option<String>) {
        let waiting = self.all();
        (waiting.len() as u64, waiting.values().next().cloned())
    }

    pub(in crate::consume) fn begin(&self, id: EventId, why: String) {
        self.all().insert(id, why);
    }

    pub(super) fn end(&self, id: EventId) {
        self.all().remove(&id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EventId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
