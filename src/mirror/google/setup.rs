//! Making the two tabs: once, all at once, and never over something that is there. Pure.
//!
//! Google makes all changes of one request or none. So the header is written together with the tab and its formats, and
//! a tab with our header is one that needs nothing: an answer that was lost, or a second start, finds it and stops. What
//! people change or take away afterwards (a colour, the filter, widths, the tab's name or place) stays as they left it.
//!
//! The tabs have ids of ours, so that they are found again under another name; a tab of our name that is empty is taken
//! over with what it has; one that holds something else is left alone and reported.

use google_sheets4::FieldMask;
use google_sheets4::api::{
    AddBandingRequest, AddConditionalFormatRuleRequest, AddSheetRequest, AppendDimensionRequest, BandedRange,
    BandingProperties, BasicFilter, BooleanCondition, BooleanRule, CellData, CellFormat, Color, ColorStyle,
    ConditionValue, ConditionalFormatRule, DimensionProperties, DimensionRange, ExtendedValue, GridCoordinate,
    GridProperties, GridRange, NumberFormat, RepeatCellRequest, Request, RowData, SetBasicFilterRequest, Sheet,
    SheetProperties, Spreadsheet, TextFormat, UpdateCellsRequest, UpdateDimensionPropertiesRequest,
    UpdateSheetPropertiesRequest,
};

use super::layout::Layout;
use crate::mirror::rows::{ACCOUNT_COLUMNS, COLUMNS, Column};

/// One of our tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A row per conversation.
    Conversations,
    /// Whether the rest can be trusted.
    Status,
}

impl Kind {
    /// Its name when it is made.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Conversations => "Conversations",
            Self::Status => "_status",
        }
    }

    /// Its id in every spreadsheet of ours.
    pub const fn id(self) -> i32 {
        match self {
            Self::Conversations => 1_664_101_001,
            Self::Status => 1_664_101_002,
        }
    }
}

/// The id of the bands of colour.
const BANDS: i32 = 1_664_101_003;
/// Free rows of a new tab. It grows by as many.
pub const ROWS: usize = 500;
/// Columns of a new tab: ours, and room for people's own.
const COLUMNS_MADE: i32 = 26;

/// A tab as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    /// Its id.
    pub id: i32,
    /// What people call it.
    pub title: String,
    /// Rows of its grid.
    pub rows: usize,
    /// Columns of its grid.
    pub columns: usize,
}

/// The tab of this kind, by its id or else by its name, in which Google does not tell capitals.
pub fn find(spreadsheet: &Spreadsheet, kind: Kind) -> Option<&Sheet> {
    let sheets = spreadsheet.sheets.as_deref().unwrap_or_default();
    let id = |sheet: &&Sheet| sheet.properties.as_ref().and_then(|p| p.sheet_id) == Some(kind.id());
    let title = |sheet: &&Sheet| {
        let title = sheet.properties.as_ref().and_then(|p| p.title.as_deref()).unwrap_or_default();
        title.to_lowercase() == kind.title().to_lowercase()
    };
    sheets.iter().find(id).or_else(|| sheets.iter().find(title))
}

/// What matters of a tab; `None` if the answer does not say it.
pub fn tab(sheet: &Sheet) -> Option<Tab> {
    let properties = sheet.properties.as_ref()?;
    let grid = properties.grid_properties.as_ref()?;
    let count = |number: Option<i32>| usize::try_from(number?).ok();
    Some(Tab {
        // Zero is the id of a first tab, and left out of an answer like every zero.
        id: properties.sheet_id.unwrap_or(0),
        title: properties.title.clone()?,
        rows: count(grid.row_count)?,
        columns: count(grid.column_count)?,
    })
}

/// The tab as it will be when it is made, with so many rows.
pub fn planned(kind: Kind, rows: usize) -> Tab {
    let columns = usize::try_from(COLUMNS_MADE).unwrap_or(COLUMNS.len());
    Tab { id: kind.id(), title: kind.title().to_owned(), rows, columns }
}

/// Rows of a new tab for so many conversations: formats, filter and bands end where the grid did when they were made.
pub const fn rows_for(kind: Kind, conversations: usize) -> usize {
    match kind {
        Kind::Conversations => conversations + ROWS,
        Kind::Status => ROWS,
    }
}

/// Everything that makes a tab of so many rows; `there`: an empty one that is taken over.
pub fn make(kind: Kind, there: Option<&Sheet>, rows: usize) -> Vec<Request> {
    let id = there.and_then(tab).map_or(kind.id(), |tab| tab.id);
    let mut requests = Vec::new();
    match there {
        None => requests.push(add_tab(kind, rows)),
        Some(sheet) => requests.extend(room(sheet, id, kind, rows)),
    }
    match kind {
        Kind::Conversations => conversations(&mut requests, id, there),
        Kind::Status => status(&mut requests, id, there),
    }
    requests
}

/// So many more rows for a tab; `ours`: where its columns of conversations stand, which get their number formats there.
pub fn grow(tab: &Tab, rows: usize, ours: Option<&Layout>) -> Vec<Request> {
    let new = |at: usize| range(tab.id, i32::try_from(tab.rows).unwrap_or(i32::MAX), at..at + 1);
    let of_numbers = COLUMNS
        .into_iter()
        .map(|column| (column, look(column)))
        .filter(|(_, (_, fields))| fields.contains(&"numberFormat"));
    let formats = ours.into_iter().flat_map(|layout| {
        of_numbers.clone().map(|(column, (format, fields))| repeat(new(layout.of(column)), format, fields))
    });
    std::iter::once(append(tab.id, "ROWS", rows)).chain(formats).collect()
}

fn append(tab: i32, dimension: &str, length: usize) -> Request {
    let append_dimension = AppendDimensionRequest {
        dimension: Some(dimension.to_owned()),
        length: Some(i32::try_from(length).unwrap_or(i32::MAX)),
        sheet_id: Some(tab),
    };
    Request { append_dimension: Some(append_dimension), ..Request::default() }
}

fn add_tab(kind: Kind, rows: usize) -> Request {
    let grid = GridProperties {
        row_count: i32::try_from(rows).ok(),
        column_count: Some(COLUMNS_MADE),
        frozen_row_count: (kind == Kind::Conversations).then_some(1),
        ..GridProperties::default()
    };
    let properties = SheetProperties {
        sheet_id: Some(kind.id()),
        title: Some(kind.title().to_owned()),
        grid_properties: Some(grid),
        ..SheetProperties::default()
    };
    Request { add_sheet: Some(AddSheetRequest { properties: Some(properties) }), ..Request::default() }
}

/// What an empty tab of somebody else's making lacks.
fn room(sheet: &Sheet, id: i32, kind: Kind, rows: usize) -> Vec<Request> {
    let mut requests = Vec::new();
    let Some(tab) = tab(sheet) else { return requests };
    let needed = match kind {
        Kind::Conversations => COLUMNS.len(),
        Kind::Status => ACCOUNT_COLUMNS.len(),
    };
    if tab.columns < needed {
        requests.push(append(id, "COLUMNS", needed - tab.columns));
    }
    if tab.rows < rows {
        requests.push(append(id, "ROWS", rows - tab.rows));
    }
    let frozen =
        sheet.properties.as_ref().and_then(|p| p.grid_properties.as_ref()).and_then(|grid| grid.frozen_row_count);
    if kind == Kind::Conversations && frozen.unwrap_or(0) == 0 {
        let grid = GridProperties { frozen_row_count: Some(1), ..GridProperties::default() };
        let properties =
            SheetProperties { sheet_id: Some(id), grid_properties: Some(grid), ..SheetProperties::default() };
        let update = UpdateSheetPropertiesRequest {
            fields: Some(FieldMask::new(&["gridProperties.frozenRowCount"])),
            properties: Some(properties),
        };
        requests.push(Request { update_sheet_properties: Some(update), ..Request::default() });
    }
    requests
}

fn conversations(requests: &mut Vec<Request>, id: i32, there: Option<&Sheet>) {
    requests.push(header(id, 0, &COLUMNS.map(Column::header)));
    for (index, column) in COLUMNS.into_iter().enumerate() {
        requests.push(width(id, index, pixels(column)));
        requests.push(format(id, index, look(column)));
    }
    if there.is_none_or(|sheet| sheet.basic_filter.is_none()) {
        let filter = BasicFilter { range: Some(range(id, 0, 0..COLUMNS.len())), ..BasicFilter::default() };
        let set = SetBasicFilterRequest { filter: Some(filter) };
        requests.push(Request { set_basic_filter: Some(set), ..Request::default() });
    }
    if there.is_none_or(|sheet| sheet.banded_ranges.as_ref().is_none_or(Vec::is_empty)) {
        requests.push(bands(id));
    }
    if there.is_none_or(|sheet| sheet.conditional_formats.as_ref().is_none_or(Vec::is_empty)) {
        let red = (Some(colour(0x00FF_C7CE)), Some(colour(0x009C_0006)));
        let amber = (Some(colour(0x00FF_EB9C)), None);
        requests.push(rule(range(id, 1, one(Column::Priority)), 0, is_word("high"), red.clone()));
        requests.push(rule(range(id, 1, one(Column::NeedsReply)), 1, is_word("yes"), amber.clone()));
        requests.push(rule(range(id, 1, one(Column::RiskFlags)), 2, is_filled(), amber));
    }
}

fn status(requests: &mut Vec<Request>, id: i32, there: Option<&Sheet>) {
    for (index, pixels) in [130, 190, 330, 330, 190, 130, 90, 190].into_iter().enumerate() {
        requests.push(width(id, index, pixels));
    }
    // The first two facts are times, the counts below them are not.
    let bold = CellFormat { text_format: Some(TextFormat { bold: Some(true), ..TextFormat::default() }), ..top() };
    requests.push(repeat(range(id, 0, 0..1), bold, &["textFormat", "verticalAlignment"]));
    let wrapped = CellFormat { wrap_strategy: Some("WRAP".to_owned()), ..top() };
    requests.push(repeat(range(id, 0, 2..4), wrapped, &["wrapStrategy", "verticalAlignment"]));
    let moments = GridRange { end_row_index: Some(2), ..range(id, 0, 1..2) };
    requests.push(repeat(moments, time(), &["numberFormat", "horizontalAlignment", "verticalAlignment"]));
    for columns in [4..5, 7..8] {
        requests.push(repeat(
            range(id, 8, columns),
            time(),
            &["numberFormat", "horizontalAlignment", "verticalAlignment"],
        ));
    }
    if there.is_some_and(|sheet| sheet.conditional_formats.as_ref().is_some_and(|rules| !rules.is_empty())) {
        return;
    }
    let red = (Some(colour(0x00FF_C7CE)), Some(colour(0x009C_0006)));
    let amber = (Some(colour(0x00FF_EB9C)), None);
    requests.push(rule(range(id, 8, 1..2), 0, is_word("parked"), red.clone()));
    requests.push(rule(range(id, 8, 1..2), 1, is_word("stale"), amber.clone()));
    requests.push(rule(range(id, 8, 6..7), 2, is_word("no"), amber));
}

const fn one(column: Column) -> std::ops::Range<usize> {
    let at = column as usize;
    at..at + 1
}

/// These columns from a row (counted from 0) to the end of the tab.
fn range(id: i32, first_row: i32, columns: std::ops::Range<usize>) -> GridRange {
    let place = |index: usize| i32::try_from(index).ok();
    GridRange {
        sheet_id: Some(id),
        start_row_index: Some(first_row),
        end_row_index: None,
        start_column_index: place(columns.start),
        end_column_index: place(columns.end),
    }
}

fn header(id: i32, row: i32, texts: &[&str]) -> Request {
    let bold = TextFormat { bold: Some(true), ..TextFormat::default() };
    let cells = texts.iter().map(|text| CellData {
        user_entered_value: Some(ExtendedValue { string_value: Some((*text).to_owned()), ..ExtendedValue::default() }),
        user_entered_format: Some(CellFormat { text_format: Some(bold.clone()), ..CellFormat::default() }),
        ..CellData::default()
    });
    let update = UpdateCellsRequest {
        fields: Some(FieldMask::new(&["userEnteredValue", "userEnteredFormat.textFormat"])),
        rows: Some(vec![RowData { values: Some(cells.collect()) }]),
        start: Some(GridCoordinate { sheet_id: Some(id), row_index: Some(row), column_index: Some(0) }),
        range: None,
    };
    Request { update_cells: Some(update), ..Request::default() }
}

fn width(id: i32, column: usize, pixels: i32) -> Request {
    let place = |index: usize| i32::try_from(index).ok();
    let update = UpdateDimensionPropertiesRequest {
        fields: Some(FieldMask::new(&["pixelSize"])),
        properties: Some(DimensionProperties { pixel_size: Some(pixels), ..DimensionProperties::default() }),
        range: Some(DimensionRange {
            dimension: Some("COLUMNS".to_owned()),
            sheet_id: Some(id),
            start_index: place(column),
            end_index: place(column + 1),
        }),
        data_source_sheet_range: None,
    };
    Request { update_dimension_properties: Some(update), ..Request::default() }
}

/// The key is for programs: narrow, its end hidden behind the next column.
const fn pixels(column: Column) -> i32 {
    match column {
        Column::Key | Column::Site | Column::Messages | Column::Sentiment | Column::Priority => 85,
        Column::NeedsReply => 95,
        Column::Account | Column::Model => 130,
        Column::Person | Column::RiskFlags => 160,
        Column::LastMessageAt | Column::UpdatedAt => 180,
        Column::Topics => 220,
        Column::Summary => 460,
    }
}

fn look(column: Column) -> (CellFormat, &'static [&'static str]) {
    match column {
        Column::LastMessageAt | Column::UpdatedAt => {
            (time(), &["numberFormat", "horizontalAlignment", "verticalAlignment"])
        }
        Column::Messages => (number("NUMBER", "#,##0"), &["numberFormat", "verticalAlignment"]),
        Column::Summary | Column::Topics | Column::Person | Column::RiskFlags => {
            (CellFormat { wrap_strategy: Some("WRAP".to_owned()), ..top() }, &["wrapStrategy", "verticalAlignment"])
        }
        Column::Key
        | Column::Site
        | Column::Account
        | Column::Sentiment
        | Column::Priority
        | Column::NeedsReply
        | Column::Model => {
            (CellFormat { wrap_strategy: Some("CLIP".to_owned()), ..top() }, &["wrapStrategy", "verticalAlignment"])
        }
    }
}

fn top() -> CellFormat {
    CellFormat { vertical_alignment: Some("TOP".to_owned()), ..CellFormat::default() }
}

fn number(kind: &str, pattern: &str) -> CellFormat {
    let format = NumberFormat { type_: Some(kind.to_owned()), pattern: Some(pattern.to_owned()) };
    CellFormat { number_format: Some(format), ..top() }
}

/// A sheet knows no time zones: each cell says that it is in UTC.
fn time() -> CellFormat {
    CellFormat { horizontal_alignment: Some("LEFT".to_owned()), ..number("DATE_TIME", "yyyy-mm-dd hh:mm:ss\" UTC\"") }
}

fn format(id: i32, column: usize, (format, fields): (CellFormat, &[&str])) -> Request {
    repeat(range(id, 1, column..column + 1), format, fields)
}

fn repeat(cells: GridRange, format: CellFormat, fields: &[&str]) -> Request {
    let fields: Vec<String> = fields.iter().map(|field| format!("userEnteredFormat.{field}")).collect();
    let repeat = RepeatCellRequest {
        cell: Some(CellData { user_entered_format: Some(format), ..CellData::default() }),
        fields: Some(FieldMask::new(&fields)),
        range: Some(cells),
    };
    Request { repeat_cell: Some(repeat), ..Request::default() }
}

fn bands(id: i32) -> Request {
    let style = |rgb| Some(ColorStyle { rgb_color: Some(colour(rgb)), ..ColorStyle::default() });
    let rows = BandingProperties {
        header_color_style: style(0x00E8_EDF3),
        first_band_color_style: style(0x00FF_FFFF),
        second_band_color_style: style(0x00F6_F8FA),
        ..BandingProperties::default()
    };
    let banded = BandedRange {
        banded_range_id: Some(BANDS),
        range: Some(range(id, 0, 0..COLUMNS.len())),
        row_properties: Some(rows),
        ..BandedRange::default()
    };
    Request { add_banding: Some(AddBandingRequest { banded_range: Some(banded) }), ..Request::default() }
}

fn is_word(word: &str) -> BooleanCondition {
    let value = ConditionValue { user_entered_value: Some(word.to_owned()), ..ConditionValue::default() };
    BooleanCondition { type_: Some("TEXT_EQ".to_owned()), values: Some(vec![value]) }
}

fn is_filled() -> BooleanCondition {
    BooleanCondition { type_: Some("NOT_BLANK".to_owned()), values: None }
}

fn rule(cells: GridRange, index: i32, condition: BooleanCondition, look: (Option<Color>, Option<Color>)) -> Request {
    let style = |colour: Option<Color>| colour.map(|rgb| ColorStyle { rgb_color: Some(rgb), ..ColorStyle::default() });
    let text = look.1.map(|rgb| TextFormat {
        bold: Some(true),
        foreground_color_style: style(Some(rgb)),
        ..TextFormat::default()
    });
    let format = CellFormat { background_color_style: style(look.0), text_format: text, ..CellFormat::default() };
    let rule = ConditionalFormatRule {
        ranges: Some(vec![cells]),
        boolean_rule: Some(BooleanRule { condition: Some(condition), format: Some(format) }),
        gradient_rule: None,
    };
    let add = AddConditionalFormatRuleRequest { index: Some(index), rule: Some(rule) };
    Request { add_conditional_format_rule: Some(add), ..Request::default() }
}

fn colour(rgb: u32) -> Color {
    let part = |shift: u32| Some(((rgb >> shift) & 0xff) as f32 / 255.0);
    Color { red: part(16), green: part(8), blue: part(0), alpha: None }
}
