//! How many tokens a text is, and what they cost. Two figures: a likely one, to cut a conversation to the
//! model's size, and one that is never too low, for a budget to set aside.

use crate::config::Price;
use crate::domain::Usage;

/// Tokens of a text, roughly: a little more than models really count for most languages.
pub(super) fn likely(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    (ascii / 3 + other + 1) as u64
}

/// Tokens of a text, never too few: a token stands for one byte at least.
pub(super) const fn at_most(text: &str) -> u64 {
    text.len() as u64
}

/// Tokens of plain words, hardly ever too few: three letters each in Latin script, one byte each in others.
pub(super) fn of_words(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    (ascii / 3 + (text.len() - ascii) + 1) as u64
}

/// What so many tokens cost, rounded up, in millionths of the currency.
pub(super) fn cost(input_tokens: u64, output_tokens: u64, input: Price, output: Price) -> u64 {
    let of = |tokens: u64, price: Price| (u128::from(tokens) * u128::from(price.0)).div_ceil(1_000_000);
    u64::try_from(of(input_tokens, input) + of(output_tokens, output)).unwrap_or(u64::MAX)
}

/// One call of so many tokens.
pub(super) fn usage(input_tokens: u64, output_tokens: u64, (input, output): (Price, Price)) -> Usage {
    Usage { calls: 1, input_tokens, output_tokens, cost_micros: cost(input_tokens, output_tokens, input, output) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn costs_are_exact_and_rounded_up() {
        let (input, output) = (Price(150_000), Price(600_000));
        assert_eq!(cost(1_000_000, 0, input, output), 150_000);
        assert_eq!(cost(1_170, 200, input, output), 176 + 120);
        assert_eq!(cost(1, 1, input, output), 2);
        assert_eq!(cost(5, 5, Price(0), Price(0)), 0);
        assert_eq!(cost(u64::MAX, u64::MAX, Price(10_000_000_000), Price(1)), u64::MAX);
    }

    proptest! {
        #[test]
        fn the_likely_figure_never_exceeds_the_safe_one_by_more_than_one(text in ".{0,200}") {
            prop_assert!(likely(&text) <= at_most(&text) + 1);
        }
    }
}
