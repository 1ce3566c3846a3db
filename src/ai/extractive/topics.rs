//! What a conversation is about, in up to five key words or short phrases.
//!
//! Runs of words without a stop word between them are candidates (as RAKE has it); what several
//! messages share counts more than what one repeats; names of the speakers are no topics.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::reading::Reading;
use super::words::Word;

/// Topics of a conversation.
const MOST: usize = 5;
/// Words of a topic.
const LONGEST: usize = 3;
/// Characters of a topic: what is longer is no word.
const WIDEST: usize = 40;
/// Endings of English participles.
const PARTICIPLES: [&str; 2] = ["ed", "ing"];
/// Candidates from the newest so many sentences; what is older than that is no topic of today.
const WINDOW: usize = 5_000;

#[derive(Default)]
struct Phrase {
    /// The last message it was seen in, so that one message counts once.
    seen_in: usize,
    messages: usize,
    words: usize,
    /// Written forms, and how often.
    forms: BTreeMap<String, usize>,
    capitals: usize,
    letters: usize,
    /// Holds an English participle, which is seldom a topic.
    is_verbal: bool,
    count: usize,
}

/// The topics, the most important first.
pub(super) fn find(reading: &Reading) -> Vec<String> {
    let phrases = phrases(reading);
    let total = reading.utterances.len().max(1) as f64;
    let mut ranked: Vec<(f64, &Vec<String>, &Phrase)> = phrases
        .iter()
        .filter(|(_, phrase)| phrase.messages > 1 || stands_alone(reading, phrase, total))
        .map(|(stems, phrase)| (score(phrase, stems, total), stems, phrase))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let mut topics = Vec::new();
    let mut taken: HashSet<&String> = HashSet::new();
    for (_, stems, phrase) in ranked {
        if stems.iter().any(|stem| taken.contains(stem)) {
            continue;
        }
        taken.extend(stems);
        // The most frequent form, and of equals the first in order: deterministic.
        let best = phrase.forms.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
        topics.extend(best.map(|(form, _)| form.clone()));
        if topics.len() == MOST {
            break;
        }
    }
    topics
}

/// Whether something said once can be a topic. Where there is no stop list, any word may be an
/// "and": only a longish one is taken. A phrase is taken once only where messages are few.
fn stands_alone(reading: &Reading, phrase: &Phrase, total: f64) -> bool {
    match phrase.words {
        1 => reading.lexicon.knows_stop_words || phrase.letters > 3,
        _ => reading.lexicon.knows_stop_words && total <= 12.0 && !phrase.is_verbal,
    }
}

/// Shared by many messages, a little longer, written with a capital, and late in the conversation.
fn score(phrase: &Phrase, stems: &[String], total: f64) -> f64 {
    let spread = (phrase.messages as f64).powf(0.8);
    let length = [1.0, 1.0, 1.7, 2.0][phrase.words.min(LONGEST)];
    let capital = if phrase.capitals * 2 > phrase.count { 1.4 } else { 1.0 };
    let verbal = if phrase.is_verbal { 0.6 } else { 1.0 };
    let letters = stems.iter().map(|stem| stem.chars().count()).sum::<usize>() as f64 / phrase.words.max(1) as f64;
    let recent = 1.0 + 0.5 * (phrase.seen_in as f64 / total);
    spread * length * capital * verbal * recent * (0.7 + 0.1 * letters.min(6.0))
}

fn phrases(reading: &Reading) -> HashMap<Vec<String>, Phrase> {
    let names: HashSet<&str> = reading.names.iter().map(|name| name.folded.as_str()).collect();
    // German writes its nouns with a capital, and topics are nouns.
    let nouns_only = reading.language == Some("de");
    let is_content = |word: &Word| {
        if nouns_only && !word.surface.starts_with(char::is_uppercase) {
            return false;
        }
        let letters = word.folded.chars().filter(|c| c.is_alphabetic()).count();
        let short = if word.folded.is_ascii() { 3 } else { 2 };
        letters >= short
            && word.folded.starts_with(char::is_alphabetic)
            && word.folded.chars().count() <= WIDEST
            && !["stop", "no_topic", "acknowledgement"].iter().any(|list| reading.lexicon.has(list, word))
            && !names.contains(word.folded.as_str())
    };
    let mut phrases: HashMap<Vec<String>, Phrase> = HashMap::new();
    let sentences: usize = reading.utterances.iter().map(|utterance| utterance.sentences.len()).sum();
    let mut skipped = sentences.saturating_sub(WINDOW);
    for (message, utterance) in (1..).zip(&reading.utterances) {
        for sentence in &utterance.sentences {
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            let words = &sentence.words[..sentence.words.len().min(200)];
            for from in 0..words.len() {
                for (length, to) in (1..=LONGEST).zip(from..words.len()) {
                    if !is_content(&words[to]) || (length > 1 && !words[to].joined) {
                        break;
                    }
                    note(&mut phrases, &words[from..=to], from == 0, message);
                }
            }
        }
    }
    phrases
}

fn note(phrases: &mut HashMap<Vec<String>, Phrase>, words: &[Word], begins: bool, message: usize) {
    let form = words.iter().map(|word| word.surface.as_str()).collect::<Vec<_>>().join(" ");
    if form.chars().count() > WIDEST {
        return;
    }
    let phrase = phrases.entry(words.iter().map(Word::stem).collect()).or_default();
    phrase.words = words.len();
    phrase.count += 1;
    phrase.letters = form.chars().count();
    phrase.is_verbal =
        words.iter().any(|word| word.folded.len() > 5 && PARTICIPLES.iter().any(|end| word.folded.ends_with(end)));
    phrase.messages += usize::from(phrase.seen_in != message);
    phrase.seen_in = message;
    // At the beginning of a sentence a capital says nothing.
    phrase.capitals += usize::from(!begins && form.starts_with(char::is_uppercase));
    *phrase.forms.entry(form).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{me, request, said};

    fn topics(lines: Vec<crate::domain::Message>) -> Vec<String> {
        find(&Reading::of(&request(lines)))
    }

    #[test]
    fn they_are_what_the_messages_share() {
        let topics = topics(vec![
            said("Mia", "Did you hear from the landlord about the kitchen renovation?"),
            me("Yes, the kitchen renovation starts in March. 1200 euros."),
            said("Mia", "And the balcony? I want flowers on the balcony."),
            me("The landlord says no to the balcony before the kitchen renovation is done"),
            said("Mia", "https://landlord.example/kitchen 12345"),
        ]);
        assert_eq!(&topics[..3], ["kitchen renovation", "balcony", "landlord"]);
        assert!(topics.len() <= 5);
        assert!(topics.iter().all(|topic| topic.chars().any(char::is_alphabetic) && !topic.contains("example")));
    }

    #[test]
    fn names_greetings_and_acknowledgements_are_none() {
        assert_eq!(
            topics(vec![
                said("Mia", "Hi, how are you?"),
                me("Hello Mia, fine thanks!"),
                said("Mia", "great 👍 ok lol")
            ]),
            [""; 0]
        );
    }

    #[test]
    fn the_case_is_as_written() {
        let topics = topics(vec![
            said("Jonas", "Hast du die Rechnung von Vodafone gesehen?"),
            me("Ja, die Rechnung ist von Vodafone, ich habe sie bezahlt."),
            said("Jonas", "Dann ist die Rechnung erledigt, danke."),
        ]);
        assert_eq!(&topics[..2], ["Rechnung", "Vodafone"]);
    }
}
