//! RabbitMQ under the contract, and what only a broker does: it loses a queue, has one with other arguments,
//! is full, buries by itself, carries what strangers send, refuses us.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::bus::topology::{DEAD_QUEUE, EXCHANGE, Limits};
use chatferry::bus::{RabbitBus, RabbitSettings, topology};
use chatferry::domain::EventType;
use chatferry::fault::{AnyFault, Class, Code, Scope};
use chatferry::ports::{Bus, BusState, Queue, Settlement};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::bus::{event, number, numbers, publish, settle_all, take, typed, within};
use crate::rabbit_node::RabbitNode;

/// A virtual host of its own on the shared node.
struct Rabbit(Mutex<Option<(String, Arc<RabbitBus>)>>);

impl Rabbit {
    const fn new() -> Self {
        Self(Mutex::const_new(None))
    }

    async fn reopen(&self, bindings: fn(EventType) -> &'static [Queue]) -> Arc<RabbitBus> {
        let node = RabbitNode::shared().await;
        let mut open = self.0.lock().await;
        let vhost = match open.take() {
            Some((vhost, bus)) => {
                bus.close().await;
                vhost
            }
            None => node.vhost(),
        };
        let settings = settings(&node.url(&vhost)).with_bindings(bindings);
        let bus = Arc::new(RabbitBus::connect(settings).await.unwrap());
        *open = Some((vhost, Arc::clone(&bus)));
        bus
    }
}

pub fn settings(url: &str) -> RabbitSettings {
    RabbitSettings::new(SecretString::from(url))
}

fn without_drift(kind: EventType) -> &'static [Queue] {
    if kind == EventType::SelectorsDrifted { &[] } else { topology::queues(kind) }
}

#[async_trait]
impl crate::bus::BusFixture for Rabbit {
    async fn open(&self) -> Arc<dyn Bus> {
        self.reopen(topology::queues).await
    }

    async fn open_without_drift(&self) -> Arc<dyn Bus> {
        self.reopen(without_drift).await
    }

    fn returns_in_order(&self) -> bool {
        false
    }
}

mod rabbit_bus {
    bus_contract!(super::Rabbit::new());
}

/// A virtual host for one test: its bus, and a stranger's channel to meddle with.
struct Meddled {
    bus: RabbitBus,
    channel: Channel,
    url: String,
    _connection: Connection,
}

impl Meddled {
    async fn new(wish: impl FnOnce(&mut RabbitSettings)) -> Self {
        let node = RabbitNode::shared().await;
        let url = node.url(&node.vhost());
        let (connection, channel) = stranger(&url).await;
        let mut settings = settings(&url);
        wish(&mut settings);
        let bus = RabbitBus::connect(settings).await.unwrap();
        Self { bus, channel, url, _connection: connection }
    }

    async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    async fn depth(&self, queue: Queue) -> (u64, u64) {
        crate::bus::depth(&self.bus, queue).await
    }
}

/// Another program's connection.
async fn stranger(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn refused(settings: RabbitSettings) -> AnyFault {
    within(RabbitBus::connect(settings)).await.unwrap_err().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_arguments_is_reported_and_left_alone() {
    let node = RabbitNode::shared().await;
    let url = node.url(&node.vhost());
    let (_connection, channel) = stranger(&url).await;
    let name = Queue::Analyze.as_str();
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), name.into(), options, b"kept", BasicProperties::default()).await.unwrap();
    let fault = refused(settings(&url)).await;
    assert_eq!(
        (fault.code(), fault.class(), fault.scope()),
        (Code::TopologyMismatch, Class::Permanent, Scope::Process)
    );
    let text = fault.chain();
    assert!(text.contains("chatferry.analyze") && text.contains("inequivalent arg 'x-"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let level = channel.queue_declare(name.into(), passive, FieldTable::default()).await.unwrap();
    assert_eq!(level.message_count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_deleted_under_its_consumer_comes_back() {
    let rabbit = Meddled::new(|_| ()).await;
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 10).await.unwrap();
    publish(&rabbit.bus, [1]).await;
    let taken = take(&mut *archive, 1).await;
    rabbit.delete(Queue::Archive.as_str()).await;
    let fault = within(archive.next(10)).await.unwrap_err();
    assert!(fault.class().is_retryable(), "{fault:?}");
    assert!(within(archive.next(10)).await.is_err(), "it stays ended");
    drop((archive, taken));
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 10).await.unwrap();
    publish(&rabbit.bus, [2]).await;
    let taken = take(&mut *archive, 1).await;
    assert_eq!(numbers(&taken), [2]);
    settle_all(&mut *archive, &taken, &Settlement::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_missing_queue_made_unroutable_is_heard_of_and_can_go_out_again() {
    let rabbit = Meddled::new(|_| ()).await;
    publish(&rabbit.bus, [1]).await;
    rabbit.delete(Queue::Archive.as_str()).await;
    let outcomes = rabbit.bus.publish(&[event(2), event(3)]).await.unwrap();
    let codes: Vec<Code> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().code()).collect();
    assert_eq!(codes, [Code::Unroutable; 2]);
    publish(&rabbit.bus, [2, 3]).await;
    assert_eq!(rabbit.depth(Queue::Archive).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_exchange_comes_back() {
    let rabbit = Meddled::new(|_| ()).await;
    publish(&rabbit.bus, [1]).await;
    rabbit.channel.exchange_delete(EXCHANGE.into(), Default::default()).await.unwrap();
    let outcome = rabbit.bus.publish(&[event(2)]).await.unwrap().remove(0);
    assert!(outcome.unwrap_err().class().is_retryable());
    publish(&rabbit.bus, [2]).await;
    assert_eq!(rabbit.depth(Queue::Archive).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_loses_nothing() {
    let rabbit = Meddled::new(|settings| settings.limits.length = 10).await;
    let mut accepted = Vec::new();
    let mut refusals = 0;
    for n in 0..40 {
        match rabbit.bus.publish(&[event(n)]).await.unwrap().remove(0) {
            Ok(()) => accepted.push(n),
            Err(fault) => {
                assert_eq!((fault.code(), fault.class().is_retryable()), (Code::QueueFull, true));
                refusals += 1;
            }
        }
    }
    assert!(accepted.len() >= 10 && refusals > 0, "{accepted:?}");
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 100).await.unwrap();
    let taken = take(&mut *archive, accepted.len()).await;
    assert_eq!(numbers(&taken), accepted, "nothing was pushed out");
    settle_all(&mut *archive, &taken, &Settlement::Done).await;
    publish(&rabbit.bus, [99]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_buries_by_itself_is_a_dead_letter_like_others() {
    let rabbit = Meddled::new(|settings| settings.limits = Limits { deliveries: 2, ..Limits::default() }).await;
    publish(&rabbit.bus, [1]).await;
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 1).await.unwrap();
    for _ in 0..3 {
        let taken = take(&mut *archive, 1).await;
        settle_all(&mut *archive, &taken, &Settlement::HandBack).await;
    }
    let letter = within(async {
        loop {
            if let Some(letter) = rabbit.bus.list_dead().await.unwrap().pop() {
                return letter;
            }
        }
    })
    .await;
    assert_eq!((letter.id, letter.queue, letter.code.as_str()), (event(1).id, Queue::Archive, "delivery-limit"));
    assert!(letter.failed_at.as_second() > 1_700_000_000, "{:?}", letter.failed_at);
    assert_eq!(rabbit.bus.replay_dead(&[letter.id]).await.unwrap(), 1);
    assert_eq!(numbers(&take(&mut *archive, 1).await), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_returns_to_its_own_queue_only() {
    let rabbit = Meddled::new(|_| ()).await;
    let sent = typed(EventType::AccountChanged, 1);
    assert!(rabbit.bus.publish(&[sent]).await.unwrap()[0].is_ok());
    let mut mirror = rabbit.bus.subscribe(Queue::Mirror, 1).await.unwrap();
    for failures in 0..3 {
        let taken = take(&mut *mirror, 1).await;
        assert_eq!((number(&taken[0]), taken[0].failures), (1, failures));
        let retry = Settlement::Retry { after: Duration::ZERO, code: Code::MirrorFailed };
        settle_all(&mut *mirror, &taken, &retry).await;
        assert_eq!(rabbit.depth(Queue::Mirror).await, (1, 0), "never empty while it waits");
    }
    assert_eq!((rabbit.depth(Queue::Archive).await, rabbit.depth(Queue::Analyze).await), ((0, 0), (0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_is_handed_out_and_can_be_buried() {
    let rabbit = Meddled::new(|_| ()).await;
    let (queue, options) = (Queue::Archive.as_str(), BasicPublishOptions::default());
    rabbit.channel.basic_publish("".into(), queue.into(), options, b"{}", BasicProperties::default()).await.unwrap();
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 1).await.unwrap();
    let taken = take(&mut *archive, 1).await;
    assert_eq!((taken[0].body.as_slice(), taken[0].failures), (b"{}".as_slice(), 0));
    let dead = Settlement::Dead { code: Code::EventInvalid, reason: "no event".to_owned() };
    settle_all(&mut *archive, &taken, &dead).await;
    let letters = rabbit.bus.list_dead().await.unwrap();
    assert_eq!((letters.len(), letters[0].id, letters[0].kind.as_str()), (1, taken[0].id, ""));
    let process = format!("/{}", std::process::id());
    assert!(letters[0].failed_on.as_deref().is_some_and(|host| host.ends_with(&process)), "{:?}", letters[0].failed_on);
    assert_eq!(rabbit.bus.drop_dead(&[taken[0].id]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_program_can_bind_a_queue_and_read_events() {
    let rabbit = Meddled::new(|_| ()).await;
    let channel = &rabbit.channel;
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    let (name, key) = (queue.name().clone(), "message.captured.v1.*");
    let options = QueueBindOptions::default();
    channel.queue_bind(name.clone(), EXCHANGE.into(), key.into(), options, FieldTable::default()).await.unwrap();
    publish(&rabbit.bus, [1]).await;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume(name, "".into(), options, FieldTable::default()).await.unwrap();
    let delivery = within(consumer.next()).await.unwrap().unwrap();
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(delivery.routing_key.as_str(), "message.captured.v1.demo");
    assert_eq!(delivery.data, event(1).body);
    let (told, text) = (&delivery.properties, |text: &lapin::types::ShortString| text.to_string());
    assert_eq!(told.content_type().as_ref().map(text).as_deref(), Some("application/cloudevents+json"));
    assert_eq!(told.message_id().as_ref().map(text), Some(event(1).id.to_string()));
    assert_eq!(*told.delivery_mode(), Some(2), "persistent");
    assert!(told.headers().as_ref().unwrap().contains_key(topology::ATTEMPT_HEADER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_what_to_do_and_holds_no_password() {
    let node = RabbitNode::shared().await;
    let right = node.url("t0");
    let dead_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for (url, code, class, word) in [
        (right.replace("s3cret-canary", "wr0ng-canary"), Code::BusRefused, Class::Permanent, "ACCESS_REFUSED"),
        (right.replace("/t0", "/nowhere"), Code::BusRefused, Class::Permanent, "vhost"),
        (right.replace(&node.port.to_string(), &dead_port), Code::BusUnavailable, Class::RETRY, "refused"),
        (right.replace("amqp://", "http://"), Code::ConfigInvalid, Class::Permanent, "amqp://"),
    ] {
        let fault = refused(settings(&url)).await;
        assert_eq!((fault.code(), fault.class()), (code, class), "{fault:?}");
        let text = format!("{fault:?} {} {}", fault.chain(), fault.action());
        assert!(text.contains(word) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_bus_stays_closed() {
    let rabbit = Meddled::new(|_| ()).await;
    assert_eq!(rabbit.bus.state(), BusState::Connected);
    let mut archive = rabbit.bus.subscribe(Queue::Archive, 1).await.unwrap();
    rabbit.bus.close().await;
    assert_eq!(rabbit.bus.state(), BusState::Reconnecting);
    assert!(within(archive.next(1)).await.is_err());
    assert!(rabbit.bus.publish(&[event(1)]).await.unwrap_err().class().is_retryable());
    let again = RabbitBus::connect(settings(&rabbit.url)).await.unwrap();
    assert_eq!(again.dead_letters().await.unwrap(), 0, "{DEAD_QUEUE}");
}
