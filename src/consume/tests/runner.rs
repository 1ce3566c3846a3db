//! The promises of the runner, one by one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::scripted::{Scripted, delivery, envelope};
use super::{EVENT_RETRY, Injected, STORE_AWAY, until, within};
use crate::consume::{Handler, Journal, Outcome, Received, Runner};
use crate::domain::EventId;
use crate::fault::{AnyFault, Class, Code, Scope};
use crate::lifecycle::Lifecycle;
use crate::ports::{Queue, Settlement};
use crate::resilience::LADDER;

type Consumed = Result<Vec<Outcome>, AnyFault>;

/// A handler made of a closure; remembers the sizes of the batches that it got.
struct Scene<F> {
    act: F,
    batches: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl<F> Handler for Scene<F>
where
    F: for<'a> Fn(&'a [Received]) -> futures::future::BoxFuture<'a, Consumed> + Send + Sync,
{
    fn queue(&self) -> Queue {
        Queue::Archive
    }
    fn prefetch(&self) -> u16 {
        10
    }
    fn batch(&self) -> usize {
        10
    }
    async fn consume(&self, batch: &[Received]) -> Consumed {
        self.batches.lock().unwrap().push(batch.len());
        (self.act)(batch).await
    }
}

/// A runner at work.
struct Play {
    bus: Arc<Scripted>,
    life: Lifecycle,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Play {
    fn begin<F>(bus: &Arc<Scripted>, act: F) -> Self
    where
        F: for<'a> Fn(&'a [Received]) -> futures::future::BoxFuture<'a, Consumed> + Send + Sync + 'static,
    {
        Self::begin_with(bus, None, act)
    }

    /// With what an earlier process wrote into the journal.
    fn begin_with<F>(bus: &Arc<Scripted>, journal: Option<Journal>, act: F) -> Self
    where
        F: for<'a> Fn(&'a [Received]) -> futures::future::BoxFuture<'a, Consumed> + Send + Sync + 'static,
    {
        let (life, batches) = (Lifecycle::new(), Arc::default());
        let scene = Scene { act, batches: Arc::clone(&batches) };
        let runner = Runner::new(Arc::new(Arc::clone(bus)), Arc::new(scene), life.clone(), Arc::default());
        match journal {
            Some(journal) => runner.with_journal(Arc::new(journal)).spawn(),
            None => runner.spawn(),
        }
        Self { bus: Arc::clone(bus), life, batches }
    }

    /// Every settlement once there are `count`, by tag.
    async fn settled(&self, count: usize) -> Vec<Settlement> {
        until("all settled", async || self.bus.settled().len() >= count).await;
        let mut settled = self.bus.settled();
        settled.sort_by_key(|(tag, _)| *tag);
        settled.into_iter().map(|(_, settlement)| settlement).collect()
    }

    /// The runner has asked the process to stop.
    async fn stopped(&self) {
        until("stopped", async || self.life.is_stopping()).await;
    }

    async fn end(self) {
        assert!(self.life.drain(Duration::from_secs(5)).await.is_clean());
    }
}

fn all_done(batch: &[Received]) -> Consumed {
    Ok(batch.iter().map(|_| Outcome::Done).collect())
}

fn retry(after: Duration) -> Settlement {
    Settlement::Retry { after, code: Code::DatabaseFailed }
}

fn id(number: u64) -> EventId {
    envelope(number).id
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_buried_and_its_neighbours_are_not_disturbed() {
    let mut bad = delivery(2, 0);
    bad.body = br#"{"specversion":"1.0","secret chat text":"#.to_vec();
    let bus = Scripted::of([vec![delivery(1, 0), bad, delivery(3, 0)]]);
    let play = Play::begin(&bus, |batch| Box::pin(async move { all_done(batch) }));
    let settled = play.settled(3).await;
    assert_eq!((&settled[0], &settled[2]), (&Settlement::Done, &Settlement::Done));
    let Settlement::Dead { code: Code::EventInvalid, reason } = &settled[1] else { panic!("{:?}", settled[1]) };
    assert!(!reason.contains("secret"), "{reason}");
    assert_eq!(*play.batches.lock().unwrap(), [2]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_unreadable_events_never_reaches_the_handler() {
    let mut bad = delivery(1, 4);
    bad.body.clear();
    let bus = Scripted::of([vec![bad]]);
    let play = Play::begin(&bus, |_| panic!("called without an event"));
    assert!(matches!(play.settled(1).await[0], Settlement::Dead { code: Code::EventInvalid, .. }));
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_poison_event_is_counted_and_its_neighbours_are_not() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 1), delivery(3, 2)]]);
    let play = Play::begin(&bus, |batch| {
        Box::pin(async move {
            let poisoned = batch.iter().any(|received| received.envelope.id == id(2));
            if poisoned { Err(EVENT_RETRY.into()) } else { all_done(batch) }
        })
    });
    assert_eq!(play.settled(3).await, [Settlement::Done, retry(LADDER[1]), Settlement::Done]);
    assert_eq!(*play.batches.lock().unwrap(), [3, 1, 1, 1]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_fault_of_one_event() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0)], vec![delivery(3, 0)]]);
    let play = Play::begin(&bus, |batch| {
        Box::pin(async move {
            assert!(batch.iter().all(|received| received.envelope.id != id(1)), "poison");
            all_done(batch)
        })
    });
    let internal = Settlement::Retry { after: LADDER[0], code: Code::Internal };
    assert_eq!(play.settled(3).await, [internal, Settlement::Done, Settlement::Done]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_last_rung_comes_the_dead_letter_with_the_first_cause() {
    let bus = Scripted::of([(0..=5).map(|failures| delivery(u64::from(failures), failures)).collect()]);
    let play = Play::begin(&bus, |batch| {
        Box::pin(async move { Ok(batch.iter().map(|_| Outcome::Failed(EVENT_RETRY.into())).collect()) })
    });
    let settled = play.settled(6).await;
    for (settlement, rung) in settled.iter().zip(LADDER) {
        assert_eq!(*settlement, retry(rung));
    }
    let dead = "database-failed after 6 attempts: injected".to_owned();
    assert_eq!(settled[5], Settlement::Dead { code: Code::AttemptsExhausted, reason: dead });
    assert_eq!(*play.batches.lock().unwrap(), [6], "each had its own outcome: nobody is tried twice");
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_outcome_is_settled_by_its_own_class() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0), delivery(3, 0), delivery(4, 0)]]);
    let play = Play::begin(&bus, |_| {
        Box::pin(async move {
            let permanent = Injected(Class::Permanent, Scope::Event);
            let wished = Injected(Class::Retryable { after: Some(Duration::from_secs(90)) }, Scope::Event);
            let failed = |fault: Injected| Outcome::Failed(fault.into());
            Ok(vec![Outcome::Done, failed(permanent), Outcome::HandBack, failed(wished)])
        })
    });
    let dead = Settlement::Dead { code: Code::DatabaseFailed, reason: "injected".to_owned() };
    let settled = play.settled(4).await;
    assert_eq!(settled, [Settlement::Done, dead, Settlement::HandBack, retry(Duration::from_secs(90))]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_store_is_nobodys_fault_and_is_waited_out_without_a_subscription() {
    let batch = || vec![delivery(1, 3), delivery(2, 5)];
    let bus = Scripted::of([batch(), batch(), batch()]);
    let away = Mutex::new(2);
    let play = Play::begin(&bus, move |batch| {
        let mut left = away.lock().unwrap();
        let is_away = *left > 0;
        *left -= i32::from(is_away);
        Box::pin(async move { if is_away { Err(STORE_AWAY.into()) } else { all_done(batch) } })
    });
    let settled = play.settled(6).await;
    assert_eq!(settled.iter().filter(|settlement| **settlement == Settlement::HandBack).count(), 4);
    assert_eq!(settled.iter().filter(|settlement| **settlement == Settlement::Done).count(), 2);
    assert_eq!(*play.batches.lock().unwrap(), [2, 2, 2], "not taken apart");
    assert_eq!(bus.opened(), 3);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_other_side_asks_for_is_waited() {
    let bus = Scripted::of([vec![delivery(1, 0)], vec![delivery(1, 0)]]);
    let asked = Duration::from_secs(400);
    let play = Play::begin(&bus, move |batch| {
        Box::pin(async move {
            Ok(batch
                .iter()
                .map(|_| Outcome::Failed(Injected(Class::Retryable { after: Some(asked) }, Scope::Site).into()))
                .collect())
        })
    });
    let begun = tokio::time::Instant::now();
    within(Duration::from_secs(3600), "subscribed again", async || bus.opened() == 2).await;
    assert!(begun.elapsed() >= asked, "paused time");
    assert_eq!(play.settled(1).await[0], Settlement::HandBack);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn critical_and_process_wide_permanent_faults_keep_the_events_and_stop() {
    let critical = Injected(Class::Critical, Scope::Event);
    let permanent = Injected(Class::Permanent, Scope::Process);
    for fault in [critical, permanent] {
        let bus = Scripted::of([vec![delivery(1, 5), delivery(2, 0)], vec![delivery(3, 0)]]);
        let play = Play::begin(&bus, move |_| Box::pin(async move { Err(fault.into()) }));
        assert_eq!(play.settled(2).await, [Settlement::HandBack, Settlement::HandBack]);
        play.stopped().await;
        assert_eq!(*play.batches.lock().unwrap(), [2], "neither tried apart nor anything new");
        play.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_critical_fault_of_one_event_hands_the_rest_of_a_taken_apart_batch_back() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0), delivery(3, 0)]]);
    let play = Play::begin(&bus, |batch| {
        Box::pin(async move {
            match batch {
                [one] if one.envelope.id == id(2) => Err(Injected(Class::Critical, Scope::Process).into()),
                [_] => all_done(batch),
                _ => Err(EVENT_RETRY.into()),
            }
        })
    });
    assert_eq!(play.settled(3).await, [Settlement::Done, Settlement::HandBack, Settlement::HandBack]);
    play.stopped().await;
    assert_eq!(*play.batches.lock().unwrap(), [3, 1, 1]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_miscounts_settles_nothing() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0)]]);
    let play = Play::begin(&bus, |_| Box::pin(async move { Ok(vec![Outcome::Done]) }));
    assert_eq!(play.settled(2).await, [Settlement::HandBack, Settlement::HandBack]);
    play.stopped().await;
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_subscription_is_opened_again_and_again() {
    let bus = Scripted::of([]);
    for _ in 0..6 {
        bus.subscribing.lock().unwrap().push_back(STORE_AWAY.into());
    }
    bus.batches.lock().unwrap().extend([Err(STORE_AWAY.into()), Ok(vec![delivery(1, 0)]), Ok(vec![delivery(2, 0)])]);
    bus.settling.lock().unwrap().push_back(STORE_AWAY.into());
    let play = Play::begin(&bus, |batch| Box::pin(async move { all_done(batch) }));
    let what = "the second batch is settled after six refusals, a break and a failed settlement";
    within(Duration::from_secs(3600), what, async || bus.settled() == [(2, Settlement::Done)]).await;
    assert_eq!(bus.opened(), 9);
    let opened = bus.subscriptions.lock().unwrap().clone();
    assert!(opened.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_secs(31)), "bounded waits");
    assert!(opened[8] > opened[0], "not a busy loop");
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_for_good_stops_the_process() {
    let bus = Scripted::of([]);
    bus.subscribing.lock().unwrap().push_back(Injected(Class::Permanent, Scope::Process).into());
    let play = Play::begin(&bus, |batch| Box::pin(async move { all_done(batch) }));
    play.stopped().await;
    assert_eq!(bus.opened(), 1);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_soft_stop_finishes_the_batch_in_hand_and_takes_no_other() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0)], vec![delivery(3, 0)]]);
    let (begun, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (in_hand, released) = (Arc::clone(&begun), Arc::clone(&go_on));
    let play = Play::begin(&bus, move |batch| {
        let (in_hand, released) = (Arc::clone(&in_hand), Arc::clone(&released));
        Box::pin(async move {
            in_hand.notify_one();
            released.notified().await;
            all_done(batch)
        })
    });
    begun.notified().await;
    play.life.stop();
    go_on.notify_one();
    let life = play.life.clone();
    play.end().await;
    assert_eq!(bus.settled(), [(1, Settlement::Done), (2, Settlement::Done)]);
    assert_eq!(bus.batches.lock().unwrap().len(), 1, "the second batch stays with the bus");
    assert!(life.is_stopping());
}

#[tokio::test(start_paused = true)]
async fn the_soft_stop_in_a_taken_apart_batch_hands_the_rest_back_uncounted() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 3), delivery(3, 0)]]);
    let play_life = Arc::new(Mutex::new(None::<Lifecycle>));
    let seen = Arc::clone(&play_life);
    let play = Play::begin(&bus, move |batch| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            if batch.len() == 1 {
                seen.lock().unwrap().as_ref().unwrap().stop();
                return all_done(batch);
            }
            Err(EVENT_RETRY.into())
        })
    });
    *play_life.lock().unwrap() = Some(play.life.clone());
    assert_eq!(play.settled(3).await, [Settlement::Done, Settlement::HandBack, Settlement::HandBack]);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_hard_stop_lets_the_batch_go_unsettled() {
    let bus = Scripted::of([vec![delivery(1, 0)]]);
    let play = Play::begin(&bus, |_| Box::pin(std::future::pending()));
    until("the batch is in hand", async || !play.batches.lock().unwrap().is_empty()).await;
    // Not by a drain, which would drop the task in the end whatever it does.
    play.life.hard.cancel();
    until("the runner has ended", async || play.life.running().is_empty()).await;
    assert!(bus.settled().is_empty());
}

/// A journal that an earlier process left: deaths and events.
fn journal(left: &[(u32, u64)]) -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let lines: Vec<String> = left.iter().map(|(deaths, number)| format!("{deaths} {}\n", id(*number))).collect();
    std::fs::write(&path, lines.concat()).unwrap();
    let journal = Journal::open(&path).unwrap();
    (folder, journal)
}

#[tokio::test(start_paused = true)]
async fn what_was_in_hand_when_the_process_died_is_taken_one_at_a_time() {
    let single = |number| vec![delivery(number, 0)];
    let bus = Scripted::of([single(1), single(2), single(3), vec![delivery(4, 0), delivery(5, 0)]]);
    let (_folder, left) = journal(&[(1, 1), (2, 3)]);
    let play = Play::begin_with(&bus, Some(left), |batch| Box::pin(async move { all_done(batch) }));
    assert_eq!(play.settled(5).await, vec![Settlement::Done; 5]);
    assert_eq!(*play.batches.lock().unwrap(), [1, 1, 1, 2], "batches come back when the suspects are through");
    assert_eq!(bus.opened(), 2);
    play.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_event_that_killed_three_times_is_buried_unseen_and_its_neighbours_are_not_disturbed() {
    let bus = Scripted::of([vec![delivery(1, 0), delivery(2, 0), delivery(3, 0)], vec![delivery(2, 0)]]);
    let (_folder, left) = journal(&[(3, 2)]);
    let play = Play::begin_with(&bus, Some(left), |batch| Box::pin(async move { all_done(batch) }));
    let settled = play.settled(4).await;
    let (settled, replayed) = (&settled[..], bus.settled()[3].clone());
    assert_eq!((&settled[0], &settled[3]), (&Settlement::Done, &Settlement::Done));
    assert!(matches!(&settled[1], Settlement::Dead { code: Code::EventDeadly, .. }), "{settled:?}");
    assert_eq!(replayed, (2, Settlement::Done), "a replay by a human is a new chance");
    assert_eq!(*play.batches.lock().unwrap(), [2, 1]);
    play.end().await;
}
