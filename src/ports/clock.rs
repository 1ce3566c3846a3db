//! The wall clock, so that tests can hold it still.

use jiff::Timestamp;

/// Tells what time it is. For durations use `tokio::time`, which is monotonic.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
