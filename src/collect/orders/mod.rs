//! Orders of a person to accounts that are being collected: taken at once, answered with what will happen,
//! and done by the account's own task at its next step.
//!
//! A code is a secret: it goes from the person to the page and is kept nowhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

mod mailbox;
#[cfg(test)]
mod tests;

pub use mailbox::{Answer, Mailbox, Wish};

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
                let is_pausing = mailbox.wants(Wish::Pause);
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
