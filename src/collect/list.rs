//! The conversation list, read to its end.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::error::CollectError;
use super::history::{Progress, Reach, pause};
use crate::domain::{GapReason, Text};
use crate::ports::page::{ListReading, ListRow, Matches, Scroller, SitePage};
use crate::resilience::Pace;
use crate::selectors::pack::Pack;

/// The whole list.
#[derive(Debug, Default)]
pub struct ConversationList {
    /// The entries, each once, in the order of the page.
    pub rows: Vec<ListRow>,
    /// How the fields matched.
    pub matches: Matches,
    /// Why this is not all, if it is not: neither does the page prove it nor its silence say so.
    pub cut: Option<GapReason>,
    /// Entries that bear the id of another one in the same reading, under another title.
    pub conflicts: u64,
}

/// Reads the list, scrolling to its end where the pack says how.
///
/// Each step is read and the entries are joined by id, so that a virtualised list, or one that is
/// reordered by news while it is read, loses none.
///
/// # Errors
/// Those of the page; [`CollectError::Stopped`].
pub async fn read(
    page: &dyn SitePage,
    pack: &Pack,
    pace: &mut Pace,
    stop: &CancellationToken,
) -> Result<ConversationList, CollectError> {
    let mut list = Entries::default();
    let Some(plan) = &pack.conversations.scroll else {
        list.add(page.list().await?);
        return Ok(list.done(None));
    };
    page.rewind(Scroller::List).await?;
    list.add(page.list().await?);
    let mut progress = Progress::new(plan);
    loop {
        pause(pace, stop).await?;
        let step = page.step(Scroller::List).await?;
        if !step.present {
            let field = "conversations.scroll.container".to_owned();
            return Err(CollectError::LayoutBroken { field, problem: "is not in the page".to_owned() });
        }
        if step.changed {
            list.add(page.list().await?);
        }
        if let Some(reach) = progress.after(step) {
            list.add(page.list().await?);
            return Ok(list.done(match reach {
                Reach::Short(reason) => Some(reason),
                Reach::Start | Reach::Known | Reach::Window => None,
            }));
        }
    }
}

#[derive(Default)]
struct Entries {
    rows: Vec<ListRow>,
    places: HashMap<String, usize>,
    matches: Matches,
    conflicts: u64,
}

impl Entries {
    /// Joins a reading: the newest form of an entry stays, at its first place.
    fn add(&mut self, reading: ListReading) {
        let mut titles: HashMap<String, Option<Text>> = HashMap::new();
        for row in reading.rows {
            if let Some(id) = &row.id {
                let title = titles.entry(id.clone()).or_insert_with(|| row.title.clone());
                self.conflicts += u64::from(*title != row.title);
            }
            match row.id.as_ref().and_then(|id| self.places.get(id)) {
                Some(place) => self.rows[*place] = row,
                None => {
                    if let Some(id) = &row.id {
                        self.places.insert(id.clone(), self.rows.len());
                        self.rows.push(row);
                    }
                }
            }
        }
        // The largest reading speaks for the fields: sums would count entries twice.
        let size = |matches: &Matches| matches.get("conversations.id").map_or(0, |id| id.matched() + id.missing);
        if size(&reading.matches) >= size(&self.matches) {
            self.matches = reading.matches;
        }
    }

    fn done(self, cut: Option<GapReason>) -> ConversationList {
        ConversationList { rows: self.rows, matches: self.matches, cut, conflicts: self.conflicts }
    }
}
