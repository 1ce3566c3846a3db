//! Whether a tab of our name is ours: it must have our id or our headers, or else be empty. What somebody else wrote is
//! never written over.

use google_sheets4::api::Sheet;

use super::answer::garbled;
use super::client::{Client, Render};
use super::cycle::{columns, text};
use super::error::{SheetError, Step};
use super::layout::{Layout, Misfit};
use super::setup::{self, Kind};
use super::{a1, status};
use crate::mirror::rows::Column;

/// True if a tab was made by us, false if it is empty.
///
/// # Errors
/// [`SheetError::Columns`] if it was ours before somebody changed its headers, [`SheetError::Foreign`] if it never was.
pub(super) async fn is_ours(client: &Client, kind: Kind, sheet: &Sheet) -> Result<bool, SheetError> {
    let tab = setup::tab(sheet).ok_or(garbled(Step::Tabs))?;
    if kind == Kind::Status && tab.id == kind.id() {
        return Ok(true);
    }
    let read = client.read(&[a1::row(&tab.title, 1)], Render::Rows).await?;
    let first: Vec<String> = read
        .first()
        .and_then(|range| columns(range).first())
        .map(|row| row.iter().map(|cell| text(Some(cell))).collect())
        .unwrap_or_default();
    let misfit = match kind {
        Kind::Status if first.first().is_some_and(|text| text == status::FIRST_FACT) => return Ok(true),
        Kind::Status => Misfit::Blank,
        Kind::Conversations => match Layout::find(&first) {
            Ok(_) => return Ok(true),
            Err(misfit) => misfit,
        },
    };
    if first.iter().all(|text| text.trim().is_empty()) {
        let whole = client.read(&[a1::whole(&tab.title)], Render::Rows).await?;
        let is_empty = whole.iter().flat_map(columns).flatten().all(|cell| text(Some(cell)).trim().is_empty());
        if is_empty {
            return Ok(false);
        }
    }
    let is_ours = tab.id == kind.id() || first.iter().any(|text| text.trim() == Column::Key.header());
    match kind {
        Kind::Conversations if is_ours => Err(SheetError::Columns { tab: kind.title(), misfit }),
        _ => Err(SheetError::Foreign { tab: kind.title() }),
    }
}
