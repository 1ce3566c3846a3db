//! One reading of a whole account: the list, then every conversation that may have news.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

mod doubt;
mod judge;
mod keep;
mod news;
mod recall;

pub use news::Told;

use super::account::Account;
use super::collector::Misses;
use super::error::CollectError;
use super::history::{Going, History, Progress as Steps, Reach, pause};
use super::resolve::{Begin, Reader};
use super::spool::{Cursor, Spool};
use super::verdict;
use super::{list, login};
use crate::domain::conversation::ConversationRef;
use crate::domain::{ConversationKey, GapReason};
use crate::fault::Code;
use crate::lifecycle::{CrashPoint, browser_kill_point, crash_point};
use crate::ports::page::{Glance, ListRow, PageVerdict, Scroller, SitePage, ThreadReading, ThreadRow, Until};
use crate::ports::{Clock, Store};
use crate::resilience::Pace;
use crate::selectors::moment::Frame;
use crate::selectors::pack::Proof;
use crate::telemetry::{Counters, Progress, ProgressSink};

/// After so many conversations in a row that can't be read, it is the layout and not one of them.
const BROKEN_AFTER: u32 = 3;

/// How far back each conversation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To its start: finds edits of old messages too.
    Whole,
    /// To what is known, whatever the list shows.
    Known,
    /// To what is known, and not at all where the list shows no news.
    News,
}

/// What a pass is to read.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How far back.
    pub depth: Depth,
    /// Of a whole reading: only what was active since then; the rest is looked at for news.
    pub since: Option<Timestamp>,
    /// When it began, if it is a sweep: what was there before and is new to us was missed.
    pub sweep_since: Option<Timestamp>,
}

impl Plan {
    /// Every conversation as far back as this.
    pub const fn of(depth: Depth) -> Self {
        Self { depth, since: None, sweep_since: None }
    }
}

/// What a completed pass found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Conversations in the list.
    pub conversations: u64,
    /// Conversations that were read.
    pub read: u64,
    /// Messages that are new.
    pub new: u64,
    /// Messages whose content changed.
    pub revised: u64,
    /// Conversations that could not be seen as a whole.
    pub gaps: u64,
    /// Those of them where nothing that is known was met.
    pub apart: u64,
}

/// What a reading saw of one conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages that are new or changed.
    pub news: u64,
    /// When the newest message was sent, if the page says so: what a row says of this time is stored.
    pub newest: Option<Timestamp>,
}

/// A pass as far as it has come: kept when the session ends in its middle.
#[derive(Debug, Default)]
pub struct SoFar {
    /// What it found.
    pub found: Found,
    /// Conversations that need not be read again.
    done: HashSet<ConversationKey>,
    /// The conversation list as it was when the pass read it.
    pub rows: Vec<ListRow>,
    /// What was seen of each conversation that was read, by the site's id.
    pub seen: HashMap<String, Seen>,
}

/// Everything that a pass works with.
pub struct Pass<'a> {
    /// Whose pass.
    pub account: &'a Account,
    /// The page, logged in.
    pub page: &'a dyn SitePage,
    /// Where findings go.
    pub spool: &'a Spool,
    /// What others who held the account have found.
    pub store: &'a dyn Store,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// What to read.
    pub plan: Plan,
    /// What was missing lately.
    pub misses: &'a Misses,
    /// The epoch of the account's lease.
    pub epoch: Option<u64>,
    /// Ends the pass between two steps.
    pub stop: &'a tokio_util::sync::CancellationToken,
    /// For a person who watches.
    pub progress: &'a ProgressSink,
    /// Counts.
    pub counters: &'a Arc<Counters>,
}

impl Pass<'_> {
    /// Reads the account, but for what `so_far` says is done. The page must show the list or be able to.
    ///
    /// # Errors
    /// [`CollectError::LoggedOut`] if the login form comes; everything committed until then stays, and
    /// the pass can go on with the same `so_far`.
    pub async fn run(&self, so_far: &mut SoFar) -> Result<(), CollectError> {
        let pack = &self.account.pack.pack;
        let mut steps = Pace::new(pack.pace.between_steps);
        self.show_list().await?;
        let list = list::read(self.page, pack, &mut steps, self.stop).await?;
        self.judge_list(&list).await?;
        crash_point(CrashPoint::ListRead);
        if browser_kill_point(CrashPoint::ListRead) {
            self.page.kill();
        }
        let total = list.rows.len();
        so_far.rows.clone_from(&list.rows);
        self.progress.tell(Progress::ListRead { account: self.account.id.clone(), conversations: total });
        so_far.found.conversations = total as u64;
        self.read_rows(&list.rows, so_far, &mut steps).await?;
        list.cut.map_or(Ok(()), |cut| Err(self.cut_list(cut)))
    }

    /// Reads the conversations of these rows, but for what `so_far` says is done.
    ///
    /// # Errors
    /// As [`Pass::run`].
    pub async fn read_rows(&self, rows: &[ListRow], so_far: &mut SoFar, steps: &mut Pace) -> Result<(), CollectError> {
        let pack = &self.account.pack.pack;
        let total = rows.len();
        let SoFar { found, done, seen, .. } = so_far;
        let mut conversations = Pace::new(pack.pace.between_conversations);
        let mut failures = 0;
        let mut unreadable = None;
        for (index, row) in rows.iter().enumerate() {
            let Some(conversation) = self.conversation(row).filter(|it| !done.contains(&it.key)) else { continue };
            let cursor = self.spool.cursor(conversation.key).await?;
            let row_digest = digest(row);
            let unchanged = pack.conversations.row_shows_news && cursor.row_digest == Some(row_digest);
            let depth = self.depth_of(conversation.key).await?;
            if depth == Depth::News && cursor.complete && unchanged {
                continue;
            }
            pause(&mut conversations, self.stop).await?;
            let cursor = self.recall(cursor, conversation.key).await?;
            match self.read(&conversation, &cursor, row_digest, depth, steps).await {
                Ok(read) => {
                    failures = 0;
                    done.insert(conversation.key);
                    found.read += 1;
                    seen.insert(conversation.id.clone(), read.seen());
                    found.new += read.new;
                    found.revised += read.revised;
                    found.gaps += u64::from(read.gap.is_some());
                    found.apart += u64::from(read.is_apart);
                    let (title, messages) = (conversation.title.clone(), read.messages);
                    let account = self.account.id.clone();
                    self.progress.tell(Progress::ConversationRead {
                        account,
                        index: index + 1,
                        total,
                        title,
                        messages,
                    });
                }
                Err(error) if error.is_of_one_conversation() && failures + 1 < BROKEN_AFTER && total > 1 => {
                    let shown = self.show_list().await;
                    // The login form in its place is no fault of the conversation.
                    if !matches!(shown, Err(CollectError::LoggedOut { .. })) {
                        failures += 1;
                        found.gaps += 1;
                        found.apart += 1;
                        self.record_unreadable(&conversation, &cursor).await?;
                        unreadable = Some(error);
                    }
                    shown?;
                }
                Err(error) => return Err(error),
            }
        }
        // Nothing read and something tried: that is no pass.
        unreadable.filter(|_| found.read == 0).map_or(Ok(()), Err)
    }

    /// How far back one conversation is read.
    async fn depth_of(&self, key: ConversationKey) -> Result<Depth, CollectError> {
        let Plan { depth, since, .. } = self.plan;
        let Some(since) = since.filter(|_| depth == Depth::Whole) else { return Ok(depth) };
        let last = self.store.conversation(&key).await?.and_then(|conversation| conversation.last_sent_at);
        // One without a time may have been active at any.
        Ok(if last.is_some_and(|last| last < since) { Depth::News } else { Depth::Whole })
    }

    /// Opens the list's page and waits for it.
    pub(super) async fn show_list(&self) -> Result<Glance, CollectError> {
        let pack = &self.account.pack.pack;
        self.page.open(&pack.conversations.address).await?;
        let glance = self.page.wait(Until::List, pack.pages.timeout).await?;
        self.refuse(&glance)?;
        match verdict::of_list(&glance, usize::from(glance.list)) {
            PageVerdict::NotRendered => {
                Err(CollectError::NotRendered { what: "the conversation list", waited: pack.pages.timeout })
            }
            _ => Ok(glance),
        }
    }

    fn conversation(&self, row: &ListRow) -> Option<ConversationRef> {
        let id = row.id.clone().filter(|id| !id.is_empty())?;
        let key = ConversationKey::new(&self.account.id, &id);
        Some(ConversationRef { key, title: row.title.clone().unwrap_or_default(), id })
    }

    async fn read(
        &self,
        conversation: &ConversationRef,
        cursor: &Cursor,
        row_digest: [u8; 16],
        depth: Depth,
        steps: &mut Pace,
    ) -> Result<Read, CollectError> {
        let pack = &self.account.pack.pack;
        let proof = match pack.conversations.opened.equals {
            Proof::Id => conversation.id.as_str(),
            Proof::Title => conversation.title.expose(),
        };
        self.open(conversation, steps).await?;
        let glance = self.page.wait(Until::Thread(proof), pack.pages.timeout).await?;
        self.refuse(&glance)?;
        let is_open = glance.opened.as_deref() == Some(proof);
        if !is_open || verdict::of_thread(&glance, usize::from(glance.thread)) == PageVerdict::NotRendered {
            return Err(CollectError::NotRendered { what: "a conversation", waited: pack.pages.timeout });
        }
        let now = self.clock.now();
        let observed_at = cursor.observing(now);
        let zone = TimeZone::get(&pack.site.time_zone).unwrap_or(TimeZone::UTC);
        let frame = Frame::new(zone, now);
        let username = self.account.username();
        let reader = Reader { pack, frame: &frame, conversation, username, observed_at };
        // Asked about no rows: whether anything can be known at all.
        let can_stop = depth != Depth::Whole && cursor.complete;
        let is_known = |rows: &[ThreadRow]| {
            can_stop
                && (rows.is_empty()
                    || reader
                        .resolve(rows, Begin::Anywhere)
                        .messages
                        .first()
                        .is_some_and(|first| cursor.joins(&first.key)))
        };
        let history = match self.nothing_there(&glance).await? {
            Some(nothing) => nothing,
            None => Going { pack, stop: self.stop, pace: steps, is_known: &is_known }.read(self.page).await?,
        };
        self.judge_thread(proof, &history).await?;
        crash_point(CrashPoint::ThreadRead);
        if browser_kill_point(CrashPoint::ThreadRead) {
            self.page.kill();
        }
        self.keep(&reader, cursor, row_digest, history).await
    }

    /// Opens a conversation; where that takes a click on its row, the row is looked for.
    async fn open(&self, conversation: &ConversationRef, steps: &mut Pace) -> Result<(), CollectError> {
        match self.page.open_conversation(&conversation.id).await {
            Err(fault) if fault.code() == Code::LayoutBroken => {}
            outcome => return Ok(outcome?),
        }
        self.show_list().await?;
        let Some(scroll) = &self.account.pack.pack.conversations.scroll else {
            return Ok(self.page.open_conversation(&conversation.id).await?);
        };
        self.page.rewind(Scroller::List).await?;
        let mut progress = Steps::new(scroll);
        loop {
            let outcome = self.page.open_conversation(&conversation.id).await;
            let Err(fault) = outcome else { return Ok(()) };
            pause(steps, self.stop).await?;
            if progress.after(self.page.step(Scroller::List).await?).is_some() {
                return self.page.open_conversation(&conversation.id).await.map_err(|_| fault.into());
            }
        }
    }

    /// The history of a conversation that says it is empty, and is.
    async fn nothing_there(&self, glance: &Glance) -> Result<Option<History>, CollectError> {
        if verdict::of_thread(glance, 0) != PageVerdict::Empty {
            return Ok(None);
        }
        let ThreadReading { rows, matches, .. } = self.page.thread().await?;
        Ok(rows.is_empty().then_some(History { rows, matches, reach: Reach::Start }))
    }
}

/// What one conversation gave.
struct Read {
    messages: usize,
    new: u64,
    revised: u64,
    newest: Option<Timestamp>,
    gap: Option<GapReason>,
    is_apart: bool,
}

impl Read {
    const fn seen(&self) -> Seen {
        Seen { news: self.new + self.revised, newest: self.newest }
    }
}

/// A hash of a list entry: changes when anything in it changes.
fn digest(row: &ListRow) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in [row.digest.expose(), row.last_activity.as_deref().unwrap_or(""), row.unread.as_deref().unwrap_or("")] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}
