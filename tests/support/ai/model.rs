//! What a model sees of a question, and what a well-behaved one answers.

use chatferry::config::AiProvider;
use serde_json::{Value, json};

/// Tokens of a text, as the service counts them.
pub fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

/// A question as the model sees it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The instructions.
    pub system: String,
    /// The first thing that the user says: the chat inside its boundary.
    pub user: String,
    /// Everything after it.
    pub later: Vec<String>,
    /// The token that the instructions keep private.
    pub canary: String,
    /// The line around the chat.
    pub boundary: String,
    /// The JSON lines of messages.
    pub messages: Vec<Value>,
    /// Tokens of all of it.
    pub tokens: u64,
    /// The most tokens of answer, where the service keeps to that.
    pub most: Option<u64>,
}

impl Asked {
    /// What a request in good form asks.
    pub fn new(provider: AiProvider, body: &Value) -> Self {
        let mut said: Vec<String> =
            body["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect();
        let system = match provider {
            AiProvider::OpenAi => said.remove(0),
            AiProvider::Anthropic => body["system"].as_str().unwrap_or_default().to_owned(),
        };
        let user = said.remove(0);
        let tokens = std::iter::once(&system).chain([&user]).chain(&said).map(|text| tokens(text)).sum();
        let canary = system.split("private mark ").nth(1).and_then(|rest| rest.split(':').next());
        let canary = canary.unwrap_or_default().to_owned();
        let boundary = user.lines().next().filter(|line| line.starts_with("BOUNDARY-")).unwrap_or_default().to_owned();
        let lines = user.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages = lines.filter(|line| line["id"].is_string()).collect();
        Self { system, user, later: said, canary, boundary, messages, tokens, most: None }
    }

    /// An answer that fits, and says of the conversation only what any answer would.
    pub fn good(&self) -> Value {
        let last = self.messages.last().cloned().unwrap_or_default();
        let waits = last["from"] == "other";
        let digest = blake3::hash(self.messages.iter().map(Value::to_string).collect::<String>().as_bytes());
        json!({
            "summary": format!("A chat of {} lines, told as {}.", self.messages.len(), &digest.to_hex()[..6]),
            "topics": ["chat"],
            "sentiment": "neutral",
            "language": "en",
            "priority": if waits { "normal" } else { "low" },
            "needs_reply": waits,
            "needs_reply_reason": if waits { json!("the other side spoke last") } else { Value::Null },
            "open_questions": [],
            "follow_up": null,
            "risk_flags": [],
        })
    }

    /// [`Asked::good`] as text; one word where no JSON was asked for.
    pub fn good_answer(&self) -> String {
        if self.boundary.is_empty() { "ok".to_owned() } else { self.good().to_string() }
    }
}

/// The answer in the words of the service. `finish` is OpenAI's word, or `refusal`.
pub fn envelope(provider: AiProvider, text: &str, finish: &str, (input, output): (u64, u64)) -> Value {
    match provider {
        AiProvider::OpenAi => {
            let (content, refusal, finish) = match finish {
                "refusal" => (Value::Null, json!(text), "stop"),
                finish => (json!(text), Value::Null, finish),
            };
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": super::MODEL,
                "choices": [{
                    "index": 0, "finish_reason": finish,
                    "message": { "role": "assistant", "content": content, "refusal": refusal },
                }],
                "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output },
            })
        }
        AiProvider::Anthropic => {
            let reason = match finish {
                "length" => "max_tokens",
                "refusal" | "content_filter" => "refusal",
                _ => "end_turn",
            };
            let content = if text.is_empty() { json!([]) } else { json!([{ "type": "text", "text": text }]) };
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": super::MODEL, "content": content,
                "stop_reason": reason, "stop_sequence": null, "usage": { "input_tokens": input, "output_tokens": output },
            })
        }
    }
}
