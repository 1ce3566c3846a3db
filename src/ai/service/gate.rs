//! Who may call now: so many at once, so many a minute, and nobody while the breaker is open.
//!
//! One gate per process and endpoint. What a breaker hears of are calls that show how the service does; a
//! key that is refused shows nothing of that.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::super::error::{AiError, Lost};
use super::allowance::is_short;
use crate::fault::{Code, Fault};
use crate::resilience::{Breaker, BreakerSettings, BreakerState, Permit, Quota};

/// It opens when half of the calls of two minutes failed, or nine of ten took nearly all the time that they may.
fn breaker(timeout: Duration) -> BreakerSettings {
    BreakerSettings {
        window: Duration::from_secs(120),
        least: 10,
        failures: 0.5,
        slow_calls: 0.9,
        slow: timeout.mul_f64(0.9),
        rest: Duration::from_secs(30),
        trials: 2,
    }
}

/// The gate in front of one endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    places: Semaphore,
    quota: Quota,
    breaker: Mutex<(Breaker, Code)>,
}

impl Gate {
    pub(super) fn new(at_once: u32, per_minute: u32, timeout: Duration) -> Self {
        Self {
            places: Semaphore::new(usize::try_from(at_once).unwrap_or(1).max(1)),
            // A minute's quota at once would be refused by services that count by the second.
            quota: Quota::new(per_minute, at_once.max(per_minute / 6), Instant::now().into_std()),
            breaker: Mutex::new((Breaker::new(breaker(timeout)), Code::AiUnreachable)),
        }
    }

    /// Waits for a place, and for a few seconds for the quota.
    ///
    /// # Errors
    /// [`AiError::OwnLimit`] if the quota would have to be waited for longer, [`AiError::Resting`] while the
    /// breaker is open, [`AiError::Interrupted`] if the gate is no more.
    pub(super) async fn enter(&self) -> Result<Pass<'_>, AiError> {
        let place = self.places.acquire().await.map_err(|_| AiError::Interrupted)?;
        while let Err(after) = self.quota.take(Instant::now().into_std()) {
            if !is_short(after) {
                return Err(AiError::OwnLimit { after });
            }
            tokio::time::sleep(after).await;
        }
        let now = Instant::now();
        let mut guard = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let (breaker, code) = &mut *guard;
        let code = *code;
        let permit = breaker.admit(now.into_std()).map_err(|after| AiError::Resting { after, code })?;
        Ok(Pass { gate: self, permit: Some(permit), begun: now, _place: place })
    }
}

impl Gate {
    /// Whether calls are let through now: 0 all, 1 a few to see, 2 none.
    pub(super) fn openness(&self) -> f64 {
        let guard = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        match guard.0.state(Instant::now().into_std()) {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        }
    }
}

/// Leave to make one call; what came of it is told by [`Pass::leave`].
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    permit: Option<Permit>,
    begun: Instant,
    _place: SemaphorePermit<'a>,
}

/// What a failure shows of how the service does; `None`: nothing.
fn shows_trouble(error: &AiError) -> Option<bool> {
    match error {
        AiError::Unreachable { lost: Lost::Redirected(_), .. }
        | AiError::QuotaExhausted { .. }
        | AiError::Auth { .. }
        | AiError::ModelUnknown { .. } => None,
        AiError::Unreachable { .. }
        | AiError::RateLimited { .. }
        | AiError::NotAnAnswer { .. }
        | AiError::Rejected { .. } => Some(true),
        _ => Some(false),
    }
}

impl Pass<'_> {
    /// The call has ended; true if the breaker opened over it.
    pub(super) fn leave<T>(mut self, outcome: &Result<T, AiError>, is_trouble: bool) -> bool {
        let Some(permit) = self.permit.take() else { return false };
        let now = Instant::now();
        let mut guard = self.gate.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let (breaker, code) = &mut *guard;
        let trouble = match outcome {
            Ok(_) => Some(false),
            Err(error) => shows_trouble(error).map(|trouble| trouble && is_trouble),
        };
        let Some(trouble) = trouble else {
            breaker.forget(permit);
            return false;
        };
        if let (true, Err(error)) = (trouble, outcome) {
            *code = error.code();
        }
        let before = breaker.state(now.into_std());
        breaker.record(permit, now.into_std(), !trouble, now - self.begun);
        let after = breaker.state(now.into_std());
        before != after && after == BreakerState::Open
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.gate.breaker.lock().unwrap_or_else(PoisonError::into_inner).0.forget(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::error::Said;

    fn trouble() -> Result<(), AiError> {
        Err(AiError::NotAnAnswer { what: "x", said: Said::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_over_failures_says_which_and_lets_a_trial_through_later() {
        let gate = Gate::new(4, 100_000, Duration::from_secs(60));
        for n in 1..=10 {
            let opened = gate.enter().await.unwrap().leave(&trouble(), true);
            assert_eq!(opened, n == 10);
            assert_eq!(gate.openness(), if opened { 2.0 } else { 0.0 });
        }
        match gate.enter().await.unwrap_err() {
            AiError::Resting { after, code } => {
                assert_eq!((after, code), (Duration::from_secs(30), Code::AiInvalid));
            }
            other => panic!("{other}"),
        }
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(gate.enter().await.unwrap());
        for _ in 0..2 {
            gate.enter().await.unwrap().leave(&Ok::<_, AiError>(()), true);
        }
        assert_eq!(gate.openness(), 0.0);
        for _ in 0..9 {
            assert!(gate.enter().await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_and_a_form_that_is_not_taken_open_nothing() {
        let gate = Gate::new(4, 100_000, Duration::from_secs(60));
        for _ in 0..30 {
            let refused: Result<(), _> = Err(AiError::Auth { said: Said::default() });
            gate.enter().await.unwrap().leave(&refused, true);
            let form: Result<(), _> = Err(AiError::Rejected { said: Said::default() });
            gate.enter().await.unwrap().leave(&form, false);
        }
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_wait_for_the_quota_is_waited_out_and_a_long_one_is_not() {
        let gate = Gate::new(1, 60, Duration::from_secs(60));
        for _ in 0..10 {
            drop(gate.enter().await.unwrap());
        }
        let begun = Instant::now();
        drop(gate.enter().await.unwrap());
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
        let slow = Gate::new(1, 1, Duration::from_secs(60));
        drop(slow.enter().await.unwrap());
        match slow.enter().await.unwrap_err() {
            AiError::OwnLimit { after } => assert!(after > Duration::from_secs(50) && after <= Duration::from_secs(61)),
            other => panic!("{other}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_inside_than_may_be() {
        let gate = Gate::new(2, 100_000, Duration::from_secs(60));
        let (one, _two) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        let third = gate.enter();
        tokio::pin!(third);
        assert!(futures::poll!(&mut third).is_pending());
        drop(one);
        assert!(third.await.is_ok());
    }
}
