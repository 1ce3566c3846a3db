//! When the next request may be sent: a bucket of our own below Google's quota, and the wait after a failure. Pure but
//! for the clock that it is told.
//!
//! Google allows one service account 60 reads and 60 writes a minute and answers 429 beyond; the bucket lets ten
//! through at once and then fifty a minute, which is never more than sixty in any minute. After a failure the wait is
//! min(2^n s + 0..1 s, 64 s), n being the failures in a row, and never less than what Google asked for; until then
//! whoever asks is turned away without a request.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::error::SheetError;
use crate::fault::Fault;

/// How much may be asked of Google.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one kind (reads, writes) at once.
    pub burst: u32,
    /// Then one per this time.
    pub every: Duration,
    /// The longest time for one request.
    pub timeout: Duration,
    /// How long Google may still do what it was asked for, after nobody waits for the answer any more.
    pub late: Duration,
    /// The unit of the wait after a failure.
    pub setback: Duration,
    /// The longest of these waits.
    pub longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            burst: 10,
            every: Duration::from_millis(1_200),
            timeout: Duration::from_secs(60),
            late: Duration::from_secs(180),
            setback: Duration::from_secs(1),
            longest: Duration::from_secs(64),
        }
    }
}

/// A bucket for one kind of requests.
pub struct Bucket(RateLimiter<NotKeyed, InMemoryState, DefaultClock>);

impl Bucket {
    /// A full one.
    pub fn new(limits: &Limits) -> Self {
        let burst = NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN);
        // A time of zero is none to governor: a nanosecond is as good.
        let every = limits.every.max(Duration::from_nanos(1));
        let quota = Quota::with_period(every).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        Self(RateLimiter::direct(quota))
    }

    /// Waits for a place. Cancel-safe: a place is taken at the end only.
    pub async fn turn(&self) {
        while let Err(not_yet) = self.0.check() {
            tokio::time::sleep(not_yet.wait_time_from(DefaultClock::default().now())).await;
        }
    }
}

/// The wait after failures.
#[derive(Debug, Default)]
pub struct Setbacks {
    failures: u32,
    /// Until when nobody may ask, and what went wrong last.
    closed: Option<(Instant, SheetError)>,
}

impl Setbacks {
    /// What went wrong last, if it is too early to try again, with the time that is left.
    pub fn open(&self, now: Instant) -> Result<(), SheetError> {
        match &self.closed {
            Some((until, error)) if now < *until => Err(error.clone().after(*until - now)),
            _ => Ok(()),
        }
    }

    /// All is well again.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Notes a failure; the same error with the wait that follows from it. `chance` is uniform in 0..1.
    pub fn failed(&mut self, error: SheetError, limits: &Limits, now: Instant, chance: f64) -> SheetError {
        if !error.class().is_retryable() || error == SheetError::Held {
            return error;
        }
        let doubled = limits.setback.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(30);
        let drawn = doubled.saturating_add(limits.setback.mul_f64(chance.clamp(0.0, 1.0))).min(limits.longest);
        let wait = error.wished().unwrap_or_default().max(drawn);
        let error = error.after(wait);
        self.closed = now.checked_add(wait).map(|until| (until, error.clone()));
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::google::error::Step;

    fn away() -> SheetError {
        SheetError::Unavailable { step: Step::Read, what: "HTTP 503", after: None }
    }

    #[test]
    fn each_failure_in_a_row_doubles_the_wait_up_to_a_minute() {
        let (limits, now) = (Limits::default(), Instant::now());
        let mut setbacks = Setbacks::default();
        let waits: Vec<u64> =
            (0..9).map(|_| setbacks.failed(away(), &limits, now, 0.5).wished().unwrap().as_millis() as u64).collect();
        assert_eq!(waits, [1_500, 2_500, 4_500, 8_500, 16_500, 32_500, 64_000, 64_000, 64_000]);
        assert!(setbacks.open(now).is_err());
        assert_eq!(setbacks.open(now + Duration::from_secs(60)).unwrap_err().wished(), Some(Duration::from_secs(4)));
        assert!(setbacks.open(now + Duration::from_secs(64)).is_ok());
        setbacks.succeeded();
        assert!(setbacks.open(now).is_ok());
    }

    #[test]
    fn what_google_asks_for_is_granted_and_what_waits_for_a_human_is_not_counted() {
        let (limits, now) = (Limits::default(), Instant::now());
        let mut setbacks = Setbacks::default();
        let asked = SheetError::RateLimited { after: Some(Duration::from_secs(90)) };
        assert_eq!(setbacks.failed(asked, &limits, now, 0.0).wished(), Some(Duration::from_secs(90)));
        setbacks.succeeded();
        assert_eq!(setbacks.failed(SheetError::Missing, &limits, now, 0.0), SheetError::Missing);
        assert!(setbacks.open(now).is_ok());
    }

    #[test]
    fn no_minute_sees_more_than_google_allows() {
        let limits = Limits::default();
        let in_a_minute = limits.burst + (60_000 / limits.every.as_millis() as u32);
        assert_eq!(in_a_minute, 60);
    }

    #[tokio::test]
    async fn the_bucket_gives_its_burst_at_once_and_then_waits() {
        let bucket = Bucket::new(&Limits { burst: 3, every: Duration::from_secs(3600), ..Limits::default() });
        for _ in 0..3 {
            bucket.turn().await;
        }
        assert!(futures::FutureExt::now_or_never(bucket.turn()).is_none());
    }
}
