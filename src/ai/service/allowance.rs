//! How many tries one analysis has, and which waits are worth holding a delivery for.

use std::time::Duration;

use super::super::error::AiError;
use crate::resilience::RetrySchedule;

/// The waits between tries; a service that was busy for a moment is free again within them.
const SCHEDULE: RetrySchedule = RetrySchedule::new(Duration::from_millis(250), Duration::from_secs(2), TRIES);
/// Tries of one analysis that may fail in passing, the question and the repair together.
const TRIES: u32 = 3;
/// Of these, so many may have been worked on, and charged for, without our hearing of it.
const LOST: u32 = 1;
/// A longer wait is nothing to hold a delivery for: the event goes back and waits in its queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many calls of one analysis may be charged for: the question, the repair, and what was lost.
pub(super) const MOST_CHARGED: u32 = 2 + LOST;

/// True if it is short enough to be waited out in a call.
pub(super) fn is_short(wait: Duration) -> bool {
    wait <= PATIENCE
}

/// What one analysis has left.
#[derive(Debug)]
pub(super) struct Allowance {
    failed: u32,
    lost: u32,
}

impl Allowance {
    pub(super) const fn new() -> Self {
        Self { failed: 0, lost: 0 }
    }

    /// How long to wait before one more try after this failure; `None`: there is none, or it would have to
    /// wait too long. `chance` is uniform in 0..1.
    pub(super) fn next(&mut self, error: &AiError, chance: f64) -> Option<Duration> {
        if !error.is_passing() || error.wish().is_some_and(|wish| !is_short(wish)) {
            return None;
        }
        if error.may_cost() {
            self.lost += 1;
        }
        self.failed += 1;
        if self.lost > LOST {
            return None;
        }
        SCHEDULE.delay(self.failed, error.wish(), chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::error::{Flaw, Lost, Said};
    use proptest::prelude::*;

    fn failed(after: Option<u64>) -> AiError {
        let lost = Lost::Failed(Said { status: 503, ..Said::default() });
        AiError::Unreachable { host: String::new(), lost, after: after.map(Duration::from_secs) }
    }

    #[test]
    fn there_are_three_tries_and_short_wishes_are_granted() {
        let mut allowance = Allowance::new();
        assert!(allowance.next(&failed(Some(3)), 0.0).unwrap() >= Duration::from_secs(3));
        assert!(allowance.next(&failed(None), 1.0).unwrap() <= Duration::from_secs(2));
        assert_eq!(allowance.next(&failed(None), 0.0), None);
        assert_eq!(Allowance::new().next(&failed(Some(30)), 0.0), None);
    }

    #[test]
    fn what_may_be_charged_for_is_tried_once_more_only() {
        let timeout = AiError::Unreachable { host: String::new(), lost: Lost::Timeout, after: None };
        let mut allowance = Allowance::new();
        assert!(allowance.next(&timeout, 0.0).is_some());
        assert_eq!(allowance.next(&timeout, 0.0), None);
    }

    #[test]
    fn what_no_repetition_helps_is_not_repeated() {
        let said = Said { status: 429, ..Said::default() };
        for error in [
            AiError::QuotaExhausted { said: said.clone() },
            AiError::Auth { said: said.clone() },
            AiError::ModelUnknown { model: String::new(), said: said.clone() },
            AiError::Rejected { said: said.clone() },
            AiError::Refused,
            AiError::CutOff { limit: 1 },
            AiError::Invalid(Flaw::Empty),
            AiError::Resting { after: Duration::ZERO, code: crate::fault::Code::AiUnreachable },
            AiError::Unreachable { host: String::new(), lost: Lost::Redirected(said), after: None },
        ] {
            assert_eq!(Allowance::new().next(&error, 0.0), None, "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_mixture_of_failures_is_charged_for_more_than_reckoned(kinds in proptest::collection::vec(0u8..3, 0..12)) {
            let mut allowance = Allowance::new();
            let mut charged = 0;
            for kind in kinds {
                let error = match kind {
                    0 => failed(None),
                    1 => AiError::Unreachable { host: String::new(), lost: Lost::Broken, after: None },
                    _ => AiError::NotAnAnswer { what: "x", said: Said::default() },
                };
                charged += u32::from(error.may_cost());
                if allowance.next(&error, 0.5).is_none() {
                    break;
                }
            }
            // The last one failed for good: no repair follows it.
            prop_assert!(charged <= MOST_CHARGED);
        }
    }
}
