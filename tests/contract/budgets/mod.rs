//! What every keeper of purses does: however many draw at once, a limit is passed by less than one
//! analysis, and whatever dies, the count is never too low.

mod spending;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::{Allowance, Balance, Purse, Usage};
use chatferry::ports::{Budgets, Draw, Reservation, Reserved, Store};
use tokio::task::JoinSet;

pub use self::spending::*;
use crate::store::{account, analysis, at, conversation};

/// A store that keeps purses too.
pub trait Keeper: Store + Budgets {}
impl<T: Store + Budgets> Keeper for T {}

/// How to reach an adapter's store and purses.
#[async_trait]
pub trait BudgetsFixture: Send + Sync {
    /// Opens it, empty at first. Called again: the same, as a restarted daemon finds it.
    async fn open(&self) -> Arc<dyn Keeper>;
}

/// Gives every check of the suite to an adapter, as a test of its own.
macro_rules! budgets_contract {
    ($fixture:expr) => {
        budgets_contract!(@each $fixture;
            what_is_set_aside_is_counted_once_it_is_consumed
            nothing_is_set_aside_where_one_purse_refuses
            of_many_at_once_only_as_many_as_fit_are_admitted
            what_a_dead_process_set_aside_counts_as_consumed
            an_analysis_is_kept_with_what_it_cost
            money_is_a_limit_too
            fifty_in_flight_spend_no_more_than_the_budget_and_one_call
        );
    };
    (@each $fixture:expr; $($check:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            crate::budgets::$check(&$fixture).await;
        }
    )*};
}

const LONG: Duration = Duration::from_secs(3600);

fn tokens(count: u64) -> Usage {
    Usage { calls: 1, input_tokens: count, ..Usage::default() }
}

fn month() -> Purse {
    // Of a time to come: what is forgotten is forgotten by the clock.
    Purse::of_month("2100-01-15T00:00:00Z".parse().unwrap())
}

fn day() -> Purse {
    Purse::of_account(account("default"), "2100-01-15T00:00:00Z".parse().unwrap())
}

fn draw(purse: Purse, tokens: u64) -> Draw {
    Draw { purse, allowance: Allowance { tokens: Some(tokens), cost_micros: None } }
}

async fn reserve(keeper: &dyn Keeper, draws: &[Draw], most: Usage, ttl: Duration) -> Option<Reservation> {
    let reservation = Reservation::new(draws);
    match keeper.reserve(&reservation, draws, most, ttl).await.unwrap() {
        Reserved::Granted(balances) => {
            assert_eq!(balances.len(), draws.len());
            Some(reservation)
        }
        Reserved::Refused { .. } => None,
    }
}

pub async fn what_is_set_aside_is_counted_once_it_is_consumed(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    assert_eq!(keeper.balance(&month()).await.unwrap(), Balance::default());
    let draws = [draw(month(), 1000), draw(day(), 500)];
    let reservation = Reservation::new(&draws);
    for _ in 0..2 {
        let reserved = keeper.reserve(&reservation, &draws, tokens(300), LONG).await.unwrap();
        assert_eq!(reserved, Reserved::Granted(vec![Balance::default(); 2]), "also told again");
    }
    let keeper = fixture.open().await;
    let held = Balance { held: tokens(300), holders: 1, ..Balance::default() };
    for purse in [month(), day()] {
        assert_eq!(keeper.balance(&purse).await.unwrap(), held);
    }
    let used = Usage { calls: 2, input_tokens: 90, output_tokens: 30, cost_micros: 7 };
    for _ in 0..2 {
        assert!(!keeper.settle(&reservation, used, None).await.unwrap());
        assert_eq!(keeper.balance(&month()).await.unwrap(), Balance { spent: used, ..Balance::default() }, "once");
    }
    // What was never set aside is not counted; the next one adds up.
    keeper.settle(&Reservation::new(&draws), used, None).await.unwrap();
    let next = reserve(&*keeper, &draws, tokens(100), LONG).await.unwrap();
    keeper.settle(&next, tokens(40), None).await.unwrap();
    let mut both = used;
    both += tokens(40);
    assert_eq!(keeper.balance(&day()).await.unwrap(), Balance { spent: both, ..Balance::default() });
}

pub async fn nothing_is_set_aside_where_one_purse_refuses(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let first = reserve(&*keeper, &[draw(day(), 100)], tokens(60), LONG).await.unwrap();
    let draws = [draw(month(), 1000), draw(day(), 100)];
    let reservation = Reservation::new(&draws);
    let reserved = keeper.reserve(&reservation, &draws, tokens(50), LONG).await.unwrap();
    let balance = Balance { held: tokens(60), holders: 1, ..Balance::default() };
    assert_eq!(reserved, Reserved::Refused { purse: day(), balance });
    assert_eq!(keeper.balance(&month()).await.unwrap(), Balance::default());
    keeper.settle(&first, tokens(99), None).await.unwrap();
    // Alone, the last one may pass the limit; nobody after it.
    let last = reserve(&*keeper, &draws, tokens(50), LONG).await.unwrap();
    assert!(reserve(&*keeper, &draws, tokens(1), LONG).await.is_none());
    keeper.settle(&last, tokens(50), None).await.unwrap();
    assert!(reserve(&*keeper, &draws, tokens(1), LONG).await.is_none());
    assert_eq!(keeper.balance(&day()).await.unwrap().spent.input_tokens, 149);
    // Another day, and a raised budget.
    assert!(reserve(&*keeper, &[draw(day(), 200)], tokens(1), LONG).await.is_some());
    let tomorrow = Purse::of_account(account("default"), day().ends());
    assert!(reserve(&*keeper, &[draw(tomorrow, 100)], tokens(50), LONG).await.is_some());
    let unlimited = Draw { purse: day(), allowance: Allowance::default() };
    assert!(reserve(&*keeper, &[unlimited], tokens(5_000_000), LONG).await.is_some());
    assert!(reserve(&*keeper, &[], tokens(5), LONG).await.is_some(), "without a purse nothing is counted");
}

pub async fn of_many_at_once_only_as_many_as_fit_are_admitted(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let keeper = Arc::clone(&keeper);
        asking
            .spawn(async move { reserve(&*keeper, &[draw(month(), 1000), draw(day(), 5000)], tokens(90), LONG).await });
    }
    let admitted = asking.join_all().await.into_iter().flatten().count();
    assert_eq!(admitted, 11, "eleven times 90 are 990");
    for purse in [month(), day()] {
        let balance = keeper.balance(&purse).await.unwrap();
        assert_eq!((balance.holders, balance.held.input_tokens), (11, 990), "the refused took nothing");
    }
}

pub async fn what_a_dead_process_set_aside_counts_as_consumed(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let lost = reserve(&*keeper, &[draw(month(), 100)], tokens(70), Duration::ZERO).await.unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while keeper.balance(&month()).await.unwrap().holders > 0 {
        assert!(tokio::time::Instant::now() < end, "the reservation does not run out");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(keeper.balance(&month()).await.unwrap().spent, tokens(70));
    // It does not stop the one that may pass the limit alone, and counts against it.
    let last = reserve(&*keeper, &[draw(month(), 100)], tokens(50), LONG).await.unwrap();
    keeper.settle(&last, tokens(30), None).await.unwrap();
    assert!(reserve(&*keeper, &[draw(month(), 100)], tokens(1), LONG).await.is_none());
    // Late, but not dead: what it consumed takes the place of what was held.
    keeper.settle(&lost, tokens(20), None).await.unwrap();
    assert_eq!(keeper.balance(&month()).await.unwrap().spent.input_tokens, 50);
}

pub async fn an_analysis_is_kept_with_what_it_cost(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let one = analysis("c", 3, "m", 4, 10);
    let reservation = reserve(&*keeper, &[draw(month(), 10_000)], tokens(3000), LONG).await.unwrap();
    assert!(keeper.settle(&reservation, one.usage, Some(&one)).await.unwrap());
    assert!(!keeper.settle(&reservation, one.usage, Some(&one)).await.unwrap(), "kept once, counted once");
    let keeper = fixture.open().await;
    assert_eq!(keeper.analysis(&one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(keeper.balance(&month()).await.unwrap(), Balance { spent: one.usage, ..Balance::default() });
    assert_eq!(keeper.latest_analysis(&conversation("c"), "m", "1").await.unwrap().unwrap().created_at, at(10));
}

pub async fn money_is_a_limit_too(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let allowance = Allowance { tokens: Some(1_000_000), cost_micros: Some(500) };
    let draws = [Draw { purse: month(), allowance }];
    let cost = |cost_micros| Usage { cost_micros, ..tokens(10) };
    let first = reserve(&*keeper, &draws, cost(300), LONG).await.unwrap();
    assert!(reserve(&*keeper, &draws, cost(201), LONG).await.is_none());
    let second = reserve(&*keeper, &draws, cost(200), LONG).await.unwrap();
    keeper.settle(&first, cost(300), None).await.unwrap();
    keeper.settle(&second, cost(199), None).await.unwrap();
    assert!(reserve(&*keeper, &draws, cost(2), LONG).await.is_some());
}
