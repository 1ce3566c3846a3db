//! At most so many calls in a minute: the quota of an endpoint, kept on our side so that the other side
//! need not refuse.
//!
//! governor does the arithmetic (a leaky bucket that lets a short burst through); its clock is told the
//! time by the caller, so that nothing here asks for it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Bucket, RateLimiter};

/// Nanoseconds since the first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

impl std::ops::Add<Nanos> for Moment {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

/// The time that was told last; it never runs backwards.
#[derive(Debug, Clone, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Moment;
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Acquire))
    }
}

/// A number of calls per minute.
#[derive(Debug)]
pub struct Quota {
    limiter: RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Moment>>,
    told: Told,
    began: Instant,
}

impl Quota {
    /// `per_minute` calls (at least 1), at most `burst` of them (at least 1) at once; `now` is the begin of time.
    pub fn new(per_minute: u32, burst: u32, now: Instant) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let told = Told::default();
        let bucket = Bucket::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst));
        Self { limiter: RateLimiter::direct_with_clock(bucket, told.clone()), told, began: now }
    }

    /// Takes a place at `now`.
    ///
    /// # Errors
    /// No place is free; the earliest moment at which one may be is so far away.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let passed = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        self.told.0.fetch_max(passed, Ordering::AcqRel);
        self.limiter.check().map_err(|refused| refused.wait_time_from(self.told.now()).max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_quota_and_its_burst(
            per_minute in 1u32..600, burst in 1u32..20, pauses in proptest::collection::vec(0u64..4_000, 1..300),
        ) {
            let mut now = Instant::now();
            let quota = Quota::new(per_minute, burst, now);
            let mut taken: Vec<Instant> = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                if quota.take(now).is_ok() {
                    taken.push(now);
                    let recent = taken.iter().filter(|at| now - **at < Duration::from_secs(60)).count();
                    prop_assert!(recent <= (per_minute + burst) as usize, "{} in a minute", recent);
                }
            }
        }

        #[test]
        fn who_waits_as_told_gets_a_place(per_minute in 1u32..600, burst in 1u32..5) {
            let mut now = Instant::now();
            let quota = Quota::new(per_minute, burst, now);
            for _ in 0..20 {
                if let Err(wait) = quota.take(now) {
                    prop_assert!(wait <= Duration::from_secs(61), "{:?}", wait);
                    now += wait;
                    prop_assert!(quota.take(now).is_ok());
                }
            }
        }
    }
}
