//! The form of an answer: one schema for every service and every prompt.
//!
//! Strict servers want `additionalProperties: false` and every property in `required`; what may be absent is
//! `anyOf` with null. Lengths are not in it, because not all of them take lengths: `verify` has them.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::domain::Risk;

/// The name that a schema must have.
pub(super) const NAME: &str = "conversation_verdict";

/// The fields, in the order in which they are asked for.
pub(super) const FIELDS: [&str; 10] = [
    "summary",
    "topics",
    "sentiment",
    "language",
    "priority",
    "needs_reply",
    "needs_reply_reason",
    "open_questions",
    "follow_up",
    "risk_flags",
];

static ANSWER: LazyLock<Value> = LazyLock::new(|| {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let text_or_null =
        |description: &str| json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "description": description });
    let texts =
        |description: &str| json!({ "type": "array", "items": { "type": "string" }, "description": description });
    let word = |words: &[&str]| json!({ "type": "string", "enum": words });
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
    };
    let risks: Vec<&str> = Risk::ALL.iter().map(|risk| risk.as_str()).collect();
    let flag =
        object(json!({ "risk": word(&risks), "messages": texts("ids of the messages that show it, such as m3") }));
    object(json!({
        "summary": text("two or three sentences"),
        "topics": texts("up to five key words, the most important first"),
        "sentiment": word(&["positive", "neutral", "negative", "mixed", "unknown"]),
        "language": text_or_null("BCP 47 tag of most of the chat, such as en or pt-BR"),
        "priority": word(&["low", "normal", "high"]),
        "needs_reply": json!({ "type": "boolean" }),
        "needs_reply_reason": text_or_null("a short clause if needs_reply"),
        "open_questions": texts("what was asked and not answered, by either side"),
        "follow_up": text_or_null("the day to come back to it, YYYY-MM-DD"),
        "risk_flags": json!({ "type": "array", "items": flag }),
    }))
});

/// The JSON Schema of an answer.
pub(super) fn answer() -> &'static Value {
    &ANSWER
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every object of a schema.
    fn objects<'v>(schema: &'v Value, found: &mut Vec<&'v Value>) {
        if schema["type"] == "object" {
            found.push(schema);
        }
        match schema {
            Value::Object(map) => map.values().for_each(|inner| objects(inner, found)),
            Value::Array(list) => list.iter().for_each(|inner| objects(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn strict_servers_find_what_they_want() {
        let mut found = Vec::new();
        objects(answer(), &mut found);
        assert_eq!(found.len(), 2);
        for object in found {
            assert_eq!(object["additionalProperties"], false);
            let mut required: Vec<&str> =
                object["required"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
            let mut names: Vec<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            required.sort_unstable();
            names.sort_unstable();
            assert_eq!(required, names);
        }
        let mut fields = FIELDS;
        fields.sort_unstable();
        assert_eq!(answer()["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), fields);
    }
}
