//! Between documents and the words of the house, both ways.
//!
//! Keys are strings as they are printed everywhere (`c1-…`, `n1-…`, `a1-…`), so that a person can look
//! one up; binary order of these strings is the order of the keys. Times are microseconds since 1970
//! UTC as 64-bit integers: MongoDB's own dates end at the millisecond. Hashes are binary.
//!
//! A value that can't be read is named by what it should be and never quoted.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use mongodb::bson::raw::RawBinaryRef;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr};
use serde::Deserialize;

use super::error::MongoError;
use crate::domain::event::MessageCaptured;
use crate::domain::{Attachment, Conversation, Direction, Message, Origin, Precision};
use crate::ports::StoredMessage;
use crate::store::version::Version;

/// The longest a due rule may wait, or a lease may last; also keeps times within their range.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A duration in microseconds, at most a century.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
}

/// A stored time.
pub(super) fn time(micros: i64) -> Result<Timestamp, MongoError> {
    Timestamp::from_microsecond(micros).map_err(|_| MongoError::Unreadable("time"))
}

/// A stored key or id.
pub(super) fn key<K: FromStr>(text: &str, what: &'static str) -> Result<K, MongoError> {
    text.parse().map_err(|_| MongoError::Unreadable(what))
}

/// Sixteen bytes as a binary value.
pub(super) const fn binary(bytes: &[u8; 16]) -> RawBinaryRef<'_> {
    RawBinaryRef { subtype: BinarySubtype::Generic, bytes: bytes.as_slice() }
}

/// The document of a message: `captured` gives everything but `origin`, which is that of the first.
///
/// Written field by field, since this is the one document of which there are thousands a second.
pub(super) fn message_document(captured: &MessageCaptured, version: &Version, origin: Origin) -> RawDocumentBuf {
    let message = &captured.message;
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), message.key.to_string().as_str());
    document.append(cstr!("conversation"), captured.conversation.key.to_string().as_str());
    document.append(cstr!("position"), version.position);
    document.append(cstr!("revision"), i64::from(version.revision));
    document.append(cstr!("content"), binary(&version.content));
    document.append(cstr!("observed_at"), version.observed_at);
    document.append(cstr!("origin"), origin.as_str());
    document.append(cstr!("direction"), message.direction.as_str());
    document.append(cstr!("author"), message.author.expose());
    if let Some(sent_at) = message.sent_at {
        document.append(cstr!("sent_at"), sent_at.as_microsecond());
    }
    document.append(cstr!("sent_at_precision"), message.sent_at_precision.as_str());
    if let Some(native_id) = &message.native_id {
        document.append(cstr!("native_id"), native_id.as_str());
    }
    if !message.attachments.is_empty() {
        let mut urls = RawArrayBuf::new();
        for attachment in &message.attachments {
            urls.push(attachment.url.expose());
        }
        document.append(cstr!("attachments"), &urls);
    }
    document.append(cstr!("text"), message.text.expose());
    document
}

/// The version of a stored message, read from the fields that [`message_document`] writes.
pub(super) fn version(document: &RawDocument) -> Result<Version, MongoError> {
    let number = |name: &str| document.get_i64(name).map_err(|_| MongoError::Unreadable("version of a message"));
    let content = document.get_binary("content").map_err(|_| MongoError::Unreadable("version of a message"))?;
    Ok(Version {
        observed_at: number("observed_at")?,
        revision: u32::try_from(number("revision")?).map_err(|_| MongoError::Unreadable("version of a message"))?,
        content: content.bytes.try_into().map_err(|_| MongoError::Unreadable("version of a message"))?,
        position: number("position")?,
    })
}

/// A message as it is read.
#[derive(Deserialize)]
pub(super) struct MessageRow {
    #[serde(rename = "_id")]
    key: String,
    position: i64,
    observed_at: i64,
    origin: String,
    direction: String,
    author: String,
    sent_at: Option<i64>,
    sent_at_precision: String,
    native_id: Option<String>,
    #[serde(default)]
    attachments: Vec<String>,
    text: String,
}

impl MessageRow {
    pub(super) fn read(self) -> Result<StoredMessage, MongoError> {
        let attachments = self.attachments.into_iter().map(|url| Attachment { url: url.into() });
        let message = Message {
            key: key(&self.key, "message key")?,
            native_id: self.native_id,
            author: self.author.into(),
            direction: word(&self.direction, &[Direction::In, Direction::Out], Direction::as_str, "direction")?,
            text: self.text.into(),
            sent_at: self.sent_at.map(time).transpose()?,
            sent_at_precision: word(&self.sent_at_precision, PRECISIONS, Precision::as_str, "precision")?,
            observed_at: time(self.observed_at)?,
            attachments: attachments.collect(),
            position: self.position,
        };
        Ok(StoredMessage { message, origin: word(&self.origin, ORIGINS, Origin::as_str, "origin")? })
    }
}

/// A conversation as it is read; the fields behind `due_at` are the adapter's own.
#[derive(Deserialize)]
pub(super) struct ConversationRow {
    #[serde(rename = "_id")]
    pub key: String,
    pub account: String,
    pub native_id: String,
    pub title: String,
    pub messages: i64,
    pub last_key: Option<String>,
    pub last_sent_at: Option<i64>,
    pub updated_at: i64,
    pub due_at: Option<i64>,
    pub title_at: i64,
    pub last_position: Option<i64>,
    pub generation: i64,
    #[serde(default)]
    pub edits: i64,
}

impl ConversationRow {
    pub(super) fn read(self) -> Result<Conversation, MongoError> {
        Ok(Conversation {
            key: key(&self.key, "conversation key")?,
            account: key(&self.account, "account id")?,
            native_id: self.native_id,
            title: self.title.into(),
            messages: self.messages.cast_unsigned(),
            last_message: self.last_key.map(|last| key(&last, "message key")).transpose()?,
            last_sent_at: self.last_sent_at.map(time).transpose()?,
            updated_at: time(self.updated_at)?,
            due_at: self.due_at.map(time).transpose()?,
        })
    }
}

const PRECISIONS: &[Precision] =
    &[Precision::Millisecond, Precision::Second, Precision::Minute, Precision::Day, Precision::Unknown];
const ORIGINS: &[Origin] = &[Origin::Live, Origin::Backfill, Origin::Reconcile];

/// The value whose word is stored.
pub(super) fn word<T: Copy>(
    stored: &str,
    all: &[T],
    name: fn(T) -> &'static str,
    what: &'static str,
) -> Result<T, MongoError> {
    all.iter().copied().find(|one| name(*one) == stored).ok_or(MongoError::Unreadable(what))
}
