//! What a person may order about an account while it is being collected.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::fault::AnyFault;

/// An order.
#[derive(Debug)]
pub enum Order {
    /// Stop at the next step, and stay stopped, through restarts too.
    Pause,
    /// Go on: after a pause, after a park, or at once in backoff.
    Resume,
    /// Read every conversation to its start once more; `since`: only those that were active since then.
    Recollect {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// The one-time code that the site asks for.
    Answer(SecretString),
}

/// Takes orders.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Gives an order to the account of this name. The answer is a sentence that says what will happen;
    /// for a code, what happened.
    ///
    /// # Errors
    /// `account-unknown`, `account-held` if another process collects it, `order-refused` if it means
    /// nothing in the account's state; for a code also the faults of a login.
    async fn order(&self, account: &str, order: Order) -> Result<String, AnyFault>;
}
