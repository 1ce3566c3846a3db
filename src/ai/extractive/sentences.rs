//! A text in sentences: at line ends, and where Unicode says that a sentence ends, unless an
//! abbreviation stands there.

use unicode_segmentation::UnicodeSegmentation;

use super::words::ends_in_abbreviation;

/// A message gives at most so many sentences, so that one pasted book is not the whole conversation.
const MOST: usize = 40;

/// The sentences of a cleaned text, trimmed, none empty.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut from = 0;
        for (at, piece) in line.split_sentence_bound_indices() {
            let end = at + piece.len();
            let sentence = line[from..end].trim();
            if end < line.len() && (ends_in_abbreviation(sentence) || !has_letters(&line[end..])) {
                continue;
            }
            from = end;
            if !sentence.is_empty() {
                sentences.push(sentence);
            }
        }
        if sentences.len() >= MOST {
            sentences.truncate(MOST);
            break;
        }
    }
    sentences
}

/// A trailing `!!` or emoji belongs to the sentence before it.
fn has_letters(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        for (text, sentences) in [
            ("Hi! How are you? Fine.", vec!["Hi!", "How are you?", "Fine."]),
            ("Dr. Weiss comes at 18.30 Uhr. Passt das?", vec!["Dr. Weiss comes at 18.30 Uhr.", "Passt das?"]),
            ("one\ntwo", vec!["one", "two"]),
            ("Great! 🎉🎉", vec!["Great! 🎉🎉"]),
            ("明日行く？ うん。", vec!["明日行く？", "うん。"]),
            ("كيف حالك؟ بخير.", vec!["كيف حالك؟", "بخير."]),
            ("", vec![]),
        ] {
            assert_eq!(split(text), sentences, "{text}");
        }
        assert_eq!(split(&"A. Word. ".repeat(500)).len(), MOST);
    }
}
