//! Logs, counters, progress.
