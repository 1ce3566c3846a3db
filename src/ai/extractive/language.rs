//! The language of most of a conversation, as a BCP 47 tag, or nothing: a wrong language is worse than
//! none, because the wrong word lists would apply.
//!
//! Two witnesses. Function words (`the`, `und`, `que`) tell the seven languages that have a list even
//! in a few short lines, where trigrams fail; whatlang tells the others, and is believed only when it
//! says itself that it is reliable.

use super::mentions::LINK;
use super::reading::Utterance;
use super::words::{Word, function_words};

/// Characters at the end that are looked at first: what is spoken now.
const TAIL: usize = 4_000;
/// Characters that are looked at if the end does not tell.
const WHOLE: usize = 40_000;

/// The language of a conversation.
pub(super) fn of(utterances: &[Utterance]) -> Option<&'static str> {
    [TAIL, WHOLE].into_iter().find_map(|size| detect(utterances, size))
}

fn detect(utterances: &[Utterance], size: usize) -> Option<&'static str> {
    let mut room = size;
    let newest: Vec<&Utterance> = utterances
        .iter()
        .rev()
        .take_while(|utterance| {
            let fits = room > 0;
            room = room.saturating_sub(utterance.text.chars().count());
            fits
        })
        .collect();
    let words: Vec<&Word> = newest.iter().flat_map(|utterance| utterance.words()).take(size / 4).collect();
    by_function_words(&words).or_else(|| {
        let text: Vec<&str> = newest.iter().map(|utterance| utterance.text.as_str()).collect();
        let text: String = text.join("\n").chars().filter(|c| *c != LINK).take(size).collect();
        by_trigrams(&text)
    })
}

/// At least four function words, a quarter of the text, and half as many again as of the next
/// language.
fn by_function_words(words: &[&Word]) -> Option<&'static str> {
    let mut counts = function_words(words);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let [(tag, first), (_, second), ..] = counts[..] else { return None };
    (first >= 4 && first * 4 >= words.len() && first * 2 >= second * 3).then_some(tag)
}

/// Fewer letters than this, and trigrams of the Latin alphabet tell nothing.
const ENOUGH_LETTERS: usize = 60;

fn by_trigrams(text: &str) -> Option<&'static str> {
    let info = whatlang::detect(text)?;
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let short = info.script() == whatlang::Script::Latin && letters < ENOUGH_LETTERS;
    if short || !info.is_reliable() {
        return None;
    }
    let code = info.lang().code();
    // BCP 47 wants the two-letter code where there is one.
    Some(TAGS.iter().find(|(long, _)| *long == code).map_or(code, |(_, tag)| tag))
}

/// ISO 639-3 as whatlang says it → BCP 47. What is not here has no shorter form.
const TAGS: &[(&str, &str)] = &[
    ("epo", "eo"),
    ("eng", "en"),
    ("rus", "ru"),
    ("cmn", "zh"),
    ("spa", "es"),
    ("por", "pt"),
    ("ita", "it"),
    ("ben", "bn"),
    ("fra", "fr"),
    ("deu", "de"),
    ("ukr", "uk"),
    ("kat", "ka"),
    ("ara", "ar"),
    ("hin", "hi"),
    ("jpn", "ja"),
    ("heb", "he"),
    ("yid", "yi"),
    ("pol", "pl"),
    ("amh", "am"),
    ("jav", "jv"),
    ("kor", "ko"),
    ("nob", "nb"),
    ("dan", "da"),
    ("swe", "sv"),
    ("fin", "fi"),
    ("tur", "tr"),
    ("nld", "nl"),
    ("hun", "hu"),
    ("ces", "cs"),
    ("ell", "el"),
    ("bul", "bg"),
    ("bel", "be"),
    ("mar", "mr"),
    ("kan", "kn"),
    ("ron", "ro"),
    ("slv", "sl"),
    ("hrv", "hr"),
    ("srp", "sr"),
    ("mkd", "mk"),
    ("lit", "lt"),
    ("lav", "lv"),
    ("est", "et"),
    ("tam", "ta"),
    ("vie", "vi"),
    ("urd", "ur"),
    ("tha", "th"),
    ("guj", "gu"),
    ("uzb", "uz"),
    ("pan", "pa"),
    ("aze", "az"),
    ("ind", "id"),
    ("tel", "te"),
    ("pes", "fa"),
    ("mal", "ml"),
    ("ori", "or"),
    ("mya", "my"),
    ("nep", "ne"),
    ("sin", "si"),
    ("khm", "km"),
    ("tuk", "tk"),
    ("aka", "ak"),
    ("zul", "zu"),
    ("sna", "sn"),
    ("afr", "af"),
    ("lat", "la"),
    ("slk", "sk"),
    ("cat", "ca"),
    ("tgl", "tl"),
    ("hye", "hy"),
    ("cym", "cy"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::reading::Reading;
    use crate::ai::extractive::tests::{request, said};

    fn language(text: &str) -> Option<&'static str> {
        Reading::of(&request(vec![said("Mia", text)])).language
    }

    #[test]
    fn every_tag_is_a_language_of_the_detector() {
        for lang in whatlang::Lang::all() {
            assert!(TAGS.iter().any(|(long, _)| *long == lang.code()), "{}", lang.code());
        }
    }

    #[test]
    fn short_chats_tell_their_language_and_shorter_ones_do_not() {
        for (text, tag) in [
            ("Hey, are you coming to the party on Friday? I will bring the cake.", Some("en")),
            ("Hallo, kommst du am Freitag zu der Feier? Ich bringe den Kuchen mit.", Some("de")),
            ("Salut, tu viens à la fête vendredi ? Je vais apporter le gâteau.", Some("fr")),
            ("Hola, ¿vienes a la fiesta el viernes? Yo llevo el pastel para todos.", Some("es")),
            ("Ciao, vieni alla festa venerdì? Io porto la torta per tutti, ma non so quando arrivo.", Some("it")),
            ("Oi, você vem para a festa na sexta? Eu vou levar o bolo, mas não sei a hora.", Some("pt")),
            ("Hoi, kom je vrijdag naar het feest? Ik neem de taart mee, maar ik weet niet hoe laat.", Some("nl")),
            ("Привет, ты придёшь в пятницу на праздник? Я принесу торт и хорошее настроение.", Some("ru")),
            ("مرحبا، هل ستأتي إلى الحفلة يوم الجمعة؟ سأحضر الكعكة معي إلى البيت", Some("ar")),
            ("ok", None),
            ("👍👍", None),
            ("", None),
            ("https://www.example.com/the/and/of/with", None),
        ] {
            assert_eq!(language(text), tag, "{text}");
        }
    }
}
