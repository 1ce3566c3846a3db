//! A tiny deterministic generator (SplitMix64, Steele et al. 2014), so that the sample chats are the same on every
//! machine and in every release: a library's generator may change its stream with its version.
//!
//! Never for secrets.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// What marks a stream of the dice, so that two uses never share one.
pub(super) mod stream {
    pub(in crate::demo) const ID: u64 = 1;
    pub(in crate::demo) const TOPICS: u64 = 2;
    pub(in crate::demo) const DIALOGUE: u64 = 3;
    pub(in crate::demo) const END: u64 = 4;
    pub(in crate::demo) const SIZE: u64 = 5;
    pub(in crate::demo) const CAST: u64 = 6;
    pub(in crate::demo) const UNREAD: u64 = 7;
}

/// A stream of numbers that depends on nothing but what it was made of.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of this seed and these coordinates.
    pub(super) fn new(seed: u64, coordinates: &[u64]) -> Self {
        let mut dice = Self(seed);
        for part in coordinates {
            dice.0 = dice.next() ^ part.wrapping_mul(STEP);
        }
        dice
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1; 0 for an empty range.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// An index into something of this length; 0 if it is empty.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True in so many of a thousand throws.
    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// Brings the items into an order of its own (Fisher-Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// A number in lower-case base 36, as opaque ids are often written.
pub(super) fn base36(mut number: u64, width: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.len() < width {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // Reference values of SplitMix64 for seed 1234567.
        let mut dice = Dice::new(1_234_567, &[]);
        assert_eq!(
            [dice.next(), dice.next(), dice.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn coordinates_matter_and_ranges_hold() {
        assert_ne!(Dice::new(1, &[1, 2]).next(), Dice::new(1, &[2, 1]).next());
        let mut dice = Dice::new(1, &[]);
        assert!((0..1000).all(|_| dice.below(7) < 7));
        assert_eq!((base36(0, 4), base36(36 * 36, 2)), ("0000".into(), "100".into()));
        let mut items: Vec<u8> = (0..20).collect();
        dice.shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }
}
