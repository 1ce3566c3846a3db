//! What every source file looks like, and words that none may hold.

use super::none_of;
use super::source::{bare, files, text};

/// Longer than this, a file holds two things.
const LONGEST: usize = 400;

/// Notes to oneself. Put together here so that this file does not hold them.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn rust_files() -> Vec<String> {
    ["src", "tests", "examples", "benches"].iter().flat_map(|folder| files(folder, ".rs")).collect()
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent = rust_files().into_iter().filter(|name| !text(name).starts_with("//! "));
    none_of(&silent.collect::<Vec<_>>(), "Open it with `//!`: what it is, why so, what it must never do.");
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let long = rust_files().into_iter().filter_map(|name| {
        let lines = text(&name).lines().count();
        (lines > LONGEST).then(|| format!("{name}: {lines} lines"))
    });
    none_of(&long.collect::<Vec<_>>(), "Split it by what it holds.");
}

#[test]
fn no_notes_to_oneself() {
    let mut found = Vec::new();
    let written = ["src", "tests", "examples", "selectors", "scripts", "docs"].iter().flat_map(|f| files(f, ""));
    let beside = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned);
    for name in written.chain(beside).filter(|name| !name.ends_with(".png")) {
        for (index, line) in text(&name).lines().enumerate() {
            let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphabetic()).collect();
            if NOTES.iter().any(|note| words.contains(note)) {
                found.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    none_of(&found, "Do it, or open an issue.");
}

#[test]
fn tests_neither_sleep_nor_skip_themselves() {
    let sleep = ["thread", "sleep"].join("::");
    let found = rust_files().into_iter().filter_map(|name| {
        let code = bare(&text(&name));
        if code.contains(&sleep) {
            return Some(format!("{name} calls {sleep}: wait for a condition with a deadline"));
        }
        let squeezed: String = code.split_whitespace().collect();
        squeezed.contains("#[ignore").then(|| format!("{name} has an ignored test: mend it or remove it"))
    });
    none_of(&found.collect::<Vec<_>>(), "A test that is slow, flaky or skipped proves nothing.");
}
