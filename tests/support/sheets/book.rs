//! The spreadsheet itself: tabs with grids and cells, formats as far as set-up could double them, and what people do.

use serde_json::{Value, json};

/// All cells of a spreadsheet together.
const MOST_CELLS: usize = 10_000_000;

/// A spreadsheet.
#[derive(Debug, Clone)]
pub struct Book {
    pub tabs: Vec<Tab>,
    /// All cells that there may be.
    pub most_cells: usize,
    /// How many calls of each kind of change were carried out.
    pub changes: Vec<&'static str>,
}

/// A tab.
#[derive(Debug, Clone)]
pub struct Tab {
    pub id: i32,
    pub title: String,
    pub rows: usize,
    pub columns: usize,
    pub frozen: usize,
    /// Row by row; shorter than the grid where nothing stands.
    pub cells: Vec<Vec<Value>>,
    pub bands: Vec<Value>,
    pub rules: Vec<Value>,
    pub filter: Option<Value>,
    /// Formats and widths: how many were set.
    pub formats: usize,
    /// Columns that somebody protected, counted from 0.
    pub protected: Vec<usize>,
}

impl Book {
    pub fn new() -> Self {
        Self { tabs: vec![Tab::new(0, "Sheet1", 1000, 26)], most_cells: MOST_CELLS, changes: Vec::new() }
    }

    /// The tab of this title, whatever its capitals.
    pub fn tab(&self, title: &str) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.title.eq_ignore_ascii_case(title))
    }

    /// The same, to edit.
    #[track_caller]
    pub fn edit(&mut self, title: &str) -> &mut Tab {
        self.tabs.iter_mut().find(|tab| tab.title.eq_ignore_ascii_case(title)).unwrap()
    }

    pub fn cells(&self) -> usize {
        self.tabs.iter().map(|tab| tab.rows * tab.columns).sum()
    }
}

impl Tab {
    pub fn new(id: i32, title: &str, rows: usize, columns: usize) -> Self {
        Self {
            id,
            title: title.to_owned(),
            rows,
            columns,
            frozen: 0,
            cells: Vec::new(),
            bands: Vec::new(),
            rules: Vec::new(),
            filter: None,
            formats: 0,
            protected: Vec::new(),
        }
    }

    pub fn get(&self, row: usize, column: usize) -> &Value {
        self.cells.get(row).and_then(|cells| cells.get(column)).unwrap_or(&Value::Null)
    }

    /// Row and column counted from 0. An empty text empties the cell.
    pub fn set(&mut self, row: usize, column: usize, value: Value) {
        assert!(row < self.rows && column < self.columns, "outside the grid");
        if self.cells.len() <= row {
            self.cells.resize(row + 1, Vec::new());
        }
        if self.cells[row].len() <= column {
            self.cells[row].resize(column + 1, Value::Null);
        }
        self.cells[row][column] = if value == "" { Value::Null } else { value };
    }

    /// The texts of the first row.
    pub fn header(&self) -> Vec<String> {
        (0..self.columns).map(|column| super::shown(self.get(0, column))).collect()
    }

    /// Where this header stands.
    #[track_caller]
    pub fn column(&self, header: &str) -> usize {
        self.header().iter().position(|text| text == header).unwrap_or_else(|| panic!("no header {header}"))
    }

    /// The last row in which anything stands, counted from 1.
    pub fn used(&self) -> usize {
        self.cells.iter().rposition(|row| row.iter().any(|cell| !cell.is_null())).map_or(0, |index| index + 1)
    }

    // What people do.

    pub fn insert_rows(&mut self, at: usize, count: usize) {
        self.cells.resize(self.cells.len().max(at), Vec::new());
        (0..count).for_each(|_| self.cells.insert(at, Vec::new()));
        self.rows += count;
    }

    pub fn delete_row(&mut self, at: usize) {
        if at < self.cells.len() {
            self.cells.remove(at);
        }
        self.rows -= 1;
    }

    /// Sorts the rows below the header by a column, as people do with the filter.
    pub fn sort_by(&mut self, column: usize, is_descending: bool) {
        let used = self.used();
        self.cells.truncate(used);
        let key = |row: &Vec<Value>| row.get(column).map(super::shown).unwrap_or_default();
        if let Some(rows) = self.cells.get_mut(1..) {
            rows.sort_by_key(key);
            if is_descending {
                rows.reverse();
            }
        }
    }

    pub fn insert_column(&mut self, at: usize, header: &str) {
        for row in &mut self.cells {
            if row.len() > at {
                row.insert(at, Value::Null);
            }
        }
        self.columns += 1;
        self.set(0, at, header.into());
    }

    pub fn move_column(&mut self, from: usize, to: usize) {
        let columns = self.columns;
        for row in &mut self.cells {
            row.resize(columns, Value::Null);
            let cell = row.remove(from);
            row.insert(to, cell);
        }
    }

    /// The tab as `spreadsheets.get` describes it.
    pub fn described(&self, index: usize) -> Value {
        let mut grid = json!({ "rowCount": self.rows, "columnCount": self.columns });
        if self.frozen > 0 {
            grid["frozenRowCount"] = self.frozen.into();
        }
        let mut tab = json!({ "properties": {
            "sheetId": self.id, "title": self.title, "index": index, "sheetType": "GRID", "gridProperties": grid,
        } });
        if !self.bands.is_empty() {
            tab["bandedRanges"] = self.bands.clone().into();
        }
        if !self.rules.is_empty() {
            tab["conditionalFormats"] = self.rules.clone().into();
        }
        if let Some(filter) = &self.filter {
            tab["basicFilter"] = filter.clone();
        }
        tab
    }
}
