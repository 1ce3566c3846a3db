//! The conversation, taken apart once, for everything else to look at.

use super::clean::{clean, one_line};
use super::mentions::without_links;
use super::words::{Lexicon, Word, words};
use super::{language, sentences};
use crate::domain::{Direction, Message, MessageKey};
use crate::ports::AnalystRequest;

/// Of one message, so many characters are read.
pub(super) const LONGEST_MESSAGE: usize = 20_000;
/// Of all messages together, the newest so many bytes are read: about 20,000 messages.
const LONGEST_CONVERSATION: usize = 2_000_000;
/// Of one sentence, so many words are looked at.
const LONGEST_SENTENCE: usize = 300;
/// A name is shown at most so long.
const LONGEST_NAME: usize = 30;

/// One message.
pub(super) struct Utterance {
    /// Which message.
    pub(super) key: MessageKey,
    /// Seen from the owner.
    pub(super) direction: Direction,
    /// `You`, or the other person's name.
    pub(super) speaker: String,
    /// Clean, with [`super::mentions::LINK`] where a link was.
    pub(super) text: String,
    /// The links.
    pub(super) links: Vec<String>,
    /// True if a file or picture came with it.
    pub(super) has_attachments: bool,
    /// The sentences.
    pub(super) sentences: Vec<Sentence>,
}

impl Utterance {
    /// The words of all sentences.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word> {
        self.sentences.iter().flat_map(|sentence| &sentence.words)
    }
}

/// One sentence.
pub(super) struct Sentence {
    /// As written.
    pub(super) text: String,
    /// Its words.
    pub(super) words: Vec<Word>,
}

/// A conversation, oldest utterance first.
pub(super) struct Reading {
    /// The newest messages, as many as are read.
    pub(super) utterances: Vec<Utterance>,
    /// BCP 47, if it can be told.
    pub(super) language: Option<&'static str>,
    /// The word lists of this language.
    pub(super) lexicon: Lexicon,
    /// The names of those who speak, in words: no topics.
    pub(super) names: Vec<Word>,
}

impl Reading {
    /// Reads a conversation.
    pub(super) fn of(request: &AnalystRequest) -> Self {
        let mut room = LONGEST_CONVERSATION;
        let first = request.messages.iter().rposition(|message| {
            let length = message.text.expose().len();
            let full = length > room;
            room = room.saturating_sub(length);
            full
        });
        // The message that no longer fits is left out whole, unless it is the newest.
        let first = first.map_or(0, |at| (at + 1).min(request.messages.len().saturating_sub(1)));
        let title = name(request.title.expose());
        let utterances: Vec<_> = request.messages[first..].iter().map(|message| utterance(message, &title)).collect();
        let language = language::of(&utterances);
        let mut names = words(&title.replace('_', " "));
        let mut speakers: Vec<&str> = utterances.iter().map(|utterance| utterance.speaker.as_str()).collect();
        speakers.sort_unstable();
        speakers.dedup();
        names.extend(speakers.into_iter().take(100).flat_map(|speaker| words(&speaker.replace('_', " "))));
        Self { utterances, language, lexicon: Lexicon::of(language), names }
    }
}

fn utterance(message: &Message, title: &str) -> Utterance {
    let (text, links) = without_links(&clean(message.text.expose(), LONGEST_MESSAGE));
    let sentences = sentences::split(&text)
        .into_iter()
        .map(|sentence| {
            let mut words = words(sentence);
            words.truncate(LONGEST_SENTENCE);
            Sentence { text: sentence.to_owned(), words }
        })
        .collect();
    Utterance {
        key: message.key,
        direction: message.direction,
        speaker: speaker(message, title),
        text,
        links,
        has_attachments: !message.attachments.is_empty(),
        sentences,
    }
}

fn speaker(message: &Message, title: &str) -> String {
    if message.direction == Direction::Out {
        return "You".to_owned();
    }
    let author = name(message.author.expose());
    match (author.is_empty(), title.is_empty()) {
        (false, _) => author,
        (true, false) => title.to_owned(),
        (true, true) => "They".to_owned(),
    }
}

/// A name on one line, without links.
fn name(text: &str) -> String {
    let (name, _) = without_links(&one_line(text, 200));
    let name: String = name.replace(super::mentions::LINK, "").trim().chars().take(LONGEST_NAME).collect();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{request, said};

    #[test]
    fn only_the_newest_of_an_endless_conversation_is_read() {
        let long = "word ".repeat(4_000);
        let lines: Vec<_> = (0..300).map(|_| said("Mia", &long)).chain([said("Mia", "the newest")]).collect();
        let reading = Reading::of(&request(lines));
        assert!(reading.utterances.len() <= 101);
        assert_eq!(reading.utterances.last().map(|u| u.text.as_str()), Some("the newest"));
    }

    #[test]
    fn a_single_huge_message_is_read_in_part() {
        let reading = Reading::of(&request(vec![said("Mia", &"x ".repeat(2_000_000))]));
        assert_eq!(reading.utterances.len(), 1);
        assert!(reading.utterances[0].text.len() <= LONGEST_MESSAGE);
    }

    #[test]
    fn who_has_no_name_is_called_by_the_title() {
        let reading = Reading::of(&request(vec![said("", "hi"), said("http://evil.example/ Ben\n\u{202e}", "hi")]));
        assert_eq!(reading.utterances.iter().map(|u| u.speaker.as_str()).collect::<Vec<_>>(), ["Mia", "Ben"]);
    }
}
