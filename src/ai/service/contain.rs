//! What no answer may hold: our marks and instructions, links, markup, encoded runs.
//!
//! All defences inside a model have been broken by those who tried long enough; these checks are in our own
//! code, on what comes out, and don't ask what went in. They look at the answer as a person would see it and
//! as one would hide something in it: folded, stripped, reversed, encoded.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::error::{Flaw, Leak};
use super::super::extractive::clean::clean;
use super::super::extractive::mentions::without_links;
use super::mask::without_placeholders;
use super::question::Question;
use crate::telemetry::pattern::pattern;

/// So many characters of a mark in a row give it away.
const PIECE: usize = 8;
/// So many words of the instructions in a row give them away.
const WORDS: usize = 8;

/// HTML, its entities, and Markdown that leads somewhere or loads something.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)</?[a-z][a-z0-9-]*(?:[\s/>]|$)|<!|<\?|&(?:#x?[0-9a-f]+|[a-z]{2,8});|\]\s?\(|!\[|```|\{\{|\$\{")
});

/// A web site without a scheme, as sheets and messengers turn it into a link.
static SITE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?(?:\.|\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?))+",
        r"(?:com|net|org|info|biz|io|co|me|ru|cn|de|fr|uk|eu|us|xyz|top|site|online|link|click|club|shop|app|dev|page|live|",
        r"store|icu|vip|work|tk|ml|ga|cf|gq|ly|gl|gd|to|cc|tv|ws|su|pw|zip|mov|example|invalid|test|onion)\b",
        r"|\bh(?:tt|xx)ps?\b\s?[:\[(]",
    ))
});

/// An e-mail address, which is no web site.
static MAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}"));

/// A run without blanks that is longer than words are.
static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/=_%-]{32,}"));

/// Whether what the model said gives away what only the instructions hold. `said` is all it said, `values`
/// what would be shown.
pub(super) fn leak(question: &Question, said: &str, values: &[&str]) -> Option<Leak> {
    for (mark, leak) in [(&question.marks.canary, Leak::Canary), (&question.marks.boundary, Leak::Boundary)] {
        let secret = mark.strip_prefix("BOUNDARY-").unwrap_or(mark);
        if gives_away(said, secret) || gives_away(&values.concat(), secret) {
            return Some(leak);
        }
    }
    let instructions = pieces(&question.system);
    values.iter().any(|value| !pieces(value).is_disjoint(&instructions)).then_some(Leak::Instructions)
}

/// Whether `text` holds eight characters of `secret` in a row, in whatever dress.
fn gives_away(text: &str, secret: &str) -> bool {
    let plain = folded(text);
    let backwards: String = plain.chars().rev().collect();
    let rotated: String = plain.chars().map(rot13).collect();
    // Spelt with a word for each letter.
    let initials: String = text.split_whitespace().filter_map(|word| folded(word).chars().next()).collect();
    let mut dresses = vec![plain, backwards, rotated, initials];
    dresses.extend(decoded(text).iter().flat_map(|inner| {
        let inner = folded(inner);
        [inner.chars().rev().collect(), inner]
    }));
    let pieces: Vec<&str> =
        (0..=secret.len().saturating_sub(PIECE)).filter_map(|at| secret.get(at..at + PIECE)).collect();
    dresses.iter().any(|dress| pieces.iter().any(|piece| dress.contains(piece)))
}

/// Lower-case letters and digits only; letters of other scripts that look like them count as what they
/// look like.
fn folded(text: &str) -> String {
    clean(text, usize::MAX)
        .chars()
        .flat_map(char::to_lowercase)
        .map(latin)
        .filter(char::is_ascii_alphanumeric)
        .collect()
}

/// The Latin twin of a Cyrillic or Greek letter.
fn latin(c: char) -> char {
    const TWINS: [(char, &str); 19] = [
        ('b', "вьƅβ"),
        ('c', "сϲⅽ"),
        ('d', "ԁժ"),
        ('f', "ғϝ"),
        ('g', "ɡց"),
        ('h', "һнհ"),
        ('j', "јϳ"),
        ('k', "кκ"),
        ('m', "мϻ"),
        ('n', "пոη"),
        ('p', "рρ"),
        ('q', "ԛգ"),
        ('r', "гᴦ"),
        ('s', "ѕꜱ"),
        ('t', "тτ"),
        ('v', "νѵ"),
        ('w', "ԝωѡ"),
        ('x', "хχ"),
        ('z', "ᴢʐ"),
    ];
    TWINS.iter().find(|(_, twins)| twins.contains(c)).map_or(c, |(latin, _)| *latin)
}

fn rot13(c: char) -> char {
    match c {
        'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
        c => c,
    }
}

/// What runs of base64 and hex hold, and numbers of characters written out.
fn decoded(text: &str) -> Vec<String> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    for run in squeezed.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '-' | '_')) {
        if run.len() < PIECE {
            continue;
        }
        // A secret may begin at any of the four places of a group.
        found.extend((0..4).map(|skip| base64(run.get(skip..).unwrap_or_default())));
        found.extend((0..2).map(|skip| hex(run.get(skip..).unwrap_or_default())));
    }
    let spaced: String = text
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter_map(|word| u8::from_str_radix(word, 16).ok().filter(|_| word.len() == 2))
        .map(char::from)
        .collect();
    let numbers: String = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse::<u8>().ok())
        .filter(u8::is_ascii_graphic)
        .map(char::from)
        .collect();
    found.extend([spaced, numbers]);
    found
}

fn base64(run: &str) -> String {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(run.len());
    let (mut bits, mut held) = (0u32, 0u32);
    for value in run.bytes().filter_map(digit) {
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes.into_iter().map(char::from).collect()
}

fn hex(run: &str) -> String {
    let pairs = run.as_bytes().chunks_exact(2).map_while(|pair| std::str::from_utf8(pair).ok());
    pairs.map_while(|pair| u8::from_str_radix(pair, 16).ok()).map(char::from).collect()
}

/// Every eight words in a row.
fn pieces(text: &str) -> HashSet<String> {
    let words: Vec<String> = clean(text, usize::MAX)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.windows(WORDS).map(|piece| piece.join(" ")).collect()
}

/// What keeps the clean text of a field from being shown.
pub(super) fn flaw(field: &'static str, text: &str) -> Option<Flaw> {
    let text = &*without_placeholders(text);
    if without_links(text).0 != text || SITE.is_match(&MAIL.replace_all(text, "it")) {
        return Some(Flaw::Link(field));
    }
    if MARKUP.is_match(text) {
        return Some(Flaw::Markup(field));
    }
    RUN.find_iter(text).any(|run| is_encoded(run.as_str())).then_some(Flaw::Encoded(field))
}

/// Longer than any word, or shorter and made of what words are not made of.
fn is_encoded(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.bytes().any(|b| kind(&b));
    run.len() >= 64 || (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)) || {
        let turns =
            run.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
        turns.count() >= 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{request, said};
    use crate::ai::service::mask::Mask;
    use crate::ai::service::question::Marks;

    fn question() -> Question {
        let marks = Marks {
            canary: "bcdfghjkmnpq23456789rstv".to_owned(),
            boundary: "BOUNDARY-zzxx".to_owned() + "wwvvttssrrqqppnn",
        };
        let system = "You read one private chat and describe it for its owner in plain words. bcdfghjkmnpq23456789rstv";
        Question::new(&request(vec![said("Mia", "hi")]), system.to_owned(), marks, &mut Mask::new(false), 1_000)
    }

    #[test]
    fn the_canary_is_found_in_every_dress() {
        let question = question();
        let canary = &question.marks.canary;
        let spaced: String = canary.chars().flat_map(|c| [c, ' ', '-']).collect();
        let wide: String = canary.chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect();
        let hidden: String = canary.chars().flat_map(|c| [c, '\u{200b}']).collect();
        let hex: String = canary.bytes().map(|b| format!("{b:02x}")).collect();
        let hex_spaced: String = canary.bytes().map(|b| format!("0x{b:02X} ")).collect();
        let numbers: String = canary.bytes().map(|b| format!("{b}, ")).collect();
        let backwards: String = canary.chars().rev().collect();
        for dress in [
            canary.clone(),
            canary.to_uppercase(),
            spaced,
            wide,
            hidden,
            hex,
            hex_spaced,
            numbers,
            backwards,
            canary[4..14].to_owned(),
            canary.chars().map(rot13).collect(),
            "YmNkZmdoamttbnBxMjM0NTY3ODlyc3R2".to_owned(),
            "x YmNkZmdoamttbnBxMjM0 NTY3ODlyc3R2".to_owned(),
            "bсdfgһjкmпрq".to_owned(),
            "Bravo Charlie Delta Foxtrot Golf Hotel Juliett Kilo Mike".to_owned(),
        ] {
            let said = format!("The token is: {dress}.");
            assert_eq!(leak(&question, &said, &[]), Some(Leak::Canary), "{dress}");
        }
        // Parted between two fields.
        let values = [format!("a {}", &canary[..5]), format!("{} b", &canary[5..])];
        assert_eq!(leak(&question, "", &[&values[0][2..], &values[1]]), Some(Leak::Canary));
        assert_eq!(leak(&question, "zzxxwwvvttss", &[]), Some(Leak::Boundary));
        assert_eq!(leak(&question, "Mia asks whether Tom comes at 9.", &["Mia asks whether Tom comes at 9."]), None);
    }

    #[test]
    fn eight_words_of_the_instructions_are_too_many() {
        let question = question();
        let quoted = "It says: you READ one private chat, and describe it!";
        assert_eq!(leak(&question, "", &[quoted]), Some(Leak::Instructions));
        assert_eq!(leak(&question, "", &["you read one private chat"]), None);
    }

    #[test]
    fn links_markup_and_encoded_runs_are_flaws() {
        for bad in [
            "see https://evil.example/x",
            "see evil.com",
            "see evil[.]com",
            "see evil (dot) com now",
            "hxxps://a",
            "www.evil",
            "javascript:alert(1)",
            "mailto:a@b.example",
            "t.me/x",
        ] {
            assert_eq!(flaw("summary", &clean(bad, 1_000)), Some(Flaw::Link("summary")), "{bad}");
        }
        for bad in ["<b>x</b>", "<img src=x", "</p>", "<!-- x", "&lt;b", "&#60;", "![x](y)", "[x](y)", "```", "{{x}}"] {
            assert_eq!(flaw("summary", bad), Some(Flaw::Markup("summary")), "{bad}");
        }
        for bad in ["YmNkZmdoamttbnBxMjM0NTY3ODlyc3R2eA", &"a".repeat(70), "0123456789abcdef0123456789abcdef"] {
            assert_eq!(flaw("summary", bad), Some(Flaw::Encoded("summary")), "{bad}");
        }
        for good in [
            "Mia asks for 12.50 € by Friday; 5 < 6, a <3 and Tom & Ann.",
            "Donaudampfschifffahrtsgesellschaftskapitän und so weiter",
            "They met at 7:30 (maybe 8) on [EMAIL_1] (private), or![PHONE_12](work).",
            "Her address is mia.k@gmail.com, she says.",
            "He works on Node.js and earns 3.5k a month.",
            "Ends here.So it goes. And/or so.",
        ] {
            assert_eq!(flaw("summary", good), None, "{good}");
        }
    }
}
