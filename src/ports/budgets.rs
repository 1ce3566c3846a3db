//! What analyses consume, counted where every process that makes some can see it.
//!
//! First as much as an analysis can consume is set aside, then it is made, then what it did consume is
//! counted in place of that. A process that dies between leaves what it had set aside, which counts as
//! consumed: so whatever happens, the count is never too low.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{Allowance, Analysis, Balance, Purse, Usage};
use crate::fault::AnyFault;

/// A purse to draw on, and how much may be drawn from it in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Where it is counted.
    pub purse: Purse,
    /// Up to where.
    pub allowance: Allowance,
}

/// What is set aside for one analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its name: 32 hex digits that no other reservation has.
    pub id: String,
    /// Where it is set aside.
    pub purses: Vec<Purse>,
}

impl Reservation {
    /// One with a new name, not yet made.
    pub fn new(draws: &[Draw]) -> Self {
        let id = format!("{:032x}", fastrand::u128(..));
        Self { id, purses: draws.iter().map(|draw| draw.purse.clone()).collect() }
    }
}

/// What came of asking for a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// It is set aside; the balances of the purses, in their order, before that.
    Granted(Vec<Balance>),
    /// Nothing is set aside, because this purse does not hold so much any more.
    Refused {
        /// Which.
        purse: Purse,
        /// How full it is.
        balance: Balance,
    },
}

/// The purses. Every write can be repeated: telling it the same thing twice changes nothing.
#[async_trait]
pub trait Budgets: Send + Sync {
    /// Sets `most` aside in every purse of `draws`, if [`Allowance::admits`] it in each; for at most `ttl`,
    /// after which it counts as consumed. However many ask at once, they are judged one after the other.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn reserve(
        &self,
        reservation: &Reservation,
        draws: &[Draw],
        most: Usage,
        ttl: Duration,
    ) -> Result<Reserved, AnyFault>;

    /// Counts what was consumed in place of what was set aside, and keeps the analysis that came of it, if
    /// one did, as [`crate::ports::Store::save_analysis`] does; true if it stays. Both or, should the
    /// process die in the midst of it, at least the analysis.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn settle(
        &self,
        reservation: &Reservation,
        used: Usage,
        analysis: Option<&Analysis>,
    ) -> Result<bool, AnyFault>;

    /// How full a purse is; empty if nobody has drawn on it.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn balance(&self, purse: &Purse) -> Result<Balance, AnyFault>;
}
