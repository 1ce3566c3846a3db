//! What the program says about itself: log lines, counters, and progress for a person who watches.
//!
//! Each thing worth telling is one struct in [`occurrences`] that writes the line *and* counts, so that
//! the two never disagree. Fields are keys, numbers and codes.
//!
//! Architecture invariant: no title, name or text of a chat reaches a log line or a counter. The one
//! exception for the eye of the person at the terminal is [`Progress`], which is never logged.

pub mod counters;
pub mod error;
mod files;
mod line;
pub mod logs;
pub mod metrics;
pub mod occurrences;
pub mod panics;
pub mod pattern;
pub mod progress;
mod repeats;
pub mod secrets;

pub use self::metrics::Series;
pub use counters::{CounterSnapshot, Counters};
pub use error::TelemetryError;
pub use logs::{LogFormat, LogSettings};
pub use occurrences::Occurrence;
pub use progress::{Progress, ProgressSink};
