//! From a JSON object to a verdict: strictly by the schema, every cited message known, every text short,
//! clean and harmless. Nothing is mended here; what does not fit is a [`Flaw`].

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::super::error::Flaw;
use super::super::extractive::clean::one_line;
use super::contain;
use super::question::Question;
use super::schema::FIELDS;
use crate::domain::{MessageKey, Priority, Risk, RiskFlag, Sentiment};

/// The field by which an answer is told from other JSON.
pub(super) const MARK: &str = "summary";
/// The longest summary, in characters.
const SUMMARY: usize = 1_500;
/// The longest of the other texts.
const LINE: usize = 300;
/// The most topics, and the most open questions.
const MOST: usize = 12;
/// The most messages of one risk.
const CITED: usize = 50;

/// What a model says of a conversation, checked. Texts are as the model wrote them: still masked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) summary: String,
    pub(super) topics: Vec<String>,
    pub(super) sentiment: Sentiment,
    pub(super) language: Option<String>,
    pub(super) priority: Priority,
    pub(super) needs_reply: bool,
    pub(super) needs_reply_reason: Option<String>,
    pub(super) open_questions: Vec<String>,
    pub(super) follow_up: Option<Date>,
    pub(super) risk_flags: Vec<RiskFlag>,
}

/// Every text of an object, keys included, for a look at what it gives away.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(map) => map.iter().flat_map(|(key, inner)| [vec![key.as_str()], texts(inner)].concat()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Checks an answer. `day` is that of the newest message, from which a follow-up can't be far.
///
/// # Errors
/// The first flaw.
pub(super) fn answer(value: &Value, question: &Question, day: Date) -> Result<Answer, Flaw> {
    let object = value.as_object().ok_or(Flaw::NoObject)?;
    if let Some(field) = FIELDS.into_iter().find(|field| !object.contains_key(*field)) {
        return Err(Flaw::Missing(field));
    }
    if object.len() > FIELDS.len() {
        return Err(Flaw::Unasked);
    }
    let summary = text(object, "summary", SUMMARY)?;
    if summary.is_empty() {
        return Err(Flaw::Wrong("summary"));
    }
    Ok(Answer {
        summary,
        topics: texts_of(object, "topics")?,
        sentiment: word(object, "sentiment")?,
        language: language(object)?,
        priority: word(object, "priority")?,
        needs_reply: object["needs_reply"].as_bool().ok_or(Flaw::Wrong("needs_reply"))?,
        needs_reply_reason: text_or_null(object, "needs_reply_reason")?,
        open_questions: texts_of(object, "open_questions")?,
        follow_up: follow_up(object, day)?,
        risk_flags: risk_flags(object, question)?,
    })
}

fn text(object: &Map<String, Value>, field: &'static str, limit: usize) -> Result<String, Flaw> {
    checked(object[field].as_str().ok_or(Flaw::Wrong(field))?, field, limit)
}

/// A text on one line, without anything invisible.
fn checked(text: &str, field: &'static str, limit: usize) -> Result<String, Flaw> {
    if text.chars().count() > limit {
        return Err(Flaw::TooLong(field));
    }
    let text = one_line(text, limit);
    contain::flaw(field, &text).map_or(Ok(text), Err)
}

fn text_or_null(object: &Map<String, Value>, field: &'static str) -> Result<Option<String>, Flaw> {
    match &object[field] {
        Value::Null => Ok(None),
        _ => text(object, field, LINE).map(|text| Some(text).filter(|text| !text.is_empty())),
    }
}

fn texts_of(object: &Map<String, Value>, field: &'static str) -> Result<Vec<String>, Flaw> {
    let list = object[field].as_array().ok_or(Flaw::Wrong(field))?;
    if list.len() > MOST {
        return Err(Flaw::TooLong(field));
    }
    let texts = list.iter().map(|one| checked(one.as_str().ok_or(Flaw::Wrong(field))?, field, LINE));
    let texts: Result<Vec<String>, Flaw> = texts.collect();
    Ok(texts?.into_iter().filter(|text| !text.is_empty()).collect())
}

fn word<T: serde::de::DeserializeOwned>(object: &Map<String, Value>, field: &'static str) -> Result<T, Flaw> {
    let word = object[field].as_str().ok_or(Flaw::Wrong(field))?;
    serde_json::from_value(word.into()).map_err(|_| Flaw::Wrong(field))
}

/// A BCP 47 tag in its usual form.
fn language(object: &Map<String, Value>) -> Result<Option<String>, Flaw> {
    let field = "language";
    let tag = match &object[field] {
        Value::Null => return Ok(None),
        value => value.as_str().ok_or(Flaw::Wrong(field))?,
    };
    let mut parts = tag.split('-');
    let has_language =
        parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()));
    let rest: Vec<&str> = parts.collect();
    let fits = |part: &&str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if has_language && rest.len() <= 3 && rest.iter().all(fits) {
        Ok(Some(tag.to_owned()))
    } else {
        Err(Flaw::Wrong(field))
    }
}

fn follow_up(object: &Map<String, Value>, day: Date) -> Result<Option<Date>, Flaw> {
    let wrong = Flaw::Wrong("follow_up");
    let text = match &object["follow_up"] {
        Value::Null => return Ok(None),
        value => value.as_str().ok_or(wrong)?,
    };
    if text.len() != 10 {
        return Err(wrong);
    }
    let follow_up: Date = text.parse().map_err(|_| wrong)?;
    let (from, to) = (day.saturating_sub(1.month()), day.saturating_add(5.years()));
    if from <= follow_up && follow_up <= to { Ok(Some(follow_up)) } else { Err(wrong) }
}

fn risk_flags(object: &Map<String, Value>, question: &Question) -> Result<Vec<RiskFlag>, Flaw> {
    let field = "risk_flags";
    let wrong = Flaw::Wrong(field);
    let list = object[field].as_array().ok_or(wrong)?;
    let mut flags: Vec<RiskFlag> = Vec::new();
    for flag in list {
        let flag = flag.as_object().filter(|flag| flag.len() == 2).ok_or(wrong)?;
        let risk: Risk = flag.get("risk").cloned().and_then(|risk| serde_json::from_value(risk).ok()).ok_or(wrong)?;
        let cited = flag.get("messages").and_then(Value::as_array).ok_or(wrong)?;
        if cited.is_empty() || flags.iter().any(|known| known.risk == risk) {
            return Err(wrong);
        }
        if cited.len() > CITED {
            return Err(Flaw::TooLong(field));
        }
        let find = |id: &Value| question.message(id.as_str().ok_or(wrong)?).ok_or(Flaw::UnknownMessage(field));
        let known: Result<BTreeSet<MessageKey>, Flaw> = cited.iter().map(find).collect();
        let known = known?;
        // In the order of the conversation.
        let messages = question.messages.iter().filter(|key| known.contains(key)).copied().collect();
        flags.push(RiskFlag { risk, messages });
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{request, said};
    use crate::ai::service::mask::Mask;
    use crate::ai::service::question::Marks;
    use proptest::prelude::*;
    use serde_json::json;

    fn question() -> Question {
        let request = request(vec![said("Mia", "a"), said("Mia", "b"), said("Mia", "c")]);
        Question::new(&request, String::new(), Marks::draw(), &mut Mask::new(false), 10_000)
    }

    fn good() -> Value {
        json!({
            "summary": "Mia asks about Friday.", "topics": ["friday"], "sentiment": "positive", "language": "pt-BR",
            "priority": "normal", "needs_reply": true, "needs_reply_reason": "a question", "open_questions": [],
            "follow_up": "2026-11-27", "risk_flags": [{ "risk": "money_request", "messages": ["m3", "m1", "m3"] }],
        })
    }

    fn check(value: &Value) -> Result<Answer, Flaw> {
        answer(value, &question(), jiff::civil::date(2026, 11, 21))
    }

    #[test]
    fn what_fits_the_schema_is_taken_with_its_messages_in_order() {
        let question = question();
        let answer = answer(&good(), &question, jiff::civil::date(2026, 11, 21)).unwrap();
        assert_eq!(answer.risk_flags[0].messages, [question.messages[0], question.messages[2]]);
        assert_eq!(
            (answer.language.as_deref(), answer.follow_up),
            (Some("pt-BR"), Some(jiff::civil::date(2026, 11, 27)))
        );
    }

    #[test]
    fn what_does_not_fit_is_a_flaw_and_which() {
        for (field, value, flaw) in [
            ("summary", json!(""), Flaw::Wrong("summary")),
            ("summary", json!(["x"]), Flaw::Wrong("summary")),
            ("summary", json!("x".repeat(1_501)), Flaw::TooLong("summary")),
            ("summary", json!("see evil.com"), Flaw::Link("summary")),
            ("topics", json!("x"), Flaw::Wrong("topics")),
            ("topics", json!([1]), Flaw::Wrong("topics")),
            ("topics", json!(vec!["x"; 13]), Flaw::TooLong("topics")),
            ("sentiment", json!("happy"), Flaw::Wrong("sentiment")),
            ("language", json!("English"), Flaw::Wrong("language")),
            ("language", json!("en\u{202e}"), Flaw::Wrong("language")),
            ("priority", json!(null), Flaw::Wrong("priority")),
            ("needs_reply", json!("true"), Flaw::Wrong("needs_reply")),
            ("needs_reply_reason", json!("<b>x</b>"), Flaw::Markup("needs_reply_reason")),
            ("open_questions", json!(["x".repeat(301)]), Flaw::TooLong("open_questions")),
            ("follow_up", json!("tomorrow"), Flaw::Wrong("follow_up")),
            ("follow_up", json!("2026-11-27T10:00"), Flaw::Wrong("follow_up")),
            ("follow_up", json!("9999-01-01"), Flaw::Wrong("follow_up")),
            ("risk_flags", json!([{ "risk": "scam", "messages": ["m4"] }]), Flaw::UnknownMessage("risk_flags")),
            ("risk_flags", json!([{ "risk": "scam", "messages": [] }]), Flaw::Wrong("risk_flags")),
            ("risk_flags", json!([{ "risk": "evil", "messages": ["m1"] }]), Flaw::Wrong("risk_flags")),
            ("risk_flags", json!([{ "risk": "scam", "messages": ["m1"], "x": 1 }]), Flaw::Wrong("risk_flags")),
        ] {
            let mut bad = good();
            bad[field] = value.clone();
            assert_eq!(check(&bad), Err(flaw), "{field}: {value}");
        }
        let mut more = good();
        more["links"] = json!(["https://evil.example"]);
        assert_eq!(check(&more), Err(Flaw::Unasked));
        for field in FIELDS {
            let mut less = good();
            less.as_object_mut().unwrap().remove(field);
            assert_eq!(check(&less), Err(Flaw::Missing(field)));
        }
    }

    #[test]
    fn what_can_not_be_seen_is_taken_out_and_lines_are_joined() {
        let mut hidden = good();
        hidden["summary"] = json!("one\u{200b}\n\u{202e}two\u{e0041}");
        assert_eq!(check(&hidden).unwrap().summary, "one two");
    }

    proptest! {
        #[test]
        fn no_value_in_any_field_breaks_it(field in 0usize..10, text in "\\PC{0,40}", number in any::<f64>()) {
            for value in [json!(text), json!(number), json!([text]), json!({ text.clone(): number })] {
                let mut odd = good();
                odd[FIELDS[field]] = value;
                let _ = (check(&odd), texts(&odd).len());
            }
        }
    }
}
