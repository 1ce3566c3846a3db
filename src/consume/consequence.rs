//! From what happened to an event to what becomes of it: the table of docs/faults as a pure function.
//!
//! | fault | the event | the consumer |
//! |---|---|---|
//! | retryable, of the event | waits on the ladder; after the last rung a dead letter | goes on |
//! | retryable, of something wider | handed back, uncounted: it is not the event's fault | backs off |
//! | the time for it has not come | comes again after the wait that the fault names, uncounted | goes on |
//! | permanent, of the event, an account or a site | dead letter | goes on |
//! | permanent, of the process | handed back: a dead letter for every event would help nobody | the process stops |
//! | critical | handed back | the process stops |
//!
//! A critical fault stops the process even if its scope is narrower: a queue carries the events of all
//! accounts, so there is nothing smaller here that could stop.

use std::time::Duration;

use super::runner::Outcome;
use crate::fault::{AnyFault, Class, Code, Scope};
use crate::ports::Settlement;
use crate::resilience::{LADDER, ladder};

/// The longest reason that a dead letter carries, in characters.
const REASON_LIMIT: usize = 500;

/// What the consumer does after a settlement; the later in this order, the graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// Takes the next batch.
    GoOn,
    /// Waits, at least as long as the other side asked, and subscribes anew.
    BackOff(Option<Duration>),
    /// Stops the process softly.
    Stop,
}

/// True if the fault tells nothing about the event in hand: the store is away, the disk is full.
pub fn is_wider_than_event(fault: &AnyFault) -> bool {
    match fault.class() {
        Class::Retryable { .. } => fault.scope() > Scope::Event,
        Class::Permanent => fault.scope() == Scope::Process,
        Class::Critical => true,
    }
}

/// What becomes of an event that failed `failures` times before, and of its consumer.
pub fn of_outcome(outcome: &Outcome, failures: u32) -> (Settlement, Next) {
    match outcome {
        Outcome::Done => (Settlement::Done, Next::GoOn),
        Outcome::HandBack => (Settlement::HandBack, Next::GoOn),
        Outcome::NotYet(fault) => (Settlement::Wait { after: wait(fault) }, Next::GoOn),
        Outcome::Failed(fault) => of_fault(fault, failures),
    }
}

/// [`of_outcome`] for a fault.
pub fn of_fault(fault: &AnyFault, failures: u32) -> (Settlement, Next) {
    match fault.class() {
        Class::Retryable { after } if is_wider_than_event(fault) => (Settlement::HandBack, Next::BackOff(after)),
        Class::Retryable { after } => (next_rung(fault, failures, after), Next::GoOn),
        Class::Permanent if is_wider_than_event(fault) => (Settlement::HandBack, Next::Stop),
        Class::Permanent => (Settlement::Dead { code: fault.code(), reason: reason(&fault.chain()) }, Next::GoOn),
        Class::Critical => (Settlement::HandBack, Next::Stop),
    }
}

/// Without a wish of the fault, as long as the last retry but one.
fn wait(fault: &AnyFault) -> Duration {
    match fault.class() {
        Class::Retryable { after: Some(after) } => after,
        Class::Retryable { after: None } | Class::Permanent | Class::Critical => LADDER[LADDER.len() - 2],
    }
}

fn next_rung(fault: &AnyFault, failures: u32, wished: Option<Duration>) -> Settlement {
    match ladder(failures, wished) {
        Ok(after) => Settlement::Retry { after, code: fault.code() },
        Err(exhausted) => Settlement::Dead {
            code: Code::AttemptsExhausted,
            reason: reason(&format!("{} after {} attempts: {}", fault.code(), exhausted.attempts, fault.chain())),
        },
    }
}

/// A reason of bounded length: it becomes a header.
pub fn reason(text: &str) -> String {
    match text.char_indices().nth(REASON_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy, thiserror::Error)]
    #[error("it failed")]
    struct Failed(Class, Scope);
    impl Fault for Failed {
        fn class(&self) -> Class {
            self.0
        }
        fn scope(&self) -> Scope {
            self.1
        }
        fn code(&self) -> Code {
            Code::EventOrphaned
        }
    }

    const SCOPES: [Scope; 4] = [Scope::Event, Scope::Account, Scope::Site, Scope::Process];

    fn classes() -> impl Strategy<Value = Class> {
        prop_oneof![
            proptest::option::of(0u64..10_000).prop_map(|s| Class::Retryable { after: s.map(Duration::from_secs) }),
            Just(Class::Permanent),
            Just(Class::Critical),
        ]
    }

    proptest! {
        #[test]
        fn only_the_events_own_faults_are_held_against_it(
            class in classes(), scope in 0usize..4, failures in 0u32..9,
        ) {
            let scope = SCOPES[scope];
            let (settlement, next) = of_fault(&AnyFault::from(Failed(class, scope)), failures);
            match (class, scope) {
                (Class::Critical, _) | (Class::Permanent, Scope::Process) => {
                    prop_assert_eq!((settlement, next), (Settlement::HandBack, Next::Stop));
                }
                (Class::Permanent, _) => {
                    let dead = Settlement::Dead { code: Code::EventOrphaned, reason: "it failed".to_owned() };
                    prop_assert_eq!((settlement, next), (dead, Next::GoOn));
                }
                (Class::Retryable { after }, Scope::Event) => {
                    prop_assert_eq!(next, Next::GoOn);
                    match settlement {
                        Settlement::Retry { after: wait, code } => {
                            prop_assert_eq!(code, Code::EventOrphaned);
                            prop_assert!((failures as usize) < LADDER.len() && wait >= LADDER[failures as usize]);
                            prop_assert!(wait >= after.unwrap_or_default().min(LADDER[4]));
                        }
                        Settlement::Dead { code, reason } => {
                            prop_assert_eq!(code, Code::AttemptsExhausted);
                            prop_assert!(failures as usize >= LADDER.len());
                            prop_assert!(reason.starts_with("event-orphaned after "), "{}", reason);
                        }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                (Class::Retryable { after }, _) => {
                    prop_assert_eq!((settlement, next), (Settlement::HandBack, Next::BackOff(after)));
                }
            }
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(reason("kurz"), "kurz");
        assert_eq!(reason(&"ä".repeat(600)).chars().count(), REASON_LIMIT + 1);
    }

    #[test]
    fn the_graver_consequence_wins() {
        assert!(Next::Stop > Next::BackOff(Some(Duration::MAX)));
        assert!(Next::BackOff(Some(Duration::ZERO)) > Next::BackOff(None) && Next::BackOff(None) > Next::GoOn);
    }

    #[test]
    fn what_is_too_early_waits_however_often_and_stops_nobody() {
        let of = |fault: Failed, failures| of_outcome(&Outcome::NotYet(fault.into()), failures);
        let after = Duration::from_secs(7);
        for failures in [0, 5, 500] {
            let early = Failed(Class::Retryable { after: Some(after) }, Scope::Event);
            assert_eq!(of(early, failures), (Settlement::Wait { after }, Next::GoOn));
        }
        let unsaid = of(Failed(Class::RETRY, Scope::Event), 9);
        assert_eq!(unsaid, (Settlement::Wait { after: Duration::from_secs(600) }, Next::GoOn));
    }
}
