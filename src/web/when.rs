//! Times for people: how long ago, in words.
//!
//! `assets/app.js` has the same table, so that a page keeps counting between two answers. The word is
//! never the only form: `<time datetime>` carries the exact one.

use jiff::Timestamp;

/// From how many seconds on, the unit's length, its word.
const UNITS: [(i64, i64, &str); 4] = [(86_400, 86_400, "d"), (3_600, 3_600, "h"), (60, 60, "min"), (5, 1, "s")];

/// `just now`, `12 s ago`, `3 min ago`, `in 2 h`.
pub(super) fn relative(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    for (from, length, word) in UNITS {
        if seconds.abs() >= from {
            let amount = seconds.abs() / length;
            return if seconds > 0 { format!("{amount} {word} ago") } else { format!("in {amount} {word}") };
        }
    }
    "just now".to_owned()
}

/// `2026-11-02 10:00 UTC`.
pub(super) fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A length of time in its two largest units: `3 d 4 h`, `12 min 5 s`.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// `12,345`: digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let now = at(1_000_000);
        let cases = [
            (0, "just now"),
            (4, "just now"),
            (-4, "just now"),
            (5, "5 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (86_400 * 3, "3 d ago"),
            (-7_200, "in 2 h"),
        ];
        for (ago, words) in cases {
            assert_eq!(relative(now, at(1_000_000 - ago)), words);
        }
    }

    #[test]
    fn spans_and_numbers_read_well() {
        assert_eq!([0, 59, 61, 3_660, 90_000].map(span), ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(exact(at(0)), "1970-01-01 00:00 UTC");
    }
}
