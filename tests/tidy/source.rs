//! Rust sources as the rules see them: without comments, literals and test modules.
//!
//! A lexer of a page, no parser: it knows comments, literals and brackets, which is enough to find
//! paths. It must never take a string or a comment for code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// One file below `src`.
#[derive(Debug)]
pub struct Source {
    /// Relative to `src`: `bus/embedded/mod.rs`.
    pub path: String,
    /// The code that ships: no comments, no literals, no `#[cfg(test)]`.
    pub code: String,
    /// Every path in that code, as [`paths`] gives them.
    pub paths: Vec<Vec<String>>,
}

impl Source {
    /// A file with this text.
    pub fn new(path: String, text: &str) -> Self {
        Self::of_code(path, shipped(&bare(text)))
    }

    fn of_code(path: String, code: String) -> Self {
        Self { path, paths: paths(&code), code }
    }

    /// The first part of the path: `bus`, `app`, `main`.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many names its module path has: `bus/error.rs` is `bus::error`, two.
    pub fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }
}

/// The folder of the package.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the package as text.
#[track_caller]
pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder of the package with this ending, relative to the package, in order.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

/// Every source below `src`, read once; those that only tests are made of have no shipped code.
pub fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_sources);
    &SOURCES
}

fn read_sources() -> Vec<Source> {
    let read: Vec<(String, String)> = files("src", ".rs")
        .into_iter()
        .map(|name| (name.trim_start_matches("src/").to_owned(), bare(&text(&name))))
        .collect();
    let of_tests: BTreeSet<String> = read.iter().flat_map(|(path, code)| test_modules(path, code)).collect();
    let is_of_tests = |path: &str| {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
        of_tests.iter().any(|test| module == test || module.starts_with(&format!("{test}/")))
    };
    read.into_iter()
        .map(|(path, code)| {
            let code = if is_of_tests(&path) { String::new() } else { shipped(&code) };
            Source::of_code(path, code)
        })
        .collect()
}

/// The paths of modules that are declared as `#[cfg(test)] mod name;` in this file.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "mod")) => format!("{folder}/"),
        None if matches!(stem, "lib" | "main") => String::new(),
        _ => format!("{stem}/"),
    };
    gated(code)
        .into_iter()
        .filter_map(|(start, end)| {
            let item = code[start..end].trim_end().strip_suffix(';')?;
            let (before, name) = item.trim_end().rsplit_once(char::is_whitespace)?;
            before.trim_end().ends_with("mod").then(|| format!("{folder}{name}"))
        })
        .collect()
}

/// The code without everything that `#[cfg(test)]` stands before.
fn shipped(code: &str) -> String {
    let mut kept = String::new();
    let mut from = 0;
    for (start, end) in gated(code) {
        if start >= from {
            kept.push_str(&code[from..start]);
            from = end;
        }
    }
    kept + &code[from..]
}

/// Where the items after `#[cfg(test)]` begin and end.
fn gated(code: &str) -> Vec<(usize, usize)> {
    const GATE: &str = "#[cfg(test)]";
    code.match_indices(GATE)
        .map(|(start, _)| {
            let mut depth = 0i32;
            let mut end = code.len();
            for (offset, c) in code[start + GATE.len()..].char_indices() {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && matches!(c, ';' | '}') {
                    end = start + GATE.len() + offset + 1;
                    break;
                }
            }
            (start, end)
        })
        .collect()
}

/// The text with comments and the insides of literals taken out; line breaks stay.
pub fn bare(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let at = |index: usize| bytes.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < bytes.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < bytes.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= bytes.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if !is_name(code.chars().last()) && raw_hashes(&bytes, i + 1).is_some() => {
                let hashes = raw_hashes(&bytes, i + 1).unwrap();
                i += 2 + hashes;
                while i < bytes.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                    i += 1;
                }
                i += 1 + hashes;
                code.push_str("\"\"");
            }
            ('"', _) => {
                i += 1;
                while i < bytes.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                code.push_str("\"\"");
            }
            // A character, not a lifetime: it ends with a quote.
            ('\'', '\\') => {
                i += 3;
                while i < bytes.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                code.push_str("''");
            }
            ('\'', _) if at(i + 2) == '\'' => {
                i += 3;
                code.push_str("''");
            }
            (c, _) => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
}

fn is_name(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The number of `#` before the quote of a raw string that begins here.
fn raw_hashes(bytes: &[char], from: usize) -> Option<usize> {
    let hashes = bytes[from..].iter().take_while(|c| **c == '#').count();
    (bytes.get(from + hashes) == Some(&'"')).then_some(hashes)
}

/// Every path in code, as its names: `crate::bus::{self, error::BusError}` gives `crate bus` and
/// `crate bus error BusError`. Single names are paths too.
pub fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let chars: Vec<char> = code.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        if is_name(chars.get(i).copied()) && !is_name(i.checked_sub(1).map(|before| chars[before])) {
            i = path(&chars, i, &[], &mut found);
        } else {
            i += 1;
        }
    }
    found
}

/// Reads one path that begins at `from` after `prefix`; where it ends.
fn path(chars: &[char], from: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut names = prefix.to_vec();
    let mut i = from;
    loop {
        let end = (i..chars.len()).find(|at| !is_name(chars.get(*at).copied())).unwrap_or(chars.len());
        names.push(chars[i..end].iter().collect());
        i = end;
        let next = skip_space(chars, i);
        if chars.get(next) != Some(&':') || chars.get(next + 1) != Some(&':') {
            break;
        }
        let after = skip_space(chars, next + 2);
        match chars.get(after) {
            Some('{') => return group(chars, after + 1, &names, found),
            Some(c) if is_name(Some(*c)) => i = after,
            _ => break,
        }
    }
    found.push(names);
    i
}

/// Reads `a, b::{c}, *}` after a prefix; where it ends.
fn group(chars: &[char], from: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut i = from;
    while let Some(c) = chars.get(i) {
        i = match c {
            '}' => return i + 1,
            c if is_name(Some(*c)) => path(chars, i, prefix, found),
            _ => i + 1,
        };
    }
    i
}

fn skip_space(chars: &[char], from: usize) -> usize {
    (from..chars.len()).find(|at| !chars[*at].is_whitespace()).unwrap_or(chars.len())
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a // crate::x\n/* crate::y /* z */ */ b \"crate::z \\\" q\" r#\"crate::\"w\"# 'c' '\\'' &'l d b'e'";
    assert_eq!(
        bare(text).split_whitespace().collect::<Vec<_>>(),
        ["a", "b", "\"\"", "\"\"", "''", "''", "&'l", "d", "b''"]
    );
}

#[test]
fn code_of_tests_does_not_ship() {
    let code = bare(
        "use a; #[cfg(test)] const P: [u8; 2] = [1, 2]; use b; #[cfg(test)] pub(super) mod case;
         #[cfg(test)] mod tests { use c; mod d {} } use e;",
    );
    let shipped = shipped(&code);
    for (word, ships) in [("a", true), ("P", false), ("b", true), ("case", false), ("c", false), ("e", true)] {
        assert_eq!(paths(&shipped).contains(&vec![word.to_owned()]), ships, "{word}");
    }
    assert_eq!(test_modules("x/mod.rs", &code), ["x/case"]);
    assert_eq!(test_modules("x/y.rs", &code), ["x/y/case"]);
}

#[test]
fn groups_are_taken_apart() {
    let read = |code: &str| paths(code).into_iter().map(|names| names.join("::")).collect::<Vec<_>>();
    assert_eq!(
        read("crate::{bus::{self, error::E}, store} ; x :: y"),
        ["crate::bus::self", "crate::bus::error::E", "crate::store", "x::y"]
    );
}
