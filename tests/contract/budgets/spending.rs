//! The consumer of analyses with many in flight, on this store: what it spends, and what becomes of the
//! requests that it may not afford.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chatferry::bus::EmbeddedBus;
use chatferry::consume::{Analyze, Handler, Outcome, Received, Runner};
use chatferry::domain::event::AnalysisRequested;
use chatferry::domain::{Allowance, BudgetLimits, Envelope, Event, Purse, Usage};
use chatferry::fault::Code;
use chatferry::lifecycle::Lifecycle;
use chatferry::ports::{Analyst, AnalystRequest, Bus, Clock, Memory, Outgoing, Queue, Reply, SystemClock};

use super::{BudgetsFixture, Keeper};
use crate::store::{account, analysis, archive, captured, conversation, key};

/// At most so many tokens an analysis, and so many in truth.
const MOST: u64 = 1000;
const USED: u64 = 700;
const LIMIT: u64 = 10_000;
const CONVERSATIONS: u32 = 50;

/// An analyst that costs something and counts it for itself.
#[derive(Default)]
struct Costly {
    consumed: AtomicU64,
}

#[async_trait]
impl Analyst for Costly {
    fn model(&self) -> &str {
        "costly"
    }
    fn prompt_version(&self) -> &str {
        "1"
    }
    fn memory(&self) -> Memory {
        Memory::Rolling
    }
    fn most(&self, _: &AnalystRequest) -> Usage {
        Usage { calls: 1, input_tokens: MOST, ..Usage::default() }
    }
    async fn analyse(&self, _: &AnalystRequest) -> Reply {
        self.consumed.fetch_add(USED, Ordering::SeqCst);
        // So that the others are in flight at the same time.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let verdict = Ok(analysis("c", 1, "costly", 1, 1).verdict);
        Reply { verdict, usage: Usage { calls: 1, input_tokens: USED, ..Usage::default() } }
    }
}

fn requested(number: u32) -> Envelope {
    let id = number.to_string();
    let event = AnalysisRequested {
        account: account("default"),
        conversation: conversation(&id),
        up_to: key(&id, 1),
        prompt_version: "1".to_owned(),
        edits: 0,
        reason: AnalysisRequested::NEW_MESSAGES.to_owned(),
    };
    Envelope::new(Event::AnalysisRequested(event), SystemClock.now())
}

fn analyze(keeper: &Arc<dyn Keeper>, bus: &EmbeddedBus, analyst: &Arc<Costly>, limit: u64) -> Analyze {
    let month = Allowance { tokens: Some(limit), cost_micros: None };
    let analyze =
        Analyze::new(keeper.clone(), Arc::new(bus.clone()), analyst.clone(), Arc::new(SystemClock), Arc::default());
    analyze
        .with_parallel(u16::try_from(CONVERSATIONS).unwrap())
        .with_budgets(keeper.clone(), BudgetLimits { month, ..BudgetLimits::default() })
}

/// Spend ≤ budget + one call; what waits is held against nobody, and goes on when the budget is raised.
pub async fn fifty_in_flight_spend_no_more_than_the_budget_and_one_call(fixture: &impl BudgetsFixture) {
    let keeper = fixture.open().await;
    let folder = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(crate::embedded::open(folder.path())).await.unwrap();
    let analyst = Arc::new(Costly::default());
    for number in 0..CONVERSATIONS {
        archive(&*keeper, &[captured(&number.to_string(), 1)]).await;
    }
    let requests: Vec<Envelope> = (0..CONVERSATIONS).map(requested).collect();
    let outgoing = |envelope: &Envelope| Outgoing {
        id: envelope.id,
        kind: envelope.event.kind(),
        site: envelope.event.account().site().clone(),
        body: envelope.to_json().unwrap(),
    };
    let published = bus.publish(&requests.iter().map(outgoing).collect::<Vec<_>>()).await.unwrap();
    assert!(published.iter().all(Result::is_ok));
    let life = Lifecycle::new();
    let handler = Arc::new(analyze(&keeper, &bus, &analyst, LIMIT));
    Runner::new(Arc::new(bus.clone()), handler, life.clone(), Arc::default()).spawn();

    let month = Purse::of_month(SystemClock.now());
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    let balance = loop {
        let balance = keeper.balance(&month).await.unwrap();
        let consumed = analyst.consumed.load(Ordering::SeqCst);
        assert!(consumed < LIMIT + USED, "{consumed} of {LIMIT} consumed");
        if balance.holders == 0 && balance.spent.tokens() >= LIMIT {
            break balance;
        }
        assert!(tokio::time::Instant::now() < end, "it does not come to an end: {balance:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(life.drain(Duration::from_secs(20)).await.is_clean());
    let consumed = analyst.consumed.load(Ordering::SeqCst);
    assert_eq!(balance.spent.tokens(), consumed, "what was counted is what was consumed");
    let made = consumed / USED;
    let depths = bus.depths().await.unwrap();
    let waiting = depths.iter().find(|depth| depth.queue == Queue::Analyze).unwrap().ready;
    assert_eq!((made + waiting, bus.dead_letters().await.unwrap()), (u64::from(CONVERSATIONS), 0));

    // All of them again: nothing is spent, and what waits is told from what failed.
    let received: Vec<Received> = requests.into_iter().map(|envelope| Received { envelope, failures: 0 }).collect();
    let outcomes = analyze(&keeper, &bus, &analyst, LIMIT).consume(&received).await.unwrap();
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::NotYet(fault) if fault.code() == Code::AiBudget);
    assert_eq!(outcomes.iter().filter(|outcome| waits(outcome)).count() as u64, waiting);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done)).count() as u64, made);
    assert_eq!(analyst.consumed.load(Ordering::SeqCst), consumed);
    let outcomes = analyze(&keeper, &bus, &analyst, 1_000_000).consume(&received).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "the budget was raised: {outcomes:?}");
    assert_eq!(analyst.consumed.load(Ordering::SeqCst), USED * u64::from(CONVERSATIONS));
}
