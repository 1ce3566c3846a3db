//! The relay against a bus that refuses and fails as told: nothing leaves the spool without a confirm,
//! and nothing is kept that was confirmed.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chatferry::collect::{Relay, Spool};
use chatferry::domain::event::AccountChanged;
use chatferry::domain::{AccountId, AccountState, Envelope, Event, EventId};
use chatferry::fault::AnyFault;
use chatferry::lifecycle::Lifecycle;
use chatferry::ports::{Backlog, Bus, DeadLetter, Deliveries, Outgoing, Queue, QueueDepth};
use chatferry::sqlite::{Database, SqliteError};
use chatferry::store::SqliteStore;

/// More than the relay sends at once, twice.
const MANY: i64 = 2_007;
const DEADLINE: Duration = Duration::from_secs(60);

/// Takes everything but what it was told to refuse; fails as a whole at one call.
#[derive(Default)]
struct Scripted {
    taken: Mutex<Vec<EventId>>,
    refuses: Option<EventId>,
    fails_at: Option<usize>,
    calls: Mutex<usize>,
}

#[async_trait]
impl Bus for Scripted {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        if self.fails_at == Some(call) {
            return Err(SqliteError::Closed.into());
        }
        let mut taken = self.taken.lock().unwrap();
        let mut take = |event: &Outgoing| {
            if self.refuses == Some(event.id) {
                return Err(SqliteError::Closed.into());
            }
            taken.push(event.id);
            Ok(())
        };
        Ok(batch.iter().map(&mut take).collect())
    }
    async fn subscribe(&self, _: Queue, _: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        Err(SqliteError::Closed.into())
    }
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        Ok(Vec::new())
    }
    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        Ok(0)
    }
    async fn probe(&self) -> Result<(), AnyFault> {
        Ok(())
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        Ok(Vec::new())
    }
    async fn replay_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        Ok(0)
    }
    async fn drop_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        Ok(0)
    }
}

/// A spool of so many events, and their ids in order.
async fn spool(folder: &Path, count: i64) -> (Arc<Spool>, Vec<EventId>) {
    let spool = Spool::open(folder, false).unwrap();
    let account: AccountId = "demo/default".parse().unwrap();
    let envelopes: Vec<Envelope> = (0..count)
        .map(|second| {
            let since = jiff::Timestamp::from_second(second).unwrap();
            let (account, state) = (account.clone(), AccountState::Live);
            Envelope::new(
                Event::AccountChanged(AccountChanged { account, state, code: None, action: None, since }),
                since,
            )
        })
        .collect();
    futures::future::try_join_all(envelopes.iter().map(|envelope| spool.enqueue(envelope))).await.unwrap();
    (Arc::new(spool), envelopes.iter().map(|envelope| envelope.id).collect())
}

/// Runs a relay until the spool holds `left` events and the bus has taken `taken`, then stops it.
async fn relay_until(folder: &Path, spool: &Arc<Spool>, bus: &Arc<Scripted>, taken: usize, left: u64) {
    let store = Database::open(&folder.join("store.db"), chatferry::store::sqlite::MIGRATIONS).unwrap();
    let lifecycle = Lifecycle::new();
    let relay = Relay {
        spool: spool.clone(),
        bus: bus.clone(),
        store: Arc::new(SqliteStore::open(store)),
        lifecycle: lifecycle.clone(),
        counters: Arc::default(),
    };
    let running = tokio::spawn(async move { relay.run().await });
    let reached = async {
        while bus.taken.lock().unwrap().len() < taken || spool.pending().await.unwrap() > left {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.expect("the relay does not get there");
    lifecycle.stop();
    tokio::time::timeout(DEADLINE, running).await.expect("the relay does not stop").unwrap();
}

#[tokio::test]
async fn every_batch_goes_out_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, ids) = spool(folder.path(), MANY).await;
    let bus = Arc::new(Scripted::default());
    relay_until(folder.path(), &spool, &bus, ids.len(), 0).await;
    assert_eq!(*bus.taken.lock().unwrap(), ids);
    assert_eq!(spool.pending().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_refused_stays_and_what_was_taken_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, ids) = spool(folder.path(), MANY).await;
    let bus = Arc::new(Scripted { refuses: Some(ids[4]), ..Scripted::default() });
    relay_until(folder.path(), &spool, &bus, ids.len() - 1, 1).await;
    let left: Vec<EventId> = spool.waiting(0, 10).await.unwrap().iter().map(|pending| pending.outgoing.id).collect();
    assert_eq!(left, [ids[4]]);
}

#[tokio::test]
async fn a_bus_that_goes_away_in_between_gets_every_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, ids) = spool(folder.path(), MANY).await;
    let bus = Arc::new(Scripted { fails_at: Some(2), ..Scripted::default() });
    relay_until(folder.path(), &spool, &bus, ids.len(), 0).await;
    assert_eq!(*bus.taken.lock().unwrap(), ids);
}
