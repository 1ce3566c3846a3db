//! Chat text: hostile and private, so it can't be printed by accident.

use std::fmt;

/// Something that people wrote: a message, a name, a title, a summary of them.
///
/// `Debug` shows the length only and there is no `Display`, so that no log line, error message or
/// metric can hold the text. [`Text::expose`] is the one way to it; `tests/canary.rs` plants a text
/// and searches everything that was written for it.
#[derive(
    Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never pass it to a log, an error or a URL.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Gives the text away.
    pub fn into_inner(self) -> String {
        self.0
    }

    /// True if there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The shape of the text for reports: letters become `x`, digits `9`, the rest stays; at most
    /// `limit` characters, then `…`.
    pub fn masked(&self, limit: usize) -> String {
        let mut masked: String = self
            .0
            .chars()
            .take(limit)
            .map(|c| match c {
                c if c.is_numeric() => '9',
                c if c.is_uppercase() => 'X',
                c if c.is_alphabetic() => 'x',
                c if c.is_control() => ' ',
                c if c.is_ascii() => c,
                _ => '·',
            })
            .collect();
        if self.0.chars().nth(limit).is_some() {
            masked.push('…');
        }
        masked
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_mask_hold_no_letter_of_the_text() {
        let text = Text::new("Anna owes 12 €");
        assert_eq!(format!("{text:?}"), "Text(16 bytes)");
        assert_eq!(text.masked(40), "Xxxx xxxx 99 ·");
        assert_eq!(text.masked(4), "Xxxx…");
    }
}
