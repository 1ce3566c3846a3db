//! The one-way projection that viewers open.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::{AccountStatus, Analysis, Conversation, Text};
use crate::fault::AnyFault;

/// One row: a conversation and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorRow {
    /// The conversation.
    pub conversation: Conversation,
    /// Its latest analysis.
    pub analysis: Option<Analysis>,
}

/// What the `_status` tab shows: whether the sheet can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorStatus {
    /// Every account's state.
    pub accounts: Vec<AccountStatus>,
    /// When a message last reached the store.
    pub last_capture_at: Option<Timestamp>,
    /// When this projection was made.
    pub written_at: Timestamp,
    /// Intervals that could not be seen.
    pub open_gaps: u64,
    /// Events that wait for a human.
    pub dead_letters: u64,
    /// What keeps summaries from following the messages, if anything does: a budget that is used up, in a
    /// sentence.
    pub analyses_wait: Option<String>,
    /// The version of the daemon.
    pub version: String,
}

/// Everything the mirror should show.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// One row per conversation, the newest message first.
    pub rows: Vec<MirrorRow>,
    /// The state of the system.
    pub status: MirrorStatus,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorOutcome {
    /// Rows that the mirror now holds.
    pub rows: u64,
    /// The sum of their message counts.
    pub messages: u64,
    /// Where a person finds it: a path or an address without a secret.
    pub location: String,
}

/// A mirror.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// Makes the mirror show the projection: all of it, or what was there before.
    ///
    /// # Errors
    /// Retryable if the target is locked, full or away; permanent if it is not ours to write.
    async fn write(&self, projection: &Projection) -> Result<MirrorOutcome, AnyFault>;
}

impl MirrorRow {
    /// The person or group: the conversation's title.
    pub const fn person(&self) -> &Text {
        &self.conversation.title
    }
}
