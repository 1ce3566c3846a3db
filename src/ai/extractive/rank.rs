//! Which sentences say most: TextRank (a sentence is central if it shares rare words with other
//! central ones), with recency and content added, because in a chat the newest turn is what the
//! reader wants to know about. Redundancy is taken out by maximal marginal relevance.

use std::collections::{BTreeMap, HashMap};

use super::reading::Reading;
use super::reply::Waiting;

/// Only the newest so many different sentences are compared with each other: the work is the square.
const WINDOW: usize = 300;
/// Rounds of the power iteration; more change no order.
const ROUNDS: usize = 20;
/// A pair that shares this part of its words says the same.
const SAME: f64 = 0.6;

/// A sentence in the running.
pub(super) struct Candidate {
    /// Which utterance.
    pub(super) utterance: usize,
    /// Which of its sentences.
    pub(super) sentence: usize,
    /// The stems of its content words: numbers in order, each once.
    stems: Vec<u32>,
    /// True if it is what waits for an answer.
    asks: bool,
}

/// The best sentences, at most `count`, in order of the conversation.
pub(super) fn best(reading: &Reading, waiting: &Waiting<'_>, count: usize) -> Vec<Candidate> {
    let (candidates, rarity) = candidates(reading, waiting);
    let scores = scores(reading, &candidates, &rarity);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count && !order.is_empty() {
        let gain = |at: usize| {
            let nearest = chosen.iter().map(|other| overlap(&candidates[at].stems, &candidates[*other].stems));
            scores[at] - 0.5 * nearest.fold(0.0, f64::max)
        };
        // The later of two equals: it is the newer.
        let Some(next) = order.iter().copied().max_by(|a, b| gain(*a).total_cmp(&gain(*b)).then(a.cmp(b))) else {
            break;
        };
        order.retain(|at| *at != next && overlap(&candidates[*at].stems, &candidates[next].stems) < SAME);
        chosen.push(next);
    }
    chosen.sort_unstable();
    let mut at = 0;
    let mut best = candidates;
    best.retain(|_| {
        at += 1;
        chosen.binary_search(&(at - 1)).is_ok()
    });
    best
}

/// The sentences of the window, oldest first, each wording once, and the rarity of each stem over the
/// whole conversation.
fn candidates(reading: &Reading, waiting: &Waiting<'_>) -> (Vec<Candidate>, Vec<f64>) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut frequency: Vec<usize> = Vec::new();
    let mut all: Vec<Candidate> = Vec::new();
    let mut latest: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    let pending_from = reading.utterances.len() - waiting.pending.len();
    for (at, utterance) in reading.utterances.iter().enumerate() {
        for (index, sentence) in utterance.sentences.iter().enumerate() {
            let content = sentence.words.iter().filter(|word| !reading.lexicon.has("stop", word));
            let mut stems: Vec<u32> = content
                .take(60)
                .map(|word| {
                    let next = numbers.len() as u32;
                    *numbers.entry(word.stem()).or_insert(next)
                })
                .collect();
            stems.sort_unstable();
            stems.dedup();
            frequency.resize(numbers.len(), 0);
            stems.iter().for_each(|stem| frequency[*stem as usize] += 1);
            let asks = at >= pending_from && waiting.asks(reading, sentence);
            if asks || !stems.is_empty() {
                latest.insert(stems.clone(), all.len());
                all.push(Candidate { utterance: at, sentence: index, stems, asks });
            }
        }
    }
    let total = all.len() as f64;
    let rarity = frequency.iter().map(|count| (1.0 + total / (*count).max(1) as f64).ln()).collect();
    // The same words again and again (a spammer, a greeting) are one candidate, the latest.
    let mut at = 0;
    all.retain(|candidate| {
        at += 1;
        latest.get(&candidate.stems) == Some(&(at - 1))
    });
    // Exclamations only if there is nothing better; what waits for an answer in any case.
    let says_something = |candidate: &Candidate| {
        let words = reading.utterances[candidate.utterance].sentences[candidate.sentence].words.len();
        candidate.stems.len() > 1 || words > 4
    };
    if all.iter().any(says_something) {
        all.retain(|candidate| candidate.asks || says_something(candidate));
    }
    let surplus = all.len().saturating_sub(WINDOW);
    all.drain(..surplus);
    (all, rarity)
}

fn scores(reading: &Reading, candidates: &[Candidate], rarity: &[f64]) -> Vec<f64> {
    let central = centrality(candidates, rarity);
    let last = candidates.len().saturating_sub(1).max(1) as f64;
    let score = |(at, candidate): (usize, &Candidate)| {
        let sentence = &reading.utterances[candidate.utterance].sentences[candidate.sentence];
        let words = sentence.words.len();
        let content = (candidate.stems.len() as f64 / 7.0).min(1.0);
        let concrete = sentence.words.iter().any(|word| word.folded.contains(|c: char| c.is_ascii_digit()))
            || reading.lexicon.finds("deadline", &sentence.words);
        let readable = match words {
            0..3 => 0.0,
            3..6 => 0.6,
            6..=28 => 1.0,
            _ => 0.5,
        };
        // What waits for an answer belongs into the summary, or the reader must open the chat to know.
        0.40 * central[at]
            + 0.30 * (at as f64 / last)
            + 0.20 * content
            + 0.10 * readable
            + if concrete { 0.10 } else { 0.0 }
            + match (candidate.asks, sentence.text.contains('?')) {
                (true, _) => 0.40,
                // A question that was answered says less than the answer.
                (false, true) => -0.10,
                (false, false) => 0.0,
            }
    };
    candidates.iter().enumerate().map(score).collect()
}

/// TextRank, scaled so that the most central sentence has 1.
fn centrality(candidates: &[Candidate], rarity: &[f64]) -> Vec<f64> {
    let size = candidates.len();
    let mut links: Vec<Vec<(usize, f64)>> = vec![Vec::new(); size];
    for (a, first) in candidates.iter().enumerate() {
        for (b, second) in candidates.iter().enumerate().skip(a + 1) {
            let shared: f64 = common(&first.stems, &second.stems).map(|stem| rarity[stem as usize]).sum();
            if shared > 0.0 {
                let weight = shared / (2.0 + (first.stems.len() as f64).ln() + (second.stems.len() as f64).ln());
                links[a].push((b, weight));
                links[b].push((a, weight));
            }
        }
    }
    let out: Vec<f64> = links.iter().map(|row| row.iter().map(|(_, weight)| weight).sum()).collect();
    let mut rank = vec![1.0; size];
    for _ in 0..ROUNDS {
        rank = links
            .iter()
            .map(|row| 0.15 + 0.85 * row.iter().map(|(other, weight)| rank[*other] * weight / out[*other]).sum::<f64>())
            .collect();
    }
    let most = rank.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    rank.iter().map(|value| value / most).collect()
}

/// What two sorted lists share.
fn common<'a>(a: &'a [u32], b: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    a.iter().copied().filter(|stem| b.binary_search(stem).is_ok())
}

/// The shared part of the words of two sentences, 0 to 1.
pub(super) fn overlap(a: &[u32], b: &[u32]) -> f64 {
    let shared = common(a, b).count() as f64;
    let all = (a.len() + b.len()) as f64 - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::reply;
    use crate::ai::extractive::tests::{me, request, said};

    fn chosen(lines: Vec<crate::domain::Message>, count: usize) -> Vec<String> {
        let reading = Reading::of(&request(lines));
        let waiting = reply::waiting(&reading);
        best(&reading, &waiting, count)
            .iter()
            .map(|candidate| reading.utterances[candidate.utterance].sentences[candidate.sentence].text.clone())
            .collect()
    }

    #[test]
    fn the_theme_wins_over_small_talk_and_is_not_said_twice() {
        let chosen = chosen(
            vec![
                said("Mia", "Hello there! How are you doing?"),
                me("Fine, thanks. And you?"),
                said("Mia", "The landlord wants to renovate the kitchen in March."),
                me("Renovate the kitchen? Who pays the renovation?"),
                said("Mia", "The landlord wants to renovate the kitchen in march!!"),
                said("Mia", "He pays the kitchen, we pay the new floor of the balcony."),
                me("haha ok"),
                said("Mia", "lol"),
            ],
            2,
        );
        assert_eq!(
            chosen,
            [
                "The landlord wants to renovate the kitchen in march!!",
                "He pays the kitchen, we pay the new floor of the balcony."
            ]
        );
    }

    #[test]
    fn the_open_question_is_always_among_them() {
        let mut lines: Vec<_> =
            (0..50).map(|n| me(&format!("The tent, the boat and the fishing gear number {n} are packed."))).collect();
        lines.push(said("Ben", "Did you renew the fishing permit?"));
        assert!(chosen(lines, 2).iter().any(|text| text.starts_with("Did you renew")));
    }

    #[test]
    fn a_spammer_is_one_voice() {
        let mut lines: Vec<_> = (0..80).map(|_| said("Ben", "Cheap watches and golden bracelets here")).collect();
        lines.insert(40, me("We meet at the old harbour office on the 14th."));
        lines.push(said("Ben", "The harbour office opens at ten."));
        assert_eq!(chosen(lines, 3).len(), 3);
    }

    #[test]
    fn what_was_said_already_is_left_out_even_if_there_is_room() {
        let lines = vec![
            said("Mia", "The landlord wants to renovate the tiny kitchen in March"),
            me("ok"),
            said("Mia", "So the landlord wants to renovate the kitchen in March"),
        ];
        assert_eq!(chosen(lines, 3), ["So the landlord wants to renovate the kitchen in March"]);
    }
}
