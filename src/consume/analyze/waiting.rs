//! Which requests of this process wait for a budget: so that whoever waits for the queue to empty need not
//! wait for the next month, and that a request that comes back before that costs next to nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::consume::ConsumeError;
use crate::domain::EventId;
use crate::fault::AnyFault;

/// Why a request is not answered now.
pub(super) enum Halt {
    /// The time for it has not come.
    NotYet(ConsumeError),
    /// The analyst failed over it, in a way that may pass.
    Unanswered(AnyFault),
    /// It failed.
    Failed(AnyFault),
}

impl From<AnyFault> for Halt {
    fn from(fault: AnyFault) -> Self {
        Self::Failed(fault)
    }
}

impl From<ConsumeError> for Halt {
    fn from(error: ConsumeError) -> Self {
        Self::Failed(error.into())
    }
}

/// Requests that wait, each with the reason.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<EventId, ConsumeError>>);

impl Waiting {
    /// How many wait, and why one of them does.
    pub fn count(&self) -> (u64, Option<String>) {
        let waiting = self.all();
        (waiting.len() as u64, waiting.values().next().map(ToString::to_string))
    }

    /// Notes a request that waits for a period to end. One that waits for analyses under way is nobody's
    /// to give up.
    pub(in crate::consume) fn begin(&self, id: EventId, why: &ConsumeError) {
        if let ConsumeError::OverBudget { .. } = why {
            self.all().insert(id, why.clone());
        }
    }

    pub(super) fn end(&self, id: EventId) {
        self.all().remove(&id);
    }

    /// What this request is known to wait for at `now`. Within a period nothing comes back into a purse,
    /// and what may be drawn from it changes only with a new start.
    pub(super) fn still(&self, id: EventId, now: Timestamp) -> Option<ConsumeError> {
        let ConsumeError::OverBudget { purse, until, after } = self.all().get(&id)?.clone() else { return None };
        let left = Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())?;
        Some(ConsumeError::OverBudget { purse, until, after: after.min(left) })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EventId, ConsumeError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
