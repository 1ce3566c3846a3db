//! Finds the JSON object in what a model said: fenced, behind its thinking, or with prose around it.
//!
//! Lenient on purpose, since nothing found here is believed: `verify` is strict.

use std::borrow::Cow;

use serde_json::Value;

/// So many beginnings of an object are tried.
const TRIES: usize = 64;

/// The answer without the thinking that some models put in front of it.
pub(super) fn without_thinking(text: &str) -> Cow<'_, str> {
    for (open, close) in [("<think>", "</think>"), ("<thinking>", "</thinking>")] {
        // Some templates swallow the opening mark.
        if let Some((_, answer)) = text.rsplit_once(close) {
            return Cow::Borrowed(answer);
        }
        if let Some((before, _)) = text.split_once(open) {
            return Cow::Borrowed(before);
        }
    }
    Cow::Borrowed(text)
}

/// The object, if there is one: the whole text, or the first in it that holds `field`, or else the first.
pub(super) fn object(text: &str, field: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && value.is_object()
    {
        return Some(value);
    }
    let mut first = None;
    let mut from = 0;
    for _ in 0..TRIES {
        let Some(start) = text[from..].find('{').map(|at| from + at) else { break };
        let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) if value.is_object() => {
                from = start + stream.byte_offset().max(1);
                if value.get(field).is_some() {
                    return Some(value);
                }
                first = first.or(Some(value));
            }
            _ => from = start + 1,
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_object_is_found_whatever_stands_around_it() {
        for text in [
            r#"{"summary":"x"}"#,
            "\u{feff} {\"summary\":\"x\"}\n",
            "```json\n{\"summary\":\"x\"}\n```",
            "Sure! Here it is: {\"summary\":\"x\"} Anything else?",
            "{not json} then {\"a\":1} then {\"summary\":\"x\"}",
            "[{\"summary\":\"x\"}]",
        ] {
            assert_eq!(object(text, "summary").unwrap()["summary"], "x", "{text}");
        }
        assert_eq!(object("{\"a\":1}", "summary").unwrap()["a"], 1);
        for text in ["", "no", "{", "[1]", "null", "\"{}\"", "{'summary': 'x'}"] {
            assert!(object(text, "summary").is_none_or(|found| found.get("summary").is_none()), "{text}");
        }
    }

    #[test]
    fn thinking_is_left_out() {
        for (text, answer) in [
            ("<think>{\"summary\":\"no\"}</think>{\"summary\":\"x\"}", "{\"summary\":\"x\"}"),
            ("thinking…</think>yes", "yes"),
            ("<think>for ever", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(without_thinking(text), answer);
        }
    }

    #[test]
    fn deep_and_long_answers_end() {
        let deep = "{\"summary\":".repeat(100_000);
        assert!(object(&deep, "summary").is_none());
        assert!(object(&"{".repeat(1_000_000), "summary").is_none());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[{}\\[\\]\",:a-z<>/\\\\ é`]{0,200}") {
            let _ = object(&without_thinking(&text), "summary");
        }
    }
}
