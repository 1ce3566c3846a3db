//! What is asked and what is answered, in our words, and the two languages that services speak.

use serde_json::Value;

use super::ladder::Rung;
use super::limits::Names;
use super::{anthropic, openai};
use crate::config::AiProvider;

/// Who says something to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// We, as the one who asks.
    User,
    /// The model, as it answered before.
    Assistant,
}

/// One call. The texts hold chats: nothing of it is ever printed.
pub(super) struct Ask<'a> {
    /// Which model.
    pub(super) model: &'a str,
    /// The instructions.
    pub(super) system: &'a str,
    /// What is said, oldest first.
    pub(super) turns: &'a [(Role, String)],
    /// How the form of the answer is asked for; `None`: any text will do.
    pub(super) rung: Option<Rung>,
    /// At most so many tokens of answer.
    pub(super) limit: u32,
    /// Sampling parameters, only where they were set.
    pub(super) temperature: Option<f64>,
    /// As above.
    pub(super) top_p: Option<f64>,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// It had said all.
    Done,
    /// The limit was reached.
    Cut,
    /// It, or a filter, refused.
    Refused,
}

/// An answer. `text` holds what a model made of chats: never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Completion {
    /// What it said, without its thinking where the service tells the two apart.
    pub(super) text: String,
    /// Why it stopped.
    pub(super) finish: Finish,
    /// Tokens of question and answer, as the service counts them.
    pub(super) tokens: Option<(u64, u64)>,
}

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Completion({:?}, {} bytes)", self.finish, self.text.len())
    }
}

/// The path behind the address of the service.
pub(super) const fn path(provider: AiProvider) -> &'static str {
    match provider {
        AiProvider::OpenAi => "chat/completions",
        AiProvider::Anthropic => "messages",
    }
}

/// The header of the key, and what stands before the key in it.
pub(super) const fn key_header(provider: AiProvider) -> (&'static str, &'static str) {
    match provider {
        AiProvider::OpenAi => ("authorization", "Bearer "),
        AiProvider::Anthropic => ("x-api-key", ""),
    }
}

/// The body of a request. `names`: those of the limit, where a language has two.
pub(super) fn body(provider: AiProvider, ask: &Ask<'_>, names: Names) -> Value {
    match provider {
        AiProvider::OpenAi => openai::body(ask, names),
        AiProvider::Anthropic => anthropic::body(ask),
    }
}

/// Reads the body of an accepted request.
///
/// # Errors
/// What is wrong with it, in words of ours.
pub(super) fn read(provider: AiProvider, body: &Value) -> Result<Completion, &'static str> {
    match provider {
        AiProvider::OpenAi => openai::read(body),
        AiProvider::Anthropic => anthropic::read(body),
    }
}

/// The texts of a list of parts `{"type": "text", "text": …}`, joined; other parts are passed over.
pub(super) fn joined_texts(parts: &[Value]) -> String {
    parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any JSON, some of it in the places where answers stand.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,10}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("choices".to_owned()),
            Just("message".to_owned()),
            Just("content".to_owned()),
            Just("usage".to_owned()),
            Just("type".to_owned()),
            Just("text".to_owned()),
            Just("prompt_tokens".to_owned()),
            "[a-z]{0,4}",
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_breaks_a_reader(body in json()) {
            for provider in [AiProvider::OpenAi, AiProvider::Anthropic] {
                let _ = read(provider, &body);
            }
        }
    }
}
