//! What `_status` says while the rows can't be written: whoever looks at the sheet must not take it for current.
//!
//! Only the tab `_status` is touched, and only where the tab of the rows is what is wrong. Its first line keeps the time
//! at which rows were last written, and its note says why none were since. It is a courtesy: what goes wrong with it is
//! told by the fault that it is about.

use std::time::Duration;

use jiff::Timestamp;

use super::client::{Client, Render};
use super::cycle::{self, Memory, Permitted};
use super::error::SheetError;
use super::setup::{self, Kind};
use super::{a1, status, value};
use crate::domain::ids::digest;
use crate::fault::Fault;
use crate::mirror::rows::lasting_hash;
use crate::ports::MirrorStatus;

/// Between two notices at least.
const EVERY: Duration = Duration::from_secs(60);

/// What was told last while nothing could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noticed {
    content: [u8; 16],
    at: Timestamp,
}

/// Whether a fault is about the rows alone, so that `_status` may still be written.
const fn is_about_rows(error: &SheetError) -> bool {
    match error {
        SheetError::Columns { .. } | SheetError::Full | SheetError::Protected { .. } => true,
        SheetError::Key { .. }
        | SheetError::NotShared { .. }
        | SheetError::Missing
        | SheetError::Foreign { .. }
        | SheetError::RateLimited { .. }
        | SheetError::Unavailable { .. }
        | SheetError::Partly { .. }
        | SheetError::Shrunk
        | SheetError::TabGone
        | SheetError::Refused { .. }
        | SheetError::Clock { .. }
        | SheetError::Held => false,
    }
}

/// Says in the sheet why its rows are old, if that is news and may be said. `rows`: how many conversations it shows.
///
/// # Errors
/// What kept it from being said.
pub(super) async fn put_up(
    client: &Client,
    memory: &mut Memory,
    (error, status, rows): (&SheetError, &MirrorStatus, usize),
    permitted: Permitted<'_>,
) -> Result<(), SheetError> {
    if !is_about_rows(error) {
        return Ok(());
    }
    // The next write of rows takes the notice down.
    memory.forget_status();
    let content = digest("sheet-notice-1", &[error.to_string().as_bytes(), &lasting_hash(status)]);
    let is_due = memory.noticed.is_none_or(|noticed| {
        let age = Duration::try_from(status.written_at.duration_since(noticed.at));
        noticed.content != content && age.is_ok_and(|age| age >= EVERY)
    });
    if !is_due {
        return Ok(());
    }
    permitted()?;
    let spreadsheet = client.tabs().await?;
    let Some(sheet) = setup::find(&spreadsheet, Kind::Status) else { return Ok(()) };
    let Some(tab) = setup::tab(sheet) else { return Ok(()) };
    if !cycle::is_ours(client, Kind::Status, sheet).await? {
        return Ok(());
    }
    let read = client.read(&[a1::cells(&tab.title, (1, 1), (1, 1))], Render::Rows).await?;
    let stands = read.into_iter().next().and_then(|range| range.values).and_then(|rows| rows.into_iter().next());
    let last_write = stands.and_then(|row| row.into_iter().next()).unwrap_or_else(value::blank);
    let since = value::timestamp(&last_write).map(|at| format!(" since {}", at.strftime("%Y-%m-%d %H:%M UTC")));
    let mut block = status::block(&tab.title, status, rows);
    if let Some([_, at, note, ..]) = block.values.first_mut().map(Vec::as_mut_slice) {
        *at = last_write;
        let told = format!("ROWS NOT WRITTEN{}: {error}. {}", since.unwrap_or_default(), error.action());
        *note = told.into();
    }
    permitted()?;
    client.write(&[block]).await?;
    memory.noticed = Some(Noticed { content, at: status.written_at });
    Ok(())
}
