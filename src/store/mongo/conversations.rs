//! Reading conversations and their messages, and which of them are due.

use jiff::Timestamp;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::error::MongoError;
use super::rows::{self, ConversationRow, MessageRow};
use super::{all, names};
use crate::domain::{AccountId, Conversation, ConversationKey, MessageKey};
use crate::ports::{ConversationFilter, Counts, DueConversation, MessageRange, StoredMessage};

pub(super) async fn one(database: &Database, key: &ConversationKey) -> Result<Option<Conversation>, MongoError> {
    let rows = database.collection::<ConversationRow>(names::CONVERSATIONS);
    rows.find_one(doc! { "_id": key.to_string() }).await?.map(ConversationRow::read).transpose()
}

pub(super) async fn list(database: &Database, filter: &ConversationFilter) -> Result<Vec<Conversation>, MongoError> {
    // A limit of 0 is none to MongoDB.
    if filter.limit == Some(0) {
        return Ok(Vec::new());
    }
    let of = filter.account.as_ref().map_or_else(Document::new, |account| doc! { "account": account.to_string() });
    let rows = database.collection::<ConversationRow>(names::CONVERSATIONS);
    // Null is smaller than any time, so that descending order puts the unknown last.
    let found = rows.find(of).sort(doc! { "last_sent_at": -1, "_id": 1 });
    let rows: Vec<ConversationRow> = all(found.limit(filter.limit.map_or(0, i64::from)).await?).await?;
    rows.into_iter().map(ConversationRow::read).collect()
}

pub(super) async fn messages(
    database: &Database,
    key: &ConversationKey,
    range: MessageRange,
) -> Result<Vec<StoredMessage>, MongoError> {
    #[derive(Deserialize)]
    struct Place {
        position: i64,
    }
    let Some(first) = range.after.map_or(Some(i64::MIN), |after| after.checked_add(1)) else { return Ok(Vec::new()) };
    if range.limit == Some(0) {
        return Ok(Vec::new());
    }
    let conversation = key.to_string();
    let mut window = doc! { "conversation": &conversation, "position": { "$gte": first } };
    if let Some(up_to) = range.up_to {
        let up_to = up_to.to_string();
        let places = database.collection::<Place>(names::MESSAGES);
        let found = places.find_one(doc! { "_id": &up_to, "conversation": &conversation });
        let Some(Place { position: last }) = found.projection(doc! { "position": 1 }).await? else {
            return Ok(Vec::new());
        };
        window = doc! {
            "conversation": &conversation,
            "position": { "$gte": first, "$lte": last },
            "$or": [{ "position": { "$lt": last } }, { "_id": { "$lte": up_to } }],
        };
    }
    let messages = database.collection::<MessageRow>(names::MESSAGES);
    let found = messages.find(window).sort(doc! { "position": 1, "_id": 1 }).limit(range.limit.map_or(0, i64::from));
    let rows: Vec<MessageRow> = all(found.await?).await?;
    rows.into_iter().map(MessageRow::read).collect()
}

pub(super) async fn due(database: &Database, now: Timestamp, limit: u32) -> Result<Vec<DueConversation>, MongoError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let due = doc! { "due_at": { "$lte": now.as_microsecond() }, "last_key": { "$ne": null } };
    let rows = database.collection::<ConversationRow>(names::CONVERSATIONS);
    let found = rows.find(due).sort(doc! { "due_at": 1, "_id": 1 }).limit(limit.into());
    let rows: Vec<ConversationRow> = all(found.await?).await?;
    let read = rows.into_iter().filter_map(|row| Some((row.last_key.clone()?, row.due_at?, row)));
    read.map(|(last, due_at, row)| {
        Ok(DueConversation {
            account: rows::key(&row.account, "account id")?,
            conversation: rows::key(&row.key, "conversation key")?,
            up_to: rows::key(&last, "message key")?,
            edits: row.edits.cast_unsigned(),
            due_at: rows::time(due_at)?,
        })
    })
    .collect()
}

pub(super) async fn next_due(database: &Database) -> Result<Option<Timestamp>, MongoError> {
    #[derive(Deserialize)]
    struct Due {
        due_at: i64,
    }
    let rows = database.collection::<Due>(names::CONVERSATIONS);
    let found = rows.find_one(doc! { "due_at": { "$exists": true } }).sort(doc! { "due_at": 1 });
    found.projection(doc! { "due_at": 1 }).await?.map(|due| rows::time(due.due_at)).transpose()
}

/// A newer message, or a later edit, keeps the conversation due: its own time has not been answered.
pub(super) async fn requested(
    database: &Database,
    key: &ConversationKey,
    up_to: &MessageKey,
    edits: u64,
) -> Result<(), MongoError> {
    let rows = database.collection::<Document>(names::CONVERSATIONS);
    let mut answered = doc! { "_id": key.to_string(), "last_key": up_to.to_string() };
    // A row of an earlier version has no such field.
    answered.insert(
        "edits",
        if edits == 0 { Bson::from(doc! { "$in": [0_i64, null] }) } else { edits.cast_signed().into() },
    );
    rows.update_one(answered, doc! { "$unset": { "first_new_at": "", "due_at": "" } }).await?;
    Ok(())
}

pub(super) async fn counts(database: &Database, account: Option<&AccountId>) -> Result<Counts, MongoError> {
    #[derive(Default, Deserialize)]
    struct Sums {
        conversations: i64,
        messages: i64,
        analysed_conversations: i64,
        analysed_messages: i64,
    }
    let of = account.map_or_else(Document::new, |account| doc! { "account": account.to_string() });
    // The analysis of the last message that covers most; none gives null, which is no number.
    let covered = doc! { "$lookup": {
        "from": names::ANALYSES,
        "localField": "_id",
        "foreignField": "conversation",
        "let": { "last": "$last_key" },
        "pipeline": [
            { "$match": { "$expr": { "$eq": ["$up_to", "$$last"] } } },
            { "$group": { "_id": null, "messages": { "$max": "$messages" } } },
        ],
        "as": "covered",
    } };
    let first = doc! { "$first": "$covered.messages" };
    let sums = doc! { "$group": {
        "_id": null,
        "conversations": { "$sum": 1_i64 },
        "messages": { "$sum": "$messages" },
        "analysed_conversations": { "$sum": { "$size": "$covered" } },
        "analysed_messages": { "$sum": { "$ifNull": [first, 0_i64] } },
    } };
    let rows = database.collection::<Document>(names::CONVERSATIONS);
    let narrow = doc! { "$project": { "last_key": 1, "messages": 1 } };
    let found = rows.aggregate([doc! { "$match": of.clone() }, narrow, covered, sums]).with_type::<Sums>();
    let sums: Vec<Sums> = all(found.await?).await?;
    let Sums { conversations, messages, analysed_conversations, analysed_messages } =
        sums.into_iter().next().unwrap_or_default();
    let mut open = of;
    open.insert("open", true);
    let open_gaps = database.collection::<Document>(names::GAPS).count_documents(open).await?;
    Ok(Counts {
        conversations: conversations.cast_unsigned(),
        messages: messages.cast_unsigned(),
        analysed_conversations: analysed_conversations.cast_unsigned(),
        analysed_messages: analysed_messages.cast_unsigned(),
        open_gaps,
    })
}
