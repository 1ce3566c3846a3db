//! `summaries.xlsx`: the tabs `Conversations` and `_status`.
//!
//! Every text goes through `write_string`, which never makes a formula or a link of it, whatever it
//! looks like. Times are real dates, so that they sort and filter; the number format says UTC in every
//! cell, because a workbook knows no time zones.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_xlsxwriter::{
    Color, ConditionalFormatCell, ConditionalFormatCellRule, DocProperties, Format, FormatAlign, FormatBorder,
    Workbook, Worksheet, XlsxError,
};

use super::{HEARTBEAT, Row};
use crate::mirror::error::MirrorError;
use crate::mirror::rows::{ACCOUNT_COLUMNS, AccountColumn, COLUMNS, Cell, Column, account_cells, facts};
use crate::ports::MirrorStatus;

/// The name of the first tab.
pub(super) const CONVERSATIONS: &str = "Conversations";
/// The name of the second tab.
pub(super) const STATUS: &str = "_status";
/// Columns whose texts run over several lines.
const WRAPPED: [Column; 4] = [Column::Person, Column::Summary, Column::Topics, Column::RiskFlags];
/// Rows of a worksheet, less the header.
const MAX_ROWS: usize = 1_048_575;
/// A row grows to this many lines; who wants the rest of a longer text opens the cell.
const MAX_LINES: u32 = 12;

/// The file's bytes.
///
/// # Errors
/// [`MirrorError::TooManyRows`], or [`MirrorError::Format`], which no row of ours brings about.
pub(super) fn build(rows: &[Row], status: &MirrorStatus) -> Result<Vec<u8>, MirrorError> {
    if rows.len() > MAX_ROWS {
        return Err(MirrorError::TooManyRows { rows: rows.len(), limit: MAX_ROWS });
    }
    assemble(rows, status).map_err(|error| MirrorError::Format { format: "xlsx", cause: cause(&error) })
}

/// The kind of a failure; the library's own sentence may quote a cell.
fn cause(error: &XlsxError) -> &'static str {
    match error {
        XlsxError::RowColumnLimitError => "row or column limit",
        XlsxError::MaxStringLengthExceeded => "text too long",
        XlsxError::ZipError(_) => "archive",
        XlsxError::IoError(_) => "input/output",
        _ => "other",
    }
}

fn assemble(rows: &[Row], status: &MirrorStatus) -> Result<Vec<u8>, XlsxError> {
    let styles = Styles::new();
    let mut workbook = Workbook::new();
    let properties = DocProperties::new().set_title("Conversations").set_author("chatferry");
    workbook.set_properties(&match civil(status.written_at) {
        Some(at) => properties.set_creation_datetime(&at),
        None => properties,
    });
    conversations(workbook.add_worksheet(), rows, &styles)?;
    status_tab(workbook.add_worksheet(), rows.len() as u64, status, &styles)?;
    workbook.save_to_buffer()
}

struct Styles {
    header: Format,
    label: Format,
    text: Format,
    wrapped: Format,
    key: Format,
    number: Format,
    time: Format,
    fact: Format,
    note: Format,
    high: Format,
    attention: Format,
}

impl Styles {
    fn new() -> Self {
        let top = Format::new().set_align(FormatAlign::Top);
        let grey = Color::RGB(0x0070_7070);
        let label = Format::new().set_bold().set_background_color(Color::RGB(0x00E8_EDF3));
        Self {
            header: label.clone().set_align(FormatAlign::VerticalCenter).set_border_bottom(FormatBorder::Thin),
            label,
            wrapped: top.clone().set_text_wrap(),
            key: top.clone().set_font_color(grey),
            number: top.clone().set_num_format("#,##0").set_align(FormatAlign::Center),
            time: top.clone().set_num_format(r#"yyyy-mm-dd hh:mm:ss" UTC""#).set_align(FormatAlign::Left),
            fact: top.clone().set_align(FormatAlign::Left),
            note: top.clone().set_font_color(grey).set_italic(),
            text: top,
            high: Format::new()
                .set_bold()
                .set_font_color(Color::RGB(0x009C_0006))
                .set_background_color(Color::RGB(0x00FF_C7CE)),
            attention: Format::new().set_background_color(Color::RGB(0x00FF_EB9C)),
        }
    }

    const fn of(&self, column: Column) -> &Format {
        match column {
            Column::Key => &self.key,
            Column::Summary | Column::Topics | Column::Person | Column::RiskFlags => &self.wrapped,
            Column::Site
            | Column::Account
            | Column::LastMessageAt
            | Column::Messages
            | Column::Sentiment
            | Column::Priority
            | Column::NeedsReply
            | Column::Model
            | Column::UpdatedAt => &self.text,
        }
    }
}

/// Widths in characters. The key is for programs: narrow, its end hidden behind the next column.
const fn width(column: Column) -> f64 {
    match column {
        Column::Key | Column::Messages => 11.0,
        Column::Site | Column::Sentiment | Column::Priority => 10.5,
        Column::Account => 17.0,
        Column::Person => 22.0,
        Column::LastMessageAt | Column::UpdatedAt => 24.0,
        Column::Summary => 64.0,
        Column::Topics => 30.0,
        Column::NeedsReply => 12.5,
        Column::RiskFlags => 18.0,
        Column::Model => 14.0,
    }
}

fn conversations(sheet: &mut Worksheet, rows: &[Row], styles: &Styles) -> Result<(), XlsxError> {
    sheet.set_name(CONVERSATIONS)?;
    for (at, column) in (0u16..).zip(COLUMNS) {
        sheet.set_column_width(at, width(column))?;
        sheet.write_string_with_format(0, at, column.header(), &styles.header)?;
    }
    sheet.set_row_height(0, 22)?;
    for (line, row) in (1u32..).zip(rows) {
        for ((at, column), cell) in (0u16..).zip(COLUMNS).zip(row) {
            put(sheet, line, at, cell, styles.of(column), styles)?;
        }
        let lines = WRAPPED.into_iter().map(|column| lines(&row[column as usize], width(column))).max().unwrap_or(1);
        if lines > 1 {
            sheet.set_row_height(line, 15.0 * f64::from(lines.min(MAX_LINES)))?;
        }
    }
    let (last_row, last_column) = (u32::try_from(rows.len()).unwrap_or(u32::MAX), COLUMNS.len() as u16 - 1);
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofilter(0, 0, last_row, last_column)?;
    if last_row > 0 {
        highlight(sheet, Column::Priority, "high", last_row, &styles.high)?;
        highlight(sheet, Column::NeedsReply, "yes", last_row, &styles.attention)?;
    }
    sheet.set_landscape().set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    Ok(())
}

/// Colours the cells of a column that hold this word, also after a person sorts the rows.
fn highlight(sheet: &mut Worksheet, column: Column, word: &str, last: u32, format: &Format) -> Result<(), XlsxError> {
    let rule = ConditionalFormatCell::new().set_rule(ConditionalFormatCellRule::EqualTo(word)).set_format(format);
    let at = column as u16;
    sheet.add_conditional_format(1, at, last, at, &rule)?;
    Ok(())
}

fn status_tab(sheet: &mut Worksheet, rows: u64, status: &MirrorStatus, styles: &Styles) -> Result<(), XlsxError> {
    sheet.set_name(STATUS)?;
    for (at, width) in (0u16..).zip([18.0, 24.0, 46.0, 46.0, 24.0, 18.0, 12.0, 24.0]) {
        sheet.set_column_width(at, width)?;
    }
    let freshness = format!(
        "rewritten at every change and at least every {} minutes: if this is older, the daemon is not running",
        HEARTBEAT.as_secs() / 60
    );
    sheet.set_landscape().set_print_fit_to_pages(1, 0);
    let mut line = 0;
    for fact in facts(status, rows, &freshness) {
        sheet.write_string_with_format(line, 0, fact.name, &styles.label)?;
        match fact.value {
            // To the left like its neighbours: here a number is no column to be added up.
            Cell::Number(value) => sheet.write_number_with_format(line, 1, value as f64, &styles.fact)?,
            value => put(sheet, line, 1, &value, &styles.text, styles)?,
        };
        sheet.write_string_with_format(line, 2, fact.note, &styles.note)?;
        line += 1;
    }
    line += 1;
    for (at, column) in (0u16..).zip(ACCOUNT_COLUMNS) {
        sheet.write_string_with_format(line, at, column.header(), &styles.header)?;
    }
    for account in &status.accounts {
        line += 1;
        for ((at, column), cell) in (0u16..).zip(ACCOUNT_COLUMNS).zip(account_cells(account, status)) {
            let format = match column {
                AccountColumn::Sentence | AccountColumn::Action => &styles.wrapped,
                _ => &styles.text,
            };
            put(sheet, line, at, &cell, format, styles)?;
        }
    }
    Ok(())
}

/// Writes a cell as what it is. Numbers and times bring their own format.
fn put<'a>(
    sheet: &'a mut Worksheet,
    row: u32,
    at: u16,
    cell: &Cell,
    text: &Format,
    styles: &Styles,
) -> Result<&'a mut Worksheet, XlsxError> {
    match cell {
        Cell::Text(value) => sheet.write_string_with_format(row, at, value.expose(), text),
        Cell::Number(value) => sheet.write_number_with_format(row, at, *value as f64, &styles.number),
        Cell::Time(value) => match civil(*value) {
            Some(civil) => sheet.write_datetime_with_format(row, at, civil, &styles.time),
            None => sheet.write_string_with_format(row, at, value.to_string(), text),
        },
        Cell::Bool(value) => sheet.write_string_with_format(row, at, Cell::yes_no(*value), text),
        Cell::Empty => sheet.write_blank(row, at, text),
    }
}

/// About how many lines a wrapped text takes. Excel would find out by itself; LibreOffice does not, and
/// shows the first line over the next row.
fn lines(cell: &Cell, width: f64) -> u32 {
    let Cell::Text(text) = cell else { return 1 };
    let room = (width * 0.9) as u32;
    let units = |line: &str| line.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum::<u32>();
    text.expose().split('\n').map(|line| units(line).div_ceil(room).max(1)).sum()
}

/// The time in UTC to the second, if it lies in the years that a workbook knows.
fn civil(at: Timestamp) -> Option<DateTime> {
    let civil = at.to_zoned(TimeZone::UTC).datetime();
    let civil = civil.with().subsec_nanosecond(0).build().ok()?;
    (1900..=9999).contains(&civil.year()).then_some(civil)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Text;

    #[test]
    fn a_row_is_as_high_as_its_longest_text() {
        for (text, expected) in [
            ("", 1),
            ("short", 1),
            ("a\nb\nc", 3),
            (&"word ".repeat(20), 2),
            (&"字".repeat(57), 2),
            (&"x".repeat(58), 2),
        ] {
            assert_eq!(lines(&Cell::Text(Text::from(text)), 64.0), expected, "{text}");
        }
        assert_eq!(lines(&Cell::Number(3), 11.0), 1);
    }

    #[test]
    fn a_column_stands_where_its_number_says() {
        for (at, column) in COLUMNS.into_iter().enumerate() {
            assert_eq!(column as usize, at);
        }
    }

    #[test]
    fn years_that_a_workbook_does_not_know_are_no_dates() {
        assert!(civil("1899-12-31T23:59:59Z".parse().unwrap()).is_none());
        assert_eq!(civil("2026-11-02T09:30:00.9Z".parse().unwrap()).unwrap().to_string(), "2026-11-02T09:30:00");
    }
}
