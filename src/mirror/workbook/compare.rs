//! The files against the store: `summaries.csv` cell by cell. Of `summaries.xlsx`, which is written with it from the same
//! rows, only that it is there.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{CSV, XLSX, csv};
use crate::domain::ConversationKey;
use crate::mirror::difference::Difference;
use crate::mirror::rows::{COLUMNS, Column, TextLimit, conversation_cells};
use crate::ports::Projection;

/// What the files in this folder show otherwise.
pub(super) fn compare(dir: &Path, projection: &Projection) -> Vec<Difference> {
    let mut found = Vec::new();
    if !dir.join(XLSX).is_file() {
        found.push(Difference::Absent { what: XLSX.to_owned() });
    }
    match records(&dir.join(CSV)) {
        Some(records) => found.extend(differences(projection, &records)),
        None => found.push(Difference::Absent { what: CSV.to_owned() }),
    }
    found
}

/// The records below the header; `None` if the file is not there or has another header.
fn records(path: &Path) -> Option<Vec<Vec<String>>> {
    let bytes = std::fs::read(path).ok()?;
    let bytes = bytes.strip_prefix(csv::BYTE_ORDER_MARK).unwrap_or(&bytes);
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    if header != COLUMNS.map(Column::header) {
        return None;
    }
    reader.records().map(|record| Some(record.ok()?.iter().map(str::to_owned).collect())).collect()
}

fn differences(projection: &Projection, records: &[Vec<String>]) -> Vec<Difference> {
    let mut found = Vec::new();
    let wanted: HashMap<ConversationKey, _> = projection.rows.iter().map(|row| (row.conversation.key, row)).collect();
    let mut rows: HashMap<ConversationKey, Vec<usize>> = HashMap::new();
    for (row, record) in (2..).zip(records) {
        match record.first().and_then(|text| text.parse::<ConversationKey>().ok()) {
            Some(key) => rows.entry(key).or_default().push(row),
            None => found.push(Difference::Keyless { row }),
        }
    }
    let mut seen = HashSet::new();
    for (row, record) in (2..).zip(records) {
        let Some(key) = record.first().and_then(|text| text.parse::<ConversationKey>().ok()) else { continue };
        let Some(meant) = wanted.get(&key) else {
            found.push(Difference::Orphan { key, row });
            continue;
        };
        if !seen.insert(key) {
            continue;
        }
        if rows[&key].len() > 1 {
            found.push(Difference::Doubled { key, rows: rows[&key].clone() });
        }
        let meant = conversation_cells(meant, TextLimit::EXCEL);
        let is_other = |(index, column): &(usize, Column)| {
            record.get(*index).map(String::as_str) != Some(&*csv::field(&meant[*column as usize]))
        };
        let columns: Vec<&'static str> =
            COLUMNS.into_iter().enumerate().filter(is_other).map(|(_, column)| column.header()).collect();
        if !columns.is_empty() {
            found.push(Difference::Differs { key, row, columns });
        }
    }
    let missing = projection.rows.iter().map(|row| row.conversation.key).filter(|key| !rows.contains_key(key));
    found.extend(missing.map(|key| Difference::Missing { key }));
    found
}
