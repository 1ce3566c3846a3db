//! At most one action per interval: how the collector stays slower than a person would be.

use std::time::{Duration, Instant};

/// Spreads actions so that two of them begin at least one interval apart.
#[derive(Debug, Clone)]
pub struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// A pace of one action per `interval`; the first one is free.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// Takes the next place: how long the caller must wait from `now` before it acts. A pause is not
    /// saved up for a burst afterwards.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let begin = self.next.map_or(now, |next| next.max(now));
        // A place beyond the end of the clock would never come; then the pace is given up.
        self.next = begin.checked_add(self.interval);
        begin.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn actions_begin_an_interval_apart_and_no_later_than_needed(
            interval_ms in 0u64..5_000,
            pauses_ms in proptest::collection::vec(0u64..10_000, 1..40),
        ) {
            let interval = Duration::from_millis(interval_ms);
            let mut pace = Pace::new(interval);
            let mut now = Instant::now();
            let mut last: Option<Instant> = None;
            for pause in pauses_ms {
                now += Duration::from_millis(pause);
                let begin = now + pace.wait(now);
                let earliest = last.map_or(now, |last| now.max(last + interval));
                prop_assert_eq!(begin, earliest);
                last = Some(begin);
            }
        }
    }
}
