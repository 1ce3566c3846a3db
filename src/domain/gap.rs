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
    /// Nobody watched the account: the daemon was down, parked, or could not reach the site.
    NotWatched,
}

impl GapReason {
    /// The word used in the store and in the sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HistoryLimit => "history_limit",
            Self::HistoryStuck => "history_stuck",
            Self::ConversationUnreadable => "conversation_unreadable",
            Self::NotWatched => "not_watched",
        }
    }

    /// The reason of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::HistoryLimit, Self::HistoryStuck, Self::ConversationUnreadable, Self::NotWatched]
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }

    /// True if such a gap concerns an account as a whole instead of one of its conversations.
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::NotWatched)
    }
}

/// An interval that could not be seen: of one conversation by a completed pass, or of a whole account
/// because nobody looked.
///
/// There is at most one open gap per subject and reason; seeing the interval closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The account.
    pub account: AccountId,
    /// The conversation; `None` if the reason concerns the account as a whole.
    pub conversation: Option<ConversationKey>,
    /// Why.
    pub reason: GapReason,
    /// Nothing older than this was seen (`None`: nothing at all).
    pub seen_from: Option<Timestamp>,
    /// When the gap was noticed first.
    pub since: Timestamp,
    /// When a later pass covered it.
    pub closed_at: Option<Timestamp>,
}

impl Gap {
    /// What the gap is kept under: its conversation's key, or one that stands for the account and can be
    /// no conversation's, because none has an empty id.
    pub fn subject(&self) -> ConversationKey {
        self.conversation.unwrap_or_else(|| ConversationKey::new(&self.account, ""))
    }

    /// The conversation of a gap that is kept under this subject.
    pub fn conversation_of(subject: ConversationKey, reason: GapReason) -> Option<ConversationKey> {
        (!reason.is_of_account()).then_some(subject)
    }
}
