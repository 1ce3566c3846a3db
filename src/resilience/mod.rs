//! When to try again, how fast to go and when to leave the other side alone: arithmetic only. Chance and
//! time come in as arguments, so that every promise here is a property test.
//!
//! Must never sleep, spawn or ask what time it is.

pub mod breaker;
pub mod pace;
pub mod quota;
pub mod retry;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Permit};
pub use pace::Pace;
pub use quota::Quota;
pub use retry::{Exhausted, LADDER, RetrySchedule, ladder};
