//! A conversation as it was read for a request, and the question about it with its name.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::event::AnalysisRequested;
use crate::domain::{Conversation, Digest, Message, Verdict};
use crate::ports::AnalystRequest;

/// A conversation as it was read for a request.
pub(super) struct Case<'a> {
    pub request: &'a AnalysisRequested,
    pub version: &'a str,
    pub conversation: Conversation,
    pub messages: Vec<Message>,
    pub read_at: Timestamp,
    pub begun: Instant,
}

impl Case<'_> {
    /// The question about it, from this message on.
    pub(super) fn question(&self, previous: Option<Verdict>, from: usize) -> AnalystRequest {
        AnalystRequest {
            title: self.conversation.title.clone(),
            prompt_version: self.version.to_owned(),
            previous,
            messages: self.messages[from..].to_vec(),
        }
    }
}

/// The name of a question: a hash of everything that the analyst is given.
pub(super) fn name(model: &str, question: &AnalystRequest) -> Digest {
    // A verdict can always be written.
    let previous = serde_json::to_vec(&question.previous).unwrap_or_default();
    let messages: Vec<u8> = question
        .messages
        .iter()
        .flat_map(|message| message.key.to_bytes().into_iter().chain(message.content_digest()))
        .collect();
    let title = question.title.expose().as_bytes();
    Digest::new("question-1", &[model.as_bytes(), question.prompt_version.as_bytes(), title, &previous, &messages])
}
