//! What a conversation is about: the analyst's verdict, with the model and prompt that gave it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::digest;
use super::{AccountId, ConversationKey, Digest, Direction, IdError, MessageKey, Text};

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

/// Something to beware of in a conversation: a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// A known pattern of fraud: a false identity, an investment, a parcel.
    Scam,
    /// Insults, threats, pressure.
    Harassment,
    /// Somebody speaks of hurting themselves.
    SelfHarm,
    /// Somebody may be under age.
    Minor,
    /// Asks for money, gift cards, a transfer, cryptocurrency.
    MoneyRequest,
    /// Wants to go on in another program.
    MovesOffSite,
    /// Asks for a password, a PIN, a code that was sent.
    AsksForSecrets,
}

impl Risk {
    /// Every risk, the gravest first.
    pub const ALL: [Self; 7] = [
        Self::SelfHarm,
        Self::Minor,
        Self::Harassment,
        Self::Scam,
        Self::MoneyRequest,
        Self::AsksForSecrets,
        Self::MovesOffSite,
    ];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scam => "scam",
            Self::Harassment => "harassment",
            Self::SelfHarm => "self_harm",
            Self::Minor => "minor",
            Self::MoneyRequest => "money_request",
            Self::MovesOffSite => "moves_off_site",
            Self::AsksForSecrets => "asks_for_secrets",
        }
    }
}

/// A risk with what supports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskFlag {
    /// Which.
    pub risk: Risk,
    /// The messages that show it, oldest first; at least one where an analyst names any.
    pub messages: Vec<MessageKey>,
}

/// What an analysis consumed, as the provider counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests that were sent, repairs included; 0 for the built-in analyst and for a cached answer.
    pub calls: u32,
    /// Tokens of the questions.
    pub input_tokens: u64,
    /// Tokens of the answers, thinking included.
    pub output_tokens: u64,
    /// What they cost, in millionths of the currency in which the prices are set.
    pub cost_micros: u64,
}

impl Usage {
    /// Tokens of questions and answers together.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
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
    /// Things to beware of, each with the messages that support it.
    pub risk_flags: Vec<RiskFlag>,
    /// What was asked and not answered, by either side.
    #[serde(default)]
    pub open_questions: Vec<Text>,
    /// The day on which to come back to it, where one was agreed or follows.
    #[serde(default)]
    pub follow_up: Option<jiff::civil::Date>,
}

/// What an analysis was made from: all that its successor has to know to go on from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// A hash of what the messages up to `up_to` said when they were read; analyses of earlier versions of
    /// chatferry have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// A hash of everything that the analyst was given: the same question has the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Digest>,
    /// How many of the newest messages the analyst has not read, because nothing in them called for it.
    #[serde(default)]
    pub unread: u64,
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
    /// How many messages the analysis covers: for an analyst that remembers, all up to `up_to`, whether it
    /// read them for this answer, for an earlier one, or found them too old to be read at all.
    pub messages: u64,
    /// How many times an answer was brought up to date with new messages alone since the analyst last read
    /// the messages themselves; 0 if it read all that it covers.
    #[serde(default)]
    pub updates: u32,
    /// What it was made from.
    #[serde(default)]
    pub reading: Reading,
    /// What it consumed.
    #[serde(default)]
    pub usage: Usage,
    /// What was answered.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Who answered: `extractive` for the built-in analyst, else the model's name.
    pub model: String,
    /// Which version of the question was asked.
    pub prompt_version: String,
    /// When the messages were read.
    pub created_at: Timestamp,
}
