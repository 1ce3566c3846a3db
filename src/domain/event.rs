//! Facts in the past tense: what the parts of chatferry tell each other, and anybody else who listens.
//!
//! The names, versions and fields are public (docs/reference). A field may be added; removing or
//! changing one makes a new version, and the old one must keep parsing.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::conversation::ConversationRef;
use super::{AccountId, AccountState, AnalysisId, ConversationKey, EventId, Message, MessageKey, Origin};
use crate::fault::Code;

/// The closed list of event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// A message was seen in the page.
    MessageCaptured,
    /// A conversation is due for analysis.
    AnalysisRequested,
    /// An analysis was stored.
    AnalysisCompleted,
    /// An account changed its state.
    AccountChanged,
    /// A selector no longer matches as it should.
    SelectorsDrifted,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::MessageCaptured,
        Self::AnalysisRequested,
        Self::AnalysisCompleted,
        Self::AccountChanged,
        Self::SelectorsDrifted,
    ];

    /// The CloudEvents `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageCaptured => "chatferry.message.captured.v1",
            Self::AnalysisRequested => "chatferry.analysis.requested.v1",
            Self::AnalysisCompleted => "chatferry.analysis.completed.v1",
            Self::AccountChanged => "chatferry.account.changed.v1",
            Self::SelectorsDrifted => "chatferry.selectors.drifted.v1",
        }
    }

    /// The routing key without the site: `message.captured.v1`.
    pub fn topic(self) -> &'static str {
        let name = self.as_str();
        name.strip_prefix("chatferry.").unwrap_or(name)
    }

    /// The type of this CloudEvents `type`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `chatferry.message.captured.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageCaptured {
    /// The account that saw it.
    pub account: AccountId,
    /// Where it was said.
    pub conversation: ConversationRef,
    /// What was said.
    pub message: Message,
    /// Which path brought it in.
    pub origin: Origin,
    /// 0 when first seen, then one more for each change of its content.
    #[serde(default)]
    pub revision: u32,
}

/// `chatferry.analysis.requested.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnalysisRequested {
    /// The account that sees the conversation.
    pub account: AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// Up to and with this message.
    pub up_to: MessageKey,
    /// The version of the question.
    pub prompt_version: String,
    /// How many times known messages of it changed what they say; so two requests up to one message differ.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edits: u64,
    /// Why now: `new_messages`, `operator`.
    pub reason: String,
}

impl AnalysisRequested {
    /// The reason of requests that are made by themselves.
    pub const NEW_MESSAGES: &str = "new_messages";
    /// The reason of those that an operator asks for.
    pub const OPERATOR: &str = "operator";
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `chatferry.analysis.completed.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnalysisCompleted {
    /// The account that sees the conversation.
    pub account: AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// The analysis, to be read from the store.
    #[schemars(with = "String")]
    pub analysis: AnalysisId,
}

/// `chatferry.account.changed.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccountChanged {
    /// Which account.
    pub account: AccountId,
    /// Where it stands now.
    pub state: AccountState,
    /// The cause, if something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub code: Option<Code>,
    /// What a human should do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// `chatferry.selectors.drifted.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SelectorsDrifted {
    /// The account whose page showed it.
    pub account: AccountId,
    /// The pack, by its content hash.
    pub pack: String,
    /// The query, as in the pack: `messages.text`.
    pub field: String,
    /// `fallback` (a later alternative matched) or `missing` (none did).
    pub verdict: String,
    /// Which alternative matched, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u32>,
}

/// Any event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was seen in the page.
    MessageCaptured(Box<MessageCaptured>),
    /// A conversation is due for analysis.
    AnalysisRequested(AnalysisRequested),
    /// An analysis was stored.
    AnalysisCompleted(AnalysisCompleted),
    /// An account changed its state.
    AccountChanged(AccountChanged),
    /// A selector no longer matches as it should.
    SelectorsDrifted(SelectorsDrifted),
}

impl Event {
    /// The type.
    pub const fn kind(&self) -> EventType {
        match self {
            Self::MessageCaptured(_) => EventType::MessageCaptured,
            Self::AnalysisRequested(_) => EventType::AnalysisRequested,
            Self::AnalysisCompleted(_) => EventType::AnalysisCompleted,
            Self::AccountChanged(_) => EventType::AccountChanged,
            Self::SelectorsDrifted(_) => EventType::SelectorsDrifted,
        }
    }

    /// The account it is about.
    pub const fn account(&self) -> &AccountId {
        match self {
            Self::MessageCaptured(data) => &data.account,
            Self::AnalysisRequested(data) => &data.account,
            Self::AnalysisCompleted(data) => &data.account,
            Self::AccountChanged(data) => &data.account,
            Self::SelectorsDrifted(data) => &data.account,
        }
    }

    /// The CloudEvents `subject`: the id of the message or conversation, or the account.
    pub fn subject(&self) -> String {
        match self {
            Self::MessageCaptured(data) => data.message.key.to_string(),
            Self::AnalysisRequested(data) => data.conversation.to_string(),
            Self::AnalysisCompleted(data) => data.conversation.to_string(),
            Self::AccountChanged(data) => data.account.to_string(),
            Self::SelectorsDrifted(data) => data.field.clone(),
        }
    }

    /// The deterministic id: the same fact told twice has the same id.
    pub fn id(&self) -> EventId {
        let kind = self.kind();
        match self {
            Self::MessageCaptured(data) => EventId::of(
                kind,
                &[&data.message.key.to_bytes(), &data.revision.to_le_bytes(), &data.message.content_digest()],
            ),
            Self::AnalysisRequested(data) => {
                let (up_to, edits) = (data.up_to.to_bytes(), data.edits.to_le_bytes());
                let fields: [&[u8]; 4] = [data.conversation.as_bytes(), &up_to, data.prompt_version.as_bytes(), &edits];
                // Without an edit the id is what it was before edits were counted.
                EventId::of(kind, &fields[..if data.edits == 0 { 3 } else { 4 }])
            }
            Self::AnalysisCompleted(data) => EventId::of(kind, &[data.analysis.as_bytes()]),
            Self::AccountChanged(data) => EventId::of(
                kind,
                &[
                    data.account.to_string().as_bytes(),
                    data.state.as_str().as_bytes(),
                    &data.since.as_microsecond().to_le_bytes(),
                ],
            ),
            Self::SelectorsDrifted(data) => EventId::of(
                kind,
                &[
                    data.account.to_string().as_bytes(),
                    data.pack.as_bytes(),
                    data.field.as_bytes(),
                    data.verdict.as_bytes(),
                    &data.matched.map_or([0xff; 4], u32::to_le_bytes),
                ],
            ),
        }
    }
}
