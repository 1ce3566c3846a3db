//! Cells as the API takes and gives them. Pure.
//!
//! Always for `valueInputOption=RAW`: a text stays the text that it is, whatever it looks like (`=1+1`, `+49…`, `007`).
//! An empty cell is the empty string and never null: the client deletes nulls from arrays, which would move every
//! value after it one column to the left. A time is a serial number, days since 1899-12-30, which the column's format
//! shows as a date in UTC; so it sorts and filters as one.

use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::mirror::rows::Cell;

/// Days from 1899-12-30 to 1970-01-01.
const EPOCH: f64 = 25_569.0;
const DAY: f64 = 86_400.0;
/// Less than half a second, in days: what two serial numbers of one second may differ by.
const SAME: f64 = 5e-6;
/// Integers beyond are not exact in JSON: they would be shown with other digits.
const EXACT: u64 = 1 << 53;

/// The cell for a write.
pub fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => Value::String(text.expose().to_owned()),
        Cell::Number(number) if *number <= EXACT => Value::from(*number),
        Cell::Number(number) => Value::String(number.to_string()),
        Cell::Time(at) => serial(*at),
        Cell::Bool(yes) => Value::String(Cell::yes_no(*yes).to_owned()),
        Cell::Empty => blank(),
    }
}

/// What empties a cell.
pub fn blank() -> Value {
    Value::String(String::new())
}

fn serial(at: Timestamp) -> Value {
    // Whole seconds: nobody reads more.
    let days = at.as_second() as f64 / DAY + EPOCH;
    Number::from_f64(days).map_or_else(blank, Value::Number)
}

/// The point in time of a serial number.
pub fn timestamp(value: &Value) -> Option<Timestamp> {
    let seconds = ((value.as_f64()? - EPOCH) * DAY).round();
    // Beyond that no calendar goes.
    (seconds.abs() < 1e12).then(|| Timestamp::from_second(seconds as i64).ok())?
}

/// Whether a cell that was read (unformatted; nothing where it is empty) is the one that was meant.
pub fn is_same(wanted: &Value, read: Option<&Value>) -> bool {
    match (wanted, read) {
        (Value::String(text), None) => text.is_empty(),
        (Value::String(text), Some(Value::String(read))) => text == read,
        (Value::Number(one), Some(Value::Number(other))) => {
            one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| (one - other).abs() < SAME)
        }
        _ => false,
    }
}

/// Whether nothing that a person typed stands in a cell, as it was read with its formula: a formula that was drawn down
/// and a box that nobody ticked reach to the end of the tab and say nothing about where the table ends.
pub fn is_idle(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text.starts_with('=') || text == "FALSE",
        _ => false,
    }
}

/// About how many bytes a value takes in a request.
pub fn size(value: &Value) -> usize {
    match value {
        // Escapes: each of ", \, a line break takes two bytes; control characters were taken out before.
        Value::String(text) => {
            text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count() + 3
        }
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_of_cell_has_its_form_and_none_is_null() {
        for (cell, json) in [
            (Cell::word("=1+1"), r#""=1+1""#),
            (Cell::word("007"), r#""007""#),
            (Cell::Number(12), "12"),
            (Cell::Number(u64::MAX), r#""18446744073709551615""#),
            (Cell::Bool(true), r#""yes""#),
            (Cell::Empty, r#""""#),
            (Cell::Time("1970-01-01T12:00:00.9Z".parse().unwrap()), "25569.5"),
        ] {
            assert_eq!(value(&cell).to_string(), json);
        }
    }

    #[test]
    fn what_was_read_is_compared_as_what_it_is() {
        let wanted = value(&Cell::Time("2026-11-02T09:30:01Z".parse().unwrap()));
        let later = value(&Cell::Time("2026-11-02T09:30:02Z".parse().unwrap()));
        assert!(is_same(&wanted, Some(&wanted)) && !is_same(&wanted, Some(&later)) && !is_same(&wanted, None));
        assert!(is_same(&blank(), None) && is_same(&blank(), Some(&blank())));
        assert!(!is_same(&Value::String("12".into()), Some(&Value::from(12))), "a text is no number");
    }

    #[test]
    fn only_what_was_typed_counts() {
        for idle in [Value::Null, Value::Bool(false), blank(), Value::from("=B2*2"), Value::from("FALSE")] {
            assert!(is_idle(&idle), "{idle}");
        }
        for typed in [Value::Bool(true), Value::from(0), Value::from("x")] {
            assert!(!is_idle(&typed), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_back_to_the_second(second in -2_000_000_000i64..40_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(timestamp(&value(&Cell::Time(at))), Some(at));
        }

        #[test]
        fn a_size_is_never_too_small(text in "\\PC{0,40}|[\"\\\\\n]{0,10}") {
            let value = Value::String(text);
            prop_assert!(size(&value) >= value.to_string().len());
        }
    }
}
