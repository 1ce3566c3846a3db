//! The language of OpenAI, which most servers imitate: `POST /chat/completions`.
//!
//! `max_tokens` is deprecated, and the vendor's models that think refuse it: the limit is `max_completion_tokens`,
//! elsewhere under both names (`limits`). No sampling parameter is sent unless it was set.

use serde_json::{Value, json};

use super::dialect::{Ask, Completion, Finish, Role, joined_texts};
use super::ladder::Rung;
use super::limits::Names;
use super::schema;

pub(super) fn body(ask: &Ask<'_>, names: Names) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": ask.system })];
    messages.extend(ask.turns.iter().map(|(role, text)| {
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": text })
    }));
    let mut body = json!({ "model": ask.model, "messages": messages });
    for name in names.fields() {
        body[*name] = ask.limit.into();
    }
    match ask.rung {
        Some(Rung::Schema) => {
            let schema = json!({ "name": schema::NAME, "strict": true, "schema": schema::answer() });
            body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
        }
        Some(Rung::Object) => body["response_format"] = json!({ "type": "json_object" }),
        Some(Rung::Words) | None => {}
    }
    for (name, value) in [("temperature", ask.temperature), ("top_p", ask.top_p)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    body
}

pub(super) fn read(body: &Value) -> Result<Completion, &'static str> {
    let choice = body.get("choices").and_then(|choices| choices.get(0)).ok_or("it has no choices")?;
    let message = choice.get("message").filter(|message| message.is_object()).ok_or("it has no message")?;
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => joined_texts(parts),
        Value::Null => String::new(),
        _ => return Err("its content is no text"),
    };
    let has_refusal = message["refusal"].as_str().is_some_and(|refusal| !refusal.is_empty());
    let finish = match choice["finish_reason"].as_str() {
        Some("content_filter") => Finish::Refused,
        _ if has_refusal => Finish::Refused,
        Some("length") => Finish::Cut,
        _ => Finish::Done,
    };
    let count = |name: &str| body["usage"][name].as_u64();
    let tokens = count("prompt_tokens").zip(count("completion_tokens"));
    Ok(Completion { text, finish, tokens })
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    #[test]
    fn the_body_is_what_strict_servers_take() {
        let turns = [(Role::User, "hi".to_owned())];
        let mut ask = Ask {
            model: "m",
            system: "s",
            turns: &turns,
            rung: Some(Rung::Schema),
            limit: 9,
            temperature: None,
            top_p: None,
        };
        let vendor = Limits::new("api.openai.com").names();
        let strict = body(&ask, vendor);
        assert_eq!(strict["max_completion_tokens"], 9);
        assert_eq!(strict["response_format"]["json_schema"]["strict"], true);
        let names: Vec<&str> = strict.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["max_completion_tokens", "messages", "model", "response_format"]);
        let elsewhere = body(&ask, Names::Both);
        assert_eq!((&elsewhere["max_completion_tokens"], &elsewhere["max_tokens"]), (&9.into(), &9.into()));
        ask.rung = None;
        ask.temperature = Some(0.5);
        assert_eq!(body(&ask, vendor)["temperature"], 0.5);
        assert!(body(&ask, vendor).get("response_format").is_none());
    }

    #[test]
    fn answers_are_read_in_each_of_their_forms() {
        let answer = |message: Value, finish: &str| {
            read(&json!({ "choices": [{ "message": message, "finish_reason": finish }],
                          "usage": { "prompt_tokens": 3, "completion_tokens": 4 } }))
            .unwrap()
        };
        let plain = answer(json!({ "content": "x", "refusal": null }), "stop");
        assert_eq!((plain.text.as_str(), plain.finish, plain.tokens), ("x", Finish::Done, Some((3, 4))));
        assert_eq!(answer(json!({ "content": [{ "type": "text", "text": "y" }] }), "stop").text, "y");
        assert_eq!(answer(json!({ "content": "", "reasoning_content": "hm" }), "length").finish, Finish::Cut);
        assert_eq!(answer(json!({ "content": null, "refusal": "no" }), "stop").finish, Finish::Refused);
        assert_eq!(answer(json!({ "content": "" }), "content_filter").finish, Finish::Refused);
        assert!(read(&json!({ "choices": [] })).is_err() && read(&json!("x")).is_err());
        assert_eq!(read(&json!({ "choices": [{ "message": {} }] })).unwrap().tokens, None);
    }
}
