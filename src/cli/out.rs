//! Writing for people: stdout for results, stderr for what went wrong.

use std::io::{IsTerminal, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::Text;

/// Writes a text to stdout. A reader that has gone away (`| head`) is no fault of ours.
pub fn text(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line to stdout.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Writes one JSON document in one line to stdout.
pub fn json(document: &impl Serialize) {
    line(&serde_json::to_string(document).unwrap_or_default());
}

/// Writes a sentence to stderr.
pub fn error(sentence: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{sentence}");
}

/// Lines around a table and under its header. None between its rows: they would double its height.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('═').junction('═'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// The longest key or id.
const KEY: usize = 40;

/// A table as wide as the terminal, or 120 columns where there is none. `numbers`: the columns that
/// are aligned to the right. Keys and ids of the first column stay in one piece, to be copied.
pub fn table(header: &[&str], numbers: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    if !std::io::stdout().is_terminal() {
        table.set_width(120);
    }
    let has_keys = rows.iter().filter_map(|row| row.first()).all(|cell| cell.len() <= KEY && !cell.contains(' '));
    table.add_rows(rows);
    if let Some(column) = table.column_mut(0).filter(|_| has_keys) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Chat text for a terminal: one line, without control characters and direction overrides, which a
/// stranger could use to paint over what stands there.
pub fn printable(text: &Text) -> String {
    let is_harmful = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.expose().split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !is_harmful(c)).collect()
}

/// A point in time for a table.
pub fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// A number with thin groups of three: `2 412`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_text_can_not_paint_over_the_terminal() {
        let hostile = Text::from("a\u{1b}[2Jb\u{202e}c\u{7}\nd");
        assert_eq!(printable(&hostile), "a[2Jbc d");
    }

    #[test]
    fn a_key_is_not_broken_however_long_the_rest_is() {
        let key = format!("c1-{}", "0123456789abcdef".repeat(2));
        let rows = vec![vec![key.clone(), "word ".repeat(200), "word ".repeat(200)]];
        assert!(table(&["key", "a", "b"], &[], rows).contains(&key));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7, 412, 2412, 1_234_567].map(number), ["7", "412", "2 412", "1 234 567"]);
    }
}
