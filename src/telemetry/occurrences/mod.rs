//! Things worth telling: one struct each, whose [`Occurrence::emit`] writes the log line and counts.
//!
//! | file | of |
//! |---|---|
//! | [`ai`] | calls of an AI service |
//! | [`collect`] | accounts, passes, conversations, selectors, gaps |
//! | [`deliveries`] | what becomes of the deliveries of a queue |
//! | [`economy`] | what analyses cost, and which were saved |
//! | [`packs`] | selector packs that change while the daemon runs |
//! | [`pipeline`] | publishing, archive, analysis, mirror |
//! | [`program`] | browser, HTTP, start and stop |
//!
//! A struct borrows what it tells of. Its fields are ids, keys, codes and numbers: none has the type
//! [`crate::domain::Text`]. Messages are constant, so that equal lines can be found; what differs
//! stands in fields, dotted by entity (`account.id`, `error.code`, `duration_ms`).

pub mod ai;
pub mod collect;
pub mod deliveries;
pub mod economy;
pub mod live;
pub mod packs;
pub mod pipeline;
pub mod program;
pub mod session;

pub use ai::{AiAsked, AiFormSettled, AiLeftAlone};
pub use collect::{
    AccountFlaps, AccountHeldElsewhere, AccountStateChanged, ConversationRead, GapRecorded, LeaseChanged,
    LoginAttempted, PassCompleted, PassFailed, RowsLeftOut, SelectorFellBack,
};
pub use deliveries::{BatchTakenApart, ConsumerBackedOff, DeliveriesDone, DeliveryDead, DeliveryRetried};
pub use economy::{AnalysisCarried, AnalysisPostponed, AnalystAsked, AnswerReused, BudgetStrained};
pub use live::{LiveMissed, NewsTold, StaleFound, StaleSuspected, TellingUnreadable};
pub use packs::{PackFolderAway, PackPromoted, PackRefused, PackStoodIn, PacksUnkept};
pub use pipeline::{
    AnalysisDue, AnalysisStored, BatchArchived, DeadLettersDropped, DeadLettersReplayed, EventPublished, MirrorFailed,
    MirrorWritten, PipelineDrained, PublishFailed, RepetitionRecognised, StoppedOverFault,
};
pub use program::{
    BrowserEnded, BrowserRetired, BrowserStarted, HttpListening, LateTask, ProgramStarted, ProgramStopping, SandboxOff,
    ServerAwaited, SettingsRefused, SettingsReloaded,
};
pub use session::{SessionNotSaved, SessionUnreadable};

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
