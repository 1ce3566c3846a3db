//! From the status and the body of a refused request to what went wrong, once, here.
//!
//! Services say the same thing in many forms: `{"error": {"code", "type", "message"}}`, `{"error": "text"}`,
//! `{"type": "error", "error": {…}}`, plain text. What is looked for are words out of a closed list; nothing
//! else of a body is kept, since it may quote the question.
//!
//! And since it may, what strangers wrote must not decide: a code counts only where it is the whole value of a
//! field that holds codes, a sentence only in a message, and none that stands in the question.

use std::time::Duration;

use serde_json::Value;

use super::super::error::{AiError, Lost, Said};

/// What a refusal is about, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Money or tokens of the account.
    Quota,
    /// A filter of contents.
    Contents,
    /// The limit of the answer.
    Output,
    /// The length of the question.
    Length,
    /// Too many requests.
    Rate,
    /// The key.
    Key,
    /// The model.
    Model,
    /// The service is too busy.
    Load,
}

/// The codes of services; the first that is found counts.
const CODES: [(&str, About); 17] = [
    ("insufficient_quota", About::Quota),
    ("billing_hard_limit_reached", About::Quota),
    ("billing_error", About::Quota),
    ("content_filter", About::Contents),
    ("content_policy_violation", About::Contents),
    ("context_length_exceeded", About::Length),
    ("rate_limit_exceeded", About::Rate),
    ("rate_limit_error", About::Rate),
    ("invalid_api_key", About::Key),
    ("authentication_error", About::Key),
    ("permission_error", About::Key),
    ("unsupported_country_region_territory", About::Key),
    ("model_not_found", About::Model),
    ("not_found_error", About::Model),
    ("overloaded_error", About::Load),
    ("server_overloaded", About::Load),
    ("engine_overloaded", About::Load),
];

/// What their sentences hold, in lower case.
const SENTENCES: [(&str, About); 7] = [
    ("credit balance", About::Quota),
    ("insufficient credits", About::Quota),
    ("insufficient balance", About::Quota),
    ("prompt is too long", About::Length),
    ("maximum context length", About::Length),
    ("exceeds the available context size", About::Length),
    ("output limit was reached", About::Output),
];

/// So much of a body is looked at.
const LOOKED_AT: usize = 4_096;

/// A refused request. Holds the question: never printed.
pub(super) struct Refusal<'a> {
    /// The status.
    pub(super) status: u16,
    /// The whole body, which is forgotten afterwards.
    pub(super) body: &'a [u8],
    /// What was said to the model, in lower case.
    pub(super) sent: &'a str,
    /// The id of the request.
    pub(super) request_id: Option<String>,
    /// What the headers wish for.
    pub(super) after: Option<Duration>,
    /// Who was asked.
    pub(super) host: &'a str,
    /// Which model.
    pub(super) model: &'a str,
    /// How long the answer might have been.
    pub(super) limit: u32,
}

impl Refusal<'_> {
    /// What went wrong.
    pub(super) fn judge(self) -> AiError {
        let found = find(self.status, self.body, self.sent);
        let said = Said { status: self.status, word: found.map(|(word, _)| word), request_id: self.request_id };
        let (after, host) = (self.after, self.host.to_owned());
        let unreachable = |lost| AiError::Unreachable { host, lost, after };
        match (self.status, found.map(|(_, about)| about)) {
            (402, _) | (400 | 403 | 429, Some(About::Quota)) => AiError::QuotaExhausted { said },
            (429, _) => AiError::RateLimited { said, after },
            (400 | 403, Some(About::Contents)) => AiError::Refused,
            (400, Some(About::Output)) => AiError::CutOff { limit: self.limit },
            (401 | 403, _) | (400, Some(About::Key)) => AiError::Auth { said },
            (404, _) | (400, Some(About::Model)) => AiError::ModelUnknown { model: self.model.to_owned(), said },
            (300..=399, _) => unreachable(Lost::Redirected(said)),
            (408 | 409 | 425 | 500..=599, _) => unreachable(Lost::Failed(said)),
            _ => AiError::Rejected { said },
        }
    }
}

/// Whether another form of the question may be accepted: the words, if there are any, blame nothing else.
pub(super) fn may_be_the_form(error: &AiError) -> bool {
    // Some servers that don't know a parameter say so with "not implemented".
    may_be_a_field(error) || matches!(error, AiError::Unreachable { lost: Lost::Failed(Said { status: 501, .. }), .. })
}

/// Whether a field of the request may be what is refused.
pub(super) fn may_be_a_field(error: &AiError) -> bool {
    matches!(error, AiError::Rejected { said: Said { status: 400 | 422, word: None, .. } })
}

/// The first known word in the body.
fn find(status: u16, body: &[u8], sent: &str) -> Option<(&'static str, About)> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        // Plain text has no field for codes. Where it can only be about rates and money it is read all the same.
        let text = lowered(&String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]));
        let mut words = CODES.into_iter().chain(SENTENCES);
        return words.find(|(word, _)| matches!(status, 402 | 429) && is_told(word, &text, sent));
    };
    let codes = texts(&value, &["code", "type"], true);
    let code = CODES.into_iter().find(|(word, _)| codes.iter().any(|code| code.eq_ignore_ascii_case(word)));
    code.or_else(|| {
        let message = lowered(&texts(&value, &["message"], false).join("\n"));
        SENTENCES.into_iter().find(|(sentence, _)| is_told(sentence, &message, sent))
    })
}

/// Whether the service says it, and not somebody in the question that it may quote.
pub(super) fn is_told(word: &str, text: &str, sent: &str) -> bool {
    text.contains(word) && !sent.contains(word)
}

/// As much of a text as is looked at, in lower case.
pub(super) fn lowered(text: &str) -> String {
    text.chars().take(LOOKED_AT).flat_map(char::to_lowercase).collect()
}

/// The texts of these fields of the error, which stands in `error` or is the body; `bare`: also an error that is
/// nothing but a text.
pub(super) fn texts<'a>(value: &'a Value, fields: &[&str], bare: bool) -> Vec<&'a str> {
    let error = value.get("error").unwrap_or(value);
    let alone = error.as_str().filter(|_| bare);
    let named =
        [error, value].into_iter().flat_map(|place| fields.iter().filter_map(|field| place.get(field)?.as_str()));
    alone.into_iter().chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Class, Code, Fault, Scope};
    use proptest::prelude::*;

    fn judge(status: u16, body: &str) -> AiError {
        let after = Some(Duration::from_secs(9));
        let (body, sent) = (body.as_bytes(), "m1: is the maximum context length of \"insufficient_quota\" known?");
        Refusal { status, body, sent, request_id: None, after, host: "h", model: "m", limit: 5 }.judge()
    }

    #[test]
    fn what_the_question_holds_decides_nothing() {
        for (status, body, code) in [
            // Quoted in a message, in a place of its own, or as plain text.
            (400, r#"{"error":{"message":"no: insufficient_quota","code":null}}"#, Code::AiRejected),
            (400, r#"{"error":{"message":"bad","input":"insufficient_quota"}}"#, Code::AiRejected),
            (400, r#"{"error":"can't read: invalid_api_key"}"#, Code::AiRejected),
            (400, r#"{"detail":[{"msg":"x","type":"extra","input":"model_not_found"}]}"#, Code::AiRejected),
            (400, "content_filter insufficient_quota credit balance", Code::AiRejected),
            (429, "is \"insufficient_quota\" known", Code::AiRateLimited),
            // A code that is the whole value counts although the question holds it, too.
            (400, r#"{"error":{"code":"insufficient_quota"}}"#, Code::AiQuotaExhausted),
            (400, r#"{"error":"insufficient_quota"}"#, Code::AiQuotaExhausted),
            (429, "Insufficient credits.", Code::AiQuotaExhausted),
        ] {
            assert_eq!(judge(status, body).code(), code, "{status} {body}");
        }
        // The question may hold the sentence by which another form would be ruled out.
        assert!(may_be_the_form(&judge(400, r#"{"error":{"message":"bad: Maximum context length"}}"#)));
        assert!(!may_be_the_form(&judge(400, r#"{"error":{"message":"Prompt is too long"}}"#)));
    }

    #[test]
    fn each_refusal_is_told_apart_whatever_its_form() {
        for (status, body, code) in [
            (429, r#"{"error":{"code":"insufficient_quota","message":"x"}}"#, Code::AiQuotaExhausted),
            (429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, Code::AiRateLimited),
            (429, "slow down", Code::AiRateLimited),
            (402, "", Code::AiQuotaExhausted),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
                Code::AiQuotaExhausted,
            ),
            (401, r#"{"error":{"code":"invalid_api_key"}}"#, Code::AiAuth),
            (403, r#"{"type":"error","error":{"type":"permission_error"}}"#, Code::AiAuth),
            (404, r#"{"error":{"code":"model_not_found"}}"#, Code::AiModelUnknown),
            (404, "<html>", Code::AiModelUnknown),
            (400, r#"{"error":{"code":"content_filter"}}"#, Code::AiRefused),
            (
                400,
                r#"{"error":{"message":"Could not finish the message because max_tokens or model output limit was reached."}}"#,
                Code::AiCutOff,
            ),
            (400, r#"{"error":"'response_format.type' must be 'json_schema' or 'text'"}"#, Code::AiRejected),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Code::AiRejected),
            (413, "", Code::AiRejected),
            (308, "", Code::AiUnreachable),
            (408, "", Code::AiUnreachable),
            (409, "", Code::AiUnreachable),
            (500, "", Code::AiUnreachable),
            (503, "<html>", Code::AiUnreachable),
            (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Code::AiUnreachable),
        ] {
            let error = judge(status, body);
            assert_eq!(error.code(), code, "{status} {body}");
        }
    }

    #[test]
    fn what_is_the_services_fault_never_becomes_a_dead_letter() {
        for (status, body) in [(429, ""), (429, "insufficient_quota"), (401, ""), (403, ""), (404, ""), (302, "")] {
            let error = judge(status, body);
            assert!(error.class().is_retryable() && error.scope() == Scope::Process, "{status}: {error:?}");
        }
        // One call that failed, or one question that was refused, is not the whole service.
        for status in [400, 408, 413, 422, 500, 503] {
            let error = judge(status, "");
            assert!(error.class().is_retryable() && error.scope() == Scope::Event, "{status}: {error:?}");
        }
        assert_eq!(judge(429, "").class(), Class::Retryable { after: Some(Duration::from_secs(9)) });
    }

    #[test]
    fn another_form_is_tried_only_where_nothing_else_is_blamed() {
        let refused = r#"{"error":"'response_format.type' must be 'json_schema' or 'text'"}"#;
        assert!(may_be_the_form(&judge(400, refused)) && may_be_the_form(&judge(422, "")));
        assert!(!may_be_the_form(&judge(400, r#"{"error":{"code":"context_length_exceeded"}}"#)));
        assert!(!may_be_the_form(&judge(413, "")) && !may_be_the_form(&judge(500, "")));
    }

    proptest! {
        #[test]
        fn no_body_breaks_it_and_none_is_repeated(status in 300u16..600, body in ".{0,200}") {
            let error = judge(status, &format!("canary-{body}"));
            let told = format!("{error} {error:?}");
            prop_assert!(!told.contains("canary"), "{}", told);
        }
    }
}
