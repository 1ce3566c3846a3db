//! Many conditional updates in one command, and which of them found another state than they expected.
//!
//! Every statement is an upsert whose filter names `_id` and the state that it expects. If the document
//! has another state, the upsert tries to insert a second one of that `_id` and is refused as a
//! duplicate (11000), under its own index: so one command tells for each statement whether it took
//! effect. `Client::bulk_write` would need a server of version 8; this works on 6 and 7 too.
//!
//! The driver does not repeat such a command. Whoever calls must be able to begin again by looking.

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};

use super::error::{DUPLICATE_KEY, MongoError};

/// So many statements per command: far below the server's 100,000 and its 48 MB.
const CHUNK: usize = 1000;

/// One conditional update.
pub(super) struct Statement {
    /// `_id` and the expected state, each by equality.
    pub filter: Document,
    /// An update document, or the stages of a pipeline as an array.
    pub update: Bson,
}

/// Applies them in any order; the indexes of those that found another state.
pub(super) async fn update(
    database: &Database,
    collection: &str,
    statements: Vec<Statement>,
) -> Result<Vec<usize>, MongoError> {
    let mut refused = Vec::new();
    let mut statements = statements.into_iter();
    let mut begin = 0;
    loop {
        let chunk: Vec<Bson> = statements
            .by_ref()
            .take(CHUNK)
            .map(|one| Bson::Document(doc! { "q": one.filter, "u": one.update, "upsert": true }))
            .collect();
        if chunk.is_empty() {
            return Ok(refused);
        }
        let count = chunk.len();
        let reply = database
            .run_command(doc! {
                "update": collection, "updates": chunk, "ordered": false,
                "writeConcern": { "w": "majority", "j": true },
            })
            .await?;
        refused.extend(read(&reply)?.into_iter().map(|index| begin + index));
        begin += count;
    }
}

/// The indexes of refused statements; an error if anything else went wrong.
fn read(reply: &Document) -> Result<Vec<usize>, MongoError> {
    if let Ok(concern) = reply.get_document("writeConcernError") {
        return Err(error(concern));
    }
    let mut refused = Vec::new();
    for one in reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default() {
        let one = one.as_document().ok_or(MongoError::Unreadable("reply"))?;
        if one.get_i32("code").ok() != Some(DUPLICATE_KEY) {
            return Err(error(one));
        }
        let index = one.get_i32("index").ok().and_then(|index| usize::try_from(index).ok());
        refused.push(index.ok_or(MongoError::Unreadable("reply"))?);
    }
    Ok(refused)
}

fn error(document: &Document) -> MongoError {
    MongoError::of_code(document.get_i32("code").unwrap_or(0), document.get_str("codeName").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_reply_tells_who_was_refused_and_hides_no_other_error() {
        let duplicate = |index: i32| doc! { "index": index, "code": DUPLICATE_KEY, "errmsg": "x" };
        assert_eq!(read(&doc! { "ok": 1, "n": 3 }), Ok(Vec::new()));
        assert_eq!(read(&doc! { "writeErrors": [duplicate(1), duplicate(4)] }), Ok(vec![1, 4]));
        let mixed =
            doc! { "writeErrors": [duplicate(1), { "index": 2, "code": 10107, "codeName": "NotWritablePrimary" }] };
        assert!(read(&mixed).unwrap_err().class().is_retryable());
        let unsure = doc! { "writeErrors": [duplicate(1)], "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed" } };
        assert!(read(&unsure).unwrap_err().class().is_retryable());
    }
}
