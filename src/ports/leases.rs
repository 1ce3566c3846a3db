//! Who may collect an account: one process at a time, on however many machines.
//!
//! A lease runs out by itself, so that a dead owner holds nobody up. Its epoch rises with every change
//! of hands and never falls: a late owner is recognised by its epoch ([`super::Store::save_account`]),
//! not by its clock.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::AccountId;
use crate::fault::AnyFault;

/// A right to collect one account until it runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which account.
    pub account: AccountId,
    /// Who holds it: the name of one process, unique among all that ever ran.
    pub owner: String,
    /// Counted from 1, one more for each change of hands.
    pub epoch: u64,
    /// When it runs out, by the store's clock.
    pub until: Timestamp,
}

/// The leases of all accounts.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the account's lease for `ttl` from now. `None` if another owner's has not run out. An own
    /// lease that has not run out is prolonged and keeps its epoch; every other gets the next one.
    ///
    /// Once this returns, writes with a lower epoch are refused.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn acquire(&self, account: &AccountId, owner: &str, ttl: Duration) -> Result<Option<Lease>, AnyFault>;

    /// Prolongs a lease to `ttl` from now; `None` if it has changed hands or was given back. One that
    /// has run out and that nobody else has taken is prolonged too: its epoch is still the highest.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, AnyFault>;

    /// Gives a lease back, so that the next owner need not wait; nothing if it is no longer held.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn release(&self, lease: &Lease) -> Result<(), AnyFault>;

    /// The lease of an account, if one is held now.
    ///
    /// # Errors
    /// Retryable while the store is away.
    async fn holder(&self, account: &AccountId) -> Result<Option<Lease>, AnyFault>;
}
