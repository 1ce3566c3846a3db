//! How long to wait before the next attempt: exponential with full jitter for calls that a task repeats
//! itself, and a fixed ladder for events that go back to a queue.
//!
//! backon gives the exponential part. Its own jitter is added on top of the delay (never below it) and
//! its iterator can't be asked for the nth wait; full jitter (uniform from 0 to the ceiling, which
//! spreads callers that failed together the widest) and the count of attempts are therefore ours. So is
//! the wish of the other side: backon's `adjust` turns "no attempts left" into one more attempt if it
//! answers with a delay.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::fault::Class;

/// A schedule of attempts at one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    min: Duration,
    max: Duration,
    attempts: Option<u32>,
}

/// After this many doublings every ceiling is at its maximum (2^40 × 1 ms is 34 years).
const DOUBLINGS: u32 = 40;

/// The longest wait that another side may ask for and get; with more it is taken at its limit.
const WISH_LIMIT: Duration = Duration::from_secs(600);

impl RetrySchedule {
    /// `attempts` in all, the waits between them drawn from 0 to a ceiling that doubles from `min` to
    /// `max`.
    pub const fn new(min: Duration, max: Duration, attempts: u32) -> Self {
        Self { min, max, attempts: Some(attempts) }
    }

    /// The same without an end: for connections that must come back some time.
    pub const fn endless(min: Duration, max: Duration) -> Self {
        Self { min, max, attempts: None }
    }

    /// The longest wait after `attempt` failed (counted from 1), before chance shortens it; `None` if it
    /// was the last one.
    pub fn ceiling(&self, attempt: u32) -> Option<Duration> {
        if self.attempts.is_some_and(|attempts| attempt >= attempts) {
            return None;
        }
        let step = attempt.saturating_sub(1).min(DOUBLINGS);
        ExponentialBuilder::new()
            .with_min_delay(self.min.min(self.max))
            .with_max_delay(self.max)
            .with_factor(2.0)
            .without_max_times()
            .build()
            .nth(usize::try_from(step).unwrap_or(usize::MAX))
    }

    /// How long to wait after `attempt` failed (counted from 1), or `None` if no attempt is left.
    ///
    /// `wished` is what the other side asked for ([`Class::Retryable`]'s `after`): the wait is never
    /// shorter, up to ten minutes. `chance` is uniform in 0..1, as `fastrand::f64` gives it.
    pub fn delay(&self, attempt: u32, wished: Option<Duration>, chance: f64) -> Option<Duration> {
        let ceiling = self.ceiling(attempt)?;
        let drawn = ceiling.mul_f64(if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 1.0 });
        Some(wished.map_or(drawn, |wished| wished.min(WISH_LIMIT).saturating_add(drawn)))
    }

    /// [`Self::delay`] for a fault of this class: `None` also if no repetition can help.
    pub fn delay_for(&self, attempt: u32, class: Class, chance: f64) -> Option<Duration> {
        match class {
            Class::Retryable { after } => self.delay(attempt, after, chance),
            Class::Permanent | Class::Critical => None,
        }
    }
}

/// The waits of an event that failed once, twice, …: quick, 5 s, 1 min, 10 min, 1 h. No delivery is held
/// meanwhile (the broker closes a channel after 30 min); the event waits in a retry queue.
pub const LADDER: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
];

/// No rung is left: the event becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// How many attempts there were, this one included.
    pub attempts: u32,
}

/// How long an event waits that failed now and `failures` times before. A longer wish of the other side
/// is honoured, up to the longest rung.
///
/// # Errors
/// [`Exhausted`] when the ladder has no rung left.
pub fn ladder(failures: u32, wished: Option<Duration>) -> Result<Duration, Exhausted> {
    let rung = usize::try_from(failures).ok().and_then(|index| LADDER.get(index)).copied();
    let rung = rung.ok_or(Exhausted { attempts: failures.saturating_add(1) })?;
    Ok(wished.map_or(rung, |wished| rung.max(wished.min(LADDER[LADDER.len() - 1]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
        range.prop_map(Duration::from_millis)
    }

    proptest! {
        #[test]
        fn waits_are_bounded_and_ceilings_never_fall(
            min in millis(0..10_000), max in millis(0..3_600_000), attempts in 0u32..200, chance in 0.0f64..1.0,
        ) {
            let schedule = RetrySchedule::new(min, max, attempts);
            let mut below = Duration::ZERO;
            for attempt in 1..attempts {
                let ceiling = schedule.ceiling(attempt).unwrap();
                prop_assert!(below <= ceiling && ceiling <= max, "{ceiling:?}");
                prop_assert!(schedule.delay(attempt, None, chance).unwrap() <= ceiling);
                below = ceiling;
            }
            if attempts > 60 && !min.is_zero() {
                prop_assert_eq!(below, max.max(below), "the ceiling arrives at the maximum");
                prop_assert!(below == max);
            }
        }

        #[test]
        fn there_are_never_more_attempts_than_allowed(attempts in 0u32..50, wish in millis(0..10_000_000)) {
            let schedule = RetrySchedule::new(Duration::from_millis(1), Duration::from_secs(1), attempts);
            let mut made = 0;
            loop {
                made += 1;
                if schedule.delay(made, Some(wish), 0.5).is_none() { break; }
                prop_assert!(made < 100, "endless");
            }
            prop_assert_eq!(made, attempts.max(1));
        }

        #[test]
        fn a_wish_is_never_undercut_up_to_its_limit(wish in millis(0..3_600_000), chance in 0.0f64..1.0) {
            let schedule = RetrySchedule::new(Duration::from_millis(100), Duration::from_secs(5), 5);
            let delay = schedule.delay(1, Some(wish), chance).unwrap();
            prop_assert!(delay >= wish.min(WISH_LIMIT) && delay <= WISH_LIMIT + Duration::from_secs(5));
        }

        #[test]
        fn the_ladder_rises_honours_wishes_and_ends(failures in 0u32..12, wish in millis(0..10_000_000)) {
            match ladder(failures, Some(wish)) {
                Ok(wait) => {
                    prop_assert!(failures < 5);
                    prop_assert!(wait >= ladder(failures, None).unwrap());
                    prop_assert!(wait >= wish.min(LADDER[4]) && wait <= LADDER[4]);
                }
                Err(exhausted) => prop_assert!(failures >= 5 && exhausted.attempts == failures + 1),
            }
        }
    }

    #[test]
    fn full_jitter_reaches_from_nothing_to_the_ceiling() {
        let schedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(schedule.delay(3, None, 0.0), Some(Duration::ZERO));
        assert_eq!(schedule.delay(3, None, 1.0), Some(Duration::from_secs(4)));
        assert_eq!(schedule.delay(3, None, 0.5), Some(Duration::from_secs(2)));
        assert_eq!(schedule.delay(u32::MAX, None, 1.0), Some(Duration::from_secs(30)));
        assert_eq!(schedule.delay(3, None, f64::NAN), Some(Duration::from_secs(4)));
    }

    #[test]
    fn only_retryable_faults_are_waited_for() {
        let schedule = RetrySchedule::new(Duration::from_secs(1), Duration::from_secs(30), 5);
        assert_eq!(schedule.delay_for(1, Class::Permanent, 0.5), None);
        assert_eq!(schedule.delay_for(1, Class::Critical, 0.5), None);
        let class = Class::Retryable { after: Some(Duration::from_secs(7)) };
        assert_eq!(schedule.delay_for(1, class, 0.0), Some(Duration::from_secs(7)));
    }

    #[test]
    fn the_ladder_never_falls() {
        assert!(LADDER.is_sorted());
    }
}
