//! What the mirror wrote last: `_id` = conversation, and the hash of its row.
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

pub(super) async fn read(database: &Database) -> Result<HashMap<ConversationKey, [u8; 16]>, MongoError> {
    let mut found = database.collection::<RawDocumentBuf>(names::MIRROR_ROWS).find(doc! {}).batch_size(100_000).await?;
    let mut noted = HashMap::new();
    while found.advance().await? {
        let row = found.current();
        let id = row.get_str("_id").map_err(|_| MongoError::Unreadable("conversation key"))?;
        let hash = row.get_binary("hash").ok().and_then(|hash| hash.bytes.try_into().ok());
        noted.insert(rows::key(id, "conversation key")?, hash.ok_or(MongoError::Unreadable("hash of a row"))?);
    }
    Ok(noted)
}

pub(super) async fn save(database: &Database, wanted: &HashMap<ConversationKey, [u8; 16]>) -> Result<(), MongoError> {
    let known = read(database).await?;
    let changed = wanted.iter().filter(|(key, hash)| known.get(*key) != Some(hash));
    let statements = changed.map(|(key, hash)| {
        let hash = Binary { subtype: BinarySubtype::Generic, bytes: hash.to_vec() };
        Statement { filter: doc! { "_id": key.to_string() }, update: Bson::Document(doc! { "$set": { "hash": hash } }) }
    });
    // Nothing is expected of their state, so that none is refused; two writers at once end with the
    // rows of either.
    bulk::update(database, names::MIRROR_ROWS, statements.collect()).await?;
    let gone: Vec<Bson> =
        known.keys().filter(|key| !wanted.contains_key(key)).map(|key| Bson::String(key.to_string())).collect();
    let collection = database.collection::<Document>(names::MIRROR_ROWS);
    for chunk in gone.chunks(CHUNK) {
        collection.delete_many(doc! { "_id": { "$in": chunk } }).await?;
    }
    Ok(())
}
