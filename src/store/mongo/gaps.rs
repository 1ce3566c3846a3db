//! Gaps: one document per conversation and reason, open or closed, `_id` = `<conversation>/<reason>`.
//!
//! One document, so that noting and closing are one write each, whoever does it how often. A gap that
//! was closed and comes again opens the same document; only its last closing is kept.

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::error::MongoError;
use super::records::{RACES, is_duplicate, is_fenced, not_above};
use super::rows::time;
use super::{all, names};
use crate::domain::{AccountId, ConversationKey, Gap, GapReason};

/// False, and nothing is written, if the epoch is a stale one.
///
/// The account's fence is looked at first and the gap's own epoch in the write itself; a change of
/// hands raises the epoch of every gap that is known. What can come through between the two is a gap
/// that nobody had noted: its late owner did see it.
pub(super) async fn record(database: &Database, gap: &Gap, epoch: Option<u64>) -> Result<bool, MongoError> {
    let epoch = epoch.map(u64::cast_signed);
    if is_fenced(database, names::ACCOUNTS, &gap.account.to_string(), epoch).await? {
        return Ok(false);
    }
    let id = format!("{}/{}", gap.subject(), gap.reason.as_str());
    let mut filter = doc! { "_id": &id };
    if let Some(epoch) = epoch {
        filter.insert("epoch", not_above(epoch));
    }
    let written = epoch.map_or_else(|| Bson::from(doc! { "$ifNull": ["$epoch", 0_i64] }), Bson::from);
    match gap.closed_at {
        Some(closed_at) => close(database, &id, filter, closed_at.as_microsecond(), written, epoch).await,
        None => note(database, &id, filter, gap, written, epoch).await,
    }
}

async fn close(
    database: &Database,
    id: &str,
    mut filter: Document,
    closed_at: i64,
    written: Bson,
    epoch: Option<i64>,
) -> Result<bool, MongoError> {
    // What was noticed after this closing stays open.
    filter.extend(doc! { "open": true, "since": { "$lte": closed_at } });
    let update = vec![doc! { "$set": { "open": false, "closed_at": closed_at, "epoch": written } }];
    let closed = database.collection::<Document>(names::GAPS).update_one(filter, update).await?;
    Ok(closed.matched_count > 0 || !is_fenced(database, names::GAPS, id, epoch).await?)
}

async fn note(
    database: &Database,
    id: &str,
    filter: Document,
    gap: &Gap,
    written: Bson,
    epoch: Option<i64>,
) -> Result<bool, MongoError> {
    let since = gap.since.as_microsecond();
    // Noticed before the last closing: old news, which changes nothing.
    let old = doc! { "$gte": ["$closed_at", since] };
    let first = doc! { "$cond": [{ "$eq": ["$open", true] }, { "$min": ["$since", since] }, since] };
    let keep = |field: &str, otherwise: Bson| doc! { "$cond": [&old, format!("${field}"), otherwise] };
    let update = vec![doc! { "$set": {
        "account": gap.account.to_string(),
        "conversation": gap.subject().to_string(),
        "reason": gap.reason.as_str(),
        "open": keep("open", true.into()),
        "since": keep("since", first.into()),
        "seen_from": keep("seen_from", gap.seen_from.map(|at| at.as_microsecond()).into()),
        "epoch": written,
    } }];
    let gaps = database.collection::<Document>(names::GAPS);
    // An upsert is refused because the epoch is stale, or because another one was first.
    for _ in 0..RACES {
        match gaps.update_one(filter.clone(), update.clone()).upsert(true).await {
            Ok(_) => return Ok(true),
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if is_fenced(database, names::GAPS, id, epoch).await? {
            return Ok(false);
        }
    }
    Err(MongoError::Contended)
}

pub(super) async fn open(database: &Database) -> Result<Vec<Gap>, MongoError> {
    #[derive(Deserialize)]
    struct Row {
        account: AccountId,
        conversation: ConversationKey,
        reason: GapReason,
        seen_from: Option<i64>,
        since: i64,
    }
    let gaps = database.collection::<Row>(names::GAPS);
    let found = gaps.find(doc! { "open": true }).sort(doc! { "since": 1, "conversation": 1, "reason": 1 });
    let rows: Vec<Row> = all(found.await?).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Gap {
                account: row.account,
                conversation: Gap::conversation_of(row.conversation, row.reason),
                reason: row.reason,
                seen_from: row.seen_from.map(time).transpose()?,
                since: time(row.since)?,
                closed_at: None,
            })
        })
        .collect()
}
