//! A broker that stops, dies, freezes or takes nothing, under a bus that goes on: nothing acknowledged is
//! lost, nothing is invented, and nobody waits for ever. Each test has a node of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use chatferry::bus::{RabbitBus, RabbitSettings};
use chatferry::fault::{AnyFault, Class, Code};
use chatferry::ports::{Bus, BusState, Queue, Settlement};
use secrecy::SecretString;
use tokio::process::Command;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::bus::{depth, event, number, numbers, publish, settle_all, take, within};
use crate::rabbit_node::{RabbitNode, Wishes};
use crate::rabbitmq::settings;

/// Longest wait for a bus to be well again.
const HEALING: Duration = Duration::from_secs(60);

/// A node is some hundred megabytes and starts with both processors: one of these tests at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// Looks again and again until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let end = Instant::now() + HEALING;
    while !is_so().await {
        assert!(Instant::now() < end, "in vain: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes `event(0)`, `event(1)`, … each until it is confirmed, up to the number that is given at last.
async fn publish_on(bus: RabbitBus, last: watch::Receiver<Option<u32>>, confirmed: watch::Sender<u32>) {
    let mut n = 0;
    while last.borrow().is_none_or(|last| n < last) {
        if let Ok(outcomes) = bus.publish(&[event(n)]).await
            && outcomes[0].is_ok()
        {
            n += 1;
            confirmed.send_replace(n);
        } else {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Takes and settles, and subscribes again after every fault; how often each came.
async fn consume_on(bus: RabbitBus, last: watch::Receiver<Option<u32>>) -> BTreeMap<u32, u32> {
    let mut seen = BTreeMap::new();
    loop {
        let Ok(mut archive) = bus.subscribe(Queue::Archive, 50).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        loop {
            if last.borrow().is_some_and(|last| seen.len() >= last as usize) {
                return seen;
            }
            match timeout(Duration::from_secs(1), archive.next(20)).await {
                Err(_) => (),
                Ok(Err(_)) => break,
                Ok(Ok(taken)) => {
                    taken.iter().for_each(|delivery| *seen.entry(number(delivery)).or_default() += 1);
                    let done = taken.iter().map(|delivery| (delivery.tag, Settlement::Done)).collect();
                    if archive.settle(done).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_and_kills_of_the_broker_lose_and_invent_nothing() {
    let _turn = TURN.acquire().await.unwrap();
    let node = RabbitNode::start().await;
    let bus = RabbitBus::connect(settings(&node.url(&node.vhost()))).await.unwrap();
    let (last, told) = watch::channel(None);
    let (confirmed, mut count) = watch::channel(0);
    let publisher = tokio::spawn(publish_on(bus.clone(), told.clone(), confirmed));
    let consumer = tokio::spawn(consume_on(bus.clone(), told));
    for kill in [false, true] {
        let before = *count.borrow();
        timeout(HEALING, count.wait_for(|count| *count > before + 50)).await.expect("it does not go on").unwrap();
        if kill {
            node.kill()
        } else {
            node.stop().await
        }
        until("the loss is noticed", async || bus.state() == BusState::Reconnecting).await;
        node.start_again().await;
    }
    let before = *count.borrow();
    timeout(HEALING, count.wait_for(|count| *count > before + 50)).await.expect("it does not go on").unwrap();
    let target = *count.borrow() + 50;
    last.send_replace(Some(target));
    timeout(HEALING, publisher).await.expect("not all was published").unwrap();
    let seen = timeout(HEALING, consumer).await.expect("not all came").unwrap();
    let expected: BTreeSet<u32> = (0..*count.borrow()).collect();
    let came: BTreeSet<u32> = seen.keys().copied().collect();
    let doubled = seen.values().filter(|count| **count > 1).count();
    assert_eq!(came, expected, "lost or invented; {doubled} doubled");
    // At most what was in hand or unconfirmed when it went away.
    assert!(doubled <= 2 * (50 + 1), "{doubled} doubled");
    assert_eq!(bus.state(), BusState::Connected);
    until("the queue is empty", async || depth(&bus, Queue::Archive).await == (0, 0)).await;
    // With nothing to publish and nobody subscribed, a look is enough to be well again.
    node.kill();
    until("the loss is noticed", async || bus.depths().await.is_err()).await;
    node.start_again().await;
    until("a look brings it back", async || bus.depths().await.is_ok()).await;
    assert_eq!(bus.state(), BusState::Connected);
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_broker_is_a_state_and_consumers_go_on() {
    let _turn = TURN.acquire().await.unwrap();
    let node = RabbitNode::start().await;
    let bus = RabbitBus::connect(settings(&node.url(&node.vhost()))).await.unwrap();
    publish(&bus, [1]).await;
    node.alarm(true);
    let fault = within(bus.publish(&[event(2)])).await;
    let code = match fault {
        Err(fault) => fault.code(),
        Ok(mut outcomes) => outcomes.remove(0).unwrap_err().code(),
    };
    assert_eq!(code, Code::BrokerBlocked);
    let BusState::Blocked { reason } = bus.state() else { panic!("{:?}", bus.state()) };
    assert!(reason.contains("memory"), "{reason}");
    let fault = bus.publish(&[event(3)]).await.unwrap_err();
    assert_eq!((fault.code(), fault.class().is_retryable()), (Code::BrokerBlocked, true));
    let mut archive = within(bus.subscribe(Queue::Archive, 10)).await.unwrap();
    let taken = take(&mut *archive, 1).await;
    assert_eq!(numbers(&taken), [1]);
    settle_all(&mut *archive, &taken, &Settlement::Done).await;
    node.alarm(false);
    until("it is free again", async || bus.state() == BusState::Connected).await;
    publish(&bus, [2, 3]).await;
    let mut came = BTreeSet::new();
    while came.len() < 2 {
        came.extend(numbers(&within(archive.next(10)).await.unwrap()));
    }
    assert_eq!(came, [2, 3].into());
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_holds_nobody_for_ever() {
    let _turn = TURN.acquire().await.unwrap();
    let node = RabbitNode::start().await;
    let mut wish = settings(&format!("{}?heartbeat=2", node.url(&node.vhost())));
    wish.patience = Duration::from_secs(2);
    let bus = RabbitBus::connect(wish).await.unwrap();
    publish(&bus, [1]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 1).await;
    node.freeze();
    let outcome = within(bus.publish(&[event(2)])).await.unwrap().remove(0);
    let fault = outcome.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (Code::BusUnavailable, Class::RETRY), "{fault:?}");
    assert!(within(archive.next(1)).await.is_err(), "the heartbeat ends the wait");
    assert!(within(bus.depths()).await.unwrap_err().class().is_retryable());
    assert!(within(bus.publish(&[event(2)])).await.is_err());
    assert_eq!(bus.state(), BusState::Reconnecting);
    node.thaw();
    drop((archive, taken));
    until("it can be published to", async || bus.publish(&[event(2)]).await.is_ok_and(|told| told[0].is_ok())).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let mut came = BTreeSet::new();
    while came.len() < 2 {
        came.extend(numbers(&within(archive.next(10)).await.unwrap()));
    }
    assert_eq!(came, [1, 2].into());
    assert_eq!(bus.state(), BusState::Connected);
    bus.close().await;
}

/// A certificate authority and a certificate of it for this host.
async fn certificates(folder: &std::path::Path) {
    let openssl = async |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().await.expect("openssl is missing: apt-get install openssl");
        assert!(status.success(), "openssl {arguments}");
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem").await;
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem").await;
    openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_only_a_broker_that_somebody_vouches_for_is_spoken_to() {
    let _turn = TURN.acquire().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path()).await;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = crate::rabbit_node::free_port();
    let conf = format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
        path("ca.pem"),
        path("cert.pem"),
        path("key.pem")
    );
    let node = RabbitNode::start_with(Wishes { vhosts: 1, conf }).await;
    let url = node.url("t0").replace("amqp://", "amqps://").replace(&node.port.to_string(), &port.to_string());
    let with = |ca: &str, url: &str| {
        let mut settings = settings(url);
        settings.ca_file = Some(folder.path().join(ca));
        settings
    };
    let named = url.replace("127.0.0.1", "localhost");
    let bus = RabbitBus::connect(with("ca.pem", &named)).await.unwrap();
    publish(&bus, [1]).await;
    bus.close().await;
    // An authority that nobody knows; then a name that is not the certificate's.
    for refused in [settings(&named), with("ca.pem", &url)] {
        let fault = AnyFault::from(within(RabbitBus::connect(refused)).await.unwrap_err());
        assert_eq!((fault.code(), fault.class()), (Code::BusRefused, Class::Permanent), "{fault:?}");
        assert!(fault.chain().contains("certificate") && !fault.chain().contains("canary"), "{fault:?}");
    }
    let missing = with("none.pem", &url);
    let fault = AnyFault::from(RabbitBus::connect(missing).await.unwrap_err());
    assert_eq!(fault.code(), Code::ConfigInvalid);
    assert!(fault.chain().contains("none.pem"), "{fault:?}");
    let plain = RabbitSettings::new(SecretString::from(url.replace("amqps://", "amqp://")));
    assert!(within(RabbitBus::connect(plain)).await.is_err(), "plain text on the port for TLS");
}
