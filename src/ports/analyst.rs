//! Who says what a conversation is about.

use async_trait::async_trait;

use crate::domain::{Direction, Message, Priority, Sentiment, Text};
use crate::fault::AnyFault;

/// What an analyst gets to see: one conversation, nothing else.
#[derive(Debug, Clone)]
pub struct AnalystRequest {
    /// The title of the conversation.
    pub title: Text,
    /// The messages, oldest first; at least one.
    pub messages: Vec<Message>,
}

/// What an analyst answers; [`crate::domain::Analysis`] adds the ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What the conversation is about, in a few sentences.
    pub summary: Text,
    /// Key topics, the most important first.
    pub topics: Vec<Text>,
    /// BCP 47 language of most of the text.
    pub language: Option<String>,
    /// The mood of the other side.
    pub sentiment: Sentiment,
    /// How soon a human should look.
    pub priority: Priority,
    /// Who spoke last.
    pub last_speaker: Option<Direction>,
    /// Whether the owner owes an answer.
    pub needs_reply: bool,
    /// Why, if so; from a closed list of reasons, no chat text.
    pub needs_reply_reason: Option<String>,
    /// Links that were mentioned, newest last, each once.
    pub links: Vec<Text>,
    /// Amounts of money that were mentioned, as written, newest last, each once.
    pub money: Vec<Text>,
    /// Things to beware of, from a closed list of words.
    pub risk_flags: Vec<String>,
}

/// An analyst: a model behind an API, or the built-in one.
#[async_trait]
pub trait Analyst: Send + Sync {
    /// Who answers: part of the analysis id and shown in the sheet.
    fn model(&self) -> &str;

    /// Which version of the question is asked: part of the analysis id.
    fn prompt_version(&self) -> &str;

    /// Reads one conversation. The same request gives the same answer as far as the analyst can.
    ///
    /// # Errors
    /// Retryable while the service is away; permanent if this conversation can't be analysed.
    async fn analyse(&self, request: &AnalystRequest) -> Result<Verdict, AnyFault>;
}
