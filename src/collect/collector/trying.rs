//! The trials themselves: what is opened, what is read, what is compared. Only reads.

use jiff::tz::TimeZone;

use super::Collector;
use crate::collect::history::pause;
use crate::collect::resolve::{Begin, Reader};
use crate::collect::trial::{self, Objection};
use crate::collect::verdict;
use crate::domain::conversation::ConversationRef;
use crate::domain::{ConversationKey, Message};
use crate::fault::{AnyFault, Code};
use crate::ports::ConversationFilter;
use crate::ports::page::{ListReading, ListRow, SitePage, ThreadReading, TrialReport, Until};
use crate::resilience::Pace;
use crate::selectors::moment::Frame;
use crate::selectors::pack::Proof;
use crate::selectors::{LoadedPack, Pack};

/// So many conversations are opened to find one with messages.
const CONVERSATIONS: usize = 3;
/// So many of the stored conversations are enough to see whether ids mean what they meant.
const STORED: u32 = 2000;

/// What came of a trial.
pub(super) enum Trial {
    /// It matches.
    Good,
    /// It does not.
    Bad(Vec<Objection>),
    /// The page shows nothing to compare with: nothing is decided.
    NotNow,
}

/// Whose fault it is that a trial ended.
pub(super) enum Tried {
    Page(AnyFault),
    Pack(AnyFault),
}

impl From<AnyFault> for Tried {
    fn from(fault: AnyFault) -> Self {
        Self::Page(fault)
    }
}

impl Collector {
    /// Both packs on the same page: the list, then a conversation with messages.
    pub(super) async fn try_beside(&self, page: &dyn SitePage, candidate: &LoadedPack) -> Result<Trial, Tried> {
        let (old, new) = (&self.account.pack.pack, &candidate.pack);
        self.ensure_login(page).await?;
        let glance = page.wait(Until::List, old.pages.timeout).await?;
        let list = page.list().await?;
        let report = self.report(page, candidate).await?;
        if !trial::is_understood(trial::verdict_of_list(&glance, &list)) {
            return Ok(Trial::NotNow);
        }
        let mut objections = trial::of_list(new, &report);
        if objections.is_empty() {
            objections = trial::same_conversations(old, new, &list, &report.list);
        }
        if !objections.is_empty() {
            return Ok(Trial::Bad(objections));
        }
        let rows = first_rows(&list);
        let mut shown = 0;
        for row in &rows {
            // One that can't be opened says nothing about either pack.
            let Some((thread, seen)) = self.show(page, row).await? else { continue };
            shown += 1;
            let report = self.report(page, candidate).await?;
            let same = |other: &&ListRow| other.id == row.id;
            let title = |list: &ListReading| list.rows.iter().find(same).cloned();
            let Some(as_read) = title(&report.list).or_else(|| title(&list)) else { continue };
            let objections = trial::of_thread(new, &proof(new, &as_read), &report);
            if !objections.is_empty() {
                return Ok(Trial::Bad(objections));
            }
            let before = self.resolve(old, row, &thread);
            let after = self.resolve(new, &as_read, &report.thread);
            let mut objections = trial::same_messages(old, new, &before, &after);
            let (known, found) = (trial::messages(&thread), trial::messages(&report.thread));
            if objections.is_empty() && found < known && old.messages.skip == new.messages.skip {
                let problem = format!("finds {found} of the {known} messages that the pack in use finds");
                objections.push(Objection::new("messages.row", problem));
            }
            if !objections.is_empty() {
                return Ok(Trial::Bad(objections));
            }
            if seen > 0 {
                break;
            }
        }
        Ok(if shown == 0 && !rows.is_empty() { Trial::NotNow } else { Trial::Good })
    }

    /// What the candidate finds; a page that does not survive it speaks against it.
    async fn report(&self, page: &dyn SitePage, candidate: &LoadedPack) -> Result<TrialReport, Tried> {
        page.trial(candidate).await.map_err(|fault| match fault.code() {
            Code::BrowserGone | Code::PageCrashed | Code::PageTimeout => Tried::Page(fault),
            _ => Tried::Pack(fault),
        })
    }

    /// Opens a conversation with the pack in use and gives what it reads of it, with the number of messages;
    /// `None` if it does not understand what it sees.
    async fn show(&self, page: &dyn SitePage, row: &ListRow) -> Result<Option<(ThreadReading, usize)>, AnyFault> {
        let pack = &self.account.pack.pack;
        pause(&mut Pace::new(pack.pace.between_conversations), &self.held.stop).await?;
        page.open_conversation(row.id.as_deref().unwrap_or_default()).await?;
        let proof = proof(pack, row);
        let glance = page.wait(Until::Thread(&proof), pack.pages.timeout).await?;
        let thread = page.thread().await?;
        let messages = trial::messages(&thread);
        let is_open = glance.opened.as_ref() == Some(&proof) && thread.opened.as_ref() == Some(&proof);
        let is_understood = is_open && trial::is_understood(verdict::of_thread(&glance, messages));
        Ok(is_understood.then_some((thread, messages)))
    }

    fn resolve(&self, pack: &Pack, row: &ListRow, thread: &ThreadReading) -> Vec<Message> {
        let id = row.id.clone().unwrap_or_default();
        let key = ConversationKey::new(&self.account.id, &id);
        let conversation = ConversationRef { key, title: row.title.clone().unwrap_or_default(), id };
        let now = self.clock.now();
        let frame = Frame::new(TimeZone::get(&pack.site.time_zone).unwrap_or(TimeZone::UTC), now);
        let (conversation, username) = (&conversation, self.account.username());
        let reader = Reader { pack, frame: &frame, conversation, username, observed_at: now };
        reader.resolve(&thread.rows, Begin::Anywhere).messages
    }

    /// This collector's own pack, judged by itself and by what is stored: there is no other that understands
    /// the page.
    pub(super) async fn try_whole(&self, page: &dyn SitePage) -> Result<Trial, AnyFault> {
        let pack = &self.account.pack.pack;
        self.ensure_login(page).await?;
        let glance = page.wait(Until::List, pack.pages.timeout).await?;
        let list = page.list().await?;
        let probe = page.probe().await?;
        let report = TrialReport { probe, glance, list, thread: ThreadReading::default() };
        let mut objections = trial::of_list(pack, &report);
        if objections.is_empty() {
            objections.extend(self.strange_ids(&report.list).await?);
        }
        if !objections.is_empty() {
            return Ok(Trial::Bad(objections));
        }
        for row in first_rows(&report.list) {
            pause(&mut Pace::new(pack.pace.between_conversations), &self.held.stop).await?;
            page.open_conversation(row.id.as_deref().unwrap_or_default()).await?;
            let proof = proof(pack, &row);
            let glance = page.wait(Until::Thread(&proof), pack.pages.timeout).await?;
            let thread = page.thread().await?;
            let seen = trial::messages(&thread);
            let report = TrialReport { probe: page.probe().await?, glance, thread, list: ListReading::default() };
            let mut objections = trial::of_thread(pack, &proof, &report);
            objections.extend(self.strange_messages(&row, &report.thread).await?);
            if !objections.is_empty() {
                return Ok(Trial::Bad(objections));
            }
            if seen > 0 {
                break;
            }
        }
        Ok(Trial::Good)
    }

    /// Conversations are stored and none of those in the list is among them: the ids mean something else.
    async fn strange_ids(&self, list: &ListReading) -> Result<Option<Objection>, AnyFault> {
        let filter = ConversationFilter { account: Some(self.account.id.clone()), limit: Some(STORED) };
        let stored = self.store.conversations(&filter).await?;
        let ids = list.rows.iter().filter_map(|row| row.id.as_deref());
        let mut keys = ids.map(|id| ConversationKey::new(&self.account.id, id));
        let is_strange = !stored.is_empty()
            && !list.rows.is_empty()
            && !keys.any(|key| stored.iter().any(|conversation| conversation.key == key));
        let problem = format!("gives ids of which none is among the {} stored conversations", stored.len());
        Ok(is_strange.then(|| Objection::new("conversations.id", problem)))
    }

    /// A conversation was once read to its start, and none of its messages has a name that is known from then.
    async fn strange_messages(&self, row: &ListRow, thread: &ThreadReading) -> Result<Option<Objection>, AnyFault> {
        let key = ConversationKey::new(&self.account.id, row.id.as_deref().unwrap_or_default());
        let cursor = self.spool.cursor(key).await?;
        let messages = self.resolve(&self.account.pack.pack, row, thread);
        let is_strange = cursor.complete
            && !cursor.messages.is_empty()
            && !messages.is_empty()
            && !messages.iter().any(|message| cursor.messages.contains_key(&message.key));
        let problem = format!(
            "read otherwise than before: none of {} messages is known, and all would come twice",
            messages.len()
        );
        Ok(is_strange.then(|| Objection::new("messages", problem)))
    }
}

fn first_rows(list: &ListReading) -> Vec<ListRow> {
    let is_named = |row: &&ListRow| row.id.as_ref().is_some_and(|id| !id.is_empty());
    list.rows.iter().filter(is_named).take(CONVERSATIONS).cloned().collect()
}

fn proof(pack: &Pack, row: &ListRow) -> String {
    match pack.conversations.opened.equals {
        Proof::Id => row.id.clone().unwrap_or_default(),
        Proof::Title => row.title.as_ref().map(|title| title.expose().to_owned()).unwrap_or_default(),
    }
}
