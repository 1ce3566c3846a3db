//! What the vendors refuse: unknown fields, wrong types, missing headers, deprecated parameters, schemas that are
//! not strict, unknown models and keys; each with the vendor's status and form of error.

use chatferry::config::AiProvider;
use serde_json::{Value, json};

use super::http::Request;
use super::{Habits, Limits, MODEL};

/// A request that is not in good form.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// Why, for the test.
    pub why: String,
}

/// The body of a request in good form.
pub fn check(provider: AiProvider, request: &Request, keys: &[String], habits: Habits) -> Result<Value, Refusal> {
    let refuse = |status: u16, word: &str, why: &str| Err(refusal(provider, status, word, why));
    let path = match provider {
        AiProvider::OpenAi => "/v1/chat/completions",
        AiProvider::Anthropic => "/v1/messages",
    };
    if request.path != path {
        return refuse(404, "not_found", "unknown path");
    }
    if request.method != "POST" {
        return refuse(405, "method_not_allowed", "not POST");
    }
    let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
    let key = match provider {
        AiProvider::OpenAi => header("authorization").strip_prefix("Bearer ").unwrap_or_default(),
        AiProvider::Anthropic => header("x-api-key"),
    };
    if !keys.iter().any(|known| known == key) {
        let word = if provider == AiProvider::OpenAi { "invalid_api_key" } else { "authentication_error" };
        return refuse(401, word, "wrong key");
    }
    if !header("content-type").starts_with("application/json") {
        return refuse(415, "unsupported_media_type", "not JSON");
    }
    if provider == AiProvider::Anthropic && header("anthropic-version") != "2023-06-01" {
        return refuse(400, "invalid_request_error", "anthropic-version: header is required");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return refuse(400, "invalid_request_error", "broken JSON");
    };
    if provider == AiProvider::OpenAi
        && let Some(refusal) = refused_limit(&body, habits.limits)
    {
        return Err(refusal);
    }
    let found = match provider {
        AiProvider::OpenAi => openai(&body),
        AiProvider::Anthropic => anthropic(&body),
    };
    if let Err(why) = found {
        return refuse(400, "invalid_request_error", &why);
    }
    if body["model"] != MODEL {
        let word = if provider == AiProvider::OpenAi { "model_not_found" } else { "not_found_error" };
        return refuse(404, word, "unknown model");
    }
    let form = body["response_format"]["type"].as_str().or_else(|| body["output_config"]["format"]["type"].as_str());
    match form {
        Some("json_schema") if habits.refuses_schema => refuse(400, "invalid_request_error", "no json_schema here"),
        Some("json_object") if habits.refuses_object => {
            let why = "'response_format.type' must be 'json_schema' or 'text'";
            Err(Refusal { status: 400, body: json!({ "error": why }), why: why.to_owned() })
        }
        _ => Ok(body),
    }
}

/// The refusal of a name of the limit.
fn refused_limit(body: &Value, limits: Limits) -> Option<Refusal> {
    match limits {
        Limits::RefusesPlain if body.get("max_tokens").is_some() => {
            let why = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
            let error = json!({
                "message": why, "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter",
            });
            Some(Refusal { status: 400, body: json!({ "error": error }), why: why.to_owned() })
        }
        Limits::RefusesCompletion if body.get("max_completion_tokens").is_some() => {
            let why = "Extra inputs are not permitted";
            let detail = json!({ "type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": why });
            Some(Refusal { status: 422, body: json!({ "detail": [detail] }), why: why.to_owned() })
        }
        _ => None,
    }
}

fn refusal(provider: AiProvider, status: u16, word: &str, why: &str) -> Refusal {
    let body = match provider {
        AiProvider::OpenAi => {
            json!({ "error": { "message": why, "type": "invalid_request_error", "param": null, "code": word } })
        }
        AiProvider::Anthropic => {
            json!({ "type": "error", "error": { "type": word, "message": why }, "request_id": "req_1" })
        }
    };
    Refusal { status, body, why: why.to_owned() }
}

/// Every key of an object is known, and what must be there is.
fn fields(object: &Value, known: &[&str], needed: &[&str]) -> Result<(), String> {
    let object = object.as_object().ok_or("not an object")?;
    if let Some(stranger) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("Unrecognized request argument supplied: {stranger}"));
    }
    needed.iter().find(|key| !object.contains_key(**key)).map_or(Ok(()), |key| Err(format!("missing: {key}")))
}

fn sampling(body: &Value) -> Result<(), String> {
    let wrong =
        ["temperature", "top_p"].into_iter().find(|name| body.get(name).is_some_and(|value| !value.is_number()));
    wrong.map_or(Ok(()), |name| Err(format!("{name} is no number")))
}

fn limit(value: &Value) -> Result<(), String> {
    value.as_u64().filter(|limit| *limit > 0).map(|_| ()).ok_or_else(|| "the limit is no positive number".to_owned())
}

fn turns(turns: &[Value]) -> Result<(), String> {
    for (index, turn) in turns.iter().enumerate() {
        fields(turn, &["role", "content"], &["role", "content"])?;
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        if turn["role"] != role {
            return Err(format!("turn {index} is not of {role}"));
        }
        let content = turn["content"].as_str().ok_or("content is no text")?;
        if content.trim().is_empty() || (role == "assistant" && content.trim_end() != content) {
            return Err(format!("turn {index} is empty or ends in white space"));
        }
    }
    if turns.len() % 2 == 1 { Ok(()) } else { Err("the last turn is not of the user".to_owned()) }
}

fn openai(body: &Value) -> Result<(), String> {
    let limits = ["max_completion_tokens", "max_tokens"];
    let known = ["model", "messages", limits[0], limits[1], "response_format", "temperature", "top_p"];
    fields(body, &known, &["model", "messages"])?;
    sampling(body)?;
    let sent: Vec<&Value> = limits.iter().filter_map(|name| body.get(name)).collect();
    sent.iter().try_for_each(|value| limit(value))?;
    if sent.is_empty() || sent.iter().any(|value| *value != sent[0]) {
        return Err("no limit, or two different ones".to_owned());
    }
    let messages = body["messages"].as_array().ok_or("messages is no list")?;
    let (system, rest) = messages.split_first().ok_or("no messages")?;
    if system["role"] != "system" || !system["content"].is_string() {
        return Err("the first message is not of the system".to_owned());
    }
    turns(rest)?;
    match body.get("response_format") {
        None => Ok(()),
        Some(format) if format["type"] == "json_object" => {
            fields(format, &["type"], &["type"])?;
            let has_word = messages.iter().any(|m| m["content"].as_str().unwrap_or_default().contains("JSON"));
            if has_word { Ok(()) } else { Err("'messages' must contain the word 'json' in some form".to_owned()) }
        }
        Some(format) => {
            fields(format, &["type", "json_schema"], &["type", "json_schema"])?;
            let named = &format["json_schema"];
            fields(named, &["name", "strict", "schema"], &["name", "strict", "schema"])?;
            if format["type"] != "json_schema" || named["strict"] != true {
                return Err("response_format is not strict".to_owned());
            }
            strict(&named["schema"])
        }
    }
}

fn anthropic(body: &Value) -> Result<(), String> {
    let known = ["model", "system", "messages", "max_tokens", "output_config", "temperature", "top_p"];
    fields(body, &known, &["model", "messages", "max_tokens"])?;
    sampling(body)?;
    limit(&body["max_tokens"])?;
    if !body["system"].is_string() {
        return Err("system is no text".to_owned());
    }
    turns(body["messages"].as_array().ok_or("messages is no list")?)?;
    let Some(config) = body.get("output_config") else { return Ok(()) };
    fields(config, &["format"], &["format"])?;
    fields(&config["format"], &["type", "schema"], &["type", "schema"])?;
    if config["format"]["type"] != "json_schema" {
        return Err("output_config.format.type must be json_schema".to_owned());
    }
    strict(&config["format"]["schema"])
}

/// What strict servers want of a schema, all the way down.
fn strict(schema: &Value) -> Result<(), String> {
    let known = ["type", "description", "enum", "anyOf", "items", "properties", "required", "additionalProperties"];
    fields(schema, &known, &[])?;
    if schema["type"] == "object" {
        let properties = schema["properties"].as_object().ok_or("an object without properties")?;
        let required: Vec<&str> =
            schema["required"].as_array().ok_or("no 'required'")?.iter().filter_map(Value::as_str).collect();
        if schema["additionalProperties"] != false {
            return Err("'additionalProperties' is required to be supplied and to be false".to_owned());
        }
        if let Some(missing) = properties.keys().find(|key| !required.contains(&key.as_str())) {
            return Err(format!("'required' is required to include every key in properties. Missing '{missing}'"));
        }
        properties.values().try_for_each(strict)?;
    }
    if let Some(items) = schema.get("items") {
        strict(items)?;
    }
    schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().try_for_each(strict)
}
