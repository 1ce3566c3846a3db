//! Questions that an analyst's service fails over: whose fault is it, the question's or the service's?
//!
//! One failure does not tell. As long as nothing else has been answered since, the service is to blame and
//! the question waits without being counted, however long that takes: a wrong setting, or a gateway that
//! is down, must not turn everything that is queued into dead letters. Once other questions are answered
//! and this one has failed [`PATIENT`] times, it counts, and becomes a dead letter in the end: one
//! conversation that a model can't cope with must neither stall the others nor cost money for ever.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::waiting::Halt;
use crate::consume::ConsumeError;
use crate::domain::EventId;
use crate::fault::{AnyFault, Class};

/// So often a question may fail while others succeed before it is the question's own fault.
const PATIENT: u32 = 3;
/// The first wait; each is twice the one before.
const FIRST: Duration = Duration::from_secs(30);
/// The longest.
const LONGEST: Duration = Duration::from_secs(600);
/// So many questions are remembered; a service that is away fails over more, and then it is to blame anyway.
const MEMORY: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Trouble {
    since: Instant,
    failures: u32,
}

#[derive(Debug, Default)]
struct State {
    troubles: HashMap<EventId, Trouble>,
    /// When a question was last answered.
    answered: Option<Instant>,
}

/// What is known of this process' questions.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<State>);

impl Troubles {
    /// The service has answered a question.
    pub(super) fn answered(&self) {
        self.state().answered = Some(Instant::now());
    }

    /// This question is done with.
    pub(super) fn forget(&self, id: EventId) {
        self.state().troubles.remove(&id);
    }

    /// A question has failed in a way that may pass: it waits, or it counts.
    pub(super) fn failed(&self, id: EventId, fault: AnyFault) -> Halt {
        let mut state = self.state();
        if state.troubles.len() >= MEMORY {
            state.troubles.clear();
        }
        let now = Instant::now();
        let trouble = state.troubles.entry(id).or_insert(Trouble { since: now, failures: 0 });
        trouble.failures = trouble.failures.saturating_add(1);
        let Trouble { since, failures } = *trouble;
        if failures > PATIENT && state.answered.is_some_and(|answered| answered > since) {
            return Halt::Failed(fault);
        }
        let doubled = FIRST.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST);
        let wished = match fault.class() {
            Class::Retryable { after } => after.unwrap_or_default(),
            Class::Permanent | Class::Critical => Duration::ZERO,
        };
        Halt::NotYet(ConsumeError::Unanswered { why: fault.chain(), code: fault.code(), after: doubled.max(wished) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::tests::EVENT_RETRY;
    use crate::domain::EventType;

    fn id(n: u8) -> EventId {
        EventId::of(EventType::AnalysisRequested, &[&[n]])
    }

    /// The wait in seconds, or `None` if it counts.
    fn wait(halt: &Halt) -> Option<u64> {
        match halt {
            Halt::NotYet(ConsumeError::Unanswered { after, .. }) => Some(after.as_secs()),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_counts_as_long_as_nothing_is_answered() {
        let troubles = Troubles::default();
        troubles.answered();
        tokio::time::advance(Duration::from_secs(1)).await;
        let waits: Vec<_> = (0..50).map(|_| wait(&troubles.failed(id(1), EVENT_RETRY.into()))).collect();
        assert_eq!(waits[..6], [Some(30), Some(60), Some(120), Some(240), Some(480), Some(600)]);
        assert!(waits.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_alone_counts_and_an_answer_forgives() {
        let troubles = Troubles::default();
        let fail = |n| wait(&troubles.failed(id(n), EVENT_RETRY.into()));
        assert_eq!(fail(1), Some(30));
        tokio::time::advance(Duration::from_secs(1)).await;
        troubles.answered();
        assert_eq!([fail(1), fail(1), fail(1), fail(1)], [Some(60), Some(120), None, None]);
        troubles.forget(id(1));
        assert_eq!(fail(1), Some(30));
    }
}
