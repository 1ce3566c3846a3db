//! What a collector remembers between two passes, and loses with its process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;

use crate::collect::flaps::Flaps;
use crate::fault::Code;
use crate::ports::Steady;

/// So often in a row a page must be broken before that is more than a hiccup.
pub const MISSES: u32 = 3;

/// How often things were amiss, one time after the other.
#[derive(Debug, Default)]
pub struct Misses {
    passes: AtomicU32,
    fields: Mutex<HashMap<String, u32>>,
}

impl Misses {
    /// Counts one more reading in which a field is missing; true if that is to be told.
    pub fn missed(&self, field: &str) -> bool {
        let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        let count = fields.entry(field.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count >= MISSES
    }

    /// The field is there again.
    pub fn found(&self, field: &str) {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).remove(field);
    }
}

/// The memory of one collector.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was amiss lately.
    pub misses: Misses,
    flaps: Mutex<Flaps>,
    evidence: Mutex<Option<PathBuf>>,
    steady: OnceLock<Steady>,
}

impl Memory {
    pub(super) fn flaps(&self) -> MutexGuard<'_, Flaps> {
        self.flaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steady time, which began with the wall clock of the first question.
    pub(super) fn steady(&self, wall: Timestamp) -> Timestamp {
        self.steady.get_or_init(|| Steady::beginning(wall)).now()
    }

    /// Takes a fault into account; how many passes in a row ended in a page that could not be read.
    pub(super) fn failed(&self, code: Code) -> u32 {
        match code {
            Code::LayoutBroken | Code::PageNotRendered => self.misses.passes.fetch_add(1, Ordering::Relaxed) + 1,
            _ => self.missed_passes(),
        }
    }

    pub(super) fn missed_passes(&self) -> u32 {
        self.misses.passes.load(Ordering::Relaxed)
    }

    /// A pass was completed, or a human says that the account is to be tried anew.
    pub(super) fn completed(&self) {
        self.misses.passes.store(0, Ordering::Relaxed);
    }

    /// Keeps what was taken down of a failure until the failure is told.
    pub(super) fn keep_evidence(&self, path: Option<PathBuf>) {
        *self.evidence.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }

    pub(super) fn take_evidence(&self) -> Option<PathBuf> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_time_in_a_row_is_no_hiccup() {
        let misses = Misses::default();
        assert_eq!([misses.missed("a"), misses.missed("a"), misses.missed("b")], [false; 3]);
        misses.found("a");
        assert_eq!(
            [misses.missed("a"), misses.missed("a"), misses.missed("a"), misses.missed("a")],
            [false, false, true, true]
        );
        let memory = Memory::default();
        let failed = [Code::LayoutBroken, Code::SiteUnreachable, Code::PageNotRendered].map(|code| memory.failed(code));
        assert_eq!(failed, [1, 1, 2]);
        memory.completed();
        assert_eq!(memory.failed(Code::LayoutBroken), 1);
    }
}
