//! `summaries.csv`: the same rows as RFC 4180, for programs and for spreadsheets.
//!
//! - **UTF-8 with a byte-order mark.** Excel takes a CSV without one for the machine's old 8-bit code
//!   page and garbles every umlaut and emoji; LibreOffice reads both. Programs that stumble over the
//!   mark ask for `utf-8-sig` (Python) or skip three bytes.
//! - **Comma and CRLF**, as the RFC has it. An Excel whose list separator is `;` opens the workbook
//!   beside it, which has no such question; a `sep=,` line would break every other reader.
//! - **Times as RFC 3339 in UTC.**
//! - **No cell is a formula.** A CSV has no types, so a spreadsheet takes `=…` for one: what begins
//!   like a formula gets an apostrophe in front, which spreadsheets read as "this is text".

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};

use super::Row;
use crate::mirror::error::MirrorError;
use crate::mirror::rows::{COLUMNS, Cell};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file's bytes.
///
/// # Errors
/// [`MirrorError::Format`], which no row of ours brings about.
pub(super) fn build(rows: &[Row]) -> Result<Vec<u8>, MirrorError> {
    // The writer's error may name a record's length but is kept out anyway: see `MirrorError::Format`.
    let failed = |cause| MirrorError::Format { format: "csv", cause };
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(BYTE_ORDER_MARK.to_vec());
    writer.write_record(COLUMNS.map(|column| column.header())).map_err(|_| failed("header"))?;
    for row in rows {
        writer.write_record(row.each_ref().map(|cell| field(cell).into_owned())).map_err(|_| failed("record"))?;
    }
    writer.into_inner().map_err(|_| failed("flush"))
}

/// A cell as the file holds it, before quoting.
pub(super) fn field(cell: &Cell) -> Cow<'_, str> {
    match cell {
        Cell::Text(text) => without_formula(text.expose()),
        Cell::Number(number) => number.to_string().into(),
        // Whole seconds: nobody reads more, and every spreadsheet knows this form.
        Cell::Time(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into(),
        Cell::Bool(value) => Cell::yes_no(*value).into(),
        Cell::Empty => "".into(),
    }
}

/// The text with an apostrophe in front if a spreadsheet would take it for a formula: OWASP's list
/// (`= + - @`, tab, CR), also behind white space, which spreadsheets trim, and in full width, which
/// East Asian ones take for the same.
fn without_formula(text: &str) -> Cow<'_, str> {
    let begins = |c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let risky = text.starts_with(['\t', '\r']) || text.trim_start().starts_with(begins);
    if risky { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Text;
    use proptest::prelude::*;

    #[test]
    fn what_begins_like_a_formula_gets_an_apostrophe() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("+49 170", "'+49 170"),
            ("-3", "'-3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("  =cmd|' /C calc'!A0", "'  =cmd|' /C calc'!A0"),
            ("\n=1", "'\n=1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("＝1+1", "'＝1+1"),
            ("1=1", "1=1"),
            ("a-b", "a-b"),
            ("'=1", "'=1"),
            ("", ""),
        ] {
            assert_eq!(without_formula(text), written, "{text:?}");
        }
    }

    fn row_of(text: &str) -> Row {
        COLUMNS.map(|_| Cell::Text(Text::from(text)))
    }

    #[test]
    fn the_form_is_that_of_the_rfc_with_a_mark() {
        let mut row = row_of("a \"b\", c\nd");
        row[1] = Cell::Number(3);
        row[2] = Cell::Time("2026-11-02T09:30:00.123Z".parse().unwrap());
        row[3] = Cell::Bool(false);
        row[4] = Cell::Empty;
        let bytes = build(&[row]).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (header, record) = text.split_once("\r\n").unwrap();
        assert!(header.starts_with("\u{feff}key,site,account,"));
        assert!(record.starts_with("\"a \"\"b\"\", c\nd\",3,2026-11-02T09:30:00Z,no,,"), "{record}");
        assert!(record.ends_with("\r\n"));
    }

    proptest! {
        #[test]
        fn every_text_reads_back_and_none_is_a_formula(texts in proptest::collection::vec("\\PC{0,12}|[-=+@\t\r\n \",']{0,6}", 1..6)) {
            let rows: Vec<Row> = texts.iter().map(|text| row_of(text)).collect();
            let bytes = build(&rows).unwrap();
            let mut reader = csv::Reader::from_reader(&bytes[3..]);
            let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len(), texts.len());
            for (record, text) in records.iter().zip(&texts) {
                let read = record.get(0).unwrap();
                prop_assert_eq!(read.strip_prefix('\'').filter(|_| !text.starts_with('\'')).unwrap_or(read), text);
                prop_assert!(!read.trim_start().starts_with(['=', '+', '-', '@']));
            }
        }
    }
}
