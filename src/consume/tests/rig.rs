//! The embedded bus and store in a folder of their own, and everything that stands around them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::until;
use crate::bus::EmbeddedBus;
use crate::consume::{Analyze, Archive, Handler, Mirroring, Received, Runner, Scheduler};
use crate::domain::conversation::ConversationRef;
use crate::domain::event::{AnalysisRequested, MessageCaptured};
use crate::domain::{
    AccountId, ConversationKey, Direction, Envelope, Event, EventId, Message, MessageKey, Origin, Precision, Priority,
    Sentiment, Text, Usage, Verdict,
};
use crate::fault::AnyFault;
use crate::lifecycle::Lifecycle;
use crate::ports::{
    Analyst, AnalystRequest, Bus, Clock, DeadLetter, Deliveries, DueRule, Mirror, MirrorOutcome, Outgoing, Projection,
    Queue, QueueDepth, Reply, Shown, Store,
};
use crate::sqlite::Database;
use crate::store::SqliteStore;

pub const RULE: DueRule = DueRule { quiet: Duration::from_secs(90), max_wait: Duration::from_secs(300) };

pub struct Rig {
    _dir: tempfile::TempDir,
    pub database: Database,
    pub bus: EmbeddedBus,
    pub store: Arc<dyn Store>,
    pub clock: Arc<SetClock>,
    pub news: Arc<Notify>,
    pub life: Lifecycle,
}

impl Rig {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let migrations = [crate::bus::embedded::MIGRATIONS, crate::store::sqlite::MIGRATIONS].concat();
        let database = Database::open(&dir.path().join("chatferry.db"), &migrations).unwrap();
        Self {
            bus: EmbeddedBus::open(database.clone()).await.unwrap(),
            store: Arc::new(SqliteStore::open(database.clone())),
            database,
            _dir: dir,
            clock: Arc::new(SetClock(Mutex::new("2026-11-02T10:00:00Z".parse().unwrap()))),
            news: Arc::default(),
            life: Lifecycle::new(),
        }
    }

    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    pub fn archive(&self) -> Archive {
        Archive::new(self.store.clone(), self.clock.clone(), RULE, self.news.clone(), Arc::default())
    }

    pub fn analyze(&self, analyst: &Arc<Reader>) -> Analyze {
        Analyze::new(self.store.clone(), self.bus(), analyst.clone(), self.clock.clone(), Arc::default())
    }

    pub fn scheduler(&self, bus: Arc<dyn Bus>) -> Scheduler {
        Scheduler::new(self.store.clone(), bus, self.clock.clone(), self.news.clone(), "1", Arc::default())
    }

    pub fn mirroring(&self, mirror: &Arc<Sheet>) -> Mirroring {
        Mirroring::new(
            self.store.clone(),
            self.bus(),
            mirror.clone(),
            self.clock.clone(),
            self.life.clone(),
            Arc::default(),
        )
    }

    pub fn run(&self, handler: impl Handler + 'static) {
        self.runner(Arc::new(handler)).spawn();
    }

    pub fn runner(&self, handler: Arc<dyn Handler>) -> Runner {
        Runner::new(self.bus(), handler, self.life.clone(), Arc::default()).with_schedule(
            crate::resilience::RetrySchedule::endless(Duration::from_millis(1), Duration::from_millis(20)),
        )
    }

    pub async fn publish(&self, envelopes: impl IntoIterator<Item = Envelope>) {
        let outgoing: Vec<Outgoing> = envelopes.into_iter().map(|envelope| outgoing(&envelope)).collect();
        for outcome in self.bus.publish(&outgoing).await.unwrap() {
            outcome.unwrap();
        }
    }

    /// Stores messages without a bus.
    pub async fn store_messages(&self, messages: &[MessageCaptured]) {
        self.store.archive(messages, RULE, self.clock.now()).await.unwrap();
    }

    pub async fn depth(&self, queue: Queue) -> u64 {
        let depths = self.bus.depths().await.unwrap();
        depths.iter().filter(|depth| depth.queue == queue).map(|depth| depth.ready + depth.in_flight).sum()
    }

    pub async fn empty(&self, queue: Queue) {
        until(queue.as_str(), async || self.depth(queue).await == 0).await;
    }

    pub async fn messages(&self) -> u64 {
        self.store.counts(None).await.unwrap().messages
    }

    pub async fn end(self) {
        assert!(self.life.drain(Duration::from_secs(20)).await.is_clean());
    }
}

pub fn outgoing(envelope: &Envelope) -> Outgoing {
    Outgoing {
        id: envelope.id,
        kind: envelope.event.kind(),
        site: envelope.event.account().site().clone(),
        body: envelope.to_json().unwrap(),
    }
}

pub fn account() -> AccountId {
    "demo/default".parse().unwrap()
}

pub fn conversation(number: u32) -> ConversationKey {
    ConversationKey::new(&account(), &number.to_string())
}

pub fn key(thread: u32, number: u32) -> MessageKey {
    MessageKey::native(&conversation(thread), &number.to_string())
}

/// Message `number` of conversation `thread`, a minute after the one before.
pub fn captured(thread: u32, number: u32) -> MessageCaptured {
    let at: Timestamp = "2026-11-01T10:00:00Z".parse().unwrap();
    let at = at + SignedDuration::from_mins(i64::from(number));
    let native_id = thread.to_string();
    let title = Text::new(format!("Person {thread}"));
    MessageCaptured {
        account: account(),
        conversation: ConversationRef { key: conversation(thread), id: native_id, title },
        message: Message {
            key: key(thread, number),
            native_id: Some(number.to_string()),
            author: Text::from("Anna"),
            direction: Direction::In,
            text: Text::new(format!("text {number}")),
            sent_at: Some(at),
            sent_at_precision: Precision::Minute,
            observed_at: at,
            attachments: Vec::new(),
            position: i64::from(number) * 1000,
        },
        origin: Origin::Live,
        revision: 0,
    }
}

pub fn enveloped(data: MessageCaptured) -> Envelope {
    let at = data.message.observed_at;
    Envelope::new(Event::MessageCaptured(Box::new(data)), at)
}

pub fn requested(thread: u32, up_to: u32) -> Envelope {
    let event = Event::AnalysisRequested(AnalysisRequested {
        account: account(),
        conversation: conversation(thread),
        up_to: key(thread, up_to),
        prompt_version: "1".to_owned(),
        edits: 0,
        reason: "new_messages".to_owned(),
    });
    Envelope::new(event, "2026-11-02T10:00:00Z".parse().unwrap())
}

pub fn received(envelope: Envelope) -> Received {
    Received { envelope, failures: 0 }
}

/// A clock that stands still until it is moved.
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An analyst that remembers what it was given, and fails as long as it has faults to give.
#[derive(Default)]
pub struct Reader {
    pub given: Mutex<Vec<AnalystRequest>>,
    pub faults: Mutex<Vec<AnyFault>>,
}

impl Reader {
    pub fn calls(&self) -> usize {
        self.given.lock().unwrap().len()
    }
}

#[async_trait]
impl Analyst for Reader {
    fn model(&self) -> &str {
        "reader"
    }
    fn prompt_version(&self) -> &str {
        "1"
    }
    async fn analyse(&self, request: &AnalystRequest) -> Reply {
        self.given.lock().unwrap().push(request.clone());
        // Long enough for a second question to come in meanwhile.
        tokio::task::yield_now().await;
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return Reply { verdict: Err(fault), usage: Usage::default() };
        }
        let verdict = Ok(Verdict {
            summary: Text::new(format!("{} messages", request.messages.len())),
            topics: Vec::new(),
            language: None,
            sentiment: Sentiment::Neutral,
            priority: Priority::Low,
            last_speaker: Some(Direction::In),
            needs_reply: true,
            needs_reply_reason: None,
            links: Vec::new(),
            money: Vec::new(),
            risk_flags: Vec::new(),
            open_questions: Vec::new(),
            follow_up: None,
        });
        Reply { verdict, usage: Usage::default() }
    }
}

/// A mirror in memory, which fails as long as it has faults to give.
#[derive(Default)]
pub struct Sheet {
    pub shown: Mutex<Option<Projection>>,
    pub writes: AtomicUsize,
    pub faults: Mutex<Vec<AnyFault>>,
}

impl Sheet {
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub fn shown(&self) -> Projection {
        self.shown.lock().unwrap().clone().expect("something was written")
    }
}

#[async_trait]
impl Mirror for Sheet {
    async fn write(&self, projection: &Projection, _: &Shown) -> Result<MirrorOutcome, AnyFault> {
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return Err(fault);
        }
        *self.shown.lock().unwrap() = Some(projection.clone());
        self.writes.fetch_add(1, Ordering::SeqCst);
        let messages = projection.rows.iter().map(|row| row.conversation.messages).sum();
        Ok(MirrorOutcome { rows: projection.rows.len() as u64, messages, location: "memory".to_owned() })
    }

    fn target(&self) -> &str {
        "memory"
    }
}

/// The embedded bus, but the first `lost` confirmations never arrive: all was published, and it looks as
/// if nothing was.
pub struct Unconfirmed {
    pub bus: EmbeddedBus,
    pub lost: AtomicUsize,
}

#[async_trait]
impl Bus for Unconfirmed {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        let outcomes = self.bus.publish(batch).await?;
        let lose = self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if lose.is_ok() { Err(super::EVENT_RETRY.into()) } else { Ok(outcomes) }
    }
    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        self.bus.subscribe(queue, prefetch).await
    }
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        self.bus.depths().await
    }
    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        self.bus.dead_letters().await
    }
    async fn probe(&self) -> Result<(), AnyFault> {
        Bus::probe(&self.bus).await
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        Bus::list_dead(&self.bus).await
    }
    async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Bus::replay_dead(&self.bus, ids).await
    }
    async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Bus::drop_dead(&self.bus, ids).await
    }
}
