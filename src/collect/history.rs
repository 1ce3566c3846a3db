//! Reading one conversation back to its start, or to what is known.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::CollectError;
use super::windows::Windows;
use crate::domain::GapReason;
use crate::ports::page::{Matches, Scroller, SitePage, Step, ThreadReading, ThreadRow};
use crate::resilience::Pace;
use crate::selectors::Pack;
use crate::selectors::scroll::Scroll;

/// How a reading ended on its old side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At the start of the conversation: the page says so, or nothing more came although asked again.
    Start,
    /// At messages that are known, of a conversation that was once read to its start.
    Known,
    /// Somewhere before: what is older could not be seen.
    Short(GapReason),
    /// At messages that are known: a window that the page told, which says nothing of what is older.
    Window,
}

/// What was read of a conversation.
#[derive(Debug)]
pub struct History {
    /// Its rows, oldest first.
    pub rows: Vec<ThreadRow>,
    /// How the fields matched.
    pub matches: Matches,
    /// How far back it goes.
    pub reach: Reach,
}

/// What a reading needs beside the page.
pub struct Going<'a> {
    /// The pack.
    pub pack: &'a Pack,
    /// Ends the reading between two steps.
    pub stop: &'a CancellationToken,
    /// Keeps the steps apart.
    pub pace: &'a mut Pace,
    /// Whether these rows, the oldest first, begin with what is known; then nothing older is needed.
    pub is_known: &'a (dyn Fn(&[ThreadRow]) -> bool + Sync),
}

impl Going<'_> {
    /// Reads the open conversation.
    ///
    /// # Errors
    /// Those of the page; [`CollectError::Stopped`].
    pub async fn read(&mut self, page: &dyn SitePage) -> Result<History, CollectError> {
        page.rewind(Scroller::History).await?;
        if self.pack.history.virtualised { self.read_windows(page).await } else { self.read_whole(page).await }
    }

    /// Everything that was loaded stays in the page: load, then read once.
    async fn read_whole(&mut self, page: &dyn SitePage) -> Result<History, CollectError> {
        // Looking before the end costs a reading; only a conversation that is known is worth it.
        let mut latest = None;
        if page_if_known(self.is_known, page, &mut latest).await?
            && let Some(ThreadReading { rows, matches, .. }) = latest
        {
            return Ok(History { rows, matches, reach: Reach::Known });
        }
        let mut progress = Progress::new(&self.pack.history);
        let reach = loop {
            let step = self.step(page).await?;
            if step.changed {
                let reading = page_if_known(self.is_known, page, &mut latest).await?;
                if reading {
                    break Reach::Known;
                }
            }
            if let Some(reach) = progress.after(step) {
                break reach;
            }
        };
        let ThreadReading { rows, matches, .. } = match latest {
            Some(reading) if reach == Reach::Known => reading,
            _ => page.thread().await?,
        };
        Ok(History { rows, matches, reach })
    }

    /// Only what is near the viewport is in the page: read window by window and join them.
    async fn read_windows(&mut self, page: &dyn SitePage) -> Result<History, CollectError> {
        let first = page.thread().await?;
        let mut matches = first.matches;
        let mut windows = Windows::new();
        // Joining an empty sequence can't fail.
        let _ = windows.add_older(first.rows);
        let mut progress = Progress::new(&self.pack.history);
        let reach = loop {
            if (self.is_known)(windows.rows()) {
                break Reach::Known;
            }
            let step = self.step(page).await?;
            if step.changed {
                let reading = page.thread().await?;
                add(&mut matches, &reading.matches);
                windows.add_older(reading.rows).map_err(|_| CollectError::LayoutBroken {
                    field: "history.virtualised".to_owned(),
                    problem: "two steps show no common row; the rows change while they are read".to_owned(),
                })?;
            }
            if let Some(reach) = progress.after(step) {
                break reach;
            }
        };
        Ok(History { rows: windows.into_rows(), matches, reach })
    }

    async fn step(&mut self, page: &dyn SitePage) -> Result<Step, CollectError> {
        pause(self.pace, self.stop).await?;
        let step = page.step(Scroller::History).await?;
        if step.present {
            return Ok(step);
        }
        Err(CollectError::LayoutBroken {
            field: "history.container".to_owned(),
            problem: "is not in the page".to_owned(),
        })
    }
}

/// Reads the page if its conversation can be known at all, and says whether it is.
async fn page_if_known(
    is_known: &(dyn Fn(&[ThreadRow]) -> bool + Sync),
    page: &dyn SitePage,
    latest: &mut Option<ThreadReading>,
) -> Result<bool, CollectError> {
    // Asked without rows the question is whether knowing is possible.
    if !is_known(&[]) {
        return Ok(false);
    }
    let reading = latest.insert(page.thread().await?);
    Ok(is_known(&reading.rows))
}

/// Waits as the pace demands, unless a stop comes.
///
/// # Errors
/// [`CollectError::Stopped`].
pub async fn pause(pace: &mut Pace, stop: &CancellationToken) -> Result<(), CollectError> {
    let wait = pace.wait(tokio::time::Instant::now().into_std());
    if stop.is_cancelled() {
        return Err(CollectError::Stopped);
    }
    if wait > Duration::ZERO {
        // Cancel-safe: neither arm holds anything.
        tokio::select! {
            () = stop.cancelled() => return Err(CollectError::Stopped),
            () = tokio::time::sleep(wait) => (),
        }
    }
    Ok(())
}

/// Decides after each step whether there is a next one.
#[derive(Debug)]
pub struct Progress<'a> {
    plan: &'a Scroll,
    steps: u32,
    quiet: u32,
}

impl<'a> Progress<'a> {
    /// Before the first step.
    pub const fn new(plan: &'a Scroll) -> Self {
        Self { plan, steps: 0, quiet: 0 }
    }

    /// How the reading ends after this step, if it does.
    ///
    /// Where the pack declares a proof of the start, only that proof counts; nothing more coming is
    /// then a history that is stuck.
    pub fn after(&mut self, step: Step) -> Option<Reach> {
        self.steps += 1;
        self.quiet = if step.changed { 0 } else { self.quiet + 1 };
        let has_proof = self.plan.end.is_some() || self.plan.more.is_some();
        if step.end {
            Some(Reach::Start)
        } else if self.quiet > self.plan.nudges {
            Some(if has_proof { Reach::Short(GapReason::HistoryStuck) } else { Reach::Start })
        } else if self.steps >= self.plan.max_steps {
            Some(Reach::Short(GapReason::HistoryLimit))
        } else {
            None
        }
    }
}

fn add(sum: &mut Matches, more: &Matches) {
    for (field, found) in more {
        let total = sum.entry(field.clone()).or_default();
        total.missing += found.missing;
        total.by_alternative.resize(total.by_alternative.len().max(found.by_alternative.len()), 0);
        for (count, more) in total.by_alternative.iter_mut().zip(&found.by_alternative) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Scroll)) -> Scroll {
        let pack: Pack = toml::from_str(include_str!("../../selectors/demo.toml")).unwrap();
        let mut plan = pack.history;
        change(&mut plan);
        plan
    }

    const CHANGED: Step = Step { changed: true, end: false, more: false, present: true };
    const NOTHING: Step = Step { changed: false, end: false, more: false, present: true };
    const END: Step = Step { changed: false, end: true, more: false, present: true };

    #[test]
    fn silence_is_the_start_only_where_the_page_has_no_word_for_it() {
        let run = |plan: &Scroll, steps: &[Step]| {
            let mut progress = Progress::new(plan);
            steps.iter().find_map(|step| progress.after(*step))
        };
        let with_proof = plan(|p| p.nudges = 2);
        let without = plan(|p| {
            p.nudges = 2;
            p.end = None;
        });
        let quiet = [CHANGED, NOTHING, NOTHING, NOTHING];
        assert_eq!(run(&with_proof, &[CHANGED, END]), Some(Reach::Start));
        assert_eq!(run(&with_proof, &quiet), Some(Reach::Short(GapReason::HistoryStuck)));
        assert_eq!(run(&without, &quiet), Some(Reach::Start));
        assert_eq!(run(&without, &[NOTHING, NOTHING, CHANGED, NOTHING, NOTHING]), None, "a nudge that helped");
        let limited = plan(|p| p.max_steps = 2);
        assert_eq!(run(&limited, &[CHANGED, CHANGED]), Some(Reach::Short(GapReason::HistoryLimit)));
    }
}
