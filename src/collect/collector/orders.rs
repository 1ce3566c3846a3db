//! What a person has a say in: pauses, parks that outlive a restart, codes for the site.
//!
//! No login is tried for an account that waits for a human until the human says so, or has mended what
//! it was parked for. The store's word on the account is the truth; a restart changes nothing about it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Collector, LONG, packs};
use crate::collect::bundle;
use crate::collect::error::CollectError;
use crate::collect::flaps::Flaps;
use crate::collect::login;
use crate::collect::orders::{Answer, Wish};
use crate::collect::spool::Tried;
use crate::domain::{AccountState, AccountStatus};
use crate::fault::{AnyFault, Class, Code, Fault};
use crate::ports::page::SitePage;

/// A page that waits for a code is kept open for so long: most codes are good for no longer.
const CODE_WAIT: Duration = Duration::from_secs(600);
/// A status that lasts is told anew so often, so that it is never out of date.
const RENEWED: Duration = Duration::from_secs(1800);
/// One that the store did not take is told it again after so long: a restart must not find the one before.
const UNSTORED: Duration = Duration::from_secs(15);

/// What ends a park beside a human's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nothing.
    Word,
    /// Other credentials.
    Credentials,
    /// Another pack.
    Pack,
    /// A start: what is wrong is looked at anew, and no login is tried for it.
    Start,
}

impl Ending {
    const fn of(code: Code) -> Self {
        match code {
            Code::Challenge
            | Code::Captcha
            | Code::OneTimeCode
            | Code::Locked
            | Code::LoginBudget
            | Code::LoggedOutElsewhere => Self::Word,
            Code::BadCredentials | Code::PasswordChange => Self::Credentials,
            Code::LayoutBroken | Code::LoginUnclear => Self::Pack,
            _ => Self::Start,
        }
    }
}

/// True if no login may be tried before a human has done something.
pub(super) const fn needs_a_human(code: Code) -> bool {
    matches!(Ending::of(code), Ending::Word | Ending::Credentials)
}

/// True if a start alone changes nothing about a status: a person has a say first.
pub fn outlives_a_start(status: &AccountStatus) -> bool {
    let is_parked_for_good = |code| status.state == AccountState::Parked && Ending::of(code) != Ending::Start;
    status.is_paused() || status.code.is_some_and(is_parked_for_good)
}

impl Collector {
    /// Takes up the account where it stands, as the store knows; waits if a human has to say something
    /// first.
    pub(super) async fn take_up(&self) {
        let mut wait = Duration::from_millis(500);
        let status = loop {
            match self.stored_status().await {
                Ok(status) => break status,
                Err(fault) => {
                    tracing::warn!(account.id = %self.account.id, error.code = %fault.code(), "the account's state can't be read");
                    self.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(15));
                }
            }
            if self.is_over() {
                return;
            }
        };
        // A pause that could not be stored counts all the same.
        let unstored = self.orders.paused().filter(|told| status.as_ref().is_none_or(|it| told.since >= it.since));
        let Some(status) = unstored.or(status) else { return };
        let must_rest = self.must_rest(&status).await.unwrap_or(true);
        self.remember(status);
        if must_rest {
            tracing::info!(account.id = %self.account.id, "the account goes on waiting for a human");
            self.rest().await;
        }
    }

    async fn stored_status(&self) -> Result<Option<AccountStatus>, AnyFault> {
        let known = self.store.accounts().await?;
        Ok(known.into_iter().find(|status| status.account == self.account.id))
    }

    fn remember(&self, status: AccountStatus) {
        *self.memory.flaps() = Flaps::after((status.state, status.code));
        self.orders.told(&status);
        self.set_status(status);
    }

    /// Whether a status that was stored still keeps the account from being tried.
    async fn must_rest(&self, status: &AccountStatus) -> Result<bool, CollectError> {
        if status.is_paused() {
            return Ok(true);
        }
        let Some(code) = status.code.filter(|_| status.state == AccountState::Parked) else { return Ok(false) };
        let ending = Ending::of(code);
        let tried = match ending {
            Ending::Start => return Ok(false),
            Ending::Word => return Ok(true),
            Ending::Credentials | Ending::Pack => self.spool.tried(&self.account.id).await?,
        };
        let is_mended = tried.is_some_and(|tried| match ending {
            Ending::Pack => tried.has_other_pack(&self.account),
            _ => tried.has_other_credentials(&self.account),
        });
        Ok(!is_mended)
    }

    /// The fault of an account that a human has not yet released. `is_probe`: only what keeps a login from
    /// being tried counts; a pack that does not fit is what a probe is for.
    ///
    /// # Errors
    /// Those of the store; [`CollectError::Resting`].
    pub(in crate::collect) async fn refuse_resting(&self, is_probe: bool) -> Result<(), AnyFault> {
        let Some(status) = self.stored_status().await? else { return Ok(()) };
        let code = status.code.unwrap_or(Code::Internal);
        let is_of_probe = is_probe && (status.is_paused() || Ending::of(code) == Ending::Pack);
        if is_of_probe || !self.must_rest(&status).await? {
            return Ok(());
        }
        let AccountStatus { account, since, sentence, .. } = status;
        let sentence = sentence.trim_end_matches('.').to_owned();
        Err(CollectError::Resting { account, since, code, sentence }.into())
    }

    /// Waits until a human says that the account goes on, for a pack that mends it, or for the stop. What is told
    /// stays told.
    pub(super) async fn rest(&self) {
        loop {
            let wait = if self.renew_status().await { RENEWED } else { UNSTORED };
            let is_of_layout = self.last_code().is_some_and(packs::is_of_layout);
            // Cancel-safe: what is wanted stays wanted until it is taken, and what is offered is offered again.
            tokio::select! {
                biased;
                () = self.held.stop.cancelled() => return,
                () = self.offered(true), if is_of_layout => {
                    if self.try_alone().await {
                        return;
                    }
                }
                wish = self.orders.wanted() => {
                    self.orders.take(wish);
                    if wish == Wish::Resume {
                        return self.resume().await;
                    }
                }
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    /// A human answers for what follows; where the logins were what it was parked for, they count no more.
    async fn resume(&self) {
        self.memory.completed();
        if self.last_code() == Some(Code::LoginBudget)
            && let Err(error) = self.spool.forget_logins(&self.account.id).await
        {
            tracing::warn!(account.id = %self.account.id, error.code = %error.code(), "the earlier logins could not be forgotten");
        }
    }

    /// Remembers what a parked account was tried with.
    pub(super) async fn note_park(&self, code: Code) {
        if matches!(Ending::of(code), Ending::Credentials | Ending::Pack)
            && let Err(error) = self.spool.note_park(&self.account.id, Tried::now(&self.account)).await
        {
            // It then waits for a human's word, which is the safe side.
            tracing::warn!(account.id = %self.account.id, error.code = %error.code(), "what the account was tried with could not be noted");
        }
    }

    /// Tells the pause that ended this errand, if one did.
    pub(super) async fn tell_pause(&self) -> bool {
        let is_pause = !self.lifecycle.is_stopping() && !self.held.lost.is_cancelled() && self.orders.take(Wish::Pause);
        if is_pause {
            let action = Code::Paused.action().replace("<ID>", &self.account.id.to_string());
            self.tell_with(
                AccountState::Stopped,
                Some(Code::Paused),
                "A person has paused the account.",
                Some(action),
                LONG,
            )
            .await;
        }
        is_pause
    }

    /// Keeps a page open that asks for a one-time code, until a person gives a code that the site takes.
    ///
    /// # Errors
    /// What the account is to be parked for: no code came in time, or the site wants something else.
    pub(super) async fn let_answer(&self, page: &dyn SitePage, fault: AnyFault) -> Result<(), AnyFault> {
        if fault.code() != Code::OneTimeCode || self.account.pack.pack.login.answer.is_none() {
            return Err(fault);
        }
        let picture = bundle::of_challenge(&self.failures, &self.account, page, fault.code(), self.clock.now()).await;
        let picture = picture.map_or_else(String::new, |path| format!(" The page as it is: {}.", path.display()));
        let ends = Instant::now() + CODE_WAIT;
        let valid = SignedDuration::try_from(CODE_WAIT).unwrap_or(LONG);
        let until = self.clock.now().saturating_add(valid).unwrap_or(Timestamp::MAX).strftime("%H:%M UTC").to_string();
        let mut fault = fault;
        let mut refused: Option<Answer> = None;
        loop {
            let action = format!("Run `chatferry accounts answer {} CODE` before {until}.{picture}", self.account.id);
            self.tell_asking(&fault, action, ends.saturating_duration_since(Instant::now())).await;
            // After the state: who asks for it next must find it.
            if let Some(answer) = refused.take() {
                let site = self.account.id.site().to_string();
                answer.reply(Err(CollectError::CodeRefused { site }.into()));
            }
            // Cancel-safe: a code that is not taken is refused to whoever gave it.
            let answer = tokio::select! {
                biased;
                () = self.held.stop.cancelled() => return Err(fault),
                answer = self.orders.code() => answer,
                wish = self.orders.wanted() => {
                    if wish == Wish::Resume {
                        return Err(fault);
                    }
                    self.orders.take(wish);
                    continue;
                }
                () = tokio::time::sleep_until(ends) => return Err(fault),
            };
            let account = &self.account;
            let outcome = login::answer(page, &account.pack.pack, account.id.site().as_str(), &answer.code).await;
            match outcome {
                Ok(()) => {
                    answer.reply(Ok(()));
                    return Ok(());
                }
                Err(CollectError::CodeRefused { site }) => {
                    fault = CollectError::CodeRefused { site }.into();
                    refused = Some(answer);
                }
                Err(error) => {
                    let told = Told { sentence: error.to_string(), code: error.code(), action: error.action() };
                    answer.reply(Err(told.into()));
                    // Whatever became of the page: another login without a human's word would be a retry.
                    return Err(if error.class().is_retryable() { fault } else { error.into() });
                }
            }
        }
    }
}

/// A fault told twice: to the person who gave a code, and about the account.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
struct Told {
    sentence: String,
    code: Code,
    action: String,
}

impl Fault for Told {
    fn class(&self) -> Class {
        Class::Permanent
    }

    fn scope(&self) -> crate::fault::Scope {
        crate::fault::Scope::Account
    }

    fn code(&self) -> Code {
        self.code
    }

    fn action(&self) -> String {
        self.action.clone()
    }
}
