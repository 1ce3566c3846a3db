//! An AI service as the analyst, against [`FakeAi`].

mod attacks;
mod costs;
mod failures;
mod forms;
mod fuzz;
mod keys;
mod memory;
mod private;
mod probing;
mod program;
mod silence;

use std::sync::{Arc, Once};

use chatferry::ai::AiService;
use chatferry::config::AiSettings;
use chatferry::domain::{AccountId, ConversationKey, Direction, Message, MessageKey, Precision, Text, Usage, Verdict};
use chatferry::fault::{AnyFault, Code};
use chatferry::ports::{Analyst, AnalystRequest, SystemClock};
use chatferry::telemetry::Counters;

/// One implementation for TLS, as `main` chooses it.
fn choose_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The analyst of these settings.
fn service(settings: AiSettings) -> AiService {
    choose_crypto();
    AiService::new(settings, Arc::new(SystemClock), Arc::new(Counters::default())).unwrap()
}

/// A conversation of the title `Mia` with these messages: `>` before a text means that the owner wrote it.
fn chat(name: &str, texts: &[&str]) -> AnalystRequest {
    let account: AccountId = "demo/default".parse().unwrap();
    let conversation = ConversationKey::new(&account, name);
    let message = |(index, text): (usize, &&str)| {
        let (direction, author, text) = match text.strip_prefix('>') {
            Some(text) => (Direction::Out, "Owner", text),
            None => (Direction::In, "Mia", *text),
        };
        Message {
            key: MessageKey::native(&conversation, &index.to_string()),
            native_id: Some(index.to_string()),
            author: Text::from(author),
            direction,
            text: Text::from(text),
            sent_at: Some("2026-11-21T10:00:00Z".parse().unwrap()),
            sent_at_precision: Precision::Minute,
            observed_at: "2026-11-21T10:01:00Z".parse().unwrap(),
            attachments: Vec::new(),
            position: index as i64 * 1_000,
        }
    };
    AnalystRequest {
        title: Text::from("Mia"),
        prompt_version: "chat-1".to_owned(),
        previous: None,
        messages: texts.iter().enumerate().map(message).collect(),
    }
}

/// A plain conversation.
fn plain() -> AnalystRequest {
    chat("plain", &["Hi, are you coming on Friday?", ">Yes, at nine.", "Great! Bring 20 € for the tickets."])
}

/// What the analyst makes of a plain conversation.
async fn asked(service: &AiService) -> (Result<Verdict, AnyFault>, Usage) {
    let reply = service.analyse(&plain()).await;
    (reply.verdict, reply.usage)
}

/// The fault of a plain conversation.
#[track_caller]
fn fault(outcome: (Result<Verdict, AnyFault>, Usage)) -> AnyFault {
    outcome.0.expect_err("it was answered")
}

/// Its code.
#[track_caller]
fn code(outcome: (Result<Verdict, AnyFault>, Usage)) -> Code {
    fault(outcome).code()
}
