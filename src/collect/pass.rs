//! One reading of a whole account: the list, then every conversation that may have news.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::collector::Account;
use super::error::CollectError;
use super::history::{Going, History, Reach, pause};
use super::resolve::{Reader, difference};
use super::spool::{Capture, Cursor, Spool};
use super::verdict::{self, Drift};
use super::{list, login};
use crate::domain::conversation::ConversationRef;
use crate::domain::event::{MessageCaptured, SelectorsDrifted};
use crate::domain::{ConversationKey, Envelope, Event, Gap, GapReason, Origin};
use crate::lifecycle::{CrashPoint, browser_kill_point, crash_point};
use crate::ports::Clock;
use crate::ports::page::{Glance, ListRow, PageVerdict, SitePage, ThreadReading, Until};
use crate::resilience::Pace;
use crate::selectors::pack::Proof;
use crate::telemetry::occurrences::{ConversationRead, GapRecorded, SelectorFellBack};
use crate::telemetry::{Counters, Occurrence, Progress, ProgressSink};

/// After so many conversations in a row that can't be read, it is the layout and not one of them.
const BROKEN_AFTER: u32 = 3;

/// How far back each conversation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To its start: finds edits of old messages too.
    Whole,
    /// To what is known, and not at all where the list shows no news.
    News,
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
}

/// A pass as far as it has come: kept when the session ends in its middle.
#[derive(Debug, Default)]
pub struct SoFar {
    /// What it found.
    pub found: Found,
    /// Conversations that need not be read again.
    done: HashSet<ConversationKey>,
}

/// Everything that a pass works with.
pub struct Pass<'a> {
    /// Whose pass.
    pub account: &'a Account,
    /// The page, logged in.
    pub page: &'a dyn SitePage,
    /// Where findings go.
    pub spool: &'a Spool,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// How far back.
    pub depth: Depth,
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
        self.progress.tell(Progress::ListRead { account: self.account.id.clone(), conversations: total });
        let SoFar { found, done } = so_far;
        found.conversations = total as u64;
        let mut conversations = Pace::new(pack.pace.between_conversations);
        let mut failures = 0;
        for (index, row) in list.rows.iter().enumerate() {
            let Some(conversation) = self.conversation(row).filter(|it| !done.contains(&it.key)) else { continue };
            let cursor = self.spool.cursor(conversation.key).await?;
            let row_digest = digest(row);
            let unchanged = pack.conversations.row_shows_news && cursor.row_digest == Some(row_digest);
            if self.depth == Depth::News && cursor.complete && unchanged {
                continue;
            }
            pause(&mut conversations, self.stop).await?;
            match self.read(&conversation, &cursor, row_digest, &mut steps).await {
                Ok(read) => {
                    failures = 0;
                    done.insert(conversation.key);
                    found.read += 1;
                    found.new += read.new;
                    found.revised += read.revised;
                    found.gaps += u64::from(read.gap.is_some());
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
                        self.record_unreadable(&conversation).await?;
                    }
                    shown?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Opens the list's page and waits for it.
    async fn show_list(&self) -> Result<Glance, CollectError> {
        let pack = &self.account.pack.pack;
        self.page.open(&pack.conversations.address).await?;
        let glance = self.page.wait(Until::List, pack.pages.timeout).await?;
        self.refuse(&glance)?;
        match verdict::of_list(&glance, usize::from(glance.list)) {
            PageVerdict::NotRendered => {
                Err(CollectError::NotRendered { what: "the conversation list", seconds: pack.pages.timeout.as_secs() })
            }
            _ => Ok(glance),
        }
    }

    /// The endings that are no page of ours.
    fn refuse(&self, glance: &Glance) -> Result<(), CollectError> {
        let site = self.account.id.site().to_string();
        if glance.login {
            return Err(CollectError::LoggedOut { site });
        }
        if glance.locked || glance.challenge {
            return login::outcome(glance, &site, Duration::ZERO);
        }
        Ok(())
    }

    async fn judge_list(&self, list: &list::ConversationList) -> Result<(), CollectError> {
        let glance = self.page.wait(Until::List, Duration::ZERO).await?;
        self.refuse(&glance)?;
        if verdict::of_list(&glance, list.rows.len()) == PageVerdict::Broken {
            let problem = "matches nothing in a list that does not say it is empty".to_owned();
            return Err(CollectError::LayoutBroken { field: "conversations.row".to_owned(), problem });
        }
        self.tell_drifts(verdict::drifts(&self.account.pack.pack, &list.matches)).await?;
        if !list.complete {
            let problem = "more conversations exist but do not come".to_owned();
            return Err(CollectError::LayoutBroken { field: "conversations.scroll".to_owned(), problem });
        }
        Ok(())
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
        steps: &mut Pace,
    ) -> Result<Read, CollectError> {
        let pack = &self.account.pack.pack;
        let proof = match pack.conversations.opened.equals {
            Proof::Id => conversation.id.as_str(),
            Proof::Title => conversation.title.expose(),
        };
        self.page.open_conversation(&conversation.id).await?;
        let glance = self.page.wait(Until::Thread(proof), pack.pages.timeout).await?;
        self.refuse(&glance)?;
        let is_open = glance.opened.as_deref() == Some(proof);
        if !is_open || verdict::of_thread(&glance, usize::from(glance.thread)) == PageVerdict::NotRendered {
            return Err(CollectError::NotRendered { what: "a conversation", seconds: pack.pages.timeout.as_secs() });
        }
        let observed_at = self.clock.now();
        let zone = TimeZone::get(&pack.site.time_zone).unwrap_or(TimeZone::UTC);
        let frame = crate::selectors::moment::Frame::new(zone, observed_at);
        let username = self.account.username();
        let reader = Reader { pack, frame: &frame, conversation, username, observed_at };
        // Asked about no rows: whether anything can be known at all.
        let can_stop = self.depth == Depth::News && cursor.complete;
        let is_known = |rows: &[crate::ports::page::ThreadRow]| {
            can_stop
                && (rows.is_empty()
                    || reader
                        .resolve(rows, false)
                        .messages
                        .first()
                        .is_some_and(|first| cursor.messages.contains_key(&first.key)))
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

    /// The history of a conversation that says it is empty, and is.
    async fn nothing_there(&self, glance: &Glance) -> Result<Option<History>, CollectError> {
        if verdict::of_thread(glance, 0) != PageVerdict::Empty {
            return Ok(None);
        }
        let ThreadReading { rows, matches, .. } = self.page.thread().await?;
        Ok(rows.is_empty().then_some(History { rows, matches, reach: Reach::Start }))
    }

    /// Judges after the reading: the page may have changed under it.
    async fn judge_thread(&self, proof: &str, history: &History) -> Result<(), CollectError> {
        let glance = self.page.wait(Until::Thread(proof), Duration::ZERO).await?;
        self.refuse(&glance)?;
        if glance.opened.as_deref() != Some(proof) {
            let problem = "changed while the conversation was read".to_owned();
            return Err(CollectError::LayoutBroken { field: "conversations.opened.at".to_owned(), problem });
        }
        let messages = history.rows.iter().filter(|row| row.separator.is_none()).count();
        if verdict::of_thread(&glance, messages) == PageVerdict::Broken {
            let problem = "matches nothing in a conversation that does not say it is empty".to_owned();
            return Err(CollectError::LayoutBroken { field: "messages.row".to_owned(), problem });
        }
        self.tell_drifts(verdict::drifts(&self.account.pack.pack, &history.matches)).await
    }

    /// Puts what is new into the spool, in one transaction.
    async fn keep(
        &self,
        reader: &Reader<'_>,
        cursor: &Cursor,
        row_digest: [u8; 16],
        history: History,
    ) -> Result<Read, CollectError> {
        let conversation = reader.conversation;
        let resolved = reader.resolve(&history.rows, history.reach == Reach::Start);
        let messages = resolved.messages.len();
        let seen_from = resolved.messages.first().and_then(|message| message.sent_at);
        let gap = match history.reach {
            Reach::Short(reason) if !cursor.complete => Some(reason),
            Reach::Start | Reach::Known | Reach::Short(_) => None,
        };
        let changed = difference(resolved.messages, cursor);
        let origin = if cursor.complete { Origin::Live } else { Origin::Backfill };
        let events = changed
            .fresh
            .into_iter()
            .map(|(message, known)| {
                let key = message.key;
                let captured = MessageCaptured {
                    account: self.account.id.clone(),
                    conversation: conversation.clone(),
                    message,
                    origin,
                    revision: known.revision,
                };
                (Envelope::new(Event::MessageCaptured(Box::new(captured)), reader.observed_at), key, known)
            })
            .collect();
        let complete = matches!(history.reach, Reach::Start | Reach::Known);
        let gaps = self.gaps(conversation.key, gap, complete, seen_from);
        let capture = Capture {
            account: self.account.id.clone(),
            conversation: conversation.clone(),
            complete,
            row_digest: Some(row_digest),
            events,
            gaps,
        };
        self.spool.commit(capture).await?;
        crash_point(CrashPoint::SpoolCommitted);
        let (account, key) = (&self.account.id, conversation.key);
        ConversationRead { account, conversation: key, messages: messages as u64, new: changed.new }
            .emit(self.counters);
        if let Some(reason) = gap {
            GapRecorded { account, conversation: key, reason }.emit(self.counters);
        }
        Ok(Read { messages, new: changed.new, revised: changed.revised, gap })
    }

    /// The gap to open; or, for a conversation seen as a whole, all gaps to close.
    fn gaps(
        &self,
        conversation: ConversationKey,
        open: Option<GapReason>,
        complete: bool,
        seen_from: Option<Timestamp>,
    ) -> Vec<Gap> {
        let now = self.clock.now();
        let gap = |reason, closed_at| Gap {
            account: self.account.id.clone(),
            conversation,
            reason,
            seen_from,
            since: now,
            closed_at,
        };
        match open {
            Some(reason) => vec![gap(reason, None)],
            None if complete => [GapReason::HistoryLimit, GapReason::HistoryStuck, GapReason::ConversationUnreadable]
                .map(|reason| gap(reason, Some(now)))
                .to_vec(),
            None => Vec::new(),
        }
    }

    async fn record_unreadable(&self, conversation: &ConversationRef) -> Result<(), CollectError> {
        let reason = GapReason::ConversationUnreadable;
        let gaps = self.gaps(conversation.key, Some(reason), false, None);
        let capture = Capture {
            account: self.account.id.clone(),
            conversation: conversation.clone(),
            complete: false,
            // Forgotten, so that the next pass tries again.
            row_digest: None,
            events: Vec::new(),
            gaps,
        };
        self.spool.commit(capture).await?;
        GapRecorded { account: &self.account.id, conversation: conversation.key, reason }.emit(self.counters);
        Ok(())
    }

    /// Tells each drift once; a missing required field ends the pass.
    async fn tell_drifts(&self, drifts: Vec<Drift>) -> Result<(), CollectError> {
        let mut broken = None;
        for drift in drifts {
            let (field, verdict, matched) = match drift {
                Drift::Fallback { field, alternative } => (field, "fallback", u32::try_from(alternative).ok()),
                Drift::Missing { field, missing, rows } => {
                    let problem = format!("is missing in {missing} of {rows} rows");
                    broken.get_or_insert(CollectError::LayoutBroken { field: field.clone(), problem });
                    (field, "missing", None)
                }
            };
            let account = self.account.id.clone();
            let event = SelectorsDrifted {
                account,
                pack: self.account.pack.hash.clone(),
                field,
                verdict: verdict.to_owned(),
                matched,
            };
            let field = event.field.clone();
            let news =
                self.spool.enqueue_drift(&Envelope::new(Event::SelectorsDrifted(event), self.clock.now())).await?;
            if let Some(alternative) = matched.filter(|_| news) {
                SelectorFellBack { account: &self.account.id, field: &field, alternative }.emit(self.counters);
            }
        }
        broken.map_or(Ok(()), Err)
    }
}

/// What one conversation gave.
struct Read {
    messages: usize,
    new: u64,
    revised: u64,
    gap: Option<GapReason>,
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
