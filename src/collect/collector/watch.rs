//! What a watch over a live account knows, and what follows from what the page tells. Pure, but for the
//! clock of its waits.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::CollectorSettings;
use crate::collect::pass::Depth;
use crate::collect::spool::WatchMemory;
use crate::collect::staleness::{Staleness, unread};
use crate::domain::conversation::ConversationRef;
use crate::domain::{AccountId, ConversationKey};
use crate::ports::page::ListRow;
use crate::selectors::Pack;
use crate::selectors::pack::Proof;

/// From a change of the open conversation's row to a look whether the conversation shows what it means.
/// Messages that the conversation tells by itself are stored long before.
const VERIFY: Duration = Duration::from_secs(10);
/// Between two passes because of a login form or its like: one that stays is the pass's to judge.
const MARKERS: Duration = Duration::from_secs(5);
/// Between two notes that the account is watched.
const REMEMBER: Duration = Duration::from_secs(30);
/// Between two reads of all histories to their start: edits of old messages are found so.
const WHOLE: SignedDuration = SignedDuration::from_hours(24);
/// Shortest time between two sweeps over a stale account.
const STALE_SWEEP: Duration = Duration::from_secs(60);

/// One pass over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Where the list shows news.
    News,
    /// Every conversation, back to what is known.
    Sweep,
    /// Every conversation, back to its start.
    Whole,
}

impl Round {
    pub(super) const fn depth(self) -> Depth {
        match self {
            Self::News => Depth::News,
            Self::Sweep => Depth::Known,
            Self::Whole => Depth::Whole,
        }
    }
}

/// What a watch does next with the page in its own hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the stop came.
    Stop,
    /// A pass.
    Round(Round),
    /// The conversations that are due, or nothing but listening again.
    Read,
}

/// A watch over one account, for as long as its browser lives.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) memory: WatchMemory,
    pub(super) staleness: Staleness,
    /// The reload and the sweep that a suspicion calls for are on their way.
    pub(super) is_suspected: bool,
    /// A sweep has looked for the news that waits.
    pub(super) was_looked_for: bool,
    /// The last window of each conversation that did not join what is known.
    apart: HashMap<String, u64>,
    /// At least one pass was completed: before that nothing was watched that could be missed.
    pub(super) has_begun: bool,
    rows: HashMap<String, ListRow>,
    due: HashMap<String, ListRow>,
    open: Option<String>,
    verify_at: Option<Instant>,
    markers_at: Option<Instant>,
    pass_at: Option<Instant>,
    sweep_at: Instant,
    remember_at: Instant,
    tick: Duration,
}

impl Watch {
    pub(super) fn new(memory: WatchMemory, settings: &CollectorSettings, now: Timestamp) -> Self {
        let staleness = Staleness::new(settings.stale_after, memory.habit.clone(), now);
        Self {
            memory,
            staleness,
            is_suspected: false,
            was_looked_for: false,
            apart: HashMap::new(),
            has_begun: false,
            rows: HashMap::new(),
            due: HashMap::new(),
            open: None,
            verify_at: None,
            markers_at: None,
            pass_at: None,
            sweep_at: Instant::now() + settings.reconcile_interval,
            remember_at: Instant::now(),
            tick: (settings.stale_after / 10).clamp(Duration::from_millis(200), Duration::from_secs(5)),
        }
    }

    /// A pass has read everything: the measure for what the page tells from now on.
    pub(super) fn read_all(
        &mut self,
        rows: &[ListRow],
        round: Round,
        needs_passes: bool,
        settings: &CollectorSettings,
    ) {
        for row in rows {
            self.staleness.is_read(row);
        }
        self.rows = rows.iter().filter_map(|row| Some((row.id.clone()?, row.clone()))).collect();
        self.due.clear();
        (self.open, self.verify_at) = (None, None);
        self.pass_at = needs_passes.then(|| Instant::now() + settings.pass_interval);
        if round != Round::News {
            self.sweep_at = Instant::now() + settings.reconcile_interval;
        }
        self.has_begun = true;
    }

    /// A stale account is swept more often than one that is well.
    pub(super) fn sweep_soon(&mut self, settings: &CollectorSettings) {
        let wait = settings.stale_after.max(STALE_SWEEP).min(settings.reconcile_interval);
        self.sweep_at = Instant::now() + wait;
    }

    /// The conversation that the page says is open, if it is one that we know.
    pub(super) fn conversation(
        &mut self,
        account: &AccountId,
        pack: &Pack,
        opened: Option<&str>,
    ) -> Option<ConversationRef> {
        let opened = opened?;
        let row = match pack.conversations.opened.equals {
            Proof::Id => self.rows.get(opened)?,
            Proof::Title => {
                let has_title = |row: &&ListRow| row.title.as_ref().is_some_and(|title| title.expose() == opened);
                let of_open = self.open.as_ref().and_then(|id| self.rows.get(id)).filter(has_title);
                let mut alike = self.rows.values().filter(has_title);
                // Two of one title can't be told apart, unless it was us who opened one of them.
                let only = alike.next().filter(|_| alike.next().is_none());
                of_open.or(only)?
            }
        };
        let id = row.id.clone()?;
        let title = row.title.clone().unwrap_or_default();
        self.open = Some(id.clone());
        Some(ConversationRef { key: ConversationKey::new(account, &id), id, title })
    }

    /// The page tells a row: new, or saying something else.
    pub(super) fn row(&mut self, row: ListRow, now: Timestamp) {
        let Some(id) = row.id.clone().filter(|id| !id.is_empty()) else { return };
        self.staleness.shows(&row, now);
        let before = self.rows.insert(id.clone(), row.clone());
        let is_news = before.is_none_or(|before| {
            // Reading a conversation takes its badge away, which is no news.
            before.digest != row.digest || before.last_activity != row.last_activity || unread(&row) > unread(&before)
        });
        if !is_news {
            return;
        }
        if self.open.as_ref() == Some(&id) {
            self.verify_at.get_or_insert_with(|| Instant::now() + VERIFY);
        } else {
            self.due.insert(id, row);
        }
    }

    /// True if a window that does not join what is known is another one than the last time.
    pub(super) fn is_new_window(&mut self, conversation: &str, window: u64) -> bool {
        self.apart.insert(conversation.to_owned(), window) != Some(window)
    }

    /// The conversation must be read.
    pub(super) fn must_read(&mut self, id: &str) {
        self.due.extend(self.rows.get(id).map(|row| (id.to_owned(), row.clone())));
    }

    /// The conversation that is open must be read, if one is.
    pub(super) fn must_read_open(&mut self) {
        self.verify_at = None;
        if let Some(id) = self.open.clone() {
            self.must_read(&id);
        }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The rows of the conversations that must be read; what is open last, so that it stays open.
    pub(super) fn take_due(&mut self) -> Vec<ListRow> {
        let open = self.open.clone();
        let mut rows: Vec<ListRow> = self.due.drain().map(|(_, row)| row).collect();
        rows.sort_by_key(|row| row.id == open);
        rows
    }

    /// A conversation was read, and is open now.
    pub(super) fn opened(&mut self, id: &str) {
        self.open = Some(id.to_owned());
        self.verify_at = None;
    }

    /// The login form or its like can be seen: a pass, unless there was one a moment ago.
    pub(super) fn markers(&mut self) -> Option<Next> {
        let now = Instant::now();
        if self.markers_at.is_some_and(|at| now < at + MARKERS) {
            return None;
        }
        self.markers_at = Some(now);
        Some(Next::Round(Round::News))
    }

    /// When to look at the clock again.
    pub(super) fn wake_at(&self) -> Instant {
        let times = [self.verify_at, self.pass_at].into_iter().flatten();
        times.fold((Instant::now() + self.tick).min(self.sweep_at), Instant::min)
    }

    /// What the clock calls for, beside staleness.
    pub(super) fn due_now(&mut self, now: Timestamp) -> Option<Next> {
        let at = Instant::now();
        if self.verify_at.is_some_and(|verify| verify <= at) {
            self.must_read_open();
            return Some(Next::Read);
        }
        if self.sweep_at <= at {
            let is_time = self.memory.whole_at.is_none_or(|whole| is_long_ago(whole, now));
            return Some(Next::Round(if is_time { Round::Whole } else { Round::Sweep }));
        }
        self.pass_at.filter(|pass| *pass <= at).map(|_| Next::Round(Round::News))
    }

    /// True if it is time to note that the account is watched.
    pub(super) fn must_remember(&mut self) -> bool {
        let now = Instant::now();
        let is_time = self.remember_at <= now;
        if is_time {
            self.remember_at = now + REMEMBER;
        }
        is_time
    }
}

/// A time that has not come yet was written down before the clock was set back: how long ago, nobody knows.
fn is_long_ago(whole: Timestamp, now: Timestamp) -> bool {
    whole > now || whole.duration_until(now) >= WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_puts_no_whole_reading_off() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let hours = SignedDuration::from_hours;
        assert!(!is_long_ago(now, now));
        assert!(!is_long_ago(now - hours(23), now));
        assert!(is_long_ago(now - hours(24), now));
        assert!(is_long_ago(now + hours(1), now), "it was set back");
    }
}
