//! `:batchUpdate`: tabs, rows, formats. All of a request or none of it; what can't be made twice is refused the second
//! time, as Google does.

use serde::Deserialize;
use serde_json::{Value, json};

use super::SHEET_ID;
use super::api::Refused;
use super::book::{Book, Tab};
use super::format::{Format, Style, check_colour, check_fields};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    requests: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Change {
    AddSheet {
        properties: Properties,
    },
    AppendDimension(Append),
    UpdateSheetProperties {
        properties: Properties,
        fields: String,
    },
    UpdateCells {
        start: Start,
        rows: Vec<Row>,
        fields: String,
    },
    UpdateDimensionProperties {
        range: Dimension,
        properties: Pixels,
        fields: String,
    },
    RepeatCell {
        range: Grid,
        cell: Cell,
        fields: String,
    },
    SetBasicFilter {
        filter: Filter,
    },
    #[serde(rename_all = "camelCase")]
    AddBanding {
        banded_range: Banded,
    },
    AddConditionalFormatRule {
        rule: Rule,
        index: i32,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Properties {
    sheet_id: i32,
    title: Option<String>,
    grid_properties: Option<GridProperties>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GridProperties {
    row_count: Option<usize>,
    column_count: Option<usize>,
    frozen_row_count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Append {
    sheet_id: i32,
    dimension: String,
    length: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Start {
    sheet_id: i32,
    row_index: usize,
    column_index: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    values: Vec<Cell>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Cell {
    user_entered_value: Option<Entered>,
    user_entered_format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entered {
    string_value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Dimension {
    sheet_id: i32,
    dimension: String,
    start_index: usize,
    end_index: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pixels {
    pixel_size: u32,
}

#[derive(Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Grid {
    sheet_id: i32,
    start_row_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_row_index: Option<usize>,
    start_column_index: usize,
    end_column_index: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    range: Grid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Banded {
    banded_range_id: i32,
    range: Grid,
    row_properties: Bands,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Bands {
    header_color_style: Style,
    first_band_color_style: Style,
    second_band_color_style: Style,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    ranges: Vec<Grid>,
    boolean_rule: BooleanRule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BooleanRule {
    condition: Condition,
    format: Format,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    r#type: String,
    #[serde(default)]
    values: Vec<ConditionValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConditionValue {
    user_entered_value: String,
}

/// Carries a request out on a copy, which takes the book's place if all of it went well.
pub fn change(book: &mut Book, body: &str) -> Result<Value, Refused> {
    let body: Body = serde_json::from_str(body)
        .map_err(|error| Refused::wrong(format!("Invalid JSON payload received. {error}")))?;
    if body.requests.is_empty() {
        return Err(Refused::wrong("Must specify at least one request."));
    }
    let mut next = book.clone();
    let replies =
        body.requests.into_iter().map(|request| one(&mut next, request)).collect::<Result<Vec<Value>, Refused>>()?;
    if next.cells() > next.most_cells {
        return Err(Refused::now(
            "This action would increase the number of cells in the workbook above the limit of 10000000 cells.",
        ));
    }
    *book = next;
    Ok(json!({ "spreadsheetId": SHEET_ID, "replies": replies }))
}

fn tab(book: &mut Book, id: i32) -> Result<&mut Tab, Refused> {
    book.tabs.iter_mut().find(|tab| tab.id == id).ok_or_else(|| Refused::now(format!("No grid with id: {id}")))
}

fn one(book: &mut Book, change: Change) -> Result<Value, Refused> {
    let (kind, reply) = match change {
        Change::AddSheet { properties } => ("addSheet", add_sheet(book, properties)?),
        Change::AppendDimension(Append { sheet_id, dimension, length }) => {
            let tab = tab(book, sheet_id)?;
            match dimension.as_str() {
                "ROWS" => tab.rows += length,
                "COLUMNS" => tab.columns += length,
                other => return Err(Refused::wrong(format!("Invalid dimension {other}"))),
            }
            ("appendDimension", json!({}))
        }
        Change::UpdateSheetProperties { properties, fields } => {
            let frozen = properties.grid_properties.and_then(|grid| grid.frozen_row_count);
            let (Some(frozen), "gridProperties.frozenRowCount") = (frozen, fields.as_str()) else {
                return Err(Refused::wrong("only frozen rows are known here"));
            };
            tab(book, properties.sheet_id)?.frozen = frozen;
            ("updateSheetProperties", json!({}))
        }
        Change::UpdateCells { start, rows, fields } => ("updateCells", update_cells(book, &start, rows, &fields)?),
        Change::UpdateDimensionProperties { range, properties, fields } => {
            let tab = tab(book, range.sheet_id)?;
            let is_fine =
                range.dimension == "COLUMNS" && range.start_index < range.end_index && range.end_index <= tab.columns;
            if !is_fine || fields != "pixelSize" || properties.pixel_size == 0 {
                return Err(Refused::wrong("Invalid updateDimensionProperties"));
            }
            tab.formats += 1;
            ("updateDimensionProperties", json!({}))
        }
        Change::RepeatCell { range, cell, fields } => {
            let tab = within(book, &range)?;
            let Some(format) = cell.user_entered_format else { return Err(Refused::wrong("no format")) };
            check_fields(&fields, &format)?;
            if cell.user_entered_value.is_some() {
                return Err(Refused::wrong("it would fill a column"));
            }
            tab.formats += 1;
            ("repeatCell", json!({}))
        }
        Change::SetBasicFilter { filter } => {
            within(book, &filter.range)?.filter = Some(json!({ "range": filter.range }));
            ("setBasicFilter", json!({}))
        }
        Change::AddBanding { banded_range } => {
            let Bands { header_color_style, first_band_color_style, second_band_color_style } =
                &banded_range.row_properties;
            [header_color_style, first_band_color_style, second_band_color_style]
                .map(check_colour)
                .into_iter()
                .collect::<Result<(), Refused>>()?;
            let is_there = book
                .tabs
                .iter()
                .flat_map(|tab| &tab.bands)
                .any(|band| band["bandedRangeId"] == banded_range.banded_range_id);
            let tab = within(book, &banded_range.range)?;
            if is_there || !tab.bands.is_empty() {
                return Err(Refused::now(
                    "You cannot add alternating background colors to a range that already has alternating background colors.",
                ));
            }
            tab.bands.push(json!({ "bandedRangeId": banded_range.banded_range_id, "range": banded_range.range }));
            ("addBanding", json!({ "addBanding": {} }))
        }
        Change::AddConditionalFormatRule { rule, index } => ("addConditionalFormatRule", add_rule(book, rule, index)?),
    };
    book.changes.push(kind);
    Ok(reply)
}

fn within<'b>(book: &'b mut Book, range: &Grid) -> Result<&'b mut Tab, Refused> {
    let tab = tab(book, range.sheet_id)?;
    let rows = range.start_row_index.unwrap_or(0) < range.end_row_index.unwrap_or(tab.rows);
    if !rows || range.start_column_index >= range.end_column_index || range.end_column_index > tab.columns {
        return Err(Refused::wrong("Invalid range"));
    }
    Ok(tab)
}

fn add_sheet(book: &mut Book, properties: Properties) -> Result<Value, Refused> {
    let title = properties.title.ok_or_else(|| Refused::wrong("no title"))?;
    if book.tabs.iter().any(|tab| tab.title.eq_ignore_ascii_case(&title)) {
        return Err(Refused::now("A sheet with that name already exists. Please enter another name."));
    }
    if book.tabs.iter().any(|tab| tab.id == properties.sheet_id) {
        return Err(Refused::now("A sheet with that id already exists."));
    }
    let grid = properties.grid_properties;
    let count = |of: fn(&GridProperties) -> Option<usize>, default| grid.as_ref().and_then(of).unwrap_or(default);
    let mut tab =
        Tab::new(properties.sheet_id, &title, count(|grid| grid.row_count, 1000), count(|grid| grid.column_count, 26));
    tab.frozen = count(|grid| grid.frozen_row_count, 0);
    book.tabs.push(tab);
    Ok(json!({ "addSheet": { "properties": { "sheetId": properties.sheet_id, "title": title } } }))
}

fn update_cells(book: &mut Book, start: &Start, rows: Vec<Row>, fields: &str) -> Result<Value, Refused> {
    if fields != "userEnteredValue,userEnteredFormat.textFormat" {
        return Err(Refused::wrong(format!("Invalid field mask {fields}")));
    }
    let tab = tab(book, start.sheet_id)?;
    for (row, line) in (start.row_index..).zip(rows) {
        for (column, cell) in (start.column_index..).zip(line.values) {
            if row >= tab.rows || column >= tab.columns {
                return Err(Refused::now("exceeds grid limits"));
            }
            tab.set(
                row,
                column,
                cell.user_entered_value.map_or_else(|| Value::from(""), |value| value.string_value.into()),
            );
        }
    }
    Ok(json!({}))
}

fn add_rule(book: &mut Book, rule: Rule, index: i32) -> Result<Value, Refused> {
    let [range] = rule.ranges.as_slice() else { return Err(Refused::wrong("Invalid ranges")) };
    let values = rule.boolean_rule.condition.values.len();
    let expected = match rule.boolean_rule.condition.r#type.as_str() {
        "TEXT_EQ" => 1,
        "NOT_BLANK" => 0,
        other => return Err(Refused::wrong(format!("Invalid condition {other}"))),
    };
    rule.boolean_rule.format.background_color_style.as_ref().map_or(Ok(()), check_colour)?;
    let tab = within(book, range)?;
    if values != expected || usize::try_from(index).map_or(true, |index| index > tab.rules.len()) {
        return Err(Refused::wrong("Invalid rule"));
    }
    tab.rules.push(json!({ "ranges": rule.ranges, "booleanRule": { "condition": { "type": rule.boolean_rule.condition.r#type } } }));
    Ok(json!({}))
}
