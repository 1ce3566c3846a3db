//! A thread between the owner and one or more participants.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountId, ConversationKey, MessageKey, Text};

/// What an event says about the conversation it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConversationRef {
    /// The key across all sites.
    pub key: ConversationKey,
    /// The site's own id.
    pub id: String,
    /// The title as the page shows it: mostly the other person's name.
    pub title: Text,
}

/// A conversation as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The key across all sites.
    pub key: ConversationKey,
    /// The account that sees it.
    pub account: AccountId,
    /// The site's own id.
    pub native_id: String,
    /// The title as the page shows it.
    pub title: Text,
    /// Messages stored.
    pub messages: u64,
    /// The newest message by position.
    pub last_message: Option<MessageKey>,
    /// When the newest message was sent, where the page shows it.
    pub last_sent_at: Option<Timestamp>,
    /// When the last change reached the store.
    pub updated_at: Timestamp,
    /// When the next analysis is due; `None` if nothing is new.
    pub due_at: Option<Timestamp>,
}
