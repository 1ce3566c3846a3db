//! Things worth telling: one struct each, whose [`Occurrence::emit`] writes the log line and counts.
//!
//! | file | of |
//! |---|---|
//! | [`ai`] | calls of an AI service |
//! | [`collect`] | accounts, passes, conversations, selectors, gaps |
//! | [`economy`] | what analyses cost, and which were saved |
//! | [`pipeline`] | publishing, archive, analysis, mirror, deliveries |
//! | [`program`] | browser, HTTP, start and stop |
//!
//! A struct borrows what it tells of. Its fields are ids, keys, codes and numbers: none has the type
//! [`crate::domain::Text`]. Messages are constant, so that equal lines can be found; what differs
//! stands in fields, dotted by entity (`account.id`, `error.code`, `duration_ms`).

pub mod ai;
pub mod collect;
pub mod economy;
pub mod live;
pub mod pipeline;
pub mod program;

pub use ai::{AiAsked, AiFormSettled, AiLeftAlone};
pub use collect::{
    AccountHeldElsewhere, AccountStateChanged, ConversationRead, GapRecorded, LeaseChanged, LoginAttempted,
    PassCompleted, PassFailed, RowsLeftOut, SelectorFellBack,
};
pub use economy::{AnalysisCarried, AnalysisPostponed, AnalystAsked, AnswerReused, BudgetStrained};
pub use live::{LiveMissed, NewsTold, StaleFound, StaleSuspected, TellingUnreadable};
pub use pipeline::{
    AnalysisDue, AnalysisStored, BatchArchived, BatchTakenApart, ConsumerBackedOff, DeadLettersDropped,
    DeadLettersReplayed, DeliveryDead, DeliveryRetried, EventPublished, MirrorFailed, MirrorWritten, PipelineDrained,
    PublishFailed, RepetitionRecognised, StoppedOverFault,
};
pub use program::{
    BrowserEnded, BrowserStarted, HttpListening, LateTask, ProgramStarted, ProgramStopping, SandboxOff, ServerAwaited,
};

use super::Counters;

/// Something that happened.
pub trait Occurrence {
    /// Writes the line and counts.
    fn emit(self, counters: &Counters);
}

/// A duration for a log field, in whole milliseconds.
fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
