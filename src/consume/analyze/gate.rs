//! Which messages say so little that nobody needs to be asked about them: pure.
//!
//! Errs on the side of asking: whatever might be an answer, a question or a nudge goes through.

use crate::domain::{Direction, Message, Priority, Verdict};

/// Acknowledgements in the languages that the extractive analyst knows words of, without accents of
/// surprise. "Yes" and "no" are answers and not among them.
const ACKNOWLEDGEMENTS: &[&str] = &[
    "ah", "aha", "cool", "danke", "gracias", "gn", "grazie", "haha", "hahaha", "hehe", "hihi", "hm", "hmm", "jaja",
    "k", "kk", "lmao", "lol", "merci", "mhm", "nice", "np", "obrigada", "obrigado", "oh", "ok", "okay", "okey", "oki",
    "rofl", "thanks", "thx", "ty", "wow", "xd",
];

/// Most words of an acknowledgement: "ok thanks lol".
const WORDS: usize = 3;

/// Whether new messages need no analysis: each is the owner's own, or says next to nothing.
pub(super) fn is_idle(new: &[Message]) -> bool {
    new.iter().all(|message| message.direction == Direction::Out || says_nothing(message.text.expose()))
}

/// A sticker or picture (no text at all), emoji, or an acknowledgement.
fn says_nothing(text: &str) -> bool {
    // "?" alone asks for an answer.
    if text.contains(['?', '؟', '？']) {
        return false;
    }
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .take(WORDS + 1)
        .collect();
    words.len() <= WORDS && words.iter().all(|word| ACKNOWLEDGEMENTS.contains(&word.as_str()))
}

/// The last verdict, with what is plain without asking anybody: who spoke last, and that an owner who has
/// written since owes no answer.
pub(super) fn carried(verdict: &Verdict, new: &[Message]) -> Verdict {
    let mut verdict = verdict.clone();
    if let Some(last) = new.last() {
        verdict.last_speaker = Some(last.direction);
    }
    if new.iter().any(|message| message.direction == Direction::Out) {
        verdict.needs_reply = false;
        verdict.needs_reply_reason = None;
        verdict.priority = Priority::Low;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_known_and_nothing_else_is_taken_for_it() {
        for idle in ["", " ", "👍", "😂😂", "…", "ok", "OK!", "Okay :)", "lol 😂", "ok, thanks", "Haha.", "❤\u{fe0f}"]
        {
            assert!(says_nothing(idle), "{idle}");
        }
        let telling = [
            "yes",
            "no",
            "?",
            "ok?",
            "ok see you at 8",
            "50",
            "thanks but no",
            "call me",
            "ok ok ok ok",
            "نعم",
            "help",
            "ok ich komme",
            "👍?",
            "bye forever",
        ];
        for telling in telling {
            assert!(!says_nothing(telling), "{telling}");
        }
    }
}
