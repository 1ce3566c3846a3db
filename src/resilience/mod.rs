//! When to try again and how fast to go: arithmetic only. Chance and time come in as arguments, so that
//! every promise here is a property test.
//!
//! Must never sleep, spawn or ask what time it is.

pub mod pace;
pub mod retry;

pub use pace::Pace;
pub use retry::{Exhausted, LADDER, RetrySchedule, ladder};
