//! A text as a person sees it: compatibility forms folded (so that `ｈｔｔｐ：` is found like `http:`), and
//! everything invisible taken out (so that nothing hides in what looks like a plain sentence).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// More marks than this on one letter are no script, but a way to paint over the neighbours.
const MOST_MARKS: usize = 4;

/// The text in NFKC, at most `limit` characters, line breaks as `\n`, other white space as one blank,
/// without control, zero-width, bidirectional, private-use and tag characters.
pub(in crate::ai) fn clean(text: &str, limit: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(limit));
    let mut marks = 0;
    // Twice: a compatibility form may unfold into many characters (U+FDFA into 18).
    for c in text.chars().take(limit).nfkc().take(limit) {
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        match c {
            '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                if !clean.ends_with('\n') {
                    clean.push('\n');
                }
            }
            c if c.is_whitespace() => {
                if !clean.ends_with([' ', '\n']) {
                    clean.push(' ');
                }
            }
            c if is_invisible(c) || marks > MOST_MARKS => {}
            c => clean.push(c),
        }
    }
    clean.trim().to_owned()
}

/// The text on one line.
pub(in crate::ai) fn one_line(text: &str, limit: usize) -> String {
    clean(text, limit).replace('\n', " ")
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_goes_and_what_can_stays() {
        for (text, seen) in [
            ("ｈｔｔｐ：／／ｅｖｉｌ．ｅｘ", "http://evil.ex"),
            ("a\u{200b}b\u{202e}c\u{feff}d\u{e0041}e", "abcde"),
            ("one\r\n\r\n two\t\tthree\u{a0}four", "one\ntwo three four"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("שלום עולם", "שלום עולם"),
            ("👍🏽 ❤️", "👍🏽 ❤️"),
            ("z\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", "ź\u{301}\u{301}\u{301}\u{301}"),
        ] {
            assert_eq!(clean(text, 100).replace("\n ", "\n"), seen, "{text:?}");
        }
        assert_eq!(clean("abcdef", 3), "abc");
        assert!(clean(&"\u{fdfa}".repeat(50), 50).chars().count() <= 50);
    }
}
