//! Durations as people write them: `500ms`, `15s`, `2m`.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Reads `15s`.
///
/// # Errors
/// If the text is no duration, or negative.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| D::Error::custom(format!("{text:?} is no duration; write for example 500ms, 15s or 2m")))
}

/// Writes `15s`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let ms = duration.as_millis();
    match ms {
        0 => serializer.serialize_str("0s"),
        _ if ms.is_multiple_of(1000) => serializer.serialize_str(&format!("{}s", ms / 1000)),
        _ => serializer.serialize_str(&format!("{ms}ms")),
    }
}
