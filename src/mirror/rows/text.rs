//! Chat text made fit for a cell: no control characters, no order-changing marks, no more than the
//! target can hold. What people wrote otherwise stays as it is: emoji, right-to-left text, things
//! that look like HTML or like a formula. Making it *safe* is the target's work, which knows how.

use crate::domain::Text;

/// The longest text that a target takes, in UTF-16 units (which is how both targets count).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimit(usize);

impl TextLimit {
    /// Excel's limit: 32,767 characters in a cell.
    pub const EXCEL: Self = Self(32_767);
    /// Google Sheets takes 50,000; some room is left for the mark.
    pub const SHEETS: Self = Self(49_000);
}

/// Stands at the end of a text that was cut.
const MARK: &str = "… [shortened]";

/// The text as a cell shows it. Line breaks stay if `lines` is true, else they become blanks.
pub fn cell_text(text: &Text, lines: bool, limit: TextLimit) -> Text {
    let mut clean = String::with_capacity(text.expose().len());
    for c in text.expose().chars() {
        match c {
            '\n' if lines => clean.push('\n'),
            '\n' | '\t' | '\u{2028}' | '\u{2029}' if !clean.ends_with([' ', '\n']) => clean.push(' '),
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => {}
            c if is_refused(c) => {}
            c => clean.push(c),
        }
    }
    let clean = clean.trim();
    Text::from(cut(clean, limit.0).unwrap_or_else(|| clean.to_owned()))
}

/// Control characters, the marks that reorder text (a name must not be able to turn the row around),
/// byte-order marks and what XML can't hold. Joiners stay: emoji and Persian need them.
const fn is_refused(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The text shortened to `limit` UTF-16 units with the mark, or `None` if it fits.
fn cut(text: &str, limit: usize) -> Option<String> {
    // A UTF-8 text never has more UTF-16 units than bytes.
    if text.len() <= limit || text.chars().map(char::len_utf16).sum::<usize>() <= limit {
        return None;
    }
    let room = limit.saturating_sub(MARK.chars().map(char::len_utf16).sum());
    let mut units = 0;
    let kept = text.char_indices().find_map(|(at, c)| {
        units += c.len_utf16();
        (units > room).then_some(at)
    });
    Some(format!("{}{MARK}", &text[..kept.unwrap_or(text.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_line(text: &str) -> String {
        cell_text(&Text::from(text), false, TextLimit::EXCEL).into_inner()
    }

    #[test]
    fn control_characters_go_and_everything_else_stays() {
        for (text, shown) in [
            ("a\u{0}b\u{7}c\u{1b}[31m", "abc[31m"),
            ("one\r\ntwo\n\n\tthree", "one two three"),
            ("abc\u{202e}gnp.exe\u{2066}", "abcgnp.exe"),
            ("\u{feff}x\u{ffff}", "x"),
            ("👩‍👩‍👧 מה שלומך? <b>&amp;</b>", "👩‍👩‍👧 מה שלומך? <b>&amp;</b>"),
            ("می‌خواهم", "می‌خواهم"),
            ("=1+1", "=1+1"),
            (" \n ", ""),
        ] {
            assert_eq!(one_line(text), shown, "{text:?}");
        }
        assert_eq!(cell_text(&Text::from("a\r\nb\u{8}"), true, TextLimit::EXCEL).expose(), "a\nb");
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_and_one_that_fits_is_not() {
        let fits = "x".repeat(32_767);
        assert_eq!(one_line(&fits), fits);
        let long = one_line(&"😀".repeat(20_000));
        assert!(long.encode_utf16().count() <= 32_767);
        assert!(long.ends_with("😀… [shortened]"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_long_or_holds_a_control_character(text in "\\PC*|[\u{0}-\u{ffff}]{0,40}", limit in 0usize..60) {
            let shown = cell_text(&Text::from(text.repeat(3)), true, TextLimit(limit.max(20)));
            prop_assert!(shown.expose().encode_utf16().count() <= limit.max(20));
            prop_assert!(shown.expose().chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
