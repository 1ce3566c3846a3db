//! What a pack reads of a page as it stands, with the verdicts that a pass would give: for fixtures, and for
//! comparing packs. Nothing is scrolled, opened or kept.

use std::time::Duration;

use super::verdict::{self, Drift};
use crate::fault::AnyFault;
use crate::ports::page::{Glance, ListReading, PageVerdict, SitePage, ThreadReading, Until};
use crate::selectors::Pack;

/// One page, read once.
#[derive(Debug, Clone)]
pub struct PageReading {
    /// What kind of page it is, looked at for its list.
    pub list_verdict: PageVerdict,
    /// What kind of page it is, looked at for its open conversation.
    pub thread_verdict: PageVerdict,
    /// The list.
    pub list: ListReading,
    /// The open conversation.
    pub thread: ThreadReading,
    /// Fields that match otherwise than the pack demands, those of the list first.
    pub drifts: Vec<Drift>,
}

/// Reads the page as it is now.
///
/// # Errors
/// Those of the page.
pub async fn read_page(page: &dyn SitePage, pack: &Pack) -> Result<PageReading, AnyFault> {
    let glance = page.wait(Until::List, Duration::ZERO).await?;
    let (list, thread) = (page.list().await?, page.thread().await?);
    let messages = thread.rows.iter().filter(|row| row.separator.is_none()).count();
    let of_list = verdict::drifts(pack, &list.matches);
    let of_thread = verdict::drifts(pack, &thread.matches);
    let list_verdict = covered(verdict::of_list(&glance, list.rows.len()), &of_list);
    let thread_verdict = covered(of_open_thread(&glance, messages), &of_thread);
    let drifts = of_list.into_iter().chain(of_thread).collect();
    Ok(PageReading { list_verdict, thread_verdict, list, thread, drifts })
}

/// A conversation that does not say which one it is was not rendered, as a pass would have it.
fn of_open_thread(glance: &Glance, rows: usize) -> PageVerdict {
    match verdict::of_thread(glance, rows) {
        PageVerdict::Ok | PageVerdict::Empty if glance.opened.is_none() => PageVerdict::NotRendered,
        verdict => verdict,
    }
}

/// Rows that lack what is required are those of a changed layout.
fn covered(verdict: PageVerdict, drifts: &[Drift]) -> PageVerdict {
    let is_broken = drifts.iter().any(|drift| matches!(drift, Drift::Missing { .. }));
    if verdict == PageVerdict::Ok && is_broken { PageVerdict::Broken } else { verdict }
}
