//! An interval that could not be seen: recorded and shown, never passed over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountId, ConversationKey};

/// Why something could not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The limits under `[history]` were reached before the start of the conversation.
    HistoryLimit,
    /// Older messages were announced but did not come.
    HistoryStuck,
    /// The conversation could not be opened or read.
    ConversationUnreadable,
}

impl GapReason {
    /// The word used in the store and in the sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HistoryLimit => "history_limit",
            Self::HistoryStuck => "history_stuck",
            Self::ConversationUnreadable => "conversation_unreadable",
        }
    }

    /// The reason of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::HistoryLimit, Self::HistoryStuck, Self::ConversationUnreadable]
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }
}

/// One interval of one conversation that a completed pass could not see.
///
/// There is at most one open gap per conversation and reason; seeing the interval closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationKey,
    /// Why.
    pub reason: GapReason,
    /// Nothing older than this was seen (`None`: nothing at all).
    pub seen_from: Option<Timestamp>,
    /// When the gap was noticed first.
    pub since: Timestamp,
    /// When a later pass covered it.
    pub closed_at: Option<Timestamp>,
}
