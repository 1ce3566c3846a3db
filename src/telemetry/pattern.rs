//! Patterns that are written in the source: the only place where a mistake may end the program, since the tests of
//! whoever holds one compile it.

use regex::Regex;

/// The compiled form of a constant pattern.
#[expect(clippy::expect_used, reason = "constant patterns: tests compile each of them")]
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}
