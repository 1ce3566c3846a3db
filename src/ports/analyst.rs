//! Who says what a conversation is about.

use async_trait::async_trait;

use crate::domain::{Message, Text, Usage, Verdict};
use crate::fault::AnyFault;

/// What an analyst gets to see: one conversation, nothing else.
#[derive(Debug, Clone)]
pub struct AnalystRequest {
    /// The title of the conversation.
    pub title: Text,
    /// Which version of the question to ask; one that the analyst knows.
    pub prompt_version: String,
    /// What an analyst said of everything before `messages`; `None` if they begin at the beginning, or if
    /// what was before is left out. As little to be trusted as the messages that it came from.
    pub previous: Option<Verdict>,
    /// The messages to read, oldest first; at least one.
    pub messages: Vec<Message>,
}

/// What came of asking.
#[derive(Debug)]
pub struct Reply {
    /// What the analyst says; retryable while the service is away, permanent if this conversation can't be
    /// analysed.
    pub verdict: Result<Verdict, AnyFault>,
    /// What it consumed, also where nothing came of it.
    pub usage: Usage,
}

/// How an analyst wants to be kept up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It reads all messages each time: that costs nothing but time.
    Whole,
    /// Its own last answer and the new messages are enough: reading everything each time costs money.
    Rolling,
}

/// An analyst: a model behind an API, or the built-in one.
#[async_trait]
pub trait Analyst: Send + Sync {
    /// Who answers: part of the analysis id and shown in the sheet.
    fn model(&self) -> &str;

    /// The version of the question that is asked unless another is wished for: part of the analysis id.
    fn prompt_version(&self) -> &str;

    /// Whether it can ask this version of the question.
    fn knows(&self, prompt_version: &str) -> bool {
        prompt_version == self.prompt_version()
    }

    /// Every version of the question that it can ask, for people; the one that is asked by itself is among them.
    fn prompt_versions(&self) -> Vec<String> {
        vec![self.prompt_version().to_owned()]
    }

    /// How it wants to be kept up to date.
    fn memory(&self) -> Memory {
        Memory::Whole
    }

    /// The most that [`Analyst::analyse`] may consume for this request: what a budget has to set aside.
    fn most(&self, _request: &AnalystRequest) -> Usage {
        Usage::default()
    }

    /// Reads one conversation. The same request gives the same answer as far as the analyst can.
    async fn analyse(&self, request: &AnalystRequest) -> Reply;

    /// Asks as little as can be asked, the way [`Analyst::analyse`] does.
    ///
    /// # Errors
    /// What would keep an analysis from succeeding.
    async fn probe(&self) -> Result<(), AnyFault> {
        Ok(())
    }
}
