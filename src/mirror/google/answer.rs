//! From an answer of the API to what it means: the wall at which Google's errors end.
//!
//! Bodies are looked at and never kept: an error quotes the request, and the request holds what people wrote.

use std::time::Duration;

use google_sheets4::common::{Delegate, Response, Retry};
use google_sheets4::hyper::header::{DATE, HeaderMap, RETRY_AFTER};
use google_sheets4::{Error as GoogleError, common};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

use super::error::{KeyTrouble, SheetError, Step};
use super::tokens::{self, NoToken};
use crate::config::ServiceAccount;

/// What the client shows of a refusal only while it is being judged.
#[derive(Debug, Default)]
pub(super) struct Witness {
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl Delegate for Witness {
    fn http_failure(&mut self, response: &Response, _: Option<&Value>) -> Retry {
        self.status = Some(response.status().as_u16());
        self.retry_after = retry_after(response.headers());
        Retry::Abort
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(Timestamp::now())).ok()
}

/// What time the other side thinks it is.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Some(rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp())
}

/// What an answer means that was no success.
pub(super) enum Verdict {
    /// The token is not taken: another one may be.
    Unauthorized,
    /// This.
    Error(SheetError),
}

/// Judges what the client made of an answer.
pub(super) fn judge(error: &GoogleError, witness: &Witness, step: Step, account: &ServiceAccount) -> Verdict {
    let away = |what| Verdict::Error(SheetError::Unavailable { step, what, after: witness.retry_after });
    match error {
        GoogleError::BadRequest(body) => {
            let told = body["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            of_status(witness.status.or(told).unwrap_or(400), body, witness, step, account)
        }
        GoogleError::Failure(response) => of_status(response.status().as_u16(), &Value::Null, witness, step, account),
        GoogleError::MissingToken(cause) => Verdict::Error(
            cause
                .downcast_ref::<NoToken>()
                .map_or(SheetError::Unavailable { step: Step::Token, what: "no token", after: None }, |none| {
                    none.0.clone()
                }),
        ),
        // 200, but the body was cut or is empty: it was done, and nobody was told.
        GoogleError::JsonDecodeError(..) => away("the answer was cut off"),
        GoogleError::HttpError(cause) if cause.is_connect() => away("no connection"),
        GoogleError::HttpError(_) | GoogleError::Io(_) => away("the connection broke"),
        GoogleError::UploadSizeLimitExceeded(..)
        | GoogleError::MissingAPIKey
        | GoogleError::Cancelled
        | GoogleError::FieldClash(_) => Verdict::Error(SheetError::Refused { step, status: 0 }),
    }
}

fn of_status(status: u16, body: &Value, witness: &Witness, step: Step, account: &ServiceAccount) -> Verdict {
    let after = witness.retry_after;
    let away = |what| SheetError::Unavailable { step, what, after };
    let says =
        |words: &str| body["error"]["message"].as_str().is_some_and(|text| text.to_ascii_lowercase().contains(words));
    let error = match status {
        401 => return Verdict::Unauthorized,
        400 if says("exceeds grid limits") => SheetError::Shrunk,
        400 if says("unable to parse range") => SheetError::TabGone,
        400 if says("limit of 10000000 cells") || says("10000000 cell") => SheetError::Full,
        400 | 403 if says("protected cell") => SheetError::Protected { email: account.email.clone() },
        403 if has_reason(
            body,
            &["RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"],
        ) =>
        {
            SheetError::RateLimited { after }
        }
        403 if has_reason(body, &["SERVICE_DISABLED", "accessNotConfigured"]) => {
            tokens::trouble(account, KeyTrouble::ApiOff)
        }
        403 => SheetError::NotShared { email: account.email.clone(), writing: step.is_write() },
        404 => SheetError::Missing,
        429 => SheetError::RateLimited { after },
        408 => away("HTTP 408"),
        500 => away("HTTP 500"),
        502 => away("HTTP 502"),
        503 => away("HTTP 503"),
        504 => away("HTTP 504"),
        505..=599 => away("HTTP 5xx"),
        status => SheetError::Refused { step, status },
    };
    Verdict::Error(error)
}

/// Whether one of the machine-readable reasons is among these, in Google's new form or its old one.
fn has_reason(body: &Value, reasons: &[&str]) -> bool {
    let of = |list: &Value| {
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().any(|entry| entry["reason"].as_str().is_some_and(|reason| reasons.contains(&reason)))
    };
    of(&body["error"]["details"]) || of(&body["error"]["errors"])
}

/// Judges a success whose body is not what was asked for.
pub(super) const fn garbled(step: Step) -> SheetError {
    SheetError::Unavailable { step, what: "the answer is incomplete", after: None }
}

/// The body of an empty request.
pub(super) fn nothing() -> common::Body {
    common::to_body(None::<&'static [u8]>)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::fault::{Class, Code, Fault};

    fn account() -> ServiceAccount {
        ServiceAccount {
            email: "bot@project.iam.gserviceaccount.com".to_owned(),
            private_key: SecretString::from("canary"),
            key_id: None,
            token_uri: "https://oauth2.googleapis.com/token".to_owned(),
            path: PathBuf::from("/etc/key.json"),
        }
    }

    fn judged(body: Value, step: Step) -> Option<SheetError> {
        match judge(&GoogleError::BadRequest(body), &Witness::default(), step, &account()) {
            Verdict::Unauthorized => None,
            Verdict::Error(error) => Some(error),
        }
    }

    fn of(code: u16, message: &str, reason: &str) -> Value {
        json!({ "error": { "code": code, "message": message, "status": "X", "details": [{ "@type": "t", "reason": reason }] } })
    }

    #[test]
    fn each_refusal_is_told_apart_and_quotes_nothing() {
        for (body, code, class) in [
            (of(403, "The caller does not have permission canary", ""), Code::SheetNotShared, "permanent"),
            (of(403, "canary", "SERVICE_DISABLED"), Code::SheetCredentials, "permanent"),
            (of(403, "canary", "RATE_LIMIT_EXCEEDED"), Code::SheetRateLimited, "retryable"),
            (of(404, "Requested entity was not found. canary", ""), Code::SheetMissing, "permanent"),
            (of(429, "Quota exceeded canary", "RATE_LIMIT_EXCEEDED"), Code::SheetRateLimited, "retryable"),
            (of(500, "canary", ""), Code::SheetUnavailable, "retryable"),
            (of(503, "canary", ""), Code::SheetUnavailable, "retryable"),
            (of(400, "Range ('T'!A1:B9) exceeds grid limits. canary", ""), Code::SheetUnavailable, "retryable"),
            (of(400, "Unable to parse range: canary", ""), Code::SheetUnavailable, "retryable"),
            (
                of(
                    400,
                    "This action would increase the number of cells in the workbook above the limit of 10000000 cells.",
                    "",
                ),
                Code::SheetFull,
                "permanent",
            ),
            (
                of(400, "You are trying to edit a protected cell or object. canary", ""),
                Code::SheetNotShared,
                "permanent",
            ),
            (of(400, "Invalid value at canary", ""), Code::Internal, "permanent"),
            (of(413, "canary", ""), Code::Internal, "permanent"),
        ] {
            let error = judged(body.clone(), Step::Write).unwrap();
            assert_eq!((error.code(), error.class().as_str()), (code, class), "{body}");
            let told = format!("{error} {error:?} {}", error.action());
            assert!(!told.contains("canary"), "{told}");
            assert!(error.action().ends_with('.'), "{told}");
        }
        assert_eq!(judged(of(401, "x", ""), Step::Read), None);
        assert_eq!(judged(json!({}), Step::Read).map(|error| error.code()), Some(Code::Internal));
    }

    #[test]
    fn who_may_read_and_not_write_is_told_to_be_made_an_editor() {
        let error = judged(of(403, "x", ""), Step::Write).unwrap();
        assert_eq!(error.to_string(), "bot@project.iam.gserviceaccount.com may not write the sheet");
        assert!(error.action().contains("add bot@project.iam.gserviceaccount.com as editor"), "{}", error.action());
    }

    #[test]
    fn what_google_asks_to_wait_is_read_in_both_forms() {
        let header = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            headers.insert(DATE, text.parse().unwrap());
            headers
        };
        assert_eq!(retry_after(&header("17")), Some(Duration::from_secs(17)));
        assert_eq!(retry_after(&header("Sun, 06 Nov 1994 08:49:37 GMT")), None, "a time that has passed");
        assert!(retry_after(&header("Tue, 31 Dec 2199 23:59:59 GMT")).is_some());
        assert_eq!(retry_after(&header("soon")), None);
        assert_eq!(date(&header("Sun, 06 Nov 1994 08:49:37 GMT")).unwrap().to_string(), "1994-11-06T08:49:37Z");
        let witness = Witness { status: Some(429), retry_after: Some(Duration::from_secs(17)) };
        let Verdict::Error(error) = judge(&GoogleError::BadRequest(json!({})), &witness, Step::Read, &account()) else {
            panic!("not an error")
        };
        assert_eq!(error.class(), Class::Retryable { after: Some(Duration::from_secs(17)) });
    }
}
