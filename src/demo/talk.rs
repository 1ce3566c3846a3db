//! What people say on the sample site: short dialogues in plain files under `assets/talk/`, one per language, so that
//! somebody who writes no Rust can add a topic.
//!
//! The notation: `= name: a | b` is a list; `# topic` begins a dialogue
//! (`# !topic`: told once, in one conversation; `# +topic`: fits a group, the first one begins every group);
//! `<` is a line of the other side and `>` the owner's, with ` | ` between variants. Directly after the arrow `=` means
//! "in the same second as the line before" and `*` "edited since". `{day}` takes a word of the list `day`, the same one
//! throughout a dialogue, `{day2}` another. `[[file]]` attaches a file, `\n` breaks the line.

use super::dice::Dice;

/// The files, by BCP 47 tag; English first.
const FILES: [(&str, &str); 7] = [
    ("en", include_str!("assets/talk/en.txt")),
    ("de", include_str!("assets/talk/de.txt")),
    ("fr", include_str!("assets/talk/fr.txt")),
    ("es", include_str!("assets/talk/es.txt")),
    ("ru", include_str!("assets/talk/ru.txt")),
    ("ar", include_str!("assets/talk/ar.txt")),
    ("he", include_str!("assets/talk/he.txt")),
];

/// Sentences of the one very long message.
const JOURNEY: &str = include_str!("assets/talk/journey.txt");

/// How long the very long message is at least, in bytes.
const LONG_BYTES: usize = 20 * 1024;

/// Lists that are no words of a dialogue: `{name}` in a line stays as it is.
const NOT_IN_LINES: [&str; 2] = ["name", "small"];

/// One line of a dialogue, before its words are filled in.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Said by the owner.
    pub(super) own: bool,
    /// Sent in the same second as the line before.
    pub(super) same_second: bool,
    /// Changed after it was sent.
    pub(super) edited: bool,
    /// File name of the attachment.
    pub(super) file: Option<&'static str>,
    variants: Vec<&'static str>,
}

/// Where a dialogue may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In any conversation of two.
    Two,
    /// In any conversation, with many people too.
    Any,
    /// Once, in one conversation, because it holds something awkward.
    Special,
}

/// A dialogue.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    kind: Kind,
    /// What is said.
    pub(super) lines: Vec<Line>,
}

impl Topic {
    /// Told once, in one conversation, exactly as it is written.
    pub(super) fn is_special(&self) -> bool {
        self.kind == Kind::Special
    }
}

/// Everything that is said in one language.
#[derive(Debug)]
pub(super) struct Talk {
    lists: Vec<(&'static str, Vec<&'static str>)>,
    topics: Vec<Topic>,
}

/// Words that were chosen in this dialogue: placeholder and word.
pub(super) type Words = Vec<(String, &'static str)>;

impl Talk {
    /// Every language, English first.
    pub(super) fn all() -> Vec<Self> {
        FILES.iter().map(|(_, text)| Self::parse(text)).collect()
    }

    fn parse(text: &'static str) -> Self {
        let mut talk = Self { lists: Vec::new(), topics: Vec::new() };
        for line in text.lines() {
            match line.split_at_checked(1) {
                Some(("=", rest)) => {
                    if let Some((name, words)) = rest.split_once(':') {
                        talk.lists.push((name.trim(), words.split('|').map(str::trim).collect()));
                    }
                }
                Some(("#", rest)) => {
                    let kind = match rest.trim().chars().next() {
                        Some('!') => Kind::Special,
                        Some('+') => Kind::Any,
                        _ => Kind::Two,
                    };
                    talk.topics.push(Topic { kind, lines: Vec::new() });
                }
                Some((arrow @ ("<" | ">"), rest)) => {
                    if let (Some(topic), Some((flags, said))) = (talk.topics.last_mut(), rest.split_once(' ')) {
                        topic.lines.push(Line::parse(arrow == ">", flags, said));
                    }
                }
                _ => {}
            }
        }
        talk
    }

    /// Something that a person may say out of the blue.
    pub(super) fn remark(&self, dice: &mut Dice) -> String {
        let topics = self.topics(false);
        let lines = topics.get(dice.index(topics.len())).map_or(&[][..], |topic| &topic.lines);
        let said: Vec<&Line> = lines.iter().filter(|line| !line.own).collect();
        said.get(dice.index(said.len())).map_or_else(String::new, |line| self.say(line, &mut Words::new(), dice))
    }

    /// The words of a list; empty if there is no such list.
    pub(super) fn list(&self, name: &str) -> &[&'static str] {
        self.lists.iter().find(|(own, _)| *own == name).map_or(&[], |(_, words)| words)
    }

    /// Dialogues that may come anywhere, in a group or between two people.
    pub(super) fn topics(&self, group: bool) -> Vec<&Topic> {
        self.of_kind(|kind| kind == Kind::Any || kind == Kind::Two && !group)
    }

    /// Dialogues that come once.
    pub(super) fn specials(&self) -> Vec<&Topic> {
        self.of_kind(|kind| kind == Kind::Special)
    }

    fn of_kind(&self, wanted: impl Fn(Kind) -> bool) -> Vec<&Topic> {
        self.topics.iter().filter(|topic| wanted(topic.kind)).collect()
    }

    /// What the line says, with its words filled in; `words` remembers them for the rest of the dialogue.
    pub(super) fn say(&self, line: &Line, words: &mut Words, dice: &mut Dice) -> String {
        let pattern = line.variants[dice.index(line.variants.len())];
        if pattern == "{{LONG}}" {
            return journey(dice);
        }
        let mut said = String::with_capacity(pattern.len() + 16);
        let mut rest = pattern;
        while let Some(at) = rest.find(['{', '\\']) {
            said.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((word, after)) = self.placeholder(rest, words, dice) {
                said.push_str(word);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("\\n") {
                said.push('\n');
                rest = after;
            } else {
                // A doubled backslash stands for one; anything else for itself.
                let after = rest.strip_prefix('\\').filter(|after| after.starts_with('\\')).unwrap_or(rest);
                said.push_str(&after[..1]);
                rest = &after[1..];
            }
        }
        said.push_str(rest);
        said
    }

    fn placeholder<'a>(&self, rest: &'a str, words: &mut Words, dice: &mut Dice) -> Option<(&'static str, &'a str)> {
        let (name, after) = rest.strip_prefix('{')?.split_once('}')?;
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let list = self.list(base);
        if list.is_empty() || NOT_IN_LINES.contains(&base) {
            return None;
        }
        if let Some((_, word)) = words.iter().find(|(known, _)| known == name) {
            return Some((word, after));
        }
        let start = dice.index(list.len());
        // `{day2}` is another day than `{day}`, as long as the list is long enough.
        let word = (0..list.len())
            .map(|step| list[(start + step) % list.len()])
            .find(|word| !words.iter().any(|(_, used)| used == word))
            .unwrap_or(list[start]);
        words.push((name.to_owned(), word));
        Some((word, after))
    }
}

impl Line {
    fn parse(own: bool, flags: &str, said: &'static str) -> Self {
        let (said, file) = match said.split_once("[[") {
            Some((said, file)) => (said.trim_end(), Some(file.trim_end_matches("]]"))),
            None => (said, None),
        };
        Self {
            own,
            same_second: flags.contains('='),
            edited: flags.contains('*'),
            file,
            variants: said.split(" | ").collect(),
        }
    }
}

/// A letter of more than [`LONG_BYTES`], in paragraphs.
fn journey(dice: &mut Dice) -> String {
    let sentences: Vec<&str> = JOURNEY.lines().collect();
    let mut letter = String::new();
    let mut day = 0;
    while letter.len() < LONG_BYTES {
        day += 1;
        letter.push_str(&format!("Day {day}."));
        for _ in 0..4 + dice.index(5) {
            letter.push(' ');
            letter.push_str(sentences[dice.index(sentences.len())]);
        }
        letter.push_str("\n\n");
    }
    letter.push_str("And that was that.");
    letter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &'static str) -> String {
        let talk = Talk::parse("= day: Monday | Tuesday\n= name: Mara\n");
        talk.say(&Line::parse(true, "", line), &mut Vec::new(), &mut Dice::new(1, &[]))
    }

    #[test]
    fn every_file_is_in_the_notation() {
        for (tag, text) in FILES {
            for line in text.lines().filter(|line| !line.is_empty()) {
                assert!(["= ", "# ", "< ", "> ", "<=", ">=", "<*", ">*"].iter().any(|s| line.starts_with(s)), "{line}");
            }
            let talk = Talk::parse(text);
            assert!(talk.list("name").len() >= 8 && talk.list("small").len() >= 5, "{tag}");
            assert!(talk.topics(false).len() >= 2 && talk.topics.iter().all(|topic| topic.lines.len() >= 5), "{tag}");
        }
    }

    #[test]
    fn every_placeholder_of_a_dialogue_is_filled() {
        for talk in Talk::all() {
            for topic in talk.topics(false) {
                let mut words = Vec::new();
                for line in &topic.lines {
                    let text = talk.say(line, &mut words, &mut Dice::new(3, &[]));
                    assert!(!text.contains(['{', '}', '\\']) && text.trim() == text && !text.is_empty(), "{text}");
                }
            }
        }
    }

    #[test]
    fn words_stay_the_same_and_numbered_ones_differ() {
        let text = said("{day} {day2} {day}");
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words[0], words[2]);
        assert_ne!(words[0], words[1]);
    }

    #[test]
    fn escapes_and_foreign_braces_are_kept() {
        assert_eq!(said("a\\nb"), "a\nb");
        assert_eq!(said("a\\\\nb"), "a\\nb");
        assert_eq!(said("{{name}} & ${name} {unknown}"), "{{name}} & ${name} {unknown}");
        assert!(said("{{LONG}}").len() >= LONG_BYTES);
    }
}
