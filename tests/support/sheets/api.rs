//! The methods that read and write cells.

use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{Book, Tab};
use super::http::{Reply, Request};
use super::mask::Mask;
use super::{SHEET_ID, structure};

/// Google advises less than 2 MB; more is not taken here.
const LARGEST: usize = 2_000_000;
/// UTF-16 units of a cell.
const LONGEST: usize = 50_000;

/// Why a request was not carried out.
pub struct Refused {
    pub status: u16,
    pub message: String,
    /// True if no state of the sheet would have made it right: a defect of the program.
    pub is_ours: bool,
}

impl Refused {
    /// A request that is wrong in itself.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), is_ours: true }
    }

    /// A request that the sheet, as it is now, does not allow.
    pub fn now(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), is_ours: false }
    }
}

/// An error as Google writes it.
pub fn error(status: u16, word: &str, message: &str, reason: &str) -> Reply {
    let mut body = json!({ "error": { "code": status, "message": message, "status": word } });
    if !reason.is_empty() {
        body["error"]["details"] = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com" }]);
    }
    Reply::json(status, &body)
}

/// Which method a request calls.
pub fn method(request: &Request) -> Option<&'static str> {
    let rest = request.path().strip_prefix("/v4/spreadsheets/")?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match (request.method.as_str(), rest) {
        ("GET", "") => Some("get"),
        ("GET", "/values:batchGet") => Some("values.batchGet"),
        ("POST", "/values:batchUpdate") => Some("values.batchUpdate"),
        ("POST", ":batchUpdate") => Some("batchUpdate"),
        _ => None,
    }
}

/// Does what is asked.
pub fn carry_out(book: &mut Book, method: &str, request: &Request, is_half: bool) -> Result<Value, Refused> {
    let query = request.query();
    let known: &[&str] = match method {
        "get" => &["alt", "fields", "includeGridData", "ranges"],
        "values.batchGet" => &["alt", "ranges", "majorDimension", "valueRenderOption", "dateTimeRenderOption"],
        _ => &["alt"],
    };
    if let Some((name, _)) = query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(Refused::wrong(format!("Invalid JSON payload received. Unknown name \"{name}\"")));
    }
    if request.body.len() > LARGEST {
        return Err(Refused::wrong("Request payload size exceeds what is advised"));
    }
    match method {
        "get" => get(book, &query),
        "values.batchGet" => read(book, &query),
        "values.batchUpdate" => write(book, &request.body, is_half),
        _ => structure::change(book, &request.body),
    }
}

fn one<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn get(book: &Book, query: &[(String, String)]) -> Result<Value, Refused> {
    let Some(fields) = one(query, "fields") else {
        return Err(Refused::wrong("without a field mask the answer would hold everything"));
    };
    let mask = Mask::parse(fields).map_err(Refused::wrong)?;
    if let Some(name) = mask.unknown(&Mask::known()) {
        return Err(Refused::wrong(format!("Invalid field selection {name}")));
    }
    let sheets: Vec<Value> = book.tabs.iter().enumerate().map(|(index, tab)| tab.described(index)).collect();
    Ok(mask.cut(json!({ "spreadsheetId": SHEET_ID, "sheets": sheets })))
}

/// A range inside a grid: rows and columns from 0, ends excluded.
struct Range {
    tab: usize,
    rows: (usize, usize),
    columns: (usize, usize),
}

/// Reads `'Tab'!A1:B2`, `Tab!A:B`, `Tab!1:1` or `Tab`. What is named beyond the grid is refused; what is left open ends
/// where the grid does.
fn range(book: &Book, text: &str) -> Result<Range, Refused> {
    let unreadable = || Refused::now(format!("Unable to parse range: {text}"));
    let (title, cells) = match text.strip_prefix('\'') {
        Some(quoted) => {
            let mut title = String::new();
            let mut rest = quoted;
            loop {
                let at = rest.find('\'').ok_or_else(unreadable)?;
                title.push_str(&rest[..at]);
                rest = &rest[at + 1..];
                match rest.strip_prefix('\'') {
                    Some(more) => {
                        title.push('\'');
                        rest = more;
                    }
                    None => break,
                }
            }
            (title, rest.strip_prefix('!'))
        }
        None => match text.split_once('!') {
            Some((title, cells)) => (title.to_owned(), Some(cells)),
            None => (text.to_owned(), None),
        },
    };
    let tab = book.tabs.iter().position(|tab| tab.title.eq_ignore_ascii_case(&title)).ok_or_else(unreadable)?;
    let (rows, columns) = (book.tabs[tab].rows, book.tabs[tab].columns);
    let Some(cells) = cells else { return Ok(Range { tab, rows: (0, rows), columns: (0, columns) }) };
    let (from, to) = cells.split_once(':').unwrap_or((cells, cells));
    let place = |cell: &str| {
        let letters: String = cell.chars().take_while(char::is_ascii_uppercase).collect();
        let column = letters.bytes().fold(0, |sum, letter| sum * 26 + usize::from(letter - b'A') + 1);
        let digits = &cell[letters.len()..];
        let row = if digits.is_empty() { Some(0) } else { digits.parse::<usize>().ok().filter(|row| *row > 0) };
        row.filter(|row| *row > 0 || column > 0).map(|row| (row, column)).ok_or_else(unreadable)
    };
    let ((top, left), (bottom, right)) = (place(from)?, place(to)?);
    if top > rows || bottom > rows || left > columns || right > columns {
        return Err(Refused::now(format!(
            "Range ({text}) exceeds grid limits. Max rows: {rows}, max columns: {columns}"
        )));
    }
    let open = |end: usize, limit: usize| if end == 0 { limit } else { end };
    Ok(Range { tab, rows: (top.max(1) - 1, open(bottom, rows)), columns: (left.max(1) - 1, open(right, columns)) })
}

fn name(tab: &Tab, range: &Range) -> String {
    let column = |index: usize| chatferry::mirror::google::a1::column_name(index);
    let (first, last) = (column(range.columns.0), column(range.columns.1 - 1));
    format!("'{}'!{first}{}:{last}{}", tab.title.replace('\'', "''"), range.rows.0 + 1, range.rows.1)
}

fn read(book: &Book, query: &[(String, String)]) -> Result<Value, Refused> {
    let by_columns = match one(query, "majorDimension").unwrap_or("ROWS") {
        "ROWS" => false,
        "COLUMNS" => true,
        other => return Err(Refused::wrong(format!("Invalid value at 'major_dimension': {other}"))),
    };
    let render = one(query, "valueRenderOption").unwrap_or("FORMATTED_VALUE");
    if !["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"].contains(&render) {
        return Err(Refused::wrong(format!("Invalid value at 'value_render_option': {render}")));
    }
    if !["SERIAL_NUMBER", "FORMATTED_STRING"].contains(&one(query, "dateTimeRenderOption").unwrap_or("SERIAL_NUMBER")) {
        return Err(Refused::wrong("Invalid value at 'date_time_render_option'"));
    }
    let shown = |value: &Value| match value {
        Value::Null => Value::from(""),
        Value::String(text) if render != "FORMULA" && text.starts_with("=IF") => Value::from(""),
        Value::String(_) => value.clone(),
        other if render == "FORMATTED_VALUE" => Value::from(other.to_string().to_uppercase()),
        other => other.clone(),
    };
    let mut found = Vec::new();
    for text in query.iter().filter(|(name, _)| name == "ranges").map(|(_, text)| text) {
        let range = range(book, text)?;
        let tab = &book.tabs[range.tab];
        let (outer, inner) = if by_columns { (range.columns, range.rows) } else { (range.rows, range.columns) };
        let cell = |a: usize, b: usize| if by_columns { tab.get(b, a) } else { tab.get(a, b) };
        // Empty cells and lines at the end are left out, as Google does.
        let line = |a: usize| -> Vec<Value> {
            let filled = (inner.0..inner.1).rev().find(|b| !cell(a, *b).is_null()).map_or(inner.0, |b| b + 1);
            (inner.0..filled).map(|b| shown(cell(a, b))).collect()
        };
        let mut values: Vec<Vec<Value>> = (outer.0..outer.1).map(line).collect();
        let kept = values.iter().rposition(|line| !line.is_empty()).map_or(0, |index| index + 1);
        values.truncate(kept);
        let mut answer =
            json!({ "range": name(tab, &range), "majorDimension": if by_columns { "COLUMNS" } else { "ROWS" } });
        if !values.is_empty() {
            answer["values"] = json!(values);
        }
        found.push(answer);
    }
    Ok(json!({ "spreadsheetId": SHEET_ID, "valueRanges": found }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WriteRequest {
    data: Vec<ValueRange>,
    value_input_option: String,
    #[serde(default)]
    include_values_in_response: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ValueRange {
    major_dimension: String,
    range: String,
    values: Vec<Vec<Value>>,
}

fn write(book: &mut Book, body: &str, is_half: bool) -> Result<Value, Refused> {
    let request: WriteRequest = serde_json::from_str(body)
        .map_err(|error| Refused::wrong(format!("Invalid JSON payload received. {error}")))?;
    if request.value_input_option != "RAW" || request.include_values_in_response {
        return Err(Refused::wrong("only RAW, without echoes"));
    }
    if request.data.is_empty() {
        return Ok(json!({ "spreadsheetId": SHEET_ID }));
    }
    // All or nothing: first everything is looked at.
    let mut writes = Vec::new();
    for data in &request.data {
        let range = range(book, &data.range)?;
        if data.major_dimension != "ROWS" {
            return Err(Refused::wrong("Invalid value at 'data.major_dimension'"));
        }
        let (height, width) = (range.rows.1 - range.rows.0, range.columns.1 - range.columns.0);
        if data.values.len() != height || data.values.iter().any(|row| row.len() != width) {
            // Google takes less than the range holds; a shifted row looks like that, so it is an error here.
            return Err(Refused::wrong(format!("{} does not fit its values", data.range)));
        }
        for value in data.values.iter().flatten() {
            match value {
                Value::String(text) if text.encode_utf16().count() > LONGEST => {
                    return Err(Refused::wrong(
                        "Your input contains more than the maximum of 50000 characters in a single cell.",
                    ));
                }
                Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
                other => return Err(Refused::wrong(format!("Invalid values: {other}"))),
            }
        }
        let protected = &book.tabs[range.tab].protected;
        if protected.iter().any(|column| (range.columns.0..range.columns.1).contains(column)) {
            return Err(Refused::now(
                "You are trying to edit a protected cell or object. Please contact the spreadsheet owner.",
            ));
        }
        writes.push(range);
    }
    let done = if is_half { writes.len() - 1 } else { writes.len() };
    let mut rows = std::collections::BTreeSet::new();
    let (mut responses, mut cells) = (Vec::new(), 0);
    for (range, data) in writes.iter().zip(request.data).take(done) {
        let tab = &mut book.tabs[range.tab];
        for (row, values) in (range.rows.0..).zip(data.values) {
            // What is only emptied may not count: nobody promises it.
            let filled = values.iter().filter(|value| **value != "").count();
            cells += filled;
            if filled > 0 {
                rows.insert((range.tab, row));
            }
            for (column, value) in (range.columns.0..).zip(values) {
                tab.set(row, column, value);
            }
        }
        responses.push(json!({ "spreadsheetId": SHEET_ID, "updatedRange": name(tab, range) }));
    }
    Ok(
        json!({ "spreadsheetId": SHEET_ID, "totalUpdatedRows": rows.len(), "totalUpdatedCells": cells, "responses": responses }),
    )
}
