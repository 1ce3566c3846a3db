//! A hash by which two readings are known to be of the same content, without keeping the content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::digest;
use super::{EventId, IdError};

/// Sixteen bytes of a hash; written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The hash of these fields; `of` says what it is the hash of, so that no two kinds can be taken for
    /// each other.
    pub fn new(of: &str, fields: &[&[u8]]) -> Self {
        Self(digest(of, fields))
    }

    /// The bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        // The same 32 digits.
        text.parse::<EventId>().map(|id| Self(*id.as_bytes()))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_says_what_it_is_of() {
        let one = Digest::new("a", &[b"x"]);
        assert_eq!(one.to_string().parse::<Digest>().unwrap(), one);
        assert_eq!(serde_json::from_str::<Digest>(&serde_json::to_string(&one).unwrap()).unwrap(), one);
        assert_ne!(one, Digest::new("b", &[b"x"]));
        assert!("x1".parse::<Digest>().is_err());
    }
}
