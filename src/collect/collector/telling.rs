//! Making an account's state known: a line of the log, an event, the store.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::Collector;
use crate::collect::pass::Found;
use crate::domain::event::AccountChanged;
use crate::domain::{AccountState, AccountStatus, Envelope, Event};
use crate::fault::{AnyFault, Class, Code, Fault};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{AccountStateChanged, PassFailed};

/// How long the store may keep an account's task waiting with its state.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);

impl Collector {
    pub(super) fn is_parked(&self) -> bool {
        let last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|status| status.state == AccountState::Parked)
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
        let state = match (fault.class(), wait) {
            (Class::Retryable { .. }, _) => AccountState::Backoff,
            (Class::Permanent | Class::Critical, _) => AccountState::Parked,
        };
        self.tell_with(state, Some(fault.code()), &format!("{}.", fault.chain()), Some(fault.action()), valid).await;
    }

    pub(super) async fn tell(&self, state: AccountState, code: Option<Code>, sentence: &str, valid: SignedDuration) {
        self.tell_with(state, code, sentence, None, valid).await;
    }

    /// Makes the state known: log line, event, store. None of the three may hold the account up.
    pub(super) async fn tell_with(
        &self,
        state: AccountState,
        code: Option<Code>,
        sentence: &str,
        action: Option<String>,
        valid: SignedDuration,
    ) {
        let now = self.clock.now();
        let (status, is_news) = {
            let mut last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            let before = last.as_ref();
            let is_news = before.is_none_or(|before| before.state != state || before.code != code);
            let last_pass_at =
                if state == AccountState::Live { Some(now) } else { before.and_then(|before| before.last_pass_at) };
            let status = AccountStatus {
                account: self.account.id.clone(),
                state,
                since: before.filter(|_| !is_news).map_or(now, |before| before.since),
                code,
                sentence: sentence.to_owned(),
                action,
                expires_at: now.saturating_add(valid).unwrap_or(Timestamp::MAX),
                last_pass_at,
            };
            *last = Some(status.clone());
            (status, is_news)
        };
        if is_news {
            AccountStateChanged { status: &status }.emit(&self.counters);
            let AccountStatus { account, state, code, action, since, .. } = status.clone();
            let event = Event::AccountChanged(AccountChanged { account, state, code, action, since });
            if let Err(error) = self.spool.enqueue(&Envelope::new(event, now)).await {
                tracing::warn!(account.id = %self.account.id, error.code = %error.code(), "the change of state could not be spooled");
            }
        }
        self.store_status(&status).await;
    }

    async fn store_status(&self, status: &AccountStatus) {
        if self.settings.dry_run {
            return;
        }
        match timeout(STATE_TIMEOUT, self.store.save_account(status, self.held.epoch)).await {
            Ok(Ok(())) => (),
            Ok(Err(fault)) => {
                tracing::warn!(account.id = %self.account.id, error.code = %fault.code(), "the state could not be stored")
            }
            Err(_) => tracing::warn!(account.id = %self.account.id, "the store did not take the state in time"),
        }
    }
}

/// What a completed pass means for a person.
pub(super) fn sentence(found: &Found) -> String {
    match found.gaps {
        0 => "Everything that the site showed was read.".to_owned(),
        1 => "Read, but for 1 conversation that could not be seen as a whole.".to_owned(),
        gaps => format!("Read, but for {gaps} conversations that could not be seen as a whole."),
    }
}
