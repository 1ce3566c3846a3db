//! Edited packs: tried on the account's own page, taken if they match, refused with the query if not.
//!
//! An edit must never win by being there. While the pack in use works, the new one is tried beside it, on the
//! same page, and has to find the same. While it doesn't, the new one is tried alone, in a session of its own.
//! Either way the trial only reads ([`super::trying`]), and the collector goes on with the old pack until the new
//! one has proved itself; then the session is opened anew with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::trying::{Trial, Tried};
use super::{Collector, LONG, Memory, orders};
use crate::collect::account::Account;
use crate::collect::flaps::Flaps;
use crate::collect::trial::Objection;
use crate::domain::{AccountStatus, SiteId};
use crate::fault::{AnyFault, Code};
use crate::ports::page::SitePage;
use crate::selectors::board::Board;
use crate::selectors::versions::{Refused, Why};
use crate::selectors::{LoadedPack, Pack};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{PackPromoted, PackRefused, PacksUnkept};

/// A pack is refused beside one that works only if it failed so often: news may come between two readings.
const LOOKS: u32 = 2;
/// How long a trial that could not be made is not made again.
const REST: Duration = Duration::from_secs(60);

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

impl Mind {
    fn has_failed(&mut self, hash: &str) {
        (self.failed_alone, self.failed_beside) = (Some(hash.to_owned()), Some(hash.to_owned()));
    }
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

    /// True if a pack waits to be tried without the page of the one in use.
    pub(super) fn has_apart(&self) -> bool {
        self.packs.mind().apart.is_some()
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
                Ok(Trial::NotNow) => {
                    self.packs.mind().not_before = Some(Instant::now() + REST);
                    return Ok(false);
                }
                Ok(Trial::Bad(_)) | Err(Tried::Pack(_)) if looks < LOOKS => {}
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
                if matches!(outcome, Ok(Trial::Good)) {
                    other.session.believe();
                }
                other.leave(page).await;
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
            Err(fault) if orders::needs_a_human(fault.code()) => {
                // The site wants something, whatever the pack: no trial, and no login, before a human has dealt with it.
                self.packs.mind().has_failed(&candidate.hash);
                self.tell_fault(&fault, None, LONG).await;
                return false;
            }
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
            mind.has_failed(&candidate.hash);
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
        let Account { id, base_url, username, password, terms_acknowledged, old_profile, .. } = &*self.account;
        let own = |pack: &LoadedPack| Url::parse(&pack.pack.site.base_url).ok();
        let follows = own(&self.account.pack).as_ref() == Some(base_url);
        let base_url = own(&pack).filter(|_| follows).unwrap_or_else(|| base_url.clone());
        let (username, password) = (username.clone(), password.clone());
        let (id, terms_acknowledged, old_profile) = (id.clone(), *terms_acknowledged, old_profile.clone());
        Account { id, pack, base_url, username, password, terms_acknowledged, old_profile }
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
            session: self.session.for_trial(),
            orders: Arc::default(),
            failures: self.failures.clone(),
            memory: Memory::default(),
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
        if let Some(told) = &told {
            // What it told is what is to be taken back.
            *self.memory.flaps() = Flaps::after((told.state, told.code));
        }
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = told;
        if let Some(AccountStatus { state, code, sentence, action, expires_at, .. }) = before {
            let valid = expires_at.duration_since(self.clock.now());
            self.tell_with(state, code, &sentence, action, valid).await;
        }
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
