//! The sheet against the store, cell by cell: what `mirror verify` tells and `mirror rebuild` mends.
//!
//! Both tabs' formats are people's own affair and are not looked at.

use std::collections::HashMap;

use google_sheets4::api::{Spreadsheet, ValueRange};
use serde_json::Value;

use super::a1;
use super::answer::garbled;
use super::client::{Client, Render};
use super::error::{SheetError, Step};
use super::layout::Layout;
use super::ours;
use super::plan;
use super::setup::{self, Kind};
use super::value;
use crate::domain::ConversationKey;
use crate::mirror::difference::Difference;
use crate::mirror::rows::{COLUMNS, Column};
use crate::ports::{MirrorRow, Projection, Shown};

/// What a rebuild must empty.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Conversations that the store does not hold.
    pub orphans: Shown,
    /// Rows without a key.
    pub keyless: Vec<usize>,
}

/// The strays among differences.
pub(super) fn strays(differences: &[Difference]) -> Strays {
    let mut strays = Strays::default();
    for difference in differences {
        match difference {
            Difference::Orphan { key, .. } => {
                strays.orphans.insert(*key, [0; 16]);
            }
            Difference::Keyless { row } => strays.keyless.push(*row),
            Difference::Missing { .. }
            | Difference::Doubled { .. }
            | Difference::Differs { .. }
            | Difference::Absent { .. } => {}
        }
    }
    strays
}

/// Conversations that do not stand in the sheet as this says, once each.
pub(super) async fn doubts(client: &Client, projection: &Projection) -> Result<Vec<ConversationKey>, SheetError> {
    let found = compare(client, projection).await?.into_iter().filter_map(|difference| match difference {
        Difference::Missing { key } | Difference::Doubled { key, .. } | Difference::Differs { key, .. } => Some(key),
        Difference::Orphan { .. } | Difference::Keyless { .. } | Difference::Absent { .. } => None,
    });
    Ok(found.collect())
}

fn absent() -> Difference {
    Difference::Absent { what: format!("the tab {}", Kind::Conversations.title()) }
}

/// Reads all that is ours and compares it.
pub(super) async fn compare(client: &Client, projection: &Projection) -> Result<Vec<Difference>, SheetError> {
    let spreadsheet = client.tabs().await?;
    let Some(sheet) = setup::find(&spreadsheet, Kind::Conversations) else { return Ok(vec![absent()]) };
    if !ours::is_ours(client, Kind::Conversations, sheet).await? {
        return Ok(vec![absent()]);
    }
    let tab = setup::tab(sheet).ok_or(garbled(Step::Tabs))?;
    // A person may move columns between the two reads: then once more.
    for _ in 0..3 {
        let head = client.read(&[a1::row(&tab.title, 1)], Render::Rows).await?;
        let head: Vec<String> = head.first().map(|range| texts(range, 0)).unwrap_or_default();
        let layout =
            Layout::find(&head).map_err(|misfit| SheetError::Columns { tab: Kind::Conversations.title(), misfit })?;
        let blocks = layout.blocks();
        let ranges: Vec<String> =
            blocks.iter().map(|block| a1::columns(&tab.title, (block.first, block.last()))).collect();
        let read = client.read(&ranges, Render::Rows).await?;
        let is_as_assumed = blocks.iter().zip(&read).all(|(block, range)| {
            let header = texts(range, 0);
            block
                .columns
                .clone()
                .zip(header.iter())
                .filter(|(column, text)| COLUMNS[*column].header() == text.trim())
                .count()
                == block.columns.len()
        });
        if is_as_assumed {
            let cells = |row: usize, column: Column| {
                let (block, range) =
                    blocks.iter().zip(&read).find(|(block, _)| block.columns.contains(&(column as usize)))?;
                range.values.as_ref()?.get(row - 1)?.get(column as usize - block.columns.start)
            };
            let height = read.iter().map(|range| range.values.as_ref().map_or(0, Vec::len)).max().unwrap_or(0);
            let mut found = differences(projection, height, cells);
            found.extend(status_absent(client, &spreadsheet).await?);
            return Ok(found);
        }
    }
    Err(SheetError::TabGone)
}

/// Whether the tab that says if the rest can be trusted is missing.
async fn status_absent(client: &Client, spreadsheet: &Spreadsheet) -> Result<Option<Difference>, SheetError> {
    let is_there = match setup::find(spreadsheet, Kind::Status) {
        Some(sheet) => ours::is_ours(client, Kind::Status, sheet).await?,
        None => false,
    };
    Ok((!is_there).then(|| Difference::Absent { what: format!("the tab {}", Kind::Status.title()) }))
}

fn texts(range: &ValueRange, row: usize) -> Vec<String> {
    let row = range.values.as_ref().and_then(|rows| rows.get(row));
    row.map(|cells| cells.iter().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()).unwrap_or_default()
}

/// What differs, by rows from the top, then what is missing. `cell` gives what stands in a row (counted from 1).
fn differences<'v>(
    projection: &Projection,
    height: usize,
    cell: impl Fn(usize, Column) -> Option<&'v Value>,
) -> Vec<Difference> {
    let key_of = |row| cell(row, Column::Key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let keys: Vec<String> = (1..=height).map(key_of).collect();
    let standing = plan::rows_by_key(&keys);
    let wanted: HashMap<ConversationKey, &MirrorRow> =
        projection.rows.iter().map(|row| (row.conversation.key, row)).collect();
    let is_filled = |row: usize| {
        let rest = COLUMNS.into_iter().skip(1).filter_map(|column| cell(row, column));
        rest.into_iter().any(|value| !value.is_null() && value != "")
    };
    let mut found = Vec::new();
    for row in 2..=height {
        let text = keys[row - 1].trim();
        let Ok(key) = text.parse::<ConversationKey>() else {
            // A text that is no key is a line of somebody else's.
            if text.is_empty() && cell(row, Column::Key).is_none_or(|value| value == "") && is_filled(row) {
                found.push(Difference::Keyless { row });
            }
            continue;
        };
        let rows = standing.get(&key).map(Vec::as_slice).unwrap_or_default();
        let Some(meant) = wanted.get(&key) else {
            found.push(Difference::Orphan { key, row });
            continue;
        };
        if rows.first() != Some(&row) {
            continue;
        }
        if rows.len() > 1 {
            found.push(Difference::Doubled { key, rows: rows.to_vec() });
        }
        let meant = plan::values(meant);
        let differs = |(column, value): &(Column, &Value)| !value::is_same(value, cell(row, *column));
        let columns: Vec<&'static str> =
            COLUMNS.into_iter().zip(&meant).filter(differs).map(|(column, _)| column.header()).collect();
        if !columns.is_empty() {
            found.push(Difference::Differs { key, row, columns });
        }
    }
    let missing = projection.rows.iter().map(|row| row.conversation.key).filter(|key| !standing.contains_key(key));
    found.extend(missing.map(|key| Difference::Missing { key }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::workbook::samples::{projection, row};

    #[test]
    fn every_kind_of_difference_is_found_and_nothing_else() {
        let rows: Vec<MirrorRow> = (1..=4).map(|id| row(&id.to_string(), "p", "s")).collect();
        let [one, two, three, gone] = [0, 1, 2, 3].map(|index| plan::values(&rows[index]));
        let shown = projection(rows[..3].to_vec());
        let head: Vec<Value> = COLUMNS.map(|column| Value::from(column.header())).to_vec();
        let compared = |lines: &[Vec<Value>]| {
            let table: Vec<Vec<Value>> = std::iter::once(head.clone()).chain(lines.iter().cloned()).collect();
            differences(&shown, table.len(), |row, column| table.get(row - 1)?.get(column as usize))
        };
        assert_eq!(compared(&[three.clone(), one.clone(), two.clone()]), []);
        let keys = [0, 1, 2, 3].map(|index| rows[index].conversation.key);
        let mut edited = one.clone();
        edited[Column::Summary as usize] = "by hand".into();
        edited[Column::Messages as usize] = "12".into();
        let mut keyless = two.clone();
        keyless[0] = "".into();
        let mut total = vec![Value::from(""); COLUMNS.len()];
        total[0] = "Total".into();
        assert_eq!(
            compared(&[edited, three.clone(), gone, keyless, total, vec![], three]),
            [
                Difference::Differs { key: keys[0], row: 2, columns: vec!["messages", "summary"] },
                Difference::Doubled { key: keys[2], rows: vec![3, 8] },
                Difference::Orphan { key: keys[3], row: 4 },
                Difference::Keyless { row: 5 },
                Difference::Missing { key: keys[1] },
            ]
        );
    }
}
