//! What a conversation is about: the analyst's verdict, with the model and prompt that gave it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::digest;
use super::{AccountId, ConversationKey, Direction, IdError, MessageKey, Text};

/// The name of an analysis: a hash of conversation, newest message, prompt version and model, so that
/// the same question is never answered twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnalysisId([u8; 16]);

impl AnalysisId {
    /// The id of the analysis of `conversation` up to the message `up_to`.
    pub fn new(conversation: &ConversationKey, up_to: &MessageKey, prompt_version: &str, model: &str) -> Self {
        Self(digest("a1", &[conversation.as_bytes(), &up_to.to_bytes(), prompt_version.as_bytes(), model.as_bytes()]))
    }

    /// The 16 bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of these stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for AnalysisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a1-")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AnalysisId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError::Key(text.to_owned(), "analysis id (a1-…)");
        let id: super::EventId = text.strip_prefix("a1-").ok_or_else(refuse)?.parse().map_err(|_| refuse())?;
        Ok(Self(*id.as_bytes()))
    }
}

impl Serialize for AnalysisId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AnalysisId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The mood of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// More good words than bad.
    Positive,
    /// Neither.
    Neutral,
    /// More bad words than good.
    Negative,
    /// Both, strongly.
    Mixed,
    /// Not judged: a language without a word list, or too little text.
    Unknown,
}

impl Sentiment {
    /// The word shown in the sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Neutral => "neutral",
            Self::Negative => "negative",
            Self::Mixed => "mixed",
            Self::Unknown => "unknown",
        }
    }
}

/// How soon a human should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Nothing waits.
    Low,
    /// An answer is due.
    Normal,
    /// An answer is due and something presses: money, a deadline, a repeated question.
    High,
}

impl Priority {
    /// The word shown in the sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// What an analyst says of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the conversation is about, in a few sentences.
    pub summary: Text,
    /// Key topics, the most important first.
    pub topics: Vec<Text>,
    /// BCP 47 language of most of the text, where it can be told.
    pub language: Option<String>,
    /// The mood of the other side.
    pub sentiment: Sentiment,
    /// How soon a human should look.
    pub priority: Priority,
    /// Who spoke last.
    pub last_speaker: Option<Direction>,
    /// Whether the owner owes an answer.
    pub needs_reply: bool,
    /// Why, if so.
    pub needs_reply_reason: Option<String>,
    /// Links that were mentioned, newest last.
    pub links: Vec<Text>,
    /// Amounts of money that were mentioned, as written, newest last.
    pub money: Vec<Text>,
    /// Things to beware of, from a closed list of words.
    pub risk_flags: Vec<String>,
}

/// A verdict with its name: about what, up to where, by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The name of this analysis.
    pub id: AnalysisId,
    /// The account that sees the conversation.
    pub account: AccountId,
    /// What was analysed.
    pub conversation: ConversationKey,
    /// Up to and with this message.
    pub up_to: MessageKey,
    /// How many messages the analysis covers.
    pub messages: u64,
    /// What was answered.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Who answered: `extractive` for the built-in analyst, else the model's name.
    pub model: String,
    /// Which version of the question was asked.
    pub prompt_version: String,
    /// When.
    pub created_at: Timestamp,
}
