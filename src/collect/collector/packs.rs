//! Edited packs: tried on the account's own page, taken if they match, refused with the query if not.
//!
//! An edit must never win by being there. While the pack in use works, the new one is tried beside it, on the
//! same page, and has to find the same. While it doesn't, the new one is tried alone, in a browser of its own
//! that the account has no other use for. Either way the trial only reads, and the collector goes on with the
//! old pack until the new one has proved itself; then the session is opened anew with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::Collector;
use crate::collect::account::Account;
use crate::collect::error::CollectError;
use crate::collect::history::pause;
use crate::collect::resolve::{Begin, Reader};
use crate::collect::trial::{self, Objection};
use crate::collect::verdict;
use crate::domain::conversation::ConversationRef;
use crate::domain::{AccountStatus, ConversationKey, Message, SiteId};
use crate::fault::{AnyFault, Code};
use crate::ports::ConversationFilter;
use crate::ports::page::{ListReading, ListRow, SessionRequest, SitePage, ThreadReading, TrialReport, Until};
use crate::resilience::Pace;
use crate::selectors::board::Board;
use crate::selectors::moment::Frame;
use crate::selectors::pack::Proof;
use crate::selectors::versions::{Refused, Why};
use crate::selectors::{LoadedPack, Pack};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{PackPromoted, PackRefused, PacksUnkept};

/// So many conversations are opened to find one with messages.
const CONVERSATIONS: usize = 3;
/// A pack is refused beside one that works only if it failed so often: news may come between two readings.
const LOOKS: u32 = 2;
/// How long a trial that could not be made is not made again.
const REST: Duration = Duration::from_secs(60);
/// So many of the stored conversations are enough to see whether ids mean what they meant.
const STORED: u32 = 2000;

/// The packs that may be tried, by site.
pub type Offers = BTreeMap<SiteId, Arc<LoadedPack>>;

/// An account's part in packs that change.
#[derive(Debug)]
pub struct Packs {
    board: Arc<Board>,
    offers: watch::Receiver<Offers>,
    mind: Mutex<Mind>,
}

/// What the account made of the packs that were offered.
#[derive(Debug, Default)]
struct Mind {
    /// The version that failed beside the one in use.
    failed_beside: Option<String>,
    /// The version that failed alone.
    failed_alone: Option<String>,
    /// A trial could not be made; not again before this.
    not_before: Option<Instant>,
    /// To be tried alone, with the page closed.
    apart: Option<Arc<LoadedPack>>,
    /// It matched: the collector is to end, and to begin anew with it.
    promoted: Option<Arc<LoadedPack>>,
}

/// What came of a trial.
enum Trial {
    /// It matches.
    Good,
    /// It does not.
    Bad(Vec<Objection>),
    /// The page shows nothing to compare with: nothing is decided.
    NotNow,
}

impl Packs {
    /// Nothing was tried yet.
    pub fn new(board: Arc<Board>, offers: watch::Receiver<Offers>) -> Self {
        Self { board, offers, mind: Mutex::default() }
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    /// The account with the pack that it is to go on with, once [`Collector::run`] has ended because of one.
    pub fn promoted(&self) -> Option<Arc<Account>> {
        let pack = self.packs.mind().promoted.clone()?;
        Some(Arc::new(self.account_with(pack)))
    }

    pub(super) fn is_promoted(&self) -> bool {
        self.packs.mind().promoted.is_some()
    }

    /// The pack of the account's site that is worth a trial now.
    fn offer(&self, alone: bool) -> Option<Arc<LoadedPack>> {
        let offered = self.packs.offers.borrow().get(self.account.id.site()).cloned()?;
        let mut mind = self.packs.mind();
        if offered.hash == self.account.pack.hash {
            // The edit was taken back: if it comes again, it is tried again.
            (mind.failed_beside, mind.failed_alone) = (None, None);
        }
        let failed = if alone { &mind.failed_alone } else { &mind.failed_beside };
        let is_new = offered.hash != self.account.pack.hash && failed.as_ref() != Some(&offered.hash);
        let is_time = mind.not_before.is_none_or(|at| Instant::now() >= at);
        (is_new && is_time).then_some(offered)
    }

    /// Ends when there is a pack to try. Cancel-safe.
    pub(super) async fn offered(&self, alone: bool) {
        let mut offers = self.packs.offers.clone();
        loop {
            offers.mark_unchanged();
            if self.offer(alone).is_some() {
                return;
            }
            let rest = self.packs.mind().not_before.filter(|at| *at > Instant::now());
            let is_over = async {
                match rest {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Cancel-safe: neither arm holds anything.
            tokio::select! {
                changed = offers.changed() => if changed.is_err() {
                    // Nobody will offer anything any more.
                    std::future::pending::<()>().await;
                },
                () = is_over => (),
            }
        }
    }

    /// Tries an offered pack beside the one in use. True if the session must end: the new pack is to be used, or
    /// to be tried without this page.
    ///
    /// # Errors
    /// Those of the page, as far as the trial is not to blame.
    pub(super) async fn try_offer(&self, page: &dyn SitePage) -> Result<bool, AnyFault> {
        let Some(candidate) = self.offer(false) else { return Ok(false) };
        if !is_same_place(&self.account.pack.pack, &candidate.pack) {
            // Another time zone, language or address: this page would not show what that pack is for.
            self.packs.mind().apart = Some(candidate);
            return Ok(true);
        }
        let mut looks = 0;
        let objections = loop {
            looks += 1;
            match self.try_beside(page, &candidate).await {
                Ok(Trial::Good) => {
                    self.promote(candidate, None);
                    return Ok(true);
                }
                Ok(Trial::NotNow) => return Ok(false),
                Ok(Trial::Bad(_)) if looks < LOOKS => {}
                Ok(Trial::Bad(objections)) => break objections,
                Err(Tried::Page(fault)) => return Err(fault),
                Err(Tried::Pack(fault)) => break vec![Objection::new("the pack", format!("can't be tried: {fault}"))],
            }
        };
        self.packs.mind().failed_beside = Some(candidate.hash.clone());
        self.refuse(&candidate, &objections);
        Ok(false)
    }

    /// Tries a pack that this page was not right for, or that may mend what the one in use can't read. True if
    /// it is to be used.
    pub(super) async fn try_alone(&self) -> bool {
        let apart = self.packs.mind().apart.take();
        let Some(candidate) = apart.or_else(|| self.offer(true)) else { return false };
        let other = self.with_pack(candidate.clone());
        let before = self.status();
        let outcome = match other.open_quietly().await {
            Ok(page) => {
                let outcome = other.try_whole(page.as_ref()).await;
                page.close().await;
                outcome
            }
            Err(fault) => Err(fault),
        };
        let objections = match outcome {
            Ok(Trial::Good) => {
                self.promote(candidate, before.and_then(|status| status.code));
                return true;
            }
            Ok(Trial::NotNow) => Vec::new(),
            Ok(Trial::Bad(objections)) => objections,
            Err(fault) if is_of_layout(fault.code()) => vec![Objection::new("the pack", format!("fails: {fault}"))],
            Err(fault) => {
                tracing::warn!(
                    target: "chatferry::collect",
                    { account.id = %self.account.id, error.code = fault.code().as_str(), pack.hash = candidate.hash },
                    "an edited pack could not be tried now"
                );
                Vec::new()
            }
        };
        self.restore(&other, before).await;
        let mut mind = self.packs.mind();
        if objections.is_empty() {
            mind.not_before = Some(Instant::now() + REST);
        } else {
            mind.failed_alone = Some(candidate.hash.clone());
            mind.failed_beside = Some(candidate.hash.clone());
            drop(mind);
            self.refuse(&candidate, &objections);
        }
        false
    }

    fn promote(&self, pack: Arc<LoadedPack>, mends: Option<Code>) {
        let kept = self.packs.board.activate(&pack, self.clock.now(), Why::Promoted);
        self.warn_of(kept.map(|_| ()));
        let from = self.account.pack.hash.as_str();
        let is_reopened = !is_same_place(&self.account.pack.pack, &pack.pack);
        PackPromoted { account: &self.account.id, from, to: &pack.hash, mends, other_place: is_reopened }
            .emit(&self.counters);
        self.packs.mind().promoted = Some(pack);
    }

    fn refuse(&self, pack: &LoadedPack, objections: &[Objection]) {
        let reasons: Vec<String> = objections.iter().map(Objection::sentence).collect();
        let (site, active) = (self.account.id.site(), self.account.pack.hash.as_str());
        PackRefused {
            site,
            account: Some(&self.account.id),
            hash: &pack.hash,
            active: Some(active),
            reasons: &reasons,
        }
        .emit(&self.counters);
        let account = Some(self.account.id.to_string());
        let refused = Refused { hash: pack.hash.clone(), at: self.clock.now(), account, reasons };
        self.warn_of(self.packs.board.refuse(site, refused));
    }

    fn warn_of(&self, kept: Result<(), crate::selectors::PackError>) {
        if let Err(error) = kept {
            PacksUnkept { fault: &error.into() }.emit(&self.counters);
        }
    }

    /// The account with another pack; its address is the pack's own unless the settings say another.
    fn account_with(&self, pack: Arc<LoadedPack>) -> Account {
        let Account { id, base_url, username, password, terms_acknowledged, profile, .. } = &*self.account;
        let own = |pack: &LoadedPack| Url::parse(&pack.pack.site.base_url).ok();
        let follows = own(&self.account.pack).as_ref() == Some(base_url);
        let base_url = own(&pack).filter(|_| follows).unwrap_or_else(|| base_url.clone());
        let (username, password) = (username.clone(), password.clone());
        let (id, terms_acknowledged, profile) = (id.clone(), *terms_acknowledged, profile.clone());
        Account { id, pack, base_url, username, password, terms_acknowledged, profile }
    }

    /// A collector of the same account with another pack, for a trial: it has nothing to try itself.
    fn with_pack(&self, pack: Arc<LoadedPack>) -> Self {
        let (_, nothing) = watch::channel(Offers::new());
        Self {
            account: Arc::new(self.account_with(pack)),
            browser: self.browser.clone(),
            spool: self.spool.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            lifecycle: self.lifecycle.clone(),
            held: self.held.clone(),
            counters: self.counters.clone(),
            progress: self.progress.clone(),
            settings: self.settings,
            status: Mutex::new(self.status()),
            packs: Packs::new(self.packs.board.clone(), nothing),
        }
    }

    /// What was last told of the account.
    pub fn status(&self) -> Option<AccountStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells again what was told before a trial told something else.
    async fn restore(&self, other: &Self, before: Option<AccountStatus>) {
        let told = other.status();
        if told == before {
            return;
        }
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = told;
        if let Some(AccountStatus { state, code, sentence, action, expires_at, .. }) = before {
            let valid = expires_at.duration_since(self.clock.now());
            self.tell_with(state, code, &sentence, action, valid).await;
        }
    }

    async fn open_quietly(&self) -> Result<Box<dyn SitePage>, AnyFault> {
        let account = &self.account;
        if !account.pack.pack.site.verified && !account.terms_acknowledged {
            return Err(CollectError::TermsNotAcknowledged { site: account.id.site().to_string() }.into());
        }
        let (pack, base_url) = (account.pack.clone(), account.base_url.clone());
        let request = SessionRequest { account: account.id.clone(), pack, base_url, profile: account.profile.clone() };
        self.browser.open(request).await
    }

    /// Both packs on the same page: the list, then a conversation with messages.
    async fn try_beside(&self, page: &dyn SitePage, candidate: &LoadedPack) -> Result<Trial, Tried> {
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
        for row in first_rows(&list) {
            let Some((thread, seen)) = self.show(page, &row).await? else { return Ok(Trial::NotNow) };
            let report = self.report(page, candidate).await?;
            let same = |other: &&ListRow| other.id == row.id;
            let title = |list: &ListReading| list.rows.iter().find(same).cloned();
            let Some(as_read) = title(&report.list).or_else(|| title(&list)) else { continue };
            let objections = trial::of_thread(new, &proof(new, &as_read), &report);
            if !objections.is_empty() {
                return Ok(Trial::Bad(objections));
            }
            let before = self.resolve(old, &row, &thread);
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
        Ok(Trial::Good)
    }

    /// What the candidate finds; a page that does not survive it speaks against it.
    async fn report(&self, page: &dyn SitePage, candidate: &LoadedPack) -> Result<TrialReport, Tried> {
        page.trial(candidate).await.map_err(|fault| match fault.code() {
            Code::BrowserGone => Tried::Page(fault),
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
    async fn try_whole(&self, page: &dyn SitePage) -> Result<Trial, AnyFault> {
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

/// Whose fault it is that a trial ended.
enum Tried {
    Page(AnyFault),
    Pack(AnyFault),
}

impl From<AnyFault> for Tried {
    fn from(fault: AnyFault) -> Self {
        Self::Page(fault)
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

/// Whether a browser that was opened for one pack is right for the other.
fn is_same_place(one: &Pack, other: &Pack) -> bool {
    let (a, b) = (&one.site, &other.site);
    (&a.base_url, &a.allowed_hosts, &a.time_zone, &a.locale) == (&b.base_url, &b.allowed_hosts, &b.time_zone, &b.locale)
}

/// Faults that another pack may mend.
pub(super) const fn is_of_layout(code: Code) -> bool {
    matches!(code, Code::LayoutBroken | Code::PageNotRendered | Code::PageTimeout | Code::LoginUnclear)
}
