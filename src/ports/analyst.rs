//! Who says what a conversation is about.

use async_trait::async_trait;

use crate::domain::{Message, Text, Verdict};
use crate::fault::AnyFault;

/// What an analyst gets to see: one conversation, nothing else.
#[derive(Debug, Clone)]
pub struct AnalystRequest {
    /// The title of the conversation.
    pub title: Text,
    /// The messages, oldest first; at least one.
    pub messages: Vec<Message>,
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
