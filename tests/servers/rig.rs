//! A small deployment: a spool with its relay in this process, consumers as processes of their own, and
//! between them and the servers a network that can be made to fail.

#![allow(clippy::print_stdout)] // only where a test fails

use std::fs::File;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use chatferry::bus::{RabbitBus, RabbitSettings};
use chatferry::collect::{Relay, Spool};
use chatferry::lifecycle::Lifecycle;
use chatferry::ports::{Bus, Store};
use chatferry::store::{MongoSettings, MongoStore};
use chatferry::telemetry::Counters;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::mongod::{Mongod, fresh_database};
use crate::oracle;
use crate::rabbitmq::RabbitNode;
use crate::script::Script;
use crate::support::processes::send;
use crate::support::proxy::Proxy;
use crate::support::{Place, eventually};

/// The roles of a process that consumes.
pub const CONSUMING: &str = "archive,analyze,mirror";
/// Longest wait for a process to end.
const ENDS: Duration = Duration::from_secs(60);

/// Where the servers are, through proxies and without them.
#[derive(Debug)]
pub struct Net {
    /// In front of the broker.
    pub bus: Proxy,
    /// In front of the database.
    pub store: Proxy,
    bus_url: String,
    database: String,
    vhost: String,
}

impl Net {
    /// A virtual host and a database that nobody else has.
    pub fn between(rabbit: &RabbitNode, mongod: &Mongod, seed: u64) -> Self {
        let vhost = rabbit.vhost();
        let database = fresh_database();
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            bus: Proxy::seeded(address(rabbit.port), seed),
            store: Proxy::seeded(address(mongod.port()), seed + 1),
            bus_url: rabbit.url(&vhost),
            database,
            vhost,
        }
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The broker through its proxy.
    pub fn rabbitmq_url(&self) -> String {
        through(&self.bus_url, self.bus.addr())
    }

    /// The database through its proxy; the driver is not to look for members behind it.
    pub fn mongodb_uri(&self) -> String {
        format!("mongodb://{}/{}?directConnection=true&serverSelectionTimeoutMS=3000", self.store.addr(), self.database)
    }

    /// A place whose program uses both.
    pub fn place(&self) -> Place {
        Place::new()
            .with("RABBITMQ_URL", self.rabbitmq_url())
            .with("MONGODB_URI", self.mongodb_uri())
            .with("CHATFERRY_ANALYSIS_QUIET", "300ms")
            .with("CHATFERRY_ANALYSIS_MAX_WAIT", "2s")
            .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
            .with("LOG_FORMAT", "text")
    }

    /// Undoes every fault.
    pub async fn heal(&self) {
        self.bus.heal().await;
        self.store.heal().await;
    }
}

fn through(url: &str, proxy: SocketAddr) -> String {
    let (head, rest) = url.rsplit_once('@').unwrap();
    let path = rest.split_once('/').unwrap().1;
    format!("{head}@{proxy}/{path}")
}

/// A process that consumes; killed when dropped.
#[derive(Debug)]
pub struct Consumer {
    place: Place,
    arguments: Vec<String>,
    child: Child,
}

impl Consumer {
    /// Starts one of these roles.
    pub fn start(place: Place, roles: &str) -> Self {
        let arguments: Vec<String> = ["run", "--role", roles].map(str::to_owned).to_vec();
        let child = spawn(&place, &arguments);
        Self { place, arguments, child }
    }

    /// Its number, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.child.id().map(u32::cast_signed)
    }

    /// Everything that it and those before it wrote to the log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.folder().join("log")).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            send(pid, signal);
        }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(ENDS, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("it does not end:\n{}", self.log()))
            .unwrap()
    }

    /// Starts it again in the same place.
    pub fn again(&mut self) {
        self.child = spawn(&self.place, &self.arguments);
    }

    /// With another environment from the next start on.
    pub fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    /// Stops it as a supervisor would; it must end well.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}: it was to end well");
    }
}

impl Drop for Consumer {
    /// A test that fails shows what its processes said last: their folders go with it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            for line in last.into_iter().rev() {
                println!("process {:?}: {line}", self.pid());
            }
        }
    }
}

fn spawn(place: &Place, arguments: &[String]) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let log = File::options().create(true).append(true).open(place.folder().join("log")).unwrap();
    // Nobody reads while the test goes on: a pipe would fill up.
    place.command(&arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A spool and the relay that empties it.
pub struct Producer {
    /// The spool.
    pub spool: Arc<Spool>,
    store: Arc<dyn Store>,
    url: String,
    /// What its relay counted, all lives together.
    pub counters: Arc<Counters>,
    relay: Option<(Lifecycle, JoinHandle<()>, RabbitBus)>,
    _folder: TempDir,
}

impl Producer {
    async fn start(net: &Net, store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::open(folder.path(), false).unwrap());
        let counters = Arc::new(Counters::default());
        let mut producer = Self { spool, store, url: net.rabbitmq_url(), counters, relay: None, _folder: folder };
        producer.restart_relay().await;
        producer
    }

    /// Ends the relay where it stands, without a goodbye, and starts another.
    pub async fn restart_relay(&mut self) {
        if let Some((_, running, _)) = self.relay.take() {
            running.abort();
        }
        let url = &self.url;
        let bus = eventually("the relay's bus is connected", async || connect(url).await).await;
        let lifecycle = Lifecycle::new();
        let relay = Relay {
            spool: self.spool.clone(),
            bus: Arc::new(bus.clone()),
            store: self.store.clone(),
            lifecycle: lifecycle.clone(),
            counters: self.counters.clone(),
        };
        let running = tokio::spawn(async move { relay.run().await });
        self.relay = Some((lifecycle, running, bus));
    }

    /// The relay's own bus.
    pub fn bus(&self) -> &RabbitBus {
        &self.relay.as_ref().unwrap().2
    }

    async fn stop(mut self) {
        let (lifecycle, running, bus) = self.relay.take().unwrap();
        lifecycle.stop();
        tokio::time::timeout(ENDS, running).await.expect("the relay does not end").unwrap();
        bus.close().await;
    }
}

async fn connect(url: &str) -> Option<RabbitBus> {
    RabbitBus::connect(RabbitSettings::new(url.to_owned().into())).await.ok()
}

/// The deployment.
pub struct Rig {
    /// What is said.
    pub script: Script,
    /// The network.
    pub net: Net,
    /// The collector's side.
    pub producer: Producer,
    /// The other side.
    pub consumers: Vec<Consumer>,
    /// The broker, as the test sees it.
    pub bus: Arc<dyn Bus>,
    /// The store, as the test sees it.
    pub store: Arc<dyn Store>,
}

impl Rig {
    /// Starts it, with so many processes that consume.
    pub async fn start(rabbit: &RabbitNode, mongod: &Mongod, script: Script, consumers: usize) -> Self {
        let net = Net::between(rabbit, mongod, script.seed);
        let observed = RabbitSettings::new(rabbit.url(net.vhost()).into());
        let bus: Arc<dyn Bus> = Arc::new(RabbitBus::connect(observed).await.unwrap());
        let uri = mongod.uri(&net.database).into();
        let store: Arc<dyn Store> = Arc::new(MongoStore::connect(&MongoSettings { uri }).await.unwrap());
        let producer = Producer::start(&net, store.clone()).await;
        let consumers = (0..consumers).map(|_| Consumer::start(net.place(), CONSUMING)).collect();
        Self { script, net, producer, consumers, bus, store }
    }

    /// Spools everything at once.
    pub async fn say_all(&self) {
        for capture in self.script.captures(40) {
            self.producer.spool.commit(capture).await.unwrap();
        }
    }

    /// Waits until all is at rest, demands that nothing is lost, invented or doubled, and stops everything,
    /// which must end well. What the consumers logged.
    pub async fn assert_whole(mut self) -> Vec<String> {
        self.net.heal().await;
        for consumer in &mut self.consumers {
            if consumer.pid().is_none() {
                consumer.again();
            }
        }
        oracle::assert_whole(&*self.producer.spool, &self.bus, &self.store, &self.script).await;
        let logs = self.consumers.iter().map(Consumer::log).collect();
        for consumer in self.consumers {
            consumer.stop().await;
        }
        self.producer.stop().await;
        self.bus.close().await;
        logs
    }
}
