//! Whether the owner owes an answer, why, and how soon a human should look.
//!
//! Only what was said since the owner's last message counts. Few false alarms matter more than a
//! complete list: a column that says `yes` everywhere is not read. Hence:
//! - `question`: a question mark, or a sentence that begins like a question;
//! - `request`: a phrase such as "please", "let me know";
//! - `unanswered`: neither, but the owner never answered in this conversation at all, or the other
//!   side has said three things since;
//! - nothing if all of it is acknowledgement ("ok", "thanks", emoji).

use super::mentions;
use super::reading::{Reading, Sentence, Utterance};
use crate::domain::{Direction, Priority};

/// So many unanswered messages press by themselves.
const MANY: usize = 3;

/// Why an answer is due: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Something was asked.
    Question,
    /// Something was asked for.
    Request,
    /// Something was said, and never answered.
    Unanswered,
}

impl Reason {
    /// The word shown to people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Request => "request",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What waits for the owner.
pub(super) struct Waiting<'a> {
    /// Why an answer is due, if it is.
    pub(super) reason: Option<Reason>,
    /// What came in since the owner's last message.
    pub(super) pending: &'a [Utterance],
    /// How many of them say something.
    substantial: usize,
    /// True if a question came more than once.
    repeated: bool,
}

impl Waiting<'_> {
    /// Whether this pending sentence is what asks for the answer.
    pub(super) fn asks(&self, reading: &Reading, sentence: &Sentence) -> bool {
        match self.reason {
            Some(Reason::Question) => is_question(reading, sentence),
            Some(Reason::Request) => reading.lexicon.finds("request", &sentence.words),
            Some(Reason::Unanswered) | None => false,
        }
    }
}

/// What waits for the owner in this conversation.
pub(super) fn waiting(reading: &Reading) -> Waiting<'_> {
    let answered = reading.utterances.iter().rposition(|utterance| utterance.direction == Direction::Out);
    let pending = &reading.utterances[answered.map_or(0, |at| at + 1)..];
    let substantial = pending.iter().filter(|utterance| !is_acknowledgement(reading, utterance)).count();
    let questions: Vec<&Utterance> = pending.iter().filter(|utterance| asks_question(reading, utterance)).collect();
    let requested = |utterance: &Utterance| {
        !is_acknowledgement(reading, utterance)
            && utterance.sentences.iter().any(|sentence| reading.lexicon.finds("request", &sentence.words))
    };
    let reason = if !questions.is_empty() {
        Some(Reason::Question)
    } else if pending.iter().any(requested) {
        Some(Reason::Request)
    } else if substantial >= MANY || (substantial > 0 && answered.is_none()) {
        Some(Reason::Unanswered)
    } else {
        None
    };
    Waiting { reason, pending, substantial, repeated: repeats(&questions) }
}

/// High: an answer is due and something presses. Normal: an answer is due.
pub(super) fn priority(reading: &Reading, waiting: &Waiting<'_>) -> Priority {
    if waiting.reason.is_none() {
        return Priority::Low;
    }
    let presses = |utterance: &Utterance| {
        mentions::money(&utterance.text).next().is_some()
            || utterance.sentences.iter().any(|sentence| reading.lexicon.finds("deadline", &sentence.words))
    };
    if waiting.repeated || waiting.substantial >= MANY || waiting.pending.iter().any(presses) {
        Priority::High
    } else {
        Priority::Normal
    }
}

/// The question marks of the scripts that have one of their own; full width is folded before.
const QUESTION_MARKS: [char; 6] = ['?', '؟', '՞', '፧', '⸮', '⁇'];

fn is_question(reading: &Reading, sentence: &Sentence) -> bool {
    sentence.text.contains(QUESTION_MARKS)
        || (sentence.words.len() > 2 && reading.lexicon.begins("question", &sentence.words).is_some())
}

fn asks_question(reading: &Reading, utterance: &Utterance) -> bool {
    // A lone "??" is no sentence, but it is a question.
    utterance.text.contains(QUESTION_MARKS) || utterance.sentences.iter().any(|sentence| is_question(reading, sentence))
}

/// Nothing that waits: no words at all and no file, or only "ok", "thanks", "good night".
fn is_acknowledgement(reading: &Reading, utterance: &Utterance) -> bool {
    let silent = utterance.words().next().is_none() && utterance.links.is_empty();
    if silent {
        return !utterance.has_attachments && !utterance.text.contains(QUESTION_MARKS);
    }
    utterance.links.is_empty()
        && !utterance.text.contains(QUESTION_MARKS)
        && utterance.sentences.iter().all(|sentence| reading.lexicon.covers("acknowledgement", &sentence.words))
}

/// A nudge without words after a question, or two questions of mostly the same words.
fn repeats(questions: &[&Utterance]) -> bool {
    let stems = |utterance: &Utterance| {
        let mut stems: Vec<String> = utterance.words().map(super::words::Word::stem).collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    };
    // The newest are enough, and bound the work.
    let all: Vec<Vec<String>> = questions.iter().rev().take(20).map(|utterance| stems(utterance)).collect();
    all.iter().enumerate().any(|(at, first)| {
        all[at + 1..].iter().any(|second| {
            let shared = first.iter().filter(|stem| second.contains(stem)).count();
            first.is_empty() || second.is_empty() || shared * 10 >= first.len().max(second.len()) * 6
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{me, request, said};
    use crate::domain::Message;

    fn judged(lines: Vec<Message>) -> (Option<&'static str>, Priority) {
        let reading = Reading::of(&request(lines));
        let waiting = waiting(&reading);
        (waiting.reason.map(Reason::as_str), priority(&reading, &waiting))
    }

    fn after_an_answer(texts: &[&str]) -> (Option<&'static str>, Priority) {
        judged(
            [me("We talked about it yesterday and I think that it is all right.")]
                .into_iter()
                .chain(texts.iter().map(|text| said("Mia", text)))
                .collect(),
        )
    }

    #[test]
    fn a_question_or_a_request_needs_an_answer_and_an_acknowledgement_does_not() {
        for (text, reason) in [
            ("When do you arrive?", Some("question")),
            ("when do you arrive", Some("question")),
            ("متى ستصل؟", Some("question")),
            ("何時に着きますか？", Some("question")),
            ("??", Some("question")),
            ("Please bring the keys", Some("request")),
            ("Call me when you are home", Some("request")),
            ("let me know", Some("request")),
            ("ok", None),
            ("Thanks a lot!", None),
            ("OK, sounds good. See you tomorrow 👍", None),
            ("👍👍🎉", None),
            ("", None),
            ("I arrived.", None),
            ("see https://a.example/?q=1", None),
        ] {
            assert_eq!(after_an_answer(&[text]).0, reason, "{text:?}");
        }
    }

    #[test]
    fn it_works_in_the_language_of_the_conversation() {
        let talk = |own: &str, text: &str| judged(vec![me(own), said("Mia", text)]).0;
        let german = "Ich habe das gestern mit der Hausverwaltung besprochen und es ist alles in Ordnung.";
        assert_eq!(talk(german, "wann kommst du am Samstag nach Hause"), Some("question"));
        assert_eq!(talk(german, "Schick mir bitte die Unterlagen"), Some("request"));
        assert_eq!(talk(german, "Alles klar, vielen Dank!"), None);
        let french = "Je suis avec le propriétaire de la maison et nous avons parlé de la cuisine.";
        assert_eq!(talk(french, "D'accord, merci beaucoup !"), None);
        assert_eq!(talk(french, "rappelle-moi ce soir"), Some("request"));
        let spanish = "He hablado con el dueño de la casa y todo está bien para la semana que viene.";
        assert_eq!(talk(spanish, "Avísame cuando llegues"), Some("request"));
        assert_eq!(talk(spanish, "Vale, muchas gracias"), None);
    }

    #[test]
    fn who_was_answered_waits_no_longer() {
        assert_eq!(judged(vec![said("Mia", "Are you there?"), me("Yes")]), (None, Priority::Low));
    }

    #[test]
    fn who_never_got_an_answer_or_says_much_waits() {
        assert_eq!(
            judged(vec![said("Mia", "I liked the photo of the mountain hut.")]),
            (Some("unanswered"), Priority::Normal)
        );
        assert_eq!(after_an_answer(&["I am at the station.", "It rains.", "ok"]).0, None);
        assert_eq!(
            after_an_answer(&["I am at the station.", "It rains.", "The bus is gone."]),
            (Some("unanswered"), Priority::High)
        );
    }

    #[test]
    fn what_presses_is_high() {
        for (texts, priority) in [
            (&["Where did you put the box?"][..], Priority::Normal),
            (&["Can you pay the 40 € back?"], Priority::High),
            (&["Can you answer by tomorrow?"], Priority::High),
            (&["Did you find the key?", "Did you find the key??"], Priority::High),
            (&["Did you find the key?", "??"], Priority::High),
            (&["Did you find the key?", "And how was the trip to Norway?"], Priority::Normal),
            (&["Tomorrow is fine, 40 € is ok"], Priority::Low),
        ] {
            assert_eq!(after_an_answer(texts).1, priority, "{texts:?}");
        }
    }
}
