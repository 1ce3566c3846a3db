//! The `.env` file, read by dotenvy into a map with line numbers; the process environment stays as it
//! is.
//!
//! dotenvy replaces `$NAME` in unquoted and double-quoted values, from the process environment among
//! others. A password with a `$` in it would arrive changed and fail at the site for no visible
//! reason, so such a value is refused where it is used. dotenvy's errors quote the line: they are
//! never passed on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::{Origin, Place, Problem};

/// One line of the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// The value, which may be a secret.
    pub value: SecretString,
    /// The line on which it ends, counted from 1.
    pub line: usize,
    /// Whether a `$` in it was or would be replaced.
    pub substituted: bool,
}

/// A `.env` file.
#[derive(Debug, Default)]
pub(super) struct Dotenv {
    /// By variable.
    pub entries: BTreeMap<String, Entry>,
    /// Others than the owner may read it.
    pub is_open: bool,
}

/// Gives at most one line per read, so that `consumed` tells on which line dotenvy is.
struct LineReader<'t> {
    rest: &'t [u8],
    consumed: Rc<Cell<usize>>,
}

impl Read for LineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let length = line.min(buffer.len());
        let (head, tail) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(head);
        if head.ends_with(b"\n") || (length > 0 && tail.is_empty()) {
            self.consumed.set(self.consumed.get() + 1);
        }
        self.rest = tail;
        Ok(length)
    }
}

/// Reads the file; one that does not exist is empty.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Dotenv {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Dotenv::default(),
        Err(error) => {
            let problem = Problem::new(path.display().to_string(), None, format!("can't be read ({})", error.kind()));
            problems.push(problem.expected("a file that the daemon's user can read").fix("correct its permissions"));
            return Dotenv::default();
        }
    };
    let mut dotenv = parse(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes), problems);
    dotenv.is_open = super::file::is_open(path);
    dotenv
}

fn parse(text: &[u8], problems: &mut Vec<Problem>) -> Dotenv {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let consumed = Rc::new(Cell::new(0));
    let mut dotenv = Dotenv::default();
    let mut begin = 0;
    for item in dotenvy::from_read_iter(LineReader { rest: text, consumed: Rc::clone(&consumed) }) {
        let line = consumed.get();
        let origin = Origin::of(Place::Dotenv { line });
        match item {
            Ok((name, value)) => {
                let written = lines.get(begin..line).unwrap_or_default().join(&b'\n');
                let entry = Entry { value: value.into(), line, substituted: has_substitution(&written) };
                if let Some(earlier) = dotenv.entries.get(&name) {
                    let complaint = format!("is set a second time, first on line {}", earlier.line);
                    let problem = Problem::new(name, Some(origin), complaint);
                    problems.push(problem.expected("one line per variable").fix("remove one of the two"));
                } else {
                    dotenv.entries.insert(name, entry);
                }
            }
            Err(dotenvy::Error::LineParse(..)) => problems.push(
                Problem::new(".env", Some(origin), "the line can't be read")
                    .expected("NAME=value, values with spaces, quotes, backslashes or # in single quotes")
                    .fix("put the value in single quotes"),
            ),
            Err(_) => {
                let problem = Problem::new(".env", Some(origin), "the file is not UTF-8 text");
                problems.push(problem.expected("UTF-8 text").fix("save it as UTF-8"));
                break;
            }
        }
        begin = line;
    }
    dotenv
}

/// Whether an assignment, perhaps after comment lines, holds a `$` that dotenvy would replace.
fn has_substitution(written: &[u8]) -> bool {
    let written = String::from_utf8_lossy(written);
    let lines = written.lines().skip_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let assignment = Zeroizing::new(lines.collect::<Vec<_>>().join("\n"));
    let Some((_, value)) = assignment.split_once('=') else { return false };
    let (mut quote, mut escaped, mut before) = (None, false, ' ');
    for c in value.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => escaped = true,
            (_, '$') => return true,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if before.is_whitespace() => return false,
            _ => {}
        }
        before = c;
    }
    false
}

impl Entry {
    /// True if there is nothing in it: as if it was not set.
    pub(super) fn is_empty(&self) -> bool {
        self.value.expose_secret().trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Dotenv, Vec<Problem>) {
        let mut problems = Vec::new();
        let dotenv = parse(text.as_bytes(), &mut problems);
        (dotenv, problems)
    }

    #[test]
    fn every_value_knows_its_line() {
        let (dotenv, problems) = parsed("# A=0\n\nA=1\nexport B='two words'\nC=\"x\ny\"\n# it's\nD=4");
        assert_eq!(problems, []);
        let found: Vec<_> =
            dotenv.entries.iter().map(|(name, e)| (name.as_str(), e.value.expose_secret(), e.line)).collect();
        assert_eq!(found, [("A", "1", 3), ("B", "two words", 4), ("C", "x\ny", 6), ("D", "4", 8)]);
    }

    #[test]
    fn a_long_line_counts_once() {
        let (dotenv, _) = parsed(&format!("A={}\nB=2\n", "x".repeat(40_000)));
        assert_eq!((dotenv.entries["A"].line, dotenv.entries["B"].line), (1, 2));
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted_and_the_rest_is_read() {
        let (dotenv, problems) = parsed("A=1\nB=canary hunter2\nC=3\nA=4\n");
        assert_eq!(dotenv.entries.len(), 2);
        let origins: Vec<_> = problems.iter().map(|p| p.origin.as_ref().unwrap().to_string()).collect();
        assert_eq!(origins, [".env line 2", ".env line 4"]);
        let printed = format!("{problems:?} {dotenv:?}");
        assert!(!printed.contains("canary") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn a_dollar_sign_that_would_be_replaced_is_noticed() {
        for (line, expected) in [
            ("A=pa$word", true),
            ("A=\"pa$word\"", true),
            ("A='pa$word'", false),
            ("A=pa\\$word", false),
            ("A=x # $5", false),
            ("# $\nA=x", false),
            ("A=it\"s\"'$'$", true),
        ] {
            assert_eq!(has_substitution(line.as_bytes()), expected, "{line}");
        }
    }
}
