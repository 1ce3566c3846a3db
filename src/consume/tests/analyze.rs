//! Analyze and the scheduler on the embedded bus and store: what an analysis costs, and in which order
//! its messages come.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::rig::{RULE, Reader, Rig, Unconfirmed, captured, conversation, enveloped, key, received, requested};
use super::{EVENT_RETRY, Injected, STORE_AWAY, until};
use crate::bus::EmbeddedBus;
use crate::consume::{Analyze, Handler, Outcome, Received};
use crate::domain::AnalysisId;
use crate::fault::{Class, Code, Scope};
use crate::ports::{Bus, Clock, DueRule, Queue};

fn id(thread: u32, up_to: u32) -> AnalysisId {
    AnalysisId::new(&conversation(thread), &key(thread, up_to), "1", "reader")
}

#[tokio::test]
async fn the_same_question_is_asked_once_however_often_it_comes() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1), captured(1, 2)]).await;
    let reader = Arc::new(Reader::default());
    let analyze = rig.analyze(&reader);
    let batch: Vec<Received> = (0..5).map(|_| received(requested(1, 2))).collect();
    for outcomes in futures::future::join_all([analyze.consume(&batch), analyze.consume(&batch)]).await {
        let outcomes = outcomes.unwrap();
        assert!(outcomes.len() == 5 && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
    }
    // Another process, another time.
    rig.analyze(&reader).consume(&batch[..1]).await.unwrap();
    assert_eq!(reader.calls(), 1);
    assert_eq!(rig.depth(Queue::Mirror).await, 1, "and told once as long as it waits");
    let analysis = rig.store.analysis(&id(1, 2)).await.unwrap().unwrap();
    assert_eq!((analysis.messages, analysis.verdict.summary.expose()), (2, "2 messages"));
    assert_eq!((analysis.up_to, analysis.model.as_str()), (key(1, 2), "reader"));
}

#[tokio::test]
async fn an_analysis_that_was_saved_but_not_told_is_told_without_asking_again() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1)]).await;
    let reader = Arc::new(Reader::default());
    let bus = Arc::new(Unconfirmed { bus: rig.bus.clone(), lost: AtomicUsize::new(2) });
    rig.publish([requested(1, 1)]).await;
    rig.run(Analyze::new(rig.store.clone(), bus, reader.clone(), rig.clock.clone(), Arc::default()));
    rig.empty(Queue::Analyze).await;
    assert_eq!((reader.calls(), rig.depth(Queue::Mirror).await), (1, 1));
    assert_eq!(rig.bus.dead_letters().await.unwrap(), 0, "the bus's fault is not the event's");
    rig.end().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_not_held_against_the_request() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1)]).await;
    let silent = Arc::new(Unconfirmed { bus: rig.bus.clone(), lost: AtomicUsize::new(1) });
    let deaf = EmbeddedBus::with_bindings(rig.database.clone(), |_| &[]).await.unwrap();
    let buses: [(Arc<dyn Bus>, Code); 2] = [(silent, Code::DatabaseFailed), (Arc::new(deaf), Code::Unroutable)];
    for (bus, code) in buses {
        let analyze =
            Analyze::new(rig.store.clone(), bus, Arc::new(Reader::default()), rig.clock.clone(), Arc::default());
        let outcomes = analyze.consume(&[received(requested(1, 1))]).await.unwrap();
        let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!((fault.code(), fault.class(), fault.scope()), (code, Class::RETRY, Scope::Process));
    }
}

#[tokio::test]
async fn what_overtook_the_archive_is_tried_again_later() {
    let rig = Rig::new().await;
    let reader = Arc::new(Reader::default());
    let analyze = rig.analyze(&reader);
    rig.store_messages(&[captured(1, 1), captured(1, 3)]).await;
    for orphan in [requested(2, 1), requested(1, 2)] {
        let outcomes = analyze.consume(&[received(orphan)]).await.unwrap();
        let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!((fault.code(), fault.class(), fault.scope()), (Code::EventOrphaned, Class::RETRY, Scope::Event));
    }
    assert_eq!(reader.calls(), 0);
    rig.store_messages(&[captured(1, 2)]).await;
    let outcomes = analyze.consume(&[received(requested(1, 2))]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Done]), "{outcomes:?}");
}

#[tokio::test]
async fn the_order_of_arrival_does_not_show() {
    let mut orders = Vec::new();
    for arrival in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
        let rig = Rig::new().await;
        for number in arrival {
            rig.store_messages(&[captured(1, number)]).await;
        }
        let reader = Arc::new(Reader::default());
        rig.analyze(&reader).consume(&[received(requested(1, 3))]).await.unwrap();
        let given = reader.given.lock().unwrap();
        orders.push(given[0].messages.iter().map(|message| message.key).collect::<Vec<_>>());
    }
    let wanted: Vec<_> = (1..=3).map(|number| key(1, number)).collect();
    assert_eq!(orders, [wanted.clone(), wanted.clone(), wanted], "in the order of the page, and no further than asked");
}

#[tokio::test]
async fn an_edit_renews_the_answer_of_an_analyst_that_reads_everything() {
    let rig = Rig::new().await;
    let reader = Arc::new(Reader::default());
    let analyze = rig.analyze(&reader);
    rig.store_messages(&[captured(1, 1), captured(1, 2)]).await;
    analyze.consume(&[received(requested(1, 2))]).await.unwrap();
    let mut edited = captured(1, 1);
    edited.message.text = "something else".into();
    edited.message.observed_at += jiff::SignedDuration::from_hours(1);
    rig.store_messages(&[edited]).await;
    rig.clock.forward(60);
    for _ in 0..2 {
        analyze.consume(&[received(requested(1, 2))]).await.unwrap();
    }
    assert_eq!(reader.calls(), 2, "once more, and not twice");
    assert_eq!(reader.given.lock().unwrap()[1].messages[0].text.expose(), "something else");
    let renewed = rig.store.analysis(&id(1, 2)).await.unwrap().unwrap();
    assert_eq!(renewed.created_at, rig.clock.now(), "under the same name");
}

#[tokio::test]
async fn of_a_long_history_the_end_is_read() {
    let rig = Rig::new().await;
    rig.store_messages(&(1..=9).map(|number| captured(1, number)).collect::<Vec<_>>()).await;
    let reader = Arc::new(Reader::default());
    rig.analyze(&reader).with_history(4).consume(&[received(requested(1, 9))]).await.unwrap();
    let given: Vec<_> = reader.given.lock().unwrap()[0].messages.iter().map(|message| message.key).collect();
    assert_eq!(given, (6..=9).map(|number| key(1, number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_analysts_faults_are_each_treated_by_their_class() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1), captured(2, 1)]).await;
    let reader = Arc::new(Reader::default());
    // The service is away three times; that conversation 2 can't be analysed is known after that.
    let permanent = Injected(Class::Permanent, Scope::Event);
    rig.publish([requested(1, 1)]).await;
    reader.faults.lock().unwrap().extend((0..3).map(|_| STORE_AWAY.into()));
    rig.run(rig.analyze(&reader).with_parallel(1));
    rig.empty(Queue::Analyze).await;
    assert_eq!((reader.calls(), rig.bus.dead_letters().await.unwrap()), (4, 0));
    reader.faults.lock().unwrap().push(permanent.into());
    rig.publish([requested(2, 1)]).await;
    rig.empty(Queue::Analyze).await;
    assert_eq!((reader.calls(), rig.bus.dead_letters().await.unwrap()), (5, 1));
    assert!(rig.store.analysis(&id(1, 1)).await.unwrap().is_some());
    rig.end().await;
}

#[tokio::test]
async fn a_burst_costs_one_request_and_a_replay_none() {
    let rig = Rig::new().await;
    let scheduler = rig.scheduler(rig.bus());
    let burst: Vec<_> = (1..=20).map(|number| captured(1, number)).collect();
    for message in &burst {
        rig.store_messages(std::slice::from_ref(message)).await;
        rig.clock.forward(1);
        scheduler.look().await.unwrap();
    }
    assert_eq!(rig.depth(Queue::Analyze).await, 0, "it is not quiet yet");
    rig.clock.forward(90);
    scheduler.look().await.unwrap();
    scheduler.look().await.unwrap();
    assert_eq!(rig.depth(Queue::Analyze).await, 1);
    rig.run(rig.analyze(&Arc::default()));
    rig.empty(Queue::Analyze).await;
    // All of it again, from the bus and from a sweep.
    rig.store_messages(&burst).await;
    rig.clock.forward(3600);
    scheduler.look().await.unwrap();
    assert_eq!((scheduler.flush().await.unwrap(), rig.depth(Queue::Analyze).await), (0, 0));
    rig.end().await;
}

#[tokio::test]
async fn the_next_look_is_at_the_next_due_time_or_soon() {
    let rig = Rig::new().await;
    let scheduler = rig.scheduler(rig.bus());
    let soon = scheduler.look().await.unwrap();
    rig.store_messages(&[captured(1, 1)]).await;
    assert_eq!(scheduler.look().await.unwrap(), soon, "90 s are more than the longest wait without a look");
    let patient = rig.scheduler(rig.bus()).with_look_every(Duration::from_secs(3600));
    assert_eq!(patient.look().await.unwrap(), RULE.quiet);
    rig.clock.forward(88);
    assert_eq!(scheduler.look().await.unwrap(), Duration::from_secs(2));
}

#[tokio::test]
async fn a_clock_that_was_set_back_puts_no_analysis_off() {
    let rig = Rig::new().await;
    let scheduler = rig.scheduler(rig.bus());
    rig.store_messages(&[captured(1, 1)]).await;
    rig.clock.forward(10);
    scheduler.look().await.unwrap();
    rig.clock.forward(-30);
    scheduler.look().await.unwrap();
    assert_eq!(rig.depth(Queue::Analyze).await, 0, "a step of seconds changes nothing");
    rig.clock.forward(-24 * 3600);
    scheduler.look().await.unwrap();
    assert_eq!(rig.depth(Queue::Analyze).await, 1, "or it would be due tomorrow");
    // What comes later waits for its quiet time again.
    rig.store_messages(&[captured(2, 1)]).await;
    scheduler.look().await.unwrap();
    assert_eq!(rig.depth(Queue::Analyze).await, 1);
}

#[tokio::test]
async fn a_request_without_a_confirmation_is_repeated_under_its_name() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1), captured(2, 1)]).await;
    let unconfirmed = Unconfirmed { bus: rig.bus.clone(), lost: AtomicUsize::new(1) };
    let scheduler = rig.scheduler(Arc::new(unconfirmed));
    assert!(scheduler.flush().await.is_err());
    assert_eq!(scheduler.flush().await.unwrap(), 2);
    assert_eq!(rig.depth(Queue::Analyze).await, 2);
    assert_eq!(scheduler.flush().await.unwrap(), 0);
}

#[tokio::test]
async fn news_wake_the_scheduler_and_a_setback_does_not_end_it() {
    let rig = Rig::new().await;
    rig.store_messages(&[captured(1, 1)]).await;
    rig.clock.forward(3600);
    let unconfirmed = Unconfirmed { bus: rig.bus.clone(), lost: AtomicUsize::new(1) };
    // No look on its own before the test is over: only the setback's end and the news lead to one.
    Arc::new(rig.scheduler(Arc::new(unconfirmed)).with_look_every(Duration::from_secs(3600))).spawn(&rig.life);
    until("requested after the setback", async || rig.store.next_due().await.unwrap().is_none()).await;
    let at_once = DueRule { quiet: Duration::ZERO, ..RULE };
    rig.store.archive(&[captured(2, 1)], at_once, rig.clock.now()).await.unwrap();
    rig.news.notify_one();
    until("requested on news", async || rig.depth(Queue::Analyze).await == 2).await;
    rig.end().await;
}

#[tokio::test]
async fn an_event_that_is_not_a_request_is_refused() {
    let rig = Rig::new().await;
    let outcomes = rig.analyze(&Arc::default()).consume(&[received(enveloped(captured(1, 1)))]).await.unwrap();
    let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((fault.code(), fault.class()), (Code::EventInvalid, Class::Permanent));
    assert_ne!(fault.class(), EVENT_RETRY.0);
}
