//! The mood of the other side, by counting: words from small lists, emoji, and `not` before a word.
//! Anything cleverer would only be wrong with more confidence; where there is no list and no emoji,
//! the answer is that it is not known.

use super::reading::{Reading, Utterance};
use super::words::Word;
use crate::domain::{Direction, Sentiment};

/// The newest so many messages of the other side: a mood passes.
const WINDOW: usize = 200;
/// A word of denial this many words before a feeling turns it round.
const REACH: usize = 3;

/// The mood.
pub(super) fn judge(reading: &Reading) -> Sentiment {
    let theirs: Vec<&Utterance> =
        reading.utterances.iter().rev().filter(|utterance| utterance.direction == Direction::In).take(WINDOW).collect();
    let (mut good, mut bad, mut words) = (0, 0, 0);
    for utterance in &theirs {
        let (mut g, mut b) = (
            reading.lexicon.marks("positive_marks", &utterance.text),
            reading.lexicon.marks("negative_marks", &utterance.text),
        );
        for sentence in &utterance.sentences {
            let (more, less) = feelings(reading, &sentence.words);
            g += more;
            b += less;
            words += sentence.words.len();
        }
        // One message, however many hearts, is one voice.
        good += g.min(3);
        bad += b.min(3);
    }
    let known = good + bad > 0 || (reading.language.is_some() && reading.lexicon.judges_mood && words >= 3);
    if !known {
        return Sentiment::Unknown;
    }
    let strong = (good + bad) * 8 >= theirs.len();
    if !strong {
        Sentiment::Neutral
    } else if good > bad * 2 {
        Sentiment::Positive
    } else if bad > good * 2 {
        Sentiment::Negative
    } else if good.min(bad) > 1 {
        Sentiment::Mixed
    } else {
        Sentiment::Neutral
    }
}

fn feelings(reading: &Reading, words: &[Word]) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let found = reading.lexicon.begins("positive", rest).map(|length| (true, length));
        let found = found.or_else(|| reading.lexicon.begins("negative", rest).map(|length| (false, length)));
        let Some((is_good, length)) = found else {
            at += 1;
            continue;
        };
        let denied = words[at.saturating_sub(REACH)..at].iter().any(|word| reading.lexicon.has("negation", word));
        if is_good == denied {
            bad += 1
        } else {
            good += 1
        }
        at += length;
    }
    (good, bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{me, request, said};

    fn mood(texts: &[&str]) -> Sentiment {
        judge(&Reading::of(&request(texts.iter().map(|text| said("Mia", text)).collect())))
    }

    #[test]
    fn moods_are_told_apart() {
        for (texts, expected) in [
            (&["I am so happy, the trip was wonderful!"][..], Sentiment::Positive),
            (&["This is terrible and I am really disappointed with you."], Sentiment::Negative),
            (&["That was not good at all, I am not happy with it."], Sentiment::Negative),
            (
                &["The food was great and the beach wonderful.", "But the room was awful and I was sick and tired."],
                Sentiment::Mixed,
            ),
            (&["The train to the airport leaves at nine and the bus at ten."], Sentiment::Neutral),
            (&["Das ist wunderbar, ich freue mich so auf die Reise mit dir!"], Sentiment::Positive),
            (&["Das ist doch furchtbar und ich bin sehr enttäuscht von euch."], Sentiment::Negative),
            (&["Je suis très déçue, c'est vraiment nul et je suis triste."], Sentiment::Negative),
            (&["Estoy muy feliz, la fiesta fue maravillosa y me encanta el regalo."], Sentiment::Positive),
            (&["👍😀"], Sentiment::Positive),
            (&["😡💔"], Sentiment::Negative),
            (&["Сегодня поезд уходит в девять часов утра с главного вокзала города."], Sentiment::Unknown),
            (&["Сегодня поезд уходит в девять часов 😡😡"], Sentiment::Negative),
            (&[""], Sentiment::Unknown),
        ] {
            assert_eq!(mood(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn only_the_other_side_counts() {
        let lines =
            vec![me("I hate this, it is terrible and awful."), said("Mia", "The train to the airport leaves at nine.")];
        assert_eq!(judge(&Reading::of(&request(lines))), Sentiment::Neutral);
    }
}
