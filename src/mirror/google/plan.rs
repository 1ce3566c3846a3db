//! From what stands in the key column and what should be shown to one write of whole own rows. Pure.
//!
//! | in the sheet | wanted | what is written |
//! |---|---|---|
//! | once | with other content than noted | its own cells, where it stands now |
//! | more than once | yes | the first is written, the own cells of the others are emptied |
//! | not at all | yes | a new row behind the last one that is in use |
//! | any number of times | no, but noted as written by us | its own cells are emptied; it is gone when a later read finds none |
//! | a key that was never ours, a text, nothing | – | nothing |
//!
//! Row numbers come from a read just before, never from memory: people sort, insert and delete. Rows are emptied and
//! never deleted, and only in our own columns: a deletion can't be made to depend on the row still being the one that
//! was read, and it would take a person's notes with it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::a1;
use super::layout::Layout;
use super::value;
use crate::domain::ConversationKey;
use crate::mirror::rows::{COLUMNS, TextLimit, conversation_cells};
use crate::ports::{MirrorRow, Shown};

/// The first row that holds a conversation.
const FIRST: usize = 2;

/// What was read of the tab.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where our columns stand.
    pub layout: Layout,
    /// The key column from row 1 on.
    pub keys: Vec<String>,
    /// The last row in which a person typed something; `None` if that was not read.
    pub typed: Option<usize>,
}

/// A conversation that should be shown.
#[derive(Debug)]
pub struct Want<'a> {
    /// The row.
    pub row: &'a MirrorRow,
    /// [`MirrorRow::fingerprint`].
    pub fingerprint: [u8; 16],
}

/// Values for one range.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// In A1 notation.
    pub range: String,
    /// Row by row.
    pub values: Vec<Vec<Value>>,
}

/// One write.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Ranges of own cells.
    pub updates: Vec<Update>,
    /// What the write makes certain.
    pub shows: Vec<(ConversationKey, [u8; 16])>,
    /// Conversations that should not be shown and are not.
    pub gone: Vec<ConversationKey>,
    /// How many conversations it takes out.
    pub leaving: usize,
    /// How many rows get content.
    pub rows: usize,
    /// The last row that it touches; 0 if none.
    pub last_row: usize,
    /// How many conversations did not fit into it.
    pub left: usize,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Planned {
    /// This write; it may be empty.
    Write(Plan),
    /// There are new rows, and nobody looked where people typed.
    LookFurther,
}

/// The keys that stand in the tab, with their rows, first to last.
pub fn rows_by_key(keys: &[String]) -> HashMap<ConversationKey, Vec<usize>> {
    let mut found: HashMap<ConversationKey, Vec<usize>> = HashMap::new();
    for (index, text) in keys.iter().enumerate().skip(FIRST - 1) {
        if let Ok(key) = text.trim().parse() {
            found.entry(key).or_default().push(index + 1);
        }
    }
    found
}

/// A row of values, in the order of [`COLUMNS`].
pub fn values(row: &MirrorRow) -> Vec<Value> {
    conversation_cells(row, TextLimit::SHEETS).iter().map(value::value).collect()
}

/// One row of the write: `None` empties it.
struct Line {
    at: usize,
    values: Option<Vec<Value>>,
}

/// Plans the next write. `noted`: what each row showed when it was last written for certain. `strays`: rows whose own
/// cells are to be emptied whatever they hold. `budget`: about how many bytes it may take; one conversation is always
/// taken.
pub fn plan(title: &str, seen: &Seen, wanted: &[Want<'_>], noted: &Shown, strays: &[usize], budget: usize) -> Planned {
    let standing = rows_by_key(&seen.keys);
    let shown: HashSet<ConversationKey> = wanted.iter().map(|want| want.row.conversation.key).collect();
    let mut plan = Plan::default();
    let mut lines: Vec<Line> = strays.iter().map(|at| Line { at: *at, values: None }).collect();
    for key in noted.keys().filter(|key| !shown.contains(*key)) {
        match standing.get(key) {
            Some(rows) => {
                lines.extend(rows.iter().map(|at| Line { at: *at, values: None }));
                plan.leaving += 1;
            }
            None => plan.gone.push(*key),
        }
    }
    let last_keyed = seen.keys.iter().rposition(|text| !text.trim().is_empty()).map_or(1, |index| index + 1);
    let mut next = last_keyed.max(seen.typed.unwrap_or(1)).max(FIRST - 1) + 1;
    let mut bytes = 0;
    // The newest conversation last, so that a row that comes later stands behind it.
    for want in wanted.iter().rev() {
        let key = want.row.conversation.key;
        let rows = standing.get(&key).map(Vec::as_slice).unwrap_or_default();
        if rows.len() == 1 && noted.get(&key) == Some(&want.fingerprint) {
            continue;
        }
        if rows.is_empty() && seen.typed.is_none() {
            return Planned::LookFurther;
        }
        if bytes >= budget {
            plan.left += 1;
            continue;
        }
        let values = values(want.row);
        let size: usize = values.iter().map(value::size).sum::<usize>() + 8;
        if bytes > 0 && bytes + size > budget {
            bytes = budget;
            plan.left += 1;
            continue;
        }
        bytes += size;
        let at = rows.first().copied().unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        lines.push(Line { at, values: Some(values) });
        lines.extend(rows.iter().skip(1).map(|at| Line { at: *at, values: None }));
        plan.shows.push((key, want.fingerprint));
    }
    plan.rows = plan.shows.len();
    plan.updates = updates(title, &seen.layout, &mut lines);
    plan.last_row = lines.last().map_or(0, |line| line.at);
    Planned::Write(plan)
}

/// Neighbouring rows share a range, for each block of our columns.
fn updates(title: &str, layout: &Layout, lines: &mut [Line]) -> Vec<Update> {
    lines.sort_by_key(|line| line.at);
    let mut updates = Vec::new();
    for run in lines.chunk_by(|one, next| one.at + 1 == next.at) {
        let rows = (run[0].at, run[run.len() - 1].at);
        for block in layout.blocks() {
            let cut = |line: &Line| match &line.values {
                Some(values) => values[block.columns.clone()].to_vec(),
                None => vec![value::blank(); block.columns.len()],
            };
            let range = a1::cells(title, (block.first, block.last()), rows);
            updates.push(Update { range, values: run.iter().map(cut).collect() });
        }
    }
    updates
}

/// How many columns of a row are ours.
pub const WIDTH: usize = COLUMNS.len();

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
