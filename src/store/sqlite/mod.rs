//! The store of one machine: tables in the SQLite file that the bus shares.
//!
//! Reads see one snapshot each and never wait for a write; writes are durable when they return. Times
//! are kept in microseconds.

mod archive;
mod budgets;
mod conversations;
mod leases;
mod records;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use super::StoreError;
use crate::domain::event::MessageCaptured;
use crate::domain::{
    AccountId, AccountStatus, Analysis, AnalysisId, Balance, Conversation, ConversationKey, Digest, Gap, MessageKey,
    Purse, Usage,
};
use crate::fault::AnyFault;
use crate::ports::{
    Archived, Budgets, Clock, ConversationFilter, Counts, Draw, DueConversation, DueRule, Lease, Leases, MessageRange,
    Reservation, Reserved, Store, StoredMessage, SystemClock,
};
use crate::sqlite::{Database, SqliteError};
pub use schema::MIGRATIONS;

/// The embedded store; clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("database", &self.database).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// The store in this file, which was opened with [`MIGRATIONS`].
    pub fn open(database: Database) -> Self {
        Self::with_clock(database, Arc::new(SystemClock))
    }

    /// The same with leases that run out by this clock.
    pub fn with_clock(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, AnyFault> {
        Ok(self.database.read(work).await.map_err(StoreError::from)?)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, AnyFault> {
        Ok(self.database.write(work).await.map_err(StoreError::from)?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn archive(&self, batch: &[MessageCaptured], rule: DueRule, now: Timestamp) -> Result<Archived, AnyFault> {
        let prepared = archive::prepare(batch);
        self.write(move |c| archive::write(c, &prepared, rule, now)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueConversation>, AnyFault> {
        self.read(move |c| conversations::due(c, now.as_microsecond(), limit)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, AnyFault> {
        self.read(|c| conversations::next_due(c)?.map(rows::time).transpose()).await
    }

    async fn requested(&self, conversation: &ConversationKey, up_to: &MessageKey, edits: u64) -> Result<(), AnyFault> {
        let (conversation, up_to) = (*conversation, *up_to);
        self.write(move |c| conversations::requested(c, &conversation, &up_to, edits)).await
    }

    async fn conversation(&self, key: &ConversationKey) -> Result<Option<Conversation>, AnyFault> {
        let key = *key;
        self.read(move |c| conversations::one(c, &key)).await
    }

    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<Conversation>, AnyFault> {
        let filter = filter.clone();
        self.read(move |c| conversations::list(c, &filter)).await
    }

    async fn messages(&self, key: &ConversationKey, range: MessageRange) -> Result<Vec<StoredMessage>, AnyFault> {
        let key = *key;
        self.read(move |c| conversations::messages(c, &key, range)).await
    }

    async fn save_analysis(&self, analysis: &Analysis) -> Result<bool, AnyFault> {
        let analysis = analysis.clone();
        self.write(move |c| records::save_analysis(c, &analysis)).await
    }

    async fn analysis(&self, id: &AnalysisId) -> Result<Option<Analysis>, AnyFault> {
        let id = *id;
        self.read(move |c| records::analysis(c, &id)).await
    }

    async fn latest_analysis(
        &self,
        conversation: &ConversationKey,
        model: &str,
        prompt_version: &str,
    ) -> Result<Option<Analysis>, AnyFault> {
        let (conversation, model, version) = (*conversation, model.to_owned(), prompt_version.to_owned());
        self.read(move |c| records::latest_analysis(c, &conversation, &model, &version)).await
    }

    async fn answer_to(&self, question: &Digest) -> Result<Option<Analysis>, AnyFault> {
        let question = *question;
        self.read(move |c| records::answer_to(c, &question)).await
    }

    async fn latest_analyses(&self) -> Result<HashMap<ConversationKey, Analysis>, AnyFault> {
        self.read(records::latest_analyses).await
    }

    async fn save_account(&self, status: &AccountStatus, epoch: Option<u64>) -> Result<(), AnyFault> {
        let (status, account) = (status.clone(), status.account.clone());
        let taken = self.write(move |c| records::save_account(c, &status, epoch)).await?;
        if taken { Ok(()) } else { Err(StoreError::LeaseLost { account }.into()) }
    }

    async fn accounts(&self) -> Result<Vec<AccountStatus>, AnyFault> {
        self.read(records::accounts).await
    }

    async fn record_gap(&self, gap: &Gap, epoch: Option<u64>) -> Result<(), AnyFault> {
        let (gap, account) = (gap.clone(), gap.account.clone());
        let taken = self.write(move |c| records::record_gap(c, &gap, epoch)).await?;
        if taken { Ok(()) } else { Err(StoreError::LeaseLost { account }.into()) }
    }

    async fn open_gaps(&self) -> Result<Vec<Gap>, AnyFault> {
        self.read(records::open_gaps).await
    }

    async fn counts(&self, account: Option<&AccountId>) -> Result<Counts, AnyFault> {
        let account = account.cloned();
        self.read(move |c| conversations::counts(c, account.as_ref())).await
    }

    async fn mirrored(&self, target: &str) -> Result<HashMap<ConversationKey, [u8; 16]>, AnyFault> {
        let target = target.to_owned();
        self.read(move |c| records::mirrored(c, &target)).await
    }

    async fn save_mirrored(&self, target: &str, rows: &HashMap<ConversationKey, [u8; 16]>) -> Result<(), AnyFault> {
        let (target, rows) = (target.to_owned(), rows.clone());
        self.write(move |c| records::save_mirrored(c, &target, &rows)).await
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, account: &AccountId, owner: &str, ttl: Duration) -> Result<Option<Lease>, AnyFault> {
        let (account, owner) = (account.clone(), owner.to_owned());
        let (now, ttl) = (self.clock.now().as_microsecond(), rows::micros(ttl.min(archive::LONGEST_WAIT)));
        self.write(move |c| leases::acquire(c, &account, &owner, now, ttl)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, AnyFault> {
        let lease = lease.clone();
        let (now, ttl) = (self.clock.now().as_microsecond(), rows::micros(ttl.min(archive::LONGEST_WAIT)));
        self.write(move |c| leases::renew(c, &lease, now, ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), AnyFault> {
        let lease = lease.clone();
        self.write(move |c| leases::release(c, &lease)).await
    }

    async fn holder(&self, account: &AccountId) -> Result<Option<Lease>, AnyFault> {
        let account = account.clone();
        let now = self.clock.now().as_microsecond();
        self.read(move |c| leases::holder(c, &account, now)).await
    }
}

#[async_trait]
impl Budgets for SqliteStore {
    async fn reserve(
        &self,
        reservation: &Reservation,
        draws: &[Draw],
        most: Usage,
        ttl: Duration,
    ) -> Result<Reserved, AnyFault> {
        let (id, draws) = (reservation.id.clone(), draws.to_vec());
        let (now, ttl) = (self.clock.now().as_microsecond(), rows::micros(ttl.min(archive::LONGEST_WAIT)));
        self.write(move |c| budgets::reserve(c, &id, &draws, most, now, ttl)).await
    }

    async fn settle(
        &self,
        reservation: &Reservation,
        used: Usage,
        analysis: Option<&Analysis>,
    ) -> Result<bool, AnyFault> {
        let (reservation, analysis) = (reservation.clone(), analysis.cloned());
        self.write(move |c| {
            budgets::settle(c, &reservation, used)?;
            analysis.map_or(Ok(false), |analysis| records::save_analysis(c, &analysis))
        })
        .await
    }

    async fn balance(&self, purse: &Purse) -> Result<Balance, AnyFault> {
        let (purse, now) = (purse.id(), self.clock.now().as_microsecond());
        self.read(move |c| budgets::balance(c, &purse, now)).await
    }
}
