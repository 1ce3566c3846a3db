//! One look at everything the pages show, with a deadline for each dependency.
//!
//! All readings run at once, each for at most [`DEADLINE`]; one that fails or hangs becomes an
//! [`Ailment`] in its place and leaves the others alone. Viewers share one survey: it is made by the
//! first who asks and kept for a while, so that ten open pages cost the store no more than one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::spending::PurseReading;
use super::{WebError, WebState};
use crate::domain::{AccountStatus, Analysis, Conversation, ConversationKey, Gap, Purse};
use crate::fault::{AnyFault, Code};
use crate::lifecycle::data_dir::Databases;
use crate::ports::{BusState, ConversationFilter, Counts, MirrorFault, QueueDepth};

/// Longest wait for one answer of one dependency.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// How many conversations are shown.
pub(super) const LATEST: u32 = 20;

/// A survey is kept this long at least, and ten times as long as it took: looking costs a dependency at
/// most a tenth of its time, however large the store is.
const KEPT: Duration = Duration::from_secs(1);
const KEPT_PER_COST: u32 = 10;
/// But never longer: the page promises to be fresh.
const KEPT_AT_MOST: Duration = Duration::from_secs(5);

/// The parts whose answer is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartName {
    /// The store.
    Store,
    /// The bus.
    Bus,
    /// The local outbox.
    Spool,
    /// The folder of the embedded files.
    DataDir,
}

impl PartName {
    /// The words on the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Bus => "bus",
            Self::Spool => "spool",
            Self::DataDir => "data directory",
        }
    }
}

/// Why a reading is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ailment {
    pub code: Code,
    pub sentence: String,
    pub action: String,
}

impl From<AnyFault> for Ailment {
    fn from(fault: AnyFault) -> Self {
        Self { code: fault.code(), sentence: fault.to_string(), action: fault.action() }
    }
}

/// What one dependency answered.
pub(super) type Reading<T> = Result<T, Ailment>;

/// Everything that was read, at one moment.
#[derive(Debug)]
pub(super) struct Survey {
    pub at: Timestamp,
    pub accounts: Reading<Vec<AccountStatus>>,
    pub counts: Reading<Counts>,
    pub gaps: Reading<Vec<Gap>>,
    pub conversations: Reading<Vec<Conversation>>,
    pub analyses: Reading<HashMap<ConversationKey, Analysis>>,
    /// Purses of the month and of the accounts whose day has a limit.
    pub purses: Reading<Vec<PurseReading>>,
    pub depths: Reading<Vec<QueueDepth>>,
    pub dead_letters: Reading<u64>,
    /// Whether the bus takes events: it may answer and take none.
    pub flowing: Reading<()>,
    pub pending: Reading<u64>,
    /// When the oldest of them was made.
    pub oldest: Reading<Option<Timestamp>>,
    pub captured: Reading<u64>,
    pub writable: Reading<Databases>,
    /// Why the mirror is not written, if it is not.
    pub mirror: Option<MirrorFault>,
    /// When it was last written.
    pub mirrored_at: Option<Timestamp>,
}

impl Survey {
    /// The first ailment among the readings of a part.
    pub fn ailment(&self, part: PartName) -> Option<&Ailment> {
        match part {
            PartName::Store => (self.accounts.as_ref().err())
                .or(self.counts.as_ref().err())
                .or(self.gaps.as_ref().err())
                .or(self.conversations.as_ref().err())
                .or(self.analyses.as_ref().err())
                .or(self.purses.as_ref().err()),
            PartName::Bus => {
                self.depths.as_ref().err().or(self.dead_letters.as_ref().err()).or(self.flowing.as_ref().err())
            }
            PartName::Spool => self.pending.as_ref().err().or(self.captured.as_ref().err()),
            PartName::DataDir => self.writable.as_ref().err(),
        }
    }

    /// True if none of a part's readings came: it is away, not merely slow with one of them.
    pub fn is_silent(&self, part: PartName) -> bool {
        match part {
            PartName::Store => {
                self.accounts.is_err()
                    && self.counts.is_err()
                    && self.gaps.is_err()
                    && self.conversations.is_err()
                    && self.analyses.is_err()
            }
            PartName::Bus => self.depths.is_err() && self.dead_letters.is_err(),
            PartName::Spool => self.pending.is_err() && self.captured.is_err(),
            PartName::DataDir => self.writable.is_err(),
        }
    }
}

/// Makes surveys and keeps the latest.
pub(super) struct Observer {
    pub state: WebState,
    latest: Mutex<Option<(Instant, Arc<Survey>)>>,
    store_answered: AtomicBool,
    /// Held by the thread that tries the data directory: a disk that hangs holds one thread, not more.
    trying: Arc<Mutex<()>>,
}

impl Observer {
    pub fn new(state: WebState) -> Self {
        Self {
            state,
            latest: Mutex::new(None),
            store_answered: AtomicBool::new(false),
            trying: Arc::new(Mutex::new(())),
        }
    }

    /// The latest survey, or a new one. Cancel-safe: who goes away leaves it to the next.
    pub async fn survey(&self) -> Arc<Survey> {
        let mut latest = self.latest.lock().await;
        if let Some((fresh_until, survey)) = &*latest
            && Instant::now() < *fresh_until
        {
            return Arc::clone(survey);
        }
        let begun = Instant::now();
        let survey = Arc::new(self.look().await);
        let kept = (begun.elapsed() * KEPT_PER_COST).clamp(KEPT, KEPT_AT_MOST);
        *latest = Some((Instant::now() + kept, Arc::clone(&survey)));
        survey
    }

    /// True once the store has answered: it is open, migrated and readable.
    pub fn has_started(&self) -> bool {
        self.store_answered.load(Ordering::Relaxed)
    }

    /// A new survey, whatever the latest says: for one person who asks.
    pub async fn look(&self) -> Survey {
        let WebState { store, bus, spool, .. } = &self.state;
        let newest = ConversationFilter { account: None, limit: Some(LATEST) };
        let (
            accounts,
            counts,
            gaps,
            conversations,
            analyses,
            purses,
            depths,
            dead_letters,
            pending,
            oldest,
            captured,
            writable,
        ) = tokio::join!(
            within(PartName::Store, store.accounts()),
            within(PartName::Store, store.counts(None)),
            within(PartName::Store, store.open_gaps()),
            within(PartName::Store, store.conversations(&newest)),
            within(PartName::Store, store.latest_analyses()),
            within(PartName::Store, self.purses()),
            within(PartName::Bus, bus.depths()),
            within(PartName::Bus, bus.dead_letters()),
            within(PartName::Spool, spool.pending()),
            within(PartName::Spool, spool.oldest()),
            within(PartName::Spool, spool.captured()),
            within(PartName::DataDir, self.try_data_dir()),
        );
        if accounts.is_ok() {
            self.store_answered.store(true, Ordering::Relaxed);
        }
        let flowing = match bus.state() {
            BusState::Blocked { reason } => Err(Ailment::from(AnyFault::from(WebError::Blocked { reason }))),
            // What can't be reached says so by the readings above.
            BusState::Connected | BusState::Reconnecting => Ok(()),
        };
        let at = self.state.clock.now();
        Survey {
            at,
            accounts,
            counts,
            gaps,
            conversations,
            analyses,
            purses,
            depths,
            dead_letters,
            flowing,
            pending,
            oldest,
            captured,
            writable,
            mirror: self.state.mirror.borrow().fault.clone(),
            mirrored_at: self.state.mirror.borrow().written_at,
        }
    }

    async fn purses(&self) -> Result<Vec<PurseReading>, AnyFault> {
        let WebState { store, budgets, limits, clock, .. } = &self.state;
        let at = clock.now();
        let mut purses = vec![(Purse::of_month(at), limits.month)];
        if !limits.account_day.is_unlimited() {
            let accounts = store.accounts().await?;
            purses.extend(accounts.into_iter().map(|one| (Purse::of_account(one.account, at), limits.account_day)));
        }
        let read = purses.into_iter().map(async |(purse, allowance)| {
            let balance = budgets.balance(&purse).await?;
            Ok(PurseReading { purse, allowance, balance })
        });
        futures::future::try_join_all(read).await
    }

    async fn try_data_dir(&self) -> Result<Databases, AnyFault> {
        let turn = Arc::clone(&self.trying).lock_owned().await;
        let check = Arc::clone(&self.state.writable);
        let tried = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            check()
        });
        tried.await.unwrap_or_else(|_| Err(WebError::CheckBroken.into()))
    }
}

async fn within<T>(part: PartName, answer: impl Future<Output = Result<T, AnyFault>>) -> Reading<T> {
    match timeout(DEADLINE, answer).await {
        Ok(answer) => answer.map_err(Ailment::from),
        Err(_) => Err(Ailment::from(AnyFault::from(WebError::NoAnswer { part, waited: DEADLINE }))),
    }
}
