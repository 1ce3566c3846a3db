//! The language of Anthropic: `POST /messages`. The schema goes into `output_config.format`; there is no
//! form between that and plain words.

use serde_json::{Value, json};

use super::dialect::{Ask, Completion, Finish, Role, joined_texts};
use super::ladder::Rung;
use super::schema;

/// The version of the interface that this file speaks.
pub(super) const VERSION: &str = "2023-06-01";

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let turn = |(role, text): &(Role, String)| match role {
        Role::User => json!({ "role": "user", "content": text }),
        // An empty turn is refused, and so is one that ends in white space.
        Role::Assistant if text.trim().is_empty() => json!({ "role": "assistant", "content": "{}" }),
        Role::Assistant => json!({ "role": "assistant", "content": text.trim_end() }),
    };
    let messages: Vec<Value> = ask.turns.iter().map(turn).collect();
    let mut body = json!({ "model": ask.model, "system": ask.system, "messages": messages, "max_tokens": ask.limit });
    if ask.rung == Some(Rung::Schema) {
        body["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema::answer() } });
    }
    for (name, value) in [("temperature", ask.temperature), ("top_p", ask.top_p)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    body
}

pub(super) fn read(body: &Value) -> Result<Completion, &'static str> {
    let parts = body.get("content").and_then(Value::as_array).ok_or("it has no content")?;
    let finish = match body["stop_reason"].as_str() {
        Some("refusal") => Finish::Refused,
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Cut,
        _ => Finish::Done,
    };
    let count = |name: &str| body["usage"][name].as_u64();
    // What was read from a cache was asked all the same; it is counted at the full price.
    let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"].into_iter().filter_map(count);
    let input = count("input_tokens").map(|input| cached.fold(input, u64::saturating_add));
    Ok(Completion { text: joined_texts(parts), finish, tokens: input.zip(count("output_tokens")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_the_vendor_takes() {
        let turns = [(Role::User, "q".to_owned()), (Role::Assistant, " ".to_owned()), (Role::User, "r".to_owned())];
        let ask = Ask {
            model: "m",
            system: "s",
            turns: &turns,
            rung: Some(Rung::Schema),
            limit: 9,
            temperature: None,
            top_p: None,
        };
        let body = body(&ask);
        assert_eq!(body["output_config"]["format"]["type"], "json_schema");
        assert_eq!(body["messages"][1]["content"], "{}");
        let names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["max_tokens", "messages", "model", "output_config", "system"]);
    }

    #[test]
    fn answers_are_read_without_the_thinking() {
        let answer = read(&json!({
            "content": [{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "x" }],
            "stop_reason": "end_turn",
            "usage": { "input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 4 },
        }))
        .unwrap();
        assert_eq!((answer.text.as_str(), answer.finish, answer.tokens), ("x", Finish::Done, Some((13, 4))));
        let refused = json!({ "content": [], "stop_reason": "refusal" });
        assert_eq!(read(&refused).unwrap().finish, Finish::Refused);
        let cut = json!({ "content": [], "stop_reason": "max_tokens", "usage": {} });
        assert_eq!(read(&cut).map(|answer| (answer.finish, answer.tokens)), Ok((Finish::Cut, None)));
        assert!(read(&json!({ "completion": "x" })).is_err());
    }
}
