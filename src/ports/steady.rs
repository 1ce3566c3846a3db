//! Time that never jumps: for how long something has lasted, where a moment must be written down too.
//!
//! The wall clock is set by people and by NTP. A day that never passed must not make an account look
//! stale, and one that comes twice must not make a stale account look well until it is over.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The wall clock as it would be had nobody set it since the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    wall: Timestamp,
    begun: Instant,
}

impl Steady {
    /// Begins at what the wall clock says now.
    pub fn beginning(wall: Timestamp) -> Self {
        Self { wall, begun: Instant::now() }
    }

    /// The time that has passed since then, added to it.
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.begun.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_has_passed_counts() {
        let wall = Timestamp::from_second(1_700_000_000).unwrap();
        let steady = Steady::beginning(wall);
        assert_eq!(steady.now(), wall);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(steady.now(), wall + SignedDuration::from_secs(90));
    }
}
