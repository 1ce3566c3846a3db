//! E-mail addresses, card numbers (with their check digit) and phone numbers.

use std::sync::LazyLock;

use regex::Regex;

use super::{Kind, pattern};

/// In the order in which they are looked for: a card number would pass for a phone number.
pub(super) static RULES: LazyLock<[(Kind, Regex); 3]> = LazyLock::new(|| {
    [
        (
            Kind::Email,
            pattern(r"[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,4}\p{L}{2,24}"),
        ),
        (Kind::Card, pattern(r"\b[2-6][0-9](?:[ -]?[0-9]){10,16}[0-9]\b")),
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
    let digits: Vec<u32> = found.chars().filter_map(|c| c.to_digit(10)).collect();
    match kind {
        Kind::Card => (13..=19).contains(&digits.len()) && has_check_digit(&digits),
        Kind::Phone => (8..=15).contains(&digits.len()),
        Kind::Email | Kind::Secret => true,
    }
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
    sum % 10 == 0
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
