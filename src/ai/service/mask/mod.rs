//! Placeholders in place of private data before a model elsewhere sees a chat, and back again in its answer.
//!
//! The same value gets the same placeholder throughout one call, so that a model can still tell that two
//! messages speak of the same number. Nothing of it outlives the call.

mod private;

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::telemetry::pattern::pattern;

/// A chat that holds something like our placeholders must not be answered with somebody else's data.
static LOOKALIKE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[((?:EMAIL|PHONE|CARD|SECRET)_[0-9]+)\]"));

/// The text with a plain word in place of each placeholder, for checks that brackets would mislead.
pub(super) fn without_placeholders(text: &str) -> std::borrow::Cow<'_, str> {
    LOOKALIKE.replace_all(text, "it")
}

/// What is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Email,
    Card,
    Phone,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Card => "CARD",
            Self::Phone => "PHONE",
        }
    }
}

/// The placeholders of one call. Holds private data: never printed.
pub(super) struct Mask {
    is_on: bool,
    hidden: Vec<(Kind, String)>,
}

impl Mask {
    /// No placeholders yet; none ever, unless it is on.
    pub(super) const fn new(is_on: bool) -> Self {
        Self { is_on, hidden: Vec::new() }
    }

    /// The text with placeholders.
    pub(super) fn hide(&mut self, text: &str) -> String {
        if !self.is_on {
            return text.to_owned();
        }
        let mut text = LOOKALIKE.replace_all(text, "($1)").into_owned();
        for (kind, find) in [
            (Kind::Secret, crate::telemetry::secrets::find as fn(&str) -> Vec<(usize, usize)>),
            (Kind::Card, private::cards),
        ] {
            let found = find(&text);
            // Numbered from the left, replaced from the right, where nothing moves what is still to come.
            let names: Vec<String> = found.iter().map(|(from, to)| self.placeholder(kind, &text[*from..*to])).collect();
            for ((from, to), name) in found.into_iter().zip(names).rev() {
                text.replace_range(from..to, &name);
            }
        }
        for (kind, rule) in private::RULES.iter() {
            let hide = |found: &Captures<'_>| {
                let whole = &found[0];
                if private::is_real(*kind, whole) { self.placeholder(*kind, whole) } else { whole.to_owned() }
            };
            text = rule.replace_all(&text, hide).into_owned();
        }
        text
    }

    /// The text with the values in place of the placeholders; those of nobody stay as they are.
    pub(super) fn reveal(&self, text: &str) -> String {
        if self.hidden.is_empty() {
            return text.to_owned();
        }
        let value = |found: &Captures<'_>| {
            let name = &found[1];
            let known = (0..self.hidden.len()).find(|at| self.name(*at) == name);
            known.map_or_else(|| found[0].to_owned(), |at| self.hidden[at].1.clone())
        };
        LOOKALIKE.replace_all(text, value).into_owned()
    }

    fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        let known = self.hidden.iter().position(|(hidden, known)| *hidden == kind && known == value);
        let at = known.unwrap_or_else(|| {
            self.hidden.push((kind, value.to_owned()));
            self.hidden.len() - 1
        });
        format!("[{}]", self.name(at))
    }

    /// `EMAIL_2` is the second address.
    fn name(&self, at: usize) -> String {
        let kind = self.hidden[at].0;
        let number = self.hidden[..=at].iter().filter(|(other, _)| *other == kind).count();
        format!("{}_{number}", kind.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hide(text: &str) -> String {
        Mask::new(true).hide(text)
    }

    #[test]
    fn equal_values_get_equal_placeholders_and_come_back() {
        let mut mask = Mask::new(true);
        let texts = [
            "Write to mia@a.example or call +49 170 1234567.",
            "mia@a.example, not tom@b.example! Card 4111 1111 1111 1111",
        ];
        let hidden = texts.map(|text| mask.hide(text));
        assert_eq!(hidden[0], "Write to [EMAIL_1] or call [PHONE_1].");
        assert_eq!(hidden[1], "[EMAIL_1], not [EMAIL_2]! Card [CARD_1]");
        assert_eq!(hidden.map(|text| mask.reveal(&text)), texts);
        assert_eq!(mask.reveal("[EMAIL_3] [PHONE_1]"), "[EMAIL_3] +49 170 1234567");
    }

    #[test]
    fn a_placeholder_that_somebody_wrote_means_nothing() {
        let mut mask = Mask::new(true);
        let hidden = mask.hide("tell me [EMAIL_1], I am x@y.example");
        assert_eq!(hidden, "tell me (EMAIL_1), I am [EMAIL_1]");
    }

    #[test]
    fn switched_off_it_changes_nothing() {
        let mut off = Mask::new(false);
        let text = "mia@a.example [EMAIL_1] 4111111111111111";
        assert_eq!(off.hide(text), text);
        assert_eq!(off.reveal(text), text);
    }

    #[test]
    fn what_is_nothing_private_stays() {
        for text in [
            "at 10:30 on 2026-11-21, room 12",
            "it costs 1 200,50 € or 12.500",
            "order 1234567812345678 has no check digit",
            "@mia and mia@ and @home",
            "5 or 10 or 2026",
            "192.168.10.20",
        ] {
            assert_eq!(hide(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_was_hidden_comes_back_as_it_was(
            words in proptest::collection::vec(
                prop_oneof![
                    "[a-z äöü,.!?]{0,12}",
                    "[a-z]{1,8}@[a-z]{1,8}\\.example",
                    "\\+49 1[0-9]{2} [0-9]{7}",
                    Just("4111 1111 1111 1111".to_owned()),
                    Just("ghp_0123456789abcdefABCDEF0123456789abcd".to_owned()),
                ],
                0..12,
            ),
        ) {
            let text = words.join(" ");
            let mut mask = Mask::new(true);
            let hidden = mask.hide(&text);
            prop_assert!(!hidden.contains('@') && !hidden.contains("ghp_") && !hidden.contains("4111"), "{}", hidden);
            prop_assert_eq!(mask.reveal(&hidden), text);
        }

        #[test]
        fn no_text_breaks_it(text in "(?s).{0,120}") {
            let mut mask = Mask::new(true);
            let hidden = mask.hide(&text);
            let _ = mask.reveal(&hidden);
        }
    }
}
