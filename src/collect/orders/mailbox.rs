//! Between people and the task of one account: what is wanted, and a code on its way.

use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::OrderError;
use crate::domain::{AccountId, AccountState, AccountStatus};
use crate::fault::{AnyFault, Code};

/// What a person wants of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That it stops.
    Pause,
    /// That it goes on.
    Resume,
    /// That it reads everything once more.
    Recollect,
}

/// A code, and where to tell what came of it.
#[derive(Debug)]
pub struct Answer {
    /// The code.
    pub code: SecretString,
    reply: oneshot::Sender<Result<(), AnyFault>>,
}

impl Answer {
    /// Tells the person what came of it.
    pub fn reply(self, outcome: Result<(), AnyFault>) {
        // Who asked may have gone away.
        let _ = self.reply.send(outcome);
    }
}

/// Between people and the task of one account.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    status: Option<AccountStatus>,
    wish: Option<Wish>,
    errand: CancellationToken,
    takes_code: bool,
    answer: Option<Answer>,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stop of its own for the next errand: a pause ends the errand, not the work.
    pub fn begin(&self, stop: &CancellationToken) -> CancellationToken {
        let mut inner = self.lock();
        inner.errand = stop.child_token();
        if inner.wish == Some(Wish::Pause) {
            inner.errand.cancel();
        }
        inner.errand.clone()
    }

    /// Takes note of the state that orders are judged by.
    pub fn told(&self, status: &AccountStatus) {
        self.lock().status = Some(status.clone());
    }

    /// The state that was told, if it is a pause.
    pub fn paused(&self) -> Option<AccountStatus> {
        self.lock().status.clone().filter(AccountStatus::is_paused)
    }

    /// What the account was parked for is mended: it goes on, if it was parked for just that.
    pub fn mended(&self, code: Code) {
        let is_it = |status: AccountStatus| status.state == AccountState::Parked && status.code == Some(code);
        if self.status().is_some_and(is_it) {
            self.wish(Wish::Resume);
        }
    }

    /// What is wanted, if it is this.
    pub fn take(&self, wish: Wish) -> bool {
        self.lock().wish.take_if(|wanted| *wanted == wish).is_some()
    }

    /// Waits until something but a pause is wanted, which ends the errand. Cancel-safe: it takes nothing.
    pub async fn wanted(&self) -> Wish {
        loop {
            let news = self.news.notified();
            if let Some(wish) = self.lock().wish.filter(|wish| *wish != Wish::Pause) {
                return wish;
            }
            news.await;
        }
    }

    /// Waits for a code. Cancel-safe: one that is not taken is told to be refused when nobody waits any more.
    pub async fn code(&self) -> Answer {
        let _open = Open::new(self);
        loop {
            let news = self.news.notified();
            if let Some(answer) = self.lock().answer.take() {
                return answer;
            }
            news.await;
        }
    }

    /// True if this is wanted.
    pub(super) fn wants(&self, wish: Wish) -> bool {
        self.lock().wish == Some(wish)
    }

    /// Wants this from now on.
    pub(super) fn wish(&self, wish: Wish) {
        let mut inner = self.lock();
        // To be read once more is noted in the spool; a pause or its end stands in this box only.
        if wish == Wish::Recollect && inner.wish.is_some() {
            return;
        }
        inner.wish = Some(wish);
        if wish == Wish::Pause {
            inner.errand.cancel();
        }
        drop(inner);
        self.news.notify_waiters();
    }

    /// The state that orders are judged by.
    pub(super) fn status(&self) -> Option<AccountStatus> {
        self.lock().status.clone()
    }

    /// Hands a code to whoever waits for one.
    pub(super) fn give(
        &self,
        account: &AccountId,
        code: SecretString,
    ) -> Result<oneshot::Receiver<Result<(), AnyFault>>, OrderError> {
        let mut inner = self.lock();
        if !inner.takes_code || inner.answer.is_some() {
            let state = match &inner.status {
                Some(status) if status.code == Some(Code::OneTimeCode) => {
                    "its page is closed; `chatferry accounts resume` opens it again".to_owned()
                }
                Some(status) => format!("its state is {}", status.state.as_str()),
                None => "it has not started".to_owned(),
            };
            return Err(OrderError::NoCodeWanted { account: account.clone(), state });
        }
        let (reply, outcome) = oneshot::channel();
        inner.answer = Some(Answer { code, reply });
        drop(inner);
        self.news.notify_waiters();
        Ok(outcome)
    }
}

/// While this lives a code is taken.
struct Open<'a>(&'a Mailbox);

impl<'a> Open<'a> {
    fn new(mailbox: &'a Mailbox) -> Self {
        mailbox.lock().takes_code = true;
        Self(mailbox)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.takes_code = false;
        inner.answer = None;
    }
}
