//! RabbitMQ and MongoDB: publishing with confirms, archiving, both together, and how late an event is;
//! beside what the two servers give to a bare client in the same run.
//!
//! The servers are private and on this machine, so they share its cores with the program.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chatferry::bus::topology::EXCHANGE;
use chatferry::bus::{RabbitBus, RabbitSettings};
use chatferry::consume::{Archive, Handler, Outcome, Received, Runner};
use chatferry::domain::EventId;
use chatferry::fault::AnyFault;
use chatferry::lifecycle::Lifecycle;
use chatferry::ports::{Bus, DueRule, Outgoing, Queue, Store, SystemClock};
use chatferry::store::{MongoSettings, MongoStore};
use chatferry::telemetry::Counters;
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use mongodb::bson::{Document, doc};
use mongodb::options::{Acknowledgment, InsertManyOptions, WriteConcern};
use serde_json::{Value, json};

use super::{embedded, rig};
use crate::mongod::{self, Mongod};
use crate::rabbitmq::RabbitNode;

/// What the bare clients have unconfirmed, and insert at once.
const BATCH: usize = 1000;
/// As facts have it: publications begun together, and the window of unconfirmed ones.
const TOGETHER: usize = 100;
/// Events a second while lateness is measured, and for how long.
const PACE: u32 = 500;
const PACED: u32 = 5_000;
/// No conversation becomes due while it is measured.
const RULE: DueRule = DueRule { quiet: Duration::from_secs(3600), max_wait: Duration::from_secs(3600) };

pub async fn run() -> Value {
    let rabbit = RabbitNode::start().await;
    let mongod = Mongod::replica_set().await;
    let events = events();
    let broker_alone = broker_ceiling(&rabbit, &events).await;
    eprintln!("bench:   broker alone {broker_alone}");
    let store_alone = store_ceiling(&mongod, &events).await;
    eprintln!("bench:   store alone {store_alone}");
    let (publish, archive) = apart(&rabbit, &mongod, &events).await;
    eprintln!("bench:   publish {publish}, archive {archive}");
    let together = together(&rabbit, &mongod, &events).await;
    eprintln!("bench:   together {together}");
    let latency = latency(&rabbit, &mongod).await;
    eprintln!("bench:   latency {latency}");
    let share = |of: &Value, ceiling: &Value| rig::round(rate_of(of) / rate_of(ceiling));
    json!({
        "events": events.len(),
        "broker_alone": broker_alone,
        "store_alone": store_alone,
        "publish": publish,
        "archive": archive,
        "publish_and_archive_together": together,
        "share_of_broker_alone": share(&together, &broker_alone),
        "latency": latency,
        "peak_resident_mb": rig::number_in("/proc/self/status", "VmHWM:").map(|kb| kb / 1024),
    })
}

fn rate_of(figures: &Value) -> f64 {
    figures["events_per_second"].as_f64().unwrap_or(f64::NAN)
}

/// Rate and processor time of what ran between.
struct Meter(Instant, [f64; 3]);

impl Meter {
    fn start() -> Self {
        Self(Instant::now(), Self::used())
    }

    /// By ourselves, the broker and the database.
    fn used() -> [f64; 3] {
        [rig::cpu_seconds(), rig::cpu_seconds_of("beam.smp"), rig::cpu_seconds_of("mongod")]
    }

    fn stop(&self, events: usize) -> Value {
        let (seconds, used) = (self.0.elapsed().as_secs_f64(), Self::used());
        let count = events as f64;
        let per_100k = |part: usize| rig::round((used[part] - self.1[part]) * 100_000.0 / count);
        json!({
            "events_per_second": (count / seconds).round(),
            "cpu_seconds_per_100k": { "client": per_100k(0), "broker": per_100k(1), "database": per_100k(2) },
        })
    }
}

fn events() -> Vec<Outgoing> {
    let per_conversation = 500;
    let captured = (0..embedded::EVENTS).map(|n| embedded::event(n / per_conversation, n % per_conversation).0);
    captured
        .map(|envelope| Outgoing {
            id: envelope.id,
            kind: envelope.event.kind(),
            site: envelope.event.account().site().clone(),
            body: envelope.to_json().unwrap(),
        })
        .collect()
}

/// A bare client that publishes with confirms and consumes at the same time, through the same exchange and
/// the same queue with the same promises as the program.
async fn broker_ceiling(rabbit: &RabbitNode, events: &[Outgoing]) -> Value {
    let url = rabbit.url(&rabbit.vhost());
    let declared = RabbitBus::connect(RabbitSettings::new(url.clone().into())).await.unwrap();
    let connect = || Connection::connect(&url, ConnectionProperties::default());
    let (publishing, consuming) = (connect().await.unwrap(), connect().await.unwrap());
    let (publisher, channel) = (publishing.create_channel().await.unwrap(), consuming.create_channel().await.unwrap());
    channel.basic_qos(1000, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let queue = Queue::Archive.as_str();
    let mut consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap();
    publisher.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let count = events.len();
    let meter = Meter::start();
    let consumed = async {
        for n in 1..=count {
            let delivery = consumer.next().await.unwrap().unwrap();
            if n.is_multiple_of(200) || n == count {
                delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
            }
        }
    };
    let published = async {
        let mut window = std::collections::VecDeque::new();
        for chunk in events.chunks(TOGETHER) {
            let begun = chunk.iter().map(|event| {
                let properties = properties(event);
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let key = format!("{}.{}", event.kind.topic(), event.site);
                publisher.basic_publish(EXCHANGE.into(), key.into(), options, &event.body, properties)
            });
            window.extend(futures::future::try_join_all(begun).await.unwrap());
            while window.len() > BATCH {
                assert_eq!(window.pop_front().unwrap().await.unwrap(), Confirmation::Ack(None));
            }
        }
        for confirm in window {
            confirm.await.unwrap();
        }
    };
    tokio::join!(consumed, published);
    let figures = meter.stop(count);
    publishing.close(200, "".into()).await.unwrap();
    consuming.close(200, "".into()).await.unwrap();
    declared.close().await;
    figures
}

/// What has to travel beside a body: its id, its type, and the headers that the contract names.
fn properties(event: &Outgoing) -> BasicProperties {
    let mut headers = FieldTable::default();
    let trace = format!("00-{}{}-{}-01", event.id, event.id, event.id);
    headers.insert("traceparent".into(), AMQPValue::LongString(trace.chars().take(55).collect::<String>().into()));
    headers.insert("x-chatferry-attempt".into(), AMQPValue::LongLongInt(0));
    BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(2)
        .with_message_id(event.id.to_string().into())
        .with_type(event.kind.as_str().into())
        .with_headers(headers)
}

/// A bare client that inserts the same bytes, a thousand at a time, two in flight.
async fn store_ceiling(mongod: &Mongod, events: &[Outgoing]) -> Value {
    let client = mongod.client().await;
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let rows = client.database(&mongod::fresh_database()).collection::<Document>("ceiling");
    let documents: Vec<Vec<Document>> = events
        .chunks(BATCH)
        .map(|chunk| {
            let document = |event: &Outgoing| {
                let body = String::from_utf8(event.body.clone()).unwrap();
                doc! { "_id": event.id.to_string(), "body": body }
            };
            chunk.iter().map(document).collect()
        })
        .collect();
    let meter = Meter::start();
    let inserts = documents.iter().map(|batch| {
        let options = InsertManyOptions::builder().ordered(false).write_concern(concern.clone()).build();
        let rows = &rows;
        async move { rows.insert_many(batch).with_options(options).await.unwrap() }
    });
    futures::stream::iter(inserts).buffer_unordered(2).collect::<Vec<_>>().await;
    meter.stop(events.len())
}

/// Bus and store of a fresh virtual host and database.
async fn fresh(rabbit: &RabbitNode, mongod: &Mongod) -> (Arc<dyn Bus>, Arc<dyn Store>) {
    let url = rabbit.url(&rabbit.vhost());
    let bus = RabbitBus::connect(RabbitSettings::new(url.into())).await.unwrap();
    let uri = mongod.uri(&mongod::fresh_database()).into();
    (Arc::new(bus), Arc::new(MongoStore::connect(&MongoSettings { uri }).await.unwrap()))
}

/// Archive that notes when an event's effect was durable.
struct Timed {
    archive: Archive,
    seen: Arc<Mutex<HashMap<EventId, Instant>>>,
    batches: Arc<AtomicU64>,
    done: tokio::sync::watch::Sender<usize>,
}

#[async_trait]
impl Handler for Timed {
    fn queue(&self) -> Queue {
        self.archive.queue()
    }

    fn prefetch(&self) -> u16 {
        self.archive.prefetch()
    }

    fn batch(&self) -> usize {
        self.archive.batch()
    }

    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let outcomes = self.archive.consume(batch).await?;
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap();
        seen.extend(batch.iter().map(|received| (received.envelope.id, now)));
        self.done.send_replace(seen.len());
        Ok(outcomes)
    }
}

/// Two archive consumers, as a daemon has them.
struct Archiving {
    life: Lifecycle,
    seen: Arc<Mutex<HashMap<EventId, Instant>>>,
    batches: Arc<AtomicU64>,
    done: tokio::sync::watch::Receiver<usize>,
}

impl Archiving {
    fn start(bus: &Arc<dyn Bus>, store: &Arc<dyn Store>) -> Self {
        let (life, counters) = (Lifecycle::new(), Arc::new(Counters::default()));
        let seen: Arc<Mutex<HashMap<EventId, Instant>>> = Arc::default();
        let (sender, done) = tokio::sync::watch::channel(0);
        let archive = Archive::new(store.clone(), Arc::new(SystemClock), RULE, Arc::default(), counters.clone());
        let batches = Arc::new(AtomicU64::new(0));
        let (seen_there, batches_there) = (seen.clone(), batches.clone());
        let timed = Timed { archive, seen: seen_there, batches: batches_there, done: sender };
        let timed: Arc<dyn Handler> = Arc::new(timed);
        for _ in 0..2 {
            Runner::new(bus.clone(), timed.clone(), life.clone(), counters.clone()).spawn();
        }
        Self { life, seen, batches, done }
    }

    /// The figures with how many events were stored at once in the middle.
    fn with_batches(&self, mut figures: Value, events: usize) -> Value {
        figures["events_per_batch"] = rig::round(events as f64 / self.batches.load(Ordering::Relaxed) as f64);
        figures
    }

    async fn until(&mut self, count: usize) {
        self.done.wait_for(|done| *done >= count).await.unwrap();
    }

    async fn stop(self) {
        assert!(self.life.drain(Duration::from_secs(20)).await.is_clean());
    }
}

async fn publish(bus: &dyn Bus, events: &[Outgoing]) {
    for batch in events.chunks(bus.batch()) {
        for outcome in bus.publish(batch).await.unwrap() {
            outcome.unwrap();
        }
    }
}

async fn apart(rabbit: &RabbitNode, mongod: &Mongod, events: &[Outgoing]) -> (Value, Value) {
    let (bus, store) = fresh(rabbit, mongod).await;
    let meter = Meter::start();
    publish(&*bus, events).await;
    let published = meter.stop(events.len());
    let meter = Meter::start();
    let mut archiving = Archiving::start(&bus, &store);
    archiving.until(events.len()).await;
    let archived = archiving.with_batches(meter.stop(events.len()), events.len());
    archiving.stop().await;
    bus.close().await;
    (published, archived)
}

async fn together(rabbit: &RabbitNode, mongod: &Mongod, events: &[Outgoing]) -> Value {
    let (bus, store) = fresh(rabbit, mongod).await;
    let mut archiving = Archiving::start(&bus, &store);
    let meter = Meter::start();
    tokio::join!(publish(&*bus, events), archiving.until(events.len()));
    let figures = archiving.with_batches(meter.stop(events.len()), events.len());
    archiving.stop().await;
    bus.close().await;
    figures
}

/// From the call of publish to the durable write, at a steady pace.
async fn latency(rabbit: &RabbitNode, mongod: &Mongod) -> Value {
    let (bus, store) = fresh(rabbit, mongod).await;
    let mut archiving = Archiving::start(&bus, &store);
    let events: Vec<Outgoing> = events().into_iter().take(PACED as usize).collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PACE);
    let mut begun = HashMap::new();
    let mut running = Vec::new();
    for event in events {
        ticks.tick().await;
        begun.insert(event.id, Instant::now());
        let bus = bus.clone();
        running.push(tokio::spawn(async move { bus.publish(&[event]).await.unwrap().pop().unwrap().unwrap() }));
    }
    futures::future::try_join_all(running).await.unwrap();
    archiving.until(begun.len()).await;
    let seen = archiving.seen.lock().unwrap().clone();
    let mut late: Vec<f64> = begun.iter().map(|(id, at)| (seen[id] - *at).as_secs_f64() * 1000.0).collect();
    late.sort_by(f64::total_cmp);
    let at = |share: f64| rig::round(late[((late.len() - 1) as f64 * share) as usize]);
    let figures = json!({ "events_per_second": PACE, "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99) });
    archiving.stop().await;
    bus.close().await;
    figures
}
