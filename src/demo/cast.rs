//! Who is on the sample site and how much they write: names, languages, and the sizes of the conversations.

use super::dice::{Dice, stream};
use super::talk::Talk;

/// The language (index into [`Talk::all`]) of a conversation, by its number, over and over.
const LANGUAGES: [usize; 13] = [0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 4, 5, 6];

/// A conversation that is called like conversation 1, though it is another person.
const NAMESAKE: u64 = 4;

/// The language of the conversation with this number, as an index into [`Talk::all`].
pub(super) fn language(number: u64) -> usize {
    LANGUAGES[(number % LANGUAGES.len() as u64) as usize]
}

/// Title and the other people in a conversation.
pub(super) fn cast(seed: u64, number: u64, talk: &Talk) -> (String, Vec<String>) {
    let names = talk.list("name");
    let length = names.len() as u64;
    let offset = Dice::new(seed, &[stream::CAST]).below(length);
    let rank = rank(if number == NAMESAKE { 1 } else { number });
    let name = |n: u64| names[((offset + n) % length) as usize].to_owned();
    if number == 0 {
        // Taken from the far end of the list, which one-to-one conversations reach last.
        let peers = (1..=4).map(|back| name(length - back)).collect();
        return ("Sunday football".to_owned(), peers);
    }
    let title = match rank / length {
        0 => name(rank),
        round => format!("{} {}", name(rank), name(rank + round * 3 + 1)),
    };
    (title.clone(), vec![title])
}

/// How many conversations of the same language have a smaller number.
fn rank(number: u64) -> u64 {
    let length = LANGUAGES.len() as u64;
    let own = language(number);
    let alike = |languages: &[usize]| languages.iter().filter(|other| **other == own).count() as u64;
    number / length * alike(&LANGUAGES) + alike(&LANGUAGES[..(number % length) as usize])
}

/// How many messages each conversation has: unevenly spread, together exactly `messages`.
pub(super) fn sizes(seed: u64, conversations: u32, messages: u32) -> Vec<u32> {
    let count = u64::from(conversations);
    if count == 0 {
        return Vec::new();
    }
    let floor = (u64::from(messages) / count).min(3);
    let rest = u64::from(messages) - floor * count;
    let weights: Vec<u64> = (0..count).map(|number| weight(seed, number)).collect();
    let total: u64 = weights.iter().sum();
    let mut sizes: Vec<u64> = weights.iter().map(|weight| floor + rest * weight / total).collect();
    let missing = u64::from(messages) - sizes.iter().sum::<u64>();
    for (index, size) in sizes.iter_mut().enumerate() {
        *size += u64::from((index as u64) < missing);
    }
    sizes.into_iter().map(|size| size as u32).collect()
}

/// The conversations that tell something special are never short, one is, and other languages say less.
fn weight(seed: u64, number: u64) -> u64 {
    let dice = Dice::new(seed, &[stream::SIZE, number]).below(100);
    match number {
        6 => 0,
        0..=4 => 90 + dice,
        _ if language(number) > 0 => 12 + dice / 3,
        _ => 5 + dice * dice / 30,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_uneven_and_sum_exactly() {
        for (conversations, messages) in [(24, 2400), (3, 30), (1, 1), (7, 5), (100, 10_000), (5, 0), (0, 0)] {
            let sizes = sizes(1, conversations, messages);
            let expected = if conversations == 0 { 0 } else { messages };
            assert_eq!(sizes.iter().sum::<u32>(), expected, "{conversations} {messages}");
        }
        let sizes = sizes(1, 24, 2400);
        assert!(sizes.iter().min() <= Some(&4) && (250..=450).contains(sizes.iter().max().unwrap()), "{sizes:?}");
    }
}
