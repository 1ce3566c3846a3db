//! What becomes of analyses that cost more than they may, or whose service is away.

use std::sync::Arc;
use std::time::Duration;

use super::remembering::{Remembering, analyze, by, done, input, latest, limited, purses, said, says, tokens};
use super::rig::{Rig, Sheet, account, conversation, received, requested};
use super::{EVENT_RETRY, Injected, STORE_AWAY, until};
use crate::consume::{Analyze, Handler, Outcome};
use crate::domain::event::AnalysisRequested;
use crate::domain::{BudgetLimits, Direction, Envelope, Purse, Usage};
use crate::fault::{Class, Code, Scope};
use crate::ports::{Budgets, Bus, Clock, Queue};

#[tokio::test]
async fn a_service_that_is_away_for_a_day_costs_no_request_its_place() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=20 {
        rig.store_messages(&[said(thread, 1)]).await;
    }
    // More often than the ladder has rungs for all of them together; then the key is refused for a while.
    analyst.fail(STORE_AWAY, 150);
    analyst.fail(Injected(Class::Retryable { after: Some(Duration::ZERO) }, Scope::Site), 20);
    rig.publish((1..=20).map(|thread| requested(thread, 1))).await;
    rig.run(analyze(&rig, &analyst));
    rig.empty(Queue::Analyze).await;
    assert_eq!((analyst.calls(), rig.bus.dead_letters().await.unwrap()), (190, 0));
    assert_eq!(rig.store.counts(None).await.unwrap().analysed_conversations, 20);
    assert!(!rig.life.is_stopping());
    rig.end().await;
}

#[tokio::test]
async fn a_refused_key_stops_neither_the_process_nor_makes_dead_letters() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    rig.store_messages(&[said(1, 1)]).await;
    for fault in [Injected(Class::Permanent, Scope::Process), Injected(Class::Critical, Scope::Process)] {
        analyst.fail(fault, 1);
        let outcomes = analyze(&rig, &analyst).consume(&[received(requested(1, 1))]).await.unwrap();
        let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!(
            (fault.class(), fault.scope()),
            (Class::Retryable { after: Some(Duration::from_secs(60)) }, Scope::Process)
        );
        assert_eq!(fault.code(), Code::DatabaseFailed, "by its own name");
    }
    // What is one conversation's own fault stays so.
    analyst.fail(Injected(Class::Permanent, Scope::Event), 1);
    let outcomes = analyze(&rig, &analyst).consume(&[received(requested(1, 1))]).await.unwrap();
    let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((fault.class(), fault.scope()), (Class::Permanent, Scope::Event));
}

#[tokio::test]
async fn a_budget_that_is_used_up_holds_its_own_analyses_and_no_others() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=2 {
        rig.store_messages(&(1..=8).map(|number| said(thread, number)).collect::<Vec<_>>()).await;
    }
    let analyze = limited(&rig, &analyst, BudgetLimits { conversation_day: tokens(1000), ..BudgetLimits::default() });
    done(&analyze, requested(1, 8)).await;
    rig.store_messages(&[said(1, 9)]).await;
    let batch = [received(requested(1, 9)), received(requested(2, 8))];
    let outcomes = analyze.consume(&batch).await.unwrap();
    let [Outcome::NotYet(fault), Outcome::Done] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(
        (fault.code(), fault.class()),
        (Code::AiBudget, Class::Retryable { after: Some(Duration::from_secs(600)) })
    );
    assert!(fault.chain().contains("used up until 2026-11-03T00:00:00Z"), "{}", fault.chain());
    // What costs nothing goes on.
    rig.store_messages(&[says(2, 9, Direction::In, "ok")]).await;
    done(&analyze, requested(2, 9)).await;
    assert_eq!(analyst.calls(), 2);
    // Shortly before the day ends it is not waited longer than that; and then it goes on.
    rig.clock.forward(14 * 3600 - 60);
    let outcomes = analyze.consume(&batch[..1]).await.unwrap();
    let [Outcome::NotYet(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(fault.class(), Class::Retryable { after: Some(Duration::from_secs(60)) });
    rig.clock.forward(61);
    done(&analyze, requested(1, 9)).await;
    assert_eq!(analyst.calls(), 3);
    rig.end().await;
}

#[tokio::test]
async fn what_waits_for_a_budget_stays_in_the_queue_and_capture_goes_on() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=5 {
        rig.store_messages(&(1..=8).map(|number| said(thread, number)).collect::<Vec<_>>()).await;
    }
    let counters = Arc::new(crate::telemetry::Counters::default());
    let limits = BudgetLimits { month: tokens(1000), ..BudgetLimits::default() };
    let analyze = Analyze::new(rig.store.clone(), rig.bus(), analyst.clone(), rig.clock.clone(), counters.clone());
    rig.publish((1..=5).map(|thread| requested(thread, 8))).await;
    rig.run(analyze.with_budgets(purses(&rig), limits).with_parallel(1));
    until("four wait", async || counters.snapshot().analyses_postponed >= 4).await;
    until("all are settled", async || {
        let depths = rig.bus.depths().await.unwrap();
        depths.iter().all(|depth| depth.in_flight == 0)
    })
    .await;
    assert_eq!((analyst.calls(), rig.depth(Queue::Analyze).await, rig.bus.dead_letters().await.unwrap()), (1, 4, 0));
    assert_eq!(counters.snapshot().budget_warnings, 1, "told once");
    rig.store_messages(&[said(6, 1)]).await;
    assert_eq!(rig.messages().await, 41);
    rig.end().await;
}

#[tokio::test]
async fn of_all_that_a_conversation_asks_for_meanwhile_one_request_waits() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = limited(&rig, &analyst, BudgetLimits { month: tokens(1000), ..BudgetLimits::default() });
    rig.store_messages(&(1..=8).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    done(&analyze, requested(1, 8)).await;
    let waits = async |envelope: Envelope| {
        let outcomes = analyze.consume(&[received(envelope)]).await.unwrap();
        assert!(matches!(outcomes.as_slice(), [Outcome::NotYet(_)]), "{outcomes:?}");
    };
    rig.store_messages(&[said(1, 9)]).await;
    waits(requested(1, 9)).await;
    waits(requested(1, 9)).await;
    assert_eq!(analyze.waiting().count().0, 1);
    rig.store_messages(&[said(1, 10), said(1, 11)]).await;
    for overtaken in [9, 10] {
        done(&analyze, requested(1, overtaken)).await;
    }
    assert_eq!(analyze.waiting().count().0, 0);
    waits(requested(1, 11)).await;
    // Nobody repeats what an operator asks for.
    waits(by("1", AnalysisRequested::OPERATOR, 1, 10)).await;
    assert_eq!((analyst.calls(), latest(&rig, 1).await.messages), (1, 8));
    rig.clock.forward(31 * 24 * 3600);
    done(&analyze, requested(1, 11)).await;
    assert_eq!((analyst.calls(), latest(&rig, 1).await.messages), (2, 11));
}

#[tokio::test]
async fn a_call_that_failed_is_counted_with_what_it_consumed() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = limited(&rig, &analyst, BudgetLimits::default());
    rig.store_messages(&(1..=8).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    analyst.fail(EVENT_RETRY, 1);
    let outcomes = analyze.consume(&[received(requested(1, 8))]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::NotYet(_)]), "{outcomes:?}");
    let spent = async |purse: Purse| {
        let balance = purses(&rig).balance(&purse).await.unwrap();
        assert_eq!(balance.holders, 0);
        balance.spent
    };
    let (now, once) = (rig.clock.now(), input(&analyst.last()));
    assert_eq!((spent(Purse::of_month(now)).await.tokens(), spent(Purse::of_month(now)).await.calls), (once + 200, 1));
    done(&analyze, requested(1, 8)).await;
    assert_eq!(spent(Purse::of_month(now)).await.tokens(), 2 * (once + 200));
    assert_eq!(spent(Purse::of_account(account(), now)).await, spent(Purse::of_month(now)).await);
    assert_eq!(latest(&rig, 1).await.usage.tokens(), once + 200, "of the call that it came from");
    let none = spent(Purse::of_conversation(conversation(1), now)).await;
    assert_eq!(none, Usage::default(), "not counted where there is no limit");
}

#[tokio::test]
async fn the_mirror_says_that_summaries_wait() {
    let rig = Rig::new().await;
    let (analyst, sheet) = (Arc::new(Remembering::default()), Arc::new(Sheet::default()));
    rig.store_messages(&(1..=8).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    let limits = BudgetLimits { month: tokens(1000), ..BudgetLimits::default() };
    let mirroring = rig.mirroring(&sheet).with_budgets(purses(&rig), limits);
    mirroring.rebuild().await.unwrap();
    assert_eq!(sheet.shown().status.analyses_wait, None);
    done(&limited(&rig, &analyst, limits), requested(1, 8)).await;
    mirroring.rebuild().await.unwrap();
    let told = sheet.shown().status.analyses_wait.unwrap();
    assert_eq!(told, "The month's budget for analyses is used up until 2026-12-01 00:00 UTC.");
}
