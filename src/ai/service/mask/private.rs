//! E-mail addresses, card numbers (with their check digit) and phone numbers.

use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use crate::telemetry::pattern::pattern;

/// Digits in groups, at least as many as a card has.
static GROUPS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9](?:[ -]?[0-9]){12,}"));

/// E-mail addresses and phone numbers.
pub(super) static RULES: LazyLock<[(Kind, Regex); 2]> = LazyLock::new(|| {
    [
        (Kind::Email, pattern(r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}")),
        (
            Kind::Phone,
            pattern(concat!(
                // With the code of a country, or of a town; or the three groups of North America.
                r"(?:\+|\b00)[1-9][0-9]{0,2}[ ./-]?(?:\(0\)[ ./-]?|\([0-9]{1,5}\)[ ./-]?)?[0-9](?:[ ./-]{0,2}[0-9]){5,12}\b",
                r"|(?:\(0[0-9]{1,5}\)|\b0[1-9][0-9]{1,4})[ /-]{0,2}[0-9](?:[ /-]?[0-9]){5,9}\b",
                r"|\b[2-9][0-9]{2}[-. ][2-9][0-9]{2}[-. ][0-9]{4}\b",
                r"|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ][0-9]{4}\b",
            )),
        ),
    ]
});

/// What a pattern alone can't say.
pub(super) fn is_real(kind: Kind, found: &str) -> bool {
    kind != Kind::Phone || (8..=15).contains(&found.bytes().filter(u8::is_ascii_digit).count())
}

/// Where card numbers stand, in bytes, from left to right. A number may stand beside another with nothing
/// but a blank between them, so that every row of whole groups is tried.
pub(super) fn cards(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for groups in GROUPS.find_iter(text) {
        let bytes = groups.as_str().as_bytes();
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let begins = |at: &usize| is_digit(*at) && (*at == 0 || !is_digit(at - 1));
        let mut free = 0;
        for from in (0..bytes.len()).filter(begins) {
            let ends = (from + 13..=bytes.len()).filter(|to| is_digit(to - 1) && !is_digit(*to)).take(8);
            let is_card = |to: &usize| {
                let digits: Vec<u32> = bytes[from..*to].iter().filter_map(|b| char::from(*b).to_digit(10)).collect();
                (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && has_check_digit(&digits)
            };
            if let Some(to) = ends.filter(is_card).last().filter(|_| from >= free) {
                found.push((groups.start() + from, groups.start() + to));
                free = to;
            }
        }
    }
    found
}

/// The check of Luhn: every second digit from the right counts twice.
fn has_check_digit(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            if at % 2 == 0 {
                *digit
            } else if *digit > 4 {
                digit * 2 - 9
            } else {
                digit * 2
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::Mask;

    #[test]
    fn each_kind_is_found_and_its_neighbour_is_not() {
        for (text, hidden) in [
            ("mia.k+chat@mail.example.org", "[EMAIL_1]"),
            ("müller@straße.example", "[EMAIL_1]"),
            ("mia@localhost", "mia@localhost"),
            ("4111-1111-1111-1111", "[CARD_1]"),
            ("4111111111111112", "4111111111111112"),
            ("378282246310005", "[CARD_1]"),
            ("+49 (0)170 1234567", "[PHONE_1]"),
            ("0049 30 1234567", "[PHONE_1]"),
            ("0170/1234567", "[PHONE_1]"),
            ("(030) 123 4567", "[PHONE_1]"),
            ("555-123-4567", "555-123-4567"),
            ("555-223-4567", "[PHONE_1]"),
            ("(555) 223-4567", "[PHONE_1]"),
            ("0170 12", "0170 12"),
            ("2026-11-21 10:00", "2026-11-21 10:00"),
            ("21.11.2026", "21.11.2026"),
        ] {
            assert_eq!(Mask::new(true).hide(text), hidden, "{text}");
        }
    }
}
