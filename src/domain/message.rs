//! One utterance, and how it gets a name that stays the same at every reading.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::digest;
use super::{ConversationKey, MessageKey, Text};

/// Who spoke, seen from the owner of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody else, to the owner.
    In,
    /// The owner.
    Out,
}

impl Direction {
    /// `in` or `out`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// How exact `sent_at` is: what the page showed, not what we wish for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// To the millisecond.
    Millisecond,
    /// To the second.
    Second,
    /// To the minute.
    Minute,
    /// To the day.
    Day,
    /// The page shows no time.
    Unknown,
}

impl Precision {
    /// The word used in exports and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Millisecond => "millisecond",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Unknown => "unknown",
        }
    }
}

/// Which path brought a message in. All three share one piece of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Seen as it arrived.
    Live,
    /// Read from the history.
    Backfill,
    /// Found by a sweep that live reading should have made unnecessary.
    Reconcile,
}

impl Origin {
    /// The word used in exports and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
            Self::Reconcile => "reconcile",
        }
    }
}

/// Something attached to a message: named, never fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attachment {
    /// The address in the page, as it stood there.
    pub url: Text,
}

/// One message as an event carries it and the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    /// The name of the message, the same at every reading.
    pub key: MessageKey,
    /// The site's own id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_id: Option<String>,
    /// Who wrote it, as the page names them.
    pub author: Text,
    /// Seen from the owner of the account.
    pub direction: Direction,
    /// What was written, line breaks as `\n`.
    pub text: Text,
    /// When it was sent, by the site's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sent_at: Option<Timestamp>,
    /// How exact `sent_at` is.
    pub sent_at_precision: Precision,
    /// When we read it, by our clock.
    #[schemars(with = "String")]
    pub observed_at: Timestamp,
    /// Files and pictures, by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Where it stands in the conversation: smaller is older. Positions have gaps, so that a message
    /// found later fits between two that were known.
    pub position: i64,
}

/// What a fingerprint is made of: everything the page shows of a message that has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Likeness<'a> {
    /// Who wrote it.
    pub author: &'a str,
    /// Seen from the owner.
    pub direction: Direction,
    /// When, in milliseconds since 1970 UTC.
    pub sent_at_ms: Option<i64>,
    /// What.
    pub text: &'a str,
}

/// Keys for messages without a native id: version 1 of the fingerprint.
///
/// Two messages of one conversation that look alike in every respect get different ordinals, counted
/// from the oldest. The ordinal is stable when the caller gives every message of the same `sent_at`
/// (or, where the page shows no time, the whole conversation), which the collector sees to.
#[derive(Debug, Default)]
pub struct FingerprintKeys {
    seen: HashMap<[u8; 16], u32>,
}

impl FingerprintKeys {
    /// Counting begins anew: for a reading from its oldest message.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of the next message, oldest first.
    pub fn next(&mut self, conversation: &ConversationKey, likeness: Likeness<'_>) -> MessageKey {
        let alike = likeness.digest(conversation);
        let ordinal = self.seen.entry(alike).and_modify(|n| *n += 1).or_insert(0);
        MessageKey::fingerprint(digest("f1", &[&alike, &ordinal.to_le_bytes()]))
    }
}

impl Likeness<'_> {
    /// A hash of the likeness without an ordinal: equal for messages that look alike.
    pub fn digest(&self, conversation: &ConversationKey) -> [u8; 16] {
        let sent_at = self.sent_at_ms.map(i64::to_le_bytes);
        digest(
            "likeness-1",
            &[
                conversation.as_bytes(),
                self.author.as_bytes(),
                self.direction.as_str().as_bytes(),
                sent_at.as_ref().map_or(&[], <[u8; 8]>::as_slice),
                self.text.as_bytes(),
            ],
        )
    }
}

impl Message {
    /// A hash of what a reader would notice if it changed: text, author, direction, time,
    /// attachments. Not the key, not when we looked.
    pub fn content_digest(&self) -> [u8; 16] {
        let sent_at = self.sent_at.map(|at| at.as_millisecond().to_le_bytes());
        let attachments: Vec<&str> = self.attachments.iter().map(|a| a.url.expose()).collect();
        digest(
            "content-1",
            &[
                self.author.expose().as_bytes(),
                self.direction.as_str().as_bytes(),
                sent_at.as_ref().map_or(&[], <[u8; 8]>::as_slice),
                self.text.expose().as_bytes(),
                attachments.join("\n").as_bytes(),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conversation() -> ConversationKey {
        ConversationKey::from_bytes([7; 16])
    }

    fn keys(messages: &[(u8, u8, u8)]) -> Vec<MessageKey> {
        let mut keys = FingerprintKeys::new();
        messages
            .iter()
            .map(|(author, minute, text)| {
                keys.next(
                    &conversation(),
                    Likeness {
                        author: &author.to_string(),
                        direction: Direction::In,
                        sent_at_ms: Some(i64::from(*minute) * 60_000),
                        text: &text.to_string(),
                    },
                )
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_reread_gives_the_same_keys_and_no_two_messages_share_one(
            mut messages in proptest::collection::vec((0u8..3, 0u8..4, 0u8..3), 0..60),
        ) {
            messages.sort_by_key(|m| m.1);
            let first = keys(&messages);
            prop_assert_eq!(&first, &keys(&messages));
            let distinct: std::collections::HashSet<_> = first.iter().collect();
            prop_assert_eq!(distinct.len(), first.len());
        }

        #[test]
        fn a_reading_that_begins_at_a_full_minute_gives_the_keys_of_the_whole(
            mut messages in proptest::collection::vec((0u8..3, 0u8..6, 0u8..3), 1..60),
            minute in 0u8..6,
        ) {
            messages.sort_by_key(|m| m.1);
            let begin = messages.iter().position(|m| m.1 >= minute).unwrap_or(messages.len());
            prop_assert_eq!(&keys(&messages)[begin..], &keys(&messages[begin..])[..]);
        }
    }
}
