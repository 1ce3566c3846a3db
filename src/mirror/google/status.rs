//! The tab `_status` as one block of values, and when it is due. Pure.
//!
//! The tab is ours as a whole. It is written with every write of rows, when something in it changed that a viewer would
//! miss, and otherwise well within [`HEARTBEAT`], so that `last write` tells a daemon without news from a dead one; in
//! between a look at an unchanged store sends nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::a1;
use super::plan::Update;
use super::value;
use crate::mirror::rows::{ACCOUNT_COLUMNS, account_cells, facts, lasting_hash};
use crate::ports::MirrorStatus;

/// How old the tab may get when nothing changes but the daemon lives.
pub const HEARTBEAT: Duration = Duration::from_secs(10 * 60);
/// How old it may be at a look and still stand.
const STANDS: Duration = Duration::from_secs(HEARTBEAT.as_secs() / 2);
/// How often somebody must look, so that a tab that stood at one look is not older than [`HEARTBEAT`] after the next,
/// not even if that one fails and is repeated.
pub const LOOK_EVERY: Duration = Duration::from_secs(HEARTBEAT.as_secs() / 5);
/// The first line: by it a tab of the name is known as ours.
pub const FIRST_FACT: &str = "last write";
/// Rows below the accounts that are emptied with every write: accounts that are no longer there.
const SPARE: usize = 24;
/// Columns of the block.
pub const WIDTH: usize = ACCOUNT_COLUMNS.len();

/// What the tab showed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    lasting: [u8; 16],
    at: Timestamp,
}

impl Told {
    /// As a write of this status leaves it.
    pub fn of(status: &MirrorStatus) -> Self {
        Self { lasting: lasting_hash(status), at: status.written_at }
    }

    /// Whether it may stand as it is.
    pub fn stands(&self, status: &MirrorStatus) -> bool {
        // A clock that went backwards gives a negative age, which is no freshness either.
        let is_fresh = Duration::try_from(status.written_at.duration_since(self.at)).is_ok_and(|age| age < STANDS);
        is_fresh && self.lasting == lasting_hash(status)
    }
}

/// The whole tab, `rows` being how many conversations the other one holds.
pub fn block(title: &str, status: &MirrorStatus, rows: usize) -> Update {
    let freshness = format!(
        "written with every change and at least every {} minutes: if this is older, the daemon is not running or can't reach the sheet",
        HEARTBEAT.as_secs() / 60
    );
    let mut values: Vec<Vec<Value>> = facts(status, rows as u64, &freshness)
        .into_iter()
        .map(|fact| vec![Value::from(fact.name), value::value(&fact.value), Value::from(fact.note)])
        .collect();
    values.push(Vec::new());
    values.push(ACCOUNT_COLUMNS.map(|column| Value::from(column.header())).to_vec());
    values.extend(
        status.accounts.iter().map(|account| account_cells(account, status).iter().map(value::value).collect()),
    );
    values.resize(values.len() + SPARE, Vec::new());
    values.iter_mut().for_each(|row| row.resize(WIDTH, value::blank()));
    Update { range: a1::cells(title, (0, WIDTH - 1), (1, values.len())), values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::workbook::samples;

    #[test]
    fn the_block_is_a_rectangle_of_facts_and_accounts_without_nulls() {
        let status = samples::status();
        let update = block("_status", &status, 2);
        let (rows, columns) = a1::ends(&update.range);
        assert_eq!((rows, columns), (Some(update.values.len()), Some(WIDTH)));
        assert!(update.values.iter().all(|row| row.len() == WIDTH && row.iter().all(|cell| !cell.is_null())));
        assert_eq!(update.values[0][0], FIRST_FACT);
        assert_eq!(value::timestamp(&update.values[0][1]), Some(status.written_at));
        let line = |name: &str| update.values.iter().find(|row| row[0] == name).unwrap();
        assert_eq!((&line("conversations")[1], &line("open gaps")[1]), (&2.into(), &1.into()));
        assert_eq!(line("meetme/default")[1], "parked");
        let fewer = MirrorStatus { accounts: Vec::new(), ..status };
        assert_eq!(block("_status", &fewer, 2).values.len(), update.values.len() - 2, "accounts that left are emptied");
    }

    #[test]
    fn it_is_due_when_something_changed_and_so_early_that_it_never_looks_dead() {
        let status = samples::status();
        let told = Told::of(&status);
        let later = |seconds: i64| {
            let mut later = status.clone();
            later.written_at += jiff::SignedDuration::from_secs(seconds);
            later.accounts.iter_mut().for_each(|account| account.expires_at = later.written_at);
            later
        };
        let told_now = Told::of(&later(0));
        assert!(told_now.stands(&later(299)) && !told_now.stands(&later(300)) && !told_now.stands(&later(-1)));
        // A look just before it is due, one that fails, and the one after it.
        assert!(STANDS + LOOK_EVERY * 2 < HEARTBEAT);
        let mut other = status.clone();
        other.dead_letters = 3;
        assert!(told.stands(&status) && !told.stands(&other));
    }
}
