//! Mirror and drain on the embedded bus and store: how often is written, and what it then shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::rig::{Reader, Rig, Sheet, account, captured, conversation, enveloped, requested};
use super::{Injected, STORE_AWAY, until};
use crate::consume::{ConsumeError, Mirroring, Pipeline, Quiet, Stage};
use crate::domain::event::AccountChanged;
use crate::domain::{AccountState, Envelope, Event, Purse};
use crate::fault::{AnyFault, Class, Code, Scope};
use crate::ports::{Backlog, Bus, Clock, Queue};

const HOUR: Duration = Duration::from_secs(3600);

/// Something that the mirror should look at.
fn change(number: i64) -> Envelope {
    let since = "2026-11-02T10:00:00Z".parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_secs(number);
    let event = AccountChanged { account: account(), state: AccountState::Live, code: None, action: None, since };
    Envelope::new(Event::AccountChanged(event), since)
}

fn mirroring(rig: &Rig, sheet: &Arc<Sheet>, interval: Duration) -> Arc<Mirroring> {
    Arc::new(rig.mirroring(sheet).with_times(interval, HOUR))
}

#[tokio::test]
async fn many_events_share_a_projection_and_the_stop_does_not_wait_for_its_turn() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    rig.publish((0..40).map(change)).await;
    rig.runner(mirroring(&rig, &sheet, HOUR)).spawn();
    rig.empty(Queue::Mirror).await;
    assert_eq!(sheet.writes(), 1, "all that waited");
    rig.publish((40..60).map(change)).await;
    until("in hand", async || rig.bus.depths().await.unwrap()[2].in_flight > 0).await;
    assert_eq!(sheet.writes(), 1, "an hour has not passed");
    let bus = rig.bus.clone();
    rig.end().await;
    assert_eq!(sheet.writes(), 2);
    assert!(bus.depths().await.unwrap()[2].ready < 20, "what was in hand is done");
}

#[tokio::test]
async fn a_mirror_that_is_away_costs_no_event_and_is_written_when_it_is_back() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    // Also if the adapter calls it the event's fault.
    let locked = Injected(Class::RETRY, Scope::Event);
    sheet.faults.lock().unwrap().extend([locked.into(), STORE_AWAY.into(), locked.into()]);
    let mirroring = mirroring(&rig, &sheet, Duration::ZERO);
    rig.store_messages(&[captured(1, 1)]).await;
    rig.publish((0..10).map(change)).await;
    rig.runner(mirroring.clone()).spawn();
    rig.empty(Queue::Mirror).await;
    assert_eq!((sheet.writes(), rig.bus.dead_letters().await.unwrap()), (1, 0));
    let state = mirroring.state().borrow().clone();
    assert_eq!((state.outcome.unwrap().rows, state.fault), (1, None));
    rig.end().await;
}

#[tokio::test]
async fn a_mirror_that_is_not_ours_is_reported_and_stops_nothing() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    sheet.faults.lock().unwrap().push(Injected(Class::Permanent, Scope::Process).into());
    let mirroring = mirroring(&rig, &sheet, Duration::ZERO);
    rig.publish([change(1)]).await;
    rig.runner(mirroring.clone()).spawn();
    rig.empty(Queue::Mirror).await;
    assert_eq!(
        mirroring.state().borrow().fault.as_ref().map(|fault| (fault.code, fault.is_parked)),
        Some((Code::DatabaseFailed, true))
    );
    assert!(!rig.life.is_stopping() && rig.bus.dead_letters().await.unwrap() == 0);
    rig.end().await;
}

#[tokio::test]
async fn a_mirror_that_waits_for_a_human_is_not_pestered_with_every_event() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    let refused = || AnyFault::from(Injected(Class::Permanent, Scope::Process));
    sheet.faults.lock().unwrap().extend([refused(), refused()]);
    let mirroring = mirroring(&rig, &sheet, Duration::ZERO);
    rig.runner(mirroring.clone()).spawn();
    for number in 0..5 {
        rig.publish([change(number)]).await;
        rig.empty(Queue::Mirror).await;
    }
    assert_eq!((sheet.faults.lock().unwrap().len(), sheet.writes()), (1, 0), "one look, and no more for a while");
    assert!(mirroring.state().borrow().fault.as_ref().is_some_and(|fault| fault.is_parked));
    sheet.faults.lock().unwrap().clear();
    mirroring.rebuild().await.unwrap();
    rig.publish([change(9)]).await;
    rig.empty(Queue::Mirror).await;
    assert_eq!(sheet.writes(), 2, "a write that went well ends it");
    rig.end().await;
}

#[tokio::test]
async fn it_is_written_at_the_start_and_again_although_no_event_came() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    sheet.faults.lock().unwrap().push(STORE_AWAY.into());
    Arc::new(rig.mirroring(&sheet).with_times(HOUR, Duration::from_millis(5))).spawn_reconcile();
    until("three writes", async || sheet.writes() >= 3).await;
    rig.end().await;
}

#[tokio::test]
async fn it_shows_what_is_stored_and_knows_when_it_does_not() {
    let rig = Rig::new().await;
    let sheet = Arc::new(Sheet::default());
    let mirroring = mirroring(&rig, &sheet, Duration::ZERO);
    rig.store_messages(&[captured(1, 1), captured(2, 5), captured(2, 4)]).await;
    assert!(!mirroring.is_current().await.unwrap());
    let outcome = mirroring.rebuild().await.unwrap();
    assert_eq!((outcome.rows, outcome.messages), (2, 3));
    assert!(mirroring.is_current().await.unwrap());
    let shown = sheet.shown();
    assert_eq!(
        shown.rows.iter().map(|row| row.conversation.key).collect::<Vec<_>>(),
        [conversation(2), conversation(1)]
    );
    assert_eq!((shown.status.open_gaps, shown.status.dead_letters), (0, 0));
    assert_eq!((shown.status.last_capture_at, shown.status.written_at), (Some(rig.clock.now()), rig.clock.now()));
    rig.store_messages(&[captured(1, 2)]).await;
    assert!(!mirroring.is_current().await.unwrap(), "one more message is another row");
    sheet.faults.lock().unwrap().push(STORE_AWAY.into());
    assert!(mirroring.rebuild().await.is_err());
    assert!(!mirroring.is_current().await.unwrap(), "what was not written is not noted");
}

/// A spool with so many events.
struct Spool(AtomicU64);

#[async_trait]
impl Backlog for Spool {
    async fn pending(&self) -> Result<u64, AnyFault> {
        Ok(self.0.load(Ordering::SeqCst))
    }

    async fn oldest(&self) -> Result<Option<jiff::Timestamp>, AnyFault> {
        Ok(None)
    }

    async fn captured(&self) -> Result<u64, AnyFault> {
        Ok(0)
    }
}

struct Whole {
    rig: Rig,
    reader: Arc<Reader>,
    sheet: Arc<Sheet>,
    pipeline: Pipeline,
}

async fn whole(spooled: u64) -> Whole {
    let rig = Rig::new().await;
    let (reader, sheet) = (Arc::new(Reader::default()), Arc::new(Sheet::default()));
    let mirror = mirroring(&rig, &sheet, Duration::from_millis(20));
    let pipeline = Pipeline {
        waiting: Arc::default(),
        spool: Arc::new(Spool(AtomicU64::new(spooled))),
        bus: rig.bus(),
        store: rig.store.clone(),
        scheduler: Arc::new(rig.scheduler(rig.bus())),
        mirror: mirror.clone(),
        lifecycle: rig.life.clone(),
        counters: Arc::default(),
    };
    pipeline.scheduler.clone().spawn(&rig.life);
    rig.run(rig.archive());
    rig.run(rig.analyze(&reader));
    rig.runner(mirror).spawn();
    Whole { rig, reader, sheet, pipeline }
}

#[tokio::test]
async fn drained_means_stored_analysed_and_shown() {
    let Whole { rig, reader, sheet, pipeline } = whole(0).await;
    let all = (1..=5).flat_map(|thread| (1..=30).map(move |number| enveloped(captured(thread, number))));
    rig.publish(all).await;
    let quiet = pipeline.drained(Duration::from_secs(60)).await.unwrap();
    assert!(matches!(quiet, Quiet::Yes), "{quiet:?}");
    let counts = rig.store.counts(None).await.unwrap();
    assert_eq!((counts.messages, counts.analysed_conversations, counts.analysed_messages), (150, 5, 150));
    assert_eq!(reader.calls(), 5, "each conversation is analysed once, when all of it is there");
    let shown = sheet.shown();
    assert!(shown.rows.len() == 5 && shown.rows.iter().all(|row| row.conversation.messages == 30));
    assert!(shown.rows.iter().all(|row| row.analysis.as_ref().is_some_and(|analysis| analysis.messages == 30)));
    rig.end().await;
}

#[tokio::test]
async fn what_waits_for_a_budget_is_said_and_not_waited_for() {
    let Whole { rig, sheet, pipeline, .. } = whole(0).await;
    let all = (1..=5).flat_map(|thread| (1..=3).map(move |number| enveloped(captured(thread, number))));
    rig.publish(all).await;
    let quiet = pipeline.drained(Duration::from_secs(60)).await.unwrap();
    assert!(matches!(quiet, Quiet::Yes), "{quiet:?}");
    rig.life.stop();
    until("the consumers have ended", async || rig.life.running().is_empty()).await;
    rig.publish([requested(1, 9), requested(2, 9)]).await;
    for thread in [1, 2] {
        let (purse, until) = (Purse::of_month(rig.clock.now()), jiff::Timestamp::MAX);
        let why = ConsumeError::OverBudget { purse, until, after: HOUR };
        pipeline.waiting.begin(requested(thread, 9).id, &why);
    }
    let writes = sheet.writes();
    let pipeline = Pipeline { lifecycle: crate::lifecycle::Lifecycle::new(), ..pipeline };
    let quiet = pipeline.drained(Duration::from_secs(60)).await.unwrap();
    let Quiet::No { stage, left, fault: Some(fault) } = quiet else { panic!("{quiet:?}") };
    assert_eq!((stage, left, fault.code()), (Stage::Queue(Queue::Analyze), 2, Code::AiBudget));
    assert_eq!(sheet.writes(), writes, "all that is there is shown already");
    // One more, that waits for nothing, is waited for.
    rig.publish([requested(3, 9)]).await;
    let quiet = pipeline.drained(Duration::from_millis(200)).await.unwrap();
    assert!(matches!(quiet, Quiet::No { left: 3, fault: None, .. }), "{quiet:?}");
}

#[tokio::test]
async fn what_is_not_quiet_in_time_is_named() {
    let Whole { rig, pipeline, .. } = whole(7).await;
    let quiet = pipeline.drained(Duration::from_millis(200)).await.unwrap();
    assert!(matches!(quiet, Quiet::No { stage: Stage::Spool, left: 7, fault: None }), "{quiet:?}");
    rig.life.stop();
    let quiet = pipeline.drained(HOUR).await.unwrap();
    assert!(matches!(quiet, Quiet::No { stage: Stage::Spool, left: 7, .. }), "a stop ends it: {quiet:?}");
    rig.end().await;
}

#[tokio::test]
async fn nothing_is_analysed_in_pieces_while_the_archive_has_work() {
    let rig = Rig::new().await;
    let pipeline = Pipeline {
        waiting: Arc::default(),
        spool: Arc::new(Spool(AtomicU64::new(0))),
        bus: rig.bus(),
        store: rig.store.clone(),
        scheduler: Arc::new(rig.scheduler(rig.bus())),
        mirror: mirroring(&rig, &Arc::default(), HOUR),
        lifecycle: rig.life.clone(),
        counters: Arc::default(),
    };
    rig.store_messages(&[captured(1, 1)]).await;
    // Nobody takes it.
    rig.publish([enveloped(captured(1, 2))]).await;
    let quiet = pipeline.drained(Duration::from_millis(200)).await.unwrap();
    let waiting = matches!(quiet, Quiet::No { stage: Stage::Queue(Queue::Archive), left: 1, .. });
    assert!(waiting && rig.depth(Queue::Analyze).await == 0, "{quiet:?}");
}

#[tokio::test]
async fn a_mirror_that_is_away_for_a_moment_is_waited_for_and_one_that_is_not_ours_is_not() {
    let Whole { rig, sheet, pipeline, .. } = whole(0).await;
    sheet.faults.lock().unwrap().extend((0..2).map(|_| STORE_AWAY.into()));
    rig.publish([enveloped(captured(1, 1))]).await;
    let quiet = pipeline.drained(Duration::from_secs(60)).await.unwrap();
    assert!(matches!(quiet, Quiet::Yes), "{quiet:?}");
    let refused = || AnyFault::from(Injected(Class::Permanent, Scope::Process));
    sheet.faults.lock().unwrap().extend((0..20).map(|_| refused()));
    rig.publish([enveloped(captured(1, 2))]).await;
    let quiet = pipeline.drained(Duration::from_secs(60)).await.unwrap();
    // Not a failure of the waiting: whoever waited has a report to give.
    let Quiet::No { stage: Stage::Mirror, fault: Some(fault), .. } = quiet else { panic!("{quiet:?}") };
    assert_eq!(fault.class(), Class::Permanent);
    assert_eq!(rig.store.counts(None).await.unwrap().messages, 2, "everything else has arrived");
    rig.end().await;
}
