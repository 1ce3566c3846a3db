//! What becomes of an event: one runner for all consumers, and the consumers that it runs.
//!
//! | file | what it is |
//! |---|---|
//! | [`runner`] | delivery → handler → settlement; knows no handler |
//! | [`journal`] | what is in hand, for the next process |
//! | [`consequence`] | fault → settlement, and what the runner does next; pure |
//! | [`archive`] | captured messages → store |
//! | [`scheduler`] | due conversations → `analysis.requested` |
//! | [`asking`] | an operator's wish → `analysis.requested` |
//! | [`analyze`] | `analysis.requested` → analyst → store → `analysis.completed` |
//! | [`projection`], [`mirror`] | store → rows and status → mirror |
//! | [`drain`] | waits until the whole pipeline is quiet |
//!
//! Architecture invariant: a handler knows nothing of the bus that feeds it, and nothing is settled
//! before its effect is durable.

pub mod analyze;
pub mod archive;
pub mod asking;
pub mod consequence;
pub mod drain;
pub mod error;
pub mod journal;
pub mod mirror;
pub mod projection;
mod publish;
pub mod runner;
pub mod scheduler;
#[cfg(test)]
mod tests;

pub use analyze::{Analyze, Waiting};
pub use archive::Archive;
pub use asking::ask_for_analyses;
pub use drain::{Pipeline, Quiet, Stage};
pub use error::ConsumeError;
pub use journal::Journal;
pub use mirror::Mirroring;
pub use runner::{Handler, Outcome, Received, Runner};
pub use scheduler::Scheduler;
