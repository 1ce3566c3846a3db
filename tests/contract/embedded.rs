//! The embedded adapters under the contracts, and what only they promise: kill -9 and a full disk.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chatferry::bus::{self, EmbeddedBus, topology};
use chatferry::domain::EventType;
use chatferry::ports::{Bus, Queue};
use chatferry::sqlite::{Database, Migration};
use chatferry::store;
use tempfile::TempDir;
use tokio::sync::Mutex;

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

    fn holds_an_id_once(&self) -> bool {
        true
    }
}

mod embedded_bus {
    bus_contract!(super::Embedded::new());
}
