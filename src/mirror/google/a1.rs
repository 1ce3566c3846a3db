//! Ranges as Google writes them: `'Conversations'!A2:N5`. Pure.
//!
//! Rows count from 1 as people see them, columns from 0. A title stands in quotes always: people rename tabs, and
//! `?`, `#`, `'` or `!` in a name must not end the range early.

/// The letters of a column: 0 → A, 25 → Z, 26 → AA.
pub fn column_name(index: usize) -> String {
    let mut name = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        // Below 26 by the division.
        name.push(b'A' + (rest % 26) as u8);
        rest /= 26;
    }
    name.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// Rows `rows` (first and last) of the columns `columns` (first and last).
pub fn cells(title: &str, columns: (usize, usize), rows: (usize, usize)) -> String {
    let (first, last) = (column_name(columns.0), column_name(columns.1));
    format!("{}!{first}{}:{last}{}", quoted(title), rows.0, rows.1)
}

/// Whole columns, first and last.
pub fn columns(title: &str, columns: (usize, usize)) -> String {
    format!("{}!{}:{}", quoted(title), column_name(columns.0), column_name(columns.1))
}

/// A whole row.
pub fn row(title: &str, row: usize) -> String {
    format!("{}!{row}:{row}", quoted(title))
}

/// A whole tab.
pub fn whole(title: &str) -> String {
    quoted(title)
}

fn quoted(title: &str) -> String {
    format!("'{}'", title.replace('\'', "''"))
}

/// The last row and column (how many there are) of a range that Google named in an answer, where it named them:
/// `Conversations!A1:Z1000` → 1000 and 26. It cuts a range that was asked for without an end at the end of the grid.
pub fn ends(range: &str) -> (Option<usize>, Option<usize>) {
    let cells = range.rsplit_once('!').map_or(range, |(_, cells)| cells);
    let last = cells.rsplit_once(':').map_or(cells, |(_, last)| last);
    let letters: String = last.chars().take_while(char::is_ascii_uppercase).collect();
    let digits = &last[letters.len()..];
    let place = letters
        .bytes()
        .fold(0usize, |sum, letter| sum.saturating_mul(26).saturating_add(usize::from(letter - b'A') + 1));
    (digits.parse().ok(), (!letters.is_empty()).then_some(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_named_as_a_sheet_names_them() {
        for (index, name) in
            [(0, "A"), (13, "N"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
        {
            assert_eq!(column_name(index), name);
        }
    }

    #[test]
    fn titles_can_not_end_a_range() {
        assert_eq!(cells("Conversations", (0, 13), (2, 5)), "'Conversations'!A2:N5");
        assert_eq!(columns("Mia's? #1!", (0, 0)), "'Mia''s? #1!'!A:A");
        assert_eq!(row("x", 1), "'x'!1:1");
    }

    #[test]
    fn the_end_of_the_grid_is_read_from_an_answer() {
        assert_eq!(ends("Conversations!A1:Z1000"), (Some(1000), Some(26)));
        assert_eq!(ends("'a!b'!A1:AA7"), (Some(7), Some(27)));
        assert_eq!(ends("x!A1"), (Some(1), Some(1)));
        assert_eq!(ends("x!A:C"), (None, Some(3)));
        assert_eq!(ends(""), (None, None));
    }

    proptest! {
        #[test]
        fn a_range_reads_back(title in "\\PC{0,8}", column in 0usize..20_000, row in 1usize..10_000_000) {
            prop_assert_eq!(ends(&cells(&title, (0, column), (1, row))), (Some(row), Some(column + 1)));
        }

        #[test]
        fn no_answer_makes_it_fall_over(text in "\\PC{0,20}|[A-Z!:'0-9]{0,30}") {
            let _ = ends(&text);
        }
    }
}
