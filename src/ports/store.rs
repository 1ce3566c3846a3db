//! The record of everything that was seen: the truth that cursors and sheets are derived from.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::event::MessageCaptured;
use crate::domain::{
    AccountId, AccountStatus, Analysis, AnalysisId, Conversation, ConversationKey, Digest, Gap, Message, MessageKey,
    Origin,
};
use crate::fault::AnyFault;

/// When news makes a conversation due: min(first new + `max_wait`, last new + `quiet`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRule {
    /// Silence after the last new message.
    pub quiet: Duration,
    /// Longest wait after the first new message.
    pub max_wait: Duration,
}

/// What became of a batch of captured messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Archived {
    /// Stored for the first time.
    pub inserted: u64,
    /// Known, with new content or a new position.
    pub revised: u64,
    /// Known and unchanged.
    pub duplicates: u64,
}

/// A conversation whose analysis is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueConversation {
    /// The account that sees it.
    pub account: AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// Its newest message.
    pub up_to: MessageKey,
    /// How many times known messages of it changed what they say.
    pub edits: u64,
    /// Since when it is due.
    pub due_at: Timestamp,
}

/// Which conversations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Only of this account.
    pub account: Option<AccountId>,
    /// At most so many (`None`: all).
    pub limit: Option<u32>,
}

/// A window on the messages of a conversation, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageRange {
    /// Only after this position.
    pub after: Option<i64>,
    /// Only up to and with this message (`None`: to the end).
    pub up_to: Option<MessageKey>,
    /// At most so many, the oldest of the window (`None`: all).
    pub limit: Option<u32>,
}

/// A message with what the store adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The message.
    pub message: Message,
    /// Which path brought it in first.
    pub origin: Origin,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Conversations.
    pub conversations: u64,
    /// Messages.
    pub messages: u64,
    /// Conversations with an analysis up to their newest message.
    pub analysed_conversations: u64,
    /// Messages that these analyses cover.
    pub analysed_messages: u64,
    /// Gaps that are open.
    pub open_gaps: u64,
}

/// The store. Every write is idempotent: telling it the same thing twice changes nothing.
#[async_trait]
pub trait Store: Send + Sync {
    /// Takes captured messages in, durably. Of two versions of one message the one observed later
    /// stays, and of those observed at one moment the one with the higher revision (revisions begin
    /// anew where a spool is lost or another machine takes the account over, times do not); news (an
    /// insertion, or a known message that says something else now) makes its conversation due by `rule`,
    /// counted from `now`.
    ///
    /// After an error a part of the batch may be stored; telling the whole batch again completes it.
    ///
    /// # Errors
    /// Retryable while the store is away or full.
    async fn archive(&self, batch: &[MessageCaptured], rule: DueRule, now: Timestamp) -> Result<Archived, AnyFault>;

    /// Conversations that are due at `now`, the longest due first.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueConversation>, AnyFault>;

    /// When the next conversation becomes due.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn next_due(&self) -> Result<Option<Timestamp>, AnyFault>;

    /// Notes that an analysis up to `up_to`, after so many edits, was requested: the conversation is no
    /// longer due, unless it has got a newer message or another edit meanwhile.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn requested(&self, conversation: &ConversationKey, up_to: &MessageKey, edits: u64) -> Result<(), AnyFault>;

    /// One conversation.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn conversation(&self, key: &ConversationKey) -> Result<Option<Conversation>, AnyFault>;

    /// Conversations, the one with the newest message first (those without a time last), ties by key.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<Conversation>, AnyFault>;

    /// The messages of a conversation in the order of the page (by position, then key).
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn messages(&self, key: &ConversationKey, range: MessageRange) -> Result<Vec<StoredMessage>, AnyFault>;

    /// Keeps an analysis. Of two with one id the one that covers more messages stays (older messages may be
    /// found after the newest was analysed), then the one that was made later of other content (a message
    /// may be edited), else the first; false if this one does not.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn save_analysis(&self, analysis: &Analysis) -> Result<bool, AnyFault>;

    /// The analysis of this id.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn analysis(&self, id: &AnalysisId) -> Result<Option<Analysis>, AnyFault>;

    /// The latest analysis of a conversation by this model and version of the question: most messages
    /// covered, then newest.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn latest_analysis(
        &self,
        conversation: &ConversationKey,
        model: &str,
        prompt_version: &str,
    ) -> Result<Option<Analysis>, AnyFault>;

    /// An analysis that answers this very question ([`crate::domain::Reading::question`]).
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn answer_to(&self, question: &Digest) -> Result<Option<Analysis>, AnyFault>;

    /// The latest analysis of each conversation that has one: most messages covered, then newest, whatever
    /// the model and the version of the question.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn latest_analyses(&self) -> Result<HashMap<ConversationKey, Analysis>, AnyFault>;

    /// Keeps the state of an account; an older `since` never replaces a newer one of the same epoch,
    /// and a higher epoch replaces a lower one whatever the two clocks said. `epoch` is that of the
    /// lease under which the state was reached, `None` for work without a lease.
    ///
    /// # Errors
    /// Permanent `lease-lost` if the account's lease or its stored state has a higher epoch; retryable
    /// while the store is away.
    async fn save_account(&self, status: &AccountStatus, epoch: Option<u64>) -> Result<(), AnyFault>;

    /// The last known state of every account, by id.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn accounts(&self) -> Result<Vec<AccountStatus>, AnyFault>;

    /// Records a gap, or closes it if `closed_at` is set. One open gap per conversation and reason.
    /// `epoch` as for [`Store::save_account`].
    ///
    /// # Errors
    /// Permanent `lease-lost` if the account's lease or the stored gap has a higher epoch; retryable
    /// while the store is away.
    async fn record_gap(&self, gap: &Gap, epoch: Option<u64>) -> Result<(), AnyFault>;

    /// The open gaps, oldest first.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn open_gaps(&self) -> Result<Vec<Gap>, AnyFault>;

    /// How much there is, of one account or of all.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn counts(&self, account: Option<&AccountId>) -> Result<Counts, AnyFault>;

    /// What was last written to this target of a mirror ([`super::Mirror::target`]): content hash per row.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn mirrored(&self, target: &str) -> Result<HashMap<ConversationKey, [u8; 16]>, AnyFault>;

    /// Notes what was written to this target, replacing all that was noted of it before.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn save_mirrored(&self, target: &str, rows: &HashMap<ConversationKey, [u8; 16]>) -> Result<(), AnyFault>;
}
