//! What every keeper of leases does: one owner at a time, an epoch that only rises, and no late write
//! of an owner that was overtaken.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::{AccountId, AccountState, AccountStatus, Gap, GapReason};
use chatferry::fault::{AnyFault, Class, Code, Scope};
use chatferry::ports::{Lease, Leases, Store};
use tokio::time::{Instant, sleep};

use crate::store::{account, at, conversation};

/// A store that keeps leases too.
pub trait Keeper: Store + Leases {}
impl<T: Store + Leases> Keeper for T {}

/// How to reach an adapter's store and leases.
#[async_trait]
pub trait LeasesFixture: Send + Sync {
    /// Opens it, empty.
    async fn open(&self) -> Arc<dyn Keeper>;
}

/// Gives every check of the suite to an adapter, as a test of its own.
macro_rules! leases_contract {
    ($fixture:expr) => {
        leases_contract!(@each $fixture;
            one_of_thirty_two_gets_it
            an_owner_keeps_its_lease_and_its_epoch
            what_has_run_out_goes_to_the_next_with_a_higher_epoch
            what_was_given_back_goes_to_the_next_at_once
            a_late_owner_is_refused_everywhere
            a_new_owner_s_state_replaces_the_old_one_s_whatever_their_clocks_said
        );
    };
    (@each $fixture:expr; $($check:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            crate::leases::$check(&$fixture).await;
        }
    )*};
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(40);

fn id() -> AccountId {
    account("default")
}

/// Asks again and again until the lease is given.
async fn until_acquired(leases: &dyn Keeper, owner: &str) -> Lease {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(lease) = leases.acquire(&id(), owner, LONG).await.unwrap() {
            return lease;
        }
        assert!(Instant::now() < end, "the lease does not run out");
        sleep(Duration::from_millis(5)).await;
    }
}

fn status(state: AccountState, since: i64) -> AccountStatus {
    AccountStatus {
        account: id(),
        state,
        since: at(since),
        code: None,
        sentence: "$since".to_owned(),
        action: Some("$$NOW".to_owned()),
        expires_at: at(since + 60),
        last_pass_at: None,
    }
}

fn gap(reason: GapReason, closed: Option<i64>) -> Gap {
    Gap {
        account: id(),
        conversation: Some(conversation("c")),
        reason,
        seen_from: None,
        since: at(10),
        closed_at: closed.map(at),
    }
}

#[track_caller]
fn assert_lost(outcome: Result<(), AnyFault>) {
    let fault = outcome.unwrap_err();
    assert_eq!((fault.code(), fault.class(), fault.scope()), (Code::LeaseLost, Class::Permanent, Scope::Account));
}

pub async fn one_of_thirty_two_gets_it(fixture: &impl LeasesFixture) {
    let leases = fixture.open().await;
    assert_eq!(leases.holder(&id()).await.unwrap(), None);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..32 {
        let leases = Arc::clone(&leases);
        tasks.spawn(async move { leases.acquire(&id(), &format!("owner {n}"), LONG).await.unwrap() });
    }
    let given: Vec<Lease> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].epoch, 1);
    assert_eq!(leases.holder(&id()).await.unwrap().as_ref(), Some(&given[0]));
    // Another account is another matter.
    assert!(leases.acquire(&account("other"), "x", LONG).await.unwrap().is_some());
    assert!(leases.accounts().await.unwrap().is_empty(), "a lease alone is no state");
}

pub async fn an_owner_keeps_its_lease_and_its_epoch(fixture: &impl LeasesFixture) {
    let leases = fixture.open().await;
    let first = leases.acquire(&id(), "$owner", Duration::from_secs(60)).await.unwrap().unwrap();
    let again = leases.acquire(&id(), "$owner", LONG).await.unwrap().unwrap();
    assert_eq!((again.epoch, again.owner.as_str()), (first.epoch, "$owner"));
    assert!(again.until > first.until);
    let renewed = leases.renew(&again, 2 * LONG).await.unwrap().unwrap();
    assert_eq!(renewed.epoch, first.epoch);
    assert!(renewed.until > again.until);
    assert_eq!(leases.acquire(&id(), "b", LONG).await.unwrap(), None);
    let other = Lease { owner: "b".to_owned(), ..renewed.clone() };
    assert_eq!(leases.renew(&other, LONG).await.unwrap(), None);
    leases.release(&other).await.unwrap();
    assert_eq!(leases.holder(&id()).await.unwrap(), Some(renewed));
}

pub async fn what_has_run_out_goes_to_the_next_with_a_higher_epoch(fixture: &impl LeasesFixture) {
    let leases = fixture.open().await;
    let first = leases.acquire(&id(), "a", SHORT).await.unwrap().unwrap();
    let second = until_acquired(&*leases, "b").await;
    assert_eq!((first.epoch, second.epoch), (1, 2));
    assert!(second.until > first.until);
    assert_eq!(leases.renew(&first, LONG).await.unwrap(), None);
    assert_eq!(leases.acquire(&id(), "a", LONG).await.unwrap(), None);
    // One that has run out and that nobody took is prolonged; taken anew by its owner, it is another.
    let short = leases.renew(&second, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(leases.holder(&id()).await.unwrap(), None);
    assert_eq!(leases.renew(&short, Duration::ZERO).await.unwrap().unwrap().epoch, 2);
    assert_eq!(until_acquired(&*leases, "b").await.epoch, 3);
}

pub async fn what_was_given_back_goes_to_the_next_at_once(fixture: &impl LeasesFixture) {
    let leases = fixture.open().await;
    let first = leases.acquire(&id(), "a", LONG).await.unwrap().unwrap();
    leases.release(&first).await.unwrap();
    assert_eq!(leases.holder(&id()).await.unwrap(), None);
    assert_eq!(leases.renew(&first, LONG).await.unwrap(), None);
    let second = leases.acquire(&id(), "b", LONG).await.unwrap().unwrap();
    assert_eq!(second.epoch, 2);
    // Giving back what is no longer one's own does nothing.
    leases.release(&first).await.unwrap();
    assert_eq!(leases.holder(&id()).await.unwrap(), Some(second.clone()));
    leases.release(&second).await.unwrap();
    assert_eq!(leases.acquire(&id(), "b", LONG).await.unwrap().unwrap().epoch, 3);
}

/// F41: an owner that was stopped for longer than its lease goes on as if nothing had happened.
pub async fn a_late_owner_is_refused_everywhere(fixture: &impl LeasesFixture) {
    let store = fixture.open().await;
    let first = store.acquire(&id(), "a", SHORT).await.unwrap().unwrap();
    store.save_account(&status(AccountState::Live, 10), Some(first.epoch)).await.unwrap();
    store.record_gap(&gap(GapReason::HistoryLimit, None), Some(first.epoch)).await.unwrap();
    let second = until_acquired(&*store, "b").await;
    // The new owner has written nothing yet: its lease alone shuts the old one out.
    assert_lost(store.save_account(&status(AccountState::Parked, 99), Some(first.epoch)).await);
    assert_lost(store.record_gap(&gap(GapReason::HistoryStuck, None), Some(first.epoch)).await);
    assert_lost(store.record_gap(&gap(GapReason::HistoryLimit, Some(50)), Some(first.epoch)).await);
    assert_eq!(store.accounts().await.unwrap(), [status(AccountState::Live, 10)]);
    assert_eq!(store.open_gaps().await.unwrap(), [gap(GapReason::HistoryLimit, None)]);
    // Also after the new one has given its lease back.
    store.release(&second).await.unwrap();
    assert_lost(store.save_account(&status(AccountState::Parked, 99), Some(first.epoch)).await);
    store.save_account(&status(AccountState::Backoff, 20), Some(second.epoch)).await.unwrap();
    store.record_gap(&gap(GapReason::HistoryLimit, Some(50)), Some(second.epoch)).await.unwrap();
    assert_eq!(store.accounts().await.unwrap(), [status(AccountState::Backoff, 20)]);
    assert!(store.open_gaps().await.unwrap().is_empty());
    // Nothing is asked of work without a lease, and it does not lower the epoch.
    store.save_account(&status(AccountState::Stopped, 30), None).await.unwrap();
    store.record_gap(&gap(GapReason::HistoryStuck, None), None).await.unwrap();
    assert_lost(store.save_account(&status(AccountState::Parked, 99), Some(first.epoch)).await);
    assert_lost(store.record_gap(&gap(GapReason::HistoryStuck, Some(60)), Some(first.epoch)).await);
    assert_eq!(store.accounts().await.unwrap(), [status(AccountState::Stopped, 30)]);
}

pub async fn a_new_owner_s_state_replaces_the_old_one_s_whatever_their_clocks_said(fixture: &impl LeasesFixture) {
    let store = fixture.open().await;
    let first = store.acquire(&id(), "a", LONG).await.unwrap().unwrap();
    store.save_account(&status(AccountState::Live, 500), Some(first.epoch)).await.unwrap();
    store.release(&first).await.unwrap();
    let second = store.acquire(&id(), "b", LONG).await.unwrap().unwrap();
    store.save_account(&status(AccountState::Starting, 20), Some(second.epoch)).await.unwrap();
    assert_eq!(store.accounts().await.unwrap(), [status(AccountState::Starting, 20)]);
    // Of one owner the newer stays, as ever.
    store.save_account(&status(AccountState::Backoff, 10), Some(second.epoch)).await.unwrap();
    assert_eq!(store.accounts().await.unwrap(), [status(AccountState::Starting, 20)]);
}
