//! The embedded adapters under the contracts, and what only they promise: kill -9 and a full disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::bus::{self, EmbeddedBus, topology};
use chatferry::domain::EventType;
use chatferry::fault::{Code, Scope};
use chatferry::ports::{Bus, Outgoing, Queue, Settlement, Store};
use chatferry::sqlite::{Database, Migration};
use chatferry::store::{self, SqliteStore};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::bus::{event, number, publish, settle_all, take};

/// One file for bus and store, as in the daemon.
pub fn migrations() -> Vec<Migration> {
    [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat()
}

pub fn open(folder: &Path) -> Database {
    Database::open(&folder.join("chatferry.db"), &migrations()).unwrap()
}

struct Embedded {
    folder: TempDir,
    open: Mutex<Option<Database>>,
}

impl Embedded {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), open: Mutex::new(None) }
    }

    async fn reopen(&self) -> Database {
        let mut open_now = self.open.lock().await;
        if let Some(database) = open_now.take() {
            database.close().await;
        }
        open_now.insert(open(self.folder.path())).clone()
    }
}

fn without_drift(kind: EventType) -> &'static [Queue] {
    if kind == EventType::SelectorsDrifted { &[] } else { topology::queues(kind) }
}

#[async_trait]
impl crate::bus::BusFixture for Embedded {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(EmbeddedBus::open(self.reopen().await).await.unwrap())
    }

    async fn open_without_drift(&self) -> Arc<dyn Bus> {
        Arc::new(EmbeddedBus::with_bindings(self.reopen().await, without_drift).await.unwrap())
    }
}

#[async_trait]
impl crate::store::StoreFixture for Embedded {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.reopen().await))
    }
}

mod embedded_bus {
    bus_contract!(super::Embedded::new());
    bus_contract!(@each super::Embedded::new(); an_id_is_held_once);
}

#[async_trait]
impl crate::leases::LeasesFixture for Embedded {
    async fn open(&self) -> Arc<dyn crate::leases::Keeper> {
        Arc::new(SqliteStore::open(self.reopen().await))
    }
}

mod embedded_store {
    store_contract!(super::Embedded::new());
}

#[async_trait]
impl crate::budgets::BudgetsFixture for Embedded {
    async fn open(&self) -> Arc<dyn crate::budgets::Keeper> {
        Arc::new(SqliteStore::open(self.reopen().await))
    }
}

mod embedded_budgets {
    budgets_contract!(super::Embedded::new());
}

mod embedded_leases {
    leases_contract!(super::Embedded::new());
}

/// The child takes, settles, and says what was acknowledged; the parent kills it with SIGKILL while
/// it goes on, and counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_everything_published_is_done_dead_or_pending() {
    const ROLE: &str = "CHATFERRY_TEST_BUS_CHILD";
    const EVENTS: u32 = 100;
    if let Some(folder) = std::env::var_os(ROLE) {
        work_until_killed(Path::new(&folder), EVENTS).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::after_kill_9_everything_published_is_done_dead_or_pending", "--nocapture"])
        .env(ROLE, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for line in lines.filter_map(|line| line.split_once("told ").map(|(_, told)| told.to_owned())) {
        let (what, n) = line.split_once(' ').unwrap();
        told.entry(what.to_owned()).or_default().push(n.parse().unwrap());
        if what == "taken" {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let bus = EmbeddedBus::open(open(folder.path())).await.unwrap();
    let dead = bus.list_dead().await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.id).collect::<Vec<_>>(), [event(told["dead"][0]).id]);
    let mut archive = bus.subscribe(Queue::Archive, 1000).await.unwrap();
    let gone: BTreeSet<u32> = told["done"].iter().chain(&told["dead"]).copied().collect();
    let pending: Vec<u32> = (0..EVENTS).filter(|n| !gone.contains(n)).collect();
    let again = take(&mut *archive, pending.len()).await;
    let came: BTreeSet<u32> = again.iter().map(number).collect();
    assert_eq!(came, pending.iter().copied().collect());
    for delivery in &again {
        let n = number(delivery);
        assert_eq!(delivery.failures, u32::from(told["retry"].contains(&n)), "{n}");
        assert_eq!(delivery.redelivered, n < 20, "{n}: the first 20 were handed out");
    }
}

async fn work_until_killed(folder: &Path, events: u32) {
    let mut out = std::io::stdout();
    let mut tell = |what: &str, n: u32| writeln!(out, "told {what} {n}").unwrap();
    let bus = EmbeddedBus::open(open(folder)).await.unwrap();
    publish(&bus, 0..events).await;
    let mut archive = bus.subscribe(Queue::Archive, 20).await.unwrap();
    let taken = take(&mut *archive, 20).await;
    let retry = Settlement::Retry { after: Duration::ZERO, code: Code::DatabaseFailed };
    let dead = Settlement::Dead { code: Code::EventInvalid, reason: "broken".to_owned() };
    let outcomes = [("done", Settlement::Done), ("retry", retry), ("dead", dead), ("done", Settlement::Done)];
    for (delivery, (what, settlement)) in taken.iter().zip(outcomes) {
        archive.settle(vec![(delivery.tag, settlement)]).await.unwrap();
        tell(what, number(delivery));
    }
    tell("taken", number(&taken[19]));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_full_disk_holds_publishing_up_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let bus = EmbeddedBus::open(database.clone()).await.unwrap();
    database.limit_pages(60).await.unwrap();
    let mut accepted = 0;
    let refusal = loop {
        match bus.publish(&(accepted..accepted + 10).map(event).collect::<Vec<_>>()).await {
            Ok(_) => accepted += 10,
            Err(refusal) => break refusal,
        }
    };
    assert!(accepted > 0);
    assert!(refusal.class().is_retryable());
    assert_eq!((refusal.code(), refusal.scope()), (Code::DiskFull, Scope::Process));
    database.limit_pages(10_000).await.unwrap();
    publish(&bus, accepted..accepted + 10).await;
    let mut archive = bus.subscribe(Queue::Archive, 60_000).await.unwrap();
    let taken = take(&mut *archive, accepted as usize + 10).await;
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), (0..accepted + 10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_could_not_be_settled_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let bus = EmbeddedBus::open(database.clone()).await.unwrap();
    bus.publish(&[Outgoing { body: vec![b' '; 50_000], ..event(1) }, event(2)]).await.unwrap();
    let mut archive = bus.subscribe(Queue::Archive, 2).await.unwrap();
    let taken = take(&mut *archive, 2).await;
    // A dead letter needs room of its own before the queue gives any back.
    database.limit_pages(1).await.unwrap();
    let dead = Settlement::Dead { code: Code::Internal, reason: "a cause".to_owned() };
    let both = vec![(taken[0].tag, dead), (taken[1].tag, Settlement::Done)];
    let refusal = archive.settle(both.clone()).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.class().is_retryable()), (Code::DiskFull, true));
    database.limit_pages(10_000).await.unwrap();
    // The old tags are void; both come to the same hands, although its prefetch was used up.
    archive.settle(both).await.unwrap();
    let again = take(&mut *archive, 2).await;
    assert_eq!(
        again.iter().map(|d| (d.id, d.redelivered)).collect::<Vec<_>>(),
        [(event(1).id, true), (event(2).id, true)]
    );
    assert_eq!(bus.dead_letters().await.unwrap(), 0);
}

/// A settlement whose caller went away: what it held comes again or is done, and the hand is free.
#[tokio::test]
async fn a_cancelled_settlement_leaves_nothing_in_hand() {
    let folder = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(open(folder.path())).await.unwrap();
    for round in 0..20 {
        publish(&bus, [round]).await;
        let mut archive = bus.subscribe(Queue::Archive, 1).await.unwrap();
        let taken = take(&mut *archive, 1).await;
        let mut settling = archive.settle(vec![(taken[0].tag, Settlement::Done)]);
        let _ = futures::poll!(&mut settling);
        drop(settling);
        // Published behind it, so that the next delivery tells: the write was submitted, and is done.
        publish(&bus, [1000 + round]).await;
        let next = take(&mut *archive, 1).await;
        assert_eq!(number(&next[0]), 1000 + round);
        settle_all(&mut *archive, &next, &Settlement::Done).await;
    }
    assert!(bus.depths().await.unwrap().iter().all(|depth| depth.ready + depth.in_flight == 0));
}
