//! Names of things. Identity comes from ids only, never from a time or a display name.
//!
//! Every key carries a version, so that a better definition can stand beside the old one. Keys are
//! the first 16 bytes of a BLAKE3 hash over length-prefixed fields: no separator can be forged by a
//! hostile id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not lower-case letters, digits and `-`.
    #[error("site id {0:?} must be 1 to 32 lower-case letters, digits or '-', beginning with a letter or digit")]
    Site(String),
    /// Not `site/label`.
    #[error("account id {0:?} must be <site>/<label>, the label 1 to 64 letters, digits, '-', '_' or '.'")]
    Account(String),
    /// Not one of our keys.
    #[error("{0:?} is not a {1}")]
    Key(String, &'static str),
}

/// A chat property described by one pack: the pack's file stem.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(String);

impl SiteId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix of this site's environment variables: `meet-me` → `MEET_ME`.
    pub fn env_prefix(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl FromStr for SiteId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=32).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Site(text.to_owned())) }
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One credential on one site, written `site/label`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId {
    site: SiteId,
    label: String,
}

impl AccountId {
    /// The account `label` of `site`.
    ///
    /// # Errors
    /// [`IdError::Account`] if the label is empty, longer than 64 or holds other characters than
    /// letters, digits, `-`, `_` and `.`.
    pub fn new(site: SiteId, label: &str) -> Result<Self, IdError> {
        let fits = (1..=64).contains(&label.len())
            && label != "."
            && label != ".."
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits { Ok(Self { site, label: label.to_owned() }) } else { Err(IdError::Account(format!("{site}/{label}"))) }
    }

    /// The account that `<SITE>_USERNAME` alone describes.
    pub fn default_of(site: SiteId) -> Self {
        Self { site, label: "default".to_owned() }
    }

    /// The site.
    pub const fn site(&self) -> &SiteId {
        &self.site
    }

    /// The label among the accounts of the site.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The `source` of this account's events.
    pub fn source(&self) -> String {
        format!("/sites/{}/accounts/{}", self.site, self.label)
    }
}

impl FromStr for AccountId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (site, label) = text.split_once('/').ok_or_else(|| IdError::Account(text.to_owned()))?;
        Self::new(site.parse()?, label)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.label)
    }
}

/// Hashes fields so that no two different lists of fields give the same bytes: each field is
/// preceded by its length.
pub(crate) fn digest(domain: &str, fields: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for field in std::iter::once(domain.as_bytes()).chain(fields.iter().copied()) {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A conversation, across all sites: `c1-<32 hex>`, from the account and the site's own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationKey([u8; 16]);

impl ConversationKey {
    /// The key of the conversation that `account` sees under `native_id`.
    pub fn new(account: &AccountId, native_id: &str) -> Self {
        Self(digest("c1", &[account.site.as_str().as_bytes(), account.label.as_bytes(), native_id.as_bytes()]))
    }

    /// The 16 bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key of these stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("c1-")?;
        write_hex(f, &self.0)
    }
}

impl FromStr for ConversationKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix("c1-")
            .and_then(parse_hex)
            .map(Self)
            .ok_or_else(|| IdError::Key(text.to_owned(), "conversation key (c1-…)"))
    }
}

/// Where a message key comes from; the prefix of the written key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scheme {
    /// The site's own id of the message.
    Native,
    /// A fingerprint with an ordinal among equals, version 1.
    Fingerprint,
}

/// A message, across all sites: `n1-<32 hex>` from the site's own id, or `f1-<32 hex>` from the
/// fingerprint (see [`super::message::FingerprintKeys`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey {
    scheme: Scheme,
    hash: [u8; 16],
}

impl MessageKey {
    /// The key of the message that the site itself calls `native_id`.
    pub fn native(conversation: &ConversationKey, native_id: &str) -> Self {
        Self { scheme: Scheme::Native, hash: digest("n1", &[&conversation.0, native_id.as_bytes()]) }
    }

    /// The key from a fingerprint; [`super::message::FingerprintKeys`] computes the hash.
    pub(super) const fn fingerprint(hash: [u8; 16]) -> Self {
        Self { scheme: Scheme::Fingerprint, hash }
    }

    /// 17 bytes as stored: one for the scheme, 16 of the hash.
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[0] = match self.scheme {
            Scheme::Native => b'n',
            Scheme::Fingerprint => b'f',
        };
        bytes[1..].copy_from_slice(&self.hash);
        bytes
    }

    /// The key of these stored bytes, or `None` if they are none of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (scheme, hash) = bytes.split_first()?;
        let scheme = match scheme {
            b'n' => Scheme::Native,
            b'f' => Scheme::Fingerprint,
            _ => return None,
        };
        Some(Self { scheme, hash: hash.try_into().ok()? })
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Native => "n1-",
            Scheme::Fingerprint => "f1-",
        })?;
        write_hex(f, &self.hash)
    }
}

impl FromStr for MessageKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = match text.split_at_checked(3) {
            Some(("n1-", hex)) => parse_hex(hex).map(|hash| Self { scheme: Scheme::Native, hash }),
            Some(("f1-", hex)) => parse_hex(hex).map(|hash| Self { scheme: Scheme::Fingerprint, hash }),
            _ => None,
        };
        parsed.ok_or_else(|| IdError::Key(text.to_owned(), "message key (n1-… or f1-…)"))
    }
}

/// The deterministic `id` of an event: 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of the event of type `kind` about these fields; equal fields give equal ids, which is
    /// what lets a consumer recognise a repetition.
    pub fn of(kind: super::EventType, fields: &[&[u8]]) -> Self {
        Self(digest(kind.as_str(), fields))
    }

    /// The 16 bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of these stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for EventId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self).ok_or_else(|| IdError::Key(text.to_owned(), "event id (32 hex digits)"))
    }
}

/// In JSON every id is its written form.
macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $id {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($id).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    )*};
}
as_text!(SiteId, AccountId, ConversationKey, MessageKey, EventId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(site: &str, label: &str) -> AccountId {
        AccountId::new(site.parse().unwrap(), label).unwrap()
    }

    #[test]
    fn the_definition_of_version_1_does_not_change() {
        let conversation = ConversationKey::new(&account("demo", "default"), "17");
        assert_eq!(conversation.to_string(), "c1-fce5087e2d03a707b4826f7554d8839b");
    }

    #[test]
    fn bad_names_are_refused() {
        for bad in ["", "Meet", "-x", "a b", "a/b", &"x".repeat(33)] {
            assert!(bad.parse::<SiteId>().is_err(), "{bad:?}");
        }
        for bad in ["meetme", "meetme/", "meetme/a b", "meetme/..", "/x"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn written_keys_parse_back(native in ".{0,40}", id in ".{1,20}") {
            let conversation = ConversationKey::new(&account("demo", "a"), &id);
            let message = MessageKey::native(&conversation, &native);
            prop_assert_eq!(conversation.to_string().parse::<ConversationKey>().unwrap(), conversation);
            prop_assert_eq!(message.to_string().parse::<MessageKey>().unwrap(), message);
            prop_assert_eq!(MessageKey::from_bytes(&message.to_bytes()), Some(message));
        }

        #[test]
        fn no_separator_can_be_forged(a in ".{0,8}", b in ".{0,8}", c in ".{0,8}", d in ".{0,8}") {
            let same = a == c && b == d;
            prop_assert_eq!(digest("t", &[a.as_bytes(), b.as_bytes()]) == digest("t", &[c.as_bytes(), d.as_bytes()]), same);
        }
    }
}
