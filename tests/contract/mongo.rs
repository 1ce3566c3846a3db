//! MongoDB under the contracts, against a real server, and what only it has to promise.

use std::sync::Arc;

use async_trait::async_trait;
use chatferry::ports::Store;
use chatferry::store::{MongoSettings, MongoStore};

use crate::mongod::{self, Mongod};

pub async fn connect(server: &Mongod, database: &str) -> MongoStore {
    MongoStore::connect(&settings(&server.uri(database))).await.unwrap()
}

fn settings(uri: &str) -> MongoSettings {
    MongoSettings { uri: uri.into() }
}

/// A database of its own on the server that all tests share.
struct Mongo {
    database: String,
}

impl Mongo {
    fn new() -> Self {
        Self { database: mongod::fresh_database() }
    }
}

#[async_trait]
impl crate::store::StoreFixture for Mongo {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(connect(mongod::shared().await, &self.database).await)
    }
}

mod mongo_store {
    store_contract!(super::Mongo::new());
}
