//! The store of many machines: MongoDB 6, 7 or 8, a replica set, or (with a warning) a single server.
//!
//! Every write waits for the journal of the majority, every call has a deadline, and every write can be
//! repeated: a call that fails in passing (a step-down, a lost connection) is begun anew by looking.
//! No transactions, and nothing that only newer servers have.
//!
//! Must never put a document, a key's value or a part of the URI into an error.

mod archive;
mod budgets;
mod bulk;
mod connect;
mod conversations;
mod error;
mod gaps;
mod leases;
mod migrate;
mod mirrored;
mod records;
mod rows;
mod schema;
mod tally;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::{Client, Cursor, Database};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::StoreError;
use crate::domain::event::MessageCaptured;
use crate::domain::{
    AccountId, AccountStatus, Analysis, AnalysisId, Balance, Conversation, ConversationKey, Digest, Gap, MessageKey,
    Purse, Usage,
};
use crate::fault::{AnyFault, Fault};
use crate::ports::{
    Archived, Budgets, ConversationFilter, Counts, Draw, DueConversation, DueRule, Lease, Leases, MessageRange,
    Reservation, Reserved, Store, StoredMessage,
};
use crate::resilience::RetrySchedule;
pub use connect::{MongoSettings, Topology, TopologyKind};
pub use error::{Cause, MongoError};

/// The names of collections and of the index that is named in a query.
mod names {
    pub(super) const ACCOUNTS: &str = "accounts";
    pub(super) const CONVERSATIONS: &str = "conversations";
    pub(super) const MESSAGES: &str = "messages";
    pub(super) const ANALYSES: &str = "analyses";
    pub(super) const GAPS: &str = "gaps";
    pub(super) const MIRROR_ROWS: &str = "mirror_rows";
    pub(super) const LEASES: &str = "leases";
    pub(super) const SPENDING: &str = "spending";
    pub(super) const SCHEMA_MIGRATIONS: &str = "schema_migrations";
    pub(super) const MESSAGES_IN_ORDER: &str = "messages_in_order";
}

/// Attempts at one call. The driver repeats a write once by itself; this outlasts an election.
const RETRIES: RetrySchedule = RetrySchedule::new(Duration::from_millis(100), Duration::from_secs(2), 5);
/// Longest life of one attempt: a connection on which nothing comes any more is given up.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Longest life of one call, all attempts together.
const CALL: Duration = Duration::from_secs(30);

/// From this size on a batch waits for its turn, which gives the next one time to grow. Each batch costs the
/// server two journalled commits whatever its size: two at a time were 130 events each and took all of it
/// (docs/benchmarks.md). A few events are stored at once, beside whatever is under way.
const LARGE: usize = 16;

/// MongoDB as the store; clones share its connections.
#[derive(Debug, Clone)]
pub struct MongoStore {
    client: Client,
    name: String,
    topology: Topology,
    database: Database,
    /// Held by whoever stores a [`LARGE`] batch.
    bulk: Arc<Mutex<()>>,
}

impl MongoStore {
    /// Connects, looks what it is connected to, and creates or migrates the collections.
    ///
    /// # Errors
    /// Permanent `config-invalid` for a URI that is none or names no database, `database-failed` if a
    /// newer chatferry has used the database; critical `store-refused` for a refused login; retryable
    /// `store-unavailable` if no primary answers.
    pub async fn connect(settings: &MongoSettings) -> Result<Self, AnyFault> {
        let (client, name) = connect::client(settings).await.map_err(StoreError::from)?;
        let topology = patiently(|_| connect::topology(&client, &name)).await?;
        if topology.kind == TopologyKind::Standalone {
            tracing::warn!(
                mongodb.version = topology.version,
                "MongoDB runs without a replica set: a write may fail that a replica set would repeat"
            );
        }
        let database = connect::database(&client, &name, &topology.kind);
        patiently(|_| migrate::run(&database)).await?;
        Ok(Self { client, name, topology, database, bulk: Arc::default() })
    }

    /// What the server was when it was connected to.
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Asks the server what it is now: for `doctor`.
    ///
    /// # Errors
    /// As [`MongoStore::connect`].
    pub async fn ask_topology(&self) -> Result<Topology, AnyFault> {
        patiently(|_| connect::topology(&self.client, &self.name)).await
    }

    /// Closes the connections once nothing uses them; every other handle fails from then on.
    pub async fn close(self) {
        self.client.shutdown().immediate(true).await;
    }
}

/// Calls until it succeeds, the fault is a lasting one, or the attempts or the time are used up. The
/// work is told the number of the attempt, from 1.
async fn patiently<T, F: Future<Output = Result<T, MongoError>>>(work: impl Fn(u32) -> F) -> Result<T, AnyFault> {
    let attempts = async {
        let mut attempt = 1;
        loop {
            let outcome = timeout(ATTEMPT, work(attempt)).await.unwrap_or(Err(MongoError::TooSlow));
            let Err(error) = outcome else { return outcome };
            let Some(wait) = RETRIES.delay_for(attempt, error.class(), fastrand::f64()) else { return Err(error) };
            tracing::debug!(error.reason = %error, attempt, "a call of the store is tried again");
            sleep(wait).await;
            attempt += 1;
        }
    };
    let outcome = timeout(CALL, attempts).await.unwrap_or(Err(MongoError::TooSlow));
    Ok(outcome.map_err(StoreError::from)?)
}

/// Everything that a cursor gives.
async fn all<T: DeserializeOwned + Unpin + Send + Sync>(cursor: Cursor<T>) -> Result<Vec<T>, MongoError> {
    Ok(cursor.try_collect().await?)
}

fn unless_stale(account: &AccountId, taken: bool) -> Result<(), AnyFault> {
    if taken { Ok(()) } else { Err(StoreError::LeaseLost { account: account.clone() }.into()) }
}

#[async_trait]
impl Store for MongoStore {
    async fn archive(&self, batch: &[MessageCaptured], rule: DueRule, now: Timestamp) -> Result<Archived, AnyFault> {
        if batch.is_empty() {
            return Ok(Archived::default());
        }
        let batch = archive::Batch::of(batch);
        let _turn = if batch.len() >= LARGE { Some(self.bulk.lock().await) } else { None };
        patiently(|attempt| archive::archive(&self.database, &batch, rule, now, attempt > 1)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueConversation>, AnyFault> {
        patiently(|_| conversations::due(&self.database, now, limit)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, AnyFault> {
        patiently(|_| conversations::next_due(&self.database)).await
    }

    async fn requested(&self, conversation: &ConversationKey, up_to: &MessageKey, edits: u64) -> Result<(), AnyFault> {
        patiently(|_| conversations::requested(&self.database, conversation, up_to, edits)).await
    }

    async fn conversation(&self, key: &ConversationKey) -> Result<Option<Conversation>, AnyFault> {
        patiently(|_| conversations::one(&self.database, key)).await
    }

    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<Conversation>, AnyFault> {
        patiently(|_| conversations::list(&self.database, filter)).await
    }

    async fn messages(&self, key: &ConversationKey, range: MessageRange) -> Result<Vec<StoredMessage>, AnyFault> {
        patiently(|_| conversations::messages(&self.database, key, range)).await
    }

    async fn save_analysis(&self, analysis: &Analysis) -> Result<bool, AnyFault> {
        patiently(|_| records::save_analysis(&self.database, analysis)).await
    }

    async fn analysis(&self, id: &AnalysisId) -> Result<Option<Analysis>, AnyFault> {
        patiently(|_| records::analysis(&self.database, id)).await
    }

    async fn latest_analysis(
        &self,
        conversation: &ConversationKey,
        model: &str,
        prompt_version: &str,
    ) -> Result<Option<Analysis>, AnyFault> {
        patiently(|_| records::latest_analysis(&self.database, conversation, model, prompt_version)).await
    }

    async fn answer_to(&self, question: &Digest) -> Result<Option<Analysis>, AnyFault> {
        patiently(|_| records::answer_to(&self.database, question)).await
    }

    async fn latest_analyses(&self) -> Result<HashMap<ConversationKey, Analysis>, AnyFault> {
        patiently(|_| records::latest_analyses(&self.database)).await
    }

    async fn save_account(&self, status: &AccountStatus, epoch: Option<u64>) -> Result<(), AnyFault> {
        let taken = patiently(|_| records::save_account(&self.database, status, epoch)).await?;
        unless_stale(&status.account, taken)
    }

    async fn accounts(&self) -> Result<Vec<AccountStatus>, AnyFault> {
        patiently(|_| records::accounts(&self.database)).await
    }

    async fn record_gap(&self, gap: &Gap, epoch: Option<u64>) -> Result<(), AnyFault> {
        let taken = patiently(|_| gaps::record(&self.database, gap, epoch)).await?;
        unless_stale(&gap.account, taken)
    }

    async fn open_gaps(&self) -> Result<Vec<Gap>, AnyFault> {
        patiently(|_| gaps::open(&self.database)).await
    }

    async fn counts(&self, account: Option<&AccountId>) -> Result<Counts, AnyFault> {
        patiently(|_| conversations::counts(&self.database, account)).await
    }

    async fn mirrored(&self, target: &str) -> Result<HashMap<ConversationKey, [u8; 16]>, AnyFault> {
        patiently(|_| mirrored::read(&self.database, target)).await
    }

    async fn save_mirrored(&self, target: &str, rows: &HashMap<ConversationKey, [u8; 16]>) -> Result<(), AnyFault> {
        patiently(|_| mirrored::save(&self.database, target, rows)).await
    }
}

#[async_trait]
impl Leases for MongoStore {
    async fn acquire(&self, account: &AccountId, owner: &str, ttl: Duration) -> Result<Option<Lease>, AnyFault> {
        patiently(|_| leases::acquire(&self.database, account, owner, ttl)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, AnyFault> {
        patiently(|_| leases::renew(&self.database, lease, ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), AnyFault> {
        patiently(|_| leases::release(&self.database, lease)).await
    }

    async fn holder(&self, account: &AccountId) -> Result<Option<Lease>, AnyFault> {
        patiently(|_| leases::holder(&self.database, account)).await
    }
}

#[async_trait]
impl Budgets for MongoStore {
    async fn reserve(
        &self,
        reservation: &Reservation,
        draws: &[Draw],
        most: Usage,
        ttl: Duration,
    ) -> Result<Reserved, AnyFault> {
        patiently(|_| budgets::reserve(&self.database, reservation, draws, most, ttl)).await
    }

    async fn settle(
        &self,
        reservation: &Reservation,
        used: Usage,
        analysis: Option<&Analysis>,
    ) -> Result<bool, AnyFault> {
        // The answer first: it is paid for. Until it is counted, what was set aside for it is.
        let saved = match analysis {
            Some(analysis) => self.save_analysis(analysis).await?,
            None => false,
        };
        patiently(|_| budgets::settle(&self.database, reservation, used)).await?;
        Ok(saved)
    }

    async fn balance(&self, purse: &Purse) -> Result<Balance, AnyFault> {
        patiently(|_| budgets::balance(&self.database, purse)).await
    }
}
