//! Analyses and account states: small records told and told again.
//!
//! Where an older telling must not win, or a stale epoch be refused, the condition is part of the one
//! write that it guards.

use std::collections::HashMap;

use jiff::Timestamp;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use serde::{Deserialize, Serialize};

use super::error::{DUPLICATE_KEY, MongoError};
use super::rows::{key, time};
use super::{all, names};
use crate::domain::{
    AccountId, AccountState, AccountStatus, Analysis, AnalysisId, ConversationKey, Digest, Reading, Usage, Verdict,
};
use crate::fault::Code;

/// How often another first write may come between.
pub(super) const RACES: usize = 16;

/// Whether a write found another state than it expected, see [`super::bulk`].
pub(super) fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE_KEY,
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        _ => false,
    }
}

#[derive(Serialize, Deserialize)]
struct AnalysisRow {
    #[serde(rename = "_id")]
    id: AnalysisId,
    conversation: ConversationKey,
    up_to: String,
    messages: i64,
    created_at: i64,
    account: AccountId,
    verdict: Verdict,
    model: String,
    prompt_version: String,
    #[serde(default)]
    updates: u32,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    unread: i64,
    // Left out where there is none: the index of questions has no room for all that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<Digest>,
}

impl AnalysisRow {
    fn read(self) -> Result<Analysis, MongoError> {
        Ok(Analysis {
            id: self.id,
            account: self.account,
            conversation: self.conversation,
            up_to: key(&self.up_to, "message key")?,
            messages: self.messages.cast_unsigned(),
            verdict: self.verdict,
            model: self.model,
            prompt_version: self.prompt_version,
            updates: self.updates,
            usage: self.usage,
            reading: Reading { content: self.content, question: self.question, unread: self.unread.cast_unsigned() },
            created_at: time(self.created_at)?,
        })
    }
}

pub(super) async fn save_analysis(database: &Database, analysis: &Analysis) -> Result<bool, MongoError> {
    let row = AnalysisRow {
        id: analysis.id,
        conversation: analysis.conversation,
        up_to: analysis.up_to.to_string(),
        messages: analysis.messages.cast_signed(),
        created_at: analysis.created_at.as_microsecond(),
        account: analysis.account.clone(),
        verdict: analysis.verdict.clone(),
        model: analysis.model.clone(),
        prompt_version: analysis.prompt_version.clone(),
        updates: analysis.updates,
        usage: analysis.usage,
        unread: analysis.reading.unread.cast_signed(),
        content: analysis.reading.content,
        question: analysis.reading.question,
    };
    let rows = database.collection::<AnalysisRow>(names::ANALYSES);
    match rows.insert_one(&row).await {
        Ok(_) => return Ok(true),
        Err(error) if is_duplicate(&error) => {}
        Err(error) => return Err(error.into()),
    }
    // A field that is missing is null.
    let content = row.content.map(|content| content.to_string());
    let poorer = doc! { "_id": row.id.to_string(), "$or": [
        { "messages": { "$lt": row.messages } },
        { "content": { "$ne": content }, "created_at": { "$lte": row.created_at } },
    ] };
    Ok(rows.replace_one(poorer, &row).await?.modified_count == 1)
}

pub(super) async fn analysis(database: &Database, id: &AnalysisId) -> Result<Option<Analysis>, MongoError> {
    let rows = database.collection::<AnalysisRow>(names::ANALYSES);
    rows.find_one(doc! { "_id": id.to_string() }).await?.map(AnalysisRow::read).transpose()
}

pub(super) async fn latest_analysis(
    database: &Database,
    conversation: &ConversationKey,
    model: &str,
    prompt_version: &str,
) -> Result<Option<Analysis>, MongoError> {
    let rows = database.collection::<AnalysisRow>(names::ANALYSES);
    let by = doc! { "conversation": conversation.to_string(), "model": model, "prompt_version": prompt_version };
    // The first document of the index nearly always: other models and versions are an exception.
    let found = rows.find_one(by).sort(doc! { "messages": -1, "created_at": -1, "_id": -1 });
    found.await?.map(AnalysisRow::read).transpose()
}

pub(super) async fn answer_to(database: &Database, question: &Digest) -> Result<Option<Analysis>, MongoError> {
    let rows = database.collection::<AnalysisRow>(names::ANALYSES);
    rows.find_one(doc! { "question": question.to_string() }).await?.map(AnalysisRow::read).transpose()
}

pub(super) async fn latest_analyses(database: &Database) -> Result<HashMap<ConversationKey, Analysis>, MongoError> {
    let rows = database.collection::<AnalysisRow>(names::ANALYSES);
    let latest = [
        doc! { "$sort": { "conversation": 1, "messages": -1, "created_at": -1, "_id": -1 } },
        doc! { "$group": { "_id": "$conversation", "latest": { "$first": "$$ROOT" } } },
        doc! { "$replaceWith": "$latest" },
    ];
    let rows: Vec<AnalysisRow> = all(rows.aggregate(latest).with_type::<AnalysisRow>().await?).await?;
    rows.into_iter().map(|row| row.read().map(|analysis| (analysis.conversation, analysis))).collect()
}

/// An account's state. `fence` is the lowest epoch that may still write, raised by every change of
/// hands ([`super::leases`]); `epoch` is that of the state. A row may hold a fence alone.
#[derive(Deserialize)]
struct AccountRow {
    #[serde(rename = "_id")]
    account: AccountId,
    state: AccountState,
    since: i64,
    code: Option<Code>,
    sentence: String,
    action: Option<String>,
    expires_at: i64,
    last_pass_at: Option<i64>,
}

/// False, and nothing is written, if the epoch is a stale one.
pub(super) async fn save_account(
    database: &Database,
    status: &AccountStatus,
    epoch: Option<u64>,
) -> Result<bool, MongoError> {
    let micros = |at: Timestamp| at.as_microsecond();
    let id = status.account.to_string();
    let mut filter = doc! { "_id": &id };
    let stored = doc! { "$ifNull": ["$epoch", 0_i64] };
    let under = epoch.map(u64::cast_signed);
    if let Some(epoch) = under {
        filter.insert("fence", not_above(epoch));
        filter.insert("epoch", not_above(epoch));
    }
    let epoch = under.map_or_else(|| Bson::from(stored.clone()), Bson::from);
    // A missing time is less than any.
    let newer = doc! { "$or": [{ "$gt": [&epoch, stored] }, { "$gte": [micros(status.since), "$since"] }] };
    let fields = doc! {
        "state": status.state.as_str(),
        "since": micros(status.since),
        "code": status.code.map(Code::as_str),
        "sentence": { "$literal": &status.sentence },
        "action": { "$literal": status.action.as_deref() },
        "expires_at": micros(status.expires_at),
        "last_pass_at": status.last_pass_at.map(micros),
        "epoch": epoch,
    };
    let kept = fields.into_iter().map(|(name, value)| {
        let stored = format!("${name}");
        (name, Bson::from(doc! { "$cond": [&newer, value, stored] }))
    });
    let update = vec![doc! { "$set": kept.collect::<Document>() }];
    let rows = database.collection::<Document>(names::ACCOUNTS);
    // An upsert is refused because the epoch is stale, or because another one was first.
    for _ in 0..RACES {
        match rows.update_one(filter.clone(), update.clone()).upsert(true).await {
            Ok(_) => return Ok(true),
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if is_fenced(database, names::ACCOUNTS, &id, under).await? {
            return Ok(false);
        }
    }
    Err(MongoError::Contended)
}

/// Whether a document of this id admits only higher epochs than this.
pub(super) async fn is_fenced(
    database: &Database,
    collection: &str,
    id: &str,
    epoch: Option<i64>,
) -> Result<bool, MongoError> {
    let Some(epoch) = epoch else { return Ok(false) };
    let above = doc! { "_id": id, "$or": [{ "fence": { "$gt": epoch } }, { "epoch": { "$gt": epoch } }] };
    Ok(database.collection::<Document>(collection).find_one(above).projection(doc! { "_id": 1 }).await?.is_some())
}

/// True where the field is missing too.
pub(super) fn not_above(epoch: i64) -> Document {
    doc! { "$not": { "$gt": epoch } }
}

pub(super) async fn accounts(database: &Database) -> Result<Vec<AccountStatus>, MongoError> {
    let rows = database.collection::<AccountRow>(names::ACCOUNTS);
    let found = rows.find(doc! { "since": { "$exists": true } }).sort(doc! { "_id": 1 });
    let rows: Vec<AccountRow> = all(found.await?).await?;
    rows.into_iter()
        .map(|row| {
            Ok(AccountStatus {
                account: row.account,
                state: row.state,
                since: time(row.since)?,
                code: row.code,
                sentence: row.sentence,
                action: row.action,
                expires_at: time(row.expires_at)?,
                last_pass_at: row.last_pass_at.map(time).transpose()?,
            })
        })
        .collect()
}
