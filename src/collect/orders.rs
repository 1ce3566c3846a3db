//! Orders of a person to accounts that are being collected: taken at once, answered with what will happen,
//! and done by the account's own task at its next step.
//!
//! A code is a secret: it goes from the person to the page and is kept nowhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::CollectError;
use super::spool::Spool;
use crate::config::nearest_name;
use crate::domain::{AccountId, AccountState, AccountStatus};
use crate::fault::{AnyFault, Class, Code, Fault, Scope};
use crate::ports::Leases;
use crate::ports::control::{Order, Orders};

/// How long a code may be on its way: filling it in, and whatever the site does then.
const CODE_TIMEOUT: Duration = Duration::from_secs(120);

/// Why an order is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such account.
    #[error("there is no account {name}{}", nearest.as_ref().map_or_else(String::new, |id| format!("; did you mean {id}?")))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The account whose name is nearest.
        nearest: Option<AccountId>,
    },
    /// The account is there, and this process does not collect it.
    #[error(
        "{account} is not collected here: it is paused in the settings, its pack can't be used, or this process collects nothing"
    )]
    NotHere {
        /// Which account.
        account: AccountId,
    },
    /// The account waits for no code.
    #[error("{account} does not wait for a code: {state}")]
    NoCodeWanted {
        /// Which account.
        account: AccountId,
        /// What it does instead.
        state: String,
    },
    /// Nothing came of a code in time.
    #[error("nothing is known of the code that {account} was given; look at its state")]
    CodeLost {
        /// Which account.
        account: AccountId,
    },
}

impl Fault for OrderError {
    fn class(&self) -> Class {
        Class::Permanent
    }

    fn scope(&self) -> Scope {
        Scope::Account
    }

    fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } => Code::AccountUnknown,
            Self::NotHere { .. } | Self::NoCodeWanted { .. } | Self::CodeLost { .. } => Code::OrderRefused,
        }
    }
}

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

    fn wish(&self, wish: Wish) {
        let mut inner = self.lock();
        inner.wish = Some(wish);
        if wish == Wish::Pause {
            inner.errand.cancel();
        }
        drop(inner);
        self.news.notify_waiters();
    }

    fn status(&self) -> Option<AccountStatus> {
        self.lock().status.clone()
    }

    /// Hands a code to whoever waits for one.
    fn give(
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

/// Takes orders for all accounts of a process.
pub struct Desk {
    leases: Arc<dyn Leases>,
    identity: String,
    spool: Arc<Spool>,
    configured: Vec<AccountId>,
    open: Mutex<BTreeMap<AccountId, Arc<Mailbox>>>,
}

impl Desk {
    /// A desk for these accounts, none of which is collected yet. `identity`: this process, as leases name it.
    pub fn new(leases: Arc<dyn Leases>, identity: String, spool: Arc<Spool>, configured: Vec<AccountId>) -> Self {
        Self { leases, identity, spool, configured, open: Mutex::default() }
    }

    /// The mailbox of an account that is collected from now on.
    pub fn mailbox(&self, account: &AccountId) -> Arc<Mailbox> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(account.clone()).or_default().clone()
    }

    fn find(&self, name: &str) -> Result<AccountId, OrderError> {
        self.configured
            .iter()
            .find(|id| id.to_string() == name)
            .cloned()
            .ok_or_else(|| OrderError::Unknown { name: name.to_owned(), nearest: nearest(name, &self.configured) })
    }
}

/// The account whose name is most like this one, if any is.
pub fn nearest(name: &str, known: &[AccountId]) -> Option<AccountId> {
    // The site alone is a likely slip, whatever its length.
    if let Some(of_site) = known.iter().find(|id| id.site().as_str() == name) {
        return Some(of_site.clone());
    }
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let near = nearest_name(name, names.iter().map(String::as_str))?;
    known.iter().find(|id| id.to_string() == near).cloned()
}

#[async_trait]
impl Orders for Desk {
    async fn order(&self, account: &str, order: Order) -> Result<String, AnyFault> {
        let id = self.find(account)?;
        if let Some(lease) = self.leases.holder(&id).await?.filter(|lease| lease.owner != self.identity) {
            return Err(CollectError::HeldElsewhere { account: id.to_string(), holder: lease.owner }.into());
        }
        let mailbox = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let Some(mailbox) = mailbox else { return Err(OrderError::NotHere { account: id }.into()) };
        let status = mailbox.status();
        let is_resting = status.as_ref().is_some_and(|it| it.is_paused() || it.state == AccountState::Parked);
        match order {
            Order::Pause if status.as_ref().is_some_and(AccountStatus::is_paused) => {
                Ok(format!("{id} is paused already."))
            }
            Order::Pause => {
                mailbox.wish(Wish::Pause);
                Ok(format!(
                    "{id} finishes the step at hand and closes its browser. It stays paused, through restarts too, until `chatferry accounts resume {id}`."
                ))
            }
            Order::Resume => {
                let is_pausing = mailbox.lock().wish == Some(Wish::Pause);
                let state = status.as_ref().map(|status| status.state);
                if !is_resting && !is_pausing && state != Some(AccountState::Backoff) {
                    let state = state.map_or("about to start", AccountState::as_str);
                    return Ok(format!("There is nothing to resume: {id} is {state}."));
                }
                mailbox.wish(Wish::Resume);
                let logins = if status.as_ref().and_then(|status| status.code) == Some(Code::LoginBudget) {
                    "its earlier logins count no more"
                } else {
                    "a login counts against its budget"
                };
                Ok(format!("{id} starts at once; {logins}."))
            }
            Order::Recollect { since } => {
                self.spool.want_recollect(&id, since).await?;
                mailbox.wish(Wish::Recollect);
                let which = match since {
                    Some(since) => format!("every conversation that is new, has news, or was active since {since}"),
                    None => "every conversation".to_owned(),
                };
                let when = if is_resting {
                    format!("Once {id} is resumed, its next pass")
                } else {
                    format!("The next pass of {id}")
                };
                Ok(format!("{when} reads {which} to its start; what is stored stays, and nothing is doubled."))
            }
            Order::Answer(code) => {
                let outcome = mailbox.give(&id, code)?;
                match timeout(CODE_TIMEOUT, outcome).await {
                    Ok(Ok(Ok(()))) => Ok(format!("The site took the code: {id} is logged in and goes on.")),
                    Ok(Ok(Err(fault))) => Err(fault),
                    Ok(Err(_)) | Err(_) => Err(OrderError::CodeLost { account: id }.into()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Lease;

    /// Nobody but `elsewhere` holds anything.
    struct Held(Option<&'static str>);

    #[async_trait]
    impl Leases for Held {
        async fn acquire(&self, _: &AccountId, _: &str, _: Duration) -> Result<Option<Lease>, AnyFault> {
            Ok(None)
        }
        async fn renew(&self, _: &Lease, _: Duration) -> Result<Option<Lease>, AnyFault> {
            Ok(None)
        }
        async fn release(&self, _: &Lease) -> Result<(), AnyFault> {
            Ok(())
        }
        async fn holder(&self, account: &AccountId) -> Result<Option<Lease>, AnyFault> {
            let lease = |owner: &str| Lease {
                account: account.clone(),
                owner: owner.to_owned(),
                epoch: 1,
                until: jiff::Timestamp::MAX,
            };
            Ok(self.0.map(lease))
        }
    }

    fn id() -> AccountId {
        "demo/default".parse().unwrap()
    }

    fn desk(folder: &std::path::Path, holder: Option<&'static str>) -> Desk {
        let spool = Arc::new(Spool::open(folder, false).unwrap());
        Desk::new(Arc::new(Held(holder)), "us".to_owned(), spool, vec![id(), "meetme/two".parse().unwrap()])
    }

    fn status(state: AccountState, code: Option<Code>) -> AccountStatus {
        AccountStatus {
            account: id(),
            state,
            since: jiff::Timestamp::UNIX_EPOCH,
            code,
            sentence: String::new(),
            action: None,
            expires_at: jiff::Timestamp::MAX,
            last_pass_at: None,
        }
    }

    #[tokio::test]
    async fn an_order_reaches_its_account_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = async |desk: &Desk, name: &str| {
            let fault = desk.order(name, Order::Pause).await.unwrap_err();
            (fault.code(), fault.chain())
        };
        let ours = desk(folder.path(), Some("us"));
        for name in ["demo", "demo/defualt"] {
            let (code, told) = refusal(&ours, name).await;
            assert!(code == Code::AccountUnknown && told.ends_with("did you mean demo/default?"), "{told}");
        }
        assert_eq!(refusal(&ours, "demo/default").await.0, Code::OrderRefused, "nothing is collected yet");
        let mailbox = ours.mailbox(&id());
        let errand = mailbox.begin(&CancellationToken::new());
        ours.order("demo/default", Order::Pause).await.unwrap();
        assert!(errand.is_cancelled() && mailbox.take(Wish::Pause) && !mailbox.take(Wish::Pause));
        let folder = tempfile::tempdir().unwrap();
        let theirs = desk(folder.path(), Some("another-machine"));
        let (code, told) = refusal(&theirs, "demo/default").await;
        assert!(code == Code::AccountHeld && told.contains("another-machine"), "{told}");
    }

    #[tokio::test]
    async fn what_a_resume_means_depends_on_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(folder.path(), None);
        let mailbox = desk.mailbox(&id());
        let mut told = Vec::new();
        for (state, code) in [
            (AccountState::Live, None),
            (AccountState::Parked, Some(Code::Captcha)),
            (AccountState::Parked, Some(Code::LoginBudget)),
            (AccountState::Stopped, Some(Code::Paused)),
            (AccountState::Backoff, Some(Code::SiteUnreachable)),
        ] {
            mailbox.told(&status(state, code));
            let sentence = desk.order("demo/default", Order::Resume).await.unwrap();
            told.push((mailbox.take(Wish::Resume), sentence.contains("count no more")));
        }
        assert_eq!(told, [(false, false), (true, false), (true, true), (true, false), (true, false)]);
    }

    #[tokio::test]
    async fn a_code_is_taken_only_while_somebody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(folder.path(), None);
        let mailbox = desk.mailbox(&id());
        let code = || Order::Answer(SecretString::from("123456"));
        assert_eq!(desk.order("demo/default", code()).await.unwrap_err().code(), Code::OrderRefused);
        let site = async {
            let answer = mailbox.code().await;
            answer.reply(Ok(()));
        };
        let person = async {
            loop {
                match desk.order("demo/default", code()).await {
                    Ok(told) => return told,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let ((), told) = tokio::join!(site, person);
        assert!(told.contains("took the code") && !told.contains("123456"), "{told}");
        assert_eq!(desk.order("demo/default", code()).await.unwrap_err().code(), Code::OrderRefused);
    }
}
