//! Leases: `_id` = account. One document and one write per change, by the server's own clock
//! (`$$NOW`), so that no two machines need agree what time it is.
//!
//! A document is never deleted, or the epoch would begin anew. No TTL index: what has run out still
//! holds the epoch.

use std::time::Duration;

use jiff::Timestamp;
use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::error::MongoError;
use super::names;
use super::rows::micros;
use crate::domain::AccountId;
use crate::ports::Lease;

#[derive(Deserialize)]
struct Row {
    owner: Option<String>,
    epoch: i64,
    until: DateTime,
}

impl Row {
    fn read(self, account: &AccountId) -> Result<Option<Lease>, MongoError> {
        let Some(owner) = self.owner else { return Ok(None) };
        let until = Timestamp::from_millisecond(self.until.timestamp_millis());
        let until = until.map_err(|_| MongoError::Unreadable("time"))?;
        Ok(Some(Lease { account: account.clone(), owner, epoch: self.epoch.cast_unsigned(), until }))
    }
}

fn from_now(ttl: Duration) -> Document {
    doc! { "$add": ["$$NOW", micros(ttl) / 1000] }
}

pub(super) async fn acquire(
    database: &Database,
    account: &AccountId,
    owner: &str,
    ttl: Duration,
) -> Result<Option<Lease>, MongoError> {
    let id = account.to_string();
    let own = doc! { "$eq": ["$owner", { "$literal": owner }] };
    let runs = doc! { "$gt": ["$until", "$$NOW"] };
    let elsewhere = doc! { "$and": [&runs, { "$not": [&own] }] };
    // Not in the filter: an upsert may not compare with the server's clock there.
    let take = vec![doc! { "$set": {
        "owner": { "$cond": [&elsewhere, "$owner", { "$literal": owner }] },
        "epoch": { "$cond": [&runs, "$epoch", { "$add": [{ "$ifNull": ["$epoch", 0_i64] }, 1_i64] }] },
        "until": { "$cond": [&elsewhere, "$until", from_now(ttl)] },
    } }];
    let leases = database.collection::<Row>(names::LEASES);
    let row = leases
        .find_one_and_update(doc! { "_id": &id }, take)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .await?
        .ok_or(MongoError::Unreadable("lease"))?;
    let Some(lease) = row.read(account)?.filter(|lease| lease.owner == owner) else { return Ok(None) };
    raise(database, &id, lease.epoch.cast_signed()).await?;
    Ok(Some(lease))
}

/// Shuts out lower epochs wherever they could write. Done at every acquiring, also of an own lease: the
/// attempt that got it may have died before this.
async fn raise(database: &Database, account: &str, epoch: i64) -> Result<(), MongoError> {
    let accounts = database.collection::<Document>(names::ACCOUNTS);
    accounts.update_one(doc! { "_id": account }, doc! { "$max": { "fence": epoch } }).upsert(true).await?;
    let gaps = database.collection::<Document>(names::GAPS);
    gaps.update_many(doc! { "account": account }, doc! { "$max": { "epoch": epoch } }).await?;
    Ok(())
}

fn of(lease: &Lease) -> Document {
    doc! { "_id": lease.account.to_string(), "owner": &lease.owner, "epoch": lease.epoch.cast_signed() }
}

pub(super) async fn renew(database: &Database, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, MongoError> {
    let longer = vec![doc! { "$set": { "until": from_now(ttl) } }];
    let leases = database.collection::<Row>(names::LEASES);
    let row = leases.find_one_and_update(of(lease), longer).return_document(ReturnDocument::After).await?;
    row.map_or(Ok(None), |row| row.read(&lease.account))
}

pub(super) async fn release(database: &Database, lease: &Lease) -> Result<(), MongoError> {
    let back = doc! { "$set": { "owner": null, "until": DateTime::from_millis(0) } };
    database.collection::<Document>(names::LEASES).update_one(of(lease), back).await?;
    Ok(())
}

pub(super) async fn holder(database: &Database, account: &AccountId) -> Result<Option<Lease>, MongoError> {
    let held = doc! { "_id": account.to_string(), "$expr": { "$gt": ["$until", "$$NOW"] } };
    let row = database.collection::<Row>(names::LEASES).find_one(held).await?;
    row.map_or(Ok(None), |row| row.read(account))
}
