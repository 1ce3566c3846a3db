//! Two or three sentences with who said them, in the order of the conversation.

use super::mentions::LINK;
use super::rank;
use super::reading::{Reading, Utterance};
use super::reply::Waiting;

/// Characters of a summary.
const LONGEST: usize = 400;
/// Characters of one sentence in it, to begin with.
const LONGEST_SENTENCE: usize = 190;
/// Sentences in a summary.
const MOST: usize = 3;

/// The summary, one line, at most 400 characters.
pub(super) fn compose(reading: &Reading, waiting: &Waiting<'_>) -> String {
    let best = rank::best(reading, waiting, MOST);
    let quotes: Vec<(&str, String)> = best
        .iter()
        .map(|candidate| {
            let utterance = &reading.utterances[candidate.utterance];
            (utterance.speaker.as_str(), shown(&utterance.sentences[candidate.sentence].text))
        })
        .collect();
    if quotes.is_empty() {
        return without_words(reading);
    }
    let mut room = LONGEST_SENTENCE;
    loop {
        let summary = join(&quotes, room);
        if summary.chars().count() <= LONGEST {
            return summary;
        }
        room -= 10;
    }
}

fn join(quotes: &[(&str, String)], room: usize) -> String {
    let mut summary = String::new();
    let mut speaking = "";
    for (speaker, text) in quotes {
        if !summary.is_empty() {
            summary.push(' ');
        }
        if *speaker != speaking {
            summary.push_str(speaker);
            summary.push_str(": ");
            speaking = speaker;
        }
        let text = cut(text, room);
        summary.push_str(&text);
        if text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ']' | ')' | '"' | '”' | '»')) {
            summary.push('.');
        }
    }
    summary
}

/// For a conversation without a sentence: the newest thing that was sent, whatever it is.
fn without_words(reading: &Reading) -> String {
    let is_something = |utterance: &&Utterance| !utterance.text.is_empty() || utterance.has_attachments;
    let Some(newest) = reading.utterances.iter().rev().find(is_something) else {
        return "No text in this conversation.".to_owned();
    };
    if newest.text.is_empty() {
        return format!("{}: [attachment]", newest.speaker);
    }
    format!("{}: {}", newest.speaker, cut(&shown(&newest.text), LONGEST_SENTENCE))
}

/// One line, links named but not shown.
fn shown(text: &str) -> String {
    text.replace('\n', " ").replace(LINK, "[link]")
}

/// At most `room` characters, cut between words where there is a gap in the second half.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let end = text.char_indices().nth(room.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let head = &text[..end];
    let gap = head.rfind(' ').filter(|at| *at > end / 2);
    format!("{}…", head[..gap.unwrap_or(end)].trim_end_matches([' ', ',', ';', ':', '-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::reply;
    use crate::ai::extractive::tests::{me, request, said};

    fn summary(lines: Vec<crate::domain::Message>) -> String {
        let reading = Reading::of(&request(lines));
        compose(&reading, &reply::waiting(&reading))
    }

    #[test]
    fn it_says_who_said_what_in_order() {
        assert_eq!(
            summary(vec![
                said("Mia", "Hi! Long time no see."),
                me("Hey Mia, how was Lisbon?"),
                said("Mia", "Lisbon was great, I brought port wine for the dinner on Friday."),
                me("I cook the dinner, bring the port wine at seven."),
                said("Mia", "Shall I also bring the bread"),
            ]),
            "Mia: Lisbon was great, I brought port wine for the dinner on Friday. You: I cook the dinner, bring the port \
             wine at seven. Mia: Shall I also bring the bread."
        );
    }

    #[test]
    fn it_is_short_and_holds_no_link() {
        let long = |word: &str| {
            format!("{} see https://evil.example/{word} {}", format!("{word} ").repeat(40), "and more ".repeat(40))
        };
        let summary = summary(vec![said("Mia", &long("alpha")), me(&long("beta")), said("Mia", &long("gamma"))]);
        assert!(summary.chars().count() <= LONGEST, "{}", summary.chars().count());
        assert!(!summary.contains("evil") && summary.contains('…'), "{summary}");
    }

    #[test]
    fn a_conversation_without_words_still_says_something() {
        assert_eq!(summary(vec![said("Mia", "👍🎉")]), "Mia: 👍🎉");
        assert_eq!(summary(vec![said("Mia", "https://a.example/x")]), "Mia: [link]");
        assert_eq!(summary(vec![said("Mia", "ok thanks")]), "Mia: ok thanks");
        assert_eq!(summary(vec![said("Mia", "")]), "No text in this conversation.");
    }

    #[test]
    fn the_cut_falls_between_words() {
        assert_eq!(cut("one two three", 13), "one two three");
        assert_eq!(cut("one two three", 12), "one two…");
        assert_eq!(cut("donaudampfschiff", 8), "donauda…");
    }
}
