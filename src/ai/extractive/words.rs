//! The word lists of each language, and the words of a text.
//!
//! The lists are data (`words/*.txt`): a list is a heading in brackets, then entries between commas. An
//! entry of several words is a phrase. Texts and entries go through the same folding, so that
//! `Don’t`, `don't` and `dont` are one word.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

/// A word of a text.
pub(super) struct Word {
    /// As written, without an elided article (`l'ami` → `ami`).
    pub(super) surface: String,
    /// In small letters, without apostrophes: what lists are searched for.
    pub(super) folded: String,
    /// True if a blank or nothing stands between this word and the one before it.
    pub(super) joined: bool,
}

impl Word {
    /// What words of one family have in common: no plural s, six letters. Crude, and the same for
    /// every language; it only serves to compare sentences.
    pub(super) fn stem(&self) -> String {
        let singular = match self.folded.strip_suffix('s') {
            Some(rest) if rest.chars().count() > 2 => rest,
            _ => &self.folded,
        };
        singular.chars().take(6).collect()
    }
}

/// The words of a text in order.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut end = 0;
    for (at, written) in text.unicode_word_indices() {
        let surface = without_elision(written);
        let folded: String = surface.chars().filter(|c| !is_apostrophe(*c)).flat_map(char::to_lowercase).collect();
        // Numbers and Latin letters of one line belong together only if nothing but a blank parts them.
        let joined = matches!(&text[end..at], "" | " ");
        end = at + written.len();
        if !folded.is_empty() {
            words.push(Word { surface: surface.to_owned(), folded, joined });
        }
    }
    words
}

const fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '`' | '´')
}

/// Elided articles and pronouns of French and Italian.
const ELIDED: [&str; 10] = ["l", "d", "j", "c", "n", "s", "m", "t", "qu", "jusqu"];

fn without_elision(word: &str) -> &str {
    match word.split_once(is_apostrophe) {
        Some((head, rest)) if rest.chars().count() > 1 && ELIDED.iter().any(|e| head.eq_ignore_ascii_case(e)) => rest,
        _ => word,
    }
}

/// A list: from the first word of a phrase to what may follow it (nothing, for a single word).
type Phrases = HashMap<String, Vec<Vec<String>>>;

/// One language's lists, by name.
struct Lists {
    tag: &'static str,
    phrases: HashMap<&'static str, Phrases>,
    /// Marks as they stand.
    marks: HashMap<&'static str, Vec<&'static str>>,
}

fn parse(tag: &'static str, source: &'static str) -> Lists {
    let mut lists = Lists { tag, phrases: HashMap::new(), marks: HashMap::new() };
    let mut name = "";
    for line in source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name = heading;
            continue;
        }
        for entry in line.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if name.ends_with("_marks") {
                lists.marks.entry(name).or_default().push(entry);
                continue;
            }
            let mut entry = words(entry).into_iter().map(|word| word.folded);
            if let Some(first) = entry.next() {
                lists.phrases.entry(name).or_default().entry(first).or_default().push(entry.collect());
            }
        }
    }
    lists
}

static COMMON: LazyLock<Lists> = LazyLock::new(|| parse("", include_str!("words/common.txt")));
static LANGUAGES: LazyLock<Vec<Lists>> = LazyLock::new(|| {
    vec![
        parse("en", include_str!("words/en.txt")),
        parse("de", include_str!("words/de.txt")),
        parse("fr", include_str!("words/fr.txt")),
        parse("es", include_str!("words/es.txt")),
        parse("it", include_str!("words/it.txt")),
        parse("pt", include_str!("words/pt.txt")),
        parse("nl", include_str!("words/nl.txt")),
    ]
});

/// How many words of a text are function words of each language that has a list.
pub(super) fn function_words(words: &[&Word]) -> Vec<(&'static str, usize)> {
    let count = |lists: &Lists| words.iter().filter(|word| is_on(&lists.phrases["stop"], word)).count();
    LANGUAGES.iter().map(|lists| (lists.tag, count(lists))).collect()
}

/// Whether a single word is on the list.
fn is_on(phrases: &Phrases, word: &Word) -> bool {
    phrases.get(&word.folded).is_some_and(|tails| tails.iter().any(Vec::is_empty))
}

/// The lists that apply to a conversation: those of its language, of every language if it is unknown,
/// and always the common ones.
pub(super) struct Lexicon {
    lists: Vec<&'static Lists>,
    /// True if the language has a list of feelings, or might have.
    pub(super) judges_mood: bool,
    /// True if the language has a stop list, or might have.
    pub(super) knows_stop_words: bool,
}

impl Lexicon {
    /// The lists for the language of this tag.
    pub(super) fn of(language: Option<&str>) -> Self {
        let applies = |lists: &&Lists| language.is_none_or(|tag| tag == lists.tag);
        let mut lists: Vec<&'static Lists> = vec![&COMMON];
        lists.extend(LANGUAGES.iter().filter(applies));
        let judges_mood = lists.iter().any(|lists| lists.phrases.contains_key("positive"));
        Self { knows_stop_words: lists.len() > 1, lists, judges_mood }
    }

    fn named<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'static Phrases> + 'a {
        self.lists.iter().filter_map(move |lists| lists.phrases.get(list))
    }

    /// Whether a single word is on the list.
    pub(super) fn has(&self, list: &str, word: &Word) -> bool {
        self.named(list).any(|phrases| is_on(phrases, word))
    }

    /// The length in words of the longest phrase of the list that begins the text.
    pub(super) fn begins(&self, list: &str, words: &[Word]) -> Option<usize> {
        let (first, rest) = words.split_first()?;
        let tails = self.named(list).filter_map(|phrases| phrases.get(&first.folded)).flatten();
        let fits = |tail: &&Vec<String>| {
            tail.len() <= rest.len() && tail.iter().zip(rest).all(|(expected, word)| *expected == word.folded)
        };
        tails.filter(fits).map(|tail| tail.len() + 1).max()
    }

    /// Whether a phrase of the list stands anywhere in the text.
    pub(super) fn finds(&self, list: &str, words: &[Word]) -> bool {
        (0..words.len()).any(|at| self.begins(list, &words[at..]).is_some())
    }

    /// Whether the text consists of nothing but phrases of the list.
    pub(super) fn covers(&self, list: &str, words: &[Word]) -> bool {
        let mut rest = words;
        while let Some(length) = self.begins(list, rest) {
            rest = &rest[length..];
        }
        rest.is_empty()
    }

    /// How often marks of the list stand in the text.
    pub(super) fn marks(&self, list: &str, text: &str) -> usize {
        let all = self.lists.iter().filter_map(|lists| lists.marks.get(list)).flatten();
        all.map(|mark| text.matches(mark).count()).sum()
    }
}

/// Whether a sentence that ends like this goes on: `Dr.`, `z.B.`, an initial.
pub(super) fn ends_in_abbreviation(text: &str) -> bool {
    let Some(head) = text.trim_end().strip_suffix('.') else { return false };
    let last = head.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default().to_lowercase();
    let is_initial = last.chars().count() == 1 && last.chars().all(char::is_alphabetic);
    is_initial || COMMON.marks["abbreviation_marks"].contains(&last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_known_and_every_phrase_can_be_found() {
        let known = [
            "stop",
            "no_topic",
            "question",
            "request",
            "acknowledgement",
            "deadline",
            "positive",
            "negative",
            "negation",
            "money_ask",
            "money_thing",
            "move_ask",
            "secret_thing",
            "secret_ask",
            "application",
        ];
        for lists in LANGUAGES.iter().chain([&*COMMON]) {
            assert!(lists.phrases.contains_key("stop"), "{}", lists.tag);
            for (name, phrases) in &lists.phrases {
                assert!(known.contains(name), "{}: [{name}]", lists.tag);
                // Longer phrases are a comma that was forgotten.
                assert!(phrases.values().flatten().all(|tail| tail.len() < 6), "{}: [{name}]", lists.tag);
            }
            for (name, marks) in &lists.marks {
                assert!(["positive_marks", "negative_marks", "abbreviation_marks"].contains(name), "[{name}]");
                assert!(!marks.is_empty());
            }
        }
    }

    #[test]
    fn writing_habits_do_not_matter() {
        let lexicon = Lexicon::of(Some("en"));
        for text in ["Don’t forget", "DONT FORGET", "don't  forget"] {
            assert_eq!(lexicon.begins("request", &words(text)), Some(2), "{text}");
        }
        assert!(Lexicon::of(Some("fr")).covers("acknowledgement", &words("D’accord, merci !")));
        assert_eq!(
            words("l'ami d’Anna o'clock").iter().map(|w| w.folded.as_str()).collect::<Vec<_>>(),
            ["ami", "anna", "oclock"]
        );
    }

    #[test]
    fn lists_of_other_languages_do_not_apply_to_a_known_one() {
        assert!(!Lexicon::of(Some("en")).finds("stop", &words("die war")));
        assert!(Lexicon::of(Some("de")).finds("stop", &words("die war")));
        assert!(Lexicon::of(None).finds("stop", &words("die war")));
        assert!(!Lexicon::of(Some("ru")).judges_mood && !Lexicon::of(Some("ru")).knows_stop_words);
        assert!(!Lexicon::of(Some("nl")).judges_mood && Lexicon::of(Some("nl")).knows_stop_words);
    }
}
