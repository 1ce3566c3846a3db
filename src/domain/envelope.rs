//! CloudEvents 1.0 in structured JSON: the metadata around an event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::{Event, EventType};
use super::{EventId, SiteId};
use crate::fault::{Class, Code, Fault, Scope};

/// Why bytes from the bus are no event of ours. Says where, never what: serde's own message would
/// quote the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or a CloudEvents attribute is missing.
    #[error("not a CloudEvents 1.0 JSON document (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another `specversion`.
    #[error("CloudEvents version {} is not 1.0", word(.0))]
    Version(String),
    /// A type that this version does not know.
    #[error("unknown event type {}", word(.0))]
    Type(String),
    /// The data does not fit the type.
    #[error("the data does not fit {kind} (line {line}, column {column})")]
    Data {
        /// The type that the envelope names.
        kind: EventType,
        /// Counted from 1, within the data.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
}

/// A stranger's word as it may be shown: short, and of the letters that names are made of.
fn word(text: &str) -> &str {
    let is_name = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if is_name { text } else { "(not a name)" }
}

impl EnvelopeError {
    fn data(kind: EventType, error: &serde_json::Error) -> Self {
        Self::Data { kind, line: error.line(), column: error.column() }
    }
}

impl Fault for EnvelopeError {
    fn class(&self) -> Class {
        Class::Permanent
    }
    fn scope(&self) -> Scope {
        Scope::Event
    }
    fn code(&self) -> Code {
        Code::EventInvalid
    }
}

/// The content type of the body.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

#[derive(Serialize)]
struct Written<'a, T> {
    specversion: &'static str,
    id: EventId,
    source: String,
    r#type: &'static str,
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    data: &'a T,
}

#[derive(Deserialize)]
struct Read<'a> {
    specversion: std::borrow::Cow<'a, str>,
    id: EventId,
    r#type: std::borrow::Cow<'a, str>,
    time: Timestamp,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// An event with its metadata, ready for the bus or fresh from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The deterministic id.
    pub id: EventId,
    /// When the fact was noticed.
    pub time: Timestamp,
    /// The fact.
    pub event: Event,
}

impl Envelope {
    /// Wraps an event that was noticed at `time`.
    pub fn new(event: Event, time: Timestamp) -> Self {
        Self { id: event.id(), time, event }
    }

    /// The routing key: `message.captured.v1.<site>`. Holds no chat text and no account label.
    pub fn routing_key(&self) -> String {
        routing_key(self.event.kind(), self.event.account().site())
    }

    /// The JSON body.
    ///
    /// # Errors
    /// [`EnvelopeError::Data`] if the data can't be written as JSON, which no type of ours does.
    pub fn to_json(&self) -> Result<Vec<u8>, EnvelopeError> {
        match &self.event {
            Event::MessageCaptured(data) => self.write(data),
            Event::AnalysisRequested(data) => self.write(data),
            Event::AnalysisCompleted(data) => self.write(data),
            Event::AccountChanged(data) => self.write(data),
            Event::SelectorsDrifted(data) => self.write(data),
        }
    }

    fn write<T: Serialize>(&self, data: &T) -> Result<Vec<u8>, EnvelopeError> {
        let kind = self.event.kind();
        serde_json::to_vec(&Written {
            specversion: "1.0",
            id: self.id,
            source: self.event.account().source(),
            r#type: kind.as_str(),
            subject: self.event.subject(),
            time: self.time,
            datacontenttype: "application/json",
            data,
        })
        .map_err(|error| EnvelopeError::data(kind, &error))
    }

    /// Reads a body. Unknown attributes and unknown fields of the data are passed over, so that a
    /// later version may add some.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what is wrong; none of them is helped by trying again.
    pub fn parse(body: &[u8]) -> Result<Self, EnvelopeError> {
        let read: Read<'_> = serde_json::from_slice(body)
            .map_err(|error| EnvelopeError::Malformed { line: error.line(), column: error.column() })?;
        if read.specversion != "1.0" {
            return Err(EnvelopeError::Version(read.specversion.into_owned()));
        }
        let kind = EventType::parse(&read.r#type).ok_or_else(|| EnvelopeError::Type(read.r#type.into_owned()))?;
        let data = read.data.get();
        let event = match kind {
            EventType::MessageCaptured => serde_json::from_str(data).map(Event::MessageCaptured),
            EventType::AnalysisRequested => serde_json::from_str(data).map(Event::AnalysisRequested),
            EventType::AnalysisCompleted => serde_json::from_str(data).map(Event::AnalysisCompleted),
            EventType::AccountChanged => serde_json::from_str(data).map(Event::AccountChanged),
            EventType::SelectorsDrifted => serde_json::from_str(data).map(Event::SelectorsDrifted),
        }
        .map_err(|error| EnvelopeError::data(kind, &error))?;
        Ok(Self { id: read.id, time: read.time, event })
    }
}

/// The routing key of an event type on a site.
pub fn routing_key(kind: EventType, site: &SiteId) -> String {
    format!("{}.{site}", kind.topic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::AnalysisRequested;
    use crate::domain::{AccountId, ConversationKey, MessageKey};

    fn envelope() -> Envelope {
        let account: AccountId = "demo/default".parse().unwrap();
        let conversation = ConversationKey::new(&account, "17");
        Envelope::new(
            Event::AnalysisRequested(AnalysisRequested {
                account,
                conversation,
                up_to: MessageKey::native(&conversation, "1"),
                prompt_version: "1".to_owned(),
                edits: 0,
                reason: "new_messages".to_owned(),
            }),
            "2026-11-02T10:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn an_envelope_reads_back_and_unknown_fields_are_passed_over() {
        let envelope = envelope();
        let body = envelope.to_json().unwrap();
        assert_eq!(Envelope::parse(&body).unwrap(), envelope);
        let later = String::from_utf8(body).unwrap().replacen('{', r#"{"traceparent":"00-1","#, 1);
        assert_eq!(Envelope::parse(later.as_bytes()).unwrap(), envelope);
        assert_eq!(envelope.routing_key(), "analysis.requested.v1.demo");
    }

    #[test]
    fn a_refusal_says_where_and_never_quotes() {
        let body = String::from_utf8(envelope().to_json().unwrap()).unwrap();
        let broken = body.replace(r#""reason":"new_messages""#, r#""reason":["secret words"]"#);
        let refusal = Envelope::parse(broken.as_bytes()).unwrap_err();
        assert!(matches!(refusal, EnvelopeError::Data { .. }), "{refusal}");
        assert!(!format!("{refusal} {refusal:?}").contains("secret"));
        let other = body.replace("analysis.requested.v1", "analysis.requested.v9");
        assert_eq!(
            Envelope::parse(other.as_bytes()).unwrap_err(),
            EnvelopeError::Type("chatferry.analysis.requested.v9".to_owned())
        );
    }
}
