//! What the mirror shows, as typed cells: the same rows for every file format and every service.
//!
//! Pure. A cell says what it *is* (a text, a number, a time), so that no target has to guess: a
//! conversation called `=1+1` is a text here and stays one. Column order and header texts are fixed
//! by the contract; a viewer's own formulas and filters hang on them.

mod conversation;
mod status;
mod text;

use jiff::Timestamp;

use crate::domain::Text;
use crate::domain::ids::digest;

pub use conversation::{COLUMNS, Column, conversation_cells};
pub use status::{ACCOUNT_COLUMNS, AccountColumn, Fact, account_cells, facts, lasting_hash};
pub use text::{TextLimit, cell_text};

/// One cell. `Debug` shows the length of a text, never the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A text, cleaned and cut; to be written as a string whatever it looks like.
    Text(Text),
    /// A count.
    Number(u64),
    /// A point in time, to be shown in UTC.
    Time(Timestamp),
    /// Shown as `yes` or `no`.
    Bool(bool),
    /// Not known, or not applicable.
    Empty,
}

impl Cell {
    /// A text of ours on one line: a state, a word from a closed list. Empty if there is none.
    pub(super) fn word(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(Text::from(text)) }
    }

    /// `yes` or `no`, as it is shown.
    pub const fn yes_no(value: bool) -> &'static str {
        if value { "yes" } else { "no" }
    }

    fn hash_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Empty => bytes.push(0),
            Self::Text(text) => {
                bytes.push(1);
                bytes.extend((text.expose().len() as u64).to_le_bytes());
                bytes.extend(text.expose().as_bytes());
            }
            Self::Number(number) => {
                bytes.push(2);
                bytes.extend(number.to_le_bytes());
            }
            Self::Time(at) => {
                bytes.push(3);
                bytes.extend(at.as_nanosecond().to_le_bytes());
            }
            Self::Bool(value) => bytes.extend([4, u8::from(*value)]),
        }
    }
}

/// A hash of everything that a row shows: equal rows need not be written again.
pub fn content_hash(cells: &[Cell]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(256);
    cells.iter().for_each(|cell| cell.hash_into(&mut bytes));
    digest("row-1", &[&bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_kinds_and_borders_apart() {
        let rows = [
            vec![Cell::word("ab"), Cell::word("c")],
            vec![Cell::word("a"), Cell::word("bc")],
            vec![Cell::word("abc"), Cell::Empty],
            vec![Cell::Number(1), Cell::Empty],
            vec![Cell::Bool(true), Cell::Empty],
            vec![Cell::Empty, Cell::Number(1)],
        ];
        let hashes: std::collections::HashSet<_> = rows.iter().map(|row| content_hash(row)).collect();
        assert_eq!(hashes.len(), rows.len());
    }

    #[test]
    fn the_definition_of_version_1_does_not_change() {
        let cells = [
            Cell::word("Mia"),
            Cell::Number(3),
            Cell::Time("2026-11-02T10:00:00Z".parse().unwrap()),
            Cell::Bool(true),
            Cell::Empty,
        ];
        let hex: String = content_hash(&cells).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a11104921e747950837315d7a1b2758a");
    }

    #[test]
    fn debug_shows_no_text() {
        assert!(!format!("{:?}", Cell::word("Mia")).contains("Mia"));
    }
}
