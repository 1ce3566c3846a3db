//! Watching a live account: the page tells, nobody asks it. What is told goes the way of a pass; what
//! can't be told (other conversations, what does not join) is opened and read; sweeps prove that nothing
//! was missed.
//!
//! While we do something in the page ourselves it is not listened to: a watch that begins is told all that
//! the page shows, so nothing between the two is lost, and our own scrolling is no news.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::Collector;
use super::waiting::Interrupt;
use super::watch::{Next, Round, Watch};
use crate::collect::error::CollectError;
use crate::collect::history::pause;
use crate::collect::orders::Wish;
use crate::collect::pass::{Depth, Plan, Seen, SoFar, Told};
use crate::domain::AccountState;
use crate::fault::{AnyFault, Code};
use crate::ports::live::{PageEvent, PageEvents};
use crate::ports::page::{Scroller, SitePage, ThreadRow, Until};
use crate::resilience::Pace;
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{StaleFound, StaleSuspected};

/// How long a state is believed that a watch renews every [`super::watch`] note.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// How long events that were told before the watch ended may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(20);

impl Collector {
    /// Passes and watches with one browser, until a fault or the stop. What ends it is a gap from then on.
    pub(super) async fn watch(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        let memory = self.recall_watch().await?;
        let mut watch = Watch::new(memory, &self.settings, self.steady());
        let outcome = self.rounds(page, &mut watch).await;
        let memory = &mut watch.memory;
        if watch.has_begun {
            memory.watched_until = Some(self.clock.now());
            memory.habit = watch.staleness.habit().clone();
            self.spool.remember_watch(&self.account.id, memory, None, self.held.epoch).await?;
            if outcome.is_err() && !self.is_over() {
                self.open_lapse(memory).await?;
            }
        }
        outcome
    }

    /// What staleness is measured by: a clock that was set must not make an account look stale, or well.
    fn steady(&self) -> Timestamp {
        self.memory.steady(self.clock.now())
    }

    async fn rounds(&self, page: &dyn SitePage, watch: &mut Watch) -> Result<(), AnyFault> {
        let mut round = Round::News;
        let retiring = page.retiring();
        while !self.is_over() && !retiring.is_cancelled() {
            if self.try_offer(page).await? {
                return Ok(());
            }
            let wanted = self.spool.recollect(&self.account.id).await?;
            if wanted.is_some() {
                round = Round::Whole;
            }
            self.round(page, watch, round, wanted.flatten()).await?;
            if let Some(since) = wanted {
                self.spool.recollected(&self.account.id, since).await?;
            }
            round = loop {
                match self.listen(page, watch).await? {
                    Next::Stop => return Ok(()),
                    Next::Round(round) => break round,
                    Next::Read => {}
                }
                if let Some(round) = self.read_due(page, watch).await? {
                    break round;
                }
            };
        }
        Ok(())
    }

    /// One pass, and what its outcome means.
    async fn round(
        &self,
        page: &dyn SitePage,
        watch: &mut Watch,
        round: Round,
        since: Option<Timestamp>,
    ) -> Result<(), AnyFault> {
        if watch.is_suspected {
            // The list's address may differ from the one that is open by its fragment alone, which loads nothing.
            page.open("about:blank").await?;
        }
        let begun = self.clock.now();
        let mut so_far = SoFar::default();
        let sweep_since = (round != Round::News).then_some(begun);
        let plan = Plan { depth: round.depth(), since, sweep_since };
        let found = self.pass(page, plan, &mut so_far).await?.found;
        let now = self.steady();
        let needs_passes = !self.account.pack.pack.conversations.row_shows_news || found.gaps > 0;
        for (conversation, seen) in &so_far.seen {
            match seen.news {
                0 => watch.staleness.knows(conversation, seen.newest),
                _ => watch.staleness.found(conversation, seen.newest, now),
            }
        }
        let is_first = !watch.has_begun;
        watch.read_all(&so_far.rows, round, needs_passes, &self.settings);
        // The first pass reads what is new to us to its start.
        if (round == Round::Whole && since.is_none()) || watch.memory.whole_at.is_none() {
            watch.memory.whole_at = Some(begun);
        }
        let was_stale = watch.memory.stale;
        let suspicion = watch.staleness.suspicion(now);
        watch.was_looked_for = watch.is_suspected && round != Round::News;
        watch.is_suspected = false;
        match suspicion {
            Some(code) if round != Round::News || was_stale => return self.stale(watch, code).await,
            // A browser that was started anew has no suspicion of its own yet.
            None if was_stale && found.new == 0 && is_first => return self.stale(watch, Code::StaleQuiet).await,
            _ => {}
        }
        watch.memory.stale = false;
        // Only a pass that met what is known wherever it looked leaves nothing out.
        if found.apart == 0 {
            self.close_lapse(&mut watch.memory).await?;
        }
        self.tell(AccountState::Live, None, &self.sentence(&found), FRESH).await;
        Ok(())
    }

    async fn stale(&self, watch: &mut Watch, code: Code) -> Result<(), AnyFault> {
        if !watch.memory.stale {
            StaleFound { account: &self.account.id, code }.emit(&self.counters);
        }
        watch.memory.stale = true;
        watch.sweep_soon(&self.settings);
        self.open_lapse(&mut watch.memory).await?;
        let sentence = match code {
            Code::StaleNews => "The page shows news that can't be read.",
            _ => "The site answers, but no message has come for unusually long.",
        };
        self.tell_with(AccountState::Stale, Some(code), sentence, Some(code.action().to_owned()), FRESH).await;
        Ok(())
    }

    /// Listens until something must be done in the page.
    async fn listen(&self, page: &dyn SitePage, watch: &mut Watch) -> Result<Next, AnyFault> {
        self.settle(page).await?;
        let mut events = page.observe().await?;
        let retiring = page.retiring();
        let mut next = loop {
            match self.interrupted(&mut events, &retiring, watch.wake_at()).await {
                Interrupt::Stop | Interrupt::Retired => return Ok(Next::Stop),
                // A pause ends the errand, and there is nothing to resume.
                Interrupt::Ordered(wish) => {
                    self.orders.take(wish);
                    if wish == Wish::Recollect {
                        break Next::Round(Round::Whole);
                    }
                }
                Interrupt::Offered => break Next::Round(Round::News),
                Interrupt::Page(Some(event)) => {
                    if let Some(next) = self.heard(page, watch, event).await? {
                        break next;
                    }
                }
                Interrupt::Page(None) => {
                    // What ended the page is what it answers now.
                    page.list().await?;
                    self.sleep(Duration::from_secs(1)).await;
                    break Next::Read;
                }
                Interrupt::Due => {
                    if let Some(next) = self.look_at_the_clock(page, watch, &events).await? {
                        break next;
                    }
                }
            }
        };
        page.unobserve().await?;
        while let Ok(Some(event)) = timeout(LAST_WORDS, events.next()).await {
            let told = self.heard(page, watch, event).await?;
            next = told.filter(|_| next == Next::Read).unwrap_or(next);
        }
        Ok(next)
    }

    /// Brings the page to where news shows: the list in sight, both ends where reading begins.
    async fn settle(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        let pack = &self.account.pack.pack;
        if !page.wait(Until::List, Duration::ZERO).await?.list {
            page.open(&pack.conversations.address).await?;
            page.wait(Until::List, pack.pages.timeout).await?;
        }
        page.rewind(Scroller::History).await?;
        if pack.conversations.scroll.is_some() {
            page.rewind(Scroller::List).await?;
        }
        Ok(())
    }

    /// Takes what the page told.
    async fn heard(&self, page: &dyn SitePage, watch: &mut Watch, event: PageEvent) -> Result<Option<Next>, AnyFault> {
        match event {
            PageEvent::Thread { tail, appeared_at } => {
                let pack = &self.account.pack.pack;
                // One that we don't know yet is told by the list.
                let Some(conversation) = watch.conversation(&self.account.id, pack, tail.opened.as_deref()) else {
                    return Ok(None);
                };
                let window = hash_of(&tail.rows);
                match self.pass_of(page, Plan::of(Depth::Known)).keep_window(&conversation, tail, appeared_at).await? {
                    Told::Kept(seen) if seen.news > 0 => return self.stored(watch, &conversation.id, seen).await,
                    Told::Kept(seen) => watch.staleness.knows(&conversation.id, seen.newest),
                    // The same window after a reading says nothing that the reading did not.
                    Told::Apart if watch.is_new_window(&conversation.id, window) => watch.must_read(&conversation.id),
                    Told::Apart => {}
                }
            }
            PageEvent::List(rows) => {
                let now = self.steady();
                rows.into_iter().for_each(|row| watch.row(row, now));
            }
            PageEvent::Markers(_) => return Ok(watch.markers()),
            PageEvent::Lagged => {
                let now = self.steady();
                page.list().await?.rows.into_iter().for_each(|row| watch.row(row, now));
                watch.must_read_open();
            }
        }
        Ok(watch.is_due().then_some(Next::Read))
    }

    /// New messages are in the spool: the account is fed.
    async fn stored(&self, watch: &mut Watch, conversation: &str, seen: Seen) -> Result<Option<Next>, AnyFault> {
        watch.staleness.stored(conversation, seen.newest, self.steady());
        // What came while it was stale may not have been told.
        Ok(watch.memory.stale.then_some(Next::Round(Round::Sweep)))
    }

    async fn look_at_the_clock(
        &self,
        page: &dyn SitePage,
        watch: &mut Watch,
        events: &PageEvents,
    ) -> Result<Option<Next>, AnyFault> {
        self.spool.refuse_full()?;
        let now = self.steady();
        watch.staleness.answered(events.answers(), now);
        if watch.must_remember() {
            // A page that hangs tells nothing, and must not pass for one that has nothing to tell.
            page.wait(Until::List, Duration::ZERO).await?;
            self.keep_session(page).await;
            let memory = &mut watch.memory;
            memory.habit = watch.staleness.habit().clone();
            if memory.gap_since.is_none() {
                memory.watched_until = Some(self.clock.now());
            }
            self.spool.remember_watch(&self.account.id, memory, None, self.held.epoch).await?;
            self.renew(FRESH).await;
        }
        let suspicion = watch.staleness.suspicion(now);
        // Looked for in time: what a sweep did not find then is not there.
        if let Some(code) = suspicion.filter(|_| !watch.memory.stale && watch.was_looked_for) {
            self.stale(watch, code).await?;
            return Ok(None);
        }
        if !watch.staleness.is_late(now) {
            watch.was_looked_for = false;
        }
        let early = watch.staleness.is_late(now).then_some(Code::StaleNews).filter(|_| !watch.was_looked_for);
        match suspicion.or(early) {
            Some(code) if !watch.memory.stale => {
                StaleSuspected { account: &self.account.id, code }.emit(&self.counters);
                watch.is_suspected = true;
                return Ok(Some(Next::Round(Round::Sweep)));
            }
            // The page is quiet too by now, or shows the news no longer.
            None if watch.memory.stale && watch.staleness.is_site_silent(now) => {
                return Ok(Some(Next::Round(Round::Sweep)));
            }
            _ => {}
        }
        Ok(watch.due_now(self.clock.now()))
    }

    /// Opens and reads the conversations that are due, one after the other at the pack's pace. A pass takes
    /// over where that does not work: it knows what a login form, a challenge or a changed layout mean.
    async fn read_due(&self, page: &dyn SitePage, watch: &mut Watch) -> Result<Option<Round>, AnyFault> {
        let pack = &self.account.pack.pack;
        let mut pace = Pace::new(pack.pace.between_conversations);
        let mut steps = Pace::new(pack.pace.between_steps);
        let mut next = None;
        for row in watch.take_due() {
            let Some(id) = row.id.clone() else { continue };
            pause(&mut pace, &self.held.stop).await?;
            let mut so_far = SoFar::default();
            let rows = std::slice::from_ref(&row);
            match self.pass_of(page, Plan::of(Depth::Known)).read_rows(rows, &mut so_far, &mut steps).await {
                Ok(()) => {}
                Err(CollectError::LoggedOut { .. }) => return Ok(Some(Round::News)),
                Err(error) if error.is_of_one_conversation() => return Ok(Some(Round::News)),
                Err(error) => return Err(error.into()),
            }
            watch.opened(&id);
            let seen = so_far.seen.remove(&id).unwrap_or_default();
            if seen.news == 0 {
                watch.staleness.knows(&id, seen.newest);
            } else if let Some(Next::Round(round)) = self.stored(watch, &id, seen).await? {
                next = Some(round);
            }
        }
        Ok(next)
    }
}

/// A hash of rows, to know the same window again.
fn hash_of(rows: &[ThreadRow]) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}
