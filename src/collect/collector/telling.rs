//! Making an account's state known: a line of the log, an event, the store.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use super::{Collector, LONG, MISSES};
use crate::collect::bundle;
use crate::collect::flaps::Weight;
use crate::collect::pass::Found;
use crate::domain::event::AccountChanged;
use crate::domain::{AccountState, AccountStatus, Envelope, Event};
use crate::fault::{AnyFault, Code, Fault};
use crate::ports::page::SitePage;
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{AccountFlaps, AccountStateChanged, PassFailed};

/// How long the store may keep an account's task waiting with its state.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);

impl Collector {
    /// True if the account waits for a human.
    pub(super) fn is_resting(&self) -> bool {
        self.last().is_some_and(|status| status.state == AccountState::Parked || status.is_paused())
    }

    pub(super) fn last_code(&self) -> Option<Code> {
        self.last().and_then(|status| status.code)
    }

    pub(super) fn set_status(&self, status: AccountStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    fn last(&self) -> Option<AccountStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True while the account is live or stale: it is being watched.
    pub(super) fn is_watched(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.as_ref().is_some_and(|status| matches!(status.state, AccountState::Live | AccountState::Stale))
    }

    /// Makes the state that was last told believed for longer.
    pub(super) async fn renew(&self, valid: SignedDuration) {
        let expires_at = self.clock.now().saturating_add(valid).unwrap_or(Timestamp::MAX);
        let renewed = {
            let mut last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            last.as_mut().map(|status| {
                status.expires_at = expires_at.max(status.expires_at);
                status.clone()
            })
        };
        if let Some(status) = renewed {
            self.store_status(&status).await;
        }
    }

    pub(super) async fn tell_reading(&self) {
        let sentence = "The conversations are being read.";
        self.tell(AccountState::Backfilling, None, sentence, SignedDuration::from_hours(2)).await;
    }

    pub(super) async fn tell_fault(&self, fault: &AnyFault, wait: Option<Duration>, valid: SignedDuration) {
        if fault.code() == Code::Stopped {
            return;
        }
        PassFailed { account: &self.account.id, fault }.emit(&self.counters);
        let is_passing = fault.class().is_retryable() || wait.is_some();
        let state = if is_passing { AccountState::Backoff } else { AccountState::Parked };
        let mut action = fault.action().replace("<ID>", &self.account.id.to_string());
        if let Some(path) = self.memory.take_evidence() {
            action.push_str(&format!(" What the page looked like: {}.", path.display()));
        }
        if state == AccountState::Parked {
            self.note_park(fault.code()).await;
        }
        self.tell_with(state, Some(fault.code()), &format!("{}.", fault.chain()), Some(action), valid).await;
    }

    /// The account is parked, and a code can be given for so long.
    pub(super) async fn tell_asking(&self, fault: &AnyFault, action: String, valid: Duration) {
        let valid = SignedDuration::try_from(valid).unwrap_or(LONG);
        let sentence = format!("{}; its page is kept open.", fault.chain());
        self.tell_with(AccountState::Parked, Some(fault.code()), &sentence, Some(action), valid).await;
    }

    /// Tells the state once more as it is; false if the store did not take it.
    pub(super) async fn renew_status(&self) -> bool {
        match self.last() {
            Some(AccountStatus { state, code, sentence, action, .. }) => {
                self.tell_with(state, code, &sentence, action, LONG).await
            }
            None => true,
        }
    }

    /// Takes down what the page looks like, where a person will want to see it: a challenge, a login that
    /// leads nowhere, and a page that was broken several times in a row, once.
    pub(super) async fn take_down(&self, page: &dyn SitePage, fault: &AnyFault) {
        let (account, code, now) = (self.account.as_ref(), fault.code(), self.clock.now());
        let misses = self.memory.failed(code);
        let taken = match code {
            Code::Challenge | Code::Captcha | Code::OneTimeCode | Code::PasswordChange | Code::Locked => {
                bundle::of_challenge(&self.failures, account, page, code, now).await
            }
            Code::LayoutBroken | Code::PageNotRendered if misses == MISSES => {
                bundle::of_failure(&self.failures, account, page, code, now).await
            }
            Code::LoginUnclear => bundle::of_failure(&self.failures, account, page, code, now).await,
            _ => None,
        };
        self.memory.keep_evidence(taken);
    }

    pub(super) async fn tell(&self, state: AccountState, code: Option<Code>, sentence: &str, valid: SignedDuration) {
        self.tell_with(state, code, sentence, None, valid).await;
    }

    /// What a completed pass means for a person, and what else should be known.
    pub(super) fn sentence(&self, found: &Found) -> String {
        let read = sentence(found);
        if !self.session.is_lost() {
            return read;
        }
        format!(
            "{read} After a restart it has to log in again: the session can't be kept ({}).",
            Code::SessionNotSaved.as_str()
        )
    }

    /// Makes the state known: log line, event, store. None of the three may hold the account up. False if the
    /// store did not take it.
    pub(super) async fn tell_with(
        &self,
        state: AccountState,
        code: Option<Code>,
        sentence: &str,
        action: Option<String>,
        valid: SignedDuration,
    ) -> bool {
        let now = self.clock.now();
        let (status, weight) = {
            let mut last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            let before = last.as_ref();
            let weight = self.memory.flaps().weigh((state, code), Instant::now());
            let is_news = before.is_none_or(|before| before.state != state || before.code != code);
            let last_pass_at =
                if state == AccountState::Live { Some(now) } else { before.and_then(|before| before.last_pass_at) };
            let status = AccountStatus {
                account: self.account.id.clone(),
                state,
                // The store keeps the later one: a clock that was set back must not make this one look older.
                since: before.map_or(now, |before| if is_news { now.max(before.since) } else { before.since }),
                code,
                sentence: sentence.to_owned(),
                action,
                expires_at: now.saturating_add(valid).unwrap_or(Timestamp::MAX),
                last_pass_at,
            };
            *last = Some(status.clone());
            (status, weight)
        };
        self.orders.told(&status);
        let held = match weight {
            Weight::Known => 0,
            Weight::Told { held } => {
                AccountStateChanged { status: &status, is_held: false }.emit(&self.counters);
                held
            }
            Weight::Held { first } => {
                AccountStateChanged { status: &status, is_held: true }.emit(&self.counters);
                u64::from(first)
            }
        };
        if held > 0 {
            let is_over = matches!(weight, Weight::Told { .. });
            AccountFlaps { account: &self.account.id, held, is_over }.emit(&self.counters);
        }
        if let Weight::Told { .. } = weight {
            let AccountStatus { account, state, code, action, since, .. } = status.clone();
            let event = Event::AccountChanged(AccountChanged { account, state, code, action, since });
            if let Err(error) = self.spool.enqueue(&Envelope::new(event, now)).await {
                tracing::warn!(account.id = %self.account.id, error.code = %error.code(), "the change of state could not be spooled");
            }
        }
        self.store_status(&status).await
    }

    async fn store_status(&self, status: &AccountStatus) -> bool {
        if self.settings.dry_run {
            return true;
        }
        match timeout(STATE_TIMEOUT, self.store.save_account(status, self.held.epoch)).await {
            Ok(Ok(())) => return true,
            Ok(Err(fault)) => {
                tracing::warn!(account.id = %self.account.id, error.code = %fault.code(), "the state could not be stored");
            }
            Err(_) => tracing::warn!(account.id = %self.account.id, "the store did not take the state in time"),
        }
        false
    }
}

/// What a completed pass means for a person.
fn sentence(found: &Found) -> String {
    match found.gaps {
        0 => "Everything that the site showed was read.".to_owned(),
        1 => "Read, but for 1 conversation that could not be seen as a whole.".to_owned(),
        gaps => format!("Read, but for {gaps} conversations that could not be seen as a whole."),
    }
}
