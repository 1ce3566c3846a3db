//! What was written last to each target of a mirror: `_id` = `target/conversation`, and the hash of its row.
//!
//! The rows are replaced by writing the difference. A crash in the middle leaves some rows of before,
//! and the mirror then writes their lines once more.

use std::collections::HashMap;

use mongodb::Database;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc};

use super::bulk::{self, Statement};
use super::error::MongoError;
use super::{names, rows};
use crate::domain::ConversationKey;

/// So many rows are deleted with one command.
const CHUNK: usize = 1000;

/// Between target and conversation; in neither.
const SLASH: char = '/';

fn id(target: &str, key: &ConversationKey) -> String {
    format!("{target}{SLASH}{key}")
}

/// Deletes the rows of before version 3, which name no target: each row of a mirror is written once more.
pub(super) async fn forget_nameless(database: &Database) -> Result<(), MongoError> {
    let collection = database.collection::<Document>(names::MIRROR_ROWS);
    collection.delete_many(doc! { "_id": { "$not": { "$regex": SLASH.to_string() } } }).await?;
    Ok(())
}

pub(super) async fn read(database: &Database, target: &str) -> Result<HashMap<ConversationKey, [u8; 16]>, MongoError> {
    // '0' is the character after the slash.
    let its = doc! { "_id": { "$gte": format!("{target}{SLASH}"), "$lt": format!("{target}0") } };
    let mut found = database.collection::<RawDocumentBuf>(names::MIRROR_ROWS).find(its).batch_size(100_000).await?;
    let mut noted = HashMap::new();
    while found.advance().await? {
        let row = found.current();
        let id = row.get_str("_id").map_err(|_| MongoError::Unreadable("conversation key"))?;
        let id = id.rsplit_once(SLASH).map_or(id, |(_, key)| key);
        let hash = row.get_binary("hash").ok().and_then(|hash| hash.bytes.try_into().ok());
        noted.insert(rows::key(id, "conversation key")?, hash.ok_or(MongoError::Unreadable("hash of a row"))?);
    }
    Ok(noted)
}

pub(super) async fn save(
    database: &Database,
    target: &str,
    wanted: &HashMap<ConversationKey, [u8; 16]>,
) -> Result<(), MongoError> {
    let known = read(database, target).await?;
    let changed = wanted.iter().filter(|(key, hash)| known.get(*key) != Some(hash));
    let statements = changed.map(|(key, hash)| {
        let hash = Binary { subtype: BinarySubtype::Generic, bytes: hash.to_vec() };
        Statement { filter: doc! { "_id": id(target, key) }, update: Bson::Document(doc! { "$set": { "hash": hash } }) }
    });
    // Nothing is expected of their state, so that none is refused; two writers at once end with the
    // rows of either.
    bulk::update(database, names::MIRROR_ROWS, statements.collect()).await?;
    let gone = known.keys().filter(|key| !wanted.contains_key(key));
    let gone: Vec<Bson> = gone.map(|key| Bson::String(id(target, key))).collect();
    let collection = database.collection::<Document>(names::MIRROR_ROWS);
    for chunk in gone.chunks(CHUNK) {
        collection.delete_many(doc! { "_id": { "$in": chunk } }).await?;
    }
    Ok(())
}
